//! Learning rates that change with the step.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::{self, Configured, Setting, options};
use crate::{Error, Result};

/// A learning rate as a function of the optimizer's step.
pub trait Schedule: fmt::Debug + Send + Sync {
    /// The rate at step `step`, counted from 0.
    fn rate(&self, step: u64) -> f64;

    /// Refuses options outside their ranges; called when a model is compiled.
    ///
    /// # Errors
    /// If an option is outside its range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// `{"class_name", "config"}`; none for a schedule that cannot be saved.
    fn describe(&self) -> Option<Value> {
        None
    }
}

/// What stands where an optimizer takes its learning rate: a number or a schedule.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same rate at every step.
    Constant(f64),
    /// A rate by step.
    Schedule(Arc<dyn Schedule>),
}

impl LearningRate {
    /// The rate at step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        match self {
            Self::Constant(rate) => *rate,
            Self::Schedule(schedule) => schedule.rate(step),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Constant(rate) if !(rate.is_finite() && *rate >= 0.0) => {
                Err(Error::option("learning_rate", "a finite number, at least 0", rate))
            }
            Self::Constant(_) => Ok(()),
            Self::Schedule(schedule) => schedule.check(),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> Self {
        Self::Constant(rate)
    }
}

impl<S: Schedule + 'static> From<S> for LearningRate {
    fn from(schedule: S) -> Self {
        Self::Schedule(Arc::new(schedule))
    }
}

impl Setting for LearningRate {
    fn to_value(&self) -> Value {
        match self {
            Self::Constant(rate) => rate.to_value(),
            Self::Schedule(schedule) => schedule.describe().unwrap_or_else(|| json!(schedule.rate(0))),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        if value.is_number() || value.is_string() {
            return f64::from_value(value).map(Self::Constant);
        }
        let (class, options) = config::class_and_config(value)?;
        match class.as_str() {
            ExponentialDecay::CLASS => Ok(ExponentialDecay::from_config(&options)?.into()),
            OneCycle::CLASS => Ok(OneCycle::from_config(&options)?.into()),
            _ => Err(Error::unknown("learning-rate schedule", class, [ExponentialDecay::CLASS, OneCycle::CLASS])),
        }
    }

    fn has_words(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Schedule(schedule) => schedule.describe().is_some(),
        }
    }
}

options! {
    /// A rate that falls by a factor over a number of steps: r(t) = r₀ · rate^(t/steps), with `staircase` r₀ ·
    /// rate^⌊t/steps⌋.
    ///
    /// # Defaults
    /// `staircase` false.
    /// # Errors
    /// When compiled: `decay_steps` of 0, or a rate or factor that is negative or not finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let halved = ExponentialDecay::new(0.1, 1000.0, 0.5);
    /// assert_eq!(halved.rate(1000), 0.05);
    /// let optimizer = SGD::new().learning_rate(halved);
    /// ```
    /// # Source
    /// Keras `schedules.ExponentialDecay`.
    pub struct ExponentialDecay(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) {
        /// Whether the rate falls at once every `decay_steps`, instead of evenly. Default: false.
        staircase: bool = false,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for ExponentialDecay {
    fn rate(&self, step: u64) -> f64 {
        let periods = step as f64 / self.decay_steps;
        let periods = if self.staircase { periods.floor() } else { periods };
        self.initial_learning_rate * self.decay_rate.powf(periods)
    }

    fn check(&self) -> Result<()> {
        for (option, value) in [("initial_learning_rate", self.initial_learning_rate), ("decay_rate", self.decay_rate)]
        {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::option(option, "a finite number, at least 0", value));
            }
        }
        if !(self.decay_steps.is_finite() && self.decay_steps > 0.0) {
            return Err(Error::option("decay_steps", "above 0", self.decay_steps));
        }
        Ok(())
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}

options! {
    /// One cycle: a rate that rises to its largest and falls to almost nothing, both along half a cosine. It trains a
    /// network in few epochs.
    ///
    /// With e₁ = `warmup`·n − 1 and e₂ = n − 1 for n steps, r₀ = r/`start_divisor` and r₂ = r₀/`end_divisor`:
    /// r(t) = r₀ + (r − r₀)·(1 − cos(π·t/e₁))/2 up to e₁, then r₂ + (r − r₂)·(1 + cos(π·(t − e₁)/(e₂ − e₁)))/2.
    ///
    /// # Defaults
    /// `warmup` 0.3, `start_divisor` 25, `end_divisor` 10,000.
    /// # Errors
    /// When compiled: a rate or a divisor that is not above 0 and finite, no steps, or a `warmup` that is not in 0..=1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let cycle = OneCycle::new(0.01, 100);
    /// assert!((cycle.rate(0) - 0.0004).abs() < 1e-12);
    /// assert!((cycle.rate(29) - 0.01).abs() < 1e-12);
    /// assert!((cycle.rate(99) - 4e-8).abs() < 1e-12);
    /// let optimizer = Adam::new().learning_rate(cycle);
    /// ```
    /// # Source
    /// PyTorch `OneCycleLR` with cosines and without momentum; Smith and Topin, *Super-Convergence*, 2018.
    pub struct OneCycle(
        /// The largest rate.
        max_learning_rate: f64,
        /// How many steps the cycle has; after it the rate stays at its smallest.
        total_steps: u64,
    ) {
        /// Which share of the steps the rate rises for. Default: 0.3.
        warmup: f64 = 0.3,
        /// How many times smaller the first rate is than the largest. Default: 25.
        start_divisor: f64 = 25.0,
        /// How many times smaller the last rate is than the first. Default: 10,000.
        end_divisor: f64 = 1e4,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for OneCycle {
    fn rate(&self, step: u64) -> f64 {
        let (largest, first) = (self.max_learning_rate, self.max_learning_rate / self.start_divisor);
        let last = first / self.end_divisor;
        let (rises, ends) = (self.warmup * self.total_steps as f64 - 1.0, self.total_steps as f64 - 1.0);
        let step = (step as f64).min(ends);
        // Halfway along a cosine from one rate to another.
        let between =
            |from: f64, to: f64, way: f64| to + (from - to) * (1.0 + (std::f64::consts::PI * way).cos()) / 2.0;
        if step < rises {
            between(first, largest, step / rises)
        } else if ends > rises {
            between(largest, last, (step - rises.max(0.0)) / (ends - rises.max(0.0)).max(1.0))
        } else {
            largest
        }
    }

    fn check(&self) -> Result<()> {
        let positive = [
            ("max_learning_rate", self.max_learning_rate),
            ("start_divisor", self.start_divisor),
            ("end_divisor", self.end_divisor),
        ];
        for (option, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::option(option, "a finite number above 0", value));
            }
        }
        if self.total_steps == 0 {
            return Err(Error::option("total_steps", "at least 1", 0));
        }
        if (0.0..=1.0).contains(&self.warmup) { Ok(()) } else { Err(Error::option("warmup", "in 0..=1", self.warmup)) }
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}
