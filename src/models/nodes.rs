//! The calls of a layer as a Keras configuration has them: `inbound_nodes`.
//!
//! Whatever stands in a call is taken or refused: a tensor, an option or a number that would be passed over silently
//! would change what the model computes.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::config::Config;

/// One call's place in a configuration: layer, which of its calls, which output.
pub(super) type Place = (String, usize, usize);

type Problem = String;

/// A call: on which outputs, with which options that are the layer's here, and beside which masks.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub inputs: Vec<Place>,
    pub options: Config,
    /// For inputs, by their number, the operator that made the mask which was recorded.
    pub masks: Vec<(usize, Place)>,
    /// Whether no other masks reach the layer: Keras 3 gives an attention those alone that the call names.
    pub no_other_masks: bool,
}

/// What may stand in a call in place of a tensor's place.
enum Argument {
    Nothing,
    Tensors(Vec<Place>),
    Plain(Value),
}

/// The words by which calls name the tensor that every layer takes.
const MAIN: [&str; 6] = ["inputs", "sequences", "sequence", "x", "input", "query"];
/// Of MultiHeadAttention, in the order in which it takes them here.
const ROLES: [&str; 3] = ["query", "value", "key"];
/// Options of a call that are options of the layer here.
const OPTIONS: [&str; 2] = ["use_causal_mask", "return_attention_scores"];

/// Layers that get masks only from their calls.
pub(super) const ATTENTIONS: [&str; 3] = ["AdditiveAttention", "Attention", "MultiHeadAttention"];

/// The names of what a layer takes in order.
fn positions(class: &str) -> &'static [&'static str] {
    match class {
        "MultiHeadAttention" => &["query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask"],
        "LSTM" | "GRU" | "SimpleRNN" | "RNN" | "Bidirectional" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            &["sequences", "initial_state", "mask", "training"]
        }
        "Attention" | "AdditiveAttention" => &["inputs", "mask", "training"],
        _ => &["inputs"],
    }
}

impl Call {
    /// The call that one of `inbound_nodes` describes: `[["a", 0, 0, {…}], …]` of Keras 2, `{"args": […], "kwargs": {…}}` of Keras 3.
    pub fn read(class: &str, node: &Value) -> Result<Self, Problem> {
        let mut call = Self::default();
        match node {
            Value::Array(_) => call.read_list(class, node)?,
            Value::Object(fields) => {
                call.no_other_masks = ATTENTIONS.contains(&class);
                let args = fields.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let names = positions(class);
                for (number, value) in args.iter().enumerate() {
                    match names.get(number) {
                        Some(name) => call.take(class, name, value)?,
                        // Keras's flag of training may come anywhere.
                        None if value.is_null() || value == &Value::Bool(false) => (),
                        None => return Err(format!("takes an argument number {number}, {value}")),
                    }
                }
                if let Some(kwargs) = fields.get("kwargs") {
                    let kwargs = kwargs.as_object().ok_or("has `kwargs` that are no object")?;
                    call.take_all(class, kwargs)?;
                }
                if let Some(other) = fields.keys().find(|key| !["args", "kwargs"].contains(&key.as_str())) {
                    return Err(format!("has an unknown part `{other}` in a call"));
                }
            }
            _ => return Err(format!("has a call {node}")),
        }
        if call.inputs.is_empty() { Err("is called on nothing".into()) } else { Ok(call) }
    }

    fn read_list(&mut self, class: &str, node: &Value) -> Result<(), Problem> {
        self.inputs = tensors(node)?;
        // The options of the call stand behind each of its tensors.
        let all = node.as_array().map_or(&[][..], Vec::as_slice);
        let one = std::slice::from_ref(node);
        let places = if all.first().is_some_and(Value::is_string) { one } else { all };
        for options in places.iter().filter_map(|place| place.get(3)) {
            let options = options.as_object().ok_or("has options of a call that are no object")?;
            self.take_all(class, options)?;
        }
        Ok(())
    }

