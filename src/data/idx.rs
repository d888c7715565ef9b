//! IDX, the file format of MNIST: arrays of any rank, mostly of bytes, as they are or packed with gzip.
//!
//! ```text
//! 0 0 | type (8: unsigned byte) | rank | rank × size (big-endian u32) | the values, row-major and big-endian
//! ```
//!
//! A file is packed if it begins with gzip's two bytes 1f 8b, whatever its name is. Nothing in a header is believed:
//! sizes are held against the length of the file before memory is asked for.
//!
//! Source: the description on the page of the MNIST database (yann.lecun.com/exdb/mnist).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use ndarray::{Array1, Array3, ArrayD, ArrayRef, Dimension, IxDyn};
use sha2::{Digest, Sha256};

use crate::formats::safetensors::{Dtype, Tensor, TensorData};
use crate::formats::write_atomically;
use crate::{Error, Result};

/// The SHA-256 of a file's unpacked bytes.
pub(crate) type Sum = [u8; 32];

/// The types by their numbers.
const TYPES: [(u8, Dtype, &str); 6] = [
    (0x08, Dtype::U8, "unsigned bytes"),
    (0x09, Dtype::I8, "signed bytes"),
    (0x0b, Dtype::I16, "16-bit integers"),
    (0x0c, Dtype::I32, "32-bit integers"),
    (0x0d, Dtype::F32, "32-bit floats"),
    (0x0e, Dtype::F64, "64-bit floats"),
];
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Deflate makes of one byte 1,032 at the very most.
const MAX_EXPANSION: u64 = 1032;
/// What is reserved at once; a larger array grows as its bytes arrive. The largest file of MNIST has 47 MB.
const RESERVED: u64 = 64 << 20;

/// Reads an IDX file of bytes, of any rank.
///
/// The array has the shape that the header gives, row-major.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is not IDX, holds another type than bytes, is cut
/// short, goes on after its last value, or is damaged gzip.
///
/// # Example
/// ```
/// use gradus::data::idx;
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("gradus-doc-{}.idx.gz", std::process::id()));
/// idx::write(&path, &array![[1u8, 2, 3], [4, 5, 6]])?;
/// assert_eq!(idx::read(&path)?, array![[1u8, 2, 3], [4, 5, 6]].into_dyn());
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<ArrayD<u8>> {
    let path = path.as_ref();
    open(path)?.read_array().map_err(|e| e.at(path))
}

/// Reads an IDX file of any type: bytes, integers of 16 and 32 bits, floating point numbers.
///
/// ```
/// use gradus::data::idx;
/// use gradus::formats::safetensors::Tensor;
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("gradus-doc-ints-{}.idx", std::process::id()));
/// idx::write_tensor(&path, &Tensor::from_array(&array![[-5i32, 7]]))?;
/// assert_eq!(idx::read_tensor(&path)?.to_array::<f32>(), array![[-5.0, 7.0]].into_dyn());
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// As [`read`], of any type.
pub fn read_tensor(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    open(path)?.read_tensor().map_err(|e| e.at(path))
}

/// Reads an IDX file of grey images: (n, height, width).
///
/// # Errors
/// As [`read`], and if the file's rank is not 3.
///
/// # Example
/// ```
/// # use gradus::data::idx;
/// # let path = std::env::temp_dir().join(format!("gradus-doc-images-{}.idx", std::process::id()));
/// # idx::write(&path, &ndarray::Array3::<u8>::zeros([5, 28, 28]))?;
/// let images = idx::read_images(&path)?;
/// assert_eq!(images.dim(), (5, 28, 28));
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn read_images(path: impl AsRef<Path>) -> Result<Array3<u8>> {
    let path = path.as_ref();
    of_rank(path, read(path)?, "images (n, height, width)")
}

/// Reads an IDX file of labels: (n).
///
/// # Errors
/// As [`read`], and if the file's rank is not 1.
///
/// # Example
/// ```
/// # use gradus::data::idx;
/// # let path = std::env::temp_dir().join(format!("gradus-doc-labels-{}.idx", std::process::id()));
/// # idx::write(&path, &ndarray::array![7u8, 2])?;
/// assert_eq!(idx::read_labels(&path)?, ndarray::array![7, 2]);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn read_labels(path: impl AsRef<Path>) -> Result<Array1<u8>> {
    let path = path.as_ref();
    of_rank(path, read(path)?, "labels (n)")
}

