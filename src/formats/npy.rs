//! `.npy` and `.npz`, the files of numpy: one array, and several by name.
//!
//! ```text
//! 93 "NUMPY" | version | length of the header (little-endian) | {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } | values
//! ```
//!
//! Booleans, whole numbers and floating point numbers of every size are read, in either order of bytes and of axes. Texts, dates,
//! complex numbers and structures are refused with their name, and so are Python objects: reading those would run what the file says.
//! An `.npz` is a zip archive of `.npy` files (feature `npz`).
//!
//! Source: the format's description in `numpy.lib.format`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use super::safetensors::{Dtype, Tensor, TensorData};
use super::write_atomically;
use crate::memory;
use crate::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longer headers are refused: that of an array has some hundred bytes.
const MAX_HEADER: usize = 1 << 20;
/// Values begin at a multiple of this.
const ALIGNED: usize = 64;

/// Reads a `.npy` file.
///
/// ```
/// use gradus::formats::npy;
/// use gradus::formats::safetensors::Tensor;
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("gradus-doc-{}.npy", std::process::id()));
/// npy::write(&path, &Tensor::from_array(&array![[1i16, 2], [3, 4]]))?;
/// let tensor = npy::read(&path)?;
/// assert_eq!(tensor.view::<i16>().map(|values| values[[1, 0]]), Some(3));
/// assert_eq!(tensor.to_array::<f32>(), array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is no `.npy` file, cut short, or holds what is not read.
pub fn read(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    parsed(&bytes).map_err(|problem| Error::file(path, problem))
}

/// Reads the bytes of a `.npy` file. What follows the array is passed over, as numpy does.
///
/// # Errors
/// As [`read`]; the path of the error is `(bytes)`.
pub fn from_bytes(bytes: &[u8]) -> Result<Tensor> {
    parsed(bytes).map_err(|problem| Error::file("(bytes)", problem))
}

/// Writes a `.npy` file, whole or not at all.
///
/// # Errors
/// [`Error::Io`] if it cannot be written; [`Error::Data`] for [`Bf16`](super::Bf16), which numpy does not have.
pub fn write(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    let header = header(tensor)?;
    write_atomically(path.as_ref(), |out| {
        out.write_all(&header)?;
        tensor.data().write_to(out)
    })
}

/// The bytes of the file that [`write()`] writes.
///
/// # Errors
/// [`Error::Data`] as for [`write()`].
pub fn to_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let mut bytes = header(tensor)?;
    // Writing to a vector cannot fail.
    tensor.data().write_to(&mut bytes).map_err(|source| Error::Io { path: "(bytes)".into(), source })?;
    Ok(bytes)
}

/// Arrays by name, as [`read_npz`] and [`write_npz`] take them.
pub type Arrays = BTreeMap<String, Tensor>;

#[cfg(feature = "npz")]
pub use npz::{npz_from_bytes, npz_to_bytes, read_npz, write_npz};

/// What a header says of the values.
#[derive(Debug, PartialEq)]
struct Header {
    dtype: Dtype,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
}

fn parsed(bytes: &[u8]) -> Result<Tensor, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err("not a .npy file: it does not begin with \\x93NUMPY".into());
    };
    let short = || "cut short in its header".to_owned();
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (len, rest) = match major {
        1 => rest.split_first_chunk().map(|(&len, rest)| (usize::from(u16::from_le_bytes(len)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(&len, rest)| (u32::from_le_bytes(len) as usize, rest)),
        _ => return Err(format!("a .npy file of version {major}; versions 1 to 3 are read")),
    }
    .ok_or_else(short)?;
    if len > MAX_HEADER {
        return Err(format!("a header of {len} bytes, more than {MAX_HEADER}"));
    }
    let (text, values) = rest.split_at_checked(len).ok_or_else(short)?;
    let text = std::str::from_utf8(text).map_err(|_| "its header is no text in UTF-8")?;
    let header = Header::parse(text).map_err(|problem| format!("its header: {problem}"))?;
    header.tensor(values)
}

impl Header {
    /// Reads the Python dictionary of a header.
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words { rest: text.trim() };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        words.take('{')?;
        while !words.takes('}') {
            let key = words.text()?;
            words.take(':')?;
            match key {
                "descr" if words.rest.starts_with('[') => {
                    return Err("its values are structures, which are not read".into());
                }
                "descr" => descr = Some(words.text()?),
                "fortran_order" => fortran_order = Some(words.truth()?),
                "shape" => shape = Some(words.sizes()?),
                other => return Err(format!("an unknown key `{other}`")),
            }
            if !words.takes(',') && !words.rest.starts_with('}') {
                return Err(format!("expected `,` or `}}` before `{}`", words.head()));
            }
        }
        let missing = |key: &str| format!("it has no `{key}`");
        let (dtype, big_endian) = type_of(descr.ok_or_else(|| missing("descr"))?)?;
        let fortran_order = fortran_order.ok_or_else(|| missing("fortran_order"))?;
        Ok(Self { dtype, big_endian, fortran_order, shape: shape.ok_or_else(|| missing("shape"))? })
    }

    /// The values behind the header, row-major and in this machine's order of bytes.
    fn tensor(self, bytes: &[u8]) -> Result<Tensor, String> {
        let Self { dtype, big_endian, fortran_order, shape } = self;
        let shown = crate::error::show(&shape);
        let count = memory::product(&shape).ok_or_else(|| format!("its shape {shown} is too large"))?;
        let needed = count.checked_mul(dtype.size());
        let Some(values) = needed.and_then(|needed| bytes.get(..needed)) else {
            return Err(format!(
                "cut short: {dtype} values {shown} take more than the {} bytes there are",
                bytes.len()
            ));
        };
        let data = TensorData::from_bytes(values, dtype, big_endian);
        let data = if fortran_order && shape.len() > 1 { data.into_row_major(&shape) } else { data };
        Tensor::from_data(&shape, data).map_err(|problem| problem.to_string())
    }
}

