//! Recurrent layers over whole sequences, forward beside backward: [`simple`], [`lstm`], [`gru`].
//!
//! Inside, time comes first: what belongs to one timestep lies together, (timesteps, rows, …), in the order in which
//! the steps are taken. The inputs' product with the kernel is taken for many steps at once; each step then adds the
//! product of the state before it with the recurrent kernel, and goes through the gates in one fused loop. Backward,
//! each step leaves its gates' gradients behind, and the gradients of both kernels are products of many steps at once.
//!
//! What is kept for the backward pass grows linearly with the timesteps. Nothing is allocated from the second pass of
//! the same size on.

pub mod gru;
pub mod lstm;
pub mod simple;
#[cfg(test)]
mod tests;

use super::dispatch::kernel;
use super::gemm::{Matrix, Packed, Start, gemm, gemm_packed};
use super::reduce::add_column_sums;
use crate::Scalar;
use crate::kernels::aligned::Aligned;

/// The sizes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sequences.
    pub rows: usize,
    /// Timesteps of each.
    pub steps: usize,
    /// Values of a timestep's input.
    pub features: usize,
    /// Values of a state.
    pub units: usize,
}

/// A nonlinearity other than the usual one of its place, for rows of `units` values.
pub trait Nonlinearity<F>: Sync {
    /// y ← f(y), in place.
    fn forward(&self, y: &mut [F], units: usize);
    /// grad ← grad·f′, from x where [`needs_input`](Self::needs_input) says so, else from y = f(x).
    fn backward(&self, x: &[F], y: &[F], grad: &mut [F], units: usize);
    /// Whether the derivative is computed from x.
    fn needs_input(&self) -> bool;
}

/// What the gates go through.
#[derive(Clone, Copy, Default)]
pub enum Nonlinearities<'a, F> {
    /// tanh, and σ for the gates that let through: fused into the step.
    #[default]
    Usual,
    /// Any: `activation` and `recurrent_activation`.
    Other(&'a dyn Nonlinearity<F>, &'a dyn Nonlinearity<F>),
}

impl<F> std::fmt::Debug for Nonlinearities<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Usual => "Usual",
            Self::Other(..) => "Other",
        })
    }
}

/// A layer's parameters, of which `kernel` is (features, blocks·units), `recurrent` (units, blocks·units).
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, F> {
    /// Multiplies the input.
    pub kernel: &'a [F],
    /// Multiplies the state.
    pub recurrent: &'a [F],
    /// Is added.
    pub bias: Option<&'a [F]>,
}

/// Where the gradients of [`Weights`] are added.
#[derive(Debug)]
pub struct GradWeights<'a, F> {
    /// As the kernel.
    pub kernel: &'a mut [F],
    /// As the recurrent kernel.
    pub recurrent: &'a mut [F],
    /// As the bias, if there is one.
    pub bias: Option<&'a mut [F]>,
}

/// How a pass goes.
#[derive(Clone, Copy, Debug)]
pub struct SequencePass<'a, F> {
    /// Its sizes.
    pub sizes: Sizes,
    /// Whether the last timestep comes first.
    pub backwards: bool,
    /// (rows, steps): where false, state and output are carried over.
    pub mask: Option<&'a [bool]>,
    /// (rows, features): what inputs are multiplied by, at every step the same.
    pub dropout: Option<&'a [F]>,
    /// (rows, units): what the state is multiplied by before its product.
    pub recurrent_dropout: Option<&'a [F]>,
    /// The nonlinearities.
    pub nonlinearities: Nonlinearities<'a, F>,
    /// Whether a backward pass follows.
    pub keep: bool,
}

/// Where a pass writes its outputs.
#[derive(Debug)]
pub enum Output<'a, F> {
    /// All of them, (rows, steps, units), in the order of the steps taken.
    Sequence {
        /// The values.
        y: &'a mut [F],
        /// Zeros at masked steps, where otherwise the state is carried over.
        zero_masked: bool,
    },
    /// None here: the last is among the states.
    Nowhere,
}

/// The gradients that come from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct GradOutput<'a, F> {
    /// Of every step's output, (rows, steps, units).
    pub sequence: Option<&'a [F]>,
    /// Whether outputs were zeros at masked steps.
    pub zero_masked: bool,
    /// Of the last state or states, (rows, units).
    pub states: [Option<&'a [F]>; 2],
}

