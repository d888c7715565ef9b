//! The generator behind every seed: fixed numbers, separate streams, even distributions.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::time::{Duration, Instant};

use gradus::kernels::random::philox;
use gradus::random::{Philox, rng, shuffle, shuffle_with};
use ndarray_rand::rand::rand_core::{RngCore, SeedableRng};

#[test]
fn numbers_are_the_words_of_philox_and_stay_so() {
    let mut g = Philox::new(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
    for block in 0..3 {
        let words = philox([block, 0, 0x7654_3210, 0xfedc_ba98], [0x89ab_cdef, 0x0123_4567]);
        assert_eq!([g.next_u32(), g.next_u32(), g.next_u32(), g.next_u32()], words);
    }
    // Computed by a twin in Python. These change only if every seed of every user changes its meaning.
    assert_eq!(rng(42, "dense/kernel").next_u64(), 0xd539_0929_275b_04af);
    let mut rows: Vec<u32> = (0..10).collect();
    shuffle(&mut rows, 42, 0);
    assert_eq!(rows, [7, 3, 6, 8, 2, 0, 5, 4, 9, 1]);
}

#[test]
fn words_bytes_and_seeds_agree() {
    let mut bytes = [0; 11];
    rng(5, 9u64).fill_bytes(&mut bytes);
    let mut g = rng(5, 9u64);
    assert_eq!(bytes[..8], g.next_u64().to_le_bytes());
    assert_eq!(bytes[8..], g.next_u32().to_le_bytes()[..3]);
    assert_eq!(Philox::seed_from_u64(7), Philox::new(7, 0));
    let seed: Vec<u8> = [5u64.to_le_bytes(), 9u64.to_le_bytes()].concat();
    assert_eq!(Philox::from_seed(seed.try_into().unwrap()), Philox::new(5, 9));
}

#[test]
fn streams_and_seeds_are_independent() {
    let draw = |seed, stream: &str| {
        let mut g = rng(seed, stream);
        (0..10_000).map(|_| f64::from(g.next_u32()) / 4_294_967_296.0 - 0.5).collect::<Vec<f64>>()
    };
    let correlation = |a: &[f64], b: &[f64]| 12.0 * a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64;
    let (a, b, c) = (draw(1, "dense/kernel"), draw(1, "dense/bias"), draw(2, "dense/kernel"));
    assert!((correlation(&a, &a) - 1.0).abs() < 0.03);
    assert!(correlation(&a, &b).abs() < 0.04 && correlation(&a, &c).abs() < 0.04);
    assert!(correlation(&a[1..], &a[..9_999]).abs() < 0.04);
}

#[test]
fn every_order_of_four_is_equally_likely() {
    let mut counts = std::collections::HashMap::new();
    let mut g = rng(11, "orders");
    for _ in 0..24_000 {
        let mut rows = [0u8, 1, 2, 3];
        shuffle_with(&mut rows, &mut g);
        *counts.entry(rows).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 24);
    let chi2: f64 = counts.values().map(|n: &f64| (n - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi2 < 49.7, "{chi2}"); // 23 degrees of freedom, 1 in 1,000
}

#[test]
fn epochs_differ_and_a_short_list_is_no_trouble() {
    let order = |seed, epoch| {
        let mut rows: Vec<usize> = (0..1000).collect();
        shuffle(&mut rows, seed, epoch);
        rows
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
    let fixed = order(1, 0).iter().enumerate().filter(|&(i, &row)| i == row).count();
    assert!(fixed < 8, "{fixed}"); // one is expected
    shuffle(&mut [0u8; 0], 1, 0);
    shuffle(&mut [0u8; 1], 1, 0);
}

#[test]
fn an_epoch_of_mnist_is_shuffled_within_a_millisecond() {
    let mut rows: Vec<u32> = (0..54_000).collect();
    let fastest = (0..20).map(|epoch| {
        let start = Instant::now();
        shuffle(&mut rows, 1, epoch);
        start.elapsed()
    });
    let fastest = fastest.min().unwrap();
    println!("{fastest:?}");
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
}
