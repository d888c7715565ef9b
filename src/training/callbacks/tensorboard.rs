//! How a training goes, for TensorBoard to draw.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Callback, EpochState};
use crate::formats::events::EventFile;
use crate::training::Logs;
use crate::{Error, Result, Scalar};

/// Writes the metrics of a training as event files, which TensorBoard shows as curves while it goes on:
/// `tensorboard --logdir logs`.
///
/// | run | metric | over |
/// | --- | --- | --- |
/// | `train` | `epoch_loss`, `epoch_accuracy` …, `epoch_learning_rate` | epochs, from 0 |
/// | `validation` | `epoch_loss`, `epoch_accuracy` … | epochs |
/// | `validation` | `evaluation_loss_vs_iterations` … | steps of the optimizer |
/// | `train` | with `update_freq`: `batch_loss`, the loss of the batch itself | batches, from 1 |
/// | `train` | with `write_steps_per_second`: `epoch_steps_per_second` | epochs |
///
/// Of a [game](crate::gan::Gan::fit) the run `train` has the metrics of both networks and their rates instead:
/// `epoch_d_loss`, `epoch_g_loss`, `epoch_d_real`, `epoch_d_fake`, `epoch_generator_learning_rate`,
/// `epoch_discriminator_learning_rate`, and with `update_freq` `batch_d_loss` ….
///
/// Every training adds files: TensorBoard joins those of a folder, so that a training which was taken up again is one
/// curve. A folder for each training below one folder sets them side by side.
///
/// # Defaults
/// No metrics of batches; `write_steps_per_second` false.
/// # Errors
/// [`Io`](Error::Io) if a file cannot be written; when training begins: an `update_freq` of 0.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let logs = std::env::temp_dir().join(format!("gradus-doc-logs-{}", std::process::id()));
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let (x, y) = (array![[1.0f32], [2.0]], array![[3.0f32], [5.0]]);
/// model.fit(&x, &y, Fit::new().epochs(3).verbose(0).callback(TensorBoard::new(logs.join("first"))))?;
/// assert!(logs.join("first/train").is_dir());
/// # std::fs::remove_dir_all(logs).ok();
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `TensorBoard`: its scalars. Graphs, histograms, embeddings and profiles of it are not written.
#[derive(Debug)]
pub struct TensorBoard {
    log_dir: PathBuf,
    update_freq: Option<u64>,
    write_steps_per_second: bool,
    train: Option<EventFile>,
    validation: Option<EventFile>,
    batches: u64,
    epoch_began: Option<(Instant, u64)>,
}

impl TensorBoard {
    /// Writes below the folder `log_dir`.
    pub fn new(log_dir: impl AsRef<Path>) -> Self {
        Self {
            log_dir: log_dir.as_ref().into(),
            update_freq: None,
            write_steps_per_second: false,
            train: None,
            validation: None,
            batches: 0,
            epoch_began: None,
        }
    }
    /// After how many batches the loss of one is written. Default: never, metrics are those of epochs.
    pub fn update_freq(mut self, batches: impl Into<Option<u64>>) -> Self {
        self.update_freq = batches.into();
        self
    }
    /// Whether the number of training steps a second is written after each epoch. Default: false.
    pub fn write_steps_per_second(mut self, write: bool) -> Self {
        self.write_steps_per_second = write;
        self
    }

    /// Begins a training.
    fn begin(&mut self) -> Result<()> {
        if self.update_freq == Some(0) {
            return Err(Error::option("update_freq", "at least 1", 0).within("TensorBoard"));
        }
        (self.train, self.validation, self.batches) = (None, None, 0);
        Ok(())
    }

    /// Begins an epoch.
    fn begin_epoch(&mut self) {
        self.epoch_began = Some((Instant::now(), self.batches));
    }

    /// Counts a batch, and writes its metrics if it is one of those to be written.
    fn batch(&mut self, metrics: impl FnOnce() -> Vec<(String, f64)>) -> Result<()> {
        self.batches += 1;
        if self.update_freq.is_some_and(|batches| self.batches.is_multiple_of(batches)) {
            Self::run(&mut self.train, &self.log_dir, "train")?.scalars(self.batches, &metrics())?;
        }
        Ok(())
    }

    /// Writes an epoch's metrics of training.
    fn trained(&mut self, epoch: usize, mut metrics: Vec<(String, f64)>) -> Result<()> {
        if let Some((began, batches)) = self.epoch_began.filter(|_| self.write_steps_per_second) {
            let rate = (self.batches - batches) as f64 / began.elapsed().as_secs_f64();
            metrics.push(("epoch_steps_per_second".into(), rate));
        }
        Self::run(&mut self.train, &self.log_dir, "train")?.scalars(epoch as u64, &metrics)
    }

    /// Lets go of the files.
    fn close(&mut self) {
        (self.train, self.validation) = (None, None);
    }

    /// The file of a run, made when there is something to write.
    fn run<'a>(file: &'a mut Option<EventFile>, log_dir: &Path, name: &str) -> Result<&'a mut EventFile> {
        match file {
            Some(file) => Ok(file),
            None => Ok(file.insert(EventFile::create(&log_dir.join(name))?)),
        }
    }
}

impl<F: Scalar> Callback<F> for TensorBoard {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.begin()
    }

    fn on_epoch_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.begin_epoch();
        Ok(())
    }

    fn on_batch_end(&mut self, _: &mut EpochState<'_, F>, _: usize, logs: &Logs) -> Result<()> {
        self.batch(|| logs.iter().map(|(name, value)| (format!("batch_{name}"), value)).collect())
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        let (mut trained, mut validated, mut evaluated) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in logs.iter() {
            match name.strip_prefix("val_") {
                None => trained.push((format!("epoch_{name}"), value)),
                Some(name) => {
                    evaluated.push((format!("evaluation_{name}_vs_iterations"), value));
                    validated.push((format!("epoch_{name}"), value));
                }
            }
        }
        state.learner().parts(&mut |part| {
            let gap = if part.name.is_empty() { "" } else { "_" };
            trained.push((format!("epoch_{}{gap}learning_rate", part.name), part.optimizer.learning_rate()));
        });
        self.trained(state.epoch, trained)?;
        if !validated.is_empty() {
            let file = Self::run(&mut self.validation, &self.log_dir, "validation")?;
            file.scalars(state.steps(), &evaluated)?;
            file.scalars(state.epoch as u64, &validated)?;
        }
        Ok(())
    }

    fn on_train_end(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.close();
        Ok(())
    }
}
