//! A batch going through a model: cut into shards, forward, backward, joined in shard order.

use std::ops::Range;
use std::sync::Arc;

use super::graph::Graph;
use super::plan::{Plan, Wanted};
use super::shard::{Run, Shard};
use crate::kernels::aligned::Aligned;
use crate::kernels::elementwise;
use crate::layers::{Feeds, Mode};
use crate::{Error, Result, Scalar, Tensor, View, parallel};

/// A batch is cut into no more shards than this.
pub(crate) const MOST_SHARDS: usize = 16;

/// What goes through a graph: a shard, or something that has one.
pub(crate) trait HasShard<F>: Send {
    fn shard(&self) -> &Shard<F>;
    fn shard_mut(&mut self) -> &mut Shard<F>;
}

impl<F: Scalar> HasShard<F> for Shard<F> {
    fn shard(&self) -> &Self {
        self
    }
    fn shard_mut(&mut self) -> &mut Self {
        self
    }
}

/// How many shards a batch of so many rows is cut into. It depends on nothing else, so that sums are added in the same
/// order on every machine: at least two where each has eight rows to do, else about 64 rows a shard, whose values
/// stay in a core's cache.
pub(crate) fn shard_count(rows: usize) -> usize {
    const ROWS: usize = 64;
    const FEWEST_ROWS: usize = 8;
    rows.div_ceil(ROWS).max(2).min(rows / FEWEST_ROWS).clamp(1, MOST_SHARDS)
}

/// The rows of shard `number` of `count`: as even as can be.
pub(crate) fn shard_rows(batch: usize, number: usize, count: usize) -> Range<usize> {
    number * batch / count..(number + 1) * batch / count
}

/// The workspace of a batch: everything that a forward and a backward pass write, reused from step to step.
///
/// Made by [`Model::pass`](crate::Model::pass).
pub struct Pass<F: Scalar> {
    pub(crate) shards: Vec<Shard<F>>,
    /// How many of the shards the present batch uses.
    pub(crate) used: usize,
    pub(crate) batch: usize,
    pub(crate) totals: Vec<F>,
    pub(crate) plan: Plan,
    /// The graph that it was made for.
    pub(crate) graph: Arc<Graph<F>>,
    /// Which layers the plan trains.
    pub(crate) trains: Vec<bool>,
    /// Whether the gradients are those of the last forward pass.
    pub(crate) gone_back: bool,
    pub(crate) wanted: Wanted,
    pub(crate) penalties: bool,
    /// The mode of the forward pass whose values it holds.
    pub(crate) mode: Option<Mode>,
    pub(crate) outputs: Vec<Tensor<F>>,
    pub(crate) input_grads: Vec<Tensor<F>>,
    pub(crate) gradients: Aligned<F>,
}

impl<F: Scalar> Pass<F> {
    pub(crate) fn new(graph: &Arc<Graph<F>>, trains: &[bool], plan: Plan, wanted: Wanted) -> Self {
        Self {
            graph: graph.clone(),
            trains: trains.to_vec(),
            gone_back: false,
            shards: Vec::new(),
            used: 0,
            batch: 0,
            totals: Vec::new(),
            plan,
            wanted,
            penalties: false,
            mode: None,
            outputs: Vec::new(),
            input_grads: Vec::new(),
            gradients: Aligned::new(),
        }
    }

    /// Cuts a batch of `rows` rows into shards.
    pub(crate) fn set_rows(&mut self, graph: &Graph<F>, rows: usize) {
        self.batch = rows;
        self.used = shard_count(rows);
        for number in self.shards.len()..self.used {
            self.shards.push(Shard::new(number, graph));
        }
    }

    pub(crate) fn shards(&self) -> &[Shard<F>] {
        &self.shards[..self.used]
    }

    /// Whether a backward pass adds the gradients of regularizers' penalties, on parameters and on outputs. `fit` does;
    /// default here: false.
    #[must_use]
    pub fn with_penalties(mut self, penalties: bool) -> Self {
        self.penalties = penalties;
        self
    }

