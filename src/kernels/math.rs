//! Elementary functions that the compiler vectorises: for `f32` polynomials without a branch, for `f64` the standard
//! library's functions, one value after the other.
//!
//! Errors of the `f32` versions over all arguments, in units of the last place: exp 1, expm1 1.5, ln 0.8, ln1p 2,
//! tanh 2.3, sigmoid 2.2, erf 2.3, erfc 10 and, where the processor has no fused multiply-add, up to 110 in its far tail.
//! Infinities give the limits, NaN gives NaN, denormal results are kept.

use super::dispatch::{Instructions, kernel};
use crate::Scalar;

/// A scalar with elementary functions that vectorise inside a `kernel!` whose instructions are `I`.
pub trait Elementary: Scalar {
    /// A byte as a number.
    fn of_byte(byte: u8) -> Self;
    /// 31 bits of a random word, as a number in (0, 1].
    fn of_word(word: u32) -> Self;
    /// sin 2πx and cos 2πx for 0 ≤ x ≤ 1.
    fn sin_cos_turns_in<I: Instructions<Self>>(self) -> (Self, Self);
    /// eˣ
    fn exp_in<I: Instructions<Self>>(self) -> Self;
    /// eˣ − 1, without cancellation near 0.
    fn exp_m1_in<I: Instructions<Self>>(self) -> Self;
    /// ln x
    fn ln_in<I: Instructions<Self>>(self) -> Self;
    /// tanh x
    fn tanh_in<I: Instructions<Self>>(self) -> Self;
    /// (1 + 2z)·e^{z²}·erfc(z) for z ≥ 0, a smooth function between 1 and 1.3.
    fn scaled_erfc_in<I: Instructions<Self>>(self) -> Self;
    /// erf(x)/x for |x| ≤ ½.
    fn erf_over_x_in<I: Instructions<Self>>(self) -> Self;

    /// ln(1 + x) for 0 ≤ x ≤ 1, without loss near 0.
    fn ln_1p_in<I: Instructions<Self>>(self) -> Self;

    /// 1 / (1 + e⁻ˣ)
    #[inline(always)]
    fn sigmoid_in<I: Instructions<Self>>(self) -> Self {
        // e^-|x| never overflows.
        let e = (-self.abs()).exp_in::<I>();
        (if self >= Self::zero() { Self::one() } else { e }) / (Self::one() + e)
    }

    /// 1 − erf(x) = 2/√π·∫ₓ^∞ e^{−t²} dt, small values as exact as large ones.
    #[inline(always)]
    fn erfc_in<I: Instructions<Self>>(self) -> Self {
        let one = Self::one();
        // Beyond 30 it is 0; that also keeps z² finite.
        let bound = Self::of(30.0);
        let z = if self.abs() > bound { bound } else { self.abs() };
        // e^{−z²} needs z² exactly: what its rounding loses becomes a factor.
        let square = z * z;
        let lost = I::mul_add(z, z, -square);
        let tail = z.scaled_erfc_in::<I>() / (one + z + z) * (-square).exp_in::<I>() * (one - lost);
        if self >= Self::zero() { tail } else { one + one - tail }
    }

    /// erf(x) = 2/√π·∫₀ˣ e^{−t²} dt
    #[inline(always)]
    fn erf_in<I: Instructions<Self>>(self) -> Self {
        let near = self * self.erf_over_x_in::<I>();
        let far = (Self::one() - self.abs().erfc_in::<I>()).copysign(self);
        if self.abs() < Self::of(0.5) { near } else { far }
    }
}

/// `yes` where the condition holds, else `no`; −0 becomes +0.
///
/// For results that may be the very value that they overwrite: storing a choice between that and another would become a
/// masked store, which takes AMD processors five times as long. Adding 0 makes it a new value.
#[inline(always)]
pub(crate) fn select<F: Scalar>(condition: bool, yes: F, no: F) -> F {
    std::hint::select_unpredictable(condition, yes, no) + F::zero()
}

