//! The graph: shapes, dtypes, ops, gradients, the reference interpreter, plans, and errors that lead home.
//!
//! A [`Tensor`] is a cheap handle to an immutable node. Nothing computes until a device is asked for values.

pub mod array;
mod compose;
pub mod dtype;
pub mod error;
mod grad;
pub mod half;
pub mod ids;
pub mod layout;
pub mod math;
pub mod op;
pub mod ops;
pub mod order;
pub mod origin;
pub mod philox;
pub mod plan;
pub mod real;
mod recast;
pub mod reference;
mod replace;
pub mod samples;
pub mod shape;
mod tensor;
pub mod var;

pub use array::{Array, Element, Values};
pub use compose::Resize;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use layout::Layout;
pub use op::{Op, Scalar};
pub use ops::attention::AttentionOptions;
pub use ops::conv::ConvOptions;
pub use ops::pool::PoolOptions;
pub use ops::recurrent::ScanOptions;
pub use origin::{LayerPath, Origin, in_layer};
pub use philox::RandomKey;
pub use shape::{Axes, AxisSet, Dims, Shape};
pub use tensor::{Node, Tensor};
pub use var::{Update, Var};
