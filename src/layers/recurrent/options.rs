//! The options that recurrent layers and cells share.

use crate::config::layer_options;
use crate::kernels::recurrent::Nonlinearities;
use crate::layers::{ParamBuilder, Weight};
use crate::regularizers::Regularizer;
use crate::{Activation, Result, Scalar};

layer_options! {
    /// How a recurrent layer runs its cell over sequences.
    pub struct SequenceOptions {
        /// A regularizer of the output.
        activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
        /// Whether every step's output is given.
        return_sequences: bool = false,
        /// Whether the last states are given too.
        return_state: bool = false,
        /// Whether the last timestep is taken first.
        go_backwards: bool = false,
        /// Whether each row goes on where that row of the batch before ended.
        stateful: bool = false,
        /// Whether outputs are zeros at masked steps.
        zero_output_for_mask: bool = false,
    }
}

/// What the crate's own cells have in common.
pub struct CellOptions<'a> {
    pub activation: &'a Activation,
    /// Of the gates, if there are any.
    pub recurrent_activation: Option<&'a Activation>,
    pub use_bias: bool,
    /// Kernel, recurrent kernel and bias.
    pub weights: [&'a Weight; 3],
    pub dropout: f64,
    pub recurrent_dropout: f64,
    pub seed: Option<u64>,
}

impl<'a> CellOptions<'a> {
    /// What sums go through.
    pub fn nonlinearities<F: Scalar>(&self) -> Nonlinearities<'a, F> {
        let usual = *self.activation == Activation::Tanh
            && self.recurrent_activation.is_none_or(|activation| *activation == Activation::Sigmoid);
        if usual {
            Nonlinearities::Usual
        } else {
            Nonlinearities::Other(self.activation, self.recurrent_activation.unwrap_or(self.activation))
        }
    }

    /// Refuses activations that cannot be taken of tensors of this rank.
    pub fn check_activations(&self, rank: usize) -> Result<()> {
        self.activation.check(rank)?;
        self.recurrent_activation.map_or(Ok(()), |activation| activation.check(rank))
    }

    /// Adds kernel, recurrent kernel and, if there is one, bias, whose first values `adjust_bias` changes.
    pub fn add_weights<F: Scalar>(
        &self,
        shapes: [&[usize]; 3],
        params: &mut ParamBuilder<'_, F>,
        adjust_bias: impl FnOnce(&mut [F]),
    ) -> Result<()> {
        let [kernel, recurrent, bias] = self.weights;
        params.add_weight("kernel", shapes[0], kernel)?;
        params.add_weight("recurrent_kernel", shapes[1], recurrent)?;
        if self.use_bias {
            params.add_weight_adjusted("bias", shapes[2], bias, adjust_bias)?;
        }
        Ok(())
    }
}

