//! A training that stops after a step, and goes on if it is begun again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cpu::Cpu;
use glassbox_zoo as zoo;
use train::event::End;
use train::{Event, RunDir, Source, fit, resume};

/// Trains a recipe at `path` until after step `cut` (0: to the end): begins the run, or resumes it.
pub fn train(recipe: &str, changes: &[(&str, &str)], data: Option<&Path>, path: &Path, cut: u64) -> End {
    let (cpu, stop) = (Cpu::new(2).unwrap(), AtomicBool::new(false));
    let mut listen = |event: &Event| {
        if matches!(event, Event::Step(step) if step.step == cut) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    if let Ok(run) = RunDir::open(path) {
        let mut job = zoo::reopen(&run, data, |_| Ok(())).unwrap();
        return resume(&cpu, &mut job, run, "test", &stop, &mut listen).unwrap();
    }
    let recipe = zoo::find(recipe).unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in changes {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let mut job = recipe.job(settings, data).unwrap();
    fit(&cpu, &mut job, Some(path), "test", &stop, &mut listen).unwrap()
}
