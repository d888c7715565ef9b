//! Attention: which of a sequence's values each query looks at.

mod folding;
mod multi_head;
mod single;

pub use multi_head::MultiHeadAttention;
pub use single::{AdditiveAttention, Attention};

use crate::Scalar;
use crate::kernels::random;
use crate::layers::{Context, GradInputs};

/// Which input is value and which key: value and key may be one, and both may be the query.
fn roles(inputs: usize) -> [usize; 3] {
    [0, 1.min(inputs - 1), 2.min(inputs - 1)]
}

/// Which values a query may look at.
#[derive(Clone, Copy)]
struct Visible<'a> {
    query: Option<&'a [bool]>,
    values: [Option<&'a [bool]>; 2],
    causal: bool,
    window: Option<usize>,
}

impl<'a> Visible<'a> {
    /// The masks of row `row` of all.
    fn of_row(self, row: usize, queries: usize, values: usize) -> Self {
        let part = |mask: Option<&'a [bool]>, len: usize| mask.map(|mask| &mask[row * len..][..len]);
        Self { query: part(self.query, queries), values: self.values.map(|mask| part(mask, values)), ..self }
    }

    /// Whether query `i` may look at value `j`.
    fn at(&self, i: usize, j: usize) -> bool {
        self.query.is_none_or(|mask| mask[i])
            && self.values.iter().all(|mask| mask.is_none_or(|mask| mask[j]))
            && (!self.causal || j <= i)
            && self.window.is_none_or(|window| i.abs_diff(j) < window)
    }
}

/// Drops weights in training: `dropped` ← w after dropout. What a row loses does not depend on the shard.
fn drop_weights<F: Scalar>(
    w: &[F],
    rate: f64,
    seed: Option<u64>,
    cx: &Context<'_, F>,
    dropped: &mut Vec<F>,
    kept: &mut Vec<u8>,
    rows: usize,
) {
    kept.resize(w.len(), 0);
    dropped.resize(w.len(), F::zero());
    dropped.copy_from_slice(w);
    let first = (cx.first_row() * (w.len() / rows.max(1))) as u64;
    random::dropout_with_mask(cx.random_key(seed), first, F::of(rate), dropped, kept);
}

/// Gives each input the gradients of the roles that it plays.
fn write_gradients<F: Scalar>(tensors: usize, grad_inputs: &mut GradInputs<'_, F>, grads: [&[F]; 3]) {
    let roles = roles(tensors);
    for input in 0..tensors {
        grad_inputs.write(input, |mut grad| {
            grad.fill(F::zero());
            for (_, of_role) in roles.iter().zip(grads).filter(|(role, _)| **role == input) {
                crate::kernels::elementwise::axpy(F::one(), of_role, &mut grad);
            }
        });
    }
}
