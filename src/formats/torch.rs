//! Weights of PyTorch: what `torch.save(model.state_dict(), path)` writes, in either of its forms, and safetensors.
//!
//! | form | content |
//! | --- | --- |
//! | zip, since PyTorch 1.6 | `X/data.pkl`, the tensors' values in `X/data/0` …, perhaps `X/byteorder` |
//! | older | five pickles (a magic number, the protocol, the system, the object, keys), then the values |
//! | safetensors | see [`safetensors`](super::safetensors) |
//!
//! A pickle is a program. Here it is read, never run: operations and classes that a dictionary of tensors needs are on a list
//! (`OrderedDict`, `_rebuild_tensor_v2`, `_rebuild_parameter`, the storages), and everything else is refused by name. Sizes are
//! compared with the bytes that are there before memory is taken.
//!
//! A PyTorch layer keeps its weight by output first, gradus and Keras by input: a dense kernel is the transpose.
//!
//! ```
//! use gradus::formats::safetensors::TensorFile;
//! use gradus::formats::torch::StateDict;
//! use gradus::prelude::*;
//!
//! # let mut file = TensorFile::new();
//! # file.insert("fc.weight", &array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
//! # file.insert("fc.bias", &array![0.5f32, 0.0, -0.5]);
//! # let path = std::env::temp_dir().join(format!("gradus-doc-torch-{}", std::process::id()));
//! # file.write(&path)?;
//! let state = StateDict::open(&path)?; // of torch.nn.Linear(2, 3), called `fc`
//! # std::fs::remove_file(&path).ok();
//! let mut model = Sequential::new().input([2]).add(Dense::new(3).name("fc")).build()?;
//! let kernel = state.tensor("fc.weight")?.to_array::<f32>().reversed_axes();
//! let bias = state.tensor("fc.bias")?.to_array::<f32>();
//! model.set_weights([("fc/kernel", &kernel), ("fc/bias", &bias)])?;
//! assert_eq!(model.predict(&array![[1.0f32, 1.0]])?, array![[3.5, 7.0, 10.5]].into_dyn());
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! Source: `torch/serialization.py`, `torch/_weights_only_unpickler.py` and Python's `pickletools`, read for the format.

mod containers;
mod pickle;

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::safetensors::{Dtype, Tensor, TensorData, TensorFile};
use crate::error::show;
use crate::{Error, Result, memory};
use containers::{Content, Storage};
use pickle::{Pickle, Value};

/// Dictionaries within dictionaries, at most.
const DEEPEST: usize = 32;
/// Entries of all dictionaries together, at most.
const MOST_ENTRIES: usize = 1 << 20;

/// Bytes of a name for which an entry counts once.
const LONG_NAME: usize = 128;

/// Named tensors of PyTorch, and dictionaries of more of them.
///
/// ```
/// use gradus::formats::safetensors::TensorFile;
/// use gradus::formats::torch::StateDict;
///
/// let mut file = TensorFile::new();
/// file.insert("fc.weight", &ndarray::array![[1.0f32, 2.0]]);
/// let state = StateDict::from_bytes(&file.to_bytes()?)?;
/// assert_eq!(state.names().collect::<Vec<_>>(), ["fc.weight"]);
/// assert_eq!(state.to_string(), "fc.weight: F32 (1, 2)");
/// assert_eq!(state.tensor("fc.weight")?.values::<f32>(), Some(&[1.0, 2.0][..]));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StateDict {
    source: PathBuf,
    tensors: Vec<(String, Entry)>,
    nested: Vec<(String, StateDict)>,
}

/// A tensor that is made when it is asked for.
#[derive(Clone, Debug)]
enum Entry {
    Held(Tensor),
    View { storage: Arc<Storage>, offset: usize, shape: Vec<usize>, strides: Vec<usize> },
}

