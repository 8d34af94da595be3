//! Chains of joined instructions, square tiles and windows against the reference interpreter: bit for bit at every vector
//! width, at the edges of strips and tiles, with numbers that are none.

use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;
use tensor::{Array, DType, PoolOptions, RandomKey, Shape, Tensor, Update, Var, reference};

/// Numbers of which some are zero, infinite, tiny or none at all.
fn odd(dims: &[usize], seed: u64) -> Array {
    let shape = Shape::new(dims).unwrap();
    let key = RandomKey::new(seed);
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-40, 1.0];
    let values = (0..shape.count() as u64).map(|i| {
        let x = f64::from(key.uniform(i));
        if x < 0.2 { special[(x * 40.0) as usize] } else { x * 6.0 - 4.0 }
    });
    Array::of::<f64>(shape, values.collect()).cast(DType::F32)
}

/// Numbers without surprises, whose sums show their order.
fn even(dims: &[usize], seed: u64) -> Array {
    let shape = Shape::new(dims).unwrap();
    let key = RandomKey::new(seed);
    let values = (0..shape.count() as u64).map(|i| f64::from(key.uniform(i)) * 3.0 - 1.0);
    Array::of::<f64>(shape, values.collect()).cast(DType::F32)
}

fn bits(array: &Array) -> Vec<u64> {
    array.to_f64().iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect()
}

/// Runs what `build` makes at every vector width and compares with the reference.
fn check(name: &str, build: impl Fn() -> Vec<Tensor>) {
    let wanted = build();
    let wanted = reference::evaluate(&wanted.iter().collect::<Vec<_>>()).unwrap();
    for simd in Simd::available() {
        for threads in [1, 3] {
            let cpu = Cpu::with(threads, simd.level()).unwrap();
            let graph = build();
            let found = cpu.run(&graph.iter().collect::<Vec<_>>(), &[]).unwrap();
            for (output, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert!(bits(found) == bits(wanted), "{name}: output {output}, {}, {threads} threads", simd.level());
            }
        }
    }
}

const EDGES: [usize; 17] = [0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 1023, 1025, 5000];

#[test]
fn chains_round_like_their_parts_at_the_edges_of_strips() {
    for n in EDGES {
        check(&format!("{n} points"), || {
            let [a, b, c] = [1, 2, 3].map(|seed| Tensor::from_array(odd(&[n], seed)));
            let s = Tensor::scalar(0.37f32);
            vec![
                // Every step, with the value in hand on either side.
                (((&a + &b) * &c - &a) / &b - (&s - &c)) * 2.0,
                &c / (&b - (&a / (&s * &b + 1.0)).sqrt()) + &a,
                ((&a * &a).rsqrt() + b.recip()).abs().maximum(&c).minimum(&s) - &b,
                (a.relu() * 0.5 + &a).clamp(-1.0, 2.0) * &b - (-&c),
                // A value that is read twice, and later.
                (&a - &b) * (&a - &b) + ((&a - &b) + (&a - &b)) / ((&a - &b) * 3.0 + 1.0),
                // Sums of products.
                &a * &b + &b * &c + &c * &a + &a * 0.5,
                a.maximum(&b).maximum(&(&c * 2.0 - 1.0)).minimum(&(&a + &c)) * &s,
            ]
        });
    }
}

#[test]
fn chains_over_rows_and_columns_round_like_their_parts() {
    for dims in [[1, 1], [3, 5], [17, 64], [64, 17], [5, 1025], [300, 9], [130, 130]] {
        check(&format!("{dims:?}"), || {
            let [x, y] = [1, 2].map(|seed| Tensor::from_array(odd(&dims, seed)));
            let (row, column) = (Tensor::from_array(odd(&dims[1..], 3)), Tensor::from_array(odd(&[dims[0], 1], 4)));
            let centred = (&x - x.mean_keep(1)) * &row + &column * &y - 0.5;
            let of_columns = ((&y - y.mean_keep(0)) * &column + &row) / (&x * 2.0 + 3.0);
            vec![centred.clone(), centred.sum(1), of_columns.clone(), of_columns.sum(0)]
        });
    }
}

