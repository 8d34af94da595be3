//! The same bits on any number of threads and at any vector width, for whole training steps.

mod common;

use common::Net;
use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;

/// The bits of loss and state after a few steps.
fn train(cpu: &Cpu, mut net: Net, fused: bool) -> Vec<u32> {
    let mut bits = Vec::new();
    for _ in 0..3 {
        let (loss, updates) = net.trace();
        let values = if fused { cpu.run(&[&loss], &updates) } else { cpu.run_unfused(&[&loss], &updates) }.unwrap();
        bits.push(values[0].as_slice::<f32>().unwrap()[0].to_bits());
    }
    bits.extend(net.bits());
    bits
}

#[test]
fn a_training_step_has_the_same_bits_on_every_number_of_threads_at_every_width_fused_or_not() {
    type Make = fn() -> Net;
    let nets: [(&str, Make); 2] = [("perceptron", Net::perceptron), ("lenet", || Net::lenet(16))];
    for (name, net) in nets {
        let wanted = train(&Cpu::with(1, Simd::SCALAR.level()).unwrap(), net(), false);
        assert!(f32::from_bits(wanted[0]).is_finite(), "{name}: a loss of {}", f32::from_bits(wanted[0]));
        for simd in Simd::available() {
            for threads in [1, 2, 3, 8] {
                let cpu = Cpu::with(threads, simd.level()).unwrap();
                for fused in [true, false] {
                    let found = train(&cpu, net(), fused);
                    let differ = found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
                    assert_eq!(
                        differ,
                        0,
                        "{name}: {differ} words, {} at {threads} threads, fused {fused}",
                        simd.level()
                    );
                }
            }
        }
    }
}

#[test]
fn several_threads_may_run_graphs_on_one_device() {
    let cpu = Cpu::new(2).unwrap();
    let wanted = train(&cpu, Net::perceptron(), true);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| train(&cpu, Net::perceptron(), true))).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), wanted);
        }
    });
}
