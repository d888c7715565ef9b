//! Columns to a common scale.

use ndarray::{Array2, ArrayRef, Axis, Ix2};

use super::{check_table, learned, mean, present, quantile, sorted};
use crate::config::{options, words};
use crate::{Error, Result, Scalar};

/// Gives a scaler its transformations: z = (x − center) / scale for each column, and back.
macro_rules! scales_columns {
    ($name:ident, $call:literal, |$scaler:ident, $columns:ident| $centers_and_scales:expr, |$clipper:ident, $z:ident| $clip:expr) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $name {
            /// Centers and scales of the columns.
            fn centers_and_scales(&self, $columns: usize) -> Result<(Vec<f64>, Vec<f64>)> {
                let $scaler = self;
                $centers_and_scales
            }

            /// The table on the common scale.
            ///
            /// # Errors
            /// Before `fit`; another number of columns; infinities.
            pub fn transform<F: Scalar>(&self, x: &ArrayRef<F, Ix2>) -> Result<Array2<F>> {
                check_table($call, x, true)?;
                let (centers, scales) = self.centers_and_scales(x.ncols())?;
                let $clipper = self;
                let place = |column: usize, x: F| {
                    let $z = (x.f64() - centers[column]) / scales[column];
                    F::of($clip)
                };
                Ok(Array2::from_shape_fn(x.dim(), |(row, column)| place(column, x[[row, column]])))
            }

            /// The way back.
            ///
            /// # Errors
            /// As [`transform`](Self::transform).
            pub fn inverse_transform<F: Scalar>(&self, z: &ArrayRef<F, Ix2>) -> Result<Array2<F>> {
                check_table($call, z, true)?;
                let (centers, scales) = self.centers_and_scales(z.ncols())?;
                let place = |column: usize, z: F| F::of(z.f64() * scales[column] + centers[column]);
                Ok(Array2::from_shape_fn(z.dim(), |(row, column)| place(column, z[[row, column]])))
            }
        }
    };
}

/// A scale that nothing is divided by: 1 for 0 and for what is 0 but for rounding.
fn usable(scale: f64) -> f64 {
    if scale.abs() < 10.0 * f64::EPSILON { 1.0 } else { scale }
}

options! {
    /// Columns with mean 0 and variance 1: z = (x − μ) / σ. A constant column is divided by 1.
    ///
    /// # Shapes
    /// (rows, columns) → the same.
    /// # Defaults
    /// `with_mean` and `with_std` true.
    /// # Errors
    /// See [`preprocessing`](crate::data::preprocessing).
    /// # Source
    /// scikit-learn `StandardScaler`; σ² is the biased variance.
    pub struct StandardScaler {
        /// Whether means are subtracted. Default: true.
        with_mean: bool = true,
        /// Whether columns are divided by their deviations. Default: true.
        with_std: bool = true,
        /// The means; learned by `fit`.
        mean: Option<Vec<f64>> = None => |mean: impl Into<Vec<f64>>| Some(mean.into()),
        /// The variances; learned by `fit`.
        variance: Option<Vec<f64>> = None => |variance: impl Into<Vec<f64>>| Some(variance.into()),
        /// What columns are divided by; learned by `fit`.
        scale: Option<Vec<f64>> = None => |scale: impl Into<Vec<f64>>| Some(scale.into()),
    }
}

impl StandardScaler {
    /// With the means and deviations of a table.
    ///
    /// # Errors
    /// No rows; infinities; a column without numbers.
    pub fn fit<F: Scalar>(mut self, x: &ArrayRef<F, Ix2>) -> Result<Self> {
        let columns = numbers_of_columns("StandardScaler", x)?;
        let means: Vec<f64> = columns.iter().map(|column| mean(column)).collect();
        let variances: Vec<f64> = columns
            .iter()
            .zip(&means)
            .map(|(column, mean)| column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / column.len() as f64)
            .collect();
        let scale = |((variance, mean), column): ((&f64, &f64), &Vec<f64>)| {
            // What rounding alone makes of a constant column.
            let (n, epsilon) = (column.len() as f64, f64::EPSILON);
            let constant = *variance <= n * epsilon * variance + (n * mean * epsilon).powi(2);
            if constant { 1.0 } else { variance.sqrt() }
        };
        self.scale = Some(variances.iter().zip(&means).zip(&columns).map(scale).collect());
        (self.mean, self.variance) = (Some(means), Some(variances));
        Ok(self)
    }
}

