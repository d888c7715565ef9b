//! How often predicted classes are right.

use ndarray::{ArrayRef, Dimension, Ix1};

use super::confusion::count;
use super::targets::{ClassLabel, Pair, Targets, check_rows, check_weights, columns_classes, distinct, numbers};
use super::{Classification, Ranking, mean, refuse_others};
use crate::{Error, Result, Scalar};

/// The share of rows whose prediction is right: of indicators, right in every label.
///
/// Knows `sample_weight`. Times the number of rows, or the sum of weights, it is scikit-learn's `normalize=False`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, accuracy_score};
/// use ndarray::array;
/// assert_eq!(accuracy_score(&array![0, 1, 2, 3], &array![0, 2, 1, 3], &Classification::new())?, 0.5);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `accuracy_score`.
pub fn accuracy_score<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<f64> {
    share_of_rows("accuracy_score", y_true, y_pred, options, |row| f64::from(u8::from(row.1 == 0)))
}

/// The share of rows whose prediction is wrong: 1 − [`accuracy_score`].
///
/// Knows `sample_weight`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, zero_one_loss};
/// use ndarray::array;
/// assert_eq!(zero_one_loss(&array![2, 2, 3, 4], &array![1, 2, 3, 4], &Classification::new())?, 0.25);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `zero_one_loss`.
pub fn zero_one_loss<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<f64> {
    share_of_rows("zero_one_loss", y_true, y_pred, options, |row| f64::from(u8::from(row.1 > 0)))
}

/// The share of labels that are wrong: of indicators over all rows and columns, of classes [`zero_one_loss`].
///
/// Knows `sample_weight`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, hamming_loss};
/// use ndarray::array;
/// assert_eq!(hamming_loss(&array![[0, 1], [1, 1]], &array![[0, 0], [0, 0]], &Classification::new())?, 0.75);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `hamming_loss`.
pub fn hamming_loss<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
) -> Result<f64> {
    share_of_rows("hamming_loss", y_true, y_pred, options, |(labels, wrong)| wrong as f64 / labels as f64)
}

/// The mean over the rows of a measure of (how many labels a row has, how many of them are wrong).
fn share_of_rows<L: ClassLabel, P: ClassLabel, D: Dimension>(
    call: &str,
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    options: &Classification,
    measure: impl Fn((usize, usize)) -> f64,
) -> Result<f64> {
    refuse_others(call, crate::config::Configured::to_config(options), &[])?;
    let pair = Pair::read(call, y_true, y_pred, options.sample_weight.as_ref())?;
    if let (Targets::Indicators { columns, marks }, Targets::Indicators { marks: predicted, .. }) =
        (&pair.truth, &pair.predicted)
    {
        let wrong = |(t, p): (&[bool], &[bool])| t.iter().zip(p).filter(|(t, p)| t != p).count();
        let rows = marks.chunks(*columns).zip(predicted.chunks(*columns));
        return Ok(mean(rows.map(|row| measure((*columns, wrong(row)))), pair.weights));
    }
    let (truth, predicted) = pair.classes(call)?;
    Ok(mean(truth.iter().zip(predicted).map(|(t, p)| measure((1, usize::from(t != p)))), pair.weights))
}

/// The mean over the classes that occur of the share of their rows that is recognized; 1/classes by guessing.
///
/// With `adjusted` guessing gives 0 and perfection 1: (score − 1/classes) / (1 − 1/classes). Knows `sample_weight`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, balanced_accuracy_score};
/// use ndarray::array;
/// let score = balanced_accuracy_score(&array![0, 1, 0, 0, 1, 0], &array![0, 1, 0, 0, 0, 1], false, &Classification::new())?;
/// assert_eq!(score, 0.625);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `balanced_accuracy_score`.
pub fn balanced_accuracy_score<L: ClassLabel, P: ClassLabel>(
    y_true: &ArrayRef<L, Ix1>,
    y_pred: &ArrayRef<P, Ix1>,
    adjusted: bool,
    options: &Classification,
) -> Result<f64> {
    let matrix = count("balanced_accuracy_score", y_true, y_pred, options, &[])?;
    let recognized = matrix.counts().rows().into_iter().enumerate().map(|(class, row)| row[class] / row.sum());
    let recognized: Vec<f64> = recognized.filter(|share| !share.is_nan()).collect();
    if adjusted && recognized.len() < 2 {
        return Err(Error::undefined("balanced_accuracy_score", "there is one class only, which chance always meets"));
    }
    let chance = 1.0 / recognized.len() as f64;
    let score = mean(recognized.into_iter(), None);
    Ok(if adjusted { (score - chance) / (1.0 - chance) } else { score })
}

/// The share of rows whose class is among the `k` with the highest scores.
///
/// Of equal scores the class of the later column comes first. Two classes may be scored by one column, that of the
/// larger label: right means above 0.5, or above 0 if the scores are no probabilities. Knows `sample_weight`, `labels`.
///
/// # Shapes
/// Labels (n), scores (n, classes), or (n) for two classes.
/// # Errors
/// See [`scores`](crate::metrics::scores); also columns that do not match the classes, and `k` 0.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, top_k_accuracy_score};
/// use ndarray::array;
/// let scores = array![[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]];
/// assert_eq!(top_k_accuracy_score(&array![0, 1, 2, 2], &scores, 2, &Ranking::new())?, 0.75);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `top_k_accuracy_score`.
pub fn top_k_accuracy_score<L: ClassLabel, F: Scalar, D: Dimension>(
    y_true: &ArrayRef<L, Ix1>,
    y_score: &ArrayRef<F, D>,
    k: usize,
    options: &Ranking,
) -> Result<f64> {
    let call = "top_k_accuracy_score";
    refuse_others(call, crate::config::Configured::to_config(options), &["labels"])?;
    if k == 0 {
        return Err(Error::option("k", "at least 1", k).within(call));
    }
    let truth = Targets::classes(call, "y_true", y_true)?;
    let (scores, columns) = numbers(call, "y_score", y_score)?;
    check_rows(call, "y_score", truth.len(), scores.len() / columns)?;
    let weights = check_weights(call, options.sample_weight.as_ref(), truth.len())?;
    let classes = columns_classes(call, &truth, options.labels.as_ref(), if columns == 1 { 2 } else { columns })?;
    if columns == 1 {
        let probabilities = scores.iter().all(|score| (0.0..=1.0).contains(score));
        let threshold = if probabilities { 0.5 } else { 0.0 };
        let right = |(class, score): (&i64, &f64)| k > 1 || (*class == classes[1]) == (*score > threshold);
        return Ok(mean(truth.iter().zip(&scores).map(|row| f64::from(u8::from(right(row)))), weights));
    }
    let occurring = distinct(&truth);
    if occurring.len() <= 2 && options.labels.is_none() {
        let expected = "one column of scores for two classes, or all classes by `labels`";
        return Err(Error::data(call, expected, format!("{columns} columns for the classes {occurring:?}")));
    }
    let hit = |(class, scores): (&i64, &[f64])| {
        let own = classes.binary_search(class).unwrap_or(0);
        let before = |&(other, score): &(usize, &f64)| *score > scores[own] || (*score == scores[own] && other > own);
        f64::from(u8::from(scores.iter().enumerate().filter(before).count() < k))
    };
    Ok(mean(truth.iter().zip(scores.chunks(columns)).map(hit), weights))
}
