//! Several outputs, frozen and shared layers, accumulated gradients, averages, models that train one another.

use super::*;

#[test]
fn the_losses_of_several_outputs_add_up_with_their_weights() -> gradus::Result<()> {
    let build = |weights: [f64; 2]| {
        let x = Input::f64([3]);
        let hidden = x.apply(Dense::new(4).activation(Tanh));
        let price = hidden.apply(Dense::new(1).name("price"));
        let kind = hidden.apply(Dense::new(3).activation(Softmax).name("kind"));
        let compile = Compile::new(SGD::new())
            .loss(MeanSquaredError::new())
            .weight(weights[0])
            .loss(SparseCategoricalCrossentropy::new())
            .weight(weights[1])
            .metric(Accuracy::new());
        ModelBuilder::new([&x], [&price, &kind]).compile(compile).build()
    };
    let (x, price, kind) = (rows(10, 3), targets(10), Array1::from_shape_fn(10, |i| i % 3));
    let loss = |weights| build(weights)?.test_on_batch(&x, (&price, &kind)).map(|score| score.loss);
    let (first, second) = (loss([1.0, 0.0])?, loss([0.0, 1.0])?);
    assert!((loss([0.3, 2.0])? - (0.3 * first + 2.0 * second)).abs() < 1e-14);
    let model = build([0.3, 2.0])?;
    let predicted = model.predict_all(&x)?;
    assert!((MeanSquaredError::new().call(&predicted[0], &price)? - first).abs() < 1e-14);
    check_training(&model, &x, (&price, &kind))?;
    check_model(&model, &x)?;
    let mut model = model;
    let history = model.fit(&x, (&price, &kind), quiet(4, 2))?;
    assert_eq!(history.names(), ["loss", "price_loss", "kind_loss", "kind_accuracy"]);
    Ok(())
}

#[test]
fn frozen_layers_stay_and_pass_gradients_on() -> gradus::Result<()> {
    let (x, y) = (rows(16, 3), targets(16));
    let mut model = Sequential::f64()
        .input([3])
        .add(Dense::new(4).activation(Gelu).name("first"))
        .add(Dense::new(4).activation(Gelu).name("middle").kernel_regularizer(Regularizer::L2(0.1)))
        .add(Dense::new(1).name("last"))
        .compile(MeanSquaredError::new(), Adam::new().weight_decay(0.1).use_ema(true))
        .build()?;
    model.set_trainable("middle", false)?;
    let start = model.clone();
    model.fit(&x, &y, quiet(8, 3))?;
    for path in ["middle/kernel", "middle/bias"] {
        assert_eq!(model.weight(path)?, start.weight(path)?);
    }
    for path in ["first/kernel", "first/bias", "last/kernel"] {
        assert_ne!(model.weight(path)?, start.weight(path)?);
    }
    check_training(&model, &x, &y)?;
    // Frozen in front, too, where no backward pass runs at all; and thawed again.
    model.set_trainable("first", false)?;
    let before = model.clone();
    model.fit(&x, &y, quiet(8, 1))?;
    assert_eq!(model.weight("first/kernel")?, before.weight("first/kernel")?);
    check_training(&model, &x, &y)?;
    model.set_trainable("middle", true)?;
    model.fit(&x, &y, quiet(8, 1))?;
    assert_ne!(model.weight("middle/kernel")?, before.weight("middle/kernel")?);
    check_training(&model, &x, &y)?;
    // Everything frozen: nothing changes, and nothing fails.
    for layer in ["first", "middle", "last"] {
        model.set_trainable(layer, false)?;
    }
    let before = model.get_weights();
    model.fit(&x, &y, quiet(8, 1))?;
    assert_eq!(model.get_weights(), before);
    Ok(())
}

