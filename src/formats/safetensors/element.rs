//! The number types of a safetensors file.

use std::fmt;
use std::io::{self, Read, Write};

/// Bytes converted at once.
const CHUNK: usize = 1 << 16;

mod sealed {
    pub trait Sealed {}
}

/// The number types that gradus reads and writes, in the order in which files hold them, the last first.
///
/// # Example
/// ```
/// use gradus::formats::safetensors::Dtype;
/// assert_eq!((Dtype::F32.name(), Dtype::F32.size()), ("F32", 4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 32 bits.
    I32,
    /// Floating point, 32 bits.
    F32,
    /// Floating point, 64 bits.
    F64,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 64 bits.
    U64,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type whose values a safetensors file can hold: `u8`, `i32`, `f32`, `f64`, `i64`, `u64`. Sealed.
pub trait Element: Copy + 'static + sealed::Sealed {
    /// Its name in a file.
    const DTYPE: Dtype;

    /// Values of this type as those of some type.
    fn wrap(values: Vec<Self>) -> TensorData;

    /// The values, if they are of this type.
    fn slice_of(data: &TensorData) -> Option<&[Self]>;
}

macro_rules! elements {
    ($($name:ident: $t:ty),*) => {
        /// Values of one of the types, row-major.
        #[derive(Clone, Debug, PartialEq)]
        pub enum TensorData {
            $(#[doc = concat!("Values of `", stringify!($t), "`.")] $name(Vec<$t>)),*
        }

        impl Dtype {
            /// All of them.
            pub const ALL: [Self; 6] = [$(Self::$name),*];

            /// The name in a file: `F32`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// The bytes of one value.
            pub fn size(self) -> usize {
                match self { $(Self::$name => size_of::<$t>()),* }
            }
        }

        impl TensorData {
            /// The type of the values.
            pub fn dtype(&self) -> Dtype {
                match self { $(Self::$name(_) => Dtype::$name),* }
            }

            /// The number of values.
            pub fn len(&self) -> usize {
                match self { $(Self::$name(values) => values.len()),* }
            }

            pub(super) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
                match self { $(Self::$name(values) => write_values(values, <$t>::to_le_bytes, out)),* }
            }

            pub(super) fn read_from(input: &mut impl Read, dtype: Dtype, count: usize) -> io::Result<Self> {
                Ok(match dtype { $(Dtype::$name => Self::$name(read_values(count, <$t>::from_le_bytes, input)?)),* })
            }
        }

        $(
            impl sealed::Sealed for $t {}

            impl Element for $t {
                const DTYPE: Dtype = Dtype::$name;

                fn wrap(values: Vec<Self>) -> TensorData {
                    TensorData::$name(values)
                }

                fn slice_of(data: &TensorData) -> Option<&[Self]> {
                    if let TensorData::$name(values) = data { Some(values) } else { None }
                }
            }
        )*
    };
}

elements!(U8: u8, I32: i32, F32: f32, F64: f64, I64: i64, U64: u64);

impl Dtype {
    /// The type of this name in a file.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

impl TensorData {
    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn byte_len(&self) -> usize {
        self.len() * self.dtype().size()
    }
}

fn write_values<T: Copy, const N: usize>(
    values: &[T],
    bytes: fn(T) -> [u8; N],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK.min(values.len() * N)];
    for values in values.chunks(CHUNK / N) {
        let buffer = &mut buffer[..values.len() * N];
        for (place, &value) in buffer.as_chunks_mut().0.iter_mut().zip(values) {
            *place = bytes(value);
        }
        out.write_all(buffer)?;
    }
    Ok(())
}

fn read_values<T, const N: usize>(count: usize, value: fn([u8; N]) -> T, input: &mut impl Read) -> io::Result<Vec<T>> {
    let mut values = Vec::with_capacity(count);
    let mut buffer = vec![0; CHUNK.min(count * N)];
    while values.len() < count {
        let buffer = &mut buffer[..((count - values.len()) * N).min(CHUNK / N * N)];
        input.read_exact(buffer)?;
        values.extend(buffer.as_chunks().0.iter().map(|&bytes| value(bytes)));
    }
    Ok(values)
}
