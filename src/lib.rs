//! **Keras for Rust**: neural networks on [`ndarray`], on the CPU, with every backward pass written by hand.
//!
//! A person who knows the Keras MNIST script writes the same script here and gets the same numbers:
//!
//! ```no_run
//! # #[cfg(feature = "datasets")]
//! # fn main() -> gradus::Result<()> {
//! use gradus::prelude::*;
//!
//! let (train, test) = datasets::mnist::load()?;
//! let scale = |images: &Array3<u8>| images.mapv(|p| f32::from(p) / 255.0);
//! let (x_train, x_test) = (scale(&train.images), scale(&test.images));
//! let (y_train, y_test) = (to_categorical(&train.labels, 10)?, to_categorical(&test.labels, 10)?);
//!
//! let mut model = Sequential::new()
//!     .input([28, 28])
//!     .add(Flatten::new())
//!     .add(Dense::new(128).activation(Relu))
//!     .add(Dense::new(10).activation(Softmax))
//!     .compile(CategoricalCrossentropy::new(), Adam::new())
//!     .metric(Accuracy::new())
//!     .build()?;
//! println!("{}", model.summary());
//! model.fit(&x_train, &y_train, Fit::new().batch_size(128).epochs(10).validation_split(0.1))?;
//! let score = model.evaluate(&x_test, &y_test)?;
//! println!("Test loss: {}, test accuracy: {}", score.loss, score["accuracy"]);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "datasets"))]
//! # fn main() {}
//! ```
//!
//! # Where things are
//!
//! | to | look at |
//! | --- | --- |
//! | build a model | [`Sequential`], [`Input`](models::Input) and [`ModelBuilder`](models::ModelBuilder) (functional), [`Model`] |
//! | choose layers | [`layers`]: dense, convolution, pooling, padding, normalization, recurrent, attention, embedding, merge, dropout |
//! | choose activations, initializers, regularizers (L1, L2), constraints | [`activations`], [`initializers`], [`regularizers`], [`constraints`] |
//! | choose a loss function | [`losses`]: cross-entropies, errors, hinges, Dice, CTC; a custom loss is a [`Loss`] |
//! | choose an optimizer, weight decay, gradient clipping | [`optimizers`]: SGD, Adam, AdamW, RMSprop …; a custom optimizer is an [`Optimizer`] |
//! | choose a learning rate schedule | [`schedules`]: exponential, cosine, warm-up, one-cycle … |
//! | train | [`Model::fit`], [`Fit`](training::Fit); callbacks such as [`EarlyStopping`](training::EarlyStopping), [`ModelCheckpoint`](training::ModelCheckpoint); a custom training step is a [`Learner`](training::Learner) |
//! | evaluate | [`Model::evaluate`], [`metrics`]; scikit-learn's scores in [`metrics::scores`]; a custom metric is a [`Metric`] |
//! | predict | [`Network::predict`](engine::Network::predict), [`Predictor`](engine::Predictor) without allocation |
//! | save and load | [`Model::save`], [`Model::load`], [`Model::save_checkpoint`] |
//! | read and prepare data | [`data`]: arrays, [`Dataset`](data::Dataset), [`Stream`](data::Stream), tables, images, audio, text, splits, scalers |
//! | train a GAN | [`gan`] |
//! | tune hyperparameters | [`tuning`] |
//! | check gradients | [`check`]: by central differences; [`check_layer`](check::check_layer) for a custom layer |
//! | read how a layer is differentiated | [`kernels`] |
//!
//! A custom layer is a [`Layer`] (one input, one output) or a [`MultiLayer`]; three methods make one.
//!
//! # Features
//! `datasets`, `threads` and `progress` are on by default; `csv`, `images`, `audio`, `plots`, `tensorboard`, `download` are not.

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
pub use tensor::{Shape, Tensor, View, ViewMut};

/// Everything that most programs use: `use gradus::prelude::*;`
pub mod prelude {
    pub use crate::activations::Activation::{self, *};
    pub use crate::activations::Custom as CustomActivation;
    pub use crate::check::{check_gradients, check_layer, check_loss, check_model, check_multi_layer, check_training};
    pub use crate::constraints::Constraint;
    #[cfg(feature = "datasets")]
    pub use crate::data::datasets;
    pub use crate::data::{Arrays, Batch, Dataset, Sample, Stream, to_categorical, to_categorical_f64};
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
