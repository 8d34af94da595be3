//! The sources of the systems, to be shown beside the graphs that they make.

/// Name, as the compiler gives it, and text of each file.
pub const SOURCES: [(&str, &str); 23] = [
    ("crates/zoo/src/adding.rs", include_str!("adding.rs")),
    ("crates/zoo/src/cifar.rs", include_str!("cifar.rs")),
    ("crates/zoo/src/char_rnn.rs", include_str!("char_rnn.rs")),
    ("crates/zoo/src/dense.rs", include_str!("dense.rs")),
    ("crates/zoo/src/fashion.rs", include_str!("fashion.rs")),
    ("crates/zoo/src/gpt.rs", include_str!("gpt.rs")),
    ("crates/zoo/src/images.rs", include_str!("images.rs")),
    ("crates/zoo/src/lenet.rs", include_str!("lenet.rs")),
    ("crates/zoo/src/lenet_1998/mod.rs", include_str!("lenet_1998/mod.rs")),
    ("crates/zoo/src/lstm_text.rs", include_str!("lstm_text.rs")),
    ("crates/zoo/src/mlp.rs", include_str!("mlp.rs")),
    ("crates/zoo/src/nets/alexnet.rs", include_str!("nets/alexnet.rs")),
    ("crates/zoo/src/nets/densenet.rs", include_str!("nets/densenet.rs")),
    ("crates/zoo/src/nets/googlenet.rs", include_str!("nets/googlenet.rs")),
    ("crates/zoo/src/nets/mobilenet.rs", include_str!("nets/mobilenet.rs")),
    ("crates/zoo/src/nets/mod.rs", include_str!("nets/mod.rs")),
    ("crates/zoo/src/nets/resnet.rs", include_str!("nets/resnet.rs")),
    ("crates/zoo/src/nets/vgg.rs", include_str!("nets/vgg.rs")),
    ("crates/zoo/src/nets/xception.rs", include_str!("nets/xception.rs")),
    ("crates/zoo/src/recipe.rs", include_str!("recipe.rs")),
    ("crates/zoo/src/rows.rs", include_str!("rows.rs")),
    ("crates/zoo/src/table.rs", include_str!("table.rs")),
    ("crates/zoo/src/text.rs", include_str!("text.rs")),
];
