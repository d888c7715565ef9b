//! Negative log-likelihoods in PyTorch's conventions: of classes, of yes-or-no answers, of normal distributions.

use super::crossentropy::{check_distributions, check_labels, check_smoothing, check_unit};
use super::pointwise::at_least_zero;
use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::likelihood::{self as kernels, ClassTargets};
use crate::kernels::losses::ClassAxis;
use crate::kernels::pointwise::{Pointwise, pointwise, pointwise_backward};
use crate::{Error, Result, Scalar, View, ViewMut};

loss_options! {
    /// The negative log-likelihood of classes, with weights for the classes: v = −Σ_c a_c·ln q_c, from ln q itself, or
    /// with `from_logits` from logits z, ln q = z − ln Σ exp z.
    ///
    /// A row with label t counts w_t times, also in the denominator of a mean, and has a_c = (1 − s)·\[c = t\] + s/n·w_c/w_t;
    /// with `soft_targets` a row counts once, and a_c = w_c·((1 − s)·t_c + s/n).
    ///
    /// # Shapes
    /// Prediction (batch, …, classes), labels (batch, …), or with `soft_targets` (batch, …, classes); a value each
    /// (batch, …).
    /// # Defaults
    /// `from_logits` false, `class_weight` none, `ignore_class` none, `label_smoothing` 0, `soft_targets` false,
    /// `reduction` sum over batch size.
    /// # Errors
    /// Labels that are no whole number in 0..classes, rows that are no distribution; weights that are not as many as
    /// classes or negative, or 0 where labels are smoothed.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = NLL::new().from_logits(true).class_weight([1.0, 3.0]);
    /// let value = loss.call(&array![[0.0f64, 0.0], [2.0, 2.0]], &array![0, 1])?;
    /// assert!((value - 2f64.ln()).abs() < 1e-12); // (1·ln 2 + 3·ln 2) / (1 + 3)
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `NLLLoss`, and with `from_logits` `CrossEntropyLoss`.
    pub struct NLL {
        /// Whether predictions are logits, not logarithms of probabilities. Default: false.
        from_logits: bool = false,
        /// A weight for each class. Default: none, all 1.
        class_weight: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// A label whose rows do not count. Default: none.
        ignore_class: Option<i64> = None => |label: impl Into<Option<i64>>| label.into(),
        /// How far targets are drawn to the uniform distribution, 0 to 1. Default: 0.
        label_smoothing: f64 = 0.0,
        /// Whether targets are distributions over classes instead of labels. Default: false.
        soft_targets: bool = false,
    }
}

impl NLL {
    fn targets(&self) -> ClassTargets<'_> {
        ClassTargets {
            soft: self.soft_targets,
            smoothing: self.label_smoothing,
            class_weight: self.class_weight.as_deref(),
        }
    }

    fn check_weights(&self, classes: usize) -> Result<()> {
        let Some(weights) = &self.class_weight else { return Ok(()) };
        // A row of weight 0 would still have its smoothed part.
        let needs_all = self.label_smoothing > 0.0 && !self.soft_targets;
        let fits = |&weight: &f64| weight.is_finite() && (weight > 0.0 || (weight == 0.0 && !needs_all));
        if weights.len() == classes && weights.iter().all(fits) {
            return Ok(());
        }
        let least = if needs_all { "above 0, since labels are smoothed" } else { "at least 0" };
        Err(Error::option("class_weight", format!("{classes} finite numbers, {least}"), format!("{weights:?}")))
    }
}

impl<F: Scalar> Loss<F> for NLL {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        kernels::nll(self.targets(), self.from_logits, prediction.last_axis(), &prediction, &target, values);
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let (targets, n) = (self.targets(), prediction.last_axis());
        kernels::nll_backward(targets, self.from_logits, n, &prediction, &target, weights, &mut grad);
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        check_smoothing(self.label_smoothing)?;
        if self.soft_targets && self.ignore_class.is_some() {
            return Err(Error::option("ignore_class", "none with `soft_targets`", "a label"));
        }
        let (&classes, rows) = prediction
            .split_last()
            .ok_or_else(|| Error::data("NLL", "predictions with a class axis", "one value a sample"))?;
        self.check_weights(classes)?;
        Ok(if self.soft_targets { prediction } else { rows }.to_vec())
    }

    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        let classes = prediction.last().copied().unwrap_or(1);
        if self.soft_targets {
            check_distributions(call, ClassAxis { n: classes, inner: 1 }, target)
        } else {
            check_labels(call, classes, self.ignore_class, target)
        }
    }

    fn ignores_rows(&self) -> bool {
        !self.soft_targets && (self.ignore_class.is_some() || self.class_weight.is_some())
    }

    fn counts(&self, target: View<'_, F>, counts: &mut [F]) {
        for (count, label) in counts.iter_mut().zip(target.iter()) {
            let ignored = self.ignore_class.is_some() && label.to_i64() == self.ignore_class;
            let class = label.to_usize().unwrap_or(usize::MAX);
            *count = match &self.class_weight {
                _ if ignored => F::zero(),
                Some(weights) => F::of(weights.get(class).copied().unwrap_or(1.0)),
                None => F::one(),
            };
        }
    }
}

