//! AlexNet (Krizhevsky, Sutskever, Hinton 2012), in two groups as published, and in one tower (Krizhevsky 2014).

use nn::{
    Flatten, Init, Relu, Scope, Sequential, adaptive_avg_pool2d, conv2d, dropout, linear, local_response_norm,
    max_pool2d,
};

/// For pictures of 227 x 227; 60,965,224 parameters with 1000 classes. Weights begin in N(0, 0.01), biases at 1 in conv2, 4, 5 and
/// the hidden dense layers, else at 0 (section 5).
#[rustfmt::skip]
pub fn alexnet(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let weight = Init::Normal { mean: 0.0, std: 0.01 };
    let conv = |name: &str, inputs, outputs, kernel, bias| {
        conv2d(at / name, inputs, outputs, kernel).init(weight).bias_init(Init::Constant(bias))
    };
    let dense = |name: &str, inputs, outputs, bias| {
        linear(at / name, inputs, outputs).init(weight).bias_init(Init::Constant(bias))
    };
    let pool = || max_pool2d(3).stride(2);
    Sequential::new()
        .then(conv("conv1", channels, 96, 11, 0.0).stride(4)).then(Relu)                // [N, 96, 55, 55]
        .then(local_response_norm(5)).then(pool())                                      // [N, 96, 27, 27]
        .then(conv("conv2", 96, 256, 5, 1.0).padding(2).groups(2)).then(Relu)
        .then(local_response_norm(5)).then(pool())                                      // [N, 256, 13, 13]
        .then(conv("conv3", 256, 384, 3, 0.0).padding(1)).then(Relu)
        .then(conv("conv4", 384, 384, 3, 1.0).padding(1).groups(2)).then(Relu)
        .then(conv("conv5", 384, 256, 3, 1.0).padding(1).groups(2)).then(Relu).then(pool()) // [N, 256, 6, 6]
        .then(Flatten)                                                                  // [N, 9216]
        .then(dense("fc6", 9216, 4096, 1.0)).then(Relu).then(dropout(at / "dropout6", 0.5))
        .then(dense("fc7", 4096, 4096, 1.0)).then(Relu).then(dropout(at / "dropout7", 0.5))
        .then(dense("fc8", 4096, classes, 0.0))                                         // logits
}

/// The same in one tower, narrower and without response normalisation, for pictures from 63 x 63 on; 61,100,840 parameters with
/// 1000 classes, torchvision's names.
#[rustfmt::skip]
pub fn alexnet_one_tower(at: &Scope, channels: usize, classes: usize) -> Sequential {
    let (features, classifier) = (at / "features", at / "classifier");
    let pool = || max_pool2d(3).stride(2);
    Sequential::new()
        .then(conv2d(&features / "0", channels, 64, 11).stride(4).padding(2)).then(Relu).then(pool()) // [N, 64, 27, 27]
        .then(conv2d(&features / "3", 64, 192, 5).padding(2)).then(Relu).then(pool())                 // [N, 192, 13, 13]
        .then(conv2d(&features / "6", 192, 384, 3).padding(1)).then(Relu)
        .then(conv2d(&features / "8", 384, 256, 3).padding(1)).then(Relu)
        .then(conv2d(&features / "10", 256, 256, 3).padding(1)).then(Relu).then(pool())               // [N, 256, 6, 6]
        .then(adaptive_avg_pool2d(6)).then(Flatten)                                                   // [N, 9216]
        .then(dropout(&classifier / "0", 0.5)).then(linear(&classifier / "1", 9216, 4096)).then(Relu)
        .then(dropout(&classifier / "3", 0.5)).then(linear(&classifier / "4", 4096, 4096)).then(Relu)
        .then(linear(&classifier / "6", 4096, classes))                                               // logits
}
