//! Classes as numbers, and as columns of 0 and 1.

use std::collections::BTreeSet;
use std::fmt::Display;

use ndarray::{Array1, Array2, ArrayRef, Ix2};

use crate::config::{Config, Configured, Setting, refuse_unknown, require, take};
use crate::{Error, Result, Scalar};

/// Classes of any kind, numbers or texts, as 0 … n − 1: a class's place among the sorted ones.
///
/// # Errors
/// [`Data`](Error::Data) for a class that was not there when it was fitted, or a number that stands for none.
/// # Example
/// ```
/// use gradus::data::preprocessing::LabelEncoder;
/// use ndarray::array;
/// let encoder = LabelEncoder::fit(["paris", "paris", "tokyo", "amsterdam"]);
/// assert_eq!(encoder.transform(["tokyo", "paris"])?, array![2, 1]);
/// assert_eq!(encoder.inverse_transform(&[0, 2])?, ["amsterdam", "tokyo"]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `LabelEncoder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelEncoder<L> {
    classes: Vec<L>,
}

impl<L: Ord + Clone + Display> LabelEncoder<L> {
    /// With the classes that occur.
    pub fn fit(labels: impl IntoIterator<Item = L>) -> Self {
        Self { classes: labels.into_iter().collect::<BTreeSet<L>>().into_iter().collect() }
    }

    /// The classes, ascending.
    pub fn classes(&self) -> &[L] {
        &self.classes
    }

    /// Each class's number.
    ///
    /// # Errors
    /// A class that was not there.
    pub fn transform(&self, labels: impl IntoIterator<Item = L>) -> Result<Array1<usize>> {
        let number = |(row, label): (usize, L)| {
            let unknown = |_| Error::data("LabelEncoder", "a class it was fitted on", format!("{label} at row {row}"));
            self.classes.binary_search(&label).map_err(unknown)
        };
        labels.into_iter().enumerate().map(number).collect()
    }

    /// The classes that numbers stand for.
    ///
    /// # Errors
    /// A number that stands for none.
    pub fn inverse_transform(&self, numbers: &[usize]) -> Result<Vec<L>> {
        let class = |(row, &number): (usize, &usize)| {
            let unknown = || {
                Error::data(
                    "LabelEncoder",
                    format!("numbers below {}", self.classes.len()),
                    format!("{number} at row {row}"),
                )
            };
            self.classes.get(number).cloned().ok_or_else(unknown)
        };
        numbers.iter().enumerate().map(class).collect()
    }
}

impl<L: Ord + Clone + Display + Setting> Configured for LabelEncoder<L> {
    const CLASS: &'static str = "LabelEncoder";

    fn to_config(&self) -> Config {
        Config::from_iter([("classes".to_owned(), self.classes.to_value())])
    }

    fn from_config(config: &Config) -> Result<Self> {
        refuse_unknown(config, &["classes"])?;
        Ok(Self { classes: ascending(require(config, "classes")?)? })
    }
}

/// Classes as they are kept, which those of a file must be.
fn ascending<L: Ord + Setting>(classes: Vec<L>) -> Result<Vec<L>> {
    if classes.is_sorted_by(|a, b| a < b) {
        return Ok(classes);
    }
    Err(Error::option("classes", "different and ascending", classes.to_value()))
}

/// Columns of classes as columns of 0 and 1, one a class, the classes of a column in ascending order.
///
/// # Defaults
/// `drop_first` false: a column for every class. `ignore_unknown` false: an unknown class is refused, not zeros.
/// # Errors
/// [`Data`](Error::Data) for an unknown class, no rows, or another number of columns.
/// # Example
/// ```
/// use gradus::data::preprocessing::OneHotEncoder;
/// use ndarray::array;
/// let encoder = OneHotEncoder::new().fit(&array![["red", "small"], ["blue", "large"]])?;
/// assert_eq!(encoder.transform::<f32>(&array![["blue", "small"]])?, array![[1.0, 0.0, 0.0, 1.0]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `OneHotEncoder`.
#[derive(Clone, Debug)]
pub struct OneHotEncoder<L> {
    drop_first: bool,
    ignore_unknown: bool,
    categories: Option<Vec<Vec<L>>>,
}

impl<L: Ord + Clone + Display> Default for OneHotEncoder<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Ord + Clone + Display> OneHotEncoder<L> {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { drop_first: false, ignore_unknown: false, categories: None }
    }
    /// Whether the first class of each column has no column of its own. Default: false.
    pub fn drop_first(mut self, drop: bool) -> Self {
        self.drop_first = drop;
        self
    }
    /// Whether a class that is not known becomes zeros. Default: false, it is refused.
    pub fn ignore_unknown(mut self, ignore: bool) -> Self {
        self.ignore_unknown = ignore;
        self
    }
    /// The classes of each column, ascending; none before `fit`.
    pub fn categories(&self) -> Option<&[Vec<L>]> {
        self.categories.as_deref()
    }

    /// Those of them that have a column.
    #[cfg(feature = "csv")]
    pub(super) fn kept_categories(&self) -> Option<impl Iterator<Item = &[L]>> {
        let skipped = usize::from(self.drop_first);
        Some(self.categories.as_ref()?.iter().map(move |classes| &classes[skipped..]))
    }

    /// With the classes that occur in each column.
    ///
    /// # Errors
    /// No rows.
    pub fn fit(mut self, x: &ArrayRef<L, Ix2>) -> Result<Self> {
        self.categories = Some(classes_of("OneHotEncoder", x)?);
        Ok(self)
    }

    /// The table as 0 and 1.
    ///
    /// # Errors
    /// Before `fit`; an unknown class; another number of columns.
    pub fn transform<F: Scalar>(&self, x: &ArrayRef<L, Ix2>) -> Result<Array2<F>> {
        let categories = super::learned("OneHotEncoder", self.categories.as_ref(), x.ncols())?;
        let skipped = usize::from(self.drop_first);
        let width: usize = categories.iter().map(|classes| classes.len() - skipped).sum();
        let mut y = Array2::zeros((x.nrows(), width));
        for (row, classes_of_row) in x.rows().into_iter().enumerate() {
            let mut first = 0;
            for (column, (label, classes)) in classes_of_row.iter().zip(categories).enumerate() {
                match classes.binary_search(label) {
                    Ok(class) if class >= skipped => y[[row, first + class - skipped]] = F::one(),
                    Ok(_) => (),
                    Err(_) if self.ignore_unknown => (),
                    Err(_) => {
                        let received = format!("{label} at row {row}, column {column}");
                        return Err(Error::data("OneHotEncoder", "a class it was fitted on", received));
                    }
                }
                first += classes.len() - skipped;
            }
        }
        Ok(y)
    }
}

