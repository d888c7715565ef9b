//! Intersection over union: how well areas of an image are found.

use super::{Metric, metric_options, weight};
use crate::config::{Config, Configured};
use crate::kernels::losses::ClassAxis;
use crate::losses::class_axis;
use crate::memory::room;
use crate::{Error, Result, Scalar, View};

/// Keras's epsilon, which it adds to each denominator.
const EPSILON: f64 = 1e-7;

/// How often each class was taken for each: a row a true class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassTable {
    classes: usize,
    counts: Vec<f64>,
}

impl super::MetricState for ClassTable {
    fn sums(&mut self, visit: &mut dyn FnMut(&mut [f64])) {
        visit(&mut self.counts);
    }
}

impl ClassTable {
    fn add(&mut self, classes: usize, target: f64, prediction: f64, weight: f64) {
        if self.classes == 0 {
            *self = Self { classes, counts: vec![0.0; classes * classes] };
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be a class
        let class = |value: f64| (value >= 0.0 && value < classes as f64).then_some(value as usize);
        if let (Some(t), Some(p)) = (class(target), class(prediction)) {
            self.counts[t * classes + p] += weight;
        }
    }

    /// The mean over those of `ids` that occur, truly or predicted.
    fn mean_iou(&self, ids: impl Iterator<Item = usize>) -> f64 {
        let at = |t: usize, p: usize| self.counts[t * self.classes + p];
        let (mut sum, mut occurring) = (0.0, 0.0);
        for id in ids.filter(|&id| id < self.classes) {
            let hits = at(id, id);
            let union = (0..self.classes).map(|other| at(id, other) + at(other, id)).sum::<f64>() - hits;
            if union > 1e-9 {
                sum += hits / (union + EPSILON);
                occurring += 1.0;
            }
        }
        sum / (occurring + EPSILON)
    }
}

/// The class of pixel number `pixel`: the number as it is, or the place of the largest value over the class axis.
fn class<F: Scalar>(values: &View<'_, F>, axis: Option<ClassAxis>, pixel: usize) -> f64 {
    let Some(axis) = axis else { return values[pixel].f64() };
    let start = axis.start(pixel);
    let at = |class: usize| values[start + class * axis.inner];
    // The first of equals.
    (1..axis.n).fold(0, |best, class| if at(class) > at(best) { class } else { best }) as f64
}

/// How predictions and targets of the family are read.
struct Reading {
    num_classes: usize,
    ignore_class: Option<i64>,
    sparse_y_true: bool,
    sparse_y_pred: bool,
    axis: isize,
}

impl Reading {
    fn check(&self, ids: &[usize], prediction: &[usize]) -> Result<()> {
        if self.num_classes == 0 {
            return Err(Error::option("num_classes", "at least 1", 0));
        }
        room::<f64>("num_classes", self.num_classes, &[self.num_classes, self.num_classes])?;
        if let Some(id) = ids.iter().find(|id| **id >= self.num_classes) {
            return Err(Error::option("target_class_ids", format!("below num_classes, {}", self.num_classes), id));
        }
        let dense = !self.sparse_y_pred && matches!(self.axis, -1);
        match prediction.last() {
            Some(&classes) if dense && classes != self.num_classes => {
                Err(Error::shape(format!("a prediction of {} classes on its last axis", self.num_classes), prediction))
            }
            _ => Ok(()),
        }
    }

