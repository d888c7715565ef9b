//! What all optimizers have in common: everything around the update itself.
//!
//! One step, in Keras's order: gradients are averaged over accumulated steps, clipped, weights decay, the algorithm
//! updates them, the moving average follows, constraints hold.

use std::ops::Range;
use std::sync::Arc;

use super::{Common, Optimizer, Step, ZeroGradient};
use crate::engine::graph::Graph;
use crate::engine::partial::Partial;
use crate::engine::{Network, Pass};
use crate::kernels::aligned::Aligned;
use crate::kernels::{elementwise, optimizer as kernels, reduce};
use crate::layers::rows::{Rows, TouchedRows};
use crate::layers::{GradState, ParamSpec};
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
    pub(crate) slots: Vec<Aligned<F>>,
    /// Gradients accumulated since the last update.
    pub(crate) accumulated: Aligned<F>,
    /// The moving average of the weights.
    pub(crate) average: Aligned<F>,
    /// How many values the model's parameters have.
    params: usize,
    /// Calls of `step`.
    pub(crate) calls: u64,
    /// A rate that a callback set in place of the optimizer's own.
    pub(crate) rate: Option<f64>,
    /// The gradients of a [`step`](Self::step), which changes them.
    gradients: Aligned<F>,
    /// Which layers train, and what one step changes: worked out once.
    trains: Vec<bool>,
    pieces: Vec<Piece>,
    /// The runs of weights that this step changes, tables left out.
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
    rows: Rows,
    /// Whether rows that have had a gradient once go on moving without one.
    moves_on: bool,
    /// What the step changes: runs of rows, as runs of weights.
    runs: Vec<Range<usize>>,
}

/// A table is updated row by row as long as at most one row of so many is concerned.
const SPARSE: usize = 8;

impl Table {
    /// Works out what a step changes; `touched` are the rows that have a gradient, shard by shard.
    fn set_runs<'a, F: Scalar>(&mut self, touched: impl Iterator<Item = &'a TouchedRows<F>>) {
        if !self.moves_on {
            self.rows.clear();
        }
        touched.for_each(|rows| self.rows.insert_those(rows.touched()));
        self.runs.clear();
        if self.rows.len() * SPARSE > self.rows.count() {
            // One long run is quicker than as many short ones, and the rows between them stay as they are.
            self.runs.push(self.range.clone());
            return;
        }
        let (start, width) = (self.range.start, self.width());
        self.runs.extend(self.rows.runs().map(|run| start + run.start * width..start + run.end * width));
    }

    fn width(&self) -> usize {
        self.range.len() / self.rows.count()
    }

    /// Adds the gradients `touched` of a run of the table's weights to `sum`.
    fn add_gradients<F: Scalar>(&self, touched: &TouchedRows<F>, run: Range<usize>, sum: &mut [F]) {
        let width = self.width();
        let (first, end) = (run.start - self.range.start, run.end - self.range.start);
        for row in first / width..end.div_ceil(width) {
            if let Some(gradient) = touched.get(row) {
                // The run may begin or end within a row.
                let (from, to) = ((row * width).max(first), ((row + 1) * width).min(end));
                let gradient = &gradient[from - row * width..to - row * width];
                elementwise::axpy(F::one(), gradient, &mut sum[from - first..to - first]);
            }
        }
    }
}

/// A run of weights with all that belongs to it, which can be cut in two.
struct Span<'a, F> {
    /// The number of its first weight.
    start: usize,
    weights: &'a mut [F],
    gradients: Partial<'a, F>,
    slots: [&'a mut [F]; MOST_SLOTS],
}

impl<F: Scalar> Span<'_, F> {
    /// Some of the weights, by their numbers.
    fn part(&mut self, range: Range<usize>) -> Span<'_, F> {
        let start = range.start;
        let range = range.start - self.start..range.end - self.start;
        let mut slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for (part, slot) in slots.iter_mut().zip(&mut self.slots).filter(|(_, slot)| !slot.is_empty()) {
            *part = &mut slot[range.clone()];
        }
        Span { start, weights: &mut self.weights[range.clone()], gradients: self.gradients.part(range), slots }
    }

    /// The first `len` weights, and the others.
    fn split_at(self, len: usize) -> (Self, Self) {
        let (left_weights, right_weights) = self.weights.split_at_mut(len);
        let (left_gradients, right_gradients) = self.gradients.split_at(len);
        let mut left_slots: [&mut [F]; MOST_SLOTS] = Default::default();
        let mut right_slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for ((slot, left), right) in self.slots.into_iter().zip(&mut left_slots).zip(&mut right_slots) {
            if !slot.is_empty() {
                (*left, *right) = slot.split_at_mut(len);
            }
        }
        let left = Self { start: self.start, weights: left_weights, gradients: left_gradients, slots: left_slots };
        (left, Self { start: self.start + len, weights: right_weights, gradients: right_gradients, slots: right_slots })
    }
}

