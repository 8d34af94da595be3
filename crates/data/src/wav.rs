//! WAV files (RIFF): what the header says of a recording, checked against the bytes that are there.

use std::path::Path;

use crate::DataError;

/// What a WAV file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavInfo {
    /// 1 for mono, 2 for stereo.
    pub channels: u16,
    /// Frames a second.
    pub rate: u32,
    /// Bits of one number.
    pub bits: u16,
    /// Whether the numbers are floats.
    pub float: bool,
    /// Numbers for each channel.
    pub frames: u64,
}

impl WavInfo {
    /// How long it lasts.
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.rate)
    }
}

/// Format codes of uncompressed sound; an extensible header holds one of the others in its first sub-format bytes.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;

/// What the bytes of a WAV file hold; `path` is only for messages.
///
/// # Errors
/// If it is no RIFF/WAVE file, is compressed, cut off, or its header contradicts itself.
pub fn parse_wav(bytes: &[u8], path: &Path) -> Result<WavInfo, DataError> {
    parse(bytes).map_err(|why| DataError::broken(path, "WAV", why, "save it again as uncompressed WAV, or remove it"))
}

fn parse(bytes: &[u8]) -> Result<WavInfo, String> {
    let (Some(b"RIFF"), Some(b"WAVE")) = (bytes.get(..4), bytes.get(8..12)) else {
        return Err(match bytes {
            [] => "it is empty".to_owned(),
            _ => "it does not start as a RIFF/WAVE file does".to_owned(),
        });
    };
    let (mut at, mut format) = (12usize, None);
    while let Some(head) = bytes.get(at..at.saturating_add(8)) {
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = at + 8;
        let there = bytes.len() - body;
        match &head[..4] {
            b"fmt " => format = Some(read_format(bytes.get(body..body.saturating_add(size.min(40))))?),
            b"data" => {
                let (info, frame) = format.ok_or("the sound comes before its format")?;
                if size > there {
                    return Err(format!("the header promises {size} bytes of sound, found {there}"));
                }
                return Ok(WavInfo { frames: (size / frame) as u64, ..info });
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = body.saturating_add(size).saturating_add(size % 2);
    }
    Err("it has no chunk of sound".to_owned())
}

/// The format, and the bytes of one frame.
fn read_format(chunk: Option<&[u8]>) -> Result<(WavInfo, usize), String> {
    let chunk = chunk.filter(|chunk| chunk.len() >= 16).ok_or("its format is cut off")?;
    let short = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
    let rate = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
    let (channels, frame, bits) = (short(2), usize::from(short(12)), short(14));
    let code = if short(0) == EXTENSIBLE && chunk.len() >= 26 { short(24) } else { short(0) };
    if code != PCM && code != FLOAT {
        return Err(format!("it is compressed (format code {code})"));
    }
    if channels == 0 || rate == 0 || !matches!(bits, 8 | 16 | 24 | 32 | 64) {
        return Err(format!("{channels} channels of {bits} bits at {rate} Hz cannot be"));
    }
    if frame != usize::from(channels) * usize::from(bits / 8) {
        return Err(format!("{channels} channels of {bits} bits do not make frames of {frame} bytes"));
    }
    Ok((WavInfo { channels, rate, bits, float: code == FLOAT, frames: 0 }, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(frames: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend([1, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x80, 0x3E, 0, 0, 2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend((2 * frames).to_le_bytes());
        bytes.extend(std::iter::repeat_n(7, 2 * frames as usize));
        bytes
    }

    #[test]
    fn rate_length_and_channels_are_read_past_other_chunks() {
        let info = parse(&wav(4000)).unwrap();
        assert_eq!((info.channels, info.rate, info.bits, info.frames), (1, 8000, 16, 4000));
        assert!((info.seconds() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_cut_off_or_contradicts_itself_is_said() {
        assert_eq!(parse(&wav(10)[..70]).unwrap_err(), "the header promises 20 bytes of sound, found 14");
        assert!(parse(b"ID3").unwrap_err().contains("does not start as"));
        assert!(parse(b"").unwrap_err().contains("empty"));
        let mut odd = wav(1);
        odd[12 + 12 + 8 + 12] = 3;
        assert!(parse(&odd).unwrap_err().contains("do not make frames of 3 bytes"), "{:?}", parse(&odd));
    }

    #[test]
    fn damaged_files_never_panic() {
        crate::fuzz::truncations(&wav(20), |cut| assert!(parse(cut).is_err()));
        crate::fuzz::flips(&wav(20), 5000, |damaged| drop(parse(damaged)));
    }
}
