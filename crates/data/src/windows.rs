//! A text as rows of equal length, each to be continued symbol by symbol.

use crate::dataset::out_of_range;
use crate::{DataError, Dataset, Sample, Target};
use std::ops::Range;
use std::sync::Arc;

/// How windows lie on a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One begins every so many symbols.
    Every(usize),
    /// The text is cut into so many streams, which are read side by side: window k of stream n is row `k * streams + n`, and goes
    /// on where row `(k - 1) * streams + n` ended. What does not fill whole windows is left out.
    Streams(usize),
    /// Each symbol but the first is asked for once, and but for the first window with at least so many symbols before it.
    Sweep(usize),
}

/// Windows of `length` symbols of a part of a text. `x [length]` are their numbers, the target the numbers of the symbols that
/// follow each; -1 where one does not count.
#[derive(Debug, Clone)]
pub struct Windows {
    text: Arc<Vec<u16>>,
    part: Range<usize>,
    length: usize,
    layout: Layout,
    rows: usize,
    names: Vec<String>,
}

impl Windows {
    /// Of the symbols `part` of `text`; `names` are the letters.
    ///
    /// # Errors
    /// If the part does not hold a window and the symbol behind it, or the layout makes no sense.
    pub fn new(
        text: &Arc<Vec<u16>>,
        part: Range<usize>,
        length: usize,
        layout: Layout,
        names: &[String],
    ) -> Result<Windows, DataError> {
        let part = part.start.min(text.len())..part.end.min(text.len());
        let short = |needed: usize| {
            DataError::argument(
                "text",
                format!("a part of {} symbols is too short: it needs {needed}", part.len()),
                "give more text, or set shorter windows or fewer of them side by side",
            )
        };
        let fine = match layout {
            Layout::Every(stride) => stride > 0,
            Layout::Streams(streams) => streams > 0,
            Layout::Sweep(before) => before < length,
        };
        if length == 0 || !fine {
            return Err(DataError::argument(
                "windows",
                format!("windows of {length} symbols cannot be laid out as {layout:?}"),
                "set at least one symbol, one stream, one symbol of stride, and less context than a window has",
            ));
        }
        // The symbol behind the last one is asked for too.
        let whole = length.saturating_add(1);
        let Some(free) = part.len().checked_sub(whole) else { return Err(short(whole)) };
        let rows = match layout {
            Layout::Every(stride) => free / stride + 1,
            Layout::Streams(streams) => match (part.len() - 1) / streams / length {
                0 => return Err(short(streams.saturating_mul(length).saturating_add(1))),
                each => streams * each,
            },
            Layout::Sweep(before) => 1 + free.div_ceil(length - before),
        };
        Ok(Windows { text: Arc::clone(text), part, length, layout, rows, names: names.to_vec() })
    }

    /// Symbols in a window.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Where row `row` begins in the part, and how many of its targets do not count.
    fn place(&self, row: usize) -> Result<(usize, usize), DataError> {
        if row >= self.rows {
            return Err(out_of_range(row, self.rows));
        }
        Ok(match self.layout {
            Layout::Every(stride) => (row * stride, 0),
            Layout::Streams(streams) => {
                let each = self.rows / streams * self.length;
                (row % streams * each + row / streams * self.length, 0)
            }
            Layout::Sweep(_) if row == 0 => (0, 0),
            Layout::Sweep(before) => {
                let next = before + row * (self.length - before);
                // The last window reaches back to be whole.
                let start = (next - before).min(self.part.len() - self.length - 1);
                (start, next - start)
            }
        })
    }

    /// The symbols of row `row`, and the one behind them.
    fn symbols(&self, row: usize) -> Result<(&[u16], usize), DataError> {
        let (start, before) = self.place(row)?;
        Ok((&self.text[self.part.start + start..][..self.length + 1], before))
    }
}

impl Dataset for Windows {
    fn len(&self) -> usize {
        self.rows
    }

