//! Transcripts: the built binary, run as a user runs it.

mod bench;
mod crash;
mod data;
mod determinism;
mod errors;
mod interrupt;
mod open;
mod practice;
mod read_only;
mod replay;
mod report;
mod resume;
mod see;
mod support;
mod sweep;
mod table;
mod text;
mod transcripts;
mod why;
mod words;
