//! Convolutional layers. What they share: sizes, parameters, and the passes around [`kernels::conv`](crate::kernels::conv).

mod depthwise;
mod one_kernel;
mod plain;
mod separable;
mod transpose;

pub use depthwise::{DepthwiseConv1D, DepthwiseConv2D};
pub use plain::{Conv1D, Conv2D, Conv3D};
pub use separable::{SeparableConv1D, SeparableConv2D};
pub use transpose::{Conv1DTranspose, Conv2DTranspose, Conv3DTranspose};

use super::Context;
use super::spatial::{Padding, PerAxis, axes, check_positive};
use crate::kernels::conv::{Finish, Geometry};
use crate::tensor::checked_volume;
use crate::{Activation, Error, Result, Scalar, ViewMut, memory};

/// How a kernel lies on its input.
#[derive(Clone, Copy)]
pub(super) struct Placement<const N: usize> {
    pub kernel_size: PerAxis<N>,
    pub strides: PerAxis<N>,
    pub dilation_rate: PerAxis<N>,
    pub padding: Padding,
}

/// No padded sample has more values: 2³⁶, or what 32 bits can address.
const MOST_PADDED: usize = isize::MAX as usize >> if usize::BITS > 32 { 27 } else { 4 };

/// Whether there is memory for a sample of so many values, padding included, and for few enough of them to be addressed.
fn is_there(values: usize) -> bool {
    values <= MOST_PADDED && memory::is_there(memory::bytes_of::<f32>(&[values]))
}

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
        if !is_there(padded) {
            return Err(Error::shape("an input that fits into memory with its padding", input));
        }
        Ok(geometry)
    }

    /// The same for a transposed convolution: x is the `output` of the convolution that it transposes, y its `input`.
    ///
    /// With reach k along an axis, stride s and output padding p, n cells become (n − 1)·s + max(k, s), or with p
    /// (n − 1)·s + k + p, where nothing is cropped; n·s, or (n − 1)·s + k mod 2 + p, with padding `same`.
    pub fn transposed(&self, input: &[usize], filters: usize, output_padding: Option<PerAxis<N>>) -> Result<Geometry> {
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
        if !is_there(volume) {
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

/// Output channels of a depthwise convolution.
fn depthwise_filters(channels: usize, depth_multiplier: usize) -> Result<usize> {
    channels
        .checked_mul(depth_multiplier)
        .ok_or_else(|| Error::option("depth_multiplier", "small enough for memory", depth_multiplier))
}

/// The shape of the output, without the batch.
pub(super) fn output_shape(cells: &[usize], filters: usize) -> Result<Vec<usize>> {
    let shape = [cells, &[filters]].concat();
    checked_volume(&shape)?;
    Ok(shape)
}

/// What of the activation the kernel does itself.
fn finish(activation: &Activation) -> Finish {
    match activation {
        Activation::Relu => Finish::Relu,
        Activation::Relu6 => Finish::Relu6,
        _ => Finish::Linear,
    }
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

/// [`layer_options!`](crate::config::layer_options) with those that all convolutions over so many axes have, and where the
/// kernel lies by them.
macro_rules! conv_options {
    (
        $axes:literal;
        $(#[$meta:meta])* pub struct $name:ident($($required:tt)*) { $($own:tt)* }
        weights { $($weights:tt)* }
    ) => {
        crate::config::layer_options! {
            $(#[$meta])*
            pub struct $name($($required)*) {
                /// From one window to the next. Default: 1.
                strides: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                /// What becomes of windows at the border. Default: valid.
                padding: Padding = Padding::Valid,
                /// From one tap of the kernel to the next. Default: 1.
                dilation_rate: PerAxis<$axes> = PerAxis([1; $axes]) => |it: impl Into<PerAxis<$axes>>| it.into(),
                $($own)*
                /// Where the channels are. Default, and all there is: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
                /// The activation function. Default: linear.
                activation: Activation = Activation::Linear,
                /// Whether a bias is added, one a channel of the output. Default: true.
                use_bias: bool = true,
                /// A regularizer of the output, divided by the batch size. Default: none.
                activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
            }
            weights {
                $($weights)*
                bias: "the bias" = Initializer::Zeros => "zeros",
            }
        }

        impl $name {
            fn placement(&self) -> Placement<$axes> {
                let Self { kernel_size, strides, dilation_rate, padding, .. } = *self;
                Placement { kernel_size, strides, dilation_rate, padding }
            }
        }
    };
}

use conv_options;
