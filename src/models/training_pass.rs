//! The passes of a training: a batch goes forward, its losses are taken, and their gradients go back.
//!
//! `fit`, `evaluate` and the steps of a user's loop all go through here.

use std::ops::Range;
use std::sync::Arc;

use super::objectives::Objective;
use crate::data::{Batch, Dataset};
use crate::engine::executor::{Executor, Finished, Lane, Work};
use crate::engine::graph::Graph;
use crate::engine::partial::ShardGradients;
use crate::engine::plan::Wanted;
use crate::engine::shapes::{MOST_KEPT, Shapes};
use crate::engine::shard::Shard;
use crate::engine::{Network, agree, check_batch, join_tree, sum_tree};
use crate::kernels::elementwise;
use crate::layers::Mode;
use crate::losses::output::{LossShapes, OutputLoss, known_denominator};
use crate::losses::reduction::{Sums, divide};
use crate::optimizers::Driver;
use crate::tensor::volume;
use crate::{Activation, Error, Result, Scalar, Tensor, View, ViewMut};

/// What a step works on, beside the network.
pub(crate) struct StepData<'a, F: Scalar> {
    pub dataset: &'a dyn Dataset<F>,
    /// The rows of the batch.
    pub rows: &'a [usize],
    /// A weight a class.
    pub class_weights: Option<&'a [F]>,
    /// Whether targets are to be checked batch by batch, since nobody could check them before.
    pub check: bool,
}

/// The memory of a training's passes, reused from step to step.
pub(crate) struct TrainingPass<F: Scalar> {
    /// None before the first step.
    executor: Option<Executor<F, Targets<F>>>,
    /// The shapes of each output's loss by those of the network's outputs; the last are the present batch's.
    shapes: Vec<(Arc<Shapes>, Vec<LossShapes>)>,
    /// Each output's loss on the last batch.
    losses: Vec<f64>,
    /// That of the last batch, with penalties, and the step that it was.
    last: (f64, u64),
    settled: Settled<F>,
}

/// What is settled about the outputs, for all shards of a batch.
#[derive(Default)]
struct Settled<F> {
    /// For each output: the activation that its layer leaves out, as the loss takes what comes before it.
    fused: Vec<Option<Activation>>,
    /// For each output, the shape of a row of its weights, where there are any.
    weights: Vec<Option<Vec<usize>>>,
    /// D of each output's loss.
    denominators: Vec<Option<f64>>,
    /// The sums that each output's loss needs over the batch.
    totals: Vec<Vec<F>>,
    /// Whether the denominators of the last batch were known before its shards met.
    known: bool,
}

impl<F: Scalar> Default for TrainingPass<F> {
    fn default() -> Self {
        Self { executor: None, shapes: Vec::new(), losses: Vec::new(), last: (0.0, 0), settled: Settled::default() }
    }
}

/// What a shard carries in training: its rows of the targets, and their losses.
pub(crate) struct Targets<F: Scalar> {
    losses: Vec<OutputLoss<F>>,
    /// The penalties on its outputs.
    penalty: f64,
    failed: Option<Error>,
    /// The first parameter whose gradient was not finite.
    not_finite: Option<usize>,
}

/// What is done with each shard of a batch.
struct Losses<'a, F: Scalar> {
    graph: &'a Graph<F>,
    objectives: &'a [Objective<F>],
    shapes: &'a [LossShapes],
    settled: &'a Settled<F>,
    step: u64,
    /// None in the backward pass, which loads nothing.
    data: Option<&'a StepData<'a, F>>,
}

