//! Pooling: maximum and mean of windows, one image plane at a time.

use tensor::op::Pool;
use tensor::real::Real;
use tensor::{DType, Shape};

use super::Context;
use super::windows::{Least, largest};
use crate::exec::memory::Plain;

/// Sizes of the planes: spatial sizes of the larger and of the pooled side.
pub(super) struct Planes {
    pub size: [usize; 3],
    pub windows: [usize; 3],
}

impl Planes {
    fn new(large: &Shape, pooled: &Shape) -> Planes {
        let spatial = |shape: &Shape| std::array::from_fn(|i| shape.get(2 + i).copied().unwrap_or(1));
        Planes { size: spatial(large), windows: spatial(pooled) }
    }

    fn plane(&self) -> usize {
        self.size.iter().product()
    }

    fn pooled(&self) -> usize {
        self.windows.iter().product()
    }
}

/// Whether x takes the place of the best so far: NaN beats numbers, the first wins.
#[inline(always)]
#[allow(clippy::eq_op)]
pub(super) fn beats<T: PartialOrd + Copy>(x: T, best: T) -> bool {
    // Without branches, so that loops over it become vector code.
    (x > best) | ((x != x) & (best == best))
}

/// Calls `row(first window, largest values, their positions)` for the windows of a plane, whatever they are: see [`largest`].
#[inline(always)]
fn each_row<T: Least>(
    context: &Context<'_>,
    pool: &Pool,
    planes: &Planes,
    x: &[T],
    row: impl FnMut(usize, &[T], &[u32]),
) {
    let mut room = Vec::new();
    context.machine.simd.run(
        #[inline(always)]
        || largest(pool, planes, x, &mut room, row),
    );
}

/// 2 x 2 windows side by side over a plane: the usual case.
fn is_two_by_two(pool: &Pool, planes: &Planes) -> bool {
    // The spatial axes stand first in the geometry of the op.
    pool.spatial == 2
        && pool.kernel[..2] == [2, 2]
        && pool.stride[..2] == [2, 2]
        && pool.padding == [0; 3]
        && pool.dilation[..2] == [1, 1]
        && planes.windows[0] * 2 <= planes.size[0]
        && planes.windows[1] * 2 <= planes.size[1]
}

/// Windows compared side by side: the compiler takes pairs apart by whole vectors for 8 of them, not for 16.
const SIDE: usize = 8;

/// Calls `row(first window, first position, maxima, the places of four that they stand at)` for 2 x 2 windows side by side, all
/// over a plane.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn two_by_two<T: Least + Default>(
    planes: &Planes,
    x: &[T],
    mut row: impl FnMut(usize, usize, &[T; SIDE], &[u32; SIDE]),
) {
    let (width, across) = (planes.size[1], planes.windows[1]);
    for h in 0..planes.windows[0] {
        for first in (0..across).step_by(SIDE) {
            let start = 2 * h * width + 2 * first;
            let mut values = [[T::default(); SIDE]; 4];
            for (line, values) in values.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                // Whole vectors wherever the plane goes on: what is read too much is not used.
                let pairs = x[start + line * width..].as_chunks::<2>().0;
                if let Some(pairs) = pairs.first_chunk::<SIDE>() {
                    for w in 0..SIDE {
                        [values[0][w], values[1][w]] = pairs[w];
                    }
                } else {
                    for (w, pair) in pairs.iter().take(SIDE.min(across - first)).enumerate() {
                        [values[0][w], values[1][w]] = *pair;
                    }
                }
            }
            let (mut best, mut won) = (values[0], [0; SIDE]);
            for place in 1..4 {
                for w in 0..SIDE {
                    let wins = beats(values[place][w], best[w]);
                    best[w] = if wins { values[place][w] } else { best[w] };
                    won[w] = if wins { place as u32 } else { won[w] };
                }
            }
            row(h * across + first, start, &best, &won);
        }
    }
}

