//! Hubel's and Wiesel's experiment (J. Physiol. 148, 1959; 160, 1962) on a network: gratings and bars are shown, units are listened
//! to. Two things were found in the cat, and are measured here: cells answer edges of one orientation (simple cells), and others
//! keep the orientation while the place of the edge matters less (complex cells).

use serde_json::{Value, json};
use tensor::Array;
use train::Result;

use crate::filters::luminance;
use crate::gabor::{GaborFit, fit_gabor};
use crate::stimulus::{Bars, Gratings};
use crate::tuning::{Tuning, tolerance, tune};
use crate::units::Units;

/// Windows over which units are pooled: 1 is the unit by itself.
pub const WINDOWS: [usize; 5] = [1, 2, 3, 4, 6];

/// A filter, and the units that look through it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Which filter.
    pub filter: usize,
    /// The Gabor function nearest to it.
    pub gabor: GaborFit,
    /// What the units are tuned to, one for each window.
    pub tuning: Vec<Tuning>,
    /// Over how many pixels each answers a bar of its own orientation.
    pub tolerance: Vec<f64>,
    /// Answers to the bar, `[windows][orientations][shifts]`: light or dark, whichever moves the unit more.
    pub sweeps: Vec<Vec<Vec<f64>>>,
    /// Whether that bar is light.
    pub light: bool,
}

impl Cell {
    /// Whether the unit itself answers anything.
    pub fn responds(&self) -> bool {
        self.tuning[0].peak() > 0.0
    }

    /// By how many degrees the preferred orientation of window `window` differs from that of the unit itself.
    pub fn drift(&self, window: usize) -> f64 {
        let apart = (self.tuning[window].preferred - self.tuning[0].preferred).to_degrees().rem_euclid(180.0);
        apart.min(180.0 - apart)
    }
}

/// The units of one layer, or of filters alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// What they are: "learnt", "random".
    pub name: String,
    /// The layer they are units of.
    pub layer: String,
    /// Their filters `[K, C, H, W]`.
    pub filters: Array,
    /// The windows.
    pub windows: Vec<usize>,
    /// The bars that were shown.
    pub bars: Bars,
    /// A cell for each filter.
    pub cells: Vec<Cell>,
}

/// A population in a few numbers; medians are over the cells that answer anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Cells.
    pub cells: usize,
    /// Cells that answer anything.
    pub responding: usize,
    /// Median share of a filter's variance that a Gabor function explains.
    pub gabor_r2: f64,
    /// The share of filters of which it explains 0.7 or more.
    pub gabor_like: f64,
    /// Median orientation selectivity index of each window.
    pub osi: Vec<f64>,
    /// The share of responding cells whose index is 0.6 or more.
    pub oriented: f64,
    /// Median circular variance of each window.
    pub circular_variance: Vec<f64>,
    /// Median F1/F0 of each window.
    pub modulation: Vec<f64>,
    /// Median tolerance to position of each window, in pixels.
    pub tolerance: Vec<f64>,
    /// Median distance, in degrees, of each window's preferred orientation from that of the unit itself; over oriented cells.
    pub drift: Vec<f64>,
}

/// Index from which a cell is called oriented.
const ORIENTED: f64 = 0.6;
/// Share from which a filter is called like a Gabor function.
const GABOR_LIKE: f64 = 0.7;

/// Shows gratings and bars to `units`, whose filters are `filters [K, C, H, W]`.
///
/// # Errors
/// If the network does not take the pictures.
pub fn experiment(name: &str, units: &Units, filters: Array) -> Result<Population> {
    let ((height, width), windows, maps) = (units.size(), units.windows().to_vec(), units.maps());
    let tunings = tune(&Gratings::standard(height, width), &mut |pictures, _| units.respond(pictures))?;
    let (tall, wide) = (filters.shape().get(2).copied().unwrap_or(1), filters.shape().get(3).copied().unwrap_or(1));
    let reach = (tall.max(wide) + windows.iter().copied().max().unwrap_or(1)) / 2 + 2;
    let bars = Bars::standard(height, width, reach.min(height.min(width) / 2));
    let sweeps = [sweep(units, &bars)?, sweep(units, &Bars { contrast: -bars.contrast, ..bars.clone() })?];
    let pictures = luminance(&filters);
    let cell = |map: usize| {
        let unit = |window: usize| window * maps + map;
        let most = |sweep: &Vec<Vec<Vec<f64>>>| sweep[unit(0)].iter().flatten().copied().fold(0.0f64, f64::max);
        let light = most(&sweeps[0]) >= most(&sweeps[1]);
        let sweeps = &sweeps[usize::from(!light)];
        let tuning: Vec<Tuning> = (0..windows.len()).map(|window| tunings[unit(window)].clone()).collect();
        let best = tuning[0].best;
        let tolerance = (0..windows.len()).map(|window| tolerance(&bars.shifts, &sweeps[unit(window)][best])).collect();
        let gabor = fit_gabor(pictures.get(map).map_or(&[][..], |picture| picture), tall, wide);
        let sweeps = (0..windows.len()).map(|window| sweeps[unit(window)].clone()).collect();
        Cell { filter: map, gabor, tuning, tolerance, sweeps, light }
    };
    let cells = (0..maps).map(cell).collect();
    Ok(Population { name: name.to_owned(), layer: units.layer().to_owned(), filters, windows, bars, cells })
}

