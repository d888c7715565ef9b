//! What all optimizers have in common: everything around the update itself.
//!
//! One step, in Keras's order: gradients are averaged over accumulated steps, clipped, weights decay, the algorithm
//! updates them, the moving average follows, constraints hold.

use std::ops::Range;
use std::sync::Arc;

use super::{Common, Optimizer, Step, ZeroGradient};
use crate::kernels::{elementwise, optimizer as kernels, reduce};
use crate::layers::rows::Rows;
use crate::layers::{GradState, ParamSpec};
use crate::models::graph::Graph;
use crate::models::partial::Partial;
use crate::models::{Model, Pass};
use crate::parallel;
use crate::{Error, Result, Scalar};

/// An optimizer at work on one model: its slots, its step, and what all optimizers share.
///
/// `fit` uses one; a training loop of one's own makes one with [`Driver::new`] and calls [`step`](Self::step) (see
/// [`Model::forward`](crate::Model::forward) for such a loop).
#[derive(Clone)]
pub struct Driver<F: Scalar> {
    optimizer: Arc<dyn Optimizer<F>>,
    common: Common,
    /// One run of values a slot, laid out like the parameters.
    pub(crate) slots: Vec<Vec<F>>,
    /// Gradients accumulated since the last update.
    pub(crate) accumulated: Vec<F>,
    /// The moving average of the weights.
    pub(crate) average: Vec<F>,
    /// How many values the model's parameters have.
    params: usize,
    /// Calls of `step`.
    pub(crate) calls: u64,
    /// A rate that a callback set in place of the optimizer's own.
    pub(crate) rate: Option<f64>,
    /// The gradients of a [`step`](Self::step), which changes them.
    gradients: Vec<F>,
    /// Which layers train, and what one step changes: worked out once.
    trains: Vec<bool>,
    pieces: Vec<Piece>,
    /// The runs of weights that this step changes.
    runs: Vec<Range<usize>>,
}

/// Weights that a step changes.
#[derive(Clone)]
enum Piece {
    /// All of a run, which parameters side by side have in common.
    Run(Range<usize>),
    /// Some rows of a table.
    Table(Table),
}

/// A table of which a step changes the rows that have a gradient, or have had one.
#[derive(Clone)]
struct Table {
    /// Which parameter it is.
    spec: usize,
    range: Range<usize>,
    rows: usize,
    /// The rows that have had one, if an update moves them on without one.
    seen: Option<Rows>,
}

/// A table is updated row by row as long as at most one row of so many is concerned.
const SPARSE: usize = 8;

impl Table {
    fn add_runs(&mut self, touched: Option<&mut Rows>, runs: &mut Vec<Range<usize>>) {
        let rows = match (touched, &mut self.seen) {
            (Some(touched), None) => touched,
            (Some(touched), Some(seen)) => {
                seen.unite(touched);
                seen
            }
            (None, seen) => {
                // Nobody knows which rows have a gradient: all count.
                if let Some(seen) = seen {
                    seen.insert_all();
                }
                runs.push(self.range.clone());
                return;
            }
        };
        if rows.len() * SPARSE > self.rows {
            // One long run is quicker than as many short ones, and the rows between them stay as they are.
            runs.push(self.range.clone());
            return;
        }
        let width = self.range.len() / self.rows;
        runs.extend(rows.runs().map(|run| self.range.start + run.start * width..self.range.start + run.end * width));
    }
}

/// A run of weights with all that belongs to it, which can be cut in two.
struct Span<'a, F> {
    weights: &'a mut [F],
    gradients: Partial<'a, F>,
    slots: [&'a mut [F]; MOST_SLOTS],
}

impl<F: Scalar> Span<'_, F> {
    /// Some of the weights.
    fn part(&mut self, range: Range<usize>) -> Span<'_, F> {
        let mut slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for (part, slot) in slots.iter_mut().zip(&mut self.slots).filter(|(_, slot)| !slot.is_empty()) {
            *part = &mut slot[range.clone()];
        }
        Span { weights: &mut self.weights[range.clone()], gradients: self.gradients.part(range), slots }
    }

    /// The weights before `middle`, and those from there on.
    fn split_at(self, middle: usize) -> (Self, Self) {
        let (left_weights, right_weights) = self.weights.split_at_mut(middle);
        let (left_gradients, right_gradients) = self.gradients.split_at(middle);
        let mut left_slots: [&mut [F]; MOST_SLOTS] = Default::default();
        let mut right_slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for ((slot, left), right) in self.slots.into_iter().zip(&mut left_slots).zip(&mut right_slots) {
            if !slot.is_empty() {
                (*left, *right) = slot.split_at_mut(middle);
            }
        }
        let left = Self { weights: left_weights, gradients: left_gradients, slots: left_slots };
        (left, Self { weights: right_weights, gradients: right_gradients, slots: right_slots })
    }
}

