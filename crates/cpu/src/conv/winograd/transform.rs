//! The 1D transforms of F(4, 3) with the points 0, 1, -1, 2, -2, infinity, lane by lane.

use super::forward::TILES;
use super::{LANES, PATCH, TILE};
use crate::simd::{Level, Simd};

pub(super) type Lanes = [f32; LANES];

/// B^T d: six inputs.
#[inline(always)]
fn input(d: [f32; PATCH]) -> [f32; PATCH] {
    let even = (-4.0f32).mul_add(d[2], d[4]);
    let odd = (-4.0f32).mul_add(d[1], d[3]);
    let even2 = d[4] - d[2];
    let odd2 = 2.0 * (d[3] - d[1]);
    [
        4.0f32.mul_add(d[0], (-5.0f32).mul_add(d[2], d[4])),
        even + odd,
        even - odd,
        even2 + odd2,
        even2 - odd2,
        4.0f32.mul_add(d[1], (-5.0f32).mul_add(d[3], d[5])),
    ]
}

/// G g: three weights.
#[inline(always)]
fn weight(g: [f32; 3]) -> [f32; PATCH] {
    let (outer, middle) = (g[0] + g[2], g[1]);
    let far = 0.25f32.mul_add(g[0], g[2]);
    [
        0.25 * g[0],
        (-1.0 / 6.0) * (outer + middle),
        (-1.0 / 6.0) * (outer - middle),
        (1.0 / 6.0) * 0.5f32.mul_add(middle, far),
        (1.0 / 6.0) * (-0.5f32).mul_add(middle, far),
        g[2],
    ]
}

/// G^T u: the adjoint of [`weight`].
#[inline(always)]
fn weight_adjoint(u: [f32; PATCH]) -> [f32; 3] {
    let near = [u[1] + u[2], u[2] - u[1]];
    let far = [u[3] + u[4], u[3] - u[4]];
    [
        0.25f32.mul_add(u[0], (1.0 / 6.0) * 0.25f32.mul_add(far[0], -near[0])),
        (1.0 / 6.0) * 0.5f32.mul_add(far[1], near[1]),
        (1.0f32 / 6.0).mul_add(far[0] - near[0], u[5]),
    ]
}

/// A^T m: four results.
#[inline(always)]
fn output(m: [f32; PATCH]) -> [f32; TILE] {
    let near = [m[1] + m[2], m[1] - m[2]];
    let far = [m[3] + m[4], m[3] - m[4]];
    [
        (m[0] + near[0]) + far[0],
        2.0f32.mul_add(far[1], near[1]),
        4.0f32.mul_add(far[0], near[0]),
        8.0f32.mul_add(far[1], near[1]) + m[5],
    ]
}

/// A d: the adjoint of [`output`].
#[inline(always)]
fn output_adjoint(d: [f32; TILE]) -> [f32; PATCH] {
    let (even, odd) = (d[0] + d[2], d[1] + d[3]);
    let even2 = 4.0f32.mul_add(d[2], d[0]);
    let odd2 = 2.0 * 4.0f32.mul_add(d[3], d[1]);
    [d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]]
}

/// A 1D transform, lane by lane. (No closures: each would have to be told to be inlined, or it is compiled without the
/// vector instructions of its caller.)
macro_rules! lanewise {
    ($name:ident, $transform:ident, $from:expr, $to:expr) => {
        #[inline(always)]
        #[allow(clippy::needless_range_loop)]
        pub(super) fn $name(from: &[Lanes; $from], to: &mut [Lanes; $to]) {
            for lane in 0..LANES {
                let mut values = [0.0; $from];
                for i in 0..$from {
                    values[i] = from[i][lane];
                }
                let results = $transform(values);
                for i in 0..$to {
                    to[i][lane] = results[i];
                }
            }
        }
    };
}

lanewise!(inputs, input, PATCH, PATCH);
lanewise!(weights, weight, 3, PATCH);
lanewise!(weight_adjoints, weight_adjoint, PATCH, 3);
lanewise!(outputs, output, PATCH, TILE);
lanewise!(output_adjoints, output_adjoint, TILE, PATCH);

/// Where the patches of up to [`TILES`] tiles begin in a row of columns.
pub(super) struct Starts {
    starts: [usize; TILES],
    last: usize,
}

impl Starts {
    /// (In the place of tiles that are not there, the first column.)
    pub(super) fn of(starts: impl Iterator<Item = usize>) -> Starts {
        let mut of = Starts { starts: [0; TILES], last: 0 };
        for (number, start) in starts.enumerate() {
            (of.starts[number], of.last) = (start, of.last.max(start));
        }
        of
    }
}

