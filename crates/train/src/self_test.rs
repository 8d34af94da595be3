//! A tiny computation whose bits are known: a machine that gives others is not to be trusted.

use cpu::Cpu;
use hmac_sha256::Hash;
use tensor::{DType, RandomKey, Tensor};

use crate::durable::hex;
use crate::error::Result;

/// SHA-256 of the result on every machine, at every vector width, with any number of threads.
const KNOWN: &str = "9d92feaba7432a3f08240d0e061434a275b1015da18870ac982c67ae2d94c65d";

/// What the test gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// SHA-256 of the result.
    pub hash: String,
}

impl SelfTest {
    /// Whether the bits are the known ones.
    pub fn passed(&self) -> bool {
        self.hash == KNOWN
    }
}

/// Random numbers, a product of matrices, a nonlinearity, a softmax, and a gradient through them all.
///
/// # Errors
/// If the device cannot run it.
pub fn self_test(cpu: &Cpu) -> Result<SelfTest> {
    let key = RandomKey::new(1);
    let x = Tensor::normal([33, 65], key.stream("x"), DType::F32);
    let w = Tensor::normal([65, 17], key.stream("w"), DType::F32);
    let logits = x.matmul(&w).tanh();
    let loss = (logits.logsumexp_keep(-1) - &logits).exp().mean(..);
    let gradient = loss.grad([&w]).swap_remove(0);
    let values = cpu.run(&[&loss, &gradient], &[])?;
    let mut hash = Hash::new();
    for value in &values {
        value.as_slice::<f32>().unwrap_or_default().iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    Ok(SelfTest { hash: hex(&hash.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_known_whatever_the_threads() {
        for threads in [1, 3] {
            let cpu = Cpu::new(threads).unwrap();
            assert_eq!(self_test(&cpu).unwrap().hash, KNOWN);
        }
    }
}
