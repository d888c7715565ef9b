//! One shard of a batch going through the graph: its values, gradients and caches, all memory reused.

use std::ops::Range;
use std::sync::Arc;

use super::graph::{Graph, Node};
use super::operation::{AnyCache, Coupled};
use super::plan::{OutputGradient, Plan, Seam};
use super::shapes::Shapes;
use crate::ids::{Id, LayerId, NodeId, SlotId, each, numbered, numbers};
use crate::kernels::aligned::Aligned;
use crate::kernels::{elementwise, reduce};
use crate::layers::{
    BadValue, Context, Feeds, GradInputs, GradState, Grads, InPlace, Inputs, Kept, Mode, NodeShared, Params, Values,
};
use crate::{Error, Scalar, Tensor, View, ViewMut};

/// What does not change while a batch goes through: the graph, its parameters, the plan, the circumstances.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a, F: Scalar> {
    pub graph: &'a Graph<F>,
    pub params: &'a [F],
    pub plan: &'a Plan,
    pub mode: Mode,
    /// Rows of the whole batch.
    pub batch: usize,
    /// Whether penalties on outputs count in the gradients.
    pub penalties: bool,
    /// For each layer, what it keeps while parameters stay as they are; empty where they may change.
    pub kept: &'a [Kept],
}

/// The workspace of one shard.
pub(crate) struct Shard<F> {
    pub number: usize,
    /// Its rows within the batch.
    pub rows: Range<usize>,
    /// Which shapes its tensors have; none before the first batch.
    shapes: Option<Arc<Shapes>>,
    /// Inputs that it gathered itself, in training from a data set.
    pub inputs: Vec<Tensor<F>>,
    /// Every output of every node; those without memory of their own are shapes only.
    values: Vec<Tensor<F>>,
    masks: Vec<Vec<bool>>,
    grads: Vec<Tensor<F>>,
    caches: Vec<Option<AnyCache>>,
    /// Gradients of all parameters, added up over the nodes.
    pub param_grads: Aligned<F>,
    /// What is known of each parameter's gradient.
    pub grad_state: Vec<GradState<F>>,
    /// This shard's part of the sums at a seam.
    pub sums: Vec<F>,
    scratch: Aligned<F>,
    /// The first value of the last forward pass that a layer refused, and which layer.
    refused: Option<(LayerId, BadValue)>,
}

impl<F: Scalar> Shard<F> {
    pub fn new(number: usize, graph: &Graph<F>) -> Self {
        let tensors = |count| (0..count).map(|_| Tensor::default()).collect();
        let count = graph.slots.len();
        Self {
            number,
            rows: 0..0,
            shapes: None,
            inputs: tensors(graph.inputs.len()),
            values: tensors(count),
            masks: vec![Vec::new(); count],
            grads: tensors(count),
            caches: graph.nodes.iter().map(|node| graph.layer(node).map(|layer| layer.operation.new_cache())).collect(),
            param_grads: Aligned::new(),
            grad_state: graph.specs.iter().map(GradState::new).collect(),
            sums: Vec::new(),
            scratch: Aligned::new(),
            refused: None,
        }
    }

    /// Makes room for the rows `rows` of a batch.
    pub fn set_rows(&mut self, run: &Run<'_, F>, rows: Range<usize>) {
        if !self.has_shapes_of(run) {
            self.take_shapes(&run.plan.shapes);
        }
        let memory = &run.plan.memory;
        let inputs = run.graph.inputs.len();
        for (slot, value) in run.graph.slot_ids().zip(&mut self.values) {
            if slot.number() >= inputs && memory[slot] == slot {
                value.set_rows(rows.len());
            } else {
                value.set_rows_without_memory(rows.len());
            }
        }
        for (mask, len) in self.masks.iter_mut().zip(&run.plan.shapes.mask_lens) {
            mask.resize(rows.len() * len, true);
        }
        self.rows = rows;
        self.refused = None;
    }

    /// Whether its tensors have the shapes of this run's rows.
    #[inline]
    pub fn has_shapes_of(&self, run: &Run<'_, F>) -> bool {
        self.shapes.as_ref().is_some_and(|shapes| Arc::ptr_eq(shapes, &run.plan.shapes))
    }

