//! The sections of the page.

use std::fmt::Write as _;

use serde_json::Value;

use super::chart::{Chart, Curve};
use super::page::escaped;
use super::{Answer, Answers, Report, embed, face_of, rows_are};
use crate::error::Result;
use crate::event::{counted, grouped};
use crate::toml::{Line, lines};

/// More classes than this make no matrix that can be read: then the commonest mistakes are listed.
const MATRIX: usize = 30;
/// Mistakes that are listed then.
const MISTAKES: usize = 24;
/// Pictures behind one cell: fewer if there are many cells.
const CELL_PICTURES: usize = 8;
/// Pictures behind all cells together.
const ALL_PICTURES: usize = 480;
/// Answers that are shown of each kind.
const SHOWN: usize = 12;
/// A larger picture of the first batch is left out.
const MOST_BATCH: usize = 3 << 20;

/// All charts, some of which may be empty.
pub(super) fn charts_of(report: &Report) -> [Chart<'static>; 5] {
    let per_epoch = report.series.of("epoch", "train_loss").first().map_or(1.0, |first| first.0);
    let curve = |name: &'static str, class: &'static str, event: &str, figure: &str| Curve {
        name,
        class,
        points: report.series.of(event, figure),
        noisy: event == "step",
    };
    let chart = |title, curves, percent, log| Chart { title, curves, percent, log, per_epoch };
    let loss = vec![curve("training, each step", "a", "step", "loss"), curve("validation", "b", "epoch", "val_loss")];
    let accuracy =
        vec![curve("training", "a", "epoch", "train_accuracy"), curve("validation", "b", "epoch", "val_accuracy")];
    [
        chart("loss", loss, false, true),
        chart("accuracy", accuracy, true, false),
        chart("R²", vec![curve("validation", "b", "epoch", "val_r2")], false, false),
        chart("learning rate", vec![curve("each step", "c", "step", "lr")], false, false),
        chart(
            "length of the gradient",
            vec![curve("all parameters, each step", "a", "step", "grad_norm")],
            false,
            true,
        ),
    ]
}

pub(super) fn charts(html: &mut String, report: &Report) {
    let charts = charts_of(report);
    let drawn: Vec<(&Chart, String)> = charts.iter().filter_map(|chart| Some((chart, chart.to_svg()?))).collect();
    if drawn.is_empty() {
        return;
    }
    html.push_str("<section>\n<h2>Training</h2>\n<p class=\"lead\">Below each chart: epochs. Bands span all steps, lines are running means.</p>\n<div class=\"charts\">\n");
    for (chart, svg) in drawn {
        let _ = write!(html, "<div class=\"card\"><h3>{}</h3>{svg}<div class=\"legend\">", chart.title);
        for curve in chart.curves.iter().filter(|curve| !curve.points.is_empty()) {
            let _ = write!(html, "<span><i class=\"{}\"></i>{}</span>", curve.class, curve.name);
        }
        html.push_str("</div></div>\n");
    }
    html.push_str("</div>\n</section>\n");
}

pub(super) fn confusion(html: &mut String, report: &Report) -> Result<()> {
    let Some(answers) = report.answers else { return Ok(()) };
    let names = answers.rows.class_names();
    let matrix = &answers.scores.confusion;
    let count = |label: usize, taken: usize| matrix.count(label, taken);
    let classes = names.len();
    let mut open: Vec<(usize, usize)> =
        (0..classes * classes).map(|cell| (cell / classes, cell % classes)).filter(|&(l, t)| count(l, t) > 0).collect();
    html.push_str("<section>\n<h2>What was taken for what</h2>\n");
    if classes > MATRIX {
        open.retain(|(label, taken)| label != taken);
        open.sort_by_key(|&(label, taken)| (std::cmp::Reverse(count(label, taken)), label, taken));
        open.truncate(MISTAKES);
        let _ = write!(
            html,
            "<p class=\"lead\">The commonest mistakes. Each opens the {} behind it.</p>\n<div class=\"card\">\n",
            rows_are(answers)
        );
        for &(label, taken) in &open {
            let (a, b) = (escaped(&names[label]), escaped(&names[taken]));
            let _ = writeln!(
                html,
                "<div><a href=\"#c{label}-{taken}\">{a} taken for {b}</a>: {}</div>",
                count(label, taken)
            );
        }
    } else {
        html.push_str("<p class=\"lead\">A row for each class, a column for what it was taken for.</p>\n");
        html.push_str("<div class=\"pair\">\n<div class=\"card wide\"><table class=\"matrix\">\n");
        let turned = if names.iter().any(|name| name.chars().count() > 4) { " class=\"turned\"" } else { "" };
        let _ = write!(html, "<thead{turned}><tr><th></th>");
        names.iter().for_each(|name| {
            let _ = write!(html, "<th><span>{}</span></th>", escaped(name));
        });
        html.push_str("<th></th></tr></thead>\n");
        let recall = matrix.recall();
        for (label, name) in names.iter().enumerate() {
            let all: usize = (0..classes).map(|taken| count(label, taken)).sum();
            let _ = write!(html, "<tr><th>{}</th>", escaped(name));
            for taken in 0..classes {
                cell(html, (label, taken), count(label, taken), all);
            }
            let share = recall[label].map_or_else(|| "no rows".to_owned(), |share| format!("{:.1} %", 100.0 * share));
            let _ = writeln!(html, "<td class=\"share\">{share}</td></tr>");
        }
        html.push_str("</table>");
    }
    let _ = writeln!(
        html,
        "</div>\n<div class=\"cells\"><p class=\"hint note\">Choose a count to see the {} behind it.</p>",
        rows_are(answers)
    );
    let each = (ALL_PICTURES / open.len().max(1)).clamp(1, CELL_PICTURES);
    for (label, taken) in open {
        behind(html, report, answers, (label, taken), each)?;
    }
    html.push_str("</div>\n</div>\n</section>\n");
    Ok(())
}

