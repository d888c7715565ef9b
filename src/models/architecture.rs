//! A model's architecture as data, in the words of Keras's `Sequential` and `Functional` configurations, and back.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

use super::Model;
use super::registry::Registry;
use crate::config::{self, Config, Setting};
use crate::engine::graph::{BuiltEntry, Graph};
use crate::engine::operation::Operation;
use crate::engine::recipe::{Entry, LayerKind, Recipe};
use crate::engine::{AnyLayer, IntoLayer, Network};
use crate::ids::{EntryId, Id, LayerId, numbered};
use crate::tensor::Shape;
use crate::{Error, Result, Scalar};

/// One call's place in a configuration: layer, which of its calls, which output.
type Place = (String, usize, usize);

impl<F: Scalar> Model<F> {
    /// The architecture in Keras's words: `{"class_name": "Functional", "config": {…}}`. Layers that share their weights
    /// through models, or stand in a `TimeDistributed` too, have the same `shared_object_id`.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4]).add(Dense::new(2).activation(Tanh)).build()?;
    /// let again = Model::<f32>::from_config(&model.to_config()?, &Registry::standard())?;
    /// assert_eq!(again.layer_names(), ["dense"]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a layer has no configuration, such as a custom activation or a layer that does not describe its options.
    pub fn to_config(&self) -> Result<Value> {
        to_config(&self.recipe, &self.network)
    }

    /// A model from an architecture in Keras's words, `Sequential` or `Functional`, with new weights.
    ///
    /// # Errors
    /// If a class or an option is not known, a layer refuses its input, or the graph is none: a cycle, a layer that
    /// does not exist, two of one name.
    pub fn from_config(architecture: &Value, registry: &Registry<F>) -> Result<Self> {
        Self::from_recipe(recipe(architecture, &registry.for_one_model(true))?)
    }
}

/// A model from an architecture whose parameters have no values yet: what they take is known, and no memory is taken.
pub(super) fn without_values<F: Scalar>(architecture: &Value, registry: &Registry<F>) -> Result<Model<F>> {
    Model::without_values(recipe(architecture, &registry.for_one_model(false))?)
}

pub(super) fn to_config<F: Scalar>(recipe: &Recipe<F>, network: &Network<F>) -> Result<Value> {
    Sharing::of(&network.graph).to_config(recipe, network, 0)
}

/// Which layers of the whole model share their parameters: for each the number of the first, where there are several.
struct Sharing(Vec<Option<LayerId>>);

impl Sharing {
    fn of<F: Scalar>(graph: &Graph<F>) -> Self {
        let mut shares = vec![None; graph.layers.len()];
        for (number, layer) in numbered::<LayerId, _>(&graph.layers) {
            if let Some(owner) = layer.shares {
                (shares[owner], shares[number]) = (Some(owner), Some(owner));
            }
        }
        Self(shares)
    }

