//! Values of variables by name: taken and given back.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tensor::{Array, DType, Var};

use crate::error::{Error, Result};

/// Arrays by PyTorch's names (`conv1.weight`).
pub type State = BTreeMap<String, Arc<Array>>;

/// Most differences that an error spells out.
const SHOWN: usize = 12;

/// PyTorch's name of a variable: dots for slashes.
pub fn torch_name(name: &str) -> String {
    name.replace('/', ".")
}

/// The values of `vars` now.
pub fn snapshot(vars: &[Var]) -> State {
    vars.iter().map(|var| (torch_name(var.name()), var.value())).collect()
}

/// Gives `vars` the values in `state`, whose names may have dots or slashes: all of them, or none and an error that lists
/// every difference. A float may come as another float dtype, and is converted. `from` names the source in the error.
pub fn restore(vars: &[Var], state: &State, from: &str) -> Result<()> {
    let given: BTreeMap<String, &Arc<Array>> = state.iter().map(|(name, array)| (torch_name(name), array)).collect();
    let (mut problems, mut values) = (Vec::new(), Vec::with_capacity(vars.len()));
    for var in vars {
        let (name, dtype) = (torch_name(var.name()), var.dtype());
        match given.get(&name) {
            None => problems.push(format!("missing: {name}, {dtype} {}", var.shape())),
            Some(array) if array.shape() != var.shape() || !converts(array.dtype(), dtype) => {
                let (found, shape) = (array.dtype(), array.shape());
                problems.push(format!("different: {name} is {found} {shape} there, {dtype} {} here", var.shape()));
            }
            Some(array) => values.push(array.cast(dtype)),
        }
    }
    let known: HashSet<String> = vars.iter().map(|var| torch_name(var.name())).collect();
    for (name, array) in given.iter().filter(|(name, _)| !known.contains(*name)) {
        problems.push(format!("unexpected: {name}, {} {}", array.dtype(), array.shape()));
    }
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(SHOWN);
        problems.truncate(SHOWN);
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        return Err(Error::OtherModel { from: from.into(), expected: vars.len(), found: given.len(), problems });
    }
    vars.iter().zip(values).try_for_each(|(var, value)| Ok(var.set(value)?))
}

fn converts(from: DType, to: DType) -> bool {
    let float = |dtype: DType| dtype.is_float() || dtype.is_half();
    from == to || (float(from) && float(to))
}
