//! Where a (position, kernel position) pair lies in the source image: the index arithmetic of a convolution.

use super::ConvGeometry;

/// Marks a place outside the source: a zero.
pub(super) const OUTSIDE: i32 = -1;

/// For every position of a target image and every kernel position, the position in a source image. The three axes are
/// independent, so small tables hold it all.
///
/// Along the width, the target coordinates that lie inside the source for one kernel coordinate are evenly spaced, and
/// so are their sources: a [`Line`].
pub(super) struct Places {
    /// Spatial size of the target.
    pub target: [usize; 3],
    /// Spatial size of the source.
    pub source: [usize; 3],
    /// Spatial size of the kernel.
    pub kernel: [usize; 3],
    /// From one target coordinate inside the source to the next, along the width.
    pub target_step: usize,
    /// And how far the source moves meanwhile.
    pub source_step: usize,
    /// `axes[a][t * target[a] + p]`: source coordinate of target coordinate p under kernel coordinate t, or `OUTSIDE`.
    axes: [Vec<i32>; 3],
    /// For each kernel coordinate of the width.
    lines: Vec<Line>,
}

/// Target coordinates `first`, `first + target_step`, ... (`count` of them) look at `from`, `from + source_step`, ...
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    pub first: usize,
    pub count: usize,
    pub from: usize,
}

impl Places {
    /// Target y, source x: `p * stride + t * dilation - padding`.
    pub fn forward(geometry: &ConvGeometry) -> Places {
        let ConvGeometry { stride, padding, dilation, .. } = *geometry;
        Places::new((geometry.output, 1), (geometry.input, stride[2]), geometry.kernel, |axis, p, t| {
            (p * stride[axis] + t * dilation[axis]).checked_sub(padding[axis])
        })
    }

    /// Target x, source y: `(q + padding - t * dilation) / stride` where that is whole.
    pub fn backward(geometry: &ConvGeometry) -> Places {
        let ConvGeometry { stride, padding, dilation, .. } = *geometry;
        Places::new((geometry.input, stride[2]), (geometry.output, 1), geometry.kernel, |axis, q, t| {
            let moved = (q + padding[axis]).checked_sub(t * dilation[axis])?;
            moved.is_multiple_of(stride[axis]).then_some(moved / stride[axis])
        })
    }

    fn new(
        (target, target_step): ([usize; 3], usize),
        (source, source_step): ([usize; 3], usize),
        kernel: [usize; 3],
        place: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Places {
        let axis = |axis: usize| {
            let all = (0..kernel[axis]).flat_map(|t| (0..target[axis]).map(move |p| (p, t)));
            let inside = |p, t| place(axis, p, t).filter(|&at| at < source[axis]).map_or(OUTSIDE, |at| at as i32);
            all.map(|(p, t)| inside(p, t)).collect()
        };
        let axes: [Vec<i32>; 3] = [axis(0), axis(1), axis(2)];
        let line = |t: usize| {
            let along = &axes[2][t * target[2]..][..target[2]];
            let first = along.iter().position(|&at| at != OUTSIDE)?;
            let count = along.iter().filter(|&&at| at != OUTSIDE).count();
            Some(Line { first, count, from: along[first] as usize })
        };
        let lines = (0..kernel[2]).map(|t| line(t).unwrap_or_default()).collect();
        Places { target, source, kernel, target_step, source_step, axes, lines }
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Positions of the source.
    pub fn source_positions(&self) -> usize {
        self.source.iter().product()
    }

    /// The part of a row from target coordinate `start` to `end` under kernel coordinate `t` of the width, with
    /// `first` counted from `start`.
    #[inline(always)]
    pub fn line(&self, t: usize, start: usize, end: usize) -> Line {
        let line = self.lines[t];
        // How many come before `start`, and before `end`.
        let before = |p: usize| {
            let passed = p.saturating_sub(line.first);
            let passed = if self.target_step == 1 { passed } else { passed.div_ceil(self.target_step) };
            passed.min(line.count)
        };
        let (skip, keep) = (before(start), before(end));
        Line {
            first: (line.first + skip * self.target_step).wrapping_sub(start),
            count: keep - skip,
            from: line.from + skip * self.source_step,
        }
    }

    /// Where the source row of target row (depth, height) begins under kernel coordinates (depth, height).
    #[inline(always)]
    pub fn row(&self, target: [usize; 2], tap: [usize; 2]) -> Option<usize> {
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
