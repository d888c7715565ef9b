//! Any loss as a metric.

use super::{Mean, Metric, weight};
use crate::config::{Config, Configured};
use crate::losses::{Loss, LossContext};
use crate::{Result, Scalar, View};

/// The mean of a loss over all rows, however its reduction and whatever the model is trained for.
///
/// Its name is the loss's class in snake case, as in Keras: `binary_crossentropy`, `kl_divergence`. A loss over the whole
/// batch, such as Dice, is averaged over the batches.
///
/// # Example
/// ```
/// use gradus::prelude::*;
/// let model = Sequential::new()
///     .input([3])
///     .add(Dense::new(1).activation(Sigmoid))
///     .compile(MeanSquaredError::new(), Adam::new())
///     .metric(LossMetric::new(BinaryCrossentropy::new()))
///     .metric(LossMetric::new(Poisson::new()).name("counts"))
///     .build()?;
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras's metrics `BinaryCrossentropy`, `CategoricalCrossentropy`, `SparseCategoricalCrossentropy`, `KLDivergence`,
/// `Poisson`, `MeanAbsolutePercentageError`, `MeanSquaredLogarithmicError`, `LogCoshError`, `Hinge`, `SquaredHinge`,
/// `CategoricalHinge`, all of which are `MeanMetricWrapper` around the loss.
#[derive(Clone, Debug)]
pub struct LossMetric<L> {
    loss: L,
    name: Option<String>,
}

impl<L> LossMetric<L> {
    /// The mean of `loss`.
    pub fn new(loss: L) -> Self {
        Self { loss, name: None }
    }

    /// The name under which history and callbacks know it. Default: the loss's class in snake case.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<L: Configured> Configured for LossMetric<L> {
    /// Keras calls the metric as it calls the loss, but for one.
    const CLASS: &'static str = match L::CLASS.as_bytes() {
        b"LogCosh" => "LogCoshError",
        _ => L::CLASS,
    };

    fn to_config(&self) -> Config {
        let mut config = self.loss.to_config();
        config.remove("reduction");
        config.insert("name".into(), self.name.clone().into());
        config
    }

    fn from_config(config: &Config) -> Result<Self> {
        let mut options = config.clone();
        let name = crate::config::take(config, "name", None)?;
        options.remove("name");
        Ok(Self { loss: L::from_config(&options)?, name })
    }
}

/// The mean so far, and room for one batch.
#[derive(Debug)]
pub struct LossSoFar<F> {
    mean: Mean,
    totals: Vec<F>,
    values: Vec<F>,
    counts: Vec<F>,
}

impl<F> Default for LossSoFar<F> {
    fn default() -> Self {
        Self { mean: Mean::default(), totals: Vec::new(), values: Vec::new(), counts: Vec::new() }
    }
}

impl<F: Scalar> super::MetricState for LossSoFar<F> {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        self.mean.sums(visit);
    }
}

impl<F: Scalar, L: Loss<F> + Configured> Metric<F> for LossMetric<L> {
    type State = LossSoFar<F>;

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| match L::CLASS {
            "LogCosh" => "logcosh".into(),
            class => crate::engine::snake_case(class),
        })
    }

    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        let expected = self.loss.target_shape(prediction)?;
        if crate::tensor::volume(&expected) == crate::tensor::volume(target) {
            return Ok(());
        }
        Err(crate::Error::shape(format!("a target {}", crate::error::show(&expected)), target))
    }

    fn update(&self, state: &mut LossSoFar<F>, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        let sample = prediction.shape().get(1..).unwrap_or(&[]);
        let LossSoFar { mean, totals, values, counts } = state;
        totals.clear();
        totals.resize(self.loss.sums(sample), F::zero());
        self.loss.partial_sums(prediction, target, totals);
        let batch = if self.loss.couples_batch() { 1 } else { prediction.rows() };
        let rows = batch * crate::tensor::volume(&self.loss.values_shape(sample));
        values.resize(rows, F::zero());
        self.loss.values(prediction, target, values, &LossContext { totals });
        counts.clear();
        counts.resize(rows, F::one());
        if !self.loss.couples_batch() {
            self.loss.counts(target, counts);
        }
        for (row, (value, count)) in values.iter().zip(&*counts).enumerate() {
            mean.add(value.f64(), weight(weights, row, rows) * count.f64());
        }
    }

    fn result(&self, state: &LossSoFar<F>) -> f64 {
        state.mean.result()
    }

    fn describe(&self) -> Option<(String, Config)> {
        self.loss.has_config().then(|| (Self::CLASS.into(), self.to_config()))
    }
}
