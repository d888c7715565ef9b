//! What a layer is told of the call that it serves.

use std::any::Any;
use std::ops::Range;
use std::sync::OnceLock;

use super::Params;
use crate::ids::{Id, SlotId};
use crate::kernels::aligned::Aligned;
use crate::tensor::volume;
use crate::{Activation, Scalar, Tensor, View, ViewMut};

/// Whether a pass trains or infers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops, BatchNormalization uses the batch's statistics; randomness comes from `seed` and `step`.
    Training {
        /// The seed of all randomness.
        seed: u64,
        /// Which training step it is.
        step: u64,
    },
    /// Every layer does what it does once it is trained.
    Inference,
}

/// A call's circumstances: parameters, mode, which rows of the batch these are, masks, sums over the batch.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, F> {
    /// The layer's parameters.
    pub params: Params<'a, F>,
    /// Training or inference.
    pub mode: Mode,
    /// With [`Coupling`](super::Coupling): the sums over the whole batch.
    pub totals: &'a [F],
    /// True of an output layer that leaves its activation to the loss: `y` is what comes before the activation, and so is
    /// `grad_y` its gradient. See [`Facts::output_activation`](super::Facts::output_activation).
    pub leaves_activation: bool,
    pub(super) shared: NodeShared<'a>,
}

/// The part of a [`Context`] that is the same for every scalar.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeShared<'a> {
    /// A number of the node's own, from its name.
    pub key: u64,
    /// The first row of this shard within the batch.
    pub first_row: usize,
    /// Rows of the whole batch.
    pub batch: usize,
    /// Which shard this is.
    pub shard: usize,
    /// The mask beside the first input.
    pub mask: Option<&'a [bool]>,
    /// Whether the node's backward pass runs.
    pub backward: bool,
    /// Where the layer's parameters stay as they are.
    pub kept: Option<&'a Kept>,
}

/// What a layer does for others that have become [part of it](super::Facts::folds).
#[derive(Clone, Debug, Default)]
pub(crate) struct Folded {
    /// The activation in place of its own.
    pub activation: Option<Activation>,
    /// Cells of zeros around its input, before and behind along each of the three last axes before the channels.
    pub border: [[usize; 2]; 3],
}

/// What goes with a layer whose parameters stay as they are, for all threads.
#[derive(Default, Debug)]
pub(crate) struct Kept {
    folded: Folded,
    /// What it has made of its parameters.
    made: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Kept {
    pub fn of(folded: &Folded) -> Self {
        Self { folded: folded.clone(), made: OnceLock::new() }
    }
}

impl<'a, F: Scalar> Context<'a, F> {
    pub(crate) fn new(params: Params<'a, F>, mode: Mode, shared: NodeShared<'a>, leaves_activation: bool) -> Self {
        Self { params, mode, totals: &[], leaves_activation, shared }
    }

    /// Whether this is a training pass.
    pub fn training(&self) -> bool {
        matches!(self.mode, Mode::Training { .. })
    }

    /// Whether a backward pass may follow, for which the layer has to keep what it needs: not where one only predicts,
    /// nor where nothing before the layer's output is trained. Gradients are asked for outside training too, such as
    /// those of an image with dropout switched off.
    pub fn backward_follows(&self) -> bool {
        self.shared.backward
    }

    /// A key for this layer's random numbers in this step, for the counter-based generator of
    /// [`kernels::random`](crate::kernels::random). With a counter made of row and position it gives the same numbers
    /// however the batch is split. A layer with a seed of its own passes it as `seed`.
    pub fn random_key(&self, seed: Option<u64>) -> u64 {
        let (global, step) = match self.mode {
            Mode::Training { seed, step } => (seed, step),
            Mode::Inference => (0, 0),
        };
        let mixed = crate::random::mix(seed.unwrap_or(global) ^ crate::random::mix(self.shared.key));
        crate::random::mix(mixed ^ step)
    }

    /// For a part of this layer, such as one of several cells: with the parameters that were built
    /// [`within`](super::ParamBuilder::within) `prefix`, and random numbers of its own by its `number`.
    #[must_use]
    pub fn within(mut self, prefix: &str, number: u64) -> Self {
        self.params = self.params.within(prefix);
        if number > 0 {
            self.shared.key = crate::random::mix(self.shared.key ^ number);
        }
        self
    }

