//! Vector instruction sets: which ones this processor has, and how plain loops are compiled for the one in use.
//!
//! The choice never shows in a result: every kernel computes the same bits at every level.

use std::fmt;

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// What every processor of the architecture has; fused multiply-add may be a function call.
    Scalar,
    /// x86-64 with AVX2 and FMA: 8 floats at a time.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL: 16 floats at a time.
    Avx512,
    /// 64-bit ARM: 4 floats at a time.
    Neon,
}

impl Level {
    /// Every level, narrowest first.
    pub const ALL: [Level; 4] = [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512];

    /// The name that `GLASSBOX_SIMD` takes.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Neon => "neon",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an instruction set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimdError {
    /// No instruction set has that name.
    #[error("unknown instruction set {name:?} (GLASSBOX_SIMD takes scalar, avx2, avx512 or neon)")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The instruction set exists, but not on this processor.
    #[error("this processor has no {asked}; the widest that it has is {best} (unset GLASSBOX_SIMD to use it)")]
    Unsupported {
        /// The level that was asked for.
        asked: Level,
        /// The widest level of this processor.
        best: Level,
    },
}

/// A level that this processor is known to have: to hold one is the proof that its code may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Simd(Level);

impl Simd {
    /// The level that every processor has.
    pub const SCALAR: Simd = Simd(Level::Scalar);

    /// `level`, if this processor has it.
    pub fn new(level: Level) -> Result<Simd, SimdError> {
        if supported(level) {
            Ok(Simd(level))
        } else {
            Err(SimdError::Unsupported { asked: level, best: Simd::detect().0 })
        }
    }

    /// The widest level of this processor.
    pub fn detect() -> Simd {
        Simd::available().pop().unwrap_or(Simd::SCALAR)
    }

    /// Every level of this processor, narrowest first.
    pub fn available() -> Vec<Simd> {
        Level::ALL.into_iter().filter(|&level| supported(level)).map(Simd).collect()
    }

    /// The level named by the environment variable `GLASSBOX_SIMD`, or the widest where it is unset or empty.
    pub fn from_env() -> Result<Simd, SimdError> {
        match std::env::var_os("GLASSBOX_SIMD") {
            Some(name) if !name.is_empty() => Simd::named(&name.to_string_lossy()),
            _ => Ok(Simd::detect()),
        }
    }

    /// The level called `name`, if this processor has it.
    pub fn named(name: &str) -> Result<Simd, SimdError> {
        match Level::ALL.into_iter().find(|level| level.name() == name) {
            Some(level) => Simd::new(level),
            None => Err(SimdError::Unknown { name: name.to_owned() }),
        }
    }

    /// Which level this is.
    pub fn level(self) -> Level {
        self.0
    }

    /// Runs `task` compiled for this level: plain loops in it become vector loops of that width.
    ///
    /// The closure must be inlined for this to work, so write `simd.run(#[inline(always)] || ...)` and mark the
    /// functions that it calls `#[inline(always)]` too; what is not inlined runs correctly, but narrow. Arithmetic in
    /// a closure inside (`for_each(|x| ...)`) is easily not inlined, and `mul_add` there is then a function call:
    /// write `for` loops.
    #[inline(always)]
    pub fn run<R>(self, task: impl FnOnce() -> R) -> R {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Simd` holds this level only where the processor has these features.
            Level::Avx2 => unsafe { run_avx2(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::Avx512 => unsafe { run_avx512(task) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Level::Neon => unsafe { run_neon(task) },
            _ => task(),
        }
    }
}

/// Asks for the cache line of an address, which need not be valid, into the second-level cache.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address; the instruction is in every x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

fn supported(level: Level) -> bool {
    match level {
        Level::Scalar => true,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            supported(Level::Avx2)
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
        }
        #[cfg(target_arch = "aarch64")]
        Level::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<R>(task: impl FnOnce() -> R) -> R {
    task()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn run_avx512<R>(task: impl FnOnce() -> R) -> R {
    task()
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn run_neon<R>(task: impl FnOnce() -> R) -> R {
    task()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_or_absent_level_is_an_error_that_says_what_to_do() {
        assert_eq!(
            Simd::named("sse").unwrap_err().to_string(),
            "unknown instruction set \"sse\" (GLASSBOX_SIMD takes scalar, avx2, avx512 or neon)"
        );
        let absent = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        assert!(Simd::named(absent).unwrap_err().to_string().contains("this processor has no"));
        assert_eq!(Simd::named("scalar"), Ok(Simd::SCALAR));
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let xs: Vec<f32> = (0..1000).map(|i| i as f32 * 0.37 - 90.0).collect();
        let run = |simd: Simd| -> Vec<u32> {
            let mut ys = vec![0.0f32; xs.len()];
            simd.run(
                #[inline(always)]
                || {
                    for (y, x) in ys.iter_mut().zip(&xs) {
                        *y = x.mul_add(*x, 1.0 / *x);
                    }
                },
            );
            ys.iter().map(|y| y.to_bits()).collect()
        };
        for simd in Simd::available() {
            assert_eq!(run(simd), run(Simd::SCALAR), "{}", simd.level());
        }
    }
}
