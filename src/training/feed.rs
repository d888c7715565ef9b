//! Where the steps of an epoch get their rows from: a data set by its row numbers, or a stream as it comes.

use super::course::Course;
use crate::data::{Dataset, Items, Sample, SampleBatch, Stream};
use crate::losses::reduction::check_weights;
use crate::models::Compiled;
use crate::models::Model;
use crate::tensor::inputs::check_rows_loosely;
use crate::{Error, Result, Scalar};

/// What a model is trained on or evaluated with.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a, F: Scalar> {
    /// Rows by number; `check` says whether targets are still to be checked, batch by batch.
    Set { dataset: &'a dyn Dataset<F>, check: bool },
    /// Batches in the order in which they come.
    Stream(&'a Stream<Vec<Sample<F>>>),
}

/// One batch: which rows of which data set.
pub(crate) struct Step<'a, F: Scalar> {
    pub dataset: &'a dyn Dataset<F>,
    pub rows: &'a [usize],
    /// Whether the targets are still to be checked.
    pub check: bool,
    /// Whether the data set may be another than that of the step before.
    pub fresh: bool,
}

/// Gives out one batch after another, epoch by epoch.
pub(crate) enum Feed<'a, F: Scalar> {
    Set { dataset: &'a dyn Dataset<F>, check: bool, order: Vec<usize>, batch_size: usize, given: usize },
    Stream(Streamed<'a, F>),
}

/// A stream under way.
pub(crate) struct Streamed<'a, F: Scalar> {
    stream: &'a Stream<Vec<Sample<F>>>,
    /// The pass under way, if there is one.
    items: Option<Items<Vec<Sample<F>>>>,
    /// A batch that was read to see whether the pass has one left.
    waiting: Option<Vec<Sample<F>>>,
    batch: SampleBatch<F>,
    rows: Vec<usize>,
    /// How many batches a whole pass has, once one has been seen to its end.
    length: Option<usize>,
    given: usize,
}

impl<'a, F: Scalar> Source<'a, F> {
    /// To begin with; a data set is cut into batches of so many rows.
    pub fn feed(self, batch_size: usize) -> Feed<'a, F> {
        match self {
            Self::Set { dataset, check } => {
                Feed::Set { dataset, check, order: (0..dataset.len()).collect(), batch_size, given: 0 }
            }
            Self::Stream(stream) => Feed::Stream(Streamed {
                stream,
                items: None,
                waiting: None,
                batch: SampleBatch::default(),
                rows: Vec::new(),
                length: None,
                given: 0,
            }),
        }
    }
}

impl<F: Scalar> Feed<'_, F> {
    /// Begins an epoch, and returns how many steps it has, if that is known.
    pub fn begin(&mut self, course: &Course, seed: u64, epoch: usize) -> Result<Option<usize>> {
        match self {
            Self::Set { order, given, .. } => {
                *given = 0;
                course.arrange(order, seed, epoch);
                Ok(Some(course.steps(order.len())))
            }
            Self::Stream(streamed) => {
                if let Some(steps) = course.steps_per_epoch {
                    streamed.go_on(steps, course.initial_epoch, epoch)?;
                    return Ok(Some(steps));
                }
                streamed.open(epoch)?;
                Ok(streamed.length)
            }
        }
    }

    /// The next batch, if there is one, refused if it does not fit the model.
    pub fn next(&mut self, call: &str, model: &Model<F>, compiled: &Compiled<F>) -> Result<Option<Step<'_, F>>> {
        match self {
            Self::Set { dataset, check, order, batch_size, given } => {
                let rows = &order[*given..order.len().min(*given + *batch_size)];
                let fresh = *given == 0;
                *given += rows.len();
                Ok((!rows.is_empty()).then_some(Step { dataset: *dataset, rows, check: *check, fresh }))
            }
            Self::Stream(streamed) => {
                let Some(samples) = streamed.next()? else { return Ok(None) };
                let number = streamed.given - 1;
                let batch = SampleBatch::new(call, samples)
                    .and_then(|batch| check_dataset(call, model, compiled, &batch).map(|()| batch))
                    .map_err(|error| error.within(format!("batch {number} of the stream")))?;
                streamed.rows.clear();
                streamed.rows.extend(0..batch.len());
                streamed.batch = batch;
                Ok(Some(Step { dataset: &streamed.batch, rows: &streamed.rows, check: true, fresh: true }))
            }
        }
    }
}

impl<F: Scalar> Streamed<'_, F> {
    fn open(&mut self, epoch: usize) -> Result<()> {
        (self.items, self.given) = (Some(self.stream.pass(epoch as u64)?), 0);
        Ok(())
    }

    /// Where epochs have a fixed number of steps, a pass goes on over several of them, so that all of a long stream is seen;
    /// a new one begins with the epoch after the one in which it ended. A training that is taken up again goes through what
    /// the epochs before it have read.
    fn go_on(&mut self, steps: usize, initial_epoch: usize, epoch: usize) -> Result<()> {
        if epoch == initial_epoch {
            for before in 0..epoch {
                self.open_if_ended(before)?;
                for _ in 0..steps {
                    if self.next()?.is_none() {
                        break;
                    }
                }
            }
        }
        self.open_if_ended(epoch)
    }

    fn open_if_ended(&mut self, epoch: usize) -> Result<()> {
        self.waiting = self.next()?;
        if self.waiting.is_none() { self.open(epoch) } else { Ok(()) }
    }

    /// The next batch of the pass, which is over when there is none.
    fn next(&mut self) -> Result<Option<Vec<Sample<F>>>> {
        if let Some(batch) = self.waiting.take() {
            return Ok(Some(batch));
        }
        let Some(items) = &mut self.items else { return Ok(None) };
        let batch = items.next().transpose()?;
        if batch.is_none() {
            (self.items, self.length) = (None, Some(self.given));
        }
        self.given += usize::from(batch.is_some());
        Ok(batch)
    }
}

/// Refuses a data set that does not fit a compiled model.
pub(crate) fn check_dataset<F: Scalar>(
    call: &str,
    model: &Model<F>,
    compiled: &Compiled<F>,
    dataset: &dyn Dataset<F>,
) -> Result<()> {
    if dataset.is_empty() {
        return Err(Error::data(call, "at least one row", "none"));
    }
    let inputs = dataset.input_shapes();
    let expected: Vec<Vec<usize>> = model.graph.inputs.iter().map(|input| input.shape.clone()).collect();
    if inputs != expected {
        return Err(Error::data(call, format!("input rows of shapes {expected:?}"), format!("{inputs:?}")));
    }
    let targets = dataset.target_shapes();
    if targets.len() != compiled.objectives.len() {
        let expected = format!("targets for {} outputs", compiled.objectives.len());
        return Err(Error::data(call, expected, format!("{}", targets.len())));
    }
    for (i, (target, objective)) in targets.iter().zip(&compiled.objectives).enumerate() {
        let row = objective.loss.target_shape(model.output_shape(i))?;
        let what = format!("a target for output `{}`", model.graph.output_names[i]);
        check_rows_loosely(call, &what, &row, &[&[dataset.len()][..], target].concat())?;
    }
    for (i, (weights, objective)) in dataset.weight_shapes().iter().zip(&compiled.objectives).enumerate() {
        let Some(weights) = weights else { continue };
        let mut values = vec![dataset.len()];
        values.extend(objective.loss.values_shape(model.output_shape(i)));
        check_weights(call, &values, &[&[dataset.len()][..], weights].concat())?;
    }
    Ok(())
}
