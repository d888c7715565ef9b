//! A recurrent layer in both directions of time.

use serde_json::Value;

use super::any_cell::{AnyCell, AnyMemory};
use super::cell::{CellShapes, RecurrentCell};
use super::direction::Direction;
use super::layer::{Recurrent, check_initial_states, layer_object};
use super::sequence::SequenceCache;
use crate::config::{Config, Setting};
use crate::kernels::elementwise::axpy;
use crate::kernels::reorder;
use crate::layers::{
    Context, Description, Facts, GradInputs, Grads, Inputs, KeepsState, MaskRule, MultiLayer, ParamBuilder,
};
use crate::{Error, Result, Scalar, Tensor};

/// How [`Bidirectional`] joins the outputs of its halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeMode {
    /// Side by side.
    Concat,
    /// Added.
    Sum,
    /// Multiplied.
    Mul,
    /// Their mean.
    Ave,
}

const WORDS: [(MergeMode, &str); 4] =
    [(MergeMode::Concat, "concat"), (MergeMode::Sum, "sum"), (MergeMode::Mul, "mul"), (MergeMode::Ave, "ave")];

impl Setting for MergeMode {
    fn to_value(&self) -> Value {
        WORDS.iter().find(|(mode, _)| mode == self).map(|(_, word)| Value::from(*word)).unwrap_or_default()
    }

    fn from_value(value: &Value) -> Result<Self> {
        let mode = WORDS.iter().find(|(_, word)| Some(*word) == value.as_str()).map(|(mode, _)| *mode);
        mode.ok_or_else(|| Error::option("merge_mode", "concat, sum, mul, ave or null", value))
    }
}

/// A recurrent layer and its twin that takes the last timestep first; what both make of a step is joined.
///
/// y = merge(f(x), b(x)), with b's outputs put back in the order of time.
///
/// # Shapes
/// (batch, timesteps, …) → what the layer gives, twice as wide with `concat`; without a merge two outputs.
/// With the layer's `return_state` further outputs: its states, then its twin's. Further inputs are the initial
/// states in the same order.
///
/// Parameters: the layer's, as `forward.kernel` …, and its twin's, as `backward.kernel` ….
///
/// Where the layer returns sequences, outputs are zeros at masked steps.
/// # Defaults
/// `merge_mode` concat; `backward_layer` the layer itself in the other direction, with weights of its own.
/// # Errors
/// When built: as the layer; or if both layers go in one direction, or differ in `return_sequences`, `return_state`
/// or `stateful`, or are merged and differ in the shape of
/// their outputs (with `concat`, but for the last axis).
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([10, 4]).add(Bidirectional::new(LSTM::new(8))).build()?;
/// assert_eq!(model.output_shape(0), [16]);
/// let both = Bidirectional::new(LSTM::new(8)).backward_layer(GRU::new(3).go_backwards(true));
/// assert_eq!(Sequential::new().input([10, 4]).add(both).build()?.output_shape(0), [11]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `Bidirectional`; Schuster and Paliwal, *Bidirectional recurrent neural networks*, 1997.
#[derive(Clone, Debug)]
pub struct Bidirectional {
    pub(super) layer: Recurrent<AnyCell>,
    pub(super) backward_layer: Option<Recurrent<AnyCell>>,
    pub(super) merge_mode: Option<MergeMode>,
    pub(super) name: Option<String>,
    pub(super) trainable: bool,
}

