//! What weights start as: distributions by wide seeded samples, matrices by their laws, configurations both ways.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use gradus::initializers::{Distribution, FanMode, Initializer};
use gradus::random::rng;
use ndarray::{Array2, ArrayD, Ix2, array};
use serde_json::json;

fn draw(initializer: &Initializer, shape: &[usize]) -> ArrayD<f64> {
    initializer.array(shape, &mut rng(42, "test")).unwrap()
}

struct Moments {
    mean: f64,
    stddev: f64,
    /// Of a normal distribution 3, of a uniform one 1.8, of a normal one cut at ±2 2.37.
    kurtosis: f64,
    min: f64,
    max: f64,
}

fn moments(values: &ArrayD<f64>) -> Moments {
    let mean = values.mean().unwrap();
    let power = |p| values.iter().map(|v| (v - mean).powi(p)).sum::<f64>() / values.len() as f64;
    let bounds = values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    Moments { mean, stddev: power(2).sqrt(), kurtosis: power(4) / power(2).powi(2), min: bounds.0, max: bounds.1 }
}

/// Holds a sample of a million to a distribution: of a given standard deviation, kurtosis and largest distance.
#[track_caller]
fn assert_distributed(initializer: &Initializer, shape: &[usize], mean: f64, stddev: f64, kurtosis: f64, reach: f64) {
    let m = moments(&draw(initializer, shape));
    assert!((m.mean - mean).abs() < 4e-3 * stddev, "mean {}", m.mean);
    assert!((m.stddev / stddev - 1.0).abs() < 4e-3, "stddev {}, expected {stddev}", m.stddev);
    assert!((m.kurtosis - kurtosis).abs() < 0.03, "kurtosis {}", m.kurtosis);
    assert!(m.max - mean <= reach && mean - m.min <= reach, "{} {}", m.min, m.max);
    if reach.is_finite() {
        assert!(m.max - mean > 0.999 * reach && mean - m.min > 0.999 * reach, "{} {} {reach}", m.min, m.max);
    }
}

const NORMAL: f64 = 3.0;
const UNIFORM: f64 = 1.8;
/// ∫ z⁴ / (∫ z²)² of the standard normal density on ±2.
const CUT: f64 = 2.3654;

#[test]
fn plain_distributions_have_their_moments() {
    let million = [1000, 1000];
    assert_distributed(
        &Initializer::RandomNormal { mean: 0.5, stddev: 0.2 },
        &million,
        0.5,
        0.2,
        NORMAL,
        f64::INFINITY,
    );
    assert_distributed(
        &Initializer::RandomUniform { min: -1.0, max: 3.0 },
        &million,
        1.0,
        4.0 / 12f64.sqrt(),
        UNIFORM,
        2.0,
    );
    let stddev = 0.2 * 0.879_625_661_034_239_8;
    assert_distributed(&Initializer::TruncatedNormal { mean: 0.5, stddev: 0.2 }, &million, 0.5, stddev, CUT, 0.4);
}

