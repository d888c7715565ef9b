//! Precision, recall and what is made of them.

use ndarray::{Array1, ArrayRef, Dimension};

use super::targets::{ClassLabel, Pair, Places, Targets, distinct, weight};
use super::{Average, Classification, refuse_others};
use crate::config::Configured;
use crate::{Error, Result};

/// For each class, or each row of indicators: the weight of rows that are and were predicted so.
pub(super) struct Tally {
    pub labels: Vec<i64>,
    /// Predicted, and rightly.
    pub hits: Vec<f64>,
    /// Predicted.
    pub predicted: Vec<f64>,
    /// Truly so.
    pub actual: Vec<f64>,
    /// Everything.
    pub all: Vec<f64>,
}

impl Tally {
    /// Counts by class, or by row where each has several labels.
    pub fn count(call: &str, pair: &Pair<'_>, labels: Option<&[i64]>, by_rows: bool) -> Result<Self> {
        match (&pair.truth, &pair.predicted) {
            (Targets::Indicators { columns, marks }, Targets::Indicators { marks: predicted, .. }) => {
                Self::count_indicators(call, *columns, marks, predicted, pair.weights, labels, by_rows)
            }
            _ if by_rows => {
                Err(Error::option("average", "another one, as each row has one class only", "samples").within(call))
            }
            _ => {
                let (truth, predicted) = pair.classes(call)?;
                Self::count_classes(call, truth, predicted, pair.weights, labels)
            }
        }
    }

    fn empty(labels: Vec<i64>, n: usize, all: f64) -> Self {
        Self { labels, hits: vec![0.0; n], predicted: vec![0.0; n], actual: vec![0.0; n], all: vec![all; n] }
    }

    fn count_classes(
        call: &str,
        truth: &[i64],
        predicted: &[i64],
        weights: Option<&[f64]>,
        labels: Option<&[i64]>,
    ) -> Result<Self> {
        let labels = labels.map_or_else(|| distinct(truth.iter().chain(predicted)), <[i64]>::to_vec);
        let places = Places::new(call, &labels)?;
        let n = labels.len();
        let all = (0..truth.len()).map(|row| weight(weights, row)).sum();
        let mut tally = Self::empty(labels, n, all);
        for (row, (&t, &p)) in truth.iter().zip(predicted).enumerate() {
            let w = weight(weights, row);
            let place = places.of(t);
            if let Some(class) = place {
                tally.actual[class] += w;
            }
            if t == p {
                if let Some(class) = place {
                    tally.predicted[class] += w;
                    tally.hits[class] += w;
                }
            } else if let Some(class) = places.of(p) {
                tally.predicted[class] += w;
            }
        }
        Ok(tally)
    }

    fn count_indicators(
        call: &str,
        columns: usize,
        truth: &[bool],
        predicted: &[bool],
        weights: Option<&[f64]>,
        labels: Option<&[i64]>,
        by_rows: bool,
    ) -> Result<Self> {
        let rows = truth.len() / columns;
        let picked: Vec<usize> = match labels {
            None => (0..columns).collect(),
            Some(labels) => {
                let column = |&label: &i64| usize::try_from(label).ok().filter(|&column| column < columns);
                let picked: Option<Vec<usize>> = labels.iter().map(column).collect();
                let refuse = || Error::option("labels", format!("columns in 0..{columns}"), format!("{labels:?}"));
                picked.filter(|picked| !picked.is_empty()).ok_or_else(|| refuse().within(call))?
            }
        };
        let mut tally = if by_rows {
            let mut tally = Self::empty((0..).take(rows).collect(), rows, 0.0);
            tally.all = (0..rows).map(|row| picked.len() as f64 * weight(weights, row)).collect();
            tally
        } else {
            let labels = labels.map_or_else(|| (0..).take(columns).collect(), <[i64]>::to_vec);
            let all = (0..rows).map(|row| weight(weights, row)).sum();
            Self::empty(labels, picked.len(), all)
        };
        for row in 0..rows {
            let w = weight(weights, row);
            for (place, &column) in picked.iter().enumerate() {
                let place = if by_rows { row } else { place };
                let (t, p) = (truth[row * columns + column], predicted[row * columns + column]);
                tally.actual[place] += if t { w } else { 0.0 };
                tally.predicted[place] += if p { w } else { 0.0 };
                tally.hits[place] += if t && p { w } else { 0.0 };
            }
        }
        Ok(tally)
    }

