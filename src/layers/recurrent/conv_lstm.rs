//! LSTMs whose states are sequences, images or volumes, and whose products are convolutions.
//!
//! With z = x ∗ W + h₋ ∗ U + b in blocks i, f, c, o of filters: i = σ(z_i), f = σ(z_f), o = σ(z_o),
//! c = f·c₋ + i·tanh(z_c), h = o·tanh(c), as of an LSTM at each cell of the image. Backward, with ∂z from
//! [`lstm_step_backward`]: ∂W and ∂x are those of the convolution x ∗ W, ∂U and ∂h₋ of h₋ ∗ U, ∂b = Σ ∂z.

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::dropout::{SequenceDropout, check_rates};
use super::layer::{LayerCell, Recurrent};
use super::options::{CellOptions, cell_options};
use crate::initializers::Initializer;
use crate::kernels::aligned::Aligned;
use crate::kernels::conv::{self, Finish, Geometry, Workspace};
use crate::kernels::elementwise::axpy;
use crate::kernels::recurrent::lstm::{StepMemory, lstm_step, lstm_step_backward};
use crate::kernels::reduce::add_column_sums;
use crate::layers::conv::{Placement, at_least_one, output_shape};
use crate::layers::spatial::{DataFormat, Padding, PerAxis};
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Activation, Result, Scalar, View, ViewMut};

/// What such a cell keeps of a step: the gates, and what their derivatives need.
#[derive(Debug, Default)]
pub struct ConvStep<F> {
    gates: Aligned<F>,
    memory: StepMemory<F>,
}

/// What the steps of such a cell share.
#[derive(Debug, Default)]
pub struct ConvMemory<F> {
    /// The shape of a step's input, for which the rest was worked out.
    input: Vec<usize>,
    /// Of the convolutions of inputs and of states.
    geometries: Option<[Geometry; 2]>,
    workspaces: [Workspace<F>; 2],
    dropout: [SequenceDropout<F>; 2],
    /// Input and state after dropout.
    dropped: [Aligned<F>; 2],
    scratch: Aligned<F>,
}

/// A cell over N axes, as its passes see it.
struct ConvCell<'a, const N: usize> {
    filters: usize,
    placement: Placement<N>,
    options: CellOptions<'a>,
    unit_forget_bias: bool,
}

/// The values after dropout, in memory of their own.
fn dropped<'a, F: Scalar>(dropout: &SequenceDropout<F>, x: &'a [F], memory: &'a mut Aligned<F>) -> &'a [F] {
    if dropout.factors().is_none() {
        return x;
    }
    let memory = memory.room(x.len());
    memory.copy_from_slice(x);
    dropout.apply(memory);
    memory
}

