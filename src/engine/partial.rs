//! The gradients of a batch as its shards leave them.

use std::ops::Range;

use super::cut::MOST_SHARDS;
use super::exchange::join_tree;
use crate::kernels::elementwise;
use crate::layers::GradState;
use crate::{Scalar, parallel};

/// Runs of values, one a shard, whose sum in the order of the tree is what is meant.
///
/// Whoever reads the sum first adds it up, into the first run: an optimizer piece by piece, while a piece is in the
/// cache anyway.
pub(crate) struct Partial<'a, F> {
    parts: [&'a mut [F]; MOST_SHARDS],
    count: usize,
}

impl<'a, F: Scalar> Partial<'a, F> {
    /// The sum of these runs, of one length.
    pub fn new(runs: impl Iterator<Item = &'a mut [F]>) -> Self {
        let (mut parts, mut count): ([&mut [F]; MOST_SHARDS], _) = (Default::default(), 0);
        for (part, run) in parts.iter_mut().zip(runs) {
            *part = run;
            count += 1;
        }
        Self { parts, count }
    }

    /// Some of the values.
    pub fn part(&mut self, range: Range<usize>) -> Partial<'_, F> {
        Partial::new(self.parts[..self.count].iter_mut().map(|part| &mut part[range.clone()]))
    }

    /// The values before `middle`, and those from there on.
    pub fn split_at(self, middle: usize) -> (Self, Self) {
        let (mut left, mut right): ([&mut [F]; MOST_SHARDS], [&mut [F]; MOST_SHARDS]) = Default::default();
        for ((part, left), right) in self.parts.into_iter().take(self.count).zip(&mut left).zip(&mut right) {
            (*left, *right) = part.split_at_mut(middle);
        }
        (Self { parts: left, count: self.count }, Self { parts: right, count: self.count })
    }

    /// The sum.
    pub fn add_up(&mut self) -> &mut [F] {
        join_tree(&mut self.parts[..self.count], &mut |left, right| elementwise::axpy(F::one(), right, left));
        self.count = 1;
        self.parts[0]
    }

    /// The sum, for as long as the runs live.
    pub fn into_sum(mut self) -> &'a [F] {
        self.add_up();
        let [sum, ..] = self.parts;
        sum
    }

    /// The sum, of long runs: parts of them in parallel.
    pub fn add_up_in_parallel(&mut self) -> &mut [F] {
        /// Values that one thread adds up at a time.
        const RUN: usize = 1 << 14;
        if self.count > 1 {
            let len = self.parts[0].len();
            parallel::in_pieces(self.part(0..len), len, RUN, Partial::split_at, &|mut partial| {
                partial.add_up();
            });
            self.count = 1;
        }
        self.parts[0]
    }
}

/// The gradients of a batch as a backward pass leaves them in its shards.
pub(crate) struct ShardGradients<'a, F> {
    /// Of all parameters.
    pub sum: Partial<'a, F>,
    /// For each shard, what is known of each parameter's gradient: rows of tables lie there.
    pub known: [&'a [GradState<F>]; MOST_SHARDS],
    /// How many shards keep the rows of tables apart: all or none.
    pub count: usize,
}
