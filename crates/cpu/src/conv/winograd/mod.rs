//! Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016) for 3 x 3 kernels with stride 1: 36 products for a tile
//! of 4 x 4 results instead of 144.
//!
//! With the 1D transforms of [`transform`], for each tile of 4 x 4 results and its 6 x 6 inputs d:
//! - forward: `y = A^T [(G w G^T) * (B^T d B)] A`, the products summed over the channels;
//! - input gradient: the forward pass of dy with the kernel turned by 180 degrees and the channels exchanged;
//! - weight gradient: `dw = G^T [(A dy A^T) * (B^T d B)] G`, the products summed over samples and tiles.
//!
//! The order of every sum is fixed: each transform is a fixed sequence of operations on single numbers, columns before
//! rows (of d, M and dU: over the height first); the sums in between are chains of fused multiply-adds from zero over the
//! channels, or over (sample, tile row, tile column). So the bits are the same for every vector width, number of threads
//! and batch. They are not those of the direct chain.
//!
//! Error, measured against f64 and stated as a bound that the tests hold: with S = sum of |w| |x| over the whole chain of
//! the largest result of the tensor, `|found - exact| <= 2^-24 * ERROR * S`.

mod few;
mod forward;
mod inputs;
mod taps;
mod transform;
mod weights;

use super::ConvGeometry;
pub(super) use forward::Forward;
pub(super) use weights::gradient;

/// The factor of the error bound above. Measured: at most 28 on the test shapes with uniform random numbers.
pub const ERROR: f64 = 64.0;

/// Fewer channels than this leave the transforms too much of the work.
const CHANNELS_LEAST: usize = 24;
/// Results of a tile along one axis.
const TILE: usize = 4;
/// Inputs of a tile along one axis.
const PATCH: usize = 6;
/// Products of a tile: the number of separate sums.
const POINTS: usize = PATCH * PATCH;
/// Numbers transformed side by side: one AVX-512 register.
const LANES: usize = 16;

/// Whether this room computes the convolution and its adjoints: a function of the shape alone, never of the batch, since
/// it shows in the bits.
pub fn suits(geometry: &ConvGeometry) -> bool {
    let ConvGeometry { groups, input, kernel, output, stride, padding, dilation, .. } = *geometry;
    let plain = kernel == [1, 3, 3] && stride == [1; 3] && dilation == [1; 3] && groups == 1;
    let flat = input[0] == 1 && output[0] == 1 && padding[0] == 0 && padding[1] <= 2 && padding[2] <= 2;
    // Unequal padding at the far end is left to the direct chain.
    let usual = (1..3).all(|a| output[a] + 2 == input[a] + 2 * padding[a]);
    plain
        && flat
        && usual
        && geometry.channels.min(geometry.outputs) >= CHANNELS_LEAST
        && pays([output[1], output[2]])
        && pays([input[1], input[2]])
}

/// Whether tiles cover these results without too much waste: 36 products a tile against 9 a result.
fn pays([height, width]: [usize; 2]) -> bool {
    let tiles = height.div_ceil(TILE) * width.div_ceil(TILE);
    height * width > 0 && 2 * tiles * POINTS <= height * width * 9
}

#[cfg(test)]
mod tests;
