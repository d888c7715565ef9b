//! Metrics: what a person watches while a network trains.

mod accuracy;
mod auc;
mod counts;
mod errors;
mod f_score;
mod frechet;
mod iou;
mod of_loss;
mod regression;
pub mod scores;

pub use accuracy::{
    Accuracy, BinaryAccuracy, CategoricalAccuracy, ExactAccuracy, SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy,
};
pub use auc::{
    AUC, Curve, PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity, Summation,
};
pub use counts::{Counts, FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives};
pub use errors::{MeanAbsoluteErrorMetric, MeanSquaredErrorMetric};
pub use f_score::{ClassCounts, F1Score, FBetaScore};
pub use frechet::frechet_distance;
pub use iou::{BinaryIoU, ClassTable, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU};
pub use of_loss::LossMetric;
pub use regression::{
    ClassAggregation, ConcordanceCorrelation, CosineSimilarityMetric, Moments, PearsonCorrelation, R2Score,
    RootMeanSquaredError,
};

use std::any::Any;
use std::sync::Arc;

use crate::config::Config;
use crate::{Result, Scalar, View};

/// A measure of a model's predictions, gathered batch by batch.
///
/// Like a layer, a metric is configuration only: what it has gathered lies in a state of its own type, which the
/// caller owns.
///
/// ```
/// use gradus::custom::*;
///
/// let accuracy = CategoricalAccuracy::new();
/// let (p, t) = ([0.2f32, 0.8, 0.9, 0.1], [0.0f32, 1.0, 0.0, 1.0]);
/// let mut state = Mean::default();
/// accuracy.update(&mut state, View::new(&[2, 2], &p), View::new(&[2, 2], &t), None);
/// assert_eq!(Metric::<f32>::result(&accuracy, &state), 0.5);
/// ```
#[doc(alias = "custom metric")]
pub trait Metric<F: Scalar>: Send + Sync {
    /// What has been gathered.
    type State: MetricState + 'static;

    /// The name under which history, progress bar and callbacks know it.
    fn name(&self) -> String;

    /// Refuses options outside their ranges, and predictions or targets that it cannot work with; called when a model is
    /// compiled, with the shapes of one sample.
    ///
    /// # Errors
    /// Whatever does not fit.
    fn check(&self, _prediction: &[usize], _target: &[usize]) -> Result<()> {
        Ok(())
    }

    /// Takes in one batch. `weights`, row-major, has a value a sample or one for each of a sample's rows.
    fn update(&self, state: &mut Self::State, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>);

    /// The measure over all that `state` has gathered.
    fn result(&self, state: &Self::State) -> f64;

    /// Each measure of a metric that has several, one a threshold or class; else the one.
    fn results(&self, state: &Self::State) -> Vec<f64> {
        vec![self.result(state)]
    }

    /// Whether more is better: what `EarlyStopping` and `ModelCheckpoint` go by where they are not told.
    fn higher_is_better(&self) -> bool {
        false
    }

    /// Class and options in Keras's words; none if it cannot be saved.
    fn describe(&self) -> Option<(String, Config)> {
        None
    }
}

/// What a metric gathers.
///
/// Where several processes train on parts of a batch, each gathers its own rows; at the end of an epoch the numbers that
/// [`sums`](Self::sums) shows are added up over the processes.
pub trait MetricState: Default + Send + Sync {
    /// Shows `visit` the numbers that add up over parts of the data. By default none: such a metric tells of its own
    /// process's rows alone.
    fn sums(&mut self, _visit: &mut dyn FnMut(&mut [f64])) {}
}

impl MetricState for Mean {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        visit(std::slice::from_mut(&mut self.total));
        visit(std::slice::from_mut(&mut self.count));
    }
}

/// A weighted mean on its way: Σ weight·value and Σ weight. The state of most metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    total: f64,
    count: f64,
}

impl Mean {
    /// Takes in a value that counts `weight` times.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.total += value * weight;
        self.count += weight;
    }

    /// The weighted mean; 0 of nothing, as in Keras.
    pub fn result(&self) -> f64 {
        if self.count == 0.0 { 0.0 } else { self.total / self.count }
    }
}

/// The weight of row number `row` of `rows`: where weights are fewer, each counts for as many rows.
pub(crate) fn weight<F: Scalar>(weights: Option<&[F]>, row: usize, rows: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[row * weights.len() / rows].f64())
}

/// A metric of any type with what it has gathered: the only place where its type is erased.
pub(crate) struct Tracked<F> {
    metric: Arc<dyn AnyMetric<F>>,
    state: Box<dyn Any + Send + Sync>,
}

