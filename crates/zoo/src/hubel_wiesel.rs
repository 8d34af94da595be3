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
use train::{Error, Input, Result, RunDir, load_weights};

use crate::opened::{Opened, open};
use crate::run::Run;

/// What is asked of the experiment.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The network as its seed made it, alone.
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

/// The experiment on `target`: the folder of a run, a `.safetensors` file (of a run, or any that holds filters that see pictures),
/// or a folder of class folders of pictures. Random filters of the same kind come second.
///
/// # Errors
/// If `target` is none of these, or has no filters to look at.
pub fn hubel_wiesel(cpu: &Cpu, target: &Path, asked: &Asked) -> Result<HubelWiesel> {
    if target.join("run.toml").is_file() {
        return of_run(cpu, target, asked, None);
    }
    if !target.exists() {
        return Err(Error::usage(
            format!("{} does not exist", target.display()),
            "give the folder of a run, a .safetensors file, or a folder of class folders of pictures",
        ));
    }
    if target.is_dir() {
        return of_pictures(cpu, target, asked);
    }
    let state = safetensors::load(target)?.tensors;
    // RUN/checkpoints/step-000400/model.safetensors
    match target.ancestors().nth(3).filter(|run| run.join("run.toml").is_file()) {
        Some(run) => of_run(cpu, run, asked, Some((target, &state))),
        None => of_file(cpu, target, &state),
    }
}

fn of_run(cpu: &Cpu, path: &Path, asked: &Asked, file: Option<(&Path, &nn::State)>) -> Result<HubelWiesel> {
    let Opened { recipe, settings, input, scope, model, step, notes, .. } = open(path)?;
    let mut subject = format!("{} ({}), after {step} steps", path.display(), recipe.name);
    if let Some((file, state)) = file {
        scope.load_state(state, &file.display().to_string())?;
        subject = format!("{} ({})", file.display(), recipe.name);
    } else if let Some(step) = asked.step {
        load_weights(
            &scope,
            &Run::open_on(Cpu::new(cpu.machine().pool.threads())?, path, asked.data.as_deref())?.checkpoint(step)?,
        )?;
        subject = format!("{} ({}), after {step} steps", path.display(), recipe.name);
    }
    let fresh = Scope::root(RunDir::open(path)?.record().seed);
    let untrained = (recipe.model)(&fresh, &settings, &input)?;
    let layer = asked.layer.as_deref();
    let random = of_net("untrained", Net { cpu, model: untrained.as_ref(), scope: &fresh }, &input, layer)?;
    if asked.untrained {
        return Ok(HubelWiesel {
            subject: format!("{} ({}), untrained", path.display(), recipe.name),
            populations: vec![random],
            notes,
        });
    }
    let learnt = of_net("learnt", Net { cpu, model: model.as_ref(), scope: &scope }, &input, layer)?;
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
