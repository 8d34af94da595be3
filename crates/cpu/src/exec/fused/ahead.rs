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
    /// Lines asked for at a time.
    share: usize,
}

/// More streams than this are left to the processor.
const MOST: usize = 32;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Points between two requests in loops over many points: memory is kept busy evenly, not in bursts that loads wait behind.
pub const SEGMENT: usize = 512;

impl Ahead {
    /// With `bytes` from `start` on.
    pub fn add(&mut self, start: *const u8, bytes: usize) {
        if self.count < MOST {
            self.streams[self.count] = (start as usize, bytes.div_ceil(LINE));
            self.count += 1;
        }
    }

    /// Says how often [`Ahead::ask`] will be called.
    pub fn divide(&mut self, calls: usize) {
        let lines: usize = self.streams[..self.count].iter().map(|stream| stream.1).sum();
        self.share = lines.div_ceil(calls.max(1));
    }

    /// Asks for the next cache lines.
    #[inline]
    pub fn ask(&mut self) {
        let mut lines = self.share;
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
