//! A net that is asked several times about one picture: about its mirror image, and about windows of it.

use nn::{Description, Layer, Pass, Sequential};
use tensor::Tensor;

/// Asked about a picture `[N, C, H, W]` after training, the mean of the logits of what is shown of it.
pub(crate) struct Views {
    pub net: Sequential,
    /// Five squares of this side, the corners and the middle (Krizhevsky et al. 2012, section 4.1); in training it is given such a
    /// square. Without it, the whole picture.
    pub window: Option<usize>,
    /// The mirror image of each, too.
    pub mirror: bool,
}

impl Views {
    fn windows(&self, x: &Tensor) -> Vec<Tensor> {
        let Some(side) = self.window else { return vec![x.clone()] };
        let free = |axis: usize| x.dims().get(axis).map_or(0, |size| size.saturating_sub(side));
        let (down, right) = (free(2), free(3));
        // The middle first: where one pass is looked into, it is that of the first.
        let places = [[down / 2, right / 2], [0, 0], [0, right], [down, 0], [down, right]];
        places.map(|[top, left]| x.narrow(-2, top..top + side).narrow(-1, left..left + side)).into()
    }
}

impl Layer for Views {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        if pass.is_training() {
            return self.net.forward(x, pass);
        }
        let windows = self.windows(x);
        let views: Vec<Tensor> = match self.mirror {
            true => windows.into_iter().flat_map(|x| [x.clone(), x.flip(-1)]).collect(),
            false => windows,
        };
        let logits = views.iter().map(|x| self.net.forward(x, pass)).reduce(|sum, logits| sum + logits);
        match logits {
            Some(sum) if views.len() > 1 => sum * (1.0 / views.len() as f64),
            Some(logits) => logits,
            None => self.net.forward(x, pass),
        }
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
    fn seen(window: Option<usize>, mirror: bool, x: &Tensor) -> Vec<f32> {
        Views { net: Sequential::new(), window, mirror }.forward(x, &Pass::eval()).to_vec().unwrap()
    }

    #[test]
    fn a_picture_is_seen_whole_and_in_five_windows_each_with_its_mirror_image() {
        let x = Tensor::from_vec((0..9).map(|x| x as f32).collect(), [1, 1, 3, 3]);
        assert_eq!(seen(None, false, &x), x.to_vec::<f32>().unwrap());
        assert_eq!(seen(None, true, &x), [1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 7.0, 7.0, 7.0]);
        // Corners 0 1 3 4, 1 2 4 5, 3 4 6 7, 4 5 7 8; the middle 0 1 3 4.
        let five = [(false, [1.6, 2.6, 4.6, 5.6]), (true, [2.1, 2.1, 5.1, 5.1])];
        for (mirror, wanted) in five {
            let found = seen(Some(2), mirror, &x);
            assert!(found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{found:?}");
        }
    }
}