impl<F: Scalar> Work<F> for Losses<'_, F> {
    type Own = Targets<F>;

    fn own(&self) -> Targets<F> {
        let outputs = self.objectives.iter().zip(&self.settled.weights);
        let losses = outputs.map(|(objective, weights)| OutputLoss::new(objective.loss.as_ref(), weights.is_some()));
        Targets { losses: losses.collect(), penalty: 0.0, failed: None, not_finite: None }
    }

    fn load(&self, own: &mut Targets<F>, rows: Range<usize>, inputs: &mut [Tensor<F>]) {
        let data = self.data.expect("a forward pass has a batch");
        for ((loss, shapes), weights) in own.losses.iter_mut().zip(self.shapes).zip(&self.settled.weights) {
            loss.make_room(rows.len(), shapes, weights.as_deref());
        }
        let mut batch = Batch { inputs, outputs: &mut own.losses, step: self.step };
        own.failed = data.dataset.gather(&data.rows[rows], &mut batch).err();
        if data.check && own.failed.is_none() {
            let outputs = self.objectives.iter().zip(&own.losses).zip(self.shapes);
            own.failed = outputs
                .map(|((objective, loss), shapes)| {
                    objective.loss.check_targets("fit", &shapes.prediction, loss.target.view())
                })
                .find_map(Result::err);
        }
    }

    /// Weighs the rows of every output; where denominators are known also takes the losses' values.
    fn finish(&self, own: &mut Targets<F>, shard: &Finished<'_, F>) {
        let class_weights = self.data.and_then(|data| data.class_weights);
        for (i, (loss, objective)) in own.losses.iter_mut().zip(self.objectives).enumerate() {
            let fused = self.settled.fused[i].as_ref();
            loss.weigh(objective.loss.as_ref(), fused, shard.output(i), class_weights, shard.mask(i));
            if self.settled.known {
                loss.evaluate(objective.loss.as_ref(), fused, shard.output(i), &[]);
            }
        }
        own.penalty = shard.activity_penalty().f64();
    }

    fn gone_back(&self, own: &mut Targets<F>, shard: &Shard<F>) {
        own.not_finite = shard.not_finite(self.graph);
    }

    fn goes_back_at_once(&self) -> bool {
        self.settled.known
    }

    fn gradient(&self, own: &mut Targets<F>, _: &Range<usize>, output: usize, y: View<'_, F>, grad: ViewMut<'_, F>) {
        let (objective, fused) = (&self.objectives[output], self.settled.fused[output].as_ref());
        let (weight, denominator) = (objective.weight, self.settled.denominators[output].unwrap_or(1.0));
        let loss = objective.loss.as_ref();
        own.losses[output].gradient(loss, fused, y, weight, denominator, &self.settled.totals[output], grad);
    }
}

impl<F: Scalar> TrainingPass<F> {
    /// Makes what steps on this data set need, whose rows fit the network.
    ///
    /// # Errors
    /// If a layer refuses what comes to it.
    pub fn prepare(
        &mut self,
        network: &Network<F>,
        objectives: &[Objective<F>],
        dataset: &dyn Dataset<F>,
    ) -> Result<()> {
        let weights = dataset.weight_shapes();
        if weights.iter().map(Option::is_some).ne(self.settled.weights.iter().map(Option::is_some))
            && let Some(executor) = &mut self.executor
        {
            executor.clear();
        }
        self.settled.weights = weights;
        if self.executor.is_none() {
            self.settled.fused = fused_activations(&network.graph, objectives);
            let flags = self.settled.fused.iter().map(Option::is_some).collect();
            let mut executor = Executor::new(network, Wanted::PARAMETERS, flags);
            executor.penalties = true;
            self.executor = Some(executor);
        }
        self.settled.denominators.resize(objectives.len(), None);
        self.losses.resize(objectives.len(), 0.0);
        let executor = self.executor.as_mut().expect("just made");
        executor.take_shapes(dataset.input_shapes().iter().map(Vec::as_slice))?;
        let shapes = executor.shapes().expect("just taken").clone();
        self.take_shapes(shapes, &network.graph, objectives)
    }

