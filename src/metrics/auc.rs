//! The area under a curve over thresholds, and points of such curves.

use super::counts::{Counting, Counts, Thresholds, check_same, check_thresholds, share};
use super::{Metric, metric_options};
use crate::config::{Config, Configured, words};
use crate::memory::room;
use crate::{Error, Result, Scalar, View};

/// The curve that [`AUC`] measures the area under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Curve {
    /// Recall over the false positive rate.
    Roc,
    /// Precision over recall.
    PrecisionRecall,
    /// Precision over recall, each as its gain above always saying yes.
    PrecisionRecallGain,
}

words!(Curve: Roc = "ROC", PrecisionRecall = "PR", PrecisionRecallGain = "PRGAIN");

/// How [`AUC`] fills in between two thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Summation {
    /// By trapezoids; under the curve of precision and recall by Davis and Goadrich's formula.
    Interpolation,
    /// The lower of the two heights.
    Minoring,
    /// The higher of the two heights.
    Majoring,
}

words!(Summation: Interpolation = "interpolation", Minoring = "minoring", Majoring = "majoring");

metric_options! {
    /// The area under the ROC curve, or that of precision and recall, at thresholds i / (n − 1).
    ///
    /// Gathered batch by batch, and so an approximation; [`scores::roc_auc_score`](super::scores::roc_auc_score) is exact.
    ///
    /// # Shapes
    /// Prediction and target of one shape.
    /// # Defaults
    /// `num_thresholds` 200, `curve` ROC, `summation_method` interpolation, `multi_label` false, `from_logits` false.
    /// # Errors
    /// When compiled: fewer than two thresholds; thresholds outside [0, 1]; label weights that are not one a label.
    /// # Example
    /// ```
    /// use gradus::custom::*;
    /// let area = AUC::new().curve(Curve::PrecisionRecall);
    /// let (p, t) = ([0.1f32, 0.8, 0.7, 0.4], [0.0f32, 1.0, 1.0, 0.0]);
    /// let mut state = Default::default();
    /// area.update(&mut state, View::new(&[4, 1], &p), View::new(&[4, 1], &t), None);
    /// assert!((Metric::<f32>::result(&area, &state) - 1.0).abs() < 1e-6);
    /// ```
    /// # Source
    /// Keras `AUC`; Davis and Goadrich 2006; Flach and Kull 2015 for gains.
    pub struct AUC {
        /// How many thresholds, evenly between 0 and 1. Default: 200.
        num_thresholds: usize = 200,
        /// The curve. Default: ROC.
        curve: Curve = Curve::Roc,
        /// How the area between thresholds is filled in. Default: interpolation.
        summation_method: Summation = Summation::Interpolation,
        /// Custom thresholds, to which one below 0 and one above 1 are added. Default: even ones.
        thresholds: Option<Vec<f64>> = None => |thresholds: impl Into<Vec<f64>>| Some(thresholds.into()),
        /// Whether each label of the last axis has a curve of its own; the area is their mean. Default: false.
        multi_label: bool = false,
        /// How many labels there are; told by the shapes. Default: none.
        num_labels: Option<usize> = None => |labels: usize| Some(labels),
        /// What each label of the last axis counts. Default: all alike.
        label_weights: Option<Vec<f64>> = None => |weights: impl Into<Vec<f64>>| Some(weights.into()),
        /// Whether predictions are logits. Default: false.
        from_logits: bool = false,
    }
}

impl AUC {
    /// The thresholds where they are given, with the outer ones.
    fn own_thresholds(&self) -> Option<Vec<f64>> {
        const EPSILON: f64 = 1e-7;
        let mut all = self.thresholds.clone()?;
        all.sort_by(f64::total_cmp);
        all.insert(0, -EPSILON);
        all.push(1.0 + EPSILON);
        Some(all)
    }

    fn count(&self) -> usize {
        self.thresholds.as_ref().map_or(self.num_thresholds, |thresholds| thresholds.len() + 2)
    }