loss_options! {
    /// The negative log-likelihood of yes-or-no answers, a value each: −t·ln p − (1 − t)·ln(1 − p), where no logarithm is
    /// below −100; with `from_logits` −q·t·ln σ(z) − (1 − t)·ln σ(−z), where the answer yes weighs q.
    ///
    /// [`BinaryCrossentropy`](super::BinaryCrossentropy) is this in Keras's words: it clips probabilities instead of
    /// logarithms, and its values are means over the last axis.
    ///
    /// # Shapes
    /// Prediction and target (batch, …); a value each (batch, …).
    /// # Defaults
    /// `from_logits` false, `pos_weight` none, `reduction` sum over batch size.
    /// # Errors
    /// Targets outside 0..=1; `pos_weight` without `from_logits`, or not as many as the last axis has.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = BernoulliNLL::new().from_logits(true).pos_weight([3.0]);
    /// let value = loss.call(&array![[0.0f64], [0.0]], &array![[1.0], [0.0]])?;
    /// assert!((value - 2.0 * 2f64.ln()).abs() < 1e-12); // (3·ln 2 + ln 2) / 2
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `BCELoss` and `BCEWithLogitsLoss`.
    pub struct BernoulliNLL {
        /// Whether predictions are logits, before the sigmoid. Default: false.
        from_logits: bool = false,
        /// q, the weight of the answer yes, for each place of the last axis or one for all. Default: none, 1.
        pos_weight: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
    }
}

impl<F: Scalar> Loss<F> for BernoulliNLL {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        if self.from_logits {
            kernels::bernoulli_logits(self.pos_weight.as_deref().unwrap_or(&[]), &prediction, &target, values);
        } else {
            pointwise(Pointwise::Bernoulli, &prediction, &target, 1, values);
        }
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        if self.from_logits {
            let pos_weight = self.pos_weight.as_deref().unwrap_or(&[]);
            kernels::bernoulli_logits_backward(pos_weight, &prediction, &target, weights, &mut grad);
        } else {
            pointwise_backward(Pointwise::Bernoulli, &prediction, &target, 1, weights, &mut grad);
        }
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }

    fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
        prediction.to_vec()
    }

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        if let Some(weights) = &self.pos_weight {
            let last = prediction.last().copied().unwrap_or(1);
            let fits = |&weight: &f64| weight.is_finite() && weight >= 0.0;
            if !self.from_logits || !(weights.len() == last || weights.len() == 1) || !weights.iter().all(fits) {
                let expected = format!("one or {last} numbers of at least 0, with `from_logits`");
                return Err(Error::option("pos_weight", expected, format!("{weights:?}")));
            }
        }
        Ok(prediction.to_vec())
    }

    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        check_unit(call, prediction, target)
    }
}

loss_options! {
    /// The negative log-likelihood of normal distributions whose mean μ and variance the network predicts:
    /// ½·(ln σ² + (μ − t)²/σ²), with σ² = max(variance, ε). The gradient passes this floor, so that a variance below it can
    /// recover.
    ///
    /// # Shapes
    /// Prediction (batch, …, 2n): n means, then n variances; target (batch, …, n), a value each.
    /// # Defaults
    /// `full` false, `epsilon` 10⁻⁶, `reduction` sum over batch size.
    /// # Errors
    /// Predictions whose last axis is odd.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let value = GaussianNLL::new().call(&array![[1.0f64, 4.0]], &array![[3.0]])?;
    /// assert!((value - 0.5 * (4f64.ln() + 1.0)).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// PyTorch `GaussianNLLLoss`; Nix & Weigend (1994), "Estimating the mean and variance of the target probability
    /// distribution".
    pub struct GaussianNLL {
        /// Whether the constant ½·ln 2π counts. Default: false.
        full: bool = false,
        /// ε, the smallest variance. Default: 10⁻⁶.
        epsilon: f64 = 1e-6,
    }
}

impl<F: Scalar> Loss<F> for GaussianNLL {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        let constant = if self.full { 0.5 * std::f64::consts::TAU.ln() } else { 0.0 };
        let n = target.last_axis();
        kernels::gaussian(F::of(self.epsilon), F::of(constant), n, &prediction, &target, values);
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let n = target.last_axis();
        kernels::gaussian_backward(F::of(self.epsilon), n, &prediction, &target, weights, &mut grad);
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }

    fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
        halved(prediction)
    }

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        at_least_zero("epsilon", self.epsilon)?;
        if prediction.last().is_none_or(|last| last % 2 == 1 || *last == 0) {
            let expected = "a prediction whose last axis holds as many variances as means";
            return Err(Error::data("GaussianNLL", expected, crate::error::show(prediction)));
        }
        Ok(halved(prediction))
    }
}

/// The shape of the means among means and variances.
fn halved(prediction: &[usize]) -> Vec<usize> {
    let mut shape = prediction.to_vec();
    if let Some(last) = shape.last_mut() {
        *last /= 2;
    }
    shape
}
