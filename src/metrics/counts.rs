//! Hits and misses at thresholds: what precision, recall and areas under curves are worked out from.

use super::{Metric, metric_options, weight};
use crate::config::{Config, Configured};
use crate::kernels::elementwise::argmax;
use crate::{Error, Result, Scalar, View};

/// How much lies above each threshold. Positives are targets other than 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// For each label, for each threshold: what lies above it; with even thresholds what lies between it and the next.
    true_positives: Vec<f64>,
    false_positives: Vec<f64>,
    even: bool,
    /// For each label.
    positives: Vec<f64>,
    negatives: Vec<f64>,
}

impl super::MetricState for Counts {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        visit(&mut self.true_positives);
        visit(&mut self.false_positives);
        visit(&mut self.positives);
        visit(&mut self.negatives);
    }
}

/// What share `part` has in `part + rest`; 0 of nothing.
pub(super) fn share(part: f64, rest: f64) -> f64 {
    if part + rest == 0.0 { 0.0 } else { part / (part + rest) }
}

impl Counts {
    fn make_room(&mut self, labels: usize, thresholds: usize, even: bool) {
        self.even = even;
        if self.positives.is_empty() {
            self.true_positives = vec![0.0; labels * thresholds];
            self.false_positives = vec![0.0; labels * thresholds];
            self.positives = vec![0.0; labels];
            self.negatives = vec![0.0; labels];
        }
    }

    /// How many labels are counted apart.
    pub(super) fn labels(&self) -> usize {
        self.positives.len()
    }

    /// [true positives, false positives, true negatives, false negatives] of a label at a threshold; zeros before
    /// anything was counted.
    pub(super) fn at(&self, label: usize, threshold: usize) -> [f64; 4] {
        if self.positives.is_empty() {
            return [0.0; 4];
        }
        let thresholds = self.true_positives.len() / self.positives.len();
        let first = label * thresholds + threshold;
        let above = first..if self.even { (label + 1) * thresholds } else { first + 1 };
        let hits: f64 = self.true_positives[above.clone()].iter().sum();
        let false_alarms: f64 = self.false_positives[above].iter().sum();
        [hits, false_alarms, self.negatives[label] - false_alarms, self.positives[label] - hits]
    }
}

/// The thresholds above which a prediction means yes.
pub(super) enum Thresholds<'a> {
    /// Each for itself.
    Given(&'a [f64]),
    /// i / (n − 1) for i = 0 … n − 1; with `open_ends` the first lies below 0 and the last above 1.
    Even { n: usize, open_ends: bool },
}

impl Thresholds<'_> {
    pub fn len(&self) -> usize {
        match self {
            Self::Given(given) => given.len(),
            Self::Even { n, .. } => *n,
        }
    }

    /// Calls `found` with every threshold below `p`; of even ones with the highest.
    fn below<F: Scalar>(&self, p: F, mut found: impl FnMut(usize)) {
        match *self {
            Self::Given(given) => {
                given.iter().enumerate().filter(|(_, threshold)| p > F::of(**threshold)).for_each(|(i, _)| found(i));
            }
            Self::Even { n, open_ends } => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and n − 1
                let below =
                    (p.f64().clamp(0.0, 1.0) * (n - 1) as f64).ceil().max(f64::from(u8::from(open_ends))) as usize;
                if below > 0 {
                    found(below - 1);
                }
            }
        }
    }
}

/// What is counted of a prediction.
pub(super) struct Counting<'a> {
    pub thresholds: Thresholds<'a>,
    /// Only the k largest of the last axis can mean yes.
    pub top_k: Option<usize>,
    /// Only this class of the last axis is looked at.
    pub class_id: Option<usize>,
    /// Whether the labels of the last axis are counted apart.
    pub by_label: bool,
    pub label_weights: Option<&'a [f64]>,
    pub from_logits: bool,
}

impl<'a> Counting<'a> {
    pub fn at(thresholds: Thresholds<'a>) -> Self {
        Self { thresholds, top_k: None, class_id: None, by_label: false, label_weights: None, from_logits: false }
    }

