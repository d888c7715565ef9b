//! A cell on every timestep.

use serde_json::Value;

use super::any_cell::AnyCell;
use super::cell::{CellShapes, RecurrentCell};
use super::direction::Direction;
use super::options::SequenceOptions;
use super::sequence::SequenceCache;
use super::stacked::cell_object;
use crate::config::{self, Config, Configured};
use crate::layers::{
    Context, Description, Facts, GradInputs, Grads, Inputs, KeepsState, MaskRule, MultiLayer, ParamBuilder,
};
use crate::regularizers::Regularizer;
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor};

/// A recurrent layer: a cell on every timestep, one after another.
///
/// (`y_t`, `s_t`) = cell(`x_t`, `s_(t−1)`) for t = 1 … T; the outputs are y_T, or all y. [`RNN`](super::RNN),
/// [`LSTM`](super::LSTM), [`GRU`](super::GRU), [`ConvLSTM2D`](super::ConvLSTM2D) are this with cells of the crate's own;
/// `RNN::of(cell)` makes it with any [`RecurrentCell`].
///
/// # Shapes
/// (batch, timesteps, …) → (batch, the cell's output); with `return_sequences` (batch, timesteps, the cell's output). With
/// `return_state` one more output for each state: the last ones. Further inputs, one for each state, are where the sequences
/// start; otherwise at zeros.
///
/// Parameters: the cell's.
///
/// A masked timestep carries states and output over. An output that no state holds starts at zeros.
/// # Defaults
/// Everything is off.
/// # Errors
/// When built: the cell refuses its input or an option; an initial state has another shape than the cell's; `stateful`
/// without a fixed batch size.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let cells = StackedRNNCells::new().add(LSTMCell::new(8)).add(GRUCell::new(4));
/// let model = Sequential::new().input([10, 3]).add(RNN::of(cells).return_sequences(true)).build()?;
/// assert_eq!(model.output_shape(0), [10, 4]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `RNN`; derived in `docs/backward.md`, "Recurrent layers of any cell".
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    pub(super) cell: C,
    pub(super) options: SequenceOptions,
    /// The class whose configuration has the cell's options among its own, such as `LSTM`; none of `RNN`.
    pub(super) whole: Option<&'static str>,
}

/// A cell that a layer is named after, whose options the layer has too.
pub trait LayerCell: Configured {
    /// The layer's class, in Keras's words.
    const LAYER: &'static str;
}

impl<C: LayerCell> Recurrent<C> {
    /// The layer that is named after its cell.
    pub(super) fn whole(cell: C) -> Self {
        Self { cell, options: SequenceOptions::new(), whole: Some(C::LAYER) }
    }
}

impl<C> Recurrent<C> {
    /// The layer of any cell.
    pub(super) fn around(cell: C) -> Self {
        Self { cell, options: SequenceOptions::new(), whole: None }
    }

    /// The layer's name within its model. Default: the class in snake case, numbered where it repeats.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options = self.options.name(name);
        self
    }

    /// Whether training changes the layer's parameters. Default: true.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.options = self.options.trainable(trainable);
        self
    }

    /// A regularizer of the output, divided by the batch size. Default: none.
    pub fn activity_regularizer(mut self, regularizer: impl Into<Option<Regularizer>>) -> Self {
        self.options = self.options.activity_regularizer(regularizer);
        self
    }

    /// Whether every step's output is given, not only the last. Default: false.
    pub fn return_sequences(mut self, return_sequences: bool) -> Self {
        self.options = self.options.return_sequences(return_sequences);
        self
    }

    /// Whether the last states are given too, as further outputs. Default: false.
    pub fn return_state(mut self, return_state: bool) -> Self {
        self.options = self.options.return_state(return_state);
        self
    }

    /// Whether the last timestep is taken first; outputs stay in the order of the steps taken. Default: false.
    pub fn go_backwards(mut self, go_backwards: bool) -> Self {
        self.options = self.options.go_backwards(go_backwards);
        self
    }

    /// Whether each row of a batch goes on where that row of the batch before ended, until
    /// [`Model::reset_states`](crate::engine::Network::reset_states). Needs a fixed batch size. Default: false.
    pub fn stateful(mut self, stateful: bool) -> Self {
        self.options = self.options.stateful(stateful);
        self
    }

    /// Whether outputs are zeros at masked steps, not those that are carried over. Default: false.
    pub fn zero_output_for_mask(mut self, zero_output_for_mask: bool) -> Self {
        self.options = self.options.zero_output_for_mask(zero_output_for_mask);
        self
    }

    /// The layer with its cell's type forgotten.
    pub(super) fn erased(self) -> Recurrent<AnyCell>
    where
        C: RecurrentCell<f32> + RecurrentCell<f64> + 'static,
    {
        Recurrent { cell: AnyCell::new(self.cell), options: self.options, whole: self.whole }
    }

    /// The way that the layer takes by itself.
    fn direction(&self) -> Direction {
        Direction {
            backwards: self.options.go_backwards,
            sequences: self.options.return_sequences,
            zero_masked: self.options.zero_output_for_mask,
        }
    }

    /// How many of the layer's parameters are states that are kept from batch to batch.
    fn kept(&self, shapes: usize) -> usize {
        if self.options.stateful { shapes } else { 0 }
    }
}

