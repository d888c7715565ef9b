//! The time loop: any cell over whole sequences, step by step, forward and back.

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::direction::{Direction, OutputSize};
use crate::kernels::elementwise::axpy;
use crate::layers::{Context, Grads};
use crate::{Scalar, Tensor, View};

/// The memory of the time loop.
#[derive(Debug)]
pub struct LoopCache<F, C, S> {
    /// The shape of a step's input, for which `shapes` were asked.
    input: Vec<usize>,
    shapes: Option<CellShapes>,
    /// Among `states`, those after the last step.
    last: usize,
    sequence: S,
    /// By step; without a backward pass there is one.
    steps: Vec<C>,
    /// By step, the states before it, and after the last; without a backward pass two places take turns.
    states: Vec<Vec<Tensor<F>>>,
    /// A step's input.
    x: Tensor<F>,
    /// A step's output where no state holds it, and that which masked steps carry over.
    y: [Tensor<F>; 2],
    grad_x: Tensor<F>,
    /// Of the output that is carried over, and of a step's.
    grad_y: [Tensor<F>; 2],
    /// Of the states after a step, before it, and those of masked rows meanwhile.
    grad_states: [Vec<Tensor<F>>; 3],
}

impl<F, C, S: Default> Default for LoopCache<F, C, S>
where
    Tensor<F>: Default,
{
    fn default() -> Self {
        Self {
            input: Vec::new(),
            shapes: None,
            last: 0,
            sequence: S::default(),
            steps: Vec::new(),
            states: Vec::new(),
            x: Tensor::default(),
            y: Default::default(),
            grad_x: Tensor::default(),
            grad_y: Default::default(),
            grad_states: Default::default(),
        }
    }
}

/// Gives `tensor` the shape (rows, `row`…).
pub fn shape_rows<F: Scalar>(tensor: &mut Tensor<F>, rows: usize, row: &[usize]) {
    if tensor.shape().get(1..) == Some(row) {
        tensor.set_rows(rows);
    } else {
        *tensor = Tensor::without_rows(row);
        tensor.set_rows(rows);
    }
}

/// The same for each state.
fn shape_states<F: Scalar>(states: &mut Vec<Tensor<F>>, rows: usize, shapes: &CellShapes) {
    states.resize_with(shapes.states().len(), Tensor::default);
    for (state, shape) in states.iter_mut().zip(shapes.states()) {
        shape_rows(state, rows, shape);
    }
}

/// Rows of whole sequences, of which one step is taken at a time.
#[derive(Clone, Copy)]
struct Timesteps<'a> {
    steps: usize,
    mask: Option<&'a [bool]>,
    direction: Direction,
}

impl Timesteps<'_> {
    /// The timestep that is taken as number `s`.
    fn time(&self, s: usize) -> usize {
        if self.direction.backwards { self.steps - 1 - s } else { s }
    }

    /// Whether step number `s` counts in a row.
    fn counts(&self, row: usize, s: usize) -> bool {
        self.mask.is_none_or(|mask| mask[row * self.steps + self.time(s)])
    }

    /// The rows in which step number `s` does not count.
    fn masked(&self, rows: usize, s: usize) -> impl Iterator<Item = usize> {
        let rows = if self.mask.is_some() { rows } else { 0 };
        (0..rows).filter(move |&row| !self.counts(row, s))
    }

    /// Whether it counts in no row.
    fn all_masked(&self, rows: usize, s: usize) -> bool {
        self.mask.is_some() && (0..rows).all(|row| !self.counts(row, s))
    }

    /// Copies the inputs of step number `s` to `x`.
    fn gather<F: Scalar>(&self, from: &[F], s: usize, x: &mut Tensor<F>) {
        let (rows, t) = (x.rows(), self.time(s));
        let len = x.data().len() / rows.max(1);
        for row in 0..rows {
            x.data_mut()[row * len..][..len].copy_from_slice(&from[(row * self.steps + t) * len..][..len]);
        }
    }

    /// Backward of [`gather`](Self::gather): brings a step's gradient to its place.
    fn scatter<F: Scalar>(&self, from: &Tensor<F>, s: usize, to: &mut [F]) {
        let (rows, t) = (from.rows(), self.time(s));
        let len = from.data().len() / rows.max(1);
        for row in 0..rows {
            to[(row * self.steps + t) * len..][..len].copy_from_slice(&from.data()[row * len..][..len]);
        }
    }

    /// Writes an output into its place in `to`: that of step number `s`, or the only one.
    fn write_output<F: Scalar>(&self, y: View<'_, F>, s: usize, to: &mut [F]) {
        let (rows, len) = (y.rows(), y.row_len());
        for row in 0..rows {
            let place = if self.direction.sequences { row * self.steps + s } else { row };
            let to = &mut to[place * len..][..len];
            if self.counts(row, s) || !self.direction.zero_masked {
                to.copy_from_slice(&y[row * len..][..len]);
            } else {
                to.fill(F::zero());
            }
        }
    }

    /// Backward of it: adds to the gradient of the output.
    fn add_output_gradient<F: Scalar>(&self, from: &[F], s: usize, grad: &mut Tensor<F>) {
        let rows = grad.rows();
        let len = grad.data().len() / rows.max(1);
        for row in (0..rows).filter(|&row| self.counts(row, s) || !self.direction.zero_masked) {
            let place = if self.direction.sequences { row * self.steps + s } else { row };
            axpy(F::one(), &from[place * len..][..len], &mut grad.data_mut()[row * len..][..len]);
        }
    }
}

