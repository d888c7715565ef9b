//! Losses of a whole row at once: the categorical hinge, and the angle between two vectors.

use super::dispatch::kernel;
use super::losses::ClassAxis;
use crate::Scalar;

/// The smallest norm that a vector is divided by, as in Keras.
const EPSILON: f64 = 1e-7;

/// The best score of the other classes, max (1 − t)p, and how much it leads by: it − Σ t·p + 1.
#[inline(always)]
fn lead<F: Scalar>(p: &[F], t: &[F]) -> (F, F) {
    let (mut best, mut own) = (F::neg_infinity(), F::zero());
    for (&p, &t) in p.iter().zip(t) {
        best = best.max((F::one() - t) * p);
        own += t * p;
    }
    (best, best - own + F::one())
}

kernel! { memory_bound:
    /// v = max(max (1 − t)p − Σ t·p + 1, 0), over rows of `n`.
    pub fn categorical_hinge<F>(p: &[F], t: &[F], n: usize, v: &mut [F]) {
        for ((v, p), t) in v.iter_mut().zip(p.chunks_exact(n.max(1))).zip(t.chunks_exact(n.max(1))) {
            *v = lead(p, t).1.max(F::zero());
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`categorical_hinge`]: where v > 0, ∂L/∂p = w·(−t + (1 − t)/m for each of the m best others).
    pub fn categorical_hinge_backward<F>(p: &[F], t: &[F], n: usize, w: &[F], grad_p: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let cells = row * n..(row + 1) * n;
            let (p, t, grad) = (&p[cells.clone()], &t[cells.clone()], &mut grad_p[cells]);
            let (best, lead) = lead(p, t);
            let ties = p.iter().zip(t).filter(|&(&p, &t)| (F::one() - t) * p == best).count();
            let share = F::one() / F::of(ties.max(1) as f64);
            for ((grad, &p), &t) in grad.iter_mut().zip(p).zip(t) {
                let other = F::one() - t;
                let part = if other * p == best { other * share } else { F::zero() };
                *grad = if lead >= F::zero() { w * (part - t) } else { F::zero() };
            }
        }
    }
}

/// 1/‖p‖ and whether the norm is above the floor; 1/‖t‖; the cosine.
#[inline(always)]
fn cosine<F: Scalar>(axis: ClassAxis, row: usize, p: &[F], t: &[F]) -> (F, bool, F, F) {
    let start = axis.start(row);
    let (mut pp, mut tt, mut pt) = (F::zero(), F::zero(), F::zero());
    for c in 0..axis.n {
        let (p, t) = (p[start + c * axis.inner], t[start + c * axis.inner]);
        pp += p * p;
        tt += t * t;
        pt += p * t;
    }
    let floor = F::of(EPSILON);
    let (p_inverse, t_inverse) = (pp.sqrt().max(floor).recip(), tt.sqrt().max(floor).recip());
    (p_inverse, pp.sqrt() > floor, t_inverse, pt * p_inverse * t_inverse)
}

kernel! { memory_bound:
    /// v = −Σ p·t / (‖p‖·‖t‖)
    pub fn cosine_distance<F>(axis: ClassAxis, p: &[F], t: &[F], v: &mut [F]) {
        for (row, v) in v.iter_mut().enumerate() {
            *v = -cosine(axis, row, p, t).3;
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`cosine_distance`]: ∂L/∂p = −w/‖p‖ · (t/‖t‖ − cos·p/‖p‖).
    pub fn cosine_distance_backward<F>(axis: ClassAxis, p: &[F], t: &[F], w: &[F], grad_p: &mut [F]) {
        for (row, &w) in w.iter().enumerate() {
            let (p_inverse, above, t_inverse, cosine) = cosine(axis, row, p, t);
            let start = axis.start(row);
            for c in 0..axis.n {
                let i = start + c * axis.inner;
                let along = if above { cosine * p[i] * p_inverse } else { F::zero() };
                grad_p[i] = -w * p_inverse * (t[i] * t_inverse - along);
            }
        }
    }
}
