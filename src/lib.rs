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
//! `datasets`, `threads` and `progress` are on by default; `csv`, `images`, `audio`, `npz`, `keras`, `torch`, `plots`, `tensorboard`,
//! `download` are not.

pub mod activations;
pub mod applications;
pub mod check;
pub mod config;
pub mod constraints;
pub mod data;
pub mod engine;
mod error;
pub mod formats;
pub mod gan;
mod ids;
pub mod initializers;
pub mod kernels;
pub mod layers;
pub mod losses;
mod memory;
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

// What `benches/scaling.rs` measures with.
#[cfg(feature = "threads")]
#[doc(hidden)]
pub use parallel::account;

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

/// What most programs use: `use gradus::prelude::*;`
///
/// Layers, losses, metrics, optimizers and schedules by name; models; training and its callbacks; data. For custom layers,
/// losses, metrics, optimizers, callbacks and training steps there is [`custom`], which has all of this too.
pub mod prelude {
    pub use crate::activations::Activation::{self, *};
    pub use crate::activations::Custom as CustomActivation;
    pub use crate::constraints::Constraint;
    #[cfg(feature = "csv")]
    pub use crate::data::Table;
    #[cfg(feature = "datasets")]
    pub use crate::data::datasets;
    #[cfg(feature = "csv")]
    pub use crate::data::preprocessing::ColumnTransformer;
    pub use crate::data::preprocessing::{
        LabelEncoder, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, SimpleImputer,
        StandardScaler,
    };
    pub use crate::data::{
        Arrays, Augmentation, AugmentedImages, Batch, Dataset, KFold, PadSequences, Sample, StratifiedKFold, Stream,
        TrainTestSplit, Windows, stratified_split, to_categorical, to_categorical_f64, train_test_split,
    };
    pub use crate::engine::{Pass, Predictor, SpectralNormalization, TimeDistributed};
    pub use crate::gan::{Discriminator, Gan, GanLoss, Generator};
    pub use crate::initializers::Initializer;
    pub use crate::layers::Padding::{self, *};
    pub use crate::layers::{
        ActivityRegularization, Add, AdditiveAttention, AlphaDropout, Attention, Average, AvgPool1D, AvgPool2D,
        AvgPool3D, BatchNormalization, Bidirectional, Concatenate, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose,
        Conv3D, Conv3DTranspose, ConvLSTM1D, ConvLSTM1DCell, ConvLSTM2D, ConvLSTM2DCell, ConvLSTM3D, ConvLSTM3DCell,
        Cropping1D, Cropping2D, Cropping3D, DataFormat, Dense, DepthwiseConv1D, DepthwiseConv2D, Dot, Dropout, ELU,
        Embedding, Flatten, GRU, GRUCell, GaussianDropout, GaussianNoise, GlobalAvgPool1D, GlobalAvgPool2D,
        GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D, GroupNormalization, Identity,
        Interpolation, LSTM, LSTMCell, LayerNormalization, LeakyReLU, Masking, MaxPool1D, MaxPool2D, MaxPool3D,
        Maximum, MergeMode, Minimum, Mode, MultiHeadAttention, Multiply, Normalization, PReLU, Permute,
        RMSNormalization, RNN, ReLU, RepeatVector, Rescaling, Reshape, SeparableConv1D, SeparableConv2D, SimpleRNNCell,
        SoftmaxLayer, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, StackedRNNCells, Subtract,
        UnitNormalization, UpSampling1D, UpSampling2D, UpSampling3D, WithMask, ZeroPadding1D, ZeroPadding2D,
        ZeroPadding3D,
    };
    pub use crate::losses::{
        BernoulliNLL, BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy,
        CategoricalFocalCrossentropy, CategoricalHinge, CosineSimilarity, Dice, GaussianNLL, Hinge, HingeEmbedding,
        Huber, KLDivergence, LogCosh, LossCall, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, NLL, Poisson, PoissonNLL, Reduction, SmoothL1, SparseCategoricalCrossentropy,
        SquaredHinge, Tversky,
    };
    pub use crate::metrics::{
        AUC, Accuracy, BinaryAccuracy, BinaryIoU, CategoricalAccuracy, ConcordanceCorrelation, CosineSimilarityMetric,
        Curve, ExactAccuracy, F1Score, FBetaScore, FalseNegatives, FalsePositives, IoU, LossMetric,
        MeanAbsoluteErrorMetric, MeanIoU, MeanSquaredErrorMetric, OneHotIoU, OneHotMeanIoU, PearsonCorrelation,
        Precision, PrecisionAtRecall, R2Score, Recall, RecallAtPrecision, RootMeanSquaredError,
        SensitivityAtSpecificity, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy, SpecificityAtSensitivity,
        TopKCategoricalAccuracy, TrueNegatives, TruePositives,
    };
    pub use crate::models::registry::Registry;
    pub use crate::models::{
        Compile, Input, LoadByName, LoadReport, Model, ModelBuilder, Sequential, Symbol, call, shared,
    };
    pub use crate::optimizers::{
        Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Driver, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop, SGD,
    };
    pub use crate::regularizers::Regularizer;
    pub use crate::schedules::{
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle, PiecewiseConstantDecay,
        PolynomialDecay, Schedule,
    };
    #[cfg(feature = "tensorboard")]
    pub use crate::training::TensorBoard;
    pub use crate::training::{
        CSVLogger, EarlyStopping, Fit, History, LearningRateRangeTest, LearningRateScheduler, Logs, ModelCheckpoint,
        Monitor, ReduceLROnPlateau, Score, TerminateOnNaN, train,
    };
    pub use crate::{Error, Scalar, Tensor, View, ViewMut};
    pub use ndarray::{
        Array, Array1, Array2, Array3, Array4, ArrayD, ArrayView, Axis, Ix1, Ix2, Ix3, Ix4, array, concatenate, s,
    };
}

