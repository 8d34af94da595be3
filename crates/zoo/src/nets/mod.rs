//! Convolutional networks as published, a family a file. Names, shapes and order of the parameters are torchvision's where it has the
//! net, so its weights load; inputs are `[N, channels, H, W]`, outputs `[N, classes]` logits.

mod alexnet;
mod densenet;
mod efficientnet;
mod googlenet;
mod mobilenet;
mod named;
mod resnet;
mod vgg;
mod xception;

pub use alexnet::{alexnet, alexnet_one_tower};
pub use densenet::densenet121;
pub use efficientnet::efficientnet_lite0;
pub use googlenet::{Inception, googlenet};
pub use mobilenet::mobilenet_v2;
pub(crate) use named::{NAMES, colours};
pub use named::{PUBLISHED, Published, published};
pub use resnet::{plain_cifar, resnet_cifar, resnet18, resnet18_small, resnet34, resnet50};
pub use vgg::{vgg16, vgg16_bn};
pub use xception::xception;
