//! Masks: which timesteps of a sequence count.

use super::{
    Context, Description, Facts, GradInputs, Grads, Inputs, Layer, MakesMask, MaskRule, MultiLayer, ParamBuilder,
};
use crate::config::layer_options;
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

layer_options! {
    /// Masks the timesteps all of whose features are `mask_value`: recurrent layers, attention and losses after it pass
    /// over them.
    ///
    /// y = x where a timestep counts, else 0. A mask (batch, timesteps) goes on beside y.
    ///
    /// # Shapes
    /// (batch, timesteps, features) → the same; no parameters.
    /// # Defaults
    /// `mask_value` 0.
    /// # Errors
    /// When built: the input is not (timesteps, features).
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([3, 1]).add(Masking::new().mask_value(-1.0)).add(LSTM::new(2)).build()?;
    /// let (short, long) = (array![[[0.5f32], [0.7], [-1.0]]], array![[[-1.0f32], [0.5], [0.7]]]);
    /// assert_eq!(model.predict(&short)?, model.predict(&long)?);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Masking`.
    pub struct Masking {
        /// What a masked timestep's features are. Default: 0.
        mask_value: f64 = 0.0,
    }
}

impl Masking {
    /// Whether a timestep counts.
    fn counts<F: Scalar>(&self, step: &[F]) -> bool {
        let value = F::of(self.mask_value);
        step.iter().any(|&x| x != value)
    }

    /// y ← from where x counts, else 0.
    fn apply<F: Scalar>(&self, x: View<'_, F>, from: &[F], y: &mut [F]) {
        let features = x.last_axis();
        let steps = x.chunks_exact(features).zip(from.chunks_exact(features));
        for ((x, from), y) in steps.zip(y.chunks_exact_mut(features)) {
            if self.counts(x) {
                y.copy_from_slice(from);
            } else {
                y.fill(F::zero());
            }
        }
    }
}

impl<F: Scalar> Layer<F> for Masking {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        if input.len() == 2 { Ok(input.to_vec()) } else { Err(Error::input_shape("(timesteps, features)", input)) }
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        self.apply(x, &x, &mut y);
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
            self.apply(x, &grad_y, &mut grad_x);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Make)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }
}

impl<F: Scalar> MakesMask<F> for Masking {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let x = inputs.get(0);
        mask.iter_mut().zip(x.chunks_exact(x.last_axis())).for_each(|(mask, step)| *mask = self.counts(step));
    }
}

layer_options! {
    /// A sequence with a mask that is an input of its own: what Keras calls a layer's `mask` argument.
    ///
    /// y = x, and beside it the mask, true where the second input is above ½: given as 0 and 1.
    ///
    /// # Shapes
    /// (batch, timesteps, …) and (batch, timesteps) → the first; no parameters, and the mask has gradient 0.
    /// # Errors
    /// When built: not two inputs, or the mask's timesteps differ.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (x, mask) = (Input::new([3, 1]), Input::new([3]));
    /// let masked = call(WithMask::new(), [&x, &mask]);
    /// let model = ModelBuilder::new([&x, &mask], [&masked.apply(LSTM::new(2))]).build()?;
    /// let y = model.predict((&array![[[0.5f32], [0.7], [9.0]]], &array![[1, 1, 0]]))?;
    /// assert_eq!(y, model.predict((&array![[[0.5f32], [0.7], [-3.0]]], &array![[1, 1, 0]]))?);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub struct WithMask {}
}

impl<F: Scalar> MultiLayer<F> for WithMask {
    type Cache = ();

    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let &[x, mask] = inputs else {
            return Err(Error::option("inputs", "a sequence and a mask", format!("{} tensors", inputs.len())));
        };
        match x.first() {
            None => Err(Error::input_shape("(timesteps, …)", x)),
            Some(&steps) if mask != [steps] => Err(Error::shape(format!("a mask ({steps})"), mask)),
            Some(_) => Ok(vec![x.to_vec()]),
        }
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], (): &mut (), _: &Context<'_, F>) {
        outputs[0].data_mut().copy_from_slice(&inputs.get(0));
    }

    fn backward(
        &self,
        _: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        grad_inputs.write(0, |mut grad_x| grad_x.copy_from_slice(grad_outputs[0].data()));
        grad_inputs.write(1, |mut grad| grad.fill(F::zero()));
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Make)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }
}

impl<F: Scalar> MakesMask<F> for WithMask {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let half = F::of(0.5);
        mask.iter_mut().zip(inputs.get(1).iter()).for_each(|(mask, &given)| *mask = given > half);
    }
}
