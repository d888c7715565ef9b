//! Layers that disturb their input in training: dropout and noise.

use super::spatial::DataFormat;
use super::{Context, Facts, Grads, Layer, ParamBuilder, acts_as};
use crate::config::layer_options;
use crate::kernels::{broadcast, noise, random};
use crate::{Error, Result, Scalar, View, ViewMut};

/// Which values of a sample are dropped together.
#[derive(Clone, Copy)]
enum Together<'a> {
    /// Each on its own.
    Nothing,
    /// All of a channel, the last of so many axes of a sample; what they are called.
    Channels(usize, &'static str),
    /// Along the axes that have size 1 here, the batch included; none is an axis' full size.
    Ones(&'a [Option<usize>]),
}

/// What a layer drops in this step: made in the forward pass, read again in the backward pass.
#[derive(Debug, Default)]
pub struct Mask {
    /// 1 for each value that is kept, 0 for one that is dropped.
    kept: Vec<u8>,
    /// Where values are dropped together: one draw for each such group, and their shape.
    drawn: Vec<u8>,
    shape: Vec<usize>,
}

impl Mask {
    /// Draws what is kept of `x`. What a row loses depends on its place in the batch alone, not on the shard.
    fn draw<F: Scalar>(
        &mut self,
        x: View<'_, F>,
        rate: f64,
        seed: Option<u64>,
        together: Together<'_>,
        cx: &Context<'_, F>,
    ) {
        let (key, rate, last) = (cx.random_key(seed), F::of(rate), x.shape().len() - 1);
        let draw = |first_row: usize, row_len: usize, mask: &mut [u8]| {
            let first = first_row as u64 * row_len as u64;
            random::dropout_with_mask(key, first, rate, &mut [], mask);
        };
        self.kept.resize(x.len(), 0);
        if matches!(together, Together::Nothing) {
            return draw(cx.first_row(), x.row_len(), &mut self.kept);
        }
        let size = |(axis, &size): (usize, &usize)| match together {
            Together::Ones(ones) => ones[axis].filter(|_| axis > 0 || ones[0] == Some(1)).unwrap_or(size),
            _ if axis == 0 || axis == last => size,
            _ => 1,
        };
        self.shape.clear();
        self.shape.extend(x.shape().iter().enumerate().map(size));
        self.drawn.resize(self.shape.iter().product(), 0);
        let whole_batch_alike = matches!(together, Together::Ones([Some(1), ..]));
        let first_row = if whole_batch_alike { 0 } else { cx.first_row() };
        draw(first_row, self.shape[1..].iter().product(), &mut self.drawn);
        broadcast::assign_mask(&self.drawn, &self.shape, x.shape(), &mut self.kept);
    }

    /// y ← x/(1 − rate) where a value is kept, else 0: in both directions.
    fn apply<F: Scalar>(&self, x: &[F], rate: f64, y: &mut [F]) {
        y.copy_from_slice(x);
        random::dropout_backward(&self.kept, F::of(rate), y);
    }
}

/// What a layer does in training.
enum Kind {
    Dropout { rate: f64 },
    AlphaDropout { rate: f64 },
    GaussianNoise { stddev: f64 },
    GaussianDropout { rate: f64 },
}

/// A layer without parameters whose output is as its input, and outside training its input.
struct Disturbance<'a> {
    kind: Kind,
    seed: Option<u64>,
    together: Together<'a>,
}

/// The spread that dropout of this rate has.
fn spread<F: Scalar>(rate: f64) -> F {
    F::of((rate / (1.0 - rate)).sqrt())
}

/// y ← standard normal numbers, the same for a row wherever the batch is split.
fn fill_normal<F: Scalar>(seed: Option<u64>, y: &mut ViewMut<'_, F>, cx: &Context<'_, F>) {
    let first = cx.first_row() as u64 * y.row_len() as u64;
    random::normal(cx.random_key(seed), first, y);
}

impl Disturbance<'_> {
    fn check(&self, input: &[usize]) -> Result<()> {
        if let Together::Channels(axes, expected) = self.together
            && input.len() != axes
        {
            return Err(Error::input_shape(expected, input));
        }
        let (option, value, fits, expected) = match self.kind {
            Kind::Dropout { rate } => ("rate", rate, (0.0..=1.0).contains(&rate), "in 0..=1"),
            Kind::GaussianNoise { stddev } => ("stddev", stddev, (0.0..=1.0).contains(&stddev), "in 0..=1"),
            // A rate of 1 would divide by 0.
            Kind::AlphaDropout { rate } | Kind::GaussianDropout { rate } => {
                ("rate", rate, (0.0..1.0).contains(&rate), "at least 0 and below 1")
            }
        };
        if !fits {
            return Err(Error::option(option, expected, value));
        }
        if let Together::Ones(noise_shape) = self.together { check_noise_shape(noise_shape, input) } else { Ok(()) }
    }
}

