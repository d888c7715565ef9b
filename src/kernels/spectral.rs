//! The largest singular value of a matrix, by power iteration.

use super::dispatch::kernel;
use crate::Scalar;

/// x ← x/‖x‖, and nothing where x is 0.
#[inline(always)]
fn to_unit<F: Scalar>(x: &mut [F]) {
    let norm = x.iter().map(|&x| x * x).sum::<F>().sqrt();
    if norm > F::zero() {
        for x in x {
            *x /= norm;
        }
    }
}

kernel! {
    /// `iterations` times v ← Wu/‖Wu‖, u ← Wᵀv/‖Wᵀv‖ for W of `v.len()` rows of `u.len()`; then σ = vᵀWu, which comes from
    /// below to the largest singular value.
    pub fn power_iteration<F>(w: &[F], u: &mut [F], v: &mut [F], iterations: usize) -> F {
        let columns = u.len().max(1);
        for _ in 0..iterations {
            for (v, row) in v.iter_mut().zip(w.chunks_exact(columns)) {
                *v = row.iter().zip(&*u).map(|(&w, &u)| w * u).sum();
            }
            to_unit(v);
            u.fill(F::zero());
            for (&v, row) in v.iter().zip(w.chunks_exact(columns)) {
                for (u, &w) in u.iter_mut().zip(row) {
                    *u += v * w;
                }
            }
            to_unit(u);
        }
        v.iter().zip(w.chunks_exact(columns)).map(|(&v, row)| v * row.iter().zip(&*u).map(|(&w, &u)| w * u).sum::<F>()).sum()
    }
}
