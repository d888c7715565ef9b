//! The values of losses and their gradients, row by row.
//!
//! A row is a run of `n` values of the prediction `p` and the target `t`; it has one value v and, in the backward
//! pass, one weight w. Class axes other than the last are seen as (outer, n, inner).

use super::dispatch::{Instructions, kernel};
use super::math::Elementary;
use super::softmax::max_and_sum_of_exp;
use crate::Scalar;

/// Probabilities are kept this far from 0 and 1 before a logarithm, as in Keras.
const EPSILON: f64 = 1e-7;

/// x between ε and 1 − ε, and whether it is there by itself: a clip that acts passes no gradient.
#[inline(always)]
pub(crate) fn clip<F: Scalar>(x: F) -> (F, bool) {
    let (low, high) = (F::of(EPSILON), F::one() - F::of(EPSILON));
    (
        if x < low {
            low
        } else if x > high {
            high
        } else {
            x
        },
        !(x < low || x > high),
    )
}

/// The class axis of a prediction seen as (outer, n, inner).
#[derive(Clone, Copy, Debug)]
pub struct ClassAxis {
    /// The number of classes.
    pub n: usize,
    /// How many values lie between two classes of one row; 1 if classes come last.
    pub inner: usize,
}

impl ClassAxis {
    /// Where class 0 of row `row` lies; class c is `c * inner` further on.
    #[inline(always)]
    pub(crate) fn start(self, row: usize) -> usize {
        (row / self.inner) * self.n * self.inner + row % self.inner
    }
}

kernel! {
    /// Cross-entropy of probabilities: v = −Σ tᵢ ln qᵢ, with q = clip(p / Σp) and t smoothed to t(1 − s) + s/n.
    pub fn categorical_crossentropy<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], v: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                sum += p[start + c * axis.inner];
            }
            *v = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let t = t[i] * (F::one() - smoothing) + floor;
                if t != F::zero() {
                    *v -= t * clip(p[i] / sum).0.ln();
                }
            }
        }
    }
}

kernel! {
    /// Backward of [`categorical_crossentropy`]. With aᵢ = tᵢ/qᵢ, or 0 where the clip acts, and S = Σp:
    /// ∂L/∂pₖ = w · (−aₖ/S + Σᵢ aᵢpᵢ / S²).
    pub fn categorical_crossentropy_backward<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, &w) in w.iter().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                sum += p[start + c * axis.inner];
            }
            let mut through_sum = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let (q, free) = clip(p[i] / sum);
                let a = if free { (t[i] * (F::one() - smoothing) + floor) / q } else { F::zero() };
                grad_p[i] = -w * a / sum;
                through_sum += a * p[i];
            }
            let through_sum = w * through_sum / (sum * sum);
            for c in 0..axis.n {
                grad_p[start + c * axis.inner] += through_sum;
            }
        }
    }
}

/// ln pᵢ of p = softmax(z): taken from z only where p has vanished. `row` keeps max z and ln Σ exp(z − max z), worked out once
/// for all of a row that have.
#[inline(always)]
fn log_softmax_at<F: Elementary, I: Instructions<F>>(
    axis: ClassAxis,
    start: usize,
    z: &[F],
    p: &[F],
    i: usize,
    row: &mut Option<(F, F)>,
) -> F {
    if p[i] >= F::min_positive_value() {
        return p[i].ln();
    }
    let (most, log_sum) = *row.get_or_insert_with(|| {
        let (most, sum) = log_sum_exp::<F, I>(axis, start, z);
        (most, sum.ln())
    });
    z[i] - most - log_sum
}

kernel! {
    /// [`categorical_crossentropy_logits`] where p = softmax(z) is known too.
    pub fn softmax_categorical_crossentropy<F, I>(axis: ClassAxis, smoothing: F, z: &[F], p: &[F], t: &[F], v: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, v) in v.iter_mut().enumerate() {
            let (start, mut of_row) = (axis.start(row), None);
            *v = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let t = t[i] * (F::one() - smoothing) + floor;
                if t != F::zero() {
                    *v -= t * log_softmax_at::<F, I>(axis, start, z, p, i, &mut of_row);
                }
            }
        }
    }
}

kernel! {
    /// The gradient of [`categorical_crossentropy_logits`] from p = softmax(z): ∂L/∂zₖ = w · (pₖ·Σᵢ tᵢ − tₖ).
    pub fn softmax_categorical_crossentropy_backward<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, &w) in w.iter().enumerate() {
            let start = axis.start(row);
            let mut total = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = t[i] * (F::one() - smoothing) + floor;
                total += grad_z[i];
            }
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = w * (p[i] * total - grad_z[i]);
            }
        }
    }
}

