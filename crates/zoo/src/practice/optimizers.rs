//! How optimisers find their way: on a surface of two variables that can be looked at, and on one net.

use data::Image;
use nn::solve::{Lbfgs, Newton, lbfgs, newton};
use nn::{Adam, Group, Optimiser, RmsProp, Sgd};
use see::picture::svg::{Axes, INK, Svg};
use see::picture::{COLOURS, Chart, lines};
use serde_json::json;
use tensor::{Array, Tensor, Var};
use train::Result;

use super::{Bench, Experiment, Findings, line, smooth};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "optimizers",
    about: "gradient descent, momentum, RMSProp, Adam, L-BFGS and Newton on one surface; SGD to AdamW on one net",
    make,
};

/// Where all begin, and what the surface covers.
const START: [f64; 2] = [1.0, 1.5];
const X: [f64; 2] = [-1.0, 4.0];
const Y: [f64; 2] = [-1.5, 2.5];
const STEPS: usize = 400;

/// Beale's function, whose only minimum is 0 at (3, 0.5), as a graph.
fn beale(at: &Tensor) -> Tensor {
    let (x, y) = (at.narrow(0, 0..1), at.narrow(0, 1..2));
    let part = |constant: f64, power: i32| {
        let mut product = y.clone();
        (1..power).for_each(|_| product = &product * &y);
        let residual = constant - &x + &x * product;
        &residual * &residual
    };
    (part(1.5, 1) + part(2.25, 2) + part(2.625, 3)).sum(..)
}

/// The same by hand, for the picture and for the methods that are no graphs: value, gradient, Hessian.
fn beale_by_hand([x, y]: [f64; 2]) -> (f64, [f64; 2], [f64; 4]) {
    let (mut value, mut gradient, mut hessian) = (0.0, [0.0; 2], [0.0; 4]);
    for (constant, power) in [(1.5, 1), (2.25, 2), (2.625, 3)] {
        let residual = constant - x + x * y.powi(power);
        let n = f64::from(power);
        let (dx, dy) = (y.powi(power) - 1.0, n * x * y.powi(power - 1));
        let (dxy, dyy) = (n * y.powi(power - 1), if power > 1 { n * (n - 1.0) * x * y.powi(power - 2) } else { 0.0 });
        value += residual * residual;
        gradient[0] += 2.0 * residual * dx;
        gradient[1] += 2.0 * residual * dy;
        hessian[0] += 2.0 * dx * dx;
        hessian[1] += 2.0 * (dx * dy + residual * dxy);
        hessian[3] += 2.0 * (dy * dy + residual * dyy);
    }
    hessian[2] = hessian[1];
    (value, gradient, hessian)
}

/// A way down: a name, and all points that the function was evaluated at.
struct Way {
    name: String,
    points: Vec<[f64; 2]>,
    /// Whether some were only tried, to find how far to go.
    searches: bool,
}

impl Way {
    /// The points that it came by.
    fn taken(&self) -> Vec<[f64; 2]> {
        let mut least = f64::INFINITY;
        let lower = |point: &&[f64; 2]| {
            let value = beale_by_hand(**point).0;
            let taken = !self.searches || value < least;
            least = least.min(value);
            taken
        };
        self.points.iter().filter(lower).copied().collect()
    }
}

