//! Recurrent layers, tokens and masks: behaviour that the check of all layers does not see.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use gradus::check::GradientCheck;
use gradus::custom::*;
use gradus::ndarray::{self, s};

/// Values without pattern.
fn values(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut values = vec![0.0; shape.iter().product()];
    gradus::kernels::random::normal(seed, 0, &mut values);
    ArrayD::from_shape_vec(shape, values).unwrap()
}

/// Equal but for the order in which sums were taken.
fn assert_near(expected: &ArrayD<f64>, received: &ArrayD<f64>) {
    assert_eq!(expected.shape(), received.shape());
    for (expected, received) in expected.iter().zip(received) {
        assert!((expected - received).abs() <= 1e-13, "{expected} {received}");
    }
}

/// Rows that are padded on the right, on the left, with holes, and one without any step that counts.
fn masks() -> ArrayD<f64> {
    array![[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]].into_dyn()
}

fn masked_model<M>(layer: impl IntoLayer<f64, M>) -> gradus::Result<Model<f64>> {
    let (x, mask) = (Input::f64([4, 2]), Input::f64([4]));
    ModelBuilder::new([&x, &mask], [&call(WithMask::new(), [&x, &mask]).apply(layer)]).build()
}

#[test]
fn gradients_are_right_through_masks() -> gradus::Result<()> {
    let models = vec![
        masked_model(RNN::new(3).return_sequences(true))?,
        masked_model(LSTM::new(3).return_sequences(true).zero_output_for_mask(true))?,
        masked_model(LSTM::new(2).activation(Silu))?,
        masked_model(GRU::new(3).go_backwards(true))?,
        masked_model(GRU::new(3).reset_after(false).return_sequences(true))?,
        masked_model(LSTM::new(3).zero_output_for_mask(true))?,
        masked_model(Bidirectional::new(GRU::new(2).return_sequences(true)))?,
        masked_model(Bidirectional::new(LSTM::new(2)).merge_mode(MergeMode::Mul))?,
        masked_model(Attention::new())?,
        masked_model(AdditiveAttention::new().use_causal_mask(true))?,
        masked_model(MultiHeadAttention::new(2, 2))?,
        masked_model(TimeDistributed::new(Dense::new(2)))?,
    ];
    for model in &models {
        GradientCheck::new().check_model(model, (&values(&[4, 4, 2], 1), &masks()))?;
    }
    Ok(())
}

#[test]
fn padding_changes_nothing() -> gradus::Result<()> {
    let (long, short) = (values(&[1, 4, 2], 3), values(&[1, 2, 2], 4));
    let mut padded = long;
    padded.slice_each_axis_mut(|ax| part(ax.axis, 0)).assign(&short);
    for (number, model) in [
        (0, masked_model(RNN::new(3))?),
        (1, masked_model(LSTM::new(3))?),
        (2, masked_model(GRU::new(3))?),
        (3, masked_model(Bidirectional::new(LSTM::new(3)))?),
    ] {
        let mask = array![[1.0, 1.0, 0.0, 0.0]];
        let y = model.predict((&padded, &mask))?;
        // The same weights on the short sequence itself.
        let x = Input::f64([2, 2]);
        let layer = match number {
            0 => shared(RNN::new(3)),
            1 => shared(LSTM::new(3)),
            2 => shared(GRU::new(3)),
            _ => shared(Bidirectional::new(LSTM::new(3))),
        };
        let mut alone = ModelBuilder::new([&x], [&x.apply(&layer)]).build()?;
        let weights = model.get_weights();
        alone.set_weights(weights.iter().map(|(path, value)| (path, value)))?;
        let want = alone.predict(&short)?;
        assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{y} {want}");
    }
    Ok(())
}

#[test]
fn a_row_that_is_masked_throughout_keeps_the_zero_state() -> gradus::Result<()> {
    for model in [masked_model(LSTM::new(3))?, masked_model(Bidirectional::new(GRU::new(3)))?] {
        let y = model.predict((&values(&[4, 4, 2], 5), &masks()))?;
        assert!(y.index_axis(Axis(0), 3).iter().all(|&y| y == 0.0));
        assert!(y.iter().all(|y| y.is_finite()));
    }
    Ok(())
}