/// cₙxⁿ + … + c₁x + c₀, the coefficients from cₙ down.
#[inline(always)]
fn polynomial<F: Elementary, I: Instructions<F>, const N: usize>(x: F, coefficients: [F; N]) -> F {
    let mut sum = coefficients[0];
    for &c in &coefficients[1..] {
        sum = I::mul_add(sum, x, c);
    }
    sum
}

/// x = n·ln 2 + r with |r| ≤ ½·ln 2: returns n as a number and r.
#[inline(always)]
fn split_exponent<I: Instructions<f32>>(x: f32) -> (i32, f32) {
    // Adding 1.5·2²³ leaves no room for a fraction: it rounds, and the low bits hold the integer.
    const ROUND: f32 = 12_582_912.0;
    let shifted = I::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first with few bits, so that its multiples are exact.
    let r = I::mul_add(whole, -0.693_359_4, x);
    let r = I::mul_add(whole, 2.121_944_4e-4, r);
    (shifted.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed(), r)
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127).cast_unsigned()) << 23)
}

/// (eʳ − 1 − r)/r² for |r| ≤ ½·ln 2.
#[inline(always)]
fn exp_rest<I: Instructions<f32>>(r: f32) -> f32 {
    polynomial::<f32, I, 6>(r, [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5])
}

impl Elementary for f32 {
    #[inline(always)]
    fn of_byte(byte: u8) -> f32 {
        f32::from(byte)
    }

    #[inline(always)]
    fn of_word(word: u32) -> f32 {
        ((word >> 1).cast_signed() as f32 + 0.5) * (1.0 / (1u32 << 31) as f32)
    }

    #[inline(always)]
    fn sin_cos_turns_in<I: Instructions<f32>>(self) -> (f32, f32) {
        // x = quarter/4 + r with |r| ≤ ⅛; sine and cosine of the rest by their Taylor series.
        let quarter = (self * 4.0 + 0.5) as i32;
        let angle = I::mul_add(quarter as f32, -0.25, self) * std::f32::consts::TAU;
        let square = angle * angle;
        let sin = polynomial::<f32, I, 4>(square, [-1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0]) * angle;
        let cos = polynomial::<f32, I, 5>(square, [1.0 / 40320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0]);
        // A quarter turn takes (sin, cos) to (cos, −sin).
        let (sin, cos) = if quarter & 1 == 1 { (cos, -sin) } else { (sin, cos) };
        if quarter & 2 == 2 { (-sin, -cos) } else { (sin, cos) }
    }

    #[inline(always)]
    fn exp_in<I: Instructions<f32>>(self) -> f32 {
        // Outside, the result is 0 or infinite anyway. Comparisons let NaN pass.
        let x = if self > 89.0 { 89.0 } else { self };
        // A product that ends below the smallest number takes a processor some hundred cycles: 0 is put there instead.
        let vanishes = x < -104.0;
        let x = if vanishes { 0.0 } else { x };
        let (n, r) = split_exponent::<I>(x);
        let power = I::mul_add(exp_rest::<I>(r), r * r, r) + 1.0;
        // In two steps: 2ⁿ alone would leave the range before the product does.
        let half = n >> 1;
        let power = power * power_of_two(half) * power_of_two(n.wrapping_sub(half));
        if vanishes { 0.0 } else { power }
    }

    #[inline(always)]
    fn exp_m1_in<I: Instructions<f32>>(self) -> f32 {
        let x = if self > 89.0 { 89.0 } else { self };
        let x = if x < -20.0 { -20.0 } else { x };
        let (n, r) = split_exponent::<I>(x);
        let power_m1 = I::mul_add(exp_rest::<I>(r), r * r, r);
        // 2ⁿ·(eʳ − 1) + (2ⁿ − 1), halved until the end to stay in range. The first term alone when n = 0.
        let half = power_of_two(n.wrapping_sub(1));
        2.0 * I::mul_add(half, power_m1, half - 0.5)
    }

