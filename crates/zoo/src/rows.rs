//! Digits read row by row by a recurrent network (Le et al. 2015 read them pixel by pixel): recipe `rows`.

use nn::{Description, Layer, Linear, Pass, Recurrent, Scope, gru, linear, lstm, rnn};
use tensor::Tensor;
use train::{Input, Result, Settings};

use crate::idx_data::digits_or_mnist;
use crate::recipe::{Recipe, nothing, plain_loss};
use crate::settings::{Defaults, settings};

/// An input `[N, ..]` of T rows of a width, such as a picture `[N, 1, T, width]`, as a sequence: a recurrent layer, and a linear head on
/// its last state.
pub struct RowReader {
    width: usize,
    layer: Recurrent,
    head: Linear,
}

impl RowReader {
    /// With a cell (`lstm`, `gru`, or the plain `rnn`) of `hidden` units, for rows of `width` numbers.
    #[rustfmt::skip]
    #[track_caller]
    pub fn new(at: &Scope, cell: &str, width: usize, hidden: usize, outputs: usize) -> RowReader {
        let make = match cell { "rnn" => rnn, "gru" => gru, _ => lstm };
        RowReader {
            width,
            layer: make(at / cell, width, hidden).batch_first(true), // [N, T, hidden]
            head: linear(at / "head", hidden, outputs),              // logits, or a number
        }
    }

    /// With forget gates, of an LSTM, that begin with this bias: the larger, the longer it remembers at first.
    pub fn forget_bias(self, bias: f64) -> RowReader {
        RowReader { layer: self.layer.forget_bias(bias), ..self }
    }
}

impl Layer for RowReader {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        let (n, width) = (x.dims().first().copied().unwrap_or(0), self.width);
        let steps = x.count().checked_div(n * width).unwrap_or(0);
        if x.error().is_none() && (steps == 0 || n * steps * width != x.count()) {
            return x.refused("rows", format!("{} is not [N, ..] of rows of {width}", x.shape()), None);
        }
        let states = self.layer.forward(&x.reshape([n, steps, width]), pass);
        self.head.forward(&states.select(1, steps.saturating_sub(1)), pass)
    }

    fn describe(&self) -> Description {
        Description::of("rows", "the last state of a reader").made_of([self.layer.describe(), self.head.describe()])
    }
}

fn defaults() -> Settings {
    settings(Defaults {
        epochs: 10,
        batch: 64,
        optimizer: "adam",
        lr: 0.003,
        weight_decay: 0.0,
        schedule: "one_cycle",
        smoothing: 0.0,
    })
    .word("model.cell", "lstm", &["lstm", "gru", "rnn"], "the recurrent cell; rnn: the plain one")
    .int("model.hidden", 128, 1..=65_536, "units of it")
    .float("train.clip", 1.0, 0.0..=1e9, "greatest length of the gradient; 0: any")
    .int("data.shift", 0, 0..=8, "training pictures move by up to so many pixels")
}

fn model(at: &Scope, settings: &Settings, input: &Input) -> Result<Box<dyn Layer>> {
    let width = input.shape.last().copied().unwrap_or(1);
    let (cell, hidden) = (settings.get_word("model.cell")?, settings.get_size("model.hidden")?);
    Ok(Box::new(RowReader::new(at, cell, width, hidden, input.classes.len())))
}

/// Digits, a row at a time.
pub const RECIPE: Recipe = Recipe {
    name: "rows",
    about: "an LSTM, GRU or plain recurrent network that reads digits row by row; --data DIR for all of MNIST",
    settings: defaults,
    splits: digits_or_mnist,
    model,
    loss: plain_loss,
    begin: nothing,
    light_on_dark: true,
};

#[cfg(test)]
mod tests {
    use cpu::Run;
    use tensor::DType;

    use super::*;

    #[test]
    fn any_input_of_whole_rows_is_read_and_no_other() {
        for cell in ["lstm", "gru", "rnn"] {
            let reader = RowReader::new(&Scope::root(0), cell, 4, 5, 3);
            let read = |shape: &[usize]| reader.forward(&Tensor::ones(shape, DType::F32), &Pass::eval());
            assert_eq!(read(&[2, 1, 6, 4]).dims(), [2, 3]);
            // The same numbers, the same answer.
            assert_eq!(read(&[2, 1, 6, 4]).to_vec::<f32>().unwrap(), read(&[2, 24]).to_vec::<f32>().unwrap());
            for wrong in [&[2, 1, 6, 3][..], &[2, 0], &[0, 4], &[2]] {
                assert!(read(wrong).error().is_some(), "{cell} {wrong:?}");
            }
        }
    }
}
