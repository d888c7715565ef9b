//! A model as a learner: `fit`, `evaluate`, and the steps that they are made of.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Deref;

use ndarray::ArrayD;

use super::checks::{check_arrays, check_dataset};
use super::epochs::{check_source, class_weights, train};
use super::feed::{Feed, each_batch};
use super::fit::Fit;
use super::history::{History, Logs};
use super::learner::{Learner, Part, Running, StepBatch};
use crate::data::{Arrays, Dataset, IntoSource, Source};
use crate::engine::Network;
use crate::layers::Mode;
use crate::models::objectives::{for_each_metric, join_metrics, reset_metrics};
use crate::models::training_pass::StepData;
use crate::models::{Evaluation, Model, saving};
use crate::tensor::Shape;
use crate::tensor::inputs::IntoInputs;
use crate::{Error, Result, Scalar};

/// Rows of a step where the caller does not say.
const BATCH: usize = 256;

/// What [`Model::evaluate`] found: the loss, and every metric by name: `score["accuracy"]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The loss, penalties included.
    pub loss: f64,
    logs: Logs,
}

impl Deref for Score {
    type Target = Logs;
    fn deref(&self) -> &Logs {
        &self.logs
    }
}

impl From<Logs> for Score {
    fn from(logs: Logs) -> Self {
        Self { loss: logs["loss"], logs }
    }
}

impl<F: Scalar> StepBatch<'_, F> {
    fn step_data(&self) -> StepData<'_, F> {
        let Self { dataset, rows, class_weights, check, .. } = *self;
        StepData { dataset, rows, class_weights, check }
    }
}

const COMPILED: &str = "a model learns once it is compiled";

impl<F: Scalar> Learner<F> for Model<F> {
    fn train_step(&mut self, batch: &mut StepBatch<'_, F>, logs: &mut Running) -> Result<()> {
        let (network, compiled) = self.parts_mut("fit")?;
        if batch.fresh {
            compiled.pass.prepare(network, &compiled.objectives, batch.dataset)?;
        }
        let mode = Mode::Training { seed: network.seed, step: compiled.driver.steps() };
        let loss = compiled.pass.forward(network, &mut compiled.objectives, &batch.step_data(), mode)?;
        compiled.pass.backward(network, &compiled.objectives)?;
        compiled.pass.apply(network, &mut compiled.driver)?;
        logs.add("loss", loss);
        compiled.pass.for_each_loss(&compiled.objectives, |name, loss| logs.add(name, loss));
        Ok(())
    }

