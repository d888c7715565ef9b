//! A layer on every timestep of a sequence.

use std::sync::Arc;

use serde_json::Value;

use super::operation::{AnyCache, Operation};
use super::recipe::{AnyLayer, IntoLayer, LayerKind};
use crate::config::{self, Config};
use crate::layers::{
    BadValue, ChecksValues, Context, Description, Facts, GradInputs, Grads, InPlace, Inputs, MakesMask, MaskRule,
    ParamBuilder,
};
use crate::{Error, Result, Scalar, Tensor};

/// Applies a layer or a whole model to every timestep of a sequence, with the same parameters each time.
///
/// y[:, t] = f(x[:, t]).
///
/// # Shapes
/// (batch, timesteps, …) → (batch, timesteps, what the layer makes of …); of several inputs each has the timesteps.
/// Parameters: the layer's; a model's stand below its layers' names, `time_distributed/dense/kernel`.
///
/// A mask of the timesteps passes; what is inside does not see it. Masks that a model makes of what stands in a timestep
/// stay inside it.
/// # Errors
/// When built: the input has no timesteps, or the layer refuses a timestep, couples the samples of a batch
/// (BatchNormalization normalizes sequences by itself), or is stateful; of a model each of its layers.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([10, 4, 4]).add(TimeDistributed::new(Flatten::new())).build()?;
/// assert_eq!(model.output_shape(0), [10, 16]);
///
/// // Sentences word by word, a text sentence by sentence.
/// let sentence = Sequential::new().input([20]).add(Embedding::new(1000, 8).mask_zero(true)).add(GRU::new(16)).build()?;
/// let text = Sequential::new().input([5, 20]).add(TimeDistributed::new(sentence)).add(GRU::new(16)).build()?;
/// assert_eq!(text.output_shape(0), [16]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `TimeDistributed`.
#[derive(Clone, Debug)]
pub struct TimeDistributed<L> {
    layer: L,
    name: Option<String>,
    trainable: bool,
}

impl<L> TimeDistributed<L> {
    /// Of a layer or a model.
    pub fn new(layer: L) -> Self {
        Self { layer, name: None, trainable: true }
    }

    /// The layer's name within its model. Default: `time_distributed`, numbered where it repeats.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether training changes the layer's parameters. Default: true.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }
}

/// Marks a [`TimeDistributed`] layer of the kind `M` in [`IntoLayer`].
#[derive(Debug)]
pub struct EachStep<M>(std::marker::PhantomData<M>);

impl<F: Scalar, M, L: IntoLayer<F, M>> IntoLayer<F, EachStep<M>> for TimeDistributed<L> {
    fn into_layer(self) -> AnyLayer<F> {
        distributed(self.layer.into_layer(), self.trainable, self.name)
    }
}

pub(crate) fn distributed<F: Scalar>(layer: AnyLayer<F>, trainable: bool, name: Option<String>) -> AnyLayer<F> {
    let kind = match layer.kind {
        LayerKind::Operation(inner) => {
            LayerKind::Operation(Arc::new(Distributed { inner, trainable, part_of_model: false }))
        }
        LayerKind::Model(model) => LayerKind::EachStep { model, axes: 1, trainable },
        LayerKind::EachStep { model, axes, trainable: inner } => {
            LayerKind::EachStep { model, axes: axes + 1, trainable: trainable && inner }
        }
    };
    AnyLayer { kind, name }
}

/// A layer of a model that is applied to every timestep.
pub(crate) fn within_each_step<F: Scalar>(inner: Arc<dyn Operation<F>>) -> Arc<dyn Operation<F>> {
    Arc::new(Distributed { inner, trainable: true, part_of_model: true })
}

/// A [`TimeDistributed`] layer as an operation: batch and time are one axis to the layer inside.
struct Distributed<F: Scalar> {
    inner: Arc<dyn Operation<F>>,
    trainable: bool,
    /// Whether the layer is one of a model, so that masks beside its inputs are of what stands in a timestep.
    part_of_model: bool,
}

/// What a pass keeps: the layer's own cache, and its tensors with batch and time in one axis.
struct DistributedCache<F> {
    inner: AnyCache,
    /// Shapes only: the values are the outer inputs'.
    inputs: Vec<Tensor<F>>,
    outputs: Vec<Tensor<F>>,
    shape: Vec<usize>,
}

/// Takes the shape of `outer` with its first two axes in one, without memory.
fn fold_shape(outer: &[usize], shape: &mut Vec<usize>) {
    shape.clear();
    shape.push(outer[0] * outer[1]);
    shape.extend_from_slice(&outer[2..]);
}

/// The shapes of the inputs as the layer inside sees them.
fn fold_inputs<F: Scalar>(inputs: Inputs<'_, F>, folded: &mut Vec<Tensor<F>>, shape: &mut Vec<usize>) {
    folded.resize_with(inputs.len(), Tensor::default);
    for (i, folded) in folded.iter_mut().enumerate() {
        fold_shape(inputs.get(i).shape(), shape);
        folded.reshape_without_memory(shape);
    }
}

impl<F: Scalar> Distributed<F> {
    /// The inputs as the layer inside sees them.
    fn inside<'a>(&self, inputs: Inputs<'a, F>, folded: &'a [Tensor<F>]) -> Inputs<'a, F> {
        let inputs = inputs.folded(folded);
        if self.part_of_model { inputs } else { inputs.without_masks() }
    }

