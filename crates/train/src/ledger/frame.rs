//! Frames: `u32` length of the payload, `u32` CRC-32 of it (that of zip and PNG), payload; all numbers little-endian.

/// Bytes before a payload.
const HEAD: usize = 8;

/// A payload as a frame.
pub(super) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(crc32(payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// Walks over the payloads of whole frames, and stops at the first that is none.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    /// Where the next frame begins.
    at: usize,
}

impl<'a> Frames<'a> {
    pub fn of(bytes: &'a [u8]) -> Frames<'a> {
        Frames { bytes, at: 0 }
    }

    /// Bytes of the frames that were passed.
    pub fn passed(&self) -> usize {
        self.at
    }

    /// Whether no more is left than the beginning of a frame whose payload has at most `longest` bytes.
    pub fn is_unfinished(&self, longest: usize) -> bool {
        let rest = &self.bytes[self.at..];
        let length = rest.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
        length.is_none_or(|length| length <= longest && rest.len() < HEAD + length)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let word = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let (length, checksum) = (word(0)? as usize, word(4)?);
        let payload = rest.get(HEAD..HEAD.checked_add(length)?)?;
        if crc32(payload) != checksum {
            return None;
        }
        self.at += HEAD + length;
        Some(payload)
    }
}

/// CRC-32 of IEEE 802.3, by a table of bytes.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, &byte| TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize] ^ crc >> 8)
}

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ crc >> 1 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn reading_stops_at_the_first_frame_that_was_changed_or_cut() {
        let bytes = [framed(b"one"), framed(b""), framed(b"three")].concat();
        assert_eq!(Frames::of(&bytes).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 16;
            let mut frames = Frames::of(&changed);
            let whole = frames.by_ref().count();
            let begun = [0, HEAD + 3, 2 * HEAD + 3].iter().rposition(|&start| start <= at).unwrap();
            assert_eq!(whole, begun, "byte {at}");
            assert_eq!(Frames::of(&bytes[..at]).count(), begun, "cut at {at}");
        }
    }
}
