//! Losses that ask for a margin or a direction, not for a value.

use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::margin as kernels;
use crate::kernels::pointwise::{Pointwise, pointwise, pointwise_backward};
use crate::losses::crossentropy::{class_axis, resolve_axis, without_axis};
use crate::{Result, Scalar, View, ViewMut};

/// A hinge: its documentation, its case of [`Pointwise`].
macro_rules! hinge_loss {
    ($(#[$meta:meta])* $name:ident, $case:ident) => {
        loss_options! {
            $(#[$meta])*
            pub struct $name {}
        }

        impl $name {
            /// Targets 0 and 1 count as −1 and 1, if the whole batch has no other.
            fn case<F: Scalar>(cx: &LossContext<'_, F>) -> Pointwise<F> {
                let others = cx.totals[0];
                let (scale, shift) = if others == F::zero() { (2.0, -1.0) } else { (1.0, 0.0) };
                Pointwise::$case { scale: F::of(scale), shift: F::of(shift) }
            }
        }

        impl<F: Scalar> Loss<F> for $name {
            fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], cx: &LossContext<'_, F>) {
                pointwise(Self::case(cx), &prediction, &target, prediction.last_axis(), values);
            }

            fn gradient(
                &self,
                prediction: View<'_, F>,
                target: View<'_, F>,
                weights: &[F],
                mut grad: ViewMut<'_, F>,
                cx: &LossContext<'_, F>,
            ) {
                pointwise_backward(Self::case(cx), &prediction, &target, prediction.last_axis(), weights, &mut grad);
            }

            fn describe(&self) -> LossDescription {
                LossDescription::of(self, self.reduction)
            }

            fn sums(&self, _: &[usize]) -> usize {
                1
            }

            fn partial_sums(&self, _: View<'_, F>, target: View<'_, F>, sums: &mut [F]) {
                let others = target.iter().filter(|&&t| t != F::zero() && t != F::one()).count();
                sums[0] += F::of(others as f64);
            }
        }
    };
}

hinge_loss! {
    /// A margin of 1 between two classes: v = 1/n · Σᵢ max(1 − tᵢpᵢ, 0), for targets −1 and 1; targets 0 and 1 count as
    /// these, if the whole batch has no others.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = Hinge::new().call(&array![[0.5f64, -2.0]], &array![[1.0, -1.0]])?;
    /// assert_eq!(loss, 0.25);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Hinge`.
    Hinge, Hinge
}

hinge_loss! {
    /// The squares of [`Hinge`]: v = 1/n · Σᵢ max(1 − tᵢpᵢ, 0)².
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = SquaredHinge::new().call(&array![[0.5f64, -2.0]], &array![[1.0, -1.0]])?;
    /// assert_eq!(loss, 0.125);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SquaredHinge`.
    SquaredHinge, SquaredHinge
}

loss_options! {
    /// A margin of 1 between the right class and the best of the others: v = max(1 + max_c (1 − t_c)p_c − Σ_c t_cp_c, 0).
    ///
    /// Of classes that tie for the best the gradient goes to each in equal parts.
    ///
    /// # Shapes
    /// Prediction and one-hot target (batch, …, classes); a value each (batch, …).
    /// # Defaults
    /// `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = CategoricalHinge::new().call(&array![[0.5f64, 2.0]], &array![[1.0, 0.0]])?;
    /// assert_eq!(loss, 2.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `CategoricalHinge`.
    pub struct CategoricalHinge {}
}

impl<F: Scalar> Loss<F> for CategoricalHinge {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        kernels::categorical_hinge(&prediction, &target, prediction.last_axis(), values);
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        kernels::categorical_hinge_backward(&prediction, &target, prediction.last_axis(), weights, &mut grad);
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }
}

loss_options! {
    /// Minus the cosine of the angle between prediction and target: v = −Σᵢ pᵢtᵢ / (‖p‖·‖t‖), from −1 (same direction)
    /// to 1. Norms are at least 10⁻⁷.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n, …), with vectors along `axis`; a value each, without that axis.
    /// # Defaults
    /// `axis` −1, `reduction` sum over batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = CosineSimilarity::new().call(&array![[3.0f64, 4.0]], &array![[0.0, 2.0]])?;
    /// assert!((loss + 0.8).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `CosineSimilarity`.
    pub struct CosineSimilarity {
        /// The axis along which vectors lie. Default: −1, the last.
        axis: isize = -1,
    }
}

impl<F: Scalar> Loss<F> for CosineSimilarity {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        kernels::cosine_distance(class_axis(self.axis, prediction.shape()), &prediction, &target, values);
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let axis = class_axis(self.axis, prediction.shape());
        kernels::cosine_distance_backward(axis, &prediction, &target, weights, &mut grad);
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }

    fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
        without_axis(self.axis, prediction)
    }

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        resolve_axis(self.axis, prediction.len() + 1)?;
        Ok(prediction.to_vec())
    }
}
