//! The Keras MNIST script in Rust.

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let (train, test) = datasets::mnist::load()?;
    let x_train = train.images.mapv(|p| f32::from(p) / 255.0);
    let x_test = test.images.mapv(|p| f32::from(p) / 255.0);
    let y_train = to_categorical(&train.labels, 10)?;
    let y_test = to_categorical(&test.labels, 10)?;

    let mut model = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .build()?;
    println!("{}", model.summary());

    let _history = model.fit(&x_train, &y_train, Fit::new().batch_size(128).epochs(10).validation_split(0.1))?;
    let score = model.evaluate(&x_test, &y_test)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}
