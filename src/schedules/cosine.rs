//! Rates that follow a cosine.

use std::f64::consts::PI;

use serde_json::Value;

use super::{Schedule, above_zero, at_least_zero};
use crate::config::{self, Configured, options};
use crate::{Error, Result};

options! {
    /// A rate that falls along half a cosine, after a warm-up if one is given.
    ///
    /// r(t) = r₀·((1 − α)·(1 + cos(π·t/n))/2 + α) up to step n. With `warmup_target` r₁ the rate first rises from r₀ to r₁ in
    /// a line over `warmup_steps`, then falls from there.
    ///
    /// # Defaults
    /// `alpha` 0, no warm-up.
    /// # Errors
    /// When compiled: `decay_steps` of 0, or a rate or share that is negative or not finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let decay = CosineDecay::new(0.0, 100.0).warmup_target(0.1).warmup_steps(10.0);
    /// assert!((decay.rate(5) - 0.05).abs() < 1e-12);
    /// assert!((decay.rate(60) - 0.05).abs() < 1e-12);
    /// ```
    /// # Source
    /// Keras `schedules.CosineDecay`; Loshchilov & Hutter 2016, *SGDR*.
    pub struct CosineDecay(initial_learning_rate: f64, decay_steps: f64) {
        /// Which share of the rate stays at the end. Default: 0.
        alpha: f64 = 0.0,
        /// The rate that the warm-up rises to. Default: no warm-up.
        warmup_target: Option<f64> = None => |rate: impl Into<Option<f64>>| rate.into(),
        /// How many steps the warm-up takes. Default: 0.
        warmup_steps: f64 = 0.0,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for CosineDecay {
    fn rate(&self, step: u64) -> f64 {
        let (start, warmup) = match self.warmup_target {
            Some(target) => (target, self.warmup_steps),
            None => (self.initial_learning_rate, 0.0),
        };
        let step = (step as f64).min(self.decay_steps + warmup);
        if step < warmup {
            return (start - self.initial_learning_rate) * (step / warmup) + self.initial_learning_rate;
        }
        let cosine = f64::midpoint(1.0, (PI * (step - warmup) / self.decay_steps).cos());
        start * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn check(&self) -> Result<()> {
        at_least_zero("initial_learning_rate", self.initial_learning_rate)?;
        at_least_zero("warmup_target", self.warmup_target.unwrap_or(0.0))?;
        at_least_zero("warmup_steps", self.warmup_steps)?;
        at_least_zero("alpha", self.alpha)?;
        above_zero("decay_steps", self.decay_steps)
    }

    fn describe(&self) -> Option<Value> {
        Some(config::object(Self::CLASS, self.to_config()))
    }
}

options! {
    /// Half a cosine again and again: each run `t_mul` times longer than the last, and starting `m_mul` times as high.
    ///
    /// In run i, which begins at step s and lasts n = `first_decay_steps`·`t_mul`ⁱ:
    /// r(t) = r₀·((1 − α)·`m_mul`ⁱ·(1 + cos(π·(t − s)/n))/2 + α).
    ///
    /// # Defaults
    /// `t_mul` 2, `m_mul` 1, `alpha` 0.
    /// # Errors
    /// When compiled: `first_decay_steps` of 0, a `t_mul` below 1, or a rate or share that is negative or not finite.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let warm = CosineDecayRestarts::new(0.1, 10.0);
    /// assert_eq!([warm.rate(0), warm.rate(10), warm.rate(30)], [0.1; 3]);
    /// ```
    /// # Source
    /// Keras `schedules.CosineDecayRestarts`; Loshchilov & Hutter 2016, *SGDR*.
    pub struct CosineDecayRestarts(initial_learning_rate: f64, first_decay_steps: f64) {
        /// How many times longer each run is than the last. Default: 2.
        t_mul: f64 = 2.0,
        /// How many times higher each run starts than the last. Default: 1.
        m_mul: f64 = 1.0,
        /// Which share of the rate stays at the end of a run. Default: 0.
        alpha: f64 = 0.0,
        /// The schedule's name. Default: none.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
    }
}

impl Schedule for CosineDecayRestarts {
    fn rate(&self, step: u64) -> f64 {
        let way = step as f64 / self.first_decay_steps;
        let (run, way) = if self.t_mul == 1.0 {
            (way.floor(), way.fract())
        } else {
            // Run i begins at (1 − t_mulⁱ)/(1 − t_mul) first runs.
            let run = ((1.0 - way * (1.0 - self.t_mul)).ln() / self.t_mul.ln()).floor();
            let begins = (1.0 - self.t_mul.powf(run)) / (1.0 - self.t_mul);
            (run, (way - begins) / self.t_mul.powf(run))
        };
        let cosine = self.m_mul.powf(run) * f64::midpoint(1.0, (PI * way).cos());
        self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn check(&self) -> Result<()> {
        at_least_zero("initial_learning_rate", self.initial_learning_rate)?;
        at_least_zero("m_mul", self.m_mul)?;
        at_least_zero("alpha", self.alpha)?;
        if !(self.t_mul.is_finite() && self.t_mul >= 1.0) {
            return Err(Error::option("t_mul", "at least 1", self.t_mul));
        }
        above_zero("first_decay_steps", self.first_decay_steps)
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
        let between = |from: f64, to: f64, way: f64| to + (from - to) * (1.0 + (PI * way).cos()) / 2.0;
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
