//! An answer and what it hangs on: the input, and for each method its map, the map on the input, and its certificate.

use data::Image;
use train::Result;

use super::colour::{heat, signed, stops};
use super::svg::{FAINT, PALE, Svg};
use super::{enlarged, tile_sheet};
use crate::attribute::{Attribution, Certificates};

/// A map that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The map.
    pub map: Attribution,
    /// What was checked of it.
    pub checks: Certificates,
}

/// All that is told of an answer.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What was asked: `test row 17 of runs/digits-1`.
    pub about: String,
    /// The picture as it was before it was normalised.
    pub input: Image,
    /// Every class with its probability, the likeliest first.
    pub answers: Vec<(String, f32)>,
    /// The class that is explained.
    pub class: String,
    /// The maps.
    pub maps: Vec<Explained>,
}

/// The share of a map's numbers that keep their own colour: what is beyond is as strong as can be.
const KEPT: f64 = 0.995;
/// Panels of a PNG are at least this large.
const LEAST_PANEL: usize = 256;

/// How the lines below the maps are meant.
const READING: [&str; 9] = [
    "How to read the checks",
    "Without the top 10 %: the score after the places at the top",
    "of the map were covered. A map that points at what matters",
    "makes it fall further than places at random.",
    "Weights shuffled: how alike the map of a network with all",
    "its weights in disorder is. One that reads the network",
    "becomes another: correlation near 0.",
    "Adds up: the numbers' sum, and how far the score lies from",
    "that of the baseline, which the sum should be.",
];

impl Explanation {
    /// As pixels: a line for each method, with input, map and overlay.
    pub fn to_image(&self) -> Image {
        let zoom = LEAST_PANEL.div_ceil(self.input.height.max(self.input.width).max(1));
        let panels = self.maps.iter().flat_map(|explained| {
            let map = &explained.map;
            [coloured(&self.input), picture(map, &self.input), overlay(map, &self.input)]
                .map(|panel| enlarged(&panel, zoom))
        });
        tile_sheet(&panels.collect::<Vec<Image>>(), 3, 1)
    }

