//! Layers one after the other.

use std::panic::Location;

use tensor::Tensor;

use crate::layer::{Description, Layer, Place};
use crate::pass::Pass;

/// Layers one after the other. A layer without a path of its own (an activation, say) gets one: that of the layer before
/// it and its kind, `conv1/relu`.
#[derive(Default)]
pub struct Sequential {
    steps: Vec<Step>,
    last_path: String,
}

struct Step {
    layer: Box<dyn Layer>,
    kind: &'static str,
    /// Where it stands, if it does not know itself.
    place: Option<Place>,
}

impl Sequential {
    /// No layers: the identity.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With `layer` behind the others.
    #[track_caller]
    pub fn then(mut self, layer: impl Layer + 'static) -> Sequential {
        let (description, location) = (layer.describe(), Location::caller());
        let kind = description.kind;
        // A container speaks for its parts.
        let is_named = description.path.is_some() || !description.children.is_empty();
        let place = (!is_named).then(|| Place::named(&self.free_path(kind), location));
        if let Some(last) = last_path(&description) {
            self.last_path = last.to_owned();
        }
        self.steps.push(Step { layer: Box::new(layer), kind, place });
        self
    }

    fn free_path(&self, kind: &str) -> String {
        let path = if self.last_path.is_empty() { kind.to_string() } else { format!("{}/{kind}", self.last_path) };
        let taken = |path: &str| self.steps.iter().any(|s| s.place.as_ref().is_some_and(|place| place.path() == path));
        let mut free = path.clone();
        let mut number = 2;
        while taken(&free) {
            free = format!("{path}{number}");
            number += 1;
        }
        free
    }
}

/// The path of the last layer that has one, among a layer and its parts.
fn last_path(description: &Description) -> Option<&str> {
    description.path.as_deref().or_else(|| description.children.iter().rev().find_map(last_path))
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.steps.iter().fold(x.clone(), |x, step| match &step.place {
            Some(place) => place.run(step.kind, pass, || step.layer.forward(&x, pass)),
            None => step.layer.forward(&x, pass),
        })
    }

    fn describe(&self) -> Description {
        let children = self.steps.iter().map(|step| match &step.place {
            Some(place) => step.layer.describe().at(place, []),
            None => step.layer.describe(),
        });
        Description::of("sequential", "").made_of(children)
    }
}
