use super::*;
use crate::pool::Pool;
use crate::simd::Simd;

/// Numbers that look random, of both signs, exact zeros among them.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (state >> 8) as f32 / 8_388_608.0 - 1.0;
            if state.is_multiple_of(17) { 0.0 } else { value }
        })
        .collect()
}

fn machines() -> Vec<Machine> {
    let mut all = Vec::new();
    for simd in Simd::available() {
        for threads in [1, 2, 3, 8] {
            all.push(Machine { pool: Pool::new(threads), simd });
        }
    }
    all
}

/// The specification: one chain of fused multiply-adds for each element.
fn naive(size: Size, a: Matrix<'_, f32>, b: Matrix<'_, f32>, accumulate: Accumulate, c: MatrixMut<'_, f32>) {
    for batch in 0..size.batch {
        for i in 0..size.m {
            for j in 0..size.n {
                let c = &mut c.data[batch * c.batch_stride + i * c.row_stride + j];
                let mut sum = if accumulate == Accumulate::C { *c } else { 0.0 };
                for p in 0..size.k {
                    let a = a.data[batch * a.batch_stride + i * a.row_stride + p * a.col_stride];
                    let b = b.data[batch * b.batch_stride + p * b.row_stride + j * b.col_stride];
                    sum = a.mul_add(b, sum);
                }
                *c = sum;
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn assert_same(machines: &[Machine], size: Size, a: Matrix<'_, f32>, b: Matrix<'_, f32>, c_row: usize) {
    for accumulate in [Accumulate::Zero, Accumulate::C] {
        let c_batch = size.m * c_row + 3;
        let before = numbers(size.batch * c_batch, 9);
        let mut expected = before.clone();
        naive(size, a, b, accumulate, MatrixMut::row_major(&mut expected, c_row).batched(c_batch));
        for machine in machines {
            let mut found = before.clone();
            let c = MatrixMut::row_major(&mut found, c_row).batched(c_batch);
            gemm(machine, size, a, b, accumulate, c, None).unwrap();
            let name = machine.simd.level();
            assert!(bits(&found) == bits(&expected), "{size:?} {accumulate:?} {name} {}", machine.pool.threads());
        }
    }
}

#[test]
fn every_width_and_thread_count_gives_the_bits_of_the_triple_loop() {
    let machines = machines();
    for (m, n, k) in [
        (1, 1, 1),
        (1, 1, 0),
        (3, 5, 0),
        (0, 4, 4),
        (4, 0, 4),
        (1, 33, 7),
        (33, 1, 7),
        (1, 300, 600),
        (2, 31, 300),
        (14, 32, 256),
        (15, 33, 257),
        (13, 47, 511),
        (29, 65, 513),
        (64, 128, 128),
        (170, 70, 30),
        (10, 1100, 40),
        (200, 17, 64),
        (190, 200, 270),
        // Rows a multiple of 512 bytes apart; a small B along k that units of rows share, and one of few columns.
        (128, 200, 70),
        (256, 160, 64),
        (600, 10, 400),
        // Few rows or columns: wide tiles, lines transposed in registers, C written transposed.
        (1, 129, 33),
        (2, 65, 18),
        (3, 95, 40),
        (128, 4, 64),
        (70, 2, 128),
        (33, 8, 31),
        (37, 9, 17),
        (2, 40, 2000),
        (1, 700, 900),
    ] {
        let size = Size { batch: 1, m, n, k };
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let (plain_a, plain_b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let (flipped_a, flipped_b) = (Matrix::row_major(&a, m).transposed(), Matrix::row_major(&b, k).transposed());
        assert_same(&machines, size, plain_a, plain_b, n);
        assert_same(&machines, size, flipped_a, flipped_b, n + 1);
        assert_same(&machines, size, plain_a, flipped_b, n);
        assert_same(&machines, size, flipped_a, plain_b, n);
    }
}

#[test]
fn products_larger_than_the_cache_give_the_bits_of_the_triple_loop() {
    let machines: Vec<Machine> = machines().into_iter().filter(|machine| machine.pool.threads() < 3).collect();
    // Narrow; several blocks of k; several blocks of rows; units of rows that share the columns.
    for (m, n, k) in [(700, 33, 530), (20, 100, 3300), (525, 66, 640), (700, 170, 400)] {
        let size = Size { batch: 1, m, n, k };
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let (plain_a, plain_b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let (flipped_a, flipped_b) = (Matrix::row_major(&a, m).transposed(), Matrix::row_major(&b, k).transposed());
        assert_same(&machines, size, plain_a, plain_b, n);
        assert_same(&machines, size, flipped_a, flipped_b, n + 1);
    }
}

#[test]
fn a_small_product_is_the_same_whether_a_worker_is_awake_or_sleeps() {
    for (m, n, k) in [(128, 40, 200), (64, 128, 128), (20, 400, 128)] {
        let size = Size { batch: 1, m, n, k };
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let mut expected = vec![0.0; m * n];
        naive(size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut expected, n));
        for threads in [2, 8] {
            let machine = Machine { pool: Pool::new(threads), simd: Simd::from_env().unwrap() };
            for pause in [0, 5] {
                machine.pool.run(threads, |_| ());
                std::thread::sleep(std::time::Duration::from_millis(pause));
                let mut found = vec![0.0; m * n];
                let c = MatrixMut::row_major(&mut found, n);
                gemm(&machine, size, a, b, Accumulate::Zero, c, None).unwrap();
                assert!(bits(&found) == bits(&expected), "{size:?}, {threads} threads, after {pause} ms");
            }
        }
    }
}

#[test]
fn batches_and_repeated_operands_are_the_single_products() {
    let machines = machines();
    for (batch, m, n, k) in [(3, 20, 40, 30), (40, 32, 64, 64), (7, 1, 50, 3), (5, 30, 1, 60)] {
        let size = Size { batch, m, n, k };
        let (a, b) = (numbers(batch * m * k, 3), numbers(batch * k * n, 4));
        let (one_a, one_b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        assert_same(&machines, size, one_a.batched(m * k), one_b.batched(k * n), n);
        assert_same(&machines, size, one_a, one_b.batched(k * n), n);
        assert_same(&machines, size, one_a.batched(m * k), one_b, n);
        let row_of_b = Matrix { data: &b, row_stride: 0, col_stride: 1, batch_stride: 0 };
        let column_of_a = Matrix { data: &a, row_stride: 1, col_stride: 0, batch_stride: m };
        assert_same(&machines, size, column_of_a, row_of_b, n);
        let strided = Matrix { data: &b, row_stride: 2, col_stride: 3, batch_stride: 0 };
        if 2 * k + 3 * n < b.len() {
            assert_same(&machines, size, one_a, strided, n);
        }
    }
}

#[test]
fn the_epilogue_sees_every_element_once_and_finished() {
    // Cut by columns, the epilogue after all of them; by rows for short sums; by rows for long ones.
    for (m, n, k) in [(75, 190, 600), (310, 210, 64), (530, 50, 300)] {
        let (a, b, bias) = (numbers(m * k, 5), numbers(k * n, 6), numbers(n, 7));
        let size = Size { batch: 1, m, n, k };
        let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
        let mut expected = vec![0.0; m * n];
        naive(size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut expected, n));
        expected.iter_mut().enumerate().for_each(|(i, c)| *c += bias[i % n]);
        for machine in machines() {
            let mut found = vec![0.0; m * n];
            let add_bias = |mut tile: Tile<'_, f32>| {
                for row in tile.rows.clone() {
                    let cols = tile.cols.clone();
                    tile.row(row).iter_mut().zip(&bias[cols]).for_each(|(c, bias)| *c += bias);
                }
            };
            let c = MatrixMut::row_major(&mut found, n);
            gemm(&machine, size, a, b, Accumulate::Zero, c, Some(&add_bias)).unwrap();
            assert!(bits(&found) == bits(&expected), "{size:?}");
        }
    }
}

#[test]
fn infinities_and_nans_pass_through_as_in_the_triple_loop() {
    let (m, n, k) = (20, 40, 30);
    let (mut a, mut b) = (numbers(m * k, 1), numbers(k * n, 2));
    a[7] = f32::INFINITY;
    b[11] = f32::NAN;
    b[400] = f32::NEG_INFINITY;
    let size = Size { batch: 1, m, n, k };
    let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, n));
    let mut expected = vec![0.0; m * n];
    naive(size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut expected, n));
    for machine in machines() {
        let mut found = vec![0.0; m * n];
        gemm(&machine, size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut found, n), None).unwrap();
        let same = |(x, y): (&f32, &f32)| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        assert!(found.iter().zip(&expected).all(same));
    }
}