    /// The mask (rows, timesteps) beside the first input, true where a step counts.
    pub fn mask(&self) -> Option<&'a [bool]> {
        self.shared.mask
    }

    /// The number of the first row of this shard within the batch.
    pub fn first_row(&self) -> usize {
        self.shared.first_row
    }

    /// How many rows the whole batch has.
    pub fn batch_rows(&self) -> usize {
        self.shared.batch
    }

    /// Which shard of the batch this is.
    pub fn shard(&self) -> usize {
        self.shared.shard
    }

    /// For a layer to which batch and time are one axis; `mask` is one of each timestep.
    pub(crate) fn folded(mut self, steps: usize, mask: Option<&'a [bool]>) -> Self {
        self.shared.first_row *= steps;
        self.shared.batch *= steps;
        self.shared.mask = mask;
        self
    }

    pub(crate) fn with_totals(mut self, totals: &'a [F]) -> Self {
        self.totals = totals;
        self
    }

    /// The activation that the layer ends in: its own, or none where it [leaves it](Self::leaves_activation), or that of a layer
    /// behind it which has become [part of this](super::Facts::folds).
    pub fn activation<'b>(&self, own: &'b Activation) -> &'b Activation
    where
        'a: 'b,
    {
        static LINEAR: Activation = Activation::Linear;
        let instead = self.shared.kept.and_then(|kept| kept.folded.activation.as_ref());
        if self.leaves_activation { &LINEAR } else { instead.unwrap_or(own) }
    }

    /// Cells of zeros around the input, before and behind along each of the three last axes before the channels: those of a padding
    /// layer that has become part of this one ([`Facts::folds_border`](super::Facts::folds_border)).
    pub fn border(&self) -> [[usize; 2]; 3] {
        self.shared.kept.map_or([[0; 2]; 3], |kept| kept.folded.border)
    }

    /// What `make` makes of the parameters, such as a kernel in another order: made once where parameters stay as they are, in a
    /// [`Predictor`](crate::engine::Predictor), for all calls of the layer on all threads. None where they may change from call to
    /// call.
    pub fn keep<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&'a T> {
        self.shared.kept.map(|kept| {
            kept.made.get_or_init(|| Box::new(make())).downcast_ref().expect("a layer keeps values of one type")
        })
    }
}

/// One input of a node, and what is to be done with its gradient.
#[derive(Clone, Debug)]
pub(crate) struct InputSlot {
    /// The output (counted over the graph) that it is.
    pub slot: SlotId,
    /// Whether its gradient holds another consumer's part by the time this node writes it.
    pub adds: bool,
    /// Whether anybody needs the gradient.
    pub wanted: bool,
    /// The output that its mask belongs to.
    pub mask: Option<SlotId>,
}

/// The inputs of a [`MultiLayer`](super::MultiLayer).
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, F> {
    slots: &'a [InputSlot],
    values: Values<'a, F>,
    /// By input, the shapes in which a layer sees them that takes batch and time for one axis.
    folded: Option<&'a [Tensor<F>]>,
    masked: bool,
}

/// The inputs of a model: this shard's rows of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feeds<'a, F> {
    /// The whole batch's, of which the shard takes its rows.
    Batch(&'a [&'a [F]]),
    /// The shard's own, gathered from a data set.
    Own(&'a [Tensor<F>]),
}

impl<'a, F: Scalar> Feeds<'a, F> {
    /// The rows `rows` of input number `i`, each of the shape `row`; none if the model has fewer inputs.
    #[inline]
    fn get(&self, i: usize, rows: &Range<usize>, row: &[usize]) -> Option<&'a [F]> {
        match self {
            Self::Batch(feeds) => feeds.get(i).map(|feed| {
                let len = volume(row);
                &feed[rows.start * len..rows.end * len]
            }),
            Self::Own(feeds) => feeds.get(i).map(Tensor::data),
        }
    }
}