const MOST_SLOTS: usize = 4;

/// Weights that one thread updates at a time: their slots and gradients fit into its cache.
const SPAN: usize = 1 << 13;

impl<F: Scalar> Driver<F> {
    /// An optimizer for this model's parameters.
    ///
    /// # Errors
    /// If an option of the optimizer is outside its range.
    pub fn new(optimizer: impl Optimizer<F> + 'static, model: &Model<F>) -> Result<Self> {
        Self::from_arc(Arc::new(optimizer), model.params.len())
    }

    pub(crate) fn from_arc(optimizer: Arc<dyn Optimizer<F>>, params: usize) -> Result<Self> {
        let common = optimizer.common();
        let checked = common.check().and_then(|()| optimizer.check());
        checked.map_err(|error| match optimizer.describe() {
            Some((class, _)) => error.within(format!("optimizer {class}")),
            None => error.within("optimizer"),
        })?;
        let slots = optimizer.slots().len();
        assert!(slots <= MOST_SLOTS, "an optimizer has at most {MOST_SLOTS} slots");
        Ok(Self {
            slots: (0..slots).map(|slot| vec![F::of(optimizer.slot_start(slot)); params]).collect(),
            accumulated: if common.gradient_accumulation_steps.is_some() {
                vec![F::zero(); params]
            } else {
                Vec::new()
            },
            average: if common.use_ema { vec![F::zero(); params] } else { Vec::new() },
            params,
            calls: 0,
            rate: None,
            gradients: Vec::new(),
            trains: Vec::new(),
            pieces: Vec::new(),
            runs: Vec::new(),
            optimizer,
            common,
        })
    }

    /// How many steps have been made.
    pub fn steps(&self) -> u64 {
        self.calls
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.rate.unwrap_or_else(|| self.common.learning_rate.at(self.calls))
    }

