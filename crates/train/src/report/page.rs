//! The frame of the page: head, figures, and the sections one after the other.

use std::fmt::Write as _;

use serde_json::Value;

use super::Report;
use super::chart::number as short;
use super::numbers;
use super::sections::{answers, charts, config, confusion, data, first_batch};
use super::stopped::stopped;
use crate::error::Result;
use crate::event::{Status, counted, grouped};

const STYLE: &str = include_str!("style.css");

pub(super) fn page(report: &Report) -> Result<String> {
    let mut html = String::new();
    let record = &report.record;
    let title = escaped(report.place.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(&record.recipe));
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&record.recipe)
    );
    head(&mut html, report, &title);
    stopped(&mut html, report);
    charts(&mut html, report);
    confusion(&mut html, report)?;
    answers(&mut html, report)?;
    numbers::section(&mut html, report);
    first_batch(&mut html, report);
    data(&mut html, report);
    config(&mut html, report);
    let _ = write!(
        html,
        "<footer>Written by glassbox {}. This page holds all that it shows: it loads nothing, and can be sent or kept as one file.</footer>\n\
         </main>\n</body>\n</html>\n",
        escaped(&record.version)
    );
    Ok(html)
}

fn head(html: &mut String, report: &Report, title: &str) {
    let record = &report.record;
    // A report that is written as the last act of a training comes before its end is noted.
    let status = if report.figures.contains_key("test_rows") { Status::Finished.word() } else { &record.status };
    let bad = if status == Status::Finished.word() { "" } else { " bad" };
    let _ = write!(
        html,
        "<header>\n<div class=\"top\"><h1>{title}</h1><span class=\"badge{bad}\">{}</span></div>\n",
        escaped(status)
    );
    let fact = |name: &str| record.machine.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let machine = [fact("os"), fact("arch"), fact("simd")]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let steps = report.series.of("step", "loss").last().map_or(0, |last| last.0 as usize);
    let _ = writeln!(
        html,
        "<p class=\"lead\">recipe {}, {}, seed {}, begun {}{}</p>",
        escaped(&record.recipe),
        counted(steps, "step"),
        record.seed,
        escaped(&record.started.replace('T', " ").replace('Z', " UTC")),
        if machine.is_empty() {
            String::new()
        } else {
            format!(", on {} with {}", escaped(&machine), counted(fact("threads").parse().unwrap_or(1), "thread"))
        }
    );
    let number = |name: &str| report.figures.get(name).and_then(Value::as_f64);
    let percent = |name: &str| number(name).map(|value| format!("{:.2} %", 100.0 * value));
    let mut cards: Vec<(String, String)> = Vec::new();
    let mut card = |value: Option<String>, name: &str| cards.extend(value.map(|value| (value, name.to_owned())));
    card(percent("test_accuracy"), "test accuracy");
    card(percent("test_balanced_accuracy"), "balanced over classes");
    if let Some(perplexity) = number("test_perplexity") {
        let figure = |name: &str| number(name).map(|value| format!("{value:.4}"));
        card(figure("test_loss"), "test: nats a symbol");
        card(figure("test_bits"), "bits a symbol");
        card(Some(format!("{perplexity:.3}")), "perplexity");
        if let Some(order) = number("test_ngram_order") {
            card(figure("test_ngram_loss"), &format!("nats a symbol of the {order}-gram, which only counts"));
        }
        card(number("test_rows").map(|rows| grouped(rows as usize)), "symbols never trained on");
    } else if number("test_rmse").is_some() {
        card(
            number("test_r2").map(|value| format!("{value:.4}")),
            "test R²: the share of the variance that is explained",
        );
        card(number("test_rmse").map(short), "root of the mean squared error");
        card(number("test_mae").map(short), "mean size of an error");
        card(number("test_rows").map(|rows| grouped(rows as usize)), "rows never trained on");
    } else {
        card(number("test_loss").map(|value| format!("{value:.4}")), "test loss");
        card(number("test_rows").map(|rows| grouped(rows as usize)), "rows never trained on");
    }
    let last = report.series.of_event("epoch").last();
    let of_epoch = |name: &str| last.and_then(|line| line.get(name)).and_then(Value::as_f64);
    card(of_epoch("val_accuracy").map(|value| format!("{:.2} %", 100.0 * value)), "validation accuracy");
    card(of_epoch("val_r2").map(|value| format!("{value:.4}")), "validation R²");
    card(of_epoch("train_loss").map(|value| format!("{value:.4}")), "training loss");
    if !cards.is_empty() {
        html.push_str("<div class=\"figures\">");
        for (value, name) in cards {
            let _ = write!(html, "<div class=\"figure\"><b>{value}</b><span>{name}</span></div>");
        }
        html.push_str("</div>\n");
    }
    let _ = writeln!(html, "<pre>{}</pre>", escaped(&record.command));
    for again in &record.resumed {
        let _ = writeln!(html, "<p class=\"note\">gone on {}</p>", escaped(again));
    }
    if !record.parent.is_empty() {
        let _ = writeln!(html, "<p class=\"note\">branched from {}</p>", escaped(&record.parent));
    }
    for note in &report.notes {
        let _ = writeln!(html, "<p class=\"note\">note: {}</p>", escaped(note));
    }
    html.push_str("</header>\n");
}

/// Text as HTML takes it, within quotes too.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}
