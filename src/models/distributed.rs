//! A layer on every timestep of a sequence.

use std::sync::Arc;

use serde_json::Value;

use super::operation::{AnyCache, AnyLayer, IntoLayer, LayerKind, Operation, Outputs};
use crate::config::{self, Config};
use crate::layers::{
    BadValue, Context, Coupling, Description, Feeds, GradInputs, Grads, InputSlot, Inputs, MaskRule, ParamBuilder,
    Values,
};
use crate::registry::Registry;
use crate::{Error, Result, Scalar, Tensor};

/// Applies a layer to every timestep of a sequence, with the same parameters each time.
///
/// y[:, t] = f(x[:, t]).
///
/// # Shapes
/// (batch, timesteps, …) → (batch, timesteps, what the layer makes of …). Parameters: the layer's. A mask passes.
/// # Errors
/// When built: the input has no timesteps, or the layer refuses a timestep, couples the samples of a batch
/// (BatchNormalization normalizes sequences by itself), or is stateful or a whole model.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([10, 4, 4]).add(TimeDistributed::new(Flatten::new())).build()?;
/// assert_eq!(model.output_shape(0), [10, 16]);
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
    /// Of a layer.
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

fn distributed<F: Scalar>(layer: AnyLayer<F>, trainable: bool, name: Option<String>) -> AnyLayer<F> {
    AnyLayer { kind: LayerKind::Operation(Arc::new(Distributed { inner: layer.into_operation(), trainable })), name }
}

/// From a configuration: `{"layer": {"class_name": …, "config": …}}`.
pub(crate) fn from_config<F: Scalar>(options: &Config, registry: &Registry<F>) -> Result<AnyLayer<F>> {
    config::refuse_unknown(options, &["layer", "name", "trainable"])?;
    let layer = options.get("layer").ok_or_else(|| Error::option("layer", "given", "nothing"))?;
    let (class, inner) = config::class_and_config(layer)?;
    let trainable = config::take(options, "trainable", true)?;
    Ok(distributed(registry.make_layer(&class, &inner)?, trainable, None))
}

/// A [`TimeDistributed`] layer as an operation: batch and time are one axis to the layer inside.
struct Distributed<F: Scalar> {
    /// None in place of a whole model, which `build` refuses.
    inner: Option<Arc<dyn Operation<F>>>,
    trainable: bool,
}

/// What a pass keeps: the layer's own cache, and its tensors with batch and time in one axis.
struct DistributedCache<F> {
    inner: AnyCache,
    /// Shape only: the values are the outer input's.
    input: Vec<Tensor<F>>,
    outputs: Vec<Tensor<F>>,
    grad_input: Vec<Tensor<F>>,
    scratch: Vec<F>,
    shape: Vec<usize>,
}

impl<F: Scalar> Distributed<F> {
    fn inner(&self) -> &dyn Operation<F> {
        self.inner.as_deref().expect("`build` refuses models")
    }
}

/// Takes the shape of `outer` with its first two axes in one, without memory.
fn fold_shape(outer: &[usize], shape: &mut Vec<usize>) {
    shape.clear();
    shape.push(outer[0] * outer[1]);
    shape.extend_from_slice(&outer[2..]);
}

