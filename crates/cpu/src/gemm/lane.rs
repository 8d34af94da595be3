//! The lane abstraction: the vector operations that a matrix kernel needs, for each instruction set.

/// Most floats in a vector.
pub(super) const WIDTH_MAX: usize = 16;

/// A vector register of `WIDTH` floats.
///
/// # Safety
/// The functions may be called only where the processor has the instruction set, and the pointers must be valid for
/// as many floats as are read or written (`WIDTH`, or those of the mask); no alignment is needed.
pub(super) trait Lane {
    /// Floats in a vector.
    const WIDTH: usize;
    /// The register type.
    type Vector: Copy;
    /// `WIDTH` vectors.
    type Block: AsRef<[Self::Vector]>;
    /// Which of the first floats of a vector are meant.
    type Mask: Copy;
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
    /// The first `count` floats, `1 <= count <= WIDTH`.
    unsafe fn mask(count: usize) -> Self::Mask;
    /// The floats of the mask at `from`; the other lanes hold anything finite.
    unsafe fn load_part(from: *const f32, mask: Self::Mask) -> Self::Vector;
    /// Stores the floats of the mask at `to`.
    unsafe fn store_part(to: *mut f32, mask: Self::Mask, value: Self::Vector);
    /// `WIDTH` floats of each of the first `WIDTH` lines, from `at` on, transposed: vector p holds float `at + p` of every
    /// line.
    unsafe fn transposed(lines: &[*const f32; WIDTH_MAX], at: usize) -> Self::Block;
    /// Asks for the cache line of `address`, which need not be valid.
    #[inline(always)]
    fn prefetch(_address: *const f32) {}
}

/// One float at a time.
pub(super) struct Scalar;

// SAFETY of every block: `from` and `to` are valid by the contract of the trait.
impl Lane for Scalar {
    const WIDTH: usize = 1;
    type Vector = f32;
    type Block = [f32; 1];
    type Mask = ();
    #[inline(always)]
    unsafe fn zero() -> f32 {
        0.0
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: f32) {
        unsafe { *to = value }
    }
    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    unsafe fn mask(_count: usize) {}
    #[inline(always)]
    unsafe fn load_part(from: *const f32, _mask: ()) -> f32 {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, _mask: (), value: f32) {
        unsafe { *to = value }
    }
    #[inline(always)]
    unsafe fn transposed(lines: &[*const f32; WIDTH_MAX], at: usize) -> [f32; 1] {
        [unsafe { *lines[0].add(at) }]
    }
}

