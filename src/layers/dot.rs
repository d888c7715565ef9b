//! The product of two tensors over an axis.

use super::axes::Axes;
use super::{Context, Description, Facts, GradInputs, Grads, Inputs, MaskRule, MultiLayer, ParamBuilder};
use crate::config::layer_options;
use crate::error::show;
use crate::kernels::dot::{self, Operand};
use crate::{Error, Result, Scalar, Tensor};

layer_options! {
    /// The product of two tensors, sample by sample, summed over one axis of each: how much two vectors, or the vectors
    /// of two sequences, point the same way.
    ///
    /// z[…, …′] = Σₖ x₀[…, k, …]·x₁[…′, k, …′], where k runs along `axes`. With `normalize` each of the vectors is first
    /// divided by its length (but by no less than 1e-7), and the products are cosines.
    ///
    /// # Shapes
    /// (batch, a…) and (batch, b…) → (batch, a… without its axis, b… without its axis); of two vectors (batch, 1). No
    /// parameters, no mask.
    /// # Defaults
    /// `normalize` false.
    /// # Errors
    /// When built: not two inputs, an axis that is the batch or that an input does not have, or two axes of different
    /// sizes.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (a, b) = (Input::new([2]), Input::new([2]));
    /// let model = ModelBuilder::new([&a, &b], [&call(Dot::new(1), [&a, &b])]).build()?;
    /// let y = model.predict((&array![[3.0f32, 5.0]], &array![[1.0f32, 2.0]]))?;
    /// assert_eq!(y, array![[13.0f32]].into_dyn());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Dot`.
    pub struct Dot(
        /// The axis of each input that is summed over, `[2, 1]`, or one for both, `1`; the batch is axis 0.
        axes: Axes => impl Into<Axes>,
    ) {
        /// Whether vectors are divided by their lengths. Default: false.
        normalize: bool = false,
    }
}

/// With [`Dot::normalize`]: both inputs with vectors of length 1.
#[derive(Debug, Default)]
pub struct DotCache<F> {
    units: [Vec<F>; 2],
}

impl Dot {
    /// Input number `i`, of the shape `input` without its batch, as an operand.
    fn operand(&self, i: usize, input: &[usize]) -> Result<Operand> {
        Ok(Operand::new(input, self.axes.resolve("axes", i, input.len() + 1)? - 1))
    }

    fn operands<F: Scalar>(&self, inputs: Inputs<'_, F>) -> [Operand; 2] {
        [0, 1].map(|i| self.operand(i, &inputs.get(i).shape()[1..]).expect("`build` checked the axes"))
    }
}

impl<F: Scalar> MultiLayer<F> for Dot {
    type Cache = DotCache<F>;

    fn build(&self, inputs: &[&[usize]], _: &mut ParamBuilder<'_, F>) -> Result<Vec<Vec<usize>>> {
        let &[a, b] = inputs else {
            return Err(Error::option("inputs", "two tensors", inputs.len()));
        };
        if !matches!(self.axes.as_slice().len(), 1 | 2) {
            return Err(Error::option(
                "axes",
                "one axis, or one for each input",
                format!("{:?}", self.axes.as_slice()),
            ));
        }
        let (of_a, of_b) = (self.operand(0, a)?, self.operand(1, b)?);
        if of_a.len != of_b.len {
            let expected = format!("input 1 with an axis of size {} to go with that of {}", of_a.len, show(a));
            return Err(Error::shape(expected, b));
        }
        let mut shape = Vec::new();
        for (i, input) in inputs.iter().enumerate() {
            let axis = self.axes.resolve("axes", i, input.len() + 1)? - 1;
            shape.extend_from_slice(&input[..axis]);
            shape.extend_from_slice(&input[axis + 1..]);
        }
        Ok(vec![if shape.is_empty() { vec![1] } else { shape }])
    }

    fn forward(&self, inputs: Inputs<'_, F>, outputs: &mut [Tensor<F>], cache: &mut DotCache<F>, _: &Context<'_, F>) {
        let [of_a, of_b] = self.operands(inputs);
        let z = outputs[0].data_mut();
        if self.normalize {
            for (i, (of, unit)) in [of_a, of_b].iter().zip(&mut cache.units).enumerate() {
                let x = inputs.get(i);
                unit.resize(x.len(), F::zero());
                dot::unit_vectors(&x, of.len, of.inner, unit);
            }
            let [a, b] = &cache.units;
            dot::dot(a, of_a, b, of_b, z);
        } else {
            dot::dot(&inputs.get(0), of_a, &inputs.get(1), of_b, z);
        }
    }

    fn backward(
        &self,
        inputs: Inputs<'_, F>,
        _: &[Tensor<F>],
        grad_outputs: &mut [Tensor<F>],
        grad_inputs: &mut GradInputs<'_, F>,
        _: &mut Grads<'_, F>,
        cache: &mut DotCache<F>,
        _: &Context<'_, F>,
    ) {
        let of @ [of_a, of_b] = self.operands(inputs);
        let grad_z = grad_outputs[0].data();
        let [a, b] = [0, 1].map(|i| if self.normalize { &cache.units[i] } else { inputs.get(i).data() });
        for (i, operand) in of.iter().enumerate() {
            grad_inputs.write(i, |mut grad_x| {
                if i == 0 {
                    dot::dot_backward_x(grad_z, of_a, b, of_b, &mut grad_x);
                } else {
                    dot::dot_backward_y(grad_z, a, of_a, of_b, &mut grad_x);
                }
                if self.normalize {
                    dot::unit_vectors_backward(&inputs.get(i), operand.len, operand.inner, &mut grad_x);
                }
            });
        }
    }

    fn facts(&self) -> Facts {
        Facts::default().backward_reads_output(false).mask(MaskRule::Stop)
    }

    fn describe(&self) -> Description {
        Description::of(self)
    }
}
