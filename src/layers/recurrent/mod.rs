//! Recurrent layers: what a sequence's earlier steps say about its later ones.

mod bidirectional;
mod direction;
mod gru;
mod lstm;
mod simple;

pub use bidirectional::{Bidirectional, MergeMode, Recurrent};
pub use direction::DirectionCache;
pub use gru::GRU;
pub use lstm::LSTM;
pub use simple::RNN;

use direction::{Common, Direction};

use crate::{Error, Result};

/// Declares a recurrent layer: the options that all have, between its own first and last ones.
macro_rules! recurrent_options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(as $class:literal)? { $($own:tt)* }
    ) => {
        $crate::config::layer_options! {
            $(#[$meta])*
            pub struct $name $(as $class)? (
                /// How many values a state has, and an output.
                units: usize,
            ) {
                $($own)*
                /// What new values go through. Default: tanh.
                activation: Activation = Activation::Tanh => |activation: impl Into<Activation>| activation.into(),
                /// Whether a bias is added. Default: true.
                use_bias: bool = true,
                /// How the kernel starts. Default: Glorot uniform.
                kernel_initializer: Initializer = Initializer::GlorotUniform,
                /// How the recurrent kernel starts. Default: orthogonal.
                recurrent_initializer: Initializer = Initializer::Orthogonal { gain: 1.0 },
                /// How the bias starts. Default: zeros.
                bias_initializer: Initializer = Initializer::Zeros,
                /// A penalty on the kernel. Default: none.
                kernel_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the recurrent kernel. Default: none.
                recurrent_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the bias. Default: none.
                bias_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the output, divided by the batch size. Default: none.
                activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// What the kernel is held to after each update. Default: nothing.
                kernel_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// What the recurrent kernel is held to after each update. Default: nothing.
                recurrent_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// What the bias is held to after each update. Default: nothing.
                bias_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// How much of the inputs is dropped in training: the same values at every step, and for all gates, for
                /// which Keras draws each its own if `recurrent_dropout` is given too. Default: 0.
                dropout: f64 = 0.0,
                /// How much of the states is dropped in training before they meet the recurrent kernel: the same values
                /// at every step and for all gates, as in Gal and Ghahramani's *tied* weights; Keras draws anew for each
                /// gate. Default: 0.
                recurrent_dropout: f64 = 0.0,
                /// A seed of the layer's own for what is dropped. Default: the training's.
                seed: Option<u64> = None => |seed: impl Into<Option<u64>>| seed.into(),
                /// Whether every step's output is given, not only the last. Default: false.
                return_sequences: bool = false,
                /// Whether the last states are given too, as further outputs. Default: false.
                return_state: bool = false,
                /// Whether the last timestep is taken first; outputs stay in the order of the steps taken.
                /// Default: false.
                go_backwards: bool = false,
                /// Whether each row of a batch goes on where that row of the batch before ended, until
                /// [`Model::reset_states`](crate::Model::reset_states). Needs a fixed batch size. Default: false.
                stateful: bool = false,
                /// Whether outputs are zeros at masked steps, not the states that are carried over. Default: false.
                zero_output_for_mask: bool = false,
            }
        }

        impl<F: Scalar> $crate::layers::MultiLayer<F> for $name {
            type Cache = DirectionCache<F>;

            fn build(
                &self,
                inputs: &[&[usize]],
                params: &mut ParamBuilder<'_, F>,
            ) -> $crate::Result<Vec<Vec<usize>>> {
                $crate::layers::recurrent::check_initial_states(inputs, self.units, Cell::<F>::states(self))?;
                Direction::alone(self).build("", inputs[0], params)?;
                Ok($crate::layers::recurrent::output_shapes(
                    &Cell::<F>::common(self), Cell::<F>::states(self), inputs[0],
                ))
            }

            fn forward(
                &self,
                inputs: $crate::layers::Inputs<'_, F>,
                outputs: &mut [$crate::Tensor<F>],
                cache: &mut DirectionCache<F>,
                cx: &$crate::layers::Context<'_, F>,
            ) {
                let direction = Direction::alone(self);
                let initial = [1, 2].map(|i| (i < inputs.len()).then(|| inputs.get(i).data()));
                direction.forward(inputs.get(0), initial, outputs[0].data_mut(), cache, cx);
                for (state, output) in outputs[1..].iter_mut().enumerate() {
                    output.data_mut().copy_from_slice(direction.last(state, cache));
                }
            }

            fn backward(
                &self,
                inputs: $crate::layers::Inputs<'_, F>,
                _: &[$crate::Tensor<F>],
                grad_outputs: &mut [$crate::Tensor<F>],
                grad_inputs: &mut $crate::layers::GradInputs<'_, F>,
                grads: &mut $crate::layers::Grads<'_, F>,
                cache: &mut DirectionCache<F>,
                cx: &$crate::layers::Context<'_, F>,
            ) {
                let direction = Direction::alone(self);
                let (grad_y, grad_states) = grad_outputs.split_at_mut(1);
                let grad_y = grad_y[0].data_mut();
                let of_states = [0, 1].map(|state| grad_states.get(state).map($crate::Tensor::data));
                let initial = (1..inputs.len()).any(|i| grad_inputs.wanted(i));
                if grad_inputs.wanted(0) {
                    grad_inputs.write(0, |mut grad_x| {
                        direction.backward(grad_y, of_states, grads, Some(&mut grad_x), initial, cache, cx);
                    });
                } else {
                    direction.backward(grad_y, of_states, grads, None, initial, cache, cx);
                }
                for i in 1..inputs.len() {
                    grad_inputs.write(i, |mut grad| grad.copy_from_slice(direction.grad_initial(i - 1, cache)));
                }
            }

            fn describe(&self) -> $crate::layers::Description {
                $crate::layers::Description::of(self).activity_regularizer(self.activity_regularizer.as_ref())
            }

            fn facts(&self) -> $crate::layers::Facts {
                let rule = if self.return_sequences { $crate::layers::MaskRule::Pass } else { $crate::layers::MaskRule::Stop };
                $crate::layers::Facts::default().mask(rule)
            }

            fn keeps_state(&self) -> Option<&dyn $crate::layers::KeepsState<F, DirectionCache<F>>> {
                Some(self)
            }
        }

        impl<F: Scalar> $crate::layers::KeepsState<F, DirectionCache<F>> for $name {
            fn update_state(
                &self,
                state: &mut $crate::layers::Grads<'_, F>,
                cache: &DirectionCache<F>,
                cx: &$crate::layers::Context<'_, F>,
            ) {
                Direction::alone(self).update_state(state, cache, cx);
            }

            fn between_batches(&self) -> bool {
                self.stateful
            }
        }

        impl $name {
            /// The options that all recurrent layers have.
            fn common_options<'a>(&'a self, recurrent_activation: Option<&'a Activation>) -> Common<'a> {
                Common {
                    units: self.units,
                    use_bias: self.use_bias,
                    activation: &self.activation,
                    recurrent_activation,
                    return_sequences: self.return_sequences,
                    return_state: self.return_state,
                    go_backwards: self.go_backwards,
                    stateful: self.stateful,
                    zero_output_for_mask: self.zero_output_for_mask,
                    dropout: self.dropout,
                    recurrent_dropout: self.recurrent_dropout,
                    seed: self.seed,
                }
            }

            /// Adds kernel, recurrent kernel and bias, of so many blocks of units.
            fn add_blocks<F: Scalar>(
                &self,
                prefix: &str,
                features: usize,
                blocks: usize,
                bias: &[usize],
                params: &mut ParamBuilder<'_, F>,
                adjust_bias: impl FnOnce(&mut [F]),
            ) -> $crate::Result<()> {
                params
                    .add(&format!("{prefix}kernel"), &[features, blocks * self.units], &self.kernel_initializer)?
                    .regularizer(self.kernel_regularizer.as_ref())
                    .constraint(self.kernel_constraint.as_ref());
                let shape = [self.units, blocks * self.units];
                params
                    .add(&format!("{prefix}recurrent_kernel"), &shape, &self.recurrent_initializer)?
                    .regularizer(self.recurrent_regularizer.as_ref())
                    .constraint(self.recurrent_constraint.as_ref());
                if self.use_bias {
                    params
                        .add_adjusted(&format!("{prefix}bias"), bias, &self.bias_initializer, adjust_bias)?
                        .regularizer(self.bias_regularizer.as_ref())
                        .constraint(self.bias_constraint.as_ref());
                }
                Ok(())
            }
        }
    };
}
pub(crate) use recurrent_options;

/// Refuses initial states that are not one tensor (units) for each state.
fn check_initial_states(inputs: &[&[usize]], units: usize, states: usize) -> Result<()> {
    if inputs.len() != 1 && inputs.len() != 1 + states {
        let expected = format!("the sequences, or these and {states} initial states");
        return Err(Error::option("inputs", expected, format!("{} tensors", inputs.len())));
    }
    match inputs[1..].iter().find(|shape| ***shape != [units]) {
        Some(shape) => Err(Error::shape(format!("an initial state ({units})"), shape)),
        None => Ok(()),
    }
}

/// The shapes of a layer's outputs.
fn output_shapes(common: &Common<'_>, states: usize, input: &[usize]) -> Vec<Vec<usize>> {
    let units = common.units;
    let mut shapes = vec![if common.return_sequences { vec![input[0], units] } else { vec![units] }];
    shapes.extend((0..states).filter(|_| common.return_state).map(|_| vec![units]));
    shapes
}
