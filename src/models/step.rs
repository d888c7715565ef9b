//! One training step, and one step of evaluation: shards gather their rows, go forward, take the loss, go back; their
//! gradients are joined in shard order, and the optimizer updates the parameters.

use super::compile::{Compiled, Objective};
use crate::data::{Batch, Dataset};
use crate::engine::graph::Graph;
use crate::engine::partial::Partial;
use crate::engine::pass::{self, HasShard, MOST_SHARDS, shard_count};
use crate::engine::plan::{Plan, Wanted};
use crate::engine::shard::{Run, Shard};
use crate::engine::{Network, check_batch};
use crate::kernels::elementwise;
use crate::layers::{Feeds, GradState, Mode};
use crate::losses::output::{OutputLoss, known_denominator};
use crate::losses::reduction::{Sums, divide};
use crate::{Activation, Error, Result, Scalar, parallel};

/// The memory of a step, reused from step to step.
pub(crate) struct Workspace<F: Scalar> {
    shards: Vec<StepShard<F>>,
    totals: Vec<F>,
    training: Option<Prepared>,
    inference: Option<Prepared>,
    /// Whether each output's rows have weights.
    weighted: Vec<bool>,
    /// D of each output's loss.
    denominators: Vec<Option<f64>>,
    /// The sums that each output's loss needs over the batch.
    loss_totals: Vec<Vec<F>>,
}

impl<F: Scalar> Default for Workspace<F> {
    fn default() -> Self {
        Self {
            shards: Vec::new(),
            totals: Vec::new(),
            training: None,
            inference: None,
            weighted: Vec::new(),
            denominators: Vec::new(),
            loss_totals: Vec::new(),
        }
    }
}

/// What is worked out once for a model, its objectives and its frozen layers.
struct Prepared {
    plan: Plan,
    trains: Vec<bool>,
    /// For each output: the activation that is differentiated together with the loss.
    fused: Vec<Option<Activation>>,
}

/// A shard with its targets and losses.
struct StepShard<F: Scalar> {
    shard: Shard<F>,
    losses: Vec<OutputLoss<F>>,
    /// The penalties on its outputs.
    penalty: f64,
    failed: Option<Error>,
}

impl<F: Scalar> HasShard<F> for StepShard<F> {
    fn shard(&self) -> &Shard<F> {
        &self.shard
    }
    fn shard_mut(&mut self) -> &mut Shard<F> {
        &mut self.shard
    }
}

/// What a step works on, beside the model.
pub(crate) struct StepData<'a, F: Scalar> {
    pub dataset: &'a dyn Dataset<F>,
    /// The rows of the batch.
    pub rows: &'a [usize],
    /// A weight a class.
    pub class_weights: Option<&'a [F]>,
    /// Whether targets are to be checked batch by batch, since nobody could check them before.
    pub check: bool,
}

impl<F: Scalar> Workspace<F> {
    /// Makes what a step on this data set needs.
    pub fn prepare(
        &mut self,
        network: &Network<F>,
        objectives: &[Objective<F>],
        dataset: &dyn Dataset<F>,
        training: bool,
    ) {
        let graph = &network.graph;
        let weights = dataset.weight_shapes();
        let fits = self.shards.first().is_none_or(|first| {
            first.losses.iter().zip(&weights).all(|(loss, weights)| {
                loss.sample_weights.as_ref().map(|tensor| &tensor.shape()[1..]) == weights.as_deref()
            })
        });
        if !fits {
            self.shards.clear();
        }
        let prepared = if training { &mut self.training } else { &mut self.inference };
        if prepared.as_ref().is_none_or(|prepared| prepared.trains != network.trains) {
            let fused = fused_activations(graph, objectives);
            let flags: Vec<bool> = fused.iter().map(|fused| training && fused.is_some()).collect();
            let none = vec![false; network.trains.len()];
            let plan =
                Plan::new(graph, training, if training { &network.trains } else { &none }, Wanted::PARAMETERS, &flags);
            *prepared = Some(Prepared { plan, trains: network.trains.clone(), fused });
        }
        self.weighted = weights.iter().map(Option::is_some).collect();
        self.denominators.resize(objectives.len(), None);
        self.loss_totals = objectives.iter().map(|objective| vec![F::zero(); objective.sums]).collect();
    }

    /// Makes sure that there are as many shards as a batch of `rows` needs.
    fn set_rows(
        &mut self,
        graph: &Graph<F>,
        objectives: &[Objective<F>],
        dataset: &dyn Dataset<F>,
        rows: usize,
    ) -> usize {
        let used = shard_count(rows);
        if self.shards.len() < used {
            let weights = dataset.weight_shapes();
            for number in self.shards.len()..used {
                self.shards.push(StepShard::new(number, graph, objectives, &weights));
            }
        }
        used
    }
}

