//! Inference without allocation.

use std::ops::Range;

use ndarray::ArrayD;

use super::checks::{check_batch, check_inputs};
use super::graph::{Graph, Node};
use super::network::Network;
use super::pass::shard_rows;
use super::plan::{Plan, Wanted};
use super::shard::{Run, Shard};
use crate::kernels::aligned::Aligned;
use crate::layers::{Feeds, Mode};
use crate::tensor::inputs::{Given, IntoInputs};
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor, parallel};

/// Rows that go through the graph together, at most.
const MOST_ROWS: usize = 64;
/// And at least, where they are many: a product over fewer is slow.
const FEWEST_ROWS: usize = 8;
/// Values that all layers give for rows that go together, at most where one row has fewer: large images go one by one.
const MOST_VALUES: usize = 1 << 22;
/// Values that one layer reads and writes for rows that go together, at most: they stay in a core's cache.
const CACHED_VALUES: usize = 1 << 18;
/// Pieces of a prediction of any number of rows after which its outputs are fetched.
const PIECES: usize = 64;

/// How many rows go through a graph together.
fn rows_a_piece<F: Scalar>(graph: &Graph<F>) -> usize {
    let len = |slot: usize| volume(&graph.shapes[slot]);
    let values = |node: &Node| -> usize {
        node.inputs.iter().map(|input| len(input.slot)).chain(node.outputs.clone().map(len)).sum()
    };
    let most = graph.nodes.iter().map(values).max().unwrap_or(0);
    let all: usize = (0..graph.shapes.len()).map(len).sum();
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
            .collect::<Result<Vec<usize>>>()?;
        predict_rows(self, slots, &inputs, rows)
    }

    /// A predictor for up to `batch` rows at once that owns all its memory: [`Predictor::run`] allocates nothing, from
    /// the first time on.
    pub fn predictor(&self, batch: usize) -> Predictor<'_, F> {
        Predictor::new(self, self.graph.outputs.clone(), batch).warmed_up()
    }
}

