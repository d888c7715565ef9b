//! Every learning-rate schedule as a curve, and what each makes of the same network in the same time.
//!
//! | | |
//! | --- | --- |
//! | data | 5,000 digits of MNIST to learn from, 1,000 to choose by, 10,000 to test; LeCun, Cortes, Burges; CC BY-SA 3.0; ships in `data/mnist` |
//! | command | `cargo run --features plots --example learning_rate_schedules` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9393, 0.9365, 0.9344 (seeds 0, 1, 2) of the schedule chosen, a cosine with warm-up or restarts each time; a constant rate gives 0.9362, 0.9299, 0.9301 |
//! | time | 2 to 3 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use std::sync::Arc;

use gradus::custom::*;
use gradus::ndarray::s;
use gradus::plots;

/// The rate that all begin with or rise to.
const RATE: f64 = 0.1;
const BATCH: usize = 50;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(8);
    let (train, test) = datasets::mnist::load()?;
    let [rows, chosen, tested] = if arguments.smoke { [500, 100, 200] } else { [5000, 1000, 10_000] };
    let scaled = |images: &Array3<u8>, from: usize, to: usize| {
        images.slice(s![from..to, .., ..]).mapv(|pixel| f32::from(pixel) / 255.0)
    };
    let (x, y) = (scaled(&train.images, 0, rows), train.labels.slice(s![..rows]));
    let (x_choice, y_choice) =
        (scaled(&train.images, rows, rows + chosen), train.labels.slice(s![rows..rows + chosen]));
    let (x_test, y_test) = (scaled(&test.images, 0, tested), test.labels.slice(s![..tested]));

    let steps = (arguments.epochs * rows.div_ceil(BATCH)) as u64;
    let schedules = schedules(steps);
    let drawn: Vec<(&str, &dyn Schedule)> = schedules.iter().map(|(name, it)| (*name, it.as_ref())).collect();
    let [first, second] = [&drawn[..5], &drawn[5..]].map(|some| plots::learning_rates(some, steps));
    plots::Figure::new().add(first).add(second).save(arguments.picture("learning_rate_schedules.png")?)?;

    println!("{:<24} {:>10} {:>10}", "schedule", "chosen by", "test");
    let mut best: Option<(f64, f64, &str)> = None;
    for (name, schedule) in &schedules {
        let mut model = Sequential::new()
            .input([28, 28])
            .add(Flatten::new())
            .add(Dense::new(64).activation(Relu))
            .add(Dense::new(10).activation(Softmax))
            .compile(
                SparseCategoricalCrossentropy::new(),
                SGD::new().momentum(0.9).learning_rate(LearningRate::Schedule(schedule.clone())),
            )
            .metric(Accuracy::new())
            .seed(arguments.seed)
            .build()?;
        arguments.set_threads(&mut model)?;
        model.fit(&x, &y, Fit::new().batch_size(BATCH).epochs(arguments.epochs).verbose(0))?;
        let accuracy = model.evaluate(&x_choice, &y_choice)?["accuracy"];
        let test = model.evaluate(&x_test, &y_test)?["accuracy"];
        println!("{name:<24} {accuracy:>10.4} {test:>10.4}");
        if best.is_none_or(|(most, ..)| accuracy > most) {
            best = Some((accuracy, test, name));
        }
    }
    let (_, test, name) = best.expect("there are schedules");
    println!("Chosen on other digits than those of the test: {name}");
    println!("Test accuracy: {test:.4}");
    Ok(())
}

/// All schedules over so many steps.
fn schedules(count: u64) -> Vec<(&'static str, Arc<dyn Schedule>)> {
    let steps = count as f64;
    vec![
        ("constant", Arc::new(PiecewiseConstantDecay::new([steps], [RATE, RATE]))),
        ("exponential", Arc::new(ExponentialDecay::new(RATE, steps, 0.01))),
        ("exponential, stairs", Arc::new(ExponentialDecay::new(RATE, steps / 4.0, 0.3).staircase(true))),
        ("inverse", Arc::new(InverseTimeDecay::new(RATE, steps, 20.0))),
        (
            "piecewise",
            Arc::new(PiecewiseConstantDecay::new([steps / 2.0, 0.8 * steps], [RATE, RATE / 10.0, RATE / 100.0])),
        ),
        ("polynomial", Arc::new(PolynomialDecay::new(RATE, steps).end_learning_rate(0.0).power(1.0))),
        ("cosine", Arc::new(CosineDecay::new(RATE, steps))),
        ("cosine, warm-up", Arc::new(CosineDecay::new(0.0, 0.9 * steps).warmup_target(RATE).warmup_steps(0.1 * steps))),
        ("cosine, restarts", Arc::new(CosineDecayRestarts::new(RATE, steps / 7.0))),
        ("one cycle", Arc::new(OneCycle::new(RATE, count))),
    ]
}