impl<F: Scalar> StepShard<F> {
    fn new(number: usize, graph: &Graph<F>, objectives: &[Objective<F>], weights: &[Option<Vec<usize>>]) -> Self {
        let losses = objectives
            .iter()
            .zip(&graph.outputs)
            .zip(weights)
            .map(|((objective, &slot), weights)| {
                OutputLoss::new(objective.loss.as_ref(), &graph.shapes[slot], weights.as_deref())
            })
            .collect();
        Self { shard: Shard::new(number, graph), losses, penalty: 0.0, failed: None }
    }

    /// Gathers this shard's rows.
    fn load(&mut self, run: &Run<'_, F>, objectives: &[Objective<F>], data: &StepData<'_, F>) {
        let rows = self.shard.rows.clone();
        for input in &mut self.shard.inputs {
            input.set_rows(rows.len());
        }
        for loss in &mut self.losses {
            loss.set_rows(rows.len());
        }
        let step = match run.mode {
            Mode::Training { step, .. } => step,
            Mode::Inference => 0,
        };
        let mut batch = Batch { inputs: &mut self.shard.inputs, outputs: &mut self.losses, step };
        self.failed = data.dataset.gather(&data.rows[rows], &mut batch).err();
        if data.check && self.failed.is_none() {
            let outputs = objectives.iter().zip(&self.losses).zip(&run.graph.outputs);
            self.failed = outputs
                .map(|((objective, loss), &slot)| {
                    objective.loss.check_targets("fit", &run.graph.shapes[slot], loss.target.view())
                })
                .find_map(Result::err);
        }
    }

    /// Weighs the rows of every output; with `evaluate` also takes the losses' values.
    fn weigh(&mut self, run: &Run<'_, F>, objectives: &[Objective<F>], data: &StepData<'_, F>, evaluate: bool) {
        for ((loss, objective), &slot) in self.losses.iter_mut().zip(objectives).zip(&run.graph.outputs) {
            let prediction = self.shard.value(run, slot, Feeds::Own(&self.shard.inputs));
            let mask = self.shard.mask(run.graph, slot);
            loss.weigh(objective.loss.as_ref(), prediction, data.class_weights, mask);
            if evaluate {
                loss.evaluate(objective.loss.as_ref(), prediction, &[]);
            }
        }
        self.penalty = self.shard.activity_penalty(run).f64();
    }

    /// The losses' values, where they waited for sums over the batch.
    fn evaluate(&mut self, run: &Run<'_, F>, objectives: &[Objective<F>], totals: &[Vec<F>]) {
        let outputs = self.losses.iter_mut().zip(objectives).zip(&run.graph.outputs).zip(totals);
        for (((loss, objective), &slot), totals) in outputs {
            let prediction = self.shard.value(run, slot, Feeds::Own(&self.shard.inputs));
            loss.evaluate(objective.loss.as_ref(), prediction, totals);
        }
    }

    /// The gradients of the losses, into the outputs'.
    fn gradients(
        &mut self,
        run: &Run<'_, F>,
        objectives: &[Objective<F>],
        fused: &[Option<Activation>],
        denominators: &[Option<f64>],
        totals: &[Vec<F>],
    ) {
        self.shard.clear_grads(run);
        for seed in &run.plan.seeds {
            let (i, objective) = (seed.output, &objectives[seed.output]);
            let (loss, fused) = (&mut self.losses[i], fused[i].as_ref());
            let denominator = denominators[i].unwrap_or(1.0);
            self.shard.add_grad(run, seed, |prediction, grad| {
                let weight = objective.weight;
                loss.gradient(objective.loss.as_ref(), fused, prediction, weight, denominator, &totals[i], grad);
            });
        }
    }
}

/// Which outputs' activations are differentiated together with their losses: the last thing the layer does, seen by
/// nobody else.
fn fused_activations<F: Scalar>(graph: &Graph<F>, objectives: &[Objective<F>]) -> Vec<Option<Activation>> {
    graph
        .outputs
        .iter()
        .zip(objectives)
        .map(|(&slot, objective)| {
            let node = graph.nodes.iter().find(|node| node.outputs.contains(&slot))?;
            let layer = graph.layer(node)?;
            let activation = layer.operation.output_activation()?;
            let consumers = graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| input.slot == slot).count();
            let shown = graph.outputs.iter().filter(|&&other| graph.memory[other] == graph.memory[slot]).count();
            let alone = consumers == 0 && shown == 1 && layer.description.activity_regularizer.is_none();
            (alone && objective.loss.fuses_with(&activation)).then_some(activation)
        })
        .collect()
}

