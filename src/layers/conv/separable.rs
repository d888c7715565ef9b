//! Separable convolutions: a depthwise one, then one over the channels alone.

use super::depthwise::filters;
use super::{Placement, activate, add, at_least_one, finish, output_shape};
use crate::config::layer_options;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::kernels::conv::{self, Finish, Geometry, Workspace};
use crate::kernels::reduce;
use crate::layers::spatial::{DataFormat, Padding, PerAxis, axes};
use crate::layers::{Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder};
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

/// The two steps.
struct Steps {
    depthwise: Geometry,
    pointwise: Geometry,
}

impl Steps {
    fn new(depthwise: Geometry, filters: usize) -> Self {
        let (cells, ones) = (depthwise.output, [1; 3]);
        let pointwise = Geometry {
            input: cells,
            output: cells,
            kernel: ones,
            strides: ones,
            dilation: ones,
            before: [0; 3],
            channels: depthwise.filters,
            filters,
            groups: 1,
        };
        Self { depthwise, pointwise }
    }

    fn forward<F: Scalar>(
        &self,
        activation: &Activation,
        x: View<'_, F>,
        mut y: ViewMut<'_, F>,
        cache: &mut SeparableCache<F>,
        cx: &Context<'_, F>,
    ) {
        let SeparableCache { depthwise, pointwise, between, z, .. } = cache;
        between.resize(x.rows() * self.depthwise.output_len(), F::zero());
        let bias = (cx.params.len() > BIAS).then(|| cx.params.at(BIAS));
        let kernel = |number| cx.params.at(number);
        conv::forward(&self.depthwise, &x, kernel(DEPTHWISE), None, Finish::Linear, between, depthwise);
        conv::forward(&self.pointwise, between, kernel(POINTWISE), bias, finish(activation), &mut y, pointwise);
        activate(activation, y, z, cx);
    }

    fn backward<F: Scalar>(
        &self,
        activation: &Activation,
        (x, y): (View<'_, F>, View<'_, F>),
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut SeparableCache<F>,
        cx: &Context<'_, F>,
    ) {
        let SeparableCache { depthwise, pointwise, between, grad_between, z } = cache;
        if !cx.fused_loss {
            activation.backward(z, y, grad_y.lend());
        }
        grad_between.resize(between.len(), F::zero());
        let kernel = |number| cx.params.at(number);
        conv::grad_input(&self.pointwise, &grad_y, kernel(POINTWISE), None, Finish::Linear, grad_between, pointwise);
        if grads.wanted() {
            conv::grad_kernel(&self.pointwise, between, &grad_y, grads.at_mut(POINTWISE), pointwise);
            conv::grad_kernel(&self.depthwise, &x, grad_between, grads.at_mut(DEPTHWISE), depthwise);
            if cx.params.len() > BIAS {
                reduce::add_column_sums(&grad_y, grads.at_mut(BIAS));
            }
        }
        if let Some(mut grad_x) = grad_x {
            let kernel = kernel(DEPTHWISE);
            conv::grad_input(&self.depthwise, grad_between, kernel, None, Finish::Linear, &mut grad_x, depthwise);
        }
    }
}

