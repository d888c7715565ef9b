//! Penalties: Keras's values, gradients by differences, configurations both ways.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use approx::assert_relative_eq;
use gradus::initializers::Initializer;
use gradus::random::rng;
use gradus::regularizers::{OrthogonalMode, Regularizer};
use serde_json::json;

const W: [f64; 6] = [0.5, -1.5, 2.0, 1.0, 0.25, -3.0];

fn orthogonal(factor: f64, mode: OrthogonalMode) -> Regularizer {
    Regularizer::OrthogonalRegularizer { factor, mode }
}

#[test] // keras.regularizers of Keras 3.15 on JAX with 64 bits, W as a (2, 3) tensor
fn penalties_are_those_of_keras() {
    for (regularizer, expected) in [
        (Regularizer::L1(0.1), 0.825),
        (Regularizer::L2(0.1), 1.65625),
        (Regularizer::L1L2 { l1: 0.1, l2: 0.2 }, 4.1375),
        (orthogonal(0.3, OrthogonalMode::Rows), 0.217_931_245_376_653_18),
        (orthogonal(0.3, OrthogonalMode::Columns), 0.147_416_591_607_568_68),
    ] {
        assert_relative_eq!(regularizer.penalty(&W, &[2, 3]), expected, max_relative = 1e-7);
        #[allow(clippy::cast_possible_truncation)]
        let single = regularizer.penalty(&W.map(|w| w as f32), &[2, 3]);
        assert_relative_eq!(f64::from(single), expected, max_relative = 1e-6);
    }
}

#[test]
fn gradients_are_the_differences_of_the_penalty() {
    for shape in [[2, 3], [5, 4], [4, 7], [1, 6], [6, 1]] {
        let normal = Initializer::RandomNormal { mean: 0.0, stddev: 1.0 };
        let mut x: Vec<f64> = normal.array(&shape, &mut rng(5, "x")).unwrap().into_raw_vec_and_offset().0;
        for regularizer in [
            Regularizer::L1(0.3),
            Regularizer::L2(0.2),
            Regularizer::L1L2 { l1: 0.3, l2: 0.2 },
            Regularizer::L1L2 { l1: 0.0, l2: 0.2 },
            orthogonal(0.7, OrthogonalMode::Rows),
            orthogonal(0.7, OrthogonalMode::Columns),
        ] {
            // It adds, and by a scale.
            let mut gradient = vec![1.0; x.len()];
            regularizer.add_gradient(&x, &shape, 0.5, &mut gradient);
            for i in 0..x.len() {
                let (at, h) = (x[i], 1e-6);
                x[i] = at + h;
                let above = regularizer.penalty(&x, &shape);
                x[i] = at - h;
                let below = regularizer.penalty(&x, &shape);
                x[i] = at;
                let expected = 1.0 + 0.5 * (above - below) / (2.0 * h);
                assert_relative_eq!(gradient[i], expected, epsilon = 1e-8, max_relative = 1e-7);
            }
        }
    }
}

#[test]
fn at_zero_and_for_single_vectors_nothing_breaks() {
    let mut gradient = [0.0f64; 3];
    Regularizer::L1(1.0).add_gradient(&[0.0, -0.0, -2.0], &[3], 1.0, &mut gradient);
    assert_eq!(gradient, [0.0, 0.0, -1.0]);
    let rows = orthogonal(1.0, OrthogonalMode::Rows);
    assert_eq!(rows.penalty(&[3.0f64, 4.0], &[1, 2]), 0.0);
    assert_eq!(rows.penalty::<f64>(&[], &[0, 2]), 0.0);
    // A zero row is orthogonal to every other.
    let w = [0.0f64, 0.0, 3.0, 4.0];
    let mut gradient = [0.0; 4];
    assert_eq!(rows.penalty(&w, &[2, 2]), 0.0);
    rows.add_gradient(&w, &[2, 2], 1.0, &mut gradient);
    assert_eq!(gradient, [0.0; 4]);
    // Orthogonal rows have no penalty, parallel ones have all of it.
    assert_eq!(rows.penalty(&[2.0f64, 0.0, 0.0, 5.0], &[2, 2]), 0.0);
    assert_relative_eq!(rows.penalty(&[1.0f64, 2.0, -2.0, -4.0], &[2, 2]), 1.0, epsilon = 1e-15);
}

#[test]
fn long_sums_stay_exact_in_f32() {
    let x = vec![0.1f32; 1_000_003];
    assert_relative_eq!(Regularizer::L1(1.0).penalty(&x, &[x.len()]), 100_000.3, max_relative = 1e-6);
    assert_relative_eq!(Regularizer::L2(1.0).penalty(&x, &[x.len()]), 10_000.03, max_relative = 1e-6);
}

#[test]
fn configurations_go_both_ways() {
    for (name, class, regularizer) in [
        ("l1", "L1", Regularizer::L1(0.01)),
        ("l2", "L2", Regularizer::L2(0.01)),
        ("l1l2", "L1L2", Regularizer::L1L2 { l1: 0.0, l2: 0.0 }),
        ("orthogonal_regularizer", "OrthogonalRegularizer", orthogonal(0.01, OrthogonalMode::Rows)),
    ] {
        assert_eq!(Regularizer::from_config(&json!(name)).unwrap(), regularizer);
        assert_eq!(Regularizer::from_config(&json!({"class_name": class, "config": {}})).unwrap(), regularizer);
        let config = regularizer.to_config();
        assert_eq!((&config["class_name"], &config["module"]), (&json!(class), &json!("keras.regularizers")));
    }
    assert_eq!("l1_l2".parse::<Regularizer>().unwrap(), Regularizer::L1L2 { l1: 0.01, l2: 0.01 });
    for regularizer in [
        Regularizer::L1(0.5),
        Regularizer::L2(0.5),
        Regularizer::L1L2 { l1: 0.5, l2: 0.25 },
        orthogonal(0.5, OrthogonalMode::Columns),
    ] {
        assert_eq!(Regularizer::from_config(&regularizer.to_config()).unwrap(), regularizer);
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (config, problem) in [
        (json!("l3"), "there is no regularizer `l3`; there are `l1`, `l2`, `l1_l2`, `orthogonal_regularizer`"),
        (json!({"class_name": "L1", "config": {"l2": 1}}), "L1: there is no option `l2`; there is `l1`"),
        (json!({"class_name": "L2", "config": {"l2": -1}}), "`l2` must be at least 0 and finite, got -1"),
        (
            json!({"class_name": "OrthogonalRegularizer", "config": {"mode": "diagonals"}}),
            "there is no mode `diagonals`; there are `rows`, `columns`",
        ),
    ] {
        assert_eq!(Regularizer::from_config(&config).unwrap_err().to_string(), problem);
    }
    let rows = orthogonal(1.0, OrthogonalMode::Rows);
    let refused = rows.check(&[2, 2, 2]).unwrap_err().to_string();
    assert_eq!(refused, "expected two axes for `orthogonal_regularizer`, received (2, 2, 2)");
    assert!(rows.penalty(&[1.0f32; 8], &[2, 2, 2]).is_nan());
    assert!(Regularizer::L2(1.0).check(&[2, 2, 2]).is_ok());
}
