//! Named tensors with a few words about them, in the safetensors format that Python reads and writes.
//!
//! ```text
//! length of the header (little-endian u64) | header: JSON, padded with spaces to 8 | the data, row-major, little-endian
//! {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
//! ```
//!
//! A file is written as the Python package writes it: by falling type and then by name, without holes. Unlike there,
//! the metadata is in the order of its keys, so that one content has one sequence of bytes.
//!
//! The format is written by hand, on `serde_json`, rather than taken from the crate `safetensors`: 0.8 brings
//! `tempfile`, `rustix` and a second `getrandom`, and every version keeps the last of two tensors of one name and writes
//! metadata in random order. What is read is checked throughout: lengths, offsets, sizes and names.
//!
//! Source: the description in the README of the safetensors repository.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use num_traits::{Float, NumCast};

use ndarray::{ArrayD, ArrayRef, ArrayViewD, Dimension, IxDyn};
use serde_core::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::write_atomically;
use crate::error::show;
use crate::{Error, Result};

/// Longer headers are refused, as by the Python package.
const MAX_HEADER: u64 = 100_000_000;
const METADATA: &str = "__metadata__";

mod element;
pub use element::{Dtype, Element, TensorData};

/// An array of one of the number types of [`Dtype`]: what a [`TensorFile`] holds under a name.
///
/// # Example
/// ```
/// use gradus::formats::safetensors::{Dtype, Tensor};
/// use ndarray::array;
///
/// let tensor = Tensor::from_array(&array![[1.0f32, 2.0]]);
/// assert_eq!((tensor.shape(), tensor.dtype()), (&[1, 2][..], Dtype::F32));
/// assert_eq!(tensor.values::<f32>(), Some(&[1.0, 2.0][..]));
/// assert_eq!(tensor.values::<f64>(), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// A tensor from its values, row-major.
    ///
    /// # Errors
    /// [`Error::Shape`] if `values` are not as many as `shape` asks for.
    ///
    /// # Example
    /// ```
    /// # use gradus::formats::safetensors::Tensor;
    /// assert!(Tensor::new(&[2, 3], vec![0u8; 6]).is_ok());
    /// assert!(Tensor::new(&[2, 3], vec![0u8; 5]).is_err());
    /// ```
    pub fn new<T: Element>(shape: &[usize], values: Vec<T>) -> Result<Self> {
        Self::from_data(shape, T::wrap(values))
    }

    /// A tensor from values whose type is known at run time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Example
    /// ```
    /// # use gradus::formats::safetensors::{Tensor, TensorData};
    /// assert!(Tensor::from_data(&[2], TensorData::I64(vec![7, 8])).is_ok());
    /// ```
    pub fn from_data(shape: &[usize], data: TensorData) -> Result<Self> {
        if shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)) != Some(data.len()) {
            return Err(Error::shape(format!("a shape of {} values", data.len()), shape));
        }
        Ok(Self { shape: shape.to_vec(), data })
    }

    /// A tensor with the values of an array, of any layout.
    ///
    /// # Example
    /// ```
    /// # use gradus::formats::safetensors::Tensor;
    /// let transposed = Tensor::from_array(&ndarray::array![[1u8, 2], [3, 4]].t());
    /// assert_eq!(transposed.values(), Some(&[1u8, 3, 2, 4][..]));
    /// ```
    pub fn from_array<T: Element, D: Dimension>(array: &ArrayRef<T, D>) -> Self {
        Self { shape: array.shape().to_vec(), data: T::wrap(array.iter().copied().collect()) }
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, in their type.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        self.data.dtype()
    }

    /// The values, row-major, if `T` is their type.
    pub fn values<T: Element>(&self) -> Option<&[T]> {
        T::slice_of(&self.data)
    }

    /// The values as those of a model that computes in `T`, if they are of its type, or floating point numbers of 16 bits.
    ///
    /// ```
    /// # use gradus::formats::{F16, safetensors::Tensor};
    /// let halves = Tensor::new(&[2], vec![F16::from_f32(0.5), F16::from_f32(-2.0)])?;
    /// assert_eq!(halves.scalars::<f64>().as_deref(), Some(&[0.5, -2.0][..]));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn scalars<T: Element + NumCast>(&self) -> Option<Cow<'_, [T]>> {
        if let Some(values) = self.values() {
            return Some(Cow::Borrowed(values));
        }
        let converted: Option<Vec<T>> = match &self.data {
            TensorData::F16(values) => values.iter().map(|value| T::from(value.to_f32())).collect(),
            TensorData::BF16(values) => values.iter().map(|value| T::from(value.to_f32())).collect(),
            _ => None,
        };
        converted.map(Cow::Owned)
    }

    /// The values as an array of floating point numbers, whatever their type: the nearest ones, of whole numbers beyond 2²⁴ in
    /// `f32` and 2⁵³ in `f64` too; true is 1, false 0.
    ///
    /// ```
    /// # use gradus::formats::safetensors::Tensor;
    /// let labels = Tensor::new(&[2], vec![3i64, -7])?;
    /// assert_eq!(labels.to_array::<f32>(), ndarray::array![3.0, -7.0].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn to_array<T: Float>(&self) -> ArrayD<T> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data.floats()).expect("as many values as the shape says")
    }

    /// The values as an array, if `T` is their type.
    ///
    /// # Example
    /// ```
    /// # use gradus::formats::safetensors::Tensor;
    /// let tensor = Tensor::new(&[2, 1], vec![3.0f64, 4.0])?;
    /// assert_eq!(tensor.view::<f64>().map(|x| x.sum()), Some(7.0));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn view<T: Element>(&self) -> Option<ArrayViewD<'_, T>> {
        ArrayViewD::from_shape(IxDyn(&self.shape), self.values()?).ok()
    }
}

