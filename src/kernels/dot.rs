//! Products of two tensors, sample by sample, summed over one axis of each; and vectors made one long.

use super::dispatch::kernel;
use super::gemm::{Matrix, Start, gemm};
use crate::Scalar;

/// One of the two tensors of [`dot`]: the axis that is summed over has `len` places, the axes before it `outer`, those
/// behind it `inner`.
///
/// As the matrix product sees it, a sample is one matrix (outer, len) if nothing lies behind the axis, and otherwise
/// `outer` matrices (len, inner), transposed.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Places of the axes before.
    pub outer: usize,
    /// Places of the axis that is summed over.
    pub len: usize,
    /// Places of the axes behind.
    pub inner: usize,
}

impl Operand {
    /// A sample of this shape, whose axis number `axis` is summed over.
    ///
    /// # Panics
    /// If there is no such axis.
    pub fn new(sample: &[usize], axis: usize) -> Self {
        let (before, behind) = (&sample[..axis], &sample[axis + 1..]);
        Self { outer: before.iter().product(), len: sample[axis], inner: behind.iter().product() }
    }

    /// The values that are left of a sample when the axis is gone.
    fn left(self) -> usize {
        self.outer * self.inner
    }

    fn blocks(self) -> usize {
        if self.inner == 1 { 1 } else { self.outer }
    }

    /// The rows of one block.
    fn rows(self) -> usize {
        if self.inner == 1 { self.outer } else { self.inner }
    }

    /// Block number `i` of a sample, as a matrix (rows, len).
    fn block<F>(self, sample: &[F], i: usize) -> Matrix<'_, F> {
        let size = self.rows() * self.len;
        let block = &sample[i * size..][..size];
        if self.inner == 1 {
            Matrix::new(block, self.outer, self.len)
        } else {
            Matrix::new(block, self.len, self.inner).t()
        }
    }
}

/// z[s, p, r] = Σₖ x[s, p, k]·y[s, r, k] for each sample s; p stands for all axes of x but the batch and k, r for those
/// of y.
///
/// `x` and `y` (batch, …) as the operands say → `z` (batch, p, r). Both sum over equally many places.
pub fn dot<F: Scalar>(x: &[F], of_x: Operand, y: &[F], of_y: Operand, z: &mut [F]) {
    let (p, r) = (of_x.left(), of_y.left());
    let samples = x.chunks_exact((p * of_x.len).max(1)).zip(y.chunks_exact((r * of_y.len).max(1)));
    for ((x, y), z) in samples.zip(z.chunks_exact_mut((p * r).max(1))) {
        for i in 0..of_x.blocks() {
            for j in 0..of_y.blocks() {
                let z = &mut z[i * of_x.rows() * r + j * of_y.rows()..];
                gemm(of_x.block(x, i), of_y.block(y, j).t(), Start::Zero, z, r);
            }
        }
    }
}

/// Backward of [`dot`] for x: ∂L/∂x[s, p, k] = Σᵣ ∂L/∂z[s, p, r]·y[s, r, k]. Overwrites `grad_x`.
pub fn dot_backward_x<F: Scalar>(grad_z: &[F], of_x: Operand, y: &[F], of_y: Operand, grad_x: &mut [F]) {
    let (p, r) = (of_x.left(), of_y.left());
    let samples = grad_z.chunks_exact((p * r).max(1)).zip(y.chunks_exact((r * of_y.len).max(1)));
    for ((grad_z, y), grad_x) in samples.zip(grad_x.chunks_exact_mut((p * of_x.len).max(1))) {
        sample_backward(of_x, y, of_y, grad_x, |i, j| {
            Matrix::with_row_stride(&grad_z[i * of_x.rows() * r + j * of_y.rows()..], of_x.rows(), of_y.rows(), r)
        });
    }
}

/// Backward of [`dot`] for y: ∂L/∂y[s, r, k] = Σₚ ∂L/∂z[s, p, r]·x[s, p, k]. Overwrites `grad_y`.
pub fn dot_backward_y<F: Scalar>(grad_z: &[F], x: &[F], of_x: Operand, of_y: Operand, grad_y: &mut [F]) {
    let (p, r) = (of_x.left(), of_y.left());
    let samples = grad_z.chunks_exact((p * r).max(1)).zip(x.chunks_exact((p * of_x.len).max(1)));
    for ((grad_z, x), grad_y) in samples.zip(grad_y.chunks_exact_mut((r * of_y.len).max(1))) {
        sample_backward(of_y, x, of_x, grad_y, |j, i| {
            Matrix::with_row_stride(&grad_z[i * of_x.rows() * r + j * of_y.rows()..], of_x.rows(), of_y.rows(), r).t()
        });
    }
}

/// One sample's gradient of one operand: for its block i, Σⱼ Gᵢⱼ·(block j of the other), written as the block lies.
fn sample_backward<'g, F: Scalar>(
    of: Operand,
    other: &[F],
    of_other: Operand,
    grad: &mut [F],
    grad_z: impl Fn(usize, usize) -> Matrix<'g, F>,
) {
    for (i, grad) in grad.chunks_exact_mut((of.rows() * of.len).max(1)).enumerate() {
        for j in 0..of_other.blocks() {
            let start = if j == 0 { Start::Zero } else { Start::Add };
            let other = of_other.block(other, j);
            if of.inner == 1 {
                gemm(grad_z(i, j), other, start, grad, of.len);
            } else {
                gemm(other.t(), grad_z(i, j).t(), start, grad, of.inner);
            }
        }
    }
}

/// A vector shorter than this is divided by this.
const SHORTEST: f64 = 1e-7;

kernel! {
    /// y = x / max(‖x‖, 1e-7) along an axis: vectors of length 1. `x` and `y` (outer, axis, inner).
    pub fn unit_vectors<F>(x: &[F], axis: usize, inner: usize, y: &mut [F]) {
        let len = (axis * inner).max(1);
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(len)) {
            for i in 0..inner {
                let mut squares = F::zero();
                for &x in x[i..].iter().step_by(inner) {
                    squares += x * x;
                }
                let scale = F::one() / squares.sqrt().max(F::of(SHORTEST));
                for (y, &x) in y[i..].iter_mut().step_by(inner).zip(x[i..].iter().step_by(inner)) {
                    *y = x * scale;
                }
            }
        }
    }
}

kernel! {
    /// Backward of [`unit_vectors`], from its input, in place of `grad`: ∂L/∂x = (g − u·Σ u·g)/‖x‖ with u = x/‖x‖; for vectors
    /// shorter than 1e-7, g/1e-7.
    pub fn unit_vectors_backward<F>(x: &[F], axis: usize, inner: usize, grad: &mut [F]) {
        let len = (axis * inner).max(1);
        for (x, grad) in x.chunks_exact(len).zip(grad.chunks_exact_mut(len)) {
            for i in 0..inner {
                let (mut squares, mut along) = (F::zero(), F::zero());
                for (&x, &g) in x[i..].iter().step_by(inner).zip(grad[i..].iter().step_by(inner)) {
                    squares += x * x;
                    along += x * g;
                }
                let shortest = F::of(SHORTEST);
                let length = squares.sqrt();
                let along = if length > shortest { along / squares } else { F::zero() };
                let scale = F::one() / length.max(shortest);
                for (g, &x) in grad[i..].iter_mut().step_by(inner).zip(x[i..].iter().step_by(inner)) {
                    *g = (*g - x * along) * scale;
                }
            }
        }
    }
}
