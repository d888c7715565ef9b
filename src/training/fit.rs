//! The epochs of a training.

use super::callbacks::{AtEpochEnd, Callback, EpochState};
use super::course::{Course, at_least_one, course_setters};
use super::feed::{Feed, Source, check_dataset};
use super::history::{History, Logs};
use super::progress::Progress;
use crate::data::dataset::Arrays;
use crate::data::{Dataset, Sample, Stream, split::validation_split};
use crate::engine::check_inputs;
use crate::models::Compiled;
use crate::models::Model;
use crate::models::step::{self, StepData};
use crate::tensor::inputs::{Given, IntoInputs, IntoTensor, check_rows_loosely};
use crate::{Error, Result, Scalar};

/// Inputs and targets.
type Pair<'a, F> = (Vec<Given<'a, F>>, Vec<Given<'a, F>>);

/// The options of [`Model::fit`].
///
/// # Defaults
/// `batch_size` 32, `epochs` 1, `verbose` 1, `shuffle` true, no validation, `initial_epoch` 0, all steps of an epoch.
///
/// # Source
/// Keras `Model.fit`.
pub struct Fit<'a, F: Scalar> {
    course: Course,
    validation_split: f64,
    validation_data: Option<Pair<'a, F>>,
    validation_set: Option<&'a dyn Dataset<F>>,
    validation_stream: Option<&'a Stream<Vec<Sample<F>>>>,
    validation_batch_size: Option<usize>,
    validation_freq: usize,
    pub(crate) class_weight: Vec<(usize, f64)>,
    pub(crate) sample_weight: Option<Vec<Given<'a, F>>>,
    callbacks: Vec<Box<dyn Callback<F> + 'a>>,
}

impl<F: Scalar> Default for Fit<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, F: Scalar> Fit<'a, F> {
    /// With every option at its default.
    pub fn new() -> Self {
        Self {
            course: Course::default(),
            validation_split: 0.0,
            validation_data: None,
            validation_set: None,
            validation_stream: None,
            validation_batch_size: None,
            validation_freq: 1,
            class_weight: Vec::new(),
            sample_weight: None,
            callbacks: Vec::new(),
        }
    }

    course_setters!();

    /// The share of the rows, the last of them, that is kept back for validation. Default: 0.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation_split = share;
        self
    }

    /// Rows to validate with after each epoch.
    pub fn validation_data(mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Self {
        self.validation_data = Some((x.into_inputs().into_vec(), y.into_inputs().into_vec()));
        self
    }

    /// A data set to validate with after each epoch.
    pub fn validation_dataset(mut self, dataset: &'a dyn Dataset<F>) -> Self {
        self.validation_set = Some(dataset);
        self
    }

    /// A stream of batches to validate with after each epoch: its first pass each time.
    pub fn validation_stream(mut self, stream: &'a Stream<Vec<Sample<F>>>) -> Self {
        self.validation_stream = Some(stream);
        self
    }

    /// Rows of a step of validation. Default: `batch_size`.
    pub fn validation_batch_size(mut self, rows: usize) -> Self {
        self.validation_batch_size = Some(rows);
        self
    }

    /// After every how many epochs to validate. Default: 1.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// How much rows of each class count: pairs of class and weight. Other classes count 1.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// How much each row counts, or each value of each row.
    pub fn sample_weight(mut self, weights: impl IntoTensor<'a, F>) -> Self {
        self.sample_weight.get_or_insert_default().push(weights.into_tensor());
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

    fn check(&self) -> Result<()> {
        self.course.check("fit")?;
        at_least_one("fit", "validation_batch_size", self.validation_batch_size.unwrap_or(1))?;
        at_least_one("fit", "validation_freq", self.validation_freq)?;
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(Error::option("validation_split", "in 0..1", self.validation_split).within("fit"));
        }
        if let Some((_, weight)) = self.class_weight.iter().find(|(_, weight)| !(weight.is_finite() && *weight >= 0.0))
        {
            return Err(Error::option("class_weight", "finite numbers, at least 0", weight).within("fit"));
        }
        Ok(())
    }
}

