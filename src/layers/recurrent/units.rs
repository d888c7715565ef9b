//! Cells whose states are rows of `units` values: one kernel for inputs, one for states. Their steps are computed many
//! at a time by [`kernels::recurrent`](crate::kernels::recurrent).

use super::direction::Direction;
use super::dropout::SequenceDropout;
use super::options::CellOptions;
use crate::kernels::elementwise::axpy;
use crate::kernels::recurrent::{Cache, GradOutput, GradWeights, Output, SequencePass, Sizes, Weights};
use crate::layers::{Context, Grads, ParamBuilder};
use crate::{Result, Scalar, View};

/// A cell of this kind: its parameters, and its passes over whole sequences.
pub trait UnitCell<F: Scalar>: Send + Sync {
    fn units(&self) -> usize;
    fn options(&self) -> CellOptions<'_>;
    /// How many states go from step to step: one, or two, of which the second is a carry.
    fn states(&self) -> usize;
    /// Adds kernel, recurrent kernel and, if it has one, bias, in this order.
    fn add_weights(&self, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()>;
    fn forward(
        &self,
        pass: &SequencePass<'_, F>,
        weights: &Weights<'_, F>,
        x: &[F],
        initial: [Option<&[F]>; 2],
        output: Output<'_, F>,
        cache: &mut Cache<F>,
    );
    fn backward(
        &self,
        pass: &SequencePass<'_, F>,
        weights: &Weights<'_, F>,
        grad: &GradOutput<'_, F>,
        grads: Option<GradWeights<'_, F>>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut Cache<F>,
    );
}

/// A cell whose steps gradus computes many at a time: what
/// [`RecurrentCell::whole_sequences`](super::RecurrentCell::whole_sequences) of the crate's own cells gives.
pub struct UnitSequences<'a, F: Scalar>(pub(super) &'a dyn UnitCell<F>);

impl<F: Scalar> std::fmt::Debug for UnitSequences<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitSequences").finish_non_exhaustive()
    }
}

/// What is dropped of inputs and of states.
#[derive(Clone, Debug, Default)]
pub struct UnitDropout<F> {
    inputs: SequenceDropout<F>,
    states: SequenceDropout<F>,
}

impl<F: Scalar> UnitDropout<F> {
    /// Draws for sequences of steps of so many features.
    pub(super) fn draw(&mut self, cell: &dyn UnitCell<F>, rows: usize, features: usize, cx: &Context<'_, F>) {
        let CellOptions { dropout, recurrent_dropout, seed, .. } = cell.options();
        self.inputs.draw(dropout, seed, 0, rows, features, cx);
        self.states.draw(recurrent_dropout, seed, 1, rows, cell.units(), cx);
    }
}

/// The memory of a pass over whole sequences.
#[derive(Debug, Default)]
pub struct UnitCache<F> {
    kernels: Cache<F>,
    sizes: Option<Sizes>,
    keep: bool,
    dropout: UnitDropout<F>,
}

/// The pass through the kernels; `dropout` holds what was drawn for it.
pub(super) fn sequence_pass<'c, F: Scalar>(
    cell: &'c dyn UnitCell<F>,
    sizes: Sizes,
    backwards: bool,
    keep: bool,
    dropout: &'c UnitDropout<F>,
    mask: Option<&'c [bool]>,
) -> SequencePass<'c, F> {
    SequencePass {
        sizes,
        backwards,
        mask,
        dropout: dropout.inputs.factors(),
        recurrent_dropout: dropout.states.factors(),
        nonlinearities: cell.options().nonlinearities(),
        keep,
    }
}

pub(super) fn weights<'p, F: Scalar>(cell: &dyn UnitCell<F>, cx: &Context<'p, F>) -> Weights<'p, F> {
    let bias = cell.options().use_bias.then(|| cx.params.at(2));
    Weights { kernel: cx.params.at(0), recurrent: cx.params.at(1), bias }
}

/// Where the gradients of the weights are added, if anybody wants them.
pub(super) fn grad_weights<'g, F: Scalar>(
    cell: &dyn UnitCell<F>,
    grads: &'g mut Grads<'_, F>,
) -> Option<GradWeights<'g, F>> {
    grads.wanted().then(|| {
        if cell.options().use_bias {
            let [kernel, recurrent, bias] = grads.several([0, 1, 2]);
            GradWeights { kernel, recurrent, bias: Some(bias) }
        } else {
            let [kernel, recurrent] = grads.several([0, 1]);
            GradWeights { kernel, recurrent, bias: None }
        }
    })
}

