//! Focal cross-entropies: what is predicted well counts little.

use super::dispatch::kernel;
use super::losses::{ClassAxis, clip};
use crate::Scalar;

/// The numbers of a focal loss.
#[derive(Clone, Copy, Debug)]
pub struct Focal<F> {
    /// How strongly easy examples are played down.
    pub gamma: F,
    /// The factor of the positive class with `balanced`.
    pub alpha: F,
    /// Whether classes are weighted α and 1 − α.
    pub balanced: bool,
    /// How far targets are drawn to the middle.
    pub smoothing: F,
    /// Whether predictions are logits.
    pub from_logits: bool,
}

/// m^γ and its derivative by m, for a miss m of what is predicted with the cross-entropy H: where m vanishes, so does
/// m^(γ−1)·H for γ > 0, as H does.
#[inline(always)]
fn factor<F: Scalar>(gamma: F, miss: F) -> (F, F) {
    let derivative = if miss > F::zero() { gamma * miss.powf(gamma - F::one()) } else { F::zero() };
    (miss.powf(gamma), derivative)
}

/// Value and derivative by the probability p of one yes-or-no answer.
#[inline(always)]
fn binary<F: Scalar>(of: Focal<F>, p: F, t: F) -> (F, F) {
    let one = F::one();
    let (q, free) = clip(p);
    let entropy = -(t * q.ln() + (one - t) * (one - q).ln());
    let entropy_derivative = if free { (one - t) / (one - q) - t / q } else { F::zero() };
    let miss = t * (one - p) + (one - t) * p;
    let (factor, mut factor_derivative) = factor(of.gamma, miss);
    // What is clipped and right costs nothing: the entropy there is the clip's, not the answer's.
    if !free && miss < F::of(0.5) {
        factor_derivative = F::zero();
    }
    let derivative = factor * entropy_derivative + factor_derivative * (one - F::of(2.0) * t) * entropy;
    (factor * entropy, derivative)
}

/// Value and derivative by the logit z of one yes-or-no answer, without a clip. With p = σ(z) and 1 − p = σ(−z) each exact,
/// ∂m/∂z = (1 − 2t)·p(1 − p) and ∂H/∂z = p − t.
#[inline(always)]
fn binary_logit<F: Scalar>(of: Focal<F>, z: F, t: F) -> (F, F) {
    let one = F::one();
    let (p, not_p) = (z.sigmoid(), (-z).sigmoid());
    let entropy = z.max(F::zero()) - z * t + (-z.abs()).exp().ln_1p();
    let entropy_derivative = (one - t) * p - t * not_p;
    let miss = t * not_p + (one - t) * p;
    let factor = miss.powf(of.gamma);
    // γ·m^(γ−1)·∂m/∂z as γ·m^γ·(∂m/∂z / m): the quotient stays between −1 and 1.
    let quotient = if miss > F::zero() { (one - F::of(2.0) * t) * ((p * not_p) / miss) } else { F::zero() };
    (factor * entropy, factor * (entropy_derivative + of.gamma * quotient * entropy))
}

/// Value and derivative of one answer, by p or by z, with smoothing and the weight of its class.
#[inline(always)]
fn weighted<F: Scalar>(of: Focal<F>, p: F, t: F) -> (F, F) {
    let one = F::one();
    let t = t * (one - of.smoothing) + of.smoothing / F::of(2.0);
    let weight = if of.balanced { t * of.alpha + (one - t) * (one - of.alpha) } else { one };
    let (value, derivative) = if of.from_logits { binary_logit(of, p, t) } else { binary(of, p, t) };
    (weight * value, weight * derivative)
}

kernel! { memory_bound:
    /// v = 1/n · Σ a·m^γ·H(t, p), with the miss m = t(1 − p) + (1 − t)p, the binary cross-entropy H, and a = 1 or,
    /// balanced, t·α + (1 − t)(1 − α).
    pub fn binary_focal<F>(axis: ClassAxis, of: Focal<F>, p: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                sum += weighted(of, p[i], t[i]).0;
            }
            *v = sum / F::of(axis.n as f64);
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`binary_focal`], by the product rule.
    pub fn binary_focal_backward<F>(axis: ClassAxis, of: Focal<F>, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let (start, w) = (axis.start(row), w / F::of(axis.n as f64));
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                grad_p[i] = w * weighted(of, p[i], t[i]).1;
            }
        }
    }
}

/// Where a row starts, its largest logit, and the sum that makes its values probabilities.
#[inline(always)]
fn total<F: Scalar>(axis: ClassAxis, row: usize, from_logits: bool, p: &[F]) -> (usize, F, F) {
    let start = axis.start(row);
    let (mut most, mut sum) = (F::zero(), F::zero());
    if from_logits {
        most = (0..axis.n).fold(F::neg_infinity(), |most, c| most.max(p[start + c * axis.inner]));
    }
    for c in 0..axis.n {
        let p = p[start + c * axis.inner];
        sum += if from_logits { (p - most).exp() } else { p };
    }
    (start, most, sum)
}

/// The factor of class number `c`.
#[inline(always)]
fn alpha<F: Scalar>(alphas: &[f64], c: usize) -> F {
    F::of(alphas[if alphas.len() == 1 { 0 } else { c }])
}

/// Value and derivative of one class by its probability o = p/Σp, after clipping.
#[inline(always)]
fn categorical<F: Scalar>(of: Focal<F>, alpha: F, classes: usize, o: F, t: F) -> (F, F) {
    let one = F::one();
    let t = t * (one - of.smoothing) + of.smoothing / F::of(classes as f64);
    let (q, free) = clip(o);
    let (miss, log) = (one - q, q.ln());
    let factor = alpha * miss.powf(of.gamma);
    let derivative = t * (alpha * of.gamma * miss.powf(of.gamma - one) * log - factor / q);
    (-t * factor * log, if free { derivative } else { F::zero() })
}

kernel! { memory_bound:
    /// v = −Σ α·t·(1 − q)^γ·ln q, with q = clip(p/Σp) and `alphas` one for all classes or one for each; `classes` is the number
    /// of classes that smoothing divides by.
    pub fn categorical_focal<F>(axis: ClassAxis, classes: usize, of: Focal<F>, alphas: &[f64], p: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            let (start, most, sum) = total(axis, row, of.from_logits, p);
            *v = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let p = if of.from_logits { (p[i] - most).exp() } else { p[i] };
                *v += categorical(of, alpha(alphas, c), classes, p / sum, t[i]).0;
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`categorical_focal`]. With gᵢ the derivative by oᵢ = pᵢ/S and S = Σp: ∂L/∂pₖ = w/S·(gₖ − Σᵢ gᵢoᵢ);
    /// from logits ∂L/∂zₖ = w·oₖ·(gₖ − Σᵢ gᵢoᵢ).
    pub fn categorical_focal_backward<F>(
        axis: ClassAxis,
        classes: usize,
        of: Focal<F>,
        alphas: &[f64],
        p: &[F],
        t: &[F],
        w: &[F],
        grad_p: &mut [F],
    ) {
        for (row, &w) in w.iter().enumerate() {
            let (start, most, sum) = total(axis, row, of.from_logits, p);
            let mut mean = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let o = if of.from_logits { (p[i] - most).exp() } else { p[i] } / sum;
                let derivative = categorical(of, alpha(alphas, c), classes, o, t[i]).1;
                mean += derivative * o;
                grad_p[i] = derivative;
            }
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let inner = if of.from_logits { (p[i] - most).exp() } else { F::one() } / sum;
                grad_p[i] = w * inner * (grad_p[i] - mean);
            }
        }
    }
}
