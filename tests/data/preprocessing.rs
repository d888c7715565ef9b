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
    refuses(
        OneHotEncoder::new().fit(&array![[1], [2]]).unwrap().transform::<f64>(&array![[3]]),
        "3 at row 0, column 0",
    );
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
    // What a processor computes has another sign than the constant.
    let computed = std::hint::black_box(f64::INFINITY) - f64::INFINITY;
    assert_eq!(duplicate_rows(&array![[f64::NAN, 1.0], [computed, 1.0], [-f64::NAN, 1.0]]), [1, 2]);
}

#[test]
fn a_pipeline_comes_back_from_its_file() {
    let mut x = table();
    x[[3, 1]] = f32::NAN;
    let words = array![["red", "small"], ["blue", "large"], ["red", "large"]].mapv(String::from);
    let imputer = SimpleImputer::new().strategy(Fill::Median).fit(&x).unwrap();
    let scaler = RobustScaler::new().fit(&imputer.transform(&x).unwrap()).unwrap();
    let encoder = OneHotEncoder::new().drop_first(true).ignore_unknown(true).fit(&words).unwrap();
    let labels = LabelEncoder::fit([7i64, -2, 7, 40]);
    let path = std::env::temp_dir().join(format!("gradus-steps-{}.json", std::process::id()));
    let steps =
        Steps::new().with("gaps", &imputer).with("scale", &scaler).with("words", &encoder).with("labels", &labels);
    steps.save(&path).unwrap();

    let loaded = Steps::load(&path).unwrap();
    assert!(loaded.names().eq(["gaps", "labels", "scale", "words"]));
    let (gaps, scale) = (loaded.get::<SimpleImputer>("gaps").unwrap(), loaded.get::<RobustScaler>("scale").unwrap());
    let expected = scaler.transform(&imputer.transform(&x).unwrap()).unwrap();
    assert_eq!(scale.transform(&gaps.transform(&x).unwrap()).unwrap(), expected);
    let again: OneHotEncoder<String> = loaded.get("words").unwrap();
    let other = array![["red", "huge"], ["blue", "small"]].mapv(String::from);
    assert_eq!(again.transform::<f64>(&other).unwrap(), encoder.transform::<f64>(&other).unwrap());
    assert_eq!(loaded.get::<LabelEncoder<i64>>("labels").unwrap(), labels);

    refuses(loaded.get::<StandardScaler>("scale"), "`scale` is a RobustScaler, not a StandardScaler");
    refuses(loaded.get::<RobustScaler>("other"), "no step `other`");
    refuses(loaded.get::<LabelEncoder<String>>("labels"), "`labels`");
    let text = std::fs::read_to_string(&path).unwrap();
    let swapped: String = text.split_whitespace().collect::<String>().replace("[-2,7,40]", "[7,-2,40]");
    std::fs::write(&path, swapped).unwrap();
    refuses(Steps::load(&path).unwrap().get::<LabelEncoder<i64>>("labels"), "different and ascending");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    refuses(Steps::load(&path), "is no file of steps");
    std::fs::write(&path, "{\"steps\": {}}").unwrap();
    refuses(Steps::load(&path), "`format`");
    std::fs::remove_file(&path).unwrap();
    refuses(Steps::load(&path), "gradus-steps");
}

#[test]
fn a_layer_adapts_to_the_axes_that_it_is_told() {
    use gradus::prelude::{Normalization, Sequential};
    let x =
        ndarray::Array3::from_shape_fn((7, 3, 2), |(i, j, k)| ((i * 5 + j * 3 + k * 7) % 11) as f64 * (1.0 + k as f64));
    let mean_of = |axis: Normalization| {
        let model = Sequential::f64().input([3, 2]).add(axis.adapt(&x).unwrap()).build().unwrap();
        model.predict(&x).unwrap()
    };
    let flat = mean_of(Normalization::new().whole());
    assert!(flat.mean().unwrap().abs() < 1e-12 && (flat.std(0.0) - 1.0).abs() < 1e-12);
    let features = mean_of(Normalization::new());
    for k in 0..2 {
        let of = features.index_axis(ndarray::Axis(2), k).to_owned();
        assert!(of.mean().unwrap().abs() < 1e-12 && (of.std(0.0) - 1.0).abs() < 1e-12);
    }
    let places = mean_of(Normalization::new().axis([1, 2]));
    assert!(places.mean_axis(ndarray::Axis(0)).unwrap().iter().all(|mean| mean.abs() < 1e-12));
    assert_ne!(places, features);
    // A constant is no reason to divide by zero.
    let constant = ndarray::Array2::from_elem((4, 1), 3.0);
    let model = Sequential::f64().input([1]).add(Normalization::new().adapt(&constant).unwrap()).build().unwrap();
    assert_eq!(model.predict(&constant).unwrap().iter().sum::<f64>(), 0.0);

    let build = |layer: Normalization| Sequential::new().input([3]).add(layer).build();
    refuses(build(Normalization::new()), "`adapt`");
    refuses(build(Normalization::new().mean([1.0, 2.0]).variance(1.0)), "3 of them");
    refuses(build(Normalization::new().mean(1.0).variance(-1.0)), "`variance`");
    refuses(build(Normalization::new().axis(0).mean(1.0).variance(1.0)), "`axis`");
    refuses(Normalization::new().adapt(&array![[f64::NAN]]), "finite numbers, received NaN");
    refuses(Normalization::new().adapt(&ndarray::Array2::<f32>::zeros((0, 2))), "at least one row");
}

/// The mean of a constant is the constant: errors do not grow with the rows.
#[test]
fn a_large_constant_is_scaled_to_zero() {
    let x = Array2::from_elem((1000, 2), 123_456_789.123_456_7f64);
    assert!(StandardScaler::new().fit(&x).unwrap().transform(&x).unwrap().iter().all(|&z| z == 0.0));
    let narrow = Array2::from_elem((100_000, 1), 0.1f32);
    assert!(StandardScaler::new().fit(&narrow).unwrap().transform(&narrow).unwrap().iter().all(|&z| z == 0.0));
}
