//! Where the boxes of a graph are drawn: rows along the arrows, few crossings, straight lines. After Sugiyama, Tagawa and
//! Toda (1981) and Gansner et al. (1993).
//!
//! ```text
//! items, links --rows--> a row for each item --order--> who stands beside whom --columns--> places
//! ```
//! Lanes stand side by side and share the rows: forward, backward and update of a training step. A link that goes up (that of
//! a gradient) has its end above its start, so the gradient of a layer stands beside the layer. The result is a function of
//! items and links alone, and every loop is bounded.

mod columns;
mod order;
mod rows;

/// A box to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// How wide it is.
    pub width: f32,
    /// How high.
    pub height: f32,
    /// Which lane it stands in, from the left.
    pub lane: u8,
}

/// An arrow.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The item where it starts.
    pub from: usize,
    /// The item where it ends.
    pub to: usize,
    /// Whether its end is above its start; of a link between lanes, it says nothing.
    pub up: bool,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The row of each item, from the top.
    pub rows: Vec<u32>,
    /// The middle of each item.
    pub places: Vec<[f32; 2]>,
    /// For each link, where it bends on its way.
    pub bends: Vec<Vec<[f32; 2]>>,
    /// Width and height of all.
    pub size: [f32; 2],
}

/// Between two rows.
const ROW_GAP: f32 = 34.0;
/// Between two boxes of a row.
pub(crate) const GAP: f32 = 14.0;
/// Between two lanes.
const LANE_GAP: f32 = 90.0;

/// Places items and the links between them.
pub fn place(items: &[Item], links: &[Link]) -> Placed {
    let rows = rows::rows(items, links);
    let lanes = items.iter().map(|item| usize::from(item.lane) + 1).max().unwrap_or(0);
    let height = rows.iter().map(|&row| row as usize + 1).max().unwrap_or(0);
    let (middles, bottom) = heights(items, &rows, height);
    let mut placed =
        Placed { places: vec![[0.0; 2]; items.len()], bends: vec![Vec::new(); links.len()], size: [0.0, bottom], rows };
    for lane in 0..lanes {
        let mut drawn = order::Lane::new(items, links, &placed.rows, lane as u8);
        drawn.reduce_crossings();
        let left = if placed.size[0] > 0.0 { placed.size[0] + LANE_GAP } else { 0.0 };
        let columns = columns::columns(&drawn);
        for (vertex, &x) in columns.places.iter().enumerate() {
            if let order::Vertex::Item(item) = drawn.vertices[vertex] {
                placed.places[item] = [left + x, middles[placed.rows[item] as usize]];
            }
        }
        for (link, path) in &drawn.paths {
            let point = |&vertex: &usize| [left + columns.places[vertex], middles[drawn.row_of[vertex] as usize]];
            let mut bends: Vec<[f32; 2]> = path.iter().map(point).collect();
            if links[*link].up {
                bends.reverse();
            }
            placed.bends[*link] = without_straight(bends);
        }
        if columns.width > 0.0 {
            placed.size[0] = left + columns.width;
        }
    }
    placed
}

/// The middle of each row, and the lower end of the last one.
fn heights(items: &[Item], rows: &[u32], count: usize) -> (Vec<f32>, f32) {
    let mut tallest = vec![0.0f32; count];
    items.iter().zip(rows).for_each(|(item, &row)| tallest[row as usize] = tallest[row as usize].max(item.height));
    let (mut middles, mut top) = (Vec::with_capacity(count), 0.0);
    for height in tallest {
        middles.push(top + height / 2.0);
        top += height + ROW_GAP;
    }
    (middles, (top - ROW_GAP).max(0.0))
}

/// The points without those between two others of the same column.
fn without_straight(points: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    let inner = |at: usize| at > 0 && at + 1 < points.len();
    let straight =
        |at: usize| (points[at][0] - points[at - 1][0]).abs() < 0.5 && (points[at][0] - points[at + 1][0]).abs() < 0.5;
    (0..points.len()).filter(|&at| !inner(at) || !straight(at)).map(|at| points[at]).collect()
}

#[cfg(test)]
mod tests;
