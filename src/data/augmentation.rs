//! Images that are changed at random each time they are shown, so that a network sees none twice.

use ndarray::{Array4, ArrayD};
use rand::Rng;
use rand_distr::StandardNormal;

use super::{Batch, Dataset};
use crate::kernels::warp;
use crate::random::{self, Philox};
use crate::scalar::ArrayValues;
use crate::tensor::inputs::ArrayInput;
use crate::tensor::inputs::IntoTensor;
use crate::{Error, Result, Scalar};

/// How images are changed at random.
///
/// # Defaults
/// Nothing is changed; `seed` 0.
/// # Example
/// ```
/// use gradus::data::Augmentation;
/// // Turned by up to 10 degrees either way, moved by up to 2 pixels.
/// let slightly = Augmentation::new().rotation(10.0).shift(2.0).seed(1);
/// # let _ = slightly;
/// ```
/// # Source
/// Keras's `RandomRotation`, `RandomTranslation`, `RandomZoom`, `RandomFlip`, `RandomShear`, `RandomCrop` in one pass over
/// the pixels;
/// `RandomBrightness`, `RandomContrast`, `GaussianNoise` and `RandomErasing` in a second, where they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Augmentation {
    rotation: f64,
    shift: f64,
    zoom: f64,
    flip: bool,
    flip_vertically: bool,
    shear: f64,
    brightness: f64,
    contrast: f64,
    noise: f64,
    cutout: usize,
    crop: Option<[usize; 2]>,
    seed: u64,
}

impl Augmentation {
    /// Of which nothing is asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// By how many degrees an image is turned at most, either way. Default: 0.
    pub fn rotation(mut self, degrees: f64) -> Self {
        self.rotation = degrees;
        self
    }

    /// By how many pixels it is moved at most, up or down and left or right. Default: 0.
    pub fn shift(mut self, pixels: f64) -> Self {
        self.shift = pixels;
        self
    }

    /// By which share of its size it grows or shrinks at most, below 1. Default: 0.
    pub fn zoom(mut self, share: f64) -> Self {
        self.zoom = share;
        self
    }

    /// Whether half of the images are seen in a mirror, left as right. Default: false.
    pub fn flip(mut self, flip: bool) -> Self {
        self.flip = flip;
        self
    }

    /// Whether half of the images are seen upside down. Default: false.
    pub fn flip_vertically(mut self, flip: bool) -> Self {
        self.flip_vertically = flip;
        self
    }

    /// By how many degrees upright lines are slanted at most, either way, below 90. Default: 0.
    pub fn shear(mut self, degrees: f64) -> Self {
        self.shear = degrees;
        self
    }

    /// What is added to all values of an image at most, or taken from them. Values are 0 to 1 where images are bytes, and
    /// are not cut to that. Default: 0.
    pub fn brightness(mut self, most: f64) -> Self {
        self.brightness = most;
        self
    }

    /// By which share the distances from an image's mean grow or shrink at most, up to 1. Default: 0.
    pub fn contrast(mut self, share: f64) -> Self {
        self.contrast = share;
        self
    }

    /// The deviation of normal noise that is added to each value. Default: 0.
    pub fn noise(mut self, deviation: f64) -> Self {
        self.noise = deviation;
        self
    }

    /// The side of a square, in pixels, that is set to 0 somewhere in the image, beyond its border in part. Default: 0, none.
    pub fn cutout(mut self, pixels: usize) -> Self {
        self.cutout = pixels;
        self
    }

    /// Height and width of the part of an image that is seen, somewhere in it; what has been turned and moved is cut last.
    /// Others than those of training are cut by [`images::center_crop`](super::images::center_crop). Default: none, all of it.
    pub fn crop(mut self, size: [usize; 2]) -> Self {
        self.crop = Some(size);
        self
    }

