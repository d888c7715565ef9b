//! A recurrent layer in both directions of time.

use serde_json::Value;

use super::direction::{Cell, Direction, DirectionCache};
use super::{GRU, LSTM, RNN, check_initial_states, output_shapes};
use crate::config::{self, Configured, Setting, layer_options};
use crate::kernels::elementwise::axpy;
use crate::kernels::reorder;
use crate::layers::{
    Context, Description, Facts, GradInputs, Grads, Inputs, KeepsState, MaskRule, MultiLayer, ParamBuilder,
};
use crate::{Error, Result, Scalar, Tensor};

/// A recurrent layer of any kind, for [`Bidirectional`].
#[derive(Clone, Debug)]
pub enum Recurrent {
    /// Of the simple kind.
    RNN(RNN),
    /// Long short-term memory.
    LSTM(LSTM),
    /// Of gated units.
    GRU(GRU),
}

macro_rules! each_kind {
    ($self:expr, $layer:ident => $value:expr) => {
        match $self {
            Recurrent::RNN($layer) => $value,
            Recurrent::LSTM($layer) => $value,
            Recurrent::GRU($layer) => $value,
        }
    };
}

macro_rules! from_kind {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Recurrent {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        }
    )*};
}
from_kind!(RNN LSTM GRU);

impl Recurrent {
    fn cell<F: Scalar>(&self) -> &dyn Cell<F> {
        each_kind!(self, layer => layer)
    }

    fn goes_backwards(&self) -> bool {
        each_kind!(self, layer => layer.go_backwards)
    }
}

impl Setting for Recurrent {
    fn to_value(&self) -> Value {
        each_kind!(self, layer => config::object(class_of(layer), layer.to_config()))
    }

    fn from_value(value: &Value) -> Result<Self> {
        let (class, mut options) = config::class_and_config(value)?;
        // A name within the pair says nothing: paths go by the pair's.
        options.remove("name");
        match class.as_str() {
            "SimpleRNN" | "RNN" => RNN::from_config(&options).map(Self::RNN),
            "LSTM" => LSTM::from_config(&options).map(Self::LSTM),
            "GRU" => GRU::from_config(&options).map(Self::GRU),
            _ => Err(Error::unknown("recurrent layer", class, ["SimpleRNN", "LSTM", "GRU"])),
        }
    }

    fn has_words(&self) -> bool {
        each_kind!(self, layer => Configured::has_words(layer))
    }
}

fn class_of<T: Configured>(_: &T) -> &'static str {
    T::CLASS
}

/// How [`Bidirectional`] joins the outputs of its halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

layer_options! {
    /// A recurrent layer and its twin that takes the last timestep first; what both make of a step is joined.
    ///
    /// y = merge(f(x), b(x)), with b's outputs put back in the order of time.
    ///
    /// # Shapes
    /// (batch, timesteps, features) → what the layer gives, twice as wide with `concat`; without a merge two outputs.
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
    /// or `stateful`, or are merged and differ in `units`.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(Bidirectional::new(LSTM::new(8))).build()?;
    /// assert_eq!(model.output_shape(0), [16]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Bidirectional`; Schuster and Paliwal, *Bidirectional recurrent neural networks*, 1997.
    pub struct Bidirectional(
        /// The layer, which goes forward.
        layer: Recurrent => impl Into<Recurrent>,
    ) {
        /// How outputs are joined; none gives both. Default: concat.
        merge_mode: Option<MergeMode> = Some(MergeMode::Concat) => |mode: impl Into<Option<MergeMode>>| mode.into(),
        /// The layer that goes backward. Default: the layer's twin.
        backward_layer: Option<Recurrent> = None => |layer: impl Into<Recurrent>| Some(layer.into()),
    }
}

/// The memory of both halves.
#[derive(Debug, Default)]
pub struct BidirectionalCache<F> {
    halves: [DirectionCache<F>; 2],
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

impl Bidirectional {
    fn directions<F: Scalar>(&self) -> [Direction<'_, F>; 2] {
        let twin = self.backward_layer.as_ref().unwrap_or(&self.layer);
        let forward = self.layer.goes_backwards();
        let backwards = [forward, self.backward_layer.as_ref().map_or(!forward, Recurrent::goes_backwards)];
        let cells = [self.layer.cell::<F>(), twin.cell::<F>()];
        let zero_masked = cells[0].common().return_sequences;
        let direction =
            |i: usize| Direction { cell: cells[i], first: 0, backwards: backwards[i], zero_masked, salt: i as u64 };
        let mut directions = [direction(0), direction(1)];
        directions[1].first = directions[0].params();
        directions
    }
}

impl<F: Scalar> MultiLayer<F> for Bidirectional {
    type Cache = BidirectionalCache<F>;

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let [forward, backward] = self.directions::<F>();
        let (of, to) = (forward.cell.common(), backward.cell.common());
        if forward.backwards == backward.backwards {
            return Err(Error::option("backward_layer", "a layer of the other direction", "one of the same"));
        }
        let alike = [
            ("return_sequences", of.return_sequences == to.return_sequences),
            ("return_state", of.return_state == to.return_state),
            ("stateful", of.stateful == to.stateful),
            ("units", of.units == to.units || self.merge_mode.is_none_or(|mode| mode == MergeMode::Concat)),
        ];
        if let Some((option, _)) = alike.iter().find(|(_, alike)| !alike) {
            return Err(Error::option("backward_layer", format!("of the same `{option}`"), "another"));
        }
        let (first, second) = (forward.cell.states(), backward.cell.states());
        if inputs.len() > 1 && inputs.len() == 1 + first + second {
            let (sequences, states) = (&inputs[..1], inputs[1..].split_at(first));
            check_initial_states(&[sequences, states.0].concat(), of.units, first)?;
            check_initial_states(&[sequences, states.1].concat(), to.units, second)?;
        } else {
            check_initial_states(inputs, of.units, if inputs.len() > 1 { first + second } else { 0 })?;
        }
        forward.build("forward.", inputs[0], params)?;
        backward.build("backward.", inputs[0], params)?;
        let mut shapes = output_shapes(&of, first, inputs[0]);
        let mut more = output_shapes(&to, second, inputs[0]);
        let other = more.remove(0);
        match self.merge_mode {
            Some(MergeMode::Concat) => *shapes[0].last_mut().expect("units") += to.units,
            Some(_) => (),
            None => shapes.insert(1, other),
        }
        shapes.extend(more);
        Ok(shapes)
    }

