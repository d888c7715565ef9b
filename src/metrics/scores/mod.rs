//! scikit-learn's scores: measures of whole predictions, worked out at once.
//!
//! The metrics of [`metrics`](crate::metrics) are gathered batch by batch while a model trains; these judge it when it
//! is done. Their names are scikit-learn's, and their numbers too, with ties and absent classes.
//!
//! ```
//! use gradus::metrics::scores::{self, Average, Classification, Ranking};
//! use ndarray::array;
//!
//! let y_true = array![0u8, 1, 2, 2, 1];
//! let y_pred = array![0usize, 2, 2, 2, 1];
//! assert_eq!(scores::accuracy_score(&y_true, &y_pred, &Classification::new())?, 0.8);
//! let macro_f1 = scores::f1_score(&y_true, &y_pred, &Classification::new().average(Average::Macro))?;
//! assert!((macro_f1 - 0.822).abs() < 1e-3);
//!
//! let (sick, probability) = (array![0, 0, 1, 1], array![0.1f32, 0.4, 0.35, 0.8]);
//! assert_eq!(scores::roc_auc_score(&sick, &probability, &Ranking::new())?, 0.75);
//! # Ok::<(), gradus::Error>(())
//! ```
//!
//! # Shapes
//! Class labels are whole numbers of any type (n): `u8`, `i64`, and also floats such as the targets of a model. Several
//! labels a row are indicators 0 and 1 (n, labels). Scores and probabilities are floats, (n) or (n, classes).
//!
//! # Options
//! [`Classification`], [`Ranking`] and [`Regression`] hold what scikit-learn takes by keyword. A function says which of
//! them it knows, and refuses the others.
//!
//! # Errors
//! Every function refuses, with [`Error::Data`], arrays of unequal length or without rows, labels that
//! are no whole numbers, values that are NaN or infinite, and sample weights that are negative or all 0. A score that
//! does not exist, such as the area under the ROC curve of a single class, is
//! [`Error::Undefined`].

mod agreement;
mod classification;
mod confusion;
mod precision_recall;
mod probability;
mod ranking;
mod regression;
mod report;
mod roc_auc;
mod targets;

pub use agreement::{KappaWeights, cohen_kappa_score, matthews_corrcoef};
pub use classification::{accuracy_score, balanced_accuracy_score, hamming_loss, top_k_accuracy_score, zero_one_loss};
pub use confusion::{ConfusionMatrix, Normalize, confusion_matrix, multilabel_confusion_matrix};
pub use precision_recall::{
    ClassScores, f1_score, fbeta_score, jaccard_score, jaccard_score_per_class, precision_recall_fscore_support,
    precision_score, recall_score,
};
pub use probability::{brier_score_loss, log_loss};
pub use ranking::{DetCurve, PrecisionRecallCurve, RocCurve, auc, det_curve, precision_recall_curve, roc_curve};
pub use regression::{
    explained_variance_score, max_error, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
    mean_squared_log_error, median_absolute_error, per_output, r2_score, root_mean_squared_error,
    root_mean_squared_log_error,
};
pub use report::{ClassificationReport, classification_report};
pub use roc_auc::{
    MultiClass, average_precision_score, average_precision_score_per_class, roc_auc_score, roc_auc_score_per_class,
};
pub use targets::ClassLabel;

use crate::config::{options, words};
use crate::{Error, Result};

/// How the measures of several classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Average {
    /// That of one class, [`pos_label`](Classification::pos_label), where there are two.
    Binary,
    /// The mean over the classes, each counting alike.
    Macro,
    /// That of all rows together: counts are added up before they are divided.
    Micro,
    /// The mean over the classes, each counting by its rows.
    Weighted,
    /// The mean over the rows, where each has several labels.
    Samples,
}

words!(Average: Binary = "binary", Macro = "macro", Micro = "micro", Weighted = "weighted", Samples = "samples");

