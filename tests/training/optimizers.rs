//! What holds of optimizers: state of any shape, whole parameters and pieces, rates of layers.

use gradus::Model;
use gradus::custom::*;
use gradus::formats::safetensors::{Tensor, TensorFile};

/// Goes against the gradient and keeps arrays of the given shapes; where pieces are wanted, these must be the parameter's.
struct Keeps {
    shapes: fn(&[usize]) -> Vec<(&'static str, Vec<usize>)>,
    couples: bool,
}

impl<F: Scalar> Optimizer<F> for Keeps {
    fn options(&self) -> OptimizerOptions {
        OptimizerOptions::new(0.1)
    }
    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        (self.shapes)(parameter.shape).iter().map(|(name, shape)| StateSpec::new(*name, shape).start(0.01)).collect()
    }
    fn couples_weights(&self) -> bool {
        self.couples
    }
    /// Each array moves by the mean gradient; their means go into the step.
    fn update(&self, update: &mut Update<'_, F>) {
        for array in 0..update.state.len() {
            for (kept, &g) in update.state.at_mut(array).iter_mut().zip(update.gradient) {
                *kept += F::of(0.001) * g;
            }
        }
        for i in 0..update.weights.len() {
            let mut step = update.gradient[i];
            for array in 0..update.state.len() {
                step += update.state.at_mut(array).get(i).copied().unwrap_or_default();
            }
            update.weights[i] -= F::of(update.rate) * step;
        }
    }
}

fn like_the_parameter(shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
    ["a", "b", "c", "d", "e"].map(|name| (name, shape.to_vec())).to_vec()
}

fn three_like_the_parameter(shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
    like_the_parameter(shape)[..3].to_vec()
}

/// A number, a row, two matrices, nothing.
fn of_any_shape(shape: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
    let all = [("number", vec![]), ("row", vec![shape[0]]), ("pair", vec![2, 3]), ("whole", shape.to_vec())];
    if shape.len() == 1 { all[..2].to_vec() } else { [&all[..], &[("none", vec![0])]].concat() }
}

fn model(optimizer: impl Optimizer<f64> + 'static) -> gradus::Result<Model<f64>> {
    Sequential::f64()
        .seed(3)
        .input([6])
        .add(Dense::new(70).activation(Tanh))
        .add(BatchNormalization::new())
        .add(Dense::new(80).activation(Relu))
        .add(Dense::new(1).name("head"))
        .compile(MeanSquaredError::new(), optimizer)
        .build()
}

fn data() -> (Array2<f64>, Array2<f64>) {
    let x = Array2::from_shape_fn((32, 6), |(i, j)| ((3 * i + 7 * j + i * j) % 23) as f64 / 11.0 - 1.0);
    (x, Array2::from_shape_fn((32, 1), |(i, _)| ((5 * i) % 7) as f64 / 3.0 - 1.0))
}

fn train<F: Scalar>(model: &mut Model<F>, steps: usize) -> gradus::Result<Vec<(String, ArrayD<F>)>> {
    let (x, y) = data();
    let (x, y) = (x.mapv(F::of), y.mapv(F::of));
    for _ in 0..steps {
        model.train_on_batch(&x, &y)?;
    }
    Ok(model.get_weights())
}

fn refused<T>(result: gradus::Result<T>, words: &[&str]) {
    let Err(error) = result else { panic!("not refused: {words:?}") };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    assert!(words.iter().all(|word| text.contains(word)), "{text} lacks one of {words:?}");
}

fn temporary(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("gradus-optimizers-{}-{name}.safetensors", std::process::id()))
}

#[test]
fn state_of_a_wrong_shape_is_refused_with_names() {
    let wrong = Keeps { shapes: |shape| vec![("velocity", vec![shape[0] + 1])], couples: false };
    refused(model(wrong), &["state `velocity` of `dense/kernel`", "(6, 70)", "(7)", "couples_weights"]);
    let twice = Keeps { shapes: |_| vec![("v", vec![1]), ("v", vec![2])], couples: true };
    refused(model(twice), &["state `v` of `dense/kernel`", "name"]);
    let taken = Keeps { shapes: |_| vec![("average", vec![1])], couples: true };
    refused(model(taken), &["state `average` of `dense/kernel`", "name"]);
}

#[test]
fn whole_parameters_and_pieces_give_the_same() -> gradus::Result<()> {
    for (shapes, steps) in [(like_the_parameter as fn(&[usize]) -> _, 4), (three_like_the_parameter, 4)] {
        let pieces = train(&mut model(Keeps { shapes, couples: false })?, steps)?;
        let whole = train(&mut model(Keeps { shapes, couples: true })?, steps)?;
        assert_eq!(pieces, whole);
    }
    Ok(())
}

