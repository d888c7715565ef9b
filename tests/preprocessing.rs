//! Preparing data: what is refused, saving, and laws.
#![allow(clippy::unwrap_used)]

use gradus::config::Configured;
use gradus::data::preprocessing::*;
use ndarray::{Array1, Array2, array};

#[track_caller]
fn refuses<T>(result: gradus::Result<T>, part: &str) {
    let Err(error) = result else { panic!("accepted; expected an error with {part:?}") };
    assert!(error.to_string().contains(part), "{error} does not hold {part:?}");
}

fn table() -> Array2<f32> {
    Array2::from_shape_fn((11, 3), |(i, j)| ((i * 7 + j * 5) % 13) as f32 - 4.0)
}

#[test]
fn every_scaler_comes_back_and_is_the_same_when_loaded() {
    let x = table();
    macro_rules! check {
        ($($scaler:ident),+) => {$({
            let scaler = $scaler::new().fit(&x).unwrap();
            let z = scaler.transform(&x).unwrap();
            let back = scaler.inverse_transform(&z).unwrap();
            assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5), stringify!($scaler));
            let text = serde_json::to_string(&scaler.to_config()).unwrap();
            let loaded = $scaler::from_config(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(loaded.transform(&x).unwrap(), z, stringify!($scaler));
        })+};
    }
    check!(StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler);
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = table();
    refuses(StandardScaler::new().transform(&x), "fit it on training data first");
    let scaler = MinMaxScaler::new().fit(&x).unwrap();
    refuses(scaler.transform(&Array2::<f32>::zeros((2, 4))), "3 columns, as it was fitted on, received 4");
    refuses(MinMaxScaler::new().feature_range([1.0, 1.0]).fit(&x), "`feature_range` must be rising");
    refuses(RobustScaler::new().quantile_range([80.0, 20.0]).fit(&x), "`quantile_range`");
    refuses(StandardScaler::new().fit(&array![[1.0, f64::NAN], [2.0, f64::NAN]]), "none in column 1");
    refuses(MaxAbsScaler::new().fit(&array![[1.0], [f64::INFINITY]]), "inf at row 1, column 0");
    refuses(Normalizer::new().transform(&array![[f64::NAN]]), "NaN at row 0");
    refuses(SimpleImputer::new().fit(&Array2::<f32>::zeros((0, 2))), "rows and columns");
    refuses(LabelEncoder::fit(["a", "b"]).transform(["c"]), "c at row 0");
    refuses(LabelEncoder::fit(["a", "b"]).inverse_transform(&[2]), "2 at row 0");
    refuses(OneHotEncoder::new().fit(&array![[1], [2]]).unwrap().transform(&array![[3]]), "3 at row 0, column 0");
    refuses(z_score_outliers(&x, 0.0), "`limit`");
    refuses(median_filter(&array![1.0, 2.0], 2), "odd");
    refuses(moving_average(&array![1.0, f64::NAN], 3), "NaN at 1");
    refuses(interpolate_missing(&array![f64::NAN]), "a series with a number");
    refuses(balanced_class_weights([]), "labels");
}

#[test]
fn balanced_weights_give_every_class_the_same_weight() {
    let labels = [0usize, 0, 0, 0, 3, 3, 1];
    let total = |class| labels.iter().filter(|label| **label == class).count() as f64;
    for (class, weight) in balanced_class_weights(labels).unwrap() {
        assert!((weight * total(class) - 7.0 / 3.0).abs() < 1e-12);
    }
}

#[test]
fn filters_leave_a_constant_and_interpolation_a_line() {
    let constant = Array1::from_elem(9, 2.5f32);
    assert_eq!(median_filter(&constant, 5).unwrap(), constant);
    assert_eq!(moving_average(&constant, 5).unwrap(), constant);
    let line = Array1::from_shape_fn(20, |i| i as f64);
    let mut gaps = line.clone();
    for i in [3, 4, 5, 11] {
        gaps[i] = f64::NAN;
    }
    assert!(interpolate_missing(&gaps).unwrap().iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn equal_rows_are_found_whatever_their_sign_of_zero() {
    assert_eq!(duplicate_rows(&array![[0.0, 1.0], [-0.0, 1.0], [0.0, 2.0]]), [1]);
}
