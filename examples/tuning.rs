//! Hyper-parameters that are searched for: successive halving over networks for handwritten digits.
//!
//! | | |
//! | --- | --- |
//! | data | 2,000 digits of MNIST to learn from, 1,000 to choose by, 10,000 to test; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --features plots --example tuning` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9141, 0.9250, 0.9218 (seeds 0, 1, 2); one hidden layer of 128 with Adam's defaults gives 0.9115, 0.9063, 0.9080 |
//! | time | 7 to 11 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use gradus::ndarray::s;
use gradus::plots;
use gradus::prelude::*;
use gradus::tuning::{Space, SuccessiveHalving, Trial};

fn main() -> gradus::Result<()> {
    // The epochs of the last round.
    let arguments = arguments::Arguments::read(18);
    let (train, test) = datasets::mnist::load()?;
    let rows = if arguments.smoke { [200, 100, 500] } else { [2000, 1000, 10_000] };
    let scaled = |images: &Array3<u8>, from: usize, to: usize| {
        images.slice(s![from..to, .., ..]).mapv(|pixel| f32::from(pixel) / 255.0)
    };
    let part = |from: usize, to: usize| (scaled(&train.images, from, to), train.labels.slice(s![from..to]).to_owned());
    let (x, y) = part(0, rows[0]);
    let (x_choice, y_choice) = part(rows[0], rows[0] + rows[1]);
    let (x_test, y_test) = (scaled(&test.images, 0, rows[2]), test.labels.slice(s![..rows[2]]));

    let space = Space::new()
        .choice("layers", [1, 2, 3])
        .integer("units", 16..=256)
        .choice("activation", ["relu", "tanh", "gelu"])
        .uniform("dropout", 0.0..=0.5)
        .log_uniform("learning_rate", 1e-4..=1e-1);
    let candidates = if arguments.smoke { 3 } else { 27 };
    let mut search = SuccessiveHalving::new(space, candidates, arguments.epochs.div_ceil(9)..=arguments.epochs)
        .higher_is_better(true)
        .seed(arguments.seed);
    if let Some(threads) = arguments.threads {
        search = search.threads(threads);
    }
    let (results, model) = search.run_keeping(|trial| {
        let mut model = network(trial)?;
        model.fit(&x, &y, Fit::new().batch_size(32).epochs(trial.budget()).verbose(0))?;
        let accuracy = model.evaluate(&x_choice, &y_choice)?["accuracy"];
        Ok((accuracy, model))
    })?;

    println!("{results}");
    plots::search(&results).save(arguments.picture("tuning.png")?)?;
    let table = arguments.picture("tuning.csv")?;
    std::fs::write(&table, results.to_csv()).map_err(|source| Error::Io { path: table, source })?;
    let best = &results.best().trial;
    println!(
        "Best of {candidates} candidates: number {}, accuracy {:.4} where it was chosen",
        best.index(),
        results.best_score()
    );

    let mut usual = Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(128).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    usual.fit(&x, &y, Fit::new().batch_size(32).epochs(arguments.epochs).verbose(0))?;
    println!("One hidden layer of 128, Adam's default rate: {:.4}", usual.evaluate(&x_test, &y_test)?["accuracy"]);
    println!("Test accuracy: {:.4}", model.evaluate(&x_test, &y_test)?["accuracy"]);
    Ok(())
}

/// The network that a trial describes.
fn network(trial: &Trial) -> gradus::Result<Model> {
    let mut network = Sequential::new().input([28, 28]).add(Flatten::new());
    for _ in 0..trial.integer("layers")? {
        let activation = match trial.text("activation")? {
            "relu" => Relu,
            "tanh" => Tanh,
            _ => Gelu,
        };
        network = network
            .add(Dense::new(trial.integer("units")?).activation(activation))
            .add(Dropout::new(trial.number("dropout")?));
    }
    network
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(trial.number("learning_rate")?))
        .metric(Accuracy::new())
        .seed(trial.seed())
        .build()
}
