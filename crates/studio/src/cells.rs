//! Hubel and Wiesel's experiment at the page: a bar is turned and moved before the network, and its units are listened to.

use see::{Bars, Gratings, Tuning, Units, first_layer, tune};
use serde_json::{Value, json};
use tensor::{Array, DType, Shape};
use train::{Error as TrainError, Input};

use crate::bench::{Bench, Progress};
use crate::error::{Error, Result};
use crate::query::Query;
use crate::tensors::{describe, encoded, finite};

/// The bar of the tuning moves so far, in shares of half the picture.
const REACH: f64 = 0.75;
/// Neighbours that may be pooled: the answer is the largest of so many by so many.
const WINDOWS: [usize; 4] = [1, 3, 5, 7];

/// `/api/cells?run=&step=`: the layers whose units can be listened to, the usual one, and the size of the screen.
pub fn cells(bench: &mut Bench, query: &Query) -> Result<Value> {
    let answer = bench.asked(query.number("step")?, |network, _| {
        let (net, input) = (network.net(), network.input);
        let [channels, height, width] = screen(input)?;
        let layers = net.layers(&grey(&[1, channels, height, width])?)?;
        let maps = layers.iter().filter(|layer| layer.shape.len() == 4).map(|layer| {
            let side = layer.shape[2].min(layer.shape[3]);
            let windows: Vec<usize> = WINDOWS.into_iter().filter(|&window| window <= side).collect();
            json!({ "path": layer.path, "kind": layer.kind, "shape": layer.shape, "windows": windows })
        });
        let maps: Vec<Value> = maps.collect();
        let usual = first_layer(&net, input)?;
        Ok(json!({ "layers": maps, "usual": usual, "height": height, "width": width, "channels": channels }))
    })?;
    Ok(answer)
}

/// `/api/cells/tuning?run=&step=&layer=&window=`: what every unit of a layer is tuned to, by gratings that drift; and what it
/// answers to a bar at each angle and place.
pub fn tuning(bench: &mut Bench, query: &Query) -> Result<Value> {
    let window = query.number_or("window", 1usize)?;
    let answer = bench.asked(query.number("step")?, |network, progress| {
        let [_, height, width] = screen(network.input)?;
        let units = Units::new(network.net(), network.input, query.text("layer")?, &[window])?;
        check_window(&units, window)?;
        let gratings = Gratings::standard(height, width);
        let reach = (REACH * height.min(width) as f64 / 2.0).floor();
        let shifts: Vec<f64> = (0..=2 * reach as usize).map(|at| at as f64 - reach).collect();
        let bars = Bars { shifts, ..Bars::standard(height, width, 1) };
        let all = (gratings.orientations + bars.orientations) as u64;
        let mut asked = 0;
        let tuned = tune(&gratings, &mut |pictures, count| {
            // The first question is the bare grey field.
            asked += u64::from(count > 1);
            go_on(progress, asked, all)?;
            units.respond(pictures)
        })?;
        let spontaneous = units.respond(&vec![0.0; height * width])?;
        let mut to_bars = vec![Vec::with_capacity(bars.orientations * bars.shifts.len()); units.maps()];
        for orientation in 0..bars.orientations {
            go_on(progress, asked + orientation as u64, all)?;
            for row in units.respond(&bars.moving(orientation))?.chunks_exact(units.maps().max(1)) {
                row.iter().enumerate().for_each(|(unit, &answer)| to_bars[unit].push(answer as f32));
            }
        }
        let units: Vec<Value> = tuned
            .iter()
            .zip(&to_bars)
            .zip(&spontaneous)
            .map(|((tuning, bars), &grey)| described(tuning, bars, grey))
            .collect();
        Ok(json!({
            "units": units, "angles": gratings.orientations, "shifts": bars.shifts, "phases": gratings.phases,
            "thickness": bars.thickness, "contrast": bars.contrast, "layer": query.text("layer")?, "window": window,
        }))
    })?;
    Ok(answer)
}

