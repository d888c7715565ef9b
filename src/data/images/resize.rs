//! Images in another size.

use ndarray::{Array, ArrayRef, Axis, RemoveAxis};

use super::transform::{crop, pad, plane, size};
use crate::error::show;
use crate::{Error, Result, Scalar};

/// How pixels between pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resampling {
    /// The pixel that lies nearest.
    Nearest,
    /// On straight lines between neighbours.
    #[default]
    Bilinear,
    /// On cubics through the two neighbours on each side: Keys, 1981, with a = −½.
    Bicubic,
    /// By sinc(x)·sinc(x/3) over three neighbours on each side.
    Lanczos3,
    /// By sinc(x)·sinc(x/5) over five.
    Lanczos5,
}

/// Brings images to another size. Pixel o of n out of m lies at (o + ½)·m/n − ½.
///
/// Each new value is a mean of old ones, weighted by a kernel of their distance; neighbours beyond the border do not count.
///
/// # Shapes
/// (height, width, channels) or (n, height, width, channels) → the same with the new height and width.
/// # Defaults
/// `resampling` bilinear; `antialias` false: an image made much smaller leaves pixels out; `crop_to_aspect_ratio` and
/// `pad_to_aspect_ratio` false: it is stretched; `fill_value` 0.
/// # Errors
/// An array that holds no images; images or a size without pixels; to crop and to pad at once.
/// # Example
/// ```
/// use gradus::data::images::{Resampling, Resize};
/// use ndarray::array;
/// let image = array![[[0.0f32], [1.0]]];
/// assert_eq!(Resize::new([1, 4]).apply(&image)?, array![[[0.0], [0.25], [0.75], [1.0]]]);
/// assert_eq!(Resize::new([1, 3]).resampling(Resampling::Nearest).apply(&image)?, array![[[0.0], [1.0], [1.0]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `ops.image.resize`, `Resizing`, on JAX.
#[derive(Clone, Debug)]
pub struct Resize {
    size: [usize; 2],
    resampling: Resampling,
    antialias: bool,
    crop_to_aspect_ratio: bool,
    pad_to_aspect_ratio: bool,
    fill_value: f64,
}

impl Resize {
    /// To (height, width).
    pub fn new(size: [usize; 2]) -> Self {
        Self {
            size,
            resampling: Resampling::default(),
            antialias: false,
            crop_to_aspect_ratio: false,
            pad_to_aspect_ratio: false,
            fill_value: 0.0,
        }
    }
    /// How pixels between pixels are found. Default: bilinear.
    pub fn resampling(mut self, resampling: Resampling) -> Self {
        self.resampling = resampling;
        self
    }
    /// Whether an image that becomes smaller is smoothed, by a kernel as much wider. Default: false.
    pub fn antialias(mut self, antialias: bool) -> Self {
        self.antialias = antialias;
        self
    }
    /// Whether it is cut to the proportions of the new size first, its middle kept. Default: false.
    pub fn crop_to_aspect_ratio(mut self, crop: bool) -> Self {
        self.crop_to_aspect_ratio = crop;
        self
    }
    /// Whether it gets a border to have the proportions of the new size first. Default: false.
    pub fn pad_to_aspect_ratio(mut self, pad: bool) -> Self {
        self.pad_to_aspect_ratio = pad;
        self
    }
    /// The value of that border. Default: 0.
    pub fn fill_value(mut self, value: f64) -> Self {
        self.fill_value = value;
        self
    }

    /// The images in the new size.
    ///
    /// # Errors
    /// See [`Resize`].
    pub fn apply<F: Scalar, D: RemoveAxis>(&self, images: &ArrayRef<F, D>) -> Result<Array<F, D>> {
        let plane = plane("resize", images)?;
        if images.is_empty() {
            return Err(Error::shape("images with pixels", images.shape()).within("resize"));
        }
        if self.size.contains(&0) {
            return Err(Error::option("size", "at least one pixel", show(&self.size)).within("resize"));
        }
        let [height, width] = size(images, plane);
        let mut resized = match (self.crop_to_aspect_ratio, self.pad_to_aspect_ratio) {
            (true, true) => {
                let option = "pad_to_aspect_ratio";
                return Err(Error::option(option, "false where `crop_to_aspect_ratio` is true", true).within("resize"));
            }
            (true, false) => {
                let part = [self.in_proportion(width, 0), self.in_proportion(height, 1)];
                let part = [part[0].clamp(1, height), part[1].clamp(1, width)];
                crop(images, [(height - part[0]) / 2, (width - part[1]) / 2], part)?
            }
            (false, true) => {
                // The same border on both sides; one along the axis that needs it.
                let borders = [
                    self.in_proportion(width, 0).saturating_sub(height) / 2,
                    self.in_proportion(height, 1).saturating_sub(width) / 2,
                ];
                let borders = if borders[0] > 0 { [borders[0], 0] } else { borders };
                pad(images, borders.map(|border| [border; 2]), F::of(self.fill_value))?
            }
            (false, false) => images.to_owned(),
        };
        for (axis, new) in plane.into_iter().zip(self.size) {
            resized = self.along(&resized, axis, new)?;
        }
        Ok(resized)
    }

