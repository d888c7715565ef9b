//! Configuration as data: every layer, loss and optimizer as a JSON object in Keras's words, and back.
//!
//! This is the one path by which architectures are saved, loaded and read from other programs' files.

pub(crate) mod class;

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// The options of an object by name, as Keras's `get_config()` gives them.
pub type Config = Map<String, Value>;

/// A type that can be an option: how it reads and writes itself in Keras's words.
pub trait Setting: Sized {
    /// In Keras's words.
    fn to_value(&self) -> Value;

    /// From Keras's words.
    ///
    /// # Errors
    /// If the value is not of this type: the message names what was expected.
    fn from_value(value: &Value) -> Result<Self>;

    /// Whether [`from_value`](Self::from_value) makes the same of [`to_value`](Self::to_value): not of a custom function,
    /// which has no configuration.
    fn has_config(&self) -> bool {
        true
    }
}

/// An object that is made from a configuration.
pub trait Configured: Sized {
    /// Keras's name of the class, such as `Dense`.
    const CLASS: &'static str;

    /// The options, in Keras's words.
    fn to_config(&self) -> Config;

    /// The object with these options; those left out have their defaults.
    ///
    /// # Errors
    /// An option that does not exist, or a value of the wrong kind.
    fn from_config(config: &Config) -> Result<Self>;

    /// Whether [`from_config`](Self::from_config) makes the same of [`to_config`](Self::to_config). An object that holds
    /// a custom function has no configuration.
    fn has_config(&self) -> bool {
        true
    }
}

/// `{"class_name": …, "config": …}`: an object inside another's configuration.
pub fn object(class: &str, config: Config) -> Value {
    let config = Value::Object(config);
    Value::Object(Config::from_iter([("class_name".to_owned(), json!(class)), ("config".to_owned(), config)]))
}

/// The class and the options of `{"class_name": …, "config": …}`, or of a bare name.
///
/// # Errors
/// If the value is neither.
pub fn class_and_config(value: &Value) -> Result<(String, Config)> {
    match value {
        Value::String(class) => Ok((class.clone(), Config::new())),
        Value::Object(fields) => {
            let class = fields.get("class_name").or_else(|| fields.get("name")).and_then(Value::as_str);
            let class = class.ok_or_else(|| expected("an object with `class_name`", value))?;
            let config = match fields.get("config") {
                Some(Value::Object(config)) => config.clone(),
                None if !fields.contains_key("class_name") => {
                    fields.iter().filter(|(key, _)| *key != "name").map(|(k, v)| (k.clone(), v.clone())).collect()
                }
                None | Some(Value::Null) => Config::new(),
                Some(_) => return Err(expected("an object with `class_name`, whose `config` is an object", value)),
            };
            Ok((class.to_owned(), config))
        }
        _ => Err(expected("a class name or an object with `class_name`", value)),
    }
}

/// The error for a value that is not what an option takes.
pub(crate) fn expected(what: &str, value: &Value) -> Error {
    Error::option("value", what, value)
}

/// Options that Keras writes and that say nothing about the numbers.
const WITHOUT_MEANING: [&str; 15] = [
    "flash_attention",
    "unroll",
    "use_cudnn",
    "implementation",
    "dtype",
    "batch_input_shape",
    "batch_shape",
    "ragged",
    "sparse",
    "optional",
    "quantization_config",
    "is_legacy_optimizer",
    "jit_compile",
    // Of BatchNormalization: over devices, of which there is one here, and a number that only `renorm` uses.
    "synchronized",
    "renorm_momentum",
];

/// An option of any type, or several that belong together: objects read and write all of theirs in one loop, which is
/// compiled once.
pub(crate) trait Field {
    /// Under `name`; several write each under a name that begins with it.
    fn write(&self, name: &str, config: &mut Config);
    /// Where it is given; else it stays as it is.
    fn read(&mut self, name: &str, config: &Config) -> Result<()>;
    fn has_config(&self) -> bool;
}

impl<T: Setting> Field for T {
    fn write(&self, name: &str, config: &mut Config) {
        config.insert(name.to_owned(), self.to_value());
    }
    fn read(&mut self, name: &str, config: &Config) -> Result<()> {
        if let Some(value) = config.get(name) {
            *self = T::from_value(value).map_err(|error| within(error, name))?;
        }
        Ok(())
    }
    fn has_config(&self) -> bool {
        Setting::has_config(self)
    }
}

