//! Columns: each row as near as it can be to its neighbours above and below, in its order and without overlap. That is a least-squares
//! problem with an exact solution (pooling of adjacent violators), solved row by row, down and up.

use super::GAP;
use super::order::{Lane, Vertex};

/// Passes down and up.
const PASSES: usize = 10;
/// How much more a straight piece between two bends counts than a link between two items.
const STRAIGHT: f64 = 6.0;
/// Between a bend and what stands beside it.
const BEND_GAP: f64 = 7.0;

pub(super) struct Columns {
    /// The middle of each vertex of the lane; none lies left of 0.
    pub places: Vec<f32>,
    pub width: f32,
}

pub(super) fn columns(lane: &Lane) -> Columns {
    let mut x = vec![0.0f64; lane.vertices.len()];
    for row in &lane.rows {
        let mut at = 0.0;
        for (place, &vertex) in row.iter().enumerate() {
            at += place.checked_sub(1).map_or(0.0, |before| apart(lane, row[before], vertex));
            x[vertex] = at;
        }
    }
    for pass in 0..=PASSES {
        let last = pass == PASSES;
        for at in 0..lane.rows.len() {
            // The last pass looks both ways.
            let (above, below) = (pass % 2 == 0 || last, pass % 2 == 1 || last);
            let at = if above { at } else { lane.rows.len() - 1 - at };
            settle(lane, &lane.rows[at], above, below, &mut x);
        }
    }
    let half = |vertex: usize| f64::from(lane.widths[vertex]) / 2.0;
    let left = (0..x.len()).map(|vertex| x[vertex] - half(vertex)).fold(f64::INFINITY, f64::min);
    let right = (0..x.len()).map(|vertex| x[vertex] + half(vertex)).fold(f64::NEG_INFINITY, f64::max);
    let places = x.iter().map(|x| (x - left) as f32).collect();
    Columns { places, width: if x.is_empty() { 0.0 } else { (right - left) as f32 } }
}

/// How far the middles of two neighbours are apart at least.
fn apart(lane: &Lane, left: usize, right: usize) -> f64 {
    let gap = match (lane.vertices[left], lane.vertices[right]) {
        (Vertex::Item(_), Vertex::Item(_)) => f64::from(GAP),
        _ => BEND_GAP,
    };
    f64::from(lane.widths[left] + lane.widths[right]) / 2.0 + gap
}

/// Moves a row to where its neighbours draw it.
fn settle(lane: &Lane, row: &[usize], above: bool, below: bool, x: &mut [f64]) {
    // Runs of vertices that touch: wish (less the offset in the row), weight, length.
    let mut runs: Vec<(f64, f64, usize)> = Vec::with_capacity(row.len());
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (place, &vertex) in row.iter().enumerate() {
        offset += place.checked_sub(1).map_or(0.0, |before| apart(lane, row[before], vertex));
        offsets.push(offset);
        let (mut sum, mut weight) = (0.0, 0.0);
        let near = [(above, &lane.above[vertex]), (below, &lane.below[vertex])];
        for &other in near.iter().filter(|(look, _)| *look).flat_map(|(_, others)| others.iter()) {
            let bends = (lane.vertices[vertex] == Vertex::Bend) && (lane.vertices[other] == Vertex::Bend);
            let pull = if bends { STRAIGHT } else { 1.0 };
            (sum, weight) = (sum + pull * x[other], weight + pull);
        }
        // Who has no neighbour stays, but gives way.
        let (wish, weight) = if weight > 0.0 { (sum / weight, weight) } else { (x[vertex], 0.05) };
        runs.push((wish - offset, weight, 1));
        while let [.., (left, left_weight, left_length), (right, right_weight, right_length)] = runs[..]
            && left > right
        {
            let weight = left_weight + right_weight;
            runs.pop();
            runs.pop();
            runs.push(((left * left_weight + right * right_weight) / weight, weight, left_length + right_length));
        }
    }
    let starts = runs.iter().flat_map(|&(at, _, length)| std::iter::repeat_n(at, length));
    row.iter().zip(offsets).zip(starts).for_each(|((&vertex, offset), start)| x[vertex] = start + offset);
}
