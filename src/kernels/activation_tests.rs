use super::*;
use crate::kernels::dispatch::forced::on_every_isa;

/// An activation for both scalars, with its truth in `f64`, which limits it has, and where it has kinks.
struct Case {
    name: &'static str,
    forward: fn(&mut [f64]),
    single: fn(&mut [f32]),
    backward: fn(&[f64], &mut [f64]),
    single_backward: fn(&[f32], &mut [f32]),
    /// Whether backward takes the output.
    from_y: bool,
    truth: fn(f64) -> f64,
    /// At −∞ and at +∞.
    limits: [f64; 2],
    kinks: &'static [f64],
}

macro_rules! cases {
    ($($forward:ident / $backward:ident ($known:ident) ($($p:expr),*), $truth:expr, $limits:expr, $kinks:expr;)*) => {
        [$(Case {
            name: stringify!($forward),
            forward: |x| $forward(x $(, $p)*),
            single: |x| $forward(x $(, $p as f32)*),
            backward: |y, g| $backward(y, g $(, $p)*),
            single_backward: |y, g| $backward(y, g $(, $p as f32)*),
            from_y: stringify!($known) == "y",
            truth: $truth,
            limits: $limits,
            kinks: &$kinks,
        }),*]
    };
}

const INF: f64 = f64::INFINITY;

fn sigma(x: f64) -> f64 {
    if x > 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

fn cases() -> Vec<Case> {
    Vec::from(cases! {
        relu / relu_backward (y) (), |x| x.max(0.0), [0.0, INF], [0.0];
        relu_with / relu_with_backward (x) (6.0, 0.1, 1.0),
            |x| if x > 1.0 { x.min(6.0) } else { 0.1 * (x - 1.0) }, [-INF, 6.0], [1.0, 6.0];
        relu_with / relu_with_backward (x) (INF, 0.0, 0.0), |x| x.max(0.0), [0.0, INF], [0.0];
        leaky_relu / leaky_relu_backward (y) (0.2), |x| if x > 0.0 { x } else { 0.2 * x }, [-INF, INF], [0.0];
        leaky_relu / leaky_relu_backward (y) (0.0), |x| x.max(0.0), [0.0, INF], [0.0];
        relu6 / relu6_backward (y) (), |x| x.clamp(0.0, 6.0), [0.0, 6.0], [0.0, 6.0];
        elu / elu_backward (y) (1.3), |x| if x > 0.0 { x } else { 1.3 * x.exp_m1() }, [-1.3, INF], [0.0];
        selu / selu_backward (y) (),
            |x| 1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() },
            [-1.050_700_987_355_480_5 * 1.673_263_242_354_377_2, INF], [0.0];
        celu / celu_backward (y) (1.7), |x| if x > 0.0 { x } else { 1.7 * (x / 1.7).exp_m1() }, [-1.7, INF], [0.0];
        gelu / gelu_backward (x) (), normal_integral, [0.0, INF], [];
        gelu_tanh / gelu_tanh_backward (x) (), |x| x * sigma(1.595_769_121_605_730_8 * (x + 0.044_715 * x.powi(3))), [0.0, INF], [];
        sigmoid / sigmoid_backward (y) (), sigma, [0.0, 1.0], [];
        hard_sigmoid / hard_sigmoid_backward (y) (), |x| (x + 3.0).clamp(0.0, 6.0) / 6.0, [0.0, 1.0], [-3.0, 3.0];
        hard_sigmoid_with / hard_sigmoid_with_backward (y) (0.25), |x| (0.25 * x + 0.5).clamp(0.0, 1.0), [0.0, 1.0], [-2.0, 2.0];
        tanh / tanh_backward (y) (), f64::tanh, [-1.0, 1.0], [];
        hard_tanh / hard_tanh_backward (x) (), |x| x.clamp(-1.0, 1.0), [-1.0, 1.0], [-1.0, 1.0];
        softplus / softplus_backward (y) (), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), [0.0, INF], [];
        log_sigmoid / log_sigmoid_backward (y) (), |x| x.min(0.0) - (-x.abs()).exp().ln_1p(), [-INF, 0.0], [];
        softsign / softsign_backward (y) (), |x| x / (1.0 + x.abs()), [-1.0, 1.0], [0.0];
        silu / silu_backward (x) (), |x| x * sigma(x), [0.0, INF], [];
        hard_silu / hard_silu_backward (x) (), |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0, [0.0, INF], [-3.0, 3.0];
        mish / mish_backward (x) (), |x| x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh(), [0.0, INF], [];
        exponential / exponential_backward (y) (), f64::exp, [0.0, INF], [];
        tanh_shrink / tanh_shrink_backward (x) (), |x| x - x.tanh(), [-INF, INF], [];
    })
}