scales_columns!(
    StandardScaler,
    "StandardScaler",
    |scaler, columns| {
        let means = learned("StandardScaler", scaler.mean.as_ref(), columns)?;
        let scales = learned("StandardScaler", scaler.scale.as_ref(), columns)?;
        let centers = if scaler.with_mean { means.to_vec() } else { vec![0.0; columns] };
        Ok((centers, if scaler.with_std { scales.to_vec() } else { vec![1.0; columns] }))
    },
    |_scaler, z| z
);

/// The numbers of every column; none may be without.
fn numbers_of_columns<F: Scalar>(call: &str, x: &ArrayRef<F, Ix2>) -> Result<Vec<Vec<f64>>> {
    check_table(call, x, true)?;
    let columns: Vec<Vec<f64>> = x.columns().into_iter().map(|column| present(&column)).collect();
    match columns.iter().position(Vec::is_empty) {
        None => Ok(columns),
        Some(column) => Err(Error::data(call, "a number in every column", format!("none in column {column}"))),
    }
}

options! {
    /// Columns between two numbers: z = (x − min) / (max − min) · (high − low) + low. A constant column becomes `low`.
    ///
    /// # Shapes
    /// (rows, columns) → the same.
    /// # Defaults
    /// `feature_range` 0 to 1, `clip` false.
    /// # Errors
    /// See [`preprocessing`](crate::data::preprocessing); also a range that does not rise.
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::MinMaxScaler;
    /// use ndarray::array;
    /// let scaler = MinMaxScaler::new().feature_range([-1.0, 1.0]).fit(&array![[0.0], [10.0]])?;
    /// assert_eq!(scaler.transform(&array![[5.0], [20.0]])?, array![[0.0], [3.0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `MinMaxScaler`.
    pub struct MinMaxScaler {
        /// What the least and the greatest value become. Default: 0 and 1.
        feature_range: [f64; 2] = [0.0, 1.0],
        /// Whether other data is cut to the range. Default: false.
        clip: bool = false,
        /// The least values; learned by `fit`.
        data_min: Option<Vec<f64>> = None => |least: impl Into<Vec<f64>>| Some(least.into()),
        /// The greatest values; learned by `fit`.
        data_max: Option<Vec<f64>> = None => |greatest: impl Into<Vec<f64>>| Some(greatest.into()),
    }
}

impl MinMaxScaler {
    /// With the least and greatest values of a table.
    ///
    /// # Errors
    /// No rows; infinities; a column without numbers; a range that does not rise.
    pub fn fit<F: Scalar>(mut self, x: &ArrayRef<F, Ix2>) -> Result<Self> {
        let [low, high] = self.feature_range;
        if !(low < high) {
            return Err(Error::option("feature_range", "rising", format!("{low}..{high}")).within("MinMaxScaler"));
        }
        let columns = numbers_of_columns("MinMaxScaler", x)?;
        let of_each = |pick: fn(f64, f64) -> f64| {
            columns.iter().map(|column| column.iter().copied().reduce(pick).unwrap_or(f64::NAN)).collect::<Vec<f64>>()
        };
        (self.data_min, self.data_max) = (Some(of_each(f64::min)), Some(of_each(f64::max)));
        Ok(self)
    }
}