impl<const N: usize> ConvCell<'_, N> {
    /// The convolutions of inputs of the shape `input` and of states: all gates at once. That of states goes from one cell
    /// to the next, at their size.
    fn geometries(&self, input: &[usize]) -> Result<[Geometry; 2]> {
        let of_input = self.placement.geometry(input, 4 * self.filters, 1)?;
        let ones = PerAxis([1; N]);
        let within = Placement { strides: ones, dilation_rate: ones, padding: Padding::Same, ..self.placement };
        let state = output_shape(&of_input.output[3 - N..], self.filters)?;
        Ok([of_input, within.geometry(&state, 4 * self.filters, 1)?])
    }

    fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
        at_least_one("filters", self.filters)?;
        self.placement.check(false)?;
        self.placement.check_exclusive()?;
        check_rates(self.options.dropout, self.options.recurrent_dropout)?;
        self.options.check_activations(input.len() + 1)?;
        let [geometry, _] = self.geometries(input)?;
        let state = output_shape(&geometry.output[3 - N..], self.filters)?;
        Ok(CellShapes::new([state.clone(), state]))
    }

    fn build<F: Scalar>(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let width = 4 * self.filters;
        let kernel = |channels: usize| [&self.placement.kernel_size.0[..], &[channels, width]].concat();
        let channels = input.last().copied().unwrap_or(1);
        let forget = self.filters..2 * self.filters;
        self.options.add_weights([&kernel(channels), &kernel(self.filters), &[width]], params, |bias: &mut [F]| {
            if self.unit_forget_bias {
                bias[forget].fill(F::one());
            }
        })
    }

    fn begin<F: Scalar>(&self, rows: usize, input: &[usize], memory: &mut ConvMemory<F>, cx: &Context<'_, F>) {
        if memory.geometries.is_none() || memory.input != input {
            memory.geometries = Some(self.geometries(input).expect("checked when built"));
            memory.input = input.to_vec();
        }
        let geometries = memory.geometries.expect("set above");
        let rates = [self.options.dropout, self.options.recurrent_dropout];
        for (number, (rate, geometry)) in rates.into_iter().zip(geometries).enumerate() {
            let len = geometry.input_len();
            memory.dropout[number].draw(rate, self.options.seed, number as u64, rows, len, cx);
        }
    }

    fn forward<F: Scalar>(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        mut after: StatesMut<'_, F>,
        CellMemory { step, sequence }: CellMemory<'_, ConvStep<F>, ConvMemory<F>>,
        cx: &Context<'_, F>,
    ) {
        let ConvMemory { geometries, workspaces, dropout, dropped: places, scratch, .. } = sequence;
        let [of_input, of_state] = geometries.expect("a pass has begun");
        let [for_inputs, for_states] = workspaces;
        let ConvStep { gates, memory } = step;
        let z = gates.room(x.rows() * of_input.output_len());
        let bias = self.options.use_bias.then(|| cx.params.at(2));
        let x = dropped(&dropout[0], x.data(), &mut places[0]);
        conv::forward(&of_input, x, cx.params.at(0), bias, Finish::Linear, z, for_inputs);
        let of_h = scratch.room(z.len());
        let state = dropped(&dropout[1], before.get(0).data(), &mut places[1]);
        conv::forward(&of_state, state, cx.params.at(1), None, Finish::Linear, of_h, for_states);
        axpy(F::one(), of_h, z);
        let [mut h, mut c] = after.several([0, 1]);
        let through = self.options.nonlinearities();
        lstm_step(through, z, before.get(1).data(), &mut c, &mut h, self.filters, memory);
    }

    fn backward<F: Scalar>(
        &self,
        step: CellStep<'_, F>,
        mut grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        CellMemory { step: kept, sequence }: CellMemory<'_, ConvStep<F>, ConvMemory<F>>,
        cx: &Context<'_, F>,
    ) {
        let ConvMemory { geometries, workspaces, dropout, dropped: places, scratch, .. } = sequence;
        let [of_input, of_state] = geometries.expect("a pass has begun");
        let [for_inputs, for_states] = workspaces;
        let ConvStep { gates, memory } = kept;
        let z = gates.room(step.x.rows() * of_input.output_len());
        let (c_before, c) = (step.before.get(1).data(), step.after.get(1).data());
        let [grad_h, mut grad_c] = grad.after.several([0, 1]);
        let through = self.options.nonlinearities();
        let scratch = scratch.room(z.len());
        lstm_step_backward(through, z, c_before, c, &grad_h, &mut grad_c, self.filters, memory, scratch);
        let [mut grad_before, mut grad_c_before] = grad.before.several([0, 1]);
        grad_c_before.copy_from_slice(&grad_c);
        if grads.wanted() {
            let x = dropped(&dropout[0], step.x.data(), &mut places[0]);
            conv::grad_kernel(&of_input, x, z, grads.at_mut(0), for_inputs);
            let state = dropped(&dropout[1], step.before.get(0).data(), &mut places[1]);
            conv::grad_kernel(&of_state, state, z, grads.at_mut(1), for_states);
            if self.options.use_bias {
                add_column_sums(z, grads.at_mut(2));
            }
        }
        if let Some(mut grad_x) = grad.x {
            conv::grad_input(&of_input, z, cx.params.at(0), None, Finish::Linear, &mut grad_x, for_inputs);
            dropout[0].apply(&mut grad_x);
        }
        conv::grad_input(&of_state, z, cx.params.at(1), None, Finish::Linear, &mut grad_before, for_states);
        dropout[1].apply(&mut grad_before);
    }
}

