//! Curves as SVG: a few series over the steps, with the ends of epochs below.

use std::fmt::Write as _;

/// Width and height of a chart, in its own units; the page scales it.
pub const WIDTH: f64 = 520.0;
pub const HEIGHT: f64 = 260.0;
/// Room for the labels.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Points of a drawn curve; more are gathered into so many.
const POINTS: usize = 260;
/// Values that span more than this factor are drawn on a logarithmic scale.
const LOG_SPAN: f64 = 40.0;

/// A curve.
pub struct Curve<'a> {
    /// Its name, for the legend.
    pub name: &'a str,
    /// Class of the page's style: its colour.
    pub class: &'a str,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
    /// Draw the running mean as a line, and all that the values cover as a band; otherwise the points as they are.
    pub noisy: bool,
}

/// A chart.
pub struct Chart<'a> {
    /// What the values are.
    pub title: &'a str,
    /// The curves.
    pub curves: Vec<Curve<'a>>,
    /// Shown as per cent.
    pub percent: bool,
    /// On a logarithmic scale, if the values span much.
    pub log: bool,
    /// Steps in an epoch.
    pub per_epoch: f64,
}

/// How values become places.
struct Scale {
    least: f64,
    most: f64,
    log: bool,
}

impl Scale {
    fn of(values: &[f64], percent: bool, log: bool) -> Scale {
        let (mut least, mut most) =
            values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let log = log && least > 0.0 && most / least > LOG_SPAN;
        if log {
            (least, most) = (least.ln(), most.ln());
        }
        let room = ((most - least) * 0.06).max(most.abs() * 1e-3).max(1e-9);
        (least, most) = (least - room, most + room);
        if !log && least < 0.0 && values.iter().all(|&x| x >= 0.0) {
            least = 0.0;
        }
        if percent {
            most = most.min(1.0);
        }
        Scale { least, most, log }
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.log { value.max(1e-300).ln() } else { value };
        let share = (value - self.least) / (self.most - self.least);
        TOP + (1.0 - share.clamp(0.0, 1.0)) * (HEIGHT - TOP - BOTTOM)
    }

    /// Values to label.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = self.least / f64::ln(10.0)..=self.most / f64::ln(10.0);
            let steps: &[f64] = if decades.end() - decades.start() > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let all = (decades.start().floor() as i32..=decades.end().ceil() as i32)
                .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
            return all.filter(|value| (self.least..=self.most).contains(&value.ln())).collect();
        }
        round_steps(self.least, self.most, 5)
    }
}

/// Round numbers between two values, about `count` of them.
pub fn round_steps(least: f64, most: f64, count: usize) -> Vec<f64> {
    let rough = (most - least) / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (least / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|value| *value <= most + step * 1e-9).take(4 * count).collect()
}

/// A number as short as it is still told from its neighbours.
pub fn number(value: f64) -> String {
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        x if !(1e-3..1e5).contains(&x) => format!("{value:.1e}"),
        x if x < 0.1 => format!("{value:.4}"),
        x if x < 10.0 => format!("{value:.2}"),
        x if x < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Least, mean and greatest value of each stretch of a curve, at its middle.
fn gathered(points: &[(f64, f64)]) -> Vec<(f64, f64, f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    points
        .chunks(size)
        .map(|part| {
            let count = part.len() as f64;
            let least = part.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
            let most = part.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            let (x, y) = part.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
            (x / count, least, y / count, most)
        })
        .collect()
}

/// A mean over neighbours, wide where there are many points.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    let mut sums = vec![0.0];
    points.iter().for_each(|p| sums.push(sums[sums.len() - 1] + p.1));
    let mean = |at: usize| {
        let (from, to) = (at.saturating_sub(reach), (at + reach + 1).min(points.len()));
        (points[at].0, (sums[to] - sums[from]) / (to - from) as f64)
    };
    (0..points.len()).map(mean).collect()
}