/// `to[j][t] = row[start of tile first + t, + j]`: a row of 6 numbers of each of 16 patches.
///
/// Panics unless two tiles of columns follow each start.
#[inline(always)]
pub(super) fn patches(simd: Simd, row: &[f32], starts: &Starts, first: usize, to: &mut [Lanes; PATCH]) {
    assert!(starts.last + 2 * TILE <= row.len());
    let starts = &starts.starts[first..first + LANES];
    #[cfg(target_arch = "x86_64")]
    if matches!(simd.level(), Level::Avx2 | Level::Avx512) {
        use std::arch::x86_64::*;
        for half in [0, 8] {
            // SAFETY: the level says that the processor has the instructions; loads are in the row by the assertion, stores in
            // the arrays.
            unsafe {
                // Half q of a_i: patch 4 q + i.
                let four = |patch: usize, at: usize| _mm_loadu_ps(row.as_ptr().add(starts[half + patch] + at));
                let pair = |i: usize, at: usize| {
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(four(i, at)), four(4 + i, at))
                };
                let (a0, a1, a2, a3) = (pair(0, 0), pair(1, 0), pair(2, 0), pair(3, 0));
                let (t0, t1) = (_mm256_unpacklo_ps(a0, a1), _mm256_unpackhi_ps(a0, a1));
                let (u0, u1) = (_mm256_unpacklo_ps(a2, a3), _mm256_unpackhi_ps(a2, a3));
                _mm256_storeu_ps(to[0].as_mut_ptr().add(half), _mm256_shuffle_ps::<0x44>(t0, u0));
                _mm256_storeu_ps(to[1].as_mut_ptr().add(half), _mm256_shuffle_ps::<0xEE>(t0, u0));
                _mm256_storeu_ps(to[2].as_mut_ptr().add(half), _mm256_shuffle_ps::<0x44>(t1, u1));
                _mm256_storeu_ps(to[3].as_mut_ptr().add(half), _mm256_shuffle_ps::<0xEE>(t1, u1));
                let (b0, b1, b2, b3) = (pair(0, TILE), pair(1, TILE), pair(2, TILE), pair(3, TILE));
                let (v0, w0) = (_mm256_unpacklo_ps(b0, b1), _mm256_unpacklo_ps(b2, b3));
                _mm256_storeu_ps(to[4].as_mut_ptr().add(half), _mm256_shuffle_ps::<0x44>(v0, w0));
                _mm256_storeu_ps(to[5].as_mut_ptr().add(half), _mm256_shuffle_ps::<0xEE>(v0, w0));
            }
        }
        return;
    }
    let _ = (simd, Level::Scalar);
    for (patch, &start) in starts.iter().enumerate() {
        for (to, x) in to.iter_mut().zip(&row[start..]) {
            to[patch] = *x;
        }
    }
}

/// `to[4 t + k] = from[k][t]`.
#[inline(always)]
pub(super) fn interleave(simd: Simd, from: &[Lanes; TILE], to: &mut [f32; TILE * LANES]) {
    #[cfg(target_arch = "x86_64")]
    if simd.level() == Level::Avx512 {
        use std::arch::x86_64::*;
        // SAFETY: as in `patches`.
        unsafe {
            let row = |k: usize| _mm512_loadu_ps(from[k].as_ptr());
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (t0, t1) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let (u0, u1) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            // Quarter q of x_i is tile 4 q + i.
            let (x0, x1) = (_mm512_shuffle_ps::<0x44>(t0, u0), _mm512_shuffle_ps::<0xEE>(t0, u0));
            let (x2, x3) = (_mm512_shuffle_ps::<0x44>(t1, u1), _mm512_shuffle_ps::<0xEE>(t1, u1));
            let (y0, y1) = (_mm512_shuffle_f32x4::<0x44>(x0, x1), _mm512_shuffle_f32x4::<0xEE>(x0, x1));
            let (y2, y3) = (_mm512_shuffle_f32x4::<0x44>(x2, x3), _mm512_shuffle_f32x4::<0xEE>(x2, x3));
            let mut put = |i: usize, row: __m512| _mm512_storeu_ps(to.as_mut_ptr().add(i * LANES), row);
            put(0, _mm512_shuffle_f32x4::<0x88>(y0, y2));
            put(1, _mm512_shuffle_f32x4::<0xDD>(y0, y2));
            put(2, _mm512_shuffle_f32x4::<0x88>(y1, y3));
            put(3, _mm512_shuffle_f32x4::<0xDD>(y1, y3));
        }
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if simd.level() == Level::Avx2 {
        use std::arch::x86_64::*;
        for half in [0, 8] {
            // SAFETY: as in `patches`.
            unsafe {
                let row = |k: usize| _mm256_loadu_ps(from[k].as_ptr().add(half));
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (t0, t1) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (u0, u1) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                // Half q of x_i is tile 4 q + i.
                let (x0, x1) = (_mm256_shuffle_ps::<0x44>(t0, u0), _mm256_shuffle_ps::<0xEE>(t0, u0));
                let (x2, x3) = (_mm256_shuffle_ps::<0x44>(t1, u1), _mm256_shuffle_ps::<0xEE>(t1, u1));
                let to = to.as_mut_ptr().add(TILE * half);
                _mm256_storeu_ps(to, _mm256_permute2f128_ps::<0x20>(x0, x1));
                _mm256_storeu_ps(to.add(8), _mm256_permute2f128_ps::<0x20>(x2, x3));
                _mm256_storeu_ps(to.add(16), _mm256_permute2f128_ps::<0x31>(x0, x1));
                _mm256_storeu_ps(to.add(24), _mm256_permute2f128_ps::<0x31>(x2, x3));
            }
        }
        return;
    }
    let _ = simd;
    for lane in 0..LANES {
        for k in 0..TILE {
            to[TILE * lane + k] = from[k][lane];
        }
    }
}
