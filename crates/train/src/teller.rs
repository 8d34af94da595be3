//! Who hears what happens in a run: the listener, and the log.

use crate::error::{Error, Result};
use crate::event::Event;
use crate::ledger::Entry;
use crate::log::Log;

/// Tells events to a listener and writes them to the log.
pub(crate) struct Teller<'a> {
    listen: &'a mut dyn FnMut(&Event),
    log: Log,
    /// Whether training goes on when the disk refuses something.
    lenient: bool,
    /// Whether the log was said to be incomplete.
    complained: bool,
}

impl<'a> Teller<'a> {
    pub fn new(listen: &'a mut dyn FnMut(&Event), log: Log, lenient: bool) -> Teller<'a> {
        Teller { listen, log, lenient, complained: false }
    }

    /// Shows an event and logs it.
    pub fn tell(&mut self, event: Event) -> Result<()> {
        self.show(&event);
        self.log(&event)
    }

    /// Shows an event only.
    pub fn show(&mut self, event: &Event) {
        (self.listen)(event);
    }

    /// Logs an event only.
    pub fn log(&mut self, event: &Event) -> Result<()> {
        let written = self.log.write(event);
        self.logged(written)
    }

    /// Writes a step to the ledger.
    pub fn record(&mut self, entry: &Entry) -> Result<()> {
        let written = self.log.record(entry);
        self.logged(written)
    }

    fn logged(&mut self, written: Result<()>) -> Result<()> {
        match written {
            Err(_) if self.lenient && self.complained => Ok(()),
            Err(error) => {
                self.complained = true;
                self.bear(Err(error), "the log lacks what happens from here on")
            }
            Ok(()) => Ok(()),
        }
    }

    /// Waits until the disk has the log.
    pub fn sync(&mut self) -> Result<()> {
        self.log.sync()
    }

    /// Lets a refusal of the disk pass as a note that says what is lost, if training is to go on then.
    pub fn bear(&mut self, outcome: Result<()>, lost: &str) -> Result<()> {
        match outcome {
            Err(error @ Error::Io { .. }) if self.lenient => {
                let text = error.to_string();
                let what = text.lines().next().unwrap_or_default();
                self.show(&Event::Note(format!("{what}: {lost}")));
                Ok(())
            }
            other => other,
        }
    }
}
