//! Layers and activations: a model of one layer, forward and backward.

use gradus::prelude::*;
use serde_json::json;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    if case.call["mask"].as_bool().unwrap_or(false) || case.find::<F>("initial_state.0").is_some() {
        return Err(unsupported("masks and initial states"));
    }
    let registry = Registry::<F>::standard();
    let over_several_axes = class == "softmax" && case.config["axis"].is_array();
    let layer = if over_several_axes {
        registry.make_layer("Softmax", &case.options())?
    } else if case.kind.starts_with("activation:") {
        let mut words = case.options();
        words.insert("name".into(), json!(class));
        registry.make_layer("Activation", json!({ "activation": words }).as_object().unwrap())?
    } else {
        registry.make_layer(class, &case.options())?
    };
    let inputs = case.several::<F>("input");
    let symbols: Vec<Symbol<F>> = inputs.iter().map(|input| Input::of::<F>(input.shape()[1..].to_vec())).collect();
    let output = call(layer.named("layer"), &symbols);
    // A case of a refusal has no gradient; a model needs an output to be refused for its layer alone.
    let count = case.several::<F>("grad_output").len().max(1);
    let outputs: Vec<Symbol<F>> = (0..count).map(|i| output.output(i)).collect();
    let mut model = ModelBuilder::new(&symbols, &outputs).build()?;
    let weights: Vec<(String, ArrayD<F>)> =
        case.below("param.").into_iter().map(|(name, value)| (format!("layer/{name}"), value)).collect();
    model.set_weights(weights.iter().map(|(path, value)| (path, value)))?;

    let mut pass = model.pass_with_input_gradients();
    let mode = if case.training() { Mode::Training { seed: 0, step: 0 } } else { Mode::Inference };
    model.forward(&mut pass, inputs.as_slice(), mode)?;
    model.backward(&mut pass, case.several::<F>("grad_output").as_slice())?;

    let mut results = Results::new();
    let numbered = |name: &str, i: usize, count: usize| if count == 1 { name.into() } else { format!("{name}.{i}") };
    for i in 0..outputs.len() {
        results.insert(numbered("output", i, outputs.len()), pass.output(i).array().to_owned());
    }
    for i in 0..inputs.len() {
        let grad = pass.input_gradient(i).expect("asked for").array().to_owned();
        results.insert(numbered("grad.input", i, inputs.len()), grad);
    }
    for (path, grad) in model.gradients(&pass) {
        results.insert(format!("grad.{}", path.trim_start_matches("layer/")), grad);
    }
    Ok(results)
}
