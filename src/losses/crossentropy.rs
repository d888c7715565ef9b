//! Losses for classes.

use super::{Fused, Loss, LossContext, LossDescription, loss_options};
use crate::kernels::losses::{self as kernels, ClassAxis};
use crate::tensor::volume;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

/// `axis` of a tensor of `rank` axes, counted from the end if negative; the batch axis cannot be it.
pub(super) fn resolve_axis(axis: isize, rank: usize) -> Result<usize> {
    let from_start = if axis < 0 { rank.checked_add_signed(axis) } else { usize::try_from(axis).ok() };
    from_start.filter(|&axis| axis > 0 && axis < rank).ok_or_else(|| {
        Error::option("axis", format!("an axis of a prediction of {rank} axes other than the first"), axis)
    })
}

/// The class axis of predictions whose samples have the shape `sample`. The axis has been checked when the loss was
/// put to use.
pub(crate) fn class_axis(axis: isize, shape: &[usize]) -> ClassAxis {
    let axis = resolve_axis(axis, shape.len()).unwrap_or(shape.len() - 1);
    ClassAxis { n: shape[axis], inner: volume(&shape[axis + 1..]) }
}

/// One sample's shape without its class axis.
pub(super) fn without_axis(axis: isize, sample: &[usize]) -> Vec<usize> {
    let axis = resolve_axis(axis, sample.len() + 1).unwrap_or(sample.len());
    sample.iter().enumerate().filter(|(i, _)| i + 1 != axis).map(|(_, &size)| size).collect()
}

pub(super) fn check_smoothing(smoothing: f64) -> Result<()> {
    if (0.0..=1.0).contains(&smoothing) { Ok(()) } else { Err(Error::option("label_smoothing", "in 0..=1", smoothing)) }
}

/// What a loss does along one axis of the prediction, the rest of which is rows: [`along_axis!`] makes these the methods
/// of [`Loss`].
pub(super) trait AlongAxis<F: Scalar> {
    /// As [`Loss::values`].
    fn row_values(&self, axis: ClassAxis, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F]);

    /// As [`Loss::gradient`].
    fn row_gradients(
        &self,
        axis: ClassAxis,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        grad: &mut [F],
    );

    /// As [`Loss::fused_values`].
    fn fused_row_values(&self, axis: ClassAxis, of: Fused<'_, F>, target: View<'_, F>, values: &mut [F]) {
        self.row_values(axis, of.prediction, target, values);
    }

    /// As [`Loss::fused_gradient`].
    fn fused_row_gradients(&self, _: ClassAxis, _: Fused<'_, F>, _: View<'_, F>, _: &[F], _: &mut [F]) {}
}

/// The methods of a [`Loss`] that follow from those of [`AlongAxis`].
macro_rules! along_axis {
    () => {
        fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
            self.row_values(class_axis(self.axis, prediction.shape()), prediction, target, values);
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
            self.row_gradients(axis, prediction, target, weights, &mut grad);
        }

        fn fused_values(&self, of: Fused<'_, F>, target: View<'_, F>, values: &mut [F]) {
            self.fused_row_values(class_axis(self.axis, of.prediction.shape()), of, target, values);
        }

        fn fused_gradient(&self, of: Fused<'_, F>, target: View<'_, F>, weights: &[F], mut grad: ViewMut<'_, F>) {
            let axis = class_axis(self.axis, of.prediction.shape());
            self.fused_row_gradients(axis, of, target, weights, &mut grad);
        }

        fn describe(&self) -> LossDescription {
            LossDescription::of(self, self.reduction)
        }

        fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
            without_axis(self.axis, prediction)
        }
    };
}
pub(super) use along_axis;

/// Refuses rows that are no distribution over classes.
pub(super) fn check_distributions<F: Scalar>(call: &str, axis: ClassAxis, target: View<'_, F>) -> Result<()> {
    for row in 0..target.len() / axis.n.max(1) {
        let classes = || (0..axis.n).map(|c| target[axis.start(row) + c * axis.inner]);
        let sum: F = classes().sum();
        // A soft target in f32 sums to 1 within its rounding; a label by itself or a row of many ones does not.
        if classes().any(|t| t < F::zero() || !t.is_finite()) || (sum - F::one()).abs() > F::of(1e-3) {
            let shown: Vec<F> = classes().take(12).collect();
            let received = format!("{shown:?} at row {row}");
            return Err(Error::data(call, "one-hot targets, or rows that sum to 1", received)
                .advise("use `to_categorical`, or SparseCategoricalCrossentropy for integer labels"));
        }
    }
    Ok(())
}

/// Refuses labels that name no class and are not the one to be ignored.
pub(super) fn check_labels<F: Scalar>(
    call: &str,
    classes: usize,
    ignored: Option<i64>,
    target: View<'_, F>,
) -> Result<()> {
    for (row, &label) in target.iter().enumerate() {
        let in_range = label.fract() == F::zero() && label.to_usize().is_some_and(|label| label < classes);
        let counts = ignored.is_none() || label.to_i64() != ignored;
        if !in_range && counts {
            return Err(Error::data(call, format!("labels in 0..{classes}"), format!("{label} at row {row}"))
                .advise("map the labels or give the last layer more units"));
        }
    }
    Ok(())
}

