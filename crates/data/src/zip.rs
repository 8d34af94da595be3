//! Zip archives, as far as npz needs them: entries stored or deflated, read through the directory at the end.

use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::Read;

const END_MAGIC: [u8; 4] = *b"PK\x05\x06";
const END_SIZE: usize = 22;
const DIRECTORY_MAGIC: [u8; 4] = *b"PK\x01\x02";
const DIRECTORY_SIZE: usize = 46;
const LOCAL_MAGIC: [u8; 4] = *b"PK\x03\x04";
const LOCAL_SIZE: usize = 30;

/// The comment after the end record is at most this long.
const MAX_COMMENT: usize = u16::MAX as usize;

/// A byte of deflate makes at most so many.
const DEFLATE_RATIO: u64 = 1032;

/// A size or offset of this value stands in the extra field as 64 bits (zip64).
const IN_EXTRA: u64 = u32::MAX as u64;
const ZIP64_EXTRA: u16 = 1;

/// An archive in memory.
#[derive(Debug, Clone)]
pub(crate) struct Zip {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    deflated: bool,
    crc: u32,
    packed: u64,
    unpacked: u64,
    /// Where its local header starts.
    offset: u64,
}

impl Zip {
    /// Reads the directory of an archive.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let least = bytes.len().saturating_sub(END_SIZE + MAX_COMMENT);
        let start =
            (least..(bytes.len() + 1).saturating_sub(END_SIZE)).rev().find(|&i| bytes[i..].starts_with(&END_MAGIC));
        let start = start.ok_or("it is no zip archive, or its end is missing")?;
        let (count, mut at) = (u16_at(&bytes, start + 10)?, u64::from(u32_at(&bytes, start + 16)?));
        let mut entries = Vec::new();
        for _ in 0..count {
            let (entry, next) = Entry::parse(&bytes, at)?;
            entries.push(entry);
            at = next;
        }
        Ok(Zip { bytes, entries })
    }

    /// Names of the entries, in the order of the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The bytes of an entry, at most `limit`, checked against its checksum.
    pub fn unpack(&self, index: usize, limit: u64) -> Result<Vec<u8>, String> {
        let entry = self.entries.get(index).ok_or("no such entry")?;
        let local = place(entry.offset)?;
        if slice(&self.bytes, local, 4)? != LOCAL_MAGIC {
            return Err("its header is damaged".to_owned());
        }
        let names = usize::from(u16_at(&self.bytes, local + 26)?) + usize::from(u16_at(&self.bytes, local + 28)?);
        let packed = slice(&self.bytes, local + LOCAL_SIZE + names, place(entry.packed)?)?;
        let most = (packed.len() as u64).saturating_mul(DEFLATE_RATIO);
        if entry.unpacked > most {
            return Err(format!("{} bytes cannot unpack to {}", packed.len(), entry.unpacked));
        }
        if entry.unpacked > limit {
            return Err(format!("it unpacks to {} bytes, more than {limit}", entry.unpacked));
        }
        let mut out = Vec::new();
        if entry.deflated {
            let result = DeflateDecoder::new(packed).take(entry.unpacked.saturating_add(1)).read_to_end(&mut out);
            result.map_err(|e| format!("unpacking stopped: {e}"))?;
        } else {
            out.extend_from_slice(packed);
        }
        let mut crc = Crc::new();
        crc.update(&out);
        if out.len() as u64 != entry.unpacked || crc.sum() != entry.crc {
            return Err(format!("expected {} bytes, found {} or other ones", entry.unpacked, out.len()));
        }
        Ok(out)
    }
}

impl Entry {
    /// The directory entry at `at`, and where the next one starts.
    fn parse(bytes: &[u8], at: u64) -> Result<(Entry, u64), String> {
        let start = place(at)?;
        if slice(bytes, start, 4)? != DIRECTORY_MAGIC {
            return Err("its directory is damaged".to_owned());
        }
        let method = u16_at(bytes, start + 10)?;
        let [name_size, extra_size, comment_size] =
            [28, 30, 32].map(|offset| u16_at(bytes, start + offset).map(usize::from));
        let (name_size, extra_size) = (name_size?, extra_size?);
        let name = String::from_utf8_lossy(slice(bytes, start + DIRECTORY_SIZE, name_size)?).into_owned();
        if u16_at(bytes, start + 8)? & 1 != 0 {
            return Err(format!("{name} is encrypted"));
        }
        if method != 0 && method != 8 {
            return Err(format!("{name} is packed by method {method}, only 0 (stored) and 8 (deflated) can be read"));
        }
        let mut wide = zip64(slice(bytes, start + DIRECTORY_SIZE + name_size, extra_size)?);
        let mut size = |offset: usize| -> Result<u64, String> {
            match u64::from(u32_at(bytes, start + offset)?) {
                IN_EXTRA => wide.next().ok_or_else(|| format!("{name} lacks its size")),
                size => Ok(size),
            }
        };
        // The wide sizes follow in this order, each only if its narrow field says so.
        let (unpacked, packed, offset) = (size(24)?, size(20)?, size(42)?);
        let entry = Entry { deflated: method == 8, crc: u32_at(bytes, start + 16)?, packed, unpacked, offset, name };
        Ok((entry, (start + DIRECTORY_SIZE + name_size + extra_size + comment_size?) as u64))
    }
}

/// The 64-bit numbers of the zip64 field among the extra fields.
fn zip64(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let [k0, k1, s0, s1, rest @ ..] = extra {
        let size = usize::from(u16::from_le_bytes([*s0, *s1])).min(rest.len());
        if u16::from_le_bytes([*k0, *k1]) == ZIP64_EXTRA {
            found = &rest[..size];
        }
        extra = &rest[size..];
    }
    found.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

fn place(offset: u64) -> Result<usize, String> {
    usize::try_from(offset).map_err(|_| format!("offset {offset} lies outside the file"))
}

fn slice(bytes: &[u8], start: usize, size: usize) -> Result<&[u8], String> {
    let found = start.checked_add(size).and_then(|end| bytes.get(start..end));
    found.ok_or_else(|| format!("{size} bytes at {start} lie outside the file of {}", bytes.len()))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    slice(bytes, at, 2).map(|b| u16::from_le_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    slice(bytes, at, 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}
