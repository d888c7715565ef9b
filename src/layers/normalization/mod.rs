//! Normalization: values brought to mean 0 and variance 1, or to length 1, and scaled anew by learned factors.

mod batch;
mod fixed;
mod group;
mod rows;

pub use batch::BatchNormalization;
pub use fixed::{FeatureStatistics, Normalization};
pub use group::GroupNormalization;
pub use rows::{LayerNormalization, RMSNormalization, UnitNormalization};

use super::axes::resolve;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::kernels::normalization::Channels;
use crate::regularizers::Regularizer;
use crate::tensor::volume;
use crate::{Error, Result, Scalar};

/// Adds `gamma` and `beta` of the shape `$shape`, those of them that `$layer` has.
macro_rules! add_gamma_and_beta {
    ($layer:ident, $shape:expr, $params:ident, gamma: $has_gamma:expr, beta: $has_beta:expr) => {
        if $has_gamma {
            $params
                .add("gamma", $shape, &$layer.gamma_initializer)?
                .regularizer($layer.gamma_regularizer.as_ref())
                .constraint($layer.gamma_constraint.as_ref());
        }
        if $has_beta {
            $params
                .add("beta", $shape, &$layer.beta_initializer)?
                .regularizer($layer.beta_regularizer.as_ref())
                .constraint($layer.beta_constraint.as_ref());
        }
    };
}
use add_gamma_and_beta;

fn check_epsilon(epsilon: f64) -> Result<()> {
    if epsilon.is_finite() && epsilon >= 0.0 {
        Ok(())
    } else {
        Err(Error::option("epsilon", "a finite number, at least 0", epsilon))
    }
}

/// How an array of the shape `shape`, the batch included, is seen as channels along `axis`.
fn channels(axis: isize, shape: &[usize]) -> Result<Channels> {
    let axis = resolve("axis", axis, shape.len())?;
    Ok(Channels { count: shape[axis], inner: volume(&shape[axis + 1..]) })
}

/// Makes room for `n` values and clears them.
fn zeros<F: Scalar>(values: &mut Vec<F>, n: usize) -> &mut [F] {
    values.clear();
    values.resize(n, F::zero());
    values
}
