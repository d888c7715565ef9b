//! Types of values, shapes, attributes.

use std::collections::{BTreeMap, HashMap};

use super::bytes::{Bytes, text};
use super::header::{Message, kind};
use crate::formats::safetensors::Dtype;

/// More axes than HDF5 allows.
const MOST_AXES: u8 = 32;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Datatype {
    Number {
        dtype: Dtype,
        big_endian: bool,
    },
    /// Of so many bytes, and what fills up the shorter ones.
    Text {
        size: usize,
        spaces: bool,
    },
    /// In the global heap.
    LongText,
    /// So many bytes of which the file says no more.
    Opaque {
        size: usize,
    },
}

impl Datatype {
    /// The bytes of a value where it stands.
    pub fn size(self) -> usize {
        match self {
            Self::Number { dtype, .. } => dtype.size(),
            Self::Text { size, .. } | Self::Opaque { size } => size,
            Self::LongText => 16,
        }
    }

    pub fn read(bytes: &mut Bytes<'_>) -> Result<Self, String> {
        Self::read_within(bytes, 0)
    }

    /// A type, which may be that of another's values.
    fn read_within(bytes: &mut Bytes<'_>, depth: usize) -> Result<Self, String> {
        let class = bytes.u8()? & 0xf;
        let flags = bytes.u8()?;
        bytes.skip(2)?;
        let size = bytes.u32()? as usize;
        match class {
            0 => {
                let layout = (bytes.u16()?, usize::from(bytes.u16()?));
                let dtype = match (size, flags & 8 != 0) {
                    (1, false) => Dtype::U8,
                    (1, true) => Dtype::I8,
                    (2, false) => Dtype::U16,
                    (2, true) => Dtype::I16,
                    (4, false) => Dtype::U32,
                    (4, true) => Dtype::I32,
                    (8, false) => Dtype::U64,
                    (8, true) => Dtype::I64,
                    _ => return Err(format!("whole numbers of {size} bytes, which are not read")),
                };
                if layout != (0, size * 8) {
                    return Err("whole numbers with bits left over, which are not read".into());
                }
                Ok(Self::Number { dtype, big_endian: flags & 1 != 0 })
            }
            1 => {
                bytes.skip(4)?;
                let parts = [bytes.u8()?, bytes.u8()?, bytes.u8()?, bytes.u8()?];
                // Where exponent and fraction begin, and their bits.
                let dtype = match (size, parts) {
                    (2, [10, 5, 0, 10]) => Dtype::F16,
                    (2, [7, 8, 0, 7]) => Dtype::BF16,
                    (4, [23, 8, 0, 23]) => Dtype::F32,
                    (8, [52, 11, 0, 52]) => Dtype::F64,
                    _ => return Err(format!("floating point numbers of {size} bytes, none that is known")),
                };
                bytes.skip(4)?;
                Ok(Self::Number { dtype, big_endian: flags & 1 != 0 })
            }
            5 => Ok(Self::Opaque { size }),
            3 => Ok(Self::Text { size, spaces: flags & 0xf == 2 }),
            // The names of its values follow, the numbers stand for themselves.
            8 if depth == 0 => Self::read_within(bytes, 1),
            9 if flags & 0xf == 1 && size == 16 => Ok(Self::LongText),
            _ => {
                let names = ["", "", "a time", "", "bits", "", "a structure", "a reference", "", "a list", "an array"];
                let name = names.get(usize::from(class)).filter(|name| !name.is_empty()).unwrap_or(&"an unknown type");
                Err(format!("a value that is {name}, which is not read"))
            }
        }
    }
}

/// The sizes of the axes, none for nothing at all.
pub(super) fn shape(bytes: &mut Bytes<'_>) -> Result<Option<Vec<usize>>, String> {
    let version = bytes.version("a data space", &[1, 2])?;
    let (rank, _) = (bytes.u8()?, bytes.u8()?);
    let nothing = match version {
        1 => {
            bytes.skip(5)?;
            false
        }
        _ => bytes.u8()? == 2,
    };
    if rank > MOST_AXES {
        return Err(format!("{rank} axes"));
    }
    let size = |size: u64| usize::try_from(size).map_err(|_| format!("an axis of {size}"));
    let sizes = (0..rank).map(|_| bytes.u64().and_then(size)).collect::<Result<_, String>>()?;
    Ok(Some(sizes).filter(|_| !nothing))
}

/// The bytes of so many values, if a file could hold as many.
pub(super) fn byte_count(shape: &[usize], size: usize) -> Result<usize, String> {
    let bytes = crate::memory::product(shape).and_then(|count| count.checked_mul(size));
    bytes.ok_or_else(|| format!("a shape {}, which no file can hold", crate::error::show(shape)))
}

/// Texts that stand beside an object, by their name; why one is not read, where it is none.
pub(super) type Attributes = BTreeMap<String, Result<Vec<String>, String>>;

