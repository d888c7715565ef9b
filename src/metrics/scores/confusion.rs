//! Which classes are taken for which.

use ndarray::{Array2, Array3, ArrayRef, Axis, Dimension, Ix1};

use super::precision_recall::Tally;
use super::targets::{ClassLabel, Pair, Places, distinct, weight};
use super::{Classification, refuse_others};
use crate::config::Configured;
use crate::{Error, Result};

/// How many rows of each class were taken for each class. Made by [`confusion_matrix`].
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    labels: Vec<i64>,
    counts: Array2<f64>,
}

/// What the counts of a confusion matrix are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Normalize {
    /// The rows of the true class: each row of the matrix sums to 1.
    True,
    /// The rows of the predicted class: each column sums to 1.
    Predicted,
    /// All rows: everything sums to 1.
    All,
}

impl ConfusionMatrix {
    /// The classes, in the order of rows and columns.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The counts, or sums of weights: a row a true class, a column a predicted class.
    pub fn counts(&self) -> &Array2<f64> {
        &self.counts
    }

    /// The counts as shares; 0/0 is 0.
    pub fn normalized(&self, by: Normalize) -> Array2<f64> {
        let sums = match by {
            Normalize::True => self.counts.sum_axis(Axis(1)).insert_axis(Axis(1)),
            Normalize::Predicted => self.counts.sum_axis(Axis(0)).insert_axis(Axis(0)),
            Normalize::All => Array2::from_elem((1, 1), self.counts.sum()),
        };
        (&self.counts / &sums).mapv(|share| if share.is_nan() { 0.0 } else { share })
    }
}

/// How many rows of each true class (down) were predicted as each class (across).
///
/// Knows `sample_weight` and `labels`: the classes and their order; rows of other classes are left out.
///
/// # Errors
/// See [`scores`](crate::metrics::scores); also `labels` of which none occurs in `y_true`.
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, Normalize, confusion_matrix};
/// use ndarray::array;
///
/// let matrix = confusion_matrix(&array![2, 0, 2, 2, 0, 1], &array![0, 0, 2, 2, 0, 2], &Classification::new())?;
/// assert_eq!(matrix.counts(), array![[2., 0., 0.], [0., 0., 1.], [1., 0., 2.]]);
/// assert_eq!(matrix.normalized(Normalize::Predicted).column(0), array![2. / 3., 0., 1. / 3.]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `confusion_matrix`.
pub fn confusion_matrix<L: ClassLabel, P: ClassLabel>(
    y_true: &ArrayRef<L, Ix1>,
    y_pred: &ArrayRef<P, Ix1>,
    options: &Classification,
) -> Result<ConfusionMatrix> {
    count("confusion_matrix", y_true, y_pred, options, &["labels"])
}

/// [`confusion_matrix`] for a score that is worked out from it.
pub(super) fn count<L: ClassLabel, P: ClassLabel>(
    call: &str,
    y_true: &ArrayRef<L, Ix1>,
    y_pred: &ArrayRef<P, Ix1>,
    options: &Classification,
    known: &[&str],
) -> Result<ConfusionMatrix> {
    refuse_others(call, options.to_config(), known)?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    let (truth, predicted) = pair.classes(call)?;
    let labels = options.labels.clone().unwrap_or_else(|| distinct(truth.iter().chain(predicted)));
    let places = Places::new(call, &labels)?;
    if !truth.iter().any(|&class| places.of(class).is_some()) {
        return Err(Error::data(call, "at least one of `labels` in y_true", format!("{labels:?}")));
    }
    let mut counts = Array2::zeros((labels.len(), labels.len()));
    for (row, (&t, &p)) in truth.iter().zip(predicted).enumerate() {
        if let (Some(t), Some(p)) = (places.of(t), places.of(p)) {
            counts[[t, p]] += weight(pair.weights, row);
        }
    }
    Ok(ConfusionMatrix { labels, counts })
}

/// For each class a matrix of its own, [[true negatives, false positives], [false negatives, true positives]].
///
/// Knows `sample_weight`, `labels`, and of `average` [`Samples`](super::Average::Samples): a matrix for each row instead, for
/// indicators.
///
/// # Shapes
/// Labels (n) or indicators (n, labels) → (classes, 2, 2) or (n, 2, 2).
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, multilabel_confusion_matrix};
/// use ndarray::array;
///
/// let matrices =
///     multilabel_confusion_matrix(&array![[1, 0, 1], [0, 1, 0]], &array![[1, 0, 0], [0, 1, 1]], &Classification::new())?;
/// assert_eq!(matrices, array![[[1., 0.], [0., 1.]], [[1., 0.], [0., 1.]], [[0., 1.], [1., 0.]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `multilabel_confusion_matrix`.
pub fn multilabel_confusion_matrix<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<Array3<f64>> {
    let call = "multilabel_confusion_matrix";
    refuse_others(call, options.to_config(), &["labels", "average"])?;
    let by_rows = match options.average {
        None => false,
        Some(super::Average::Samples) => true,
        Some(other) => return Err(Error::option("average", "none or samples", format!("{other:?}")).within(call)),
    };
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    let tally = Tally::count(call, &pair, options.labels.as_deref(), by_rows)?;
    let mut matrices = Array3::zeros((tally.hits.len(), 2, 2));
    for (i, mut matrix) in matrices.outer_iter_mut().enumerate() {
        let (hits, false_alarms, misses) =
            (tally.hits[i], tally.predicted[i] - tally.hits[i], tally.actual[i] - tally.hits[i]);
        matrix[[0, 0]] = tally.all[i] - hits - false_alarms - misses;
        matrix[[0, 1]] = false_alarms;
        matrix[[1, 0]] = misses;
        matrix[[1, 1]] = hits;
    }
    Ok(matrices)
}
