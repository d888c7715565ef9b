//! One output's loss on one shard of a batch.

use super::reduction::{RowWeights, Sums, divide};
use super::{Fused, Loss, LossContext, Reduction};
use crate::{Activation, Result, Scalar, Tensor, View, ViewMut};

/// The shapes of what a loss takes and gives for outputs whose samples have one shape.
#[derive(Debug)]
pub(crate) struct LossShapes {
    /// A sample of the output.
    pub prediction: Vec<usize>,
    /// A row of the target.
    pub target: Vec<usize>,
    /// The values of a row; of a loss of the whole batch, all.
    pub values: Vec<usize>,
    /// How many sums over the batch the loss needs.
    pub sums: usize,
}

impl LossShapes {
    pub fn of<F: Scalar, L: Loss<F> + ?Sized>(loss: &L, prediction: &[usize]) -> Result<Self> {
        Ok(Self {
            prediction: prediction.to_vec(),
            target: loss.target_shape(prediction)?,
            values: loss.values_shape(prediction),
            sums: loss.sums(prediction),
        })
    }
}

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
    pub couples_batch: bool,
    values_shape: Vec<usize>,
    values: Vec<F>,
    /// What the output's activation makes of it, where the loss takes it before the activation.
    activated: Tensor<F>,
    scaled: Vec<F>,
    /// Σ weight·value.
    pub total: f64,
}

impl<F: Scalar> OutputLoss<F> {
    /// For a loss, with or without sample weights.
    pub fn new<L: Loss<F> + ?Sized>(loss: &L, weighted: bool) -> Self {
        Self {
            target: Tensor::default(),
            sample_weights: weighted.then(Tensor::default),
            rows: RowWeights::default(),
            sums: Vec::new(),
            couples_batch: loss.couples_batch(),
            values_shape: Vec::new(),
            values: Vec::new(),
            activated: Tensor::default(),
            scaled: Vec::new(),
            total: 0.0,
        }
    }

    /// Makes room for `rows` rows of target and weights, where a row of the weights has the shape `weights`.
    pub fn make_room(&mut self, rows: usize, shapes: &LossShapes, weights: Option<&[usize]>) {
        self.target.reshape_rows(rows, &shapes.target);
        self.values_shape.clear();
        self.values_shape.extend((!self.couples_batch).then_some(rows));
        self.values_shape.extend_from_slice(&shapes.values);
        self.sums.resize(shapes.sums, F::zero());
        if let Some(own) = &mut self.sample_weights {
            own.reshape_rows(rows, weights.unwrap_or_default());
        }
    }

    /// Weighs the rows, and gathers this shard's part of what couples samples. With `fused` the output is given before that
    /// activation.
    pub fn weigh<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        fused: Option<&Activation>,
        output: View<'_, F>,
        class_weights: Option<&[F]>,
        mask: Option<&[bool]>,
    ) {
        let weights = self.sample_weights.as_ref().map(Tensor::view);
        if let Some(activation) = fused {
            self.activated.reshape(output.shape());
            self.activated.data_mut().copy_from_slice(&output);
            activation.forward(self.activated.view_mut());
        }
        let sample = &output.shape()[1..];
        let mask = mask.filter(|_| !self.couples_batch);
        self.rows.fill(loss, sample, self.target.view(), &self.values_shape, weights, class_weights, mask);
        self.sums.fill(F::zero());
        if !self.sums.is_empty() {
            let prediction = if fused.is_some() { self.activated.view() } else { output };
            loss.partial_sums(prediction, self.target.view(), &mut self.sums);
        }
    }

    /// What the model predicts, of an output as [`weigh`](Self::weigh) was given it.
    pub fn prediction<'a>(&'a self, fused: Option<&Activation>, output: View<'a, F>) -> View<'a, F> {
        if fused.is_some() { self.activated.view() } else { output }
    }

    /// The values of the rows, and their weighted sum.
    pub fn evaluate<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        fused: Option<&Activation>,
        output: View<'_, F>,
        totals: &[F],
    ) {
        self.values.resize(self.rows.weights.len(), F::zero());
        let (target, values) = (self.target.view(), &mut self.values);
        match fused {
            Some(activation) => {
                let of = Fused { activation, logits: output, prediction: self.activated.view() };
                loss.fused_values(of, target, values);
            }
            None => loss.values(output, target, values, &LossContext { totals }),
        }
        self.total = self.values.iter().zip(&self.rows.weights).map(|(value, weight)| (*value * *weight).f64()).sum();
    }

    /// The gradient of weight · Σ wv / D, where `denominator` is D; with `fused` before that activation.
    pub fn gradient<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        fused: Option<&Activation>,
        output: View<'_, F>,
        weight: f64,
        denominator: f64,
        totals: &[F],
        grad: ViewMut<'_, F>,
    ) {
        let scale = divide(F::of(weight), denominator);
        self.scaled.clear();
        self.scaled.extend(self.rows.weights.iter().map(|&weight| weight * scale));
        match fused {
            Some(activation) => {
                let of = Fused { activation, logits: output, prediction: self.activated.view() };
                loss.fused_gradient(of, self.target.view(), &self.scaled, grad);
            }
            None => loss.gradient(output, self.target.view(), &self.scaled, grad, &LossContext { totals }),
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
