//! Values that come from positions: counters and random numbers.

use tensor::DType;
use tensor::RandomKey;
use tensor::half::{f32_to_bf16, f32_to_f16};
use tensor::op::Distribution;
use tensor::ops::source::{normal_group, random_f64};
use tensor::philox::unit;

use crate::simd::Simd;

/// Positions `first, first + stride, ...` as numbers of `dtype`.
///
/// # Safety
/// `out` has room for `count` of them.
pub unsafe fn count(first: isize, stride: isize, count: usize, dtype: DType, out: *mut u8) {
    let at = |i: usize| (first + i as isize * stride) as i64;
    macro_rules! write {
        ($t:ty, |$x:ident| $convert:expr) => {{
            // SAFETY: by the promise of the caller.
            let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<$t>(), count) };
            for (i, y) in out.iter_mut().enumerate() {
                let $x = at(i);
                *y = $convert;
            }
        }};
    }
    match dtype {
        DType::F16 => write!(u16, |x| f32_to_f16(x as f32)),
        DType::BF16 => write!(u16, |x| f32_to_bf16(x as f32)),
        DType::F32 => write!(f32, |x| x as f32),
        DType::F64 => write!(f64, |x| x as f64),
        DType::I32 => write!(i32, |x| x as i32),
        DType::I64 => write!(i64, |x| x),
        DType::U8 => write!(u8, |x| x as u8),
        DType::Bool => write!(u8, |x| u8::from(x != 0)),
    }
}

/// Philox groups made side by side: one AVX-512 register of words.
const GROUPS: usize = 16;

/// Random numbers for the elements `first .. first + count`.
///
/// # Safety
/// `out` has room for `count` values of `dtype`, which the distribution allows.
pub unsafe fn random(
    simd: Simd,
    distribution: Distribution,
    key: RandomKey,
    (first, count): (u64, usize),
    dtype: DType,
    out: *mut u8,
) {
    if distribution == Distribution::Bits {
        // SAFETY: by the promise of the caller: bits are i64.
        let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<i64>(), count) };
        for (i, y) in out.iter_mut().enumerate() {
            let index = first + i as u64;
            *y = i64::from(key.words(index / 4)[index as usize % 4]);
        }
    } else if dtype == DType::F32 {
        // SAFETY: by the promise of the caller.
        let mut out = unsafe { std::slice::from_raw_parts_mut(out.cast::<f32>(), count) };
        let mut group = first / 4;
        let mut skip = (first % 4) as usize;
        while !out.is_empty() {
            let mut values = [[0.0f32; 4]; GROUPS];
            simd.run(
                #[inline(always)]
                || fill_groups(distribution, key, group, &mut values),
            );
            let ready = &values.as_flattened()[skip..];
            let taken = ready.len().min(out.len());
            out[..taken].copy_from_slice(&ready[..taken]);
            out = &mut out[taken..];
            group += GROUPS as u64;
            skip = 0;
        }
    } else {
        // SAFETY: by the promise of the caller.
        let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<f64>(), count) };
        for (i, y) in out.iter_mut().enumerate() {
            *y = random_f64(distribution, key, first + i as u64);
        }
    }
}

#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn fill_groups(distribution: Distribution, key: RandomKey, first: u64, values: &mut [[f32; 4]; GROUPS]) {
    let mut words = [[0u32; GROUPS]; 4];
    for group in 0..GROUPS {
        let of_group = key.words(first + group as u64);
        for word in 0..4 {
            words[word][group] = of_group[word];
        }
    }
    if distribution == Distribution::Normal {
        for group in 0..GROUPS {
            values[group] = normal_group([words[0][group], words[1][group], words[2][group], words[3][group]]);
        }
    } else {
        for group in 0..GROUPS {
            for word in 0..4 {
                values[group][word] = unit(words[word][group]);
            }
        }
    }
}