/// Writes an array of bytes as IDX, packed with gzip if the name ends in `.gz`.
///
/// The file is written aside and renamed: an interrupted call leaves what was there before.
///
/// # Errors
/// [`Error::Shape`] for more than 255 axes or an axis of 2³² or more; [`Error::Io`] if the file cannot be written.
///
/// # Example
/// See [`read`].
pub fn write<D: Dimension>(path: impl AsRef<Path>, array: &ArrayRef<u8, D>) -> Result<()> {
    write_tensor(path, &Tensor::from_array(array))
}

/// The same for values of any type that IDX has.
///
/// # Errors
/// As [`write()`]; [`Error::Data`] for a type that IDX does not have.
///
/// # Example
/// See [`read_tensor`].
pub fn write_tensor(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    let refuse = || Error::shape("at most 255 axes, each shorter than 2^32", tensor.shape());
    let known = TYPES.iter().find(|(_, dtype, _)| *dtype == tensor.dtype());
    let (kind, ..) = known.ok_or_else(|| {
        let names = TYPES.map(|(_, dtype, _)| dtype.name()).join(", ");
        Error::data("idx::write_tensor", format!("a type among {names}"), tensor.dtype().name())
    })?;
    let mut header = vec![0, 0, *kind, u8::try_from(tensor.shape().len()).map_err(|_| refuse())?];
    for &size in tensor.shape() {
        header.extend(u32::try_from(size).map_err(|_| refuse())?.to_be_bytes());
    }
    let bytes = tensor.data().to_big_endian();
    let path = path.as_ref();
    let packed = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    write_atomically(path, |out| {
        if packed {
            let mut out = GzEncoder::new(out, Compression::default());
            out.write_all(&header)?;
            out.write_all(&bytes)?;
            out.finish().map(|_| ())
        } else {
            out.write_all(&header)?;
            out.write_all(&bytes)
        }
    })
}

/// [`read`], and the SHA-256 of the unpacked file.
pub(crate) fn read_with_sum(path: &Path) -> Result<(ArrayD<u8>, Sum)> {
    let mut source = open(path)?.summed();
    let array = source.read_array().map_err(|e| e.at(path))?;
    Ok((array, source.reader.sum.finalize().into()))
}

/// What [`read_with_sum`] gives, from the bytes of a file in memory.
#[cfg(feature = "download")]
pub(crate) fn parse_with_sum(file: &[u8]) -> std::result::Result<(ArrayD<u8>, Sum), String> {
    let mut source = Source::new(file, file.len() as u64).map(Source::summed).map_err(|e| e.to_string())?;
    let array = source.read_array().map_err(Refused::problem)?;
    Ok((array, source.reader.sum.finalize().into()))
}

/// Turns an array read from `path` into one of a fixed rank.
pub(crate) fn of_rank<D: Dimension>(path: &Path, array: ArrayD<u8>, what: &str) -> Result<ndarray::Array<u8, D>> {
    let shape = array.shape().to_vec();
    array.into_dimensionality().map_err(|_| {
        Error::file(path, format!("expected {what}, the file holds an array {}", crate::error::show(&shape)))
    })
}

/// The unpacked bytes of any file, packed with gzip or not.
pub(crate) fn unpacked(path: &Path) -> Result<Box<dyn Read>> {
    open(path).map(|source| source.reader)
}

/// Why the bytes of `path` could not be read: the file's fault or the system's.
pub(crate) fn refused(path: &Path, problem: io::Error) -> Error {
    Refused::from(problem).at(path)
}

fn open(path: &Path) -> Result<Source<Box<dyn Read>>> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    Source::new(BufReader::with_capacity(1 << 16, file), length).map_err(io)
}

/// The unpacked bytes of a file.
struct Source<R> {
    reader: R,
    /// How many unpacked bytes there are, exactly or, for a packed file, at most.
    length: u64,
    packed: bool,
}

impl<'a> Source<Box<dyn Read + 'a>> {
    fn new(mut file: impl BufRead + 'a, length: u64) -> io::Result<Self> {
        let packed = file.fill_buf()?.starts_with(&GZIP);
        Ok(if packed {
            let length = length.saturating_mul(MAX_EXPANSION);
            Self { reader: Box::new(MultiGzDecoder::new(file)), length, packed }
        } else {
            Self { reader: Box::new(file), length, packed }
        })
    }
}

impl<R: Read> Source<R> {
    fn summed(self) -> Source<Summed<R>> {
        let reader = Summed { inner: self.reader, sum: Sha256::new() };
        Source { reader, length: self.length, packed: self.packed }
    }

