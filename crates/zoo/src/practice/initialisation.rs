//! What weights begin with: ten layers of 500 units on random inputs. Deviations of activations and of gradients, layer by layer,
//! beside what theory says of infinitely wide nets; and histograms.

use nn::{Init, Layer, Pass, Relu, Scope, Sequential, Tanh, linear};
use see::picture::svg::{Axes, BLUE, PALE, Svg};
use see::picture::{Chart, lines};
use serde_json::{Value, json};
use tensor::{DType, RandomKey, Tensor};
use train::Result;

use super::{Bench, Experiment, Findings, line};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "initialisation",
    about: "ten layers at their first step: how activations and gradients fade or saturate with what weights begin with",
    make,
};

const LAYERS: usize = 10;
const UNITS: usize = 500;
const ROWS: usize = 1000;
const BINS: usize = 40;

/// An activation and the deviation of the weights, times the square root of the inputs.
struct Case {
    name: &'static str,
    relu: bool,
    gain: f64,
}

fn cases() -> [Case; 6] {
    let root = (UNITS as f64).sqrt();
    let case = |name, relu, gain| Case { name, relu, gain };
    [
        case("tanh, deviation 0.01", false, 0.01 * root),
        case("tanh, deviation 1", false, root),
        case("tanh, Xavier: 1 / sqrt(n)", false, 1.0),
        case("ReLU, deviation 0.01", true, 0.01 * root),
        case("ReLU, Xavier: 1 / sqrt(n)", true, 1.0),
        case("ReLU, Kaiming: sqrt(2 / n)", true, 2f64.sqrt()),
    ]
}

/// Layers, from 1, and the shares of their activations in bins.
type Histograms = Vec<(usize, Vec<f64>)>;

/// What a net shows at its first step, layer by layer.
struct Seen {
    /// Root mean squares of the activations; of the gradients of a random sum of the outputs.
    activations: Vec<f64>,
    gradients: Vec<f64>,
    /// Shares of the activations in bins from -1 to 1 (tanh) or from 0 to 2 (ReLU), of the layers shown.
    histograms: Histograms,
}

fn make(bench: &mut Bench) -> Result<Findings> {
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let chart = |title: &str| Chart { title: title.to_owned(), x: "layer".to_owned(), log_y: true, ..Chart::default() };
    let mut charts =
        [chart("activations, root mean square"), chart("gradients, root mean square, against the last layer's")];
    let mut histograms = Vec::new();
    for (colour, case) in cases().into_iter().enumerate() {
        let seen = look(bench, &case)?;
        let theory = theory(&case);
        let last = seen.gradients[LAYERS - 1];
        let at =
            |values: &[f64], unit: f64| values.iter().enumerate().map(|(n, v)| [n as f64 + 1.0, v / unit]).collect();
        charts[0].lines.push(line(case.name, at(&seen.activations, 1.0), colour, false));
        charts[1].lines.push(line(case.name, at(&seen.gradients, last), colour, false));
        words.push(format!(
            "{:28} activations {:.2e} after layer 1, {:.2e} after layer {LAYERS} (theory {:.2e}); gradients of the first layer {:.2e} of the last's",
            case.name, seen.activations[0], seen.activations[LAYERS - 1], theory[LAYERS - 1], seen.gradients[0] / last
        ));
        numbers.push(json!({
            "case": case.name, "activations": seen.activations, "theory": theory, "gradients": seen.gradients,
        }));
        histograms.push((case.name, seen.histograms));
    }
    let pictures = vec![
        ("initialisation.svg", lines("What weights begin with: ten layers of 500 units", &charts)),
        ("histograms.svg", draw_histograms(&histograms)),
    ];
    Ok(Findings { words, numbers: Value::from(numbers), pictures })
}

fn look(bench: &Bench, case: &Case) -> Result<Seen> {
    let scope = Scope::root(0);
    let mut net = Sequential::new();
    for number in 1..=LAYERS {
        let init = Init::Normal { mean: 0.0, std: case.gain / (UNITS as f64).sqrt() };
        let layer = linear(&scope / format!("fc{number}"), UNITS, UNITS).bias(false).init(init);
        net = if case.relu { net.then(layer).then(Relu) } else { net.then(layer).then(Tanh) };
    }
    let x = Tensor::normal([ROWS, UNITS], RandomKey::new(0).stream("inputs"), DType::F32);
    let pass = Pass::eval().watching();
    let y = net.forward(&x, &pass);
    let layers: Vec<Tensor> =
        pass.seen().into_iter().filter(|seen| ["tanh", "relu"].contains(&seen.kind)).map(|seen| seen.output).collect();
    let weights = Tensor::normal([ROWS, UNITS], RandomKey::new(0).stream("outputs"), DType::F32);
    let gradients = (&y * &weights).sum(..).grad(&layers);
    let all: Vec<&Tensor> = layers.iter().chain(&gradients).collect();
    let values = bench.cpu.run(&all, &[])?;
    let floats: Vec<&[f32]> = values.iter().map(|value| value.as_slice().unwrap_or_default()).collect();
    let (activations, gradients) = floats.split_at(LAYERS);
    let shown = [0, LAYERS / 2 - 1, LAYERS - 1];
    Ok(Seen {
        histograms: shown.map(|layer| (layer + 1, histogram(activations[layer], case.relu))).to_vec(),
        activations: activations.iter().map(|values| root_mean_square(values)).collect(),
        gradients: gradients.iter().map(|values| root_mean_square(values)).collect(),
    })
}

