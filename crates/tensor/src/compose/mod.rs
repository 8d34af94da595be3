//! Composite functions: named formulas made of the ops, so that their gradients, of any order, follow by construction.

mod activation;
mod failure;
mod loss;
mod norm;
mod resize;
mod softmax;

pub use resize::Resize;
