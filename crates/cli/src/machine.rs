//! What a command computes on.

use std::path::Path;

use glassbox::Cpu;
use glassbox::train::Error;
use zoo::Opened;

use crate::screen::{say, warn};

/// The argument that chooses the machine.
#[derive(clap::Args)]
pub struct Machine {
    /// Threads; changes no result [default: one for each core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_negative_numbers = true)]
    pub threads: usize,
}

/// More threads than any machine has cores: a slip of the hand.
const MOST_THREADS: usize = 1024;

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU with these threads. More of them than cores are allowed, since they change no result, but not unsaid.
pub fn cpu(threads: usize) -> Result<Cpu, Error> {
    let cores = cores();
    if threads > MOST_THREADS {
        return Err(Error::usage(
            format!("--threads {threads}: at most {MOST_THREADS} threads can be used"),
            format!("leave it out for one thread for each of the {cores} cores"),
        ));
    }
    if threads > cores {
        warn(format_args!("{threads} threads on {cores} cores only wait for each other"));
    }
    Ok(Cpu::new(threads)?)
}

impl Machine {
    /// The CPU that was asked for.
    pub fn cpu(&self) -> Result<Cpu, Error> {
        cpu(self.threads)
    }

    /// A run and the CPU to use it on. What is to be said of the run is said, unless standard output is for objects.
    pub fn open(&self, run: &Path, json: bool) -> Result<(Opened, Cpu), Error> {
        let (opened, cpu) = (zoo::open(run)?, self.cpu()?);
        if !json {
            opened.notes.iter().for_each(|note| say(format_args!("note: {note}")));
        }
        Ok((opened, cpu))
    }
}
