//! The plate of the experiment, in the manner of Hubel's and Wiesel's figures: the stimulus at the left, what the unit answers
//! beside it; then all units.

use std::f64::consts::TAU;

use libm::{cos, sin};
use train::Result;

use super::svg::{Axes, BLUE, FAINT, INK, PALE, RED, Svg};
use super::tiles::filter;
use crate::experiment::{Cell, HubelWiesel, Population, Summary};

const WIDTH: f64 = 1180.0;
const MARGIN: f64 = 44.0;
const PAPER: &str = "#fbf9f4";
const FONT: &str = "'Iowan Old Style', 'Palatino Linotype', Palatino, 'Book Antiqua', Georgia, 'DejaVu Serif', serif";
/// Orientations that a unit is shown with: every fourth of 36.
const SHOWN: usize = 9;
/// Impulses that are drawn for the sweep that moves a unit most.
const IMPULSES: f64 = 34.0;
/// Filters that are drawn of a population.
const FILTERS: usize = 64;
/// Tuning curves that are drawn.
const CURVES: usize = 14;
/// Bars of the distribution of the selectivity index.
const BINS: usize = 20;

/// The plate as an SVG.
///
/// # Errors
/// If there is nothing to draw.
pub fn plate(found: &HubelWiesel) -> Result<String> {
    let Some(learnt) = found.populations.first() else { return Ok(String::new()) };
    let random = found.populations.get(1);
    let mut svg = Svg::new(WIDTH, 1330.0, FONT, PAPER);
    svg.words(MARGIN, 58.0, 27.0, "", "Receptive fields of single units in a network");
    let quiet = format!(r#"fill="{PALE}""#);
    svg.words(MARGIN, 82.0, 14.0, &quiet, &found.subject);
    let after = "after D. H. Hubel and T. N. Wiesel, J. Physiol. 148 (1959) 574 and 160 (1962) 106";
    svg.words(WIDTH - MARGIN, 82.0, 12.0, &format!(r#"{quiet} text-anchor="end" font-style="italic""#), after);
    svg.line([MARGIN, 96.0], [WIDTH - MARGIN, 96.0], INK, 1.0);

    if let Some(cell) = example(learnt) {
        let last = learnt.windows.len() - 1;
        let title = format!("A simple unit: filter {} of {}", cell.filter, learnt.layer);
        record(&mut svg, [MARGIN, 116.0], learnt, cell, 0, &title)?;
        let side = learnt.windows[last];
        let title = format!("Pooled over {side} × {side} neighbours: a complex one");
        record(&mut svg, [MARGIN + 372.0, 116.0], learnt, cell, last, &title)?;
        beside(&mut svg, [MARGIN + 768.0, 116.0], learnt, cell);
    }
    let y = 570.0;
    sheet(&mut svg, [MARGIN, y], learnt, "Filters, the most selective first")?;
    if let Some(random) = random {
        sheet(&mut svg, [MARGIN + 372.0, y], random, &format!("The same of {} filters", random.name))?;
    }
    rose(&mut svg, [MARGIN + 768.0, y], learnt);
    let y = 972.0;
    curves(&mut svg, [MARGIN, y], learnt);
    selectivity(&mut svg, [MARGIN + 372.0, y], learnt, random);
    pooling(&mut svg, [MARGIN + 768.0, y], learnt, random);
    let mut lines = found.notes.clone();
    lines.push(told(learnt));
    lines.extend(random.map(told));
    for (number, line) in lines.iter().enumerate() {
        svg.words(MARGIN, 1330.0 - 18.0 - 17.0 * (lines.len() - 1 - number) as f64, 12.0, &quiet, line);
    }
    Ok(svg.finish())
}

/// The cell that is shown by itself: selective, like a Gabor function, strongly moved by a bar.
fn example(population: &Population) -> Option<&Cell> {
    let strongest = population.cells.iter().map(|cell| cell.tuning[0].peak()).fold(0.0f64, f64::max);
    let merit = |cell: &Cell| {
        let strength = (2.0 * cell.tuning[0].peak() / strongest.max(f64::MIN_POSITIVE)).min(1.0);
        strength * cell.tuning[0].osi * cell.gabor.r2.max(0.0) * (1.0 - cell.tuning[0].circular_variance)
    };
    population.cells.iter().max_by(|a, b| merit(a).total_cmp(&merit(b)))
}

/// The direction of a bar on the sheet: at a right angle to its angle.
fn along(angle: f64) -> [f64; 2] {
    [-sin(angle), cos(angle)]
}

/// A short bar of an orientation.
fn glyph(svg: &mut Svg, [x, y]: [f64; 2], angle: f64, length: f64, width: f64, colour: &str) {
    let [dx, dy] = along(angle).map(|d| d * length / 2.0);
    svg.line([x - dx, y - dy], [x + dx, y + dy], colour, width);
}

fn heading(svg: &mut Svg, [x, y]: [f64; 2], words: &str) {
    svg.words(x, y + 14.0, 15.0, r#"font-style="italic""#, words);
}

/// A bar of nine orientations that moves across a unit, and the unit's impulses while it does.
fn record(svg: &mut Svg, [x, y]: [f64; 2], of: &Population, cell: &Cell, window: usize, title: &str) -> Result<()> {
    heading(svg, [x, y], title);
    if window == 0 {
        svg.picture([x + 302.0, y - 12.0, 36.0, 36.0], &filter(&of.filters, cell.filter))?;
    }
    const ROW: f64 = 43.0;
    const ICON: f64 = 36.0;
    const TRACE: f64 = 250.0;
    let sweeps = &cell.sweeps[window];
    let step = (sweeps.len() / SHOWN).max(1);
    let start = cell.tuning[0].best % step;
    let (from, to) = (of.bars.shifts[0], of.bars.shifts[of.bars.shifts.len() - 1]);
    let total = |sweep: &[f64]| sweep.iter().sum::<f64>();
    let most = sweeps.iter().map(|sweep| total(sweep)).fold(0.0f64, f64::max).max(f64::MIN_POSITIVE);
    let ink = if cell.light { "#ffffff" } else { "#111111" };
    let receptive = filter(&of.filters, cell.filter);
    for number in 0..SHOWN {
        let orientation = (start + number * step) % sweeps.len();
        let top = y + 32.0 + ROW * number as f64;
        svg.picture([x, top, ICON, ICON], &receptive)?;
        svg.raw(&format!(
            r#"<rect x="{x}" y="{top}" width="{ICON}" height="{ICON}" fill="{}" fill-opacity="0.45"/>"#,
            if cell.light { "#404040" } else { "#c8c8c8" }
        ));
        let middle = [x + ICON / 2.0, top + ICON / 2.0];
        glyph(svg, middle, of.bars.angle(orientation), 30.0, 4.0, ink);
        let base = top + ICON - 5.0;
        let left = x + ICON + 16.0;
        svg.line([left, base], [left + TRACE, base], INK, 0.9);
        // An impulse each time that the answers so far have grown by the same amount.
        let sweep = &sweeps[orientation];
        let each = most / IMPULSES;
        let (mut sum, mut next) = (0.0, 0.5 * each);
        let fine = 20 * (sweep.len() - 1).max(1);
        for place in 0..fine {
            let at = place as f64 / 20.0;
            let (low, part) = (at as usize, at - at.floor());
            let answer = sweep[low] + part * (sweep[(low + 1).min(sweep.len() - 1)] - sweep[low]);
            sum += answer / 20.0;
            while sum > next {
                let across = left + TRACE * place as f64 / fine as f64;
                svg.line([across, base], [across, base - 23.0], INK, 0.85);
                next += each;
            }
        }
    }
    let bottom = y + 32.0 + ROW * SHOWN as f64 + 6.0;
    let words =
        format!("the {} bar: {from:.0} to {to:.0} pixels off the middle", if cell.light { "light" } else { "dark" });
    svg.words(x + ICON + 16.0, bottom, 11.0, &format!(r#"fill="{PALE}""#), &words);
    Ok(())
}

/// How the unit's answer goes with orientation, and with the phase of a grating; alone and pooled.
fn beside(svg: &mut Svg, [x, y]: [f64; 2], of: &Population, cell: &Cell) {
    const WIDE: f64 = 290.0;
    const TALL: f64 = 138.0;
    let last = of.windows.len() - 1;
    let scaled = |values: &[f64]| {
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        values.iter().map(|value| value / most).collect::<Vec<f64>>()
    };
    let unit = [(0.0, "0".to_owned()), (0.5, String::new()), (1.0, "1".to_owned())];
    heading(svg, [x, y], "Its answer to a grating's orientation");
    let axes = Axes { place: [x + 26.0, y + 34.0, WIDE, TALL], x: [0.0, 180.0], y: [0.0, 1.0] };
    axes.frame(svg, &[], &unit);
    angles(svg, &axes);
    for (window, colour, width) in [(last, RED, 4.5), (0, BLUE, 1.8)] {
        let curve = scaled(&cell.tuning[window].curve);
        let points =
            (0..=curve.len()).map(|at| axes.at(180.0 * at as f64 / curve.len() as f64, curve[at % curve.len()]));
        svg.path(&points.collect::<Vec<_>>(), colour, width, if width > 2.0 { r#"stroke-opacity="0.45""# } else { "" });
    }
    let tuning = &cell.tuning;
    legend(svg, [x + 26.0, y + 34.0 + TALL + 42.0], BLUE, &format!("alone: index {:.2}", tuning[0].osi));
    legend(svg, [x + 176.0, y + 34.0 + TALL + 42.0], RED, &format!("pooled: {:.2}", tuning[last].osi));

    let y = y + 238.0;
    heading(svg, [x, y], "Its answer while the grating drifts");
    let axes = Axes { place: [x + 26.0, y + 34.0, WIDE, TALL - 16.0], x: [0.0, 360.0], y: [0.0, 1.0] };
    axes.frame(svg, &[0.0, 90.0, 180.0, 270.0, 360.0].map(|at| (at, format!("{at}°"))), &unit);
    for (window, colour, width) in [(last, RED, 4.5), (0, BLUE, 1.8)] {
        let cycle = scaled(&cell.tuning[window].cycle);
        let points =
            (0..=cycle.len()).map(|at| axes.at(360.0 * at as f64 / cycle.len() as f64, cycle[at % cycle.len()]));
        svg.path(&points.collect::<Vec<_>>(), colour, width, if width > 2.0 { r#"stroke-opacity="0.45""# } else { "" });
    }
    legend(svg, [x + 26.0, y + TALL + 58.0], BLUE, &format!("alone: F1/F0 {:.2}", tuning[0].modulation));
    legend(svg, [x + 176.0, y + TALL + 58.0], RED, &format!("pooled: {:.2}", tuning[last].modulation));
}

/// Bars of each orientation below an axis of angles.
fn angles(svg: &mut Svg, axes: &Axes) {
    let [_, top, _, height] = axes.place;
    for degrees in [0.0f64, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0] {
        let [x, _] = axes.at(degrees, axes.y[0]);
        svg.line([x, top + height], [x, top + height + 4.0], INK, 0.8);
        glyph(svg, [x, top + height + 14.0], degrees.to_radians(), 14.0, 2.2, INK);
    }
}

fn legend(svg: &mut Svg, [x, y]: [f64; 2], colour: &str, words: &str) {
    svg.line([x, y - 4.0], [x + 16.0, y - 4.0], colour, 2.4);
    svg.words(x + 22.0, y, 12.0, "", words);
}

/// The filters of a population in a square.
fn sheet(svg: &mut Svg, [x, y]: [f64; 2], of: &Population, title: &str) -> Result<()> {
    heading(svg, [x, y], title);
    let mut order: Vec<&Cell> = of.cells.iter().collect();
    let rank = |cell: &Cell| if cell.responds() { cell.tuning[0].osi } else { -1.0 };
    order.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let shown = order.len().min(FILTERS);
    // (Of more filters than are shown, those at equal distances.)
    let picked: Vec<usize> = (0..shown).map(|at| order[at * order.len() / shown].filter).collect();
    // (Few of them are drawn larger.)
    let columns = (1..).find(|columns| columns * columns >= shown).unwrap_or(1).max(4);
    let cell = 328.0 / columns as f64;
    for (number, &which) in picked.iter().enumerate() {
        let (column, line) = (number % columns, number / columns);
        let place = [x + cell * column as f64, y + 30.0 + cell * line as f64, cell - 4.0, cell - 4.0];
        svg.picture(place, &filter(&of.filters, which))?;
    }
    Ok(())
}

/// How many cells prefer each orientation: each ray lies along the bar that is preferred.
fn rose(svg: &mut Svg, [x, y]: [f64; 2], of: &Population) {
    heading(svg, [x, y], "Preferred orientations");
    const RAYS: usize = 12;
    const RADIUS: f64 = 132.0;
    let oriented: Vec<&Cell> = of.cells.iter().filter(|cell| cell.responds() && cell.tuning[0].osi >= 0.6).collect();
    let mut counts = [0usize; RAYS];
    for cell in &oriented {
        let share = cell.tuning[0].preferred / std::f64::consts::PI;
        counts[(share * RAYS as f64 + 0.5) as usize % RAYS] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let (middle_x, middle_y) = (x + 160.0, y + 44.0 + RADIUS);
    // Rings at round counts.
    let ring = if most > 8 { most.div_ceil(4) } else { 1.max(most / 2) };
    for count in (ring..=most).step_by(ring) {
        let radius = RADIUS * (count as f64 / most as f64).sqrt();
        svg.raw(&format!(r#"<circle cx="{middle_x}" cy="{middle_y}" r="{radius:.1}" fill="none" stroke="{FAINT}" stroke-width="0.8"/>"#));
        // (Between two rays.)
        let [dx, dy] = along(std::f64::consts::PI * (0.5 + 1.5 / RAYS as f64));
        let place = [middle_x - (radius + 2.0) * dx, middle_y - (radius + 2.0) * dy + 3.5];
        svg.words(place[0], place[1], 10.0, &format!(r#"fill="{PALE}""#), &count.to_string());
    }
    for (number, &count) in counts.iter().enumerate() {
        // Area, not length, goes with the count.
        let radius = RADIUS * (count as f64 / most as f64).sqrt();
        let angle = std::f64::consts::PI * number as f64 / RAYS as f64;
        for side in [0.0, std::f64::consts::PI] {
            let [a, b] = [-0.42, 0.42].map(|part| {
                let turn = angle + side + part * std::f64::consts::PI / RAYS as f64;
                let [dx, dy] = along(turn);
                format!("{:.2} {:.2}", middle_x + radius * dx, middle_y + radius * dy)
            });
            let hue = hue(angle);
            svg.raw(&format!(r#"<path d="M{middle_x:.2} {middle_y:.2} L{a} A{radius:.2} {radius:.2} 0 0 1 {b} Z" fill="{hue}" fill-opacity="0.85"/>"#));
        }
    }
    let words = format!("{} of {} units with an index of 0.6 or more", oriented.len(), of.cells.len());
    svg.words(middle_x, middle_y + RADIUS + 24.0, 12.0, r#"text-anchor="middle""#, &words);
}

/// A colour for an orientation: half a turn is a whole circle of hues.
fn hue(angle: f64) -> String {
    format!("hsl({:.0} 52% 44%)", (2.0 * angle).rem_euclid(TAU).to_degrees())
}

/// Tuning curves of selective units, spread over the orientations.
fn curves(svg: &mut Svg, [x, y]: [f64; 2], of: &Population) {
    heading(svg, [x, y], "Tuning curves");
    let axes = Axes { place: [x + 26.0, y + 34.0, 296.0, 170.0], x: [0.0, 180.0], y: [0.0, 1.0] };
    axes.frame(svg, &[], &[(0.0, "0".to_owned()), (0.5, String::new()), (1.0, "1".to_owned())]);
    angles(svg, &axes);
    let mut cells: Vec<&Cell> = of.cells.iter().filter(|cell| cell.responds()).collect();
    cells.sort_by(|a, b| b.tuning[0].osi.total_cmp(&a.tuning[0].osi));
    cells.truncate((3 * CURVES).min(cells.len()));
    cells.sort_by(|a, b| a.tuning[0].preferred.total_cmp(&b.tuning[0].preferred));
    let shown = cells.len().min(CURVES);
    for number in 0..shown {
        let tuning = &cells[number * cells.len() / shown].tuning[0];
        let (most, count) = (tuning.peak(), tuning.curve.len());
        let points = (0..=count).map(|at| axes.at(180.0 * at as f64 / count as f64, tuning.curve[at % count] / most));
        svg.path(&points.collect::<Vec<_>>(), &hue(tuning.preferred), 1.5, r#"stroke-opacity="0.85""#);
    }
    svg.words(
        x + 26.0,
        y + 254.0,
        12.0,
        &format!(r#"fill="{PALE}""#),
        &format!("{shown} units; each answer as a share of the unit's largest"),
    );
}

/// How selective the units of each population are.
fn selectivity(svg: &mut Svg, [x, y]: [f64; 2], learnt: &Population, random: Option<&Population>) {
    heading(svg, [x, y], "Orientation selectivity index");
    let share = |of: &Population| {
        let cells: Vec<&Cell> = of.cells.iter().filter(|cell| cell.responds()).collect();
        let mut bins = [0.0; BINS];
        for cell in &cells {
            bins[((cell.tuning[0].osi * BINS as f64) as usize).min(BINS - 1)] += 1.0 / cells.len() as f64;
        }
        bins
    };
    let all: Vec<(&Population, &str, [f64; BINS])> = std::iter::once((learnt, BLUE))
        .chain(random.map(|of| (of, PALE)))
        .map(|(of, colour)| (of, colour, share(of)))
        .collect();
    let most = all.iter().flat_map(|(_, _, bins)| bins).copied().fold(0.05f64, f64::max) * 1.15;
    let axes = Axes { place: [x + 34.0, y + 34.0, 280.0, 170.0], x: [0.0, 1.0], y: [0.0, most] };
    let ticks: Vec<(f64, String)> = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0]
        .into_iter()
        .filter(|&at| at <= most)
        .map(|at| (at, format!("{:.0} %", 100.0 * at)))
        .collect();
    axes.frame(svg, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|at| (at, format!("{at:.1}"))), &ticks);
    for (number, (of, colour, bins)) in all.iter().enumerate().rev() {
        for (bin, &height) in bins.iter().enumerate() {
            let [left, top] = axes.at(bin as f64 / BINS as f64, height);
            let [right, bottom] = axes.at((bin + 1) as f64 / BINS as f64, 0.0);
            if height > 0.0 {
                svg.rect([left + 0.6, top, right - left - 1.2, bottom - top], colour, r#"fill-opacity="0.55""#);
            }
        }
        let median = of.summary().osi.first().copied().unwrap_or(f64::NAN);
        if median.is_finite() {
            let ([at, bottom], [_, top]) = (axes.at(median, 0.0), axes.at(median, most));
            svg.line([at, bottom], [at, top], colour, 1.4);
        }
        legend(svg, [x + 34.0 + 150.0 * number as f64, y + 254.0], colour, &format!("{}: median {median:.2}", of.name));
    }
}

/// What becomes of a unit if it is pooled with more and more of its neighbours.
fn pooling(svg: &mut Svg, [x, y]: [f64; 2], learnt: &Population, random: Option<&Population>) {
    heading(svg, [x, y], "Pooled over n × n neighbours (medians)");
    let populations: Vec<(Summary, &str)> =
        std::iter::once((learnt.summary(), BLUE)).chain(random.map(|of| (of.summary(), PALE))).collect();
    let windows: Vec<f64> = learnt.windows.iter().map(|&window| window as f64).collect();
    let most = windows.iter().copied().fold(1.0f64, f64::max);
    type Of = fn(&Summary) -> &[f64];
    let panels: [(&str, Of); 3] = [
        ("tolerance, pixels", |summary| &summary.tolerance),
        ("F1/F0", |summary| &summary.modulation),
        ("drift of orientation, degrees", |summary| &summary.drift),
    ];
    for (number, (title, of)) in panels.into_iter().enumerate() {
        let values = populations.iter().flat_map(|(summary, _)| of(summary)).copied().filter(|value| value.is_finite());
        let top = ceiling(values.fold(0.0f64, f64::max));
        let place = [x + 26.0, y + 48.0 + 79.0 * number as f64, 290.0, 44.0];
        let axes = Axes { place, x: [0.7, most + 0.3], y: [0.0, top] };
        let ticks: Vec<(f64, String)> = windows.iter().map(|&at| (at, format!("{at:.0}"))).collect();
        let words = |value: f64| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        axes.frame(svg, if number == 2 { &ticks } else { &[] }, &[(0.0, "0".to_owned()), (top, words(top))]);
        svg.words(place[0], place[1] - 7.0, 11.5, &format!(r#"fill="{PALE}""#), title);
        for (summary, colour) in populations.iter().rev() {
            let points: Vec<[f64; 2]> = windows
                .iter()
                .zip(of(summary))
                .filter(|(_, value)| value.is_finite())
                .map(|(&window, &value)| axes.at(window, value))
                .collect();
            svg.path(&points, colour, 1.8, "");
            for [cx, cy] in points {
                svg.raw(&format!(r#"<circle cx="{cx:.1}" cy="{cy:.1}" r="2.6" fill="{colour}"/>"#));
            }
        }
    }
}

/// A round number not below `value`.
fn ceiling(value: f64) -> f64 {
    let steps = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0];
    steps.into_iter().find(|&step| step >= value).unwrap_or(value)
}

/// A population in a sentence.
fn told(of: &Population) -> String {
    let Summary { cells, responding, gabor_like, gabor_r2, osi, circular_variance, modulation, .. } = of.summary();
    let first = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
    format!(
        "{}: {responding} of {cells} units answer gratings; {:.0} % of the filters are Gabor functions by 70 % or more (median {:.2}); \
         medians: index {:.2}, circular variance {:.2}, F1/F0 {:.2}",
        of.name,
        100.0 * gabor_like,
        gabor_r2,
        first(&osi),
        first(&circular_variance),
        first(&modulation),
    )
}
