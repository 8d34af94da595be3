//! The graph.
pub mod math;
pub mod philox;
