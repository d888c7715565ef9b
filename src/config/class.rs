//! An object as Keras writes it down: a name, or a class name with its options.

use serde_json::{Value, json};

use super::{Config, class_and_config};
use crate::{Error, Result};

/// `"glorot_uniform"` or `{"class_name": "GlorotUniform", "config": {…}}`, taken apart.
pub(crate) struct ClassConfig {
    /// The name as it stands there.
    pub class: String,
    options: Config,
}

impl ClassConfig {
    /// `kind` says in an error what the value should have been: `initializer`.
    pub fn read(kind: &str, value: &Value) -> Result<Self> {
        let refuse = |_| Error::option(kind, r#"a name or {"class_name": …, "config": {…}}"#, value);
        let (class, options) = class_and_config(value).map_err(refuse)?;
        Ok(Self { class, options })
    }

    /// Refuses an option that is none of `names`, unless it is null.
    pub fn only(&self, names: &[&str]) -> Result<()> {
        for (name, value) in &self.options {
            if !names.contains(&name.as_str()) && !value.is_null() {
                return Err(Error::unknown("option", name, names.iter().copied()).within(self.class.as_str()));
            }
        }
        Ok(())
    }

    /// The option `name`, if it is given and not null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.options.get(name).filter(|v| !v.is_null())
    }

    /// The number `name`, or its default.
    pub fn number(&self, name: &str, default: f64) -> Result<f64> {
        self.get(name).map_or(Ok(default), |v| v.as_f64().ok_or_else(|| Error::option(name, "a number", v)))
    }

    /// The text `name`, or its default.
    pub fn text(&self, name: &str, default: &'static str) -> Result<&str> {
        self.get(name).map_or(Ok(default), |v| v.as_str().ok_or_else(|| Error::option(name, "a text", v)))
    }
}

/// The form in which Keras 3 saves an object of `keras.<module>`.
#[allow(clippy::needless_pass_by_value)] // `json!` takes it whole
pub(crate) fn write(module: &str, class: &str, options: Value) -> Value {
    json!({ "module": format!("keras.{module}"), "class_name": class, "config": options, "registered_name": null })
}

/// The number itself if `allowed`, else an error that says which are.
pub(crate) fn checked(name: &str, value: f64, allowed: bool, expected: &str) -> Result<()> {
    if allowed && value.is_finite() { Ok(()) } else { Err(Error::option(name, expected, value)) }
}
