//! Constraints: Keras's values, all kinds of axes, configurations both ways.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use approx::assert_relative_eq;
use gradus::constraints::Constraint;
use gradus::initializers::Initializer;
use gradus::random::rng;
use ndarray::{ArrayD, Axis};
use serde_json::json;

fn max_norm(max_value: f64, axis: &[isize]) -> Constraint {
    Constraint::MaxNorm { max_value, axis: axis.to_vec() }
}

fn unit_norm(axis: &[isize]) -> Constraint {
    Constraint::UnitNorm { axis: axis.to_vec() }
}

fn min_max_norm(min_value: f64, max_value: f64, rate: f64) -> Constraint {
    Constraint::MinMaxNorm { min_value, max_value, rate, axis: vec![0] }
}

#[test] // keras.constraints of Keras 3.15 on JAX with 64 bits
fn projections_are_those_of_keras() {
    let w = [0.5, -1.5, 2.0, 1.0, 0.25, -3.0]; // (2, 3)
    #[rustfmt::skip]
    let cases = [
        (max_norm(1.5, &[0]), [0.499_999_955_278_644_44, -1.479_590_788_450_924_7, 0.832_050_271_260_921_3, 0.999_999_910_557_288_9, 0.246_598_464_741_820_8, -1.248_075_406_891_382]),
        (max_norm(1.5, &[1]), [0.294_174_191_168_815, -0.882_522_573_506_445, 1.176_696_764_675_26, 0.472_866_228_836_628_6, 0.118_216_557_209_157_15, -1.418_598_686_509_885_9]),
        (max_norm(1.5, &[0, 1]), [0.184_288_530_521_883_57, -0.552_865_591_565_650_7, 0.737_154_122_087_534_3, 0.368_577_061_043_767_14, 0.092_144_265_260_941_79, -1.105_731_183_131_300_1]),
        (Constraint::NonNeg, [0.5, 0.0, 2.0, 1.0, 0.25, 0.0]),
        (unit_norm(&[0]), [0.447_213_555_499_961_45, -0.986_393_858_967_283_2, 0.554_700_180_840_614_2, 0.894_427_110_999_922_9, 0.164_398_976_494_547_18, -0.832_050_271_260_921_3]),
        (unit_norm(&[-1]), [0.196_116_127_445_876_67, -0.588_348_382_337_63, 0.784_464_509_783_506_7, 0.315_244_152_557_752_4, 0.078_811_038_139_438_1, -0.945_732_457_673_257_2]),
        (min_max_norm(1.2, 2.5, 0.75), [0.527_492_188_769_626_3, -1.499_999_901_360_614, 1.540_062_825_208_647_2, 1.054_984_377_539_252_7, 0.249_999_983_560_102_33, -2.310_094_237_812_971]),
    ];
    for (constraint, expected) in cases {
        let mut projected: [f64; 6] = w;
        constraint.apply(&mut projected, &[2, 3]);
        for (p, e) in projected.iter().zip(expected) {
            assert_relative_eq!(*p, e, max_relative = 1e-14);
        }
        constraint.check(&[2, 3]).unwrap();
    }
}

#[test]
fn norms_go_over_any_set_of_axes() {
    let shape = [2, 3, 4, 5];
    let normal = Initializer::RandomNormal { mean: 0.0, stddev: 1.0 };
    let w: ArrayD<f64> = normal.array(&shape, &mut rng(1, "w")).unwrap();
    for axes in [&[0][..], &[1], &[-1], &[0, 1, 2], &[2, 1], &[0, 3], &[0, 2], &[1, -1], &[0, 1, 2, 3], &[]] {
        let mut projected = w.clone();
        unit_norm(axes).apply(projected.as_slice_mut().unwrap(), &shape);
        let mut squares = projected.mapv(|w| w * w);
        for axis in 0..4 {
            let named = axes.iter().any(|&a| a == axis || a + 4 == axis);
            if named {
                squares = squares.sum_axis(Axis(axis.unsigned_abs())).insert_axis(Axis(axis.unsigned_abs()));
            }
        }
        assert!(squares.iter().all(|s| (s - 1.0).abs() < 1e-4), "{axes:?}: {squares}");
    }
}

#[test]
fn zeros_and_empty_parameters_stay() {
    let mut w = [0.0f32; 4];
    for constraint in [max_norm(1.0, &[0]), unit_norm(&[0]), min_max_norm(0.5, 1.0, 1.0)] {
        constraint.apply(&mut w, &[2, 2]);
        assert_eq!(w, [0.0; 4]);
        constraint.apply::<f32>(&mut [], &[0, 2]);
        constraint.apply::<f32>(&mut [], &[2, 0]);
    }
    let mut w = [f64::NAN, -1.0, -0.0, 1.0];
    Constraint::NonNeg.apply(&mut w, &[4]);
    assert!(w[0].is_nan() && w[1..] == [0.0, 0.0, 1.0]);
}

#[test]
fn configurations_go_both_ways() {
    for (name, class, constraint) in [
        ("max_norm", "MaxNorm", max_norm(2.0, &[0])),
        ("non_neg", "NonNeg", Constraint::NonNeg),
        ("unit_norm", "UnitNorm", unit_norm(&[0])),
        ("min_max_norm", "MinMaxNorm", min_max_norm(0.0, 1.0, 1.0)),
    ] {
        assert_eq!(Constraint::from_config(&json!(name)).unwrap(), constraint);
        assert_eq!(Constraint::from_config(&json!({"class_name": class})).unwrap(), constraint);
        let config = constraint.to_config();
        assert_eq!((&config["class_name"], &config["module"]), (&json!(class), &json!("keras.constraints")));
        assert_eq!(Constraint::from_config(&config).unwrap(), constraint);
    }
    for constraint in [max_norm(3.0, &[0, 1, 2]), unit_norm(&[-1]), min_max_norm(0.5, 2.0, 0.9), unit_norm(&[])] {
        assert_eq!(Constraint::from_config(&constraint.to_config()).unwrap(), constraint);
    }
    assert_eq!(max_norm(3.0, &[1]).to_config()["config"], json!({"max_value": 3.0, "axis": 1}));
}

#[test]
fn what_is_wrong_is_named() {
    for (config, problem) in [
        (json!("norm"), "there is no constraint `norm`; there are `max_norm`, `non_neg`, `unit_norm`, `min_max_norm`"),
        (json!({"class_name": "NonNeg", "config": {"axis": 0}}), "NonNeg: there is no option `axis`; there are none"),
        (
            json!({"class_name": "UnitNorm", "config": {"axis": 0.5}}),
            "`axis` must be a whole number or a list of them, got 0.5",
        ),
        (json!({"class_name": "MaxNorm", "config": {"max_value": -1}}), "`max_value` must be at least 0, got -1"),
        (
            json!({"class_name": "MinMaxNorm", "config": {"min_value": 2}}),
            "`max_value` must be at least `min_value`, got 1",
        ),
        (json!({"class_name": "MinMaxNorm", "config": {"rate": 2}}), "`rate` must be in 0..=1, got 2"),
    ] {
        assert_eq!(Constraint::from_config(&config).unwrap_err().to_string(), problem);
    }
    for axis in [&[2][..], &[-3], &[0, 0], &[0, -2]] {
        let refused = unit_norm(axis).check(&[3, 4]).unwrap_err().to_string();
        assert_eq!(refused, format!("`axis` must be different axes of a parameter (3, 4), got {axis:?}"));
    }
}