/// The memory of a pass.
#[derive(Clone, Debug, Default)]
pub struct Cache<F> {
    /// (steps, rows, features): the inputs after dropout, in the order of the steps.
    x: Aligned<F>,
    /// (steps, rows, blocks·units): gates after their nonlinearities; after a backward pass perhaps their gradients.
    gates: Aligned<F>,
    /// The same before, where a derivative is computed from it.
    sums: Aligned<F>,
    /// (steps + 1, rows, units): states, the initial first.
    h: Aligned<F>,
    /// (steps + 1, rows, units): an LSTM's carries.
    c: Aligned<F>,
    /// (steps, rows, units): activations of the carries.
    a: Aligned<F>,
    /// (steps, rows, units): states after recurrent dropout, if any.
    dropped: Aligned<F>,
    /// (steps, rows, blocks·units): gradients of the gates' sums.
    grad_gates: Aligned<F>,
    /// (rows, units) each: gradients that go from step to step.
    grad_h: Aligned<F>,
    grad_c: Aligned<F>,
    next: Aligned<F>,
    /// (steps, rows, features): the inputs' gradients, before they go where they belong.
    grad_x: Aligned<F>,
    scratch: [Aligned<F>; 3],
    bias: Aligned<F>,
    kernels: [Packed<F>; 2],
    recurrents: [Packed<F>; 2],
}

impl<F: Scalar> Cache<F> {
    /// The last state, (rows, units), once a forward pass has run.
    pub fn last_state(&self, sizes: Sizes, keep: bool) -> &[F] {
        let n = sizes.rows * sizes.units;
        &self.h[slot(sizes.steps, keep) * n..][..n]
    }

    /// An LSTM's last carry.
    pub fn last_carry(&self, sizes: Sizes, keep: bool) -> &[F] {
        let n = sizes.rows * sizes.units;
        &self.c[slot(sizes.steps, keep) * n..][..n]
    }

    /// Exchanges what a pass needs only while it runs. Caches of many short passes then share one such memory, which is
    /// put in before each pass and taken out after it.
    pub(crate) fn exchange_working_memory(&mut self, other: &mut Self) {
        use std::mem::swap;
        swap(&mut self.grad_gates, &mut other.grad_gates);
        swap(&mut self.next, &mut other.next);
        swap(&mut self.grad_x, &mut other.grad_x);
        swap(&mut self.scratch, &mut other.scratch);
        swap(&mut self.bias, &mut other.bias);
        swap(&mut self.kernels, &mut other.kernels);
        swap(&mut self.recurrents, &mut other.recurrents);
    }

    /// ∂L/∂(initial state), once a backward pass has run.
    pub fn grad_state(&self) -> &[F] {
        &self.grad_h
    }

    /// ∂L/∂(initial carry).
    pub fn grad_carry(&self) -> &[F] {
        &self.grad_c
    }
}

/// Where state number `s` lies: without a backward pass two places take turns.
fn slot(s: usize, keep: bool) -> usize {
    if keep { s } else { s % 2 }
}

/// How many timesteps' inputs are multiplied at once: about so many rows, whose gates then still lie in a cache.
const ROWS_AT_ONCE: usize = 128;

impl<F: Copy> SequencePass<'_, F> {
    /// The timestep that is taken as number `s`.
    fn time(&self, s: usize) -> usize {
        if self.backwards { self.sizes.steps - 1 - s } else { s }
    }

    /// How many steps' inputs are multiplied at once.
    fn steps_at_once(&self) -> usize {
        (ROWS_AT_ONCE / self.sizes.rows.max(1)).clamp(1, self.sizes.steps.max(1))
    }

    /// Calls `each` with each run of rows that are alike at step `s`, and whether they count.
    fn runs(&self, s: usize, mut each: impl FnMut(std::ops::Range<usize>, bool)) {
        let rows = self.sizes.rows;
        let Some(mask) = self.mask else { return each(0..rows, true) };
        let t = self.time(s);
        let counts = |row: usize| mask[row * self.sizes.steps + t];
        let mut start = 0;
        while start < rows {
            let counted = counts(start);
            let end = (start + 1..rows).find(|&row| counts(row) != counted).unwrap_or(rows);
            each(start..end, counted);
            start = end;
        }
    }

    /// Whether no row counts at step `s`.
    fn all_masked(&self, s: usize) -> bool {
        let t = self.time(s);
        self.mask.is_some_and(|mask| (0..self.sizes.rows).all(|row| !mask[row * self.sizes.steps + t]))
    }
}

