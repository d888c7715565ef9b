//! Where the steps of an epoch get their rows from: a data set by its row numbers, or a stream as it comes.

use super::epoch_options::EpochOptions;
use crate::data::{Dataset, Items, Sample, SampleBatch, Source, Stream};
use crate::{Error, Result, Scalar};

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
    /// Rows by number; `check` says whether targets are still to be checked, batch by batch.
    Set {
        dataset: &'a dyn Dataset<F>,
        check: bool,
        order: Vec<usize>,
        batch_size: usize,
        given: usize,
    },
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

impl<'a, F: Scalar> Feed<'a, F> {
    /// To begin with; a data set is cut into batches of so many rows.
    pub fn of(source: &'a Source<'a, F>, batch_size: usize) -> Self {
        let set = |dataset: &'a dyn Dataset<F>, check| Self::Set {
            dataset,
            check,
            order: (0..dataset.len()).collect(),
            batch_size,
            given: 0,
        };
        match source {
            Source::Arrays(arrays) => set(arrays, false),
            Source::Dataset(dataset) => set(*dataset, true),
            Source::Stream(stream) => Self::Stream(Streamed {
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
    pub fn begin(&mut self, options: &EpochOptions, seed: u64, epoch: usize) -> Result<Option<usize>> {
        match self {
            Self::Set { order, given, .. } => {
                *given = 0;
                options.arrange(order, seed, epoch);
                Ok(Some(options.steps(order.len())))
            }
            Self::Stream(streamed) => {
                if let Some(steps) = options.steps_per_epoch {
                    streamed.go_on(steps, options.initial_epoch, epoch)?;
                    return Ok(Some(steps));
                }
                streamed.open(epoch)?;
                Ok(streamed.length)
            }
        }
    }

    /// The next batch, if there is one; a stream's is refused if it does not pass `check`.
    pub fn next(&mut self, call: &str, check: &dyn Fn(&dyn Dataset<F>) -> Result<()>) -> Result<Option<Step<'_, F>>> {
        match self {
            Self::Set { dataset, check, order, batch_size, given } => {
                let rows = &order[*given..order.len().min(given.saturating_add(*batch_size))];
                let fresh = *given == 0;
                *given += rows.len();
                Ok((!rows.is_empty()).then_some(Step { dataset: *dataset, rows, check: *check, fresh }))
            }
            Self::Stream(streamed) => {
                let Some(samples) = streamed.next()? else { return Ok(None) };
                let number = streamed.given - 1;
                let batch = SampleBatch::new(call, samples)
                    .and_then(|batch| check(&batch).map(|()| batch))
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

/// Calls `work` for every batch of one pass, in the source's own order. A stream's batches must pass `check`.
pub(crate) fn each_batch<F: Scalar, S>(
    feed: &mut Feed<'_, F>,
    state: &mut S,
    check: &dyn Fn(&S, &dyn Dataset<F>) -> Result<()>,
    mut work: impl FnMut(&mut S, Step<'_, F>) -> Result<()>,
) -> Result<()> {
    feed.begin(&EpochOptions { shuffle: false, ..EpochOptions::default() }, 0, 0)?;
    let mut seen = 0;
    while let Some(next) = feed.next("evaluate", &|data| check(state, data))? {
        seen += next.rows.len();
        work(state, next)?;
    }
    if seen == 0 {
        return Err(Error::data("evaluate", "a stream with a batch", "none"));
    }
    Ok(())
}
