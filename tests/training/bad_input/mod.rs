//! Whatever a user can get wrong gives an error that says who refused, what was expected and what came; and nothing has
//! changed.
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

mod building;

use gradus::Model;
use gradus::prelude::*;

use crate::refuses::refuses;

fn rows(count: usize) -> Array2<f32> {
    Array2::from_shape_fn((count, 3), |(i, j)| ((3 * i + 7 * j) % 11) as f32 / 5.0 - 1.0)
}

fn labels(count: usize) -> Array1<usize> {
    Array1::from_shape_fn(count, |i| i % 2)
}

fn classifier() -> Model {
    Sequential::new()
        .input([3])
        .add(Dense::new(4).activation(Tanh))
        .add(Dense::new(2).activation(Softmax).name("kind"))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .build()
        .expect("a good model")
}

fn silent<'a>() -> Fit<'a, f32> {
    Fit::new().verbose(0)
}

/// Tries something that is refused on a model that has been trained a little, and makes sure that neither its weights
/// nor its optimizer have changed: it goes on as its twin does.
#[track_caller]
fn refuses_and_changes_nothing<T>(attempt: impl FnOnce(&mut Model) -> gradus::Result<T>, parts: &[&str]) {
    let mut model = classifier();
    model.fit(&rows(8), &labels(8), silent()).expect("good data");
    let mut twin = model.clone();
    refuses(attempt(&mut model), parts);
    assert_eq!(model.get_weights(), twin.get_weights());
    for model in [&mut model, &mut twin] {
        model.fit(&rows(8), &labels(8), silent().epochs(2)).expect("good data");
    }
    assert_eq!(model.get_weights(), twin.get_weights(), "the optimizer went on elsewhere");
}

#[test]
fn inputs_of_wrong_shape() {
    let (x, y) = (rows(8), labels(8));
    refuses_and_changes_nothing(
        |model| model.fit(&Array2::<f32>::zeros((8, 4)), &y, silent()),
        &["fit: ", "input `input` of shape (batch, 3)", "received (8, 4)"],
    );
    refuses_and_changes_nothing(
        |model| model.fit(&Array3::<f32>::zeros((8, 3, 1)), &y, silent()),
        &["fit: ", "(batch, 3)", "received (8, 3, 1)"],
    );
    refuses_and_changes_nothing(
        |model| model.predict(&array![0.0f32, 1.0, 2.0]),
        &["(batch, 3)", "received (3)", "batch axis"],
    );
    refuses_and_changes_nothing(|model| model.predict(&ndarray::arr0(0.0f32)), &["predict", "received ()"]);
    refuses_and_changes_nothing(|model| model.evaluate(&Array2::<f32>::zeros((8, 2)), &y), &["evaluate: ", "(8, 2)"]);
    refuses_and_changes_nothing(|model| model.predict((&x, &x)), &["1 inputs (input)", "received 2"]);
    refuses_and_changes_nothing(|model| model.fit((&x, &x), &y, silent()), &["fit: ", "1 inputs", "received 2"]);
    refuses_and_changes_nothing(|model| model.fit(&x, (&y, &y), silent()), &["fit: ", "targets for 1 outputs", "2"]);
    refuses_and_changes_nothing(
        |model| model.layer_outputs(&x, &["dense", "hidden"]),
        &["no layer `hidden`", "`dense`", "`kind`"],
    );
}

