//! Reading rows of a patch panel: the lanes of a panel as evenly spaced pieces of image rows.

use super::places::{Line, OUTSIDE, Places, coordinates};
use crate::simd::{Level, Simd};
use std::ops::Range;

/// The lanes of one panel, cut where an image row or a vector ends.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(super) struct Pieces<'a> {
    simd: Simd,
    places: &'a Places,
    /// Lanes of the panel.
    width: usize,
    /// Lanes of a vector; the whole panel where there are no masked loads.
    vector: usize,
    pieces: Vec<Piece>,
    /// `rows[(kd * kernel[1] + kh) * pieces + piece]`: where the source row begins, or `OUTSIDE`.
    rows: Vec<i32>,
    /// `reads[kw * pieces + piece]`.
    reads: Vec<Read>,
}

/// Lanes `lane..lane + count` of the panel are positions `start..` of a target row.
struct Piece {
    lane: usize,
    count: usize,
    start: usize,
    row: [usize; 2],
}

/// What one piece reads from its source row under one kernel coordinate of the width.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
struct Read {
    /// Its lanes in the vector, as bits (where vectors are used).
    mask: u16,
    /// Masked loads and gathers: source coordinate of lane 0 of the vector. Else of the first lane that is read.
    from: i32,
    line: Line,
}

impl<'a> Pieces<'a> {
    #[inline(always)]
    pub fn new(simd: Simd, places: &'a Places, lanes: Range<usize>, width: usize) -> Self {
        let vector = match simd.level() {
            Level::Avx512 if width.is_multiple_of(16) => 16,
            Level::Avx2 if width.is_multiple_of(8) && places.target_step == 1 => 8,
            _ => width,
        };
        let mut pieces = Vec::with_capacity(8);
        let [mut depth, mut height, mut start] = coordinates(lanes.start, places.target);
        let mut lane = 0;
        while lane < lanes.len() {
            let count = (places.target[2] - start).min(lanes.len() - lane).min(vector - lane % vector);
            pieces.push(Piece { lane, count, start, row: [depth, height] });
            (lane, start) = (lane + count, start + count);
            if start == places.target[2] {
                (start, height) = (0, height + 1);
            }
            if height == places.target[1] {
                (height, depth) = (0, depth + 1);
            }
        }
        let [depths, heights, widths] = places.kernel;
        let mut rows = Vec::with_capacity(depths * heights * pieces.len());
        for kd in 0..depths {
            for kh in 0..heights {
                for piece in &pieces {
                    rows.push(places.row(piece.row, [kd, kh]).map_or(OUTSIDE, |row| row as i32));
                }
            }
        }
        let mut reads = Vec::with_capacity(widths * pieces.len());
        for kw in 0..widths {
            for piece in &pieces {
                reads.push(Read::new(places, piece, kw, vector));
            }
        }
        Pieces { simd, places, width, vector, pieces, rows, reads }
    }

    /// Steps `k` of the panel, from the planes of the channels.
    #[inline(always)]
    pub fn pack(&self, planes: &[f32], k: Range<usize>, panel: &mut [f32]) {
        let plane = self.places.source_positions();
        let [_, _, widths] = self.places.kernel;
        let (taps, count) = (self.places.taps(), self.pieces.len());
        let (mut channel, tap) = (k.start / taps, k.start % taps);
        let (mut kr, mut kw) = (tap / widths, tap % widths);
        for row in panel.chunks_exact_mut(self.width) {
            let rows = &self.rows[kr * count..][..count];
            let reads = &self.reads[kw * count..][..count];
            let plane = &planes[channel * plane..][..plane];
            match self.simd.level() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has the instructions; only places inside are read.
                Level::Avx512 if self.vector == 16 => unsafe { self.read_avx512(rows, reads, plane, row) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Level::Avx2 if self.vector == 8 => unsafe { self.read_avx2(rows, reads, plane, row) },
                _ => self.read(rows, reads, plane, row),
            }
            kw += 1;
            if kw == widths {
                (kw, kr) = (0, kr + 1);
            }
            if kr * widths == taps {
                (kr, channel) = (0, channel + 1);
            }
        }
    }

