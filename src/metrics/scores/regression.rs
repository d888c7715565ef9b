//! How far predicted numbers are off.

use ndarray::{Array1, Array2, ArrayRef, Axis, Dimension, Ix1, Ix2};

use super::targets::{check_weights, numbers, weight};
use super::{Regression, refuse_others};
use crate::config::Configured;
use crate::error::show;
use crate::{Error, Result, Scalar};

/// Targets and predictions, a column an output.
struct Outputs<'w> {
    truth: Array2<f64>,
    predicted: Array2<f64>,
    weights: Option<&'w [f64]>,
}

impl<'w> Outputs<'w> {
    fn read<F: Scalar, D: Dimension>(
        call: &str,
        y_true: &ArrayRef<F, D>,
        y_pred: &ArrayRef<F, D>,
        options: &'w Regression,
        known: &[&str],
    ) -> Result<Self> {
        refuse_others(call, options.to_config(), known)?;
        if y_true.shape() != y_pred.shape() {
            let expected = format!("y_pred of the shape of y_true, {}", show(y_true.shape()));
            return Err(Error::data(call, expected, show(y_pred.shape())));
        }
        let table = |what, values| {
            let (values, columns) = numbers(call, what, values)?;
            let rows = values.len() / columns;
            Ok::<_, Error>(Array2::from_shape_vec((rows, columns), values).expect("rows of columns"))
        };
        let (truth, predicted) = (table("y_true", y_true)?, table("y_pred", y_pred)?);
        let weights = check_weights(call, options.sample_weight.as_ref(), truth.nrows())?;
        Ok(Self { truth, predicted, weights })
    }

    /// The weighted mean over the rows of a measure of each error, for each output.
    fn means(&self, measure: impl Fn(f64, f64) -> f64) -> Array1<f64> {
        let column = |(t, p): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| {
            super::mean(t.iter().zip(p).map(|(&t, &p)| measure(t, p)), self.weights)
        };
        self.truth.columns().into_iter().zip(self.predicted.columns()).map(column).collect()
    }
}

/// The mean over the outputs: by `output_weights`, by `variances` if that is asked for, or alike.
fn over_outputs(call: &str, each: &Array1<f64>, options: &Regression, variances: Option<&Array1<f64>>) -> Result<f64> {
    let by_variance = variances.filter(|v| options.variance_weighted == Some(true) && v.iter().any(|&v| v != 0.0));
    let weights = match &options.output_weights {
        Some(_) if options.variance_weighted == Some(true) => {
            return Err(
                Error::option("output_weights", "left out where outputs count by variance", "weights").within(call)
            );
        }
        Some(weights) if weights.len() != each.len() => {
            let expected = format!("{} values, one an output", each.len());
            return Err(Error::option("output_weights", expected, weights.len()).within(call));
        }
        Some(weights) if !(weights.iter().sum::<f64>() > 0.0) => {
            return Err(Error::option("output_weights", "of a sum above 0", format!("{weights:?}")).within(call));
        }
        Some(weights) => Some(weights.as_slice()),
        None => by_variance.and_then(|variances| variances.as_slice()),
    };
    Ok(super::mean(each.iter().copied(), weights))
}

/// Declares an error that is a mean over rows and outputs.
macro_rules! mean_error {
    ($(#[$meta:meta])* $name:ident, |$outputs:ident| $each:expr) => {
        $(#[$meta])*
        pub fn $name<F: Scalar, D: Dimension>(
            y_true: &ArrayRef<F, D>,
            y_pred: &ArrayRef<F, D>,
            options: &Regression,
        ) -> Result<f64> {
            let call = stringify!($name);
            let $outputs = Outputs::read(call, y_true, y_pred, options, &["output_weights"])?;
            over_outputs(call, &$each, options, None)
        }
    };
}

mean_error! {
    /// The mean of (ŷ − y)².
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores).
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, mean_squared_error};
    /// use ndarray::array;
    /// assert_eq!(mean_squared_error(&array![3.0, -0.5, 2.0, 7.0], &array![2.5, 0.0, 2.0, 8.0], &Regression::new())?, 0.375);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `mean_squared_error`.
    mean_squared_error, |outputs| outputs.means(|t, p| (t - p) * (t - p))
}

mean_error! {
    /// The root of [`mean_squared_error`] of each output, then the mean over them.
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores).
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, root_mean_squared_error};
    /// use ndarray::array;
    /// assert_eq!(root_mean_squared_error(&array![1.0, 2.0], &array![4.0, 5.0], &Regression::new())?, 3.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `root_mean_squared_error`.
    root_mean_squared_error, |outputs| outputs.means(|t, p| (t - p) * (t - p)).mapv(f64::sqrt)
}

mean_error! {
    /// The mean of |ŷ − y|.
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores).
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, mean_absolute_error};
    /// use ndarray::array;
    /// assert_eq!(mean_absolute_error(&array![3.0, -0.5, 2.0, 7.0], &array![2.5, 0.0, 2.0, 8.0], &Regression::new())?, 0.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `mean_absolute_error`.
    mean_absolute_error, |outputs| outputs.means(|t, p| (t - p).abs())
}

