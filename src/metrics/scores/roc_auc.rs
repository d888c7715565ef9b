//! Areas under curves, for two classes, many classes, many labels.

use ndarray::{Array1, ArrayRef, Dimension};

use super::ranking::Steps;
use super::targets::{ClassLabel, Targets, check_rows, check_weights, columns_classes, distinct, numbers, weight};
use super::{Average, Ranking, refuse_others};
use crate::config::{Configured, words};
use crate::error::show;
use crate::{Error, Result, Scalar};

/// How an area for two classes becomes one for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultiClass {
    /// Each class against all others together.
    OneVsRest,
    /// Each class against each other.
    OneVsOne,
}

words!(MultiClass: OneVsRest = "ovr", OneVsOne = "ovo");

/// The area under the ROC curve: the probability that of two rows of different classes the positive one scores higher,
/// ties counting half.
///
/// Two classes: the larger label is the positive one. More: `multi_class` must be chosen. Knows `sample_weight`, `average`
/// (default macro), `multi_class`, `labels`, `max_fpr`.
///
/// # Shapes
/// Labels (n) and scores (n); labels (n) and probabilities (n, classes); indicators and scores (n, labels).
/// # Errors
/// See [`scores`](crate::metrics::scores); [`Undefined`](Error::Undefined) if a class has no rows or all of them, where
/// scikit-learn warns and gives NaN.
/// # Example
/// ```
/// use gradus::metrics::scores::{MultiClass, Ranking, roc_auc_score};
/// use ndarray::array;
///
/// assert_eq!(roc_auc_score(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?, 0.75);
///
/// let probabilities = array![[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.5, 0.4, 0.1]];
/// let options = Ranking::new().multi_class(MultiClass::OneVsRest);
/// assert_eq!(roc_auc_score(&array![0, 1, 2, 0], &probabilities, &options)?, 1.0);
///
/// let refused = roc_auc_score(&array![1, 1], &array![0.1, 0.4], &Ranking::new()).unwrap_err();
/// assert_eq!(refused.to_string(), "roc_auc_score is not defined: y_true has one class only, [1]");
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `roc_auc_score`; Hand and Till 2001 for one against one, McClish 1989 for `max_fpr`.
pub fn roc_auc_score<L: ClassLabel, F: Scalar, D: Dimension, E: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_score: &ArrayRef<F, E>,
    options: &Ranking,
) -> Result<f64> {
    let call = "roc_auc_score";
    refuse_others(call, options.to_config(), &["average", "multi_class", "labels", "max_fpr"])?;
    let max_fpr = options.max_fpr.unwrap_or(1.0);
    if !(max_fpr > 0.0 && max_fpr <= 1.0) {
        return Err(Error::option("max_fpr", "above 0 and at most 1", max_fpr).within(call));
    }
    let problem = Problem::read(call, y_true, y_score, options)?;
    let average = options.average.unwrap_or(Average::Macro);
    let one_class = || Error::undefined(call, format!("y_true has one class only, {:?}", problem.occurring));
    match problem.kind {
        Kind::Two => {
            let positive = problem.occurring.last().copied();
            let steps = Steps::count(&problem.scores, |row| Some(problem.classes[row]) == positive, problem.weights);
            steps.roc_auc(max_fpr).ok_or_else(one_class)
        }
        Kind::Labels => problem.averaged(call, average, |steps| steps.roc_auc(max_fpr)),
        Kind::Many => {
            if max_fpr < 1.0 {
                return Err(Error::option("max_fpr", "left out for more than two classes", max_fpr).within(call));
            }
            problem.check_probabilities(call)?;
            match options.multi_class {
                None => Err(Error::option("multi_class", "ovr or ovo for more than two classes", "none").within(call)),
                Some(MultiClass::OneVsRest) => problem.averaged(call, average, |steps| steps.roc_auc(1.0)),
                Some(MultiClass::OneVsOne) => problem.one_vs_one(call, average),
            }
        }
    }
}