/// The type of a `descr` such as `<f4`, and whether the first byte of a value is the highest.
fn type_of(descr: &str) -> Result<(Dtype, bool), String> {
    let (order, kind) = match descr.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, &descr[1..]),
        _ => ('=', descr),
    };
    let dtype = match kind {
        "b1" | "?" => Dtype::BOOL,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => {
            let what = match kind.chars().next() {
                Some('O') => "Python objects, which could run anything",
                Some('U' | 'S' | 'a') => "texts",
                Some('c') => "complex numbers",
                Some('M' | 'm') => "dates or times",
                Some('f') => "floating point numbers of a size that only some machines have",
                Some('V') => "structures",
                _ => "values of an unknown type",
            };
            return Err(format!("`descr` is `{descr}`: {what}, which are not read"));
        }
    };
    let native_is_big = cfg!(target_endian = "big");
    Ok((dtype, order == '>' || (order == '=' && native_is_big)))
}

/// What is left of a header.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Passes over a sign and the spaces behind it, if it comes next.
    fn takes(&mut self, sign: char) -> bool {
        let found = self.rest.strip_prefix(sign);
        self.rest = found.map_or(self.rest, str::trim_start);
        found.is_some()
    }

    fn take(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("expected `{sign}` before `{}`", self.head())) }
    }

    /// A text in quotes, without escapes.
    fn text(&mut self) -> Result<&'a str, String> {
        let problem = format!("expected a text in quotes before `{}`", self.head());
        let quote = self.rest.chars().next().filter(|quote| ['\'', '"'].contains(quote)).ok_or(&*problem)?;
        let (text, rest) = self.rest[1..].split_once(quote).ok_or(problem)?;
        self.rest = rest.trim_start();
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, String> {
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest.trim_start();
                return Ok(truth);
            }
        }
        Err(format!("expected True or False before `{}`", self.head()))
    }

    /// A tuple of sizes. Old files of Python 2 have an `L` behind each.
    fn sizes(&mut self) -> Result<Vec<usize>, String> {
        self.take('(')?;
        let mut sizes = Vec::new();
        while !self.takes(')') {
            let end = self.rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            let size = digits.parse().map_err(|_| format!("expected a size before `{}`", self.head()))?;
            sizes.push(size);
            self.rest = rest.strip_prefix('L').unwrap_or(rest).trim_start();
            if !self.takes(',') && !self.rest.starts_with(')') {
                return Err(format!("expected `,` or `)` before `{}`", self.head()));
            }
        }
        Ok(sizes)
    }

    /// As much as a message shows.
    fn head(&self) -> String {
        self.rest.chars().take(20).collect()
    }
}