/// Refuses arrays that do not fit a compiled model or that it could not learn from, and makes a data set of them.
pub(crate) fn checked_arrays<'a, F: Scalar>(
    call: &str,
    model: &Model<F>,
    compiled: &Compiled<F>,
    inputs: Vec<Given<'a, F>>,
    targets: Vec<Given<'a, F>>,
    weights: Option<Vec<Given<'a, F>>>,
) -> Result<Arrays<'a, F>> {
    let rows = check_inputs(call, &model.graph.inputs, &inputs)?;
    if rows == 0 {
        return Err(Error::data(call, "at least one row", "none"));
    }
    if targets.len() != compiled.objectives.len() {
        let expected = format!("targets for {} outputs", compiled.objectives.len());
        return Err(Error::data(call, expected, format!("{}", targets.len())));
    }
    for (input, given) in model.graph.inputs.iter().zip(&inputs) {
        if let Some((row, value)) = given.not_finite() {
            let received = format!("{value} at row {row}");
            return Err(Error::data(call, format!("finite numbers in input `{}`", input.name), received));
        }
    }
    for (i, (given, objective)) in targets.iter().zip(&compiled.objectives).enumerate() {
        let (sample, output) = (model.output_shape(i), &model.graph.output_names[i]);
        let row = objective.loss.target_shape(sample)?;
        let class = objective.loss.describe().class;
        check_rows_loosely(call, &format!("a target for output `{output}` ({class})"), &row, given.shape).map_err(
            |error| match class.as_str() {
                "CategoricalCrossentropy" => {
                    error.advise("use `to_categorical` on labels, or SparseCategoricalCrossentropy")
                }
                "SparseCategoricalCrossentropy" => {
                    error.advise("give labels, not one-hot rows, or use CategoricalCrossentropy")
                }
                _ => error,
            },
        )?;
        if given.rows() != rows {
            return Err(Error::data(call, format!("{rows} rows of targets"), format!("{}", given.rows())));
        }
        if let Some((row, value)) = given.not_finite() {
            return Err(Error::data(call, "finite targets", format!("{value} at row {row}")));
        }
        let mut shape = vec![rows];
        shape.extend_from_slice(&row);
        let values = given.scalars();
        objective.loss.check_targets(call, sample, crate::View::new(&shape, &values))?;
    }
    let weights = match weights {
        None => vec![None; targets.len()],
        Some(weights) if weights.len() == targets.len() => weights.into_iter().map(Some).collect(),
        Some(weights) => {
            let expected = format!("sample weights for each of {} outputs", targets.len());
            return Err(Error::data(call, expected, format!("{}", weights.len())));
        }
    };
    for (i, given) in weights.iter().enumerate() {
        let Some(given) = given else { continue };
        if compiled.objectives[i].loss.of_batch() {
            return Err(Error::data(call, "no sample weights, since the loss is the whole batch's", "some"));
        }
        let mut values = vec![rows];
        values.extend(compiled.objectives[i].loss.values_shape(model.output_shape(i)));
        crate::losses::reduction::check_weights(call, &values, given.shape)?;
        if let Some((row, value)) = given.not_finite() {
            return Err(Error::data(call, "finite sample weights", format!("{value} at row {row}")));
        }
    }
    Ok(Arrays { inputs, targets, weights, rows: 0..rows })
}

