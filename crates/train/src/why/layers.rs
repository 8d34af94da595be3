//! The layers of a step: dead units, gradients that are zero, vanish or explode.

use tensor::{Array, Tensor};

use super::origin::name;
use crate::error::Result;
use crate::replay::{At, Kind};

/// A layer is dead if more than this share of its units is 0 for all rows. Some dead units are usual with ReLU.
const DEAD: f64 = 0.5;
/// A gradient vanishes if its numbers are so many times smaller than those of another layer.
const VANISHED: f64 = 1e-6;

/// A ReLU whose units are 0 for all rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dead {
    /// What the ReLU is called.
    pub value: String,
    /// Its layer.
    pub layer: String,
    pub dead: usize,
    pub units: usize,
    /// The largest number that it was fed.
    pub most: f64,
    /// Where it was made.
    pub at: String,
}

/// The gradient of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slope {
    pub name: String,
    /// The root of the mean square of its numbers.
    pub size: f64,
    /// The same of the parameter.
    pub weight: f64,
    /// Of a matrix or filters: a vector's may be 0 for good reason (a bias before a normalisation).
    pub is_weight: bool,
}

/// All layers of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Layers {
    pub dead: Vec<Dead>,
    pub slopes: Vec<Slope>,
}

impl Layers {
    pub fn of(at: &At) -> Result<Layers> {
        Ok(Layers { dead: dead(at)?, slopes: slopes(at)? })
    }

    /// Parameters whose gradient is 0 in every number.
    pub fn zero(&self) -> Vec<&Slope> {
        self.slopes.iter().filter(|slope| slope.size == 0.0 && slope.is_weight).collect()
    }

    /// Weights whose gradient vanished, and the size of the largest.
    pub fn vanished(&self) -> (Vec<&Slope>, f64) {
        let weights = || self.slopes.iter().filter(|slope| slope.is_weight);
        let most = weights().map(|slope| slope.size).fold(0.0, f64::max);
        (weights().filter(|slope| slope.size > 0.0 && slope.size < VANISHED * most).collect(), most)
    }

    /// The parameter whose gradient is the longest beside its numbers.
    pub fn steepest(&self) -> Option<&Slope> {
        let steep = |slope: &Slope| slope.size / slope.weight.max(1e-3);
        let finite = self.slopes.iter().filter(|slope| slope.size.is_finite());
        finite.max_by(|a, b| steep(a).total_cmp(&steep(b)))
    }
}

fn dead(at: &At) -> Result<Vec<Dead>> {
    let relu = |node: &&Tensor| node.op().page().name == "relu" && node.forward().is_none() && node.rank() > 1;
    let nodes: Vec<&Tensor> = at.nodes().iter().filter(relu).collect();
    let mut found = Vec::new();
    for node in nodes {
        // Axis 1 are the channels of pictures and the units of rows; the last one the units of sequences.
        let axis = if node.rank() == 3 { 2 } else { 1 };
        let others: Vec<isize> = (0..node.rank()).filter(|&other| other != axis).map(|other| other as isize).collect();
        let most = node.max(&others[..]);
        let fed = node.inputs()[0].max(..);
        let values = at.values(&[&most, &fed])?;
        let units = values[0].shape().count();
        let dead = (0..units).filter(|&unit| values[0].get_f64(unit) == 0.0).count();
        if units > 0 && dead as f64 > DEAD * units as f64 {
            let origin = node.origin();
            let value = name(at, node);
            let layer = origin.layer.map_or_else(|| value.clone(), |layer| layer.to_string());
            let place = format!("{}:{}", origin.location.file(), origin.location.line());
            found.push(Dead { value, layer, dead, units, most: values[1].get_f64(0), at: place });
        }
    }
    Ok(found)
}

fn slopes(at: &At) -> Result<Vec<Slope>> {
    let parameters = at.names().iter().filter(|named| named.kind == Kind::Parameter);
    let mut nodes = Vec::new();
    for named in parameters {
        if let Ok(gradient) = at.node(&format!("{}.grad", named.name))
            && gradient.error().is_none()
        {
            nodes.push((named.name.clone(), named.tensor.clone(), gradient));
        }
    }
    let wanted: Vec<&Tensor> = nodes.iter().flat_map(|(_, weight, gradient)| [weight, gradient]).collect();
    let values = at.values(&wanted)?;
    Ok(nodes
        .iter()
        .zip(values.chunks(2))
        .map(|((name, tensor, _), values)| Slope {
            name: name.clone(),
            size: size(&values[1]),
            weight: size(&values[0]),
            is_weight: tensor.rank() > 1,
        })
        .collect())
}

/// The root of the mean square.
fn size(array: &Array) -> f64 {
    let count = array.shape().count();
    ((0..count).map(|index| array.get_f64(index).powi(2)).sum::<f64>() / count.max(1) as f64).sqrt()
}
