//! The simple recurrent layer.

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::layer::{LayerCell, Recurrent};
use super::options::{CellOptions, cell_options, unit_cell};
use super::unit_steps;
use super::units::{UnitCell, UnitSequences};
use crate::initializers::Initializer;
use crate::kernels::recurrent::{Cache, GradOutput, GradWeights, Output, SequencePass, Weights, simple};
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Activation, Result, Scalar, View, ViewMut};

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
pub type RNN = Recurrent<SimpleRNNCell>;

cell_options! {
    /// The cell of the simple recurrent layer [`RNN`]: h = tanh(x·W + h₋·U + b). For [`RNN::of`](super::RNN::of) and [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, features); one state (units), which is the output. Parameters: as [`RNN`].
    /// # Defaults
    /// `activation` tanh, `use_bias` true, kernels Glorot uniform and orthogonal, bias zeros; everything else off.
    /// # Errors
    /// As [`RNN`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(RNN::of(SimpleRNNCell::new(8))).build()?;
    /// assert_eq!(model.output_shape(0), [8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SimpleRNNCell`; derived in `docs/backward.md`.
    pub struct SimpleRNNCell(
        /// How many values a state has, and an output.
        units: usize,
    ) {
    }
}

impl Recurrent<SimpleRNNCell> {
    /// A recurrent layer with this cell.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let layer = RNN::of(LSTMCell::new(8)).return_state(true); // LSTM::new(8).return_state(true)
    /// ```
    pub fn of<C>(cell: C) -> Recurrent<C> {
        Recurrent::around(cell)
    }
}

impl LayerCell for SimpleRNNCell {
    const LAYER: &'static str = "SimpleRNN";
}

unit_cell!(SimpleRNNCell);

impl<F: Scalar> UnitCell<F> for SimpleRNNCell {
    fn units(&self) -> usize {
        self.units
    }

    fn options(&self) -> CellOptions<'_> {
        self.shared_options(None)
    }

    fn states(&self) -> usize {
        1
    }

    fn add_weights(&self, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let units = self.units;
        let shapes: [&[usize]; 3] = [&[features, units], &[units, units], &[units]];
        UnitCell::<F>::options(self).add_weights(shapes, params, |_: &mut [F]| ())
    }

    fn forward(
        &self,
        pass: &SequencePass<'_, F>,
        weights: &Weights<'_, F>,
        x: &[F],
        initial: [Option<&[F]>; 2],
        output: Output<'_, F>,
        cache: &mut Cache<F>,
    ) {
        simple::simple(pass, weights, x, initial[0], output, cache);
    }

    fn backward(
        &self,
        pass: &SequencePass<'_, F>,
        weights: &Weights<'_, F>,
        grad: &GradOutput<'_, F>,
        grads: Option<GradWeights<'_, F>>,
        grad_x: Option<&mut [F]>,
        initial: bool,
        cache: &mut Cache<F>,
    ) {
        simple::simple_backward(pass, weights, grad, grads, grad_x, initial, cache);
    }
}
