//! Gradient descent.

use super::update::zeros_like;
use super::{Optimizer, Parameter, StateSpec, Update, ZeroGradient, in_unit_range, optimizer_options, shared_methods};
use crate::kernels::optimizer as kernels;
use crate::{Result, Scalar};

optimizer_options! {
    /// Gradient descent, with momentum.
    ///
    /// w ← w − rate·g; with momentum μ: m ← μ·m − rate·g, w ← w + m, or with `nesterov` w ← w + μ·m − rate·g.
    ///
    /// # Defaults
    /// `learning_rate` 0.01, `momentum` 0, `nesterov` false, `dampening` 0; no decay, no clipping.
    /// # Errors
    /// When compiled: a negative or infinite rate, a momentum or dampening outside 0..=1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = SGD::new().learning_rate(0.1).momentum(0.9).nesterov(true);
    /// ```
    /// # Source
    /// Keras `SGD`; `dampening` is PyTorch's.
    pub struct SGD, learning_rate: 0.01, weight_decay: None, {
        /// The share of the last step that goes on. Default: 0.
        momentum: f64 = 0.0,
        /// Whether the gradient's step looks ahead of the momentum's. Default: false.
        nesterov: bool = false,
        /// The share of a gradient that momentum leaves out, from the second update on. Default: 0.
        dampening: f64 = 0.0,
    }
}

impl<F: Scalar> Optimizer<F> for SGD {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let rate = F::of(update.rate);
        if self.momentum == 0.0 {
            return kernels::sgd(update.weights, update.gradient, rate);
        }
        let [velocity] = update.state.arrays();
        let dampening = if update.step > 1 { self.dampening } else { 0.0 };
        let (momentum, own) = (F::of(self.momentum), rate * F::of(dampening - 1.0));
        kernels::sgd_momentum(update.weights, update.gradient, velocity, momentum, own, F::one(), self.nesterov);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        if self.momentum == 0.0 { Vec::new() } else { zeros_like(&["momentum"], parameter) }
    }

    fn zero_gradient(&self) -> ZeroGradient {
        if self.momentum == 0.0 { ZeroGradient::Keeps } else { ZeroGradient::KeepsFresh }
    }

    fn check(&self) -> Result<()> {
        in_unit_range("momentum", self.momentum)?;
        in_unit_range("dampening", self.dampening)
    }
}