/// The configuration of these options.
pub(crate) fn write(options: &[(&str, &dyn Field)]) -> Config {
    let mut config = Config::new();
    for (name, option) in options {
        option.write(name, &mut config);
    }
    config
}

/// Sets those of the options that are given.
pub(crate) fn read(config: &Config, options: &mut [(&str, &mut dyn Field)]) -> Result<()> {
    options.iter_mut().try_for_each(|(name, option)| option.read(name, config))
}

/// Whether they all have words.
pub(crate) fn have_words(options: &[&dyn Field]) -> bool {
    options.iter().all(|option| option.has_config())
}

/// What is wrong with an option.
fn within(error: Error, name: &str) -> Error {
    error.within(format!("option `{name}`"))
}

/// Takes the option `name` from `config`, or its default where it is not given.
pub(crate) fn take<T: Setting>(config: &Config, name: &str, default: T) -> Result<T> {
    match config.get(name) {
        None => Ok(default),
        Some(value) => T::from_value(value).map_err(|error| within(error, name)),
    }
}

/// Takes an option that must be given.
pub(crate) fn require<T: Setting>(config: &Config, name: &str) -> Result<T> {
    let value = config.get(name).ok_or_else(|| Error::option(name, "given", "nothing"))?;
    T::from_value(value).map_err(|error| within(error, name))
}

/// Refuses options that are not among `known`, so that none is left out silently.
pub(crate) fn refuse_unknown(config: &Config, known: &[&str]) -> Result<()> {
    for (name, value) in config {
        if !known.contains(&name.as_str()) && !WITHOUT_MEANING.contains(&name.as_str()) && !value.is_null() {
            return Err(Error::unknown("option", name, known.iter().copied()));
        }
    }
    Ok(())
}

impl Setting for bool {
    fn to_value(&self) -> Value {
        json!(self)
    }
    fn from_value(value: &Value) -> Result<Self> {
        value.as_bool().ok_or_else(|| expected("true or false", value))
    }
}

impl Setting for f64 {
    /// Infinities and NaN, which JSON lacks, are the strings `inf`, `-inf`, `nan`.
    fn to_value(&self) -> Value {
        if self.is_finite() { json!(self) } else { json!(self.to_string().to_lowercase()) }
    }
    fn from_value(value: &Value) -> Result<Self> {
        let number = match value {
            Value::String(text) => text.parse().ok(),
            _ => value.as_f64(),
        };
        number.ok_or_else(|| expected("a number", value))
    }
}

macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl Setting for $type {
            fn to_value(&self) -> Value {
                json!(self)
            }
            /// A list of one is that one, as Keras writes some.
            fn from_value(given: &Value) -> Result<Self> {
                let value = given.as_array().filter(|list| list.len() == 1).map_or(given, |list| &list[0]);
                // Wide enough for all of `i64` and `u64`.
                let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
                let whole = whole.or_else(|| {
                    // 2.0 is a whole number too; beyond 2^53 a float no longer tells.
                    value.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| {
                        #[allow(clippy::cast_possible_truncation)] // whole and within range
                        let whole = x as i128;
                        whole
                    })
                });
                whole
                    .and_then(|whole| <$type>::try_from(whole).ok())
                    .ok_or_else(|| expected("a whole number within range", given))
            }
        }
    )*};
}

whole_numbers!(usize u32 u64 i64 isize);

impl Setting for String {
    fn to_value(&self) -> Value {
        json!(self)
    }
    fn from_value(value: &Value) -> Result<Self> {
        value.as_str().map(str::to_owned).ok_or_else(|| expected("a string", value))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn from_value(value: &Value) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
    fn has_config(&self) -> bool {
        self.as_ref().is_none_or(T::has_config)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn to_value(&self) -> Value {
        self.iter().map(T::to_value).collect()
    }
    /// A single value is a list of one.
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Array(items) => items.iter().map(T::from_value).collect(),
            one => T::from_value(one).map(|one| vec![one]),
        }
    }
}