    /// Gives its tensors shapes, without rows; their memory stays.
    fn take_shapes(&mut self, shapes: &Arc<Shapes>) {
        for tensors in [&mut self.inputs, &mut self.values, &mut self.grads] {
            tensors.iter_mut().zip(&shapes.of).for_each(|(tensor, shape)| tensor.set_row_shape(shape));
        }
        self.shapes = Some(shapes.clone());
    }

    /// For a further pass over as many rows.
    pub fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// Whether a layer refused a value of the last forward pass.
    pub fn has_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// The error of a value that a layer refused; `rows` tells the numbers of the batch's rows where they came from.
    pub fn refusal(&self, graph: &Graph<F>, rows: Option<&[usize]>) -> Option<Error> {
        let (layer, value) = self.refused.as_ref()?;
        let layer = &graph.layers[*layer];
        let row = self.rows.start + value.row.min(self.rows.len().saturating_sub(1));
        let row = rows.map_or(row, |rows| rows[row]);
        let call = format!("layer `{}` ({})", layer.name, layer.description.class);
        Some(Error::data(call, &*value.expected, format!("{} at row {row}", value.received)))
    }

    /// Makes room for the gradients. Those of parameters are stale until a layer writes them.
    pub fn clear_grads(&mut self, run: &Run<'_, F>) {
        for (grad, _) in self.grads.iter_mut().zip(&run.plan.has_grad).filter(|(_, has)| **has) {
            grad.set_rows(self.rows.len());
        }
        if self.param_grads.is_empty() {
            // Zeros as the system gives them: of a table nobody asks for, they stay unused.
            self.param_grads = Aligned::zeros(run.params.len());
        }
        self.grad_state.iter_mut().for_each(|state| state.stale = true);
    }

    /// Zeroes the gradients of parameters that no layer has written.
    pub fn end_backward(&mut self, run: &Run<'_, F>) {
        for (spec, state) in run.graph.specs.iter().zip(&mut self.grad_state) {
            state.clear(&mut self.param_grads[spec.range.clone()]);
        }
    }

    /// The first parameter whose gradient is not finite.
    pub fn not_finite(&self, graph: &Graph<F>) -> Option<usize> {
        self.grad_state.iter().zip(&graph.specs).position(|(state, spec)| {
            let gradient = match &state.rows {
                Some(rows) => rows.values(),
                None => &self.param_grads[spec.range.clone()],
            };
            !reduce::all_finite(gradient)
        })
    }

    /// Whether all gradients of tables lie apart, row by row.
    pub fn keeps_rows(&self, graph: &Graph<F>) -> bool {
        graph
            .specs
            .iter()
            .zip(&self.grad_state)
            .all(|(spec, state)| spec.table_rows().is_none() || state.rows.is_some())
    }

    /// Puts the rows of tables that have gradients into the tables' places among the other gradients.
    pub fn spread_rows(&mut self, graph: &Graph<F>) {
        for (spec, state) in graph.specs.iter().zip(&mut self.grad_state) {
            state.spread(&mut self.param_grads[spec.range.clone()]);
        }
    }