/// Sets rows to zeros whose last step is masked, where masked steps give zeros.
fn zero_last_masked<F: Scalar>(direction: Direction, sizes: Sizes, cx: &Context<'_, F>, y: &mut [F]) {
    if let Some(mask) = cx.mask().filter(|_| direction.zero_masked) {
        let last = if direction.backwards { 0 } else { sizes.steps - 1 };
        for (row, y) in y.chunks_exact_mut(sizes.units).enumerate() {
            if !mask[row * sizes.steps + last] {
                y.fill(F::zero());
            }
        }
    }
}

impl<F: Scalar> UnitSequences<'_, F> {
    /// How many states the cell has.
    pub(super) fn states(&self) -> usize {
        self.0.states()
    }

    /// How many values each has.
    pub(super) fn units(&self) -> usize {
        self.0.units()
    }

    /// Runs the sequences `x`. `y` takes all outputs, or the last.
    pub(super) fn forward<'v>(
        &self,
        direction: Direction,
        x: View<'_, F>,
        initial: impl Fn(usize) -> Option<&'v [F]>,
        y: &mut [F],
        cache: &mut UnitCache<F>,
        cx: &Context<'_, F>,
    ) {
        let (steps, features) = (x.shape()[1], x.shape()[2]);
        let sizes = Sizes { rows: x.rows(), steps, features, units: self.0.units() };
        let keep = cx.backward_follows();
        (cache.sizes, cache.keep) = (Some(sizes), keep);
        if sizes.rows == 0 {
            return;
        }
        let UnitCache { kernels, dropout, .. } = cache;
        dropout.draw(self.0, sizes.rows, features, cx);
        let pass = sequence_pass(self.0, sizes, direction.backwards, keep, dropout, cx.mask());
        let initial = [0, 1].map(|state| if state < self.0.states() { initial(state) } else { None });
        let weights = weights(self.0, cx);
        if direction.sequences {
            let output = Output::Sequence { y, zero_masked: direction.zero_masked };
            self.0.forward(&pass, &weights, &x, initial, output, kernels);
        } else {
            self.0.forward(&pass, &weights, &x, initial, Output::Nowhere, kernels);
            y.copy_from_slice(kernels.last_state(sizes, keep));
            zero_last_masked(direction, sizes, cx, y);
        }
    }

    /// The last state number `state`, once `forward` has run.
    pub(super) fn last<'c>(&self, state: usize, cache: &'c UnitCache<F>) -> &'c [F] {
        let sizes = cache.sizes.expect("a forward pass went before");
        match state {
            _ if sizes.rows == 0 => &[],
            0 => cache.kernels.last_state(sizes, cache.keep),
            _ => cache.kernels.last_carry(sizes, cache.keep),
        }
    }

    /// ∂L/∂(initial state), once `backward` has run.
    pub(super) fn grad_initial<'c>(&self, state: usize, cache: &'c UnitCache<F>) -> &'c [F] {
        match state {
            _ if cache.sizes.is_some_and(|sizes| sizes.rows == 0) => &[],
            0 => cache.kernels.grad_state(),
            _ => cache.kernels.grad_carry(),
        }
    }

    /// Backward, from the gradients of what `forward` gave as `y` (which may be changed) and of the last states.
    pub(super) fn backward<'v>(
        &self,
        direction: Direction,
        grad_y: &mut [F],
        grad_states: impl Fn(usize) -> Option<&'v [F]>,
        grads: &mut Grads<'_, F>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut UnitCache<F>,
        cx: &Context<'_, F>,
    ) {
        let sizes = cache.sizes.expect("a forward pass went before");
        if sizes.rows == 0 {
            return;
        }
        let grad_states = [0, 1].map(|state| if state < self.0.states() { grad_states(state) } else { None });
        if !direction.sequences {
            zero_last_masked(direction, sizes, cx, grad_y);
            if let Some(more) = grad_states[0] {
                axpy(F::one(), more, grad_y);
            }
        }
        let grad_y = &*grad_y;
        let grad = GradOutput {
            sequence: direction.sequences.then_some(grad_y),
            zero_masked: direction.zero_masked,
            states: [if direction.sequences { grad_states[0] } else { Some(grad_y) }, grad_states[1]],
        };
        let UnitCache { kernels, dropout, .. } = cache;
        let pass = sequence_pass(self.0, sizes, direction.backwards, true, dropout, cx.mask());
        let into = grad_weights(self.0, grads);
        self.0.backward(&pass, &weights(self.0, cx), &grad, into, grad_x, initial, kernels);
    }
}
