//! Fused kernels and the binding of variables, case by case, against the reference interpreter.

use std::sync::Arc;

use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;
use tensor::{Array, ConvOptions, DType, ErrorKind, RandomKey, Shape, Tensor, Values, Var, reference};

fn values(dims: &[usize], dtype: DType, seed: u64) -> Tensor {
    let shape = Shape::new(dims).unwrap();
    let key = RandomKey::new(seed);
    let values = (0..shape.count() as u64).map(|i| f64::from(key.uniform(i) * 6.0 - 3.0)).collect();
    Tensor::from_array(Array::of::<f64>(shape, values).cast(dtype))
}

fn bits(array: &Array) -> Vec<u64> {
    match array.values() {
        Values::I64(v) => v.iter().map(|&x| x as u64).collect(),
        _ => array.to_f64().iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect(),
    }
}

/// Runs what `build` makes, fused and not, on 1 and 3 threads and at every vector width, and compares with the reference.
fn check(name: &str, build: impl Fn() -> Vec<Tensor>) {
    let wanted = build();
    let wanted = reference::evaluate(&wanted.iter().collect::<Vec<_>>()).unwrap();
    let widths = Simd::available().into_iter().map(|simd| Cpu::with(3, simd.level()));
    for cpu in [1, 2, 8].map(Cpu::new).into_iter().chain(widths) {
        let cpu = cpu.unwrap();
        let (threads, width) = (cpu.machine().pool.threads(), cpu.machine().simd.level());
        for fused in [true, false] {
            let graph = build();
            let graph: Vec<&Tensor> = graph.iter().collect();
            let found = if fused { cpu.run(&graph, &[]) } else { cpu.run_unfused(&graph, &[]) }.unwrap();
            for (output, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let same = bits(found) == bits(wanted);
                assert!(same, "{name}: output {output}, {threads} threads, {width}, fused {fused}");
            }
        }
    }
}

#[test]
fn sums_keep_their_order_at_the_borders_of_lanes_and_blocks() {
    for n in [0, 1, 15, 16, 17, 255, 512, 700, 4095, 4096, 4097, 8192, 70_001] {
        for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8] {
            check(&format!("rows of {n} {dtype}"), || {
                let x = values(&[7, n], dtype, 1);
                vec![x.sum(1), x.sum(..), x.prod(1)]
            });
        }
        check(&format!("columns of {n}"), || vec![values(&[n, 5], DType::F32, 2).sum(0)]);
    }
}

#[test]
fn several_sums_of_columns_keep_their_order_whoever_makes_which_chain() {
    // One block and some, rows that are no multiple of the chains, more columns than a tile has.
    for dims in [[1100, 256], [4096, 300], [8205, 257], [300, 1500]] {
        check(&format!("columns of {dims:?}"), || {
            let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
            let (mean, scale) = (values(&[dims[0], 1], DType::F32, 3), values(&[1, dims[1]], DType::F32, 4));
            let both = [(&x - &mean) * &dy, dy.clone()].map(|terms| terms.sum(0));
            let [weight, bias] = &both;
            vec![weight * 2.0 + bias, weight.clone(), (&x * &scale).max(0)]
        });
    }
    // A value of every point is stored where two sums are made.
    check("two sums and a store", || {
        let (a, b) = (values(&[700, 300], DType::F32, 1), values(&[700, 300], DType::F32, 2));
        let product = &a * &b;
        vec![product.sum(0), b.sum(0), product]
    });
}

#[test]
fn a_sum_of_columns_keeps_its_order_by_whole_rows() {
    // One block and some; columns of one tile and of several, few rows and few columns, and more of them than a tile takes.
    for dims in [[4100, 300], [700, 129], [16, 1025], [40, 257], [2000, 65], [130, 4096], [70, 4100]] {
        for dtype in [DType::F32, DType::F64, DType::I64] {
            check(&format!("a sum of {dtype} columns of {dims:?} and what is summed"), || {
                let (x, y) = (values(&dims, dtype, 1), values(&dims, dtype, 2));
                let kept = x.keep_where(&y.gt(0));
                vec![kept.sum(0), kept]
            });
        }
        check(&format!("the largest of columns of {dims:?}, with numbers for rows and columns"), || {
            let (row, column) = (values(&[1, dims[1]], DType::F32, 3), values(&[dims[0], 1], DType::F32, 4));
            vec![(values(&dims, DType::F32, 1) * &row + &column).max(0)]
        });
    }
}