/// Answers to moving bars beyond those to the grey field: `[units][orientations][shifts]`.
fn sweep(units: &Units, bars: &Bars) -> Result<Vec<Vec<Vec<f64>>>> {
    let grey = units.respond(&vec![0.0; bars.height * bars.width])?;
    let mut all = vec![Vec::with_capacity(bars.orientations); grey.len()];
    for orientation in 0..bars.orientations {
        let answers = units.respond(&bars.moving(orientation))?;
        for (unit, spontaneous) in grey.iter().enumerate() {
            let row = answers.iter().skip(unit).step_by(grey.len());
            all[unit].push(row.map(|answer| (answer - spontaneous).max(0.0)).collect());
        }
    }
    Ok(all)
}

impl Population {
    /// In a few numbers.
    pub fn summary(&self) -> Summary {
        let responding: Vec<&Cell> = self.cells.iter().filter(|cell| cell.responds()).collect();
        let oriented: Vec<&Cell> = responding.iter().copied().filter(|cell| cell.tuning[0].osi >= ORIENTED).collect();
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let each = |cells: &[&Cell], of: &dyn Fn(&Cell, usize) -> f64| -> Vec<f64> {
            (0..self.windows.len()).map(|window| median(cells.iter().map(|cell| of(cell, window)).collect())).collect()
        };
        let like = self.cells.iter().filter(|cell| cell.gabor.r2 >= GABOR_LIKE).count();
        Summary {
            cells: self.cells.len(),
            responding: responding.len(),
            gabor_r2: median(self.cells.iter().map(|cell| cell.gabor.r2).collect()),
            gabor_like: share(like, self.cells.len()),
            osi: each(&responding, &|cell, window| cell.tuning[window].osi),
            oriented: share(oriented.len(), responding.len()),
            circular_variance: each(&responding, &|cell, window| cell.tuning[window].circular_variance),
            modulation: each(&responding, &|cell, window| cell.tuning[window].modulation),
            tolerance: each(&responding, &|cell, window| cell.tolerance[window]),
            drift: each(&oriented, &|cell, window| cell.drift(window)),
        }
    }

    /// As JSON: the summary, and each cell's numbers.
    pub fn to_json(&self) -> Value {
        let Summary {
            cells,
            responding,
            gabor_r2,
            gabor_like,
            osi,
            oriented,
            circular_variance,
            modulation,
            tolerance,
            drift,
        } = self.summary();
        let each: Vec<Value> = self.cells.iter().map(Cell::to_json).collect();
        json!({
            "name": self.name, "layer": self.layer, "filters": self.filters.shape().to_vec(), "windows": self.windows,
            "summary": {
                "cells": cells, "responding": responding, "median_gabor_r2": gabor_r2, "share_gabor_r2_above_0.7": gabor_like,
                "median_osi": osi, "share_osi_above_0.6": oriented, "median_circular_variance": circular_variance,
                "median_f1_f0": modulation, "median_tolerance_pixels": tolerance, "median_drift_degrees": drift,
            },
            "cells": each,
        })
    }
}