impl<L: Ord + Clone + Display + Setting> Configured for OneHotEncoder<L> {
    const CLASS: &'static str = "OneHotEncoder";

    fn to_config(&self) -> Config {
        Config::from_iter([
            ("drop_first".to_owned(), self.drop_first.to_value()),
            ("ignore_unknown".to_owned(), self.ignore_unknown.to_value()),
            ("categories".to_owned(), self.categories.to_value()),
        ])
    }

    fn from_config(config: &Config) -> Result<Self> {
        refuse_unknown(config, &["drop_first", "ignore_unknown", "categories"])?;
        let categories: Option<Vec<Vec<L>>> = take(config, "categories", None)?;
        Ok(Self {
            drop_first: take(config, "drop_first", false)?,
            ignore_unknown: take(config, "ignore_unknown", false)?,
            categories: categories.map(|columns| columns.into_iter().map(ascending).collect()).transpose()?,
        })
    }
}

/// The classes of each column, ascending.
fn classes_of<L: Ord + Clone + Display>(call: &'static str, x: &ArrayRef<L, Ix2>) -> Result<Vec<Vec<L>>> {
    if x.is_empty() {
        return Err(Error::data(call, "a table with rows and columns", crate::error::show(x.shape())));
    }
    Ok(x.columns().into_iter().map(|column| LabelEncoder::fit(column.iter().cloned()).classes).collect())
}

/// Columns of classes as the classes' numbers, 0 … n − 1 in ascending order.
///
/// # Defaults
/// `unknown_value` none: an unknown class is refused.
/// # Errors
/// [`Data`](Error::Data) for an unknown class, no rows, or another number of columns.
/// # Example
/// ```
/// use gradus::data::preprocessing::OrdinalEncoder;
/// use ndarray::array;
/// let encoder = OrdinalEncoder::new().unknown_value(-1.0).fit(&array![["red", "small"], ["blue", "large"]])?;
/// assert_eq!(encoder.transform::<f32>(&array![["red", "huge"]])?, array![[1.0, -1.0]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `OrdinalEncoder`.
#[derive(Clone, Debug)]
pub struct OrdinalEncoder<L> {
    unknown_value: Option<f64>,
    categories: Option<Vec<Vec<L>>>,
}

impl<L: Ord + Clone + Display> Default for OrdinalEncoder<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Ord + Clone + Display> OrdinalEncoder<L> {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { unknown_value: None, categories: None }
    }

    /// What stands for classes that were not there; none refuses them. Default: none.
    #[must_use]
    pub fn unknown_value(mut self, value: impl Into<Option<f64>>) -> Self {
        self.unknown_value = value.into();
        self
    }

    /// The classes of each column, ascending; none before `fit`.
    pub fn categories(&self) -> Option<&[Vec<L>]> {
        self.categories.as_deref()
    }

    /// With the classes that occur in each column.
    ///
    /// # Errors
    /// No rows.
    pub fn fit(mut self, x: &ArrayRef<L, Ix2>) -> Result<Self> {
        self.categories = Some(classes_of("OrdinalEncoder", x)?);
        Ok(self)
    }

    /// The table as numbers.
    ///
    /// # Errors
    /// Before `fit`; an unknown class; another number of columns.
    pub fn transform<F: Scalar>(&self, x: &ArrayRef<L, Ix2>) -> Result<Array2<F>> {
        let categories = super::learned("OrdinalEncoder", self.categories.as_ref(), x.ncols())?;
        let mut y = Array2::zeros(x.dim());
        for ((row, column), label) in x.indexed_iter() {
            y[[row, column]] = match (categories[column].binary_search(label), self.unknown_value) {
                (Ok(class), _) => F::of(class as f64),
                (Err(_), Some(value)) => F::of(value),
                (Err(_), None) => {
                    let received = format!("{label} at row {row}, column {column}");
                    return Err(Error::data("OrdinalEncoder", "a class it was fitted on", received));
                }
            };
        }
        Ok(y)
    }
}

impl<L: Ord + Clone + Display + Setting> Configured for OrdinalEncoder<L> {
    const CLASS: &'static str = "OrdinalEncoder";

    fn to_config(&self) -> Config {
        Config::from_iter([
            ("unknown_value".to_owned(), self.unknown_value.to_value()),
            ("categories".to_owned(), self.categories.to_value()),
        ])
    }

    fn from_config(config: &Config) -> Result<Self> {
        refuse_unknown(config, &["unknown_value", "categories"])?;
        let categories: Option<Vec<Vec<L>>> = take(config, "categories", None)?;
        Ok(Self {
            unknown_value: take(config, "unknown_value", None)?,
            categories: categories.map(|columns| columns.into_iter().map(ascending).collect()).transpose()?,
        })
    }
}
