//! The two networks of the game: models of the right shapes, and ready ones by the size of the image.

use crate::layers::{BatchNormalization, Conv2D, Conv2DTranspose, Dense, Flatten, Padding, Reshape};
use crate::memory::room;
use crate::models::{Model, Sequential};
use crate::tensor::volume;
use crate::{Activation, Error, Result, Scalar};

/// A network that makes samples of noise: of (batch, latent), and of labels where it is conditional.
///
/// Any model is one whose first input is a row of numbers; a second input takes the labels, whole numbers
/// (batch) for an Embedding, or one-hot rows (batch, classes).
///
/// ```
/// use gradus::prelude::*;
///
/// let own = Sequential::new().input([8]).add(Dense::new(16).activation(Relu)).add(Dense::new(2)).build()?;
/// assert_eq!(Generator::new(own)?.latent(), 8);
/// assert_eq!(Generator::<f32>::dcgan(100, [28, 28, 1], 0)?.model().output_shape(0), [28, 28, 1]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Generator<F: Scalar = f32> {
    pub(super) model: Model<F>,
}

impl<F: Scalar> std::fmt::Debug for Generator<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("model", &self.model).finish_non_exhaustive()
    }
}

/// A network that scores samples, one number each: the higher, the more they look real. The score is a logit, so its last
/// layer has no activation.
///
/// Any model is one that gives one number; where the generator is conditional, its second input takes the labels.
///
/// ```
/// use gradus::prelude::*;
///
/// let own = Sequential::new().input([2]).add(Dense::new(16).activation(Relu)).add(Dense::new(1)).build()?;
/// Discriminator::new(own)?;
/// assert_eq!(Discriminator::<f32>::dcgan([28, 28, 1], 0)?.model().output_shape(0), [1]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Discriminator<F: Scalar = f32> {
    pub(super) model: Model<F>,
}

impl<F: Scalar> std::fmt::Debug for Discriminator<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discriminator").field("model", &self.model).finish_non_exhaustive()
    }
}

/// How many filters the convolutions of the ready networks have.
const FILTERS: [usize; 2] = [32, 64];
/// How wide the layers of the ready dense networks are.
const UNITS: usize = 256;

fn leaky() -> Activation {
    Activation::LeakyRelu { negative_slope: 0.2 }
}

/// The side lengths that two strides of 2 leave.
fn quarter(image: [usize; 3]) -> Result<(usize, usize)> {
    let [height, width, channels] = image;
    room::<f32>("image", format!("{height} × {width} × {channels}"), &[height, width, channels, FILTERS[1]])?;
    if height % 4 != 0 || width % 4 != 0 || volume(&image) == 0 {
        let expected = "sides that can be halved twice, and a channel at least";
        return Err(Error::option("image", expected, format!("{height} × {width} × {channels}")));
    }
    Ok((height / 4, width / 4))
}

impl<F: Scalar> Generator<F> {
    /// Of a custom model.
    ///
    /// # Errors
    /// If its first input is no row of numbers, it has more than two inputs, or several outputs.
    pub fn new(model: Model<F>) -> Result<Self> {
        check_ends("generator", &model)?;
        let noise = model.input_axes(0);
        if noise.fixed().is_none_or(|noise| noise.len() != 1) {
            let expected = "a generator whose first input has the shape (batch, latent)";
            return Err(Error::data("Generator::new", expected, noise.to_string()));
        }
        Ok(Self { model })
    }

    /// The generator of a DCGAN for images (height, width, channels) of values from −1 to 1: from `latent` numbers a quarter
    /// of the image with 64 channels, then two transposed convolutions 4×4 that double it, with 32 filters and with the
    /// channels of the image; batches normalized, ReLU, at the end tanh.
    ///
    /// # Errors
    /// If the sides cannot be halved twice.
    /// # Source
    /// Radford, Metz, Chintala (2016), "Unsupervised Representation Learning with Deep Convolutional GANs".
    pub fn dcgan(latent: usize, image: [usize; 3], seed: u64) -> Result<Self> {
        let (height, width) = quarter(image)?;
        let double = |filters| Conv2DTranspose::new(filters, 4).strides(2).padding(Padding::Same);
        let normalized = || BatchNormalization::new().momentum(0.9);
        let model = Sequential::<F>::default()
            .input([latent])
            .seed(seed)
            .add(Dense::new(height * width * FILTERS[1]))
            .add(Reshape::new([height, width, FILTERS[1]].map(usize::cast_signed)))
            .add(normalized())
            .add(Activation::Relu)
            .add(double(FILTERS[0]))
            .add(normalized())
            .add(Activation::Relu)
            .add(double(image[2]).activation(Activation::Tanh))
            .build()?;
        Self::new(model)
    }