mean_error! {
    /// The mean of |ŷ − y| / max(|y|, ε) with ε = 2.2·10⁻¹⁶: a fraction, not a percentage.
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores).
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, mean_absolute_percentage_error};
    /// use ndarray::array;
    /// assert_eq!(mean_absolute_percentage_error(&array![2.0, 4.0], &array![1.0, 4.0], &Regression::new())?, 0.25);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `mean_absolute_percentage_error`.
    mean_absolute_percentage_error, |outputs| outputs.means(|t, p| (p - t).abs() / t.abs().max(f64::EPSILON))
}

/// Squared differences of log(1 + y), which values of −1 and less do not have.
fn squared_log_errors(call: &str, outputs: &Outputs<'_>) -> Result<Array1<f64>> {
    for (what, values) in [("y_true", &outputs.truth), ("y_pred", &outputs.predicted)] {
        if let Some(((row, _), value)) = values.indexed_iter().find(|(_, value)| **value <= -1.0) {
            return Err(Error::data(call, format!("values above -1 in {what}"), format!("{value} at row {row}")));
        }
    }
    Ok(outputs.means(|t, p| (t.ln_1p() - p.ln_1p()).powi(2)))
}

mean_error! {
    /// The mean of (log(1 + ŷ) − log(1 + y))².
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also values of −1 and less.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, mean_squared_log_error};
    /// use ndarray::array;
    /// let error = mean_squared_log_error(&array![0.0f64, 1.0], &array![1.0, 0.0], &Regression::new())?;
    /// assert!((error - 2.0f64.ln().powi(2)).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `mean_squared_log_error`.
    mean_squared_log_error, |outputs| squared_log_errors("mean_squared_log_error", &outputs)?
}

mean_error! {
    /// The root of [`mean_squared_log_error`] of each output, then the mean over them.
    ///
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also values of −1 and less.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, root_mean_squared_log_error};
    /// use ndarray::array;
    /// let error = root_mean_squared_log_error(&array![0.0f64, 1.0], &array![1.0, 0.0], &Regression::new())?;
    /// assert!((error - 2.0f64.ln()).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `root_mean_squared_log_error`.
    root_mean_squared_log_error, |outputs| squared_log_errors("root_mean_squared_log_error", &outputs)?.mapv(f64::sqrt)
}

mean_error! {
    /// The median of |ŷ − y|, which a few wild values do not move.
    ///
    /// With weights: the error at which half the weight is reached, or the mean with the next where it is reached exactly.
    /// Knows `sample_weight`, `output_weights`.
    ///
    /// # Shapes
    /// (n) or (n, outputs).
    /// # Errors
    /// See [`scores`](crate::metrics::scores).
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Regression, median_absolute_error};
    /// use ndarray::array;
    /// assert_eq!(median_absolute_error(&array![3.0, -0.5, 2.0, 7.0], &array![2.5, 0.0, 2.0, 8.0], &Regression::new())?, 0.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `median_absolute_error`.
    median_absolute_error, |outputs| {
        let errors = (&outputs.truth - &outputs.predicted).mapv(f64::abs);
        errors.columns().into_iter().map(|column| median(&column.to_vec(), outputs.weights)).collect::<Array1<f64>>()
    }
}

fn median(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let mut sorted: Vec<(f64, f64)> = values.iter().enumerate().map(|(row, &v)| (v, weight(weights, row))).collect();
    sorted.retain(|&(_, w)| w > 0.0);
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = sorted.iter().map(|(_, w)| w).sum::<f64>() / 2.0;
    let mut reached = 0.0;
    for (at, &(value, w)) in sorted.iter().enumerate() {
        reached += w;
        if reached >= half {
            let exactly = reached - half <= f64::EPSILON;
            let next = sorted.get(at + 1).filter(|_| exactly).map_or(value, |next| next.0);
            return f64::midpoint(value, next);
        }
    }
    f64::NAN
}

/// The largest |ŷ − y|.
///
/// # Shapes
/// (n).
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::max_error;
/// use ndarray::array;
/// assert_eq!(max_error(&array![3.0, 2.0, 7.0, 1.0], &array![4.0, 2.0, 7.0, 1.5])?, 1.0);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `max_error`.
pub fn max_error<F: Scalar>(y_true: &ArrayRef<F, Ix1>, y_pred: &ArrayRef<F, Ix1>) -> Result<f64> {
    let options = Regression::new();
    let outputs = Outputs::read("max_error", y_true, y_pred, &options, &[])?;
    Ok((&outputs.truth - &outputs.predicted).fold(0.0, |most: f64, error| most.max(error.abs())))
}

