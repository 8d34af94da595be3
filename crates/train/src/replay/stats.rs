//! What can be said of a tensor in a few numbers.

use tensor::Array;

/// Bars of a histogram.
const BARS: usize = 16;

/// Figures of the elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Elements.
    pub count: usize,
    /// The smallest finite one; NaN if there is none. As `max`, `mean` and `std`, of finite elements alone.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of the population).
    pub std: f64,
    /// Length: the root of the sum of squares.
    pub norm: f64,
    /// Elements that are 0.
    pub zeros: usize,
    /// Elements that are NaN.
    pub nan: usize,
    /// Elements that are infinite.
    pub infinite: usize,
    /// Finite elements in each of 16 equal parts from `min` to `max`.
    pub histogram: Vec<usize>,
}

impl Stats {
    /// Of an array of any dtype; sums are taken in f64.
    pub fn of(array: &Array) -> Stats {
        let count = array.shape().count();
        let all = || (0..count).map(|at| array.get_f64(at));
        let finite = || all().filter(|x| x.is_finite());
        let number = finite().count().max(1) as f64;
        let (min, max) = finite().fold((f64::NAN, f64::NAN), |(min, max), x| (x.min(min), x.max(max)));
        let mean = finite().sum::<f64>() / number;
        let std = (finite().map(|x| (x - mean) * (x - mean)).sum::<f64>() / number).sqrt();
        let mut histogram = vec![0; BARS];
        finite().for_each(|x| {
            let place = if max > min { (x - min) / (max - min) * BARS as f64 } else { 0.0 };
            histogram[(place as usize).min(BARS - 1)] += 1;
        });
        Stats {
            count,
            min,
            max,
            mean,
            std,
            norm: finite().map(|x| x * x).sum::<f64>().sqrt(),
            zeros: all().filter(|&x| x == 0.0).count(),
            nan: all().filter(|x| x.is_nan()).count(),
            infinite: all().filter(|x| x.is_infinite()).count(),
            histogram,
        }
    }

    /// The histogram as one line of text: the taller a bar, the more elements.
    pub fn bars(&self) -> String {
        const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.histogram.iter().copied().max().unwrap_or(0).max(1);
        // Whatever is there is seen.
        self.histogram.iter().map(|&bar| BLOCKS[(bar * 8).div_ceil(most)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use tensor::Shape;

    use super::*;

    #[test]
    fn numbers_that_are_none_are_counted_and_left_out() {
        let values = vec![0.0f32, 1.0, 2.0, 3.0, f32::NAN, f32::INFINITY];
        let stats = Stats::of(&Array::of(Shape::new(&[6]).unwrap(), values));
        assert_eq!((stats.count, stats.zeros, stats.nan, stats.infinite), (6, 1, 1, 1));
        assert_eq!((stats.min, stats.max, stats.mean), (0.0, 3.0, 1.5));
        assert!((stats.std - 1.25f64.sqrt()).abs() < 1e-12 && (stats.norm - 14f64.sqrt()).abs() < 1e-12);
        assert_eq!((stats.histogram[0], stats.histogram[15], stats.bars().chars().count()), (1, 1, 16));
        let none = Stats::of(&Array::of(Shape::new(&[1]).unwrap(), vec![f32::NAN]));
        assert!(none.min.is_nan() && none.bars() == " ".repeat(16));
    }
}
