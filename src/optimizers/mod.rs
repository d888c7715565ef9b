//! Optimizers: how gradients change weights.
//!
//! Each is in two halves. The [`Driver`] does what all have in common: clipping, weight decay, accumulation, moving
//! averages, schedules, constraints. The algorithm itself is an [`Optimizer`]: one [`Update`] of a run of weights or of a
//! whole parameter, whose shape it then sees.

mod adafactor;
mod adagrad;
mod adam;
mod driver;
mod momentum;
mod muon;
mod options;
mod rmsprop;
mod sgd;
mod spans;
mod update;

pub use adafactor::Adafactor;
pub use adagrad::{Adadelta, Adagrad, Ftrl};
pub use adam::{Adam, AdamW};
pub use driver::Driver;
pub use momentum::{Adamax, Lamb, Lion, Nadam};
pub use muon::Muon;
pub use options::{Multipliers, OptimizerOptions};
pub use rmsprop::RMSprop;
pub use sgd::SGD;
pub use update::{Parameter, State, StateSpec, Update};

pub(crate) use options::{above_zero, at_least_zero, in_unit_range, optimizer_options, shared_methods};

use std::sync::Arc;

use crate::config::Config;
use crate::{Result, Scalar};

/// What an update does to a weight whose gradient is 0.
///
/// A step may leave out the rows of a table that no batch has named ([`Embedding`](crate::layers::Embedding)) where that
/// changes no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroGradient {
    /// It may change it: momentum goes on.
    Moves,
    /// It leaves it and its slots as they are, as long as the slots are where they start: no gradient came before.
    KeepsFresh,
    /// It leaves it and its slots as they are.
    Keeps,
}

/// How gradients change weights: the algorithm, without what all optimizers share.
///
/// Most algorithms change each weight by its own gradient. Theirs are updates of pieces of long runs, which go over several
/// parameters and over several threads:
///
/// ```
/// use gradus::custom::*;
///
/// /// m ← 0.9·m + g, w ← w − rate·sign(m).
/// #[derive(Clone, Debug)]
/// struct SignOfMean(OptimizerOptions);
///
/// impl<F: Scalar> Optimizer<F> for SignOfMean {
///     fn options(&self) -> OptimizerOptions {
///         self.0.clone()
///     }
///     fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
///         vec![StateSpec::new("mean", parameter.shape)]
///     }
///     fn update(&self, update: &mut Update<'_, F>) {
///         let (rate, [mean]) = (F::of(update.rate), update.state.arrays());
///         for ((w, &g), m) in update.weights.iter_mut().zip(update.gradient).zip(mean) {
///             *m = F::of(0.9) * *m + g;
///             *w -= rate * m.signum();
///         }
///     }
/// }
/// let optimizer = SignOfMean(OptimizerOptions::new(0.01).weight_decay(0.1));
/// let model = Sequential::new().input([4]).add(Dense::new(1)).compile(MeanSquaredError::new(), optimizer).build()?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// An algorithm that looks at several weights at once (norms, rows, matrices) says so in
/// [`couples_weights`](Self::couples_weights) and is given whole parameters with their shape. Its state may have any shape:
///
/// ```
/// use gradus::custom::*;
///
/// /// Divides the gradient of each parameter by its running root mean square: one number a parameter.
/// struct ByNorm(OptimizerOptions);
///
/// impl<F: Scalar> Optimizer<F> for ByNorm {
///     fn options(&self) -> OptimizerOptions {
///         self.0.clone()
///     }
///     fn state(&self, _: &Parameter<'_>) -> Vec<StateSpec> {
///         vec![StateSpec::new("mean_square", &[]).start(1.0)]
///     }
///     fn couples_weights(&self) -> bool {
///         true
///     }
///     fn update(&self, update: &mut Update<'_, F>) {
///         let squares = update.gradient.iter().fold(F::zero(), |sum, &g| sum + g * g);
///         let [mean_square] = update.state.arrays();
///         mean_square[0] = F::of(0.9) * mean_square[0] + F::of(0.1 / update.gradient.len() as f64) * squares;
///         let rate = F::of(update.rate) / mean_square[0].sqrt();
///         update.weights.iter_mut().zip(update.gradient).for_each(|(w, &g)| *w -= rate * g);
///     }
/// }
/// ```
#[doc(alias = "custom optimizer")]
pub trait Optimizer<F: Scalar>: Send + Sync {
    /// The options that all optimizers share.
    fn options(&self) -> OptimizerOptions;

    /// One update of a piece of the weights, or of a whole parameter where the optimizer
    /// [couples weights](Self::couples_weights). Must not allocate.
    fn update(&self, update: &mut Update<'_, F>);

    /// The arrays that the optimizer keeps for a parameter: any number of any shape, saved with a checkpoint. Where weights
    /// are not coupled, each has the parameter's shape. By default none.
    fn state(&self, _parameter: &Parameter<'_>) -> Vec<StateSpec> {
        Vec::new()
    }

    /// How many values an update of this whole parameter wants for its own use, in [`Update::scratch`]. By default none.
    fn scratch(&self, _parameter: &Parameter<'_>) -> usize {
        0
    }

    /// The weight decay of a parameter. By default that of the [options](Self::options), for all alike.
    fn weight_decay(&self, _parameter: &Parameter<'_>) -> Option<f64> {
        self.options().weight_decay
    }

    /// Refuses options outside their ranges; called when a model is compiled.
    ///
    /// # Errors
    /// If an option is outside its range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether an update of one weight depends on others of the same parameter (norms, rows, matrices): then `update` is
    /// called with whole parameters, one after the other. By default not.
    fn couples_weights(&self) -> bool {
        false
    }

    /// What an update does to a weight whose gradient is 0. By default it may move.
    fn zero_gradient(&self) -> ZeroGradient {
        ZeroGradient::Moves
    }

    /// Class and options in Keras's words; none if it cannot be saved.
    fn describe(&self) -> Option<(String, Config)> {
        None
    }
}

/// An optimizer that is shared, as a [`Registry`](crate::models::registry::Registry) makes it.
impl<F: Scalar> Optimizer<F> for Arc<dyn Optimizer<F>> {
    fn options(&self) -> OptimizerOptions {
        (**self).options()
    }
    fn update(&self, update: &mut Update<'_, F>) {
        (**self).update(update);
    }
    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        (**self).state(parameter)
    }
    fn scratch(&self, parameter: &Parameter<'_>) -> usize {
        (**self).scratch(parameter)
    }
    fn weight_decay(&self, parameter: &Parameter<'_>) -> Option<f64> {
        (**self).weight_decay(parameter)
    }
    fn check(&self) -> Result<()> {
        (**self).check()
    }
    fn couples_weights(&self) -> bool {
        (**self).couples_weights()
    }
    fn zero_gradient(&self) -> ZeroGradient {
        (**self).zero_gradient()
    }
    fn describe(&self) -> Option<(String, Config)> {
        (**self).describe()
    }
}
