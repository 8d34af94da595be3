//! Convolution and its two adjoints, as matrix products over matrices of patches, which are written out only where they are few.
//!
//! The order of every sum is fixed, and is the specification. All are chains of `sum = fma(w or dy, x or dy, sum)` from
//! zero; a place outside the image is a term with the factor 0, not a term left out (but for the shapes of
//! [`winograd::suits`], which have an algorithm and bits of their own; a single window over the whole input, outside of which
//! is nothing, never comes here: it is a matrix product):
//! - forward: `y[n, o, p]` = chain over k = (c, kd, kh, kw), row-major within the group, of
//!   `w[o, c, kd, kh, kw]`, `x[n, c, p * stride + (kd, kh, kw) * dilation - padding]`;
//! - input gradient, which is also the transposed convolution: `dx[n, c, q]` = chain over k = (o, kd, kh, kw) of
//!   `w[o, c, kd, kh, kw]`, `dy[n, o, (q + padding - (kd, kh, kw) * dilation) / stride]`, over those k where this is whole;
//! - weight gradient: `dw[o, c, kd, kh, kw]` = chain over k = (n, od, oh, ow) of `dy[n, o, p]`,
//!   `x[n, c, p * stride + (kd, kh, kw) * dilation - padding]`.

mod abreast;
mod across;
mod apart;
mod canvas;
mod correlate;
mod depthwise;
mod direct;
mod few;
mod geometry;
mod joined;
mod kernel_rows;
mod phases;
mod places;
mod pointwise;
mod shifted;
mod turned;
mod weave;
mod weights;
mod wide;
mod winograd;

use crate::gemm::{Epilogue, Job, Strided, finish, run};
use crate::machine::Machine;
use crate::pool::Disjoint;
use canvas::Canvas;
pub use geometry::{ConvError, ConvGeometry};
pub use wide::{conv_forward_f64, conv_input_gradient_f64, conv_weight_gradient_f64};
pub use winograd::{ERROR as WINOGRAD_ERROR, suits as uses_winograd};

/// y = conv(x, w), then `epilogue` on each finished tile: its batch item is (sample, group), its rows are the output
/// channels of the group, its columns the output positions. (Where groups have one input channel, rows go on into the groups behind.)
pub fn conv_forward(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    geometry.check([("x", x.len()), ("w", w.len()), ("y", y.len())])?;
    let (outputs, channels) = (geometry.group_outputs(), geometry.group_channels());
    let (k, positions) = (channels * geometry.taps(), geometry.output_positions());
    if winograd::suits(geometry) {
        winograd::Forward::new(geometry, x, w, epilogue).run(machine, y);
        return Ok(());
    }
    if pointwise::suits(geometry) {
        return pointwise::forward(machine, geometry, x, w, y, epilogue);
    }
    if depthwise::suits(geometry) {
        depthwise::forward(machine, geometry, x, w, y, epilogue);
        return Ok(());
    }
    let weights = Strided {
        data: w,
        batch_stride: outputs * k,
        lane_stride: k,
        k_inner: k.max(1),
        k_inner_stride: 1,
        k_outer_stride: k.max(1),
    };
    let chain =
        Chain { items: geometry.batch * geometry.groups, groups: geometry.groups, channels, rows: outputs, weights };
    let canvas = (!geometry.is_pointwise() && positions * k > 0).then(|| Canvas::forward(geometry, true));
    chain.run(machine, canvas, x, (k, positions), y, epilogue);
    Ok(())
}

/// dx = the adjoint of the convolution applied to dy: the gradient for x, and the transposed convolution. Tiles of the
/// epilogue: batch item (sample, group), rows the input channels of the group, columns the input positions. (Where groups have one
/// input channel, rows go on into the groups behind.)
pub fn conv_input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    geometry.check([("dx", dx.len()), ("w", w.len()), ("dy", dy.len())])?;
    let (outputs, channels) = (geometry.group_outputs(), geometry.group_channels());
    let (taps, positions) = (geometry.taps(), geometry.input_positions());
    if winograd::suits(geometry) {
        winograd::Forward::backward(geometry, w, dy, epilogue).run(machine, dx);
        return Ok(());
    }
    if pointwise::suits(geometry) {
        return pointwise::input_gradient(machine, geometry, w, dy, dx, epilogue);
    }
    if apart::suits(geometry) {
        apart::input_gradient(machine, geometry, w, dy, dx, epilogue);
        return Ok(());
    }
    if depthwise::suits(geometry) {
        depthwise::input_gradient(machine, geometry, w, dy, dx, epilogue);
        return Ok(());
    }
    if phases::suits(geometry) {
        phases::input_gradient(machine, geometry, w, dy, dx, epilogue);
        return Ok(());
    }
    let weights = Strided {
        data: w,
        batch_stride: outputs * channels * taps,
        lane_stride: taps,
        k_inner: taps.max(1),
        k_inner_stride: 1,
        k_outer_stride: channels * taps,
    };
    let items = geometry.batch * geometry.groups;
    let chain = Chain { items, groups: geometry.groups, channels: outputs, rows: channels, weights };
    let canvas = (!geometry.is_pointwise() && positions * outputs * taps > 0).then(|| Canvas::backward(geometry));
    chain.run(machine, canvas, dy, (outputs * taps, positions), dx, epilogue);
    Ok(())
}

