//! Windows of a single cell: each cell of the output is made of the cell of the input at its place, y = x·k.

use super::geometry::{Direction, Geometry, TapSums};
use crate::Scalar;
use crate::kernels::gemm::{Matrix, Packed, Start, gemm, gemm_finished};

/// The sums of [`forward`](super::forward) and [`grad_input`](super::grad_input).
pub fn sum_taps<F: Scalar>(sums: TapSums<'_, F>, packed: &mut Packed<F>) {
    let TapSums { geometry, direction, source, kernel, kept, bias, finish, target } = sums;
    let kernel = Matrix::new(kernel, geometry.channels, geometry.filters);
    let kernel = if direction == Direction::Backward { kernel.t() } else { kernel };
    let [from, to] = kernel.shape();
    let packed = if let Some(kept) = kept {
        kept.product.get_or_init(|| {
            let mut packed = Packed::default();
            packed.pack(kernel);
            packed
        })
    } else {
        packed.pack(kernel);
        packed
    };
    let start = bias.map_or(Start::Zero, Start::Bias);
    gemm_finished(Matrix::new(source, source.len() / from, from), packed, start, finish, target, to);
}

/// `grad_kernel` += xᵀ·`grad_y`
pub fn grad_kernel<F: Scalar>(geometry: &Geometry, x: &[F], grad_y: &[F], grad_kernel: &mut [F]) {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let cells = x.len() / channels;
    gemm(Matrix::new(x, cells, channels).t(), Matrix::new(grad_y, cells, filters), Start::Add, grad_kernel, filters);
}
