//! The page itself: every file of `page/`, in the binary.

use crate::response::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! page {
    ($($path:literal $kind:ident $file:literal;)*) => {
        &[$(($path, $kind, include_str!(concat!("../page/", $file)))),*]
    };
}

const ASSETS: &[(&str, &str, &str)] = page! {
    "/" HTML "index.html";
    "/style.css" CSS "style.css";
    "/icon.svg" SVG "icon.svg";
    "/app.js" JS "app.js";
    "/api.js" JS "api.js";
    "/draw.js" JS "draw.js";
    "/registry.js" JS "registry.js";
    "/chart.js" JS "chart.js";
    "/matrix.js" JS "matrix.js";
    "/needs.js" JS "needs.js";
    "/views/runs.js" JS "views/runs.js";
    "/views/time.js" JS "views/time.js";
    "/views/sample.js" JS "views/sample.js";
    "/views/confusion.js" JS "views/confusion.js";
    "/views/try.js" JS "views/try.js";
    "/graph.css" CSS "graph.css";
    "/graph/canvas.js" JS "graph/canvas.js";
    "/graph/panel.js" JS "graph/panel.js";
    "/views/graph.js" JS "views/graph.js";
    "/views/cells.js" JS "views/cells.js";
    "/views/teach.js" JS "views/teach.js";
};

/// The file at a path.
pub fn find(path: &str) -> Option<Response> {
    let (_, kind, text) = ASSETS.iter().find(|(of, ..)| *of == path)?;
    Some(Response::new(200, kind, text.as_bytes().to_vec()))
}
