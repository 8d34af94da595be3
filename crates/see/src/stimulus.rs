//! What is shown to units: gratings and bars, grey, with mean 0, in the units of the model (1 is the spread of its training
//! pictures, 0 their mean).
//!
//! Angles are those of the direction across the stripes, or across the bar, from the columns' axis (to the right) towards the
//! rows' (down): the stripes themselves stand at a right angle to it.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

use tensor::math::f64::{cos, sin};

/// Sinusoidal gratings `contrast cos(2 pi f (x cos t + y sin t) + phase)`, x and y from the middle of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Gratings {
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Angles over half a turn, equally far apart; an even number.
    pub orientations: usize,
    /// Cycles a pixel; above a quarter they begin to alias.
    pub frequencies: Vec<f64>,
    /// Phases over a whole cycle, equally far apart: the moments of a grating that drifts.
    pub phases: usize,
    /// The height of the waves.
    pub contrast: f64,
}

impl Gratings {
    /// 36 orientations, 5 frequencies from 1/16 to 1/4 cycles a pixel in steps of half an octave, 16 phases.
    pub fn standard(height: usize, width: usize) -> Gratings {
        let frequencies = vec![0.0625, 0.125 * FRAC_1_SQRT_2, 0.125, 0.25 * FRAC_1_SQRT_2, 0.25];
        Gratings { height, width, orientations: 36, frequencies, phases: 16, contrast: 1.0 }
    }

    /// The angle of orientation `number`, in radians.
    pub fn angle(&self, number: usize) -> f64 {
        PI * number as f64 / self.orientations as f64
    }

    /// One grating, `[height, width]`.
    pub fn picture(&self, angle: f64, frequency: f64, phase: f64) -> Vec<f32> {
        let (c, s) = (cos(angle), sin(angle));
        each_pixel(self.height, self.width, |x, y| self.contrast * cos(TAU * frequency * (x * c + y * s) + phase))
    }

    /// All phases of one orientation and frequency: `[phases, height, width]`.
    pub fn drifting(&self, orientation: usize, frequency: usize) -> Vec<f32> {
        let phase = |number: usize| TAU * number as f64 / self.phases as f64;
        let one = |number| self.picture(self.angle(orientation), self.frequencies[frequency], phase(number));
        (0..self.phases).flat_map(one).collect()
    }
}

/// Long bars that move across the picture, lighter or darker than its grey.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
    /// Angles over half a turn, equally far apart.
    pub orientations: usize,
    /// Distances of the bar from the middle, in pixels, along its angle.
    pub shifts: Vec<f64>,
    /// How wide a bar is.
    pub thickness: f64,
    /// How much lighter it is than the grey; below 0 it is darker.
    pub contrast: f64,
}

impl Bars {
    /// 36 orientations, shifts of up to `reach` pixels either way in steps of half a pixel, 2 pixels wide, as much lighter
    /// than the grey as twice the spread of the training pictures.
    pub fn standard(height: usize, width: usize, reach: usize) -> Bars {
        let shifts = (0..=4 * reach).map(|number| number as f64 / 2.0 - reach as f64).collect();
        Bars { height, width, orientations: 36, shifts, thickness: 2.0, contrast: 2.0 }
    }

    /// The angle of orientation `number`, in radians.
    pub fn angle(&self, number: usize) -> f64 {
        PI * number as f64 / self.orientations as f64
    }

    /// One bar, `[height, width]`, with soft edges: a pixel is as light as the share of it that is covered.
    pub fn picture(&self, angle: f64, shift: f64) -> Vec<f32> {
        let (c, s) = (cos(angle), sin(angle));
        each_pixel(self.height, self.width, |x, y| {
            let from_edge = 0.5 * self.thickness - (x * c + y * s - shift).abs();
            self.contrast * (from_edge + 0.5).clamp(0.0, 1.0)
        })
    }

    /// The bar at each shift: `[shifts, height, width]`.
    pub fn moving(&self, orientation: usize) -> Vec<f32> {
        self.shifts.iter().flat_map(|&shift| self.picture(self.angle(orientation), shift)).collect()
    }
}

/// `f(x, y)` at each pixel, x and y from the middle of the picture.
fn each_pixel(height: usize, width: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f32> {
    let (middle_x, middle_y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let at = |at: usize| f((at % width) as f64 - middle_x, (at / width) as f64 - middle_y) as f32;
    (0..height * width).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gratings_have_no_mean_and_as_many_stripes_as_asked() {
        let gratings = Gratings::standard(32, 32);
        for frequency in [0, 2, 4] {
            let all = gratings.drifting(9, frequency);
            assert_eq!(all.len(), 16 * 32 * 32);
            assert!((all.iter().sum::<f32>() / all.len() as f32).abs() < 1e-6);
        }
        // Orientation 0: stripes stand upright, 8 of them at a quarter of a cycle a pixel.
        let upright = gratings.picture(0.0, 0.25, 0.0);
        assert!((0..32).all(|x| (upright[x] - upright[31 * 32 + x]).abs() < 1e-6));
        let rises = (1..32).filter(|&x| upright[x - 1] < 0.0 && upright[x] >= 0.0).count();
        assert!((7..=8).contains(&rises), "{rises}");
    }

    #[test]
    fn a_bar_lies_where_it_is_put() {
        let bars = Bars::standard(33, 33, 8);
        // Across the columns: upright, 3 pixels right of the middle.
        let bar = bars.picture(0.0, 3.0);
        let row = &bar[16 * 33..17 * 33];
        assert_eq!((row[16 + 3], row[16], row[16 + 6]), (2.0, 0.0, 0.0));
        assert!((row.iter().sum::<f32>() - 4.0).abs() < 1e-5);
        assert_eq!((bars.shifts[0], bars.shifts.len()), (-8.0, 33));
    }
}