    /// The circumstances as the layer inside sees them.
    fn context<'a>(&self, cx: &Context<'a, F>, steps: usize) -> Context<'a, F> {
        cx.folded(steps, cx.mask().filter(|_| self.part_of_model))
    }
}

impl<F: Scalar> Operation<F> for Distributed<F> {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let Some((&steps, _)) = inputs.first().and_then(|input| input.split_first()) else {
            let received = inputs.first().copied().unwrap_or_default();
            return Err(Error::input_shape("(timesteps, …)", received));
        };
        if let Some(other) = inputs.iter().find(|input| input.first() != Some(&steps)) {
            return Err(Error::shape(format!("{steps} timesteps, as the first input"), other));
        }
        let within: Vec<&[usize]> = inputs.iter().map(|input| &input[1..]).collect();
        if self.inner.coupled().is_some() || self.inner.carries_state() {
            return Err(Error::option("layer", "one without state between samples", self.inner.describe().class));
        }
        let outputs = self.inner.build(&within, params)?;
        Ok(outputs.into_iter().map(|output| [&[steps], output.as_slice()].concat()).collect())
    }

    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        let within: Vec<&[usize]> = inputs.iter().map(|input| &input[1..]).collect();
        self.inner.workspace(&within).saturating_mul(inputs[0][0])
    }

    fn new_cache(&self) -> AnyCache {
        Box::new(DistributedCache::<F> {
            inner: self.inner.new_cache(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            shape: Vec::new(),
        })
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        let cache: &mut DistributedCache<F> = cache.downcast_mut().expect("a node's cache is made by its own layer");
        fold_inputs(inputs, &mut cache.inputs, &mut cache.shape);
        cache.outputs.resize_with(outputs.len(), Tensor::default);
        for (folded, output) in cache.outputs.iter_mut().zip(&*outputs) {
            fold_shape(output.shape(), &mut cache.shape);
            folded.reshape(&cache.shape);
        }
        let (inside, cx) = (self.inside(inputs, &cache.inputs), self.context(cx, inputs.get(0).shape()[1]));
        self.inner.forward(inside, &mut cache.outputs, &mut cache.inner, &cx);
        for (output, folded) in outputs.iter_mut().zip(&cache.outputs) {
            output.data_mut().copy_from_slice(folded.data());
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    ) {
        let cache: &mut DistributedCache<F> = cache.downcast_mut().expect("a node's cache is made by its own layer");
        let (rows, steps) = (inputs.get(0).rows(), inputs.get(0).shape()[1]);
        for (grad, folded) in grad_outputs.iter_mut().zip(&cache.outputs) {
            grad.reshape(folded.shape());
        }
        let (inside, cx) = (self.inside(inputs, &cache.inputs), self.context(cx, steps));
        let mut into = grad_inputs.folded(&cache.inputs);
        self.inner.backward(inside, &cache.outputs, grad_outputs, &mut into, grads, &mut cache.inner, &cx);
        for grad in grad_outputs.iter_mut() {
            cache.shape.clear();
            cache.shape.extend([rows, steps]);
            cache.shape.extend_from_slice(&grad.shape()[1..]);
            grad.reshape(&cache.shape);
        }
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        let of = self.inner.describe();
        description.class = "TimeDistributed".into();
        description.trainable = self.trainable && of.trainable;
        description.activity_regularizer = of.activity_regularizer;
        description.config = of.config.map(|mut options| {
            options.insert("trainable".into(), Value::from(of.trainable));
            Config::from_iter([("layer".to_owned(), config::object(&of.class, options))])
        });
        description
    }

    fn inner(&self) -> Option<&dyn Operation<F>> {
        Some(&*self.inner)
    }

    fn has_parameters_of(&self) -> Option<&dyn Operation<F>> {
        self.inner()
    }

    fn facts(&self) -> Facts {
        let facts = self.inner.facts();
        // A mask of the timesteps passes the layer by.
        if self.part_of_model { facts } else { facts.mask(MaskRule::Pass).masked_outputs(1) }
    }

    fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
        self.inner.checks_values().map(|_| self as &dyn ChecksValues<F>)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        self.inner.makes_mask().map(|_| self as &dyn MakesMask<F>)
    }

    /// Values that are written over others are the same in any shape, but not what a layer sees of them.
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        None
    }

    fn leading_axes(&self) -> usize {
        if self.part_of_model { 1 + self.inner.leading_axes() } else { 0 }
    }
}

impl<F: Scalar> MakesMask<F> for Distributed<F> {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let (mut shapes, mut shape) = (Vec::new(), Vec::new());
        fold_inputs(inputs, &mut shapes, &mut shape);
        self.inner.makes_mask().expect("handed out for it").make_mask(self.inside(inputs, &shapes), mask);
    }
}

impl<F: Scalar> ChecksValues<F> for Distributed<F> {
    fn check_values(&self, inputs: Inputs<'_, F>) -> Result<(), BadValue> {
        let (mut shapes, mut shape) = (Vec::new(), Vec::new());
        fold_inputs(inputs, &mut shapes, &mut shape);
        let checks = self.inner.checks_values().expect("handed out for it");
        let checked = checks.check_values(self.inside(inputs, &shapes));
        checked.map_err(|value| BadValue { row: value.row / inputs.get(0).shape()[1], ..value })
    }
}
