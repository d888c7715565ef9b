//! The one driver of every pass: cuts a batch into shards, runs them forward and backward, and joins them at seams.
//!
//! What is done beside the passes, gathering rows, taking losses, is [`Work`] that somebody else brings.

use std::ops::Range;
use std::sync::Arc;

use super::cut::{MOST_SHARDS, shard_count, shard_rows};
use super::exchange::{Exchange, join_tree};
use super::graph::Graph;
use super::network::Network;
use super::partial::{Partial, ShardGradients};
use super::plan::{Plan, Plans, Seam, Wanted};
use super::shapes::Shapes;
use super::shard::{Run, Shard, coupled};
use crate::ids::{Id, NodeId};
use crate::layers::{Feeds, GradState, Kept, Mode};
use crate::{Error, Result, Scalar, Tensor, View, ViewMut, memory, parallel};

/// What is done with each shard beside its passes, on the shard's own thread.
pub(crate) trait Work<F: Scalar>: Sync {
    /// What a shard carries for it.
    type Own: Send;

    /// For one more shard.
    fn own(&self) -> Self::Own;

    /// Before the forward pass: fills the shard's rows of the inputs.
    fn load(&self, own: &mut Self::Own, rows: Range<usize>, inputs: &mut [Tensor<F>]);

    /// After the forward pass.
    fn finish(&self, _own: &mut Self::Own, _shard: &Finished<'_, F>) {}

    /// After the backward pass of a shard.
    fn gone_back(&self, _own: &mut Self::Own, _shard: &Shard<F>) {}

    /// Whether the gradients of a shard's outputs need nothing of the other shards, so that it goes back at once.
    fn goes_back_at_once(&self) -> bool {
        false
    }

    /// ∂L/∂output number `output`, from its values.
    fn gradient(
        &self,
        _own: &mut Self::Own,
        _rows: &Range<usize>,
        _output: usize,
        _y: View<'_, F>,
        _grad: ViewMut<'_, F>,
    ) {
    }
}

/// A shard that has gone forward.
pub(crate) struct Finished<'a, F: Scalar> {
    run: &'a Run<'a, F>,
    shard: &'a Shard<F>,
}

impl<'a, F: Scalar> Finished<'a, F> {
    /// The values of the network's output number `i`.
    pub fn output(&self, i: usize) -> View<'_, F> {
        self.shard.value(self.run, self.run.graph.outputs[i], Feeds::Own(&self.shard.inputs))
    }

    /// The mask beside it.
    pub fn mask(&self, i: usize) -> Option<&'a [bool]> {
        self.shard.mask(self.run.graph, self.run.graph.outputs[i])
    }

    /// The penalties on the outputs of layers.
    pub fn activity_penalty(&self) -> F {
        self.shard.activity_penalty(self.run)
    }
}

/// A shard, and what it carries for its [`Work`].
pub(crate) struct Lane<F, T> {
    pub shard: Shard<F>,
    pub own: T,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No batch has gone forward, or one was refused.
    Empty,
    Forward,
    /// Shards have gone back to the last seam.
    Begun,
    Backward,
}

/// The workspace of a batch, reused from step to step: its shards, and the plans by which they go.
pub(crate) struct Executor<F: Scalar, T> {
    /// The graph that it was made for.
    graph: Arc<Graph<F>>,
    lanes: Vec<Lane<F, T>>,
    /// How many of the lanes the present batch uses.
    used: usize,
    batch: usize,
    totals: Vec<F>,
    /// Those of the present batch; none before the first.
    shapes: Option<Arc<Shapes>>,
    training: Plans,
    inference: Plans,
    /// Which layers the plan of training trains.
    trains: Vec<bool>,
    wanted: Wanted,
    /// Of each output, whether its gradient is that before the last activation.
    fused: Vec<bool>,
    /// Whether penalties on outputs count in the gradients.
    pub penalties: bool,
    mode: Mode,
    stage: Stage,
    /// So many bytes of workspaces there has been memory for.
    room: u128,
}

