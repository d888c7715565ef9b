//! Building: a recipe becomes a network. Every layer is asked for shapes and parameters, in running order.

use std::collections::HashMap;
use std::sync::Arc;

use super::distributed::within_each_step;
use super::graph::{Graph, InputEntry, LayerEntry, Node};
use super::infer::{Probed, build_layer, mask_len, name_layer, probe};
use super::network::Network;
use super::operation::Operation;
use super::recipe::{AnyLayer, Entry, LayerKind, Recipe};
use super::shapes::{KnownShapes, Shapes};
use crate::kernels::aligned::Aligned;
use crate::layers::{InputSlot, MaskRule, ParamBuilder};
use crate::parallel::Threads;
use crate::tensor::{Shape, checked_volume};
use crate::{Error, Result, Scalar, random};

impl<F: Scalar> Network<F> {
    /// The network that a recipe describes, with parameters initialised from its seed.
    pub(crate) fn from_recipe(recipe: &Recipe<F>) -> Result<Self> {
        let open = |entry: &Entry<F>| matches!(entry, Entry::Input { shape, .. } if shape.is_open());
        let (graph, params) = if recipe.entries.iter().any(open) {
            let Probed { size, axes } = probe(|size| Ok(build(recipe, size, true)?.0))?;
            let (mut graph, params) = build(recipe, size, false)?;
            (graph.axes, graph.known) = (axes, Arc::default());
            (graph, params)
        } else {
            build(recipe, 0, false)?
        };
        let trains = graph.layers.iter().map(|layer| layer.description.trainable).collect();
        Ok(Self {
            graph: Arc::new(graph),
            seed: recipe.seed,
            params: Aligned::from(params.as_slice()),
            trains,
            threads: Threads::default(),
            exchange: None,
        })
    }
}

