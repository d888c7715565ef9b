//! What holds of training as a whole: what `fit` does with rows, weights, epochs, threads, frozen and shared layers.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_lossless,
    clippy::type_complexity,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::unwrap_used
)]

mod axes;
mod bad_input;
mod callbacks;
mod earlier_files;
mod exchange;
mod folding;
mod gan;
mod graphs;
mod known_faults;
mod learner;
mod masks;
mod optimizers;
mod panics;
mod parts;
#[cfg(feature = "plots")]
mod plots;
mod predictors;
#[path = "../refuses/mod.rs"]
mod refuses;
mod scores;
mod sharing;
mod sizes;
mod streams;
mod tables;
mod tuning;

use std::sync::Mutex;

use gradus::Model;
use gradus::custom::*;
use ndarray::s;
use proptest::prelude::*;

/// 1000 images of MNIST as numbers from 0 to 1, with their labels.
#[cfg(feature = "datasets")]
fn digits(rows: usize) -> gradus::Result<(Array3<f32>, Array1<u8>)> {
    let (train, _) = datasets::mnist::load()?;
    let images = train.images.slice(s![..rows, .., ..]).mapv(|p| f32::from(p) / 255.0);
    Ok((images, train.labels.slice(s![..rows]).to_owned()))
}

#[cfg(feature = "datasets")]
fn digit_model(optimizer: impl Optimizer<f32> + 'static) -> gradus::Result<Model> {
    Sequential::new()
        .input([28, 28])
        .add(Flatten::new())
        .add(Dense::new(32).activation(Relu))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), optimizer)
        .metric(Accuracy::new())
        .build()
}

/// Rows that are all different, in `f64`.
fn rows(count: usize, features: usize) -> Array2<f64> {
    Array2::from_shape_fn((count, features), |(i, j)| ((3 * i + 7 * j + i * j) % 23) as f64 / 11.0 - 1.0)
}

fn targets(count: usize) -> Array2<f64> {
    Array2::from_shape_fn((count, 1), |(i, _)| ((5 * i) % 7) as f64 / 3.0 - 1.0)
}

fn small(optimizer: impl Optimizer<f64> + 'static) -> Model<f64> {
    Sequential::f64()
        .input([3])
        .add(Dense::new(4).activation(Tanh))
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), optimizer)
        .build()
        .expect("a good model")
}

/// A batch at once, without shuffling, silent.
fn quiet<'a>(batch: usize, epochs: usize) -> Fit<'a, f64> {
    Fit::new().batch_size(batch).epochs(epochs).shuffle(false).verbose(0)
}

fn assert_near(a: &Model<f64>, b: &Model<f64>, tolerance: f64) {
    let (a, b) = (a.get_weights(), b.get_weights());
    assert_eq!(a.len(), b.len());
    for ((path, a), (_, b)) in a.iter().zip(&b) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{path}: {a} and {b}");
        }
    }
}

/// The sum of any number of tensors of one shape.
#[derive(Clone)]
struct Total;

impl<F: Scalar> MultiLayer<F> for Total {
    type Cache = ();
    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<Vec<usize>>> {
        Ok(vec![inputs[0].to_vec()])
    }
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], (): &mut (), _: &Context<'_, F>) {
        outputs[0].data_mut().copy_from_slice(&inputs.get(0));
        for i in 1..inputs.len() {
            outputs[0].data_mut().iter_mut().zip(inputs.get(i).iter()).for_each(|(y, &x)| *y += x);
        }
    }
    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        for i in 0..inputs.len() {
            grad_inputs.write(i, |mut grad| grad.copy_from_slice(grad_outputs[0].data()));
        }
    }
}

#[test]
fn a_model_can_be_sent_and_shared() {
    fn sent_and_shared<T: Send + Sync>() {}
    sent_and_shared::<Model<f32>>();
    sent_and_shared::<Model<f64>>();
    sent_and_shared::<Error>();
}

#[cfg(feature = "datasets")]
#[test]
fn mnist_gives_the_same_bits_on_any_number_of_threads() -> gradus::Result<()> {
    let (x, y) = digits(1000)?;
    let mut first = None;
    for threads in [1, 2, 4] {
        let mut model = digit_model(Adam::new())?;
        model.set_threads(threads)?;
        let fit = Fit::new().batch_size(96).epochs(2).validation_split(0.1).verbose(0);
        let history = model.fit(&x, &y, fit)?;
        let losses = history.get("loss");
        assert!(losses[1] < losses[0], "{losses:?}");
        let score = model.evaluate(&x, &y)?;
        let now = (history, model.get_weights(), score);
        assert_eq!(first.get_or_insert_with(|| now.clone()), &now, "{threads} threads");
    }
    Ok(())
}