    /// The seed of the changes. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn check(&self) -> Result<()> {
        let lengths = [
            ("rotation", self.rotation),
            ("shift", self.shift),
            ("brightness", self.brightness),
            ("noise", self.noise),
        ];
        for (option, value) in lengths {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Error::option(option, "a finite number, at least 0", value));
            }
        }
        if !(0.0..90.0).contains(&self.shear) {
            return Err(Error::option("shear", "in 0..90", self.shear));
        }
        if !(0.0..=1.0).contains(&self.contrast) {
            return Err(Error::option("contrast", "in 0..=1", self.contrast));
        }
        if (0.0..1.0).contains(&self.zoom) { Ok(()) } else { Err(Error::option("zoom", "in 0..1", self.zoom)) }
    }

    /// The map for image number `row` in training step `step`.
    fn map(&self, step: u64, row: usize, height: usize, width: usize) -> warp::Affine {
        let mut rng = Philox::new(random::mix(self.seed ^ random::mix(step)), row as u64);
        let mut up_to = |most: f64| most * rng.random_range(-1.0..=1.0);
        let (angle, down, right) = (up_to(self.rotation).to_radians(), up_to(self.shift), up_to(self.shift));
        let (zoom, mirrored) = (1.0 + up_to(self.zoom), self.flip && up_to(1.0) < 0.0);
        let mut map = warp::affine(height, width, angle, zoom, down, right);
        if mirrored {
            let last = width as f64 - 1.0;
            map[2] += map[1] * last;
            map[5] += map[4] * last;
            (map[1], map[4]) = (-map[1], -map[4]);
        }
        // What follows is drawn last, so that it changes nothing of what is drawn before.
        let (slant, upside_down) = (up_to(self.shear).to_radians().tan(), self.flip_vertically && up_to(1.0) < 0.0);
        if slant != 0.0 {
            // Column j of the result is taken from j + slant·(i − middle).
            let middle = (height as f64 - 1.0) / 2.0;
            for line in [0, 3] {
                map[line] += map[line + 1] * slant;
                map[line + 2] -= map[line + 1] * slant * middle;
            }
        }
        if upside_down {
            let last = height as f64 - 1.0;
            for line in [0, 3] {
                map[line + 2] += map[line] * last;
                map[line] = -map[line];
            }
        }
        if let Some(crop) = self.crop {
            let mut somewhere = |size: usize, seen: usize| rng.random_range(0..=size - seen) as f64;
            let (top, left) = (somewhere(height, crop[0]), somewhere(width, crop[1]));
            for line in [0, 3] {
                map[line + 2] += map[line] * top + map[line + 1] * left;
            }
        }
        map
    }

    /// Changes the values of image number `row` in training step `step`, after its pixels have been moved.
    fn recolour<F: Scalar>(&self, step: u64, row: usize, [height, width, channels]: [usize; 3], image: &mut [F]) {
        if self.brightness == 0.0 && self.contrast == 0.0 && self.noise == 0.0 && self.cutout == 0 {
            return;
        }
        let mut rng = Philox::new(random::mix(self.seed ^ random::mix(step ^ random::hash("colours"))), row as u64);
        let mut up_to = |most: f64| most * rng.random_range(-1.0..=1.0);
        let (brighter, factor) = (up_to(self.brightness), 1.0 + up_to(self.contrast));
        let mean = image.iter().map(|value| value.f64()).sum::<f64>() / image.len().max(1) as f64;
        // mean + factor·(x − mean) + brighter
        let (factor, offset) = (F::of(factor), F::of(mean - factor * mean + brighter));
        let [top, left] = [height, width].map(|size| rng.random_range(0..size.max(1)));
        for value in image.iter_mut() {
            *value = *value * factor + offset;
            if self.noise > 0.0 {
                let normal: f64 = rng.sample(StandardNormal);
                *value += F::of(self.noise * normal);
            }
        }
        let side = |middle: usize, size: usize| {
            middle.saturating_sub(self.cutout / 2)..(middle + self.cutout.div_ceil(2)).min(size)
        };
        for i in side(top, height) {
            let columns = side(left, width);
            image[(i * width + columns.start) * channels..(i * width + columns.end) * channels].fill(F::zero());
        }
    }
}

/// Images and what they show, changed at random as they are gathered: by image and training step alone, so that the same
/// seed gives the same training on any number of threads.
///
/// # Shapes
/// Images (n, height, width) or (n, height, width, channels); a model sees (height, width, channels), with
/// [`crop`](Augmentation::crop) its height and width, and bytes as 0 to 1. Targets (n, …), with
/// [`masks`](Self::masks) (n, height, width) or (n, height, width, channels).
/// # Example
/// ```
/// use gradus::data::{Augmentation, AugmentedImages};
/// use gradus::prelude::*;
///
/// let images = Array3::<u8>::from_elem((20, 8, 8), 100);
/// let labels = Array1::from_iter((0..20).map(|i| i % 3));
/// let mut model = Sequential::new()
///     .input([8, 8, 1])
///     .add(Flatten::new())
///     .add(Dense::new(3).activation(Softmax))
///     .compile(SparseCategoricalCrossentropy::new(), Adam::new())
///     .build()?;
/// let shown = AugmentedImages::new(&images, &labels, Augmentation::new().rotation(10.0).shift(1.0))?;
/// model.fit_data(&shown, Fit::new().verbose(0))?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct AugmentedImages<'a, F: Scalar> {
    images: ArrayInput<'a, F>,
    targets: ArrayInput<'a, F>,
    augmentation: Augmentation,
    /// Height, width and channels of the images, and of what a model sees of them.
    size: [usize; 3],
    seen: [usize; 3],
    /// The size of the targets, if they are moved along.
    masks: Option<[usize; 3]>,
}

