//! Many trainings of one recipe under other settings, side by side. Each trial is a run like any other; a sweep that was stopped
//! or killed goes on where it was. Trials are compared by validation rows alone.

mod picture;
mod space;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use cpu::Cpu;
use serde_json::{Map, Value, json};
use train::event::End;
use train::metric::Scores;
use train::report::Series;
use train::suggest::did_you_mean;
use train::{Error, Event, Result, RunDir, Settings, Status, fit, resume};

use crate::recipe::{Recipe, find};

pub use space::{Assignment, Tried, Values, trials};

/// The file of a sweep's folder that says what it is.
const FILE: &str = "sweep.json";

/// A sweep: a recipe, its settings, and what is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    dir: PathBuf,
    recipe: String,
    settings: Settings,
    data: Option<PathBuf>,
    tried: Vec<String>,
    by: String,
    trials: Vec<Assignment>,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Its place in the sweep.
    pub number: usize,
    /// The values of the settings that were tried.
    pub assignment: Assignment,
    /// The folder of its run.
    pub run: PathBuf,
    /// How far it came; `None` if it has not begun.
    pub status: Option<String>,
    /// The last epoch, from 1; 0 if none ended.
    pub epoch: u64,
    /// All figures of that epoch.
    pub figures: Map<String, Value>,
    /// The sweep's figure of that epoch.
    pub figure: Option<f64>,
}

/// What happens in a sweep.
#[derive(Debug)]
pub enum Told {
    /// Something happened in the run of a trial.
    Run(usize, Event),
    /// A trial ended because its numbers became none.
    Diverged(usize, String),
}

/// Whether a smaller figure is the better one.
fn smaller_is_better(figure: &str) -> bool {
    !["accuracy", "top", "r2"].iter().any(|word| figure.contains(word))
}

impl Sweep {
    /// Lays out a sweep in the new folder `dir`, or in `sweeps/NAME-K` with the first free K.
    ///
    /// `by` is the figure that trials are compared by: one of the validation rows, such as `val_loss`.
    ///
    /// # Errors
    /// If the data cannot be used, there are no validation rows to compare trials by, they have no such figure, or the folder is there
    /// already or cannot be written.
    pub fn create(
        dir: Option<&Path>,
        recipe: &Recipe,
        settings: Settings,
        data: Option<&Path>,
        tried: &[String],
        by: &str,
        trials: Vec<Assignment>,
    ) -> Result<Sweep> {
        if !by.starts_with("val_") {
            let why = format!(
                "trials cannot be compared by {by}: only rows that are neither learned from nor tested on may choose"
            );
            return Err(Error::usage(why, "compare them by val_loss or val_accuracy"));
        }
        let first = trials.first().ok_or_else(|| Error::usage("a sweep without trials", "give values with --try"))?;
        for trial in &trials {
            let mut own = settings.clone();
            space::set(&mut own, trial)?;
            if own.get_float("data.val")? == 0.0 || trial.iter().any(|(name, _)| name == "data.val") {
                return Err(Error::usage(
                    "data.val is 0 or is tried itself: there are no rows that all trials could be compared by",
                    "set some aside: --set data.val=0.1; test rows are for the one that is chosen",
                ));
            }
        }
        // What is wrong with data or settings is wrong with all trials: better known before anything is written.
        let mut own = settings.clone();
        space::set(&mut own, first)?;
        let job = recipe.job(own, data)?;
        crate::check_manifest(&job)?;
        if job.splits.val.as_ref().is_none_or(|rows| rows.is_empty()) {
            return Err(Error::usage(
                "no rows are left to compare the trials by",
                "set more aside with --set data.val=0.2",
            ));
        }
        let figures = Scores::of(&job.splits.input).to_json("val_");
        if !figures.contains_key(by) {
            let help = did_you_mean(by, figures.keys().map(String::as_str));
            return Err(Error::usage(format!("trials have no figure {by}"), help));
        }
        let data = data.map(crate::settings::whole_path);
        let dir = match dir {
            Some(dir) => {
                RunDir::check_free(dir)?;
                fs::create_dir_all(dir).map_err(|source| Error::io(dir, "create", source))?;
                dir.to_owned()
            }
            None => first_free(recipe.name)?,
        };
        let sweep = Sweep {
            dir,
            recipe: recipe.name.to_owned(),
            settings,
            data,
            tried: tried.to_vec(),
            by: by.to_owned(),
            trials,
        };
        write(&sweep.dir.join("config.toml"), &sweep.settings.to_toml())?;
        write(&sweep.dir.join(FILE), &format!("{:#}\n", sweep.to_json()))?;
        Ok(sweep)
    }

