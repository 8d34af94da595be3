//! What a unit is tuned to: its answers to drifting gratings, and to bars that move across it, in a few numbers.
//!
//! As physiologists do, the answer to the bare grey field (the spontaneous rate) is taken off first, and what is below it counts
//! as none: `r = max(answer - answer to grey, 0)`.

use std::f64::consts::{PI, TAU};

use libm::atan2;
use tensor::math::f64::{cos, sin};
use train::{Error, Result};

use crate::stimulus::Gratings;

/// What a unit is tuned to.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// `R(t)`: its largest answer over the phases, at each orientation, at its best frequency.
    pub curve: Vec<f64>,
    /// Its best frequency, in cycles a pixel.
    pub frequency: f64,
    /// The orientation of the largest answer: a place in `curve`.
    pub best: usize,
    /// The preferred angle across the stripes, in 0..pi: half the angle of `sum R e^(2it)`.
    pub preferred: f64,
    /// Orientation selectivity index: `(R_best - R_orthogonal) / (R_best + R_orthogonal)`.
    pub osi: f64,
    /// Circular variance: `1 - |sum R e^(2it)| / sum R`; 0 for one orientation alone, 1 for all alike.
    pub circular_variance: f64,
    /// Direction selectivity: `|sum R e^(it)| / sum R` over the whole turn. A network that sees one picture at a time answers
    /// the same pictures in either direction, so of it this is 0.
    pub dsi: f64,
    /// F1/F0: how much the answer at its best orientation and frequency goes along with the phase. Above 1 is called simple,
    /// below 1 complex.
    pub modulation: f64,
    /// That answer at each phase.
    pub cycle: Vec<f64>,
}

/// Gives the answers `[n, units]` of units to `n` pictures `[n, height, width]`.
pub type Respond<'a> = dyn FnMut(&[f32], usize) -> Result<Vec<f64>> + 'a;

/// Tuning of all units that `respond` asks. It is given so many pictures `[n, height, width]` and returns the units' answers
/// `[n, units]`, row by row.
///
/// # Errors
/// What `respond` returns; or if the gratings leave nothing to measure.
pub fn tune(gratings: &Gratings, respond: &mut Respond<'_>) -> Result<Vec<Tuning>> {
    let Gratings { orientations, phases, .. } = *gratings;
    let frequencies = gratings.frequencies.len();
    if orientations == 0 || !orientations.is_multiple_of(2) || phases == 0 || frequencies == 0 {
        return Err(Error::usage(
            format!("gratings of {orientations} orientations, {frequencies} frequencies, {phases} phases"),
            "give an even number of orientations, and one frequency and phase or more",
        ));
    }
    let grey = respond(&vec![0.0; gratings.height * gratings.width], 1)?;
    let units = grey.len();
    let each = frequencies * phases;
    let mut answers = vec![vec![0.0; orientations * each]; units];
    for orientation in 0..orientations {
        let pictures: Vec<f32> = (0..frequencies).flat_map(|f| gratings.drifting(orientation, f)).collect();
        for (at, row) in respond(&pictures, each)?.chunks_exact(units.max(1)).enumerate().take(each) {
            for (unit, answer) in row.iter().enumerate() {
                answers[unit][orientation * each + at] = (answer - grey[unit]).max(0.0);
            }
        }
    }
    Ok(answers.iter().map(|answers| Tuning::of(gratings, answers)).collect())
}

