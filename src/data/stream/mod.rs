//! Data that comes one after another, from files larger than memory.

mod lengths;
mod prefetch;
#[cfg(feature = "csv")]
mod record;
mod sample;
mod shuffle;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

pub use lengths::BatchSizes;
#[cfg(feature = "csv")]
pub use record::Record;
pub use sample::Sample;
pub(crate) use sample::SampleBatch;

use super::Dataset;
use crate::{Error, Result, Scalar, random};

/// The items of one pass over a [`Stream`]; after an error there are none.
pub type Items<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// A lazy pipeline of items: nothing is read before they are asked for, and no more is held than its steps need.
///
/// A stream is a recipe. Each *pass* over it, an epoch of a training, opens it anew and follows the recipe from the start;
/// the number of the pass and the seeds in it decide the order, so that every run sees the same. Where
/// [`Dataset`] gives out rows by number, a stream need not know how many there are.
///
/// | step | what it does |
/// | --- | --- |
/// | [`map`](Self::map), [`map_with`](Self::map_with) | each item becomes another; with a generator of its own |
/// | [`filter`](Self::filter) | keeps some |
/// | [`shuffle`](Self::shuffle) | mixes items that are near each other, in a buffer |
/// | [`batch`](Self::batch), [`batch_drop_remainder`](Self::batch_drop_remainder) | items become lists of them |
/// | [`bucket_by_length`](Self::bucket_by_length) | lists of items whose lengths are alike |
/// | [`padded_batch`](Stream::padded_batch), [`pad`](Stream::pad) | samples of different lengths brought to one |
/// | [`repeat`](Self::repeat) | again from the start |
/// | [`zip`](Self::zip) | pairs with the items of another stream |
/// | [`take`](Self::take), [`skip`](Self::skip) | the first, or all but the first |
/// | [`prefetch`](Self::prefetch) | reads ahead on a thread of its own |
///
/// A model learns from a stream of lists of [`Sample`]s: [`fit_data`](crate::Model::fit_data),
/// [`evaluate_data`](crate::Model::evaluate_data).
///
/// # Errors
/// What a step cannot do is an item that is an error, the last of its pass.
/// # Example
/// ```
/// use gradus::data::{Sample, Stream};
/// use gradus::prelude::*;
///
/// // Rows that are made as they are asked for: x and 2x + 1.
/// let rows = Stream::of_items(|_| Ok((0..1000u16).map(|i| f32::from(i) / 1000.0)))
///     .map(|x| Ok(Sample::new(&array![x], &array![2.0 * x + 1.0])))
///     .shuffle(200, 7)
///     .batch(50)
///     .prefetch(2);
///
/// let mut model = Sequential::new()
///     .input([1])
///     .add(Dense::new(1))
///     .compile(MeanSquaredError::new(), Adam::new().learning_rate(0.1))
///     .build()?;
/// model.fit_data(&rows, Fit::new().epochs(5).verbose(0))?;
/// assert!(model.evaluate_data(&rows)?.loss < 1e-2);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `tf.data.Dataset`.
pub struct Stream<T> {
    open: Arc<dyn Fn(u64) -> Result<Items<T>> + Send + Sync>,
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Self { open: Arc::clone(&self.open) }
    }
}

