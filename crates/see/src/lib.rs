//! Opening a network: what its layers make of an input, what an answer hangs on, what a unit responds to, as numbers and as
//! pictures.
//!
//! Everything is asked of a [`Net`]: a model whose variables hold the weights of some step of a run, of a file, or of no
//! training at all. All of it goes through the ordinary graph, so a value seen here is the one that the model computes.
//!
//! ```
//! # use glassbox_see as see;
//! use cpu::Cpu;
//! use nn::{Flatten, Relu, Scope, Sequential, conv2d, linear};
//! use see::{Method, Net, Options, attribute, certify};
//! use tensor::{Array, Shape};
//!
//! let at = Scope::root(0);
//! let model = Sequential::new()
//!     .then(conv2d(&at / "conv1", 1, 4, 3)).then(Relu)
//!     .then(Flatten).then(linear(&at / "fc", 4 * 6 * 6, 3));
//! let cpu = Cpu::new(1)?;
//! let net = Net { cpu: &cpu, model: &model, scope: &at };
//!
//! let x = Array::of(Shape::new(&[1, 1, 8, 8]).unwrap(), (0..64).map(|i| (i % 7) as f32 / 7.0).collect());
//! let map = attribute(&net, &x, 2, Method::Integrated, &Options::default())?; // what class 2 hangs on
//! let checks = certify(&net, &x, &map, &Options::default())?;
//! assert!(checks.completeness.unwrap().residual < 0.01);
//! let maps = net.activations(&x)?; // conv1, conv1/relu, ...
//! assert_eq!(maps[1].value.shape().to_vec(), [1, 4, 6, 6]);
//! # Ok::<(), train::Error>(())
//! ```

mod attention;
mod attribute;
mod bank;
mod compare;
mod eigen;
mod experiment;
mod explain;
mod filters;
mod gabor;
mod net;
mod patches;
mod pca;
pub mod picture;
mod stimulus;
mod text;
mod tuning;
mod units;

pub use attention::{AttentionMap, attention_maps};
pub use attribute::{
    Attribution, Certificates, Completeness, Deletion, Method, Options, Randomisation, Randomised, attribute, black,
    certify,
};
pub use bank::{Bank, bank_input, of_state};
pub use compare::{rank_correlation, similarity};
pub use eigen::{Eigen, symmetric_eigen};
pub use experiment::{Cell, HubelWiesel, Population, Summary, WINDOWS, experiment};
pub use explain::explain;
pub use filters::{Filters, filters, luminance};
pub use gabor::{Gabor, GaborFit, fit_gabor};
pub use net::{LayerInfo, Net, Value};
pub use patches::{Learnt, PatchOptions, learn_filters};
pub use pca::{Pca, embed};
pub use stimulus::{Bars, Gratings};
pub use text::{TEXT_METHODS, TextExplanation, explain_text, explain_tokens, tokens_read};
pub use tuning::{Respond, Tuning, direction_selectivity, tolerance, tune};
pub use units::{Units, first_layer};
