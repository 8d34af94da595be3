//! Findings: steps that stand out are made again, and asked.

use data::Target;

use super::fed::{OddInput, odd_inputs, share};
use super::history;
use super::layers::Layers;
use super::origin::origin;
use super::scan::{Event, What};
use super::{Evidence, Finding, Kind, Row};
use crate::error::Result;
use crate::replay::{At, Change, Run};

/// Rows that are told.
const MOST_ROWS: usize = 4;
/// A row of a spike counts if it makes this share of the gradient.
const SHARE: f64 = 0.5;
/// Rows that are looked at for another label.
const MOST_SUSPECTS: usize = 12;
/// A row is mislabelled only if the model is so sure of another class.
const SURE: f64 = 0.8;

impl Finding {
    pub(crate) fn new(kind: Kind, step: u64, because: String) -> Finding {
        Finding {
            kind,
            step,
            also: Vec::new(),
            followed: Vec::new(),
            because,
            rows: Vec::new(),
            layer: None,
            op: None,
            evidence: Vec::new(),
            what_if: Vec::new(),
            untested: Vec::new(),
            look: Vec::new(),
        }
    }

    pub(super) fn with(&mut self, what: impl Into<String>, value: f64, usual: Option<f64>) {
        self.evidence.push(Evidence { what: what.into(), value, usual: usual.filter(|usual| usual.is_finite()) });
    }

