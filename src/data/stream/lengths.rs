//! Samples of different lengths: batches of similar ones, and padding.

use std::sync::Arc;

use super::{Items, Sample, Stream, at_least_one};
use crate::data::dataset::Labels;
use crate::{Error, Result, Scalar, Tensor};

/// How many items a batch has: one number for every bucket, or one for each.
#[derive(Clone, Debug)]
pub struct BatchSizes(Sizes);

#[derive(Clone, Debug)]
enum Sizes {
    Same(usize),
    Each(Vec<usize>),
}

impl From<usize> for BatchSizes {
    fn from(size: usize) -> Self {
        Self(Sizes::Same(size))
    }
}

impl From<Vec<usize>> for BatchSizes {
    fn from(sizes: Vec<usize>) -> Self {
        Self(Sizes::Each(sizes))
    }
}

impl<const N: usize> From<[usize; N]> for BatchSizes {
    fn from(sizes: [usize; N]) -> Self {
        Self(Sizes::Each(sizes.into()))
    }
}

impl BatchSizes {
    /// One for each of `buckets` buckets.
    fn of_buckets(self, buckets: usize) -> Result<Vec<usize>> {
        let sizes = match self.0 {
            Sizes::Same(size) => vec![size; buckets],
            Sizes::Each(sizes) => sizes,
        };
        if sizes.len() != buckets {
            let expected = format!("one number, or {buckets}: one more than there are boundaries");
            return Err(Error::option("batch_sizes", expected, format!("{sizes:?}")).within("bucket_by_length"));
        }
        sizes.iter().try_for_each(|&size| at_least_one("bucket_by_length", "batch_sizes", size))?;
        Ok(sizes)
    }
}

/// The items of a pass in batches of similar lengths.
struct Bucketed<T, L> {
    items: Items<T>,
    boundaries: Arc<[usize]>,
    sizes: Vec<usize>,
    buckets: Vec<Vec<T>>,
    length_of: Arc<L>,
}

impl<T, L: Fn(&T) -> usize> Iterator for Bucketed<T, L> {
    type Item = Result<Vec<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        for item in self.items.by_ref() {
            let item = match item {
                Ok(item) => item,
                Err(error) => return Some(Err(error)),
            };
            let length = (self.length_of)(&item);
            let place = self.boundaries.partition_point(|&boundary| boundary <= length);
            self.buckets[place].push(item);
            if self.buckets[place].len() == self.sizes[place] {
                return Some(Ok(std::mem::take(&mut self.buckets[place])));
            }
        }
        // What is left, the shortest first.
        self.buckets.iter_mut().find(|bucket| !bucket.is_empty()).map(|bucket| Ok(std::mem::take(bucket)))
    }
}

impl<T: Send + 'static> Stream<T> {
    /// Batches of items whose lengths are alike, so that little has to be padded ([`pad`](Stream::pad)): bucket i takes
    /// lengths from boundary i − 1, that one included, to boundary i, and gives a batch as soon as it is full. What is left
    /// at the end comes last, the shortest items first.
    ///
    /// `boundaries` ascend; `batch_sizes` is one number, or one for each bucket, of which there is one more than
    /// boundaries: long sequences in smaller batches.
    ///
    /// # Errors
    /// To open the stream is refused for boundaries that do not ascend, and for sizes of 0 or as many as do not fit.
    /// # Example
    /// ```
    /// use gradus::data::{Sample, Stream};
    /// use gradus::prelude::*;
    ///
    /// // Texts of word numbers, and whether the word 7 is in them.
    /// let texts = [vec![3, 7], vec![5, 2, 9, 4, 1, 7], vec![1], vec![8, 8, 3, 2, 6], vec![7, 7, 7]];
    /// let samples = Stream::of_items(move |_| Ok(texts.clone().into_iter()))
    ///     .map(|text| Ok(Sample::new(&Array1::from(text.clone()), &array![i64::from(text.contains(&7))])));
    /// let batches = samples.bucket_by_length([4], [3, 2], |sample| sample.input_values(0).map_or(0, <[f32]>::len)).pad(0.0, 0.0);
    ///
    /// let mut model = Sequential::new()
    ///     .input((None,)) // any length
    ///     .add(Embedding::new(10, 4).mask_zero(true))
    ///     .add(GRU::new(8))
    ///     .add(Dense::new(1).activation(Sigmoid))
    ///     .compile(BinaryCrossentropy::new(), Adam::new())
    ///     .build()?;
    /// model.fit_data(&batches, Fit::new().epochs(2).verbose(0))?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// `tf.data.Dataset.bucket_by_sequence_length`.
    pub fn bucket_by_length(
        self,
        boundaries: impl Into<Vec<usize>>,
        batch_sizes: impl Into<BatchSizes>,
        length_of: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Stream<Vec<T>> {
        let (boundaries, batch_sizes): (Arc<[usize]>, _) = (boundaries.into().into(), batch_sizes.into());
        let length_of = Arc::new(length_of);
        Stream::new(move |pass| {
            if !boundaries.is_sorted_by(|a, b| a < b) {
                let error = Error::option("boundaries", "numbers that ascend", format!("{boundaries:?}"));
                return Err(error.within("bucket_by_length"));
            }
            let sizes = batch_sizes.clone().of_buckets(boundaries.len() + 1)?;
            Ok(Bucketed {
                items: self.pass(pass)?,
                boundaries: boundaries.clone(),
                buckets: sizes.iter().map(|_| Vec::new()).collect(),
                sizes,
                length_of: length_of.clone(),
            })
        })
    }
}

