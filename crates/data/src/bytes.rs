//! Reading whole files within bounds, compressed with gzip or not.

use crate::DataError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// No file may fill more memory than this, unpacked: 8 GiB.
pub(crate) const MAX_BYTES: u64 = 8 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// All bytes of a file, at most `limit`.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(|e| DataError::io(path, "read", e))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| DataError::io(path, "read", e))?;
    if bytes.len() as u64 > limit {
        return Err(DataError::broken(
            path,
            "data",
            format!("it is larger than {limit} bytes, the most that is read"),
            "split it into smaller files",
        ));
    }
    Ok(bytes)
}

/// True if the bytes begin as a gzip stream does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC)
}

/// The bytes as they are, or unpacked if they are gzip, all members of the stream: at most `limit`, and no more than that is
/// ever allocated.
pub(crate) fn gunzip(bytes: Vec<u8>, path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    if !is_gzip(&bytes) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).take(limit.saturating_add(1)).read_to_end(&mut out).map_err(|e| {
        DataError::broken(
            path,
            "gzip",
            format!("unpacking stopped after {} bytes: {e}", out_len(&bytes)),
            "the file is cut off or damaged: fetch it again",
        )
    })?;
    if out.len() as u64 > limit {
        return Err(DataError::broken(
            path,
            "gzip",
            format!("it unpacks to more than {limit} bytes, the most that is expected"),
            "check that this is the right file",
        ));
    }
    Ok(out)
}

/// The first `count` bytes once unpacked, fewer if there are no more or the stream is damaged.
pub(crate) fn peek(bytes: &[u8], count: usize) -> Vec<u8> {
    if !is_gzip(bytes) {
        return bytes[..count.min(bytes.len())].to_vec();
    }
    let (mut out, mut decoder, mut buffer) = (Vec::new(), MultiGzDecoder::new(bytes).take(count as u64), [0; 512]);
    while let Ok(n @ 1..) = decoder.read(&mut buffer) {
        out.extend(&buffer[..n]);
    }
    out
}

/// How many bytes of a damaged gzip stream can be unpacked.
fn out_len(bytes: &[u8]) -> u64 {
    let mut decoder = MultiGzDecoder::new(bytes);
    let mut buffer = [0; 16 << 10];
    let mut total = 0;
    while let Ok(n @ 1..) = decoder.read(&mut buffer) {
        total += n as u64;
    }
    total
}

/// The names in a folder for a message: at most 12, then how many more.
pub(crate) fn listing(dir: &Path) -> String {
    const SHOWN: usize = 12;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return "no folder".to_owned();
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    match names.len() {
        0 => "nothing".to_owned(),
        n @ 0..=SHOWN => names[..n].join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

/// Writes a whole file, or leaves the old one as it was.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.tmp", std::process::id()));
    let written = std::fs::write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    written.map_err(|e| {
        // The first error is the one to tell; the leftover may be gone already.
        let _ = std::fs::remove_file(&unfinished);
        DataError::io(path, "write", e)
    })
}