#[cfg(feature = "datasets")]
#[test]
fn one_model_predicts_for_many_threads_at_once() -> gradus::Result<()> {
    let (x, _) = digits(200)?;
    let model = digit_model(Adam::new())?;
    let alone = model.predict(&x)?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| model.predict(&x))).collect();
        for worker in workers {
            assert_eq!(worker.join().expect("no panic").expect("a good input"), alone);
        }
    });
    Ok(())
}

#[cfg(feature = "datasets")]
#[test]
fn bytes_train_as_the_numbers_they_are() -> gradus::Result<()> {
    let (train, _) = datasets::mnist::load()?;
    let bytes = train.images.slice(s![..200, .., ..]).to_owned();
    let numbers = bytes.mapv(f32::from);
    let labels = train.labels.slice(s![..200]).to_owned();
    let (mut a, mut b) = (digit_model(SGD::new().learning_rate(1e-4))?, digit_model(SGD::new().learning_rate(1e-4))?);
    a.fit(&bytes, &labels, Fit::new().verbose(0))?;
    b.fit(&numbers, &to_whole(&labels), Fit::new().verbose(0))?;
    assert_eq!(a.get_weights(), b.get_weights());
    assert_eq!(a.predict(&bytes)?, b.predict(&numbers)?);
    Ok(())
}

#[cfg(feature = "datasets")]
#[test]
fn a_model_that_was_saved_scores_as_before() -> gradus::Result<()> {
    let (x, y) = digits(100)?;
    let mut model = digit_model(Adam::new().learning_rate(0.01))?;
    model.fit(&x, &y, Fit::new().epochs(3).verbose(0))?;
    let path = std::env::temp_dir().join(format!("gradus-scores-{}.safetensors", std::process::id()));
    model.save(&path)?;
    let loaded = Model::<f32>::load(&path)?;
    std::fs::remove_file(path).ok();
    let (before, after) = (model.evaluate(&x, &y)?, loaded.evaluate(&x, &y)?);
    assert!(before["accuracy"] > 0.1);
    assert_eq!((before.loss, before["accuracy"]), (after.loss, after["accuracy"]));
    Ok(())
}

/// Labels of another type.
#[cfg(feature = "datasets")]
fn to_whole(labels: &Array1<u8>) -> Array1<i64> {
    labels.mapv(i64::from)
}

#[test]
fn the_loss_falls_in_f64_too() -> gradus::Result<()> {
    let mut model = small(Adam::new().learning_rate(0.05));
    let x = rows(40, 3);
    let y = Array2::from_shape_fn((40, 1), |(i, _)| x[[i, 0]] * x[[i, 1]] + 0.5 * x[[i, 2]]);
    let losses = model.fit(&x, &y, quiet(8, 60))?.get("loss");
    assert!(losses[59] < 0.2 * losses[0], "{losses:?}");
    Ok(())
}

#[test]
fn without_shuffling_fit_is_its_steps_in_order() -> gradus::Result<()> {
    let (x, y) = (rows(22, 3), targets(22));
    let (mut fitted, mut stepped) = (small(Adam::new()), small(Adam::new()));
    let history = fitted.fit(&x, &y, quiet(8, 2))?;
    for epoch in 0..2 {
        let mut total = 0.0;
        for start in [0, 8, 16] {
            let end = 22.min(start + 8);
            let loss = stepped.train_on_batch(&x.slice(s![start..end, ..]), &y.slice(s![start..end, ..]))?.loss;
            total += loss * f64::from(end - start);
        }
        // The last batch has fewer rows and counts less.
        assert_eq!(history.get("loss")[epoch], total / 22.0);
    }
    assert_eq!(fitted.get_weights(), stepped.get_weights());
    Ok(())
}