impl<F: Scalar> Layer<F> for Disturbance<'_> {
    type Cache = Mask;

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        self.check(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, mask: &mut Mask, cx: &Context<'_, F>) {
        if !cx.training() {
            return y.copy_from_slice(&x);
        }
        match self.kind {
            Kind::Dropout { rate } => {
                mask.draw(x, rate, self.seed, self.together, cx);
                mask.apply(&x, rate, &mut y);
            }
            Kind::AlphaDropout { rate } => {
                mask.draw(x, rate, self.seed, self.together, cx);
                noise::alpha_dropout(&mask.kept, F::of(rate), &x, &mut y);
            }
            Kind::GaussianNoise { stddev } => {
                fill_normal(self.seed, &mut y, cx);
                noise::gaussian_noise(&x, F::of(stddev), &mut y);
            }
            Kind::GaussianDropout { rate } => {
                fill_normal(self.seed, &mut y, cx);
                noise::gaussian_dropout(&x, spread(rate), &mut y);
            }
        }
    }

    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        mask: &mut Mask,
        cx: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        if !cx.training() {
            return grad_x.copy_from_slice(&grad_y);
        }
        match self.kind {
            Kind::Dropout { rate } => mask.apply(&grad_y, rate, &mut grad_x),
            Kind::AlphaDropout { rate } => {
                noise::alpha_dropout_backward(&mask.kept, F::of(rate), &grad_y, &mut grad_x);
            }
            Kind::GaussianNoise { .. } => grad_x.copy_from_slice(&grad_y),
            Kind::GaussianDropout { rate } => {
                // The same numbers again, made where the gradient goes.
                fill_normal(self.seed, &mut grad_x, cx);
                noise::gaussian_dropout(&grad_y, spread(rate), &mut grad_x);
            }
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).only_in_training()
    }
}

/// Refuses a noise shape that does not fit samples of the shape `input`.
fn check_noise_shape(noise_shape: &[Option<usize>], input: &[usize]) -> Result<()> {
    let fits = noise_shape.len() == input.len() + 1
        && noise_shape[0] != Some(0)
        && noise_shape[1..]
            .iter()
            .zip(input)
            .all(|(noise, &axis)| noise.is_none_or(|noise| noise == 1 || noise == axis));
    let expected = || format!("the batch and {}, or 1 in their place", crate::error::show(input));
    if fits { Ok(()) } else { Err(Error::option("noise_shape", expected(), format!("{noise_shape:?}"))) }
}

fn together(noise_shape: Option<&[Option<usize>]>) -> Together<'_> {
    noise_shape.map_or(Together::Nothing, Together::Ones)
}

layer_options! {
    /// Drops values at random in training, so that no unit relies on another: each becomes 0 with probability `rate`,
    /// and the others grow by 1/(1 − rate), which keeps their sum as it was on average.
    ///
    /// y = m·x/(1 − rate), with m = 0 or 1. Outside training y = x.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters. What a row loses does not depend on how the batch is split.
    /// # Defaults
    /// `noise_shape` none: each value on its own; `seed` none: the training's own.
    /// # Errors
    /// When built: `rate` is not in 0..=1, or `noise_shape` is not the input's shape with 1 at some axes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4]).add(Dropout::new(0.5)).add(Dense::new(1)).build()?;
    /// let x = Array2::<f32>::ones((2, 4));
    /// assert_eq!(model.predict(&x)?, model.predict(&x)?); // nothing is dropped here
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Dropout`; Srivastava et al., *Dropout*, 2014.
    pub struct Dropout(
        /// The probability that a value is dropped.
        rate: f64,
    ) {
        /// For each axis, the batch first: 1 where values are dropped together along it, none for the axis' own size.
        /// `[None, Some(1), None]` drops a feature at all timesteps or at none. Default: each value on its own.
        noise_shape: Option<Vec<Option<usize>>> = None => |shape: impl Into<Vec<Option<usize>>>| Some(shape.into()),
        /// A seed of the layer's own. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
    }
}

impl Dropout {
    fn acting(&self) -> Disturbance<'_> {
        Disturbance {
            kind: Kind::Dropout { rate: self.rate },
            seed: self.seed,
            together: together(self.noise_shape.as_deref()),
        }
    }
}

acts_as!(Dropout, Mask);

/// The spatial dropouts, which differ in the number of axes.
macro_rules! spatial_dropout {
    ($layer:ident, $what:literal, $where:literal, $axes:literal, $rank:literal, $shape:literal $(, $data_format:ident)?) => {
        layer_options! {
            #[doc = concat!("Drops whole channels of ", $what, " at random in training: each is 0 throughout with")]
            /// probability `rate`, and the others grow by 1/(1 − rate).
            ///
            #[doc = concat!("Neighbours in ", $where, " resemble each other; dropped one by one, they would only lower")]
            /// the learning rate.
            ///
            /// # Shapes
            #[doc = concat!("(batch, ", $axes, ", channels) → the same; no parameters.")]
            /// # Defaults
            /// `seed` none: the training's own.
            /// # Errors
            #[doc = concat!("When built: `rate` is not in 0..=1, or the input is not (", $axes, ", channels).")]
            /// # Example
            /// ```
            /// use gradus::prelude::*;
            ///
            #[doc = concat!("let layer = ", stringify!($layer), "::new(0.2);")]
            #[doc = concat!("let model = Sequential::new().input(", $shape, ").add(layer).build()?;")]
            #[doc = concat!("assert_eq!(model.output_shape(0), ", $shape, ");")]
            /// # Ok::<(), gradus::Error>(())
            /// ```
            /// # Source
            #[doc = concat!("Keras `", stringify!($layer), "`; Tompson et al., *Efficient object localization*, 2015.")]
            pub struct $layer(
                /// The probability that a channel is dropped.
                rate: f64,
            ) {
                /// A seed of the layer's own. Default: the training's.
                seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
                $(
                    /// Where the channels stand: last.
                    $data_format: DataFormat = DataFormat::ChannelsLast,
                )?
            }
        }

        impl $layer {
            fn acting(&self) -> Disturbance<'_> {
                Disturbance { kind: Kind::Dropout { rate: self.rate }, seed: self.seed, together: Together::Channels($rank, concat!("(", $axes, ", channels)")) }
            }
        }

        acts_as!($layer, Mask);
    };
}