#[test]
fn sums_of_columns_made_beside_whole_rows_keep_their_order() {
    // Rows that are no multiple of the chains, fewer than they are, more than a block; rows too long for several at a time.
    for dims in [[700, 256], [7, 1024], [16, 300], [4101, 257], [37, 1100], [35, 3000], [20, 4096]] {
        check(&format!("layer norm of {dims:?}"), || {
            let [x, dy] = [1, 2].map(|seed| values(&dims, DType::F32, seed));
            let [scale, bias] = [3, 4].map(|seed| values(&[dims[1]], DType::F32, seed));
            let y = x.layer_norm(1, 1e-5) * &scale + &bias;
            let mut all = (&y * &dy).sum(..).grad([&x, &scale, &bias]);
            all.push(y);
            all
        });
        check(&format!("a scale alone, of {dims:?}, the gradient behind the forward pass"), || {
            let [x, dy] = [1, 2].map(|seed| values(&dims, DType::F32, seed));
            let scale = values(&[dims[1]], DType::F32, 3);
            let y = (x.layer_norm(1, 1e-5) * &scale).cumsum(-1);
            (y * &dy).sum(..).grad([&x, &scale])
        });
    }
    // Sums of columns of which others are made, and rows of the same values.
    for dims in [[8, 256], [100, 300], [600, 256]] {
        check(&format!("variances of the columns of {dims:?} and shares of the rows"), || {
            let x = values(&dims, DType::F32, 1);
            let centred = &x - x.mean_keep(0);
            vec![x.softmax(-1), (&centred * &centred).mean_keep(0)]
        });
    }
    // No rows, in memory that has been used before.
    let cpu = Cpu::new(2).unwrap();
    let used = values(&[300, 257], DType::F32, 7).softmax(0).cumsum(1).sum(0);
    cpu.run(&[&used], &[]).unwrap();
    let [x, dy] = [1, 2].map(|seed| values(&[0, 256], DType::F32, seed));
    let scale = values(&[256], DType::F32, 3);
    let gradient = ((x.layer_norm(1, 1e-5) * &scale) * &dy).sum(..).grad([&scale]).remove(0);
    assert!(cpu.run(&[&gradient], &[]).unwrap()[0].to_f64().iter().all(|&number| number == 0.0));
    // What the columns read lies in other rows than the one that was just made, or the rows read what the columns make.
    check("rows and columns that wait for each other", || {
        let [x, dy] = [1, 2].map(|seed| values(&[256, 256], DType::F32, seed));
        let share = x.softmax(-1);
        let turned = [share.flip(0), share.transpose(0, 1), share.clone()].map(|share| (share * &dy).sum(0));
        let largest = x.max(1);
        let [forth, back] = [largest.clone(), largest.flip(0)].map(|most| (&dy * most.unsqueeze(1)).sum(0));
        let shares = (&x / x.sum(0)).softmax(-1);
        turned.into_iter().chain([forth, back, (&dy * &largest).sum(0), shares, share]).collect()
    });
}

#[test]
fn what_is_computed_again_has_the_same_bits() {
    for dims in [[1, 1], [1, 40], [40, 1], [3, 17], [257, 16], [9, 300], [5, 4097], [4097, 5]] {
        for kept in [false, true] {
            check(&format!("norms of {dims:?}, kept {kept}"), || {
                let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
                let scale = values(&dims[1..], DType::F32, 3);
                let centred = &x - x.mean_keep(-1);
                let normal = &centred * ((&centred * &centred).mean_keep(-1) + 1e-5).rsqrt();
                let y = (&normal * &scale).relu();
                // The order of a transposed copy keeps the gradient apart from the forward pass.
                let turned = (&y * 2.0).transpose(0, 1).cumsum(0).transpose(0, 1);
                let grads = (turned * &dy).sum(..).grad([&x, &scale]);
                let mut outputs =
                    vec![y, (&normal * &dy).sum(0), (&dy * 1.0).sum(0), grads[0].clone(), grads[1].clone()];
                if kept {
                    outputs.extend([centred, normal.transpose(0, 1), &normal * 1.0]);
                }
                outputs
            });
        }
    }
}

