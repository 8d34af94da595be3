//! The systems, one file each, read like the paper's table: model, recipe.

mod class_rows;
pub mod fashion;
mod folder_data;
mod hubel_wiesel;
mod idx_data;
pub mod images;
pub mod lenet;
pub mod mlp;
pub mod nets;
mod opened;
pub mod picture;
mod recipe;
mod run;
mod settings;
mod sources;
pub mod tabular;

pub use hubel_wiesel::{Asked, hubel_wiesel};
pub use opened::{Opened, open, open_model, reopen};
pub use recipe::{RECIPES, Recipe, check_manifest, find};
pub use run::Run;
pub use sources::SOURCES;
