//! What all optimizers have in common: everything around the update itself.
//!
//! One step, in Keras's order: gradients are averaged over accumulated steps, clipped, weights decay, the algorithm
//! updates them, the moving average follows, constraints hold.

use std::ops::Range;
use std::sync::Arc;

use super::spans::{Pace, Piece, SPAN, SPARSE, Span, TABLE_SPAN, Table, in_runs, touched};
use super::update::{MOST_ARRAYS, State, StateArray};
use super::{Optimizer, OptimizerOptions, Parameter, StateSpec, Update, ZeroGradient};
use crate::engine::graph::Graph;
use crate::engine::partial::Partial;
use crate::engine::{Network, Pass};
use crate::kernels::aligned::Aligned;
use crate::kernels::{elementwise, optimizer as kernels, reduce};
use crate::layers::rows::Rows;
use crate::layers::{GradState, ParamSpec};
use crate::{Error, Result, Scalar};

/// An optimizer at work on one model: its state, its step, and what all optimizers share.
///
/// `fit` uses one; a custom training loop makes one with [`Driver::new`] and calls [`step`](Self::step) (see
/// [`Model::forward`](crate::engine::Network::forward) for such a loop).
#[derive(Clone)]
pub struct Driver<F: Scalar> {
    optimizer: Arc<dyn Optimizer<F>>,
    options: OptimizerOptions,
    /// What the optimizer keeps. In pieces: array after array, each laid out like the parameters. Otherwise: parameter after
    /// parameter.
    pub(crate) state: Aligned<F>,
    /// What is known of each parameter of the model, in order.
    plans: Vec<Plan>,
    /// How the arrays of all parameters lie, where the optimizer is given pieces of runs, not whole parameters.
    in_pieces: Option<Pieces>,
    /// Room for the optimizer's own use.
    scratch: Aligned<F>,
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
    /// The pace of each.
    paces: Vec<Pace>,
}

impl<F: Scalar> std::fmt::Debug for Driver<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("optimizer", &self.optimizer.describe())
            .field("steps", &self.calls)
            .finish_non_exhaustive()
    }
}

/// A parameter, and how it is updated.
#[derive(Clone)]
struct Plan {
    path: String,
    pace: Pace,
    /// The optimizer's arrays.
    arrays: Vec<StateArray>,
    /// How many values of scratch its update wants.
    scratch: usize,
}

/// Arrays that are laid out like the parameters.
#[derive(Clone, Copy)]
struct Pieces {
    arrays: usize,
    /// From the start of one to that of the next.
    stride: usize,
}

impl<F: Scalar> Driver<F> {
    /// An optimizer for this model's parameters.
    ///
    /// # Errors
    /// If an option of the optimizer is outside its range, a name of its learning-rate multipliers is no layer's, or the state
    /// that it declares has another shape than the weights that it updates in pieces.
    pub fn new(optimizer: impl Optimizer<F> + 'static, model: &Network<F>) -> Result<Self> {
        Self::from_arc(Arc::new(optimizer), &model.graph)
    }

    pub(crate) fn from_arc(optimizer: Arc<dyn Optimizer<F>>, graph: &Graph<F>) -> Result<Self> {
        let name = optimizer.describe().map_or("optimizer".into(), |(class, _)| format!("optimizer {class}"));
        Self::checked(optimizer, graph).map_err(|error| error.within(name))
    }