impl<F: Scalar> Model<F> {
    /// Trains on arrays for a number of epochs.
    ///
    /// `x` and `y` are arrays of any rank whose first axis counts the rows (tuples of references for several inputs or
    /// outputs): numbers of the model's scalar, bytes, or whole numbers. Labels are whole numbers or one-hot rows, as
    /// the loss takes them.
    ///
    /// # Errors
    /// Before anything changes: a model that is not compiled, wrong shapes, no rows, targets that the loss does not
    /// take, NaN or infinite data, options outside their ranges. In training: a loss that is no longer finite, with the
    /// weights as they were before that step; or what a callback refuses.
    pub fn fit<'a>(
        &mut self,
        x: impl IntoInputs<'a, F>,
        y: impl IntoInputs<'a, F>,
        mut options: Fit<'a, F>,
    ) -> Result<History> {
        options.check()?;
        let compiled = self.compiled_or("fit")?;
        let weights = options.sample_weight.take();
        let mut training =
            checked_arrays("fit", self, compiled, x.into_inputs().into_vec(), y.into_inputs().into_vec(), weights)?;
        let validation = match options.validation_data.take() {
            Some((x, y)) => Some(checked_arrays("fit, validation_data", self, compiled, x, y, None)?),
            None if options.validation_split > 0.0 => {
                let (train, validate) = validation_split(training.len(), options.validation_split)?;
                if train.is_empty() || validate.is_empty() {
                    let received = format!("{} of {} rows", options.validation_split, training.len());
                    return Err(Error::data("fit", "rows on both sides of `validation_split`", received));
                }
                training.rows = train;
                Some(Arrays {
                    inputs: training.inputs.clone(),
                    targets: training.targets.clone(),
                    weights: training.weights.clone(),
                    rows: validate,
                })
            }
            None => None,
        };
        let validation = validation.as_ref().map(|set| Source::Set { dataset: set, check: false });
        self.run_epochs(Source::Set { dataset: &training, check: false }, validation, options)
    }

    /// Trains on a data set for a number of epochs. Targets are checked batch by batch.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_dataset<'a>(&mut self, dataset: &'a dyn Dataset<F>, options: Fit<'a, F>) -> Result<History> {
        options.check()?;
        check_dataset("fit", self, self.compiled_or("fit")?, dataset)?;
        self.fit_source("fit_dataset", Source::Set { dataset, check: true }, options)
    }

    /// Trains on a stream of batches for a number of epochs, each a pass over it, in the order in which they come:
    /// `batch_size` and `shuffle` say nothing here, the stream batches and shuffles.
    ///
    /// With `steps_per_epoch` an epoch takes so many batches, and the next goes on where it ended, so that all of a long
    /// or endless stream is seen; when a pass ends the epoch ends with it. Shapes and targets are checked batch by batch.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and whatever the stream gives as an error; a stream without batches.
    pub fn fit_stream<'a>(&mut self, stream: &'a Stream<Vec<Sample<F>>>, options: Fit<'a, F>) -> Result<History> {
        options.check()?;
        self.compiled_or("fit")?;
        self.fit_source("fit_stream", Source::Stream(stream), options)
    }

    fn fit_source<'a>(
        &mut self,
        call: &'static str,
        source: Source<'a, F>,
        mut options: Fit<'a, F>,
    ) -> Result<History> {
        let compiled = self.compiled_or("fit")?;
        if options.validation_split > 0.0 || options.sample_weight.is_some() {
            let needs = "the data carries its own weights, and validation is given as `validation_dataset` or `validation_stream`";
            return Err(Error::NotReady { call, needs });
        }
        let arrays = match options.validation_data.take() {
            Some((x, y)) => Some(checked_arrays("fit, validation_data", self, compiled, x, y, None)?),
            None => None,
        };
        if let Some(set) = options.validation_set {
            check_dataset("fit, validation_dataset", self, compiled, set)?;
        }
        let validation = match (&arrays, options.validation_set, options.validation_stream) {
            (Some(arrays), _, _) => Some(Source::Set { dataset: arrays, check: false }),
            (_, Some(dataset), _) => Some(Source::Set { dataset, check: true }),
            (_, _, stream) => stream.map(Source::Stream),
        };
        self.run_epochs(source, validation, options)
    }

    pub(crate) fn compiled_or(&self, call: &'static str) -> Result<&Compiled<F>> {
        self.compiled
            .as_ref()
            .ok_or(Error::NotReady { call, needs: "compile the model with a loss and an optimizer first" })
    }

    fn run_epochs(
        &mut self,
        source: Source<'_, F>,
        validation: Option<Source<'_, F>>,
        mut options: Fit<'_, F>,
    ) -> Result<History> {
        let sized = matches!(source, Source::Set { .. });
        if let Some(batch) = self.graph.batch().filter(|&batch| sized && batch != options.course.batch_size) {
            let expected = format!("{batch}, which an input fixes");
            return Err(Error::option("batch_size", expected, options.course.batch_size));
        }
        let threads = self.threads.clone();
        self.with_compiled(|model, compiled| {
            threads.enter(|| Epochs { model, compiled }.run(source, validation, &mut options))
        })
    }
}

