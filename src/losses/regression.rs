//! Losses for numbers.

use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::losses as kernels;
use crate::{Scalar, View, ViewMut};

loss_options! {
    /// The mean of squared errors: v = 1/n · Σᵢ (pᵢ − tᵢ)², over the last axis.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let (loss, grad) = MeanSquaredError::new().value_and_gradient(&array![[3.0f32, 1.0]], &array![[1.0f32, 1.0]])?;
    /// assert_eq!((loss, grad), (2.0, array![[2.0, 0.0]].into_dyn()));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MeanSquaredError`.
    pub struct MeanSquaredError {}
}

impl<F: Scalar> Loss<F> for MeanSquaredError {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        kernels::squared_error(&prediction, &target, prediction.last_axis(), values);
    }
    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        kernels::squared_error_backward(&prediction, &target, prediction.last_axis(), weights, &mut grad);
    }
    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }
}

loss_options! {
    /// The mean of absolute errors: v = 1/n · Σᵢ |pᵢ − tᵢ|, over the last axis. Where p = t the gradient is 0.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let (loss, grad) = MeanAbsoluteError::new().value_and_gradient(&array![[3.0f32, 1.0]], &array![[1.0f32, 1.0]])?;
    /// assert_eq!((loss, grad), (1.0, array![[0.5, 0.0]].into_dyn()));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MeanAbsoluteError`.
    pub struct MeanAbsoluteError {}
}

impl<F: Scalar> Loss<F> for MeanAbsoluteError {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        kernels::absolute_error(&prediction, &target, prediction.last_axis(), values);
    }
    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        kernels::absolute_error_backward(&prediction, &target, prediction.last_axis(), weights, &mut grad);
    }
    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }
}
