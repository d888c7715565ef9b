//! Separable convolutions: a depthwise one, then one over the channels alone.

use super::{Placement, activate, at_least_one, conv_options, depthwise_filters, finish, output_shape};
use crate::initializers::Initializer;
use crate::kernels::conv::{self, Finish, Geometry, Workspace};
use crate::kernels::reduce;
use crate::layers::spatial::{DataFormat, Padding, PerAxis, axes};
use crate::layers::{Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder, Weight, acts_as};
use crate::regularizers::Regularizer;
use crate::{Activation, Result, Scalar, View, ViewMut};

const DEPTHWISE: usize = 0;
const POINTWISE: usize = 1;
const BIAS: usize = 2;

/// What a separable convolution keeps: what lies between its two steps, and the sums before the activation.
#[derive(Debug)]
pub struct SeparableCache<F> {
    depthwise: Workspace<F>,
    pointwise: Workspace<F>,
    between: Vec<F>,
    grad_between: Vec<F>,
    z: Vec<F>,
}

impl<F> Default for SeparableCache<F> {
    fn default() -> Self {
        let (depthwise, pointwise) = (Workspace::default(), Workspace::default());
        Self { depthwise, pointwise, between: Vec::new(), grad_between: Vec::new(), z: Vec::new() }
    }
}

/// The layer, as its options say it.
struct Separable<'a, const N: usize> {
    filters: usize,
    multiplier: usize,
    placement: Placement<N>,
    activation: &'a Activation,
    depthwise: &'a Weight,
    pointwise: &'a Weight,
    bias: Option<&'a Weight>,
    activity_regularizer: Option<&'a Regularizer>,
}

impl<const N: usize> Separable<'_, N> {
    /// The two steps.
    fn steps(&self, input: &[usize]) -> Result<[Geometry; 2]> {
        let (_, channels) = axes::<N>(input)?;
        let between = depthwise_filters(channels, self.multiplier)?;
        let depthwise = self.placement.geometry(input, between, channels)?;
        let (cells, ones) = (depthwise.output, [1; 3]);
        let pointwise = Geometry {
            input: cells,
            output: cells,
            kernel: ones,
            strides: ones,
            dilation: ones,
            before: [0; 3],
            channels: depthwise.filters,
            filters: self.filters,
            groups: 1,
        };
        Ok([depthwise, pointwise])
    }

    /// Those for an input that the layer was built for; `x` with its batch.
    fn built_steps<F: Scalar>(&self, x: View<'_, F>) -> [Geometry; 2] {
        self.steps(&x.shape()[1..]).expect("checked when built")
    }
}

impl<F: Scalar, const N: usize> Layer<F> for Separable<'_, N> {
    type Cache = SeparableCache<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        at_least_one("filters", self.filters)?;
        at_least_one("depth_multiplier", self.multiplier)?;
        self.placement.check(false)?;
        let [depthwise, pointwise] = self.steps(input)?;
        self.activation.check(input.len() + 1)?;
        output_shape(&depthwise.output, depthwise.filters)?;
        let output = output_shape(&pointwise.output[3 - N..], self.filters)?;

        let kernel = [&self.placement.kernel_size.0[..], &[depthwise.channels, self.multiplier]].concat();
        params.add_weight("depthwise_kernel", &kernel, self.depthwise)?;
        let kernel = [&[1; N][..], &[depthwise.filters, self.filters]].concat();
        params.add_weight("pointwise_kernel", &kernel, self.pointwise)?;
        if let Some(bias) = self.bias {
            params.add_weight("bias", &[self.filters], bias)?;
        }
        Ok(output)
    }

    /// What lies between the two steps, and its gradient.
    fn workspace(&self, input: &[usize]) -> usize {
        self.steps(input).map_or(0, |[first, _]| first.output_len().saturating_mul(2))
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, cache: &mut SeparableCache<F>, cx: &Context<'_, F>) {
        let [first, second] = self.built_steps(x);
        let SeparableCache { depthwise, pointwise, between, z, .. } = cache;
        between.resize(x.rows() * first.output_len(), F::zero());
        let bias = self.bias.map(|_| cx.params.at(BIAS));
        let kernel = |number| cx.params.at(number);
        let activation = cx.activation(self.activation);
        conv::forward(&first, &x, kernel(DEPTHWISE), None, Finish::Linear, between, depthwise);
        conv::forward(&second, between, kernel(POINTWISE), bias, finish(activation), &mut y, pointwise);
        activate(activation, y, z, cx);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut SeparableCache<F>,
        cx: &Context<'_, F>,
    ) {
        let [first, second] = self.built_steps(x);
        let SeparableCache { depthwise, pointwise, between, grad_between, z } = cache;
        cx.activation(self.activation).backward(z, y, grad_y.lend());
        grad_between.resize(between.len(), F::zero());
        let kernel = |number| cx.params.at(number);
        conv::grad_input(&second, &grad_y, kernel(POINTWISE), None, Finish::Linear, grad_between, pointwise);
        if grads.wanted() {
            conv::grad_kernel(&second, between, &grad_y, grads.at_mut(POINTWISE), pointwise);
            conv::grad_kernel(&first, &x, grad_between, grads.at_mut(DEPTHWISE), depthwise);
            if self.bias.is_some() {
                reduce::add_column_sums(&grad_y, grads.at_mut(BIAS));
            }
        }
        if let Some(mut grad_x) = grad_x {
            let kernel = kernel(DEPTHWISE);
            conv::grad_input(&first, grad_between, kernel, None, Finish::Linear, &mut grad_x, depthwise);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop).output_activation(self.activation)
    }

    fn describe(&self) -> Description {
        Description::of_type::<Self>().activity_regularizer(self.activity_regularizer)
    }
}

