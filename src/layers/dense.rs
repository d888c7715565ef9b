//! Fully connected layers.

use super::{Context, Description, Facts, Grads, Layer, ParamBuilder};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::gemm::{Matrix, Start, gemm};
use crate::kernels::reduce;
use crate::regularizers::Regularizer;
use crate::{Activation, Error, Result, Scalar, View, ViewMut};

layer_options! {
    /// A fully connected layer: each output is a weighted sum of all inputs, through an activation.
    ///
    /// y = f(x·W + b), along the last axis of x.
    ///
    /// # Shapes
    /// (batch, …, features) → (batch, …, units). Parameters: `kernel` W (features, units), `bias` b (units).
    /// # Defaults
    /// `activation` linear, `use_bias` true, `kernel_initializer` Glorot uniform, `bias_initializer` zeros; no
    /// regularizers, no constraints.
    /// # Errors
    /// When built: `units` is 0, or the input has no axis beside the batch.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4]).add(Dense::new(3).activation(Relu)).build()?;
    /// let y = model.predict(&array![[1.0f32, 2.0, 3.0, 4.0]])?;
    /// assert_eq!(y.shape(), [1, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Dense`; derived in `docs/backward.md`, "Dense".
    pub struct Dense(
        /// How many outputs the layer has.
        units: usize,
    ) {
        /// The activation function. Default: linear.
        activation: Activation = Activation::Linear,
        /// Whether a bias is added. Default: true.
        use_bias: bool = true,
        /// A penalty on the output, divided by the batch size. Default: none.
        activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
    }
    weights {
        kernel: "the kernel" = Initializer::GlorotUniform => "Glorot uniform",
        bias: "the bias" = Initializer::Zeros => "zeros",
    }
}

const KERNEL: usize = 0;
const BIAS: usize = 1;

impl<F: Scalar> Layer<F> for Dense {
    /// z = x·W + b, where the activation's derivative needs it.
    type Cache = Vec<F>;

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        let Some((&features, rest)) = input.split_last() else {
            return Err(Error::input_shape("(…, features)", input));
        };
        if self.units == 0 {
            return Err(Error::option("units", "at least 1", 0));
        }
        self.activation.check(input.len() + 1)?;
        params.add_weight("kernel", &[features, self.units], &self.kernel)?;
        if self.use_bias {
            params.add_weight("bias", &[self.units], &self.bias)?;
        }
        Ok([rest, &[self.units]].concat())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, z: &mut Vec<F>, cx: &Context<'_, F>) {
        let features = x.last_axis();
        let rows = y.len() / self.units;
        // What has been folded into the layer gives it a bias.
        let start = if cx.params.len() > BIAS { Start::Bias(cx.params.at(BIAS)) } else { Start::Zero };
        let kernel = Matrix::new(cx.params.at(KERNEL), features, self.units);
        gemm(Matrix::new(&x, rows, features), kernel, start, &mut y, self.units);
        let activation = cx.activation(&self.activation);
        if cx.backward_follows() {
            activation.keep_input(&y, z);
        }
        activation.forward(y);
    }

    /// With g = ∂L/∂z = ∂L/∂y ⊙ f′(z): ∂L/∂W = xᵀ·g, ∂L/∂b = Σ over rows of g, ∂L/∂x = g·Wᵀ.
    fn backward(
        &self,
        x: View<'_, F>,
        y: View<'_, F>,
        mut grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        z: &mut Vec<F>,
        cx: &Context<'_, F>,
    ) {
        let features = x.last_axis();
        let rows = y.len() / self.units;
        cx.activation(&self.activation).backward(z, y, grad_y.lend());
        let grad_z = Matrix::new(&grad_y, rows, self.units);
        if grads.wanted() {
            let x = Matrix::new(&x, rows, features);
            let (grad_kernel, start) = grads.product(KERNEL);
            gemm(x.t(), grad_z, start, grad_kernel, self.units);
            if self.use_bias {
                reduce::add_column_sums(&grad_y, grads.at_mut(BIAS));
            }
        }
        if let Some(mut grad_x) = grad_x {
            let kernel = Matrix::new(cx.params.at(KERNEL), features, self.units);
            gemm(grad_z, kernel.t(), Start::Zero, &mut grad_x, features);
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().output_activation(&self.activation).folds()
    }

    fn describe(&self) -> Description {
        Description::of(self).activity_regularizer(self.activity_regularizer.as_ref())
    }
}