#[test]
fn a_training_loop_of_ones_own_is_fit() -> gradus::Result<()> {
    let (x, y) = (rows(24, 3), targets(24));
    let mut fitted = small(Adam::new());
    fitted.fit(&x, &y, quiet(8, 3))?;
    let mut model = small(Adam::new());
    let mut optimizer = Driver::new(Adam::new(), &model)?;
    let mut pass = model.pass();
    for (step, batch) in (0..9).zip([0, 1, 2].into_iter().cycle()) {
        let rows = s![8 * batch..8 * (batch + 1), ..];
        model.forward(&mut pass, &x.slice(rows), Mode::Training { seed: 0, step })?;
        let (_, grad) = MeanSquaredError::new().value_and_gradient(pass.output(0), &y.slice(rows))?;
        model.backward(&mut pass, &grad)?;
        optimizer.step(&mut model, &pass)?;
    }
    assert_near(&model, &fitted, 1e-13);
    Ok(())
}

/// A data set that remembers which rows it was asked for.
struct Remembering {
    asked: Mutex<Vec<usize>>,
    count: usize,
}

impl Dataset<f64> for &Remembering {
    fn len(&self) -> usize {
        self.count
    }
    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![3]]
    }
    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![1]]
    }
    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, f64>) -> gradus::Result<()> {
        self.asked.lock().expect("no panic").extend(rows);
        batch.input(0).fill(0.5);
        batch.target(0).fill(1.0);
        Ok(())
    }
}

#[test]
fn an_epoch_sees_every_row_once_in_a_new_order() -> gradus::Result<()> {
    let mut model = small(SGD::new());
    model.set_threads(1)?;
    let set = Remembering { asked: Mutex::new(Vec::new()), count: 50 };
    model.fit_data(&&set, Fit::new().batch_size(7).epochs(2).verbose(0))?;
    let asked = set.asked.into_inner().expect("no panic");
    let (first, second) = asked.split_at(50);
    let sorted = |rows: &[usize]| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        rows
    };
    let all: Vec<usize> = (0..50).collect();
    assert_eq!((sorted(first), sorted(second)), (all.clone(), all.clone()));
    assert!(first != all && second != all && first != second);

    let set = Remembering { asked: Mutex::new(Vec::new()), count: 50 };
    model.fit_data(&&set, Fit::new().batch_size(7).shuffle(false).verbose(0))?;
    assert_eq!(set.asked.into_inner().expect("no panic"), all);
    Ok(())
}

#[test]
fn the_seed_decides_the_order() -> gradus::Result<()> {
    let (x, y) = (rows(30, 3), targets(30));
    let trained = |seed: u64| {
        let mut model = small(SGD::new());
        model.set_seed(seed);
        model.fit(&x, &y, Fit::new().batch_size(4).epochs(2).verbose(0)).map(|_| model.get_weights())
    };
    assert_eq!(trained(1)?, trained(1)?);
    assert_ne!(trained(1)?, trained(2)?);
    Ok(())
}

#[test]
fn validation_takes_the_last_rows_before_shuffling() -> gradus::Result<()> {
    let (x, y) = (rows(40, 3), targets(40));
    for shuffle in [false, true] {
        let (mut split, mut apart) = (small(Adam::new()), small(Adam::new()));
        let (x_train, y_train) = (x.slice(s![..30, ..]), y.slice(s![..30, ..]));
        let (x_val, y_val) = (x.slice(s![30.., ..]), y.slice(s![30.., ..]));
        let options = || Fit::new().batch_size(8).epochs(3).shuffle(shuffle).verbose(0);
        let history = split.fit(&x, &y, options().validation_split(0.25))?;
        let expected = apart.fit(&x_train, &y_train, options().validation_data(&x_val, &y_val))?;
        assert_eq!(history, expected);
        assert_eq!(split.get_weights(), apart.get_weights());
        let last = *history.get("val_loss").last().expect("three epochs");
        assert!((last - split.evaluate(&x_val, &y_val)?.loss).abs() < 1e-14);
    }
    Ok(())
}

#[test]
fn validation_changes_nothing_in_training() -> gradus::Result<()> {
    let (x, y) = (rows(30, 3), targets(30));
    let (mut with, mut without) = (small(Adam::new()), small(Adam::new()));
    let weights = Array1::from_shape_fn(30, |i| 0.5 + (i % 3) as f64);
    let history = with.fit(&x, &y, quiet(8, 4).sample_weight(&weights).validation_data(&x, &y).validation_freq(2))?;
    without.fit(&x, &y, quiet(8, 4).sample_weight(&weights))?;
    assert_eq!(with.get_weights(), without.get_weights());
    assert_eq!((history.get("loss").len(), history.get("val_loss").len()), (4, 2));
    Ok(())
}

