//! Where a (position, kernel position) pair lies in the source image: the index arithmetic of a convolution.

use super::ConvGeometry;

/// Marks a place outside the source: a zero.
pub(super) const OUTSIDE: i32 = -1;

/// For every position of a target image and every kernel position, the position in a source image. The three axes are
/// independent, so small tables hold it all.
pub(super) struct Places {
    /// Spatial size of the target.
    pub target: [usize; 3],
    /// Spatial size of the source.
    pub source: [usize; 3],
    /// Spatial size of the kernel.
    pub kernel: [usize; 3],
    /// `axes[a][t * target[a] + p]`: source coordinate of target coordinate p under kernel coordinate t, or `OUTSIDE`.
    axes: [Vec<i32>; 3],
}

impl Places {
    /// Target y, source x: `p * stride + t * dilation - padding`.
    pub fn forward(geometry: &ConvGeometry) -> Places {
        let ConvGeometry { stride, padding, dilation, .. } = *geometry;
        Places::new(geometry.output, geometry.input, geometry.kernel, |axis, p, t| {
            (p * stride[axis] + t * dilation[axis]).checked_sub(padding[axis])
        })
    }

    /// Target x, source y: `(q + padding - t * dilation) / stride` where that is whole.
    pub fn backward(geometry: &ConvGeometry) -> Places {
        let ConvGeometry { stride, padding, dilation, .. } = *geometry;
        Places::new(geometry.input, geometry.output, geometry.kernel, |axis, q, t| {
            let moved = (q + padding[axis]).checked_sub(t * dilation[axis])?;
            moved.is_multiple_of(stride[axis]).then_some(moved / stride[axis])
        })
    }

    fn new(
        target: [usize; 3],
        source: [usize; 3],
        kernel: [usize; 3],
        place: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Places {
        let axis = |axis: usize| {
            let all = (0..kernel[axis]).flat_map(|t| (0..target[axis]).map(move |p| (p, t)));
            let inside = |p, t| place(axis, p, t).filter(|&at| at < source[axis]).map_or(OUTSIDE, |at| at as i32);
            all.map(|(p, t)| inside(p, t)).collect()
        };
        Places { target, source, kernel, axes: [axis(0), axis(1), axis(2)] }
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Where the source row of target row (depth, height) begins under kernel coordinates (depth, height).
    fn row(&self, target: [usize; 2], tap: [usize; 2]) -> Option<usize> {
        let depth = self.axes[0][tap[0] * self.target[0] + target[0]];
        let height = self.axes[1][tap[1] * self.target[1] + target[1]];
        (depth != OUTSIDE && height != OUTSIDE)
            .then(|| (depth as usize * self.source[1] + height as usize) * self.source[2])
    }

    /// The position in the source of one target position under one kernel position.
    pub fn place(&self, target: [usize; 3], tap: [usize; 3]) -> Option<usize> {
        let row = self.row([target[0], target[1]], [tap[0], tap[1]])?;
        let along = self.axes[2][tap[2] * self.target[2] + target[2]];
        (along != OUTSIDE).then(|| row + along as usize)
    }
}

/// The coordinates of index `index` in a space of size `size`.
#[inline(always)]
pub(super) fn coordinates(index: usize, size: [usize; 3]) -> [usize; 3] {
    [index / (size[1] * size[2]), index / size[2] % size[1], index % size[2]]
}
