use super::*;
use crate::gemm::Tile;
use crate::pool::Pool;
use crate::simd::Simd;

pub(super) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

pub(super) fn machines() -> Vec<Machine> {
    let mut all = Vec::new();
    for simd in Simd::available() {
        for threads in [1, 2, 3, 8] {
            all.push(Machine { pool: Pool::new(threads), simd });
        }
    }
    all
}

/// Every (output position, kernel position) with the input position, or `None` outside.
fn looks(g: &ConvGeometry, p: usize, t: usize) -> Option<usize> {
    let split = |i: usize, s: [usize; 3]| [i / s[1] / s[2], i / s[2] % s[1], i % s[2]];
    let (p, t) = (split(p, g.output), split(t, g.kernel));
    let mut at = 0;
    for a in 0..3 {
        let place = (p[a] * g.stride[a] + t[a] * g.dilation[a]).checked_sub(g.padding[a])?;
        if place >= g.input[a] {
            return None;
        }
        at = at * g.input[a] + place;
    }
    Some(at)
}

/// Whether input position q looks through kernel position t at a whole output position, inside or not.
fn whole(g: &ConvGeometry, q: usize, t: usize) -> bool {
    let split = |i: usize, s: [usize; 3]| [i / s[1] / s[2], i / s[2] % s[1], i % s[2]];
    let (q, t) = (split(q, g.input), split(t, g.kernel));
    let moved = |a: usize| (q[a] + g.padding[a]) as isize - (t[a] * g.dilation[a]) as isize;
    (0..3).all(|a| moved(a).rem_euclid(g.stride[a] as isize) == 0)
}

/// The specification of the three, literally.
struct Plain<'a>(&'a ConvGeometry);

impl Plain<'_> {
    fn forward(&self, x: &[f32], w: &[f32]) -> Vec<f32> {
        let g = self.0;
        let (og, cg, taps) = (g.group_outputs(), g.group_channels(), g.taps());
        let (plane, positions) = (g.input_positions(), g.output_positions());
        let mut y = vec![0.0f32; g.batch * g.outputs * positions];
        for (i, sum) in y.iter_mut().enumerate() {
            let (n, o, p) = (i / positions / g.outputs, i / positions % g.outputs, i % positions);
            for c in 0..cg {
                for t in 0..taps {
                    let x = looks(g, p, t).map_or(0.0, |at| x[(n * g.channels + o / og * cg + c) * plane + at]);
                    *sum = w[(o * cg + c) * taps + t].mul_add(x, *sum);
                }
            }
        }
        y
    }

    fn input_gradient(&self, w: &[f32], dy: &[f32]) -> Vec<f32> {
        let g = self.0;
        let (og, cg, taps) = (g.group_outputs(), g.group_channels(), g.taps());
        let (plane, positions) = (g.input_positions(), g.output_positions());
        let mut from = vec![None; plane * taps];
        for p in 0..positions {
            for t in 0..taps {
                if let Some(q) = looks(g, p, t) {
                    from[q * taps + t] = Some(p);
                }
            }
        }
        let mut dx = vec![0.0f32; g.batch * g.channels * plane];
        for (i, sum) in dx.iter_mut().enumerate() {
            let (n, c, q) = (i / plane / g.channels, i / plane % g.channels, i % plane);
            for o in c / cg * og..(c / cg + 1) * og {
                for t in (0..taps).filter(|&t| whole(g, q, t)) {
                    let dy = from[q * taps + t].map_or(0.0, |p| dy[(n * g.outputs + o) * positions + p]);
                    *sum = w[(o * cg + c % cg) * taps + t].mul_add(dy, *sum);
                }
            }
        }
        dx
    }

    fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let g = self.0;
        let (og, cg, taps) = (g.group_outputs(), g.group_channels(), g.taps());
        let (plane, positions) = (g.input_positions(), g.output_positions());
        let mut dw = vec![0.0f32; g.outputs * cg * taps];
        for (i, sum) in dw.iter_mut().enumerate() {
            let (o, c, t) = (i / taps / cg, i / taps % cg, i % taps);
            for n in 0..g.batch {
                for p in 0..positions {
                    let x = looks(g, p, t).map_or(0.0, |at| x[(n * g.channels + o / og * cg + c) * plane + at]);
                    *sum = dy[(n * g.outputs + o) * positions + p].mul_add(x, *sum);
                }
            }
        }
        dw
    }
}