/// All in front of a tensor's values.
fn header(tensor: &Tensor) -> Result<Vec<u8>> {
    let descr = match tensor.dtype() {
        Dtype::BOOL => "|b1",
        Dtype::I8 => "|i1",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::U8 => "|u1",
        Dtype::U16 => "<u2",
        Dtype::U32 => "<u4",
        Dtype::U64 => "<u8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
        Dtype::BF16 => return Err(Error::data("npy", "a type that numpy has", "BF16 values")),
    };
    let shape = match tensor.shape() {
        [size] => format!("({size},)"),
        sizes => format!("({})", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let of_version = |major: u8, size: usize| {
        let before = MAGIC.len() + 2 + size;
        let len = (before + text.len() + 1).next_multiple_of(ALIGNED) - before;
        let mut header = [&MAGIC[..], &[major, 0]].concat();
        header.extend_from_slice(&(len as u64).to_le_bytes()[..size]);
        header.extend_from_slice(text.as_bytes());
        header.resize(before + len - 1, b' ');
        header.push(b'\n');
        header
    };
    Ok(if text.len() + ALIGNED < usize::from(u16::MAX) { of_version(1, 2) } else { of_version(2, 4) })
}

#[cfg(feature = "npz")]
mod npz {
    use std::fs::File;
    use std::io::{BufReader, Cursor, Read, Seek, Write};
    use std::path::Path;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipArchive, ZipWriter};

    use super::{Arrays, parsed, to_bytes};
    use crate::formats::write_atomically;
    use crate::memory;
    use crate::{Error, Result};

    /// Deflate makes of one byte 1,032 at the very most.
    const MAX_EXPANSION: u64 = 1032;

    /// Reads all arrays of an `.npz` file.
    ///
    /// ```
    /// use gradus::formats::npy::{Arrays, read_npz, write_npz};
    /// use gradus::formats::safetensors::Tensor;
    /// use ndarray::array;
    ///
    /// let path = std::env::temp_dir().join(format!("gradus-doc-{}.npz", std::process::id()));
    /// let arrays = Arrays::from([("x".into(), Tensor::from_array(&array![1.0f32, 2.0]))]);
    /// write_npz(&path, &arrays, true)?;
    /// assert_eq!(read_npz(&path)?, arrays);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is no zip archive, damaged, or an array in it is what
    /// [`read`](super::read) refuses.
    pub fn read_npz(path: impl AsRef<Path>) -> Result<Arrays> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        all(BufReader::new(file)).map_err(|problem| Error::file(path, problem))
    }

    /// Reads the bytes of an `.npz` file.
    ///
    /// # Errors
    /// As [`read_npz`]; the path of the error is `(bytes)`.
    pub fn npz_from_bytes(bytes: &[u8]) -> Result<Arrays> {
        all(Cursor::new(bytes)).map_err(|problem| Error::file("(bytes)", problem))
    }

    fn all(file: impl Read + Seek) -> Result<Arrays, String> {
        let mut archive = ZipArchive::new(file).map_err(|problem| format!("not an .npz file: {problem}"))?;
        let (mut arrays, mut taken) = (Arrays::new(), 0u128);
        for number in 0..archive.len() {
            let entry = archive.by_index(number).map_err(|problem| format!("its entry {number}: {problem}"))?;
            let file = entry.name().map_err(|problem| format!("its entry {number}: {problem}"))?.into_owned();
            let Some(name) = file.strip_suffix(".npy") else { continue };
            let within = |problem: String| format!("the array `{name}`: {problem}");
            let (size, packed) = (entry.size(), entry.compressed_size());
            // Entries may lie over one another: what all take together counts.
            taken = taken.saturating_add(size.into());
            if size > packed.saturating_mul(MAX_EXPANSION).saturating_add(MAX_EXPANSION) || !memory::is_there(taken) {
                return Err(within(format!(
                    "it would take {size} bytes, which {packed} cannot hold, or memory has not"
                )));
            }
            let mut bytes = Vec::new();
            entry.take(size).read_to_end(&mut bytes).map_err(|problem| within(problem.to_string()))?;
            let tensor = parsed(&bytes).map_err(within)?;
            if arrays.insert(name.to_owned(), tensor).is_some() {
                return Err(within("it stands twice in the file".into()));
            }
        }
        Ok(arrays)
    }

    /// Writes arrays by name, whole or not at all: packed as `numpy.savez_compressed` does, or as they are, as `numpy.savez`.
    ///
    /// # Errors
    /// As [`write()`](super::write).
    pub fn write_npz(path: impl AsRef<Path>, arrays: &Arrays, packed: bool) -> Result<()> {
        let bytes = npz_to_bytes(arrays, packed)?;
        write_atomically(path.as_ref(), |out| out.write_all(&bytes))
    }

    /// The bytes of the file that [`write_npz`] writes. One content has one sequence of bytes.
    ///
    /// # Errors
    /// As [`to_bytes`].
    pub fn npz_to_bytes(arrays: &Arrays, packed: bool) -> Result<Vec<u8>> {
        let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, tensor) in arrays {
            let bytes = to_bytes(tensor)?;
            let large = u32::try_from(bytes.len()).is_err();
            let options = SimpleFileOptions::DEFAULT.compression_method(method).large_file(large);
            let started = archive.start_file(format!("{name}.npy"), options);
            let written = started.map_err(Into::into).and_then(|()| archive.write_all(&bytes));
            written.map_err(|source| Error::Io { path: "(bytes)".into(), source })?;
        }
        let written =
            archive.finish().map_err(|problem| Error::Io { path: "(bytes)".into(), source: problem.into() })?;
        Ok(written.into_inner())
    }
}