    #[inline(always)]
    fn read(&self, rows: &[i32], reads: &[Read], plane: &[f32], row: &mut [f32]) {
        row.fill(0.0);
        for ((piece, &start), read) in self.pieces.iter().zip(rows).zip(reads) {
            if start == OUTSIDE || read.line.count == 0 {
                continue;
            }
            let from = &plane[start as usize + read.line.from..];
            let to = &mut row[piece.lane + read.line.first..];
            for i in 0..read.line.count {
                to[i * self.places.target_step] = from[i * self.places.source_step];
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn read_avx512(&self, rows: &[i32], reads: &[Read], plane: &[f32], row: &mut [f32]) {
        use std::arch::x86_64::*;
        let mut next = 0;
        // SAFETY: a mask has the bits of lanes that lie inside the plane, and nothing else is read.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let index = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(self.places.source_step as i32));
            for (vector, to) in row.chunks_exact_mut(16).enumerate() {
                let mut value = _mm512_setzero_ps();
                while next < self.pieces.len() && self.pieces[next].lane < (vector + 1) * 16 {
                    let read = &reads[next];
                    let mask = if rows[next] == OUTSIDE { 0 } else { read.mask };
                    let from = plane.as_ptr().wrapping_offset(rows[next] as isize + read.from as isize);
                    if self.places.target_step > 1 {
                        value = _mm512_mask_expandloadu_ps(value, mask, from);
                    } else if self.places.source_step > 1 {
                        value = _mm512_mask_i32gather_ps::<4>(value, mask, index, from);
                    } else {
                        value = _mm512_mask_loadu_ps(value, mask, from);
                    }
                    next += 1;
                }
                _mm512_storeu_ps(to.as_mut_ptr(), value);
            }
        }
    }

    /// # Safety
    /// The processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn read_avx2(&self, rows: &[i32], reads: &[Read], plane: &[f32], row: &mut [f32]) {
        use std::arch::x86_64::*;
        let mut next = 0;
        // SAFETY: as for AVX-512. (A gather has been slow on some processors, so steps of two are loads and a shuffle.)
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            // Of every second float: no lane has the bit 256.
            let low_bits = _mm256_setr_epi32(1, 256, 2, 256, 4, 256, 8, 256);
            let high_bits = _mm256_slli_epi32::<4>(low_bits);
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let index = _mm256_mullo_epi32(lanes, _mm256_set1_epi32(self.places.source_step as i32));
            for (vector, to) in row.chunks_exact_mut(8).enumerate() {
                let mut value = _mm256_setzero_ps();
                while next < self.pieces.len() && self.pieces[next].lane < (vector + 1) * 8 {
                    let read = &reads[next];
                    let mask = if rows[next] == OUTSIDE { 0 } else { i32::from(read.mask) };
                    let mask = _mm256_set1_epi32(mask);
                    let of = |bits| _mm256_cmpeq_epi32(_mm256_and_si256(mask, bits), bits);
                    let from = plane.as_ptr().wrapping_offset(rows[next] as isize + read.from as isize);
                    // Absent lanes come as zero bits, and no lane is in two pieces.
                    let read = match self.places.source_step {
                        1 => _mm256_maskload_ps(from, of(bits)),
                        2 => {
                            let low = _mm256_maskload_ps(from, of(low_bits));
                            let high = _mm256_maskload_ps(from.wrapping_add(8), of(high_bits));
                            let halves = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(low, high));
                            _mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(halves))
                        }
                        _ => {
                            let mask = _mm256_castsi256_ps(of(bits));
                            _mm256_mask_i32gather_ps::<4>(_mm256_setzero_ps(), from, index, mask)
                        }
                    };
                    value = _mm256_or_ps(value, read);
                    next += 1;
                }
                _mm256_storeu_ps(to.as_mut_ptr(), value);
            }
        }
    }
}

impl Read {
    #[inline(always)]
    fn new(places: &Places, piece: &Piece, kw: usize, vector: usize) -> Read {
        let line = places.line(kw, piece.start, piece.start + piece.count);
        if line.count == 0 || vector > 16 {
            return Read { mask: 0, from: 0, line };
        }
        let first = piece.lane % vector + line.first;
        let mut mask = 0u32;
        if places.target_step == 1 {
            mask = ((1 << line.count) - 1) << first;
        } else {
            for i in 0..line.count {
                mask |= 1 << (first + i * places.target_step);
            }
        }
        let back = if places.target_step == 1 { first * places.source_step } else { 0 };
        Read { mask: mask as u16, from: line.from as i32 - back as i32, line }
    }
}
