//! Attention: what of a sequence's values each query looks at.
//!
//! Scores s (queries, values) become weights w = softmax(s) along the values, and the output is w·v. Scores are products
//! of queries and keys ([`weigh`] takes them as matrices), or sums of [`additive_scores`].

use super::dispatch::kernel;
use super::softmax;
use crate::Scalar;

kernel! {
    /// `s[i, j] = Σ_d a[d]·tanh(c·(q[i, d] + k[j, d]))`: `q` (queries, n), `k` (values, n), `a` (n) → `s` (queries, values).
    pub fn additive_scores<F, I>(q: &[F], k: &[F], a: &[F], c: F, s: &mut [F]) {
        let n = a.len();
        let values = k.len().checked_div(n).unwrap_or(0);
        if values == 0 {
            return;
        }
        for (q, s) in q.chunks_exact(n).zip(s.chunks_exact_mut(values)) {
            for (k, s) in k.chunks_exact(n).zip(s) {
                let mut sum = F::zero();
                for ((&q, &k), &a) in q.iter().zip(k).zip(a) {
                    sum += a * (c * (q + k)).tanh_in::<I>();
                }
                *s = sum;
            }
        }
    }
}

kernel! {
    /// Backward of [`additive_scores`]: adds to `grad_q`, `grad_k`, `grad_a`; returns ∂L/∂c.
    ///
    /// With t = tanh(c·(q + k)) and g = ∂L/∂s: ∂a += g·t, ∂q and ∂k += g·a·(1 − t²)·c, ∂c += g·a·(1 − t²)·(q + k).
    pub fn additive_scores_backward<F, I>(
        q: &[F], k: &[F], a: &[F], c: F, grad_s: &[F], grad_q: &mut [F], grad_k: &mut [F], grad_a: &mut [F],
    ) -> F {
        let n = a.len();
        let values = k.len().checked_div(n).unwrap_or(0);
        if values == 0 {
            return F::zero();
        }
        let mut grad_c = F::zero();
        for ((q, grad_q), grad_s) in
            q.chunks_exact(n).zip(grad_q.chunks_exact_mut(n)).zip(grad_s.chunks_exact(values))
        {
            for ((k, grad_k), &g) in k.chunks_exact(n).zip(grad_k.chunks_exact_mut(n)).zip(grad_s) {
                for d in 0..n {
                    let t = (c * (q[d] + k[d])).tanh_in::<I>();
                    grad_a[d] += g * t;
                    let through = g * a[d] * ((F::one() - t) * (F::one() + t));
                    grad_q[d] += through * c;
                    grad_k[d] += through * c;
                    grad_c += through * (q[d] + k[d]);
                }
            }
        }
        grad_c
    }
}

/// What masked scores become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    /// Lower by 10⁹, as Keras's `Attention` has it: a query with nothing to look at keeps its scores' differences.
    Lowered,
    /// The lowest number there is, as in multi-head attention: such a query looks at everything alike.
    Lowest,
}

/// s ← softmax(s), row by row of `values` scores, after masking those that `looks(query, value)` does not allow.
pub fn weigh<F: Scalar>(s: &mut [F], values: usize, masked: Masked, looks: impl Fn(usize, usize) -> bool) {
    for (i, s) in s.chunks_exact_mut(values.max(1)).enumerate() {
        for (j, s) in s.iter_mut().enumerate() {
            if !looks(i, j) {
                *s = match masked {
                    Masked::Lowered => *s - F::of(1e9),
                    Masked::Lowest => F::min_value() * F::of(0.5),
                };
            }
        }
    }
    softmax::softmax(s, values, 1);
}

/// Backward of [`weigh`], from the weights `w`, in place of their gradients.
pub fn weigh_backward<F: Scalar>(
    w: &[F],
    grad: &mut [F],
    values: usize,
    masked: Masked,
    looks: impl Fn(usize, usize) -> bool,
) {
    softmax::softmax_backward(w, grad, values, 1);
    if masked == Masked::Lowest {
        for (i, grad) in grad.chunks_exact_mut(values.max(1)).enumerate() {
            for (j, grad) in grad.iter_mut().enumerate() {
                if !looks(i, j) {
                    *grad = F::zero();
                }
            }
        }
    }
}