    /// Brings the shapes of the losses to the end that belong to these shapes of outputs.
    fn take_shapes(&mut self, shapes: Arc<Shapes>, graph: &Graph<F>, objectives: &[Objective<F>]) -> Result<()> {
        if let Some(place) = self.shapes.iter().rposition(|(known, _)| Arc::ptr_eq(known, &shapes)) {
            self.shapes[place..].rotate_left(1);
        } else {
            let outputs = objectives.iter().zip(&graph.outputs);
            let of_losses = outputs.map(|(objective, &slot)| LossShapes::of(&*objective.loss, &shapes.of[slot]));
            let of_losses = of_losses.collect::<Result<Vec<_>>>()?;
            if self.shapes.len() == MOST_KEPT {
                self.shapes.remove(0);
            }
            self.shapes.push((shapes, of_losses));
        }
        let (_, of_losses) = self.shapes.last().expect("just put there");
        self.settled.totals.resize_with(objectives.len(), Vec::new);
        self.settled
            .totals
            .iter_mut()
            .zip(of_losses)
            .for_each(|(totals, of_loss)| totals.resize(of_loss.sums, F::zero()));
        Ok(())
    }

    /// Runs a batch forward and takes its losses; returns the loss of the batch, penalties included. Metrics see the
    /// batch. In training, shards that need nothing of one another have then begun to go back.
    ///
    /// # Errors
    /// If rows cannot be had or are refused. In training also if the loss is not finite.
    pub fn forward(
        &mut self,
        network: &Network<F>,
        objectives: &mut [Objective<F>],
        data: &StepData<'_, F>,
        mode: Mode,
    ) -> Result<f64> {
        let (training, step) = match mode {
            Mode::Training { step, .. } => (true, step),
            Mode::Inference => (false, 0),
        };
        check_batch(if training { "fit" } else { "evaluate" }, &network.graph.inputs, data.rows.len())?;
        self.settled.known = self.known_denominators(network, objectives, data);
        let executor = self.executor.as_mut().expect("prepared before the first step");
        let (_, shapes) = self.shapes.last().expect("prepared before the first step");
        let graph = &network.graph;
        let work = Losses { graph, objectives, shapes, settled: &self.settled, step, data: Some(data) };
        let gone = executor.forward(network, mode, data.rows.len(), Some(data.rows), &work);
        let failed = executor.lanes_mut().iter_mut().find_map(|lane| lane.own.failed.take());
        agree(network.exchange.as_deref(), gone.err().or(failed))?;
        if !self.settled.known {
            self.join_losses(network, objectives)?;
            let (Settled { totals, fused, .. }, objectives) = (&self.settled, &*objectives);
            let executor = self.executor.as_mut().expect("prepared before the first step");
            executor.for_each(network, &|own: &mut Targets<F>, shard| {
                for (i, (loss, objective)) in own.losses.iter_mut().zip(objectives).enumerate() {
                    loss.evaluate(objective.loss.as_ref(), fused[i].as_ref(), shard.output(i), &totals[i]);
                }
            });
        }
        let loss = self.total_loss(network, objectives)? + network.penalty().f64();
        if training && !loss.is_finite() {
            let error = Error::LossNotFinite { loss, step };
            let lanes = self.executor.as_ref().expect("a forward pass went before").lanes();
            return Err(match lanes.iter().find_map(|lane| lane.shard.padding_row()) {
                Some(row) => {
                    error.within(format!("row {} is padding alone, and a mean over no steps is NaN", data.rows[row]))
                }
                None => error,
            });
        }
        self.last = (loss, step);
        self.watch(network, objectives);
        Ok(loss)
    }

    /// Whether a batch has gone forward, and not yet back.
    pub fn can_go_back(&self) -> bool {
        self.executor.as_ref().is_some_and(Executor::can_go_back)
    }

    /// Whether the gradients of a batch lie in the shards.
    pub fn has_gone_back(&self) -> bool {
        self.executor.as_ref().is_some_and(Executor::has_gone_back)
    }

