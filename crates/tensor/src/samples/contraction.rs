//! Samples of matrix products and convolutions.

use super::*;
use crate::dtype::DType;
use crate::ops::conv::ConvOptions;

fn matmul_of(name: &str, a: &[usize], b: &[usize], seed: u64) -> Sample {
    sample(name, vec![line(a, seed), line(b, seed + 1)], |t| t[0].matmul(&t[1]))
}

pub(crate) fn matmul() -> Vec<Sample> {
    let big = |a: &[usize], b: &[usize], seed| vec![line(a, seed), line(b, seed + 1)];
    vec![
        matmul_of("plain", &[3, 4], &[4, 5], 1),
        matmul_of("batch", &[2, 3, 4], &[2, 4, 5], 3),
        matmul_of("batch broadcast on the right", &[2, 3, 4], &[4, 5], 5),
        matmul_of("batch broadcast on both sides", &[2, 1, 3, 4], &[3, 4, 2], 7),
        matmul_of("row and column", &[4], &[4], 9),
        matmul_of("row", &[4], &[4, 3], 11),
        matmul_of("column", &[3, 4], &[4], 13),
        matmul_of("column, batch", &[2, 3, 4], &[4], 15),
        matmul_of("size 1", &[1, 1], &[1, 1], 17),
        matmul_of("nothing inside", &[3, 0], &[0, 2], 19),
        matmul_of("nothing inside, batch", &[2, 3, 0], &[2, 0, 2], 21),
        matmul_of("no rows", &[0, 3], &[3, 2], 23),
        matmul_of("no columns", &[2, 3], &[3, 0], 25),
        matmul_of("no batch", &[0, 2, 3], &[3, 2], 27),
        sample("left transposed", vec![line(&[4, 3], 29), line(&[4, 5], 30)], |t| t[0].transpose(0, 1).matmul(&t[1])),
        sample("right transposed", vec![line(&[3, 4], 31), line(&[5, 4], 32)], |t| t[0].matmul(&t[1].transpose(0, 1))),
        sample("both transposed", vec![line(&[4, 3], 33), line(&[5, 4], 34)], |t| {
            t[0].transpose(0, 1).matmul(&t[1].transpose(0, 1))
        }),
        sample("flipped, every other", vec![line(&[3, 4], 35), line(&[8, 5], 36)], |t| {
            t[0].flip(1).matmul(&t[1].slice(0, 0, 8, 2))
        }),
        sample("expanded", vec![line(&[3, 1], 37), line(&[1, 5], 38)], |t| {
            t[0].expand([3, 4]).matmul(&t[1].expand([4, 5]))
        }),
        sample("square of itself", vec![line(&[4, 4], 39)], |t| t[0].matmul(&t[0])),
        sample("odd sizes", big(&[7, 37], &[37, 19], 40), |t| t[0].matmul(&t[1])),
        values("one long row", big(&[1, 5003], &[5003, 3], 42), |t| t[0].matmul(&t[1])),
        values("one long column", big(&[61, 700], &[700, 1], 44), |t| t[0].matmul(&t[1])),
        values("beyond one tile", big(&[65, 130], &[130, 97], 46), |t| t[0].matmul(&t[1])),
        values("beyond one tile, transposed", big(&[130, 65], &[97, 130], 48), |t| {
            t[0].transpose(0, 1).matmul(&t[1].transpose(0, 1))
        }),
        values("batch of transposed", big(&[3, 40, 17], &[3, 40, 21], 50), |t| t[0].transpose(1, 2).matmul(&t[1])),
        values("heads side by side", big(&[2, 9, 3, 8], &[2, 9, 3, 8], 52), |t| {
            t[0].permute(&[0, 2, 1, 3]).matmul(&t[1].permute(&[0, 2, 3, 1]))
        }),
        values("special", vec![special().reshaped(shape(&[4, 6])), line(&[6, 3], 54)], |t| t[0].matmul(&t[1])),
    ]
}