    /// Whether a folder holds a sweep.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }

    /// Opens the sweep in a folder, to look at it or to go on with it.
    ///
    /// # Errors
    /// If its files cannot be read or are damaged.
    pub fn open(dir: &Path) -> Result<Sweep> {
        let file = dir.join(FILE);
        let damaged = |why: &str| Error::corrupt(&file, why, "take it from a backup, or begin another sweep");
        let text = fs::read_to_string(&file).map_err(|source| Error::io(&file, "read", source))?;
        let said: Value = serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let words = |value: &Value| value.as_array()?.iter().map(word).collect::<Option<Vec<String>>>();
        let assignment = |trial: &Value| -> Option<Assignment> {
            let pair = |pair: &Value| Some((word(pair.get(0)?)?, word(pair.get(1)?)?));
            trial.as_array()?.iter().map(pair).collect()
        };
        let read = || {
            let trials: Option<Vec<Assignment>> = said.get("trials")?.as_array()?.iter().map(assignment).collect();
            let data = said.get("data").and_then(Value::as_str).map(PathBuf::from);
            Some((word(said.get("recipe")?)?, word(said.get("by")?)?, words(said.get("tried")?)?, trials?, data))
        };
        let (recipe, by, tried, trials, data) = read().ok_or_else(|| damaged("a part of it is missing"))?;
        let mut settings = (find(&recipe)?.settings)();
        let config = dir.join("config.toml");
        let text = fs::read_to_string(&config).map_err(|source| Error::io(&config, "read", source))?;
        settings.read_toml(&text, &config)?;
        Ok(Sweep { dir: dir.to_owned(), recipe, settings, data, tried, by, trials })
    }

