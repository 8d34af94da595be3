//! Everything that can be asked: one table.

use serde_json::Value;

use crate::bench::Bench;
use crate::error::Result;
use crate::graph::answers as graph;
use crate::query::Query;
use crate::{Studio, answers, attempt, attribution, cells, curves, flow, inputs, layers, runs, teach, tensors};

/// A place to ask at.
pub struct Route {
    /// Its path.
    pub path: &'static str,
    /// Whether an input comes along.
    pub post: bool,
    /// What answers.
    pub answer: Answer,
}

/// What answers a question.
#[derive(Clone, Copy)]
pub enum Answer {
    /// JSON, at once.
    Json(fn(&Studio, &Query) -> Result<Value>),
    /// What needs the run of the value `run` brought to one of its steps: by the worker, in turn. A JSON object among the
    /// answers gets a member `proof`: how it was made and verified.
    Replay(fn(&mut Bench, &Query) -> Result<Value>),
}

const fn get(path: &'static str, answer: Answer) -> Route {
    Route { path, post: false, answer }
}

/// All of them.
pub const ROUTES: &[Route] = &[
    get("/api/runs", Answer::Json(runs::list)),
    get("/api/run", Answer::Json(runs::facts)),
    get("/api/curve", Answer::Json(curves::curve)),
    get("/api/work", Answer::Json(|studio, _| Ok(studio.worker().progress()))),
    get("/api/step", Answer::Replay(tensors::step)),
    get("/api/tensor", Answer::Replay(tensors::tensor)),
    get("/api/weights", Answer::Replay(layers::weights)),
    get("/api/layers", Answer::Replay(layers::of_row)),
    get("/api/flow", Answer::Replay(flow::flow)),
    get("/api/data", Answer::Replay(inputs::parts)),
    get("/api/rows", Answer::Replay(answers::rows)),
    get("/api/sample", Answer::Replay(inputs::sample)),
    get("/api/history", Answer::Replay(inputs::history)),
    get("/api/methods", Answer::Json(attribution::methods)),
    get("/api/attribution", Answer::Replay(attribution::attribution)),
    get("/api/neighbours", Answer::Replay(answers::neighbours)),
    get("/api/confusion", Answer::Replay(answers::confusion)),
    get("/api/cell", Answer::Replay(answers::cell)),
    Route { path: "/api/try", post: true, answer: Answer::Replay(attempt::attempt) },
    get("/api/graph", Answer::Replay(graph::graph)),
    get("/api/graph/box", Answer::Replay(graph::about)),
    get("/api/graph/source", Answer::Replay(graph::lines)),
    get("/api/graph/times", Answer::Replay(graph::times)),
    get("/api/cells", Answer::Replay(cells::cells)),
    get("/api/cells/tuning", Answer::Replay(cells::tuning)),
    get("/api/cells/answer", Answer::Replay(cells::answer)),
    get("/api/teach", Answer::Json(teach::teach)),
];