#[test]
fn targets_of_wrong_shape_or_value() -> gradus::Result<()> {
    let x = rows(8);
    let one_hot = to_categorical(&labels(8), 2)?;
    refuses_and_changes_nothing(
        |model| model.fit(&x, &one_hot, silent()),
        &["a target for output `kind` (SparseCategoricalCrossentropy)", "received (8, 2)", "CategoricalCrossentropy"],
    );
    refuses_and_changes_nothing(|model| model.fit(&x, &labels(7), silent()), &["fit: ", "8 rows of targets", "7"]);
    let mut wrong = labels(8);
    wrong[5] = 2;
    refuses_and_changes_nothing(
        |model| model.fit(&x, &wrong, silent()),
        &["fit: ", "labels in 0..2", "2 at row 5", "units"],
    );
    let negative = labels(8).mapv(|label| if label == 0 { -1 } else { 0 });
    refuses_and_changes_nothing(|model| model.fit(&x, &negative, silent()), &["labels in 0..2", "-1 at row 0"]);
    let halves = labels(8).mapv(|label| label as f32 / 2.0);
    refuses_and_changes_nothing(|model| model.evaluate(&x, &halves), &["evaluate: ", "labels in 0..2", "0.5 at row 1"]);
    refuses_and_changes_nothing(
        |model| model.fit(&x, &labels(8), silent().validation_data(&x, &wrong)),
        &["fit, validation: ", "2 at row 5"],
    );

    let with = |loss: &str, y: &Array2<f32>| {
        let mut model = classifier();
        let compile = Compile::new(SGD::new());
        model.compile(match loss {
            "categorical" => compile.loss(CategoricalCrossentropy::new()),
            _ => compile.loss(BinaryCrossentropy::new()),
        })?;
        let before = model.get_weights();
        let result = model.fit(&x, y, silent());
        assert_eq!(model.get_weights(), before);
        result
    };
    let mut two_ones = one_hot.clone();
    two_ones[[3, 0]] = 1.0;
    two_ones[[3, 1]] = 1.0;
    refuses(with("categorical", &two_ones), &["one-hot", "[1.0, 1.0] at row 3", "to_categorical"]);
    let mut above = one_hot.clone();
    above[[6, 1]] = 1.5;
    refuses(with("binary", &above), &["targets in 0..=1", "1.5 at row 6"]);
    refuses(
        with("categorical", &labels(8).mapv(|label| label as f32).insert_axis(Axis(1))),
        &["(8, 1)", "to_categorical"],
    );
    Ok(())
}

#[test]
fn numbers_that_are_none() {
    let (x, y) = (rows(8), labels(8));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut wrong = x.clone();
        wrong[[6, 1]] = bad;
        let shown = format!("{bad} at row 6");
        for what in ["fit", "evaluate", "train_on_batch", "test_on_batch"] {
            refuses_and_changes_nothing(
                |model| match what {
                    "fit" => model.fit(&wrong, &y, silent()).map(|_| ()),
                    "evaluate" => model.evaluate(&wrong, &y).map(|_| ()),
                    "train_on_batch" => model.train_on_batch(&wrong, &y).map(|_| ()),
                    _ => model.test_on_batch(&wrong, &y).map(|_| ()),
                },
                &[&format!("{what}: expected finite numbers in input `input`"), &shown],
            );
        }
        let mut weights = Array1::ones(8);
        weights[2] = bad;
        refuses_and_changes_nothing(
            |model| model.fit(&x, &y, silent().sample_weight(&weights)),
            &["finite sample weights", &format!("{bad} at row 2")],
        );
        let mut targets = Array2::<f32>::zeros((8, 2));
        targets[[4, 0]] = bad;
        let mut model = classifier();
        model.compile(Compile::new(SGD::new()).loss(MeanSquaredError::new())).expect("a good loss");
        refuses(model.fit(&x, &targets, silent()), &["finite targets", &format!("{bad} at row 4")]);
    }
}

#[test]
fn a_loss_that_is_no_longer_finite_ends_the_training_before_its_step() -> gradus::Result<()> {
    let mut model = Sequential::new()
        .input([1])
        .add(Dense::new(1).use_bias(false))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(1e10))
        .build()?;
    let (x, y) = (array![[1e5f32]], array![[0.0f32]]);
    let mut steps = 0;
    let mut before = model.get_weights();
    let error = loop {
        match model.train_on_batch(&x, &y) {
            Ok(_) => (steps, before) = (steps + 1, model.get_weights()),
            Err(error) => break error,
        }
    };
    assert!(steps > 0);
    let Error::LossNotFinite { loss, step } = error else { panic!("{error}") };
    assert!(!loss.is_finite());
    assert_eq!(step, steps);
    let same = |a: &[(String, ArrayD<f32>)], b: &[(String, ArrayD<f32>)]| format!("{a:?}") == format!("{b:?}");
    assert!(same(&model.get_weights(), &before));
    // In fit, too, with the step counted over all epochs.
    let mut again = Sequential::new()
        .input([1])
        .add(Dense::new(1).use_bias(false))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(1e10))
        .build()?;
    refuses(again.fit(&x, &y, silent().epochs(50)), &["the loss became", &format!("at step {steps}"), "learning rate"]);
    assert!(same(&again.get_weights(), &before));
    Ok(())
}