    /// Runs the gradients of the losses back; they then lie in the shards.
    ///
    /// # Errors
    /// A gradient that is not finite, or what the network's exchange gives.
    pub fn backward(&mut self, network: &Network<F>, objectives: &[Objective<F>]) -> Result<()> {
        let executor = self.executor.as_mut().expect("a forward pass went before");
        let (_, shapes) = self.shapes.last().expect("a forward pass went before");
        let graph = &network.graph;
        let work = Losses { graph, objectives, shapes, settled: &self.settled, step: 0, data: None };
        executor.backward(network, &work)?;
        let not_finite = executor.lanes().iter().find_map(|lane| lane.own.not_finite);
        let error = not_finite.map(|number| {
            let (loss, step) = self.last;
            let path = graph.param_paths().find(|(_, spec)| spec.range == graph.specs[number].range);
            Error::GradientNotFinite { parameter: path.map_or_else(String::new, |(path, _)| path), loss, step }
        });
        agree(network.exchange.as_deref(), error)?;
        if let Some(first) = executor.lanes_mut().iter_mut().find(|lane| lane.shard.number == 0) {
            network.add_penalty_gradients(&mut first.shard.param_grads);
        }
        Ok(())
    }

    /// Lets layers write their state, and the optimizer change the weights.
    pub fn apply(&mut self, network: &mut Network<F>, driver: &mut Driver<F>) -> Result<()> {
        let graph = network.graph.clone();
        let executor = self.executor.as_mut().expect("a backward pass went before");
        executor.update_state(&graph, &mut network.params);
        let takes_rows = driver.takes_rows() && network.exchange.is_none();
        let ShardGradients { mut sum, known, count } = executor.gradients(&graph, takes_rows);
        if let Some(exchange) = &network.exchange {
            exchange.join(sum.add_up_in_parallel(), &|left, right| elementwise::axpy(F::one(), right, left))?;
        }
        driver.apply(&graph, &network.trains, &mut network.params, sum, &known[..count]);
        executor.forget();
        Ok(())
    }

    /// Lets layers whose state goes from batch to batch write it.
    pub fn update_state(&self, network: &mut Network<F>) {
        if network.graph.carries_state()
            && let Some(executor) = &self.executor
        {
            let graph = network.graph.clone();
            executor.update_state(&graph, &mut network.params);
        }
    }

    /// The gradients that [`backward`](Self::backward) left in the shards.
    pub fn gradients(&mut self, graph: &Graph<F>) -> &[F] {
        self.executor.as_mut().expect("a backward pass went before").gradients(graph, false).sum.into_sum()
    }

    /// Fills in the denominators that are known before the shards have met; true if all are, and no loss couples samples.
    fn known_denominators(
        &mut self,
        network: &Network<F>,
        objectives: &[Objective<F>],
        data: &StepData<'_, F>,
    ) -> bool {
        let mut all = true;
        let (_, shapes) = self.shapes.last().expect("prepared before the first step");
        for (i, ((objective, denominator), shapes)) in
            objectives.iter().zip(&mut self.settled.denominators).zip(shapes).enumerate()
        {
            let slot = network.graph.outputs[i];
            let values = volume(&shapes.values) * if objective.loss.couples_batch() { 1 } else { data.rows.len() };
            let weighted = data.class_weights.is_some() || self.settled.weights[i].is_some();
            let masked = network.graph.slots[slot].mask.is_some() || objective.loss.ignores_rows();
            *denominator = known_denominator(objective.reduction, values, weighted, masked);
            all &= denominator.is_some() && shapes.sums == 0;
        }
        all
    }

    /// Joins what denominators and losses need of the whole batch.
    fn join_losses(&mut self, network: &Network<F>, objectives: &[Objective<F>]) -> Result<()> {
        let lanes = self.executor.as_mut().expect("a forward pass went before").lanes_mut();
        for (i, objective) in objectives.iter().enumerate() {
            let couples_batch = lanes[0].own.losses[i].couples_batch;
            let first = lanes[0].own.losses[i].rows.sums;
            let count = if couples_batch { 1 } else { lanes.len() };
            let sum = |of: &dyn Fn(&Sums) -> f64| {
                sum_tree(&mut lanes.iter().map(|lane| of(&lane.own.losses[i].rows.sums)), count)
            };
            let mut sums =
                [sum(&|sums| sums.values), sum(&|sums| sums.counted.unwrap_or(0.0)), sum(&|sums| sums.weights)];
            join_tree(lanes, &mut |left: &mut Lane<F, Targets<F>>, right: &mut Lane<F, Targets<F>>| {
                elementwise::axpy(F::one(), &right.own.losses[i].sums, &mut left.own.losses[i].sums);
            });
            self.settled.totals[i].copy_from_slice(&lanes[0].own.losses[i].sums);
            if let Some(exchange) = &network.exchange {
                if !couples_batch {
                    exchange.add_up(&mut sums)?;
                }
                exchange.join(&mut self.settled.totals[i], &|left, right| elementwise::axpy(F::one(), right, left))?;
            }
            let [values, counted, weights] = sums;
            let joined = Sums { values, counted: first.counted.map(|_| counted), weights };
            self.settled.denominators[i] = joined.denominator(objective.reduction);
        }
        Ok(())
    }