/// A shape that the cell refuses is one of a step; the message tells that of the sequences.
fn of_sequences(error: Error, sequences: &[usize]) -> Error {
    match error {
        Error::Shape { expected, advice, received } if received == sequences[1..] => {
            let expected = expected.replacen("an input (", "an input (timesteps, ", 1);
            Error::Shape { expected, received: sequences.to_vec(), advice }
        }
        Error::Context { context, source } => of_sequences(*source, sequences).within(context),
        other => other,
    }
}

/// What `Recurrent` does by itself, and as a half of `Bidirectional`.
impl<C> Recurrent<C> {
    /// The cell's shapes for such sequences.
    pub(super) fn shapes<F: Scalar>(&self, sequences: &[usize]) -> Result<CellShapes>
    where
        C: RecurrentCell<F>,
    {
        let Some((&steps, step)) = sequences.split_first() else {
            return Err(Error::input_shape("(timesteps, …)", sequences));
        };
        let shapes = self.cell.shapes(step).map_err(|error| of_sequences(error, sequences))?;
        if steps == 0 || step.contains(&0) {
            return Err(Error::input_shape("without empty axes", sequences));
        }
        shapes.check()?;
        Ok(shapes)
    }

    /// About how many values all steps of a sequence keep: states, gates, and their gradients.
    pub(super) fn steps_len<F: Scalar>(&self, sequences: &[usize]) -> usize
    where
        C: RecurrentCell<F>,
    {
        /// Of each value of a state: itself, gates, gradients.
        const OF_EACH: usize = 4;
        let Ok(shapes) = self.shapes::<F>(sequences) else { return 0 };
        let values = shapes.states().iter().map(|state| volume(state)).fold(0, usize::saturating_add);
        values.saturating_mul(sequences[0]).saturating_mul(OF_EACH)
    }

    /// Makes the parameters, the cell's and then the states that are kept.
    pub(super) fn build_cell<F: Scalar>(
        &self,
        shapes: &CellShapes,
        sequences: &[usize],
        params: &mut ParamBuilder<'_, F>,
    ) -> Result<()>
    where
        C: RecurrentCell<F>,
    {
        self.cell.build(&sequences[1..], params).map_err(|error| of_sequences(error, sequences))?;
        if self.options.stateful {
            let Some(batch) = params.batch() else {
                let given = "none: give it with `batch_size`";
                return Err(Error::option("stateful", "used with a fixed batch size", given));
            };
            for (state, shape) in shapes.states().iter().enumerate() {
                let shape = [&[batch], shape.as_slice()].concat();
                params.add_state(&format!("state.{state}"), &shape, crate::initializers::Initializer::Zeros)?;
            }
        }
        Ok(())
    }

    /// The shapes of the layer's outputs: y, then the states if it gives them.
    pub(super) fn output_shapes(&self, shapes: &CellShapes, sequences: &[usize]) -> Vec<Vec<usize>> {
        let y = shapes.output_shape();
        let y = if self.options.return_sequences { [&sequences[..1], y].concat() } else { y.to_vec() };
        let states = if self.options.return_state { shapes.states() } else { &[] };
        [&[y], states].concat()
    }

