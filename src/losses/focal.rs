//! Focal losses, for classes of very different size.

use serde_json::Value;

use super::crossentropy::{AlongAxis, along_axis, check_smoothing, class_axis, resolve_axis, without_axis};
use super::pointwise::at_least_zero;
use super::{Fused, Loss, LossContext, LossDescription, loss_options};
use crate::config::Setting;
use crate::kernels::focal::{self as kernels, Focal};
use crate::kernels::losses::ClassAxis;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

/// The factor of a focal loss: one for all classes, or one of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Alpha(Vec<f64>);

impl From<f64> for Alpha {
    fn from(alpha: f64) -> Self {
        Self(vec![alpha])
    }
}

impl From<Vec<f64>> for Alpha {
    fn from(of_classes: Vec<f64>) -> Self {
        Self(of_classes)
    }
}

impl<const N: usize> From<[f64; N]> for Alpha {
    fn from(of_classes: [f64; N]) -> Self {
        Self(of_classes.into())
    }
}

impl Setting for Alpha {
    fn to_value(&self) -> Value {
        match self.0[..] {
            [alpha] => alpha.to_value(),
            _ => self.0.to_value(),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        if value.is_array() { Vec::from_value(value).map(Self) } else { f64::from_value(value).map(Self::from) }
    }
}

/// What both focal losses refuse, and the shape of their targets.
fn checked_target(smoothing: f64, gamma: f64, axis: isize, prediction: &[usize]) -> Result<Vec<usize>> {
    check_smoothing(smoothing)?;
    at_least_zero("gamma", gamma)?;
    resolve_axis(axis, prediction.len() + 1)?;
    Ok(prediction.to_vec())
}

loss_options! {
    /// Binary cross-entropy that plays down what is predicted well: v = 1/n · Σ a·(1 − p_t)^γ·H, with the probability
    /// p_t = t·p + (1 − t)(1 − p) of the right answer, the binary cross-entropy H, and a = 1, or with
    /// `apply_class_balancing` t·α + (1 − t)(1 − α).
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n); a value each (batch, …).
    /// # Defaults
    /// `apply_class_balancing` false, `alpha` 0.25, `gamma` 2, `from_logits` false, `label_smoothing` 0, `axis` −1.
    /// # Errors
    /// A negative `gamma`, smoothing outside 0..=1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = BinaryFocalCrossentropy::new().call(&array![[0.5f64]], &array![[1.0]])?;
    /// assert!((loss - 0.25 * 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `BinaryFocalCrossentropy`; Lin et al. (2018), "Focal Loss for Dense Object Detection".
    pub struct BinaryFocalCrossentropy {
        /// Whether the two classes are weighted α and 1 − α. Default: false.
        apply_class_balancing: bool = false,
        /// α, the weight of class 1. Default: 0.25.
        alpha: f64 = 0.25,
        /// γ, how strongly easy examples are played down; 0 is the cross-entropy. Default: 2.
        gamma: f64 = 2.0,
        /// Whether predictions are logits, before the sigmoid. Default: false.
        from_logits: bool = false,
        /// How far targets are drawn to one half, 0 to 1. Default: 0.
        label_smoothing: f64 = 0.0,
        /// The axis over which answers are averaged. Default: −1, the last.
        axis: isize = -1,
    }
}

impl BinaryFocalCrossentropy {
    fn numbers<F: Scalar>(&self) -> Focal<F> {
        Focal {
            gamma: F::of(self.gamma),
            alpha: F::of(self.alpha),
            balanced: self.apply_class_balancing,
            smoothing: F::of(self.label_smoothing),
            from_logits: self.from_logits,
        }
    }
}

impl<F: Scalar> AlongAxis<F> for BinaryFocalCrossentropy {
    fn row_values(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, values: &mut [F]) {
        kernels::binary_focal(axis, self.numbers(), &p, &t, values);
    }

    fn row_gradients(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        kernels::binary_focal_backward(axis, self.numbers(), &p, &t, weights, grad);
    }

    fn fused_row_values(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, values: &mut [F]) {
        kernels::binary_focal(axis, Focal { from_logits: true, ..self.numbers() }, &of.logits, &t, values);
    }

    fn fused_row_gradients(&self, axis: ClassAxis, of: Fused<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        let numbers = Focal { from_logits: true, ..self.numbers() };
        kernels::binary_focal_backward(axis, numbers, &of.logits, &t, weights, grad);
    }
}

impl<F: Scalar> Loss<F> for BinaryFocalCrossentropy {
    along_axis!();

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        checked_target(self.label_smoothing, self.gamma, self.axis, prediction)
    }

    fn fuses_with(&self, activation: &Activation) -> bool {
        !self.from_logits && matches!(activation, Activation::Sigmoid)
    }
}

loss_options! {
    /// Categorical cross-entropy that plays down what is predicted well: v = −Σ α·t·(1 − q)^γ·ln q, with
    /// q = clip(p/Σp) and α of each class.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, classes); a value each (batch, …).
    /// # Defaults
    /// `alpha` 0.25, `gamma` 2, `from_logits` false, `label_smoothing` 0, `axis` −1.
    /// # Errors
    /// A negative `gamma`, smoothing outside 0..=1, another number of `alpha`s than one or one a class.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let loss = CategoricalFocalCrossentropy::new().call(&array![[0.5f64, 0.5]], &array![[1.0, 0.0]])?;
    /// assert!((loss - 0.0625 * 2f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `CategoricalFocalCrossentropy`.
    pub struct CategoricalFocalCrossentropy {
        /// α, one factor of the whole loss, or one of each class: `[0.2, 0.5, 0.8]`. Default: 0.25.
        alpha: Alpha = Alpha::from(0.25) => |alpha: impl Into<Alpha>| alpha.into(),
        /// γ, how strongly easy examples are played down; 0 is the cross-entropy. Default: 2.
        gamma: f64 = 2.0,
        /// Whether predictions are logits, before the softmax. Default: false.
        from_logits: bool = false,
        /// How far targets are drawn to the uniform distribution, 0 to 1. Default: 0.
        label_smoothing: f64 = 0.0,
        /// The class axis. Default: −1, the last.
        axis: isize = -1,
    }
}

impl CategoricalFocalCrossentropy {
    fn numbers<F: Scalar>(&self) -> Focal<F> {
        Focal {
            gamma: F::of(self.gamma),
            alpha: F::one(),
            balanced: false,
            smoothing: F::of(self.label_smoothing),
            from_logits: self.from_logits,
        }
    }
}

impl<F: Scalar> AlongAxis<F> for CategoricalFocalCrossentropy {
    fn row_values(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, values: &mut [F]) {
        kernels::categorical_focal(axis, p.last_axis(), self.numbers(), &self.alpha.0, &p, &t, values);
    }

    fn row_gradients(&self, axis: ClassAxis, p: View<'_, F>, t: View<'_, F>, weights: &[F], grad: &mut [F]) {
        kernels::categorical_focal_backward(axis, p.last_axis(), self.numbers(), &self.alpha.0, &p, &t, weights, grad);
    }
}

impl<F: Scalar> Loss<F> for CategoricalFocalCrossentropy {
    along_axis!();

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        let target = checked_target(self.label_smoothing, self.gamma, self.axis, prediction)?;
        let (factors, classes) = (self.alpha.0.len(), prediction[resolve_axis(self.axis, prediction.len() + 1)? - 1]);
        if factors == 1 || factors == classes {
            Ok(target)
        } else {
            Err(Error::option(
                "alpha",
                format!("one number, or one for each of {classes} classes"),
                format!("{factors}"),
            ))
        }
    }
}