/// A training under way.
struct Epochs<'m, F: Scalar> {
    model: &'m mut Model<F>,
    compiled: &'m mut Compiled<F>,
}

impl<F: Scalar> Epochs<'_, F> {
    fn run(
        &mut self,
        source: Source<'_, F>,
        validation: Option<Source<'_, F>>,
        options: &mut Fit<'_, F>,
    ) -> Result<History> {
        let mut callbacks = std::mem::take(&mut options.callbacks);
        let mut history = History::default();
        let mut stop = false;
        self.tell(&mut callbacks, options, options.course.initial_epoch, &mut stop, |callback, state| {
            callback.on_train_begin(state)
        })?;
        let class_weights = class_weights("fit", &options.class_weight, self.compiled)?;
        let mut feed = source.feed(options.course.batch_size);
        'training: for epoch in options.course.initial_epoch..options.course.epochs {
            self.tell(&mut callbacks, options, epoch, &mut stop, super::callbacks::Callback::on_epoch_begin)?;
            let steps = feed.begin(&options.course, self.model.seed, epoch)?;
            let mut progress = Progress::new(options.course.verbose, epoch, options.course.epochs, steps);
            let (mut total, mut seen) = (0.0, 0);
            reset_metrics(self.compiled);
            for step in 0..steps.unwrap_or(usize::MAX) {
                let Some(next) = feed.next("fit", self.model, self.compiled)? else { break };
                if next.fresh {
                    self.compiled.workspace.prepare(self.model, &self.compiled.objectives, next.dataset, true);
                }
                let rows = next.rows;
                let data = StepData {
                    dataset: next.dataset,
                    rows,
                    class_weights: class_weights.as_deref(),
                    check: next.check,
                };
                let loss = match step::train(self.model, self.compiled, &data) {
                    Err(Error::LossNotFinite { loss, step: at }) => {
                        let mut expected = false;
                        self.tell(&mut callbacks, options, epoch, &mut stop, |callback, state| {
                            expected |= callback.on_loss_not_finite(state, step, loss)?;
                            Ok(())
                        })?;
                        if expected {
                            break 'training;
                        }
                        return Err(Error::LossNotFinite { loss, step: at });
                    }
                    trained => trained?,
                };
                total += loss * rows.len() as f64;
                seen += rows.len();
                if !callbacks.is_empty() {
                    self.tell(&mut callbacks, options, epoch, &mut stop, |callback, state| {
                        callback.on_batch_end(state, step, loss)
                    })?;
                }
                progress.step(step + 1, || figures(self.compiled, total / seen as f64, ""));
            }
            if seen == 0 {
                return Err(Error::data("fit", "a stream with a batch in every epoch", "none"));
            }
            let mut logs = figures(self.compiled, total / seen as f64, "");
            if let Some(source) = validation.filter(|_| (epoch + 1).is_multiple_of(options.validation_freq)) {
                let batch = options.validation_batch_size.unwrap_or(options.course.batch_size);
                let validated = evaluate(self.model, self.compiled, source.feed(batch), "val_")?;
                for (name, value) in validated.iter() {
                    logs.insert(name, value);
                }
            }
            self.compiled.epochs = epoch + 1;
            progress.finish(&logs);
            log::debug!("epoch {}/{}: {logs}", epoch + 1, options.course.epochs);
            self.tell(&mut callbacks, options, epoch, &mut stop, |callback, state| {
                callback.on_epoch_end(state, &logs)
            })?;
            history.push(epoch, logs);
            if stop {
                break;
            }
        }
        self.compiled.driver.finish(self.model);
        let last = history.epochs().last().copied().unwrap_or(options.course.initial_epoch);
        self.tell(&mut callbacks, options, last, &mut stop, super::callbacks::Callback::on_train_end)?;
        Ok(history)
    }

    /// Calls one method of every callback.
    fn tell<'c>(
        &mut self,
        callbacks: &mut [Box<dyn Callback<F> + 'c>],
        options: &Fit<'_, F>,
        epoch: usize,
        stop: &mut bool,
        mut what: impl FnMut(&mut (dyn Callback<F> + 'c), &mut EpochState<'_, F>) -> Result<()>,
    ) -> Result<()> {
        for callback in callbacks {
            let mut state =
                EpochState { epoch, epochs: options.course.epochs, model: self.model, compiled: self.compiled, stop };
            what(callback.as_mut(), &mut state)?;
        }
        Ok(())
    }
}