/// Refuses targets that are no probabilities. `prediction` is one sample's shape.
pub(super) fn check_unit<F: Scalar>(call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
    match target.iter().position(|t| !(*t >= F::zero() && *t <= F::one())) {
        None => Ok(()),
        Some(at) => {
            let row = at / volume(prediction).max(1);
            Err(Error::data(call, "targets in 0..=1", format!("{} at row {row}", target[at])))
        }
    }
}

loss_options! {
    /// Cross-entropy between a distribution over classes and one-hot (or soft) targets.
    ///
    /// v = −Σ tᵢ ln qᵢ, with q = clip(p / Σp, 10⁻⁷, 1 − 10⁻⁷); with `from_logits` v = −Σ tᵢ ln softmax(z)ᵢ, unclipped.
    /// Label smoothing s makes t(1 − s) + s/n of t. No gradient passes a clip that acts. A model that ends in a softmax trains
    /// on the logits z before it, unclipped, so that saturated outputs learn: ∂v/∂z = p − t for a one-hot t.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, classes); a value each (batch, …).
    /// # Defaults
    /// `from_logits` false, `label_smoothing` 0, `axis` −1, `reduction` sum over batch size.
    /// # Errors
    /// Targets whose rows are no distribution: negative, or summing to anything but 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = CategoricalCrossentropy::new().call(&array![[0.5f64, 0.5]], &array![[0.0, 1.0]])?;
    /// assert!((loss - 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `CategoricalCrossentropy`; derived in `docs/backward.md`, "Softmax and cross-entropy".
    pub struct CategoricalCrossentropy {
        /// Whether predictions are logits, before the softmax. Default: false.
        from_logits: bool = false,
        /// How far targets are drawn to the uniform distribution, 0 to 1. Default: 0.
        label_smoothing: f64 = 0.0,
        /// The class axis. Default: −1, the last.
        axis: isize = -1,
    }
}

impl<F: Scalar> AlongAxis<F> for CategoricalCrossentropy {
    fn row_values(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, values: &mut [F]) {
        let kernel =
            if self.from_logits { kernels::categorical_crossentropy_logits } else { kernels::categorical_crossentropy };
        kernel(axis, F::of(self.label_smoothing), &p, &t, values);
    }

    fn row_gradients(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        let kernel = if self.from_logits {
            kernels::categorical_crossentropy_logits_backward
        } else {
            kernels::categorical_crossentropy_backward
        };
        kernel(axis, F::of(self.label_smoothing), &p, &t, weights, grad);
    }

    fn fused_row_values(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, values: &mut [F]) {
        let smoothing = F::of(self.label_smoothing);
        kernels::softmax_categorical_crossentropy(axis, smoothing, &of.logits, &of.prediction, &t, values);
    }

    fn fused_row_gradients(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        kernels::softmax_categorical_crossentropy_backward(
            axis,
            F::of(self.label_smoothing),
            &of.prediction,
            &t,
            weights,
            grad,
        );
    }
}

impl<F: Scalar> Loss<F> for CategoricalCrossentropy {
    along_axis!();

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        check_smoothing(self.label_smoothing)?;
        resolve_axis(self.axis, prediction.len() + 1)?;
        Ok(prediction.to_vec())
    }

    fn check_targets(&self, call: &str, _: &[usize], target: View<'_, F>) -> Result<()> {
        check_distributions(call, class_axis(self.axis, target.shape()), target)
    }

    fn fuses_with(&self, activation: &Activation) -> bool {
        !self.from_logits && self.axis == -1 && matches!(activation, Activation::Softmax)
    }
}

loss_options! {
    /// Cross-entropy between a distribution over classes and integer labels.
    ///
    /// v = −ln(q_label / Σq), with q = clip(p, 10⁻⁷, 1 − 10⁻⁷); with `from_logits` v = −ln softmax(z)_label, unclipped.
    /// A model that ends in a softmax trains on the logits z before it: ∂v/∂z = p − onehot(label).
    ///
    /// # Shapes
    /// Prediction (batch, …, classes), labels (batch, …) or (batch, …, 1); a value each (batch, …).
    /// # Defaults
    /// `from_logits` false, `ignore_class` none, `axis` −1, `reduction` sum over batch size.
    /// # Errors
    /// Labels that are no whole number in 0..classes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    /// let value = loss.call(&array![[0.0f64, 0.0], [5.0, 5.0]], &array![1, 0])?;
    /// assert!((value - 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SparseCategoricalCrossentropy`.
    pub struct SparseCategoricalCrossentropy {
        /// Whether predictions are logits, before the softmax. Default: false.
        from_logits: bool = false,
        /// A label whose rows do not count, such as −1 or 255 for pixels of no class. Default: none.
        ignore_class: Option<i64> = None => |label: impl Into<Option<i64>>| label.into(),
        /// The class axis. Default: −1, the last.
        axis: isize = -1,
    }
}

