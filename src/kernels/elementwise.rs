//! Loops over elements.

use super::dispatch::kernel;
use crate::Scalar;

kernel! {
    /// y ← y + a·x
    pub fn axpy<F>(a: F, x: &[F], y: &mut [F]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += a * x;
        }
    }
}

kernel! {
    /// y ← a·x + b. Backward: ∂L/∂x = a·∂L/∂y, the same with b = 0.
    pub fn affine<F>(x: &[F], a: F, b: F, y: &mut [F]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = a * x + b;
        }
    }
}

kernel! {
    /// x ← a·x
    pub fn scale<F>(a: F, x: &mut [F]) {
        for x in x {
            *x *= a;
        }
    }
}

/// The place of the largest value, the first of equals; NaN never wins, and 0 of nothing.
pub fn argmax<F: Scalar>(x: &[F]) -> usize {
    let mut best = 0;
    for (i, &value) in x.iter().enumerate() {
        if value > x[best] || x[best].is_nan() {
            best = i;
        }
    }
    best
}
