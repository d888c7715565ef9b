//! Losses called on arrays, outside a model.

use ndarray::{ArrayD, IxDyn};

use super::reduction::{RowWeights, check_weights, divide};
use super::{Loss, LossContext};
use crate::tensor::inputs::IntoTensor;
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor, View};

/// Losses called on arrays, without a model.
pub trait LossCall<F: Scalar>: Loss<F> {
    /// The loss, reduced as its options say.
    ///
    /// ```
    /// use gradus::prelude::*;
    /// let loss = MeanSquaredError::new().call(&array![[1.0f32, 2.0]], &array![[1.0f32, 4.0]])?;
    /// assert_eq!(loss, 2.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit one another or a target is not one that the loss takes.
    fn call<'a>(&self, prediction: impl IntoTensor<'a, F>, target: impl IntoTensor<'a, F>) -> Result<F> {
        Evaluation::new(self, prediction, target, None::<View<'a, F>>)?.value(self)
    }

    /// The loss where each sample, or each value, counts with a weight.
    ///
    /// # Errors
    /// As [`call`](Self::call), and if the weights do not fit the values.
    fn call_weighted<'a>(
        &self,
        prediction: impl IntoTensor<'a, F>,
        target: impl IntoTensor<'a, F>,
        weights: impl IntoTensor<'a, F>,
    ) -> Result<F> {
        Evaluation::new(self, prediction, target, Some(weights))?.value(self)
    }

    /// The weighted value of every row, not reduced.
    ///
    /// # Errors
    /// As [`call_weighted`](Self::call_weighted).
    fn unreduced<'a>(
        &self,
        prediction: impl IntoTensor<'a, F>,
        target: impl IntoTensor<'a, F>,
        weights: Option<View<'a, F>>,
    ) -> Result<ArrayD<F>> {
        let evaluation = Evaluation::new(self, prediction, target, weights)?;
        Ok(evaluation.unreduced())
    }

    /// The loss and its gradient with respect to the prediction.
    ///
    /// # Errors
    /// As [`call`](Self::call); and if the reduction is none, since there is then no one value to differentiate.
    fn value_and_gradient<'a>(
        &self,
        prediction: impl IntoTensor<'a, F>,
        target: impl IntoTensor<'a, F>,
    ) -> Result<(F, ArrayD<F>)> {
        let evaluation = Evaluation::new(self, prediction, target, None::<View<'a, F>>)?;
        Ok((evaluation.value(self)?, evaluation.gradient(self, None)))
    }

    /// The gradient of Σ upstream · values, with respect to the prediction. `upstream` has the shape of the reduced
    /// loss: one value, or with reduction none one a row.
    ///
    /// # Errors
    /// As [`call_weighted`](Self::call_weighted).
    fn gradient_from<'a>(
        &self,
        prediction: impl IntoTensor<'a, F>,
        target: impl IntoTensor<'a, F>,
        weights: Option<View<'a, F>>,
        upstream: &[F],
    ) -> Result<ArrayD<F>> {
        Ok(Evaluation::new(self, prediction, target, weights)?.gradient(self, Some(upstream)))
    }
}

impl<F: Scalar, L: Loss<F> + ?Sized> LossCall<F> for L {}

/// A loss evaluated on one batch outside a model.
struct Evaluation<F> {
    prediction: Tensor<F>,
    target: Tensor<F>,
    totals: Vec<F>,
    values: Vec<F>,
    values_shape: Vec<usize>,
    rows: RowWeights<F>,
    /// Whether prediction and target have one axis, which is that of one sample's values.
    is_one_sample: bool,
}

