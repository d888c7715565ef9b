//! Recurrent cells: in the time loop and in the kernels, in configurations, and what they refuse.
#![allow(clippy::unwrap_used)]

use gradus::check::GradientCheck;
use gradus::custom::*;
use serde_json::json;

/// Values without pattern.
fn values(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut values = vec![0.0; shape.iter().product()];
    gradus::kernels::random::normal(seed, 0, &mut values);
    ArrayD::from_shape_vec(shape, values).unwrap()
}

/// Says who refused what.
fn refusal<T>(result: gradus::Result<T>) -> String {
    result.err().map(|error| error.to_string()).expect("refused")
}

/// Holes, padding on either side, and a row without any step that counts.
fn masks() -> ArrayD<f64> {
    array![[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]].into_dyn()
}

/// The layer on masked sequences, and from initial states of so many units.
fn masked_model<C>(layer: Recurrent<C>, states: usize, shape: &[usize]) -> gradus::Result<Model<f64>>
where
    C: RecurrentCell<f64> + 'static,
{
    let (x, mask) = (Input::f64([4, 2]), Input::f64([4]));
    let masked = call(WithMask::new(), [&x, &mask]);
    let starts: Vec<_> = (0..states).map(|_| Input::f64(shape.to_vec())).collect();
    let inputs: Vec<_> = [masked].into_iter().chain(starts.iter().cloned()).collect();
    let layer = layer.return_sequences(true).return_state(true).name("layer");
    let y = call(layer, &inputs);
    let outputs: Vec<_> = (0..=states).map(|i| y.output(i)).collect();
    let inputs: Vec<_> = [x, mask].into_iter().chain(starts).collect();
    ModelBuilder::new(&inputs, &outputs).build()
}

/// The model's outputs, the gradients of their sum by all inputs, and those of its weights.
fn everything(
    model: &Model<f64>,
    inputs: &[ArrayD<f64>],
    count: usize,
    mode: Mode,
) -> gradus::Result<Vec<ArrayD<f64>>> {
    let mut pass = model.pass_with_input_gradients();
    model.forward(&mut pass, inputs, mode)?;
    let outputs: Vec<ArrayD<f64>> = (0..count).map(|i| pass.output(i).array().to_owned()).collect();
    let grads: Vec<ArrayD<f64>> = outputs.iter().map(|y| values(y.shape(), 77)).collect();
    model.backward(&mut pass, grads.as_slice())?;
    let inputs = (0..inputs.len()).map(|i| pass.input_gradient(i).unwrap().array().to_owned());
    let weights = model.gradients(&pass).into_iter().map(|(_, grad)| grad);
    Ok(outputs.iter().cloned().chain(inputs).chain(weights).collect())
}

/// A cell step by step in the time loop does what the kernels do with whole sequences.
fn same_by_step<C>(cell: &C, states: usize)
where
    C: RecurrentCell<f32> + RecurrentCell<f64> + Clone + 'static,
{
    for backwards in [false, true] {
        let fused = RNN::of(cell.clone()).go_backwards(backwards);
        let stepped = RNN::of(StackedRNNCells::new().add(cell.clone())).go_backwards(backwards);
        let whole = masked_model(fused, states, &[3]).unwrap();
        let mut by_step = masked_model(stepped, states, &[3]).unwrap();
        let weights = whole.get_weights();
        let renamed = weights.iter().map(|(path, value)| (path.replace("layer/", "layer/cell_0."), value));
        let renamed: Vec<(String, &ArrayD<f64>)> = renamed.collect();
        by_step.set_weights(renamed.iter().map(|(path, value)| (path, *value))).unwrap();
        let mut inputs = vec![values(&[4, 4, 2], 1), masks()];
        inputs.extend((0..states).map(|state| values(&[4, 3], 2 + state as u64)));
        for mode in [Mode::Inference, Mode::Training { seed: 3, step: 1 }] {
            let [a, b] = [&whole, &by_step].map(|model| everything(model, &inputs, states + 1, mode).unwrap());
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(&b) {
                assert_eq!(a.shape(), b.shape());
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a}\n{b}");
            }
        }
    }
}

