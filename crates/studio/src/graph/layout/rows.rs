//! Rows: the longest path from above, then what nothing holds up is let down to what it serves.

use super::{Item, Link};

/// A row for each item. A link within a lane takes at least one row; one into a lane further right takes none, but does not
/// go up. In a cycle within a lane, one link is let go the wrong way.
pub(super) fn rows(items: &[Item], links: &[Link]) -> Vec<u32> {
    let edges = oriented(items, links);
    let order = topological(items.len(), &edges);
    let (mut above, mut below) = (vec![Vec::new(); items.len()], vec![Vec::new(); items.len()]);
    for edge in &edges {
        above[edge.low].push(*edge);
        if edge.drop > 0 {
            below[edge.high].push(*edge);
        }
    }
    // Nothing but a string of single items hangs above a loose one: it follows what it serves.
    let mut loose = vec![false; items.len()];
    for &item in &order {
        let single = |edge: &Edge| loose[edge.high] && below[edge.high].len() == 1;
        loose[item] = above[item].iter().filter(|edge| edge.drop > 0).all(single);
    }
    let mut rows = vec![0u32; items.len()];
    // Lane by lane: where one has come to rest, the next may lean on it.
    for lane in 0..=items.iter().map(|item| item.lane).max().unwrap_or(0) {
        let own: Vec<usize> = order.iter().copied().filter(|&item| items[item].lane == lane).collect();
        for &item in &own {
            rows[item] = above[item].iter().map(|edge| rows[edge.high] + edge.drop).max().unwrap_or(0);
        }
        for &item in own.iter().rev() {
            let held = above[item].iter().filter(|edge| edge.drop > 0).count();
            let lowest = below[item].iter().map(|edge| rows[edge.low] - edge.drop).min();
            if let Some(lowest) = lowest.filter(|_| loose[item] || below[item].len() > held) {
                rows[item] = lowest;
            }
        }
    }
    rows
}

/// `low` lies `drop` rows below `high`, or more.
#[derive(Debug, Clone, Copy)]
struct Edge {
    high: usize,
    low: usize,
    drop: u32,
}

/// The links as they hold items up, without cycles.
fn oriented(items: &[Item], links: &[Link]) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::with_capacity(links.len());
    for link in links {
        let (from, to) = (items[link.from].lane, items[link.to].lane);
        if link.from == link.to || from > to {
            continue;
        }
        let within = from == to;
        let (high, low) = if within && link.up { (link.to, link.from) } else { (link.from, link.to) };
        edges.push(Edge { high, low, drop: u32::from(within) });
    }
    // Between lanes all go to the right, so a cycle lies within one.
    for at in backward(items.len(), &edges) {
        let Edge { high, low, .. } = edges[at];
        (edges[at].high, edges[at].low) = (low, high);
    }
    edges
}

/// The edges that close a cycle when items are visited in order, depth first.
fn backward(items: usize, edges: &[Edge]) -> Vec<usize> {
    let mut out = vec![Vec::new(); items];
    edges.iter().enumerate().for_each(|(at, edge)| out[edge.high].push(at));
    let mut closing = Vec::new();
    // 0: not seen; 1: on the way; 2: done.
    let mut state = vec![0u8; items];
    for start in 0..items {
        let mut stack = vec![(start, 0usize)];
        while let Some((item, next)) = stack.pop() {
            if next == 0 {
                if state[item] != 0 {
                    continue;
                }
                state[item] = 1;
            }
            let Some(&edge) = out[item].get(next) else {
                state[item] = 2;
                continue;
            };
            stack.push((item, next + 1));
            match state[edges[edge].low] {
                0 => stack.push((edges[edge].low, 0)),
                1 => closing.push(edge),
                _ => {}
            }
        }
    }
    closing
}

/// The items, each behind what is above it.
fn topological(items: usize, edges: &[Edge]) -> Vec<usize> {
    let (mut waits, mut below) = (vec![0usize; items], vec![Vec::new(); items]);
    for edge in edges {
        waits[edge.low] += 1;
        below[edge.high].push(edge.low);
    }
    let mut order: Vec<usize> = (0..items).filter(|&item| waits[item] == 0).collect();
    let mut at = 0;
    while let Some(&item) = order.get(at) {
        at += 1;
        for &low in &below[item] {
            waits[low] -= 1;
            if waits[low] == 0 {
                order.push(low);
            }
        }
    }
    order
}
