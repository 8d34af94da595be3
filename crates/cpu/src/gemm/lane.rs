//! The lane abstraction: the five vector operations that a matrix kernel needs, for each instruction set.

/// A vector register of `WIDTH` floats.
///
/// # Safety
/// The functions may be called only where the processor has the instruction set, and the pointers must be valid for
/// `WIDTH` floats; no alignment is needed.
pub(super) trait Lane {
    /// Floats in a vector.
    const WIDTH: usize;
    /// The register type.
    type Vector: Copy;
    /// All lanes zero.
    unsafe fn zero() -> Self::Vector;
    /// All lanes `*from`.
    unsafe fn splat(from: *const f32) -> Self::Vector;
    /// `WIDTH` floats at `from`.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Stores at `to`.
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// a * b + c, rounded once.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Asks for the cache line of `address`, which need not be valid.
    #[inline(always)]
    fn prefetch(_address: *const f32) {}
}

/// One float at a time.
pub(super) struct Scalar;

impl Lane for Scalar {
    const WIDTH: usize = 1;
    type Vector = f32;
    #[inline(always)]
    unsafe fn zero() -> f32 {
        0.0
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> f32 {
        // SAFETY: `from` is valid by the contract of the trait.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> f32 {
        // SAFETY: as above.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: f32) {
        // SAFETY: as above.
        unsafe { *to = value }
    }
    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Implements [`Lane`] by five intrinsics of one instruction set.
#[allow(unused_macros)]
macro_rules! lane {
    ($name:ident, $doc:literal, $width:literal, $vector:ty, $zero:expr, $splat:ident, $load:ident, $store:ident, $fma:expr) => {
        #[doc = $doc]
        pub struct $name;

        // SAFETY of every block: the contract of the trait is that of the intrinsic.
        impl Lane for $name {
            const WIDTH: usize = $width;
            type Vector = $vector;
            #[inline(always)]
            unsafe fn zero() -> $vector {
                unsafe { $zero }
            }
            #[inline(always)]
            unsafe fn splat(from: *const f32) -> $vector {
                unsafe { $splat(*from) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> $vector {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, value: $vector) {
                unsafe { $store(to, value) }
            }
            #[inline(always)]
            unsafe fn fma(a: $vector, b: $vector, c: $vector) -> $vector {
                unsafe { $fma(a, b, c) }
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            fn prefetch(address: *const f32) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lane;
    use std::arch::x86_64::*;

    lane!(
        Avx2,
        "Eight floats in a ymm register.",
        8,
        __m256,
        _mm256_setzero_ps(),
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps
    );
    lane!(
        Avx512,
        "Sixteen floats in a zmm register.",
        16,
        __m512,
        _mm512_setzero_ps(),
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps
    );
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Lane;
    use std::arch::aarch64::*;

    lane!(
        Neon,
        "Four floats in a v register.",
        4,
        float32x4_t,
        vdupq_n_f32(0.0),
        vdupq_n_f32,
        vld1q_f32,
        vst1q_f32,
        |a, b, c| vfmaq_f32(c, a, b)
    );
}
#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;
