//! A model's architecture as data, in the words of Keras's `Sequential` and `Functional` configurations, and back.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use serde_json::{Value, json};

use super::Model;
use super::nodes::{Call, Operators, Place, count_from_zero, is_operator, tensors};
use super::registry::Registry;
use crate::config::{self, Config, Setting};
use crate::engine::graph::{BuiltEntry, Graph};
use crate::engine::operation::Operation;
use crate::engine::recipe::{Entry, LayerKind, Recipe};
use crate::engine::{AnyLayer, IntoLayer, Network};
use crate::ids::{EntryId, Id, LayerId, numbered};
use crate::tensor::Shape;
use crate::{Error, Result, Scalar};

/// Whole models, in Keras's words.
const MODELS: [&str; 3] = ["Sequential", "Functional", "Model"];

impl<F: Scalar> Model<F> {
    /// The architecture in Keras's words: `{"class_name": "Functional", "config": {…}}`, of a chain of layers `Sequential`. Layers that share their weights
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
        model(recipe(architecture, &registry.for_one_model(true))?, true)
    }
}

/// A model from an architecture whose parameters have no values yet: what they take is known, and no memory is taken.
pub(super) fn without_values<F: Scalar>(architecture: &Value, registry: &Registry<F>) -> Result<Model<F>> {
    model(recipe(architecture, &registry.for_one_model(false))?, false)
}

pub(super) fn to_config<F: Scalar>(recipe: &Recipe<F>, network: &Network<F>) -> Result<Value> {
    Sharing::of(&network.graph).to_config(recipe, network, 0)
}

