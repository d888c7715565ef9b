//! What a model is trained for: losses, metrics, an optimizer.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::objectives::{Objective, Watched};
use super::registry::Registry;
use super::training_pass::TrainingPass;
use crate::config::{self, Setting};
use crate::losses::Loss;
use crate::metrics::{Metric, Tracked};
use crate::optimizers::{Driver, Optimizer};
use crate::{Error, Result, Scalar};

/// What a model is to be trained for, and how. Losses are given output by output, or by the outputs' names
/// ([`loss_for`](Self::loss_for)); metrics belong to the loss before them. What would be called alike in history is numbered:
/// `accuracy`, `accuracy_1`.
///
/// ```
/// use gradus::prelude::*;
///
/// let x = Input::new([4]);
/// let (price, kind) = (x.apply(Dense::new(1).name("price")), x.apply(Dense::new(3).activation(Softmax).name("kind")));
/// let compile = Compile::new(Adam::new())
///     .loss(MeanSquaredError::new())
///     .weight(0.2)
///     .loss(SparseCategoricalCrossentropy::new())
///     .metric(Accuracy::new());
/// let model = ModelBuilder::new([&x], [&price, &kind]).compile(compile).build()?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Compile<F: Scalar> {
    pub(super) optimizer: Option<Arc<dyn Optimizer<F>>>,
    pub(super) objectives: Vec<Objective<F>>,
    pub(super) misplaced_metric: bool,
}

impl<F: Scalar> std::fmt::Debug for Compile<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compile").field("losses", &self.objectives.len()).finish_non_exhaustive()
    }
}

impl<F: Scalar> Default for Compile<F> {
    fn default() -> Self {
        Self { optimizer: None, objectives: Vec::new(), misplaced_metric: false }
    }
}

impl<F: Scalar> Compile<F> {
    /// With an optimizer; losses follow.
    pub fn new(optimizer: impl Optimizer<F> + 'static) -> Self {
        Self::from_optimizer(Arc::new(optimizer))
    }

    pub(crate) fn from_optimizer(optimizer: Arc<dyn Optimizer<F>>) -> Self {
        Self { optimizer: Some(optimizer), ..Self::default() }
    }

    /// The loss of the next output.
    pub fn loss(self, loss: impl Loss<F> + 'static) -> Self {
        self.loss_arc(Arc::new(loss))
    }

    pub(crate) fn loss_arc(mut self, loss: Arc<dyn Loss<F>>) -> Self {
        let reduction = loss.describe().reduction;
        self.objectives.push(Objective {
            name: String::new(),
            output: None,
            loss,
            reduction,
            weight: 1.0,
            metrics: Vec::new(),
        });
        self
    }

