//! Keras for Rust.

pub mod check;
pub mod data;
mod error;
pub mod formats;
pub mod kernels;
pub mod random;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