impl Chart<'_> {
    /// The chart as an SVG element; `None` if there is nothing to draw.
    pub fn to_svg(&self) -> Option<String> {
        let (body, title) = (self.to_elements()?, self.title);
        Some(format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{body}</svg>"))
    }

    /// What is in that element: lines and texts within [`WIDTH`] x [`HEIGHT`], dressed by the classes of the page's style.
    pub fn to_elements(&self) -> Option<String> {
        let finite = |curve: &Curve| -> Vec<(f64, f64)> {
            curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        };
        let curves: Vec<(&Curve, Vec<(f64, f64)>)> =
            self.curves.iter().map(|curve| (curve, finite(curve))).filter(|(_, points)| !points.is_empty()).collect();
        let values: Vec<f64> = curves.iter().flat_map(|(_, points)| points.iter().map(|p| p.1)).collect();
        let last = curves.iter().flat_map(|(_, points)| points.iter().map(|p| p.0)).fold(1.0, f64::max);
        if values.is_empty() {
            return None;
        }
        let scale = Scale::of(&values, self.percent, self.log);
        let x = |step: f64| LEFT + step / last * (WIDTH - LEFT - RIGHT);
        let mut svg = String::new();
        for tick in scale.ticks() {
            let y = scale.y(tick);
            let text = if self.percent { format!("{}%", number(100.0 * tick)) } else { number(tick) };
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                WIDTH - RIGHT,
                LEFT - 7.0,
                y + 4.0
            );
        }
        let epochs = last / self.per_epoch.max(1.0);
        for epoch in round_steps(0.0, epochs, 6).into_iter().filter(|epoch| epoch.fract() == 0.0 || epochs < 2.0) {
            let x = x(epoch * self.per_epoch.max(1.0));
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {:.1}v5\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 18.0,
                number(epoch)
            );
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {:.1}H{:.1}\"/>", HEIGHT - BOTTOM, WIDTH - RIGHT);
        let line = |points: &mut dyn Iterator<Item = (f64, f64)>| -> String {
            let places: Vec<String> = points.map(|(step, y)| format!("{:.1} {:.1}", x(step), scale.y(y))).collect();
            places.join("L")
        };
        for (curve, points) in &curves {
            // A single point has no length to draw, but a dot can be seen.
            if curve.noisy && points.len() > 1 {
                let band = gathered(points);
                let upper = line(&mut band.iter().map(|p| (p.0, p.3)));
                let lower = line(&mut band.iter().rev().map(|p| (p.0, p.1)));
                let mean = gathered(&smooth(points));
                let mean = line(&mut mean.iter().map(|p| (p.0, p.2)));
                let _ = write!(
                    svg,
                    "<path class=\"band {0}\" d=\"M{upper}L{lower}Z\"/><path class=\"line {0}\" d=\"M{mean}\"/>",
                    curve.class
                );
                continue;
            }
            let _ = write!(svg, "<path class=\"line {}\" d=\"M{}\"/>", curve.class, line(&mut points.iter().copied()));
            for &(step, value) in points.iter().filter(|_| points.len() <= 120) {
                let shown = if self.percent { format!("{:.2} %", 100.0 * value) } else { format!("{value:.4}") };
                let _ = write!(
                    svg,
                    "<circle class=\"dot {}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {shown} after step {step}</title></circle>",
                    curve.class,
                    x(step),
                    scale.y(value),
                    curve.name
                );
            }
        }
        Some(svg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, noisy: bool) -> Option<String> {
        let curves = vec![Curve { name: "loss", class: "a", points, noisy }];
        Chart { title: "loss", curves, percent: false, log: true, per_epoch: 10.0 }.to_svg()
    }

    #[test]
    fn values_that_are_none_are_left_out_and_nothing_is_no_chart() {
        assert!(chart(vec![], true).is_none() && chart(vec![(1.0, f64::NAN)], false).is_none());
        let svg = chart(vec![(1.0, 2.0), (2.0, f64::INFINITY), (3.0, 2.0)], false).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.matches("<circle").count() == 2);
    }

    #[test]
    fn a_single_step_is_a_dot() {
        assert!(chart(vec![(1.0, 2.0)], true).unwrap().contains("<circle"));
    }

    #[test]
    fn many_steps_become_few_points() {
        let svg = chart((0..100_000).map(|n| (f64::from(n), 1.0 / f64::from(n + 1))).collect(), true).unwrap();
        assert!(svg.len() < 20_000, "{}", svg.len());
    }

    #[test]
    fn numbers_are_short_and_ticks_round() {
        assert_eq!([0.0, 0.25, 0.0125, 3.0, 1500.0, 1e-5].map(number), ["0", "0.25", "0.0125", "3", "1500", "1.0e-5"]);
        assert_eq!(
            round_steps(0.0, 1.0, 5).iter().map(|&x| number(x)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
    }
}