impl StateDict {
    /// Reads a file: `.pt` or `.pth` of either form, or safetensors. What it is, is seen by its content.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::File`] if it is damaged, has an operation, a class or a type that is not on the
    /// list, or holds no dictionary.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let size = fs::metadata(path).map_err(io)?.len();
        if !memory::is_there(size.into()) {
            return Err(Error::file(
                path,
                format!("takes {}, for which there is no memory", memory::shown(size.into())),
            ));
        }
        Self::read(&fs::read(path).map_err(io)?, path)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// As [`open`](Self::open); the path of the error is `(bytes)`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, Path::new("(bytes)"))
    }

    fn read(bytes: &[u8], path: &Path) -> Result<Self> {
        let is_pickle = bytes.starts_with(&[0x80]) && bytes.get(1).is_some_and(|&version| version < 6);
        if bytes.starts_with(b"PK") || is_pickle && !is_safetensors(bytes) {
            let content = if bytes.starts_with(b"PK") { containers::zip(bytes) } else { containers::legacy(bytes) };
            let read = content.and_then(|content| Self::from_content(&content, path));
            return read.map_err(|problem| Error::file(path, problem));
        }
        let file = TensorFile::from_bytes(bytes).map_err(|error| match error {
            Error::File { problem, .. } => {
                Error::file(path, format!("neither a file of torch.save nor safetensors, as which it is {problem}"))
            }
            other => other,
        })?;
        let tensors = file.tensors.into_iter().map(|(name, tensor)| (name, Entry::Held(tensor))).collect();
        Ok(Self { source: path.into(), tensors, nested: Vec::new() })
    }

    fn from_content(content: &Content, path: &Path) -> Result<Self, String> {
        let Value::Dict(at) = content.value else {
            return Err("holds no dictionary of tensors: save `model.state_dict()`".into());
        };
        let mut entries = 0;
        Self::dictionary(content, at, path, 1, &mut entries)
    }

    fn dictionary(
        content: &Content,
        at: usize,
        path: &Path,
        depth: usize,
        entries: &mut usize,
    ) -> Result<Self, String> {
        if depth > DEEPEST {
            return Err(format!("has dictionaries more than {DEEPEST} levels deep"));
        }
        let mut state = Self { source: path.into(), tensors: Vec::new(), nested: Vec::new() };
        let mut names = std::collections::HashSet::new();
        for (key, value) in &content.pickle.dicts[at] {
            let name = match (content.pickle.text(key), key) {
                (Some(text), _) => text.to_owned(),
                (None, Value::Int(number)) => number.to_string(),
                _ => continue,
            };
            // A long name counts as several: it may be the same text, held many times.
            *entries += 1 + name.len() / LONG_NAME;
            if *entries > MOST_ENTRIES {
                return Err(format!("has more than {MOST_ENTRIES} entries"));
            }
            if !names.insert(name.clone()) {
                return Err(format!("has `{name}` twice"));
            }
            match value {
                Value::Tensor(tensor) => {
                    let entry = view(&content.pickle, *tensor, &content.storages);
                    state.tensors.push((name.clone(), entry.map_err(|problem| format!("tensor `{name}`: {problem}"))?));
                }
                Value::Dict(inner) => {
                    let inner = Self::dictionary(content, *inner, path, depth + 1, entries)?;
                    state.nested.push((name, inner));
                }
                _ => (),
            }
        }
        Ok(state)
    }

    /// The dictionary under a key, such as `model` or `state_dict` of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none, with the keys there are.
    pub fn key(&self, name: &str) -> Result<Self> {
        let found = self.nested.iter().find(|(key, _)| key == name).map(|(_, state)| state.clone());
        found.ok_or_else(|| Error::unknown("dictionary", name, self.keys()))
    }

    /// The keys of dictionaries.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.nested.iter().map(|(key, _)| &**key)
    }

    /// The names of the tensors, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| &**name)
    }

    /// A tensor's shape, if there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entry(name).map(Entry::shape)
    }

    /// A tensor's type, if there is one of this name.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.entry(name).map(Entry::dtype)
    }

    /// A tensor, row-major whatever its strides in the file.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is none of this name; [`Error::File`] if there is no memory for it.
    pub fn tensor(&self, name: &str) -> Result<Cow<'_, Tensor>> {
        let entry = self.entry(name).ok_or_else(|| Error::unknown("tensor", name, self.names()))?;
        match entry {
            Entry::Held(tensor) => Ok(Cow::Borrowed(tensor)),
            Entry::View { storage, offset, shape, strides } => {
                let gathered = gather(storage, *offset, shape, strides);
                let gathered = gathered.ok_or_else(|| {
                    let problem = format!("tensor `{name}`, {}: there is no memory for it", show(shape));
                    Error::file(&self.source, problem)
                })?;
                Tensor::from_data(shape, gathered).map(Cow::Owned)
            }
        }
    }

    /// Where it was read.
    pub fn source(&self) -> &Path {
        &self.source
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.iter().find(|(key, _)| key == name).map(|(_, entry)| entry)
    }
}