fn root_mean_square(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    (sum / values.len() as f64).sqrt()
}

/// Root mean squares of the activations of infinitely wide layers: what goes into a layer is then normal with deviation
/// `gain` times that of its inputs (Poole et al. 2016).
fn theory(case: &Case) -> Vec<f64> {
    let mut before = 1.0;
    let step = |_| {
        let deviation = case.gain * before;
        // The mean of f(deviation z)^2 over a normal z, by the trapezoid rule, which is exact to many digits here.
        let (mut sum, mut weights) = (0.0, 0.0);
        for n in -4000..=4000 {
            let z = f64::from(n) * 2e-3;
            let weight = (-0.5 * z * z).exp();
            let x = deviation * z;
            let y = if case.relu { x.max(0.0) } else { x.tanh() };
            sum += weight * y * y;
            weights += weight;
        }
        before = (sum / weights).sqrt();
        before
    };
    (0..LAYERS).map(step).collect()
}

fn histogram(values: &[f32], relu: bool) -> Vec<f64> {
    let (from, to) = if relu { (0.0, 2.0) } else { (-1.0, 1.0) };
    let mut bins = vec![0.0; BINS];
    for &value in values {
        let share = (f64::from(value) - from) / (to - from);
        // (What a ReLU lets through beyond 2 is not drawn.)
        let bin = if relu {
            bins.get_mut((share * BINS as f64) as usize)
        } else {
            bins.get_mut(((share * BINS as f64) as usize).min(BINS - 1))
        };
        if let Some(bin) = bin {
            *bin += 1.0 / values.len() as f64;
        }
    }
    bins
}

/// A row for each case, a panel for each layer shown.
fn draw_histograms(rows: &[(&str, Histograms)]) -> String {
    const WIDTH: f64 = 200.0;
    const HEIGHT: f64 = 86.0;
    const LEFT: f64 = 230.0;
    const TOP: f64 = 84.0;
    let mut svg = Svg::new(
        LEFT + 3.0 * (WIDTH + 24.0) + 10.0,
        TOP + rows.len() as f64 * (HEIGHT + 34.0),
        "system-ui, sans-serif",
        "#ffffff",
    );
    svg.words(24.0, 34.0, 17.0, r#"font-weight="600""#, "Activations at the first step");
    svg.words(
        24.0,
        54.0,
        12.0,
        &format!(r#"fill="{PALE}""#),
        "tanh: from -1 to 1; ReLU: from 0 to 2, and the bar at 0, which holds half of all and more, is cut off. Each panel has its own scale.",
    );
    for (row, (name, panels)) in rows.iter().enumerate() {
        let top = TOP + row as f64 * (HEIGHT + 34.0);
        svg.words(24.0, top + HEIGHT / 2.0, 12.5, "", name);
        for (column, (layer, bins)) in panels.iter().enumerate() {
            // Half of what a ReLU gives is 0, and would press the rest to the ground.
            let relu = name.starts_with("ReLU");
            let rest = bins.iter().skip(usize::from(relu)).copied().fold(0.0, f64::max);
            let most = if rest > 1e-3 { rest } else { bins.iter().copied().fold(1e-9, f64::max) };
            let axes = Axes {
                place: [LEFT + column as f64 * (WIDTH + 24.0), top, WIDTH, HEIGHT],
                x: [0.0, BINS as f64],
                y: [0.0, 1.05 * most],
            };
            axes.frame(&mut svg, &[], &[]);
            for (at, &share) in bins.iter().enumerate() {
                let [x, y] = axes.at(at as f64, share.min(1.05 * most));
                svg.rect([x + 0.4, y, WIDTH / BINS as f64 - 0.8, top + HEIGHT - y], BLUE, "");
            }
            let [left, ..] = axes.place;
            svg.words(
                left + WIDTH,
                top + 8.0,
                11.0,
                &format!(r#"text-anchor="end" fill="{PALE}""#),
                &format!("layer {layer}"),
            );
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn five_hundred_units_are_within_a_twentieth_of_theory() {
        let cpu = cpu::Cpu::new(1).unwrap();
        let stop = AtomicBool::new(false);
        let dir = std::path::Path::new("nowhere");
        let bench = Bench {
            cpu: &cpu,
            dir,
            data: None,
            set: &[],
            command: "",
            stop: &stop,
            stopped: false,
            listen: &mut |_, _| {},
        };
        for case in cases() {
            let (seen, theory) = (look(&bench, &case).unwrap(), theory(&case));
            for (layer, (found, expected)) in seen.activations.iter().zip(&theory).enumerate() {
                // Errors of finite layers add up.
                let bound = 0.05 * (1.0 + layer as f64 / 3.0);
                assert!(
                    (found / expected - 1.0).abs() < bound,
                    "{} layer {}: {found} and {expected}",
                    case.name,
                    layer + 1
                );
            }
        }
    }

    #[test]
    fn kaiming_keeps_what_xavier_halves() {
        let [.., xavier, kaiming] = cases();
        let halves = theory(&xavier).windows(2).all(|pair| (pair[1] / pair[0] - 0.5f64.sqrt()).abs() < 1e-9);
        assert!(halves && theory(&kaiming).iter().all(|value| (value - 1.0).abs() < 1e-9));
    }
}