type Axes = [usize; 3];

#[allow(clippy::too_many_arguments)]
pub(super) fn geometry(
    n: usize,
    g: usize,
    c: usize,
    o: usize,
    i: Axes,
    k: Axes,
    s: Axes,
    p: Axes,
    d: Axes,
) -> ConvGeometry {
    let output = [0, 1, 2].map(|a| (i[a] + 2 * p[a] - (k[a] - 1) * d[a] - 1) / s[a] + 1);
    ConvGeometry {
        batch: n,
        groups: g,
        channels: c,
        outputs: o,
        input: i,
        kernel: k,
        output,
        stride: s,
        padding: p,
        dilation: d,
    }
}

fn geometries() -> Vec<ConvGeometry> {
    let one = [1, 1, 1];
    let none = [0, 0, 0];
    let mut all = vec![
        geometry(2, 1, 1, 6, [1, 28, 28], [1, 5, 5], one, [0, 2, 2], one),
        geometry(2, 1, 6, 16, [1, 14, 14], [1, 5, 5], one, none, one),
        geometry(3, 1, 3, 17, [1, 11, 13], [1, 3, 3], [1, 2, 2], [0, 1, 1], one),
        geometry(1, 1, 23, 40, [1, 9, 7], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 1, 19, 20, [1, 10, 10], [1, 1, 1], one, none, one),
        geometry(2, 1, 5, 7, [1, 9, 9], [1, 1, 1], [1, 2, 2], none, one),
        geometry(2, 2, 6, 8, [1, 12, 9], [1, 3, 2], [1, 2, 1], [0, 1, 0], [1, 1, 3]),
        geometry(2, 1, 4, 5, [1, 1, 50], [1, 1, 7], [1, 1, 3], [0, 0, 3], [1, 1, 2]),
        geometry(2, 1, 3, 4, [5, 6, 7], [3, 2, 3], [2, 1, 2], [1, 1, 1], [1, 2, 1]),
        geometry(1, 1, 2, 3, [1, 4, 4], [1, 4, 4], [1, 2, 2], [0, 3, 3], one),
        geometry(2, 9, 9, 9, [1, 10, 35], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 18, 18, 36, [1, 9, 9], [1, 5, 5], [1, 2, 2], [0, 2, 2], one),
        geometry(2, 3, 3, 3, [3, 5, 70], [3, 3, 3], [1, 1, 2], [1, 2, 0], [1, 2, 1]),
        // Channels apart: rows of each width of vectors, all numbers of rows that are left, several channels at a time.
        geometry(2, 9, 9, 9, [1, 3, 3], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 40, 40, 40, [1, 6, 6], [1, 5, 5], one, [0, 2, 2], one),
        geometry(1, 3, 3, 6, [1, 13, 24], [1, 3, 3], one, [0, 1, 1], one),
        geometry(1, 2, 2, 2, [1, 9, 48], [1, 3, 3], one, [0, 1, 1], one),
        geometry(1, 2, 2, 2, [2, 7, 64], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 5, 5, 5, [1, 23, 20], [1, 3, 3], [1, 2, 2], [0, 1, 1], one),
        geometry(2, 3, 3, 12, [1, 15, 20], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 3, 3, 3, [1, 7, 9], [1, 1, 1], [1, 2, 2], none, one),
        // Channels abreast without samples, without an input, with more padding than kernel, with a target that is cropped.
        geometry(0, 20, 20, 20, [1, 6, 6], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 20, 20, 20, [1, 0, 0], [1, 3, 3], one, [0, 2, 2], one),
        geometry(2, 20, 20, 20, [1, 4, 5], [1, 3, 3], [1, 2, 2], [0, 4, 4], one),
        geometry(2, 20, 20, 20, [1, 8, 9], [1, 2, 2], [1, 3, 3], [0, 0, 0], one),
        // Channels abreast, some lanes idle: with strides, kernels of more than one axis, phases without a tap, and rows turned one by one.
        geometry(2, 19, 19, 19, [1, 7, 9], [1, 3, 3], [1, 2, 2], [0, 1, 1], one),
        geometry(2, 10, 10, 10, [3, 5, 6], [2, 3, 3], [2, 1, 2], [1, 1, 2], [1, 2, 1]),
        geometry(3, 35, 35, 35, [1, 5, 6], [1, 1, 1], [1, 2, 3], none, one),
        geometry(2, 8, 8, 8, [1, 8, 40], [1, 5, 3], [1, 2, 2], [0, 2, 1], one),
        // Large canvases of small planes: few are drawn at a time.
        geometry(2, 5, 5, 5, [1, 33, 33], [1, 3, 3], one, none, [1, 16, 16]),
        // Rows of one to four vectors, full or nearly; tall tiles of few output channels, in groups too.
        geometry(3, 1, 2, 6, [1, 9, 30], [1, 5, 5], one, [0, 2, 2], one),
        geometry(5, 1, 1, 8, [1, 7, 16], [1, 3, 3], one, [0, 1, 1], one),
        geometry(2, 1, 4, 13, [2, 5, 12], [2, 3, 3], one, [1, 1, 1], one),
        geometry(2, 1, 3, 28, [1, 6, 24], [1, 3, 3], one, [0, 1, 1], one),
        geometry(3, 2, 6, 10, [1, 6, 15], [1, 3, 2], [1, 2, 2], [0, 1, 1], one),
        // Few outputs: tiles of one to three outputs and one to four rows of the kernel, each length of a row, groups, steps, depth.
        geometry(2, 1, 2, 1, [1, 9, 11], [1, 3, 8], one, [0, 1, 3], one),
        geometry(3, 1, 3, 4, [1, 9, 11], [1, 3, 7], [1, 1, 2], [0, 1, 3], one),
        geometry(2, 1, 5, 7, [1, 8, 10], [1, 2, 6], [1, 2, 1], [0, 4, 7], [1, 2, 1]),
        geometry(2, 2, 4, 16, [2, 5, 9], [2, 3, 4], [1, 2, 3], [1, 1, 1], one),
        geometry(0, 1, 2, 3, [1, 9, 9], [1, 3, 3], one, none, one),
        // Vectors along the channels, more positions than are turned together.
        geometry(2, 1, 3, 16, [1, 13, 13], [1, 5, 5], one, [0, 2, 2], one),
        // Windows that do not overlap.
        geometry(3, 2, 6, 10, [1, 8, 10], [1, 2, 2], [1, 2, 2], none, one),
        geometry(2, 1, 5, 7, [4, 6, 9], [2, 3, 3], [2, 3, 3], none, one),
        geometry(0, 1, 3, 4, [1, 5, 5], [1, 3, 3], one, none, one),
        geometry(1, 1, 0, 4, [1, 5, 5], [1, 3, 3], one, none, one),
    ];
    // Output sizes that no usual rule gives: more at the end, and less.
    all.push(ConvGeometry { output: [1, 9, 3], ..geometry(2, 1, 3, 4, [1, 5, 5], [1, 3, 3], one, none, one) });
    all.push(ConvGeometry { output: [1, 8, 2], ..geometry(2, 4, 4, 4, [1, 5, 5], [1, 3, 3], one, none, one) });
    all
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_width_and_thread_count_gives_the_bits_of_the_plain_loops() {
    let machines = machines();
    for g in geometries() {
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let w = numbers(g.outputs * g.group_channels() * g.taps(), 2);
        let dy = numbers(g.batch * g.outputs * g.output_positions(), 3);
        let plain = Plain(&g);
        let (y, dx, dw) = (plain.forward(&x, &w), plain.input_gradient(&w, &dy), plain.weight_gradient(&x, &dy));
        // An epilogue that tells each place from all others.
        let marked = |values: &[f32]| -> Vec<f32> { values.iter().zip(0..).map(|(x, i)| x + i as f32).collect() };
        let (m, n) = (g.group_outputs(), g.output_positions());
        for machine in &machines {
            let name = format!("{} x {}, {g:?}", machine.simd.level(), machine.pool.threads());
            for after in [false, true] {
                let epilogue = |rows: usize, columns: usize| {
                    move |mut tile: Tile<'_, f32>| {
                        for row in tile.rows.clone() {
                            let first = (tile.batch * rows + row) * columns + tile.cols.start;
                            tile.row(row).iter_mut().zip(first..).for_each(|(x, i)| *x += i as f32);
                        }
                    }
                };
                let expected = |values: &[f32]| if after { marked(values) } else { values.to_vec() };
                let mut found = vec![f32::NAN; y.len()];
                conv_forward(machine, &g, &x, &w, &mut found, after.then_some(&epilogue(m, n))).unwrap();
                assert!(bits(&found) == bits(&expected(&y)), "forward {name}");
                let mut found = vec![f32::NAN; dx.len()];
                let each = epilogue(g.group_channels(), g.input_positions());
                conv_input_gradient(machine, &g, &w, &dy, &mut found, after.then_some(&each)).unwrap();
                assert!(bits(&found) == bits(&expected(&dx)), "input gradient {name}");
                let mut found = vec![f32::NAN; dw.len()];
                let each = epilogue(m, g.group_channels() * g.taps());
                conv_weight_gradient(machine, &g, &x, &dy, &mut found, after.then_some(&each)).unwrap();
                assert!(bits(&found) == bits(&expected(&dw)), "weight gradient {name}");
            }
        }
    }
}

