//! Forward and backward passes for loops of a user's own: a batch's workspace, and what a network does with it.

use std::ops::Range;

use ndarray::ArrayD;

use super::checks::{check_batch, check_inputs};
use super::exchange::agree;
use super::executor::{Executor, Work, foreign_pass};
use super::network::Network;
use super::plan::Wanted;
use super::shard::Shard;
use crate::ids::{first, numbered};
use crate::kernels::aligned::Aligned;
use crate::kernels::elementwise;
use crate::layers::{Feeds, Mode, ParamSpec};
use crate::regularizers::Regularizer;
use crate::tensor::inputs::{ArrayInput, IntoInputs, check_rows};
use crate::tensor::to_array;
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

/// The workspace of a batch: everything that a forward and a backward pass write, reused from step to step.
///
/// Made by [`Network::pass`].
pub struct Pass<F: Scalar> {
    pub(crate) executor: Executor<F, ()>,
    outputs: Vec<Tensor<F>>,
    input_grads: Vec<Tensor<F>>,
    gradients: Aligned<F>,
}

impl<F: Scalar> std::fmt::Debug for Pass<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pass").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

/// Rows that a caller handed in, and the gradients of what became of them.
struct Arrays<'a, F: Scalar> {
    inputs: &'a [ArrayInput<'a, F>],
    grads: &'a [ArrayInput<'a, F>],
}

impl<F: Scalar> Work<F> for Arrays<'_, F> {
    type Own = ();

    fn own(&self) {}

    fn load(&self, (): &mut (), rows: Range<usize>, inputs: &mut [Tensor<F>]) {
        for (input, given) in inputs.iter_mut().zip(self.inputs) {
            given.gather(rows.clone(), input.data_mut());
        }
    }

    fn gradient(&self, (): &mut (), rows: &Range<usize>, output: usize, _: View<'_, F>, mut grad: ViewMut<'_, F>) {
        self.grads[output].gather(rows.clone(), &mut grad);
    }
}

impl<F: Scalar> Pass<F> {
    /// How many rows the last batch had.
    pub fn rows(&self) -> usize {
        self.executor.batch()
    }

    /// Whether a backward pass adds the gradients of regularizers' penalties, on parameters and on outputs. `fit` does;
    /// default here: false.
    #[must_use]
    pub fn with_penalties(mut self, penalties: bool) -> Self {
        self.executor.penalties = penalties;
        self
    }

    /// The model's output number `i` of the last forward pass.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn output(&self, i: usize) -> View<'_, F> {
        self.outputs[i].view()
    }

    /// ∂L/∂input number `i` of the last backward pass, if the pass was made for input gradients.
    pub fn input_gradient(&self, i: usize) -> Option<View<'_, F>> {
        self.input_grads.get(i).map(Tensor::view)
    }

    /// ∂L/∂parameters of the last backward pass, in the order of the model's parameters.
    pub fn gradients(&self) -> &[F] {
        &self.gradients
    }

    /// Adds the parameters' gradients of another pass of the same model: the gradient of a sum of losses over several
    /// batches, for one [`Driver::step`](crate::optimizers::Driver::step).
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().input([2]).add(Dense::new(1)).build()?;
    /// let mut optimizer = Driver::new(SGD::new(), &model)?;
    /// let (mut first, mut second) = (model.pass(), model.pass());
    /// for (pass, x) in [(&mut first, array![[1.0f32, 0.0]]), (&mut second, array![[0.0, 1.0]])] {
    ///     model.forward(pass, &x, Mode::Training { seed: 0, step: 0 })?;
    ///     model.backward(pass, &array![[1.0f32]])?;
    /// }
    /// first.add_gradients(&second)?;
    /// optimizer.step(&mut model, &first)?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If one of the two has had no backward pass, or they are of different models.
    pub fn add_gradients(&mut self, other: &Self) -> Result<()> {
        let ready = |pass: &Self| pass.executor.has_gone_back() && pass.executor.wanted().parameters;
        if !self.executor.is_like(&other.executor) || !ready(self) || !ready(other) {
            let needs = "two passes of one model that have gone back and have the gradients of parameters";
            return Err(Error::NotReady { call: "add_gradients", needs });
        }
        elementwise::axpy(F::one(), &other.gradients, &mut self.gradients);
        Ok(())
    }
}

