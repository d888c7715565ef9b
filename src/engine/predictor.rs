//! Inference without allocation.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array, ArrayD, Dimension};

use super::checks::{check_batch, check_inputs};
use super::cut::shard_rows;
use super::executor::{Executor, Lane};
use super::graph::{Graph, Node};
use super::network::Network;
use super::plan::Wanted;
use super::shapes::Shapes;
use super::shard::Run;
use crate::ids::{Id, NodeId, SlotId, each, first};
use crate::kernels::aligned::Aligned;
use crate::layers::{Feeds, Kept};
use crate::tensor::inputs::{ArrayInput, IntoInputs};
use crate::tensor::to_array;
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor, memory, parallel};

/// Rows that go through the graph together, at most.
const MOST_ROWS: usize = 64;
/// And at least, where they are many: a product over fewer is slow.
const FEWEST_ROWS: usize = 8;
/// Values that all layers give for rows that go together, at most where one row has fewer: large images go one by one.
const MOST_VALUES: usize = 1 << 22;
/// Values that one layer reads and writes for rows that go together, at most: they stay in a core's cache.
const CACHED_VALUES: usize = 1 << 18;
/// Parameters and values from which on rows that go together may be shared by threads: below, it would cost as much to ask.
const SHARED_WORK: usize = 1 << 16;
/// Pieces of a prediction of any number of rows after which its outputs are fetched.
const PIECES: usize = 64;

/// How many rows go through a graph together.
fn rows_a_piece<F: Scalar>(graph: &Graph<F>, shapes: &Shapes) -> usize {
    let len = |slot: SlotId| volume(&shapes.of[slot]);
    let values = |node: &Node| -> usize {
        node.inputs.iter().map(|input| len(input.slot)).chain(each(&node.outputs).map(len)).sum()
    };
    let most = graph.nodes.iter().map(values).max().unwrap_or(0);
    let all: usize = graph.slot_ids().map(len).sum();
    let fewest = (MOST_VALUES / all.max(1)).clamp(1, FEWEST_ROWS);
    (CACHED_VALUES / most.max(1)).clamp(fewest, MOST_ROWS)
}

