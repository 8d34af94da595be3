//! A survey as text: a page to read in a terminal.

use std::fmt::Write as _;

use super::{NEAR, NEAR_ALIKE, Same, Survey};
use crate::detection::Fault;

/// Of longer lists, so many are shown.
const SHOWN: usize = 8;
/// Classes that are counted one by one.
const MOST_CLASSES: usize = 120;
/// Blocks in the longest bar.
const BAR: usize = 30;

impl Survey {
    /// The survey as a page of text.
    pub fn to_text(&self) -> String {
        let mut page = String::new();
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        let files = if self.files.len() == 1 { "file" } else { "files" };
        let _ = writeln!(
            page,
            "{}: {}, {} {files}, {}\n",
            self.root.display(),
            self.convention.about(),
            grouped(self.files.len()),
            size(bytes)
        );
        self.table(&mut page);
        if let Some([width, height]) = self.sizes() {
            let said = |[least, middle, most]: [usize; 3]| match least == most {
                true => format!("{least}"),
                false => format!("{least} to {most} (median {middle})"),
            };
            let _ = writeln!(page, "size: {} x {} pixels", said(width), said(height));
        }
        for (name, value) in &self.facts {
            let _ = writeln!(page, "{name}: {value}");
        }
        for note in &self.notes {
            let _ = writeln!(page, "note: {note}");
        }
        page.push('\n');
        self.findings(&mut page);
        page
    }

    /// Rows of each part, then of each class with a bar.
    fn table(&self, page: &mut String) {
        let rows = self.part_rows();
        let counted = if self.boxes.is_some() { "boxes" } else { self.unit };
        let names: Vec<String> = self.classes.iter().map(|name| name.chars().take(24).collect()).collect();
        let left = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(self.unit.len() + 2);
        let column = self.parts.iter().map(|part| part.chars().count()).max().unwrap_or(0).max(9);
        let line = |page: &mut String, name: &str, cells: &[String], tail: &str| {
            let pad = left.saturating_sub(name.chars().count());
            let cells: String = cells.iter().map(|cell| format!("  {cell:>column$}")).collect();
            let _ = writeln!(page, "{}", format!("{name}{}{cells}  {tail}", " ".repeat(pad)).trim_end());
        };
        let unnamed = self.parts == ["all"];
        if !unnamed {
            line(page, "", &self.parts, "");
        }
        line(page, self.unit, &rows.iter().map(|&count| grouped(count)).collect::<Vec<_>>(), "");
        let counts = self.counts();
        if let Some(boxes) = &self.boxes {
            let all = boxes.iter().map(|classes| grouped(classes.iter().sum()));
            line(page, counted, &all.collect::<Vec<_>>(), "");
        }
        let total = |class: usize| counts.iter().map(|part| part[class]).sum::<usize>();
        let most = (0..names.len()).map(total).max().unwrap_or(0).max(1);
        for (class, name) in names.iter().enumerate().take(MOST_CLASSES) {
            let cells: Vec<String> = counts.iter().map(|part| grouped(part[class])).collect();
            // Whatever is there has a mark.
            let blocks = (total(class) * BAR).div_ceil(most);
            line(page, name, &cells, &"█".repeat(blocks));
        }
        if names.len() > MOST_CLASSES {
            let _ = writeln!(page, "... and {} more classes", names.len() - MOST_CLASSES);
        }
        let least = (0..names.len()).map(total).min().unwrap_or(0);
        if names.len() > 1 && least * 4 < most {
            let _ = writeln!(
                page,
                "classes are uneven: the largest has {}, the smallest {}",
                grouped(most),
                grouped(least)
            );
        }
        page.push('\n');
    }

    fn findings(&self, page: &mut String) {
        let problems = self.problems();
        let texts = self.unit == "lines";
        let near = |groups: &[Same]| groups.iter().filter(|same| same.correlation.is_some()).count();
        let split = |groups: &[Same]| match (groups.len() - near(groups), near(groups)) {
            (exact, 0) => format!("{} the same", grouped(exact)),
            (exact, near) => format!("{} the same, {} nearly", grouped(exact), grouped(near)),
        };
        listed(page, "broken", self.broken.len(), self.broken.iter().map(fault));
        if !self.faults.is_empty() {
            listed(page, "faults", self.faults.len(), self.faults.iter().map(fault));
        }
        if self.parts.len() > 1 {
            let what = format!("leaks between parts ({})", split(&problems.leaks));
            listed(page, &what, problems.leaks.len(), problems.leaks.iter().map(|same| self.same(same)));
        }
        if !texts {
            let what = format!("copies within a part ({})", split(&problems.copies));
            listed(page, &what, problems.copies.len(), problems.copies.iter().map(|same| self.same(same)));
        }
        if !self.classes.is_empty() && self.boxes.is_none() {
            let lists = [
                ("same content, other class", &problems.contradictions),
                ("looks the same, other class", &problems.doubtful),
            ];
            for (what, groups) in lists {
                listed(page, what, groups.len(), groups.iter().map(|same| self.same(same)));
            }
        }
        if self.rows.iter().any(|row| row.size.is_some()) {
            let _ = writeln!(
                page,
                "\nnearly the same: made small and grey, and moved by up to a pixel, they correlate to {NEAR} or more; drawings on an even ground, and pictures that are all much alike, to {NEAR_ALIKE}"
            );
        }
        if self.twins.cut_short {
            let _ = writeln!(
                page,
                "note: there are too many pictures, or too many look alike, to compare all of them: some near copies are not listed"
            );
        }
    }

    fn same(&self, same: &Same) -> String {
        const ROWS: usize = 4;
        let row = |&row: &usize| {
            let row = &self.rows[row];
            match row.class.and_then(|class| self.classes.get(class)).filter(|class| !row.id.contains(class.as_str())) {
                Some(class) => format!("{} ({class})", row.id),
                None => row.id.clone(),
            }
        };
        let mut names: Vec<String> = same.rows.iter().take(ROWS).map(row).collect();
        if same.rows.len() > ROWS {
            names.push(format!("{} more", same.rows.len() - ROWS));
        }
        let alike = same.correlation.map_or_else(|| " = ".to_owned(), |c| format!(" ~{c:.3}~ "));
        names.join(&alike)
    }
}

fn fault(fault: &Fault) -> String {
    format!("{}: {}", fault.place, fault.why)
}

/// A heading with a count, then the first lines.
fn listed(page: &mut String, what: &str, count: usize, lines: impl Iterator<Item = String>) {
    if count == 0 {
        let _ = writeln!(page, "{}: none", what.split(" (").next().unwrap_or(what));
        return;
    }
    let _ = writeln!(page, "{what}: {}", grouped(count));
    lines.take(SHOWN).for_each(|line| {
        let _ = writeln!(page, "  {line}");
    });
    if count > SHOWN {
        let _ = writeln!(page, "  ... and {} more (--json lists them)", grouped(count - SHOWN));
    }
}

/// 61706 as "61,706".
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as "98.3 MB".
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
