//! Gabor functions, and the one nearest to a filter.
//!
//! `g = exp(-(u^2 + ratio^2 v^2) / (2 sigma^2)) (a cos(2 pi u / wavelength) + b sin(2 pi u / wavelength))` with
//! `u = (x - x0) cos t + (y - y0) sin t` across the stripes and `v = -(x - x0) sin t + (y - y0) cos t` along them; x counts
//! columns, y rows. Amplitude and phase of the usual form are those of (a, -b).

use std::f64::consts::{PI, TAU};

use nn::solve::levenberg_marquardt;
use tensor::math::f64::{cos, exp, log, sin};

/// A Gabor function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gabor {
    /// The weight of the cosine.
    pub even: f64,
    /// The weight of the sine.
    pub odd: f64,
    /// Its centre: column.
    pub x: f64,
    /// Its centre: row.
    pub y: f64,
    /// The direction across its stripes, from the columns' axis towards the rows', in 0..pi.
    pub angle: f64,
    /// Width of the bell across the stripes.
    pub sigma: f64,
    /// How much narrower it is along them.
    pub ratio: f64,
    /// Pixels from stripe to stripe.
    pub wavelength: f64,
}

/// The Gabor function nearest to a filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaborFit {
    /// The function.
    pub gabor: Gabor,
    /// The share of the filter's variance that it explains: 1 is all.
    pub r2: f64,
}

/// Starts that are followed to their end.
const STARTS: usize = 3;
/// Directions and wavelengths that are tried for a start.
const ANGLES: usize = 12;
const WAVELENGTHS: usize = 5;
/// The shortest wavelength: the finest stripes that pixels can hold are 2 apart.
const LEAST_WAVELENGTH: f64 = 2.2;
/// Bounds of the ratio of the bell's widths.
const RATIO: (f64, f64) = (0.25, 4.0);

impl Gabor {
    /// Its value at a pixel.
    pub fn at(&self, x: f64, y: f64) -> f64 {
        let (c, s) = (cos(self.angle), sin(self.angle));
        let (u, v) = ((x - self.x) * c + (y - self.y) * s, -(x - self.x) * s + (y - self.y) * c);
        let bell = exp(-(u * u + self.ratio * self.ratio * v * v) / (2.0 * self.sigma * self.sigma));
        let phase = TAU * u / self.wavelength;
        bell * (self.even * cos(phase) + self.odd * sin(phase))
    }

    /// Its values on `[height, width]` pixels.
    pub fn picture(&self, height: usize, width: usize) -> Vec<f64> {
        (0..height * width).map(|at| self.at((at % width) as f64, (at / width) as f64)).collect()
    }

    /// As the parameters of a fit.
    fn parameters(&self) -> [f64; 8] {
        let Gabor { even, odd, x, y, angle, sigma, ratio, wavelength } = *self;
        [even, odd, x, y, angle, log(sigma), log(ratio), log(wavelength)]
    }

    fn of_parameters(p: &[f64]) -> Gabor {
        Gabor {
            even: p[0],
            odd: p[1],
            x: p[2],
            y: p[3],
            angle: p[4],
            sigma: exp(p[5]),
            ratio: exp(p[6]),
            wavelength: exp(p[7]),
        }
    }

    /// The same function with its direction in 0..pi.
    fn turned(mut self) -> Gabor {
        let turns = (self.angle / PI).floor();
        self.angle -= turns * PI;
        if turns.rem_euclid(2.0) == 1.0 {
            self.odd = -self.odd;
        }
        self
    }
}