impl<F: Scalar> Network<F> {
    /// The output for every row of `x`; with several outputs the first (see [`predict_all`](Self::predict_all)).
    ///
    /// `x` is an array of any rank whose first axis is the batch, or a tuple of references for several inputs.
    ///
    /// # Errors
    /// If the inputs do not have the shapes that the model takes.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a, F>) -> Result<ArrayD<F>> {
        Ok(self.predict_all(x)?.swap_remove(0))
    }

    /// All outputs for every row of `x`, in the order of the model's outputs.
    ///
    /// # Errors
    /// If the inputs do not have the shapes that the model takes.
    pub fn predict_all<'a>(&self, x: impl IntoInputs<'a, F>) -> Result<Vec<ArrayD<F>>> {
        let inputs = x.into_inputs();
        let rows = check_inputs("predict", &self.graph.inputs, &inputs)?;
        check_batch("predict", &self.graph.inputs, rows)?;
        predict_rows(self, self.graph.outputs.clone(), &inputs, rows)
    }

    /// [`predict`](Self::predict) as an array of a dimension that is known when compiling.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([2]).add(Dense::new(3)).build()?;
    /// let y: Array2<f32> = model.predict_as(&array![[0.5f32, 1.0]])?;
    /// assert_eq!(y.dim(), (1, 3));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`predict`](Self::predict); or if the output, the batch counted, has another number of axes.
    pub fn predict_as<'a, D: Dimension>(&self, x: impl IntoInputs<'a, F>) -> Result<Array<F, D>> {
        let y = self.predict(x)?;
        let shape = y.shape().to_vec();
        let axes = || format!("an output with {} axes, the batch counted", D::NDIM.unwrap_or_default());
        y.into_dimensionality().map_err(|_| Error::shape(axes(), &shape).within("predict_as"))
    }

    /// The outputs of any layers, by name, for every row of `x`: what a network makes of its input on the way.
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # let model = Sequential::new().input([2]).add(Dense::new(3).name("hidden")).add(Dense::new(1)).build()?;
    /// let hidden = &model.layer_outputs(&array![[0.5f32, 1.0]], &["hidden"])?[0];
    /// assert_eq!(hidden.shape(), [1, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no layer of such a name, or the inputs do not fit.
    pub fn layer_outputs<'a>(&self, x: impl IntoInputs<'a, F>, layers: &[&str]) -> Result<Vec<ArrayD<F>>> {
        let inputs = x.into_inputs();
        let rows = check_inputs("layer_outputs", &self.graph.inputs, &inputs)?;
        check_batch("layer_outputs", &self.graph.inputs, rows)?;
        let slots = layers
            .iter()
            .map(|name| {
                let layer = self.graph.find_layer(name)?;
                let node = self.graph.nodes.iter().find(|node| node.layer == Some(layer));
                Ok(node.expect("every layer is called").outputs.start)
            })
            .collect::<Result<Vec<SlotId>>>()?;
        predict_rows(self, slots, &inputs, rows)
    }

    /// A predictor for up to `batch` rows at once that owns all its memory: [`Predictor::run`] allocates nothing, from
    /// the first time on. Where an axis of an input is open it is told sizes with
    /// [`set_input_shapes`](Predictor::set_input_shapes) before it runs. Where there is no memory for such a batch the runs
    /// give the error.
    ///
    /// Batch normalization behind a dense layer or a convolution becomes part of its weights, an activation behind that part of its
    /// pass: outputs then differ from [`predict`](Self::predict)'s by rounding, and these layers' weights are held a second time.
    /// [`exact_predictor`](Self::exact_predictor) leaves all as it is.
    pub fn predictor(&self, batch: usize) -> Predictor<'_, F> {
        let holder = self.folded().map_or(Holder::Borrowed(self), |folded| Holder::Folded(Arc::new(folded)));
        Predictor::new(holder, self.graph.outputs.clone(), batch, self.graph.fixed_shapes()).warmed_up()
    }

    /// A [`predictor`](Self::predictor) whose outputs are [`predict`](Self::predict)'s to the last bit.
    pub fn exact_predictor(&self, batch: usize) -> Predictor<'_, F> {
        Predictor::new(Holder::Borrowed(self), self.graph.outputs.clone(), batch, self.graph.fixed_shapes()).warmed_up()
    }
}

/// What lies in `slots` for every row of checked inputs.
fn predict_rows<F: Scalar>(
    model: &Network<F>,
    slots: Vec<SlotId>,
    inputs: &[ArrayInput<'_, F>],
    rows: usize,
) -> Result<Vec<ArrayD<F>>> {
    let scalars: Vec<_> = inputs.iter().map(ArrayInput::scalars).collect();
    let shapes = model.graph.shapes_for(inputs.iter().map(|given| &given.shape[1..]))?;
    // A batch of a fixed size goes as it is.
    let at_once = model.graph.batch().unwrap_or_else(|| PIECES * rows_a_piece(&model.graph, &shapes));
    let mut outputs: Vec<Tensor<F>> = slots.iter().map(|&slot| Tensor::without_rows(&shapes.of[slot])).collect();
    let bytes = slots.iter().map(|&slot| memory::bytes_of::<F>(&[&[rows], &shapes.of[slot][..]].concat()));
    let bytes = bytes.fold(0u128, u128::saturating_add);
    let mut predictor = Predictor::new(Holder::Borrowed(model), slots, at_once.min(rows), Some(shapes));
    let bytes = predictor.lacking.map_or(bytes, |lacking| lacking.max(bytes));
    if predictor.lacking.is_some() || !memory::is_there(bytes) {
        return Err(memory::too_large("rows", rows, bytes).within("predict"));
    }
    for output in &mut outputs {
        output.set_rows(rows);
    }
    model.threads.enter(|| {
        for start in (0..rows).step_by(at_once) {
            let part = start..rows.min(start + at_once);
            let cut = |len: usize| part.start * len..part.end * len;
            let feeds: Vec<&[F]> =
                scalars.iter().zip(inputs).map(|(scalars, given)| &scalars[cut(given.row_len())]).collect();
            predictor.run_many(&feeds, part.len())?;
            for (i, output) in outputs.iter_mut().enumerate() {
                let cut = cut(output.view().row_len());
                predictor.fetch(i, &mut output.data_mut()[cut]);
            }
        }
        Ok(())
    })?;
    Ok(outputs.into_iter().map(Tensor::into_array).collect())
}

/// What brings the values in `slots`.
fn executor_of<F: Scalar>(network: &Network<F>, slots: &[SlotId]) -> Executor<F, Vec<Tensor<F>>> {
    let outputs = &network.graph.outputs;
    let wanted = Wanted { parameters: false, inputs: false, every_output: slots != outputs };
    Executor::new(network, wanted, vec![false; outputs.len()])
}

/// Whose network a predictor predicts with.
enum Holder<'m, F: Scalar> {
    Borrowed(&'m Network<F>),
    Shared(Arc<dyn AsRef<Network<F>> + Send + Sync>),
    /// What the network has been [folded](Network::folded) to.
    Folded(Arc<Network<F>>),
}

impl<F: Scalar> Holder<'_, F> {
    #[inline]
    fn network(&self) -> &Network<F> {
        match self {
            Self::Borrowed(network) => network,
            Self::Shared(holder) => (**holder).as_ref(),
            Self::Folded(network) => network,
        }
    }
}

