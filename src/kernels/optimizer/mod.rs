//! Updates of weights from gradients, each one pass over its slices.
//!
//! w: weights, g: gradients; slots (m, v …) are the optimizer's own state, zero at first. All slices of a call have the
//! length of `w`. What depends on the step but not on the element (bias correction, a schedule) comes in as a number.
//!
//! A mean of gradients that have vanished (a unit that is dead, a batch known by heart) shrinks step by step into the
//! subnormal numbers and stays there, and some processors take many times as long for each of them. So means and
//! gradients too small to move a weight are taken for 0: below 2⁻⁵⁶ ≈ 10⁻¹⁷ in `f32`, their squares below 2⁻¹¹². (TensorFlow
//! and JAX take all subnormal numbers for 0.)

mod adafactor;
mod muon;

pub use adafactor::{AdafactorStep, adafactor, adafactor_factored};
pub use muon::{MuonStep, muon, muon_scratch};

use super::dispatch::kernel;
use super::math::select;

/// What gradients must reach to count: even their squares, times a factor of 2⁻¹⁴, are then no subnormal numbers.
#[inline(always)]
fn least<F: crate::Scalar>() -> F {
    F::min_positive_value().sqrt() * F::of(128.0)
}

/// x, or 0 where |x| is below the least that counts.
#[inline(always)]
fn unless_vanished<F: crate::Scalar>(x: F, least: F) -> F {
    select(x.abs() < least, F::zero(), x)
}

/// x ← x + (to − x)·rest: the mean of what comes in, the last one counting `rest`.
#[inline(always)]
fn move_mean<F: crate::Scalar>(mean: &mut F, to: F, rest: F, least: F) {
    *mean = unless_vanished(*mean + (to - *mean) * rest, least);
}

kernel! {
    /// Stochastic gradient descent: w ← w − rate·g
    pub fn sgd<F, I>(w: &mut [F], g: &[F], rate: F) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w -= rate * g;
        }
    }
}

kernel! {
    /// Gradient descent with momentum: v ← momentum·v + a·g, then w ← w + b·v,
    /// or with Nesterov's look-ahead w ← w + b·(momentum·v + a·g).
    ///
    /// | convention | a | b |
    /// | --- | --- | --- |
    /// | Keras: the rate is inside the velocity | −rate | 1 |
    /// | PyTorch: outside of it | 1 − dampening (1 in the first step) | −rate |
    pub fn sgd_momentum<F, I>(w: &mut [F], g: &[F], v: &mut [F], momentum: F, a: F, b: F, nesterov: bool) {
        let least = least::<F>();
        if nesterov {
            for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                *v = unless_vanished(momentum * *v + a * g, least);
                *w += b * (momentum * *v + a * g);
            }
        } else {
            for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                *v = unless_vanished(momentum * *v + a * g, least);
                *w += b * *v;
            }
        }
    }
}

/// The numbers of one Adam step.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<F> {
    /// 1 − β₁, the share of the new gradient in the mean. Taken in f64: 1 − 0.999 in f32 is off by 5·10⁻⁵.
    pub rest_1: F,
    /// 1 − β₂, the share of its square in theirs.
    pub rest_2: F,
    /// rate·√(1 − β₂ᵗ)/(1 − β₁ᵗ) in step t = 1, 2, …: the bias of both means corrected in one number.
    pub alpha: F,
    /// Keras: ε itself. PyTorch adds ε after bias correction: ε·√(1 − β₂ᵗ).
    pub epsilon: F,
    /// rate·weight_decay for a decay apart from the gradient (`AdamW`), else 0.
    pub decay: F,
}

kernel! {
    /// Adam: m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂), then w ← w − decay·w − α·m / (√v + ε).
    pub fn adam<F, I>(w: &mut [F], g: &[F], m: &mut [F], v: &mut [F], step: AdamStep<F>) {
        let least = least::<F>();
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = unless_vanished(g, least);
            move_mean(m, g, step.rest_1, least);
            move_mean(v, g * g, step.rest_2, least * least);
            *w = *w - step.decay * *w - *m * step.alpha / (v.sqrt() + step.epsilon);
        }
    }
}

