//! Curves over all thresholds of a score.

use ndarray::{Array1, ArrayRef, Ix1, s};

use super::targets::{ClassLabel, Targets, check_rows, check_weights, distinct, numbers, weight};
use super::{Ranking, refuse_others};
use crate::config::Configured;
use crate::{Error, Result, Scalar};

/// For every threshold, falling: how much lies at or above it, truly so or not.
pub(super) struct Steps {
    pub hits: Vec<f64>,
    pub false_alarms: Vec<f64>,
    pub thresholds: Vec<f64>,
}

impl Steps {
    /// Rows that weigh nothing make no threshold; equal scores make one.
    pub fn count(scores: &[f64], positive: impl Fn(usize) -> bool, weights: Option<&[f64]>) -> Self {
        let mut rows: Vec<(f64, f64, f64)> = (0..scores.len())
            .map(|row| {
                let w = weight(weights, row);
                if positive(row) { (scores[row], w, 0.0) } else { (scores[row], 0.0, w) }
            })
            .filter(|&(_, hit, false_alarm)| hit + false_alarm > 0.0)
            .collect();
        rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut steps = Self { hits: Vec::new(), false_alarms: Vec::new(), thresholds: Vec::new() };
        let (mut hits, mut false_alarms) = (0.0, 0.0);
        for (at, &(score, hit, false_alarm)) in rows.iter().enumerate() {
            hits += hit;
            false_alarms += false_alarm;
            if rows.get(at + 1).is_none_or(|next| next.0 != score) {
                steps.hits.push(hits);
                steps.false_alarms.push(false_alarms);
                steps.thresholds.push(score);
            }
        }
        steps
    }

    pub fn positives(&self) -> f64 {
        self.hits.last().copied().unwrap_or(0.0)
    }

    pub fn negatives(&self) -> f64 {
        self.false_alarms.last().copied().unwrap_or(0.0)
    }

    /// The area under the ROC curve up to the rate `max_fpr`, none if a class is missing; of a part, McClish's form, in
    /// which chance is 1/2.
    pub fn roc_auc(&self, max_fpr: f64) -> Option<f64> {
        let (positives, negatives) = (self.positives(), self.negatives());
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let (mut area, mut last) = (0.0, (0.0, 0.0));
        for (&hits, &false_alarms) in self.hits.iter().zip(&self.false_alarms) {
            let (mut x, mut y) = (false_alarms / negatives, hits / positives);
            if x > max_fpr {
                y = last.1 + (y - last.1) * (max_fpr - last.0) / (x - last.0);
                x = max_fpr;
            }
            area += (x - last.0) * (y + last.1) / 2.0;
            last = (x, y);
            if x >= max_fpr && max_fpr < 1.0 {
                break;
            }
        }
        let chance = max_fpr * max_fpr / 2.0;
        Some(if max_fpr < 1.0 { 0.5 * (1.0 + (area - chance) / (max_fpr - chance)) } else { area })
    }

    /// Σ (recallᵢ − recallᵢ₋₁) · precisionᵢ; 0 without positives, where every recall is 1 and every precision 0.
    pub fn average_precision(&self) -> f64 {
        let positives = self.positives();
        let (mut area, mut last) = (0.0, 0.0);
        for (&hits, &false_alarms) in self.hits.iter().zip(&self.false_alarms) {
            area += (hits - last) * hits / (hits + false_alarms);
            last = hits;
        }
        if positives == 0.0 { 0.0 } else { area / positives }
    }

    /// Keeps the points for which `needed(before, at, after)` holds of the measure of either curve, and both ends.
    fn keep(&mut self, needed: impl Fn(f64, f64, f64) -> bool, by_hits_alone: bool) {
        let n = self.hits.len();
        if n <= 2 {
            return;
        }
        let bends = |curve: &[f64], i: usize| needed(curve[i - 1], curve[i], curve[i + 1]);
        let kept: Vec<usize> = (0..n)
            .filter(|&i| {
                i == 0 || i == n - 1 || bends(&self.hits, i) || (!by_hits_alone && bends(&self.false_alarms, i))
            })
            .collect();
        for curve in [&mut self.hits, &mut self.false_alarms, &mut self.thresholds] {
            *curve = kept.iter().map(|&i| curve[i]).collect();
        }
    }

    /// Leaves out what lies on the straight line between its neighbours.
    fn without_straights(&mut self) {
        self.keep(|before, at, after| after - 2.0 * at + before != 0.0, false);
    }

    /// Leaves out what has the hits of both neighbours.
    fn without_plateaus(&mut self) {
        self.keep(|before, at, after| at != before || after != at, true);
    }

