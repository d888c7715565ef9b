//! What a training step does beside the network: images changed at random, weights updated. `cargo bench --bench training`.
//!
//! `adam` counts the bytes that it reads (weights, gradients, both means) and writes (all but the gradients); `copy` is what
//! memory gives at best.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use gradus::data::{Augmentation, AugmentedImages};
use gradus::kernels::optimizer::{self, AdamStep};
use gradus::prelude::*;
use ndarray::{Array1, Array3};

/// Floats that fit into a core's cache, and that do not fit into any.
const SIZES: [usize; 2] = [20_000, 8_000_000];

fn main() {
    divan::main();
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0).collect()
}

#[divan::bench(args = SIZES)]
fn adam(bencher: Bencher<'_, '_>, n: usize) {
    let (mut w, g, mut m, mut v) = (numbers(n), numbers(n), numbers(n), vec![0.1; n]);
    let step = AdamStep { rest_1: 0.1, rest_2: 0.001, alpha: 1e-3, epsilon: 1e-7, decay: 0.0 };
    bencher.counter(BytesCount::new(7 * 4 * n)).bench_local(|| optimizer::adam(&mut w, &g, &mut m, &mut v, step));
}

#[divan::bench(args = SIZES)]
fn copy(bencher: Bencher<'_, '_>, n: usize) {
    let (from, mut to) = (numbers(n), numbers(n));
    bencher.counter(BytesCount::new(2 * 4 * n)).bench_local(|| to.copy_from_slice(divan::black_box(&from)));
}

/// How the digits are changed: not at all, as `mnist_cnn` does it, and with all there is.
const CHANGES: [&str; 3] = ["plain", "rotation_shift", "everything"];

fn changes(name: &str) -> Augmentation {
    let turned = Augmentation::new().rotation(10.0).shift(2.0);
    match name {
        "plain" => Augmentation::new(),
        "rotation_shift" => turned,
        _ => turned.zoom(0.1).flip(true).shear(5.0).brightness(0.1).contrast(0.1).noise(0.05).cutout(6),
    }
}

fn digits(n: usize) -> (Array3<u8>, Array1<u8>) {
    let pixel = |(n, i, j): (usize, usize, usize)| u8::try_from((n * 31 + i * 7 + j * 13) % 256).expect("a byte");
    (Array3::from_shape_fn((n, 28, 28), pixel), Array1::from_shape_fn(n, |i| u8::try_from(i % 10).expect("a digit")))
}

#[divan::bench(args = CHANGES)]
fn augment_128x28x28(bencher: Bencher<'_, '_>, name: &str) {
    let (images, labels) = digits(128);
    let shown = AugmentedImages::<f32>::new(&images, &labels, changes(name)).expect("good options");
    let rows: Vec<usize> = (0..128).collect();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows.len())).bench_local(|| {
        step += 1;
        shown.images(&rows, step).expect("rows that there are")
    });
}

/// What changing the images costs in a whole training: sixteen steps of the network of `examples/mnist_cnn.rs`, on as
/// many threads as there are cores; `plain`: from an array in memory.
#[divan::bench(args = CHANGES, sample_count = 20)]
fn fit_mnist_cnn_2048x28x28(bencher: Bencher<'_, '_>, name: &str) {
    let (images, labels) = digits(2048);
    let shown = AugmentedImages::<f32>::new(&images, &labels, changes(name)).expect("good options");
    let mut network = Sequential::new().input([28, 28, 1]);
    for (filters, pooled) in [(32, true), (64, true), (128, false)] {
        network = network.add(Conv2D::new(filters, 3).use_bias(false)).add(BatchNormalization::new()).add(Relu);
        if pooled {
            network = network.add(MaxPool2D::new());
        }
    }
    let mut model = network
        .add(Flatten::new())
        .add(Dropout::new(0.4))
        .add(Dense::new(10).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .build()
        .expect("a network that fits together");
    let plain = images.mapv(|pixel| f32::from(pixel) / 255.0).insert_axis(Axis(3));
    let fit = || Fit::new().batch_size(128).verbose(0);
    bencher.counter(ItemsCount::new(labels.len())).bench_local(|| {
        if name == "plain" { model.fit(&plain, &labels, fit()) } else { model.fit_data(&shown, fit()) }
            .expect("good data")
    });
}
