//! The one training loop: epochs of any learner.

use super::callbacks::{Callback, EpochState};
use super::epoch_options::EpochOptions;
use super::feed::{Feed, Step, each_batch};
use super::fit::Fit;
use super::history::{History, Logs};
use super::learner::{GatheredBatch, Learner, Running, StepBatch};
use super::progress::Progress;
use crate::data::{Dataset, IntoSource, Source};
use crate::tensor::inputs::ArrayInput;
use crate::{Error, Result, Scalar};

/// Trains a learner for a number of epochs: data, progress, history, callbacks, validation.
///
/// # Errors
/// Before anything changes: data that the learner refuses, no rows, NaN or infinite arrays, options outside their ranges or
/// that do not apply. In training: what a step gives as an error, such as a loss that is no longer finite; or what a
/// callback refuses.
pub fn train<'a, F: Scalar, M>(
    learner: &mut dyn Learner<F>,
    source: impl IntoSource<'a, F, M>,
    mut options: Fit<'a, F>,
) -> Result<History> {
    let mut source = source.into_source();
    options.check(&source)?;
    if let Source::Arrays(arrays) = &mut source {
        arrays.weights.append(&mut options.sample_weight);
    }
    check_source(learner, "fit", &source)?;
    let validation = options.take_validation(&mut source)?;
    if let Some(validation) = &validation {
        check_source(learner, "fit, validation", validation)?;
    }
    let epoch_options = options.epoch_options();
    let sized = !matches!(source, Source::Stream(_));
    if let Some(batch) = learner.batch_size().filter(|&batch| sized && batch != epoch_options.batch_size) {
        return Err(Error::option("batch_size", format!("{batch}, which an input fixes"), epoch_options.batch_size));
    }
    let mut threads = None;
    learner.parts(&mut |part| {
        threads.get_or_insert_with(|| part.network.threads.clone());
    });
    let class_weights = class_weights(learner, "fit", &options.class_weight)?;
    warn_of_nothing_to_train(learner);
    let (validation_freq, validation_batch) = options.validation_steps();
    let mut epochs = Epochs {
        learner,
        options: epoch_options,
        callbacks: options.callbacks,
        class_weights,
        validation: validation.as_ref().map(|source| (source, validation_freq, validation_batch)),
        gathered: GatheredBatch::default(),
        stop: false,
    };
    threads.unwrap_or_default().enter(|| epochs.run(&source))
}

/// Warns if no parameter would change.
fn warn_of_nothing_to_train<F: Scalar>(learner: &mut dyn Learner<F>) {
    let (mut trains, mut parts) = (false, 0);
    learner.parts(&mut |part| {
        let network = &part.network;
        let learned = |layer| network.trains[layer] && network.graph.layer_specs(layer).iter().any(|spec| spec.learned);
        trains |= network.graph.layer_ids().any(learned);
        parts += 1;
    });
    if parts > 0 && !trains {
        log::warn!("nothing is trained: every layer is frozen or has no parameters");
    }
}

/// Refuses a source that does not fit a learner.
pub(super) fn check_source<F: Scalar>(learner: &dyn Learner<F>, call: &str, source: &Source<'_, F>) -> Result<()> {
    match source {
        Source::Arrays(arrays) => {
            let rows = arrays.inputs.first().map_or(0, ArrayInput::rows);
            if let Some(other) = arrays.inputs.iter().find(|given| given.rows() != rows) {
                return Err(Error::data(call, format!("{rows} rows in every input"), format!("{} rows", other.rows())));
            }
            learner.check_arrays(call, arrays)?;
            if arrays.is_empty() {
                return Err(Error::data(call, "at least one row", "none"));
            }
            let mut all = arrays.inputs.iter().chain(&arrays.targets).chain(&arrays.weights);
            if let Some((row, value)) = all.find_map(ArrayInput::not_finite) {
                return Err(Error::data(call, "finite numbers", format!("{value} at row {row}")));
            }
            Ok(())
        }
        Source::Dataset(dataset) if dataset.is_empty() => Err(Error::data(call, "at least one row", "none")),
        Source::Dataset(dataset) => learner.check(call, *dataset),
        Source::Stream(_) => Ok(()),
    }
}

/// A weight a class, 1 for those that are not named; none if none is.
pub(super) fn class_weights<F: Scalar>(
    learner: &dyn Learner<F>,
    call: &str,
    pairs: &[(usize, f64)],
) -> Result<Option<Vec<F>>> {
    let Some(largest) = pairs.iter().map(|(class, _)| *class).max() else { return Ok(None) };
    learner.check_class_weights(call, largest)?;
    let room = crate::memory::room::<F>("class_weight", largest, &[largest.saturating_add(1)]);
    let mut weights = vec![F::one(); room.map_err(|error| error.within(call))?];
    for &(class, weight) in pairs {
        weights[class] = F::of(weight);
    }
    Ok(Some(weights))
}

/// A training under way.
struct Epochs<'l, 'a, F: Scalar> {
    learner: &'l mut dyn Learner<F>,
    options: EpochOptions,
    callbacks: Vec<Box<dyn Callback<F> + 'a>>,
    class_weights: Option<Vec<F>>,
    /// What to validate with, after every how many epochs, and how many rows at a time.
    validation: Option<(&'l Source<'a, F>, usize, usize)>,
    gathered: GatheredBatch<F>,
    stop: bool,
}

