//! What stands out in the ledger: cheap, nothing is computed again.

use super::robust::{Usual, median};
use crate::ledger::{Ledger, StepRecord};

/// Steps before a step that say what is usual there.
const WINDOW: usize = 64;
/// With fewer of them nothing is usual yet.
const LEAST_WINDOW: usize = 5;
/// Usual distances above the median that make a spike.
const FAR: f64 = 8.0;
/// A spike of the loss is also so many times higher than every step of the window, ...
const ABOVE_ALL: f64 = 1.5;
/// ... and higher than the median by this share of what the loss was at first.
const SHARE_OF_FIRST: f64 = 0.2;
/// A row stands out if its loss is so many times the largest loss of a row in the window, ...
const ROW_ABOVE_ALL: f64 = 5.0;
/// ... and so many times what the loss was at first. So is a step before there is a window.
const ROW_ABOVE_FIRST: f64 = 10.0;
/// A spike of the gradient is so many times longer than all of the window, and than at first.
const GRADIENT_ABOVE_ALL: f64 = 5.0;
/// A learning rate jumps if it is so many times the median of the last ones.
const RATE_JUMP: f64 = 3.0;
/// Learning rates before and behind a step that say what is usual there.
const RATES: usize = 16;
/// A spike so many steps behind another is what is left of it.
const AFTERMATH: u64 = 8;
/// A loss that is still this share of what it was at first was not learnt.
const STUCK_SHARE: f64 = 0.9;
/// Fewer steps say nothing of a plateau.
const LEAST_STEPS: usize = 40;
/// Gradients so many times those at first explode.
const EXPLODED: f64 = 100.0;

/// What stands out at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Loss or gradient are no numbers.
    NotFinite,
    /// The learning rate jumped, and the loss followed or the rate came back.
    Rate,
    /// The loss of most rows.
    Loss,
    /// The loss of one row.
    Row(u32),
    /// The length of the gradient.
    Gradient,
    /// Gradients that grew and grew.
    Exploding,
    /// Losses that do not fall.
    Plateau,
    /// The step after which training stopped as diverged, for no reason that the ledger tells.
    Stopped,
}

/// A step that stands out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub step: u64,
    pub what: What,
    /// The figure that stands out, and what is usual for it.
    pub value: f64,
    pub usual: f64,
    /// In usual distances from it; NaN where that is no measure.
    pub distance: f64,
    /// Steps behind it that stand out because of it.
    pub followed: Vec<u64>,
    /// Other steps at which the same was seen.
    pub also: Vec<u64>,
}

impl Event {
    pub fn new(step: u64, what: What, value: f64, usual: f64, distance: f64) -> Event {
        Event { step, what, value, usual, distance, followed: Vec::new(), also: Vec::new() }
    }

    /// Whether it is seen at a step.
    pub fn concerns(&self, step: u64) -> bool {
        self.step == step || self.followed.contains(&step) || self.also.contains(&step)
    }
}

/// What was measured of a step.
struct Point {
    record: StepRecord,
    /// Median of the losses of its rows; the loss of the batch if they have none.
    middle: f64,
    /// Its row with the largest loss.
    worst: Option<(u32, f64)>,
}

/// The steps of a run that stand out, in order. `guess` is the loss of a blind guess; `diverged` says that training stopped so.
pub(super) fn events(ledger: &Ledger, guess: f64, diverged: bool) -> Vec<Event> {
    let points: Vec<Point> = ledger.steps().iter().map(|record| point(ledger, record)).collect();
    let losses = || points.iter().map(|point| f64::from(point.record.loss));
    let first = median(losses().take(LEAST_WINDOW).chain([guess])).max(guess);
    let first_gradient = median(points.iter().take(LEAST_WINDOW).map(|point| f64::from(point.record.grad_norm)));

    let mut spikes: Vec<Event> = Vec::new();
    let mut clean: Vec<usize> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let window: Vec<&Point> = clean.iter().rev().take(WINDOW).map(|&at| &points[at]).collect();
        match spike(point, &window, first, first_gradient) {
            Some(event) => {
                let ends = event.what == What::NotFinite;
                spikes.push(event);
                if ends {
                    break;
                }
            }
            None => clean.push(at),
        }
    }
    let mut events = with_aftermath(with_causes(&points, spikes));
    if diverged && events.is_empty() {
        events.extend(
            points.last().map(|point| {
                Event::new(point.record.step, What::Stopped, f64::from(point.record.loss), first, f64::NAN)
            }),
        );
    }
    events.extend(exploding(&points, first, first_gradient));
    events.extend(plateau(&points, first));
    events.sort_by_key(|event| event.step);
    events
}

fn point(ledger: &Ledger, record: &StepRecord) -> Point {
    let rows = ledger.rows(record.step).map_or(Vec::new(), |rows| rows.rows);
    let known = || rows.iter().map(|row| (row.row, f64::from(row.loss))).filter(|(_, loss)| !loss.is_nan());
    let middle = match known().next() {
        Some(_) => median(known().map(|(_, loss)| loss)),
        None => f64::from(record.loss),
    };
    Point { record: *record, middle, worst: known().max_by(|a, b| a.1.total_cmp(&b.1)) }
}

