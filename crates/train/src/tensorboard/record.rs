//! The bytes of TensorBoard's event files: TFRecord frames with masked CRC-32C, in them `Event` messages of protocol buffers
//! (`tensorboard/compat/proto/{event,summary}.proto`).

/// A frame: length, its checksum, the data, its checksum; all little-endian.
pub fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(data).to_le_bytes());
    bytes
}

/// The checksum that TFRecord uses: rotated by 15 bits, with a constant added.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), bit by bit: event files are small.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 })
    })
}

/// The first event of a file.
pub fn version(wall: f64) -> Vec<u8> {
    let mut event = double(1, wall);
    event.extend(bytes(3, b"brain.Event:2"));
    event
}

/// The event that training begins after `step`: what an earlier file says of later steps is forgotten.
pub fn start(wall: f64, step: u64) -> Vec<u8> {
    let mut event = double(1, wall);
    event.extend(integer(2, step));
    event.extend(bytes(7, &integer(1, 1)));
    event
}

/// Numbers of one step, by name.
pub fn scalars(wall: f64, step: u64, values: &[(&str, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut one = bytes(1, tag.as_bytes());
        one.extend(key(2, 5));
        one.extend(value.to_le_bytes());
        summary.extend(bytes(1, &one));
    }
    event(wall, step, &summary)
}

/// A PNG of one step.
pub fn image(wall: f64, step: u64, tag: &str, (height, width, channels): (usize, usize, usize), png: &[u8]) -> Vec<u8> {
    let mut picture = integer(1, height as u64);
    picture.extend(integer(2, width as u64));
    picture.extend(integer(3, channels as u64));
    picture.extend(bytes(4, png));
    let mut one = bytes(1, tag.as_bytes());
    one.extend(bytes(4, &picture));
    event(wall, step, &bytes(1, &one))
}

fn event(wall: f64, step: u64, summary: &[u8]) -> Vec<u8> {
    let mut event = double(1, wall);
    event.extend(integer(2, step));
    event.extend(bytes(5, summary));
    event
}

/// The head of a field: its number and its kind (0 varint, 1 eight bytes, 2 bytes with their length, 5 four bytes).
fn key(field: u64, kind: u64) -> Vec<u8> {
    varint(field << 3 | kind)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A number; zero is what a field is that is left out.
fn integer(field: u64, value: u64) -> Vec<u8> {
    if value == 0 { Vec::new() } else { [key(field, 0), varint(value)].concat() }
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [key(field, 1), value.to_le_bytes().to_vec()].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [key(field, 2), varint(value.len() as u64), value.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that `tests/golden/events.py` wrote with TensorBoard's own classes.
    const GOLDEN: &[u8] = include_bytes!("golden.tfevents");

    #[test]
    fn the_bytes_are_those_of_tensorboard() {
        let events = [
            version(1.5),
            start(2.0, 300),
            scalars(2.5, 300, &[("loss", 0.125), ("lr", 1e-3)]),
            image(3.0, 0, "first batch", (2, 300, 3), b"\x89PNG and so on"),
        ];
        let ours: Vec<u8> = events.iter().flat_map(|event| frame(event)).collect();
        assert_eq!(ours, GOLDEN);
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }
}
