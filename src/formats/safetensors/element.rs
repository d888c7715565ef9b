//! The number types of a safetensors file.

use std::fmt;
use std::io::{self, Read, Write};

use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use num_traits::Float;

use crate::formats::{Bf16, F16};

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
#[non_exhaustive]
pub enum Dtype {
    /// True or false, a byte each.
    BOOL,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 16 bits.
    U16,
    /// Floating point, 16 bits.
    F16,
    /// Floating point, 16 bits: the upper half of 32.
    BF16,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
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

/// A type whose values a safetensors file can hold: `bool`, the integers of 8 to 64 bits, [`F16`], [`Bf16`], `f32`, `f64`. Sealed.
pub trait Element: Copy + 'static + sealed::Sealed {
    /// Its name in a file.
    const DTYPE: Dtype;

    /// Values of this type as those of some type.
    fn wrap(values: Vec<Self>) -> TensorData;

    /// The values, if they are of this type.
    fn slice_of(data: &TensorData) -> Option<&[Self]>;
}

macro_rules! elements {
    ($($name:ident: $t:ty = $to:expr, $from:expr, $number:expr);* $(;)?) => {
        /// How many types there are.
        const TYPES: usize = [$(Dtype::$name),*].len();

        /// Values of one of the types, row-major.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum TensorData {
            $(#[doc = concat!("Values of `", stringify!($t), "`.")] $name(Vec<$t>)),*
        }

        impl Dtype {
            /// All of them.
            pub const ALL: [Self; TYPES] = [$(Self::$name),*];

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

            /// The values as floating point numbers, the nearest ones: true is 1, false 0.
            pub(super) fn floats<T: Float>(&self) -> Vec<T> {
                match self {
                    $(Self::$name(values) => {
                        let number = $number;
                        values.iter().map(|&value: &$t| T::from(number(value)).expect("a float for every number")).collect()
                    })*
                }
            }

            /// Values in the column-major order of `shape`, whose number they have, in row-major order.
            pub(in crate::formats) fn into_row_major(self, shape: &[usize]) -> Self {
                match self { $(Self::$name(values) => Self::$name(row_major(values, shape))),* }
            }

            pub(in crate::formats) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
                match self { $(Self::$name(values) => write_values(values, $to, out)),* }
            }

            pub(super) fn read_from(input: &mut impl Read, dtype: Dtype, count: usize) -> io::Result<Self> {
                Ok(match dtype { $(Dtype::$name => Self::$name(read_values(count, $from, input)?)),* })
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

elements! {
    BOOL: bool = |truth| [u8::from(truth)], |[byte]: [u8; 1]| byte != 0, u8::from;
    U8: u8 = u8::to_le_bytes, u8::from_le_bytes, |number| number;
    I8: i8 = i8::to_le_bytes, i8::from_le_bytes, |number| number;
    I16: i16 = i16::to_le_bytes, i16::from_le_bytes, |number| number;
    U16: u16 = u16::to_le_bytes, u16::from_le_bytes, |number| number;
    F16: F16 = F16::to_le_bytes, F16::from_le_bytes, F16::to_f32;
    BF16: Bf16 = Bf16::to_le_bytes, Bf16::from_le_bytes, Bf16::to_f32;
    I32: i32 = i32::to_le_bytes, i32::from_le_bytes, |number| number;
    U32: u32 = u32::to_le_bytes, u32::from_le_bytes, |number| number;
    F32: f32 = f32::to_le_bytes, f32::from_le_bytes, |number| number;
    F64: f64 = f64::to_le_bytes, f64::from_le_bytes, |number| number;
    I64: i64 = i64::to_le_bytes, i64::from_le_bytes, |number| number;
    U64: u64 = u64::to_le_bytes, u64::from_le_bytes, |number| number;
}

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

    /// Values from their bytes, of each the highest first or last.
    pub(crate) fn from_bytes(bytes: &[u8], dtype: Dtype, big_endian: bool) -> Self {
        let count = bytes.len() / dtype.size();
        let turned: Vec<u8>;
        let mut bytes = bytes;
        if big_endian && dtype.size() > 1 {
            turned = bytes.chunks_exact(dtype.size()).flat_map(|value| value.iter().rev().copied()).collect();
            bytes = &turned;
        }
        Self::read_from(&mut bytes, dtype, count).expect("as many bytes as the values take")
    }

    /// The bytes of the values, of each the highest first.
    #[cfg(feature = "datasets")]
    pub(crate) fn to_big_endian(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.byte_len());
        // Writing to a vector cannot fail.
        self.write_to(&mut bytes).expect("room for the values");
        bytes.chunks_exact_mut(self.dtype().size()).for_each(<[u8]>::reverse);
        bytes
    }

    pub(super) fn byte_len(&self) -> usize {
        self.len() * self.dtype().size()
    }
}

fn row_major<T: Copy>(values: Vec<T>, shape: &[usize]) -> Vec<T> {
    let array = ArrayD::from_shape_vec(IxDyn(shape).f(), values).expect("as many values as the shape says");
    array.iter().copied().collect()
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
