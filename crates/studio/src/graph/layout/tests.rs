//! The claims of the layout, over random graphs.

use std::time::Instant;

use super::*;

/// A reproducible stream of numbers (Lehmer's, with Knuth's multiplier).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// A graph that looks like a training step: chains with short cuts, values of the forward part read by the backward part.
fn graph(items: usize, seed: u64, cycles: bool) -> (Vec<Item>, Vec<Link>) {
    let mut numbers = Numbers(seed);
    let lane = |at: usize| ((at * 5 / items.max(1)).min(4) + 1) as u8 / 2;
    let all: Vec<Item> = (0..items)
        .map(|at| Item {
            width: 40.0 + numbers.below(120) as f32,
            height: 20.0 + numbers.below(30) as f32,
            lane: lane(at),
        })
        .collect();
    let mut links = Vec::new();
    for (to, item) in all.iter().enumerate().skip(1) {
        for _ in 0..1 + numbers.below(2) {
            let back = if numbers.below(8) == 0 { numbers.below(items) } else { numbers.below(12) };
            let from = to.saturating_sub(1 + back);
            links.push(Link { from, to, up: item.lane == 1 });
        }
        if cycles && numbers.below(20) == 0 {
            links.push(Link { from: to, to: numbers.below(to), up: false });
        }
    }
    (all, links)
}

fn overlap(items: &[Item], placed: &Placed) -> Option<(usize, usize)> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    placed.rows.iter().enumerate().for_each(|(item, &row)| rows[row as usize].push(item));
    rows.iter_mut().find_map(|row| {
        row.sort_by(|&a, &b| placed.places[a][0].total_cmp(&placed.places[b][0]));
        row.windows(2).map(|pair| (pair[0], pair[1])).find(|&(a, b)| {
            let needed = (items[a].width + items[b].width) / 2.0;
            placed.places[b][0] - placed.places[a][0] < needed + GAP - 0.01
        })
    })
}

#[test]
fn arrows_go_down_or_up_as_asked_and_boxes_never_overlap() {
    for seed in 0..60 {
        let (items, links) = graph(1 + seed as usize * 3, seed, false);
        let placed = place(&items, &links);
        assert_eq!(overlap(&items, &placed), None, "seed {seed}");
        for link in &links {
            let (from, to) = (placed.rows[link.from], placed.rows[link.to]);
            let (a, b) = (items[link.from].lane, items[link.to].lane);
            match a == b {
                true if link.up => assert!(to < from, "seed {seed}: {link:?}"),
                true => assert!(from < to, "seed {seed}: {link:?}"),
                false => assert!(from <= to, "seed {seed}: {link:?}"),
            }
        }
        // Rows are apart.
        for (at, item) in items.iter().enumerate() {
            for (other, beside) in items.iter().enumerate().filter(|&(other, _)| placed.rows[other] > placed.rows[at]) {
                let room = placed.places[other][1] - placed.places[at][1];
                assert!(room >= (item.height + beside.height) / 2.0, "seed {seed}: {at} and {other}");
            }
        }
    }
}

#[test]
fn lanes_stand_side_by_side_and_all_is_within_the_size() {
    let (items, links) = graph(400, 7, false);
    let placed = place(&items, &links);
    let edge = |lane: u8, side: f32| {
        let of = items.iter().zip(&placed.places).filter(move |(item, _)| item.lane == lane);
        of.map(move |(item, place)| place[0] + side * item.width / 2.0)
    };
    for lane in 0..2 {
        let right = edge(lane, 1.0).fold(f32::MIN, f32::max);
        let left = edge(lane + 1, -1.0).fold(f32::MAX, f32::min);
        assert!(right < left, "lane {lane} ends at {right}, the next begins at {left}");
    }
    for (item, place) in items.iter().zip(&placed.places) {
        assert!(place[0] - item.width / 2.0 >= -0.01 && place[0] + item.width / 2.0 <= placed.size[0] + 0.01);
        assert!(place[1] - item.height / 2.0 >= -0.01 && place[1] + item.height / 2.0 <= placed.size[1] + 0.01);
    }
}

#[test]
fn cycles_and_loops_are_drawn_too() {
    for seed in 0..20 {
        let (items, links) = graph(120, seed, true);
        let placed = place(&items, &links);
        assert_eq!(overlap(&items, &placed), None, "seed {seed}");
    }
    let item = Item { width: 10.0, height: 10.0, lane: 0 };
    let loops =
        [Link { from: 0, to: 0, up: false }, Link { from: 0, to: 1, up: false }, Link { from: 1, to: 0, up: false }];
    assert_eq!(place(&[item, item], &loops).rows, [0, 1]);
    assert_eq!(place(&[], &[]).size, [0.0, 0.0]);
}

#[test]
fn the_same_graph_is_drawn_the_same_way() {
    let (items, links) = graph(600, 3, true);
    assert_eq!(place(&items, &links), place(&items, &links));
}

#[test]
fn a_long_link_bends_through_the_rows_it_passes() {
    let item = Item { width: 40.0, height: 20.0, lane: 0 };
    let chain = (0..5).map(|at| Link { from: at, to: at + 1, up: false });
    let links: Vec<Link> = chain.chain([Link { from: 0, to: 5, up: false }]).collect();
    let placed = place(&[item; 6], &links);
    let bends = &placed.bends[5];
    assert!(!bends.is_empty() && bends.windows(2).all(|pair| pair[0][1] < pair[1][1]), "{bends:?}");
    // It passes beside the boxes, not through them.
    for bend in bends {
        for place in placed.places.iter().filter(|place| place[1] == bend[1]) {
            assert!((place[0] - bend[0]).abs() > 20.0, "{bend:?} {place:?}");
        }
    }
}

#[test]
fn two_rows_that_can_be_drawn_without_a_crossing_are() {
    // 0 1 2 above 3 4 5, each joined to the mirrored one: the order of one row has to be turned round.
    let item = Item { width: 40.0, height: 20.0, lane: 0 };
    let links = [(0, 5), (1, 4), (2, 3)].map(|(from, to)| Link { from, to, up: false });
    let rows = rows::rows(&[item; 6], &links);
    let mut lane = order::Lane::new(&[item; 6], &links, &rows, 0);
    lane.reduce_crossings();
    let mut positions = vec![0; 6];
    lane.rows.iter().for_each(|row| row.iter().enumerate().for_each(|(at, &vertex)| positions[vertex] = at));
    assert_eq!(lane.crossings(&positions), 0);
}

#[test]
fn five_thousand_nodes() {
    let (items, links) = graph(5000, 11, false);
    let start = Instant::now();
    let placed = place(&items, &links);
    // (Shown with --nocapture; a time is no test.)
    println!("5,000 boxes and {} arrows placed in {:?}; {:?}", links.len(), start.elapsed(), placed.size);
    assert_eq!(overlap(&items, &placed), None);
}