impl<F: Scalar> Evaluation<F> {
    fn new<'a, L: Loss<F> + ?Sized>(
        loss: &L,
        prediction: impl IntoTensor<'a, F>,
        target: impl IntoTensor<'a, F>,
        weights: Option<impl IntoTensor<'a, F>>,
    ) -> Result<Self> {
        let (mut prediction, target) = (prediction.into_tensor().into_owned(), target.into_tensor());
        // The only axis is the last, over which losses go: that of the values.
        let values = prediction.shape().to_vec();
        let is_one_sample = values.len() == 1 && target.shape == values;
        let target = if is_one_sample {
            prediction.reshape(&[1, values[0]]);
            let mut target = target.into_owned();
            target.reshape(&[1, values[0]]);
            target
        } else {
            let sample = prediction.shape().get(1..).unwrap_or(&[]).to_vec();
            target.fit_rows("loss", "a target", &loss.target_shape(&sample)?)?
        };
        let sample = prediction.shape().get(1..).unwrap_or(&[]).to_vec();
        if is_one_sample && loss.target_shape(&sample)? != sample {
            return Err(Error::data("loss", "a target of another shape than the prediction", "two of one axis"));
        }
        if target.rows() != prediction.rows() {
            let received = format!("{} rows", target.rows());
            return Err(Error::data("loss", format!("a target for {} rows", prediction.rows()), received));
        }
        loss.check_targets("loss", &sample, target.view())?;
        let weights = weights.map(|weights| weights.into_tensor().into_owned());
        let mut values_shape = if loss.couples_batch() { vec![] } else { vec![prediction.rows()] };
        values_shape.extend(loss.values_shape(&sample));
        if let (true, Some(weights)) = (values_shape.is_empty(), &weights) {
            values_shape = weights.shape().to_vec(); // the one value, once for each weight
        }
        let mut rows = RowWeights::default();
        if let Some(weights) = &weights {
            check_weights("loss", &values_shape, weights.shape())?;
        }
        rows.fill(loss, &sample, target.view(), &values_shape, weights.as_ref().map(Tensor::view), None, None);
        let mut totals = vec![F::zero(); loss.sums(&sample)];
        loss.partial_sums(prediction.view(), target.view(), &mut totals);
        let mut values = vec![F::zero(); volume(&values_shape)];
        loss.values(prediction.view(), target.view(), &mut values, &LossContext { totals: &totals });
        Ok(Self { prediction, target, totals, values, values_shape, rows, is_one_sample })
    }

    fn value<L: Loss<F> + ?Sized>(&self, loss: &L) -> Result<F> {
        let reduction = loss.describe().reduction;
        let Some(denominator) = self.rows.sums.denominator(reduction) else {
            return Err(Error::option("reduction", "one that gives a single value", "none"));
        };
        let total: F = self.values.iter().zip(&self.rows.weights).map(|(&value, &weight)| value * weight).sum();
        Ok(divide(total, denominator))
    }

    fn unreduced(&self) -> ArrayD<F> {
        let shape = if self.is_one_sample { &[][..] } else { &self.values_shape };
        let weighted = self.values.iter().zip(&self.rows.weights).map(|(&value, &weight)| value * weight).collect();
        ArrayD::from_shape_vec(IxDyn(shape), weighted).expect("shape and values agree")
    }

    fn gradient<L: Loss<F> + ?Sized>(&self, loss: &L, upstream: Option<&[F]>) -> ArrayD<F> {
        let scale = match self.rows.sums.denominator(loss.describe().reduction) {
            Some(denominator) => divide(F::one(), denominator),
            None => F::one(),
        };
        let upstream = |row: usize| match upstream {
            None => F::one(),
            Some([one]) => *one,
            Some(each) => each[row],
        };
        let weights: Vec<F> =
            self.rows.weights.iter().enumerate().map(|(row, &weight)| weight * scale * upstream(row)).collect();
        let mut grad = Tensor::zeros(self.prediction.shape());
        let cx = LossContext { totals: &self.totals };
        loss.gradient(self.prediction.view(), self.target.view(), &weights, grad.view_mut(), &cx);
        if self.is_one_sample {
            grad.reshape(&[self.prediction.data().len()]);
        }
        grad.into_array()
    }
}
