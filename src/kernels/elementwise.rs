//! Loops over elements.

use super::dispatch::kernel;

kernel! {
    /// y += a·x
    pub fn axpy<F>(a: F, x: &[F], y: &mut [F]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    }
}

kernel! {
    /// Σ xᵢ
    pub fn total<F>(x: &[F]) -> F {
        x.iter().copied().sum()
    }
}