impl<F: Scalar> Clone for Holder<'_, F> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(network) => Self::Borrowed(network),
            Self::Shared(holder) => Self::Shared(holder.clone()),
            Self::Folded(network) => Self::Folded(network.clone()),
        }
    }
}

/// A model ready to predict: it owns all memory that a prediction needs, so that [`run`](Self::run) allocates nothing.
///
/// [`Network::predictor`] borrows its model; [`Predictor::owned`] shares it, and can be kept anywhere and sent to another
/// thread. A clone predicts on with the states that the original has now.
///
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([6]).add(Dense::new(4)).build()?;
/// let mut predictor = model.predictor(1);
/// let mut y = [0.0; 4];
/// predictor.run(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], &mut y)?;
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Predictor<'m, F: Scalar> {
    holder: Holder<'m, F>,
    slots: Vec<SlotId>,
    executor: Executor<F, Vec<Tensor<F>>>,
    workers: usize,
    /// How many of the workers the last run used.
    used: usize,
    most_rows: usize,
    piece_rows: usize,
    /// Whether rows that go together are work enough for several threads.
    has_work: bool,
    /// The parameters with the states of stateful layers as the runs before left them; none where there are no such.
    carried: Option<Aligned<F>>,
    /// So many bytes would be needed, and are not there: it cannot run.
    lacking: Option<u128>,
    /// For each layer, what it keeps of its parameters.
    kept: Arc<[Kept]>,
    /// Whether a run is under way. At the beginning of one: the last did not come to its end, as a layer panicked.
    runs: bool,
}

impl<F: Scalar> Predictor<'static, F> {
    /// A predictor for up to `batch` rows at once that shares its model.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gradus::prelude::*;
    ///
    /// let model = Arc::new(Sequential::new().input([2]).add(Dense::new(1)).build()?);
    /// let mut predictor = Predictor::owned(model.clone(), 1);
    /// let answer = std::thread::spawn(move || {
    ///     let mut y = [0.0];
    ///     predictor.run(&[0.5, 1.0], &mut y).map(|()| y[0])
    /// });
    /// assert_eq!(answer.join().expect("no panic")?, model.predict(&array![[0.5f32, 1.0]])?[[0, 0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn owned(model: Arc<impl AsRef<Network<F>> + Send + Sync + 'static>, batch: usize) -> Self {
        let folded = (*model).as_ref().folded();
        Self::of_holder(folded.map_or(Holder::Shared(model), |folded| Holder::Folded(Arc::new(folded))), batch)
    }

    /// The same with outputs that are [`predict`](Network::predict)'s to the last bit.
    pub fn owned_exact(model: Arc<impl AsRef<Network<F>> + Send + Sync + 'static>, batch: usize) -> Self {
        Self::of_holder(Holder::Shared(model), batch)
    }

    fn of_holder(holder: Holder<'static, F>, batch: usize) -> Self {
        let graph = &holder.network().graph;
        let (slots, shapes) = (graph.outputs.clone(), graph.fixed_shapes());
        Predictor::new(holder, slots, batch, shapes).warmed_up()
    }
}

