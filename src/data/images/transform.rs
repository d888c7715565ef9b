//! Parts of images, mirrored and turned images, other sizes and colours.
//!
//! Each takes one image (height, width, channels) or several (n, height, width, channels).

use ndarray::{Array, ArrayRef, Axis, Dimension, Slice};

use crate::error::show;
use crate::{Error, Result, Scalar, memory};

/// The axes of rows and columns.
pub(super) fn plane<T, D: Dimension>(call: &str, images: &ArrayRef<T, D>) -> Result<[Axis; 2]> {
    match images.ndim() {
        rank @ (3 | 4) => Ok([Axis(rank - 3), Axis(rank - 2)]),
        _ => Err(Error::shape("images (height, width, channels) or (n, height, width, channels)", images.shape())
            .within(call)),
    }
}

/// Height and width of images.
pub(super) fn size<T, D: Dimension>(images: &ArrayRef<T, D>, plane: [Axis; 2]) -> [usize; 2] {
    plane.map(|axis| images.len_of(axis))
}

fn mirrored<T: Clone, D: Dimension>(call: &str, images: &ArrayRef<T, D>, along: [bool; 2]) -> Result<Array<T, D>> {
    let mut view = images.view();
    for (axis, _) in plane(call, images)?.into_iter().zip(along).filter(|(_, along)| *along) {
        view.invert_axis(axis);
    }
    // Row-major, whatever the view's strides.
    Ok(view.as_standard_layout().into_owned())
}

/// Images seen in a mirror: what was left is right.
///
/// # Errors
/// An array that holds no images: neither three axes nor four.
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::flip_left_right(&array![[[1], [2]], [[3], [4]]])?, array![[[2], [1]], [[4], [3]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `tf.image.flip_left_right`; Keras `RandomFlip("horizontal")`.
pub fn flip_left_right<T: Clone, D: Dimension>(images: &ArrayRef<T, D>) -> Result<Array<T, D>> {
    mirrored("flip_left_right", images, [false, true])
}

/// Images upside down, left and right as they were.
///
/// # Errors
/// As [`flip_left_right`].
/// # Source
/// `tf.image.flip_up_down`; Keras `RandomFlip("vertical")`.
pub fn flip_up_down<T: Clone, D: Dimension>(images: &ArrayRef<T, D>) -> Result<Array<T, D>> {
    mirrored("flip_up_down", images, [true, false])
}

/// Images turned by half a turn.
///
/// # Errors
/// As [`flip_left_right`].
/// # Source
/// `tf.image.rot90` with `k=2`.
pub fn rot180<T: Clone, D: Dimension>(images: &ArrayRef<T, D>) -> Result<Array<T, D>> {
    mirrored("rot180", images, [true, true])
}

/// Images turned by so many quarter turns against the clock; by the clock if negative. Height and width change places where
/// the number is odd.
///
/// # Errors
/// As [`flip_left_right`].
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::rot90(&array![[[1], [2]], [[3], [4]]], 1)?, array![[[2], [4]], [[1], [3]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `tf.image.rot90`, `numpy.rot90`.
pub fn rot90<T: Clone, D: Dimension>(images: &ArrayRef<T, D>, turns: isize) -> Result<Array<T, D>> {
    let [rows, columns] = plane("rot90", images)?;
    let mut view = images.view();
    match turns.rem_euclid(4) {
        1 => {
            view.invert_axis(columns);
            view.swap_axes(rows.0, columns.0);
        }
        2 => return rot180(images),
        3 => {
            view.invert_axis(rows);
            view.swap_axes(rows.0, columns.0);
        }
        _ => (),
    }
    Ok(view.as_standard_layout().into_owned())
}

/// The part of images of `size` (height, width) whose upper left pixel is `corner` (row, column).
///
/// # Errors
/// As [`flip_left_right`]; a part that is not wholly within.
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::crop(&array![[[1], [2]], [[3], [4]]], [1, 0], [1, 2])?, array![[[3], [4]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `ops.image.crop_images`.
pub fn crop<T: Clone, D: Dimension>(
    images: &ArrayRef<T, D>,
    corner: [usize; 2],
    size: [usize; 2],
) -> Result<Array<T, D>> {
    let plane = plane("crop", images)?;
    let whole = self::size(images, plane);
    let mut part = images.view();
    for i in 0..2 {
        let end = corner[i].checked_add(size[i]).filter(|end| *end <= whole[i]);
        let Some(end) = end else {
            let received = format!("{} at {}", show(&size), show(&corner));
            return Err(Error::option("size", format!("within images of {}", show(&whole)), received).within("crop"));
        };
        part.slice_axis_inplace(plane[i], Slice::from(corner[i]..end));
    }
    Ok(part.as_standard_layout().into_owned())
}

/// Images with a border of `value`: `padding` is [[above, below], [left, right]] in pixels.
///
/// # Errors
/// As [`flip_left_right`]; images that do not fit into memory.
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::pad(&array![[[7]]], [[1, 0], [0, 1]], 0)?, array![[[0], [0]], [[7], [0]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `ops.image.pad_images`.
pub fn pad<T: Clone, D: Dimension>(images: &ArrayRef<T, D>, padding: [[usize; 2]; 2], value: T) -> Result<Array<T, D>> {
    let plane = plane("pad", images)?;
    let mut shape = images.raw_dim();
    for (axis, [before, after]) in plane.into_iter().zip(padding) {
        let length = before.checked_add(after).and_then(|border| border.checked_add(shape[axis.0]));
        shape[axis.0] = length.unwrap_or(usize::MAX);
    }
    memory::room::<T>("padding", format!("{padding:?}"), shape.slice()).map_err(|error| error.within("pad"))?;
    let mut padded = Array::from_elem(shape, value);
    let mut inner = padded.view_mut();
    for (axis, [before, _]) in plane.into_iter().zip(padding) {
        inner.slice_axis_inplace(axis, Slice::from(before..before + images.len_of(axis)));
    }
    inner.assign(&images.view());
    Ok(padded)
}

/// How bright red, green and blue are.
const BRIGHTNESS: [f64; 3] = [0.2989, 0.5870, 0.1140];

/// Images of one channel: 0.2989·red + 0.587·green + 0.114·blue. Grey images stay as they are.
///
/// # Errors
/// As [`flip_left_right`]; neither one channel nor three.
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::rgb_to_grayscale(&array![[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])?, array![[[0.2989], [0.114]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `ops.image.rgb_to_grayscale`.
pub fn rgb_to_grayscale<F: Scalar, D: Dimension>(images: &ArrayRef<F, D>) -> Result<Array<F, D>> {
    plane("rgb_to_grayscale", images)?;
    let channels = Axis(images.ndim() - 1);
    match images.len_of(channels) {
        1 => Ok(images.to_owned()),
        3 => {
            let mut shape = images.raw_dim();
            shape[channels.0] = 1;
            let mut grey = Array::zeros(shape);
            for (pixel, rgb) in grey.iter_mut().zip(images.lanes(channels)) {
                *pixel = rgb.iter().zip(BRIGHTNESS).fold(F::zero(), |sum, (&value, share)| sum + value * F::of(share));
            }
            Ok(grey)
        }
        _ => Err(Error::shape("images of one channel or three", images.shape()).within("rgb_to_grayscale")),
    }
}