#[test]
fn large_values_that_wait_for_the_gradient_have_the_same_bits_the_second_time() {
    for limited in [false, true] {
        check(&format!("normalised layers, limited: {limited}"), || {
            let weights: Vec<Tensor> = (0..5).map(|layer| values(&[64, 64], DType::F32, 10 + layer)).collect();
            let mut y = values(&[4097, 64], DType::F32, 1);
            for (layer, weight) in weights.iter().enumerate() {
                let x = y.matmul(weight);
                let normal = (&x - x.mean_keep(0)) * (x.var_keep(0, 0.0) + 1e-5).rsqrt();
                let normal = if limited { normal.relu6() } else { normal.relu() };
                y = if layer % 2 == 1 { normal + &y } else { normal };
            }
            (&y * &y).mean(..).grad(&weights)
        });
    }
}

#[test]
fn any_axes_fold() {
    for axes in 1u8..16 {
        let axes: Vec<isize> = (0..4).filter(|axis| axes >> axis & 1 == 1).collect();
        for dims in [[5, 7, 3, 33], [2, 300, 1, 9], [40, 2, 17, 20], [70, 40, 9, 8]] {
            check(&format!("{axes:?} of {dims:?}"), || {
                let x = values(&dims, DType::F32, 3);
                vec![x.sum(axes.as_slice()), x.max(axes.as_slice()), (&x * &x).min(axes.as_slice())]
            });
        }
    }
}

#[test]
fn elements_repeat_along_rows_of_any_length() {
    for (dims, times) in [([3, 5, 7], 2), ([2, 1, 700], 3), ([40, 33, 31], 2), ([5, 3, 1], 1500), ([1, 1, 5000], 4)] {
        for dtype in [DType::F32, DType::F64, DType::U8] {
            check(&format!("{dims:?} {times} times, {dtype}"), || {
                let x = values(&dims, dtype, 3);
                let [a, b, c] = dims;
                let long = x.unsqueeze(-1).expand([a, b, c, times]);
                let copied = long.reshape([a, b, c * times]);
                vec![
                    &copied * &copied,
                    copied,
                    x.unsqueeze(2).expand([a, b, 2, c]).reshape([a, 2 * b, c]),
                    long.sum(-1),
                ]
            });
        }
    }
}

#[test]
fn parts_of_several_rows_hold_for_every_dtype() {
    let (dims, axes) = ([70, 41, 9, 8], [0isize, 2, 3]);
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8] {
        check(&format!("{dtype}"), || {
            let x = values(&dims, dtype, 3);
            let places = Tensor::iota(dims, 2, dtype);
            vec![x.sum(axes), x.max(axes), (&x * &places).sum(axes), x.prod(axes)]
        });
    }
    for axes in [&axes[..], &[-1]] {
        check(&format!("random numbers, {axes:?}"), || {
            let noise = Tensor::normal(dims, RandomKey::new(4), DType::F32);
            let places = Tensor::iota(dims, 3, DType::F32);
            vec![(values(&dims, DType::F32, 3) * &noise).sum(axes), noise.max(axes), (places * 2.0).sum(axes)]
        });
    }
}

#[test]
fn softmax_and_normalisation_hold_for_short_long_and_strided_rows() {
    for (dims, axis) in [
        ([64, 10], 1),
        ([7, 3000], 1),
        ([3, 20_000], 1),
        ([1, 50_000], 1),
        ([300, 37], 0),
        ([5000, 3], 0),
        ([9, 700], 0),
    ] {
        check(&format!("{dims:?} along {axis}"), || {
            let x = values(&dims, DType::F32, 4);
            let centred = &x - x.mean_keep([axis]);
            let normal = &centred * ((&centred * &centred).mean_keep([axis]) + 1e-5).rsqrt();
            vec![x.softmax(axis), x.log_softmax(axis), normal, x.transpose(0, 1).softmax(axis)]
        });
    }
}

#[test]
fn statistics_over_batch_and_space_hold() {
    for dims in [[8, 4, 6, 6], [2, 3, 64, 65], [16, 70, 7, 7]] {
        check(&format!("{dims:?}"), || {
            let x = values(&dims, DType::F32, 5);
            let axes = [0isize, 2, 3];
            let normal = (&x - x.mean_keep(axes)) * (x.var_keep(axes, 0.0) + 1e-5).rsqrt();
            let scale = values(&[1, dims[1], 1, 1], DType::F32, 6);
            let y = (&normal * &scale).relu();
            let gradients = (&y * &y).sum(..).grad([&x, &scale]);
            vec![y, gradients[0].clone(), gradients[1].clone()]
        });
    }
}

