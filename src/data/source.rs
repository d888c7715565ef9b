//! Where a training takes its rows from: arrays, a data set, or a stream.

use super::{Batch, Dataset, Sample, Stream};
use crate::tensor::inputs::{ArrayInput, IntoInputs, IntoTensor};
use crate::{Result, Scalar};

/// Arrays in memory, with what belongs to them: inputs, targets, weights.
///
/// ```
/// use gradus::prelude::*;
///
/// let (x, y) = (array![[0.0f32], [1.0]], array![[1.0f32], [3.0]]);
/// let mut model = Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build()?;
/// let weights = array![1.0f32, 0.0];
/// let weighted = Arrays::new(&x, &y).sample_weight(&weights);
/// model.fit_data(weighted.clone(), Fit::new().verbose(0).validation(weighted))?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arrays<'a, F: Scalar> {
    pub(crate) inputs: Vec<ArrayInput<'a, F>>,
    pub(crate) targets: Vec<ArrayInput<'a, F>>,
    /// For each target; empty where no target has weights.
    pub(crate) weights: Vec<ArrayInput<'a, F>>,
    /// The rows that belong to this set: all, or one side of a validation split.
    pub(crate) rows: std::ops::Range<usize>,
}

impl<'a, F: Scalar> Arrays<'a, F> {
    /// Inputs and targets: each one array, or a tuple of references to several.
    pub fn new(x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Self {
        Self { targets: y.into_inputs().into_vec(), ..Self::inputs(x) }
    }

    /// Inputs alone, for learners that need no targets.
    pub fn inputs(x: impl IntoInputs<'a, F>) -> Self {
        let inputs = x.into_inputs().into_vec();
        let rows = inputs.first().map_or(0, ArrayInput::rows);
        Self { inputs, targets: Vec::new(), weights: Vec::new(), rows: 0..rows }
    }

    /// How much each row counts, or each value of each row. Once for each target.
    pub fn sample_weight(mut self, weights: impl IntoTensor<'a, F>) -> Self {
        self.weights.push(weights.into_tensor());
        self
    }
}

impl<F: Scalar> Dataset<F> for Arrays<'_, F> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn input_shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|given| given.shape.get(1..).unwrap_or_default().to_vec()).collect()
    }

    fn target_shapes(&self) -> Vec<Vec<usize>> {
        self.targets.iter().map(|given| given.shape.get(1..).unwrap_or_default().to_vec()).collect()
    }

    fn weight_shapes(&self) -> Vec<Option<Vec<usize>>> {
        let shape = |i: usize| self.weights.get(i).map(|given| given.shape.get(1..).unwrap_or_default().to_vec());
        (0..self.targets.len()).map(shape).collect()
    }

    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, F>) -> Result<()> {
        let rows = || rows.iter().map(|row| self.rows.start + row);
        for (i, given) in self.inputs.iter().enumerate() {
            given.gather(rows(), batch.input(i));
        }
        for (i, target) in self.targets.iter().enumerate() {
            target.gather(rows(), batch.target(i));
            if let (Some(given), Some(out)) = (self.weights.get(i), batch.weights(i)) {
                given.gather(rows(), out);
            }
        }
        Ok(())
    }
}

/// What a model is trained on, validated with, or evaluated on. Whatever weighs the rows belongs to it.
#[derive(Clone)]
pub enum Source<'a, F: Scalar> {
    /// Arrays in memory.
    Arrays(Arrays<'a, F>),
    /// Rows by number.
    Dataset(&'a dyn Dataset<F>),
    /// Batches in the order in which they come.
    Stream(&'a Stream<Vec<Sample<F>>>),
}

impl<F: Scalar> std::fmt::Debug for Source<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Arrays(arrays) => f.debug_tuple("Arrays").field(arrays).finish(),
            Self::Dataset(dataset) => f.debug_tuple("Dataset").field(&dataset.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Arrays, a reference to a data set, or one to a stream of batches.
///
/// `M` only tells these apart for the compiler; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source of training data",
    note = "give `Arrays::new(&x, &y)`, a reference to a `Dataset`, or one to a `Stream` of batches"
)]
pub trait IntoSource<'a, F: Scalar, M> {
    /// As training takes it.
    fn into_source(self) -> Source<'a, F>;
}

/// Marks a [`Dataset`] in [`IntoSource`].
#[derive(Debug)]
pub enum ByNumber {}
/// Marks arrays, a stream or a [`Source`] in [`IntoSource`].
#[derive(Debug)]
pub enum AsItIs {}

impl<'a, F: Scalar> IntoSource<'a, F, AsItIs> for Source<'a, F> {
    fn into_source(self) -> Source<'a, F> {
        self
    }
}

impl<'a, F: Scalar> IntoSource<'a, F, AsItIs> for Arrays<'a, F> {
    fn into_source(self) -> Source<'a, F> {
        Source::Arrays(self)
    }
}

impl<'a, F: Scalar> IntoSource<'a, F, AsItIs> for &'a Stream<Vec<Sample<F>>> {
    fn into_source(self) -> Source<'a, F> {
        Source::Stream(self)
    }
}

impl<'a, F: Scalar, D: Dataset<F>> IntoSource<'a, F, ByNumber> for &'a D {
    fn into_source(self) -> Source<'a, F> {
        Source::Dataset(self)
    }
}

impl<'a, F: Scalar> IntoSource<'a, F, ByNumber> for &'a dyn Dataset<F> {
    fn into_source(self) -> Source<'a, F> {
        Source::Dataset(self)
    }
}
