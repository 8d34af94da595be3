//! Attribution: what of an input the score of a class hangs on, by six methods, each with its certificate.
//!
//! A method's map is no proof of anything. So each comes with what can be checked of it: that its numbers add up
//! (completeness), that it looks at the weights at all (randomisation), and that what it points at matters (deletion).

mod cam;
mod certificate;
mod gradient;
mod occlusion;
mod score;

use tensor::{Array, Shape};
use train::{Error, Input, Result};

use crate::net::{Net, floats};
use score::Frame;

pub use certificate::{Certificates, Completeness, Deletion, Randomisation, Randomised, certify};

/// How a map is made. `s` is the score of the class (its logit), `x` the input, `b` the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `ds/dx`: its length over the channels (Simonyan et al. 2013).
    Gradient,
    /// `(x - b) ds/dx`, summed over the channels.
    GradientInput,
    /// The mean of `ds/dx` over noisy copies of x: its length over the channels (Smilkov et al. 2017).
    SmoothGrad,
    /// `(x - b)` times the mean of `ds/dx` on the way from b to x: it adds up to `s(x) - s(b)` (Sundararajan et al. 2017).
    Integrated,
    /// The feature maps of a layer, weighed by the mean of their gradient, where they speak for the class (Selvaraju et al. 2017).
    GradCam,
    /// How far the score falls if a window is covered by the baseline: the mean over the windows on a place (Zeiler and Fergus 2014).
    Occlusion,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 6] = [
        Method::Gradient,
        Method::GradientInput,
        Method::SmoothGrad,
        Method::Integrated,
        Method::GradCam,
        Method::Occlusion,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Gradient => "gradient",
            Method::GradientInput => "gradient-input",
            Method::SmoothGrad => "smoothgrad",
            Method::Integrated => "integrated",
            Method::GradCam => "grad-cam",
            Method::Occlusion => "occlusion",
        }
    }

    /// What its map shows, in one line.
    pub fn about(self) -> &'static str {
        match self {
            Method::Gradient => "how fast the score follows each place",
            Method::GradientInput => "each place times how fast the score follows it",
            Method::SmoothGrad => "the gradient, averaged over noisy copies",
            Method::Integrated => "what each place adds to the baseline's score",
            Method::GradCam => "where the last feature maps speak for the class",
            Method::Occlusion => "how far the score falls if a window is covered",
        }
    }

    /// Whether its map has a sign: above 0 speaks for the class, below 0 against it.
    pub fn is_signed(self) -> bool {
        matches!(self, Method::GradientInput | Method::Integrated | Method::Occlusion)
    }
}

/// Settings of all methods and certificates.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What absence looks like, one number a channel or one for all, as the model is fed. 0 is the mean of the training
    /// pictures; [`black`] is black.
    pub baseline: Vec<f32>,
    /// Points of integrated gradients.
    pub steps: usize,
    /// Noisy copies of SmoothGrad.
    pub samples: usize,
    /// Standard deviation of SmoothGrad's noise, as a share of the range of the input.
    pub noise: f64,
    /// Side of the window of occlusion, in pixels; 0: a seventh of the picture.
    pub window: usize,
    /// The layer of Grad-CAM; without it the last feature maps of the last convolution.
    pub layer: Option<String>,
    /// Inputs evaluated at once; changes no number.
    pub batch: usize,
    /// Seed of noise, shuffled weights and random removals.
    pub seed: u64,
    /// Stages in which the weights are shuffled, from the output towards the input.
    pub stages: usize,
    /// The share of the places that the deletion test removes.
    pub removed: f64,
    /// Random removals that it is compared with.
    pub removals: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            baseline: vec![0.0],
            steps: 256,
            samples: 32,
            noise: 0.15,
            window: 0,
            layer: None,
            batch: 32,
            seed: 0,
            stages: 4,
            removed: 0.1,
            removals: 32,
        }
    }
}

/// A black picture as the model is fed it: a baseline.
pub fn black(input: &Input) -> Vec<f32> {
    input.mean.iter().zip(&input.std).map(|(mean, std)| -mean / std).collect()
}

/// What the score of a class hangs on.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// How the map was made.
    pub method: Method,
    /// The class.
    pub class: usize,
    /// Its score: the logit.
    pub score: f64,
    /// One number for each number of the input, in its shape; of Grad-CAM and occlusion one for each place.
    pub map: Array,
    /// One number for each place of the input: `[H, W]` of a picture, `[T]` of a sequence.
    pub places: Array,
    /// The layer of Grad-CAM.
    pub layer: Option<String>,
}

/// What the score of `class` hangs on in `x`: `[1, C, H, W]`, or `[1, C, T]`, or `[1, D]`, as the model is fed it.
///
/// # Errors
/// If the model does not take `x`, has no such class or layer, or gives no finite score.
pub fn attribute(net: &Net, x: &Array, class: usize, method: Method, options: &Options) -> Result<Attribution> {
    let frame = Frame::of(x)?;
    let score = score::one(net, x, class)?;
    let mut layer = None;
    let map = match method {
        Method::Gradient => gradient::plain(net, x, class)?,
        Method::GradientInput => gradient::times_input(net, x, class, options)?,
        Method::SmoothGrad => gradient::smooth(net, x, class, options)?,
        Method::Integrated => gradient::integrated(net, x, class, options)?,
        Method::GradCam => {
            let (map, path) = cam::grad_cam(net, x, class, options)?;
            layer = Some(path);
            map
        }
        Method::Occlusion => occlusion::occlusion(net, x, class, score, options)?,
    };
    let places = places(&map, &frame, method)?;
    Ok(Attribution { method, class, score, map, places, layer })
}

/// One number a place: the sum over the channels, or their length where a map has no sign.
fn places(map: &Array, frame: &Frame, method: Method) -> Result<Array> {
    let values = floats(map);
    let channels = values.len() / frame.places().max(1);
    let at = |place: usize| {
        let each = (0..channels).map(|c| f64::from(values[c * frame.places() + place]));
        match method {
            Method::Gradient | Method::SmoothGrad => each.map(|x| x * x).sum::<f64>().sqrt(),
            _ => each.sum(),
        }
    };
    let values = (0..frame.places()).map(|place| at(place) as f32).collect();
    crate::pca::array(&frame.spatial, values)
}

impl Attribution {
    /// The numbers of the places.
    pub fn values(&self) -> &[f32] {
        floats(&self.places)
    }
}

/// An f32 array in a shape that is known to fit.
fn like(shape: &Shape, values: Vec<f64>) -> Array {
    Array::of(*shape, values.into_iter().map(|x| x as f32).collect())
}

/// Most inputs that one map is made of: they lie in memory together.
const MOST: usize = 1 << 14;

/// A setting, or what is wrong with it.
fn counted(name: &str, value: usize) -> Result<usize> {
    match value {
        1..=MOST => Ok(value),
        value => Err(Error::usage(format!("{name} cannot be {value}"), format!("give {name} from 1 to {MOST}"))),
    }
}
