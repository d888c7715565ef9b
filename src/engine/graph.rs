//! The graph of a model: its nodes in the order in which they run, its layers, its parameters.
//!
//! Names are resolved to numbers once, when it is built, so that running it needs no look-ups.

use std::ops::Range;
use std::sync::Arc;

use super::operation::Operation;
use super::shapes::KnownShapes;
use crate::layers::{Description, Facts, InputSlot, ParamSpec};
use crate::tensor::Shape;
use crate::{Error, Result, Scalar};

/// A layer of a graph.
#[derive(Clone)]
pub(crate) struct LayerEntry<F: Scalar> {
    pub operation: Arc<dyn Operation<F>>,
    /// Its path within the model, such as `discriminator/dense_1`.
    pub name: String,
    pub description: Description,
    pub facts: Facts,
    /// Which of the graph's parameters it has.
    pub specs: Range<usize>,
    /// The earlier layer whose parameters these are, if it shares them.
    pub shares: Option<usize>,
    /// The shape of its (first) output, for the summary.
    pub output: Vec<Vec<usize>>,
}

/// One call of a layer, or an input of the model (which has no layer).
#[derive(Clone)]
pub(crate) struct Node {
    pub layer: Option<usize>,
    pub inputs: Vec<InputSlot>,
    /// Its outputs' numbers, counted over the graph.
    pub outputs: Range<usize>,
    /// A number of its own, for random numbers.
    pub key: u64,
}

/// A model's nodes, layers and parameters, ready to run.
#[derive(Clone)]
pub(crate) struct Graph<F: Scalar> {
    pub name: String,
    /// In running order; the first are the inputs.
    pub nodes: Vec<Node>,
    pub layers: Vec<LayerEntry<F>>,
    pub specs: Vec<ParamSpec>,
    /// Each output's shape without the batch axis, as it was built: open axes have a probing size.
    pub(super) shapes: Vec<Vec<usize>>,
    /// The same with its open axes.
    pub axes: Vec<Shape>,
    /// What runs goes by these.
    pub(super) known: Arc<KnownShapes>,
    /// In whose memory an output's values lie, in training.
    pub memory: Vec<usize>,
    /// The same outside training, where layers such as dropout are passed over too.
    pub memory_inference: Vec<usize>,
    /// For each output, the output that its mask belongs to.
    pub masks: Vec<Option<usize>>,
    pub inputs: Vec<InputEntry>,
    /// The numbers of the model's outputs.
    pub outputs: Vec<usize>,
    /// The names of the layers that the outputs come from.
    pub output_names: Vec<String>,
    /// What each entry of the recipe is called here.
    pub entry_names: Vec<String>,
    /// The layers that each entry calls: one, or those of a model; none of an input.
    pub entry_layers: Vec<Range<usize>>,
    /// The numbers of each entry's outputs.
    pub entry_outputs: Vec<Vec<usize>>,
}

/// An input of a model.
#[derive(Clone, Debug)]
pub(crate) struct InputEntry {
    pub name: String,
    pub shape: Shape,
    /// How many rows every batch has, where that is fixed.
    pub batch: Option<usize>,
}

impl<F: Scalar> Graph<F> {
    /// How many rows every batch has, if an input says so.
    pub fn batch(&self) -> Option<usize> {
        self.inputs.iter().find_map(|input| input.batch)
    }

    /// Whether a layer's state goes from batch to batch outside training too.
    pub fn carries_state(&self) -> bool {
        self.layers.iter().any(|layer| layer.operation.carries_state())
    }

    /// The states that go from batch to batch, with their paths.
    pub fn states(&self) -> impl Iterator<Item = (String, &ParamSpec)> {
        let stateful = (0..self.layers.len()).filter(|&layer| self.layers[layer].operation.carries_state());
        let states = stateful.flat_map(move |layer| self.own_specs(layer).iter().map(move |spec| (layer, spec)));
        states.filter(|(_, spec)| !spec.learned).map(move |(layer, spec)| (self.param_path(layer, spec), spec))
    }

    /// The layer a node calls. Inputs call none.
    pub fn layer(&self, node: &Node) -> Option<&LayerEntry<F>> {
        node.layer.map(|layer| &self.layers[layer])
    }

    /// The node that makes an output.
    pub fn node_of(&self, slot: usize) -> &Node {
        &self.nodes[self.nodes.partition_point(|node| node.outputs.end <= slot)]
    }

    /// The layer called `name`.
    pub fn find_layer(&self, name: &str) -> Result<usize> {
        self.layers
            .iter()
            .position(|layer| layer.name == name)
            .ok_or_else(|| Error::unknown("layer", name, self.layers.iter().map(|layer| layer.name.clone())))
    }

    /// The parameters of a layer.
    pub fn layer_specs(&self, layer: usize) -> &[ParamSpec] {
        &self.specs[self.layers[layer].specs.clone()]
    }

    /// The layer that has a layer's parameters first: itself, or the one that it shares them with.
    pub fn owner(&self, layer: usize) -> usize {
        self.layers[layer].shares.unwrap_or(layer)
    }

    /// The parameters that a layer has first, and shares with nobody before it. Over all layers, each parameter once.
    pub fn own_specs(&self, layer: usize) -> &[ParamSpec] {
        if self.layers[layer].shares.is_some() { &[] } else { self.layer_specs(layer) }
    }

    /// A parameter's path: `dense_1/kernel`.
    pub fn param_path(&self, layer: usize, spec: &ParamSpec) -> String {
        format!("{}/{}", self.layers[layer].name, spec.name)
    }

    /// Every parameter with its path, in order.
    pub fn param_paths(&self) -> impl Iterator<Item = (String, &ParamSpec)> {
        (0..self.layers.len())
            .flat_map(move |layer| self.own_specs(layer).iter().map(move |spec| (self.param_path(layer, spec), spec)))
    }
}