fn spike(point: &Point, window: &[&Point], first: f64, first_gradient: f64) -> Option<Event> {
    let StepRecord { step, loss, grad_norm, .. } = point.record;
    let (loss, gradient) = (f64::from(loss), f64::from(grad_norm));
    if !loss.is_finite() || !gradient.is_finite() {
        let value = if loss.is_finite() { gradient } else { loss };
        let usual = median(window.iter().map(|point| f64::from(point.record.loss)));
        return Some(Event::new(step, What::NotFinite, value, usual, f64::NAN));
    }
    // The row first: where one is far off, the mean is too.
    let worst_before = window.iter().filter_map(|point| point.worst).map(|(_, loss)| loss).fold(first, f64::max);
    if let Some((row, worst)) = point.worst
        && worst > ROW_ABOVE_ALL * worst_before
        && worst > ROW_ABOVE_FIRST * first
        && worst > ROW_ABOVE_FIRST * point.middle
    {
        let usual = median(window.iter().filter_map(|point| point.worst).map(|(_, loss)| loss));
        return Some(Event::new(step, What::Row(row), worst, usual, f64::NAN));
    }
    if window.len() < LEAST_WINDOW {
        return (loss > ROW_ABOVE_FIRST * first).then(|| Event::new(step, What::Loss, loss, first, f64::NAN));
    }
    let usual = Usual::of(window.iter().map(|point| point.middle))?;
    let far = usual.distance(point.middle);
    if far > FAR && point.middle > ABOVE_ALL * usual.most && point.middle - usual.median > SHARE_OF_FIRST * first {
        let losses = Usual::of(window.iter().map(|point| f64::from(point.record.loss)))?;
        return Some(Event::new(step, What::Loss, loss, losses.median, losses.distance(loss)));
    }
    let usual = Usual::of(window.iter().map(|point| f64::from(point.record.grad_norm)))?;
    let far = usual.distance(gradient);
    let beyond = gradient > GRADIENT_ABOVE_ALL * usual.most.max(first_gradient);
    (far > FAR && beyond).then(|| Event::new(step, What::Gradient, gradient, usual.median, far))
}

/// Learning rates that jumped, before the spikes that followed them.
fn with_causes(points: &[Point], spikes: Vec<Event>) -> Vec<Event> {
    let rate = |at: usize| points[at].record.lr;
    let usual = |range: std::ops::Range<usize>| median(range.map(rate).filter(|&lr| lr > 0.0));
    let mut events = Vec::new();
    for at in 1..points.len() {
        let step = points[at].record.step;
        let before = usual(at.saturating_sub(RATES)..at);
        if before.is_nan() || rate(at) <= RATE_JUMP * before || rate(at) <= RATE_JUMP * rate(at - 1) {
            continue;
        }
        let behind = usual(at + 1..(at + 1 + RATES).min(points.len()));
        let followed: Vec<u64> =
            spikes.iter().map(|spike| spike.step).filter(|&hit| hit > step && hit <= step + 2).collect();
        // A warm-up begins with a jump too, and stays up.
        let came_back = at >= LEAST_WINDOW && rate(at) > RATE_JUMP * behind;
        if came_back || !followed.is_empty() {
            events.push(Event { followed, ..Event::new(step, What::Rate, rate(at), before, f64::NAN) });
        }
    }
    events.extend(spikes);
    // The cause stands before what it did.
    events.sort_by_key(|event| event.step);
    events
}

/// Spikes soon after another belong to it, and so do those of the same row.
fn with_aftermath(events: Vec<Event>) -> Vec<Event> {
    let mut kept: Vec<Event> = Vec::new();
    let mut calm_from = 0;
    for event in events {
        let step = event.step;
        let row = |what: What| if let What::Row(row) = what { Some(row) } else { None };
        let same = kept.iter().position(|known| row(event.what).is_some() && row(known.what) == row(event.what));
        let of_a_rate = kept.last().is_some_and(|known| known.what == What::Rate);
        let caused = match event.what {
            What::Loss | What::Gradient | What::NotFinite => true,
            What::Rate | What::Row(_) => of_a_rate,
            _ => false,
        };
        if let Some(known) = same {
            kept[known].also.push(step);
        } else if caused
            && step < calm_from
            && let Some(cause) = kept.last_mut()
        {
            if !cause.followed.contains(&step) {
                cause.followed.push(step);
            }
            // Where the numbers ended is told on its own.
            if event.what == What::NotFinite {
                kept.push(event);
            }
        } else {
            kept.push(event);
        }
        calm_from = step + 1 + AFTERMATH;
    }
    kept
}

/// The first step whose gradients, with those before it, are far longer than at first, while the loss is not less.
fn exploding(points: &[Point], first: f64, first_gradient: f64) -> Option<Event> {
    (2 * LEAST_WINDOW..points.len()).find_map(|at| {
        let last = &points[at + 1 - LEAST_WINDOW..=at];
        let gradient = median(last.iter().map(|point| f64::from(point.record.grad_norm)));
        let loss = median(last.iter().map(|point| f64::from(point.record.loss)));
        (gradient > EXPLODED * first_gradient && loss >= first)
            .then(|| Event::new(points[at].record.step, What::Exploding, gradient, first_gradient, f64::NAN))
    })
}

/// Whether the loss of the second half of a run is hardly less than at first.
fn plateau(points: &[Point], first: f64) -> Option<Event> {
    if points.len() < LEAST_STEPS {
        return None;
    }
    let half = points.len() / 2;
    let level = |part: &[Point]| median(part.iter().map(|point| f64::from(point.record.loss)));
    let (early, late) = (level(&points[..half]), level(&points[half..]));
    let stuck = late > STUCK_SHARE * first && late > STUCK_SHARE * early;
    stuck.then(|| Event::new(points[half].record.step, What::Plateau, late, first, f64::NAN))
}