/// The area under the ROC curve of each class against the rest, or of each label; NaN for a class without rows.
///
/// Knows `sample_weight` and `labels`.
///
/// # Shapes
/// Labels (n) and probabilities (n, classes), or indicators and scores (n, labels).
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, roc_auc_score_per_class};
/// use ndarray::array;
/// let scores = array![[0.9, 0.3], [0.2, 0.8], [0.6, 0.4]];
/// assert_eq!(roc_auc_score_per_class(&array![[1, 0], [0, 0], [0, 1]], &scores, &Ranking::new())?, array![1.0, 0.5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `roc_auc_score(average=None)`.
pub fn roc_auc_score_per_class<L: ClassLabel, F: Scalar, D: Dimension, E: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_score: &ArrayRef<F, E>,
    options: &Ranking,
) -> Result<Array1<f64>> {
    let call = "roc_auc_score_per_class";
    refuse_others(call, options.to_config(), &["labels"])?;
    let problem = Problem::read(call, y_true, y_score, options)?;
    if problem.kind == Kind::Many {
        problem.check_probabilities(call)?;
    }
    problem.per_class(call, |steps| Some(steps.roc_auc(1.0).unwrap_or(f64::NAN)))
}

/// The area under the curve of precision over recall, as a sum of steps: Σ (recallᵢ − recallᵢ₋₁) · precisionᵢ.
///
/// Knows `sample_weight`, `pos_label` (default 1), `average` (default macro: over the classes that occur, or the labels).
/// Without positives it is 0.
///
/// # Shapes
/// Labels (n) and scores (n); labels (n) and scores (n, classes); indicators and scores (n, labels).
/// # Errors
/// See [`scores`](crate::metrics::scores); also a `pos_label` that is none of two classes.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, average_precision_score};
/// use ndarray::array;
/// let score = average_precision_score(&array![0, 0, 1, 1], &array![0.1, 0.4, 0.35, 0.8], &Ranking::new())?;
/// assert!((score - 0.8333).abs() < 1e-4);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `average_precision_score`.
pub fn average_precision_score<L: ClassLabel, F: Scalar, D: Dimension, E: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_score: &ArrayRef<F, E>,
    options: &Ranking,
) -> Result<f64> {
    let call = "average_precision_score";
    refuse_others(call, options.to_config(), &["average", "pos_label"])?;
    let problem = Problem::read(call, y_true, y_score, options)?;
    let positive = options.pos_label.unwrap_or(1);
    if problem.kind == Kind::Two {
        if problem.occurring.len() == 2 && !problem.occurring.contains(&positive) {
            return Err(Error::option("pos_label", format!("one of {:?}", problem.occurring), positive).within(call));
        }
        let steps = Steps::count(&problem.scores, |row| problem.classes[row] == positive, problem.weights);
        return Ok(steps.average_precision());
    }
    if positive != 1 {
        return Err(Error::option("pos_label", "1 for more than two classes or labels", positive).within(call));
    }
    problem.averaged(call, options.average.unwrap_or(Average::Macro), |steps| Some(steps.average_precision()))
}

