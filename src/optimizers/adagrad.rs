//! Steps that shrink with the gradients seen so far.

use super::update::zeros_like;
use super::{
    Optimizer, Parameter, StateSpec, Update, ZeroGradient, above_zero, at_least_zero, in_unit_range, optimizer_options,
    shared_methods,
};
use crate::kernels::optimizer as kernels;
use crate::{Error, Result, Scalar};

optimizer_options! {
    /// Adagrad: each weight's step is divided by the root of all its squared gradients so far.
    ///
    /// a ← a + g², w ← w − rate·g / √(a + ε).
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `initial_accumulator_value` 0.1, `epsilon` 10⁻⁷.
    /// # Errors
    /// When compiled: a negative or infinite rate, a negative accumulator, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Adagrad::new().learning_rate(0.1);
    /// ```
    /// # Source
    /// Duchi, Hazan & Singer 2011; Keras `Adagrad`.
    pub struct Adagrad, learning_rate: 0.001, weight_decay: None, {
        /// Where the sum of squares begins. Default: 0.1.
        initial_accumulator_value: f64 = 0.1,
        /// Keeps the step finite. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
    }
}

impl<F: Scalar> Optimizer<F> for Adagrad {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        kernels::adagrad(
            update.weights,
            update.gradient,
            update.state.at_mut(0),
            F::of(update.rate),
            F::of(self.epsilon),
        );
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        vec![StateSpec::new("accumulator", parameter.shape).start(self.initial_accumulator_value)]
    }

    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::Keeps
    }

    fn check(&self) -> Result<()> {
        at_least_zero("initial_accumulator_value", self.initial_accumulator_value)?;
        above_zero("epsilon", self.epsilon)
    }
}

optimizer_options! {
    /// Adadelta: steps of the size of the last steps, without a rate that must be found.
    ///
    /// a ← ρ·a + (1 − ρ)·g², d = −g·√(u + ε)/√(a + ε), u ← ρ·u + (1 − ρ)·d², w ← w + rate·d.
    ///
    /// # Defaults
    /// `learning_rate` 0.001 (the paper's is 1), `rho` 0.95, `epsilon` 10⁻⁷.
    /// # Errors
    /// When compiled: a negative or infinite rate, a rho outside 0..=1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Adadelta::new().learning_rate(1.0);
    /// ```
    /// # Source
    /// Zeiler 2012; Keras `Adadelta`.
    pub struct Adadelta, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the means move. Default: 0.95.
        rho: f64 = 0.95,
        /// Keeps steps from 0 and infinity. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
    }
}

impl<F: Scalar> Optimizer<F> for Adadelta {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let [squares, deltas] = update.state.arrays();
        let (rate, rho, epsilon) = (F::of(update.rate), F::of(self.rho), F::of(self.epsilon));
        kernels::adadelta(update.weights, update.gradient, squares, deltas, rate, rho, epsilon);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        zeros_like(&["accumulated_grad", "accumulated_delta_var"], parameter)
    }

    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::KeepsFresh
    }

    fn check(&self) -> Result<()> {
        in_unit_range("rho", self.rho)?;
        above_zero("epsilon", self.epsilon)
    }
}

optimizer_options! {
    /// Follow the regularized leader: for wide, sparse models whose unused weights are to be exactly 0.
    ///
    /// a′ = a + g², l ← l + g + 2s·w − (a′^p − a^p)/rate·w, w ← (clip(l, ±λ₁) − l)/(a′^p/rate + 2λ₂ + β/rate), a ← a′,
    /// with p = −`learning_rate_power`.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `learning_rate_power` −0.5, `initial_accumulator_value` 0.1, no penalties, `beta` 0.
    /// # Errors
    /// When compiled: a negative or infinite rate, a positive power, a negative accumulator or penalty.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Ftrl::new().learning_rate(0.1).l1_regularization_strength(0.01);
    /// ```
    /// # Source
    /// McMahan et al. 2013; Keras `Ftrl`.
    pub struct Ftrl, learning_rate: 0.001, weight_decay: None, {
        /// How the rate falls with the sum of squares; 0 keeps it. Default: −0.5.
        learning_rate_power: f64 = -0.5,
        /// Where the sum of squares begins. Default: 0.1.
        initial_accumulator_value: f64 = 0.1,
        /// λ₁, which makes weights 0. Default: 0.
        l1_regularization_strength: f64 = 0.0,
        /// λ₂, which makes weights small. Default: 0.
        l2_regularization_strength: f64 = 0.0,
        /// s, a penalty within the gradient. Default: 0.
        l2_shrinkage_regularization_strength: f64 = 0.0,
        /// β of the paper. Default: 0.
        beta: f64 = 0.0,
    }
}

impl<F: Scalar> Optimizer<F> for Ftrl {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let [squares, linear] = update.state.arrays();
        let numbers = kernels::FtrlStep {
            rate: F::of(update.rate),
            power: F::of(-self.learning_rate_power),
            l1: F::of(self.l1_regularization_strength),
            l2: F::of(self.l2_regularization_strength + self.beta / (2.0 * update.rate)),
            shrinkage: F::of(self.l2_shrinkage_regularization_strength),
        };
        kernels::ftrl(update.weights, update.gradient, squares, linear, numbers);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        let accumulator = StateSpec::new("accumulator", parameter.shape);
        vec![accumulator.start(self.initial_accumulator_value), StateSpec::new("linear", parameter.shape)]
    }

    fn check(&self) -> Result<()> {
        if !(self.learning_rate_power <= 0.0) {
            return Err(Error::option("learning_rate_power", "at most 0", self.learning_rate_power));
        }
        at_least_zero("initial_accumulator_value", self.initial_accumulator_value)?;
        at_least_zero("l1_regularization_strength", self.l1_regularization_strength)?;
        at_least_zero("l2_regularization_strength", self.l2_regularization_strength)?;
        at_least_zero("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength)
    }
}