/// Copies one row of each state.
fn copy_row<F: Scalar>(from: &[Tensor<F>], to: &mut [Tensor<F>], row: usize) {
    for (from, to) in from.iter().zip(to) {
        let len = from.data().len() / from.rows();
        to.data_mut()[row * len..][..len].copy_from_slice(&from.data()[row * len..][..len]);
    }
}

/// Sets one row to zeros.
fn clear_row<F: Scalar>(tensor: &mut Tensor<F>, row: usize) {
    let len = tensor.data().len() / tensor.rows();
    tensor.data_mut()[row * len..][..len].fill(F::zero());
}

/// The states before step number `s`, and those after it.
fn two_slots<F>(states: &mut [Vec<Tensor<F>>], s: usize, keep: bool) -> (&[Tensor<F>], &mut [Tensor<F>]) {
    let [before, after] = if keep { [s, s + 1] } else { [s % 2, (s + 1) % 2] };
    let [before, after] = states.get_disjoint_mut([before, after]).expect("two places");
    (before, after)
}

impl<F: Scalar, C: Default, S: Default> LoopCache<F, C, S> {
    /// The cell's shapes for steps of the shape `input`. It is asked where they change.
    pub fn know_shapes<R: RecurrentCell<F>>(&mut self, cell: &R, input: &[usize]) -> &CellShapes {
        if self.shapes.is_none() || self.input != input {
            self.shapes = Some(cell.shapes(input).expect("checked when built"));
            self.input = input.to_vec();
        }
        self.shapes.as_ref().expect("set above")
    }

    /// How many states the cell has.
    pub fn states(&self) -> usize {
        self.shapes.as_ref().map_or(0, |shapes| shapes.states().len())
    }

    /// How large the cell's output is.
    pub fn output(&self) -> OutputSize {
        let shape = self.shapes.as_ref().map_or(&[][..], CellShapes::output_shape);
        OutputSize { len: shape.iter().product(), last_axis: shape.last().copied().unwrap_or(1) }
    }

    /// Makes room for a pass.
    fn prepare<R: RecurrentCell<F>>(&mut self, cell: &R, x: View<'_, F>, keep: bool) {
        let input = &x.shape()[2..];
        self.know_shapes(cell, input);
        let shapes = self.shapes.as_ref().expect("set above");
        let (rows, steps) = (x.rows(), x.shape()[1]);
        let (caches, slots) = if keep { (steps, steps + 1) } else { (1, 2) };
        self.last = if keep { steps } else { steps % 2 };
        shape_rows(&mut self.x, rows, input);
        if self.steps.len() < caches {
            self.steps.resize_with(caches, C::default);
        }
        if self.states.len() < slots {
            self.states.resize_with(slots, Vec::new);
        }
        for states in &mut self.states[..slots] {
            shape_states(states, rows, shapes);
        }
        if shapes.is_state().is_none() {
            for y in &mut self.y {
                shape_rows(y, rows, shapes.output_shape());
            }
        }
    }

