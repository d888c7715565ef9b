//! The table of all classes.

use std::fmt;

use ndarray::{ArrayRef, Dimension};

use super::precision_recall::{ClassScores, averaged, precision_recall_fscore_support};
use super::targets::{ClassLabel, Targets, distinct};
use super::{Average, Classification, refuse_others};
use crate::config::Configured;
use crate::{Error, Result};

/// Precision, recall and F1 of every class and on average. Made by [`classification_report`]; prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassificationReport {
    /// The measures of each class.
    pub classes: ClassScores,
    /// The names of the classes.
    pub names: Vec<String>,
    /// The share of right rows, where each row has one class and none is left out.
    pub accuracy: Option<f64>,
    /// Averages by name, each precision, recall and F1: `micro avg` where there is no accuracy, `macro avg`,
    /// `weighted avg`, and `samples avg` of several labels a row.
    pub averages: Vec<(&'static str, [f64; 3])>,
    /// Digits after the point.
    digits: usize,
}

/// Precision, recall, F1 and number of rows of each class, accuracy, and averages.
///
/// `names` are those of the classes in order, or `&[]`: their numbers. Knows `sample_weight`, `labels`, `zero_division`.
///
/// # Shapes
/// Labels (n) or indicators (n, labels).
/// # Errors
/// See [`scores`](crate::metrics::scores); also names that are not as many as the classes.
/// # Example
/// ```
/// use gradus::metrics::scores::{Classification, classification_report};
/// use ndarray::array;
///
/// let names = ["cat", "dog", "owl"];
/// let report = classification_report(&array![0, 1, 2, 2, 2], &array![0, 0, 2, 2, 1], &names, &Classification::new())?;
/// assert_eq!(report.accuracy, Some(0.6));
/// assert_eq!(
///     report.to_string(),
///     "              precision    recall  f1-score   support
///
///          cat       0.50      1.00      0.67         1
///          dog       0.00      0.00      0.00         1
///          owl       1.00      0.67      0.80         3
///
///     accuracy                           0.60         5
///    macro avg       0.50      0.56      0.49         5
/// weighted avg       0.70      0.60      0.61         5
/// "
/// );
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `classification_report`.
pub fn classification_report<L: ClassLabel, P: ClassLabel, D: Dimension>(
    y_true: &ArrayRef<L, D>,
    y_pred: &ArrayRef<P, D>,
    names: &[&str],
    options: &Classification,
) -> Result<ClassificationReport> {
    let call = "classification_report";
    refuse_others(call, options.to_config(), &["labels", "zero_division"])?;
    let classes = precision_recall_fscore_support(y_true, y_pred, 1.0, options)?;
    let names: Vec<String> = match names.len() {
        0 => classes.labels.iter().map(ToString::to_string).collect(),
        n if n == classes.labels.len() => names.iter().map(ToString::to_string).collect(),
        n => {
            let expected = format!("a name for each of the classes {:?}", classes.labels);
            return Err(Error::data(call, expected, format!("{n} names")));
        }
    };
    let average = |average: Average| averaged(call, y_true, y_pred, 1.0, &options.clone().average(average));
    // Over all classes, the share of hits among what was predicted is the share among all rows.
    let (is_accuracy, several) = match (Targets::read(call, "y_true", y_true)?, Targets::read(call, "y_pred", y_pred)?)
    {
        (Targets::Classes(t), Targets::Classes(p)) => {
            (distinct(t.iter().chain(&p)).iter().all(|class| classes.labels.contains(class)), false)
        }
        _ => (false, true),
    };
    let micro = average(Average::Micro)?;
    let mut averages = Vec::new();
    if !is_accuracy {
        averages.push(("micro avg", micro));
    }
    averages.push(("macro avg", average(Average::Macro)?));
    averages.push(("weighted avg", average(Average::Weighted)?));
    if several {
        averages.push(("samples avg", average(Average::Samples)?));
    }
    Ok(ClassificationReport { classes, names, accuracy: is_accuracy.then_some(micro[0]), averages, digits: 2 })
}

impl ClassificationReport {
    /// The same report, printed with so many digits after the point. Default: 2.
    pub fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }
}

impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (classes, digits) = (&self.classes, self.digits);
        let longest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let width = longest.max("weighted avg".len()).max(digits);
        let all = classes.support.sum();
        writeln!(f, "{:>width$}  {:>9} {:>9} {:>9} {:>9}\n", "", "precision", "recall", "f1-score", "support")?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, [p, r, f1]: [f64; 3], support: f64| {
            writeln!(f, "{name:>width$}  {p:>9.digits$} {r:>9.digits$} {f1:>9.digits$} {support:>9}")
        };
        for (i, name) in self.names.iter().enumerate() {
            row(f, name, [classes.precision[i], classes.recall[i], classes.f_score[i]], classes.support[i])?;
        }
        writeln!(f)?;
        if let Some(accuracy) = self.accuracy {
            writeln!(f, "{:>width$}  {:>9} {:>9} {accuracy:>9.digits$} {all:>9}", "accuracy", "", "")?;
        }
        self.averages.iter().try_for_each(|&(name, measures)| row(f, name, measures, all))
    }
}