/// Builds every layer in order, with parameters initialised from the recipe's seed, or `dry`, without values. Open axes of
/// inputs have the size `size`.
fn build<F: Scalar>(recipe: &Recipe<F>, size: usize, dry: bool) -> Result<(Graph<F>, Vec<F>)> {
    let mut builder = Builder::new(recipe, size, dry);
    // Inputs first: their numbers are then those of the tensors that the caller feeds in.
    for (number, entry) in recipe.entries.iter().enumerate() {
        if let Entry::Input { name, shape, batch } = entry {
            builder.add_input(number, name.as_deref(), shape, *batch)?;
        }
    }
    if builder.graph.inputs.is_empty() {
        return Err(builder.problem("it has no input; give the shape of one sample with `input`"));
    }
    for (number, entry) in recipe.entries.iter().enumerate() {
        if let Entry::Call { layer, inputs } = entry {
            let inputs = builder.resolve(inputs)?;
            let outputs = match &layer.kind {
                LayerKind::Operation(operation) => builder.call(layer, operation, &inputs)?,
                LayerKind::Model(inner) => builder.inline(layer, &inner.network, &inputs, None)?,
                LayerKind::EachStep { model, axes, trainable } => {
                    let each = EachStep { axes: *axes, trainable: *trainable };
                    builder.inline(layer, &model.network, &inputs, Some(&each))?
                }
            };
            builder.results[number] = outputs;
            builder.graph.entry_names[number] = builder.name_of(layer);
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
    inputs: &[usize],
    slot: usize,
    steps: Option<&usize>,
) -> Option<usize> {
    let masks = || inputs.iter().map(|&input| graph.masks[input]);
    let made = match rule {
        MaskRule::Stop => return None,
        MaskRule::Pass => return masks().next().flatten(),
        MaskRule::Make => true,
        MaskRule::MakeOfAll => masks().all(|mask| mask.is_some()),
        MaskRule::MakeOfAny => masks().any(|mask| mask.is_some()),
    };
    // What all inputs have from one and the same layer needs not be made again.
    let first = inputs.first().and_then(|&input| graph.masks[input]);
    let same_steps = || inputs.iter().all(|&input| graph.shapes[input].first() == steps);
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
struct Builder<'a, F: Scalar> {
    graph: Graph<F>,
    params: Vec<F>,
    seed: u64,
    /// For each entry of the recipe, the numbers of its outputs.
    results: Vec<Vec<usize>>,
    /// Layers that have been built, with the handle by which a second call is known.
    built: Vec<(&'a AnyLayer<F>, Built)>,
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

/// What a handle has become: one layer, or all the layers of a model within the model.
enum Built {
    Layer(usize),
    Model { first_layer: usize, prefix: String },
}

impl<'a, F: Scalar> Builder<'a, F> {
    fn new(recipe: &'a Recipe<F>, open_size: usize, dry: bool) -> Self {
        let graph = Graph {
            name: recipe.name.clone(),
            nodes: Vec::new(),
            layers: Vec::new(),
            specs: Vec::new(),
            shapes: Vec::new(),
            axes: Vec::new(),
            known: Arc::default(),
            memory: Vec::new(),
            memory_inference: Vec::new(),
            masks: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            output_names: Vec::new(),
            entry_names: vec![String::new(); recipe.entries.len()],
        };
        Self {
            graph,
            params: Vec::new(),
            seed: recipe.seed,
            results: vec![Vec::new(); recipe.entries.len()],
            built: Vec::new(),
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
        let mut number = 0;
        loop {
            let name = if number == 0 { base.clone() } else { format!("{base}_{number}") };
            if !self.names.contains_key(&name) {
                self.names.insert(name.clone(), 1);
                return Ok(name);
            }
            number += 1;
        }
    }

    fn add_input(&mut self, entry: usize, name: Option<&str>, shape: &Shape, batch: Option<usize>) -> Result<()> {
        let name = self.unique_name(name, "Input")?;
        let sizes = shape.at(self.open_size);
        if sizes.contains(&0) {
            return Err(Error::shape("an input without empty axes", &sizes).within(format!("input `{name}`")));
        }
        checked_volume(&sizes).map_err(|error| error.within(format!("input `{name}`")))?;
        self.graph.entry_names[entry].clone_from(&name);
        if batch == Some(0) {
            return Err(Error::option("batch_size", "at least 1", 0).within(format!("input `{name}`")));
        }
        let others = self.graph.inputs.iter().find_map(|input| input.batch);
        if let (Some(own), Some(other)) = (batch, others)
            && own != other
        {
            return Err(self.problem(format!("two inputs have fixed batches of {other} and {own} rows")));
        }
        self.graph.inputs.push(InputEntry { name, shape: shape.clone(), batch });
        let outputs = self.add_node(None, &[], &[sizes]);
        self.results[entry] = outputs;
        Ok(())
    }

    /// The numbers of the outputs that a call takes.
    fn resolve(&mut self, inputs: &[(usize, usize)]) -> Result<Vec<usize>> {
        inputs
            .iter()
            .map(|&(entry, output)| {
                let of_entry = self.results.get(entry).filter(|outputs| !outputs.is_empty()).ok_or_else(|| {
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

    fn add_node(&mut self, layer: Option<usize>, inputs: &[usize], shapes: &[Vec<usize>]) -> Vec<usize> {
        let graph = &mut self.graph;
        let first = graph.shapes.len();
        let outputs: Vec<usize> = (first..first + shapes.len()).collect();
        let (mut reshapes, mut passed_over, mut name, mut time) = (false, false, String::from("input"), 0);
        if let Some(layer) = layer {
            let entry = &graph.layers[layer];
            reshapes = entry.facts.is_reshape;
            passed_over = reshapes || entry.facts.only_in_training;
            name.clone_from(&entry.name);
            time = entry.operation.leading_axes();
        }
        for (number, (&slot, shape)) in outputs.iter().zip(shapes).enumerate() {
            let rule = layer.map_or(MaskRule::Stop, |layer| {
                let facts = &graph.layers[layer].facts;
                if number <= facts.more_masked { facts.mask } else { MaskRule::Stop }
            });
            graph.shapes.push(shape.clone());
            graph.memory.push(if reshapes { graph.memory[inputs[0]] } else { slot });
            graph.memory_inference.push(if passed_over { graph.memory_inference[inputs[0]] } else { slot });
            let mask = mask_owner(graph, rule, inputs, slot, shape.get(time));
            graph.masks.push(mask);
            self.used.push(false);
        }
        let slot = |&slot: &usize| InputSlot { slot, adds: false, wanted: false, mask: graph.masks[slot] };
        let inputs = inputs.iter().map(slot).collect();
        // Two calls of a shared layer draw different random numbers.
        let key = random::hash(&format!("{name}#{}", graph.nodes.len()));
        graph.nodes.push(Node { layer, inputs, outputs: first..first + shapes.len(), key });
        outputs
    }

    /// Adds a call of a layer, building it on the first.
    fn call(
        &mut self,
        layer: &'a AnyLayer<F>,
        operation: &Arc<dyn Operation<F>>,
        inputs: &[usize],
    ) -> Result<Vec<usize>> {
        let known = self.built.iter().find_map(|(handle, built)| match built {
            Built::Layer(number) if handle.is(layer) => Some(*number),
            _ => None,
        });
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|&slot| self.graph.shapes[slot].clone()).collect();
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let after = match inputs {
            [input] => self.graph.layer_before(*input),
            _ => None,
        };
        let (number, outputs) = if let Some(number) = known {
            let outputs = self.build_again(number, operation, &shapes);
            (number, outputs.map_err(|error| name_layer(&self.graph.layers[number], after, error))?)
        } else {
            let description = operation.describe();
            let name = self.unique_name(layer.name.as_deref(), &description.class)?;
            let first = self.graph.specs.len();
            let mut entry = LayerEntry {
                operation: operation.clone(),
                name: name.clone(),
                description,
                facts: operation.facts(),
                specs: first..first,
                output: Vec::new(),
            };
            let batch = self.graph.batch();
            let mut params =
                ParamBuilder::new(&mut self.graph.specs, &mut self.params, self.seed, &name).with_batch(batch);
            params = if self.dry { params.without_values() } else { params };
            entry.output =
                build_layer(operation, &shapes, &mut params).map_err(|error| name_layer(&entry, after, error))?;
            entry.specs.end = self.graph.specs.len();
            let outputs = entry.output.clone();
            self.graph.layers.push(entry);
            self.built.push((layer, Built::Layer(self.graph.layers.len() - 1)));
            (self.graph.layers.len() - 1, outputs)
        };
        Ok(self.add_node(Some(number), inputs, &outputs))
    }

    /// The shapes of a further call of a shared layer, whose parameters must fit.
    fn build_again(
        &self,
        number: usize,
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

    /// What a handle that has been built is called.
    fn name_of(&self, handle: &AnyLayer<F>) -> String {
        let built = self.built.iter().find(|(known, _)| known.is(handle)).map(|(_, built)| built);
        match built.expect("built before it is named") {
            Built::Layer(number) => self.graph.layers[*number].name.clone(),
            Built::Model { prefix, .. } => prefix.clone(),
        }
    }

    /// Adds all nodes of a model that is called like a layer, or on every timestep; its layers and weights are copied on
    /// the first call.
    fn inline(
        &mut self,
        layer: &'a AnyLayer<F>,
        network: &Network<F>,
        inputs: &[usize],
        each: Option<&EachStep>,
    ) -> Result<Vec<usize>> {
        let inner: &Graph<F> = &network.graph;
        if inputs.len() != inner.inputs.len() {
            let (expected, received) = (format!("{} tensors", inner.inputs.len()), format!("{} tensors", inputs.len()));
            return Err(Error::option("inputs", expected, received).within(format!("model `{}`", inner.name)));
        }
        // Several timesteps are the first axes of all inputs and outputs.
        let axes = each.map_or(0, |each| each.axes);
        let steps: Vec<usize> = self.graph.shapes[inputs[0]].iter().take(axes).copied().collect();
        for (input, &slot) in inner.inputs.iter().zip(inputs) {
            let given = &self.graph.shapes[slot];
            if steps.len() < axes || !given.starts_with(&steps) || !input.shape.fits(&given[axes..]) {
                let of_steps = if steps.len() < axes { "timesteps of " } else { "" };
                let steps = steps.iter().copied().map(Some);
                let expected = Shape::new(steps.chain(input.shape.axes().iter().copied()));
                let expected = format!("an input {of_steps}{expected}");
                return Err(Error::shape(expected, given).within(format!("model `{}`", inner.name)));
            }
        }
        let inside = inner.shapes_for(inputs.iter().map(|&slot| &self.graph.shapes[slot][axes..]));
        let inside = inside.map_err(|error| error.within(format!("model `{}`", inner.name)))?;
        if axes > 0 {
            refuse_state(inner)?;
        }
        let known = self.built.iter().find_map(|(handle, built)| match built {
            Built::Model { first_layer, .. } if handle.is(layer) => Some(*first_layer),
            _ => None,
        });
        let first_layer = match known {
            Some(first_layer) => first_layer,
            None => self.copy_layers(layer, network, each, &steps)?,
        };
        // A mask of the timesteps is none of what stands in one: it passes the model by.
        let outer: Vec<Option<usize>> = inputs.iter().map(|&slot| self.graph.masks[slot]).collect();
        if axes > 0 {
            for &slot in inputs {
                self.graph.masks[slot] = None;
            }
        }
        let first_slot = self.graph.shapes.len();
        let mut slots: Vec<usize> = inputs.to_vec();
        for node in inner.nodes.iter().skip(inner.inputs.len()) {
            let inputs: Vec<usize> = node.inputs.iter().map(|input| slots[input.slot]).collect();
            for &slot in &inputs {
                self.used[slot] = true;
            }
            let shapes = inside.of[node.outputs.clone()].iter();
            let shapes: Vec<Vec<usize>> = shapes.map(|shape| [&steps[..], shape].concat()).collect();
            let number = node.layer.map(|layer| first_layer + layer);
            slots.extend(self.add_node(number, &inputs, &shapes));
        }
        let outputs: Vec<usize> = inner.outputs.iter().map(|&slot| slots[slot]).collect();
        if axes > 0 {
            for (&slot, &mask) in inputs.iter().zip(&outer) {
                self.graph.masks[slot] = mask;
            }
            for (number, &slot) in outputs.iter().enumerate().filter(|(_, slot)| **slot >= first_slot) {
                self.graph.masks[slot] = outer[0].filter(|_| number == 0);
            }
        }
        Ok(outputs)
    }

    fn copy_layers(
        &mut self,
        layer: &'a AnyLayer<F>,
        network: &Network<F>,
        each: Option<&EachStep>,
        steps: &[usize],
    ) -> Result<usize> {
        let inner = &network.graph;
        let own = if each.is_some() { "time_distributed" } else { &inner.name };
        let given = layer.name.as_deref().unwrap_or(own);
        // A model's own name may repeat (two encoders of one kind); a name given to the call may not.
        let prefix = match layer.name {
            Some(_) => self.unique_name(Some(given), given)?,
            None => self.unique_name(None, given)?,
        };
        let (first_layer, first_spec, first_value) =
            (self.graph.layers.len(), self.graph.specs.len(), self.params.len());
        for entry in &inner.layers {
            let mut entry = entry.clone();
            entry.name = format!("{prefix}/{}", entry.name);
            if let Some(each) = each {
                for _ in 0..each.axes {
                    entry.operation = within_each_step(entry.operation);
                }
                entry.facts = entry.operation.facts();
                entry.description.trainable &= each.trainable;
                entry.output.iter_mut().for_each(|shape| *shape = [steps, shape].concat());
            }
            entry.specs = entry.specs.start + first_spec..entry.specs.end + first_spec;
            self.graph.layers.push(entry);
        }
        self.graph.specs.extend(inner.specs.iter().cloned().map(|mut spec| {
            spec.range = spec.range.start + first_value..spec.range.end + first_value;
            spec
        }));
        if !self.dry {
            self.params.extend_from_slice(&network.params);
        }
        self.built.push((layer, Built::Model { first_layer, prefix }));
        Ok(first_layer)
    }

    fn finish(mut self, recipe: &Recipe<F>) -> Result<(Graph<F>, Vec<F>)> {
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
        self.graph.axes = self.graph.shapes.iter().cloned().map(Shape::from).collect();
        let graph = &self.graph;
        let mask_len = |node: &Node, slot: usize| match graph.layer(node) {
            Some(layer) if graph.masks[slot] == Some(slot) => mask_len(&*layer.operation, &graph.shapes[slot]),
            _ => 0,
        };
        let mask_lens = graph.nodes.iter().flat_map(|node| node.outputs.clone().map(move |slot| mask_len(node, slot)));
        let shapes = Shapes { of: graph.shapes.clone(), mask_lens: mask_lens.collect() };
        self.graph.known = Arc::new(KnownShapes::fixed(shapes));
        Ok((self.graph, self.params))
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
