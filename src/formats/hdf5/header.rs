//! Where a file begins, and the header of each of its objects: messages, each of one kind.

use std::collections::VecDeque;

use super::bytes::Bytes;

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// The kinds of messages that are read.
pub(super) mod kind {
    pub const DATASPACE: u16 = 0x1;
    pub const LINK_INFO: u16 = 0x2;
    pub const DATATYPE: u16 = 0x3;
    pub const LINK: u16 = 0x6;
    pub const EXTERNAL: u16 = 0x7;
    pub const LAYOUT: u16 = 0x8;
    pub const FILTERS: u16 = 0xb;
    pub const ATTRIBUTE: u16 = 0xc;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOL_TABLE: u16 = 0x11;
    pub const ATTRIBUTE_INFO: u16 = 0x15;
}

/// The address of the root group's header.
pub(super) fn root(file: &[u8]) -> Result<u64, String> {
    let Some(rest) = file.strip_prefix(SIGNATURE) else { return Err("not an HDF5 file".into()) };
    let mut bytes = Bytes::new(rest);
    let version = bytes.version("a superblock", &[0, 2, 3])?;
    let sizes = if version == 0 {
        bytes.skip(4)?;
        let sizes = [bytes.u8()?, bytes.u8()?];
        bytes.skip(9)?;
        sizes
    } else {
        let sizes = [bytes.u8()?, bytes.u8()?];
        bytes.skip(1)?;
        sizes
    };
    if sizes != [8, 8] {
        return Err(format!("its addresses and lengths have {} and {} bytes; 8 and 8 are read", sizes[0], sizes[1]));
    }
    if bytes.u64()? != 0 {
        return Err("its addresses do not count from its beginning".into());
    }
    // Free space or an extension, the end of the file; then the driver and the root's name, or the root at once.
    bytes.skip(if version == 0 { 4 * 8 } else { 2 * 8 })?;
    bytes.u64()
}

/// A message of a header.
pub(super) struct Message<'f> {
    pub kind: u16,
    data: &'f [u8],
    shared: bool,
}

impl<'f> Message<'f> {
    pub fn bytes(&self) -> Result<Bytes<'f>, String> {
        if self.shared {
            Err("a message that lies elsewhere, which is not read".into())
        } else {
            Ok(Bytes::new(self.data))
        }
    }
}

/// The messages of the object at an address.
pub(super) fn messages(file: &[u8], address: u64) -> Result<Vec<Message<'_>>, String> {
    let mut bytes = Bytes::from(file, address)?;
    if bytes.rest().starts_with(b"OHDR") { messages_v2(file, bytes) } else { messages_v1(file, &mut bytes) }
}

fn messages_v1<'f>(file: &'f [u8], bytes: &mut Bytes<'f>) -> Result<Vec<Message<'f>>, String> {
    bytes.version("an object header", &[1])?;
    bytes.skip(1)?;
    let count = usize::from(bytes.u16()?);
    bytes.skip(4)?;
    let size = bytes.u32()?;
    bytes.skip(4)?;
    let mut pieces = Pieces::new(file, bytes.take_length(size.into())?);
    let mut messages = Vec::new();
    while let Some(mut piece) = pieces.next() {
        while piece.left() >= 8 && messages.len() < count {
            let (kind, size, flags) = (piece.u16()?, piece.u16()?, piece.u8()?);
            piece.skip(3)?;
            let message = Message { kind, data: piece.take(size.into())?, shared: flags & 2 != 0 };
            if kind == kind::CONTINUATION {
                pieces.add(&message)?;
            }
            messages.push(message);
        }
    }
    Ok(messages)
}

fn messages_v2<'f>(file: &'f [u8], mut bytes: Bytes<'f>) -> Result<Vec<Message<'f>>, String> {
    bytes.signature("OHDR")?;
    bytes.version("an object header", &[2])?;
    let flags = bytes.u8()?;
    bytes.skip(if flags & 0x20 == 0 { 0 } else { 16 })?;
    bytes.skip(if flags & 0x10 == 0 { 0 } else { 4 })?;
    let size = bytes.sized(flags)?;
    let mut pieces = Pieces::new(file, bytes.take_length(size)?);
    let ordered = flags & 4 != 0;
    let before = if ordered { 6 } else { 4 };
    let mut first = true;
    let mut messages = Vec::new();
    while let Some(mut piece) = pieces.next() {
        if !std::mem::take(&mut first) {
            piece.signature("OCHK")?;
            let within = piece.left().checked_sub(4).ok_or("a header's piece without a checksum")?;
            piece = Bytes::new(piece.take(within)?);
        }
        // What is left may be a gap smaller than a message.
        while piece.left() >= before {
            let (kind, size, flags) = (piece.u8()?, piece.u16()?, piece.u8()?);
            piece.skip(before - 4)?;
            let message = Message { kind: kind.into(), data: piece.take(size.into())?, shared: flags & 2 != 0 };
            if message.kind == kind::CONTINUATION {
                pieces.add(&message)?;
            }
            messages.push(message);
        }
    }
    Ok(messages)
}

/// The pieces of a header, each of which may say where it goes on. All together they are no longer than the file: pieces that
/// lie over one another, or in a circle, end.
struct Pieces<'f> {
    file: &'f [u8],
    open: VecDeque<&'f [u8]>,
    left: usize,
}

impl<'f> Pieces<'f> {
    fn new(file: &'f [u8], first: &'f [u8]) -> Self {
        Self { file, open: VecDeque::from([first]), left: file.len() - first.len() }
    }

    fn next(&mut self) -> Option<Bytes<'f>> {
        self.open.pop_front().map(Bytes::new)
    }

    fn add(&mut self, message: &Message<'_>) -> Result<(), String> {
        let mut bytes = message.bytes()?;
        let (address, length) = (bytes.u64()?, bytes.u64()?);
        let piece = Bytes::from(self.file, address)?.take_length(length)?;
        // An empty one would cost nothing, and so never end.
        let rest = self.left.checked_sub(piece.len().max(1));
        self.left = rest.ok_or("a header whose pieces lie over one another")?;
        self.open.push_back(piece);
        Ok(())
    }
}