impl<F: Scalar> Clone for Predictor<'_, F> {
    fn clone(&self) -> Self {
        let shapes = self.executor.shapes().cloned();
        let copy = Self::new(self.holder.clone(), self.slots.clone(), self.most_rows, shapes);
        Self { carried: self.carried.clone(), kept: self.kept.clone(), ..copy }.warmed_up()
    }
}

impl<'m, F: Scalar> Predictor<'m, F> {
    fn new(holder: Holder<'m, F>, slots: Vec<SlotId>, most_rows: usize, shapes: Option<Arc<Shapes>>) -> Self {
        let network = holder.network();
        let executor = executor_of(network, &slots);
        let carried = network.graph.carries_state().then(|| network.params.clone());
        let kept = network.graph.layers.iter().map(|layer| Kept::of(&layer.folded)).collect();
        let mut own = Self {
            holder,
            slots,
            executor,
            workers: 0,
            used: 0,
            most_rows,
            piece_rows: 1,
            has_work: false,
            carried,
            lacking: None,
            kept,
            runs: false,
        };
        if let Some(shapes) = shapes {
            own.take_shapes(&shapes);
        }
        own
    }

    /// Prepares for rows of these shapes, if there is memory for them.
    fn take_shapes(&mut self, shapes: &Arc<Shapes>) {
        let network = self.holder.network();
        self.piece_rows = rows_a_piece(&network.graph, shapes);
        let values: usize = shapes.of.iter().map(|shape| volume(shape)).sum();
        self.has_work = network.params.len() + self.piece_rows * values >= SHARED_WORK;
        let pieces = self.most_rows.div_ceil(self.piece_rows).max(1);
        // A worker keeps the states of the last rows that it took: where states are carried, of all.
        self.workers = if self.carried.is_some() { pieces } else { pieces.min(network.threads.count()) };
        self.executor.plan_inference(network, shapes.clone());
        self.lacking = Some(self.bytes(shapes)).filter(|&bytes| !memory::is_there(bytes));
        if self.lacking.is_some() {
            return;
        }
        let outputs = || self.slots.iter().map(|_| Tensor::default()).collect();
        self.executor.prepare_inference(network, self.workers, outputs);
        for worker in self.executor.lanes_mut() {
            worker.own.iter_mut().zip(&self.slots).for_each(|(output, &slot)| output.set_row_shape(&shapes.of[slot]));
        }
    }

    /// What all workers together will take: workspaces, outputs, and the rows with which they warm up.
    fn bytes(&self, shapes: &Shapes) -> u128 {
        /// Of a tensor and a mask without values.
        const SLOT: u128 = 256;
        let graph = &self.holder.network().graph;
        let rows = self.most_rows.min(self.piece_rows);
        let of = |rows: usize, slot: SlotId| memory::bytes_of::<F>(&shapes.of[slot]).saturating_mul(rows as u128);
        let a_worker = self.executor.planned_bytes(rows).saturating_add(SLOT * graph.slots.len() as u128);
        let outputs = self.slots.iter().map(|&slot| of(self.most_rows, slot));
        let inputs = first(graph.inputs.len()).map(|slot| of(rows, slot));
        let all = outputs.chain(inputs).chain([a_worker.saturating_mul(self.workers as u128)]);
        all.fold(0u128, u128::saturating_add)
    }

