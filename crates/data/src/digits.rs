//! The digits that ship with the library: 5,000 of MNIST, so that the first training needs no file.
//!
//! See `assets/digits/SOURCE.md` for where they come from and their licence.

use crate::idx::{idx_images, parse_idx};
use crate::{DataError, InMemory};
use std::path::Path;

const TRAIN_IMAGES: &[u8] = include_bytes!("../assets/digits/train-images-idx3-ubyte.gz");
const TRAIN_LABELS: &[u8] = include_bytes!("../assets/digits/train-labels-idx1-ubyte.gz");
const TEST_IMAGES: &[u8] = include_bytes!("../assets/digits/t10k-images-idx3-ubyte.gz");
const TEST_LABELS: &[u8] = include_bytes!("../assets/digits/t10k-labels-idx1-ubyte.gz");

/// 4,000 training and 1,000 test images of handwritten digits, `[1, 28, 28]`, as many of each class.
///
/// # Errors
/// None in practice: the files are part of the library and tested.
pub fn digits() -> Result<(InMemory, InMemory), DataError> {
    let part = |images: &[u8], images_name: &str, labels: &[u8], labels_name: &str| {
        let (images_path, labels_path) = (Path::new(images_name), Path::new(labels_name));
        let (images, labels) = (parse_idx(images.to_vec(), images_path)?, parse_idx(labels.to_vec(), labels_path)?);
        idx_images(images, images_path, labels, labels_path)
    };
    Ok((
        part(TRAIN_IMAGES, "digits/train-images", TRAIN_LABELS, "digits/train-labels")?,
        part(TEST_IMAGES, "digits/t10k-images", TEST_LABELS, "digits/t10k-labels")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, class_counts};

    #[test]
    fn the_shipped_digits_are_complete_balanced_and_share_no_image() {
        let (train, test) = digits().unwrap();
        assert_eq!((train.shape(), test.shape()), (&[1, 28, 28][..], &[1, 28, 28][..]));
        assert_eq!(class_counts(&train).unwrap(), [400; 10]);
        assert_eq!(class_counts(&test).unwrap(), [100; 10]);
        let hashes = |set: &InMemory| (0..set.len()).map(|row| set.content_hash(row).unwrap()).collect::<Vec<_>>();
        let seen: std::collections::HashSet<_> = hashes(&train).into_iter().collect();
        assert!(hashes(&test).iter().all(|hash| !seen.contains(hash)));
    }
}
