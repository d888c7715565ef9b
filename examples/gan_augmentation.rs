//! Do generated images help a classifier that has few real ones? One GAN is trained on them, and two classifiers, without
//! and with its images, are compared on the test set. What comes out is printed, whatever it is.
//!
//! | | |
//! | --- | --- |
//! | data | 50 images of each digit of MNIST; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --release --all-features --example gan_augmentation` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | seed 0: test accuracy 0.939 without generated images, 0.868 with 1,000 |
//! | time | 3 minutes of processor time (AMD EPYC, one thread) |

mod arguments;
mod conditional;
mod gan_quality;

use gan_quality::scaled;
use gradus::ndarray::concatenate;
use gradus::prelude::*;

const EACH: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(300);
    let (train, test) = datasets::mnist::load()?;
    let mut counts = [0usize; 10];
    let few: Vec<usize> = (0..train.labels.len())
        .filter(|&row| {
            let count = &mut counts[usize::from(train.labels[row])];
            *count += 1;
            *count <= EACH
        })
        .collect();
    let images = scaled(&train.images.select(Axis(0), &few));
    let labels = train.labels.select(Axis(0), &few).mapv(usize::from);
    let tested_rows = ..if arguments.smoke { 500 } else { test.labels.len() };
    let tested = scaled(&test.images.slice_axis(Axis(0), tested_rows.into()).to_owned());
    let tested_labels = test.labels.slice_axis(Axis(0), tested_rows.into());
    println!("{} real images", images.len_of(Axis(0)));

    let mut gan = conditional::gan(arguments.seed)?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;
    gan.fit((&images, &labels), Fit::new().batch_size(50).epochs(arguments.epochs).verbose(0))?;
    let wanted = Array1::from_shape_fn(2 * images.len_of(Axis(0)), |i| i % 10);
    let made: Array4<f32> =
        gan.generate((&gan.noise(wanted.len(), 1), &wanted))?.into_dimensionality().expect("images");

    // As many steps for both, so that more images are not also more training.
    let steps = if arguments.smoke { 10 } else { 1500 };
    let accuracy = |images: &Array4<f32>, labels: &Array1<usize>| -> gradus::Result<f64> {
        let mut classifier = classifier(arguments.seed)?;
        let epochs = steps.max(1) * 50 / images.len_of(Axis(0)).max(1);
        classifier.fit(images, labels, Fit::new().batch_size(50).epochs(epochs.max(1)).verbose(0))?;
        Ok(classifier.evaluate(&tested, &tested_labels)?["accuracy"])
    };
    println!("Test accuracy without generated images: {:.4}", accuracy(&images, &labels)?);
    let both = concatenate(Axis(0), &[images.view(), made.view()])?;
    let both_labels = concatenate(Axis(0), &[labels.view(), wanted.view()])?;
    println!("Test accuracy with {} generated ones: {:.4}", made.len_of(Axis(0)), accuracy(&both, &both_labels)?);
    Ok(())
}

fn classifier(seed: u64) -> gradus::Result<Model> {
    Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Conv2D::new(64, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .seed(seed)
        .build()
}
