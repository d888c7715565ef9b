//! Generative adversarial networks: a generator that makes samples of noise, and a discriminator that tells them from
//! real ones, each trained against the other.
//!
//! [`Gan`] is the game; [`Generator`] and [`Discriminator`] are its players, models of any kind or ready ones. One step
//! of training is, in Keras's order,
//!
//! ```text
//! k times:  x real, z noise:  the discriminator learns  L(s(x), real) + L(s(G(z)), made), G constant
//! once:     z new noise:      the generator learns      L_G(s(G(z))), the discriminator constant
//! ```
//!
//! All passes run as in training: batch normalization takes each batch's own statistics and moves its averages. The
//! losses and their derivatives stand at [`GanLoss`]. Everything here is made of
//! [`Model::forward`](crate::engine::Network::forward), [`Model::backward`](crate::engine::Network::backward), [`Pass`] and [`Driver`], which are public: `examples/gan_by_hand.rs` writes the same game in forty lines.
//!
//! The gradient penalty of WGAN-GP is not here: its gradient needs the second derivative of every layer of the
//! discriminator, a third pass beside forward and backward that no layer has. [`SpectralNormalization`] bounds the
//! discriminator's derivative without one.
//!
//! [`SpectralNormalization`]: crate::models::SpectralNormalization

mod learner;
mod loss;
mod networks;
mod step;

pub use loss::GanLoss;
pub use networks::{Discriminator, Generator};
pub use step::DiscriminatorStep;

use std::sync::Arc;

use ndarray::ArrayD;

use crate::layers::Mode;
use crate::models::{IntoInputs, Model, Pass};
use crate::optimizers::{Adam, Driver, Optimizer};
use crate::{Error, Result, Scalar, Tensor, random};

/// How noise is distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noise {
    /// Standard normal.
    #[default]
    Normal,
    /// Uniform from −1 to 1.
    Uniform,
}

/// A generator and a discriminator in training.
///
/// ```
/// use gradus::prelude::*;
///
/// // Points on a line, to be imitated.
/// let real = Array2::from_shape_fn((64, 2), |(i, axis)| (i as f32 / 32.0 - 1.0) * if axis == 0 { 1.0 } else { 0.5 });
/// let mut gan = Gan::new(Generator::mlp(4, &[2], 0)?, Discriminator::mlp(&[2], 1)?).build()?;
/// let history = gan.fit(&real, Fit::new().batch_size(16).epochs(2).verbose(0))?;
/// assert_eq!(history.names(), ["d_loss", "g_loss", "d_real", "d_fake"]);
/// assert_eq!(gan.sample(3, 0)?.shape(), [3, 2]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Gan<F: Scalar = f32> {
    generator: Model<F>,
    discriminator: Model<F>,
    options: Options,
    generator_driver: Driver<F>,
    discriminator_driver: Driver<F>,
    work: Work<F>,
    /// Steps of the generator that have been made.
    steps: u64,
    epochs: usize,
}

impl<F: Scalar> std::fmt::Debug for Gan<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gan")
            .field("generator", &self.generator)
            .field("discriminator", &self.discriminator)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// What a [`Gan`] is built with.
#[derive(Clone, Copy, Debug)]
struct Options {
    loss: GanLoss,
    discriminator_steps: usize,
    real_label: f64,
    noise: Noise,
    instance_noise: f64,
    weight_clip: Option<f64>,
    reuse_fakes: bool,
    seed: u64,
}

/// A [`Gan`] about to be built.
///
/// # Defaults
/// `loss` non-saturating, Adam with a rate of 2·10⁻⁴ and β₁ 0.5 for both, `discriminator_steps` 1, `real_label` 1, `noise`
/// normal, `instance_noise` 0, no `weight_clip`, `reuse_fakes` false, `seed` 0.
pub struct GanBuilder<F: Scalar> {
    generator: Generator<F>,
    discriminator: Discriminator<F>,
    options: Options,
    generator_optimizer: Arc<dyn Optimizer<F>>,
    discriminator_optimizer: Arc<dyn Optimizer<F>>,
}

impl<F: Scalar> std::fmt::Debug for GanBuilder<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GanBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The memory of a step, reused from step to step.
struct Work<F: Scalar> {
    /// The generator's pass, whose output the discriminator sees.
    making: Pass<F>,
    /// The discriminator's passes over real and over made samples.
    real: Pass<F>,
    made: Pass<F>,
    /// The discriminator's pass through which the generator learns.
    judging: Pass<F>,
    /// Samples with instance noise.
    samples: Tensor<F>,
    /// The scores' gradients.
    grad: Tensor<F>,
    /// Instance noise.
    noise: Vec<F>,
    /// Noise that samples are made of.
    latent: Tensor<F>,
}

