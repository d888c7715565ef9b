//! Activations, element by element: y = f(x) in place, and the gradient through it.
//!
//! Each backward multiplies `grad` = ∂L/∂y by f′, which makes it ∂L/∂x. Where f′ follows from the output without loss
//! it takes `y`, which the next layer holds anyway; otherwise the input `x`.
//!
//! Infinities give the limits, where Keras gives NaN for some; NaN gives NaN. Where f has a kink, f′ is what the
//! function says; most often 0, as in Keras.

use super::dispatch::kernel;
use super::math::select;
use crate::Scalar;

/// Several kernels y ← f(x): `name(parameters) = |x, constants| value`. Constants are made once, before the loop.
macro_rules! forward {
    ($(
        $(#[$doc:meta])*
        $name:ident($($p:ident),*) = $x:ident, $I:ident $(, let $c:ident = $value:expr)* => $y:expr;
    )*) => {$(
        kernel! {
            $(#[$doc])*
            pub fn $name<F, $I>(x: &mut [F] $(, $p: F)*) {
                $(let $c = $value;)*
                for x in x {
                    let $x = *x;
                    *x = $y;
                }
            }
        }
    )*};
}

/// Several kernels grad ← grad·f′: `name(known, parameters)`, `known` being the output `y` or the input `x`.
macro_rules! backward {
    ($(
        $(#[$doc:meta])*
        $name:ident($known:ident $(, $p:ident)*) = $g:ident, $I:ident $(, let $c:ident = $value:expr)* => $dx:expr;
    )*) => {$(
        kernel! {
            $(#[$doc])*
            pub fn $name<F, $I>($known: &[F], grad: &mut [F] $(, $p: F)*) {
                $(let $c = $value;)*
                for (g, &$known) in grad.iter_mut().zip($known) {
                    let $g = *g;
                    *g = $dx;
                }
            }
        }
    )*};
}

forward! {
    /// y = max(x, 0)
    relu() = x, I, let zero = F::zero() => select(x < zero, zero, x);
    /// y = x where x > threshold, else `negative_slope`·(x − threshold); at most `max_value`.
    ///
    /// No cap is `max_value` = ∞. Keras's `relu` with all its options.
    relu_with(max_value, negative_slope, threshold) = x, I => {
        let below = times(x - threshold, negative_slope);
        let y = select(x > threshold, x, below);
        select(y > max_value, max_value, y)
    };
    /// y = x where x ≥ 0, else slope·x
    leaky_relu(slope) = x, I => {
        let below = times(x, slope);
        select(x >= F::zero(), x, below)
    };
    /// y = min(max(x, 0), 6)
    relu6() = x, I, let six = F::of(6.0) => clamp(x, F::zero(), six);
    /// y = x where x > 0, else α·(eˣ − 1); α ≥ 0
    elu(alpha) = x, I => {
        let below = alpha * x.exp_m1_in::<I>();
        select(x > F::zero(), x, below)
    };
    /// y = λ·x where x > 0, else λ·α·(eˣ − 1), with λ = 1.0507… and α = 1.6732…, which keep mean 0 and variance 1.
    selu() = x, I, let lambda = F::of(SELU_LAMBDA), let alpha = F::of(SELU_LAMBDA * SELU_ALPHA) => {
        let below = alpha * x.exp_m1_in::<I>();
        if x > F::zero() { lambda * x } else { below }
    };
    /// y = x where x > 0, else α·(e^{x/α} − 1); α > 0
    celu(alpha) = x, I => {
        let below = alpha * (x / alpha).exp_m1_in::<I>();
        select(x > F::zero(), x, below)
    };
    /// y = x·Φ(x) with the normal distribution's Φ(x) = ½·erfc(−x/√2)
    gelu() = x, I, let half = F::of(0.5), let scale = F::of(-std::f64::consts::FRAC_1_SQRT_2) =>
        times(x, half * (scale * x).erfc_in::<I>());
    /// y = ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): the approximation of [`gelu`] that GPT-2 uses.
    gelu_tanh() = x, I => times(x, gelu_tanh_argument(x).sigmoid_in::<I>());
    /// y = 1 / (1 + e⁻ˣ)
    sigmoid() = x, I => x.sigmoid_in::<I>();
    /// y = relu6(x + 3) / 6
    hard_sigmoid() = x, I, let three = F::of(3.0), let six = F::of(6.0) => clamp(x + three, F::zero(), six) / six;
    /// y = min(max(slope·x + ½, 0), 1)
    hard_sigmoid_with(slope) = x, I, let half = F::of(0.5), let one = F::one() => clamp(slope * x + half, F::zero(), one);
    /// y = tanh x
    tanh() = x, I => x.tanh_in::<I>();
    /// y = min(max(x, −1), 1)
    hard_tanh() = x, I, let one = F::one() => clamp(x, -one, one);
    /// y = ln(1 + eˣ)
    softplus() = x, I => {
        let rest = (-x.abs()).exp_in::<I>().ln_1p_in::<I>();
        if x > F::zero() { x + rest } else { rest }
    };
    /// y = −ln(1 + e⁻ˣ), the logarithm of [`sigmoid`]
    log_sigmoid() = x, I => {
        let rest = (-x.abs()).exp_in::<I>().ln_1p_in::<I>();
        if x < F::zero() { x - rest } else { -rest }
    };
    /// y = x / (1 + |x|)
    softsign() = x, I, let one = F::one() => {
        let y = x / (one + x.abs());
        if x.is_infinite() { one.copysign(x) } else { y }
    };
    /// y = x·σ(x), also called swish
    silu() = x, I => times(x, x.sigmoid_in::<I>());
    /// y = x·relu6(x + 3)/6, also called hard swish
    hard_silu() = x, I, let three = F::of(3.0), let six = F::of(6.0) =>
        times(x, clamp(x + three, F::zero(), six) / six);
    /// y = x·tanh(ln(1 + eˣ))
    mish() = x, I => {
        let (num, rest) = mish_parts((-x.abs()).exp_in::<I>(), x > F::zero());
        times(x, num / (num + rest + rest))
    };
    /// y = eˣ
    exponential() = x, I => x.exp_in::<I>();
    /// y = x − tanh x
    tanh_shrink() = x, I => x - x.tanh_in::<I>();
}

backward! {
    /// Backward of [`relu`], from its output: f′ = 1 where y > 0, else 0; 0 at 0.
    relu_backward(y) = g, I, let zero = F::zero() => select(y > zero, g, zero);
    /// Backward of [`relu_with`], from its input: f′ = 1 where x > threshold, else `negative_slope`; 0 where the cap
    /// cuts something off.
    relu_with_backward(x, max_value, negative_slope, threshold) = g, I => {
        let above = select(x > max_value, F::zero(), g);
        let below = if negative_slope * (x - threshold) > max_value { F::zero() } else { negative_slope * g };
        select(x > threshold, above, below)
    };
    /// Backward of [`leaky_relu`], from its output, for slope ≥ 0: f′ = 1 where y > 0, else `slope`; at 0 it is 1, as in
    /// JAX, unless the slope is 0.
    leaky_relu_backward(y, slope) = g, I => {
        select(y > F::zero() || y == F::zero() && slope != F::zero(), g, slope * g)
    };
    /// Backward of [`relu6`], from its output: f′ = 1 where 0 < y < 6, else 0.
    relu6_backward(y) = g, I, let six = F::of(6.0) => select(y > F::zero() && y < six, g, F::zero());
    /// Backward of [`elu`], from its output: f′ = 1 where y > 0, else α·eˣ = y + α.
    elu_backward(y, alpha) = g, I => select(y > F::zero(), g, g * (y + alpha));
    /// Backward of [`selu`], from its output: f′ = λ where y > 0, else λ·α·eˣ = y + λ·α.
    selu_backward(y) = g, I, let lambda = F::of(SELU_LAMBDA), let alpha = F::of(SELU_LAMBDA * SELU_ALPHA) =>
        g * select(y > F::zero(), lambda, y + alpha);
    /// Backward of [`celu`], from its output: f′ = 1 where y > 0, else e^{x/α} = y/α + 1.
    celu_backward(y, alpha) = g, I, let one = F::one() => select(y > F::zero(), g, g * (y / alpha + one));
    /// Backward of [`gelu`], from its input: f′ = Φ(x) + x·φ(x), with φ(x) = e^{−x²/2}/√(2π).
    gelu_backward(x) = g, I, let half = F::of(0.5), let scale = F::of(-std::f64::consts::FRAC_1_SQRT_2),
        let density = F::of(0.398_942_280_401_432_7) => {
        let below = half * (scale * x).erfc_in::<I>();
        g * (below + times(x, density * (-half * x * x).exp_in::<I>()))
    };
    /// Backward of [`gelu_tanh`], from its input: f′ = s + x·s(1 − s)·u′, with y = x·s, s = σ(u).
    gelu_tanh_backward(x) = g, I, let a = F::of(GELU_SCALE), let b = F::of(3.0 * GELU_SCALE * GELU_CUBIC) => {
        let u = gelu_tanh_argument(x);
        let slope = sigmoid_slope((-u.abs()).exp_in::<I>());
        let rest = times(x * (a + b * x * x), slope);
        g * (u.sigmoid_in::<I>() + rest)
    };
    /// Backward of [`sigmoid`], from its output: f′ = y(1 − y).
    sigmoid_backward(y) = g, I, let one = F::one() => g * (y * (one - y));
    /// Backward of [`hard_sigmoid`], from its output: f′ = 1/6 where 0 < y < 1, else 0.
    hard_sigmoid_backward(y) = g, I, let sixth = F::of(1.0 / 6.0) =>
        select(y > F::zero() && y < F::one(), g * sixth, F::zero());
    /// Backward of [`hard_sigmoid_with`], from its output: f′ = slope where 0 < y < 1, else 0.
    hard_sigmoid_with_backward(y, slope) = g, I, let one = F::one() =>
        select(y > F::zero() && y < one, g * slope, F::zero());
    /// Backward of [`tanh`], from its output: f′ = 1 − y² = (1 − y)(1 + y).
    tanh_backward(y) = g, I, let one = F::one() => g * ((one - y) * (one + y));
    /// Backward of [`hard_tanh`], from its input: f′ = 1 where −1 ≤ x ≤ 1, else 0. At ±1 it is 1, as in Keras.
    hard_tanh_backward(x) = g, I => select(x.abs() > F::one(), F::zero(), g);
    /// Backward of [`softplus`], from its output: f′ = σ(x) = 1 − e⁻ʸ.
    softplus_backward(y) = g, I => -g * (-y).exp_m1_in::<I>();
    /// Backward of [`log_sigmoid`], from its output: f′ = 1 − σ(x) = 1 − eʸ.
    log_sigmoid_backward(y) = g, I => -g * y.exp_m1_in::<I>();
    /// Backward of [`softsign`], from its output: f′ = 1 / (1 + |x|)² = (1 − |y|)².
    softsign_backward(y) = g, I, let one = F::one() => g * ((one - y.abs()) * (one - y.abs()));
    /// Backward of [`silu`], from its input: f′ = s + x·s(1 − s), with s = σ(x).
    silu_backward(x) = g, I => {
        let slope = sigmoid_slope((-x.abs()).exp_in::<I>());
        g * (x.sigmoid_in::<I>() + times(x, slope))
    };
    /// Backward of [`hard_silu`], from its input: f′ = 0 where x ≤ −3, 1 where x ≥ 3, else (2x + 3)/6.
    hard_silu_backward(x) = g, I, let three = F::of(3.0), let six = F::of(6.0) => {
        let slope = if x >= three { F::one() } else { (x + x + three) / six };
        g * if x <= -three { F::zero() } else { slope }
    };
    /// Backward of [`mish`], from its input: f′ = t + x·(1 − t²)·σ(x), with y = x·t.
    mish_backward(x) = g, I, let four = F::of(4.0) => {
        let (num, rest) = mish_parts((-x.abs()).exp_in::<I>(), x > F::zero());
        // 1 − t² = 1 − num²/den² with den = num + 2·rest, without the cancellation.
        let den = num + rest + rest;
        let slope = four * rest * (num + rest) / (den * den) * x.sigmoid_in::<I>();
        g * (num / den + times(x, slope))
    };
    /// Backward of [`exponential`], from its output: f′ = y.
    exponential_backward(y) = g, I => g * y;
    /// Backward of [`tanh_shrink`], from its input: f′ = tanh² x.
    tanh_shrink_backward(x) = g, I => {
        let t = x.tanh_in::<I>();
        g * (t * t)
    };
}

const SELU_LAMBDA: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// 2·√(2/π): twice, because ½·(1 + tanh u) = σ(2u).
const GELU_SCALE: f64 = 1.595_769_121_605_730_8;
const GELU_CUBIC: f64 = 0.044_715;

/// min(max(x, low), high); NaN stays.
#[inline(always)]
fn clamp<F: Scalar>(x: F, low: F, high: F) -> F {
    let x = select(x < low, low, x);
    select(x > high, high, x)
}

/// x·weight, where a weight of 0 has the last word: the limit at −∞, where ∞·0 would be NaN.
#[inline(always)]
fn times<F: Scalar>(x: F, weight: F) -> F {
    if weight == F::zero() && !x.is_nan() { F::zero() } else { x * weight }
}

/// σ(x)·(1 − σ(x)) = e / (1 + e)², with e = e^{−|x|}: no cancellation at either end.
#[inline(always)]
fn sigmoid_slope<F: Scalar>(e: F) -> F {
    let sum = F::one() + e;
    e / (sum * sum)
}

/// u with `gelu_tanh`(x) = x·σ(u).
#[inline(always)]
fn gelu_tanh_argument<F: Scalar>(x: F) -> F {
    x * (F::of(GELU_SCALE) + F::of(GELU_SCALE * GELU_CUBIC) * x * x)
}

/// tanh(ln(1 + eˣ)) = num / (num + 2·rest), with e = e^{−|x|}.
///
/// tanh(ln u) = (u² − 1)/(u² + 1) with u = 1 + eˣ; for x > 0 both are divided by e²ˣ, so that nothing overflows.
#[inline(always)]
fn mish_parts<F: Scalar>(e: F, positive: bool) -> (F, F) {
    let (one, two) = (F::one(), F::of(2.0));
    if positive { (one + two * e, e * e) } else { (e * (e + two), one) }
}

kernel! {
    /// `PReLU`: y = x where x > 0, else a·x, the slope `a` learned.
    ///
    /// `x` (…, n) with n = `slope.len()`; the slope is the same for all rows.
    pub fn prelu<F, I>(x: &mut [F], slope: &[F]) {
        if slope.is_empty() {
            return;
        }
        for row in x.chunks_mut(slope.len()) {
            for (x, &a) in row.iter_mut().zip(slope) {
                *x = select(*x > F::zero(), *x, a * *x);
            }
        }
    }
}

kernel! {
    /// Backward of [`prelu`], from its input: grad ← grad·f′ and `grad_slope[j]` += Σ grad·x over the rows where x < 0.
    ///
    /// f′ = 1 where x > 0, a where x < 0, and 0 at 0, as in Keras.
    pub fn prelu_backward<F, I>(x: &[F], slope: &[F], grad: &mut [F], grad_slope: &mut [F]) {
        if slope.is_empty() {
            return;
        }
        let n = slope.len();
        for (grad, x) in grad.chunks_mut(n).zip(x.chunks(n)) {
            for (((g, &x), &a), grad_a) in grad.iter_mut().zip(x).zip(slope).zip(grad_slope.iter_mut()) {
                let below = if x < F::zero() { *g } else { F::zero() };
                *grad_a += if x < F::zero() { below * x } else { F::zero() };
                *g = select(x > F::zero(), *g, a * below);
            }
        }
    }
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
