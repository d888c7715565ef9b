//! Data: reading it, splitting it, turning it into what a model takes.

#[cfg(feature = "datasets")]
pub mod datasets;
#[cfg(feature = "datasets")]
pub mod idx;