    fn test_step(&mut self, batch: &mut StepBatch<'_, F>, logs: &mut Running) -> Result<()> {
        let (network, compiled) = self.parts_mut("evaluate")?;
        compiled.with_evaluation_mut(|evaluation| {
            test(network, evaluation, batch.fresh, &batch.step_data(), logs)?;
            evaluation.pass.update_state(network);
            Ok(())
        })
    }

    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, F>)) {
        if let Some(compiled) = &mut self.compiled {
            let (network, recipe) = (&mut self.network, &*self.recipe);
            visit(Part { name: "", network, optimizer: &mut compiled.driver, recipe });
        }
    }

    fn begin(&mut self, training: bool) {
        let compiled = self.compiled.as_mut().expect(COMPILED);
        if training {
            reset_metrics(&mut compiled.objectives);
        } else {
            compiled.with_evaluation_mut(|evaluation| reset_metrics(&mut evaluation.objectives));
        }
    }

    fn end(&mut self, training: bool) -> Result<()> {
        let Some(exchange) = self.network.exchange.clone() else { return Ok(()) };
        let compiled = self.compiled.as_mut().expect(COMPILED);
        if training {
            join_metrics(&mut compiled.objectives, &*exchange)
        } else {
            compiled.with_evaluation_mut(|evaluation| join_metrics(&mut evaluation.objectives, &*exchange))
        }
    }

    fn metrics(&self, training: bool, logs: &mut Logs) {
        let compiled = self.compiled.as_ref().expect(COMPILED);
        if training {
            for_each_metric(&compiled.objectives, |name, value| logs.insert(name, value));
        } else {
            compiled.with_evaluation(|evaluation| {
                for_each_metric(&evaluation.objectives, |name, value| logs.insert(name, value));
            });
        }
    }

    fn check(&self, call: &str, data: &dyn Dataset<F>) -> Result<()> {
        check_dataset(call, self, &self.compiled_or("fit")?.objectives, data)
    }

    fn check_arrays(&self, call: &str, arrays: &Arrays<'_, F>) -> Result<()> {
        check_arrays(call, self, &self.compiled_or("fit")?.objectives, arrays)
    }

    fn check_class_weights(&self, call: &str, largest: usize) -> Result<()> {
        // One value tells two classes apart.
        let of_output = |shape: &Shape| shape.axes().last().copied().flatten().map(|values| values.max(2));
        let known = (0..self.graph.outputs.len()).filter_map(|i| of_output(self.output_axes(i))).max();
        if let Some(classes) = known.filter(|&classes| largest >= classes) {
            log::warn!(
                "{call}: `class_weight` names class {largest}, where the outputs have {classes} classes, 0 to {}",
                classes - 1
            );
        }
        self.compiled_or("fit")?.objectives.iter().try_for_each(|objective| objective.check_weighted(call, "class"))
    }

    fn higher_is_better(&self, name: &str) -> bool {
        let objectives = self.compiled.iter().flat_map(|compiled| &compiled.objectives);
        let mut metrics = objectives.flat_map(|objective| &objective.metrics);
        metrics.any(|watched| watched.name == name && watched.metric.higher_is_better())
    }

    fn batch_size(&self) -> Option<usize> {
        self.graph.batch()
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn epoch_ended(&mut self, epochs: usize) {
        if let Some(compiled) = &mut self.compiled {
            compiled.epochs = epochs;
        }
    }

    fn save_state(&self, state: &mut BTreeMap<String, String>) {
        if let Some(compile) = self.compiled.as_ref().and_then(saving::compile_config) {
            state.insert("compile".into(), compile.to_string());
        }
    }

    fn as_model(&mut self) -> Option<&mut Model<F>> {
        Some(self)
    }

    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

/// One step of evaluation.
fn test<F: Scalar>(
    network: &Network<F>,
    evaluation: &mut Evaluation<F>,
    fresh: bool,
    data: &StepData<'_, F>,
    logs: &mut Running,
) -> Result<()> {
    let Evaluation { objectives, pass } = evaluation;
    if fresh {
        pass.prepare(network, objectives, data.dataset)?;
    }
    logs.add("loss", pass.forward(network, objectives, data, Mode::Inference)?);
    pass.for_each_loss(objectives, |name, loss| logs.add(name, loss));
    Ok(())
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
    /// take, NaN or infinite data, options outside their ranges or that do not apply. In training: a loss that is no longer
    /// finite, with the weights as they were before that step; or what a callback refuses.
    pub fn fit<'a>(
        &mut self,
        x: impl IntoInputs<'a, F>,
        y: impl IntoInputs<'a, F>,
        options: Fit<'a, F>,
    ) -> Result<History> {
        self.fit_data(Arrays::new(x, y), options)
    }

    /// Trains on a source: [`Arrays`] with weights, a reference to a [`Dataset`], or one to a stream of batches.
    ///
    /// A data set's targets are checked batch by batch. A stream is taken in its own order, an epoch a pass over it. With
    /// `steps_per_epoch` an epoch takes so many batches, and the next goes on where it ended, so that all of a long or
    /// endless stream is seen; when a pass ends the epoch ends with it.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and whatever the source gives as an error; a stream without batches.
    pub fn fit_data<'a, M>(&mut self, source: impl IntoSource<'a, F, M>, options: Fit<'a, F>) -> Result<History> {
        self.compiled_or("fit")?;
        train(self, source, options)
    }

    /// The loss and the metrics on arrays. Nothing changes in the model: states of stateful layers go from batch to batch
    /// within the call, and are then as they were.
    ///
    /// # Errors
    /// A model that is not compiled, wrong shapes, no rows, targets that the loss does not take, NaN or infinite data.
    pub fn evaluate<'a>(&self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        self.evaluate_data(Arrays::new(x, y))
    }

    /// The loss and the metrics on a source: [`Arrays`] with weights, a reference to a [`Dataset`], or one to a stream of
    /// batches, of which the first pass is taken.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and whatever the source gives as an error.
    pub fn evaluate_data<'a, M>(&self, source: impl IntoSource<'a, F, M>) -> Result<Score> {
        let compiled = self.compiled_or("evaluate")?;
        let source = source.into_source();
        check_source(self, "evaluate", &source)?;
        let batch = self.graph.batch().unwrap_or(BATCH);
        let mut own = self.graph.carries_state().then(|| self.network.clone());
        let mut running = Running::default();
        let logs = self.threads.enter(|| {
            compiled.with_evaluation(|evaluation| {
                reset_metrics(&mut evaluation.objectives);
                let check = |_: &_, data: &dyn Dataset<F>| self.check("evaluate", data);
                each_batch(&mut Feed::of(&source, batch), evaluation, &check, |evaluation, step| {
                    running.begin_batch(step.rows.len());
                    let data =
                        StepData { dataset: step.dataset, rows: step.rows, class_weights: None, check: step.check };
                    test(own.as_ref().unwrap_or(&self.network), evaluation, step.fresh, &data, &mut running)?;
                    if let Some(own) = &mut own {
                        evaluation.pass.update_state(own);
                    }
                    Ok(())
                })?;
                if let Some(exchange) = &self.exchange {
                    join_metrics(&mut evaluation.objectives, &**exchange)?;
                }
                let mut logs = running.means();
                for_each_metric(&evaluation.objectives, |name, value| logs.insert(name, value));
                Ok::<Logs, Error>(logs)
            })
        })?;
        Ok(logs.into())
    }

    /// One training step on one batch; returns the loss as it was before the update, and the metrics on this batch.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn train_on_batch<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        let score = self.compute_loss("train_on_batch", Arrays::new(x, y), &[])?;
        self.compute_gradients()?;
        self.apply_gradients()?;
        Ok(score)
    }

    /// The loss and the metrics on one batch; stateful layers go on from it.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn test_on_batch<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        self.compiled_or("test_on_batch")?;
        let source = Source::Arrays(Arrays::new(x, y));
        check_source(self, "test_on_batch", &source)?;
        let Source::Arrays(arrays) = source else { unreachable!("made above") };
        let rows: Vec<usize> = (0..arrays.len()).collect();
        let mut running = Running::default();
        running.begin_batch(rows.len());
        let mut gathered = super::learner::GatheredBatch::default();
        let threads = self.threads.clone();
        self.begin(false);
        threads.enter(|| {
            let (dataset, rows, gathered) = (&arrays, &rows[..], &mut gathered);
            let mut batch = StepBatch { dataset, rows, class_weights: None, check: false, fresh: true, gathered };
            self.test_step(&mut batch, &mut running)
        })?;
        let mut logs = running.means();
        self.metrics(false, &mut logs);
        Ok(logs.into())
    }

    /// The first third of a training step: gathers a batch, goes forward as in training, and takes the losses. `fit` is made
    /// of this, [`compute_gradients`](Self::compute_gradients) and [`apply_gradients`](Self::apply_gradients), on batch
    /// after batch:
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
    /// let (x, y) = (array![[0.0f32], [1.0]], array![[1.0f32], [3.0]]);
    /// for _ in 0..200 {
    ///     let score = model.forward_losses(Arrays::new(&x, &y))?;
    ///     model.compute_gradients()?;
    ///     model.apply_gradients()?;
    ///     if score.loss < 1e-3 {
    ///         break;
    ///     }
    /// }
    /// assert!(model.evaluate(&x, &y)?.loss < 0.1);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn forward_losses(&mut self, batch: Arrays<'_, F>) -> Result<Score> {
        self.compute_loss("forward_losses", batch, &[])
    }

    fn compute_loss(
        &mut self,
        call: &'static str,
        batch: Arrays<'_, F>,
        class_weight: &[(usize, f64)],
    ) -> Result<Score> {
        self.compiled_or(call)?;
        let source = Source::Arrays(batch);
        check_source(self, call, &source)?;
        let Source::Arrays(arrays) = source else { unreachable!("made above") };
        let class_weights = class_weights(self, call, class_weight)?;
        let rows: Vec<usize> = (0..arrays.len()).collect();
        let data = StepData { dataset: &arrays, rows: &rows, class_weights: class_weights.as_deref(), check: false };
        let (network, compiled) = self.parts_mut(call)?;
        compiled.pass.prepare(network, &compiled.objectives, &arrays)?;
        reset_metrics(&mut compiled.objectives);
        let mode = Mode::Training { seed: network.seed, step: compiled.driver.steps() };
        let threads = network.threads.clone();
        let loss = threads.enter(|| compiled.pass.forward(network, &mut compiled.objectives, &data, mode))?;
        let mut logs = Logs::default();
        logs.insert("loss", loss);
        compiled.pass.for_each_loss(&compiled.objectives, |name, loss| logs.insert(name, loss));
        for_each_metric(&compiled.objectives, |name, value| logs.insert(name, value));
        Ok(logs.into())
    }

    /// The second third of a training step: runs the gradients of the losses back to the parameters, penalties included.
    ///
    /// # Errors
    /// If no [`forward_losses`](Self::forward_losses) went before.
    pub fn compute_gradients(&mut self) -> Result<()> {
        let (network, compiled) = self.parts_mut("compute_gradients")?;
        if !compiled.pass.can_go_back() {
            return Err(Error::NotReady { call: "compute_gradients", needs: "run `forward_losses` first" });
        }
        let threads = network.threads.clone();
        threads.enter(|| compiled.pass.backward(network, &compiled.objectives))
    }

    /// The last third of a training step: layers write their state, and the optimizer changes the weights.
    ///
    /// # Errors
    /// If no [`compute_gradients`](Self::compute_gradients) went before.
    pub fn apply_gradients(&mut self) -> Result<()> {
        let (network, compiled) = self.parts_mut("apply_gradients")?;
        if !compiled.pass.has_gone_back() {
            return Err(Error::NotReady { call: "apply_gradients", needs: "run `compute_gradients` first" });
        }
        let threads = network.threads.clone();
        threads.enter(|| compiled.pass.apply(network, &mut compiled.driver))
    }

    /// The gradients of the loss on one batch, penalties included, by the paths of their weights: what a training step
    /// would go by. Nothing changes. Of the options `sample_weight` and `class_weight` count; others are refused.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn gradients_on_batch<'a>(
        &mut self,
        x: impl IntoInputs<'a, F>,
        y: impl IntoInputs<'a, F>,
        weights: Fit<'a, F>,
    ) -> Result<Vec<(String, ArrayD<F>)>> {
        self.gradients_and_loss(x, y, weights).map(|(gradients, _)| gradients)
    }

    /// [`gradients_on_batch`](Self::gradients_on_batch), and the loss.
    #[allow(clippy::type_complexity)] // gradients by path, and a number
    pub(crate) fn gradients_and_loss<'a>(
        &mut self,
        x: impl IntoInputs<'a, F>,
        y: impl IntoInputs<'a, F>,
        mut weights: Fit<'a, F>,
    ) -> Result<(Vec<(String, ArrayD<F>)>, f64)> {
        const CALL: &str = "gradients_on_batch";
        weights.check_weights_alone(CALL)?;
        let mut batch = Arrays::new(x, y);
        batch.weights.append(&mut weights.sample_weight);
        let score = self.compute_loss(CALL, batch, &weights.class_weight)?;
        self.compute_gradients()?;
        let (network, compiled) = self.parts_mut(CALL)?;
        let gradients = network.named_gradients(compiled.pass.gradients(&network.graph));
        Ok((gradients, score.loss))
    }
}