/// A layer and its cell over so many axes.
macro_rules! conv_lstm {
    ($axes:literal $class:literal; $(#[$layer_meta:meta])* $layer:ident; $(#[$cell_meta:meta])* $cell:ident) => {
        $(#[$layer_meta])*
        pub type $layer = Recurrent<$cell>;

        cell_options! {
            $(#[$cell_meta])*
            pub struct $cell(
                /// How many outputs each window has.
                filters: usize,
                /// The size of the window, of inputs and of states.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// From one window of the input to the next; states have 1. Default: 1.
                strides: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                /// What becomes of the input's windows at the border; states are padded to stay as large. Default: valid.
                padding: Padding = Padding::Valid,
                /// Where the channels are. Default, and all there is: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// From one tap of the input's kernel to the next; states have 1. Default: 1.
                dilation_rate: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                /// What the gates go through. Default: sigmoid.
                recurrent_activation: Activation = Activation::Sigmoid,
                /// Whether the forget gate's bias starts at 1. Default: true.
                unit_forget_bias: bool = true,
            }
        }

        impl LayerCell for $cell {
            const LAYER: &'static str = $class;
        }

        impl $cell {
            fn parts(&self) -> ConvCell<'_, $axes> {
                let Self { filters, kernel_size, strides, dilation_rate, padding, unit_forget_bias, .. } = *self;
                let placement = Placement { kernel_size, strides, dilation_rate, padding };
                let options = self.shared_options(Some(&self.recurrent_activation));
                ConvCell { filters, placement, options, unit_forget_bias }
            }
        }

        impl<F: Scalar> RecurrentCell<F> for $cell {
            type Cache = ConvStep<F>;
            type Sequence = ConvMemory<F>;

            fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
                self.parts().shapes(input)
            }
            fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
                self.parts().build(input, params)
            }
            fn begin(&self, rows: usize, input: &[usize], memory: &mut ConvMemory<F>, cx: &Context<'_, F>) {
                self.parts().begin(rows, input, memory, cx);
            }
            fn forward(
                &self,
                x: View<'_, F>,
                before: States<'_, F>,
                after: StatesMut<'_, F>,
                _: Option<ViewMut<'_, F>>,
                memory: CellMemory<'_, ConvStep<F>, ConvMemory<F>>,
                cx: &Context<'_, F>,
            ) {
                self.parts().forward(x, before, after, memory, cx);
            }
            fn backward(
                &self,
                step: CellStep<'_, F>,
                grad: CellGradients<'_, F>,
                grads: &mut Grads<'_, F>,
                memory: CellMemory<'_, ConvStep<F>, ConvMemory<F>>,
                cx: &Context<'_, F>,
            ) {
                self.parts().backward(step, grad, grads, memory, cx);
            }
            fn describe(&self) -> Description {
                Description::of(self)
            }
        }
    };
}

