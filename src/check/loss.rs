//! Gradients of losses.

use ndarray::{ArrayD, IxDyn};
use rand::Rng;

use super::differences::{Closeness, Variable, compare};
use crate::error::GradientReport;
use crate::losses::{Fused, Loss, LossCall, LossContext, LossDescription, Reduction};
use crate::tensor::inputs::IntoTensor;
use crate::tensor::volume;
use crate::{Activation, Error, Result, Tensor, View, ViewMut, random};

const CLOSENESS: Closeness = Closeness { tolerance: 1e-6, sample: 200, seed: 0 };

/// Compares a loss's gradient with central differences, at this prediction and target: with every [`Reduction`], without
/// weights and with weights a sample and a value; joined with the activations that the loss
/// [fuses with](Loss::fuses_with), against the gradient through the activation. A loss must also give the same where a
/// batch is cut into shards, which is checked where the batch has two rows or more.
///
/// ```
/// use gradus::check::check_loss;
/// use gradus::custom::*;
///
/// let (prediction, target) = (array![[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]], array![[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
/// check_loss(&CategoricalCrossentropy::new().label_smoothing(0.1), &prediction, &target)?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Gradient`] with a report; [`Error::Conformance`] if cutting the batch changes anything; or if the loss does
/// not take such a prediction and target.
pub fn check_loss<'a, L: Loss<f64> + ?Sized>(
    loss: &L,
    prediction: impl IntoTensor<'a, f64>,
    target: impl IntoTensor<'a, f64>,
) -> Result<GradientReport> {
    let prediction = prediction.into_tensor().into_owned();
    let sample = prediction.shape().get(1..).unwrap_or(&[]).to_vec();
    let target = target.into_tensor().fit_rows("check_loss", "a target", &loss.target_shape(&sample)?)?;
    let case = Case { loss, prediction: prediction.into_array(), target: target.into_array() };
    // Whatever the loss refuses, it refuses here.
    case.loss.unreduced(&case.prediction, &case.target, None)?;
    let mut report = GradientReport { subject: loss.describe().class, tensors: Vec::new() };
    for weighting in [Weighting::None, Weighting::Samples, Weighting::Values] {
        let reductions = [
            Reduction::SumOverBatchSize,
            Reduction::Mean,
            Reduction::MeanWithSampleWeight,
            Reduction::Sum,
            Reduction::None,
        ];
        for reduction in reductions {
            report.tensors.extend(case.differences(reduction, weighting)?.tensors);
        }
    }
    for activation in [Activation::Softmax, Activation::Sigmoid, Activation::LogSoftmax, Activation::Tanh] {
        if loss.fuses_with(&activation) {
            report.tensors.extend(case.joined(&activation)?.tensors);
        }
    }
    case.shards()?;
    report.into_result()
}

/// What weighs in a loss.
#[derive(Clone, Copy, Debug)]
enum Weighting {
    None,
    Samples,
    Values,
}

struct Case<'l, L: ?Sized> {
    loss: &'l L,
    prediction: ArrayD<f64>,
    target: ArrayD<f64>,
}

