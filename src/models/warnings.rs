//! What is surely a mistake but runs: said through the crate `log` when a model is compiled.

use super::objectives::Objective;
use crate::engine::Network;
use crate::{Activation, Scalar};

/// The losses that take probabilities, or logits with `from_logits`.
const OF_PROBABILITIES: [&str; 5] = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "SparseCategoricalCrossentropy",
];

/// Warns of losses and outputs that do not go together, and of a softmax over a single value.
pub(super) fn warn<F: Scalar>(network: &Network<F>, objectives: &[Objective<F>]) {
    for warning in all(network, objectives) {
        log::warn!("{warning}");
    }
}

fn all<F: Scalar>(network: &Network<F>, objectives: &[Objective<F>]) -> Vec<String> {
    let graph = &network.graph;
    let mut warnings = Vec::new();
    for layer in &graph.layers {
        let over = layer.output.first().and_then(|shape| shape.last());
        if layer.facts.output_activation == Some(Activation::Softmax) && over == Some(&1) {
            let (name, class) = (&layer.name, &layer.description.class);
            warnings.push(format!(
                "layer `{name}` ({class}): a softmax over one value is always 1: use a sigmoid, or a unit for each class"
            ));
        }
    }
    for (objective, (&slot, output)) in objectives.iter().zip(graph.outputs.iter().zip(&graph.output_names)) {
        let loss = objective.loss.describe();
        let activation = graph.layer(graph.node_of(slot)).and_then(|layer| layer.facts.output_activation.clone());
        let (Some(options), Some(activation)) = (loss.config, activation) else { continue };
        if !OF_PROBABILITIES.contains(&loss.class.as_str()) {
            continue;
        }
        let from_logits = options.get("from_logits").is_some_and(|value| value == &serde_json::Value::Bool(true));
        let class = loss.class;
        match (from_logits, activation) {
            (true, Activation::Softmax | Activation::Sigmoid) => warnings.push(format!(
                "loss {class} of output `{output}` takes logits (`from_logits`), but the output has gone through an activation already: leave one of the two out"
            )),
            (false, Activation::Linear | Activation::Relu | Activation::Tanh) => warnings.push(format!(
                "loss {class} of output `{output}` takes probabilities, but the output is none: end in a softmax or a sigmoid, or set `from_logits`"
            )),
            _ => (),
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::losses::Loss;
    use crate::prelude::*;

    /// The warnings about a model of one Dense layer.
    fn of(units: usize, activation: Activation, loss: impl Loss<f32> + 'static) -> Vec<String> {
        let layer = Dense::new(units).activation(activation);
        let model = Sequential::new().input([2]).add(layer).compile(loss, SGD::new()).build().expect("it builds");
        all(&model.network, &model.compiled.as_ref().expect("compiled").objectives)
    }

    #[test]
    fn what_is_surely_a_mistake_is_said() {
        let first = |warnings: Vec<String>| warnings.first().cloned().unwrap_or_default();
        assert!(first(of(1, Softmax, MeanSquaredError::new())).contains("`dense` (Dense): a softmax over one value"));
        assert!(first(of(1, Sigmoid, BinaryCrossentropy::new().from_logits(true))).contains("takes logits"));
        assert!(first(of(3, Softmax, CategoricalCrossentropy::new().from_logits(true))).contains("takes logits"));
        assert!(first(of(3, Linear, SparseCategoricalCrossentropy::new())).contains("takes probabilities"));
        assert!(first(of(1, Relu, BinaryFocalCrossentropy::new())).contains("takes probabilities"));
    }

    #[test]
    fn what_may_be_meant_is_not() {
        assert_eq!(of(3, Softmax, CategoricalCrossentropy::new()), [""; 0]);
        assert_eq!(of(3, Linear, SparseCategoricalCrossentropy::new().from_logits(true)), [""; 0]);
        assert_eq!(of(1, Sigmoid, BinaryCrossentropy::new()), [""; 0]);
        assert_eq!(of(1, Linear, MeanSquaredError::new()), [""; 0]);
    }
}
