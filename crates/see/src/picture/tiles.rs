//! Filters and feature maps as tiles.

use data::Image;
use tensor::Array;

use super::colour::heat;
use crate::net::floats;

/// White between tiles, in pixels.
const GAP: usize = 2;

/// Filter `number` of `weight [K, C, H, W]`, by itself: 0 is grey, its largest number in size black or white. Three channels are
/// red, green and blue; of other numbers of channels the mean is shown.
pub fn filter(weight: &Array, number: usize) -> Image {
    let &[_, channels, height, width] = &weight.shape()[..] else { return Image::filled(1, 1, 1, 0.5) };
    let (size, values) = (height * width, floats(weight));
    let of = |c: usize, at: usize| values.get((number * channels + c) * size + at).copied().unwrap_or(0.0);
    let shown = if channels == 3 { 3 } else { 1 };
    let value = |c: usize, at: usize| match shown {
        3 => of(c, at),
        _ => (0..channels).map(|c| of(c, at)).sum::<f32>() / channels.max(1) as f32,
    };
    let most = (0..shown * size).map(|i| value(i / size, i % size).abs()).fold(0.0f32, f32::max);
    let scale = if most > 0.0 { 0.5 / most } else { 0.0 };
    Image::from_fn(shown, height, width, |c, y, x| 0.5 + scale * value(c, y * width + x))
}

/// The filters `which` of `weight [K, C, H, W]`, `columns` in a row, each pixel `zoom` pixels large.
pub fn filter_sheet(weight: &Array, which: &[usize], columns: usize, zoom: usize) -> Image {
    let tiles: Vec<Image> = which.iter().map(|&number| filter(weight, number)).collect();
    tile_sheet(&tiles, columns, zoom)
}

/// The maps of row `row` of `maps [N, K, H, W]`, each by itself: from black, its smallest number, to pale yellow, its largest.
pub fn feature_maps(maps: &Array, row: usize, columns: usize, zoom: usize) -> Image {
    let &[rows, count, height, width] = &maps.shape()[..] else { return Image::filled(1, 1, 1, 0.5) };
    let (size, values) = (height * width, floats(maps));
    let map = |number: usize| {
        let values = &values[(row.min(rows.saturating_sub(1)) * count + number) * size..][..size];
        let (least, most) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let span = (most - least).max(f32::MIN_POSITIVE);
        Image::from_fn(3, height, width, |c, y, x| heat((values[y * width + x] - least) / span)[c])
    };
    let tiles: Vec<Image> = if values.is_empty() { Vec::new() } else { (0..count).map(map).collect() };
    tile_sheet(&tiles, columns, zoom)
}

/// Pictures of one size side by side on white, `columns` in a row.
pub fn tile_sheet(tiles: &[Image], columns: usize, zoom: usize) -> Image {
    let Some(&Image { channels, height, width, .. }) = tiles.first() else { return Image::filled(1, 1, 1, 1.0) };
    let (columns, zoom) = (columns.clamp(1, tiles.len()), zoom.max(1));
    let (cell_y, cell_x) = (height * zoom + GAP, width * zoom + GAP);
    let lines = tiles.len().div_ceil(columns);
    Image::from_fn(channels, lines * cell_y - GAP, columns * cell_x - GAP, |c, y, x| {
        let tile = tiles.get(y / cell_y * columns + x / cell_x);
        let (y, x) = (y % cell_y / zoom, x % cell_x / zoom);
        tile.filter(|_| y < height && x < width).map_or(1.0, |tile| tile.at(c, y, x))
    })
}

#[cfg(test)]
mod tests {
    use tensor::Shape;

    use super::*;

    #[test]
    fn tiles_stand_side_by_side_each_on_its_own_scale() {
        let weight = Array::of(
            Shape::new(&[3, 1, 2, 2]).unwrap(),
            vec![1.0f32, 0.0, -1.0, 0.5, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        );
        let sheet = filter_sheet(&weight, &[0, 1, 2], 2, 3);
        assert_eq!(sheet.shape(), [1, 14, 14]);
        assert_eq!((sheet.at(0, 0, 0), sheet.at(0, 0, 3), sheet.at(0, 3, 0)), (1.0, 0.5, 0.0));
        assert_eq!((sheet.at(0, 0, 8), sheet.at(0, 0, 6), sheet.at(0, 9, 0), sheet.at(0, 9, 9)), (1.0, 1.0, 0.5, 1.0));
        let maps = Array::of(Shape::new(&[1, 2, 2, 2]).unwrap(), vec![0.0f32, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0]);
        let sheet = feature_maps(&maps, 0, 4, 1);
        assert_eq!(sheet.shape(), [3, 2, 6]);
        assert_eq!((sheet.at(0, 1, 1), sheet.at(0, 0, 0)), (heat(1.0)[0], heat(0.0)[0]));
    }
}
