//! The `glassbox` binary.
fn main() {}