impl Tuning {
    /// Of the answers `[orientations, frequencies, phases]` of one unit.
    fn of(gratings: &Gratings, answers: &[f64]) -> Tuning {
        let (frequencies, phases) = (gratings.frequencies.len(), gratings.phases);
        let cycle = |orientation: usize, frequency: usize| {
            &answers[(orientation * frequencies + frequency) * phases..][..phases]
        };
        let largest = |orientation, frequency| cycle(orientation, frequency).iter().copied().fold(0.0f64, f64::max);
        let (mut best, mut frequency) = (0, 0);
        for orientation in 0..gratings.orientations {
            for number in 0..frequencies {
                if largest(orientation, number) > largest(best, frequency) {
                    (best, frequency) = (orientation, number);
                }
            }
        }
        let curve: Vec<f64> = (0..gratings.orientations).map(|orientation| largest(orientation, frequency)).collect();
        let orthogonal = curve[(best + curve.len() / 2) % curve.len()];
        let [re, im] = resultant(&curve);
        let sum: f64 = curve.iter().sum();
        let length = (re * re + im * im).sqrt();
        let whole_turn = [&curve[..], &curve[..]].concat();
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        Tuning {
            frequency: gratings.frequencies[frequency],
            best,
            preferred: (0.5 * atan2(im, re)).rem_euclid(PI),
            osi: ratio(curve[best] - orthogonal, curve[best] + orthogonal),
            circular_variance: 1.0 - ratio(length, sum),
            dsi: direction_selectivity(&whole_turn),
            modulation: modulation(cycle(best, frequency)),
            cycle: cycle(best, frequency).to_vec(),
            curve,
        }
    }

    /// Its largest answer.
    pub fn peak(&self) -> f64 {
        self.curve[self.best]
    }
}

/// `|sum R e^(it)| / sum R` of answers to directions over a whole turn; 0 if there are none.
pub fn direction_selectivity(curve: &[f64]) -> f64 {
    let [re, im] = resultant(curve);
    let sum: f64 = curve.iter().sum();
    if sum > 0.0 { (re * re + im * im).sqrt() / sum } else { 0.0 }
}

/// `sum R_k e^(2 pi i k / n)`: of orientations over half a turn, `sum R e^(2it)`.
fn resultant(curve: &[f64]) -> [f64; 2] {
    let step = TAU / curve.len().max(1) as f64;
    let angle = |k: usize| step * k as f64;
    let part = |of: fn(f64) -> f64| curve.iter().enumerate().map(|(k, r)| r * of(angle(k))).sum();
    [part(cos), part(sin)]
}

/// F1/F0: the amplitude of the first harmonic of a cycle over its mean.
fn modulation(cycle: &[f64]) -> f64 {
    let mean = cycle.iter().sum::<f64>() / cycle.len().max(1) as f64;
    let [re, im] = resultant(cycle);
    let amplitude = 2.0 * (re * re + im * im).sqrt() / cycle.len().max(1) as f64;
    if mean > 0.0 { amplitude / mean } else { 0.0 }
}

