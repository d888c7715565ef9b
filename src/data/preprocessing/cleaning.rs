//! Outliers, duplicates, gaps, noise, and classes of unequal size.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array1, Array2, ArrayRef, Ix1, Ix2};

use super::{check_table, mean, present, quantile, sorted};
use crate::{Error, Result, Scalar};

/// Which values lie more than `limit` deviations from their column's mean: |x − μ| / σ > `limit`.
///
/// # Errors
/// [`Data`](Error::Data) for no rows or infinities; [`Option`](Error::Option) for a limit that is not above 0.
/// # Example
/// ```
/// use gradus::data::preprocessing::z_score_outliers;
/// use ndarray::Array2;
/// let x = Array2::from_shape_fn((20, 1), |(row, _)| if row == 7 { 100.0 } else { row as f64 });
/// let outliers = z_score_outliers(&x, 3.0)?;
/// assert!(outliers[[7, 0]] && outliers.iter().filter(|outlier| **outlier).count() == 1);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn z_score_outliers<F: Scalar>(x: &ArrayRef<F, Ix2>, limit: f64) -> Result<Array2<bool>> {
    outliers("z_score_outliers", x, limit, |values| {
        let mean = mean(values);
        let deviation = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        (mean - limit * deviation, mean + limit * deviation)
    })
}

/// Which values lie more than `factor` times the distance of the quartiles outside them; 1.5 is usual.
///
/// # Errors
/// [`Data`](Error::Data) for no rows or infinities; [`Option`](Error::Option) for a factor that is not above 0.
/// # Example
/// ```
/// use gradus::data::preprocessing::iqr_outliers;
/// use ndarray::array;
/// let outliers = iqr_outliers(&array![[1.0], [2.0], [3.0], [4.0], [50.0]], 1.5)?;
/// assert_eq!(outliers.column(0).to_vec(), [false, false, false, false, true]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Tukey, *Exploratory Data Analysis*, 1977.
pub fn iqr_outliers<F: Scalar>(x: &ArrayRef<F, Ix2>, factor: f64) -> Result<Array2<bool>> {
    outliers("iqr_outliers", x, factor, |values| {
        let sorted = sorted(values.to_vec());
        let (low, high) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
        (low - factor * (high - low), high + factor * (high - low))
    })
}

/// Which values lie outside the bounds of their column.
fn outliers<F: Scalar>(
    call: &str,
    x: &ArrayRef<F, Ix2>,
    limit: f64,
    bounds: impl Fn(&[f64]) -> (f64, f64),
) -> Result<Array2<bool>> {
    check_table(call, x, true)?;
    if !(limit > 0.0) {
        return Err(Error::option("limit", "above 0", limit).within(call));
    }
    let bounds: Vec<(f64, f64)> = x.columns().into_iter().map(|column| bounds(&present(&column))).collect();
    let outside = |column: usize, value: f64| value < bounds[column].0 || value > bounds[column].1;
    Ok(Array2::from_shape_fn(x.dim(), |(row, column)| outside(column, x[[row, column]].f64())))
}

/// The rows that are the same as an earlier one.
///
/// # Example
/// ```
/// use gradus::data::preprocessing::duplicate_rows;
/// use ndarray::array;
/// assert_eq!(duplicate_rows(&array![[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), [2]);
/// ```
/// # Source
/// pandas `DataFrame.duplicated`.
pub fn duplicate_rows<F: Scalar>(x: &ArrayRef<F, Ix2>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    // -0 and 0 are the same number; a NaN is the same as another, whatever made it.
    let key = |value: &F| match value.f64() {
        0.0 => 0.0f64.to_bits(),
        value if value.is_nan() => f64::NAN.to_bits(),
        value => value.to_bits(),
    };
    let rows = x.rows().into_iter().map(|row| row.iter().map(key).collect::<Vec<u64>>());
    rows.enumerate().filter(|(_, row)| !seen.insert(row.clone())).map(|(row, _)| row).collect()
}