#[test]
fn options_of_fit() {
    let (x, y) = (rows(8), labels(8));
    for (options, parts) in [
        (silent().batch_size(0), &["fit: `batch_size` must be at least 1, got 0"][..]),
        (silent().validation_batch_size(0), &["`validation_batch_size`", "got 0"]),
        (silent().validation_freq(0), &["`validation_freq`", "got 0"]),
        (silent().steps_per_epoch(0), &["`steps_per_epoch`", "got 0"]),
        (silent().validation_split(1.0), &["`validation_split` must be in 0..1, got 1"]),
        (silent().validation_split(-0.1), &["`validation_split`", "got -0.1"]),
        (silent().validation_split(f64::NAN), &["`validation_split`", "got NaN"]),
        (silent().validation_split(0.99), &["validation_split", "8"]),
        (silent().class_weight([(0, -1.0)]), &["`class_weight`", "got -1"]),
        (silent().class_weight([(0, f64::NAN)]), &["`class_weight`", "got NaN"]),
        (silent().sample_weight(&Array1::<f32>::ones(7)), &["weights of shape (8)", "received (7)"]),
        (silent().sample_weight(&Array2::<f32>::ones((8, 2))), &["weights of shape (8)", "received (8, 2)"]),
        (
            silent().sample_weight(&Array1::<f32>::ones(8)).sample_weight(&Array1::<f32>::ones(8)),
            &["sample weights for each of 1 outputs", "2"],
        ),
        (Fit::new().verbose(3), &["`verbose` must be 0, 1 or 2, got 3"]),
        (
            silent().callback(EarlyStopping::new()),
            &["EarlyStopping: `monitor`", "no metric `val_loss`", "`loss`", "`accuracy`"],
        ),
    ] {
        let callback = parts[0].starts_with("EarlyStopping");
        let attempt = |model: &mut Model| model.fit(&x, &y, options);
        if callback {
            refuses(attempt(&mut classifier()), parts); // after the first epoch
        } else {
            refuses_and_changes_nothing(attempt, parts);
        }
    }
}

#[test]
fn no_data() {
    let (x, y) = (Array2::<f32>::zeros((0, 3)), Array1::<usize>::zeros(0));
    refuses_and_changes_nothing(|model| model.fit(&x, &y, silent()), &["fit: expected at least one row"]);
    refuses_and_changes_nothing(|model| model.evaluate(&x, &y), &["evaluate: expected at least one row"]);
    refuses_and_changes_nothing(|model| model.train_on_batch(&x, &y), &["train_on_batch: expected at least one row"]);
    refuses_and_changes_nothing(
        |model| model.fit(&rows(8), &labels(8), silent().validation_data(&x, &y)),
        &["fit, validation: expected at least one row"],
    );
    // Predictions of nothing are nothing.
    assert_eq!(classifier().predict(&x).expect("no rows").shape(), [0, 2]);
}

/// A data set that fails where it is told to.
struct Failing {
    at: usize,
    label: f32,
}

impl Dataset<f32> for Failing {
    fn len(&self) -> usize {
        12
    }
    fn input_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![3]]
    }
    fn target_shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![]]
    }
    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, f32>) -> gradus::Result<()> {
        if rows.contains(&self.at) {
            return Err(Error::data("gather", "a readable row", format!("{}", self.at)));
        }
        batch.input(0).fill(0.5);
        batch.target(0).fill(self.label);
        Ok(())
    }
}

#[test]
fn a_data_set_that_fails() {
    refuses_and_changes_nothing(
        |model| model.fit_data(&Failing { at: 2, label: 1.0 }, silent().batch_size(4).shuffle(false)),
        &["gather: expected a readable row, received 2"],
    );
    refuses_and_changes_nothing(
        |model| model.fit_data(&Failing { at: 99, label: 7.0 }, silent().batch_size(4)),
        &["labels in 0..2", "7 at row 0"],
    );
    refuses_and_changes_nothing(
        |model| model.evaluate_data(&Failing { at: 5, label: 1.0 }),
        &["gather: expected a readable row, received 5"],
    );
    refuses_and_changes_nothing(
        |model| model.fit_data(&Failing { at: 99, label: 1.0 }, silent().validation_split(0.5)),
        &["fit: ", "validation_split", "`validation`"],
    );
    let mut model = Sequential::new().input([4]).add(Dense::new(1)).build().expect("a good model");
    model.compile(Compile::new(SGD::new()).loss(MeanSquaredError::new())).expect("a good loss");
    refuses(
        model.fit_data(&Failing { at: 99, label: 1.0 }, silent()),
        &["fit: ", "input rows of shapes (4)", "received (3)"],
    );
}