    fn area(&self, state: &Counts, label: usize) -> f64 {
        let steps = (1..self.count()).map(|i| (state.at(label, i - 1), state.at(label, i)));
        if (self.curve, self.summation_method) == (Curve::PrecisionRecall, Summation::Interpolation) {
            return steps.map(|(before, after)| interpolated(before, after)).sum();
        }
        let between = |((x, y), (next_x, next_y)): ((f64, f64), (f64, f64))| {
            let height = match self.summation_method {
                Summation::Interpolation => f64::midpoint(y, next_y),
                Summation::Minoring => y.min(next_y),
                Summation::Majoring => y.max(next_y),
            };
            (x - next_x) * height
        };
        steps.map(|(before, after)| between((self.point(before), self.point(after)))).sum()
    }

    /// Where the curve is at a threshold.
    fn point(&self, [hits, false_alarms, rejections, misses]: [f64; 4]) -> (f64, f64) {
        let (recall, precision) = (share(hits, misses), share(hits, false_alarms));
        match self.curve {
            Curve::Roc => (share(false_alarms, rejections), recall),
            Curve::PrecisionRecall => (recall, precision),
            Curve::PrecisionRecallGain => {
                let negatives = rejections + false_alarms;
                let odds = if negatives == 0.0 { 0.0 } else { (hits + misses) / negatives };
                if hits == 0.0 {
                    (0.0, 1.0)
                } else {
                    ((1.0 - odds * misses / hits).max(0.0), 1.0 - odds * false_alarms / hits)
                }
            }
        }
    }
}

/// The area between two thresholds if hits grow in proportion to what is predicted: slope·(Δtp + intercept·ln(p₁/p₂)) / P.
fn interpolated([hits, false_alarms, ..]: [f64; 4], [next_hits, next_false, _, misses]: [f64; 4]) -> f64 {
    let (predicted, next_predicted) = (hits + false_alarms, next_hits + next_false);
    let gained = hits - next_hits;
    let slope = if predicted > next_predicted { gained / (predicted - next_predicted) } else { 0.0 };
    let intercept = next_hits - slope * next_predicted;
    let ratio = if predicted > 0.0 && next_predicted > 0.0 { predicted / next_predicted } else { 1.0 };
    let positives = next_hits + misses;
    if positives == 0.0 { 0.0 } else { slope * (gained + intercept * ratio.ln()) / positives }
}

impl<F: Scalar> Metric<F> for AUC {
    type State = Counts;
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "auc".into())
    }
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        check_thresholds(self.thresholds.as_ref())?;
        check_same(prediction, target)?;
        if self.num_thresholds < 2 {
            return Err(Error::option("num_thresholds", "at least 2", self.num_thresholds));
        }
        let labels = prediction.last().copied().unwrap_or(1);
        room::<[f64; 4]>("num_thresholds", self.num_thresholds, &[self.num_thresholds, labels])?;
        for (option, given) in
            [("label_weights", self.label_weights.as_ref().map(Vec::len)), ("num_labels", self.num_labels)]
        {
            if let Some(given) = given.filter(|given| *given != labels) {
                return Err(Error::option(option, format!("for {labels} labels"), given));
            }
        }
        Ok(())
    }
    fn update(&self, state: &mut Counts, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        let own = self.own_thresholds();
        let thresholds = match &own {
            Some(own) => Thresholds::Given(own),
            None => Thresholds::Even { n: self.num_thresholds, open_ends: true },
        };
        let counting = Counting {
            by_label: self.multi_label,
            label_weights: self.label_weights.as_deref(),
            from_logits: self.from_logits,
            ..Counting::at(thresholds)
        };
        counting.count(state, prediction, target, weights);
    }
    fn result(&self, state: &Counts) -> f64 {
        let areas = (0..state.labels().max(1)).map(|label| self.area(state, label));
        match self.label_weights.as_deref().filter(|_| self.multi_label) {
            None => areas.sum::<f64>() / state.labels().max(1) as f64,
            Some(weights) => areas.zip(weights).map(|(area, w)| area * w).sum::<f64>() / weights.iter().sum::<f64>(),
        }
    }
    fn higher_is_better(&self) -> bool {
        true
    }
    fn describe(&self) -> Option<(String, Config)> {
        Some((<Self as Configured>::CLASS.into(), self.to_config()))
    }
}