    /// All classes as one.
    fn together(mut self) -> Self {
        for counts in [&mut self.hits, &mut self.predicted, &mut self.actual, &mut self.all] {
            *counts = vec![counts.iter().sum()];
        }
        self
    }
}

/// Measures of each class. Made by [`precision_recall_fscore_support`].
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// The classes.
    pub labels: Vec<i64>,
    /// Of what was predicted as the class, the share that is of it.
    pub precision: Array1<f64>,
    /// Of what is of the class, the share that was predicted so.
    pub recall: Array1<f64>,
    /// Their weighted harmonic mean.
    pub f_score: Array1<f64>,
    /// How many rows are of the class.
    pub support: Array1<f64>,
}

impl ClassScores {
    fn of(tally: Tally, beta: f64, zero_division: f64) -> Self {
        let divide = |a: &[f64], b: &[f64]| -> Array1<f64> {
            a.iter().zip(b).map(|(&a, &b)| if b == 0.0 { zero_division } else { a / b }).collect()
        };
        let (precision, recall) = (divide(&tally.hits, &tally.predicted), divide(&tally.hits, &tally.actual));
        let f_score = if beta.is_infinite() {
            recall.clone()
        } else if beta == 0.0 {
            precision.clone()
        } else {
            let squared = beta * beta;
            let above: Vec<f64> = tally.hits.iter().map(|hits| (1.0 + squared) * hits).collect();
            let below: Vec<f64> = tally.actual.iter().zip(&tally.predicted).map(|(t, p)| squared * t + p).collect();
            divide(&above, &below)
        };
        Self { labels: tally.labels, precision, recall, f_score, support: tally.actual.into() }
    }

    fn average(&self, weights: Option<&[f64]>) -> [f64; 3] {
        [&self.precision, &self.recall, &self.f_score].map(|measure| average_of_numbers(measure, weights))
    }
}

/// The weighted mean of those that are numbers; weights that are all 0 count alike.
fn average_of_numbers(measures: &Array1<f64>, weights: Option<&[f64]>) -> f64 {
    let there = || measures.iter().enumerate().filter(|(_, measure)| !measure.is_nan());
    let weighted = |weights: Option<&[f64]>| {
        let all: f64 = there().map(|(i, _)| weight(weights, i)).sum();
        there().map(|(i, measure)| measure * weight(weights, i)).sum::<f64>() / all
    };
    let nothing = there().all(|(i, _)| weight(weights, i) == 0.0);
    weighted(weights.filter(|_| !nothing))
}

/// Options that scores of this family know.
const KNOWN: [&str; 4] = ["labels", "pos_label", "average", "zero_division"];

/// What is counted for an average, by the rules on which classes it is about.
fn tally(call: &str, pair: &Pair<'_>, average: Average, options: &Classification) -> Result<Tally> {
    let positive = match average {
        Average::Binary => Some([binary_class(call, pair, options)?]),
        _ => None,
    };
    let labels = positive.as_ref().map(<[i64; 1]>::as_slice).or(options.labels.as_deref());
    let tally = Tally::count(call, pair, labels, average == Average::Samples)?;
    Ok(if average == Average::Micro { tally.together() } else { tally })
}

/// The class that a binary average is about.
fn binary_class(call: &str, pair: &Pair<'_>, options: &Classification) -> Result<i64> {
    let refuse = |received: String| {
        Err(Error::option("average", "macro, micro, weighted or samples for more than two classes", received)
            .within(call))
    };
    let Targets::Classes(_) = pair.truth else { return refuse("binary, for several labels a row".into()) };
    let (truth, predicted) = pair.classes(call)?;
    let present = distinct(truth.iter().chain(predicted));
    let positive = options.pos_label.unwrap_or(1);
    if present.len() > 2 {
        return refuse(format!("binary, for the classes {present:?}"));
    }
    if present.len() == 2 && !present.contains(&positive) {
        return Err(Error::option("pos_label", format!("one of {present:?}"), positive).within(call));
    }
    Ok(positive)
}

