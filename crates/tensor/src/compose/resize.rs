//! Pictures at another size: nearest neighbour and linear interpolation along each spatial axis, positions as in PyTorch.

use crate::tensor::Tensor;

/// The size that is asked for, one entry a spatial axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Resize {
    /// These sizes.
    To(Vec<usize>),
    /// The old sizes times these factors, rounded down.
    By(Vec<f64>),
}

/// One axis: sizes before and after, and the distance in the old picture of two neighbours in the new one.
struct Axis {
    axis: isize,
    from: usize,
    to: usize,
    step: f64,
}

impl Tensor {
    /// The nearest (lower) neighbour: element i of an axis is element `floor(i step)` of `self [N, C, ..]`.
    #[track_caller]
    pub fn resize_nearest(&self, size: &Resize) -> Tensor {
        let axes = match axes("resize_nearest", self, size) {
            Ok(axes) => axes,
            Err(refused) => return refused,
        };
        let mut x = self.clone();
        // (Loops: closures would not pass the caller's line on.)
        for axis in &axes {
            // In f32, as in PyTorch, whatever the dtype.
            let source = |i: usize| ((i as f32 * axis.step as f32).floor() as usize).min(axis.from - 1);
            let times = axis.to / axis.from;
            if axis.to % axis.from == 0 && (0..axis.to).all(|i| source(i) == i / times) {
                x = repeat(&x, axis.axis, times);
                continue;
            }
            x = select(&x, axis.axis, (0..axis.to).map(source));
        }
        x
    }

    /// Linear interpolation along each axis (bilinear in pictures). With `align_corners` the corner elements coincide,
    /// else the corners of their squares do.
    #[track_caller]
    pub fn resize_linear(&self, size: &Resize, align_corners: bool) -> Tensor {
        let axes = match axes("resize_linear", self, size) {
            Ok(axes) => axes,
            Err(refused) => return refused,
        };
        let mut x = self.clone();
        for axis in &axes {
            if axis.from == axis.to && (align_corners || axis.step == 1.0) {
                continue;
            }
            let position = |i: usize| match align_corners {
                true if axis.to > 1 => (i * (axis.from - 1)) as f64 / (axis.to - 1) as f64,
                true => 0.0,
                false => (axis.step * (i as f64 + 0.5) - 0.5).max(0.0),
            };
            let left = |i: usize| (position(i) as usize).min(axis.from - 1);
            let right = (0..axis.to).map(|i| (left(i) + 1).min(axis.from - 1));
            let share: Vec<f64> = (0..axis.to).map(|i| position(i) - left(i) as f64).collect();
            let mut along = vec![1; x.rank() - axis.axis as usize];
            along[0] = axis.to;
            let share = Tensor::from_vec(share, along).cast(x.dtype());
            let (a, b) = (select(&x, axis.axis, (0..axis.to).map(left)), select(&x, axis.axis, right));
            x = a * (1.0 - &share) + b * share;
        }
        x
    }
}

/// Each element of `axis` `times` times.
#[track_caller]
fn repeat(x: &Tensor, axis: isize, times: usize) -> Tensor {
    if times == 1 {
        return x.clone();
    }
    let (mut apart, mut merged) = (x.dims().to_vec(), x.dims().to_vec());
    merged[axis as usize] *= times;
    apart.insert(axis as usize + 1, times);
    x.unsqueeze(axis + 1).expand(apart).reshape(merged)
}

#[track_caller]
fn select(x: &Tensor, axis: isize, index: impl Iterator<Item = usize>) -> Tensor {
    let index: Vec<i64> = index.map(|i| i as i64).collect();
    let count = index.len();
    x.index_select(axis, &Tensor::from_vec(index, [count]))
}

#[track_caller]
fn axes(op: &str, x: &Tensor, size: &Resize) -> Result<Vec<Axis>, Tensor> {
    let spatial = x.rank().saturating_sub(2);
    let entries = match size {
        Resize::To(sizes) => sizes.len(),
        Resize::By(factors) => factors.len(),
    };
    if x.error().is_some() || entries != spatial || spatial == 0 || x.dims()[2..].contains(&0) {
        return Err(x.refused(op, format!("{size:?} of {}", x.shape()), None));
    }
    let axes: Vec<Axis> = (0..spatial)
        .map(|i| {
            let from = x.dims()[2 + i];
            let (to, step) = match size {
                Resize::To(sizes) => (sizes[i], from as f64 / sizes[i] as f64),
                Resize::By(factors) => ((from as f64 * factors[i]) as usize, 1.0 / factors[i]),
            };
            Axis { axis: 2 + i as isize, from, to, step }
        })
        .collect();
    // A factor that is not a number, or a size no machine has, is caught here.
    if axes.iter().any(|axis| axis.to == 0 || axis.to > 1 << 24) {
        return Err(x.refused(op, format!("{size:?} of {}", x.shape()), None));
    }
    Ok(axes)
}
