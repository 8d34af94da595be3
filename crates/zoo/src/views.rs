//! A net that is asked several times about one picture: about its mirror image, and about windows of it.

use nn::{Description, Layer, Pass, Sequential};
use tensor::Tensor;

/// What is shown of a picture `[N, C, H, W]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Windows {
    /// All of it.
    Whole,
    /// All of it, and half as much weight for two copies moved along the diagonal by so many pixels, the border mirrored (Jordan 2024).
    Moved(usize),
    /// Squares of this side: the four corners and the middle (Krizhevsky et al. 2012, section 4.1). In training it is given such a
    /// square.
    Five(usize),
}

/// After training, the mean of the logits of each window, and with `mirror` of its mirror image.
pub(crate) struct Views {
    pub net: Sequential,
    pub windows: Windows,
    pub mirror: bool,
}

impl Windows {
    /// Each window and its weight.
    fn of(self, x: &Tensor) -> Vec<(Tensor, f64)> {
        let [height, width] = [2, 3].map(|axis| x.dims().get(axis).copied().unwrap_or(0));
        let cut = |x: &Tensor, [top, left]: [usize; 2], [height, width]: [usize; 2]| {
            x.narrow(-2, top..top + height).narrow(-1, left..left + width)
        };
        match self {
            Windows::Whole => vec![(x.clone(), 1.0)],
            Windows::Moved(by) => {
                let wide = x.pad_reflect(-2, by, by).pad_reflect(-1, by, by);
                let moved = |at: usize| (cut(&wide, [at; 2], [height, width]), 0.25);
                vec![(x.clone(), 0.5), moved(0), moved(2 * by)]
            }
            Windows::Five(side) => {
                let (down, right) = (height.saturating_sub(side), width.saturating_sub(side));
                let places = [[0, 0], [0, right], [down, 0], [down, right], [down / 2, right / 2]];
                places.map(|at| (cut(x, at, [side; 2]), 0.2)).into()
            }
        }
    }
}

impl Layer for Views {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        if pass.is_training() || (self.windows == Windows::Whole && !self.mirror) {
            return self.net.forward(x, pass);
        }
        let ask = |(x, weight): (Tensor, f64)| {
            let logits = self.net.forward(&x, pass);
            if self.mirror { (logits + self.net.forward(&x.flip(-1), pass)) * (0.5 * weight) } else { logits * weight }
        };
        let logits = self.windows.of(x).into_iter().map(ask).reduce(|sum, logits| sum + logits);
        logits.unwrap_or_else(|| self.net.forward(x, pass))
    }

    fn describe(&self) -> Description {
        self.net.describe()
    }
}

#[cfg(test)]
mod tests {
    use cpu::Run;

    use super::*;

    /// A net that gives back what it sees.
    fn seen(windows: Windows, mirror: bool, x: &Tensor) -> Vec<f32> {
        Views { net: Sequential::new(), windows, mirror }.forward(x, &Pass::eval()).to_vec().unwrap()
    }

    #[test]
    fn a_picture_is_seen_whole_moved_and_in_five_windows_each_with_its_mirror_image() {
        let x = Tensor::from_vec((0..9).map(|x| x as f32).collect(), [1, 1, 3, 3]);
        assert_eq!(seen(Windows::Whole, false, &x), x.to_vec::<f32>().unwrap());
        assert_eq!(seen(Windows::Whole, true, &x), [1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 7.0, 7.0, 7.0]);
        // From the top left 4 3 4, 1 0 1, 4 3 4; from the bottom right 4 5 4, 7 8 7, 4 5 4.
        assert_eq!(seen(Windows::Moved(1), false, &x), [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]);
        // Corners 0 1 3 4, 1 2 4 5, 3 4 6 7, 4 5 7 8; the middle 0 1 3 4.
        let five = seen(Windows::Five(2), false, &x);
        let wanted = [1.6, 2.6, 4.6, 5.6];
        assert!(five.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{five:?}");
    }
}