impl<F: Scalar> Network<F> {
    /// A workspace for [`forward`](Self::forward) and [`backward`](Self::backward), to be reused from step to step.
    pub fn pass(&self) -> Pass<F> {
        self.new_pass(Wanted::PARAMETERS)
    }

    /// The same, with the gradients of the inputs too.
    pub fn pass_with_input_gradients(&self) -> Pass<F> {
        self.new_pass(Wanted { inputs: true, ..Wanted::PARAMETERS })
    }

    /// The same, for the gradients of the inputs alone: what a generator needs of its discriminator, which runs as in
    /// training but learns nothing from it.
    pub fn pass_of_input_gradients(&self) -> Pass<F> {
        self.new_pass(Wanted { parameters: false, inputs: true, ..Wanted::PARAMETERS })
    }

    fn new_pass(&self, wanted: Wanted) -> Pass<F> {
        let executor = Executor::new(self, wanted, vec![false; self.graph.outputs.len()]);
        Pass { executor, outputs: Vec::new(), input_grads: Vec::new(), gradients: Aligned::new() }
    }

    /// Runs `x` forward, keeping in `pass` what [`backward`](Self::backward) needs, and returns the (first) output.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().input([2]).add(Dense::new(4).activation(Tanh)).add(Dense::new(1)).build()?;
    /// let (x, target) = (array![[0.0f32, 1.0], [1.0, 1.0]], array![[1.0f32], [0.0]]);
    /// let loss = MeanSquaredError::new();
    /// let mut optimizer = Driver::new(Adam::new().learning_rate(0.05), &model)?;
    /// let mut pass = model.pass();
    /// for step in 0..100 {
    ///     model.forward(&mut pass, &x, Mode::Training { seed: 0, step })?;
    ///     let (_, grad) = loss.value_and_gradient(pass.output(0), &target)?;
    ///     model.backward(&mut pass, &grad)?;
    ///     optimizer.step(&mut model, &pass)?;
    /// }
    /// assert!(loss.call(&model.predict(&x)?, &target)? < 1e-2);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the inputs do not have the shapes that the model takes, or `pass` is not one of this model or its clones.
    pub fn forward<'a, 'p>(&self, pass: &'p mut Pass<F>, x: impl IntoInputs<'a, F>, mode: Mode) -> Result<View<'p, F>> {
        let inputs = x.into_inputs();
        let rows = check_inputs("forward", &self.graph.inputs, &inputs)?;
        check_batch("forward", &self.graph.inputs, rows)?;
        if !pass.executor.is_of(self) {
            return Err(foreign_pass("forward"));
        }
        pass.executor.take_shapes(inputs.iter().map(|given| &given.shape[1..]))?;
        let work = Arrays { inputs: &inputs, grads: &[] };
        let gone = self.threads.enter(|| pass.executor.forward(self, mode, rows, None, &work));
        agree(self.exchange.as_deref(), gone.err())?;
        let run = pass.executor.run(self);
        pass.outputs.resize_with(self.graph.outputs.len(), Tensor::default);
        for (output, &slot) in pass.outputs.iter_mut().zip(&self.graph.outputs) {
            gather(output, &pass.executor, |shard| shard.value(&run, slot, Feeds::Own(&shard.inputs)));
        }
        Ok(pass.output(0))
    }

    /// Runs the gradients of the outputs back through the model. Afterwards `pass` holds the gradients of the
    /// parameters, and those of the inputs if it was made for them.
    ///
    /// # Errors
    /// If no forward pass went before, or one backward pass has followed it already; or if a gradient does not have its
    /// output's shape.
    pub fn backward<'a>(&self, pass: &mut Pass<F>, grad_outputs: impl IntoInputs<'a, F>) -> Result<()> {
        let grads = grad_outputs.into_inputs();
        if !pass.executor.is_of(self) {
            return Err(foreign_pass("backward"));
        }
        if !pass.executor.can_go_back() {
            let needs = "run `forward` with this pass before each `backward`";
            return Err(Error::NotReady { call: "backward", needs });
        }
        if grads.len() != self.graph.outputs.len() {
            let expected = format!("a gradient for each of {} outputs", self.graph.outputs.len());
            return Err(Error::data("backward", expected, format!("{}", grads.len())));
        }
        let shapes = pass.executor.shapes().expect("taken by the forward pass");
        for (grad, &slot) in grads.iter().zip(&self.graph.outputs) {
            check_rows("backward", "a gradient", &shapes.of[slot], grad.shape)?;
            if grad.rows() != pass.rows() {
                return Err(Error::data("backward", format!("{} rows", pass.rows()), format!("{}", grad.rows())));
            }
        }
        let work = Arrays { inputs: &[], grads: &grads };
        self.threads.enter(|| pass.executor.backward(self, &work))?;
        let wanted = pass.executor.wanted();
        if wanted.parameters {
            let sum = pass.executor.gradients(&self.graph, false).sum.into_sum();
            pass.gradients.resize(sum.len());
            pass.gradients.copy_from_slice(sum);
            if let Some(exchange) = &self.exchange {
                exchange.join(&mut pass.gradients, &|left, right| elementwise::axpy(F::one(), right, left))?;
            }
            if pass.executor.penalties {
                self.add_penalty_gradients(&mut pass.gradients);
            }
        }
        if wanted.inputs {
            let plan = pass.executor.run(self).plan;
            pass.input_grads.resize_with(self.graph.inputs.len(), Tensor::default);
            for (slot, grad) in first(pass.input_grads.len()).zip(&mut pass.input_grads) {
                gather(grad, &pass.executor, |shard| shard.grad(plan, slot));
            }
        }
        Ok(())
    }

    /// The gradients of a backward pass by the paths of their weights, as arrays of their own; none before such a pass.
    /// State has none.
    pub fn gradients(&self, pass: &Pass<F>) -> Vec<(String, ArrayD<F>)> {
        if pass.gradients.is_empty() { Vec::new() } else { self.named_gradients(&pass.gradients) }
    }

    /// A run of values laid out like the parameters, by path.
    pub(crate) fn named_gradients(&self, values: &[F]) -> Vec<(String, ArrayD<F>)> {
        let learned = self.graph.param_paths().filter(|(_, spec)| spec.learned);
        learned.map(|(path, spec)| (path, to_array(&spec.shape, &values[spec.range.clone()]))).collect()
    }

    /// Lets layers with state write it, from what a forward pass left in `pass`: moving statistics after a pass in
    /// training, the states of stateful layers after any. [`Driver::step`](crate::optimizers::Driver::step) does it too.
    pub fn update_state(&mut self, pass: &Pass<F>) {
        let graph = self.graph.clone();
        pass.executor.update_state(&graph, &mut self.params);
    }

    /// Sets the states of stateful layers back to zero: what comes next is the beginning of new sequences.
    pub fn reset_states(&mut self) {
        let graph = self.graph.clone();
        for layer in graph.layers.iter().filter(|layer| layer.operation.carries_state()) {
            for spec in graph.specs[layer.specs.clone()].iter().filter(|spec| !spec.learned) {
                self.params[spec.range.clone()].fill(F::zero());
            }
        }
    }

    /// The sum of the penalties on parameters that are trained.
    pub fn penalty(&self) -> F {
        let mut penalty = F::zero();
        self.for_each_penalty(|regularizer, spec| {
            penalty += regularizer.penalty(&self.params[spec.range.clone()], &spec.shape);
        });
        penalty
    }

    /// Adds the gradients of those penalties.
    pub(crate) fn add_penalty_gradients(&self, gradients: &mut [F]) {
        self.for_each_penalty(|regularizer, spec| {
            let range = spec.range.clone();
            regularizer.add_gradient(&self.params[range.clone()], &spec.shape, F::one(), &mut gradients[range]);
        });
    }

    fn for_each_penalty(&self, mut visit: impl FnMut(&Regularizer, &ParamSpec)) {
        for (layer, _) in numbered(&self.trains).filter(|(_, trains)| **trains) {
            for spec in self.graph.own_specs(layer) {
                if let Some(regularizer) = &spec.regularizer {
                    visit(regularizer, spec);
                }
            }
        }
    }
}

/// Puts the shards' parts of a tensor one after another.
fn gather<'s, F: Scalar>(
    out: &mut Tensor<F>,
    executor: &'s Executor<F, ()>,
    part: impl Fn(&'s Shard<F>) -> View<'s, F>,
) {
    let lanes = executor.lanes();
    let first = part(&lanes[0].shard);
    out.reshape_rows(executor.batch(), &first.shape()[1..]);
    for lane in lanes {
        let view = part(&lane.shard);
        let len = view.row_len();
        out.data_mut()[lane.shard.rows.start * len..lane.shard.rows.end * len].copy_from_slice(&view);
    }
}
