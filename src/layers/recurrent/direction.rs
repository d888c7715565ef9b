//! What the recurrent layers have in common: one pass over sequences in one direction.

use crate::kernels::random;
use crate::kernels::recurrent::{Cache, Course, GradOutput, GradWeights, Nonlinearities, Output, Sizes, Weights};
use crate::layers::{Context, Grads, ParamBuilder};
use crate::random::mix;
use crate::{Activation, Error, Result, Scalar, View};

/// Options that every recurrent layer has.
#[allow(clippy::struct_excessive_bools)] // options, each on its own
pub struct Common<'a> {
    pub units: usize,
    pub use_bias: bool,
    pub activation: &'a Activation,
    /// Of the gates, if there are any.
    pub recurrent_activation: Option<&'a Activation>,
    pub return_sequences: bool,
    pub return_state: bool,
    pub go_backwards: bool,
    pub stateful: bool,
    pub zero_output_for_mask: bool,
    pub dropout: f64,
    pub recurrent_dropout: f64,
    pub seed: Option<u64>,
}

/// A kind of recurrent layer: its parameters and its passes.
pub trait Cell<F: Scalar> {
    fn common(&self) -> Common<'_>;
    /// How many states go from step to step.
    fn states(&self) -> usize;
    /// Adds kernel, recurrent kernel and, if it has one, bias, in this order.
    fn add_weights(&self, prefix: &str, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()>;
    fn forward(
        &self,
        course: &Course<'_, F>,
        weights: &Weights<'_, F>,
        x: &[F],
        initial: [Option<&[F]>; 2],
        output: Output<'_, F>,
        cache: &mut Cache<F>,
    );
    fn backward(
        &self,
        course: &Course<'_, F>,
        weights: &Weights<'_, F>,
        grad: &GradOutput<'_, F>,
        grads: Option<GradWeights<'_, F>>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut Cache<F>,
    );
}

/// The memory of one direction.
#[derive(Debug, Default)]
pub struct DirectionCache<F> {
    kernels: Cache<F>,
    sizes: Option<Sizes>,
    keep: bool,
    dropout: Vec<F>,
    recurrent_dropout: Vec<F>,
    drawn: Vec<u8>,
}

/// A recurrent layer, or one half of a bidirectional one.
pub struct Direction<'a, F: Scalar> {
    pub cell: &'a dyn Cell<F>,
    /// The number of its first parameter.
    pub first: usize,
    pub backwards: bool,
    pub zero_masked: bool,
    /// Tells the halves' random numbers apart.
    pub salt: u64,
}

impl<'a, F: Scalar> Direction<'a, F> {
    /// Of a layer by itself.
    pub fn alone(cell: &'a dyn Cell<F>) -> Self {
        let common = cell.common();
        Self { cell, first: 0, backwards: common.go_backwards, zero_masked: common.zero_output_for_mask, salt: 0 }
    }

    /// How many parameters are learned.
    pub fn weights(&self) -> usize {
        if self.cell.common().use_bias { 3 } else { 2 }
    }

    /// How many parameters it has, states that are kept from batch to batch included.
    pub fn params(&self) -> usize {
        self.weights() + if self.cell.common().stateful { self.cell.states() } else { 0 }
    }