#[test]
fn normalisations_hold_with_scale_shift_residual_and_gradients() {
    for dims in [
        [1, 1],
        [1, 40],
        [3, 17],
        [70, 128],
        [5, 129],
        [33, 300],
        [9, 1025],
        [2, 4099],
        [4099, 5],
        [40, 512],
        [1030, 300],
    ] {
        check(&format!("rows of {dims:?}"), || {
            let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
            let [scale, shift] = [3, 4].map(|seed| values(&dims[1..], DType::F32, seed));
            let y = x.layer_norm(1, 1e-5) * &scale + &shift;
            let mut all = ((&y + &x).relu() * &dy).sum(..).grad([&x, &scale, &shift]);
            all.push(y);
            all
        });
        check(&format!("columns of {dims:?}"), || {
            let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
            let y = (&x - x.mean_keep(0)) * x.var(0, 0.0).reshape([1, dims[1]]).sqrt() + &dy;
            let mut all = (&y * &dy).sum(..).grad([&x]);
            all.push(y);
            all
        });
    }
    // The last of these are read in parts of several rows.
    let few = [[2, 3, 5, 7], [3, 2, 12, 12], [2, 130, 4, 4], [5, 4, 33, 31], [1, 2, 40, 26], [64, 3, 7, 7]];
    let parts = [[500, 41, 3, 3], [130, 81, 7, 5], [40, 100, 16, 8], [20, 130, 15, 16], [64, 40, 7, 7]];
    for dims in few.into_iter().chain(parts) {
        check(&format!("channels of {dims:?}"), || {
            let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
            let [scale, shift] = [3, 4].map(|seed| values(&[1, dims[1], 1, 1], DType::F32, seed));
            let [normal, ..] = x.batch_norm(1e-5);
            let y = normal * &scale + &shift;
            let mut all = ((&y + &dy).relu() * &dy).sum(..).grad([&x, &scale, &shift]);
            all.push(y);
            all
        });
    }
}

#[test]
fn channels_are_summed_and_written_in_the_pieces_that_they_lie_in() {
    // Pieces of whole groups of chains and not, tiles and blocks that end within pieces, rows of a few channels and of many.
    let dims = [[3, 5, 14, 14], [2, 3, 33, 37], [5, 2, 40, 120], [17, 33, 13, 15], [9, 20, 16, 16], [40, 70, 14, 15]];
    for dims in dims {
        let build = |x: &dyn Fn() -> Tensor| {
            let (x, dy) = (x(), values(&dims, DType::F32, 2));
            let [scale, shift] = [3, 4].map(|seed| values(&[1, dims[1], 1, 1], DType::F32, seed));
            let [normal, ..] = x.batch_norm(1e-5);
            let y = normal * &scale + &shift;
            let mut all = (&y * &dy).sum(..).grad([&x, &scale, &shift]);
            all.extend([y.relu(), y.clamp(-0.5, 1.5), &y + &dy, (&y + &dy).relu(), y]);
            all
        };
        let x = || values(&dims, DType::F32, 1);
        check(&format!("channels of {dims:?}"), || build(&x));
        // One at a time, since together they are one program that other loops serve.
        for output in 0..8 {
            check(&format!("output {output} of channels of {dims:?}"), || vec![build(&x).swap_remove(output)]);
        }
        // What is written is read again: summed, and a part of another sum of products.
        check(&format!("what is made of what is written, {dims:?}"), || {
            let (x, dy) = (values(&dims, DType::F32, 1), values(&dims, DType::F32, 2));
            let [normal, ..] = x.batch_norm(1e-5);
            let y = normal * values(&[1, dims[1], 1, 1], DType::F32, 3) + values(&[1, dims[1], 1, 1], DType::F32, 4);
            let axes = [0isize, 2, 3];
            let (sum, squares) = (y.sum_keep(axes), (&y * &y).sum_keep(axes));
            let z = (&y - &sum) * &squares + &dy * &sum;
            vec![y, sum, squares, z]
        });
        check(&format!("zeros below zero, {dims:?}"), || vec![build(&|| x() * -0.0).swap_remove(3)]);
        let infinite = || {
            let mut numbers = vec![1.0f32; dims.iter().product()];
            numbers[7] = f32::INFINITY;
            Tensor::from_vec::<f32>(numbers, dims)
        };
        check(&format!("one infinite, {dims:?}"), || vec![build(&infinite).swap_remove(0)]);
    }
}

