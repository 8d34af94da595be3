//! IDX, the format of MNIST: a magic number, sizes, then bytes. Packed with gzip or not.

use crate::bytes::{MAX_BYTES, gunzip, peek, read_file};
use crate::memory::{InMemory, Targets, Values};
use crate::{DataError, Dataset};
use std::path::{Path, PathBuf};

/// Third byte of the magic number: unsigned bytes, the one type that the known datasets use.
const UNSIGNED_BYTE: u8 = 0x08;

/// The array of one IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Sizes, outermost first: `[N, H, W]` for images, `[N]` for labels.
    pub shape: Vec<usize>,
    /// The bytes in row-major order.
    pub values: Vec<u8>,
}

/// Reads an IDX file of unsigned bytes; gzip is recognised by its first bytes, whatever the name.
///
/// # Errors
/// If the file cannot be read, or its magic number, sizes and length do not agree.
pub fn read_idx(path: &Path) -> Result<Idx, DataError> {
    parse_idx(read_file(path, MAX_BYTES)?, path)
}

/// As `read_idx`, from bytes; `path` is only for messages.
///
/// # Errors
/// As for `read_idx`.
pub fn parse_idx(bytes: Vec<u8>, path: &Path) -> Result<Idx, DataError> {
    let broken = |why: String, help: &str| Err(DataError::broken(path, "IDX", why, help));
    let head = peek(&bytes, 4 + 4 * usize::from(u8::MAX));
    let Some(&[0, 0, kind, rank]) = head.first_chunk::<4>() else {
        return broken(
            format!("an IDX file starts with 00 00 08 RANK, this one with {}", hex(&head)),
            "check that this is an IDX file such as train-images-idx3-ubyte",
        );
    };
    if kind != UNSIGNED_BYTE || rank == 0 {
        return broken(
            format!("element type {kind:#04x} of rank {rank} cannot be read, only 0x08 (bytes) of rank 1 or more"),
            "convert it to bytes",
        );
    }
    let header = 4 + 4 * usize::from(rank);
    if head.len() < header {
        return broken(
            format!("expected {header} bytes of header, found {} bytes in all", head.len()),
            "the file is cut off: fetch it again",
        );
    }
    let shape: Vec<usize> =
        head[4..header].chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).and_then(|n| n.checked_add(header));
    let Some(expected) = expected.filter(|&n| n as u64 <= MAX_BYTES) else {
        return broken(
            format!("sizes {shape:?} need more than {MAX_BYTES} bytes, the most that is read"),
            "check that this is the right file",
        );
    };
    let mut values = gunzip(bytes, path, expected as u64)?;
    if values.len() != expected {
        return broken(
            format!("sizes {shape:?} need {expected} bytes, found {} bytes", values.len()),
            "the file is cut off or has something appended: fetch it again",
        );
    }
    values.drain(..header);
    Ok(Idx { shape, values })
}

/// The bytes of an IDX file that holds `idx`, not packed.
///
/// # Errors
/// If the sizes do not fit the format (rank 1 to 255, each below 2^32) or the number of values.
pub fn write_idx(idx: &Idx) -> Result<Vec<u8>, DataError> {
    let count = idx.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let fits = idx.shape.iter().all(|&d| u32::try_from(d).is_ok());
    match u8::try_from(idx.shape.len()) {
        Ok(rank @ 1..) if fits && count == Some(idx.values.len()) => {
            let mut bytes = vec![0, 0, UNSIGNED_BYTE, rank];
            idx.shape.iter().for_each(|&d| bytes.extend((d as u32).to_be_bytes()));
            bytes.extend(&idx.values);
            Ok(bytes)
        }
        _ => Err(DataError::argument(
            "idx",
            format!("{} values of shape {:?} do not make an IDX file", idx.values.len(), idx.shape),
            "the product of the sizes must be the number of values",
        )),
    }
}

/// Labelled grey images from an IDX file of images `[N, H, W]` and one of labels `[N]`: samples `[1, H, W]`.
///
/// Class names are the label numbers.
///
/// # Errors
/// If a file is broken, has another rank, or the two differ in number.
pub fn read_idx_images(images: &Path, labels: &Path) -> Result<InMemory, DataError> {
    idx_images(read_idx(images)?, images, read_idx(labels)?, labels)
}

pub(crate) fn idx_images(
    images: Idx,
    images_path: &Path,
    labels: Idx,
    labels_path: &Path,
) -> Result<InMemory, DataError> {
    let [n, height, width] = images.shape[..] else {
        return Err(wrong_rank(images_path, &images.shape, "[N, H, W] of images"));
    };
    let [labelled] = labels.shape[..] else {
        return Err(wrong_rank(labels_path, &labels.shape, "[N] of labels"));
    };
    if n != labelled {
        return Err(DataError::broken(
            labels_path,
            "IDX",
            format!("it has {labelled} labels for the {n} images of {}", images_path.display()),
            "take both files from the same set",
        ));
    }
    if images.values.is_empty() {
        return Err(DataError::broken(
            images_path,
            "IDX",
            format!("sizes {:?} hold no pixel", images.shape),
            "check that this is the right file",
        ));
    }
    let classes: Vec<usize> = labels.values.iter().map(|&label| usize::from(label)).collect();
    let names = (0..=classes.iter().copied().max().unwrap_or(0)).map(|class| class.to_string()).collect();
    let name = images_path.display().to_string();
    InMemory::new(name, &[1, height, width], Values::Bytes(images.values), Targets::Classes(classes), names)
}