/// A separable convolution over so many axes.
macro_rules! separable_convolution {
    ($axes:literal; $(#[$meta:meta])* $name:ident) => {
        conv_options! { $axes;
            $(#[$meta])*
            pub struct $name(
                /// How many channels the output has.
                filters: usize,
                /// The size of the window.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// How many channels the first step makes of each. Default: 1.
                depth_multiplier: usize = 1,
            }
            weights {
                depthwise: "the first step's kernel" = Initializer::GlorotUniform => "Glorot uniform",
                pointwise: "the second step's kernel" = Initializer::GlorotUniform => "Glorot uniform",
            }
        }

        impl $name {
            fn acting(&self) -> Separable<'_, $axes> {
                Separable {
                    filters: self.filters,
                    multiplier: self.depth_multiplier,
                    placement: self.placement(),
                    activation: &self.activation,
                    depthwise: &self.depthwise,
                    pointwise: &self.pointwise,
                    bias: self.use_bias.then_some(&self.bias),
                    activity_regularizer: self.activity_regularizer.as_ref(),
                }
            }
        }

        acts_as!($name, SeparableCache<F>);
    };
}

separable_convolution! { 1;
    /// A separable convolution over sequences: every channel by itself, then a mixture of the channels.
    ///
    /// As [`SeparableConv2D`], along one axis.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, out, filters). Parameters: `depthwise_kernel` (window, channels,
    /// `depth_multiplier`), `pointwise_kernel` (1, channels · `depth_multiplier`, filters), `bias` (filters). Sizes of the
    /// output as for [`Conv1D`](super::Conv1D).
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `depth_multiplier` 1, `activation` linear, `use_bias` true,
    /// `depthwise_initializer` and `pointwise_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no
    /// constraints.
    /// # Errors
    /// When built: a size of 0; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([20, 3]).add(SeparableConv1D::new(8, 5)).build()?;
    /// assert_eq!(model.output_shape(0), [16, 8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SeparableConv1D`; derived in `docs/backward.md`, "Convolution".
    SeparableConv1D
}

separable_convolution! { 2;
    /// A separable convolution over images: every channel by itself, then a mixture of the channels.
    ///
    /// u = depthwise convolution of x by `depthwise_kernel` (see [`DepthwiseConv2D`](super::DepthwiseConv2D));
    /// y[b, i, j, f] = act(`bias[f]` + Σ over c of u[b, i, j, c] · `pointwise_kernel`[0, 0, c, f]).
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, filters). Parameters: `depthwise_kernel` (kh, kw, channels,
    /// `depth_multiplier`), `pointwise_kernel` (1, 1, channels · `depth_multiplier`, filters), `bias` (filters). Sizes of
    /// the output as for [`Conv2D`](super::Conv2D).
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `depth_multiplier` 1, `activation` linear, `use_bias` true,
    /// `depthwise_initializer` and `pointwise_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no
    /// constraints.
    /// # Errors
    /// When built: a size of 0; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let layer = SeparableConv2D::new(16, 3).padding(Padding::Same).activation(Relu);
    /// let model = Sequential::new().input([8, 8, 5]).add(layer).build()?;
    /// assert_eq!(model.output_shape(0), [8, 8, 16]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `SeparableConv2D`; derived in `docs/backward.md`, "Convolution".
    SeparableConv2D
}
