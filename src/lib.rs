//! Keras for Rust.

pub mod check;
mod class_config;
pub mod data;
mod error;
pub mod formats;
pub mod initializers;
pub mod kernels;
pub mod random;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