    fn get(&self, row: usize) -> Result<Sample, DataError> {
        let (symbols, _) = self.symbols(row)?;
        let x = symbols[..self.length].iter().map(|&symbol| f32::from(symbol)).collect();
        Ok(Sample { x, shape: vec![self.length], target: self.target(row)? })
    }

    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn id(&self, row: usize) -> String {
        match self.place(row) {
            Ok((start, _)) => format!("the text from symbol {}", self.part.start + start),
            Err(_) => format!("row {row}"),
        }
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        let (symbols, before) = self.symbols(row)?;
        let mut hash = hmac_sha256::Hash::new();
        hash.update((before as u64).to_le_bytes());
        let bytes: Vec<u8> = symbols.iter().flat_map(|symbol| symbol.to_le_bytes()).collect();
        hash.update(bytes);
        Ok(hash.finalize())
    }

    fn target(&self, row: usize) -> Result<Target, DataError> {
        let (symbols, before) = self.symbols(row)?;
        let counts = |(at, &symbol): (usize, &u16)| if at < before { -1 } else { i64::from(symbol) };
        Ok(Target::Symbols(symbols[1..].iter().enumerate().map(counts).collect()))
    }

    fn in_order(&self) -> bool {
        matches!(self.layout, Layout::Streams(_))
    }

    fn text(&self) -> Option<&[u16]> {
        Some(&self.text[self.part.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(count: usize, length: usize, layout: Layout) -> Windows {
        let text = Arc::new((0..count as u16).collect());
        Windows::new(&text, 0..count, length, layout, &[]).unwrap()
    }

    fn asked(windows: &Windows, row: usize) -> Vec<i64> {
        let Target::Symbols(symbols) = windows.target(row).unwrap() else { panic!("no symbols") };
        symbols
    }

    #[test]
    fn a_sweep_asks_for_each_symbol_once_with_enough_before_it() {
        for count in 9..60 {
            for before in 0..8 {
                let all = windows(count, 8, Layout::Sweep(before));
                let mut seen = Vec::new();
                for row in 0..all.len() {
                    let targets = asked(&all, row);
                    let first = targets.iter().position(|&target| target >= 0).unwrap();
                    assert!(row == 0 || first >= before, "{count} {before}");
                    seen.extend(targets.into_iter().filter(|&target| target >= 0));
                }
                assert_eq!(seen, (1..count as i64).collect::<Vec<_>>(), "{count} {before}");
            }
        }
    }

    #[test]
    fn streams_go_on_where_they_ended() {
        let all = windows(26, 4, Layout::Streams(3));
        assert_eq!((all.len(), all.in_order()), (6, true));
        let begins: Vec<f32> = (0..6).map(|row| all.get(row).unwrap().x[0]).collect();
        assert_eq!(begins, [0.0, 8.0, 16.0, 4.0, 12.0, 20.0]);
        assert_eq!(asked(&all, 0).last(), Some(&4));
    }

    #[test]
    fn a_part_that_holds_no_window_is_refused() {
        let text = Arc::new(vec![0; 8]);
        assert!(Windows::new(&text, 0..8, 7, Layout::Every(1), &[]).is_ok());
        for (length, layout) in
            [(8, Layout::Every(1)), (3, Layout::Streams(3)), (0, Layout::Every(1)), (4, Layout::Sweep(4))]
        {
            assert!(Windows::new(&text, 0..8, length, layout, &[]).is_err(), "{length} {layout:?}");
        }
        for (length, layout) in [
            (usize::MAX, Layout::Every(1)),
            (usize::MAX, Layout::Sweep(1)),
            (usize::MAX, Layout::Streams(usize::MAX)),
            (2, Layout::Streams(usize::MAX)),
        ] {
            assert!(Windows::new(&text, 0..8, length, layout, &[]).is_err(), "{length} {layout:?}");
        }
        assert!(Windows::new(&text, 0..8, 7, Layout::Every(usize::MAX), &[]).is_ok_and(|windows| windows.len() == 1));
        assert!(Windows::new(&text, usize::MAX..usize::MAX, 1, Layout::Every(1), &[]).is_err());
    }
}
