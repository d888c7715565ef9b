//! Where training takes its rows from.

use crate::losses::output::OutputLoss;
use crate::{Result, Scalar, Tensor};

/// Rows that a model is trained on or evaluated with, given out in any order.
///
/// The shards of a batch gather their own rows at the same time, each on its own thread, which is why
/// [`gather`](Self::gather) takes `&self`. Arrays in memory are one already: `fit` takes them as they are.
///
/// ```
/// use gradus::prelude::*;
///
/// /// The numbers 0, 1, 2 … and their squares, made as they are asked for.
/// struct Squares;
///
/// impl Dataset<f32> for Squares {
///     fn len(&self) -> usize {
///         100
///     }
///     fn input_shapes(&self) -> Vec<Vec<usize>> {
///         vec![vec![1]]
///     }
///     fn target_shapes(&self) -> Vec<Vec<usize>> {
///         vec![vec![1]]
///     }
///     fn gather(&self, rows: &[usize], batch: &mut Batch<'_, f32>) -> gradus::Result<()> {
///         for (x, &row) in batch.input(0).iter_mut().zip(rows) {
///             *x = row as f32 / 100.0;
///         }
///         for (y, &row) in batch.target(0).iter_mut().zip(rows) {
///             *y = (row as f32 / 100.0).powi(2);
///         }
///         Ok(())
///     }
/// }
///
/// let mut model = Sequential::new()
///     .input([1])
///     .add(Dense::new(8).activation(Tanh))
///     .add(Dense::new(1))
///     .compile(MeanSquaredError::new(), Adam::new())
///     .build()?;
/// model.fit_data(&Squares, Fit::new().epochs(2).verbose(0))?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[doc(alias = "custom data set")]
#[doc(alias = "data loader")]
pub trait Dataset<F: Scalar>: Sync {
    /// How many rows there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one row of each input.
    fn input_shapes(&self) -> Vec<Vec<usize>>;

    /// The shape of one row of each target.
    fn target_shapes(&self) -> Vec<Vec<usize>>;

    /// The shape of one row of each target's weights: none where every row counts alike, `[]` for one weight a row.
    fn weight_shapes(&self) -> Vec<Option<Vec<usize>>> {
        vec![None; self.target_shapes().len()]
    }

    /// Writes the rows with these numbers into `batch`, in this order.
    ///
    /// # Errors
    /// Whatever goes wrong in reading them; training stops before the step.
    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, F>) -> Result<()>;
}

/// The rows of one shard of a batch, to be written by [`Dataset::gather`]: row-major, one row after another.
pub struct Batch<'a, F> {
    pub(crate) inputs: &'a mut [Tensor<F>],
    pub(crate) outputs: &'a mut dyn Outputs<F>,
    pub(crate) step: u64,
}

impl<F: Scalar> std::fmt::Debug for Batch<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("step", &self.step).finish_non_exhaustive()
    }
}

/// Where targets and their weights are written.
pub(crate) trait Outputs<F> {
    fn target(&mut self, i: usize) -> &mut Tensor<F>;
    fn weights(&mut self, i: usize) -> Option<&mut Tensor<F>>;
}

/// In training: into the losses' memory.
impl<F> Outputs<F> for Vec<OutputLoss<F>> {
    fn target(&mut self, i: usize) -> &mut Tensor<F> {
        &mut self[i].target
    }
    fn weights(&mut self, i: usize) -> Option<&mut Tensor<F>> {
        self[i].sample_weights.as_mut()
    }
}

/// Targets and their weights by themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels<F> {
    pub targets: Vec<Tensor<F>>,
    pub weights: Vec<Option<Tensor<F>>>,
}

impl<F> Labels<F> {
    /// For rows of a data set.
    pub fn of(dataset: &dyn Dataset<F>) -> Self
    where
        F: Scalar,
    {
        let tensors = |shapes: Vec<Vec<usize>>| shapes.iter().map(|shape| Tensor::without_rows(shape)).collect();
        let weights = dataset.weight_shapes().into_iter().map(|shape| shape.map(|shape| Tensor::without_rows(&shape)));
        Self { targets: tensors(dataset.target_shapes()), weights: weights.collect() }
    }

    /// Makes room for `rows` rows.
    pub fn set_rows(&mut self, rows: usize)
    where
        F: Scalar,
    {
        self.targets.iter_mut().chain(self.weights.iter_mut().flatten()).for_each(|tensor| tensor.set_rows(rows));
    }
}

impl<F> Outputs<F> for Labels<F> {
    fn target(&mut self, i: usize) -> &mut Tensor<F> {
        &mut self.targets[i]
    }
    fn weights(&mut self, i: usize) -> Option<&mut Tensor<F>> {
        self.weights[i].as_mut()
    }
}

impl<F: Scalar> Batch<'_, F> {
    /// The rows of input number `i`.
    ///
    /// # Panics
    /// If the model has fewer inputs.
    pub fn input(&mut self, i: usize) -> &mut [F] {
        self.inputs[i].data_mut()
    }

    /// The rows of target number `i`.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn target(&mut self, i: usize) -> &mut [F] {
        self.outputs.target(i).data_mut()
    }

    /// The rows of the weights of target number `i`, if [`Dataset::weight_shapes`] told of any.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn weights(&mut self, i: usize) -> Option<&mut [F]> {
        self.outputs.weights(i).map(Tensor::data_mut)
    }

    /// The training step that the rows are for, from which augmentation draws its randomness.
    pub fn step(&self) -> u64 {
        self.step
    }
}
