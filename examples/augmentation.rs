//! What few images teach when each is seen turned, moved and zoomed: 1,000 digits instead of 60,000.
//!
//! | | |
//! | --- | --- |
//! | data | the first 1,000 images of MNIST to learn from, 10,000 to test; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --features images --example augmentation` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9715, 0.9710, 0.9701 (seeds 0, 1, 2); without augmentation 0.9600, 0.9606, 0.9566 |
//! | time | both trainings together 10 to 14 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use gradus::data::{Augmentation, AugmentedImages, images};
use gradus::ndarray::s;
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(40);
    let (train, test) = datasets::mnist::load()?;
    let rows = if arguments.smoke { 200 } else { 1000 };
    let digits = train.images.slice(s![..rows, .., ..]).to_owned();
    let labels = train.labels.slice(s![..rows]).to_owned();
    let tested = if arguments.smoke { 500 } else { 10_000 };
    let scaled = |images: &Array3<u8>| images.mapv(|pixel| f32::from(pixel) / 255.0).insert_axis(Axis(3));
    let x_test = scaled(&test.images.slice(s![..tested, .., ..]).to_owned());
    let y_test = test.labels.slice(s![..tested]);

    let changed = Augmentation::new().rotation(12.0).shift(2.5).zoom(0.12).seed(arguments.seed);
    let augmented = AugmentedImages::new(&digits, &labels, changed)?;
    // A row a digit: as it is, and as nine steps of a training would see it.
    let mut shown = Array4::<f32>::zeros((100, 28, 28, 1));
    for digit in 0..10 {
        shown.index_axis_mut(Axis(0), 10 * digit).assign(&scaled(&digits).index_axis(Axis(0), digit));
        for step in 1..10u8 {
            let image = augmented.images(&[digit], u64::from(step))?;
            shown.index_axis_mut(Axis(0), 10 * digit + usize::from(step)).assign(&image.index_axis(Axis(0), 0));
        }
    }
    let clamped = shown.mapv(|pixel| pixel.clamp(0.0, 1.0));
    images::write_png(arguments.picture("augmentation.png")?, &images::enlarge(&images::grid(&clamped, 10, 1)?, 2)?)?;

    let options = || Fit::new().batch_size(50).epochs(arguments.epochs);
    let mut plain = network(&arguments, rows)?;
    plain.fit(&scaled(&digits), &labels, options())?;
    let mut model = network(&arguments, rows)?;
    model.fit_data(&augmented, options())?;
    println!("Without augmentation: {:.4}", plain.evaluate(&x_test, &y_test)?["accuracy"]);
    println!("Test accuracy: {:.4}", model.evaluate(&x_test, &y_test)?["accuracy"]);
    Ok(())
}

fn network(arguments: &arguments::Arguments, rows: usize) -> gradus::Result<Model> {
    let steps = arguments.epochs * rows.div_ceil(50);
    let mut model = Sequential::new()
        .input([28, 28, 1])
        .add(Conv2D::new(16, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Conv2D::new(32, 3).activation(Relu))
        .add(MaxPool2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(64).activation(Relu))
        .add(Dropout::new(0.3))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(OneCycle::new(0.004, steps as u64)))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    Ok(model)
}