#[test]
fn variance_is_scaled_by_the_fans_of_keras() {
    let scaled = |scale, mode, distribution| Initializer::VarianceScaling { scale, mode, distribution };
    let by_fan = |fan: f64, scale: f64| (scale / fan).sqrt();
    // A Dense kernel: fans 500 and 2000. A convolution kernel (5, 4, 500, 100): 10000 and 2000.
    for (shape, fan_in, fan_out) in [(&[500, 2000][..], 500.0, 2000.0), (&[5, 4, 500, 100], 10_000.0, 2_000.0)] {
        let average = f64::midpoint(fan_in, fan_out);
        for (initializer, fan, scale, uniform) in [
            (Initializer::GlorotUniform, average, 1.0, true),
            (Initializer::GlorotNormal, average, 1.0, false),
            (Initializer::HeUniform, fan_in, 2.0, true),
            (Initializer::HeNormal, fan_in, 2.0, false),
            (Initializer::LecunUniform, fan_in, 1.0, true),
            (Initializer::LecunNormal, fan_in, 1.0, false),
            (scaled(3.0, FanMode::FanOut, Distribution::Uniform), fan_out, 3.0, true),
            (scaled(3.0, FanMode::FanOut, Distribution::TruncatedNormal), fan_out, 3.0, false),
        ] {
            let stddev = by_fan(fan, scale);
            let (kurtosis, reach) =
                if uniform { (UNIFORM, 3f64.sqrt() * stddev) } else { (CUT, 2.0 * stddev / 0.879_625_661_034_239_8) };
            assert_distributed(&initializer, shape, 0.0, stddev, kurtosis, reach);
        }
        let untruncated = scaled(0.5, FanMode::FanAvg, Distribution::UntruncatedNormal);
        assert_distributed(&untruncated, shape, 0.0, by_fan(average, 0.5), NORMAL, f64::INFINITY);
    }
    // A vector's fans are its length; a fan below 1 counts as 1.
    assert_distributed(&Initializer::GlorotUniform, &[1_000_000], 0.0, 1e-3, UNIFORM, 3f64.sqrt() * 1e-3);
    assert!(draw(&Initializer::HeUniform, &[]).iter().all(|w| w.abs() <= 6f64.sqrt()));
    assert_eq!(draw(&Initializer::GlorotUniform, &[0, 3]).len(), 0);
}

#[test]
fn orthogonal_vectors_are_of_the_shorter_side() {
    for shape in [&[1, 1][..], &[5, 5], &[64, 256], &[256, 64], &[3, 3, 4, 7], &[2, 2, 30], &[200, 200]] {
        let w = draw(&Initializer::Orthogonal { gain: 1.5 }, shape);
        let columns = shape[shape.len() - 1];
        let matrix = w.to_shape((shape.iter().product::<usize>() / columns, columns)).unwrap();
        let matrix: Array2<f64> = matrix.into_dimensionality::<Ix2>().unwrap().into_owned();
        let (rows, columns) = matrix.dim();
        let product = if rows < columns { matrix.dot(&matrix.t()) } else { matrix.t().dot(&matrix) };
        let expected = Array2::<f64>::eye(rows.min(columns)) * 2.25;
        let error = (product - expected).iter().fold(0.0, |m: f64, e| m.max(e.abs()));
        assert!(error < 1e-13, "{shape:?}: {error}");
    }
    assert_eq!(draw(&Initializer::Orthogonal { gain: 1.0 }, &[0, 3]).len(), 0);
}

#[test]
fn orthogonal_matrices_are_uniformly_distributed() {
    // A rotation's or reflection's determinant, and the sign of every value, are as likely one way as the other.
    let mut g = rng(7, "rotations");
    let (mut determinants, mut sum, mut squares) = (0, Array2::<f64>::zeros([2, 2]), Array2::<f64>::zeros([2, 2]));
    for _ in 0..20_000 {
        let q = Initializer::Orthogonal { gain: 1.0 }.array::<f64>(&[2, 2], &mut g).unwrap();
        let q = q.into_dimensionality::<Ix2>().unwrap();
        determinants += i32::from(q[[0, 0]] * q[[1, 1]] - q[[0, 1]] * q[[1, 0]] > 0.0);
        sum += &q;
        squares += &(&q * &q);
    }
    assert!((determinants - 10_000).abs() < 300, "{determinants}");
    assert!(sum.iter().all(|s| s.abs() < 500.0), "{sum}");
    assert!(squares.iter().all(|s| (s - 10_000.0).abs() < 250.0), "{squares}");
}