/// Rows of so many classes are worth the detour through vectors.
const LONG: usize = 64;

/// max z and Σ exp(z − max z) of one row.
#[inline(always)]
fn log_sum_exp<F: Elementary, I: Instructions<F>>(axis: ClassAxis, start: usize, z: &[F]) -> (F, F) {
    if axis.inner == 1 && axis.n >= LONG {
        return max_and_sum_of_exp::<F, I>(&z[start..start + axis.n]);
    }
    let row = || (0..axis.n).map(|c| z[start + c * axis.inner]);
    let most = row().fold(F::neg_infinity(), F::max);
    (most, row().map(|z| (z - most).exp_in::<I>()).sum())
}

kernel! {
    /// Cross-entropy of logits: v = −Σ tᵢ (zᵢ − ln Σ exp z), with t smoothed to t(1 − s) + s/n.
    pub fn categorical_crossentropy_logits<F, I>(axis: ClassAxis, smoothing: F, z: &[F], t: &[F], v: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let (most, sum) = log_sum_exp::<F, I>(axis, start, z);
            let log_sum = sum.ln_in::<I>();
            *v = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let t = t[i] * (F::one() - smoothing) + floor;
                if t != F::zero() {
                    *v -= t * (z[i] - most - log_sum);
                }
            }
        }
    }
}

kernel! {
    /// Backward of [`categorical_crossentropy_logits`]: ∂L/∂zₖ = w · (softmax(z)ₖ·Σᵢ tᵢ − tₖ).
    pub fn categorical_crossentropy_logits_backward<F, I>(axis: ClassAxis, smoothing: F, z: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        let floor = smoothing / F::of(axis.n as f64);
        for (row, &w) in w.iter().enumerate() {
            let start = axis.start(row);
            let (most, sum) = log_sum_exp::<F, I>(axis, start, z);
            let mut total = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = t[i] * (F::one() - smoothing) + floor;
                total += grad_z[i];
            }
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = w * ((z[i] - most).exp_in::<I>() / sum * total - grad_z[i]);
            }
        }
    }
}

/// The class that a label names; checked when the labels came in. Labels to be ignored name class 0 and weigh nothing.
#[inline(always)]
fn class<F: Scalar>(label: F, n: usize) -> usize {
    label.to_usize().filter(|&class| class < n).unwrap_or(0)
}

kernel! {
    /// Cross-entropy of probabilities and labels: v = −ln q_label + ln Σ q, with q = clip(p).
    pub fn sparse_crossentropy<F>(axis: ClassAxis, p: &[F], labels: &[F], v: &mut [F]) {
        for (row, (v, &label)) in v.iter_mut().zip(labels).enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                sum += clip(p[start + c * axis.inner]).0;
            }
            *v = sum.ln() - clip(p[start + class(label, axis.n) * axis.inner]).0.ln();
        }
    }
}

kernel! {
    /// Backward of [`sparse_crossentropy`]: ∂L/∂pₖ = w · (1/Σq − [k = label]/q_k), and 0 where the clip acts.
    pub fn sparse_crossentropy_backward<F>(axis: ClassAxis, p: &[F], labels: &[F], w: &[F], grad_p: &mut [F]) {
        for (row, (&w, &label)) in w.iter().zip(labels).enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                sum += clip(p[start + c * axis.inner]).0;
            }
            let label = class(label, axis.n);
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let (q, free) = clip(p[i]);
                let hit = if c == label { q.recip() } else { F::zero() };
                grad_p[i] = if free { w * (sum.recip() - hit) } else { F::zero() };
            }
        }
    }
}

kernel! {
    /// [`sparse_crossentropy_logits`] where p = softmax(z) is known too.
    pub fn softmax_sparse_crossentropy<F, I>(axis: ClassAxis, z: &[F], p: &[F], labels: &[F], v: &mut [F]) {
        for (row, (v, &label)) in v.iter_mut().zip(labels).enumerate() {
            let start = axis.start(row);
            let i = start + class(label, axis.n) * axis.inner;
            *v = -log_softmax_at::<F, I>(axis, start, z, p, i, &mut None);
        }
    }
}

