//! Building: a recipe becomes a network. Every layer is asked for shapes and parameters, in running order.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::build_layer::{build_layer, name_layer};
use super::graph::{BuiltEntry, Graph, InputEntry, LayerEntry, Node, Slot};
use super::identity::Identity;
use super::infer::{Probed, mask_len, probe};
use super::network::Network;
use super::operation::Operation;
use super::recipe::{AnyLayer, Entry, LayerKind, Recipe};
use super::shapes::{KnownShapes, Shapes};
use super::time_distributed::within_each_step;
use crate::ids::{EntryId, Id, LayerId, SlotId, each, numbered, numbers};
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch;
use crate::layers::{Folded, InputSlot, MaskRule, ParamBuilder, ParamSpec};
use crate::parallel::Threads;
use crate::tensor::{Shape, checked_volume};
use crate::{Error, Result, Scalar, parallel, random};

impl<F: Scalar> Network<F> {
    /// The network that a recipe describes, with parameters initialised from its seed.
    pub(crate) fn from_recipe(recipe: &Recipe<F>) -> Result<Self> {
        Self::from_recipe_as(recipe, &[])
    }

    /// The same with what tells the layers of each entry from others; of entries beyond `identities` their handles do.
    pub(crate) fn from_recipe_as(recipe: &Recipe<F>, identities: &[Vec<Identity>]) -> Result<Self> {
        Self::make(recipe, identities, false)
    }

    /// The network that a recipe describes, whose parameters have places but no values yet: `params` is empty.
    pub(crate) fn without_values(recipe: &Recipe<F>) -> Result<Self> {
        Self::make(recipe, &[], true)
    }

    fn make(recipe: &Recipe<F>, identities: &[Vec<Identity>], dry: bool) -> Result<Self> {
        parallel::check_variable()?;
        dispatch::check_variable()?;
        let open = |entry: &Entry<F>| matches!(entry, Entry::Input { shape, .. } if shape.is_open());
        let builder = if recipe.entries.iter().any(open) {
            let Probed { size, axes } = probe(|size| Ok(build(recipe, identities, size, true)?.graph))?;
            let mut builder = build(recipe, identities, size, dry)?;
            for (slot, shape) in builder.graph.slots.iter_mut().zip(axes) {
                slot.shape = shape;
            }
            builder.graph.known = Arc::default();
            builder
        } else {
            build(recipe, identities, 0, dry)?
        };
        let Builder { graph, params, identities, .. } = builder;
        let trains = graph.layer_ids().map(|layer| graph.layers[graph.owner(layer)].description.trainable);
        Ok(Self {
            trains: trains.collect(),
            identities,
            graph: Arc::new(graph),
            seed: recipe.seed,
            params: Aligned::from(params.as_slice()),
            threads: Threads::default(),
            exchange: None,
        })
    }
}

/// Builds every layer in order, with parameters initialised from the recipe's seed, or `dry`, without values. Open axes of
/// inputs have the size `size`.
fn build<F: Scalar>(recipe: &Recipe<F>, identities: &[Vec<Identity>], size: usize, dry: bool) -> Result<Builder<F>> {
    let mut builder = Builder::new(recipe, size, dry);
    // Inputs first: their numbers are then those of the tensors that the caller feeds in.
    for (number, entry) in numbered(&recipe.entries) {
        if let Entry::Input { name, shape, batch } = entry {
            builder.add_input(number, name.as_deref(), shape, *batch)?;
        }
    }
    if builder.graph.inputs.is_empty() {
        return Err(builder.problem("it has no input; give the shape of one sample with `input`"));
    }
    for (number, entry) in numbered::<EntryId, _>(&recipe.entries) {
        if let Entry::Call { layer, inputs } = entry {
            let inputs = builder.resolve(inputs)?;
            let identities = identities.get(number.number()).map(Vec::as_slice);
            let handle = Handle(layer.key(), identities.and_then(|identities| identities.first().copied()));
            let known = builder.built.get(&handle).cloned();
            let (built, outputs) = match &layer.kind {
                LayerKind::Operation(operation) => builder.call(layer, operation, &inputs, known, identities)?,
                LayerKind::Model(inner) => builder.inline(layer, &inner.network, &inputs, None, known, identities)?,
                LayerKind::EachStep { model, axes, trainable } => {
                    let each = EachStep { axes: *axes, trainable: *trainable };
                    builder.inline(layer, &model.network, &inputs, Some(&each), known, identities)?
                }
            };
            let entry = BuiltEntry { name: built.name.clone(), layers: built.layers.clone(), outputs };
            builder.graph.entries[number] = entry;
            builder.built.insert(handle, built);
        }
    }
    builder.finish(recipe)
}

