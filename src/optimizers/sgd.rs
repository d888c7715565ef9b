//! Gradient descent.

use super::{Common, Optimizer, Step, ZeroGradient, in_unit_range, optimizer_options};
use crate::config::{Config, Configured};
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
    fn common(&self) -> Common {
        self.common_options()
    }

    fn update(&self, step: Step, weights: &mut [F], gradients: &[F], slots: &mut [&mut [F]]) {
        let rate = F::of(step.learning_rate);
        match slots {
            [velocity] => {
                let dampening = if step.number > 1 { self.dampening } else { 0.0 };
                let (momentum, own) = (F::of(self.momentum), rate * F::of(dampening - 1.0));
                kernels::sgd_momentum(weights, gradients, velocity, momentum, own, F::one(), self.nesterov);
            }
            _ => kernels::sgd(weights, gradients, rate),
        }
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn zero_gradient(&self) -> ZeroGradient {
        if self.momentum == 0.0 { ZeroGradient::Keeps } else { ZeroGradient::KeepsFresh }
    }

    fn check(&self) -> Result<()> {
        in_unit_range("momentum", self.momentum)?;
        in_unit_range("dampening", self.dampening)
    }

    fn describe(&self) -> Option<(String, Config)> {
        self.has_words().then(|| (Self::CLASS.into(), self.to_config()))
    }
}
