//! The options that all optimizers share.

use serde_json::{Value, json};

use crate::config::{self, Config, Configured, Setting};
use crate::schedules::LearningRate;
use crate::{Error, Result};

/// The options that all optimizers share; each of the crate's own optimizers has a setter for every one.
///
/// # Defaults
/// A rate of 0.001; no decay, clipping, moving average, accumulation or multipliers.
/// # Example
/// ```
/// use gradus::custom::*;
/// let options = OptimizerOptions::new(0.01).weight_decay(0.1).clipnorm(1.0);
/// assert_eq!(options.clipnorm, Some(1.0));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OptimizerOptions {
    /// The rate, or a schedule of it.
    pub learning_rate: LearningRate,
    /// What the rate is multiplied by in some layers: see
    /// [`learning_rate_multipliers`](Self::learning_rate_multipliers()).
    pub learning_rate_multipliers: Multipliers,
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

impl Default for OptimizerOptions {
    /// With a rate of 0.001.
    fn default() -> Self {
        Self::new(0.001)
    }
}

/// Setters of [`OptimizerOptions`].
macro_rules! setters {
    ($($(#[$meta:meta])* $option:ident($given:ty)),* $(,)?) => {$(
        $(#[$meta])*
        #[must_use]
        pub fn $option(mut self, $option: $given) -> Self {
            self.$option = $option.into();
            self
        }
    )*};
}

#[allow(clippy::useless_conversion)] // where nothing more convenient is taken
impl OptimizerOptions {
    /// With a rate, or a schedule of it; all else at its default.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Self {
        Self {
            learning_rate: learning_rate.into(),
            learning_rate_multipliers: Multipliers::default(),
            weight_decay: None,
            decoupled_weight_decay: true,
            clipnorm: None,
            clipvalue: None,
            global_clipnorm: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            gradient_accumulation_steps: None,
            maximize: false,
        }
    }

    setters! {
        /// The learning rate: a number or a schedule.
        learning_rate(impl Into<LearningRate>),
        /// What the rate is multiplied by in some layers, by their names or what these begin with: `("encoder", 0.1)` is
        /// for the layer `encoder` and for all in `encoder/`. Of several that fit, the longest counts.
        learning_rate_multipliers(impl Into<Multipliers>),
        /// Draws weights to zero: w ← w − w·decay·rate, before the update. Default: none.
        weight_decay(impl Into<Option<f64>>),
        /// With false, `weight_decay` is an L2 penalty: decay·w is added to the gradient. Default: true.
        decoupled_weight_decay(bool),
        /// The largest norm of each parameter's gradient. Default: none.
        clipnorm(impl Into<Option<f64>>),
        /// The largest magnitude of a gradient's value. Default: none.
        clipvalue(impl Into<Option<f64>>),
        /// The largest norm of all gradients together. Default: none.
        global_clipnorm(impl Into<Option<f64>>),
        /// Keeps a moving average of the weights, which replaces them when training ends. Default: false.
        use_ema(bool),
        /// The share of the old average that stays at each step. Default: 0.99.
        ema_momentum(f64),
        /// After how many updates the average replaces the weights during training. Default: never.
        ema_overwrite_frequency(impl Into<Option<u64>>),
        /// Over how many steps gradients are averaged before an update. Default: none.
        gradient_accumulation_steps(impl Into<Option<u64>>),
        /// Whether the loss is to be made large instead of small. Default: false.
        maximize(bool),
    }

    /// Refuses options outside their ranges.
    pub(crate) fn check(&self) -> Result<()> {
        self.learning_rate.check()?;
        self.learning_rate_multipliers.check()?;
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
        if let Some(decay) = self.weight_decay {
            at_least_zero("weight_decay", decay)?;
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

/// Refuses a value that is negative or not finite.
pub(crate) fn at_least_zero(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::option(option, "a finite number, at least 0", value))
    }
}

/// What the learning rate is multiplied by in some layers: names, or what names begin with, and numbers.
///
/// ```
/// use gradus::prelude::*;
/// let slow = Adam::new().learning_rate_multipliers([("encoder", 0.1), ("encoder/head", 1.0)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multipliers(Vec<(String, f64)>);

impl<S: Into<String>, I: IntoIterator<Item = (S, f64)>> From<I> for Multipliers {
    fn from(multipliers: I) -> Self {
        Self(multipliers.into_iter().map(|(name, multiplier)| (name.into(), multiplier)).collect())
    }
}

impl Multipliers {
    fn check(&self) -> Result<()> {
        let option = |name: &str| format!("learning_rate_multipliers of `{name}`");
        for (i, (name, multiplier)) in self.0.iter().enumerate() {
            at_least_zero(&option(name), *multiplier)?;
            if self.0[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::option(option(name), "given once", "twice"));
            }
        }
        Ok(())
    }

    /// What counts for the parameter of this path.
    pub(crate) fn of(&self, path: &str) -> f64 {
        let fitting = self.0.iter().filter(|(name, _)| begins_with(path, name));
        fitting.max_by_key(|(name, _)| name.len()).map_or(1.0, |(_, multiplier)| *multiplier)
    }

    /// Refuses names that none of these parameters has in its path.
    pub(crate) fn check_names(&self, paths: &[&str], layers: &[&str]) -> Result<()> {
        match self.0.iter().find(|(name, _)| !paths.iter().any(|path| begins_with(path, name))) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Error::unknown("layer with a learning-rate multiplier", name, layers.iter().copied()))
            }
        }
    }
}

