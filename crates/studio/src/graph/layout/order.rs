//! Who stands beside whom in a row: sweeps down and up, each row ordered by the medians of its neighbours in the row before;
//! the order with the fewest crossings stays.

use super::{Item, Link};

/// Sweeps, at most.
const MOST_SWEEPS: usize = 16;
/// Sweeps without a gain, after which it ends.
const PATIENCE: usize = 4;
/// Bends of all links together, at most: beyond, the longest links go straight.
const MOST_BENDS: usize = 40_000;

/// What takes room in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Vertex {
    /// An item.
    Item(usize),
    /// A link on its way through the row.
    Bend,
}

/// One lane: its items, the ways of its links, and an order in each row.
pub(super) struct Lane {
    pub vertices: Vec<Vertex>,
    pub widths: Vec<f32>,
    pub row_of: Vec<u32>,
    /// Neighbours in the row above and in the row below.
    pub above: Vec<Vec<usize>>,
    pub below: Vec<Vec<usize>>,
    /// The rows, each from left to right.
    pub rows: Vec<Vec<usize>>,
    /// For each link within the lane that is long enough, the bends on its way from the top.
    pub paths: Vec<(usize, Vec<usize>)>,
}

impl Lane {
    /// The lane `lane`, its rows ordered as a walk down from each item meets them.
    pub fn new(items: &[Item], links: &[Link], row_of: &[u32], lane: u8) -> Lane {
        let mut this = Lane {
            vertices: Vec::new(),
            widths: Vec::new(),
            row_of: Vec::new(),
            above: Vec::new(),
            below: Vec::new(),
            rows: Vec::new(),
            paths: Vec::new(),
        };
        let mut vertex_of = vec![usize::MAX; items.len()];
        for (item, about) in items.iter().enumerate().filter(|(_, about)| about.lane == lane) {
            vertex_of[item] = this.add(Vertex::Item(item), about.width, row_of[item]);
        }
        let within: Vec<(usize, usize, usize)> = links
            .iter()
            .enumerate()
            .filter(|(_, link)| items[link.from].lane == lane && items[link.to].lane == lane)
            .filter(|(_, link)| row_of[link.from] != row_of[link.to])
            .map(|(at, link)| {
                let down = row_of[link.from] < row_of[link.to];
                if down { (at, link.from, link.to) } else { (at, link.to, link.from) }
            })
            .collect();
        let span = |&(_, high, low): &(usize, usize, usize)| (row_of[low] - row_of[high]) as usize;
        let mut most = within.iter().map(span).max().unwrap_or(0);
        while within.iter().map(span).filter(|&span| span <= most).map(|span| span - 1).sum::<usize>() > MOST_BENDS {
            most /= 2;
        }
        for link in within.iter().filter(|link| span(link) <= most) {
            let &(at, high, low) = link;
            let mut last = vertex_of[high];
            let mut path = Vec::new();
            for row in row_of[high] + 1..row_of[low] {
                let bend = this.add(Vertex::Bend, 0.0, row);
                this.join(last, bend);
                path.push(bend);
                last = bend;
            }
            this.join(last, vertex_of[low]);
            if links[at].up != (row_of[links[at].from] > row_of[links[at].to]) {
                // In a cycle it goes the other way: its bends are told from its other end.
                path.reverse();
            }
            this.paths.push((at, path));
        }
        this.begin();
        this
    }

    fn add(&mut self, vertex: Vertex, width: f32, row: u32) -> usize {
        self.vertices.push(vertex);
        self.widths.push(width);
        self.row_of.push(row);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        self.vertices.len() - 1
    }

    fn join(&mut self, high: usize, low: usize) {
        self.below[high].push(low);
        self.above[low].push(high);
    }

