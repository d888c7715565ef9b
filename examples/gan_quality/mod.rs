//! How good generated digits are, in the eyes of a classifier.

use std::path::Path;

use gradus::metrics::frechet_distance;
use gradus::prelude::*;

/// Digits of MNIST as generators make them: (n, 28, 28, 1), from −1 to 1.
pub fn scaled(images: &Array3<u8>) -> Array4<f32> {
    images.mapv(|pixel| f32::from(pixel) / 127.5 - 1.0).insert_axis(Axis(3))
}

/// Pixels from −1..=1 as shades from 0..=1.
#[allow(dead_code)] // not every example draws
pub fn shades<D: gradus::ndarray::Dimension>(images: &Array<f32, D>) -> Array<f32, D> {
    images.mapv(|pixel| pixel.midpoint(1.0))
}

/// A classifier of digits, and what real digits are to it.
#[allow(dead_code)] // not every example asks for everything
pub struct Judge {
    classifier: Model,
    /// Its features of real images: what generated ones are held against.
    real: Array2<f32>,
    /// The distance of other real images: as good as it gets.
    pub floor: f64,
    /// The distance of a normal distribution in the first 50 principal components of the pixels.
    pub anchor: f64,
    /// The classifier's accuracy on the test images.
    pub accuracy: f64,
}

/// What a set of generated images is worth.
pub struct Quality {
    /// The Fréchet distance of the classifier's features to those of real images.
    pub distance: f64,
    /// The share of images of whose class the classifier is sure, above 0.9.
    pub sure: f64,
    /// The share of each class.
    pub classes: [f64; 10],
}

/// How many images are compared.
pub fn count(smoke: bool) -> usize {
    if smoke { 200 } else { 2000 }
}

#[allow(dead_code)]
impl Judge {
    /// Trains the classifier, or takes the one that an earlier run left in `folder`.
    pub fn new(
        train: &datasets::mnist::Mnist,
        test: &datasets::mnist::Mnist,
        folder: &Path,
        smoke: bool,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let file = folder.join(if smoke { "judge-smoke.safetensors" } else { "judge.safetensors" });
        let count = count(smoke);
        let rows = if smoke { 2 * count } else { train.images.len_of(Axis(0)) };
        let images = scaled(&train.images.slice_axis(Axis(0), (0..rows).into()).to_owned());
        let labels = train.labels.slice_axis(Axis(0), (0..rows).into()).to_owned();
        let classifier = if let Ok(classifier) = Model::load(&file) {
            classifier
        } else {
            println!("Training the classifier that judges …");
            let mut classifier = classifier(rows)?;
            classifier.fit(&images, &labels, Fit::new().batch_size(128).epochs(if smoke { 1 } else { EPOCHS }))?;
            std::fs::create_dir_all(folder)?;
            classifier.save(&file)?;
            classifier
        };
        let tested = ..if smoke { count } else { test.labels.len() };
        let test_images = scaled(&test.images.slice_axis(Axis(0), tested.into()).to_owned());
        let test_labels = test.labels.slice_axis(Axis(0), tested.into());
        let accuracy = classifier.evaluate(&test_images, &test_labels)?["accuracy"];
        let part = |from: usize| images.slice_axis(Axis(0), (from..from + count).into()).to_owned();
        let features = |images: &Array4<f32>| features(&classifier, images);
        let real = features(&part(0))?;
        let floor = frechet_distance(&real, &features(&part(count))?)?;
        let anchor = frechet_distance(&real, &features(&normal_in_components(&part(0), 50))?)?;
        Ok(Self { classifier, real, floor, anchor, accuracy })
    }

    /// The quality of images (n, 28, 28, 1).
    pub fn judge(&self, images: &Array4<f32>) -> gradus::Result<Quality> {
        let distance = frechet_distance(&self.real, &features(&self.classifier, images)?)?;
        let chances = self.classifier.predict(images)?;
        let (mut sure, mut classes) = (0.0, [0.0; 10]);
        let share = 1.0 / images.len_of(Axis(0)) as f64;
        for row in chances.outer_iter() {
            let (class, &chance) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("ten classes");
            classes[class] += share;
            sure += if chance > 0.9 { share } else { 0.0 };
        }
        Ok(Quality { distance, sure, classes })
    }

