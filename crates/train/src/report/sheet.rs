//! Curves and predictions as pictures of their own, for a run's folder `pictures`: SVG that loads nothing.

use std::fmt::Write as _;

use super::chart::{HEIGHT, WIDTH};
use super::page::escaped;
use super::sections::charts_of;
use super::{Answer, Answers, Numbers, Report, numbers, picture_of};
use crate::error::Result;

/// As the page's style, in daylight.
const STYLE: &str = "text{font-family:system-ui,sans-serif;fill:#1c2024}.title{font-size:14px;font-weight:600}\
    .grid{stroke:#e3e1da;fill:none}.axis{stroke:#646b73;fill:none}.tick,.name{fill:#646b73;font-size:12px}\
    .line{fill:none;stroke-width:2;stroke-linejoin:round}.band{stroke-width:1;opacity:.22}\
    .line.a{stroke:#0f6fb5}.line.b{stroke:#d9622b}.line.c{stroke:#3a8f5c}\
    .band.a{fill:#0f6fb5;stroke:#0f6fb5}.band.b{fill:#d9622b;stroke:#d9622b}.band.c{fill:#3a8f5c;stroke:#3a8f5c}\
    .dot.a{fill:#0f6fb5}.dot.b{fill:#d9622b}.dot.c{fill:#3a8f5c}.said{font-size:13px}.wrong{fill:#c0392b}\
    image{image-rendering:pixelated}";
/// Room above a chart for its title and the names of its curves.
const HEAD: f64 = 40.0;
/// Room around things.
const GAP: f64 = 16.0;
/// Predictions in a line, and of each kind.
const COLUMNS: usize = 6;
const SHOWN: usize = 12;
/// Side of a predicted picture, and of its cell with the words below.
const SIDE: f64 = 112.0;
const CELL: (f64, f64) = (144.0, 162.0);
/// Letters that fit below a picture.
const LETTERS: usize = 20;

/// The charts of a report in two columns; `None` if there is nothing to draw.
pub(super) fn curves(report: &Report) -> Option<String> {
    let charts = charts_of(report);
    let drawn: Vec<_> = charts.iter().filter_map(|chart| Some((chart, chart.to_elements()?))).collect();
    if drawn.is_empty() {
        return None;
    }
    let (columns, lines) = (drawn.len().min(2), drawn.len().div_ceil(2));
    let (width, height) = (WIDTH + GAP, HEAD + HEIGHT + GAP);
    let mut svg = opened(GAP + columns as f64 * width, GAP + lines as f64 * height);
    for (at, (chart, elements)) in drawn.iter().enumerate() {
        let (x, y) = (GAP + (at % 2) as f64 * width, GAP + (at / 2) as f64 * height);
        let _ =
            write!(svg, "<g transform=\"translate({x} {y})\"><text class=\"title\" y=\"14\">{}</text>", chart.title);
        let mut left = 0.0;
        for curve in chart.curves.iter().filter(|curve| !curve.points.is_empty()) {
            let _ = write!(
                svg,
                "<path class=\"line {}\" d=\"M{left} 29h14\"/><text class=\"name\" x=\"{}\" y=\"33\">{}</text>",
                curve.class,
                left + 20.0,
                curve.name
            );
            left += 40.0 + 7.0 * curve.name.len() as f64;
        }
        let _ = writeln!(svg, "<g transform=\"translate(0 {HEAD})\">{elements}</g></g>");
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Test rows that are pictures with what the network said of them, those first that it was wrong about; `None` without any.
///
/// # Errors
/// If a row cannot be read.
pub(super) fn predictions(answers: &Answers) -> Result<Option<String>> {
    let mut cells = String::new();
    let mut count = 0;
    for answer in answers.wrong(SHOWN).into_iter().chain(answers.right(SHOWN)) {
        let Some(picture) = picture_of(answers, answer.row)? else { return Ok(None) };
        let (x, y) = ((count % COLUMNS) as f64 * CELL.0 + GAP, (count / COLUMNS) as f64 * CELL.1 + GAP);
        let wrong = if answer.is_right() { "" } else { " wrong" };
        let _ = write!(
            cells,
            "<g transform=\"translate({x} {y})\"><image width=\"{SIDE}\" height=\"{SIDE}\" href=\"{picture}\"/>"
        );
        for (line, said) in words(answers, answer).into_iter().enumerate() {
            let y = SIDE + 16.0 * (line as f64 + 1.0);
            let _ = write!(cells, "<text class=\"said{wrong}\" y=\"{y}\">{}</text>", escaped(&said));
        }
        cells.push_str("</g>\n");
        count += 1;
    }
    if count == 0 {
        return Ok(None);
    }
    let (columns, lines) = (count.min(COLUMNS) as f64, count.div_ceil(COLUMNS) as f64);
    Ok(Some(format!("{}{cells}</svg>\n", opened(GAP + columns * CELL.0, GAP + lines * CELL.1))))
}

/// What was said against what is so.
pub(super) fn numbers(of: &Numbers) -> String {
    let head = format!("<text class=\"title\" x=\"{GAP}\" y=\"{}\">{}</text>", 1.5 * GAP, escaped(&of.name));
    let chart = numbers::elements(of);
    format!(
        "{}{head}<g transform=\"translate({GAP} {HEAD})\">{chart}</g></svg>\n",
        opened(WIDTH + 2.0 * GAP, HEIGHT + HEAD + GAP)
    )
}

/// What was said of a row, and what it is if that was wrong.
fn words(answers: &Answers, answer: &Answer) -> Vec<String> {
    let short = |name: &str, most: usize| match name.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    let name = |class: usize| answers.rows.class_names().get(class).map_or("", String::as_str);
    let percent = format!(" {:.1} %", 100.0 * answer.probability());
    let said = format!("{}{percent}", short(name(answer.taken()), LETTERS - percent.len()));
    match answer.is_right() {
        true => vec![said],
        false => vec![said, short(&format!("it is {}", name(answer.label)), LETTERS)],
    }
}

fn opened(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    )
}
