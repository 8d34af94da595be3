//! Hubel's and Wiesel's experiment on a run, on a model file, or on filters that a folder of pictures teaches.

use std::path::Path;

use cpu::Cpu;
use data::{FolderOptions, FolderSplits};
use nn::{Scope, safetensors};
use see::{
    Bank, HubelWiesel, Net, PatchOptions, Population, Units, WINDOWS, bank_input, experiment, first_layer,
    learn_filters, of_state,
};
use tensor::Array;
use train::checkpoint::Checkpoint;
use train::{Error, Input, MODEL, Result, RunDir, load_weights};

use crate::opened::{Opened, first_of, open, open_model};
use crate::run::Run;

/// What is asked of the experiment.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The network as it was before its first step, alone.
    pub untrained: bool,
    /// The weights after this step of a run; without it the newest.
    pub step: Option<u64>,
    /// The layer that is listened to; without it the first convolution with its norm and activation.
    pub layer: Option<String>,
    /// Where the data of a run lies now, if a step of it must be computed again.
    pub data: Option<std::path::PathBuf>,
    /// How filters are learnt from a folder of pictures.
    pub patches: PatchOptions,
}

/// The experiment on `target`: the folder of a run, a `.safetensors` file (a model of ours, or any that holds filters that see
/// pictures), or a folder of class folders of pictures. Random filters of the same kind come second.
///
/// # Errors
/// If `target` is none of these, or has no filters to look at.
pub fn hubel_wiesel(cpu: &Cpu, target: &Path, asked: &Asked) -> Result<HubelWiesel> {
    if target.join("run.toml").is_file() {
        return of_run(cpu, target, asked);
    }
    if !target.exists() {
        return Err(Error::usage(
            format!("{} does not exist", target.display()),
            "give the folder of a run, a .safetensors file, or a folder of class folders of pictures",
        ));
    }
    if target.is_dir() && !target.join(MODEL).is_file() {
        return of_pictures(cpu, target, asked);
    }
    match open_model(target)? {
        Some(opened) => of_opened(cpu, target, &opened, None, asked),
        None => of_file(cpu, target, &safetensors::load(target)?.tensors),
    }
}

fn of_run(cpu: &Cpu, path: &Path, asked: &Asked) -> Result<HubelWiesel> {
    let mut opened = open(path)?;
    if let Some(step) = asked.step {
        let threads = cpu.machine().pool.threads();
        let mut run = Run::open_on(Cpu::new(threads)?, path, asked.data.as_deref())?;
        load_weights(&opened.scope, &run.checkpoint(step)?)?;
        opened.step = step;
    }
    of_opened(cpu, path, &opened, first_of(&RunDir::open(path)?), asked)
}

/// A network, and beside it the same as it was before its first step: `first`, or as its seed made it.
fn of_opened(
    cpu: &Cpu,
    place: &Path,
    opened: &Opened,
    first: Option<Checkpoint>,
    asked: &Asked,
) -> Result<HubelWiesel> {
    let Opened { recipe, settings, input, scope, model, step, notes, .. } = opened;
    let subject = format!("{} ({})", place.display(), recipe.name);
    let fresh = Scope::root(settings.get_int("train.seed")? as u64);
    let untrained = (recipe.model)(&fresh, settings, input)?;
    if let Some(first) = first {
        load_weights(&fresh, &first)?;
    }
    let layer = asked.layer.as_deref();
    let random = of_net("untrained", Net { cpu, model: untrained.as_ref(), scope: &fresh }, input, layer)?;
    let notes = notes.clone();
    if asked.untrained {
        return Ok(HubelWiesel { subject: format!("{subject}, untrained"), populations: vec![random], notes });
    }
    let learnt = of_net("learnt", Net { cpu, model: model.as_ref(), scope }, input, layer)?;
    let subject = format!("{subject}, after {step} steps");
    Ok(HubelWiesel { subject, populations: vec![learnt, random], notes })
}

fn of_net(name: &str, net: Net, input: &Input, layer: Option<&str>) -> Result<Population> {
    let layer = layer.map_or_else(|| first_layer(&net, input), |layer| Ok(layer.to_owned()))?;
    let units = Units::new(net, input, &layer, &WINDOWS)?;
    let filters = units.filters()?;
    experiment(name, &units, filters)
}

fn of_file(cpu: &Cpu, file: &Path, state: &nn::State) -> Result<HubelWiesel> {
    let (name, filters) = of_state(state).ok_or_else(|| {
        Error::usage(
            format!("{} holds no filters that see pictures: weights of shape [K, 1 or 3, H, W]", file.display()),
            "give the model of a convolutional network",
        )
    })?;
    Ok(HubelWiesel {
        subject: format!("{name} of {}", file.display()),
        populations: vec![of_bank(cpu, "learnt", &filters, &filters)?],
        notes: vec!["the filters by themselves, each behind a rectifier: the file holds no network".to_owned()],
    })
}

/// Filters that are shown, and the fields through which they see.
fn of_bank(cpu: &Cpu, name: &str, shown: &Array, fields: &Array) -> Result<Population> {
    let (bank, input) = (Bank::new(fields)?, bank_input(fields));
    let net = bank.net(cpu);
    let units = Units::new(net, &input, &first_layer(&net, &input)?, &WINDOWS)?;
    experiment(name, &units, shown.clone())
}

fn of_pictures(cpu: &Cpu, dir: &Path, asked: &Asked) -> Result<HubelWiesel> {
    let train = FolderSplits::open(dir, &FolderOptions::default())?.train;
    let learnt = learn_filters(cpu, &train, &asked.patches)?;
    let PatchOptions { size, filters, rounds, epsilon, seed, .. } = asked.patches;
    Ok(HubelWiesel {
        subject: format!("{filters} filters of {size} × {size} pixels, learnt from the pictures in {}", dir.display()),
        populations: vec![
            of_bank(cpu, "learnt", &learnt.filters, &learnt.fields)?,
            of_bank(cpu, "random", &learnt.random, &learnt.random_fields)?,
        ],
        notes: vec![format!(
            "spherical k-means, {rounds} rounds over {} whitened grey patches (epsilon {epsilon}, seed {seed}); no labels",
            learnt.patches
        )],
    })
}
