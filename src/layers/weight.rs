//! What a layer's options say of a weight.

use crate::Result;
use crate::config::{Config, Field};
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;

/// How a weight starts, what it costs, and what it is held to: three options of a layer, `kernel_initializer`,
/// `kernel_regularizer` and `kernel_constraint`, that are declared together, and together given to the parameter by
/// [`ParamBuilder::add_weight`](super::ParamBuilder::add_weight).
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub initializer: Initializer,
    pub regularizer: Option<Regularizer>,
    pub constraint: Option<Constraint>,
}

impl Weight {
    /// Without regularizer and constraint.
    pub fn new(initializer: Initializer) -> Self {
        Self { initializer, regularizer: None, constraint: None }
    }
}

impl Field for Weight {
    fn write(&self, name: &str, config: &mut Config) {
        self.initializer.write(&format!("{name}_initializer"), config);
        self.regularizer.write(&format!("{name}_regularizer"), config);
        self.constraint.write(&format!("{name}_constraint"), config);
    }

    fn read(&mut self, name: &str, config: &Config) -> Result<()> {
        self.initializer.read(&format!("{name}_initializer"), config)?;
        self.regularizer.read(&format!("{name}_regularizer"), config)?;
        self.constraint.read(&format!("{name}_constraint"), config)
    }

    fn has_config(&self) -> bool {
        let parts: [&dyn Field; 3] = [&self.initializer, &self.regularizer, &self.constraint];
        parts.into_iter().all(Field::has_config)
    }
}
