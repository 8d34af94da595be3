//! Occlusion: a window of the baseline moves over the input; a place gets the mean fall of the score over the windows on it.

use tensor::Array;
use train::Result;

use super::Options;
use super::score::{Frame, baseline, scores};
use crate::net::{Net, floats};
use crate::pca::array;

/// The map `[1, 1, ..]`.
pub(super) fn occlusion(net: &Net, x: &Array, class: usize, score: f64, options: &Options) -> Result<Array> {
    let (frame, from) = (Frame::of(x)?, baseline(x, options)?);
    let (height, width) = frame.height_width();
    let side = if options.window == 0 { (height.max(width) / 7).max(1) } else { options.window };
    let (tall, wide) = (side.min(height), side.min(width));
    let stride = (side / 2).max(1);
    let windows: Vec<(usize, usize)> = starts(height, tall, stride)
        .into_iter()
        .flat_map(|y| starts(width, wide, stride).into_iter().map(move |x| (y, x)))
        .collect();
    let (mut sums, mut counts) = (vec![0.0f64; frame.places()], vec![0.0f64; frame.places()]);
    for part in windows.chunks(options.batch.max(1)) {
        let mut rows = Vec::with_capacity(part.len() * from.len());
        for &(top, left) in part {
            let covered = |at: usize| {
                let place = at % frame.places();
                (top..top + tall).contains(&(place / width)) && (left..left + wide).contains(&(place % width))
            };
            rows.extend(floats(x).iter().enumerate().map(|(at, &x)| if covered(at) { from[at] } else { x }));
        }
        for (&(top, left), covered) in part.iter().zip(scores(net, x, rows, class, options.batch)?) {
            for y in top..top + tall {
                for x in left..left + wide {
                    sums[y * width + x] += score - covered;
                    counts[y * width + x] += 1.0;
                }
            }
        }
    }
    let dims: Vec<usize> = [1, 1].into_iter().chain(frame.spatial.iter().copied()).collect();
    array(&dims, sums.iter().zip(&counts).map(|(sum, count)| (sum / count.max(1.0)) as f32).collect())
}

/// Where windows begin: every `stride`, and one that ends at the border.
fn starts(size: usize, window: usize, stride: usize) -> Vec<usize> {
    let last = size - window;
    (0..last).step_by(stride).chain([last]).collect()
}
