//! Settings that all recipes share; each recipe gives its own defaults.

use std::path::{Path, PathBuf};

use nn::schedule::{OneCycle, Plateau};
use nn::{Adam, Average, Clipped, Group, Levenberg, Muon, Optimiser, RmsProp, Schedule, Scope, Sgd};
use tensor::Var;
use tensor::math::f64::pow;
use train::{Error, Input, Result, Settings};

use crate::transfer::head;

/// What a recipe chooses for the settings that all recipes have.
pub(crate) struct Defaults {
    pub epochs: i64,
    pub batch: i64,
    pub optimizer: &'static str,
    pub lr: f64,
    pub weight_decay: f64,
    pub schedule: &'static str,
    pub smoothing: f64,
}

/// The table of settings with these defaults.
pub(crate) fn settings(defaults: Defaults) -> Settings {
    Settings::new()
        .int("train.epochs", defaults.epochs, 1..=100_000, "passes over the training rows")
        .int("train.batch", defaults.batch, 1..=65_536, "rows in a step")
        .word(
            "train.optimizer",
            defaults.optimizer,
            &["sgd", "nesterov", "adam", "adamw", "muon", "levenberg"],
            "how parameters follow gradients",
        )
        .float("train.lr", defaults.lr, 0.0..=1e30, "greatest learning rate")
        .float("train.momentum", 0.9, 0.0..=0.9999, "share of the last step that sgd, nesterov and muon keep")
        .float(
            "train.others",
            0.1,
            0.0..=1e6,
            "rate of what muon leaves to adamw (tables, head, biases), as a share of train.lr",
        )
        .flag("train.normed", false, "muon brings each matrix to one length before a step: for nets that norms follow")
        .float("train.weight_decay", defaults.weight_decay, 0.0..=10.0, "pull of the weights towards 0")
        .word(
            "train.schedule",
            defaults.schedule,
            &["constant", "cosine", "one_cycle", "triangle", "stairs", "plateau", "range"],
            "how the learning rate changes; range: from a millionth of it, to find the greatest that works",
        )
        .float("train.smoothing", defaults.smoothing, 0.0..=0.9, "share of each label given to all classes")
        .float("train.average", 0.0, 0.0..=0.999999, "share that averaged weights keep each step; 0: no averages")
        .int("train.patience", 0, 0..=100_000, "epochs without a lower validation loss that end training; 0: none do")
        .int("train.seed", 0, 0..=i64::MAX, "seed of everything random")
        .int("train.max_steps", 0, 0..=i64::MAX, "stop after so many steps; 0: after the last epoch")
        .float("data.val", 0.1, 0.0..=0.9, "share of the training rows set aside to watch training by")
        .int("data.workers", 2, 0..=64, "threads that make batches ahead; changes no result")
        .path("data.manifest", "file of glassbox data --manifest that the data must match; empty: none")
        .flag("log.tensorboard", false, "write event files for TensorBoard into the run")
        .int("eval.batch", 250, 1..=65_536, "rows evaluated at once; changes no result")
        .int(
            "checkpoint.every",
            0,
            0..=i64::MAX,
            "steps between checkpoints, beside one after each epoch; 0: no others",
        )
        .int("checkpoint.keep", 3, 0..=1_000_000, "newest checkpoints kept; 0: all")
        .flag("checkpoint.keep_best", true, "keep that of the epoch with the lowest validation loss too")
        .int("checkpoint.keep_every", 0, 0..=i64::MAX, "keep those of each so many steps too; 0: no others")
        .word(
            "checkpoint.on_error",
            "stop",
            &["stop", "skip"],
            "what to do if the disk refuses a checkpoint or the log",
        )
        .flag("ledger.on", true, "record figures, rows and hashes of the steps; changes no result")
        .int(
            "ledger.norms_every",
            -1,
            -1..=1_000_000,
            "steps between lengths of weights and of their update; -1: 1 unless that costs over 2 % of a step, 0: none",
        )
        .int("ledger.hash_every", 50, 0..=1_000_000, "steps between hashes of all weights and moments; 0: none")
}