impl<F: Scalar> std::fmt::Debug for AugmentedImages<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AugmentedImages")
            .field("augmentation", &self.augmentation)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<'a, F: Scalar> AugmentedImages<'a, F> {
    /// Of images and as many targets.
    ///
    /// # Errors
    /// If the images have neither three nor four axes, there are not as many targets, or an option is out of range.
    pub fn new(
        images: impl IntoTensor<'a, F>,
        targets: impl IntoTensor<'a, F>,
        augmentation: Augmentation,
    ) -> Result<Self> {
        augmentation.check()?;
        let (images, targets) = (images.into_tensor(), targets.into_tensor());
        let size = size_of(images.shape, "images")?;
        if images.rows() != targets.rows() {
            let expected = format!("a target for each of {} images", images.rows());
            return Err(Error::data("AugmentedImages", expected, format!("{} targets", targets.rows())));
        }
        let seen = match augmentation.crop {
            None => size,
            Some([height, width]) if height.min(width) > 0 && height <= size[0] && width <= size[1] => {
                [height, width, size[2]]
            }
            Some(crop) => {
                let expected = format!("at least 1 and at most the images' {}, {}", size[0], size[1]);
                return Err(Error::option("crop", expected, format!("{crop:?}")));
            }
        };
        Ok(Self { images, targets, augmentation, size, seen, masks: None })
    }

    /// Whether targets are masks of the images, a value or several a pixel, that are turned, moved and cut along with them:
    /// each pixel takes the nearest one's values, and 0 from beyond the border. Colours, noise and `cutout` leave them as
    /// they are. Default: false.
    ///
    /// # Errors
    /// If targets are not of the images' height and width.
    /// # Example
    /// ```
    /// use gradus::data::{Augmentation, AugmentedImages};
    /// use gradus::prelude::*;
    /// let (images, classes) = (Array4::<f32>::zeros((6, 8, 8, 3)), Array3::<u8>::zeros((6, 8, 8)));
    /// let both = AugmentedImages::new(&images, &classes, Augmentation::new().rotation(20.0).crop([6, 6]))?.masks(true)?;
    /// assert_eq!(both.target_shapes(), [[6, 6]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn masks(mut self, masks: bool) -> Result<Self> {
        self.masks = None;
        if masks {
            let size = size_of(self.targets.shape, "masks")?;
            if size[..2] != self.size[..2] {
                let expected = format!("masks (n, {}, {}) or with channels", self.size[0], self.size[1]);
                return Err(Error::shape(expected, self.targets.shape));
            }
            self.masks = Some(size);
        }
        Ok(self)
    }

    /// These rows as training step `step` would see them: to be looked at.
    ///
    /// # Errors
    /// A row that there is not.
    /// # Example
    /// ```
    /// use gradus::data::{Augmentation, AugmentedImages};
    /// use ndarray::{Array3, array};
    /// let (images, labels) = (Array3::<u8>::from_elem((2, 8, 8), 255), array![0, 1]);
    /// let shown = AugmentedImages::<f32>::new(&images, &labels, Augmentation::new().shift(2.0))?;
    /// assert_eq!(shown.images(&[1, 0, 1], 7)?.dim(), (3, 8, 8, 1));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn images(&self, rows: &[usize], step: u64) -> Result<Array4<F>> {
        self.check_rows("images", rows)?;
        let [height, width, channels] = self.seen;
        let mut images = Array4::zeros((rows.len(), height, width, channels));
        for (&row, mut image) in rows.iter().zip(images.outer_iter_mut()) {
            self.draw(row, step, image.as_slice_mut().expect("row-major, as it was made"));
        }
        Ok(images)
    }

    /// The targets of these rows as training step `step` would see them.
    ///
    /// # Errors
    /// A row that there is not.
    pub fn targets(&self, rows: &[usize], step: u64) -> Result<ArrayD<F>> {
        self.check_rows("targets", rows)?;
        let mut targets = ArrayD::zeros([&[rows.len()], self.target_shape().as_slice()].concat());
        self.gather_targets(rows, step, targets.as_slice_mut().expect("row-major, as it was made"));
        Ok(targets)
    }

    fn check_rows(&self, call: &str, rows: &[usize]) -> Result<()> {
        match rows.iter().find(|row| **row >= self.len()) {
            Some(row) => Err(Error::data(call, format!("rows below {}", self.len()), row.to_string())),
            None => Ok(()),
        }
    }

    /// The shape of one target.
    fn target_shape(&self) -> Vec<usize> {
        let mut shape = self.targets.shape[1..].to_vec();
        if self.masks.is_some() {
            shape[..2].copy_from_slice(&self.seen[..2]);
        }
        shape
    }

    fn gather_targets(&self, rows: &[usize], step: u64, out: &mut [F]) {
        let Some(size) = self.masks else { return self.targets.gather(rows.iter().copied(), out) };
        let len = self.seen[0] * self.seen[1] * size[2];
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(len.max(1))) {
            self.draw_mask(size, row, step, out);
        }
    }

    /// Writes an image as a training step sees it.
    fn draw(&self, row: usize, step: u64, out: &mut [F]) {
        let len = self.size.iter().product::<usize>();
        let (map, columns) = (self.map(row, step), self.seen[1]);
        let image = row * len..(row + 1) * len;
        match &self.images.values {
            ArrayValues::Scalars(values) => warp::warp(&values[image], self.size, map, columns, out),
            ArrayValues::Bytes(bytes) => {
                warp::warp_bytes(&bytes[image], F::of(1.0 / 255.0), self.size, map, columns, out);
            }
        }
        self.augmentation.recolour(step, row, self.seen, out);
    }

    /// Writes a mask as it lies over such an image.
    fn draw_mask(&self, size: [usize; 3], row: usize, step: u64, out: &mut [F]) {
        let start = row * size.iter().product::<usize>();
        let (map, columns) = (self.map(row, step), self.seen[1]);
        match &self.targets.values {
            ArrayValues::Scalars(values) => warp::warp_nearest(|i| values[start + i], size, map, columns, out),
            ArrayValues::Bytes(bytes) => {
                warp::warp_nearest(|i| F::from_byte(bytes[start + i]), size, map, columns, out);
            }
        }
    }

    fn map(&self, row: usize, step: u64) -> warp::Affine {
        self.augmentation.map(step, row, self.size[0], self.size[1])
    }
}