impl SparseCategoricalCrossentropy {
    fn ignores<F: Scalar>(&self, label: F) -> bool {
        self.ignore_class.is_some_and(|ignored| label.to_i64() == Some(ignored))
    }
}

impl<F: Scalar> AlongAxis<F> for SparseCategoricalCrossentropy {
    fn row_values(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, values: &mut [F]) {
        let kernel = if self.from_logits { kernels::sparse_crossentropy_logits } else { kernels::sparse_crossentropy };
        kernel(axis, &p, &t, values);
    }

    fn row_gradients(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        let kernel = if self.from_logits {
            kernels::sparse_crossentropy_logits_backward
        } else {
            kernels::sparse_crossentropy_backward
        };
        kernel(axis, &p, &t, weights, grad);
    }

    fn fused_row_values(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, values: &mut [F]) {
        kernels::softmax_sparse_crossentropy(axis, &of.logits, &of.prediction, &t, values);
    }

    fn fused_row_gradients(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        kernels::softmax_sparse_crossentropy_backward(axis, &of.prediction, &t, weights, grad);
    }
}

impl<F: Scalar> Loss<F> for SparseCategoricalCrossentropy {
    along_axis!();

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        resolve_axis(self.axis, prediction.len() + 1)?;
        Ok(without_axis(self.axis, prediction))
    }

    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        let classes = prediction[resolve_axis(self.axis, prediction.len() + 1)? - 1];
        check_labels(call, classes, self.ignore_class, target)
    }

    fn ignores_rows(&self) -> bool {
        self.ignore_class.is_some()
    }

    fn counts(&self, target: View<'_, F>, counts: &mut [F]) {
        for (count, _) in counts.iter_mut().zip(target.iter()).filter(|(_, label)| self.ignores(**label)) {
            *count = F::zero();
        }
    }

    fn fuses_with(&self, activation: &Activation) -> bool {
        !self.from_logits && self.axis == -1 && matches!(activation, Activation::Softmax)
    }
}

loss_options! {
    /// Cross-entropy of independent yes-or-no answers.
    ///
    /// v = −1/n Σ (t ln q + (1 − t) ln(1 − q)), with q = clip(p, 10⁻⁷, 1 − 10⁻⁷), over the last axis; with `from_logits`
    /// v = 1/n Σ (max(z, 0) − z·t + ln(1 + e^−|z|)), unclipped. Label smoothing s makes t(1 − s) + s/2 of t. A model that
    /// ends in a sigmoid trains on the logits z before it: ∂v/∂z = (p − t)/n.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `from_logits` false, `label_smoothing` 0, `axis` −1, `reduction` sum over batch size.
    /// # Errors
    /// Targets outside 0..=1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = BinaryCrossentropy::new().call(&array![[0.5f64], [0.5]], &array![[1.0], [0.0]])?;
    /// assert!((loss - 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `BinaryCrossentropy`.
    pub struct BinaryCrossentropy {
        /// Whether predictions are logits, before the sigmoid. Default: false.
        from_logits: bool = false,
        /// How far targets are drawn to one half, 0 to 1. Default: 0.
        label_smoothing: f64 = 0.0,
        /// The axis over which answers are averaged. Default: −1, the last.
        axis: isize = -1,
    }
}

impl<F: Scalar> AlongAxis<F> for BinaryCrossentropy {
    fn row_values(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, values: &mut [F]) {
        let kernel = if self.from_logits { kernels::binary_crossentropy_logits } else { kernels::binary_crossentropy };
        kernel(axis, F::of(self.label_smoothing), &p, &t, values);
    }

    fn row_gradients(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        let kernel = if self.from_logits {
            kernels::binary_crossentropy_logits_backward
        } else {
            kernels::binary_crossentropy_backward
        };
        kernel(axis, F::of(self.label_smoothing), &p, &t, weights, grad);
    }

    fn fused_row_values(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, values: &mut [F]) {
        kernels::binary_crossentropy_logits(axis, F::of(self.label_smoothing), &of.logits, &t, values);
    }

    fn fused_row_gradients(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        kernels::sigmoid_binary_crossentropy_backward(
            axis,
            F::of(self.label_smoothing),
            &of.prediction,
            &t,
            weights,
            grad,
        );
    }
}

impl<F: Scalar> Loss<F> for BinaryCrossentropy {
    along_axis!();

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        check_smoothing(self.label_smoothing)?;
        resolve_axis(self.axis, prediction.len() + 1)?;
        Ok(prediction.to_vec())
    }

    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        check_unit(call, prediction, target)
    }

    fn fuses_with(&self, activation: &Activation) -> bool {
        !self.from_logits && matches!(activation, Activation::Sigmoid)
    }
}
