//! Padding with zeros, and cropping.

use super::spatial::{self, Border, DataFormat};
use super::{Context, Facts, Grads, Layer, MaskRule, ParamBuilder, acts_as};
use crate::config::layer_options;
use crate::kernels::resample::{self, Frame};
use crate::memory::room;
use crate::{Error, Result, Scalar, View, ViewMut};

/// The frame of a padding around samples of these sizes.
fn pad_frame<const N: usize>(sizes: [usize; N], border: Border<N>) -> Option<Frame> {
    let mut frame = Frame { outer: [1; 3], inner: [1; 3], before: [0; 3] };
    for (axis, [before, behind]) in border.0.into_iter().enumerate() {
        let at = 3 - N + axis;
        frame.inner[at] = sizes[axis];
        frame.outer[at] = sizes[axis].checked_add(before)?.checked_add(behind)?;
        frame.before[at] = before;
    }
    Some(frame)
}

/// The frame of what a cropping leaves of samples of these sizes, if it leaves anything.
fn crop_frame<const N: usize>(sizes: [usize; N], border: Border<N>) -> Option<Frame> {
    let mut frame = Frame { outer: [1; 3], inner: [1; 3], before: [0; 3] };
    for (axis, [before, behind]) in border.0.into_iter().enumerate() {
        let at = 3 - N + axis;
        frame.outer[at] = sizes[axis];
        frame.inner[at] = sizes[axis].checked_sub(before)?.checked_sub(behind).filter(|&left| left > 0)?;
        frame.before[at] = before;
    }
    Some(frame)
}

#[derive(Clone, Copy)]
enum Way {
    Pad,
    Crop,
}

/// A layer that pads or crops N axes.
struct PaddingOrCropping<const N: usize> {
    way: Way,
    border: Border<N>,
}

impl<const N: usize> PaddingOrCropping<N> {
    /// The frame for samples of the shape `sample`, and how many channels they have.
    fn frame(&self, sample: &[usize]) -> Result<(Frame, usize)> {
        let (sizes, channels) = spatial::axes::<N>(sample)?;
        let (frame, expected) = match self.way {
            Way::Pad => (pad_frame(sizes, self.border), "that memory can hold with its `padding`"),
            Way::Crop => (crop_frame(sizes, self.border), "of which something is left after its `cropping`"),
        };
        let frame = frame.ok_or_else(|| Error::input_shape(format!("{expected}, {:?}", self.border.0), sample))?;
        Ok((frame, channels))
    }
}

impl<F: Scalar, const N: usize> Layer<F> for PaddingOrCropping<N> {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let (frame, channels) = self.frame(input)?;
        let sizes = match self.way {
            Way::Pad => frame.outer,
            Way::Crop => frame.inner,
        };
        let shape = [&sizes[3 - N..], &[channels]].concat();
        let option = match self.way {
            Way::Pad => "padding",
            Way::Crop => "cropping",
        };
        room::<F>(option, format!("{:?}", self.border.0), &shape)?;
        Ok(shape)
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        let (frame, channels) = self.frame(&x.shape()[1..]).expect("refused when it was built");
        match self.way {
            Way::Pad => resample::pad(frame, channels, &x, &mut y),
            Way::Crop => resample::crop(frame, channels, &x, &mut y),
        }
    }

    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        let (frame, channels) = self.frame(&x.shape()[1..]).expect("refused when it was built");
        match self.way {
            Way::Pad => resample::crop(frame, channels, &grad_y, &mut grad_x),
            Way::Crop => resample::pad(frame, channels, &grad_y, &mut grad_x),
        }
    }

    fn facts(&self) -> Facts {
        let facts = Facts::default().backward_reads_output(false).mask(MaskRule::Stop);
        match self.way {
            Way::Pad => {
                let mut border = [[0; 2]; 3];
                border[3 - N..].copy_from_slice(&self.border.0);
                facts.only_border(border)
            }
            Way::Crop => facts,
        }
    }
}

