//! The Keras MNIST script in Rust, line by line.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST, 60,000 + 10,000 handwritten digits, 28×28; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --example mnist` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9752 to 0.9785 after 10 epochs (seeds 0 to 5: see `docs/performance.md`) |

mod arguments;

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(10);

    let (train, test) = datasets::mnist::load()?;
    let x_train = train.images.mapv(|pixel| f32::from(pixel) / 255.0);
    let x_test = test.images.mapv(|pixel| f32::from(pixel) / 255.0);
    let y_train = to_categorical(&train.labels, 10)?;
    let y_test = to_categorical(&test.labels, 10)?;

    let mut model = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());

    let fit = Fit::new().batch_size(128).epochs(arguments.epochs).validation_split(0.1);
    model.fit(&x_train, &y_train, fit)?;

    let probabilities = model.predict(&x_test.slice_axis(Axis(0), (0..3).into()))?;
    for (image, row) in test.images.outer_iter().zip(probabilities.outer_iter()) {
        draw(&image.to_owned());
        let digit = (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        println!("this is a {digit}, by {:.1} %\n", row[digit] * 100.0);
    }

    let score = model.evaluate(&x_test, &y_test)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}

/// Draws a digit with two rows of pixels a line.
fn draw(image: &Array2<u8>) {
    for rows in image.axis_chunks_iter(Axis(0), 2) {
        let line: String = rows
            .columns()
            .into_iter()
            .map(|pixels| match (pixels[0] > 100, pixels[1] > 100) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        if !line.trim().is_empty() {
            println!("{}", line.trim_end());
        }
    }
}