impl<T> std::fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl<T: Send + 'static> Stream<T> {
    /// What `open` gives for each pass, which it is told the number of.
    pub fn new<I>(open: impl Fn(u64) -> Result<I> + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Result<T>> + Send + 'static,
    {
        Self { open: Arc::new(move |pass| Ok(Box::new(open(pass)?))) }
    }

    /// As [`new`](Self::new), of items that cannot fail.
    pub fn of_items<I>(open: impl Fn(u64) -> Result<I> + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = T> + Send + 'static,
    {
        Self::new(move |pass| Ok(open(pass)?.map(Ok)))
    }

    /// The items of one pass. What follows an error is left out.
    ///
    /// # Errors
    /// What the source says when it is opened.
    pub fn pass(&self, number: u64) -> Result<Items<T>> {
        let mut source = Some((self.open)(number)?);
        Ok(Box::new(std::iter::from_fn(move || {
            let item = source.as_mut()?.next();
            if !matches!(item, Some(Ok(_))) {
                source = None;
            }
            item
        })))
    }

    /// A stream whose passes are made from the passes of this one.
    fn then<U: Send + 'static, I>(self, step: impl Fn(Items<T>, u64) -> I + Send + Sync + 'static) -> Stream<U>
    where
        I: Iterator<Item = Result<U>> + Send + 'static,
    {
        Stream::new(move |pass| Ok(step(self.pass(pass)?, pass)))
    }

    /// Each item turned into another.
    pub fn map<U: Send + 'static>(self, change: impl Fn(T) -> Result<U> + Send + Sync + 'static) -> Stream<U> {
        let change = Arc::new(change);
        self.then(move |items, _| {
            let change = Arc::clone(&change);
            items.map(move |item| change(item?))
        })
    }

    /// Each item turned into another with a generator of its own, which seed, pass and the item's place decide: for changes
    /// at random that are the same in every run.
    ///
    /// # Example
    /// ```
    /// use gradus::data::Stream;
    /// use ndarray_rand::rand::Rng;
    ///
    /// let noisy = Stream::of_items(|_| Ok(0..3)).map_with(1, |x, rng| Ok(f64::from(x) + rng.random_range(-0.1..0.1)));
    /// let pass = |number| noisy.pass(number)?.collect::<gradus::Result<Vec<f64>>>();
    /// assert_eq!(pass(0)?, pass(0)?);
    /// assert_ne!(pass(0)?, pass(1)?);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn map_with<U: Send + 'static>(
        self,
        seed: u64,
        change: impl Fn(T, &mut random::Philox) -> Result<U> + Send + Sync + 'static,
    ) -> Stream<U> {
        let change = Arc::new(change);
        self.then(move |items, pass| {
            let (change, key) = (Arc::clone(&change), random::mix(seed ^ random::mix(pass)));
            items.zip(0u64..).map(move |(item, place)| change(item?, &mut random::Philox::new(key, place)))
        })
    }

    /// The items for which `keep` is true.
    pub fn filter(self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        let keep = Arc::new(keep);
        self.then(move |items, _| {
            let keep = Arc::clone(&keep);
            items.filter(move |item| item.as_ref().map_or(true, |item| keep(item)))
        })
    }

    /// The items in another order: each is drawn at random from the next `buffer` ones, which are held in memory. With a
    /// buffer as large as the stream every order is equally likely. Seed and pass decide; a buffer of 1 changes nothing.
    ///
    /// # Errors
    /// To open the stream is refused for a buffer of 0.
    pub fn shuffle(self, buffer: usize, seed: u64) -> Self {
        let stream = self;
        Self::new(move |pass| {
            at_least_one("shuffle", "buffer", buffer)?;
            Ok(shuffle::Shuffled::new(stream.pass(pass)?, buffer, random::Philox::new(seed, pass)))
        })
    }

    /// Lists of `items` items each; the last may be shorter.
    ///
    /// # Errors
    /// To open the stream is refused for lists of 0.
    pub fn batch(self, items: usize) -> Stream<Vec<T>> {
        self.batches(items, false)
    }

    /// As [`batch`](Self::batch), without a last list that would be shorter: for models whose batches have a fixed size.
    ///
    /// # Errors
    /// As [`batch`](Self::batch).
    pub fn batch_drop_remainder(self, items: usize) -> Stream<Vec<T>> {
        self.batches(items, true)
    }

    fn batches(self, size: usize, drop_remainder: bool) -> Stream<Vec<T>> {
        Stream::new(move |pass| {
            at_least_one("batch", "items", size)?;
            let mut items = self.pass(pass)?;
            Ok(std::iter::from_fn(move || {
                let batch: Result<Vec<T>> = items.by_ref().take(size).collect();
                let shortest = if drop_remainder { size } else { 1 };
                Some(batch).filter(|batch| batch.as_ref().map_or(true, |batch| batch.len() >= shortest))
            }))
        })
    }

    /// The stream several times, without end if `times` is [`None`]. Each repetition is a pass of its own, with an order of its
    /// own.
    ///
    /// # Errors
    /// An item that is an error where an endless repetition finds nothing to repeat.
    pub fn repeat(self, times: impl Into<Option<usize>>) -> Self {
        let times = times.into();
        let stream = self;
        Self::new(move |pass| {
            let stream = stream.clone();
            let numbers = 0..times.map_or(u64::MAX, |times| times as u64);
            let passes = numbers.map(move |number| match number {
                0 => stream.pass(pass),
                _ => stream.pass(random::mix(pass ^ random::mix(number))),
            });
            let endless = times.is_none();
            Ok(passes.flat_map(move |items| -> Items<T> {
                let first = items.map(|mut items| (items.next(), items));
                match first {
                    Ok((Some(first), rest)) => Box::new(std::iter::once(first).chain(rest)),
                    Ok((None, _)) if endless => {
                        Box::new(std::iter::once(Err(Error::data("repeat", "a stream with items", "an empty one"))))
                    }
                    Ok((None, _)) => Box::new(std::iter::empty()),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                }
            }))
        })
    }

    /// Pairs of items of the two streams, as long as both have some.
    pub fn zip<U: Send + 'static>(self, other: Stream<U>) -> Stream<(T, U)> {
        Stream::new(move |pass| {
            let others = other.pass(pass)?;
            Ok(self.pass(pass)?.zip(others).map(|(left, right)| Ok((left?, right?))))
        })
    }

    /// The first `count` items.
    pub fn take(self, count: usize) -> Self {
        self.then(move |items, _| items.take(count))
    }

    /// All items but the first `count`. An error among these is not skipped.
    pub fn skip(self, count: usize) -> Self {
        self.then(move |items, _| {
            items.enumerate().filter(move |(i, item)| *i >= count || item.is_err()).map(|(_, item)| item)
        })
    }

    /// Reads up to `items` items ahead on a thread of its own, so that reading and learning go on at the same time. The
    /// items and their order stay the same. The thread ends with the pass, also one that is left early.
    ///
    /// # Errors
    /// To open the stream is refused for 0 items, or if the system grants no thread.
    pub fn prefetch(self, items: usize) -> Self {
        let stream = self;
        Self::new(move |pass| {
            at_least_one("prefetch", "items", items)?;
            let room = crate::memory::room::<(Result<T>, usize)>("items", items, &[items]);
            room.map_err(|error| error.within("prefetch"))?;
            prefetch::Prefetched::start(stream.pass(pass)?, items)
        })
    }
}

