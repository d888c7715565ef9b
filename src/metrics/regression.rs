//! How well numbers follow one another.

use super::{Mean, Metric, mean_metric, metric_options, weight};
use crate::config::{Config, Configured, words};
use crate::kernels::losses::ClassAxis;
use crate::losses::class_axis;
use crate::{Error, Result, Scalar, View};

metric_options! {
    /// The root of the mean of squared errors: √(Σ w·(p − t)² / Σ w), over all values.
    ///
    /// # Shapes
    /// Prediction and target of one shape.
    /// # Source
    /// Keras `RootMeanSquaredError`.
    pub struct RootMeanSquaredError {}
}

impl<F: Scalar> Metric<F> for RootMeanSquaredError {
    type State = Mean;
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "root_mean_squared_error".into())
    }
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        super::counts::check_same(prediction, target)
    }
    fn update(&self, state: &mut Mean, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
        let values = p.len();
        for (i, (&p, &t)) in p.iter().zip(t.iter()).enumerate() {
            let error = (p - t).f64();
            state.add(error * error, weight(weights, i, values));
        }
    }
    fn result(&self, state: &Mean) -> f64 {
        state.result().sqrt()
    }
    fn describe(&self) -> Option<(String, Config)> {
        Some((<Self as Configured>::CLASS.into(), self.to_config()))
    }
}

/// How the outputs' R² become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassAggregation {
    /// Their mean.
    UniformAverage,
    /// Each by the variance of its targets.
    VarianceWeightedAverage,
}

words!(ClassAggregation: UniformAverage = "uniform_average", VarianceWeightedAverage = "variance_weighted_average");

metric_options! {
    /// R², the share of the targets' variance that is predicted: 1 − Σ w·(t − p)² / (Σ w·t² − (Σ w·t)² / Σ w).
    ///
    /// −∞, of a constant target, is taken for 0. With `num_regressors` p the adjusted one: 1 − (1 − R²)(n − 1) / (n − p − 1),
    /// n the number of values.
    ///
    /// # Shapes
    /// Prediction and target (batch, outputs).
    /// # Defaults
    /// `class_aggregation` the mean, `num_regressors` 0.
    /// # Errors
    /// When compiled: predictions of another rank.
    /// # Source
    /// Keras `R2Score`.
    pub struct R2Score {
        /// How the outputs' scores become one; none: [`results`](Metric::results) has each, and `result` is their mean.
        /// Default: the mean.
        class_aggregation: Option<ClassAggregation> = Some(ClassAggregation::UniformAverage),
        /// How many regressors an adjusted score is corrected for. Default: 0, none.
        num_regressors: usize = 0,
    }
}

/// Sums over the rows, for each output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    sum: Vec<f64>,
    squared: Vec<f64>,
    residual: Vec<f64>,
    count: Vec<f64>,
    values: f64,
}

impl super::MetricState for Moments {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        visit(&mut self.sum);
        visit(&mut self.squared);
        visit(&mut self.residual);
        visit(&mut self.count);
        visit(std::slice::from_mut(&mut self.values));
    }
}

impl<F: Scalar> Metric<F> for R2Score {
    type State = Moments;
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "r2_score".into())
    }
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        super::counts::check_same(prediction, target)?;
        if prediction.len() == 1 { Ok(()) } else { Err(Error::shape("a prediction of (outputs) a row", prediction)) }
    }
    fn update(&self, state: &mut Moments, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
        let outputs = p.last_axis().max(1);
        for sums in [&mut state.sum, &mut state.squared, &mut state.residual, &mut state.count] {
            sums.resize(outputs, 0.0);
        }
        let values = p.len();
        state.values += values as f64;
        for (i, (p, t)) in p.iter().zip(t.iter()).enumerate() {
            let (w, output) = (weight(weights, i, values), i % outputs);
            let (p, t) = (p.f64(), t.f64());
            state.sum[output] += w * t;
            state.squared[output] += w * t * t;
            state.residual[output] += w * (t - p) * (t - p);
            state.count[output] += w;
        }
    }
    fn result(&self, state: &Moments) -> f64 {
        let each = Metric::<F>::results(self, state);
        each.iter().sum::<f64>() / each.len().max(1) as f64
    }
    fn results(&self, state: &Moments) -> Vec<f64> {
        let variances = || {
            let outputs = state.sum.iter().zip(&state.squared).zip(&state.count);
            outputs.map(|((sum, squared), count)| squared - sum * sum / count)
        };
        let finite = |score: f64| if score.is_infinite() { 0.0 } else { score };
        let each: Vec<f64> =
            state.residual.iter().zip(variances()).map(|(residual, all)| finite(1.0 - residual / all)).collect();
        let scores = match self.class_aggregation {
            None => each,
            Some(ClassAggregation::UniformAverage) => vec![each.iter().sum::<f64>() / each.len().max(1) as f64],
            Some(ClassAggregation::VarianceWeightedAverage) => {
                vec![
                    each.iter().zip(variances()).map(|(score, all)| score * all).sum::<f64>()
                        / variances().sum::<f64>(),
                ]
            }
        };
        let (n, p) = (state.values, self.num_regressors as f64);
        if self.num_regressors == 0 || p >= n - 1.0 {
            return scores;
        }
        scores.iter().map(|score| 1.0 - (1.0 - score) * (n - 1.0) / (n - p - 1.0)).collect()
    }
    fn higher_is_better(&self) -> bool {
        true
    }
    fn describe(&self) -> Option<(String, Config)> {
        Some((<Self as Configured>::CLASS.into(), self.to_config()))
    }
}

