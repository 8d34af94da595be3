//! The order in which reductions fold: a function of the number of elements alone.
//!
//! Up to [`BLOCK`] values fold in [`LANES`] interleaved chains (value i goes to chain i mod LANES), and the chains fold
//! pairwise: j with j + 8, then j + 4, j + 2, j + 1. Longer sequences fold block by block, and the block results fold by the
//! same rule. Vector width, threads and fusion cannot show, and the rounding error grows like the logarithm of the count.

/// Interleaved chains: one AVX-512 register, two AVX2 registers, four NEON registers of f32.
pub const LANES: usize = 16;

/// Values folded before a partial result is written: what one worker takes at a time.
pub const BLOCK: usize = 4096;

/// Folds `value(0), ..., value(count - 1)` with `op` in the order above; `identity` when there are none.
pub fn fold<T: Copy>(count: usize, value: &dyn Fn(usize) -> T, identity: T, op: fn(T, T) -> T) -> T {
    if count <= BLOCK {
        return fold_block(0..count, value, identity, op);
    }
    let partial: Vec<T> = (0..count)
        .step_by(BLOCK)
        .map(|start| fold_block(start..count.min(start + BLOCK), value, identity, op))
        .collect();
    fold(partial.len(), &|i| partial[i], identity, op)
}

fn fold_block<T: Copy>(range: std::ops::Range<usize>, value: &dyn Fn(usize) -> T, identity: T, op: fn(T, T) -> T) -> T {
    let mut lanes = [identity; LANES];
    for (i, index) in range.enumerate() {
        lanes[i % LANES] = op(lanes[i % LANES], value(index));
    }
    fold_lanes(lanes, op)
}

/// Folds the chains of one block.
#[inline(always)]
pub fn fold_lanes<T: Copy>(mut lanes: [T; LANES], op: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for j in 0..half {
            lanes[j] = op(lanes[j], lanes[j + half]);
        }
        half /= 2;
    }
    lanes[0]
}
