//! HDF5, the files of Keras's weights: groups in groups, arrays by name, short texts beside them.
//!
//! Read is what Keras, TensorFlow and h5py write unless told otherwise, and what is near it: superblocks 0, 2 and 3; object headers
//! 1 and 2; groups as symbol tables and as links; values in one piece, in the header, or in chunks that a B-tree of version 1 finds,
//! through deflate, shuffle and fletcher32; whole and floating point numbers of every size in either order of bytes, and what Keras
//! marks as bfloat16; texts as attributes. Links that lead elsewhere (soft, external), values in other files (external storage, virtual layouts), fractal heaps
//! and chunk indices of the newer kind (`libver="latest"`) are refused by name.
//!
//! Nothing in a file is believed: every address and length is compared with the file's bytes before memory is taken, trees end where
//! the file has no room for more, and nothing is followed by recursion.
//!
//! Written is the smallest form that the library reads: superblock 0, headers of version 1 with their links in them, values in one
//! piece. One content has one sequence of bytes.
//!
//! The library's own bindings need C and cmake, and the readers in Rust have 100,000 lines or forty dependencies, for a subset that
//! fits a few files.
//!
//! Source: the HDF5 File Format Specification, version 3.0.

mod bytes;
mod header;
mod links;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod values;
mod write;

pub use write::Content;

use std::fs;
use std::path::{Path, PathBuf};

use super::safetensors::{Dtype, Tensor, TensorData};
use crate::{Error, Result};
use header::kind;
use links::{Link, Links};
use types::{Attributes, Datatype};
use values::{Filter, Layout, Place};

/// An HDF5 file that was read: its bytes, of which groups and arrays are found when they are asked for.
///
/// ```
/// use gradus::formats::hdf5::{Content, Hdf5File};
/// use gradus::formats::safetensors::Tensor;
/// use ndarray::array;
///
/// let mut content = Content::new();
/// content.insert("layers/dense/vars/0", Tensor::from_array(&array![[1.0f32, 2.0]]));
/// let file = Hdf5File::from_bytes(content.to_bytes()?)?;
/// let vars = file.root()?.group("layers")?.group("dense")?.group("vars")?;
/// assert_eq!(vars.dataset("0")?.shape(), [1, 2]);
/// assert_eq!(vars.dataset("0")?.read()?.to_array::<f32>(), array![[1.0, 2.0]].into_dyn());
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is damaged, not HDF5, or holds what is not read.
#[derive(Clone, Debug)]
pub struct Hdf5File {
    path: PathBuf,
    bytes: Vec<u8>,
    root: u64,
}

impl Hdf5File {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`Hdf5File`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        Self::from_named_bytes(path, bytes)
    }

    /// From the bytes of a file; the path of its errors is `(bytes)`.
    ///
    /// # Errors
    /// See [`Hdf5File`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::from_named_bytes(Path::new("(bytes)"), bytes)
    }

    /// From bytes that stand under a name.
    pub(crate) fn from_named_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let root = header::root(&bytes).map_err(|problem| Error::file(path, problem))?;
        Ok(Self { path: path.to_path_buf(), bytes, root })
    }

    /// The group in which all others lie.
    ///
    /// # Errors
    /// See [`Hdf5File`].
    pub fn root(&self) -> Result<Group<'_>> {
        Object { file: self, path: String::new() }.group(self.root)
    }
}

/// A place within a file, for what is said of it.
#[derive(Clone, Debug)]
struct Object<'f> {
    file: &'f Hdf5File,
    path: String,
}

impl<'f> Object<'f> {
    fn error(&self, problem: &str) -> Error {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        Error::file(&self.file.path, format!("`{path}`: {problem}"))
    }

