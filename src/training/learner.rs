//! What the training loop trains: models, games of two networks, and learners of a user.

use std::any::Any;
use std::collections::BTreeMap;

use crate::data::dataset::Labels;
use crate::data::{Arrays, Batch, Dataset};
use crate::engine::Network;
use crate::engine::recipe::Recipe;
use crate::models::Model;
use crate::optimizers::Driver;
use crate::training::Logs;
use crate::{Error, Result, Scalar, Tensor, View};

/// Something that learns from batches: one training step, one test step, and what a checkpoint holds (Keras's
/// `train_step` and `test_step`).
///
/// [`train`](crate::training::train) runs any learner for a number of epochs, with shuffling, progress, history, callbacks,
/// validation, interruption and exact resume. A [`Model`] is one, and so is a [`Gan`](crate::gan::Gan).
///
/// Two methods make a learner; the rest have defaults.
///
/// ```
/// use gradus::custom::*;
/// use gradus::training::{Learner, Part, Running, StepBatch, train};
///
/// /// Learns to give back what it is given.
/// struct Autoencoder {
///     model: Model,
///     pass: Pass<f32>,
///     optimizer: Driver<f32>,
/// }
///
/// impl Learner<f32> for Autoencoder {
///     fn train_step(&mut self, batch: &mut StepBatch<'_, f32>, logs: &mut Running) -> gradus::Result<()> {
///         let x = batch.gather(self.optimizer.steps())?.input(0);
///         let mode = Mode::Training { seed: 0, step: self.optimizer.steps() };
///         let y = self.model.forward(&mut self.pass, x, mode)?;
///         let (loss, gradient) = MeanSquaredError::new().value_and_gradient(y, x)?;
///         self.model.backward(&mut self.pass, &gradient)?;
///         logs.add("loss", f64::from(loss));
///         self.optimizer.step(&mut self.model, &self.pass)
///     }
///     fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, f32>)) {
///         visit(Part::new("autoencoder", &mut self.model, &mut self.optimizer));
///     }
/// }
///
/// let model = Sequential::new().input([4]).add(Dense::new(2)).add(Dense::new(4)).build()?;
/// let (pass, optimizer) = (model.pass(), Driver::new(Adam::new(), &model)?);
/// let mut learner = Autoencoder { model, pass, optimizer };
/// let x = Array2::from_shape_fn((32, 4), |(i, j)| ((i + j) as f32).sin());
/// let stopping = EarlyStopping::new().monitor("loss").patience(2);
/// let history = train(&mut learner, Arrays::inputs(&x), Fit::new().epochs(3).verbose(0).callback(stopping))?;
/// assert_eq!(history.names(), ["loss"]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[doc(alias = "custom training loop")]
#[doc(alias = "train_step")]
pub trait Learner<F: Scalar> {
    /// One step of training on a batch. What it tells `logs` is averaged over the epoch.
    ///
    /// # Errors
    /// An error ends the training. [`Error::LossNotFinite`] lets a callback end it without one.
    fn train_step(&mut self, batch: &mut StepBatch<'_, F>, logs: &mut Running) -> Result<()>;

    /// Shows `visit` each network with its optimizer: what callbacks and checkpoints save, and rates belong to.
    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, F>));

    /// One step of validation on a batch. By default there is none.
    ///
    /// # Errors
    /// An error ends the training.
    fn test_step(&mut self, _batch: &mut StepBatch<'_, F>, _logs: &mut Running) -> Result<()> {
        Err(Error::NotReady { call: "fit", needs: "a learner with a `test_step`, if it is to be validated" })
    }

    /// Begins an epoch, or with `training` false a validation: metrics start anew.
    fn begin(&mut self, _training: bool) {}

    /// Ends an epoch, or with `training` false a validation, before [`metrics`](Self::metrics) is asked for its results: where
    /// several processes train, what their metrics have gathered is joined.
    ///
    /// # Errors
    /// If another process is out of reach.
    fn end(&mut self, _training: bool) -> Result<()> {
        Ok(())
    }

    /// Adds what is no mean over batches, such as metrics over the whole epoch, to the logs.
    fn metrics(&self, _training: bool, _logs: &mut Logs) {}

    /// Refuses data that does not fit. Asked before the first epoch; of a stream, for every batch.
    ///
    /// # Errors
    /// What does not fit.
    fn check(&self, _call: &str, _data: &dyn Dataset<F>) -> Result<()> {
        Ok(())
    }

    /// Refuses arrays, of which all values can be looked at before the first epoch.
    ///
    /// # Errors
    /// What does not fit.
    fn check_arrays(&self, call: &str, arrays: &Arrays<'_, F>) -> Result<()> {
        self.check(call, arrays)
    }

    /// Whether class weights mean something to it; where they do not, they are refused. `largest` is the largest class that
    /// has one.
    ///
    /// # Errors
    /// Why they cannot be used.
    fn check_class_weights(&self, call: &str, _largest: usize) -> Result<()> {
        Err(Error::data(call, "no class weights, which this learner does not use", "some"))
    }

    /// Whether more of a metric is better; `name` is without `val_`.
    fn higher_is_better(&self, _name: &str) -> bool {
        false
    }

    /// Rows of every batch, where that is fixed.
    fn batch_size(&self) -> Option<usize> {
        None
    }

    /// The seed of the order in which an epoch takes the rows.
    fn seed(&self) -> u64 {
        0
    }

    /// Told how many epochs of training lie behind, after each.
    fn epoch_ended(&mut self, _epochs: usize) {}

    /// Adds what a checkpoint holds beside the parts: texts by name.
    fn save_state(&self, _state: &mut BTreeMap<String, String>) {}

    /// Takes up what [`save_state`](Self::save_state) added.
    ///
    /// # Errors
    /// If it is not there, or damaged. Nothing may have changed then.
    fn load_state(&mut self, _state: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }

    /// The learner as a model, if it is one.
    fn as_model(&mut self) -> Option<&mut Model<F>> {
        None
    }

    /// The learner as what it is, for callbacks that know it: `Some(self)`.
    fn as_any(&mut self) -> Option<&mut dyn Any> {
        None
    }
}

