//! The options of a training.

use super::callbacks::{AtEpochEnd, Callback, EpochState};
use super::epoch_options::{EpochOptions, at_least_one};
use super::history::Logs;
use crate::data::{Arrays, Dataset, IntoSource, Source, split::validation_split};
use crate::tensor::inputs::{ArrayInput, IntoInputs, IntoTensor};
use crate::{Error, Result, Scalar};

/// The options of [`Model::fit`](crate::Model::fit), and of [`train`](super::train) for any learner. An option that does
/// not apply to what is trained on is refused, never passed over.
///
/// # Defaults
/// `batch_size` 32, `epochs` 1, `verbose` 1, `shuffle` true, no validation, `initial_epoch` 0, all steps of an epoch.
///
/// # Source
/// Keras `Model.fit`.
pub struct Fit<'a, F: Scalar> {
    batch_size: Option<usize>,
    epochs: usize,
    verbose: u8,
    shuffle: Option<bool>,
    initial_epoch: usize,
    steps_per_epoch: Option<usize>,
    validation_split: f64,
    validation: Option<Source<'a, F>>,
    validation_batch_size: Option<usize>,
    validation_freq: Option<usize>,
    pub(super) class_weight: Vec<(usize, f64)>,
    pub(super) sample_weight: Vec<ArrayInput<'a, F>>,
    pub(super) callbacks: Vec<Box<dyn Callback<F> + 'a>>,
}

