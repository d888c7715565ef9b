//! An architecture in exactly the form that Keras reads: modules beside classes, calls with their arguments by name.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::nodes::ATTENTIONS;
use crate::config::Config;
use crate::engine::graph::Graph;
use crate::{Error, Result, Scalar};

/// Classes of gradus that Keras has among its layers, by its names.
const LAYERS: [&str; 86] = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "Identity",
    "InputLayer",
    "LSTM",
    "LSTMCell",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RNN",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
];

/// Refuses attentions that look at masks: in a functional model Keras (3.15) gives them none but those that a call names.
pub(super) fn refuse_masked_attention<F: Scalar>(graph: &Graph<F>) -> Result<()> {
    for node in &graph.nodes {
        let Some(layer) = graph.layer(node) else { continue };
        let masked = node.inputs.iter().any(|input| input.mask.is_some());
        if masked && ATTENTIONS.contains(&layer.description.class.as_str()) {
            let needs = "without masks from layers before it, which Keras does not give an attention";
            return Err(Error::option(&layer.description.class, needs, "one").within(format!("layer `{}`", layer.name)));
        }
    }
    Ok(())
}

/// The configuration of a model, `{"class_name": "Functional", "config": {…}}` or a `Sequential` one, in Keras's form. `frozen`
/// are the layers that training does not change, by their paths, which begin with `path`.
pub(super) fn model(architecture: &Value, path: &str, frozen: &HashSet<&str>) -> Result<Value> {
    let config = &architecture["config"];
    let sequential = architecture["class_name"] == "Sequential";
    let list = |name: &str| config[name].as_array().map_or(&[][..], Vec::as_slice);
    let layers = list("layers").iter().map(|spec| {
        let name = spec["name"].as_str().unwrap_or_default();
        let (mut layer, call) =
            layer(spec, &format!("{path}{name}"), frozen).map_err(|error| error.within(format!("layer `{name}`")))?;
        let calls = spec["inbound_nodes"].as_array().map_or(&[][..], Vec::as_slice);
        let class = layer["class_name"].as_str().unwrap_or_default().to_owned();
        if sequential {
            return if call.is_empty() { Ok(layer) } else { Err(without_call(name, &call)) };
        }
        layer["name"] = json!(name);
        layer["inbound_nodes"] = calls.iter().map(|inputs| node(&class, inputs, &call)).collect();
        Ok(layer)
    });
    let layers = layers.collect::<Result<Vec<_>>>()?;
    if sequential {
        let config = json!({ "name": config["name"], "trainable": true, "layers": layers });
        return Ok(object("keras", "Sequential", config));
    }
    // In this list, and nowhere else, Keras counts the calls of a model within a model from 1.
    let counted = |place: &Value| {
        let mut place = place.clone();
        let is_model = |layer: &Value| layer["class_name"] == "Functional" && layer["name"] == place[0];
        if layers.iter().any(is_model) {
            place[1] = json!(place[1].as_u64().unwrap_or(0) + 1);
        }
        place
    };
    // Of one tensor no list, else the model's call would give a list of one.
    let places = |name: &str| match list(name) {
        [one] => counted(one),
        several => several.iter().map(counted).collect(),
    };
    let config = json!({
        "name": config["name"], "trainable": true, "layers": layers,
        "input_layers": places("input_layers"), "output_layers": places("output_layers"),
    });
    Ok(json!({
        "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
        "registered_name": "Functional",
    }))
}

/// A chain of layers has no calls that could have options.
fn without_call(name: &str, call: &Config) -> Error {
    let option = call.keys().next().cloned().unwrap_or_default();
    let needs = "off in a `Sequential` model of Keras; build it with `ModelBuilder`";
    Error::option(option, needs, true).within(format!("layer `{name}`"))
}

