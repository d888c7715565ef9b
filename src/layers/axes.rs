//! One axis or several, as an option.

use serde_json::{Value, json};

use crate::config::Setting;
use crate::{Error, Result};

/// One axis or several, counted with the batch as axis 0, or from the end if negative: `1`, `-1`, `[1, 2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes(Vec<isize>);

impl Axes {
    /// As they were given.
    pub fn as_slice(&self) -> &[isize] {
        &self.0
    }

    /// The axis that number `i` means in a tensor of `rank` axes, the batch included; a single one stands for all.
    ///
    /// # Errors
    /// If it is the batch, or there is none. The message calls the option `option`.
    pub(crate) fn resolve(&self, option: &str, i: usize, rank: usize) -> Result<usize> {
        let axis =
            *self.0.get(i).or(self.0.first()).ok_or_else(|| Error::option(option, "at least one axis", "none"))?;
        resolve(option, axis, rank)
    }
}

/// The axis that `axis` means in a tensor of `rank` axes, the batch included.
///
/// # Errors
/// If it is the batch, or there is none. The message calls the option `option`.
pub(crate) fn resolve(option: &str, axis: isize, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { rank.checked_add_signed(axis) } else { usize::try_from(axis).ok() };
    counted
        .filter(|&counted| counted > 0 && counted < rank)
        .ok_or_else(|| Error::option(option, format!("an axis of {rank} other than the batch"), axis))
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        Self(vec![axis])
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        Self(axes.to_vec())
    }
}

impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Self {
        Self(axes)
    }
}

impl Setting for Axes {
    /// A single axis is a number, as in Keras.
    fn to_value(&self) -> Value {
        match self.0.as_slice() {
            [axis] => json!(axis),
            axes => json!(axes),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        Vec::from_value(value).map(Self)
    }
}