    /// Arguments by name. Tensors come in the order in which the layer takes them, whatever the order of their names.
    fn take_all(&mut self, class: &str, named: &Config) -> Result<(), Problem> {
        let order = |name: &str| {
            let main = MAIN.contains(&name);
            (!main, ROLES.iter().position(|role| *role == name).unwrap_or(ROLES.len()))
        };
        let mut named: Vec<_> = named.iter().collect();
        named.sort_by_key(|(name, _)| order(name));
        named.into_iter().try_for_each(|(name, value)| self.take(class, name, value))
    }

    fn take(&mut self, class: &str, name: &str, value: &Value) -> Result<(), Problem> {
        if name == "mask" {
            return self.take_masks(value);
        }
        let attention = class == "MultiHeadAttention";
        match (name, argument(value).map_err(|problem| format!("{problem} as `{name}`"))?) {
            (_, Argument::Nothing) | ("training", Argument::Plain(Value::Bool(false))) => Ok(()),
            ("query_mask" | "value_mask" | "key_mask", Argument::Tensors(masks)) if attention => {
                let role = ROLES.iter().position(|role| name.starts_with(role)).unwrap_or(0);
                // Without a key the value is the key, and so is its mask.
                let tensors = self.inputs.len() - usize::from(self.options.contains_key("attention_mask"));
                let input = role.min(tensors.saturating_sub(1));
                self.masks.extend(masks.into_iter().map(|mask| (input, mask)));
                Ok(())
            }
            ("attention_mask", Argument::Tensors(mask)) if attention => {
                self.inputs.extend(mask);
                self.options.insert(name.into(), Value::Bool(true));
                Ok(())
            }
            ("value" | "key", Argument::Tensors(more)) if attention => {
                self.inputs.extend(more);
                Ok(())
            }
            ("initial_state", Argument::Tensors(states)) if positions(class).contains(&name) => {
                self.inputs.extend(states);
                Ok(())
            }
            (_, Argument::Tensors(first)) if MAIN.contains(&name) && self.inputs.is_empty() => {
                self.inputs = first;
                Ok(())
            }
            (_, Argument::Plain(Value::Bool(on))) if OPTIONS.contains(&name) => {
                if on {
                    self.options.insert(name.into(), Value::Bool(true));
                }
                Ok(())
            }
            (_, Argument::Tensors(_)) => Err(format!("is given a tensor as `{name}`, which it does not take")),
            (_, Argument::Plain(value)) => Err(format!("is called with `{name}` = {value}, which is not taken")),
        }
    }
}

impl Call {
    /// A mask, or one or none for each input.
    fn take_masks(&mut self, value: &Value) -> Result<(), Problem> {
        let one = std::slice::from_ref(value);
        let several = value.as_array().filter(|_| place(value).is_none()).map_or(one, Vec::as_slice);
        for (input, mask) in several.iter().enumerate().filter(|(_, mask)| !mask.is_null()) {
            let masks = tensors(mask).map_err(|problem| format!("{problem} as `mask`"))?;
            self.masks.extend(masks.into_iter().map(|mask| (input, mask)));
        }
        Ok(())
    }
}

fn argument(value: &Value) -> Result<Argument, Problem> {
    match value {
        Value::Null => Ok(Argument::Nothing),
        Value::Array(parts) if parts.iter().all(Value::is_null) && !parts.is_empty() => Ok(Argument::Nothing),
        Value::Array(_) | Value::Object(_) => tensors(value).map(Argument::Tensors),
        _ => Ok(Argument::Plain(value.clone())),
    }
}