    /// With the threshold above every score, where nothing is predicted.
    fn prepend_nothing(&mut self) {
        self.hits.insert(0, 0.0);
        self.false_alarms.insert(0, 0.0);
        self.thresholds.insert(0, f64::INFINITY);
    }
}

/// Labels and scores of two classes, checked, as steps.
fn steps<L: ClassLabel, F: Scalar>(
    call: &str,
    y_true: &ArrayRef<L, Ix1>,
    y_score: &ArrayRef<F, Ix1>,
    options: &Ranking,
) -> Result<Steps> {
    refuse_others(call, options.to_config(), &["pos_label", "drop_intermediate"])?;
    let truth = Targets::classes(call, "y_true", y_true)?;
    let (scores, _) = numbers(call, "y_score", y_score)?;
    check_rows(call, "y_score", truth.len(), scores.len())?;
    let weights = check_weights(call, options.sample_weight.as_ref(), truth.len())?;
    let positive = positive_class(call, &truth, options.pos_label)?;
    Ok(Steps::count(&scores, |row| truth[row] == positive, weights))
}

/// The class that high scores stand for: the one given, or 1 where that is plain.
pub(super) fn positive_class(call: &str, truth: &[i64], given: Option<i64>) -> Result<i64> {
    let occurring = distinct(truth);
    let plain = |known: [i64; 2]| occurring.iter().all(|class| known.contains(class));
    match given {
        Some(label) => Ok(label),
        None if plain([0, 1]) || plain([-1, 1]) => Ok(1),
        None => Err(Error::data(call, "classes 0 and 1 or -1 and 1", format!("{occurring:?}"))
            .advise("say by `pos_label` which class high scores stand for")),
    }
}

fn rates(counts: &[f64], all: f64) -> Array1<f64> {
    counts.iter().map(|count| if all > 0.0 { count / all } else { f64::NAN }).collect()
}

/// A ROC curve: from (0, 0), where nothing is predicted, to (1, 1). Made by [`roc_curve`].
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// The false positive rate at each threshold, rising.
    pub fpr: Array1<f64>,
    /// The true positive rate at each threshold, rising.
    pub tpr: Array1<f64>,
    /// The thresholds, falling, from infinity: what scores at least as much is predicted.
    pub thresholds: Array1<f64>,
}

/// What share of each class is predicted, at every threshold of the score.
///
/// Knows `sample_weight`, `pos_label`, `drop_intermediate` (default true: points on a straight line are left out). The rate of
/// a class without rows is NaN.
///
/// # Shapes
/// Labels (n) and scores (n).
/// # Errors
/// See [`scores`](crate::metrics::scores); also classes other than 0 and 1 or −1 and 1 without `pos_label`.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, roc_curve};
/// use ndarray::array;
/// let curve = roc_curve(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// assert_eq!(curve.fpr, array![0.0, 0.0, 0.5, 0.5, 1.0]);
/// assert_eq!(curve.tpr, array![0.0, 0.5, 0.5, 1.0, 1.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `roc_curve`.
pub fn roc_curve<L: ClassLabel, F: Scalar>(
    y_true: &ArrayRef<L, Ix1>,
    y_score: &ArrayRef<F, Ix1>,
    options: &Ranking,
) -> Result<RocCurve> {
    let mut steps = steps("roc_curve", y_true, y_score, options)?;
    if options.drop_intermediate.unwrap_or(true) {
        steps.without_straights();
    }
    steps.prepend_nothing();
    let (fpr, tpr) = (rates(&steps.false_alarms, steps.negatives()), rates(&steps.hits, steps.positives()));
    Ok(RocCurve { fpr, tpr, thresholds: steps.thresholds.into() })
}

/// A curve of precision over recall. Made by [`precision_recall_curve`].
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecallCurve {
    /// The precision at each threshold, and 1 at the end.
    pub precision: Array1<f64>,
    /// The recall at each threshold, falling, and 0 at the end.
    pub recall: Array1<f64>,
    /// The thresholds, rising: one fewer than points.
    pub thresholds: Array1<f64>,
}

