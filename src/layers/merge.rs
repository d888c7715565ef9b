//! Layers that make one tensor of several.

use super::axes;
use super::masked_merge::{MaskedValues, any_counts, any_masked};
use super::{
    Context, Description, Facts, GradInputs, Grads, InPlace, Inputs, MakesMask, MaskRule, MultiLayer, ParamBuilder,
};
use crate::config::layer_options;
use crate::error::show;
use crate::kernels::{broadcast, elementwise, reorder, split};
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

/// What an elementwise merge makes of the values in one place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    Sum,
    Difference,
    Product,
    Mean,
    Largest,
    Smallest,
}

/// What the elementwise merges keep between forward and backward.
#[derive(Debug, Default)]
pub struct MergeCache<F> {
    /// For [`Merge::Largest`] and [`Merge::Smallest`]: which input a value of the output came from.
    winner: Vec<u32>,
    /// An input's gradient before it is summed over the places where the input was repeated.
    part: Vec<F>,
    masked: MaskedValues<F>,
}

impl<F: Scalar> MultiLayer<F> for Merge {
    type Cache = MergeCache<F>;

    /// The shape that all inputs fit, repeated where they have size 1.
    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        if inputs.len() < 2 || *self == Self::Difference && inputs.len() != 2 {
            let expected = if *self == Self::Difference { "two tensors" } else { "at least two tensors" };
            return Err(Error::option("inputs", expected, inputs.len()));
        }
        let rank = inputs.iter().map(|input| input.len()).max().unwrap_or(0);
        let mut shape = vec![1; rank];
        for (number, input) in inputs.iter().enumerate() {
            for (i, &size) in input.iter().enumerate() {
                let axis = &mut shape[rank - input.len() + i];
                if *axis == 1 {
                    *axis = size;
                } else if size != 1 && size != *axis {
                    let before = show(inputs[number - 1]);
                    let expected = format!("input {number} with axes like those before it, {before}, or of size 1");
                    return Err(Error::shape(expected, input));
                }
            }
        }
        Ok(vec![shape])
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut MergeCache<F>, _: &Context<'_, F>) {
        let (to, y) = outputs[0].view_mut().into_parts();
        let first = inputs.get(0);
        broadcast::assign(&first, first.shape(), to, y);
        if matches!(self, Self::Largest | Self::Smallest) {
            cache.winner.clear();
            cache.winner.resize(y.len(), 0);
        }
        if any_masked(inputs) {
            match self {
                Self::Product => return cache.masked.product(inputs, to, y),
                Self::Largest | Self::Smallest => {
                    return cache.masked.extremum(self.sign(), inputs, to, y, &mut cache.winner);
                }
                Self::Sum | Self::Mean | Self::Difference => (),
            }
        }
        for number in 1..inputs.len() {
            let x = inputs.get(number);
            let from = x.shape();
            match self {
                Self::Sum | Self::Mean | Self::Difference => self.join(x, to, y),
                Self::Product => broadcast::multiply(&x, from, to, y),
                Self::Largest | Self::Smallest => {
                    // There are no 2³² inputs.
                    #[allow(clippy::cast_possible_truncation)]
                    broadcast::extremum(self.sign(), &x, from, to, number as u32, y, &mut cache.winner);
                }
            }
        }
        if *self == Self::Mean {
            elementwise::scale(F::one() / F::of(inputs.len() as f64), y);
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        cache: &mut MergeCache<F>,
        _: &Context<'_, F>,
    ) {
        let (to, grad_y) = (grad_outputs[0].shape(), grad_outputs[0].data());
        let MergeCache { winner, part, masked } = cache;
        for number in 0..inputs.len() {
            grad_inputs.write(number, |grad_x| {
                let (from, grad_x) = grad_x.into_parts();
                match self {
                    Self::Sum | Self::Mean | Self::Difference => {
                        broadcast::sum_back(grad_y, from, to, grad_x);
                        self.scale_back(number, inputs.len(), grad_x);
                    }
                    Self::Product if any_masked(inputs) => {
                        masked.product_backward(inputs, number, to, grad_y, part);
                        broadcast::sum_back(part, from, to, grad_x);
                    }
                    Self::Product => {
                        part.clear();
                        part.extend_from_slice(grad_y);
                        for other in (0..inputs.len()).filter(|&other| other != number) {
                            let x = inputs.get(other);
                            broadcast::multiply(&x, x.shape(), to, part);
                        }
                        broadcast::sum_back(part, from, to, grad_x);
                    }
                    Self::Largest | Self::Smallest => {
                        part.resize(grad_y.len(), F::zero());
                        #[allow(clippy::cast_possible_truncation)]
                        broadcast::extremum_backward(winner, number as u32, grad_y, part);
                        broadcast::sum_back(part, from, to, grad_x);
                    }
                }
            });
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).mask(MaskRule::MakeOfAll)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }

    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        matches!(self, Self::Sum | Self::Mean | Self::Difference).then_some(self)
    }
}