/// Copies the inputs of steps `s`.. to `x`, time first, through dropout.
fn gather_inputs<F: Scalar>(pass: &SequencePass<'_, F>, from: &[F], s: usize, x: &mut [F]) {
    let Sizes { rows, steps, features, .. } = pass.sizes;
    if features == 0 {
        return;
    }
    for (i, x) in x.chunks_exact_mut(rows * features).enumerate() {
        let t = pass.time(s + i);
        for (row, x) in x.chunks_exact_mut(features).enumerate() {
            x.copy_from_slice(&from[(row * steps + t) * features..][..features]);
        }
        if let Some(factors) = pass.dropout {
            multiply(factors, x);
        }
    }
}

/// Brings the gradients of the inputs back to where [`gather_inputs`] took the inputs from.
fn scatter_input_gradients<F: Scalar>(pass: &SequencePass<'_, F>, from: &mut [F], grad_x: &mut [F]) {
    let Sizes { rows, steps, features, .. } = pass.sizes;
    if features == 0 {
        return;
    }
    for (s, from) in from.chunks_exact_mut(rows * features).enumerate() {
        if let Some(factors) = pass.dropout {
            multiply(factors, from);
        }
        let t = pass.time(s);
        for (row, from) in from.chunks_exact(features).enumerate() {
            grad_x[(row * steps + t) * features..][..features].copy_from_slice(from);
        }
    }
}

/// ∂L/∂h of the step before, by way of the product h·U: `grad_h` ← `grad_z`·Uᵀ, where `recurrent` is Uᵀ and `grad_z` the
/// gradient of all sums of step `s`. A masked row's state was carried over, and so is its gradient.
fn gradient_before<F: Scalar>(
    pass: &SequencePass<'_, F>,
    s: usize,
    grad_z: &[F],
    recurrent: &Packed<F>,
    next: &mut Aligned<F>,
    grad_h: &mut Aligned<F>,
) {
    let Sizes { rows, units, .. } = pass.sizes;
    gemm_packed(Matrix::new(grad_z, rows, grad_z.len() / rows.max(1)), recurrent, Start::Zero, next, units);
    if let Some(factors) = pass.recurrent_dropout {
        multiply(factors, next);
    }
    pass.runs(s, |run, counted| {
        let run = run.start * units..run.end * units;
        if !counted {
            next[run.clone()].copy_from_slice(&grad_h[run]);
        }
    });
    std::mem::swap(grad_h, next);
}

/// The gradients of all weights, sums over all steps: of products of `grad_z` (steps, rows, sums) with the inputs x and the
/// states before each step. Some rows of `grad_z` are copied at a time, into the order in which both products read them.
fn weight_gradients<F: Scalar>(
    pass: &SequencePass<'_, F>,
    grad_z: &[F],
    [x, before]: [&[F]; 2],
    mut grads: GradWeights<'_, F>,
    packed: &mut Packed<F>,
) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let count = steps * rows;
    let width = grad_z.len() / count.max(1);
    for first in (0..count).step_by(ROWS_AT_ONCE) {
        let some = ROWS_AT_ONCE.min(count - first);
        let grad_z = &grad_z[first * width..][..some * width];
        packed.pack(Matrix::new(grad_z, some, width));
        let states = Matrix::new(&before[first * units..], some, units);
        gemm_packed(states.t(), packed, Start::Add, grads.recurrent, width);
        let inputs = Matrix::new(&x[first * features..], some, features);
        gemm_packed(inputs.t(), packed, Start::Add, grads.kernel, width);
        if let Some(bias) = &mut grads.bias {
            add_column_sums(grad_z, bias);
        }
    }
}

/// `grad_x` ← the gradient of the inputs, from that of all sums.
fn input_gradients<F: Scalar>(
    pass: &SequencePass<'_, F>,
    grad_z: &[F],
    kernel: &[F],
    memory: &mut Aligned<F>,
    grad_x: &mut [F],
) {
    let Sizes { rows, steps, features, .. } = pass.sizes;
    let width = grad_z.len() / (steps * rows).max(1);
    let by_step = memory.room(steps * rows * features);
    let kernel = Matrix::new(kernel, features, width).t();
    gemm(Matrix::new(grad_z, steps * rows, width), kernel, Start::Zero, by_step, features);
    scatter_input_gradients(pass, by_step, grad_x);
}

