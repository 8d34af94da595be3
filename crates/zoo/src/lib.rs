//! The systems, one file each, read like the paper's table: model, recipe.

pub mod char_rnn;
pub mod cifar;
mod class_rows;
pub mod dense;
pub mod fashion;
mod folder_data;
pub mod gpt;
mod hubel_wiesel;
mod idx_data;
pub mod images;
pub mod lenet;
pub mod lenet_1998;
pub mod lstm_text;
pub mod mlp;
pub mod nets;
mod opened;
pub mod picture;
pub mod practice;
mod recipe;
pub mod rows;
mod run;
mod settings;
mod sources;
mod sweep;
pub mod tabular;
mod text_data;
mod transfer;
mod views;
mod writer;

pub use hubel_wiesel::{Asked, hubel_wiesel};
pub use opened::{Opened, open, open_model, reopen};
pub use recipe::{RECIPES, Recipe, check_manifest, find, names};
pub use run::Run;
pub use sources::SOURCES;
pub use sweep::{Assignment, Sweep, Told, Trial, Tried, Values, trials};
pub use writer::{Sampling, Writer, symbols};