    /// The configuration of a model whose layers begin with number `first` of the whole.
    fn to_config<F: Scalar>(&self, recipe: &Recipe<F>, network: &Network<F>, first: usize) -> Result<Value> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut calls: HashMap<&str, usize> = HashMap::new();
        let mut places: Vec<(&str, usize)> = Vec::new();
        let mut layers: Vec<(String, Value, Vec<Value>)> = Vec::new();
        for (entry, BuiltEntry { name, layers: own, .. }) in recipe.entries.iter().zip(&network.graph.entries) {
            let call = calls.entry(name).or_default();
            places.push((name, *call));
            *call += 1;
            let inbound = |inputs: &[(EntryId, usize)]| -> Value {
                inputs.iter().map(|&(entry, output)| json!([places[entry].0, places[entry].1, output])).collect()
            };
            match entry {
                Entry::Input { shape, batch, .. } => {
                    let mut options = json!({ "name": name, "shape": shape.axes() });
                    if let Some(rows) = batch {
                        let axes = std::iter::once(Some(*rows)).chain(shape.axes().iter().copied());
                        options = json!({ "name": name, "batch_shape": axes.collect::<Vec<_>>() });
                    }
                    layers.push((name.clone(), json!({ "class_name": "InputLayer", "config": options }), Vec::new()));
                }
                Entry::Call { layer, inputs } => {
                    let inbound = inbound(inputs);
                    if let Some(&at) = known.get(name.as_str()) {
                        layers[at].2.push(inbound);
                    } else {
                        let first = own.start.after(first);
                        known.insert(name, layers.len());
                        layers.push((name.clone(), self.layer_config(layer, name, first)?, vec![inbound]));
                    }
                }
            }
        }
        let place = |&(entry, output): &(EntryId, usize)| json!([places[entry].0, places[entry].1, output]);
        let inputs = network.graph.inputs.iter().map(|input| json!([input.name, 0, 0])).collect::<Value>();
        let outputs = recipe.outputs.iter().map(place).collect::<Value>();
        let layers: Value = layers
            .into_iter()
            .map(|(name, mut layer, inbound)| {
                layer["name"] = json!(name);
                layer["inbound_nodes"] = Value::Array(inbound);
                layer
            })
            .collect();
        let options = json!({
            "name": network.name(), "layers": layers, "input_layers": inputs, "output_layers": outputs, "seed": network.seed,
        });
        Ok(json!({ "class_name": "Functional", "config": options }))
    }

    fn layer_config<F: Scalar>(&self, layer: &AnyLayer<F>, name: &str, first: LayerId) -> Result<Value> {
        match &layer.kind {
            LayerKind::Model(inner) => {
                let mut architecture = self.to_config(&inner.recipe, &inner.network, first.number())?;
                architecture["config"]["name"] = json!(name);
                Ok(architecture)
            }
            LayerKind::EachStep { model, axes, trainable } => {
                let wrap = |inner| json!({ "class_name": "TimeDistributed", "config": { "layer": inner } });
                let inner = self.to_config(&model.recipe, &model.network, first.number())?;
                let mut wrapped = (0..*axes).fold(inner, |inner, _| wrap(inner));
                wrapped["config"]["name"] = json!(name);
                wrapped["config"]["trainable"] = json!(trainable);
                Ok(wrapped)
            }
            LayerKind::Operation(operation) => {
                let description = operation.describe();
                let mut options = description.config.ok_or_else(|| {
                    let needs = "a layer that says its options in `describe`";
                    Error::option("config", needs, format!("none from layer `{name}` ({})", description.class))
                })?;
                options.insert("name".into(), json!(name));
                options.insert("trainable".into(), json!(description.trainable));
                let mut object = config::object(&description.class, options);
                if let Some(shared) = self.0[first] {
                    let (mut layer, mut innermost) = (&**operation as &dyn Operation<F>, &mut object);
                    while let Some(inner) = layer.has_parameters_of() {
                        (layer, innermost) = (inner, &mut innermost["config"]["layer"]);
                    }
                    innermost["shared_object_id"] = json!(shared.number());
                }
                Ok(object)
            }
        }
    }
}

fn recipe<F: Scalar>(architecture: &Value, registry: &Registry<F>) -> Result<Recipe<F>> {
    let (class, options) = config::class_and_config(architecture)?;
    let name = match options.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => class.to_lowercase(),
    };
    let problem = |problem: String| Error::Graph { model: name.clone(), problem };
    let seed = config::take(&options, "seed", 0)?;
    let layers = options.get("layers").and_then(Value::as_array);
    let layers = layers.ok_or_else(|| problem("its configuration has no list `layers`".into()))?;
    match class.as_str() {
        "Sequential" => sequential(&name, seed, layers, registry),
        "Functional" | "Model" => functional(&name, seed, layers, &options, registry),
        _ => Err(Error::unknown("model class", class, ["Sequential", "Functional"])),
    }
}

/// A layer, or a whole model where a layer could stand.
pub(super) fn make_layer<F: Scalar>(spec: &Value, registry: &Registry<F>) -> Result<AnyLayer<F>> {
    match spec.get("shared_object_id").and_then(Value::as_u64) {
        Some(id) => registry.once(id, own_name(spec), || make_new_layer(spec, registry)),
        None => make_new_layer(spec, registry),
    }
}

