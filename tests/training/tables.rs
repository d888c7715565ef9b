//! Tables of which a batch names a few rows: a step leaves the others out, and nobody can tell from its results.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gradus::Model;
use gradus::constraints::Constraint;
use gradus::custom::*;
use gradus::optimizers::ZeroGradient;

const WORDS: usize = 60;
const WIDTH: usize = 5;

/// An optimizer that says nothing of gradients of 0, so that every weight is updated in every step.
struct Everywhere(Arc<dyn Optimizer<f64>>);

impl Optimizer<f64> for Everywhere {
    fn options(&self) -> OptimizerOptions {
        self.0.options()
    }
    fn update(&self, update: &mut Update<'_, f64>) {
        self.0.update(update);
    }
    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        self.0.state(parameter)
    }
    fn scratch(&self, parameter: &Parameter<'_>) -> usize {
        self.0.scratch(parameter)
    }
    fn weight_decay(&self, parameter: &Parameter<'_>) -> Option<f64> {
        self.0.weight_decay(parameter)
    }
    fn couples_weights(&self) -> bool {
        self.0.couples_weights()
    }
}

fn model(optimizer: impl Optimizer<f64> + 'static) -> Model<f64> {
    Sequential::f64()
        .input([4])
        .add(Embedding::new(WORDS, WIDTH))
        .add(GlobalAvgPool1D::new())
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), optimizer)
        .build()
        .expect("a good model")
}

/// 40 rows of tokens, two shards; `from` moves the words that they name, three of five of all.
fn tokens(from: usize) -> Array2<f64> {
    Array2::from_shape_fn((40, 4), |(i, j)| ((from + (i * i + 5 * j) % 36) % WORDS) as f64)
}

fn optimizers() -> Vec<(&'static str, Arc<dyn Optimizer<f64>>)> {
    vec![
        ("SGD", Arc::new(SGD::new().learning_rate(0.5))),
        ("momentum", Arc::new(SGD::new().momentum(0.9).nesterov(true))),
        ("Adam", Arc::new(Adam::new())),
        ("AdamW without decay", Arc::new(AdamW::new().weight_decay(None))),
        ("AdamW", Arc::new(AdamW::new())),
        ("amsgrad", Arc::new(Adam::new().amsgrad(true))),
        ("RMSprop", Arc::new(RMSprop::new().momentum(0.5).centered(true))),
        ("Adagrad", Arc::new(Adagrad::new())),
        ("Adadelta", Arc::new(Adadelta::new())),
        ("Adamax", Arc::new(Adamax::new())),
        ("Nadam", Arc::new(Nadam::new())),
        ("Lion", Arc::new(Lion::new())),
        ("Lamb", Arc::new(Lamb::new())),
        ("Ftrl", Arc::new(Ftrl::new())),
        ("Muon", Arc::new(Muon::new())),
        ("Adafactor", Arc::new(Adafactor::new())),
        ("rates", Arc::new(Adam::new().learning_rate_multipliers([("embedding", 3.0), ("dense/bias", 0.0)]))),
        ("clipped", Arc::new(Adam::new().global_clipnorm(0.1))),
        ("clipped alone", Arc::new(SGD::new().clipnorm(0.01))),
        ("maximized", Arc::new(SGD::new().maximize(true))),
        ("averaged", Arc::new(Adam::new().use_ema(true).ema_overwrite_frequency(2))),
        ("accumulated", Arc::new(SGD::new().gradient_accumulation_steps(2))),
        ("L2", Arc::new(SGD::new().weight_decay(0.1).decoupled_weight_decay(false))),
        ("decay", Arc::new(SGD::new().weight_decay(0.1))),
    ]
}

/// Steps that name other words each time, one of them on a few rows, and a while with the table frozen.
fn train(model: &mut Model<f64>) -> gradus::Result<Vec<(String, ndarray::ArrayD<f64>)>> {
    let y = Array2::from_shape_fn((40, 1), |(i, _)| (i % 5) as f64 - 2.0);
    for from in [0, 7, 31, 7] {
        model.train_on_batch(&tokens(from), &y)?;
    }
    let few = ndarray::s![..3, ..];
    model.train_on_batch(&tokens(50).slice(few).to_owned(), &y.slice(few).to_owned())?;
    model.set_trainable("embedding", false)?;
    model.train_on_batch(&tokens(11), &y)?;
    model.set_trainable("embedding", true)?;
    model.train_on_batch(&tokens(11), &y)?;
    Ok(model.get_weights())
}

#[test]
fn rows_left_out_change_no_result() -> gradus::Result<()> {
    for (name, optimizer) in optimizers() {
        let everywhere = train(&mut model(Everywhere(optimizer.clone())))?;
        for threads in [1, 2] {
            let mut sparing = model(optimizer.clone());
            sparing.set_threads(threads)?;
            for ((path, own), (_, all)) in train(&mut sparing)?.iter().zip(&everywhere) {
                let other = own.iter().zip(all).position(|(own, all)| own.to_bits() != all.to_bits());
                assert_eq!(other, None, "{name}, {threads} threads: {path}");
            }
        }
    }
    Ok(())
}

/// A step down the slope that counts the weights that it updates.
struct Counted {
    updated: Arc<AtomicUsize>,
    zero_gradient: ZeroGradient,
}

impl Optimizer<f64> for Counted {
    fn options(&self) -> OptimizerOptions {
        OptimizerOptions::default()
    }
    fn update(&self, update: &mut Update<'_, f64>) {
        self.updated.fetch_add(update.weights.len(), Relaxed);
        update.weights.iter_mut().zip(update.gradient).for_each(|(w, g)| *w -= 0.1 * g);
    }
    fn zero_gradient(&self) -> ZeroGradient {
        self.zero_gradient
    }
}

#[test]
fn a_step_updates_the_rows_that_it_must() -> gradus::Result<()> {
    let dense = WIDTH + 1;
    let (x, y) = (array![[3.0, 9.0, 3.0, 4.0], [9.0, 9.0, 9.0, 9.0]], array![[1.0], [2.0]]);
    let other = array![[5.0, 9.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]];
    for (zero_gradient, rows) in
        [(ZeroGradient::Moves, [WORDS, WORDS]), (ZeroGradient::KeepsFresh, [3, 4]), (ZeroGradient::Keeps, [3, 2])]
    {
        let updated = Arc::new(AtomicUsize::new(0));
        let mut model = model(Counted { updated: updated.clone(), zero_gradient });
        for (x, rows) in [&x, &other].into_iter().zip(rows) {
            model.train_on_batch(x, &y)?;
            assert_eq!(updated.swap(0, Relaxed), rows * WIDTH + dense, "{zero_gradient:?}");
        }
    }
    // Whoever looks at all weights of the table needs all of them.
    let updated = Arc::new(AtomicUsize::new(0));
    let mut held = Sequential::f64()
        .input([4])
        .add(Embedding::new(WORDS, WIDTH).embeddings_constraint(Constraint::NonNeg))
        .add(GlobalAvgPool1D::new())
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), Counted { updated: updated.clone(), zero_gradient: ZeroGradient::Keeps })
        .build()?;
    held.train_on_batch(&x, &y)?;
    assert_eq!(updated.load(Relaxed), WORDS * WIDTH + dense);
    Ok(())
}
