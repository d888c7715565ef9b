//! Elementwise merges of sequences of which some are masked, step by step as in Keras.
//!
//! A step of the output counts if it counts in one of the inputs. Where it counts in some only, sums, means and differences
//! take all values; products take 1 for a masked one; the largest and the smallest leave it out.

use super::Inputs;
use crate::Scalar;
use crate::kernels::broadcast;

/// What a masked merge keeps between forward and backward.
#[derive(Debug, Default)]
pub struct MaskedValues<F> {
    /// For each input, for each value of the output: 1 if the input counts there, else 0. Empty without masks.
    counts: Vec<F>,
    /// An input, repeated to the output's shape.
    repeated: Vec<F>,
}

/// Whether a mask stands beside one of the inputs.
pub fn any_masked<F: Scalar>(inputs: Inputs<'_, F>) -> bool {
    (0..inputs.len()).any(|i| inputs.mask(i).is_some())
}

/// The mask of an elementwise merge whose inputs are all masked: true where one of them is.
pub fn any_counts<F: Scalar>(inputs: Inputs<'_, F>, mask: &mut [bool]) {
    mask.fill(false);
    let rows = inputs.get(0).rows().max(1);
    let steps = mask.len() / rows;
    for i in 0..inputs.len() {
        let Some(own) = inputs.mask(i) else { return mask.fill(true) };
        let own_steps = own.len() / rows;
        for (row, mask) in mask.chunks_exact_mut(steps.max(1)).enumerate() {
            // A sequence of one step is repeated.
            for (t, counts) in mask.iter_mut().enumerate() {
                *counts |= own[row * own_steps + t.min(own_steps - 1)];
            }
        }
    }
}

impl<F: Scalar> MaskedValues<F> {
    /// Works out where each input counts, for an output of the shape `to`.
    fn prepare(&mut self, inputs: Inputs<'_, F>, to: &[usize], len: usize) {
        self.counts.resize(inputs.len() * len, F::one());
        for (i, counts) in self.counts.chunks_exact_mut(len.max(1)).enumerate() {
            let Some(mask) = inputs.mask(i) else {
                counts.fill(F::one());
                continue;
            };
            let x = inputs.get(i);
            self.repeated.clear();
            let each = x.len() / mask.len().max(1);
            let of_step = |&counted: &bool| std::iter::repeat_n(if counted { F::one() } else { F::zero() }, each);
            self.repeated.extend(mask.iter().flat_map(of_step));
            broadcast::assign(&self.repeated, x.shape(), to, counts);
        }
    }

    /// Whether value number `at` of the output counts in input number `input`.
    fn counts(&self, input: usize, len: usize, at: usize) -> bool {
        self.counts[input * len + at] != F::zero()
    }

    fn repeat(&mut self, inputs: Inputs<'_, F>, i: usize, to: &[usize], len: usize) {
        self.repeated.resize(len, F::zero());
        let x = inputs.get(i);
        broadcast::assign(&x, x.shape(), to, &mut self.repeated);
    }

    /// y ← Π of the inputs' values, with 1 for those that are masked.
    pub fn product(&mut self, inputs: Inputs<'_, F>, to: &[usize], y: &mut [F]) {
        self.prepare(inputs, to, y.len());
        y.fill(F::one());
        for i in 0..inputs.len() {
            self.multiply(inputs, i, to, y);
        }
    }

    fn multiply(&mut self, inputs: Inputs<'_, F>, i: usize, to: &[usize], y: &mut [F]) {
        self.repeat(inputs, i, to, y.len());
        let len = y.len();
        for (at, y) in y.iter_mut().enumerate() {
            if self.counts(i, len, at) {
                *y *= self.repeated[at];
            }
        }
    }

    /// Backward of [`product`](Self::product), before the sum over repetitions: part ← ∂L/∂y · Π of the others, and 0 where
    /// input number `i` is masked.
    pub fn product_backward(&mut self, inputs: Inputs<'_, F>, i: usize, to: &[usize], grad_y: &[F], part: &mut Vec<F>) {
        part.clear();
        part.extend_from_slice(grad_y);
        for other in (0..inputs.len()).filter(|&other| other != i) {
            self.multiply(inputs, other, to, part);
        }
        let len = part.len();
        for (at, part) in part.iter_mut().enumerate() {
            if !self.counts(i, len, at) {
                *part = F::zero();
            }
        }
    }

    /// y ← the largest of the inputs' values (with `sign` −1 the smallest), masked ones left out where another counts;
    /// `winner` ← which input it came from.
    pub fn extremum(&mut self, sign: F, inputs: Inputs<'_, F>, to: &[usize], y: &mut [F], winner: &mut [u32]) {
        let len = y.len();
        self.prepare(inputs, to, len);
        let first = inputs.get(0);
        broadcast::assign(&first, first.shape(), to, y);
        winner.fill(0);
        let mut all_masked = inputs.mask(0).is_some();
        for i in 1..inputs.len() {
            self.repeat(inputs, i, to, len);
            // There are no 2³² inputs.
            #[allow(clippy::cast_possible_truncation)]
            let number = i as u32;
            for (at, (y, winner)) in y.iter_mut().zip(&mut *winner).enumerate() {
                // Until an input without a mask comes, a value counts if one of those so far does.
                let before = !all_masked || (0..i).any(|input| self.counts(input, len, at));
                let x = self.repeated[at];
                let larger = sign * x > sign * *y || x.is_nan();
                if self.counts(i, len, at) && (!before || larger) {
                    (*y, *winner) = (x, number);
                }
            }
            all_masked &= inputs.mask(i).is_some();
        }
    }
}
