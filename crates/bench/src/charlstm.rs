//! A character model: table, LSTM layers (Hochreiter and Schmidhuber 1997), linear head.

use nn::{Layer, Pass, Scope, Sequential, embedding, linear, lstm};
use tensor::Tensor;

/// The model.
pub(crate) struct CharLstm(Sequential);

impl CharLstm {
    pub(crate) fn new(at: &Scope, vocabulary: usize, width: usize, hidden: usize, layers: usize) -> CharLstm {
        CharLstm(
            Sequential::new()
                .then(embedding(at / "e", vocabulary, width)) // [N, T, width]
                .then(lstm(at / "l", width, hidden).layers(layers).batch_first(true)) // [N, T, hidden]
                .then(linear(at / "o", hidden, vocabulary)), // logits
        )
    }

    /// Logits `[N, T, vocabulary]` of the symbols that follow `x [N, T]`.
    pub(crate) fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.0.forward(x, pass)
    }
}
