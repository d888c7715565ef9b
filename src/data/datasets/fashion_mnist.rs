//! Fashion-MNIST: 70,000 pictures of clothes in the form of MNIST.
//!
//! Source: Han Xiao, Kashif Rasul, Roland Vollgraf, *Fashion-MNIST*, 2017; licence MIT. It is not in the repository.

use std::path::Path;

use super::IdxFile;
use super::mnist::Mnist;
use crate::Result;

const FILES: [IdxFile; 4] = [
    IdxFile { name: "train-images-idx3-ubyte", sum: None, shape: &[60_000, 28, 28] },
    IdxFile { name: "train-labels-idx1-ubyte", sum: None, shape: &[60_000] },
    IdxFile { name: "t10k-images-idx3-ubyte", sum: None, shape: &[10_000, 28, 28] },
    IdxFile { name: "t10k-labels-idx1-ubyte", sum: None, shape: &[10_000] },
];

/// What the labels 0 … 9 stand for.
pub const CLASSES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// Fashion-MNIST's training set of 60,000 images and test set of 10,000.
///
/// Looks where [`datasets`](super) says, in a folder `fashion_mnist`, for files named as those of MNIST. Their shapes
/// are checked.
///
/// # Errors
/// [`Data`](crate::Error::Data) if no folder holds the files; [`File`](crate::Error::File) if one of them is damaged.
///
/// # Example
/// ```no_run
/// let (train, test) = gradus::data::datasets::fashion_mnist::load()?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn load() -> Result<(Mnist, Mnist)> {
    let advice = "put them into one of these folders, from github.com/zalandoresearch/fashion-mnist";
    load_from(super::find("fashion_mnist", &FILES.each_ref().map(|f| f.name), advice)?)
}

/// Fashion-MNIST from the four files in `folder`.
///
/// # Errors
/// [`File`](crate::Error::File) if one of the files is missing or damaged.
///
/// # Example
/// ```no_run
/// let (train, test) = gradus::data::datasets::fashion_mnist::load_from("downloads/fashion")?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn load_from(folder: impl AsRef<Path>) -> Result<(Mnist, Mnist)> {
    super::read_idx(folder.as_ref(), &FILES)
}
