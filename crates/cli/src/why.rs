//! `glassbox why`: what stands out in a run, and why.

use std::path::PathBuf;

use glassbox::train::Error;
use glassbox::train::event::counted;
use glassbox::train::replay::{Change, Tried, WhatIf};
use glassbox::train::why::{Element, Evidence, Finding, Operation, Row, Why};
use serde_json::{Value, json};

use crate::exit;
use crate::machine::Machine;
use crate::screen::say;

/// Arguments of `why`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the run, which is only read
    run: PathBuf,
    /// A step to ask about, from 1
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// Where the data of the run lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `why`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let mut run = zoo::Run::open_on(arguments.machine.cpu()?, &arguments.run, arguments.data.as_deref())?;
    let why = run.why(arguments.step)?;
    let name = arguments.run.display().to_string();
    if arguments.json {
        say(to_json(&name, &why));
    } else {
        tell(&name, arguments.step, &why);
    }
    Ok(exit::OK)
}

fn tell(run: &str, step: Option<u64>, why: &Why) {
    let replayed: Vec<String> = why.replayed.iter().map(u64::to_string).collect();
    let again = if replayed.is_empty() { "none".to_owned() } else { replayed.join(", ") };
    say(format_args!("{run}: {} in the ledger; made again: {again}", counted(why.steps as usize, "step")));
    why.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    if why.findings.is_empty() {
        let of = step.map_or(String::new(), |step| format!(" at step {step}"));
        say(format_args!("nothing unusual found{of}"));
    }
    for (number, finding) in why.findings.iter().enumerate() {
        say(format_args!("\n{}. {} at step {}: {}", number + 1, finding.kind.word(), finding.step, finding.because));
        tell_finding(run, finding);
    }
}

fn tell_finding(run: &str, finding: &Finding) {
    if !finding.followed.is_empty() {
        say(format_args!("   followed by: {}", steps(&finding.followed)));
    }
    if !finding.also.is_empty() {
        say(format_args!("   the same at: {}", steps(&finding.also)));
    }
    const SHOWN: usize = 4;
    finding.rows.iter().take(SHOWN).for_each(tell_row);
    if let Some(more @ [_, ..]) = finding.rows.get(SHOWN..) {
        let ids: Vec<String> = more.iter().map(|row| format!("{} ({})", row.row, row.id)).collect();
        say(format_args!("   and rows {}", ids.join(", ")));
    }
    if let Some(op) = &finding.op {
        tell_op(op);
    }
    if let Some(layer) = &finding.layer {
        say(format_args!("   layer: {layer}"));
    }
    for Evidence { what, value, usual } in &finding.evidence {
        let usual = usual.map_or(String::new(), |usual| format!(" (usual: {})", short(usual)));
        say(format_args!("   {what}: {}{usual}", short(*value)));
    }
    finding.what_if.iter().for_each(|what_if| tell_what_if(what_if, &finding.rows));
    finding.untested.iter().for_each(|why| say(format_args!("   not tested: {why}")));
    finding.look.iter().for_each(|words| say(format_args!("   look: glassbox show {run} {words}")));
}

fn tell_row(row: &Row) {
    let mut facts = vec![row.id.clone()];
    facts.extend(row.label.as_ref().map(|label| format!("labelled {label}")));
    facts.extend(row.says.as_ref().map(|(name, sure)| format!("the model says {name} ({:.1} %)", 100.0 * sure)));
    facts.push(format!("loss {}", short(f64::from(row.loss))));
    facts.extend(row.share.map(|share| format!("{:.1} % of the gradient", 100.0 * share)));
    if row.largest.is_finite() {
        facts.push(format!("largest number {}", short(row.largest)));
    }
    say(format_args!("   row {}: {}", row.row, facts.join(", ")));
    if row.losses.len() > 1 {
        const SHOWN: usize = 12;
        let losses: Vec<String> = row.losses.iter().take(SHOWN).map(|loss| short(f64::from(*loss))).collect();
        let more = row.losses.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(format_args!("     its loss each time: {}{more}", losses.join(" ")));
    }
}

fn tell_op(op: &Operation) {
    let line = op.line.as_ref().map_or(String::new(), |line| format!(": {line}"));
    let value = if op.value.is_empty() { String::new() } else { format!(" ({})", op.value) };
    say(format_args!("   op: {}{value}, {}, made at {}{line}", op.name, op.formula, op.at));
    for input in &op.inputs {
        let name = if input.name.is_empty() { "an input" } else { &input.name };
        say(format_args!("     from {name}: from {} to {}", short(input.least), short(input.most)));
    }
    for Element { index, value, in_f64, inputs } in &op.elements {
        let inputs: Vec<String> = inputs.iter().flatten().map(|input| short(*input)).collect();
        let of = if inputs.is_empty() { String::new() } else { format!(" of {}", inputs.join(" and ")) };
        let wide = in_f64.map_or(String::new(), |wide| format!("; in f64 {}", short(wide)));
        say(format_args!("     number {index}: {}{of}{wide}", short(*value)));
    }
}

