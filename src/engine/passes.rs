//! The steps that `fit` is made of, for training loops of one's own.

use std::sync::Arc;

use ndarray::ArrayD;

use super::checks::{check_batch, check_inputs};
use super::network::Network;
use super::pass::{self, Pass};
use super::plan::{Plan, Wanted};
use super::shard::{Run, Shard};
use crate::kernels::elementwise;
use crate::layers::{Feeds, Mode, ParamSpec};
use crate::regularizers::Regularizer;
use crate::tensor::inputs::{IntoInputs, check_rows};
use crate::tensor::to_array;
use crate::{Error, Result, Scalar, Tensor, View};

/// What a call needs that was given the pass of another model.
const OWN_PASS: &str = "a pass of this model: make one with `pass`, once for many steps";

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
        let fused = vec![false; self.graph.outputs.len()];
        let plan = Plan::new(&self.graph, true, &self.trains, wanted, &fused);
        Pass::new(&self.graph, &self.trains, plan, wanted)
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
        let training = matches!(mode, Mode::Training { .. });
        if !Arc::ptr_eq(&pass.graph, &self.graph) {
            return Err(Error::NotReady { call: "forward", needs: OWN_PASS });
        }
        let was_training = pass.mode.is_none_or(|mode| matches!(mode, Mode::Training { .. }));
        if training != was_training || pass.trains != self.trains {
            pass.trains.clone_from(&self.trains);
            let fused = vec![false; self.graph.outputs.len()];
            pass.plan = Plan::new(&self.graph, training, &self.trains, pass.wanted, &fused);
        }
        pass.set_rows(&self.graph, rows);
        (pass.mode, pass.gone_back) = (Some(mode), false);
        let run = Run {
            graph: &self.graph,
            params: &self.params,
            plan: &pass.plan,
            mode,
            batch: rows,
            penalties: pass.penalties,
        };
        let (used, totals) = (pass.used, &mut pass.totals);
        let shards = &mut pass.shards[..used];
        self.threads.enter(|| {
            let load = |shard: &mut Shard<F>| {
                for (input, given) in shard.inputs.iter_mut().zip(inputs.iter()) {
                    input.set_rows(shard.rows.len());
                    given.gather(shard.rows.clone(), input.data_mut());
                }
            };
            pass::forward(shards, totals, &run, None, &load, &|_| ());
        });
        if let Some(error) = pass.shards[..used].iter().find_map(|shard| shard.refusal(&self.graph, None)) {
            pass.mode = None;
            return Err(error);
        }
        pass.outputs.resize_with(self.graph.outputs.len(), Tensor::default);
        for (output, &slot) in pass.outputs.iter_mut().zip(&self.graph.outputs) {
            gather(output, &pass.shards[..used], rows, |shard| shard.value(&run, slot, Feeds::Own(&shard.inputs)));
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
        if !Arc::ptr_eq(&pass.graph, &self.graph) {
            return Err(Error::NotReady { call: "backward", needs: OWN_PASS });
        }
        // Layers may have used up what they had kept.
        let Some(mode) = pass.mode.filter(|_| !pass.gone_back) else {
            return Err(Error::NotReady {
                call: "backward",
                needs: "run `forward` with this pass before each `backward`",
            });
        };
        if grads.len() != self.graph.outputs.len() {
            let expected = format!("a gradient for each of {} outputs", self.graph.outputs.len());
            return Err(Error::data("backward", expected, format!("{}", grads.len())));
        }
        for (i, grad) in grads.iter().enumerate() {
            check_rows("backward", "a gradient", self.output_shape(i), grad.shape)?;
            if grad.rows() != pass.batch {
                return Err(Error::data("backward", format!("{} rows", pass.batch), format!("{}", grad.rows())));
            }
        }
        let run = Run {
            graph: &self.graph,
            params: &self.params,
            plan: &pass.plan,
            mode,
            batch: pass.batch,
            penalties: pass.penalties,
        };
        let (used, totals) = (pass.used, &mut pass.totals);
        let shards = &mut pass.shards[..used];
        self.threads.enter(|| {
            crate::parallel::for_each(shards, &|shard: &mut Shard<F>| {
                shard.clear_grads(&run);
                for seed in &run.plan.seeds {
                    let given = &grads[seed.output];
                    let rows = shard.rows.clone();
                    shard.add_grad(&run, seed, |_, mut grad| given.gather(rows, &mut grad));
                }
            });
            pass::backward(shards, totals, &run, None, false);
        });
        if pass.wanted.parameters {
            pass.gradients.resize(0);
            pass.gradients.resize(self.params.len());
            for shard in &mut pass.shards[..used] {
                shard.spread_rows(&self.graph);
                elementwise::axpy(F::one(), &shard.param_grads, &mut pass.gradients);
            }
            if pass.penalties {
                self.add_penalty_gradients(&mut pass.gradients);
            }
        }
        if pass.wanted.inputs {
            pass.input_grads.resize_with(self.graph.inputs.len(), Tensor::default);
            for (slot, grad) in pass.input_grads.iter_mut().enumerate() {
                gather(grad, &pass.shards[..used], pass.batch, |shard| shard.grad(run.plan, slot));
            }
        }
        pass.gone_back = true;
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
        let Some(mode) = pass.mode else { return };
        let graph = self.graph.clone();
        let run =
            Run { graph: &graph, params: &[], plan: &pass.plan, mode, batch: pass.batch, penalties: pass.penalties };
        for shard in pass.shards() {
            shard.update_state(&run, &mut self.params, Feeds::Own(&shard.inputs));
        }
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
        for (layer, _) in self.trains.iter().enumerate().filter(|(_, trains)| **trains) {
            for spec in self.graph.layer_specs(layer) {
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
    shards: &'s [Shard<F>],
    rows: usize,
    part: impl Fn(&'s Shard<F>) -> View<'s, F>,
) {
    let first = part(&shards[0]);
    let row = &first.shape()[1..];
    if out.shape().get(1..) != Some(row) {
        *out = Tensor::without_rows(row);
    }
    out.set_rows(rows);
    for shard in shards {
        let view = part(shard);
        let len = view.row_len();
        out.data_mut()[shard.rows.start * len..shard.rows.end * len].copy_from_slice(&view);
    }
}