/// Writes step `s`'s output, which is the state `h` (rows, units).
fn write_output<F: Scalar>(pass: &SequencePass<'_, F>, s: usize, h: &[F], output: &mut Output<'_, F>) {
    let Output::Sequence { y, zero_masked } = output else { return };
    let Sizes { steps, units, .. } = pass.sizes;
    pass.runs(s, |rows, counted| {
        for row in rows {
            let y = &mut y[(row * steps + s) * units..][..units];
            if counted || !*zero_masked {
                y.copy_from_slice(&h[row * units..][..units]);
            } else {
                y.fill(F::zero());
            }
        }
    });
}

/// Adds the gradient of step `s`'s output to that of its state.
fn add_output_gradient<F: Scalar>(pass: &SequencePass<'_, F>, s: usize, from: &GradOutput<'_, F>, grad_h: &mut [F]) {
    let Some(grad_y) = from.sequence else { return };
    let Sizes { steps, units, .. } = pass.sizes;
    pass.runs(s, |rows, counted| {
        if counted || !from.zero_masked {
            for row in rows {
                super::elementwise::axpy(
                    F::one(),
                    &grad_y[(row * steps + s) * units..][..units],
                    &mut grad_h[row * units..][..units],
                );
            }
        }
    });
}

/// Sets the initial state, or zeros.
fn start<F: Scalar>(initial: Option<&[F]>, state: &mut [F]) {
    match initial {
        Some(initial) => state.copy_from_slice(initial),
        None => state.fill(F::zero()),
    }
}

/// State `s` and the one after it, of `n` values each.
fn states<F: Scalar>(all: &mut [F], s: usize, keep: bool, n: usize) -> (&[F], &mut [F]) {
    let (before, after) = (slot(s, keep), slot(s + 1, keep));
    if before < after {
        let (left, right) = all.split_at_mut(after * n);
        (&left[before * n..], &mut right[..n])
    } else {
        let (left, right) = all.split_at_mut(before * n);
        (&right[..n], &mut left[after * n..][..n])
    }
}

kernel! {
    /// x ← factors·x
    fn multiply<F>(factors: &[F], x: &mut [F]) {
        for (x, &factor) in x.iter_mut().zip(factors) {
            *x *= factor;
        }
    }
}

kernel! {
    /// y ← factors·x
    fn product<F>(factors: &[F], x: &[F], y: &mut [F]) {
        for ((y, &x), &factor) in y.iter_mut().zip(x).zip(factors) {
            *y = factor * x;
        }
    }
}

/// The state before step `s` as the step sees it: after recurrent dropout, whose product is kept.
fn dropped<'a, F: Scalar>(pass: &SequencePass<'_, F>, s: usize, h: &'a [F], memory: &'a mut Aligned<F>) -> &'a [F] {
    let Some(factors) = pass.recurrent_dropout else { return h };
    let place = if pass.keep { s * h.len() } else { 0 };
    let to = &mut memory.room(if pass.keep { pass.sizes.steps * h.len() } else { h.len() })[place..][..h.len()];
    product(factors, h, to);
    to
}

/// Copies columns `from`..`from + units` of rows of `width` values to `to`.
fn take_block<F: Scalar>(all: &[F], width: usize, from: usize, units: usize, to: &mut [F]) {
    for (all, to) in all.chunks_exact(width).zip(to.chunks_exact_mut(units)) {
        to.copy_from_slice(&all[from..from + units]);
    }
}

/// Copies them back.
fn put_block<F: Scalar>(block: &[F], units: usize, all: &mut [F], width: usize, to: usize) {
    for (all, block) in all.chunks_exact_mut(width).zip(block.chunks_exact(units)) {
        all[to..to + units].copy_from_slice(block);
    }
}

/// Values that a fused loop works on at once: one or more registers of every instruction set.
const BLOCK: usize = 16;

/// Up to [`BLOCK`] values from `at` on; behind the last are zeros.
#[inline(always)]
fn load<F: Scalar>(from: &[F], at: usize, n: usize) -> [F; BLOCK] {
    let mut block = [F::zero(); BLOCK];
    if n == BLOCK {
        block = super::blocks::block(from, at);
    } else {
        block[..n].copy_from_slice(&from[at..at + n]);
    }
    block
}

/// Writes the first `n` of a block.
#[inline(always)]
fn store<F: Scalar>(block: &[F; BLOCK], to: &mut [F], at: usize, n: usize) {
    if n == BLOCK {
        *super::blocks::block_mut(to, at) = *block;
    } else {
        to[at..at + n].copy_from_slice(&block[..n]);
    }
}

/// Where blocks of a row of `units` values begin, and how long they are.
#[inline(always)]
fn blocks(units: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..units).step_by(BLOCK).map(move |at| (at, BLOCK.min(units - at)))
}