/// A weight a class, 1 for those that are not named; none if none is.
pub(crate) fn class_weights<F: Scalar>(
    call: &str,
    pairs: &[(usize, f64)],
    compiled: &Compiled<F>,
) -> Result<Option<Vec<F>>> {
    let Some(largest) = pairs.iter().map(|(class, _)| *class).max() else { return Ok(None) };
    if compiled.objectives.iter().any(|objective| objective.loss.of_batch()) {
        return Err(Error::data(call, "no class weights, since a loss is the whole batch's", "some"));
    }
    let mut weights = vec![F::one(); largest + 1];
    for &(class, weight) in pairs {
        weights[class] = F::of(weight);
    }
    Ok(Some(weights))
}

/// The loss and every metric, under their names.
pub(crate) fn figures<F: Scalar>(compiled: &Compiled<F>, loss: f64, prefix: &str) -> Logs {
    let mut logs = Logs::default();
    logs.insert(format!("{prefix}loss"), loss);
    for objective in &compiled.objectives {
        for watched in &objective.metrics {
            logs.insert(format!("{prefix}{}", watched.name), watched.metric.result());
        }
    }
    logs
}

pub(crate) fn reset_metrics<F: Scalar>(compiled: &mut Compiled<F>) {
    for objective in &mut compiled.objectives {
        objective.metrics.iter_mut().for_each(|watched| watched.metric.reset());
    }
}

/// The loss and the metrics over a whole data set or one pass of a stream, batch by batch in its own order.
pub(crate) fn evaluate<F: Scalar>(
    model: &mut Model<F>,
    compiled: &mut Compiled<F>,
    mut feed: Feed<'_, F>,
    prefix: &str,
) -> Result<Logs> {
    reset_metrics(compiled);
    feed.begin(&Course { shuffle: false, ..Course::default() }, 0, 0)?;
    let (mut total, mut seen) = (0.0, 0);
    while let Some(next) = feed.next("evaluate", model, compiled)? {
        if next.fresh {
            compiled.workspace.prepare(model, &compiled.objectives, next.dataset, false);
        }
        let data = StepData { dataset: next.dataset, rows: next.rows, class_weights: None, check: next.check };
        total += step::test(model, compiled, &data)? * next.rows.len() as f64;
        seen += next.rows.len();
    }
    if seen == 0 {
        return Err(Error::data("evaluate", "a stream with a batch", "none"));
    }
    Ok(figures(compiled, total / seen as f64, prefix))
}