    /// Runs a cell over the sequences `x` (rows, steps, …). `output` takes all outputs, or the last.
    pub fn forward<'v, R: RecurrentCell<F, Cache = C, Sequence = S>>(
        &mut self,
        cell: &R,
        direction: Direction,
        x: View<'_, F>,
        initial: impl Fn(usize) -> Option<&'v [F]>,
        output: &mut [F],
        cx: &Context<'_, F>,
    ) {
        let keep = cx.backward_follows();
        self.prepare(cell, x, keep);
        let rows = x.rows();
        if rows == 0 {
            return;
        }
        let timesteps = Timesteps { steps: x.shape()[1], mask: cx.mask(), direction };
        cell.begin(rows, &self.input, &mut self.sequence, cx);
        for (number, state) in self.states[0].iter_mut().enumerate() {
            match initial(number) {
                Some(values) => state.data_mut().copy_from_slice(values),
                None => state.data_mut().fill(F::zero()),
            }
        }
        let output_state = self.shapes.as_ref().and_then(CellShapes::is_state);
        let [y, carried] = &mut self.y;
        carried.data_mut().fill(F::zero());
        for s in 0..timesteps.steps {
            timesteps.gather(&x, s, &mut self.x);
            let (before, after) = two_slots(&mut self.states, s, keep);
            let memory = CellMemory { step: &mut self.steps[if keep { s } else { 0 }], sequence: &mut self.sequence };
            let own = output_state.is_none().then(|| y.view_mut());
            cell.forward(self.x.view(), States(before), StatesMut(after), own, memory, cx);
            for row in timesteps.masked(rows, s) {
                copy_row(before, after, row);
            }
            if output_state.is_none() {
                for row in (0..rows).filter(|&row| timesteps.counts(row, s)) {
                    copy_row(std::slice::from_ref(y), std::slice::from_mut(carried), row);
                }
            }
            if direction.sequences || s + 1 == timesteps.steps {
                let y = output_state.map_or(&*carried, |state| &after[state]);
                timesteps.write_output(y.view(), s, output);
            }
        }
    }

    /// The last state number `state`, once `forward` has run.
    pub fn last(&self, state: usize) -> &[F] {
        self.states[self.last][state].data()
    }

    /// ∂L/∂(initial state number `state`), once `backward` has run.
    pub fn grad_initial(&self, state: usize) -> &[F] {
        self.grad_states[0][state].data()
    }

    /// Backward, from the gradients of what `forward` gave as `output` and of the last states.
    pub fn backward<'v, R: RecurrentCell<F, Cache = C, Sequence = S>>(
        &mut self,
        cell: &R,
        direction: Direction,
        x: View<'_, F>,
        grad_output: &[F],
        grad_states: impl Fn(usize) -> Option<&'v [F]>,
        grads: &mut Grads<'_, F>,
        mut grad_x: Option<&mut [F]>,
        cx: &Context<'_, F>,
    ) {
        let rows = x.rows();
        let timesteps = Timesteps { steps: x.shape()[1], mask: cx.mask(), direction };
        let shapes = self.shapes.as_ref().expect("a forward pass went before");
        let output_state = shapes.is_state();
        for states in &mut self.grad_states {
            shape_states(states, rows, shapes);
        }
        if rows == 0 {
            return;
        }
        for (number, grad) in self.grad_states[0].iter_mut().enumerate() {
            match grad_states(number) {
                Some(values) => grad.data_mut().copy_from_slice(values),
                None => grad.data_mut().fill(F::zero()),
            }
        }
        shape_rows(&mut self.grad_x, rows, &self.input);
        if output_state.is_none() {
            for grad in &mut self.grad_y {
                shape_rows(grad, rows, shapes.output_shape());
                grad.data_mut().fill(F::zero());
            }
        }
        let [carried, of_y] = &mut self.grad_y;
        for s in (0..timesteps.steps).rev() {
            let [after, before, masked] = &mut self.grad_states;
            if direction.sequences || s + 1 == timesteps.steps {
                let grad = output_state.map_or(&mut *carried, |state| &mut after[state]);
                timesteps.add_output_gradient(grad_output, s, grad);
            }
            if timesteps.all_masked(rows, s) {
                if let Some(grad_x) = grad_x.as_deref_mut() {
                    self.grad_x.data_mut().fill(F::zero());
                    timesteps.scatter(&self.grad_x, s, grad_x);
                }
                continue;
            }
            for row in timesteps.masked(rows, s) {
                copy_row(after, masked, row);
                for grad in after.iter_mut() {
                    clear_row(grad, row);
                }
            }
            if output_state.is_none() {
                // Rows that count give what has come together for their output; the others hand it on.
                of_y.data_mut().copy_from_slice(carried.data());
                for row in 0..rows {
                    clear_row(if timesteps.counts(row, s) { &mut *carried } else { &mut *of_y }, row);
                }
            }
            timesteps.gather(&x, s, &mut self.x);
            let step =
                CellStep { x: self.x.view(), before: States(&self.states[s]), after: States(&self.states[s + 1]) };
            let grad = CellGradients {
                y: output_state.is_none().then(|| of_y.view()),
                after: StatesMut(after),
                x: grad_x.is_some().then(|| self.grad_x.view_mut()),
                before: StatesMut(before),
            };
            let memory = CellMemory { step: &mut self.steps[s], sequence: &mut self.sequence };
            cell.backward(step, grad, grads, memory, cx);
            for row in timesteps.masked(rows, s) {
                copy_row(masked, before, row);
                clear_row(&mut self.grad_x, row);
            }
            if let Some(grad_x) = grad_x.as_deref_mut() {
                timesteps.scatter(&self.grad_x, s, grad_x);
            }
            std::mem::swap(after, before);
        }
    }
}
