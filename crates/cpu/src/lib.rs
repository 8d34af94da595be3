//! Executes plans on the CPU: kernels, SIMD, threads. `unsafe` lives here and nowhere else.

mod attention;
pub mod ceiling;
pub mod conv;
mod copy;
mod device;
mod exec;
pub mod gemm;
pub mod machine;
pub mod pool;
mod recurrent;
mod scratch;
pub mod simd;

pub use device::{Cpu, Run};