/// What a class or row counts in an average.
fn average_weights<'t>(average: Average, actual: &'t [f64], samples: Option<&'t [f64]>) -> Option<&'t [f64]> {
    match average {
        Average::Weighted => Some(actual),
        Average::Samples => samples,
        _ => None,
    }
}

fn zero_division(call: &str, options: &Classification, may_be_nan: bool) -> Result<f64> {
    let value = options.zero_division.unwrap_or(0.0);
    if value == 0.0 || value == 1.0 || (may_be_nan && value.is_nan()) {
        return Ok(value);
    }
    let expected = if may_be_nan { "0, 1 or NaN" } else { "0 or 1" };
    Err(Error::option("zero_division", expected, value).within(call))
}

/// Precision, recall and F score of each class, and how many rows it has.
///
/// precision = hits / predicted, recall = hits / actual, F = (1 + β²) · hits / (β² · actual + predicted); 0/0 is
/// `zero_division`. An average of them is what [`precision_score`] and its like give.
///
/// Knows `sample_weight`, `labels`, `zero_division`.
///
/// # Shapes
/// Labels (n) or indicators (n, labels).
/// # Errors
/// See [`scores`](crate::metrics::scores); also a negative `beta`.
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, precision_recall_fscore_support};
/// use ndarray::array;
///
/// let scores = precision_recall_fscore_support(&array![0, 1, 2, 2], &array![0, 2, 2, 1], 1.0, &Classification::new())?;
/// assert_eq!(scores.precision, array![1.0, 0.0, 0.5]);
/// assert_eq!(scores.support, array![1.0, 1.0, 2.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `precision_recall_fscore_support`.
pub fn precision_recall_fscore_support<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    beta: f64,
    options: &Classification,
) -> Result<ClassScores> {
    let call = "precision_recall_fscore_support";
    refuse_others(call, options.to_config(), &["labels", "zero_division"])?;
    check_beta(call, beta)?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    let tally = Tally::count(call, &pair, options.labels.as_deref(), false)?;
    Ok(ClassScores::of(tally, beta, zero_division(call, options, true)?))
}

fn check_beta(call: &str, beta: f64) -> Result<()> {
    if beta >= 0.0 { Ok(()) } else { Err(Error::option("beta", "at least 0", beta).within(call)) }
}

/// Precision, recall and F score, averaged.
pub(super) fn averaged<L: ClassLabel, P: ClassLabel, D: Dimension>(
    call: &str,
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    beta: f64,
    options: &Classification,
) -> Result<[f64; 3]> {
    refuse_others(call, options.to_config(), &KNOWN)?;
    check_beta(call, beta)?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    let average = options.average.unwrap_or(Average::Binary);
    let tally = tally(call, &pair, average, options)?;
    let actual = tally.actual.clone();
    let scores = ClassScores::of(tally, beta, zero_division(call, options, true)?);
    Ok(scores.average(average_weights(average, &actual, pair.weights)))
}

/// Declares a score that is one of the three averaged measures.
macro_rules! averaged_score {
    ($(#[$meta:meta])* $name:ident, $measure:literal $(, $beta:ident)?) => {
        $(#[$meta])*
        pub fn $name<L: ClassLabel, P: ClassLabel, D: Dimension>(
            y_true: &ArrayRef<L, D>,
            y_pred: &ArrayRef<P, D>,
            $($beta: f64,)?
            options: &Classification,
        ) -> Result<f64> {
            let beta = 1.0 $(* $beta)?;
            averaged(stringify!($name), y_true, y_pred, beta, options).map(|measures| measures[$measure])
        }
    };
}

averaged_score! {
    /// Of what was predicted as a class, the share that is of it: hits / predicted, averaged over the classes.
    ///
    /// Knows `sample_weight`, `labels`, `pos_label`, `average` (default binary), `zero_division`.
    ///
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also the binary average of more than two classes.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Classification, precision_score};
    /// use ndarray::array;
    /// assert_eq!(precision_score(&array![0, 1, 1, 0], &array![1, 1, 0, 0], &Classification::new())?, 0.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `precision_score`.
    precision_score, 0
}

averaged_score! {
    /// Of what is of a class, the share that was predicted so: hits / actual, averaged over the classes.
    ///
    /// Knows `sample_weight`, `labels`, `pos_label`, `average` (default binary), `zero_division`.
    ///
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also the binary average of more than two classes.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Average, Classification, recall_score};
    /// use ndarray::array;
    /// let options = Classification::new().average(Average::Macro);
    /// assert_eq!(recall_score(&array![0, 1, 2, 2], &array![0, 2, 2, 1], &options)?, 0.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `recall_score`.
    recall_score, 1
}