/// What lies in `slots` for every row of checked inputs.
fn predict_rows<F: Scalar>(
    model: &Network<F>,
    slots: Vec<usize>,
    inputs: &[Given<'_, F>],
    rows: usize,
) -> Result<Vec<ArrayD<F>>> {
    let scalars: Vec<_> = inputs.iter().map(Given::scalars).collect();
    // A batch of a fixed size goes as it is.
    let at_once = model.graph.batch().unwrap_or_else(|| PIECES * rows_a_piece(&model.graph));
    let mut predictor = Predictor::new(model, slots, at_once.min(rows));
    let mut outputs = predictor.workers[0].outputs.clone();
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

/// A model ready to predict: it owns all memory that a prediction needs, so that [`run`](Self::run) allocates nothing.
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
    model: &'m Network<F>,
    plan: Plan,
    slots: Vec<usize>,
    workers: Vec<Worker<F>>,
    /// How many of the workers the last run used.
    used: usize,
    most_rows: usize,
    piece_rows: usize,
    /// The parameters with the states of stateful layers as the runs before left them; none where there are no such.
    carried: Option<Aligned<F>>,
}

impl<'m, F: Scalar> Predictor<'m, F> {
    pub(crate) fn new(model: &'m Network<F>, slots: Vec<usize>, most_rows: usize) -> Self {
        let graph = &model.graph;
        let frozen = vec![false; graph.layers.len()];
        let wanted = Wanted { every_output: slots != graph.outputs, ..Wanted::PARAMETERS };
        let plan = Plan::new(graph, false, &frozen, wanted, &vec![false; graph.outputs.len()]);
        let carried = graph.carries_state().then(|| model.params.clone());
        let piece_rows = rows_a_piece(graph);
        let pieces = most_rows.div_ceil(piece_rows).max(1);
        // A worker keeps the states of the last rows that it took: where states are carried, of all.
        let count = if carried.is_some() { pieces } else { pieces.min(model.threads.count()) };
        let workers = (0..count).map(|number| Worker {
            shard: Shard::new(number, graph),
            outputs: slots.iter().map(|&slot| Tensor::without_rows(&graph.shapes[slot])).collect(),
        });
        let workers = workers.collect();
        Self { model, plan, slots, workers, used: 0, most_rows, piece_rows, carried }
    }

    /// Takes all memory now, that of the layers too: every worker runs once, on as many rows of zeros as it ever will.
    pub(crate) fn warmed_up(mut self) -> Self {
        let graph = &self.model.graph;
        let rows = self.most_rows.min(self.piece_rows);
        let zeros: Vec<Vec<F>> =
            graph.inputs.iter().map(|input| vec![F::zero(); rows * volume(&input.shape)]).collect();
        let feeds: Vec<&[F]> = zeros.iter().map(Vec::as_slice).collect();
        let run = inference(self.model, &self.plan, None, rows);
        let rows_a_worker = self.most_rows.div_ceil(self.workers.len()).max(rows);
        for worker in &mut self.workers {
            worker.run(&run, &self.slots, &feeds, 0..rows, rows.max(1));
            for output in &mut worker.outputs {
                output.set_rows(rows_a_worker);
            }
        }
        self
    }

    /// Writes the model's (first) output for the rows in `x` to `out`: both row-major, as many rows as `x` has, at
    /// most as many as the predictor was made for.
    ///
    /// # Errors
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
        let graph = &self.model.graph;
        let expected = (graph.inputs.len(), self.slots.len());
        if (inputs.len(), outputs.len()) != expected {
            let received = format!("{} and {}", inputs.len(), outputs.len());
            return Err(Error::data(
                "Predictor::run",
                format!("{} inputs and {} outputs", expected.0, expected.1),
                received,
            ));
        }
        let rows = inputs[0].len() / volume(&graph.inputs[0].shape).max(1);
        for (input, given) in graph.inputs.iter().zip(inputs) {
            let len = volume(&input.shape);
            if given.len() != rows * len || rows > self.most_rows {
                let expected = format!("at most {} rows of {len} values for input `{}`", self.most_rows, input.name);
                return Err(Error::data("Predictor::run", expected, format!("{} values", given.len())));
            }
        }
        check_batch("Predictor::run", &graph.inputs, rows)?;
        for (&slot, out) in self.slots.iter().zip(outputs.iter()) {
            let len = rows * volume(&graph.shapes[slot]);
            if out.len() != len {
                return Err(Error::data("Predictor::run", format!("room for {len} values"), format!("{}", out.len())));
            }
        }
        if rows <= self.piece_rows {
            return self.run_few(inputs, rows, outputs);
        }
        self.model.threads.enter(|| self.run_many(inputs, rows))?;
        for (i, out) in outputs.iter_mut().enumerate() {
            self.fetch(i, out);
        }
        Ok(())
    }

    /// Runs checked inputs that go through the graph together, without detours: of a small network this is a good part.
    fn run_few(&mut self, feeds: &[&[F]], rows: usize, outputs: &mut [&mut [F]]) -> Result<()> {
        let run = inference(self.model, &self.plan, self.carried.as_deref(), rows);
        let shard = &mut self.workers[0].shard;
        if shard.rows == (0..rows) {
            shard.forget_refusal();
        } else {
            shard.set_rows(&run, 0..rows);
        }
        shard.forward(&run, 0..run.graph.nodes.len(), Feeds::Batch(feeds), &[]);
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
        for worker in &self.workers[..self.used] {
            let part = worker.outputs[i].data();
            out[start..start + part.len()].copy_from_slice(part);
            start += part.len();
        }
    }

    /// Runs checked inputs: each worker its share of the rows. The results lie in the workers' outputs.
    fn run_many(&mut self, feeds: &[&[F]], rows: usize) -> Result<()> {
        let run = inference(self.model, &self.plan, self.carried.as_deref(), rows);
        let count = self.workers.len().min(rows.div_ceil(self.piece_rows)).max(1);
        self.used = count;
        let (slots, piece_rows) = (&self.slots, self.piece_rows);
        let work = |worker: &mut Worker<F>| {
            let own = shard_rows(rows, worker.shard.number, count);
            worker.run(&run, slots, feeds, own, piece_rows);
        };
        match &mut self.workers[..count] {
            [worker] => work(worker),
            workers => parallel::for_each(workers, &work),
        }
        if let Some(error) = self.workers[..count].iter().find_map(|worker| worker.shard.refusal(run.graph, None)) {
            return Err(error);
        }
        self.carry(count, feeds, rows);
        Ok(())
    }

    /// Keeps the states that the first `count` workers left behind, for the next run.
    fn carry(&mut self, count: usize, feeds: &[&[F]], rows: usize) {
        if let Some(carried) = &mut self.carried {
            let run = Run { params: &[], ..inference(self.model, &self.plan, None, rows) };
            for worker in &self.workers[..count] {
                worker.shard.update_state(&run, carried, Feeds::Batch(feeds));
            }
        }
    }

    /// Sets the states of stateful layers, which go from run to run, back to what the model holds.
    pub fn reset_states(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.copy_from_slice(&self.model.params);
        }
    }
}

/// A prediction of so many rows, with the states in `carried` if there are such.
fn inference<'a, F: Scalar>(
    model: &'a Network<F>,
    plan: &'a Plan,
    carried: Option<&'a [F]>,
    rows: usize,
) -> Run<'a, F> {
    let params = carried.unwrap_or(&model.params);
    Run { graph: &model.graph, params, plan, mode: Mode::Inference, batch: rows, penalties: false }
}

/// The memory of one of the workers of a prediction.
struct Worker<F: Scalar> {
    shard: Shard<F>,
    outputs: Vec<Tensor<F>>,
}

impl<F: Scalar> Worker<F> {
    /// Takes the rows `rows` through the graph, so many at a time.
    fn run(&mut self, run: &Run<'_, F>, slots: &[usize], feeds: &[&[F]], rows: Range<usize>, at_a_time: usize) {
        for output in &mut self.outputs {
            output.set_rows(rows.len());
        }
        let pieces = rows.len().div_ceil(at_a_time).max(1);
        for piece in 0..pieces {
            let within = shard_rows(rows.len(), piece, pieces);
            self.shard.set_rows(run, rows.start + within.start..rows.start + within.end);
            self.shard.forward(run, 0..run.graph.nodes.len(), Feeds::Batch(feeds), &[]);
            if self.shard.has_refused() {
                return;
            }
            for (output, &slot) in self.outputs.iter_mut().zip(slots) {
                let value = self.shard.value(run, slot, Feeds::Batch(feeds));
                let len = value.row_len();
                output.data_mut()[within.start * len..within.end * len].copy_from_slice(&value);
            }
        }
    }
}
