//! Which class names stand for what: how saved architectures become layers, losses, metrics and optimizers again.

use std::sync::Arc;

use serde_json::Value;

use crate::activations::Activation;
use crate::config::{self, Config, Configured, Setting};
use crate::layers::{self, AnyCell, Layer, MultiLayer, RecurrentCell};
use crate::losses::{self, Loss};
use crate::metrics::{self, LossMetric, Metric, Tracked};
use crate::models::AnyLayer;
use crate::optimizers::{self, Optimizer};
use crate::{Error, Result, Scalar};

type Make<T, F> = Arc<dyn Fn(&Config, &Registry<F>) -> Result<T> + Send + Sync>;

/// The classes that configurations may name: all of the crate's own, and those that a program adds.
///
/// ```
/// use gradus::config::{Config, Configured};
/// use gradus::prelude::*;
///
/// let registry = Registry::<f32>::standard();
/// let options = serde_json::json!({ "units": 3, "activation": "relu" });
/// let layer = registry.make_layer("Dense", options.as_object().unwrap())?;
/// let model = Sequential::new().input([2]).add(layer).build()?;
/// assert_eq!(model.output_shape(0), [3]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Registry<F: Scalar> {
    layers: Classes<AnyLayer<F>, F>,
    cells: Classes<AnyCell, F>,
    losses: Classes<Arc<dyn Loss<F>>, F>,
    metrics: Classes<Tracked<F>, F>,
    optimizers: Classes<Arc<dyn Optimizer<F>>, F>,
}

/// Classes of one kind, in the order of their names.
struct Classes<T, F: Scalar>(Vec<(String, Make<T, F>)>);

impl<T, F: Scalar> Classes<T, F> {
    /// Adds a class, or takes the place of the one with this name.
    fn insert(&mut self, class: &str, make: Make<T, F>) {
        match self.find(class) {
            Ok(at) => self.0[at].1 = make,
            Err(at) => self.0.insert(at, (class.to_owned(), make)),
        }
    }

    /// Where the class is, or would be.
    fn find(&self, class: &str) -> std::result::Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(class))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(class, _)| class.as_str())
    }

    /// An object of a class, which is a `what`.
    fn make(&self, what: &'static str, class: &str, options: &Config, registry: &Registry<F>) -> Result<T> {
        let at = self.find(class).map_err(|_| Error::unknown(what, class, self.names().map(str::to_owned)))?;
        self.0[at].1(options, registry).map_err(|error| error.within(class))
    }
}

impl<F: Scalar> Default for Registry<F> {
    fn default() -> Self {
        Self::standard()
    }
}

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