/// One training step; returns the loss of the batch, penalties included, as it was before the update. If it fails,
/// nothing has changed.
pub(crate) fn train<F: Scalar>(
    network: &mut Network<F>,
    compiled: &mut Compiled<F>,
    data: &StepData<'_, F>,
) -> Result<f64> {
    let (loss, used) = gradients(network, compiled, data)?;
    let Compiled { driver, workspace, .. } = compiled;
    let graph = network.graph.clone();
    let prepared = workspace.training.as_ref().expect("prepared before the first step");
    let mode = Mode::Training { seed: network.seed, step: driver.calls };
    let shards = &mut workspace.shards[..used];
    let run = Run { graph: &graph, params: &[], plan: &prepared.plan, mode, batch: data.rows.len(), penalties: true };
    for work in shards.iter() {
        work.shard.update_state(&run, &mut network.params, Feeds::Own(&work.shard.inputs));
    }
    let apart = driver.takes_rows() && shards.iter().all(|work| work.shard.keeps_rows(&graph));
    if !apart {
        parallel::for_each(shards, &|work: &mut StepShard<F>| work.shard.spread_rows(&graph));
    }
    let mut known: [&[GradState<F>]; MOST_SHARDS] = Default::default();
    let gradients = Partial::new(shards.iter_mut().zip(&mut known).map(|(work, known)| {
        *known = &work.shard.grad_state;
        &mut *work.shard.param_grads
    }));
    let known = if apart { &known[..used] } else { &[] };
    driver.apply(&graph, &network.trains, &mut network.params, gradients, known);
    Ok(loss)
}

/// The first half of a training step, which changes neither parameters nor state: the loss of the batch, and in the
/// shards their parts of the gradients of all parameters. Returns also how many shards there are.
pub(crate) fn gradients<F: Scalar>(
    network: &Network<F>,
    compiled: &mut Compiled<F>,
    data: &StepData<'_, F>,
) -> Result<(f64, usize)> {
    let Compiled { driver, objectives, workspace, .. } = compiled;
    let graph = &network.graph;
    check_batch("fit", &graph.inputs, data.rows.len())?;
    let used = workspace.set_rows(graph, objectives, data.dataset, data.rows.len());
    let Workspace { shards, totals, training, weighted, denominators, loss_totals, .. } = workspace;
    let prepared = training.as_ref().expect("prepared before the first step");
    let shards = &mut shards[..used];
    let mode = Mode::Training { seed: network.seed, step: driver.calls };
    let batch = data.rows.len();
    let run = Run { graph, params: &network.params, plan: &prepared.plan, mode, batch, penalties: true };
    let known = known_denominators(&run, objectives, data, weighted, denominators);

    pass::forward(shards, totals, &run, None, &|work: &mut StepShard<F>| work.load(&run, objectives, data), &|work| {
        work.weigh(&run, objectives, data, known);
        if known {
            work.gradients(&run, objectives, &prepared.fused, denominators, loss_totals);
            pass::backward_part(work.shard_mut(), &run, run.plan.seams.len(), None, &[]);
        }
    });
    refusal(shards, graph, data)?;
    if !known {
        join_losses(shards, objectives, denominators, loss_totals);
        parallel::for_each(shards, &|work: &mut StepShard<F>| {
            work.evaluate(&run, objectives, loss_totals);
            work.gradients(&run, objectives, &prepared.fused, denominators, loss_totals);
        });
    }
    let loss = total_loss(shards, objectives, denominators)? + network.penalty().f64();
    if !loss.is_finite() {
        return Err(Error::LossNotFinite { loss, step: driver.calls });
    }
    pass::backward(shards, totals, &run, None, known);
    watch(shards, objectives, &run);
    network.add_penalty_gradients(&mut shards[0].shard.param_grads);
    Ok((loss, used))
}

impl<F: Scalar> Workspace<F> {
    /// The gradients that [`gradients`] left in the first `used` shards.
    pub fn gradients(&mut self, graph: &Graph<F>, used: usize) -> &[F] {
        self.shards[..used].iter_mut().for_each(|work| work.shard.spread_rows(graph));
        Partial::new(self.shards[..used].iter_mut().map(|work| &mut *work.shard.param_grads)).into_sum()
    }
}

