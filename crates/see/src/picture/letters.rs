//! The drawing of an explanation of a text: its letters or tokens, coloured by what the next one, or the class, hangs on.

use super::colour::signed;
use super::svg::{FAINT, PALE, Svg};
use crate::net::floats;
use crate::text::TextExplanation;

/// Letters in a line.
const ACROSS: usize = 64;
const WIDE: f64 = 13.0;
const TALL: f64 = 24.0;
const LEFT: f64 = 28.0;

impl TextExplanation {
    /// As a drawing: for each method the text with its map as colours, and for each head of attention what the last place looked at.
    pub fn to_svg(&self) -> String {
        let places = self.places();
        let lines = places.last().map_or(1, |&(line, ..)| line + 1);
        let across = places.iter().map(|&(_, column, wide)| column + wide).max().unwrap_or(0);
        let block = 40.0 + TALL * lines as f64;
        let heads: Vec<(usize, usize, Vec<f32>)> = self.last_rows();
        let head = 150.0;
        let text = LEFT + block * self.maps.len() as f64;
        let height = head + text + 30.0 + (18.0 + TALL * lines as f64) * heads.len() as f64 + 24.0;
        let width = (2.0 * LEFT + WIDE * across.max(24) as f64).max(900.0);
        let mut svg = Svg::new(width, height, "system-ui, sans-serif", "#ffffff");
        let next = shown(&self.class);
        let asked = if self.is_class { "its class" } else { "what follows" };
        svg.words(LEFT, 44.0, 22.0, r#"font-weight="650""#, &format!("{asked}: {next}"));
        svg.words(LEFT, 66.0, 13.0, &format!(r#"fill="{PALE}""#), &self.about);
        for (number, (letter, probability)) in self.answers.iter().take(6).enumerate() {
            let (x, y) = (LEFT + 112.0 * number as f64, 98.0);
            let colour = if *letter == self.class { "#2166ac" } else { "#b9c7d6" };
            svg.rect([x, y + 6.0, (96.0 * f64::from(*probability)).max(1.0), 8.0], colour, r#"rx="2""#);
            svg.words(x, y, 13.0, "", &format!("{} {:.1} %", shown(letter), 100.0 * probability));
        }
        for (number, explained) in self.maps.iter().enumerate() {
            let top = head + block * number as f64;
            let map = &explained.map;
            svg.line([LEFT, top - 18.0], [width - LEFT, top - 18.0], FAINT, 1.0);
            svg.words(LEFT, top, 14.0, r#"font-weight="600""#, map.method.name());
            let deletion = &explained.checks.deletion;
            let checks = format!(
                "without its top {:.0} % the score falls by {:.2}, at random by {:.2}; with all weights shuffled rank correlation {:.2}",
                100.0 * deletion.removed,
                deletion.fall(),
                deletion.random_fall(),
                explained.checks.randomisation.last()
            );
            svg.words(LEFT + 128.0, top, 12.0, &format!(r#"fill="{PALE}""#), &checks);
            let most = map.values().iter().map(|value| value.abs()).fold(1e-30, f32::max);
            self.line_of(&mut svg, top + 12.0, map.values(), most);
        }
        let mut top = head + text;
        if !heads.is_empty() {
            svg.words(LEFT, top, 14.0, r#"font-weight="600""#, "attention: what the last place looked at");
            top += 22.0;
        }
        for (attention, head, weights) in &heads {
            svg.words(LEFT, top, 11.0, &format!(r#"fill="{PALE}""#), &format!("attention {attention}, head {head}"));
            let most = weights.iter().copied().fold(1e-30, f32::max);
            self.line_of(&mut svg, top + 4.0, weights, most);
            top += 18.0 + TALL * lines as f64;
        }
        svg.finish()
    }

    /// The letters with a number each, red above 0 and blue below, from `top` downwards.
    fn line_of(&self, svg: &mut Svg, top: f64, values: &[f32], most: f32) {
        for ((letter, &value), (line, column, wide)) in self.letters.iter().zip(values).zip(self.places()) {
            let (x, y) = (LEFT + WIDE * column as f64, top + TALL * line as f64);
            let wide = WIDE * wide as f64;
            let [r, g, b] = signed(value / most).map(|share| (255.0 * share).round());
            svg.rect([x, y, wide, TALL - 3.0], &format!("rgb({r},{g},{b})"), "");
            let ink = if r + g + b < 330.0 { "#ffffff" } else { "#1d1d1f" };
            let style = format!(r#"text-anchor="middle" font-family="ui-monospace, monospace" fill="{ink}""#);
            svg.words(x + wide / 2.0, y + 15.0, 13.0, &style, &shown(letter));
        }
    }

    /// Line, column and width of each letter or token.
    fn places(&self) -> Vec<(usize, usize, usize)> {
        let (mut line, mut column) = (0, 0);
        let place = |letter: &String| {
            let wide = letter.chars().count().clamp(1, ACROSS);
            if column + wide > ACROSS {
                (line, column) = (line + 1, 0);
            }
            column += wide;
            (line, column - wide, wide)
        };
        self.letters.iter().map(place).collect()
    }

    /// Attention, head, and the weights of the last place.
    fn last_rows(&self) -> Vec<(usize, usize, Vec<f32>)> {
        let places = self.letters.len();
        let of = |map: &crate::AttentionMap| {
            let values = floats(&map.weights).chunks_exact((places * places).max(1));
            let rows =
                values.enumerate().map(|(head, all)| (map.number, head + 1, all[places * (places - 1)..].to_vec()));
            rows.collect::<Vec<_>>()
        };
        self.attention.iter().flat_map(of).collect()
    }
}

/// A letter that can be seen.
fn shown(letter: &str) -> String {
    match letter {
        " " => "\u{2423}".to_owned(),
        "\n" => "\u{21b5}".to_owned(),
        // (The blank before a word is its distance from the last one.)
        letter => {
            let letters = letter.strip_prefix(' ').unwrap_or(letter).chars();
            let seen =
                |letter: char| if letter.is_control() { letter.escape_debug().to_string() } else { letter.into() };
            letters.map(seen).collect()
        }
    }
}