    /// Sets the learning rate of all further steps.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Error::option("learning_rate", "a finite number, at least 0", rate));
        }
        self.rate = Some(rate);
        Ok(())
    }

    /// One step with the gradients of `pass`, which the last [`backward`](crate::Model::backward) left there; layers
    /// with state (moving statistics) write it.
    ///
    /// # Errors
    /// If no backward pass went before, the pass or this optimizer was made for another model, or a gradient is not
    /// finite; the model is then as it was.
    pub fn step(&mut self, model: &mut Model<F>, pass: &Pass<F>) -> Result<()> {
        self.check_step(model, pass)?;
        model.update_state(pass);
        self.apply_pass(model, pass);
        Ok(())
    }

    /// Refuses what [`step`](Self::step) refuses.
    pub(crate) fn check_step(&self, model: &Model<F>, pass: &Pass<F>) -> Result<()> {
        if !Arc::ptr_eq(&pass.graph, &model.graph) || self.params != model.params.len() {
            let needs = "a pass of this model, and an optimizer made for it";
            return Err(Error::NotReady { call: "Driver::step", needs });
        }
        if !pass.wanted.parameters {
            return Err(Error::NotReady { call: "Driver::step", needs: "a pass with the gradients of parameters" });
        }
        if !pass.gone_back {
            return Err(Error::NotReady { call: "Driver::step", needs: "run `backward` with this pass first" });
        }
        if !reduce::all_finite(&pass.gradients) {
            return Err(Error::data("Driver::step", "finite gradients", "a NaN or an infinity"));
        }
        Ok(())
    }

    /// The update of a [`step`](Self::step) that has been checked.
    pub(crate) fn apply_pass(&mut self, model: &mut Model<F>, pass: &Pass<F>) {
        let mut gradients = std::mem::take(&mut self.gradients);
        gradients.clone_from(&pass.gradients);
        let graph = model.graph.clone();
        let threads = model.threads.clone();
        let (params, trains) = (&mut model.params, &model.trains);
        threads.enter(|| {
            self.apply(&graph, trains, params, Partial::new(std::iter::once(gradients.as_mut_slice())), &mut []);
        });
        self.gradients = gradients;
    }

    /// One step: changes `weights` by `gradients`, which are overwritten. `known` tells of each parameter which rows have
    /// a gradient; empty, nobody knows.
    pub(crate) fn apply(
        &mut self,
        graph: &Graph<F>,
        trains: &[bool],
        weights: &mut [F],
        mut gradients: Partial<'_, F>,
        known: &mut [GradState],
    ) {
        if self.trains != trains {
            self.trains = trains.to_vec();
            self.pieces = self.pieces(graph, trains);
            self.runs.reserve(self.pieces.iter().map(Piece::most_runs).sum());
        }
        self.runs.clear();
        for piece in &mut self.pieces {
            match piece {
                Piece::Run(run) => self.runs.push(run.clone()),
                Piece::Table(table) => {
                    let touched = known.get_mut(table.spec).and_then(|known| known.rows.as_mut());
                    table.add_runs(touched, &mut self.runs);
                }
            }
        }
        if self.common.maximize {
            kernels::scale(gradients.add_up_in_parallel(), -F::one());
        }
        if self.common.use_ema && self.calls == 0 {
            // Frozen layers too: one that is thawed later finds its own weights, not zeros.
            self.average.copy_from_slice(weights);
        }
        let accumulate = self.common.gradient_accumulation_steps.unwrap_or(1);
        let updates = self.calls / accumulate;
        let due = (self.calls + 1).is_multiple_of(accumulate);
        if accumulate > 1 {
            let gradients = gradients.add_up_in_parallel();
            elementwise::axpy(F::one(), gradients, &mut self.accumulated);
            if due {
                let scale = F::one() / F::of(accumulate as f64);
                for (gradient, sum) in gradients.iter_mut().zip(&mut self.accumulated) {
                    *gradient = std::mem::replace(sum, F::zero()) * scale;
                }
            }
        }
        if due {
            self.update(graph, updates + 1, weights, gradients);
        }
        if self.common.use_ema {
            let momentum = if updates == 0 { F::zero() } else { F::of(self.common.ema_momentum) };
            for run in &self.runs {
                let (average, weights) = (&mut self.average[run.clone()], &mut weights[run.clone()]);
                kernels::moving_average(average, weights, momentum);
                if self.common.ema_overwrite_frequency.is_some_and(|every| (updates + 1).is_multiple_of(every)) {
                    weights.copy_from_slice(average);
                }
            }
        }
        for_each_spec(graph, trains, |_, spec| {
            if let Some(constraint) = &spec.constraint {
                constraint.apply(&mut weights[spec.range.clone()], &spec.shape);
            }
        });
        self.calls += 1;
    }

    /// What a step changes: tables apart where the rows without a gradient may be left out.
    fn pieces(&self, graph: &Graph<F>, trains: &[bool]) -> Vec<Piece> {
        let (common, optimizer) = (&self.common, &self.optimizer);
        let alone = self.leaves_zeros() && !common.decays() && !common.use_ema && !optimizer.couples_weights();
        let zero_gradient = if alone { optimizer.zero_gradient() } else { ZeroGradient::Moves };
        let mut pieces: Vec<Piece> = Vec::new();
        for_each_spec(graph, trains, |number, spec| match (spec.table_rows(), zero_gradient, pieces.last_mut()) {
            (Some(rows), ZeroGradient::Keeps | ZeroGradient::KeepsFresh, _) => {
                let seen = (zero_gradient == ZeroGradient::KeepsFresh).then(|| {
                    let mut seen = Rows::none_of(rows);
                    if self.calls > 0 {
                        // What an optimizer has seen in an earlier run is not known.
                        seen.insert_all();
                    }
                    seen
                });
                pieces.push(Piece::Table(Table { spec: number, range: spec.range.clone(), rows, seen }));
            }
            (_, _, Some(Piece::Run(last))) if last.end == spec.range.start => last.end = spec.range.end,
            _ => pieces.push(Piece::Run(spec.range.clone())),
        });
        pieces
    }

    /// Whether [`apply`](Self::apply) leaves gradients that are 0 at 0.
    pub(crate) fn leaves_zeros(&self) -> bool {
        let common = &self.common;
        common.gradient_accumulation_steps.is_none() && (common.decoupled_weight_decay || !common.decays())
    }

    fn update(&mut self, graph: &Graph<F>, number: u64, weights: &mut [F], mut gradients: Partial<'_, F>) {
        let step = Step { number, learning_rate: self.learning_rate() };
        let (optimizer, common, trains) = (&self.optimizer, &self.common, &self.trains);
        let mut scale = None;
        if let Some(most) = common.clipnorm {
            let gradients = gradients.add_up_in_parallel();
            for_each_spec(graph, trains, |_, spec| clip_norm(most, &mut gradients[spec.range.clone()]));
        } else if let Some(most) = common.global_clipnorm {
            let gradients = gradients.add_up_in_parallel();
            let mut squares = 0.0;
            for_each_spec(graph, trains, |_, spec| {
                squares += reduce::sum_of_squares(&gradients[spec.range.clone()]);
            });
            let norm = squares.sqrt();
            scale = Some(F::of(most * (1.0 / norm).min(1.0 / most)));
        }
        let decay = common.weight_decay.filter(|_| common.decays());
        let work = |span: &mut Span<'_, F>| {
            let gradients = span.gradients.add_up();
            if let Some(scale) = scale {
                kernels::scale(gradients, scale);
            }
            if let Some(most) = common.clipvalue {
                kernels::clip(gradients, F::of(most));
            }
            match decay {
                Some(decay) if common.decoupled_weight_decay => {
                    kernels::scale(span.weights, F::one() - F::of(decay * step.learning_rate));
                }
                Some(decay) => elementwise::axpy(F::of(decay), span.weights, gradients),
                None => (),
            }
            let slots = &mut span.slots[..optimizer.slots().len()];
            optimizer.update(step, span.weights, gradients, slots);
        };
        let mut slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for (own, slot) in slots.iter_mut().zip(&mut self.slots) {
            *own = slot;
        }
        let mut all = Span { weights, gradients, slots };
        if optimizer.couples_weights() {
            for_each_spec(graph, trains, |_, spec| work(&mut all.part(spec.range.clone())));
        } else {
            in_runs(all, 0, &self.runs, &work);
        }
    }

    /// Ends a training: with `use_ema` the moving average takes the weights' place.
    pub fn finish(&self, model: &mut Model<F>) {
        if self.common.use_ema && self.calls > 0 {
            let params = &mut model.params;
            for_each_spec(&model.graph, &model.trains, |_, spec| {
                params[spec.range.clone()].copy_from_slice(&self.average[spec.range.clone()]);
            });
        }
    }

    pub(crate) fn optimizer(&self) -> &Arc<dyn Optimizer<F>> {
        &self.optimizer
    }
}

