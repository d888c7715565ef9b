//! Convolutional layers. What they share: sizes, parameters, and the passes around [`kernels::conv`](crate::kernels::conv).

mod depthwise;
mod plain;
mod separable;
mod transpose;

pub use depthwise::{DepthwiseConv1D, DepthwiseConv2D};
pub use plain::{Conv1D, Conv2D, Conv3D};
pub use separable::{SeparableConv1D, SeparableConv2D};
pub use transpose::{Conv1DTranspose, Conv2DTranspose, Conv3DTranspose};

use super::spatial::{Padding, PerAxis, axes, check_positive};
use super::{Context, Grads, ParamBuilder};
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::kernels::conv::{self, Finish, Geometry, Workspace};
use crate::kernels::reduce;
use crate::regularizers::Regularizer;
use crate::tensor::checked_volume;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

/// What a convolutional layer keeps between its passes: working memory, and the sums before the activation where its
/// derivative needs them.
#[derive(Debug)]
pub struct ConvCache<F> {
    workspace: Workspace<F>,
    z: Vec<F>,
}

impl<F> Default for ConvCache<F> {
    fn default() -> Self {
        Self { workspace: Workspace::default(), z: Vec::new() }
    }
}

/// How a kernel lies on its input.
#[derive(Clone, Copy)]
pub(super) struct Placement<const N: usize> {
    pub kernel_size: PerAxis<N>,
    pub strides: PerAxis<N>,
    pub dilation_rate: PerAxis<N>,
    pub padding: Padding,
}

/// No padded sample is larger: 2³⁶ values.
const MOST_PADDED: usize = 1 << 36;

impl<const N: usize> Placement<N> {
    /// Refuses sizes of 0 and the paddings that a layer does not have.
    pub fn check(&self, causal: bool) -> Result<()> {
        check_positive("kernel_size", &self.kernel_size.0)?;
        check_positive("strides", &self.strides.0)?;
        check_positive("dilation_rate", &self.dilation_rate.0)?;
        if self.padding == Padding::Causal && !causal {
            return Err(Error::option("padding", "valid or same", "causal"));
        }
        Ok(())
    }

    /// Refuses strides together with dilation.
    pub fn check_exclusive(&self) -> Result<()> {
        let above_one = |sizes: &PerAxis<N>| sizes.0.iter().any(|&size| size > 1);
        if above_one(&self.strides) && above_one(&self.dilation_rate) {
            let expected = format!("1 where a stride is above 1 (`strides` is {:?})", self.strides.0);
            return Err(Error::option("dilation_rate", expected, format!("{:?}", self.dilation_rate.0)));
        }
        Ok(())
    }

    /// How many cells the taps of one axis reach over.
    fn reach(&self, axis: usize) -> Result<usize> {
        (self.kernel_size.0[axis] - 1)
            .checked_mul(self.dilation_rate.0[axis])
            .and_then(|behind| behind.checked_add(1))
            .filter(|&reach| reach <= MOST_PADDED)
            .ok_or_else(|| Error::option("kernel_size", "small enough for memory", format!("{:?}", self.kernel_size.0)))
    }

    /// The sizes of a convolution of an input of the shape `input`.
    ///
    /// # Errors
    /// If the input has other axes, or is smaller than the window.
    pub fn geometry(&self, input: &[usize], filters: usize, groups: usize) -> Result<Geometry> {
        let (cells, channels) = axes::<N>(input)?;
        if input.contains(&0) {
            return Err(Error::input_shape("without empty axes", input));
        }
        let mut geometry = self.points(channels, filters, groups);
        let mut padded = channels;
        for (axis, &n) in cells.iter().enumerate() {
            let (stride, reach) = (self.strides.0[axis], self.reach(axis)?);
            let (output, before) = match self.padding {
                Padding::Valid if n < reach => {
                    let windows = (0..N).map(|axis| self.reach(axis)).collect::<Result<Vec<_>>>()?;
                    let window = crate::error::show(&windows);
                    return Err(Error::input_shape(format!("at least as large as the window, {window}"), input)
                        .advise("take a smaller kernel or dilation, or `padding` same"));
                }
                Padding::Valid => ((n - reach) / stride + 1, 0),
                Padding::Same => {
                    let output = n.div_ceil(stride);
                    (output, ((output - 1) * stride + reach).saturating_sub(n) / 2)
                }
                Padding::Causal => ((n - 1) / stride + 1, reach - 1),
            };
            let at = 3 - N + axis;
            (geometry.input[at], geometry.output[at], geometry.before[at]) = (n, output, before);
            padded = padded.saturating_mul((n + before).max((output - 1).saturating_mul(stride).saturating_add(reach)));
        }
        if padded > MOST_PADDED {
            return Err(Error::shape("an input that fits into memory with its padding", input));
        }
        Ok(geometry)
    }

