//! SVG by hand: a few shapes, words, pictures, and axes.

use std::fmt::Write as _;

use data::Image;
use train::Result;
use train::report::png_uri;

use super::{enlarged, png};

/// Lines and words.
pub const INK: &str = "#1d1d1f";
/// Words that explain.
pub const PALE: &str = "#6e6e73";
/// Lines behind others.
pub const FAINT: &str = "#d9d6ce";
/// What is shown.
pub const BLUE: &str = "#2166ac";
/// What stands out.
pub const RED: &str = "#b2182b";

/// A drawing under way.
pub struct Svg {
    text: String,
}

impl Svg {
    /// An empty sheet with words in `font`.
    pub fn new(width: f64, height: f64, font: &str, paper: &str) -> Svg {
        let mut text = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="{font}" fill="{INK}">"#
        );
        let _ = writeln!(text, r#"<rect width="{width}" height="{height}" fill="{paper}"/>"#);
        Svg { text }
    }

    /// The whole of it.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// Any markup.
    pub fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
        self.text.push('\n');
    }

    /// Words; `style` holds further attributes: `text-anchor="middle"`.
    pub fn words(&mut self, x: f64, y: f64, size: f64, style: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(self.text, r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" {style}>{words}</text>"#);
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, width: f64) {
        let _ = writeln!(
            self.text,
            r#"<line x1="{x1:.2}" y1="{y1:.2}" x2="{x2:.2}" y2="{y2:.2}" stroke="{colour}" stroke-width="{width}"/>"#
        );
    }

    /// A line through points.
    pub fn path(&mut self, points: &[[f64; 2]], colour: &str, width: f64, style: &str) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.2},{y:.2}")).collect();
        let _ = writeln!(
            self.text,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" {style}/>"#,
            points.join(" ")
        );
    }

    /// A filled rectangle.
    pub fn rect(&mut self, [x, y, width, height]: [f64; 4], fill: &str, style: &str) {
        let _ = writeln!(
            self.text,
            r#"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" fill="{fill}" {style}/>"#
        );
    }

    /// A picture; small ones are enlarged pixel by pixel first, so that no viewer blurs them.
    ///
    /// # Errors
    /// If it has no pixels.
    pub fn picture(&mut self, [x, y, width, height]: [f64; 4], image: &Image) -> Result<()> {
        let times = (2.0 * width / image.width.max(1) as f64).ceil().max(1.0) as usize;
        let uri = png_uri(&png(&enlarged(image, times.min(16)))?);
        let _ = writeln!(
            self.text,
            r#"<image x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" preserveAspectRatio="none" href="{uri}"/>"#
        );
        Ok(())
    }
}

/// A field of a chart: where it lies on the sheet, and which numbers its edges stand for.
pub struct Axes {
    /// Left, top, width, height on the sheet.
    pub place: [f64; 4],
    /// Numbers at the left and the right.
    pub x: [f64; 2],
    /// Numbers at the bottom and the top.
    pub y: [f64; 2],
}

impl Axes {
    /// Where a point lies on the sheet.
    pub fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let [left, top, width, height] = self.place;
        let share = |value: f64, [from, to]: [f64; 2]| ((value - from) / (to - from)).clamp(-0.02, 1.02);
        [left + width * share(x, self.x), top + height * (1.0 - share(y, self.y))]
    }

    /// The lines at the left and the bottom, with words at these numbers.
    pub fn frame(&self, svg: &mut Svg, x: &[(f64, String)], y: &[(f64, String)]) {
        let [left, top, width, height] = self.place;
        for (value, words) in y {
            let [_, at] = self.at(self.x[0], *value);
            svg.line([left, at], [left + width, at], FAINT, 0.7);
            svg.words(left - 6.0, at + 3.5, 10.5, r##"text-anchor="end" fill="#6e6e73""##, words);
        }
        for (value, words) in x {
            let [at, _] = self.at(*value, self.y[0]);
            svg.line([at, top + height], [at, top + height + 4.0], INK, 0.8);
            svg.words(at, top + height + 16.0, 10.5, r##"text-anchor="middle" fill="#6e6e73""##, words);
        }
        svg.line([left, top], [left, top + height], INK, 0.8);
        svg.line([left, top + height], [left + width, top + height], INK, 0.8);
    }
}