/// The windows' maxima. What is written beyond the end of a row is written again by the next.
#[inline(always)]
fn largest_of_four<T: Least + Default>(planes: &Planes, x: &[T], y: &mut [T]) {
    two_by_two(
        planes,
        x,
        #[inline(always)]
        |first, _, best, _| put(best, &mut y[first..]),
    );
}

/// Writes the results of windows side by side, up to the end of the plane.
#[inline(always)]
fn put<T: Copy>(results: &[T; SIDE], y: &mut [T]) {
    match y.first_chunk_mut::<SIDE>() {
        Some(y) => *y = *results,
        None => y.iter_mut().zip(results).for_each(|(y, result)| *y = *result),
    }
}

pub(super) fn maximum(context: &Context<'_>, pool: &Pool) -> Result<(), String> {
    fn run<T: Plain + Least + Default>(context: &Context<'_>, pool: &Pool) {
        let call = context.call;
        let planes = Planes::new(&call.inputs[0].1, &call.shape);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        let square = is_two_by_two(pool, &planes);
        context.rows(y, planes.pooled(), x.len() * 2, |image, y| {
            let x = &x[image * planes.plane()..][..planes.plane()];
            if square {
                context.machine.simd.run(
                    #[inline(always)]
                    || largest_of_four(&planes, x, y),
                );
            } else {
                each_row(
                    context,
                    pool,
                    &planes,
                    x,
                    #[inline(always)]
                    |first, best, _| y[first..][..best.len()].copy_from_slice(best),
                );
            }
        });
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, pool),
        DType::F64 => run::<f64>(context, pool),
        dtype => return Err(format!("max_pool is not defined on {dtype}")),
    }
    Ok(())
}

pub(super) fn maximum_index(context: &Context<'_>, pool: &Pool) -> Result<(), String> {
    fn run<T: Plain + Least + Default>(context: &Context<'_>, pool: &Pool) {
        let call = context.call;
        let planes = Planes::new(&call.inputs[0].1, &call.shape);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [i64] = unsafe { context.slots.write(call.output) };
        context.rows(y, planes.pooled(), x.len() * 2, |image, y| {
            let x = &x[image * planes.plane()..][..planes.plane()];
            each_row(
                context,
                pool,
                &planes,
                x,
                #[inline(always)]
                |first, _, at| y[first..].iter_mut().zip(at).for_each(|(y, at)| *y = i64::from(*at)),
            );
        });
    }
    match context.call.input_dtype {
        DType::F32 => run::<f32>(context, pool),
        DType::F64 => run::<f64>(context, pool),
        dtype => return Err(format!("max_pool_index is not defined on {dtype}")),
    }
    Ok(())
}

/// Writes what comes back from each of the 2 x 2 windows of a plane at the place of its maximum, and zeros at the other three.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn adjoint_of_four<T: Least + Real + Default>(planes: &Planes, x: &[T], g: &[T], dx: &mut [T]) {
    let (width, across) = (planes.size[1], planes.windows[1]);
    two_by_two(
        planes,
        x,
        #[inline(always)]
        |first, start, _, won| {
            // (0 + g, as sums do: -0 becomes 0.)
            let mut back = [T::ZERO; SIDE];
            match g[first..].first_chunk::<SIDE>() {
                Some(g) => (0..SIDE).for_each(|w| back[w] = T::ZERO + g[w]),
                None => back.iter_mut().zip(&g[first..]).for_each(|(back, g)| *back = T::ZERO + *g),
            }
            let here = SIDE.min(across - first % across);
            for line in 0..2 {
                let mut pairs = [[T::ZERO; 2]; SIDE];
                for w in 0..SIDE {
                    for column in 0..2 {
                        pairs[w][column] = if won[w] == (2 * line + column) as u32 { back[w] } else { T::ZERO };
                    }
                }
                let to = dx[start + line * width..].as_chunks_mut::<2>().0;
                match to.first_chunk_mut::<SIDE>() {
                    Some(to) if here == SIDE => *to = pairs,
                    _ => to.iter_mut().zip(&pairs[..here]).for_each(|(to, pair)| *to = *pair),
                }
            }
        },
    );
}