/// Declares the mean of a measure of each row of an axis: `measure(p, t)` of the two rows.
macro_rules! axis_metric {
    ($(#[$meta:meta])* $name:ident $(as $class:literal)?, $default:literal, $measure:expr) => {
        metric_options! {
            $(#[$meta])*
            ///
            /// # Shapes
            /// Prediction and target of one shape.
            /// # Defaults
            /// `axis` −1.
            pub struct $name $(as $class)? {
                /// The axis whose rows are compared. Default: the last. Along 0, the batch, a row is what comes in one update:
                /// in a training a shard's samples.
                axis: isize = -1,
            }
        }

        impl $name {
            fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
                let (measure, axis) = ($measure, rows_of(self.axis, p.shape()));
                let rows = p.len() / axis.n.max(1);
                for row in 0..rows {
                    let start = axis.start(row);
                    let pair = |i: usize| [&p, &t].map(|values| values[start + i * axis.inner].f64());
                    each(row, rows, measure(&Pairs { n: axis.n, at: &pair }));
                }
            }
        }

        mean_metric!($name, $default, higher_is_better: true, check: super::counts::check_same);
    };
}

/// The axis over which rows are compared; unlike a loss's it may be that of the batch.
fn rows_of(axis: isize, shape: &[usize]) -> ClassAxis {
    if axis == 0 || axis.unsigned_abs() == shape.len() {
        return ClassAxis { n: shape[0], inner: shape[1..].iter().product() };
    }
    class_axis(axis, shape)
}

/// A row of predictions and targets, value by value.
struct Pairs<'a> {
    n: usize,
    at: &'a dyn Fn(usize) -> [f64; 2],
}

/// Predictions and targets by their place in a pair.
const P: usize = 0;
const T: usize = 1;

impl Pairs<'_> {
    fn sum(&self, of: impl Fn([f64; 2]) -> f64) -> f64 {
        (0..self.n).map(|i| of((self.at)(i))).sum()
    }

    fn mean(&self, side: usize) -> f64 {
        self.sum(|pair| pair[side]) / self.n as f64
    }

    /// The mean of (a − ā)(b − b̄).
    fn covariance(&self, a: usize, b: usize) -> f64 {
        let (mean_a, mean_b) = (self.mean(a), self.mean(b));
        self.sum(|pair| (pair[a] - mean_a) * (pair[b] - mean_b)) / self.n as f64
    }
}

axis_metric! {
    /// The cosine of the angle between prediction and target: Σ p·t / (‖p‖·‖t‖), 0 where one of them is 0.
    ///
    /// # Source
    /// Keras's metric `CosineSimilarity`; the loss of that name is its negative.
    CosineSimilarityMetric as "CosineSimilarity", "cosine_similarity", |pairs: &Pairs<'_>| {
        // Keras normalizes with 10⁻¹² as the least square.
        let norm = |side: usize| pairs.sum(|pair| pair[side] * pair[side]).max(1e-12).sqrt();
        pairs.sum(|[p, t]| p * t) / (norm(P) * norm(T))
    }
}

axis_metric! {
    /// Pearson's correlation of each row: cov(p, t) / (σₚ·σₜ).
    ///
    /// # Source
    /// Keras `PearsonCorrelation`.
    PearsonCorrelation, "pearson_correlation", |pairs: &Pairs<'_>| {
        pairs.covariance(P, T) / (pairs.covariance(P, P).sqrt() * pairs.covariance(T, T).sqrt())
    }
}

axis_metric! {
    /// Lin's concordance of each row: 2·mean((t − p̄)(p − p̄)) / (σₜ² + σₚ² + (t̄ − p̄)²).
    ///
    /// # Source
    /// Keras `ConcordanceCorrelation`; 10⁻⁷ is added to the denominator.
    ConcordanceCorrelation, "concordance_correlation", |pairs: &Pairs<'_>| {
        let gap = pairs.mean(T) - pairs.mean(P);
        // (t − p̄) instead of (t − t̄) changes nothing: the mean of p − p̄ is 0.
        2.0 * pairs.covariance(T, P) / (pairs.covariance(T, T) + pairs.covariance(P, P) + gap * gap + 1e-7)
    }
}
