//! Which rows train and which are kept for testing.

use std::fmt::Display;
use std::ops::Range;

use super::folds::stratify;
use crate::{Error, Result, random};

/// The rows that train and the rows that validate: the LAST `fraction` of `n`, before any shuffling.
///
/// ⌊n · (1 − fraction)⌋ rows train, the rest validates.
///
/// # Errors
/// [`Option`](Error::Option) if `fraction` is not in (0, 1); [`Data`](Error::Data) if one of the two would be empty.
/// # Example
/// ```
/// let (train, validation) = gradus::data::validation_split(60_000, 0.1)?;
/// assert_eq!((train, validation), (0..54_000, 54_000..60_000));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `fit(validation_split=…)`.
pub fn validation_split(n: usize, fraction: f64) -> Result<(Range<usize>, Range<usize>)> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::option("validation_split", "between 0 and 1, both excluded", fraction));
    }
    let train = whole(n as f64 * (1.0 - fraction));
    if train == 0 || train >= n {
        let received = format!("{n} rows, of which {train} would train");
        return Err(Error::data("validation_split", "at least one row on each side", received));
    }
    Ok((0..train, train..n))
}

/// How many rows one side of a split has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitSize {
    /// So much of all rows, between 0 and 1.
    Fraction(f64),
    /// So many.
    Rows(usize),
}

impl From<f64> for SplitSize {
    fn from(fraction: f64) -> Self {
        Self::Fraction(fraction)
    }
}

impl From<usize> for SplitSize {
    fn from(rows: usize) -> Self {
        Self::Rows(rows)
    }
}

impl SplitSize {
    /// In rows of `n`; `round` makes a whole number of a fraction's.
    fn rows(self, option: &str, n: usize, round: impl Fn(f64) -> f64) -> Result<usize> {
        match self {
            Self::Fraction(part) if part > 0.0 && part < 1.0 => Ok(whole(round(n as f64 * part))),
            Self::Fraction(part) => {
                Err(Error::option(option, "between 0 and 1, both excluded, or a number of rows", part))
            }
            Self::Rows(rows) if rows > 0 && rows < n => Ok(rows),
            Self::Rows(rows) => Err(Error::option(option, format!("at least 1 and below the {n} rows"), rows)),
        }
    }
}

/// Cuts rows into those that train and those that test, and if it is asked for those that validate.
///
/// A fraction of n rows is ⌈n · fraction⌉ rows for test and validation, ⌊n · fraction⌋ for training. Without `train_size` all
/// that is left trains; without `test_size` what `train_size` leaves tests, or a quarter. The same `seed` gives the same rows for
/// ever. `array.select(Axis(0), &rows)` takes them out of an array.
///
/// # Defaults
/// `shuffle` true, `seed` 0, `test_size` and `train_size` as above, no `validation_size`.
/// # Errors
/// [`Option`](Error::Option) for a fraction outside (0, 1), a number of rows that there are not, or classes without shuffling;
/// [`Data`](Error::Data) if a side would be empty, or the sides together have more rows than there are.
/// # Example
/// ```
/// use gradus::data::TrainTestSplit;
///
/// let (train, test) = TrainTestSplit::new().test_size(2usize).shuffle(false).split(6)?;
/// assert_eq!((train, test), (vec![0, 1, 2, 3], vec![4, 5]));
///
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1];
/// let (_, test) = TrainTestSplit::new().test_size(0.25).split_stratified(labels)?;
/// assert_eq!(test.iter().filter(|&&row| labels[row] == 1).count(), 1);
///
/// let [train, validation, test] = TrainTestSplit::new().validation_size(0.1).test_size(0.2).split_in_three(100)?;
/// assert_eq!((train.len(), validation.len(), test.len()), (70, 10, 20));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `train_test_split` has these sizes; its order is another.
#[derive(Clone, Debug)]
pub struct TrainTestSplit {
    test_size: Option<SplitSize>,
    train_size: Option<SplitSize>,
    validation_size: Option<SplitSize>,
    shuffle: bool,
    seed: u64,
}

