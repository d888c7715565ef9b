//! Networks that only predict: what rescales a layer's output becomes part of its weights, and the activation part of its pass.
//!
//! Batch normalization outside training is y = s ⊙ x + t, channel by channel. Behind x = W·a + b it is (s ⊙ W)·a + (s ⊙ b + t): a
//! layer of the same kind, exact to rounding. Nodes and tensors stay numbered as they are; what has become part of another layer is
//! passed over, as dropout is. Zeros around an input become part of the convolution that reads them.

use std::sync::Arc;

use super::graph::{Graph, Node};
use super::network::Network;
use crate::ids::{Id, LayerId, NodeId, SlotId, each, numbered};
use crate::kernels::aligned::Aligned;
use crate::layers::{ParamSpec, Params};
use crate::{Activation, Scalar};

/// A layer with what becomes part of it.
struct Fold<F> {
    layer: LayerId,
    /// y = scale ⊙ x + shift, of one or more rescalings.
    rescaling: Option<(Vec<F>, Vec<F>)>,
    activation: Option<Activation>,
    /// The output that it makes, and those of the nodes that are passed over.
    output: SlotId,
    passed_over: Vec<NodeId>,
}

/// A node, and the one in front of it that puts zeros around its input.
struct Bordered {
    border: [[usize; 2]; 3],
    padding: NodeId,
    node: NodeId,
}

impl<F: Scalar> Network<F> {
    /// The same network for predictions alone; none where nothing can become part of something else.
    pub(super) fn folded(&self) -> Option<Self> {
        let (folds, borders) = (self.folds(), self.borders());
        if folds.is_empty() && borders.is_empty() {
            return None;
        }
        let mut graph = (*self.graph).clone();
        let (specs, params) = self.folded_params(&folds, &mut graph);
        graph.specs = specs;
        for fold in folds {
            graph.layers[fold.layer].folded.activation = fold.activation;
            let memory = graph.slots[fold.output].memory_inference;
            for slot in fold.passed_over.iter().map(|&node| graph.nodes[node].outputs.start).collect::<Vec<_>>() {
                for other in &mut graph.slots {
                    if other.memory_inference == slot {
                        other.memory_inference = memory;
                    }
                }
            }
        }
        for Bordered { border, padding, node } in borders {
            // The node reads what the padding would have read, whose own output lies nowhere.
            let (whole, inside) = (graph.nodes[padding].outputs.start, graph.nodes[padding].inputs[0].slot);
            graph.slots[whole].memory_inference = graph.slots[inside].memory_inference;
            graph.nodes[node].inputs[0].slot = inside;
            let layer = graph.nodes[node].layer.expect("found by its layer");
            graph.layers[layer].folded.border = border;
        }
        Some(Self {
            graph: Arc::new(graph),
            params,
            trains: self.trains.clone(),
            identities: self.identities.clone(),
            threads: self.threads.clone(),
            seed: self.seed,
            exchange: self.exchange.clone(),
        })
    }

    /// Every layer that others become part of.
    fn folds(&self) -> Vec<Fold<F>> {
        let graph = &self.graph;
        let readers = readers(graph);
        let mut folds = Vec::new();
        for node in &graph.nodes {
            let Some(layer) = node.layer else { continue };
            let entry = &graph.layers[layer];
            let is_linear = matches!(entry.facts.output_activation, None | Some(Activation::Linear));
            if !entry.facts.folds || !is_linear || !self.stands_alone(layer) {
                continue;
            }
            let fold = self.follow(layer, node.outputs.start, &readers);
            if !fold.passed_over.is_empty() {
                folds.push(fold);
            }
        }
        folds
    }

    /// Whether a layer does nothing but its own one call's work. One around another may do something to its kernel first, as
    /// spectral normalization does.
    fn stands_alone(&self, layer: LayerId) -> bool {
        let (graph, entry) = (&self.graph, &self.graph.layers[layer]);
        let shares = || graph.layers.iter().any(|other| other.shares == Some(layer));
        let calls = || graph.nodes.iter().filter(|node| node.layer == Some(layer)).count();
        entry.operation.inner().is_none() && entry.shares.is_none() && !shares() && calls() == 1
    }

    /// Every node that takes zeros around its input for granted. Where axes are open shapes are asked for layer by layer.
    fn borders(&self) -> Vec<Bordered> {
        let graph = &self.graph;
        let readers = readers(graph);
        let bordered = |(padding, around): (NodeId, &Node)| {
            let zeros = graph.layer(around).filter(|layer| layer.operation.inner().is_none())?;
            let border = zeros.facts.only_border?;
            let node = readers[around.outputs.start.number()]?;
            let layer = graph.nodes[node].layer.filter(|&layer| graph.layers[layer].facts.folds_border)?;
            self.stands_alone(layer).then_some(Bordered { border, padding, node })
        };
        if graph.is_open() { Vec::new() } else { numbered(&graph.nodes).filter_map(bordered).collect() }
    }