trait AnyMetric<F>: Send + Sync {
    fn new_state(&self) -> Box<dyn Any + Send + Sync>;
    fn name(&self) -> String;
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()>;
    fn update(
        &self,
        state: &mut (dyn Any + Send + Sync),
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: Option<&[F]>,
    );
    fn result(&self, state: &(dyn Any + Send + Sync)) -> f64;
    fn reset(&self, state: &mut (dyn Any + Send + Sync));
    fn sums(&self, state: &mut (dyn Any + Send + Sync), visit: &mut dyn FnMut(&mut [f64]));
    fn higher_is_better(&self) -> bool;
    fn describe(&self) -> Option<(String, Config)>;
}

const OWN_STATE: &str = "a metric's state is made by the metric";

impl<F: Scalar, M: Metric<F>> AnyMetric<F> for M {
    fn new_state(&self) -> Box<dyn Any + Send + Sync> {
        Box::new(M::State::default())
    }
    fn name(&self) -> String {
        Metric::name(self)
    }
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        Metric::check(self, prediction, target)
    }
    fn update(
        &self,
        state: &mut (dyn Any + Send + Sync),
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: Option<&[F]>,
    ) {
        Metric::update(self, state.downcast_mut().expect(OWN_STATE), prediction, target, weights);
    }
    fn result(&self, state: &(dyn Any + Send + Sync)) -> f64 {
        Metric::result(self, state.downcast_ref().expect(OWN_STATE))
    }
    fn reset(&self, state: &mut (dyn Any + Send + Sync)) {
        *state.downcast_mut().expect(OWN_STATE) = M::State::default();
    }
    fn sums(&self, state: &mut (dyn Any + Send + Sync), visit: &mut dyn FnMut(&mut [f64])) {
        state.downcast_mut::<M::State>().expect(OWN_STATE).sums(visit);
    }
    fn higher_is_better(&self) -> bool {
        Metric::higher_is_better(self)
    }
    fn describe(&self) -> Option<(String, Config)> {
        Metric::describe(self)
    }
}

impl<F: Scalar> Tracked<F> {
    pub fn new(metric: impl Metric<F> + 'static) -> Self {
        let metric: Arc<dyn AnyMetric<F>> = Arc::new(metric);
        Self { state: metric.new_state(), metric }
    }
    pub fn name(&self) -> String {
        self.metric.name()
    }
    pub fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        self.metric.check(prediction, target)
    }
    pub fn update(&mut self, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        self.metric.update(self.state.as_mut(), prediction, target, weights);
    }
    pub fn result(&self) -> f64 {
        self.metric.result(self.state.as_ref())
    }
    pub fn reset(&mut self) {
        self.metric.reset(self.state.as_mut());
    }
    /// Shows `visit` the numbers that add up over parts of the data.
    pub fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        self.metric.sums(self.state.as_mut(), visit);
    }
    pub fn higher_is_better(&self) -> bool {
        self.metric.higher_is_better()
    }
    pub fn describe(&self) -> Option<(String, Config)> {
        self.metric.describe()
    }
}

/// A clone has the same metric and has gathered nothing.
impl<F: Scalar> Clone for Tracked<F> {
    fn clone(&self) -> Self {
        Self { metric: self.metric.clone(), state: self.metric.new_state() }
    }
}

/// [`options!`](crate::config) for a metric: adds `name`.
macro_rules! metric_options {
    ($(#[$meta:meta])* pub struct $name:ident $(as $class:literal)? { $($options:tt)* }) => {
        $crate::config::options! {
            $(#[$meta])*
            pub struct $name $(as $class)? {
                /// The name under which history and callbacks know it. Default: the class in snake case.
                name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
                $($options)*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

/// Implements [`Metric`] for the weighted mean of a measure of each row: `rows(self, prediction, target, f)` calls
/// `f(row, number of rows, value)`.
macro_rules! mean_metric {
    ($name:ident, $default:literal, higher_is_better: $higher:literal $(, check: $check:path)?) => {
        impl<F: Scalar> Metric<F> for $name {
            type State = Mean;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
            $(fn check(&self, prediction: &[usize], target: &[usize]) -> $crate::Result<()> {
                $check(prediction, target)
            })?
            fn update(&self, state: &mut Mean, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
                self.rows(prediction, target, &mut |row, rows, value| {
                    state.add(value, $crate::metrics::weight(weights, row, rows));
                });
            }
            fn result(&self, state: &Mean) -> f64 {
                state.result()
            }
            fn higher_is_better(&self) -> bool {
                $higher
            }
            fn describe(&self) -> Option<(String, Config)> {
                Some((<Self as Configured>::CLASS.into(), self.to_config()))
            }
        }
    };
}

pub(crate) use {mean_metric, metric_options};
