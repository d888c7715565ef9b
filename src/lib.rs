//! Keras for Rust.

pub mod activations;
pub mod check;
pub mod config;
pub mod constraints;
pub mod data;
pub mod engine;
mod error;
pub mod formats;
pub mod gan;
pub mod initializers;
pub mod kernels;
pub mod layers;
pub mod losses;
pub mod metrics;
pub mod models;
pub mod optimizers;
mod parallel;
#[cfg(feature = "plots")]
pub mod plots;
pub mod random;
pub mod regularizers;
mod scalar;
pub mod schedules;
pub mod tensor;
pub mod training;
pub mod tuning;

pub use activations::Activation;
pub use error::{Error, Result};
pub use layers::{Layer, MultiLayer};
pub use losses::Loss;
pub use metrics::Metric;
pub use models::{Model, Sequential, registry};
pub use ndarray;
pub use optimizers::Optimizer;
pub use scalar::Scalar;
pub use tensor::{Tensor, View, ViewMut};

/// Everything that most programs use: `use gradus::prelude::*;`
pub mod prelude {
    pub use crate::activations::Activation::{self, *};
    pub use crate::activations::Custom as CustomActivation;
    pub use crate::check::{check_gradients, check_layer, check_loss, check_model, check_multi_layer, check_training};
    pub use crate::constraints::Constraint;
    #[cfg(feature = "datasets")]
    pub use crate::data::datasets;
    pub use crate::data::{Batch, Dataset, to_categorical, to_categorical_f64};
    pub use crate::gan::{Discriminator, Gan, GanLoss, Generator};
    pub use crate::initializers::Initializer;
    pub use crate::layers::Padding::{self, *};
    pub use crate::layers::*;
    pub use crate::losses::*;
    pub use crate::metrics::*;
    pub use crate::models::registry::Registry;
    pub use crate::models::*;
    pub use crate::optimizers::*;
    pub use crate::regularizers::Regularizer;
    pub use crate::schedules::*;
    pub use crate::training::*;
    pub use crate::{Error, Scalar, Tensor, View, ViewMut};
    pub use ndarray::{Array, Array1, Array2, Array3, Array4, ArrayD, Axis, array};
}

/// The programs of the guide, as tests.
#[cfg(all(doctest, feature = "csv", feature = "plots"))]
#[doc = include_str!("../docs/training.md")]
struct TrainingGuide;