    /// Begins anew with workers of no past, where a layer panicked in the last run.
    fn recover(&mut self) {
        let shapes = self.executor.shapes().cloned();
        self.executor = executor_of(self.holder.network(), &self.slots);
        if let Some(shapes) = shapes {
            self.take_shapes(&shapes);
        }
        self.runs = false;
    }

    /// Says which shapes the rows of the inputs have from now on, where axes of them are open. Shapes that the predictor had
    /// before cost next to nothing; the first run with others takes the memory that they need.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input((None, 1)).add(GlobalAvgPool1D::new()).build()?;
    /// let (mut predictor, mut y) = (model.predictor(1), [0.0]);
    /// predictor.set_input_shapes(&[&[3, 1]])?;
    /// predictor.run(&[1.0, 2.0, 6.0], &mut y)?;
    /// assert_eq!(y, [3.0]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a shape is not one that the input takes, or a layer refuses what becomes of it; if there is no memory for a batch.
    pub fn set_input_shapes(&mut self, shapes: &[&[usize]]) -> Result<()> {
        let shapes = self.holder.network().graph.shapes_of("Predictor::set_input_shapes", shapes)?;
        if !self.executor.shapes().is_some_and(|known| Arc::ptr_eq(known, &shapes)) {
            self.take_shapes(&shapes);
        }
        self.check_room()
    }

    fn check_room(&self) -> Result<()> {
        match self.lacking {
            Some(bytes) => Err(memory::too_large("batch", self.most_rows, bytes).within("Predictor")),
            None => Ok(()),
        }
    }

    /// Takes all memory now, that of the layers too: every worker runs once, on as many rows of zeros as it ever will.
    fn warmed_up(mut self) -> Self {
        let Some(shapes) = self.executor.shapes().cloned().filter(|_| self.lacking.is_none()) else { return self };
        let network = self.holder.network();
        let graph = &network.graph;
        let rows = self.most_rows.min(self.piece_rows);
        let inputs = &shapes.of[..graph.inputs.len()];
        let zeros: Vec<Vec<F>> = inputs.iter().map(|shape| vec![F::zero(); rows * volume(shape)]).collect();
        let feeds: Vec<&[F]> = zeros.iter().map(Vec::as_slice).collect();
        let pieces = self.most_rows.div_ceil(self.piece_rows.max(1));
        let rows_a_worker = pieces.div_ceil(self.workers).saturating_mul(self.piece_rows).min(self.most_rows).max(rows);
        let (workers, run) = self.executor.inference(graph, &network.params, &self.kept, rows);
        for worker in workers {
            run_pieces(worker, &run, &self.slots, &feeds, 0..1, Pieces { rows, count: 1 });
            for output in &mut worker.own {
                output.set_rows(rows_a_worker);
            }
        }
        self
    }

    /// Writes the model's (first) output for the rows in `x` to `out`: both row-major, as many rows as `x` has, at
    /// most as many as the predictor was made for.
    ///
    /// # Errors
    /// If axes of inputs are open and [`set_input_shapes`](Self::set_input_shapes) has not been called. If there is no memory
    /// for the batch that the predictor was made for.
    /// If `x` is not a whole number of rows, or too many; if `out` is not as long as the output; or if the model has
    /// several inputs (see [`run_all`](Self::run_all)).
    pub fn run(&mut self, x: &[F], out: &mut [F]) -> Result<()> {
        self.run_all(&[x], &mut [out])
    }