averaged_score! {
    /// The harmonic mean of precision and recall, averaged over the classes: 2 · hits / (actual + predicted).
    ///
    /// Knows `sample_weight`, `labels`, `pos_label`, `average` (default binary), `zero_division`.
    ///
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also the binary average of more than two classes.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Classification, f1_score};
    /// use ndarray::array;
    /// assert_eq!(f1_score(&array![0, 1, 1, 0], &array![1, 1, 0, 0], &Classification::new())?, 0.5);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `f1_score`.
    f1_score, 2
}

averaged_score! {
    /// [`f1_score`] in which recall counts `beta` times as much as precision:
    /// (1 + β²) · hits / (β² · actual + predicted).
    ///
    /// Knows `sample_weight`, `labels`, `pos_label`, `average` (default binary), `zero_division`.
    ///
    /// # Errors
    /// See [`scores`](crate::metrics::scores); also the binary average of more than two classes, and a negative `beta`.
    /// # Example
    /// ```
    /// use gradus::metrics::scores::{Classification, fbeta_score};
    /// use ndarray::array;
    /// let score = fbeta_score(&array![0, 1, 1, 1], &array![1, 1, 0, 0], 2.0, &Classification::new())?;
    /// assert!((score - 5.0 / 14.0).abs() < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `fbeta_score`.
    fbeta_score, 2, beta
}

/// Of what is of a class or was predicted so, the share that is both: the intersection over the union of each class.
///
/// hits / (actual + predicted − hits); 0/0 is `zero_division`, 0 or 1. Knows `sample_weight`, `labels`, `zero_division`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, jaccard_score_per_class};
/// use ndarray::array;
/// let scores = jaccard_score_per_class(&array![0, 1, 2, 2], &array![0, 2, 2, 1], &Classification::new())?;
/// assert_eq!(scores, array![1.0, 0.0, 1.0 / 3.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `jaccard_score(average=None)`.
pub fn jaccard_score_per_class<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<Array1<f64>> {
    let call = "jaccard_score_per_class";
    refuse_others(call, options.to_config(), &["labels", "zero_division"])?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    Ok(jaccard(&Tally::count(call, &pair, options.labels.as_deref(), false)?, zero_division(call, options, false)?))
}

fn jaccard(tally: &Tally, zero_division: f64) -> Array1<f64> {
    let score = |i: usize| {
        let union = tally.actual[i] + tally.predicted[i] - tally.hits[i];
        if union == 0.0 { zero_division } else { tally.hits[i] / union }
    };
    (0..tally.hits.len()).map(score).collect()
}

/// [`jaccard_score_per_class`], averaged.
///
/// Knows `sample_weight`, `labels`, `pos_label`, `average` (default binary), `zero_division`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores); also the binary average of more than two classes.
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, jaccard_score};
/// use ndarray::array;
/// assert_eq!(jaccard_score(&array![0, 1, 1], &array![1, 1, 0], &Classification::new())?, 1.0 / 3.0);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `jaccard_score`.
pub fn jaccard_score<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<f64> {
    let call = "jaccard_score";
    refuse_others(call, options.to_config(), &KNOWN)?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    let average = options.average.unwrap_or(Average::Binary);
    let tally = tally(call, &pair, average, options)?;
    let scores = jaccard(&tally, zero_division(call, options, false)?);
    Ok(average_of_numbers(&scores, average_weights(average, &tally.actual, pair.weights)))
}