const MOST_SLOTS: usize = 4;

/// Weights that one thread updates at a time: their slots and gradients fit into its cache.
const SPAN: usize = 1 << 13;

/// The same for a table, whose gradients are gathered on the stack.
const TABLE_SPAN: usize = 1 << 11;

impl<F: Scalar> Driver<F> {
    /// An optimizer for this model's parameters.
    ///
    /// # Errors
    /// If an option of the optimizer is outside its range.
    pub fn new(optimizer: impl Optimizer<F> + 'static, model: &Network<F>) -> Result<Self> {
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
            slots: (0..slots).map(|slot| Aligned::full(params, F::of(optimizer.slot_start(slot)))).collect(),
            accumulated: if common.gradient_accumulation_steps.is_some() {
                Aligned::zeros(params)
            } else {
                Aligned::new()
            },
            average: if common.use_ema { Aligned::zeros(params) } else { Aligned::new() },
            params,
            calls: 0,
            rate: None,
            gradients: Aligned::new(),
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
    pub fn step(&mut self, model: &mut Network<F>, pass: &Pass<F>) -> Result<()> {
        self.check_step(model, pass)?;
        model.update_state(pass);
        self.apply_pass(model, pass);
        Ok(())
    }

    /// Refuses what [`step`](Self::step) refuses.
    pub(crate) fn check_step(&self, model: &Network<F>, pass: &Pass<F>) -> Result<()> {
        if !pass.executor.is_of(model) || self.params != model.params.len() {
            let needs = "a pass of this model, and an optimizer made for it";
            return Err(Error::NotReady { call: "Driver::step", needs });
        }
        if !pass.executor.wanted().parameters {
            return Err(Error::NotReady { call: "Driver::step", needs: "a pass with the gradients of parameters" });
        }
        if !pass.executor.has_gone_back() {
            return Err(Error::NotReady { call: "Driver::step", needs: "run `backward` with this pass first" });
        }
        if !reduce::all_finite(pass.gradients()) {
            return Err(Error::data("Driver::step", "finite gradients", "a NaN or an infinity"));
        }
        Ok(())
    }

    /// The update of a [`step`](Self::step) that has been checked.
    pub(crate) fn apply_pass(&mut self, model: &mut Network<F>, pass: &Pass<F>) {
        let mut gradients = std::mem::take(&mut self.gradients);
        gradients.resize(pass.gradients().len());
        gradients.copy_from_slice(pass.gradients());
        let graph = model.graph.clone();
        let threads = model.threads.clone();
        let (params, trains) = (&mut model.params, &model.trains);
        threads.enter(|| {
            self.apply(&graph, trains, params, Partial::new(std::iter::once(&mut *gradients)), &[]);
        });
        self.gradients = gradients;
    }

    /// One step: changes `weights` by `gradients`, which are overwritten. `shards` tell of each parameter what is known of
    /// its gradient: those of tables are taken from there, if that [may be](Self::takes_rows). Without shards, all are in
    /// `gradients`.
    pub(crate) fn apply(
        &mut self,
        graph: &Graph<F>,
        trains: &[bool],
        weights: &mut [F],
        mut gradients: Partial<'_, F>,
        shards: &[&[GradState<F>]],
    ) {
        if self.trains != trains {
            self.trains = trains.to_vec();
            self.pieces = self.pieces(graph, trains);
            self.runs.reserve(self.pieces.len());
        }
        self.runs.clear();
        for piece in &mut self.pieces {
            match piece {
                Piece::Run(run) => self.runs.push(run.clone()),
                Piece::Table(table) if shards.is_empty() => {
                    // Nobody knows which rows have a gradient: all count.
                    table.rows.insert_all();
                    table.runs.clear();
                    self.runs.push(table.range.clone());
                }
                Piece::Table(table) => table.set_runs(touched(shards, table.spec)),
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
                for (gradient, sum) in gradients.iter_mut().zip(&mut *self.accumulated) {
                    *gradient = std::mem::replace(sum, F::zero()) * scale;
                }
            }
        }
        if due {
            self.update(graph, updates + 1, weights, gradients, shards);
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
        let takes_rows = self.takes_rows();
        let mut pieces: Vec<Piece> = Vec::new();
        for_each_spec(graph, trains, |number, spec| match (spec.table_rows(), pieces.last_mut()) {
            (Some(count), _) if takes_rows => {
                let mut rows = Rows::none_of(count);
                let moves_on = self.optimizer.zero_gradient() == ZeroGradient::KeepsFresh;
                if moves_on && self.calls > 0 {
                    // What an optimizer has seen in an earlier run is not known.
                    rows.insert_all();
                }
                let runs = Vec::with_capacity(count / SPARSE + 1);
                pieces.push(Piece::Table(Table { spec: number, range: spec.range.clone(), rows, moves_on, runs }));
            }
            (_, Some(Piece::Run(last))) if last.end == spec.range.start => last.end = spec.range.end,
            _ => pieces.push(Piece::Run(spec.range.clone())),
        });
        pieces
    }

    /// Whether a step may leave out the rows of a table that have no gradient, and wants to see no gradient before it
    /// changes the weight.
    pub(crate) fn takes_rows(&self) -> bool {
        let (common, optimizer) = (&self.common, &self.optimizer);
        let alone = !common.decays() && !common.use_ema && common.gradient_accumulation_steps.is_none();
        let unseen = !common.maximize && common.clipnorm.is_none() && common.global_clipnorm.is_none();
        alone && unseen && !optimizer.couples_weights() && optimizer.zero_gradient() != ZeroGradient::Moves
    }

    fn update(
        &mut self,
        graph: &Graph<F>,
        number: u64,
        weights: &mut [F],
        mut gradients: Partial<'_, F>,
        shards: &[&[GradState<F>]],
    ) {
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
        let slot_count = optimizer.slots().len();
        let change = |weights: &mut [F], gradients: &mut [F], slots: &mut [&mut [F]]| {
            if let Some(scale) = scale {
                kernels::scale(gradients, scale);
            }
            if let Some(most) = common.clipvalue {
                kernels::clip(gradients, F::of(most));
            }
            match decay {
                Some(decay) if common.decoupled_weight_decay => {
                    kernels::scale(weights, F::one() - F::of(decay * step.learning_rate));
                }
                Some(decay) => elementwise::axpy(F::of(decay), weights, gradients),
                None => (),
            }
            optimizer.update(step, weights, gradients, &mut slots[..slot_count]);
        };
        let work = |mut span: Span<'_, F>| change(span.weights, span.gradients.add_up(), &mut span.slots);
        let mut slots: [&mut [F]; MOST_SLOTS] = Default::default();
        for (own, slot) in slots.iter_mut().zip(&mut self.slots) {
            *own = slot;
        }
        let mut all = Span { start: 0, weights, gradients, slots };
        if optimizer.couples_weights() {
            return for_each_spec(graph, trains, |_, spec| work(all.part(spec.range.clone())));
        }
        in_runs(all.part(0..self.params), &self.runs, SPAN, &work);
        for table in self.pieces.iter().filter_map(Piece::table) {
            in_runs(all.part(table.range.clone()), &table.runs, TABLE_SPAN, &|mut span: Span<'_, F>| {
                let run = span.start..span.start + span.weights.len();
                let mut sum = [F::zero(); TABLE_SPAN];
                let sum = &mut sum[..run.len()];
                touched(shards, table.spec).for_each(|rows| table.add_gradients(rows, run.clone(), sum));
                change(span.weights, sum, &mut span.slots);
            });
        }
    }

    /// Ends a training: with `use_ema` the moving average takes the weights' place.
    pub fn finish(&self, model: &mut Network<F>) {
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
    fn table(&self) -> Option<&Table> {
        match self {
            Self::Run(_) => None,
            Self::Table(table) => Some(table),
        }
    }
}

/// The gradients of parameter number `spec`, a table: which rows each shard has touched.
fn touched<'a, F: Scalar>(shards: &[&'a [GradState<F>]], spec: usize) -> impl Iterator<Item = &'a TouchedRows<F>> {
    shards.iter().filter_map(move |known| known.get(spec)?.rows.as_ref())
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

