//! Tensors as pictures: filters and feature maps as tiles, matrices as heat maps.

use data::Image;
use tensor::Array;

/// Tiles in a row and in a column, at most.
const MOST_TILES: usize = 16;
/// Sides of a picture, at most: what lies beyond is cut off.
const MOST_SIDE: usize = 2048;
/// Small tiles are shown at least this large.
const LEAST_TILE: usize = 24;
/// A heat map is at least this wide or high.
const LEAST_SIDE: usize = 384;
/// Grey lines between tiles.
const GAP: usize = 2;

/// A picture of the elements. `[.., H, W]` of rank 3 and more: the last two axes are tiles, the one before them runs to the
/// right, all others downwards. `[H, W]` is one heat map, `[W]` a row of it. Numbers below and above 0 are blue and red, 0 is
/// white; if none is below, 0 is black and the largest white. What is no number is green.
pub fn picture(array: &Array) -> Image {
    let dims: Vec<usize> = array.shape().to_vec();
    let size = |back: usize| dims.len().checked_sub(back).map_or(1, |axis| dims[axis]);
    let (width, height, across) = (size(1), size(2), size(3));
    let down: usize = dims.iter().take(dims.len().saturating_sub(3)).product();
    let tiled = dims.len() > 2;
    let gap = if tiled { GAP } else { 0 };
    let shown = |tiles: usize, side: usize| tiles.min(MOST_TILES).min((MOST_SIDE / (side + gap).max(1)).max(1));
    let (columns, lines) = (shown(across, width).max(1), shown(down, height).max(1));
    let zoom =
        if tiled { LEAST_TILE.div_ceil(height.min(width).max(1)) } else { LEAST_SIDE / height.max(width).max(1) };
    let zoom = zoom.max(1);
    let (width_shown, height_shown) = (width.min(MOST_SIDE / zoom), height.min(MOST_SIDE / zoom));
    // (An empty tensor has no cells, and is one grey line.)
    let (cell_x, cell_y) = ((width_shown * zoom + gap).max(1), (height_shown * zoom + gap).max(1));
    let scale = Scale::of(array);
    let at = |x: usize, y: usize| -> Option<f64> {
        let (x, y) = (x.checked_sub(gap)?, y.checked_sub(gap)?);
        let (column, line) = (x / cell_x, y / cell_y);
        let (x, y) = (x % cell_x / zoom, y % cell_y / zoom);
        if column >= columns || line >= lines || x >= width_shown || y >= height_shown {
            return None;
        }
        Some(array.get_f64(((line * across + column) * height + y) * width + x))
    };
    Image::from_fn(3, lines * cell_y + gap, columns * cell_x + gap, |channel, y, x| {
        at(x, y).map_or(0.5, |value| scale.colour(value)[channel])
    })
}

/// How numbers become colours.
struct Scale {
    most: f64,
    signed: bool,
}

impl Scale {
    fn of(array: &Array) -> Scale {
        let finite = (0..array.shape().count()).map(|at| array.get_f64(at)).filter(|x| x.is_finite());
        let (most, signed) = finite.fold((0.0f64, false), |(most, signed), x| (most.max(x.abs()), signed || x < 0.0));
        Scale { most: most.max(f64::MIN_POSITIVE), signed }
    }

    fn colour(&self, value: f64) -> [f32; 3] {
        if value.is_nan() {
            return [0.0, 1.0, 0.0];
        }
        let share = (value / self.most).clamp(-1.0, 1.0) as f32;
        let pale = 1.0 - share.abs();
        match (self.signed, share < 0.0) {
            (false, _) => [share; 3],
            (true, false) => [1.0, pale, pale],
            (true, true) => [pale, pale, 1.0],
        }
    }
}

#[cfg(test)]
mod tests {
    use tensor::Shape;

    use super::*;

    fn array(dims: &[usize]) -> Array {
        let count = dims.iter().product();
        Array::of(Shape::new(dims).unwrap(), (0..count).map(|x| x as f32 - count as f32 / 2.0).collect())
    }

    #[test]
    fn every_shape_has_a_picture_of_bounded_size() {
        for (dims, shape) in [
            (vec![], [3, 384, 384]),
            (vec![5], [3, 76, 380]),
            (vec![10, 84], [3, 40, 336]),
            (vec![6, 1, 5, 5], [3, 6 * 27 + 2, 29]),
            (vec![64, 40, 28, 28], [3, 16 * 30 + 2, 16 * 30 + 2]),
            (vec![2, 3, 4, 6, 6], [3, 6 * 26 + 2, 4 * 26 + 2]),
            (vec![1, 5000], [3, 1, 2048]),
            (vec![0, 4], [3, 1, 384]),
        ] {
            let image = picture(&array(&dims));
            assert_eq!(image.shape(), shape, "{dims:?}");
        }
    }

    #[test]
    fn below_0_is_blue_above_is_red_and_nan_is_green() {
        let image = picture(&Array::of(Shape::new(&[1, 4]).unwrap(), vec![-2.0f32, 0.0, 2.0, f32::NAN]));
        let side = image.width / 4;
        let colour = |n: usize| [0, 1, 2].map(|c| image.at(c, 0, n * side + 1));
        assert_eq!(
            [colour(0), colour(1), colour(2), colour(3)],
            [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        );
    }
}