impl<F: Scalar> GanBuilder<F> {
    /// What the two are trained on. Default: [`GanLoss::NonSaturating`].
    pub fn loss(mut self, loss: GanLoss) -> Self {
        self.options.loss = loss;
        self
    }

    /// The generator's optimizer. Default: Adam, 2·10⁻⁴, β₁ 0.5.
    pub fn generator_optimizer(mut self, optimizer: impl Optimizer<F> + 'static) -> Self {
        self.generator_optimizer = Arc::new(optimizer);
        self
    }

    /// The discriminator's optimizer. Default: Adam, 2·10⁻⁴, β₁ 0.5.
    pub fn discriminator_optimizer(mut self, optimizer: impl Optimizer<F> + 'static) -> Self {
        self.discriminator_optimizer = Arc::new(optimizer);
        self
    }

    /// How many steps the discriminator makes for one of the generator. Default: 1.
    pub fn discriminator_steps(mut self, steps: usize) -> Self {
        self.options.discriminator_steps = steps;
        self
    }

    /// The label of real samples: below 1 it is smoothed on one side. Default: 1.
    pub fn real_label(mut self, label: f64) -> Self {
        self.options.real_label = label;
        self
    }

    /// How noise is distributed. Default: normal.
    pub fn noise(mut self, noise: Noise) -> Self {
        self.options.noise = noise;
        self
    }

    /// The standard deviation of noise on all that the discriminator sees. Default: 0.
    pub fn instance_noise(mut self, stddev: f64) -> Self {
        self.options.instance_noise = stddev;
        self
    }

    /// Cuts the discriminator's weights to −c..=c after each of its steps, for [`GanLoss::Wasserstein`]. Default: none.
    pub fn weight_clip(mut self, c: f64) -> Self {
        self.options.weight_clip = Some(c);
        self
    }

    /// Whether the generator learns from the samples that the discriminator has just seen, as PyTorch's tutorial does,
    /// instead of new ones: one pass of the generator a step less. Default: false.
    pub fn reuse_fakes(mut self, reuse: bool) -> Self {
        self.options.reuse_fakes = reuse;
        self
    }

    /// The seed of noise, shuffling, labels and the layers' randomness. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// The game, ready to be trained.
    ///
    /// # Errors
    /// If what the generator makes is not what the discriminator takes, one takes labels and the other does not, or an
    /// option is outside its range.
    pub fn build(self) -> Result<Gan<F>> {
        let Self { generator, discriminator, options, .. } = self;
        let (generator, discriminator) = (generator.model, discriminator.model);
        let (made, taken) = (generator.output_axes(0), discriminator.input_axes(0));
        if !made.fixed().is_some_and(|made| taken.fits(made)) {
            let expected = format!("a generator that makes {taken}, which the discriminator takes");
            return Err(Error::data("Gan", expected, made.to_string()));
        }
        let labels = |model: &Model<F>| model.graph.inputs.len() == 2;
        if labels(&generator) != labels(&discriminator) {
            let with = |model| if labels(model) { "with labels" } else { "without labels" };
            let received = format!("a generator {} and a discriminator {}", with(&generator), with(&discriminator));
            return Err(Error::data("Gan", "labels in both networks or in neither", received));
        }
        let option = |name: &str, fits: bool, expected: &str, value: f64| {
            if fits { Ok(()) } else { Err(Error::option(name, expected, value).within("Gan")) }
        };
        let steps = options.discriminator_steps;
        option("discriminator_steps", steps > 0, "at least 1", steps as f64)?;
        let stddev = options.instance_noise;
        option("instance_noise", stddev.is_finite() && stddev >= 0.0, "a finite number, at least 0", stddev)?;
        let clip = options.weight_clip.unwrap_or(1.0);
        option("weight_clip", clip.is_finite() && clip > 0.0, "a finite number above 0", clip)?;
        options.loss.check_real_label(options.real_label).map_err(|error| error.within("Gan"))?;
        let in_network = |network: &'static str| move |error: Error| error.within(network);
        Ok(Gan {
            generator_driver: Driver::new(self.generator_optimizer, &generator).map_err(in_network("generator"))?,
            discriminator_driver: Driver::new(self.discriminator_optimizer, &discriminator)
                .map_err(in_network("discriminator"))?,
            work: Work {
                making: generator.pass(),
                real: discriminator.pass(),
                made: discriminator.pass(),
                judging: discriminator.pass_of_input_gradients(),
                samples: Tensor::default(),
                grad: Tensor::default(),
                noise: Vec::new(),
                latent: Tensor::without_rows(&generator.input_shape(0)[..1]),
            },
            generator,
            discriminator,
            options,
            steps: 0,
            epochs: 0,
        })
    }
}