    pub fn count<F: Scalar>(&self, counts: &mut Counts, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
        let (values, n, thresholds) = (p.len(), p.last_axis().max(1), self.thresholds.len());
        let even = matches!(self.thresholds, Thresholds::Even { .. });
        counts.make_room(if self.by_label { n } else { 1 }, thresholds, even);
        let Counts { true_positives, false_positives, positives, negatives, .. } = counts;
        for (row, (p, t)) in p.chunks(n).zip(t.chunks(n)).enumerate() {
            for (class, (&p_class, &t_class)) in p.iter().zip(t).enumerate() {
                if self.class_id.is_some_and(|only| only != class) {
                    continue;
                }
                let label_weight = self.label_weights.filter(|_| !self.by_label).map_or(1.0, |weights| weights[class]);
                let w = weight(weights, row * n + class, values) * label_weight;
                let label = if self.by_label { class } else { 0 };
                let yes = t_class != F::zero();
                *if yes { &mut positives[label] } else { &mut negatives[label] } += w;
                if self.top_k.is_some_and(|k| !is_among(p, class, k)) {
                    continue;
                }
                let p_class = if self.from_logits { p_class.sigmoid() } else { p_class };
                let found = if yes { &mut *true_positives } else { &mut *false_positives };
                self.thresholds.below(p_class, |threshold| found[label * thresholds + threshold] += w);
            }
        }
    }
}

/// Whether class number `class` is among the k largest, of equals the first.
fn is_among<F: Scalar>(p: &[F], class: usize, k: usize) -> bool {
    if k == 1 {
        return argmax(p) == class;
    }
    let before = |(other, &value): (usize, &F)| value > p[class] || (value == p[class] && other < class);
    p.iter().enumerate().filter(|&(other, value)| before((other, value))).count() < k
}