kernel! {
    /// AMSGrad: [`adam`] with the largest v so far in its place, v̂ ← max(v̂, v).
    pub fn adam_amsgrad<F, I>(w: &mut [F], g: &[F], m: &mut [F], v: &mut [F], v_hat: &mut [F], step: AdamStep<F>) {
        let least = least::<F>();
        for ((((w, &g), m), v), v_hat) in w.iter_mut().zip(g).zip(m).zip(v).zip(v_hat) {
            let g = unless_vanished(g, least);
            move_mean(m, g, step.rest_1, least);
            move_mean(v, g * g, step.rest_2, least * least);
            *v_hat = select(*v > *v_hat, *v, *v_hat);
            *w = *w - step.decay * *w - *m * step.alpha / (v_hat.sqrt() + step.epsilon);
        }
    }
}

/// The numbers of one step of RMSprop.
#[derive(Clone, Copy, Debug)]
pub struct RmsPropStep<F> {
    /// The decay ρ of the mean of squares.
    pub rho: F,
    /// The constant ε that keeps the root from 0.
    pub epsilon: F,
    /// Keras: false, √(v + ε). PyTorch: true, √v + ε.
    pub epsilon_outside_root: bool,
    /// a, the factor of the scaled gradient. Keras: the rate. PyTorch, whose momentum is free of the rate: 1.
    pub a: F,
    /// b, the factor of the step. Keras: 1. PyTorch: the rate.
    pub b: F,
}

/// The larger divisor: √(v + ε) or √v + ε.
#[inline(always)]
fn root<F: crate::Scalar>(v: F, step: &RmsPropStep<F>) -> F {
    if step.epsilon_outside_root { v.sqrt() + step.epsilon } else { (v + step.epsilon).sqrt() }
}

kernel! {
    /// RMSprop: v ← ρ·v + (1 − ρ)·g², then w ← w − b·a·g / √(v + ε).
    pub fn rmsprop<F, I>(w: &mut [F], g: &[F], v: &mut [F], step: RmsPropStep<F>) {
        let (rest, least) = (F::one() - step.rho, least::<F>());
        for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
            let g = unless_vanished(g, least);
            *v = unless_vanished(step.rho * *v + rest * (g * g), least * least);
            *w -= step.b * (step.a * g / root(*v, &step));
        }
    }
}

kernel! {
    /// RMSprop with momentum: v as in [`rmsprop`], u ← momentum·u + a·g / √(v + ε), then w ← w − b·u.
    pub fn rmsprop_momentum<F, I>(w: &mut [F], g: &[F], v: &mut [F], u: &mut [F], momentum: F, step: RmsPropStep<F>) {
        let (rest, least) = (F::one() - step.rho, least::<F>());
        for (((w, &g), v), u) in w.iter_mut().zip(g).zip(v).zip(u) {
            let g = unless_vanished(g, least);
            *v = unless_vanished(step.rho * *v + rest * (g * g), least * least);
            *u = unless_vanished(momentum * *u + step.a * g / root(*v, &step), least);
            *w -= step.b * *u;
        }
    }
}

kernel! {
    /// Centered RMSprop: [`rmsprop`] with the variance v − m² for v, where m ← ρ·m + (1 − ρ)·g.
    pub fn rmsprop_centered<F, I>(w: &mut [F], g: &[F], v: &mut [F], m: &mut [F], step: RmsPropStep<F>) {
        let (rest, least) = (F::one() - step.rho, least::<F>());
        for (((w, &g), v), m) in w.iter_mut().zip(g).zip(v).zip(m) {
            let g = unless_vanished(g, least);
            *v = unless_vanished(step.rho * *v + rest * (g * g), least * least);
            *m = unless_vanished(step.rho * *m + rest * g, least);
            *w -= step.b * (step.a * g / root(*v - *m * *m, &step));
        }
    }
}

kernel! {
    /// Centered RMSprop with momentum: the variance of [`rmsprop_centered`] in [`rmsprop_momentum`].
    pub fn rmsprop_centered_momentum<F, I>(
        w: &mut [F], g: &[F], v: &mut [F], m: &mut [F], u: &mut [F], momentum: F, step: RmsPropStep<F>
    ) {
        let (rest, least) = (F::one() - step.rho, least::<F>());
        for ((((w, &g), v), m), u) in w.iter_mut().zip(g).zip(v).zip(m).zip(u) {
            let g = unless_vanished(g, least);
            *v = unless_vanished(step.rho * *v + rest * (g * g), least * least);
            *m = unless_vanished(step.rho * *m + rest * g, least);
            *u = unless_vanished(momentum * *u + step.a * g / root(*v - *m * *m, &step), least);
            *w -= step.b * *u;
        }
    }
}

