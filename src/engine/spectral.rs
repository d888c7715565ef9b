//! A layer whose kernel is held to a largest singular value of 1.

use std::sync::Arc;

use serde_json::Value;

use super::operation::{AnyCache, Operation, Stateful};
use super::recipe::{AnyLayer, IntoLayer, LayerKind};
use crate::config::{self, Config};
use crate::initializers::Initializer;
use crate::kernels::spectral::power_iteration;
use crate::layers::{Context, Description, GradInputs, Grads, Inputs, ParamBuilder, ParamSpec, Params};
use crate::{Error, Result, Scalar, Tensor};

/// Divides a layer's kernel by its largest singular value σ in every step of training, which bounds how fast the layer's
/// output can change: a discriminator of such layers is smooth.
///
/// W ← W/σ(W), with the kernel as a matrix W of as many columns as its last axis has, σ = vᵀWu after
/// v = Wu/‖Wu‖, u = Wᵀv/‖Wᵀv‖ (`power_iterations` times, from the last step's u). The divided kernel is what the
/// optimizer then changes; σ is no part of the gradient, as in Keras on TensorFlow (on JAX the division ends with the step).
///
/// # Shapes
/// The layer's. Parameters: the layer's, and the state `vector_u` (1, columns).
/// Around a handle that is called by itself too, the layer has weights of its own.
/// # Defaults
/// `power_iterations` 1.
/// # Errors
/// When built: `power_iterations` is 0; the layer has no `kernel` and no `embeddings`, or is a whole model.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let smooth = |filters| SpectralNormalization::new(Conv2D::new(filters, 3).activation(Relu));
/// let model = Sequential::new().input([8, 8, 1]).add(smooth(16)).add(smooth(8)).build()?;
/// assert_eq!(model.output_shape(0), [4, 4, 8]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `SpectralNormalization`; Miyato et al. (2018), "Spectral Normalization for Generative Adversarial Networks".
#[derive(Clone, Debug)]
pub struct SpectralNormalization<L> {
    layer: L,
    power_iterations: usize,
    name: Option<String>,
}

impl<L> SpectralNormalization<L> {
    /// Of a layer.
    pub fn new(layer: L) -> Self {
        Self { layer, power_iterations: 1, name: None }
    }

    /// How often u and v are brought nearer to the singular vectors in a step. Default: 1.
    pub fn power_iterations(mut self, iterations: usize) -> Self {
        self.power_iterations = iterations;
        self
    }

    /// The layer's name within its model. Default: `spectral_normalization`, numbered where it repeats.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Marks a [`SpectralNormalization`] of a layer of the kind `M` in [`IntoLayer`].
#[derive(Debug)]
pub struct Smooth<M>(std::marker::PhantomData<M>);

impl<F: Scalar, M, L: IntoLayer<F, M>> IntoLayer<F, Smooth<M>> for SpectralNormalization<L> {
    fn into_layer(self) -> AnyLayer<F> {
        spectral(self.layer.into_layer(), self.power_iterations, self.name)
    }
}

pub(crate) fn spectral<F: Scalar>(layer: AnyLayer<F>, power_iterations: usize, name: Option<String>) -> AnyLayer<F> {
    AnyLayer {
        kind: LayerKind::Operation(Arc::new(Spectral { inner: layer.into_operation(), power_iterations })),
        name,
    }
}

/// A [`SpectralNormalization`] layer as an operation: the layer inside sees its parameters with another kernel.
struct Spectral<F: Scalar> {
    /// None in place of a whole model, which `build` refuses.
    inner: Option<Arc<dyn Operation<F>>>,
    power_iterations: usize,
}

/// What a pass keeps: the layer's own cache, and its parameters with the divided kernel.
struct SpectralCache<F> {
    inner: AnyCache,
    specs: Vec<ParamSpec>,
    values: Vec<F>,
    u: Vec<F>,
    v: Vec<F>,
    /// Whether the kernel was divided: in training.
    divided: bool,
}

/// The number of the parameter that is divided.
fn kernel_number(specs: &[ParamSpec]) -> Option<usize> {
    specs.iter().position(|spec| matches!(spec.name.as_str(), "kernel" | "embeddings"))
}

impl<F: Scalar> Spectral<F> {
    fn layer(&self) -> &dyn Operation<F> {
        self.inner.as_deref().expect("`build` refuses models")
    }
}

impl<F: Scalar> SpectralCache<F> {
    /// Copies the parameters, and divides the kernel by its largest singular value.
    fn divide(&mut self, params: &Params<'_, F>, power_iterations: usize) {
        if self.specs.is_empty() {
            self.specs = params.rebased(params.len() - 1);
        }
        self.values.clear();
        for number in 0..self.specs.len() {
            self.values.extend_from_slice(params.at(number));
        }
        self.u.clear();
        self.u.extend_from_slice(params.at(self.specs.len()));
        let number = kernel_number(&self.specs).expect("`build` refuses layers without");
        let kernel = &mut self.values[self.specs[number].range.clone()];
        self.v.clear();
        self.v.resize(kernel.len() / self.u.len(), F::zero());
        if kernel.iter().any(|&w| w != F::zero()) {
            let sigma = power_iteration(kernel, &mut self.u, &mut self.v, power_iterations);
            for w in kernel {
                *w /= sigma;
            }
        }
        self.divided = true;
    }

