//! Whole workloads, timed as a user meets them, for racing against other frameworks: `benches/race.py` runs them in turn.
//!
//! `cargo bench --bench workloads -- WORKLOAD [--threads N] [--data DIR] [--epochs N] [--steps N]` prints one JSON
//! object as its last line; without a workload it lists and runs them all.

mod networks;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use gradus::applications::Application;
use gradus::custom::*;
use networks::noise;
use serde_json::{Map, Value, json};

type Figures = Map<String, Value>;

const WORKLOADS: [&str; 18] = [
    "mlp",
    "mlp_step",
    "cnn",
    "resnet",
    "rnn",
    "lstm",
    "gru",
    "lstm_text",
    "gan",
    "infer_tiny",
    "infer_mlp",
    "infer_mlp_256",
    "infer_cnn",
    "infer_cnn_256",
    "infer_resnet50",
    "infer_resnet50_8",
    "infer_mobilenet",
    "infer_mobilenet_8",
];

struct Options {
    threads: Option<usize>,
    data: Option<PathBuf>,
    epochs: usize,
    steps: Option<usize>,
}

impl Options {
    /// A model with as many threads as were asked for.
    fn on_threads(&self, mut model: Model) -> gradus::Result<Model> {
        if let Some(threads) = self.threads {
            model.set_threads(threads)?;
        }
        Ok(model)
    }
}

fn main() -> gradus::Result<()> {
    let mut options = Options { threads: None, data: None, epochs: 5, steps: None };
    let mut chosen = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} takes a value"));
        let number = |text: String| text.parse().unwrap_or_else(|_| panic!("`{text}` is not a whole number"));
        match argument.as_str() {
            "--bench" => (), // Cargo's own
            "--threads" => options.threads = Some(number(value())),
            "--data" => options.data = Some(value().into()),
            "--epochs" => options.epochs = number(value()),
            "--steps" => options.steps = Some(number(value())),
            name if WORKLOADS.contains(&name) => chosen.push(name.to_owned()),
            other => panic!("there is no workload `{other}`, only {WORKLOADS:?}"),
        }
    }
    if chosen.is_empty() {
        println!("workloads: {}", WORKLOADS.join(" "));
        chosen = WORKLOADS.map(String::from).to_vec();
    }
    for workload in &chosen {
        let mut row = run(workload, &options)?;
        row.insert("framework".into(), json!("gradus"));
        row.insert("version".into(), json!(env!("CARGO_PKG_VERSION")));
        row.insert("threads".into(), json!(options.threads));
        row.insert("workload".into(), json!(workload));
        row.insert("rss_mb".into(), json!(peak_memory_mb()));
        println!("{}", Value::Object(row));
    }
    Ok(())
}

fn run(workload: &str, options: &Options) -> gradus::Result<Figures> {
    match workload {
        "mlp" => mlp(options),
        "mlp_step" => step(options.on_threads(networks::mnist()?)?, &[128, 28, 28], options.steps.unwrap_or(2000)),
        "cnn" => step(options.on_threads(networks::cnn()?)?, &[128, 28, 28, 1], options.steps.unwrap_or(60)),
        "resnet" => step(options.on_threads(networks::resnet()?)?, &[64, 32, 32, 3], options.steps.unwrap_or(30)),
        "rnn" => sequences(options, RNN::new(128)),
        "lstm" => sequences(options, LSTM::new(128)),
        "gru" => sequences(options, GRU::new(128)),
        "lstm_text" => lstm_text(options),
        "gan" => gan(options),
        "infer_tiny" => infer_tiny(options),
        "infer_mlp" => Ok(infer(&options.on_threads(networks::mnist()?)?, &[1, 28, 28], options.steps.unwrap_or(2000))),
        "infer_mlp_256" => {
            Ok(infer(&options.on_threads(networks::mnist()?)?, &[256, 28, 28], options.steps.unwrap_or(2000)))
        }
        "infer_cnn" => {
            Ok(infer(&options.on_threads(networks::cnn()?)?, &[1, 28, 28, 1], options.steps.unwrap_or(2000)))
        }
        "infer_cnn_256" => {
            Ok(infer(&options.on_threads(networks::cnn()?)?, &[256, 28, 28, 1], options.steps.unwrap_or(100)))
        }
        "infer_resnet50" => infer_image(&Application::resnet50(), options, 1),
        "infer_resnet50_8" => infer_image(&Application::resnet50(), options, 8),
        "infer_mobilenet" => infer_image(&Application::mobilenet_v2(), options, 1),
        _ => infer_image(&Application::mobilenet_v2(), options, 8),
    }
}

