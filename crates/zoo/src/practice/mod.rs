//! Training in practice, one experiment a file: each trains a few runs side by side, or looks at one net, and draws what it
//! teaches. Every run is kept: it can be opened, replayed and explained like any other.

mod adding_problem;
mod batch_norm;
mod degradation;
mod dropout;
mod fitting;
mod gradient_over_time;
mod initialisation;
mod learning_rate;
mod optimizers;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cpu::Cpu;
use see::picture::Line;
use serde_json::Value;
use train::report::Series;
use train::{Error, Event, Result, RunDir, Settings, Source, Status, fit, resume};

use crate::recipe::{Recipe, find};

/// An experiment that can be asked for by name.
pub struct Experiment {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// Makes it.
    pub make: fn(&mut Bench) -> Result<Findings>,
}

/// All experiments.
pub const EXPERIMENTS: [Experiment; 9] = [
    optimizers::EXPERIMENT,
    initialisation::EXPERIMENT,
    learning_rate::EXPERIMENT,
    fitting::EXPERIMENT,
    batch_norm::EXPERIMENT,
    dropout::EXPERIMENT,
    degradation::EXPERIMENT,
    gradient_over_time::EXPERIMENT,
    adding_problem::EXPERIMENT,
];

/// What an experiment found.
pub struct Findings {
    /// In words, a line each.
    pub words: Vec<String>,
    /// In numbers.
    pub numbers: Value,
    /// Names of pictures, and the pictures as SVG.
    pub pictures: Vec<(&'static str, String)>,
}

/// What an experiment is made on.
pub struct Bench<'a> {
    /// Computes.
    pub cpu: &'a Cpu,
    /// Where runs are kept.
    pub dir: &'a Path,
    /// The folder of the data, or `None` for what ships with the library.
    pub data: Option<&'a Path>,
    /// Settings of all runs, as `--set` takes them; they come after those of the experiment.
    pub set: &'a [String],
    /// The command, for the record of the runs.
    pub command: &'a str,
    /// Becomes true to end it.
    pub stop: &'a AtomicBool,
    /// Whether it was ended so.
    pub stopped: bool,
    /// Hears what happens in the run of this name.
    pub listen: &'a mut dyn FnMut(&str, &Event),
}

/// A run of an experiment.
pub struct Trained {
    /// Its folder.
    pub run: PathBuf,
    /// Its figures.
    pub series: Series,
    /// Why its numbers became none, if they did.
    pub diverged: Option<String>,
}

impl Bench<'_> {
    /// Trains `recipe` with these settings as the run `name`. One that lies there from before is gone on with, or taken as it is if
    /// it ended.
    ///
    /// # Errors
    /// If it cannot be trained, or was stopped. (That it diverged is a finding.)
    pub fn train(&mut self, name: &str, recipe: &str, settings: &[(&str, &str)]) -> Result<Trained> {
        let recipe = find(recipe)?;
        let mut all = (recipe.settings)();
        for (name, value) in settings {
            all.set(name, value, Source::Flag(format!("the experiment: {name}={value}")))?;
        }
        self.set.iter().try_for_each(|assignment| all.assign(assignment))?;
        let run = self.dir.join(name);
        let kept = run.exists().then(|| RunDir::open(&run)).transpose()?;
        if let Some(kept) = &kept {
            self.check_same(kept, &recipe, &all)?;
            let status = &kept.record().status;
            let diverged = (status == Status::Diverged.word()).then(|| "it diverged".to_owned());
            if status == Status::Finished.word() || diverged.is_some() {
                return Ok(Trained { series: Series::read(kept)?, run, diverged });
            }
        }
        let mut job = recipe.job(all, self.data)?;
        let listen = &mut |event: &Event| (self.listen)(name, event);
        let ended = match kept {
            Some(kept) => resume(self.cpu, &mut job, kept, self.command, self.stop, listen),
            None => fit(self.cpu, &mut job, Some(&run), self.command, self.stop, listen),
        };
        let diverged = match ended {
            Ok(end) if end.status == Status::Finished => {
                listen(&Event::End(end));
                None
            }
            Ok(_) => {
                return Err(Error::usage("the experiment was stopped", "give the same command again to go on with it"));
            }
            Err(Error::Diverged { what, step, .. }) => {
                let why = format!("{what} at step {step}");
                listen(&Event::Note(format!("diverged: {why}")));
                Some(why)
            }
            Err(error) => return Err(error),
        };
        Ok(Trained { series: Series::read(&RunDir::open(&run)?)?, run, diverged })
    }

    /// An error if the run that lies there is not the one that is asked for.
    fn check_same(&self, kept: &RunDir, recipe: &Recipe, settings: &Settings) -> Result<()> {
        let (text, path) = kept.config()?;
        let mut own = (recipe.settings)();
        own.read_toml(&text, &path)?;
        let other = own.iter().zip(settings.iter()).find(|(own, asked)| own.value != asked.value);
        let what = match other {
            Some((own, asked)) => format!("with {} = {} and not {}", own.name, own.value, asked.value),
            None if kept.data()?.source == self.data.map(crate::settings::whole_path) => return Ok(()),
            None => "on other data".to_owned(),
        };
        let what = format!("{} was trained {what}", kept.path().display());
        Err(Error::usage(what, "choose another folder with --out, or remove this one"))
    }
}

impl Trained {
    /// A figure over the steps: `loss` of each step, `val_loss` of each epoch.
    pub fn curve(&self, event: &str, figure: &str) -> Vec<[f64; 2]> {
        self.series.of(event, figure).into_iter().map(|(step, value)| [step, value]).collect()
    }

    /// The last value of a figure of the epochs; NaN if the run diverged.
    pub fn last(&self, figure: &str) -> f64 {
        match self.series.of("epoch", figure).last() {
            Some(&(_, value)) if self.diverged.is_none() => value,
            _ => f64::NAN,
        }
    }

    /// How it ended, in words: a share as per cent, or why it diverged.
    fn said(&self, figure: &str) -> String {
        match &self.diverged {
            Some(why) => format!("diverged: {why}"),
            None => format!("{:.2} %", 100.0 * self.last(figure)),
        }
    }
}

/// A line through points.
fn line(name: impl Into<String>, points: Vec<[f64; 2]>, colour: usize, dashed: bool) -> Line {
    Line { name: name.into(), points, colour, dashed }
}

/// The mean of each `window` points, at their middle: what a noisy curve does.
fn smooth(points: &[[f64; 2]], window: usize) -> Vec<[f64; 2]> {
    let mean = |part: &[[f64; 2]]| {
        let sum = part.iter().fold([0.0, 0.0], |sum, point| [sum[0] + point[0], sum[1] + point[1]]);
        sum.map(|sum| sum / part.len() as f64)
    };
    points.chunks(window.max(1)).map(mean).collect()
}
