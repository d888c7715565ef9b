//! What is done between the epochs of a training.

use std::path::{Path, PathBuf};

mod logging;
mod rates;
#[cfg(feature = "tensorboard")]
mod tensorboard;

pub use logging::{CSVLogger, TerminateOnNaN};
pub use rates::{LearningRateRangeTest, LearningRateScheduler, ReduceLROnPlateau};
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;

use super::checkpoint::save_checkpoint;
use super::history::Logs;
use super::learner::Learner;
use crate::kernels::aligned::Aligned;
use crate::models::Model;
use crate::{Error, Result, Scalar};

/// A training seen from a callback: where it stands, and what may be changed.
pub struct EpochState<'a, F: Scalar> {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// How many epochs there are to be.
    pub epochs: usize,
    learner: &'a mut dyn Learner<F>,
    /// The first optimizer's.
    learning_rate: f64,
    stop: &'a mut bool,
}

impl<F: Scalar> std::fmt::Debug for EpochState<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochState").field("epoch", &self.epoch).field("epochs", &self.epochs).finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> EpochState<'a, F> {
    pub(super) fn new(epoch: usize, epochs: usize, learner: &'a mut dyn Learner<F>, stop: &'a mut bool) -> Self {
        let mut first = None;
        learner.parts(&mut |part| {
            first.get_or_insert_with(|| part.optimizer.learning_rate());
        });
        Self { epoch, epochs, learner, learning_rate: first.unwrap_or_default(), stop }
    }

    /// What is trained.
    pub fn learner(&mut self) -> &mut dyn Learner<F> {
        self.learner
    }

    /// What is trained, if it is of this type: `state.learner_as::<Gan>()`.
    pub fn learner_as<L: 'static>(&mut self) -> Option<&mut L> {
        self.learner.as_any()?.downcast_mut()
    }

    /// The model that is trained.
    ///
    /// # Panics
    /// If it is no model by itself but another [`Learner`].
    pub fn model(&mut self) -> &mut Model<F> {
        self.learner.as_model().expect("the learner is a model")
    }

    /// The learning rate of the next step; of several optimizers the first one's.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Sets the learning rate of all further steps, of every optimizer.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        let mut set = Ok(());
        self.learner.parts(&mut |part| {
            if set.is_ok() {
                set = part.optimizer.set_learning_rate(rate);
            }
        });
        self.learning_rate = rate;
        set
    }

    /// How many steps the first optimizer has made.
    pub fn steps(&mut self) -> u64 {
        let mut steps = None;
        self.learner.parts(&mut |part| {
            steps.get_or_insert_with(|| part.optimizer.steps());
        });
        steps.unwrap_or_default()
    }

    /// Writes all that the training needs to go on to a file, as after `epochs` epochs: see [`resume`](super::resume).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_checkpoint(&mut self, path: impl AsRef<Path>, epochs: usize) -> Result<()> {
        save_checkpoint(self.learner, path, epochs)
    }

    /// Ends the training after this epoch.
    pub fn stop_training(&mut self) {
        *self.stop = true;
    }

    /// Whether a larger value of this metric is better.
    fn higher_is_better(&self, name: &str) -> bool {
        self.learner.higher_is_better(name.strip_prefix("val_").unwrap_or(name))
    }

    /// Keeps the weights of all parts in `kept`.
    fn keep_weights(&mut self, kept: &mut Vec<Aligned<F>>) {
        let mut number = 0;
        self.learner.parts(&mut |part| {
            match kept.get_mut(number) {
                Some(own) => own.clone_from(&part.network.params),
                None => kept.push(part.network.params.clone()),
            }
            number += 1;
        });
    }

    /// Puts weights back that were kept.
    fn put_back(&mut self, kept: &[Aligned<F>]) {
        let mut kept = kept.iter();
        self.learner.parts(&mut |part| {
            if let Some(weights) = kept.next() {
                part.network.params.copy_from_slice(weights);
            }
        });
    }
}

