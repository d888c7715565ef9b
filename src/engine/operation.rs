//! Layers of any type behind one object: the only place where a type is erased.

use std::any::Any;

use crate::layers::{
    ChecksValues, Context, Coupling, Description, Facts, GradInputs, Grads, InPlace, Inputs, Layer, MakesMask,
    MultiLayer, ParamBuilder, RescalesChannels,
};
use crate::{Error, Result, Scalar, Tensor};

/// A cache whose type only its layer knows.
pub(crate) type AnyCache = Box<dyn Any + Send + Sync>;

/// What the executor asks of a layer, whatever its type. The methods are those of [`Layer`] and [`MultiLayer`].
///
/// A layer around another names it as its [`inner`](Self::inner) layer, and inherits all that it does not change.
pub(crate) trait Operation<F: Scalar>: Send + Sync {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>>;
    fn new_cache(&self) -> AnyCache;
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>);
    #[allow(clippy::too_many_arguments)]
    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    );
    fn describe(&self) -> Description;

    /// The layer that this one is around.
    fn inner(&self) -> Option<&dyn Operation<F>> {
        None
    }
    /// The inner layer, if this one adds no parameters to its: the two then share them wherever both are in one graph.
    fn has_parameters_of(&self) -> Option<&dyn Operation<F>> {
        None
    }
    fn facts(&self) -> Facts {
        self.inner().map_or_else(Facts::default, Operation::facts)
    }
    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        self.inner().map_or(0, |inner| inner.workspace(inputs))
    }
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        self.inner()?.in_place()
    }
    fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
        self.inner()?.checks_values()
    }
    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        self.inner()?.makes_mask()
    }
    fn rescales_channels(&self) -> Option<&dyn RescalesChannels<F>> {
        self.inner()?.rescales_channels()
    }
    /// The layer as one that couples samples.
    fn coupled(&self) -> Option<&dyn Coupled<F>> {
        None
    }
    /// The layer as one that has state.
    fn stateful(&self) -> Option<&dyn Stateful<F>> {
        None
    }
    /// How many axes of a sample are like more samples to the layer: those of the timesteps it is applied to, if it is
    /// part of a model that is.
    fn leading_axes(&self) -> usize {
        0
    }
}

impl<F: Scalar> dyn Operation<F> {
    /// Whether the layer's state goes from batch to batch outside training too.
    pub fn carries_state(&self) -> bool {
        self.stateful().is_some_and(Stateful::between_batches)
    }
}

/// [`CouplesSamples`] with its cache erased.
pub(crate) trait Coupled<F: Scalar> {
    fn sums(&self, inputs: &[&[usize]]) -> Coupling;
    fn forward_sums(&self, inputs: Inputs<'_, F>, sums: &mut [F], cx: &Context<'_, F>);
    fn backward_sums(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &[Tensor<F>],
        sums: &mut [F],
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    );
    fn join_forward(&self, left: &mut [F], right: &[F]);
    fn join_backward(&self, left: &mut [F], right: &[F]);
}

/// [`KeepsState`] with its cache erased.
pub(crate) trait Stateful<F: Scalar> {
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, cx: &Context<'_, F>);
    fn between_batches(&self) -> bool;
}

/// A [`Layer`] as an [`Operation`].
pub(super) struct Single<L>(pub L);

/// A [`MultiLayer`] as an [`Operation`].
pub(super) struct Joining<L>(pub L);

const OWN_CACHE: &str = "a node's cache is made by its own layer";

fn typed<C: 'static>(cache: &mut AnyCache) -> &mut C {
    cache.downcast_mut().expect(OWN_CACHE)
}

const HAS_ABILITY: &str = "handed out by a layer that has it";

