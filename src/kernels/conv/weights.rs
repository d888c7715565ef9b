//! The gradient of a convolution's kernel: for each of its rows (tap, channel) a sum over pixels.

use super::plan::Weights;
use super::tile::{Onto, Piece, Product, Rows, tile, tile_rows};
use super::{Finish, Geometry};
use crate::Scalar;
use crate::kernels::dispatch::{Instructions, kernel};
use crate::kernels::gemm::{Matrix, pack};
use crate::kernels::vector::Vector;

/// Gradients of the output that fewer tiles than this read are read where they lie: copying takes as long.
const IN_PLACE_TILES: usize = 4;

kernel! {
    /// `grad_kernel` += Σ over samples and pixels of patches ⊗ `grad_y`.
    ///
    /// `x` (samples, input, channels), `grad_y` (samples, output, filters), `grad_kernel` (rows, filters). `padded` has
    /// room for some samples with their padding, `packed` for the gradients of some pixels.
    pub fn grad_kernel<F, I>(
        geometry: &Geometry,
        plan: &Weights,
        x: &[F],
        grad_y: &[F],
        padded: &mut [F],
        packed: &mut [F],
        pieces: &mut Vec<Piece>,
        grad_kernel: &mut [F],
    ) {
        let (filters, sample_len) = (geometry.filters, plan.sample_len());
        let (x_len, y_len) = (geometry.input_len(), geometry.output_len());
        let samples = grad_y.len().checked_div(y_len).unwrap_or(0);
        assert!(x.len() >= samples * x_len && grad_kernel.len() >= plan.rows.len() * filters);
        assert!(padded.len() >= plan.padded_len() && packed.len() >= plan.packed_len(2 * I::Vector::LEN));
        if plan.pads {
            padded.fill(F::zero());
        }

        for first in (0..samples).step_by(plan.samples) {
            let count = plan.samples.min(samples - first);
            let source = if plan.pads {
                for (x, padded) in x[first * x_len..].chunks_exact(x_len).zip(padded.chunks_exact_mut(sample_len)).take(count) {
                    pad(geometry, plan, x, padded);
                }
                padded.as_ptr()
            } else {
                x.as_ptr().wrapping_add(first * x_len)
            };
            // Rows of the output, until there are enough pixels for the tiles to sum over.
            pieces.clear();
            for sample in 0..count {
                rows_of_output(geometry, plan, sample * sample_len, pieces);
            }
            let (mut from, mut start) = (0, 0);
            while from < pieces.len() {
                let (mut to, mut pixels) = (from, 0);
                while to < pieces.len() && pixels + pieces[to].len <= plan.pixels {
                    pieces[to].b = pixels;
                    pixels += pieces[to].len;
                    to += 1;
                }
                let grad_y = &grad_y[first * y_len + start * filters..];
                sum_over::<F, I>(geometry, plan, source, &pieces[from..to], pixels, grad_y, packed, grad_kernel);
                (from, start) = (to, start + pixels);
            }
        }
    }
}

/// Copies a sample of the input to where it has its padding around it.
#[inline(always)]
pub fn pad<F: Scalar>(geometry: &Geometry, plan: &Weights, x: &[F], padded: &mut [F]) {
    let Geometry { input, before, channels, .. } = *geometry;
    let [_, height, width] = plan.padded;
    for (number, row) in x.chunks_exact(input[2] * channels).enumerate() {
        let (z, y) = (number / input[1] + before[0], number % input[1] + before[1]);
        let to = ((z * height + y) * width + before[2]) * channels;
        padded[to..to + row.len()].copy_from_slice(row);
    }
}

/// Adds to `pieces` the rows of one sample's output, those that are too long in parts: where their first pixel's first
/// tap is, `shift` scalars behind, and how many pixels of the output are before them.
pub fn rows_of_output(geometry: &Geometry, plan: &Weights, shift: usize, pieces: &mut Vec<Piece>) {
    let Geometry { output, strides, channels, .. } = *geometry;
    let [_, height, width] = plan.padded;
    let parts = output[2].div_ceil(plan.pixels);
    let most = output[2].div_ceil(parts.max(1));
    for row in 0..output[0] * output[1] {
        let (z, y) = (row / output[1] * strides[0], row % output[1] * strides[1]);
        for part in 0..parts {
            let x = part * most;
            let cell = (z * height + y) * width + x * strides[2];
            pieces.push(Piece { a: shift + cell * channels, b: row * output[2] + x, len: most.min(output[2] - x) });
        }
    }
}

/// Adds the part of some pixels, whose gradients are the first rows of `grad_y`.
#[inline(always)]
fn sum_over<F: crate::kernels::math::Elementary, I: Instructions<F>>(
    geometry: &Geometry,
    plan: &Weights,
    source: *const F,
    pieces: &[Piece],
    pixels: usize,
    grad_y: &[F],
    packed: &mut [F],
    grad_kernel: &mut [F],
) {
    let Geometry { strides, channels, filters, groups, .. } = *geometry;
    let (panel, full) = (2 * I::Vector::LEN, tile_rows::<F, I>());
    let (depth, columns) = (channels / groups, filters / groups);
    let matrix = Matrix::new(grad_y, pixels, filters);
    for group in 0..groups {
        for column in (0..columns).step_by(panel) {
            let cols = panel.min(columns - column);
            let first = group * columns + column;
            let in_place = cols == panel && plan.rows.len() < IN_PLACE_TILES * full;
            // SAFETY: the pixels' patches lie inside the source; gradients are copied in whole panels, or are there in
            // whole panels; rows and columns lie inside the kernel.
            unsafe {
                let (b, b_step) = if in_place {
                    (grad_y.as_ptr().add(first), filters)
                } else {
                    pack::columns::<F, I>(matrix, (0, pixels), (first, cols), packed.as_mut_ptr());
                    (packed.as_ptr(), panel)
                };
                let product = Product { pieces, a_step: strides[2] * channels, b, b_step };
                let mut rows = Rows::new();
                for (row, &place) in plan.rows.iter().enumerate() {
                    let a = source.wrapping_add(place + group * depth);
                    rows.push(a, grad_kernel.as_mut_ptr().add(row * filters));
                    if rows.count == full || row + 1 == plan.rows.len() {
                        tile::<F, I>(product, &rows, first, cols, Onto::C, Finish::Linear);
                        rows.count = 0;
                    }
                }
            }
        }
    }
}