scales_columns!(
    MinMaxScaler,
    "MinMaxScaler",
    |scaler, columns| {
        let least = learned("MinMaxScaler", scaler.data_min.as_ref(), columns)?;
        let greatest = learned("MinMaxScaler", scaler.data_max.as_ref(), columns)?;
        let [low, high] = scaler.feature_range;
        let scales: Vec<f64> =
            least.iter().zip(greatest).map(|(least, greatest)| usable(greatest - least) / (high - low)).collect();
        Ok((least.iter().zip(&scales).map(|(least, scale)| least - low * scale).collect(), scales))
    },
    |scaler, z| if scaler.clip { z.clamp(scaler.feature_range[0], scaler.feature_range[1]) } else { z }
);

options! {
    /// Columns between −1 and 1, 0 staying 0: z = x / max|x|.
    ///
    /// # Shapes
    /// (rows, columns) → the same.
    /// # Errors
    /// See [`preprocessing`](crate::data::preprocessing).
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::MaxAbsScaler;
    /// use ndarray::array;
    /// let x = array![[1.0, 0.0], [-4.0, 2.0]];
    /// assert_eq!(MaxAbsScaler::new().fit(&x)?.transform(&x)?, array![[0.25, 0.0], [-1.0, 1.0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `MaxAbsScaler`.
    pub struct MaxAbsScaler {
        /// The largest absolute values; learned by `fit`.
        max_abs: Option<Vec<f64>> = None => |largest: impl Into<Vec<f64>>| Some(largest.into()),
    }
}

impl MaxAbsScaler {
    /// With the largest absolute values of a table.
    ///
    /// # Errors
    /// No rows; infinities; a column without numbers.
    pub fn fit<F: Scalar>(mut self, x: &ArrayRef<F, Ix2>) -> Result<Self> {
        let columns = numbers_of_columns("MaxAbsScaler", x)?;
        self.max_abs =
            Some(columns.iter().map(|column| column.iter().fold(0.0, |m, x| f64::max(m, x.abs()))).collect());
        Ok(self)
    }
}

scales_columns!(
    MaxAbsScaler,
    "MaxAbsScaler",
    |scaler, columns| {
        let largest = learned("MaxAbsScaler", scaler.max_abs.as_ref(), columns)?;
        Ok((vec![0.0; columns], largest.iter().map(|&largest| usable(largest)).collect()))
    },
    |_scaler, z| z
);

options! {
    /// Columns with median 0 and quartiles 1 apart, which a few wild values do not move: z = (x − median) / (q₇₅ − q₂₅).
    ///
    /// # Shapes
    /// (rows, columns) → the same.
    /// # Defaults
    /// `with_centering` and `with_scaling` true, `quantile_range` 25 to 75 per cent.
    /// # Errors
    /// See [`preprocessing`](crate::data::preprocessing); also quantiles outside 0 to 100 or in the wrong order.
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::RobustScaler;
    /// use ndarray::array;
    /// let x = array![[1.0], [2.0], [3.0], [4.0], [500.0]];
    /// assert_eq!(RobustScaler::new().fit(&x)?.transform(&x)?.column(0).to_vec(), [-1.0, -0.5, 0.0, 0.5, 248.5]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `RobustScaler`.
    pub struct RobustScaler {
        /// Whether medians are subtracted. Default: true.
        with_centering: bool = true,
        /// Whether columns are divided by their range. Default: true.
        with_scaling: bool = true,
        /// The quantiles whose distance is the scale, in per cent. Default: 25 and 75.
        quantile_range: [f64; 2] = [25.0, 75.0],
        /// Whether the scale is such that normal data gets variance 1. Default: false.
        unit_variance: bool = false,
        /// The medians; learned by `fit`.
        center: Option<Vec<f64>> = None => |center: impl Into<Vec<f64>>| Some(center.into()),
        /// What columns are divided by; learned by `fit`.
        scale: Option<Vec<f64>> = None => |scale: impl Into<Vec<f64>>| Some(scale.into()),
    }
}

