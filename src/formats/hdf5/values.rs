//! Where the values of a data set lie: as they are, or in chunks that filters have changed.

use std::collections::HashSet;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::bytes::Bytes;
use super::header::Message;
use super::tree::{Tree, leaves};

/// Deflate makes no more of a byte than this many.
const MAX_EXPANSION: usize = 1032;

/// How values lie in a file.
#[derive(Clone, Debug)]
pub(super) enum Layout<'f> {
    /// In the header.
    Compact(&'f [u8]),
    /// At an address, none where nothing was written.
    Contiguous(Option<u64>),
    /// In chunks of a shape, found by a tree.
    Chunked { tree: Option<u64>, chunk: Vec<usize> },
}

impl<'f> Layout<'f> {
    pub fn read(message: &Message<'f>, rank: usize) -> Result<Self, String> {
        let mut bytes = message.bytes()?;
        let version = bytes.version("the layout of the values", &[3, 4])?;
        match (bytes.u8()?, version) {
            (0, _) => {
                let size = bytes.u16()?;
                Ok(Self::Compact(bytes.take(size.into())?))
            }
            (1, _) => Ok(Self::Contiguous(bytes.address()?)),
            (2, 3) => {
                let axes = usize::from(bytes.u8()?);
                if axes != rank + 1 {
                    return Err(format!("chunks of {axes} axes for values of {rank}"));
                }
                let tree = bytes.address()?;
                let chunk = (0..rank).map(|_| bytes.u32().map(|size| size as usize)).collect::<Result<Vec<_>, _>>()?;
                if chunk.contains(&0) {
                    return Err("chunks without a size".into());
                }
                Ok(Self::Chunked { tree, chunk })
            }
            (2, _) => {
                Err("chunks with an index of the newer kind (as h5py writes with libver=\"latest\"), which is not read"
                    .into())
            }
            (3, _) => Err("values that lie in other files (a virtual layout), which is not read".into()),
            (class, _) => Err(format!("values in a layout {class}, which is not known")),
        }
    }
}

/// What has been done to a chunk, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    Deflate,
    /// The first bytes of all values of so many bytes, then the second …
    Shuffle,
    /// A sum at the end.
    Fletcher32,
}

pub(super) fn filters(message: &Message<'_>) -> Result<Vec<Filter>, String> {
    let mut bytes = message.bytes()?;
    let version = bytes.version("filters", &[1, 2])?;
    let count = bytes.u8()?;
    bytes.skip(if version == 1 { 6 } else { 0 })?;
    let mut filter = || {
        let number = bytes.u16()?;
        let name = if version == 1 || number >= 256 { usize::from(bytes.u16()?) } else { 0 };
        bytes.skip(2)?;
        let parameters = usize::from(bytes.u16()?);
        bytes.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
        bytes.skip(4 * parameters)?;
        bytes.skip(if version == 1 && parameters % 2 == 1 { 4 } else { 0 })?;
        match number {
            1 => Ok(Filter::Deflate),
            2 => Ok(Filter::Shuffle),
            3 => Ok(Filter::Fletcher32),
            _ => Err(format!("values packed by filter {number}; deflate, shuffle and fletcher32 are read")),
        }
    };
    (0..count).map(|_| filter()).collect()
}

/// Where the bytes of a data set are, and what they are.
pub(super) struct Place<'a, 'f> {
    pub file: &'f [u8],
    pub layout: &'a Layout<'f>,
    pub filters: &'a [Filter],
    pub shape: &'a [usize],
    /// Bytes of a value.
    pub size: usize,
}