    /// Each output's loss on the last batch, under its name, where there are several.
    pub fn for_each_loss(&self, objectives: &[Objective<F>], mut visit: impl FnMut(&str, f64)) {
        for (objective, &loss) in objectives.iter().zip(&self.losses).filter(|_| objectives.len() > 1) {
            visit(&objective.name, loss);
        }
    }

    /// The loss of the batch without the parameters' penalties.
    fn total_loss(&mut self, network: &Network<F>, objectives: &[Objective<F>]) -> Result<f64> {
        let lanes = self.executor.as_ref().expect("a forward pass went before").lanes();
        let over_shards =
            |of: &dyn Fn(&Targets<F>) -> f64, count| sum_tree(&mut lanes.iter().map(|lane| of(&lane.own)), count);
        let mut penalty = [over_shards(&|own| own.penalty, lanes.len())];
        if let Some(exchange) = &network.exchange {
            exchange.add_up(&mut penalty)?;
        }
        let mut loss = penalty[0];
        for (i, objective) in objectives.iter().enumerate() {
            let whole = objective.loss.couples_batch();
            let mut total = [over_shards(&|own| own.losses[i].total, if whole { 1 } else { lanes.len() })];
            if let Some(exchange) = network.exchange.as_ref().filter(|_| !whole) {
                exchange.add_up(&mut total)?;
            }
            self.losses[i] = divide(total[0], self.settled.denominators[i].unwrap_or(1.0));
            loss += objective.weight * self.losses[i];
        }
        Ok(loss)
    }

    /// Lets every metric see the batch, shard by shard.
    fn watch(&self, network: &Network<F>, objectives: &mut [Objective<F>]) {
        let executor = self.executor.as_ref().expect("a forward pass went before");
        executor.visit(network, |own, shard| {
            for (i, (objective, loss)) in objectives.iter_mut().zip(&own.losses).enumerate() {
                let masked = shard.mask(i).is_some() && !loss.couples_batch;
                for watched in &mut objective.metrics {
                    let weights = match (watched.weighted, masked) {
                        (true, _) => Some(loss.rows.weights.as_slice()),
                        (false, true) => Some(loss.rows.counts()),
                        (false, false) => None,
                    };
                    let prediction = loss.prediction(self.settled.fused[i].as_ref(), shard.output(i));
                    watched.metric.update(prediction, loss.target.view(), weights);
                }
            }
        });
    }
}

/// Which outputs' activations are left to their losses: the last thing the layer does, seen by nobody else.
fn fused_activations<F: Scalar>(graph: &Graph<F>, objectives: &[Objective<F>]) -> Vec<Option<Activation>> {
    graph
        .outputs
        .iter()
        .zip(objectives)
        .map(|(&slot, objective)| {
            let node = graph.nodes.iter().find(|node| node.outputs.contains(&slot))?;
            let layer = graph.layer(node)?;
            let activation = layer.facts.output_activation.clone()?;
            let consumers = graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| input.slot == slot).count();
            let shown =
                graph.outputs.iter().filter(|&&other| graph.slots[other].memory == graph.slots[slot].memory).count();
            let alone = consumers == 0 && shown == 1 && layer.description.activity_regularizer.is_none();
            (alone && objective.loss.fuses_with(&activation)).then_some(activation)
        })
        .collect()
}