spatial_dropout!(SpatialDropout1D, "a sequence", "time", "timesteps", 2, "[5, 3]");
spatial_dropout!(SpatialDropout2D, "an image", "space", "height, width", 3, "[4, 4, 3]", data_format);
spatial_dropout!(SpatialDropout3D, "a volume", "space", "depth, height, width", 4, "[2, 4, 4, 3]", data_format);

layer_options! {
    /// Adds normal noise in training: a way to more data from the data there is.
    ///
    /// y = x + `stddev`·n, with n standard normal. Outside training y = x.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `seed` none: the training's own.
    /// # Errors
    /// When built: `stddev` is not in 0..=1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(GaussianNoise::new(0.1)).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, 2.0]])?, array![[1.0f32, 2.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GaussianNoise`.
    pub struct GaussianNoise(
        /// The noise's standard deviation.
        stddev: f64,
    ) {
        /// A seed of the layer's own. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
    }
}

impl GaussianNoise {
    fn acting(&self) -> Disturbance<'_> {
        Disturbance { kind: Kind::GaussianNoise { stddev: self.stddev }, seed: self.seed, together: Together::Nothing }
    }
}

acts_as!(GaussianNoise, Mask);

layer_options! {
    /// Multiplies by normal noise around 1 in training, with the spread that dropout of this rate has.
    ///
    /// y = x·(1 + √(rate/(1 − rate))·n), with n standard normal. Outside training y = x.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `seed` none: the training's own.
    /// # Errors
    /// When built: `rate` is below 0, or 1 and more, where the spread has no bound.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(GaussianDropout::new(0.1)).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, 2.0]])?, array![[1.0f32, 2.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GaussianDropout`; Srivastava et al., *Dropout*, 2014.
    pub struct GaussianDropout(
        /// The rate of the dropout that it stands for.
        rate: f64,
    ) {
        /// A seed of the layer's own. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
    }
}

impl GaussianDropout {
    fn acting(&self) -> Disturbance<'_> {
        Disturbance { kind: Kind::GaussianDropout { rate: self.rate }, seed: self.seed, together: Together::Nothing }
    }
}

acts_as!(GaussianDropout, Mask);

layer_options! {
    /// Dropout for networks of `selu` units, which keeps mean 0 and variance 1: dropped values go to where `selu`
    /// saturates, and all are scaled and moved.
    ///
    /// y = a·x + b where x is kept, a·α′ + b where it is dropped, with α′ = −1.7581,
    /// a = ((1 − rate)·(1 + rate·α′²))^−½ and b = −a·α′·rate. Outside training y = x.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `noise_shape` none: each value on its own; `seed` none: the training's own.
    /// # Errors
    /// When built: `rate` is below 0, or 1 and more, where nothing is left to scale; or `noise_shape` is not the input's
    /// shape with 1 at some axes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(AlphaDropout::new(0.1)).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, 2.0]])?, array![[1.0f32, 2.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `AlphaDropout`; Klambauer et al., *Self-normalizing neural networks*, 2017.
    pub struct AlphaDropout(
        /// The probability that a value is dropped.
        rate: f64,
    ) {
        /// As in [`Dropout`]: 1 for axes along which values are dropped together. Default: each value on its own.
        noise_shape: Option<Vec<Option<usize>>> = None => |shape: impl Into<Vec<Option<usize>>>| Some(shape.into()),
        /// A seed of the layer's own. Default: the training's.
        seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
    }
}

impl AlphaDropout {
    fn acting(&self) -> Disturbance<'_> {
        Disturbance {
            kind: Kind::AlphaDropout { rate: self.rate },
            seed: self.seed,
            together: together(self.noise_shape.as_deref()),
        }
    }
}

acts_as!(AlphaDropout, Mask);