/// A network of a learner, and the optimizer that trains it.
pub struct Part<'a, F: Scalar> {
    /// Its name; empty for a model by itself.
    pub name: &'a str,
    /// The network.
    pub network: &'a mut Network<F>,
    /// Its optimizer at work.
    pub optimizer: &'a mut Driver<F>,
    pub(crate) recipe: &'a Recipe<F>,
}

impl<'a, F: Scalar> Part<'a, F> {
    /// A model, whose architecture checkpoints will hold too, and its optimizer.
    pub fn new(name: &'a str, model: &'a mut Model<F>, optimizer: &'a mut Driver<F>) -> Self {
        Self { name, network: &mut model.network, optimizer, recipe: &model.recipe }
    }
}

impl<F: Scalar> std::fmt::Debug for Part<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("name", &self.name).field("network", &self.network).finish_non_exhaustive()
    }
}

/// The rows of one step.
pub struct StepBatch<'a, F: Scalar> {
    pub(crate) dataset: &'a dyn Dataset<F>,
    pub(crate) rows: &'a [usize],
    /// A weight a class.
    pub(crate) class_weights: Option<&'a [F]>,
    /// Whether the targets are still to be checked.
    pub(crate) check: bool,
    /// Whether the data set may be another than that of the step before.
    pub(crate) fresh: bool,
    pub(crate) gathered: &'a mut GatheredBatch<F>,
}

impl<F: Scalar> StepBatch<'_, F> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Gathers the rows as arrays; `step` is the number of the training step, from which augmentation draws its
    /// randomness. Memory is reused from step to step.
    ///
    /// # Errors
    /// Whatever goes wrong in reading them.
    pub fn gather(&mut self, step: u64) -> Result<&GatheredBatch<F>> {
        self.gathered.gather(self.dataset, self.rows, self.fresh, step)?;
        Ok(self.gathered)
    }
}

impl<F: Scalar> std::fmt::Debug for StepBatch<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepBatch").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A batch's rows, side by side.
#[derive(Clone, Debug, Default)]
pub struct GatheredBatch<F: Scalar> {
    inputs: Vec<Tensor<F>>,
    labels: Labels<F>,
}

impl<F: Scalar> GatheredBatch<F> {
    fn gather(&mut self, dataset: &dyn Dataset<F>, rows: &[usize], fresh: bool, step: u64) -> Result<()> {
        if fresh {
            self.inputs = dataset.input_shapes().iter().map(|shape| Tensor::without_rows(shape)).collect();
            self.labels = Labels::of(dataset);
        }
        self.inputs.iter_mut().for_each(|input| input.set_rows(rows.len()));
        self.labels.set_rows(rows.len());
        dataset.gather(rows, &mut Batch { inputs: &mut self.inputs, outputs: &mut self.labels, step })
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.labels.targets.len()
    }

    /// Input number `i`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn input(&self, i: usize) -> View<'_, F> {
        self.inputs[i].view()
    }

    /// Target number `i`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn target(&self, i: usize) -> View<'_, F> {
        self.labels.targets[i].view()
    }

    /// The weights of target number `i`, if it has any.
    ///
    /// # Panics
    /// If there are fewer targets.
    pub fn weights(&self, i: usize) -> Option<View<'_, F>> {
        self.labels.weights[i].as_ref().map(Tensor::view)
    }
}

/// What the steps of an epoch tell: means over its rows, and the last batch's own values.
#[derive(Clone, Debug, Default)]
pub struct Running {
    last: Logs,
    sums: Vec<f64>,
    seen: Vec<f64>,
    rows: f64,
}

impl Running {
    /// A value of this batch, such as its loss. It weighs as much as the batch has rows.
    pub fn add(&mut self, name: &str, value: f64) {
        let place = self.last.set(name, value);
        if place == self.sums.len() {
            self.sums.push(0.0);
            self.seen.push(0.0);
        }
        self.sums[place] += value * self.rows;
        self.seen[place] += self.rows;
    }

    /// The last batch's own values.
    pub fn last(&self) -> &Logs {
        &self.last
    }

    /// The means over all rows so far.
    pub fn means(&self) -> Logs {
        let mut logs = self.last.clone();
        for ((mean, sum), seen) in logs.values_mut().zip(&self.sums).zip(&self.seen) {
            *mean = if *seen > 0.0 { sum / seen } else { 0.0 };
        }
        logs
    }

    /// Begins an epoch.
    pub(crate) fn reset(&mut self) {
        self.sums.fill(0.0);
        self.seen.fill(0.0);
    }

    /// Begins a batch of so many rows.
    pub(crate) fn begin_batch(&mut self, rows: usize) {
        self.rows = rows as f64;
    }
}
