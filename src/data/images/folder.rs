//! Images whose folders say what they show.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array4, Axis};

use super::file::{self, ColorMode};
use super::picture;
use crate::data::{Batch, Dataset};
use crate::error::show;
use crate::memory::room;
use crate::{Error, Result, Scalar};

const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// A folder of images, sorted into one folder a class:
///
/// ```text
/// pets/cat/1.png
/// pets/cat/old/2.jpg
/// pets/dog/1.png
/// ```
///
/// Classes are numbered in the order of their names, files come in the order of theirs, class by class. Files that end in
/// neither `.png`, `.jpg` nor `.jpeg` are passed over, and what systems leave behind in folders: files and folders that begin
/// with a dot (`._1.png`, `.DS_Store`), `__MACOSX`, `@eaDir`. Links to folders below a class are not followed.
///
/// # Defaults
/// `color_mode` RGB, `image_size` (256, 256), `class_names` those of the folders.
/// # Errors
/// [`open`](Self::open) refuses a folder that cannot be read or holds no images, class names that are not those of its
/// folders, an empty size, and files that cannot be read. Each error names the path.
/// # Example
/// ```
/// use gradus::data::images::{self, ColorMode, ImageFolder};
/// use gradus::ndarray::Array;
///
/// let pets = std::env::temp_dir().join(format!("gradus-doc-pets-{}", std::process::id()));
/// for (class, level) in [("cat", 0.25f32), ("dog", 0.75)] {
///     std::fs::create_dir_all(pets.join(class)).unwrap();
///     images::write_png(pets.join(class).join("1.png"), &Array::from_elem((20, 30), level))?;
/// }
///
/// let files = ImageFolder::new(&pets).color_mode(ColorMode::Grayscale).image_size([8, 8]).open()?;
/// assert_eq!(files.class_names(), ["cat", "dog"]);
/// assert_eq!(files.labels().to_vec(), [0, 1]);
/// let x = files.load()?;
/// assert_eq!((x.dim(), x[[1, 0, 0, 0]]), ((2, 8, 8, 1), 191));
/// # std::fs::remove_dir_all(pets).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `image_dataset_from_directory` with `label_mode="int"`; batches and their order are those of `fit`, the split is
/// that of [`train_test_split`](crate::data::train_test_split) and [`ImageFiles::select`].
#[derive(Clone, Debug)]
pub struct ImageFolder {
    folder: PathBuf,
    color_mode: ColorMode,
    image_size: Option<[usize; 2]>,
    class_names: Option<Vec<String>>,
}

impl ImageFolder {
    /// The images below this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            color_mode: ColorMode::default(),
            image_size: Some([256, 256]),
            class_names: None,
        }
    }

    /// Grey or in colour. Default: RGB.
    pub fn color_mode(mut self, color_mode: ColorMode) -> Self {
        self.color_mode = color_mode;
        self
    }

    /// The size (height, width) that all are brought to, bilinear; `None`: the one that all have. Default: (256, 256).
    pub fn image_size(mut self, image_size: impl Into<Option<[usize; 2]>>) -> Self {
        self.image_size = image_size.into();
        self
    }

    /// The names of the class folders in the order of their numbers, each of them. Default: sorted.
    pub fn class_names<S: Into<String>>(mut self, class_names: impl IntoIterator<Item = S>) -> Self {
        self.class_names = Some(class_names.into_iter().map(Into::into).collect());
        self
    }

    /// Finds the files. Only the first is read.
    ///
    /// # Errors
    /// See [`ImageFolder`].
    pub fn open(self) -> Result<ImageFiles> {
        let found = classes(&self.folder)?;
        let class_names = match self.class_names {
            None => found,
            Some(names) => {
                let mut sorted = names.clone();
                sorted.sort();
                if sorted != found {
                    let problem =
                        format!("expected the class folders {}, it has {}", sorted.join(", "), found.join(", "));
                    return Err(Error::file(self.folder, problem));
                }
                names
            }
        };
        let (mut paths, mut labels) = (Vec::new(), Vec::new());
        for (class, name) in class_names.iter().enumerate() {
            collect(&self.folder.join(name), &mut paths)?;
            labels.resize(paths.len(), class);
        }
        let Some(first) = paths.first() else {
            return Err(Error::file(
                self.folder,
                "expected a folder for each class with .png, .jpg or .jpeg files, found none",
            ));
        };
        let size = match self.image_size {
            Some(size) if size.contains(&0) => return Err(Error::option("image_size", "at least (1, 1)", show(&size))),
            Some(size) => size,
            None => {
                let (height, width, _) = file::read(first, self.color_mode)?.dim();
                [height, width]
            }
        };
        let resized = self.image_size.is_some();
        Ok(ImageFiles { paths, labels: labels.into(), class_names, color_mode: self.color_mode, size, resized })
    }
}