/// Something that is done as a training goes on. Every method has a default that does nothing.
///
/// A closure will do for what happens at the end of an epoch: [`Fit::on_epoch_end`](super::Fit::on_epoch_end).
///
/// ```
/// use gradus::custom::*;
///
/// /// Counts the epochs in which the loss fell.
/// #[derive(Default)]
/// struct Falls {
///     last: Option<f64>,
///     count: usize,
/// }
///
/// impl<F: Scalar> Callback<F> for Falls {
///     fn on_epoch_end(&mut self, _: &mut EpochState<'_, F>, logs: &Logs) -> gradus::Result<()> {
///         self.count += usize::from(self.last.is_some_and(|last| logs["loss"] < last));
///         self.last = Some(logs["loss"]);
///         Ok(())
///     }
/// }
///
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let mut falls = Falls::default();
/// model.fit(&array![[1.0f32]], &array![[3.0f32]], Fit::new().epochs(5).verbose(0).callback(&mut falls))?;
/// assert_eq!(falls.count, 4);
/// # Ok::<(), gradus::Error>(())
/// ```
#[allow(unused_variables)]
#[doc(alias = "custom callback")]
pub trait Callback<F: Scalar>: Send {
    /// Before the first epoch.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_train_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        Ok(())
    }

    /// Before each epoch.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        Ok(())
    }

    /// After each step; `logs` are those of the batch alone: of a model its `loss`.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_batch_end(&mut self, state: &mut EpochState<'_, F>, batch: usize, logs: &Logs) -> Result<()> {
        Ok(())
    }

    /// When the loss of a batch is no finite number, in place of the update: whether training is to end without an error.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_loss_not_finite(&mut self, state: &mut EpochState<'_, F>, batch: usize, loss: f64) -> Result<bool> {
        Ok(false)
    }

    /// After each epoch and its validation.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        Ok(())
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// An error is returned by `fit`, which has trained to the end.
    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        Ok(())
    }
}

impl<F: Scalar, C: Callback<F> + ?Sized> Callback<F> for &mut C {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        (**self).on_train_begin(state)
    }
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        (**self).on_epoch_begin(state)
    }
    fn on_batch_end(&mut self, state: &mut EpochState<'_, F>, batch: usize, logs: &Logs) -> Result<()> {
        (**self).on_batch_end(state, batch, logs)
    }
    fn on_loss_not_finite(&mut self, state: &mut EpochState<'_, F>, batch: usize, loss: f64) -> Result<bool> {
        (**self).on_loss_not_finite(state, batch, loss)
    }
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        (**self).on_epoch_end(state, logs)
    }
    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        (**self).on_train_end(state)
    }
}

/// A closure as a callback for the end of an epoch.
pub(crate) struct AtEpochEnd<C>(pub C);

impl<F: Scalar, C: FnMut(&mut EpochState<'_, F>, &Logs) -> Result<()> + Send> Callback<F> for AtEpochEnd<C> {
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        (self.0)(state, logs)
    }
}

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

impl Monitor {
    fn higher_is_better<F: Scalar>(self, state: &EpochState<'_, F>, monitor: &str) -> bool {
        match self {
            Self::Auto => state.higher_is_better(monitor),
            Self::Min => false,
            Self::Max => true,
        }
    }
}

/// Whether `value` is better than `reference` by more than `min_delta`.
fn beats(value: f64, reference: f64, min_delta: f64, higher: bool) -> bool {
    if higher { value - min_delta > reference } else { value + min_delta < reference }
}

/// The monitored metric of an epoch; its absence is the user's slip.
fn monitored(callback: &'static str, monitor: &str, logs: &Logs) -> Result<f64> {
    logs.get(monitor)
        .ok_or_else(|| Error::unknown("metric", monitor, logs.names()).within(format!("{callback}: `monitor`")))
}

/// Ends a training when a metric has stopped getting better.
///
/// # Defaults
/// `monitor` `val_loss`, `min_delta` 0, `patience` 0, mode by the metric, no `baseline`, `restore_best_weights` false,
/// `start_from_epoch` 0.
///
/// Training never ends at the first epoch that is watched. With `restore_best_weights` the best epoch's weights are put
/// back, even if training was not ended early. An epoch that is better than the best so far but not than `baseline`
/// does not renew the patience.
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
    monitor: String,
    min_delta: f64,
    patience: usize,
    mode: Monitor,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    best: Option<f64>,
    best_epoch: usize,
    best_weights: Vec<Aligned<F>>,
    stopped_epoch: Option<usize>,
}

