//! Losses of overlap, for segmentation: Dice and Tversky.

use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::losses::ClassAxis;
use crate::kernels::overlap::{self as kernels, Overlap};
use crate::{Error, Result, Scalar, View, ViewMut};

/// Added to the denominator, as in Keras.
const EPSILON: f64 = 1e-7;

/// The axes that are summed over, counted from the batch: (first, one past the last). None given means all.
fn summed(axes: Option<&[isize]>, rank: usize) -> Result<(usize, usize)> {
    let Some(axes) = axes else { return Ok((0, rank)) };
    let refuse = || Error::option("axis", format!("axes side by side within {rank}"), format!("{axes:?}"));
    let count = |&axis: &isize| if axis < 0 { axis + rank.cast_signed() } else { axis };
    let (first, last) = (axes.iter().map(count).min().ok_or_else(refuse)?, axes.iter().map(count).max());
    let last = last.unwrap_or(first);
    // As many axes as lie between the first and the last, and each of these among them.
    let all = (first..=last).all(|axis| axes.iter().any(|other| count(other) == axis));
    if first < 0 || last >= rank.cast_signed() || !all || axes.len() != (first..=last).count() {
        return Err(refuse());
    }
    Ok((first.cast_unsigned(), last.cast_unsigned() + 1))
}

/// A loss of overlap: its options, and its numbers.
macro_rules! overlap_loss {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($options:tt)* }
        |$loss:ident| $numbers:expr
    ) => {
        loss_options! {
            $(#[$meta])*
            pub struct $name {
                /// The axes that are summed over, the batch being axis 0; they lie side by side. With (1, 2, 3) each
                /// image has a value, with (0, 1, 2) each class. Default: all, one value for the batch.
                axis: Option<Vec<isize>> = None => |axes: impl Into<Vec<isize>>| Some(axes.into()),
                $($options)*
            }
        }

        impl $name {
            fn numbers<F: Scalar>(&self) -> Overlap<F> {
                let $loss = self;
                let (alpha, beta, epsilon) = $numbers;
                Overlap { alpha: F::of(alpha), beta: F::of(beta), epsilon: F::of(epsilon) }
            }

            /// The cells that belong together, of a prediction of this shape.
            fn cells(&self, shape: &[usize]) -> ClassAxis {
                let (start, end) = summed(self.axis.as_deref(), shape.len()).unwrap_or((0, shape.len()));
                ClassAxis { n: shape[start..end].iter().product(), inner: shape[end..].iter().product() }
            }
        }

        impl<F: Scalar> Loss<F> for $name {
            fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], cx: &LossContext<'_, F>) {
                kernels::overlap(self.cells(prediction.shape()), self.numbers(), &prediction, &target, cx.totals, values);
            }

            fn gradient(
                &self,
                prediction: View<'_, F>,
                target: View<'_, F>,
                weights: &[F],
                mut grad: ViewMut<'_, F>,
                cx: &LossContext<'_, F>,
            ) {
                let (cells, numbers) = (self.cells(prediction.shape()), self.numbers());
                kernels::overlap_backward(cells, numbers, &prediction, &target, cx.totals, weights, &mut grad);
            }

            fn describe(&self) -> LossDescription {
                LossDescription::of(self, self.reduction)
            }

            fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
                let (start, end) = summed(self.axis.as_deref(), prediction.len() + 1).unwrap_or((0, 1));
                // Without the batch axis, axis i + 1 is the prediction's i.
                let kept = |(i, _): &(usize, &usize)| !(start..end).contains(&(i + 1));
                prediction.iter().enumerate().filter(kept).map(|(_, &size)| size).collect()
            }

            fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
                summed(self.axis.as_deref(), prediction.len() + 1)?;
                Ok(prediction.to_vec())
            }

            fn couples_batch(&self) -> bool {
                self.axis.as_ref().is_none_or(|axes| axes.contains(&0))
            }

            fn sums(&self, prediction: &[usize]) -> usize {
                let rows: usize = Loss::<F>::values_shape(self, prediction).iter().product();
                if Loss::<F>::couples_batch(self) { 3 * rows } else { 0 }
            }

            fn partial_sums(&self, prediction: View<'_, F>, target: View<'_, F>, sums: &mut [F]) {
                kernels::overlap_sums(self.cells(prediction.shape()), &prediction, &target, sums);
            }
        }
    };
}

overlap_loss! {
    /// How little prediction and target overlap: v = 1 − 2·Σ tp / (Σ t + Σ p + 10⁻⁷).
    ///
    /// # Shapes
    /// Prediction and target (batch, …), memberships 0..=1; a value for what is left without `axis`.
    /// # Defaults
    /// `axis` all, `reduction` sum over batch size.
    /// # Errors
    /// Axes that don't exist or don't lie side by side. Sample and class weights in training, where the value is the
    /// batch's.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = Dice::new().call(&array![[1.0f64, 1.0, 0.0]], &array![[1.0, 0.0, 0.0]])?;
    /// assert!((loss - 1.0 / 3.0).abs() < 1e-6);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Dice`; derived in [`kernels::overlap`](crate::kernels::overlap).
    pub struct Dice {}
    |_loss| (0.5, 0.5, EPSILON / 2.0)
}

overlap_loss! {
    /// Dice with a price for each kind of error: v = 1 − I/(I + α·M + β·E + 10⁻⁷), with what both share I = Σ tp, what is
    /// missed M = Σ t(1 − p), and what is there in excess E = Σ p(1 − t).
    ///
    /// # Shapes
    /// Prediction and target (batch, …), memberships 0..=1; a value for what is left without `axis`.
    /// # Defaults
    /// `alpha` 0.5, `beta` 0.5, `axis` all, `reduction` sum over batch size.
    /// # Errors
    /// As [`Dice`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = Tversky::new().beta(1.0).call(&array![[1.0f64, 1.0, 0.0]], &array![[1.0, 0.0, 0.0]])?;
    /// assert!((loss - 0.5).abs() < 1e-6);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Tversky`; Salehi et al. (2017), "Tversky loss function for image segmentation".
    pub struct Tversky {
        /// α, the price of what is missed. Default: 0.5.
        alpha: f64 = 0.5,
        /// β, the price of what is there in excess. Default: 0.5.
        beta: f64 = 0.5,
    }
    |loss| (loss.alpha, loss.beta, EPSILON)
}
