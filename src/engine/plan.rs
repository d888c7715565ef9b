//! Which gradients a backward pass computes, worked out once and walked many times.

use std::sync::Arc;

use super::cut::rows_a_shard;
use super::graph::{Graph, Node};
use super::in_place::Places;
use super::shapes::{MOST_KEPT, Shapes};
use crate::Scalar;
use crate::ids::{LayerId, NodeId, SlotId, each, first, numbered, numbers};
use crate::layers::{Coupling, InputSlot};
use crate::memory::bytes_of;

/// The passes of a graph for one choice of its inputs' shapes, of what is trained and what is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The shapes of all outputs.
    pub shapes: Arc<Shapes>,
    /// In whose memory each output lies.
    pub memory: Vec<SlotId>,
    /// For each node: whether its backward pass runs, and what to do with its inputs' gradients.
    pub nodes: Vec<NodePlan>,
    /// Outputs whose gradient has a memory of its own.
    pub has_grad: Vec<bool>,
    /// Gradients that must be zeros because nothing writes them.
    pub zeros: Vec<SlotId>,
    /// For each output of the model that brings a gradient: whether it adds to one already brought.
    pub output_gradients: Vec<OutputGradient>,
    /// Where the shards of a batch meet, in running order (training only).
    pub seams: Vec<Seam>,
    /// How many rows a shard has at least.
    pub rows_a_shard: usize,
    /// Values and gradients that a row of a batch has memory for, those of inputs left out, and what layers keep.
    row_values: u128,
}

/// What passes are to bring: gradients, and more values than the model's outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Of the parameters of layers that are trained.
    pub parameters: bool,
    /// Of the model's inputs.
    pub inputs: bool,
    /// Whether the values of every layer's output are asked for, not the model's alone.
    pub every_output: bool,
}

impl Wanted {
    /// The parameters' alone: what training needs.
    pub const PARAMETERS: Self = Self { parameters: true, inputs: false, every_output: false };
}

/// What is settled about a node before batches go through it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // answers to questions that have nothing to do with one another
pub(crate) struct NodePlan {
    /// Whether its backward pass runs.
    pub runs: bool,
    /// Whether its layer makes the mask beside its output.
    pub makes_mask: bool,
    /// Whether its layer may refuse values.
    pub checks_values: bool,
    /// The input that its output is written over, if it is.
    pub over: Option<usize>,
    pub inputs: Vec<InputSlot>,
    /// Whether the gradients of the layer's parameters are wanted.
    pub learns: bool,
    /// Whether the layer leaves its activation to the loss.
    pub without_activation: bool,
}

/// Where a gradient enters from outside.
#[derive(Clone, Debug)]
pub(crate) struct OutputGradient {
    /// Which of the model's outputs it is.
    pub output: usize,
    /// The same in the graph.
    pub slot: SlotId,
    /// Whether another model output in the same memory has brought its gradient before.
    pub adds: bool,
}

/// A node where the shards of a batch meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seam {
    pub node: NodeId,
    /// How many sums they exchange there.
    pub sums: Coupling,
}

