//! Keras for Rust.

pub mod check;
mod error;
pub mod kernels;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
