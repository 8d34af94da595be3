//! Attention maps: what each place of a sequence looked at. They are read off the graph of the pass, where the queries and keys are,
//! and computed for whoever asks: the network itself keeps no such matrix.

use std::collections::HashSet;
use std::sync::Arc;

use tensor::{Array, Tensor};
use train::Result;

use crate::net::Net;

/// What the heads of one attention looked at.
#[derive(Debug, Clone)]
pub struct AttentionMap {
    /// Its place in the network, from 1: the order of the pass.
    pub number: usize,
    /// `[N, heads, queries, keys]`: each query's weights, which add up to 1.
    pub weights: Arc<Array>,
}

/// The attention maps of a pass of `x [N, ..]`, in the order of the pass; none of a network without attention.
///
/// # Errors
/// If the model does not take `x`.
pub fn attention_maps(net: &Net, x: &Array) -> Result<Vec<AttentionMap>> {
    let traced = net.trace(x)?;
    let mut found: Vec<(u64, Tensor)> = Vec::new();
    nodes(&traced.output, |node| found.extend(node.attention_weights().map(|weights| (node.id(), weights))));
    // Nodes are numbered as they are made.
    found.sort_by_key(|(id, _)| *id);
    let asked: Vec<&Tensor> = found.iter().map(|(_, weights)| weights).collect();
    let values = net.cpu.run(&asked, &[])?;
    Ok(values.into_iter().enumerate().map(|(at, weights)| AttentionMap { number: at + 1, weights }).collect())
}

/// Shows `see` every node that `output` depends on, once.
pub(crate) fn nodes(output: &Tensor, mut see: impl FnMut(&Tensor)) {
    let (mut seen, mut stack) = (HashSet::from([output.id()]), vec![output.clone()]);
    while let Some(node) = stack.pop() {
        see(&node);
        stack.extend(node.inputs().iter().filter(|input| seen.insert(input.id())).cloned());
    }
}
