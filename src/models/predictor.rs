//! Inference without allocation.

use ndarray::ArrayD;

use super::Model;
use super::graph::Graph;
use super::inputs::{Given, check_batch};
use super::pass::shard_rows;
use super::plan::{Plan, Wanted};
use super::shard::{Run, Shard};
use crate::layers::{Feeds, Mode};
use crate::tensor::volume;
use crate::{Error, Result, Scalar, Tensor, parallel};

/// Rows that one shard of an inference takes, at most: few enough that its values stay in a core's cache.
const SHARD_ROWS: usize = 64;
/// Values that all layers give for the rows of one shard, at most where one row has fewer: large images come in small
/// shards.
const SHARD_VALUES: usize = 1 << 22;
/// Shards of a prediction of many rows that have memory of their own; the rows go through them piece by piece.
const SHARDS: usize = 16;

/// How many rows a shard takes.
fn rows_a_shard<F: Scalar>(graph: &Graph<F>) -> usize {
    let values: usize = graph.shapes.iter().map(|shape| volume(shape)).sum();
    (SHARD_VALUES / values.max(1)).clamp(1, SHARD_ROWS)
}

/// What lies in `slots` for every row of checked inputs.
pub(crate) fn predict_rows<F: Scalar>(
    model: &Model<F>,
    slots: Vec<usize>,
    inputs: &[Given<'_, F>],
    rows: usize,
) -> Result<Vec<ArrayD<F>>> {
    let scalars: Vec<_> = inputs.iter().map(Given::scalars).collect();
    // A batch of a fixed size is one piece.
    let piece = model.graph.batch().unwrap_or_else(|| SHARDS * rows_a_shard(&model.graph));
    let mut predictor = Predictor::new(model, slots, piece.min(rows));
    let mut outputs = predictor.outputs.clone();
    for output in &mut outputs {
        output.set_rows(rows);
    }
    model.threads.enter(|| {
        for start in (0..rows).step_by(piece) {
            let part = start..rows.min(start + piece);
            let cut = |len: usize| part.start * len..part.end * len;
            let feeds: Vec<&[F]> =
                scalars.iter().zip(inputs).map(|(scalars, given)| &scalars[cut(given.row_len())]).collect();
            predictor.run_many(&feeds, part.len())?;
            for (output, of_part) in outputs.iter_mut().zip(&predictor.outputs) {
                let cut = cut(of_part.view().row_len());
                output.data_mut()[cut].copy_from_slice(of_part.data());
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
    model: &'m Model<F>,
    plan: Plan,
    slots: Vec<usize>,
    shards: Vec<Shard<F>>,
    outputs: Vec<Tensor<F>>,
    most_rows: usize,
    shard_rows: usize,
    /// The parameters with the states of stateful layers as the runs before left them; none where there are no such.
    carried: Option<Vec<F>>,
}

impl<'m, F: Scalar> Predictor<'m, F> {
    pub(crate) fn new(model: &'m Model<F>, slots: Vec<usize>, most_rows: usize) -> Self {
        let graph = &model.graph;
        let frozen = vec![false; graph.layers.len()];
        let plan = Plan::new(graph, false, &frozen, Wanted::PARAMETERS, &vec![false; graph.outputs.len()]);
        let outputs = slots.iter().map(|&slot| Tensor::without_rows(&graph.shapes[slot])).collect();
        let shard_rows = rows_a_shard(graph);
        let shards = (0..most_rows.div_ceil(shard_rows).max(1)).map(|number| Shard::new(number, graph)).collect();
        let carried = graph.carries_state().then(|| model.params.clone());
        Self { model, plan, slots, shards, outputs, most_rows, shard_rows, carried }
    }

    /// Takes all memory now, that of the layers too: every shard runs once, on as many rows of zeros as it ever will.
    pub(crate) fn warmed_up(mut self) -> Self {
        let graph = &self.model.graph;
        let rows = self.most_rows.min(self.shard_rows);
        let zeros: Vec<Vec<F>> =
            graph.inputs.iter().map(|input| vec![F::zero(); rows * volume(&input.shape)]).collect();
        let feeds: Vec<&[F]> = zeros.iter().map(Vec::as_slice).collect();
        let run = Run {
            graph,
            params: &self.model.params,
            plan: &self.plan,
            mode: Mode::Inference,
            batch: rows,
            penalties: false,
        };
        for shard in &mut self.shards {
            shard.set_rows(&run, 0..rows);
            shard.forward(&run, 0..graph.nodes.len(), Feeds::Batch(&feeds), &[]);
        }
        for output in &mut self.outputs {
            output.set_rows(self.most_rows);
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
        if rows <= self.shard_rows {
            self.run_many(inputs, rows)?;
        } else {
            self.model.threads.enter(|| self.run_many(inputs, rows))?;
        }
        for (out, output) in outputs.iter_mut().zip(&self.outputs) {
            out.copy_from_slice(output.data());
        }
        Ok(())
    }

    /// Runs checked inputs; the results lie in `self.outputs`.
    fn run_many(&mut self, feeds: &[&[F]], rows: usize) -> Result<()> {
        let model = self.model;
        let run = Run {
            graph: &model.graph,
            params: self.carried.as_deref().unwrap_or(&model.params),
            plan: &self.plan,
            mode: Mode::Inference,
            batch: rows,
            penalties: false,
        };
        let count = rows.div_ceil(self.shard_rows).max(1);
        let nodes = model.graph.nodes.len();
        let shards = &mut self.shards[..count];
        let work = |shard: &mut Shard<F>| {
            shard.set_rows(&run, shard_rows(rows, shard.number, count));
            shard.forward(&run, 0..nodes, Feeds::Batch(feeds), &[]);
        };
        if let [shard] = shards {
            work(shard);
        } else {
            parallel::for_each(shards, &work);
        }
        if let Some(error) = shards.iter().find_map(|shard| shard.refusal(&model.graph, None)) {
            return Err(error);
        }
        for (output, &slot) in self.outputs.iter_mut().zip(&self.slots) {
            output.set_rows(rows);
            for shard in &self.shards[..count] {
                let value = shard.value(&run, slot, Feeds::Batch(feeds));
                let len = value.row_len();
                output.data_mut()[shard.rows.start * len..shard.rows.end * len].copy_from_slice(&value);
            }
        }
        if let Some(carried) = &mut self.carried {
            let (graph, plan, mode) = (&model.graph, &self.plan, Mode::Inference);
            let run = Run { graph, params: &[], plan, mode, batch: rows, penalties: false };
            for shard in &self.shards[..count] {
                shard.update_state(&run, carried, Feeds::Batch(feeds));
            }
        }
        Ok(())
    }

    /// Sets the states of stateful layers, which go from run to run, back to what the model holds.
    pub fn reset_states(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.copy_from_slice(&self.model.params);
        }
    }
}
