//! Saving what is trained between epochs.

use std::path::Path;

use super::monitor::{Monitor, Watched, watched_options};
use super::path_pattern::PathPattern;
use super::{Callback, EpochState};
use crate::training::Logs;
use crate::{Error, Result, Scalar};

/// Saves the model after epochs, all or the best.
///
/// The file is a checkpoint: weights, optimizer, epoch and random state, from which
/// [`Model::resume`](crate::Model::resume) goes on as if nothing had happened. A folder that is not there is made.
///
/// In the path `{epoch}` is the epoch, counted from 1, and the name of a metric in braces its value, each in a form as of
/// Python: `{epoch:02d}`, `{val_loss:.2f}`, `{loss:.1e}`. A brace itself is written twice.
///
/// Where the watched metric, or one in the path, is of a validation, epochs without one are not saved. NaN is never the best.
///
/// # Defaults
/// `monitor` `val_loss`, `save_best_only` false, mode by the metric, no `initial_best` (Keras's `initial_value_threshold`).
/// # Errors
/// When training begins: a path whose braces are none of these, or a folder that cannot be made. After an epoch: a metric
/// that there is not, a file that cannot be written.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let folder = std::env::temp_dir().join("gradus-doc-checkpoints");
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let save = ModelCheckpoint::new(folder.join("{epoch:02d}-{loss:.1f}.safetensors"));
/// model.fit(&array![[0.0f32]], &array![[2.0f32]], Fit::new().epochs(1).verbose(0).callback(save))?;
/// assert!(folder.join("01-4.0.safetensors").exists());
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Source
/// Keras `ModelCheckpoint`.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: String,
    watched: Watched,
    save_best_only: bool,
}

impl ModelCheckpoint {
    /// Saves to `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_string_lossy().into_owned();
        Self { path, watched: Watched::new("ModelCheckpoint", 0.0), save_best_only: false }
    }

    watched_options!();

    /// Whether only epochs better than all before are saved. Default: false.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }

    /// Where an epoch is to be saved, if it is.
    fn due<F: Scalar>(&mut self, state: &EpochState<'_, F>, logs: &Logs) -> Result<Option<String>> {
        if self.save_best_only {
            let value = self.watched.value(state, logs)?;
            if !value.is_some_and(|value| self.watched.improves(state, value)) {
                return Ok(None);
            }
        }
        let pattern = PathPattern::parse(&self.path)?;
        if state.skips_validation() && pattern.names().any(|name| name.starts_with("val_") && logs.get(name).is_none())
        {
            return Ok(None);
        }
        pattern.fill(state.epoch + 1, logs).map(Some)
    }
}

/// Makes the folder of a file, if it is not there.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source })
        }
        _ => Ok(()),
    }
}

impl<F: Scalar> Callback<F> for ModelCheckpoint {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        let pattern = PathPattern::parse(&self.path).map_err(|error| error.within("ModelCheckpoint"))?;
        // Now and not after the first epoch, whose work would be lost.
        make_folder(Path::new(&format!("{}x", pattern.before_fields())))
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        match self.due(state, logs).map_err(|error| error.within("ModelCheckpoint"))? {
            Some(path) => {
                make_folder(Path::new(&path))?;
                state.save_checkpoint(path, state.epoch + 1)
            }
            None => Ok(()),
        }
    }
}
