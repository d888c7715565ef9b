//! Splits: laws that hold for any seed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use gradus::data::{Fold, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, stratified_split, train_test_split};

/// Every row tests once, and trains in all other folds.
fn assert_partition(folds: &[Fold], n: usize) {
    let mut tested: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
    tested.sort_unstable();
    assert_eq!(tested, (0..n).collect::<Vec<_>>());
    for fold in folds {
        let all: BTreeSet<usize> = fold.train.iter().chain(&fold.test).copied().collect();
        assert_eq!((all.len(), fold.train.len() + fold.test.len()), (n, n));
    }
}

#[test]
fn every_row_tests_once() {
    let labels: Vec<u8> = (0..47).map(|row| u8::from(row % 5 == 0)).collect();
    for shuffle in [false, true] {
        assert_partition(&KFold::new().shuffle(shuffle).split(47).unwrap(), 47);
        assert_partition(&StratifiedKFold::new().shuffle(shuffle).split(&labels).unwrap(), 47);
    }
    assert_partition(&GroupKFold::new().split((0..47).map(|row| row / 4)).unwrap(), 47);
}

#[test]
fn a_seed_gives_the_same_folds_and_another_seed_others() {
    let folds = |seed| KFold::new().shuffle(true).seed(seed).split(100).unwrap();
    assert_eq!(folds(1), folds(1));
    assert_ne!(folds(1), folds(2));
    let labels: Vec<bool> = (0..100).map(|row| row % 3 == 0).collect();
    let folds = |seed| StratifiedKFold::new().shuffle(true).seed(seed).split(&labels).unwrap();
    assert_eq!(folds(1), folds(1));
    assert_ne!(folds(1), folds(2));
    assert_eq!(stratified_split(&labels, 0.2, 1).unwrap(), stratified_split(&labels, 0.2, 1).unwrap());
    assert_ne!(train_test_split(100, 0.2, 1).unwrap(), train_test_split(100, 0.2, 2).unwrap());
}

#[test]
fn a_group_is_never_on_both_sides() {
    let groups: Vec<&str> = "the same word never trains and tests the word itself".split(' ').collect();
    for fold in GroupKFold::new().n_splits(3).split(&groups).unwrap() {
        let train: BTreeSet<&str> = fold.train.iter().map(|&row| groups[row]).collect();
        assert!(fold.test.iter().all(|&row| !train.contains(groups[row])));
    }
}

#[test]
fn time_never_runs_backwards() {
    for fold in TimeSeriesSplit::new().gap(2).max_train_size(9).split(50).unwrap() {
        assert!(fold.train.len() <= 9);
        assert_eq!(fold.train.last().unwrap() + 3, fold.test[0]);
    }
}

#[test]
fn what_cannot_be_split_is_refused() {
    for (refused, part) in [
        (KFold::new().n_splits(1).split(10).map(drop), "`n_splits` must be at least 2, got 1"),
        (KFold::new().split(3).map(drop), "at least n_splits = 5 rows, received 3"),
        (StratifiedKFold::new().split([0, 0, 1, 1]).map(drop), "rows in some class, received 2"),
        (GroupKFold::new().split([0, 0, 1, 1, 2]).map(drop), "5 groups, received 3"),
        (TimeSeriesSplit::new().n_splits(2).test_size(3).split(6).map(drop), "more than 6 rows"),
        (stratified_split([0, 0, 1], 0.5, 0).map(drop), "one row of class 1"),
        (stratified_split([0, 0, 1, 1], 0.1, 0).map(drop), "at least 2 rows on each side"),
        (train_test_split(4, 1.0, 0).map(drop), "`test_size`"),
    ] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(part), "{message} does not hold {part:?}");
    }
}
