//! Where the pickle and the values lie: in a zip archive, or one behind the other.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use zip::ZipArchive;

use super::pickle::{self, MAGIC_VALUE, Pickle, StorageRef, Value};
use crate::formats::safetensors::Dtype;
use crate::memory;

/// Values as a file holds them.
#[derive(Debug)]
pub(super) struct Storage {
    pub dtype: Dtype,
    pub bytes: Vec<u8>,
    pub big_endian: bool,
}

/// A file taken apart.
pub(super) struct Content {
    pub value: Value,
    pub pickle: Pickle,
    /// By the numbers of the pickle.
    pub storages: Vec<Arc<Storage>>,
}

/// Deflate makes of one byte 1,032 at the very most.
const MAX_EXPANSION: u64 = 1032;

/// Bytes of a pickle in an archive, at most: PyTorch takes some 300 for a tensor.
const MOST_PROGRAM: u64 = 1 << 26;

fn at_most(most: u64, size: u64) -> Result<(), String> {
    if size <= most { Ok(()) } else { Err(format!("it has {size} bytes, and {most} are read at most")) }
}

/// An archive whose entries are read by name. PyTorch stores them as they are.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// What all entries that were read take together.
    taken: u128,
}

impl Archive<'_> {
    /// An entry's bytes, if `fits` says that they may be as many.
    fn entry(&mut self, name: &str, fits: impl FnOnce(u64) -> Result<(), String>) -> Result<Vec<u8>, String> {
        let within = |problem: String| format!("its entry `{name}`: {problem}");
        let entry = self.zip.by_name(name).map_err(|problem| within(problem.to_string()))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        fits(size).map_err(within)?;
        self.taken = self.taken.saturating_add(size.into());
        if size > packed.saturating_mul(MAX_EXPANSION).saturating_add(MAX_EXPANSION) || !memory::is_there(self.taken) {
            return Err(within(format!("it would take {size} bytes, which {packed} cannot hold, or memory has not")));
        }
        let mut bytes = Vec::new();
        entry.take(size).read_to_end(&mut bytes).map_err(|problem| within(problem.to_string()))?;
        Ok(bytes)
    }
}

pub(super) fn zip(bytes: &[u8]) -> Result<Content, String> {
    let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|problem| format!("no zip archive: {problem}"))?;
    let names: Vec<String> = zip.file_names().filter_map(Result::ok).map(|name| name.to_string()).collect();
    let roots: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix("data.pkl")).collect();
    let [root] = roots[..] else {
        return Err(format!("a zip archive with {} files called `data.pkl`, where torch.save writes one", roots.len()));
    };
    if names.iter().any(|name| name.strip_prefix(root) == Some("constants.pkl")) {
        return Err("a TorchScript program: save `model.state_dict()` with torch.save".into());
    }
    let mut archive = Archive { zip, taken: 0 };
    let big_endian = match names.iter().find(|name| name.strip_prefix(root) == Some("byteorder")) {
        None => false,
        Some(name) => match &*archive.entry(name, |size| at_most(16, size))? {
            b"little" => false,
            b"big" => true,
            _ => return Err("its `byteorder` is neither little nor big".into()),
        },
    };
    let program = archive.entry(&format!("{root}data.pkl"), |size| at_most(MOST_PROGRAM, size))?;
    let (value, pickle) = pickle::read(&mut &program[..])?;
    let storages = each_once(&pickle.storages, |storage, size| {
        let problem = |given| format!("it has {given} bytes, and the values that the pickle names take {size}");
        let fits = |given| if given == size as u64 { Ok(()) } else { Err(problem(given)) };
        let bytes = archive.entry(&format!("{root}data/{}", storage.key), fits)?;
        Ok(Storage { dtype: storage.dtype, bytes, big_endian })
    })?;
    Ok(Content { value, pickle, storages })
}

/// The older form: five pickles, then of each key the number of values, and these, always of the lowest byte first.
pub(super) fn legacy(mut bytes: &[u8]) -> Result<Content, String> {
    let rest = &mut bytes;
    if pickle::read(rest)?.0 != MAGIC_VALUE {
        return Err("a pickle, but none of torch.save: it does not begin with the magic number".into());
    }
    if pickle::read(rest)?.0 != Value::Int(1001) {
        return Err("of another protocol of torch.save than 1001".into());
    }
    pickle::read(rest)?;
    let (value, pickle) = pickle::read(rest)?;
    let (keys, of_keys) = pickle::read(rest)?;
    let Value::List(at) = keys else { return Err("has no list of its storages".into()) };
    let known: HashMap<&str, &StorageRef> = pickle.storages.iter().map(|storage| (&*storage.key, storage)).collect();
    let mut found = HashMap::new();
    for key in &of_keys.items[at] {
        let key = of_keys.text(key).ok_or("the key of a storage is no text")?;
        let storage = known.get(key).ok_or_else(|| format!("has a storage `{key}` that nothing names"))?;
        let (count, behind) = rest.split_first_chunk::<8>().ok_or("cut short before a storage")?;
        if u64::from_le_bytes(*count) != storage.count as u64 {
            let count = u64::from_le_bytes(*count);
            return Err(format!("storage `{key}` has {count} values, and the pickle names {}", storage.count));
        }
        let size = storage.count.checked_mul(storage.dtype.size());
        let (values, behind) = size.and_then(|size| behind.split_at_checked(size)).ok_or_else(|| {
            format!("cut short: storage `{key}` has {} values, {} bytes are left", storage.count, behind.len())
        })?;
        *rest = behind;
        if found.insert(key, values).is_some() {
            return Err(format!("has the storage `{key}` twice"));
        }
    }
    let storages = each_once(&pickle.storages, |storage, _| {
        let bytes = found.get(&*storage.key).ok_or_else(|| format!("lacks the storage `{}`", storage.key))?;
        Ok(Storage { dtype: storage.dtype, bytes: bytes.to_vec(), big_endian: false })
    })?;
    Ok(Content { value, pickle, storages })
}

/// Each storage, read once however often it is named. Those of one key must be of one type and length.
fn each_once(
    named: &[StorageRef],
    mut read: impl FnMut(&StorageRef, usize) -> Result<Storage, String>,
) -> Result<Vec<Arc<Storage>>, String> {
    let mut known: HashMap<&str, (&StorageRef, Arc<Storage>)> = HashMap::new();
    let mut storages = Vec::with_capacity(named.len());
    for storage in named {
        let shared = match known.get(&*storage.key) {
            Some((first, shared)) if *first == storage => shared.clone(),
            Some(_) => return Err(format!("names the storage `{}` with two types or lengths", storage.key)),
            None => {
                let size = storage.count.checked_mul(storage.dtype.size());
                let size = size.ok_or_else(|| format!("storage `{}`: its length is too large", storage.key))?;
                let shared = Arc::new(read(storage, size)?);
                known.insert(&storage.key, (storage, shared.clone()));
                shared
            }
        };
        storages.push(shared);
    }
    Ok(storages)
}
