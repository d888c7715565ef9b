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
use super::{ParamBuilder, Weight};
use crate::kernels::normalization::Channels;
use crate::tensor::volume;
use crate::{Error, Result, Scalar};

/// Adds those of `gamma` and `beta` that a layer has.
fn add_gamma_and_beta<F: Scalar>(
    params: &mut ParamBuilder<'_, F>,
    shape: &[usize],
    gamma: Option<&Weight>,
    beta: Option<&Weight>,
) -> Result<()> {
    for (name, weight) in [("gamma", gamma), ("beta", beta)] {
        if let Some(weight) = weight {
            params.add_weight(name, shape, weight)?;
        }
    }
    Ok(())
}

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
