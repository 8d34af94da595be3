//! Why a training ended with an error: what it was, what was found of it, and what to ask.

use std::fmt::Write as _;

use serde_json::Value;

use super::Report;
use super::page::escaped;
use crate::event::Status;
use crate::run_dir::RunDir;

/// Findings that are told; `glassbox why` tells all.
const SHOWN: usize = 4;

/// The error that ended the training of a run, if one did: the last note in its log.
pub(super) fn error_of(run: &RunDir) -> Option<String> {
    let status = &run.record().status;
    if *status != Status::Diverged.word() && *status != Status::Failed.word() {
        return None;
    }
    let log = std::fs::read(run.path().join("log").join("events.jsonl")).unwrap_or_default();
    let mut notes = log.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let text = notes.rfind(|event| event["event"] == "note")?["text"].as_str()?.to_owned();
    Some(text)
}

pub(super) fn stopped(html: &mut String, report: &Report) {
    let Some(error) = &report.stopped else { return };
    let mut lines = error.lines();
    let what = lines.next().unwrap_or_default();
    let _ = write!(html, "<section>\n<h2>Why it stopped</h2>\n<div class=\"card\">\n<p>{}</p>\n", escaped(what));
    for line in lines {
        let _ = writeln!(html, "<p class=\"note\">{}</p>", escaped(line.trim()));
    }
    let diverged = report.record.status == Status::Diverged.word();
    if let Some(why) = report.why.as_ref().filter(|why| !why.findings.is_empty()) {
        html.push_str("<ol>\n");
        for finding in why.findings.iter().take(SHOWN) {
            let _ = write!(
                html,
                "<li><b>{} at step {}</b>: {}",
                finding.kind.word(),
                finding.step,
                escaped(&finding.because)
            );
            if let Some(op) = &finding.op {
                let _ = write!(html, " <span class=\"mono\">{} at {}</span>", op.name, escaped(&op.at));
            }
            if let Some(layer) = &finding.layer {
                let _ = write!(html, " <span class=\"note\">layer {}</span>", escaped(layer));
            }
            for row in finding.rows.iter().take(SHOWN) {
                let _ = write!(html, "<br><span class=\"note\">row {}: {}</span>", row.row, escaped(&row.id));
            }
            html.push_str("</li>\n");
        }
        html.push_str("</ol>\n");
        let more = why.findings.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(html, "<p class=\"note\">and {more} more</p>");
        }
    }
    if diverged {
        let place = escaped(&report.place);
        let _ = write!(
            html,
            "<p class=\"note\">With the numbers, and what would have been otherwise:</p>\n<pre>glassbox why {place}</pre>\n"
        );
    }
    html.push_str("</div>\n</section>\n");
}
