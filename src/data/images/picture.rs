//! From images to other images.

use ndarray::{Array, Array3, ArrayRef, Axis, Dimension, Ix3, RemoveAxis, s};

use crate::error::show;
use crate::kernels::resample;
use crate::{Error, Result, memory};

/// What an image is made of: bytes, or `f32` and `f64` from 0 (black) to 1.
pub trait Pixel: Copy + std::fmt::Display + sealed::Sealed {
    /// 0 … 255; none for a number that is not in 0..=1.
    fn byte(self) -> Option<u8>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Pixel for u8 {
    fn byte(self) -> Option<u8> {
        Some(self)
    }
}

impl Pixel for f32 {
    fn byte(self) -> Option<u8> {
        f64::from(self).byte()
    }
}

impl Pixel for f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range, and whole
    fn byte(self) -> Option<u8> {
        // What rounds to 0 or 255 passes: a sum of weights that add up to 1 may end a little beyond it.
        let level = (self * 255.0).round();
        (0.0..=255.0).contains(&level).then_some(level as u8)
    }
}

/// Numbers from 0 to 1 as bytes from 0 to 255, rounded; bytes as they are.
///
/// # Errors
/// [`Error::Data`] for a number that is not in 0..=1, with its value and place; [`stretch`] or
/// `mapv(|v| v.clamp(0.0, 1.0))` bring others there.
///
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// assert_eq!(images::to_bytes(&array![0.0f32, 0.5, 1.0])?, array![0u8, 128, 255]);
/// assert_eq!(
///     images::to_bytes(&array![[0.0, 1.5]]).unwrap_err().to_string(),
///     "to_bytes: expected pixels in 0..=1, received 1.5 at (0, 1); stretch or clamp them"
/// );
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn to_bytes<T: Pixel, D: Dimension>(pixels: &ArrayRef<T, D>) -> Result<Array<u8, D>> {
    let bytes: Option<Vec<u8>> = pixels.iter().map(|pixel| pixel.byte()).collect();
    if let Some(bytes) = bytes {
        return Array::from_shape_vec(pixels.raw_dim(), bytes).map_err(|_| Error::shape("an array", pixels.shape()));
    }
    let wrong = pixels.indexed_iter().find(|(_, pixel)| pixel.byte().is_none());
    let received = wrong.map(|(place, pixel)| format!("{pixel} at {place:?}")).unwrap_or_default();
    Err(Error::data("to_bytes", "pixels in 0..=1", received).advise("stretch or clamp them"))
}

/// Any numbers as a picture: (x − min) / (max − min), so that the least is black and the greatest white; all ½ where
/// all are equal.
///
/// For what has no natural range, such as filters and feature maps.
///
/// # Errors
/// [`Error::Data`] if there are no numbers, or one is not finite.
///
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// assert_eq!(images::stretch(&array![[-2.0f32, 0.0], [1.0, 2.0]])?, array![[0.0, 0.5], [0.75, 1.0]]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn stretch<F: crate::Scalar, D: Dimension>(numbers: &ArrayRef<F, D>) -> Result<Array<F, D>> {
    if numbers.is_empty() || !numbers.iter().all(|x| x.is_finite()) {
        let received = numbers.iter().find(|x| !x.is_finite()).map_or("none".into(), ToString::to_string);
        return Err(Error::data("stretch", "finite numbers", received));
    }
    let (least, greatest) = numbers
        .iter()
        .fold((F::infinity(), F::neg_infinity()), |(least, greatest), &x| (least.min(x), greatest.max(x)));
    let range = greatest - least;
    Ok(if range > F::zero() { numbers.mapv(|x| (x - least) / range) } else { numbers.mapv(|_| F::of(0.5)) })
}

/// Several images as one, `columns` in a row, with `gap` white pixels between them.
///
/// # Shapes
/// (n, height, width) or (n, height, width, channels) → (rows·height + (rows − 1)·gap,
/// columns·width + (columns − 1)·gap, channels), rows = ⌈n / columns⌉. Fewer than `columns` images make a shorter row;
/// places that the last row has too many are white.
/// # Errors
/// If the images have another shape, there are none, `columns` is 0, or a number is not in 0..=1.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// let three = array![[[1u8]], [[2]], [[3]]];
/// assert_eq!(images::grid(&three, 2, 0)?, array![[[1u8], [2]], [[3], [255]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn grid<T: Pixel, D: RemoveAxis>(images: &ArrayRef<T, D>, columns: usize, gap: usize) -> Result<Array3<u8>> {
    let (n, height, width, channels) = match *images.shape() {
        [n, height, width] => (n, height, width, 1),
        [n, height, width, channels] => (n, height, width, channels),
        _ => (0, 0, 0, 0),
    };
    if n == 0 {
        return Err(Error::shape("images (n, height, width) or (n, height, width, channels)", images.shape()));
    }
    if columns == 0 {
        return Err(Error::option("columns", "at least 1", columns));
    }
    let (columns, rows) = (columns.min(n), n.div_ceil(columns));
    let along = |count: usize, size: usize| count.saturating_mul(size).saturating_add((count - 1).saturating_mul(gap));
    let shape = [along(rows, height), along(columns, width), channels];
    memory::room::<u8>("gap", gap, &shape).map_err(|error| error.within("grid"))?;
    let mut picture = Array3::from_elem(shape, u8::MAX);
    for (number, image) in to_bytes(images)?.axis_iter(Axis(0)).enumerate() {
        let (top, left) = (number / columns * (height + gap), number % columns * (width + gap));
        let image = image.to_shape([height, width, channels]).map_err(|_| Error::shape("images", images.shape()))?;
        picture.slice_mut(s![top..top + height, left..left + width, ..]).assign(&image);
    }
    Ok(picture)
}

