//! Known data sets, from a file on the disk to arrays.
//!
//! `load()` of a data set looks for a folder of its name, in this order, and takes the first that holds all its files:
//!
//! 1. `$GRADUS_DATA`,
//! 2. `data` in the current folder,
//! 3. `data` of the gradus repository, if gradus was built from a clone (MNIST is in it),
//! 4. the user's cache: `$XDG_CACHE_HOME/gradus` or `~/.cache/gradus`; `~/Library/Caches/gradus` on macOS,
//!    `%LOCALAPPDATA%\gradus` on Windows.
//!
//! With feature `download`, MNIST that is in none of them is fetched into the cache, once.
//!
//! | data set | training, test | arrays | files |
//! | --- | --- | --- | --- |
//! | [`mnist`] | 60,000, 10,000 | images (n, 28, 28), labels (n), `u8` | IDX, in the repository, checked by SHA-256 |
//! | [`fashion_mnist`] | 60,000, 10,000 | as MNIST | IDX |
//! | [`cifar10`] | 50,000, 10,000 | images (n, 32, 32, 3), labels (n), `u8` | its binary version |

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use ndarray::{Array, ArrayD, Dimension};

use super::idx::{self, Sum};
use crate::{Error, Result};

pub mod cifar10;
#[cfg(feature = "download")]
mod download;
pub mod fashion_mnist;
pub mod mnist;

/// The path of one file, `folder/file`, as it is or with `.gz`: looked for where data sets are.
///
/// The files of the examples lie in the gradus repository: `data/README.md` lists them.
///
/// # Errors
/// [`Data`](crate::Error::Data) if no folder holds the file, with all that were looked at.
///
/// # Example
/// ```
/// let path = gradus::data::datasets::file("series", "sunspots.csv")?;
/// assert!(path.is_file());
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn file(folder: &str, file: &str) -> Result<PathBuf> {
    let advice = format!("name the folder above `{folder}` in GRADUS_DATA");
    locate(&find(folder, &[file], &advice)?, file)
}

/// The folders in which `name` is looked for.
fn folders(name: &str) -> Vec<PathBuf> {
    let given = env::var_os("GRADUS_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    let of_clone = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut all: Vec<PathBuf> = Vec::new();
    for folder in [given, Some(PathBuf::from("data")), Some(of_clone), cache()].into_iter().flatten() {
        let folder = folder.join(name);
        if !all.contains(&folder) {
            all.push(folder);
        }
    }
    all
}

/// The user's cache folder of gradus, if the system has a place for one.
fn cache() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let root = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        env::home_dir().map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))
    };
    root.map(|r| r.join("gradus"))
}

/// The first folder that holds all `files`, under their names or packed; or an error that says where they were sought.
fn find(name: &str, files: &[&str], advice: &str) -> Result<PathBuf> {
    let folders = folders(name);
    if let Some(folder) = folders.iter().find(|folder| files.iter().all(|file| locate(folder, file).is_ok())) {
        return Ok(folder.clone());
    }
    let sought: Vec<String> = folders
        .iter()
        .map(|folder| match files.iter().find(|file| locate(folder, file).is_err()) {
            Some(missing) if folder.is_dir() => format!("{} (without {missing})", folder.display()),
            _ => format!("{} (no such folder)", folder.display()),
        })
        .collect();
    Err(Error::data(
        format!("datasets::{name}"),
        format!("{}, as it is or .gz", files.join(", ")),
        format!("none of these folders that holds them all: {}; {advice}", sought.join(", ")),
    ))
}

/// `folder/file` or `folder/file.gz`, whichever is there; of MNIST's files also with a dot before `idx`, as some programs unpack
/// them.
fn locate(folder: &Path, file: &str) -> Result<PathBuf> {
    let plain = folder.join(file);
    let names = [file.to_owned(), file.replace("-idx", ".idx")];
    let found = names
        .iter()
        .flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))])
        .find(|path| path.is_file());
    if let Some(found) = found {
        Ok(found)
    } else if fs::exists(&plain).is_ok() {
        Err(Error::file(plain, format!("no such file, and no {file}.gz beside it")))
    } else {
        Err(Error::file(plain, "the folder cannot be read"))
    }
}

/// A file of a data set in the form of MNIST.
struct IdxFile {
    name: &'static str,
    /// SHA-256 of the unpacked file, in hexadecimal digits.
    sum: Option<&'static str>,
    shape: &'static [usize],
}

impl IdxFile {
    fn read(&self, folder: &Path) -> Result<ArrayD<u8>> {
        let path = locate(folder, self.name)?;
        let (array, sum) = idx::read_with_sum(&path)?;
        self.check(&array, &sum).map_err(|problem| Error::file(path, problem))?;
        Ok(array)
    }

    /// What is wrong with a file that was read, if anything.
    fn check(&self, array: &ArrayD<u8>, sum: &Sum) -> Result<(), String> {
        let sum = hex(sum);
        if array.shape() != self.shape {
            let show = crate::error::show;
            return Err(format!("expected an array {}, it holds {}", show(self.shape), show(array.shape())));
        }
        match self.sum {
            Some(expected) if sum != expected => Err(format!(
                "the file is damaged or another one: the SHA-256 of its unpacked bytes is {sum}, expected {expected}; \
                 remove it and take it from the source again"
            )),
            _ => Ok(()),
        }
    }
}

/// Reads `files` (training images, training labels, test images, test labels), each on a thread of its own.
fn read_idx(folder: &Path, files: &[IdxFile; 4]) -> Result<(mnist::Mnist, mnist::Mnist)> {
    let [train_images, train_labels, test_images, test_labels] = thread::scope(|scope| {
        let running = files.each_ref().map(|file| scope.spawn(move || file.read(folder)));
        running.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let fixed = |images, labels| Ok::<_, Error>(mnist::Mnist { images: of_rank(images)?, labels: of_rank(labels)? });
    Ok((fixed(train_images?, train_labels?)?, fixed(test_images?, test_labels?)?))
}

/// The same array with its rank in its type; `IdxFile::check` has seen to it that this succeeds.
fn of_rank<D: Dimension>(array: ArrayD<u8>) -> Result<Array<u8, D>> {
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| Error::shape("another rank", &shape))
}

fn hex(sum: &Sum) -> String {
    use std::fmt::Write;
    sum.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
