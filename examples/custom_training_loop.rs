//! The training loop that `fit` runs, written out: batches in a new order each epoch, and the three thirds of a step.
//!
//! | | |
//! | --- | --- |
//! | data | two interleaved spirals, made here |
//! | command | `cargo run --example custom_training_loop` |
//! | expected | accuracy above 0.95; the weights of `fit`, bit for bit |

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

fn network(seed: u64) -> gradus::Result<Model> {
    Sequential::new()
        .input([2])
        .add(Dense::new(32).activation(Tanh))
        .add(Dense::new(32).activation(Tanh))
        .add(Dense::new(2).activation(Softmax))
        .seed(seed)
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(0.01))
        .metric(Accuracy::new())
        .build()
}

fn main() -> gradus::Result<()> {
    const BATCH: usize = 100;
    let arguments = arguments::Arguments::read(150);
    let (x, labels) = spirals(200);
    let mut model = network(arguments.seed)?;
    arguments.set_threads(&mut model)?;

    for epoch in 0..arguments.epochs {
        // The order of an epoch depends on seed and epoch alone, so that a training can be taken up anywhere.
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        gradus::random::shuffle(&mut order, arguments.seed, epoch as u64);
        let mut total = 0.0;
        for rows in order.chunks(BATCH) {
            let (x, labels) = (x.select(Axis(0), rows), labels.select(Axis(0), rows));
            // Shards gather their rows, go forward, and take their losses, which are joined.
            let score = model.forward_losses(Arrays::new(&x, &labels))?;
            // Gradients go back through the network.
            model.compute_gradients()?;
            // Gradients are joined; layers write their state, and the optimizer changes the weights.
            model.apply_gradients()?;
            total += score.loss * rows.len() as f64;
        }
        if epoch % 25 == 0 {
            println!("epoch {epoch}: loss {:.4}", total / x.nrows() as f64);
        }
    }

    let mut fitted = network(arguments.seed)?;
    fitted.fit(&x, &labels, Fit::new().batch_size(BATCH).epochs(arguments.epochs).verbose(0))?;
    assert_eq!(model.get_weights(), fitted.get_weights(), "`fit` does the same");
    let score = model.evaluate(&x, &labels)?;
    println!("Test loss: {}", score.loss);
    println!("Test accuracy: {}", score["accuracy"]);
    Ok(())
}
