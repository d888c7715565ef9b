//! Every layer by itself, forward and backward through the executor, on one thread.
//!
//! `cargo bench --bench layers`, or with a part of a name, such as `cargo bench --bench layers -- LSTM`. A name is the
//! layer and the shape of its input, the batch first; the throughput counts the input's values.

use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::custom::*;
use gradus::models::{AnyLayer, IntoLayer};
use ndarray::{ArrayD, IxDyn};

fn main() {
    divan::main();
}

/// A layer at a shape of real networks.
struct Case {
    name: &'static str,
    shape: &'static [usize],
    layer: fn() -> AnyLayer<f32>,
}

/// Declares the cases: `name: [batch, …] => layer;`.
macro_rules! cases {
    ($($name:literal: [$($axis:literal),*] => $layer:expr;)*) => {
        const CASES: &[Case] = &[$(
            Case { name: concat!($name, " ", stringify!($($axis)x*)), shape: &[$($axis),*], layer: || $layer.into_layer() },
        )*];
    };
}

cases! {
    "Dense 128": [128, 784] => Dense::new(128);
    "Dense 128 relu": [128, 784] => Dense::new(128).activation(Relu);
    "Dense 10 softmax": [128, 128] => Dense::new(10).activation(Softmax);
    "Tanh": [128, 1024] => Tanh;
    "Gelu": [128, 1024] => Gelu;
    "Softmax": [128, 1024] => Softmax;
    "PReLU": [128, 1024] => PReLU::new();
    "Dropout": [128, 1024] => Dropout::new(0.5);
    "GaussianNoise": [128, 1024] => GaussianNoise::new(0.1);
    "Permute": [64, 32, 64] => Permute::new([2, 1]);
    "MaxPool2D": [32, 26, 26, 32] => MaxPool2D::new();
    "AvgPool2D": [32, 26, 26, 32] => AvgPool2D::new();
    "GlobalAvgPool2D": [32, 8, 8, 64] => GlobalAvgPool2D::new();
    "BatchNormalization": [32, 16, 16, 32] => BatchNormalization::new();
    "LayerNormalization": [64, 64, 128] => LayerNormalization::new();
    "GroupNormalization": [32, 16, 16, 32] => GroupNormalization::new();
    "UpSampling2D": [32, 8, 8, 32] => UpSampling2D::new();
    "ZeroPadding2D": [32, 16, 16, 32] => ZeroPadding2D::new();
    "Conv2D 32 3x3": [32, 28, 28, 1] => Conv2D::new(32, 3);
    "Conv2D 64 3x3": [32, 13, 13, 32] => Conv2D::new(64, 3);
    "DepthwiseConv2D 3x3": [32, 16, 16, 32] => DepthwiseConv2D::new(3);
    "RNN 128": [64, 64, 64] => RNN::new(128);
    "LSTM 128": [64, 64, 64] => LSTM::new(128);
    "GRU 128": [64, 64, 64] => GRU::new(128);
}

impl Case {
    /// A model of the layer alone, and an input.
    fn model(&self) -> (Model, ArrayD<f32>) {
        let model = Sequential::new().input(self.shape[1..].to_vec()).add((self.layer)()).build();
        let mut model = model.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        model.set_threads(1).expect("one thread");
        let len: usize = self.shape.iter().product();
        let values = (0..len).map(|i| (i * 7 % 101) as f32 / 50.0 - 1.0).collect();
        (model, ArrayD::from_shape_vec(IxDyn(self.shape), values).expect("as many values as the shape has"))
    }
}

const TRAINING: Mode = Mode::Training { seed: 0, step: 0 };

fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).expect("a name of the list")
}

#[divan::bench(args = names())]
fn forward(bencher: Bencher<'_, '_>, name: &str) {
    let (model, x) = case(name).model();
    let mut pass = model.pass_with_input_gradients();
    let run = || model.forward(&mut pass, &x, TRAINING).map(|_| ()).expect("a good input");
    bencher.counter(ItemsCount::new(x.len())).bench_local(run);
}

#[divan::bench(args = names())]
fn backward(bencher: Bencher<'_, '_>, name: &str) {
    let (model, x) = case(name).model();
    let mut pass = model.pass_with_input_gradients();
    let y = model.forward(&mut pass, &x, TRAINING).expect("a good input");
    let grad = ArrayD::from_elem(IxDyn(y.shape()), 0.5f32);
    let run = || model.backward(&mut pass, &grad).expect("a good gradient");
    bencher.counter(ItemsCount::new(x.len())).bench_local(run);
}
