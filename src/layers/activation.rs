//! Activations that Keras has as layers of their own. [`Activation`] is a layer too, with more of them.

use super::axes::Axes;
use super::{Context, Description, Facts, GradInputs, Grads, InPlace, Inputs, Layer, ParamBuilder};
use crate::config::{Config, Setting, layer_options};
use crate::kernels::recurrent::Nonlinearity;
use crate::kernels::{reorder, softmax};
use crate::tensor::volume;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

impl<F: Scalar> Layer<F> for Activation {
    /// x, where the derivative needs it: the input itself is not kept twice.
    type Cache = ();

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        self.check(input.len() + 1)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        if cx.leaves_activation {
            return y.copy_from_slice(&x);
        }
        let units = y.last_axis();
        let Some(part) = self.part(units) else {
            y.copy_from_slice(&x);
            return Self::forward(self, y);
        };
        for (x, y) in x.chunks(part).zip(y.chunks_mut(part)) {
            y.copy_from_slice(x);
            Nonlinearity::forward(self, y, units);
        }
    }

    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        (): &mut (),
        cx: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        if cx.leaves_activation {
            return grad_x.copy_from_slice(&grad_y);
        }
        let units = y.last_axis();
        let Some(part) = self.part(units) else {
            Self::backward(self, &x, y, grad_y.lend());
            return grad_x.copy_from_slice(&grad_y);
        };
        let parts = x.chunks(part).zip(y.chunks(part)).zip(grad_y.chunks(part)).zip(grad_x.chunks_mut(part));
        for (((x, y), grad_y), grad_x) in parts {
            grad_x.copy_from_slice(grad_y);
            Nonlinearity::backward(self, x, y, grad_x, units);
        }
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        if !matches!(self, Self::Custom(_)) {
            description.config = Some(Config::from_iter([("activation".to_owned(), self.to_value())]));
        }
        description
    }

    fn in_place(&self) -> Option<&dyn InPlace<F>> {
        (!self.needs_input()).then_some(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().only_activation(self).backward_reads_output(true)
    }
}

/// Where the derivative is computed from y alone.
impl<F: Scalar> InPlace<F> for Activation {
    fn forward(&self, _: usize, _: Inputs<'_, F>, y: ViewMut<'_, F>, cx: &Context<'_, F>) {
        Self::forward(cx.activation(self), y);
    }

    fn backward(&self, _: usize, y: View<'_, F>, grad: ViewMut<'_, F>, _: &mut GradInputs<'_, F>, cx: &Context<'_, F>) {
        Self::backward(cx.activation(self), &[], y, grad);
    }
}

/// A layer that is an [`Activation`] by another name; `refused` are options that the activation alone would take.
macro_rules! is_activation {
    ($layer:ident: |$self:ident| $activation:expr $(, refused: $option:ident if $refused:expr => $expected:literal)?) => {
        impl $layer {
            fn activation(&$self) -> Activation {
                $activation
            }
        }

        impl<F: Scalar> Layer<F> for $layer {
            type Cache = ();

            fn build(&$self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
                $(if $refused {
                    return Err(Error::option(stringify!($option), $expected, $self.$option));
                })?
                $self.activation().check(input.len() + 1)?;
                Ok(input.to_vec())
            }

            fn forward(&self, x: View<'_, F>, y: ViewMut<'_, F>, cache: &mut (), cx: &Context<'_, F>) {
                Layer::forward(&self.activation(), x, y, cache, cx);
            }

            fn backward(
                &self,
                x: View<'_, F>,
                y: View<'_, F>,
                grad_y: ViewMut<'_, F>,
                grad_x: Option<ViewMut<'_, F>>,
                grads: &mut Grads<'_, F>,
                cache: &mut (),
                cx: &Context<'_, F>,
            ) {
                Layer::backward(&self.activation(), x, y, grad_y, grad_x, grads, cache, cx);
            }

            fn in_place(&self) -> Option<&dyn InPlace<F>> {
                (!self.activation().needs_input()).then_some(self)
            }

            fn describe(&self) -> Description {
                Description::of(self)
            }

            fn facts(&self) -> Facts {
                Layer::<F>::facts(&self.activation())
            }
        }

        impl<F: Scalar> InPlace<F> for $layer {
            fn forward(&self, over: usize, inputs: Inputs<'_, F>, y: ViewMut<'_, F>, cx: &Context<'_, F>) {
                InPlace::forward(&self.activation(), over, inputs, y, cx);
            }

            fn backward(
                &self,
                over: usize,
                y: View<'_, F>,
                grad: ViewMut<'_, F>,
                grad_inputs: &mut GradInputs<'_, F>,
                cx: &Context<'_, F>,
            ) {
                InPlace::backward(&self.activation(), over, y, grad, grad_inputs, cx);
            }
        }
    };
}

