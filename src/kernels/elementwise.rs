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
    /// x ← a·x
    pub fn scale<F>(a: F, x: &mut [F]) {
        for x in x {
            *x *= a;
        }
    }
}

kernel! {
    /// x ← x held between `low` and `high`
    pub fn clamp<F>(low: F, high: F, x: &mut [F]) {
        for x in x {
            *x = if *x < low { low } else if *x > high { high } else { *x };
        }
    }
}

kernel! {
    /// a ← momentum·a + (1 − momentum)·x
    pub fn move_average<F>(momentum: F, x: &[F], a: &mut [F]) {
        for (a, &x) in a.iter_mut().zip(x) {
            *a = momentum * *a + (F::one() - momentum) * x;
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
