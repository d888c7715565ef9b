//! Optimizers: how gradients change weights.
//!
//! Each is in two halves. The [`Driver`] does what all have in common: clipping, weight decay, accumulation, moving
//! averages, schedules, constraints. The algorithm itself is an [`Optimizer`]: one update of a run of weights.

mod adagrad;
mod adam;
mod driver;
mod momentum;
mod rmsprop;
mod sgd;

pub use adagrad::{Adadelta, Adagrad, Ftrl};
pub use adam::{Adam, AdamW};
pub use driver::Driver;
pub use momentum::{Adamax, Lamb, Lion, Nadam};
pub use rmsprop::RMSprop;
pub use sgd::SGD;

use std::sync::Arc;

use crate::config::Config;
use crate::schedules::LearningRate;
use crate::{Error, Result, Scalar};

/// Where an update stands.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Which update it is, counted from 1: the t of bias corrections.
    pub number: u64,
    /// The learning rate of this update.
    pub learning_rate: f64,
}

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

/// The options that all optimizers share. Each optimizer has a setter for every one.
#[derive(Clone, Debug)]
pub struct Common {
    /// The rate, or a schedule of it.
    pub learning_rate: LearningRate,
    /// Draws weights to zero.
    pub weight_decay: Option<f64>,
    /// Whether decay acts on the weights (w ← w − w·decay·rate, before the update, as in Keras), or is added to the
    /// gradient (an L2 penalty, as in PyTorch's SGD and Adam).
    pub decoupled_weight_decay: bool,
    /// The largest norm of each parameter's gradient.
    pub clipnorm: Option<f64>,
    /// The largest magnitude of a gradient's value.
    pub clipvalue: Option<f64>,
    /// The largest norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// Whether a moving average of the weights is kept, which replaces them when training ends.
    pub use_ema: bool,
    /// The share of the old average that stays at each step.
    pub ema_momentum: f64,
    /// After how many updates the average replaces the weights during training.
    pub ema_overwrite_frequency: Option<u64>,
    /// Over how many steps gradients are averaged before an update.
    pub gradient_accumulation_steps: Option<u64>,
    /// Whether the loss is to be made large: gradients count with the other sign.
    pub maximize: bool,
}

impl Common {
    /// Whether weights decay.
    pub(crate) fn decays(&self) -> bool {
        self.weight_decay.is_some_and(|decay| decay != 0.0)
    }

    /// Refuses options outside their ranges.
    pub(crate) fn check(&self) -> Result<()> {
        self.learning_rate.check()?;
        for (name, value) in
            [("clipnorm", self.clipnorm), ("clipvalue", self.clipvalue), ("global_clipnorm", self.global_clipnorm)]
        {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Err(Error::option(name, "a finite number above 0", value));
            }
        }
        if [self.clipnorm, self.clipvalue, self.global_clipnorm].iter().flatten().count() > 1 {
            return Err(Error::option("clipnorm", "the only one of clipnorm, clipvalue, global_clipnorm", "several"));
        }
        if let Some(decay) = self.weight_decay.filter(|decay| !(decay.is_finite() && *decay >= 0.0)) {
            return Err(Error::option("weight_decay", "a finite number, at least 0", decay));
        }
        in_unit_range("ema_momentum", self.ema_momentum)?;
        if self.ema_overwrite_frequency == Some(0) {
            return Err(Error::option("ema_overwrite_frequency", "at least 1", 0));
        }
        if matches!(self.gradient_accumulation_steps, Some(0 | 1)) {
            return Err(Error::option(
                "gradient_accumulation_steps",
                "at least 2",
                self.gradient_accumulation_steps.unwrap_or(0),
            ));
        }
        Ok(())
    }
}

/// Refuses a share that is not in 0..=1.
pub(crate) fn in_unit_range(option: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(Error::option(option, "in 0..=1", value)) }
}

/// Refuses a value that is not above 0 and finite.
pub(crate) fn above_zero(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(Error::option(option, "above 0", value)) }
}

/// How gradients change weights: the algorithm, without what all optimizers share.
///
/// ```
/// use gradus::prelude::*;
///
/// /// Moves every weight by the rate, against the sign of its gradient.
/// #[derive(Clone, Debug)]
/// struct SignDescent(Common);
///
/// impl<F: Scalar> Optimizer<F> for SignDescent {
///     fn common(&self) -> Common {
///         self.0.clone()
///     }
///     fn update(&self, step: Step, weights: &mut [F], gradients: &[F], _: &mut [&mut [F]]) {
///         let rate = F::of(step.learning_rate);
///         weights.iter_mut().zip(gradients).for_each(|(w, g)| *w -= rate * g.signum());
///     }
/// }
/// ```
pub trait Optimizer<F: Scalar>: Send + Sync {
    /// The options that all optimizers share.
    fn common(&self) -> Common;

