//! The table of a model: every layer, what it makes of an input, how many parameters it has.

use std::collections::{HashMap, HashSet};
use std::fmt;

use tensor::Tensor;

use crate::error::Result;
use crate::layer::{Description, Layer};
use crate::param::Param;
use crate::pass::Pass;

/// A model's layers in the order in which an input passes them first.
#[derive(Debug, Clone)]
pub struct Summary {
    /// One a layer.
    pub rows: Vec<Row>,
    /// Parameters of the whole model, each counted once.
    pub parameters: usize,
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its path.
    pub path: String,
    /// What kind of layer.
    pub kind: &'static str,
    /// Its settings.
    pub settings: String,
    /// Its output's shape.
    pub output: Vec<usize>,
    /// Its own parameters.
    pub parameters: usize,
    /// Where it was constructed: file and line.
    pub location: String,
}

impl Summary {
    /// The layers of `model` that `input` passes in evaluation. Shapes alone matter; nothing is computed.
    ///
    /// # Errors
    /// The first layer that does not accept its input.
    pub fn of(model: &dyn Layer, input: &Tensor) -> Result<Summary> {
        let pass = Pass::eval().watching();
        model.forward(input, &pass).check()?;
        let whole = model.describe();
        let mut known = HashMap::new();
        collect(&whole, &mut known);
        // A layer that is passed again with the same result in form (a mirrored picture, say) is one layer.
        let mut passed = HashSet::new();
        let mut seen = pass.seen();
        seen.retain(|seen| passed.insert((seen.path.clone(), seen.kind, *seen.output.shape())));
        let rows = seen.into_iter().map(|seen| {
            let description = known.get(seen.path.as_str());
            Row {
                kind: seen.kind,
                settings: description.map_or(String::new(), |d| d.settings.clone()),
                output: seen.output.dims().to_vec(),
                parameters: description.map_or(0, |d| d.params.iter().map(count).sum()),
                location: description
                    .and_then(|d| d.location)
                    .map_or(String::new(), |l| format!("{}:{}", l.file(), l.line())),
                path: seen.path,
            }
        });
        let parameters = known.values().flat_map(|d| &d.params).map(count).sum();
        Ok(Summary { rows: rows.collect(), parameters })
    }
}

fn count(param: &Param) -> usize {
    param.var().filter(|_| param.is_parameter()).map_or(0, |var| var.shape().count())
}

fn collect<'a>(description: &'a Description, known: &mut HashMap<&'a str, &'a Description>) {
    if let Some(path) = &description.path {
        known.entry(path).or_insert(description);
    }
    description.children.iter().for_each(|child| collect(child, known));
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let width = |cell: fn(&Row) -> usize| self.rows.iter().map(cell).max().unwrap_or(0);
        let path = width(|row| row.path.len());
        let what = width(|row| row.kind.len() + 1 + row.settings.len());
        let shape = width(|row| format!("{:?}", row.output).len());
        for row in &self.rows {
            let (kind, output) = (format!("{} {}", row.kind, row.settings), format!("{:?}", row.output));
            let parameters = if row.parameters == 0 { "-".to_string() } else { row.parameters.to_string() };
            writeln!(f, "{:path$}  {kind:what$}  {output:shape$}  {parameters:>10}", row.path)?;
        }
        write!(f, "{} parameters", self.parameters)
    }
}
