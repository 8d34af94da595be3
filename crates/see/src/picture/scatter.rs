//! Embeddings: a point for each row.

use std::f64::consts::TAU;

use libm::{cos, sin};

use super::svg::{FAINT, Svg};

/// Colours of classes, told apart by people who do not see all colours, too (Okabe and Ito 2008, and their darker and lighter
/// kin); more classes begin anew with another shape.
pub const COLOURS: [&str; 10] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b8860b", "#7b3294", "#5e5e5e", "#c51b7d", "#a6d854"];

/// Rows at their first two coordinates, coloured by class, as an SVG.
pub fn scatter(title: &str, places: &[Vec<f64>], classes: &[usize], names: &[String]) -> String {
    const SIDE: f64 = 640.0;
    const LEFT: f64 = 24.0;
    const TOP: f64 = 56.0;
    let mut svg = Svg::new(SIDE + 210.0, SIDE + TOP + 24.0, "system-ui, sans-serif", "#ffffff");
    svg.words(LEFT, 34.0, 17.0, r#"font-weight="600""#, title);
    let along = |axis: usize| places.iter().map(move |place| place.get(axis).copied().unwrap_or(0.0));
    let most = |axis: usize| along(axis).map(f64::abs).fold(f64::MIN_POSITIVE, f64::max);
    let scale = 0.48 * SIDE / most(0).max(most(1));
    svg.rect([LEFT, TOP, SIDE, SIDE], "none", &format!(r#"stroke="{FAINT}""#));
    let (x0, y0) = (LEFT + SIDE / 2.0, TOP + SIDE / 2.0);
    svg.line([x0, TOP], [x0, TOP + SIDE], FAINT, 0.8);
    svg.line([LEFT, y0], [LEFT + SIDE, y0], FAINT, 0.8);
    for ((x, y), &class) in along(0).zip(along(1)).zip(classes) {
        mark(&mut svg, x0 + scale * x, y0 - scale * y, class, 3.4);
    }
    for (class, name) in names.iter().enumerate() {
        let y = TOP + 14.0 + 22.0 * class as f64;
        mark(&mut svg, LEFT + SIDE + 26.0, y, class, 5.0);
        svg.words(LEFT + SIDE + 40.0, y + 4.5, 13.0, "", name);
    }
    svg.finish()
}

fn mark(svg: &mut Svg, x: f64, y: f64, class: usize, size: f64) {
    let colour = COLOURS[class % COLOURS.len()];
    if class < COLOURS.len() {
        svg.raw(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{size}" fill="{colour}" fill-opacity="0.72"/>"#));
        return;
    }
    let corner = |n: usize| {
        let angle = TAU * n as f64 / 3.0;
        format!("{:.1},{:.1}", x + size * sin(angle), y - size * cos(angle))
    };
    let corners: Vec<String> = (0..3).map(corner).collect();
    svg.raw(&format!(r#"<polygon points="{}" fill="{colour}" fill-opacity="0.72"/>"#, corners.join(" ")));
}
