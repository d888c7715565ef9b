//! Known networks for images, with the architecture, the layers' names and the defaults of `keras.applications`: weights that
//! are saved from there by their names fit.
//!
//! ```
//! use gradus::applications::Application;
//! use gradus::prelude::*;
//!
//! let model = Application::mobilenet_v2().input_shape((96, 96, 3)).classes(10).build()?;
//! assert_eq!(model.output_shape(0), [10]);
//! // A backbone for images of any size, under a head of one's own.
//! let (image, backbone) = (Input::new((None, None, 3)), Application::mobilenet_v2().include_top(false).build()?);
//! let y = image.apply(&shared(backbone)).apply(GlobalAvgPool2D::new()).apply(Dense::new(2).activation(Softmax));
//! let classifier = ModelBuilder::new([&image], [&y]).build()?;
//! assert_eq!(classifier.count_params(), 2_257_984 + 2 * 1280 + 2);
//! # Ok::<(), gradus::Error>(())
//! ```

mod densenet;
mod mobilenet;
mod net;
mod resnet;
mod vgg;

use crate::models::{Input, Model, ModelBuilder, Symbol};
use crate::tensor::{IntoShape, Shape};
use crate::{Activation, Error, Result, Scalar};
use net::Net;

/// What comes after the last convolution, where the classifier is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Nothing: the output is an image of features.
    #[default]
    None,
    /// The mean over all pixels of each feature.
    Avg,
    /// The largest value over all pixels of each feature.
    Max,
}

/// A known network, and how it is to be built.
///
/// # Defaults
/// As in Keras: `input_shape` (224, 224, 3), or (`None`, `None`, 3) without the top; `include_top` true, `classes` 1000,
/// `classifier_activation` softmax, `pooling` none, `seed` 0. Weights are drawn anew; [`Model::load_weights_by_name`] takes trained
/// ones.
/// # Errors
/// When built: the shape is not (height, width, channels), an image is too small for the network's strides, `classes` is 0, `alpha`
/// is not positive, or the top of a VGG is asked for without a size.
/// # Source
/// `keras.applications`, each network's paper at its function.
#[derive(Clone, Debug)]
pub struct Application {
    architecture: Architecture,
    input_shape: Option<Shape>,
    include_top: bool,
    classes: usize,
    classifier_activation: Activation,
    pooling: Pooling,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Architecture {
    Vgg(vgg::Depth),
    ResNet(resnet::Depth),
    MobileNetV2 { alpha: f64 },
    DenseNet(densenet::Depth),
}

impl Architecture {
    fn name(self) -> String {
        match self {
            Self::Vgg(depth) => depth.name.into(),
            Self::ResNet(depth) => depth.name.into(),
            Self::MobileNetV2 { .. } => "mobilenetv2".into(),
            Self::DenseNet(depth) => depth.name.into(),
        }
    }

    /// All layers up to the features.
    fn features<F: Scalar>(self, net: Net<F>) -> Net<F> {
        match self {
            Self::Vgg(depth) => vgg::features(net, depth),
            Self::ResNet(depth) => resnet::features(net, depth),
            Self::MobileNetV2 { alpha } => mobilenet::features(net, alpha),
            Self::DenseNet(depth) => densenet::features(net, depth),
        }
    }

