//! Depthwise convolutions: every channel by itself.

use super::one_kernel::{ConvCache, Convolution, Kind};
use super::{Placement, conv_options};
use crate::Activation;
use crate::initializers::Initializer;
use crate::layers::acts_as;
use crate::layers::spatial::{DataFormat, Padding, PerAxis};
use crate::regularizers::Regularizer;

/// A depthwise convolution over so many axes.
macro_rules! depthwise_convolution {
    ($axes:literal; $(#[$meta:meta])* $name:ident) => {
        conv_options! { $axes;
            $(#[$meta])*
            pub struct $name(
                /// The size of the window.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// How many outputs each channel has. Default: 1.
                depth_multiplier: usize = 1,
            }
            weights {
                depthwise: "the kernel" = Initializer::GlorotUniform => "Glorot uniform",
            }
        }

        impl $name {
            fn acting(&self) -> Convolution<'_, $axes> {
                Convolution {
                    kind: Kind::Depthwise { multiplier: self.depth_multiplier },
                    placement: self.placement(),
                    activation: &self.activation,
                    kernel: &self.depthwise,
                    bias: self.use_bias.then_some(&self.bias),
                    activity_regularizer: self.activity_regularizer.as_ref(),
                }
            }
        }

        acts_as!($name, ConvCache<F>);
    };
}

depthwise_convolution! { 1;
    /// A depthwise convolution over sequences: every channel is convolved by itself.
    ///
    /// y[b, o, c·m + n] = act(bias[c·m + n] + Σ over t of x[b, o·s + t·r − p, c] · kernel[t, c, n]), m the multiplier.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, out, channels · `depth_multiplier`). Parameters: `kernel` (window, channels,
    /// `depth_multiplier`), `bias` (channels · `depth_multiplier`). Sizes of the output as for [`Conv1D`](super::Conv1D).
    /// # Defaults
    /// `strides` 1, `padding` valid, `depth_multiplier` 1, `dilation_rate` 1, `activation` linear, `use_bias` true,
    /// `depthwise_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: a size of 0; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([20, 3]).add(DepthwiseConv1D::new(5).depth_multiplier(2)).build()?;
    /// assert_eq!(model.output_shape(0), [16, 6]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `DepthwiseConv1D`; derived in `docs/backward.md`, "Convolution".
    DepthwiseConv1D
}

depthwise_convolution! { 2;
    /// A depthwise convolution over images: every channel is convolved by itself.
    ///
    /// y[b, i, j, c·m + n] = act(bias[c·m + n] + Σ over p, q of x[b, i·s + p·r − pad, j·s + q·r − pad, c] · kernel[p, q, c,
    /// n]), m the multiplier.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, channels · `depth_multiplier`). Parameters: `kernel` (kh, kw,
    /// channels, `depth_multiplier`), `bias` (channels · `depth_multiplier`). Sizes of the output as for
    /// [`Conv2D`](super::Conv2D).
    /// # Defaults
    /// `strides` 1, `padding` valid, `depth_multiplier` 1, `dilation_rate` 1, `activation` linear, `use_bias` true,
    /// `depthwise_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: a size of 0; an input of other axes, or smaller than the window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let layer = DepthwiseConv2D::new(3).padding(Padding::Same).use_bias(false);
    /// let model = Sequential::new().input([8, 8, 5]).add(layer).build()?;
    /// assert_eq!(model.output_shape(0), [8, 8, 5]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `DepthwiseConv2D`; derived in `docs/backward.md`, "Convolution".
    DepthwiseConv2D
}