/// The files of an [`ImageFolder`]: to be loaded at once, or trained on as they are, each read when a batch needs it.
///
/// As a [`Dataset`] a row is (height, width, channels), from 0 to 255, and its class.
///
/// # Example
/// ```no_run
/// use gradus::data::images::ImageFolder;
/// use gradus::data::train_test_split;
/// use gradus::prelude::*;
///
/// let files = ImageFolder::new("pets").image_size([64, 64]).open()?;
/// let (train, test) = train_test_split(files.paths().len(), 0.2, 0)?;
/// let mut model = Sequential::new()
///     .input([64, 64, 3])
///     .add(Rescaling::new(1.0 / 255.0))
///     .add(Conv2D::new(16, 3).activation(Relu))
///     .add(GlobalAvgPool2D::new())
///     .add(Dense::new(files.class_names().len()).activation(Softmax))
///     .compile(SparseCategoricalCrossentropy::new(), Adam::new())
///     .metric(Accuracy::new())
///     .build()?;
/// model.fit_data(&files.select(&train)?, Fit::new().epochs(10))?;
/// println!("{}", model.evaluate_data(&files.select(&test)?)?["accuracy"]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFiles {
    paths: Vec<PathBuf>,
    labels: Array1<usize>,
    class_names: Vec<String>,
    color_mode: ColorMode,
    size: [usize; 2],
    resized: bool,
}

impl ImageFiles {
    /// The files, in the order of the rows.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The class of each file.
    pub fn labels(&self) -> &Array1<usize> {
        &self.labels
    }

    /// What the labels 0, 1 … stand for.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Reads all images: (n, height, width, channels), as bytes.
    ///
    /// # Errors
    /// As [`read`](super::read), and for an image of another size than the first where none was asked for.
    pub fn load(&self) -> Result<Array4<u8>> {
        let [height, width] = self.size;
        let shape = [self.paths.len(), height, width, self.color_mode.channels()];
        let given = format!("{} images of {height} × {width}", self.paths.len());
        room::<u8>("image_size", given, &shape).map_err(|error| error.within("ImageFiles"))?;
        let mut images = Array4::zeros(shape);
        for (path, mut place) in self.paths.iter().zip(images.axis_iter_mut(Axis(0))) {
            place.assign(&self.read(path)?);
        }
        Ok(images)
    }

    /// The rows with these numbers, in this order: one side of a split.
    ///
    /// # Errors
    /// [`Error::Data`] for a row that there is not.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let n = self.paths.len();
        if let Some(row) = rows.iter().find(|&&row| row >= n) {
            return Err(Error::data("select", format!("rows in 0..{n}"), row.to_string()));
        }
        let paths = rows.iter().map(|&row| self.paths[row].clone()).collect();
        Ok(Self { paths, labels: self.labels.select(Axis(0), rows), class_names: self.class_names.clone(), ..*self })
    }

    fn read(&self, path: &Path) -> Result<ndarray::Array3<u8>> {
        let image = file::read(path, self.color_mode)?;
        let [height, width] = self.size;
        match image.dim() {
            (h, w, _) if (h, w) == (height, width) => Ok(image),
            _ if self.resized => picture::resize(&image, self.size),
            (h, w, _) => {
                let problem = format!(
                    "expected {height}×{width} pixels as in the first image, it has {h}×{w}; give an image_size"
                );
                Err(Error::file(path, problem))
            }
        }
    }
}

impl<F: Scalar> Dataset<F> for ImageFiles {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.size[0], self.size[1], self.color_mode.channels()]]
    }

    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![]]
    }

    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, F>) -> Result<()> {
        let len = self.size[0] * self.size[1] * self.color_mode.channels();
        for (&row, out) in rows.iter().zip(batch.input(0).chunks_exact_mut(len)) {
            for (out, &byte) in out.iter_mut().zip(&self.read(&self.paths[row])?) {
                *out = F::of(f64::from(byte));
            }
        }
        for (&row, out) in rows.iter().zip(batch.target(0)) {
            *out = F::of(self.labels[row] as f64);
        }
        Ok(())
    }
}

/// The names of the class folders, sorted.
fn classes(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            let name = name.to_str().ok_or_else(|| Error::file(&path, "a class needs a name in Unicode"))?;
            names.push(name.to_string());
        }
    }
    Ok(names)
}

/// The images in `folder` and below it: first its own, then those of its folders.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    paths.extend(files.into_iter().filter(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|given| EXTENSIONS.iter().any(|known| given.eq_ignore_ascii_case(known)))
    }));
    folders.iter().filter(|path| !path.is_symlink()).try_for_each(|folder| collect(folder, paths))
}

/// Whether a system made a file or folder for itself: hidden ones, those that macOS packs into archives, thumbnails.
fn of_a_system(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || name == b"__MACOSX" || name == b"@eaDir"
}

/// What people put into a folder, sorted by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let found: std::io::Result<Vec<PathBuf>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths = found.map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
    paths.retain(|path| !of_a_system(path));
    paths.sort();
    Ok(paths)
}
