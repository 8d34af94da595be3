//! Transcripts: the built binary, run as a user runs it.

mod bench;
mod determinism;
mod errors;
mod interrupt;
mod support;
mod transcripts;