    fn update<F: Scalar>(&self, state: &mut ClassTable, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
        let axis = |values: &View<'_, F>, sparse: bool| (!sparse).then(|| class_axis(self.axis, values.shape()));
        let (p_axis, t_axis) = (axis(&p, self.sparse_y_pred), axis(&t, self.sparse_y_true));
        let ignored = self.ignore_class.map(|class| class as f64);
        let pixels = p.len() / p_axis.map_or(1, |axis| axis.n.max(1));
        for pixel in 0..pixels {
            let t = class(&t, t_axis, pixel);
            if Some(t) != ignored {
                state.add(self.num_classes, t, class(&p, p_axis, pixel), weight(weights, pixel, pixels));
            }
        }
    }
}

/// Implements [`Metric`] for the mean IoU of some classes.
macro_rules! iou_metric {
    ($name:ident, $default:literal, sparse_y_true: |$of:pat_param| $sparse_y_true:expr, ids: |$metric:ident| $ids:expr) => {
        impl $name {
            fn reading(&self) -> Reading {
                let $of = self;
                Reading {
                    num_classes: self.num_classes,
                    ignore_class: self.ignore_class,
                    sparse_y_true: $sparse_y_true,
                    sparse_y_pred: self.sparse_y_pred,
                    axis: self.axis,
                }
            }
        }

        impl<F: Scalar> Metric<F> for $name {
            type State = ClassTable;
            fn name(&self) -> String {
                self.name.clone().unwrap_or_else(|| $default.into())
            }
            fn check(&self, prediction: &[usize], _: &[usize]) -> Result<()> {
                let $metric = self;
                let ids: Vec<usize> = $ids.collect();
                self.reading().check(&ids, prediction)
            }
            fn update(&self, state: &mut ClassTable, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
                self.reading().update(state, p, t, weights);
            }
            fn result(&self, state: &ClassTable) -> f64 {
                let $metric = self;
                state.mean_iou($ids)
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

crate::config::options! {
    /// The mean intersection over union of some classes: tp / (tp + fp + fn), of those that occur.
    ///
    /// # Shapes
    /// Class numbers (batch, …) on both sides, or probabilities (batch, …, classes).
    /// # Defaults
    /// `sparse_y_true` and `sparse_y_pred` true: class numbers. `axis` −1, no class ignored.
    /// # Errors
    /// When compiled: a class that does not exist; probabilities of another number of classes.
    /// # Source
    /// Keras `IoU`; 10⁻⁷ is added to each denominator. Weights count as they are, where Keras cuts them to whole numbers.
    pub struct IoU(
        /// How many classes there are.
        num_classes: usize,
        /// The classes whose mean is taken.
        target_class_ids: Vec<usize> => impl Into<Vec<usize>>,
    ) {
        /// The name under which history and callbacks know it. Default: `io_u`.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
        /// A true class that is left out. Default: none.
        ignore_class: Option<i64> = None => |class: i64| Some(class),
        /// Whether targets are class numbers. Default: true.
        sparse_y_true: bool = true,
        /// Whether predictions are class numbers. Default: true.
        sparse_y_pred: bool = true,
        /// The axis of the classes, where they are no numbers. Default: the last.
        axis: isize = -1,
    }
}

iou_metric!(IoU, "io_u", sparse_y_true: |metric| metric.sparse_y_true, ids: |metric| metric.target_class_ids.iter().copied());

crate::config::options! {
    /// The mean intersection over union of all classes that occur.
    ///
    /// # Shapes
    /// Class numbers (batch, …) on both sides, or probabilities (batch, …, classes).
    /// # Defaults
    /// `sparse_y_true` and `sparse_y_pred` true: class numbers. `axis` −1, no class ignored.
    /// # Errors
    /// When compiled: no classes; probabilities of another number of classes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// // Per-pixel labels as targets, per-pixel probabilities as predictions.
    /// let metric = MeanIoU::new(3).sparse_y_pred(false);
    /// ```
    /// # Source
    /// Keras `MeanIoU`.
    pub struct MeanIoU(
        /// How many classes there are.
        num_classes: usize
    ) {
        /// The name under which history and callbacks know it. Default: `mean_io_u`.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
        /// A true class that is left out. Default: none.
        ignore_class: Option<i64> = None => |class: i64| Some(class),
        /// Whether targets are class numbers. Default: true.
        sparse_y_true: bool = true,
        /// Whether predictions are class numbers. Default: true.
        sparse_y_pred: bool = true,
        /// The axis of the classes, where they are no numbers. Default: the last.
        axis: isize = -1,
    }
}

iou_metric!(MeanIoU, "mean_io_u", sparse_y_true: |metric| metric.sparse_y_true, ids: |metric| 0..metric.num_classes);

crate::config::options! {
    /// [`IoU`] of one-hot targets.
    ///
    /// # Shapes
    /// Targets (batch, …, classes), predictions of the same shape or class numbers.
    /// # Defaults
    /// `sparse_y_pred` false, `axis` −1, no class ignored.
    /// # Source
    /// Keras `OneHotIoU`.
    pub struct OneHotIoU(
        /// How many classes there are.
        num_classes: usize,
        /// The classes whose mean is taken.
        target_class_ids: Vec<usize> => impl Into<Vec<usize>>,
    ) {
        /// The name under which history and callbacks know it. Default: `one_hot_io_u`.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
        /// A true class that is left out. Default: none.
        ignore_class: Option<i64> = None => |class: i64| Some(class),
        /// Whether predictions are class numbers. Default: false.
        sparse_y_pred: bool = false,
        /// The axis of the classes. Default: the last.
        axis: isize = -1,
    }
}

iou_metric!(OneHotIoU, "one_hot_io_u", sparse_y_true: |_| false, ids: |metric| metric.target_class_ids.iter().copied());

crate::config::options! {
    /// [`MeanIoU`] of one-hot targets.
    ///
    /// # Shapes
    /// Targets (batch, …, classes), predictions of the same shape or class numbers.
    /// # Defaults
    /// `sparse_y_pred` false, `axis` −1, no class ignored.
    /// # Source
    /// Keras `OneHotMeanIoU`.
    pub struct OneHotMeanIoU(
        /// How many classes there are.
        num_classes: usize
    ) {
        /// The name under which history and callbacks know it. Default: `one_hot_mean_io_u`.
        name: Option<String> = None => |name: impl Into<String>| Some(name.into()),
        /// A true class that is left out. Default: none.
        ignore_class: Option<i64> = None => |class: i64| Some(class),
        /// Whether predictions are class numbers. Default: false.
        sparse_y_pred: bool = false,
        /// The axis of the classes. Default: the last.
        axis: isize = -1,
    }
}

iou_metric!(OneHotMeanIoU, "one_hot_mean_io_u", sparse_y_true: |_| false, ids: |metric| 0..metric.num_classes);

metric_options! {
    /// The mean intersection over union of yes and no, p ≥ threshold meaning yes.
    ///
    /// # Shapes
    /// Prediction and target of one shape.
    /// # Defaults
    /// `target_class_ids` 0 and 1, `threshold` 0.5.
    /// # Errors
    /// When compiled: classes other than 0 and 1.
    /// # Source
    /// Keras `BinaryIoU`.
    pub struct BinaryIoU {
        /// The classes whose mean is taken. Default: 0 and 1.
        target_class_ids: Vec<usize> = vec![0, 1] => |ids: impl Into<Vec<usize>>| ids.into(),
        /// From it on a prediction means yes. Default: 0.5.
        threshold: f64 = 0.5,
    }
}

impl<F: Scalar> Metric<F> for BinaryIoU {
    type State = ClassTable;
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "binary_io_u".into())
    }
    fn check(&self, prediction: &[usize], target: &[usize]) -> Result<()> {
        super::counts::check_same(prediction, target)?;
        match self.target_class_ids.iter().find(|id| **id > 1) {
            Some(id) => Err(Error::option("target_class_ids", "0 and 1", id)),
            None => Ok(()),
        }
    }
    fn update(&self, state: &mut ClassTable, p: View<'_, F>, t: View<'_, F>, weights: Option<&[F]>) {
        let values = p.len();
        for (i, (&p, t)) in p.iter().zip(t.iter()).enumerate() {
            let yes = f64::from(u8::from(p >= F::of(self.threshold)));
            state.add(2, t.f64(), yes, weight(weights, i, values));
        }
    }
    fn result(&self, state: &ClassTable) -> f64 {
        state.mean_iou(self.target_class_ids.iter().copied())
    }
    fn higher_is_better(&self) -> bool {
        true
    }
    fn describe(&self) -> Option<(String, Config)> {
        Some((<Self as Configured>::CLASS.into(), self.to_config()))
    }
}
