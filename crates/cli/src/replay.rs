//! `glassbox replay`: makes steps of a run again, and compares them with what was recorded.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use glassbox::train::Error;
use glassbox::train::event::counted;
use glassbox::train::ledger::StepRecord;
use glassbox::train::replay::Checked;
use serde_json::json;

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `replay`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run, which is only read
    run: PathBuf,
    /// A step, from 1, or steps A..B
    #[arg(long, value_name = "N", required_unless_present = "all")]
    step: Option<String>,
    /// All steps
    #[arg(long, conflicts_with = "step")]
    all: bool,
    /// Only say whether they come to what was recorded
    #[arg(long)]
    check: bool,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Carries out `replay`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let mut run = zoo::Run::open_on(arguments.machine.cpu()?, &arguments.run, arguments.data.as_deref())?;
    let steps = match &arguments.step {
        Some(text) => range(text)?,
        None => run.dir().record().branched_at().unwrap_or(0) + 1..=run.last_step()?,
    };
    let shown = steps.clone();
    // What is refused has no table, so its head comes with the first step.
    let mut headed = arguments.json;
    let checked = run.check(steps, &mut |made| {
        if arguments.check {
            return;
        }
        if !std::mem::replace(&mut headed, true) {
            let [loss, lr, g, w, dw] = ["loss", "lr", "|g|", "|w|", "|dw|"];
            say(format_args!("{:>8}  {loss:>10}  {lr:>10}  {g:>10}  {w:>10}  {dw:>10}", "step"));
        }
        show(made, arguments.json);
    })?;
    let torn = run.ledger().torn();
    if arguments.json {
        let differences: Vec<_> = checked
            .differences
            .iter()
            .map(|d| json!({ "step": d.step, "what": d.what, "recorded": d.recorded, "computed": d.computed }))
            .collect();
        let status = if checked.differences.is_empty() { "same" } else { "different" };
        say(json!({
            "event": "end", "run": arguments.run.display().to_string(), "first": shown.start(), "last": shown.end(),
            "from": checked.from, "steps": checked.steps, "recorded": checked.recorded, "hashes": checked.hashes,
            "status": status, "differences": differences, "torn": torn,
        }));
    } else {
        torn.iter().for_each(|what| say(format_args!("note: {what}: what lies behind is not compared")));
        verdict(&checked);
    }
    Ok(if checked.differences.is_empty() { exit::OK } else { exit::CORRUPT })
}

/// `7`, or `7..9`, both ends included.
pub fn range(text: &str) -> Result<RangeInclusive<u64>, Error> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let ends = match text.split_once("..") {
        Some((first, last)) => number(first).zip(number(last.trim_start_matches('='))),
        None => number(text).map(|step| (step, step)),
    };
    ends.map(|(first, last)| first..=last)
        .ok_or_else(|| Error::usage(format!("--step {text} is no step"), "write --step 400, or --step 400..420"))
}

fn show(made: &StepRecord, json: bool) {
    let StepRecord { step, lr, loss, grad_norm, weight_norm, update_norm, hash } = made;
    if json {
        say(json!({
            "event": "step", "step": step, "lr": lr, "loss": loss, "grad_norm": grad_norm, "weight_norm": weight_norm,
            "update_norm": update_norm, "hash": hash.map(|hash| format!("{hash:032x}")),
        }));
        return;
    }
    let hash = hash.map_or(String::new(), |hash| format!("  {hash:032x}"));
    let [weight, update] = [weight_norm, update_norm].map(|norm| norm.unwrap_or(f32::NAN));
    say(format_args!("{step:>8}  {loss:>10.6}  {lr:>10.4e}  {grad_norm:>10.6}  {weight:>10.6}  {update:>10.6}{hash}"));
}

fn verdict(checked: &Checked) {
    const SHOWN: usize = 12;
    checked.differences.iter().take(SHOWN).for_each(say);
    let more = checked.differences.len().saturating_sub(SHOWN);
    if more > 0 {
        say(format_args!("and {more} more"));
    }
    let from = match checked.from {
        0 => "the seed".to_owned(),
        step => format!("step {step}"),
    };
    let Checked { steps, recorded, hashes, .. } = checked;
    let made = format!("{} made again from {from}", counted(*steps as usize, "step"));
    if checked.differences.is_empty() && *recorded == 0 {
        say(format_args!("{made}; there is no record of them to compare with (ledger.on)"));
    } else if checked.differences.is_empty() {
        say(format_args!(
            "{made}: all figures of {recorded} and all {hashes} hashes are those that were recorded, bit for bit"
        ));
    } else {
        say(format_args!("{made}: they do not come to what was recorded"));
    }
}
