//! Losses that look at one value of the prediction p and the target t at a time, each with its derivative.
//!
//! A row is a run of `n` values; its value v is the mean of theirs (for the divergences of Kullback and Leibler the sum),
//! and in the backward pass it has one weight w.

use super::dispatch::kernel;
use crate::Scalar;

/// What keeps logarithms and quotients from 0, as in Keras.
const EPSILON: f64 = 1e-7;

/// Declares the losses: value and ∂value/∂p of one place beside one another.
macro_rules! pointwise {
    ($($(#[$meta:meta])* $name:ident $({ $($(#[$field_meta:meta])* $field:ident),* })?: |$p:ident, $t:ident| $value:expr, $derivative:expr;)*) => {
        /// Which loss, with its numbers.
        #[derive(Clone, Copy, Debug)]
        pub enum Pointwise<F> {
            $($(#[$meta])* $name $({ $($(#[$field_meta])* $field: F),* })?),*
        }

        kernel! { memory_bound:
            /// v = 1/n · Σ value(p, t) over each row.
            pub fn pointwise<F>(loss: Pointwise<F>, p: &[F], t: &[F], n: usize, v: &mut [F]) {
                let scale = loss.scale(n);
                match loss {
                    $(Pointwise::$name $({ $($field),* })? => rows(p, t, n, scale, v, |$p, $t| $value),)*
                }
            }
        }

        kernel! { memory_bound:
            /// Backward of [`pointwise`]: ∂L/∂p = w/n · ∂value/∂p.
            pub fn pointwise_backward<F>(loss: Pointwise<F>, p: &[F], t: &[F], n: usize, w: &[F], grad_p: &mut [F]) {
                let scale = loss.scale(n);
                #[allow(unused_variables)] // not every derivative depends on everything that the value does
                match loss {
                    $(Pointwise::$name $({ $($field),* })? => rows_back(p, t, n, scale, w, grad_p, |$p, $t| $derivative),)*
                }
            }
        }
    };
}

pointwise! {
    /// (p − t)²
    SquaredError: |p, t| (p - t) * (p - t), F::of(2.0) * (p - t);
    /// |p − t|, with the derivative 0 at p = t.
    AbsoluteError: |p, t| (p - t).abs(), sign(p - t);
    /// 100·|p − t| / max(|t|, ε)
    PercentageError:
        |p, t| F::of(100.0) * ((p - t) / t.abs().max(F::of(EPSILON))).abs(),
        F::of(100.0) * sign(p - t) / t.abs().max(F::of(EPSILON));
    /// (ln(1 + max(p, ε)) − ln(1 + max(t, ε)))²
    SquaredLogError:
        |p, t| { let d = log_ratio(p, t); d * d },
        if p >= F::of(EPSILON) { F::of(2.0) * log_ratio(p, t) / (F::one() + p) } else { F::zero() };
    /// ½e² where |e| ≤ δ, else δ|e| − ½δ², with e = p − t.
    Huber {
        /// δ, where the parabola becomes a line.
        delta
    }:
        |p, t| {
            let e = (p - t).abs();
            let half = F::of(0.5);
            if e <= delta { half * e * e } else { delta * e - half * delta * delta }
        },
        { let e = p - t; if e.abs() <= delta { e } else { delta * sign(e) } };
    /// ln cosh(p − t), with the derivative tanh(p − t).
    LogCosh:
        |p, t| { let e = (p - t).abs(); e + (F::of(-2.0) * e).exp().ln_1p() - F::of(std::f64::consts::LN_2) },
        (p - t).tanh();
    /// p − t·ln(p + ε)
    Poisson:
        |p, t| p - t * (p + F::of(EPSILON)).ln(),
        F::one() - t / (p + F::of(EPSILON));
    /// t·ln(t/p), both clipped to ε..=1; no derivative where the clip acts on p.
    KlDivergence:
        |p, t| { let t = to_unit(t); t * (t / to_unit(p)).ln() },
        if p >= F::of(EPSILON) && p <= F::one() { -to_unit(t) / p } else { F::zero() };
    /// t·(ln t − p), where p is the logarithm of a probability; 0 for t = 0.
    KlOfLog: |p, t| if t == F::zero() { F::zero() } else { t * (t.ln() - p) }, -t;
    /// exp(t)·(t − p), where both are logarithms of probabilities.
    KlOfLogs: |p, t| t.exp() * (t - p), -t.exp();
    /// ½e²/β where |e| < β, else |e| − ½β, with e = p − t.
    SmoothAbsoluteError {
        /// β, where the parabola becomes a line.
        beta
    }:
        |p, t| {
            let e = (p - t).abs();
            let half = F::of(0.5);
            if e < beta { half * e * e / beta } else { e - half * beta }
        },
        { let e = p - t; if e.abs() < beta { e / beta } else { sign(e) } };
    /// exp(p) − t·p + full·s(t), for the logarithm p of a Poisson distribution's mean.
    PoissonOfLog {
        /// 1 with Stirling's s(t), else 0.
        full
    }:
        |p, t| p.exp() - t * p + full * stirling(t),
        p.exp() - t;
    /// p − t·ln(p + ε) + full·s(t), for a Poisson distribution's mean p.
    PoissonOfMean {
        /// ε, which keeps the logarithm finite.
        epsilon,
        /// As in [`Pointwise::PoissonOfLog`].
        full
    }:
        |p, t| p - t * (p + epsilon).ln() + full * stirling(t),
        F::one() - t / (p + epsilon);
    /// −t·ln p − (1 − t)·ln(1 − p), with logarithms of at least −100.
    Bernoulli:
        |p, t| -(t * floored_ln(p) + (F::one() - t) * floored_ln(F::one() - p)),
        (p - t) / (p * (F::one() - p)).max(F::of(1e-12));
    /// p for t = 1, max(margin − p, 0) for t = −1.
    HingeEmbedding {
        /// How far apart unlike pairs should be.
        margin
    }:
        |p, t| if t > F::zero() { p } else { (margin - p).max(F::zero()) },
        if t > F::zero() { F::one() } else if p <= margin { -F::one() } else { F::zero() };
    /// max(1 − s·p, 0), with the sign s = scale·t + shift.
    Hinge {
        /// 2 for targets 0 and 1, else 1.
        scale,
        /// −1 for targets 0 and 1, else 0.
        shift
    }:
        |p, t| (F::one() - (scale * t + shift) * p).max(F::zero()),
        { let s = scale * t + shift; if s * p <= F::one() { -s } else { F::zero() } };
    /// max(1 − s·p, 0)², with s as in [`Pointwise::Hinge`].
    SquaredHinge {
        /// As in [`Pointwise::Hinge`].
        scale,
        /// As in [`Pointwise::Hinge`].
        shift
    }:
        |p, t| { let gap = (F::one() - (scale * t + shift) * p).max(F::zero()); gap * gap },
        { let s = scale * t + shift; F::of(-2.0) * s * (F::one() - s * p).max(F::zero()) };
}

impl<F: Scalar> Pointwise<F> {
    #[inline(always)]
    fn scale(self, n: usize) -> F {
        let summed = matches!(self, Self::KlDivergence | Self::KlOfLog | Self::KlOfLogs);
        if summed { F::one() } else { F::one() / F::of(n as f64) }
    }
}

/// The sign of x, 0 for 0, NaN for NaN.
#[inline(always)]
fn sign<F: Scalar>(x: F) -> F {
    if x > F::zero() {
        F::one()
    } else if x < F::zero() {
        -F::one()
    } else {
        x
    }
}

#[inline(always)]
fn log_ratio<F: Scalar>(p: F, t: F) -> F {
    p.max(F::of(EPSILON)).ln_1p() - t.max(F::of(EPSILON)).ln_1p()
}

/// Stirling's approximation of ln t!, t·ln t − t + ½·ln(2πt), and 0 up to t = 1.
#[inline(always)]
fn stirling<F: Scalar>(t: F) -> F {
    if t > F::one() { t * t.ln() - t + F::of(0.5) * (F::of(std::f64::consts::TAU) * t).ln() } else { F::zero() }
}

#[inline(always)]
fn floored_ln<F: Scalar>(p: F) -> F {
    p.ln().max(F::of(-100.0))
}

#[inline(always)]
fn to_unit<F: Scalar>(x: F) -> F {
    x.max(F::of(EPSILON)).min(F::one())
}

#[inline(always)]
fn rows<F: Scalar>(p: &[F], t: &[F], n: usize, scale: F, v: &mut [F], value: impl Fn(F, F) -> F) {
    for ((v, p), t) in v.iter_mut().zip(p.chunks_exact(n.max(1))).zip(t.chunks_exact(n.max(1))) {
        *v = scale * p.iter().zip(t).map(|(&p, &t)| value(p, t)).sum::<F>();
    }
}

#[inline(always)]
fn rows_back<F: Scalar>(
    p: &[F],
    t: &[F],
    n: usize,
    scale: F,
    w: &[F],
    grad_p: &mut [F],
    derivative: impl Fn(F, F) -> F,
) {
    for (row, &w) in w.iter().enumerate() {
        let (cells, w) = (row * n..(row + 1) * n, w * scale);
        for ((grad, &p), &t) in grad_p[cells.clone()].iter_mut().zip(&p[cells.clone()]).zip(&t[cells]) {
            *grad = w * derivative(p, t);
        }
    }
}