    /// The same for several inputs and outputs.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_all(&mut self, inputs: &[&[F]], outputs: &mut [&mut [F]]) -> Result<()> {
        self.check_room()?;
        if self.runs {
            self.recover();
        }
        let network = self.holder.network();
        let graph = &network.graph;
        let expected = (graph.inputs.len(), self.slots.len());
        if (inputs.len(), outputs.len()) != expected {
            let received = format!("{} and {}", inputs.len(), outputs.len());
            return Err(Error::data(
                "Predictor::run",
                format!("{} inputs and {} outputs", expected.0, expected.1),
                received,
            ));
        }
        let Some(shapes) = self.executor.shapes() else {
            let needs = "call `set_input_shapes` first: axes of the inputs are open";
            return Err(Error::NotReady { call: "Predictor::run", needs });
        };
        let rows = inputs[0].len() / volume(&shapes.of[0]).max(1);
        for ((input, given), shape) in graph.inputs.iter().zip(inputs).zip(&shapes.of) {
            let len = volume(shape);
            if given.len() != rows * len || rows > self.most_rows {
                let expected = format!("at most {} rows of {len} values for input `{}`", self.most_rows, input.name);
                return Err(Error::data("Predictor::run", expected, format!("{} values", given.len())));
            }
        }
        check_batch("Predictor::run", &graph.inputs, rows)?;
        for (&slot, out) in self.slots.iter().zip(outputs.iter()) {
            let len = rows * volume(&shapes.of[slot]);
            if out.len() != len {
                return Err(Error::data("Predictor::run", format!("room for {len} values"), format!("{}", out.len())));
            }
        }
        if rows <= self.piece_rows {
            return self.run_few(inputs, rows, outputs);
        }
        network.threads.clone().enter(|| self.run_many(inputs, rows))?;
        for (i, out) in outputs.iter_mut().enumerate() {
            self.fetch(i, out);
        }
        Ok(())
    }

    /// Runs checked inputs that go through the graph together, without detours: of a small network this is a good part.
    fn run_few(&mut self, feeds: &[&[F]], rows: usize, outputs: &mut [&mut [F]]) -> Result<()> {
        let network = self.holder.network();
        let params = self.carried.as_deref().unwrap_or(&network.params);
        let (workers, run) = self.executor.inference(&network.graph, params, &self.kept, rows);
        let shard = &mut workers[0].shard;
        if shard.rows == (0..rows) && shard.has_shapes_of(&run) {
            shard.forget_refusal();
        } else {
            shard.set_rows(&run, 0..rows);
        }
        self.runs = true;
        let mut forward = || shard.forward(&run, NodeId::new(0)..run.graph.end(), Feeds::Batch(feeds), &[]);
        if self.has_work {
            network.threads.enter(forward);
        } else {
            forward();
        }
        self.runs = false;
        if let Some(error) = shard.refusal(run.graph, None) {
            return Err(error);
        }
        for (out, &slot) in outputs.iter_mut().zip(&self.slots) {
            out.copy_from_slice(&shard.value(&run, slot, Feeds::Batch(feeds)));
        }
        self.carry(1, feeds, rows);
        Ok(())
    }

    /// Writes output `i` of the last run to `out`.
    fn fetch(&self, i: usize, out: &mut [F]) {
        let mut start = 0;
        for worker in &self.executor.lanes()[..self.used] {
            let part = worker.own[i].data();
            out[start..start + part.len()].copy_from_slice(part);
            start += part.len();
        }
    }

    /// Runs checked inputs: each worker its share of the rows. The results lie in the workers' outputs.
    fn run_many(&mut self, feeds: &[&[F]], rows: usize) -> Result<()> {
        let network = self.holder.network();
        let params = self.carried.as_deref().unwrap_or(&network.params);
        // The same pieces whatever the number of workers: what comes out of a product depends on how many rows it has.
        let pieces = Pieces { rows, count: rows.div_ceil(self.piece_rows).max(1) };
        let count = self.workers.min(pieces.count);
        self.used = count;
        let slots = &self.slots;
        let (workers, run) = self.executor.inference(&network.graph, params, &self.kept, rows);
        let work = |worker: &mut Lane<F, Vec<Tensor<F>>>| {
            let own = shard_rows(pieces.count, worker.shard.number, count);
            run_pieces(worker, &run, slots, feeds, own, pieces);
        };
        self.runs = true;
        match &mut workers[..count] {
            [worker] => work(worker),
            workers => parallel::for_each(workers, &work),
        }
        self.runs = false;
        if let Some(error) = workers[..count].iter().find_map(|worker| worker.shard.refusal(run.graph, None)) {
            return Err(error);
        }
        self.carry(count, feeds, rows);
        Ok(())
    }

    /// Keeps the states that the first `count` workers left behind, for the next run.
    fn carry(&mut self, count: usize, feeds: &[&[F]], rows: usize) {
        if let Some(carried) = &mut self.carried {
            let (workers, run) = self.executor.inference(&self.holder.network().graph, &[], &[], rows);
            for (place, worker) in workers[..count].iter().enumerate() {
                worker.shard.update_state(&run, place, carried, Feeds::Batch(feeds));
            }
        }
    }

    /// Sets the states of stateful layers, which go from run to run, back to what the model holds.
    pub fn reset_states(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.copy_from_slice(&self.holder.network().params);
        }
    }

    /// The states of stateful layers by their paths, as the last run left them; none where there are no such layers.
    pub fn states(&self) -> Vec<(String, ArrayD<F>)> {
        let Some(carried) = &self.carried else { return Vec::new() };
        let graph = &self.holder.network().graph;
        graph.states().map(|(path, spec)| (path, to_array(&spec.shape, &carried[spec.range.clone()]))).collect()
    }

    /// Sets states by path, with which the next run goes on. All are checked before any is set.
    ///
    /// # Errors
    /// If there is no state of such a path, or it has another shape.
    pub fn set_states<'a, P: AsRef<str>>(
        &mut self,
        states: impl IntoIterator<Item = (P, &'a ArrayD<F>)>,
    ) -> Result<()> {
        let graph = &self.holder.network().graph;
        let mut checked = Vec::new();
        for (path, array) in states {
            let path = path.as_ref();
            let known = || graph.states().map(|(path, _)| path);
            let found = graph.states().find(|(known, _)| known == path);
            let (_, spec) = found.ok_or_else(|| Error::unknown("state", path, known()))?;
            if array.shape() != spec.shape {
                let expected = format!("`{path}` of shape {}", crate::error::show(&spec.shape));
                return Err(Error::shape(expected, array.shape()));
            }
            checked.push((spec.range.clone(), array));
        }
        for (range, array) in checked {
            let carried = self.carried.as_mut().expect("a network with states carries them");
            carried[range].iter_mut().zip(array).for_each(|(value, &new)| *value = new);
        }
        Ok(())
    }
}