fn wrong_rank(path: &Path, shape: &[usize], wanted: &str) -> DataError {
    DataError::broken(path, "IDX", format!("expected {wanted}, found shape {shape:?}"), "check which file is which")
}

/// A folder of the four MNIST files under their official names: MNIST itself, Fashion-MNIST, EMNIST, KMNIST, ...
#[derive(Debug, Clone, PartialEq)]
pub struct MnistDir {
    /// From `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`.
    pub train: InMemory,
    /// From `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`.
    pub test: InMemory,
}

impl MnistDir {
    /// Reads the four files of `dir`, each as it is or with `.gz`.
    ///
    /// # Errors
    /// If a file is missing or broken, or the two parts differ in classes or image size.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let part = |part: &str| -> Result<InMemory, DataError> {
            let images = find(dir, &format!("{part}-images-idx3-ubyte"))?;
            let labels = find(dir, &format!("{part}-labels-idx1-ubyte"))?;
            read_idx_images(&images, &labels)
        };
        let (train, test) = (part("train")?, part("t10k")?);
        if train.class_names().len() < test.class_names().len() || train.shape() != test.shape() {
            return Err(DataError::Layout {
                path: dir.to_owned(),
                why: "the training and the test files are not of one dataset".to_owned(),
                found: format!(
                    "{:?} with {} classes for training, {:?} with {} for testing",
                    train.shape(),
                    train.class_names().len(),
                    test.shape(),
                    test.class_names().len()
                ),
                help: "take all four files from the same set".to_owned(),
            });
        }
        // A test part without the last class still names it as the training part does.
        let test = test.with_classes_of(&train);
        Ok(MnistDir { train, test })
    }
}

fn find(dir: &Path, name: &str) -> Result<PathBuf, DataError> {
    let plain = dir.join(name);
    let packed = dir.join(format!("{name}.gz"));
    [plain, packed].into_iter().find(|path| path.is_file()).ok_or_else(|| DataError::Layout {
        path: dir.to_owned(),
        why: format!("{name} or {name}.gz is missing"),
        found: crate::bytes::listing(dir),
        help: "an MNIST folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
               t10k-labels-idx1-ubyte, each as it is or with .gz"
            .to_owned(),
    })
}

fn hex(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing: it is empty".to_owned(),
        _ => bytes.iter().take(4).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn small() -> Idx {
        Idx { shape: vec![2, 2, 3], values: (0..12).collect() }
    }

    fn parse(bytes: &[u8]) -> Result<Idx, String> {
        parse_idx(bytes.to_vec(), Path::new("toy.idx")).map_err(|e| e.to_string())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_packed_or_not() {
        let bytes = write_idx(&small()).unwrap();
        assert_eq!(parse(&bytes).unwrap(), small());
        assert_eq!(parse(&gzip(&bytes)).unwrap(), small());
    }

    #[test]
    fn a_truncated_file_is_an_error_with_path_expected_and_found_bytes() {
        let bytes = write_idx(&small()).unwrap();
        assert_eq!(
            parse(&bytes[..20]).unwrap_err(),
            "broken IDX file toy.idx: sizes [2, 2, 3] need 28 bytes, found 20 bytes\n  \
             help: the file is cut off or has something appended: fetch it again"
        );
        assert!(parse(&bytes[..9]).unwrap_err().contains("expected 16 bytes of header, found 9 bytes in all"));
        let packed = gzip(&bytes);
        let error = parse(&packed[..packed.len() - 3]).unwrap_err();
        assert!(error.starts_with("broken gzip file toy.idx: unpacking stopped after 28 bytes"), "{error}");
    }

    #[test]
    fn damaged_files_never_panic() {
        let bytes = write_idx(&small()).unwrap();
        for bytes in [gzip(&bytes), bytes] {
            crate::fuzz::truncations(&bytes, |cut| assert!(parse(cut).is_err()));
            crate::fuzz::flips(&bytes, 5000, |damaged| drop(parse(damaged)));
        }
    }

    #[test]
    fn sizes_beyond_memory_are_an_error_and_allocate_nothing() {
        let mut bytes = vec![0, 0, 8, 4];
        bytes.extend([0xFF; 16]);
        assert!(parse(&bytes).unwrap_err().contains("need more than 8589934592 bytes, the most that is read"));
    }

    #[test]
    fn other_files_and_other_types_are_named() {
        assert!(parse(b"PNG!").unwrap_err().contains("this one with 50 4e 47 21"));
        assert!(parse(b"").unwrap_err().contains("this one with nothing: it is empty"));
        assert!(parse(&[0, 0, 0x0D, 1, 0, 0, 0, 0]).unwrap_err().contains("element type 0x0d of rank 1"));
    }

    #[test]
    fn images_and_labels_must_match_in_number() {
        let labels = Idx { shape: vec![3], values: vec![0, 1, 2] };
        let error = idx_images(small(), Path::new("images"), labels, Path::new("labels")).unwrap_err().to_string();
        assert!(error.contains("file labels: it has 3 labels for the 2 images of images"), "{error}");
    }

    #[test]
    fn a_folder_without_the_files_says_what_belongs_there() {
        let dir = std::env::temp_dir().join(format!("glassbox-idx-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("notes.txt"), "x").unwrap();
        let error = MnistDir::open(&dir).unwrap_err().to_string();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(error.contains("train-images-idx3-ubyte or train-images-idx3-ubyte.gz is missing"), "{error}");
        assert!(error.contains("found: notes.txt"), "{error}");
    }
}