impl<F: Scalar> Epochs<'_, '_, F> {
    fn run(&mut self, source: &Source<'_, F>) -> Result<History> {
        let mut history = History::default();
        let EpochOptions { initial_epoch, epochs, verbose, .. } = self.options;
        self.tell(initial_epoch, |callback, state| callback.on_train_begin(state))?;
        let mut feed = Feed::of(source, self.options.batch_size);
        let mut running = Running::default();
        for epoch in initial_epoch..epochs {
            self.tell(epoch, |callback, state| callback.on_epoch_begin(state))?;
            let steps = feed.begin(&self.options, self.learner.seed(), epoch)?;
            let mut progress = Progress::new(verbose, epoch, epochs, steps);
            if self.epoch(&mut feed, &mut running, epoch, steps, &mut progress)?.is_break() {
                break;
            }
            self.learner.end(true)?;
            let mut logs = self.logs(true, &running);
            if let Some((source, _, batch)) = self.validation.filter(|(_, freq, _)| (epoch + 1).is_multiple_of(*freq)) {
                let validated = validate(self.learner, source, batch, &mut self.gathered)?;
                for (name, value) in validated.prefixed("val_").iter() {
                    if !value.is_finite() {
                        log::warn!(
                            "epoch {}: {name} is {value}: look for rows of padding alone, or too large a rate",
                            epoch + 1
                        );
                    }
                    logs.insert(name, value);
                }
            }
            self.learner.epoch_ended(epoch + 1);
            progress.finish(&logs);
            log::debug!("epoch {}/{epochs}: {logs}", epoch + 1);
            self.tell(epoch, |callback, state| callback.on_epoch_end(state, &logs))?;
            history.push(epoch, logs);
            if self.stop {
                break;
            }
        }
        self.learner.parts(&mut |part| part.optimizer.finish(part.network));
        let last = history.epochs().last().copied().unwrap_or(initial_epoch);
        self.tell(last, |callback, state| callback.on_train_end(state))?;
        Ok(history)
    }

    /// The steps of an epoch; a break if a callback ends the training at a loss that is not finite.
    fn epoch(
        &mut self,
        feed: &mut Feed<'_, F>,
        running: &mut Running,
        epoch: usize,
        steps: Option<usize>,
        progress: &mut Progress,
    ) -> Result<std::ops::ControlFlow<()>> {
        self.learner.begin(true);
        running.reset();
        let mut seen = 0;
        for step in 0..steps.unwrap_or(usize::MAX) {
            let learner = &mut *self.learner;
            let Some(next) = feed.next("fit", &|data| learner.check("fit", data))? else { break };
            running.begin_batch(next.rows.len());
            let mut batch = StepBatch {
                dataset: next.dataset,
                rows: next.rows,
                class_weights: self.class_weights.as_deref(),
                check: next.check,
                fresh: next.fresh,
                gathered: &mut self.gathered,
            };
            seen += batch.len();
            if let Err(error) = learner.train_step(&mut batch, running) {
                let Some(loss) = error.loss_not_finite() else { return Err(error) };
                let mut expected = false;
                self.tell(epoch, |callback, state| {
                    expected |= callback.on_loss_not_finite(state, step, loss)?;
                    Ok(())
                })?;
                return if expected { Ok(std::ops::ControlFlow::Break(())) } else { Err(error) };
            }
            if !self.callbacks.is_empty() {
                self.tell(epoch, |callback, state| callback.on_batch_end(state, step, running.last()))?;
            }
            progress.step(step + 1, || self.logs(true, running));
        }
        if seen == 0 {
            return Err(Error::data("fit", "a stream with a batch in every epoch", "none"));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    }

    fn logs(&self, training: bool, running: &Running) -> Logs {
        let mut logs = running.means();
        self.learner.metrics(training, &mut logs);
        logs
    }

    /// Calls one method of every callback.
    fn tell(
        &mut self,
        epoch: usize,
        mut what: impl FnMut(&mut dyn Callback<F>, &mut EpochState<'_, F>) -> Result<()>,
    ) -> Result<()> {
        let skips_validation =
            self.validation.is_some_and(|(_, freq, _)| !epoch.saturating_add(1).is_multiple_of(freq));
        for callback in &mut self.callbacks {
            let epochs = self.options.epochs;
            let mut state = EpochState::new(epoch, epochs, self.learner, &mut self.stop, skips_validation);
            what(callback.as_mut(), &mut state)?;
        }
        Ok(())
    }
}

/// The learner's logs over a whole data set or one pass of a stream, batch by batch in its own order.
fn validate<F: Scalar>(
    learner: &mut dyn Learner<F>,
    source: &Source<'_, F>,
    batch_size: usize,
    gathered: &mut GatheredBatch<F>,
) -> Result<Logs> {
    learner.begin(false);
    let mut running = Running::default();
    let check = |learner: &&mut dyn Learner<F>, data: &dyn Dataset<F>| learner.check("evaluate", data);
    let mut learner = learner;
    each_batch(&mut Feed::of(source, batch_size), &mut learner, &check, |learner, next| {
        running.begin_batch(next.rows.len());
        let Step { dataset, rows, check, fresh } = next;
        let mut batch = StepBatch { dataset, rows, class_weights: None, check, fresh, gathered };
        learner.test_step(&mut batch, &mut running)
    })?;
    learner.end(false)?;
    let mut logs = running.means();
    learner.metrics(false, &mut logs);
    Ok(logs)
}
