//! Scores of a million rows. `cargo bench --bench scores`.

use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::metrics::scores::{self, Average, Classification, Ranking};
use gradus::random;
use ndarray::Array1;
use ndarray_rand::rand::Rng;

const ROWS: usize = 1_000_000;

fn main() {
    divan::main();
}

/// Two classes, and scores that tell them apart somewhat.
fn ranked() -> (Array1<u8>, Array1<f32>) {
    let mut rng = random::rng(0, "bench");
    let truth = Array1::from_shape_fn(ROWS, |_| u8::from(rng.random_bool(0.3)));
    let scores = truth.mapv(|class| f32::from(class) + rng.random_range(0.0..2.0f32));
    (truth, scores)
}

#[divan::bench]
fn roc_auc_1000000(bencher: Bencher<'_, '_>) {
    let ((truth, scores), options) = (ranked(), Ranking::new());
    bencher.counter(ItemsCount::new(ROWS)).bench(|| scores::roc_auc_score(&truth, &scores, &options));
}

#[divan::bench]
fn average_precision_1000000(bencher: Bencher<'_, '_>) {
    let ((truth, scores), options) = (ranked(), Ranking::new());
    bencher.counter(ItemsCount::new(ROWS)).bench(|| scores::average_precision_score(&truth, &scores, &options));
}

#[divan::bench]
fn f1_macro_1000000x10(bencher: Bencher<'_, '_>) {
    let mut rng = random::rng(0, "bench");
    let [truth, predicted] = [0, 1].map(|_| Array1::from_shape_fn(ROWS, |_| rng.random_range(0..10u8)));
    let options = Classification::new().average(Average::Macro);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| scores::f1_score(&truth, &predicted, &options));
}
