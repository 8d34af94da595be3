//! Training a job: into a new run, or on from where a run stopped.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use data::{Loader, Position};

use crate::begin::create;
use crate::checkpoint::{self, Checkpoint};
use crate::error::{Error, Result};
use crate::event::{End, Event, Status};
use crate::job::Job;
use crate::ledger::Norms;
use crate::log::Log;
use crate::run_dir::RunDir;
use crate::same;
use crate::session::{Costs, Session, is_done};
use crate::state::{self, State};
use crate::step::training_loader;
use crate::teller::Teller;
use crate::tensorboard::{self, Board};

/// Trains `job` into a new run at `out` (default: `runs/NAME-K`), and measures it on the test rows.
///
/// The loop stops after the step during which `stop` becomes true, with a checkpoint. `listen` hears what happens.
///
/// # Errors
/// If the run cannot be made or written, data or model cannot be evaluated, or the training diverged: the loss of a step, of
/// the validation rows or of the test rows, the gradient or a weight is no number any more, or a loss is absurd (a million
/// times what it was at first). The run then says how far it came, and its checkpoints stay.
pub fn fit(
    cpu: &Cpu,
    job: &mut Job,
    out: Option<&Path>,
    command: &str,
    stop: &AtomicBool,
    listen: &mut dyn FnMut(&Event),
) -> Result<End> {
    let loader = training_loader(job)?;
    let run = create(cpu, job, &loader, out, command)?;
    let log = Log::open(run.path())?;
    let note = |left: PathBuf| {
        format!("{} is left of a run that was killed before it began, and can be removed", left.display())
    };
    let notes = run.leftovers().into_iter().map(note).collect();
    let at = Begun { run, loader, state: State::first(job), saved: job.begun.then_some(0), log, notes };
    at.train(cpu, job, stop, listen)
}

/// Goes on with a run from its newest complete checkpoint, to the bits that it would have had without the interruption.
///
/// `job` must be what the run was begun with: the same rows, recipe and step. Only settings that say how long it is trained,
/// or that change no result, may differ ([`crate::CHANGEABLE`]); `config.toml` is then replaced, and the one until now
/// kept beside it. Whatever a crash left torn is set aside or cut off, and told to `listen`.
///
/// # Errors
/// If another process trains the run, it is finished, `job` does not fit it, or as for [`fit`].
pub fn resume(
    cpu: &Cpu,
    job: &mut Job,
    mut run: RunDir,
    command: &str,
    stop: &AtomicBool,
    listen: &mut dyn FnMut(&Event),
) -> Result<End> {
    let mut log = Log::open(run.path())?;
    let changed = same::check_settings(job, &run)?;
    same::check_data(job, &run)?;
    let mut loader = training_loader(job)?;
    same::check_graph(job, &run, &loader)?;

    let checkpoints = run.checkpoints();
    let newest = checkpoint::newest(&checkpoints)?;
    let saved = newest.found.as_ref().map(|found| found.step);
    let (state, position) = match &newest.found {
        Some(found) => state::load(job, found)?,
        None if run.record().branched_at().is_some() => {
            return Err(Error::corrupt(
                &checkpoints,
                format!("the checkpoint that it branched with is gone: {}", run.record().parent),
                "branch again from that run",
            ));
        }
        None => (State::first(job), Position::default()),
    };
    if run.record().status == Status::Finished.word() && is_done(job, &state)? {
        return Err(finished(&run, &state));
    }
    loader.resume(position)?;
    let mut notes = checkpoint::set_torn_aside(&checkpoints, &newest);
    if saved.is_none() {
        notes.push("there is no complete checkpoint, so training begins anew".to_owned());
    }
    notes.extend(log.cut(&state)?);
    if changed {
        notes.extend(other_rate(job, newest.found.as_ref())?);
        run.change_config(&job.settings.to_toml(), state.step)?;
    }
    if job.splits.source != run.data()?.source {
        run.move_data(&job.splits.to_json()?)?;
    }
    run.resumed(state.step, command)?;
    let at = Begun { run, loader, state, saved, log, notes };
    at.train(cpu, job, stop, listen)
}

/// What is to be said of an extended run whose rates follow its length.
fn other_rate(job: &Job, found: Option<&Checkpoint>) -> Result<Option<String>> {
    let Some((found, then)) = found.and_then(|found| Some((found, state::next_rate(found)?))) else { return Ok(None) };
    let now = job.schedule.lr(found.step);
    if now == then {
        return Ok(None);
    }
    let (name, steps) = (job.settings.get_word("train.schedule")?, job.steps()?);
    Ok(Some(format!(
        "step {} is made at learning rate {now:.3e}, and not at {then:.3e}: the schedule {name} now reaches to step {steps}. A run \
         that was begun with this length had other rates before, and ends with other weights (with the schedules constant and \
         plateau it is the same run)",
        found.step + 1
    )))
}

fn finished(run: &RunDir, state: &State) -> Error {
    let place = run.path().display();
    Error::usage(
        format!("{place} is finished, after step {}: nothing is left to do", state.step),
        "extend it with --epochs +10 (or train.max_steps, train.patience if that ended it), or branch with --from and --as",
    )
}

/// A run, opened where training goes on.
struct Begun {
    run: RunDir,
    loader: Loader,
    state: State,
    saved: Option<u64>,
    log: Log,
    notes: Vec<String>,
}

impl Begun {
    fn train(self, cpu: &Cpu, job: &mut Job, stop: &AtomicBool, listen: &mut dyn FnMut(&Event)) -> Result<End> {
        let lenient = job.settings.get_word("checkpoint.on_error")? == "skip";
        let Begun { run, loader, state, saved, log, notes } = self;
        let board = board(job, &run, state.step)?;
        let mut listen = with_board(board, listen);
        let teller = Teller::new(&mut listen, log, lenient);
        let costs = Costs::new(job.settings.get_flag("ledger.on")?);
        let norms = Norms::of(cpu, job, &loader, state.step + 1)?;
        Session { cpu, job, run, loader, state, teller, stop, saved, norms, costs }.train(notes)
    }
}

/// The event file for TensorBoard, if the settings ask for one.
fn board(job: &Job, run: &RunDir, step: u64) -> Result<Option<Board>> {
    if !job.settings.get_flag("log.tensorboard").unwrap_or(false) {
        return Ok(None);
    }
    let mut board = Board::create(&run.path().join(tensorboard::FOLDER), step)?;
    if step == 0 {
        board.first_batch(run.path())?;
    }
    Ok(Some(board))
}

/// Who hears of everything, and writes it down for TensorBoard too. If that fails, training goes on without it.
fn with_board<'a>(mut board: Option<Board>, listen: &'a mut dyn FnMut(&Event)) -> impl FnMut(&Event) + 'a {
    move |event| {
        listen(event);
        if let Some(Err(error)) = board.as_mut().map(|board| board.hear(event)) {
            board = None;
            let text = error.to_string();
            let what = text.lines().next().unwrap_or_default();
            listen(&Event::Note(format!("{what}: TensorBoard shows no more of this run")));
        }
    }
}

#[cfg(test)]
mod tests;
