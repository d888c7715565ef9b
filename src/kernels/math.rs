//! Elementary functions that vectorise.

use crate::Scalar;

/// A scalar with elementary functions that the compiler vectorises inside a kernel.
pub trait Elementary: Scalar {}
impl Elementary for f32 {}
impl Elementary for f64 {}