/// dw = the gradient for w. Tiles of the epilogue: batch item the group, rows its output channels, columns (input
/// channel of the group, kernel position).
pub fn conv_weight_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    geometry.check([("x", x.len()), ("dw", dw.len()), ("dy", dy.len())])?;
    let (outputs, channels) = (geometry.group_outputs(), geometry.group_channels());
    let (columns, positions) = (channels * geometry.taps(), geometry.output_positions());
    if winograd::suits(geometry) {
        winograd::gradient(machine, geometry, x, dy, dw, epilogue);
        return Ok(());
    }
    if pointwise::suits(geometry) {
        return pointwise::weight_gradient(machine, geometry, x, dy, dw, epilogue);
    }
    if kernel_rows::suits(machine, geometry) {
        kernel_rows::gradient(machine, geometry, x, dy, dw);
        finish_if(machine, dw, outputs, columns, epilogue);
        return Ok(());
    }
    if depthwise::suits(geometry) {
        depthwise::weight_gradient(machine, geometry, x, dy, dw);
        finish_if(machine, dw, outputs, columns, epilogue);
        return Ok(());
    }
    if weights::suits(geometry) {
        weights::gradient(machine, geometry, x, dy, dw);
        finish_if(machine, dw, outputs, columns, epilogue);
        return Ok(());
    }
    if !geometry.is_pointwise() {
        across::gradient(machine, geometry, x, dy, dw, epilogue);
        return Ok(());
    }
    let pixels = Strided {
        data: x,
        batch_stride: channels * positions,
        lane_stride: positions,
        k_inner: positions.max(1),
        k_inner_stride: 1,
        k_outer_stride: geometry.channels * positions,
    };
    let job = Job {
        batch: geometry.groups,
        m: outputs,
        n: columns,
        k: geometry.batch * positions,
        a: &Strided {
            data: dy,
            batch_stride: outputs * positions,
            lane_stride: positions,
            k_inner: positions.max(1),
            k_inner_stride: 1,
            k_outer_stride: geometry.outputs * positions,
        },
        a_period: geometry.groups,
        b: &pixels,
        c: Disjoint::new(dw),
        c_row_stride: columns,
        c_batch_stride: outputs * columns,
        accumulate: false,
        epilogue,
    };
    run(machine, &job);
    Ok(())
}

fn finish_if(machine: &Machine, c: &mut [f32], rows: usize, columns: usize, epilogue: Option<Epilogue<'_, f32>>) {
    if let Some(epilogue) = epilogue {
        finish(machine, c, rows, columns, epilogue);
    }
}

/// A convolution, or an input gradient that is one: chains over (source channel, kernel position).
struct Chain<'a> {
    /// Samples times groups.
    items: usize,
    groups: usize,
    /// Channels of the source in a group.
    channels: usize,
    /// Channels of the target in a group.
    rows: usize,
    /// Lanes are target channels; k is (source channel, kernel position); matrix b is group b.
    weights: Strided<'a>,
}

impl Chain<'_> {
    /// Computes chains of `k` terms for `positions` positions, by way of a canvas if there is one: without it, `source` is
    /// the matrix of patches, if `k` is not 0.
    fn run(
        &self,
        machine: &Machine,
        canvas: Option<Canvas>,
        source: &[f32],
        (k, positions): (usize, usize),
        target: &mut [f32],
        epilogue: Option<Epilogue<'_, f32>>,
    ) {
        if let Some(canvas) = &canvas {
            if direct::suits(self, canvas, machine.pool.threads()) {
                direct::run(self, canvas, machine, source, target, epilogue);
            } else if few::suits(self, (k, positions)) {
                shifted::with_drawn(self, canvas, machine, source, |drawn| {
                    few::run(self, machine, drawn, (k, positions), target, epilogue);
                });
            } else {
                shifted::run(self, canvas, machine, source, target, epilogue);
            }
            return;
        }
        if few::suits(self, (k, positions)) {
            let pixels = few::Drawn { data: source, item_size: k * positions, width: positions };
            return few::run(self, machine, &pixels, (k, positions), target, epilogue);
        }
        if joined::suits(self, machine, (k, positions)) {
            return joined::run(self, machine, source, (k, positions), target, epilogue);
        }
        let pixels = Strided {
            data: source,
            batch_stride: self.channels * positions,
            lane_stride: 1,
            k_inner: self.channels.max(1),
            k_inner_stride: positions,
            k_outer_stride: self.channels.max(1) * positions,
        };
        let job = Job {
            batch: self.items,
            m: self.rows,
            n: positions,
            k,
            a: &self.weights,
            a_period: self.groups,
            b: &pixels,
            c: Disjoint::new(target),
            c_row_stride: positions,
            c_batch_stride: self.rows * positions,
            accumulate: false,
            epilogue,
        };
        run(machine, &job);
    }
}

#[cfg(test)]
mod tests;