/// Thresholds lie between 0 and 1.
pub(super) fn check_thresholds(thresholds: Option<&Vec<f64>>) -> Result<()> {
    match thresholds {
        Some(given) if given.is_empty() => Err(Error::option("thresholds", "at least one number", "none")),
        Some(given) => match given.iter().find(|threshold| !(0.0..=1.0).contains(*threshold)) {
            Some(wrong) => Err(Error::option("thresholds", "between 0 and 1", wrong)),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Prediction and target have as many values.
pub(super) fn check_same(prediction: &[usize], target: &[usize]) -> Result<()> {
    let volume = crate::tensor::volume;
    if volume(prediction) == volume(target) {
        return Ok(());
    }
    Err(Error::shape(format!("a target of the prediction's shape {}", crate::error::show(prediction)), target)
        .advise("labels become rows of 0 and 1 by `to_categorical`"))
}

/// The class and the number that are asked for exist.
fn check_classes(prediction: &[usize], top_k: Option<usize>, class_id: Option<usize>) -> Result<()> {
    let classes = prediction.last().copied().unwrap_or(1);
    if let Some(class) = class_id.filter(|class| *class >= classes) {
        return Err(Error::option("class_id", format!("below the number of classes, {classes}"), class));
    }
    match top_k {
        Some(k) if k == 0 || k > classes => Err(Error::option("top_k", format!("in 1..={classes}"), k)),
        _ => Ok(()),
    }
}

/// Implements [`Metric`] for a measure of [`Counts`] at each of the thresholds.
macro_rules! threshold_metric {
    ($name:ident, $default:literal, higher_is_better: $higher:literal, |$metric:ident| $counting:expr, check: $check:expr,
     |$counts:pat_param| $measure:expr) => {
        impl<F: Scalar> Metric<F> for $name {
            type State = Counts;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
            fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
                check_thresholds(self.thresholds.as_ref())?;
                check_same(prediction, target)?;
                $check(self, prediction)
            }
            fn update(&self, state: &mut Counts, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
                let $metric = self;
                $counting.count(state, prediction, target, weights);
            }
            fn result(&self, state: &Counts) -> f64 {
                let each = Metric::<F>::results(self, state);
                each.iter().sum::<f64>() / each.len() as f64
            }
            fn results(&self, state: &Counts) -> Vec<f64> {
                let measure = |$counts: [f64; 4]| $measure;
                (0..self.thresholds.as_ref().map_or(1, Vec::len)).map(|i| measure(state.at(0, i))).collect()
            }
            fn higher_is_better(&self) -> bool {
                $higher
            }
            fn describe(&self) -> Option<(String, Config)> {
                Some((<Self as Configured>::CLASS.into(), self.to_config()))
            }
        }
    };
}

/// Half: what a prediction must be above where nothing is said.
const HALF: &[f64] = &[0.5];
/// Among the k largest everything means yes.
const ANYTHING: &[f64] = &[f64::NEG_INFINITY];

fn given<'a>(thresholds: Option<&'a Vec<f64>>, default: &'a [f64]) -> Counting<'a> {
    Counting::at(Thresholds::Given(thresholds.map_or(default, Vec::as_slice)))
}

macro_rules! count_metric {
    ($(#[$meta:meta])* $name:ident, $default:literal, higher_is_better: $higher:literal, $place:literal) => {
        metric_options! {
            $(#[$meta])*
            ///
            /// # Shapes
            /// Prediction and target of one shape.
            /// # Defaults
            /// `thresholds` 0.5. With several, [`results`](Metric::results) has a number for each, and `result` is their mean.
            /// # Errors
            /// When compiled: thresholds outside [0, 1]; a target of another shape than the prediction.
            pub struct $name {
                /// Above it a prediction means yes; one or several. Default: 0.5.
                thresholds: Option<Vec<f64>> = None => |thresholds: impl Into<Vec<f64>>| Some(thresholds.into()),
            }
        }

        threshold_metric!(
            $name, $default, higher_is_better: $higher,
            |metric| given(metric.thresholds.as_ref(), HALF),
            check: |_: &Self, _| Ok(()),
            |counts| counts[$place]
        );
    };
}

count_metric! {
    /// How many yeses are right: p > threshold and t ≠ 0. Weights count.
    ///
    /// # Source
    /// Keras `TruePositives`.
    TruePositives, "true_positives", higher_is_better: true, 0
}

count_metric! {
    /// How many yeses are wrong: p > threshold and t = 0. Weights count.
    ///
    /// # Source
    /// Keras `FalsePositives`.
    FalsePositives, "false_positives", higher_is_better: false, 1
}

count_metric! {
    /// How many noes are right: p ≤ threshold and t = 0. Weights count.
    ///
    /// # Source
    /// Keras `TrueNegatives`.
    TrueNegatives, "true_negatives", higher_is_better: true, 2
}

count_metric! {
    /// How many noes are wrong: p ≤ threshold and t ≠ 0. Weights count.
    ///
    /// # Source
    /// Keras `FalseNegatives`.
    FalseNegatives, "false_negatives", higher_is_better: false, 3
}

macro_rules! rate_metric {
    ($(#[$meta:meta])* $name:ident, $default:literal, |$counts:pat_param| $measure:expr) => {
        metric_options! {
            $(#[$meta])*
            ///
            /// # Shapes
            /// Prediction and target of one shape, the classes last.
            /// # Defaults
            /// `thresholds` 0.5, or none with `top_k`. With several thresholds [`results`](Metric::results) has a number for
            /// each, and `result` is their mean.
            /// # Errors
            /// When compiled: thresholds outside [0, 1]; a class that does not exist; a target of another shape.
            pub struct $name {
                /// Above it a prediction means yes; one or several. Default: 0.5.
                thresholds: Option<Vec<f64>> = None => |thresholds: impl Into<Vec<f64>>| Some(thresholds.into()),
                /// Only the k most probable classes of a row can mean yes. Default: all.
                top_k: Option<usize> = None => |k: usize| Some(k),
                /// Only this class is looked at. Default: all.
                class_id: Option<usize> = None => |class: usize| Some(class),
            }
        }

        threshold_metric!(
            $name, $default, higher_is_better: true,
            |metric| Counting {
                top_k: metric.top_k,
                class_id: metric.class_id,
                ..given(metric.thresholds.as_ref(), if metric.top_k.is_some() { ANYTHING } else { HALF })
            },
            check: |metric: &Self, prediction| check_classes(prediction, metric.top_k, metric.class_id),
            |$counts| $measure
        );
    };
}

rate_metric! {
    /// Of what is predicted, the share that is right: tp / (tp + fp), 0 of nothing.
    ///
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new()
    ///     .input([3])
    ///     .add(Dense::new(1).activation(Sigmoid))
    ///     .compile(BinaryCrossentropy::new(), Adam::new())
    ///     .metric(Precision::new().thresholds([0.7]))
    ///     .metric(Recall::new())
    ///     .build()?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Precision`.
    Precision, "precision", |[hits, false_alarms, _, _]| share(hits, false_alarms)
}

rate_metric! {
    /// Of what is so, the share that is predicted: tp / (tp + fn), 0 of nothing.
    ///
    /// # Source
    /// Keras `Recall`.
    Recall, "recall", |[hits, _, _, misses]| share(hits, misses)
}
