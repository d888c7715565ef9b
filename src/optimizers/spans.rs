//! Which weights a step changes, and how they are cut.

use std::ops::Range;

use super::update::MOST_ARRAYS;
use crate::engine::halves;
use crate::engine::partial::Partial;
use crate::kernels::elementwise;
use crate::layers::GradState;
use crate::layers::rows::{Rows, TouchedRows};

use crate::{Scalar, parallel};

/// How fast some weights go: what all of a run have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// What the learning rate is multiplied by.
    pub multiplier: f64,
    pub weight_decay: Option<f64>,
}

/// Weights that a step changes, all at one pace.
#[derive(Clone)]
pub(super) enum Piece {
    /// All of a run, which parameters side by side have in common.
    Run(Range<usize>, Pace),
    /// Some rows of a table.
    Table(Table),
}

impl Piece {
    pub fn table(&self) -> Option<&Table> {
        match self {
            Self::Run(..) => None,
            Self::Table(table) => Some(table),
        }
    }
}

/// A table of which a step changes the rows that have a gradient, or have had one.
#[derive(Clone)]
pub(super) struct Table {
    /// Which parameter it is.
    pub spec: usize,
    pub range: Range<usize>,
    pub pace: Pace,
    pub rows: Rows,
    /// Whether rows that have had a gradient once go on moving without one.
    pub moves_on: bool,
    /// What the step changes: runs of rows, as runs of weights.
    pub runs: Vec<Range<usize>>,
}

/// A table is updated row by row as long as at most one row of so many is concerned.
pub(super) const SPARSE: usize = 8;

impl Table {
    /// Works out what a step changes; `touched` are the rows that have a gradient, shard by shard.
    pub fn set_runs<'a, F: Scalar>(&mut self, touched: impl Iterator<Item = &'a TouchedRows<F>>) {
        if !self.moves_on {
            self.rows.clear();
        }
        touched.for_each(|rows| self.rows.insert_those(rows.touched()));
        self.runs.clear();
        if self.rows.len() * SPARSE > self.rows.count() {
            // One long run is quicker than as many short ones, and the rows between them stay as they are.
            self.runs.push(self.range.clone());
            return;
        }
        let (start, width) = (self.range.start, self.width());
        self.runs.extend(self.rows.runs().map(|run| start + run.start * width..start + run.end * width));
    }

    fn width(&self) -> usize {
        self.range.len() / self.rows.count()
    }

    /// `sum` ← the gradients of a run of the table's weights, added up over the shards in the order of the tree; it holds
    /// zeros before.
    pub fn gather_gradients<F: Scalar>(&self, shards: &[&[GradState<F>]], run: &Range<usize>, sum: &mut [F]) {
        match shards {
            [] => (),
            [shard] => {
                if let Some(rows) = shard.get(self.spec).and_then(|state| state.rows.as_ref()) {
                    self.add_gradients(rows, run.clone(), sum);
                }
            }
            // Of two, one after the other is the tree.
            [left, right] => {
                self.gather_gradients(&[left], run, sum);
                self.gather_gradients(&[right], run, sum);
            }
            _ => {
                let (left, right) = shards.split_at(halves(shards.len()));
                self.gather_gradients(left, run, sum);
                let mut others = [F::zero(); TABLE_SPAN];
                let others = &mut others[..sum.len()];
                self.gather_gradients(right, run, others);
                elementwise::axpy(F::one(), others, sum);
            }
        }
    }

    /// Adds the gradients `touched` of a run of the table's weights to `sum`.
    fn add_gradients<F: Scalar>(&self, touched: &TouchedRows<F>, run: Range<usize>, sum: &mut [F]) {
        let width = self.width();
        let (first, end) = (run.start - self.range.start, run.end - self.range.start);
        for row in first / width..end.div_ceil(width) {
            if let Some(gradient) = touched.get(row) {
                // The run may begin or end within a row.
                let (from, to) = ((row * width).max(first), ((row + 1) * width).min(end));
                let gradient = &gradient[from - row * width..to - row * width];
                elementwise::axpy(F::one(), gradient, &mut sum[from - first..to - first]);
            }
        }
    }
}