/// The content of a safetensors file: tensors by name, and a text for each of some keys.
///
/// # Errors
/// Reading returns [`Error::Io`] if the file cannot be read and [`Error::File`] if it is damaged, cut short, not
/// safetensors. Writing returns [`Error::Io`].
///
/// # Example
/// ```
/// use gradus::formats::safetensors::TensorFile;
/// use ndarray::{Array2, array};
///
/// let mut file = TensorFile::new();
/// file.insert("dense/kernel", &array![[1.0f32, 2.0], [3.0, 4.0]]);
/// file.insert("step", &ndarray::arr0(7u64));
/// file.metadata.insert("framework".into(), "gradus".into());
///
/// let path = std::env::temp_dir().join(format!("gradus-doc-{}.safetensors", std::process::id()));
/// file.write(&path)?;
/// let again = TensorFile::read(&path)?;
/// assert_eq!(again.get::<f32>("dense/kernel")?[[1, 0]], 3.0);
/// assert_eq!(again, file);
/// assert_eq!(
///     again.get::<f64>("dense/kernel").unwrap_err().to_string(),
///     "tensor `dense/kernel`: expected values of type F64, received F32 values (2, 2)"
/// );
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors by name. No tensor can be called `__metadata__`.
    pub tensors: BTreeMap<String, Tensor>,
    /// Texts by key: which program wrote the file, a configuration as JSON …
    pub metadata: BTreeMap<String, String>,
    /// Tensors of types that are none of [`Dtype`], such as numbers of 8 bits, by name: passed over when a file is read, and not
    /// written. Who asks for one is told its type.
    pub foreign: BTreeMap<String, String>,
}

impl TensorFile {
    /// Without tensors and metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a copy of `array` in under `name`, in the place of what was there.
    pub fn insert<T: Element, D: Dimension>(&mut self, name: impl Into<String>, array: &ArrayRef<T, D>) {
        self.tensors.insert(name.into(), Tensor::from_array(array));
    }

