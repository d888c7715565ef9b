//! Metrics: what a person watches while a network trains.

mod accuracy;
mod errors;
mod frechet;
pub mod scores;

pub use accuracy::{
    Accuracy, BinaryAccuracy, CategoricalAccuracy, ExactAccuracy, SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy,
};
pub use errors::{MeanAbsoluteErrorMetric, MeanSquaredErrorMetric};
pub use frechet::frechet_distance;

use std::any::Any;
use std::sync::Arc;

use crate::config::Config;
use crate::{Scalar, View};

/// A figure of a model's predictions, gathered batch by batch.
///
/// Like a layer, a metric is configuration only: what it has gathered lies in a state of its own type, which the
/// caller owns.
///
/// ```
/// use gradus::prelude::*;
///
/// let accuracy = CategoricalAccuracy::new();
/// let (p, t) = ([0.2f32, 0.8, 0.9, 0.1], [0.0f32, 1.0, 0.0, 1.0]);
/// let mut state = Mean::default();
/// accuracy.update(&mut state, View::new(&[2, 2], &p), View::new(&[2, 2], &t), None);
/// assert_eq!(Metric::<f32>::result(&accuracy, &state), 0.5);
/// ```
pub trait Metric<F: Scalar>: Send + Sync {
    /// What has been gathered.
    type State: Default + Send + Sync + 'static;

    /// The name under which history, progress bar and callbacks know it.
    fn name(&self) -> String;

    /// Takes in one batch. `weights`, row-major, has a value a sample or one for each of a sample's rows.
    fn update(&self, state: &mut Self::State, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>);

    /// The figure over all that `state` has gathered.
    fn result(&self, state: &Self::State) -> f64;

    /// Whether more is better: what `EarlyStopping` and `ModelCheckpoint` go by where they are not told.
    fn higher_is_better(&self) -> bool {
        false
    }

    /// Class and options in Keras's words; none if it cannot be saved.
    fn describe(&self) -> Option<(String, Config)> {
        None
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
    fn update(
        &self,
        state: &mut (dyn Any + Send + Sync),
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: Option<&[F]>,
    );
    fn result(&self, state: &(dyn Any + Send + Sync)) -> f64;
    fn reset(&self, state: &mut (dyn Any + Send + Sync));
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
    pub fn update(&mut self, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        self.metric.update(self.state.as_mut(), prediction, target, weights);
    }
    pub fn result(&self) -> f64 {
        self.metric.result(self.state.as_ref())
    }
    pub fn reset(&mut self) {
        self.metric.reset(self.state.as_mut());
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

/// Implements [`Metric`] for the weighted mean of a figure of each row: `rows(self, prediction, target, f)` calls
/// `f(row, number of rows, value)`.
macro_rules! mean_metric {
    ($name:ident, $default:literal, higher_is_better: $higher:literal) => {
        impl<F: Scalar> Metric<F> for $name {
            type State = Mean;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
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