#[test]
fn a_layer_thawed_late_has_an_average_of_its_own_weights() -> gradus::Result<()> {
    let (x, y) = (rows(16, 3), targets(16));
    let mut model = small(SGD::new().learning_rate(1e-3).use_ema(true).ema_momentum(0.9));
    model.set_trainable("dense", false)?;
    model.fit(&x, &y, quiet(8, 2))?;
    let before = model.weight("dense/kernel")?;
    model.set_trainable("dense", true)?;
    model.fit(&x, &y, quiet(8, 1))?;
    // Two small steps: the average is near the weights, not near zero.
    let moved = (&model.weight("dense/kernel")? - &before).mapv(f64::abs).sum() / before.mapv(f64::abs).sum();
    assert!(moved < 0.05, "the weights moved by {moved} of their size");
    Ok(())
}

#[test]
fn gradients_of_two_half_batches_make_the_step_of_one() -> gradus::Result<()> {
    let (x, y) = (rows(24, 3), targets(24));
    for momentum in [0.0, 0.9] {
        let sgd = || SGD::new().learning_rate(0.1).momentum(momentum);
        let (mut whole, mut halves) = (small(sgd()), small(sgd().gradient_accumulation_steps(2)));
        whole.fit(&x, &y, quiet(8, 2))?;
        halves.fit(&x, &y, quiet(4, 2))?;
        assert_near(&whole, &halves, 1e-13);
    }
    // Between updates nothing moves.
    let mut model = small(SGD::new().gradient_accumulation_steps(3));
    let before = model.get_weights();
    for _ in 0..2 {
        model.train_on_batch(&x, &y)?;
    }
    assert_eq!(model.get_weights(), before);
    model.train_on_batch(&x, &y)?;
    assert_ne!(model.get_weights(), before);
    Ok(())
}

#[test]
fn the_moving_average_replaces_the_weights_at_the_end() -> gradus::Result<()> {
    let (x, y) = (rows(24, 3), targets(24));
    let mut plain = small(SGD::new().learning_rate(0.2));
    let mut average: Option<Vec<ArrayD<f64>>> = None;
    for _ in 0..2 {
        for start in [0, 8, 16] {
            plain.train_on_batch(&x.slice(s![start..start + 8, ..]), &y.slice(s![start..start + 8, ..]))?;
            let now: Vec<ArrayD<f64>> = plain.get_weights().into_iter().map(|(_, weight)| weight).collect();
            average = Some(match average {
                None => now,
                Some(old) => old.iter().zip(&now).map(|(old, now)| old * 0.8 + now * (1.0 - 0.8)).collect(),
            });
        }
    }
    let mut averaged = small(SGD::new().learning_rate(0.2).use_ema(true).ema_momentum(0.8));
    averaged.fit(&x, &y, quiet(8, 2))?;
    for ((path, weight), expected) in averaged.get_weights().iter().zip(average.expect("six steps")) {
        let apart = (weight - &expected).mapv(f64::abs).fold(0.0, |a: f64, &b| a.max(b));
        assert!(apart < 1e-13, "{path}: {apart}");
    }
    Ok(())
}

#[test]
fn constraints_hold_after_every_update() -> gradus::Result<()> {
    use gradus::constraints::Constraint;
    let mut model = Sequential::f64()
        .input([3])
        .add(Dense::new(4).kernel_constraint(Constraint::NonNeg))
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.5))
        .build()?;
    model.fit(&rows(16, 3), &targets(16), quiet(8, 2))?;
    assert!(model.weight("dense/kernel")?.iter().all(|&w| w >= 0.0));
    Ok(())
}

