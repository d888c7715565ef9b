//! Long short-term memory.

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::layer::{LayerCell, Recurrent};
use super::options::{CellOptions, cell_options, unit_cell};
use super::unit_steps;
use super::units::{UnitCell, UnitSequences};
use crate::initializers::Initializer;
use crate::kernels::recurrent::{Cache, GradOutput, GradWeights, Output, SequencePass, Weights, lstm};
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Activation, Result, Scalar, View, ViewMut};

/// Long short-term memory: a recurrent layer whose carry c changes only by what its gates let through, so that
/// gradients reach far back.
///
/// With z = x·W + h₋·U + b in blocks i, f, c, o: i = σ(z_i), f = σ(z_f), o = σ(z_o), c = f·c₋ + i·tanh(z_c),
/// h = o·tanh(c). σ is `recurrent_activation`, tanh `activation`.
///
/// # Shapes
/// (batch, timesteps, features) → (batch, units); with `return_sequences` (batch, timesteps, units). With
/// `return_state` two more outputs (batch, units): the last h and c. Two further inputs (batch, units), h and c, are
/// where the sequences start; otherwise at zeros.
///
/// Parameters: `kernel` W (features, 4·units), `recurrent_kernel` U (units, 4·units), `bias` b (4·units).
///
/// A masked timestep carries state and output over.
/// # Defaults
/// `activation` tanh, `recurrent_activation` sigmoid, `unit_forget_bias` true (the bias of f starts at 1), `use_bias`
/// true, kernels Glorot uniform and orthogonal, bias zeros; everything else off.
/// # Errors
/// When built: `units` is 0, a dropout is below 0, or 1 and more, the input is not (timesteps, features), initial
/// states have other shapes, or `stateful` without a fixed batch size.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([10, 4]).add(LSTM::new(8)).add(Dense::new(1)).build()?;
/// assert_eq!(model.predict(&Array3::<f32>::zeros((2, 10, 4)))?.shape(), [2, 1]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `LSTM`; Hochreiter and Schmidhuber, *Long short-term memory*, 1997; derived in `docs/backward.md`, "LSTM".
pub type LSTM = Recurrent<LSTMCell>;

cell_options! {
    /// The cell of [`LSTM`], which has its formulas. For [`RNN::of`](super::RNN::of) and [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, features); two states (units), h, which is the output, and c. Parameters: as [`LSTM`].
    /// # Defaults
    /// `activation` tanh, `recurrent_activation` sigmoid, `unit_forget_bias` true (the bias of f starts at 1), `use_bias`
    /// true, kernels Glorot uniform and orthogonal, bias zeros; everything else off.
    /// # Errors
    /// As [`LSTM`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(RNN::of(LSTMCell::new(8))).build()?;
    /// assert_eq!(model.output_shape(0), [8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `LSTMCell`; derived in `docs/backward.md`.
    pub struct LSTMCell(
        /// How many values a state has, and an output.
        units: usize,
    ) {
        /// What the gates go through. Default: sigmoid.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether the forget gate's bias starts at 1. Default: true.
        unit_forget_bias: bool = true,
    }
}

impl LayerCell for LSTMCell {
    const LAYER: &'static str = "LSTM";
}

unit_cell!(LSTMCell);

impl<F: Scalar> UnitCell<F> for LSTMCell {
    fn units(&self) -> usize {
        self.units
    }

    fn options(&self) -> CellOptions<'_> {
        self.shared_options(Some(&self.recurrent_activation))
    }

    fn states(&self) -> usize {
        2
    }

    fn add_weights(&self, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let forget = self.units..2 * self.units;
        let width = 4 * self.units;
        let shapes: [&[usize]; 3] = [&[features, width], &[self.units, width], &[width]];
        UnitCell::<F>::options(self).add_weights(shapes, params, |bias: &mut [F]| {
            if self.unit_forget_bias {
                bias[forget].fill(F::one());
            }
        })
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
        lstm::lstm(pass, weights, x, initial, output, cache);
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
        lstm::lstm_backward(pass, weights, grad, grads, grad_x, initial, cache);
    }
}