/// Works on the runs `runs` of a span, at most `most` weights at a time; on many of them in parallel. Where they are cut
/// changes no result.
fn in_runs<F: Scalar>(mut span: Span<'_, F>, runs: &[Range<usize>], most: usize, work: &(impl Fn(Span<'_, F>) + Sync)) {
    /// Runs that one thread works on at a time: rows of a table are short.
    const RUNS: usize = 64;
    let in_turn = |mut span: Span<'_, F>| {
        while span.weights.len() > most {
            let (first, rest) = span.split_at(most);
            work(first);
            span = rest;
        }
        work(span);
    };
    if runs.len() <= RUNS {
        for run in runs {
            parallel::in_pieces(span.part(run.clone()), run.len(), most, Span::split_at, &in_turn);
        }
        return;
    }
    parallel::in_pieces((span, runs), runs.len(), RUNS, split_runs, &|(mut span, runs)| {
        for run in runs {
            in_turn(span.part(run.clone()));
        }
    });
}

type Runs<'a, F> = (Span<'a, F>, &'a [Range<usize>]);

/// The runs before number `middle`, and those from there on, each with its part of the span.
fn split_runs<F: Scalar>((span, runs): Runs<'_, F>, middle: usize) -> (Runs<'_, F>, Runs<'_, F>) {
    let (left_runs, right_runs) = runs.split_at(middle);
    let before = right_runs[0].start - span.start;
    let (left, right) = span.split_at(before);
    ((left, left_runs), (right, right_runs))
}