/// The Gabor function nearest to `filter [height, width]`, by least squares from several starts. Of numbers that are no
/// such filter it explains nothing.
pub fn fit_gabor(filter: &[f64], height: usize, width: usize) -> GaborFit {
    let count = (height * width).max(1) as f64;
    let mean = filter.iter().sum::<f64>() / count;
    let variance: f64 = filter.iter().map(|x| (x - mean) * (x - mean)).sum();
    let mut starts = if filter.len() == height * width { starts(filter, height, width) } else { Vec::new() };
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let side = height.max(width) as f64;
    let bounds = [
        (f64::NEG_INFINITY, f64::INFINITY),
        (f64::NEG_INFINITY, f64::INFINITY),
        (-0.5, width as f64 - 0.5),
        (-0.5, height as f64 - 0.5),
        (f64::NEG_INFINITY, f64::INFINITY),
        (log(0.5), log(side)),
        (log(RATIO.0), log(RATIO.1)),
        (log(LEAST_WAVELENGTH), log(4.0 * side)),
    ];
    let residuals = |p: &[f64], r: &mut [f64], jacobian: Option<&mut [f64]>| residuals(filter, width, p, r, jacobian);
    let fits = starts.iter().take(STARTS).map(|(_, start)| {
        let fit = levenberg_marquardt(&start.parameters(), &bounds, filter.len(), &residuals);
        (fit.cost, Gabor::of_parameters(&fit.parameters).turned())
    });
    let best = fits.min_by(|a, b| a.0.total_cmp(&b.0));
    let flat =
        Gabor { even: 0.0, odd: 0.0, x: 0.0, y: 0.0, angle: 0.0, sigma: 1.0, ratio: 1.0, wavelength: side.max(3.0) };
    let (cost, gabor) = best.unwrap_or((variance, flat));
    GaborFit { gabor, r2: if variance > 0.0 { 1.0 - cost / variance } else { 0.0 } }
}

/// Model minus filter, and its derivatives.
fn residuals(filter: &[f64], width: usize, p: &[f64], r: &mut [f64], mut jacobian: Option<&mut [f64]>) {
    let Gabor { even, odd, x: x0, y: y0, angle, sigma, ratio, wavelength } = Gabor::of_parameters(p);
    let (c, s) = (cos(angle), sin(angle));
    let (narrow, flat, wave) = (1.0 / (sigma * sigma), ratio * ratio, TAU / wavelength);
    for (at, (&target, r)) in filter.iter().zip(r).enumerate() {
        let (x, y) = ((at % width) as f64 - x0, (at / width) as f64 - y0);
        let (u, v) = (x * c + y * s, -x * s + y * c);
        let bell = exp(-0.5 * narrow * (u * u + flat * v * v));
        let (cosine, sine) = (cos(wave * u), sin(wave * u));
        let stripes = even * cosine + odd * sine;
        *r = bell * stripes - target;
        let Some(jacobian) = jacobian.as_deref_mut() else { continue };
        let turned = odd * cosine - even * sine;
        let du = bell * (wave * turned - narrow * u * stripes);
        let dv = -bell * stripes * narrow * flat * v;
        jacobian[8 * at..][..8].copy_from_slice(&[
            bell * cosine,
            bell * sine,
            -c * du + s * dv,
            -s * du - c * dv,
            v * du - u * dv,
            bell * stripes * narrow * (u * u + flat * v * v),
            -bell * stripes * narrow * flat * v * v,
            -bell * turned * wave * u,
        ]);
    }
}

/// Functions to start from and how much of the filter each leaves unexplained: around the middle of its energy, and around its
/// largest number, in all directions, with the weights of sine and cosine that fit best.
fn starts(filter: &[f64], height: usize, width: usize) -> Vec<(f64, Gabor)> {
    let energy: f64 = filter.iter().map(|x| x * x).sum();
    if energy <= 0.0 {
        return Vec::new();
    }
    let middle = |of: &dyn Fn(usize) -> usize| -> f64 {
        filter.iter().enumerate().map(|(at, x)| x * x * of(at) as f64).sum::<f64>() / energy
    };
    let (x, y) = (middle(&|at| at % width), middle(&|at| at / width));
    let largest = (0..filter.len()).max_by(|&a, &b| filter[a].abs().total_cmp(&filter[b].abs())).unwrap_or(0);
    let centres = [(x, y), ((largest % width) as f64, (largest / width) as f64)];
    let side = height.max(width) as f64;
    let mut all = Vec::new();
    for (x, y) in centres {
        for angle in 0..ANGLES {
            for number in 0..WAVELENGTHS {
                // From 3 pixels to 1.5 times the filter, in equal ratios.
                let share = number as f64 / (WAVELENGTHS - 1) as f64;
                let wavelength = 3.0 * exp(share * log(0.5 * side));
                let sigma = (0.4 * wavelength).min(0.5 * side);
                let angle = PI * angle as f64 / ANGLES as f64;
                let start = Gabor { even: 0.0, odd: 0.0, x, y, angle, sigma, ratio: 0.8, wavelength };
                all.push(weighed(filter, width, start));
            }
        }
    }
    all
}

