//! Losses that look at one value at a time: for numbers, counts and distributions.

use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::pointwise::{Pointwise, pointwise, pointwise_backward};
use crate::{Error, Result, Scalar, View, ViewMut};

pub(super) fn at_least_zero(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::option(option, "a finite number, at least 0", value))
    }
}

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
    /// Divided by δ it is [`SmoothL1`].
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
    /// 10⁻⁷..=1. With `from_log` p are logarithms of probabilities, v = Σᵢ tᵢ·(ln tᵢ − pᵢ), and nothing is clipped; with
    /// `log_target` too the targets are logarithms as well.
    ///
    /// # Errors
    /// If `log_target` is set without `from_log`.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = KLDivergence::new().call(&array![[0.5f64, 0.5]], &array![[1.0, 0.0]])?;
    /// assert!((loss - 2f64.ln()).abs() < 1e-5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `KLDivergence`; PyTorch `KLDivLoss` for the logarithms.
    pub struct KLDivergence {
        /// Whether predictions are logarithms of probabilities. Default: false.
        from_log: bool = false,
        /// Whether targets are logarithms too. Default: false.
        log_target: bool = false,
    }
    |loss| match (loss.from_log, loss.log_target) {
        (false, _) => Pointwise::KlDivergence,
        (true, false) => Pointwise::KlOfLog,
        (true, true) => Pointwise::KlOfLogs,
    },
    check: |loss| {
        if loss.from_log || !loss.log_target { Ok(()) } else { Err(Error::option("log_target", "false without `from_log`", true)) }
    }
}

pointwise_loss! {
    /// The absolute error with a rounded tip: the mean of ½e²/β where |e| < β, else |e| − ½β, with e = p − t. [`Huber`] is
    /// β times this, with δ = β.
    ///
    /// # Errors
    /// If `beta` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = SmoothL1::new().beta(0.5).call(&array![[0.25f64, 3.0]], &array![[0.0, 0.0]])?;
    /// assert_eq!(loss, (0.0625 + 2.75) / 2.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `SmoothL1Loss`; Girshick (2015), "Fast R-CNN".
    pub struct SmoothL1 {
        /// β, the error from which on the loss grows linearly; 0 is the absolute error. Default: 1.
        beta: f64 = 1.0,
    }
    |loss| if loss.beta == 0.0 { Pointwise::AbsoluteError } else { Pointwise::SmoothAbsoluteError { beta: F::of(loss.beta) } },
    check: |loss| at_least_zero("beta", loss.beta)
}

pointwise_loss! {
    /// For counts: the mean of exp(p) − t·p, the negative log-likelihood of a Poisson distribution whose mean has the
    /// logarithm p; without `log_input` the mean of p − t·ln(p + ε). [`Poisson`] is the latter in Keras's words.
    ///
    /// # Errors
    /// If `epsilon` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = PoissonNLL::new().call(&array![[0.0f64]], &array![[3.0]])?;
    /// assert_eq!(loss, 1.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `PoissonNLLLoss`.
    pub struct PoissonNLL {
        /// Whether predictions are logarithms of the mean. Default: true.
        log_input: bool = true,
        /// Whether ln t! counts, approximated by Stirling's t·ln t − t + ½·ln(2πt) where t > 1. Default: false.
        full: bool = false,
        /// ε, which keeps the logarithm finite without `log_input`. Default: 10⁻⁸.
        epsilon: f64 = 1e-8,
    }
    |loss| {
        let full = F::of(f64::from(u8::from(loss.full)));
        if loss.log_input { Pointwise::PoissonOfLog { full } } else { Pointwise::PoissonOfMean { epsilon: F::of(loss.epsilon), full } }
    },
    check: |loss| at_least_zero("epsilon", loss.epsilon)
}

pointwise_loss! {
    /// For distances of pairs, alike (t = 1) or not (t = −1): the mean of p for those alike, of max(margin − p, 0) for the
    /// others.
    ///
    /// # Errors
    /// If `margin` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = HingeEmbedding::new().call(&array![[0.5f64, 0.25]], &array![[1.0, -1.0]])?;
    /// assert_eq!(loss, (0.5 + 0.75) / 2.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `HingeEmbeddingLoss`.
    pub struct HingeEmbedding {
        /// How far apart those that are not alike should be. Default: 1.
        margin: f64 = 1.0,
    }
    |loss| Pointwise::HingeEmbedding { margin: F::of(loss.margin) },
    check: |loss| at_least_zero("margin", loss.margin)
}