fn classifier(optimizer: impl Optimizer<f64> + 'static) -> gradus::Result<Model<f64>> {
    Sequential::f64()
        .input([3])
        .add(Dense::new(5).activation(Tanh))
        .add(Dense::new(3).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), optimizer)
        .metric(Accuracy::new())
        .build()
}

#[test]
fn class_weights_are_sample_weights_by_class() -> gradus::Result<()> {
    let x = rows(30, 3);
    let labels = Array1::from_shape_fn(30, |i| (i * i) % 3);
    let by_class = [0.5, 1.0, 3.0];
    let by_sample = labels.mapv(|label| by_class[label]);
    let one_hot = to_categorical_f64(&labels, 3)?;
    let (mut a, mut b) = (classifier(Adam::new())?, classifier(Adam::new())?);
    let first = a.fit(&x, &labels, quiet(8, 2).class_weight([(0, 0.5), (2, 3.0)]))?;
    let second = b.fit(&x, &labels, quiet(8, 2).sample_weight(&by_sample))?;
    assert_eq!(first, second);
    assert_eq!(a.get_weights(), b.get_weights());
    // The same with one-hot rows.
    let mut c = classifier(Adam::new())?;
    c.compile(Compile::new(Adam::new()).loss(CategoricalCrossentropy::new()))?;
    c.fit(&x, &one_hot, quiet(8, 2).class_weight([(0, 0.5), (2, 3.0)]))?;
    assert_near(&a, &c, 1e-9);
    Ok(())
}

#[test]
fn weights_are_divided_by_the_number_of_rows_and_not_by_their_sum() -> gradus::Result<()> {
    let (x, y) = (rows(8, 3), targets(8));
    let (mut once, mut twice) = (small(SGD::new().learning_rate(0.1)), small(SGD::new().learning_rate(0.05)));
    once.fit(&x, &y, quiet(8, 1))?;
    twice.fit(&x, &y, quiet(8, 1).sample_weight(&Array1::from_elem(8, 2.0)))?;
    assert_near(&once, &twice, 1e-13);
    Ok(())
}

#[test]
fn softmax_and_crossentropy_together_are_softmax_and_crossentropy_apart() -> gradus::Result<()> {
    /// Softmax, of which the loss knows nothing.
    #[derive(Clone)]
    struct Veiled;
    impl<F: Scalar> Layer<F> for Veiled {
        type Cache = ();
        fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
            Layer::<F>::build(&Softmax, input, params)
        }
        fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, cache: &mut (), cx: &Context<'_, F>) {
            Layer::forward(&Softmax, x, y, cache, cx);
        }
        fn backward(
            &self,
            x: View<'_, F>,
            y: View<'_, F>,
            grad_y: ViewMut<'_, F>,
            grad_x: Option<ViewMut<'_, F>>,
            grads: &mut Grads<'_, F>,
            cache: &mut (),
            cx: &Context<'_, F>,
        ) {
            Layer::backward(&Softmax, x, y, grad_y, grad_x, grads, cache, cx);
        }
    }
    let x = rows(20, 3);
    let labels = Array1::from_shape_fn(20, |i| i % 3);
    let start = || Sequential::f64().input([3]).add(Dense::new(5).activation(Tanh));
    let loss = SparseCategoricalCrossentropy::new;
    let mut together =
        start().add(Dense::new(3).activation(Softmax)).compile(loss(), SGD::new().learning_rate(0.5)).build()?;
    let mut apart = start().add(Dense::new(3)).add(Veiled).compile(loss(), SGD::new().learning_rate(0.5)).build()?;
    let mut layer = start().add(Dense::new(3)).add(Softmax).compile(loss(), SGD::new().learning_rate(0.5)).build()?;
    let mut logits =
        start().add(Dense::new(3)).compile(loss().from_logits(true), SGD::new().learning_rate(0.5)).build()?;
    for model in [&mut together, &mut apart, &mut layer, &mut logits] {
        model.fit(&x, &labels, quiet(8, 5))?;
    }
    assert_near(&together, &apart, 1e-6);
    assert_near(&together, &layer, 1e-12);
    assert_near(&together, &logits, 1e-12);
    Ok(())
}