#[test]
fn one_picture_cut_among_threads_gives_the_bits_of_the_plain_loops() {
    let (one, two) = ([1, 1, 1], [1, 2, 2]);
    let shapes = [
        // A canvas cut into tiles, with more steps than a panel holds; and in three dimensions.
        geometry(1, 1, 37, 20, [1, 61, 47], [1, 3, 3], two, [0, 1, 1], one),
        geometry(1, 1, 13, 25, [5, 19, 18], [2, 3, 3], one, [0, 1, 1], one),
        // Few positions: weights read where they lie, in blocks of steps.
        geometry(1, 1, 600, 21, [1, 7, 7], [1, 1, 1], one, [0, 0, 0], one),
        geometry(2, 1, 70, 33, [1, 8, 8], [1, 3, 3], two, [0, 1, 1], one),
        geometry(1, 2, 180, 46, [1, 5, 5], [1, 3, 3], one, [0, 1, 1], one),
        geometry(1, 1, 90, 7, [1, 2, 2], [1, 1, 1], one, [0, 0, 0], one),
        // Patches of one position each, drawn; with steps of two and three.
        geometry(3, 1, 100, 30, [1, 21, 17], [1, 1, 1], two, [0, 0, 0], one),
        geometry(2, 1, 9, 11, [1, 40, 46], [1, 1, 1], [1, 3, 3], [0, 0, 0], one),
        geometry(5, 1, 33, 31, [1, 9, 9], [1, 3, 3], two, [0, 1, 1], one),
    ];
    for g in shapes {
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let w = numbers(g.outputs * g.group_channels() * g.taps(), 2);
        let expected: Vec<f32> = Plain(&g).forward(&x, &w).iter().map(|y| 2.0 * y).collect();
        for machine in machines() {
            let mut found = vec![f32::NAN; expected.len()];
            let double = |mut tile: Tile<'_, f32>| {
                for row in tile.rows.clone() {
                    tile.row(row).iter_mut().for_each(|value| *value *= 2.0);
                }
            };
            conv_forward(&machine, &g, &x, &w, &mut found, Some(&double)).unwrap();
            assert!(bits(&found) == bits(&expected), "{} x {}, {g:?}", machine.simd.level(), machine.pool.threads());
        }
    }
}