impl Bidirectional {
    /// Of a recurrent layer of any kind, which goes forward.
    pub fn new<C: RecurrentCell<f32> + RecurrentCell<f64> + 'static>(layer: Recurrent<C>) -> Self {
        let (layer, merge_mode) = (layer.erased(), Some(MergeMode::Concat));
        Self { layer, backward_layer: None, merge_mode, name: None, trainable: true }
    }

    /// The layer's name within its model. Default: `bidirectional`, numbered where it repeats.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether training changes the parameters of both layers. Default: true.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// How outputs are joined; none gives both. Default: concat.
    pub fn merge_mode(mut self, mode: impl Into<Option<MergeMode>>) -> Self {
        self.merge_mode = mode.into();
        self
    }

    /// The layer that goes backward. Default: the layer's twin.
    pub fn backward_layer<C: RecurrentCell<f32> + RecurrentCell<f64> + 'static>(mut self, layer: Recurrent<C>) -> Self {
        self.backward_layer = Some(layer.erased());
        self
    }
}

/// The memory of both halves.
#[derive(Debug, Default)]
pub struct BidirectionalCache<F> {
    halves: [SequenceCache<F, AnyMemory, AnyMemory>; 2],
    y: [Vec<F>; 2],
    grad_y: [Vec<F>; 2],
    grad_x: Vec<F>,
}

/// Puts the timesteps of each row in the other order, in place.
fn flip<F>(values: &mut [F], steps: usize, units: usize) {
    for row in values.chunks_exact_mut(steps * units) {
        for t in 0..steps / 2 {
            let (left, right) = row.split_at_mut((steps - 1 - t) * units);
            left[t * units..][..units].swap_with_slice(&mut right[..units]);
        }
    }
}

/// What the names of each half's parameters begin with.
const PREFIXES: [&str; 2] = ["forward.", "backward."];

/// One of the two layers, and the way that it goes.
#[derive(Clone, Copy)]
struct Half<'a> {
    layer: &'a Recurrent<AnyCell>,
    direction: Direction,
}

impl Bidirectional {
    fn halves(&self) -> [Half<'_>; 2] {
        let twin = self.backward_layer.as_ref().unwrap_or(&self.layer);
        let forward = self.layer.options.go_backwards;
        let backwards = [forward, self.backward_layer.as_ref().map_or(!forward, |layer| layer.options.go_backwards)];
        let sequences = self.layer.options.return_sequences;
        let half = |layer, backwards| {
            let direction = Direction { backwards, sequences, zero_masked: sequences };
            Half { layer, direction }
        };
        [half(&self.layer, backwards[0]), half(twin, backwards[1])]
    }

