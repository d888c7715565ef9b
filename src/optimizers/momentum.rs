//! Relatives of Adam: other norms, look-ahead, signs, layers of equal pace.

use super::update::zeros_like;
use super::{
    Optimizer, Parameter, StateSpec, Update, ZeroGradient, above_zero, in_unit_range, optimizer_options, shared_methods,
};
use crate::kernels::optimizer::{self as kernels, NadamStep};
use crate::{Result, Scalar};

/// 1 − βᵗ.
fn correction(beta: f64, step: u64) -> f64 {
    1.0 - beta.powf(step as f64)
}

fn check_means(beta_1: f64, beta_2: f64, epsilon: f64) -> Result<()> {
    in_unit_range("beta_1", beta_1)?;
    in_unit_range("beta_2", beta_2)?;
    above_zero("epsilon", epsilon)
}

optimizer_options! {
    /// Adam with the largest gradient so far, slowly forgotten, in place of the root mean square.
    ///
    /// m ← m + (g − m)(1 − β₁), u ← max(β₂·u, |g|), w ← w − rate/(1 − β₁ᵗ) · m / (u + ε).
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 10⁻⁷.
    /// # Errors
    /// When compiled: a negative or infinite rate, a beta outside 0..=1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Adamax::new().learning_rate(0.002);
    /// ```
    /// # Source
    /// Kingma & Ba 2014, section 7.1; Keras `Adamax`.
    pub struct Adamax, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the mean gradient moves. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the largest gradient is forgotten. Default: 0.999.
        beta_2: f64 = 0.999,
        /// Keeps the step finite. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
    }
}

impl<F: Scalar> Optimizer<F> for Adamax {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let [mean, norm] = update.state.arrays();
        let alpha = update.rate / correction(self.beta_1, update.step);
        let (rest_1, beta_2) = (F::of(1.0 - self.beta_1), F::of(self.beta_2));
        kernels::adamax(update.weights, update.gradient, mean, norm, rest_1, beta_2, F::of(alpha), F::of(self.epsilon));
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        zeros_like(&["momentum", "norm"], parameter)
    }

    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::KeepsFresh
    }

    fn check(&self) -> Result<()> {
        check_means(self.beta_1, self.beta_2, self.epsilon)
    }
}

optimizer_options! {
    /// Adam with Nesterov's look-ahead, on Dozat's schedule μₜ = β₁(1 − ½·0.96ᵗ).
    ///
    /// m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂),
    /// w ← w − rate·(μₜ₊₁m/(1 − Πμ₁…μₜ₊₁) + (1 − μₜ)g/(1 − Πμ₁…μₜ)) / (√(v/(1 − β₂ᵗ)) + ε).
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 10⁻⁷.
    /// # Errors
    /// When compiled: a negative or infinite rate, a beta outside 0..=1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Nadam::new().learning_rate(0.002);
    /// ```
    /// # Source
    /// Dozat 2016; Keras `Nadam`.
    pub struct Nadam, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the mean gradient moves. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves. Default: 0.999.
        beta_2: f64 = 0.999,
        /// Keeps the step finite. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
    }
}

impl Nadam {
    /// μₜ/β₁.
    fn momentum(t: u64) -> f64 {
        1.0 - 0.5 * 0.96f64.powf(t as f64)
    }

    /// Πμ₁…μₜ. From some hundred factors on, μ is β₁ to the last bit.
    fn product(&self, t: u64) -> f64 {
        let (mut decay, mut settled) = (1.0, 1.0);
        for _ in 0..t.min(1000) {
            decay *= 0.96;
            settled *= 1.0 - 0.5 * decay;
        }
        settled * self.beta_1.powf(t as f64)
    }
}

impl<F: Scalar> Optimizer<F> for Nadam {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let [mean, squares] = update.state.arrays();
        let (t, rate) = (update.step, update.rate);
        let (now, next) = (self.beta_1 * Self::momentum(t), self.beta_1 * Self::momentum(t + 1));
        let product = self.product(t);
        let numbers = NadamStep {
            rest_1: F::of(1.0 - self.beta_1),
            rest_2: F::of(1.0 - self.beta_2),
            of_mean: F::of(rate * next / (1.0 - product * next)),
            of_gradient: F::of(rate * (1.0 - now) / (1.0 - product)),
            correction: F::of(1.0 / correction(self.beta_2, update.step)),
            epsilon: F::of(self.epsilon),
        };
        kernels::nadam(update.weights, update.gradient, mean, squares, numbers);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        zeros_like(&["momentum", "velocity"], parameter)
    }

    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::KeepsFresh
    }

    fn check(&self) -> Result<()> {
        check_means(self.beta_1, self.beta_2, self.epsilon)
    }
}

optimizer_options! {
    /// Steps of one size, by the sign of a mean: w ← w − rate·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g.
    ///
    /// Wants a rate three to ten times smaller than Adam's.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.99.
    /// # Errors
    /// When compiled: a negative or infinite rate, a beta outside 0..=1, a `beta_1` of 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Lion::new().learning_rate(1e-4);
    /// ```
    /// # Source
    /// Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms"; Keras `Lion`.
    pub struct Lion, learning_rate: 0.001, weight_decay: None, {
        /// What the mean counts in the step. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the mean moves. Default: 0.99.
        beta_2: f64 = 0.99,
    }
}

impl<F: Scalar> Optimizer<F> for Lion {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let (rate, beta_1, beta_2) = (F::of(update.rate), F::of(self.beta_1), F::of(self.beta_2));
        kernels::lion(update.weights, update.gradient, update.state.at_mut(0), rate, beta_1, beta_2);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        zeros_like(&["momentum"], parameter)
    }

    fn check(&self) -> Result<()> {
        above_zero("beta_1", self.beta_1)?;
        in_unit_range("beta_1", self.beta_1)?;
        in_unit_range("beta_2", self.beta_2)
    }
}

optimizer_options! {
    /// Adam whose steps are as long, in proportion to its weights, in every parameter: for large batches.
    ///
    /// m and v as Adam's, u = m̂/(√v̂ + ε), w ← w − rate·‖w‖/‖u‖·u over each parameter; the quotient is 1 where a norm is 0.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 10⁻⁷.
    /// # Errors
    /// When compiled: a negative or infinite rate, a beta outside 0..=1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Lamb::new().learning_rate(0.01);
    /// ```
    /// # Source
    /// You et al. 2019, "Large Batch Optimization for Deep Learning"; Keras `Lamb`.
    pub struct Lamb, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the mean gradient moves. Default: 0.9.
        beta_1: f64 = 0.9,
        /// How slowly the mean of squares moves. Default: 0.999.
        beta_2: f64 = 0.999,
        /// Keeps the step finite. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
    }
}

impl<F: Scalar> Optimizer<F> for Lamb {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let [mean, squares] = update.state.arrays();
        let numbers = NadamStep {
            rest_1: F::of(1.0 - self.beta_1),
            rest_2: F::of(1.0 - self.beta_2),
            of_mean: F::of(1.0 / correction(self.beta_1, update.step)),
            of_gradient: F::zero(),
            correction: F::of(1.0 / correction(self.beta_2, update.step)),
            epsilon: F::of(self.epsilon),
        };
        kernels::lamb(update.weights, update.gradient, mean, squares, F::of(update.rate), numbers);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        zeros_like(&["momentum", "velocity"], parameter)
    }

    fn couples_weights(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        check_means(self.beta_1, self.beta_2, self.epsilon)
    }
}