#[test]
fn small_planes_side_by_side_give_the_bits_of_each_sample_alone() {
    let one = [1, 1, 1];
    let shapes = [
        // In groups; rows that are no whole tiles.
        geometry(5, 2, 2 * 99, 2 * 107, [1, 3, 3], one, one, [0, 0, 0], one),
        // More samples than are taken at a time, and some left.
        geometry(45, 1, 260, 261, [1, 7, 7], one, one, [0, 0, 0], one),
        // Every second position.
        geometry(3, 1, 250, 260, [1, 9, 9], one, [1, 2, 2], [0, 0, 0], one),
    ];
    for g in shapes {
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let w = numbers(g.outputs * g.group_channels(), 2);
        let dy = numbers(g.batch * g.outputs * g.output_positions(), 3);
        let alone = ConvGeometry { batch: 1, ..g };
        let (from, to) = (g.channels * g.input_positions(), g.outputs * g.output_positions());
        for machine in machines().into_iter().filter(|machine| [1, 3].contains(&machine.pool.threads())) {
            let name = format!("{} x {}, {g:?}", machine.simd.level(), machine.pool.threads());
            let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
            let number = |mut tile: Tile<'_, f32>| {
                for row in tile.rows.clone() {
                    let number = tile.batch * 1000 + row;
                    tile.row(row).iter_mut().zip(number..).for_each(|(value, number)| *value += number as f32);
                }
            };
            conv_forward(&machine, &g, &x, &w, &mut y, Some(&number)).unwrap();
            conv_input_gradient(&machine, &g, &w, &dy, &mut dx, Some(&number)).unwrap();
            for sample in 0..g.batch {
                let number = |values: &mut [f32], rows: usize| {
                    let positions = values.len() / rows;
                    for (row, values) in values.chunks_mut(positions).enumerate() {
                        let (group, row) = (row / (rows / g.groups), row % (rows / g.groups));
                        let number = (sample * g.groups + group) * 1000 + row;
                        values.iter_mut().zip(number..).for_each(|(value, number)| *value += number as f32);
                    }
                };
                let (mut expected, mut slopes) = (vec![f32::NAN; to], vec![f32::NAN; from]);
                let (x, dy) = (&x[sample * from..][..from], &dy[sample * to..][..to]);
                conv_forward(&machine, &alone, x, &w, &mut expected, None).unwrap();
                conv_input_gradient(&machine, &alone, &w, dy, &mut slopes, None).unwrap();
                number(&mut expected, g.outputs);
                number(&mut slopes, g.channels);
                assert!(bits(&y[sample * to..][..to]) == bits(&expected), "forward of {sample}, {name}");
                assert!(bits(&dx[sample * from..][..from]) == bits(&slopes), "input gradient of {sample}, {name}");
            }
        }
    }
}