impl Place<'_, '_> {
    /// All bytes, row-major: as many as the shape asks for.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let count = super::types::byte_count(self.shape, self.size)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let stored = match self.layout {
            Layout::Chunked { tree: Some(tree), chunk } => return self.chunks(*tree, chunk, count),
            _ if !self.filters.is_empty() => return Err("filters of values that lie in one piece".into()),
            Layout::Compact(bytes) => Bytes::new(bytes).take(count)?,
            Layout::Contiguous(Some(address)) => Bytes::from(self.file, *address)?.take(count)?,
            Layout::Contiguous(None) | Layout::Chunked { tree: None, .. } => {
                return Err("values that were never written".into());
            }
        };
        Ok(stored.to_vec())
    }

    fn chunks(&self, tree: u64, chunk: &[usize], count: usize) -> Result<Vec<u8>, String> {
        let expected = chunk.iter().zip(self.shape).map(|(chunk, size)| size.div_ceil(*chunk)).product::<usize>();
        let chunk_bytes = super::types::byte_count(chunk, self.size)?;
        // Before memory is taken: the file could hold as many chunks, and as many values.
        let most = self.file.len().saturating_mul(MAX_EXPANSION);
        if expected > self.file.len() || count > most || chunk_bytes > most {
            return Err(format!("{count} bytes in {expected} chunks, which a file of {} cannot hold", self.file.len()));
        }
        if !crate::memory::is_there(count as u128 + chunk_bytes as u128) {
            return Err(format!("{count} bytes, which memory has not"));
        }
        let mut all = vec![0; count];
        let mut found = HashSet::new();
        leaves(self.file, tree, Tree::chunks(chunk.len()), |mut key, address| {
            let (stored, mask) = (key.u32()?, key.u32()?);
            let offset = chunk.iter().map(|_| key.u64()).collect::<Result<Vec<_>, _>>()?;
            let start = self.start(&offset, chunk)?;
            if !found.insert(start.clone()) {
                return Err("two chunks in one place".into());
            }
            let stored = Bytes::from(self.file, address)?.take(stored as usize)?;
            let values = self.unpacked(stored, mask, chunk_bytes)?;
            self.place(&values, &start, chunk, &mut all);
            Ok(())
        })?;
        if found.len() == expected { Ok(all) } else { Err(format!("{} of {expected} chunks", found.len())) }
    }

    /// Where a chunk begins, which must be where one can.
    fn start(&self, offset: &[u64], chunk: &[usize]) -> Result<Vec<usize>, String> {
        let axes = offset.iter().zip(chunk).zip(self.shape);
        let start = axes.map(|((&offset, chunk), &size)| {
            usize::try_from(offset).ok().filter(|start| start % chunk == 0 && *start < size)
        });
        start.collect::<Option<_>>().ok_or_else(|| "a chunk that is in no place".into())
    }

    /// The values of a chunk, from which the filters are taken away, the last first. `mask` has a bit for each that was left
    /// out.
    fn unpacked(&self, stored: &[u8], mask: u32, expected: usize) -> Result<Vec<u8>, String> {
        let mut bytes = stored.to_vec();
        for (number, filter) in self.filters.iter().enumerate().rev() {
            if mask.checked_shr(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1 {
                continue;
            }
            bytes = match filter {
                Filter::Deflate => inflated(&bytes, expected)?,
                Filter::Shuffle => unshuffled(&bytes, self.size),
                Filter::Fletcher32 => checked(bytes)?,
            };
        }
        if bytes.len() == expected {
            Ok(bytes)
        } else {
            Err(format!("a chunk of {} bytes in place of {expected}", bytes.len()))
        }
    }

    /// Puts the values of a chunk to their places; those beyond the end of an axis only fill the chunk.
    fn place(&self, values: &[u8], start: &[usize], chunk: &[usize], all: &mut [u8]) {
        let Some(last) = chunk.len().checked_sub(1) else { return all.copy_from_slice(values) };
        let run = chunk[last].min(self.shape[last] - start[last]) * self.size;
        let mut within = vec![0; last];
        for row in values.chunks_exact(chunk[last] * self.size) {
            let axes = || within.iter().zip(start).zip(self.shape);
            if axes().all(|((at, start), size)| start + at < *size) {
                let to = axes().fold(0, |to, ((at, start), size)| to * size + start + at);
                let to = (to * self.shape[last] + start[last]) * self.size;
                all[to..to + run].copy_from_slice(&row[..run]);
            }
            for axis in (0..last).rev() {
                within[axis] += 1;
                if within[axis] < chunk[axis] {
                    break;
                }
                within[axis] = 0;
            }
        }
    }
}

/// No more than a chunk holds, and a sum behind it.
fn inflated(packed: &[u8], expected: usize) -> Result<Vec<u8>, String> {
    let (mut bytes, most) = (Vec::new(), expected as u64 + 4);
    let read = ZlibDecoder::new(packed).take(most + 1).read_to_end(&mut bytes);
    read.map_err(|problem| format!("a chunk that cannot be unpacked: {problem}"))?;
    if bytes.len() as u64 > most { Err("a chunk of more values than its shape has".into()) } else { Ok(bytes) }
}

fn unshuffled(shuffled: &[u8], size: usize) -> Vec<u8> {
    let count = shuffled.len() / size;
    let mut bytes = shuffled.to_vec();
    for (value, bytes) in bytes.chunks_exact_mut(size).enumerate() {
        bytes.iter_mut().enumerate().for_each(|(byte, to)| *to = shuffled[byte * count + value]);
    }
    bytes
}

/// Without the sum at the end, which must be right.
fn checked(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let before = bytes.len().checked_sub(4).ok_or("a chunk without its sum")?;
    let sum = Bytes::new(&bytes[before..]).u32()?;
    bytes.truncate(before);
    if sum == fletcher32(&bytes) { Ok(bytes) } else { Err("a chunk whose sum is wrong".into()) }
}

/// Fletcher's checksum over words of two bytes, the higher first: both sums modulo 65,535, which 0 and 65,535 both stand for.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut plain, mut weighted) = (0u32, 0u32);
    // As many words as the sums have room for.
    for words in bytes.chunks(720) {
        for word in words.chunks(2) {
            plain += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            weighted += plain;
        }
        (plain, weighted) = (fold(plain), fold(weighted));
    }
    fold(weighted) << 16 | fold(plain)
}
