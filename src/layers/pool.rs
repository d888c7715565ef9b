//! Pooling: the largest value, or the mean, of every window.

use super::spatial::{self, DataFormat, Padding, PerAxis};
use super::{Context, Facts, Grads, Layer, MaskRule, ParamBuilder, acts_as};
use crate::config::layer_options;
use crate::kernels::pool::{self, Windows};
use crate::{Result, Scalar, View, ViewMut};

/// What becomes of a window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Max,
    Avg,
}

impl Kind {
    /// One value of each window of `x`, for each of `c` channels.
    pub fn forward<F: Scalar>(self, windows: Windows, c: usize, x: &[F], y: &mut [F]) {
        match self {
            Self::Max => pool::max_pool(windows, c, x, y),
            Self::Avg => pool::avg_pool(windows, c, x, y),
        }
    }

    /// ∂L/∂x. The places of the largest values are found again by comparing.
    pub fn backward<F: Scalar>(self, windows: Windows, c: usize, x: &[F], y: &[F], grad_y: &[F], grad_x: &mut [F]) {
        match self {
            Self::Max => pool::max_pool_backward(windows, c, x, y, grad_y, grad_x),
            Self::Avg => pool::avg_pool_backward(windows, c, grad_y, grad_x),
        }
    }
}

/// Pooling over N axes.
struct Pool<const N: usize> {
    kind: Kind,
    size: [usize; N],
    strides: [usize; N],
    padding: Padding,
}

impl<const N: usize> Pool<N> {
    /// The windows over samples that the layer was built for, and how many channels they have.
    fn windows(&self, sample: &[usize]) -> (Windows, usize) {
        let (axes, channels) = spatial::axes(sample).expect("refused when it was built");
        (spatial::windows(axes, self.size, self.strides, self.padding), channels)
    }
}

impl<F: Scalar, const N: usize> Layer<F> for Pool<N> {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let (axes, channels) = spatial::axes::<N>(input)?;
        spatial::check_windows(axes, self.size, self.strides, self.padding, input)?;
        let (windows, _) = self.windows(input);
        Ok([&windows.output[3 - N..], &[channels]].concat())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        let (windows, channels) = self.windows(&x.shape()[1..]);
        self.kind.forward(windows, channels, &x, &mut y);
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        let (windows, channels) = self.windows(&x.shape()[1..]);
        self.kind.backward(windows, channels, &x, &y, &grad_y, &mut grad_x);
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(MaskRule::Stop)
    }
}