kernel! {
    /// Adagrad: a ← a + g², then w ← w − rate·g / √(a + ε).
    pub fn adagrad<F>(w: &mut [F], g: &[F], a: &mut [F], rate: F, epsilon: F) {
        for ((w, &g), a) in w.iter_mut().zip(g).zip(a) {
            *a += g * g;
            *w -= rate * g / (*a + epsilon).sqrt();
        }
    }
}

kernel! {
    /// Adadelta: a ← ρ·a + (1 − ρ)·g², d = −g·√(u + ε)/√(a + ε), u ← ρ·u + (1 − ρ)·d², then w ← w + rate·d.
    pub fn adadelta<F>(w: &mut [F], g: &[F], a: &mut [F], u: &mut [F], rate: F, rho: F, epsilon: F) {
        let (rest, least) = (F::one() - rho, least::<F>());
        for (((w, &g), a), u) in w.iter_mut().zip(g).zip(a).zip(u) {
            let g = unless_vanished(g, least);
            *a = unless_vanished(rho * *a + rest * (g * g), least * least);
            let d = -(g * (*u + epsilon).sqrt() / (*a + epsilon).sqrt());
            *u = unless_vanished(rho * *u + rest * (d * d), least * least);
            *w += rate * d;
        }
    }
}

kernel! {
    /// Adamax: m ← m + (g − m)(1 − β₁), u ← max(β₂·u, |g|), then w ← w − α·m / (u + ε), α = rate/(1 − β₁ᵗ).
    pub fn adamax<F>(w: &mut [F], g: &[F], m: &mut [F], u: &mut [F], rest_1: F, beta_2: F, alpha: F, epsilon: F) {
        let least = least::<F>();
        for (((w, &g), m), u) in w.iter_mut().zip(g).zip(m).zip(u) {
            move_mean(m, g, rest_1, least);
            let (decayed, own) = (beta_2 * *u, g.abs());
            *u = unless_vanished(select(own > decayed, own, decayed), least);
            *w -= alpha * *m / (*u + epsilon);
        }
    }
}

/// The numbers of one Nadam step.
#[derive(Clone, Copy, Debug)]
pub struct NadamStep<F> {
    /// 1 − β₁.
    pub rest_1: F,
    /// 1 − β₂.
    pub rest_2: F,
    /// What the mean counts in the step.
    pub of_mean: F,
    /// What the gradient counts in the step.
    pub of_gradient: F,
    /// 1/(1 − β₂ᵗ).
    pub correction: F,
    /// ε.
    pub epsilon: F,
}

kernel! {
    /// Nadam: m and v as in [`adam`], then w ← w − (a·m + b·g) / (√(v/(1 − β₂ᵗ)) + ε): Adam with Nesterov's look-ahead.
    pub fn nadam<F>(w: &mut [F], g: &[F], m: &mut [F], v: &mut [F], step: NadamStep<F>) {
        let least = least::<F>();
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let g = unless_vanished(g, least);
            move_mean(m, g, step.rest_1, least);
            move_mean(v, g * g, step.rest_2, least * least);
            *w -= (step.of_mean * *m + step.of_gradient * g) / ((*v * step.correction).sqrt() + step.epsilon);
        }
    }
}

kernel! {
    /// Lion: w ← w − rate·sign(β₁·m + (1 − β₁)·g), then m ← β₂·m + (1 − β₂)·g.
    pub fn lion<F>(w: &mut [F], g: &[F], m: &mut [F], rate: F, beta_1: F, beta_2: F) {
        let least = least::<F>();
        for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
            let mixed = *m * beta_1 + g * (F::one() - beta_1);
            *w -= select(mixed > F::zero(), rate, select(mixed < F::zero(), -rate, mixed));
            *m = unless_vanished(*m * beta_2 + g * (F::one() - beta_2), least);
        }
    }
}

/// The step of one weight by Lamb: m̂ / (√v̂ + ε), the means corrected for their bias.
#[inline(always)]
fn lamb_update<F: crate::Scalar>(m: F, v: F, step: &NadamStep<F>) -> F {
    m * step.of_mean / ((v * step.correction).sqrt() + step.epsilon)
}

