//! A custom metric and a custom callback: how often a network is wrong and sure of it, and an end once a goal is reached.
//!
//! | | |
//! | --- | --- |
//! | data | 10,000 digits of MNIST to learn from, 2,000 to watch, 10,000 to test; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --example custom_metric_and_callback` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9467, 0.9428, 0.9436 (seeds 0, 1, 2) when the goal was reached, after epoch 12, 14, 10 |
//! | time | 1 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use gradus::custom::*;
use gradus::ndarray::s;

/// The share of rows whose most likely class is not theirs, though its probability is above `threshold`.
struct SureMistakes {
    threshold: f64,
}

impl<F: Scalar> Metric<F> for SureMistakes {
    type State = Mean;

    fn name(&self) -> String {
        "sure_mistakes".into()
    }

    /// Refuses at compile what `update` could not read: one probability a row has no most likely class.
    fn check(&self, prediction: &[usize], _: &[usize]) -> gradus::Result<()> {
        match prediction.last() {
            Some(2..) => Ok(()),
            _ => Err(Error::shape("probabilities of two classes or more", prediction)),
        }
    }

    /// Prediction (batch, classes), target (batch) or (batch, 1): the labels.
    fn update(&self, mean: &mut Mean, prediction: View<'_, F>, target: View<'_, F>, weights: Option<&[F]>) {
        let rows = prediction.chunks(prediction.last_axis()).zip(target.iter());
        for (row, (probabilities, label)) in rows.enumerate() {
            let likely =
                (0..probabilities.len()).fold(0, |a, b| if probabilities[b] > probabilities[a] { b } else { a });
            let wrong = likely as f64 != label.f64() && probabilities[likely].f64() > self.threshold;
            mean.add(f64::from(u8::from(wrong)), weights.map_or(1.0, |weights| weights[row].f64()));
        }
    }

    fn result(&self, mean: &Mean) -> f64 {
        mean.result()
    }
}

/// Ends a training once a metric has been above a goal for `epochs` epochs in a row, and remembers when.
struct Reached {
    metric: &'static str,
    goal: f64,
    epochs: usize,
    in_a_row: usize,
    at: Option<usize>,
}

impl<F: Scalar> Callback<F> for Reached {
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, logs: &Logs) -> gradus::Result<()> {
        let value = logs.get(self.metric).ok_or_else(|| Error::unknown("metric", self.metric, logs.names()))?;
        self.in_a_row = if value > self.goal { self.in_a_row + 1 } else { 0 };
        if self.in_a_row == self.epochs {
            self.at = Some(state.epoch);
            state.stop_training();
        }
        Ok(())
    }
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(30);
    let (train, test) = datasets::mnist::load()?;
    let [rows, watched, tested] = if arguments.smoke { [500, 200, 200] } else { [10_000, 2000, 10_000] };
    let scaled = |images: &Array3<u8>, from: usize, to: usize| {
        images.slice(s![from..to, .., ..]).mapv(|pixel| f32::from(pixel) / 255.0)
    };
    let (x, y) = (scaled(&train.images, 0, rows), train.labels.slice(s![..rows]));
    let (x_watched, y_watched) =
        (scaled(&train.images, rows, rows + watched), train.labels.slice(s![rows..rows + watched]));

    let mut model = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(64).activation(Relu))
        .add(Dropout::new(0.3))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .metric(SureMistakes { threshold: 0.9 })
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    let mut reached = Reached { metric: "val_accuracy", goal: 0.95, epochs: 2, in_a_row: 0, at: None };
    let options = Fit::new().batch_size(64).epochs(arguments.epochs).validation_data(&x_watched, &y_watched);
    model.fit(&x, &y, options.callback(&mut reached))?;
    match reached.at {
        Some(epoch) => println!("The goal was reached after epoch {}", epoch + 1),
        None => println!("The goal was not reached"),
    }

    let score = model.evaluate(&scaled(&test.images, 0, tested), &test.labels.slice(s![..tested]))?;
    println!("Test sure mistakes: {:.4}", score["sure_mistakes"]);
    println!("Test accuracy: {:.4}", score["accuracy"]);
    Ok(())
}
