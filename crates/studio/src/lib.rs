//! The studio: one local page on which runs are looked at, served by the binary itself.
//!
//! It only reads. A page asks for JSON and pictures ([`routes`]); what needs a step of the past is computed again by one
//! thread ([`worker`]) and says how it was verified.

#![warn(missing_docs)]

pub mod answers;
mod assets;
pub mod attempt;
pub mod attribution;
pub mod bench;
mod cache;
pub mod cells;
pub mod curves;
pub mod error;
pub mod flow;
mod gate;
pub mod graph;
pub mod inputs;
pub mod layers;
mod lines;
mod logs;
mod network;
pub mod query;
pub mod request;
mod response;
pub mod routes;
mod runs;
pub mod server;
pub mod teach;
pub mod tensors;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::logs::Logs;
pub use crate::response::Response;
use crate::routes::{Answer, ROUTES};
use crate::runs::Runs;
use crate::worker::Worker;
pub use bench::Bench;
pub use error::{Error, Result};
pub use network::Network;
pub use query::Query;
pub use server::Server;

/// What the page may look at, and what is kept to answer it.
pub struct Studio {
    runs: Runs,
    logs: Logs,
    worker: Worker,
}

/// How much the studio may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads that compute steps again; changes no result.
    pub threads: usize,
    /// Bytes of answers that are kept.
    pub answers: usize,
}

impl Default for Limits {
    /// One thread, so that a training beside it keeps the machine.
    fn default() -> Limits {
        Limits { threads: 1, answers: 128 << 20 }
    }
}

impl Studio {
    /// Over a run, a folder of runs, or a model without its run.
    ///
    /// # Errors
    /// If none of them lies there, or the CPU cannot be set up.
    pub fn new(place: &Path, limits: Limits) -> train::Result<Studio> {
        Ok(Studio { runs: Runs::new(place)?, logs: Logs::default(), worker: Worker::new(limits)? })
    }

    /// The runs that can be asked about.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    pub(crate) fn logs(&self) -> &Logs {
        &self.logs
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The answer to a question. `gone` says whether nobody waits for it any more.
    pub fn answer(&self, post: bool, query: &Query, gone: &dyn Fn() -> bool) -> Response {
        let answered = catch_unwind(AssertUnwindSafe(|| self.find(post, query, gone)));
        answered.unwrap_or(Err(Error::Panic)).unwrap_or_else(|error| Response::error(&error))
    }

    fn find(&self, post: bool, query: &Query, gone: &dyn Fn() -> bool) -> Result<Response> {
        if let Some(asset) = assets::find(query.path()).filter(|_| !post) {
            return Ok(asset);
        }
        let route = ROUTES.iter().find(|route| route.path == query.path() && route.post == post);
        let route = route.ok_or_else(|| Error::Missing(format!("there is nothing at {}", query.path())))?;
        match route.answer {
            Answer::Json(answer) => Ok(Response::json(200, &answer(self, query)?)),
            Answer::Replay(question) => {
                self.worker.ask(&self.runs.find_any(query.text("run")?)?, query, question, gone)
            }
        }
    }
}
