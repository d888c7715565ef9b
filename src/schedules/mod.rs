//! Learning rates that change with the step.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

mod cosine;
mod decay;

pub use cosine::{CosineDecay, CosineDecayRestarts, OneCycle};
pub use decay::{ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay};

use crate::config::{self, Configured, Setting};
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
#[non_exhaustive]
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
        macro_rules! made_of {
            ($($schedule:ident)*) => {
                match class.as_str() {
                    $($schedule::CLASS => Ok($schedule::from_config(&options)?.into()),)*
                    _ => Err(Error::unknown("learning-rate schedule", class, [$($schedule::CLASS),*])),
                }
            };
        }
        made_of!(
            CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay OneCycle PiecewiseConstantDecay
            PolynomialDecay
        )
    }

    fn has_config(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Schedule(schedule) => schedule.describe().is_some(),
        }
    }
}

/// Refuses a value that is negative or not finite.
fn at_least_zero(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::option(option, "a finite number, at least 0", value))
    }
}

/// Refuses a value that is not above 0 and finite.
fn above_zero(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(Error::option(option, "above 0", value)) }
}
