//! Learning rates that follow how a training goes.

use super::monitor::{Monitor, Watched, missing, watched_options};
use super::{Callback, EpochState};
use crate::kernels::aligned::Aligned;
use crate::training::Logs;
use crate::{Error, Result, Scalar};

/// Lowers the learning rate when a metric has stopped getting better: rate ← max(rate · `factor`, `min_lr`).
///
/// A metric is better if it beats the best so far by more than `min_delta`. After a reduction `cooldown` epochs pass
/// before epochs without a better metric count again. The rate that is lowered is the one at the end of the epoch, also
/// where a schedule gave it.
///
/// # Defaults
/// `monitor` `val_loss`, `factor` 0.1, `patience` 10, mode by the metric, `min_delta` 10⁻⁴, `cooldown` 0, `min_lr` 0.
/// # Errors
/// When training begins: a factor outside [0, 1), a negative `min_lr`. After an epoch: a metric that does not exist.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let fit = Fit::<f32>::new().epochs(50).callback(ReduceLROnPlateau::new().monitor("loss").factor(0.5).patience(3));
/// ```
/// # Source
/// Keras `ReduceLROnPlateau`.
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    watched: Watched,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    wait: usize,
    cooling: usize,
}

impl Default for ReduceLROnPlateau {
    fn default() -> Self {
        Self::new()
    }
}

impl ReduceLROnPlateau {
    /// With every option at its default.
    pub fn new() -> Self {
        Self {
            watched: Watched::new("ReduceLROnPlateau", 1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            wait: 0,
            cooling: 0,
        }
    }

    watched_options!();

    /// What the rate is multiplied by, below 1. Default: 0.1.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }
    /// After how many epochs without a better metric the rate is lowered. Default: 10.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }
    /// By how much a metric must get better to count. Default: 10⁻⁴.
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.watched.min_delta = delta.abs();
        self
    }
    /// How many epochs after a reduction are not counted. Default: 0.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }
    /// The rate below which it does not go. Default: 0.
    pub fn min_lr(mut self, rate: f64) -> Self {
        self.min_lr = rate;
        self
    }
}

impl<F: Scalar> Callback<F> for ReduceLROnPlateau {
    fn on_train_begin(&mut self, _: &mut EpochState<'_, F>) -> Result<()> {
        if !(0.0..1.0).contains(&self.factor) {
            return Err(Error::option("factor", "at least 0 and below 1", self.factor).within("ReduceLROnPlateau"));
        }
        if !(self.min_lr >= 0.0 && self.min_lr.is_finite()) {
            return Err(Error::option("min_lr", "at least 0", self.min_lr).within("ReduceLROnPlateau"));
        }
        self.watched.begin();
        (self.wait, self.cooling) = (0, 0);
        Ok(())
    }

    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> Result<()> {
        let Some(value) = self.watched.value(state, logs)? else { return Ok(()) };
        if self.cooling > 0 {
            self.cooling -= 1;
            self.wait = 0;
        }
        if self.watched.improves(state, value) {
            self.wait = 0;
        } else if self.cooling == 0 {
            self.wait += 1;
            let rate = state.learning_rate();
            if self.wait >= self.patience && rate > self.min_lr {
                state.set_learning_rate((rate * self.factor).max(self.min_lr))?;
                log::info!("epoch {}: learning rate lowered to {}", state.epoch + 1, state.learning_rate());
                self.cooling = self.cooldown;
                self.wait = 0;
            }
        }
        Ok(())
    }
}

/// Sets the learning rate at the beginning of each epoch: `schedule(epoch, rate)`, the epoch counted from 0 and the rate
/// the one before.
///
/// # Errors
/// Before an epoch: a rate that is negative or not finite.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let halved = |epoch: usize, rate: f64| if epoch > 0 && epoch % 10 == 0 { rate / 2.0 } else { rate };
/// let fit = Fit::<f32>::new().epochs(50).callback(LearningRateScheduler::new(halved));
/// ```
/// # Source
/// Keras `LearningRateScheduler`.
#[derive(Clone, Debug)]
pub struct LearningRateScheduler<S> {
    schedule: S,
}

impl<S: FnMut(usize, f64) -> f64 + Send> LearningRateScheduler<S> {
    /// With a function of the epoch and the rate before it.
    pub fn new(schedule: S) -> Self {
        Self { schedule }
    }
}

impl<F: Scalar, S: FnMut(usize, f64) -> f64 + Send> Callback<F> for LearningRateScheduler<S> {
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        let rate = (self.schedule)(state.epoch, state.learning_rate());
        state.set_learning_rate(rate).map_err(|error| error.within("LearningRateScheduler"))
    }
}