fn cell(html: &mut String, (label, taken): (usize, usize), count: usize, all: usize) {
    if count == 0 {
        html.push_str("<td><span class=\"zero\">·</span></td>");
        return;
    }
    let share = count as f64 / all.max(1) as f64;
    // Mistakes are few: the root makes them visible.
    let heat = share.sqrt();
    let hot = if heat > 0.62 { " class=\"hot\"" } else { "" };
    let _ = write!(
        html,
        "<td{hot}><a href=\"#c{label}-{taken}\" style=\"background:rgba(var(--heat),{heat:.2})\">{count}</a></td>"
    );
}

/// The pictures behind a cell, which show when it is opened.
fn behind(
    html: &mut String,
    report: &Report,
    answers: &Answers,
    (label, taken): (usize, usize),
    each: usize,
) -> Result<()> {
    let names = answers.rows.class_names();
    let count = answers.scores.confusion.count(label, taken);
    let said = if label == taken {
        format!("{} recognised: {}", escaped(&names[label]), grouped(count))
    } else {
        format!("{} taken for {}: {}", escaped(&names[label]), escaped(&names[taken]), grouped(count))
    };
    let source = report.data["source"].as_str().unwrap_or_default();
    let surest = if count > each { ", the surest of them" } else { "" };
    let _ = write!(
        html,
        "<div class=\"cell card\" id=\"c{label}-{taken}\"><a class=\"shut\" href=\"#\" aria-label=\"close\">✕</a><h3>{said}{surest}</h3><div class=\"shots\">"
    );
    for answer in answers.cell(label, taken).iter().take(each) {
        let id = answers.rows.id(answer.row);
        let within = id.strip_prefix(source).map_or(id.as_str(), |id| id.trim_start_matches('/'));
        let id = escaped(&short(within));
        let face = face_of(answers, answer.row)?;
        let _ = write!(html, "<div class=\"shot\">{face}<b>{:.1} %</b><br>{id}</div>", 100.0 * answer.probability());
    }
    html.push_str("</div></div>\n");
    Ok(())
}

/// The end of an id: names of files say most there.
fn short(id: &str) -> String {
    const LETTERS: usize = 34;
    let count = id.chars().count();
    if count <= LETTERS {
        id.to_owned()
    } else {
        format!("…{}", id.chars().skip(count - LETTERS).collect::<String>())
    }
}

pub(super) fn answers(html: &mut String, report: &Report) -> Result<()> {
    let Some(answers) = report.answers else { return Ok(()) };
    let (wrong, right) = (answers.wrong(SHOWN), answers.right(SHOWN));
    html.push_str("<section>\n<h2>Answers</h2>\n");
    for (title, kind, shown) in [("Wrong, and surest of it", " bad", wrong), ("Right", "", right)] {
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(html, "<p class=\"lead\" style=\"margin-top:14px\">{title}</p>\n<div class=\"answers\">");
        for answer in shown {
            one(html, answers, answer, kind)?;
        }
        html.push_str("</div>\n");
    }
    html.push_str("</section>\n");
    Ok(())
}

fn one(html: &mut String, answers: &Answers, answer: &Answer, kind: &str) -> Result<()> {
    let names = answers.rows.class_names();
    let name = |class: usize| names.get(class).map_or_else(String::new, |name| escaped(name));
    let face = face_of(answers, answer.row)?;
    let said = if answer.is_right() {
        format!("<b>{}</b>", name(answer.label))
    } else {
        format!("it is <b>{}</b>", name(answer.label))
    };
    let _ = write!(html, "<div class=\"answer{kind}\">{face}<div>{said}");
    for &(class, probability) in &answer.top {
        let percent = 100.0 * probability;
        let _ = write!(
            html,
            "<div class=\"bar\"><span style=\"--p:{percent:.0}%\">{}</span><em>{percent:.1}%</em></div>",
            name(class)
        );
    }
    html.push_str("</div></div>\n");
    Ok(())
}

