//! Grad-CAM: `relu(sum_k a_k A_k)` over the feature maps `A [1, K, ..]` of a layer, `a_k` the mean of `ds/dA_k` over its
//! places; brought to the size of the input by linear interpolation.
//!
//! On a net that ends in a global mean and a linear layer it is the class activation map of Zhou et al. (2016), divided by the
//! number of places.

use std::collections::HashSet;

use tensor::{Array, Op, Resize, Tensor};
use train::{Error, Result};

use super::Options;
use super::score::Frame;
use crate::net::{LayerInfo, Net, Traced};

/// The map `[1, 1, ..]` of the size of the input, and the layer.
///
/// A net that is asked both ways passes its layers twice, the second time with a mirrored picture. The maps of that pass are
/// mirrored back and added, so that the map is that of the whole answer; the layer is then called `PATH, both ways`.
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
    let mut passes = vec![(mirrored(&maps, &traced.x), maps)];
    if passes[0].0.is_none() {
        let later = traced.layers.iter().filter(|(other, _)| is_pass_of(&other.path, &layer.path));
        let later = later.map(|(_, maps)| (mirrored(maps, &traced.x), maps.clone()));
        passes.extend(later.filter(|(mirror, maps)| mirror.is_some() && maps.dims() == layer.shape));
    }
    let score = traced.score(class)?.sum(..);
    let mut sum: Option<Tensor> = None;
    for (mirror, maps) in &passes {
        let gradient = score.grad([maps]).swap_remove(0);
        gradient.check().map_err(|_| no_maps(&format!("the score does not depend on {}", layer.path)))?;
        let axes: Vec<isize> = (2..maps.rank() as isize).collect();
        let map = (gradient.mean_keep(axes) * maps).sum_keep(1);
        let map = mirror.map_or(map.clone(), |axis| map.flip(axis));
        sum = Some(sum.map_or(map.clone(), |sum| sum + &map));
    }
    let map = sum.ok_or_else(|| no_maps("the network has no layer that gives feature maps"))?.relu();
    let map = map.resize_linear(&Resize::To(frame.spatial.clone()), false);
    let value = net.cpu.run(&[&map], &[])?.swap_remove(0);
    let name = if passes.len() > 1 { format!("{}, both ways", layer.path) } else { layer.path };
    Ok(((*value).clone(), name))
}

/// Whether `other` is the name of a later pass through the layer at `path`.
fn is_pass_of(other: &str, path: &str) -> bool {
    other.strip_prefix(path).and_then(|rest| rest.strip_prefix(':')).is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The axis along which the input was mirrored before anything else saw it, if `of` depends on it in this way alone.
fn mirrored(of: &Tensor, x: &Tensor) -> Option<isize> {
    let mirror = |node: &Tensor| match *node.op() {
        Op::Slice { axis, step: -1, .. } if node.dims() == x.dims() && node.inputs()[0].id() == x.id() => {
            Some(isize::from(i8::try_from(axis).ok()?))
        }
        _ => None,
    };
    let mut found = None;
    let mut seen = HashSet::new();
    let mut stack = vec![of];
    while let Some(node) = stack.pop() {
        if !seen.insert(node.id()) {
            continue;
        }
        match mirror(node) {
            Some(axis) if found.is_none_or(|other| other == axis) => found = Some(axis),
            Some(_) => return None,
            None if node.id() == x.id() => return None,
            None => stack.extend(node.inputs()),
        }
    }
    // Only places can be mirrored back.
    found.filter(|&axis| axis >= 2)
}

/// The last feature maps of the last convolution: behind its norm and activation, before they are pooled; in the first pass, if
/// there are several.
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