/// Whether bytes begin as safetensors: with the length of a header that is there. Its lowest bytes may be those of a pickle.
fn is_safetensors(bytes: &[u8]) -> bool {
    let behind = bytes.split_first_chunk::<8>();
    behind.is_some_and(|(len, rest)| rest.starts_with(b"{") && u64::from_le_bytes(*len) <= rest.len() as u64)
}

/// Names, types and shapes, a line each; of dictionaries the keys.
impl fmt::Display for StateDict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors =
            self.tensors.iter().map(|(name, entry)| format!("{name}: {} {}", entry.dtype(), show(entry.shape())));
        let nested = self.nested.iter().map(|(name, inner)| {
            format!("{name}: a dictionary of {} tensors and {} dictionaries", inner.tensors.len(), inner.nested.len())
        });
        f.write_str(&tensors.chain(nested).collect::<Vec<_>>().join("\n"))
    }
}

impl Entry {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Held(tensor) => tensor.shape(),
            Self::View { shape, .. } => shape,
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::Held(tensor) => tensor.dtype(),
            Self::View { storage, .. } => storage.dtype,
        }
    }
}

/// A tensor, if all of its values lie within its storage.
fn view(pickle: &Pickle, tensor: usize, storages: &[Arc<Storage>]) -> Result<Entry, String> {
    let tensor = &pickle.tensors[tensor];
    let storage = &storages[tensor.storage];
    let (shape, strides) = (&tensor.shape, &tensor.strides);
    if shape.len() != strides.len() {
        return Err(format!("its shape is {} and its strides are {}", show(shape), show(strides)));
    }
    let values = storage.bytes.len() / storage.dtype.size();
    memory::product(shape).ok_or_else(|| format!("its shape {} is too large", show(shape)))?;
    if !shape.contains(&0) {
        let last = shape.iter().zip(strides).try_fold(tensor.offset, |last, (size, stride)| {
            (size - 1).checked_mul(*stride).and_then(|way| last.checked_add(way))
        });
        if last.is_none_or(|last| last >= values) {
            let (shape, strides) = (show(shape), show(strides));
            let offset = tensor.offset;
            return Err(format!(
                "its shape {shape} with strides {strides} from {offset} reaches beyond its storage of {values} values"
            ));
        }
    }
    Ok(Entry::View { storage: storage.clone(), offset: tensor.offset, shape: shape.clone(), strides: strides.clone() })
}

/// The values of a view, row-major; none where there is no memory for them.
fn gather(storage: &Storage, offset: usize, shape: &[usize], strides: &[usize]) -> Option<TensorData> {
    let size = storage.dtype.size();
    let count: usize = shape.iter().product();
    let bytes = (count as u128) * size as u128;
    if !memory::is_there(bytes) {
        return None;
    }
    let mut values = Vec::with_capacity(count * size);
    let mut place = vec![0; shape.len()];
    let mut at = offset;
    for _ in 0..count {
        values.extend_from_slice(&storage.bytes[at * size..(at + 1) * size]);
        for axis in (0..shape.len()).rev() {
            place[axis] += 1;
            at += strides[axis];
            if place[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            place[axis] = 0;
        }
    }
    Some(TensorData::from_bytes(&values, storage.dtype, storage.big_endian))
}