pub(super) fn maximum_adjoint(context: &Context<'_>, pool: &Pool) -> Result<(), String> {
    fn run<T: Plain + Least + Real + Default + Sync>(context: &Context<'_>, pool: &Pool) {
        let call = context.call;
        let planes = Planes::new(&call.shape, &call.inputs[1].1);
        let [x, g]: [&[T]; 2] = [0, 1].map(|input| context.input(input));
        // SAFETY: this step writes its output.
        let dx: &mut [T] = unsafe { context.slots.write(call.output) };
        let square = is_two_by_two(pool, &planes);
        let work = dx.len() * 2;
        context.rows(dx, planes.plane(), work, |image, dx| {
            let x = &x[image * planes.plane()..][..planes.plane()];
            let g = &g[image * planes.pooled()..][..planes.pooled()];
            dx.fill(T::ZERO);
            if square {
                context.machine.simd.run(
                    #[inline(always)]
                    || adjoint_of_four(&planes, x, g, dx),
                );
            } else {
                each_row(
                    context,
                    pool,
                    &planes,
                    x,
                    #[inline(always)]
                    |first, _, at| {
                        for (&at, &g) in at.iter().zip(&g[first..]) {
                            dx[at as usize] = dx[at as usize] + g;
                        }
                    },
                );
            }
        });
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, pool),
        DType::F64 => run::<f64>(context, pool),
        dtype => return Err(format!("max_pool_input is not defined on {dtype}")),
    }
    Ok(())
}

/// Along one axis: the positions of each window (end exclusive), and how many count in its mean.
fn spans(pool: &Pool, planes: &Planes, axis: usize) -> Vec<(usize, usize, usize)> {
    let span = |window: usize| {
        let (first, end, padded) = pool.window(axis, window, planes.size[axis]);
        let end = end.max(first);
        (first, end, if pool.count_include_pad { padded } else { end - first })
    };
    (0..planes.windows[axis]).map(span).collect()
}

/// The windows of a plane, row by row along the innermost axis, as means see them: the same for every plane.
struct Means<T> {
    rows: Vec<MeanRow<T>>,
    taps: Vec<Tap>,
    stride: usize,
}

/// A row of windows.
struct MeanRow<T> {
    windows: std::ops::Range<usize>,
    /// Where the rows of positions that they see begin, in order.
    starts: Vec<usize>,
    divisors: Vec<T>,
}

/// A place in a window along the innermost axis.
struct Tap {
    /// The windows of a row for which it lies in the plane,
    windows: std::ops::Range<usize>,
    /// and the position of the first of them.
    first: usize,
}

impl<T: Real> Means<T> {
    fn new(pool: &Pool, planes: &Planes) -> Means<T> {
        // The spatial axes stand first in the geometry of the op.
        let inner = (pool.spatial as usize).saturating_sub(1);
        let spans: [_; 3] = std::array::from_fn(|axis| spans(pool, planes, axis));
        let [kernel, stride, padding] = [pool.kernel, pool.stride, pool.padding].map(|of| of[inner] as usize);
        let (length, across) = (planes.size[inner], planes.windows[inner]);
        let row = |number: usize| {
            // Along each outer axis: the positions, and how many count.
            let (mut places, mut rest) = ([(0, 0, 0); 3], number);
            for axis in (0..inner).rev() {
                places[axis] = spans[axis][rest % planes.windows[axis]];
                rest /= planes.windows[axis];
            }
            let mut starts = vec![0];
            for (&size, &(first, end, _)) in planes.size.iter().zip(&places[..inner]) {
                starts = starts.iter().flat_map(|at| (first..end).map(move |p| at * size + p)).collect();
            }
            starts.iter_mut().for_each(|at| *at *= length);
            let counted: usize = places[..inner].iter().map(|place| place.2).product();
            let divisor = |&(first, end, here): &(usize, usize, usize)| {
                // A window that holds no position divides by 1.
                let any = !starts.is_empty() && end > first;
                T::from_f64(if any { (counted * here) as f64 } else { 1.0 })
            };
            let divisors = spans[inner].iter().map(divisor).collect();
            MeanRow { windows: number * across..(number + 1) * across, starts, divisors }
        };
        let tap = |tap: usize| {
            let first = padding.saturating_sub(tap).div_ceil(stride);
            let end = (length + padding).saturating_sub(tap).div_ceil(stride).min(across);
            Tap { windows: first..end.max(first), first: first * stride + tap - padding.min(first * stride + tap) }
        };
        let rows = (0..planes.windows[..inner].iter().product()).map(row).collect();
        Means { rows, taps: (0..kernel).map(tap).filter(|tap| !tap.windows.is_empty()).collect(), stride }
    }
}