fn ways(bench: &Bench) -> Result<Vec<Way>> {
    type Make = fn(Vec<Group>) -> Box<dyn Optimiser>;
    let methods: [(&str, f64, Make); 5] = [
        ("gradient descent", 0.01, |groups| Box::new(Sgd::new(groups, 0.0))),
        ("momentum 0.9", 0.002, |groups| Box::new(Sgd::new(groups, 0.9))),
        ("Nesterov 0.9", 0.002, |groups| Box::new(Sgd::new(groups, 0.9).nesterov(true))),
        ("RMSProp", 0.01, |groups| Box::new(RmsProp::new(groups, 0.0, false))),
        ("Adam", 0.1, |groups| Box::new(Adam::new(groups))),
    ];
    let mut ways = Vec::new();
    for (name, rate, make) in methods {
        let shape = *Tensor::from_vec(START.to_vec(), [2]).shape();
        let place = Var::new("place", Array::of(shape, START.to_vec()));
        let optimiser = make(vec![Group::new(vec![place.clone()])]);
        let mut points = vec![START];
        for _ in 0..STEPS {
            let at = place.tensor();
            let gradients = beale(&at).grad([&at]);
            bench.cpu.run(&[], &optimiser.step(&gradients, rate))?;
            if let Some(&[x, y]) = place.value().as_slice::<f64>() {
                points.push([x, y]);
            }
        }
        ways.push(Way { name: format!("{name}, rate {rate}"), points, searches: false });
    }
    let mut points = Vec::new();
    lbfgs(&START, &Lbfgs::default(), &mut |at| {
        let (value, gradient, _) = beale_by_hand([at[0], at[1]]);
        points.push([at[0], at[1]]);
        (value, gradient.to_vec())
    });
    ways.push(Way { name: "L-BFGS".to_owned(), points, searches: true });
    let mut points = Vec::new();
    newton(&START, &Newton::default(), &mut |at| {
        let (value, gradient, hessian) = beale_by_hand([at[0], at[1]]);
        points.push([at[0], at[1]]);
        (value, gradient.to_vec(), hessian.to_vec())
    });
    ways.push(Way { name: "Newton".to_owned(), points, searches: true });
    Ok(ways)
}

fn make(bench: &mut Bench) -> Result<Findings> {
    let ways = ways(bench)?;
    let (mut words, mut numbers) = (Vec::new(), Vec::new());
    let mut descent = Chart {
        title: "the surface: value after each evaluation".to_owned(),
        x: "evaluations".to_owned(),
        log_x: true,
        log_y: true,
        ..Chart::default()
    };
    for (colour, way) in ways.iter().enumerate() {
        let value = |&point: &[f64; 2]| beale_by_hand(point).0;
        let values: Vec<[f64; 2]> =
            way.points.iter().enumerate().map(|(at, point)| [at as f64 + 1.0, value(point)]).collect();
        let below = values.iter().find(|point| point[1] < 1e-6).map(|point| point[0] as usize);
        let last = values.last().map_or(f64::NAN, |point| point[1]);
        words.push(match below {
            Some(count) => format!("{:28} below 1e-6 after {count} evaluations", way.name),
            None => format!("{:28} at {last:.1e} after {} evaluations", way.name, values.len()),
        });
        numbers.push(json!({ "on": "surface", "method": way.name, "evaluations_to_1e-6": below, "value": last }));
        descent.lines.push(line(way.name.clone(), values, colour, false));
    }
    let mut charts = [
        descent,
        Chart { title: "a net: loss of training".to_owned(), x: "steps".to_owned(), log_y: true, ..Chart::default() },
        Chart { title: "a net: accuracy on validation rows".to_owned(), x: "steps".to_owned(), ..Chart::default() },
    ];
    let nets = [
        ("SGD, rate 0.1", "sgd", "0.1", "0"),
        ("momentum 0.9, rate 0.03", "sgd", "0.03", "0.9"),
        ("Adam, rate 0.002", "adam", "0.002", "0"),
        ("AdamW, rate 0.002, decay 0.1", "adamw", "0.002", "0"),
    ];
    for (colour, (name, optimizer, rate, momentum)) in nets.into_iter().enumerate() {
        let decay = if optimizer == "adamw" { "0.1" } else { "0" };
        let settings = [
            ("train.optimizer", optimizer),
            ("train.lr", rate),
            ("train.momentum", momentum),
            ("train.weight_decay", decay),
            ("train.schedule", "constant"),
            ("train.epochs", "12"),
        ];
        let trained = bench.train(&format!("net-{}", colour + 1), "dense", &settings)?;
        let losses = trained.curve("step", "loss");
        charts[1].lines.push(line(name, smooth(&losses, losses.len() / 120), colour, false));
        charts[2].lines.push(line(name, trained.curve("epoch", "val_accuracy"), colour, false));
        words.push(format!("on the net, {name}: validation accuracy {}", trained.said("val_accuracy")));
        numbers.push(json!({ "on": "net", "method": name, "val_accuracy": trained.last("val_accuracy"), "diverged": trained.diverged.is_some() }));
    }
    let pictures = vec![
        ("surface.svg", draw_surface(&ways)?),
        ("optimizers.svg", lines("Optimisers, on a surface and on a net", &charts)),
    ];
    Ok(Findings { words, numbers: json!(numbers), pictures })
}