    #[inline(always)]
    fn ln_in<I: Instructions<f32>>(self) -> f32 {
        let denormal = self < f32::MIN_POSITIVE;
        let x = if denormal { self * 8_388_608.0 } else { self };
        // x = 2ᵉ·m with √½ ≤ m < √2.
        let bits = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits()).cast_signed();
        let exponent = (bits >> 23) as f32 - if denormal { 23.0 } else { 0.0 };
        let m = f32::from_bits(x.to_bits().wrapping_sub(((bits >> 23) << 23).cast_unsigned()));
        let t = m - 1.0;
        let square = t * t;
        let cubic = polynomial::<f32, I, 9>(
            t,
            [
                7.037_683_6e-2,
                -1.151_461e-1,
                1.167_699_9e-1,
                -1.242_014_1e-1,
                1.424_932_3e-1,
                -1.666_805_7e-1,
                2.000_071_5e-1,
                -2.499_999_4e-1,
                3.333_333e-1,
            ],
        );
        let small = I::mul_add(exponent, -2.121_944_4e-4, cubic * square * t);
        let small = I::mul_add(-0.5, square, small);
        let ln = I::mul_add(exponent, 0.693_359_4, t + small);
        let ln = if self == f32::INFINITY { f32::INFINITY } else { ln };
        let ln = if self == 0.0 { f32::NEG_INFINITY } else { ln };
        if self < 0.0 || self.is_nan() { f32::NAN } else { ln }
    }

    #[inline(always)]
    fn ln_1p_in<I: Instructions<f32>>(self) -> f32 {
        // ln(1 + x) = 2·artanh s = 2·(s + s³/3 + s⁵/5 + …) with s = x/(2 + x) ≤ ⅓.
        let s = self / (self + 2.0);
        let series = [1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0];
        let square = s * s;
        let rest = polynomial::<f32, I, 7>(square, series) * square;
        2.0 * I::mul_add(rest, s, s)
    }

    #[inline(always)]
    fn tanh_in<I: Instructions<f32>>(self) -> f32 {
        // tanh |x| = (e^{2|x|} − 1) / (e^{2|x|} + 1); from 10 on it is 1.
        let x = self.abs();
        let x = if x > 10.0 { 10.0 } else { x };
        let e = (2.0 * x).exp_m1_in::<I>();
        (e / (e + 2.0)).copysign(self)
    }

    #[inline(always)]
    fn scaled_erfc_in<I: Instructions<f32>>(self) -> f32 {
        polynomial::<f32, I, 12>((self - 3.75) / (self + 3.75), ERFC_32)
    }

    #[inline(always)]
    fn erf_over_x_in<I: Instructions<f32>>(self) -> f32 {
        polynomial::<f32, I, 6>(
            self * self,
            [
                -8.548_327e-4,
                5.223_977_6e-3,
                -2.686_617e-2,
                1.128_379_2e-1,
                -3.761_264e-1,
                std::f32::consts::FRAC_2_SQRT_PI,
            ],
        )
    }
}

impl Elementary for f64 {
    #[inline(always)]
    fn of_byte(byte: u8) -> f64 {
        f64::from(byte)
    }

    #[inline(always)]
    fn of_word(word: u32) -> f64 {
        (f64::from(word >> 1) + 0.5) * (1.0 / f64::from(1u32 << 31))
    }

    #[inline(always)]
    fn sin_cos_turns_in<I: Instructions<f64>>(self) -> (f64, f64) {
        (self * std::f64::consts::TAU).sin_cos()
    }

    #[inline(always)]
    fn exp_in<I: Instructions<f64>>(self) -> f64 {
        self.exp()
    }

    #[inline(always)]
    fn exp_m1_in<I: Instructions<f64>>(self) -> f64 {
        self.exp_m1()
    }

    #[inline(always)]
    fn ln_in<I: Instructions<f64>>(self) -> f64 {
        self.ln()
    }

    #[inline(always)]
    fn ln_1p_in<I: Instructions<f64>>(self) -> f64 {
        self.ln_1p()
    }

