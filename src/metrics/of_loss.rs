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

impl<F: Scalar, L: Loss<F> + Configured> Metric<F> for LossMetric<L> {
    type State = Mean;

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| match L::CLASS {
            "LogCosh" => "logcosh".into(),
            class => crate::models::graph::snake_case(class),
        })
    }

    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        let expected = self.loss.target_shape(prediction)?;
        if crate::tensor::volume(&expected) == crate::tensor::volume(target) {
            return Ok(());
        }
        Err(crate::Error::shape(format!("a target {}", crate::error::show(&expected)), target))
    }

    fn update(&self, state: &mut Mean, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        let sample = prediction.shape().get(1..).unwrap_or(&[]);
        let mut totals = vec![F::zero(); self.loss.sums(sample)];
        self.loss.partial_sums(prediction, target, &mut totals);
        let batch = if self.loss.of_batch() { 1 } else { prediction.rows() };
        let mut values = vec![F::zero(); batch * crate::tensor::volume(&self.loss.values_shape(sample))];
        self.loss.values(prediction, target, &mut values, &LossContext { totals: &totals });
        let mut counts = vec![F::one(); values.len()];
        if !self.loss.of_batch() {
            self.loss.counts(target, &mut counts);
        }
        let rows = values.len();
        for (row, (value, count)) in values.iter().zip(&counts).enumerate() {
            state.add(value.f64(), weight(weights, row, rows) * count.f64());
        }
    }

    fn result(&self, state: &Mean) -> f64 {
        state.result()
    }

    fn describe(&self) -> Option<(String, Config)> {
        self.loss.has_words().then(|| (Self::CLASS.into(), self.to_config()))
    }
}
