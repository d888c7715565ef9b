//! Ending a training in time.

use super::monitor::{Monitor, Watched, watched_options};
use super::{Callback, EpochState};
use crate::kernels::aligned::Aligned;
use crate::training::Logs;
use crate::{Result, Scalar};

/// Ends a training when a metric has stopped getting better.
///
/// # Defaults
/// `monitor` `val_loss`, `min_delta` 0, `patience` 0, mode by the metric, no `baseline`, `restore_best_weights` false,
/// `start_from_epoch` 0.
///
/// Training never ends at the first epoch that is watched. With `restore_best_weights` the best epoch's weights are put
/// back, even if training was not ended early. An epoch that is better than the best so far but not than `baseline`
/// does not renew the patience. Epochs without validation are passed over where a metric of the validation is watched; NaN is
/// never the best.
///
/// # Example
/// ```
/// use gradus::prelude::*;
/// let mut stopping = EarlyStopping::new().monitor("loss").patience(3).restore_best_weights(true);
/// let fit = Fit::<f32>::new().epochs(100).callback(&mut stopping);
/// ```
/// # Source
/// Keras `EarlyStopping`.
#[derive(Clone, Debug)]
pub struct EarlyStopping<F = f32> {
    watched: Watched,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    best_epoch: usize,
    best_weights: Vec<Aligned<F>>,
    stopped_epoch: Option<usize>,
}

impl<F: Scalar> Default for EarlyStopping<F> {
    fn default() -> Self {
        Self {
            watched: Watched::new("EarlyStopping", 0.0),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            best_epoch: 0,
            best_weights: Vec::new(),
            stopped_epoch: None,
        }
    }
}

impl EarlyStopping<f32> {
    /// With every option at its default, for a model of `f32`; [`Default`] makes one for any scalar.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<F: Scalar> EarlyStopping<F> {
    watched_options!();

    /// By how much a metric must get better to count. Default: 0.
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.watched.min_delta = delta.abs();
        self
    }
    /// How many epochs without a better metric are borne. Default: 0.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }
    /// What a metric must be better than to renew the patience. Default: none.
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }
    /// Whether the best epoch's weights are put back at the end. Default: false.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }
    /// The first epoch that is watched. Default: 0.
    pub fn start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }
    /// The epoch after which training was ended, if it was.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.stopped_epoch
    }
    /// The epoch of the best metric.
    pub fn best_epoch(&self) -> usize {
        self.best_epoch
    }
}

impl<F: Scalar> Callback<F> for EarlyStopping<F> {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.watched.begin();
        (self.wait, self.best_epoch, self.stopped_epoch) = (0, 0, None);
        self.best_weights.clear();
        Ok(())
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        let Some(value) = self.watched.value(state, logs)? else { return Ok(()) };
        if state.epoch < self.start_from_epoch {
            return Ok(());
        }
        if self.restore_best_weights && self.best_weights.is_empty() {
            // Before any epoch was better, the first watched one is the best there is.
            state.keep_weights(&mut self.best_weights);
            self.best_epoch = state.epoch;
        }
        self.wait += 1;
        if self.watched.improves(state, value) {
            self.best_epoch = state.epoch;
            if self.restore_best_weights {
                state.keep_weights(&mut self.best_weights);
            }
            if self.baseline.is_none_or(|baseline| self.watched.is_better(state, value, baseline)) {
                self.wait = 0;
            }
            return Ok(());
        }
        if self.wait >= self.patience && state.epoch > 0 {
            self.stopped_epoch = Some(state.epoch);
            state.stop_training();
        }
        Ok(())
    }

    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        state.put_back(&self.best_weights);
        Ok(())
    }
}
