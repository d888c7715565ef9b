//! Writing down how a training goes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::model_checkpoint::make_folder;
use super::{Callback, EpochState};
use crate::training::Logs;
use crate::{Error, Result, Scalar};

/// Writes the metrics of every epoch to a CSV file, a line an epoch as soon as it is over.
///
/// The first line names the columns: `epoch`, then the metrics in alphabetical order. A metric that an epoch does not
/// have, such as those of a validation that is not done after every epoch, is `NA`. A folder that is not there is made.
///
/// # Defaults
/// `separator` a comma; `append` false: a file of that name is written anew.
/// # Errors
/// [`Io`](Error::Io) if the file cannot be written.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let path = std::env::temp_dir().join("gradus-doc-training.csv");
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// model.fit(&array![[1.0f32]], &array![[3.0f32]], Fit::new().epochs(2).verbose(0).callback(CSVLogger::new(&path)))?;
/// let text = std::fs::read_to_string(&path).unwrap();
/// assert!(text.starts_with("epoch,loss\n0,") && text.lines().count() == 3);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `CSVLogger`.
#[derive(Debug)]
pub struct CSVLogger {
    path: PathBuf,
    separator: String,
    append: bool,
    file: Option<File>,
    names: Vec<String>,
}

impl CSVLogger {
    /// Writes to `path`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().into(), separator: ",".into(), append: false, file: None, names: Vec::new() }
    }
    /// What stands between two values. Default: a comma.
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }
    /// Whether lines are added to a file that is there, whose first line then names the columns. Default: false.
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    /// Begins the file, or goes on with one that is there.
    fn open(&mut self) -> Result<()> {
        let io = |source| Error::Io { path: self.path.clone(), source };
        self.names.clear();
        if self.append && self.path.exists() {
            let text = fs::read_to_string(&self.path).map_err(io)?;
            if let Some(header) = text.lines().next() {
                self.names = header.split(self.separator.as_str()).skip(1).map(str::to_owned).collect();
            }
        }
        make_folder(&self.path)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).append(self.append).truncate(!self.append);
        self.file = Some(options.open(&self.path).map_err(io)?);
        Ok(())
    }

    /// Adds the line of an epoch.
    fn add(&mut self, epoch: usize, logs: &Logs, skips_validation: bool) -> Result<()> {
        if self.names.is_empty() {
            self.names = logs.names();
            if skips_validation {
                // A later epoch has them.
                self.names.extend(logs.names().iter().map(|name| format!("val_{name}")));
            }
            self.names.sort();
            let header: Vec<&str> = ["epoch"].into_iter().chain(self.names.iter().map(String::as_str)).collect();
            self.write(&format!("{}\n", header.join(&self.separator)))?;
        }
        let value = |name: &String| logs.get(name).map_or_else(|| "NA".into(), |value| value.to_string());
        let line: Vec<String> = [epoch.to_string()].into_iter().chain(self.names.iter().map(value)).collect();
        self.write(&format!("{}\n", line.join(&self.separator)))
    }

    /// Lets go of the file.
    fn close(&mut self) {
        self.file = None;
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let path = &self.path;
        let io = |source| Error::Io { path: path.clone(), source };
        self.file
            .as_mut()
            .map_or(Ok(()), |file| file.write_all(line.as_bytes()).and_then(|()| file.flush()).map_err(io))
    }
}

impl<F: Scalar> Callback<F> for CSVLogger {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.open()
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        self.add(state.epoch, logs, state.skips_validation())
    }

    fn on_train_end(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        self.close();
        Ok(())
    }
}

/// Ends a training, without an error, when the loss is no longer a finite number.
///
/// Without it `fit` returns [`LossNotFinite`](Error::LossNotFinite). Either way the update of that step is not made, and
/// the weights are those before it. The epoch that was broken off is not in the history.
///
/// # Example
/// ```
/// use gradus::prelude::*;
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new().learning_rate(1e9)).build()?;
/// let history = model.fit(&array![[1.0f32]], &array![[3.0f32]], Fit::new().epochs(99).verbose(0).callback(TerminateOnNaN))?;
/// assert!(history.epochs().len() < 99);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `TerminateOnNaN`, which stops after the update.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNaN;

impl<F: Scalar> Callback<F> for TerminateOnNaN {
    fn on_loss_not_finite(&mut self, state: &mut EpochState<'_, F>, batch: usize, loss: f64) -> Result<bool> {
        log::warn!("epoch {}, batch {batch}: the loss is {loss}, training ends", state.epoch + 1);
        Ok(true)
    }
}
