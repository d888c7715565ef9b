//! From the values of rows to one loss: weights, masks, denominators.
//!
//! ```text
//! loss = Σ wᵣ·vᵣ / D          wᵣ = sample weight · class weight · mask
//! ```
//! with D = 1 (sum), the number of values that count (sum over batch size, mean), or Σ w (mean with sample weight).

use serde_json::{Value, json};

use super::Loss;
use crate::config::Setting;
use crate::{Error, Result, Scalar, View};

/// How the values of a batch's rows become one loss.
///
/// | | D |
/// | --- | --- |
/// | `SumOverBatchSize`, `Mean` | the number of values that a mask does not take out |
/// | `MeanWithSampleWeight` | the sum of the weights |
/// | `Sum` | 1 |
/// | `None` | nothing is summed; for calling a loss by itself, not for training |
///
/// # Source
/// Keras `losses.Loss`, argument `reduction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduction {
    /// The mean over all values; the sum of weights plays no part.
    #[default]
    SumOverBatchSize,
    /// The same under another name.
    Mean,
    /// The weighted mean.
    MeanWithSampleWeight,
    /// The sum.
    Sum,
    /// No reduction.
    None,
}

impl Setting for Reduction {
    fn to_value(&self) -> Value {
        match self {
            Self::SumOverBatchSize => json!("sum_over_batch_size"),
            Self::Mean => json!("mean"),
            Self::MeanWithSampleWeight => json!("mean_with_sample_weight"),
            Self::Sum => json!("sum"),
            Self::None => Value::Null,
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        Ok(match value.as_str() {
            Some("sum_over_batch_size") => Self::SumOverBatchSize,
            Some("mean") => Self::Mean,
            Some("mean_with_sample_weight") => Self::MeanWithSampleWeight,
            Some("sum") => Self::Sum,
            Some("none") => Self::None,
            None if value.is_null() => Self::None,
            _ => return Err(crate::config::expected("a reduction such as \"sum_over_batch_size\"", value)),
        })
    }
}

/// What denominators are made of; the shards' add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// How many values there are.
    pub values: f64,
    /// How many of them count, where something masks.
    pub counted: Option<f64>,
    /// The sum of the weights as they were given.
    pub weights: f64,
}

impl Sums {
    /// D; none without reduction.
    pub fn denominator(&self, reduction: Reduction) -> Option<f64> {
        match reduction {
            Reduction::SumOverBatchSize | Reduction::Mean => Some(self.counted.unwrap_or(self.values)),
            Reduction::MeanWithSampleWeight => Some(self.weights),
            Reduction::Sum => Some(1.0),
            Reduction::None => None,
        }
    }
}

/// total / denominator, and 0 where the denominator is 0.
pub(crate) fn divide<F: Scalar>(total: F, denominator: f64) -> F {
    if denominator == 0.0 { F::zero() } else { total / F::of(denominator) }
}

/// A weight for every value.
#[derive(Clone, Debug)]
pub(crate) struct RowWeights<F> {
    pub weights: Vec<F>,
    counts: Vec<F>,
    pub sums: Sums,
}

impl<F> Default for RowWeights<F> {
    fn default() -> Self {
        Self { weights: Vec::new(), counts: Vec::new(), sums: Sums::default() }
    }
}

impl<F: Scalar> RowWeights<F> {
    /// 1 for each value that counts, 0 for the others.
    pub fn counts(&self) -> &[F] {
        &self.counts
    }

    /// Joins everything that weighs: sample weights (a value a sample, or of a shape that extends to that of the
    /// values), class weights by the target's class, a mask (batch, time), and the loss's own (`ignore_class`).
    #[allow(clippy::too_many_arguments)]
    pub fn fill<L: Loss<F> + ?Sized>(
        &mut self,
        loss: &L,
        prediction: &[usize],
        target: View<'_, F>,
        values: &[usize],
        sample_weights: Option<View<'_, F>>,
        class_weights: Option<&[F]>,
        mask: Option<&[bool]>,
    ) {
        let count: usize = values.iter().product();
        self.weights.clear();
        self.weights.resize(count, F::one());
        self.sums = Sums { values: count as f64, counted: None, weights: count as f64 };
        if let Some(given) = sample_weights {
            spread(&given, values, &mut self.weights);
            self.sums.weights = given.iter().map(|weight| weight.f64()).sum();
        }
        if let Some(by_class) = class_weights {
            weigh_classes(by_class, prediction, &target, &mut self.weights);
            self.sums.weights = self.weights.iter().map(|weight| weight.f64()).sum();
        }
        self.counts.clear();
        self.counts.resize(count, F::one());
        if loss.ignores_rows() {
            loss.counts(target, &mut self.counts);
        }
        if let Some(mask) = mask {
            let each = count / mask.len().max(1);
            for (counts, &counted) in self.counts.chunks_mut(each.max(1)).zip(mask) {
                if !counted {
                    counts.fill(F::zero());
                }
            }
        }
        if loss.ignores_rows() || mask.is_some() {
            self.sums.counted = Some(self.counts.iter().map(|count| count.f64()).sum());
            self.weights.iter_mut().zip(&self.counts).for_each(|(weight, &count)| *weight *= count);
            self.sums.weights = self.weights.iter().map(|weight| weight.f64()).sum();
        }
    }
}

/// Extends `given` to the shape of the values: axes of size 1, and axes missing at the end, repeat.
fn spread<F: Scalar>(given: &View<'_, F>, values: &[usize], out: &mut [F]) {
    if given.len() == out.len() {
        out.copy_from_slice(given);
        return;
    }
    for (i, out) in out.iter_mut().enumerate() {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        // From the last axis to the first, as long as `given` has the axis.
        for (axis, &size) in values.iter().enumerate().rev() {
            let own = given.shape().get(axis).copied().unwrap_or(1);
            at += (rest % size).min(own - 1) * stride;
            stride *= own;
            rest /= size;
        }
        *out = given[at];
    }
}

/// The class of a target is the label itself, or the place of the largest value in a one-hot row.
fn weigh_classes<F: Scalar>(by_class: &[F], prediction: &[usize], target: &View<'_, F>, out: &mut [F]) {
    let one_hot = target.shape().get(1..) == Some(prediction) && target.last_axis() > 1;
    let classes = if one_hot { target.last_axis() } else { 1 };
    for (weight, row) in out.iter_mut().zip(target.chunks(classes)) {
        let class =
            if one_hot { crate::kernels::elementwise::argmax(row) } else { row[0].to_usize().unwrap_or(usize::MAX) };
        *weight *= by_class.get(class).copied().unwrap_or_else(F::one);
    }
}

/// Refuses weights whose shape does not extend to that of the values.
pub(crate) fn check_weights(call: &str, values: &[usize], weights: &[usize]) -> Result<()> {
    // A column of weights is as good as a row of them.
    let weights_axes = match weights {
        [rest @ .., 1] if weights.len() > values.len() => rest,
        all => all,
    };
    let fits = weights_axes.len() <= values.len().max(1)
        && weights_axes.iter().zip(values).enumerate().all(|(axis, (&w, &v))| w == v || (w == 1 && axis > 0));
    if fits {
        return Ok(());
    }
    let expected = format!("weights of shape {} or with axes of size 1 in it", crate::error::show(values));
    Err(Error::data(call, expected, crate::error::show(weights)))
}