/// One epoch of the script as `fit` runs it, loss and accuracy kept, 6,000 images validated.
fn mlp(options: &Options) -> gradus::Result<Figures> {
    let (train, test) = match &options.data {
        Some(folder) => datasets::mnist::load_from(folder)?,
        None => datasets::mnist::load()?,
    };
    let scaled = |images: Array3<u8>| images.mapv(|pixel| f32::from(pixel) / 255.0);
    let (y_train, y_test) = (to_categorical(&train.labels, 10)?, to_categorical(&test.labels, 10)?);
    let (x_train, x_test) = (scaled(train.images), scaled(test.images));
    let mut model = options.on_threads(networks::mnist()?)?;
    let mut times = Vec::new();
    let mut start = Instant::now();
    let fit =
        Fit::new().batch_size(128).epochs(options.epochs).validation_split(0.1).verbose(0).on_epoch_end(|_, _| {
            times.push(start.elapsed().as_secs_f64());
            start = Instant::now();
            Ok(())
        });
    model.fit(&x_train, &y_train, fit)?;
    let score = model.evaluate(&x_test, &y_test)?;
    let (median, least) = median_and_least(times);
    Ok(figures(&json!({ "epoch_s": median, "min_s": least, "test_acc": score["accuracy"], "test_loss": score.loss })))
}

/// One training step on one batch of this shape: an epoch is one batch, which `fit` goes over again and again.
fn step(mut model: Model, shape: &[usize], steps: usize) -> gradus::Result<Figures> {
    let (x, labels) = (noise(shape), Array1::from_iter((0..shape[0]).map(|row| row % 10)));
    let y = to_categorical(&labels, 10)?;
    let mut times = Vec::with_capacity(steps);
    let mut start = Instant::now();
    let fit = Fit::new().batch_size(shape[0]).epochs(steps).shuffle(false).verbose(0).on_epoch_end(|_, _| {
        times.push(start.elapsed().as_secs_f64());
        start = Instant::now();
        Ok(())
    });
    model.fit(&x, &y, fit)?;
    Ok(milliseconds(times))
}

/// One training step of a recurrent layer on a batch of 64 sequences, 64 timesteps of 64 features, as `mlp_step`.
fn sequences<M>(options: &Options, layer: impl IntoLayer<f32, M>) -> gradus::Result<Figures> {
    let mut model = options.on_threads(networks::recurrent(layer)?)?;
    let steps = options.steps.unwrap_or(60);
    let (x, y) = (noise(&[64, 64, 64]), Array1::from_iter((0..64).map(|row| row % 10)));
    let mut times = Vec::with_capacity(steps);
    let mut start = Instant::now();
    let fit = Fit::new().batch_size(64).epochs(steps).shuffle(false).verbose(0).on_epoch_end(|_, _| {
        times.push(start.elapsed().as_secs_f64());
        start = Instant::now();
        Ok(())
    });
    model.fit(&x, &y, fit)?;
    Ok(milliseconds(times))
}