/// A run of weights with all that belongs to it, which can be cut in two.
pub(super) struct Span<'a, F> {
    /// The number of its first weight.
    pub start: usize,
    pub weights: &'a mut [F],
    pub gradients: Partial<'a, F>,
    /// The optimizer's arrays, those there are.
    pub state: [&'a mut [F]; MOST_ARRAYS],
}

impl<F: Scalar> Span<'_, F> {
    /// Some of the weights, by their numbers.
    pub fn part(&mut self, range: Range<usize>) -> Span<'_, F> {
        let start = range.start;
        let range = range.start - self.start..range.end - self.start;
        let mut state: [&mut [F]; MOST_ARRAYS] = Default::default();
        for (part, array) in state.iter_mut().zip(&mut self.state).filter(|(_, array)| !array.is_empty()) {
            *part = &mut array[range.clone()];
        }
        Span { start, weights: &mut self.weights[range.clone()], gradients: self.gradients.part(range), state }
    }

    /// The first `len` weights, and the others.
    fn split_at(self, len: usize) -> (Self, Self) {
        let (left_weights, right_weights) = self.weights.split_at_mut(len);
        let (left_gradients, right_gradients) = self.gradients.split_at(len);
        let mut left_state: [&mut [F]; MOST_ARRAYS] = Default::default();
        let mut right_state: [&mut [F]; MOST_ARRAYS] = Default::default();
        for ((array, left), right) in self.state.into_iter().zip(&mut left_state).zip(&mut right_state) {
            if !array.is_empty() {
                (*left, *right) = array.split_at_mut(len);
            }
        }
        let left = Self { start: self.start, weights: left_weights, gradients: left_gradients, state: left_state };
        (left, Self { start: self.start + len, weights: right_weights, gradients: right_gradients, state: right_state })
    }
}

/// Weights that one thread updates at a time: their state and gradients fit into its cache.
pub(super) const SPAN: usize = 1 << 13;

/// The same for a table, whose gradients are gathered on the stack.
pub(super) const TABLE_SPAN: usize = 1 << 11;

/// The gradients of parameter number `spec`, a table: which rows each shard has touched.
pub(super) fn touched<'a, F: Scalar>(
    shards: &[&'a [GradState<F>]],
    spec: usize,
) -> impl Iterator<Item = &'a TouchedRows<F>> {
    shards.iter().filter_map(move |known| known.get(spec)?.rows.as_ref())
}

/// Works on the runs `runs` of a span, at most `most` weights at a time; on many of them in parallel. Where they are cut
/// changes no result.
pub(super) fn in_runs<F: Scalar>(
    mut span: Span<'_, F>,
    runs: &[Range<usize>],
    most: usize,
    work: &(impl Fn(Span<'_, F>) + Sync),
) {
    /// Runs that one thread works on at a time: rows of a table are short.
    const RUNS: usize = 64;
    let in_turn = |mut span: Span<'_, F>| {
        while span.weights.len() > most {
            let (first, rest) = span.split_at(most);
            work(first);
            span = rest;
        }
        work(span);
    };
    if runs.len() <= RUNS {
        for run in runs {
            parallel::in_pieces(span.part(run.clone()), run.len(), most, Span::split_at, &in_turn);
        }
        return;
    }
    parallel::in_pieces((span, runs), runs.len(), RUNS, split_runs, &|(mut span, runs)| {
        for run in runs {
            in_turn(span.part(run.clone()));
        }
    });
}

type Runs<'a, F> = (Span<'a, F>, &'a [Range<usize>]);

/// The runs before number `middle`, and those from there on, each with its part of the span.
fn split_runs<F: Scalar>((span, runs): Runs<'_, F>, middle: usize) -> (Runs<'_, F>, Runs<'_, F>) {
    let (left_runs, right_runs) = runs.split_at(middle);
    let before = right_runs[0].start - span.start;
    let (left, right) = span.split_at(before);
    ((left, left_runs), (right, right_runs))
}