/// Tolerance to position: over how many pixels a unit answers a bar with at least half of its largest answer, around the place of
/// that. Between `shifts` answers follow straight lines. 0 if it answers none.
pub fn tolerance(shifts: &[f64], answers: &[f64]) -> f64 {
    let Some(peak) = (0..answers.len()).max_by(|&a, &b| answers[a].total_cmp(&answers[b])) else { return 0.0 };
    let half = 0.5 * answers[peak];
    if half <= 0.0 || shifts.len() != answers.len() {
        return 0.0;
    }
    // Where the line between a place above half and its neighbour below crosses half.
    let crossing = |above: usize, below: usize| {
        let share = (answers[above] - half) / (answers[above] - answers[below]);
        shifts[above] + share * (shifts[below] - shifts[above])
    };
    let right = match (peak..answers.len()).find(|&at| answers[at] < half) {
        Some(at) => crossing(at - 1, at),
        None => shifts[answers.len() - 1],
    };
    let left = match (0..peak).rev().find(|&at| answers[at] < half) {
        Some(at) => crossing(at + 1, at),
        None => shifts[0],
    };
    right - left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gabor::Gabor;

    const SIDE: usize = 21;

    fn filter(angle: f64, phase: f64) -> Vec<f64> {
        let (even, odd) = (cos(phase), -sin(phase));
        Gabor { even, odd, x: 10.0, y: 10.0, angle, sigma: 3.0, ratio: 0.8, wavelength: 6.0 }.picture(SIDE, SIDE)
    }

    fn dot(filter: &[f64], picture: &[f32]) -> f64 {
        filter.iter().zip(picture).map(|(a, &b)| a * f64::from(b)).sum()
    }

    type Unit<'a> = &'a dyn Fn(&[f32]) -> f64;

    /// One unit after another over pictures of 21 x 21.
    fn tuned(units: &[Unit<'_>]) -> Vec<Tuning> {
        let gratings = Gratings::standard(SIDE, SIDE);
        let mut respond = |pictures: &[f32], _: usize| {
            Ok(pictures.chunks_exact(SIDE * SIDE).flat_map(|picture| units.iter().map(|unit| unit(picture))).collect())
        };
        tune(&gratings, &mut respond).unwrap()
    }

    fn apart(a: f64, b: f64) -> f64 {
        let apart = (a - b).rem_euclid(PI);
        apart.min(PI - apart).to_degrees()
    }

    #[test]
    fn a_gabor_of_known_angle_is_found_within_two_degrees_and_selective() {
        for degrees in [0.0f64, 13.0, 45.0, 77.5, 90.0, 121.0, 178.0] {
            let weights = filter(degrees.to_radians(), 0.4);
            let unit = |picture: &[f32]| dot(&weights, picture).max(0.0);
            let found = &tuned(&[&unit])[0];
            assert!(apart(found.preferred, degrees.to_radians()) < 2.0, "{degrees}: {found:?}");
            assert!(found.osi > 0.9 && found.circular_variance < 0.4, "{degrees}: {found:?}");
            assert!((found.frequency - 1.0 / 6.0).abs() < 0.02, "{found:?}");
            // A rectified wave has F1/F0 = pi / 2.
            assert!((found.modulation - PI / 2.0).abs() < 0.05, "{found:?}");
        }
    }

    #[test]
    fn an_energy_unit_answers_every_phase_alike() {
        let (even, odd) = (filter(0.6, 0.0), filter(0.6, PI / 2.0));
        let energy = |picture: &[f32]| {
            let (a, b) = (dot(&even, picture), dot(&odd, picture));
            a * a + b * b
        };
        let simple = |picture: &[f32]| dot(&even, picture).max(0.0);
        let found = tuned(&[&energy, &simple]);
        assert!(found[0].modulation < 0.05, "{:?}", found[0]);
        assert!(found[1].modulation > 1.5 && apart(found[0].preferred, found[1].preferred) < 1.0);
    }

    #[test]
    fn a_round_unit_prefers_nothing_and_a_silent_one_too() {
        let round =
            Gabor { even: 1.0, odd: 0.0, x: 10.0, y: 10.0, angle: 0.0, sigma: 2.0, ratio: 1.0, wavelength: 1e9 };
        let weights = round.picture(SIDE, SIDE);
        let found = tuned(&[&|picture: &[f32]| dot(&weights, picture).max(0.0), &|_: &[f32]| 3.0]);
        assert!(found[0].osi < 0.02 && found[0].circular_variance > 0.98, "{:?}", found[0]);
        assert_eq!((found[1].osi, found[1].peak(), found[1].modulation), (0.0, 0.0, 0.0));
        assert!(found[0].dsi < 1e-12);
    }

    #[test]
    fn direction_selectivity_tells_one_way_from_both() {
        let curve = |other: f64| -> Vec<f64> {
            (0..36)
                .map(|k| {
                    if k == 9 {
                        1.0
                    } else if k == 27 {
                        other
                    } else {
                        0.0
                    }
                })
                .collect()
        };
        assert!((direction_selectivity(&curve(0.0)) - 1.0).abs() < 1e-12);
        assert!(direction_selectivity(&curve(1.0)) < 1e-12);
    }

    #[test]
    fn tolerance_is_the_width_at_half_height() {
        let shifts: Vec<f64> = (0..21).map(|at| at as f64 / 2.0 - 5.0).collect();
        let tent: Vec<f64> = shifts.iter().map(|shift| (2.0 - (shift - 1.0).abs()).max(0.0)).collect();
        assert!((tolerance(&shifts, &tent) - 2.0).abs() < 1e-12);
        assert_eq!(tolerance(&shifts, &[0.0; 21]), 0.0);
        assert_eq!(tolerance(&shifts, &[1.0; 21]), 10.0);
    }
}
