//! What counting alone comes to on the test part of a text.

use data::NGram;

use crate::splits::Splits;

/// The longest n-grams that are counted: on a text of a million letters, longer ones get worse.
pub const ORDERS: usize = 6;

/// The nats a symbol of n-grams that are counted on the training text, of order 1 and up to [`ORDERS`], on the test text; `None`
/// if the rows are no text.
pub fn baseline(splits: &Splits) -> Option<Vec<f64>> {
    let (train, test) = (splits.train.text()?, splits.test.text()?);
    Some(NGram::of(train, ORDERS, splits.input.classes.len()).nats(test))
}

/// The best of them: its order, and its nats.
pub fn best_order(nats: &[f64]) -> Option<(usize, f64)> {
    nats.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map(|(at, &nats)| (at + 1, nats))
}