layer_options! {
    /// The rectifier: what is positive passes.
    ///
    /// y = min(x, `max_value`) where x > `threshold`, else `negative_slope`·(x − `threshold`).
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `max_value` none, `negative_slope` 0, `threshold` 0: then it is `Activation::Relu`.
    /// # Errors
    /// When built: an option is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([3]).add(ReLU::new().max_value(6.0)).build()?;
    /// assert_eq!(model.predict(&array![[-1.0f32, 2.0, 7.0]])?, array![[0.0f32, 2.0, 6.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ReLU`.
    pub struct ReLU {
        /// The largest value that passes. Default: all pass.
        max_value: Option<f64> = None => |value: impl Into<Option<f64>>| value.into(),
        /// The slope below the threshold. Default: 0.
        negative_slope: f64 = 0.0,
        /// Above it x passes. Default: 0.
        threshold: f64 = 0.0,
    }
}

is_activation!(
    ReLU: |self| {
        let &Self { max_value, negative_slope, threshold, .. } = self;
        if (max_value, negative_slope, threshold) == (None, 0.0, 0.0) {
            Activation::Relu
        } else if (max_value, negative_slope, threshold) == (Some(6.0), 0.0, 0.0) {
            Activation::Relu6
        } else {
            Activation::ReluWith { max_value, negative_slope, threshold }
        }
    },
    refused: threshold if self.threshold < 0.0 => "at least 0"
);

layer_options! {
    /// The rectifier with a slope below 0.
    ///
    /// y = x where x ≥ 0, else `negative_slope`·x.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `negative_slope` 0.3, where the activation of this name has 0.2.
    /// # Errors
    /// When built: `negative_slope` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(LeakyReLU::new().negative_slope(0.5)).build()?;
    /// assert_eq!(model.predict(&array![[-1.0f32, 2.0]])?, array![[-0.5f32, 2.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `LeakyReLU`.
    pub struct LeakyReLU {
        /// The slope below 0. Default: 0.3.
        negative_slope: f64 = 0.3,
    }
}

is_activation!(LeakyReLU: |self| Activation::LeakyRelu { negative_slope: self.negative_slope });

layer_options! {
    /// The exponential linear unit.
    ///
    /// y = x where x > 0, else α(eˣ − 1).
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `alpha` 1.
    /// # Errors
    /// When built: `alpha` is negative.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([2]).add(ELU::new()).build()?;
    /// assert_eq!(model.predict(&array![[f32::NEG_INFINITY, 2.0]])?, array![[-1.0f32, 2.0]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `ELU`; Clevert et al., *Fast and accurate deep network learning by exponential linear units*, 2016.
    pub struct ELU {
        /// How deep it goes below 0. Default: 1.
        alpha: f64 = 1.0,
    }
}

is_activation!(ELU: |self| Activation::Elu { alpha: self.alpha });

layer_options! {
    /// Softmax as a layer: what is in the places of one axis, or of several together, becomes positive and adds up to 1.
    ///
    /// yᵢ = exp xᵢ / Σ exp x. For the last axis, `Activation::Softmax` is the same; the name is not `Softmax` because the
    /// prelude has that one.
    ///
    /// # Shapes
    /// (batch, …) → the same; no parameters.
    /// # Defaults
    /// `axis` −1, the last.
    /// # Errors
    /// When built: an axis that is the batch, that the input does not have, or that is given twice.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new().input([1, 2]).add(SoftmaxLayer::new().axis([1, 2])).build()?;
    /// assert_eq!(model.predict(&array![[[7.0f32, 7.0]]])?, array![[[0.5f32, 0.5]]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Softmax`.
    pub struct SoftmaxLayer as "Softmax" {
        /// The axis, or the axes, with the batch as 0 or counted from the end if negative. Default: −1.
        axis: Axes = Axes::from(-1) => |axis: impl Into<Axes>| axis.into(),
    }
}

