//! The graph of a model: its nodes in the order in which they run, its layers, its parameters.
//!
//! Names are resolved to numbers once, when it is built, so that running it needs no look-ups.

use std::ops::Range;
use std::sync::Arc;

use super::operation::Operation;
use super::shapes::KnownShapes;
use crate::ids::{Id, LayerId, NodeId, SlotId, first};
use crate::layers::{Description, Facts, Folded, InputSlot, ParamSpec};
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
    pub shares: Option<LayerId>,
    /// What it does for layers that have become part of it.
    pub folded: Folded,
    /// The shape of its (first) output, for the summary.
    pub output: Vec<Vec<usize>>,
}

/// One call of a layer, or an input of the model (which has no layer).
#[derive(Clone)]
pub(crate) struct Node {
    pub layer: Option<LayerId>,
    pub inputs: Vec<InputSlot>,
    pub outputs: Range<SlotId>,
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
    /// The outputs of all nodes.
    pub slots: Vec<Slot>,
    /// What runs goes by these.
    pub(super) known: Arc<KnownShapes>,
    pub inputs: Vec<InputEntry>,
    /// The outputs of the model.
    pub outputs: Vec<SlotId>,
    /// The names of the layers that the outputs come from.
    pub output_names: Vec<String>,
    /// What each entry of the recipe has become.
    pub entries: Vec<BuiltEntry>,
}

/// An output of a node.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// Its shape without the batch axis, as it was built: open axes have a probing size.
    pub(super) built: Vec<usize>,
    /// The same with its open axes.
    pub shape: Shape,
    /// In whose memory its values lie, in training: another's, if it is a reshape of it.
    pub memory: SlotId,
    /// The same outside training, where layers such as dropout are passed over too.
    pub memory_inference: SlotId,
    /// The output that its mask belongs to.
    pub mask: Option<SlotId>,
}

impl Slot {
    /// In whose memory its values lie.
    pub fn memory_in(&self, training: bool) -> SlotId {
        if training { self.memory } else { self.memory_inference }
    }
}

/// What an entry of a recipe has become.
#[derive(Clone, Debug)]
pub(crate) struct BuiltEntry {
    pub name: String,
    /// The layers that it calls: one, or those of a model; none of an input.
    pub layers: Range<LayerId>,
    pub outputs: Vec<SlotId>,
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
        let stateful = self.layer_ids().filter(|&layer| self.layers[layer].operation.carries_state());
        let states = stateful.flat_map(move |layer| self.own_specs(layer).iter().map(move |spec| (layer, spec)));
        states.filter(|(_, spec)| !spec.learned).map(move |(layer, spec)| (self.param_path(layer, spec), spec))
    }

    /// The layer a node calls. Inputs call none.
    pub fn layer(&self, node: &Node) -> Option<&LayerEntry<F>> {
        node.layer.map(|layer| &self.layers[layer])
    }

    /// The numbers of the layers, in order.
    pub fn layer_ids(&self) -> impl DoubleEndedIterator<Item = LayerId> + use<F> {
        first(self.layers.len())
    }

    /// The numbers of the outputs of all nodes, in running order.
    pub fn slot_ids(&self) -> impl DoubleEndedIterator<Item = SlotId> + use<F> {
        first(self.slots.len())
    }

    /// The end of the nodes.
    pub fn end(&self) -> NodeId {
        NodeId::new(self.nodes.len())
    }

    /// The node that makes an output.
    pub fn node_of(&self, slot: SlotId) -> &Node {
        &self.nodes[self.nodes.partition_point(|node| node.outputs.end <= slot)]
    }

    /// The layer called `name`.
    pub fn find_layer(&self, name: &str) -> Result<LayerId> {
        self.layer_ids()
            .find(|&layer| self.layers[layer].name == name)
            .ok_or_else(|| Error::unknown("layer", name, self.layers.iter().map(|layer| layer.name.clone())))
    }

    /// The parameters of a layer.
    pub fn layer_specs(&self, layer: LayerId) -> &[ParamSpec] {
        &self.specs[self.layers[layer].specs.clone()]
    }

    /// The layer that has a layer's parameters first: itself, or the one that it shares them with.
    pub fn owner(&self, layer: LayerId) -> LayerId {
        self.layers[layer].shares.unwrap_or(layer)
    }

    /// The parameters that a layer has first, and shares with nobody before it. Over all layers, each parameter once.
    pub fn own_specs(&self, layer: LayerId) -> &[ParamSpec] {
        if self.layers[layer].shares.is_some() { &[] } else { self.layer_specs(layer) }
    }

    /// A parameter's path: `dense_1/kernel`.
    pub fn param_path(&self, layer: LayerId, spec: &ParamSpec) -> String {
        format!("{}/{}", self.layers[layer].name, spec.name)
    }

    /// Every parameter with its path, in order.
    pub fn param_paths(&self) -> impl Iterator<Item = (String, &ParamSpec)> {
        self.layer_ids()
            .flat_map(move |layer| self.own_specs(layer).iter().map(move |spec| (self.param_path(layer, spec), spec)))
    }
}
