//! A model with two inputs and a skip connection: MNIST digits in two halves, read by one shared layer.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, ships in `data/mnist` (see the example `mnist`) |
//! | command | `cargo run --example functional_model` |
//! | expected | test accuracy above 0.97 after 5 epochs |

mod arguments;

use gradus::prelude::*;
use ndarray::s;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(5);
    let (train, test) = datasets::mnist::load()?;
    // Upper and lower half of each image.
    let halves = |images: &Array3<u8>| {
        let scaled = images.mapv(|pixel| f32::from(pixel) / 255.0);
        (scaled.slice(s![.., ..14, ..]).to_owned(), scaled.slice(s![.., 14.., ..]).to_owned())
    };
    let ((train_upper, train_lower), (test_upper, test_lower)) = (halves(&train.images), halves(&test.images));

    let upper = Input::new([14, 28]).named("upper");
    let lower = Input::new([14, 28]).named("lower");
    let read = shared(Dense::new(64).activation(Relu).name("read"));
    let halves = [upper.apply(Flatten::new()).apply(&read), lower.apply(Flatten::new()).apply(&read)];
    let joined = call(Concatenate::new(), &halves);
    let hidden = joined.apply(Dense::new(128).activation(Relu));
    let skip = call(Add::new(), [&joined, &hidden]);
    let digit = skip.apply(Dense::new(10).activation(Softmax).name("digit"));

    let compile = Compile::new(Adam::new()).loss(SparseCategoricalCrossentropy::new()).metric(Accuracy::new());
    let mut model = ModelBuilder::new([&upper, &lower], [&digit]).seed(arguments.seed).compile(compile).build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());

    let fit = Fit::new().batch_size(128).epochs(arguments.epochs).validation_split(0.1);
    model.fit((&train_upper, &train_lower), &train.labels, fit)?;
    let score = model.evaluate((&test_upper, &test_lower), &test.labels)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}
