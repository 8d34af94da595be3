//! A table of vectors.

use tensor::Tensor;

use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// Row `x[..]` (i64) of a table: `[..] -> [.., width]`.
pub struct Embedding {
    place: Place,
    entries: usize,
    width: usize,
    padding: Option<usize>,
    weight: Param,
}

/// A table `weight [entries, width]`, standard normal at first.
#[track_caller]
pub fn embedding(at: Scope, entries: usize, width: usize) -> Embedding {
    let weight = at.parameter("weight", &[entries, width], Init::Normal { mean: 0.0, std: 1.0 });
    Embedding { place: Place::new(&at), entries, width, padding: None, weight }
}

impl Embedding {
    /// Entry `index` stands for no entry: it is zero at first and gets no gradient.
    pub fn padding(mut self, index: usize) -> Embedding {
        self.weight.fill_rows(index..index.saturating_add(1), 0.0);
        self.padding = Some(index);
        self
    }

    /// The table, for a layer that shares it.
    pub fn weight(&self) -> &Param {
        &self.weight
    }

    /// With another initial table.
    pub fn init(self, init: Init) -> Embedding {
        self.weight.redeclare(&[self.entries, self.width], init);
        self
    }
}

impl Layer for Embedding {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.place.run("embedding", pass, || {
            let rows = self.weight.tensor().embedding(x);
            match self.padding {
                Some(index) => rows.where_else(&x.ne(index as i64).unsqueeze(-1), rows.detach()),
                None => rows,
            }
        })
    }

    fn describe(&self) -> Description {
        let settings = format!("{} x {}", self.entries, self.width);
        Description::of("embedding", settings).at(&self.place, [&self.weight])
    }
}