    /// The values of an output.
    pub fn value<'a>(&'a self, run: &Run<'a, F>, slot: SlotId, feeds: Feeds<'a, F>) -> View<'a, F> {
        let values =
            Values { outputs: &self.values, memory: &run.plan.memory, masks: &self.masks, feeds, rows: &self.rows };
        values.view(slot)
    }

    /// The first row of the batch no step of which counts in some mask.
    pub fn padding_row(&self) -> Option<usize> {
        let rows = self.rows.len();
        let first = |mask: &Vec<bool>| {
            let steps = (mask.len() / rows.max(1)).max(1);
            mask.chunks(steps).position(|row| row.iter().all(|counts| !counts))
        };
        self.masks.iter().filter_map(first).min().map(|row| self.rows.start + row)
    }

    /// The mask beside an output.
    pub fn mask(&self, graph: &Graph<F>, slot: SlotId) -> Option<&[bool]> {
        graph.slots[slot].mask.map(|owner| self.masks[owner].as_slice())
    }

    /// The gradient of an output.
    pub fn grad(&self, plan: &Plan, slot: SlotId) -> View<'_, F> {
        View::new(self.values[slot].shape(), self.grads[plan.memory[slot]].data())
    }

    /// Lets `write` fill the gradient that a model output brings, or add to one brought before; it is given the
    /// output's values.
    pub fn add_grad(
        &mut self,
        run: &Run<'_, F>,
        end: &OutputGradient,
        write: impl FnOnce(View<'_, F>, ViewMut<'_, F>),
    ) {
        let memory = run.plan.memory[end.slot];
        let mut grad = std::mem::take(&mut self.grads[memory]);
        let shape = self.values[end.slot].shape();
        let value = {
            let values = Values {
                outputs: &self.values,
                memory: &run.plan.memory,
                masks: &self.masks,
                feeds: Feeds::Own(&self.inputs),
                rows: &self.rows,
            };
            values.view(end.slot)
        };
        if end.adds {
            let part = self.scratch.room(grad.data().len());
            write(value, ViewMut::new(shape, part));
            elementwise::axpy(F::one(), part, grad.data_mut());
        } else {
            write(value, ViewMut::new(shape, grad.data_mut()));
        }
        self.grads[memory] = grad;
    }

    /// Runs some nodes forward. At a seam the first of them finds the sums over the batch in `totals`.
    pub fn forward(&mut self, run: &Run<'_, F>, nodes: Range<NodeId>, feeds: Feeds<'_, F>, totals: &[F]) {
        let first = nodes.start;
        let memory = &run.plan.memory;
        for number in each(&nodes) {
            let (node, plan) = (&run.graph.nodes[number], &run.plan.nodes[number]);
            let Some(layer) = run.graph.layer(node) else { continue };
            if memory[node.outputs.start] != node.outputs.start {
                // A reshape, or a layer that does nothing here: its output is its input's memory. Or it is written there.
                if let Some(over) = plan.over {
                    self.forward_in_place(run, number, over, feeds);
                }
                continue;
            }
            let own = numbers(&node.outputs);
            let (before, after) = self.values.split_at_mut(own.start);
            let outputs = &mut after[..own.len()];
            let cache = self.caches[number].as_mut().expect("a node with a layer has a cache");
            if plan.makes_mask
                && let Some(makes) = layer.operation.makes_mask()
            {
                let mut mask = std::mem::take(&mut self.masks[node.outputs.start]);
                let values = Values { outputs: before, memory, masks: &self.masks, feeds, rows: &self.rows };
                makes.make_mask(Inputs::new(&node.inputs, values), &mut mask);
                self.masks[node.outputs.start] = mask;
            }
            let values = Values { outputs: before, memory, masks: &self.masks, feeds, rows: &self.rows };
            let inputs = Inputs::new(&node.inputs, values);
            let cx = context(run, number, self.number, &self.rows, inputs);
            let cx = if number == first { cx.with_totals(totals) } else { cx };
            if plan.checks_values
                && let (Some(checks), Some(layer)) = (layer.operation.checks_values(), node.layer)
                && let Err(value) = checks.check_values(inputs)
            {
                self.refused.get_or_insert((layer, value));
            }
            layer.operation.forward(inputs, outputs, cache, &cx);
        }
    }

    /// Runs a node forward whose output is written over input number `over`.
    fn forward_in_place(&mut self, run: &Run<'_, F>, number: NodeId, over: usize, feeds: Feeds<'_, F>) {
        let (node, memory) = (&run.graph.nodes[number], &run.plan.memory);
        let place = memory[node.outputs.start];
        let mut own = std::mem::take(&mut self.values[place]);
        let values = Values { outputs: &self.values, memory, masks: &self.masks, feeds, rows: &self.rows };
        let inputs = Inputs::new(&node.inputs, values);
        let cx = context(run, number, self.number, &self.rows, inputs);
        let y = ViewMut::new(self.values[node.outputs.start].shape(), own.data_mut());
        in_place(run, node).forward(over, inputs, y, &cx);
        self.values[place] = own;
    }

    /// This shard's part of the sums that a seam's node needs before its forward pass.
    pub fn forward_sums(&mut self, run: &Run<'_, F>, seam: Seam, feeds: Feeds<'_, F>) {
        let number = seam.node;
        let node = &run.graph.nodes[number];
        self.sums.clear();
        self.sums.resize(seam.sums.forward, F::zero());
        let values =
            Values { outputs: &self.values, memory: &run.plan.memory, masks: &self.masks, feeds, rows: &self.rows };
        let inputs = Inputs::new(&node.inputs, values);
        let cx = context(run, number, self.number, &self.rows, inputs);
        coupled(run, node).forward_sums(inputs, &mut self.sums, &cx);
    }

    /// Zeroes the gradients that nothing writes.
    pub fn start_backward(&mut self, run: &Run<'_, F>) {
        for &slot in &run.plan.zeros {
            self.grads[slot].data_mut().fill(F::zero());
        }
    }

    /// Runs some nodes backward, the last first. At a seam that one finds the sums over the batch in `totals`.
    pub fn backward(&mut self, run: &Run<'_, F>, nodes: Range<NodeId>, feeds: Feeds<'_, F>, totals: &[F]) {
        let memory = &run.plan.memory;
        let last = each(&nodes).next_back();
        for number in each(&nodes).rev() {
            let (node, plan) = (&run.graph.nodes[number], &run.plan.nodes[number]);
            if !plan.runs {
                continue;
            }
            let layer = run.graph.layer(node).expect("only layers run backward");
            if let Some(over) = plan.over {
                self.backward_in_place(run, number, over, feeds);
                continue;
            }
            let own = numbers(&node.outputs);
            let (values, outputs) = self.values.split_at(own.start);
            let outputs = &outputs[..own.len()];
            let (grads, grad_outputs) = self.grads.split_at_mut(own.start);
            let grad_outputs = &mut grad_outputs[..own.len()];
            if let Some(regularizer) = layer.description.activity_regularizer.as_ref().filter(|_| run.penalties) {
                let scale = F::one() / F::of(run.batch as f64);
                for (y, grad_y) in outputs.iter().zip(grad_outputs.iter_mut()) {
                    regularizer.add_gradient(y.data(), y.shape(), scale, grad_y.data_mut());
                }
            }
            let fed = Values { outputs: values, memory, masks: &self.masks, feeds, rows: &self.rows };
            let inputs = Inputs::new(&node.inputs, fed);
            let cx = context(run, number, self.number, &self.rows, inputs);
            let cx = if Some(number) == last { cx.with_totals(totals) } else { cx };
            let mut grad_inputs = GradInputs::new(&plan.inputs, grads, values, memory, &mut self.scratch);
            let (specs, state) = (&run.graph.specs[layer.specs.clone()], &mut self.grad_state[layer.specs.clone()]);
            let mut param_grads = Grads::new(specs, &mut self.param_grads, state, plan.learns);
            let cache = self.caches[number].as_mut().expect("a node with a layer has a cache");
            layer.operation.backward(inputs, outputs, grad_outputs, &mut grad_inputs, &mut param_grads, cache, &cx);
        }
    }

    /// Runs a node backward whose output was written over input number `over`; so is the gradient.
    fn backward_in_place(&mut self, run: &Run<'_, F>, number: NodeId, over: usize, feeds: Feeds<'_, F>) {
        let (node, plan, memory) = (&run.graph.nodes[number], &run.plan.nodes[number], &run.plan.memory);
        let place = memory[node.outputs.start];
        let mut grad = std::mem::take(&mut self.grads[place]);
        let values = Values { outputs: &self.values, memory, masks: &self.masks, feeds, rows: &self.rows };
        let inputs = Inputs::new(&node.inputs, values);
        let cx = context(run, number, self.number, &self.rows, inputs);
        let mut grad_inputs = GradInputs::new(&plan.inputs, &mut self.grads, &self.values, memory, &mut self.scratch);
        let y = values.view(node.outputs.start);
        let grad_y = ViewMut::new(y.axes(), grad.data_mut());
        in_place(run, node).backward(over, y, grad_y, &mut grad_inputs, &cx);
        self.grads[place] = grad;
    }

    /// This shard's part of the sums that a seam's node needs before its backward pass.
    pub fn backward_sums(&mut self, run: &Run<'_, F>, seam: Seam, feeds: Feeds<'_, F>) {
        let number = seam.node;
        let node = &run.graph.nodes[number];
        self.sums.clear();
        self.sums.resize(seam.sums.backward, F::zero());
        let values =
            Values { outputs: &self.values, memory: &run.plan.memory, masks: &self.masks, feeds, rows: &self.rows };
        let inputs = Inputs::new(&node.inputs, values);
        let cx = context(run, number, self.number, &self.rows, inputs);
        let cache = self.caches[number].as_mut().expect("a layer's node has a cache");
        let own = numbers(&node.outputs);
        let (outputs, grads) = (&self.values[own.clone()], &self.grads[own]);
        coupled(run, node).backward_sums(inputs, outputs, grads, &mut self.sums, cache, &cx);
    }

    /// The penalties on this shard's outputs, divided by the batch size.
    pub fn activity_penalty(&self, run: &Run<'_, F>) -> F {
        let mut penalty = F::zero();
        for node in &run.graph.nodes {
            let Some(layer) = run.graph.layer(node) else { continue };
            if let Some(regularizer) = &layer.description.activity_regularizer {
                for y in &self.values[numbers(&node.outputs)] {
                    penalty += regularizer.penalty(y.data(), y.shape()) / F::of(run.batch as f64);
                }
            }
        }
        penalty
    }

    /// Lets every layer with state write it into `state`, the model's parameters.
    /// `place` is the shard's among those of this process: what all shards have alike is written once in each.
    pub fn update_state(&self, run: &Run<'_, F>, place: usize, state: &mut [F], feeds: Feeds<'_, F>) {
        for (number, node) in numbered(&run.graph.nodes) {
            let Some(layer) = run.graph.layer(node) else { continue };
            let specs = &run.graph.specs[layer.specs.clone()];
            let training = matches!(run.mode, Mode::Training { .. });
            if let Some(stateful) = layer.operation.stateful()
                && specs.iter().any(|spec| !spec.learned)
                && (training || stateful.between_batches())
            {
                let values = Values {
                    outputs: &self.values,
                    memory: &run.plan.memory,
                    masks: &self.masks,
                    feeds,
                    rows: &self.rows,
                };
                let inputs = Inputs::new(&node.inputs, values);
                // The layer reads its state where it writes it.
                let run = Run { params: &[], ..*run };
                let cx = context(&run, number, place, &self.rows, inputs);
                let cache = self.caches[number].as_ref().expect("a layer's node has a cache");
                stateful.update_state(&mut Grads::new(specs, state, &mut [], true), cache, &cx);
            }
        }
    }
}

