//! Networks that only predict: what rescales a layer's output becomes part of its weights, and the activation part of its pass.
//!
//! Batch normalization outside training is y = s ⊙ x + t, channel by channel. Behind x = W·a + b it is (s ⊙ W)·a + (s ⊙ b + t): a
//! layer of the same kind, exact to rounding. Nodes and tensors stay numbered as they are; what has become part of another layer is
//! passed over, as dropout is.

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

impl<F: Scalar> Network<F> {
    /// The same network for predictions alone; none where nothing can become part of something else.
    pub(super) fn folded(&self) -> Option<Self> {
        let folds = self.folds();
        if folds.is_empty() {
            return None;
        }
        let mut graph = (*self.graph).clone();
        let (specs, params) = self.folded_params(&folds, &mut graph);
        graph.specs = specs;
        for fold in folds {
            graph.layers[fold.layer].activation = fold.activation;
            let memory = graph.slots[fold.output].memory_inference;
            for slot in fold.passed_over.iter().map(|&node| graph.nodes[node].outputs.start).collect::<Vec<_>>() {
                for other in &mut graph.slots {
                    if other.memory_inference == slot {
                        other.memory_inference = memory;
                    }
                }
            }
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
        let calls = |layer: LayerId| graph.nodes.iter().filter(|node| node.layer == Some(layer)).count();
        let shares = |layer: LayerId| graph.layers.iter().any(|other| other.shares == Some(layer));
        let readers = readers(graph);
        let mut folds = Vec::new();
        for node in &graph.nodes {
            let Some(layer) = node.layer else { continue };
            let entry = &graph.layers[layer];
            let is_linear = matches!(entry.facts.output_activation, None | Some(Activation::Linear));
            // A layer around another may do something to its kernel first, as spectral normalization does.
            let stands_alone = entry.operation.inner().is_none();
            if !entry.facts.folds
                || !stands_alone
                || !is_linear
                || entry.shares.is_some()
                || shares(layer)
                || calls(layer) != 1
            {
                continue;
            }
            let fold = self.follow(layer, node.outputs.start, &readers);
            if !fold.passed_over.is_empty() {
                folds.push(fold);
            }
        }
        folds
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
            } else if entry.facts.only_activation && takes_activation(entry.facts.output_activation.as_ref()) {
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

/// Whether an activation goes element by element, as what it becomes part of may have other axes than its own.
fn takes_activation(activation: Option<&Activation>) -> bool {
    use Activation::{Custom, LogSoftmax, LogSoftmaxOver, Softmax, SoftmaxOver};
    let over_an_axis =
        |it: &Activation| matches!(it, Softmax | SoftmaxOver { .. } | LogSoftmax | LogSoftmaxOver { .. });
    activation.is_some_and(|activation| !over_an_axis(activation) && !matches!(activation, Custom(_)))
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
