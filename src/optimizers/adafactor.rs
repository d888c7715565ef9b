//! Adafactor.

use super::{Optimizer, Parameter, StateSpec, Update, above_zero, at_least_zero, optimizer_options, shared_methods};
use crate::kernels::optimizer::{self as kernels, AdafactorStep};
use crate::{Error, Result, Scalar};

optimizer_options! {
    /// Adafactor: steps scaled by a mean of squared gradients that is kept as one value a row and one a column, and by the
    /// size of the weights. For large models: of a matrix (n, m) it keeps n + m values where Adam keeps 2·n·m.
    ///
    /// With β₂ = 1 − t^`beta_2_decay` and ρ = min(rate, 1/√t) at update t, for a parameter of two axes or more, over its
    /// last two: r ← β₂·r + (1 − β₂)·mean(g² + ε₁) of each row, c likewise of each column, v = r·c/mean(r);
    /// for others v ← β₂·v + (1 − β₂)(g² + ε₁). Then u = g/√v and
    /// w ← w − max(ε₂, RMS(w))·ρ·u / max(1, RMS(u)/`clip_threshold`).
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `beta_2_decay` −0.8, `epsilon_1` 10⁻³⁰, `epsilon_2` 10⁻³, `clip_threshold` 1,
    /// `relative_step` true.
    /// # Errors
    /// When compiled: a negative or infinite rate, a `beta_2_decay` above 0, an `epsilon_1` or `clip_threshold` that is not
    /// above 0, a negative `epsilon_2`.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let optimizer = Adafactor::new().learning_rate(0.01);
    /// ```
    /// # Source
    /// Shazeer & Stern 2018, arXiv 1804.04235, algorithms 4 and 5; Keras `Adafactor`.
    pub struct Adafactor, learning_rate: 0.001, weight_decay: None, {
        /// How β₂ grows with the updates: β₂ = 1 − t^`beta_2_decay`. Default: −0.8.
        beta_2_decay: f64 = -0.8,
        /// Is added to squared gradients. Default: 10⁻³⁰.
        epsilon_1: f64 = 1e-30,
        /// The least root mean square of weights that steps grow with. Default: 10⁻³.
        epsilon_2: f64 = 1e-3,
        /// The root mean square that an update may have before it is scaled. Default: 1.
        clip_threshold: f64 = 1.0,
        /// Whether a constant rate is held below 1/√t. In Keras 3, and so here, a rate is held below that in any case, and this
        /// option changes nothing. Default: true.
        relative_step: bool = true,
    }
}

impl<F: Scalar> Optimizer<F> for Adafactor {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        let t = update.step as f64;
        let rest_2 = t.powf(self.beta_2_decay);
        let numbers = AdafactorStep {
            beta_2: F::of(1.0 - rest_2),
            rest_2: F::of(rest_2),
            epsilon_1: F::of(self.epsilon_1),
            epsilon_2: F::of(self.epsilon_2),
            clip_threshold: F::of(self.clip_threshold),
            rho: F::of(update.rate.min(1.0 / t.sqrt())),
        };
        if update.weights.is_empty() {
            return;
        }
        if let [.., rows, cols] = *update.shape {
            let [r, c] = update.state.arrays();
            let (w, g, scratch) = (&mut *update.weights, update.gradient, &mut *update.scratch);
            kernels::adafactor_factored(w, g, r, c, rows, cols, scratch, numbers);
        } else {
            kernels::adafactor(update.weights, update.gradient, update.state.at_mut(0), numbers);
        }
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        match parameter.shape {
            [others @ .., rows, cols] => {
                let means_of = |name, kept: usize| StateSpec::new(name, &[others, &[kept]].concat());
                vec![means_of("row_mean", *rows), means_of("column_mean", *cols)]
            }
            _ => vec![StateSpec::new("velocity", parameter.shape)],
        }
    }

    fn scratch(&self, parameter: &Parameter<'_>) -> usize {
        parameter.shape.last().copied().unwrap_or(0)
    }

    fn couples_weights(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        if !(self.beta_2_decay.is_finite() && self.beta_2_decay <= 0.0) {
            return Err(Error::option("beta_2_decay", "a finite number, at most 0", self.beta_2_decay));
        }
        above_zero("epsilon_1", self.epsilon_1)?;
        at_least_zero("epsilon_2", self.epsilon_2)?;
        above_zero("clip_threshold", self.clip_threshold)
    }
}