    /// Tests what would have been with a change at `step`.
    pub(super) fn test(&mut self, run: &mut Run, step: u64, change: Change) {
        match run.what_if(step, &change) {
            Ok(what_if) => self.what_if.push(what_if),
            Err(error) => self.untested.push(error.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    }

    /// Notes what the loss of a step comes to if every op computes in f64.
    fn with_f64(&mut self, at: &At) {
        let wide = at.node("loss").and_then(|loss| at.values(&[&loss.in_f64()]));
        match wide {
            Ok(values) => self.with("loss of the batch, computed in f64", values[0].get_f64(0), None),
            Err(error) => {
                let why = error.to_string();
                self.untested.push(format!("the loss in f64: {}", why.lines().next().unwrap_or_default()));
            }
        }
    }

    fn places(&self) -> Vec<usize> {
        self.rows.iter().filter_map(|row| row.place).collect()
    }
}

/// What stands behind an event.
pub(super) fn explained(run: &mut Run, event: &Event) -> Result<Finding> {
    let mut finding = match event.what {
        What::NotFinite => not_finite(run, event)?,
        What::Rate => rate(run, event)?,
        What::Loss | What::Row(_) | What::Gradient | What::Stopped => spike(run, event)?,
        What::Exploding => exploding(run, event)?,
        What::Plateau => plateau(run, event)?,
    };
    finding.also.clone_from(&event.also);
    finding.followed.clone_from(&event.followed);
    Ok(finding)
}

fn not_finite(run: &mut Run, event: &Event) -> Result<Finding> {
    let step = event.step;
    let at = run.at(step)?;
    let lr = at.record().lr;
    let found = origin(&at)?;
    let (op, mut places) = found.map_or((None, Vec::new()), |(op, places)| (Some(op), places));
    let all = at.batch().len();
    if places.is_empty() || places.len() == all {
        let fed = at.run().ledger().rows(step).map_or(Vec::new(), |fed| fed.rows);
        let bad: Vec<usize> = (0..fed.len()).filter(|&place| !fed[place].loss.is_finite()).collect();
        if !bad.is_empty() && bad.len() < all {
            places = bad;
        }
    }
    let told = if places.len() < all { &places[..places.len().min(MOST_ROWS)] } else { &[] };
    let rows = told.iter().map(|&place| row_at(&at, place, None)).collect::<Result<Vec<_>>>()?;
    let because = match &op {
        None => "loss and gradient of the step can be computed; what became none is not part of it".to_owned(),
        Some(op) if op.name == "var" => format!("{} held numbers that are none before the step", op.value),
        Some(op) if op.name == "data" => format!("{} holds numbers that are none: the data is broken", op.value),
        Some(op) => {
            let layer = op.layer.as_ref().map_or(String::new(), |layer| format!(" in {layer}"));
            let way = if op.backward { " on the way back" } else { "" };
            let made = op.elements.first().map_or(f64::NAN, |element| element.value);
            format!("the op {}{layer}{way} made {made} of numbers, {} of {} times", op.name, op.odd, op.count)
        }
    };
    let mut finding = Finding::new(Kind::NotFinite, step, because);
    finding.rows = rows;
    finding.with("loss of the batch", f64::from(at.record().loss), Some(event.usual));
    finding.with_f64(&at);
    finding.with("length of the gradient", f64::from(at.record().grad_norm), None);
    finding.with("rows that it came of", places.len() as f64, None);
    if let Some(op) = &op {
        finding.layer.clone_from(&op.layer);
        if !op.value.is_empty() {
            let index = op.elements.first().map(|element| format!(" {}", element.index)).unwrap_or_default();
            let name = if op.value.starts_with('#') { format!("'{}'", op.value) } else { op.value.clone() };
            finding.look.push(format!("--step {step} {name} --explain{index}"));
        }
    }
    finding.op = op;
    if !places.is_empty() && places.len() < all {
        finding.test(run, step, Change::Without(places));
    }
    slower_before(run, &mut finding, lr);
    Ok(finding)
}

/// Tests the step before with half the learning rate, if the run made it.
fn slower_before(run: &mut Run, finding: &mut Finding, lr: f64) {
    let first = run.dir().record().branched_at().unwrap_or(0) + 1;
    if finding.step > first {
        let before = run.ledger().step(finding.step - 1).map_or(lr, |record| record.lr);
        finding.test(run, finding.step - 1, Change::Rate(before / 2.0));
    }
}

fn rate(run: &mut Run, event: &Event) -> Result<Finding> {
    let (step, times) = (event.step, event.value / event.usual);
    let mut finding = Finding::new(
        Kind::RateJump,
        step,
        format!("the learning rate of this step is {} times that of the steps before", rounded(times)),
    );
    finding.with("learning rate", event.value, Some(event.usual));
    let of = |step: u64| run.ledger().step(step).map(|record| (f64::from(record.loss), record.update_norm));
    let (loss, next) = (of(step), of(step + 1));
    if let (Some((loss, _)), Some((next, _))) = (loss, next) {
        finding.with("loss of the batch after it", next, Some(loss));
    }
    finding.test(run, step, Change::Rate(event.usual));
    finding.test(run, step, Change::Rate(event.value / 2.0));
    let [was, usual] = match finding.what_if.first() {
        Some(tested) => [tested.was.next, tested.would.next],
        None => [f32::NAN; 2],
    };
    if was > usual || was.is_nan() {
        finding.because += &format!("; with the usual one the next loss is {usual}, not {was}");
    } else if !finding.what_if.is_empty() {
        finding.because += "; it did no harm to the next loss";
    }
    finding.look.push(format!("--step {step}"));
    Ok(finding)
}

fn spike(run: &mut Run, event: &Event) -> Result<Finding> {
    let step = event.step;
    let at = run.at(step)?;
    let record = *at.record();
    let odd = odd_inputs(at.batch());
    let layers = Layers::of(&at)?;
    let mut finding = if odd.is_empty() { of_rows(&at, event)? } else { corrupt(&at, &odd)? };
    finding.with("loss of the batch", f64::from(record.loss), usual_of(event, &[What::Loss, What::Stopped]));
    finding.with_f64(&at);
    finding.with("length of the gradient", f64::from(record.grad_norm), usual_of(event, &[What::Gradient]));
    if let What::Row(_) = event.what {
        finding.with("loss of the row", event.value, Some(event.usual));
    }
    if event.distance.is_finite() {
        finding.with("usual distances from the median", event.distance, None);
    }
    if let Some(steepest) = layers.steepest() {
        finding.layer = Some(layer_of(&steepest.name));
        finding.with(format!("size of {}.grad", steepest.name), steepest.size, None);
        finding.look.push(format!("--step {step} {}.grad", steepest.name));
    }
    let (places, all) = (finding.places(), at.batch().len());
    if places.is_empty() || places.len() == all {
        slower_before(run, &mut finding, record.lr);
        let better = finding.what_if.first().is_some_and(|tested| tested.would.next < 0.5 * tested.was.next);
        if better {
            finding.because += "; with half the learning rate one step before, it is less than half as high: the rate is too \
                                large here";
        }
    } else {
        finding.test(run, step, Change::Without(places));
        finding.test(run, step, Change::Rate(record.lr / 2.0));
    }
    Ok(finding)
}

fn usual_of(event: &Event, whats: &[What]) -> Option<f64> {
    whats.contains(&event.what).then_some(event.usual)
}

/// A spike that comes of a few rows, or of all.
fn of_rows(at: &At, event: &Event) -> Result<Finding> {
    let step = at.step();
    let mut worst: Vec<(usize, f32)> = at
        .run()
        .ledger()
        .rows(step)
        .map_or(Vec::new(), |fed| fed.rows.iter().map(|row| row.loss).enumerate().collect());
    worst.retain(|(_, loss)| !loss.is_nan());
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut rows = Vec::new();
    for &(place, _) in worst.iter().take(MOST_ROWS) {
        let row = row_at(at, place, None)?;
        let share = share(at, place)?;
        let is_it = matches!(event.what, What::Row(number) if number == row.row);
        if at.batch().len() > 1 && share.map_or(is_it, |share| share >= SHARE) {
            rows.push(Row { share, ..row });
        }
    }
    let kind = if event.what == What::Gradient { Kind::GradientSpike } else { Kind::LossSpike };
    let what = if kind == Kind::GradientSpike { "the gradient" } else { "the loss" };
    let because = match &rows[..] {
        [] => format!("{what} of the whole batch is unusual, not that of single rows: look at the steps before"),
        [row] => format!("row {} ({}) makes most of it", row.row, row.id),
        _ => format!("{} rows of the batch make most of it", rows.len()),
    };
    let mut finding = Finding::new(kind, step, because);
    if let Some(row) = rows.first() {
        finding.look.push(format!("--step {step} losses --explain {}", row.place.unwrap_or(0)));
    }
    finding.rows = rows;
    Ok(finding)
}

/// Rows with numbers beyond all others.
fn corrupt(at: &At, odd: &[OddInput]) -> Result<Finding> {
    let (step, worst) = (at.step(), odd[0]);
    let mut rows = Vec::new();
    for odd in odd.iter().take(MOST_ROWS) {
        let share = share(at, odd.place)?;
        rows.push(Row { share, ..row_at(at, odd.place, Some(odd.largest))? });
    }
    let times = rounded(worst.largest / worst.usual);
    let because = format!(
        "row {} ({}) was fed numbers {times} times as large as the other rows: it looks corrupt",
        rows[0].row, rows[0].id
    );
    let mut finding = Finding::new(Kind::CorruptRow, step, because);
    finding.with("largest number of the row as fed", worst.largest, Some(worst.usual));
    finding.rows = rows;
    finding.look.push(format!("--step {step} input --values"));
    Ok(finding)
}

fn exploding(run: &mut Run, event: &Event) -> Result<Finding> {
    let at = run.at(event.step)?;
    let (layers, lr) = (Layers::of(&at)?, at.record().lr);
    let times = rounded(event.value / event.usual);
    let because = format!("gradients grew to {times} times those of the first steps while the loss did not fall");
    let mut finding = Finding::new(Kind::ExplodingGradient, event.step, because);
    finding.with("length of the gradient", event.value, Some(event.usual));
    if let Some(steepest) = layers.steepest() {
        finding.layer = Some(layer_of(&steepest.name));
        finding.with(format!("size of {}.grad", steepest.name), steepest.size, Some(steepest.weight));
        finding.look.push(format!("--step {} {}.grad", event.step, steepest.name));
    }
    finding.test(run, event.step, Change::Rate(lr / 2.0));
    Ok(finding)
}

fn plateau(run: &mut Run, event: &Event) -> Result<Finding> {
    let at = run.at(event.step)?;
    let lr = at.record().lr;
    let because = "the loss of the second half of the run is hardly below that at first".to_owned();
    let mut finding = Finding::new(Kind::Plateau, event.step, because);
    finding.with("median loss from here on", event.value, Some(event.usual));
    finding.with("learning rate", lr, None);
    if let (Some(update), Some(weight)) = (at.record().update_norm, at.record().weight_norm) {
        let share = f64::from(update) / f64::from(weight);
        finding.with("length of the update, as a share of the weights", share, None);
        if share < 1e-5 {
            finding.because += "; each step hardly changes the weights: the learning rate is too small";
        }
    }
    finding.look.push(format!("--step {}", event.step));
    for rate in [10.0 * lr, lr / 10.0] {
        finding.test(run, event.step, Change::Rate(rate));
    }
    Ok(finding)
}

/// What is unusual about a step that does not stand out in the ledger.
pub(super) fn fed(run: &mut Run, step: u64) -> Result<Option<Finding>> {
    let at = run.at(step)?;
    let (loss, gradient) = (f64::from(at.record().loss), f64::from(at.record().grad_norm));
    if !loss.is_finite() || !gradient.is_finite() {
        // Without a ledger it did not stand out.
        return not_finite(run, &Event::new(step, What::NotFinite, loss, f64::NAN, f64::NAN)).map(Some);
    }
    let odd = odd_inputs(at.batch());
    if odd.is_empty() {
        return Ok(None);
    }
    let mut finding = corrupt(&at, &odd)?;
    finding.with("loss of the batch", f64::from(at.record().loss), None);
    let places = finding.places();
    finding.test(run, step, Change::Without(places));
    Ok(Some(finding))
}

/// Rows that were not learnt while the others of their class were; of those in the batch of `step`, if there is one.
pub(super) fn unlearnt(
    run: &mut Run,
    step: Option<u64>,
    guess: f64,
    replayed: &mut Vec<u64>,
) -> Result<Option<Finding>> {
    let train = std::sync::Arc::clone(&run.job().splits.train);
    let class = |row: u32| match train.target(row as usize) {
        Ok(Target::Class(class)) => Some(class),
        _ => None,
    };
    let mut all = history::unlearnt(run.ledger(), guess, class);
    if let Some(fed) = step.and_then(|step| run.ledger().rows(step)) {
        all.retain(|found| fed.rows.iter().any(|row| row.row == found.row));
    }
    let asked = all.len().min(MOST_SUSPECTS);
    let mut rows = Vec::new();
    for found in &all[..asked] {
        if let Some(row) = mislabelled(run, found, replayed)? {
            rows.push((found, row));
        }
    }
    // If the model confirmed most of those that were asked about, the others are told too.
    if 3 * rows.len() >= 2 * asked {
        rows.extend(all[asked..].iter().map(|found| (found, unasked(run, found))));
    }
    let Some((worst, row)) = rows.first() else { return Ok(None) };
    let label = row.label.as_ref().map_or(String::new(), |label| format!(", labelled {label},"));
    let says = row
        .says
        .as_ref()
        .map_or(String::new(), |(name, sure)| format!(", and the model says {name} ({:.0} %)", 100.0 * sure));
    let more = match rows.len() {
        1 => String::new(),
        count => format!(", and so do {} more", count - 1),
    };
    let because = format!(
        "row {} ({}){label} has a high loss epoch after epoch while the others of its class are learnt{says}: it looks mislabelled{more}",
        row.row, row.id
    );
    let (step, place) = (worst.steps[0], row.place.unwrap_or(0));
    let mut finding = Finding::new(Kind::MislabelledRow, step, because);
    finding.with("loss of the row", f64::from(row.loss), Some(worst.class));
    finding.with("epochs in which it is among the highest hundredth", worst.top as f64, None);
    finding.with("epochs that were looked at", worst.epochs as f64, None);
    finding.look.push(format!("--step {step} losses --explain {place}"));
    finding.look.push(format!("--step {step} input --png batch.png"));
    finding.rows = rows.into_iter().map(|(_, row)| row).collect();
    finding.test(run, step, Change::Without(vec![place]));
    Ok(Some(finding))
}

/// A row that the model was not asked about.
fn unasked(run: &Run, found: &history::Unlearnt) -> Row {
    let splits = &run.job().splits;
    let label = match splits.train.target(found.row as usize) {
        Ok(Target::Class(class)) => splits.input.classes.get(class).cloned(),
        _ => None,
    };
    Row {
        row: found.row,
        place: None,
        id: splits.train.id(found.row as usize),
        label,
        loss: found.losses.last().copied().unwrap_or(f32::NAN),
        losses: found.losses.clone(),
        share: None,
        largest: f64::NAN,
        says: None,
    }
}

/// The row, if the model is sure of another class, the same one the last two times that it was fed it.
fn mislabelled(run: &mut Run, found: &history::Unlearnt, replayed: &mut Vec<u64>) -> Result<Option<Row>> {
    let mut told: Option<Row> = None;
    let begun = run.dir().record().branched_at().unwrap_or(0);
    for step in found.steps.into_iter().filter(|&step| step > begun) {
        let at = run.at(step)?;
        replayed.push(step);
        let Some(place) = at.batch().rows.iter().position(|&row| row == found.row as usize) else { return Ok(None) };
        // Those that are corrupt are told as such.
        if odd_inputs(at.batch()).iter().any(|odd| odd.place == place) {
            return Ok(None);
        }
        let row = Row { says: says(&at, place)?, losses: found.losses.clone(), ..row_at(&at, place, None)? };
        let said = |row: &Row| row.says.as_ref().map(|(name, _)| name.clone());
        let sure = row.says.as_ref().is_none_or(|(name, sure)| *sure >= SURE && Some(name) != row.label.as_ref());
        if !sure || told.as_ref().is_some_and(|told| said(told) != said(&row)) {
            return Ok(None);
        }
        told.get_or_insert(row);
    }
    Ok(told)
}

/// What the model says of the row at `place`, and how surely.
fn says(at: &At, place: usize) -> Result<Option<(String, f64)>> {
    let logits = at.tensor("logits")?;
    let names = &at.run().job().splits.input.classes;
    let each = logits.shape().count() / at.batch().len().max(1);
    if each != names.len() || each == 0 {
        return Ok(None);
    }
    let own: Vec<f64> = (place * each..(place + 1) * each).map(|index| logits.get_f64(index)).collect();
    let most = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = own.iter().map(|logit| (logit - most).exp()).sum();
    let best = own.iter().position(|logit| *logit == most);
    Ok(best.map(|best| (names[best].clone(), 1.0 / sum)))
}

/// A row of the batch of a step.
fn row_at(at: &At, place: usize, largest: Option<f64>) -> Result<Row> {
    let (splits, row) = (&at.run().job().splits, at.batch().rows[place]);
    let label = match splits.train.target(row)? {
        Target::Class(class) => splits.input.classes.get(class).cloned(),
        _ => None,
    };
    let each = (at.batch().x.len() / at.batch().len().max(1)).max(1);
    let own = at.batch().x.chunks(each).nth(place).unwrap_or_default();
    let most = own.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
    let ledger = at.run().ledger();
    let fed =
        || ledger.all_rows().filter_map(|fed| Some((fed.step, *fed.rows.iter().find(|one| one.row as usize == row)?)));
    Ok(Row {
        row: row as u32,
        place: Some(place),
        id: splits.train.id(row),
        label,
        loss: fed().find(|(step, _)| *step == at.step()).map_or(f32::NAN, |(_, row)| row.loss),
        losses: fed().map(|(_, row)| row.loss).collect(),
        share: None,
        largest: largest.unwrap_or(most),
        says: None,
    })
}

/// `conv1` of `conv1/weight`.
pub(super) fn layer_of(parameter: &str) -> String {
    parameter.rsplit_once('/').map_or(parameter, |(layer, _)| layer).to_owned()
}

/// A factor as people say it.
fn rounded(times: f64) -> String {
    if times < 10.0 {
        format!("{times:.1}")
    } else if times < 1e6 {
        format!("{times:.0}")
    } else {
        format!("{times:.1e}")
    }
}