#[test]
fn sums_made_together_keep_their_order_at_the_edges_of_tiles_and_blocks() {
    // Rows that fit a tile; that do not; in pieces that begin with any of the 16 chains, or are gathered.
    let rows = [[3, 1, 1, 40], [2, 1, 1, 128], [3, 1, 1, 255], [2, 1, 1, 1000], [1, 1, 1, 4097], [2, 1, 1, 9000]];
    let pieces = [[3, 2, 7, 7], [40, 2, 7, 7], [9, 3, 10, 25], [2, 1, 63, 65], [5, 2, 40, 49], [23, 3, 20, 10]];
    for dims in rows.into_iter().chain(pieces) {
        for axes in [[0isize, 2, 3].as_slice(), [2, 3].as_slice()] {
            for numbers in [odd, even] {
                check(&format!("{dims:?} over {axes:?}"), || {
                    let [x, y] = [1, 2].map(|seed| Tensor::from_array(numbers(&dims, seed)));
                    let mean = x.mean_keep(axes);
                    let centred = &x - &mean;
                    let variance = (&centred * &centred).mean_keep(axes);
                    let (both, twice) = ((&centred * &y).sum_keep(axes), (&y + &y * 0.5).sum_keep(axes));
                    let next = (&centred * &both + &y) * (&variance + 1e-5).rsqrt() - &twice;
                    vec![
                        // What is summed is also kept, summed once more, or nothing but a load or a number.
                        next.sum_keep(axes),
                        (&next * &next - &x).sum_keep(axes),
                        next,
                        centred.sum_keep(axes),
                        centred.max_keep(axes),
                        y.sum_keep(axes) + y.full_like(0.1).sum_keep(axes),
                        both,
                        variance,
                    ]
                });
            }
        }
    }
}

#[test]
fn several_sums_of_columns_keep_their_order() {
    for dims in [[16, 256], [15, 300], [33, 1025], [40, 260], [4099, 257]] {
        check(&format!("{dims:?}"), || {
            let [x, y] = [1, 2].map(|seed| Tensor::from_array(even(&dims, seed)));
            let (mean, column) = (x.mean_keep(1), Tensor::from_array(even(&[dims[0], 1], 3)));
            let normal = (&x - &mean) * &column;
            let repeated = column.expand(dims);
            // One number for each of the columns, along which nothing changes.
            let line = Tensor::from_array(even(&[1, dims[1]], 4));
            let away = (&y - &line).abs();
            vec![(&normal * &y).sum(0), y.sum(0), normal.max(0), (repeated * 1.0).sum(0), normal, away.sum(0), away]
        });
    }
}

#[test]
fn values_are_updated_in_place_only_after_they_were_read() {
    for n in EDGES {
        let build = |cpu: &dyn Fn(&[Update])| {
            let [p, m, v] = [1, 2, 3].map(|seed| Var::new("x", odd(&[n], seed)));
            for step in 0..3 {
                let g = Tensor::from_array(odd(&[n], 10 + step));
                let [p0, m0, v0] = [&p, &m, &v].map(Var::tensor);
                let mean = &m0 + (&g - &m0) * 0.1;
                let square = &v0 * 0.999 + &g * &g * 0.001;
                let size = square.abs().sqrt() * 1.5 + 1e-8;
                // The old values are read once more, after the new ones are there.
                let next = &p0 * 0.99 - &mean / size * 1e-3 + (&m0 - &v0) * 1e-4;
                cpu(&[p.update(&next), m.update(&mean), v.update(&square)]);
            }
            [p, m, v].map(|var| bits(&var.value()))
        };
        let plain = Cpu::new(1).unwrap();
        let wanted = build(&|updates| drop(plain.run_unfused(&[], updates).unwrap()));
        for simd in Simd::available() {
            let cpu = Cpu::with(2, simd.level()).unwrap();
            let found = build(&|updates| drop(cpu.run(&[], updates).unwrap()));
            assert!(found == wanted, "{n} points, {}", simd.level());
        }
    }
}

