//! Enlargement of sequences, images and volumes.

use serde_json::{Value, json};

use super::spatial::{self, DataFormat, PerAxis};
use super::{Context, Facts, Grads, Layer, MaskRule, ParamBuilder, acts_as};
use crate::config::{Setting, expected, layer_options};
use crate::kernels::resample;
use crate::memory::room;
use crate::{Result, Scalar, View, ViewMut};

/// How an enlarged image is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interpolation {
    /// Every pixel is repeated.
    #[default]
    Nearest,
    /// Between the centres of four pixels, by their distances.
    Bilinear,
}

impl Setting for Interpolation {
    fn to_value(&self) -> Value {
        match self {
            Self::Nearest => json!("nearest"),
            Self::Bilinear => json!("bilinear"),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value.as_str().map(str::to_lowercase).as_deref() {
            Some("nearest") => Ok(Self::Nearest),
            Some("bilinear") => Ok(Self::Bilinear),
            _ => Err(expected("`nearest` or `bilinear`", value)),
        }
    }
}

/// The shape of the output.
///
/// # Errors
/// If the input has other axes, a factor is 0, or no memory could hold the output.
fn enlarged<const N: usize>(input: &[usize], times: [usize; N]) -> Result<Vec<usize>> {
    let (sizes, channels) = spatial::axes::<N>(input)?;
    spatial::check_positive("size", &times)?;
    let mut output = Vec::with_capacity(N + 1);
    output.extend(sizes.into_iter().zip(times).map(|(size, times)| size.saturating_mul(times)));
    output.push(channels);
    room::<f32>("size", format!("{times:?}"), &output)?;
    Ok(output)
}

/// Three axes for the kernels; those that are missing have size 1 and stand in front.
fn three<const N: usize>(numbers: [usize; N]) -> [usize; 3] {
    let mut all = [1; 3];
    all[3 - N..].copy_from_slice(&numbers);
    all
}

/// A layer that enlarges N axes.
struct Enlarging<const N: usize> {
    times: [usize; N],
    /// Bilinear along two axes only.
    interpolation: Interpolation,
}

impl<const N: usize> Enlarging<N> {
    /// The sizes of samples that the layer was built for, and how many channels they have; `x` with its batch.
    fn sizes<F: Scalar>(&self, x: View<'_, F>) -> ([usize; 3], usize) {
        let (sizes, channels) = spatial::axes::<N>(&x.shape()[1..]).expect("refused when it was built");
        (three(sizes), channels)
    }
}

impl<F: Scalar, const N: usize> Layer<F> for Enlarging<N> {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        enlarged(input, self.times)
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        let (sizes, c) = self.sizes(x);
        let times = three(self.times);
        match self.interpolation {
            Interpolation::Nearest => resample::enlarge(sizes, times, c, &x, &mut y),
            Interpolation::Bilinear => resample::bilinear(image(sizes), enlarged_image(sizes, times), c, &x, &mut y),
        }
    }

    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        let (sizes, c) = self.sizes(x);
        let times = three(self.times);
        match self.interpolation {
            Interpolation::Nearest => resample::enlarge_backward(sizes, times, c, &grad_y, &mut grad_x),
            Interpolation::Bilinear => {
                resample::bilinear_backward(image(sizes), enlarged_image(sizes, times), c, &grad_y, &mut grad_x);
            }
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).mask(MaskRule::Stop)
    }
}

/// Height and width.
fn image([_, height, width]: [usize; 3]) -> [usize; 2] {
    [height, width]
}

/// Those of the output.
fn enlarged_image(sizes: [usize; 3], times: [usize; 3]) -> [usize; 2] {
    [sizes[1] * times[1], sizes[2] * times[2]]
}

layer_options! {
    /// Repeats every step of a sequence.
    ///
    /// y[b, t, c] = x[b, ⌊t / size⌋, c]
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, steps·size, channels); no parameters.
    /// # Defaults
    /// `size` 2.
    /// # Errors
    /// When built: `size` is 0, the input has not two axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 1]).add(UpSampling1D::new()).build()?;
    /// let y = model.predict(&array![[[1.0f32], [2.0]]])?;
    /// assert_eq!(y, array![[[1.0f32], [1.0], [2.0], [2.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `UpSampling1D`; derived in `docs/backward.md`, "Resizing".
    pub struct UpSampling1D {
        /// How often a step is repeated. Default: 2.
        size: [usize; 1] = [2] => |size: impl Into<PerAxis<1>>| size.into().0,
    }
}

impl UpSampling1D {
    fn acting(&self) -> Enlarging<1> {
        Enlarging { times: self.size, interpolation: Interpolation::Nearest }
    }
}

acts_as!(UpSampling1D, ());

layer_options! {
    /// Enlarges images by whole factors: repeats pixels, or takes them from between four.
    ///
    /// Nearest: y[b, i, j, c] = x[b, ⌊i / sh⌋, ⌊j / sw⌋, c]. Bilinear: at ((i + ½)/sh − ½, (j + ½)/sw − ½), the outermost
    /// pixels beyond the border.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, height·sh, width·sw, channels); no parameters.
    /// # Defaults
    /// `size` (2, 2), `interpolation` nearest.
    /// # Errors
    /// When built: a `size` is 0, the input has not three axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model =
    ///     Sequential::new().input([1, 2, 1]).add(UpSampling2D::new().interpolation(Interpolation::Bilinear)).build()?;
    /// let y = model.predict(&array![[[[0.0f32], [4.0]]]])?;
    /// assert_eq!(y, array![[[[0.0f32], [1.0], [3.0], [4.0]], [[0.0], [1.0], [3.0], [4.0]]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `UpSampling2D`; derived in `docs/backward.md`, "Resizing".
    pub struct UpSampling2D {
        /// How many times as high and as wide. Default: 2.
        size: [usize; 2] = [2; 2] => |size: impl Into<PerAxis<2>>| size.into().0,
        /// Whether pixels are repeated or taken from between others. Default: nearest, repeated.
        interpolation: Interpolation = Interpolation::Nearest,
        /// Where the channels stand: last.
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl UpSampling2D {
    fn acting(&self) -> Enlarging<2> {
        Enlarging { times: self.size, interpolation: self.interpolation }
    }
}

acts_as!(UpSampling2D, ());

layer_options! {
    /// Repeats every cell of a volume along depth, height and width.
    ///
    /// y[b, i, j, k, c] = x[b, ⌊i / sd⌋, ⌊j / sh⌋, ⌊k / sw⌋, c]
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, depth·sd, height·sh, width·sw, channels); no parameters.
    /// # Defaults
    /// `size` (2, 2, 2).
    /// # Errors
    /// When built: a `size` is 0, the input has not four axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 4, 4, 3]).add(UpSampling3D::new().size([1, 2, 3])).build()?;
    /// assert_eq!(model.output_shape(0), [2, 8, 12, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `UpSampling3D`; derived in `docs/backward.md`, "Resizing".
    pub struct UpSampling3D {
        /// How many times as deep, high and wide. Default: 2.
        size: [usize; 3] = [2; 3] => |size: impl Into<PerAxis<3>>| size.into().0,
        /// Where the channels stand: last.
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl UpSampling3D {
    fn acting(&self) -> Enlarging<3> {
        Enlarging { times: self.size, interpolation: Interpolation::Nearest }
    }
}

acts_as!(UpSampling3D, ());