#[test]
fn f64_gives_the_bits_of_the_triple_loop() {
    for (m, n, k) in [(1, 1, 1), (5, 33, 300), (70, 130, 20), (3, 2, 0)] {
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
        let (a, b) = (wide(numbers(m * k, 1)), wide(numbers(k * n, 2)));
        let mut expected = vec![0.0; m * n];
        for (i, sum) in expected.iter_mut().enumerate() {
            (0..k).for_each(|p| *sum = a[i / n * k + p].mul_add(b[i % n * k + p], *sum));
        }
        for machine in machines() {
            let mut found = vec![1.0; m * n];
            let size = Size { batch: 1, m, n, k };
            let (a, b) = (Matrix::row_major(&a, k), Matrix::row_major(&b, k).transposed());
            gemm_f64(&machine, size, a, b, Accumulate::Zero, MatrixMut::row_major(&mut found, n), None).unwrap();
            assert!(found.iter().zip(&expected).all(|(x, y)| x.to_bits() == y.to_bits()));
        }
    }
}

#[test]
fn short_or_overlapping_matrices_are_errors() {
    let machine = Machine { pool: Pool::new(1), simd: Simd::SCALAR };
    let size = Size { batch: 2, m: 3, n: 4, k: 5 };
    let (a, b) = (vec![0.0; 30], vec![0.0; 20]);
    let (a, b) = (Matrix::row_major(&a, 5).batched(15), Matrix::row_major(&b, 4));
    let multiply = |a, b, length: usize, row, batch| {
        let mut c = vec![0.0; length];
        let c = MatrixMut { data: &mut c, row_stride: row, batch_stride: batch };
        gemm(&machine, size, a, b, Accumulate::Zero, c, None)
    };
    assert_eq!(multiply(a, b, 24, 4, 12), Ok(()));
    assert_eq!(multiply(a, b, 23, 4, 12), Err(GemmError::TooShort { operand: "C", needed: 24, found: 23 }));
    assert!(matches!(multiply(a, b, 24, 4, 11), Err(GemmError::Overlap { .. })));
    assert!(matches!(multiply(a, b, 24, 3, 12), Err(GemmError::Overlap { .. })));
    assert!(matches!(multiply(a.batched(16), b, 24, 4, 12), Err(GemmError::TooShort { operand: "A", .. })));
    assert!(matches!(multiply(a, b.batched(usize::MAX), 24, 4, 12), Err(GemmError::Overflow { operand: "B" })));
}
