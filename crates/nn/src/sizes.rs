//! A number for each spatial dimension: one for all, or one each.

/// Kernel sizes, strides, paddings: `3` means the same in every dimension, `[3, 5]` one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes(Vec<usize>);

impl From<usize> for Sizes {
    fn from(size: usize) -> Sizes {
        Sizes(vec![size])
    }
}
impl<const N: usize> From<[usize; N]> for Sizes {
    fn from(sizes: [usize; N]) -> Sizes {
        Sizes(sizes.to_vec())
    }
}
impl From<&[usize]> for Sizes {
    fn from(sizes: &[usize]) -> Sizes {
        Sizes(sizes.to_vec())
    }
}

impl Sizes {
    /// One number a dimension. Another count than 1 or `dimensions` stays, and is refused where it is used.
    pub(crate) fn over(self, dimensions: usize) -> Vec<usize> {
        if self.0.len() == 1 { vec![self.0[0]; dimensions] } else { self.0 }
    }
}

/// `[3, 3]` as a person writes it: `3x3`.
pub(crate) fn by(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