conv_lstm! { 1 "ConvLSTM1D";
    /// A convolutional LSTM over sequences: at each timestep an LSTM's gates, whose sums are convolutions of the
    /// step's input and of the state.
    ///
    /// With z = x ∗ W + h₋ ∗ U + b in blocks i, f, c, o of filters: i = σ(z_i), f = σ(z_f), o = σ(z_o),
    /// c = f·c₋ + i·tanh(z_c), h = o·tanh(c). σ is `recurrent_activation`, tanh `activation`. x ∗ W has the options
    /// `strides`, `padding`, `dilation_rate`; h₋ ∗ U has none of them, and padding that keeps its size.
    ///
    /// # Shapes
    /// (batch, timesteps, steps, channels) → (batch, out, filters); with `return_sequences` (batch, timesteps, out,
    /// filters). With `return_state` two more outputs (batch, out, filters): the last h and c. Two further inputs of that
    /// shape are where the sequences start; otherwise at zeros.
    ///
    /// Parameters: `kernel` W (window, channels, 4·filters), `recurrent_kernel` U (window, filters, 4·filters), `bias` b
    /// (4·filters).
    ///
    /// A masked timestep carries state and output over.
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `activation` tanh, `recurrent_activation` sigmoid,
    /// `unit_forget_bias` true (the bias of f starts at 1), `use_bias` true, kernels Glorot uniform and orthogonal, bias
    /// zeros; everything else off.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; a dropout below 0, or 1 and more; an input of other
    /// axes, or smaller than the window; initial states of other shapes; `stateful` without a fixed batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([5, 12, 3]).add(ConvLSTM1D::new(4, 3).padding(Same)).build()?;
    /// assert_eq!(model.output_shape(0), [12, 4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTM1D`; Shi et al., *Convolutional LSTM network*, 2015; derived in `docs/backward.md`,
    /// "Convolutional LSTM".
    ConvLSTM1D;
    /// The cell of [`ConvLSTM1D`], which has its formulas. For [`RNN::of`](super::RNN::of) and
    /// [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, steps, channels); two states (out, filters), h, which is the output, and c. Parameters:
    /// as [`ConvLSTM1D`].
    /// # Defaults
    /// As [`ConvLSTM1D`].
    /// # Errors
    /// As [`ConvLSTM1D`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let cells = StackedRNNCells::new().add(ConvLSTM1DCell::new(4, 3)).add(ConvLSTM1DCell::new(1, 1));
    /// let model = Sequential::new().input([5, 12, 3]).add(RNN::of(cells)).build()?;
    /// assert_eq!(model.output_shape(0), [10, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTMCell`.
    ConvLSTM1DCell
}

conv_lstm! { 2 "ConvLSTM2D";
    /// A convolutional LSTM over images: at each timestep an LSTM's gates, whose sums are convolutions of the
    /// step's input and of the state.
    ///
    /// With z = x ∗ W + h₋ ∗ U + b in blocks i, f, c, o of filters: i = σ(z_i), f = σ(z_f), o = σ(z_o),
    /// c = f·c₋ + i·tanh(z_c), h = o·tanh(c). σ is `recurrent_activation`, tanh `activation`. x ∗ W has the options
    /// `strides`, `padding`, `dilation_rate`; h₋ ∗ U has none of them, and padding that keeps its size.
    ///
    /// # Shapes
    /// (batch, timesteps, height, width, channels) → (batch, oh, ow, filters); with `return_sequences` (batch, timesteps, oh, ow,
    /// filters). With `return_state` two more outputs (batch, oh, ow, filters): the last h and c. Two further inputs of that
    /// shape are where the sequences start; otherwise at zeros.
    ///
    /// Parameters: `kernel` W (kh, kw, channels, 4·filters), `recurrent_kernel` U (kh, kw, filters, 4·filters), `bias` b
    /// (4·filters).
    ///
    /// A masked timestep carries state and output over.
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `activation` tanh, `recurrent_activation` sigmoid,
    /// `unit_forget_bias` true (the bias of f starts at 1), `use_bias` true, kernels Glorot uniform and orthogonal, bias
    /// zeros; everything else off.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; a dropout below 0, or 1 and more; an input of other
    /// axes, or smaller than the window; initial states of other shapes; `stateful` without a fixed batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([5, 8, 8, 1]).add(ConvLSTM2D::new(4, 3).padding(Same)).build()?;
    /// assert_eq!(model.output_shape(0), [8, 8, 4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTM2D`; Shi et al., *Convolutional LSTM network*, 2015; derived in `docs/backward.md`,
    /// "Convolutional LSTM".
    ConvLSTM2D;
    /// The cell of [`ConvLSTM2D`], which has its formulas. For [`RNN::of`](super::RNN::of) and
    /// [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, height, width, channels); two states (oh, ow, filters), h, which is the output, and c. Parameters:
    /// as [`ConvLSTM2D`].
    /// # Defaults
    /// As [`ConvLSTM2D`].
    /// # Errors
    /// As [`ConvLSTM2D`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let cells = StackedRNNCells::new().add(ConvLSTM2DCell::new(4, 3)).add(ConvLSTM2DCell::new(1, 1));
    /// let model = Sequential::new().input([5, 8, 8, 1]).add(RNN::of(cells)).build()?;
    /// assert_eq!(model.output_shape(0), [6, 6, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTMCell`.
    ConvLSTM2DCell
}