    /// Refuses layers that do not go together.
    fn check(&self, [of, to]: [Half<'_>; 2], [first, second]: [&CellShapes; 2]) -> Result<()> {
        if of.direction.backwards == to.direction.backwards {
            return Err(Error::option("backward_layer", "a layer of the other direction", "one of the same"));
        }
        let (of, to) = (&of.layer.options, &to.layer.options);
        let alike = [
            ("return_sequences", of.return_sequences == to.return_sequences),
            ("return_state", of.return_state == to.return_state),
            ("stateful", of.stateful == to.stateful),
        ];
        if let Some((option, _)) = alike.iter().find(|(_, alike)| !alike) {
            return Err(Error::option("backward_layer", format!("of the same `{option}`"), "another"));
        }
        let (one, other) = (first.output_shape(), second.output_shape());
        let fits = match self.merge_mode {
            None => true,
            Some(MergeMode::Concat) => {
                let before_last = |shape: &[usize]| shape.split_last().map(|(_, before)| before.to_vec());
                before_last(one).is_some() && before_last(one) == before_last(other)
            }
            Some(_) => one == other,
        };
        if fits {
            Ok(())
        } else {
            let show = crate::error::show;
            Err(Error::option("backward_layer", format!("of outputs {}", show(one)), show(other)))
        }
    }
}

impl<F: Scalar> MultiLayer<F> for Bidirectional {
    type Cache = BidirectionalCache<F>;

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let halves = self.halves();
        let [forward, backward] = [halves[0].layer.shapes::<F>(inputs[0])?, halves[1].layer.shapes::<F>(inputs[0])?];
        self.check(halves, [&forward, &backward])?;
        check_initial_states(inputs, &[forward.states(), backward.states()].concat())?;
        for ((half, shapes), prefix) in halves.iter().zip([&forward, &backward]).zip(PREFIXES) {
            half.layer.build_cell(shapes, inputs[0], &mut params.within(prefix))?;
        }
        let mut shapes = halves[0].layer.output_shapes(&forward, inputs[0]);
        let mut more = halves[1].layer.output_shapes(&backward, inputs[0]);
        let other = more.remove(0);
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                let both = shapes[0].last().copied().unwrap_or(0) + other.last().copied().unwrap_or(0);
                shapes[0].pop();
                shapes[0].push(both);
            }
            Some(_) => (),
            None => shapes.insert(1, other),
        }
        shapes.extend(more);
        Ok(shapes)
    }

    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        self.halves().iter().map(|half| half.layer.steps_len::<F>(inputs[0])).fold(0, usize::saturating_add)
    }

    fn forward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &mut [Tensor<F>],
        cache: &mut BidirectionalCache<F>,
        cx: &Context<'_, F>,
    ) {
        let halves = self.halves();
        let x = inputs.get(0);
        let (rows, steps) = (x.rows(), x.shape()[1]);
        let sequence = halves[0].direction.sequences;
        let mut input = 1;
        for (i, half) in halves.iter().enumerate() {
            let (memory, y) = (&mut cache.halves[i], &mut cache.y[i]);
            let cell = &half.layer.cell;
            let states = memory.know_states(cell, x);
            let first = input;
            let initial = |s: usize| (first + s < inputs.len()).then(|| inputs.get(first + s).data());
            input += states;
            let len = memory.output(cell).len;
            y.resize(rows * len * if sequence { steps } else { 1 }, F::zero());
            let cx = cx.within(PREFIXES[i], i as u64);
            half.layer.run(half.direction, x, initial, states, y, memory, &cx);
            // The half that took the last step first, as Keras flips whatever its second layer is.
            if sequence && i == 1 {
                flip(y, steps, len);
            }
        }
        let [y, other] = &cache.y;
        let out = outputs[0].data_mut();
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                let [a, b] = [0, 1].map(|i| cache.halves[i].output(&halves[i].layer.cell).last_axis);
                reorder::place(y, a, a + b, 0, out);
                reorder::place(other, b, a + b, a, out);
            }
            Some(MergeMode::Mul) => out.iter_mut().zip(y).zip(other).for_each(|((out, &a), &b)| *out = a * b),
            Some(mode) => {
                let scale = if mode == MergeMode::Ave { F::of(0.5) } else { F::one() };
                out.iter_mut().zip(y).zip(other).for_each(|((out, &a), &b)| *out = scale * (a + b));
            }
            None => {
                out.copy_from_slice(y);
                outputs[1].data_mut().copy_from_slice(other);
            }
        }
        let mut output = if self.merge_mode.is_none() { 2 } else { 1 };
        for (half, memory) in halves.iter().zip(&cache.halves).filter(|(half, _)| half.layer.options.return_state) {
            for state in 0..memory.states(&half.layer.cell) {
                outputs[output].data_mut().copy_from_slice(memory.last(&half.layer.cell, state));
                output += 1;
            }
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut BidirectionalCache<F>,
        cx: &Context<'_, F>,
    ) {
        let halves = self.halves();
        let x = inputs.get(0);
        let steps = x.shape()[1];
        let BidirectionalCache { halves: memories, y, grad_y, grad_x: part } = cache;
        let [a, b] = [0, 1].map(|i| memories[i].output(&halves[i].layer.cell));
        for (grad_y, y) in grad_y.iter_mut().zip(&*y) {
            grad_y.resize(y.len(), F::zero());
        }
        let [first, second] = grad_y;
        let grad = grad_outputs[0].data();
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                let width = a.last_axis + b.last_axis;
                reorder::place_backward(grad, a.last_axis, width, 0, first);
                reorder::place_backward(grad, b.last_axis, width, a.last_axis, second);
            }
            Some(MergeMode::Mul) => {
                first.iter_mut().zip(&y[1]).zip(grad).for_each(|((to, &y), &g)| *to = g * y);
                second.iter_mut().zip(&y[0]).zip(grad).for_each(|((to, &y), &g)| *to = g * y);
            }
            Some(mode) => {
                let scale = if mode == MergeMode::Ave { F::of(0.5) } else { F::one() };
                first.iter_mut().zip(second.iter_mut()).zip(grad).for_each(|((a, b), &g)| {
                    (*a, *b) = (scale * g, scale * g);
                });
            }
            None => {
                first.copy_from_slice(grad);
                second.copy_from_slice(grad_outputs[1].data());
            }
        }
        if halves[0].direction.sequences {
            flip(second, steps, b.len);
        }
        let mut output = if self.merge_mode.is_none() { 2 } else { 1 };
        let mut input = 1;
        for (i, (half, grad_y)) in halves.iter().zip([first, second]).enumerate() {
            let memory = &mut memories[i];
            let cell = &half.layer.cell;
            let states = memory.states(cell);
            let (from, gives) = (output, half.layer.options.return_state);
            let of_states = |state: usize| gives.then(|| grad_outputs[from + state].data());
            output += if gives { states } else { 0 };
            let given = if inputs.len() > 1 { input..input + states } else { 0..0 };
            let initial = given.clone().any(|i| grad_inputs.wanted(i));
            let into = grad_inputs.wanted(0).then(|| {
                part.resize(2 * x.len(), F::zero());
                &mut part[i * x.len()..][..x.len()]
            });
            let mut grads = grads.within(PREFIXES[i]);
            let cx = cx.within(PREFIXES[i], i as u64);
            half.layer.run_backward(
                half.direction,
                x,
                grad_y,
                of_states,
                states,
                &mut grads,
                into,
                initial,
                memory,
                &cx,
            );
            for (state, i_given) in given.enumerate() {
                grad_inputs.write(i_given, |mut grad| grad.copy_from_slice(memory.grad_initial(cell, state)));
            }
            input += states;
        }
        grad_inputs.write(0, |mut grad_x| {
            grad_x.copy_from_slice(&part[..x.len()]);
            axpy(F::one(), &part[x.len()..2 * x.len()], &mut grad_x);
        });
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        description.name.clone_from(&self.name);
        description.trainable = self.trainable;
        let half = |layer: &Recurrent<AnyCell>| layer_object(layer.description::<F>());
        let backward = self.backward_layer.as_ref().map(half);
        description.config = half(&self.layer).filter(|_| backward != Some(None)).map(|layer| {
            Config::from_iter([
                ("layer".to_owned(), layer),
                ("backward_layer".to_owned(), backward.flatten().unwrap_or(Value::Null)),
                ("merge_mode".to_owned(), self.merge_mode.to_value()),
            ])
        });
        description
    }

    fn facts(&self) -> Facts {
        let rule = if self.layer.options.return_sequences { MaskRule::Pass } else { MaskRule::Stop };
        Facts::default().mask(rule).masked_outputs(if self.merge_mode.is_none() { 2 } else { 1 })
    }

    fn keeps_state(&self) -> Option<&dyn KeepsState<F, BidirectionalCache<F>>> {
        Some(self)
    }
}

impl<F: Scalar> KeepsState<F, BidirectionalCache<F>> for Bidirectional {
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &BidirectionalCache<F>, cx: &Context<'_, F>) {
        for (i, (half, memory)) in self.halves().iter().zip(&cache.halves).enumerate() {
            half.layer.keep_states(&mut state.within(PREFIXES[i]), memory, &cx.within(PREFIXES[i], i as u64));
        }
    }

    fn between_batches(&self) -> bool {
        self.layer.options.stateful
    }
}
