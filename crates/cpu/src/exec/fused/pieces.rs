//! Rows in pieces: the points of a channel lie side by side plane by plane, and the planes of two samples far apart. Loops that know it
//! read and write memory as it lies; others need a tile where all is copied side by side.

/// How the points of a row of a tile are broken into pieces, each side by side in memory.
#[derive(Debug, Clone, Copy)]
pub struct Pieces {
    /// Points of a piece.
    pub length: usize,
    /// Points of the first one that lie before the tile.
    pub skip: usize,
}

/// A piece of a row, as far as it lies in the tile.
pub struct Piece {
    /// Its number in the tile.
    pub number: usize,
    /// Points of it before the tile.
    pub skip: usize,
    /// Points of the tile before it.
    pub place: usize,
    /// Its points.
    pub count: usize,
}

impl Pieces {
    /// One piece.
    pub fn whole(length: usize) -> Pieces {
        Pieces { length: length.max(1), skip: 0 }
    }

    /// The pieces of `len` points.
    #[inline(always)]
    pub fn of(self, len: usize) -> Along {
        Along { pieces: self, len, next: 0, place: 0 }
    }
}

/// Goes from piece to piece.
pub struct Along {
    pieces: Pieces,
    len: usize,
    next: usize,
    place: usize,
}

impl Iterator for Along {
    type Item = Piece;

    #[inline(always)]
    fn next(&mut self) -> Option<Piece> {
        if self.place == self.len {
            return None;
        }
        let skip = if self.next == 0 { self.pieces.skip } else { 0 };
        let count = (self.pieces.length - skip).min(self.len - self.place);
        let piece = Piece { number: self.next, skip, place: self.place, count };
        self.next += 1;
        self.place += count;
        Some(piece)
    }
}

/// Where the numbers of a tile of broken rows lie.
#[derive(Clone, Copy)]
pub struct Broken {
    /// The start of the first piece of the first row.
    pub data: *mut f32,
    /// From a row to the next.
    pub rows: isize,
    /// From a piece to the next.
    pub jump: isize,
}
