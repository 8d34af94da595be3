//! The published nets by name.

use nn::{Scope, Sequential};
use train::{Error, Result};

use super::{
    Inception, alexnet, alexnet_one_tower, densenet121, efficientnet_lite0, googlenet, mobilenet_v2, plain_cifar,
    resnet_cifar, resnet18, resnet18_small, resnet34, resnet50, vgg16, vgg16_bn, xception,
};

/// A net that can be asked for by name.
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// The least height and width of a picture; of the published AlexNet, the only one.
    pub size: usize,
    /// The net at a scope for so many channels and classes.
    pub make: fn(&Scope, usize, usize) -> Sequential,
}

/// All of them.
#[rustfmt::skip]
pub const PUBLISHED: [Published; 17] = [
    Published { name: "alexnet", size: 227, make: alexnet },
    Published { name: "alexnet_one_tower", size: 63, make: alexnet_one_tower },
    Published { name: "vgg16", size: 32, make: vgg16 },
    Published { name: "vgg16_bn", size: 32, make: vgg16_bn },
    Published { name: "googlenet", size: 32, make: |at, channels, classes| googlenet(at, channels, classes, Inception::Published) },
    Published { name: "googlenet_bn", size: 32, make: |at, channels, classes| googlenet(at, channels, classes, Inception::BatchNorm) },
    Published { name: "resnet18", size: 32, make: resnet18 },
    Published { name: "resnet34", size: 32, make: resnet34 },
    Published { name: "resnet50", size: 32, make: resnet50 },
    Published { name: "resnet18_small", size: 8, make: resnet18_small },
    Published { name: "resnet20", size: 8, make: |at, channels, classes| resnet_cifar(at, channels, 16, 3, classes) },
    Published { name: "resnet56", size: 8, make: |at, channels, classes| resnet_cifar(at, channels, 16, 9, classes) },
    Published { name: "plain20", size: 8, make: |at, channels, classes| plain_cifar(at, channels, 16, 3, classes) },
    Published { name: "mobilenet_v2", size: 32, make: mobilenet_v2 },
    Published { name: "xception", size: 71, make: xception },
    Published { name: "densenet121", size: 32, make: densenet121 },
    Published { name: "efficientnet_lite0", size: 32, make: efficientnet_lite0 },
];

/// The recipe's own nets, and the names of the published ones.
pub(crate) const NAMES: [&str; PUBLISHED.len() + 4] = {
    let mut names = ["small"; PUBLISHED.len() + 4];
    (names[1], names[2], names[3]) = ("mlp", "plain", "residual");
    let mut number = 0;
    while number < PUBLISHED.len() {
        names[number + 4] = PUBLISHED[number].name;
        number += 1;
    }
    names
};

/// Mean and standard deviation of red, green and blue that the published weights of a net were trained with: of ImageNet, but for the
/// net that comes from TensorFlow, whose pictures are of about -1 to 1.
pub(crate) fn colours(name: &str) -> ([f32; 3], [f32; 3]) {
    match name {
        "efficientnet_lite0" => ([127.0 / 255.0; 3], [128.0 / 255.0; 3]),
        _ => ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    }
}

/// The net called `name`, for pictures of `[channels, height, width]`.
///
/// # Errors
/// If there is none, or the pictures are too small for it.
pub fn published(name: &str, at: &Scope, input: [usize; 3], classes: usize) -> Result<Sequential> {
    let Some(net) = PUBLISHED.iter().find(|net| net.name == name) else {
        let names: Vec<&str> = PUBLISHED.iter().map(|net| net.name).collect();
        return Err(Error::usage(format!("there is no net {name:?}"), format!("the nets are {}", names.join(", "))));
    };
    let [channels, height, width] = input;
    let (fits, wanted) = match name {
        "alexnet" => (height == net.size && width == net.size, "pictures of exactly"),
        _ => (height.min(width) >= net.size, "pictures of at least"),
    };
    if !fits {
        let what = format!("{name} takes {wanted} {0} x {0} pixels, not {height} x {width}", net.size);
        return Err(Error::usage(what, format!("bring them to that size with --set data.size={}", net.size)));
    }
    Ok((net.make)(at, channels, classes))
}
