//! Adam and its relatives.

use super::update::zeros_like;
use super::{
    Optimizer, Parameter, StateSpec, Update, ZeroGradient, above_zero, in_unit_range, optimizer_options, shared_methods,
};
use crate::kernels::optimizer::{self as kernels, AdamStep};
use crate::{Error, Result, Scalar};

optimizer_options! {
    /// Adam: steps scaled by running means of the gradient and of its square.
    ///
    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − α·m / (√v + ε), with
    /// α = rate·√(1 − β₂ᵗ) / (1 − β₁ᵗ) at update t. With `amsgrad` the largest v so far stands in the root.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 10⁻⁷ (the ε̂ of the paper's section 2.1, beside the
    /// root of the uncorrected v), `amsgrad` false; no decay, no clipping.
    /// # Errors
    /// When compiled: a negative or infinite rate, a beta outside 0..1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Adam::new().learning_rate(ExponentialDecay::new(1e-3, 1000.0, 0.9)).clipnorm(1.0);
    /// ```
    /// # Source
    /// Kingma & Ba 2014, arXiv 1412.6980; Keras `Adam`.
    pub struct Adam, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the mean of the gradient moves. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the mean of its square moves. Default: 0.999.
        beta_2: f64 = 0.999,
        /// Keeps the step finite where gradients vanish. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
        /// Whether the largest second moment so far scales the step. Default: false.
        amsgrad: bool = false,
        /// Whether epsilon stands beside the root of the bias-corrected v, as in PyTorch. Default: false.
        epsilon_after_correction: bool = false,
    }
}

optimizer_options! {
    /// Adam with decoupled weight decay: w ← w − w·decay·rate before each update of [`Adam`].
    ///
    /// # Defaults
    /// As [`Adam`], with `weight_decay` 0.004.
    /// # Errors
    /// As [`Adam`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = AdamW::new().weight_decay(0.01);
    /// ```
    /// # Source
    /// Loshchilov & Hutter 2017, arXiv 1711.05101; Keras `AdamW`.
    pub struct AdamW, learning_rate: 0.001, weight_decay: Some(0.004), {
        /// How slowly the mean of the gradient moves. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the mean of its square moves. Default: 0.999.
        beta_2: f64 = 0.999,
        /// Keeps the step finite where gradients vanish. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
        /// Whether the largest second moment so far scales the step. Default: false.
        amsgrad: bool = false,
        /// Whether epsilon stands beside the root of the bias-corrected v, as in PyTorch. Default: false.
        epsilon_after_correction: bool = false,
    }
}

/// The numbers of Adam's update number `step`.
pub(super) fn adam_step<F: Scalar>(rate: f64, step: u64, [beta_1, beta_2]: [f64; 2], epsilon: f64) -> AdamStep<F> {
    // β^t by powf: exact enough at any t, where powi would need a 32-bit t.
    let t = step as f64;
    AdamStep {
        alpha: F::of(rate * (1.0 - beta_2.powf(t)).sqrt() / (1.0 - beta_1.powf(t))),
        rest_1: F::of(1.0 - beta_1),
        rest_2: F::of(1.0 - beta_2),
        epsilon: F::of(epsilon),
        // The driver lets weights decay, for every optimizer alike.
        decay: F::zero(),
    }
}

/// Refuses means that never move, and an epsilon that is not above 0.
pub(super) fn check_adam(betas: [(&str, f64); 2], epsilon: f64) -> Result<()> {
    for (option, beta) in betas {
        in_unit_range(option, beta)?;
        if beta == 1.0 {
            return Err(Error::option(option, "below 1", beta));
        }
    }
    above_zero("epsilon", epsilon)
}

macro_rules! adam_family {
    ($name:ident) => {
        impl<F: Scalar> Optimizer<F> for $name {
            shared_methods!();

            fn update(&self, update: &mut Update<'_, F>) {
                let epsilon = match self.epsilon_after_correction {
                    true => self.epsilon * (1.0 - self.beta_2.powf(update.step as f64)).sqrt(),
                    false => self.epsilon,
                };
                let numbers = adam_step(update.rate, update.step, [self.beta_1, self.beta_2], epsilon);
                if self.amsgrad {
                    let [m, v, largest] = update.state.arrays();
                    kernels::adam_amsgrad(update.weights, update.gradient, m, v, largest, numbers);
                } else {
                    let [m, v] = update.state.arrays();
                    kernels::adam(update.weights, update.gradient, m, v, numbers);
                }
            }

            fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
                let names: &[&str] = match self.amsgrad {
                    true => &["momentum", "velocity", "velocity_hat"],
                    false => &["momentum", "velocity"],
                };
                zeros_like(names, parameter)
            }

            fn zero_gradient(&self) -> ZeroGradient {
                ZeroGradient::KeepsFresh
            }

            fn check(&self) -> Result<()> {
                check_adam([("beta_1", self.beta_1), ("beta_2", self.beta_2)], self.epsilon)
            }
        }
    };
}

adam_family!(Adam);
adam_family!(AdamW);
