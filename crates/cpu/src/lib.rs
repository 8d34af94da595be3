//! Executes plans.
pub mod gemm;
pub mod machine;
pub mod pool;
mod scratch;
pub mod simd;