/// x·Φ(x), with Φ from Simpson's rule over its density, twice, the second time to remove the first one's error.
fn normal_integral(x: f64) -> f64 {
    // From far left; what lies left of it is below 1e-17 of the result.
    let (from, to) = (-x.abs() - 9.0, -x.abs());
    let simpson = |steps: i32| {
        let density = |i: i32| {
            let t = from + (to - from) * f64::from(i) / f64::from(steps);
            (-0.5 * t * t).exp() * 0.398_942_280_401_432_7
        };
        let inner: f64 = (1..steps).map(|i| density(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (density(0) + inner + density(steps)) * (to - from) / f64::from(3 * steps)
    };
    let tail = (16.0 * simpson(4000) - simpson(2000)) / 15.0;
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

/// −12 to 12 in odd steps, away from the kinks.
fn grid(kinks: &[f64]) -> Vec<f64> {
    (-397..=397).map(|i| f64::from(i) * 0.030_17).filter(|x| kinks.iter().all(|k| (x - k).abs() > 1e-3)).collect()
}

#[test]
fn values_are_the_formulas() {
    for Case { name, forward, single, truth, .. } in cases() {
        on_every_isa(|isa| {
            let x = grid(&[]);
            let mut y = x.clone();
            forward(&mut y);
            let mut y32: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            single(&mut y32);
            for ((&x, &y), &y32) in x.iter().zip(&y).zip(&y32) {
                let want = truth(x);
                assert!((y - want).abs() <= 1e-13 * want.abs().max(1e-3), "{name} {isa:?}: f({x}) = {y}, not {want}");
                // The input was rounded too, so in f32 the value of the rounded input counts.
                let want = truth(f64::from(x as f32));
                let most = 1e-37
                    + match name {
                        "tanh_shrink" => 3e-7,                     // cancels near 0, as in Keras
                        "gelu" | "gelu_tanh" => 3e-5 * want.abs(), // rounding in eˢ grows with s
                        _ => 2e-6 * want.abs(),
                    };
                assert!((f64::from(y32) - want).abs() <= most, "{name} {isa:?} f32: f({x}) = {y32:e}, not {want:e}");
            }
        });
    }
}

#[test]
fn gradients_are_the_differences() {
    for Case { name, forward, single, backward, single_backward, from_y, truth, kinks, .. } in cases() {
        on_every_isa(|isa| {
            let x = grid(kinks);
            let x32: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            let (mut known, mut known32) = (x.clone(), x32.clone());
            if from_y {
                forward(&mut known);
                single(&mut known32);
            }
            let (mut grad, mut grad32) = (vec![2.0; x.len()], vec![2.0f32; x.len()]);
            backward(&known, &mut grad);
            single_backward(&known32, &mut grad32);
            for (k, &x) in x.iter().enumerate() {
                // Five points: the error is of fourth order.
                let h = 1e-3 * 0.5;
                let f = |t: f64| truth(x + t * h);
                let want = 2.0 * (8.0 * (f(1.0) - f(-1.0)) - (f(2.0) - f(-2.0))) / (12.0 * h);
                let scale = want.abs().max(1.0);
                assert!((grad[k] - want).abs() < 2e-9 * scale, "{name} {isa:?}: f'({x}) = {}, not {want}", grad[k]);
                assert!(
                    (f64::from(grad32[k]) - want).abs() < 4e-6 * scale,
                    "{name} {isa:?} f32: f'({x}) = {}",
                    grad32[k]
                );
            }
        });
    }
}

#[test]
fn tails_are_the_limits() {
    for Case { name, forward, single, backward, single_backward, from_y, limits, .. } in cases() {
        on_every_isa(|isa| {
            let x = [-INF, INF, -1e3, 1e3, -50.0, 50.0, -0.0, 0.0];
            let (mut y, mut grad) = (x, [1.0; 8]);
            forward(&mut y);
            assert_eq!(y[..2], limits, "{name} {isa:?}");
            assert!(!y.iter().any(|y| y.is_nan()), "{name} {isa:?}: {y:?}");
            backward(if from_y { &y } else { &x }, &mut grad);
            assert!(!grad.iter().any(|g| g.is_nan()), "{name} {isa:?}: {grad:?}");
            assert!(
                grad[..6].iter().all(|&g| name == "exponential" || (-1e-15..=1.3).contains(&g)),
                "{name}: {grad:?}"
            );

            let x32 = x.map(|x| x as f32);
            let (mut y32, mut grad32) = (x32, [1.0f32; 8]);
            single(&mut y32);
            single_backward(if from_y { &y32 } else { &x32 }, &mut grad32);
            for k in 0..8 {
                let close = |got: f32, want: f64| {
                    got == want as f32 || (f64::from(got) - want).abs() < 1e-6 * want.abs().max(1.0)
                };
                assert!(close(y32[k], y[k]), "{name} {isa:?} f32: f({}) = {}, not {}", x[k], y32[k], y[k]);
                assert!(close(grad32[k], grad[k]), "{name} {isa:?} f32: f'({}) = {}, not {}", x[k], grad32[k], grad[k]);
            }

            let mut nan = [f64::NAN];
            forward(&mut nan);
            assert!(nan[0].is_nan(), "{name}");
        });
    }
}

/// Far out on the side where they vanish, derivatives keep their relative precision where x tells it.
#[test]
fn vanishing_gradients_keep_their_digits() {
    for x in [-20.0f64, -30.0] {
        let check = |backward: fn(&[f64], &mut [f64]), want: f64| {
            let mut grad = [1.0];
            backward(&[x], &mut grad);
            assert!((grad[0] / want - 1.0).abs() < 1e-9, "{} not {want}", grad[0]);
        };
        let e = x.exp();
        check(silu_backward, e * (1.0 + x) - e * e * (1.0 + 2.0 * x));
        check(mish_backward, e * (1.0 + x) - e * e * (0.5 + x));
        let s = sigma(x);
        let mut grad = [1.0];
        sigmoid_backward(&[s], &mut grad);
        assert!((grad[0] / e - 1.0).abs() < 1e-8);
    }
}

#[test]
fn kinks_follow_keras() {
    let at = |backward: fn(&[f32], &mut [f32]), x: f32| {
        let mut grad = [1.0];
        backward(&[x], &mut grad);
        grad[0]
    };
    assert_eq!(at(relu_backward, 0.0), 0.0);
    assert_eq!(at(|y, g| leaky_relu_backward(y, g, 0.2), 0.0), 1.0);
    assert_eq!(at(|x, g| relu_with_backward(x, g, 6.0, 0.0, 0.0), 6.0), 1.0);
    assert_eq!(at(|x, g| relu_with_backward(x, g, 6.0, 0.5, 1.0), 1.0), 0.5);
    assert_eq!(at(|y, g| elu_backward(y, g, 0.7), 0.0), 0.7);
}

#[test]
fn prelu_learns_its_slopes() {
    let x = [-1.0f64, 2.0, -3.0, 0.0, -5.0, 6.0];
    let slope = [0.1, 0.2, 0.3];
    let mut y = x;
    prelu(&mut y, &slope);
    assert_eq!(y, [-0.1, 2.0, 0.3 * -3.0, 0.0, -1.0, 6.0]);
    let (mut grad, mut grad_slope) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [100.0, 0.0, 0.0]);
    prelu_backward(&x, &slope, &mut grad, &mut grad_slope);
    assert_eq!(grad, [0.1, 2.0, 0.3 * 3.0, 0.0, 1.0, 6.0]);
    assert_eq!(grad_slope, [99.0, -25.0, -9.0]);
}
