//! Convolutions over sequences, images and volumes.

use super::one_kernel::{ConvCache, Convolution, Kind};
use super::{Placement, conv_options};
use crate::Activation;
use crate::initializers::Initializer;
use crate::layers::acts_as;
use crate::layers::spatial::{DataFormat, Padding, PerAxis};
use crate::regularizers::Regularizer;

/// A convolution over so many axes.
macro_rules! convolution {
    ($axes:literal, causal: $causal:literal; $(#[$meta:meta])* $name:ident) => {
        conv_options! { $axes;
            $(#[$meta])*
            pub struct $name(
                /// How many outputs each window has.
                filters: usize,
                /// The size of the window.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// Into how many parts the channels are cut, each part of the filters seeing one. Default: 1.
                groups: usize = 1,
            }
            weights { kernel: "the kernel" = Initializer::GlorotUniform => "Glorot uniform", }
        }

        impl $name {
            fn acting(&self) -> Convolution<'_, $axes> {
                Convolution {
                    kind: Kind::Plain { filters: self.filters, groups: self.groups, causal: $causal },
                    placement: self.placement(),
                    activation: &self.activation,
                    kernel: &self.kernel,
                    bias: self.use_bias.then_some(&self.bias),
                    activity_regularizer: self.activity_regularizer.as_ref(),
                }
            }
        }

        acts_as!($name, ConvCache<F>);
    };
}

convolution! { 1, causal: true;
    /// A convolution over sequences: each output is a weighted sum of a window of steps, through an activation.
    ///
    /// y[b, o, f] = act(`bias[f]` + Σ over t, c of x[b, o·s + t·r − p, c] · kernel[t, c, f]), with stride s, dilation r, and
    /// p steps of padding in front; x is 0 outside.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, out, filters). Parameters: `kernel` (window, channels / groups, filters), `bias`
    /// (filters). With k = (window − 1)·r + 1: valid gives out = ⌊(steps − k) / s⌋ + 1; same and causal ⌈steps / s⌉.
    /// Causal pads k − 1 steps in front, so that no output sees a later step.
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `groups` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; `groups` that divide channels or filters into no whole
    /// parts; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([20, 3]).add(Conv1D::new(8, 5).padding(Padding::Causal).activation(Relu)).build()?;
    /// assert_eq!(model.output_shape(0), [20, 8]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv1D`; derived in `docs/backward.md`, "Convolution".
    Conv1D
}

convolution! { 2, causal: false;
    /// A convolution over images: each output is a weighted sum of a window of pixels, through an activation.
    ///
    /// y[b, i, j, f] = act(`bias[f]` + Σ over p, q, c of x[b, i·s + p·r − pad, j·s + q·r − pad, c] · kernel[p, q, c, f]), with
    /// stride s, dilation r and padding, all three along each axis; x is 0 outside.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, filters). Parameters: `kernel` (kh, kw, channels / groups,
    /// filters), `bias` (filters). With k = (kh − 1)·r + 1: valid gives oh = ⌊(height − k) / s⌋ + 1; same ⌈height / s⌉,
    /// with half of the padding in front, rounded down.
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `groups` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; `groups` that divide channels or filters into no whole
    /// parts; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new()
    ///     .input([28, 28, 1])
    ///     .add(Conv2D::new(32, 3).activation(Relu))
    ///     .add(Conv2D::new(64, (3, 5)).strides(2).padding(Padding::Same))
    ///     .build()?;
    /// assert_eq!(model.output_shape(0), [13, 13, 64]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv2D`; derived in `docs/backward.md`, "Convolution".
    Conv2D
}

convolution! { 3, causal: false;
    /// A convolution over volumes, or images in time: each output is a weighted sum of a window of voxels.
    ///
    /// As [`Conv2D`], with a third axis in front.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, od, oh, ow, filters). Parameters: `kernel` (kd, kh, kw, channels /
    /// groups, filters), `bias` (filters). Sizes of the output as for [`Conv2D`].
    /// # Defaults
    /// `strides` 1, `padding` valid, `dilation_rate` 1, `groups` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// As [`Conv2D`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([8, 16, 16, 1]).add(Conv3D::new(4, 3).activation(Relu)).build()?;
    /// assert_eq!(model.output_shape(0), [6, 14, 14, 4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv3D`; derived in `docs/backward.md`, "Convolution".
    Conv3D
}
