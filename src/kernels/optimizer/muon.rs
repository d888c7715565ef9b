//! Muon: a momentum whose matrix is made orthogonal.

use super::{least, unless_vanished};
use crate::Scalar;
use crate::kernels::dispatch::kernel;
use crate::kernels::gemm::{Matrix, Start};
use crate::kernels::{elementwise, reduce};

/// The numbers of one Muon step.
#[derive(Clone, Copy, Debug)]
pub struct MuonStep<F> {
    /// The rate, with what it is multiplied by for the size of the matrix.
    pub rate: F,
    /// μ, the share of the old momentum.
    pub momentum: F,
    /// Whether the gradient looks ahead: g + μ·m, not m.
    pub nesterov: bool,
    /// a, b, c of the Newton–Schulz iteration.
    pub coefficients: [F; 3],
    /// How many iterations.
    pub iterations: usize,
}

kernel! {
    /// m ← m + (g + (μ − 1)·m), x ← m, or with a look ahead g + μ·m.
    fn momentum<F>(g: &[F], m: &mut [F], x: &mut [F], momentum: F, nesterov: bool) {
        let (least, less) = (least::<F>(), momentum - F::one());
        for ((&g, m), x) in g.iter().zip(m).zip(x) {
            *m = unless_vanished(*m + (g + *m * less), least);
            *x = if nesterov { g + momentum * *m } else { *m };
        }
    }
}

kernel! {
    /// y ← a·x + b·y
    fn mix<F>(a: F, x: &[F], b: F, y: &mut [F]) {
        for (&x, y) in x.iter().zip(y) {
            *y = a * x + b * *y;
        }
    }
}

/// How many values of scratch [`muon`] wants for a matrix (`rows`, `cols`).
pub fn muon_scratch(rows: usize, cols: usize) -> usize {
    let small = rows.min(cols);
    2 * (rows * cols + small * small)
}

/// Muon of a matrix w (`rows`, `cols`): m ← μ·m + g, then w ← w − rate·O with O ≈ U·Vᵀ of the matrix x = U·S·Vᵀ, which is m,
/// or g + μ·m with `nesterov`.
///
/// O by Newton–Schulz: X = x/(‖x‖ + 10⁻⁷), then `iterations` times A = X·Xᵀ, X ← a·X + (b·A + c·A²)·X; where there are more
/// rows than columns, all of it for Xᵀ. `product` computes c = A·B or c += A·B, as
/// [`gemm`](crate::kernels::gemm::gemm) does, on as many threads as it likes.
pub fn muon<F: Scalar>(
    w: &mut [F],
    g: &[F],
    m: &mut [F],
    [rows, cols]: [usize; 2],
    step: MuonStep<F>,
    scratch: &mut [F],
    product: impl Fn(Matrix<'_, F>, Matrix<'_, F>, Start<'_, F>, &mut [F]),
) {
    let small = rows.min(cols);
    let (mut x, rest) = scratch.split_at_mut(rows * cols);
    let (mut y, rest) = rest.split_at_mut(rows * cols);
    let (gram, rest) = rest.split_at_mut(small * small);
    let factor = &mut rest[..small * small];
    momentum(g, m, x, step.momentum, step.nesterov);
    let norm = F::of(reduce::sum_of_squares(x).sqrt());
    elementwise::scale(F::one() / (norm + F::of(1e-7)), x);
    let [a, b, c] = step.coefficients;
    for _ in 0..step.iterations {
        let matrix = Matrix::new(x, rows, cols);
        // The products of X with itself that are the smaller.
        let (left, right) = if rows > cols { (matrix.t(), matrix) } else { (matrix, matrix.t()) };
        product(left, right, Start::Zero, gram);
        let square = Matrix::new(gram, small, small);
        product(square, square, Start::Zero, factor);
        mix(b, gram, c, factor);
        let square = Matrix::new(factor, small, small);
        y.copy_from_slice(x);
        elementwise::scale(a, y);
        // (b·A + c·A²) is symmetric: on the right of X it does what it does on the left of Xᵀ.
        let (left, right) = if rows > cols { (matrix, square) } else { (square, matrix) };
        product(left, right, Start::Add, y);
        std::mem::swap(&mut x, &mut y);
    }
    elementwise::axpy(-step.rate, x, w);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;
    use crate::kernels::gemm::gemm;

    /// X·Y of row-major matrices.
    fn times(x: &[f64], y: &[f64], n: usize, k: usize, m: usize) -> Vec<f64> {
        (0..n * m).map(|at| (0..k).map(|l| x[at / m * k + l] * y[l * m + at % m]).sum()).collect()
    }

    fn turned(x: &[f64], n: usize, m: usize) -> Vec<f64> {
        (0..n * m).map(|at| x[at % n * m + at / n]).collect()
    }

    /// Keras's formulas with plain loops, the matrix turned where it is high.
    #[test]
    fn steps_follow_the_formulas() {
        let [a, b, c] = [3.4445, -4.7750, 2.0315];
        on_every_isa(|_| {
            for ([rows, cols], nesterov) in
                [([5, 9], true), ([9, 5], false), ([1, 4], true), ([6, 6], false), ([7, 1], true)]
            {
                let number = |i: usize, seed: usize| ((i * 7919 + seed * 104_729) % 1009) as f64 / 500.0 - 1.0;
                let mut w: Vec<f64> = (0..rows * cols).map(|i| number(i, 0)).collect();
                let (mut want, mut m, mut want_m) = (w.clone(), vec![0.0; w.len()], vec![0.0; w.len()]);
                for t in 1..=3 {
                    let g: Vec<f64> = (0..rows * cols).map(|i| number(i, t)).collect();
                    let step = MuonStep { rate: 0.1, momentum: 0.9, nesterov, coefficients: [a, b, c], iterations: 4 };
                    let mut scratch = vec![0.0; muon_scratch(rows, cols)];
                    muon(&mut w, &g, &mut m, [rows, cols], step, &mut scratch, |a, b, start, c| {
                        gemm(a, b, start, c, b.shape()[1]);
                    });
                    want_m.iter_mut().zip(&g).for_each(|(m, g)| *m = 0.9 * *m + g);
                    let x = want_m.iter().zip(&g).map(|(m, g)| if nesterov { g + 0.9 * m } else { *m });
                    let mut x: Vec<f64> = x.collect();
                    let (n, k) = (rows.min(cols), rows.max(cols));
                    if rows > cols {
                        x = turned(&x, rows, cols);
                    }
                    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
                    for x in &mut x {
                        *x /= norm;
                    }
                    for _ in 0..4 {
                        let gram = times(&x, &turned(&x, n, k), n, k, n);
                        let square = times(&gram, &gram, n, n, n);
                        let factor: Vec<f64> = gram.iter().zip(&square).map(|(x, y)| b * x + c * y).collect();
                        let moved = times(&factor, &x, n, n, k);
                        x.iter_mut().zip(&moved).for_each(|(x, y)| *x = a * *x + y);
                    }
                    if rows > cols {
                        x = turned(&x, cols, rows);
                    }
                    want.iter_mut().zip(&x).for_each(|(w, x)| *w -= 0.1 * x);
                }
                assert!(w.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{rows}x{cols}: {w:?} not {want:?}");
            }
        });
    }
}
