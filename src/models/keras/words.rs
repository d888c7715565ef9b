//! What configurations of earlier versions of Keras say otherwise, brought to the words of today; and statistics that stand
//! among the weights.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::nodes::{count_from_zero, is_operator, tensors};
use super::places::Names;
use super::weights::Budget;
use crate::config::Config;
use crate::formats::hdf5::Group;
use crate::{Error, Result};

/// More layers than this, all in all, has no model.
const MOST_LAYERS: usize = 20_000;

/// The configuration of a file of Keras 2 (`version` `2.…`) in the words of Keras 3; one of Keras 3 is as it was.
pub(super) fn of_today(config: &mut Value, version: &str) -> Result<()> {
    let mut left = MOST_LAYERS;
    rewrite(config, version.starts_with("1.") || version.starts_with("2."), &mut left)
}

/// Depth is that of the text, which its reader has limited.
fn rewrite(spec: &mut Value, earlier: bool, left: &mut usize) -> Result<()> {
    let many = || Error::data("keras", format!("at most {MOST_LAYERS} layers"), "more");
    *left = left.checked_sub(1).ok_or_else(many)?;
    let Some(class) = spec.get("class_name").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
    let Some(config) = spec.get_mut("config") else { return Ok(()) };
    if class == "Sequential" && config.is_array() {
        *config = json!({ "name": "sequential", "layers": config.take() });
    }
    let Some(config) = config.as_object_mut() else { return Ok(()) };
    if earlier {
        of_layer(&class, config);
    }
    for part in ["layers", "cells"] {
        if let Some(Value::Array(layers)) = config.get_mut(part) {
            layers.iter_mut().try_for_each(|layer| rewrite(layer, earlier, left))?;
        }
    }
    count_calls(config, earlier);
    for part in ["layer", "backward_layer", "cell"] {
        if let Some(layer) = config.get_mut(part) {
            rewrite(layer, earlier, left)?;
        }
    }
    Ok(())
}

/// Counts the calls of models within a model from 0, where the layers do not say their modules (which the reader of
/// architectures looks at): Keras 2 counts all from 1, Keras 3 the outputs of functional ones.
fn count_calls(config: &mut Config, earlier: bool) {
    let Some(layers) = config.get("layers").and_then(Value::as_array) else { return };
    let classes: &[&str] = if earlier { &["Model", "Functional", "Sequential"] } else { &["Functional"] };
    let inner = layers.iter().filter(|layer| {
        layer.get("module").is_none() && layer["class_name"].as_str().is_some_and(|class| classes.contains(&class))
    });
    let name =
        |layer: &Value| Some(layer.get("name").or_else(|| layer.get("config")?.get("name"))?.as_str()?.to_owned());
    let mut inner: HashSet<String> = inner.filter_map(name).collect();
    if earlier {
        // Not everywhere: where a call has the number 0, they are counted from 0.
        let calls = layers.iter().filter_map(|layer| layer.get("inbound_nodes")).chain(config.get("output_layers"));
        for (name, number, _) in calls.filter_map(|calls| tensors(calls).ok()).flatten() {
            if number == 0 {
                inner.remove(&name);
            }
        }
    }
    if let Some(outputs) = config.get_mut("output_layers") {
        count_from_zero(outputs, &inner);
    }
    for layer in config.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten().filter(|_| earlier) {
        if let Some(calls) = layer.get_mut("inbound_nodes") {
            count_from_zero(calls, &inner);
        }
    }
}

