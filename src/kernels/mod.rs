//! The mathematics: plain functions on slices, forward beside backward, each with its formula.
//!
//! No state and no configuration; layers hold those. SIMD, blocking and `unsafe` live here, and `unsafe` in `parallel`.
#![allow(unsafe_code, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::too_many_arguments)]
// Kinks, limits and tests compare exactly.
#![allow(clippy::float_cmp)]
// A kernel's parts must end up inside the version compiled for an instruction set, or they miss it.
#![allow(clippy::inline_always)]
// Formulas have indices; and of tiles in a hundred sizes iterators would be a good part of what is compiled.
#![allow(clippy::needless_range_loop)]
// Formulas, and names like PyTorch, are not code.
#![allow(clippy::doc_markdown)]

pub mod activation;
pub(crate) mod aligned;
pub mod attention;
mod blocks;
pub mod broadcast;
pub mod conv;
pub mod ctc;
pub(crate) mod dispatch;
pub mod dot;
pub mod elementwise;
pub mod embedding;
mod finish;
pub mod focal;
pub mod gather;
pub mod gemm;
pub mod likelihood;
pub mod losses;
pub mod margin;
pub mod math;
pub mod noise;
pub mod normalization;
pub mod optimizer;
pub mod overlap;
pub mod pointwise;
pub mod pool;
pub mod random;
pub mod recurrent;
pub mod reduce;
pub mod reorder;
pub mod resample;
pub mod row_norm;
pub mod softmax;
pub mod spectral;
pub(crate) mod split;
pub(crate) mod vector;
pub mod warp;

pub use dispatch::instructions;