/// A series in which gaps, NaN, are filled on the straight line between the values beside them; at the ends with the nearest.
///
/// # Errors
/// [`Data`](Error::Data) for a series without a number, and for infinities.
/// # Example
/// ```
/// use gradus::data::preprocessing::interpolate_missing;
/// use ndarray::array;
/// let series = array![f64::NAN, 1.0, f64::NAN, f64::NAN, 4.0];
/// assert_eq!(interpolate_missing(&series)?, array![1.0, 1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `numpy.interp` at the gaps.
pub fn interpolate_missing<F: Scalar>(series: &ArrayRef<F, Ix1>) -> Result<Array1<F>> {
    let call = "interpolate_missing";
    if let Some(at) = series.iter().position(|value| value.is_infinite()) {
        return Err(Error::data(call, "finite numbers or NaN", format!("{} at {at}", series[at])));
    }
    let known: Vec<usize> = (0..series.len()).filter(|&at| !series[at].is_nan()).collect();
    if known.is_empty() {
        return Err(Error::data(call, "a series with a number", format!("{} values without", series.len())));
    }
    let fill = |at: usize| {
        let next = known.partition_point(|&place| place < at);
        match (next.checked_sub(1).map(|before| known[before]), known.get(next)) {
            (Some(before), Some(&after)) if after != at => {
                let share = F::of((at - before) as f64 / (after - before) as f64);
                series[before] + share * (series[after] - series[before])
            }
            (_, Some(&after)) => series[after],
            (before, None) => series[before.unwrap_or(at)],
        }
    };
    Ok(Array1::from_shape_fn(series.len(), fill))
}

/// Each value replaced by the median of `window` values around it, fewer at the ends: takes out single wild values.
///
/// # Errors
/// [`Option`](Error::Option) for an even window or 0; [`Data`](Error::Data) for NaN.
/// # Example
/// ```
/// use gradus::data::preprocessing::median_filter;
/// use ndarray::array;
/// assert_eq!(median_filter(&array![1.0, 2.0, 90.0, 3.0, 4.0], 3)?, array![1.5, 2.0, 3.0, 4.0, 3.5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// pandas `rolling(window, center=True, min_periods=1).median()`.
pub fn median_filter<F: Scalar>(series: &ArrayRef<F, Ix1>, window: usize) -> Result<Array1<F>> {
    filter("median_filter", series, window, |values| quantile(&sorted(values), 0.5))
}

/// Each value replaced by the mean of `window` values around it, fewer at the ends: takes out noise.
///
/// # Errors
/// [`Option`](Error::Option) for an even window or 0; [`Data`](Error::Data) for NaN.
/// # Example
/// ```
/// use gradus::data::preprocessing::moving_average;
/// use ndarray::array;
/// assert_eq!(moving_average(&array![1.0, 2.0, 6.0, 4.0], 3)?, array![1.5, 3.0, 4.0, 5.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// pandas `rolling(window, center=True, min_periods=1).mean()`.
pub fn moving_average<F: Scalar>(series: &ArrayRef<F, Ix1>, window: usize) -> Result<Array1<F>> {
    filter("moving_average", series, window, |values| mean(&values))
}

fn filter<F: Scalar>(
    call: &str,
    series: &ArrayRef<F, Ix1>,
    window: usize,
    statistic: impl Fn(Vec<f64>) -> f64,
) -> Result<Array1<F>> {
    if window.is_multiple_of(2) {
        return Err(Error::option("window", "odd, so that it has a middle", window).within(call));
    }
    if let Some(at) = series.iter().position(|value| !value.is_finite()) {
        return Err(Error::data(call, "finite numbers", format!("{} at {at}", series[at]))
            .advise("fill gaps by `interpolate_missing` first"));
    }
    let half = window / 2;
    let around = |at: usize| at.saturating_sub(half)..(at + half + 1).min(series.len());
    Ok(Array1::from_shape_fn(series.len(), |at| F::of(statistic(around(at).map(|i| series[i].f64()).collect()))))
}

/// Weights by which every class counts alike: rows / (classes · rows of the class), for
/// [`Fit::class_weight`](crate::training::Fit::class_weight).
///
/// # Errors
/// [`Data`](Error::Data) for no labels.
/// # Example
/// ```
/// use gradus::data::preprocessing::balanced_class_weights;
/// assert_eq!(balanced_class_weights([0, 0, 0, 1])?, [(0, 4.0 / 6.0), (1, 2.0)]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `compute_class_weight("balanced")`; King and Zeng 2001.
pub fn balanced_class_weights(labels: impl IntoIterator<Item = usize>) -> Result<Vec<(usize, f64)>> {
    let mut counts: BTreeMap<usize, f64> = BTreeMap::new();
    labels.into_iter().for_each(|label| *counts.entry(label).or_default() += 1.0);
    if counts.is_empty() {
        return Err(Error::data("balanced_class_weights", "labels", "none"));
    }
    let (rows, classes) = (counts.values().sum::<f64>(), counts.len() as f64);
    Ok(counts.into_iter().map(|(class, count)| (class, rows / (classes * count))).collect())
}