    /// The tensor called `name`, whatever its type.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none, with the names there are.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        let foreign = |dtype: &String| {
            let readable = Dtype::ALL.map(Dtype::name).join(", ");
            Error::data(format!("tensor `{name}`"), format!("a type among {readable}"), dtype)
        };
        let missing = || match self.foreign.get(name) {
            Some(dtype) => foreign(dtype),
            None => Error::unknown("tensor", name, self.tensors.keys().cloned()),
        };
        self.tensors.get(name).ok_or_else(missing)
    }

    /// The tensor called `name` as an array of `T`. Nothing is converted.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none; [`Error::Data`] if its values have another type.
    pub fn get<T: Element>(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let tensor = self.tensor(name)?;
        tensor.view().ok_or_else(|| {
            let received = format!("{} values {}", tensor.dtype(), show(tensor.shape()));
            Error::data(format!("tensor `{name}`"), format!("values of type {}", T::DTYPE), received)
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As said above.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        // Large tensors go around this buffer.
        parse(&mut BufReader::new(file), length).map_err(|refused| match refused {
            Refused::Content(problem) => Error::file(path, problem),
            Refused::System(source) => io(source),
        })
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// As said above; the path of the error is `(bytes)`.
    ///
    /// # Example
    /// ```
    /// # use gradus::formats::safetensors::TensorFile;
    /// let mut file = TensorFile::new();
    /// file.insert("labels", &ndarray::array![7u8, 2]);
    /// assert_eq!(TensorFile::from_bytes(&file.to_bytes()?)?, file);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self> {
        let length = bytes.len() as u64;
        parse(&mut bytes, length).map_err(|refused| match refused {
            Refused::Content(problem) => Error::file("(bytes)", problem),
            Refused::System(source) => Error::file("(bytes)", source.to_string()),
        })
    }

    /// Writes a file, whole or not at all: it is written aside in the same folder, flushed to the disk, and renamed.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, [`Error::Data`] if a tensor is called `__metadata__` or the header is
    /// longer than readers take; the file that was there stays.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = self.header()?;
        write_atomically(path.as_ref(), |out| self.write_to(&header, out))
    }

    /// The bytes of the file that [`write`](Self::write) writes.
    ///
    /// # Errors
    /// [`Error::Data`] as for [`write`](Self::write).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = self.header()?;
        let data: usize = self.tensors.values().map(|t| t.data.byte_len()).sum();
        let mut bytes = Vec::with_capacity(header.len() + data);
        // Writing to a vector cannot fail.
        self.write_to(&header, &mut bytes).map_err(|source| Error::Io { path: "(bytes)".into(), source })?;
        Ok(bytes)
    }

    /// The tensors in the order of their data: by falling type, then by name.
    fn ordered(&self) -> Vec<(&String, &Tensor)> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, t)| std::cmp::Reverse(t.dtype())); // stable: names stay sorted
        tensors
    }

    /// Length and text of the header.
    fn header(&self) -> Result<Vec<u8>> {
        if self.tensors.contains_key(METADATA) {
            return Err(Error::data("TensorFile", "another name for a tensor", METADATA));
        }
        // By hand, because a `Map` would sort the names.
        let mut entries = Vec::with_capacity(self.tensors.len() + 1);
        if !self.metadata.is_empty() {
            entries.push(format!("{}:{}", json!(METADATA), json!(self.metadata)));
        }
        let mut offset = 0;
        for (name, tensor) in self.ordered() {
            let end = offset + tensor.data.byte_len();
            let (dtype, shape) = (tensor.dtype(), json!(tensor.shape));
            let entry = format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{offset},{end}]}}"#);
            entries.push(format!("{}:{entry}", json!(name)));
            offset = end;
        }
        let mut text = format!("{{{}}}", entries.join(",")).into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let length = text.len() as u64;
        if length > MAX_HEADER {
            let received = format!("{length} bytes");
            return Err(Error::data("TensorFile", "names and metadata of at most 100,000,000 bytes", received));
        }
        text.splice(..0, length.to_le_bytes());
        Ok(text)
    }

    fn write_to(&self, header: &[u8], out: &mut impl Write) -> io::Result<()> {
        out.write_all(header)?;
        self.ordered().into_iter().try_for_each(|(_, tensor)| tensor.data.write_to(out))
    }
}

/// Why reading ended early: the file's fault or the system's.
enum Refused {
    Content(String),
    System(io::Error),
}

impl From<String> for Refused {
    fn from(problem: String) -> Self {
        Self::Content(problem)
    }
}

impl From<io::Error> for Refused {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => Self::Content("cut short while it was read".into()),
            _ => Self::System(e),
        }
    }
}

/// Reads a file of `length` bytes. Memory is asked for only after it is known that the file holds as much.
fn parse(input: &mut impl Read, length: u64) -> Result<TensorFile, Refused> {
    let Some(behind) = length.checked_sub(8) else {
        return Err(Refused::Content(format!(
            "not a safetensors file: it has {length} bytes, fewer than the 8 of a length"
        )));
    };
    let mut size = [0; 8];
    input.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER || size > behind {
        let problem =
            format!("not a safetensors file, or cut short: its header would have {size} bytes, the file has {behind}");
        return Err(Refused::Content(problem));
    }
    let mut text = vec![0; usize::try_from(size).map_err(|e| e.to_string())?];
    input.read_exact(&mut text)?;
    if text.first() != Some(&b'{') {
        return Err(Refused::Content("not a safetensors file: its header does not begin with `{`".into()));
    }
    let header: Header = serde_json::from_slice(&text).map_err(|e| format!("its header: {e}"))?;

    let mut entries = header.entries;
    entries.sort_by_key(|e| e.offsets);
    let mut end = 0;
    for entry in &entries {
        entry.follows(end).map_err(|problem| format!("its header: tensor `{}`: {problem}", entry.name))?;
        end = entry.offsets.1;
    }
    let data = behind - size;
    if end != data {
        let how = if end > data { "cut short" } else { "longer than its header says" };
        return Err(Refused::Content(format!("{how}: its tensors take {end} bytes, the file holds {data}")));
    }

    let mut tensors = BTreeMap::new();
    let mut foreign = BTreeMap::new();
    for Entry { name, dtype, shape, count, offsets } in entries {
        match dtype {
            Ok(dtype) => {
                let data = TensorData::read_from(input, dtype, count)?;
                tensors.insert(name, Tensor { shape, data });
            }
            Err(dtype) => {
                let len = offsets.1 - offsets.0;
                if io::copy(&mut input.take(len), &mut io::sink())? < len {
                    return Err(Refused::Content("cut short while it was read".into()));
                }
                foreign.insert(name, dtype);
            }
        }
    }
    Ok(TensorFile { tensors, metadata: header.metadata, foreign })
}

