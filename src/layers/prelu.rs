//! An activation with learned slopes.

use super::{Context, Description, Grads, Layer, ParamBuilder};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::{activation, broadcast};
use crate::{Error, Result, Scalar, View, ViewMut};

layer_options! {
    /// A rectifier that learns its slope below 0.
    ///
    /// y = x where x > 0, else α·x. At 0 the gradient is 0, as in Keras.
    ///
    /// # Shapes
    /// (batch, …) → the same. Parameter: `alpha` α, of a sample's shape with size 1 at the `shared_axes`.
    /// # Defaults
    /// `alpha_initializer` zeros; no regularizer, no constraint; `shared_axes` none: a slope for each place.
    /// # Errors
    /// When built: an axis of `shared_axes` that the input does not have, or an input without axes beside the batch.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let images = Sequential::new().input([8, 8, 3]).add(PReLU::new().shared_axes([1, 2])).build()?;
    /// assert_eq!(images.count_params(), 3); // a slope a channel
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `PReLU`; He et al., *Delving deep into rectifiers*, 2015.
    pub struct PReLU {
        /// Axes along which the slope is the same, counted with the batch as 0: `[1, 2]` in an image. Default: none.
        shared_axes: Option<Vec<usize>> = None => |axes: impl Into<Vec<usize>>| Some(axes.into()),
    }
    weights {
        alpha: "α" = Initializer::Zeros => "zeros",
    }
}

const ALPHA: usize = 0;

/// Slopes for every place of a sample, and their gradients.
#[derive(Debug, Default)]
pub struct Slopes<F> {
    alpha_shape: Vec<usize>,
    values: Vec<F>,
    grad: Vec<F>,
}

impl PReLU {
    fn shared(&self) -> &[usize] {
        self.shared_axes.as_deref().unwrap_or(&[])
    }

    /// The shape of alpha for samples of the shape `input`.
    fn alpha_shape<'a>(&'a self, input: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        input.iter().enumerate().map(|(i, &size)| if self.shared().contains(&(i + 1)) { 1 } else { size })
    }
}

impl<F: Scalar> Layer<F> for PReLU {
    type Cache = Slopes<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        if input.is_empty() {
            return Err(Error::input_shape("with an axis beside the batch", input));
        }
        if let Some(axis) = self.shared().iter().find(|&&axis| axis == 0 || axis > input.len()) {
            return Err(Error::option("shared_axes", format!("axes from 1 to {}", input.len()), axis));
        }
        let shape: Vec<usize> = self.alpha_shape(input).collect();
        params.add_weight("alpha", &shape, &self.alpha)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, cache: &mut Slopes<F>, cx: &Context<'_, F>) {
        let sample = &x.shape()[1..];
        cache.alpha_shape.clear();
        cache.alpha_shape.extend(self.alpha_shape(sample));
        cache.values.resize(x.row_len(), F::zero());
        broadcast::assign(cx.params.at(ALPHA), &cache.alpha_shape, sample, &mut cache.values);
        y.copy_from_slice(&x);
        activation::prelu(&mut y, &cache.values);
    }

    /// With g = ∂L/∂y: ∂L/∂x = g where x > 0, α·g where x < 0; ∂L/∂α = Σ g·x over the places with x < 0 that share it.
    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        cache: &mut Slopes<F>,
        _: &Context<'_, F>,
    ) {
        cache.grad.clear();
        cache.grad.resize(cache.values.len(), F::zero());
        activation::prelu_backward(&x, &cache.values, &mut grad_y, &mut cache.grad);
        if grads.wanted() {
            broadcast::add_sum_back(&cache.grad, &cache.alpha_shape, &x.shape()[1..], grads.at_mut(ALPHA));
        }
        if let Some(mut grad_x) = grad_x {
            grad_x.copy_from_slice(&grad_y);
        }
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
