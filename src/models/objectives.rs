//! What a model is trained to make small, output by output, and the metrics that are watched.

use std::sync::Arc;

use crate::engine::Exchange;
use crate::losses::{Loss, Reduction};
use crate::metrics::Tracked;
use crate::{Error, Result, Scalar};

/// One output's loss and metrics.
#[derive(Clone)]
pub(crate) struct Objective<F: Scalar> {
    /// What the loss is called in logs: with several outputs, the output's name before it.
    pub name: String,
    /// The output that it was given for by name.
    pub output: Option<String>,
    pub loss: Arc<dyn Loss<F>>,
    pub reduction: Reduction,
    /// What its loss counts in the sum over the outputs.
    pub weight: f64,
    pub metrics: Vec<Watched<F>>,
}

/// A metric and whether sample weights weigh in it.
#[derive(Clone)]
pub(crate) struct Watched<F: Scalar> {
    pub metric: Tracked<F>,
    pub weighted: bool,
    /// Its name in history: with several outputs, the output's before it.
    pub name: String,
}

impl<F: Scalar> Objective<F> {
    /// Refuses sample weights and class weights where the loss is the whole batch's.
    pub fn check_weighted(&self, call: &str, what: &str) -> Result<()> {
        if self.loss.couples_batch() {
            return Err(Error::data(call, format!("no {what} weights, since the loss is the whole batch's"), "some"));
        }
        Ok(())
    }
}

/// Every metric under its name.
pub(crate) fn for_each_metric<F: Scalar>(objectives: &[Objective<F>], mut visit: impl FnMut(&str, f64)) {
    for watched in objectives.iter().flat_map(|objective| &objective.metrics) {
        visit(&watched.name, watched.metric.result());
    }
}

/// Joins what the metrics of several processes have gathered.
pub(crate) fn join_metrics<F: Scalar>(objectives: &mut [Objective<F>], exchange: &dyn Exchange<F>) -> Result<()> {
    let mut joined = Ok(());
    for watched in objectives.iter_mut().flat_map(|objective| &mut objective.metrics) {
        watched.metric.sums(&mut |sums| {
            if joined.is_ok() {
                joined = exchange.add_up(sums);
            }
        });
    }
    joined
}

pub(crate) fn reset_metrics<F: Scalar>(objectives: &mut [Objective<F>]) {
    objectives.iter_mut().flat_map(|objective| &mut objective.metrics).for_each(|watched| watched.metric.reset());
}