/// What a layer is called, if its configuration says so.
fn own_name(spec: &Value) -> Option<&str> {
    spec.get("name").or_else(|| spec.get("config")?.get("name"))?.as_str()
}

fn make_new_layer<F: Scalar>(spec: &Value, registry: &Registry<F>) -> Result<AnyLayer<F>> {
    let (class, mut options) = config::class_and_config(spec)?;
    if matches!(class.as_str(), "Sequential" | "Functional" | "Model") {
        let recipe = recipe(spec, registry)?;
        let model = if registry.gives_values { Model::from_recipe(recipe)? } else { Model::without_values(recipe)? };
        let name = model.name().to_owned();
        return Ok(model.into_layer().named(name));
    }
    // Keras's real files carry two names that ours do not.
    let class = class.replace("MaxPooling", "MaxPool").replace("AveragePooling", "AvgPool");
    if let Some(name) = spec.get("name") {
        options.entry("name").or_insert_with(|| name.clone());
    }
    registry.make_layer(&class, &options)
}

/// The shape of an input, from `shape` or from `batch_shape` without its first axis; `null` is an open axis.
fn input_shape(options: &Config) -> Result<Option<Shape>> {
    let axis = |axis: &Value| if axis.is_null() { Ok(None) } else { usize::from_value(axis).map(Some) };
    let shape = |axes: &[Value]| Ok(Some(Shape::new(axes.iter().map(axis).collect::<Result<Vec<_>>>()?)));
    if let Some(given) = options.get("shape") {
        return match given.as_array() {
            Some(axes) => shape(axes),
            None => Vec::from_value(given).map(|sizes| Some(sizes.into())),
        };
    }
    match options.get("batch_shape").or_else(|| options.get("batch_input_shape")) {
        Some(Value::Array(axes)) if !axes.is_empty() => shape(&axes[1..]),
        _ => Ok(None),
    }
}

/// The rows of every batch, where `batch_shape` fixes them.
fn input_batch(options: &Config) -> Option<usize> {
    let given = options.get("batch_shape").or_else(|| options.get("batch_input_shape"))?;
    given.as_array()?.first().and_then(|rows| usize::from_value(rows).ok())
}

fn sequential<F: Scalar>(name: &str, seed: u64, layers: &[Value], registry: &Registry<F>) -> Result<Recipe<F>> {
    let mut entries = Vec::new();
    for spec in layers {
        let (class, options) = config::class_and_config(spec)?;
        if entries.is_empty()
            && let Some(shape) = input_shape(&options)?
        {
            let name = options.get("name").and_then(Value::as_str).filter(|_| class == "InputLayer");
            entries.push(Entry::Input { name: name.map(str::to_owned), shape, batch: input_batch(&options) });
        }
        if class != "InputLayer" {
            let before = entries.len().checked_sub(1).ok_or_else(|| {
                let problem = "its first layer has no shape; begin with an `InputLayer`".into();
                Error::Graph { model: name.into(), problem }
            })?;
            entries.push(Entry::Call { layer: make_layer(spec, registry)?, inputs: vec![(EntryId::new(before), 0)] });
        }
    }
    let outputs = vec![(EntryId::new(entries.len().saturating_sub(1)), 0)];
    Ok(Recipe { name: name.into(), seed, entries, outputs })
}