    /// The same for a transposed convolution: x is the `output` of the convolution that it transposes, y its `input`.
    ///
    /// With reach k along an axis, stride s and output padding p, n cells become (n − 1)·s + max(k, s), or with p
    /// (n − 1)·s + k + p, where nothing is cropped; n·s, or (n − 1)·s + k mod 2 + p, with padding `same`.
    fn transposed(&self, input: &[usize], filters: usize, output_padding: Option<PerAxis<N>>) -> Result<Geometry> {
        let (cells, channels) = axes::<N>(input)?;
        if input.contains(&0) {
            return Err(Error::input_shape("without empty axes", input));
        }
        if let Some(PerAxis(padding)) = output_padding
            && padding.iter().zip(&self.strides.0).any(|(padding, stride)| padding >= stride)
        {
            let expected = format!("below `strides`, which are {:?}", self.strides.0);
            return Err(Error::option("output_padding", expected, format!("{padding:?}")));
        }
        let mut geometry = self.points(filters, channels, 1);
        let mut volume = filters;
        for (axis, &n) in cells.iter().enumerate() {
            let (stride, reach) = (self.strides.0[axis], self.reach(axis)?);
            let extra = output_padding.map(|padding| padding.0[axis]);
            // Keras pads x, spread by the stride, and convolves; what it pads in front short of `reach` − 1 is cropped.
            let (front, behind) = if self.padding == Padding::Valid {
                (reach - 1, reach - 1 + extra.unwrap_or(stride.saturating_sub(reach)))
            } else {
                let both = extra.map_or(stride + reach - 2, |extra| reach + reach % 2 + extra - 2);
                let front = both.div_ceil(2).min(reach - 1);
                (front, both - front)
            };
            let size = (n - 1)
                .checked_mul(stride)
                .and_then(|spread| (spread + 1 + front).checked_add(behind))
                .map(|padded| padded - (reach - 1))
                .filter(|&size| size <= MOST_PADDED)
                .ok_or_else(|| Error::shape("an input whose output fits into memory", input))?;
            if size == 0 {
                return Err(Error::input_shape("whose output has no empty axes", input));
            }
            let at = 3 - N + axis;
            (geometry.input[at], geometry.output[at], geometry.before[at]) = (size, n, reach - 1 - front);
            volume = volume.saturating_mul(size.max((n - 1).saturating_mul(stride) + reach));
        }
        if volume > MOST_PADDED {
            return Err(Error::shape("an input whose output fits into memory", input));
        }
        Ok(geometry)
    }

    /// The geometry of one cell, with the sizes that do not depend on the input.
    fn points(&self, channels: usize, filters: usize, groups: usize) -> Geometry {
        let ones = [1; 3];
        let mut geometry = Geometry {
            input: ones,
            output: ones,
            kernel: ones,
            strides: ones,
            dilation: ones,
            before: [0; 3],
            channels,
            filters,
            groups,
        };
        geometry.kernel[3 - N..].copy_from_slice(&self.kernel_size.0);
        geometry.strides[3 - N..].copy_from_slice(&self.strides.0);
        geometry.dilation[3 - N..].copy_from_slice(&self.dilation_rate.0);
        geometry
    }
}

/// Refuses an option of 0.
pub(super) fn at_least_one(option: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::option(option, "at least 1", 0)) } else { Ok(()) }
}

/// The shape of the output, without the batch.
pub(super) fn output_shape(cells: &[usize], filters: usize) -> Result<Vec<usize>> {
    let shape = [cells, &[filters]].concat();
    checked_volume(&shape)?;
    Ok(shape)
}

/// Adds a parameter with what belongs to it.
fn add<F: Scalar>(
    params: &mut ParamBuilder<'_, F>,
    name: &str,
    shape: &[usize],
    initializer: &Initializer,
    regularizer: Option<&Regularizer>,
    constraint: Option<&Constraint>,
) -> Result<()> {
    params.add(name, shape, initializer)?.regularizer(regularizer).constraint(constraint);
    Ok(())
}

/// What of the activation the kernel does itself.
fn finish(activation: &Activation) -> Finish {
    if *activation == Activation::Relu { Finish::Relu } else { Finish::Linear }
}