/// Height, width and channels of images.
fn size_of(shape: &[usize], what: &str) -> Result<[usize; 3]> {
    match *shape {
        [_, height, width] => Ok([height, width, 1]),
        [_, height, width, channels] => Ok([height, width, channels]),
        _ => Err(Error::shape(format!("{what} (n, height, width) or (n, height, width, channels)"), shape)),
    }
}

impl<F: Scalar> Dataset<F> for AugmentedImages<'_, F> {
    fn len(&self) -> usize {
        self.images.rows()
    }

    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![self.seen.to_vec()]
    }

    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![self.target_shape()]
    }

    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, F>) -> Result<()> {
        let (len, step) = (self.seen.iter().product::<usize>(), batch.step());
        for (&row, out) in rows.iter().zip(batch.input(0).chunks_exact_mut(len.max(1))) {
            self.draw(row, step, out);
        }
        self.gather_targets(rows, step, batch.target(0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_turns_left_into_right() {
        let x: Vec<f32> = (0..6).map(|i| i as f32).collect();
        let mirror = Augmentation::new().flip(true);
        let (mut seen, mut straight) = (0, 0);
        for row in 0..64 {
            let mut y = [9.0; 6];
            warp::warp(&x, [2, 3, 1], mirror.map(5, row, 2, 3), 3, &mut y);
            match y {
                [2.0, 1.0, 0.0, 5.0, 4.0, 3.0] => seen += 1,
                [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] => straight += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(seen > 16 && straight > 16, "{seen} mirrored, {straight} not");
    }

    #[test]
    fn changes_differ_by_step_and_row_and_return_with_them() {
        let turned = Augmentation::new().rotation(30.0).shift(2.0).zoom(0.2).seed(3);
        assert_eq!(turned.map(1, 2, 9, 9), turned.map(1, 2, 9, 9));
        assert_ne!(turned.map(1, 2, 9, 9), turned.map(2, 2, 9, 9));
        assert_ne!(turned.map(1, 2, 9, 9), turned.map(1, 3, 9, 9));
        assert!(Augmentation::new().rotation(f64::NAN).check().is_err());
        assert!(Augmentation::new().zoom(1.0).check().is_err());
    }
}
