//! Layers and activations: a model of one layer, forward and backward.

use gradus::prelude::*;
use serde_json::json;

use super::case::{Case, Results, Stop, unsupported};

pub fn run<F: Scalar>(case: &Case, class: &str) -> Result<Results<F>, Stop> {
    if case.find::<F>("initial_state.0").is_some() || case.find::<F>("mask.0").is_some() {
        return Err(unsupported("initial states and several masks"));
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
    let masked: Vec<Symbol<F>> = match case.find::<F>("mask") {
        Some(mask) => vec![symbols[0].apply(Given(mask.iter().map(|&step| step != F::zero()).collect()))],
        None => symbols.clone(),
    };
    let output = call(layer.named("layer"), &masked);
    // A case of a refusal has no gradient; a model needs an output to be refused for its layer alone.
    let count = case.several::<F>("grad_output").len().max(1);
    let outputs: Vec<Symbol<F>> = (0..count).map(|i| output.output(i)).collect();
    let mut model = ModelBuilder::new(&symbols, &outputs).build()?;
    let weights: Vec<(String, ArrayD<F>)> =
        case.below("param.").into_iter().map(|(name, value)| (format!("layer/{name}"), value)).collect();
    model.set_weights(weights.iter().map(|(path, value)| (path, value)))?;

    let mut pass = model.pass_with_input_gradients();
    let mode = if case.training() { Mode::Training { seed: 0, step: 0 } } else { Mode::Inference };
    // A step of length 0 leaves the weights, and writes the state.
    let mut still = Driver::new(SGD::new().learning_rate(0.0), &model)?;
    for _ in 0..case.call["calls"].as_u64().unwrap_or(1) {
        model.forward(&mut pass, inputs.as_slice(), mode)?;
        model.backward(&mut pass, case.several::<F>("grad_output").as_slice())?;
        if case.training() {
            still.step(&mut model, &pass)?;
        }
    }

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
    for (path, value) in model.get_weights() {
        results.insert(format!("updated.{}", path.trim_start_matches("layer/")), value);
    }
    Ok(results)
}

/// Its input, with the mask that a case gives beside it. Cases are small enough to be one shard.
struct Given(Vec<bool>);

impl<F: Scalar> Layer<F> for Given {
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> gradus::Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), _: &Context<'_, F>) {
        y.copy_from_slice(&x);
    }

    fn backward(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        if let Some(mut grad_x) = grad_x {
            grad_x.copy_from_slice(&grad_y);
        }
    }

    fn mask_rule(&self) -> MaskRule {
        MaskRule::Make
    }

    fn make_mask(&self, _: View<'_, F>, mask: &mut [bool]) {
        mask.copy_from_slice(&self.0);
    }
}