kernel! {
    /// Lamb: m and v as in [`adam`], u = m̂/(√v̂ + ε), then w ← w − rate·(‖w‖/‖u‖)·u for a whole parameter w; the quotient
    /// is 1 where a norm is 0. Of the numbers, `of_mean` is 1/(1 − β₁ᵗ).
    pub fn lamb<F>(w: &mut [F], g: &[F], m: &mut [F], v: &mut [F], rate: F, step: NadamStep<F>) {
        let least = least::<F>();
        let (mut w_squares, mut u_squares) = (F::zero(), F::zero());
        for (((w, &g), m), v) in w.iter().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
            let g = unless_vanished(g, least);
            move_mean(m, g, step.rest_1, least);
            move_mean(v, g * g, step.rest_2, least * least);
            let u = lamb_update(*m, *v, &step);
            w_squares += *w * *w;
            u_squares += u * u;
        }
        let both = w_squares > F::zero() && u_squares > F::zero();
        let ratio = if both { w_squares.sqrt() / u_squares.sqrt() } else { F::one() };
        for ((w, &m), &v) in w.iter_mut().zip(m.iter()).zip(v.iter()) {
            *w -= ratio * rate * lamb_update(m, v, &step);
        }
    }
}

/// The numbers of one Ftrl step.
#[derive(Clone, Copy, Debug)]
pub struct FtrlStep<F> {
    /// The learning rate.
    pub rate: F,
    /// −learning_rate_power, the exponent of the sum of squares.
    pub power: F,
    /// λ₁, the strength of the L1 penalty.
    pub l1: F,
    /// λ₂ + β/(2·rate), the strength of the L2 penalty.
    pub l2: F,
    /// The strength of the penalty that is in the gradient.
    pub shrinkage: F,
}

kernel! {
    /// Follow the regularized leader: a′ = a + g², l ← l + g + 2s·w − (a′^p − a^p)/rate·w,
    /// w ← (clip(l, ±λ₁) − l) / (a′^p/rate + 2λ₂), a ← a′.
    pub fn ftrl<F>(w: &mut [F], g: &[F], a: &mut [F], l: &mut [F], step: FtrlStep<F>) {
        let two = F::of(2.0);
        for (((w, &g), a), l) in w.iter_mut().zip(g).zip(a).zip(l) {
            let sum = *a + g * g;
            let (before, after) = (a.powf(step.power), sum.powf(step.power));
            *l += g + two * step.shrinkage * *w - (after - before) / step.rate * *w;
            let clipped = select(*l > step.l1, step.l1, select(*l < -step.l1, -step.l1, *l));
            *w = (clipped - *l) / (after / step.rate + two * step.l2);
            *a = sum;
        }
    }
}

kernel! {
    /// x ← factor·x: a gradient clipped by its norm, with factor = limit/norm; weights that decay, with 1 − rate·decay.
    pub fn scale<F>(x: &mut [F], factor: F) {
        for x in x {
            *x *= factor;
        }
    }
}

kernel! {
    /// x ← min(max(x, −limit), limit): a gradient clipped by value. NaN stays.
    pub fn clip<F>(x: &mut [F], limit: F) {
        for x in x {
            let low = select(*x < -limit, -limit, *x);
            *x = select(low > limit, limit, low);
        }
    }
}