/// One step of evaluation; returns the loss of the batch.
pub(crate) fn test<F: Scalar>(
    network: &mut Network<F>,
    compiled: &mut Compiled<F>,
    data: &StepData<'_, F>,
) -> Result<f64> {
    let Compiled { objectives, workspace, .. } = compiled;
    let graph = &network.graph;
    check_batch("evaluate", &graph.inputs, data.rows.len())?;
    let used = workspace.set_rows(graph, objectives, data.dataset, data.rows.len());
    let Workspace { shards, totals, inference, weighted, denominators, loss_totals, .. } = workspace;
    let prepared = inference.as_ref().expect("prepared before the first step");
    let shards = &mut shards[..used];
    let mode = Mode::Inference;
    let run =
        Run { graph, params: &network.params, plan: &prepared.plan, mode, batch: data.rows.len(), penalties: true };
    let known = known_denominators(&run, objectives, data, weighted, denominators);
    let load = |work: &mut StepShard<F>| work.load(&run, objectives, data);
    pass::forward(shards, totals, &run, None, &load, &|work| work.weigh(&run, objectives, data, known));
    refusal(shards, graph, data)?;
    if !known {
        join_losses(shards, objectives, denominators, loss_totals);
        parallel::for_each(shards, &|work: &mut StepShard<F>| work.evaluate(&run, objectives, loss_totals));
    }
    let loss = total_loss(shards, objectives, denominators)? + network.penalty().f64();
    watch(shards, objectives, &run);
    if graph.carries_state() {
        let graph = network.graph.clone();
        let run =
            Run { graph: &graph, params: &[], plan: &prepared.plan, mode, batch: data.rows.len(), penalties: true };
        for work in shards.iter() {
            work.shard.update_state(&run, &mut network.params, Feeds::Own(&work.shard.inputs));
        }
    }
    Ok(loss)
}

/// A value of the batch that a layer refused.
fn refusal<F: Scalar>(shards: &[StepShard<F>], graph: &Graph<F>, data: &StepData<'_, F>) -> Result<()> {
    match shards.iter().find_map(|work| work.shard.refusal(graph, Some(data.rows))) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Fills in the denominators that are known before the shards have met; true if all are, and no loss couples samples.
fn known_denominators<F: Scalar>(
    run: &Run<'_, F>,
    objectives: &[Objective<F>],
    data: &StepData<'_, F>,
    weighted: &[bool],
    denominators: &mut [Option<f64>],
) -> bool {
    let mut all = true;
    for (i, (objective, denominator)) in objectives.iter().zip(denominators).enumerate() {
        let slot = run.graph.outputs[i];
        let values = if objective.loss.of_batch() { objective.values } else { run.batch * objective.values };
        let weighted = data.class_weights.is_some() || weighted[i];
        let masked = run.graph.masks[slot].is_some() || objective.loss.ignores_rows();
        *denominator = known_denominator(objective.reduction, values, weighted, masked);
        all &= denominator.is_some() && objective.sums == 0;
    }
    all
}

/// Joins what denominators and losses need of the whole batch, in shard order.
fn join_losses<F: Scalar>(
    shards: &[StepShard<F>],
    objectives: &[Objective<F>],
    denominators: &mut [Option<f64>],
    totals: &mut [Vec<F>],
) {
    for (i, objective) in objectives.iter().enumerate() {
        let mut sums: Sums = shards[0].losses[i].rows.sums;
        totals[i].copy_from_slice(&shards[0].losses[i].sums);
        for work in &shards[1..] {
            if !work.losses[i].of_batch {
                sums.join(&work.losses[i].rows.sums);
            }
            elementwise::axpy(F::one(), &work.losses[i].sums, &mut totals[i]);
        }
        denominators[i] = sums.denominator(objective.reduction);
    }
}

/// The loss of the batch without the parameters' penalties; or what went wrong in a shard.
fn total_loss<F: Scalar>(
    shards: &mut [StepShard<F>],
    objectives: &[Objective<F>],
    denominators: &[Option<f64>],
) -> Result<f64> {
    if let Some(error) = shards.iter_mut().find_map(|work| work.failed.take()) {
        return Err(error);
    }
    let mut loss: f64 = shards.iter().map(|work| work.penalty).sum();
    for (i, objective) in objectives.iter().enumerate() {
        let counted = if objective.loss.of_batch() { 1 } else { shards.len() };
        let total: f64 = shards[..counted].iter().map(|work| work.losses[i].total).sum();
        loss += objective.weight * divide(total, denominators[i].unwrap_or(1.0));
    }
    Ok(loss)
}

/// Lets every metric see the batch, shard by shard.
fn watch<F: Scalar>(shards: &[StepShard<F>], objectives: &mut [Objective<F>], run: &Run<'_, F>) {
    for (i, objective) in objectives.iter_mut().enumerate() {
        let slot = run.graph.outputs[i];
        for work in shards {
            let loss = &work.losses[i];
            let prediction = work.shard.value(run, slot, Feeds::Own(&work.shard.inputs));
            let masked = work.shard.mask(run.graph, slot).is_some() && !loss.of_batch;
            for watched in &mut objective.metrics {
                let weights = match (watched.weighted, masked) {
                    (true, _) => Some(loss.rows.weights.as_slice()),
                    (false, true) => Some(loss.rows.counts()),
                    (false, false) => None,
                };
                watched.metric.update(prediction, loss.target.view(), weights);
            }
        }
    }
}