impl<T: Setting + Copy, const N: usize> Setting for [T; N] {
    fn to_value(&self) -> Value {
        self.iter().map(T::to_value).collect()
    }
    /// A single value counts for every axis, as in Keras.
    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Array(items) => {
                let items: Vec<T> = items.iter().map(T::from_value).collect::<Result<_>>()?;
                items.try_into().map_err(|_| expected(&format!("{N} values"), value))
            }
            one => Ok([T::from_value(one)?; N]),
        }
    }
}

/// The words by which configurations name the variants of an enum.
macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $crate::config::Setting for $type {
            fn to_value(&self) -> serde_json::Value {
                serde_json::json!(match self {
                    $(Self::$variant => $word,)+
                })
            }
            fn from_value(value: &serde_json::Value) -> $crate::Result<Self> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)+
                    _ => Err($crate::config::expected(concat!("one of" $(, " ", $word)+), value)),
                }
            }
        }
    };
}

/// Declares an object by its options, each once: the struct, `new`, a setter an option, and the configuration in
/// Keras's words both ways.
///
/// ```text
/// options! {
///     /// What it is.
///     pub struct Dense(units: usize) {          // in brackets: what `new` takes
///         /// What the option does, and its default.
///         use_bias: bool = true,
///         /// An option whose setter takes something more convenient.
///         activation: Activation = Activation::Linear,
///     }
///     weights {                                 // of a layer: a `Weight` each, and the setters of its three options
///         kernel: "the kernel" = Initializer::GlorotUniform => "Glorot uniform",
///     }
/// }
/// ```
macro_rules! options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(as $class:literal)? $(($($(#[$required_meta:meta])* $required:ident: $required_type:ty $(=> $required_given:ty)?),* $(,)?))? {
            $($(#[$option_meta:meta])* $option:ident: $type:ty = $default:expr $(=> |$value:ident: $given:ty| $conversion:expr)?),* $(,)?
        }
        $(weights { $($weight:ident: $what:literal = $start:expr => $words:literal),* $(,)? })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($($(#[$required_meta])* pub(crate) $required: $required_type,)*)?
            $(pub(crate) $option: $type,)*
            $($(pub(crate) $weight: $crate::layers::Weight,)*)?
        }

        #[allow(clippy::new_without_default)] // where nothing is required, `Default` is there
        impl $name {
            /// With every option at its default.
            #[allow(clippy::useless_conversion)] // where nothing more convenient is taken
            pub fn new($($($required: $crate::config::given!($required_type $(=> $required_given)?)),*)?) -> Self {
                Self {
                    $($($required: $required.into(),)*)?
                    $($option: $default,)*
                    $($($weight: $crate::layers::Weight::new($start),)*)?
                }
            }

            $($crate::config::setter! { $(#[$option_meta])* $option: $type $(=> |$value: $given| $conversion)? })*
            $($($crate::config::weight_setters! { $weight; $what, $words })*)?
        }

        impl $crate::config::Configured for $name {
            const CLASS: &'static str = $crate::config::class_name!($name $($class)?);

            fn to_config(&self) -> $crate::config::Config {
                $crate::config::write(&[
                    $($((stringify!($required), &self.$required),)*)?
                    $((stringify!($option), &self.$option),)*
                    $($((stringify!($weight), &self.$weight),)*)?
                ])
            }

            fn from_config(config: &$crate::config::Config) -> $crate::Result<Self> {
                $crate::config::refuse_unknown(config, &[
                    $($(stringify!($required),)*)?
                    $(stringify!($option),)*
                    $($(
                        concat!(stringify!($weight), "_initializer"),
                        concat!(stringify!($weight), "_regularizer"),
                        concat!(stringify!($weight), "_constraint"),
                    )*)?
                ])?;
                #[allow(unused_mut)] // where nothing is an option
                let mut made = Self {
                    $($($required: $crate::config::require(config, stringify!($required))?,)*)?
                    $($option: $default,)*
                    $($($weight: $crate::layers::Weight::new($start),)*)?
                };
                $crate::config::read(config, &mut [
                    $((stringify!($option), &mut made.$option),)*
                    $($((stringify!($weight), &mut made.$weight),)*)?
                ])?;
                Ok(made)
            }

            fn has_config(&self) -> bool {
                $crate::config::have_words(&[$($(&self.$required,)*)? $(&self.$option,)* $($(&self.$weight,)*)?])
            }
        }
    };
}

/// The type that `new` takes: the option's own, or something more convenient that turns into it.
macro_rules! given {
    ($type:ty) => {
        $type
    };
    ($type:ty => $given:ty) => {
        $given
    };
}

macro_rules! class_name {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $class:literal) => {
        $class
    };
}

macro_rules! setter {
    ($(#[$meta:meta])* $option:ident: $type:ty) => {
        $(#[$meta])*
        pub fn $option(mut self, $option: $type) -> Self {
            self.$option = $option;
            self
        }
    };
    ($(#[$meta:meta])* $option:ident: $type:ty => |$value:ident: $given:ty| $conversion:expr) => {
        $(#[$meta])*
        pub fn $option(mut self, $value: $given) -> Self {
            self.$option = $conversion;
            self
        }
    };
}

/// The setters of a [`Weight`](crate::layers::Weight) in the field of its name, of `self` or of a part of it: a row for
/// each name there is, since a macro cannot put names together.
macro_rules! weight_setters {
    (
        $weight:ident $initializer:ident $regularizer:ident $constraint:ident
        $(in $part:ident)?; $what:literal, $start:literal
    ) => {
        #[doc = concat!("How ", $what, " starts. Default: ", $start, ".")]
        pub fn $initializer(mut self, initializer: $crate::initializers::Initializer) -> Self {
            self.$($part.)?$weight.initializer = initializer;
            self
        }
        #[doc = concat!("A regularizer of ", $what, ". Default: none.")]
        pub fn $regularizer(mut self, regularizer: impl Into<Option<$crate::regularizers::Regularizer>>) -> Self {
            self.$($part.)?$weight.regularizer = regularizer.into();
            self
        }
        #[doc = concat!("What ", $what, " is held to after each update. Default: nothing.")]
        pub fn $constraint(mut self, constraint: impl Into<Option<$crate::constraints::Constraint>>) -> Self {
            self.$($part.)?$weight.constraint = constraint.into();
            self
        }
    };
    (kernel $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { kernel kernel_initializer kernel_regularizer kernel_constraint $(in $part)?; $($words)* }
    };
    (recurrent $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { recurrent recurrent_initializer recurrent_regularizer recurrent_constraint $(in $part)?; $($words)* }
    };
    (bias $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { bias bias_initializer bias_regularizer bias_constraint $(in $part)?; $($words)* }
    };
    (depthwise $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { depthwise depthwise_initializer depthwise_regularizer depthwise_constraint $(in $part)?; $($words)* }
    };
    (pointwise $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { pointwise pointwise_initializer pointwise_regularizer pointwise_constraint $(in $part)?; $($words)* }
    };
    (embeddings $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { embeddings embeddings_initializer embeddings_regularizer embeddings_constraint $(in $part)?; $($words)* }
    };
    (gamma $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { gamma gamma_initializer gamma_regularizer gamma_constraint $(in $part)?; $($words)* }
    };
    (beta $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { beta beta_initializer beta_regularizer beta_constraint $(in $part)?; $($words)* }
    };
    (alpha $(in $part:ident)?; $($words:tt)*) => {
        $crate::config::weight_setters! { alpha alpha_initializer alpha_regularizer alpha_constraint $(in $part)?; $($words)* }
    };
}

/// [`options!`] for a layer: adds `name` and `trainable`.
macro_rules! layer_options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(as $class:literal)? $(($($required:tt)*))? { $($options:tt)* }
        $(weights $weights:tt)?
    ) => {
        $crate::config::options! {
            $(#[$meta])*
            pub struct $name $(as $class)? $(($($required)*))? {
                /// The layer's name within its model. Default: the class in snake case, numbered where it repeats.
                name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
                /// Whether training changes the layer's parameters. Default: true.
                trainable: bool = true,
                $($options)*
            }
            $(weights $weights)?
        }
    };
}

pub(crate) use {class_name, given, layer_options, options, setter, weight_setters, words};
