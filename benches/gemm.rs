//! The matrix product on the shapes of real layers, beside the one that `ndarray` brings.
//!
//! `cargo bench --bench gemm`; the counter shows multiply-adds, so GFLOP/s are twice the items.

use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::kernels::gemm::{Matrix, Start, gemm};

fn main() {
    divan::main();
}

/// rows × columns × depth, and which operand is stored transposed (N: none, T: transposed; left, then right).
const SHAPES: [&str; 22] = [
    "128x128x784 NN mlp forward",
    "784x128x128 TN mlp kernel gradient",
    "128x784x128 NT mlp gradient of x",
    "64x128x784 NN mlp forward, a shard",
    "784x128x64 TN mlp kernel gradient, a shard",
    "128x10x128 NN last layer",
    "128x10x128 TN last layer kernel gradient",
    "128x128x10 NT last layer gradient of x",
    "64x512x128 NN lstm recurrent",
    "4096x512x64 NN lstm all inputs",
    "64x128x512 NT lstm gradient of h",
    "128x512x4096 TN lstm recurrent kernel gradient",
    "15488x64x288 NN conv",
    "15488x288x64 NT conv gradient of patches",
    "288x64x15488 TN conv kernel gradient",
    "1024x1024x1024 NN square",
    "1x128x784 NN one row",
    "1x10x128 NN one row",
    "1x64x6 NN one row",
    "1x8x64 NN one row",
    "1x4x8 NN one row",
    "128x1x128 NN one column",
];

struct Product {
    m: usize,
    n: usize,
    k: usize,
    left_transposed: bool,
    right_transposed: bool,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Product {
    fn new(shape: &str) -> Self {
        let mut words = shape.split_whitespace();
        let sizes: Vec<usize> = words.next().unwrap_or_default().split('x').flat_map(str::parse).collect();
        let (m, n, k) = (sizes[0], sizes[1], sizes[2]);
        let layout = words.next().unwrap_or("NN");
        let numbers = |len: usize, step: usize| (0..len).map(|i| (i * step % 101) as f32 / 50.0 - 1.0).collect();
        Self {
            left_transposed: layout.starts_with('T'),
            right_transposed: layout.ends_with('T'),
            a: numbers(m * k, 7),
            b: numbers(k * n, 13),
            c: vec![0.0; m * n],
            m,
            n,
            k,
        }
    }

    fn multiply_adds(&self) -> ItemsCount {
        ItemsCount::new(self.m * self.n * self.k)
    }
}

#[divan::bench(args = SHAPES, max_time = 0.3)]
fn gradus(bencher: Bencher<'_, '_>, shape: &str) {
    let mut p = Product::new(shape);
    bencher.counter(p.multiply_adds()).bench_local(|| {
        let a = if p.left_transposed { Matrix::new(&p.a, p.k, p.m).t() } else { Matrix::new(&p.a, p.m, p.k) };
        let b = if p.right_transposed { Matrix::new(&p.b, p.n, p.k).t() } else { Matrix::new(&p.b, p.k, p.n) };
        gemm(a, b, Start::Zero, divan::black_box(&mut p.c), p.n);
    });
}

#[divan::bench(args = SHAPES, max_time = 0.3)]
#[allow(unsafe_code, clippy::cast_possible_wrap)]
fn matrixmultiply(bencher: Bencher<'_, '_>, shape: &str) {
    let mut p = Product::new(shape);
    bencher.counter(p.multiply_adds()).bench_local(|| {
        let strides = |transposed: bool, rows: usize, cols: usize| {
            if transposed { (1, rows as isize) } else { (cols as isize, 1) }
        };
        let (a_row, a_col) = strides(p.left_transposed, p.m, p.k);
        let (b_row, b_col) = strides(p.right_transposed, p.k, p.n);
        let (a, b, c) = (p.a.as_ptr(), p.b.as_ptr(), divan::black_box(p.c.as_mut_ptr()));
        // SAFETY: the buffers hold m × k, k × n and m × n numbers, laid out as the strides say.
        unsafe {
            matrixmultiply::sgemm(p.m, p.k, p.n, 1.0, a, a_row, a_col, b, b_row, b_col, 0.0, c, p.n as isize, 1);
        }
    });
}
