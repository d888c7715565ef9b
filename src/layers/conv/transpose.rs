//! Transposed convolutions, which make images larger.

use super::one_kernel::{ConvCache, Convolution, Kind};
use super::{Placement, conv_options};
use crate::Activation;
use crate::initializers::Initializer;
use crate::layers::acts_as;
use crate::layers::spatial::{DataFormat, Padding, PerAxis};
use crate::regularizers::Regularizer;

/// A transposed convolution over so many axes.
macro_rules! transposed_convolution {
    ($axes:literal; $(#[$meta:meta])* $name:ident) => {
        conv_options! { $axes;
            $(#[$meta])*
            pub struct $name(
                /// How many channels the output has.
                filters: usize,
                /// The size of the window that each input spreads over.
                kernel_size: PerAxis<$axes> => impl Into<PerAxis<$axes>>,
            ) {
                /// Cells that the output has behind those that the windows reach; below the stride. Default: as many as
                /// give the usual size.
                output_padding: Option<PerAxis<$axes>> = None => |it: impl Into<PerAxis<$axes>>| Some(it.into()),
            }
            weights { kernel: "the kernel" = Initializer::GlorotUniform => "Glorot uniform", }
        }

        impl $name {
            fn acting(&self) -> Convolution<'_, $axes> {
                Convolution {
                    kind: Kind::Transposed { filters: self.filters, output_padding: self.output_padding },
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

transposed_convolution! { 1;
    /// A transposed convolution over sequences: each step spreads over a window of the output, which is longer.
    ///
    /// As [`Conv2DTranspose`], along one axis.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, out, filters). Parameters: `kernel` (window, filters, channels), `bias` (filters).
    /// Sizes of the output as for [`Conv2DTranspose`].
    /// # Defaults
    /// `strides` 1, `padding` valid, `output_padding` none, `dilation_rate` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// As [`Conv2DTranspose`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([10, 4]).add(Conv1DTranspose::new(2, 3).strides(2)).build()?;
    /// assert_eq!(model.output_shape(0), [21, 2]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv1DTranspose`; derived in `docs/backward.md`, "Convolution".
    Conv1DTranspose
}

transposed_convolution! { 2;
    /// A transposed convolution over images, also called deconvolution: each pixel spreads over a window of the output.
    ///
    /// y[b, i, j, f] = act(`bias[f]` + Σ x[b, k, l, c] · kernel[p, q, f, c]) over c and all k, l, p, q with k·s + p·r − crop = i
    /// and l·s + q·r − crop = j, with stride s and dilation r: the gradient of a [`Conv2D`](super::Conv2D) by its input.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, filters). Parameters: `kernel` (kh, kw, filters, channels), `bias`
    /// (filters). With k = (kh − 1)·r + 1 and `output_padding` p: valid gives oh = (height − 1)·s + max(k, s), or with p
    /// (height − 1)·s + k + p; same gives height·s, or with p (height − 1)·s + k mod 2 + p.
    /// # Defaults
    /// `strides` 1, `padding` valid, `output_padding` none, `dilation_rate` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// When built: a size of 0; strides and dilation both above 1; `output_padding` not below the stride; an input of other
    /// axes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new()
    ///     .input([7, 7, 64])
    ///     .add(Conv2DTranspose::new(32, 4).strides(2).padding(Padding::Same).activation(Relu))
    ///     .build()?;
    /// assert_eq!(model.output_shape(0), [14, 14, 32]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv2DTranspose`; derived in `docs/backward.md`, "Convolution".
    Conv2DTranspose
}

transposed_convolution! { 3;
    /// A transposed convolution over volumes: each voxel spreads over a window of the output.
    ///
    /// As [`Conv2DTranspose`], with a third axis in front.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, od, oh, ow, filters). Parameters: `kernel` (kd, kh, kw, filters,
    /// channels), `bias` (filters). Sizes of the output as for [`Conv2DTranspose`].
    /// # Defaults
    /// `strides` 1, `padding` valid, `output_padding` none, `dilation_rate` 1, `activation` linear, `use_bias` true,
    /// `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no regularizers, no constraints.
    /// # Errors
    /// As [`Conv2DTranspose`].
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 3, 3, 4]).add(Conv3DTranspose::new(2, 2).strides(2)).build()?;
    /// assert_eq!(model.output_shape(0), [4, 6, 6, 2]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Conv3DTranspose`; derived in `docs/backward.md`, "Convolution".
    Conv3DTranspose
}