/// Precision and recall at every threshold of the score.
///
/// Knows `sample_weight`, `pos_label`, `drop_intermediate` (default false). Without positives every recall is 1.
///
/// # Shapes
/// Labels (n) and scores (n).
/// # Errors
/// See [`scores`](crate::metrics::scores); also classes other than 0 and 1 or −1 and 1 without `pos_label`.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, precision_recall_curve};
/// use ndarray::array;
/// let curve = precision_recall_curve(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// assert_eq!(curve.precision, array![0.5, 2.0 / 3.0, 0.5, 1.0, 1.0]);
/// assert_eq!(curve.recall, array![1.0, 1.0, 0.5, 0.5, 0.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `precision_recall_curve`.
pub fn precision_recall_curve<L: ClassLabel, F: Scalar>(
    y_true: &ArrayRef<L, Ix1>,
    y_score: &ArrayRef<F, Ix1>,
    options: &Ranking,
) -> Result<PrecisionRecallCurve> {
    let mut steps = steps("precision_recall_curve", y_true, y_score, options)?;
    if options.drop_intermediate.unwrap_or(false) {
        steps.without_plateaus();
    }
    let positives = steps.positives();
    let precisions = steps.hits.iter().zip(&steps.false_alarms).rev().map(|(hits, wrong)| hits / (hits + wrong));
    let recalls = steps.hits.iter().rev().map(|hits| if positives > 0.0 { hits / positives } else { 1.0 });
    Ok(PrecisionRecallCurve {
        precision: precisions.chain([1.0]).collect(),
        recall: recalls.chain([0.0]).collect(),
        thresholds: steps.thresholds.into_iter().rev().collect(),
    })
}

/// A curve of misses over false alarms. Made by [`det_curve`].
#[derive(Clone, Debug, PartialEq)]
pub struct DetCurve {
    /// The false positive rate at each threshold, falling.
    pub fpr: Array1<f64>,
    /// The false negative rate at each threshold, rising.
    pub fnr: Array1<f64>,
    /// The thresholds, rising.
    pub thresholds: Array1<f64>,
}

/// The detection error tradeoff: how many are missed and how many falsely predicted, at every threshold of the score.
///
/// Runs from the last threshold at which nothing is missed to the first at which there is no false alarm. Knows
/// `sample_weight`, `pos_label`, `drop_intermediate` (default false).
///
/// # Shapes
/// Labels (n) and scores (n).
/// # Errors
/// See [`scores`](crate::metrics::scores); [`Undefined`](Error::Undefined) if a class is missing.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, det_curve};
/// use ndarray::array;
/// let curve = det_curve(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// assert_eq!(curve.fpr, array![0.5, 0.5, 0.0]);
/// assert_eq!(curve.fnr, array![0.0, 0.5, 0.5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `det_curve`.
pub fn det_curve<L: ClassLabel, F: Scalar>(
    y_true: &ArrayRef<L, Ix1>,
    y_score: &ArrayRef<F, Ix1>,
    options: &Ranking,
) -> Result<DetCurve> {
    let call = "det_curve";
    let mut steps = steps(call, y_true, y_score, options)?;
    let (positives, negatives) = (steps.positives(), steps.negatives());
    if positives == 0.0 || negatives == 0.0 {
        return Err(Error::undefined(call, "y_true has one class only"));
    }
    steps.prepend_nothing();
    if options.drop_intermediate.unwrap_or(false) {
        steps.without_plateaus();
    }
    let first = steps.false_alarms.iter().take_while(|&&count| count == 0.0).count() - 1;
    let last = steps.hits.iter().take_while(|&&hits| hits < positives).count();
    let run = s![first..=last;-1];
    let missed: Vec<f64> = steps.hits.iter().map(|hits| positives - hits).collect();
    Ok(DetCurve {
        fpr: rates(&steps.false_alarms, negatives).slice(run).to_owned(),
        fnr: rates(&missed, positives).slice(run).to_owned(),
        thresholds: Array1::from(steps.thresholds).slice(run).to_owned(),
    })
}

/// The area under a curve, by trapezoids: Σ (xᵢ₊₁ − xᵢ) · (yᵢ₊₁ + yᵢ) / 2.
///
/// # Shapes
/// `x` (n) and `y` (n), n ≥ 2.
/// # Errors
/// [`Data`](Error::Data) for unequal lengths, fewer than two points, NaN, or an `x` that neither rises nor falls throughout.
/// # Example
/// ```
/// use gradus::metrics::scores::auc;
/// use ndarray::array;
/// assert_eq!(auc(&array![0.0, 0.5, 1.0], &array![0.0, 1.0, 1.0])?, 0.75);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `auc`.
pub fn auc<F: Scalar>(x: &ArrayRef<F, Ix1>, y: &ArrayRef<F, Ix1>) -> Result<f64> {
    let (xs, _) = numbers("auc", "x", x)?;
    let (ys, _) = numbers("auc", "y", y)?;
    if xs.len() != ys.len() || xs.len() < 2 {
        let received = format!("{} of x, {} of y", xs.len(), ys.len());
        return Err(Error::data("auc", "as many values of x as of y, at least two", received));
    }
    let (rises, falls) = (xs.is_sorted(), xs.is_sorted_by(|a, b| a >= b));
    if !rises && !falls {
        return Err(Error::data("auc", "an x that rises or falls throughout", "one that does both"));
    }
    let area: f64 = xs.windows(2).zip(ys.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum();
    Ok(if rises { area } else { -area })
}
