//! Layers that compute their output where an input lies.

use super::{Context, GradInputs, Inputs};
use crate::{Scalar, View, ViewMut};

/// What a layer does that can write its output over an input, and that input's gradient over its output's.
///
/// A good part of a pass goes into moving values between memory and processor. Where nobody reads an input again, because
/// the layer that it comes from does not
/// ([`backward_reads_output`](super::Facts::backward_reads_output)) and no other layer takes it, input and output share
/// one memory, and these two methods are called for [`Layer::forward`](super::Layer::forward) and
/// [`Layer::backward`](super::Layer::backward). They give the same values and keep nothing but y; a layer with
/// parameters, a cache, or a penalty on its output is none of this kind.
///
/// A layer tells of it with [`Layer::in_place`](super::Layer::in_place).
pub trait InPlace<F: Scalar> {
    /// Whether the output may be written over input number `over` of `inputs`, if it has the output's shape. Default: over
    /// the first.
    fn may_overwrite(&self, over: usize, inputs: usize) -> bool {
        over == 0 && inputs > 0
    }

    /// y ← f(inputs), where `y` holds input number `over`, which `inputs` has no longer.
    fn forward(&self, over: usize, inputs: Inputs<'_, F>, y: ViewMut<'_, F>, cx: &Context<'_, F>);

    /// `grad` ← the gradient of input number `over`, where it holds the output's. Those of the other inputs are written
    /// through `grad_inputs`, before.
    fn backward(
        &self,
        over: usize,
        y: View<'_, F>,
        grad: ViewMut<'_, F>,
        grad_inputs: &mut GradInputs<'_, F>,
        cx: &Context<'_, F>,
    );
}