/// Declares a cell by its options: those that all of the crate's own have, behind its own. And the setters of the layer
/// that runs it, which has them too: `LSTM::new(8).activation(Relu)` is `LSTMCell::new(8).activation(Relu)` in a layer.
macro_rules! cell_options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($($required:tt)*) {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty = $own_default:expr $(=> |$own_value:ident: $own_given:ty| $own_conversion:expr)?),* $(,)?
        }
    ) => {
        $crate::layers::recurrent::options::declare_cell! {
            $(#[$meta])*
            pub struct $name($($required)*) {
                $($(#[$own_meta])* $own: $own_type = $own_default $(=> |$own_value: $own_given| $own_conversion)?,)*
                /// What new values go through. Default: tanh.
                activation: Activation = Activation::Tanh,
                /// Whether a bias is added. Default: true.
                use_bias: bool = true,
                /// How much of the inputs is dropped in training: the same values at every step, and for all gates, for
                /// which Keras draws each its own if `recurrent_dropout` is given too, or in a ConvLSTM. Default: 0.
                dropout: f64 = 0.0,
                /// How much of the states is dropped in training before they meet the recurrent kernel: the same values
                /// at every step and for all gates, as in Gal and Ghahramani's *tied* weights; Keras draws anew for each
                /// gate. Default: 0.
                recurrent_dropout: f64 = 0.0,
                /// A seed of its own for what is dropped. Default: the training's.
                seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
            }
            weights {
                kernel: "the kernel" = Initializer::GlorotUniform => "Glorot uniform",
                recurrent: "the recurrent kernel" = Initializer::Orthogonal { gain: 1.0 } => "orthogonal",
                bias: "the bias" = Initializer::Zeros => "zeros",
            }
        }
    };
}

/// The struct with its options, and the setters of its layer.
macro_rules! declare_cell {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($($(#[$required_meta:meta])* $required:ident: $required_type:ty $(=> $required_given:ty)?),* $(,)?) {
            $($(#[$option_meta:meta])* $option:ident: $type:ty = $default:expr $(=> |$value:ident: $given:ty| $conversion:expr)?,)*
        }
        weights { $($weight:ident: $what:literal = $start:expr => $words:literal,)* }
    ) => {
        $crate::config::layer_options! {
            $(#[$meta])*
            pub struct $name($($(#[$required_meta])* $required: $required_type $(=> $required_given)?,)*) {
                $($(#[$option_meta])* $option: $type = $default $(=> |$value: $given| $conversion)?,)*
            }
            weights { $($weight: $what = $start => $words,)* }
        }

        impl $crate::layers::Recurrent<$name> {
            /// With every option at its default.
            pub fn new($($required: $crate::config::given!($required_type $(=> $required_given)?)),*) -> Self {
                Self::whole($name::new($($required),*))
            }

            $(
                $(#[$option_meta])*
                pub fn $option(mut self, $option: $crate::config::given!($type $(=> $given)?)) -> Self {
                    self.cell = self.cell.$option($option);
                    self
                }
            )*

            $($crate::config::weight_setters! { $weight in cell; $what, $words })*
        }

        impl $name {
            /// The options that it shares with other cells.
            fn shared_options<'a>(&'a self, recurrent_activation: Option<&'a Activation>) -> CellOptions<'a> {
                CellOptions {
                    activation: &self.activation,
                    recurrent_activation,
                    use_bias: self.use_bias,
                    weights: [&self.kernel, &self.recurrent, &self.bias],
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                    seed: self.seed,
                }
            }
        }
    };
}

/// The passes of a [`UnitCell`](super::units::UnitCell) as those of a [`RecurrentCell`](super::RecurrentCell).
macro_rules! unit_cell {
    ($name:ident) => {
        impl<F: Scalar> RecurrentCell<F> for $name {
            type Cache = unit_steps::UnitStep<F>;
            type Sequence = unit_steps::UnitMemory<F>;

            fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
                unit_steps::shapes::<F>(self, input)
            }
            fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
                self.add_weights(input[0], params)
            }
            fn begin(&self, rows: usize, input: &[usize], memory: &mut Self::Sequence, cx: &Context<'_, F>) {
                unit_steps::begin(self, rows, input, memory, cx);
            }
            fn forward(
                &self,
                x: View<'_, F>,
                before: States<'_, F>,
                after: StatesMut<'_, F>,
                _: Option<ViewMut<'_, F>>,
                memory: CellMemory<'_, Self::Cache, Self::Sequence>,
                cx: &Context<'_, F>,
            ) {
                unit_steps::step_forward(self, x, before, after, memory, cx);
            }
            fn backward(
                &self,
                step: CellStep<'_, F>,
                grad: CellGradients<'_, F>,
                grads: &mut Grads<'_, F>,
                memory: CellMemory<'_, Self::Cache, Self::Sequence>,
                cx: &Context<'_, F>,
            ) {
                unit_steps::step_backward(self, step, grad, grads, memory, cx);
            }
            fn describe(&self) -> Description {
                Description::of(self)
            }
            fn whole_sequences(&self) -> Option<UnitSequences<'_, F>> {
                Some(UnitSequences(self))
            }
        }
    };
}

pub(crate) use {cell_options, declare_cell, unit_cell};