#[test]
fn transposed_values_are_read_by_squares() {
    for dims in [[8, 8], [9, 70], [70, 9], [16, 64], [17, 65], [130, 33], [1, 40], [7, 7]] {
        check(&format!("{dims:?}"), || {
            let [x, y] = [1, 2].map(|seed| Tensor::from_array(odd(&dims, seed)));
            let turned = x.transpose(0, 1);
            let other = y.transpose(0, 1).cast(DType::F64);
            vec![&turned + 1.0, (&turned * 2.0 - y.transpose(0, 1)).relu(), other * 2.0, turned.flip(1) * 3.0]
        });
    }
    for axes in [[0, 2, 3, 1], [0, 3, 1, 2], [3, 2, 1, 0], [2, 0, 1, 3]] {
        check(&format!("{axes:?}"), || vec![Tensor::from_array(odd(&[3, 20, 9, 17], 1)).permute(&axes) + 1.0]);
    }
}

#[test]
fn the_gradient_of_a_relu_is_cut_where_its_value_is_not_positive() {
    for dims in [[1, 1], [7, 9], [33, 65], [3, 1025], [130, 40]] {
        check(&format!("{dims:?}"), || {
            let (x, g) = (Tensor::from_array(odd(&dims, 1)), Tensor::from_array(odd(&dims, 2)));
            let gradient = |y: &Tensor| (y * &g).sum(..).grad([&x]).remove(0);
            let cut = gradient(&x.relu());
            // The same of rows, with sums behind it; and what only looks like it.
            let rows = x.maximum(&g).sum(1).relu().sum(..).grad([&x]).remove(0);
            vec![
                cut.sum(0),
                cut.sum(1),
                cut,
                rows,
                gradient(&x.clamp(0.0, 2.0)),
                gradient(&x.maximum(Tensor::scalar(0f32))),
                gradient(&x.relu6()),
                gradient(&(x.hardtanh(-1.0, 1.0) * &g)),
                gradient(&x.hardtanh(1.0, -1.0)),
                x.maximum(&g).sum(1).relu6().sum(..).grad([&x]).remove(0),
            ]
        });
    }
}

#[test]
fn maxima_of_windows_are_the_first_of_the_largest() {
    let options = |kernel: usize, stride: usize, padding: usize, dilation: usize, ceil: bool| PoolOptions {
        stride: vec![stride; 2],
        padding: vec![padding; 2],
        dilation: vec![dilation; 2],
        ceil,
        ..PoolOptions::new(&[kernel, kernel])
    };
    for (kernel, stride, padding, dilation, ceil) in [
        (2, 2, 0, 1, false),
        (2, 2, 1, 1, false),
        (3, 2, 1, 1, false),
        (3, 2, 0, 1, true),
        (3, 1, 1, 1, false),
        (2, 3, 0, 1, false),
        (3, 3, 1, 2, false),
        (2, 1, 1, 3, false),
        (5, 4, 2, 1, true),
        (1, 2, 0, 1, false),
    ] {
        let pool = options(kernel, stride, padding, dilation, ceil);
        for size in [[6, 6], [7, 9], [15, 33], [8, 40], [16, 70]] {
            check(&format!("{pool:?} over {size:?}"), || {
                // Few values, so that many windows hold the largest more than once.
                let x = (Tensor::from_array(odd(&[2, 2, size[0], size[1]], 1)) * 2.0).floor();
                let y = x.max_pool(&pool);
                let dy = Tensor::from_array(odd(y.dims(), 2));
                let dx = (&y * &dy).sum(..).grad([&x]).remove(0);
                vec![y, dx]
            });
        }
    }
}

