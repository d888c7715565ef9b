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
    /// `y[r, j]` ← (`x[r, j]` − `a[j]`)·`b[j]` + `c[j]`, rows as long as a, b and c. Backward: [`scale_columns`] by b.
    pub fn affine_columns<F>(x: &[F], a: &[F], b: &[F], c: &[F], y: &mut [F]) {
        for (x, y) in x.chunks_exact(a.len().max(1)).zip(y.chunks_exact_mut(a.len().max(1))) {
            for ((((y, &x), &a), &b), &c) in y.iter_mut().zip(x).zip(a).zip(b).zip(c) {
                *y = (x - a) * b + c;
            }
        }
    }
}

kernel! {
    /// `y[r, j]` ← `b[j]`·`x[r, j]`
    pub fn scale_columns<F>(x: &[F], b: &[F], y: &mut [F]) {
        for (x, y) in x.chunks_exact(b.len().max(1)).zip(y.chunks_exact_mut(b.len().max(1))) {
            for ((y, &x), &b) in y.iter_mut().zip(x).zip(b) {
                *y = b * x;
            }
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
