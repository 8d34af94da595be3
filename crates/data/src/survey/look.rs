//! What is left of a picture when it is made small, and how well two of them agree: also if one is the other moved by a pixel.
//!
//! Nothing here is rounded but at the end: hashes and sums are whole numbers, so they are the same everywhere.

use crate::picture::{Depth, Picture};

/// Side of the grid that is hashed.
const COARSE: usize = 16;
/// Most rows and columns of the grid that is compared; a smaller picture is compared pixel by pixel.
const FINE: usize = 32;
/// Pictures whose grids vary less (standard deviation, of 255) are too flat to be told from each other.
const FLAT: f64 = 2.0;
/// A picture is drawn (a digit, a plan, a page) if at least half of its pixels are this near to their commonest level, of 255.
const GROUND: usize = 4;
/// Pairs that agree less from afar are not looked at closer: 99 of 100 photographs of 32 x 32 that are moved by one pixel both ways
/// agree better with themselves, ...
const FROM_AFAR: f64 = 0.7;
/// ... and so do drawings, which were brought to the middle.
const FROM_AFAR_DRAWN: f64 = 0.97;

/// What a picture looks like from afar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    whole: View,
    /// What is drawn, if it is something on an even ground, moved to the middle; where copies of it that were moved are brought, too.
    drawn: Option<View>,
}

/// A picture made small.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// The signs of the 64 slowest waves of the coarse grid but the mean (a perceptual hash). Those of a picture that is moved by a
    /// pixel or packed again mostly stay.
    pub hash: u64,
    coarse: Grid,
    fine: Grid,
}

/// A small grey picture with its mean and standard deviation.
#[derive(Debug, Clone, PartialEq)]
struct Grid {
    rows: usize,
    columns: usize,
    cells: Vec<u8>,
    mean: f64,
    spread: f64,
}

impl Look {
    /// Of a picture; `None` if it is too flat to look like anything.
    pub fn of(picture: &Picture) -> Option<Box<Look>> {
        let grey = |p: &[u32]| if let [r, g, b] = p { (299 * r + 587 * g + 114 * b) / 1000 } else { p[0] };
        let plane: Vec<u8> = match &picture.depth {
            Depth::Eight(v) if picture.channels == 1 => v.clone(),
            Depth::Eight(v) => v
                .chunks_exact(picture.channels)
                .map(|p| grey(&[u32::from(p[0]), u32::from(p[1]), u32::from(p[2])]) as u8)
                .collect(),
            Depth::Sixteen(v) => v
                .chunks_exact(picture.channels)
                .map(|p| (grey(&p.iter().map(|&x| u32::from(x)).collect::<Vec<_>>()) >> 8) as u8)
                .collect(),
        };
        Look::of_plane(&plane, picture.height, picture.width)
    }

    /// Of a grey plane `[height, width]`.
    pub fn of_plane(plane: &[u8], height: usize, width: usize) -> Option<Box<Look>> {
        if height == 0 || width == 0 || plane.len() != height * width {
            return None;
        }
        let whole = View::of(plane, (height, width), true)?;
        let drawn = centred(plane, height, width).and_then(|plane| View::of(&plane, (height, width), false));
        Some(Box::new(Look { whole, drawn }))
    }

    /// The picture as it is.
    pub fn whole(&self) -> &View {
        &self.whole
    }

    /// What is drawn in it, in the middle; `None` if it is no drawing.
    pub fn drawn(&self) -> Option<&View> {
        self.drawn.as_ref()
    }
}

impl View {
    /// A photograph is smoothed a little, so that what lies between two pixels can be told from its slopes. A drawing is not: it has
    /// edges alone, and any of them would agree a little better.
    fn of(plane: &[u8], (height, width): (usize, usize), smooth: bool) -> Option<View> {
        let grid = |rows, columns| Grid::of(plane, (height, width), (rows, columns));
        let (coarse, fine) = (grid(COARSE, COARSE), grid(height.min(FINE), width.min(FINE)));
        let fine = if smooth { fine.smoothed() } else { fine };
        let hash = hash(&coarse.cells);
        (coarse.spread >= FLAT && fine.spread >= FLAT).then_some(View { hash, coarse, fine })
    }

