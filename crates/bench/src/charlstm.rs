//! A character model: table, two LSTM layers (Hochreiter and Schmidhuber 1997), linear head.

use nn::{Embedding, Init, Layer, Linear, Param, Pass, Scope, embedding, linear};
use tensor::{DType, Tensor};

/// The model.
pub(crate) struct CharLstm {
    table: Embedding,
    layers: Vec<Lstm>,
    head: Linear,
}

impl CharLstm {
    pub(crate) fn new(at: &Scope, vocabulary: usize, width: usize, hidden: usize, layers: usize) -> CharLstm {
        let lstm = |i: usize| Lstm::new(at / "l", i, if i == 0 { width } else { hidden }, hidden);
        CharLstm {
            table: embedding(at / "e", vocabulary, width),
            layers: (0..layers).map(lstm).collect(),
            head: linear(at / "o", hidden, vocabulary),
        }
    }

    /// Logits `[N, T, vocabulary]` of the symbols that follow `x [N, T]`.
    pub(crate) fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let h = self.layers.iter().fold(self.table.forward(x, pass), |h, layer| layer.forward(&h));
        self.head.forward(&h, pass)
    }
}

/// One layer; gates in PyTorch's order: input, forget, cell, output.
struct Lstm {
    hidden: usize,
    input: [Param; 2],
    recurrent: [Param; 2],
}

impl Lstm {
    fn new(at: Scope, layer: usize, inputs: usize, hidden: usize) -> Lstm {
        let bound = 1.0 / (hidden as f64).sqrt();
        let init = Init::Uniform { low: -bound, high: bound };
        let param = |name: &str, shape: &[usize]| at.parameter(&format!("{name}_l{layer}"), shape, init);
        Lstm {
            hidden,
            input: [param("weight_ih", &[4 * hidden, inputs]), param("bias_ih", &[4 * hidden])],
            recurrent: [param("weight_hh", &[4 * hidden, hidden]), param("bias_hh", &[4 * hidden])],
        }
    }

    /// `[N, T, inputs] -> [N, T, hidden]`.
    fn forward(&self, x: &Tensor) -> Tensor {
        let (n, t, inputs, hidden) = (x.dims()[0], x.dims()[1], x.dims()[2], self.hidden);
        let [weight, bias] = self.input.each_ref().map(Param::tensor);
        let projected = x.reshape([n * t, inputs]).matmul(&weight.transpose(0, 1)) + bias;
        let projected = projected.reshape([n, t, 4 * hidden]);
        let [weight, bias] = self.recurrent.each_ref().map(Param::tensor);
        let weight = weight.transpose(0, 1);
        let mut h = Tensor::zeros([n, hidden], DType::F32);
        let mut c = h.clone();
        let mut outputs = Vec::with_capacity(t);
        for step in 0..t {
            let gates = projected.select(1, step) + h.matmul(&weight) + &bias;
            let gate = |i: usize| gates.narrow(1, i * hidden..(i + 1) * hidden);
            c = gate(1).sigmoid() * &c + gate(0).sigmoid() * gate(2).tanh();
            h = gate(3).sigmoid() * c.tanh();
            outputs.push(h.clone());
        }
        Tensor::stack(&outputs, 1)
    }
}