/// Which learning rate to take: trains with a rate that grows from step to step, and writes down the losses.
///
/// The rate of step i of n is low · (high / low)^(i / (n − 1)). The test ends when the loss is four times the least so
/// far (smoothed), or after `steps`. The weights are then put back as they were; the optimizer's own state is not, so
/// compile the model anew.
///
/// # Defaults
/// 10⁻⁶ to 1 in 100 steps.
/// # Errors
/// When training begins: rates that are not 0 < low < high, fewer than 2 steps.
/// # Example
/// ```
/// use gradus::prelude::*;
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let (x, y) = (array![[1.0f32], [2.0]], array![[3.0f32], [5.0]]);
/// let mut test = LearningRateRangeTest::new().rates(1e-4, 0.1).steps(30);
/// model.fit(&x, &y, Fit::new().epochs(30).verbose(0).callback(&mut test))?;
/// let rate = test.suggestion().unwrap();
/// assert!(rate > 1e-4 && rate <= 0.1);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Smith, *Cyclical learning rates for training neural networks*, 2017.
#[derive(Clone, Debug)]
pub struct LearningRateRangeTest<F = f32> {
    low: f64,
    high: f64,
    steps: usize,
    tried: Vec<(f64, f64)>,
    smooth: f64,
    ended: bool,
    weights: Vec<Aligned<F>>,
    rate_before: f64,
}

impl LearningRateRangeTest<f32> {
    /// With every option at its default, for a model of `f32`; [`Default`] makes one for any scalar.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<F> Default for LearningRateRangeTest<F> {
    fn default() -> Self {
        let (tried, weights) = (Vec::new(), Vec::new());
        Self { low: 1e-6, high: 1.0, steps: 100, tried, smooth: 0.0, ended: false, weights, rate_before: 0.0 }
    }
}

/// How much of the smoothed loss is that of the steps before.
const SMOOTHING: f64 = 0.9;

impl<F> LearningRateRangeTest<F> {
    /// The least and the greatest rate. Default: 10⁻⁶ and 1.
    pub fn rates(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, high);
        self
    }
    /// How many steps it takes from one to the other. Default: 100.
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }
    /// The rates that were tried and the smoothed losses with them, for a plot over a logarithmic axis.
    pub fn tried(&self) -> &[(f64, f64)] {
        &self.tried
    }
    /// The rate at which the loss fell fastest with the logarithm of the rate; none before three steps.
    pub fn suggestion(&self) -> Option<f64> {
        // The slope over two steps, in units of a step of the logarithm.
        let slopes = self.tried.windows(3).map(|run| (run[1].0, run[2].1 - run[0].1));
        slopes.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(rate, _)| rate)
    }

    fn rate(&self, step: usize) -> f64 {
        self.low * (self.high / self.low).powf(step as f64 / (self.steps - 1) as f64)
    }
}

impl<F: Scalar> Callback<F> for LearningRateRangeTest<F> {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        if !(self.low > 0.0 && self.low < self.high && self.high.is_finite()) {
            let received = format!("{} and {}", self.low, self.high);
            return Err(Error::option("rates", "0 < low < high", received).within("LearningRateRangeTest"));
        }
        if self.steps < 2 {
            return Err(Error::option("steps", "at least 2", self.steps).within("LearningRateRangeTest"));
        }
        self.tried.clear();
        (self.smooth, self.ended, self.rate_before) = (0.0, false, state.learning_rate());
        state.keep_weights(&mut self.weights);
        state.set_learning_rate(self.low)
    }

    fn on_batch_end(&mut self, state: &mut EpochState<'_, F>, _: usize, logs: &Logs) -> Result<()> {
        let loss = logs.get("loss").ok_or_else(|| missing("LearningRateRangeTest", "loss", logs))?;
        let step = self.tried.len();
        if self.ended {
            return Ok(());
        }
        self.smooth = SMOOTHING * self.smooth + (1.0 - SMOOTHING) * loss;
        let corrected = self.smooth / (1.0 - SMOOTHING.powf(step as f64 + 1.0));
        self.tried.push((self.rate(step), corrected));
        let least = self.tried.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
        if step + 1 >= self.steps || corrected > 4.0 * least {
            state.stop_training();
            // What is left of the epoch changes nothing.
            self.ended = true;
            return state.set_learning_rate(0.0);
        }
        state.set_learning_rate(self.rate(step + 1))
    }

    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> Result<()> {
        state.put_back(&self.weights);
        state.set_learning_rate(self.rate_before)
    }
}
