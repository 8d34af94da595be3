//! What the user sees: one self-rewriting line on a terminal, plain lines in a pipe, objects with `--json`.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use glassbox::train::{Error, Event, Status};
use serde_json::json;

/// How often the line of a terminal is rewritten.
const REWRITE: Duration = Duration::from_millis(100);
/// How often a step deserves a plain line or an object.
const LINE: Duration = Duration::from_secs(5);

/// Shows the events of a run.
pub struct Screen {
    json: bool,
    terminal: bool,
    shown: Instant,
    /// Whether the terminal's last line is to be rewritten.
    open: bool,
}

impl Screen {
    /// For standard output as it is.
    pub fn new(json: bool) -> Screen {
        // A dumb terminal cannot go back in a line.
        let rewrites = std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let terminal = !json && rewrites && std::io::stdout().is_terminal();
        Screen { json, terminal, shown: Instant::now(), open: false }
    }

    /// Ends the terminal's last line, if it was to be rewritten, so that other words may follow.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            print(format_args!("\n"));
        }
    }

    /// Shows an event, if it is time for it.
    pub fn show(&mut self, event: &Event) {
        if let Event::Step(step) = event {
            let due = if self.terminal { REWRITE } else { LINE };
            if self.shown.elapsed() < due && step.step < step.steps {
                return;
            }
            self.shown = Instant::now();
        }
        if self.json {
            say(event.to_json());
            return;
        }
        let Some(line) = event.line() else { return };
        match (self.terminal, event) {
            // Back to the line's start, and clear it. What a narrow terminal has no room for is cut off: only one row can be
            // cleared.
            (true, Event::Step(_)) => print(format_args!("\r\x1b[2K\x1b[?7l{line}\x1b[?7h")),
            (true, _) if self.open => print(format_args!("\r\x1b[2K{line}\n")),
            // A step that ends an epoch is told by the epoch's line.
            (false, Event::Step(step)) if step.step == step.steps => {}
            _ => say(line),
        }
        self.open = self.terminal && matches!(event, Event::Step(_));
    }
}

/// Why standard output could not be written, the first time.
static FAILED: OnceLock<String> = OnceLock::new();

/// Why something that was to be printed was not, if anything.
pub fn failure() -> Option<&'static str> {
    FAILED.get().map(String::as_str)
}

/// Notes a failure to write standard output. A reader that went away is none: nobody is left to tell.
pub fn check(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FAILED.set(error.to_string());
    }
}

/// Prints a line on standard output.
pub fn say(line: impl Display) {
    print(format_args!("{line}\n"));
}

fn print(text: std::fmt::Arguments) {
    let mut out = std::io::stdout().lock();
    check(out.write_fmt(text).and_then(|()| out.flush()));
}

/// Prints a note on standard error.
pub fn warn(note: impl Display) {
    let _ = writeln!(std::io::stderr(), "note: {note}");
}

/// Prints an error on standard error and, with `--json`, as an object on standard output.
pub fn error(error: &Error, json: bool) {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    if json {
        say(json!({ "event": "error", "code": crate::exit::code(error), "message": error.to_string() }));
    }
}

/// With `--json`, the last object of a command that failed.
pub fn failed(code: u8) {
    let status = if code == crate::exit::DIVERGED { Status::Diverged } else { Status::Failed };
    say(json!({ "event": "end", "status": status.word(), "code": code }));
}