    /// The first order: connected things together.
    fn begin(&mut self) {
        let rows = self.row_of.iter().map(|&row| row as usize + 1).max().unwrap_or(0);
        self.rows = vec![Vec::new(); rows];
        let mut seen = vec![false; self.vertices.len()];
        for start in 0..self.vertices.len() {
            let mut stack = vec![start];
            while let Some(vertex) = stack.pop() {
                if std::mem::replace(&mut seen[vertex], true) {
                    continue;
                }
                self.rows[self.row_of[vertex] as usize].push(vertex);
                stack.extend(self.above[vertex].iter().rev());
                stack.extend(self.below[vertex].iter().rev());
            }
        }
    }

    /// Sweeps until nothing is gained for a while.
    pub fn reduce_crossings(&mut self) {
        let mut positions = vec![0usize; self.vertices.len()];
        for row in &self.rows {
            number(row, &mut positions);
        }
        let (mut best, mut fewest, mut waited) = (self.rows.clone(), self.crossings(&positions), 0);
        for sweep in 0..MOST_SWEEPS {
            if fewest == 0 || waited == PATIENCE {
                break;
            }
            let down = sweep % 2 == 0;
            for at in 0..self.rows.len() {
                let at = if down { at } else { self.rows.len() - 1 - at };
                let neighbours = if down { &self.above } else { &self.below };
                sort_row(&mut self.rows[at], neighbours, &positions);
                number(&self.rows[at], &mut positions);
            }
            let crossings = self.crossings(&positions);
            waited += 1;
            if crossings < fewest {
                (best, fewest, waited) = (self.rows.clone(), crossings, 0);
            }
        }
        self.rows = best;
    }

    /// How often links cross.
    pub fn crossings(&self, positions: &[usize]) -> u64 {
        let mut crossings = 0;
        for pair in self.rows.windows(2) {
            let mut ends: Vec<usize> = Vec::new();
            for &high in &pair[0] {
                let first = ends.len();
                ends.extend(self.below[high].iter().map(|&low| positions[low]));
                ends[first..].sort_unstable();
            }
            crossings += inversions(&ends, pair[1].len());
        }
        crossings
    }
}

fn number(row: &[usize], positions: &mut [usize]) {
    row.iter().enumerate().for_each(|(at, &vertex)| positions[vertex] = at);
}

/// Orders a row by the medians of its neighbours; who has none stays in place.
fn sort_row(row: &mut [usize], neighbours: &[Vec<usize>], positions: &[usize]) {
    let mut places = Vec::with_capacity(row.len());
    let mut movable: Vec<(f32, usize)> = Vec::with_capacity(row.len());
    let mut of = Vec::new();
    for (at, &vertex) in row.iter().enumerate() {
        of.clear();
        of.extend(neighbours[vertex].iter().map(|&other| positions[other]));
        if let Some(median) = median(&mut of) {
            places.push(at);
            movable.push((median, vertex));
        }
    }
    movable.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().zip(movable).for_each(|(at, (_, vertex))| row[at] = vertex);
}

/// The median; of an even number, the mean of the two in the middle, drawn to the side where the others are denser.
fn median(of: &mut [usize]) -> Option<f32> {
    of.sort_unstable();
    let half = of.len() / 2;
    let at = |index: usize| of[index] as f32;
    match of.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(at(half)),
        2 => Some((at(0) + at(1)) / 2.0),
        all => {
            let (left, right) = (at(half - 1) - at(0), at(all - 1) - at(half));
            match left + right {
                0.0 => Some((at(half - 1) + at(half)) / 2.0),
                both => Some((at(half - 1) * right + at(half) * left) / both),
            }
        }
    }
}

/// Pairs out of order, by a tree of partial sums.
fn inversions(ends: &[usize], size: usize) -> u64 {
    let mut tree = vec![0u64; size + 1];
    let mut count = 0;
    for (before, &end) in ends.iter().enumerate() {
        let (mut at, mut not_beyond) = (end + 1, 0);
        while at > 0 {
            not_beyond += tree[at];
            at &= at - 1;
        }
        count += before as u64 - not_beyond;
        at = end + 1;
        while at <= size {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    count
}
