//! A penalty on activations, as a layer.

use super::{Context, Description, Grads, Layer, ParamBuilder};
use crate::config::layer_options;
use crate::regularizers::Regularizer;
use crate::{Result, Scalar, View, ViewMut};

layer_options! {
    /// Passes its input on, and adds a penalty on it to the loss: Σ over values of (l1·|x| + l2·x²), divided by the batch
    /// size.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `l1` 0, `l2` 0.
    /// # Errors
    /// None.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let sparse = ActivityRegularization::new().l1(1e-4);
    /// let model = Sequential::new().input([8]).add(Dense::new(64).activation(Relu)).add(sparse).build()?;
    /// assert_eq!(model.output_shape(0), [64]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ActivityRegularization`.
    pub struct ActivityRegularization {
        /// The factor of Σ |x|. Default: 0.
        l1: f64 = 0.0,
        /// The factor of Σ x². Default: 0.
        l2: f64 = 0.0,
    }
}

impl<F: Scalar> Layer<F> for ActivityRegularization {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.copy_from_slice(&x);
    }

    /// The executor has added the penalty's gradient to `grad_y`.
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

    fn describe(&self) -> Description {
        Description::of(self).activity_regularizer(Some(&Regularizer::L1L2 { l1: self.l1, l2: self.l2 }))
    }
}