/// 1 − unexplained / all for each output; of a constant target 1 if it is predicted exactly, else 0, or NaN and −∞ where
/// that is not to be finite.
fn explained(unexplained: &Array1<f64>, all: &Array1<f64>, options: &Regression) -> Array1<f64> {
    let finite = options.force_finite.unwrap_or(true);
    let share = |(&rest, &all): (&f64, &f64)| match (rest == 0.0, all == 0.0) {
        (true, _) if finite => 1.0,
        (false, true) if finite => 0.0,
        _ => 1.0 - rest / all,
    };
    unexplained.iter().zip(all).map(share).collect()
}

/// R², the share of the targets' variance that is predicted: 1 − Σ (y − ŷ)² / Σ (y − ȳ)².
///
/// Knows `sample_weight`, `output_weights`, `variance_weighted`, `force_finite`.
///
/// # Shapes
/// (n) or (n, outputs).
/// # Errors
/// See [`scores`](crate::metrics::scores); [`Undefined`](Error::Undefined) for a single row, where scikit-learn gives NaN.
/// # Example
/// ```
/// use gradus::metrics::scores::{Regression, r2_score};
/// use ndarray::array;
/// let score = r2_score(&array![3.0, -0.5, 2.0, 7.0], &array![2.5, 0.0, 2.0, 8.0], &Regression::new())?;
/// assert!((score - 0.9486).abs() < 1e-4);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `r2_score`.
pub fn r2_score<F: Scalar, D: Dimension>(
    y_true: &ArrayRef<F, D>,
    y_pred: &ArrayRef<F, D>,
    options: &Regression,
) -> Result<f64> {
    let call = "r2_score";
    let outputs = Outputs::read(call, y_true, y_pred, options, &EXPLAINED)?;
    if outputs.truth.nrows() < 2 {
        return Err(Error::undefined(call, "there is one row only"));
    }
    let unexplained = outputs.means(|t, p| (t - p) * (t - p));
    let all = variances(&outputs.truth, outputs.weights);
    over_outputs(call, &explained(&unexplained, &all, options), options, Some(&all))
}

const EXPLAINED: [&str; 3] = ["output_weights", "variance_weighted", "force_finite"];

/// The variance of each column.
fn variances(table: &Array2<f64>, weights: Option<&[f64]>) -> Array1<f64> {
    let variance = |column: ndarray::ArrayView1<'_, f64>| {
        // From the first value on: the variance of a constant is exactly 0, whatever a sum of it rounds to.
        let first = column.first().copied().unwrap_or_default();
        let mean = first + super::mean(column.iter().map(|value| value - first), weights);
        super::mean(column.iter().map(|value| (value - mean).powi(2)), weights)
    };
    table.columns().into_iter().map(variance).collect()
}

/// [`r2_score`] that forgives a constant error: 1 − Var(y − ŷ) / Var(y).
///
/// Knows `sample_weight`, `output_weights`, `variance_weighted`, `force_finite`.
///
/// # Shapes
/// (n) or (n, outputs).
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Regression, explained_variance_score};
/// use ndarray::array;
/// assert_eq!(explained_variance_score(&array![1.0, 2.0, 3.0], &array![2.0, 3.0, 4.0], &Regression::new())?, 1.0);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `explained_variance_score`.
pub fn explained_variance_score<F: Scalar, D: Dimension>(
    y_true: &ArrayRef<F, D>,
    y_pred: &ArrayRef<F, D>,
    options: &Regression,
) -> Result<f64> {
    let call = "explained_variance_score";
    let outputs = Outputs::read(call, y_true, y_pred, options, &EXPLAINED)?;
    let unexplained = variances(&(&outputs.truth - &outputs.predicted), outputs.weights);
    let all = variances(&outputs.truth, outputs.weights);
    over_outputs(call, &explained(&unexplained, &all, options), options, Some(&all))
}

/// A score of each output by itself, such as `per_output(mean_squared_error, &y_true, &y_pred, &options)`.
///
/// # Shapes
/// (n, outputs) → (outputs).
/// # Errors
/// Those of the score; also unequal shapes.
/// # Example
/// ```
/// use gradus::metrics::scores::{Regression, mean_absolute_error, per_output};
/// use ndarray::array;
/// let (y_true, y_pred) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.5, 2.0], [3.5, 5.0]]);
/// assert_eq!(per_output(mean_absolute_error, &y_true, &y_pred, &Regression::new())?, array![0.5, 0.5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn's `multioutput="raw_values"`.
pub fn per_output<F: Scalar>(
    score: impl Fn(&ArrayRef<F, Ix1>, &ArrayRef<F, Ix1>, &Regression) -> Result<f64>,
    y_true: &ArrayRef<F, Ix2>,
    y_pred: &ArrayRef<F, Ix2>,
    options: &Regression,
) -> Result<Array1<f64>> {
    if y_true.shape() != y_pred.shape() {
        let expected = format!("y_pred of the shape of y_true, {}", show(y_true.shape()));
        return Err(Error::data("per_output", expected, show(y_pred.shape())));
    }
    y_true.axis_iter(Axis(1)).zip(y_pred.axis_iter(Axis(1))).map(|(t, p)| score(&t, &p, options)).collect()
}