/// A pooling layer's options.
macro_rules! pooling {
    ($(#[$meta:meta])* $name:ident as $class:literal, $rank:literal, $kind:ident) => {
        layer_options! {
            $(#[$meta])*
            pub struct $name as $class {
                /// How large a window is along each axis. Default: 2.
                pool_size: [usize; $rank] = [2; $rank] => |size: impl Into<PerAxis<$rank>>| size.into().0,
                /// From one window to the next along each axis. Default: as large as a window.
                strides: Option<[usize; $rank]> = None => |strides: impl Into<PerAxis<$rank>>| Some(strides.into().0),
                /// What becomes of windows at the border: valid or same. Default: valid.
                padding: Padding = Padding::Valid,
                /// Where the channels stand: last.
                data_format: DataFormat = DataFormat::ChannelsLast,
            }
        }

        impl $name {
            fn acting(&self) -> Pool<$rank> {
                let Self { pool_size: size, padding, .. } = *self;
                Pool { kind: Kind::$kind, size, strides: self.strides.unwrap_or(size), padding }
            }
        }

        acts_as!($name, ());
    };
}

pooling! {
    /// Max pooling for sequences: keeps the largest value of each window and channel.
    ///
    /// y[b, i, c] = max over p < k of x[b, s·i + p, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, windows, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` 2, `strides` = `pool_size`, `padding` valid.
    /// # Errors
    /// When built: the input has not two axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 1]).add(MaxPool1D::new()).build()?;
    /// let x = array![[[1.0f32], [4.0], [2.0], [3.0]]];
    /// assert_eq!(model.predict(&x)?, array![[[4.0f32], [3.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MaxPooling1D`; derived in `docs/backward.md`, "Pooling".
    MaxPool1D as "MaxPooling1D", 1, Max
}

pooling! {
    /// Max pooling for images: keeps the largest value of each window and channel.
    ///
    /// y[b, i, j, c] = max over p < kh, q < kw of x[b, sh·i + p, sw·j + q, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` (2, 2), `strides` = `pool_size`, `padding` valid.
    /// # Errors
    /// When built: the input has not three axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 4, 1]).add(MaxPool2D::new()).build()?;
    /// let x = array![[[[1.0f32], [2.0], [5.0], [3.0]], [[4.0], [0.0], [1.0], [7.0]]]];
    /// assert_eq!(model.predict(&x)?, array![[[[4.0f32], [7.0]]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MaxPooling2D`; derived in `docs/backward.md`, "Pooling".
    MaxPool2D as "MaxPooling2D", 2, Max
}

pooling! {
    /// Max pooling for volumes and video: keeps the largest value of each window and channel.
    ///
    /// y[b, i, j, l, c] = max over o < kd, p < kh, q < kw of x[b, sd·i + o, sh·j + p, sw·l + q, c]
    ///
    /// Of equal values the first in row-major order takes the gradient; a NaN wins over every number.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, od, oh, ow, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` (2, 2, 2), `strides` = `pool_size`, `padding` valid.
    /// # Errors
    /// When built: the input has not four axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([16, 112, 112, 3]).add(MaxPool3D::new().pool_size([1, 2, 2])).build()?;
    /// assert_eq!(model.output_shape(0), [16, 56, 56, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `MaxPooling3D`; derived in `docs/backward.md`, "Pooling".
    MaxPool3D as "MaxPooling3D", 3, Max
}

pooling! {
    /// Average pooling for sequences: the mean of each window and channel.
    ///
    /// y[b, i, c] = mean over p < k of x[b, s·i + p, c]
    ///
    /// Padding does not count: a window at the border has the mean of the cells inside.
    ///
    /// # Shapes
    /// (batch, steps, channels) → (batch, windows, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` 2, `strides` = `pool_size`, `padding` valid. Keras has no default for `pool_size` here.
    /// # Errors
    /// When built: the input has not two axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 1]).add(AvgPool1D::new()).build()?;
    /// let x = array![[[1.0f32], [4.0], [2.0], [3.0]]];
    /// assert_eq!(model.predict(&x)?, array![[[2.5f32], [2.5]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `AveragePooling1D`; derived in `docs/backward.md`, "Pooling".
    AvgPool1D as "AveragePooling1D", 1, Avg
}

pooling! {
    /// Average pooling for images: the mean of each window and channel.
    ///
    /// y[b, i, j, c] = mean over p < kh, q < kw of x[b, sh·i + p, sw·j + q, c]
    ///
    /// Padding does not count: a window at the border has the mean of the cells inside.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → (batch, oh, ow, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` (2, 2), `strides` = `pool_size`, `padding` valid. Keras has no default for `pool_size` here.
    /// # Errors
    /// When built: the input has not three axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 4, 1]).add(AvgPool2D::new()).build()?;
    /// let x = array![[[[1.0f32], [2.0], [5.0], [3.0]], [[4.0], [1.0], [1.0], [7.0]]]];
    /// assert_eq!(model.predict(&x)?, array![[[[2.0f32], [4.0]]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `AveragePooling2D`; derived in `docs/backward.md`, "Pooling".
    AvgPool2D as "AveragePooling2D", 2, Avg
}

pooling! {
    /// Average pooling for volumes and video: the mean of each window and channel.
    ///
    /// y[b, i, j, l, c] = mean over o < kd, p < kh, q < kw of x[b, sd·i + o, sh·j + p, sw·l + q, c]
    ///
    /// Padding does not count: a window at the border has the mean of the cells inside.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → (batch, od, oh, ow, channels); no parameters.
    /// Along each axis, valid: ⌊(size − window) / stride⌋ + 1 windows; same: ⌈size / stride⌉.
    /// # Defaults
    /// `pool_size` (2, 2, 2), `strides` = `pool_size`, `padding` valid. Keras has no default for `pool_size` here.
    /// # Errors
    /// When built: the input has not four axes or an empty one, a size or a stride is 0, or with valid padding the
    /// input is smaller than a window.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([16, 112, 112, 3]).add(AvgPool3D::new().pool_size([1, 2, 2])).build()?;
    /// assert_eq!(model.output_shape(0), [16, 56, 56, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `AveragePooling3D`; derived in `docs/backward.md`, "Pooling".
    AvgPool3D as "AveragePooling3D", 3, Avg
}