/// What a node does whose layer couples samples.
pub(super) fn coupled<'a, F: Scalar>(run: &Run<'a, F>, node: &Node) -> &'a dyn Coupled<F> {
    let layer = run.graph.layer(node).and_then(|layer| layer.operation.coupled());
    layer.expect("a seam is a layer's that couples samples")
}

/// What a node does that writes over an input.
fn in_place<'a, F: Scalar>(run: &Run<'a, F>, node: &Node) -> &'a dyn InPlace<F> {
    let layer = run.graph.layer(node).and_then(|layer| layer.operation.in_place());
    layer.expect("only a layer that can writes over its input")
}

#[inline(always)]
#[allow(clippy::inline_always)] // a call that copies what it gives would be a good part of a small network's prediction
fn context<'a, F: Scalar>(
    run: &Run<'a, F>,
    number: NodeId,
    shard: usize,
    rows: &Range<usize>,
    inputs: Inputs<'a, F>,
) -> Context<'a, F> {
    let node = &run.graph.nodes[number];
    let specs = node.layer.map_or(&[][..], |layer| run.graph.layer_specs(layer));
    let mask = if inputs.is_empty() { None } else { inputs.mask(0) };
    let plan = &run.plan.nodes[number];
    let backward = plan.runs;
    let kept = node.layer.and_then(|layer| run.kept.get(layer.number()));
    let shared = NodeShared { key: node.key, first_row: rows.start, batch: run.batch, shard, mask, backward, kept };
    Context::new(Params::new(specs, run.params), run.mode, shared, plan.without_activation)
}