/// The part of [`Lane`] that is one intrinsic a function.
#[allow(unused_macros)]
macro_rules! intrinsics {
    ($vector:ty, $zero:expr, $splat:expr, $load:expr, $store:expr, $fma:expr) => {
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
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lane, WIDTH_MAX};
    use std::arch::x86_64::*;

    /// Eight floats in a ymm register.
    pub struct Avx2;

    // SAFETY of every block: the contract of the trait is that of the intrinsics.
    impl Lane for Avx2 {
        const WIDTH: usize = 8;
        type Block = [__m256; 8];
        /// For loads, and the count for stores: a masked store is dozens of micro-operations on some processors.
        type Mask = (__m256i, usize);
        intrinsics!(__m256, _mm256_setzero_ps(), _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps);
        #[inline(always)]
        unsafe fn mask(count: usize) -> (__m256i, usize) {
            let index = unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) };
            (unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), index) }, count)
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, (mask, _): (__m256i, usize)) -> __m256 {
            unsafe { _mm256_maskload_ps(from, mask) }
        }
        #[inline(always)]
        unsafe fn store_part(mut to: *mut f32, (_, count): (__m256i, usize), value: __m256) {
            unsafe {
                let mut rest = _mm256_castps256_ps128(value);
                if count & 8 != 0 {
                    return _mm256_storeu_ps(to, value);
                }
                if count & 4 != 0 {
                    _mm_storeu_ps(to, rest);
                    rest = _mm256_extractf128_ps::<1>(value);
                    to = to.add(4);
                }
                if count & 2 != 0 {
                    _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                    rest = _mm_movehl_ps(rest, rest);
                    to = to.add(2);
                }
                if count & 1 != 0 {
                    _mm_store_ss(to, rest);
                }
            }
        }
        #[inline(always)]
        unsafe fn transposed(lines: &[*const f32; WIDTH_MAX], at: usize) -> [__m256; 8] {
            unsafe {
                // Half q of t[g][i]: floats 4 g.. of line 4 q + i. Loads do a third of the work of the transpose.
                let mut t = [[_mm256_setzero_ps(); 4]; 2];
                for i in 0..4 {
                    let (low, high) = (lines[i].add(at), lines[4 + i].add(at));
                    for (g, t) in t.iter_mut().enumerate() {
                        let low = _mm256_castps128_ps256(_mm_loadu_ps(low.add(4 * g)));
                        t[i] = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(high.add(4 * g)));
                    }
                }
                let mut block = [_mm256_setzero_ps(); 8];
                for (g, t) in t.iter().enumerate() {
                    let (a, b) = (_mm256_unpacklo_ps(t[0], t[1]), _mm256_unpackhi_ps(t[0], t[1]));
                    let (c, d) = (_mm256_unpacklo_ps(t[2], t[3]), _mm256_unpackhi_ps(t[2], t[3]));
                    block[4 * g] = _mm256_shuffle_ps::<0x44>(a, c);
                    block[4 * g + 1] = _mm256_shuffle_ps::<0xEE>(a, c);
                    block[4 * g + 2] = _mm256_shuffle_ps::<0x44>(b, d);
                    block[4 * g + 3] = _mm256_shuffle_ps::<0xEE>(b, d);
                }
                block
            }
        }
        #[inline(always)]
        fn prefetch(address: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }

    /// Sixteen floats in a zmm register.
    pub struct Avx512;

    // SAFETY of every block: the contract of the trait is that of the intrinsics.
    impl Lane for Avx512 {
        const WIDTH: usize = 16;
        type Block = [__m512; 16];
        type Mask = __mmask16;
        intrinsics!(__m512, _mm512_setzero_ps(), _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps);
        #[inline(always)]
        unsafe fn mask(count: usize) -> __mmask16 {
            ((1u32 << count) - 1) as __mmask16
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, mask: __mmask16) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(mask, from) }
        }
        #[inline(always)]
        unsafe fn store_part(to: *mut f32, mask: __mmask16, value: __m512) {
            unsafe { _mm512_mask_storeu_ps(to, mask, value) }
        }
        #[inline(always)]
        unsafe fn transposed(lines: &[*const f32; WIDTH_MAX], at: usize) -> [__m512; 16] {
            unsafe {
                // Quarter q of t[g][i]: floats 4 g.. of line 4 q + i. Loads do half of the work of the transpose.
                let mut t = [[_mm512_setzero_ps(); 4]; 4];
                for i in 0..4 {
                    let line = [0, 4, 8, 12].map(|q| lines[q + i].add(at));
                    for (g, t) in t.iter_mut().enumerate() {
                        let quarter = |q: usize| _mm_loadu_ps(line[q].add(4 * g));
                        t[i] = _mm512_castps128_ps512(quarter(0));
                        t[i] = _mm512_insertf32x4::<1>(t[i], quarter(1));
                        t[i] = _mm512_insertf32x4::<2>(t[i], quarter(2));
                        t[i] = _mm512_insertf32x4::<3>(t[i], quarter(3));
                    }
                }
                let mut block = [_mm512_setzero_ps(); 16];
                for (g, t) in t.iter().enumerate() {
                    let (a, b) = (_mm512_unpacklo_ps(t[0], t[1]), _mm512_unpackhi_ps(t[0], t[1]));
                    let (c, d) = (_mm512_unpacklo_ps(t[2], t[3]), _mm512_unpackhi_ps(t[2], t[3]));
                    block[4 * g] = _mm512_shuffle_ps::<0x44>(a, c);
                    block[4 * g + 1] = _mm512_shuffle_ps::<0xEE>(a, c);
                    block[4 * g + 2] = _mm512_shuffle_ps::<0x44>(b, d);
                    block[4 * g + 3] = _mm512_shuffle_ps::<0xEE>(b, d);
                }
                block
            }
        }
        #[inline(always)]
        fn prefetch(address: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Lane, WIDTH_MAX};
    use std::arch::aarch64::*;

    /// Four floats in a v register.
    pub struct Neon;

    // SAFETY of every block: the contract of the trait is that of the intrinsics.
    impl Lane for Neon {
        const WIDTH: usize = 4;
        type Block = [float32x4_t; 4];
        type Mask = usize;
        intrinsics!(float32x4_t, vdupq_n_f32(0.0), vdupq_n_f32, vld1q_f32, vst1q_f32, |a, b, c| vfmaq_f32(c, a, b));
        #[inline(always)]
        unsafe fn mask(count: usize) -> usize {
            count
        }
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> float32x4_t {
            let mut all = [0.0; 4];
            unsafe {
                std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), count);
                vld1q_f32(all.as_ptr())
            }
        }
        #[inline(always)]
        unsafe fn store_part(to: *mut f32, count: usize, value: float32x4_t) {
            let mut all = [0.0; 4];
            unsafe {
                vst1q_f32(all.as_mut_ptr(), value);
                std::ptr::copy_nonoverlapping(all.as_ptr(), to, count);
            }
        }
        #[inline(always)]
        unsafe fn transposed(lines: &[*const f32; WIDTH_MAX], at: usize) -> [float32x4_t; 4] {
            unsafe {
                let line = |i: usize| vld1q_f32(lines[i].add(at));
                let (l0, l1, l2, l3) = (line(0), line(1), line(2), line(3));
                let pair = |a, b| vreinterpretq_f64_f32(vtrn1q_f32(a, b));
                let odd = |a, b| vreinterpretq_f64_f32(vtrn2q_f32(a, b));
                let (a, b, c, d) = (pair(l0, l1), odd(l0, l1), pair(l2, l3), odd(l2, l3));
                [
                    vreinterpretq_f32_f64(vtrn1q_f64(a, c)),
                    vreinterpretq_f32_f64(vtrn1q_f64(b, d)),
                    vreinterpretq_f32_f64(vtrn2q_f64(a, c)),
                    vreinterpretq_f32_f64(vtrn2q_f64(b, d)),
                ]
            }
        }
    }
}
#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;
