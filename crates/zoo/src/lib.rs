//! The systems, one file each, read like the paper's table: model, recipe.

pub mod char_rnn;
mod class_rows;
pub mod fashion;
mod folder_data;
pub mod gpt;
mod hubel_wiesel;
mod idx_data;
pub mod images;
pub mod lenet;
pub mod lstm_text;
pub mod mlp;
pub mod nets;
mod opened;
pub mod picture;
mod recipe;
pub mod rows;
mod run;
mod settings;
mod sources;
pub mod tabular;
mod text_data;
mod writer;

pub use hubel_wiesel::{Asked, hubel_wiesel};
pub use opened::{Opened, open, reopen};
pub use recipe::{RECIPES, Recipe, check_manifest, find};
pub use run::Run;
pub use sources::SOURCES;
pub use writer::{Sampling, Writer};