    fn forward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &mut [Tensor<F>],
        cache: &mut BidirectionalCache<F>,
        cx: &Context<'_, F>,
    ) {
        let directions = self.directions::<F>();
        let x = inputs.get(0);
        let (rows, steps) = (x.rows(), x.shape()[1]);
        let sequence = directions[0].cell.common().return_sequences;
        let mut input = 1;
        for (i, direction) in directions.iter().enumerate() {
            let states = direction.cell.states();
            let initial =
                [0, 1].map(|s| (s < states && input + s < inputs.len()).then(|| inputs.get(input + s).data()));
            input += states;
            let units = direction.cell.common().units;
            let y = &mut cache.y[i];
            y.resize(rows * units * if sequence { steps } else { 1 }, F::zero());
            direction.forward(x, initial, y, &mut cache.halves[i], cx);
            // The half that took the last step first, as Keras flips whatever its second layer is.
            if sequence && i == 1 {
                flip(y, steps, units);
            }
        }
        let [y, other] = &cache.y;
        let out = outputs[0].data_mut();
        let widths = directions.each_ref().map(|direction| direction.cell.common().units);
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                reorder::place(y, widths[0], widths[0] + widths[1], 0, out);
                reorder::place(other, widths[1], widths[0] + widths[1], widths[0], out);
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
        for (i, direction) in directions.iter().enumerate().filter(|(_, of)| of.cell.common().return_state) {
            for state in 0..direction.cell.states() {
                outputs[output].data_mut().copy_from_slice(direction.last(state, &cache.halves[i]));
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
        let directions = self.directions::<F>();
        let x = inputs.get(0);
        let steps = x.shape()[1];
        let widths = directions.each_ref().map(|direction| direction.cell.common().units);
        let sequence = directions[0].cell.common().return_sequences;
        let BidirectionalCache { halves, y, grad_y, grad_x: part } = cache;
        for (grad_y, y) in grad_y.iter_mut().zip(&*y) {
            grad_y.resize(y.len(), F::zero());
        }
        let [first, second] = grad_y;
        let grad = grad_outputs[0].data();
        match self.merge_mode {
            Some(MergeMode::Concat) => {
                reorder::place_backward(grad, widths[0], widths[0] + widths[1], 0, first);
                reorder::place_backward(grad, widths[1], widths[0] + widths[1], widths[0], second);
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
        if sequence {
            flip(second, steps, widths[1]);
        }
        let mut output = if self.merge_mode.is_none() { 2 } else { 1 };
        let mut input = 1;
        for (i, (direction, grad_y)) in directions.iter().zip([first, second]).enumerate() {
            let states = direction.cell.states();
            let mut of_states = [None; 2];
            if direction.cell.common().return_state {
                for of_state in of_states.iter_mut().take(states) {
                    *of_state = Some(grad_outputs[output].data());
                    output += 1;
                }
            }
            let given = if inputs.len() > 1 { input..input + states } else { 0..0 };
            let initial = given.clone().any(|i| grad_inputs.wanted(i));
            let into = grad_inputs.wanted(0).then(|| {
                part.resize(2 * x.len(), F::zero());
                &mut part[i * x.len()..][..x.len()]
            });
            direction.backward(grad_y, of_states, grads, into, initial, &mut halves[i], cx);
            for (state, i_given) in given.enumerate() {
                grad_inputs.write(i_given, |mut grad| {
                    grad.copy_from_slice(direction.grad_initial(state, &halves[i]));
                });
            }
            input += states;
        }
        grad_inputs.write(0, |mut grad_x| {
            grad_x.copy_from_slice(&part[..x.len()]);
            axpy(F::one(), &part[x.len()..2 * x.len()], &mut grad_x);
        });
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        let sequences = each_kind!(&self.layer, layer => layer.return_sequences);
        let rule = if sequences { MaskRule::Pass } else { MaskRule::Stop };
        Facts::default().mask(rule).masked_outputs(if self.merge_mode.is_none() { 2 } else { 1 })
    }

    fn keeps_state(&self) -> Option<&dyn KeepsState<F, BidirectionalCache<F>>> {
        Some(self)
    }
}

impl<F: Scalar> KeepsState<F, BidirectionalCache<F>> for Bidirectional {
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &BidirectionalCache<F>, cx: &Context<'_, F>) {
        for (direction, half) in self.directions::<F>().iter().zip(&cache.halves) {
            direction.update_state(state, half, cx);
        }
    }

    fn between_batches(&self) -> bool {
        each_kind!(&self.layer, layer => layer.stateful)
    }
}
