//! The classes that the crate has of its own, as a [`Registry`] knows them.

use super::architecture::make_layer;
use super::registry::Registry;
use crate::activations::Activation;
use crate::config::{self, Config, Configured, Setting};
use crate::engine::{AnyLayer, distributed, spectral};
use crate::metrics::LossMetric;
use crate::{Error, Result, Scalar, layers, losses, metrics, optimizers};

/// Registers each of a list of classes with one method.
macro_rules! with_all {
    ($registry:expr, $method:ident: $($class:ty),+ $(,)?) => {
        $registry$(.$method::<$class>())+
    };
}

/// Registers layers by Keras's name and by the shorter one that they have here: `MaxPooling2D` and `MaxPool2D`.
macro_rules! with_both_names {
    ($registry:expr; $($class:ident),+ $(,)?) => {
        $registry$(
            .with_layer::<layers::$class>().with_layer_fn(stringify!($class), |options, _| {
                Ok(AnyLayer::single(layers::$class::from_config(options)?))
            })
        )+
    };
}

impl<F: Scalar> Default for Registry<F> {
    fn default() -> Self {
        Self::standard()
    }
}

impl<F: Scalar> Registry<F> {
    /// All of the crate's own classes.
    pub fn standard() -> Self {
        let registry = Self::empty().with_layer_fn("Activation", |options, _| activation_layer(options));
        let registry = registry.with_layer_fn("TimeDistributed", time_distributed);
        let registry = registry.with_layer_fn("SpectralNormalization", spectral_normalization);
        let registry = registry.with_layer_fn("RNN", |options, registry| {
            let layer =
                layers::recurrent_from_config("RNN", options, &|class, options| registry.make_cell(class, options));
            layer.map(AnyLayer::several)
        });
        let registry = registry.with_layer_fn("Bidirectional", |options, registry| {
            let layer =
                layers::bidirectional_from_config(options, &|class, options| registry.make_cell(class, options));
            layer.map(AnyLayer::several)
        });
        let registry = with_all!(registry, with_cell:
            layers::ConvLSTM1DCell, layers::ConvLSTM2DCell, layers::ConvLSTM3DCell, layers::GRUCell, layers::LSTMCell,
            layers::SimpleRNNCell,
        );
        let registry = registry.with_cell_fn("StackedRNNCells", |options, registry| {
            layers::stacked_from_config(options, &|class, options| registry.make_cell(class, options))
        });
        let registry = with_all!(registry, with_layer:
            layers::ActivityRegularization, layers::AlphaDropout, layers::BatchNormalization, layers::Conv1D,
            layers::Conv1DTranspose, layers::Conv2D, layers::Conv2DTranspose, layers::Conv3D,
            layers::Conv3DTranspose, layers::Cropping1D, layers::Cropping2D, layers::Cropping3D, layers::Dense,
            layers::DepthwiseConv1D, layers::DepthwiseConv2D, layers::Dropout, layers::ELU, layers::Embedding, layers::Flatten,
            layers::GaussianDropout, layers::GaussianNoise, layers::GroupNormalization, layers::Identity,
            layers::LayerNormalization, layers::LeakyReLU, layers::Masking, layers::Normalization, layers::PReLU, layers::Permute, layers::RMSNormalization,
            layers::ReLU, layers::RepeatVector, layers::Rescaling, layers::Reshape, layers::SeparableConv1D,
            layers::SeparableConv2D, layers::SoftmaxLayer, layers::SpatialDropout1D, layers::SpatialDropout2D,
            layers::SpatialDropout3D, layers::UnitNormalization, layers::UpSampling1D, layers::UpSampling2D,
            layers::UpSampling3D, layers::ZeroPadding1D, layers::ZeroPadding2D, layers::ZeroPadding3D,
        );
        let registry = with_both_names!(registry;
            AvgPool1D, AvgPool2D, AvgPool3D, GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool1D,
            GlobalMaxPool2D, GlobalMaxPool3D, MaxPool1D, MaxPool2D, MaxPool3D,
        );
        let registry = with_all!(registry, with_multi_layer:
            layers::Add, layers::AdditiveAttention, layers::Attention, layers::Average, layers::Concatenate,
            layers::ConvLSTM1D, layers::ConvLSTM2D, layers::ConvLSTM3D, layers::Dot, layers::GRU,
            layers::LSTM, layers::RNN, layers::Maximum, layers::Minimum,
            layers::MultiHeadAttention, layers::Multiply, layers::Subtract, layers::WithMask,
        );
        let registry = with_all!(registry, with_loss:
            losses::BernoulliNLL, losses::BinaryCrossentropy, losses::BinaryFocalCrossentropy, losses::CategoricalCrossentropy,
            losses::CategoricalFocalCrossentropy, losses::CategoricalHinge, losses::CTC, losses::CosineSimilarity, losses::Dice,
            losses::GaussianNLL, losses::Hinge, losses::HingeEmbedding, losses::Huber, losses::KLDivergence, losses::LogCosh, losses::MeanAbsoluteError,
            losses::MeanAbsolutePercentageError, losses::MeanSquaredError, losses::MeanSquaredLogarithmicError,
            losses::NLL, losses::Poisson, losses::PoissonNLL, losses::SmoothL1, losses::SparseCategoricalCrossentropy, losses::SquaredHinge, losses::Tversky,
        );
        let registry = with_all!(registry, with_metric:
            metrics::Accuracy, metrics::BinaryAccuracy, metrics::CategoricalAccuracy, metrics::ExactAccuracy,
            metrics::MeanAbsoluteErrorMetric, metrics::MeanSquaredErrorMetric, metrics::SparseCategoricalAccuracy,
            metrics::SparseTopKCategoricalAccuracy, metrics::TopKCategoricalAccuracy,
            metrics::AUC, metrics::BinaryIoU, metrics::ConcordanceCorrelation, metrics::CosineSimilarityMetric,
            metrics::F1Score, metrics::FBetaScore, metrics::FalseNegatives, metrics::FalsePositives, metrics::IoU,
            metrics::MeanIoU, metrics::OneHotIoU, metrics::OneHotMeanIoU, metrics::PearsonCorrelation,
            metrics::Precision, metrics::PrecisionAtRecall, metrics::R2Score, metrics::Recall,
            metrics::RecallAtPrecision, metrics::RootMeanSquaredError, metrics::SensitivityAtSpecificity,
            metrics::SpecificityAtSensitivity, metrics::TrueNegatives, metrics::TruePositives,
            LossMetric<losses::BinaryCrossentropy>, LossMetric<losses::CategoricalCrossentropy>,
            LossMetric<losses::CategoricalHinge>, LossMetric<losses::Hinge>, LossMetric<losses::KLDivergence>,
            LossMetric<losses::LogCosh>, LossMetric<losses::MeanAbsolutePercentageError>,
            LossMetric<losses::MeanSquaredLogarithmicError>, LossMetric<losses::Poisson>,
            LossMetric<losses::SparseCategoricalCrossentropy>, LossMetric<losses::SquaredHinge>,
        );
        with_all!(registry, with_optimizer:
            optimizers::Adadelta, optimizers::Adafactor, optimizers::Adagrad, optimizers::Adam, optimizers::AdamW,
            optimizers::Adamax, optimizers::Ftrl, optimizers::Lamb, optimizers::Lion, optimizers::Muon, optimizers::Nadam,
            optimizers::RMSprop, optimizers::SGD,
        )
    }
}