fn stateful(batch: usize) -> gradus::Result<Model<f64>> {
    Sequential::f64()
        .input([2, 3])
        .batch_size(batch)
        .add(GRU::new(4).stateful(true).return_sequences(true))
        .add(LSTM::new(2).stateful(true))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.0))
        .build()
}

#[test]
fn a_stateful_layer_goes_on_where_the_batch_before_ended() -> gradus::Result<()> {
    let x = values(&[20, 4, 3], 6);
    let halves =
        [x.slice_each_axis(|ax| part(ax.axis, 0)).to_owned(), x.slice_each_axis(|ax| part(ax.axis, 2)).to_owned()];
    let mut whole =
        Sequential::f64().input([4, 3]).add(GRU::new(4).return_sequences(true)).add(LSTM::new(2)).build()?;
    let mut model = stateful(20)?;
    let weights: Vec<_> = model.get_weights().into_iter().filter(|(path, _)| !path.contains("state.")).collect();
    whole.set_weights(weights.iter().map(|(path, value)| (path, value)))?;
    let want = whole.predict(&x)?;
    let near = |a: &ArrayD<f64>| a.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12);

    // In a predictor, which starts over when it is told to.
    {
        let mut predictor = model.predictor(20);
        let mut y = vec![0.0; 40];
        for _ in 0..2 {
            predictor.run(halves[0].as_slice().unwrap(), &mut y)?;
            predictor.run(halves[1].as_slice().unwrap(), &mut y)?;
            assert!(near(&ArrayD::from_shape_vec(vec![20, 2], y.clone()).unwrap()));
            predictor.reset_states();
        }
    }
    // In training, where the rate is 0; `predict` reads the state and leaves it.
    let target = values(&[20, 2], 7);
    model.train_on_batch(&halves[0], &target)?;
    assert!(near(&model.predict(&halves[1])?) && near(&model.predict(&halves[1])?));
    model.reset_states();
    assert!(!near(&model.predict(&halves[1])?));
    // In evaluation.
    model.test_on_batch(&halves[0], &target)?;
    assert!(near(&model.predict(&halves[1])?));
    Ok(())
}

fn part(axis: Axis, from: isize) -> ndarray::Slice {
    if axis.index() == 1 { ndarray::Slice::new(from, Some(from + 2), 1) } else { ndarray::Slice::from(..) }
}

/// Says who refused what.
fn refusal<T>(result: gradus::Result<T>) -> String {
    result.err().map(|error| error.to_string()).expect("refused")
}

#[test]
fn a_changing_batch_is_refused_where_state_is_kept() -> gradus::Result<()> {
    let mut model = stateful(4)?;
    let said = refusal(model.predict(&values(&[3, 2, 3], 1)));
    assert!(said.contains("batches of 4 rows") && said.contains('3'), "{said}");
    let (x, y) = (values(&[8, 2, 3], 1), values(&[8, 2], 2));
    let said = refusal(model.fit(&x, &y, Fit::new().batch_size(8).verbose(0)));
    assert!(said.contains("`batch_size` must be 4"), "{said}");
    model.fit(&x, &y, Fit::new().batch_size(4).shuffle(false).verbose(0))?;
    let said = refusal(Sequential::new().input([2, 3]).add(LSTM::new(2).stateful(true)).build());
    assert!(said.contains("batch_size"), "{said}");
    Ok(())
}