/// The surface, dark where it is low, and the ways over it.
fn draw_surface(ways: &[Way]) -> Result<String> {
    let axes = Axes { place: [60.0, 60.0, 640.0, 512.0], x: X, y: Y };
    let mut svg = Svg::new(960.0, 620.0, "system-ui, sans-serif", "#ffffff");
    svg.words(24.0, 34.0, 17.0, r#"font-weight="600""#, "Ways down Beale's function, whose minimum is at (3, 0.5)");
    let (width, height) = (160, 128);
    let image = Image::from_fn(1, height, width, |_, row, column| {
        let share = |at: usize, of: usize, [from, to]: [f64; 2]| from + (to - from) * (at as f64 + 0.5) / of as f64;
        let value = beale_by_hand([share(column, width, X), share(height - 1 - row, height, Y)]).0;
        // Bands of half a decade, like the lines of a map.
        let level = ((value.max(1e-4).log10() + 4.0) / 9.0).clamp(0.0, 1.0);
        let bands = (level * 18.0).floor() / 18.0;
        (0.45 + 0.55 * bands) as f32
    });
    svg.picture(axes.place, &image)?;
    let ticks = |from: i32, to: i32| (from..=to).map(|at| (f64::from(at), at.to_string())).collect::<Vec<_>>();
    axes.frame(&mut svg, &ticks(-1, 4), &ticks(-1, 2));
    for (place, way) in ways.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<[f64; 2]> = way.taken().iter().map(|&[x, y]| axes.at(x, y)).collect();
        svg.path(&points, colour, 1.8, r#"stroke-opacity="0.9""#);
        for [x, y] in points.iter().step_by(points.len().div_ceil(40)) {
            svg.raw(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.2" fill="{colour}"/>"#));
        }
        let y = 80.0 + 22.0 * place as f64;
        svg.path(&[[724.0, y - 4.0], [750.0, y - 4.0]], colour, 2.6, "");
        svg.words(758.0, y, 12.5, "", &way.name);
    }
    for ([x, y], word) in [(START, "start"), ([3.0, 0.5], "minimum")] {
        let [x, y] = axes.at(x, y);
        svg.raw(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="none" stroke="{INK}" stroke-width="1.5"/>"#));
        svg.words(x + 9.0, y - 8.0, 12.0, r#"font-weight="600""#, word);
    }
    Ok(svg.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_is_what_was_written_by_hand_and_so_are_the_derivatives() {
        let cpu = cpu::Cpu::new(1).unwrap();
        for point in [START, [3.0, 0.5], [-0.5, 2.0]] {
            let at = Tensor::from_vec(point.to_vec(), [2]);
            let value = beale(&at);
            let gradient = value.grad([&at]).remove(0);
            let second = |n: usize| gradient.narrow(0, n..n + 1).sum(..).grad([&at]).remove(0);
            let found = cpu.run(&[&value, &gradient, &second(0), &second(1)], &[]).unwrap();
            let (value, gradient, hessian) = beale_by_hand(point);
            let expected = [&[value][..], &gradient, &hessian].concat();
            let found: Vec<f64> = found.iter().flat_map(|array| array.as_slice::<f64>().unwrap().to_vec()).collect();
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - expected).abs() <= 1e-11 * (1.0 + expected.abs()),
                    "{point:?}: {found} and {expected}"
                );
            }
        }
    }
}