impl RobustScaler {
    /// With medians and quantiles of a table.
    ///
    /// # Errors
    /// No rows; infinities; a column without numbers; quantiles outside 0 to 100 or in the wrong order.
    pub fn fit<F: Scalar>(mut self, x: &ArrayRef<F, Ix2>) -> Result<Self> {
        let [low, high] = self.quantile_range;
        if !(0.0 <= low && low <= high && high <= 100.0) {
            let received = format!("{low} and {high}");
            return Err(Error::option("quantile_range", "rising between 0 and 100", received).within("RobustScaler"));
        }
        let columns: Vec<Vec<f64>> = numbers_of_columns("RobustScaler", x)?.into_iter().map(sorted).collect();
        let normal =
            if self.unit_variance { normal_quantile(high / 100.0) - normal_quantile(low / 100.0) } else { 1.0 };
        let scale =
            |column: &Vec<f64>| usable((quantile(column, high / 100.0) - quantile(column, low / 100.0)) / normal);
        self.scale = Some(columns.iter().map(scale).collect());
        self.center = Some(columns.iter().map(|column| quantile(column, 0.5)).collect());
        Ok(self)
    }
}

scales_columns!(
    RobustScaler,
    "RobustScaler",
    |scaler, columns| {
        let medians = learned("RobustScaler", scaler.center.as_ref(), columns)?;
        let scales = learned("RobustScaler", scaler.scale.as_ref(), columns)?;
        let centers = if scaler.with_centering { medians.to_vec() } else { vec![0.0; columns] };
        Ok((centers, if scaler.with_scaling { scales.to_vec() } else { vec![1.0; columns] }))
    },
    |_scaler, z| z
);

/// The quantile of the standard normal distribution: Newton's method on its integral, which `erf` has as a series.
fn normal_quantile(p: f64) -> f64 {
    let integral = |z: f64| {
        // Φ(z) = ½ + φ(z)·(z + z³/3 + z⁵/(3·5) + …)
        let (mut term, mut sum) = (z, z);
        for odd in (3..400).step_by(2) {
            term *= z * z / f64::from(odd);
            sum += term;
        }
        0.5 + density(z) * sum
    };
    let mut z = 0.0;
    for _ in 0..60 {
        z -= ((integral(z) - p) / density(z)).clamp(-1.0, 1.0);
    }
    z
}

fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// What [`Normalizer`] makes 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The sum of absolute values.
    L1,
    /// The root of the sum of squares.
    L2,
    /// The largest absolute value.
    Max,
}

words!(Norm: L1 = "l1", L2 = "l2", Max = "max");

options! {
    /// Rows of length 1: x / ‖x‖. A row of zeros stays.
    ///
    /// # Shapes
    /// (rows, columns) → the same.
    /// # Defaults
    /// `norm` L2.
    /// # Errors
    /// [`Data`](Error::Data) for no rows, NaN and infinities.
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::Normalizer;
    /// use ndarray::array;
    /// assert_eq!(Normalizer::new().transform(&array![[3.0, 4.0]])?, array![[0.6, 0.8]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `Normalizer`.
    pub struct Normalizer {
        /// The length. Default: L2.
        norm: Norm = Norm::L2,
    }
}

impl Default for Normalizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Normalizer {
    /// The table with rows of length 1. There is nothing to fit.
    ///
    /// # Errors
    /// No rows; NaN; infinities.
    pub fn transform<F: Scalar>(&self, x: &ArrayRef<F, Ix2>) -> Result<Array2<F>> {
        check_table("Normalizer", x, false)?;
        let mut y = x.to_owned();
        for mut row in y.axis_iter_mut(Axis(0)) {
            let sizes = row.iter().map(|value| value.f64().abs());
            let length = match self.norm {
                Norm::L1 => sizes.sum(),
                Norm::L2 => sizes.map(|size| size * size).sum::<f64>().sqrt(),
                Norm::Max => sizes.fold(0.0, f64::max),
            };
            let length = usable(length);
            row.mapv_inplace(|value| F::of(value.f64() / length));
        }
        Ok(y)
    }
}