    /// The group whose header is at an address.
    fn group(self, address: u64) -> Result<Group<'f>> {
        let bytes = &self.file.bytes;
        let parts = || -> Result<_, String> {
            let messages = header::messages(bytes, address)?;
            Ok((links::links(bytes, &messages)?, types::attributes(bytes, &messages)))
        };
        let (links, attributes) = parts().map_err(|problem| self.error(&problem))?;
        let links = links.ok_or_else(|| self.error("no group"))?;
        Ok(Group { object: self, links, attributes })
    }

    /// The array whose header is at an address.
    fn dataset(self, address: u64) -> Result<Dataset<'f>> {
        match self.dataset_parts(address) {
            Ok((shape, datatype, layout, filters, attributes)) => {
                Ok(Dataset { object: self, shape, datatype, layout, filters, attributes })
            }
            Err(problem) => Err(self.error(&problem)),
        }
    }

    #[allow(clippy::type_complexity)] // taken apart at once
    fn dataset_parts(
        &self,
        address: u64,
    ) -> Result<(Vec<usize>, Datatype, Layout<'f>, Vec<Filter>, Result<Attributes, String>), String> {
        let messages = header::messages(&self.file.bytes, address)?;
        let find = |kind: u16| messages.iter().find(|message| message.kind == kind);
        let need = |kind: u16| find(kind).ok_or_else(|| "no array".to_owned());
        if find(kind::EXTERNAL).is_some() {
            return Err("values that lie in another file (external storage), which is not read".into());
        }
        let shape = types::shape(&mut need(kind::DATASPACE)?.bytes()?)?.ok_or("an array without a shape")?;
        let datatype = Datatype::read(&mut need(kind::DATATYPE)?.bytes()?)?;
        let layout = Layout::read(need(kind::LAYOUT)?, shape.len())?;
        let filters = find(kind::FILTERS).map_or(Ok(Vec::new()), values::filters)?;
        types::byte_count(&shape, datatype.size())?;
        Ok((shape, datatype, layout, filters, types::attributes(&self.file.bytes, &messages)))
    }

    /// The texts of an attribute, if there is one of the name.
    fn attribute(&self, attributes: &Result<Attributes, String>, name: &str) -> Result<Option<Vec<String>>> {
        let attributes = attributes.as_ref().map_err(|problem| self.error(problem))?;
        let Some(value) = attributes.get(name) else { return Ok(None) };
        let value = value.as_ref().map_err(|problem| self.error(&format!("attribute `{name}`: {problem}")))?;
        Ok(Some(value.clone()))
    }
}

/// A group of a file: its members by name.
#[derive(Clone, Debug)]
pub struct Group<'f> {
    object: Object<'f>,
    links: Links,
    attributes: Result<Attributes, String>,
}

impl<'f> Group<'f> {
    /// Where it is in the file: names with `/` between them, empty for the root.
    pub fn path(&self) -> &str {
        &self.object.path
    }

    /// The names of its members, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.links.keys().map(String::as_str)
    }

    /// Whether it has a member of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.links.contains_key(name)
    }

    /// The group within it that is called so.
    ///
    /// # Errors
    /// [`Error::File`] if there is none, or it is what is not read.
    pub fn group(&self, name: &str) -> Result<Group<'f>> {
        let (object, address) = self.member(name)?;
        object.group(address)
    }

    /// The array within it that is called so, whose values are not read yet.
    ///
    /// # Errors
    /// As [`group`](Self::group).
    pub fn dataset(&self, name: &str) -> Result<Dataset<'f>> {
        let (object, address) = self.member(name)?;
        object.dataset(address)
    }

    /// The texts of one of its attributes, one of a single text; none if it has none of this name.
    ///
    /// # Errors
    /// [`Error::File`] if the attribute is no text, or is not read.
    pub fn texts(&self, attribute: &str) -> Result<Option<Vec<String>>> {
        self.object.attribute(&self.attributes, attribute)
    }

    fn member(&self, name: &str) -> Result<(Object<'f>, u64)> {
        let path = if self.path().is_empty() { name.to_owned() } else { format!("{}/{name}", self.path()) };
        let object = Object { file: self.object.file, path };
        match self.links.get(name) {
            Some(Link::At(address)) => Ok((object, *address)),
            Some(Link::Refused(problem)) => Err(object.error(problem)),
            None => Err(object.error("is not there")),
        }
    }
}

/// An array of a file.
#[derive(Clone, Debug)]
pub struct Dataset<'f> {
    object: Object<'f>,
    shape: Vec<usize>,
    datatype: Datatype,
    layout: Layout<'f>,
    filters: Vec<Filter>,
    attributes: Result<Attributes, String>,
}

impl Dataset<'_> {
    /// Where it is in the file: names with `/` between them.
    pub fn path(&self) -> &str {
        &self.object.path
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The texts of one of its attributes: see [`Group::texts`].
    ///
    /// # Errors
    /// As [`Group::texts`].
    pub fn texts(&self, attribute: &str) -> Result<Option<Vec<String>>> {
        self.object.attribute(&self.attributes, attribute)
    }

    /// The values.
    ///
    /// # Errors
    /// [`Error::File`] if they are no numbers, or not as many as the shape says, or a chunk is damaged.
    pub fn read(&self) -> Result<Tensor> {
        let (dtype, big_endian) = match self.datatype {
            Datatype::Number { dtype, big_endian } => (dtype, big_endian),
            // As Keras marks what numpy has no type for.
            Datatype::Opaque { size: 2 } if self.texts("dtype")?.as_deref() == Some(&["bfloat16".into()]) => {
                (Dtype::BF16, false)
            }
            Datatype::Opaque { .. } => return Err(self.object.error("opaque values in place of numbers")),
            Datatype::Text { .. } | Datatype::LongText => return Err(self.object.error("texts in place of numbers")),
        };
        let place = Place {
            file: &self.object.file.bytes,
            layout: &self.layout,
            filters: &self.filters,
            shape: &self.shape,
            size: dtype.size(),
        };
        let bytes = place.read().map_err(|problem| self.object.error(&problem))?;
        Tensor::from_data(&self.shape, TensorData::from_bytes(&bytes, dtype, big_endian))
    }
}