/// What authors of custom layers, recurrent cells, losses, metrics, optimizers, callbacks, data sets and training steps use:
/// `use gradus::custom::*;` The [`prelude`] is in it.
///
/// | custom | implement | check it with |
/// | --- | --- | --- |
/// | layer | [`Layer`], [`MultiLayer`] | [`check_layer`](check::check_layer), [`check_gradients`](check::check_gradients) |
/// | recurrent cell | [`RecurrentCell`](layers::RecurrentCell), run by [`RNN::of`](layers::RNN) | [`check_layer`](check::check_layer) |
/// | loss function | [`Loss`] | [`check_loss`](check::check_loss) |
/// | metric | [`Metric`] | |
/// | optimizer | [`Optimizer`] | |
/// | callback | [`Callback`](training::Callback) | |
/// | training step | [`Learner`](training::Learner) | |
/// | data set | [`Dataset`](data::Dataset) | |
pub mod custom {
    pub use crate::check::{check_gradients, check_layer, check_loss, check_model, check_multi_layer, check_training};
    pub use crate::config::{Config, Configured};
    pub use crate::engine::{AnyLayer, Exchange, IntoLayer, Network};
    pub use crate::layers::{
        AnyCell, BadValue, Border, CellGradients, CellMemory, CellShapes, CellStep, ChecksValues, Context,
        CouplesSamples, Coupling, Description, Facts, GradInputs, Grads, InPlace, Inputs, KeepsState, Layer, MakesMask,
        MaskRule, MultiLayer, ParamBuilder, ParamSpec, Params, Recurrent, RecurrentCell, RescalesChannels, RowGrads,
        SequenceDropout, States, StatesMut, UnitSequences,
    };
    pub use crate::losses::{Fused, Loss, LossContext, LossDescription};
    pub use crate::metrics::{Counts, Mean, Metric, MetricState};
    pub use crate::optimizers::{
        Multipliers, Optimizer, OptimizerOptions, Parameter, State, StateSpec, Update, ZeroGradient,
    };
    pub use crate::prelude::*;
    pub use crate::schedules::LearningRate;
    pub use crate::tensor::inputs::{IntoInputs, IntoTensor};
    pub use crate::training::{Callback, EpochState, GatheredBatch, Learner, Part, Running, StepBatch};
}

/// The programs of the pages in `docs`, as tests.
#[cfg(all(doctest, feature = "csv", feature = "plots"))]
mod pages {
    #[doc = include_str!("../docs/training.md")]
    struct Training;
    #[doc = include_str!("../docs/evaluation.md")]
    struct Evaluation;
    #[doc = include_str!("../docs/gan.md")]
    struct Gan;
    #[cfg(feature = "keras")]
    #[doc = include_str!("../docs/keras-to-gradus.md")]
    struct Keras;
}