#[test]
fn constants_and_the_identity_are_exact() {
    assert!(draw(&Initializer::Zeros, &[2, 3]).iter().all(|&w| w == 0.0));
    assert!(draw(&Initializer::Ones, &[2, 3]).iter().all(|&w| w == 1.0));
    assert!(draw(&Initializer::Constant(-2.5), &[]).iter().all(|&w| w == -2.5));
    assert_eq!(draw(&Initializer::Identity { gain: 2.0 }, &[2, 3]), array![[2., 0., 0.], [0., 2., 0.]].into_dyn());
    assert_eq!(draw(&Initializer::Identity { gain: 1.0 }, &[3, 2]), array![[1., 0.], [0., 1.], [0., 0.]].into_dyn());
    assert_eq!(draw(&Initializer::RandomUniform { min: 0.5, max: 0.5 }, &[2]), array![0.5, 0.5].into_dyn());
}

#[test]
fn a_seed_gives_the_same_weights_in_f32_and_f64() {
    for name in ["glorot_uniform", "he_normal", "random_normal", "orthogonal"] {
        let initializer: Initializer = name.parse().unwrap();
        let (a, b) = (
            initializer.array::<f32>(&[40, 30], &mut rng(3, "kernel")).unwrap(),
            initializer.array::<f64>(&[40, 30], &mut rng(3, "kernel")).unwrap(),
        );
        #[allow(clippy::cast_possible_truncation)]
        let rounded = b.mapv(|w| w as f32);
        assert_eq!(a, rounded);
        assert_ne!(a, initializer.array::<f32>(&[40, 30], &mut rng(4, "kernel")).unwrap());
    }
}

#[test]
fn every_initializer_is_read_from_its_own_config_and_from_its_names() {
    let all = [
        ("Zeros", "zeros", Initializer::Zeros),
        ("Ones", "ones", Initializer::Ones),
        ("Constant", "constant", Initializer::Constant(0.0)),
        ("RandomNormal", "random_normal", Initializer::RandomNormal { mean: 0.0, stddev: 0.05 }),
        ("RandomUniform", "random_uniform", Initializer::RandomUniform { min: -0.05, max: 0.05 }),
        ("TruncatedNormal", "truncated_normal", Initializer::TruncatedNormal { mean: 0.0, stddev: 0.05 }),
        ("GlorotNormal", "glorot_normal", Initializer::GlorotNormal),
        ("GlorotUniform", "glorot_uniform", Initializer::GlorotUniform),
        ("HeNormal", "he_normal", Initializer::HeNormal),
        ("HeUniform", "he_uniform", Initializer::HeUniform),
        ("LecunNormal", "lecun_normal", Initializer::LecunNormal),
        ("LecunUniform", "lecun_uniform", Initializer::LecunUniform),
        ("VarianceScaling", "variance_scaling", {
            let (mode, distribution) = (FanMode::FanIn, Distribution::TruncatedNormal);
            Initializer::VarianceScaling { scale: 1.0, mode, distribution }
        }),
        ("Orthogonal", "orthogonal", Initializer::Orthogonal { gain: 1.0 }),
        ("Identity", "identity", Initializer::Identity { gain: 1.0 }),
    ];
    for (class, snake, initializer) in all {
        assert_eq!(class.parse::<Initializer>().unwrap(), initializer);
        assert_eq!(snake.parse::<Initializer>().unwrap(), initializer);
        let config = initializer.to_config();
        assert_eq!((&config["class_name"], &config["module"]), (&json!(class), &json!("keras.initializers")));
        assert_eq!(Initializer::from_config(&config).unwrap(), initializer);
    }
    for initializer in [
        Initializer::Constant(3.0),
        Initializer::RandomNormal { mean: 1.0, stddev: 2.0 },
        Initializer::RandomUniform { min: -1.0, max: 2.0 },
        Initializer::TruncatedNormal { mean: 1.0, stddev: 2.0 },
        Initializer::VarianceScaling {
            scale: 2.0,
            mode: FanMode::FanAvg,
            distribution: Distribution::UntruncatedNormal,
        },
        Initializer::Orthogonal { gain: 0.5 },
        Initializer::Identity { gain: 0.5 },
    ] {
        assert_eq!(Initializer::from_config(&initializer.to_config()).unwrap(), initializer);
    }
    assert_eq!("normal".parse::<Initializer>().unwrap().class(), "RandomNormal");
}

