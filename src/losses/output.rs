//! One output's loss on one shard of a batch.

use super::reduction::{RowWeights, Sums, divide};
use super::{Loss, LossContext, Reduction};
use crate::{Activation, Scalar, Tensor, View, ViewMut};

/// The memory of one output's loss on one shard: target, weights, values.
pub(crate) struct OutputLoss<F> {
    /// The shard's rows of the target, in the shape that the loss takes.
    pub target: Tensor<F>,
    /// The shard's rows of the sample weights; without rows where there are none.
    pub sample_weights: Option<Tensor<F>>,
    pub rows: RowWeights<F>,
    /// The sums that a loss which couples samples needs.
    pub sums: Vec<F>,
    /// Whether the values are the batch's: the same in every shard.
    pub of_batch: bool,
    values_shape: Vec<usize>,
    values: Vec<F>,
    scaled: Vec<F>,
    /// Σ weight·value.
    pub total: f64,
}

impl<F: Scalar> OutputLoss<F> {
    /// For a loss on an output whose samples have the shape `prediction`.
    pub fn new<L: Loss<F> + ?Sized>(loss: &L, prediction: &[usize], weights: Option<&[usize]>) -> Self {
        let target = loss.target_shape(prediction).expect("checked when compiled");
        let mut values_shape = if loss.of_batch() { vec![] } else { vec![0] };
        values_shape.extend(loss.values_shape(prediction));
        Self {
            target: Tensor::without_rows(&target),
            sample_weights: weights.map(Tensor::without_rows),
            rows: RowWeights::default(),
            sums: vec![F::zero(); loss.sums(prediction)],
            of_batch: loss.of_batch(),
            values_shape,
            values: Vec::new(),
            scaled: Vec::new(),
            total: 0.0,
        }
    }

    /// Makes room for `rows` rows of target and weights.
    pub fn set_rows(&mut self, rows: usize) {
        self.target.set_rows(rows);
        if !self.of_batch {
            self.values_shape[0] = rows;
        }
        if let Some(weights) = &mut self.sample_weights {
            weights.set_rows(rows);
        }
    }

    /// Weighs the rows, and gathers this shard's part of what couples samples.
    pub fn weigh<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        prediction: View<'_, F>,
        class_weights: Option<&[F]>,
        mask: Option<&[bool]>,
    ) {
        let weights = self.sample_weights.as_ref().map(Tensor::view);
        let sample = &prediction.shape()[1..];
        let mask = mask.filter(|_| !self.of_batch);
        self.rows.fill(loss, sample, self.target.view(), &self.values_shape, weights, class_weights, mask);
        self.sums.fill(F::zero());
        if !self.sums.is_empty() {
            loss.partial_sums(prediction, self.target.view(), &mut self.sums);
        }
    }

    /// The values of the rows, and their weighted sum.
    pub fn evaluate<L: Loss<F> + ?Sized>(&mut self, loss: &L, prediction: View<'_, F>, totals: &[F]) {
        self.values.resize(self.rows.weights.len(), F::zero());
        loss.values(prediction, self.target.view(), &mut self.values, &LossContext { totals });
        self.total = self.values.iter().zip(&self.rows.weights).map(|(value, weight)| (*value * *weight).f64()).sum();
    }

    /// The gradient of weight · Σ wv / D, where `denominator` is D; with `fused` before that activation.
    pub fn gradient<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        fused: Option<&Activation>,
        prediction: View<'_, F>,
        weight: f64,
        denominator: f64,
        totals: &[F],
        grad: ViewMut<'_, F>,
    ) {
        let scale = divide(F::of(weight), denominator);
        self.scaled.clear();
        self.scaled.extend(self.rows.weights.iter().map(|&weight| weight * scale));
        match fused {
            Some(activation) => loss.fused_gradient(activation, prediction, self.target.view(), &self.scaled, grad),
            None => loss.gradient(prediction, self.target.view(), &self.scaled, grad, &LossContext { totals }),
        }
    }
}

/// D for a batch of so many values, where it is known before the shards have met: without masks and weights.
pub(crate) fn known_denominator(reduction: Reduction, values: usize, weighted: bool, masked: bool) -> Option<f64> {
    let sums = Sums { values: values as f64, counted: None, weights: values as f64 };
    let known = match reduction {
        Reduction::Sum => true,
        Reduction::MeanWithSampleWeight => !weighted && !masked,
        _ => !masked,
    };
    if known { sums.denominator(reduction) } else { None }
}