impl<F: Scalar, T: Send> Executor<F, T> {
    pub fn new(network: &Network<F>, wanted: Wanted, fused: Vec<bool>) -> Self {
        Self {
            graph: network.graph.clone(),
            lanes: Vec::new(),
            used: 0,
            batch: 0,
            totals: Vec::new(),
            shapes: None,
            training: Plans::default(),
            inference: Plans::default(),
            trains: Vec::new(),
            wanted,
            fused,
            penalties: false,
            mode: Mode::Inference,
            stage: Stage::Empty,
            room: 0,
        }
    }

    /// Whether it was made for this network, or one that it was cloned from.
    pub fn is_of(&self, network: &Network<F>) -> bool {
        Arc::ptr_eq(&self.graph, &network.graph)
    }

    /// Whether another was made for the same network.
    pub fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.graph, &other.graph)
    }

    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Rows of the last batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The shards of the last batch.
    pub fn lanes(&self) -> &[Lane<F, T>] {
        &self.lanes[..self.used]
    }

    pub fn lanes_mut(&mut self) -> &mut [Lane<F, T>] {
        &mut self.lanes[..self.used]
    }

    /// Throws away what shards carry, and with it their workspaces.
    pub fn clear(&mut self) {
        (self.used, self.stage) = (0, Stage::Empty);
        self.lanes.clear();
    }

    /// Whether a batch has gone forward, and not yet back.
    pub fn can_go_back(&self) -> bool {
        matches!(self.stage, Stage::Forward | Stage::Begun)
    }

    pub fn has_gone_back(&self) -> bool {
        self.stage == Stage::Backward
    }

    /// Says that what the passes left has been used up.
    pub fn forget(&mut self) {
        self.stage = Stage::Empty;
    }

    fn plan(&self) -> &Plan {
        let plan = if matches!(self.mode, Mode::Training { .. }) { &self.training } else { &self.inference };
        plan.last().expect("made before a batch goes forward")
    }

    /// What holds for all shards of the last batch.
    pub fn run<'a>(&'a self, network: &'a Network<F>) -> Run<'a, F> {
        Run {
            graph: &network.graph,
            params: &network.params,
            plan: self.plan(),
            mode: self.mode,
            batch: self.batch,
            penalties: self.penalties,
            kept: &[],
        }
    }

    /// Takes the shapes of the inputs' rows of the batches to come, which fit the network. Where no axis of an input is open
    /// they are known.
    ///
    /// # Errors
    /// If a layer refuses what comes to it.
    pub fn take_shapes<'s>(&mut self, inputs: impl Iterator<Item = &'s [usize]> + Clone) -> Result<()> {
        let kept = |shapes: &Arc<Shapes>| !self.graph.is_open() || shapes.have_inputs(inputs.clone());
        if !self.shapes.as_ref().is_some_and(kept) {
            self.shapes = Some(self.graph.shapes_for(inputs)?);
            self.stage = Stage::Empty;
        }
        Ok(())
    }

    /// The shapes of all outputs for the present batch.
    pub fn shapes(&self) -> Option<&Arc<Shapes>> {
        self.shapes.as_ref()
    }

    /// Makes the plan of inference, for predictions of rows of these shapes that cut them themselves.
    pub fn plan_inference(&mut self, network: &Network<F>, shapes: Arc<Shapes>) {
        self.shapes = Some(shapes);
        self.prepare(network, Mode::Inference);
    }

    /// Makes `count` shards for such predictions.
    pub fn prepare_inference(&mut self, network: &Network<F>, count: usize, own: impl Fn() -> T) {
        for number in self.lanes.len()..count {
            self.lanes.push(Lane { shard: Shard::new(number, &network.graph), own: own() });
        }
        self.used = count;
    }

    /// Those shards, and a run of `rows` rows with the parameters `params`.
    #[inline]
    pub fn inference<'a>(
        &'a mut self,
        graph: &'a Graph<F>,
        params: &'a [F],
        kept: &'a [Kept],
        rows: usize,
    ) -> (&'a mut [Lane<F, T>], Run<'a, F>) {
        let plan = self.inference.last().expect("prepared for inference");
        (&mut self.lanes, Run { graph, params, plan, mode: Mode::Inference, batch: rows, penalties: false, kept })
    }

    /// Makes the plan of a mode for the present shapes, if there is none or other layers are trained than when it was made.
    fn prepare(&mut self, network: &Network<F>, mode: Mode) {
        if self.trains != network.trains {
            self.training.clear();
            self.inference.clear();
            self.trains.clone_from(&network.trains);
        }
        let (training, graph) = (matches!(mode, Mode::Training { .. }), &network.graph);
        let shapes = self.shapes.as_ref().expect("taken before a batch goes forward");
        let plans = if training { &mut self.training } else { &mut self.inference };
        plans.bring(shapes, |shapes| Plan::new(graph, shapes, training, &self.trains, self.wanted, &self.fused));
        self.mode = mode;
    }

    /// The bytes of the workspaces of so many rows, as planned last.
    pub fn planned_bytes(&self, rows: usize) -> u128 {
        self.plan().bytes::<F>(rows)
    }

    /// Refuses a batch of so many rows where the system would not give the memory for their workspaces.
    fn check_room(&mut self, rows: usize) -> Result<()> {
        let bytes = self.planned_bytes(rows);
        if bytes > self.room {
            if !memory::is_there(bytes) {
                return Err(memory::too_large("batch_size", rows, bytes));
            }
            self.room = bytes;
        }
        Ok(())
    }

    /// Calls `work` with the shards of the present batch and the sums at its seams. If it panics they are gone, with whatever
    /// state it left them in, and the next batch makes new ones.
    fn with_lanes<R>(
        &mut self,
        network: &Network<F>,
        work: impl FnOnce(&mut [Lane<F, T>], &mut Vec<F>, &Run<'_, F>) -> R,
    ) -> R {
        let (used, stage) = (std::mem::take(&mut self.used), std::mem::replace(&mut self.stage, Stage::Empty));
        let (mut lanes, mut totals) = (std::mem::take(&mut self.lanes), std::mem::take(&mut self.totals));
        let done = work(&mut lanes[..used], &mut totals, &self.run(network));
        (self.lanes, self.totals, self.used, self.stage) = (lanes, totals, used, stage);
        done
    }

    /// Runs a batch of `rows` rows forward, whose shapes have been taken.
    ///
    /// # Errors
    /// If there is no memory for so many rows. If a layer refuses a value; `row_numbers` tells the numbers of the batch's rows where they came from.
    pub fn forward<W: Work<F, Own = T>>(
        &mut self,
        network: &Network<F>,
        mode: Mode,
        rows: usize,
        row_numbers: Option<&[usize]>,
        work: &W,
    ) -> Result<()> {
        self.prepare(network, mode);
        self.check_room(rows)?;
        let count = shard_count(rows, self.plan().rows_a_shard);
        let exchange = network.exchange.as_deref();
        let share = exchange.map_or(0..count, |exchange| exchange.shards(count));
        if share.is_empty() {
            return Err(Error::NotReady { call: "exchange", needs: "a shard of every batch for each process" });
        }
        self.used = share.len();
        for _ in self.lanes.len()..self.used {
            self.lanes.push(Lane { shard: Shard::new(0, &network.graph), own: work.own() });
        }
        for (lane, number) in self.lanes.iter_mut().zip(share) {
            lane.shard.number = number;
        }
        (self.batch, self.stage) = (rows, Stage::Empty);
        let back = matches!(mode, Mode::Training { .. }) && work.goes_back_at_once();
        let (ran, refusal) = self.with_lanes(network, |lanes, totals, run| {
            let ran = forward(lanes, totals, run, count, exchange, work, back);
            (ran, lanes.iter().find_map(|lane| lane.shard.refusal(run.graph, row_numbers)))
        });
        ran?;
        if let Some(error) = refusal {
            return Err(error);
        }
        self.stage = if back { Stage::Begun } else { Stage::Forward };
        Ok(())
    }

    /// Runs the batch that has gone forward back. Once for a forward pass: layers may use up what they had kept.
    ///
    /// # Errors
    /// What the network's [`Exchange`] gives.
    pub fn backward<W: Work<F, Own = T>>(&mut self, network: &Network<F>, work: &W) -> Result<()> {
        let begun = self.stage == Stage::Begun;
        let done = self.with_lanes(network, |lanes, totals, run| {
            backward(lanes, totals, run, network.exchange.as_deref(), work, begun)
        });
        self.stage = Stage::Backward;
        done
    }

    /// Calls `work` for each shard of the batch that has gone forward, in parallel.
    pub fn for_each(&mut self, network: &Network<F>, work: &(impl Fn(&mut T, &Finished<'_, F>) + Sync)) {
        self.with_lanes(network, |lanes, _, run| {
            parallel::for_each(lanes, &|Lane { shard, own }| work(own, &Finished { run, shard }));
        });
    }

    /// Visits the shards of the batch that has gone forward, in order.
    pub fn visit(&self, network: &Network<F>, mut visit: impl FnMut(&T, &Finished<'_, F>)) {
        let run = self.run(network);
        self.lanes().iter().for_each(|Lane { shard, own }| visit(own, &Finished { run: &run, shard }));
    }

    /// Lets layers with state write it: moving statistics after a pass in training, the states of stateful layers
    /// after any.
    pub fn update_state(&self, graph: &Graph<F>, params: &mut [F]) {
        if self.stage == Stage::Empty {
            return;
        }
        let run = Run {
            graph,
            params: &[],
            plan: self.plan(),
            mode: self.mode,
            batch: self.batch,
            penalties: self.penalties,
            kept: &[],
        };
        for (place, lane) in self.lanes().iter().enumerate() {
            lane.shard.update_state(&run, place, params, Feeds::Own(&lane.shard.inputs));
        }
    }

    /// The gradients that a backward pass has left in the shards. With `takes_rows` those of tables may lie apart, row by
    /// row.
    pub fn gradients(&mut self, graph: &Graph<F>, takes_rows: bool) -> ShardGradients<'_, F> {
        let lanes = &mut self.lanes[..self.used];
        let apart = takes_rows && lanes.iter().all(|lane| lane.shard.keeps_rows(graph));
        if !apart {
            parallel::for_each(lanes, &|lane: &mut Lane<F, T>| lane.shard.spread_rows(graph));
        }
        let mut known: [&[GradState<F>]; MOST_SHARDS] = Default::default();
        let count = if apart { lanes.len() } else { 0 };
        let sum = Partial::new(lanes.iter_mut().zip(&mut known).map(|(lane, known)| {
            *known = &lane.shard.grad_state;
            &mut *lane.shard.param_grads
        }));
        ShardGradients { sum, known, count }
    }
}

/// Runs shards forward; they meet at seams. With `back` each goes on back to the last seam.
fn forward<F: Scalar, W: Work<F>>(
    lanes: &mut [Lane<F, W::Own>],
    totals: &mut Vec<F>,
    run: &Run<'_, F>,
    count: usize,
    exchange: Option<&dyn Exchange<F>>,
    work: &W,
    back: bool,
) -> Result<()> {
    let seams = &run.plan.seams;
    totals.clear();
    for part in 0..=seams.len() {
        let start = if part == 0 { NodeId::new(0) } else { seams[part - 1].node };
        let end = seams.get(part).map_or(run.graph.end(), |seam| seam.node);
        let sums: &[F] = totals;
        parallel::for_each(lanes, &|Lane { shard, own }| {
            if part == 0 {
                let rows = shard_rows(run.batch, shard.number, count);
                shard.set_rows(run, rows.clone());
                for input in &mut shard.inputs {
                    input.set_rows(rows.len());
                }
                work.load(own, rows, &mut shard.inputs);
            }
            let inputs = std::mem::take(&mut shard.inputs);
            shard.forward(run, start..end, Feeds::Own(&inputs), sums);
            if let Some(&seam) = seams.get(part) {
                shard.forward_sums(run, seam, Feeds::Own(&inputs));
            }
            shard.inputs = inputs;
            if part == seams.len() {
                work.finish(own, &Finished { run, shard });
                if back {
                    start_gradients(shard, own, run, work);
                    backward_part(shard, own, run, work, seams.len(), &[]);
                }
            }
        });
        if let Some(&seam) = seams.get(part) {
            join_sums(lanes, totals, run, seam, false, exchange)?;
        }
    }
    Ok(())
}

/// Runs shards backward. With `begun` they have gone back to the last seam already.
fn backward<F: Scalar, W: Work<F>>(
    lanes: &mut [Lane<F, W::Own>],
    totals: &mut Vec<F>,
    run: &Run<'_, F>,
    exchange: Option<&dyn Exchange<F>>,
    work: &W,
    begun: bool,
) -> Result<()> {
    let seams = &run.plan.seams;
    totals.clear();
    if !begun {
        parallel::for_each(lanes, &|Lane { shard, own }| {
            start_gradients(shard, own, run, work);
            backward_part(shard, own, run, work, seams.len(), &[]);
        });
    }
    for part in (0..seams.len()).rev() {
        join_sums(lanes, totals, run, seams[part], true, exchange)?;
        let sums: &[F] = totals;
        parallel::for_each(lanes, &|Lane { shard, own }| backward_part(shard, own, run, work, part, sums));
    }
    Ok(())
}

/// The gradients of the outputs, with which a backward pass begins.
fn start_gradients<F: Scalar, W: Work<F>>(shard: &mut Shard<F>, own: &mut W::Own, run: &Run<'_, F>, work: &W) {
    shard.clear_grads(run);
    let rows = shard.rows.clone();
    for end in &run.plan.output_gradients {
        shard.add_grad(run, end, |y, grad| work.gradient(own, &rows, end.output, y, grad));
    }
}

/// The backward pass from seam number `part` to the one before it.
fn backward_part<F: Scalar, W: Work<F>>(
    shard: &mut Shard<F>,
    own: &mut W::Own,
    run: &Run<'_, F>,
    work: &W,
    part: usize,
    totals: &[F],
) {
    let seams = &run.plan.seams;
    let inputs = std::mem::take(&mut shard.inputs);
    let fed = Feeds::Own(&inputs);
    if part == seams.len() {
        shard.start_backward(run);
    }
    let end = seams.get(part).map_or(run.graph.end(), |seam| seam.node.next());
    let start = if part == 0 { NodeId::new(0) } else { seams[part - 1].node.next() };
    shard.backward(run, start..end, fed, totals);
    if part > 0 {
        shard.backward_sums(run, seams[part - 1], fed);
    } else {
        shard.end_backward(run);
        work.gone_back(own, shard);
    }
    shard.inputs = inputs;
}

/// Joins the shards' sums at a seam, those of the forward or of the backward pass.
fn join_sums<F: Scalar, T>(
    lanes: &mut [Lane<F, T>],
    totals: &mut Vec<F>,
    run: &Run<'_, F>,
    seam: Seam,
    backward: bool,
    exchange: Option<&dyn Exchange<F>>,
) -> Result<()> {
    let layer = coupled(run, &run.graph.nodes[seam.node]);
    let join = |left: &mut [F], right: &[F]| {
        if backward { layer.join_backward(left, right) } else { layer.join_forward(left, right) }
    };
    join_tree(lanes, &mut |left: &mut Lane<F, T>, right: &mut Lane<F, T>| {
        join(&mut left.shard.sums, &right.shard.sums);
    });
    totals.clear();
    totals.extend_from_slice(&lanes[0].shard.sums);
    match exchange {
        Some(exchange) => exchange.join(totals, &join),
        None => Ok(()),
    }
}

/// What a call needs that was given the workspace of another network.
pub(crate) fn foreign_pass(call: &'static str) -> Error {
    Error::NotReady { call, needs: "a pass of this model: make one with `pass`, once for many steps" }
}
