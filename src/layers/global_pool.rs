//! Global pooling: one value a channel.

use super::pool::Kind;
use super::spatial::{self, DataFormat};
use super::{Context, Facts, Grads, Layer, MaskRule, ParamBuilder, acts_as};
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

/// Pooling of all cells along N axes.
struct GlobalPool<const N: usize> {
    kind: Kind,
    keepdims: bool,
}

impl<const N: usize> GlobalPool<N> {
    /// The mask that counts: that of a mean over steps. The largest of a sequence heeds no mask, as in Keras.
    fn mask<'a, F: Scalar>(&self, cx: &Context<'a, F>) -> Option<&'a [bool]> {
        cx.mask().filter(|_| self.kind == Kind::Avg && N == 1)
    }
}

impl<F: Scalar, const N: usize> Layer<F> for GlobalPool<N> {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let (axes, channels) = spatial::axes::<N>(input)?;
        if axes.contains(&0) {
            return Err(Error::input_shape("without empty axes", input));
        }
        let kept = if self.keepdims { N } else { 0 };
        Ok([&[1; N][..kept], &[channels]].concat())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        let (window, channels) = whole(x.shape());
        match self.mask(cx) {
            Some(mask) => pool::masked_mean(mask, channels, &x, &mut y),
            None => self.kind.forward(window, channels, &x, &mut y),
        }
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
        match self.mask(cx) {
            Some(mask) => pool::masked_mean_backward(mask, channels, &grad_y, &mut grad_x),
            None => self.kind.backward(window, channels, &x, &y, &grad_y, &mut grad_x),
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop)
    }
}

/// A global pooling layer's options.
macro_rules! global_pooling {
    ($(#[$meta:meta])* $name:ident as $class:literal, $rank:literal, $kind:ident) => {
        layer_options! {
            $(#[$meta])*
            pub struct $name as $class {
                /// Whether the pooled axes stay, with size 1. Default: false.
                keepdims: bool = false,
                /// Where the channels stand: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl $name {
            fn acting(&self) -> GlobalPool<$rank> {
                GlobalPool { kind: Kind::$kind, keepdims: self.keepdims }
            }
        }

        acts_as!($name, ());
    };
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
