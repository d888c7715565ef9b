//! Steps scaled by a running root mean square.

use super::update::zeros_like;
use super::{
    Optimizer, Parameter, StateSpec, Update, ZeroGradient, above_zero, in_unit_range, optimizer_options, shared_methods,
};
use crate::kernels::optimizer::{self as kernels, RmsPropStep};
use crate::{Result, Scalar};

optimizer_options! {
    /// `RMSprop`: steps scaled by a running mean of the squared gradient.
    ///
    /// v ← ρ·v + (1 − ρ)·g², s = rate·g / √(v + ε), w ← w − s; `centered` takes the square of the running mean ḡ of the
    /// gradient from v; with `momentum` μ: m ← μ·m + s, w ← w − m.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `rho` 0.9, `momentum` 0, `epsilon` 10⁻⁷ (inside the root), `centered` false.
    /// # Errors
    /// When compiled: a negative or infinite rate, a rho or momentum outside 0..=1, an epsilon that is not above 0.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = RMSprop::new().learning_rate(1e-4).momentum(0.9);
    /// ```
    /// # Source
    /// Tieleman & Hinton 2012; Keras `RMSprop`.
    pub struct RMSprop, learning_rate: 0.001, weight_decay: None, {
        /// How slowly the mean of the squared gradient moves. Default: 0.9.
        rho: f64 = 0.9,
        /// The share of the last step that goes on. Default: 0.
        momentum: f64 = 0.0,
        /// Keeps the step finite where gradients vanish. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
        /// Whether the variance, not the mean square, scales the step. Default: false.
        centered: bool = false,
        /// Whether epsilon stands inside the root; in PyTorch it does not. Default: true.
        epsilon_in_root: bool = true,
    }
}

impl<F: Scalar> Optimizer<F> for RMSprop {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let momentum = F::of(self.momentum);
        let numbers = RmsPropStep {
            rho: F::of(self.rho),
            epsilon: F::of(self.epsilon),
            epsilon_outside_root: !self.epsilon_in_root,
            a: F::of(update.rate),
            b: F::one(),
        };
        let (w, g, state) = (&mut *update.weights, update.gradient, &mut update.state);
        match (self.centered, self.momentum == 0.0) {
            (false, true) => kernels::rmsprop(w, g, state.at_mut(0), numbers),
            (false, false) => {
                let [v, u] = state.arrays();
                kernels::rmsprop_momentum(w, g, v, u, momentum, numbers);
            }
            (true, true) => {
                let [v, mean] = state.arrays();
                kernels::rmsprop_centered(w, g, v, mean, numbers);
            }
            (true, false) => {
                let [v, mean, u] = state.arrays();
                kernels::rmsprop_centered_momentum(w, g, v, mean, u, momentum, numbers);
            }
        }
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        let names: &[&str] = match (self.centered, self.momentum == 0.0) {
            (false, true) => &["velocity"],
            (false, false) => &["velocity", "momentum"],
            (true, true) => &["velocity", "average_gradient"],
            (true, false) => &["velocity", "average_gradient", "momentum"],
        };
        zeros_like(names, parameter)
    }

    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::KeepsFresh
    }

    fn check(&self) -> Result<()> {
        in_unit_range("rho", self.rho)?;
        in_unit_range("momentum", self.momentum)?;
        above_zero("epsilon", self.epsilon)
    }
}
