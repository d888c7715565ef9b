//! Tokens as vectors.

use super::{
    BadValue, ChecksValues, Context, Description, Facts, Grads, Inputs, Layer, MakesMask, MaskRule, ParamBuilder,
};
use crate::config::layer_options;
use crate::initializers::Initializer;
use crate::kernels::embedding;
use crate::regularizers::Regularizer;
use crate::{Error, Result, Scalar, View, ViewMut};

layer_options! {
    /// A vector for each token of a vocabulary, learned.
    ///
    /// y[…] = E[x[…]]; the gradient of E's row k is the sum of those of all y that are row k.
    ///
    /// # Shapes
    /// (batch, …) of token ids, whole numbers from 0 to below `input_dim` → (batch, …, output_dim). Parameters:
    /// `embeddings` E (input_dim, output_dim).
    ///
    /// With `mask_zero` token 0 is padding: a mask (batch, timesteps) goes on beside the output, false where the token is
    /// 0. Row 0 is looked up and learned all the same.
    ///
    /// Only the rows that a batch names have a gradient. With an optimizer that leaves weights without one alone
    /// ([`ZeroGradient`](crate::optimizers::ZeroGradient)), a step costs the same however large the vocabulary is; with
    /// others it costs what the rows cost that have been named so far.
    /// # Defaults
    /// `embeddings_initializer` uniform in ±0.05, `mask_zero` false; no regularizer, no constraint.
    /// # Errors
    /// When built: a size is 0. When run: a token id that is no whole number of the vocabulary, with its row.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([3]).add(Embedding::new(10, 4).mask_zero(true)).add(LSTM::new(8)).build()?;
    /// assert_eq!(model.predict(&array![[7, 2, 0], [1, 0, 0]])?.shape(), [2, 8]);
    /// assert!(model.predict(&array![[7, 2, 10]]).is_err());
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `Embedding`.
    pub struct Embedding(
        /// How many tokens there are.
        input_dim: usize,
        /// How many values a token's vector has.
        output_dim: usize,
    ) {
        /// A penalty on the output, divided by the batch size. Default: none.
        activity_regularizer: Option<Regularizer> = None => |it: impl Into<Option<Regularizer>>| it.into(),
        /// Whether token 0 is padding. Default: false.
        mask_zero: bool = false,
    }
    weights {
        embeddings: "the table of vectors" = Initializer::RandomUniform { min: -0.05, max: 0.05 } => "uniform in ±0.05",
    }
}

impl<F: Scalar> Layer<F> for Embedding {
    type Cache = ();

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<Vec<usize>> {
        for (name, size) in [("input_dim", self.input_dim), ("output_dim", self.output_dim)] {
            if size == 0 {
                return Err(Error::option(name, "at least 1", 0));
            }
        }
        params.add_weight("embeddings", &[self.input_dim, self.output_dim], &self.embeddings)?.few_rows();
        Ok([input, &[self.output_dim]].concat())
    }

    fn forward(&self, x: View<'_, F>, mut y: ViewMut<'_, F>, (): &mut (), cx: &Context<'_, F>) {
        embedding::look_up(&x, cx.params.at(0), self.output_dim, &mut y);
    }

    /// Token ids are no quantities: their gradient is 0.
    fn backward(
        &self,
        x: View<'_, F>,
        _: View<'_, F>,
        grad_y: ViewMut<'_, F>,
        grad_x: Option<ViewMut<'_, F>>,
        grads: &mut Grads<'_, F>,
        (): &mut (),
        _: &Context<'_, F>,
    ) {
        if grads.wanted() {
            let mut rows = grads.rows_mut(0, embedding::rows_of(&x, self.input_dim));
            for (&id, grad_y) in x.iter().zip(grad_y.chunks_exact(self.output_dim)) {
                if let Some(row) = embedding::row(id, self.input_dim) {
                    rows.add(row, grad_y);
                }
            }
        }
        if let Some(mut grad_x) = grad_x {
            grad_x.fill(F::zero());
        }
    }

    fn describe(&self) -> Description {
        Description::of(self).activity_regularizer(self.activity_regularizer.as_ref())
    }

    fn checks_values(&self) -> Option<&dyn ChecksValues<F>> {
        Some(self)
    }

    fn makes_mask(&self) -> Option<&dyn MakesMask<F>> {
        Some(self)
    }

    fn facts(&self) -> Facts {
        Facts::default().mask(if self.mask_zero { MaskRule::Make } else { MaskRule::Stop })
    }
}

impl<F: Scalar> ChecksValues<F> for Embedding {
    fn check_values(&self, inputs: Inputs<'_, F>) -> Result<(), BadValue> {
        let x = inputs.get(0);
        match embedding::first_bad_id(&x, self.input_dim) {
            None => Ok(()),
            Some(at) => Err(BadValue {
                row: at / x.row_len().max(1),
                expected: format!("token ids that are whole numbers in 0..{}", self.input_dim),
                received: format!("{}", x[at]),
            }),
        }
    }
}

impl<F: Scalar> MakesMask<F> for Embedding {
    fn make_mask(&self, inputs: Inputs<'_, F>, mask: &mut [bool]) {
        let x = inputs.get(0);
        if x.shape().len() == 2 {
            mask.iter_mut().zip(x.iter()).for_each(|(counts, &id)| *counts = id != F::zero());
        } else {
            // Only sequences of tokens have a mask (batch, timesteps).
            mask.fill(true);
        }
    }
}