/// The abilities that are asked with a cache, erased for both kinds of layers.
macro_rules! erases_the_cache {
    ($($kind:ident of $layer:ident),*) => {$(
        impl<F: Scalar, L: $layer<F>> Coupled<F> for $kind<L> {
            fn sums(&self, inputs: &[&[usize]]) -> Coupling {
                self.0.couples_samples().expect(HAS_ABILITY).sums(inputs)
            }
            fn forward_sums(&self, inputs: Inputs<'_, F>, sums: &mut [F], cx: &Context<'_, F>) {
                self.0.couples_samples().expect(HAS_ABILITY).forward_sums(inputs, sums, cx);
            }
            fn backward_sums(
                &self,
                inputs: Inputs<'_, F>,
                outputs: &[Tensor<F>],
                grad_outputs: &[Tensor<F>],
                sums: &mut [F],
                cache: &mut AnyCache,
                cx: &Context<'_, F>,
            ) {
                let couples = self.0.couples_samples().expect(HAS_ABILITY);
                couples.backward_sums(inputs, outputs, grad_outputs, sums, typed(cache), cx);
            }
            fn join_forward(&self, left: &mut [F], right: &[F]) {
                self.0.couples_samples().expect(HAS_ABILITY).join_forward(left, right);
            }
            fn join_backward(&self, left: &mut [F], right: &[F]) {
                self.0.couples_samples().expect(HAS_ABILITY).join_backward(left, right);
            }
        }

        impl<F: Scalar, L: $layer<F>> Stateful<F> for $kind<L> {
            fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, cx: &Context<'_, F>) {
                let cache = cache.downcast_ref().expect(OWN_CACHE);
                self.0.keeps_state().expect(HAS_ABILITY).update_state(state, cache, cx);
            }
            fn between_batches(&self) -> bool {
                self.0.keeps_state().expect(HAS_ABILITY).between_batches()
            }
        }
    )*};
}

erases_the_cache!(Single of Layer, Joining of MultiLayer);

/// The answers that both kinds of layers give alike.
macro_rules! asks_the_layer {
    () => {
        fn new_cache(&self) -> AnyCache {
            Box::new(L::Cache::default())
        }
        fn describe(&self) -> Description {
            self.0.describe()
        }
        fn facts(&self) -> Facts {
            self.0.facts()
        }
        fn in_place(&self) -> Option<&dyn InPlace<F>> {
            self.0.in_place()
        }
        fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
            self.0.checks_values()
        }
        fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
            self.0.makes_mask()
        }
        fn coupled(&self) -> Option<&dyn Coupled<F>> {
            self.0.couples_samples().map(|_| self as &dyn Coupled<F>)
        }
        fn stateful(&self) -> Option<&dyn Stateful<F>> {
            self.0.keeps_state().map(|_| self as &dyn Stateful<F>)
        }
    };
}

impl<F: Scalar, L: Layer<F>> Operation<F> for Single<L> {
    asks_the_layer!();

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let [input] = inputs else {
            return Err(Error::option("inputs", "one tensor", format!("{} tensors", inputs.len())));
        };
        Ok(vec![self.0.build(input, params)?])
    }

    fn rescales_channels(&self) -> Option<&dyn RescalesChannels<F>> {
        self.0.rescales_channels()
    }

    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        self.0.workspace(inputs[0])
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        self.0.forward(inputs.get(0), outputs[0].view_mut(), typed(cache), cx);
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
        let (x, y, grad_y, cache) = (inputs.get(0), outputs[0].view(), grad_outputs[0].view_mut(), typed(cache));
        if grad_inputs.wanted(0) {
            grad_inputs.write(0, |grad_x| self.0.backward(x, y, grad_y, Some(grad_x), grads, cache, cx));
        } else {
            self.0.backward(x, y, grad_y, None, grads, cache, cx);
        }
    }
}

impl<F: Scalar, L: MultiLayer<F>> Operation<F> for Joining<L> {
    asks_the_layer!();

    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        self.0.build(inputs, params)
    }

    fn workspace(&self, inputs: &[&[usize]]) -> usize {
        self.0.workspace(inputs)
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        self.0.forward(inputs, outputs, typed(cache), cx);
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
        self.0.backward(inputs, outputs, grad_outputs, grad_inputs, grads, typed(cache), cx);
    }
}
