//! Noise on activations, from random numbers of [`random`](super::random).

use super::dispatch::kernel;
use crate::Scalar;

kernel! {
    /// y ← x + `stddev`·y, where y holds standard normal numbers. Backward: the gradient itself.
    pub fn gaussian_noise<F>(x: &[F], stddev: F, y: &mut [F]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x + stddev * *y;
        }
    }
}

kernel! {
    /// y ← x·(1 + `stddev`·y), where y holds standard normal numbers.
    ///
    /// Linear in x: with the gradient for x and the same numbers, it is its own backward pass.
    pub fn gaussian_dropout<F>(x: &[F], stddev: F, y: &mut [F]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * (F::one() + stddev * *y);
        }
    }
}

/// Where an activation of `selu` goes for x → −∞: −1.0507… · 1.6733…
const SATURATION: f64 = -1.758_099_340_847_376_6;

/// a and b of [`alpha_dropout`].
#[inline(always)]
fn alpha_affine<F: Scalar>(rate: F) -> (F, F) {
    let rate = rate.f64();
    let a = ((1.0 - rate) * (1.0 + rate * SATURATION * SATURATION)).powf(-0.5);
    (F::of(a), F::of(-a * SATURATION * rate))
}

kernel! {
    /// Alpha dropout: y = a·x + b where `kept` is 1, a·α′ + b where it is 0. For x of mean 0 and variance 1 so is y.
    ///
    /// α′ = −1.7581 is the value at which `selu` saturates, a = ((1 − rate)·(1 + rate·α′²))^−½, b = −a·α′·rate;
    /// 0 ≤ rate < 1.
    pub fn alpha_dropout<F>(kept: &[u8], rate: F, x: &[F], y: &mut [F]) {
        let (a, b) = alpha_affine(rate);
        let dropped = a * F::of(SATURATION) + b;
        for ((y, &x), &kept) in y.iter_mut().zip(x).zip(kept) {
            *y = if kept == 0 { dropped } else { a * x + b };
        }
    }
}

kernel! {
    /// Backward of [`alpha_dropout`]: ∂L/∂x = a·∂L/∂y where `kept` is 1, else 0.
    pub fn alpha_dropout_backward<F>(kept: &[u8], rate: F, grad_y: &[F], grad_x: &mut [F]) {
        let (a, _) = alpha_affine(rate);
        for ((grad_x, &g), &kept) in grad_x.iter_mut().zip(grad_y).zip(kept) {
            *grad_x = if kept == 0 { F::zero() } else { a * g };
        }
    }
}
