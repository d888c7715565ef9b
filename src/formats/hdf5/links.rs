//! What the members of a group are called, and where they are.

use std::collections::BTreeMap;

use super::bytes::{Bytes, text};
use super::header::{Message, kind};
use super::tree::{Tree, leaves};

/// Where a member is, or why it is not read.
#[derive(Clone, Debug)]
pub(super) enum Link {
    At(u64),
    Refused(&'static str),
}

pub(super) type Links = BTreeMap<String, Link>;

/// Links, and how long the names of further ones may be: all together no longer than the file, though names may lie over one
/// another.
struct Found {
    links: Links,
    left: usize,
}

impl Found {
    fn insert(&mut self, name: &[u8], link: Link) -> Result<(), String> {
        let name = text(name)?;
        self.left = self.left.checked_sub(name.len()).ok_or("names that lie over one another")?;
        if self.links.contains_key(&name) {
            return Err(format!("two members are called `{name}`"));
        }
        self.links.insert(name, link);
        Ok(())
    }
}

const SOFT: &str = "a soft link, which is not followed";
const EXTERNAL: &str = "a link into another file, which is not followed";
const UNKNOWN: &str = "a link of an unknown kind";

/// The members of the group with these messages; none if it is no group.
pub(super) fn links(file: &[u8], messages: &[Message<'_>]) -> Result<Option<Links>, String> {
    let mut found = Found { links: Links::new(), left: file.len() };
    let mut is_group = false;
    for message in messages {
        match message.kind {
            kind::SYMBOL_TABLE => symbol_table(file, message.bytes()?, &mut found)?,
            kind::LINK => link(message.bytes()?, &mut found)?,
            kind::LINK_INFO => refuse_dense(message.bytes()?)?,
            _ => continue,
        }
        is_group = true;
    }
    Ok(is_group.then_some(found.links))
}

/// Many links lie in a heap of their own.
fn refuse_dense(mut bytes: Bytes<'_>) -> Result<(), String> {
    bytes.version("link info", &[0])?;
    let flags = bytes.u8()?;
    bytes.skip(if flags & 1 == 0 { 0 } else { 8 })?;
    match bytes.address()? {
        None => Ok(()),
        Some(_) => Err("a group in a fractal heap (as h5py writes with libver=\"latest\"), which is not read".into()),
    }
}

fn link(mut bytes: Bytes<'_>, found: &mut Found) -> Result<(), String> {
    bytes.version("a link", &[1])?;
    let flags = bytes.u8()?;
    let kind = if flags & 8 == 0 { 0 } else { bytes.u8()? };
    bytes.skip(if flags & 4 == 0 { 0 } else { 8 })?;
    bytes.skip(usize::from(flags & 0x10 != 0))?;
    let length = bytes.sized(flags)?;
    let name = bytes.take_length(length)?;
    let link = match kind {
        0 => Link::At(bytes.u64()?),
        1 => Link::Refused(SOFT),
        64 => Link::Refused(EXTERNAL),
        _ => Link::Refused(UNKNOWN),
    };
    found.insert(name, link)
}

/// A group of the older kind: a tree whose leaves are tables of entries, and a heap with their names.
fn symbol_table(file: &[u8], mut bytes: Bytes<'_>, found: &mut Found) -> Result<(), String> {
    let (tree, heap) = (bytes.u64()?, bytes.u64()?);
    let names = local_heap(file, heap)?;
    leaves(file, tree, Tree::GROUP, |_, address| {
        let mut bytes = Bytes::from(file, address)?;
        bytes.signature("SNOD")?;
        bytes.version("a symbol table", &[1])?;
        bytes.skip(1)?;
        for _ in 0..bytes.u16()? {
            let (name, header, cached) = (bytes.u64()?, bytes.u64()?, bytes.u32()?);
            bytes.skip(4 + 16)?;
            let link = if cached == 2 { Link::Refused(SOFT) } else { Link::At(header) };
            found.insert(Bytes::from(names, name)?.rest(), link)?;
        }
        Ok(())
    })
}

/// The names of a group's members.
fn local_heap(file: &[u8], address: u64) -> Result<&[u8], String> {
    let mut bytes = Bytes::from(file, address)?;
    bytes.signature("HEAP")?;
    bytes.version("a heap", &[0])?;
    bytes.skip(3)?;
    let size = bytes.u64()?;
    bytes.skip(8)?;
    let data = bytes.u64()?;
    Bytes::from(file, data)?.take_length(size)
}