impl Merge {
    /// 1 for the largest, −1 for the smallest.
    fn sign<F: Scalar>(self) -> F {
        if self == Self::Smallest { -F::one() } else { F::one() }
    }
}

/// The merges of which every input's gradient is the output's but for a factor.
impl Merge {
    /// y ← y ± x
    fn join<F: Scalar>(self, x: View<'_, F>, to: &[usize], y: &mut [F]) {
        if self == Self::Difference {
            broadcast::subtract(&x, x.shape(), to, y);
        } else if x.shape() == to {
            split::elements(y, &|start, y| broadcast::add(&x[start..][..y.len()], &[y.len()], &[y.len()], y));
        } else {
            broadcast::add(&x, x.shape(), to, y);
        }
    }

    /// `grad` ← `grad` times the factor of input `number` of `inputs`.
    fn scale_back<F: Scalar>(self, number: usize, inputs: usize, grad: &mut [F]) {
        if self == Self::Mean {
            elementwise::scale(F::one() / F::of(inputs as f64), grad);
        } else if self == Self::Difference && number == 1 {
            elementwise::scale(-F::one(), grad);
        }
    }
}

impl<F: Scalar> InPlace<F> for Merge {
    /// Over the first, or over either of two numbers whose order does not matter.
    fn may_overwrite(&self, over: usize, inputs: usize) -> bool {
        over == 0 || inputs == 2 && *self != Self::Difference
    }

    fn forward(&self, over: usize, inputs: Inputs<'_, F>, y: ViewMut<'_, F>, _: &Context<'_, F>) {
        let (to, y) = y.into_parts();
        for number in (0..inputs.len()).filter(|&number| number != over) {
            self.join(inputs.get(number), to, y);
        }
        if *self == Self::Mean {
            elementwise::scale(F::one() / F::of(inputs.len() as f64), y);
        }
    }

    fn backward(
        &self,
        over: usize,
        _: View<'_, F>,
        grad: ViewMut<'_, F>,
        grad_inputs: &mut GradInputs<'_, F>,
        _: &Context<'_, F>,
    ) {
        let (to, grad) = grad.into_parts();
        let inputs = grad_inputs.len();
        for number in (0..inputs).filter(|&number| number != over) {
            grad_inputs.write(number, |grad_x| {
                let (from, grad_x) = grad_x.into_parts();
                broadcast::sum_back(grad, from, to, grad_x);
                self.scale_back(number, inputs, grad_x);
            });
        }
        self.scale_back(over, inputs, grad);
    }
}

impl<F: Scalar> MakesMask<F> for Merge {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        any_counts(inputs, mask);
    }
}

