//! The families of ops, one room each: how nodes are built, and the page of each op.

pub mod attention;
pub mod binary;
pub mod conv;
mod factor;
pub mod index;
pub mod join;
pub mod matmul;
pub mod pool;
pub mod recurrent;
pub mod reduce;
pub mod select;
pub mod sort;
pub mod source;
pub mod unary;
pub mod view;
