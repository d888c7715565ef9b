//! CIFAR-10: 60,000 small colour photographs of ten kinds of things.
//!
//! A file is a row of records, each a label and the 32×32 red, then the green, then the blue values of an image.
//!
//! Source: Alex Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009, the binary version. It is
//! not in the repository.

use std::fs;
use std::path::Path;

use ndarray::{Array1, Array4, ArrayView3, s};

use crate::{Error, Result};

/// Images of 32×32 pixels in three colours and what they show.
///
/// # Example
/// ```
/// use gradus::data::datasets::cifar10::Cifar10;
/// use ndarray::{Array1, Array4};
///
/// let black = Cifar10 { images: Array4::zeros([3, 32, 32, 3]), labels: Array1::zeros(3) };
/// assert_eq!(black.images.dim(), (3, 32, 32, 3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cifar10 {
    /// (n, 32, 32, 3): rows from top to bottom; red, green, blue.
    pub images: Array4<u8>,
    /// (n): the class of each image, 0 … 9; [`CLASSES`] names them.
    pub labels: Array1<u8>,
}

/// What the labels 0 … 9 stand for.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: [&str; 1] = ["test_batch.bin"];
const SIDE: usize = 32;
const RECORD: usize = 1 + 3 * SIDE * SIDE;

/// CIFAR-10 from `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin` in `folder`: training and test set.
///
/// # Errors
/// [`Io`](Error::Io) if a file cannot be read; [`File`](Error::File) if it has another length than 10,000 records or
/// a label above 9.
///
/// # Example
/// ```no_run
/// let (train, test) = gradus::data::datasets::cifar10::load_from("downloads/cifar-10-batches-bin")?;
/// assert_eq!(train.images.dim(), (50_000, 32, 32, 3));
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn load_from(folder: impl AsRef<Path>) -> Result<(Cifar10, Cifar10)> {
    let folder = folder.as_ref();
    Ok((read(folder, &TRAIN, 10_000)?, read(folder, &TEST, 10_000)?))
}

/// Reads `files` of `per_file` records each.
fn read(folder: &Path, files: &[&str], per_file: usize) -> Result<Cifar10> {
    let n = files.len() * per_file;
    let mut set = Cifar10 { images: Array4::zeros([n, SIDE, SIDE, 3]), labels: Array1::zeros(n) };
    for (i, file) in files.iter().enumerate() {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        if bytes.len() != per_file * RECORD {
            let (expected, received) = (per_file * RECORD, bytes.len());
            return Err(Error::file(
                path,
                format!("expected {per_file} records in {expected} bytes, it has {received}"),
            ));
        }
        for (j, record) in bytes.chunks_exact(RECORD).enumerate() {
            if record[0] > 9 {
                return Err(Error::file(path, format!("expected labels in 0..10, record {j} has {}", record[0])));
            }
            set.labels[i * per_file + j] = record[0];
            if let Ok(planes) = ArrayView3::from_shape([3, SIDE, SIDE], &record[1..]) {
                set.images.slice_mut(s![i * per_file + j, .., .., ..]).assign(&planes.permuted_axes([1, 2, 0]));
            }
        }
    }
    Ok(set)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_channels_and_wrong_files_are_refused() {
        let folder = std::env::temp_dir().join(format!("gradus-cifar-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (i, name) in (1..).zip(TRAIN) {
            let mut bytes = vec![0u8; 2 * RECORD];
            bytes[RECORD] = i; // label of record 1
            bytes[RECORD + 1 + 1024 + 32 * 4 + 9] = 200; // green of its row 4, column 9
            fs::write(folder.join(name), bytes).unwrap();
        }
        let set = read(&folder, &TRAIN, 2).unwrap();
        assert_eq!(set.images.dim(), (10, 32, 32, 3));
        assert_eq!(set.labels.to_vec(), [0, 1, 0, 2, 0, 3, 0, 4, 0, 5]);
        assert_eq!(set.images.slice(s![5, 4, 9, ..]).to_vec(), [0, 200, 0]);
        assert_eq!(set.images.iter().filter(|&&p| p > 0).count(), 5);

        let refused = read(&folder, &TRAIN, 3).unwrap_err().to_string();
        assert!(refused.ends_with("data_batch_1.bin: expected 3 records in 9219 bytes, it has 6146"), "{refused}");
        let mut bytes = fs::read(folder.join(TRAIN[0])).unwrap();
        bytes[RECORD] = 10;
        fs::write(folder.join(TRAIN[0]), &bytes).unwrap();
        let refused = read(&folder, &TRAIN, 2).unwrap_err().to_string();
        assert!(refused.ends_with("expected labels in 0..10, record 1 has 10"), "{refused}");
        assert!(matches!(load_from("no/such/folder"), Err(Error::Io { .. })));
        fs::remove_dir_all(folder).unwrap();
    }
}