impl Cell {
    fn to_json(&self) -> Value {
        let gabor = &self.gabor.gabor;
        let windows: Vec<Value> = self
            .tuning
            .iter()
            .zip(&self.tolerance)
            .map(|(tuning, tolerance)| {
                json!({
                    "preferred_degrees": tuning.preferred.to_degrees(), "osi": tuning.osi,
                    "circular_variance": tuning.circular_variance, "dsi": tuning.dsi, "f1_f0": tuning.modulation,
                    "frequency": tuning.frequency, "peak": tuning.peak(), "tolerance_pixels": tolerance, "curve": tuning.curve,
                })
            })
            .collect();
        json!({
            "filter": self.filter,
            "gabor": {
                "r2": self.gabor.r2, "angle_degrees": gabor.angle.to_degrees(), "wavelength": gabor.wavelength,
                "sigma": gabor.sigma, "ratio": gabor.ratio, "x": gabor.x, "y": gabor.y, "even": gabor.even, "odd": gabor.odd,
            },
            "light_bar": self.light,
            "windows": windows,
        })
    }
}

/// The middle of the numbers; NaN if there are none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => 0.5 * (values[count / 2 - 1] + values[count / 2]),
    }
}

/// The experiment on learnt filters, and on random ones for comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct HubelWiesel {
    /// What was experimented on.
    pub subject: String,
    /// The units, those of interest first.
    pub populations: Vec<Population>,
    /// Notes, such as how filters were learnt.
    pub notes: Vec<String>,
}

impl HubelWiesel {
    /// All numbers.
    pub fn to_json(&self) -> Value {
        let populations: Vec<Value> = self.populations.iter().map(Population::to_json).collect();
        json!({ "subject": self.subject, "notes": self.notes, "populations": populations })
    }
}

#[cfg(test)]
mod tests {
    use cpu::Cpu;
    use tensor::Shape;

    use super::*;
    use crate::bank::{Bank, bank_input};
    use crate::gabor::Gabor;
    use crate::units::first_layer;

    /// Gabor filters of 6 angles and 2 phases.
    fn gabors() -> (Array, Vec<f64>) {
        let angle = |number: usize| std::f64::consts::PI * (number / 2) as f64 / 6.0 + 0.05;
        let one = |number: usize| {
            let (even, odd) = if number.is_multiple_of(2) { (1.0, 0.0) } else { (0.0, 1.0) };
            let gabor =
                Gabor { even, odd, x: 5.0, y: 5.0, angle: angle(number), sigma: 2.0, ratio: 0.7, wavelength: 5.5 };
            gabor.picture(11, 11).into_iter().map(|x| x as f32)
        };
        let values = (0..12).flat_map(one).collect();
        (Array::of(Shape::new(&[12, 1, 11, 11]).unwrap(), values), (0..12).map(angle).collect())
    }

    #[test]
    fn pooling_keeps_the_orientation_and_widens_the_place() {
        let (filters, angles) = gabors();
        let (bank, cpu) = (Bank::new(&filters).unwrap(), Cpu::new(1).unwrap());
        let input = bank_input(&filters);
        let net = bank.net(&cpu);
        let layer = first_layer(&net, &input).unwrap();
        assert_eq!(layer, "filters/relu");
        let units = Units::new(net, &input, &layer, &WINDOWS).unwrap();
        let found = experiment("gabors", &units, filters).unwrap();
        for (cell, angle) in found.cells.iter().zip(angles) {
            let preferred = cell.tuning[0].preferred;
            let apart = (preferred - angle).to_degrees().rem_euclid(180.0);
            assert!(apart.min(180.0 - apart) < 2.0 && cell.tuning[0].osi > 0.9, "{angle} {:?}", cell.tuning[0]);
            let fitted = (cell.gabor.gabor.angle - angle).to_degrees().rem_euclid(180.0);
            assert!(cell.gabor.r2 > 0.999 && fitted.min(180.0 - fitted) < 0.5, "{:?}", cell.gabor);
            assert!(cell.drift(1) < 3.0 && cell.drift(4) < 6.0, "{} {}", cell.drift(1), cell.drift(4));
        }
        let Summary { modulation, tolerance, osi, .. } = found.summary();
        assert!(modulation.windows(2).all(|pair| pair[1] < pair[0]) && modulation[0] > 1.4, "{modulation:?}");
        assert!(tolerance.windows(2).all(|pair| pair[1] > pair[0]), "{tolerance:?}");
        assert!(tolerance[1] - tolerance[0] >= 0.9 && modulation[4] < 0.6, "{tolerance:?} {modulation:?}");
        assert!(osi.iter().all(|&osi| osi > 0.85), "{osi:?}");
    }
}