kernel! {
    /// The gradient of [`sparse_crossentropy_logits`] from p = softmax(z): ∂L/∂zₖ = w · (pₖ − [k = label]).
    pub fn softmax_sparse_crossentropy_backward<F>(axis: ClassAxis, p: &[F], labels: &[F], w: &[F], grad_z: &mut [F]) {
        for (row, (&w, &label)) in w.iter().zip(labels).enumerate() {
            let start = axis.start(row);
            let label = class(label, axis.n);
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let hit = if c == label { F::one() } else { F::zero() };
                grad_z[i] = w * (p[i] - hit);
            }
        }
    }
}

kernel! {
    /// Cross-entropy of logits and labels: v = ln Σ exp z − z_label.
    pub fn sparse_crossentropy_logits<F, I>(axis: ClassAxis, z: &[F], labels: &[F], v: &mut [F]) {
        for (row, (v, &label)) in v.iter_mut().zip(labels).enumerate() {
            let start = axis.start(row);
            let (most, sum) = log_sum_exp::<F, I>(axis, start, z);
            *v = sum.ln_in::<I>() - (z[start + class(label, axis.n) * axis.inner] - most);
        }
    }
}

kernel! {
    /// Backward of [`sparse_crossentropy_logits`]: ∂L/∂zₖ = w · (softmax(z)ₖ − [k = label]).
    pub fn sparse_crossentropy_logits_backward<F, I>(axis: ClassAxis, z: &[F], labels: &[F], w: &[F], grad_z: &mut [F]) {
        for (row, (&w, &label)) in w.iter().zip(labels).enumerate() {
            let start = axis.start(row);
            let (most, sum) = log_sum_exp::<F, I>(axis, start, z);
            let label = class(label, axis.n);
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let hit = if c == label { F::one() } else { F::zero() };
                grad_z[i] = w * ((z[i] - most).exp_in::<I>() / sum - hit);
            }
        }
    }
}

kernel! {
    /// Binary cross-entropy of probabilities: v = −1/n Σ (t ln q + (1 − t) ln(1 − q)), with q = clip(p) and t smoothed
    /// to t(1 − s) + s/2.
    pub fn binary_crossentropy<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], v: &mut [F]) {
        let half = smoothing / F::of(2.0);
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let (q, t) = (clip(p[i]).0, t[i] * (F::one() - smoothing) + half);
                sum += t * q.ln() + (F::one() - t) * (F::one() - q).ln();
            }
            *v = -sum / F::of(axis.n as f64);
        }
    }
}

kernel! {
    /// Backward of [`binary_crossentropy`]: ∂L/∂p = w/n · (q − t) / (q(1 − q)), and 0 where the clip acts.
    pub fn binary_crossentropy_backward<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        let half = smoothing / F::of(2.0);
        for (row, &w) in w.iter().enumerate() {
            let (start, w) = (axis.start(row), w / F::of(axis.n as f64));
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let ((q, free), t) = (clip(p[i]), t[i] * (F::one() - smoothing) + half);
                grad_p[i] = if free { w * ((F::one() - t) / (F::one() - q) - t / q) } else { F::zero() };
            }
        }
    }
}

kernel! {
    /// The gradient of [`binary_crossentropy_logits`] from p = σ(z): ∂L/∂z = w/n · (p − t).
    pub fn sigmoid_binary_crossentropy_backward<F>(axis: ClassAxis, smoothing: F, p: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        let half = smoothing / F::of(2.0);
        for (row, &w) in w.iter().enumerate() {
            let (start, w) = (axis.start(row), w / F::of(axis.n as f64));
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = w * (p[i] - (t[i] * (F::one() - smoothing) + half));
            }
        }
    }
}

kernel! {
    /// Binary cross-entropy of logits: v = 1/n Σ (max(z, 0) − z·t + ln(1 + exp(−|z|))).
    pub fn binary_crossentropy_logits<F>(axis: ClassAxis, smoothing: F, z: &[F], t: &[F], v: &mut [F]) {
        let half = smoothing / F::of(2.0);
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let (z, t) = (z[i], t[i] * (F::one() - smoothing) + half);
                sum += z.max(F::zero()) - z * t + (-z.abs()).exp().ln_1p();
            }
            *v = sum / F::of(axis.n as f64);
        }
    }
}

kernel! {
    /// Backward of [`binary_crossentropy_logits`]: ∂L/∂z = w/n · (σ(z) − t).
    pub fn binary_crossentropy_logits_backward<F>(axis: ClassAxis, smoothing: F, z: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        let half = smoothing / F::of(2.0);
        for (row, &w) in w.iter().enumerate() {
            let (start, w) = (axis.start(row), w / F::of(axis.n as f64));
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_z[i] = w * (z[i].sigmoid() - (t[i] * (F::one() - smoothing) + half));
            }
        }
    }
}
