//! The loss of sequences that are not aligned with their labels.

use std::cell::RefCell;

use num_traits::ToPrimitive;

use super::crossentropy::check_labels;
use super::{Loss, LossContext, LossDescription, loss_options};
use crate::kernels::ctc::{Lattice, Spelling};
use crate::{Error, Result, Scalar, View, ViewMut};

thread_local! {
    /// Room for one sample, used over and over: labels and lattice.
    static ROOM: RefCell<(Vec<usize>, Lattice)> = RefCell::default();
}

loss_options! {
    /// Connectionist temporal classification: −ln of the probability that the frames spell the labels, whatever their
    /// alignment. Each frame names a class or the blank; repeats are dropped, then blanks.
    ///
    /// # Shapes
    /// Prediction (batch, time, classes), logits. Target (batch, labels), shorter rows filled up with the blank; with
    /// `lengths` (batch, 1 + labels), where the first number says how many of the frames count. A value a sample (batch).
    /// # Defaults
    /// `blank` 0, `max_labels` as many as there are frames, `lengths` false, `per_label` false, `zero_infinity` false,
    /// `reduction` sum over batch size.
    /// # Errors
    /// Labels that are no class, lengths outside 1..=time. Where the frames are too few for the labels, the loss is
    /// infinite, as in Keras and PyTorch; with `zero_infinity` it is 0.
    /// # Memory
    /// For each thread time × (2·labels + 1 + classes) numbers, kept for the next call.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let logits = Array3::<f64>::zeros((1, 2, 3)); // two frames, all classes alike
    /// let loss = CTC::new().max_labels(1).call(&logits, &array![[2]])?;
    /// assert!((loss - 3f64.ln()).abs() < 1e-12); // "22", "2-" or "-2" of nine paths
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `CTC`; PyTorch `CTCLoss`; Graves et al. (2006), "Connectionist Temporal Classification". Derived in
    /// [`kernels::ctc`](crate::kernels::ctc).
    pub struct CTC {
        /// The class of the blank, which fills up targets too. Default: 0.
        blank: usize = 0,
        /// How many labels a row of the target holds. Default: none, as many as there are frames.
        max_labels: Option<usize> = None => |labels: impl Into<Option<usize>>| labels.into(),
        /// Whether a row of the target begins with the number of frames that count. Default: false.
        lengths: bool = false,
        /// Whether each sample's value is divided by its number of labels, as in PyTorch's mean. Default: false.
        per_label: bool = false,
        /// Whether samples that cannot be spelt have the value and gradient 0. Default: false.
        zero_infinity: bool = false,
    }
}

impl CTC {
    /// Calls `each(row, spelling, frames that count, divisor)`.
    fn for_each<F: Scalar>(
        &self,
        prediction: &View<'_, F>,
        target: &View<'_, F>,
        mut each: impl FnMut(usize, Spelling<'_>, usize, f64, &mut Lattice),
    ) {
        let (frames, classes) = (prediction.shape()[1], prediction.shape()[2]);
        ROOM.with_borrow_mut(|(labels, lattice)| {
            for (row, target) in target.chunks_exact(target.last_axis()).enumerate() {
                let (frames, given) = match target {
                    [length, given @ ..] if self.lengths => (length.to_usize().unwrap_or(frames), given),
                    _ => (frames, target),
                };
                labels.clear();
                labels.extend(given.iter().filter_map(ToPrimitive::to_usize).filter(|&label| label != self.blank));
                let divisor = if self.per_label { labels.len().max(1) as f64 } else { 1.0 };
                each(row, Spelling { labels, blank: self.blank, classes }, frames, divisor, lattice);
            }
        });
    }
}

impl<F: Scalar> Loss<F> for CTC {
    fn values(&self, prediction: View<'_, F>, target: View<'_, F>, values: &mut [F], _: &LossContext<'_, F>) {
        let sample = prediction.row_len();
        self.for_each(&prediction, &target, |row, spelling, frames, divisor, lattice| {
            let value = lattice.value(spelling, &prediction[row * sample..][..frames * spelling.classes]);
            let none = self.zero_infinity && value == f64::INFINITY;
            values[row] = if none { F::zero() } else { F::of(value / divisor) };
        });
    }

    fn gradient(
        &self,
        prediction: View<'_, F>,
        target: View<'_, F>,
        weights: &[F],
        mut grad: ViewMut<'_, F>,
        _: &LossContext<'_, F>,
    ) {
        let sample = prediction.row_len();
        self.for_each(&prediction, &target, |row, spelling, frames, divisor, lattice| {
            let (counted, beyond) = grad[row * sample..][..sample].split_at_mut(frames * spelling.classes);
            let (z, w) = (&prediction[row * sample..][..counted.len()], weights[row] / F::of(divisor));
            let value = lattice.gradient(spelling, z, w, counted);
            if self.zero_infinity && value == f64::INFINITY {
                counted.fill(F::zero());
            }
            beyond.fill(F::zero());
        });
    }

    fn describe(&self) -> LossDescription {
        LossDescription::of(self, self.reduction)
    }

    fn values_shape(&self, _: &[usize]) -> Vec<usize> {
        Vec::new()
    }

    fn target_shape(&self, prediction: &[usize]) -> Result<Vec<usize>> {
        let &[frames, classes] = prediction else {
            let expected = "predictions of shape (batch, time, classes)";
            return Err(Error::data("CTC", expected, format!("samples of shape {}", crate::error::show(prediction))));
        };
        if self.blank >= classes {
            return Err(Error::option("blank", format!("a class below {classes}"), self.blank));
        }
        let labels = self.max_labels.unwrap_or(frames).saturating_add(usize::from(self.lengths));
        crate::memory::room::<F>("max_labels", labels, &[labels])?;
        Ok(vec![labels])
    }

    fn check_targets(&self, call: &str, prediction: &[usize], target: View<'_, F>) -> Result<()> {
        let &[frames, classes] = prediction else { return Ok(()) };
        for (row, target) in target.chunks_exact(target.last_axis()).enumerate() {
            let labels = &target[usize::from(self.lengths)..];
            check_labels(call, classes, None, View::new(&[labels.len()], labels))
                .map_err(|error| error.within(format!("in the labels of row {row}")))?;
            let length = target[0];
            if self.lengths && !(length.fract() == F::zero() && length >= F::one() && length <= F::of(frames as f64)) {
                let expected = format!("lengths in 1..={frames}");
                return Err(Error::data(call, expected, format!("{length} at row {row}")));
            }
        }
        Ok(())
    }
}
