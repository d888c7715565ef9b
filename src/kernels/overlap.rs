//! How much two sets, given as memberships 0..=1, have in common: Dice and Tversky, for segmentation.
//!
//! A row is the cells that belong together (an image, or a class over all images), as in [`ClassAxis`]. With the sums
//! I = Σ t·p, T = Σ t, P = Σ p over a row and D = I + α(T − I) + β(P − I) + ε:
//!
//! ```text
//! v = 1 − I/D        ∂v/∂p = −(t·D − I·(t(1 − α − β) + β)) / D²
//! ```
//! Dice is α = β = ½.

use super::dispatch::kernel;
use super::losses::ClassAxis;
use crate::Scalar;

/// α, β and ε.
#[derive(Clone, Copy, Debug)]
pub struct Overlap<F> {
    /// The weight of what the prediction misses, T − I.
    pub alpha: F,
    /// The weight of what it adds, P − I.
    pub beta: F,
    /// What keeps D from 0.
    pub epsilon: F,
}

impl<F: Scalar> Overlap<F> {
    #[inline(always)]
    fn denominator(self, [i, t, p]: [F; 3]) -> F {
        i + self.alpha * (t - i) + self.beta * (p - i) + self.epsilon
    }
}

/// I, T and P of one row.
#[inline(always)]
fn row_sums<F: Scalar>(axis: ClassAxis, row: usize, p: &[F], t: &[F]) -> [F; 3] {
    let start = axis.start(row);
    let mut sums = [F::zero(); 3];
    for c in 0..axis.n {
        let (p, t) = (p[start + c * axis.inner], t[start + c * axis.inner]);
        sums[0] += t * p;
        sums[1] += t;
        sums[2] += p;
    }
    sums
}

kernel! { memory_bound:
    /// Adds the I, T and P of each row to `sums` (rows, 3).
    pub fn overlap_sums<F>(axis: ClassAxis, p: &[F], t: &[F], sums: &mut [F]) {
        for (row, sums) in sums.chunks_exact_mut(3).enumerate() {
            for (sum, own) in sums.iter_mut().zip(row_sums(axis, row, p, t)) {
                *sum += own;
            }
        }
    }
}

kernel! { memory_bound:
    /// v = 1 − I/D of each row, from its `sums` where these were taken over the whole batch. A longer `v` holds the
    /// rows again and again.
    pub fn overlap<F>(axis: ClassAxis, of: Overlap<F>, p: &[F], t: &[F], sums: &[F], v: &mut [F]) {
        let rows = p.len() / axis.n.max(1);
        for (slot, v) in v.iter_mut().enumerate() {
            let row = slot % rows;
            let sums = sums.as_chunks().0.get(row).copied().unwrap_or_else(|| row_sums(axis, row, p, t));
            *v = F::one() - sums[0] / of.denominator(sums);
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`overlap`]; of a longer `w` all weights of a row count.
    pub fn overlap_backward<F>(axis: ClassAxis, of: Overlap<F>, p: &[F], t: &[F], sums: &[F], w: &[F], grad_p: &mut [F]) {
        let rows = p.len() / axis.n.max(1);
        for row in 0..rows {
            let w: F = w.iter().skip(row).step_by(rows).copied().sum();
            let sums = sums.as_chunks().0.get(row).copied().unwrap_or_else(|| row_sums(axis, row, p, t));
            let (common, d) = (sums[0], of.denominator(sums));
            let (scale, own) = (w / (d * d), F::one() - of.alpha - of.beta);
            let start = axis.start(row);
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_p[i] = scale * (common * (t[i] * own + of.beta) - t[i] * d);
            }
        }
    }
}