kernel! {
    /// average ← momentum·average + (1 − momentum)·w: the exponential moving average of weights.
    pub fn moving_average<F>(average: &mut [F], w: &[F], momentum: F) {
        let rest = F::one() - momentum;
        for (average, &w) in average.iter_mut().zip(w) {
            *average = momentum * *average + rest * w;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    const N: usize = 37;

    fn numbers(seed: usize) -> Vec<f64> {
        (0..N).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f64 / 500.0 - 1.0).collect()
    }

    fn close(got: &[f64], want: &[f64]) {
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} not {want:?}");
    }

    /// Several steps of a rule for one element, for all elements.
    fn by_hand<const SLOTS: usize>(rule: impl Fn(i32, f64, &mut f64, &mut [f64; SLOTS])) -> Vec<f64> {
        let mut w = numbers(0);
        let mut slots = [[0.0; SLOTS]; N];
        for t in 1..=5 {
            for (k, g) in numbers(t as usize).into_iter().enumerate() {
                rule(t, g, &mut w[k], &mut slots[k]);
            }
        }
        w
    }

    #[test]
    fn sgd_follows_keras_and_pytorch() {
        let (rate, mu) = (0.1, 0.9);
        on_every_isa(|_| {
            for nesterov in [false, true] {
                let (mut keras, mut torch) = (numbers(0), numbers(0));
                let (mut keras_v, mut torch_v) = (vec![0.0; N], vec![0.0; N]);
                for t in 1..=5 {
                    let dampening = if nesterov || t == 1 { 0.0 } else { 0.3 };
                    sgd_momentum(&mut keras, &numbers(t), &mut keras_v, mu, -rate, 1.0, nesterov);
                    sgd_momentum(&mut torch, &numbers(t), &mut torch_v, mu, 1.0 - dampening, -rate, nesterov);
                }
                close(
                    &keras,
                    &by_hand(|_, g, w, [v]| {
                        *v = mu * *v - rate * g;
                        *w += if nesterov { mu * *v - rate * g } else { *v };
                    }),
                );
                close(
                    &torch,
                    &by_hand(|t, g, w, [v]| {
                        *v = if t == 1 { g } else { mu * *v + if nesterov { 1.0 } else { 0.7 } * g };
                        *w -= rate * if nesterov { g + mu * *v } else { *v };
                    }),
                );
            }
            let mut plain = numbers(0);
            (1..=5).for_each(|t| sgd(&mut plain, &numbers(t), rate));
            close(&plain, &by_hand(|_, g, w, []| *w -= rate * g));
        });
    }

    #[test]
    fn adam_follows_keras_and_pytorch() {
        let (rate, b1, b2, eps) = (0.01, 0.9f64, 0.99f64, 1e-2);
        let step = |t: i32, torch: bool| {
            let root = (1.0 - b2.powi(t)).sqrt();
            AdamStep {
                rest_1: 1.0 - b1,
                rest_2: 1.0 - b2,
                alpha: rate * root / (1.0 - b1.powi(t)),
                epsilon: if torch { eps * root } else { eps },
                decay: if torch { 0.004 } else { 0.0 },
            }
        };
        on_every_isa(|_| {
            for torch in [false, true] {
                let (mut w, mut m, mut v) = (numbers(0), vec![0.0; N], vec![0.0; N]);
                let (mut w_ams, mut m_ams, mut v_ams, mut v_hat) = (w.clone(), m.clone(), v.clone(), v.clone());
                for t in 1..=5 {
                    let g = numbers(t as usize);
                    adam(&mut w, &g, &mut m, &mut v, step(t, torch));
                    adam_amsgrad(&mut w_ams, &g, &mut m_ams, &mut v_ams, &mut v_hat, step(t, torch));
                }
                let rule = |ams: bool| {
                    by_hand(move |t, g, w, [m, v, most]| {
                        *m = b1 * *m + (1.0 - b1) * g;
                        *v = b2 * *v + (1.0 - b2) * g * g;
                        *most = most.max(*v);
                        let v = if ams { *most } else { *v };
                        let (c1, c2) = (1.0 - b1.powi(t), 1.0 - b2.powi(t));
                        if torch {
                            *w -= 0.004 * *w;
                            *w -= rate * (*m / c1) / ((v / c2).sqrt() + eps);
                        } else {
                            *w -= *m * (rate * c2.sqrt() / c1) / (v.sqrt() + eps);
                        }
                    })
                };
                close(&w, &rule(false));
                close(&w_ams, &rule(true));
            }
        });
    }

    #[test]
    fn rmsprop_follows_keras_and_pytorch() {
        let (rate, rho, eps, mu) = (0.01f64, 0.9, 1e-2, 0.8);
        on_every_isa(|_| {
            for torch in [false, true] {
                let (a, b) = if torch { (1.0, rate) } else { (rate, 1.0) };
                let step = RmsPropStep { rho, epsilon: eps, epsilon_outside_root: torch, a, b };
                for (centered, mu) in [(false, 0.0), (false, mu), (true, 0.0), (true, mu)] {
                    let (mut w, mut v, mut m, mut u) = (numbers(0), vec![0.0; N], vec![0.0; N], vec![0.0; N]);
                    for t in 1..=5 {
                        let g = numbers(t);
                        match (centered, mu > 0.0) {
                            (false, false) => rmsprop(&mut w, &g, &mut v, step),
                            (false, true) => rmsprop_momentum(&mut w, &g, &mut v, &mut u, mu, step),
                            (true, false) => rmsprop_centered(&mut w, &g, &mut v, &mut m, step),
                            (true, true) => rmsprop_centered_momentum(&mut w, &g, &mut v, &mut m, &mut u, mu, step),
                        }
                    }
                    close(
                        &w,
                        &by_hand(|_, g, w, [v, m, u]| {
                            *v = rho * *v + (1.0 - rho) * g * g;
                            *m = rho * *m + (1.0 - rho) * g;
                            let v = if centered { *v - *m * *m } else { *v };
                            let divisor = if torch { v.sqrt() + eps } else { (v + eps).sqrt() };
                            *u = mu * *u + if torch { g / divisor } else { rate * g / divisor };
                            *w -= if torch { rate * *u } else { *u };
                        }),
                    );
                }
            }
        });
    }

    #[test]
    fn clipping_keeps_nan_and_averages_move() {
        let mut x = [-3.0, 0.5, f64::NAN, 2.0, f64::INFINITY];
        clip(&mut x, 1.0);
        assert_eq!([x[0], x[1], x[3], x[4]], [-1.0, 0.5, 1.0, 1.0]);
        assert!(x[2].is_nan());
        let mut average = [1.0f32, 2.0];
        moving_average(&mut average, &[3.0, 4.0], 0.75);
        scale(&mut average, 2.0);
        assert_eq!(average, [3.0, 5.0]);
    }

    type Rule<'a> = &'a dyn Fn(&mut [f32], &[f32], [&mut [f32]; 3]);

    #[test]
    fn means_of_vanished_gradients_end_at_zero() {
        let adam_step = AdamStep { rest_1: 0.1, rest_2: 0.001, alpha: 1e-3, epsilon: 1e-7, decay: 0.0 };
        let nadam_step =
            NadamStep { rest_1: 0.1, rest_2: 0.001, of_mean: 1e-3, of_gradient: 1e-4, correction: 1.0, epsilon: 1e-7 };
        let rms_step = RmsPropStep { rho: 0.9, epsilon: 1e-7, epsilon_outside_root: false, a: 1e-3, b: 1.0 };
        let rules: [(&str, Rule<'_>); 9] = [
            ("momentum", &|w, g, [v, ..]| sgd_momentum(w, g, v, 0.9, -1e-2, 1.0, false)),
            ("adam", &|w, g, [m, v, _]| adam(w, g, m, v, adam_step)),
            ("amsgrad", &|w, g, [m, v, v_hat]| adam_amsgrad(w, g, m, v, v_hat, adam_step)),
            ("rmsprop", &|w, g, [m, v, u]| rmsprop_centered_momentum(w, g, v, m, u, 0.9, rms_step)),
            ("adadelta", &|w, g, [a, u, _]| adadelta(w, g, a, u, 1.0, 0.95, 1e-7)),
            ("adamax", &|w, g, [m, u, _]| adamax(w, g, m, u, 0.1, 0.999, 1e-3, 1e-7)),
            ("nadam", &|w, g, [m, v, _]| nadam(w, g, m, v, nadam_step)),
            ("lion", &|w, g, [m, ..]| lion(w, g, m, 1e-4, 0.9, 0.99)),
            ("lamb", &|w, g, [m, v, _]| lamb(w, g, m, v, 1e-3, nadam_step)),
        ];
        on_every_isa(|isa| {
            for (name, rule) in rules {
                let mut w = [0.5; N];
                let mut slots = [[0.0; N]; 3];
                for t in 0..110_000 {
                    // A batch known by heart: gradients that shrink to the least that there is, then none at all.
                    let g = if t < 200 { [0.5f32.powi(t); N] } else { [0.0; N] };
                    let [a, b, c] = &mut slots;
                    rule(&mut w, &g, [a, b, c]);
                    let subnormal = slots.as_flattened().iter().any(|x| x.is_subnormal());
                    assert!(!subnormal, "{name}, {isa:?}, step {t}: {slots:?}");
                }
                let kept = if name == "amsgrad" { 2 } else { 3 };
                assert_eq!(slots.as_flattened()[..kept * N], vec![0.0; kept * N], "{name}, {isa:?}");
                assert!(w.iter().all(|w| w.is_finite()));
            }
        });
    }
}
