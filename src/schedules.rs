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
            _ => Err(Error::unknown("learning-rate schedule", class, [ExponentialDecay::CLASS])),
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
