//! Convolution and its two adjoints, as matrix products over virtual im2col matrices.
//!
//! The order of every sum is fixed, and is the specification. All are chains of `sum = fma(w or dy, x or dy, sum)` from
//! zero; a place outside the image is a term with the factor 0, not a term left out (but for the shapes of
//! [`winograd::suits`], which have an algorithm and bits of their own):
//! - forward: `y[n, o, p]` = chain over k = (c, kd, kh, kw), row-major within the group, of
//!   `w[o, c, kd, kh, kw]`, `x[n, c, p * stride + (kd, kh, kw) * dilation - padding]`;
//! - input gradient, which is also the transposed convolution: `dx[n, c, q]` = chain over k = (o, kd, kh, kw) of
//!   `w[o, c, kd, kh, kw]`, `dy[n, o, (q + padding - (kd, kh, kw) * dilation) / stride]`, over those k where this is whole;
//! - weight gradient: `dw[o, c, kd, kh, kw]` = chain over k = (n, od, oh, ow) of `dy[n, o, p]`,
//!   `x[n, c, p * stride + (kd, kh, kw) * dilation - padding]`.

mod canvas;
mod depthwise;
mod direct;
mod drawn;
mod geometry;
mod im2col;
mod phases;
mod places;
mod read;
mod weights;
mod wide;
mod winograd;

use crate::gemm::{Epilogue, Job, Panels, Strided, finish, run};
use crate::machine::Machine;
use crate::pool::Disjoint;
use canvas::Canvas;
use direct::Direct;
pub use geometry::{ConvError, ConvGeometry};
use im2col::{Patches, PatchesAcross};
use places::Places;
pub use wide::{conv_forward_f64, conv_input_gradient_f64, conv_weight_gradient_f64};
pub use winograd::{ERROR as WINOGRAD_ERROR, suits as uses_winograd};

/// y = conv(x, w), then `epilogue` on each finished tile: its batch item is (sample, group), its rows are the output
/// channels of the group, its columns the output positions.
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
    if depthwise::suits(geometry) {
        depthwise::forward(machine, geometry, x, w, y);
        finish_if(machine, y, outputs, positions, epilogue);
        return Ok(());
    }
    let weights = Strided {
        data: w,
        batch_stride: outputs * k,
        lane_stride: k,
        k_inner: k.max(1),
        k_inner_stride: 1,
        k_outer_stride: 0,
    };
    if positions > 0 && k > 0 {
        let direct = Direct {
            canvas: Canvas::forward(geometry, true),
            source: x,
            items: geometry.batch * geometry.groups,
            groups: geometry.groups,
            channels,
            rows: outputs,
            weights,
            epilogue,
        };
        if direct.suits(machine) {
            direct.run(machine, y);
            return Ok(());
        }
    }
    let items = geometry.batch * geometry.groups;
    let y = Disjoint::new(y);
    let product = |b: &dyn Panels| {
        let job = Job {
            batch: items,
            m: outputs,
            n: positions,
            k,
            a: &weights,
            a_period: geometry.groups,
            b,
            c: y,
            c_row_stride: positions,
            c_batch_stride: outputs * positions,
            accumulate: false,
            epilogue,
        };
        run(machine, &job);
    };
    let few = drawn::are_few(geometry);
    if few || drawn::suits(geometry) {
        let patches = Patches { places: Places::forward(geometry), source: x, channels };
        drawn::with_drawn(machine, &patches, (items, k, positions), drawn::is_small(geometry), |patches| {
            if few { drawn::few(machine, geometry, w, &patches, y, epilogue) } else { product(&patches) }
        });
        return Ok(());
    }
    product(patches(geometry, x, channels, Places::forward).as_ref());
    Ok(())
}

/// dx = the adjoint of the convolution applied to dy: the gradient for x, and the transposed convolution. Tiles of the
/// epilogue: batch item (sample, group), rows the input channels of the group, columns the input positions.
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
    if phases::suits(geometry) {
        phases::input_gradient(machine, geometry, w, dy, dx, epilogue);
        return Ok(());
    }
    if depthwise::suits(geometry) {
        depthwise::input_gradient(machine, geometry, w, dy, dx);
        finish_if(machine, dx, channels, positions, epilogue);
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
    if positions > 0 && taps > 0 {
        let direct = Direct {
            canvas: Canvas::backward(geometry),
            source: dy,
            items: geometry.batch * geometry.groups,
            groups: geometry.groups,
            channels: outputs,
            rows: channels,
            weights,
            epilogue,
        };
        if direct.suits(machine) {
            direct.run(machine, dx);
            return Ok(());
        }
    }
    let patches = patches(geometry, dy, outputs, Places::backward);
    let job = Job {
        batch: geometry.batch * geometry.groups,
        m: channels,
        n: positions,
        k: outputs * taps,
        a: &weights,
        a_period: geometry.groups,
        b: patches.as_ref(),
        c: Disjoint::new(dx),
        c_row_stride: positions,
        c_batch_stride: channels * positions,
        accumulate: false,
        epilogue,
    };
    run(machine, &job);
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
        b: &PatchesAcross { places: Places::forward(geometry), source: x, channels, all_channels: geometry.channels },
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

/// The matrix of patches of `source`, with `channels` channels in a group. Where each patch is a single position, that
/// is the source itself.
fn patches<'a>(
    geometry: &ConvGeometry,
    source: &'a [f32],
    channels: usize,
    places: fn(&ConvGeometry) -> Places,
) -> Box<dyn Panels + 'a> {
    let ConvGeometry { input, kernel, output, stride, padding, .. } = *geometry;
    if kernel == [1; 3] && stride == [1; 3] && padding == [0; 3] && input == output {
        let positions = geometry.input_positions();
        return Box::new(Strided {
            data: source,
            batch_stride: channels * positions,
            lane_stride: 1,
            k_inner: channels.max(1),
            k_inner_stride: positions,
            k_outer_stride: channels.max(1) * positions,
        });
    }
    Box::new(Patches { places: places(geometry), source, channels })
}

#[cfg(test)]
mod tests;
