//! Grad-CAM: `relu(sum_k a_k A_k)` over the feature maps `A [1, K, ..]` of a layer, `a_k` the mean of `ds/dA_k` over its
//! places; brought to the size of the input by linear interpolation.
//!
//! On a net that ends in a global mean and a linear layer it is the class activation map of Zhou et al. (2016), divided by the
//! number of places.

use tensor::{Array, Resize, Tensor};
use train::{Error, Result};

use super::Options;
use super::score::Frame;
use crate::net::{LayerInfo, Net, Traced};

/// The map `[1, 1, ..]` of the size of the input, and the layer.
pub(super) fn grad_cam(net: &Net, x: &Array, class: usize, options: &Options) -> Result<(Array, String)> {
    let frame = Frame::of(x)?;
    let traced = net.trace(x)?;
    let (layer, maps) = match &options.layer {
        Some(path) => traced.find(path)?,
        None => last_maps(&traced).ok_or_else(|| no_maps("the network has no layer that gives feature maps"))?,
    };
    if maps.rank() != frame.spatial.len() + 2 {
        return Err(no_maps(&format!("{} gives {}, and no feature maps", layer.path, maps.shape())));
    }
    let gradient = traced.score(class)?.sum(..).grad([&maps]).swap_remove(0);
    gradient.check().map_err(|_| no_maps(&format!("the score does not depend on {}", layer.path)))?;
    let axes: Vec<isize> = (2..maps.rank() as isize).collect();
    let weights = gradient.mean_keep(axes);
    let map = (weights * &maps).sum_keep(1).relu();
    let map: Tensor = map.resize_linear(&Resize::To(frame.spatial.clone()), false);
    let value = net.cpu.run(&[&map], &[])?.swap_remove(0);
    Ok(((*value).clone(), layer.path))
}

/// The last feature maps of the last convolution: behind its norm and activation, before they are pooled. A layer that is
/// passed again (by a mirrored picture, say) counts as passed the first time.
fn last_maps(traced: &Traced) -> Option<(LayerInfo, Tensor)> {
    let first: Vec<&(LayerInfo, Tensor)> =
        traced.layers.iter().filter(|(layer, _)| !layer.path.contains(':')).collect();
    let last = first.iter().rposition(|(layer, _)| layer.kind.starts_with("conv"))?;
    let shape = &first[last].0.shape;
    let same = |layer: &LayerInfo| layer.shape == *shape && !layer.kind.contains("pool");
    let behind = first[last..].iter().take_while(|(layer, _)| same(layer)).count();
    first.get(last + behind.max(1) - 1).map(|&found| found.clone())
}

fn no_maps(why: &str) -> Error {
    Error::usage(why, "name a convolution or what follows it with --layer, or choose another method")
}
