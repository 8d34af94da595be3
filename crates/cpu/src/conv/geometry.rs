//! The sizes of a convolution, and what is wrong with them.

/// The sizes of a convolution in three spatial dimensions (depth, height, width); fewer dimensions are ones in front.
///
/// x is [batch, channels, input], w is [outputs, channels / groups, kernel], y is [batch, outputs, output]. Output
/// position p and kernel position t look at input position `p * stride + t * dilation - padding`; outside the input
/// there are zeros. `output` is given, not derived, so unequal padding at the far end needs no field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Number of samples, N.
    pub batch: usize,
    /// Independent convolutions side by side, each with its share of the channels.
    pub groups: usize,
    /// Channels of x, C.
    pub channels: usize,
    /// Channels of y, O.
    pub outputs: usize,
    /// Spatial size of x.
    pub input: [usize; 3],
    /// Spatial size of w.
    pub kernel: [usize; 3],
    /// Spatial size of y.
    pub output: [usize; 3],
    /// Step between neighbouring output positions.
    pub stride: [usize; 3],
    /// Zeros before the input.
    pub padding: [usize; 3],
    /// Step between neighbouring kernel positions.
    pub dilation: [usize; 3],
}

/// Why a convolution cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvError {
    /// Groups do not divide the channels.
    #[error("{groups} groups do not divide {channels} input and {outputs} output channels")]
    Groups {
        /// Number of groups.
        groups: usize,
        /// Channels of x.
        channels: usize,
        /// Channels of y.
        outputs: usize,
    },
    /// A stride or dilation is zero.
    #[error("stride {stride:?} and dilation {dilation:?} must be at least 1")]
    Step {
        /// The stride.
        stride: [usize; 3],
        /// The dilation.
        dilation: [usize; 3],
    },
    /// A slice does not have the length of its sizes.
    #[error("{operand} has {found} elements, its sizes ask for {expected}")]
    Length {
        /// "x", "w", "y", "dx", "dw" or "dy".
        operand: &'static str,
        /// Elements of its sizes.
        expected: usize,
        /// Elements in the slice.
        found: usize,
    },
    /// Sizes, multiplied, exceed what can be indexed.
    #[error("the sizes of the convolution overflow: {geometry:?}")]
    Overflow {
        /// All sizes.
        geometry: Box<ConvGeometry>,
    },
}

impl ConvGeometry {
    /// Input channels of a group.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Positions of x.
    pub fn input_positions(&self) -> usize {
        self.input.iter().product()
    }

    /// Positions of y.
    pub fn output_positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Whether each result comes from one position of the picture, the same one: 1 x 1 kernels.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3] && self.input == self.output
    }

    /// Checks the sizes and the lengths of x, w and y, or of what takes their places.
    pub(crate) fn check(&self, lengths: [(&'static str, usize); 3]) -> Result<(), ConvError> {
        let ConvGeometry { groups, channels, outputs, stride, dilation, .. } = *self;
        if groups == 0 || !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(ConvError::Groups { groups, channels, outputs });
        }
        if stride.contains(&0) || dilation.contains(&0) {
            return Err(ConvError::Step { stride, dilation });
        }
        let overflow = || ConvError::Overflow { geometry: Box::new(*self) };
        let product = |sizes: [usize; 2], space: [usize; 3]| {
            sizes.iter().chain(&space).try_fold(1usize, |all, &size| all.checked_mul(size)).ok_or_else(overflow)
        };
        let expected = [
            product([self.batch, channels], self.input)?,
            product([outputs, channels / groups], self.kernel)?,
            product([self.batch, outputs], self.output)?,
        ];
        // Positions within a sample are kept in 32 bits.
        let reach = |axis: usize| {
            let far = self.output[axis].checked_mul(stride[axis])?;
            let far = far.checked_add(self.kernel[axis].checked_mul(dilation[axis])?)?;
            far.checked_add(self.padding[axis])?.checked_add(self.input[axis])
        };
        let small = |size: usize| size < i32::MAX as usize;
        // No room for canvases is computed to be less than it is.
        let planes = self.batch.max(1).checked_mul(64).and_then(|planes| planes.checked_mul(channels.max(outputs)));
        let canvases = (0..3).try_fold(planes, |all, axis| Some(all?.checked_mul(reach(axis)?)));
        let indexable = canvases.flatten().is_some_and(|numbers| isize::try_from(numbers).is_ok())
            && (0..3).all(|axis| reach(axis).is_some_and(small))
            && [channels, outputs].iter().all(|&planes| {
                let positions = |space| product([1, planes], space).is_ok_and(small);
                positions(self.input) && positions(self.output)
            });
        if !indexable {
            return Err(overflow());
        }
        for ((operand, found), expected) in lengths.into_iter().zip(expected) {
            if found != expected {
                return Err(ConvError::Length { operand, expected, found });
            }
        }
        Ok(())
    }
}