#[test]
fn weight_gradients_of_large_images_go_on_from_sample_to_sample() {
    let one = [1, 1, 1];
    // Outputs side by side, and rows of the kernel; one sample at a time, two, and one that is left.
    for g in [
        geometry(3, 1, 1, 5, [1, 500, 401], [1, 1, 2], one, [0, 0, 0], one),
        geometry(3, 1, 1, 5, [1, 250, 301], [1, 2, 3], one, [0, 1, 1], one),
        geometry(5, 2, 4, 4, [1, 180, 201], [1, 2, 4], [1, 2, 1], [0, 1, 2], [1, 3, 1]),
        geometry(5, 1, 1, 4, [1, 140, 151], [1, 2, 3], one, [0, 1, 1], one),
        geometry(5, 1, 2, 9, [1, 50, 51], [1, 2, 2], one, [0, 1, 0], one),
    ] {
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let dy = numbers(g.batch * g.outputs * g.output_positions(), 3);
        let expected = Plain(&g).weight_gradient(&x, &dy);
        for threads in [1, 3] {
            let machine = Machine { pool: Pool::new(threads), simd: Simd::detect() };
            let mut found = vec![f32::NAN; expected.len()];
            conv_weight_gradient(&machine, &g, &x, &dy, &mut found, None).unwrap();
            assert!(bits(&found) == bits(&expected), "{threads} threads, {g:?}");
        }
    }
}

#[test]
fn weight_gradients_of_many_outputs_give_the_bits_of_the_plain_loops() {
    let (one, two) = ([1, 1, 1], [1, 2, 2]);
    let shapes = [
        // One sample at a time; rows of 7; blocks of steps that begin within rows, where kernels reach beyond the image.
        geometry(3, 1, 40, 33, [1, 170, 160], [1, 1, 2], two, [0, 0, 0], one),
        geometry(3, 1, 20, 40, [1, 14, 14], [1, 3, 3], two, [0, 1, 1], one),
        geometry(3, 1, 3, 40, [4, 21, 22], [3, 7, 7], two, [1, 3, 3], one),
        geometry(2, 2, 10, 70, [1, 13, 11], [1, 3, 3], one, [0, 2, 2], two),
    ];
    for g in shapes {
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let dy = numbers(g.batch * g.outputs * g.output_positions(), 3);
        let expected = Plain(&g).weight_gradient(&x, &dy);
        for simd in Simd::available() {
            let machine = Machine { pool: Pool::new(2), simd };
            let mut found = vec![f32::NAN; expected.len()];
            conv_weight_gradient(&machine, &g, &x, &dy, &mut found, None).unwrap();
            assert!(bits(&found) == bits(&expected), "{}, {g:?}", simd.level());
        }
    }
}

