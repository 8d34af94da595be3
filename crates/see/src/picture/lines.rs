//! Charts of lines, side by side on one sheet.

use train::report::{number, round_steps};

use super::scatter::COLOURS;
use super::svg::{Axes, FAINT, PALE, Svg};

/// Width and height of a chart's field.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 74.0;
const RIGHT: f64 = 24.0;
/// Room below a field for its ticks, what they count, and its legend.
const BELOW: f64 = 56.0;
const LEGEND: f64 = 18.0;
/// Charts in a row.
const COLUMNS: usize = 3;

/// A chart: lines over common axes.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What goes to the right.
    pub x: String,
    /// What goes up.
    pub y: String,
    /// Equal ratios of x as equal distances.
    pub log_x: bool,
    /// Equal ratios of y as equal distances.
    pub log_y: bool,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points. Those that are no numbers, or not above 0 on an axis of ratios, are left out.
    pub points: Vec<[f64; 2]>,
    /// Which colour, from 0; lines that belong together may share one.
    pub colour: usize,
    /// Drawn in dashes.
    pub dashed: bool,
}

impl Chart {
    fn points(&self, line: &Line) -> Vec<[f64; 2]> {
        let scaled = |value: f64, log: bool| if log { value.log10() } else { value };
        let all = line.points.iter().map(|&[x, y]| [scaled(x, self.log_x), scaled(y, self.log_y)]);
        all.filter(|point| point.iter().all(|value| value.is_finite())).collect()
    }

    fn reach(&self, axis: usize) -> [f64; 2] {
        let values = self.lines.iter().flat_map(|line| self.points(line)).map(|point| point[axis]);
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if least > most {
            return [0.0, 1.0];
        }
        let room = (0.04 * (most - least)).max(1e-6 * most.abs()).max(1e-12);
        [least - if axis == 0 { 0.0 } else { room }, most + room]
    }

    fn ticks(&self, [from, to]: [f64; 2], log: bool) -> Vec<(f64, String)> {
        if !log {
            return round_steps(from, to, 5).into_iter().map(|value| (value, number(value))).collect();
        }
        let decades: Vec<i32> = (from.ceil() as i32..=to.floor() as i32).collect();
        if decades.len() < 2 {
            let values = round_steps(10f64.powf(from), 10f64.powf(to), 4);
            return values
                .into_iter()
                .filter(|value| *value > 0.0)
                .map(|value| (value.log10(), number(value)))
                .collect();
        }
        let every = decades.len().div_ceil(7);
        decades.into_iter().step_by(every).map(|power| (f64::from(power), format!("1e{power}"))).collect()
    }

    fn draw(&self, svg: &mut Svg, left: f64, top: f64) {
        let axes = Axes { place: [left, top, WIDTH, HEIGHT], x: self.reach(0), y: self.reach(1) };
        axes.frame(svg, &self.ticks(axes.x, self.log_x), &self.ticks(axes.y, self.log_y));
        svg.words(left, top - 14.0, 13.5, r#"font-weight="600""#, &self.title);
        svg.words(left + WIDTH, top + HEIGHT + 34.0, 11.5, &format!(r#"text-anchor="end" fill="{PALE}""#), &self.x);
        svg.words(left + 4.0, top + 11.0, 11.5, &format!(r#"fill="{PALE}""#), &self.y);
        for (place, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[line.colour % COLOURS.len()];
            let style = if line.dashed { r#"stroke-dasharray="5 4""# } else { "" };
            let points: Vec<[f64; 2]> = self.points(line).iter().map(|&[x, y]| axes.at(x, y)).collect();
            if let [[x, y]] = points[..] {
                svg.raw(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#));
            }
            svg.path(&points, colour, 1.8, style);
            let y = top + HEIGHT + BELOW + LEGEND * place as f64;
            svg.path(&[[left, y - 4.0], [left + 24.0, y - 4.0]], colour, 2.4, style);
            svg.words(left + 32.0, y, 12.0, "", &line.name);
        }
        if self.lines.is_empty() {
            svg.rect(axes.place, "none", &format!(r#"stroke="{FAINT}""#));
        }
    }
}

/// All charts on one sheet, as an SVG.
pub fn lines(title: &str, charts: &[Chart]) -> String {
    let columns = charts.len().clamp(1, COLUMNS);
    let legend = LEGEND * charts.iter().map(|chart| chart.lines.len()).max().unwrap_or(0) as f64;
    let (across, down) = (LEFT + WIDTH + RIGHT, HEIGHT + BELOW + legend + 36.0);
    let rows = charts.len().div_ceil(columns);
    let mut svg = Svg::new(columns as f64 * across, TOP + rows as f64 * down, "system-ui, sans-serif", "#ffffff");
    svg.words(24.0, 34.0, 17.0, r#"font-weight="600""#, title);
    for (place, chart) in charts.iter().enumerate() {
        let (column, row) = (place % columns, place / columns);
        chart.draw(&mut svg, LEFT + column as f64 * across, TOP + row as f64 * down);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_left_out_and_one_point_is_a_dot() {
        let line = |points: Vec<[f64; 2]>| Line { name: "a & b".to_owned(), points, colour: 0, dashed: false };
        let nothing = Chart { log_y: true, lines: vec![line(vec![[1.0, 0.0], [f64::NAN, 1.0]])], ..Chart::default() };
        let one = Chart { lines: vec![line(vec![[1.0, 2.0]])], ..Chart::default() };
        let svg = lines("two", &[nothing, one]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("a &amp; b"));
    }
}