#[test]
fn gelu_and_its_slope_made_together_are_each_what_they_are_alone() {
    for dims in [[1, 1], [1, 9], [7, 1], [3, 17], [33, 300], [4099, 5], [2, 8200]] {
        check(&format!("{dims:?}"), || {
            let (x, scale) = (values(&dims, DType::F32, 1), values(&dims[1..], DType::F32, 2));
            let place = &x * 4.0 + &scale;
            let (y, slope) = (place.gelu(), place.gelu_slope());
            // Also of one value, of numbers of a column and of what lies turned in memory.
            let of_one = scale.sum(..);
            let turned = x.permute(&[1, 0]) + 0.5;
            vec![
                y.sum(0),
                &slope * &y,
                &y * 2.0,
                slope,
                scale.gelu() * &x + scale.gelu_slope(),
                of_one.gelu() + &x * of_one.gelu_slope(),
                turned.gelu(),
                turned.gelu_slope(),
            ]
        });
        check(&format!("{dims:?} in f64"), || {
            let x = values(&dims, DType::F64, 1) * 4.0;
            vec![x.gelu(), x.gelu_slope()]
        });
    }
    check("behind a convolution and a norm", || {
        let (x, w) = (values(&[3, 4, 9, 9], DType::F32, 1), values(&[8, 4, 3, 3], DType::F32, 2));
        let [normal, ..] = x.conv(&w, &ConvOptions::new(2)).batch_norm(1e-5);
        let y = normal.gelu();
        let mut all = (&y * &y).sum(..).grad([&x, &w]);
        all.push(y);
        all
    });
}

#[test]
fn sums_of_products_keep_signs_of_zero_and_what_is_not_finite() {
    let special = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-40, 3e38];
    let of = |rows: usize, columns: usize, step: usize| {
        let values = (0..rows * columns).map(|i| special[(i * step + i / columns) % special.len()]).collect();
        Tensor::from_array(Array::of::<f64>(Shape::new(&[rows, columns]).unwrap(), values).cast(DType::F32))
    };
    for columns in [1, 7, 16, 33, 200] {
        check(&format!("special rows of {columns}"), || {
            let (x, y) = (of(30, columns, 1), of(30, columns, 3));
            let (row, column) = (of(30, 1, 7), of(1, columns, 3));
            let sums = x.sum_keep(1);
            vec![
                (&x - &row) * &row * &column,
                (&x - &row) * &column + &row,
                (&x * &row) + (&y - &row) * &row + &sums,
                (&x - &y) * &y + &x * &column + &sums,
                (&x * &y) * &row + &column,
                sums,
            ]
        });
    }
}

#[test]
fn a_product_feeds_what_follows_it_in_any_size() {
    for (m, k, n) in [
        (64, 20, 30),
        (1, 300, 500),
        (200, 70, 130),
        (500, 3, 2),
        (3, 0, 4),
        (130, 130, 1),
        (1, 784, 512),
        (4, 600, 512),
        (5, 600, 512),
        (512, 700, 3),
    ] {
        check(&format!("{m} {k} {n}"), || {
            let (x, w) = (values(&[m, k], DType::F32, 7), values(&[n, k], DType::F32, 8));
            let z = x.matmul(&w.transpose(0, 1)) + values(&[n], DType::F32, 9);
            vec![z.relu(), z.gt(0.0), z.tanh().sum(0)]
        });
    }
}

#[test]
fn what_follows_a_convolution_with_a_single_window_holds() {
    check("a step", || {
        let (x, w) = (values(&[300, 8, 4, 4], DType::F32, 1), values(&[160, 8, 4, 4], DType::F32, 2));
        let b = values(&[160, 1, 1], DType::F32, 3);
        let y = (x.conv(&w, &ConvOptions::new(2)) + &b).relu();
        let [dx, dw, db] = (&y * &y).sum(..).grad([&x, &w, &b]).try_into().unwrap();
        vec![y, dx * 0.5, &w - dw * 0.1, &b - db * 0.1]
    });
}

#[test]
fn products_of_permuted_and_reversed_batches_hold() {
    check("heads", || {
        let split = |seed| values(&[3, 9, 4, 8], DType::F32, seed).permute(&[0, 2, 1, 3]);
        let (q, k, v) = (split(1), split(2), split(3));
        let scores = (q.matmul(&k.transpose(-1, -2)) * 0.3).softmax(-1);
        vec![scores.matmul(&v), q.flip(0).matmul(&k.transpose(-1, -2)).relu(), q.flip(-1).matmul(&k.transpose(-1, -2))]
    });
}

