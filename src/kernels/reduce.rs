//! Sums and copies over rows and columns.

use super::dispatch::kernel;
use super::vector::Vector;
use crate::Scalar;
use crate::memory::product;

/// How many sums a reduction to one number keeps: as many as keep two units of any processor busy, so that the result
/// does not depend on the width of its vectors.
const LANES: usize = 64;

/// The sum of partial sums, halves onto halves.
#[inline(always)]
fn fold<F: Scalar, const N: usize>(mut sums: [F; N]) -> F {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            let upper = sums[i + half];
            sums[i] += upper;
        }
        half /= 2;
    }
    sums[0]
}

kernel! {
    /// Σ xᵢ, in 64 interleaved partial sums: the rounding error grows with n/64 at most.
    pub fn sum<F, I>(x: &[F]) -> F {
        let mut sums = [F::zero(); LANES];
        let blocks = x.chunks_exact(LANES);
        for (sum, &x) in sums.iter_mut().zip(blocks.remainder()) {
            *sum = x;
        }
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += x;
            }
        }
        fold(sums)
    }
}

kernel! {
    /// Σ xᵢ·yᵢ over the shorter of the two, summed as in [`sum`].
    pub fn dot<F, I>(x: &[F], y: &[F]) -> F {
        let n = x.len().min(y.len());
        let (x, y) = (x[..n].chunks_exact(LANES), y[..n].chunks_exact(LANES));
        let mut sums = [F::zero(); LANES];
        for ((sum, &x), &y) in sums.iter_mut().zip(x.remainder()).zip(y.remainder()) {
            *sum = x * y;
        }
        for (x, y) in x.zip(y) {
            for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
                *sum = I::mul_add(x, y, *sum);
            }
        }
        fold(sums)
    }
}

kernel! {
    /// Σ xᵢ² in `f64`, for the norm of a gradient: exact to 1e-15 for any number of `f32` values, without overflow.
    pub fn sum_of_squares<F, I>(x: &[F]) -> f64 {
        const LANES: usize = 32;
        let mut sums = [0.0f64; LANES];
        let blocks = x.chunks_exact(LANES);
        for (sum, &x) in sums.iter_mut().zip(blocks.remainder()) {
            *sum = x.f64() * x.f64();
        }
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += x.f64() * x.f64();
            }
        }
        fold(sums)
    }
}

kernel! {
    /// `sums[j] += Σᵢ x[i, j]`: the gradient of a bias.
    ///
    /// `x` (rows, n) with n = `sums.len()`. The rows are added in order, four at a time.
    pub fn add_column_sums<F, I>(x: &[F], sums: &mut [F]) {
        let n = sums.len();
        if n == 0 {
            return;
        }
        let mut rows = x.chunks_exact(4 * n);
        for four in &mut rows {
            let (upper, lower) = four.split_at(2 * n);
            let ((a, b), (c, d)) = (upper.split_at(n), lower.split_at(n));
            for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (a + b) + (c + d);
            }
        }
        for row in rows.remainder().chunks_exact(n) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

kernel! {
    /// Whether no element is NaN or infinite: 0·x is 0 for every other x, and NaN for those, and a sum keeps a NaN.
    pub fn all_finite<F, I>(x: &[F]) -> bool {
        let mut sums = [F::zero(); LANES];
        let blocks = x.chunks_exact(LANES);
        for (sum, &x) in sums.iter_mut().zip(blocks.remainder()) {
            *sum = x * F::zero();
        }
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum = I::mul_add(x, F::zero(), *sum);
            }
        }
        fold(sums) == F::zero()
    }
}

kernel! {
    /// `to[j, i] = from[i, j]`, in blocks that stay in registers.
    ///
    /// `from` (rows, cols) → `to` (cols, rows).
    ///
    /// # Panics
    /// If a slice is shorter than rows·cols.
    pub fn transpose<F, I>(from: &[F], rows: usize, cols: usize, to: &mut [F]) {
        let len = product(&[rows, cols]);
        assert!(len.is_some_and(|len| from.len() >= len && to.len() >= len), "{rows} × {cols} elements");
        let block = I::Vector::BLOCK;
        let (whole_rows, whole_cols) = (rows - rows % block, cols - cols % block);
        for i in (0..whole_rows).step_by(block) {
            for j in (0..whole_cols).step_by(block) {
                // SAFETY: the block lies inside both, whose lengths were checked.
                unsafe {
                    let (from, to) = (from.as_ptr().add(i * cols + j), to.as_mut_ptr().add(j * rows + i));
                    I::Vector::transpose(from, cols, to, rows);
                }
            }
        }
        for i in 0..rows {
            for j in (if i < whole_rows { whole_cols } else { 0 })..cols {
                to[j * rows + i] = from[i * cols + j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 64.0 - 8.0).collect()
    }

    #[test]
    fn sums_are_exact_where_rounding_plays_no_part() {
        on_every_isa(|_| {
            for n in [0, 1, 2, 31, 63, 64, 65, 1000] {
                let (x, y) = (numbers(n), numbers(n + 3));
                let want: f64 = x.iter().map(|&x| f64::from(x)).sum();
                assert!((f64::from(sum(&x)) - want).abs() < 1e-2);
                let want: f64 = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
                assert!((f64::from(dot(&x, &y)) - want).abs() < 1e-1);
                let want: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
                assert!((sum_of_squares(&x) - want).abs() <= 1e-12 * want);
            }
        });
    }

    #[test]
    fn columns_add_up() {
        on_every_isa(|_| {
            for (rows, n) in [(0, 3), (1, 1), (3, 5), (4, 8), (9, 17), (130, 10)] {
                let x = numbers(rows * n);
                let mut sums = vec![1.0; n];
                add_column_sums(&x, &mut sums);
                for (j, &sum) in sums.iter().enumerate() {
                    let want = 1.0 + (0..rows).map(|i| x[i * n + j]).sum::<f32>();
                    assert!((sum - want).abs() < 1e-3);
                }
            }
        });
        add_column_sums::<f32>(&[], &mut []);
    }

    #[test]
    fn one_bad_value_is_seen() {
        on_every_isa(|_| {
            let mut x = numbers(1000);
            assert!(all_finite(&x) && all_finite::<f32>(&[]));
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in [0, 255, 256, 999] {
                    let good = std::mem::replace(&mut x[place], bad);
                    assert!(!all_finite(&x));
                    x[place] = good;
                }
            }
        });
    }

    #[test]
    fn sizes_whose_product_wraps_are_refused() {
        let half = 1 << (usize::BITS / 2);
        let wraps = || transpose::<f32>(&[], half, half, &mut []);
        std::panic::catch_unwind(wraps).expect_err("more elements than an index can count");
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        on_every_isa(|_| {
            for (rows, cols) in [(0, 3), (1, 9), (8, 8), (17, 12), (33, 65)] {
                let x = numbers(rows * cols);
                let (mut t, mut back) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                transpose(&x, rows, cols, &mut t);
                assert!((0..x.len()).all(|k| t[(k % cols) * rows + k / cols] == x[k]));
                transpose(&t, cols, rows, &mut back);
                assert_eq!(x, back);
            }
        });
    }
}