#[test]
fn training_goes_on_from_a_checkpoint_with_state_of_any_shape() -> gradus::Result<()> {
    let make: [(&str, fn() -> gradus::Result<Model<f64>>); 4] = [
        ("any", || model(Keeps { shapes: of_any_shape, couples: true })),
        ("five", || model(Keeps { shapes: like_the_parameter, couples: false })),
        ("muon", || model(Muon::new().learning_rate(0.02).exclude_layers(["head"]))),
        ("adafactor", || model(Adafactor::new().learning_rate(0.02).use_ema(true))),
    ];
    for (name, make) in make {
        let path = temporary(name);
        let mut whole = make()?;
        train(&mut whole, 3)?;
        whole.save_checkpoint(&path)?;
        let mut resumed = make()?;
        resumed.resume(&path)?;
        assert_eq!(train(&mut whole, 3)?, train(&mut resumed, 3)?, "{name}");
        if name == "any" {
            let mut file = TensorFile::read(&path)?;
            assert_eq!(file.tensor("optimizer/number/dense/kernel")?.shape(), &[] as &[usize]);
            assert_eq!(file.tensor("optimizer/pair/head/kernel")?.shape(), [2, 3]);
            assert!(file.tensor("optimizer/row/batch_normalization/moving_mean").is_err());
            let before = resumed.get_weights();
            file.tensors.insert("optimizer/pair/head/kernel".into(), Tensor::new(&[3, 2], vec![0.0f64; 6])?);
            file.write(&path)?;
            refused(resumed.resume(&path), &["optimizer/pair/head/kernel", "(3, 2)", "(2, 3)"]);
            file.tensors.remove("optimizer/pair/head/kernel");
            file.write(&path)?;
            refused(resumed.resume(&path), &["lacks", "optimizer/pair/head/kernel"]);
            assert_eq!(before, resumed.get_weights());
        }
        std::fs::remove_file(path).unwrap();
    }
    Ok(())
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    fn wide(optimizer: impl Optimizer<f32> + 'static) -> gradus::Result<Model> {
        // Matrices large enough for their products to be cut, and a table for Adam's way.
        Sequential::new()
            .seed(3)
            .input([6])
            .add(Dense::new(300).activation(Tanh))
            .add(Dense::new(150).activation(Relu))
            .add(Reshape::new([5, 5, 6]))
            .add(Conv2D::new(4, 3))
            .add(Flatten::new())
            .add(Dense::new(1))
            .compile(MeanSquaredError::new(), optimizer)
            .build()
    }
    let make: [(&str, fn() -> gradus::Result<Model>); 3] = [
        ("Muon", || wide(Muon::new().learning_rate(0.01))),
        ("Muon as Adam", || wide(Muon::new().learning_rate(0.01).exclude_layers(["dense"]))),
        ("Adafactor", || wide(Adafactor::new().learning_rate(0.01))),
    ];
    for (name, make) in make {
        let trained = [1, 2].map(|threads| {
            let mut model = make().unwrap();
            model.set_threads(threads).unwrap();
            train(&mut model, 4).unwrap()
        });
        for ((path, one), (_, two)) in trained[0].iter().zip(&trained[1]) {
            assert!(one.iter().zip(two).all(|(one, two)| one.to_bits() == two.to_bits()), "{name}: {path}");
            assert!(one.iter().all(|w| w.is_finite()), "{name}: {path}");
        }
    }
}

/// How far the weights of each path have gone in one step.
fn moved(model: &mut Model<f64>, steps: usize) -> gradus::Result<Vec<(String, ArrayD<f64>)>> {
    let before = model.get_weights();
    let after = train(model, steps)?;
    Ok(before.into_iter().zip(after).map(|((path, before), (_, after))| (path, after - before)).collect())
}