#[test]
fn an_infinite_weight_meets_the_zeros_of_the_padding() {
    let g = geometry(1, 1, 1, 1, [1, 3, 3], [1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1]);
    let (x, mut w) = (vec![1.0; 9], vec![1.0; 9]);
    w[0] = f32::INFINITY;
    for machine in machines() {
        let mut y = vec![0.0; 9];
        conv_forward(&machine, &g, &x, &w, &mut y, None).unwrap();
        assert!(y[0].is_nan(), "inf * 0 is in the chain");
        assert_eq!(y[8], f32::INFINITY);
    }
}

#[test]
fn f64_agrees_with_f32_and_its_adjoints_are_adjoint() {
    let machine = Machine { pool: Pool::new(2), simd: Simd::detect() };
    for g in geometries() {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let x = numbers(g.batch * g.channels * g.input_positions(), 1);
        let w = numbers(g.outputs * g.group_channels() * g.taps(), 2);
        let dy = wide(&numbers(g.batch * g.outputs * g.output_positions(), 3));
        let narrow = Plain(&g).forward(&x, &w);
        let (x, w) = (wide(&x), wide(&w));
        let (mut y, mut dx, mut dw) = (vec![1.0; dy.len()], vec![1.0; x.len()], vec![1.0; w.len()]);
        conv_forward_f64(&machine, &g, &x, &w, &mut y).unwrap();
        conv_input_gradient_f64(&machine, &g, &w, &dy, &mut dx).unwrap();
        conv_weight_gradient_f64(&machine, &g, &x, &dy, &mut dw).unwrap();
        assert!(y.iter().zip(&narrow).all(|(wide, &narrow)| (wide - f64::from(narrow)).abs() < 1e-4));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (whole, by_x, by_w) = (dot(&y, &dy), dot(&x, &dx), dot(&w, &dw));
        assert!((whole - by_x).abs() < 1e-9 && (whole - by_w).abs() < 1e-9, "{g:?}: {whole} {by_x} {by_w}");
    }
}

#[test]
fn wrong_sizes_are_errors() {
    let machine = Machine { pool: Pool::new(1), simd: Simd::SCALAR };
    let g = geometry(1, 1, 2, 3, [1, 4, 4], [1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1]);
    let mut y = vec![0.0; 48];
    let mut forward = |g: &ConvGeometry, x: usize| conv_forward(&machine, g, &vec![0.0; x], &[0.0; 54], &mut y, None);
    assert_eq!(forward(&g, 32), Ok(()));
    assert_eq!(forward(&g, 31), Err(ConvError::Length { operand: "x", expected: 32, found: 31 }));
    assert!(matches!(forward(&ConvGeometry { groups: 2, ..g }, 32), Err(ConvError::Groups { .. })));
    assert!(matches!(forward(&ConvGeometry { stride: [1, 0, 1], ..g }, 32), Err(ConvError::Step { .. })));
    assert!(matches!(forward(&ConvGeometry { input: [usize::MAX; 3], ..g }, 32), Err(ConvError::Overflow { .. })));
    // Small planes, but no canvas for them.
    let (stride, padding) = ([(1 << 22) - 1; 3], [1 << 21; 3]);
    let many = ConvGeometry { channels: 1024, outputs: 8, stride: [1 << 17; 3], padding: [65540; 3], ..g };
    let many = ConvGeometry { input: [1; 3], output: [1; 3], kernel: [3; 3], ..many };
    assert!(matches!(forward(&many, 1024), Err(ConvError::Overflow { .. })));
    let far = ConvGeometry { input: [1; 3], output: [2; 3], kernel: [3; 3], stride, padding, ..g };
    assert!(matches!(forward(&far, 2), Err(ConvError::Overflow { .. })));
}
