//! Filling in what is missing.

use ndarray::{Array2, ArrayRef, Axis, Ix2};

use super::{check_table, learned, mean, present, quantile, sorted};
use crate::config::{options, words};
use crate::{Error, Result, Scalar};

/// What [`SimpleImputer`] fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// The column's mean.
    Mean,
    /// The column's median.
    Median,
    /// The value that the column has most often; of several the least.
    MostFrequent,
    /// A fixed number.
    Constant,
}

words!(Fill: Mean = "mean", Median = "median", MostFrequent = "most_frequent", Constant = "constant");

options! {
    /// Fills in missing values, NaN, column by column. A column that had no value when it was fitted is left out;
    /// with `keep_empty_features` it becomes the constant, or zeros.
    ///
    /// # Shapes
    /// (rows, columns) → (rows, columns that had a value).
    /// # Defaults
    /// `strategy` mean, `fill_value` 0, `keep_empty_features` false.
    /// # Errors
    /// See [`preprocessing`](crate::data::preprocessing).
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::{Fill, SimpleImputer};
    /// use ndarray::array;
    /// let imputer = SimpleImputer::new().strategy(Fill::Median).fit(&array![[1.0], [f64::NAN], [5.0], [6.0]])?;
    /// assert_eq!(imputer.transform(&array![[f64::NAN], [2.0]])?, array![[5.0], [2.0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `SimpleImputer`.
    pub struct SimpleImputer {
        /// What is filled in. Default: the mean.
        strategy: Fill = Fill::Mean,
        /// The number for [`Fill::Constant`]. Default: 0.
        fill_value: f64 = 0.0,
        /// Whether a column without values is kept. Default: false.
        keep_empty_features: bool = false,
        /// What is filled into each column, NaN for one that is left out; learned by `fit`.
        statistics: Option<Vec<f64>> = None => |statistics: impl Into<Vec<f64>>| Some(statistics.into()),
    }
}

impl Default for SimpleImputer {
    fn default() -> Self {
        Self::new()
    }
}

impl SimpleImputer {
    /// With what is to be filled in, from a table.
    ///
    /// # Errors
    /// No rows; infinities.
    pub fn fit<F: Scalar>(mut self, x: &ArrayRef<F, Ix2>) -> Result<Self> {
        check_table("SimpleImputer", x, true)?;
        let fill = |values: Vec<f64>| match self.strategy {
            _ if values.is_empty() && !self.keep_empty_features => f64::NAN,
            Fill::Constant => self.fill_value,
            _ if values.is_empty() => 0.0,
            Fill::Mean => mean(&values),
            Fill::Median => quantile(&sorted(values), 0.5),
            Fill::MostFrequent => most_frequent(&sorted(values)),
        };
        self.statistics = Some(x.columns().into_iter().map(|column| fill(present(&column))).collect());
        Ok(self)
    }

    /// The table without gaps.
    ///
    /// # Errors
    /// Before `fit`; another number of columns; infinities.
    pub fn transform<F: Scalar>(&self, x: &ArrayRef<F, Ix2>) -> Result<Array2<F>> {
        check_table("SimpleImputer", x, true)?;
        let fills = learned("SimpleImputer", self.statistics.as_ref(), x.ncols())?;
        let kept: Vec<usize> = (0..x.ncols()).filter(|&column| !fills[column].is_nan()).collect();
        if kept.is_empty() {
            return Err(Error::data("SimpleImputer", "a column that had a value", "none"));
        }
        let mut y = x.select(Axis(1), &kept);
        for (mut column, &from) in y.columns_mut().into_iter().zip(&kept) {
            column.mapv_inplace(|value| if value.is_nan() { F::of(fills[from]) } else { value });
        }
        Ok(y)
    }
}

fn most_frequent(sorted: &[f64]) -> f64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    let longest = runs.fold(&sorted[..0], |longest, run| if run.len() > longest.len() { run } else { longest });
    longest.first().copied().unwrap_or(f64::NAN)
}