impl<F: Scalar> std::fmt::Debug for Predictor<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let network = self.holder.network();
        f.debug_struct("Predictor")
            .field("network", network)
            .field("most_rows", &self.most_rows)
            .finish_non_exhaustive()
    }
}

/// Rows that go through the graph in so many pieces, as even as can be.
#[derive(Clone, Copy)]
struct Pieces {
    rows: usize,
    count: usize,
}

impl Pieces {
    /// The rows of some pieces.
    fn rows_of(self, pieces: Range<usize>) -> Range<usize> {
        let start = |piece| shard_rows(self.rows, piece, self.count).start;
        start(pieces.start)..start(pieces.end)
    }
}

/// Takes the pieces `own` of all through the graph, one after another; the results lie in what the worker carries.
fn run_pieces<F: Scalar>(
    worker: &mut Lane<F, Vec<Tensor<F>>>,
    run: &Run<'_, F>,
    slots: &[SlotId],
    feeds: &[&[F]],
    own: Range<usize>,
    pieces: Pieces,
) {
    let Lane { shard, own: outputs } = worker;
    let all = pieces.rows_of(own.clone());
    for output in &mut *outputs {
        output.set_rows(all.len());
    }
    for piece in own {
        let rows = pieces.rows_of(piece..piece + 1);
        shard.set_rows(run, rows.clone());
        shard.forward(run, NodeId::new(0)..run.graph.end(), Feeds::Batch(feeds), &[]);
        if shard.has_refused() {
            return;
        }
        for (output, &slot) in outputs.iter_mut().zip(slots) {
            let value = shard.value(run, slot, Feeds::Batch(feeds));
            let len = value.row_len();
            output.data_mut()[(rows.start - all.start) * len..(rows.end - all.start) * len].copy_from_slice(&value);
        }
    }
}