    /// One update of a run of weights. `slots` are the optimizer's own values, as many a weight as
    /// [`slots`](Self::slots) has names.
    fn update(&self, step: Step, weights: &mut [F], gradients: &[F], slots: &mut [&mut [F]]);

    /// The names of the values that are kept for each weight, such as `momentum`; at most four.
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where the values of slot number `slot` start. By default at 0.
    fn slot_start(&self, _slot: usize) -> f64 {
        0.0
    }

    /// Refuses options outside their ranges; called when a model is compiled.
    ///
    /// # Errors
    /// If an option is outside its range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether an update of one weight depends on others of the same parameter (norms): then `update` is called with
    /// whole parameters.
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
    fn common(&self) -> Common {
        (**self).common()
    }
    fn update(&self, step: Step, weights: &mut [F], gradients: &[F], slots: &mut [&mut [F]]) {
        (**self).update(step, weights, gradients, slots);
    }
    fn slots(&self) -> &'static [&'static str] {
        (**self).slots()
    }
    fn slot_start(&self, slot: usize) -> f64 {
        (**self).slot_start(slot)
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

/// [`options!`](crate::config) for an optimizer: adds the options of [`Common`].
macro_rules! optimizer_options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident, learning_rate: $rate:literal, weight_decay: $decay:expr, { $($options:tt)* }
    ) => {
        $crate::config::options! {
            $(#[$meta])*
            pub struct $name {
                #[doc = concat!("The learning rate: a number or a schedule. Default: ", $rate, ".")]
                learning_rate: $crate::schedules::LearningRate = $crate::schedules::LearningRate::Constant($rate) => |rate: impl Into<$crate::schedules::LearningRate>| rate.into(),
                /// Draws weights to zero: w ← w − w·decay·rate, before the update. Default: see the struct.
                weight_decay: Option<f64> = $decay => |decay: impl Into<Option<f64>>| decay.into(),
                /// With false, `weight_decay` is an L2 penalty: decay·w is added to the gradient, as in PyTorch.
                /// Default: true.
                decoupled_weight_decay: bool = true,
                /// The largest norm of each parameter's gradient. Default: none.
                clipnorm: Option<f64> = None => |norm: impl Into<Option<f64>>| norm.into(),
                /// The largest magnitude of a gradient's value. Default: none.
                clipvalue: Option<f64> = None => |value: impl Into<Option<f64>>| value.into(),
                /// The largest norm of all gradients together. Default: none.
                global_clipnorm: Option<f64> = None => |norm: impl Into<Option<f64>>| norm.into(),
                /// Keeps a moving average of the weights, which replaces them when training ends. Default: false.
                use_ema: bool = false,
                /// The share of the old average that stays at each step. Default: 0.99.
                ema_momentum: f64 = 0.99,
                /// After how many updates the average replaces the weights during training. Default: never.
                ema_overwrite_frequency: Option<u64> = None => |updates: impl Into<Option<u64>>| updates.into(),
                /// Over how many steps gradients are averaged before an update. Default: none.
                gradient_accumulation_steps: Option<u64> = None => |steps: impl Into<Option<u64>>| steps.into(),
                /// Whether the loss is to be made large instead of small. Default: false.
                maximize: bool = false,
                /// The optimizer's name. Default: none.
                name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
                $($options)*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            fn common_options(&self) -> $crate::optimizers::Common {
                $crate::optimizers::Common {
                    learning_rate: self.learning_rate.clone(),
                    weight_decay: self.weight_decay,
                    decoupled_weight_decay: self.decoupled_weight_decay,
                    clipnorm: self.clipnorm,
                    clipvalue: self.clipvalue,
                    global_clipnorm: self.global_clipnorm,
                    use_ema: self.use_ema,
                    ema_momentum: self.ema_momentum,
                    ema_overwrite_frequency: self.ema_overwrite_frequency,
                    gradient_accumulation_steps: self.gradient_accumulation_steps,
                    maximize: self.maximize,
                }
            }
        }
    };
}

pub(crate) use optimizer_options;
