//! Fused programs: elementwise chains and reductions, run tile by tile while everything stays in the cache.
//!
//! A program is made ready once for a plan ([`prepare`]); then each instruction is one loop over a tile ([`kernels`]),
//! chosen beforehand. Order of sums: [`tensor::order`], whatever the tiles.

mod affine;
mod ahead;
mod chain;
pub mod fold;
mod frame;
mod joined;
pub mod kernels;
mod later;
mod moments;
mod parts;
mod patterns;
mod pieces;
pub mod prepare;
pub mod program;
pub mod run;
pub mod source;
mod strip;
mod sums;
mod terms;
mod tiles;
mod vector;
pub mod walk;