impl Default for TrainTestSplit {
    fn default() -> Self {
        Self::new()
    }
}

impl TrainTestSplit {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { test_size: None, train_size: None, validation_size: None, shuffle: true, seed: 0 }
    }
    /// How many rows test: a fraction or a number. Default: those that `train_size` leaves, or a quarter.
    pub fn test_size(mut self, size: impl Into<SplitSize>) -> Self {
        self.test_size = Some(size.into());
        self
    }
    /// How many rows train: a fraction or a number. Default: all that are left.
    pub fn train_size(mut self, size: impl Into<SplitSize>) -> Self {
        self.train_size = Some(size.into());
        self
    }
    /// How many rows validate, for [`split_in_three`](Self::split_in_three): a fraction or a number.
    pub fn validation_size(mut self, size: impl Into<SplitSize>) -> Self {
        self.validation_size = Some(size.into());
        self
    }
    /// Whether the rows are in random order; else the first train, then come those that validate, then those that test.
    /// Default: true.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }
    /// What the random order depends on. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many of `n` rows train, validate and test.
    fn sizes(&self, n: usize) -> Result<[usize; 3]> {
        crate::memory::room::<usize>("n", n, &[n]).map_err(|error| error.within("TrainTestSplit"))?;
        let validation = self.validation_size.map_or(Ok(0), |size| size.rows("validation_size", n, f64::ceil))?;
        let left = n.saturating_sub(validation);
        let train = self.train_size.map(|size| size.rows("train_size", n, f64::floor)).transpose()?;
        let test = match (self.test_size, train) {
            (Some(size), _) => size.rows("test_size", n, f64::ceil)?,
            (None, Some(train)) => left.saturating_sub(train),
            (None, None) => whole((n as f64 * 0.25).ceil()),
        };
        let train = train.unwrap_or(left.saturating_sub(test));
        let received = || format!("{n} rows, of which {train} would train, {validation} validate and {test} test");
        if train == 0 || test == 0 || (validation == 0 && self.validation_size.is_some()) {
            return Err(Error::data("TrainTestSplit", "at least one row on each side", received()));
        }
        if train.saturating_add(validation).saturating_add(test) > n {
            return Err(Error::data("TrainTestSplit", "no more rows than there are", received()));
        }
        Ok([train, validation, test])
    }

    /// (training rows, test rows) of `n` rows.
    ///
    /// # Errors
    /// See [`TrainTestSplit`]; or a `validation_size`, for which [`split_in_three`](Self::split_in_three) is.
    pub fn split(&self, n: usize) -> Result<(Vec<usize>, Vec<usize>)> {
        self.refuse_validation("split")?;
        let [train, _, test] = self.split_in_three(n)?;
        Ok((train, test))
    }

    /// [Training, validation, test] rows of `n` rows.
    ///
    /// # Errors
    /// See [`TrainTestSplit`].
    pub fn split_in_three(&self, n: usize) -> Result<[Vec<usize>; 3]> {
        let [train, validation, test] = self.sizes(n)?;
        let mut rows: Vec<usize> = (0..n).collect();
        if !self.shuffle {
            let part = |start: usize, len: usize| rows[start..start + len].to_vec();
            return Ok([part(0, train), part(train, validation), part(train + validation, test)]);
        }
        random::shuffle(&mut rows, self.seed, 0);
        let part = |start: usize, len: usize| rows[start..start + len].to_vec();
        Ok([part(test + validation, train), part(test, validation), part(0, test)])
    }

    /// (training rows, test rows), with each class in the proportion of the whole.
    ///
    /// # Errors
    /// See [`TrainTestSplit`]; and if a class has one row only, or a side would have fewer rows than there are classes.
    pub fn split_stratified<L: Ord + Display>(
        &self,
        labels: impl IntoIterator<Item = L>,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        self.refuse_validation("split_stratified")?;
        let labels: Vec<L> = labels.into_iter().collect();
        let [train, _, test] = self.sizes(labels.len())?;
        self.stratified(&labels, train, test)
    }

    /// [Training, validation, test] rows, with each class in the proportion of the whole.
    ///
    /// # Errors
    /// As [`split_stratified`](Self::split_stratified).
    pub fn split_stratified_in_three<L: Ord + Display>(
        &self,
        labels: impl IntoIterator<Item = L>,
    ) -> Result<[Vec<usize>; 3]> {
        let labels: Vec<L> = labels.into_iter().collect();
        let [train, validation, test] = self.sizes(labels.len())?;
        if validation == 0 {
            let (train, test) = self.stratified(&labels, train, test)?;
            return Ok([train, Vec::new(), test]);
        }
        let (rest, test) = self.stratified(&labels, train + validation, test)?;
        let of_rest: Vec<&L> = rest.iter().map(|&row| &labels[row]).collect();
        let (train, validation) = self.stratified(&of_rest, train, validation)?;
        let rows = |places: Vec<usize>| places.into_iter().map(|place| rest[place]).collect();
        Ok([rows(train), rows(validation), test])
    }

    fn stratified<L: Ord + Display>(
        &self,
        labels: &[L],
        train: usize,
        test: usize,
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        if !self.shuffle {
            return Err(Error::option("shuffle", "true where each class keeps its proportion", false));
        }
        stratify("TrainTestSplit", labels, train, test, self.seed)
    }

    fn refuse_validation(&self, call: &str) -> Result<()> {
        match self.validation_size {
            Some(_) => {
                let needs = format!("none for `{call}`: `{call}_in_three` gives rows for validation too");
                Err(Error::option("validation_size", needs, "one"))
            }
            None => Ok(()),
        }
    }
}

