//! Pooling, normalization and enlargement, forward and backward, on the shapes of real networks.
//!
//! `cargo bench --bench spatial`; the counter shows values of the larger array a second.

use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::kernels::normalization::{self, Channels};
use gradus::kernels::pool::{self, Windows};
use gradus::kernels::resample;
use gradus::kernels::row_norm::{self, Kind};

fn main() {
    divan::main();
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// batch, side, channels, window, stride.
const POOLS: [(usize, usize, usize, usize, usize); 4] =
    [(64, 26, 32, 2, 2), (64, 11, 64, 2, 2), (16, 56, 64, 3, 2), (64, 28, 3, 2, 2)];

fn windows(side: usize, window: usize, stride: usize) -> Windows {
    let output = (side - window) / stride + 1;
    Windows {
        input: [1, side, side],
        output: [1, output, output],
        pool: [1, window, window],
        strides: [1, stride, stride],
        before: [0; 3],
    }
}

#[divan::bench(args = POOLS.map(|(b, s, c, k, t)| format!("{b}x{s}x{s}x{c}_k{k}_s{t}")))]
fn max_pool(bencher: Bencher<'_, '_>, name: &str) {
    let (win, c, x, mut y) = pool_of(name);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| pool::max_pool(win, c, &x, &mut y));
}

#[divan::bench(args = POOLS.map(|(b, s, c, k, t)| format!("{b}x{s}x{s}x{c}_k{k}_s{t}")))]
fn max_pool_backward(bencher: Bencher<'_, '_>, name: &str) {
    let (win, c, x, mut y) = pool_of(name);
    pool::max_pool(win, c, &x, &mut y);
    let (grad_y, mut grad_x) = (numbers(y.len()), x.clone());
    bencher
        .counter(ItemsCount::new(x.len()))
        .bench_local(|| pool::max_pool_backward(win, c, &x, &y, &grad_y, &mut grad_x));
}

#[divan::bench(args = POOLS.map(|(b, s, c, k, t)| format!("{b}x{s}x{s}x{c}_k{k}_s{t}")))]
fn avg_pool(bencher: Bencher<'_, '_>, name: &str) {
    let (win, c, x, mut y) = pool_of(name);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| pool::avg_pool(win, c, &x, &mut y));
}

#[divan::bench(args = POOLS.map(|(b, s, c, k, t)| format!("{b}x{s}x{s}x{c}_k{k}_s{t}")))]
fn avg_pool_backward(bencher: Bencher<'_, '_>, name: &str) {
    let (win, c, mut x, y) = pool_of(name);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| pool::avg_pool_backward(win, c, &y, &mut x));
}

fn pool_of(name: &str) -> (Windows, usize, Vec<f32>, Vec<f32>) {
    let find = |&&(b, s, c, k, t): &&(usize, usize, usize, usize, usize)| format!("{b}x{s}x{s}x{c}_k{k}_s{t}") == name;
    let &(batch, side, c, window, stride) = POOLS.iter().find(find).expect("one of the list");
    let win = windows(side, window, stride);
    let y = vec![0.5; batch * win.output.iter().product::<usize>() * c];
    (win, c, numbers(batch * side * side * c), y)
}

/// rows (batch times pixels) and channels.
const BATCHES: [(usize, usize); 4] = [(64 * 26 * 26, 32), (64 * 11 * 11, 64), (16 * 14 * 14, 512), (64, 256)];

fn batch_of(name: &str) -> (Channels, Vec<f32>) {
    let find = |&&(rows, c): &&(usize, usize)| format!("{rows}x{c}") == name;
    let &(rows, c) = BATCHES.iter().find(find).expect("one of the list");
    (Channels { count: c, inner: 1 }, numbers(rows * c))
}

#[divan::bench(args = BATCHES.map(|(rows, c)| format!("{rows}x{c}")))]
fn batch_norm(bencher: Bencher<'_, '_>, name: &str) {
    let (channels, x) = batch_of(name);
    let (c, mut y) = (channels.count, x.clone());
    let (scale, shift) = (vec![1.1; c], vec![0.1; c]);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        let mut moments = vec![0.0; 3 * c];
        normalization::add_moments(channels, None, &x, &mut moments);
        normalization::normalize(channels, &moments[c..2 * c], &scale, &shift, &x, &mut y);
    });
}

#[divan::bench(args = BATCHES.map(|(rows, c)| format!("{rows}x{c}")))]
fn batch_norm_backward(bencher: Bencher<'_, '_>, name: &str) {
    let (channels, x) = batch_of(name);
    let (c, g, mut grad_x) = (channels.count, x.clone(), x.clone());
    let (mean, r, pqs) = (vec![0.1; c], vec![1.1; c], vec![0.2; 3 * c]);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        let mut sums = vec![0.0; 2 * c];
        normalization::add_gradient_sums(channels, &mean, &r, &x, &g, &mut sums);
        normalization::normalize_backward(channels, None, &mean, &pqs, &x, &g, &mut grad_x);
    });
}

#[divan::bench(args = ["4096x128", "1024x768", "8192x32"])]
fn layer_norm(bencher: Bencher<'_, '_>, name: &str) {
    let (rows, n) = rows_of(name);
    let (x, gamma, beta) = (numbers(rows * n), vec![1.1; n], vec![0.1; n]);
    let (mut y, mut stats) = (x.clone(), vec![0.0; 2 * rows]);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        row_norm::normalize_rows(Kind::Layer, 1e-3, Some(&gamma), Some(&beta), n, &x, &mut y, &mut stats);
    });
}

#[divan::bench(args = ["4096x128", "1024x768", "8192x32"])]
fn layer_norm_backward(bencher: Bencher<'_, '_>, name: &str) {
    let (rows, n) = rows_of(name);
    let (x, gamma) = (numbers(rows * n), vec![1.1; n]);
    let (g, stats, mut grad_x, mut grads) = (x.clone(), vec![0.5; 2 * rows], x.clone(), vec![0.0; 2 * n]);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        row_norm::normalize_rows_backward(Kind::Layer, Some(&gamma), n, &x, &stats, &g, &mut grad_x, &mut grads);
    });
}

fn rows_of(name: &str) -> (usize, usize) {
    let (rows, n) = name.split_once('x').expect("rows x values");
    (rows.parse().expect("a number"), n.parse().expect("a number"))
}

#[divan::bench(args = ["nearest_16x16x16x32_x2", "bilinear_16x16x16x32_x2"])]
fn up_sampling(bencher: Bencher<'_, '_>, name: &str) {
    let (x, mut y) = (numbers(16 * 16 * 16 * 32), numbers(16 * 32 * 32 * 32));
    bencher.counter(ItemsCount::new(y.len())).bench_local(|| {
        if name.starts_with("nearest") {
            resample::enlarge([1, 16, 16], [1, 2, 2], 32, &x, &mut y);
        } else {
            resample::bilinear([16, 16], [32, 32], 32, &x, &mut y);
        }
    });
}

#[divan::bench(args = ["nearest_16x16x16x32_x2", "bilinear_16x16x16x32_x2"])]
fn up_sampling_backward(bencher: Bencher<'_, '_>, name: &str) {
    let (mut x, y) = (numbers(16 * 16 * 16 * 32), numbers(16 * 32 * 32 * 32));
    bencher.counter(ItemsCount::new(y.len())).bench_local(|| {
        if name.starts_with("nearest") {
            resample::enlarge_backward([1, 16, 16], [1, 2, 2], 32, &y, &mut x);
        } else {
            resample::bilinear_backward([16, 16], [32, 32], 32, &y, &mut x);
        }
    });
}
