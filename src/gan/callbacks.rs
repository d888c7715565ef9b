//! What is done as a game goes on: callbacks of its own, and those of models that a game can use.

use super::Gan;
use crate::training::{CSVLogger, Logs, ModelCheckpoint, Monitor};
use crate::{Result, Scalar};

/// A training seen from a callback.
pub struct GanState<'a, F: Scalar> {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// How many epochs there are to be.
    pub epochs: usize,
    /// The game as it stands.
    pub gan: &'a mut Gan<F>,
    pub(super) stop: &'a mut bool,
}

impl<F: Scalar> GanState<'_, F> {
    /// Ends the training after this epoch.
    pub fn stop_training(&mut self) {
        *self.stop = true;
    }
}

/// Something that is done as a game goes on. Every method has a default that does nothing.
///
/// Of the callbacks of models, `TensorBoard` (feature `tensorboard`), [`CSVLogger`] and [`ModelCheckpoint`] are
/// callbacks of a game too. A closure will do for the end of an epoch: [`GanFit::on_epoch_end`](super::GanFit::on_epoch_end).
///
/// ```
/// use gradus::gan::GanFit;
/// use gradus::prelude::*;
///
/// let path = std::env::temp_dir().join("gradus-doc-game.csv");
/// let mut gan = Gan::new(Generator::mlp(2, &[1], 0)?, Discriminator::mlp(&[1], 1)?).build()?;
/// let fit = GanFit::new().epochs(2).verbose(0).callback(CSVLogger::new(&path));
/// gan.fit(&array![[0.5f32], [0.7]], fit)?;
/// assert!(std::fs::read_to_string(&path).unwrap().starts_with("epoch,d_fake,d_loss,d_real,g_loss\n0,"));
/// # Ok::<(), gradus::Error>(())
/// ```
#[allow(unused_variables)]
pub trait GanCallback<F: Scalar> {
    /// Before the first epoch.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_train_begin(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        Ok(())
    }

    /// Before each epoch.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_epoch_begin(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        Ok(())
    }

    /// After each step; `logs` are its figures: `d_loss`, `g_loss`, `d_real`, `d_fake`.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_batch_end(&mut self, state: &mut GanState<'_, F>, batch: usize, logs: &Logs) -> Result<()> {
        Ok(())
    }

    /// After each epoch; `logs` are the means of its figures.
    ///
    /// # Errors
    /// An error ends the training.
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        Ok(())
    }

    /// After the last epoch, when averaged weights have taken their place.
    ///
    /// # Errors
    /// An error is returned by `fit`, which has trained to the end.
    fn on_train_end(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        Ok(())
    }
}

impl<F: Scalar, C: GanCallback<F> + ?Sized> GanCallback<F> for &mut C {
    fn on_train_begin(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        (**self).on_train_begin(state)
    }
    fn on_epoch_begin(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        (**self).on_epoch_begin(state)
    }
    fn on_batch_end(&mut self, state: &mut GanState<'_, F>, batch: usize, logs: &Logs) -> Result<()> {
        (**self).on_batch_end(state, batch, logs)
    }
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        (**self).on_epoch_end(state, logs)
    }
    fn on_train_end(&mut self, state: &mut GanState<'_, F>) -> Result<()> {
        (**self).on_train_end(state)
    }
}

/// A closure as a callback for the end of an epoch.
pub(super) struct AtEpochEnd<C>(pub C);

impl<F: Scalar, C: FnMut(&mut GanState<'_, F>, &Logs) -> Result<()>> GanCallback<F> for AtEpochEnd<C> {
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        (self.0)(state, logs)
    }
}

impl<F: Scalar> GanCallback<F> for CSVLogger {
    fn on_train_begin(&mut self, _: &mut GanState<'_, F>) -> Result<()> {
        self.open()
    }
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        self.add(state.epoch, logs)
    }
    fn on_train_end(&mut self, _: &mut GanState<'_, F>) -> Result<()> {
        self.close();
        Ok(())
    }
}

/// Saves the whole game, as [`Gan::save_checkpoint`] does. No figure of a game says which epoch is best: `save_best_only`
/// needs a [`monitor`](ModelCheckpoint::monitor) of one's own choice, of which less is better if no mode says otherwise.
impl<F: Scalar> GanCallback<F> for ModelCheckpoint {
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        match self.due(state.epoch, logs, |mode, _| mode == Monitor::Max)? {
            Some(path) => state.gan.save_checkpoint(path),
            None => Ok(()),
        }
    }
}

/// The figures of both networks, `epoch_d_loss`, `epoch_g_loss`, `epoch_d_real`, `epoch_d_fake`, and the two rates,
/// `epoch_generator_learning_rate` and `epoch_discriminator_learning_rate`; with `update_freq` `batch_d_loss` ….
#[cfg(feature = "tensorboard")]
impl<F: Scalar> GanCallback<F> for crate::training::TensorBoard {
    fn on_train_begin(&mut self, _: &mut GanState<'_, F>) -> Result<()> {
        self.begin()
    }
    fn on_epoch_begin(&mut self, _: &mut GanState<'_, F>) -> Result<()> {
        self.begin_epoch();
        Ok(())
    }
    fn on_batch_end(&mut self, _: &mut GanState<'_, F>, _: usize, logs: &Logs) -> Result<()> {
        self.batch(|| logs.iter().map(|(name, value)| (format!("batch_{name}"), value)).collect())
    }
    fn on_epoch_end(&mut self, state: &mut GanState<'_, F>, logs: &Logs) -> Result<()> {
        let rates = [
            ("epoch_generator_learning_rate".into(), state.gan.generator_learning_rate()),
            ("epoch_discriminator_learning_rate".into(), state.gan.discriminator_learning_rate()),
        ];
        let figures = logs.iter().map(|(name, value)| (format!("epoch_{name}"), value)).chain(rates);
        self.trained(state.epoch, figures.collect())
    }
    fn on_train_end(&mut self, _: &mut GanState<'_, F>) -> Result<()> {
        self.close();
        Ok(())
    }
}