    #[inline(always)]
    fn tanh_in<I: Instructions<f64>>(self) -> f64 {
        self.tanh()
    }

    #[inline(always)]
    fn scaled_erfc_in<I: Instructions<f64>>(self) -> f64 {
        polynomial::<f64, I, 24>((self - 3.75) / (self + 3.75), ERFC_64)
    }

    #[inline(always)]
    fn erf_over_x_in<I: Instructions<f64>>(self) -> f64 {
        // The Taylor series 2/√π·Σ (−x²)ⁿ / (n!·(2n + 1)), from n = 11 down.
        const SERIES: [f64; 12] = [
            -1.229_055_530_171_793e-9,
            1.480_719_281_587_921_8e-8,
            -1.636_584_469_123_492_5e-7,
            1.646_211_436_588_924_8e-6,
            -1.492_565_035_840_625e-5,
            1.205_533_298_178_966_4e-4,
            -8.548_327_023_450_853e-4,
            5.223_977_625_442_188e-3,
            -2.686_617_064_513_125e-2,
            1.128_379_167_095_512_6e-1,
            -3.761_263_890_318_375_4e-1,
            std::f64::consts::FRAC_2_SQRT_PI,
        ];
        polynomial::<f64, I, 12>(self * self, SERIES)
    }
}

// (1 + 2z)·e^{z²}·erfc(z) as a polynomial in (z − 3.75)/(z + 3.75), which maps z ≥ 0 to −1..1: Chebyshev series of the
// function, computed with 60 digits, cut where its terms fall below the rounding error.
const ERFC_32: [f32; 12] = [
    -0.000_224_116_75,
    0.000_396_307_61,
    0.001_675_912_2,
    -0.009_844_495,
    0.028_409_252,
    -0.058_646_859,
    0.092_290_77,
    -0.108_814_27,
    0.082_278_42,
    0.003_586_270_4,
    -0.140_240_66,
    1.237_512_6,
];
const ERFC_64: [f64; 24] = [
    3.111_433_380_979_925_4e-10,
    -2.623_107_347_133_476e-9,
    -3.744_210_080_962_018e-9,
    3.197_926_671_666_804e-8,
    2.326_350_870_885_912_4e-8,
    -2.485_712_624_801_674_5e-7,
    -5.721_823_060_322_408_6e-8,
    1.741_982_158_622_481_6e-6,
    -9.735_598_967_367_75e-7,
    -1.143_804_803_334_689_4e-5,
    2.238_423_915_508_223e-5,
    5.164_652_974_177_416e-5,
    -0.000_290_154_080_540_841_7,
    0.000_293_714_378_044_958,
    0.001_755_625_852_895_295_4,
    -0.009_746_579_683_265_262,
    0.028_362_277_418_956_406,
    -0.058_693_398_576_649_34,
    0.092_304_321_160_377_48,
    -0.108_803_930_142_444_62,
    0.082_276_738_490_145_2,
    0.003_585_415_485_479_025_7,
    -0.140_240_598_585_546_97,
    1.237_512_630_837_827_5,
];

macro_rules! in_place {
    ($($(#[$doc:meta])* $name:ident, $method:ident;)*) => {$(
        kernel! {
            $(#[$doc])*
            pub fn $name<F, I>(x: &mut [F]) {
                for x in x {
                    *x = x.$method::<I>();
                }
            }
        }
    )*};
}

in_place! {
    /// x ← eˣ for each element.
    exp, exp_in;
    /// x ← eˣ − 1 for each element.
    exp_m1, exp_m1_in;
    /// x ← ln x for each element.
    ln, ln_in;
    /// x ← tanh x for each element.
    tanh, tanh_in;
    /// x ← 1 / (1 + e⁻ˣ) for each element.
    sigmoid, sigmoid_in;
    /// x ← erf(x) for each element.
    erf, erf_in;
    /// x ← erfc(x) = 1 − erf(x) for each element.
    erfc, erfc_in;
}

#[cfg(test)]
#[path = "math_tests.rs"]
mod tests;