impl<F: Scalar> Stream<Sample<F>> {
    /// Batches of `items` samples each, padded as [`pad`](Stream::pad) does; the last may be shorter.
    ///
    /// # Errors
    /// To open the stream is refused for batches of 0; and as [`pad`](Stream::pad).
    /// # Source
    /// `tf.data.Dataset.padded_batch`.
    pub fn padded_batch(self, items: usize, inputs: F, targets: F) -> Stream<Vec<Sample<F>>> {
        self.batch(items).pad(inputs, targets)
    }
}

impl<F: Scalar> Stream<Vec<Sample<F>>> {
    /// Brings the samples of each batch to one shape: along every axis as long as the longest of the batch, filled up at the
    /// ends, inputs with the value `inputs`, targets with `targets`. Weights of single values are filled up with 0.
    ///
    /// A layer that makes a mask ([`Embedding`](crate::layers::Embedding) with `mask_zero`,
    /// [`Masking`](crate::layers::Masking)) knows the filling by its value.
    ///
    /// # Errors
    /// An item that is an error where samples of a batch differ in how many axes they have, or how many tensors.
    /// # Example
    /// ```
    /// use gradus::data::{Sample, Stream};
    /// use ndarray::{Array1, array};
    ///
    /// let ramps = Stream::of_items(|_| Ok(1..3u8)).map(|n| Ok(Sample::new(&Array1::from_iter(0..n), &array![n])));
    /// let batch = ramps.batch(2).pad(-1.0f32, 0.0).pass(0)?.next().expect("a batch")?;
    /// assert_eq!(batch[0].input_values(0), Some(&[0.0, -1.0][..]));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn pad(self, inputs: F, targets: F) -> Self {
        self.map(move |batch| pad(batch, inputs, targets))
    }
}

fn pad<F: Scalar>(mut batch: Vec<Sample<F>>, inputs: F, targets: F) -> Result<Vec<Sample<F>>> {
    fill(&mut batch, "input", inputs, |sample| sample.inputs.iter_mut().collect())?;
    fill(&mut batch, "target", targets, |sample| sample.labels.targets.iter_mut().collect())?;
    // One weight of a whole target stays one.
    let each = |labels: &Labels<F>| labels.weights.iter().flatten().any(|weight| weight.data().len() > 1);
    if batch.iter().any(|sample| each(&sample.labels)) {
        fill(&mut batch, "weight", F::zero(), |sample| sample.labels.weights.iter_mut().flatten().collect())?;
    }
    Ok(batch)
}

/// Brings the tensors of one kind to one shape each.
fn fill<F: Scalar>(
    batch: &mut [Sample<F>],
    kind: &str,
    value: F,
    tensors: impl Fn(&mut Sample<F>) -> Vec<&mut Tensor<F>>,
) -> Result<()> {
    let mut longest: Vec<Vec<usize>> = Vec::new();
    for (row, sample) in batch.iter_mut().enumerate() {
        let own = tensors(sample);
        if row == 0 {
            longest = own.iter().map(|tensor| tensor.shape().to_vec()).collect();
        }
        let alike = |(tensor, longest): (&&mut Tensor<F>, &Vec<usize>)| tensor.shape().len() == longest.len();
        if own.len() != longest.len() || !own.iter().zip(&longest).all(alike) {
            let shapes: Vec<&[usize]> = own.iter().map(|tensor| tensor.shape()).collect();
            let expected = format!("{kind}s with as many axes as the first of the batch has, {longest:?}");
            return Err(Error::data("pad", expected, format!("{shapes:?} at row {row}")));
        }
        for (tensor, longest) in own.iter().zip(&mut longest) {
            longest.iter_mut().zip(tensor.shape()).for_each(|(longest, &axis)| *longest = axis.max(*longest));
        }
    }
    for sample in batch {
        for (tensor, longest) in tensors(sample).into_iter().zip(&longest) {
            if tensor.shape() != longest {
                *tensor = filled_up(tensor, longest, value);
            }
        }
    }
    Ok(())
}

/// A tensor in the corner of a larger one.
fn filled_up<F: Scalar>(tensor: &Tensor<F>, shape: &[usize], value: F) -> Tensor<F> {
    let mut larger = Tensor::zeros(shape);
    larger.data_mut().fill(value);
    let len = tensor.shape().last().copied().unwrap_or(1);
    if tensor.data().is_empty() {
        return larger;
    }
    for (number, run) in tensor.data().chunks_exact(len).enumerate() {
        // The place of the run's first value, axis by axis from the last but one.
        let (mut rest, mut step, mut place) = (number, shape.last().copied().unwrap_or(1), 0);
        for (&own, &axis) in tensor.shape().iter().zip(shape).rev().skip(1) {
            place += rest % own * step;
            rest /= own;
            step *= axis;
        }
        larger.data_mut()[place..][..len].copy_from_slice(run);
    }
    larger
}