#[test]
fn tokens_outside_the_vocabulary_are_refused_with_their_row() -> gradus::Result<()> {
    let mut model = Sequential::new()
        .input([3])
        .add(Embedding::new(5, 4).mask_zero(true))
        .add(LSTM::new(4))
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), Adam::new())
        .build()?;
    let good = Array2::from_shape_fn((20, 3), |(row, t)| ((row + t) % 5) as f32);
    for bad in [5.0, -1.0, 1.5] {
        let mut x = good.clone();
        x[[17, 2]] = bad;
        let y = Array2::<f32>::zeros((20, 1));
        let before = model.get_weights();
        let mut pass = model.pass();
        for said in [
            refusal(model.predict(&x)),
            refusal(model.forward(&mut pass, &x, Mode::Inference).map(|_| ())),
            refusal(model.evaluate(&x, &y)),
            refusal(model.fit(&x, &y, Fit::new().batch_size(20).verbose(0))),
        ] {
            let names = said.contains("`embedding` (Embedding)") && said.contains("0..5");
            assert!(names && said.contains(&format!("{bad} at row 17")), "{said}");
        }
        assert_eq!(before, model.get_weights());
    }
    model.fit(&good, &Array2::<f32>::zeros((20, 1)), Fit::new().verbose(0))?;
    Ok(())
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (x, mask) = (Input::new([4, 2]), Input::new([3]));
    let masked = call(WithMask::new(), [&x, &mask]);
    let said = refusal(ModelBuilder::new([&x, &mask], [&masked]).build());
    assert!(said.contains("a mask (4)") && said.contains("(3)"), "{said}");
    let state = Input::new([3]);
    let started = call(GRU::new(4), [&x, &state]);
    let said = refusal(ModelBuilder::new([&x, &state], [&started]).build());
    assert!(said.contains("an initial state (4)"), "{said}");
    let said = refusal(Sequential::new().input([4]).add(LSTM::new(2)).build());
    assert!(said.contains("(timesteps, features)"), "{said}");
    let said = refusal(Sequential::new().input([0, 4]).add(LSTM::new(2)).build());
    assert!(said.contains("empty axes"), "{said}");
    let said = refusal(Sequential::new().input([4, 4]).add(LSTM::new(2).dropout(1.0)).build());
    assert!(said.contains("`dropout`"), "{said}");
    let said = refusal(Sequential::new().input([4, 4]).add(TimeDistributed::new(BatchNormalization::new())).build());
    assert!(said.contains("BatchNormalization"), "{said}");
}

#[test]
fn dropped_inputs_are_the_same_at_every_step() -> gradus::Result<()> {
    // Weights of 1 and no recurrence: an output tells which inputs were dropped.
    let layer = RNN::new(1)
        .activation(Linear)
        .use_bias(false)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(Initializer::Zeros)
        .dropout(0.5)
        .return_sequences(true);
    let model = Sequential::f64().input([5, 8]).add(layer).build()?;
    let x = Array3::from_shape_fn((30, 5, 8), |(.., feature)| f64::from(1 << feature));
    let mut pass = model.pass();
    let y = model.forward(&mut pass, &x, Mode::Training { seed: 1, step: 0 })?.array().to_owned();
    let rows: Vec<f64> = y.outer_iter().map(|row| row[[0, 0]]).collect();
    assert!(y.outer_iter().all(|row| row.iter().all(|y| *y == row[[0, 0]])));
    assert!(rows.iter().any(|row| row != &rows[0]));
    Ok(())
}

#[test]
fn models_are_saved_with_their_states_and_wrappers() -> gradus::Result<()> {
    let folder = std::env::temp_dir().join(format!("gradus-recurrent-{}", std::process::id()));
    let mut model = Sequential::f64()
        .input([6])
        .batch_size(4)
        .add(Embedding::new(9, 3).mask_zero(true))
        .add(Bidirectional::new(LSTM::new(2).return_sequences(true).stateful(true)).merge_mode(MergeMode::Sum))
        .add(TimeDistributed::new(Dense::new(3).activation(Tanh)))
        .add(MultiHeadAttention::new(2, 2))
        .add(GRU::new(2))
        .compile(MeanSquaredError::new(), SGD::new())
        .build()?;
    let x = Array2::from_shape_fn((4, 6), |(row, t)| ((row * t + 1) % 9) as f64);
    model.train_on_batch(&x, &values(&[4, 2], 1))?;
    model.save(&folder)?;
    let again = Model::<f64>::load(&folder)?;
    std::fs::remove_dir_all(&folder).or_else(|_| std::fs::remove_file(&folder)).ok();
    assert_eq!(model.predict(&x)?, again.predict(&x)?);
    Ok(())
}