/// `Conv2DTranspose` → `conv2d_transpose`: a word starts at a capital beside a small letter, as in Keras.
pub(crate) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let small = |i: Option<usize>| i.and_then(|i| letters.get(i)).is_some_and(|letter| letter.is_lowercase());
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        if i > 0 && letter.is_uppercase() && (small(Some(i + 1)) || small(i.checked_sub(1))) {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The output that the mask beside output `slot` belongs to: itself, if its layer makes the mask.
fn mask_owner<F: Scalar>(
    graph: &Graph<F>,
    rule: MaskRule,
    inputs: &[SlotId],
    slot: SlotId,
    steps: Option<&usize>,
) -> Option<SlotId> {
    let masks = || inputs.iter().map(|&input| graph.slots[input].mask);
    let made = match rule {
        MaskRule::Stop => return None,
        MaskRule::Pass => return masks().next().flatten(),
        MaskRule::Make => true,
        MaskRule::MakeOfAll => masks().all(|mask| mask.is_some()),
        MaskRule::MakeOfAny => masks().any(|mask| mask.is_some()),
    };
    // What all inputs have from one and the same layer needs not be made again.
    let first = inputs.first().and_then(|&input| graph.slots[input].mask);
    let same_steps = || inputs.iter().all(|&input| graph.slots[input].built.first() == steps);
    match (rule, first) {
        (MaskRule::MakeOfAll | MaskRule::MakeOfAny, Some(owner))
            if masks().all(|mask| mask == Some(owner)) && same_steps() =>
        {
            Some(owner)
        }
        _ => made.then_some(slot),
    }
}

/// The state of [`build`].
struct Builder<F: Scalar> {
    graph: Graph<F>,
    params: Vec<F>,
    /// By what each layer's parameters are known.
    identities: Vec<Identity>,
    /// The first layer that has the parameters of this identity.
    owners: HashMap<Identity, LayerId>,
    /// For each layer, whether its parameters have been made here, and are not those of a model.
    is_new: Vec<bool>,
    seed: u64,
    /// What has been built, by the handle by which a second call is known.
    built: HashMap<Handle, Built>,
    /// The names in use, each with the first number that may be free behind it.
    names: HashMap<String, usize>,
    used: Vec<bool>,
    /// The size of open axes.
    open_size: usize,
    /// Whether only the shapes are asked for.
    dry: bool,
}

/// How a model is called on every timestep.
struct EachStep {
    /// How many axes of a sample are timesteps.
    axes: usize,
    trainable: bool,
}

/// Refuses a model on every timestep whose layers have state between samples.
fn refuse_state<F: Scalar>(inner: &Graph<F>) -> Result<()> {
    for node in &inner.nodes {
        let Some(layer) = inner.layer(node) else { continue };
        if layer.operation.carries_state() || layer.operation.coupled().is_some() {
            let expected = "a model whose layers have no state between samples";
            let received = format!("`{}` ({})", layer.name, layer.description.class);
            return Err(Error::option("layer", expected, received).within("TimeDistributed"));
        }
    }
    Ok(())
}

/// What is called: a handle, which may stand for several layers where identities are given.
#[derive(PartialEq, Eq, Hash)]
struct Handle((usize, usize, bool), Option<Identity>);

/// What a handle has become: one layer, or all the layers of a model within the model.
#[derive(Clone)]
struct Built {
    name: String,
    layers: Range<LayerId>,
}

impl<F: Scalar> Builder<F> {
    fn new(recipe: &Recipe<F>, open_size: usize, dry: bool) -> Self {
        let unbuilt = BuiltEntry { name: String::new(), layers: LayerId::new(0)..LayerId::new(0), outputs: Vec::new() };
        let graph = Graph {
            name: recipe.name.clone(),
            nodes: Vec::new(),
            layers: Vec::new(),
            specs: Vec::new(),
            slots: Vec::new(),
            known: Arc::default(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            output_names: Vec::new(),
            entries: vec![unbuilt; recipe.entries.len()],
        };
        Self {
            graph,
            params: Vec::new(),
            identities: Vec::new(),
            owners: HashMap::new(),
            is_new: Vec::new(),
            seed: recipe.seed,
            built: HashMap::new(),
            names: HashMap::new(),
            used: Vec::new(),
            open_size,
            dry,
        }
    }

    fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Graph { model: self.graph.name.clone(), problem: problem.into() }
    }

    /// A name that nothing in the graph has: the given one, which must be free, or the class's, numbered.
    fn unique_name(&mut self, given: Option<&str>, class: &str) -> Result<String> {
        if let Some(given) = given {
            if given.is_empty() || given.contains('/') {
                return Err(Error::option("name", "a word without `/`", format!("`{given}`")));
            }
            return match self.names.insert(given.into(), 1) {
                None => Ok(given.into()),
                Some(_) => Err(self.problem(format!("two layers are called `{given}`; names must differ"))),
            };
        }
        let base = snake_case(class);
        let mut number = self.names.get(&base).copied().unwrap_or(0);
        loop {
            let name = if number == 0 { base.clone() } else { format!("{base}_{number}") };
            number += 1;
            if !self.names.contains_key(&name) {
                self.names.insert(name.clone(), 1);
                self.names.insert(base, number);
                return Ok(name);
            }
        }
    }

    fn add_input(&mut self, entry: EntryId, name: Option<&str>, shape: &Shape, batch: Option<usize>) -> Result<()> {
        let name = self.unique_name(name, "Input")?;
        let sizes = shape.at(self.open_size);
        if sizes.contains(&0) {
            return Err(Error::shape("an input without empty axes", &sizes).within(format!("input `{name}`")));
        }
        checked_volume(&sizes).map_err(|error| error.within(format!("input `{name}`")))?;
        if batch == Some(0) {
            return Err(Error::option("batch_size", "at least 1", 0).within(format!("input `{name}`")));
        }
        let others = self.graph.inputs.iter().find_map(|input| input.batch);
        if let (Some(own), Some(other)) = (batch, others)
            && own != other
        {
            return Err(self.problem(format!("two inputs have fixed batches of {other} and {own} rows")));
        }
        self.graph.entries[entry].name.clone_from(&name);
        self.graph.inputs.push(InputEntry { name, shape: shape.clone(), batch });
        self.graph.entries[entry].outputs = self.add_node(None, &[], &[sizes]);
        Ok(())
    }

    /// The numbers of the outputs that a call takes.
    fn resolve(&mut self, inputs: &[(EntryId, usize)]) -> Result<Vec<SlotId>> {
        inputs
            .iter()
            .map(|&(entry, output)| {
                let of_entry = self.graph.entries.get(entry.number()).map(|entry| &entry.outputs);
                let of_entry = of_entry.filter(|outputs| !outputs.is_empty()).ok_or_else(|| {
                    self.problem("a layer takes the output of one that runs after it: the graph has a cycle")
                })?;
                let slot = *of_entry.get(output).ok_or_else(|| {
                    self.problem(format!("output {output} was asked of a layer that has {}", of_entry.len()))
                })?;
                self.used[slot] = true;
                Ok(slot)
            })
            .collect()
    }

    fn add_node(&mut self, layer: Option<LayerId>, inputs: &[SlotId], shapes: &[Vec<usize>]) -> Vec<SlotId> {
        let graph = &mut self.graph;
        let start = graph.slots.len();
        let outputs = SlotId::new(start)..SlotId::new(start + shapes.len());
        let (mut reshapes, mut passed_over, mut name, mut time) = (false, false, String::from("input"), 0);
        if let Some(layer) = layer {
            let entry = &graph.layers[layer];
            reshapes = entry.facts.is_reshape;
            passed_over = reshapes || entry.facts.only_in_training;
            name.clone_from(&entry.name);
            time = entry.operation.leading_axes();
        }
        for (number, (slot, shape)) in each(&outputs).zip(shapes).enumerate() {
            let rule = layer.map_or(MaskRule::Stop, |layer| {
                let facts = &graph.layers[layer].facts;
                if number <= facts.more_masked { facts.mask } else { MaskRule::Stop }
            });
            graph.slots.push(Slot {
                built: shape.clone(),
                shape: Shape::from(shape.clone()),
                memory: if reshapes { graph.slots[inputs[0]].memory } else { slot },
                memory_inference: if passed_over { graph.slots[inputs[0]].memory_inference } else { slot },
                mask: mask_owner(graph, rule, inputs, slot, shape.get(time)),
            });
            self.used.push(false);
        }
        let slot = |&slot: &SlotId| InputSlot { slot, adds: false, wanted: false, mask: graph.slots[slot].mask };
        let inputs = inputs.iter().map(slot).collect();
        // Two calls of a shared layer draw different random numbers.
        let key = random::hash(&format!("{name}#{}", graph.nodes.len()));
        let slots = each(&outputs).collect();
        graph.nodes.push(Node { layer, inputs, outputs, key });
        slots
    }

    /// Adds a call of a layer, building it on the first.
    fn call(
        &mut self,
        layer: &AnyLayer<F>,
        operation: &Arc<dyn Operation<F>>,
        inputs: &[SlotId],
        known: Option<Built>,
        identities: Option<&[Identity]>,
    ) -> Result<(Built, Vec<SlotId>)> {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|&slot| self.graph.slots[slot].built.clone()).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let after = match inputs {
            [input] => self.graph.layer_before(*input),
            _ => None,
        };
        if let Some(known) = known {
            let number = known.layers.start;
            let outputs = self.build_again(number, operation, &shapes);
            let outputs = outputs.map_err(|error| name_layer(&self.graph.layers[number], after, error))?;
            return Ok((known, self.add_node(Some(number), inputs, &outputs)));
        }
        let identity = identities.map_or_else(|| Identity::of(operation), |identities| identities[0]);
        let description = operation.describe();
        let name = self.unique_name(layer.name.as_deref(), &description.class)?;
        let first = self.graph.specs.len();
        let mut entry = LayerEntry {
            operation: operation.clone(),
            name: name.clone(),
            description,
            facts: operation.facts(),
            specs: first..first,
            shares: self.owners.get(&identity).copied(),
            folded: Folded::default(),
            output: Vec::new(),
        };
        let outputs = if let Some(owner) = entry.shares {
            entry.specs = self.graph.layers[owner].specs.clone();
            self.build_again(owner, operation, &shapes)
        } else {
            let batch = self.graph.batch();
            let mut params =
                ParamBuilder::new(&mut self.graph.specs, &mut self.params, self.seed, &name).with_batch(batch);
            params = if self.dry { params.without_values() } else { params };
            let outputs = build_layer(operation, &shapes, &mut params);
            entry.specs.end = self.graph.specs.len();
            outputs
        };
        entry.output = outputs.map_err(|error| name_layer(&entry, after, error))?;
        let outputs = entry.output.clone();
        let number = self.add_layer(entry, identity, true);
        Ok((Built { name, layers: number..number.next() }, self.add_node(Some(number), inputs, &outputs)))
    }

    fn add_layer(&mut self, entry: LayerEntry<F>, identity: Identity, is_new: bool) -> LayerId {
        let number = LayerId::new(self.graph.layers.len());
        self.owners.entry(identity).or_insert(number);
        self.identities.push(identity);
        self.is_new.push(is_new);
        self.graph.layers.push(entry);
        number
    }

    /// The shapes of a further call of a shared layer, whose parameters must fit.
    fn build_again(
        &self,
        number: LayerId,
        operation: &Arc<dyn Operation<F>>,
        shapes: &[&[usize]],
    ) -> Result<Vec<Vec<usize>>> {
        let (mut specs, mut values) = (Vec::new(), Vec::new());
        let mut params =
            ParamBuilder::new(&mut specs, &mut values, self.seed, "").without_values().with_batch(self.graph.batch());
        let outputs = build_layer(operation, shapes, &mut params)?;
        let own = self.graph.layer_specs(number);
        match own.iter().zip(&specs).find(|(a, b)| a.shape != b.shape) {
            Some((own, _)) => Err(Error::shape(
                format!("an input that fits the shared `{}` {}", own.name, crate::error::show(&own.shape)),
                shapes[0],
            )),
            None => Ok(outputs),
        }
    }

    /// Adds all nodes of a model that is called like a layer, or on every timestep; its layers and weights are copied on
    /// the first call, but weights that are here already are shared.
    fn inline(
        &mut self,
        layer: &AnyLayer<F>,
        network: &Network<F>,
        inputs: &[SlotId],
        each: Option<&EachStep>,
        known: Option<Built>,
        identities: Option<&[Identity]>,
    ) -> Result<(Built, Vec<SlotId>)> {
        let inner: &Graph<F> = &network.graph;
        if inputs.len() != inner.inputs.len() {
            let (expected, received) = (format!("{} tensors", inner.inputs.len()), format!("{} tensors", inputs.len()));
            return Err(Error::option("inputs", expected, received).within(format!("model `{}`", inner.name)));
        }
        // Several timesteps are the first axes of all inputs and outputs.
        let axes = each.map_or(0, |each| each.axes);
        let steps: Vec<usize> = self.graph.slots[inputs[0]].built.iter().take(axes).copied().collect();
        for (input, &slot) in inner.inputs.iter().zip(inputs) {
            let given = &self.graph.slots[slot].built;
            if steps.len() < axes || !given.starts_with(&steps) || !input.shape.fits(&given[axes..]) {
                let of_steps = if steps.len() < axes { "timesteps of " } else { "" };
                let steps = steps.iter().copied().map(Some);
                let expected = Shape::new(steps.chain(input.shape.axes().iter().copied()));
                let expected = format!("an input {of_steps}{expected}");
                return Err(Error::shape(expected, given).within(format!("model `{}`", inner.name)));
            }
        }
        let inside = inner.shapes_for(inputs.iter().map(|&slot| &self.graph.slots[slot].built[axes..]));
        let inside = inside.map_err(|error| error.within(format!("model `{}`", inner.name)))?;
        if axes > 0 {
            refuse_state(inner)?;
        }
        let built = match known {
            Some(known) => known,
            None => self.copy_layers(layer, network, each, &steps, identities)?,
        };
        let first_layer = built.layers.start.number();
        // A mask of the timesteps is none of what stands in one: it passes the model by.
        let outer: Vec<Option<SlotId>> = inputs.iter().map(|&slot| self.graph.slots[slot].mask).collect();
        if axes > 0 {
            for &slot in inputs {
                self.graph.slots[slot].mask = None;
            }
        }
        let first_slot = SlotId::new(self.graph.slots.len());
        let mut slots: Vec<SlotId> = inputs.to_vec();
        for node in inner.nodes.iter().skip(inner.inputs.len()) {
            let inputs: Vec<SlotId> = node.inputs.iter().map(|input| slots[input.slot]).collect();
            for &slot in &inputs {
                self.used[slot] = true;
            }
            let shapes = inside.of[numbers(&node.outputs)].iter();
            let shapes: Vec<Vec<usize>> = shapes.map(|shape| [&steps[..], shape].concat()).collect();
            let number = node.layer.map(|layer| layer.after(first_layer));
            slots.extend(self.add_node(number, &inputs, &shapes));
        }
        let outputs: Vec<SlotId> = inner.outputs.iter().map(|&slot| slots[slot]).collect();
        if axes > 0 {
            for (&slot, &mask) in inputs.iter().zip(&outer) {
                self.graph.slots[slot].mask = mask;
            }
            for (number, &slot) in outputs.iter().enumerate().filter(|(_, slot)| **slot >= first_slot) {
                self.graph.slots[slot].mask = outer[0].filter(|_| number == 0);
            }
        }
        Ok((built, outputs))
    }

    fn copy_layers(
        &mut self,
        layer: &AnyLayer<F>,
        network: &Network<F>,
        each: Option<&EachStep>,
        steps: &[usize],
        identities: Option<&[Identity]>,
    ) -> Result<Built> {
        let inner = &network.graph;
        let own = if each.is_some() { "time_distributed" } else { &inner.name };
        let given = layer.name.as_deref().unwrap_or(own);
        // A model's own name may repeat (two encoders of one kind); a name given to the call may not.
        let prefix = match layer.name {
            Some(_) => self.unique_name(Some(given), given)?,
            None => self.unique_name(None, given)?,
        };
        let first_layer = self.graph.layers.len();
        for ((number, entry), identity) in numbered::<LayerId, _>(&inner.layers).zip(&network.identities) {
            let identity = identities.map_or(*identity, |identities| identities[number]);
            let mut entry = entry.clone();
            entry.description.trainable = network.trains[number];
            entry.name = format!("{prefix}/{}", entry.name);
            if let Some(each) = each {
                for _ in 0..each.axes {
                    entry.operation = within_each_step(entry.operation);
                }
                entry.facts = entry.operation.facts();
                entry.description.trainable &= each.trainable;
                entry.output.iter_mut().for_each(|shape| *shape = [steps, shape].concat());
            }
            entry.shares = match entry.shares {
                Some(owner) => Some(self.graph.owner(owner.after(first_layer))),
                None => self.owners.get(&identity).copied(),
            };
            entry.specs = match entry.shares {
                Some(owner) => self.take_over(owner, network, number, &entry.name)?,
                None => self.copy_params(network, number),
            };
            self.add_layer(entry, identity, false);
        }
        Ok(Built { name: prefix, layers: LayerId::new(first_layer)..LayerId::new(self.graph.layers.len()) })
    }

    /// Copies the parameters of a network's layer, and returns where they are.
    fn copy_params(&mut self, network: &Network<F>, layer: LayerId) -> Range<usize> {
        let first = self.graph.specs.len();
        for spec in network.graph.layer_specs(layer) {
            let start = self.graph.specs.last().map_or(0, |spec| spec.range.end);
            if !self.dry {
                // Of a network without values they are still to come.
                match network.params.get(spec.range.clone()) {
                    Some(values) => self.params.extend_from_slice(values),
                    None => self.params.resize(start + spec.range.len(), F::zero()),
                }
            }
            self.graph.specs.push(ParamSpec { range: start..start + spec.range.len(), ..spec.clone() });
        }
        first..self.graph.specs.len()
    }

    /// Where the parameters of `owner` are, which a network's layer is to share. New ones take the values of the
    /// network's.
    fn take_over(&mut self, owner: LayerId, network: &Network<F>, layer: LayerId, name: &str) -> Result<Range<usize>> {
        let specs = network.graph.layer_specs(layer);
        for (own, spec) in self.graph.layer_specs(owner).iter().zip(specs) {
            if own.shape != spec.shape {
                let first = &self.graph.layers[owner].name;
                let expected = format!("`{}` {} as of `{first}`", own.name, crate::error::show(&own.shape));
                return Err(Error::shape(expected, &spec.shape).within(format!("shared layer `{name}`")));
            }
            if self.is_new[owner]
                && !self.dry
                && let Some(values) = network.params.get(spec.range.clone())
            {
                self.params[own.range.clone()].copy_from_slice(values);
            }
        }
        self.is_new[owner] = false;
        Ok(self.graph.layers[owner].specs.clone())
    }

    fn finish(mut self, recipe: &Recipe<F>) -> Result<Self> {
        if self.graph.layers.is_empty() {
            return Err(self.problem("it has no layers"));
        }
        self.graph.outputs = self.resolve(&recipe.outputs)?;
        if let Some(unused) =
            self.graph.inputs.iter().zip(&self.used).find_map(|(input, used)| (!used).then_some(input))
        {
            return Err(self.problem(format!("nothing uses the input `{}`", unused.name)));
        }
        self.graph.output_names = self
            .graph
            .outputs
            .iter()
            .map(|&slot| self.graph.layer_before(slot).unwrap_or_else(|| "input".into()))
            .collect();
        let graph = &self.graph;
        let mask_len = |node: &Node, slot: SlotId| match graph.layer(node) {
            Some(layer) if graph.slots[slot].mask == Some(slot) => {
                mask_len(&*layer.operation, &graph.slots[slot].built)
            }
            _ => 0,
        };
        let mask_lens = graph.nodes.iter().flat_map(|node| each(&node.outputs).map(move |slot| mask_len(node, slot)));
        let of = graph.slots.iter().map(|slot| slot.built.clone()).collect();
        let shapes = Shapes { of, mask_lens: mask_lens.collect() };
        self.graph.known = Arc::new(KnownShapes::fixed(shapes));
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn classes_become_names_as_in_keras() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("MaxPool2D", "max_pool2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("LSTM", "lstm"),
            ("GlobalAvgPool2D", "global_avg_pool2d"),
            ("BatchNormalization", "batch_normalization"),
            ("PReLU", "p_re_lu"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