#[test]
fn a_generator_learns_through_a_discriminator() -> gradus::Result<()> {
    let generator = Sequential::f64()
        .input([2])
        .add(Dense::new(5).activation(Gelu))
        .add(Dense::new(3).activation(Tanh))
        .name("generator")
        .seed(1)
        .build()?;
    let discriminator = Sequential::f64()
        .input([3])
        .add(Dense::new(4).activation(LeakyRelu { negative_slope: 0.2 }))
        .add(Dense::new(1).activation(Sigmoid))
        .name("discriminator")
        .seed(2)
        .build()?;
    let noise = rows(20, 2);
    let ones = Array2::from_elem((20, 1), 1.0);
    let loss = BinaryCrossentropy::new();

    // By hand, through the gradient of the discriminator's input.
    let mode = Mode::Training { seed: 0, step: 0 };
    let (mut first, mut second) = (generator.pass(), discriminator.pass_with_input_gradients());
    generator.forward(&mut first, &noise, mode)?;
    discriminator.forward(&mut second, first.output(0), mode)?;
    let (_, grad) = loss.value_and_gradient(second.output(0), &ones)?;
    discriminator.backward(&mut second, &grad)?;
    generator.backward(&mut first, second.input_gradient(0).expect("asked for"))?;

    // As one model.
    let mut gan = Sequential::f64()
        .input([2])
        .add(generator.clone())
        .add(discriminator.clone())
        .compile(loss.clone(), SGD::new().learning_rate(0.1))
        .build()?;
    assert_eq!(gan.layer_names()[..2], ["generator/dense", "generator/dense_1"]);
    let mut pass = gan.pass();
    gan.forward(&mut pass, &noise, mode)?;
    let (_, grad) = loss.value_and_gradient(pass.output(0), &ones)?;
    gan.backward(&mut pass, &grad)?;
    let apart = [first.gradients(), second.gradients()].concat();
    for (one, apart) in pass.gradients().iter().zip(&apart) {
        assert!((one - apart).abs() < 1e-14);
    }
    check_model(&gan, &noise)?;
    check_training(&gan, &noise, &ones)?;

    // With the discriminator frozen, only the generator moves.
    gan.set_trainable("discriminator", false)?;
    let before = gan.clone();
    gan.fit(&noise, &ones, quiet(10, 2))?;
    for ((path, now), (_, then)) in gan.get_weights().iter().zip(before.get_weights()) {
        assert_eq!(path.starts_with("discriminator"), *now == then, "{path}");
    }
    // The parts are copies, and stay as they were.
    assert_eq!(generator.weight("dense/kernel")?, before.weight("generator/dense/kernel")?);
    Ok(())
}

/// Two inputs through one shared encoder, a skip, a model inside, and two outputs.
fn knot() -> gradus::Result<Model<f64>> {
    let inner = Sequential::f64().input([4]).add(Dense::new(4).activation(Tanh)).name("inner").build()?;
    let (a, b) = (Input::f64([3]), Input::f64([3]));
    let encoder = shared(Dense::new(4).activation(Gelu).name("encoder"));
    let (left, right) = (a.apply(&encoder), b.apply(&encoder));
    let inner = shared(inner);
    let deep = left.apply(&inner).apply(&inner);
    // `left` is used three times, `deep` twice, and one tensor is given to a layer twice.
    let skip = call(Total, [&left, &deep, &right, &deep]);
    let reshaped = skip.apply(Reshape::new([2, 2])).apply(Flatten::new());
    let twice = call(Total, [&reshaped, &reshaped]);
    let first = twice.apply(Dense::new(2).name("first"));
    ModelBuilder::new([&a, &b], [&first, &left]).build()
}

#[test]
fn shared_layers_skips_and_models_inside_models_have_the_gradients_of_differences() -> gradus::Result<()> {
    let model = knot()?;
    let (a, b) = (rows(3, 3), rows(3, 3).mapv(|x| 0.7 - x));
    let report = check_model(&model, (&a, &b))?;
    let names: Vec<&str> = report.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "input",
            "input_1",
            "encoder/kernel",
            "encoder/bias",
            "inner/dense/kernel",
            "inner/dense/bias",
            "first/kernel",
            "first/bias"
        ]
    );
    // Over several shards.
    check_model(&model, (&rows(19, 3), &rows(19, 3)))?;
    Ok(())
}

#[test]
fn an_output_that_is_an_input_or_a_reshape_of_another_is_differentiated() -> gradus::Result<()> {
    let x = Input::f64([4]);
    let hidden = x.apply(Dense::new(4).activation(Gelu));
    let folded = hidden.apply(Reshape::new([2, 2]));
    let model = ModelBuilder::new([&x], [&hidden, &folded, &x]).build()?;
    let outputs = model.predict_all(&rows(2, 4))?;
    assert_eq!((outputs[1].shape(), outputs[2].shape()), (&[2, 2, 2][..], &[2, 4][..]));
    assert_eq!(outputs[2], rows(2, 4).into_dyn());
    check_model(&model, &rows(3, 4))?;
    Ok(())
}