    /// From the features to the classifier.
    fn before_classifier<F: Scalar>(self, net: Net<F>) -> Net<F> {
        match self {
            Self::Vgg(_) => vgg::before_classifier(net),
            Self::MobileNetV2 { .. } => net.global_avg_pool("global_average_pooling2d"),
            Self::ResNet(_) | Self::DenseNet(_) => net.global_avg_pool("avg_pool"),
        }
    }
}

impl Application {
    fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            input_shape: None,
            include_top: true,
            classes: 1000,
            classifier_activation: Activation::Softmax,
            pooling: Pooling::None,
            seed: 0,
        }
    }

    /// VGG16: 138 million weights. Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale Image
    /// Recognition*, 2015.
    pub fn vgg16() -> Self {
        Self::new(Architecture::Vgg(vgg::VGG16))
    }

    /// VGG19: 144 million weights.
    pub fn vgg19() -> Self {
        Self::new(Architecture::Vgg(vgg::VGG19))
    }

    /// ResNet50: 26 million weights. He and others, *Deep Residual Learning for Image Recognition*, 2016.
    pub fn resnet50() -> Self {
        Self::new(Architecture::ResNet(resnet::RESNET50))
    }

    /// ResNet101: 45 million weights.
    pub fn resnet101() -> Self {
        Self::new(Architecture::ResNet(resnet::RESNET101))
    }

    /// ResNet152: 60 million weights.
    pub fn resnet152() -> Self {
        Self::new(Architecture::ResNet(resnet::RESNET152))
    }

    /// MobileNetV2: 3.5 million weights. Sandler and others, *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, 2018.
    pub fn mobilenet_v2() -> Self {
        Self::mobilenet_v2_of_width(1.0)
    }

    /// MobileNetV2 whose layers are `alpha` times as wide.
    pub fn mobilenet_v2_of_width(alpha: f64) -> Self {
        Self::new(Architecture::MobileNetV2 { alpha })
    }

    /// DenseNet121: 8 million weights. Huang and others, *Densely Connected Convolutional Networks*, 2017.
    pub fn densenet121() -> Self {
        Self::new(Architecture::DenseNet(densenet::DENSENET121))
    }

    /// DenseNet169: 14 million weights.
    pub fn densenet169() -> Self {
        Self::new(Architecture::DenseNet(densenet::DENSENET169))
    }

    /// DenseNet201: 20 million weights.
    pub fn densenet201() -> Self {
        Self::new(Architecture::DenseNet(densenet::DENSENET201))
    }

    /// The shape of an image, (height, width, channels); [`None`] for a size that is known by batch.
    #[must_use]
    pub fn input_shape(mut self, shape: impl IntoShape) -> Self {
        self.input_shape = Some(shape.into_shape());
        self
    }

    /// Whether the classifier is built too.
    #[must_use]
    pub fn include_top(mut self, include: bool) -> Self {
        self.include_top = include;
        self
    }

    /// How many classes the classifier tells apart.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// The activation of the classifier; [`Activation::Linear`] gives logits.
    #[must_use]
    pub fn classifier_activation(mut self, activation: Activation) -> Self {
        self.classifier_activation = activation;
        self
    }

    /// What comes after the features where the classifier is left out.
    #[must_use]
    pub fn pooling(mut self, pooling: Pooling) -> Self {
        self.pooling = pooling;
        self
    }

    /// The seed of the initial weights.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The network, computed in `f32`; [`Model::compile`] makes it ready for training.
    ///
    /// # Errors
    /// See the [type](Self).
    pub fn build(&self) -> Result<Model> {
        self.build_of()
    }

    /// The same for either scalar.
    ///
    /// # Errors
    /// See the [type](Self).
    pub fn build_of<F: Scalar>(&self) -> Result<Model<F>> {
        let name = self.architecture.name();
        self.check().map_err(|error| error.within(format!("application {name}")))?;
        let size = if self.include_top { Some(224) } else { None };
        let shape = self.input_shape.clone().unwrap_or_else(|| (size, size, 3).into_shape());
        let sizes = [shape.axes()[0], shape.axes()[1]];
        let input: Symbol<F> = Input::of(shape);
        let features = self.architecture.features(Net::new(input.clone(), sizes));
        let output = if self.include_top {
            let net = self.architecture.before_classifier(features);
            net.dense(self.classes, self.classifier_activation.clone(), "predictions")
        } else {
            match self.pooling {
                Pooling::None => features,
                Pooling::Avg => features.global_avg_pool("avg_pool"),
                Pooling::Max => features.global_max_pool("max_pool"),
            }
        };
        ModelBuilder::new([&input], [output.symbol()]).name(name).seed(self.seed).build()
    }

    fn check(&self) -> Result<()> {
        if let Some(shape) = &self.input_shape
            && shape.axes().len() != 3
        {
            return Err(Error::option("input_shape", "(height, width, channels)", shape));
        }
        if self.include_top && self.classes == 0 {
            return Err(Error::option("classes", "at least 1", self.classes));
        }
        match self.architecture {
            Architecture::MobileNetV2 { alpha } if !(alpha > 0.0 && alpha.is_finite()) => {
                Err(Error::option("alpha", "above 0", alpha))
            }
            _ => Ok(()),
        }
    }
}
