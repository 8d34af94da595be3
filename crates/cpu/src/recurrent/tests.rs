use super::*;
use crate::machine::Machine;
use crate::pool::Pool;
use crate::simd::Simd;
use tensor::op::{Cell, Recurrence};
use tensor::ops::recurrent::{Extent, reference};

fn numbers(count: usize, seed: u32, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 8_388_608.0 - 1.0) * scale
        })
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Every cell forwards and backwards at this size on every width and number of threads, against the specification.
fn check(size: Extent, lengths: Option<&[i64]>) {
    let Extent { steps, batch, hidden } = size;
    let plane = batch * hidden;
    for cell in [Cell::Lstm, Cell::Gru, Cell::RnnTanh, Cell::RnnRelu] {
        for reverse in [false, true] {
            let of = Recurrence { cell, reverse };
            let gates = numbers(steps * plane * cell.gates(), 1, 1.5);
            let weight = numbers(cell.gates() * hidden * hidden, 2, 1.0 / (hidden as f32).sqrt());
            let (h, other) = (numbers(plane, 3, 1.0), numbers(plane, 4, 1.0));
            let other = match cell {
                Cell::Lstm => &other[..],
                Cell::Gru => &numbers(hidden, 4, 1.0)[..],
                _ => &[],
            };
            let given = Given { gates: &gates, weight: &weight, h: &h, other, lengths };
            let g = numbers(cell.differentiated() * (steps + 1) * plane, 5, 1.0);
            let mut saved = vec![0.0; cell.fields() * (steps + 1) * plane];
            reference::forward(of, size, given, &mut saved);
            let mut out = vec![0.0; (steps + 1) * plane * cell.gradients()];
            reference::backward(of, size, (&saved, &weight, &g), lengths, &mut out);
            for simd in Simd::available() {
                for threads in [1, 2, 3] {
                    let machine = Machine { pool: Pool::new(threads), simd };
                    let name = format!("{of:?} {size:?}, {}, {threads} threads", simd.level());
                    let mut found = vec![f32::NAN; saved.len()];
                    forward(&machine, of, size, given, &mut found);
                    assert!(bits(&found) == bits(&saved), "{name}");
                    let mut found = vec![f32::NAN; out.len()];
                    backward(&machine, of, size, (&saved, &weight, &g), lengths, &mut found);
                    assert!(bits(&found) == bits(&out), "adjoint of {name}");
                }
            }
        }
    }
}

#[test]
fn every_width_and_thread_count_gives_the_bits_of_the_specification() {
    for (steps, batch, hidden) in [(1, 1, 1), (3, 2, 5), (2, 33, 16), (3, 15, 33), (2, 29, 100), (4, 1, 65)] {
        check(Extent { steps, batch, hidden }, None);
    }
}

#[test]
fn samples_of_different_lengths_keep_their_last_state() {
    check(Extent { steps: 4, batch: 5, hidden: 35 }, Some(&[4, 1, 3, 2, 4]));
}

#[test]
fn threads_that_share_steps_or_samples_give_the_same_bits() {
    // Enough samples for a thread each; a weight that is too large for that; many samples in chunks.
    check(Extent { steps: 2, batch: 40, hidden: 96 }, None);
    check(Extent { steps: 2, batch: 9, hidden: 290 }, None);
    check(Extent { steps: 2, batch: 130, hidden: 272 }, None);
}
