//! Single steps of the cells whose steps are otherwise computed many at a time: see [`units`](super::units).

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, States, StatesMut};
use super::dropout::check_rates;
use super::units::{UnitCell, UnitDropout, grad_weights, sequence_pass, weights};
use crate::kernels::recurrent::{Cache, GradOutput, Output, Sizes};
use crate::layers::{Context, Grads};
use crate::{Error, Result, Scalar, View};

/// The memory of a single step.
#[derive(Debug, Default)]
pub struct UnitStep<F>(Cache<F>);

/// What single steps share.
#[derive(Debug, Default)]
pub struct UnitMemory<F> {
    working: Cache<F>,
    dropout: UnitDropout<F>,
}

/// [`RecurrentCell::shapes`](super::RecurrentCell::shapes) of such a cell, whose options are checked too.
pub(super) fn shapes<F: Scalar>(cell: &dyn UnitCell<F>, input: &[usize]) -> Result<CellShapes> {
    if input.len() != 1 {
        return Err(Error::input_shape("(features)", input));
    }
    if cell.units() == 0 {
        return Err(Error::option("units", "at least 1", 0));
    }
    let options = cell.options();
    check_rates(options.dropout, options.recurrent_dropout)?;
    options.check_activations(2)?;
    Ok(CellShapes::new((0..cell.states()).map(|_| [cell.units()])))
}

/// [`RecurrentCell::begin`](super::RecurrentCell::begin) of such a cell.
pub(super) fn begin<F: Scalar>(
    cell: &dyn UnitCell<F>,
    rows: usize,
    input: &[usize],
    memory: &mut UnitMemory<F>,
    cx: &Context<'_, F>,
) {
    memory.dropout.draw(cell, rows, input[0], cx);
}

/// One step of such a cell: the kernels' sequences of one timestep.
pub(super) fn step_forward<F: Scalar>(
    cell: &dyn UnitCell<F>,
    x: View<'_, F>,
    before: States<'_, F>,
    mut after: StatesMut<'_, F>,
    memory: CellMemory<'_, UnitStep<F>, UnitMemory<F>>,
    cx: &Context<'_, F>,
) {
    let sizes = Sizes { rows: x.rows(), steps: 1, features: x.row_len(), units: cell.units() };
    let (UnitStep(cache), UnitMemory { working, dropout }) = (memory.step, memory.sequence);
    let pass = sequence_pass(cell, sizes, false, cx.backward_follows(), dropout, None);
    let initial = [0, 1].map(|state| (state < before.len()).then(|| before.get(state).data()));
    cache.exchange_working_memory(working);
    cell.forward(&pass, &weights(cell, cx), &x, initial, Output::Nowhere, cache);
    cache.exchange_working_memory(working);
    after.get_mut(0).copy_from_slice(cache.last_state(sizes, pass.keep));
    if after.len() > 1 {
        after.get_mut(1).copy_from_slice(cache.last_carry(sizes, pass.keep));
    }
}

/// Backward of [`step_forward`].
pub(super) fn step_backward<F: Scalar>(
    cell: &dyn UnitCell<F>,
    step: CellStep<'_, F>,
    grad: CellGradients<'_, F>,
    grads: &mut Grads<'_, F>,
    memory: CellMemory<'_, UnitStep<F>, UnitMemory<F>>,
    cx: &Context<'_, F>,
) {
    let sizes = Sizes { rows: step.x.rows(), steps: 1, features: step.x.row_len(), units: cell.units() };
    let (UnitStep(cache), UnitMemory { working, dropout }) = (memory.step, memory.sequence);
    let pass = sequence_pass(cell, sizes, false, true, dropout, None);
    let CellGradients { after, mut before, x: mut grad_x, .. } = grad;
    let after = after.read();
    let states = [0, 1].map(|state| (state < after.len()).then(|| after.get(state).data()));
    let of_last = GradOutput { sequence: None, zero_masked: false, states };
    let into = grad_weights(cell, grads);
    cache.exchange_working_memory(working);
    cell.backward(&pass, &weights(cell, cx), &of_last, into, grad_x.as_deref_mut(), true, cache);
    cache.exchange_working_memory(working);
    before.get_mut(0).copy_from_slice(cache.grad_state());
    if before.len() > 1 {
        before.get_mut(1).copy_from_slice(cache.grad_carry());
    }
}