    /// How well two photographs agree, if that is at least `least`: at the best place within about a cell.
    pub fn agrees(&self, other: &View, least: f64) -> Option<f64> {
        let from_afar = self.coarse.correlation(&other.coarse);
        if from_afar < FROM_AFAR {
            return None;
        }
        if !self.fine.is_like(&other.fine) {
            return (from_afar >= least).then_some(from_afar);
        }
        let (found, by) = self.fine.moved(&other.fine, [0, 0]);
        if found >= least {
            return Some(found);
        }
        // Slopes reach half a cell: from the neighbour that they point to, they reach the rest.
        let step = by.map(|by| if by.abs() < 0.3 { 0 } else { by.signum() as isize });
        let found = if step == [0, 0] { found } else { self.fine.moved(&other.fine, step).0 };
        (found >= least).then_some(found)
    }

    /// How well two drawings agree, if that is at least `least`: at the best place, for the middle may have been rounded otherwise.
    pub fn agrees_as_drawn(&self, other: &View, least: f64) -> Option<f64> {
        let from_afar = self.coarse.correlation(&other.coarse);
        if from_afar < FROM_AFAR_DRAWN {
            return None;
        }
        let found = if self.fine.is_like(&other.fine) { self.fine.best_place(&other.fine) } else { from_afar };
        (found >= least).then_some(found)
    }
}

/// A drawing, moved so that the centre of mass of what is drawn lies in the middle; `None` if the picture is none.
fn centred(plane: &[u8], height: usize, width: usize) -> Option<Vec<u8>> {
    let mut levels = [0usize; 256];
    plane.iter().for_each(|&level| levels[usize::from(level)] += 1);
    let commonest = (0..256).rev().max_by_key(|&level| levels[level])?;
    let ground = commonest.saturating_sub(GROUND)..(commonest + GROUND + 1).min(256);
    if 2 * levels[ground.clone()].iter().sum::<usize>() < plane.len() {
        return None;
    }
    let [mut mass, mut down, mut right] = [0u64; 3];
    for (at, &level) in plane.iter().enumerate().filter(|(_, level)| !ground.contains(&usize::from(**level))) {
        let weight = u64::from(level.abs_diff(commonest as u8));
        mass += weight;
        down += weight * (at / width) as u64;
        right += weight * (at % width) as u64;
    }
    let nearest = |sum: u64| ((2 * sum + mass) / (2 * mass.max(1))) as isize;
    let (down, right) = (nearest(down) - (height / 2) as isize, nearest(right) - (width / 2) as isize);
    if mass == 0 || (down, right) == (0, 0) {
        return Some(plane.to_vec());
    }
    let mut moved = vec![commonest as u8; plane.len()];
    for (y, line) in moved.chunks_exact_mut(width).enumerate() {
        let Some(from) = y.checked_add_signed(down).filter(|&from| from < height) else { continue };
        let from = &plane[from * width..(from + 1) * width];
        let by = right.unsigned_abs();
        if right >= 0 {
            line[..width - by].copy_from_slice(&from[by..]);
        } else {
            line[by..].copy_from_slice(&from[..width - by]);
        }
    }
    Some(moved)
}

/// The signs of the 64 slowest cosine waves, but the mean, of 16 x 16 cells: whether each is above 0.
fn hash(cells: &[u8]) -> u64 {
    /// Waves along one axis: none of the 64 is faster.
    const KINDS: usize = 9;
    let mut down = [[0i64; COARSE]; KINDS];
    for (k, sums) in down.iter_mut().enumerate() {
        for (y, line) in cells.chunks_exact(COARSE).enumerate() {
            let wave = cosine(k * (2 * y + 1));
            line.iter().zip(sums.iter_mut()).for_each(|(&cell, sum)| *sum += wave * i64::from(cell));
        }
    }
    let mut bits = 0;
    let mut place = 0;
    // By the square of their speed.
    for square in 1..=72 {
        for (k, sums) in down.iter().enumerate() {
            for l in (0..KINDS).filter(|l| k * k + l * l == square) {
                let sum: i64 = (0..COARSE).map(|x| cosine(l * (2 * x + 1)) * sums[x]).sum();
                bits |= u64::from(sum > 0) << place;
                place = (place + 1).min(63);
            }
        }
    }
    bits
}

/// 4096 times the cosine of `at` parts of 32 of half a turn.
fn cosine(at: usize) -> i64 {
    const QUARTER: [i64; 17] =
        [4096, 4076, 4017, 3920, 3784, 3612, 3406, 3166, 2896, 2598, 2276, 1931, 1567, 1189, 799, 401, 0];
    match at % 64 {
        at @ 0..=16 => QUARTER[at],
        at @ 17..=32 => -QUARTER[32 - at],
        at @ 33..=48 => -QUARTER[at - 32],
        at => QUARTER[64 - at],
    }
}