/// Whether `path` is `name`, or goes on behind it with a slash, which `name` may end with.
fn begins_with(path: &str, name: &str) -> bool {
    let name = name.strip_suffix('/').unwrap_or(name);
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An object of names and numbers; null where there are none, which earlier versions read too.
impl Setting for Multipliers {
    fn to_value(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let fields = self.0.iter().map(|(name, multiplier)| (name.clone(), json!(multiplier)));
        Value::Object(fields.collect::<Config>())
    }
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(fields) => {
                let read = |(name, value): (&String, &Value)| Ok((name.clone(), f64::from_value(value)?));
                Ok(Self(fields.iter().map(read).collect::<Result<_>>()?))
            }
            _ => Err(config::expected("an object of names and numbers", value)),
        }
    }
}

/// [`options!`](crate::config) for an optimizer: adds [`OptimizerOptions`].
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
                /// What the rate is multiplied by in some layers, by their names or what these begin with: `("encoder", 0.1)`
                /// is for the layer `encoder` and for all in `encoder/`. Of several that fit, the longest counts.
                /// Default: none.
                learning_rate_multipliers: $crate::optimizers::Multipliers = $crate::optimizers::Multipliers::default() => |multipliers: impl Into<$crate::optimizers::Multipliers>| multipliers.into(),
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
            fn shared_options(&self) -> $crate::optimizers::OptimizerOptions {
                $crate::optimizers::OptimizerOptions {
                    learning_rate: self.learning_rate.clone(),
                    learning_rate_multipliers: self.learning_rate_multipliers.clone(),
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

/// What every optimizer made by [`optimizer_options!`] answers alike, inside its `impl Optimizer`.
macro_rules! shared_methods {
    () => {
        fn options(&self) -> $crate::optimizers::OptimizerOptions {
            self.shared_options()
        }

        fn describe(&self) -> Option<(String, $crate::config::Config)> {
            $crate::optimizers::options::describe(self)
        }
    };
}

/// Class and options; none if one of them has no configuration.
pub(crate) fn describe<T: Configured>(optimizer: &T) -> Option<(String, Config)> {
    optimizer.has_config().then(|| (T::CLASS.into(), optimizer.to_config()))
}

pub(crate) use {optimizer_options, shared_methods};
