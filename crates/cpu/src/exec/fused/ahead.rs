//! Memory asked for before it is needed. The instructions of a program work on a tile in the first-level cache; without
//! this, memory would rest while they do.

use crate::simd::prefetch;

/// Stretches of memory that the next tile will touch.
#[derive(Default)]
pub struct Ahead {
    streams: [(usize, usize); MOST],
    count: usize,
    /// The stretch asked for now.
    now: usize,
}

/// More streams than this are left to the processor.
const MOST: usize = 12;
/// Bytes of a cache line.
const LINE: usize = 64;

impl Ahead {
    /// With `bytes` from `start` on.
    pub fn add(&mut self, start: *const u8, bytes: usize) {
        if self.count < MOST {
            self.streams[self.count] = (start as usize, bytes.div_ceil(LINE));
            self.count += 1;
        }
    }

    /// Cache lines not yet asked for.
    pub fn lines(&self) -> usize {
        self.streams[self.now..self.count].iter().map(|stream| stream.1).sum()
    }

    /// Asks for the next `lines` cache lines.
    #[inline]
    pub fn ask(&mut self, mut lines: usize) {
        while lines > 0 && self.now < self.count {
            let (start, left) = &mut self.streams[self.now];
            let here = lines.min(*left);
            for _ in 0..here {
                prefetch(*start as *const u8);
                *start += LINE;
            }
            *left -= here;
            lines -= here;
            self.now += usize::from(*left == 0);
        }
    }
}