impl Grid {
    /// The mean of each cell of a grid laid over a plane; where it has fewer pixels, several cells share one.
    fn of(plane: &[u8], (height, width): (usize, usize), (rows, columns): (usize, usize)) -> Grid {
        if (rows, columns) == (height, width) {
            return Grid::new(rows, columns, plane.to_vec());
        }
        let mut cells = vec![0; rows * columns];
        for (cell, value) in cells.iter_mut().enumerate() {
            let (y, x) = (cell / columns, cell % columns);
            let (top, left) = (y * height / rows, x * width / columns);
            let bottom = ((y + 1) * height / rows).max(top + 1);
            let right = ((x + 1) * width / columns).max(left + 1);
            let lines = plane[top * width..bottom * width].chunks_exact(width);
            let sum: u64 = lines.map(|line| line[left..right].iter().map(|&p| u64::from(p)).sum::<u64>()).sum();
            *value = (sum / ((bottom - top) * (right - left)) as u64) as u8;
        }
        Grid::new(rows, columns, cells)
    }

    fn new(rows: usize, columns: usize, cells: Vec<u8>) -> Grid {
        let count = cells.len() as f64;
        let sum: u64 = cells.iter().map(|&x| u64::from(x)).sum();
        let squares: u64 = cells.iter().map(|&x| u64::from(x) * u64::from(x)).sum();
        let mean = sum as f64 / count;
        let spread = (squares as f64 / count - mean * mean).max(0.0).sqrt();
        Grid { rows, columns, cells, mean, spread }
    }

    /// Each cell with half its neighbours on all four sides and a quarter of those beyond the corners, on average.
    fn smoothed(&self) -> Grid {
        let along = |cells: &[u8], step: usize, size: usize| -> Vec<u8> {
            let one = |at: usize| {
                let place = at / step % size;
                let before = if place > 0 { at - step } else { at };
                let after = if place + 1 < size { at + step } else { at };
                ((u32::from(cells[before]) + 2 * u32::from(cells[at]) + u32::from(cells[after]) + 2) / 4) as u8
            };
            (0..cells.len()).map(one).collect()
        };
        let across = along(&self.cells, 1, self.columns);
        Grid::new(self.rows, self.columns, along(&across, self.columns, self.rows))
    }

    fn is_like(&self, other: &Grid) -> bool {
        (self.rows, self.columns) == (other.rows, other.columns)
    }

    fn correlation(&self, other: &Grid) -> f64 {
        let products: u32 = self.cells.iter().zip(&other.cells).map(|(&a, &b)| u32::from(a) * u32::from(b)).sum();
        (f64::from(products) / self.cells.len() as f64 - self.mean * other.mean) / (self.spread * other.spread)
    }

    /// The best correlation of what both show if the other lies up to a cell beside this one.
    fn best_place(&self, other: &Grid) -> f64 {
        let places = (-1..=1).flat_map(|down| (-1..=1).map(move |right| [down, right]));
        places.map(|by| self.correlation_at(other, by)).fold(self.correlation(other), f64::max)
    }

    /// The correlation of cell `(y + down, x + right)` of this with `(y, x)` of the other, where both have one.
    fn correlation_at(&self, other: &Grid, [down, right]: [isize; 2]) -> f64 {
        let span = |size: usize, by: isize| (by.max(0) as usize, (-by).max(0) as usize, size - by.unsigned_abs());
        let (top, other_top, rows) = span(self.rows, down);
        let (left, other_left, columns) = span(self.columns, right);
        let [mut a, mut b, mut aa, mut bb, mut ab] = [0u32; 5];
        for y in 0..rows {
            let line = &self.cells[(top + y) * self.columns + left..][..columns];
            let others = &other.cells[(other_top + y) * self.columns + other_left..][..columns];
            for (&p, &q) in line.iter().zip(others) {
                let (p, q) = (u32::from(p), u32::from(q));
                a += p;
                b += q;
                aa += p * p;
                bb += q * q;
                ab += p * q;
            }
        }
        let n = (rows * columns) as f64;
        let [a, b, aa, bb, ab] = [a, b, aa, bb, ab].map(f64::from);
        let spread = ((n * aa - a * a).max(0.0) * (n * bb - b * b).max(0.0)).sqrt();
        if spread > 0.0 { (n * ab - a * b) / spread } else { 0.0 }
    }