pub(super) fn first_batch(html: &mut String, report: &Report) {
    let Some(png) = report.first_batch.as_ref().filter(|png| png.len() <= MOST_BATCH) else { return };
    let _ = write!(
        html,
        "<section>\n<h2>The first batch</h2>\n<p class=\"lead\">As the network was fed it: moved, mirrored and cut as in training, before the normalisation.</p>\n\
         <div class=\"fed\"><img alt=\"pictures of the first batch\" src=\"{}\"></div>\n</section>\n",
        embed::png_uri(png)
    );
}

pub(super) fn data(html: &mut String, report: &Report) {
    let data = &report.data;
    let source = data["source"].as_str().unwrap_or("what ships with the library");
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    html.push_str("<section>\n<h2>Data</h2>\n");
    let (files, skipped) = (count(&data["files"]), count(&data["skipped"]));
    let shape: Vec<String> = data["input"]["shape"].as_array().into_iter().flatten().map(Value::to_string).collect();
    let _ = writeln!(
        html,
        "<p class=\"lead\">From {}{}, inputs of {}{}.</p>",
        escaped(source),
        if files > 0 { format!(": {}", counted(files, "file")) } else { String::new() },
        shape.join(" x "),
        if skipped > 0 { format!(", {} left out as broken", grouped(skipped)) } else { String::new() }
    );
    html.push_str("<div class=\"card wide\"><table class=\"config\"><tr><th>part</th><th>rows</th><th>SHA-256 of the rows</th></tr>");
    for part in ["train", "val", "test"] {
        let of = &data["parts"][part];
        if let Some(rows) = of["rows"].as_u64() {
            let hash = of["sha256"].as_str().unwrap_or_default().get(..16).unwrap_or_default();
            let _ = write!(
                html,
                "<tr><td>{part}</td><td>{}</td><td class=\"mono\">{hash}…</td></tr>",
                grouped(rows as usize)
            );
        }
    }
    html.push_str("</table></div>\n");
    if data["input"]["goal"] == "number" {
        html.push_str("</section>\n");
        return;
    }
    let names: Vec<&str> =
        data["input"]["classes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows: Vec<u64> =
        data["parts"]["train"]["class_rows"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let most = rows.iter().copied().max().unwrap_or(0).max(1);
    let open = if names.len() <= MATRIX { " open" } else { "" };
    let _ = write!(
        html,
        "<details{open}><summary>{}, with their rows to train on</summary><div class=\"classes\">",
        if names.len() == 1 { "1 class".to_owned() } else { format!("{} classes", names.len()) }
    );
    for (name, count) in names.iter().zip(&rows) {
        let share = 100.0 * *count as f64 / most as f64;
        let _ = write!(
            html,
            "<span>{}</span><u style=\"width:{share:.1}%\"></u><span>{}</span>",
            escaped(name),
            grouped(*count as usize)
        );
    }
    html.push_str("</div></details>\n</section>\n");
}

pub(super) fn config(html: &mut String, report: &Report) {
    html.push_str("<section>\n<h2>Settings</h2>\n<p class=\"lead\">All of them, and where each value came from.</p>\n<div class=\"card wide\"><table class=\"config\"><tr><th>setting</th><th>value</th><th class=\"origin\">from</th><th>what it does</th></tr>\n");
    // Origin and help are in the comment of each line.
    let comments: Vec<&str> =
        report.config.lines().map(|line| line.split_once(" # ").map_or("", |(_, comment)| comment)).collect();
    let mut section = "";
    for (number, line) in lines(&report.config) {
        match line {
            Ok(Line::Section(name)) => section = name,
            Ok(Line::Pair(key, value)) => {
                let (origin, help) =
                    comments.get(number - 1).and_then(|comment| comment.split_once("; ")).unwrap_or(("", ""));
                let set = if origin == "default" { "" } else { " class=\"set\"" };
                let _ = writeln!(
                    html,
                    "<tr><td class=\"mono\">{}.{}</td><td{set}>{}</td><td class=\"origin\">{}</td><td>{}</td></tr>",
                    escaped(section),
                    escaped(key),
                    if value.is_empty() { "–".to_owned() } else { escaped(&value) },
                    escaped(origin),
                    escaped(help)
                );
            }
            Err(_) => {}
        }
    }
    html.push_str("</table></div>\n</section>\n");
}