/// A convolution to sample: stride, padding and dilation are the same along every axis.
struct Case {
    name: &'static str,
    x: &'static [usize],
    w: &'static [usize],
    stride: usize,
    padding: usize,
    dilation: usize,
    groups: usize,
    small: bool,
}

impl Case {
    const fn new(name: &'static str, x: &'static [usize], w: &'static [usize]) -> Case {
        Case { name, x, w, stride: 1, padding: 0, dilation: 1, groups: 1, small: true }
    }

    const fn steps(mut self, stride: usize, padding: usize, dilation: usize) -> Case {
        (self.stride, self.padding, self.dilation) = (stride, padding, dilation);
        self
    }

    const fn groups(mut self, groups: usize) -> Case {
        self.groups = groups;
        self
    }

    /// Too many products for differences.
    const fn large(mut self) -> Case {
        self.small = false;
        self
    }

    fn options(&self) -> ConvOptions {
        let spatial = self.x.len() - 2;
        ConvOptions {
            stride: vec![self.stride; spatial],
            padding: vec![self.padding; spatial],
            dilation: vec![self.dilation; spatial],
            groups: self.groups,
        }
    }

    fn y(&self) -> Vec<usize> {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F64);
        zeros(self.x).conv(&zeros(self.w), &self.options()).dims().to_vec()
    }

    /// `build` on two inputs of shapes `a` and `b`.
    fn sample(
        &self,
        a: &[usize],
        b: &[usize],
        seed: u64,
        build: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
    ) -> Sample {
        let sample = sample(self.name, vec![line(a, seed), line(b, seed + 1)], move |t| build(&t[0], &t[1]));
        Sample { differentiable: self.small, ..sample }
    }
}

const CASES: [Case; 23] = [
    Case::new("plain", &[2, 3, 5, 6], &[4, 3, 3, 2]),
    Case::new("padding", &[1, 2, 4, 5], &[3, 2, 3, 3]).steps(1, 1, 1),
    Case::new("stride", &[1, 2, 7, 6], &[2, 2, 3, 3]).steps(2, 1, 1),
    Case::new("stride leaves a rest", &[1, 1, 8, 7], &[2, 1, 2, 2]).steps(3, 0, 1),
    Case::new("dilation", &[1, 2, 7, 6], &[2, 2, 3, 2]).steps(1, 2, 2),
    Case::new("stride and dilation", &[1, 2, 9, 8], &[2, 2, 2, 3]).steps(2, 2, 3),
    Case::new("groups", &[2, 4, 4, 3], &[6, 2, 3, 2]).steps(1, 1, 1).groups(2),
    Case::new("depthwise", &[2, 3, 5, 4], &[3, 1, 3, 3]).steps(1, 1, 1).groups(3),
    Case::new("depthwise, two each", &[1, 2, 5, 5], &[4, 1, 3, 3]).steps(2, 1, 1).groups(2),
    Case::new("1x1", &[2, 3, 3, 4], &[5, 3, 1, 1]),
    Case::new("1x1, stride", &[1, 2, 5, 5], &[3, 2, 1, 1]).steps(2, 0, 1),
    Case::new("the whole input", &[2, 2, 3, 3], &[3, 2, 3, 3]),
    Case::new("size 1", &[1, 1, 1, 1], &[1, 1, 1, 1]),
    Case::new("no batch", &[0, 2, 4, 4], &[3, 2, 3, 3]),
    Case::new("no channels in", &[2, 0, 4, 4], &[3, 0, 3, 3]),
    Case::new("no channels out", &[2, 1, 4, 4], &[0, 1, 3, 3]),
    Case::new("one dimension", &[2, 2, 9], &[3, 2, 3]).steps(2, 1, 1),
    Case::new("three dimensions", &[1, 2, 3, 4, 3], &[2, 2, 2, 2, 2]).steps(1, 1, 1),
    Case::new("three dimensions, groups", &[1, 2, 3, 3, 4], &[2, 1, 2, 1, 3]).steps(2, 1, 1).groups(2),
    Case::new("beyond one tile", &[2, 17, 11, 13], &[35, 17, 3, 3]).steps(1, 1, 1).large(),
    Case::new("the whole input, beyond one tile", &[21, 17, 5, 5], &[70, 17, 5, 5]).steps(2, 0, 1).large(),
    Case::new("wide depthwise", &[1, 9, 20, 37], &[9, 1, 3, 3]).steps(1, 1, 1).groups(9).large(),
    Case::new("long, one dimension", &[2, 3, 700], &[4, 3, 7]).steps(2, 3, 1).large(),
];

