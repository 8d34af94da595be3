use super::super::tests::{bits, geometry, machines, numbers};
use super::super::{
    conv_forward, conv_forward_f64, conv_input_gradient, conv_input_gradient_f64, conv_weight_gradient,
    conv_weight_gradient_f64,
};
use super::*;
use crate::gemm::{Epilogue, Tile};
use crate::machine::Machine;
use crate::pool::Pool;
use crate::simd::Simd;

fn shape(batch: usize, channels: usize, outputs: usize, size: [usize; 2], padding: usize) -> ConvGeometry {
    let one = [1; 3];
    let kernel = [1, 3, 3];
    geometry(batch, 1, channels, outputs, [1, size[0], size[1]], kernel, one, [0, padding, padding], one)
}

fn shapes() -> Vec<ConvGeometry> {
    vec![
        shape(3, 24, 32, [8, 8], 1),
        shape(2, 33, 45, [15, 29], 1),
        shape(1, 40, 32, [6, 270], 1),
        shape(5, 35, 64, [4, 4], 1),
        // More tiles than the weight gradient takes at a time.
        shape(6, 24, 33, [28, 28], 1),
        shape(2, 32, 37, [9, 14], 0),
        shape(2, 48, 33, [11, 7], 2),
        shape(0, 32, 32, [8, 8], 1),
        // One, six, eight, nine and sixteen tiles; twenty in one block; more than sixteen only with the whole batch.
        shape(1, 35, 50, [4, 4], 1),
        shape(1, 26, 49, [7, 9], 1),
        shape(2, 24, 24, [7, 7], 1),
        shape(1, 24, 40, [12, 11], 1),
        shape(1, 41, 33, [16, 13], 1),
        shape(1, 30, 70, [16, 20], 1),
        shape(6, 24, 40, [8, 8], 1),
        // Blocks for each of three threads.
        shape(100, 24, 25, [12, 12], 1),
    ]
}

struct Found {
    y: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

/// The three results, of a machine, for the first `batch` samples.
fn found(
    machine: &Machine,
    g: &ConvGeometry,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    each: Option<Epilogue<'_, f32>>,
) -> Found {
    let mut found = Found { y: vec![f32::NAN; dy.len()], dx: vec![f32::NAN; x.len()], dw: vec![f32::NAN; w.len()] };
    conv_forward(machine, g, x, w, &mut found.y, each).unwrap();
    conv_input_gradient(machine, g, w, dy, &mut found.dx, each).unwrap();
    conv_weight_gradient(machine, g, x, dy, &mut found.dw, each).unwrap();
    found
}

fn operands(g: &ConvGeometry) -> [Vec<f32>; 3] {
    [
        numbers(g.batch * g.channels * g.input_positions(), 1),
        numbers(g.outputs * g.group_channels() * g.taps(), 2),
        numbers(g.batch * g.outputs * g.output_positions(), 3),
    ]
}

#[test]
fn bits_do_not_depend_on_width_threads_or_companions() {
    let machines = machines();
    for g in shapes() {
        assert!(suits(&g), "{g:?}");
        let [x, w, dy] = operands(&g);
        let first = found(&machines[0], &g, &x, &w, &dy, None);
        for machine in &machines {
            let name = format!("{} x {}, {g:?}", machine.simd.level(), machine.pool.threads());
            let again = found(machine, &g, &x, &w, &dy, None);
            assert!(bits(&again.y) == bits(&first.y), "forward {name}");
            assert!(bits(&again.dx) == bits(&first.dx), "input gradient {name}");
            assert!(bits(&again.dw) == bits(&first.dw), "weight gradient {name}");
            let double = |mut tile: Tile<'_, f32>| {
                for row in tile.rows.clone() {
                    tile.row(row).iter_mut().for_each(|value| *value *= 2.0);
                }
            };
            let twice = found(machine, &g, &x, &w, &dy, Some(&double));
            let doubled = |values: &[f32]| values.iter().map(|value| (2.0 * value).to_bits()).collect::<Vec<_>>();
            assert!(bits(&twice.y) == doubled(&first.y), "forward, epilogue {name}");
            assert!(bits(&twice.dx) == doubled(&first.dx), "input gradient, epilogue {name}");
            assert!(bits(&twice.dw) == doubled(&first.dw), "weight gradient, epilogue {name}");
        }
        if g.batch > 1 {
            let one = ConvGeometry { batch: 1, ..g };
            let part = |all: &[f32]| all[..all.len() / g.batch].to_vec();
            let alone = found(&machines[machines.len() - 1], &one, &part(&x), &w, &part(&dy), None);
            assert!(bits(&alone.y) == bits(&part(&first.y)) && bits(&alone.dx) == bits(&part(&first.dx)), "{g:?}");
        }
    }
}

#[test]
fn errors_stay_below_the_stated_bound() {
    let machine = Machine { pool: Pool::new(2), simd: Simd::detect() };
    let mut worst = 0.0f64;
    for g in shapes() {
        let [x, w, dy] = operands(&g);
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let size = |values: &[f32]| values.iter().map(|&value| f64::from(value.abs())).collect::<Vec<_>>();
        let exact = |turn: &dyn Fn(&[f32]) -> Vec<f64>| {
            let (x, w, dy) = (turn(&x), turn(&w), turn(&dy));
            let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
            conv_forward_f64(&machine, &g, &x, &w, &mut y).unwrap();
            conv_input_gradient_f64(&machine, &g, &w, &dy, &mut dx).unwrap();
            conv_weight_gradient_f64(&machine, &g, &x, &dy, &mut dw).unwrap();
            [y, dx, dw]
        };
        let found = found(&machine, &g, &x, &w, &dy, None);
        let sizes = exact(&size);
        for ((found, exact), size) in [found.y, found.dx, found.dw].iter().zip(exact(&wide)).zip(sizes) {
            let scale = size.iter().copied().fold(0.0, f64::max) * f64::from(f32::EPSILON) / 2.0;
            for (found, exact) in found.iter().zip(exact) {
                let error = (f64::from(*found) - exact).abs();
                assert!(error <= ERROR * scale, "{error:e} of {:e}, {g:?}", ERROR * scale);
                worst = worst.max(error / scale.max(f64::MIN_POSITIVE));
            }
        }
    }
    assert!(worst > 0.0);
    println!("largest error: {worst:.2} of {ERROR}");
}

#[test]
fn the_shape_alone_decides() {
    let one = shape(1, 64, 64, [32, 32], 1);
    for batch in [0, 2, 64] {
        assert_eq!(suits(&ConvGeometry { batch, ..one }), suits(&one));
    }
    assert!(!suits(&shape(1, 23, 64, [32, 32], 1)));
    assert!(!suits(&shape(1, 64, 64, [2, 2], 1)), "as many products as without");
    assert!(!suits(&ConvGeometry { stride: [1, 2, 2], output: [1, 16, 16], ..one }));
}
