//! Layers that move elements: flattening, padding, resizing, nothing at all.

use tensor::{Resize, Tensor};

use crate::layer::{Description, Layer};
use crate::pass::Pass;

/// `[N, ..] -> [N, product]`.
#[derive(Debug, Clone, Copy)]
pub struct Flatten;

/// The input.
#[derive(Debug, Clone, Copy)]
pub struct Identity;

/// Mirrors elements around the borders, borders not repeated.
#[derive(Debug, Clone)]
pub struct ReflectionPad(Vec<[usize; 2]>);

/// Resizes `[N, C, ..]`.
#[derive(Debug, Clone)]
pub enum Upsample {
    /// By the nearest neighbour.
    Nearest(Resize),
    /// By linear interpolation along each axis (bilinear in pictures).
    Linear {
        /// The size wanted.
        size: Resize,
        /// Whether the corner elements coincide, rather than the corners of their squares.
        align_corners: bool,
    },
}

/// Mirrors `[before, after]` elements along the length of `[N, C, length]`.
pub fn reflection_pad1d(length: [usize; 2]) -> ReflectionPad {
    ReflectionPad(vec![length])
}

/// Mirrors `[before, after]` elements along height and width of `[N, C, height, width]`.
pub fn reflection_pad2d(height: [usize; 2], width: [usize; 2]) -> ReflectionPad {
    ReflectionPad(vec![height, width])
}

/// Mirrors `[before, after]` elements along each axis of `[N, C, depth, height, width]`.
pub fn reflection_pad3d(depth: [usize; 2], height: [usize; 2], width: [usize; 2]) -> ReflectionPad {
    ReflectionPad(vec![depth, height, width])
}

impl Layer for Flatten {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        x.flatten(1)
    }

    fn describe(&self) -> Description {
        Description::of("flatten", "")
    }
}

impl Layer for Identity {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        x.clone()
    }

    fn describe(&self) -> Description {
        Description::of("identity", "")
    }
}

impl Layer for ReflectionPad {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        if x.error().is_none() && x.rank() != self.0.len() + 2 {
            return x.refused("reflection_pad", format!("{:?} for {}", self.0, x.shape()), None);
        }
        let each = self.0.iter().enumerate();
        each.fold(x.clone(), |x, (axis, &[before, after])| x.pad_reflect(2 + axis as isize, before, after))
    }

    fn describe(&self) -> Description {
        Description::of("reflection_pad", format!("{:?}", self.0))
    }
}

impl Layer for Upsample {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        match self {
            Upsample::Nearest(size) => x.resize_nearest(size),
            Upsample::Linear { size, align_corners } => x.resize_linear(size, *align_corners),
        }
    }

    fn describe(&self) -> Description {
        let (mode, size) = match self {
            Upsample::Nearest(size) => ("nearest", size),
            Upsample::Linear { size, .. } => ("linear", size),
        };
        let size = match size {
            Resize::To(sizes) => format!("{sizes:?}"),
            Resize::By(factors) => format!("times {factors:?}"),
        };
        Description::of("upsample", format!("{mode}, {size}"))
    }
}
