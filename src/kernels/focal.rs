//! Focal cross-entropies: what is predicted well counts little.

use super::dispatch::kernel;
use super::losses::{ClassAxis, clip};
use crate::Scalar;

/// The numbers of a focal loss.
#[derive(Clone, Copy, Debug)]
pub struct Focal<F> {
    /// How strongly easy examples are played down.
    pub gamma: F,
    /// The factor of the loss, or of the positive class with `balanced`.
    pub alpha: F,
    /// Whether classes are weighted α and 1 − α.
    pub balanced: bool,
    /// How far targets are drawn to the middle.
    pub smoothing: F,
    /// Whether predictions are logits.
    pub from_logits: bool,
}

/// Value and derivative by the probability p of one yes-or-no answer.
#[inline(always)]
fn binary<F: Scalar>(of: Focal<F>, p: F, t: F) -> (F, F) {
    let one = F::one();
    let t = t * (one - of.smoothing) + of.smoothing / F::of(2.0);
    let (q, free) = clip(p);
    let entropy = -(t * q.ln() + (one - t) * (one - q).ln());
    let entropy_derivative = if free { (one - t) / (one - q) - t / q } else { F::zero() };
    let miss = one - (t * p + (one - t) * (one - p));
    let (factor, factor_derivative) =
        (miss.powf(of.gamma), of.gamma * miss.powf(of.gamma - one) * (one - F::of(2.0) * t));
    let weight = if of.balanced { t * of.alpha + (one - t) * (one - of.alpha) } else { one };
    (weight * factor * entropy, weight * (factor * entropy_derivative + factor_derivative * entropy))
}

kernel! { memory_bound:
    /// v = 1/n · Σ a·m^γ·H(t, p), with the miss m = 1 − (t·p + (1 − t)(1 − p)), the binary cross-entropy H, and a = 1 or,
    /// balanced, t·α + (1 − t)(1 − α).
    pub fn binary_focal<F>(axis: ClassAxis, of: Focal<F>, p: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            let start = axis.start(row);
            let mut sum = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                sum += binary(of, if of.from_logits { p[i].sigmoid() } else { p[i] }, t[i]).0;
            }
            *v = sum / F::of(axis.n as f64);
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`binary_focal`], by the product rule; from logits times ∂σ/∂z = p(1 − p).
    pub fn binary_focal_backward<F>(axis: ClassAxis, of: Focal<F>, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let (start, w) = (axis.start(row), w / F::of(axis.n as f64));
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let chance = if of.from_logits { p[i].sigmoid() } else { p[i] };
                let inner = if of.from_logits { chance * (F::one() - chance) } else { F::one() };
                grad_p[i] = w * inner * binary(of, chance, t[i]).1;
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

/// Value and derivative of one class by its probability o = p/Σp, after clipping.
#[inline(always)]
fn categorical<F: Scalar>(of: Focal<F>, classes: usize, o: F, t: F) -> (F, F) {
    let one = F::one();
    let t = t * (one - of.smoothing) + of.smoothing / F::of(classes as f64);
    let (q, free) = clip(o);
    let (miss, log) = (one - q, q.ln());
    let factor = of.alpha * miss.powf(of.gamma);
    let derivative = t * (of.alpha * of.gamma * miss.powf(of.gamma - one) * log - factor / q);
    (-t * factor * log, if free { derivative } else { F::zero() })
}

kernel! { memory_bound:
    /// v = −α · Σ t·(1 − q)^γ·ln q, with q = clip(p/Σp); `classes` is the number of classes that smoothing divides by.
    pub fn categorical_focal<F>(axis: ClassAxis, classes: usize, of: Focal<F>, p: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            let (start, most, sum) = total(axis, row, of.from_logits, p);
            *v = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let p = if of.from_logits { (p[i] - most).exp() } else { p[i] };
                *v += categorical(of, classes, p / sum, t[i]).0;
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`categorical_focal`]. With gᵢ the derivative by oᵢ = pᵢ/S and S = Σp: ∂L/∂pₖ = w/S·(gₖ − Σᵢ gᵢoᵢ);
    /// from logits ∂L/∂zₖ = w·oₖ·(gₖ − Σᵢ gᵢoᵢ).
    pub fn categorical_focal_backward<F>(axis: ClassAxis, classes: usize, of: Focal<F>, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let (start, most, sum) = total(axis, row, of.from_logits, p);
            let mut mean = F::zero();
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let o = if of.from_logits { (p[i] - most).exp() } else { p[i] } / sum;
                let derivative = categorical(of, classes, o, t[i]).1;
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