    /// The loss of the output that is called so: losses that are given by name may come in any order. An output is called as
    /// the layer that it comes from.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let x = Input::new([4]);
    /// let (price, kind) = (x.apply(Dense::new(1).name("price")), x.apply(Dense::new(1).name("kind")));
    /// let compile = Compile::new(Adam::new())
    ///     .loss_for("kind", BinaryCrossentropy::new().from_logits(true))
    ///     .metric(BinaryAccuracy::new().threshold(0.0))
    ///     .loss_for("price", MeanSquaredError::new());
    /// let model = ModelBuilder::new([&x], [&price, &kind]).compile(compile).build()?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn loss_for(self, output: impl Into<String>, loss: impl Loss<F> + 'static) -> Self {
        let mut compile = self.loss(loss);
        if let Some(last) = compile.objectives.last_mut() {
            last.output = Some(output.into());
        }
        compile
    }

    /// What the loss given last counts in the sum over the outputs. Default: 1.
    pub fn weight(mut self, weight: f64) -> Self {
        if let Some(last) = self.objectives.last_mut() {
            last.weight = weight;
        }
        self
    }

    /// A metric of the output whose loss was given last. Sample weights play no part in it.
    pub fn metric(self, metric: impl Metric<F> + 'static) -> Self {
        self.watch(Tracked::new(metric), false)
    }

    /// A metric in which sample weights and class weights weigh.
    pub fn weighted_metric(self, metric: impl Metric<F> + 'static) -> Self {
        self.watch(Tracked::new(metric), true)
    }

    pub(crate) fn watch(mut self, metric: Tracked<F>, weighted: bool) -> Self {
        let name = metric.name();
        match self.objectives.last_mut() {
            Some(last) => last.metrics.push(Watched { metric, weighted, name }),
            None => self.misplaced_metric = true,
        }
        self
    }

    /// From data: `{"optimizer": {…}, "outputs": [{"loss": {…}, "weight": 1.0, "metrics": [{"metric": {…}, "weighted":
    /// false}]}]}`, each object as Keras writes it, `{"class_name": …, "config": {…}}`.
    ///
    /// # Errors
    /// If a class or an option is not known.
    pub fn from_config(value: &Value, registry: &Registry<F>) -> Result<Self> {
        let empty = Value::Null;
        let at = |value: &Value, name: &str| value.get(name).unwrap_or(&empty).clone();
        let (class, options) = config::class_and_config(&at(value, "optimizer"))?;
        let mut compile = Self::from_optimizer(registry.make_optimizer(&class, &options)?);
        for output in at(value, "outputs").as_array().unwrap_or(&Vec::new()) {
            let (class, options) = config::class_and_config(&at(output, "loss"))?;
            compile = compile.loss_arc(registry.make_loss(&class, &options)?);
            compile = compile.weight(Option::<f64>::from_value(&at(output, "weight"))?.unwrap_or(1.0));
            for watched in at(output, "metrics").as_array().unwrap_or(&Vec::new()) {
                let (class, options) = config::class_and_config(&at(watched, "metric"))?;
                let metric = registry.make_metric(&class, &options)?;
                compile = compile.watch(metric, at(watched, "weighted").as_bool().unwrap_or(false));
            }
        }
        Ok(compile)
    }

    /// The losses in the order of these outputs.
    pub(super) fn for_outputs(mut objectives: Vec<Objective<F>>, names: &[String]) -> Result<Vec<Objective<F>>> {
        let expected = format!("a loss for each of {} outputs ({})", names.len(), names.join(", "));
        let named = objectives.iter().filter(|objective| objective.output.is_some()).count();
        if named > 0 && named < objectives.len() {
            let received = format!("{named} of {} losses with an output's name", objectives.len());
            return Err(Error::data("compile", "names of outputs for all losses or for none", received));
        }
        let mut places: Vec<Option<Objective<F>>> = names.iter().map(|_| None).collect();
        for objective in objectives.extract_if(.., |objective| objective.output.is_some()) {
            let output = objective.output.clone().unwrap_or_default();
            if !names.contains(&output) {
                return Err(Error::unknown("output", output, names));
            }
            // An output's name comes again where a layer has several.
            match (0..names.len()).find(|&i| names[i] == output && places[i].is_none()) {
                Some(free) => places[free] = Some(objective),
                None => return Err(Error::data("compile", expected, format!("one too many for `{output}`"))),
            }
        }
        if named == 0 {
            let received = format!("{} losses", objectives.len());
            return if objectives.len() == names.len() {
                Ok(objectives)
            } else {
                Err(Error::data("compile", expected, received))
            };
        }
        let missing = names.iter().zip(&places).find(|(_, place)| place.is_none());
        if let Some((missing, _)) = missing {
            return Err(Error::data("compile", expected, format!("none for `{missing}`")));
        }
        Ok(places.into_iter().flatten().collect())
    }

    pub(crate) fn is_given(&self) -> bool {
        self.optimizer.is_some() || self.misplaced_metric
    }
}

/// What a model was compiled with: losses, metrics and the optimizer's state; and the memory of its steps.
pub(crate) struct Compiled<F: Scalar> {
    pub driver: Driver<F>,
    pub objectives: Vec<Objective<F>>,
    pub pass: TrainingPass<F>,
    /// What an evaluation works with, as the last one left it.
    pub evaluation: Mutex<Option<Evaluation<F>>>,
    /// Epochs of training that lie behind.
    pub epochs: usize,
}

/// An evaluation's own metrics and memory: one that runs meanwhile with a training changes nothing in it.
pub(crate) struct Evaluation<F: Scalar> {
    pub objectives: Vec<Objective<F>>,
    pub pass: TrainingPass<F>,
}

impl<F: Scalar> Compiled<F> {
    pub fn new(driver: Driver<F>, objectives: Vec<Objective<F>>, epochs: usize) -> Self {
        Self { driver, objectives, pass: TrainingPass::default(), evaluation: Mutex::default(), epochs }
    }

    /// Lends out the memory of an evaluation; to one that runs at the same time as another, memory of its own.
    pub fn with_evaluation<R>(&self, work: impl FnOnce(&mut Evaluation<F>) -> R) -> R {
        let kept = self.evaluation.try_lock().ok().and_then(|mut kept| kept.take());
        let mut evaluation =
            kept.unwrap_or_else(|| Evaluation { objectives: self.objectives.clone(), pass: TrainingPass::default() });
        let result = work(&mut evaluation);
        if let Ok(mut kept) = self.evaluation.try_lock() {
            *kept = Some(evaluation);
        }
        result
    }
}

impl<F: Scalar> Compiled<F> {
    /// The same for who has the model to change it: the memory is always the one that is kept.
    pub fn with_evaluation_mut<R>(&mut self, work: impl FnOnce(&mut Evaluation<F>) -> R) -> R {
        let kept = self.evaluation.get_mut().unwrap_or_else(PoisonError::into_inner);
        let new = || Evaluation { objectives: self.objectives.clone(), pass: TrainingPass::default() };
        work(kept.get_or_insert_with(new))
    }
}

/// The memory of steps stays behind.
impl<F: Scalar> Clone for Compiled<F> {
    fn clone(&self) -> Self {
        Self::new(self.driver.clone(), self.objectives.clone(), self.epochs)
    }
}