    /// As a drawing with words.
    ///
    /// # Errors
    /// If the input has no pixels.
    pub fn to_svg(&self) -> Result<String> {
        const PANEL: f64 = 176.0;
        const CARD: f64 = 2.0 * PANEL + 44.0;
        const TALL: f64 = PANEL + 150.0;
        const MARGIN: f64 = 28.0;
        const HEAD: f64 = 232.0;
        let columns = self.maps.len().clamp(1, 3);
        let lines = self.maps.len().div_ceil(columns);
        let width = (2.0 * MARGIN + CARD * columns as f64 - 28.0).max(620.0);
        let font = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";
        let mut svg = Svg::new(width, HEAD + TALL * lines as f64 + 8.0, font, "#ffffff");
        svg.raw(&format!(
            r#"<defs><linearGradient id="s">{}</linearGradient><linearGradient id="h">{}</linearGradient></defs>"#,
            stops(true),
            stops(false)
        ));
        let shape = self.input.height as f64 / self.input.width.max(1) as f64;
        let fitted = |x: f64, y: f64, side: f64| {
            let (w, h) = if shape > 1.0 { (side / shape, side) } else { (side, side * shape) };
            [x + (side - w) / 2.0, y + (side - h) / 2.0, w, h]
        };
        svg.picture(fitted(MARGIN, MARGIN, PANEL), &coloured(&self.input))?;
        let x = MARGIN + PANEL + 28.0;
        svg.words(x, MARGIN + 24.0, 24.0, r#"font-weight="650""#, &self.class);
        let score = self.maps.first().map_or(f64::NAN, |explained| explained.map.score);
        svg.words(x, MARGIN + 46.0, 13.0, &format!(r#"fill="{PALE}""#), &format!("score {score:.3} · {}", self.about));
        for (number, (name, probability)) in self.answers.iter().take(5).enumerate() {
            let y = MARGIN + 74.0 + 23.0 * number as f64;
            let colour = if *name == self.class { "#2166ac" } else { "#b9c7d6" };
            svg.words(x + 104.0, y, 13.0, r#"text-anchor="end""#, name);
            svg.rect([x + 112.0, y - 11.0, (180.0 * f64::from(*probability)).max(1.0), 13.0], colour, r#"rx="2""#);
            let end = x + 118.0 + (180.0 * f64::from(*probability)).max(1.0);
            svg.words(end, y, 12.0, &format!(r#"fill="{PALE}""#), &format!("{:.1} %", 100.0 * probability));
        }
        if columns == 3 {
            let x = MARGIN + 2.0 * CARD;
            for (line, text) in READING.iter().enumerate() {
                let style = if line == 0 { r#"font-weight="600""#.to_owned() } else { format!(r#"fill="{PALE}""#) };
                svg.words(x, MARGIN + 24.0 + 19.0 * line as f64, 12.0, &style, text);
            }
        }
        for (number, explained) in self.maps.iter().enumerate() {
            let map = &explained.map;
            let (x, y) = (MARGIN + CARD * (number % columns) as f64, HEAD + TALL * (number / columns) as f64);
            svg.line([x, y], [x + CARD - 28.0, y], FAINT, 1.0);
            svg.words(x, y + 24.0, 15.0, r#"font-weight="600""#, map.method.name());
            svg.words(x, y + 42.0, 12.0, &format!(r#"fill="{PALE}""#), &about(map));
            let top = y + 54.0;
            svg.picture(fitted(x, top, PANEL), &picture(map, &self.input))?;
            svg.picture(fitted(x + PANEL + 16.0, top, PANEL), &overlay(map, &self.input))?;
            let (fill, words) =
                if map.method.is_signed() { ("s", ["against", "for"]) } else { ("h", ["none", "most"]) };
            let bar = top + PANEL + 9.0;
            svg.rect([x + 44.0, bar, PANEL - 78.0, 7.0], &format!("url(#{fill})"), "");
            svg.words(x, bar + 7.0, 10.5, &format!(r#"fill="{PALE}""#), words[0]);
            svg.words(x + PANEL, bar + 7.0, 10.5, &format!(r#"fill="{PALE}" text-anchor="end""#), words[1]);
            for (line, text) in certificate(&explained.checks).iter().enumerate() {
                svg.words(x, bar + 27.0 + 17.0 * line as f64, 12.0, "", text);
            }
        }
        Ok(svg.finish())
    }
}

fn about(map: &Attribution) -> String {
    match &map.layer {
        Some(layer) => format!("where {layer} speaks for the class"),
        None => map.method.about().to_owned(),
    }
}

/// What was checked, in a few lines.
fn certificate(checks: &Certificates) -> Vec<String> {
    let deletion = &checks.deletion;
    let mut lines = vec![format!(
        "without the top {:.0} %: score {:.2}, at random {:.2}",
        100.0 * deletion.removed,
        deletion.without_top,
        deletion.without_random
    )];
    if let Some(stage) = checks.randomisation.stages.last() {
        lines.push(format!(
            "weights shuffled: rank correlation {:.2}, SSIM {:.2}",
            stage.rank_correlation, stage.similarity
        ));
    }
    if let Some(complete) = &checks.completeness {
        lines.push(format!(
            "adds up to {:.3} of {:.3}: off by {:.2} %",
            complete.sum,
            complete.difference,
            100.0 * complete.residual
        ));
    }
    lines
}

/// The picture in three channels.
fn coloured(input: &Image) -> Image {
    Image::from_fn(3, input.height, input.width, |c, y, x| input.at(c % input.channels, y, x))
}

/// The numbers of a map, at most 1 in size.
fn scaled(map: &Attribution) -> Vec<f32> {
    let mut sizes: Vec<f32> = map.values().iter().map(|x| x.abs()).filter(|x| x.is_finite()).collect();
    sizes.sort_by(f32::total_cmp);
    let kept = (KEPT * sizes.len().saturating_sub(1) as f64).ceil() as usize;
    // (A map of which nearly all is 0 keeps its largest number.)
    let most = match sizes.get(kept) {
        Some(&most) if most > 0.0 => most,
        _ => sizes.last().copied().unwrap_or(0.0).max(f32::MIN_POSITIVE),
    };
    map.values().iter().map(|x| (x / most).clamp(-1.0, 1.0)).collect()
}

/// The map as it is.
fn picture(map: &Attribution, input: &Image) -> Image {
    let values = scaled(map);
    Image::from_fn(3, input.height, input.width, |c, y, x| {
        let value = values.get(y * input.width + x).copied().unwrap_or(0.0);
        if map.method.is_signed() { signed(value)[c] } else { heat(value)[c] }
    })
}

/// The map on the input, which is grey and pale where the map is weak.
fn overlay(map: &Attribution, input: &Image) -> Image {
    let values = scaled(map);
    let grey = |y: usize, x: usize| match input.channels {
        3 => 0.299 * input.at(0, y, x) + 0.587 * input.at(1, y, x) + 0.114 * input.at(2, y, x),
        _ => input.at(0, y, x),
    };
    Image::from_fn(3, input.height, input.width, |c, y, x| {
        let value = values.get(y * input.width + x).copied().unwrap_or(0.0);
        let (colour, cover) = if map.method.is_signed() {
            (signed(0.85 * value.signum())[c], 0.9 * value.abs().sqrt())
        } else {
            (heat(0.25 + 0.7 * value)[c], 0.85 * value.max(0.0).sqrt())
        };
        let under = 0.25 + 0.6 * grey(y, x);
        under + cover * (colour - under)
    })
}