impl Piece {
    /// How many runs of weights it can have.
    fn most_runs(&self) -> usize {
        match self {
            Self::Run(_) => 1,
            Self::Table(table) => table.rows / SPARSE + 1,
        }
    }
}

/// The parameters that training changes, one by one, with their numbers.
fn for_each_spec<F: Scalar>(graph: &Graph<F>, trains: &[bool], mut visit: impl FnMut(usize, &ParamSpec)) {
    for (layer, _) in graph.layers.iter().zip(trains).filter(|(_, trains)| **trains) {
        for number in layer.specs.clone().filter(|number| graph.specs[*number].learned) {
            visit(number, &graph.specs[number]);
        }
    }
}

/// g ← g · most / max(‖g‖, most)
fn clip_norm<F: Scalar>(most: f64, gradient: &mut [F]) {
    let norm = reduce::sum_of_squares(gradient).sqrt();
    if norm > most {
        kernels::scale(gradient, F::of(most / norm));
    }
}

/// Works on the runs `runs`, of a span whose first weight has the number `first`; on many of them in parallel.
fn in_runs<F: Scalar>(
    mut span: Span<'_, F>,
    first: usize,
    runs: &[Range<usize>],
    work: &(impl Fn(&mut Span<'_, F>) + Sync),
) {
    /// Runs that one thread works on at a time: rows of a table are short.
    const RUNS: usize = 32;
    if runs.len() <= RUNS {
        return runs.iter().for_each(|run| in_halves(span.part(run.start - first..run.end - first), work));
    }
    let (left_runs, right_runs) = runs.split_at(runs.len() / 2);
    let middle = right_runs[0].start;
    let (left, right) = span.split_at(middle - first);
    parallel::join(|| in_runs(left, first, left_runs, work), || in_runs(right, middle, right_runs, work));
}

/// Cuts a span until each piece is small, and works on the pieces in parallel. Where it is cut changes no result.
fn in_halves<F: Scalar>(span: Span<'_, F>, work: &(impl Fn(&mut Span<'_, F>) + Sync)) {
    let len = span.weights.len();
    if len <= SPAN {
        return work(&mut { span });
    }
    // Multiples of 64 keep both halves aligned alike.
    let (left, right) = span.split_at((len / 2).next_multiple_of(64));
    parallel::join(|| in_halves(left, work), || in_halves(right, work));
}
