//! A picture of lines over logarithmic axes, as SVG.

use std::fmt::Write;

/// A named line.
pub struct Line {
    /// Its name, shown at its end.
    pub name: String,
    /// Its points, x and y above 0.
    pub points: Vec<(f64, f64)>,
}

/// A picture.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Under the horizontal axis.
    pub x: String,
    /// Beside the vertical axis.
    pub y: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Width and height, and the margins around the lines: left, top, right, bottom.
const W: f64 = 750.0;
const H: f64 = 440.0;
const MARGINS: [f64; 4] = [70.0, 50.0, 140.0, 55.0];
/// Height of a line of text.
const LINE: f64 = 13.0;
/// Colours that remain apart for colour-blind readers (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

impl Plot {
    /// The picture as SVG text.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let [left, top, right, bottom] = MARGINS;
        let across = Scale::over(points().map(|(x, _)| x), 2.0, left, W - right);
        let up = Scale::over(points().map(|(_, y)| y), 10.0, H - bottom, top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {W} {H}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{W}\" height=\"{H}\" fill=\"#fff\"/>\n"
        );
        let text = |x: f64, y: f64, anchor: &str, more: &str, what: &str| {
            let what = what.replace('&', "&amp;").replace('<', "&lt;");
            format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{more}>{what}</text>\n")
        };
        svg += &text(left, 24.0, "start", " font-size=\"15\"", &self.title);
        svg += &text((left + W - right) / 2.0, H - 14.0, "middle", "", &self.x);
        let middle = (top + H - bottom) / 2.0;
        let turned = format!(" transform=\"rotate(-90 18 {middle:.1})\"");
        svg += &text(18.0, middle, "middle", &turned, &self.y);
        for mark in across.marks() {
            let x = across.place(mark);
            let _ = writeln!(svg, "<path d=\"M{x:.1} {top}V{:.1}\" stroke=\"#ddd\"/>", H - bottom);
            svg += &text(x, H - bottom + 18.0, "middle", "", &number(mark));
        }
        for mark in up.marks() {
            let y = up.place(mark);
            let _ = writeln!(svg, "<path d=\"M{left} {y:.1}H{:.1}\" stroke=\"#ddd\"/>", W - right);
            svg += &text(left - 6.0, y + 4.0, "end", "", &number(mark));
        }
        let mut names: Vec<(f64, f64)> = Vec::new();
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let places: Vec<String> =
                line.points.iter().map(|&(x, y)| format!("{:.1},{:.1}", across.place(x), up.place(y))).collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                places.join(" ")
            );
            for place in &places {
                let (x, y) = place.split_once(',').unwrap_or_default();
                let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{colour}\"/>");
            }
            if let Some(&(x, y)) = line.points.last() {
                let more = format!(" fill=\"{colour}\"");
                let (x, mut y) = (across.place(x) + 8.0, up.place(y) + 4.0);
                // Below names that stand there already.
                while names.iter().any(|name| name.0 == x && (name.1 - y).abs() < LINE) {
                    y += 1.0;
                }
                names.push((x, y));
                svg += &text(x, y, "start", &more, &line.name);
            }
        }
        svg + "</svg>\n"
    }
}

/// A logarithmic axis.
struct Scale {
    base: f64,
    /// Logarithms of the ends.
    from: f64,
    to: f64,
    /// Places of the ends.
    start: f64,
    end: f64,
}

impl Scale {
    /// Over all `values`, ending at powers of `base`.
    fn over(values: impl Iterator<Item = f64>, base: f64, start: f64, end: f64) -> Scale {
        let logs = values.filter(|value| *value > 0.0).map(|value| value.log(base));
        let (low, high) =
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(log), high.max(log)));
        let (from, to) = if low <= high { ((low + 1e-9).floor(), (high - 1e-9).ceil()) } else { (0.0, 1.0) };
        Scale { base, from, to: to.max(from + 1.0), start, end }
    }

    fn place(&self, value: f64) -> f64 {
        self.start + (value.log(self.base) - self.from) / (self.to - self.from) * (self.end - self.start)
    }

    fn marks(&self) -> Vec<f64> {
        (self.from as i32..=self.to as i32).map(|power| self.base.powi(power)).collect()
    }
}

fn number(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_holds_every_point_and_name() {
        let lines = vec![Line { name: "a < b".into(), points: vec![(1.0, 10.0), (2.0, 30.0), (256.0, 900.0)] }];
        let plot = Plot { title: "t".into(), x: "batch".into(), y: "us".into(), lines };
        let svg = plot.svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(!svg.contains("NaN") && !Plot { lines: vec![], ..plot }.svg().contains("NaN"));
    }
}
