//! What a convolutional network has learned to see: its filters, what they make of a digit, and which images move them
//! most, as pictures.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, ships in `data/mnist` (see the example `mnist_cnn`) |
//! | command | `cargo run --release --features images --example feature_maps` |
//! | expected | four pictures in `target/pictures`; test accuracy 0.9834 after 2 epochs (seed 0) |
//! | time | 11 s of processor time, 400 MB (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::data::images;
use gradus::ndarray::{ArrayD, s};
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(2);
    let (train, test) = datasets::mnist::load()?;
    let scaled = |images: &Array3<u8>| images.mapv(|pixel| f32::from(pixel) / 255.0).insert_axis(Axis(3));
    let rows = if arguments.smoke { 512 } else { train.labels.len() };
    let (x, y) = (scaled(&train.images.slice(s![..rows, .., ..]).to_owned()), train.labels.slice(s![..rows]));
    let x_test = scaled(&test.images);

    let mut model = Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(16, 5).activation(Relu).name("strokes"))
        .add(MaxPool2D::new())
        .add(Conv2D::new(32, 3).activation(Relu).name("parts"))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dense::new(10).activation(Softmax).name("digit"))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    model.fit(&x, &y, Fit::new().batch_size(64).epochs(arguments.epochs))?;
    println!("Test accuracy: {}", model.evaluate(&x_test, &test.labels)?["accuracy"]);

    // The filters of the first layer: (5, 5, 1, 16), grey where they are 0.
    let filters = model.weight("strokes/kernel")?;
    let filters = filters.index_axis(Axis(2), 0).permuted_axes([2, 0, 1].as_slice()).to_owned();
    images::write_png(
        arguments.picture("filters.png")?,
        &images::enlarge(&images::grid(&around_grey(&filters), 8, 1)?, 8)?,
    )?;

    // What the first test image, a seven, becomes in both layers: one map a filter, each brightest where it is moved most.
    let outputs = model.layer_outputs(&x_test.slice(s![..1, .., .., ..]), &["strokes", "parts"])?;
    for (name, output) in ["feature_maps_strokes.png", "feature_maps_parts.png"].iter().zip(&outputs) {
        let maps = output.index_axis(Axis(0), 0).permuted_axes([2, 0, 1].as_slice()).to_owned();
        images::write_png(
            arguments.picture(name)?,
            &images::enlarge(&images::grid(&each_stretched(&maps)?, 8, 1)?, 4)?,
        )?;
    }
    most_moving(&model, &x_test, &arguments)
}

/// For each of the first eight filters of the second layer: the eight pieces of test images that move it most.
fn most_moving(model: &gradus::Model, x_test: &Array4<f32>, arguments: &arguments::Arguments) -> gradus::Result<()> {
    // A place in the maps sees 10×10 pixels: three of its own input, each of two by two of what sees five.
    const SEEN: usize = 10;
    let few = x_test.slice(s![..2000, .., .., ..]);
    let moved = model.layer_outputs(&few, &["parts"])?.remove(0);
    let [images, height, width, _] = *moved.shape() else { unreachable!("(n, height, width, channels)") };
    let mut pieces = Array4::zeros([64, SEEN, SEEN, 1]);
    for filter in 0..8 {
        // The strongest place of each image.
        let mut best: Vec<(f32, [usize; 3])> = (0..images)
            .map(|n| {
                let places = (0..height).flat_map(|i| (0..width).map(move |j| [n, i, j]));
                let strength = |[n, i, j]: [usize; 3]| moved[[n, i, j, filter]];
                places
                    .map(|place| (strength(place), place))
                    .fold((f32::MIN, [0; 3]), |a, b| if b.0 > a.0 { b } else { a })
            })
            .collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (place, (_, [n, i, j])) in best.into_iter().take(8).enumerate() {
            // Pooling by two: the place begins at twice its numbers.
            let piece = few.slice(s![n, 2 * i..2 * i + SEEN, 2 * j..2 * j + SEEN, ..]);
            pieces.index_axis_mut(Axis(0), filter * 8 + place).assign(&piece);
        }
    }
    images::write_png(arguments.picture("most_moving.png")?, &images::enlarge(&images::grid(&pieces, 8, 1)?, 6)?)
}

/// Numbers around 0 as levels around grey.
fn around_grey(numbers: &ArrayD<f32>) -> ArrayD<f32> {
    let largest = numbers.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
    numbers.mapv(|x| 0.5 + 0.5 * x / largest)
}

/// Each map from black to white.
fn each_stretched(maps: &ArrayD<f32>) -> gradus::Result<ArrayD<f32>> {
    let mut stretched = maps.clone();
    for mut map in stretched.outer_iter_mut() {
        let levels = images::stretch(&map)?;
        map.assign(&levels);
    }
    Ok(stretched)
}
