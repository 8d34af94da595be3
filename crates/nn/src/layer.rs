//! What a layer is, and where it stands.

use std::panic::Location;

use tensor::{LayerPath, Tensor, in_layer};

use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// A function of one tensor with parameters of its own.
pub trait Layer: Send + Sync {
    /// Its output for `x`.
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor;

    /// What it is, for tables and pictures of the model.
    fn describe(&self) -> Description;
}

impl Layer for Box<dyn Layer> {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        (**self).forward(x, pass)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}

/// What a layer says of itself.
#[derive(Clone, Default)]
pub struct Description {
    /// What kind of layer: `conv2d`.
    pub kind: &'static str,
    /// Its settings, as a person writes them: `1 -> 6, 5x5, padding 2`.
    pub settings: String,
    /// Its path, if it has one of its own: `conv1`.
    pub path: Option<String>,
    /// Where it was constructed.
    pub location: Option<&'static Location<'static>>,
    /// Its own parameters and buffers.
    pub params: Vec<Param>,
    /// The layers it is made of.
    pub children: Vec<Description>,
}

impl Description {
    /// A layer of `kind` without parameters.
    pub fn of(kind: &'static str, settings: impl Into<String>) -> Description {
        Description { kind, settings: settings.into(), ..Description::default() }
    }

    /// With its place and parameters.
    pub fn at<'a>(mut self, place: &Place, params: impl IntoIterator<Item = &'a Param>) -> Description {
        self.path = Some(place.path.clone());
        self.location = Some(place.location);
        self.params = params.into_iter().cloned().collect();
        self
    }

    /// With the layers it is made of.
    pub fn made_of(mut self, children: impl IntoIterator<Item = Description>) -> Description {
        self.children = children.into_iter().collect();
        self
    }
}

/// Where a layer stands: its path in the model and the line that constructed it.
#[derive(Clone)]
pub struct Place {
    path: String,
    layer: LayerPath,
    location: &'static Location<'static>,
}

impl Place {
    /// The place of the layer at `scope`, constructed by the caller.
    #[track_caller]
    pub fn new(scope: &Scope) -> Place {
        Place::named(scope.path(), Location::caller())
    }

    pub(crate) fn named(path: &str, location: &'static Location<'static>) -> Place {
        Place { path: path.to_string(), layer: LayerPath::new(path), location }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line that constructed it.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// Computes the layer's output by `forward`: its nodes and errors belong here.
    pub fn run(&self, kind: &'static str, pass: &Pass, forward: impl FnOnce() -> Tensor) -> Tensor {
        let guard = in_layer(self.layer, self.location);
        let output = forward();
        drop(guard);
        pass.note(&self.path, kind, &output);
        output
    }
}
