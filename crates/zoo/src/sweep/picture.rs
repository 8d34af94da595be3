//! The picture of a sweep: each setting that was tried against the figure that trials are compared by.

use see::picture::svg::{Axes, BLUE, FAINT, PALE, RED, Svg};
use train::report::{number, round_steps};

use super::Trial;
use super::space::{Tried, Values};

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 62.0;
const GAP: f64 = 78.0;

/// How a setting's values lie along a panel.
struct Along {
    /// The words of a list, or nothing.
    words: Vec<String>,
    log: bool,
    from: f64,
    to: f64,
}

impl Along {
    fn of(tried: &Tried) -> Along {
        match &tried.values {
            Values::Range { from, to, log, .. } => {
                let (from, to) = if *log { (from.log10(), to.log10()) } else { (*from, *to) };
                let room = 0.05 * (to - from);
                Along { words: Vec::new(), log: *log, from: from - room, to: to + room }
            }
            Values::List(list) => Along { words: list.clone(), log: false, from: -0.5, to: list.len() as f64 - 0.5 },
        }
    }

    fn at(&self, value: &str) -> Option<f64> {
        if !self.words.is_empty() {
            return self.words.iter().position(|word| word == value).map(|place| place as f64);
        }
        let number: f64 = value.parse().ok()?;
        Some(if self.log { number.log10() } else { number })
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if !self.words.is_empty() {
            return self.words.iter().enumerate().map(|(place, word)| (place as f64, word.clone())).collect();
        }
        if self.log {
            let decades = self.from.ceil() as i32..=self.to.floor() as i32;
            let all: Vec<_> = decades.map(|power| (f64::from(power), format!("1e{power}"))).collect();
            if all.len() > 1 {
                return all;
            }
        }
        if self.log {
            let values = round_steps(10f64.powf(self.from), 10f64.powf(self.to), 4);
            return values
                .into_iter()
                .filter(|&value| value > 0.0)
                .map(|value| (value.log10(), number(value)))
                .collect();
        }
        round_steps(self.from, self.to, 4).into_iter().map(|value| (value, number(value))).collect()
    }
}

/// A panel for each setting; trials as dots, the best one large, those that have no figure as crosses at the edge.
pub(super) fn draw(recipe: &str, tried: &[Tried], by: &str, smaller: bool, results: &[Trial]) -> String {
    let width = LEFT + tried.len() as f64 * (WIDTH + GAP);
    let mut svg = Svg::new(width, TOP + HEIGHT + 64.0, "system-ui, sans-serif", "#ffffff");
    let done: Vec<f64> = results.iter().filter_map(|trial| trial.figure).collect();
    let title = format!(
        "{recipe}: {} of {} trials, by {by} (the {} the better)",
        done.len(),
        results.len(),
        if smaller { "smaller" } else { "greater" }
    );
    svg.words(LEFT - 40.0, 30.0, 16.0, r#"font-weight="600""#, &title);
    let (mut least, mut most) = done.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    if done.is_empty() {
        (least, most) = (0.0, 1.0);
    }
    // A few very bad trials would press the good ones onto one line.
    let log = smaller && least > 0.0 && most / least > 20.0;
    let height = |figure: f64| if log { figure.log10() } else { figure };
    (least, most) = (height(least), height(most));
    let room = (0.06 * (most - least)).max(1e-3 * most.abs()).max(1e-9);
    let shown = |at: f64| number(if log { 10f64.powf(at) } else { at });
    for (panel, one) in tried.iter().enumerate() {
        let along = Along::of(one);
        let axes = Axes {
            place: [LEFT + panel as f64 * (WIDTH + GAP), TOP, WIDTH, HEIGHT],
            x: [along.from, along.to],
            y: [least - room, most + room],
        };
        let ticks = round_steps(least, most, 5).into_iter().map(|at| (at, shown(at)));
        axes.frame(&mut svg, &along.ticks(), &ticks.collect::<Vec<_>>());
        let [left, top, ..] = axes.place;
        svg.words(left + WIDTH / 2.0, top + HEIGHT + 40.0, 12.5, r#"text-anchor="middle""#, &one.name);
        svg.words(left, top - 10.0, 11.0, &format!(r#"fill="{PALE}""#), by);
        // The best is drawn last, so that nothing lies on it.
        for (rank, trial) in results.iter().enumerate().rev() {
            let Some(x) = trial.assignment.get(panel).and_then(|(_, value)| along.at(value)) else { continue };
            let said: Vec<String> = trial.assignment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let Some(figure) = trial.figure else {
                let [x, y] = axes.at(x, if smaller { most + room } else { least - room });
                svg.line([x - 3.0, y - 3.0], [x + 3.0, y + 3.0], FAINT, 1.5);
                svg.line([x - 3.0, y + 3.0], [x + 3.0, y - 3.0], FAINT, 1.5);
                continue;
            };
            let [x, y] = axes.at(x, height(figure));
            let (size, colour) = if rank == 0 { (5.5, RED) } else { (3.6, BLUE) };
            let title = format!("trial {}: {}, {by} {figure:.5}", trial.number, said.join(", "));
            let title = title.replace('&', "&amp;").replace('<', "&lt;");
            svg.raw(&format!(
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="{size}" fill="{colour}" fill-opacity="0.75"><title>{title}</title></circle>"#
            ));
        }
    }
    svg.finish()
}
