//! What a model is trained for: losses, metrics, an optimizer.

use std::sync::Arc;

use serde_json::Value;

use super::step::Workspace;
use crate::config::{self, Setting};
use crate::losses::{Loss, Reduction};
use crate::metrics::{Metric, Tracked};
use crate::models::Model;
use crate::optimizers::{Driver, Optimizer};
use crate::registry::Registry;
use crate::{Error, Result, Scalar};

/// What a model is to be trained for, and how. Losses are given output by output; metrics belong to the loss before
/// them.
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
    optimizer: Option<Arc<dyn Optimizer<F>>>,
    objectives: Vec<Objective<F>>,
    misplaced_metric: bool,
}

impl<F: Scalar> Default for Compile<F> {
    fn default() -> Self {
        Self { optimizer: None, objectives: Vec::new(), misplaced_metric: false }
    }
}

/// One output's loss and metrics.
#[derive(Clone)]
pub(crate) struct Objective<F: Scalar> {
    pub loss: Arc<dyn Loss<F>>,
    pub reduction: Reduction,
    /// What its loss counts in the sum over the outputs.
    pub weight: f64,
    /// How many values the loss has a sample.
    pub values: usize,
    /// How many sums over the batch the loss needs.
    pub sums: usize,
    pub metrics: Vec<Watched<F>>,
}

/// A metric and whether sample weights weigh in it.
#[derive(Clone)]
pub(crate) struct Watched<F: Scalar> {
    pub metric: Tracked<F>,
    pub weighted: bool,
    /// Its name in history: with several outputs, the output's before it.
    pub name: String,
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
        self.objectives.push(Objective { loss, reduction, weight: 1.0, values: 1, sums: 0, metrics: Vec::new() });
        self
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

    pub(crate) fn is_given(&self) -> bool {
        self.optimizer.is_some() || self.misplaced_metric
    }
}

/// A model's training: what it was compiled with, the optimizer's state, the memory of a step.
pub(crate) struct Compiled<F: Scalar> {
    pub driver: Driver<F>,
    pub objectives: Vec<Objective<F>>,
    pub workspace: Workspace<F>,
    /// Epochs of training that lie behind.
    pub epochs: usize,
}

/// The memory of a step stays behind.
impl<F: Scalar> Clone for Compiled<F> {
    fn clone(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            objectives: self.objectives.clone(),
            workspace: Workspace::default(),
            epochs: self.epochs,
        }
    }
}

impl<F: Scalar> Model<F> {
    /// Says what to train for, and how. Starts the optimizer anew.
    ///
    /// # Errors
    /// If the losses are not as many as the outputs, a loss does not fit its output, or an option is outside its range;
    /// the model is then compiled as it was before.
    pub fn compile(&mut self, compile: Compile<F>) -> Result<()> {
        let Some(optimizer) = compile.optimizer else {
            return Err(Error::NotReady { call: "compile", needs: "give a loss and an optimizer before metrics" });
        };
        if compile.misplaced_metric {
            return Err(Error::NotReady { call: "compile", needs: "give a loss before its metrics" });
        }
        let mut objectives = compile.objectives;
        let outputs = self.graph.outputs.len();
        if objectives.len() != outputs {
            let names = self.graph.output_names.join(", ");
            let expected = format!("a loss for each of {outputs} outputs ({names})");
            return Err(Error::data("compile", expected, format!("{} losses", objectives.len())));
        }
        for (i, objective) in objectives.iter_mut().enumerate() {
            let output = &self.graph.output_names[i];
            let class = objective.loss.describe().class;
            let context = |error: Error| error.within(format!("loss {class} of output `{output}`"));
            let shape = self.output_shape(i);
            if shape.is_empty() {
                return Err(context(Error::shape("an output with an axis beside the batch", shape)));
            }
            let target = objective.loss.target_shape(shape).map_err(context)?;
            for watched in &objective.metrics {
                let context = |error: Error| error.within(format!("metric `{}` of output `{output}`", watched.name));
                watched.metric.check(shape, &target).map_err(context)?;
            }
            objective.values = crate::tensor::volume(&objective.loss.values_shape(shape));
            objective.sums = objective.loss.sums(shape);
            if objective.reduction == Reduction::None {
                return Err(context(Error::option("reduction", "one that gives a single value to train for", "none")));
            }
            if !objective.weight.is_finite() {
                return Err(context(Error::option("weight", "a finite number", objective.weight)));
            }
            if outputs > 1 {
                for watched in &mut objective.metrics {
                    watched.name = format!("{output}_{}", watched.metric.name());
                }
            }
        }
        let driver = Driver::from_arc(optimizer, &self.graph)?;
        self.compiled = Some(Compiled { driver, objectives, workspace: Workspace::default(), epochs: 0 });
        Ok(())
    }

    /// Lends out what the model was compiled with, beside the model. It comes back whatever happens: a callback may
    /// panic.
    ///
    /// # Panics
    /// If the model is not compiled.
    pub(crate) fn with_compiled<R>(&mut self, work: impl FnOnce(&mut Self, &mut Compiled<F>) -> R) -> R {
        struct Lent<'m, F: Scalar> {
            model: &'m mut Model<F>,
            compiled: Option<Compiled<F>>,
        }
        impl<F: Scalar> Drop for Lent<'_, F> {
            fn drop(&mut self) {
                self.model.compiled = self.compiled.take();
            }
        }
        let compiled = self.compiled.take();
        let mut lent = Lent { model: self, compiled };
        let compiled = lent.compiled.as_mut().expect("a compiled model");
        work(lent.model, compiled)
    }

    /// Whether the model has been compiled.
    pub fn is_compiled(&self) -> bool {
        self.compiled.is_some()
    }
}