#[test]
fn attention_along_one_axis_is_attention_on_each_of_the_others() -> gradus::Result<()> {
    let layer = || MultiHeadAttention::new(2, 3).sliding_window(2).use_causal_mask(true);
    let along = Sequential::f64().input([4, 3, 2]).add(layer().attention_axes(1).name("heads")).build()?;
    let mut alone = Sequential::f64().input([4, 2]).add(layer().name("heads")).build()?;
    let weights = along.get_weights();
    alone.set_weights(weights.iter().map(|(path, value)| (path, value)))?;
    let x = values(&[2, 4, 3, 2], 5);
    let y = along.predict(&x)?;
    for other in 0..3 {
        let expected = alone.predict(&x.index_axis(Axis(2), other).to_owned())?;
        assert_near(&expected, &y.index_axis(Axis(2), other).to_owned());
    }
    // With the axes in the other order it is the second that is attended over.
    let turned = |x: &ArrayD<f64>| x.clone().permuted_axes(vec![0, 2, 1, 3]).as_standard_layout().into_owned();
    let mut second = Sequential::f64().input([3, 4, 2]).add(layer().attention_axes(-2).name("heads")).build()?;
    second.set_weights(weights.iter().map(|(path, value)| (path, value)))?;
    assert_near(&turned(&y), &second.predict(&turned(&x))?);
    Ok(())
}

#[test]
fn a_mask_of_timesteps_counts_for_all_that_stands_in_them() -> gradus::Result<()> {
    let (x, mask) = (Input::f64([3, 2, 2]), Input::f64([3]));
    let masked = call(WithMask::new(), [&x, &mask]);
    let y = masked.apply(MultiHeadAttention::new(1, 2));
    let model = ModelBuilder::new([&x, &mask], [&y]).build()?;
    let (mut x, mask) = (values(&[2, 3, 2, 2], 8), array![[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]].into_dyn());
    let before = model.predict((&x, &mask))?;
    x.slice_mut(s![0, 2, .., ..]).fill(9.0);
    x.slice_mut(s![1, 1, .., ..]).fill(-9.0);
    let after = model.predict((&x, &mask))?;
    for (row, step) in [(0, 0), (0, 1), (1, 0), (1, 2)] {
        assert_eq!(before.slice(s![row, step, .., ..]), after.slice(s![row, step, .., ..]));
    }
    assert_ne!(before, after, "masked timesteps give what they hold themselves");
    Ok(())
}

#[test]
fn attention_refuses_axes_that_do_not_fit() {
    let refusal = |layer: MultiHeadAttention, shapes: &[&[usize]]| {
        let inputs: Vec<_> = shapes.iter().map(|shape| Input::f64(shape.to_vec())).collect();
        let model = ModelBuilder::new(&inputs, [&call(layer, &inputs)]).build();
        model.expect_err("refused").to_string()
    };
    let layer = || MultiHeadAttention::new(2, 3);
    let image: &[usize] = &[4, 3, 2];
    for (layer, shapes, says) in [
        (layer().attention_axes(3), &[image][..], "attention_axes"),
        (layer().attention_axes(0), &[image], "attention_axes"),
        (layer().attention_axes(4), &[image], "attention_axes"),
        (layer().attention_axes([1, -3]), &[image], "attention_axes"),
        (layer().attention_axes(vec![]), &[image], "at least one axis"),
        (layer().use_causal_mask(true), &[image], "use_causal_mask"),
        (layer().sliding_window(2), &[image], "sliding_window"),
        (layer().attention_axes(1), &[image, &[4, 2, 2]], "not attended over"),
        (layer(), &[image, &[4, 2]], "axes, as the query"),
        (layer(), &[image, &[4, 3, 2], &[4, 2, 2]], "as the value"),
        (layer().attention_axes(1).attention_mask(true), &[image, image, &[4, 3]], "a mask (4, 4)"),
    ] {
        let message = refusal(layer, shapes);
        assert!(message.contains(says), "{message}");
    }
}

/// Masks what is 0, reads the rest both ways, and sums up: with a branch, a merge and two inputs.
fn model_of_a_timestep() -> gradus::Result<Model<f64>> {
    let (sequence, bias) = (Input::f64([3, 2]), Input::f64([2]));
    let read = sequence.apply(Masking::new()).apply(LSTM::new(2).return_sequences(true).name("read"));
    let looked = read.apply(MultiHeadAttention::new(1, 2).name("look")).apply(GRU::new(2).name("sum"));
    let both = call(Add::new(), [&looked, &bias]).apply(Dense::new(3).activation(Tanh).name("end"));
    ModelBuilder::new([&sequence, &bias], [&both, &read]).name("timestep").build()
}