    /// Checks the options and makes the parameters; returns timesteps and features.
    pub fn build(&self, prefix: &str, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let common = self.cell.common();
        let &[_, features] = input else {
            return Err(Error::input_shape("(timesteps, features)", input));
        };
        if common.units == 0 {
            return Err(Error::option("units", "at least 1", 0));
        }
        for (name, rate) in [("dropout", common.dropout), ("recurrent_dropout", common.recurrent_dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Error::option(name, "at least 0 and below 1", rate));
            }
        }
        common.activation.check(2)?;
        common.recurrent_activation.map_or(Ok(()), |activation| activation.check(2))?;
        self.cell.add_weights(prefix, features, params)?;
        if common.stateful {
            let Some(batch) = params.batch() else {
                let given = "none: give it with `batch_size`";
                return Err(Error::option("stateful", "used with a fixed batch size", given));
            };
            for state in 0..self.cell.states() {
                let name = format!("{prefix}state.{state}");
                params.add_state(&name, &[batch, common.units], crate::initializers::Initializer::Zeros)?;
            }
        }
        Ok(())
    }

    fn params_of<'p>(&self, cx: &Context<'p, F>) -> Weights<'p, F> {
        let bias = self.cell.common().use_bias.then(|| cx.params.at(self.first + 2));
        Weights { kernel: cx.params.at(self.first), recurrent: cx.params.at(self.first + 1), bias }
    }

    /// The course of a pass; `cache` holds what was drawn for it.
    fn course<'c>(
        &self,
        cell: &'c dyn Cell<F>,
        sizes: Sizes,
        keep: bool,
        drawn: [&'c [F]; 2],
        cx: &Context<'c, F>,
    ) -> Course<'c, F> {
        let common = cell.common();
        let usual = *common.activation == Activation::Tanh
            && common.recurrent_activation.is_none_or(|activation| *activation == Activation::Sigmoid);
        let nonlinearities = if usual {
            Nonlinearities::Usual
        } else {
            Nonlinearities::Other(common.activation, common.recurrent_activation.unwrap_or(common.activation))
        };
        let of = |rate: f64, drawn: &'c [F]| (cx.training() && rate > 0.0).then_some(drawn);
        Course {
            sizes,
            backwards: self.backwards,
            mask: cx.mask(),
            dropout: of(common.dropout, drawn[0]),
            recurrent_dropout: of(common.recurrent_dropout, drawn[1]),
            nonlinearities,
            keep,
        }
    }

    /// Draws what is dropped of a step's inputs and of states: the same at every step.
    fn draw(&self, sizes: Sizes, cache: &mut DirectionCache<F>, cx: &Context<'_, F>) {
        let common = self.cell.common();
        let key = mix(cx.random_key(common.seed) ^ self.salt);
        let places = [
            (common.dropout, sizes.features, &mut cache.dropout, key),
            (common.recurrent_dropout, sizes.units, &mut cache.recurrent_dropout, mix(key ^ 1)),
        ];
        for (rate, len, factors, key) in places.into_iter().filter(|(rate, ..)| cx.training() && *rate > 0.0) {
            cache.drawn.resize(sizes.rows * len, 0);
            factors.resize(sizes.rows * len, F::zero());
            let first = cx.first_row() as u64 * len as u64;
            factors.fill(F::one());
            random::dropout_with_mask(key, first, F::of(rate), factors, &mut cache.drawn);
        }
    }

    /// The state that the batch before left, where one is kept.
    fn kept_state<'p>(&self, state: usize, rows: usize, cx: &Context<'p, F>) -> Option<&'p [F]> {
        let common = self.cell.common();
        (common.stateful && state < self.cell.states()).then(|| {
            let all = cx.params.at(self.first + self.weights() + state);
            &all[cx.first_row() * common.units..][..rows * common.units]
        })
    }

    /// Runs the sequences `x`. `y` takes all outputs with `sequence`, else the last.
    pub fn forward(
        &self,
        x: View<'_, F>,
        initial: [Option<&[F]>; 2],
        y: &mut [F],
        cache: &mut DirectionCache<F>,
        cx: &Context<'_, F>,
    ) {
        let common = self.cell.common();
        let (steps, features) = (x.shape()[1], x.shape()[2]);
        let sizes = Sizes { rows: x.rows(), steps, features, units: common.units };
        let keep = cx.backward_follows();
        (cache.sizes, cache.keep) = (Some(sizes), keep);
        if sizes.rows == 0 {
            return;
        }
        self.draw(sizes, cache, cx);
        let drawn = [cache.dropout.as_slice(), cache.recurrent_dropout.as_slice()];
        let course = self.course(self.cell, sizes, keep, drawn, cx);
        let initial = [0, 1].map(|state| initial[state].or_else(|| self.kept_state(state, sizes.rows, cx)));
        let weights = self.params_of(cx);
        if common.return_sequences {
            let output = Output::Sequence { y, zero_masked: self.zero_masked };
            self.cell.forward(&course, &weights, &x, initial, output, &mut cache.kernels);
        } else {
            self.cell.forward(&course, &weights, &x, initial, Output::Nowhere, &mut cache.kernels);
            y.copy_from_slice(cache.kernels.last_state(sizes, keep));
            self.zero_last_masked(sizes, cx, y);
        }
    }

    /// Zeroes rows whose last step is masked, where masked steps give zeros.
    fn zero_last_masked(&self, sizes: Sizes, cx: &Context<'_, F>, y: &mut [F]) {
        if let Some(mask) = cx.mask().filter(|_| self.zero_masked) {
            let last = if self.backwards { 0 } else { sizes.steps - 1 };
            for (row, y) in y.chunks_exact_mut(sizes.units).enumerate() {
                if !mask[row * sizes.steps + last] {
                    y.fill(F::zero());
                }
            }
        }
    }

    /// The last state number `state`, once `forward` has run.
    pub fn last<'c>(&self, state: usize, cache: &'c DirectionCache<F>) -> &'c [F] {
        let sizes = cache.sizes.expect("a forward pass went before");
        if sizes.rows == 0 {
            &[]
        } else if state == 0 {
            cache.kernels.last_state(sizes, cache.keep)
        } else {
            cache.kernels.last_carry(sizes, cache.keep)
        }
    }

    /// ∂L/∂(initial state), once `backward` has run.
    pub fn grad_initial<'c>(&self, state: usize, cache: &'c DirectionCache<F>) -> &'c [F] {
        match state {
            _ if cache.sizes.is_some_and(|sizes| sizes.rows == 0) => &[],
            0 => cache.kernels.grad_state(),
            _ => cache.kernels.grad_carry(),
        }
    }

    /// Backward, from the gradients of what `forward` gave as `y` (which may be changed) and of the last states.
    pub fn backward(
        &self,
        grad_y: &mut [F],
        grad_states: [Option<&[F]>; 2],
        grads: &mut Grads<'_, F>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut DirectionCache<F>,
        cx: &Context<'_, F>,
    ) {
        let sizes = cache.sizes.expect("a forward pass went before");
        if sizes.rows == 0 {
            return;
        }
        let sequence = self.cell.common().return_sequences;
        if !sequence {
            self.zero_last_masked(sizes, cx, grad_y);
            if let Some(more) = grad_states[0] {
                crate::kernels::elementwise::axpy(F::one(), more, grad_y);
            }
        }
        let grad_y = &*grad_y;
        let grad = GradOutput {
            sequence: sequence.then_some(grad_y),
            zero_masked: self.zero_masked,
            states: [if sequence { grad_states[0] } else { Some(grad_y) }, grad_states[1]],
        };
        let drawn = [cache.dropout.as_slice(), cache.recurrent_dropout.as_slice()];
        let course = self.course(self.cell, sizes, true, drawn, cx);
        let weights = self.params_of(cx);
        let into = grads.wanted().then(|| {
            if weights.bias.is_some() {
                let [kernel, recurrent, bias] = grads.several([self.first, self.first + 1, self.first + 2]);
                GradWeights { kernel, recurrent, bias: Some(bias) }
            } else {
                let [kernel, recurrent] = grads.several([self.first, self.first + 1]);
                GradWeights { kernel, recurrent, bias: None }
            }
        });
        self.cell.backward(&course, &weights, &grad, into, grad_x, initial, &mut cache.kernels);
    }

    /// Writes the last states where the next batch finds them.
    pub fn update_state(&self, state: &mut Grads<'_, F>, cache: &DirectionCache<F>, cx: &Context<'_, F>) {
        if self.cell.common().stateful {
            for number in 0..self.cell.states() {
                let last = self.last(number, cache);
                let first = cx.first_row() * self.cell.common().units;
                state.at_mut(self.first + self.weights() + number)[first..][..last.len()].copy_from_slice(last);
            }
        }
    }
}
