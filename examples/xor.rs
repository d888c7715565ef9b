//! The smallest example: exclusive or, which no single layer can tell.
//!
//! | | |
//! | --- | --- |
//! | data | the four cases |
//! | command | `cargo run --example xor` |
//! | expected | accuracy 1 |

mod arguments;

use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(500);
    let x = array![[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let y = array![[0.0f32], [1.0], [1.0], [0.0]];

    let mut model = Sequential::new()
        .input([2])
        .add(Dense::new(8).activation(Tanh))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(0.05))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    model.fit(&x, &y, Fit::new().epochs(arguments.epochs).verbose(0))?;

    for (case, p) in x.outer_iter().zip(model.predict(&x)?.iter()) {
        println!("{} xor {} = {p:.3}", case[0], case[1]);
    }
    let score = model.evaluate(&x, &y)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}
