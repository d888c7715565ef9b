//! Checks that anybody's layers, losses and models can be put through: one call each, in a test.
//!
//! | call | what is checked |
//! | --- | --- |
//! | [`check_gradients`] | a layer's gradients of its inputs and parameters, against central differences |
//! | [`check_loss`] | a loss's gradient: every reduction, with weights, joined with softmax or sigmoid, cut into shards |
//! | [`check_model`] | a whole model's gradients |
//! | [`check_training`] | the gradients that a step of `fit` computes, losses and penalties included |
//! | [`check_layer`], [`check_multi_layer`] | everything that a layer must hold |
//!
//! All of it is computed in `f64`, from fixed seeds: a check that passes once passes always.
//!
//! A hand-written backward pass claims that `grad[i]` is ∂L/∂xᵢ. The check takes L = Σ gᵢ·yᵢ with random weights g and
//! compares with
//!
//! ```text
//! ∂L/∂xᵢ ≈ (L(x + h·eᵢ) − L(x − h·eᵢ)) / 2h,        h = 10⁻⁵·max(1, |xᵢ|),
//! ```
//!
//! whose own error is about h² by Taylor and 10⁻¹⁶/h by rounding, both far below the tolerance of 10⁻⁶ of the tensor's
//! largest gradient. Where L has a kink at x (|x| at 0) the slopes to the left and to the right differ however small h
//! is: such elements are counted, not compared.

mod conformance;
mod differences;
mod gradients;
mod loss;

pub use crate::error::{Comparison, GradientReport, TensorReport};
pub use conformance::{LayerCheck, check_layer, check_multi_layer};
pub use gradients::{GradientCheck, check_gradients, check_model, check_training};
pub use loss::check_loss;