/// The optimiser that the settings name, over all parameters of `scope`. Biases and norms have no weight decay. Recipes that have
/// the settings `train.beta2`, `train.clip` and `train.clamp` say more.
pub(crate) fn optimizer(settings: &Settings, scope: &Scope, input: &Input) -> Result<Box<dyn Optimiser>> {
    let decay = settings.get_float("train.weight_decay")?;
    let (weights, others): (Vec<Var>, Vec<Var>) = scope.trainable().into_iter().partition(|var| var.shape().rank() > 1);
    let beta2 = settings.get_float("train.beta2").unwrap_or(0.999);
    let name = settings.get_word("train.optimizer")?;
    let (within, weights) = match name {
        "muon" => within(weights, &head(scope), input.classes.len()),
        _ => (Vec::new(), weights),
    };
    let groups = vec![Group::new(weights), Group::new(others).weight_decay(0.0)];
    let optimizer: Box<dyn Optimiser> = match name {
        "muon" => {
            let scale = settings.get_float("train.others")?;
            let groups = groups.into_iter().map(|group| group.lr_scale(scale)).collect();
            let others = Box::new(Adam::w(groups).betas(0.9, beta2).weight_decay(decay));
            let muon = Muon::new(vec![Group::new(within)], others).momentum(settings.get_float("train.momentum")?);
            Box::new(muon.weight_decay(decay).normed(settings.get_flag("train.normed")?))
        }
        "sgd" | "nesterov" => {
            let sgd = Sgd::new(groups, settings.get_float("train.momentum")?).nesterov(name == "nesterov");
            Box::new(sgd.weight_decay(decay))
        }
        "levenberg" if decay > 0.0 => {
            return Err(Error::usage(
                format!("levenberg knows no weight decay, and train.weight_decay is {decay}"),
                "set train.weight_decay=0, or choose another train.optimizer",
            ));
        }
        "levenberg" => Box::new(Levenberg::new(groups, settings.get_size("train.batch")?)),
        "rmsprop" => Box::new(RmsProp::new(groups, 0.0, false).alpha(beta2).weight_decay(decay)),
        "adam" => Box::new(Adam::new(groups).betas(0.9, beta2).weight_decay(decay)),
        _ => Box::new(Adam::w(groups).betas(0.9, beta2).weight_decay(decay)),
    };
    let limit = |name: &str| settings.get_float(name).unwrap_or(0.0);
    let (clamp, clip) = (limit("train.clamp"), limit("train.clip"));
    Ok(if clamp > 0.0 || clip > 0.0 { Box::new(Clipped::new(optimizer, clamp, clip)) } else { optimizer })
}

/// The matrices within a net, for muon, and the others: tables in which symbols, tokens and places are looked up, and the matrix of the
/// layer `head` if it gives the `outputs`. What an LSTM reads letters with counts as within, all gates as one matrix, and so do the
/// filters of depthwise convolutions.
fn within(weights: Vec<Var>, head: &str, outputs: usize) -> (Vec<Var>, Vec<Var>) {
    const TABLES: [&str; 4] = ["letters/weight", "places/weight", "tokens/weight", "pairs/weight"];
    let head = format!("{head}/weight");
    let is_head = |var: &Var| var.name() == head && var.shape()[0] == outputs;
    weights.into_iter().partition(|var| !TABLES.contains(&var.name()) && !is_head(var))
}

