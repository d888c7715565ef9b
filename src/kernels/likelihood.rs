//! Negative logarithms of likelihoods in PyTorch's conventions: classes with weights, yes-or-no answers, and normal
//! distributions.

use super::dispatch::{Instructions, kernel};
use super::math::Elementary;
use super::softmax::max_and_sum_of_exp;
use crate::Scalar;

/// What targets of [`nll`] are, and how they are weighed.
#[derive(Clone, Copy, Debug)]
pub struct ClassTargets<'a> {
    /// Whether a row of the target is a distribution over classes; else it is a label.
    pub soft: bool,
    /// How far targets are drawn to the uniform distribution, 0 to 1.
    pub smoothing: f64,
    /// The weight of each class; none means 1 each.
    pub class_weight: Option<&'a [f64]>,
}

impl ClassTargets<'_> {
    fn class_weight(&self, class: usize) -> f64 {
        self.class_weight.map_or(1.0, |weights| weights[class])
    }

    /// How much the logarithm of class c counts in a row: of a distribution a_c = w_c·((1 − s)·t_c + s/n), of a label t
    /// a_c = (1 − s)·\[c = t\] + s/n · w_c/w_t, since the row itself counts w_t times.
    #[inline(always)]
    fn coefficient<F: Scalar>(&self, n: usize, row: usize, class: usize, t: &[F]) -> F {
        let floor = self.smoothing / n as f64;
        if self.soft {
            F::of(self.class_weight(class)) * (t[row * n + class] * F::of(1.0 - self.smoothing) + F::of(floor))
        } else {
            // A label that is ignored names no class; its row weighs nothing.
            let Some(label) = t[row].to_usize().filter(|&label| label < n) else { return F::zero() };
            let hit = if class == label { 1.0 - self.smoothing } else { 0.0 };
            let smooth = if floor == 0.0 { 0.0 } else { floor * self.class_weight(class) / self.class_weight(label) };
            F::of(hit + smooth)
        }
    }
}

/// ln Σ exp z of one row; 0 for logarithms of probabilities, which are normalised already.
#[inline(always)]
fn normalizer<F: Elementary, I: Instructions<F>>(logits: bool, n: usize, row: usize, z: &[F]) -> F {
    if !logits {
        return F::zero();
    }
    let (most, sum) = max_and_sum_of_exp::<F, I>(&z[row * n..(row + 1) * n]);
    most + sum.ln_in::<I>()
}

kernel! { memory_bound:
    /// v = −Σ a_c·(z_c − ln Σ exp z) over rows of `n` logits, or of logarithms of probabilities, without the sum.
    pub fn nll<F, I>(targets: ClassTargets<'_>, logits: bool, n: usize, z: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            let log_sum = normalizer::<F, I>(logits, n, row, z);
            *v = F::zero();
            for class in 0..n {
                let a = targets.coefficient(n, row, class, t);
                if a != F::zero() {
                    *v -= a * (z[row * n + class] - log_sum);
                }
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`nll`]: ∂L/∂z_k = w·(softmax(z)_k·Σ a_c − a_k), or −w·a_k for logarithms of probabilities.
    pub fn nll_backward<F, I>(targets: ClassTargets<'_>, logits: bool, n: usize, z: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let mut total = F::zero();
            for class in 0..n {
                let a = targets.coefficient(n, row, class, t);
                grad_z[row * n + class] = -w * a;
                total += a;
            }
            if logits {
                let log_sum = normalizer::<F, I>(logits, n, row, z);
                for class in row * n..(row + 1) * n {
                    grad_z[class] += w * total * (z[class] - log_sum).exp_in::<I>();
                }
            }
        }
    }
}

/// The weight of answer i's class 1.
#[inline(always)]
fn answer_weight<F: Scalar>(pos_weight: &[f64], i: usize) -> F {
    if pos_weight.is_empty() { F::one() } else { F::of(pos_weight[i % pos_weight.len()]) }
}

kernel! { memory_bound:
    /// Of yes-or-no answers with logits z, where the answer yes weighs q (`pos_weight`, over and over; none means 1):
    /// v = (1 − t)·z + (1 + (q − 1)·t)·ln(1 + e^−z).
    pub fn bernoulli_logits<F>(pos_weight: &[f64], z: &[F], t: &[F], v: &mut [F]) {
        for (i, ((v, &z), &t)) in v.iter_mut().zip(z).zip(t).enumerate() {
            let weight = F::one() + (answer_weight::<F>(pos_weight, i) - F::one()) * t;
            *v = (F::one() - t) * z + weight * ((-z.abs()).exp().ln_1p() + (-z).max(F::zero()));
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`bernoulli_logits`]: ∂L/∂z = w·(1 − t − (1 + (q − 1)·t)·σ(−z)).
    pub fn bernoulli_logits_backward<F>(pos_weight: &[f64], z: &[F], t: &[F], w: &[F], grad_z: &mut [F]) {
        for (i, (((grad, &w), &z), &t)) in grad_z.iter_mut().zip(w).zip(z).zip(t).enumerate() {
            let weight = F::one() + (answer_weight::<F>(pos_weight, i) - F::one()) * t;
            *grad = w * (F::one() - t - weight * (-z).sigmoid());
        }
    }
}

kernel! { memory_bound:
    /// Of normal distributions, a row of `n` means μ and then `n` variances: with σ² = max(variance, ε),
    /// v = ½·(ln σ² + (μ − t)²/σ²) + constant.
    pub fn gaussian<F>(epsilon: F, constant: F, n: usize, p: &[F], t: &[F], v: &mut [F]) {
        for ((v, p), t) in v.chunks_exact_mut(n.max(1)).zip(p.chunks_exact(2 * n.max(1))).zip(t.chunks_exact(n.max(1))) {
            let (means, variances) = p.split_at(n);
            for i in 0..n {
                let (error, variance) = (means[i] - t[i], variances[i].max(epsilon));
                v[i] = F::of(0.5) * (variance.ln() + error * error / variance) + constant;
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`gaussian`]: ∂L/∂μ = w·(μ − t)/σ², ∂L/∂σ² = w·½·(1 − (μ − t)²/σ²)/σ². The gradient passes the floor
    /// of the variance, as in PyTorch, so that a variance below it can recover.
    pub fn gaussian_backward<F>(epsilon: F, n: usize, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        if n == 0 {
            return;
        }
        for (((grad, p), t), w) in
            grad_p.chunks_exact_mut(2 * n).zip(p.chunks_exact(2 * n)).zip(t.chunks_exact(n)).zip(w.chunks_exact(n))
        {
            for i in 0..n {
                let (error, variance) = (p[i] - t[i], p[n + i].max(epsilon));
                grad[i] = w[i] * error / variance;
                grad[n + i] = w[i] * F::of(0.5) * (F::one() - error * error / variance) / variance;
            }
        }
    }
}
