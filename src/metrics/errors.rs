//! How far a prediction is off.

use super::{Mean, Metric, mean_metric, metric_options};
use crate::config::{Config, Configured};
use crate::{Scalar, View};

metric_options! {
    /// The mean of squared errors.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n).
    /// # Source
    /// Keras `metrics.MeanSquaredError`.
    pub struct MeanSquaredErrorMetric as "MeanSquaredError" {}
}

impl MeanSquaredErrorMetric {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        row_means(p, t, |error| error * error, each);
    }
}

mean_metric!(MeanSquaredErrorMetric, "mean_squared_error", higher_is_better: false);

metric_options! {
    /// The mean of absolute errors.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n).
    /// # Source
    /// Keras `metrics.MeanAbsoluteError`.
    pub struct MeanAbsoluteErrorMetric as "MeanAbsoluteError" {}
}

impl MeanAbsoluteErrorMetric {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        row_means(p, t, f64::abs, each);
    }
}

mean_metric!(MeanAbsoluteErrorMetric, "mean_absolute_error", higher_is_better: false);

/// The mean of `measure(p − t)` over each row of the last axis.
fn row_means<F: Scalar>(
    p: View<'_, F>,
    t: View<'_, F>,
    measure: impl Fn(f64) -> f64,
    each: &mut impl FnMut(usize, usize, f64),
) {
    let n = p.last_axis().max(1);
    let rows = p.len() / n;
    for (row, (p, t)) in p.chunks(n).zip(t.chunks(n)).enumerate() {
        let sum: f64 = p.iter().zip(t).map(|(&p, &t)| measure((p - t).f64())).sum();
        each(row, rows, sum / n as f64);
    }
}