    /// The model's output number `i` of the last forward pass.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn output(&self, i: usize) -> View<'_, F> {
        self.outputs[i].view()
    }

    /// ∂L/∂input number `i` of the last backward pass, if the pass was made for input gradients.
    pub fn input_gradient(&self, i: usize) -> Option<View<'_, F>> {
        self.input_grads.get(i).map(Tensor::view)
    }

    /// ∂L/∂parameters of the last backward pass, in the order of the model's parameters.
    pub fn gradients(&self) -> &[F] {
        &self.gradients
    }

    /// Adds the parameters' gradients of another pass of the same model: the gradient of a sum of losses over several
    /// batches, for one [`Driver::step`](crate::optimizers::Driver::step).
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let mut model = Sequential::new().input([2]).add(Dense::new(1)).build()?;
    /// let mut optimizer = Driver::new(SGD::new(), &model)?;
    /// let (mut first, mut second) = (model.pass(), model.pass());
    /// for (pass, x) in [(&mut first, array![[1.0f32, 0.0]]), (&mut second, array![[0.0, 1.0]])] {
    ///     model.forward(pass, &x, Mode::Training { seed: 0, step: 0 })?;
    ///     model.backward(pass, &array![[1.0f32]])?;
    /// }
    /// first.add_gradients(&second)?;
    /// optimizer.step(&mut model, &first)?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If one of the two has had no backward pass, or they are of different models.
    pub fn add_gradients(&mut self, other: &Self) -> Result<()> {
        let ready = |pass: &Self| pass.gone_back && pass.wanted.parameters;
        if !Arc::ptr_eq(&self.graph, &other.graph) || !ready(self) || !ready(other) {
            let needs = "two passes of one model that have gone back and have the gradients of parameters";
            return Err(Error::NotReady { call: "add_gradients", needs });
        }
        elementwise::axpy(F::one(), &other.gradients, &mut self.gradients);
        Ok(())
    }
}

/// Runs a batch forward; shards meet at seams. `load` fills a shard's inputs before, `then` is called after, on the
/// shard's own thread. `feeds` tells where a shard's inputs lie, if not in the shard.
pub(crate) fn forward<F: Scalar, W: HasShard<F>>(
    shards: &mut [W],
    totals: &mut Vec<F>,
    run: &Run<'_, F>,
    feeds: Option<&[&[F]]>,
    load: &(impl Fn(&mut W) + Sync),
    then: &(impl Fn(&mut W) + Sync),
) {
    let seams = &run.plan.seams;
    let count = shards.len();
    totals.clear();
    for part in 0..=seams.len() {
        let start = if part == 0 { 0 } else { seams[part - 1] };
        let end = seams.get(part).copied().unwrap_or(run.graph.nodes.len());
        let sums: &[F] = totals;
        parallel::for_each(shards, &|work: &mut W| {
            if part == 0 {
                let shard = work.shard_mut();
                shard.set_rows(run, shard_rows(run.batch, shard.number, count));
                load(work);
            }
            let shard = work.shard_mut();
            let inputs = std::mem::take(&mut shard.inputs);
            let fed = feeds.map_or(Feeds::Own(&inputs), Feeds::Batch);
            shard.forward(run, start..end, fed, sums);
            if let Some(&seam) = seams.get(part) {
                shard.forward_sums(run, seam, fed);
            }
            shard.inputs = inputs;
            if part == seams.len() {
                then(work);
            }
        });
        if let Some(&seam) = seams.get(part) {
            join_sums(shards, totals, run, seam);
        }
    }
}

/// Runs a batch backward from the outputs' gradients, which the shards hold. With `begun` they have gone back to the
/// last seam already.
pub(crate) fn backward<F: Scalar, W: HasShard<F>>(
    shards: &mut [W],
    totals: &mut Vec<F>,
    run: &Run<'_, F>,
    feeds: Option<&[&[F]]>,
    begun: bool,
) {
    let seams = &run.plan.seams;
    totals.clear();
    if !begun {
        parallel::for_each(shards, &|work: &mut W| backward_part(work.shard_mut(), run, seams.len(), feeds, &[]));
    }
    for part in (0..seams.len()).rev() {
        join_sums(shards, totals, run, seams[part]);
        let sums: &[F] = totals;
        parallel::for_each(shards, &|work: &mut W| backward_part(work.shard_mut(), run, part, feeds, sums));
    }
}

/// The backward pass from seam number `part` to the one before it.
pub(crate) fn backward_part<F: Scalar>(
    shard: &mut Shard<F>,
    run: &Run<'_, F>,
    part: usize,
    feeds: Option<&[&[F]]>,
    totals: &[F],
) {
    let seams = &run.plan.seams;
    let inputs = std::mem::take(&mut shard.inputs);
    let fed = feeds.map_or(Feeds::Own(&inputs), Feeds::Batch);
    if part == seams.len() {
        shard.start_backward(run);
    }
    let end = seams.get(part).map_or(run.graph.nodes.len(), |&seam| seam + 1);
    let start = if part == 0 { 0 } else { seams[part - 1] + 1 };
    shard.backward(run, start..end, fed, totals);
    if part > 0 {
        shard.backward_sums(run, seams[part - 1], fed);
    } else {
        shard.end_backward(run);
    }
    shard.inputs = inputs;
}

/// Joins the shards' sums, in shard order.
fn join_sums<F: Scalar, W: HasShard<F>>(shards: &[W], totals: &mut Vec<F>, run: &Run<'_, F>, seam: usize) {
    let layer = run.graph.layer(&run.graph.nodes[seam]).expect("a seam is a layer's");
    totals.clear();
    totals.extend_from_slice(&shards[0].shard().sums);
    for work in &shards[1..] {
        layer.operation.join_sums(totals, &work.shard().sums);
    }
}
