//! The systems.
