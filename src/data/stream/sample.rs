//! One row of a stream, and the rows of one step.

use crate::data::{Batch, Dataset, dataset::Labels};
use crate::tensor::inputs::IntoTensor;
use crate::{Error, Result, Scalar, Tensor};

/// One row that a model learns from: what goes in, and what is to come out.
///
/// # Shapes
/// Those of one row, without the batch axis. A target of one value may be `array![label]`.
/// # Example
/// ```
/// use gradus::data::Sample;
/// use ndarray::array;
///
/// let image = array![[0u8, 255], [128, 0]]; // bytes and whole numbers will do
/// let sample: Sample = Sample::new(&image, &array![3]);
/// let heavy: Sample = Sample::new(&image, &array![3]).weight(&array![2.0f32]);
/// # let _ = (sample, heavy);
/// ```
#[derive(Clone, Debug)]
pub struct Sample<F: Scalar = f32> {
    pub(super) inputs: Vec<Tensor<F>>,
    pub(super) labels: Labels<F>,
}

impl<F: Scalar> Sample<F> {
    /// Of one input and one target.
    pub fn new<'a>(input: impl IntoTensor<'a, F>, target: impl IntoTensor<'a, F>) -> Self {
        Self { inputs: Vec::new(), labels: Labels::default() }.input(input).target(target)
    }

    /// With one more input, for a model of several.
    pub fn input<'a>(mut self, input: impl IntoTensor<'a, F>) -> Self {
        self.inputs.push(input.into_tensor().into_owned());
        self
    }

    /// With one more target, for a model of several outputs.
    pub fn target<'a>(mut self, target: impl IntoTensor<'a, F>) -> Self {
        self.labels.targets.push(target.into_tensor().into_owned());
        self.labels.weights.push(None);
        self
    }

    /// How much the last target that was named counts: one number, or one for each of its values.
    pub fn weight<'a>(mut self, weight: impl IntoTensor<'a, F>) -> Self {
        let weight = weight.into_tensor().into_owned();
        if let Some(place) = self.labels.weights.last_mut() {
            *place = Some(weight);
        }
        self
    }

    /// The shape of input number `i`: its first axis is the length of a sequence.
    pub fn input_shape(&self, i: usize) -> Option<&[usize]> {
        self.inputs.get(i).map(Tensor::shape)
    }

    /// The values of input number `i`.
    pub fn input_values(&self, i: usize) -> Option<&[F]> {
        self.inputs.get(i).map(Tensor::data)
    }

    /// The values of target number `i`.
    pub fn target_values(&self, i: usize) -> Option<&[F]> {
        self.labels.targets.get(i).map(Tensor::data)
    }

    /// A row of a data set, as it would be in training step `step`.
    pub(super) fn gather(dataset: &dyn Dataset<F>, row: usize, step: u64) -> Result<Self> {
        let with_row = |shape: &Vec<usize>| {
            let mut tensor = Tensor::without_rows(shape);
            tensor.set_rows(1);
            tensor
        };
        let mut inputs: Vec<Tensor<F>> = dataset.input_shapes().iter().map(with_row).collect();
        let mut labels = Labels {
            targets: dataset.target_shapes().iter().map(with_row).collect(),
            weights: dataset.weight_shapes().iter().map(|shape| shape.as_ref().map(with_row)).collect(),
        };
        dataset.gather(&[row], &mut Batch { inputs: &mut inputs, outputs: &mut labels, step })?;
        // The batch axis goes again.
        let weights = labels.weights.iter_mut().flatten();
        for tensor in inputs.iter_mut().chain(&mut labels.targets).chain(weights) {
            let row = tensor.shape()[1..].to_vec();
            tensor.reshape(&row);
        }
        Ok(Self { inputs, labels })
    }

    fn weights(&self) -> impl Iterator<Item = Option<&Tensor<F>>> {
        self.labels.weights.iter().map(Option::as_ref)
    }

    /// All its tensors' shapes, in order.
    fn shapes(&self) -> impl Iterator<Item = Option<&[usize]>> {
        let given = self.inputs.iter().chain(&self.labels.targets).map(|tensor| Some(tensor.shape()));
        given.chain(self.weights().map(|weight| weight.map(Tensor::shape)))
    }
}

/// The rows of one step: a data set as long as the next step.
#[derive(Default)]
pub(crate) struct SampleBatch<F: Scalar>(Vec<Sample<F>>);

impl<F: Scalar> SampleBatch<F> {
    /// Refuses rows that differ in shape, and numbers that are not finite.
    pub fn new(call: &str, samples: Vec<Sample<F>>) -> Result<Self> {
        for (row, sample) in samples.iter().enumerate() {
            if !sample.shapes().eq(samples[0].shapes()) {
                let show = |sample: &Sample<F>| format!("{:?}", sample.shapes().flatten().collect::<Vec<_>>());
                let expected = format!("samples of the shapes {}, as the first of the batch", show(&samples[0]));
                let error = Error::data(call, expected, format!("{} at row {row} of the batch", show(sample)));
                return Err(error.advise("bring samples of different lengths to one with `pad`"));
            }
            let tensors = sample.inputs.iter().chain(&sample.labels.targets).chain(sample.weights().flatten());
            if let Some(value) = tensors.flat_map(Tensor::data).find(|value| !value.is_finite()) {
                return Err(Error::data(call, "finite numbers", format!("{value} at row {row} of the batch")));
            }
        }
        Ok(Self(samples))
    }
}

impl<F: Scalar> Dataset<F> for SampleBatch<F> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn input_shapes(&self) -> Vec<Vec<usize>> {
        self.0.first().map_or_else(Vec::new, |first| first.inputs.iter().map(|x| x.shape().to_vec()).collect())
    }

    fn target_shapes(&self) -> Vec<Vec<usize>> {
        self.0.first().map_or_else(Vec::new, |first| first.labels.targets.iter().map(|y| y.shape().to_vec()).collect())
    }

    fn weight_shapes(&self) -> Vec<Option<Vec<usize>>> {
        let shape = |weight: Option<&Tensor<F>>| {
            weight.map(|weight| if weight.data().len() == 1 { vec![] } else { weight.shape().to_vec() })
        };
        self.0.first().map_or_else(Vec::new, |first| first.weights().map(shape).collect())
    }

    fn gather(&self, rows: &[usize], batch: &mut Batch<'_, F>) -> Result<()> {
        for (place, sample) in rows.iter().map(|&row| &self.0[row]).enumerate() {
            let put = |from: &Tensor<F>, to: &mut [F]| {
                let len = from.data().len();
                to[place * len..][..len].copy_from_slice(from.data());
            };
            for (i, x) in sample.inputs.iter().enumerate() {
                put(x, batch.input(i));
            }
            for (i, (y, weight)) in sample.labels.targets.iter().zip(sample.weights()).enumerate() {
                put(y, batch.target(i));
                if let (Some(weight), Some(to)) = (weight, batch.weights(i)) {
                    put(weight, to);
                }
            }
        }
        Ok(())
    }
}