#[test] // keras.saving.serialize_keras_object, Keras 3.15
fn configs_of_keras_are_read() {
    let glorot = json!({"module": "keras.initializers", "class_name": "GlorotUniform",
        "config": {"seed": 7, "input_axes": null, "output_axes": null}, "registered_name": null});
    assert_eq!(Initializer::from_config(&glorot).unwrap(), Initializer::GlorotUniform);
    let constant = json!({"class_name": "Constant", "config": {"value": 2}});
    assert_eq!(Initializer::from_config(&constant).unwrap(), Initializer::Constant(2.0));
    let normal = json!({"class_name": "VarianceScaling", "config": {"distribution": "normal", "mode": "fan_out"}});
    assert_eq!(Initializer::from_config(&normal).unwrap().to_config()["config"]["distribution"], "truncated_normal");
}

#[test]
fn what_is_wrong_is_named() {
    let refusal = |config| Initializer::from_config(&config).unwrap_err().to_string();
    let unknown = refusal(json!("glorot"));
    assert!(unknown.starts_with("there is no initializer `glorot`; there are `zeros`, `ones`"), "{unknown}");
    let of = |class: &str, config| json!({ "class_name": class, "config": config });
    for (config, problem) in [
        (of("Constant", json!({"valu": 1})), "Constant: there is no option `valu`; there is `value`"),
        (of("Constant", json!({"value": "1"})), "`value` must be a number, got \"1\""),
        (of("RandomNormal", json!({"stddev": -1})), "`stddev` must be at least 0, got -1"),
        (of("RandomUniform", json!({"minval": 1})), "`maxval` must be at least `minval`, got 0.05"),
        (of("VarianceScaling", json!({"scale": 0})), "`scale` must be above 0, got 0"),
        (
            of("VarianceScaling", json!({"mode": "fan"})),
            "there is no mode `fan`; there are `fan_in`, `fan_out`, `fan_avg`",
        ),
        (
            of("GlorotUniform", json!({"input_axes": [0]})),
            "GlorotUniform: there is no option `input_axes`; there is `seed`",
        ),
        (json!(7), "`initializer` must be a name or {\"class_name\": …, \"config\": {…}}, got 7"),
    ] {
        assert_eq!(refusal(config), problem);
    }
    let mut g = rng(0, "");
    for (initializer, shape, problem) in [
        (Initializer::Orthogonal { gain: 1.0 }, &[3][..], "expected at least two axes for `orthogonal`, received (3)"),
        (Initializer::Identity { gain: 1.0 }, &[3, 3, 3], "expected two axes for `identity`, received (3, 3, 3)"),
        (Initializer::Constant(f64::NAN), &[3], "`value` must be a finite number, got NaN"),
    ] {
        assert_eq!(initializer.array::<f32>(shape, &mut g).unwrap_err().to_string(), problem);
    }
    let refused = Initializer::Zeros.fill(&[2, 2], &mut [0.0f32; 3], &mut g).unwrap_err().to_string();
    assert_eq!(refused, "expected a shape of 3 values, received (2, 2)");
}

#[test] // A seed's weights must outlive an update of rand_distr: a change here is a breaking one.
fn the_weights_of_a_seed_stay() {
    for (name, expected) in [
        ("random_uniform", [0.033_290_154_700_021_54, -0.037_476_196_027_018_86, -0.037_113_758_290_837_545]),
        ("random_normal", [0.040_551_382_452_880_314, -0.074_208_822_984_817_3, -0.032_410_371_343_195_236]),
        ("truncated_normal", [0.040_551_382_452_880_314, -0.074_208_822_984_817_3, -0.032_410_371_343_195_236]),
    ] {
        let w = name.parse::<Initializer>().unwrap().array::<f64>(&[3], &mut rng(42, "dense/kernel")).unwrap();
        for (w, e) in w.iter().zip(expected) {
            approx::assert_relative_eq!(*w, e, max_relative = 1e-12);
        }
    }
}
