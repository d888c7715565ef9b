//! How good a model is, and single steps.

use std::ops::Deref;

use ndarray::ArrayD;

use super::feed::Source;
use super::feed::check_dataset;
use super::fit::{Fit, checked_arrays, class_weights, evaluate, figures, reset_metrics};
use super::history::Logs;
use crate::data::{Dataset, Sample, Stream};
use crate::models::Compiled;
use crate::models::Model;
use crate::models::step::{self, StepData};
use crate::tensor::inputs::IntoInputs;
use crate::{Result, Scalar};

/// Rows of a step where the caller does not say.
const BATCH: usize = 256;

/// What [`Model::evaluate`] found: the loss, and every figure by name: `score["accuracy"]`.
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

impl<F: Scalar> Model<F> {
    /// The loss and the metrics on arrays.
    ///
    /// # Errors
    /// A model that is not compiled, wrong shapes, no rows, targets that the loss does not take, NaN or infinite data.
    pub fn evaluate<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        let compiled = self.compiled_or("evaluate")?;
        let arrays =
            checked_arrays("evaluate", self, compiled, x.into_inputs().into_vec(), y.into_inputs().into_vec(), None)?;
        self.evaluate_source(Source::Set { dataset: &arrays, check: false })
    }

    /// The loss and the metrics on a data set.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_dataset(&mut self, dataset: &dyn Dataset<F>) -> Result<Score> {
        check_dataset("evaluate", self, self.compiled_or("evaluate")?, dataset)?;
        self.evaluate_source(Source::Set { dataset, check: true })
    }

    /// The loss and the metrics on the first pass of a stream of batches.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and whatever the stream gives as an error.
    pub fn evaluate_stream(&mut self, stream: &Stream<Vec<Sample<F>>>) -> Result<Score> {
        self.compiled_or("evaluate")?;
        self.evaluate_source(Source::Stream(stream))
    }

    fn evaluate_source(&mut self, source: Source<'_, F>) -> Result<Score> {
        let batch = self.graph.batch().unwrap_or(BATCH);
        let threads = self.threads.clone();
        let logs =
            self.with_compiled(|model, compiled| threads.enter(|| evaluate(model, compiled, source.feed(batch), "")));
        logs.map(Score::from)
    }

    /// One training step on one batch; returns the loss as it was before the update, and the metrics on this batch.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn train_on_batch<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        self.on_batch("train_on_batch", x, y, Fit::new(), true, |model, compiled, data| {
            step::train(model, compiled, data)
        })
    }

    /// The loss and the metrics on one batch.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn test_on_batch<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Score> {
        self.on_batch("test_on_batch", x, y, Fit::new(), false, |model, compiled, data| {
            step::test(model, compiled, data)
        })
    }

    /// The gradients of the loss on one batch, penalties included, by the paths of their weights: what a training step
    /// would go by. Nothing changes. Of the options `sample_weight` and `class_weight` count.
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
        weights: Fit<'a, F>,
    ) -> Result<(Vec<(String, ArrayD<F>)>, f64)> {
        let mut gradients = Vec::new();
        let score = self.on_batch("gradients_on_batch", x, y, weights, true, |model, compiled, data| {
            let (loss, used) = step::gradients(model, compiled, data)?;
            gradients = model.named_gradients(compiled.workspace.gradients(&model.graph, used));
            Ok(loss)
        })?;
        Ok((gradients, score.loss))
    }

    fn on_batch<'a>(
        &mut self,
        call: &'static str,
        x: impl IntoInputs<'a, F>,
        y: impl IntoInputs<'a, F>,
        options: Fit<'a, F>,
        training: bool,
        work: impl FnOnce(&mut Self, &mut Compiled<F>, &StepData<'_, F>) -> Result<f64> + Send,
    ) -> Result<Score> {
        let compiled = self.compiled_or(call)?;
        let arrays = checked_arrays(
            call,
            self,
            compiled,
            x.into_inputs().into_vec(),
            y.into_inputs().into_vec(),
            options.sample_weight,
        )?;
        let class_weights = class_weights(call, &options.class_weight, compiled)?;
        let threads = self.threads.clone();
        let rows: Vec<usize> = (0..arrays.len()).collect();
        let data = StepData { dataset: &arrays, rows: &rows, class_weights: class_weights.as_deref(), check: false };
        self.with_compiled(|model, compiled| {
            compiled.workspace.prepare(model, &compiled.objectives, &arrays, training);
            reset_metrics(compiled);
            let loss = threads.enter(|| work(model, compiled, &data))?;
            Ok(Score::from(figures(compiled, loss, "")))
        })
    }
}