impl<F: Scalar> Gan<F> {
    /// A game between these two; see [`GanBuilder`] for its options.
    #[allow(clippy::new_ret_no_self)] // it is made in two steps, as models are
    pub fn new(generator: Generator<F>, discriminator: Discriminator<F>) -> GanBuilder<F> {
        let adam: Arc<dyn Optimizer<F>> = Arc::new(Adam::new().learning_rate(2e-4).beta_1(0.5));
        GanBuilder {
            generator,
            discriminator,
            options: Options {
                loss: GanLoss::default(),
                discriminator_steps: 1,
                real_label: 1.0,
                noise: Noise::default(),
                instance_noise: 0.0,
                weight_clip: None,
                reuse_fakes: false,
                seed: 0,
            },
            generator_optimizer: adam.clone(),
            discriminator_optimizer: adam,
        }
    }

    /// The generator as it stands.
    pub fn generator(&self) -> &Model<F> {
        &self.generator
    }

    /// The discriminator as it stands.
    pub fn discriminator(&self) -> &Model<F> {
        &self.discriminator
    }

    /// The two networks by themselves.
    pub fn into_models(self) -> (Model<F>, Model<F>) {
        (self.generator, self.discriminator)
    }

    /// How many numbers of noise a sample is made of.
    pub fn latent(&self) -> usize {
        self.generator.input_shape(0)[0]
    }

    /// How many steps the generator has made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The learning rate of the generator's next step.
    pub fn generator_learning_rate(&self) -> f64 {
        self.generator_driver.learning_rate()
    }

    /// The learning rate of the discriminator's next step.
    pub fn discriminator_learning_rate(&self) -> f64 {
        self.discriminator_driver.learning_rate()
    }

    /// Computes on exactly `count` threads; see [`Model::set_threads`](crate::engine::Network::set_threads).
    ///
    /// # Errors
    /// If `count` is 0 or more than 1024, or the system does not grant them.
    pub fn set_threads(&mut self, count: usize) -> Result<()> {
        self.generator.set_threads(count)?;
        self.discriminator.threads = self.generator.threads.clone();
        Ok(())
    }

    /// What the generator makes of this noise (batch, latent), or of (noise, labels).
    ///
    /// # Errors
    /// If the noise has another width, or labels are missing or of the wrong shape.
    pub fn generate<'a>(&self, noise: impl IntoInputs<'a, F>) -> Result<ArrayD<F>> {
        self.generator.predict(noise)
    }

    /// `count` samples of noise that depends on `seed` alone.
    ///
    /// # Errors
    /// If there is no memory for so many; or the generator is conditional: make [`noise`](Self::noise), and [`generate`](Self::generate) with labels.
    pub fn sample(&self, count: usize, seed: u64) -> Result<ArrayD<F>> {
        let sample = self.generator.output_axes(0).fixed().unwrap_or_default();
        let sizes = [sample, &[count]].concat();
        crate::memory::room::<F>("count", count, &sizes).map_err(|error| error.within("Gan::sample"))?;
        crate::memory::room::<F>("count", count, &[count, self.latent()])
            .map_err(|error| error.within("Gan::sample"))?;
        self.generate(&self.noise(count, seed))
    }

    /// Noise for `count` samples, the same for the same seed: to show how a sample changes as training goes on.
    ///
    /// # Panics
    /// If no memory could hold it: [`sample`](Self::sample) gives an error.
    pub fn noise(&self, count: usize, seed: u64) -> ArrayD<F> {
        let mut values = vec![F::zero(); count * self.latent()];
        fill_noise(self.options.noise, random::mix(seed ^ random::hash("gan/shown")), &mut values);
        ArrayD::from_shape_vec(vec![count, self.latent()], values).expect("as many values as asked for")
    }

    /// The number of a pass of this step among all.
    fn pass_number(&self, part: usize) -> u64 {
        self.steps * self.options.discriminator_steps as u64 + part as u64
    }

    /// The circumstances of a pass of this step: each has randomness of its own.
    fn mode(&self, purpose: &str, part: usize) -> Mode {
        Mode::Training { seed: self.options.seed ^ random::hash(purpose), step: self.pass_number(part) }
    }

    /// A key for random numbers of this step.
    fn key(&self, purpose: &str, part: usize) -> u64 {
        random::mix(random::mix(self.options.seed ^ random::hash(purpose)) ^ self.pass_number(part))
    }
}

/// Fills `out` with noise.
fn fill_noise<F: Scalar>(noise: Noise, key: u64, out: &mut [F]) {
    match noise {
        Noise::Normal => crate::kernels::random::normal(key, 0, out),
        Noise::Uniform => {
            crate::kernels::random::uniform(key, 0, out);
            let two = F::of(2.0);
            for z in out {
                *z = two * *z - F::one();
            }
        }
    }
}