#[test]
fn random_numbers_are_those_of_their_element_wherever_they_are_made() {
    check("random", || {
        let key = RandomKey::new(3).stream("dropout");
        let u = Tensor::uniform([70, 301], key, DType::F32);
        let x = values(&[70, 301], DType::F32, 1);
        let kept = (&x / 0.8).keep_where(&u.lt(0.8));
        vec![
            kept.sum(1),
            kept,
            Tensor::normal([5, 7, 13], key, DType::F32).sum(0),
            Tensor::normal([99], key, DType::F64),
        ]
    });
}

fn variable(name: &str, values: Vec<f32>) -> Var {
    Var::new(name, Array::of(Shape::new(&[values.len()]).unwrap(), values))
}

fn floats(value: &Arc<Array>) -> &[f32] {
    value.as_slice().unwrap()
}

#[test]
fn a_snapshot_keeps_its_value_when_the_variable_is_updated_in_place() {
    let cpu = Cpu::new(1).unwrap();
    let w = variable("w", vec![1.0, 2.0, 3.0]);
    let snapshot = w.value();
    cpu.run(&[], &[w.update(&(w.tensor() * 2.0))]).unwrap();
    assert_eq!(floats(&snapshot), [1.0, 2.0, 3.0]);
    assert_eq!(floats(&w.value()), [2.0, 4.0, 6.0]);
}

#[test]
fn updates_see_the_values_before_the_run() {
    let cpu = Cpu::new(1).unwrap();
    let (a, b) = (variable("a", vec![1.0, 2.0]), variable("b", vec![10.0, 20.0]));
    for _ in 0..3 {
        let (x, y) = (a.tensor(), b.tensor());
        cpu.run(&[], &[a.update(&y), b.update(&(&x + &y))]).unwrap();
    }
    assert_eq!(floats(&a.value()), [21.0, 42.0]);
    assert_eq!(floats(&b.value()), [32.0, 64.0]);
}

#[test]
fn gelu_may_take_the_place_of_what_its_slope_is_taken_of() {
    let numbers: Vec<f32> = (0..5000).map(|i| i as f32 * 0.002 - 5.0).collect();
    let x = Tensor::from_vec(numbers.clone(), [5000]);
    let wanted = reference::evaluate(&[&x.gelu(), &x.gelu_slope()]).unwrap();
    for threads in [1, 3] {
        let cpu = Cpu::new(threads).unwrap();
        let (a, b) = (variable("a", numbers.clone()), variable("b", vec![0.0; 5000]));
        cpu.run(&[], &[a.update(&a.tensor().gelu()), b.update(&a.tensor().gelu_slope())]).unwrap();
        assert_eq!(bits(&a.value()), bits(&wanted[0]));
        assert_eq!(bits(&b.value()), bits(&wanted[1]));
        let (a, b) = (variable("a", numbers.clone()), variable("b", vec![0.0; 5000]));
        cpu.run(&[], &[b.update(&a.tensor().gelu()), a.update(&a.tensor().gelu_slope())]).unwrap();
        assert_eq!(bits(&b.value()), bits(&wanted[0]));
        assert_eq!(bits(&a.value()), bits(&wanted[1]));
    }
}

#[test]
fn running_statistics_join_the_convolution_as_they_were_before_their_update() {
    let (x, w) = (values(&[2, 3, 9, 9], DType::F32, 1), values(&[4, 3, 3, 3], DType::F32, 2));
    let statistics = || [variable("mean", vec![0.5, -1.0, 0.0, 2.0]), variable("var", vec![1.0, 0.25, 3.0, 0.0])];
    let build = |[mean, var]: [&Tensor; 2]| {
        let seen = |of: &Tensor| of.reshape([1, 4, 1, 1]);
        let y = x.conv(&w, &ConvOptions::new(2));
        let scale = (var + 1e-5).rsqrt();
        ((&y - seen(mean)) * seen(&scale)).relu()
    };
    let [mean, var] = statistics();
    let graph = build([&Tensor::from_array(mean.value()), &Tensor::from_array(var.value())]);
    let wanted = reference::evaluate(&[&graph]).unwrap();
    for threads in [1, 3] {
        let [mean, var] = statistics();
        let cpu = Cpu::new(threads).unwrap();
        let y = build([&mean.tensor(), &var.tensor()]);
        let kernels = cpu.plan(&[&y], &[]).unwrap().steps.len();
        assert!(kernels <= 2, "the scale, and the convolution with all that follows it: {kernels} kernels");
        let updates = [mean.update(&(mean.tensor() * 0.5)), var.update(&(var.tensor() + y.mean([0, 2, 3])))];
        let found = cpu.run(&[&y], &updates).unwrap();
        assert_eq!(bits(&found[0]), bits(&wanted[0]), "{threads} threads");
        assert_eq!(floats(&mean.value()), [0.25, -0.5, 0.0, 1.0]);
    }
}

