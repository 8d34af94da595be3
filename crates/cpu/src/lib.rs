//! Executes plans.
pub mod conv;
pub mod gemm;
pub mod machine;
pub mod pool;
mod scratch;
pub mod simd;
