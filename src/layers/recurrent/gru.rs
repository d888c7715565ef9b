//! The gated recurrent unit.

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::layer::{LayerCell, Recurrent};
use super::options::{CellOptions, cell_options, unit_cell};
use super::unit_steps;
use super::units::{UnitCell, UnitSequences};
use crate::initializers::Initializer;
use crate::kernels::recurrent::{Cache, GradOutput, GradWeights, Output, SequencePass, Weights, gru};
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Activation, Result, Scalar, View, ViewMut};

/// The gated recurrent unit: a gate z says how much of the state stays, a gate r how much of it the new values see.
///
/// With a = x·W + b in blocks z, r, h: z = σ(a_z + h₋·U_z), r = σ(a_r + h₋·U_r), and h = z·h₋ + (1 − z)·ĥ, where
/// ĥ = tanh(a_h + r·(h₋·U_h)), or without `reset_after` ĥ = tanh(a_h + (r·h₋)·U_h). σ is `recurrent_activation`,
/// tanh `activation`. With `reset_after` the products of the state have a bias of their own.
///
/// # Shapes
/// (batch, timesteps, features) → (batch, units); with `return_sequences` (batch, timesteps, units). With
/// `return_state` one more output (batch, units): the last h. A second input (batch, units) is where the sequences
/// start; otherwise at zeros.
///
/// Parameters: `kernel` W (features, 3·units), `recurrent_kernel` U (units, 3·units), `bias` (2, 3·units): that of
/// the input, that of the state; without `reset_after` (3·units).
///
/// A masked timestep carries state and output over.
/// # Defaults
/// `activation` tanh, `recurrent_activation` sigmoid, `reset_after` true, `use_bias` true, kernels Glorot uniform and
/// orthogonal, bias zeros; everything else off.
/// # Errors
/// When built: `units` is 0, a dropout is below 0, or 1 and more, the input is not (timesteps, features), an initial
/// state has another shape, or `stateful` without a fixed batch size.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new()
///     .input([10, 4])
///     .add(GRU::new(8).return_sequences(true))
///     .add(GRU::new(8))
///     .build()?;
/// assert_eq!(model.predict(&Array3::<f32>::zeros((2, 10, 4)))?.shape(), [2, 8]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `GRU`; Cho et al., *Learning phrase representations*, 2014; derived in `docs/backward.md`, "GRU".
pub type GRU = Recurrent<GRUCell>;

cell_options! {
    /// The cell of [`GRU`], which has its formulas. For [`RNN::of`](super::RNN::of) and [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, features); one state (units), which is the output. Parameters: as [`GRU`].
    /// # Defaults
    /// `activation` tanh, `recurrent_activation` sigmoid, `reset_after` true, `use_bias` true, kernels Glorot uniform and
    /// orthogonal, bias zeros; everything else off.
    /// # Errors
    /// As [`GRU`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(RNN::of(GRUCell::new(8))).build()?;
    /// assert_eq!(model.output_shape(0), [8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GRUCell`; derived in `docs/backward.md`.
    pub struct GRUCell(
        /// How many values a state has, and an output.
        units: usize,
    ) {
        /// What the gates go through. Default: sigmoid.
        recurrent_activation: Activation = Activation::Sigmoid,
        /// Whether r acts after the product with the recurrent kernel. Default: true.
        reset_after: bool = true,
    }
}

impl LayerCell for GRUCell {
    const LAYER: &'static str = "GRU";
}

unit_cell!(GRUCell);

impl<F: Scalar> UnitCell<F> for GRUCell {
    fn units(&self) -> usize {
        self.units
    }

    fn options(&self) -> CellOptions<'_> {
        self.shared_options(Some(&self.recurrent_activation))
    }

    fn states(&self) -> usize {
        1
    }

    fn add_weights(&self, features: usize, params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let (one, two) = ([3 * self.units], [2, 3 * self.units]);
        let bias = if self.reset_after { &two[..] } else { &one[..] };
        let shapes: [&[usize]; 3] = [&[features, 3 * self.units], &[self.units, 3 * self.units], bias];
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
        gru::gru(pass, self.reset_after, weights, x, initial[0], output, cache);
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
        gru::gru_backward(pass, self.reset_after, weights, grad, grads, grad_x, initial, cache);
    }
}