/// Whether a model is a chain in Keras's words: said as one, no layer twice, and of each layer one output.
pub(super) fn is_sequential<F: Scalar>(recipe: &Recipe<F>, graph: &Graph<F>) -> bool {
    let mut names = HashSet::new();
    recipe.chain && graph.entries.iter().all(|entry| entry.outputs.len() == 1 && names.insert(entry.name.as_str()))
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
        let sequential = is_sequential(recipe, &network.graph);
        let layers: Value = layers
            .into_iter()
            .map(|(name, mut layer, inbound)| {
                layer["name"] = json!(name);
                if !sequential {
                    layer["inbound_nodes"] = Value::Array(inbound);
                }
                layer
            })
            .collect();
        let mut options = json!({ "name": network.name(), "layers": layers, "seed": network.seed });
        if sequential {
            return Ok(json!({ "class_name": "Sequential", "config": options }));
        }
        options["input_layers"] = inputs;
        options["output_layers"] = outputs;
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

fn recipe<F: Scalar>(architecture: &Value, registry: &Registry<F>) -> Result<Described<F>> {
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
        "Sequential" => sequential(&name, seed, layers, &options, registry),
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
    if MODELS.contains(&class.as_str()) {
        let model = model(recipe(spec, registry)?, registry.gives_values)?;
        let name = model.name().to_owned();
        return Ok(model.into_layer().named(name));
    }
    if let Some(name) = spec.get("name") {
        options.entry("name").or_insert_with(|| name.clone());
    }
    registry.make_layer(&known_class(&class), &options)
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

fn sequential<F: Scalar>(
    name: &str,
    seed: u64,
    layers: &[Value],
    of_model: &Config,
    registry: &Registry<F>,
) -> Result<Described<F>> {
    let mut entries = Vec::new();
    refuse_unknown_layers(layers, registry)?;
    // Where no layer says what comes in, the model may say what it was built for.
    let built = of_model.get("build_input_shape").map(|shape| ("batch_shape".to_owned(), shape.clone()));
    let built = Config::from_iter(built);
    for spec in layers {
        let (class, options) = config::class_and_config(spec)?;
        let shape = match input_shape(&options)? {
            None => input_shape(&built)?,
            given => given,
        };
        if let Some(shape) = shape.filter(|_| entries.is_empty()) {
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
    Ok((Recipe { name: name.into(), seed, entries, outputs, chain: true }, Vec::new()))
}

fn functional<F: Scalar>(
    name: &str,
    seed: u64,
    layers: &[Value],
    options: &Config,
    registry: &Registry<F>,
) -> Result<Described<F>> {
    let problem = |problem: String| Error::Graph { model: name.into(), problem };
    let within = |layer: &str| {
        let layer = layer.to_owned();
        move |what: String| Error::Graph { model: name.into(), problem: format!("the layer `{layer}` {what}") }
    };
    let input_names = place_list(options.get("input_layers")).map_err(problem)?;
    let mut entries = Vec::new();
    let mut found: HashMap<(String, usize), EntryId> = HashMap::new();
    let mut open: Vec<(String, usize, AnyLayer<F>, Call)> = Vec::new();
    let mut known = HashSet::new();
    let mut inputs: Vec<(usize, Entry<F>, String)> = Vec::new();
    let mut operators = Operators::default();
    refuse_unknown_layers(layers, registry)?;
    for spec in layers {
        let (class, config) = config::class_and_config(spec)?;
        let own = spec.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let own = own.ok_or_else(|| problem(format!("a layer of class {class} has no name")))?.to_owned();
        if !known.insert(own.clone()) {
            return Err(problem(format!("two layers are called `{own}`; names must differ")));
        }
        if is_operator(spec) {
            operators.add(&own, &class, spec);
            continue;
        }
        if class == "InputLayer" {
            let shape = input_shape(&config)?.ok_or_else(|| problem(format!("the input `{own}` has no shape")))?;
            let order = input_names.iter().position(|(known, ..)| *known == own).unwrap_or(usize::MAX);
            let batch = input_batch(&config);
            inputs.push((order, Entry::Input { name: Some(own.clone()), shape, batch }, own));
            continue;
        }
        let calls = spec.get("inbound_nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let calls = calls.iter().map(|node| Call::read(&class, node)).collect::<Result<Vec<_>, _>>();
        let mut calls = calls.map_err(within(&own))?;
        let options = calls.first_mut().map(|call| std::mem::take(&mut call.options)).unwrap_or_default();
        if let Some(other) = calls.iter().skip(1).find(|call| call.options != options) {
            return Err(within(&own)(format!("is called with different options, {:?}", other.options)));
        }
        let layer =
            if options.is_empty() { make_layer(spec, registry)? } else { make_layer(&with(spec, options), registry)? };
        let layer = layer.named(&own);
        for (number, call) in calls.into_iter().enumerate() {
            open.push((own.clone(), number, layer.clone(), call));
        }
    }
    if !operators.unknown.is_empty() {
        let unknown = operators.unknown.join(", ");
        return Err(problem(format!("it has operators in place of layers, which are not read: {unknown}")));
    }
    inputs.sort_by_key(|(order, ..)| *order);
    for (_, entry, own) in inputs {
        found.insert((own, 0), EntryId::new(entries.len()));
        entries.push(entry);
    }
    let mut masks = Vec::new();
    let mut order = Order::new(open.iter().map(|(.., call)| &call.inputs[..]), &found);
    let mut open: Vec<_> = open.into_iter().map(Some).collect();
    while let Some((own, number, layer, call)) = order.next().and_then(|next| open[next].take()) {
        let entry = EntryId::new(entries.len());
        for (number, place) in call.inputs.iter().enumerate().filter(|_| call.no_other_masks) {
            if call.masks.iter().all(|(masked, _)| *masked != number) {
                let input = (found[&(place.0.clone(), place.1)], place.2);
                masks.push(Mask { input, made: None, layer: own.clone() });
            }
        }
        for (input, (operator, ..)) in call.masks {
            let Some(compared) = operators.masks.get(&operator) else {
                let what = format!("is given `{operator}` as a mask, which no layer makes here; use `WithMask`");
                return Err(within(&own)(what));
            };
            let at = |(layer, call, output): &Place| found.get(&(layer.clone(), *call)).map(|&entry| (entry, *output));
            let made = call.inputs.get(input).and_then(at).zip(at(&compared.of));
            let Some((input, of)) = made else {
                return Err(within(&own)(format!("is given the mask `{operator}` of what it is not called on")));
            };
            masks.push(Mask { input, made: Some((of, compared.with, compared.any)), layer: own.clone() });
        }
        let from = call.inputs.iter().map(|(layer, call, output)| (found[&(layer.clone(), *call)], *output)).collect();
        order.made(&(own.clone(), number));
        found.insert((own, number), entry);
        entries.push(Entry::Call { layer, inputs: from });
    }
    let waiting: Vec<&str> = open.iter().flatten().map(|(known, ..)| known.as_str()).collect();
    if !waiting.is_empty() {
        let waiting = waiting.join("`, `");
        return Err(problem(format!("`{waiting}` take outputs that are never made: the graph has a cycle or a gap")));
    }
    let outputs = outputs(layers, options, &found).map_err(problem)?;
    Ok((Recipe { name: name.into(), seed, entries, outputs, chain: false }, masks))
}

/// The outputs of a functional model.
fn outputs(
    layers: &[Value],
    options: &Config,
    found: &HashMap<(String, usize), EntryId>,
) -> Result<Vec<(EntryId, usize)>, String> {
    // Keras 3, whose files say the module, counts the calls of models otherwise in its list of outputs.
    let inner = |spec: &&Value| spec.get("module").is_some() && spec.get("class_name") == Some(&json!("Functional"));
    let inner = layers.iter().filter(inner).filter_map(own_name).map(str::to_owned).collect();
    let mut outputs = options.get("output_layers").cloned();
    if let Some(outputs) = &mut outputs {
        count_from_zero(outputs, &inner);
    }
    let place = |(layer, call, output): Place| match found.get(&(layer.clone(), call)) {
        Some(&entry) => Ok((entry, output)),
        None => Err(format!("its output `{layer}` is no layer of it")),
    };
    place_list(outputs.as_ref())?.into_iter().map(place).collect()
}

/// In which order calls can be made: of those that have all their inputs the first comes next.
struct Order {
    ready: BinaryHeap<Reverse<usize>>,
    /// For each call, how many of its inputs are still to be made.
    missing: Vec<usize>,
    waiting: HashMap<(String, usize), Vec<usize>>,
}

impl Order {
    /// Of calls by their inputs, where some outputs are `made`.
    fn new<'c>(calls: impl Iterator<Item = &'c [Place]>, made: &HashMap<(String, usize), EntryId>) -> Self {
        let mut order = Self { ready: BinaryHeap::new(), missing: Vec::new(), waiting: HashMap::new() };
        for (number, inputs) in calls.enumerate() {
            let inputs = inputs.iter().map(|(layer, call, _)| (layer.clone(), *call));
            let missing: Vec<_> = inputs.filter(|place| !made.contains_key(place)).collect();
            order.missing.push(missing.len());
            if missing.is_empty() {
                order.ready.push(Reverse(number));
            }
            for place in missing {
                order.waiting.entry(place).or_default().push(number);
            }
        }
        order
    }

    fn next(&mut self) -> Option<usize> {
        self.ready.pop().map(|Reverse(next)| next)
    }

    fn made(&mut self, place: &(String, usize)) {
        for number in self.waiting.remove(place).unwrap_or_default() {
            self.missing[number] -= 1;
            if self.missing[number] == 0 {
                self.ready.push(Reverse(number));
            }
        }
    }
}

/// A layer's description with the options of its calls among its own.
fn with(spec: &Value, options: Config) -> Value {
    let mut spec = spec.clone();
    if let Some(config) = spec.get_mut("config").and_then(Value::as_object_mut) {
        config.extend(options);
    }
    spec
}

/// Refuses classes that the registry does not have, all at once.
fn refuse_unknown_layers<F: Scalar>(layers: &[Value], registry: &Registry<F>) -> Result<()> {
    let mut unknown = BTreeSet::new();
    for spec in layers.iter().filter(|spec| !is_operator(spec)) {
        let (class, options) = config::class_and_config(spec)?;
        if class == "InputLayer" || MODELS.contains(&class.as_str()) || registry.has_layer(known_class(&class).as_ref())
        {
            continue;
        }
        if class == "Lambda" {
            let name = spec.get("name").or_else(|| options.get("name")).and_then(Value::as_str).unwrap_or_default();
            let needs =
                "a class `Lambda` of the registry's, since a file's code is never run: see `Registry::with_layer_fn`";
            return Err(Error::option(format!("Lambda `{name}`"), needs, "none"));
        }
        unknown.insert(class);
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let names = unknown.into_iter().collect::<Vec<_>>().join("`, `");
    Err(Error::unknown("layer class", names, registry.layer_classes()))
}

/// The class as it is called here: Keras's real files carry two names that ours do not.
fn known_class(class: &str) -> String {
    class.replace("MaxPooling", "MaxPool").replace("AveragePooling", "AvgPool")
}

/// `[["dense", 0, 0], …]`, or a single `["dense", 0, 0]`; by name, in the order of the names.
fn place_list(value: Option<&Value>) -> Result<Vec<Place>, String> {
    value.map_or(Ok(Vec::new()), |value| {
        tensors(value).map_err(|problem| format!("its list of inputs or outputs {problem}"))
    })
}

/// A mask that a call was recorded with: where another layer's input is not a number.
struct Mask {
    input: (EntryId, usize),
    /// Of which output, compared with which number, and whether of a step any value; none where there must be no mask.
    made: Option<((EntryId, usize), f64, bool)>,
    layer: String,
}

/// A recipe, and the masks that it must turn out to have.
type Described<F> = (Recipe<F>, Vec<Mask>);

/// The model of what was described, whose layers pass the masks on that the description names.
fn model<F: Scalar>((recipe, masks): Described<F>, gives_values: bool) -> Result<Model<F>> {
    let model = if gives_values { Model::from_recipe(recipe)? } else { Model::without_values(recipe)? };
    for mask in &masks {
        if !is_passed(&model.graph, mask) {
            let what = match mask.made {
                Some(_) => {
                    "is given a mask that does not come from an `Embedding` or `Masking` before it; use `WithMask`"
                }
                None => "would get a mask from an `Embedding` or `Masking` before it, which Keras does not give it",
            };
            let problem = format!("the layer `{}` {what}", mask.layer);
            return Err(Error::Graph { model: model.name().into(), problem });
        }
    }
    Ok(model)
}

/// Whether the mask of a call's input is made of what the description says.
fn is_passed<F: Scalar>(graph: &Graph<F>, mask: &Mask) -> bool {
    let output = |(entry, output): (EntryId, usize)| graph.entries[entry].outputs.get(output).copied();
    let Some((of, with, any)) = mask.made else {
        return output(mask.input).is_none_or(|slot| graph.slots[slot].mask.is_none());
    };
    let passed = || {
        let maker = graph.node_of(graph.slots[output(mask.input)?].mask?);
        let layer = graph.layer(maker)?;
        let value = match (layer.description.class.as_str(), any) {
            ("Embedding", false) => Some(0.0),
            ("Masking", true) => layer.description.config.as_ref()?.get("mask_value")?.as_f64(),
            _ => None,
        };
        Some(value == Some(with) && maker.inputs.first()?.slot == output(of)?)
    };
    passed().unwrap_or(false)
}
