//! What kernels run on: threads and a vector width.

use crate::pool::Pool;
use crate::simd::{Simd, SimdError};

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