impl<L: Loss<f64> + ?Sized> Case<'_, L> {
    /// The shape of the batch's values.
    fn values_shape(&self) -> Vec<usize> {
        let mut shape = if self.loss.couples_batch() { vec![] } else { vec![self.prediction.shape()[0]] };
        shape.extend(self.loss.values_shape(&self.prediction.shape()[1..]));
        shape
    }

    /// The loss as it is called, with one reduction and one kind of weights.
    fn differences(&self, reduction: Reduction, weighting: Weighting) -> Result<GradientReport> {
        let reduced = Reduced { loss: self.loss, reduction };
        let values = self.values_shape();
        let weights = match weighting {
            Weighting::None => None,
            Weighting::Samples => Some(random_weights(&values[..values.len().min(1)], "samples")),
            Weighting::Values => Some(random_weights(&values, "values")),
        };
        let weights = weights.as_ref().map(|(shape, weights)| View::new(shape, weights));
        // Without reduction every value goes its own way: the gradient of Σ upstream · values.
        let upstream = match reduction {
            Reduction::None => random_weights(&values, "upstream").1,
            _ => vec![0.7],
        };
        let analytic = reduced.gradient_from(&self.prediction, &self.target, weights, &upstream)?;
        let with = match weighting {
            Weighting::None => "",
            Weighting::Samples => ", weights a sample",
            Weighting::Values => ", weights a value",
        };
        let variable = Variable {
            name: format!("prediction ({reduction:?}{with})"),
            shape: self.prediction.shape().to_vec(),
            values: self.prediction.iter().copied().collect(),
            analytic: analytic.iter().copied().collect(),
        };
        let mut at = self.prediction.clone();
        compare(String::new(), &[variable], CLOSENESS, &mut |values, terms| {
            at.iter_mut().zip(&values[0]).for_each(|(p, &value)| *p = value);
            terms.clear();
            if reduction == Reduction::None {
                let values = reduced.unreduced(&at, &self.target, weights)?;
                terms.extend(values.iter().zip(&upstream).map(|(value, upstream)| value * upstream));
            } else {
                let value = match weights {
                    Some(weights) => reduced.call_weighted(&at, &self.target, weights)?,
                    None => reduced.call(&at, &self.target)?,
                };
                terms.push(value * upstream[0]);
            }
            Ok(())
        })
    }

    /// The gradient before the activation, against differences of the loss behind the activation.
    fn joined(&self, activation: &Activation) -> Result<GradientReport> {
        let shape = self.prediction.shape().to_vec();
        let mut rng = random::rng(0, "check/logits");
        let logits: Vec<f64> = (0..volume(&shape)).map(|_| rng.random_range(-2.0..2.0)).collect();
        let behind = |logits: &[f64]| {
            let mut prediction = logits.to_vec();
            activation.forward(ViewMut::new(&shape, &mut prediction));
            ArrayD::from_shape_vec(IxDyn(&shape), prediction).expect("as many values as before")
        };
        let prediction = Tensor::from_array(&behind(&logits));
        let target = Tensor::from_array(&self.target);
        let (_, mut weights) = random_weights(&self.values_shape(), "joined");
        if self.loss.ignores_rows() {
            let mut counts = vec![1.0; weights.len()];
            self.loss.counts(target.view(), &mut counts);
            weights.iter_mut().zip(counts).for_each(|(weight, count)| *weight *= count);
        }
        let mut analytic = vec![f64::NAN; logits.len()];
        let grad = ViewMut::new(&shape, &mut analytic);
        let of = Fused { activation, logits: View::new(&shape, &logits), prediction: prediction.view() };
        self.loss.fused_gradient(of, target.view(), &weights, grad);
        let name = format!("before {activation:?}, joined");
        let variable = Variable { name, shape: shape.clone(), values: logits, analytic };
        compare(String::new(), &[variable], CLOSENESS, &mut |logits, terms| {
            let values = self.loss.unreduced(&behind(&logits[0]), &self.target, None)?;
            terms.clear();
            terms.extend(values.iter().zip(&weights).map(|(value, weight)| value * weight));
            Ok(())
        })
    }

    /// The values and gradients of two parts of the batch, with the sums of both, are those of the whole.
    fn shards(&self) -> Result<()> {
        let rows = self.prediction.shape()[0];
        if rows < 2 {
            return Ok(());
        }
        let (prediction, target) = (Tensor::from_array(&self.prediction), Tensor::from_array(&self.target));
        let mut totals = vec![0.0; self.loss.sums(&self.prediction.shape()[1..])];
        self.loss.partial_sums(prediction.view(), target.view(), &mut totals);
        let (_, weights) = random_weights(&self.values_shape(), "shards");
        let pass = |prediction: &Tensor<f64>, target: &Tensor<f64>, weights: &[f64], totals: &[f64]| {
            let (mut values, mut grad) = (vec![f64::NAN; weights.len()], Tensor::zeros(prediction.shape()));
            grad.data_mut().fill(f64::NAN); // stale values must not matter
            let cx = LossContext { totals };
            self.loss.values(prediction.view(), target.view(), &mut values, &cx);
            self.loss.gradient(prediction.view(), target.view(), weights, grad.view_mut(), &cx);
            (values, grad.data().to_vec())
        };
        let whole = pass(&prediction, &target, &weights, &totals);
        let middle = rows / 2;
        let part = |tensor: &Tensor<f64>, rows: std::ops::Range<usize>| {
            let mut shape = tensor.shape().to_vec();
            let row = tensor.data().len() / shape[0];
            shape[0] = rows.len();
            let mut part = Tensor::zeros(&shape);
            part.data_mut().copy_from_slice(&tensor.data()[rows.start * row..rows.end * row]);
            part
        };
        let parts = [0..middle, middle..rows].map(|rows| (part(&prediction, rows.clone()), part(&target, rows)));
        let mut joined = vec![0.0; totals.len()];
        for (prediction, target) in &parts {
            let mut sums = vec![0.0; totals.len()];
            self.loss.partial_sums(prediction.view(), target.view(), &mut sums);
            joined.iter_mut().zip(&sums).for_each(|(total, sum)| *total += sum);
        }
        let (mut values, mut gradient) = (Vec::new(), Vec::new());
        let each = weights.len() / rows;
        let couples_batch = self.loss.couples_batch();
        let part_weights =
            if couples_batch { [&weights[..]; 2] } else { [&weights[..middle * each], &weights[middle * each..]] };
        for ((prediction, target), weights) in parts.iter().zip(part_weights) {
            let (part_values, part_gradient) = pass(prediction, target, weights, &joined);
            if couples_batch {
                values.clear(); // the same in each part
            }
            values.extend(part_values);
            gradient.extend(part_gradient);
        }
        for (what, whole, parts) in
            [("sums", &totals, &joined), ("values", &whole.0, &values), ("gradient", &whole.1, &gradient)]
        {
            let size = whole.iter().fold(1e-300, |most: f64, value| most.max(value.abs()));
            if let Some(i) = (0..whole.len()).find(|&i| !((whole[i] - parts[i]).abs() <= 1e-12 * size)) {
                let problem =
                    format!("the {what} of {rows} rows have {} in place {i}, of two parts {}", whole[i], parts[i]);
                let class = self.loss.describe().class;
                return Err(Error::Conformance { class, property: "the same however a batch is cut", problem });
            }
        }
        Ok(())
    }
}