#[test]
fn kernels_and_time_loop_agree() {
    same_by_step(&SimpleRNNCell::new(3), 1);
    same_by_step(&SimpleRNNCell::new(3).activation(Silu).use_bias(false).dropout(0.4), 1);
    same_by_step(&LSTMCell::new(3).dropout(0.3).recurrent_dropout(0.4), 2);
    same_by_step(&LSTMCell::new(3).activation(Gelu).recurrent_activation(HardSigmoid), 2);
    same_by_step(&GRUCell::new(3).recurrent_dropout(0.3), 1);
    same_by_step(&GRUCell::new(3).reset_after(false).activation(Relu), 1);
}

#[test]
fn a_layer_of_a_cell_is_the_layer_of_its_name() -> gradus::Result<()> {
    let x = values(&[3, 4, 2], 1);
    let of_cell = Sequential::f64().input([4, 2]).add(RNN::of(LSTMCell::new(3)).name("lstm")).build()?;
    let lstm = Sequential::f64().input([4, 2]).add(LSTM::new(3)).build()?;
    assert_eq!(of_cell.get_weights(), lstm.get_weights());
    assert_eq!(of_cell.predict(&x)?, lstm.predict(&x)?);
    Ok(())
}

#[test]
fn gradients_are_right_through_masks() -> gradus::Result<()> {
    let cells = StackedRNNCells::new().add(LSTMCell::new(3)).add(GRUCell::new(2));
    let x_mask = (&values(&[4, 4, 2], 1), &masks());
    let model = |layer: AnyLayer<f64>| {
        let (x, mask) = (Input::f64([4, 2]), Input::f64([4]));
        ModelBuilder::new([&x, &mask], [&call(WithMask::new(), [&x, &mask]).apply(layer)]).build()
    };
    for layer in [
        AnyLayer::several(RNN::of(cells.clone())),
        AnyLayer::several(RNN::of(cells.clone()).return_sequences(true).zero_output_for_mask(true)),
        AnyLayer::several(RNN::of(cells.clone()).zero_output_for_mask(true).go_backwards(true)),
        AnyLayer::several(Bidirectional::new(RNN::of(cells).return_sequences(true))),
    ] {
        GradientCheck::new().check_model(&model(layer)?, x_mask)?;
    }
    Ok(())
}

#[test]
fn images_carry_states_over_masked_steps() -> gradus::Result<()> {
    let (x, mask) = (Input::f64([4, 3, 2]), Input::f64([4]));
    let masked = call(WithMask::new(), [&x, &mask]);
    let layer =
        |zeros| ConvLSTM1D::new(2, 2).padding(Same).return_sequences(true).zero_output_for_mask(zeros).name("layer");
    let carried = ModelBuilder::new([&x, &mask], [&masked.apply(layer(false))]).build()?;
    let mut zeros = ModelBuilder::new([&x, &mask], [&masked.apply(layer(true))]).build()?;
    let weights = carried.get_weights();
    zeros.set_weights(weights.iter().map(|(path, value)| (path, value)))?;
    let (x, mask) = (values(&[4, 4, 3, 2], 4), masks());
    let (carried_y, zero_y) = (carried.predict((&x, &mask))?, zeros.predict((&x, &mask))?);
    for row in 0..4 {
        for t in 0..4 {
            let counts = mask[[row, t]] > 0.5;
            for cell in 0..3 {
                let at = [row, t, cell, 1];
                assert_eq!(zero_y[at], if counts { carried_y[at] } else { 0.0 });
                let before = if t == 0 { 0.0 } else { carried_y[[row, t - 1, cell, 1]] };
                assert!(counts != (carried_y[at] == before));
            }
        }
    }
    for model in [&carried, &zeros] {
        GradientCheck::new().check_model(model, (&x, &mask))?;
    }
    Ok(())
}