fn functional<F: Scalar>(
    name: &str,
    seed: u64,
    layers: &[Value],
    options: &Config,
    registry: &Registry<F>,
) -> Result<Recipe<F>> {
    let problem = |problem: String| Error::Graph { model: name.into(), problem };
    let input_names = place_list(options.get("input_layers"));
    let mut entries = Vec::new();
    let mut found: HashMap<(String, usize), EntryId> = HashMap::new();
    let mut open: VecDeque<(String, usize, AnyLayer<F>, Vec<Place>)> = VecDeque::new();
    let mut known = HashSet::new();
    let mut inputs: Vec<(usize, Entry<F>, String)> = Vec::new();
    for spec in layers {
        let (class, config) = config::class_and_config(spec)?;
        let own = spec.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let own = own.ok_or_else(|| problem(format!("a layer of class {class} has no name")))?.to_owned();
        if !known.insert(own.clone()) {
            return Err(problem(format!("two layers are called `{own}`; names must differ")));
        }
        if class == "InputLayer" {
            let shape = input_shape(&config)?.ok_or_else(|| problem(format!("the input `{own}` has no shape")))?;
            let order = input_names.iter().position(|(known, ..)| *known == own).unwrap_or(usize::MAX);
            let batch = input_batch(&config);
            inputs.push((order, Entry::Input { name: Some(own.clone()), shape, batch }, own));
            continue;
        }
        let layer = make_layer(spec, registry)?.named(&own);
        let calls = spec.get("inbound_nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (call, inbound) in calls.iter().enumerate() {
            open.push_back((own.clone(), call, layer.clone(), places(inbound)));
        }
    }
    inputs.sort_by_key(|(order, ..)| *order);
    for (_, entry, own) in inputs {
        found.insert((own, 0), EntryId::new(entries.len()));
        entries.push(entry);
    }
    // Whatever has all its inputs comes next; what never gets them waits for itself.
    while !open.is_empty() {
        let ready = open.iter().position(|(.., from)| {
            !from.is_empty() && from.iter().all(|(layer, call, _)| found.contains_key(&(layer.clone(), *call)))
        });
        let next = ready.and_then(|ready| open.remove(ready));
        let Some((own, call, layer, from)) = next else {
            let waiting: Vec<&str> = open.iter().map(|(known, ..)| known.as_str()).collect();
            let waiting = waiting.join("`, `");
            return Err(problem(format!(
                "`{waiting}` take outputs that are never made: the graph has a cycle or a gap"
            )));
        };
        let from = from.iter().map(|(layer, call, output)| (found[&(layer.clone(), *call)], *output)).collect();
        found.insert((own, call), EntryId::new(entries.len()));
        entries.push(Entry::Call { layer, inputs: from });
    }
    let outputs = place_list(options.get("output_layers"))
        .into_iter()
        .map(|(layer, call, output)| match found.get(&(layer.clone(), call)) {
            Some(&entry) => Ok((entry, output)),
            None => Err(problem(format!("its output `{layer}` is no layer of it"))),
        })
        .collect::<Result<_>>()?;
    Ok(Recipe { name: name.into(), seed, entries, outputs })
}

/// `[["dense", 0, 0], …]`, or a single `["dense", 0, 0]`.
fn place_list(value: Option<&Value>) -> Vec<Place> {
    match value.and_then(Value::as_array) {
        Some(one) if one.first().is_some_and(Value::is_string) => {
            place(value.unwrap_or(&Value::Null)).into_iter().collect()
        }
        Some(many) => many.iter().filter_map(place).collect(),
        None => Vec::new(),
    }
}

/// `["dense", 0, 0]`: layer, call, output.
fn place(value: &Value) -> Option<Place> {
    let parts = value.as_array()?;
    let number = |i: usize| parts.get(i).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    Some((parts.first()?.as_str()?.to_owned(), number(1), number(2)))
}

/// The inputs of one call: `[["a", 0, 0], …]`, or as Keras 3 writes it, `{"args": [{"class_name": "__keras_tensor__",
/// "config": {"keras_history": ["a", 0, 0]}}], …}`, at any depth.
fn places(inbound: &Value) -> Vec<Place> {
    match inbound {
        Value::Array(parts) => match place(inbound) {
            Some(place) => vec![place],
            None => parts.iter().flat_map(places).collect(),
        },
        Value::Object(fields) => match fields.get("config").and_then(|config| config.get("keras_history")) {
            Some(history) => place(history).into_iter().collect(),
            None => fields.get("args").map(places).unwrap_or_default(),
        },
        _ => Vec::new(),
    }
}