#[test]
fn a_model_on_every_timestep_is_the_model_on_each() -> gradus::Result<()> {
    let model = model_of_a_timestep()?;
    let mut x = values(&[4, 5, 3, 2], 1);
    x.slice_mut(s![0, 1, 2, ..]).fill(0.0);
    x.slice_mut(s![2, 3, ..2, ..]).fill(0.0);
    let bias = values(&[4, 5, 2], 2);
    let (sequences, biases) = (Input::f64([5, 3, 2]), Input::f64([5, 2]));
    let each = call(TimeDistributed::new(model), [&sequences, &biases]);
    let each = ModelBuilder::new([&sequences, &biases], [&each.output(0), &each.output(1)]).build()?;
    let mut alone = model_of_a_timestep()?;
    let weights = each.get_weights();
    assert!(weights.iter().any(|(path, _)| path == "time_distributed/end/kernel"));
    alone.set_weights(weights.iter().map(|(path, value)| (path.trim_start_matches("time_distributed/"), value)))?;
    let y = each.predict_all((&x, &bias))?;
    for t in 0..5 {
        let of_step = |x: &ArrayD<f64>| x.index_axis(Axis(1), t).to_owned();
        let expected = alone.predict_all((&of_step(&x), &of_step(&bias)))?;
        for (expected, y) in expected.iter().zip(&y) {
            assert_near(expected, &of_step(y));
        }
    }
    Ok(())
}

#[test]
fn a_model_on_every_timestep_has_right_gradients_and_is_saved() -> gradus::Result<()> {
    let (sequences, biases, mask) = (Input::f64([2, 3, 2]), Input::f64([2, 2]), Input::f64([2]));
    let masked = call(WithMask::new(), [&sequences, &mask]);
    let each = call(TimeDistributed::new(model_of_a_timestep()?).name("each"), [&masked, &biases]);
    let model =
        ModelBuilder::new([&sequences, &biases, &mask], [&each.apply(LSTM::new(2)), &each.output(1)]).build()?;
    let mask = array![[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]].into_dyn();
    let inputs = [values(&[3, 2, 3, 2], 3), values(&[3, 2, 2], 4), mask];
    GradientCheck::new().check_model(&model, inputs.as_slice())?;
    // The mask of the timesteps goes past the model to the LSTM after it.
    let mut other = inputs.clone();
    other[0].slice_mut(s![1, 1, .., ..]).fill(7.0);
    let (a, b) = (model.predict_all(inputs.as_slice())?, model.predict_all(other.as_slice())?);
    assert_eq!(a[0], b[0]);
    assert_ne!(a[1], b[1]);
    let registry = Registry::standard();
    let mut again = Model::from_config(&model.to_config()?, &registry)?;
    again.set_weights(model.get_weights().iter().map(|(path, value)| (path, value)))?;
    assert_eq!(a, again.predict_all(inputs.as_slice())?);
    Ok(())
}

#[test]
fn a_model_with_state_is_refused_on_every_timestep() -> gradus::Result<()> {
    let model = Sequential::new().input([4]).add(Dense::new(2)).add(BatchNormalization::new()).build()?;
    let refused = Sequential::new().input([3, 4]).add(TimeDistributed::new(model)).build();
    let message = refused.expect_err("BatchNormalization couples samples").to_string();
    assert!(message.contains("batch_normalization") && message.contains("no state"), "{message}");
    let model = || Sequential::new().input([4]).add(Dense::new(2)).build();
    let refused = Sequential::new().input([4]).add(TimeDistributed::new(model()?)).build();
    let message = refused.expect_err("no timesteps").to_string();
    assert!(message.contains("an input (4, 4)"), "{message}");
    let frozen = Sequential::new().input([3, 4]).add(TimeDistributed::new(model()?).trainable(false)).build()?;
    assert_eq!(frozen.summary().trainable(), 0);
    Ok(())
}