/// `{"layer": {"class_name": …, "config": …}}`
fn time_distributed<F: Scalar>(options: &Config, registry: &Registry<F>) -> Result<AnyLayer<F>> {
    config::refuse_unknown(options, &["layer", "name", "trainable"])?;
    let trainable = config::take(options, "trainable", true)?;
    Ok(distributed(make_layer(inner(options)?, registry)?, trainable, None))
}

/// `{"layer": {"class_name": …, "config": …}, "power_iterations": 1}`
fn spectral_normalization<F: Scalar>(options: &Config, registry: &Registry<F>) -> Result<AnyLayer<F>> {
    config::refuse_unknown(options, &["layer", "power_iterations", "name", "trainable"])?;
    let (class, mut inner) = config::class_and_config(inner(options)?)?;
    if let Some(trainable) = options.get("trainable") {
        inner.insert("trainable".into(), trainable.clone());
    }
    Ok(spectral(registry.make_layer(&class, &inner)?, config::take(options, "power_iterations", 1)?, None))
}

/// The layer inside a layer.
fn inner(options: &Config) -> Result<&serde_json::Value> {
    options.get("layer").ok_or_else(|| Error::option("layer", "given", "nothing"))
}

/// Keras's `Activation` layer: one option, and the layer is that activation.
fn activation_layer<F: Scalar>(options: &Config) -> Result<AnyLayer<F>> {
    config::refuse_unknown(options, &["activation", "name", "trainable"])?;
    let value = options.get("activation").ok_or_else(|| Error::option("activation", "given", "nothing"))?;
    Ok(AnyLayer::single(Activation::from_value(value)?))
}
