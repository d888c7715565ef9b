//! The harmonic mean of precision and recall.

use super::scores::Average;
use super::{Metric, metric_options, weight};
use crate::config::{Config, Configured};
use crate::{Error, Result, Scalar, View};

/// Keras's epsilon, which it adds to each denominator.
const EPSILON: f64 = 1e-7;

/// What F scores have gathered of each class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassCounts {
    hits: Vec<f64>,
    predicted: Vec<f64>,
    actual: Vec<f64>,
}

impl super::MetricState for ClassCounts {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        visit(&mut self.hits);
        visit(&mut self.predicted);
        visit(&mut self.actual);
    }
}

/// One of Keras's averages.
fn check(
    average: Option<Average>,
    threshold: Option<f64>,
    beta: f64,
    prediction: &[usize],
    target: &[usize],
) -> Result<()> {
    if matches!(average, Some(Average::Binary | Average::Samples)) {
        return Err(Error::option("average", "macro, micro, weighted or none", format!("{average:?}")));
    }
    if let Some(threshold) = threshold.filter(|threshold| !(*threshold > 0.0 && *threshold <= 1.0)) {
        return Err(Error::option("threshold", "above 0 and at most 1", threshold));
    }
    if !(beta > 0.0) {
        return Err(Error::option("beta", "above 0", beta));
    }
    if prediction.len() != 1 {
        return Err(Error::shape("a prediction of (classes) a row", prediction));
    }
    super::counts::check_same(prediction, target)
}

fn update<F: Scalar>(
    state: &mut ClassCounts,
    threshold: Option<f64>,
    p: View<'_, F>,
    t: View<'_, F>,
    weights: Option<&[F]>,
) {
    let classes = p.last_axis().max(1);
    for counts in [&mut state.hits, &mut state.predicted, &mut state.actual] {
        counts.resize(classes, 0.0);
    }
    let rows = p.len() / classes;
    for (row, (p, t)) in p.chunks(classes).zip(t.chunks(classes)).enumerate() {
        let w = weight(weights, row, rows);
        let largest = p.iter().copied().fold(F::neg_infinity(), F::max);
        for (class, (&p, &t)) in p.iter().zip(t).enumerate() {
            let predicted = match threshold {
                None => p >= largest && p.abs() > F::of(1e-9),
                Some(threshold) => p > F::of(threshold),
            };
            state.actual[class] += w * t.f64();
            if predicted {
                state.predicted[class] += w;
                state.hits[class] += w * t.f64();
            }
        }
    }
}

fn f_score(beta: f64, hits: f64, predicted: f64, actual: f64) -> f64 {
    let (precision, recall, squared) = (hits / (predicted + EPSILON), hits / (actual + EPSILON), beta * beta);
    precision * recall / (squared * precision + recall + EPSILON) * (1.0 + squared)
}

fn results(state: &ClassCounts, average: Option<Average>, beta: f64) -> Vec<f64> {
    let classes = 0..state.hits.len();
    let each =
        || classes.clone().map(|class| f_score(beta, state.hits[class], state.predicted[class], state.actual[class]));
    let sum = |counts: &[f64]| counts.iter().sum::<f64>();
    match average {
        Some(Average::Micro) => vec![f_score(beta, sum(&state.hits), sum(&state.predicted), sum(&state.actual))],
        Some(Average::Weighted) => {
            let all = sum(&state.actual) + EPSILON;
            vec![each().zip(&state.actual).map(|(score, rows)| score * rows / all).sum()]
        }
        Some(_) => vec![each().sum::<f64>() / classes.len().max(1) as f64],
        None => each().collect(),
    }
}

/// Declares one of the F scores.
macro_rules! f_score_metric {
    ($(#[$meta:meta])* $name:ident, $default:literal, |$metric:ident| $beta:expr, { $($options:tt)* }) => {
        metric_options! {
            $(#[$meta])*
            ///
            /// A class is predicted where its probability is the row's largest, or above `threshold`. Each denominator
            /// has 10⁻⁷ added.
            ///
            /// # Shapes
            /// Prediction and one-hot target (batch, classes).
            /// # Defaults
            /// `average` none: [`results`](Metric::results) has a score for each class, and `result` is their mean.
            /// # Errors
            /// When compiled: a threshold outside (0, 1], other shapes, another average.
            pub struct $name {
                /// How the classes' scores become one: macro, micro or weighted. Default: none.
                average: Option<Average> = None => |average: Average| Some(average),
                /// Above it a class is predicted. Default: none, the most probable class is.
                threshold: Option<f64> = None => |threshold: f64| Some(threshold),
                $($options)*
            }
        }

        impl<F: Scalar> Metric<F> for $name {
            type State = ClassCounts;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
            fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
                let $metric = self;
                check(self.average, self.threshold, $beta, prediction, target)
            }
            fn update(&self, state: &mut ClassCounts, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
                update(state, self.threshold, p, t, weights);
            }
            fn result(&self, state: &ClassCounts) -> f64 {
                let each = Metric::<F>::results(self, state);
                each.iter().sum::<f64>() / each.len().max(1) as f64
            }
            fn results(&self, state: &ClassCounts) -> Vec<f64> {
                let $metric = self;
                results(state, self.average, $beta)
            }
            fn higher_is_better(&self) -> bool {
                true
            }
            fn describe(&self) -> Option<(String, Config)> {
                Some((<Self as Configured>::CLASS.into(), self.to_config()))
            }
        }
    };
}

f_score_metric! {
    /// The harmonic mean of precision and recall: 2·p·r / (p + r).
    ///
    /// # Source
    /// Keras `F1Score`.
    F1Score, "f1_score", |_metric| 1.0, {}
}

f_score_metric! {
    /// The F score in which recall counts `beta` times as much as precision: (1 + β²)·p·r / (β²·p + r).
    ///
    /// # Source
    /// Keras `FBetaScore`.
    FBetaScore, "fbeta_score", |metric| metric.beta, {
        /// How much more recall counts than precision. Default: 1.
        beta: f64 = 1.0,
    }
}
