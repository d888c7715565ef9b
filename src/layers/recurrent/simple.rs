//! The simple recurrent layer.

use super::direction::Cell;
use super::{Common, Direction, DirectionCache, recurrent_options};
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::kernels::recurrent::{Cache, Course, GradOutput, GradWeights, Output, Weights, simple};
use crate::layers::ParamBuilder;
use crate::regularizers::Regularizer;
use crate::{Activation, Result, Scalar};

recurrent_options! {
    /// The simple recurrent layer: each step's output is a function of its input and of the output before.
    ///
    /// h = tanh(x·W + h₋·U + b); tanh is `activation`.
    ///
    /// # Shapes
    /// (batch, timesteps, features) → (batch, units); with `return_sequences` (batch, timesteps, units). With
    /// `return_state` one more output (batch, units): the last h. A second input (batch, units) is where the sequences
    /// start; otherwise at zeros.
    ///
    /// Parameters: `kernel` W (features, units), `recurrent_kernel` U (units, units), `bias` b (units).
    ///
    /// A masked timestep carries state and output over.
    /// # Defaults
    /// `activation` tanh, `use_bias` true, kernels Glorot uniform and orthogonal, bias zeros; everything else off.
    /// # Errors
    /// When built: `units` is 0, a dropout is below 0, or 1 and more, the input is not (timesteps, features), an initial
    /// state has another shape, or `stateful` without a fixed batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(RNN::new(8)).add(Dense::new(1)).build()?;
    /// assert_eq!(model.predict(&Array3::<f32>::zeros((2, 10, 4)))?.shape(), [2, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SimpleRNN`; derived in `docs/backward.md`, "Simple recurrent layers".
    pub struct RNN as "SimpleRNN" {}
}

impl<F: Scalar> Cell<F> for RNN {
    fn common(&self) -> Common<'_> {
        self.common_options(None)
    }

    fn states(&self) -> usize {
        1
    }

    fn add_weights(&self, prefix: &str, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()> {
        self.add_blocks(prefix, features, 1, &[self.units], params, |_: &mut [F]| ())
    }

    fn forward(
        &self,
        course: &Course<'_, F>,
        weights: &Weights<'_, F>,
        x: &[F],
        initial: [Option<&[F]>; 2],
        output: Output<'_, F>,
        cache: &mut Cache<F>,
    ) {
        simple::simple(course, weights, x, initial[0], output, cache);
    }

    fn backward(
        &self,
        course: &Course<'_, F>,
        weights: &Weights<'_, F>,
        grad: &GradOutput<'_, F>,
        grads: Option<GradWeights<'_, F>>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut Cache<F>,
    ) {
        simple::simple_backward(course, weights, grad, grads, grad_x, initial, cache);
    }
}