#[test]
fn an_index_out_of_range_is_an_error_that_leads_home_and_changes_nothing() {
    let cpu = Cpu::new(1).unwrap();
    let w = variable("w", vec![1.0, 2.0, 3.0]);
    let update = w.update(&(w.tensor() + 1.0));
    let picked = values(&[3, 2], DType::F32, 1).index_select(0, &Tensor::from_vec(vec![0i64, 3], [2]));
    let error = cpu.run(&[&picked], &[update]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(error.op(), "index_select");
    assert!(error.to_string().contains("index 3 (element 1 of the index) is out of range for 3 entries"), "{error}");
    assert!(error.to_string().contains("fused.rs"), "{error}");
    assert_eq!(floats(&w.value()), [1.0, 2.0, 3.0]);
    // The graph is not stale: nothing has changed.
    cpu.run(&[&(w.tensor() * 2.0)], &[]).unwrap();
}

#[test]
fn one_value_may_be_asked_for_under_two_shapes() {
    let cpu = Cpu::new(1).unwrap();
    let x = values(&[2, 3], DType::F32, 1).exp();
    let flat = x.reshape([6]);
    let found = cpu.run(&[&x, &flat, &x], &[]).unwrap();
    assert_eq!((found[0].dims_of(), found[1].dims_of(), found[2].dims_of()), (vec![2, 3], vec![6], vec![2, 3]));
    assert_eq!(bits(&found[0]), bits(&found[1]));
}

trait Dims {
    fn dims_of(&self) -> Vec<usize>;
}
impl Dims for Arc<Array> {
    fn dims_of(&self) -> Vec<usize> {
        self.shape().to_vec()
    }
}

#[test]
fn one_value_a_row_lies_where_its_label_says() {
    for dims in [[1, 1], [3, 17], [257, 16], [9, 300], [5, 4097], [700, 5], [2, 9000]] {
        let [rows, columns] = dims;
        // The first place, the last, one in between; and some that no row has.
        let places = [0, columns as i64 - 1, columns as i64 / 2, -1, columns as i64];
        let labels = || Tensor::from_vec((0..rows).map(|row| places[row % 5]).collect(), [rows, 1]);
        check(&format!("a value in each of {rows} rows of {columns}"), || {
            let x = values(&dims, DType::F32, 1);
            let here = Tensor::iota(dims, 1, DType::I64).eq(labels());
            let (sums, most) = (x.sum_keep(1), x.max_keep(1));
            let of_row = sums.where_else(&here, -0.0);
            // Also the other way round, of one value, and where a mask is wanted too.
            let turned =
                Tensor::full([1, 1], 3.0, DType::F32).where_else(&labels().eq(Tensor::iota(dims, 1, DType::I64)), 1.5);
            vec![of_row + (&x - most).exp(), turned * &x - x.mean_keep(1), here.cast(DType::F32) * x.sum_keep(1)]
        });
        if columns > 1 {
            check(&format!("the gradient of a cross-entropy of {rows} x {columns}"), || {
                let x = values(&dims, DType::F32, 1);
                let labels = Tensor::from_vec((0..rows).map(|row| places[row % 3]).collect(), [rows]);
                let loss = x.cross_entropy(&labels);
                let slope = loss.grad([&x]).remove(0);
                vec![loss, slope]
            });
        }
    }
    // Columns, and a class axis that is not the last.
    check("classes of pixels", || {
        let x = values(&[3, 7, 50], DType::F32, 1);
        let labels = Tensor::from_vec((0..150).map(|i| i % 7).collect::<Vec<i64>>(), [3, 50]);
        let loss = x.cross_entropy(&labels);
        let slope = loss.grad([&x]).remove(0);
        vec![loss, slope]
    });
}