/// The rows 0 … n − 1 in random order, cut in two: (training rows, test rows).
///
/// ⌈n · `test_fraction`⌉ rows test, the rest trains. [`TrainTestSplit`] has more options.
///
/// # Errors
/// [`Option`](Error::Option) if `test_fraction` is not in (0, 1); [`Data`](Error::Data) if one side would be empty.
/// # Example
/// ```
/// use gradus::data::train_test_split;
/// use ndarray::{Array, Axis};
///
/// let x = Array::from_iter(0..10).insert_axis(Axis(1));
/// let (train, test) = train_test_split(10, 0.25, 42)?;
/// assert_eq!(x.select(Axis(0), &train).dim(), (7, 1));
/// assert_eq!(x.select(Axis(0), &test).dim(), (3, 1));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `train_test_split` has these sizes; its order is another.
pub fn train_test_split(n: usize, test_fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    TrainTestSplit::new().test_size(test_fraction).seed(seed).split(n)
}

/// The rows cut in two with each class in the proportion of the whole: (training rows, test rows), both in random order.
///
/// ⌈n · `test_fraction`⌉ rows test. Of each class ⌊its share⌋ rows, and one more of those with the largest remainder.
/// [`TrainTestSplit::split_stratified`] has more options.
///
/// # Errors
/// [`Option`](Error::Option) if `test_fraction` is not in (0, 1); [`Data`](Error::Data) if a class has one row only, or a side
/// would have fewer rows than there are classes.
/// # Example
/// ```
/// use gradus::data::stratified_split;
///
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1];
/// let (train, test) = stratified_split(labels, 0.25, 42)?;
/// assert_eq!((train.len(), test.len()), (6, 2));
/// assert_eq!(test.iter().filter(|&&row| labels[row] == 1).count(), 1);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `train_test_split(stratify=…)` has these counts; its order is another.
pub fn stratified_split<L: Ord + Display>(
    labels: impl IntoIterator<Item = L>,
    test_fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    TrainTestSplit::new().test_size(test_fraction).seed(seed).split_stratified(labels)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of rows
fn whole(x: f64) -> usize {
    x as usize
}