conv_lstm! { 3 "ConvLSTM3D";
    /// A convolutional LSTM over volumes: at each timestep an LSTM's gates, whose sums are convolutions of the
    /// step's input and of the state.
    ///
    /// With z = x ∗ W + h₋ ∗ U + b in blocks i, f, c, o of filters: i = σ(z_i), f = σ(z_f), o = σ(z_o),
    /// c = f·c₋ + i·tanh(z_c), h = o·tanh(c). σ is `recurrent_activation`, tanh `activation`. x ∗ W has the options
    /// `strides`, `padding`, `dilation_rate`; h₋ ∗ U has none of them, and padding that keeps its size.
    ///
    /// # Shapes
    /// (batch, timesteps, depth, height, width, channels) → (batch, od, oh, ow, filters); with `return_sequences` (batch, timesteps, od, oh, ow,
    /// filters). With `return_state` two more outputs (batch, od, oh, ow, filters): the last h and c. Two further inputs of that
    /// shape are where the sequences start; otherwise at zeros.
    ///
    /// Parameters: `kernel` W (kd, kh, kw, channels, 4·filters), `recurrent_kernel` U (kd, kh, kw, filters, 4·filters), `bias` b
    /// (4·filters).
    ///
    /// A masked timestep carries state and output over.
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `activation` tanh, `recurrent_activation` sigmoid,
    /// `unit_forget_bias` true (the bias of f starts at 1), `use_bias` true, kernels Glorot uniform and orthogonal, bias
    /// zeros; everything else off.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; a dropout below 0, or 1 and more; an input of other
    /// axes, or smaller than the window; initial states of other shapes; `stateful` without a fixed batch size.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 4, 4, 4, 1]).add(ConvLSTM3D::new(2, 3).padding(Same)).build()?;
    /// assert_eq!(model.output_shape(0), [4, 4, 4, 2]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTM3D`; Shi et al., *Convolutional LSTM network*, 2015; derived in `docs/backward.md`,
    /// "Convolutional LSTM".
    ConvLSTM3D;
    /// The cell of [`ConvLSTM3D`], which has its formulas. For [`RNN::of`](super::RNN::of) and
    /// [`StackedRNNCells`](super::StackedRNNCells).
    ///
    /// # Shapes
    /// A step's input (batch, depth, height, width, channels); two states (od, oh, ow, filters), h, which is the output, and c. Parameters:
    /// as [`ConvLSTM3D`].
    /// # Defaults
    /// As [`ConvLSTM3D`].
    /// # Errors
    /// As [`ConvLSTM3D`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let cells = StackedRNNCells::new().add(ConvLSTM3DCell::new(2, 3)).add(ConvLSTM3DCell::new(1, 1));
    /// let model = Sequential::new().input([2, 4, 4, 4, 1]).add(RNN::of(cells)).build()?;
    /// assert_eq!(model.output_shape(0), [2, 2, 2, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ConvLSTMCell`.
    ConvLSTM3DCell
}