/// One training step on 32 texts of 80 tokens out of 20,000, fresh ones each step.
fn lstm_text(options: &Options) -> gradus::Result<Figures> {
    let mut model = options.on_threads(networks::text()?)?;
    let steps = options.steps.unwrap_or(40);
    let tokens = noise(&[steps + 4, 32, 80]).mapv(|x| (x * 20_000.0).floor().min(19_999.0));
    let y = Array2::from_shape_fn((32, 1), |(row, _)| (row % 2) as f32);
    let mut times = Vec::with_capacity(steps);
    for (step, x) in tokens.outer_iter().enumerate() {
        let start = Instant::now();
        model.train_on_batch(&x, &y)?;
        if step >= 4 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(milliseconds(times))
}

/// One step of a DCGAN on a batch of 64 images: the discriminator on real and made images, then the generator on the same
/// made ones.
fn gan(options: &Options) -> gradus::Result<Figures> {
    let mut gan = networks::gan()?;
    if let Some(threads) = options.threads {
        gan.set_threads(threads)?;
    }
    let steps = options.steps.unwrap_or(60);
    let real = noise(&[64, 28, 28, 1]).mapv(|x| 2.0 * x - 1.0);
    let mut times = Vec::with_capacity(steps);
    let mut start = Instant::now();
    let fit = Fit::new().batch_size(64).epochs(steps).shuffle(false).verbose(0).on_epoch_end(|_, _| {
        times.push(start.elapsed().as_secs_f64());
        start = Instant::now();
        Ok(())
    });
    gan.fit(&real, fit)?;
    Ok(milliseconds(times))
}

/// One prediction of one row by a network of 1,004 weights: the library's own overhead. Beside it the same network as
/// loops over constant arrays.
fn infer_tiny(options: &Options) -> gradus::Result<Figures> {
    let model = Sequential::new()
        .input([6])
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(8).activation(Relu))
        .add(Dense::new(4))
        .build()?;
    let x = [0.1f32, -0.2, 0.3, 0.4, -0.5, 0.6];
    let mut y = [0.0f32; 4];
    let mut predictor = model.predictor(1);
    let count = options.steps.unwrap_or(5000);
    // A single prediction is hardly longer than reading the clock: a hundred are timed at once.
    let times = timed(count, 100, || {
        predictor.run(black_box(&x), &mut y).expect("the sizes fit");
        black_box(&y);
    });
    let mut row = milliseconds(times);

    let weights: Vec<Vec<f32>> = model.get_weights().into_iter().map(|(_, w)| w.iter().copied().collect()).collect();
    let by_hand = timed(count, 100, || {
        let (mut h1, mut h2, mut out) = ([0.0f32; 64], [0.0f32; 8], [0.0f32; 4]);
        dense_by_hand(black_box(&x), &weights[0], &weights[1], &mut h1);
        relu_by_hand(&mut h1);
        dense_by_hand(&h1, &weights[2], &weights[3], &mut h2);
        relu_by_hand(&mut h2);
        dense_by_hand(&h2, &weights[4], &weights[5], &mut out);
        black_box(&out);
    });
    row.insert("by_hand_ms".into(), json!(median_and_least(by_hand).0 * 1e3));
    Ok(row)
}

fn dense_by_hand<const N: usize, const M: usize>(x: &[f32; N], kernel: &[f32], bias: &[f32], y: &mut [f32; M]) {
    y.copy_from_slice(bias);
    for (x, row) in x.iter().zip(kernel.chunks_exact(M)) {
        for (y, w) in y.iter_mut().zip(row) {
            *y += x * w;
        }
    }
}

fn relu_by_hand(x: &mut [f32]) {
    for x in x {
        *x = x.max(0.0);
    }
}

/// One prediction of so many photographs of 224 × 224 by a known network, with weights as they are drawn.
fn infer_image(application: &Application, options: &Options, images: usize) -> gradus::Result<Figures> {
    let model = options.on_threads(application.build()?)?;
    Ok(infer(&model, &[images, 224, 224, 3], options.steps.unwrap_or(20)))
}

/// One prediction of images of this shape, the first number being how many.
fn infer(model: &Model, shape: &[usize], count: usize) -> Figures {
    let rows = shape[0];
    let x = noise(shape);
    let x = x.as_slice().expect("made in one piece");
    let mut y = vec![0.0; rows * model.output_shape(0)[0]];
    let mut predictor = model.predictor(rows);
    let times = timed(count, 1, || {
        predictor.run(black_box(x), &mut y).expect("the sizes fit");
        black_box(&y);
    });
    milliseconds(times)
}

/// Seconds a call, measured `count` times over `calls` calls each, after a tenth as many to warm up.
fn timed(count: usize, calls: u32, mut call: impl FnMut()) -> Vec<f64> {
    (0..count / 10).for_each(|_| call());
    let mut time = || {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    (0..count).map(|_| time()).collect()
}

fn median_and_least(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

fn milliseconds(times: Vec<f64>) -> Figures {
    let steps = times.len();
    let (median, least) = median_and_least(times);
    figures(&json!({ "median_ms": median * 1e3, "min_ms": least * 1e3, "steps": steps }))
}

fn figures(row: &Value) -> Figures {
    row.as_object().cloned().unwrap_or_default()
}

/// The most memory that the process has held, where the system tells (Linux: VmHWM).
fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}
