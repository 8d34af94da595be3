//! Composite functions: named formulas made of the ops, so that their gradients, of any order, follow by construction.

mod activation;
mod failure;
mod loss;
mod norm;
mod recurrent;
mod resize;
mod softmax;

pub(crate) use recurrent::adjoint as recurrent_adjoint;
pub use resize::Resize;