/// All values that have been computed so far, and the rows that were fed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a, F> {
    /// Outputs by number, as far as they have been computed. The first are the model's inputs, which are shapes only.
    pub outputs: &'a [Tensor<F>],
    /// In whose memory an output's values lie: another's, if it is a reshape of it.
    pub memory: &'a [SlotId],
    /// Masks by the output that they belong to.
    pub masks: &'a [Vec<bool>],
    /// The values of the model's inputs.
    pub feeds: Feeds<'a, F>,
    /// The rows of this shard within the batch.
    pub rows: &'a Range<usize>,
}

impl<'a, F: Scalar> Values<'a, F> {
    /// The output number `slot`.
    pub fn view(&self, slot: SlotId) -> View<'a, F> {
        let memory = self.memory[slot];
        let shape = self.outputs[slot].shape();
        let fed = self.feeds.get(memory.number(), self.rows, &shape[1..]);
        View::new(shape, fed.unwrap_or_else(|| self.outputs[memory].data()))
    }
}

impl<'a, F: Scalar> Inputs<'a, F> {
    pub(crate) fn new(slots: &'a [InputSlot], values: Values<'a, F>) -> Self {
        Self { slots, values, folded: None, masked: true }
    }

    /// The same values in other shapes, by input.
    pub(crate) fn folded(self, shapes: &'a [Tensor<F>]) -> Self {
        Self { folded: Some(shapes), ..self }
    }

    /// The same without the masks beside them.
    pub(crate) fn without_masks(self) -> Self {
        Self { masked: false, ..self }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Input number `i`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, i: usize) -> View<'a, F> {
        let view = self.values.view(self.slots[i].slot);
        self.folded.map_or(view, |shapes| View::new(shapes[i].shape(), view.data()))
    }

    /// The mask beside input number `i`.
    ///
    /// # Panics
    /// If there are fewer inputs.
    pub fn mask(&self, i: usize) -> Option<&'a [bool]> {
        self.slots[i].mask.filter(|_| self.masked).map(|owner| self.values.masks[owner].as_slice())
    }
}

/// Where a [`MultiLayer`](super::MultiLayer) writes the gradients of its inputs.
#[derive(Debug)]
pub struct GradInputs<'a, F> {
    slots: &'a [InputSlot],
    /// Gradients of the outputs before this node, by number.
    grads: &'a mut [Tensor<F>],
    shapes: &'a [Tensor<F>],
    memory: &'a [SlotId],
    scratch: &'a mut Aligned<F>,
    /// As of [`Inputs`].
    folded: Option<&'a [Tensor<F>]>,
}

impl<'a, F: Scalar> GradInputs<'a, F> {
    pub(crate) fn new(
        slots: &'a [InputSlot],
        grads: &'a mut [Tensor<F>],
        shapes: &'a [Tensor<F>],
        memory: &'a [SlotId],
        scratch: &'a mut Aligned<F>,
    ) -> Self {
        Self { slots, grads, shapes, memory, scratch, folded: None }
    }

    /// The same gradients in other shapes, by input.
    pub(crate) fn folded<'b>(&'b mut self, shapes: &'b [Tensor<F>]) -> GradInputs<'b, F> {
        GradInputs {
            slots: self.slots,
            grads: self.grads,
            shapes: self.shapes,
            memory: self.memory,
            scratch: self.scratch,
            folded: Some(shapes),
        }
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether anybody needs the gradient of input number `i`.
    ///
    /// # Panics
    /// If there are fewer inputs.
    pub fn wanted(&self, i: usize) -> bool {
        self.slots[i].wanted
    }

    /// Lets `write` fill the gradient of input number `i` (which holds stale values), if anybody needs it.
    ///
    /// # Panics
    /// If there are fewer inputs.
    pub fn write(&mut self, i: usize, write: impl FnOnce(ViewMut<'_, F>)) {
        let slot = &self.slots[i];
        if !slot.wanted {
            return;
        }
        let shape = self.folded.map_or(&self.shapes[slot.slot], |shapes| &shapes[i]).shape();
        let grad = self.grads[self.memory[slot.slot]].data_mut();
        if slot.adds {
            // Paths meet here: what came over the others stays, and this one's part is added.
            let part = self.scratch.room(grad.len());
            write(ViewMut::new(shape, part));
            crate::kernels::elementwise::axpy(F::one(), part, grad);
        } else {
            write(ViewMut::new(shape, grad));
        }
    }
}
