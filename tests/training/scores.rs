//! Scores against slow twins and laws; what they refuse.
#![allow(clippy::unwrap_used)]

use gradus::Error;
use gradus::metrics::scores::{self, Average, Classification, MultiClass, Ranking, Regression};
use ndarray::{Array1, Array2, Axis, array};
use ndarray_rand::rand::Rng;

/// Labels and scores in steps, so that many tie.
fn tied(n: usize, seed: u64) -> (Array1<u8>, Array1<f64>) {
    let mut rng = gradus::random::rng(seed, "scores");
    let truth = Array1::from_shape_fn(n, |_| u8::from(rng.random_bool(0.4)));
    let scores = truth.mapv(|t| (f64::from(t) * 3.0 + rng.random_range(0.0..8.0)).floor());
    (truth, scores)
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

#[track_caller]
fn refuses<T>(result: gradus::Result<T>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted; expected an error with {parts:?}") };
    for part in parts {
        assert!(error.to_string().contains(part), "{error} does not hold {part:?}");
    }
}

#[test]
fn the_area_is_the_share_of_pairs_in_the_right_order() {
    for seed in 0..5 {
        let (truth, scores) = tied(61, seed);
        let (mut right, mut pairs) = (0.0, 0.0);
        for (t, s) in truth.iter().zip(&scores) {
            for (u, r) in truth.iter().zip(&scores) {
                if t > u {
                    pairs += 1.0;
                    right += if s > r { 1.0 } else { 0.5 * f64::from(u8::from(s == r)) };
                }
            }
        }
        near(scores::roc_auc_score(&truth, &scores, &Ranking::new()).unwrap(), right / pairs);
    }
}

#[test]
fn the_area_is_that_under_the_curve_and_turns_with_the_scores() {
    let (truth, scores) = tied(200, 7);
    let area = scores::roc_auc_score(&truth, &scores, &Ranking::new()).unwrap();
    let curve = scores::roc_curve(&truth, &scores, &Ranking::new()).unwrap();
    near(scores::auc(&curve.fpr, &curve.tpr).unwrap(), area);
    near(scores::roc_auc_score(&truth, &scores.mapv(|s| -s), &Ranking::new()).unwrap(), 1.0 - area);
    near(scores::roc_auc_score(&truth, &scores.mapv(f64::exp), &Ranking::new()).unwrap(), area);
}

#[test]
fn a_whole_weight_counts_like_so_many_rows() {
    let (truth, ranks) = tied(40, 3);
    let predicted = ranks.mapv(|s| u8::from(s > 4.0));
    let weights: Vec<f64> = (0..40).map(|row| f64::from(row % 3)).collect();
    let rows: Vec<usize> = (0..40).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let (many_t, many_p, many_s) =
        (truth.select(Axis(0), &rows), predicted.select(Axis(0), &rows), ranks.select(Axis(0), &rows));
    let (weighted, plain) = (Classification::new().sample_weight(&weights[..]), Classification::new());
    for score in [scores::accuracy_score, scores::precision_score, scores::recall_score, scores::f1_score] {
        near(score(&truth, &predicted, &weighted).unwrap(), score(&many_t, &many_p, &plain).unwrap());
    }
    let (weighted, plain) = (Ranking::new().sample_weight(&weights[..]), Ranking::new());
    for score in [scores::roc_auc_score, scores::average_precision_score] {
        near(score(&truth, &ranks, &weighted).unwrap(), score(&many_t, &many_s, &plain).unwrap());
    }
    let (weighted, plain) = (Regression::new().sample_weight(&weights[..]), Regression::new());
    let (t, many_t) = (truth.mapv(f64::from), many_t.mapv(f64::from));
    for score in [scores::mean_squared_error, scores::median_absolute_error, scores::r2_score] {
        near(score(&t, &ranks, &weighted).unwrap(), score(&many_t, &many_s, &plain).unwrap());
    }
}

#[test]
fn labels_of_every_number_type_are_taken() {
    let plain = Classification::new();
    let predicted = array![1.0f32, 0.0, 1.0];
    assert_eq!(scores::accuracy_score(&array![1u8, 0, 0], &predicted, &plain).unwrap(), 2.0 / 3.0);
    assert_eq!(
        scores::accuracy_score(&array![[1i64], [0], [0]], &array![[1usize], [0], [1]], &plain).unwrap(),
        2.0 / 3.0
    );
    refuses(scores::accuracy_score(&array![1.0, 0.5, 0.0], &predicted, &plain), &["whole numbers", "0.5 at row 1"]);
    refuses(scores::accuracy_score(&array![1.0, 0.0, f64::NAN], &predicted, &plain), &["NaN at row 2"]);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let (t, p) = (array![0, 1, 1], array![0.1, 0.6, 0.7]);
    let plain = Ranking::new();
    refuses(scores::roc_auc_score(&t, &array![0.1, f64::NAN, 0.2], &plain), &["finite numbers", "NaN at row 1"]);
    refuses(scores::roc_auc_score(&t, &array![0.1, 0.2], &plain), &["as many rows", "3", "2"]);
    assert!(matches!(scores::roc_auc_score(&array![1, 1, 1], &p, &plain), Err(Error::Undefined { .. })));
    refuses(scores::roc_auc_score(&array![0, 1, 2], &p, &plain), &["column of scores for each class"]);
    refuses(scores::roc_auc_score(&t, &array![[0.1, 0.9], [0.2, 0.8], [0.5, 0.5]], &plain), &["positive class"]);
    refuses(scores::roc_auc_score(&t, &p, &Ranking::new().max_fpr(0.0)), &["max_fpr", "0"]);
    refuses(scores::roc_auc_score(&t, &p, &Ranking::new().sample_weight([1.0, -1.0, 1.0])), &["-1 at row 1"]);
    refuses(scores::roc_auc_score(&t, &p, &Ranking::new().sample_weight([0.0; 3])), &["above 0"]);
    refuses(
        scores::roc_auc_score(&t, &p, &Ranking::new().sample_weight([1.0; 2])),
        &["3 values in sample_weight", "2"],
    );
    refuses(scores::log_loss(&t, &array![0.1, 1.6, 0.7], &plain), &["between 0 and 1", "1.6 at row 1"]);
    refuses(scores::log_loss(&array![1, 1], &array![0.1, 0.7], &plain), &["labels"]);
    let none = Array1::<i64>::zeros(0);
    refuses(scores::accuracy_score(&none, &none, &Classification::new()), &["with rows"]);
    refuses(scores::f1_score(&array![0, 1, 2], &array![0, 1, 2], &Classification::new()), &["average", "[0, 1, 2]"]);
    let misplaced = Classification::new().average(Average::Macro);
    refuses(scores::accuracy_score(&t, &t, &misplaced), &["accuracy_score", "average", "no part"]);
    let y = array![1.0f32, 2.0];
    refuses(scores::mean_squared_error(&y, &array![1.0], &Regression::new()), &["(2)", "(1)"]);
    refuses(
        scores::mean_squared_error(&y, &array![1.0, f32::INFINITY], &Regression::new()),
        &["y_pred", "inf at row 1"],
    );
}

#[test]
fn one_against_the_rest_is_the_mean_of_binary_areas() {
    let mut rng = gradus::random::rng(5, "classes");
    let truth = Array1::from_shape_fn(50, |row| row % 3);
    let mut p = Array2::from_shape_fn((50, 3), |_| rng.random_range(0.1..1.0f32));
    p.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
    let area = |class: usize| {
        scores::roc_auc_score(&truth.mapv(|t| usize::from(t == class)), &p.column(class), &Ranking::new()).unwrap()
    };
    let options = Ranking::new().multi_class(MultiClass::OneVsRest);
    near(scores::roc_auc_score(&truth, &p, &options).unwrap(), (area(0) + area(1) + area(2)) / 3.0);
}

/// By exact arithmetic the spread of a constant is 0, whatever the constant: the score of a miss is 0, of a hit 1.
#[test]
fn a_constant_has_no_spread() {
    for constant in [0.1, 0.5, 3.0, 1e-30, 123_456_789.123] {
        let truth = Array1::from_elem(3, constant);
        let score = |said: f64| scores::r2_score(&truth, &Array1::from_elem(3, said), &Regression::new()).unwrap();
        assert_eq!((score(constant * 2.0), score(constant)), (0.0, 1.0), "{constant}");
        let explained = scores::explained_variance_score(&truth, &(&truth * 2.0), &Regression::new()).unwrap();
        assert_eq!(explained, 1.0, "{constant}");
        let narrow = truth.mapv(|value| value as f32);
        assert_eq!(scores::r2_score(&narrow, &(&narrow * 2.0), &Regression::new()).unwrap(), 0.0, "{constant}");
    }
}

#[test]
fn what_is_not_defined_is_an_error_not_nan() {
    let one = array![0, 0];
    let adjusted = scores::balanced_accuracy_score(&one, &one, true, &Classification::new());
    assert!(matches!(adjusted, Err(Error::Undefined { .. })), "{adjusted:?}");
    assert_eq!(scores::balanced_accuracy_score(&one, &one, false, &Classification::new()).unwrap(), 1.0);
}