/// Every pixel `times` as high and wide, with sharp edges.
///
/// # Errors
/// If `times` is 0.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// assert_eq!(images::enlarge(&array![[[1u8], [2]]], 2)?, array![[[1u8], [1], [2], [2]], [[1], [1], [2], [2]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn enlarge(image: &ArrayRef<u8, Ix3>, times: usize) -> Result<Array3<u8>> {
    if times == 0 {
        return Err(Error::option("times", "at least 1", times));
    }
    let (height, width, channels) = image.dim();
    let shape = [height.saturating_mul(times), width.saturating_mul(times), channels];
    memory::room::<u8>("times", times, &shape).map_err(|error| error.within("enlarge"))?;
    Ok(Array3::from_shape_fn(shape, |(i, j, c)| image[[i / times, j / times, c]]))
}

/// The image in another size, bilinear: pixel (i, j) is taken at ((i + ½)·height/h − ½, (j + ½)·width/w − ½) from
/// between four, the outermost beyond the border, and rounded.
///
/// # Errors
/// If `image` or `size` has no pixels.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// assert_eq!(images::resize(&array![[[0u8], [100]]], [1, 4])?, array![[[0u8], [25], [75], [100]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `ops.image.resize` with its defaults (no antialiasing), which gives unrounded numbers.
pub fn resize(image: &ArrayRef<u8, Ix3>, size: [usize; 2]) -> Result<Array3<u8>> {
    let (height, width, channels) = image.dim();
    if image.is_empty() {
        return Err(Error::shape("an image with pixels", image.shape()));
    }
    if size.contains(&0) {
        return Err(Error::option("size", "at least one pixel", show(&size)).within("resize"));
    }
    let len = memory::room::<f32>("size", show(&size), &[size[0], size[1], channels])
        .map_err(|error| error.within("resize"))?;
    let pixels: Vec<f32> = image.iter().map(|&byte| f32::from(byte)).collect();
    let mut resized = vec![0.0; len];
    resample::bilinear([height, width], size, channels, &pixels, &mut resized);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // means of bytes
    let bytes = resized.iter().map(|level| level.round() as u8).collect();
    Array3::from_shape_vec([size[0], size[1], channels], bytes).map_err(|_| Error::shape("an image", &size))
}

/// A grey image with three equal channels, to be drawn into in colours; one that has three stays as it is.
///
/// # Errors
/// If the image has neither one channel nor three.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::array;
///
/// assert_eq!(images::grayscale_to_rgb(&array![[[7u8], [9]]])?, array![[[7u8, 7, 7], [9, 9, 9]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn grayscale_to_rgb(image: &ArrayRef<u8, Ix3>) -> Result<Array3<u8>> {
    let (height, width, channels) = image.dim();
    match (channels, image.broadcast([height, width, 3])) {
        (1 | 3, Some(rgb)) => Ok(rgb.to_owned()),
        _ => Err(Error::shape("an image (height, width, 1) or (height, width, 3)", image.shape())),
    }
}

/// Draws the outline of a rectangle, one pixel thick: the box of `size` (height, width) whose upper left pixel is
/// `corner` (row, column). What lies beyond the image is not drawn.
///
/// # Errors
/// If `color` has not a value for each channel of the image.
/// # Example
/// ```
/// use gradus::data::images;
/// use gradus::ndarray::Array3;
///
/// let mut image = Array3::<u8>::zeros([5, 5, 3]);
/// images::draw_rectangle(&mut image, [1, 1], [3, 3], &[255, 0, 0])?;
/// assert_eq!((image[[1, 3, 0]], image[[2, 2, 0]], image[[1, 3, 1]]), (255, 0, 0));
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn draw_rectangle(image: &mut ArrayRef<u8, Ix3>, corner: [usize; 2], size: [usize; 2], color: &[u8]) -> Result<()> {
    let (height, width, channels) = image.dim();
    if color.len() != channels {
        return Err(Error::shape(
            format!("a color of {channels} values, as many as the image has channels"),
            &[color.len()],
        ));
    }
    let [top, left] = corner;
    let (bottom, right) = (top.saturating_add(size[0]), left.saturating_add(size[1]));
    for i in top..bottom.min(height) {
        for j in left..right.min(width) {
            if i == top || i + 1 == bottom || j == left || j + 1 == right {
                image.slice_mut(s![i, j, ..]).iter_mut().zip(color).for_each(|(pixel, &level)| *pixel = level);
            }
        }
    }
    Ok(())
}