    /// How well the other is this, moved by whole cells, made lighter or darker, plus its own slopes, by least squares: the correlation,
    /// and how many cells the slopes move it further. 0 if that is more than one, or turns light into dark.
    fn moved(&self, other: &Grid, [down, right]: [isize; 2]) -> (f64, [f64; 2]) {
        let (rows, columns) = (self.rows, self.columns);
        if rows < 6 || columns < 6 {
            return (self.correlation(other), [0.0; 2]);
        }
        // Value, slopes and the other, all twice.
        let mut parts = [[0i16; FINE * FINE]; 4];
        let (high, wide) = (rows - 4, columns - 4);
        for y in 0..high {
            let line = |row: isize, column: isize| {
                let start = (y as isize + 2 + row) * columns as isize + 2 + column;
                &self.cells[start as usize..][..wide]
            };
            let difference = |part: &mut [i16], a: &[u8], b: &[u8]| {
                part.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (&a, &b))| *to = i16::from(a) - i16::from(b));
            };
            let twice = |part: &mut [i16], a: &[u8]| part.iter_mut().zip(a).for_each(|(to, &a)| *to = 2 * i16::from(a));
            let [own, slope_down, slope_right, others] = &mut parts;
            let here = y * wide..(y + 1) * wide;
            twice(&mut own[here.clone()], line(down, right));
            difference(&mut slope_down[here.clone()], line(down + 1, right), line(down - 1, right));
            difference(&mut slope_right[here.clone()], line(down, right + 1), line(down, right - 1));
            twice(&mut others[here], &other.cells[(y + 2) * columns + 2..][..wide]);
        }
        let count = high * wide;
        let parts = parts.each_ref().map(|part| &part[..count]);
        let sums = parts.map(|part| part.iter().map(|&x| i64::from(x)).sum::<i64>());
        // At most 510 each, and 784 of them.
        let product = |i: usize, j: usize| -> i32 {
            parts[i].iter().zip(parts[j]).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
        };
        let covariance = |i: usize, j: usize| (count as i64 * i64::from(product(i, j)) - sums[i] * sums[j]) as f64;
        let own = [0, 1, 2].map(|i| [0, 1, 2].map(|j| covariance(i, j)));
        let (with, whole) = ([0, 1, 2].map(|i| covariance(i, 3)), covariance(3, 3));
        let Some(by) = solved(own, with) else { return (0.0, [0.0; 2]) };
        let explained: f64 = by.iter().zip(with).map(|(by, with)| by * with).sum();
        if by[0] <= 0.0 || whole <= 0.0 {
            return (0.0, [0.0; 2]);
        }
        let further = [by[1] / by[0], by[2] / by[0]];
        let near = further.iter().all(|by| by.abs() <= 1.0);
        (if near { (explained / whole).clamp(0.0, 1.0).sqrt() } else { 0.0 }, further)
    }
}

/// The solution of three equations, by elimination; `None` if they do not settle it.
fn solved(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> Option<[f64; 3]> {
    let scale = [a[0][0], a[1][1], a[2][2]];
    for i in 0..3 {
        // Positive and symmetric, so the diagonal serves.
        if a[i][i] <= 1e-9 * scale[i] || a[i][i] <= 0.0 {
            return None;
        }
        let row = a[i];
        for j in i + 1..3 {
            let by = a[j][i] / row[i];
            a[j].iter_mut().zip(row).for_each(|(x, y)| *x -= by * y);
            b[j] -= by * b[i];
        }
    }
    for i in (0..3).rev() {
        for j in i + 1..3 {
            b[i] -= a[i][j] * b[j];
        }
        b[i] /= a[i][i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_pictures_look_like_nothing_and_small_ones_like_themselves() {
        assert!(Look::of_plane(&[7; 100], 10, 10).is_none() && Look::of_plane(&[], 0, 0).is_none());
        assert!(Look::of_plane(&[0, 255], 1, 2).is_some());
    }

    #[test]
    fn the_waves_are_those_of_the_cosine() {
        for at in 0..200 {
            let exact = 4096.0 * (std::f64::consts::PI * at as f64 / 32.0).cos();
            assert!((cosine(at) as f64 - exact).abs() <= 0.5, "{at}");
        }
    }
}
