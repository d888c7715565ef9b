//! The two number types that gradus computes with.

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
    + crate::models::Element<Self>
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
