//! The two number types that gradus computes with.

use std::borrow::Cow;
use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;

use num_traits::{Float, FromPrimitive, NumAssign};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type that networks compute with: `f32` to train, `f64` to check gradients.
///
/// The trait is sealed. Kernels are compiled for both types inside gradus, so that a program's own debug build runs
/// them at full speed.
pub trait Scalar:
    Float
    + FromPrimitive
    + NumAssign
    + Sum
    + Debug
    + Display
    + LowerExp
    + Default
    + Send
    + Sync
    + crate::formats::safetensors::Element
    + Element<Self>
    + sealed::Sealed
{
    /// The name that Keras and safetensors headers use: `float32` or `float64`.
    const NAME: &'static str;

    /// Rounds an `f64` to this type.
    fn of(value: f64) -> Self;

    /// A byte as a scalar, 0 to 255.
    fn from_byte(value: u8) -> Self;

    /// This value as an `f64`, exactly.
    fn f64(self) -> f64;

    /// 1 / (1 + e⁻ˣ), without overflow for any x.
    ///
    /// ```
    /// use gradus::Scalar;
    /// assert_eq!(0.0f32.sigmoid(), 0.5);
    /// assert_eq!((-1e3f64).sigmoid(), 0.0);
    /// ```
    fn sigmoid(self) -> Self {
        // e^-|x| never overflows.
        let e = (-self.abs()).exp();
        let small = e / (Self::one() + e);
        if self >= Self::zero() { Self::one() - small } else { small }
    }

    /// Chooses between the `f32` and the `f64` version of something, by `Self`.
    #[doc(hidden)]
    fn choose<T>(f32: T, f64: T) -> T;
}

impl Scalar for f32 {
    const NAME: &'static str = "float32";

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // rounding is the purpose
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline]
    fn from_byte(value: u8) -> Self {
        Self::from(value)
    }

    #[inline]
    fn f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn choose<T>(f32: T, _: T) -> T {
        f32
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "float64";

    #[inline]
    fn of(value: f64) -> Self {
        value
    }

    #[inline]
    fn from_byte(value: u8) -> Self {
        Self::from(value)
    }

    #[inline]
    fn f64(self) -> f64 {
        self
    }

    #[inline]
    fn choose<T>(_: T, f64: T) -> T {
        f64
    }
}

/// The values of an array that a user handed in. Bytes stay bytes until a shard gathers its rows.
#[derive(Clone, Debug)]
pub enum ArrayValues<'a, F: Scalar> {
    /// Of the model's own type.
    Scalars(Cow<'a, [F]>),
    /// Pixels or small labels.
    Bytes(Cow<'a, [u8]>),
}

/// A number that arrays handed to a model may hold.
#[diagnostic::on_unimplemented(
    message = "an array of `{Self}` cannot be given to a model of `{F}`",
    note = "convert it with `x.mapv(|value| value as f32)`, or build the model in f64: `Sequential::f64()`, `Input::f64`"
)]
pub trait Element<F: Scalar>: Copy {
    /// Row-major values as the model takes them.
    fn column(values: Cow<'_, [Self]>) -> ArrayValues<'_, F>
    where
        [Self]: ToOwned<Owned = Vec<Self>>;
}

impl Element<f32> for f32 {
    fn column(values: Cow<'_, [f32]>) -> ArrayValues<'_, f32> {
        ArrayValues::Scalars(values)
    }
}

impl Element<f64> for f64 {
    fn column(values: Cow<'_, [f64]>) -> ArrayValues<'_, f64> {
        ArrayValues::Scalars(values)
    }
}

impl<F: Scalar> Element<F> for u8 {
    fn column(values: Cow<'_, [u8]>) -> ArrayValues<'_, F> {
        ArrayValues::Bytes(values)
    }
}

macro_rules! whole_elements {
    ($($type:ty)*) => {$(
        impl<F: Scalar> Element<F> for $type {
            /// Labels and token ids; exact as far as the scalar is.
            #[allow(clippy::cast_lossless)]
            fn column(values: Cow<'_, [$type]>) -> ArrayValues<'_, F> {
                ArrayValues::Scalars(values.iter().map(|&value| F::of(value as f64)).collect())
            }
        }
    )*};
}

whole_elements!(u16 u32 u64 usize i8 i16 i32 i64 isize);