/// `to[w] += from[stride w]`.
#[inline(always)]
fn add_strided<T: Real>(to: &mut [T], from: &[T], stride: usize) {
    match stride {
        1 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from),
        2 => to.iter_mut().zip(from.chunks(2)).for_each(|(to, from)| *to = *to + from[0]),
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *to + *from),
    }
}

pub(super) fn mean(context: &Context<'_>, pool: &Pool) -> Result<(), String> {
    fn run<T: Plain + Real + Sync>(context: &Context<'_>, pool: &Pool) {
        let call = context.call;
        let planes = Planes::new(&call.inputs[0].1, &call.shape);
        let means = Means::<T>::new(pool, &planes);
        let x: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let y: &mut [T] = unsafe { context.slots.write(call.output) };
        context.rows(y, planes.pooled(), x.len() * 2, |image, y| {
            let x = &x[image * planes.plane()..][..planes.plane()];
            context.machine.simd.run(
                #[inline(always)]
                || {
                    for row in &means.rows {
                        let y = &mut y[row.windows.clone()];
                        y.fill(T::ZERO);
                        // Position after position of each window, in order.
                        for &start in &row.starts {
                            for tap in &means.taps {
                                add_strided(&mut y[tap.windows.clone()], &x[start + tap.first..], means.stride);
                            }
                        }
                        y.iter_mut().zip(&row.divisors).for_each(|(y, divisor)| *y = *y / *divisor);
                    }
                },
            );
        });
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, pool),
        DType::F64 => run::<f64>(context, pool),
        dtype => return Err(format!("avg_pool is not defined on {dtype}")),
    }
    Ok(())
}

pub(super) fn mean_adjoint(context: &Context<'_>, pool: &Pool) -> Result<(), String> {
    fn run<T: Plain + Real + Sync>(context: &Context<'_>, pool: &Pool) {
        let call = context.call;
        let planes = Planes::new(&call.shape, &call.inputs[0].1);
        let means = Means::<T>::new(pool, &planes);
        let dy: &[T] = context.input(0);
        // SAFETY: this step writes its output.
        let dx: &mut [T] = unsafe { context.slots.write(call.output) };
        let work = dx.len() * 2;
        context.rows(dx, planes.plane(), work, |image, dx| {
            let dy = &dy[image * planes.pooled()..][..planes.pooled()];
            dx.fill(T::ZERO);
            context.machine.simd.run(
                #[inline(always)]
                || {
                    for row in &means.rows {
                        let dy = &dy[row.windows.clone()];
                        for &start in &row.starts {
                            // The last tap first: a position then gets the shares of its windows in their order.
                            for tap in means.taps.iter().rev() {
                                let shares = dy[tap.windows.clone()].iter().zip(&row.divisors[tap.windows.clone()]);
                                let to = dx[start + tap.first..].iter_mut().step_by(means.stride);
                                to.zip(shares).for_each(|(dx, (dy, divisor))| *dx = *dx + *dy / *divisor);
                            }
                        }
                    }
                },
            );
        });
    }
    match context.call.dtype {
        DType::F32 => run::<f32>(context, pool),
        DType::F64 => run::<f64>(context, pool),
        dtype => return Err(format!("avg_pool_input is not defined on {dtype}")),
    }
    Ok(())
}
