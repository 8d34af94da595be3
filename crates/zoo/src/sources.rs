//! The sources of the systems, to be shown beside the graphs that they make.

/// Name, as the compiler gives it, and text of each file.
pub const SOURCES: [(&str, &str); 12] = [
    ("crates/zoo/src/cifar.rs", include_str!("cifar.rs")),
    ("crates/zoo/src/char_rnn.rs", include_str!("char_rnn.rs")),
    ("crates/zoo/src/fashion.rs", include_str!("fashion.rs")),
    ("crates/zoo/src/gpt.rs", include_str!("gpt.rs")),
    ("crates/zoo/src/images.rs", include_str!("images.rs")),
    ("crates/zoo/src/lenet.rs", include_str!("lenet.rs")),
    ("crates/zoo/src/lenet_1998/mod.rs", include_str!("lenet_1998/mod.rs")),
    ("crates/zoo/src/lstm_text.rs", include_str!("lstm_text.rs")),
    ("crates/zoo/src/mlp.rs", include_str!("mlp.rs")),
    ("crates/zoo/src/recipe.rs", include_str!("recipe.rs")),
    ("crates/zoo/src/rows.rs", include_str!("rows.rs")),
    ("crates/zoo/src/text.rs", include_str!("text.rs")),
];
