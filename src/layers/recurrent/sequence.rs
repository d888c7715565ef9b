//! A cell over whole sequences: by the kernels where it has such, else by the time loop.

use super::cell::RecurrentCell;
use super::direction::{Direction, OutputSize};
use super::time_loop::LoopCache;
use super::units::UnitCache;
use crate::layers::{Context, Grads};
use crate::{Scalar, View};

/// The memory of a pass of a cell over sequences.
#[derive(Debug, Default)]
pub struct SequenceCache<F, C, S> {
    /// Of cells whose steps are computed many at a time.
    units: UnitCache<F>,
    loops: LoopCache<F, C, S>,
}

impl<F: Scalar, C: Default, S: Default> SequenceCache<F, C, S> {
    /// How many states the cell has, once [`know_states`](Self::know_states) or a forward pass has asked it.
    pub fn states<R: RecurrentCell<F, Cache = C, Sequence = S>>(&self, cell: &R) -> usize {
        match cell.whole_sequences() {
            Some(units) => units.states(),
            None => self.loops.states(),
        }
    }

    /// How many states the cell has for the sequences `x`.
    pub fn know_states<R: RecurrentCell<F, Cache = C, Sequence = S>>(&mut self, cell: &R, x: View<'_, F>) -> usize {
        match cell.whole_sequences() {
            Some(units) => units.states(),
            None => self.loops.know_shapes(cell, &x.shape()[2..]).states().len(),
        }
    }

    /// How large the cell's output is, once it is known how many states it has.
    pub fn output<R: RecurrentCell<F, Cache = C, Sequence = S>>(&self, cell: &R) -> OutputSize {
        match cell.whole_sequences() {
            Some(units) => OutputSize { len: units.units(), last_axis: units.units() },
            None => self.loops.output(),
        }
    }

    /// Runs a cell over the sequences `x` (rows, steps, …). `y` takes all outputs, or the last.
    pub fn forward<'v, R: RecurrentCell<F, Cache = C, Sequence = S>>(
        &mut self,
        cell: &R,
        direction: Direction,
        x: View<'_, F>,
        initial: impl Fn(usize) -> Option<&'v [F]>,
        y: &mut [F],
        cx: &Context<'_, F>,
    ) {
        match cell.whole_sequences() {
            Some(units) => units.forward(direction, x, initial, y, &mut self.units, cx),
            None => self.loops.forward(cell, direction, x, initial, y, cx),
        }
    }

    /// The last state number `state`, once `forward` has run.
    pub fn last<R: RecurrentCell<F, Cache = C, Sequence = S>>(&self, cell: &R, state: usize) -> &[F] {
        match cell.whole_sequences() {
            Some(units) => units.last(state, &self.units),
            None => self.loops.last(state),
        }
    }

    /// Backward, from the gradients of what `forward` gave as `y` (which may be changed) and of the last states.
    pub fn backward<'v, R: RecurrentCell<F, Cache = C, Sequence = S>>(
        &mut self,
        cell: &R,
        direction: Direction,
        x: View<'_, F>,
        grad_y: &mut [F],
        grad_states: impl Fn(usize) -> Option<&'v [F]>,
        grads: &mut Grads<'_, F>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cx: &Context<'_, F>,
    ) {
        match cell.whole_sequences() {
            Some(units) => {
                units.backward(direction, grad_y, grad_states, grads, grad_x, initial, &mut self.units, cx);
            }
            None => self.loops.backward(cell, direction, x, grad_y, grad_states, grads, grad_x, cx),
        }
    }

    /// ∂L/∂(initial state number `state`), once `backward` has run.
    pub fn grad_initial<R: RecurrentCell<F, Cache = C, Sequence = S>>(&self, cell: &R, state: usize) -> &[F] {
        match cell.whole_sequences() {
            Some(units) => units.grad_initial(state, &self.units),
            None => self.loops.grad_initial(state),
        }
    }
}
