use super::{erf, erfc, exp, exp_m1, ln, sigmoid, tanh};
use crate::kernels::dispatch::Isa;
use crate::kernels::dispatch::forced::on_every_isa;

/// Every 997th bit pattern of both signs, and the special values.
fn dense() -> Vec<f32> {
    let mut x: Vec<f32> = (0..=f32::INFINITY.to_bits()).step_by(997).map(f32::from_bits).collect();
    x.extend([0.0, 1.0, 2.0, 88.722_84, 88.8, 103.9, 104.5, 1e3, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY]);
    x.extend((-3000..3000).map(|i| i as f32 * 0.01));
    x.extend(x.clone().iter().map(|x| -x));
    x
}

/// The distance to the truth in units of the last place of `f32` there.
fn ulps(got: f32, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if f64::from(got) == want || got == want as f32 {
        return 0.0;
    }
    let near = (want.abs() as f32).min(f32::MAX);
    let unit = f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near);
    (f64::from(got) - want).abs() / if near == f32::MAX { 2f64.powi(104) } else { unit }
}

fn check(name: &str, function: fn(&mut [f32]), truth: fn(f64) -> f64, most: f64, domain: fn(f32) -> bool) {
    on_every_isa(|isa| {
        let x: Vec<f32> = dense().into_iter().filter(|&x| domain(x)).collect();
        let mut y = x.clone();
        function(&mut y);
        let (worst, at) = x
            .iter()
            .zip(&y)
            .map(|(&x, &y)| (ulps(y, truth(f64::from(x))), x))
            .fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
        println!("{name} {isa:?}: {worst:.2} ulp at {at:e}");
        assert!(worst <= most, "{name} {isa:?}: {worst} ulp at {at:e}");
        let mut nan = [f32::NAN; 9];
        function(&mut nan);
        assert!(nan.iter().all(|x| x.is_nan()), "{name}(NaN)");
    });
}

#[test]
fn f32_functions_are_right_to_a_few_ulp() {
    let all = |_: f32| true;
    check("exp", exp, f64::exp, 1.5, all);
    check("exp_m1", exp_m1, f64::exp_m1, 3.0, all);
    check("ln", ln, f64::ln, 1.5, all);
    check("tanh", tanh, f64::tanh, 3.5, all);
    check(
        "sigmoid",
        sigmoid,
        |x| if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) },
        3.0,
        all,
    );
    check("erf", erf, |x| one(erf, x), 4.0, all);
    check("erfc", erfc, |x| one(erfc, x), 12.0, |x| x < 4.0);
    // Further out, the error of z² grows to z² units where there is no fused multiply-add.
    check("erfc", erfc, |x| one(erfc, x), 120.0, all);
}

fn one(function: fn(&mut [f64]), x: f64) -> f64 {
    let mut x = [x];
    function(&mut x);
    x[0]
}

/// Values computed with 60 digits.
#[test]
fn f64_erfc_is_right_to_1e_15() {
    for (x, want) in [
        (0.1, 0.887_537_083_981_715_2),
        (0.5, 0.479_500_122_186_953_5),
        (1.0, 0.157_299_207_050_285_13),
        (2.5, 4.069_520_174_449_589e-4),
        (5.0, 1.537_459_794_428_035e-12),
        (10.0, 2.088_487_583_762_545e-45),
        (20.0, 5.395_865_611_607_901e-176),
        (26.0, 5.663_192_408_856_143e-296),
    ] {
        on_every_isa(|isa| {
            // Without a fused multiply-add, the square's rounding error stays in.
            let most = if isa == Isa::Portable { 1e-13 } else { 2e-15 };
            let got = one(erfc, x);
            assert!((got / want - 1.0).abs() < most, "erfc({x}) = {got:e}, not {want:e}");
            assert!((one(erfc, -x) - (2.0 - want)).abs() < 4e-16 * 2.0);
            assert!((one(erf, x) - (1.0 - want)).abs() < 2e-15 * (1.0 - want));
            assert_eq!(one(erf, -x), -one(erf, x));
        });
    }
    assert_eq!([one(erfc, f64::INFINITY), one(erfc, f64::NEG_INFINITY)], [0.0, 2.0]);
    assert!((one(erfc, 0.0) - 1.0).abs() < 2e-16);
    assert_eq!([one(erf, f64::INFINITY), one(erf, 1e-300)], [1.0, 1.128_379_167_095_512_6e-300]);
}
