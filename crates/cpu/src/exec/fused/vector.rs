//! Vector registers of floats: one trait for each instruction set.

use std::ops::Range;

/// A vector register of floats and what is done with it, lane by lane.
///
/// # Safety
/// The functions may be called only where the processor has the instruction set, pointers must be valid for `WIDTH` floats.
pub trait Vector: Copy {
    /// Floats in it.
    const WIDTH: usize;
    /// The floats from an address on.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes them.
    unsafe fn store(self, to: *mut f32);
    /// The floats of these lanes, each from its place behind an address, and 0 in the others, whose places are not read.
    unsafe fn part(from: *const f32, lanes: Range<usize>) -> Self;
    /// 0 in all lanes but these.
    unsafe fn keep(self, lanes: Range<usize>) -> Self;
    /// The same float everywhere.
    unsafe fn splat(value: f32) -> Self;
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// Quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// As [`tensor::ops::binary::max`].
    unsafe fn max(self, other: Self) -> Self;
    /// As [`tensor::ops::binary::min`].
    unsafe fn min(self, other: Self) -> Self;
    /// Root.
    unsafe fn sqrt(self) -> Self;
    /// The other sign.
    unsafe fn neg(self) -> Self;
    /// Without sign.
    unsafe fn abs(self) -> Self;
    /// 0 where it is negative.
    unsafe fn relu(self) -> Self;
}

/// `$call`, compiled for the processor that `$simd` stands for, with `$vector` for its widest registers.
macro_rules! with_vectors {
    ($simd:expr, |$vector:ident| $call:expr) => {{
        macro_rules! run {
            ($register:ty) => {{
                type $vector = $register;
                $simd.run(
                    #[inline(always)]
                    || $call,
                )
            }};
        }
        match $simd.level() {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => run!(std::arch::x86_64::__m256),
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => run!(std::arch::x86_64::__m512),
            _ => run!($crate::exec::fused::vector::Plain),
        }
    }};
}
pub(super) use with_vectors;

/// Four floats as any processor has them: loops that the compiler makes vector instructions of.
#[derive(Clone, Copy)]
pub struct Plain([f32; 4]);

impl Plain {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Plain {
        let [a, b, c, d] = self.0;
        Plain([f(a), f(b), f(c), f(d)])
    }

    #[inline(always)]
    fn zip(self, other: Plain, f: impl Fn(f32, f32) -> f32) -> Plain {
        let ([a, b, c, d], [p, q, r, s]) = (self.0, other.0);
        Plain([f(a, p), f(b, q), f(c, r), f(d, s)])
    }
}

// SAFETY of every block: pointers are valid by the contract of the trait.
impl Vector for Plain {
    const WIDTH: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Plain(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn part(from: *const f32, lanes: Range<usize>) -> Self {
        let at = |lane: usize| if lanes.contains(&lane) { unsafe { *from.wrapping_add(lane) } } else { 0.0 };
        Plain([at(0), at(1), at(2), at(3)])
    }
    #[inline(always)]
    unsafe fn keep(self, lanes: Range<usize>) -> Self {
        let [a, b, c, d] = self.0;
        let at = |lane: usize, x: f32| if lanes.contains(&lane) { x } else { 0.0 };
        Plain([at(0, a), at(1, b), at(2, c), at(3, d)])
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Plain([value; 4])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, tensor::ops::binary::max)
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, tensor::ops::binary::min)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn neg(self) -> Self {
        self.map(|x| -x)
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        self.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.map(|x| if x < 0.0 { 0.0 } else { x })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;
    use std::ops::Range;

    /// Eight lanes of ones between eight of zeros.
    static ONES: [i32; 24] = {
        let mut ones = [0; 24];
        let mut lane = 8;
        while lane < 16 {
            ones[lane] = -1;
            lane += 1;
        }
        ones
    };

    /// Ones in these lanes.
    #[inline(always)]
    unsafe fn mask(lanes: Range<usize>) -> __m256i {
        debug_assert!(lanes.start <= 8 && lanes.end <= 8);
        // SAFETY: within the table, since lanes are 8 at most.
        let of = |first: usize| unsafe { _mm256_loadu_si256(ONES.as_ptr().add(first).cast()) };
        unsafe { _mm256_and_si256(of(8 - lanes.start), of(16 - lanes.end)) }
    }

    /// The same for the registers of masks.
    #[inline(always)]
    fn bits(lanes: Range<usize>) -> __mmask16 {
        ((1u32 << lanes.end) - (1u32 << lanes.start)) as __mmask16
    }

    // SAFETY of every block: the contract of the trait is that of the intrinsics.
    impl Vector for __m256 {
        const WIDTH: usize = 8;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn part(from: *const f32, lanes: Range<usize>) -> Self {
            unsafe { _mm256_maskload_ps(from, mask(lanes)) }
        }
        #[inline(always)]
        unsafe fn keep(self, lanes: Range<usize>) -> Self {
            unsafe { _mm256_and_ps(self, _mm256_castsi256_ps(mask(lanes))) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm256_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { _mm256_sub_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { _mm256_mul_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { _mm256_div_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // The instruction returns the second where one is not a number, and where both are zero.
            unsafe { _mm256_blendv_ps(_mm256_max_ps(self, other), self, _mm256_cmp_ps::<_CMP_UNORD_Q>(self, self)) }
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            unsafe { _mm256_blendv_ps(_mm256_min_ps(self, other), self, _mm256_cmp_ps::<_CMP_UNORD_Q>(self, self)) }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { _mm256_sqrt_ps(self) }
        }
        #[inline(always)]
        unsafe fn neg(self) -> Self {
            unsafe { _mm256_xor_ps(self, _mm256_set1_ps(-0.0)) }
        }
        #[inline(always)]
        unsafe fn abs(self) -> Self {
            unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            // The second where neither is larger: -0 and what is not a number stay.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), self) }
        }
    }

    // SAFETY of every block: as above.
    impl Vector for __m512 {
        const WIDTH: usize = 16;
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn part(from: *const f32, lanes: Range<usize>) -> Self {
            unsafe { _mm512_maskz_loadu_ps(bits(lanes), from) }
        }
        #[inline(always)]
        unsafe fn keep(self, lanes: Range<usize>) -> Self {
            unsafe { _mm512_maskz_mov_ps(bits(lanes), self) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm512_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { _mm512_sub_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { _mm512_mul_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { _mm512_div_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            let nan = unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self, self) };
            unsafe { _mm512_mask_mov_ps(_mm512_max_ps(self, other), nan, self) }
        }
        #[inline(always)]
        unsafe fn min(self, other: Self) -> Self {
            let nan = unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self, self) };
            unsafe { _mm512_mask_mov_ps(_mm512_min_ps(self, other), nan, self) }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { _mm512_sqrt_ps(self) }
        }
        #[inline(always)]
        unsafe fn neg(self) -> Self {
            unsafe { _mm512_xor_ps(self, _mm512_set1_ps(-0.0)) }
        }
        #[inline(always)]
        unsafe fn abs(self) -> Self {
            unsafe { _mm512_andnot_ps(_mm512_set1_ps(-0.0), self) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), self) }
        }
    }
}