/// Weights between one half and three halves.
fn random_weights(shape: &[usize], purpose: &str) -> (Vec<usize>, Vec<f64>) {
    let mut rng = random::rng(0, format!("check/{purpose}"));
    (shape.to_vec(), (0..volume(shape)).map(|_| rng.random_range(0.5..1.5)).collect())
}

/// A loss with another reduction.
struct Reduced<'l, L: ?Sized> {
    loss: &'l L,
    reduction: Reduction,
}

impl<L: Loss<f64> + ?Sized> Loss<f64> for Reduced<'_, L> {
    fn values(&self, p: View<'_, f64>, t: View<'_, f64>, values: &mut [f64], cx: &LossContext<'_, f64>) {
        self.loss.values(p, t, values, cx);
    }
    fn gradient(
        &self,
        p: View<'_, f64>,
        t: View<'_, f64>,
        weights: &[f64],
        grad: ViewMut<'_, f64>,
        cx: &LossContext<'_, f64>,
    ) {
        self.loss.gradient(p, t, weights, grad, cx);
    }
    fn describe(&self) -> LossDescription {
        LossDescription { reduction: self.reduction, ..self.loss.describe() }
    }
    fn values_shape(&self, prediction: &[usize]) -> Vec<usize> {
        self.loss.values_shape(prediction)
    }
    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        self.loss.target_shape(prediction)
    }
    fn ignores_rows(&self) -> bool {
        self.loss.ignores_rows()
    }
    fn counts(&self, target: View<'_, f64>, counts: &mut [f64]) {
        self.loss.counts(target, counts);
    }
    fn couples_batch(&self) -> bool {
        self.loss.couples_batch()
    }
    fn sums(&self, prediction: &[usize]) -> usize {
        self.loss.sums(prediction)
    }
    fn partial_sums(&self, p: View<'_, f64>, t: View<'_, f64>, sums: &mut [f64]) {
        self.loss.partial_sums(p, t, sums);
    }
}
