//! What not every layer can do: each ability is a trait of its own, which a layer hands out if it has it.

use super::{BadValue, Context, Coupling, Grads, Inputs, MaskRule, Params};
use crate::{Activation, Scalar, Tensor};

/// Constant answers about a layer.
///
/// ```
/// use gradus::layers::{Facts, MaskRule};
/// let facts = Facts::default().mask(MaskRule::Stop).backward_reads_output(false);
/// assert!(!facts.is_reshape);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // answers to questions that have nothing to do with one another
pub struct Facts {
    /// The output is the input in another shape: then no value moves, and neither pass is ever called. Default: false.
    pub is_reshape: bool,
    /// The layer does nothing outside training, and the executor may pass over it there. Default: false.
    pub only_in_training: bool,
    /// `backward` reads the output that it is given. Where it does not, the next layer may compute in the output's place.
    /// Default: true.
    pub backward_ignores_output: bool,
    /// What becomes of the masks beside the inputs. Default: the output has the first input's mask.
    pub mask: MaskRule,
    /// How many outputs there are, beside the first, to which `mask` applies; those after them have none. Default: 0.
    pub more_masked: usize,
    /// The activation that is the last thing the layer does. Where it ends a model, a loss may take what comes before it: then
    /// [`Context::leaves_activation`] is true, and the layer leaves it out, forward and backward
    /// ([`Context::activation`] says which to apply). Default: none.
    pub output_activation: Option<Activation>,
    /// The layer is its [output activation](Self::output_activation) and nothing else. Default: false.
    pub only_activation: bool,
    /// A [rescaling](RescalesChannels) of the output's channels and an activation behind the layer may become part of it in a
    /// network that only predicts. The layer promises that parameter 0 is its kernel, whose last axes are the output's channels;
    /// that parameter 1, where there is one, is the bias, which `forward` adds whenever it is there; and that the output is linear in
    /// both but for [`Context::activation`]. Default: false.
    pub folds: bool,
    /// Cells of zeros that a layer in front puts around its input may become part of the layer in a network that only predicts:
    /// `forward` reads its input without them, and minds [`Context::border`]. Default: false.
    pub folds_border: bool,
    /// The layer puts so many cells of zeros around its input, before and behind along each of the three last axes before the
    /// channels, and does nothing else. Default: none.
    pub only_border: Option<[[usize; 2]; 3]>,
}

impl Facts {
    /// Of a layer whose output is its input in another shape.
    #[must_use]
    pub fn reshape(mut self) -> Self {
        self.is_reshape = true;
        self
    }

    /// Of a layer that does nothing outside training.
    #[must_use]
    pub fn only_in_training(mut self) -> Self {
        self.only_in_training = true;
        self
    }

    /// Says whether `backward` reads the output.
    #[must_use]
    pub fn backward_reads_output(mut self, reads: bool) -> Self {
        self.backward_ignores_output = !reads;
        self
    }

    /// Says what becomes of the inputs' masks.
    #[must_use]
    pub fn mask(mut self, rule: MaskRule) -> Self {
        self.mask = rule;
        self
    }

    /// Of a layer that takes what rescales its output into itself.
    #[must_use]
    pub fn folds(mut self) -> Self {
        self.folds = true;
        self
    }

    /// Of a layer that minds zeros around its input which are not there.
    #[must_use]
    pub fn folds_border(mut self) -> Self {
        self.folds_border = true;
        self
    }

    /// Of a layer that puts zeros around its input and does nothing else.
    #[must_use]
    pub fn only_border(mut self, border: [[usize; 2]; 3]) -> Self {
        self.only_border = Some(border);
        self
    }

    /// Of a layer that is an activation and nothing else.
    #[must_use]
    pub fn only_activation(mut self, activation: &Activation) -> Self {
        self.only_activation = true;
        self.output_activation(activation)
    }

    /// Says to how many of the outputs [`mask`](Self::mask) applies, of which there is one at least.
    #[must_use]
    pub fn masked_outputs(mut self, outputs: usize) -> Self {
        self.more_masked = outputs.saturating_sub(1);
        self
    }

    /// Says in which activation the output ends, whose derivative is computed from the output.
    #[must_use]
    pub fn output_activation(mut self, activation: &Activation) -> Self {
        self.backward_ignores_output = matches!(activation, Activation::Linear);
        self.output_activation = Some(activation.clone());
        self
    }
}

/// Refuses values that a layer cannot work with, such as token ids that are no whole numbers.
pub trait ChecksValues<F: Scalar> {
    /// Asked before each forward pass, which runs all the same and must not panic; what comes of it is thrown away.
    ///
    /// # Errors
    /// The first row that does not fit, and why.
    fn check_values(&self, inputs: Inputs<'_, F>) -> Result<(), BadValue>;
}

/// Makes the mask beside the (first) output, where [`Facts::mask`] says that the layer makes one.
pub trait MakesMask<F: Scalar> {
    /// Fills `mask`, one value a timestep of the output, true where the step counts.
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]);
}

/// Couples the samples of a batch in training, through sums over the whole of it.
///
/// The shards of a batch meet at such a layer: each hands in its part of the sums, they are joined, and each goes on.
pub trait CouplesSamples<F: Scalar, C> {
    /// How many sums are exchanged, for inputs of these shapes (without the batch axis).
    fn sums(&self, inputs: &[&[usize]]) -> Coupling;

    /// One shard's part of the sums that the forward pass finds in [`Context::totals`]; `sums` holds zeros.
    fn forward_sums(&self, inputs: Inputs<'_, F>, sums: &mut [F], cx: &Context<'_, F>);

    /// One shard's part of the sums that the backward pass finds in [`Context::totals`]; `sums` holds zeros.
    #[allow(clippy::too_many_arguments)]
    fn backward_sums(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &[Tensor<F>],
        sums: &mut [F],
        cache: &mut C,
        cx: &Context<'_, F>,
    );

    /// Joins the sums of the forward pass: `left` ← `left` and `right`. By default they add up.
    fn join_forward(&self, left: &mut [F], right: &[F]) {
        add_up(left, right);
    }

    /// Joins the sums of the backward pass. By default they add up.
    fn join_backward(&self, left: &mut [F], right: &[F]) {
        add_up(left, right);
    }
}

fn add_up<F: Scalar>(left: &mut [F], right: &[F]) {
    left.iter_mut().zip(right).for_each(|(left, &right)| *left += right);
}

/// Outside training multiplies each channel by a number and adds another.
pub trait RescalesChannels<F: Scalar> {
    /// Both numbers of each channel of the last axis; none where the channels are another axis.
    fn scale_and_shift(&self, params: &Params<'_, F>) -> Option<(Vec<F>, Vec<F>)>;
}

/// Has state that is not learned but saved with the parameters: moving statistics, the states of stateful recurrent layers.
pub trait KeepsState<F: Scalar, C> {
    /// Writes it once a training step, after the backward pass: called for each shard's cache, in shard order.
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &C, cx: &Context<'_, F>);

    /// Whether it is written after passes outside training too, since it goes from batch to batch. Default: false.
    fn between_batches(&self) -> bool {
        false
    }
}
