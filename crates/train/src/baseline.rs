//! What counting alone comes to on the test part of a text.

use data::NGram;

use crate::splits::Splits;

/// The longest n-grams that are counted: on a text of a million letters, longer ones get worse.
pub const ORDERS: usize = 6;

/// What n-grams come to that are counted on the training text.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Nats a symbol of the test text, of order 1 and up to [`ORDERS`].
    pub nats: Vec<f64>,
    /// The order that is best on the validation text; without one, on the last tenth of the training text, counted on what is before
    /// it. So the test text does not choose.
    pub order: usize,
}

impl Counted {
    /// Nats a symbol of the order that was chosen.
    pub fn chosen(&self) -> f64 {
        self.nats.get(self.order - 1).copied().unwrap_or(f64::NAN)
    }
}

/// What n-grams come to on the test text; `None` if the rows are no text.
pub fn baseline(splits: &Splits) -> Option<Counted> {
    let (train, test) = (splits.train.text()?, splits.test.text()?);
    let symbols = splits.input.classes.len();
    let model = NGram::of(train, ORDERS, symbols);
    let seen = match splits.val.as_ref().and_then(|val| val.text()) {
        Some(val) => model.nats(val),
        None => {
            let (first, last) = train.split_at(train.len() - train.len() / 10);
            NGram::of(first, ORDERS, symbols).nats(last)
        }
    };
    let best = seen.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    Some(Counted { nats: model.nats(test), order: best.0 + 1 })
}
