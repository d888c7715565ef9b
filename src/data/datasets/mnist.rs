//! MNIST: 70,000 handwritten digits.
//!
//! Source: Yann Le Cun, Corinna Cortes, Christopher J. C. Burges, *The MNIST database of handwritten digits*; licence
//! CC BY-SA 3.0.

use std::path::Path;

use ndarray::{Array1, Array3};

use super::IdxFile;
use crate::Result;

/// Images of 28×28 pixels and what they show; one half of MNIST, or of a data set in its form.
///
/// # Example
/// ```
/// use gradus::data::datasets::mnist::Mnist;
/// use ndarray::{Array1, Array3};
///
/// let blank = Mnist { images: Array3::zeros([3, 28, 28]), labels: Array1::zeros(3) };
/// assert_eq!(blank.images.mapv(|p| f32::from(p) / 255.0).dim(), (3, 28, 28));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// (n, 28, 28): rows from top to bottom, pixels from 0, paper, to 255, ink.
    pub images: Array3<u8>,
    /// (n): the class of each image, 0 … 9.
    pub labels: Array1<u8>,
}

const FILES: [IdxFile; 4] = [
    IdxFile {
        name: "train-images-idx3-ubyte",
        sum: Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        shape: &[60_000, 28, 28],
    },
    IdxFile {
        name: "train-labels-idx1-ubyte",
        sum: Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        shape: &[60_000],
    },
    IdxFile {
        name: "t10k-images-idx3-ubyte",
        sum: Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        shape: &[10_000, 28, 28],
    },
    IdxFile {
        name: "t10k-labels-idx1-ubyte",
        sum: Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        shape: &[10_000],
    },
];

#[cfg(not(feature = "download"))]
const ADVICE: &str = "name the folder above `mnist` in GRADUS_DATA, or build gradus with feature `download`";
#[cfg(feature = "download")]
const ADVICE: &str = "name the folder above `mnist` in GRADUS_DATA";

/// MNIST's training set of 60,000 images and test set of 10,000.
///
/// Looks where [`datasets`](super) says, for `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each as it is or with `.gz`. The unpacked bytes are held against
/// their SHA-256, so that what is returned is MNIST and nothing else.
///
/// With feature `download`, files that are nowhere are fetched into the user's cache. They travel over plain HTTP: what
/// arrives is public and checked against the same sums before it is kept, and TLS would triple the crates to build.
///
/// # Errors
/// [`Data`](crate::Error::Data) if no folder holds the files, with all that were looked at;
/// [`File`](crate::Error::File) if one of the files is damaged.
///
/// # Example
/// ```
/// use gradus::data::datasets;
///
/// let (train, test) = datasets::mnist::load()?;
/// assert_eq!(train.images.dim(), (60_000, 28, 28));
/// assert_eq!(test.labels[0], 7);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn load() -> Result<(Mnist, Mnist)> {
    let found = super::find("mnist", &FILES.each_ref().map(|f| f.name), ADVICE);
    #[cfg(feature = "download")]
    let found = found
        .or_else(|missing| super::download::fetch("mnist", &FILES, MIRRORS).map_err(|e| e.within(missing.to_string())));
    load_from(found?)
}

/// MNIST from the four files in `folder`.
///
/// # Errors
/// [`File`](crate::Error::File) if one of the files is missing or damaged.
///
/// # Example
/// ```no_run
/// let (train, test) = gradus::data::datasets::mnist::load_from("downloads/mnist")?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn load_from(folder: impl AsRef<Path>) -> Result<(Mnist, Mnist)> {
    super::read_idx(folder.as_ref(), &FILES)
}

/// Folders on the network with the four files, packed.
#[cfg(feature = "download")]
const MIRRORS: &[&str] =
    &["http://storage.googleapis.com/cvdf-datasets/mnist", "http://ossci-datasets.s3.amazonaws.com/mnist"];