#[test]
fn evaluate_is_the_loss_of_predict() -> gradus::Result<()> {
    let mut model = classifier(Adam::new())?;
    let (x, labels) = (rows(300, 3), Array1::from_shape_fn(300, |i| i % 3));
    model.fit(&x, &labels, quiet(32, 2))?;
    let score = model.evaluate(&x, &labels)?;
    let predicted = model.predict(&x)?;
    assert!((SparseCategoricalCrossentropy::new().call(&predicted, &labels)? - score.loss).abs() < 1e-12);
    let right = predicted.rows().into_iter().zip(&labels).filter(|(row, label)| {
        let best = row.iter().enumerate().fold(0, |best, (i, p)| if *p > row[best] { i } else { best });
        best == **label
    });
    assert!((right.count() as f64 / 300.0 - score["accuracy"]).abs() < 1e-12);
    // Row by row, all at once, and through a predictor.
    let mut predictor = model.predictor(128);
    let mut out = vec![0.0; 3 * 100];
    predictor.run(x.slice(s![..100, ..]).as_slice().expect("contiguous"), &mut out)?;
    assert_eq!(out[..], predicted.as_slice().expect("contiguous")[..300]);
    Ok(())
}

#[test]
fn arrays_of_any_layout_are_the_same_numbers() -> gradus::Result<()> {
    let mut model = small(SGD::new());
    let (x, y) = (rows(12, 3), targets(12));
    let mut other = model.clone();
    let columns = x.t().as_standard_layout().to_owned();
    model.fit(&x, &y, quiet(4, 2))?;
    other.fit(&columns.t(), &y.slice(s![..;1, ..]), quiet(4, 2))?;
    assert_eq!(model.get_weights(), other.get_weights());
    assert_eq!(model.predict(&x.slice(s![..;-1, ..]))?, model.predict(&x)?.slice(s![..;-1, ..]).into_dyn());
    Ok(())
}

#[test]
fn a_clone_goes_its_own_way() -> gradus::Result<()> {
    let (x, y) = (rows(16, 3), targets(16));
    let mut model = small(Adam::new());
    model.fit(&x, &y, quiet(8, 2))?;
    let (mut clone, kept) = (model.clone(), model.get_weights());
    clone.fit(&x, &y, quiet(8, 1))?;
    assert_eq!(model.get_weights(), kept);
    assert_ne!(clone.get_weights(), kept);
    // The optimizer's state was cloned too: the original takes the same steps.
    model.fit(&x, &y, quiet(8, 1))?;
    assert_eq!(model.get_weights(), clone.get_weights());
    Ok(())
}

#[test]
fn penalties_are_in_the_loss() -> gradus::Result<()> {
    let mut model = Sequential::f64()
        .input([3])
        .add(Dense::new(2).kernel_regularizer(Regularizer::L2(0.5)).activity_regularizer(Regularizer::L1(0.3)))
        .compile(MeanSquaredError::new(), SGD::new())
        .build()?;
    let (x, y) = (rows(20, 3), Array2::from_elem((20, 2), 0.5));
    let predicted = model.predict(&x)?;
    let kernel: f64 = model.weight("dense/kernel")?.iter().map(|w| 0.5 * w * w).sum();
    let activity: f64 = predicted.iter().map(|y| 0.3 * y.abs()).sum::<f64>() / 20.0;
    let expected = MeanSquaredError::new().call(&predicted, &y)? + kernel + activity;
    for loss in [model.evaluate(&x, &y)?.loss, model.train_on_batch(&x, &y)?.loss] {
        assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the sizes, one step on one thread and on three leaves the same bits.
    #[test]
    fn any_batch_gives_the_same_bits_on_any_number_of_threads(count in 1usize..200, units in 1usize..40) {
        let (x, y) = (rows(count, 3).mapv(f32::of), targets(count).mapv(f32::of));
        let step = |threads| -> gradus::Result<_> {
            let mut model = Sequential::new()
                .input([3])
                .add(Dense::new(units).activation(Silu))
                .add(Dense::new(1))
                .compile(MeanSquaredError::new(), RMSprop::new())
                .build()?;
            model.set_threads(threads)?;
            let loss = model.train_on_batch(&x, &y)?.loss;
            Ok((loss, model.get_weights()))
        };
        let (one, three) = (step(1), step(3));
        prop_assert_eq!(one.expect("a good model"), three.expect("a good model"));
    }
}