/// [`average_precision_score`] of each class or label.
///
/// Knows `sample_weight`.
///
/// # Errors
/// See [`scores`](crate::metrics::scores).
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, average_precision_score_per_class};
/// use ndarray::array;
/// let scores = array![[0.9, 0.3], [0.2, 0.8], [0.6, 0.4]];
/// let each = average_precision_score_per_class(&array![[1, 0], [0, 0], [0, 1]], &scores, &Ranking::new())?;
/// assert_eq!(each, array![1.0, 0.5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `average_precision_score(average=None)`.
pub fn average_precision_score_per_class<L: ClassLabel, F: Scalar, D: Dimension, E: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_score: &ArrayRef<F, E>,
    options: &Ranking,
) -> Result<Array1<f64>> {
    let call = "average_precision_score_per_class";
    refuse_others(call, options.to_config(), &[])?;
    Problem::read(call, y_true, y_score, options)?.per_class(call, |steps| Some(steps.average_precision()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Two,
    Many,
    Labels,
}

/// Labels and scores, checked.
struct Problem<'w> {
    kind: Kind,
    /// The class of each row, where it has one.
    classes: Vec<i64>,
    /// The classes that occur, ascending.
    occurring: Vec<i64>,
    /// Whether row · columns + column is so, where there are several columns.
    marks: Vec<bool>,
    scores: Vec<f64>,
    columns: usize,
    weights: Option<&'w [f64]>,
}

impl<'w> Problem<'w> {
    fn read<L: ClassLabel, F: Scalar, D: Dimension, E: Dimension>(
        call: &str,
        y_true: &ArrayRef<L, D>,
        y_score: &ArrayRef<F, E>,
        options: &'w Ranking,
    ) -> Result<Self> {
        let truth = Targets::read(call, "y_true", y_true)?;
        let (scores, columns) = numbers(call, "y_score", y_score)?;
        check_rows(call, "y_score", truth.rows(), scores.len() / columns)?;
        let weights = check_weights(call, options.sample_weight.as_ref(), truth.rows())?;
        match truth {
            Targets::Indicators { columns: labels, .. } if labels != columns => {
                let expected = format!("y_score of the shape of y_true, {}", show(y_true.shape()));
                Err(Error::data(call, expected, show(y_score.shape())))
            }
            Targets::Indicators { marks, .. } => {
                let (classes, occurring) = (Vec::new(), Vec::new());
                let kind = Kind::Labels;
                Ok(Self { kind, classes, occurring, marks, scores, columns, weights })
            }
            Targets::Classes(classes) => {
                let occurring = distinct(&classes);
                let many = occurring.len() > 2 || columns > 2;
                if !many && columns != 1 {
                    return Err(Error::data(call, "one column of scores for two classes", show(y_score.shape()))
                        .advise("take the column of the positive class"));
                }
                let mut marks = Vec::new();
                if many {
                    let all = columns_classes(call, &classes, options.labels.as_ref(), columns)?;
                    marks = classes.iter().flat_map(|class| all.iter().map(move |other| other == class)).collect();
                }
                let kind = if many { Kind::Many } else { Kind::Two };
                Ok(Self { kind, classes, occurring, marks, scores, columns, weights })
            }
        }
    }

    fn rows(&self) -> usize {
        self.scores.len() / self.columns
    }

    /// scikit-learn's test of what is a distribution.
    fn check_probabilities(&self, call: &str) -> Result<()> {
        let sums = self.scores.chunks(self.columns).map(|row| row.iter().sum::<f64>());
        match sums.enumerate().find(|(_, sum)| (sum - 1.0).abs() > 1e-8 + 1e-5 * sum.abs()) {
            None => Ok(()),
            Some((row, sum)) => {
                Err(Error::data(call, "probabilities that sum to 1 over the classes", format!("{sum} at row {row}")))
            }
        }
    }

    fn column(&self, column: usize) -> (Vec<f64>, Vec<bool>) {
        let pick = |row: usize| row * self.columns + column;
        (0..self.rows()).map(|row| (self.scores[pick(row)], self.marks[pick(row)])).unzip()
    }

    /// A measure of each column; an undefined one refuses.
    fn per_class(&self, call: &str, measure: impl Fn(&Steps) -> Option<f64>) -> Result<Array1<f64>> {
        if self.kind == Kind::Two {
            return Err(Error::data(call, "scores of several classes or labels", "one column"));
        }
        let of_column = |column| {
            let (scores, marks) = self.column(column);
            let undefined = || Error::undefined(call, format!("column {column} of y_true has one class only"));
            measure(&Steps::count(&scores, |row| marks[row], self.weights)).ok_or_else(undefined)
        };
        (0..self.columns).map(of_column).collect()
    }

    fn averaged(&self, call: &str, average: Average, measure: impl Fn(&Steps) -> Option<f64>) -> Result<f64> {
        match average {
            Average::Macro => self.per_class(call, measure).map(|each| each.mean().unwrap_or(f64::NAN)),
            Average::Weighted => {
                let weigh = |column| {
                    let (_, marks) = self.column(column);
                    marks
                        .iter()
                        .enumerate()
                        .map(|(row, &mark)| f64::from(u8::from(mark)) * weight(self.weights, row))
                        .sum()
                };
                let weights: Vec<f64> = (0..self.columns).map(weigh).collect();
                let all: f64 = weights.iter().sum();
                if all == 0.0 {
                    return Ok(0.0);
                }
                // A column without rows counts nothing, defined or not.
                let each =
                    self.per_class(call, |steps| if steps.positives() == 0.0 { Some(0.0) } else { measure(steps) })?;
                Ok(each.iter().zip(&weights).map(|(measure, w)| measure * w).sum::<f64>() / all)
            }
            Average::Micro => {
                let repeated: Option<Vec<f64>> = self
                    .weights
                    .map(|weights| weights.iter().flat_map(|&w| std::iter::repeat_n(w, self.columns)).collect());
                measure(&Steps::count(&self.scores, |at| self.marks[at], repeated.as_deref()))
                    .ok_or_else(|| Error::undefined(call, "y_true has one class only"))
            }
            Average::Samples if self.kind == Kind::Labels => {
                let of_row = |row: usize| {
                    let run = row * self.columns..(row + 1) * self.columns;
                    let (scores, marks) = (&self.scores[run.clone()], &self.marks[run]);
                    let undefined = || Error::undefined(call, format!("row {row} of y_true has one class only"));
                    measure(&Steps::count(scores, |column| marks[column], None)).ok_or_else(undefined)
                };
                let each: Vec<f64> = (0..self.rows()).map(of_row).collect::<Result<_>>()?;
                Ok(super::mean(each.into_iter(), self.weights))
            }
            other => {
                let expected = "macro, micro or weighted, or samples for several labels a row";
                Err(Error::option("average", expected, format!("{other:?}")).within(call))
            }
        }
    }

    /// The mean over pairs of classes, of the rows of these two alone, each ranked by its own column.
    fn one_vs_one(&self, call: &str, average: Average) -> Result<f64> {
        if self.weights.is_some() {
            return Err(Error::option("sample_weight", "left out for one against one", "weights").within(call));
        }
        if !matches!(average, Average::Macro | Average::Weighted) {
            return Err(
                Error::option("average", "macro or weighted for one against one", format!("{average:?}")).within(call)
            );
        }
        let columns: Vec<(Vec<f64>, Vec<bool>)> = (0..self.columns).map(|column| self.column(column)).collect();
        let occurs = |column: &usize| columns[*column].1.contains(&true);
        let present: Vec<usize> = (0..self.columns).filter(occurs).collect();
        let (mut sum, mut all) = (0.0, 0.0);
        for (i, &a) in present.iter().enumerate() {
            for &b in &present[i + 1..] {
                let rows: Vec<usize> = (0..self.rows()).filter(|&row| columns[a].1[row] || columns[b].1[row]).collect();
                let area = |column: usize| {
                    let (scores, marks) = &columns[column];
                    let scores: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
                    Steps::count(&scores, |at| marks[rows[at]], None).roc_auc(1.0).unwrap_or(f64::NAN)
                };
                let prevalence = if average == Average::Weighted { rows.len() as f64 } else { 1.0 };
                sum += prevalence * f64::midpoint(area(a), area(b));
                all += prevalence;
            }
        }
        if all == 0.0 {
            return Err(Error::undefined(call, format!("y_true has one class only, {:?}", self.occurring)));
        }
        Ok(sum / all)
    }
}