#[test]
fn layers_have_rates_of_their_own() -> gradus::Result<()> {
    let encoder = Sequential::f64()
        .name("encoder")
        .input([6])
        .add(Dense::new(70).activation(Tanh).name("first"))
        .add(Dense::new(3).name("second"))
        .build()?;
    let build = |optimizer: SGD| {
        let x = Input::f64([6]);
        let y = x.apply(encoder.clone()).apply(Dense::new(1).name("head"));
        let compile = Compile::new(optimizer).loss(MeanSquaredError::new());
        ModelBuilder::new([&x], [&y]).seed(5).compile(compile).build()
    };
    let plain = moved(&mut build(SGD::new())?, 1)?;
    let optimizer =
        || SGD::new().learning_rate_multipliers([("encoder", 0.5), ("encoder/second/", 0.25), ("head/bias", 0.0)]);
    let slowed = moved(&mut build(optimizer())?, 1)?;
    for ((path, plain), (_, slowed)) in plain.iter().zip(&slowed) {
        let multiplier = match path.as_str() {
            "encoder/first/kernel" | "encoder/first/bias" => 0.5,
            "encoder/second/kernel" | "encoder/second/bias" => 0.25,
            "head/bias" => 0.0,
            _ => 1.0,
        };
        let near = plain.iter().zip(slowed).all(|(plain, slowed)| (plain * multiplier - slowed).abs() < 1e-15);
        assert!(near, "{path}: {plain} times {multiplier} is not {slowed}");
    }
    // A custom loop, and an optimizer made from its configuration.
    let options = gradus::config::Configured::to_config(&optimizer());
    assert_eq!(options["learning_rate_multipliers"]["encoder"], 0.5);
    let made = Registry::<f64>::standard().make_optimizer("SGD", &options)?;
    let mut model = build(SGD::new())?;
    let mut driver = Driver::new(made, &model)?;
    let (x, y) = data();
    let mut pass = model.pass();
    let before = model.get_weights();
    model.forward(&mut pass, &x, Mode::Training { seed: 0, step: 0 })?;
    let mut grad = ArrayD::zeros(vec![32, 1]);
    let prediction = model.predict(&x)?;
    grad.zip_mut_with(&(&prediction - &y.into_dyn()), |grad, error| *grad = error / 16.0);
    model.backward(&mut pass, &grad)?;
    driver.step(&mut model, &pass)?;
    for (((path, before), (_, after)), (_, slowed)) in before.iter().zip(model.get_weights()).zip(&slowed) {
        let near = (&after - before).iter().zip(slowed).all(|(by_hand, slowed)| (by_hand - slowed).abs() < 1e-12);
        assert!(near, "{path}");
    }
    Ok(())
}

#[test]
fn multipliers_of_layers_that_do_not_exist_are_refused() {
    let adam = |name: &str, multiplier: f64| model(Adam::new().learning_rate_multipliers([(name, multiplier)]));
    refused(adam("hea", 0.1), &["hea", "head", "dense_1", "batch_normalization"]);
    refused(adam("dense/kern", 0.1), &["dense/kern", "dense_1"]);
    refused(adam("head", -0.1), &["learning_rate_multipliers", "head", "-0.1"]);
    refused(adam("head", f64::NAN), &["learning_rate_multipliers", "head"]);
    let twice = Adam::new().learning_rate_multipliers([("head", 0.1), ("head", 0.2)]);
    refused(model(twice), &["head", "twice"]);
    assert!(adam("dense", 0.1).is_ok());
}

#[test]
fn muon_and_adafactor_refuse_what_they_cannot_do() {
    refused(model(Muon::new().exclude_layers(["dense.*"])), &["Muon", "exclude_layers", "dense.*"]);
    refused(model(Muon::new().adam_beta_2(1.0)), &["adam_beta_2"]);
    refused(model(Muon::new().adam_weight_decay(-1.0)), &["adam_weight_decay"]);
    refused(model(Muon::new().momentum(1.5)), &["momentum"]);
    refused(model(Muon::new().muon_b(f64::INFINITY)), &["muon_b"]);
    refused(model(Adafactor::new().beta_2_decay(0.5)), &["Adafactor", "beta_2_decay"]);
    refused(model(Adafactor::new().epsilon_1(0.0)), &["epsilon_1"]);
    refused(model(Adafactor::new().clip_threshold(0.0)), &["clip_threshold"]);
}

#[test]
fn muon_and_adafactor_are_saved_with_their_model() -> gradus::Result<()> {
    let path = temporary("saved");
    let optimizers: [fn() -> gradus::Result<Model<f64>>; 2] = [
        || model(Muon::new().exclude_layers(["head"]).rms_rate(None).adam_weight_decay(None)),
        || model(Adafactor::new().learning_rate_multipliers([("head", 0.5)]).clip_threshold(0.5)),
    ];
    for make in optimizers {
        let mut model = make()?;
        model.save(&path)?;
        let mut again = Model::<f64>::load(&path)?;
        assert_eq!(train(&mut model, 3)?, train(&mut again, 3)?);
    }
    std::fs::remove_file(path).unwrap();
    Ok(())
}