/// An elementwise merge: its documentation, its name, what it does.
macro_rules! merge_layer {
    ($(#[$meta:meta])* $layer:ident, $merge:expr) => {
        layer_options! {
            $(#[$meta])*
            pub struct $layer {}
        }

        impl<F: Scalar> MultiLayer<F> for $layer {
            type Cache = MergeCache<F>;

            fn build(&self, inputs: &[&[usize]], params: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
                $merge.build(inputs, params)
            }

            fn forward(
                &self,
                inputs: Inputs<'_, F>,
                outputs: &mut [Tensor<F>],
                cache: &mut MergeCache<F>,
                cx: &Context<'_, F>,
            ) {
                MultiLayer::forward(&$merge, inputs, outputs, cache, cx);
            }

            fn backward(
                &self,
                inputs: Inputs<'_, F>,
                outputs: &[Tensor<F>],
                grad_outputs: &mut [Tensor<F>],
                grad_inputs: &mut GradInputs<'_, F>,
                grads: &mut Grads<'_, F>,
                cache: &mut MergeCache<F>,
                cx: &Context<'_, F>,
            ) {
                MultiLayer::backward(&$merge, inputs, outputs, grad_outputs, grad_inputs, grads, cache, cx);
            }

            fn facts(&self) -> Facts {
                MultiLayer::<F>::facts(&$merge)
            }

            fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
                $merge.makes_mask()
            }

            fn in_place(&self) -> Option<&dyn InPlace<F>> {
                $merge.in_place()
            }

            fn describe(&self) -> Description {
                Description::of(self)
            }
        }
    };
}

merge_layer! {
    /// The sum of several tensors, value by value: where a residual connection joins again.
    ///
    /// y = x₀ + x₁ + …; each input's gradient is the output's, summed over axes along which the input was repeated.
    ///
    /// # Shapes
    /// Two or more tensors → the largest size of each axis. An axis of size 1 is repeated, and an input with fewer axes
    /// gets those that it lacks after the batch: (batch, 4) goes with (batch, 3, 4). No parameters.
    ///
    /// Where all inputs have masks, a step of the output counts if it counts in one of them.
    /// # Errors
    /// When built: fewer than two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let x = Input::new([4]);
    /// let hidden = x.apply(Dense::new(4).activation(Relu));
    /// let model = ModelBuilder::new([&x], [&call(Add::new(), [&x, &hidden])]).build()?;
    /// assert_eq!(model.output_shape(0), [4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Add`.
    Add, Merge::Sum
}

merge_layer! {
    /// The difference of two tensors, value by value.
    ///
    /// y = x₀ − x₁; the gradient of x₁ is the output's, negated.
    ///
    /// # Shapes
    /// Exactly two tensors; sizes and masks as in [`Add`]. No parameters.
    /// # Errors
    /// When built: not two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([2]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Subtract::new(), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32, 1.0]]))?;
    /// assert_eq!(y, array![[2.0f32, 4.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Subtract`.
    Subtract, Merge::Difference
}

merge_layer! {
    /// The product of several tensors, value by value: gates, and attention over channels.
    ///
    /// y = x₀·x₁·…; an input's gradient is the output's times the product of the others.
    ///
    /// # Shapes
    /// As in [`Add`]. No parameters.
    /// # Errors
    /// When built: fewer than two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let x = Input::new([8, 8, 16]);
    /// let gate = Input::new([1, 1, 16]);
    /// let model = ModelBuilder::new([&x, &gate], [&call(Multiply::new(), [&x, &gate])]).build()?;
    /// assert_eq!(model.output_shape(0), [8, 8, 16]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Multiply`.
    Multiply, Merge::Product
}

merge_layer! {
    /// The mean of several tensors, value by value.
    ///
    /// y = (x₀ + x₁ + … + xₙ₋₁)/n
    ///
    /// # Shapes
    /// As in [`Add`]. No parameters.
    /// # Errors
    /// When built: fewer than two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([2]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Average::new(), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32, 1.0]]))?;
    /// assert_eq!(y, array![[2.0f32, 3.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Average`.
    Average, Merge::Mean
}

merge_layer! {
    /// The largest of several tensors, value by value.
    ///
    /// y = max(x₀, x₁, …). The gradient goes to the input that was the largest: of equal ones to the first, where Keras
    /// may share it. A NaN wins over every number.
    ///
    /// # Shapes
    /// As in [`Add`]. No parameters.
    /// # Errors
    /// When built: fewer than two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([2]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Maximum::new(), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32, 7.0]]))?;
    /// assert_eq!(y, array![[3.0f32, 7.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Maximum`.
    Maximum, Merge::Largest
}

merge_layer! {
    /// The smallest of several tensors, value by value.
    ///
    /// y = min(x₀, x₁, …). The gradient goes to the input that was the smallest: of equal ones to the first, where Keras
    /// may share it. A NaN wins over every number.
    ///
    /// # Shapes
    /// As in [`Add`]. No parameters.
    /// # Errors
    /// When built: fewer than two inputs, or two sizes of an axis that differ and are not 1.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([2]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Minimum::new(), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32, 7.0]]))?;
    /// assert_eq!(y, array![[1.0f32, 5.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Minimum`.
    Minimum, Merge::Smallest
}

layer_options! {
    /// Several tensors one behind the other along an axis.
    ///
    /// # Shapes
    /// Tensors that differ in the size of one axis at most → that size is their sum. No parameters.
    ///
    /// Where an input has a mask, so has the output: along time the masks stand one after another, along another axis a step
    /// counts if it counts in one input. All steps of an input without a mask count.
    /// # Defaults
    /// `axis` −1, the last.
    /// # Errors
    /// When built: no input, `axis` is the batch or beyond the last, or another axis differs.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([1]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Concatenate::new(), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32]]))?;
    /// assert_eq!(y, array![[3.0f32, 5.0, 1.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Concatenate`.
    pub struct Concatenate {
        /// The axis, counted with the batch as 0, or from the end if negative. Default: −1.
        axis: isize = -1,
    }
}

impl Concatenate {
    fn resolved(&self, rank: usize) -> Result<usize> {
        axes::resolve("axis", self.axis, rank)
    }

    /// How many neighbours of a tensor of this shape stay together.
    fn stretch(&self, shape: &[usize]) -> usize {
        let axis = self.resolved(shape.len()).expect("`build` checked the axis");
        shape[axis..].iter().product()
    }
}

impl<F: Scalar> MultiLayer<F> for Concatenate {
    type Cache = ();

    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let Some((&first, others)) = inputs.split_first() else {
            return Err(Error::option("inputs", "at least one tensor", 0));
        };
        let axis = self.resolved(first.len() + 1)? - 1;
        let mut shape = first.to_vec();
        for (number, input) in others.iter().enumerate() {
            let differs = |i: usize| i != axis && input[i] != first[i];
            if input.len() != first.len() || (0..first.len()).any(differs) {
                let expected =
                    format!("input {} like input 0, {}, but for axis {}", number + 1, show(first), self.axis);
                return Err(Error::shape(expected, input));
            }
            shape[axis] += input[axis];
        }
        Ok(vec![shape])
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], (): &mut (), _: &Context<'_, F>) {
        let all = self.stretch(outputs[0].shape());
        let mut from = 0;
        for number in 0..inputs.len() {
            let x = inputs.get(number);
            let len = self.stretch(x.shape());
            reorder::place(&x, len, all, from, outputs[0].data_mut());
            from += len;
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        outputs: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        let all = self.stretch(outputs[0].shape());
        let mut from = 0;
        for number in 0..inputs.len() {
            let len = self.stretch(inputs.get(number).shape());
            grad_inputs.write(number, |mut grad_x| {
                reorder::place_backward(grad_outputs[0].data(), len, all, from, &mut grad_x);
            });
            from += len;
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).mask(MaskRule::MakeOfAny)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}

/// Along time the inputs' masks stand one after another; along any other axis a step counts if it counts in one of them.
/// All steps of an input without a mask count.
impl<F: Scalar> MakesMask<F> for Concatenate {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let first = inputs.get(0);
        if self.resolved(first.shape().len()).is_ok_and(|axis| axis != 1) {
            return any_counts(inputs, mask);
        }
        let steps = mask.len() / first.rows().max(1);
        for (row, mut rest) in mask.chunks_exact_mut(steps.max(1)).enumerate() {
            for i in 0..inputs.len() {
                let own_steps = inputs.get(i).shape()[1];
                let (own, others) = rest.split_at_mut(own_steps);
                match inputs.mask(i) {
                    Some(mask) => own.copy_from_slice(&mask[row * own_steps..][..own_steps]),
                    None => own.fill(true),
                }
                rest = others;
            }
        }
    }
}