/// With the weights of cosine and sine that fit best, and what they leave.
fn weighed(filter: &[f64], width: usize, start: Gabor) -> (f64, Gabor) {
    let [mut ee, mut eo, mut oo, mut ef, mut of, mut ff] = [0.0; 6];
    let (even, odd) = (Gabor { even: 1.0, ..start }, Gabor { odd: 1.0, ..start });
    for (at, &f) in filter.iter().enumerate() {
        let (x, y) = ((at % width) as f64, (at / width) as f64);
        let (e, o) = (even.at(x, y), odd.at(x, y));
        (ee, eo, oo, ef, of, ff) = (ee + e * e, eo + e * o, oo + o * o, ef + e * f, of + o * f, ff + f * f);
    }
    let determinant = (ee * oo - eo * eo).max(1e-12);
    let (even, odd) = ((ef * oo - of * eo) / determinant, (of * ee - ef * eo) / determinant);
    let rest = ff - 2.0 * (even * ef + odd * of) + even * even * ee + 2.0 * even * odd * eo + odd * odd * oo;
    (rest, Gabor { even, odd, ..start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::RandomKey;
    use tensor::op::Distribution;
    use tensor::ops::source::random_f64;

    fn example(angle: f64) -> Gabor {
        Gabor { even: 0.7, odd: -0.4, x: 5.3, y: 6.1, angle, sigma: 2.1, ratio: 0.7, wavelength: 5.0 }
    }

    fn apart(a: f64, b: f64) -> f64 {
        let apart = (a - b).rem_euclid(PI);
        apart.min(PI - apart).to_degrees()
    }

    #[test]
    fn a_gabor_of_any_angle_comes_back_whole() {
        for number in 0..12 {
            let truth = example(PI * number as f64 / 12.0 + 0.03);
            let fit = fit_gabor(&truth.picture(12, 12), 12, 12);
            assert!(fit.r2 > 0.999_999, "{truth:?} {fit:?}");
            assert!(apart(fit.gabor.angle, truth.angle) < 0.01, "{truth:?} {fit:?}");
            assert!((fit.gabor.wavelength - 5.0).abs() < 1e-3 && (fit.gabor.sigma - 2.1).abs() < 1e-3, "{fit:?}");
            assert!((fit.gabor.x - 5.3).abs() < 1e-3 && (fit.gabor.ratio - 0.7).abs() < 1e-3, "{fit:?}");
        }
    }

    #[test]
    fn noise_is_no_gabor_and_leaves_one_recognisable() {
        let noise = |seed: u64| {
            let key = RandomKey::new(seed);
            (0..144).map(|at| random_f64(Distribution::Normal, key, at)).collect::<Vec<f64>>()
        };
        for seed in 0..5 {
            assert!(fit_gabor(&noise(seed), 12, 12).r2 < 0.5);
            let truth = example(0.9);
            let noisy: Vec<f64> = truth.picture(12, 12).iter().zip(noise(seed)).map(|(x, n)| x + 0.05 * n).collect();
            let fit = fit_gabor(&noisy, 12, 12);
            assert!(fit.r2 > 0.85 && apart(fit.gabor.angle, 0.9) < 3.0, "{fit:?}");
        }
        assert_eq!(fit_gabor(&[0.0; 49], 7, 7).r2, 0.0);
    }

    #[test]
    fn derivatives_are_those_of_the_model() {
        let p = example(0.6).parameters();
        let (mut r, mut jacobian) = (vec![0.0; 36], vec![0.0; 36 * 8]);
        residuals(&[0.1; 36], 6, &p, &mut r, Some(&mut jacobian));
        for at in 0..8 {
            let moved = |by: f64| {
                let mut q = p;
                q[at] += by;
                let mut r = vec![0.0; 36];
                residuals(&[0.1; 36], 6, &q, &mut r, None);
                r
            };
            let (high, low) = (moved(1e-5), moved(-1e-5));
            for pixel in 0..36 {
                let slope = (high[pixel] - low[pixel]) / 2e-5;
                assert!((slope - jacobian[8 * pixel + at]).abs() < 1e-7, "{at} {pixel}: {slope}");
            }
        }
    }
}
