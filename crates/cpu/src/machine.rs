//! What kernels run on: threads and a vector width.

use crate::pool::Pool;
use crate::simd::{Simd, SimdError};
use std::sync::OnceLock;

/// The threads and the instruction set that a kernel call uses. No result depends on either.
pub struct Machine {
    /// The threads.
    pub pool: Pool,
    /// The instruction set.
    pub simd: Simd,
}

impl Machine {
    /// `threads` threads (0: one for each core) and the instruction set that `GLASSBOX_SIMD` names, or else the widest.
    pub fn new(threads: usize) -> Result<Machine, SimdError> {
        Ok(Machine { simd: Simd::from_env()?, pool: Pool::new(threads) })
    }
}

/// Bytes of the second-level cache of a core. Kernels choose the size of their blocks by it, which never shows in a result.
pub(crate) fn second_level() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            // Leaf 0x80000006 of AMD and Intel alike: KiB in the upper half of ECX.
            let highest = std::arch::x86_64::__cpuid(0x8000_0000).eax;
            if highest >= 0x8000_0006 {
                let kib = (std::arch::x86_64::__cpuid(0x8000_0006).ecx >> 16) as usize;
                if (128..=8192).contains(&kib) {
                    return kib << 10;
                }
            }
        }
        512 << 10
    })
}
