//! Classes as numbers, and as columns of 0 and 1.

use std::collections::BTreeSet;
use std::fmt::Display;

use ndarray::{Array1, Array2, ArrayRef, Ix2};

use crate::config::{Config, Configured, Setting, refuse_unknown, require, take};
use crate::{Error, Result};

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
/// assert_eq!(encoder.transform(&array![["blue", "small"]])?, array![[1.0, 0.0, 0.0, 1.0]]);
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

    /// With the classes that occur in each column.
    ///
    /// # Errors
    /// No rows.
    pub fn fit(mut self, x: &ArrayRef<L, Ix2>) -> Result<Self> {
        if x.is_empty() {
            return Err(Error::data("OneHotEncoder", "a table with rows and columns", crate::error::show(x.shape())));
        }
        let classes = x.columns().into_iter().map(|column| LabelEncoder::fit(column.iter().cloned()).classes);
        self.categories = Some(classes.collect());
        Ok(self)
    }

    /// The table as 0 and 1.
    ///
    /// # Errors
    /// Before `fit`; an unknown class; another number of columns.
    pub fn transform(&self, x: &ArrayRef<L, Ix2>) -> Result<Array2<f64>> {
        let categories = super::learned("OneHotEncoder", self.categories.as_ref(), x.ncols())?;
        let skipped = usize::from(self.drop_first);
        let width: usize = categories.iter().map(|classes| classes.len() - skipped).sum();
        let mut y = Array2::zeros((x.nrows(), width));
        for (row, classes_of_row) in x.rows().into_iter().enumerate() {
            let mut first = 0;
            for (column, (label, classes)) in classes_of_row.iter().zip(categories).enumerate() {
                match classes.binary_search(label) {
                    Ok(class) if class >= skipped => y[[row, first + class - skipped]] = 1.0,
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