pub(crate) fn conv() -> Vec<Sample> {
    let mut samples: Vec<Sample> = CASES
        .iter()
        .zip(1..)
        .map(|(case, seed)| {
            let options = case.options();
            case.sample(case.x, case.w, 2 * seed, move |x, w| x.conv(w, &options))
        })
        .collect();
    let options = ConvOptions { padding: vec![1, 0], stride: vec![1, 2], ..ConvOptions::new(2) };
    samples.push(sample("each axis its own", vec![line(&[1, 2, 4, 7], 60), line(&[3, 2, 3, 2], 61)], move |t| {
        t[0].conv(&t[1], &options)
    }));
    samples.push(sample(
        "channels last, weight flipped",
        vec![line(&[2, 4, 5, 3], 62), line(&[2, 3, 2, 2], 63)],
        |t| t[0].permute(&[0, 3, 1, 2]).conv(&t[1].flip(2).flip(3), &ConvOptions::new(2)),
    ));
    samples.push(sample("expanded", vec![line(&[1, 1, 4, 4], 64), line(&[2, 3, 2, 2], 65)], |t| {
        t[0].expand([2, 3, 4, 4]).conv(&t[1], &ConvOptions::new(2))
    }));
    let padded = ConvOptions { padding: vec![2], ..ConvOptions::new(1) };
    samples.push(values("special", vec![special().reshaped(shape(&[2, 2, 6])), line(&[1, 2, 3], 66)], move |t| {
        t[0].conv(&t[1], &padded)
    }));
    samples
}

pub(crate) fn conv_input() -> Vec<Sample> {
    let mut samples: Vec<Sample> = CASES
        .iter()
        .zip(1..)
        .map(|(case, seed)| {
            let (options, y) = (case.options(), case.y());
            // What the strides leave over at the end.
            let spatial = case.x.len() - 2;
            let rest = |axis: usize| {
                let span = case.dilation * (case.w[2 + axis] - 1) + 1;
                case.x[2 + axis] + 2 * case.padding - span - (y[2 + axis] - 1) * case.stride
            };
            let rest: Vec<usize> = (0..spatial).map(rest).collect();
            case.sample(&y, case.w, 100 + 2 * seed, move |dy, w| dy.conv_transpose(w, &options, &rest))
        })
        .collect();
    let special = vec![line(&[5, 2, 1, 1], 162), special().reshaped(shape(&[2, 3, 2, 2]))];
    samples.push(values("one window, special", special, |t| t[0].conv_transpose(&t[1], &ConvOptions::new(2), &[])));
    samples.push(sample("strided inputs", vec![line(&[1, 3, 4, 2], 160), line(&[2, 3, 2, 2], 161)], |t| {
        t[0].permute(&[0, 3, 1, 2]).conv_transpose(&t[1].flip(3), &ConvOptions::new(2), &[])
    }));
    samples
}

pub(crate) fn conv_weight() -> Vec<Sample> {
    CASES
        .iter()
        .zip(1..)
        .map(|(case, seed)| {
            let (options, w) = (case.options(), case.w);
            case.sample(case.x, &case.y(), 200 + 2 * seed, move |x, dy| {
                let w = Tensor::zeros(w, x.dtype());
                x.conv(&w, &options).vector_jacobian(dy, [&w]).remove(0)
            })
        })
        .collect()
}
