//! The graph.
pub mod philox;
