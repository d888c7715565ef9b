//! What is done between the epochs of a training.

use std::path::Path;

mod early_stopping;
mod logging;
mod model_checkpoint;
mod monitor;
mod path_pattern;
mod rates;
#[cfg(feature = "tensorboard")]
mod tensorboard;

pub use early_stopping::EarlyStopping;
pub use logging::{CSVLogger, TerminateOnNaN};
pub use model_checkpoint::ModelCheckpoint;
pub use monitor::Monitor;
pub use rates::{LearningRateRangeTest, LearningRateScheduler, ReduceLROnPlateau};
#[cfg(feature = "tensorboard")]
pub use tensorboard::TensorBoard;

use super::checkpoint::save_checkpoint;
use super::history::Logs;
use super::learner::Learner;
use crate::kernels::aligned::Aligned;
use crate::models::Model;
use crate::{Result, Scalar};

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
    /// Whether there is validation, but not after this epoch.
    skips_validation: bool,
}

impl<F: Scalar> std::fmt::Debug for EpochState<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpochState").field("epoch", &self.epoch).field("epochs", &self.epochs).finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> EpochState<'a, F> {
    pub(super) fn new(
        epoch: usize,
        epochs: usize,
        learner: &'a mut dyn Learner<F>,
        stop: &'a mut bool,
        skips_validation: bool,
    ) -> Self {
        let mut first = None;
        learner.parts(&mut |part| {
            first.get_or_insert_with(|| part.optimizer.learning_rate());
        });
        Self { epoch, epochs, learner, learning_rate: first.unwrap_or_default(), stop, skips_validation }
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

    /// Whether the training has validation, but not after this epoch: `logs` then have no metrics whose names begin with
    /// `val_`.
    pub fn skips_validation(&self) -> bool {
        self.skips_validation
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