#[test]
fn stateful_layers_of_images_go_on() -> gradus::Result<()> {
    let x = values(&[2, 4, 3, 1], 6);
    let layer = || {
        Bidirectional::new(ConvLSTM1D::new(2, 2).stateful(true))
            .backward_layer(ConvLSTM1D::new(1, 2).stateful(true).go_backwards(true))
    };
    let model = Sequential::f64().input([4, 3, 1]).batch_size(2).add(layer()).build()?;
    let mut y = vec![0.0; 12];
    let mut predictor = model.predictor(2);
    predictor.run(x.as_slice().unwrap(), &mut y)?;
    let first = y.clone();
    predictor.run(x.as_slice().unwrap(), &mut y)?;
    assert_ne!(first, y);
    predictor.reset_states();
    predictor.run(x.as_slice().unwrap(), &mut y)?;
    assert_eq!(first, y);
    Ok(())
}

#[test]
fn configurations_name_cells_by_class() -> gradus::Result<()> {
    let registry = Registry::<f64>::standard();
    let make = |class: &str, options: serde_json::Value| registry.make_layer(class, options.as_object().unwrap());
    let lstm =
        json!({ "module": "keras.layers", "class_name": "LSTMCell", "config": { "units": 3, "dtype": "float32" } });
    let gru = json!({ "class_name": "GRUCell", "config": { "units": 2, "reset_after": false, "name": "second" } });
    let stacked = json!({ "class_name": "StackedRNNCells", "config": { "cells": [lstm, gru] } });
    for (class, options, width) in [
        ("RNN", json!({ "cell": lstm, "return_sequences": false, "unroll": false }), 3),
        ("RNN", json!({ "cell": stacked }), 2),
        ("RNN", json!({ "cell": [lstm, gru] }), 2),
        ("RNN", json!({ "units": 5 }), 5),
        ("SimpleRNN", json!({ "units": 5 }), 5),
        ("Bidirectional", json!({ "layer": { "class_name": "RNN", "config": { "cell": stacked } } }), 4),
    ] {
        let model = Sequential::f64().input([4, 2]).add(make(class, options.clone())?).build()?;
        assert_eq!(model.output_shape(0), [width], "{class} {options}");
        let again = Model::<f64>::from_config(&model.to_config()?, &registry)?;
        assert_eq!(model.to_config()?, again.to_config()?);
    }
    let model = Sequential::f64().input([4, 2]).add(RNN::of(LSTMCell::new(3))).build()?;
    let config = model.to_config()?.to_string();
    assert!(config.contains(r#""class_name":"RNN""#) && config.contains(r#""class_name":"LSTMCell""#), "{config}");
    let config = Sequential::f64().input([4, 2]).add(LSTM::new(3)).build()?.to_config()?.to_string();
    assert!(config.contains(r#""class_name":"LSTM""#) && !config.contains("LSTMCell"), "{config}");

    let said = refusal(make("RNN", json!({ "cell": { "class_name": "NoCell", "config": {} } })));
    assert!(said.contains("NoCell") && said.contains("LSTMCell"), "{said}");
    let said =
        refusal(make("RNN", json!({ "cell": { "class_name": "GRUCell", "config": { "units": 1, "unit": 2 } } })));
    assert!(said.contains("GRUCell") && said.contains("`unit`"), "{said}");
    let said = refusal(make("RNN", json!({ "cell": gru, "units": 2 })));
    assert!(said.contains("`units`"), "{said}");
    Ok(())
}

/// A cell that says of its states what one tells it to.
#[derive(Clone, Debug)]
struct Says(CellShapes);

impl<F: Scalar> RecurrentCell<F> for Says {
    type Cache = ();
    type Sequence = ();
    fn shapes(&self, _: &[usize]) -> gradus::Result<CellShapes> {
        Ok(self.0.clone())
    }
    fn build(&self, _: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<()> {
        Ok(())
    }
    fn forward(
        &self,
        _: View<'_, F>,
        _: States<'_, F>,
        _: StatesMut<'_, F>,
        _: Option<ViewMut<'_, F>>,
        _: CellMemory<'_, (), ()>,
        _: &Context<'_, F>,
    ) {
    }
    fn backward(
        &self,
        _: CellStep<'_, F>,
        _: CellGradients<'_, F>,
        _: &mut Grads<'_, F>,
        _: CellMemory<'_, (), ()>,
        _: &Context<'_, F>,
    ) {
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_layer() {
    let built =
        |layer: AnyLayer<f32>, shape: &[usize]| refusal(Sequential::new().input(shape.to_vec()).add(layer).build());
    let said = |layer: AnyLayer<f32>, shape: &[usize], words: &[&str]| {
        let said = built(layer, shape);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    };
    let of = |shapes: CellShapes| AnyLayer::several(RNN::of(Says(shapes)));
    said(of(CellShapes::new([[3, 0]])), &[4, 2], &["`rnn` (RNN)", "a state 0", "(3, 0)"]);
    said(of(CellShapes::new(Vec::<Vec<usize>>::new())), &[4, 2], &["`rnn` (RNN)", "at least one state", "none"]);
    said(of(CellShapes::new([[3]]).output_state(2)), &[4, 2], &["`rnn` (RNN)", "1 states", "state number 2"]);
    said(of(CellShapes::new([[3]]).output([0])), &[4, 2], &["an output of the cell", "(0)"]);

    // The second cell cannot take what the first gives.
    let cells = StackedRNNCells::new().add(Says(CellShapes::new([[3, 2]]))).add(LSTMCell::new(2));
    said(AnyLayer::several(RNN::of(cells)), &[4, 2], &["`rnn` (RNN)", "cell 1", "(features)", "(3, 2)"]);
    said(AnyLayer::several(RNN::of(StackedRNNCells::new())), &[4, 2], &["`cells`", "at least one", "none"]);
    let cells = StackedRNNCells::new().add(GRUCell::new(2)).add(GRUCell::new(2).trainable(false));
    said(AnyLayer::several(RNN::of(cells)), &[4, 2], &["`rnn` (RNN)", "`trainable`", "1 of 2"]);
    let images = || ConvLSTM2D::new(2, 3);
    said(AnyLayer::several(images()), &[4, 5], &["(timesteps, height, width, channels)", "(4, 5)"]);
    said(AnyLayer::several(images()), &[4, 2, 2, 1], &["`conv_lstm2d` (ConvLSTM2D)", "window, (3, 3)", "(4, 2, 2, 1)"]);
    said(AnyLayer::several(images().padding(Causal)), &[4, 5, 5, 1], &["`padding`", "causal"]);
    said(AnyLayer::several(images().strides(2).dilation_rate(2)), &[4, 7, 7, 1], &["`dilation_rate`", "[2, 2]"]);
    said(AnyLayer::several(images().recurrent_dropout(-0.5)), &[4, 7, 7, 1], &["`recurrent_dropout`", "-0.5"]);
    said(AnyLayer::several(images().stateful(true)), &[4, 7, 7, 1], &["`stateful`", "batch_size"]);

    let (x, state) = (Input::new([4, 5, 5, 1]), Input::new([5, 5, 2]));
    let started = call(images().name("film"), [&x, &state, &state]);
    let said = refusal(ModelBuilder::new([&x, &state], [&started]).build());
    assert!(["`film`", "an initial state (3, 3, 2)", "(5, 5, 2)"].iter().all(|word| said.contains(word)), "{said}");
    let started = call(images().name("film"), [&x, &state]);
    let said = refusal(ModelBuilder::new([&x, &state], [&started]).build());
    assert!(["`film`", "2 initial states", "2 tensors"].iter().all(|word| said.contains(word)), "{said}");

    let pair = Bidirectional::new(ConvLSTM1D::new(2, 2)).backward_layer(LSTM::new(2).go_backwards(true));
    let said = built(AnyLayer::several(pair), &[4, 5, 1]);
    assert!(said.contains("`bidirectional` (Bidirectional)") && said.contains("(timesteps, features)"), "{said}");
    let pair = Bidirectional::new(ConvLSTM1D::new(2, 2)).backward_layer(ConvLSTM1D::new(2, 3).go_backwards(true));
    let said = built(AnyLayer::several(pair), &[4, 5, 1]);
    assert!(said.contains("of outputs (4, 2)") && said.contains("(3, 2)"), "{said}");
}
