//! What is to be written, and its bytes.

use std::collections::BTreeMap;

use crate::formats::safetensors::{Dtype, Tensor};
use crate::{Error, Result};

/// Arrays, and texts beside groups, by their paths: what a new file holds.
///
/// ```
/// use gradus::formats::hdf5::{Content, Hdf5File};
/// use gradus::formats::safetensors::Tensor;
///
/// let mut content = Content::new();
/// content.insert("a/b", Tensor::new(&[2], vec![1.0f64, 2.0])?);
/// content.insert_text("a", "name", "dense");
/// let file = Hdf5File::from_bytes(content.to_bytes()?)?;
/// assert_eq!(file.root()?.group("a")?.texts("name")?, Some(vec!["dense".to_owned()]));
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Content {
    members: BTreeMap<String, Member>,
    texts: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
enum Member {
    Group(Content),
    Array(Tensor),
}

/// The address of what is not there.
const NOWHERE: [u8; 8] = [0xff; 8];
/// What a message can hold.
const MOST_BYTES: usize = 65_000;

impl Content {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an array at a path, in the place of what was there; its groups are made.
    pub fn insert(&mut self, path: &str, array: Tensor) {
        let (group, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.group(group).members.insert(name.to_owned(), Member::Array(array));
    }

    /// Puts a text beside the group at a path, which is made.
    pub fn insert_text(&mut self, group: &str, attribute: &str, text: &str) {
        self.group(group).texts.insert(attribute.to_owned(), text.to_owned());
    }

    fn group(&mut self, path: &str) -> &mut Self {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(self, |group, name| {
            let member = group.members.entry(name.to_owned()).or_insert_with(|| Member::Group(Self::new()));
            if let Member::Array(_) = member {
                *member = Member::Group(Self::new());
            }
            match member {
                Member::Group(group) => group,
                Member::Array(_) => unreachable!("replaced above"),
            }
        })
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::Data`] for a text or a name of more than 65,000 bytes, and for a group of more than 65,000 members.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; SUPERBLOCK];
        let root = self.write(&mut bytes)?;
        let end = bytes.len() as u64;
        bytes[..SUPERBLOCK].copy_from_slice(&superblock(root, end));
        Ok(bytes)
    }

    /// Writes the members and then the group's own header, whose address it gives.
    fn write(&self, out: &mut Vec<u8>) -> Result<u64> {
        // Link info of version 0: no heap, no index.
        let mut messages = Messages::default();
        messages.add(0x2, &[&[0, 0][..], &NOWHERE, &NOWHERE].concat())?;
        for (name, member) in &self.members {
            let address = match member {
                Member::Group(group) => group.write(out)?,
                Member::Array(array) => write_array(array, out)?,
            };
            messages.add(0x6, &link(name, address))?;
        }
        for (name, text) in &self.texts {
            messages.add(0xc, &attribute(name, text))?;
        }
        messages.write(out)
    }
}

const SUPERBLOCK: usize = 96;

/// Version 0, with addresses and lengths of 8 bytes.
fn superblock(root: u64, end: u64) -> [u8; SUPERBLOCK] {
    let mut bytes = [0; SUPERBLOCK];
    bytes[..8].copy_from_slice(b"\x89HDF\r\n\x1a\n");
    bytes[13..15].copy_from_slice(&[8, 8]);
    // How many entries a leaf and a node of a group of the older kind have: the library asks, though there are none.
    bytes[16..20].copy_from_slice(&[4, 0, 16, 0]);
    // The base, then no free space, the end, no driver.
    bytes[32..40].copy_from_slice(&NOWHERE);
    bytes[40..48].copy_from_slice(&end.to_le_bytes());
    bytes[48..56].copy_from_slice(&NOWHERE);
    // The root's entry: no name, its header.
    bytes[64..72].copy_from_slice(&root.to_le_bytes());
    bytes
}

/// The messages of a header of version 1.
#[derive(Default)]
struct Messages {
    count: usize,
    bytes: Vec<u8>,
}

impl Messages {
    fn add(&mut self, kind: u16, data: &[u8]) -> Result<()> {
        let size = data.len().next_multiple_of(8);
        if size > MOST_BYTES || self.count >= MOST_BYTES {
            let received = format!("{size} bytes, {} before", self.count);
            return Err(Error::data(
                "Hdf5File",
                format!("at most {MOST_BYTES} bytes a name or text, and {MOST_BYTES} members"),
                received,
            ));
        }
        self.count += 1;
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(short(size));
        self.bytes.extend([0; 4]);
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len() + size - data.len(), 0);
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<u64> {
        let size = u32::try_from(self.bytes.len());
        let size =
            size.map_err(|_| Error::data("Hdf5File", "a header below 4 GB", format!("{} bytes", self.bytes.len())))?;
        out.resize(out.len().next_multiple_of(8), 0);
        let address = out.len() as u64;
        out.extend([1, 0]);
        out.extend(short(self.count));
        out.extend(1u32.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend([0; 4]);
        out.extend(&self.bytes);
        Ok(address)
    }
}

/// A number that was compared with [`MOST_BYTES`].
fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("compared before").to_le_bytes()
}

/// A hard link of version 1, the length of its name in 4 bytes, the name in UTF-8.
fn link(name: &str, address: u64) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    [&[1, 0x10 | 2, 1][..], &length.to_le_bytes(), name.as_bytes(), &address.to_le_bytes()].concat()
}

/// An attribute of version 3: one text in UTF-8, filled up with zeros.
fn attribute(name: &str, text: &str) -> Vec<u8> {
    let size = u32::try_from(text.len().max(1)).unwrap_or(u32::MAX);
    let name = [name.as_bytes(), &[0]].concat();
    let datatype = [&[0x13, 0x11, 0, 0][..], &size.to_le_bytes()].concat();
    let space = [2, 0, 0, 0];
    let sizes =
        [name.len(), datatype.len(), space.len()].map(|size| u16::try_from(size).unwrap_or(u16::MAX).to_le_bytes());
    let mut bytes = [&[3, 0][..], sizes.as_flattened(), &[1], &name, &datatype, &space, text.as_bytes()].concat();
    bytes.resize(bytes.len() + usize::from(text.is_empty()), 0);
    bytes
}

/// Writes values in one piece and the array's header, whose address it gives.
fn write_array(array: &Tensor, out: &mut Vec<u8>) -> Result<u64> {
    out.resize(out.len().next_multiple_of(8), 0);
    let start = out.len();
    // Writing to a vector cannot fail.
    array.data().write_to(out).map_err(|source| Error::Io { path: "(bytes)".into(), source })?;
    let length = out.len() - start;
    let address = if length == 0 { NOWHERE } else { (start as u64).to_le_bytes() };
    let mut messages = Messages::default();
    let shape: Vec<u8> = array.shape().iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
    let rank = u8::try_from(array.shape().len()).ok().filter(|&rank| rank <= 32);
    let rank = rank.ok_or_else(|| Error::shape("at most 32 axes", array.shape()))?;
    messages.add(0x1, &[&[1, rank, 0, 0, 0, 0, 0, 0][..], &shape].concat())?;
    messages.add(0x3, &datatype(array.dtype()))?;
    // Fill value of version 2: memory taken early, written never, none given.
    messages.add(0x5, &[2, 1, 0, 0])?;
    messages.add(0x8, &[&[3, 1][..], &address, &(length as u64).to_le_bytes()].concat())?;
    if array.dtype() == Dtype::BF16 {
        // As Keras marks them: to numpy they are opaque.
        messages.add(0xc, &attribute("dtype", "bfloat16"))?;
    }
    messages.write(out)
}

/// A type of version 1, the lowest byte first.
fn datatype(dtype: Dtype) -> Vec<u8> {
    if dtype == Dtype::BF16 {
        // Opaque, with a description of no letters.
        return vec![0x15, 0, 0, 0, 2, 0, 0, 0];
    }
    let size = dtype.size();
    let bits = u8::try_from(8 * size).expect("at most 64");
    let size = [u8::try_from(size).expect("at most 8"), 0, 0, 0];
    // Bits of the exponent and of the fraction.
    let parts = match dtype {
        Dtype::F16 => Some((5, 10)),
        Dtype::F32 => Some((8, 23)),
        Dtype::F64 => Some((11, 52)),
        _ => None,
    };
    let Some((exponent, fraction)) = parts else {
        let signed = matches!(dtype, Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64);
        return [&[0x10, if signed { 8 } else { 0 }, 0, 0][..], &size, &[0, 0, bits, 0]].concat();
    };
    let bias = (1u32 << (exponent - 1)) - 1;
    // The sign is the last bit; the fraction's first bit is left out.
    let places = [0, 0, bits, 0, fraction, exponent, 0, fraction];
    [&[0x11, 0x20, bits - 1, 0][..], &size, &places, &bias.to_le_bytes()].concat()
}