impl<F: Scalar> Registry<F> {
    /// All of the crate's own classes.
    pub fn standard() -> Self {
        let registry = Self {
            layers: Classes(Vec::new()),
            cells: Classes(Vec::new()),
            losses: Classes(Vec::new()),
            metrics: Classes(Vec::new()),
            optimizers: Classes(Vec::new()),
        };
        let registry = registry.with_layer_fn("Activation", |options, _| activation_layer(options));
        let registry = registry.with_layer_fn("TimeDistributed", crate::models::distributed::from_config);
        let registry = registry.with_layer_fn("SpectralNormalization", crate::models::spectral::from_config);
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
            optimizers::Adadelta, optimizers::Adagrad, optimizers::Adam, optimizers::AdamW, optimizers::Adamax,
            optimizers::Ftrl, optimizers::Lamb, optimizers::Lion, optimizers::Nadam, optimizers::RMSprop, optimizers::SGD,
        )
    }

    /// With a layer of one's own, known by the name of its class.
    pub fn with_layer<L: Layer<F> + Configured + 'static>(self) -> Self {
        self.with_layer_fn(L::CLASS, |options, _| Ok(AnyLayer::single(L::from_config(options)?)))
    }

    /// With a layer of several inputs or outputs.
    pub fn with_multi_layer<L: MultiLayer<F> + Configured + 'static>(self) -> Self {
        self.with_layer_fn(L::CLASS, |options, _| Ok(AnyLayer::several(L::from_config(options)?)))
    }

    /// With a layer that is made by a function, which can make layers inside it through the registry.
    pub fn with_layer_fn(
        mut self,
        class: &str,
        make: impl Fn(&Config, &Self) -> Result<AnyLayer<F>> + Send + Sync + 'static,
    ) -> Self {
        self.layers.insert(class, Arc::new(make));
        self
    }

    /// With a custom recurrent cell, known by the name of its class wherever a configuration has a cell: in `RNN`,
    /// `StackedRNNCells`, and so in `Bidirectional`.
    pub fn with_cell<C>(self) -> Self
    where
        C: RecurrentCell<f32> + RecurrentCell<f64> + Configured + 'static,
    {
        self.with_cell_fn(C::CLASS, |options, _| Ok(AnyCell::new(C::from_config(options)?)))
    }

    /// With a recurrent cell that is made by a function, which can make cells inside it through the registry.
    pub fn with_cell_fn(
        mut self,
        class: &str,
        make: impl Fn(&Config, &Self) -> Result<AnyCell> + Send + Sync + 'static,
    ) -> Self {
        self.cells.insert(class, Arc::new(make));
        self
    }

    /// With a loss of one's own.
    pub fn with_loss<L: Loss<F> + Configured + 'static>(mut self) -> Self {
        self.losses.insert(L::CLASS, Arc::new(|options, _| Ok(Arc::new(L::from_config(options)?))));
        self
    }

    /// With a metric of one's own.
    pub fn with_metric<M: Metric<F> + Configured + 'static>(mut self) -> Self {
        self.metrics.insert(M::CLASS, Arc::new(|options, _| Ok(Tracked::new(M::from_config(options)?))));
        self
    }

    /// With an optimizer of one's own.
    pub fn with_optimizer<O: Optimizer<F> + Configured + 'static>(mut self) -> Self {
        self.optimizers.insert(O::CLASS, Arc::new(|options, _| Ok(Arc::new(O::from_config(options)?))));
        self
    }

    /// A layer from its class and options; a `name` among them is the layer's.
    ///
    /// # Errors
    /// If the class is not known, or an option is not one of its own or has the wrong kind of value.
    pub fn make_layer(&self, class: &str, options: &Config) -> Result<AnyLayer<F>> {
        let layer = self.layers.make("layer class", class, options, self)?;
        Ok(match options.get("name").and_then(Value::as_str) {
            Some(name) => layer.named(name),
            None => layer,
        })
    }

    /// A recurrent cell from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_cell(&self, class: &str, options: &Config) -> Result<AnyCell> {
        self.cells.make("cell class", class, options, self)
    }

    /// A loss from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_loss(&self, class: &str, options: &Config) -> Result<Arc<dyn Loss<F>>> {
        self.losses.make("loss class", class, options, self)
    }

    /// An optimizer from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_optimizer(&self, class: &str, options: &Config) -> Result<Arc<dyn Optimizer<F>>> {
        self.optimizers.make("optimizer class", class, options, self)
    }

    /// A metric from its class and options.
    pub(crate) fn make_metric(&self, class: &str, options: &Config) -> Result<Tracked<F>> {
        self.metrics.make("metric class", class, options, self)
    }

    /// The classes of layers that are known.
    pub fn layer_classes(&self) -> Vec<&str> {
        self.layers.names().collect()
    }
}

/// Keras's `Activation` layer: one option, and the layer is that activation.
fn activation_layer<F: Scalar>(options: &Config) -> Result<AnyLayer<F>> {
    config::refuse_unknown(options, &["activation", "name", "trainable"])?;
    let value = options.get("activation").ok_or_else(|| Error::option("activation", "given", "nothing"))?;
    Ok(AnyLayer::single(Activation::from_value(value)?))
}