    /// Runs the sequences `x` from the initial states, those of the batch before, or zeros.
    pub(super) fn run<'v, F: Scalar>(
        &self,
        direction: Direction,
        x: crate::View<'_, F>,
        initial: impl Fn(usize) -> Option<&'v [F]>,
        states: usize,
        y: &mut [F],
        cache: &mut SequenceCache<F, C::Cache, C::Sequence>,
        cx: &Context<'v, F>,
    ) where
        C: RecurrentCell<F>,
    {
        let learned = cx.params.len() - self.kept(states);
        let rows = x.rows();
        let kept = |state: usize| {
            self.options.stateful.then(|| {
                let all = cx.params.at(learned + state);
                let len = all.len() / cx.batch_rows().max(1);
                &all[cx.first_row() * len..][..rows * len]
            })
        };
        let mut of_cell = *cx;
        of_cell.params = cx.params.first(learned);
        let from = |state: usize| initial(state).or_else(|| kept(state));
        cache.forward(&self.cell, direction, x, from, y, &of_cell);
    }

    /// Backward of [`run`](Self::run).
    pub(super) fn run_backward<'v, F: Scalar>(
        &self,
        direction: Direction,
        x: crate::View<'_, F>,
        grad_y: &mut [F],
        grad_states: impl Fn(usize) -> Option<&'v [F]>,
        states: usize,
        grads: &mut Grads<'_, F>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut SequenceCache<F, C::Cache, C::Sequence>,
        cx: &Context<'_, F>,
    ) where
        C: RecurrentCell<F>,
    {
        let learned = cx.params.len() - self.kept(states);
        let mut of_cell = *cx;
        of_cell.params = cx.params.first(learned);
        let mut grads = grads.first(learned);
        cache.backward(&self.cell, direction, x, grad_y, grad_states, &mut grads, grad_x, initial, &of_cell);
    }

    /// Writes the last states where the next batch finds them.
    pub(super) fn keep_states<F: Scalar>(
        &self,
        state: &mut Grads<'_, F>,
        cache: &SequenceCache<F, C::Cache, C::Sequence>,
        cx: &Context<'_, F>,
    ) where
        C: RecurrentCell<F>,
    {
        if !self.options.stateful {
            return;
        }
        let states = cache.states(&self.cell);
        let learned = cx.params.len() - states;
        for number in 0..states {
            let last = cache.last(&self.cell, number);
            let to = state.at_mut(learned + number);
            let len = to.len() / cx.batch_rows().max(1);
            to[cx.first_row() * len..][..last.len()].copy_from_slice(last);
        }
    }

    /// Class, options, and whether it is trained.
    pub(super) fn description<F: Scalar>(&self) -> Description
    where
        C: RecurrentCell<F>,
    {
        let of_cell = self.cell.describe();
        let mut description = Description::of(&self.options);
        description.trainable &= of_cell.trainable;
        description.class = self.whole.unwrap_or("RNN").into();
        let own = description.config.take();
        description.config = own.and_then(|mut own| {
            if self.whole.is_some() {
                own.append(&mut of_cell.config?);
            } else {
                own.insert("cell".into(), cell_object(&of_cell)?);
            }
            Some(own)
        });
        description.activity_regularizer(self.options.activity_regularizer.as_ref())
    }
}

/// Refuses initial states that are not one tensor of its shape for each state.
pub(super) fn check_initial_states(inputs: &[&[usize]], states: &[Vec<usize>]) -> Result<()> {
    if inputs.len() != 1 && inputs.len() != 1 + states.len() {
        let expected = format!("the sequences, or these and {} initial states", states.len());
        return Err(Error::option("inputs", expected, format!("{} tensors", inputs.len())));
    }
    match inputs[1..].iter().zip(states).find(|(shape, state)| **shape != state.as_slice()) {
        Some((shape, state)) => Err(Error::shape(format!("an initial state {}", crate::error::show(state)), shape)),
        None => Ok(()),
    }
}

