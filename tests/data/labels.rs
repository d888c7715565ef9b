//! One-hot labels, there and back, and splits of rows.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use gradus::data::{from_categorical, to_categorical, to_categorical_f64, train_test_split, validation_split};
use ndarray::{Array, Array1, Array2, Array3, ArrayD, arr0, array, s};

#[test]
fn every_integer_type_and_rank_gets_one_more_axis() {
    let y: Array2<f32> = to_categorical(&array![1u8, 0, 2], 4).unwrap();
    assert_eq!(y, array![[0., 1., 0., 0.], [1., 0., 0., 0.], [0., 0., 1., 0.]]);
    assert_eq!(to_categorical(&array![1u16, 0, 2], 4).unwrap(), y);
    assert_eq!(to_categorical(&array![1i32, 0, 2], 4).unwrap(), y);
    assert_eq!(to_categorical(&array![1i64, 0, 2], 4).unwrap(), y);
    assert_eq!(to_categorical(&array![1usize, 0, 2], 4).unwrap(), y);
    let y64: Array2<f64> = to_categorical_f64(&array![1i8, 0, 2], 4).unwrap();
    assert_eq!(y64.mapv(|v| v as f32), y);

    let image = array![[0u8, 1], [2, 0]];
    let y: Array3<f32> = to_categorical(&image, 3).unwrap();
    assert_eq!(y.slice(s![1, .., ..]), array![[0., 0., 1.], [1., 0., 0.]]);
    assert_eq!(to_categorical(&image.clone().into_dyn(), 3).unwrap(), y.clone().into_dyn());
    assert_eq!(to_categorical(&image.t(), 3).unwrap(), y.permuted_axes([1, 0, 2]));
    assert_eq!(to_categorical(&arr0(1u8), 2).unwrap(), array![0., 1.]);
}

#[test]
fn without_a_number_of_classes_it_is_the_largest_label_and_one() {
    assert_eq!(to_categorical(&array![3u8, 1], None).unwrap().dim(), (2, 4));
    assert_eq!(to_categorical(&Array1::<u8>::zeros(0), None).unwrap().dim(), (0, 0));
    assert_eq!(to_categorical(&Array1::<u8>::zeros(0), 3).unwrap().dim(), (0, 3));
}

#[test]
fn a_label_outside_is_refused_with_its_value_and_place() {
    let of = |labels: &Array1<i64>, classes: Option<usize>| to_categorical(labels, classes).unwrap_err().to_string();
    assert!(of(&array![0, 3, 10], Some(10)).contains("expected labels in 0..10, received 10 at row 2;"));
    assert!(of(&array![0, -1], Some(10)).contains("received -1 at row 1"));
    assert!(of(&array![-1, 2], None).contains("expected labels in 0..3, received -1 at row 0"));
    assert!(of(&array![0], Some(0)).contains("expected labels in 0..0, received 0 at row 0"));
    assert!(of(&array![i64::MAX], None).contains("`classes` must be a size that the memory is there for"));
    let refused = to_categorical(&array![[0u8, 1], [1, 9]], 2).unwrap_err().to_string();
    assert!(refused.contains("received 9 at (1, 1);"), "{refused}");
}

#[test]
fn the_way_back_takes_the_first_of_the_largest() {
    let labels = Array::from_shape_fn([2, 3, 4], |(i, j, k)| (i * 7 + j * 3 + k * 5) % 6);
    assert_eq!(from_categorical(&to_categorical(&labels, 6).unwrap()).unwrap(), labels);
    assert_eq!(
        from_categorical(&array![[-3.0f64, -1.0, -1.0], [f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]])
            .unwrap(),
        array![1, 0]
    );
    assert!(
        from_categorical(&array![[0.0f32, 1.0], [f32::NAN, 0.0]]).unwrap_err().to_string().contains("NaN at row 1")
    );
    assert!(from_categorical(&Array2::<f32>::zeros([2, 0])).is_err());
    assert!(from_categorical(&ArrayD::<f32>::zeros(vec![])).is_err());
}

#[test]
fn the_last_rows_validate() {
    // Keras: int(math.floor(n * (1.0 - validation_split))) rows train.
    for (n, fraction, train) in [(60_000, 0.1, 54_000), (10, 0.25, 7), (7, 0.5, 3), (100, 0.29, 71), (3, 0.4, 1)] {
        assert_eq!(validation_split(n, fraction).unwrap(), (0..train, train..n), "{n} {fraction}");
    }
    for fraction in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(validation_split(10, fraction).unwrap_err().to_string().starts_with("`validation_split` must be"));
    }
    assert!(validation_split(1, 0.5).is_err());
    assert!(validation_split(0, 0.5).is_err());
}

#[test]
fn test_rows_are_rounded_up_and_every_row_is_in_one_half() {
    for (n, fraction, test) in [(10, 0.25, 3), (150, 0.2, 30), (7, 0.01, 1)] {
        let (a, b) = train_test_split(n, fraction, 7).unwrap();
        assert_eq!((a.len(), b.len()), (n - test, test));
        let mut all = [&a[..], &b[..]].concat();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
    }
    assert_eq!(train_test_split(50, 0.3, 7).unwrap(), train_test_split(50, 0.3, 7).unwrap());
    assert_ne!(train_test_split(50, 0.3, 7).unwrap(), train_test_split(50, 0.3, 8).unwrap());
    assert!(train_test_split(1, 0.5, 0).is_err());
    assert!(train_test_split(10, 1.0, 0).is_err());
}
