//! The metric that a callback watches, and its best value.

use super::EpochState;
use crate::training::Logs;
use crate::{Error, Result, Scalar};

/// Whether less or more of a monitored metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Monitor {
    /// As the metric says; losses are to be small.
    #[default]
    Auto,
    /// Less is better.
    Min,
    /// More is better.
    Max,
}

/// A metric that a callback watches, and the best value that it has had. NaN is never the best.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Whose it is, for messages.
    callback: &'static str,
    pub monitor: String,
    pub mode: Monitor,
    /// By how much a value must be better to count.
    pub min_delta: f64,
    /// The best value before the training began.
    pub initial_best: Option<f64>,
    pub best: Option<f64>,
}

impl Watched {
    pub fn new(callback: &'static str, min_delta: f64) -> Self {
        let monitor = "val_loss".into();
        Self { callback, monitor, mode: Monitor::Auto, min_delta, initial_best: None, best: None }
    }

    /// For a training that begins.
    pub fn begin(&mut self) {
        self.best = self.initial_best;
    }

    /// The metric of an epoch; none where it is one of a validation that this epoch does not have.
    ///
    /// # Errors
    /// If there is no such metric: the user's slip.
    pub fn value<F: Scalar>(&self, state: &EpochState<'_, F>, logs: &Logs) -> Result<Option<f64>> {
        match logs.get(&self.monitor) {
            Some(value) => Ok(Some(value)),
            None if state.skips_validation() && self.monitor.starts_with("val_") => Ok(None),
            None => Err(missing(self.callback, &self.monitor, logs)),
        }
    }

    /// Whether `value` is better than `reference`; NaN is not.
    pub fn is_better<F: Scalar>(&self, state: &EpochState<'_, F>, value: f64, reference: f64) -> bool {
        let higher = match self.mode {
            Monitor::Auto => state.higher_is_better(&self.monitor),
            Monitor::Min => false,
            Monitor::Max => true,
        };
        if higher { value - self.min_delta > reference } else { value + self.min_delta < reference }
    }

    /// Takes `value` for the best if it is better than all before; says whether it is.
    pub fn improves<F: Scalar>(&mut self, state: &EpochState<'_, F>, value: f64) -> bool {
        let improves = match self.best {
            Some(best) => self.is_better(state, value, best),
            None => !value.is_nan(),
        };
        if improves {
            self.best = Some(value);
        }
        improves
    }
}

/// The error of a metric that there is not: the user's slip.
pub(super) fn missing(callback: &str, monitor: &str, logs: &Logs) -> Error {
    Error::unknown("metric", monitor, logs.names()).within(format!("{callback}: `monitor`"))
}

/// The options of every callback that watches a metric, which it has as `watched`.
macro_rules! watched_options {
    () => {
        /// The metric to watch. Default: `val_loss`.
        pub fn monitor(mut self, monitor: impl Into<String>) -> Self {
            self.watched.monitor = monitor.into();
            self
        }
        /// Whether less or more is better. Default: as the metric says.
        pub fn mode(mut self, mode: Monitor) -> Self {
            self.watched.mode = mode;
            self
        }
        /// The best value so far, where a training goes on that has been broken off. Default: none.
        #[doc(alias = "initial_value_threshold")]
        pub fn initial_best(mut self, best: f64) -> Self {
            self.watched.initial_best = Some(best);
            self.watched.best = Some(best);
            self
        }
        /// The best value of the metric, if an epoch had one that is a number.
        pub fn best(&self) -> Option<f64> {
            self.watched.best
        }
    };
}
pub(super) use watched_options;