    /// ⌊`other`·size / size of the other axis⌋: how long an axis is that is to the other as in the new size.
    fn in_proportion(&self, other: usize, axis: usize) -> usize {
        other.saturating_mul(self.size[axis]) / self.size[1 - axis]
    }

    /// The images with another length along one axis.
    fn along<F: Scalar, D: RemoveAxis>(&self, images: &ArrayRef<F, D>, axis: Axis, new: usize) -> Result<Array<F, D>> {
        let old = images.len_of(axis);
        let mut shape = images.raw_dim();
        shape[axis.0] = new;
        let given = show(&self.size);
        crate::memory::room::<F>("size", given, shape.slice()).map_err(|error| error.within("resize"))?;
        let mut resized = Array::zeros(shape);
        for (o, mut slice) in resized.axis_iter_mut(axis).enumerate() {
            for (from, weight) in self.weights(o, old, new) {
                slice.scaled_add(F::of(weight), &images.index_axis(axis, from));
            }
        }
        Ok(resized)
    }

    /// Which of `old` values make value `o` of `new`, each with its weight; the weights add up to 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // places within the image
    fn weights(&self, o: usize, old: usize, new: usize) -> Vec<(usize, f64)> {
        let scale = old as f64 / new as f64;
        let place = (o as f64 + 0.5) * scale;
        let (radius, kernel): (f64, fn(f64) -> f64) = match self.resampling {
            Resampling::Nearest => return vec![((place.floor() as usize).min(old - 1), 1.0)],
            Resampling::Bilinear => (1.0, |x| 1.0 - x),
            Resampling::Bicubic => (2.0, cubic),
            Resampling::Lanczos3 => (3.0, |x| sinc(x) * sinc(x / 3.0)),
            Resampling::Lanczos5 => (5.0, |x| sinc(x) * sinc(x / 5.0)),
        };
        let wider = if self.antialias { scale.max(1.0) } else { 1.0 };
        let place = place - 0.5;
        let first = (place - radius * wider).ceil().max(0.0) as usize;
        let distance = |from: usize| (from as f64 - place).abs() / wider;
        let near = (first..old).take_while(|&from| from as f64 <= place + radius * wider);
        let weights: Vec<(usize, f64)> =
            near.filter(|&from| distance(from) < radius).map(|from| (from, kernel(distance(from)))).collect();
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        weights.into_iter().map(|(from, weight)| (from, weight / sum)).collect()
    }
}

/// The middle of images, of `size` (height, width): it begins at ⌊(whole − part) / 2⌋. Images that are smaller are enlarged
/// instead, cut to the part's proportions and [resized](Resize).
///
/// # Errors
/// As [`flip_left_right`](super::flip_left_right); a size or images without pixels.
/// # Example
/// ```
/// use gradus::data::images;
/// use ndarray::array;
/// assert_eq!(images::center_crop(&array![[[1.0f32], [2.0], [3.0]]], [1, 1])?, array![[[2.0]]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `CenterCrop`.
pub fn center_crop<F: Scalar, D: RemoveAxis>(images: &ArrayRef<F, D>, size: [usize; 2]) -> Result<Array<F, D>> {
    let whole = super::transform::size(images, plane("center_crop", images)?);
    if size.contains(&0) {
        return Err(Error::option("size", "at least one pixel", show(&size)).within("center_crop"));
    }
    if whole[0] < size[0] || whole[1] < size[1] {
        return Resize::new(size).crop_to_aspect_ratio(true).apply(images);
    }
    crop(images, [(whole[0] - size[0]) / 2, (whole[1] - size[1]) / 2], size)
}

/// Keys's kernel: 1 − (5x² − 3x³)/2 up to 1, then (−x³ + 5x² − 8x + 4)/2 up to 2.
fn cubic(x: f64) -> f64 {
    if x < 1.0 { (1.5 * x - 2.5) * x * x + 1.0 } else { ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 }
}

/// sin(πx)/(πx)
fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}
