//! Windows that slide over 1 to 3 spatial dimensions: maximum and mean.

use std::panic::Location;

use crate::array::{Array, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page, Pool};
use crate::real::Real;
use crate::samples;
use crate::shape::Shape;
use crate::tensor::{Inputs, Tensor, checked, provenance};

/// Largest value of each window.
pub static MAX_POOL: Page = Page {
    name: "max_pool",
    formula: "y[n, c, p] = largest x in window p; NaN if any is",
    gradient_formula: "g added where the (first) largest value stood",
    gradient: Some(|y, g| {
        let Op::MaxPool(pool) = *y.op() else { return vec![None] };
        let x = &y.inputs()[0];
        let inputs = Inputs::Two([x.clone(), g.clone()]);
        vec![Some(Tensor::node(Op::MaxPoolInput(pool), inputs, *x.shape(), x.dtype(), y.origin().location))]
    }),
    reference: |node, inputs| {
        let Op::MaxPool(pool) = *node.op() else { return Err("not max_pool".into()) };
        let best = argmax(&pool, inputs[0], node.shape())?;
        let plane: usize = inputs[0].shape()[2..].iter().product();
        let out_plane = node.shape()[2..].iter().product::<usize>().max(1);
        let from = |i: usize| i / out_plane * plane + best[i] as usize;
        let values = match inputs[0].values() {
            Values::F32(v) => Values::F32((0..best.len()).map(|i| v[from(i)]).collect()),
            Values::F64(v) => Values::F64((0..best.len()).map(|i| v[from(i)]).collect()),
            v => return Err(format!("max_pool is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::max_pool,
};

/// Where the largest value stands.
pub static MAX_POOL_INDEX: Page = Page {
    name: "max_pool_index",
    formula: "y[n, c, p] = row-major spatial index of the first largest x in window p",
    gradient_formula: "none: an index",
    gradient: Some(|_, _| vec![None]),
    reference: |node, inputs| {
        let Op::MaxPoolIndex(pool) = *node.op() else { return Err("not max_pool_index".into()) };
        Ok(Array::of(*node.shape(), argmax(&pool, inputs[0], node.shape())?))
    },
    samples: samples::max_pool_index,
};

/// Adjoint of the largest value.
pub static MAX_POOL_INPUT: Page = Page {
    name: "max_pool_input",
    formula: "dx[n, c, q] = sum over the windows p, row-major, whose first largest x stands at q, of g[n, c, p]",
    gradient_formula: "of g: what stood where the largest values are; none of x: where they stand does not change",
    gradient: Some(|dx, h| {
        let Op::MaxPoolInput(pool) = *dx.op() else { return vec![None, None] };
        let [x, g] = [0, 1].map(|input| &dx.inputs()[input]);
        let inputs = Inputs::One([x.clone()]);
        let index = Tensor::node(Op::MaxPoolIndex(pool), inputs, *g.shape(), DType::I64, dx.origin().location);
        vec![None, Some(h.flatten(2).gather(2, &index.flatten(2)).reshape(g.shape()))]
    }),
    reference: |node, inputs| {
        let Op::MaxPoolInput(pool) = *node.op() else { return Err("not max_pool_input".into()) };
        let best = argmax(&pool, inputs[0], inputs[1].shape())?;
        let values = match inputs[1].values() {
            Values::F32(g) => Values::F32(at_places(&best, g, inputs[1].shape(), node.shape())),
            Values::F64(g) => Values::F64(at_places(&best, g, inputs[1].shape(), node.shape())),
            v => return Err(format!("max_pool_input is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::max_pool_input,
};

/// Mean of each window.
pub static AVG_POOL: Page = Page {
    name: "avg_pool",
    formula: "y[n, c, p] = (sum of x in window p, row-major) / (positions counted)",
    gradient_formula: "avg_pool_input(g)",
    gradient: Some(|y, g| {
        let Op::AvgPool(pool) = *y.op() else { return vec![None] };
        let x = &y.inputs()[0];
        let op = Op::AvgPoolInput(pool);
        vec![Some(Tensor::node(op, Inputs::One([g.clone()]), *x.shape(), x.dtype(), y.origin().location))]
    }),
    reference: |node, inputs| {
        let Op::AvgPool(pool) = *node.op() else { return Err("not avg_pool".into()) };
        let values = match inputs[0].values() {
            Values::F32(v) => Values::F32(mean(&pool, v, inputs[0].shape(), node.shape())),
            Values::F64(v) => Values::F64(mean(&pool, v, inputs[0].shape(), node.shape())),
            v => return Err(format!("avg_pool is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::avg_pool,
};

/// Adjoint of the mean.
pub static AVG_POOL_INPUT: Page = Page {
    name: "avg_pool_input",
    formula: "dx[n, c, q] = sum over the windows p that hold q, row-major, of dy[n, c, p] / (positions counted in p)",
    gradient_formula: "avg_pool(g)",
    gradient: Some(|y, g| {
        let Op::AvgPoolInput(pool) = *y.op() else { return vec![None] };
        let dy = &y.inputs()[0];
        let op = Op::AvgPool(pool);
        vec![Some(Tensor::node(op, Inputs::One([g.clone()]), *dy.shape(), dy.dtype(), y.origin().location))]
    }),
    reference: |node, inputs| {
        let Op::AvgPoolInput(pool) = *node.op() else { return Err("not avg_pool_input".into()) };
        let values = match inputs[0].values() {
            Values::F32(v) => Values::F32(mean_adjoint(&pool, v, inputs[0].shape(), node.shape())),
            Values::F64(v) => Values::F64(mean_adjoint(&pool, v, inputs[0].shape(), node.shape())),
            v => return Err(format!("avg_pool_input is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*node.shape(), values))
    },
    samples: samples::avg_pool_input,
};

impl Pool {
    /// The positions of window `p` along spatial axis `axis` of size `size`: first, end, and how many count for the mean
    /// when padding counts. (Dilation is for the maximum: step by it.)
    pub fn window(&self, axis: usize, p: usize, size: usize) -> (usize, usize, usize) {
        let (kernel, padding) = (self.kernel[axis] as usize, self.padding[axis] as usize);
        let start = p * self.stride[axis] as usize;
        let span = (kernel - 1) * self.dilation[axis] as usize + 1;
        // In padded coordinates; the mean counts padding up to the right border, never what ceil mode adds beyond.
        let end = (start + span).min(size + 2 * padding);
        let first = start.max(padding) - padding;
        let last = end.saturating_sub(padding).min(size);
        (first, last, end.saturating_sub(start))
    }

    /// First position inside the input that a tap of window `p` touches: taps run from `start - padding` by dilation.
    pub fn first_tap(&self, axis: usize, p: usize) -> usize {
        let (padding, dilation) = (self.padding[axis] as usize, self.dilation[axis] as usize);
        let start = p * self.stride[axis] as usize;
        if start >= padding { start - padding } else { (dilation - (padding - start) % dilation) % dilation }
    }
}

fn spatial(shape: &Shape) -> [usize; 3] {
    std::array::from_fn(|i| shape.get(2 + i).copied().unwrap_or(1))
}

/// Each window's index of its largest value, row-major over `[N, C, ..]`.
fn argmax(pool: &Pool, x: &Array, out: &Shape) -> Result<Vec<i64>, String> {
    let (size, windows) = (spatial(x.shape()), spatial(out));
    let plane: usize = size.iter().product();
    let mut best = Vec::with_capacity(out.count());
    for image in 0..out[..2].iter().product() {
        for (pd, ph, pw) in triples(windows) {
            let taps = |axis: usize, p: usize| {
                let (_, end, _) = pool.window(axis, p, size[axis]);
                (pool.first_tap(axis, p)..end).step_by(pool.dilation[axis] as usize)
            };
            let mut found: Option<(f64, usize)> = None;
            for d in taps(0, pd) {
                for h in taps(1, ph) {
                    for w in taps(2, pw) {
                        let index = (d * size[1] + h) * size[2] + w;
                        let value = x.get_f64(image * plane + index);
                        if found.is_none_or(|(top, _)| value > top || (value.is_nan() && !top.is_nan())) {
                            found = Some((value, index));
                        }
                    }
                }
            }
            best.push(found.ok_or("a window without values")?.1 as i64);
        }
    }
    Ok(best)
}

/// Zeros of the shape `out`, with the `g` of each window added at its place.
fn at_places<T: Real>(places: &[i64], g: &[T], windows: &Shape, out: &Shape) -> Vec<T> {
    let (plane, of_windows): (usize, usize) = (out[2..].iter().product(), windows[2..].iter().product());
    let mut dx = vec![T::ZERO; out.count()];
    for (window, (&place, &g)) in places.iter().zip(g).enumerate() {
        let dx = &mut dx[window / of_windows * plane + place as usize];
        *dx = *dx + g;
    }
    dx
}

fn triples(dims: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..dims[0]).flat_map(move |d| (0..dims[1]).flat_map(move |h| (0..dims[2]).map(move |w| (d, h, w))))
}

/// Calls `f(window, position, divisor)` for each position of each window, row-major in the window.
fn each_tap(pool: &Pool, size: [usize; 3], windows: [usize; 3], mut f: impl FnMut(usize, usize, usize)) {
    for (window, (pd, ph, pw)) in triples(windows).enumerate() {
        let span: [_; 3] = std::array::from_fn(|axis| pool.window(axis, [pd, ph, pw][axis], size[axis]));
        let counted = |axis: usize| {
            let (first, last, padded) = span[axis];
            if pool.count_include_pad { padded } else { last.saturating_sub(first) }
        };
        let divisor = counted(0) * counted(1) * counted(2);
        for d in span[0].0..span[0].1 {
            for h in span[1].0..span[1].1 {
                for w in span[2].0..span[2].1 {
                    f(window, (d * size[1] + h) * size[2] + w, divisor);
                }
            }
        }
    }
}

fn mean<T: Real>(pool: &Pool, x: &[T], shape: &Shape, out: &Shape) -> Vec<T> {
    let (size, windows) = (spatial(shape), spatial(out));
    let (plane, out_plane): (usize, usize) = (size.iter().product(), windows.iter().product());
    let mut y = vec![T::ZERO; out.count()];
    for image in 0..out[..2].iter().product() {
        let (x, y) = (&x[image * plane..][..plane], &mut y[image * out_plane..][..out_plane]);
        let mut divisors = vec![1; out_plane];
        each_tap(pool, size, windows, |window, position, divisor| {
            y[window] = y[window] + x[position];
            divisors[window] = divisor;
        });
        y.iter_mut().zip(&divisors).for_each(|(y, &divisor)| *y = *y / T::from_f64(divisor as f64));
    }
    y
}

fn mean_adjoint<T: Real>(pool: &Pool, dy: &[T], shape: &Shape, out: &Shape) -> Vec<T> {
    let (size, windows) = (spatial(out), spatial(shape));
    let (plane, dy_plane): (usize, usize) = (size.iter().product(), windows.iter().product());
    let mut dx = vec![T::ZERO; out.count()];
    for image in 0..out[..2].iter().product() {
        let (dx, dy) = (&mut dx[image * plane..][..plane], &dy[image * dy_plane..][..dy_plane]);
        each_tap(pool, size, windows, |window, position, divisor| {
            dx[position] = dx[position] + dy[window] / T::from_f64(divisor as f64);
        });
    }
    dx
}

/// Geometry of a pooling window, one entry a spatial dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Size of the window.
    pub kernel: Vec<usize>,
    /// Distance between windows; PyTorch's default is the kernel.
    pub stride: Vec<usize>,
    /// Padding on both sides, at most half the kernel.
    pub padding: Vec<usize>,
    /// Distance between taps (maximum only).
    pub dilation: Vec<usize>,
    /// Round the number of windows up.
    pub ceil: bool,
    /// Whether padding counts in the mean.
    pub count_include_pad: bool,
}

impl PoolOptions {
    /// Windows of `kernel`, side by side, no padding.
    pub fn new(kernel: &[usize]) -> PoolOptions {
        PoolOptions {
            kernel: kernel.to_vec(),
            stride: kernel.to_vec(),
            padding: vec![0; kernel.len()],
            dilation: vec![1; kernel.len()],
            ceil: false,
            count_include_pad: true,
        }
    }
}

impl Tensor {
    /// Largest value of each window of `self [N, C, ..]`. Ties send the gradient to the first.
    #[track_caller]
    pub fn max_pool(&self, options: &PoolOptions) -> Tensor {
        self.pool("max_pool", options, Op::MaxPool, Location::caller())
    }

    /// Mean of each window of `self [N, C, ..]`.
    #[track_caller]
    pub fn avg_pool(&self, options: &PoolOptions) -> Tensor {
        self.pool("avg_pool", options, Op::AvgPool, Location::caller())
    }

    /// Mean over windows chosen so that the spatial sizes become `sizes`: window i covers
    /// `floor(i size / out) .. ceil((i + 1) size / out)`, as in PyTorch.
    #[track_caller]
    pub fn adaptive_avg_pool(&self, sizes: &[usize]) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        if self.rank() != sizes.len() + 2 || sizes.contains(&0) || self.dims()[2..].contains(&0) {
            let message = format!("sizes {sizes:?} for {}", self.shape());
            let error = Error::new(ErrorKind::Shape, "adaptive_avg_pool", message).note(provenance("x", self));
            return Tensor::failed(error, at);
        }
        if !self.dtype().is_float() {
            let message = format!("adaptive_avg_pool is not defined on {}: cast to f32 first", self.dtype());
            return Tensor::failed(
                Error::new(ErrorKind::DType, "adaptive_avg_pool", message).note(provenance("x", self)),
                at,
            );
        }
        let mut shape = self.dims()[..2].to_vec();
        shape.extend(sizes);
        if let Err(error) = checked("adaptive_avg_pool", &shape[..]) {
            return Tensor::failed(error.note(provenance("x", self)), at);
        }
        if self.dims()[2..].iter().zip(sizes).all(|(&size, &out)| size % out == 0) {
            let kernel: Vec<usize> = self.dims()[2..].iter().zip(sizes).map(|(&size, &out)| size / out).collect();
            return self.avg_pool(&PoolOptions::new(&kernel));
        }
        // A mean over a box is a mean along each axis in turn. What lies outside of a window is left out: with a weight of
        // 0, infinity would become NaN.
        let mut y = self.clone();
        for (axis, &out) in sizes.iter().enumerate() {
            let size = self.dims()[2 + axis];
            if size == out {
                continue;
            }
            let windows: Vec<(usize, usize)> =
                (0..out).map(|o| (o * size / out, ((o + 1) * size).div_ceil(out))).collect();
            let longest = windows.iter().map(|(first, end)| end - first).max().unwrap_or(0);
            let taps = || windows.iter().flat_map(|&(first, end)| (first..first + longest).map(move |i| (i, i < end)));
            let index = Tensor::from_vec(taps().map(|(i, _)| i.min(size - 1) as i64).collect(), [out, longest]);
            let count = Tensor::from_vec(windows.iter().map(|(first, end)| (end - first) as f64).collect(), [out]);
            let behind = vec![1; self.rank() - 3 - axis];
            let inside = Tensor::from_vec(
                taps().map(|(_, inside)| inside).collect(),
                [vec![out, longest], behind.clone()].concat(),
            );
            let axis = 2 + axis as isize;
            let sum = y.index_select(axis, &index).keep_where(&inside).sum(axis + 1);
            y = sum / count.cast(self.dtype()).reshape([vec![out], behind].concat());
        }
        y
    }

    fn pool(&self, name: &'static str, o: &PoolOptions, op: fn(Pool) -> Op, at: &'static Location<'static>) -> Tensor {
        if self.error().is_some() {
            return self.clone();
        }
        let fail =
            |kind, message: String| Tensor::failed(Error::new(kind, name, message).note(provenance("x", self)), at);
        if !self.dtype().is_float() {
            return fail(ErrorKind::DType, format!("{name} is not defined on {}: cast to f32 first", self.dtype()));
        }
        let spatial = o.kernel.len();
        if self.rank() != spatial + 2 || !(1..=3).contains(&spatial) {
            return fail(
                ErrorKind::Shape,
                format!("a window of {:?} on {}: it needs batch and channels first", o.kernel, self.shape()),
            );
        }
        if [&o.stride, &o.padding, &o.dilation].iter().any(|v| v.len() != spatial) {
            return fail(ErrorKind::Argument, format!("{o:?} mixes numbers of dimensions"));
        }
        if name == "avg_pool" && o.dilation.iter().any(|&d| d != 1) {
            return fail(ErrorKind::Argument, format!("dilation {:?} of a mean", o.dilation));
        }
        let small = |v: &[usize], least: usize| v.iter().all(|&x| (least..1 << 24).contains(&x));
        let fits = o.kernel.iter().zip(&o.padding).all(|(&k, &p)| 2 * p <= k);
        if !(small(&o.kernel, 1) && small(&o.stride, 1) && small(&o.dilation, 1) && fits) {
            return fail(
                ErrorKind::Argument,
                format!(
                    "kernel {:?}, stride {:?}, padding {:?} (at most half the kernel)",
                    o.kernel, o.stride, o.padding
                ),
            );
        }
        let dims = |v: &[usize], fill: u32| std::array::from_fn(|i| v.get(i).map_or(fill, |&x| x as u32));
        let pool = Pool {
            spatial: spatial as u8,
            kernel: dims(&o.kernel, 1),
            stride: dims(&o.stride, 1),
            padding: dims(&o.padding, 0),
            dilation: dims(&o.dilation, 1),
            ceil: o.ceil,
            count_include_pad: o.count_include_pad,
        };
        let mut shape = *self.shape();
        for axis in 0..spatial {
            let (size, stride, padding) = (self.dims()[2 + axis], o.stride[axis], o.padding[axis]);
            let span = o.dilation[axis] * (o.kernel[axis] - 1) + 1;
            let Some(room) = (size + 2 * padding).checked_sub(span).filter(|_| size > 0) else {
                return fail(
                    ErrorKind::Shape,
                    format!("a window of {span} does not fit {size} along spatial axis {axis}"),
                );
            };
            let mut windows = if o.ceil { room.div_ceil(stride) } else { room / stride } + 1;
            if o.ceil && (windows - 1) * stride >= size + padding {
                windows -= 1;
            }
            // Only a dilated window can step over the whole input.
            let empty = |p: usize| pool.first_tap(axis, p) >= pool.window(axis, p, size).1;
            if o.dilation[axis] > 1 && (0..windows).any(empty) {
                let message =
                    format!("a window of {span} with dilation {} steps over all {size} values", o.dilation[axis]);
                return fail(ErrorKind::Shape, format!("{message} along spatial axis {axis}"));
            }
            shape[2 + axis] = windows;
        }
        Tensor::node(op(pool), Inputs::One([self.clone()]), shape, self.dtype(), at)
    }
}
