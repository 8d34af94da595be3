//! The ledger of a run: what each step was made with and came to, in a few bytes.
//!
//! `log/steps.bin`, `log/rows.bin` and `log/times.bin` are sequences of frames (see [`frame`]), one a step. The first two are
//! the same bytes for the same seed. They are proof and index, not the past itself: that is computed again ([`crate::Run`])
//! and must meet what is written here.

mod follow;
mod frame;
mod hash;
mod norms;
mod read;
mod record;
mod recorder;

pub use follow::{Following, last};
pub use hash::StateHash;
pub(crate) use norms::Norms;
pub use read::Ledger;
pub(crate) use record::Entry;
pub use record::{RowLoss, StepRecord, StepRows, StepTimes};
pub(crate) use recorder::Recorder;

/// Figures of each step.
const STEPS: &str = "steps.bin";
/// Rows of each step and their losses.
const ROWS: &str = "rows.bin";
/// How long each step took.
const TIMES: &str = "times.bin";