#[test]
fn columns_are_folded_where_they_lie_at_the_edges_of_tiles() {
    for rows in [1, 15, 16, 17, 33, 4097] {
        for columns in [2, 17, 65, 130, 257] {
            check(&format!("{rows} rows of {columns}"), || {
                let wide = Tensor::from_array(odd(&[rows, columns + 5], 1));
                let (x, even) = (wide.narrow(1, 3..columns + 3), Tensor::from_array(even(&[rows, columns], 2)));
                vec![
                    x.max(0),
                    x.min(0),
                    even.sum(0),
                    even.prod(0),
                    // From the last row to the first; one row many times; what is read elsewhere too.
                    even.flip(0).sum(0),
                    x.narrow(0, 0..1).expand([rows, columns]).sum(0),
                    x.sum(0) + (&x * 2.0).max(0),
                    x.flip(1).max(0),
                ]
            });
            check(&format!("{rows} rows of {columns}, several at once"), || {
                let wide = Tensor::from_array(odd(&[rows, columns + 5], 1));
                let x = wide.narrow(1, 3..columns + 3);
                let of = |dtype: DType| x.clamp(-100.0, 100.0).cast(dtype).narrow(1, 1..columns);
                vec![
                    x.max(0),
                    x.min(0),
                    x.sum(0),
                    of(DType::F64).sum(0),
                    of(DType::I32).max(0),
                    of(DType::I64).sum(0),
                    of(DType::U8).min(0),
                ]
            });
        }
    }
}

#[test]
fn what_lies_across_is_turned_and_what_lies_backwards_is_read_from_its_end() {
    for [n, a, b, c] in [[1, 8, 8, 8], [2, 9, 5, 7], [3, 16, 4, 33], [2, 64, 3, 8], [1, 70, 9, 130]] {
        check(&format!("{n} {a} {b} {c}"), || {
            let x = Tensor::from_array(odd(&[n, a, b, c], 1));
            let turned = x.permute(&[0, 2, 3, 1]);
            vec![
                turned.clone(),
                x.permute(&[0, 3, 1, 2]),
                x.permute(&[3, 2, 1, 0]),
                x.narrow(3, 1..c).permute(&[0, 2, 3, 1]),
                &turned + &turned.flip(3),
                turned.flip(1) * 2.0,
                x.flip(3),
                x.flip(0).flip(2),
                x.narrow(3, 2..c - 1).flip(3),
            ]
        });
    }
    // Numbers of four bytes are moved as they are, whatever they would be as floats.
    let bits: Vec<i32> = (0..16 * 24).map(|i| 0x7F80_0001 + i).collect();
    let turned = Tensor::from_vec(bits.clone(), [16, 24]).transpose(0, 1);
    let found = Cpu::new(1).unwrap().run(&[&turned], &[]).unwrap().remove(0);
    let found = found.as_slice::<i32>().unwrap();
    assert!(found.iter().enumerate().all(|(at, &x)| x == bits[at % 16 * 24 + at / 16]));
}

#[test]
fn what_is_copied_to_where_it_is_kept_is_read_before() {
    let cpu = Cpu::new(2).unwrap();
    let dims = [40, 40];
    let variable = || Var::new("v", even(&dims, 1));
    for turn in [|x: &Tensor| x.transpose(0, 1), |x: &Tensor| x.flip(1), |x: &Tensor| x.flip(0)] {
        let v = variable();
        let next = turn(&v.tensor());
        let wanted = reference::evaluate(&[&turn(&Tensor::from_array(even(&dims, 1)))]).unwrap().remove(0);
        // Both the new value under two names and the old one, while the variable is overwritten.
        let old = &v.tensor() + 0.0;
        let found = cpu.run(&[&next, &next, &old], &[v.update(&next)]).unwrap();
        let same = |found: &Array, wanted: &Array| bits(found) == bits(wanted);
        assert!(same(&found[0], &wanted) && same(&found[1], &wanted) && same(&v.value(), &wanted));
        assert!(same(&found[2], &even(&dims, 1)));
    }
}
