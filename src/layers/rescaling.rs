//! Pixels and the like to another range.

use super::{Context, Description, Facts, Grads, Layer, ParamBuilder};
use crate::config::layer_options;
use crate::kernels::elementwise;
use crate::{Result, Scalar, View, ViewMut};

layer_options! {
    /// y = `scale`·x + `offset`: what a data set's values become before they are learned from.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `offset` 0.
    /// # Errors
    /// None.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(Rescaling::new(1.0 / 127.5).offset(-1.0)).build()?;
    /// assert_eq!(model.predict(&array![[0.0f32, 255.0]])?, array![[-1.0f32, 1.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Rescaling`.
    pub struct Rescaling(
        /// What x is multiplied by.
        scale: f64,
    ) {
        /// What is then added. Default: 0.
        offset: f64 = 0.0,
    }
}

impl<F: Scalar> Layer<F> for Rescaling {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        elementwise::affine(&x, F::of(self.scale), F::of(self.offset), &mut y);
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
            elementwise::affine(&grad_y, F::of(self.scale), F::zero(), &mut grad_x);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
