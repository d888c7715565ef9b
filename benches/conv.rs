//! Convolution kernels at shapes of real networks, one thread: `cargo bench --bench conv`.
//!
//! A name is the pass, batch × height × width × channels → filters, and the window, its stride and padding; the
//! throughput counts multiplications and additions of taps inside the image.

use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::kernels::conv::{Finish, Geometry, Workspace, forward, grad_input, grad_kernel};

fn main() {
    divan::main();
}

/// A square image and window.
#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    side: usize,
    channels: usize,
    filters: usize,
    window: usize,
    stride: usize,
    same: bool,
    groups: usize,
}

const fn shape(batch: usize, side: usize, channels: usize, filters: usize, window: usize) -> Shape {
    Shape { batch, side, channels, filters, window, stride: 1, same: true, groups: 1 }
}

const SHAPES: [Shape; 13] = [
    // The MNIST network.
    Shape { same: false, ..shape(64, 28, 1, 32, 3) },
    Shape { same: false, ..shape(64, 13, 32, 64, 3) },
    Shape { same: false, ..shape(1, 13, 32, 64, 3) },
    // ResNet-20 on 32 × 32 × 3.
    shape(32, 32, 3, 16, 3),
    shape(32, 32, 16, 16, 3),
    Shape { stride: 2, ..shape(32, 32, 16, 32, 3) },
    shape(32, 16, 32, 32, 3),
    shape(32, 8, 64, 64, 3),
    Shape { stride: 2, ..shape(32, 32, 16, 32, 1) },
    // Larger ones.
    shape(4, 56, 64, 64, 3),
    shape(8, 14, 256, 64, 1),
    shape(8, 4, 256, 256, 3),
    // Depthwise.
    Shape { groups: 64, ..shape(8, 32, 64, 64, 3) },
];

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { batch, side, channels, filters, window, stride, same, groups } = self;
        write!(f, "{batch}x{side}x{side}x{channels}_to_{filters}_k{window}_s{stride}")?;
        write!(f, "_{}", if *same { "same" } else { "valid" })?;
        if *groups > 1 { write!(f, "_groups{groups}") } else { Ok(()) }
    }
}

struct Data {
    geometry: Geometry,
    x: Vec<f32>,
    kernel: Vec<f32>,
    bias: Vec<f32>,
    y: Vec<f32>,
    workspace: Workspace<f32>,
    operations: ItemsCount,
}

impl Data {
    fn new(shape: Shape) -> Self {
        let Shape { batch, side, channels, filters, window, stride, same, groups } = shape;
        let output = if same { side.div_ceil(stride) } else { (side - window) / stride + 1 };
        let before = ((output - 1) * stride + window).saturating_sub(side) / 2;
        let flat = |size: usize| [1, size, size];
        let geometry = Geometry {
            input: flat(side),
            output: flat(output),
            kernel: flat(window),
            strides: flat(stride),
            dilation: [1; 3],
            before: [0, before, before],
            channels,
            filters,
            groups,
        };
        let inside = |o: usize| (0..window).filter(|t| (o * stride + t).wrapping_sub(before) < side).count();
        let taps: usize = (0..output).map(inside).sum();
        let operations = 2 * batch * taps * taps * channels / groups * filters;
        let noise = |len: usize, seed: u64| {
            let mut values = vec![0.0; len];
            gradus::kernels::random::uniform(seed, 0, &mut values);
            values
        };
        Self {
            x: noise(batch * geometry.input_len(), 1),
            kernel: noise(geometry.kernel_len(), 2),
            bias: noise(filters, 3),
            y: noise(batch * geometry.output_len(), 4),
            workspace: Workspace::default(),
            operations: ItemsCount::new(operations),
            geometry,
        }
    }
}

#[divan::bench(args = SHAPES)]
fn output(bencher: Bencher<'_, '_>, shape: Shape) {
    let Data { geometry, x, kernel, bias, mut y, mut workspace, operations } = Data::new(shape);
    bencher
        .counter(operations)
        .bench_local(|| forward(&geometry, &x, &kernel, Some(&bias), Finish::Relu, &mut y, &mut workspace));
}

#[divan::bench(args = SHAPES)]
fn gradient_of_input(bencher: Bencher<'_, '_>, shape: Shape) {
    let Data { geometry, mut x, kernel, y, mut workspace, operations, .. } = Data::new(shape);
    bencher
        .counter(operations)
        .bench_local(|| grad_input(&geometry, &y, &kernel, None, Finish::Linear, &mut x, &mut workspace));
}

#[divan::bench(args = SHAPES)]
fn gradient_of_kernel(bencher: Bencher<'_, '_>, shape: Shape) {
    let Data { geometry, x, mut kernel, y, mut workspace, operations, .. } = Data::new(shape);
    bencher.counter(operations).bench_local(|| grad_kernel(&geometry, &x, &y, &mut kernel, &mut workspace));
}