/// The options of a layer of Keras 2.
fn of_layer(class: &str, config: &mut Config) {
    for option in ["activation", "recurrent_activation"] {
        if config.get(option) == Some(&json!("hard_sigmoid")) {
            config.insert(option.into(), json!({ "class_name": "hard_sigmoid", "config": { "slope": 0.2 } }));
        }
    }
    if let Some(slope) = config.remove("alpha") {
        let name = if class == "LeakyReLU" { "negative_slope" } else { "alpha" };
        config.insert(name.into(), slope);
    }
    let depthwise = ["DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"].contains(&class);
    if depthwise && config.get("groups") == Some(&json!(1)) {
        config.remove("groups");
    }
    if depthwise {
        // Those of the kernel that these layers do not have.
        for option in ["kernel_initializer", "kernel_regularizer", "kernel_constraint"] {
            config.remove(option);
        }
        for option in ["filters", "pointwise_initializer"].into_iter().filter(|_| class.starts_with("Depthwise")) {
            config.remove(option);
        }
    }
    match class {
        // The default before TensorFlow 2, whose files do not say it.
        "GRU" | "GRUCell" => {
            config.entry("reset_after").or_insert(json!(false));
        }
        "Embedding" => {
            config.remove("input_length");
        }
        "LSTM" | "SimpleRNN" => (),
        _ => return,
    }
    config.remove("time_major");
}

/// The options of an optimizer of Keras 2: a rate by a shorter name, and one that falls with each step.
pub(super) fn earlier_optimizer(options: &mut Config) {
    if let Some(rate) = options.remove("lr") {
        options.insert("learning_rate".into(), rate);
    }
    let decay = options.remove("decay").and_then(|decay| decay.as_f64()).filter(|decay| *decay != 0.0);
    if let Some((decay, rate)) = decay.zip(options.get("learning_rate").cloned()) {
        let falling = json!({ "initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay });
        options.insert("learning_rate".into(), json!({ "class_name": "InverseTimeDecay", "config": falling }));
    }
}

/// Puts the means and variances that a file has among the weights to the options of each `Normalization`, and gives the groups that
/// it took.
pub(super) fn take_statistics(config: &mut Value, root: &Group<'_>) -> Result<HashSet<String>> {
    let mut statistics = Statistics { root, taken: HashSet::new(), budget: Budget::new(), left: MOST_STATISTICS };
    statistics.take(config, "")?;
    Ok(statistics.taken)
}

/// More values than this have no features together.
const MOST_STATISTICS: usize = 1 << 20;

struct Statistics<'a, 'f> {
    root: &'a Group<'f>,
    taken: HashSet<String>,
    budget: Budget,
    left: usize,
}

impl Statistics<'_, '_> {
    fn take(&mut self, spec: &mut Value, path: &str) -> Result<()> {
        let class = spec.get("class_name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(config) = spec.get_mut("config").and_then(Value::as_object_mut) else { return Ok(()) };
        if class == "Normalization" && config.get("mean").is_none_or(Value::is_null) {
            let mut names = path.split('/').chain(["vars"]);
            let vars = names.try_fold(self.root.clone(), |group, name| self.budget.group(&group, name))?;
            for (number, option) in ["mean", "variance"].into_iter().enumerate() {
                config.insert(option.into(), self.values(&vars, number)?);
            }
            self.taken.insert(path.to_owned());
        }
        if class == "TimeDistributed"
            && let Some(layer) = config.get_mut("layer")
        {
            return self.take(layer, &format!("{path}/layer"));
        }
        let mut names = Names::default();
        for layer in config.get_mut("layers").and_then(Value::as_array_mut).into_iter().flatten() {
            if is_operator(layer) {
                continue;
            }
            let class = layer.get("class_name").and_then(Value::as_str).unwrap_or_default();
            let name = names.next(if class == "Model" { "Functional" } else { class });
            let path = if path.is_empty() { format!("layers/{name}") } else { format!("{path}/layers/{name}") };
            self.take(layer, &path)?;
        }
        Ok(())
    }

    fn values(&mut self, vars: &Group<'_>, number: usize) -> Result<Value> {
        let dataset = vars.dataset(&number.to_string())?;
        let count = crate::memory::product(dataset.shape()).and_then(|count| self.left.checked_sub(count));
        let many = || Error::data(dataset.path(), format!("at most {MOST_STATISTICS} statistics"), "more");
        self.left = count.ok_or_else(many)?;
        let values: Vec<f64> = dataset.read()?.to_array::<f64>().into_iter().collect();
        Ok(json!(values))
    }
}
