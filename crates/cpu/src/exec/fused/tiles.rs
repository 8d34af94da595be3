//! Which part of its space a program takes at a time.

use tensor::order::{BLOCK, LANES};

use super::program::Program;
use super::run::PARALLEL;
use super::walk::Order;

/// Bytes of buffers up to which whole rows are kept: they then stay in the second-level cache.
pub(super) const RESIDENT_BYTES: usize = 256 << 10;
/// Kept points side by side, where a tile is a part of the columns: their 16 chains of f32 are 16 KiB.
pub(super) const MOST_COLUMNS: usize = 256;
/// Bytes of buffers that stay in the first-level cache (48 KiB here, 32 KiB elsewhere) beside what is read.
const TILE_BYTES: usize = 24 << 10;
/// Rows whose runs are shorter than this are read part by part together with their neighbours, and copied.
const JOINED_RUN: usize = 100;
/// Fewest points of such a part.
const SHORTEST_PART: usize = 64;
/// Points of memory side by side that are worth coming back for.
const LONG_RUN: usize = 1024;
/// Rows and columns of a square tile: lines of 16 numbers of f32, of which few lie in the same place of a cache.
const SQUARE: (usize, usize) = (16, 64);
/// Rows taken together for what is computed once a row: more save nothing, and each has registers of its own.
const MOST_ROWS: usize = 16;
/// Columns from which several sums of columns go along rows.
pub(super) const LONG_ROW: usize = 256;
/// Most and least columns of such a tile.
const LONG_LINE: usize = 1024;
const SHORT_LINE: usize = 128;
/// Rows longer than this do not stay in the second-level cache, a few at a time and with the chains of their columns.
pub(super) const LONGEST_ROW: usize = 4096;
/// Few columns: threads share the blocks of their sums.
pub(super) const NARROW: usize = 64;
/// Points of a few rows that stay in the second-level cache with their chains and what else reads and writes these rows.
const MOST_POINTS: usize = 8192;
/// Bytes of their buffers: 8192 points of 24 bytes took 1.2 to 1.4 times as long.
const ROW_BYTES: usize = 64 << 10;

impl Program {
    /// Tiles of a few rows and columns.
    pub(super) fn square_tiles(&mut self) {
        (self.tile_kept, self.tile_reduced) = (SQUARE.0.min(self.kept.max(1)), SQUARE.1);
        self.points = self.tile_kept * self.tile_reduced;
    }

    /// Tiles of a few whole rows, whose chains so many threads share: for [`Program::run_with`].
    pub fn by_rows(&mut self, threads: usize) {
        (self.by_chains, self.chains_shared) = (false, true);
        (self.tile_kept, self.tile_reduced) = self.row_tile(threads);
        self.points = (self.tile_kept * self.tile_reduced).next_multiple_of(64);
    }

    /// Columns and rows of a tile of whole rows, one row for each chain that a thread has at a time.
    fn row_tile(&self, threads: usize) -> (usize, usize) {
        let buffered = ROW_BYTES / (self.kept * self.bytes.max(1));
        let rows = (LANES / (2 * threads)).min(MOST_POINTS / self.kept).min(buffered).max(1);
        (self.kept.next_multiple_of(16), 1 << rows.ilog2())
    }

    /// Whether whole rows, which lie side by side in memory, are better tiles of sums of columns than some `columns` of several rows,
    /// or better to be shared among so many threads.
    fn sums_by_rows(&self, columns: usize, threads: usize) -> bool {
        let cut = columns < self.kept || (threads > 1 && self.kept > NARROW);
        cut && self.passes.len() == 1 && self.reduced >= LANES && self.kept <= LONGEST_ROW && 2 * threads <= LANES
    }

    /// `shortest`: the shortest run of folded points in memory, if an operand jumps; `buffered`: whether there is a buffer for
    /// each value of a tile, as parts of several rows need; `moved`: bytes of memory that go with each point; `resident`: bytes of
    /// buffers up to which whole rows are kept.
    pub(super) fn choose_tiles(
        &mut self,
        (shortest, buffered, moved): (Option<usize>, bool, usize),
        threads: usize,
        resident: usize,
    ) {
        let bytes = self.bytes.max(4);
        let room = TILE_BYTES / bytes;
        // A power of two, so that tiles never cross a block.
        let room = if self.bytes == 0 {
            // Nothing is buffered: what a tile costs beside its points counts.
            BLOCK
        } else if room < 512 {
            256
        } else if room < 1024 {
            512
        } else {
            1024
        };
        let small = |points: usize| points * bytes <= resident;
        let folds = self.most_folds() > 0;
        let (kept, reduced) = (self.kept.max(1), self.reduced);
        let (k, r) = match self.order {
            Order::Rows if folds && (1..=BLOCK).contains(&reduced) && small(reduced) => {
                self.resident = true;
                // Short runs of neighbouring rows are taken together: memory comes in long stretches, not in single lines.
                let together = shortest.map_or(1, |run| LONG_RUN / run.max(1)).min(RESIDENT_BYTES / (reduced * bytes));
                // What is computed once a row is computed for several rows at a time, as many as stay in the second-level cache.
                let rows = RESIDENT_BYTES / (reduced * (self.bytes + moved).max(4));
                let rows = rows.min(MOST_ROWS).min(kept.div_ceil(4 * threads)).max(room / reduced);
                (rows.max(together).clamp(1, kept), reduced)
            }
            Order::Rows => {
                // The same of rows that are read part by part.
                let short = shortest.filter(|&run| folds && buffered && run < JOINED_RUN);
                let together = short.map_or(1, |run| LONG_RUN / run.max(1)).min(room / SHORTEST_PART);
                let pieces = if self.split() { kept * self.blocks() } else { kept };
                let rows = together.min(pieces.div_ceil(4 * threads)).clamp(1, MOST_ROWS.min(kept));
                let rows = 1 << rows.ilog2();
                (rows, (room / rows).min(reduced.max(1).next_power_of_two()))
            }
            Order::Columns => {
                // Little work stays on one thread.
                let threads = if self.work() < PARALLEL { 1 } else { threads };
                let mut columns = kept.min(MOST_COLUMNS);
                // Narrower tiles where there would be too few of them for the threads.
                while threads > 1
                    && columns > NARROW
                    && kept.div_ceil(columns) < 2 * threads
                    && self.blocks() < 2 * threads
                {
                    columns = (columns / 2).next_multiple_of(16);
                }
                let whole = (room / reduced.max(1)).max(16).min(columns);
                if self.passes.len() > 1 && reduced > 0 && reduced <= 1024 && small(whole * reduced) {
                    self.resident = true;
                    (whole, reduced)
                } else if self.most_folds() > 1 && kept >= LONG_ROW && reduced >= LANES {
                    // All 16 chains of several sums would not stay in the first-level cache; and what has one value for all
                    // kept points is a single number here.
                    self.by_chains = true;
                    self.chains_shared = (2..=LANES).contains(&threads) && kept <= LONG_LINE && self.passes.len() == 1;
                    let wanted = if threads > 1 && !self.chains_shared { threads.min(kept / SHORT_LINE) } else { 1 };
                    let cuts = kept.div_ceil(LONG_LINE).max(wanted);
                    (kept.div_ceil(cuts).next_multiple_of(16), 1)
                } else if self.sums_by_rows(columns, threads) {
                    self.chains_shared = threads > 1;
                    self.row_tile(threads)
                } else {
                    let rows = (room / columns).max(1);
                    (columns, 1 << rows.ilog2())
                }
            }
        };
        (self.tile_kept, self.tile_reduced) = (k, r);
        self.points = (k * r).next_multiple_of(64);
    }
}
