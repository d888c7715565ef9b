//! The same values in another shape or order.

use super::spatial::DataFormat;
use super::{Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder, acts_as};
use crate::config::layer_options;
use crate::kernels::reorder;
use crate::memory::room;
use crate::tensor::volume;
use crate::{Error, Result, Scalar, View, ViewMut};

/// A layer whose output is its input's memory, in the shape that `shape` gives: the executor calls neither pass.
struct SameValues<S> {
    shape: S,
    mask: MaskRule,
}

impl<F: Scalar, S: Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync> Layer<F> for SameValues<S> {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        (self.shape)(input)
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.copy_from_slice(&x);
    }

    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        if let Some(mut grad_x) = grad_x {
            grad_x.copy_from_slice(&grad_y);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().reshape().mask(self.mask)
    }
}

layer_options! {
    /// Its input, unchanged: a place that has a name, or a branch that does nothing.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters, and no value is moved.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([3]).add(Identity::new().name("embedding")).build()?;
    /// assert_eq!(model.output_shape(0), [3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Identity`.
    pub struct Identity {}
}

impl Identity {
    #[allow(clippy::unused_self)] // as every layer that acts as another
    fn acting(&self) -> SameValues<impl Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync> {
        SameValues { shape: |input: &[usize]| Ok(input.to_vec()), mask: MaskRule::Pass }
    }
}

acts_as!(Identity, ());

layer_options! {
    /// All axes of a sample in one.
    ///
    /// # Shapes
    /// (batch, a, b, …) → (batch, a·b·…); no parameters, and no value is moved.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([28, 28]).add(Flatten::new()).build()?;
    /// assert_eq!(model.output_shape(0), [784]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Flatten`.
    pub struct Flatten {
        /// In which order images have their axes. Default: channels last.
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl Flatten {
    #[allow(clippy::unused_self)] // as every layer that acts as another
    fn acting(&self) -> SameValues<impl Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync> {
        SameValues { shape: |input: &[usize]| Ok(vec![volume(input)]), mask: MaskRule::Stop }
    }
}

acts_as!(Flatten, ());

layer_options! {
    /// The same values in another shape.
    ///
    /// # Shapes
    /// (batch, …) → (batch, `target_shape`…), with as many values a sample; one axis may be −1 and is what is left. No
    /// parameters, and no value is moved.
    /// # Errors
    /// When built: more than one −1, or a number of values that does not fit.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([12]).add(Reshape::new([-1, 4])).build()?;
    /// assert_eq!(model.output_shape(0), [3, 4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Reshape`.
    pub struct Reshape(
        /// The shape of a sample; −1 is what is left.
        target_shape: Vec<isize> => impl Into<Vec<isize>>,
    ) {}
}

impl Reshape {
    fn acting(&self) -> SameValues<impl Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync> {
        SameValues { shape: |input: &[usize]| self.output(input), mask: MaskRule::Stop }
    }

    /// The shape of the output.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        let refused = || {
            Error::option("target_shape", format!("a shape of {} values, at most one axis −1", volume(input)), {
                format!("{:?}", self.target_shape)
            })
        };
        let mut known = self.target_shape.iter().filter(|&&axis| axis != -1);
        let known =
            known.try_fold(1usize, |n, &axis| n.checked_mul(usize::try_from(axis).ok()?)).ok_or_else(refused)?;
        let open = self.target_shape.iter().filter(|&&axis| axis == -1).count();
        let values = volume(input);
        let fits = match open {
            0 => known == values,
            1 => known > 0 && values.is_multiple_of(known),
            _ => false,
        };
        if !fits {
            return Err(refused());
        }
        Ok(self.target_shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(values / known.max(1))).collect())
    }
}

acts_as!(Reshape, ());

layer_options! {
    /// The axes of a sample in another order.
    ///
    /// # Shapes
    /// (batch, a₁, a₂, …) → axis i of the output is axis `dims[i]` of the input, counted from 1. No parameters.
    /// # Errors
    /// When built: `dims` is not an order of the input's axes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2, 3]).add(Permute::new([2, 1])).build()?;
    /// let y = model.predict(&array![[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]])?;
    /// assert_eq!(y, array![[[1.0f32, 4.0], [2.0, 5.0], [3.0, 6.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Permute`.
    pub struct Permute(
        /// For each axis of the output, which of the input's it is, counted from 1.
        dims: Vec<usize> => impl Into<Vec<usize>>,
    ) {}
}

impl<F: Scalar> Layer<F> for Permute {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..=input.len()) {
            let expected = format!("an order of the axes 1 to {}", input.len());
            return Err(Error::option("dims", expected, format!("{:?}", self.dims)));
        }
        Ok(self.dims.iter().map(|&axis| input[axis - 1]).collect())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        reorder::permute(&x, x.shape(), &self.dims, &mut y);
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
        if let Some(mut grad_x) = grad_x {
            reorder::permute_backward(&grad_y, x.shape(), &self.dims, &mut grad_x);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop)
    }
}

layer_options! {
    /// A vector repeated as the timesteps of a sequence.
    ///
    /// # Shapes
    /// (batch, features) → (batch, n, features); no parameters.
    /// # Errors
    /// When built: `n` is 0, or the input is not a vector.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(RepeatVector::new(3)).build()?;
    /// assert_eq!(model.predict(&array![[1.0f32, 2.0]])?, array![[[1.0f32, 2.0], [1.0, 2.0], [1.0, 2.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `RepeatVector`.
    pub struct RepeatVector(
        /// How many timesteps there are to be.
        n: usize,
    ) {}
}

impl<F: Scalar> Layer<F> for RepeatVector {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        if self.n == 0 {
            return Err(Error::option("n", "at least 1", 0));
        }
        match input {
            &[features] => {
                room::<F>("n", self.n, &[self.n, features])?;
                Ok(vec![self.n, features])
            }
            _ => Err(Error::input_shape("(features)", input)),
        }
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        reorder::repeat(&x, x.row_len(), self.n, &mut y);
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
        if let Some(mut grad_x) = grad_x {
            reorder::repeat_backward(&grad_y, x.row_len(), self.n, &mut grad_x);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop)
    }
}
