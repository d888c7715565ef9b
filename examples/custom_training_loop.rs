//! A training loop of one's own, on the steps that `fit` is made of.
//!
//! | | |
//! | --- | --- |
//! | data | two interleaved spirals, made here |
//! | command | `cargo run --example custom_training_loop` |
//! | expected | accuracy above 0.95 |

mod arguments;

use gradus::prelude::*;

/// Two spirals of points, the second turned by half a circle.
fn spirals(points: usize) -> (Array2<f32>, Array1<u8>) {
    let x = Array2::from_shape_fn((2 * points, 2), |(i, axis)| {
        let t = (i / 2) as f32 / points as f32;
        let angle = 5.0 * t + if i % 2 == 0 { 0.0 } else { std::f32::consts::PI };
        (0.2 + t) * if axis == 0 { angle.cos() } else { angle.sin() }
    });
    (x, Array1::from_iter((0..2 * points).map(|i| u8::from(i % 2 == 1))))
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(600);
    let (x, labels) = spirals(200);
    let mut model = Sequential::new()
        .input([2])
        .add(Dense::new(32).activation(Tanh))
        .add(Dense::new(32).activation(Tanh))
        .add(Dense::new(2))
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;

    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    let mut optimizer = Driver::new(Adam::new().learning_rate(0.01), &model)?;
    let mut pass = model.pass(); // all memory of a step, reused
    for epoch in 0..arguments.epochs as u64 {
        let mode = Mode::Training { seed: arguments.seed, step: epoch };
        model.forward(&mut pass, &x, mode)?;
        let (value, grad) = loss.value_and_gradient(pass.output(0), &labels)?;
        model.backward(&mut pass, &grad)?;
        optimizer.step(&mut model, &pass)?;
        if epoch % 100 == 0 {
            println!("epoch {epoch}: loss {value:.4}");
        }
    }

    let logits = model.predict(&x)?;
    let right = logits.outer_iter().zip(&labels).filter(|(row, label)| (row[1] > row[0]) == (**label == 1)).count();
    println!("Test loss: {}", loss.call(&logits, &labels)?);
    println!("Test accuracy: {}", right as f64 / labels.len() as f64);
    Ok(())
}