/// A separable convolution over so many axes.
macro_rules! separable_convolution {
    ($axes:literal; $(#[$meta:meta])* $name:ident) => {
        layer_options! {
            $(#[$meta])*
            pub struct $name(
                /// How many channels the output has.
                filters: usize,
                /// The size of the window.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// From one window to the next. Default: 1.
                strides: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                /// What becomes of windows at the border. Default: valid.
                padding: Padding = Padding::Valid,
                /// From one tap of the kernel to the next. Default: 1.
                dilation_rate: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                /// How many channels the first step makes of each. Default: 1.
                depth_multiplier: usize = 1,
                /// Where the channels are. Default, and all there is: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// What the sums go through. Default: linear.
                activation: Activation = Activation::Linear => |activation: impl Into<Activation>| activation.into(),
                /// Whether a bias is added, one a filter. Default: true.
                use_bias: bool = true,
                /// How the first step's kernel starts. Default: Glorot uniform.
                depthwise_initializer: Initializer = Initializer::GlorotUniform,
                /// How the second step's kernel starts. Default: Glorot uniform.
                pointwise_initializer: Initializer = Initializer::GlorotUniform,
                /// How the bias starts. Default: zeros.
                bias_initializer: Initializer = Initializer::Zeros,
                /// A penalty on the first step's kernel. Default: none.
                depthwise_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the second step's kernel. Default: none.
                pointwise_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the bias. Default: none.
                bias_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the output, divided by the batch size. Default: none.
                activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// What the first step's kernel is held to after each update. Default: nothing.
                depthwise_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// What the second step's kernel is held to after each update. Default: nothing.
                pointwise_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// What the bias is held to after each update. Default: nothing.
                bias_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
            }
        }

        impl $name {
            fn steps(&self, input: &[usize]) -> Result<Steps> {
                let (_, channels) = axes::<$axes>(input)?;
                let between = filters(channels, self.depth_multiplier)?;
                Ok(Steps::new(self.placement().geometry(input, between, channels)?, self.filters))
            }

            fn placement(&self) -> Placement<$axes> {
                let Self { kernel_size, strides, dilation_rate, padding, .. } = *self;
                Placement { kernel_size, strides, dilation_rate, padding }
            }
        }

        impl<F: Scalar> Layer<F> for $name {
            type Cache = SeparableCache<F>;

            fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
                at_least_one("filters", self.filters)?;
                at_least_one("depth_multiplier", self.depth_multiplier)?;
                self.placement().check(false)?;
                let Steps { depthwise, pointwise } = self.steps(input)?;
                self.activation.check(input.len() + 1)?;
                output_shape(&depthwise.output, depthwise.filters)?;
                let output = output_shape(&pointwise.output[3 - $axes..], self.filters)?;

                let kernel = [&self.kernel_size.0[..], &[depthwise.channels, self.depth_multiplier]].concat();
                let (regularizer, constraint) = (self.depthwise_regularizer.as_ref(), self.depthwise_constraint.as_ref());
                add(params, "depthwise_kernel", &kernel, &self.depthwise_initializer, regularizer, constraint)?;

                let kernel = [&[1; $axes][..], &[depthwise.filters, self.filters]].concat();
                let (regularizer, constraint) = (self.pointwise_regularizer.as_ref(), self.pointwise_constraint.as_ref());
                add(params, "pointwise_kernel", &kernel, &self.pointwise_initializer, regularizer, constraint)?;

                if self.use_bias {
                    let (regularizer, constraint) = (self.bias_regularizer.as_ref(), self.bias_constraint.as_ref());
                    add(params, "bias", &[self.filters], &self.bias_initializer, regularizer, constraint)?;
                }
                Ok(output)
            }

            fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, cache: &mut Self::Cache, cx: &Context<'_, F>) {
                let steps = self.steps(&x.shape()[1..]).expect("checked when built");
                steps.forward(&self.activation, x, y, cache, cx);
            }

            fn backward(
                &self,
                x: View<'_, F>,
                y: View<'_, F>,
                grad_y: ViewMut<'_, F>,
                grad_x: Option<ViewMut<'_, F>>,
                grads: &mut Grads<'_, F>,
                cache: &mut Self::Cache,
                cx: &Context<'_, F>,
            ) {
                let steps = self.steps(&x.shape()[1..]).expect("checked when built");
                steps.backward(&self.activation, (x, y), grad_y, grad_x, grads, cache, cx);
            }

            fn facts(&self) -> Facts {
                Facts::default().mask(MaskRule::Stop).output_activation(&self.activation)
            }

            fn describe(&self) -> Description {
                Description::of(self).activity_regularizer(self.activity_regularizer.as_ref())
            }
        }
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