/// The rest of the activation, keeping what its derivative needs.
fn activate<F: Scalar>(activation: &Activation, y: ViewMut<'_, F>, z: &mut Vec<F>, cx: &Context<'_, F>) {
    if finish(activation) == Finish::Linear {
        if cx.backward_follows() {
            activation.keep_input(&y, z);
        }
        activation.forward(y);
    }
}

const KERNEL: usize = 0;
const BIAS: usize = 1;

/// Whether a layer's kernel is that of the convolution, or of one that it transposes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Transposed,
}

impl Way {
    /// y = f(bias + convolution of x), with parameters number 0 and, if any, 1.
    fn forward<F: Scalar>(
        self,
        geometry: &Geometry,
        activation: &Activation,
        x: View<'_, F>,
        mut y: ViewMut<'_, F>,
        cache: &mut ConvCache<F>,
        cx: &Context<'_, F>,
    ) {
        let (kernel, bias) = (cx.params.at(KERNEL), (cx.params.len() > BIAS).then(|| cx.params.at(BIAS)));
        let pass = if self == Self::Plain { conv::forward } else { conv::grad_input };
        pass(geometry, &x, kernel, bias, finish(activation), &mut y, &mut cache.workspace);
        activate(activation, y, &mut cache.z, cx);
    }

    /// The gradients, from that of y.
    fn backward<F: Scalar>(
        self,
        geometry: &Geometry,
        activation: &Activation,
        (x, y): (View<'_, F>, View<'_, F>),
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut ConvCache<F>,
        cx: &Context<'_, F>,
    ) {
        if !cx.fused_loss {
            activation.backward(&cache.z, y, grad_y.lend());
        }
        if grads.wanted() {
            let (of_input, of_output) = if self == Self::Plain { (&*x, &*grad_y) } else { (&*grad_y, &*x) };
            conv::grad_kernel(geometry, of_input, of_output, grads.at_mut(KERNEL), &mut cache.workspace);
            if cx.params.len() > BIAS {
                reduce::add_column_sums(&grad_y, grads.at_mut(BIAS));
            }
        }
        if let Some(mut grad_x) = grad_x {
            let pass = if self == Self::Plain { conv::grad_input } else { conv::forward };
            let kernel = cx.params.at(KERNEL);
            pass(geometry, &grad_y, kernel, None, Finish::Linear, &mut grad_x, &mut cache.workspace);
        }
    }
}

/// [`layer_options!`](crate::config::layer_options) with those that every layer with a kernel has.
macro_rules! conv_options {
    ($(#[$meta:meta])* pub struct $name:ident($($required:tt)*) { $($own:tt)* }) => {
        crate::config::layer_options! {
            $(#[$meta])*
            pub struct $name($($required)*) {
                $($own)*
                /// Where the channels are. Default, and all there is: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// What the sums go through. Default: linear.
                activation: Activation = Activation::Linear => |activation: impl Into<Activation>| activation.into(),
                /// Whether a bias is added, one a filter. Default: true.
                use_bias: bool = true,
                /// How the kernel starts. Default: Glorot uniform.
                kernel_initializer: Initializer = Initializer::GlorotUniform,
                /// How the bias starts. Default: zeros.
                bias_initializer: Initializer = Initializer::Zeros,
                /// A penalty on the kernel. Default: none.
                kernel_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the bias. Default: none.
                bias_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// A penalty on the output, divided by the batch size. Default: none.
                activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
                /// What the kernel is held to after each update. Default: nothing.
                kernel_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
                /// What the bias is held to after each update. Default: nothing.
                bias_constraint: Option<Constraint> = None => |it: impl Into<Option<Constraint>>| it.into(),
            }
        }
    };
}

/// The passes of a layer with one kernel: `geometry(&self, input)` of the layer, and the [`Way`].
macro_rules! conv_passes {
    ($way:expr) => {
        fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, cache: &mut Self::Cache, cx: &Context<'_, F>) {
            let geometry = self.geometry(&x.shape()[1..]).expect("checked when built");
            $way.forward(&geometry, &self.activation, x, y, cache, cx);
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
            let geometry = self.geometry(&x.shape()[1..]).expect("checked when built");
            $way.backward(&geometry, &self.activation, (x, y), grad_y, grad_x, grads, cache, cx);
        }

        fn facts(&self) -> Facts {
            Facts::default().mask(MaskRule::Stop).output_activation(&self.activation)
        }

        fn describe(&self) -> Description {
            Description::of(self).activity_regularizer(self.activity_regularizer.as_ref())
        }
    };
}

use conv_options;
use conv_passes;
