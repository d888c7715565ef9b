//! Keras for Rust.

pub mod check;
mod class_config;
pub mod constraints;
pub mod data;
mod error;
pub mod formats;
pub mod initializers;
pub mod kernels;
pub mod random;
pub mod regularizers;
mod scalar;

pub use error::{Error, Result};
pub use scalar::Scalar;