    /// A generator of two dense layers of 256 units, for samples of any shape with values from −1 to 1.
    ///
    /// # Errors
    /// If the sample has no values.
    pub fn mlp(latent: usize, sample: &[usize], seed: u64) -> Result<Self> {
        room::<F>("sample", format!("{sample:?}"), sample)?;
        let model = Sequential::<F>::default()
            .input([latent])
            .seed(seed)
            .add(Dense::new(UNITS).activation(leaky()))
            .add(Dense::new(UNITS).activation(leaky()))
            .add(Dense::new(volume(sample)).activation(Activation::Tanh))
            .add(Reshape::new(sample.iter().map(|side| side.cast_signed()).collect::<Vec<_>>()))
            .build()?;
        Self::new(model)
    }

    /// How many numbers of noise a sample is made of.
    pub fn latent(&self) -> usize {
        self.model.input_shape(0)[0]
    }

    /// The model.
    pub fn model(&self) -> &Model<F> {
        &self.model
    }

    /// The model, to be changed.
    pub fn model_mut(&mut self) -> &mut Model<F> {
        &mut self.model
    }

    /// The model by itself.
    pub fn into_model(self) -> Model<F> {
        self.model
    }
}

impl<F: Scalar> Discriminator<F> {
    /// Of a custom model.
    ///
    /// # Errors
    /// If it gives more than one number, ends in a sigmoid, has more than two inputs, or several outputs.
    pub fn new(model: Model<F>) -> Result<Self> {
        check_ends("discriminator", &model)?;
        let score = model.output_axes(0);
        if score.fixed().map(volume) != Some(1) {
            let expected = "a discriminator that gives one number a sample";
            return Err(Error::data("Discriminator::new", expected, format!("an output of {score}")));
        }
        if model.output_activation() == Some(Activation::Sigmoid) {
            let expected = "a discriminator that gives logits";
            return Err(Error::data("Discriminator::new", expected, "a sigmoid at its end")
                .advise("leave the last activation out: the losses contain it"));
        }
        Ok(Self { model })
    }

    /// The discriminator of a DCGAN for images (height, width, channels): two convolutions 4×4 with strides of 2, 32 and 64
    /// filters and leaky ReLU, and a dense layer.
    ///
    /// # Errors
    /// If the sides cannot be halved twice.
    /// # Source
    /// As [`Generator::dcgan`].
    pub fn dcgan(image: [usize; 3], seed: u64) -> Result<Self> {
        quarter(image)?;
        let halve = |filters| Conv2D::new(filters, 4).strides(2).padding(Padding::Same).activation(leaky());
        let model = Sequential::<F>::default()
            .input(image)
            .seed(seed)
            .add(halve(FILTERS[0]))
            .add(halve(FILTERS[1]))
            .add(Flatten::new())
            .add(Dense::new(1))
            .build()?;
        Self::new(model)
    }

    /// A discriminator of two dense layers of 256 units, for samples of any shape.
    ///
    /// # Errors
    /// If the sample has no values.
    pub fn mlp(sample: &[usize], seed: u64) -> Result<Self> {
        let model = Sequential::<F>::default()
            .input(sample)
            .seed(seed)
            .add(Flatten::new())
            .add(Dense::new(UNITS).activation(leaky()))
            .add(Dense::new(UNITS).activation(leaky()))
            .add(Dense::new(1))
            .build()?;
        Self::new(model)
    }

    /// The model.
    pub fn model(&self) -> &Model<F> {
        &self.model
    }

    /// The model, to be changed.
    pub fn model_mut(&mut self) -> &mut Model<F> {
        &mut self.model
    }

    /// The model by itself.
    pub fn into_model(self) -> Model<F> {
        self.model
    }
}

/// Refuses a model with more ends than a sample, its labels and one result.
fn check_ends<F: Scalar>(what: &str, model: &Model<F>) -> Result<()> {
    let (inputs, outputs) = (model.graph.inputs.len(), model.graph.outputs.len());
    if inputs > 2 || outputs != 1 {
        let expected = format!("a {what} with one input, or two for labels, and one output");
        return Err(Error::data("Gan", expected, format!("{inputs} inputs and {outputs} outputs")));
    }
    Ok(())
}