impl<F: Scalar> Default for EarlyStopping<F> {
    fn default() -> Self {
        Self {
            monitor: "val_loss".into(),
            min_delta: 0.0,
            patience: 0,
            mode: Monitor::Auto,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            best: None,
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
    /// The metric to watch. Default: `val_loss`.
    pub fn monitor(mut self, monitor: impl Into<String>) -> Self {
        self.monitor = monitor.into();
        self
    }
    /// By how much a metric must get better to count. Default: 0.
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.min_delta = delta.abs();
        self
    }
    /// How many epochs without a better metric are borne. Default: 0.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }
    /// Whether less or more is better. Default: as the metric says.
    pub fn mode(mut self, mode: Monitor) -> Self {
        self.mode = mode;
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
    /// The best metric, if an epoch has been watched.
    pub fn best(&self) -> Option<f64> {
        self.best
    }
    /// The epoch of the best metric.
    pub fn best_epoch(&self) -> usize {
        self.best_epoch
    }

    fn is_better(&self, value: f64, reference: f64, higher: bool) -> bool {
        beats(value, reference, self.min_delta, higher)
    }
}

impl<F: Scalar> Callback<F> for EarlyStopping<F> {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        (self.wait, self.best, self.best_epoch) = (0, None, 0);
        self.best_weights.clear();
        self.stopped_epoch = None;
        Ok(())
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        let value = monitored("EarlyStopping", &self.monitor, logs)?;
        if state.epoch < self.start_from_epoch {
            return Ok(());
        }
        let higher = self.mode.higher_is_better(state, &self.monitor);
        if self.restore_best_weights && self.best_weights.is_empty() {
            // Before any epoch was better, the first watched one is the best there is.
            state.keep_weights(&mut self.best_weights);
            self.best_epoch = state.epoch;
        }
        self.wait += 1;
        if self.best.is_none_or(|best| self.is_better(value, best, higher)) {
            self.best = Some(value);
            self.best_epoch = state.epoch;
            if self.restore_best_weights {
                state.keep_weights(&mut self.best_weights);
            }
            if self.baseline.is_none_or(|baseline| self.is_better(value, baseline, higher)) {
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

/// Saves the model after epochs, all or the best.
///
/// The file is a checkpoint: weights, optimizer, epoch and random state, from which
/// [`Model::resume`](crate::Model::resume) goes on as if nothing had happened.
///
/// # Defaults
/// `monitor` `val_loss`, `save_best_only` false, mode by the metric. `{epoch}` in the path is the epoch, counted from 1.
///
/// # Source
/// Keras `ModelCheckpoint`.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: PathBuf,
    monitor: String,
    save_best_only: bool,
    mode: Monitor,
    best: Option<f64>,
}

impl ModelCheckpoint {
    /// Saves to `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let monitor = "val_loss".into();
        Self { path: path.as_ref().into(), monitor, save_best_only: false, mode: Monitor::Auto, best: None }
    }
    /// The metric that tells which epoch is best. Default: `val_loss`.
    pub fn monitor(mut self, monitor: impl Into<String>) -> Self {
        self.monitor = monitor.into();
        self
    }
    /// Whether only epochs better than all before are saved. Default: false.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }
    /// Whether less or more is better. Default: as the metric says.
    pub fn mode(mut self, mode: Monitor) -> Self {
        self.mode = mode;
        self
    }
    /// The metric of the epoch that was saved last as the best.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// Where an epoch is to be saved, if it is.
    fn due<F: Scalar>(&mut self, state: &EpochState<'_, F>, logs: &Logs) -> Result<Option<String>> {
        if self.save_best_only {
            let value = monitored("ModelCheckpoint", &self.monitor, logs)?;
            let higher = self.mode.higher_is_better(state, &self.monitor);
            if self.best.is_some_and(|best| if higher { value <= best } else { value >= best }) {
                return Ok(None);
            }
            self.best = Some(value);
        }
        Ok(Some(self.path.to_string_lossy().replace("{epoch}", &(state.epoch + 1).to_string())))
    }
}

impl<F: Scalar> Callback<F> for ModelCheckpoint {
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        match self.due(state, logs)? {
            Some(path) => state.save_checkpoint(path, state.epoch + 1),
            None => Ok(()),
        }
    }
}