/// The learning rate of each of `steps` steps, of which `per_epoch` make an epoch.
pub(crate) fn schedule(settings: &Settings, steps: u64, per_epoch: u64) -> Result<Schedule> {
    let lr = settings.get_float("train.lr")?;
    Ok(match settings.get_word("train.schedule")? {
        "constant" => Schedule::Constant { lr },
        "cosine" => Schedule::Cosine { lr, min: 0.0, steps },
        // The range test (Smith 2017): from a millionth of the rate up to it, in equal ratios.
        "range" => {
            Schedule::Exponential { lr: 1e-6 * lr, gamma: pow(1e6, 1.0 / steps.saturating_sub(1).max(1) as f64) }
        }
        "triangle" => triangle(lr, steps),
        "stairs" => stairs(lr, steps),
        "warmup_cosine" => {
            let warmup = settings.get_int("train.warmup")? as u64;
            let falling = Schedule::Cosine { lr, min: lr / 10.0, steps: steps.saturating_sub(warmup) };
            falling.warmed_up(1.0 / warmup.max(1) as f64, warmup)
        }
        // As char-rnn: 0.97 times as much after the tenth epoch and each one that follows.
        "epoch_decay" => Schedule::MultiStep {
            lr,
            milestones: (10..steps.div_ceil(per_epoch.max(1))).map(|epoch| epoch * per_epoch).collect(),
            gamma: 0.97,
        },
        "plateau" => Schedule::Plateau(Plateau { patience: 2, ..Plateau::new(lr) }),
        _ => Schedule::OneCycle(OneCycle::new(lr, steps)),
    })
}

/// Straight up from a fifth over the first quarter of the steps, then straight down to nearly nothing.
fn triangle(lr: f64, steps: u64) -> Schedule {
    let top = steps / 4;
    let down = Schedule::Linear { lr, start: 1.0, end: 0.01, steps: steps - top };
    Schedule::Sequence {
        schedules: vec![Schedule::Linear { lr, start: 0.2, end: 1.0, steps: top }, down],
        milestones: vec![top],
    }
}

/// The rates of LeNet-5 (LeCun et al. 1998): of 20 passes over the data, 2 at `lr`, 3 at 0.4, 3 at 0.2, 4 at 0.1 and 8 at 0.02 of it.
fn stairs(lr: f64, steps: u64) -> Schedule {
    let schedules = [1.0, 0.4, 0.2, 0.1, 0.02].map(|share| Schedule::Constant { lr: lr * share });
    let milestones = [2, 5, 8, 12].map(|pass| steps * pass / 20);
    Schedule::Sequence { schedules: schedules.to_vec(), milestones: milestones.to_vec() }
}

/// The averages that the settings ask for, of all that is saved with the model.
pub(crate) fn average(settings: &Settings, scope: &Scope) -> Result<Option<Average>> {
    let kept = settings.get_float("train.average")?;
    let all = || [scope.parameters(), scope.buffers()].concat();
    Ok((kept > 0.0).then(|| Average::new(all(), kept)))
}

/// The path from the root, so that a run finds its data from any folder.
pub(crate) fn whole_path(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn::Init;

    #[test]
    fn muon_gets_the_matrices_within_a_net() {
        let scope = Scope::root(0);
        for (layer, rows) in [("letters", 65), ("pairs", 900), ("qkv", 24), ("contract", 65), ("head", 65)] {
            (&scope / layer).parameter("weight", &[rows, 8], Init::Constant(0.0));
        }
        let names = |vars: Vec<Var>| vars.iter().map(|var| var.name().to_owned()).collect::<Vec<_>>();
        let (inside, others) = within(scope.trainable(), &head(&scope), 65);
        assert_eq!(names(inside), ["qkv/weight", "contract/weight"]);
        assert_eq!(names(others), ["letters/weight", "pairs/weight", "head/weight"]);
        // A net that gives other outputs than its last layer has rows, and one whose last layer is a norm.
        assert_eq!(names(within(scope.trainable(), "head", 10).1), ["letters/weight", "pairs/weight"]);
        assert_eq!(names(within(scope.trainable(), "norm", 65).1), ["letters/weight", "pairs/weight"]);
    }
}