fn tell_what_if(what_if: &WhatIf, rows: &[Row]) {
    let WhatIf { step, change, was, would } = what_if;
    let change = match change {
        Change::Rate(rate) => format!("at learning rate {}", short(*rate)),
        Change::Without(places) => {
            let name = |place: &usize| rows.iter().find(|row| row.place == Some(*place)).map(|row| row.row.to_string());
            let names: Vec<String> = places.iter().filter_map(name).collect();
            if names.len() == places.len() {
                format!("without row {}", names.join(", "))
            } else {
                format!("without these {} rows", places.len())
            }
        }
    };
    let pair = |what: &str, was: f32, would: f32| {
        format!("{what} {} instead of {}", short(f64::from(would)), short(f64::from(was)))
    };
    let mut figures = Vec::new();
    if was.loss.to_bits() != would.loss.to_bits() {
        figures.push(pair("loss", was.loss, would.loss));
        figures.push(pair("gradient", was.grad_norm, would.grad_norm));
    }
    figures.push(pair("loss of the batch after it", was.after, would.after));
    figures.push(pair("loss of the next", was.next, would.next));
    say(format_args!("   what if step {step} was made {change}: {}", figures.join(", ")));
}

fn steps(steps: &[u64]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = steps.iter().take(SHOWN).map(u64::to_string).collect();
    let more = steps.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("steps {}{more}", shown.join(", "))
}

/// A number in a few digits.
fn short(number: f64) -> String {
    let size = number.abs();
    if number.is_finite() && number != 0.0 && !(1e-3..1e5).contains(&size) {
        format!("{number:.3e}")
    } else if number == number.trunc() || !number.is_finite() {
        format!("{number}")
    } else {
        format!("{number:.4}")
    }
}

fn to_json(run: &str, why: &Why) -> Value {
    let findings: Vec<Value> = why.findings.iter().map(finding_to_json).collect();
    json!({
        "event": "end", "run": run, "status": if findings.is_empty() { "usual" } else { "unusual" },
        "steps": why.steps, "replayed": why.replayed, "notes": why.notes, "findings": findings,
    })
}

fn finding_to_json(finding: &Finding) -> Value {
    let rows: Vec<Value> = finding
        .rows
        .iter()
        .map(|row| {
            json!({
                "row": row.row, "place": row.place, "id": row.id, "label": row.label, "loss": float(row.loss),
                "losses": row.losses.iter().map(|loss| float(*loss)).collect::<Vec<_>>(), "share": row.share,
                "largest": number(row.largest),
                "says": row.says.as_ref().map(|(name, sure)| json!({ "class": name, "probability": number(*sure) })),
            })
        })
        .collect();
    let evidence: Vec<Value> = finding
        .evidence
        .iter()
        .map(|one| json!({ "what": one.what, "value": number(one.value), "usual": one.usual.map(number) }))
        .collect();
    let what_if: Vec<Value> = finding
        .what_if
        .iter()
        .map(|what_if| {
            let (name, change) = match &what_if.change {
                Change::Rate(rate) => ("lr", json!(rate)),
                Change::Without(places) => ("without", json!(places)),
            };
            json!({ "step": what_if.step, name: change, "was": tried(&what_if.was), "would": tried(&what_if.would) })
        })
        .collect();
    json!({
        "kind": finding.kind.word(), "step": finding.step, "also": finding.also, "followed": finding.followed,
        "because": finding.because, "rows": rows, "layer": finding.layer, "op": finding.op.as_ref().map(op_to_json),
        "evidence": evidence, "what_if": what_if, "untested": finding.untested, "look": finding.look,
    })
}

fn op_to_json(op: &Operation) -> Value {
    let elements: Vec<Value> = op
        .elements
        .iter()
        .map(|element| {
            json!({
                "index": element.index, "value": number(element.value), "in_f64": element.in_f64.map(number),
                "inputs": element.inputs.iter().map(|input| input.map(number)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let inputs: Vec<Value> = op
        .inputs
        .iter()
        .map(|input| json!({ "name": input.name, "least": number(input.least), "most": number(input.most) }))
        .collect();
    json!({
        "name": op.name, "formula": op.formula, "value": op.value, "layer": op.layer, "at": op.at, "line": op.line,
        "backward": op.backward, "odd": op.odd, "count": op.count, "elements": elements, "inputs": inputs,
    })
}

fn tried(tried: &Tried) -> Value {
    json!({
        "loss": float(tried.loss), "grad_norm": float(tried.grad_norm), "after": float(tried.after),
        "next": float(tried.next),
    })
}

fn float(x: f32) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}

/// JSON has no NaN and no infinities: they are text.
fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}