impl Stream<String> {
    /// The lines of a text file, without their ends.
    ///
    /// # Errors
    /// [`Io`](Error::Io) if the file cannot be opened, when a pass begins, or read on, as an item.
    pub fn lines(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        Self::new(move |_| {
            let file = File::open(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
            let (path, mut is_first) = (path.clone(), true);
            Ok(BufReader::new(file).lines().map(move |line| {
                let mut line = line.map_err(|source| Error::Io { path: path.clone(), source })?;
                if std::mem::take(&mut is_first) && line.starts_with('\u{feff}') {
                    line.remove(0);
                }
                Ok(line)
            }))
        })
    }
}

impl<F: Scalar> Stream<Sample<F>> {
    /// The rows of a data set, in its own order; the set sees the number of the pass as its step.
    pub fn of(dataset: impl Dataset<F> + Send + 'static) -> Self {
        let dataset = Arc::new(dataset);
        Self::new(move |pass| {
            let dataset = Arc::clone(&dataset);
            Ok((0..dataset.len()).map(move |row| Sample::gather(dataset.as_ref(), row, pass)))
        })
    }
}

fn at_least_one(step: &str, option: &str, value: usize) -> Result<()> {
    if value == 0 { Err(Error::option(option, "at least 1", 0).within(step)) } else { Ok(()) }
}