    /// A layer with all behind its output that can become part of it.
    fn follow(&self, layer: LayerId, output: SlotId, readers: &[Option<NodeId>]) -> Fold<F> {
        let graph = &self.graph;
        let mut fold = Fold { layer, rescaling: None, activation: None, output, passed_over: Vec::new() };
        let mut last = output;
        while fold.activation.is_none()
            && let Some(reader) = readers[last.number()]
        {
            let node = &graph.nodes[reader];
            let Some(entry) = graph.layer(node).filter(|_| node.inputs.len() == 1) else { break };
            let params = Params::new(&graph.specs[entry.specs.clone()], &self.params);
            if let Some((scale, shift)) = entry.operation.rescales_channels().and_then(|it| it.scale_and_shift(&params))
            {
                fold.rescaling = Some(match fold.rescaling.take() {
                    None => (scale, shift),
                    Some((first, moved)) => after(&first, &moved, &scale, &shift),
                });
            } else if entry.facts.only_activation
                && entry.facts.output_activation.as_ref().is_some_and(Activation::is_elementwise)
            {
                fold.activation.clone_from(&entry.facts.output_activation);
            } else {
                break;
            }
            fold.passed_over.push(reader);
            last = node.outputs.start;
        }
        fold
    }

    /// The parameters of all layers that still have some; `graph`'s layers are told where theirs lie.
    fn folded_params(&self, folds: &[Fold<F>], graph: &mut Graph<F>) -> (Vec<ParamSpec>, Aligned<F>) {
        let mut specs: Vec<ParamSpec> = Vec::with_capacity(graph.specs.len());
        let mut values: Vec<F> = Vec::with_capacity(self.params.len());
        let mut add = |specs: &mut Vec<ParamSpec>, spec: &ParamSpec, own: &[F]| {
            let start = values.len();
            values.extend_from_slice(own);
            specs.push(ParamSpec { range: start..values.len(), ..spec.clone() });
        };
        let gone = |layer: LayerId| {
            let nodes = folds.iter().flat_map(|fold| &fold.passed_over);
            let mut layers = nodes.filter_map(|&node| self.graph.nodes[node].layer);
            layers.any(|passed_over| passed_over == layer)
        };
        for (layer, entry) in numbered::<LayerId, _>(&self.graph.layers) {
            if let Some(owner) = entry.shares {
                let specs = graph.layers[owner].specs.clone();
                graph.layers[layer].specs = specs;
                continue;
            }
            let first = specs.len();
            let own = &self.graph.specs[entry.specs.clone()];
            let of = |spec: &ParamSpec| &self.params[spec.range.clone()];
            match folds.iter().find(|fold| fold.layer == layer).and_then(|fold| fold.rescaling.as_ref()) {
                Some((scale, shift)) => {
                    let kernel: Vec<F> = of(&own[0]).iter().zip(scale.iter().cycle()).map(|(&w, &s)| w * s).collect();
                    add(&mut specs, &own[0], &kernel);
                    let bias: Vec<F> = match own.get(1) {
                        Some(bias) => {
                            let moved = of(bias).iter().zip(scale).zip(shift);
                            moved.map(|((&b, &s), &t)| b * s + t).collect()
                        }
                        None => shift.clone(),
                    };
                    let named = ParamSpec { name: "bias".into(), shape: vec![bias.len()], ..own[0].clone() };
                    add(&mut specs, own.get(1).unwrap_or(&named), &bias);
                }
                None if self.is_passed_over_everywhere(layer, &gone) => (),
                None => own.iter().for_each(|spec| add(&mut specs, spec, of(spec))),
            }
            graph.layers[layer].specs = first..specs.len();
        }
        let mut params = Aligned::zeros(values.len());
        params.copy_from_slice(&values);
        (specs, params)
    }

    /// Whether a layer's parameters are needed no more: it is passed over, and called but once.
    fn is_passed_over_everywhere(&self, layer: LayerId, gone: &dyn Fn(LayerId) -> bool) -> bool {
        let calls = self.graph.nodes.iter().filter(|node| node.layer == Some(layer)).count();
        let shared = self.graph.layers.iter().any(|other| other.shares == Some(layer));
        calls == 1 && !shared && gone(layer)
    }
}

/// scale ⊙ (first ⊙ x + moved) + shift
fn after<F: Scalar>(first: &[F], moved: &[F], scale: &[F], shift: &[F]) -> (Vec<F>, Vec<F>) {
    let both = first.iter().zip(scale).map(|(&a, &b)| a * b).collect();
    let shifts = moved.iter().zip(scale).zip(shift).map(|((&moved, &scale), &shift)| moved * scale + shift).collect();
    (both, shifts)
}

/// For each output, the one node that reads it; none where there are several, where it is the model's, or is read in another shape.
fn readers<F: Scalar>(graph: &Graph<F>) -> Vec<Option<NodeId>> {
    let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.slots.len()];
    for (number, node) in numbered::<NodeId, Node>(&graph.nodes) {
        for input in &node.inputs {
            readers[input.slot.number()].push(number);
        }
    }
    for &output in &graph.outputs {
        readers[output.number()].clear();
    }
    let one = |nodes: Vec<NodeId>| if nodes.len() == 1 { Some(nodes[0]) } else { None };
    let mut readers: Vec<Option<NodeId>> = readers.into_iter().map(one).collect();
    for node in &graph.nodes {
        // Of several outputs none is followed.
        if each(&node.outputs).len() != 1 {
            each(&node.outputs).for_each(|slot: SlotId| readers[slot.number()] = None);
        }
    }
    readers
}
