//! Rates that fall in steps or along a curve.

use serde_json::Value;

use super::{Schedule, above_zero, at_least_zero};
use crate::config::{self, Configured, options};
use crate::{Error, Result};

/// How many periods of `decay_steps` have gone by at a step, with `staircase` whole ones.
fn periods(step: u64, decay_steps: f64, staircase: bool) -> f64 {
    let periods = step as f64 / decay_steps;
    if staircase { periods.floor() } else { periods }
}

/// Refuses the options of a rate that falls by a factor with each period.
fn check_fall(initial_learning_rate: f64, decay_rate: f64, decay_steps: f64) -> Result<()> {
    at_least_zero("initial_learning_rate", initial_learning_rate)?;
    at_least_zero("decay_rate", decay_rate)?;
    above_zero("decay_steps", decay_steps)
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
        self.initial_learning_rate * self.decay_rate.powf(periods(step, self.decay_steps, self.staircase))
    }

    fn check(&self) -> Result<()> {
        check_fall(self.initial_learning_rate, self.decay_rate, self.decay_steps)
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}

options! {
    /// A rate that falls with the inverse of time: r(t) = r₀ / (1 + rate·t/steps), with `staircase` of ⌊t/steps⌋.
    ///
    /// # Defaults
    /// `staircase` false.
    /// # Errors
    /// When compiled: `decay_steps` of 0, or a rate or factor that is negative or not finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// assert_eq!(InverseTimeDecay::new(0.1, 10.0, 1.0).rate(10), 0.05);
    /// ```
    /// # Source
    /// Keras `schedules.InverseTimeDecay`.
    pub struct InverseTimeDecay(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) {
        /// Whether the rate falls at once every `decay_steps`, instead of evenly. Default: false.
        staircase: bool = false,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for InverseTimeDecay {
    fn rate(&self, step: u64) -> f64 {
        self.initial_learning_rate / (1.0 + self.decay_rate * periods(step, self.decay_steps, self.staircase))
    }

    fn check(&self) -> Result<()> {
        check_fall(self.initial_learning_rate, self.decay_rate, self.decay_steps)
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}

options! {
    /// A rate that falls along a power to an end: r(t) = (r₀ − r₁)·(1 − t/n)^power + r₁ up to step n, then r₁; with
    /// `cycle` n grows to the next multiple of itself each time it is reached.
    ///
    /// # Defaults
    /// `end_learning_rate` 0.0001, `power` 1, `cycle` false.
    /// # Errors
    /// When compiled: `decay_steps` of 0, or a rate or power that is negative or not finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let line = PolynomialDecay::new(0.1, 10.0).end_learning_rate(0.0);
    /// assert_eq!(line.rate(5), 0.05);
    /// assert_eq!(line.rate(100), 0.0);
    /// ```
    /// # Source
    /// Keras `schedules.PolynomialDecay`.
    pub struct PolynomialDecay(initial_learning_rate: f64, decay_steps: f64) {
        /// The rate at the end. Default: 0.0001.
        end_learning_rate: f64 = 0.0001,
        /// The power of the curve; 1 is a line. Default: 1.
        power: f64 = 1.0,
        /// Whether the rate rises and falls again beyond `decay_steps`. Default: false.
        cycle: bool = false,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for PolynomialDecay {
    fn rate(&self, step: u64) -> f64 {
        let (step, mut end) = (step as f64, self.decay_steps);
        if self.cycle && step > 0.0 {
            end *= (step / self.decay_steps).ceil();
        }
        let way = step.min(end) / end;
        (self.initial_learning_rate - self.end_learning_rate) * (1.0 - way).powf(self.power) + self.end_learning_rate
    }

    fn check(&self) -> Result<()> {
        at_least_zero("initial_learning_rate", self.initial_learning_rate)?;
        at_least_zero("end_learning_rate", self.end_learning_rate)?;
        at_least_zero("power", self.power)?;
        above_zero("decay_steps", self.decay_steps)
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}

options! {
    /// A rate that changes at given steps: `values[0]` up to and with step `boundaries[0]`, and so on; the last value
    /// after the last boundary.
    ///
    /// # Errors
    /// When compiled: not one value more than boundaries, boundaries that don't rise, or a value that is negative or not
    /// finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let stepwise = PiecewiseConstantDecay::new([100.0, 200.0], [0.1, 0.01, 0.001]);
    /// assert_eq!([stepwise.rate(100), stepwise.rate(101), stepwise.rate(201)], [0.1, 0.01, 0.001]);
    /// ```
    /// # Source
    /// Keras `schedules.PiecewiseConstantDecay`.
    pub struct PiecewiseConstantDecay(
        boundaries: Vec<f64> => impl Into<Vec<f64>>,
        values: Vec<f64> => impl Into<Vec<f64>>,
    ) {
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for PiecewiseConstantDecay {
    fn rate(&self, step: u64) -> f64 {
        let passed = self.boundaries.iter().filter(|&&boundary| step as f64 > boundary).count();
        self.values[passed.min(self.values.len() - 1)]
    }

    fn check(&self) -> Result<()> {
        if self.values.len() != self.boundaries.len() + 1 {
            let expected = format!("one value more than {} boundaries", self.boundaries.len());
            return Err(Error::option("values", expected, self.values.len()));
        }
        if !self.boundaries.is_sorted_by(|a, b| a < b) {
            return Err(Error::option("boundaries", "in rising order", format!("{:?}", self.boundaries)));
        }
        self.values.iter().try_for_each(|&value| at_least_zero("values", value))
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}