/// The tensors of an argument: one, or several in lists, or by their names' order in objects.
pub(super) fn tensors(value: &Value) -> Result<Vec<Place>, Problem> {
    if let Some(place) = place(value) {
        return Ok(vec![place]);
    }
    match value {
        Value::Array(parts) => parts.iter().try_fold(Vec::new(), |mut all, part| {
            all.extend(tensors(part)?);
            Ok(all)
        }),
        Value::Object(fields) => match fields.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => {
                let history = fields.get("config").and_then(|config| config.get("keras_history")).and_then(place);
                Ok(vec![history.ok_or("is given a tensor without a history")?])
            }
            Some(class) => Err(format!("is given an object `{class}`")),
            None => fields.values().try_fold(Vec::new(), |mut all, part| {
                all.extend(tensors(part)?);
                Ok(all)
            }),
        },
        other => Err(format!("is given {other} in place of a tensor")),
    }
}

/// `["dense", 0, 0]`: layer, call, output. In a call of Keras 2 options may follow.
fn place(value: &Value) -> Option<Place> {
    let parts = value.as_array()?;
    let number = |i: usize| parts.get(i)?.as_u64().and_then(|n| usize::try_from(n).ok());
    let name = parts.first()?.as_str()?;
    if parts.len() == 1 {
        return Some((name.to_owned(), 0, 0));
    }
    Some((name.to_owned(), number(1)?, number(2)?))
}

/// Counts the calls of these layers from 0 in a list of places, whole calls of Keras 2 among them: to Keras the first call of a
/// model within a model is its second, the first is its own graph.
pub(super) fn count_from_zero(places: &mut Value, models: &HashSet<String>) {
    match places {
        Value::Array(parts) => {
            let name = parts.first().and_then(Value::as_str).is_some_and(|name| models.contains(name));
            match parts.get_mut(1).filter(|_| name) {
                Some(call) => {
                    if let Some(number) = call.as_u64().filter(|&number| number > 0) {
                        *call = Value::from(number - 1);
                    }
                }
                None => parts.iter_mut().for_each(|part| count_from_zero(part, models)),
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|part| count_from_zero(part, models)),
        _ => (),
    }
}

/// What an operator of Keras makes of an input: where a value is one that does not count. Such nodes stand in configurations
/// where a layer's mask was passed on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    pub of: Place,
    pub with: f64,
    /// Whether a step counts if any of its values does.
    pub any: bool,
}

/// The operators of a configuration that only make masks, and all others by class and name.
#[derive(Debug, Default)]
pub(super) struct Operators {
    pub masks: HashMap<String, Compared>,
    pub unknown: Vec<String>,
}

/// Whether a node is an operator, not a layer: their classes have the same names (`Add`).
pub(super) fn is_operator(spec: &Value) -> bool {
    let module = spec.get("module").and_then(Value::as_str).unwrap_or_default();
    module.starts_with("keras.src.ops") || module.starts_with("keras.ops")
}

impl Operators {
    pub fn add(&mut self, name: &str, class: &str, spec: &Value) {
        match self.mask(class, spec) {
            Some(mask) => {
                self.masks.insert(name.to_owned(), mask);
            }
            None => self.unknown.push(format!("`{name}` ({class})")),
        }
    }

    fn mask(&self, class: &str, spec: &Value) -> Option<Compared> {
        let [node] = &spec.get("inbound_nodes")?.as_array()?[..] else { return None };
        let given = node.get("kwargs").and_then(Value::as_object).is_none_or(Config::is_empty);
        match (class, &node.get("args")?.as_array()?[..]) {
            ("NotEqual", [of, with]) if given => {
                let [of] = &tensors(of).ok()?[..] else { return None };
                Some(Compared { of: of.clone(), with: with.as_f64()?, any: false })
            }
            ("Any", [of]) if given => {
                let [(name, 0, 0)] = &tensors(of).ok()?[..] else { return None };
                let config = spec.get("config")?;
                let last = config.get("axis").is_some_and(|axis| {
                    axis.as_i64() == Some(-1) || axis.as_array().is_some_and(|axes| axes.iter().eq(&[Value::from(-1)]))
                });
                let kept = config.get("keepdims").and_then(Value::as_bool).unwrap_or(false);
                let of = self.masks.get(name)?;
                (last && !kept && !of.any).then(|| Compared { any: true, ..of.clone() })
            }
            _ => None,
        }
    }
}
