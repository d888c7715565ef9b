//! Layers and activations: a model of one layer, forward and backward.

use gradus::prelude::*;
use serde_json::json;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    let registry = Registry::<F>::standard();
    if case.kind.starts_with("activation:") && over_the_batch(case) {
        return whole_as_one_sample(case, class);
    }
    let over_several_axes = class == "softmax" && case.config["axis"].is_array();
    let mut options = case.options();
    // What Keras takes when it is called are options here.
    for (call, option) in
        [("use_causal_mask", "use_causal_mask"), ("return_attention_scores", "return_attention_scores")]
    {
        if case.call[call].as_bool().unwrap_or(false) {
            options.insert(option.into(), json!(true));
        }
    }
    let attention_mask = case.find::<F>("attention_mask");
    if attention_mask.is_some() {
        options.insert("attention_mask".into(), json!(true));
    }
    let layer = if over_several_axes {
        registry.make_layer("Softmax", &options)?
    } else if case.kind.starts_with("activation:") {
        options.insert("name".into(), json!(class));
        registry.make_layer("Activation", json!({ "activation": options }).as_object().unwrap())?
    } else {
        registry.make_layer(class, &options)?
    };
    // The model's inputs are the layer's, and masks, which the inputs that they belong to carry.
    let mut inputs = case.several::<F>("input");
    let count = inputs.len();
    let states = case.several::<F>("initial_state");
    let named = ["query_mask", "value_mask", "key_mask"];
    let mask = |i: usize| case.find(&format!("mask.{i}")).or_else(|| named.get(i).and_then(|name| case.find(name)));
    let mut masks: Vec<(usize, ArrayD<F>)> = (0..count).filter_map(|i| mask(i).map(|mask| (i, mask))).collect();
    masks.extend(case.find("mask").map(|mask| (0, mask)));
    inputs.extend(states.iter().cloned());
    inputs.extend(attention_mask);
    let given = inputs.len();
    if count == 0 {
        return Err(unsupported("a layer without input"));
    }
    inputs.extend(masks.iter().map(|(_, mask)| mask.clone()));
    let rows = inputs[0].shape()[0];
    let symbols: Vec<Symbol<F>> =
        inputs.iter().map(|input| Input::of::<F>(input.shape()[1..].to_vec()).batch_size(rows)).collect();
    let mut taken = symbols[..given].to_vec();
    for (number, (input, _)) in masks.iter().enumerate() {
        taken[*input] = call(WithMask::new(), [&taken[*input], &symbols[given + number]]);
    }
    let output = call(layer.named("layer"), &taken);
    // A case of values alone, or of a refusal, has no gradient; its outputs are counted as they are expected.
    let upstream = case.several::<F>("grad_output");
    let results = upstream.len().max(case.several::<F>("output").len()).max(1);
    let outputs: Vec<Symbol<F>> = (0..results).map(|i| output.output(i)).collect();
    let mut model = ModelBuilder::new(&symbols, &outputs).build()?;
    let weights: Vec<(String, ArrayD<F>)> =
        case.below("param.").into_iter().map(|(name, value)| (format!("layer/{name}"), value)).collect();
    model.set_weights(weights.iter().map(|(path, value)| (path, value)))?;

    let mut pass = model.pass_with_input_gradients();
    let mode = if case.training() { Mode::Training { seed: 0, step: 0 } } else { Mode::Inference };
    for number in 0..case.call["calls"].as_u64().unwrap_or(1) {
        if number > 0 {
            model.update_state(&pass);
        }
        model.forward(&mut pass, inputs.as_slice(), mode)?;
    }
    if !upstream.is_empty() {
        model.backward(&mut pass, upstream.as_slice())?;
    }
    model.update_state(&pass);

    let mut results = Results::new();
    let numbered = |name: &str, i: usize, count: usize| if count == 1 { name.into() } else { format!("{name}.{i}") };
    for i in 0..outputs.len() {
        results.insert(numbered("output", i, outputs.len()), pass.output(i).array().to_owned());
    }
    if !upstream.is_empty() {
        for i in 0..count + states.len() {
            let grad = pass.input_gradient(i).expect("asked for").array().to_owned();
            let name =
                if i < count { numbered("grad.input", i, count) } else { format!("grad.initial_state.{}", i - count) };
            results.insert(name, grad);
        }
        for (path, grad) in model.gradients(&pass) {
            results.insert(format!("grad.{}", path.trim_start_matches("layer/")), grad);
        }
    }
    for (path, value) in model.get_weights() {
        results.insert(format!("updated.{}", path.trim_start_matches("layer/")), value);
    }
    Ok(results)
}

/// Whether an activation goes along the first axis, which is the batch in a model.
fn over_the_batch(case: &Case) -> bool {
    let rank = case.find::<f64>("input").map_or(0, |input| input.ndim());
    case.config["axis"].as_i64().is_some_and(|axis| axis == 0 || (axis < 0 && axis.unsigned_abs() == rank as u64))
}

/// An activation over the first axis too: of one sample that holds all.
fn whole_as_one_sample<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    let mut options = case.options();
    options.insert("name".into(), json!(class));
    options.insert("axis".into(), json!(1));
    let layer =
        Registry::<F>::standard().make_layer("Activation", json!({ "activation": options }).as_object().unwrap())?;
    let sample = |name: &str| case.find::<F>(name).map(|array| array.insert_axis(Axis(0)));
    let x = sample("input").ok_or_else(|| unsupported("a case without `input`"))?;
    let model = Sequential::<F>::default().input(x.shape()[1..].to_vec()).add(layer).build()?;
    let mut pass = model.pass_with_input_gradients();
    model.forward(&mut pass, &x, Mode::Inference)?;
    let mut results: Results<F> = [("output".into(), pass.output(0).array().to_owned().remove_axis(Axis(0)))].into();
    if let Some(upstream) = sample("grad_output") {
        model.backward(&mut pass, &upstream)?;
        let grad = pass.input_gradient(0).expect("asked for").array().to_owned();
        results.insert("grad.input".into(), grad.remove_axis(Axis(0)));
    }
    Ok(results)
}
