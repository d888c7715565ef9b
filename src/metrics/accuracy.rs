//! How often a prediction is right.

use super::{Mean, Metric, mean_metric, metric_options};
use crate::config::{Config, Configured};
use crate::kernels::elementwise::argmax;
use crate::{Scalar, View};

metric_options! {
    /// Accuracy, of the kind that fits: binary for one probability a row, categorical for one-hot targets, sparse for
    /// labels. What `metrics=["accuracy"]` means in Keras.
    ///
    /// # Shapes
    /// Prediction (batch, …, classes); target of the same shape, or labels (batch, …) or (batch, …, 1).
    /// # Defaults
    /// `name` accuracy.
    /// # Source
    /// Keras `Model.compile`, argument `metrics`; saved by that word, since Keras's class `Accuracy` is another.
    pub struct Accuracy as "accuracy" {}
}

impl Accuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        if p.last_axis() == 1 {
            BinaryAccuracy::new().rows(p, t, each);
        } else if t.len() == p.len() {
            CategoricalAccuracy::new().rows(p, t, each);
        } else {
            SparseCategoricalAccuracy::new().rows(p, t, each);
        }
    }
}

mean_metric!(Accuracy, "accuracy", higher_is_better: true);

metric_options! {
    /// How often prediction and target are the same number.
    ///
    /// # Shapes
    /// Prediction and target of one shape.
    /// # Source
    /// Keras `Accuracy`.
    pub struct ExactAccuracy as "Accuracy" {}
}

impl ExactAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let rows = p.len();
        for (row, (p, t)) in p.iter().zip(t.iter()).enumerate() {
            each(row, rows, f64::from(u8::from(p == t)));
        }
    }
}

mean_metric!(ExactAccuracy, "accuracy", higher_is_better: true);

metric_options! {
    /// How often p > threshold says the same as the target, over all values.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, n).
    /// # Defaults
    /// `threshold` 0.5.
    /// # Source
    /// Keras `BinaryAccuracy`.
    pub struct BinaryAccuracy {
        /// Above it a probability means yes. Default: 0.5.
        threshold: f64 = 0.5,
    }
}

impl BinaryAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let (threshold, values) = (F::of(self.threshold), p.len());
        for (i, (&p, &t)) in p.iter().zip(t.iter()).enumerate() {
            let right = (p > threshold) == (t > F::of(0.5));
            each(i, values, f64::from(u8::from(right)));
        }
    }
}

mean_metric!(BinaryAccuracy, "binary_accuracy", higher_is_better: true);

metric_options! {
    /// How often the most probable class is the one-hot target's.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, classes).
    /// # Source
    /// Keras `CategoricalAccuracy`.
    pub struct CategoricalAccuracy {}
}

impl CategoricalAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let n = p.last_axis().max(1);
        let rows = p.len() / n;
        for (row, (p, t)) in p.chunks(n).zip(t.chunks(n)).enumerate() {
            each(row, rows, f64::from(u8::from(argmax(p) == argmax(t))));
        }
    }
}

mean_metric!(CategoricalAccuracy, "categorical_accuracy", higher_is_better: true);

metric_options! {
    /// How often the most probable class is the label.
    ///
    /// # Shapes
    /// Prediction (batch, …, classes), labels (batch, …) or (batch, …, 1).
    /// # Source
    /// Keras `SparseCategoricalAccuracy`.
    pub struct SparseCategoricalAccuracy {}
}

impl SparseCategoricalAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let n = p.last_axis().max(1);
        let rows = p.len() / n;
        for (row, (p, &label)) in p.chunks(n).zip(t.iter()).enumerate() {
            each(row, rows, f64::from(u8::from(label.to_usize() == Some(argmax(p)))));
        }
    }
}

mean_metric!(SparseCategoricalAccuracy, "sparse_categorical_accuracy", higher_is_better: true);

/// Whether class `class` is among the k most probable: fewer than k classes are strictly more probable.
fn in_top_k<F: Scalar>(p: &[F], class: usize, k: usize) -> bool {
    p.get(class).is_some_and(|&own| own.is_finite() && p.iter().filter(|&&other| other > own).count() < k)
}

metric_options! {
    /// How often the one-hot target's class is among the k most probable.
    ///
    /// # Shapes
    /// Prediction and target (batch, …, classes).
    /// # Defaults
    /// `k` 5.
    /// # Source
    /// Keras `TopKCategoricalAccuracy`.
    pub struct TopKCategoricalAccuracy {
        /// How many classes may come before. Default: 5.
        k: usize = 5,
    }
}

impl TopKCategoricalAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let n = p.last_axis().max(1);
        let rows = p.len() / n;
        for (row, (p, t)) in p.chunks(n).zip(t.chunks(n)).enumerate() {
            each(row, rows, f64::from(u8::from(in_top_k(p, argmax(t), self.k))));
        }
    }
}

mean_metric!(TopKCategoricalAccuracy, "top_k_categorical_accuracy", higher_is_better: true);

metric_options! {
    /// How often the label is among the k most probable classes.
    ///
    /// # Shapes
    /// Prediction (batch, …, classes), labels (batch, …) or (batch, …, 1).
    /// # Defaults
    /// `k` 5.
    /// # Source
    /// Keras `SparseTopKCategoricalAccuracy`.
    pub struct SparseTopKCategoricalAccuracy {
        /// How many classes may come before. Default: 5.
        k: usize = 5,
        /// Whether predictions are not scores but classes, the most probable first. Default: false.
        from_sorted_ids: bool = false,
    }
}

impl SparseTopKCategoricalAccuracy {
    fn rows<F: Scalar>(&self, p: View<'_, F>, t: View<'_, F>, each: &mut impl FnMut(usize, usize, f64)) {
        let n = p.last_axis().max(1);
        let rows = p.len() / n;
        for (row, (p, &label)) in p.chunks(n).zip(t.iter()).enumerate() {
            let hit = if self.from_sorted_ids {
                p.iter().take(self.k).any(|&class| class == label)
            } else {
                label.to_usize().is_some_and(|label| in_top_k(p, label, self.k))
            };
            each(row, rows, f64::from(u8::from(hit)));
        }
    }
}

mean_metric!(SparseTopKCategoricalAccuracy, "sparse_top_k_categorical_accuracy", higher_is_better: true);
