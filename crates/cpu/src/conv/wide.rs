//! Convolution in f64: the specification as plain loops, one output plane a unit.

use super::places::{OUTSIDE, Places, coordinates};
use super::{ConvError, ConvGeometry};
use crate::machine::Machine;

/// y = conv(x, w) in f64.
pub fn conv_forward_f64(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f64],
    w: &[f64],
    y: &mut [f64],
) -> Result<(), ConvError> {
    geometry.check([("x", x.len()), ("w", w.len()), ("y", y.len())])?;
    let (outputs, channels, taps) = (geometry.group_outputs(), geometry.group_channels(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let table = table(&Places::forward(geometry));
    machine.pool.chunks(y, positions, |unit, y| {
        let (sample, output) = (unit / geometry.outputs, unit % geometry.outputs);
        let first = sample * geometry.channels + output / outputs * channels;
        y.fill(0.0);
        for channel in 0..channels {
            let x = &x[(first + channel) * plane..][..plane];
            let w = &w[(output * channels + channel) * taps..][..taps];
            add(&table, w, x, y);
        }
    });
    Ok(())
}

/// dx = the adjoint of the convolution applied to dy, in f64.
pub fn conv_input_gradient_f64(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f64],
    dy: &[f64],
    dx: &mut [f64],
) -> Result<(), ConvError> {
    geometry.check([("dx", dx.len()), ("w", w.len()), ("dy", dy.len())])?;
    let (outputs, channels, taps) = (geometry.group_outputs(), geometry.group_channels(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let mut table = table(&Places::backward(geometry));
    leave_out(geometry, &mut table);
    machine.pool.chunks(dx, plane, |unit, dx| {
        let (sample, channel) = (unit / geometry.channels, unit % geometry.channels);
        let first = channel / channels * outputs;
        dx.fill(0.0);
        for output in first..first + outputs {
            let dy = &dy[(sample * geometry.outputs + output) * positions..][..positions];
            let w = &w[(output * channels + channel % channels) * taps..][..taps];
            add(&table, w, dy, dx);
        }
    });
    Ok(())
}

/// dw = the gradient for w, in f64.
pub fn conv_weight_gradient_f64(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f64],
    dy: &[f64],
    dw: &mut [f64],
) -> Result<(), ConvError> {
    geometry.check([("x", x.len()), ("dw", dw.len()), ("dy", dy.len())])?;
    let (outputs, channels, taps) = (geometry.group_outputs(), geometry.group_channels(), geometry.taps());
    let (plane, positions) = (geometry.input_positions(), geometry.output_positions());
    let table = table(&Places::forward(geometry));
    machine.pool.chunks(dw, taps, |unit, dw| {
        let (output, channel) = (unit / channels, unit % channels);
        let channel = output / outputs * channels + channel;
        dw.fill(0.0);
        for sample in 0..geometry.batch {
            let x = &x[(sample * geometry.channels + channel) * plane..][..plane];
            let dy = &dy[(sample * geometry.outputs + output) * positions..][..positions];
            for (places, dw) in table.iter().zip(&mut *dw) {
                for (dy, place) in dy.iter().zip(places) {
                    *dw = dy.mul_add(at(x, *place), *dw);
                }
            }
        }
    });
    Ok(())
}

/// For each kernel position, for each target position: the source position.
fn table(places: &Places) -> Vec<Vec<i32>> {
    let positions = places.target.iter().product();
    let of_tap = |tap| {
        let tap = coordinates(tap, places.kernel);
        let place = |position| places.place(coordinates(position, places.target), tap);
        (0..positions).map(|position| place(position).map_or(OUTSIDE, |at| at as i32)).collect()
    };
    (0..places.taps()).map(of_tap).collect()
}

/// A term that is not in the chain.
const LEFT_OUT: i32 = i32::MIN;

/// Marks the pairs of the input gradient that lie between output positions.
fn leave_out(geometry: &ConvGeometry, table: &mut [Vec<i32>]) {
    let ConvGeometry { input, kernel, stride, padding, dilation, .. } = *geometry;
    for (tap, places) in table.iter_mut().enumerate() {
        let tap = coordinates(tap, kernel);
        for (position, place) in places.iter_mut().enumerate() {
            let at = coordinates(position, input);
            let whole = |a: usize| (at[a] + padding[a]) % stride[a] == tap[a] * dilation[a] % stride[a];
            if !(0..3).all(whole) {
                *place = LEFT_OUT;
            }
        }
    }
}

/// One channel of the chain for every target position.
fn add(table: &[Vec<i32>], w: &[f64], source: &[f64], target: &mut [f64]) {
    for (w, places) in w.iter().zip(table) {
        for (sum, place) in target.iter_mut().zip(places) {
            if *place != LEFT_OUT {
                *sum = w.mul_add(at(source, *place), *sum);
            }
        }
    }
}

fn at(source: &[f64], place: i32) -> f64 {
    if place == OUTSIDE { 0.0 } else { source[place as usize] }
}
