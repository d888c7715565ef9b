//! Losses that look at one value at a time: for numbers, counts and distributions.

use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::pointwise::{Pointwise, pointwise, pointwise_backward};
use crate::{Error, Result, Scalar, View, ViewMut};

/// A loss that is a case of [`Pointwise`]: its options, which case it is, and what it refuses.
macro_rules! pointwise_loss {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($options:tt)* }
        |$loss:ident| $case:expr, check: $check:expr
    ) => {
        loss_options! {
            $(#[$meta])*
            ///
            /// # Shapes
            /// Prediction and target (batch, …, n); a value each (batch, …), or with `per_element` (batch, …, n).
            /// # Defaults
            /// `per_element` false, `reduction` sum over batch size; the others stand at the options.
            pub struct $name {
                /// Whether each element is a value of its own, as in PyTorch, instead of a row's mean: it shows where
                /// values are summed or returned. Default: false.
                per_element: bool = false,
                $($options)*
            }
        }

        impl<F: Scalar> Loss<F> for $name {
            fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
                let $loss = self;
                let n = if self.per_element { 1 } else { prediction.last_axis() };
                pointwise($case, &prediction, &target, n, values);
            }

            fn gradient(
                &self,
                prediction: View<'_, F>,
                target: View<'_, F>,
                weights: &[F],
                mut grad: ViewMut<'_, F>,
                _: &LossContext<'_, F>,
            ) {
                let $loss = self;
                let n = if self.per_element { 1 } else { prediction.last_axis() };
                pointwise_backward($case, &prediction, &target, n, weights, &mut grad);
            }

            fn describe(&self) -> LossDescription {
                LossDescription::of(self, self.reduction)
            }

            fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
                let rows = prediction.len().saturating_sub(usize::from(!self.per_element));
                prediction[..rows].to_vec()
            }

            fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
                let check: fn(&$name) -> Result<()> = $check;
                check(self)?;
                Ok(prediction.to_vec())
            }
        }
    };
}

pointwise_loss! {
    /// The mean of squared errors: v = 1/n · Σᵢ (pᵢ − tᵢ)², over the last axis.
    ///
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
    |_loss| Pointwise::SquaredError, check: |_| Ok(())
}

pointwise_loss! {
    /// The mean of absolute errors: v = 1/n · Σᵢ |pᵢ − tᵢ|, over the last axis. Where p = t the gradient is 0.
    ///
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
    |_loss| Pointwise::AbsoluteError, check: |_| Ok(())
}

pointwise_loss! {
    /// The mean of absolute errors in percent of the target: v = 100/n · Σᵢ |pᵢ − tᵢ| / max(|tᵢ|, 10⁻⁷).
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = MeanAbsolutePercentageError::new().call(&array![[3.0f64, 5.0]], &array![[2.0, 5.0]])?;
    /// assert_eq!(loss, 25.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MeanAbsolutePercentageError`.
    pub struct MeanAbsolutePercentageError {}
    |_loss| Pointwise::PercentageError, check: |_| Ok(())
}

pointwise_loss! {
    /// The mean of squared errors of logarithms: v = 1/n · Σᵢ (ln(1 + pᵢ) − ln(1 + tᵢ))², both at least 10⁻⁷ before.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let e = std::f64::consts::E;
    /// let loss = MeanSquaredLogarithmicError::new().call(&array![[e - 1.0, 3.0]], &array![[e * e - 1.0, 3.0]])?;
    /// assert!((loss - 0.5f64).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MeanSquaredLogarithmicError`.
    pub struct MeanSquaredLogarithmicError {}
    |_loss| Pointwise::SquaredLogError, check: |_| Ok(())
}

pointwise_loss! {
    /// A parabola near 0 and a line beyond, which outliers pull less: the mean of ½e² where |e| ≤ δ, else
    /// δ|e| − ½δ², with e = p − t.
    ///
    /// PyTorch's `SmoothL1Loss(beta)` is this with `delta` = beta, divided by beta.
    ///
    /// # Errors
    /// If `delta` is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = Huber::new().call(&array![[0.5f64, 3.0]], &array![[0.0, 0.0]])?;
    /// assert_eq!(loss, (0.125 + 2.5) / 2.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Huber`; Huber (1964), "Robust Estimation of a Location Parameter".
    pub struct Huber {
        /// δ, the error from which on the loss grows linearly. Default: 1.
        delta: f64 = 1.0,
    }
    |loss| Pointwise::Huber { delta: F::of(loss.delta) },
    check: |loss| {
        let fits = loss.delta.is_finite() && loss.delta > 0.0;
        if fits { Ok(()) } else { Err(Error::option("delta", "a finite number above 0", loss.delta)) }
    }
}

pointwise_loss! {
    /// The mean of ln cosh(p − t): nearly ½e² for small errors and |e| − ln 2 for large ones, smooth everywhere.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = LogCosh::new().call(&array![[1.0f64]], &array![[0.0]])?;
    /// assert!((loss - 1f64.cosh().ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `LogCosh`.
    pub struct LogCosh {}
    |_loss| Pointwise::LogCosh, check: |_| Ok(())
}

pointwise_loss! {
    /// For counts: v = 1/n · Σᵢ (pᵢ − tᵢ·ln(pᵢ + 10⁻⁷)), the negative log-likelihood of a Poisson distribution of mean p,
    /// without what does not depend on p.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = Poisson::new().call(&array![[1.0f64]], &array![[3.0]])?;
    /// assert!((loss - 1.0).abs() < 1e-6);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Poisson`.
    pub struct Poisson {}
    |_loss| Pointwise::Poisson, check: |_| Ok(())
}

pointwise_loss! {
    /// How far a predicted distribution is from another: v = Σᵢ tᵢ·ln(tᵢ/pᵢ) over the last axis, both clipped to
    /// 10⁻⁷..=1.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = KLDivergence::new().call(&array![[0.5f64, 0.5]], &array![[1.0, 0.0]])?;
    /// assert!((loss - 2f64.ln()).abs() < 1e-5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `KLDivergence`.
    pub struct KLDivergence {}
    |_loss| Pointwise::KlDivergence, check: |_| Ok(())
}
