//! Masks are joined by what they say, as in Keras (values from Keras 3.15 or by hand).

use gradus::custom::*;

/// Tables of ones and of zeros (or of the given values), each with a mask of its own.
fn table(value: f64, width: usize) -> Embedding {
    Embedding::new(9, width).mask_zero(true).embeddings_initializer(Initializer::Constant(value))
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 5e-7, "{a}, expected {b}");
}

#[test]
fn a_step_masked_in_both_streams_does_not_count_in_the_loss() -> gradus::Result<()> {
    let (a, b) = (Input::f64([3]), Input::f64([3]));
    let sum = call(Add::new(), [&a.apply(table(1.0, 1)), &b.apply(table(0.0, 1))]);
    let compile = Compile::new(SGD::new()).loss(MeanSquaredError::new());
    let model = ModelBuilder::new([&a, &b], [&sum]).compile(compile).build()?;
    let ids = array![[1, 2, 0]];
    near(model.evaluate((&ids, &ids), &array![[[3.0], [3.0], [100.0]]])?.loss, 4.0);
    Ok(())
}

#[test]
fn padding_of_two_streams_changes_nothing() -> gradus::Result<()> {
    type Join = fn() -> AnyLayer<f64>;
    let joins: [(&str, Join); 9] = [
        ("features", || shared(Concatenate::new())),
        ("time", || shared(Concatenate::new().axis(1))),
        ("add", || shared(Add::new())),
        ("multiply", || shared(Multiply::new())),
        ("average", || shared(Average::new())),
        ("subtract", || shared(Subtract::new())),
        ("maximum", || shared(Maximum::new())),
        ("minimum", || shared(Minimum::new())),
        ("two tables", || shared(Add::new())),
    ];
    for (name, join) in joins {
        let build = |steps: usize| {
            let (a, b) = (Input::f64([steps]), Input::f64([steps]));
            let tables =
                [Embedding::new(9, 3).mask_zero(true).name("a"), Embedding::new(9, 3).mask_zero(true).name("b")];
            let [first, second] = tables;
            let joined = call(join(), [&a.apply(first), &b.apply(second)]).apply(LSTM::new(2).name("lstm"));
            ModelBuilder::new([&a, &b], [&joined]).seed(4).build()
        };
        let short = build(2)?.predict((&array![[3, 5]], &array![[7, 2]]))?;
        let long = build(5)?.predict((&array![[3, 5, 0, 0, 0]], &array![[7, 2, 0, 0, 0]]))?;
        if name == "time" {
            // The second stream's steps follow the first's padding, which is passed over.
            assert!(short.iter().zip(&long).all(|(a, b)| (a - b).abs() < 1e-12), "{name}");
        } else {
            assert_eq!(short, long, "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_step_that_counts_in_one_stream_counts() -> gradus::Result<()> {
    // Lengths 3 and 1, tables of three times 0.3 and −0.2, an LSTM of one unit.
    let last = |join: AnyLayer<f64>, steps: usize| -> gradus::Result<f64> {
        let (a, b) = (Input::f64([steps]), Input::f64([steps]));
        let joined = call(join, [&a.apply(table(0.3, 3)), &b.apply(table(-0.2, 3))]);
        let lstm = LSTM::new(1)
            .kernel_initializer(Initializer::Constant(0.5))
            .recurrent_initializer(Initializer::Constant(0.25));
        let model = ModelBuilder::new([&a, &b], [&joined.apply(lstm)]).build()?;
        let ids = |length: usize| Array2::from_shape_fn((1, steps), |(_, t)| usize::from(t < length));
        Ok(model.predict((&ids(3), &ids(1)))?[[0, 0]])
    };
    for steps in [3, 6] {
        near(last(shared(Add::new()), steps)?, 0.108_778_6);
        near(last(shared(Concatenate::new()), steps)?, 0.108_778_6);
        near(last(shared(Average::new()), steps)?, 0.050_091_6);
    }
    Ok(())
}

#[test]
fn products_and_extremes_leave_masked_values_out() -> gradus::Result<()> {
    let values = |join: AnyLayer<f64>| -> gradus::Result<Vec<f64>> {
        let (a, b) = (Input::f64([3]), Input::f64([3]));
        let joined = call(join, [&a.apply(table(0.5, 1)), &b.apply(table(-2.0, 1))]);
        let model = ModelBuilder::new([&a, &b], [&joined]).build()?;
        Ok(model.predict((&array![[1, 1, 0]], &array![[1, 0, 1]]))?.iter().copied().collect())
    };
    assert_eq!(values(shared(Multiply::new()))?, [-1.0, 0.5, -2.0]);
    assert_eq!(values(shared(Maximum::new()))?, [0.5, 0.5, -2.0]);
    assert_eq!(values(shared(Minimum::new()))?, [-2.0, 0.5, -2.0]);
    assert_eq!(values(shared(Add::new()))?, [-1.5, -1.5, -1.5]);
    Ok(())
}

#[test]
fn gradients_go_past_masked_values() -> gradus::Result<()> {
    for join in [shared::<f64, _>(Multiply::new()), shared(Maximum::new()), shared(Minimum::new())] {
        let (a, b) = (Input::f64([3]), Input::f64([3]));
        let joined = call(
            join,
            [&a.apply(Embedding::new(9, 2).mask_zero(true)), &b.apply(Embedding::new(9, 2).mask_zero(true))],
        );
        let model = ModelBuilder::new([&a, &b], [&joined]).seed(2).build()?;
        let ids = (&array![[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]], &array![[4.0, 0.0, 5.0], [6.0, 7.0, 0.0]]);
        gradus::check::GradientCheck::new().inputs(false).check_model(&model, ids)?;
    }
    Ok(())
}