impl<F: Scalar> Default for Fit<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Scalar> std::fmt::Debug for Fit<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fit")
            .field("batch_size", &self.batch_size)
            .field("epochs", &self.epochs)
            .field("validation", &self.validation)
            .field("callbacks", &self.callbacks.len())
            .finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> Fit<'a, F> {
    /// With every option at its default.
    pub fn new() -> Self {
        Self {
            batch_size: None,
            epochs: 1,
            verbose: 1,
            shuffle: None,
            initial_epoch: 0,
            steps_per_epoch: None,
            validation_split: 0.0,
            validation: None,
            validation_batch_size: None,
            validation_freq: None,
            class_weight: Vec::new(),
            sample_weight: Vec::new(),
            callbacks: Vec::new(),
        }
    }

    /// Rows of a step; not of a stream, which makes its batches itself. Default: 32.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// The number of the epoch to stop before, counted from 0. Default: 1.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// 0: silent; 1: a progress bar on a terminal, a line an epoch elsewhere; 2: a line an epoch. Default: 1.
    pub fn verbose(mut self, verbose: u8) -> Self {
        self.verbose = verbose;
        self
    }

    /// Whether each epoch takes the rows in a new order; not of a stream, which comes in its own. Default: true.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = Some(shuffle);
        self
    }

    /// The number of the first epoch, counted from 0: where an interrupted training goes on. Default: 0.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// Ends each epoch after so many steps. Default: when all rows have been seen.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// The share of the rows, the last of them, that is kept back for validation; of arrays alone. Default: 0.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation_split = share;
        self
    }

    /// Arrays to validate with after each epoch: [`validation`](Self::validation) takes any source, with weights.
    pub fn validation_data(self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Self {
        self.validation(Arrays::new(x, y))
    }

    /// What to validate with after each epoch: [`Arrays`], a reference to a [`Dataset`], or to a stream of batches, of
    /// which each validation takes the first pass.
    pub fn validation<M>(mut self, source: impl IntoSource<'a, F, M>) -> Self {
        self.validation = Some(source.into_source());
        self
    }

    /// Rows of a step of validation. Default: `batch_size`.
    pub fn validation_batch_size(mut self, rows: usize) -> Self {
        self.validation_batch_size = Some(rows);
        self
    }

    /// After every how many epochs to validate. Default: 1.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = Some(epochs);
        self
    }

    /// How much rows of each class count: pairs of class and weight. Other classes count 1.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// How much each row counts, or each value of each row; of arrays alone, other sources have their own weights.
    pub fn sample_weight(mut self, weights: impl IntoTensor<'a, F>) -> Self {
        self.sample_weight.push(weights.into_tensor());
        self
    }

    /// Something to be done as the training goes on; `&mut` of it, if it is to be asked afterwards.
    pub fn callback(mut self, callback: impl Callback<F> + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// A closure to be called after each epoch.
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
    /// let fit = Fit::new().epochs(3).verbose(0).on_epoch_end(|state, logs| {
    ///     println!("{}: {}", state.epoch, logs["loss"]);
    ///     state.set_learning_rate(state.learning_rate() / 2.0)
    /// });
    /// model.fit(&array![[1.0f32]], &array![[1.0f32]], fit)?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn on_epoch_end(self, closure: impl FnMut(&mut EpochState<'_, F>, &Logs) -> Result<()> + Send + 'a) -> Self {
        self.callback(AtEpochEnd(closure))
    }

    pub(super) fn epoch_options(&self) -> EpochOptions {
        EpochOptions {
            batch_size: self.batch_size.unwrap_or(32),
            epochs: self.epochs,
            verbose: self.verbose,
            shuffle: self.shuffle.unwrap_or(true),
            initial_epoch: self.initial_epoch,
            steps_per_epoch: self.steps_per_epoch,
        }
    }

    /// How a validation runs: after every how many epochs, on how many rows at a time.
    pub(super) fn validation_steps(&self) -> (usize, usize) {
        let batch = self.validation_batch_size.or(self.batch_size).unwrap_or(32);
        (self.validation_freq.unwrap_or(1), batch)
    }

    /// Refuses options outside their ranges, and those that do not apply to a source.
    pub(super) fn check(&self, source: &Source<'_, F>) -> Result<()> {
        self.epoch_options().check("fit")?;
        at_least_one("fit", "validation_batch_size", self.validation_batch_size.unwrap_or(1))?;
        at_least_one("fit", "validation_freq", self.validation_freq.unwrap_or(1))?;
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(Error::option("validation_split", "in 0..1", self.validation_split).within("fit"));
        }
        if let Some((_, weight)) = self.class_weight.iter().find(|(_, weight)| !(weight.is_finite() && *weight >= 0.0))
        {
            return Err(Error::option("class_weight", "finite numbers, at least 0", weight).within("fit"));
        }
        let (arrays, stream) = (matches!(source, Source::Arrays(_)), matches!(source, Source::Stream(_)));
        let validates = self.validation.is_some() || self.validation_split > 0.0;
        let on_stream = matches!(self.validation, Some(Source::Stream(_)));
        let of_stream = "not given: a stream makes its batches, in its own order";
        let unused = [
            ("batch_size", of_stream, stream && self.batch_size.is_some()),
            ("shuffle", of_stream, stream && self.shuffle.is_some()),
            (
                "validation_split",
                "0 for a data set or a stream; give `validation`",
                !arrays && self.validation_split > 0.0,
            ),
            (
                "validation_split",
                "0 where `validation` is given",
                self.validation.is_some() && self.validation_split > 0.0,
            ),
            (
                "sample_weight",
                "not given: a data set or a stream has its own weights",
                !arrays && !self.sample_weight.is_empty(),
            ),
            (
                "validation_batch_size",
                "not given without validation",
                !validates && self.validation_batch_size.is_some(),
            ),
            ("validation_batch_size", of_stream, on_stream && self.validation_batch_size.is_some()),
            ("validation_freq", "not given without validation", !validates && self.validation_freq.is_some()),
        ];
        match unused.into_iter().find(|(.., unused)| *unused) {
            Some((option, expected, _)) => Err(Error::option(option, expected, "given").within("fit")),
            None => Ok(()),
        }
    }

    /// Refuses all options but weights, in calls on one batch.
    pub(super) fn check_weights_alone(&self, call: &str) -> Result<()> {
        let given = self.batch_size.is_some()
            || self.shuffle.is_some()
            || (self.epochs, self.initial_epoch, self.steps_per_epoch) != (1, 0, None)
            || self.validation.is_some()
            || self.validation_split > 0.0
            || !self.callbacks.is_empty();
        if given {
            return Err(Error::option("options", "`sample_weight` and `class_weight` alone", "others").within(call));
        }
        Ok(())
    }

    /// Takes the validation's source; a share of the training's arrays, if that is asked for.
    pub(super) fn take_validation(&mut self, source: &mut Source<'a, F>) -> Result<Option<Source<'a, F>>> {
        if let Source::Arrays(arrays) = source
            && self.validation_split > 0.0
        {
            let (train, validate) = validation_split(arrays.len(), self.validation_split)?;
            if train.is_empty() || validate.is_empty() {
                let received = format!("{} of {} rows", self.validation_split, arrays.len());
                return Err(Error::data("fit", "rows on both sides of `validation_split`", received));
            }
            let kept = Arrays { rows: validate, ..arrays.clone() };
            arrays.rows = train;
            return Ok(Some(Source::Arrays(kept)));
        }
        Ok(self.validation.take())
    }
}
