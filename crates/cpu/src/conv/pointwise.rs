//! 1 x 1 kernels with a stride: the positions that are looked at are copied side by side, and what remains is a product
//! of matrices in memory.

use super::canvas::each;
use super::{ConvError, ConvGeometry, conv_forward, conv_input_gradient, conv_weight_gradient};
use crate::gemm::{Epilogue, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;

/// Whether this room serves the convolution and its adjoints.
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    let ConvGeometry { kernel, stride, padding, .. } = *geometry;
    kernel == [1; 3] && stride != [1; 3] && padding == [0; 3] && geometry.group_channels() > 1
}

/// The same convolution without a stride, of the copied positions.
fn dense(geometry: &ConvGeometry) -> ConvGeometry {
    ConvGeometry { input: geometry.output, stride: [1; 3], ..*geometry }
}

pub(super) fn forward(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    copied(machine, geometry, x, |x| conv_forward(machine, &dense(geometry), x, w, y, epilogue))
}

pub(super) fn weight_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    copied(machine, geometry, x, |x| conv_weight_gradient(machine, &dense(geometry), x, dy, dw, epilogue))
}

pub(super) fn input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) -> Result<(), ConvError> {
    let (from, to) = (geometry.output_positions(), geometry.input_positions());
    let (channels, planes) = (geometry.group_channels(), geometry.batch * geometry.channels);
    with_scratch(planes * from, |seen| {
        conv_input_gradient(machine, &dense(geometry), w, dy, seen, None)?;
        let seen = &*seen;
        let all = Disjoint::new(dx);
        each(machine, planes, to, |plane| {
            // SAFETY: the planes of different units are apart.
            let target = unsafe { all.slice(plane * to, to) };
            target.fill(0.0);
            rows(geometry, |output, input| {
                let row = &seen[plane * from + output..][..geometry.output[2]];
                for (to, from) in target[input..].iter_mut().step_by(geometry.stride[2]).zip(row) {
                    *to = *from;
                }
            });
            if let Some(epilogue) = epilogue {
                let (item, row) = (plane / channels, plane % channels);
                // SAFETY: this unit alone touches the plane, and the slice above is not used any more.
                epilogue(unsafe { Tile::new(all, channels * to, to, item, (row, row + 1), (0, to)) });
            }
        });
        Ok(())
    })
}

/// Lends the positions of x that are looked at.
fn copied<T>(machine: &Machine, geometry: &ConvGeometry, x: &[f32], task: impl FnOnce(&[f32]) -> T) -> T {
    let (from, to) = (geometry.input_positions(), geometry.output_positions());
    let planes = geometry.batch * geometry.channels;
    with_scratch(planes * to, |seen| {
        let all = Disjoint::new(seen);
        each(machine, planes, from, |plane| {
            // SAFETY: the planes of different units are apart.
            let target = unsafe { all.slice(plane * to, to) };
            rows(geometry, |output, input| {
                let row = x[plane * from + input..].iter().step_by(geometry.stride[2]);
                target[output..][..geometry.output[2]].iter_mut().zip(row).for_each(|(to, from)| *to = *from);
            });
        });
        task(&*seen)
    })
}

/// Where each row of outputs begins, and its inputs.
fn rows(geometry: &ConvGeometry, mut row: impl FnMut(usize, usize)) {
    let ConvGeometry { input, output, stride, .. } = *geometry;
    for depth in 0..output[0] {
        for height in 0..output[1] {
            row(
                (depth * output[1] + height) * output[2],
                (depth * stride[0] * input[1] + height * stride[1]) * input[2],
            );
        }
    }
}