/// A layer, and the options that are its calls' in Keras.
fn layer(spec: &Value, path: &str, frozen: &HashSet<&str>) -> Result<(Value, Config)> {
    let mut class = spec["class_name"].as_str().unwrap_or_default();
    if ["Functional", "Sequential"].contains(&class) {
        return Ok((model(spec, &format!("{path}/"), frozen)?, Config::new()));
    }
    let mut config = spec["config"].as_object().cloned().unwrap_or_default();
    if class == "InputLayer" {
        return Ok((object("keras.layers", class, input(&config)), Config::new()));
    }
    if class == "Activation" {
        class = activation_layer(&mut config)?;
    }
    for option in ["activation", "recurrent_activation"] {
        if let Some(activation) = config.get_mut(option) {
            *activation = plain(activation);
        }
        if let Some(options) = config.get(option).filter(|value| value.is_object()) {
            let needs = "one without options, as Keras's layers take them; make it a layer of its own";
            return Err(Error::option(option, needs, options));
        }
    }
    for part in ["layer", "backward_layer", "cell"] {
        if let Some(inner) = config.get_mut(part).filter(|inner| inner.is_object()) {
            *inner = layer(inner, path, frozen)?.0;
        }
    }
    if let Some(cells) = config.get_mut("cells").and_then(Value::as_array_mut) {
        for cell in cells {
            *cell = layer(cell, path, frozen)?.0;
        }
    }
    if frozen.contains(path) {
        config.insert("trainable".into(), json!(false));
    }
    // Keras's default, which not every layer of its takes as an option.
    if config.get("trainable") == Some(&Value::Bool(true)) || class.starts_with("SpatialDropout") {
        config.remove("trainable");
    }
    if class == "UpSampling1D" {
        config["size"] = config["size"].get(0).cloned().unwrap_or_else(|| config["size"].clone());
    }
    let mut call = Config::new();
    for option in ["attention_mask", "use_causal_mask", "return_attention_scores"] {
        if let Some(value) = config.remove(option).filter(|value| value == &Value::Bool(true)) {
            call.insert(option.into(), value);
        }
    }
    if class == "WithMask" {
        return Err(Error::option("WithMask", "left out: Keras has a mask as an argument, not as a layer", "it"));
    }
    // A class of one's own is looked for among Keras's `custom_objects`.
    let mut object = object("keras.layers", class, Value::Object(config));
    if !LAYERS.contains(&class) {
        object["module"] = Value::Null;
        object["registered_name"] = json!(class);
    }
    if let Some(shared) = spec.get("shared_object_id") {
        object["shared_object_id"] = shared.clone();
    }
    Ok((object, call))
}

fn object(module: &str, class: &str, config: impl Into<Value>) -> Value {
    json!({ "module": module, "class_name": class, "config": config.into(), "registered_name": null })
}

fn input(config: &Config) -> Value {
    let shape = config.get("batch_shape").cloned().unwrap_or_else(|| {
        let axes = config.get("shape").and_then(Value::as_array).cloned().unwrap_or_default();
        std::iter::once(Value::Null).chain(axes).collect()
    });
    json!({ "name": config.get("name"), "batch_shape": shape, "dtype": "float32", "sparse": false })
}

/// An activation with options is a layer of another class in Keras.
fn activation_layer(config: &mut Config) -> Result<&'static str> {
    let Some(Value::Object(options)) = config.get("activation").map(plain) else { return Ok("Activation") };
    let class = match options["name"].as_str().unwrap_or_default() {
        "relu" => "ReLU",
        "leaky_relu" => "LeakyReLU",
        "elu" => "ELU",
        "softmax" => "Softmax",
        _ => return Err(Error::option("activation", "one that Keras has with options", Value::Object(options))),
    };
    config.remove("activation");
    config.extend(options.into_iter().filter(|(name, _)| name != "name"));
    Ok(class)
}

/// The name alone of an activation whose options are Keras's defaults.
fn plain(activation: &Value) -> Value {
    let usual = [
        json!({ "name": "elu", "alpha": 1.0 }),
        json!({ "name": "celu", "alpha": 1.0 }),
        json!({ "name": "leaky_relu", "negative_slope": 0.2 }),
    ];
    if usual.contains(activation) { activation["name"].clone() } else { activation.clone() }
}

/// A call on outputs of other layers.
fn node(class: &str, inputs: &Value, options: &Config) -> Value {
    let tensor = |place: &Value| json!({ "class_name": "__keras_tensor__", "config": { "shape": [null], "dtype": "float32", "keras_history": place } });
    let mut tensors: Vec<Value> = inputs.as_array().map_or(&[][..], Vec::as_slice).iter().map(tensor).collect();
    let mut kwargs = options.clone();
    if options.contains_key("attention_mask")
        && let Some(mask) = tensors.pop()
    {
        kwargs.insert("attention_mask".into(), mask);
    }
    let recurrent = ["LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"];
    if recurrent.contains(&class) && tensors.len() > 1 {
        kwargs.insert("initial_state".into(), tensors.split_off(1).into());
    }
    let args = match tensors.len() {
        0 | 1 => tensors,
        // A single input is query and value.
        _ if class == "MultiHeadAttention" => tensors,
        _ => vec![tensors.into()],
    };
    let args = if class == "MultiHeadAttention" && args.len() == 1 { vec![args[0].clone(); 2] } else { args };
    json!({ "args": args, "kwargs": kwargs })
}