#[test]
fn models_that_are_not_ready() -> gradus::Result<()> {
    refuses(Sequential::new().input([3]).build(), &["model `sequential`", "no layers"]);
    refuses(Sequential::new().add(Dense::new(1)).build(), &["model `sequential`", "no input", "`input`"]);
    refuses(Sequential::new().input([3, 0]).add(Dense::new(1)).build(), &["input `input`", "empty axes", "(3, 0)"]);
    let mut model = Sequential::new().input([3]).add(Dense::new(2)).build()?;
    assert!(!model.is_compiled());
    let (x, y) = (rows(4), Array2::<f32>::zeros((4, 2)));
    refuses(model.fit(&x, &y, silent()), &["fit: compile the model"]);
    refuses(model.evaluate(&x, &y), &["evaluate: compile the model"]);
    refuses(model.train_on_batch(&x, &y), &["train_on_batch: compile the model"]);
    refuses(model.test_on_batch(&x, &y), &["test_on_batch: compile the model"]);
    refuses(Sequential::new().input([3]).add(Dense::new(1)).metric(Accuracy::new()).build(), &["compile: give a loss"]);
    refuses(
        model.compile(Compile::new(SGD::new())),
        &["compile: expected a loss for each of 1 outputs (dense), received 0 losses"],
    );
    refuses(
        model.compile(Compile::new(SGD::new()).metric(Accuracy::new())),
        &["compile: give a loss before its metrics"],
    );
    let loss = MeanSquaredError::new().reduction(Reduction::None);
    refuses(model.compile(Compile::new(SGD::new()).loss(loss)), &["MeanSquaredError of output `dense`", "`reduction`"]);
    let weight = Compile::new(SGD::new()).loss(MeanSquaredError::new()).weight(f64::NAN);
    refuses(model.compile(weight), &["`weight`", "NaN"]);
    refuses(model.set_threads(0), &["`threads` must be at least 1, got 0"]);
    // A compilation that fails leaves the one before.
    let mut model = classifier();
    assert!(model.compile(Compile::new(SGD::new().learning_rate(-1.0)).loss(MeanSquaredError::new())).is_err());
    model.fit(&rows(4), &labels(4), silent())?;
    Ok(())
}

#[test]
fn predictors_of_wrong_lengths() -> gradus::Result<()> {
    let model = classifier();
    let mut predictor = model.predictor(2);
    let mut out = [7.0; 4];
    refuses(predictor.run(&[0.0; 4], &mut out[..2]), &["Predictor::run", "rows of 3 values", "received 4"]);
    refuses(predictor.run(&[0.0; 9], &mut [0.0; 6]), &["at most 2 rows", "received 9"]);
    refuses(predictor.run(&[0.0; 6], &mut out[..3]), &["room for 4 values", "received 3"]);
    refuses(predictor.run_all(&[&[0.0; 3], &[0.0; 3]], &mut [&mut out[..2]]), &["1 inputs and 1 outputs", "2 and 1"]);
    refuses(predictor.run_all(&[&[0.0; 3]], &mut []), &["1 inputs and 1 outputs", "1 and 0"]);
    assert_eq!(out, [7.0; 4]);
    predictor.run(&[0.0; 3], &mut out[..2])?;
    predictor.run(&[], &mut [])?;
    let two = {
        let (a, b) = (Input::new([2]), Input::new([3]));
        let both = [&a.apply(Dense::new(1)), &b.apply(Dense::new(1))];
        ModelBuilder::new([&a, &b], both).build()?
    };
    let mut predictor = two.predictor(4);
    let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
    refuses(
        predictor.run_all(&[&[0.0; 4], &[0.0; 3]], &mut [&mut a, &mut b]),
        &["input `input_1`", "rows of 3 values", "received 3"],
    );
    predictor.run_all(&[&[0.0; 4], &[0.0; 6]], &mut [&mut a, &mut b])?;
    Ok(())
}

