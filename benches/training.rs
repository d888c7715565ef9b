//! What a training step does beside the network: images changed at random, weights updated. `cargo bench --bench training`.
//!
//! `adam` counts the bytes that it reads (weights, gradients, both means) and writes (all but the gradients); `copy` is what
//! memory gives at best.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use gradus::data::{Augmentation, AugmentedImages};
use gradus::kernels::optimizer::{self, AdamStep};
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

/// A batch of 128 digits: as they are, as `mnist_cnn` shows them, and with all there is.
#[divan::bench(args = ["plain", "rotation_shift", "everything"])]
fn augment_128x28x28(bencher: Bencher<'_, '_>, name: &str) {
    let images = Array3::from_shape_fn((128, 28, 28), |(n, i, j)| {
        u8::try_from((n * 31 + i * 7 + j * 13) % 256).expect("a byte")
    });
    let labels = Array1::<u8>::zeros(128);
    let turned = Augmentation::new().rotation(10.0).shift(2.0);
    let changes = match name {
        "plain" => Augmentation::new(),
        "rotation_shift" => turned,
        _ => turned.zoom(0.1).flip(true).shear(5.0).brightness(0.1).contrast(0.1).noise(0.05).cutout(6),
    };
    let shown = AugmentedImages::<f32>::new(&images, &labels, changes).expect("good options");
    let rows: Vec<usize> = (0..128).collect();
    let mut step = 0;
    bencher.counter(ItemsCount::new(rows.len())).bench_local(|| {
        step += 1;
        shown.images(&rows, step).expect("rows that there are")
    });
}