/// `/api/cells/answer?run=&step=&layer=&window=&unit=&angle=&shift=`: the bar as it is shown, the answers of all units, and
/// the map of one. The angle is in degrees, the shift in pixels.
pub fn answer(bench: &mut Bench, query: &Query) -> Result<Value> {
    let (window, unit) = (query.number_or("window", 1usize)?, query.number_or("unit", 0usize)?);
    let (angle, shift): (f64, f64) = (query.number("angle")?, query.number("shift")?);
    let thickness: f64 = query.number_or("thickness", 2.0)?;
    let contrast: f64 = query.number_or("contrast", 2.0)?;
    if ![angle, shift, thickness, contrast].iter().all(|number| number.is_finite()) {
        return Err(Error::Asked("a bar has a finite angle, shift, thickness and contrast".to_owned()));
    }
    let answer = bench.asked(query.number("step")?, |network, _| {
        let [channels, height, width] = screen(network.input)?;
        let net = network.net();
        let units = Units::new(net, network.input, query.text("layer")?, &[window])?;
        check_window(&units, window)?;
        if unit >= units.maps() {
            return Err(Error::Missing(format!("{} has {} units, and none is {unit}", units.layer(), units.maps())));
        }
        let bars = Bars { thickness, contrast, ..Bars::standard(height, width, 1) };
        let bar = bars.picture(angle.to_radians(), shift);
        let both = [vec![0.0; height * width], bar.clone()].concat();
        let answers = units.respond(&both)?;
        let (spontaneous, answers) = answers.split_at(units.maps());
        let fed = Array::of(shape(&[1, channels, height, width])?, bar.repeat(channels));
        let map = net.activation(&fed, units.layer())?.value;
        let [_, maps, rows, columns] = map.shape().to_vec()[..] else {
            return Err(Error::Failed(format!("{} gives no maps", units.layer())));
        };
        let flat = map.as_slice::<f32>().unwrap_or_default().to_vec();
        let of_unit = Array::of(shape(&[maps, rows * columns])?, flat);
        let mut shown = describe(&of_unit, Some(unit), rows * columns)?;
        shown["shape"] = json!([rows, columns]);
        Ok(json!({
            "bar": { "f32": encoded(&bar), "shape": [height, width] }, "map": shown,
            "answers": answers.iter().map(|&answer| finite(answer)).collect::<Vec<_>>(),
            "spontaneous": spontaneous.iter().map(|&answer| finite(answer)).collect::<Vec<_>>(),
        }))
    })?;
    Ok(answer)
}

/// An error if the units have no such neighbours.
fn check_window(units: &Units, window: usize) -> Result<()> {
    if units.windows().is_empty() {
        return Err(Error::Asked(format!("{} has no {window} x {window} neighbours", units.layer())));
    }
    Ok(())
}

/// `[C, H, W]` of what the network looks at.
fn screen(input: &Input) -> Result<[usize; 3]> {
    input.shape[..].try_into().map_err(|_| Error::Asked("this network does not look at pictures".to_owned()))
}

fn shape(dims: &[usize]) -> Result<Shape> {
    Shape::new(dims).ok_or_else(|| Error::Failed(format!("{dims:?} is no shape")))
}

fn grey(dims: &[usize]) -> Result<Array> {
    Ok(Array::zeros(DType::F32, shape(dims)?))
}

/// Says how far it is; an error if nobody waits any more.
fn go_on(progress: &Progress, done: u64, of: u64) -> train::Result<()> {
    progress.rows(done as usize, of as usize);
    progress.check().map_err(|_| TrainError::usage("nobody waits for the answer", ""))
}

fn described(tuning: &Tuning, bars: &[f32], spontaneous: f64) -> Value {
    let curve: Vec<f32> = tuning.curve.iter().map(|&answer| answer as f32).collect();
    let cycle: Vec<f32> = tuning.cycle.iter().map(|&answer| answer as f32).collect();
    json!({
        "curve": encoded(&curve), "cycle": encoded(&cycle), "bars": encoded(bars), "peak": finite(tuning.peak()),
        "preferred": tuning.preferred.to_degrees(), "osi": tuning.osi, "circular_variance": tuning.circular_variance,
        "modulation": tuning.modulation, "frequency": tuning.frequency, "spontaneous": finite(spontaneous),
    })
}
