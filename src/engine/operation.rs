//! Layers of any type behind one object: the only place where a type is erased.

use std::any::Any;

use crate::layers::{
    BadValue, Context, Coupling, Description, GradInputs, Grads, InPlace, Inputs, Layer, MaskRule, MultiLayer,
    ParamBuilder,
};
use crate::{Activation, Result, Scalar, Tensor, View};

/// A cache whose type only its layer knows.
pub(crate) type AnyCache = Box<dyn Any + Send + Sync>;

/// What the executor asks of a layer, whatever its type. The methods are those of [`Layer`] and [`MultiLayer`].
pub(crate) trait Operation<F: Scalar>: Send + Sync {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>>;
    fn new_cache(&self) -> AnyCache;
    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>);
    #[allow(clippy::too_many_arguments)]
    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: Outputs<'_, F>,
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    );
    fn describe(&self) -> Description;
    fn mask_rule(&self, output: usize) -> MaskRule;
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, cx: &Context<'_, F>);

    fn backward_reads_output(&self) -> bool {
        true
    }
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        None
    }
    fn is_reshape(&self) -> bool {
        false
    }
    fn only_in_training(&self) -> bool {
        false
    }
    fn make_mask(&self, _: Inputs<'_, F>, _: &mut [bool]) {}
    fn check_values(&self, _: Inputs<'_, F>) -> Result<(), BadValue> {
        Ok(())
    }
    fn checks_values(&self) -> bool {
        false
    }
    fn carries_state(&self) -> bool {
        false
    }
    fn coupling(&self, _: &[usize]) -> Option<Coupling> {
        None
    }
    fn forward_sums(&self, _: View<'_, F>, _: &mut [F], _: &Context<'_, F>) {}
    #[allow(clippy::too_many_arguments)]
    fn backward_sums(
        &self,
        _: View<'_, F>,
        _: View<'_, F>,
        _: View<'_, F>,
        _: &mut [F],
        _: &mut AnyCache,
        _: &Context<'_, F>,
    ) {
    }
    fn join_sums(&self, _: &mut [F], _: &[F]) {}
    fn output_activation(&self) -> Option<Activation> {
        None
    }
    /// How many axes of a sample are like more samples to the layer: those of the timesteps it is applied to, if it is
    /// part of a model that is.
    fn leading_axes(&self) -> usize {
        0
    }
}

/// The outputs that a node computed.
pub(crate) type Outputs<'a, F> = &'a [Tensor<F>];

/// A [`Layer`] as an [`Operation`].
pub(super) struct Single<L>(pub L);

/// A [`MultiLayer`] as an [`Operation`].
pub(super) struct Several<L>(pub L);

const OWN_CACHE: &str = "a node's cache is made by its own layer";

fn typed<C: 'static>(cache: &mut AnyCache) -> &mut C {
    cache.downcast_mut().expect(OWN_CACHE)
}

impl<F: Scalar, L: Layer<F>> Operation<F> for Single<L> {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let [input] = inputs else {
            return Err(crate::Error::option("inputs", "one tensor", format!("{} tensors", inputs.len())));
        };
        Ok(vec![self.0.build(input, params)?])
    }

    fn new_cache(&self) -> AnyCache {
        Box::new(L::Cache::default())
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        self.0.forward(inputs.get(0), outputs[0].view_mut(), typed(cache), cx);
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: Outputs<'_, F>,
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

    fn describe(&self) -> Description {
        self.0.describe()
    }
    fn mask_rule(&self, _: usize) -> MaskRule {
        self.0.mask_rule()
    }
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, cx: &Context<'_, F>) {
        self.0.update_state(state, cache.downcast_ref().expect(OWN_CACHE), cx);
    }
    fn backward_reads_output(&self) -> bool {
        self.0.backward_reads_output()
    }
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        self.0.in_place()
    }
    fn is_reshape(&self) -> bool {
        self.0.is_reshape()
    }
    fn only_in_training(&self) -> bool {
        self.0.only_in_training()
    }
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        self.0.make_mask(inputs.get(0), mask);
    }
    fn checks_values(&self) -> bool {
        self.0.checks_values()
    }
    fn check_values(&self, inputs: Inputs<'_, F>) -> Result<(), BadValue> {
        self.0.check_values(inputs.get(0))
    }
    fn coupling(&self, input: &[usize]) -> Option<Coupling> {
        self.0.coupling(input)
    }
    fn forward_sums(&self, x: View<'_, F>, sums: &mut [F], cx: &Context<'_, F>) {
        self.0.forward_sums(x, sums, cx);
    }
    fn backward_sums(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        grad_y: View<'_, F>,
        sums: &mut [F],
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    ) {
        self.0.backward_sums(x, y, grad_y, sums, typed(cache), cx);
    }
    fn join_sums(&self, totals: &mut [F], sums: &[F]) {
        self.0.join_sums(totals, sums);
    }
    fn output_activation(&self) -> Option<Activation> {
        self.0.output_activation()
    }
}

impl<F: Scalar, L: MultiLayer<F>> Operation<F> for Several<L> {
    fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        self.0.build(inputs, params)
    }

    fn new_cache(&self) -> AnyCache {
        Box::new(L::Cache::default())
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut AnyCache, cx: &Context<'_, F>) {
        self.0.forward(inputs, outputs, typed(cache), cx);
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: Outputs<'_, F>,
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        grads: &mut Grads<'_, F>,
        cache: &mut AnyCache,
        cx: &Context<'_, F>,
    ) {
        self.0.backward(inputs, outputs, grad_outputs, grad_inputs, grads, typed(cache), cx);
    }

    fn describe(&self) -> Description {
        self.0.describe()
    }
    fn mask_rule(&self, output: usize) -> MaskRule {
        self.0.mask_rule(output)
    }
    fn backward_reads_output(&self) -> bool {
        self.0.backward_reads_output()
    }
    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        self.0.in_place()
    }
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        self.0.make_mask(inputs, mask);
    }
    fn carries_state(&self) -> bool {
        self.0.carries_state()
    }
    fn update_state(&self, state: &mut Grads<'_, F>, cache: &AnyCache, cx: &Context<'_, F>) {
        self.0.update_state(state, cache.downcast_ref().expect(OWN_CACHE), cx);
    }
}
