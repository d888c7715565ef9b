//! One update of a run of weights, in a single pass over weights, gradients and slots.

use super::dispatch::kernel;
use crate::Scalar;

kernel! {
    /// w ← w − rate·g
    pub fn sgd<F>(rate: F, w: &mut [F], g: &[F]) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w -= rate * g;
        }
    }
}

kernel! {
    /// m ← μ·m − rate·(1 − dampening)·g, then w ← w + m, or with Nesterov's look ahead w ← w + μ·m − rate·g.
    pub fn momentum<F>(rate: F, momentum: F, dampening: F, nesterov: bool, w: &mut [F], g: &[F], m: &mut [F]) {
        let own = rate * (F::one() - dampening);
        if nesterov {
            for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                *m = momentum * *m - own * g;
                *w += momentum * *m - rate * g;
            }
        } else {
            for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                *m = momentum * *m - own * g;
                *w += *m;
            }
        }
    }
}

/// The numbers of one step of Adam.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<F> {
    /// rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ)
    pub alpha: F,
    /// 1 − β₁
    pub one_less_beta_1: F,
    /// 1 − β₂
    pub one_less_beta_2: F,
    /// Stands beside the root.
    pub epsilon: F,
}

kernel! {
    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − α·m / (√v + ε)
    pub fn adam<F>(step: AdamStep<F>, w: &mut [F], g: &[F], m: &mut [F], v: &mut [F]) {
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            *m += (g - *m) * step.one_less_beta_1;
            *v += (g * g - *v) * step.one_less_beta_2;
            *w -= *m * step.alpha / (v.sqrt() + step.epsilon);
        }
    }
}

kernel! {
    /// [`adam`] with the largest v so far in the root.
    pub fn adam_amsgrad<F>(step: AdamStep<F>, w: &mut [F], g: &[F], m: &mut [F], v: &mut [F], largest: &mut [F]) {
        for ((((w, &g), m), v), largest) in w.iter_mut().zip(g).zip(m).zip(v).zip(largest) {
            *m += (g - *m) * step.one_less_beta_1;
            *v += (g * g - *v) * step.one_less_beta_2;
            *largest = if *v > *largest { *v } else { *largest };
            *w -= *m * step.alpha / (largest.sqrt() + step.epsilon);
        }
    }
}

/// The numbers of one step of `RMSprop`.
#[derive(Clone, Copy, Debug)]
pub struct RmsStep<F> {
    /// The learning rate.
    pub rate: F,
    /// The share of the old mean square that stays.
    pub rho: F,
    /// Keeps the root away from 0.
    pub epsilon: F,
    /// Whether epsilon stands inside the root.
    pub in_root: bool,
    /// The share of the last step that goes on.
    pub momentum: F,
}

impl<F: Scalar> RmsStep<F> {
    /// rate·g / √(x + ε), or with the epsilon outside rate·g / (√x + ε).
    #[inline(always)]
    fn scale(self, g: F, x: F) -> F {
        let root = if self.in_root { (x + self.epsilon).sqrt() } else { x.sqrt() + self.epsilon };
        self.rate * g / root
    }

    /// The running mean of g² moved on.
    #[inline(always)]
    fn mean(self, old: F, new: F) -> F {
        self.rho * old + (F::one() - self.rho) * new
    }
}

kernel! {
    /// v ← ρ·v + (1 − ρ)·g², w ← w − rate·g / √(v + ε)
    pub fn rmsprop<F>(step: RmsStep<F>, w: &mut [F], g: &[F], v: &mut [F]) {
        for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
            *v = step.mean(*v, g * g);
            *w -= step.scale(g, *v);
        }
    }
}

kernel! {
    /// [`rmsprop`] with momentum: m ← μ·m + rate·g / √(v + ε), w ← w − m.
    pub fn rmsprop_momentum<F>(step: RmsStep<F>, w: &mut [F], g: &[F], v: &mut [F], m: &mut [F]) {
        for (((w, &g), v), m) in w.iter_mut().zip(g).zip(v).zip(m) {
            *v = step.mean(*v, g * g);
            *m = step.momentum * *m + step.scale(g, *v);
            *w -= *m;
        }
    }
}

kernel! {
    /// [`rmsprop`] with the variance in the root: ḡ ← ρ·ḡ + (1 − ρ)·g, and v − ḡ² for v.
    pub fn rmsprop_centered<F>(step: RmsStep<F>, w: &mut [F], g: &[F], v: &mut [F], mean: &mut [F]) {
        for (((w, &g), v), mean) in w.iter_mut().zip(g).zip(v).zip(mean) {
            *v = step.mean(*v, g * g);
            *mean = step.mean(*mean, g);
            *w -= step.scale(g, *v - *mean * *mean);
        }
    }
}

kernel! {
    /// [`rmsprop_centered`] with momentum.
    pub fn rmsprop_centered_momentum<F>(step: RmsStep<F>, w: &mut [F], g: &[F], v: &mut [F], mean: &mut [F], m: &mut [F]) {
        for ((((w, &g), v), mean), m) in w.iter_mut().zip(g).zip(v).zip(mean).zip(m) {
            *v = step.mean(*v, g * g);
            *mean = step.mean(*mean, g);
            *m = step.momentum * *m + step.scale(g, *v - *mean * *mean);
            *w -= *m;
        }
    }
}
