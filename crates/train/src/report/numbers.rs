//! What a model said of rows of which a number is predicted: each beside what is so, and the rows that it was furthest from.

use std::fmt::Write as _;
use std::sync::Arc;

use cpu::Cpu;
use data::Dataset;
use nn::Layer;

use super::Report;
use super::chart::{HEIGHT, WIDTH, number, round_steps};
use super::page::escaped;
use crate::error::Result;
use crate::evaluate::evaluate_numbers;
use crate::metric::Scores;
use crate::splits::Input;

/// Rows that are drawn: of more, every second, third, ...
const DRAWN: usize = 3000;
/// Rows that are listed.
const WORST: usize = 12;
/// Room for the labels.
const LEFT: f64 = 62.0;
const EDGE: f64 = 14.0;
const BELOW: f64 = 44.0;

/// What was said of a row, and what is so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The row.
    pub row: usize,
    /// What the model said.
    pub said: f32,
    /// What is so.
    pub target: f32,
}

impl Said {
    fn away(&self) -> f32 {
        (self.said - self.target).abs()
    }
}

/// What a report shows of the numbers that were said: bounded, however many rows there are.
pub struct Numbers {
    /// Rows that are drawn, in their order.
    pub drawn: Vec<Said>,
    /// The rows furthest from what is so, the furthest first.
    pub worst: Vec<Said>,
    /// What is predicted.
    pub name: String,
    /// The rows.
    pub rows: Arc<dyn Dataset>,
    /// The scores over all rows.
    pub scores: Scores,
}

impl Numbers {
    /// Asks a model about all rows.
    ///
    /// # Errors
    /// As for [`crate::evaluate`].
    pub fn of(cpu: &Cpu, model: &dyn Layer, rows: Arc<dyn Dataset>, input: &Input, batch: usize) -> Result<Numbers> {
        let every = rows.len().div_ceil(DRAWN).max(1);
        let (mut drawn, mut worst) = (Vec::new(), Vec::new());
        let scores = evaluate_numbers(cpu, model, Arc::clone(&rows), input, batch, &mut |row, target, outputs| {
            let one = Said { row, said: outputs[0], target };
            if row.is_multiple_of(every) {
                drawn.push(one);
            }
            let place = worst.partition_point(|other: &Said| other.away() >= one.away());
            worst.insert(place, one);
            worst.truncate(WORST);
        })?;
        let name = input.classes.first().cloned().unwrap_or_default();
        Ok(Numbers { drawn, worst, name, rows, scores })
    }
}

pub(super) fn section(html: &mut String, report: &Report) {
    let Some(numbers) = report.numbers else { return };
    let name = escaped(&numbers.name);
    let _ = write!(
        html,
        "<section>\n<h2>Predicted and true</h2>\n<p class=\"lead\">{name} of {} test rows: the true value to the right, the predicted one upwards; on the \
         line they are the same.</p>\n<div class=\"charts\"><div class=\"card\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"predicted \
         against true\">{}</svg></div>\n<div class=\"card wide\"><table class=\"config\"><tr><th>furthest off</th><th>predicted</th><th>true</th></tr>",
        numbers.drawn.len(),
        elements(numbers)
    );
    for one in &numbers.worst {
        let id = numbers.rows.id(one.row);
        let id = id.rsplit('/').next().unwrap_or_default();
        let _ = write!(
            html,
            "<tr><td class=\"mono\">{}</td><td>{}</td><td>{}</td></tr>",
            escaped(id),
            one.said,
            one.target
        );
    }
    html.push_str("</table></div></div>\n</section>\n");
}

/// The picture: dots within [`WIDTH`] x [`HEIGHT`], dressed by the classes of the page's style.
pub(super) fn elements(numbers: &Numbers) -> String {
    let all = || numbers.drawn.iter().flat_map(|one| [f64::from(one.said), f64::from(one.target)]);
    let (least, most) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    if least > most {
        return String::new();
    }
    let room = (0.04 * (most - least)).max(1e-6 * most.abs()).max(1e-12);
    let (least, most) = (least - room, most + room);
    let x = |value: f64| LEFT + (value - least) / (most - least) * (WIDTH - LEFT - EDGE);
    let y = |value: f64| HEIGHT - BELOW - (value - least) / (most - least) * (HEIGHT - EDGE - BELOW);
    let mut svg = String::new();
    for tick in round_steps(least, most, 5).into_iter().filter(|tick| (least..=most).contains(tick)) {
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            LEFT - 7.0,
            y(tick) + 4.0,
            x(tick),
            HEIGHT - BELOW + 18.0,
            y = y(tick),
            right = WIDTH - EDGE,
            text = number(tick)
        );
    }
    let _ = write!(
        svg,
        "<path class=\"axis\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/><text class=\"tick\" x=\"{LEFT}\" y=\"11\">predicted</text><text class=\"tick\" \
         x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">true</text>",
        x(least),
        y(least),
        x(most),
        y(most),
        WIDTH - EDGE,
        HEIGHT - 8.0
    );
    let size = if numbers.drawn.len() > 400 { 1.4 } else { 2.4 };
    for one in &numbers.drawn {
        let (x, y) = (x(one.target.into()), y(one.said.into()));
        let _ = write!(svg, "<circle class=\"dot a\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size}\" fill-opacity=\"0.55\"/>");
    }
    svg
}

#[cfg(test)]
mod tests {
    use data::{InMemory, Targets, Values};
    use tensor::Tensor;

    use super::*;
    use crate::splits::Goal;

    /// Says the first number of a row.
    struct First;

    impl Layer for First {
        fn forward(&self, x: &Tensor, _: &nn::Pass) -> Tensor {
            x.narrow(1, 0..1)
        }

        fn describe(&self) -> nn::Description {
            nn::Description::of("first", "")
        }
    }

    #[test]
    fn many_rows_are_drawn_sparsely_and_the_furthest_are_found() {
        let rows = 10_000;
        let x: Vec<f32> = (0..rows).map(|row| row as f32).collect();
        let y: Vec<f32> = x.iter().map(|&x| if x == 77.0 { -1000.0 } else { x + 0.5 }).collect();
        let set = InMemory::new("n", &[1], Values::Floats(x), Targets::Values { values: y, width: 1 }, vec![]).unwrap();
        let input = Input {
            goal: Goal::Number { mean: 0.0, std: 2.0 },
            shape: vec![1],
            mean: vec![0.0],
            std: vec![1.0],
            classes: vec!["height".to_owned()],
            columns: Vec::new(),
            tokens: None,
        };
        let cpu = Cpu::new(1).unwrap();
        let numbers = Numbers::of(&cpu, &First, Arc::new(set), &input, 333).unwrap();
        assert_eq!((numbers.drawn.len(), numbers.worst.len(), numbers.worst[0].row), (2500, WORST, 77));
        assert_eq!(numbers.scores.loss.count(), rows);
        let others = 0.25 * (rows - 1) as f64;
        let wanted = (others + 1077f64.powi(2)) / rows as f64;
        assert!((numbers.scores.errors.rmse() - wanted.sqrt()).abs() < 1e-9);
        assert!((numbers.scores.loss.value() - wanted / 4.0).abs() < 1e-9);
        let svg = elements(&numbers);
        assert!(svg.matches("<circle").count() == 2500 && !svg.contains("NaN"));
    }
}