    /// The circumstances of the layer inside.
    fn within<'a>(&'a self, cx: &Context<'a, F>) -> Context<'a, F> {
        let mut cx = *cx;
        if self.divided {
            cx.params = Params::new(&self.specs, &self.values);
        }
        cx
    }
}

impl<F: Scalar> Operation<F> for Spectral<F> {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let Some(inner) = &self.inner else {
            return Err(Error::option("layer", "a single layer", "a whole model; wrap its layers one by one"));
        };
        if !(1..=MOST_ITERATIONS).contains(&self.power_iterations) {
            let expected = format!("at least 1 and at most {MOST_ITERATIONS}");
            return Err(Error::option("power_iterations", expected, self.power_iterations));
        }
        if inner.carries_state() || inner.coupled().is_some() {
            return Err(Error::option("layer", "one without state between samples", inner.describe().class));
        }
        let outputs = inner.build(inputs, params)?;
        let columns = kernel_number(params.added()).and_then(|number| params.added()[number].shape.last().copied());
        let Some(columns) = columns else {
            return Err(Error::option("layer", "one with a `kernel` or `embeddings`", inner.describe().class));
        };
        let start = Initializer::TruncatedNormal { mean: 0.0, stddev: 0.02 };
        params.add_state("vector_u", &[1, columns], start)?;
        Ok(outputs)
    }

    fn new_cache(&self) -> AnyCache {
        Box::new(SpectralCache::<F> {
            inner: self.layer().new_cache(),
            specs: Vec::new(),
            values: Vec::new(),
            u: Vec::new(),
            v: Vec::new(),
            divided: false,
        })
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        let cache: &mut SpectralCache<F> = cache.downcast_mut().expect(OWN_CACHE);
        if cx.training() {
            cache.divide(&cx.params, self.power_iterations);
        } else {
            cache.divided = false;
        }
        let mut inner = std::mem::replace(&mut cache.inner, Box::new(()));
        self.layer().forward(inputs, outputs, &mut inner, &cache.within(cx));
        cache.inner = inner;
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    ) {
        let cache: &mut SpectralCache<F> = cache.downcast_mut().expect(OWN_CACHE);
        let mut inner = std::mem::replace(&mut cache.inner, Box::new(()));
        let within = cache.within(cx);
        self.layer().backward(inputs, outputs, grad_outputs, grad_inputs, grads, &mut inner, &within);
        cache.inner = inner;
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        description.class = "SpectralNormalization".into();
        if let Some(inner) = &self.inner {
            let of = inner.describe();
            description.trainable = of.trainable;
            description.activity_regularizer = of.activity_regularizer;
            description.config = of.config.map(|options| {
                Config::from_iter([
                    ("layer".to_owned(), config::object(&of.class, options)),
                    ("power_iterations".to_owned(), Value::from(self.power_iterations)),
                ])
            });
        }
        description
    }

    fn inner(&self) -> Option<&dyn Operation<F>> {
        self.inner.as_deref()
    }

    fn stateful(&self) -> Option<&dyn Stateful<F>> {
        Some(self)
    }
}

impl<F: Scalar> Stateful<F> for Spectral<F> {
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, _: &Context<'_, F>) {
        let cache: &SpectralCache<F> = cache.downcast_ref().expect(OWN_CACHE);
        if !cache.divided {
            return;
        }
        let number = kernel_number(&cache.specs).expect("`build` refuses layers without");
        state.at_mut(number).copy_from_slice(&cache.values[cache.specs[number].range.clone()]);
        state.at_mut(cache.specs.len()).copy_from_slice(&cache.u);
    }

    fn between_batches(&self) -> bool {
        false
    }
}

/// More would take a step for ever, and tell nothing.
const MOST_ITERATIONS: usize = 10_000;
const OWN_CACHE: &str = "a node's cache is made by its own layer";
