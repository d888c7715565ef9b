//! What is dropped at every step of a sequence alike.

use crate::kernels::random;
use crate::layers::Context;
use crate::random::mix;
use crate::{Error, Result, Scalar};

/// Dropout that is drawn once for whole sequences: the same values are dropped at every timestep, as of inputs by Keras's
/// `dropout` and of states by `recurrent_dropout`.
///
/// A cell keeps one in its `Sequence` memory, draws in [`begin`](super::RecurrentCell::begin), and multiplies by the
/// factors in both passes. They depend on seed, training step, layer and row alone, so that a batch may be split in any way.
///
/// # Source
/// Keras `DropoutRNNCell`; Gal and Ghahramani, *A theoretically grounded application of dropout in recurrent neural
/// networks*, 2016.
#[derive(Clone, Debug, Default)]
pub struct SequenceDropout<F> {
    factors: Vec<F>,
    drawn: Vec<u8>,
    active: bool,
}

impl<F: Scalar> SequenceDropout<F> {
    /// Draws factors for `rows` rows of `len` values: 0 with probability `rate`, else 1/(1 − `rate`). Outside training, or
    /// with a rate of 0, there are none. `number` tells several draws of a cell apart.
    ///
    /// ```
    /// use gradus::layers::SequenceDropout;
    /// use gradus::custom::*;
    ///
    /// fn begin(rows: usize, units: usize, drop: &mut SequenceDropout<f32>, cx: &Context<'_, f32>) {
    ///     drop.draw(0.3, None, 0, rows, units, cx);
    ///     assert_eq!(drop.factors().is_some(), cx.training());
    /// }
    /// ```
    pub fn draw(&mut self, rate: f64, seed: Option<u64>, number: u64, rows: usize, len: usize, cx: &Context<'_, F>) {
        self.active = cx.training() && rate > 0.0;
        if self.active {
            let key = mix(cx.random_key(seed));
            let key = if number == 0 { key } else { mix(key ^ number) };
            self.drawn.resize(rows * len, 0);
            self.factors.resize(rows * len, F::zero());
            self.factors.fill(F::one());
            let first = cx.first_row() as u64 * len as u64;
            random::dropout_with_mask(key, first, F::of(rate), &mut self.factors, &mut self.drawn);
        }
    }

    /// What values are multiplied by, (rows, len), if anything is dropped.
    pub fn factors(&self) -> Option<&[F]> {
        self.active.then_some(self.factors.as_slice())
    }

    /// x ← factors·x
    pub fn apply(&self, x: &mut [F]) {
        if let Some(factors) = self.factors() {
            x.iter_mut().zip(factors).for_each(|(x, &factor)| *x *= factor);
        }
    }
}

/// Refuses rates below 0, or of 1 and more.
pub(super) fn check_rates(dropout: f64, recurrent_dropout: f64) -> Result<()> {
    for (name, rate) in [("dropout", dropout), ("recurrent_dropout", recurrent_dropout)] {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::option(name, "at least 0 and below 1", rate));
        }
    }
    Ok(())
}
