use super::{Matrix, Packed, Start, gemm, gemm_packed};
use crate::Scalar;
use crate::kernels::dispatch::forced::on_every_isa;

/// Values without pattern in −1..1.
pub fn numbers<F: Scalar>(n: usize, seed: u64) -> Vec<F> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        F::of((state >> 40) as f64 / f64::from(1 << 23) - 1.0)
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Three loops, in f64.
fn check<F: Scalar>((m, n, k): (usize, usize, usize), layout: usize, start: usize, gap: usize) {
    let (a_t, b_t) = (layout & 1 == 1, layout & 2 == 2);
    let stored = |rows: usize, cols: usize, t: bool| if t { (cols, rows) } else { (rows, cols) };
    let make = |(rows, cols): (usize, usize), seed| numbers::<F>(rows.max(1) * (cols + gap), seed);
    let (a_shape, b_shape) = (stored(m, k, a_t), stored(k, n, b_t));
    let (a_data, b_data) = (make(a_shape, 1), make(b_shape, 2));
    let view = |data, (rows, cols), t| {
        let matrix = Matrix::with_row_stride(data, rows, cols, cols + gap);
        if t { matrix.t() } else { matrix }
    };
    let (a, b) = (view(&a_data, a_shape, a_t), view(&b_data, b_shape, b_t));
    let bias = numbers::<F>(n, 3);
    let before = numbers::<F>(m.max(1) * (n + gap), 4);
    let start = [Start::Zero, Start::Add, Start::Bias(&bias)][start];

    let mut c = [before.clone(), before.clone()];
    gemm(a, b, start, &mut c[0], n + gap);
    let mut packed = Packed::default();
    packed.pack(b);
    gemm_packed(a, &packed, start, &mut c[1], n + gap);

    let epsilon = F::epsilon().f64() * (k as f64 + 4.0);
    let rows = c.iter().flat_map(|c| c.chunks((n + gap).max(1)).take(m).enumerate());
    for (i, row) in rows {
        for (j, &got) in row.iter().enumerate() {
            let old = before[i * (n + gap) + j];
            if j >= n {
                assert_eq!(got, old, "between the rows");
                continue;
            }
            let mut want = match start {
                Start::Zero => 0.0,
                Start::Add => old.f64(),
                Start::Bias(bias) => bias[j].f64(),
            };
            for p in 0..k {
                let a = a_data[i * a.row_stride + p * a.col_stride].f64();
                want += a * b_data[p * b.row_stride + j * b.col_stride].f64();
            }
            let error = (got.f64() - want).abs();
            assert!(error <= epsilon, "{m}×{n}×{k} layout {layout} {start:?}: c[{i}, {j}] = {got}, not {want}");
        }
    }
}

#[test]
fn is_the_three_loops() {
    const SIZES: &[usize] = if cfg!(miri) { &[0, 1, 3, 17] } else { &[0, 1, 2, 3, 5, 7, 16, 17, 31, 63, 64, 65, 130] };
    on_every_isa(|_| {
        for &m in SIZES {
            for &n in SIZES {
                for &k in SIZES {
                    for layout in 0..4 {
                        // Every size meets every layout; starts, gaps and the other scalar take turns.
                        let start = (m + 2 * n + k + layout) % 3;
                        check::<f32>((m, n, k), layout, start, 0);
                        if m * n * k < 70_000 {
                            check::<f64>((m, n, k), layout, (start + 1) % 3, 3);
                            check::<f32>((m, n, k), layout, (start + 2) % 3, 1);
                        }
                    }
                }
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn is_the_three_loops_over_several_blocks() {
    on_every_isa(|_| {
        for shape in [(197, 40, 513), (20, 1100, 300), (5, 2081, 3), (400, 9, 260), (1, 1500, 700), (700, 1, 300)] {
            for layout in 0..4 {
                for start in 0..3 {
                    check::<f32>(shape, layout, start, 2);
                    check::<f64>(shape, layout, start, 0);
                }
            }
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "hours")]
fn the_largest_blocks_fit_their_buffers() {
    on_every_isa(|_| check::<f64>((289, 520, 384), 0, 0, 0));
}

#[test]
fn nan_and_infinity_pass() {
    let (a, b) = ([f32::NAN, 1.0, f32::INFINITY, 0.0], [1.0f32, 0.0, 2.0, 0.0]);
    let mut c = [0.0; 4];
    gemm(Matrix::new(&a, 2, 2), Matrix::new(&b, 2, 2), Start::Zero, &mut c, 2);
    assert!(c[0].is_nan() && c[1].is_nan() && c[2] == f32::INFINITY && c[3].is_nan());
}

#[test]
#[should_panic(expected = "don't fit")]
fn a_short_slice_is_refused() {
    Matrix::new(&[0.0f32; 5], 2, 3);
}