impl Plan {
    /// The plan for a graph whose outputs all bring gradients, with layers trained as `trains` says. `fused` tells which
    /// outputs' losses take what comes before the last activation.
    pub fn new<F: Scalar>(
        graph: &Graph<F>,
        shapes: Arc<Shapes>,
        training: bool,
        trains: &[bool],
        wanted: Wanted,
        fused: &[bool],
    ) -> Self {
        let reshapes: Vec<SlotId> = graph.slots.iter().map(|slot| slot.memory_in(training)).collect();
        let places = if wanted.every_output { Places::apart } else { Places::of };
        let Places { memory, over } = places(graph, &shapes, &reshapes);
        let count = shapes.of.len();
        let trained = |layer: Option<LayerId>| layer.is_some_and(|layer| trains[layer]);
        // Forwards: a gradient is needed where something upstream is trained or wanted.
        let mut needed = vec![false; count];
        for node in &graph.nodes {
            let here = match node.layer {
                None => wanted.inputs,
                Some(layer) => {
                    let learns = wanted.parameters && trains[layer];
                    learns && graph.layer_specs(layer).iter().any(|spec| spec.learned)
                }
            };
            let upstream = node.inputs.iter().any(|input| needed[input.slot]);
            needed[numbers(&node.outputs)].fill(here || upstream);
        }
        let mut has_grad = vec![false; count];
        for slot in graph.slot_ids() {
            has_grad[memory[slot]] |= needed[slot];
        }
        // Backwards: the first to write a gradient overwrites, later ones add.
        let mut written = vec![false; count];
        let output_gradients = graph
            .outputs
            .iter()
            .enumerate()
            .filter(|&(_, &slot)| needed[slot])
            .map(|(output, &slot)| OutputGradient {
                output,
                slot,
                adds: std::mem::replace(&mut written[memory[slot]], true),
            })
            .collect();
        let mut nodes: Vec<NodePlan> = Vec::with_capacity(graph.nodes.len());
        let mut zeros = Vec::new();
        for (node, over) in graph.nodes.iter().zip(over).rev() {
            let owns_memory = each(&node.outputs).all(|slot| memory[slot] == slot);
            let runs = node.layer.is_some() && (owns_memory || over.is_some()) && needed[node.outputs.start];
            if runs {
                for place in each(&node.outputs).map(|slot| memory[slot]) {
                    if !std::mem::replace(&mut written[place], true) {
                        zeros.push(place);
                    }
                }
            }
            let inputs = node
                .inputs
                .iter()
                .enumerate()
                .map(|(i, input)| {
                    // The gradient of an input that was written over comes to lie where the output's was.
                    let wanted = runs && needed[input.slot] && over != Some(i);
                    let memory = memory[input.slot];
                    let adds = wanted && std::mem::replace(&mut written[memory], true);
                    InputSlot { adds, wanted, ..input.clone() }
                })
                .collect();
            let learns = wanted.parameters && trained(node.layer);
            let without_activation =
                graph.outputs.iter().zip(fused).any(|(slot, &fused)| fused && node.outputs.contains(slot));
            let layer = graph.layer(node).map(|layer| &layer.operation);
            let own_mask = graph.slots[node.outputs.start].mask == Some(node.outputs.start);
            let makes_mask = own_mask && layer.is_some_and(|layer| layer.makes_mask().is_some());
            let checks_values = layer.is_some_and(|layer| layer.checks_values().is_some());
            nodes.push(NodePlan { runs, makes_mask, checks_values, over, inputs, learns, without_activation });
        }
        nodes.reverse();
        // An input that nothing differentiable uses has gradient zero.
        zeros.extend(first(graph.inputs.len()).filter(|&slot: &SlotId| has_grad[slot] && !written[slot]));
        let seam = |(number, node): (NodeId, &Node)| {
            let coupled = graph.layer(node).filter(|_| training && trained(node.layer))?.operation.coupled()?;
            let shapes: Vec<&[usize]> = node.inputs.iter().map(|input| &shapes.of[input.slot][..]).collect();
            Some(Seam { node: number, sums: coupled.sums(&shapes) })
        };
        let seams = numbered(&graph.nodes).filter_map(seam).collect();
        let values = |slot: SlotId| bytes_of::<u8>(&shapes.of[slot]);
        let kept = graph.slot_ids().skip(graph.inputs.len()).filter(|&slot| memory[slot] == slot).map(values);
        let row_values = kept.chain(graph.slot_ids().filter(|&slot| has_grad[slot]).map(values));
        let workspace = |node: &Node| {
            let inputs: Vec<&[usize]> = node.inputs.iter().map(|input| &shapes.of[input.slot][..]).collect();
            graph.layer(node).map_or(0, |layer| layer.operation.workspace(&inputs)) as u128
        };
        let row_values = row_values.chain(graph.nodes.iter().map(workspace)).fold(0u128, u128::saturating_add);
        let rows_a_shard = rows_a_shard(graph, &shapes);
        Self { shapes, memory, nodes, has_grad, zeros, output_gradients, seams, rows_a_shard, row_values }
    }

    /// The bytes of the workspaces of so many rows.
    pub fn bytes<F>(&self, rows: usize) -> u128 {
        self.row_values.saturating_mul(rows as u128).saturating_mul(size_of::<F>() as u128)
    }
}

/// The plans of one mode: one for each choice of the inputs' shapes that came lately.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// The last was used last.
    kept: Vec<Plan>,
}

impl Plans {
    /// Brings the plan for these shapes to the end, making it if it is not there.
    pub fn bring(&mut self, shapes: &Arc<Shapes>, make: impl FnOnce(Arc<Shapes>) -> Plan) {
        match self.kept.iter().rposition(|plan| Arc::ptr_eq(&plan.shapes, shapes)) {
            Some(place) if place + 1 == self.kept.len() => (),
            Some(place) => self.kept[place..].rotate_left(1),
            None => {
                if self.kept.len() == MOST_KEPT {
                    self.kept.remove(0);
                }
                self.kept.push(make(shapes.clone()));
            }
        }
    }

    /// The plan that was brought last.
    #[inline]
    pub fn last(&self) -> Option<&Plan> {
        self.kept.last()
    }

    pub fn clear(&mut self) {
        self.kept.clear();
    }
}
