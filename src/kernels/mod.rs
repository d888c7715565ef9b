//! The mathematics: plain functions on slices, forward beside backward, each with its formula.
//!
//! No state and no configuration; layers hold those. SIMD, blocking and `unsafe` live here and nowhere else.
#![allow(unsafe_code, clippy::cast_possible_truncation, clippy::too_many_arguments)]

pub(crate) mod dispatch;
pub mod elementwise;
pub mod random;
