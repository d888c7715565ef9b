//! A convolutional network for handwritten digits: by default with batch normalization and images turned and moved at
//! random; with `--plain` much as in the Keras documentation.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 + 10,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --release --example mnist_cnn` (`-- --plain --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9936, 0.9952, 0.9947 after 8 epochs (seeds 0, 1, 2); with `--plain` 0.9924 after 4 (seed 0) |
//! | time | 51 to 54 s on two cores (Intel Xeon, AVX-512), 240 MB; `--plain` 16 s |

mod arguments;

use gradus::data::{Augmentation, AugmentedImages};
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let (plain, arguments) = arguments::Arguments::read_with(Some("plain"), [8, 4]);
    let (train, test) = datasets::mnist::load()?;
    let scaled = |images: &Array3<u8>| images.mapv(|pixel| f32::from(pixel) / 255.0).insert_axis(Axis(3));
    let x_test = scaled(&test.images);
    let rows = if arguments.smoke { 640 } else { train.images.len_of(Axis(0)) };
    let images = train.images.slice_axis(Axis(0), (0..rows).into()).to_owned();
    let labels = train.labels.slice_axis(Axis(0), (0..rows).into()).to_owned();

    // The plain network has few epochs: smaller batches give it more steps.
    let batch_size = if plain { 64 } else { 128 };
    let steps = arguments.epochs * rows.div_ceil(batch_size);
    let network = if plain { plain_network() } else { full_network() };
    let rate = OneCycle::new(if plain { 0.002 } else { 0.005 }, steps as u64);
    let mut model = network
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(rate))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());

    let options = Fit::new().batch_size(batch_size).epochs(arguments.epochs);
    if plain {
        model.fit(&scaled(&images), &labels, options)?;
    } else {
        let slightly = Augmentation::new().rotation(10.0).shift(2.0).seed(arguments.seed);
        model.fit_data(&AugmentedImages::new(&images, &labels, slightly)?, options)?;
    }

    let tested = ..if arguments.smoke { 500 } else { test.labels.len() };
    let score =
        model.evaluate(&x_test.slice_axis(Axis(0), tested.into()), &test.labels.slice_axis(Axis(0), tested.into()))?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}

/// The network of Keras's "Simple MNIST convnet", with a hidden layer behind the convolutions.
fn plain_network() -> Sequential {
    Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.25))
        .add(Dense::new(128).activation(Relu))
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax))
}

/// With a third convolution, each normalized over the batch before its activation.
fn full_network() -> Sequential {
    let mut network = Sequential::new().input([28, 28, 1]);
    for (filters, pooled) in [(32, true), (64, true), (128, false)] {
        // The normalization's own shift takes the place of a bias.
        network =
            network.add(Conv2D::new(filters, 3).use_bias(false)).add(BatchNormalization::new().momentum(0.9)).add(Relu);
        if pooled {
            network = network.add(MaxPool2D::new());
        }
    }
    network.add(Flatten::new()).add(Dropout::new(0.4)).add(Dense::new(10).activation(Softmax))
}