#[test]
fn passes_out_of_order() -> gradus::Result<()> {
    let mut model = classifier();
    let x = rows(4);
    let training = Mode::Training { seed: 0, step: 0 };
    let mut pass = model.pass();
    refuses(model.backward(&mut pass, &Array2::<f32>::zeros((4, 2))), &["backward: run `forward`"]);
    let mut optimizer = Driver::new(SGD::new(), &model)?;
    let before = model.get_weights();
    refuses(optimizer.step(&mut model, &pass), &["Driver::step", "backward"]);
    model.forward(&mut pass, &x, training)?;
    refuses(model.backward(&mut pass, &Array2::<f32>::zeros((4, 3))), &["backward: ", "(batch, 2)", "(4, 3)"]);
    refuses(model.backward(&mut pass, &Array2::<f32>::zeros((5, 2))), &["backward: expected 4 rows, received 5"]);
    let two = [ArrayD::<f32>::zeros(vec![4, 2]), ArrayD::zeros(vec![4, 2])];
    refuses(model.backward(&mut pass, &two[..]), &["a gradient for each of 1 outputs", "2"]);
    refuses(optimizer.step(&mut model, &pass), &["Driver::step", "backward"]);
    model.backward(&mut pass, &Array2::from_elem((4, 2), f32::NAN))?;
    refuses(model.backward(&mut pass, &Array2::<f32>::ones((4, 2))), &["backward: run `forward`", "each"]);
    refuses(optimizer.step(&mut model, &pass), &["the gradient of `dense/kernel` is not finite"]);
    refuses(model.forward(&mut pass, &Array2::<f32>::zeros((4, 2)), training).map(|_| ()), &["forward: ", "(4, 2)"]);
    // A forward pass makes the gradients of the one before worthless.
    model.forward(&mut pass, &x, training)?;
    model.backward(&mut pass, &Array2::<f32>::ones((4, 2)))?;
    model.forward(&mut pass, &x, training)?;
    refuses(optimizer.step(&mut model, &pass), &["Driver::step", "backward"]);
    assert_eq!(model.get_weights(), before);
    assert_eq!(optimizer.steps(), 0);
    refuses(optimizer.set_learning_rate(-1.0), &["`learning_rate`", "-1"]);

    // Another model's pass, and another model's optimizer.
    let mut other = Sequential::new().input([3]).add(Dense::new(7)).add(Dense::new(2)).build()?;
    refuses(other.forward(&mut pass, &x, training).map(|_| ()), &["forward: ", "a pass of this model"]);
    let mut own = other.pass();
    other.forward(&mut own, &x, training)?;
    other.backward(&mut own, &Array2::<f32>::ones((4, 2)))?;
    refuses(optimizer.step(&mut other, &own), &["Driver::step", "this model"]);
    refuses(Driver::new(SGD::new(), &other)?.step(&mut model, &own), &["Driver::step", "this model"]);
    refuses(model.backward(&mut own, &Array2::<f32>::ones((4, 2))), &["backward: ", "a pass of this model"]);
    // A clone is the same network, and may use it.
    let clone = model.clone();
    clone.forward(&mut pass, &x, training)?;
    Ok(())
}

#[test]
fn a_pass_follows_what_is_frozen_and_thawed() -> gradus::Result<()> {
    let mut model = classifier();
    let (x, grad) = (rows(4), Array2::<f32>::from_shape_fn((4, 2), |(i, j)| (i + j) as f32));
    let training = Mode::Training { seed: 0, step: 0 };
    let mut pass = model.pass();
    let mut run = |model: &Model| -> gradus::Result<Vec<f32>> {
        model.forward(&mut pass, &x, training)?;
        model.backward(&mut pass, &grad)?;
        Ok(pass.gradients().to_vec())
    };
    let all = run(&model)?;
    let first = 3 * 4 + 4;
    model.set_trainable("dense", false)?;
    let frozen = run(&model)?;
    assert!(frozen[..first].iter().all(|&g| g == 0.0));
    assert_eq!(frozen[first..], all[first..]);
    model.set_trainable("dense", true)?;
    assert_eq!(run(&model)?, all);
    Ok(())
}