/// Declares a metric that gives the best of one rate among thresholds where another is at least so much.
macro_rules! operating_point {
    ($(#[$meta:meta])* $name:ident($least:ident), $default:literal, |$counts:pat_param| ($reached:expr, $best:expr)) => {
        crate::config::options! {
            $(#[$meta])*
            ///
            /// # Shapes
            /// Prediction and target of one shape.
            /// # Defaults
            /// `num_thresholds` 200, all classes.
            /// # Errors
            /// When compiled: a rate outside [0, 1], no thresholds, a target of another shape.
            pub struct $name(
                /// What must be reached.
                $least: f64
            ) {
                /// The name under which history and callbacks know it. Default: the class in snake case.
                name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
                /// How many thresholds, evenly from 0 to 1; one stands at 0.5. Default: 200.
                num_thresholds: usize = 200,
                /// Only this class is looked at. Default: all.
                class_id: Option<usize> = None => |class: usize| Some(class),
            }
        }

        impl<F: Scalar> Metric<F> for $name {
            type State = Counts;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
            fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
                check_same(prediction, target)?;
                if !(0.0..=1.0).contains(&self.$least) {
                    return Err(Error::option(stringify!($least), "between 0 and 1", self.$least));
                }
                if self.num_thresholds == 0 {
                    return Err(Error::option("num_thresholds", "at least 1", 0));
                }
                room::<[f64; 4]>("num_thresholds", self.num_thresholds, &[self.num_thresholds])?;
                Ok(())
            }
            fn update(&self, state: &mut Counts, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
                let thresholds = match self.num_thresholds {
                    1 => Thresholds::Given(&[0.5]),
                    n => Thresholds::Even { n, open_ends: false },
                };
                let counting = Counting { class_id: self.class_id, ..Counting::at(thresholds) };
                counting.count(state, prediction, target, weights);
            }
            fn result(&self, state: &Counts) -> f64 {
                let rates = (0..self.num_thresholds).map(|i| {
                    let $counts = state.at(0, i);
                    ($reached, $best)
                });
                rates.filter(|(reached, _)| *reached >= self.$least).fold(0.0, |most, (_, best)| f64::max(most, best))
            }
            fn higher_is_better(&self) -> bool {
                true
            }
            fn describe(&self) -> Option<(String, Config)> {
                Some((<Self as Configured>::CLASS.into(), self.to_config()))
            }
        }
    };
}

operating_point! {
    /// The best sensitivity, tp / (tp + fn), where the specificity, tn / (tn + fp), is at least so much.
    ///
    /// # Source
    /// Keras `SensitivityAtSpecificity`.
    SensitivityAtSpecificity(specificity), "sensitivity_at_specificity",
    |[hits, false_alarms, rejections, misses]| (share(rejections, false_alarms), share(hits, misses))
}

operating_point! {
    /// The best specificity, tn / (tn + fp), where the sensitivity, tp / (tp + fn), is at least so much.
    ///
    /// # Source
    /// Keras `SpecificityAtSensitivity`.
    SpecificityAtSensitivity(sensitivity), "specificity_at_sensitivity",
    |[hits, false_alarms, rejections, misses]| (share(hits, misses), share(rejections, false_alarms))
}

operating_point! {
    /// The best precision, tp / (tp + fp), where the recall, tp / (tp + fn), is at least so much.
    ///
    /// # Source
    /// Keras `PrecisionAtRecall`.
    PrecisionAtRecall(recall), "precision_at_recall",
    |[hits, false_alarms, _, misses]| (share(hits, misses), share(hits, false_alarms))
}

operating_point! {
    /// The best recall, tp / (tp + fn), where the precision, tp / (tp + fp), is at least so much.
    ///
    /// # Source
    /// Keras `RecallAtPrecision`.
    RecallAtPrecision(precision), "recall_at_precision",
    |[hits, false_alarms, _, misses]| (share(hits, false_alarms), share(hits, misses))
}
