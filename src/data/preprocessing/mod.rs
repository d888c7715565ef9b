//! Preparing numbers for a network: what is learned from the training data is applied to all other data.
//!
//! A step is made with its options, `fit` on the training data, and then transforms any data of as many columns. It is saved, with
//! what it has learned, in a file of [`Steps`].
//!
//! ```
//! use gradus::data::preprocessing::StandardScaler;
//! use ndarray::array;
//!
//! let train = array![[1.0f32, 100.0], [3.0, 300.0]];
//! let scaler = StandardScaler::new().fit(&train)?;
//! assert_eq!(scaler.transform(&train)?, array![[-1.0, -1.0], [1.0, 1.0]]);
//!
//! assert_eq!(scaler.transform(&array![[2.0f32, 400.0]])?, array![[0.0, 2.0]]);
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! # Errors
//! Every step refuses tables without rows, infinite values, another number of columns than it was fitted on
//! ([`Data`](crate::Error::Data)), and to transform before it was fitted ([`NotReady`](crate::Error::NotReady)). NaN stands for a missing
//! value: scalers leave it out when they are fitted and keep it, [`SimpleImputer`] fills it in, the others refuse it.

mod cleaning;
#[cfg(feature = "csv")]
mod columns;
mod date_features;
mod encoders;
mod imputer;
mod saving;
mod scalers;

pub use cleaning::{
    balanced_class_weights, duplicate_rows, interpolate_missing, iqr_outliers, median_filter, moving_average,
    z_score_outliers,
};
#[cfg(feature = "csv")]
pub use columns::{ColumnTransformer, Scaler};
pub use date_features::{DateFeatures, DatePart};
pub use encoders::{LabelEncoder, OneHotEncoder, OrdinalEncoder};
pub use imputer::{Fill, SimpleImputer};
pub(crate) use saving::STEPS;
pub use saving::Steps;
pub use scalers::{MaxAbsScaler, MinMaxScaler, Norm, Normalizer, RobustScaler, StandardScaler};

use ndarray::{ArrayRef, Ix1, Ix2};

use crate::error::show;
use crate::{Error, Result, Scalar};

/// Refuses a table without rows or columns, infinities, and NaN where it has no meaning.
fn check_table<F: Scalar>(call: &str, x: &ArrayRef<F, Ix2>, missing_allowed: bool) -> Result<()> {
    if x.is_empty() {
        return Err(Error::data(call, "a table with rows and columns", show(x.shape())));
    }
    let wrong = |value: &F| value.is_infinite() || (!missing_allowed && value.is_nan());
    match x.indexed_iter().find(|(_, value)| wrong(value)) {
        None => Ok(()),
        Some(((row, column), value)) => {
            Err(Error::data(call, "finite numbers", format!("{value} at row {row}, column {column}")))
        }
    }
}

/// What a step learned, of as many columns as the table has.
fn learned<'s, T>(call: &'static str, values: Option<&'s Vec<T>>, columns: usize) -> Result<&'s [T]> {
    let values = values.ok_or(Error::NotReady { call, needs: "fit it on training data first" })?;
    if values.len() == columns {
        return Ok(values);
    }
    Err(Error::data(call, format!("{} columns, as it was fitted on", values.len()), columns.to_string()))
}

/// The numbers of a column that are there.
fn present<F: Scalar>(column: &ArrayRef<F, Ix1>) -> Vec<f64> {
    column.iter().map(|value| value.f64()).filter(|value| !value.is_nan()).collect()
}

/// Summed from the first value on: that of a constant is the constant, however large.
fn mean(values: &[f64]) -> f64 {
    let first = values.first().copied().unwrap_or_default();
    first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
}

/// The value below which the share `q` of sorted values lies, on the line between the two nearest.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place within the values
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}