    fn checked(optimizer: Arc<dyn Optimizer<F>>, graph: &Graph<F>) -> Result<Self> {
        let options = optimizer.options();
        options.check()?;
        optimizer.check()?;
        let params = graph.specs.last().map_or(0, |spec| spec.range.end);
        let mut declared = Vec::with_capacity(graph.specs.len());
        let mut plans = Vec::with_capacity(graph.specs.len());
        for (path, spec) in graph.param_paths() {
            let parameter = Parameter::new(&path, &spec.shape);
            let state = if spec.learned { optimizer.state(&parameter) } else { Vec::new() };
            let weight_decay = optimizer.weight_decay(&parameter).filter(|decay| *decay != 0.0);
            let pace = Pace { multiplier: options.learning_rate_multipliers.of(&path), weight_decay };
            let scratch = if spec.learned { optimizer.scratch(&parameter) } else { 0 };
            check_state(&state, &parameter, optimizer.couples_weights())?;
            declared.push(state);
            plans.push(Plan { path, pace, arrays: Vec::new(), scratch });
        }
        let layers: Vec<&str> = graph
            .layer_ids()
            .filter(|&layer| !graph.own_specs(layer).is_empty())
            .map(|layer| graph.layers[layer].name.as_str())
            .collect();
        let paths: Vec<&str> = plans.iter().map(|plan| plan.path.as_str()).collect();
        options.learning_rate_multipliers.check_names(&paths, &layers)?;
        let mut learned = graph.specs.iter().zip(&declared).filter(|(spec, _)| spec.learned).map(|(_, state)| state);
        let first = learned.next().map_or(&[][..], |state| state);
        let named_alike =
            |state: &Vec<StateSpec>| state.iter().map(|one| &one.name).eq(first.iter().map(|one| &one.name));
        let alike = !optimizer.couples_weights() && first.len() <= MOST_ARRAYS && learned.all(named_alike);
        let in_pieces = alike.then(|| Pieces { arrays: first.len(), stride: params.next_multiple_of(64) });
        let mut end = in_pieces.map_or(0, |pieces| pieces.arrays * pieces.stride);
        for ((plan, declared), spec) in plans.iter_mut().zip(&declared).zip(&graph.specs) {
            for (number, StateSpec { name, shape, .. }) in declared.iter().enumerate() {
                let start = in_pieces.map_or(end, |pieces| number * pieces.stride + spec.range.start);
                let range = start..start + crate::tensor::volume(shape);
                end = end.max(range.end);
                plan.arrays.push(StateArray { name: name.clone(), shape: shape.clone(), range });
            }
        }
        let mut state = Aligned::zeros(end);
        for (array, declared) in plans.iter().flat_map(|plan| &plan.arrays).zip(declared.iter().flatten()) {
            state[array.range.clone()].fill(F::of(declared.start));
        }
        let room = |wanted: bool| if wanted { Aligned::zeros(params) } else { Aligned::new() };
        Ok(Self {
            state,
            scratch: Aligned::zeros(plans.iter().map(|plan| plan.scratch).max().unwrap_or(0)),
            plans,
            in_pieces,
            accumulated: room(options.gradient_accumulation_steps.is_some()),
            average: room(options.use_ema),
            params,
            calls: 0,
            rate: None,
            gradients: Aligned::new(),
            trains: Vec::new(),
            pieces: Vec::new(),
            runs: Vec::new(),
            paces: Vec::new(),
            optimizer,
            options,
        })
    }

    /// Every array that the optimizer keeps: the path of the parameter, and where it lies in the state.
    pub(crate) fn state_arrays(&self) -> impl Iterator<Item = (&str, &StateArray)> {
        self.plans.iter().flat_map(|plan| plan.arrays.iter().map(|array| (plan.path.as_str(), array)))
    }