/// Where the axes of a softmax lie; and, if others lie between them, the tensors with these axes last.
#[derive(Debug, Default)]
pub struct Arranged<F> {
    axes: Vec<usize>,
    /// For each axis of the arranged tensor, which of the original's it is, counted from 1.
    order: Vec<usize>,
    y: Vec<F>,
    grad: Vec<F>,
}

impl<F> Arranged<F> {
    /// Whether nothing needs to be arranged, since the axes are neighbours.
    fn side_by_side(&self) -> bool {
        self.axes.windows(2).all(|pair| pair[1] == pair[0] + 1)
    }

    /// How many values add up to 1, in a tensor of this shape.
    fn values(&self, shape: &[usize]) -> usize {
        self.axes.iter().map(|&axis| shape[axis]).product()
    }

    /// With the axes side by side: how many values lie behind them.
    fn behind(&self, shape: &[usize]) -> usize {
        volume(&shape[self.axes[self.axes.len() - 1] + 1..])
    }
}

impl SoftmaxLayer {
    /// The axes that are meant in a tensor of `rank`, in order.
    fn axes(&self, rank: usize, axes: &mut Vec<usize>) -> Result<()> {
        axes.clear();
        for i in 0..self.axis.as_slice().len() {
            axes.push(self.axis.resolve("axis", i, rank)?);
        }
        axes.sort_unstable();
        Ok(())
    }
}

impl<F: Scalar> Layer<F> for SoftmaxLayer {
    type Cache = Arranged<F>;

    fn build(&self, input: &[usize], _: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let mut axes = Vec::new();
        self.axes(input.len() + 1, &mut axes)?;
        if axes.is_empty() || axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::option(
                "axis",
                "one axis, or several different ones",
                format!("{:?}", self.axis.as_slice()),
            ));
        }
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, cache: &mut Arranged<F>, cx: &Context<'_, F>) {
        if cx.leaves_activation {
            return y.copy_from_slice(&x);
        }
        let rank = x.shape().len();
        self.axes(rank, &mut cache.axes).expect("`build` checked the axes");
        let n = cache.values(x.shape());
        if cache.side_by_side() {
            y.copy_from_slice(&x);
            softmax::softmax(&mut y, n, cache.behind(x.shape()));
            return;
        }
        cache.order.clear();
        cache.order.extend((1..rank).filter(|axis| !cache.axes.contains(axis)));
        cache.order.extend_from_slice(&cache.axes);
        cache.y.resize(x.len(), F::zero());
        reorder::permute(&x, x.shape(), &cache.order, &mut cache.y);
        softmax::softmax(&mut cache.y, n, 1);
        reorder::permute_backward(&cache.y, x.shape(), &cache.order, &mut y);
    }

    /// With the axes last, where the sums run; then back to where they were.
    fn backward(
        &self,
        _: View<'_, F>,
        y: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        _: &mut Grads<'_, F>,
        cache: &mut Arranged<F>,
        cx: &Context<'_, F>,
    ) {
        let Some(mut grad_x) = grad_x else { return };
        if cx.leaves_activation {
            return grad_x.copy_from_slice(&grad_y);
        }
        let n = cache.values(y.shape());
        if cache.side_by_side() {
            softmax::softmax_backward(&y, &mut grad_y, n, cache.behind(y.shape()));
            grad_x.copy_from_slice(&grad_y);
        } else {
            cache.grad.resize(grad_y.len(), F::zero());
            reorder::permute(&grad_y, y.shape(), &cache.order, &mut cache.grad);
            softmax::softmax_backward(&cache.y, &mut cache.grad, n, 1);
            reorder::permute_backward(&cache.grad, y.shape(), &cache.order, &mut grad_x);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }

    fn facts(&self) -> Facts {
        if self.axis.as_slice() == [-1] {
            Facts::default().output_activation(&Activation::Softmax)
        } else {
            Facts::default()
        }
    }
}