impl<F: Scalar, C: RecurrentCell<F>> MultiLayer<F> for Recurrent<C> {
    type Cache = SequenceCache<F, C::Cache, C::Sequence>;

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let shapes = self.shapes::<F>(inputs[0])?;
        check_initial_states(inputs, shapes.states())?;
        self.build_cell(&shapes, inputs[0], params)?;
        Ok(self.output_shapes(&shapes, inputs[0]))
    }

    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        self.steps_len::<F>(inputs[0])
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut Self::Cache, cx: &Context<'_, F>) {
        let initial = |state: usize| (state + 1 < inputs.len()).then(|| inputs.get(state + 1).data());
        let (direction, x) = (self.direction(), inputs.get(0));
        let states = cache.know_states(&self.cell, x);
        self.run(direction, x, initial, states, outputs[0].data_mut(), cache, cx);
        for (state, output) in outputs[1..].iter_mut().enumerate() {
            output.data_mut().copy_from_slice(cache.last(&self.cell, state));
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut Self::Cache,
        cx: &Context<'_, F>,
    ) {
        let (grad_y, grad_states) = grad_outputs.split_at_mut(1);
        let grad_y = grad_y[0].data_mut();
        let of_states = |state: usize| grad_states.get(state).map(Tensor::data);
        let initial = (1..inputs.len()).any(|i| grad_inputs.wanted(i));
        let (direction, x, states) = (self.direction(), inputs.get(0), cache.states(&self.cell));
        if grad_inputs.wanted(0) {
            grad_inputs.write(0, |mut grad_x| {
                let grad_x = Some(&mut *grad_x);
                self.run_backward(direction, x, grad_y, of_states, states, grads, grad_x, initial, cache, cx);
            });
        } else {
            self.run_backward(direction, x, grad_y, of_states, states, grads, None, initial, cache, cx);
        }
        for i in 1..inputs.len() {
            grad_inputs.write(i, |mut grad| grad.copy_from_slice(cache.grad_initial(&self.cell, i - 1)));
        }
    }

    fn describe(&self) -> Description {
        self.description::<F>()
    }

    fn facts(&self) -> Facts {
        let rule = if self.options.return_sequences { MaskRule::Pass } else { MaskRule::Stop };
        Facts::default().mask(rule)
    }

    fn keeps_state(&self) -> Option<&dyn KeepsState<F, SequenceCache<F, C::Cache, C::Sequence>>> {
        Some(self)
    }
}

impl<F: Scalar, C: RecurrentCell<F>> KeepsState<F, SequenceCache<F, C::Cache, C::Sequence>> for Recurrent<C> {
    fn update_state(
        &self,
        state: &mut Grads<'_, F>,
        cache: &SequenceCache<F, C::Cache, C::Sequence>,
        cx: &Context<'_, F>,
    ) {
        self.keep_states(state, cache, cx);
    }

    fn between_batches(&self) -> bool {
        self.options.stateful
    }
}

/// The options of [`SequenceOptions`] among `options`, and the rest.
pub(super) fn split_options(options: &Config) -> Result<(SequenceOptions, Config)> {
    let known = SequenceOptions::new().to_config();
    let (own, rest): (Config, Config) = options
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .partition(|(name, _)| known.contains_key(name));
    Ok((SequenceOptions::from_config(&own)?, rest))
}

/// A layer that is named after its cell, which has the cell's options.
impl<C: LayerCell> Configured for Recurrent<C> {
    const CLASS: &'static str = C::LAYER;

    fn to_config(&self) -> Config {
        let mut config = self.cell.to_config();
        config.append(&mut self.options.to_config());
        config
    }

    fn from_config(config: &Config) -> Result<Self> {
        let (options, rest) = split_options(config)?;
        let cell = C::from_config(&rest)?;
        Ok(Self { cell, options, whole: Some(C::LAYER) })
    }

    fn has_config(&self) -> bool {
        self.cell.has_config() && self.options.has_config()
    }
}

/// `{"class_name": …, "config": …}` of a layer inside another's configuration.
pub(super) fn layer_object(description: Description) -> Option<Value> {
    let mut options = description.config?;
    options.insert("trainable".into(), description.trainable.into());
    Some(config::object(&description.class, options))
}