    /// How many steps have been made.
    pub fn steps(&self) -> u64 {
        self.calls
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.rate.unwrap_or_else(|| self.options.learning_rate.at(self.calls))
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

    /// One step with the gradients of `pass`, which the last [`backward`](crate::engine::Network::backward) left there; layers
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
            let of = |spec: &ParamSpec| &pass.gradients()[spec.range.clone()];
            let bad = model.graph.param_paths().find(|(_, spec)| !reduce::all_finite(of(spec)));
            let parameter = bad.map_or_else(String::new, |(path, _)| path);
            return Err(Error::GradientNotFinite { parameter, loss: f64::NAN, step: self.steps() });
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
            self.paces.reserve(self.pieces.len());
        }
        self.runs.clear();
        self.paces.clear();
        for piece in &mut self.pieces {
            match piece {
                Piece::Run(run, pace) => {
                    self.runs.push(run.clone());
                    self.paces.push(*pace);
                }
                Piece::Table(table) if shards.is_empty() => {
                    // Nobody knows which rows have a gradient: all count.
                    table.rows.insert_all();
                    table.runs.clear();
                    self.runs.push(table.range.clone());
                    self.paces.push(table.pace);
                }
                Piece::Table(table) => table.set_runs(touched(shards, table.spec)),
            }
        }
        if self.options.maximize {
            kernels::scale(gradients.add_up_in_parallel(), -F::one());
        }
        if self.options.use_ema && self.calls == 0 {
            // Frozen layers too: one that is thawed later finds its own weights, not zeros.
            self.average.copy_from_slice(weights);
        }
        let accumulate = self.options.gradient_accumulation_steps.unwrap_or(1);
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
        // An average over updates: calls that only accumulate gradients are none.
        if self.options.use_ema && due {
            let momentum = if updates == 0 { F::zero() } else { F::of(self.options.ema_momentum) };
            for run in &self.runs {
                let (average, weights) = (&mut self.average[run.clone()], &mut weights[run.clone()]);
                kernels::moving_average(average, weights, momentum);
                if self.options.ema_overwrite_frequency.is_some_and(|every| (updates + 1).is_multiple_of(every)) {
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
        for_each_spec(graph, trains, |number, spec| {
            let (range, pace) = (spec.range.clone(), self.plans[number].pace);
            match (spec.table_rows(), pieces.last_mut()) {
                (Some(count), _) if takes_rows => {
                    let mut rows = Rows::none_of(count);
                    let moves_on = self.optimizer.zero_gradient() == ZeroGradient::KeepsFresh;
                    if moves_on && self.calls > 0 {
                        // What an optimizer has seen in an earlier run is not known.
                        rows.insert_all();
                    }
                    let runs = Vec::with_capacity(count / SPARSE + 1);
                    pieces.push(Piece::Table(Table { spec: number, range, pace, rows, moves_on, runs }));
                }
                (_, Some(Piece::Run(last, same))) if last.end == range.start && *same == pace => last.end = range.end,
                _ => pieces.push(Piece::Run(range, pace)),
            }
        });
        pieces
    }

    /// Whether a step may leave out the rows of a table that have no gradient, and wants to see no gradient before it
    /// changes the weight.
    pub(crate) fn takes_rows(&self) -> bool {
        let options = &self.options;
        let decays = self.plans.iter().any(|plan| plan.pace.weight_decay.is_some());
        let alone = !decays && !options.use_ema && options.gradient_accumulation_steps.is_none();
        let unseen = !options.maximize && options.clipnorm.is_none() && options.global_clipnorm.is_none();
        alone && unseen && self.in_pieces.is_some() && self.optimizer.zero_gradient() != ZeroGradient::Moves
    }

    fn update(
        &mut self,
        graph: &Graph<F>,
        step: u64,
        weights: &mut [F],
        mut gradients: Partial<'_, F>,
        shards: &[&[GradState<F>]],
    ) {
        let learning_rate = self.learning_rate();
        let (optimizer, common, trains) = (&self.optimizer, &self.options, &self.trains);
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
        // What comes before the update itself; the rate of it.
        let prepare = |weights: &mut [F], gradient: &mut [F], pace: Pace| {
            let rate = learning_rate * pace.multiplier;
            if let Some(scale) = scale {
                kernels::scale(gradient, scale);
            }
            if let Some(most) = common.clipvalue {
                kernels::clip(gradient, F::of(most));
            }
            match pace.weight_decay {
                Some(decay) if common.decoupled_weight_decay => {
                    kernels::scale(weights, F::one() - F::of(decay * rate));
                }
                Some(decay) => elementwise::axpy(F::of(decay), weights, gradient),
                None => (),
            }
            rate
        };
        let Some(Pieces { arrays, stride }) = self.in_pieces else {
            let (state, scratch, plans) = (&mut self.state, &mut self.scratch, &self.plans);
            return for_each_spec(graph, trains, |number, spec| {
                let plan = &plans[number];
                let weights = &mut weights[spec.range.clone()];
                let mut gradient = gradients.part(spec.range.clone());
                let gradient = gradient.add_up();
                let rate = prepare(weights, gradient, plan.pace);
                let start = plan.arrays.first().map_or(0, |array| array.range.start);
                let end = plan.arrays.last().map_or(start, |array| array.range.end);
                let state = State::together(&mut state[start..end], &plan.arrays);
                let scratch = &mut scratch[..plan.scratch];
                let (path, shape) = (plan.path.as_str(), &*spec.shape);
                optimizer.update(&mut Update { path, shape, weights, gradient, state, scratch, rate, step });
            });
        };
        let change = |weights: &mut [F], gradient: &mut [F], state: [&mut [F]; MOST_ARRAYS], pace: Pace| {
            let rate = prepare(weights, gradient, pace);
            let (shape, state) = (&[weights.len()], State::apart(state, arrays));
            optimizer.update(&mut Update { path: "", shape, weights, gradient, state, scratch: &mut [], rate, step });
        };
        let mut state: [&mut [F]; MOST_ARRAYS] = Default::default();
        for (array, values) in state.iter_mut().zip(self.state.chunks_mut(stride.max(1)).take(arrays)) {
            *array = values;
        }
        let mut all = Span { start: 0, weights, gradients, state };
        let mut first = 0;
        for paces in self.paces.chunk_by(PartialEq::eq) {
            let runs = &self.runs[first..first + paces.len()];
            first += paces.len();
            in_runs(all.part(0..self.params), runs, SPAN, &|mut span: Span<'_, F>| {
                change(span.weights, span.gradients.add_up(), span.state, paces[0]);
            });
        }
        for table in self.pieces.iter().filter_map(Piece::table) {
            in_runs(all.part(table.range.clone()), &table.runs, TABLE_SPAN, &|span: Span<'_, F>| {
                let run = span.start..span.start + span.weights.len();
                let mut sum = [F::zero(); TABLE_SPAN];
                let sum = &mut sum[..run.len()];
                table.gather_gradients(shards, &run, sum);
                change(span.weights, sum, span.state, table.pace);
            });
        }
    }

