//! Global pooling: one value a channel.

use super::spatial::{self, DataFormat};
use super::{Context, Description, Facts, Grads, Layer, MaskRule, ParamBuilder};
use crate::config::layer_options;
use crate::kernels::pool::{self, Windows};
use crate::{Error, Result, Scalar, View, ViewMut};

/// The one window over all of an input whose shape is given with the batch, and the channels.
fn whole(shape: &[usize]) -> (Windows, usize) {
    let (&channels, axes) = shape[1..].split_last().expect("the layer was built for an input with channels");
    let mut input = [1; 3];
    input[3 - axes.len()..].copy_from_slice(axes);
    (Windows::whole(input), channels)
}

/// A global pooling layer: its options, and its two passes through the kernels of `Max` or `Avg`.
macro_rules! global_pooling {
    ($(#[$meta:meta])* $name:ident as $class:literal, $rank:tt, $kind:ident) => {
        layer_options! {
            $(#[$meta])*
            pub struct $name as $class {
                /// Whether the pooled axes stay, with size 1. Default: false.
                keepdims: bool = false,
                /// Where the channels stand: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl<F: Scalar> Layer<F> for $name {
            type Cache = ();

            fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
                let (axes, channels) = spatial::axes::<$rank>(input)?;
                if axes.contains(&0) {
                    return Err(Error::input_shape("without empty axes", input));
                }
                let kept = if self.keepdims { $rank } else { 0 };
                Ok([&[1; $rank][..kept], &[channels]].concat())
            }

            fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
                let (window, channels) = whole(x.shape());
                kernels!($kind, $rank, forward: cx, window, channels, x, y);
            }

            fn backward(
                &self,
                x: View<'_, F>,
                y: View<'_, F>,
                grad_y: ViewMut<'_, F>,
                grad_x: Option<ViewMut<'_, F>>,
                _: &mut Grads<'_, F>,
                (): &mut (),
                cx: &Context<'_, F>,
            ) {
                let Some(mut grad_x) = grad_x else { return };
                let (window, channels) = whole(x.shape());
                kernels!($kind, $rank, backward: cx, window, channels, x, y, grad_y, grad_x);
            }

            fn describe(&self) -> Description {
                Description::of(self)
            }

            fn facts(&self) -> Facts {
                Facts::default().mask(MaskRule::Stop)
            }
        }
    };
}

macro_rules! kernels {
    (Max, $rank:literal, forward: $cx:ident, $window:ident, $c:ident, $x:ident, $y:ident) => {{
        let _ = $cx; // the largest of a sequence heeds no mask, as in Keras
        pool::max_pool($window, $c, &$x, &mut $y)
    }};
    (Avg, 1, forward: $cx:ident, $window:ident, $c:ident, $x:ident, $y:ident) => {
        match $cx.mask() {
            Some(mask) => pool::masked_mean(mask, $c, &$x, &mut $y),
            None => pool::avg_pool($window, $c, &$x, &mut $y),
        }
    };
    (Avg, $rank:literal, forward: $cx:ident, $window:ident, $c:ident, $x:ident, $y:ident) => {{
        let _ = $cx;
        pool::avg_pool($window, $c, &$x, &mut $y)
    }};
    (
        Max, $rank:literal, backward: $cx:ident, $window:ident, $c:ident,
        $x:ident, $y:ident, $grad_y:ident, $grad_x:ident
    ) => {{
        let _ = $cx;
        pool::max_pool_backward($window, $c, &$x, &$y, &$grad_y, &mut $grad_x)
    }};
    (
        Avg, 1, backward: $cx:ident, $window:ident, $c:ident, $x:ident, $y:ident, $grad_y:ident, $grad_x:ident
    ) => {{
        let _ = $y;
        match $cx.mask() {
            Some(mask) => pool::masked_mean_backward(mask, $c, &$grad_y, &mut $grad_x),
            None => pool::avg_pool_backward($window, $c, &$grad_y, &mut $grad_x),
        }
    }};
    (
        Avg, $rank:literal, backward: $cx:ident, $window:ident, $c:ident,
        $x:ident, $y:ident, $grad_y:ident, $grad_x:ident
    ) => {{
        let _ = ($cx, $y);
        pool::avg_pool_backward($window, $c, &$grad_y, &mut $grad_x)
    }};
}

global_pooling! {
    /// The largest value of each channel over all steps of a sequence.
    ///
    /// y[b, c] = max over t of x[b, t, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, channels), with `keepdims` (batch, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not two axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([3, 2]).add(GlobalMaxPool1D::new()).build()?;
    /// let x = array![[[1.0f32, 5.0], [4.0, 2.0], [3.0, 3.0]]];
    /// assert_eq!(model.predict(&x)?, array![[4.0f32, 5.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalMaxPooling1D`; derived in `docs/backward.md`, "Pooling".
    GlobalMaxPool1D as "GlobalMaxPooling1D", 1, Max
}

global_pooling! {
    /// The largest value of each channel over all pixels of an image.
    ///
    /// y[b, c] = max over i, j of x[b, i, j, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, channels), with `keepdims` (batch, 1, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not three axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([1, 3, 2]).add(GlobalMaxPool2D::new()).build()?;
    /// let x = array![[[[1.0f32, 5.0], [4.0, 2.0], [3.0, 3.0]]]];
    /// assert_eq!(model.predict(&x)?, array![[4.0f32, 5.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalMaxPooling2D`; derived in `docs/backward.md`, "Pooling".
    GlobalMaxPool2D as "GlobalMaxPooling2D", 2, Max
}

global_pooling! {
    /// The largest value of each channel over all cells of a volume.
    ///
    /// y[b, c] = max over i, j, k of x[b, i, j, k, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, channels), with `keepdims` (batch, 1, 1, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not four axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 7, 7, 64]).add(GlobalMaxPool3D::new()).build()?;
    /// assert_eq!(model.output_shape(0), [64]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalMaxPooling3D`; derived in `docs/backward.md`, "Pooling".
    GlobalMaxPool3D as "GlobalMaxPooling3D", 3, Max
}

global_pooling! {
    /// The mean of each channel over all steps of a sequence.
    ///
    /// y[b, c] = mean over t of x[b, t, c]
    ///
    /// A mask beside the input leaves out the steps that do not count; a sequence of which none counts gives NaN, as in
    /// Keras.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, channels), with `keepdims` (batch, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not two axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 2]).add(GlobalAvgPool1D::new()).build()?;
    /// let x = array![[[1.0f32, 5.0], [4.0, 2.0], [3.0, 3.0], [0.0, 2.0]]];
    /// assert_eq!(model.predict(&x)?, array![[2.0f32, 3.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalAveragePooling1D`; derived in `docs/backward.md`, "Pooling".
    GlobalAvgPool1D as "GlobalAveragePooling1D", 1, Avg
}

global_pooling! {
    /// The mean of each channel over all pixels of an image.
    ///
    /// y[b, c] = mean over i, j of x[b, i, j, c]
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, channels), with `keepdims` (batch, 1, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not three axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 2, 2]).add(GlobalAvgPool2D::new()).build()?;
    /// let x = array![[[[1.0f32, 5.0], [4.0, 2.0]], [[3.0, 3.0], [0.0, 2.0]]]];
    /// assert_eq!(model.predict(&x)?, array![[2.0f32, 3.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalAveragePooling2D`; derived in `docs/backward.md`, "Pooling".
    GlobalAvgPool2D as "GlobalAveragePooling2D", 2, Avg
}

global_pooling! {
    /// The mean of each channel over all cells of a volume.
    ///
    /// y[b, c] = mean over i, j, k of x[b, i, j, k, c]
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, channels), with `keepdims` (batch, 1, 1, 1, channels); no parameters.
    /// # Defaults
    /// `keepdims` false.
    /// # Errors
    /// When built: the input has not four axes, or an empty one.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 7, 7, 64]).add(GlobalAvgPool3D::new()).build()?;
    /// assert_eq!(model.output_shape(0), [64]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `GlobalAveragePooling3D`; derived in `docs/backward.md`, "Pooling".
    GlobalAvgPool3D as "GlobalAveragePooling3D", 3, Avg
}