    /// What the classifier takes images for.
    pub fn classes(&self, images: &Array4<f32>) -> gradus::Result<Vec<usize>> {
        let chances = self.classifier.predict(images)?;
        let class = |row: gradus::ndarray::ArrayViewD<'_, f32>| {
            row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
        };
        Ok(chances.outer_iter().map(class).collect())
    }

    /// Prints a quality beside its bounds.
    pub fn print(&self, quality: &Quality) {
        println!("Classifier's accuracy: {:.4}", self.accuracy);
        println!(
            "Fréchet distance: {:.3} ({:.3} of the anchor {:.3}; real against real {:.3})",
            quality.distance,
            quality.distance / self.anchor,
            self.anchor,
            self.floor
        );
        println!("Sure (above 0.9): {:.3}", quality.sure);
        let shares: Vec<String> = quality.classes.iter().map(|share| format!("{share:.3}")).collect();
        println!("Classes 0-9: {}", shares.join(" "));
        println!("Smallest class: {:.3}", quality.classes.iter().copied().fold(1.0, f64::min));
    }
}

const EPOCHS: usize = 4;

/// Two convolutions, and a layer of 64 features before the classes.
fn classifier(rows: usize) -> gradus::Result<Model> {
    Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(64).activation(Relu).name("features"))
        .add(Dense::new(10).activation(Softmax))
        .compile(
            SparseCategoricalCrossentropy::new(),
            Adam::new().learning_rate(OneCycle::new(0.003, (EPOCHS * rows.div_ceil(128)) as u64)),
        )
        .metric(Accuracy::new())
        .build()
}

fn features(classifier: &Model, images: &Array4<f32>) -> gradus::Result<Array2<f32>> {
    let features = classifier.layer_outputs(images, &["features"])?.swap_remove(0);
    let (rows, columns) = (features.shape()[0], features.shape()[1]);
    Ok(features.into_shape_with_order((rows, columns)).expect("rows of features"))
}

/// As many images from the normal distribution that the given ones have in their first principal components: what a
/// generator without any notion of digits could make.
fn normal_in_components(images: &Array4<f32>, components: usize) -> Array4<f32> {
    let rows = images.len_of(Axis(0));
    let pixels = images.view().into_shape_with_order((rows, 784)).expect("28 × 28").to_owned();
    let mean = pixels.mean_axis(Axis(0)).expect("some rows");
    let centred = pixels - &mean;
    let covariance = centred.t().dot(&centred) / rows as f32;
    // Orthogonal iteration: multiplied again and again, the columns turn to the largest eigenvectors.
    let mut basis = noise(784, components, 1);
    for _ in 0..60 {
        basis = orthogonal(covariance.dot(&basis));
    }
    let deviations = (0..components).map(|i| {
        let direction = basis.column(i);
        direction.dot(&covariance.dot(&direction)).sqrt()
    });
    let deviations = Array1::from_iter(deviations);
    let made = (noise(rows, components, 2) * &deviations).dot(&basis.t()) + &mean;
    made.mapv(|x| x.clamp(-1.0, 1.0)).into_shape_with_order((rows, 28, 28, 1)).expect("28 × 28")
}

/// Standard normal numbers.
fn noise(rows: usize, columns: usize, key: u64) -> Array2<f32> {
    let mut noise = Array2::zeros((rows, columns));
    gradus::kernels::random::normal(key, 0, noise.as_slice_mut().expect("row-major"));
    noise
}

/// The columns made orthogonal and of length 1, one after another (Gram and Schmidt).
fn orthogonal(mut columns: Array2<f32>) -> Array2<f32> {
    for i in 0..columns.ncols() {
        let mut column = columns.column(i).to_owned();
        for j in 0..i {
            let other = columns.column(j);
            let along = column.dot(&other);
            column.scaled_add(-along, &other);
        }
        let length = column.dot(&column).sqrt();
        columns.column_mut(i).assign(&(column / length));
    }
    columns
}