    /// Ends a training: with `use_ema` the moving average takes the weights' place.
    pub fn finish(&self, model: &mut Network<F>) {
        if self.options.use_ema && self.calls > 0 {
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

/// Refuses state that an optimizer declares and cannot have.
fn check_state(state: &[StateSpec], parameter: &Parameter<'_>, couples_weights: bool) -> Result<()> {
    for (i, StateSpec { name, shape, .. }) in state.iter().enumerate() {
        let what = format!("state `{name}` of `{}`", parameter.path);
        if ["accumulated", "average"].contains(&name.as_str()) || state[..i].iter().any(|other| other.name == *name) {
            return Err(Error::option(what, "under a name that nothing else has", format!("`{name}`")));
        }
        if !couples_weights && shape != parameter.shape {
            let expected = format!(
                "of the parameter's shape {} (state of another shape is for optimizers whose `couples_weights` is true)",
                crate::error::show(parameter.shape)
            );
            return Err(Error::option(what, expected, crate::error::show(shape)));
        }
    }
    Ok(())
}

/// The parameters that training changes, one by one, with their numbers.
fn for_each_spec<F: Scalar>(graph: &Graph<F>, trains: &[bool], mut visit: impl FnMut(usize, &ParamSpec)) {
    for (layer, _) in graph.layers.iter().zip(trains).filter(|(layer, trains)| **trains && layer.shares.is_none()) {
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