options! {
    /// What scores of predicted classes can be told.
    ///
    /// ```
    /// use gradus::metrics::scores::{Average, Classification};
    /// let options = Classification::new().average(Average::Weighted).sample_weight([1.0, 0.5, 2.0]);
    /// ```
    pub struct Classification {
        /// What a row counts. Default: 1 each.
        sample_weight: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// Which classes, and in which order; for indicators the numbers of their columns. Default: all that occur,
        /// ascending.
        labels: Option<Vec<i64>> = None => |labels: impl Into<Vec<i64>>| Some(labels.into()),
        /// The class that [`Average::Binary`] is about. Default: 1.
        pos_label: Option<i64> = None => |label: i64| Some(label),
        /// How classes are averaged. Default: binary.
        average: Option<Average> = None => |average: Average| Some(average),
        /// What 0/0 is: 0, 1, or NaN, which leaves the class out of averages. Default: 0.
        zero_division: Option<f64> = None => |value: f64| Some(value),
    }
}

options! {
    /// What scores of rankings and probabilities can be told.
    ///
    /// ```
    /// use gradus::metrics::scores::{MultiClass, Ranking};
    /// let options = Ranking::new().multi_class(MultiClass::OneVsRest);
    /// ```
    pub struct Ranking {
        /// What a row counts. Default: 1 each.
        sample_weight: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// All classes, ascending, where not all occur: one a column of the scores. Default: those that occur.
        labels: Option<Vec<i64>> = None => |labels: impl Into<Vec<i64>>| Some(labels.into()),
        /// The class that high scores stand for. Default: 1 where classes are 0 and 1 or −1 and 1.
        pos_label: Option<i64> = None => |label: i64| Some(label),
        /// How classes are averaged. Default: macro.
        average: Option<Average> = None => |average: Average| Some(average),
        /// How more than two classes become pairs. No default: it must be chosen.
        multi_class: Option<MultiClass> = None => |multi_class: MultiClass| Some(multi_class),
        /// Only the part of the ROC curve up to this false positive rate, in (0, 1]. Default: all.
        max_fpr: Option<f64> = None => |rate: f64| Some(rate),
        /// Whether points that change nothing in a plot are left out. Default: true for ROC, false for others.
        drop_intermediate: Option<bool> = None => |drop: bool| Some(drop),
        /// Whether the Brier score is halved. Default: for two classes.
        scale_by_half: Option<bool> = None => |half: bool| Some(half),
    }
}

options! {
    /// What errors of predicted numbers can be told.
    ///
    /// ```
    /// use gradus::metrics::scores::Regression;
    /// let options = Regression::new().output_weights([0.3, 0.7]);
    /// ```
    pub struct Regression {
        /// What a row counts. Default: 1 each.
        sample_weight: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// What an output counts in the mean over several. Default: all alike.
        output_weights: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// Whether outputs count by the variance of their targets: for R² and explained variance. Default: false.
        variance_weighted: Option<bool> = None => |weighted: bool| Some(weighted),
        /// Whether R² and explained variance of a constant target are 1 or 0 instead of NaN or −∞. Default: true.
        force_finite: Option<bool> = None => |finite: bool| Some(finite),
    }
}

/// Refuses the options that are given and that `call` does not know.
fn refuse_others(call: &str, options: crate::config::Config, known: &[&str]) -> Result<()> {
    for (name, value) in options {
        if !value.is_null() && name != "sample_weight" && !known.contains(&name.as_str()) {
            return Err(Error::option(name, "left out, as it has no part in this score", value).within(call));
        }
    }
    Ok(())
}

/// Σ weight·value / Σ weight.
fn mean(values: impl Iterator<Item = f64>, weights: Option<&[f64]>) -> f64 {
    match weights {
        None => {
            let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
            sum / n as f64
        }
        Some(weights) => {
            let (sum, all) = values.zip(weights).fold((0.0, 0.0), |(sum, all), (value, w)| (sum + value * w, all + w));
            sum / all
        }
    }
}
