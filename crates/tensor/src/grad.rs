//! Differentiation: graph to graph. The walk knows nothing of ops; each op's rule is on its page.

use std::panic::Location;

use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::ids::{NONE, Numbers};
use crate::origin::with_origin;
use crate::tensor::{FORWARD, Tensor, provenance};

impl Tensor {
    /// The gradients of this scalar with respect to `wrt`, as graphs of their own: they can be differentiated again.
    ///
    /// An op without a gradient rule on the way, or a `wrt` that this scalar does not depend on, gives an error node
    /// that says so.
    #[track_caller]
    pub fn grad<'a>(&self, wrt: impl IntoIterator<Item = &'a Tensor>) -> Vec<Tensor> {
        let at = Location::caller();
        let wrt: Vec<&Tensor> = wrt.into_iter().collect();
        if self.error().is_none() && (self.count() != 1 || !self.dtype().is_float()) {
            let message = format!("only a float scalar has a gradient, not {} {}", self.dtype(), self.shape());
            let error = Error::new(ErrorKind::Argument, "grad", message)
                .note(provenance("the value", self))
                .help("sum() or mean(..) it first");
            return vec![Tensor::failed(error, at); wrt.len()];
        }
        let outer = FORWARD.replace(self.id());
        let one = self.full_like(1.0);
        FORWARD.set(outer);
        self.pull_back(&one, &wrt, at)
    }

    /// The product of `cotangent` (the shape of `self`) with the Jacobian of `self` with respect to each of `wrt`.
    #[track_caller]
    pub fn vector_jacobian<'a>(&self, cotangent: &Tensor, wrt: impl IntoIterator<Item = &'a Tensor>) -> Vec<Tensor> {
        let at = Location::caller();
        let wrt: Vec<&Tensor> = wrt.into_iter().collect();
        if self.error().is_none() && cotangent.error().is_none() {
            let fail = |kind, message| {
                let error = Error::new(kind, "vector_jacobian", message).note(provenance("the value", self));
                vec![Tensor::failed(error, at); wrt.len()]
            };
            if self.dtype().is_int() || self.dtype() == DType::Bool {
                return fail(ErrorKind::DType, format!("only floats have a gradient, not {}", self.dtype()));
            }
            if cotangent.dtype() != self.dtype() {
                let message = format!("a cotangent of {} for a value of {}", cotangent.dtype(), self.dtype());
                return fail(ErrorKind::DType, message);
            }
            if cotangent.shape() != self.shape() {
                let message = format!("a cotangent of {} for a value of {}", cotangent.shape(), self.shape());
                return fail(ErrorKind::Shape, message);
            }
        }
        self.pull_back(cotangent, &wrt, at)
    }

    fn pull_back(&self, cotangent: &Tensor, wrt: &[&Tensor], at: &'static Location<'static>) -> Vec<Tensor> {
        if let Some(bad) =
            std::iter::once(self).chain([cotangent]).chain(wrt.iter().copied()).find(|t| t.error().is_some())
        {
            return vec![bad.clone(); wrt.len()];
        }
        let Dependents { order, places, count } = dependents(self, wrt);
        let mut gradients: Vec<Option<Tensor>> = vec![None; count];
        let place = |node: &Tensor| places.get(node.id()) as usize;
        if let Some(gradient) = gradients.get_mut(place(self)) {
            *gradient = Some(cotangent.clone());
        }
        for node in order.iter().rev() {
            let Some(gradient) = gradients[place(node)].clone() else { continue };
            let page = node.op().page();
            let Some(rule) = page.gradient else {
                let error = Error::new(ErrorKind::NoGradient, page.name, "the op has no gradient rule");
                return vec![Tensor::failed(error.at(node.origin()), at); wrt.len()];
            };
            let outer = FORWARD.replace(node.id());
            let parts = with_origin(node.origin(), || rule(node, &gradient));
            for (input, part) in node.inputs().iter().zip(parts) {
                let (Some(part), Some(sum)) = (part, gradients.get_mut(place(input))) else { continue };
                debug_assert!(
                    part.error().is_some() || part.shape() == input.shape(),
                    "{}: {part:?} for {input:?}",
                    page.name
                );
                *sum = Some(match sum.take() {
                    Some(sum) => with_origin(node.origin(), || {
                        crate::ops::join::sum_of_parts(&sum, &part).unwrap_or_else(|| sum + part)
                    }),
                    None => part,
                });
            }
            FORWARD.set(outer);
        }
        wrt.iter()
            .map(|input| {
                gradients[place(input)].clone().unwrap_or_else(|| {
                    let name = input.variable().map_or("the value".to_string(), |(var, _)| var.name().to_string());
                    let message =
                        format!("the result does not depend on {name}, or only through steps, indices or detach");
                    let error = Error::new(ErrorKind::NoGradient, name, message).note(provenance("it", input));
                    let error = match input.variable() {
                        Some(_) => {
                            error.help("if the graph reads this variable, it changed in between: trace the graph again")
                        }
                        None => error,
                    };
                    Tensor::failed(error, at)
                })
            })
            .collect()
    }
}

/// Room for a small model: no growing on the way.
const USUAL_NODES: usize = 224;

/// What of a graph a gradient flows through.
struct Dependents {
    /// The nodes through which the root depends on `wrt`, inputs first.
    order: Vec<Tensor>,
    /// A place for the gradient of each of them and of `wrt`.
    places: Numbers,
    /// How many places there are.
    count: usize,
}

fn dependents(root: &Tensor, wrt: &[&Tensor]) -> Dependents {
    let (mut places, mut visited) = (Numbers::near(root.id()), Numbers::near(root.id()));
    let mut count = 0;
    let mut place = |places: &mut Numbers, node: &Tensor| {
        if places.get(node.id()) == NONE {
            places.set(node.id(), count);
            count += 1;
        }
    };
    wrt.iter().for_each(|node| place(&mut places, node));
    let mut order = Vec::with_capacity(USUAL_NODES);
    let mut stack = Vec::with_capacity(64);
    stack.push((root, false));
    while let Some((node, expanded)) = stack.pop() {
        if expanded {
            if node.inputs().iter().any(|input| places.get(input.id()) != NONE) {
                place(&mut places, node);
                order.push(node.clone());
            }
        } else if visited.get(node.id()) == NONE {
            visited.set(node.id(), 0);
            stack.push((node, true));
            // Last pushed is first visited. The gradient of a parameter seen through a view, a scale or a bias, then comes when
            // what it is the sum of does, and not after all others.
            stack.extend(node.inputs().iter().filter(|input| shows_leaf(input)).map(|input| (input, false)));
            stack.extend(node.inputs().iter().filter(|input| !shows_leaf(input)).map(|input| (input, false)));
        }
    }
    Dependents { order, places, count: count as usize }
}

/// Whether a node is a view of a leaf, by way of a few views at most.
fn shows_leaf(mut node: &Tensor) -> bool {
    for _ in 0..MOST_VIEWS {
        match node.inputs() {
            [input] if node.op().is_view() => node = input,
            _ => return false,
        }
        if node.inputs().is_empty() {
            return true;
        }
    }
    false
}

/// Views that a parameter is seen through: reshaped, turned, expanded.
const MOST_VIEWS: usize = 4;
