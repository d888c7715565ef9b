//! How far two sortings into classes agree beyond chance.

use ndarray::{ArrayRef, Axis, Ix1};

use super::Classification;
use super::confusion::count;
use super::targets::ClassLabel;
use crate::config::words;
use crate::{Error, Result};

/// What a disagreement costs in Cohen's kappa.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KappaWeights {
    /// All disagreements alike.
    #[default]
    Equal,
    /// By the distance of the classes' places.
    Linear,
    /// By its square.
    Quadratic,
}

words!(KappaWeights: Equal = "equal", Linear = "linear", Quadratic = "quadratic");

/// Cohen's kappa: κ = 1 − Σ w·observed / Σ w·expected, over pairs of classes; 1 is agreement, 0 is chance.
///
/// Knows `sample_weight` and `labels`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores); [`Undefined`](Error::Undefined) if there is one class only, where scikit-learn
/// gives NaN.
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, KappaWeights, cohen_kappa_score};
/// use ndarray::array;
/// let kappa = cohen_kappa_score(&array![1, 1, 0, 0], &array![1, 0, 0, 0], KappaWeights::Equal, &Classification::new())?;
/// assert_eq!(kappa, 0.5);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `cohen_kappa_score`.
pub fn cohen_kappa_score<L: ClassLabel, P: ClassLabel>(
    y1: &ArrayRef<L, Ix1>,
    y2: &ArrayRef<P, Ix1>,
    weights: KappaWeights,
    options: &Classification,
) -> Result<f64> {
    let call = "cohen_kappa_score";
    let matrix = count(call, y1, y2, options, &["labels"])?;
    let observed = matrix.counts();
    let (first, second, all) = (observed.sum_axis(Axis(1)), observed.sum_axis(Axis(0)), observed.sum());
    let cost = |i: usize, j: usize| {
        let distance = i.abs_diff(j) as f64;
        match weights {
            KappaWeights::Equal => distance.min(1.0),
            KappaWeights::Linear => distance,
            KappaWeights::Quadratic => distance * distance,
        }
    };
    let (mut disagreement, mut by_chance) = (0.0, 0.0);
    for ((i, j), &weight) in observed.indexed_iter() {
        disagreement += cost(i, j) * weight;
        by_chance += cost(i, j) * first[i] * second[j];
    }
    if all == 0.0 || by_chance == 0.0 {
        return Err(Error::undefined(call, "there is one class only"));
    }
    Ok(1.0 - disagreement / (by_chance / all))
}

/// Matthews' correlation of what is true and what was predicted, for any number of classes; −1 … 1, 0 is chance.
///
/// (c·s − Σ tₖpₖ) / √((s² − Σ pₖ²)(s² − Σ tₖ²)) with c right predictions of s rows, tₖ rows of class k, pₖ predicted so;
/// 0 where one side has one class only. Knows `sample_weight`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, matthews_corrcoef};
/// use ndarray::array;
/// let score = matthews_corrcoef(&array![1, 1, 1, -1], &array![1, -1, 1, 1], &Classification::new())?;
/// assert!((score + 1.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `matthews_corrcoef`; Gorodkin 2004.
pub fn matthews_corrcoef<L: ClassLabel, P: ClassLabel>(
    y_true: &ArrayRef<L, Ix1>,
    y_pred: &ArrayRef<P, Ix1>,
    options: &Classification,
) -> Result<f64> {
    let matrix = count("matthews_corrcoef", y_true, y_pred, options, &[])?;
    let counts = matrix.counts();
    let (t, p) = (counts.sum_axis(Axis(1)), counts.sum_axis(Axis(0)));
    let (right, all) = (counts.diag().sum(), counts.sum());
    let (spread_of_p, spread_of_t) = (all * all - p.dot(&p), all * all - t.dot(&t));
    let spread = spread_of_p * spread_of_t;
    Ok(if spread == 0.0 { 0.0 } else { (right * all - t.dot(&p)) / spread.sqrt() })
}