impl<F: Scalar> Operation<F> for Distributed<F> {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let &[input] = inputs else {
            return Err(Error::option("inputs", "one tensor", format!("{} tensors", inputs.len())));
        };
        let Some((&steps, step)) = input.split_first() else {
            return Err(Error::input_shape("(timesteps, …)", input));
        };
        let Some(inner) = &self.inner else {
            return Err(Error::option("layer", "a single layer", "a whole model; wrap its layers one by one"));
        };
        if inner.coupling(step).is_some() || inner.carries_state() {
            return Err(Error::option("layer", "one without state between samples", inner.describe().class));
        }
        let outputs = inner.build(&[step], params)?;
        Ok(outputs.into_iter().map(|output| [&[steps], output.as_slice()].concat()).collect())
    }

    fn new_cache(&self) -> AnyCache {
        Box::new(DistributedCache::<F> {
            inner: self.inner().new_cache(),
            input: vec![Tensor::default()],
            outputs: Vec::new(),
            grad_input: vec![Tensor::default()],
            scratch: Vec::new(),
            shape: Vec::new(),
        })
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        let cache: &mut DistributedCache<F> = cache.downcast_mut().expect("a node's cache is made by its own layer");
        let x = inputs.get(0);
        fold_shape(x.shape(), &mut cache.shape);
        cache.input[0].reshape_without_memory(&cache.shape);
        let rows = 0..cache.shape[0];
        cache.outputs.resize_with(outputs.len(), Tensor::default);
        for (folded, output) in cache.outputs.iter_mut().zip(&*outputs) {
            fold_shape(output.shape(), &mut cache.shape);
            folded.reshape(&cache.shape);
        }
        let (feeds, slots) = ([x.data()], [InputSlot { slot: 0, adds: false, wanted: false }]);
        let folded = folded_inputs(&cache.input, &feeds, &slots, &rows);
        self.inner().forward(folded, &mut cache.outputs, &mut cache.inner, &cx.folded(x.shape()[1]));
        for (output, folded) in outputs.iter_mut().zip(&cache.outputs) {
            output.data_mut().copy_from_slice(folded.data());
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: Outputs<'_, F>,
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    ) {
        let cache: &mut DistributedCache<F> = cache.downcast_mut().expect("a node's cache is made by its own layer");
        let x = inputs.get(0);
        let (feeds, wanted) = ([x.data()], grad_inputs.wanted(0));
        let slots = [InputSlot { slot: 0, adds: false, wanted }];
        let rows = 0..x.shape()[0] * x.shape()[1];
        let steps = x.shape()[1];
        for (grad, folded) in grad_outputs.iter_mut().zip(&cache.outputs) {
            grad.reshape(folded.shape());
        }
        if wanted {
            cache.grad_input[0].reshape(cache.input[0].shape());
        }
        let folded = folded_inputs(&cache.input, &feeds, &slots, &rows);
        let mut into = GradInputs::new(&slots, &mut cache.grad_input, &cache.input, &[0], &mut cache.scratch);
        let (outputs, inner) = (&cache.outputs, &mut cache.inner);
        self.inner().backward(folded, outputs, grad_outputs, &mut into, grads, inner, &cx.folded(steps));
        for grad in grad_outputs.iter_mut() {
            cache.shape.clear();
            cache.shape.extend([x.shape()[0], steps]);
            cache.shape.extend_from_slice(&grad.shape()[1..]);
            grad.reshape(&cache.shape);
        }
        grad_inputs.write(0, |mut grad_x| grad_x.copy_from_slice(cache.grad_input[0].data()));
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        description.class = "TimeDistributed".into();
        description.trainable = self.trainable;
        if let Some(inner) = &self.inner {
            let of = inner.describe();
            description.trainable &= of.trainable;
            description.activity_regularizer = of.activity_regularizer;
            description.config = of.config.map(|mut options| {
                options.insert("trainable".into(), Value::from(of.trainable));
                Config::from_iter([("layer".to_owned(), config::object(&of.class, options))])
            });
        }
        description
    }

    fn mask_rule(&self, output: usize) -> MaskRule {
        if output == 0 { MaskRule::Pass } else { MaskRule::Stop }
    }

    fn update_state(&self, _: &mut Grads<'_, F>, _: &AnyCache, _: &Context<'_, F>) {}

    fn is_reshape(&self) -> bool {
        self.inner().is_reshape()
    }

    fn only_in_training(&self) -> bool {
        self.inner().only_in_training()
    }

    fn checks_values(&self) -> bool {
        self.inner().checks_values()
    }

    fn check_values(&self, inputs: Inputs<'_, F>) -> Result<(), BadValue> {
        let x = inputs.get(0);
        let (mut shape, mut input) = (Vec::new(), [Tensor::default()]);
        fold_shape(x.shape(), &mut shape);
        input[0].reshape_without_memory(&shape);
        let (feeds, slots) = ([x.data()], [InputSlot { slot: 0, adds: false, wanted: false }]);
        let rows = 0..shape[0];
        let checked = self.inner().check_values(folded_inputs(&input, &feeds, &slots, &rows));
        checked.map_err(|value| BadValue { row: value.row / x.shape()[1], ..value })
    }

    fn coupling(&self, _: &[usize]) -> Option<Coupling> {
        None
    }
}

/// The outer input as the layer inside sees it.
fn folded_inputs<'a, F: Scalar>(
    input: &'a [Tensor<F>],
    feeds: &'a [&'a [F]],
    slots: &'a [InputSlot],
    rows: &'a std::ops::Range<usize>,
) -> Inputs<'a, F> {
    let values = Values { outputs: input, memory: &[0], masks: &[], feeds: Feeds::Batch(feeds), rows };
    Inputs::new(slots, values, &[None])
}