    fn read_array(&mut self) -> std::result::Result<ArrayD<u8>, Refused> {
        let (dtype, shape) = self.header()?;
        if dtype != Dtype::U8 {
            let name = TYPES.iter().find(|(_, known, _)| *known == dtype).map_or("", |(.., name)| name);
            return Err(Refused::Content(format!(
                "expected an IDX file of unsigned bytes, it holds {name}; `idx::read_tensor` reads those"
            )));
        }
        let bytes = self.values(dtype, &shape)?;
        ArrayD::from_shape_vec(IxDyn(&shape), bytes).map_err(|problem| Refused::Content(problem.to_string()))
    }

    fn read_tensor(&mut self) -> std::result::Result<Tensor, Refused> {
        let (dtype, shape) = self.header()?;
        let bytes = self.values(dtype, &shape)?;
        let data = TensorData::from_bytes(&bytes, dtype, true);
        Tensor::from_data(&shape, data).map_err(|problem| Refused::Content(problem.to_string()))
    }

    /// The type of the values and the shape.
    fn header(&mut self) -> std::result::Result<(Dtype, Vec<usize>), Refused> {
        let mut magic = [0; 4];
        self.fill(&mut magic, "its first four bytes")?;
        let [zero, also_zero, kind, rank] = magic;
        if [zero, also_zero] != [0, 0] {
            return Err(Refused::Content(format!(
                "not an IDX file: it begins with {magic:02x?} instead of [00, 00, …]"
            )));
        }
        let Some((_, dtype, _)) = TYPES.iter().find(|(known, ..)| *known == kind) else {
            return Err(Refused::Content(format!("it holds values of an unknown type (0x{kind:02x})")));
        };
        let mut sizes = vec![[0; 4]; usize::from(rank)];
        self.fill(sizes.as_flattened_mut(), "the sizes of its axes")?;
        let shape = sizes.into_iter().map(|s| u32::from_be_bytes(s) as usize).collect();
        Ok((*dtype, shape))
    }

    /// The bytes of the values behind the header.
    fn values(&mut self, dtype: Dtype, shape: &[usize]) -> std::result::Result<Vec<u8>, Refused> {
        let size = dtype.size() as u64;
        let count = shape.iter().try_fold(size, |n, &size| n.checked_mul(size as u64));
        let there = self.length.saturating_sub(4 + 4 * shape.len() as u64);
        let claim = || format!("its header claims an array {}", crate::error::show(shape));
        let Some(count) = count.filter(|&n| if self.packed { n <= there } else { n == there }) else {
            let most = if self.packed { "at most " } else { "" };
            return Err(Refused::Content(format!("{}, the file holds {most}{} values", claim(), there / size)));
        };
        let mut bytes = Vec::with_capacity(usize::try_from(count.min(RESERVED)).unwrap_or(0));
        let read = (&mut self.reader).take(count).read_to_end(&mut bytes)? as u64;
        if read < count {
            return Err(Refused::Content(format!("cut short: {}, the file holds {} values", claim(), read / size)));
        }
        // This also has gzip compare its own checksum.
        if self.reader.read(&mut [0])? != 0 {
            return Err(Refused::Content(format!("{}, but the file goes on after it", claim())));
        }
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> std::result::Result<(), Refused> {
        self.reader.read_exact(bytes).map_err(|e| match Refused::from(e) {
            Refused::Content(problem) => Refused::Content(format!("cut short before {what} ({problem})")),
            system @ Refused::System(_) => system,
        })
    }
}

/// Passes bytes on and sums them up.
struct Summed<R> {
    inner: R,
    sum: Sha256,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(bytes)?;
        self.sum.update(&bytes[..n]);
        Ok(n)
    }
}

/// Why reading ended early: the file's fault or the system's.
enum Refused {
    Content(String),
    System(io::Error),
}

impl Refused {
    fn at(self, path: &Path) -> Error {
        match self {
            Self::Content(problem) => Error::file(path, problem),
            Self::System(source) => Error::Io { path: path.to_path_buf(), source },
        }
    }

    #[cfg(feature = "download")]
    fn problem(self) -> String {
        match self {
            Self::Content(problem) => problem,
            Self::System(source) => source.to_string(),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(e: io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match e.kind() {
            InvalidData | InvalidInput | UnexpectedEof => Self::Content(e.to_string()),
            _ => Self::System(e),
        }
    }
}