/// The attributes of the object with these messages.
pub(super) fn attributes(file: &[u8], messages: &[Message<'_>]) -> Result<Attributes, String> {
    let (mut found, mut heap) = (Attributes::new(), Heap::new(file));
    for message in messages {
        match message.kind {
            kind::ATTRIBUTE => {
                let (name, value) = attribute(&mut heap, message.bytes()?)?;
                found.insert(name, value);
            }
            kind::ATTRIBUTE_INFO => {
                let mut bytes = message.bytes()?;
                bytes.version("attribute info", &[0])?;
                let flags = bytes.u8()?;
                bytes.skip(if flags & 1 == 0 { 0 } else { 2 })?;
                if bytes.address()?.is_some() {
                    return Err("attributes in a fractal heap, which are not read".into());
                }
            }
            _ => (),
        }
    }
    Ok(found)
}

fn attribute(heap: &mut Heap<'_>, mut bytes: Bytes<'_>) -> Result<(String, Result<Vec<String>, String>), String> {
    let version = bytes.version("an attribute", &[1, 2, 3])?;
    let flags = bytes.u8()?;
    let [name, datatype, space] = [bytes.u16()?, bytes.u16()?, bytes.u16()?].map(usize::from);
    if version > 1 && flags & 3 != 0 {
        return Err("an attribute whose type lies elsewhere, which is not read".into());
    }
    bytes.skip(usize::from(version == 3))?;
    let mut part = |size: usize| -> Result<_, String> {
        let part = bytes.take(size)?;
        if version == 1 {
            bytes.align()?;
        }
        Ok(part)
    };
    let (name, datatype, space) = (text(part(name)?)?, part(datatype)?, part(space)?);
    let value = Datatype::read(&mut Bytes::new(datatype))
        .and_then(|datatype| texts(heap, datatype, shape(&mut Bytes::new(space))?, bytes));
    Ok((name, value))
}

/// The texts of an attribute.
fn texts(
    heap: &mut Heap<'_>,
    datatype: Datatype,
    shape: Option<Vec<usize>>,
    mut bytes: Bytes<'_>,
) -> Result<Vec<String>, String> {
    let Some(shape) = shape else { return Ok(Vec::new()) };
    let size = datatype.size();
    if size == 0 {
        return Ok(Vec::new());
    }
    let values = bytes.take(byte_count(&shape, size)?)?.chunks_exact(size);
    let value = |value| match datatype {
        Datatype::Text { spaces, .. } => {
            text(value).map(|text| if spaces { text.trim_end_matches(' ').to_owned() } else { text })
        }
        Datatype::LongText => heap.text(value),
        Datatype::Number { .. } | Datatype::Opaque { .. } => Err("a number in place of a text".into()),
    };
    values.map(value).collect()
}

/// The global heap, in which texts of any length lie: collections of numbered objects.
struct Heap<'f> {
    file: &'f [u8],
    collections: HashMap<u64, HashMap<u16, &'f [u8]>>,
    /// How many more bytes collections may have, and texts: no more than the file, though all may lie over one another.
    unread: usize,
    left: usize,
}

impl<'f> Heap<'f> {
    fn new(file: &'f [u8]) -> Self {
        Self { file, collections: HashMap::new(), unread: file.len(), left: file.len() }
    }

    /// The text that a reference stands for.
    fn text(&mut self, reference: &[u8]) -> Result<String, String> {
        let mut bytes = Bytes::new(reference);
        let (length, address, index) = (bytes.u32()? as usize, bytes.u64()?, bytes.u32()?);
        if length == 0 {
            return Ok(String::new());
        }
        self.left = self.left.checked_sub(length).ok_or("texts that lie over one another")?;
        if !self.collections.contains_key(&address) {
            let read = self.collection(address)?;
            self.collections.insert(address, read);
        }
        let object = u16::try_from(index).ok().and_then(|index| self.collections[&address].get(&index));
        let object = object.ok_or_else(|| format!("the global heap has no number {index}"))?;
        text(object.get(..length).ok_or("a text longer than its place")?)
    }

    fn collection(&mut self, address: u64) -> Result<HashMap<u16, &'f [u8]>, String> {
        let mut start = Bytes::from(self.file, address)?;
        let mut bytes = start;
        bytes.signature("GCOL")?;
        bytes.version("a global heap", &[1])?;
        bytes.skip(3)?;
        let whole = start.take_length(bytes.u64()?)?;
        self.unread = self.unread.checked_sub(whole.len()).ok_or("heaps that lie over one another")?;
        let mut bytes = Bytes::new(whole);
        bytes.skip(16)?;
        let mut objects = HashMap::new();
        while bytes.left() >= 16 {
            let number = bytes.u16()?;
            bytes.skip(6)?;
            let size = bytes.u64()?;
            // What is left is free.
            if number == 0 {
                break;
            }
            objects.insert(number, bytes.take_length(size)?);
            if bytes.left() < 8 {
                break;
            }
            bytes.align()?;
        }
        Ok(objects)
    }
}