/// What a header says about a tensor, and is true of it alone: the size fits type and shape.
struct Entry {
    name: String,
    /// Its type, or the name of a foreign one, whose values have a size that nobody knows.
    dtype: Result<Dtype, String>,
    shape: Vec<usize>,
    count: usize,
    offsets: (u64, u64),
}

impl Entry {
    fn new(name: String, entry: &Map<String, Value>) -> Result<Self, String> {
        if entry.len() < FIELDS.len() {
            return Err("expected dtype, shape and data_offsets".into());
        }
        let numbers = |key| {
            let list = entry.get(key)?.as_array()?;
            list.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()
        };
        let dtype = entry.get("dtype").and_then(Value::as_str).ok_or("it has no dtype")?;
        let dtype = Dtype::from_name(dtype).ok_or_else(|| dtype.to_owned());
        let shape = numbers("shape").ok_or("it has no shape")?;
        let shape: Vec<usize> =
            shape.into_iter().map(usize::try_from).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        let &[start, end] = numbers("data_offsets").as_deref().unwrap_or_default() else {
            return Err("it has no two data_offsets".into());
        };
        let Ok(known) = dtype else {
            if end < start {
                return Err(format!("its data_offsets are {start} and {end}"));
            }
            return Ok(Self { name, dtype, shape, count: 0, offsets: (start, end) });
        };
        // The bytes of all axes but those of length 0: what arrays of any library must be able to address.
        let addressed = shape.iter().filter(|&&s| s > 0).try_fold(known.size(), |n, &size| n.checked_mul(size));
        if addressed.is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(format!("its shape {} is too large", show(&shape)));
        }
        let count: usize = shape.iter().product();
        let needed = (count * known.size()) as u64;
        if end.checked_sub(start) != Some(needed) {
            let values = format!("{known} values {}", show(&shape));
            return Err(format!("its data_offsets are {start} and {end}, {values} take {needed} bytes"));
        }
        Ok(Self { name, dtype, shape, count, offsets: (start, end) })
    }

    /// Whether its data begins where that of the one before ended.
    fn follows(&self, end: u64) -> Result<(), String> {
        match self.offsets.0.cmp(&end) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(format!("its data overlaps that of another, at byte {}", self.offsets.0)),
            std::cmp::Ordering::Greater => Err(format!("before its data there is a hole, from byte {end}")),
        }
    }
}

/// What every tensor's entry has; a reader passes over what else there is.
const FIELDS: [&str; 3] = ["dtype", "shape", "data_offsets"];

/// The fields of an entry, each once.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if !FIELDS.contains(&name.as_str()) {
                map.next_value::<IgnoredAny>()?;
            } else if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field `{name}` stands twice in an entry")));
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        Ok(Fields(fields))
    }
}

/// A header whose names are all different.
struct Header {
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut names = std::collections::HashSet::new();
        let mut header = Header { entries: Vec::new(), metadata: BTreeMap::new() };
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!("two tensors are called `{name}`")));
            }
            if name == METADATA {
                let values: Option<Map<String, Value>> = map.next_value()?;
                for (key, value) in values.into_iter().flatten() {
                    let Value::String(text) = value else {
                        return Err(A::Error::custom(format_args!("metadata `{key}` is no text")));
                    };
                    header.metadata.insert(key, text);
                }
            } else {
                let Fields(value) = map.next_value()?;
                let problem = |problem| A::Error::custom(format_args!("tensor `{name}`: {problem}"));
                let entry = Entry::new(name.clone(), &value).map_err(problem)?;
                header.entries.push(entry);
            }
        }
        Ok(header)
    }
}