/// The options of such a layer.
macro_rules! padding_or_cropping {
    (
        $(#[$meta:meta])* $name:ident, $rank:literal, $way:ident,
        $(#[$option_meta:meta])* $option:ident = $default:literal $(, $data_format:ident)?
    ) => {
        layer_options! {
            $(#[$meta])*
            pub struct $name {
                $(#[$option_meta])*
                $option: Border<$rank> = Border([[$default; 2]; $rank]) => |sizes: impl Into<Border<$rank>>| sizes.into(),
                $(
                    /// Where the channels stand: last.
                    $data_format: DataFormat = DataFormat::ChannelsLast,
                )?
            }
        }

        impl $name {
            fn acting(&self) -> PaddingOrCropping<$rank> {
                PaddingOrCropping { way: Way::$way, border: self.$option }
            }
        }

        acts_as!($name, ());
    };
}

padding_or_cropping! {
    /// Zeros before and behind a sequence.
    ///
    /// # Shapes
    /// (batch, steps, channels) → along each axis as many cells more as `padding` says; no parameters.
    /// # Defaults
    /// `padding` 1 on every side.
    /// # Errors
    /// When built: the input has not two axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2, 1]).add(ZeroPadding1D::new().padding([1, 0])).build()?;
    /// assert_eq!(model.predict(&array![[[1.0f32], [2.0]]])?, array![[[0.0f32], [1.0], [2.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ZeroPadding1D`; derived in `docs/backward.md`, "Resizing".
    ZeroPadding1D, 1, Pad,
    /// How many cells: one number, or `[before, behind]`. Default: 1 on every side.
    padding = 1, data_format
}

padding_or_cropping! {
    /// Zeros before and behind images.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → along each axis as many cells more as `padding` says; no parameters.
    /// # Defaults
    /// `padding` 1 on every side.
    /// # Errors
    /// When built: the input has not three axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([28, 28, 1]).add(ZeroPadding2D::new().padding([[1, 1], [2, 0]])).build()?;
    /// assert_eq!(model.output_shape(0), [30, 30, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ZeroPadding2D`; derived in `docs/backward.md`, "Resizing".
    ZeroPadding2D, 2, Pad,
    /// How many cells: one number, `[height, width]` or `[[top, bottom], [left, right]]`. Default: 1 on every side.
    padding = 1, data_format
}

padding_or_cropping! {
    /// Zeros before and behind volumes.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → along each axis as many cells more as `padding` says; no parameters.
    /// # Defaults
    /// `padding` 1 on every side.
    /// # Errors
    /// When built: the input has not four axes, or becomes too large for any memory.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 8, 8, 1]).add(ZeroPadding3D::new().padding([0, 1, 2])).build()?;
    /// assert_eq!(model.output_shape(0), [4, 10, 12, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ZeroPadding3D`; derived in `docs/backward.md`, "Resizing".
    ZeroPadding3D, 3, Pad,
    /// How many cells: one number, `[depth, height, width]` or a pair for each axis. Default: 1 on every side.
    padding = 1, data_format
}

padding_or_cropping! {
    /// What is left of a sequence without its border.
    ///
    /// # Shapes
    /// (batch, steps, channels) → along each axis as many cells fewer as `cropping` says; no parameters.
    /// # Defaults
    /// `cropping` 1 on every side.
    /// # Errors
    /// When built: the input has not two axes, or nothing would be left of it.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 1]).add(Cropping1D::new().cropping([1, 0])).build()?;
    /// let x = array![[[1.0f32], [2.0], [3.0], [4.0]]];
    /// assert_eq!(model.predict(&x)?, array![[[2.0f32], [3.0], [4.0]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Cropping1D`; derived in `docs/backward.md`, "Resizing".
    Cropping1D, 1, Crop,
    /// How many cells: one number, or `[before, behind]`. Default: 1 on every side.
    cropping = 1
}

padding_or_cropping! {
    /// What is left of images without their border.
    ///
    /// # Shapes
    /// (batch, height, width, channels) → along each axis as many cells fewer as `cropping` says; no parameters.
    /// # Defaults
    /// `cropping` 0.
    /// # Errors
    /// When built: the input has not three axes, or nothing would be left of it.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([28, 28, 1]).add(Cropping2D::new().cropping([[1, 1], [2, 0]])).build()?;
    /// assert_eq!(model.output_shape(0), [26, 26, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Cropping2D`; derived in `docs/backward.md`, "Resizing".
    Cropping2D, 2, Crop,
    /// How many cells: one number, `[height, width]` or `[[top, bottom], [left, right]]`. Default: 0.
    cropping = 0, data_format
}

padding_or_cropping! {
    /// What is left of volumes without their border.
    ///
    /// # Shapes
    /// (batch, depth, height, width, channels) → along each axis as many cells fewer as `cropping` says; no parameters.
    /// # Defaults
    /// `cropping` 1 on every side.
    /// # Errors
    /// When built: the input has not four axes, or nothing would be left of it.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4, 8, 8, 1]).add(Cropping3D::new().cropping([0, 1, 2])).build()?;
    /// assert_eq!(model.output_shape(0), [4, 6, 4, 1]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Cropping3D`; derived in `docs/backward.md`, "Resizing".
    Cropping3D, 3, Crop,
    /// How many cells: one number, `[depth, height, width]` or a pair for each axis. Default: 1 on every side.
    cropping = 1, data_format
}