    fn to_json(&self) -> Value {
        json!({
            "recipe": self.recipe, "data": self.data, "tried": self.tried, "by": self.by, "trials": self.trials,
        })
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many trials it has.
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// Whether nothing is tried.
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    /// The figure that trials are compared by.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Trains what is not trained yet, `jobs` trials at a time with `threads` threads each, until `stop` becomes true: then each
    /// trial under way stops with a checkpoint. A trial that diverges is told, and the others go on.
    ///
    /// # Errors
    /// If a trial cannot be trained for another reason; the others stop with checkpoints, too.
    pub fn run(
        &self,
        jobs: NonZeroUsize,
        threads: usize,
        command: &str,
        stop: &AtomicBool,
        listen: &mut dyn FnMut(Told),
    ) -> Result<()> {
        let waiting = self.waiting();
        let next = AtomicUsize::new(0);
        let (tell, told) = channel();
        let worker = |tell: Sender<Told>| -> Result<()> {
            let cpu = Cpu::new(threads)?;
            while !stop.load(Ordering::Relaxed) {
                let Some(&number) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                // Nobody hears it any more if the listener is gone, which ends with the workers.
                let trained = self
                    .train(&cpu, number, command, stop, &mut |event| drop(tell.send(Told::Run(number, event.clone()))));
                match trained {
                    Ok(end) => drop(tell.send(Told::Run(number, Event::End(end)))),
                    Err(error @ Error::Diverged { .. }) => drop(tell.send(Told::Diverged(number, error.to_string()))),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.get().min(waiting.len()))
                .map(|_| {
                    let (tell, worker) = (tell.clone(), &worker);
                    scope.spawn(move || worker(tell))
                })
                .collect();
            drop(tell);
            told.iter().for_each(listen);
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(ended) => ended,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// The trials that are not done.
    pub fn waiting(&self) -> Vec<usize> {
        (0..self.len()).filter(|&number| !self.is_done(number)).collect()
    }

    /// Begins the run of a trial, or goes on with it.
    fn train(
        &self,
        cpu: &Cpu,
        number: usize,
        command: &str,
        stop: &AtomicBool,
        listen: &mut dyn FnMut(&Event),
    ) -> Result<End> {
        let recipe = find(&self.recipe)?;
        let mut settings = self.settings.clone();
        space::set(&mut settings, &self.trials[number])?;
        let mut job = recipe.job(settings, self.data.as_deref())?;
        crate::check_manifest(&job)?;
        let place = self.place(number);
        if place.exists() {
            return resume(cpu, &mut job, RunDir::open(&place)?, command, stop, listen);
        }
        fit(cpu, &mut job, Some(&place), command, stop, listen)
    }

    /// The folder of a trial's run.
    fn place(&self, number: usize) -> PathBuf {
        let digits = self.len().saturating_sub(1).to_string().len().max(2);
        self.dir.join(format!("trial-{number:0digits$}"))
    }

    fn status(&self, number: usize) -> Option<String> {
        Some(RunDir::open(&self.place(number)).ok()?.record().status.clone())
    }

    fn is_done(&self, number: usize) -> bool {
        let status = self.status(number);
        [Status::Finished, Status::Diverged].iter().any(|end| status.as_deref() == Some(end.word()))
    }

    /// What came of the trials so far, the best first, and those without a figure last.
    ///
    /// # Errors
    /// If the figures of a run cannot be read.
    pub fn results(&self) -> Result<Vec<Trial>> {
        let mut all: Vec<Trial> = (0..self.len()).map(|number| self.result(number)).collect::<Result<_>>()?;
        let sign = if smaller_is_better(&self.by) { 1.0 } else { -1.0 };
        let rank = |trial: &Trial| trial.figure.map_or(f64::INFINITY, |figure| sign * figure);
        all.sort_by(|one, other| rank(one).total_cmp(&rank(other)));
        Ok(all)
    }

    /// What came of a trial so far.
    ///
    /// # Errors
    /// If the figures of its run cannot be read.
    pub fn result(&self, number: usize) -> Result<Trial> {
        let (run, status) = (self.place(number), self.status(number));
        let mut trial = Trial {
            number,
            assignment: self.trials[number].clone(),
            run,
            status,
            epoch: 0,
            figures: Map::new(),
            figure: None,
        };
        // What a trial that diverged had reached on its way is no result of its settings.
        if trial.status.is_none() || trial.status.as_deref() == Some(Status::Diverged.word()) {
            return Ok(trial);
        }
        // The weights of the last epoch are those that whoever opens the run gets.
        let series = Series::read(&RunDir::open(&trial.run)?)?;
        if let Some(line) = series.of_event("epoch").last() {
            trial.figure = line.get(&self.by).and_then(Value::as_f64);
            trial.epoch = line.get("epoch").and_then(Value::as_u64).unwrap_or(0);
            trial.figures = line.clone();
        }
        Ok(trial)
    }

    /// Writes `table.csv` and `sweep.svg`: all trials, the best first, and each setting that was tried against the figure.
    ///
    /// # Errors
    /// If results cannot be read or files not written.
    pub fn report(&self) -> Result<Vec<PathBuf>> {
        let results = self.results()?;
        let (table, drawing) = (self.dir.join("table.csv"), self.dir.join("sweep.svg"));
        write(&table, &self.table(&results))?;
        let tried: Vec<Tried> = self.tried.iter().map(|text| Tried::parse(text)).collect::<Result<_>>()?;
        write(&drawing, &picture::draw(&self.recipe, &tried, &self.by, smaller_is_better(&self.by), &results))?;
        Ok(vec![table, drawing])
    }

    /// A row for each trial: what was tried, how it ended, the figures of its validation rows.
    fn table(&self, results: &[Trial]) -> String {
        let mut figures: Vec<&String> = results.iter().flat_map(|trial| trial.figures.keys()).collect();
        figures.sort();
        figures.dedup();
        figures.retain(|name| name.starts_with("val_") || name.starts_with("train_"));
        let names: Vec<&str> = self.trials.first().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        let mut text = ["trial", "status", "epoch"].map(str::to_owned).to_vec();
        text.extend(names.iter().map(|name| (*name).to_owned()));
        text.extend(figures.iter().map(|name| (*name).clone()));
        let mut text = text.join(",") + "\n";
        for trial in results {
            let status = trial.status.clone().unwrap_or_else(|| "waiting".to_owned());
            let mut cells = vec![trial.number.to_string(), status, trial.epoch.to_string()];
            cells.extend(trial.assignment.iter().map(|(_, value)| quoted(value)));
            cells.extend(figures.iter().map(|name| trial.figures.get(*name).map_or(String::new(), Value::to_string)));
            text += &(cells.join(",") + "\n");
        }
        text
    }
}

/// A cell of a CSV file.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

fn first_free(name: &str) -> Result<PathBuf> {
    let parent = Path::new("sweeps");
    fs::create_dir_all(parent).map_err(|source| Error::io(parent, "create", source))?;
    let mut number = 1;
    loop {
        let dir = parent.join(format!("{name}-{number}"));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::io(&dir, "create", source)),
        }
    }
}

/// A file that is whole or absent.
fn write(path: &Path, text: &str) -> Result<()> {
    train::replace_file(path, text.as_bytes())
}
