//! The gradient of a convolution's kernel: for each of its rows (tap, channel) a sum over pixels.

use super::plan::Weights;
use super::tile::{Onto, Piece, Product, Rows, Target, tile, tile_rows};
use super::{Finish, Geometry};
use crate::Scalar;
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch::{Instructions, kernel};
use crate::kernels::gemm::{Matrix, Panels, pack};
use crate::kernels::vector::Vector;

/// Gradients of the output that fewer tiles than this read are read where they lie: copying takes as long.
const IN_PLACE_TILES: usize = 4;

/// A stretch of a row of the output, whose pixels are summed over one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Where its sample begins.
    shift: usize,
    /// The cell of the input that its first pixel's first tap meets; it may lie in the padding.
    corner: [isize; 3],
    /// The number of its first pixel.
    pixel: usize,
    len: usize,
}

kernel! {
    /// `grad_kernel` += Σ over samples and pixels of patches ⊗ `grad_y`.
    ///
    /// Where tiles have rows of one tap each, a tap's sums leave out the pixels where it meets padding. Else samples are
    /// copied with their padding around them, and all rows sum over all pixels.
    ///
    /// `x` (samples, input, channels), `grad_y` (samples, output, filters), `grad_kernel` (rows, filters). `packed` has
    /// room for the gradients of some pixels.
    pub fn grad_kernel<F, I>(
        geometry: &Geometry,
        plan: &Weights,
        x: &[F],
        grad_y: &[F],
        padded: &mut Aligned<F>,
        packed: &mut [F],
        stretches: &mut Vec<Stretch>,
        pieces: &mut Vec<Piece>,
        grad_kernel: &mut [F],
    ) {
        let (filters, sample_len) = (geometry.filters, plan.sample_len());
        let (x_len, y_len) = (geometry.input_len(), geometry.output_len());
        let samples = grad_y.len().checked_div(y_len).unwrap_or(0);
        assert!(x.len() >= samples * x_len && grad_kernel.len() >= plan.rows.len() * filters);
        assert!(packed.len() >= plan.packed_len(2 * I::Vector::LEN));
        let by_tap = plan.pads && (geometry.channels / geometry.groups).is_multiple_of(tile_rows::<F, I>());
        let copies = plan.pads && !by_tap;
        let padded = padded.room(if copies { plan.padded_len() } else { 0 });
        padded.fill(F::zero());

        for first in (0..samples).step_by(plan.samples) {
            let count = plan.samples.min(samples - first);
            let source = if copies {
                for (x, padded) in x[first * x_len..].chunks_exact(x_len).zip(padded.chunks_exact_mut(sample_len)).take(count) {
                    pad(geometry, plan, x, padded);
                }
                Source { x: padded.as_ptr(), size: plan.padded, by_tap }
            } else {
                Source { x: x.as_ptr().wrapping_add(first * x_len), size: geometry.input, by_tap }
            };
            // Rows of the output, until there are enough pixels for the tiles to sum over.
            stretches.clear();
            for sample in 0..count {
                let before = if by_tap { geometry.before } else { [0; 3] };
                rows_of_output(geometry, plan, sample * if copies { sample_len } else { x_len }, before, stretches);
            }
            let (mut from, mut start) = (0, 0);
            while from < stretches.len() {
                let (mut to, mut pixels) = (from, 0);
                while to < stretches.len() && pixels + stretches[to].len <= plan.pixels {
                    stretches[to].pixel = pixels;
                    pixels += stretches[to].len;
                    to += 1;
                }
                let grad_y = &grad_y[first * y_len + start * filters..][..pixels * filters];
                sum_over::<F, I>(geometry, plan, source, &stretches[from..to], grad_y, packed, pieces, grad_kernel);
                (from, start) = (to, start + pixels);
            }
        }
    }
}

/// Samples of the input as the tiles read them.
#[derive(Clone, Copy)]
struct Source<F> {
    x: *const F,
    /// Cells of a sample.
    size: [usize; 3],
    /// Whether each tap has pieces of its own, or all rows the same.
    by_tap: bool,
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

/// Adds to `stretches` the rows of one sample's output, those that are too long in parts: the sample begins at `shift`, and
/// has `before` cells of padding that are not there.
pub fn rows_of_output(
    geometry: &Geometry,
    plan: &Weights,
    shift: usize,
    before: [usize; 3],
    stretches: &mut Vec<Stretch>,
) {
    let Geometry { output, strides, .. } = *geometry;
    let parts = output[2].div_ceil(plan.pixels);
    let most = output[2].div_ceil(parts.max(1));
    for row in 0..output[0] * output[1] {
        for part in 0..parts {
            let x = part * most;
            let pixel = [row / output[1], row % output[1], x];
            let corner = [0, 1, 2].map(|axis| (pixel[axis] * strides[axis]).cast_signed() - before[axis].cast_signed());
            stretches.push(Stretch { shift, corner, pixel: row * output[2] + x, len: most.min(output[2] - x) });
        }
    }
}

/// Sets `pieces` to the stretches, as far as a tap that is so many cells behind the first meets a cell of the input.
#[inline(always)]
pub fn pieces_of_tap(
    stretches: &[Stretch],
    tap: [usize; 3],
    size: [usize; 3],
    stride: usize,
    channels: usize,
    pieces: &mut Vec<Piece>,
) {
    pieces.clear();
    for &Stretch { shift, corner, pixel, len } in stretches {
        let [z, y, x] = [0, 1, 2].map(|axis| corner[axis] + tap[axis].cast_signed());
        let (Ok(z), Ok(y)) = (usize::try_from(z), usize::try_from(y)) else { continue };
        // The first pixels may come before the row's first cell, the last ones behind its last.
        let skip = usize::try_from(-x).map_or(0, |missing| missing.div_ceil(stride));
        let end = usize::try_from(size[2].cast_signed() - x).map_or(0, |ahead| ahead.div_ceil(stride)).min(len);
        if z < size[0] && y < size[1] && skip < end {
            let cell = (z * size[1] + y) * size[2] + x.wrapping_add_unsigned(skip * stride).cast_unsigned();
            pieces.push(Piece { a: shift + cell * channels, b: pixel + skip, len: end - skip });
        }
    }
}

/// Adds the part of the pixels of some stretches, whose gradients are `grad_y`.
#[inline(always)]
fn sum_over<F: crate::kernels::math::Elementary, I: Instructions<F>>(
    geometry: &Geometry,
    plan: &Weights,
    source: Source<F>,
    stretches: &[Stretch],
    grad_y: &[F],
    packed: &mut [F],
    pieces: &mut Vec<Piece>,
    grad_kernel: &mut [F],
) {
    let Geometry { strides, channels, filters, groups, dilation, .. } = *geometry;
    let (panel, full) = (2 * I::Vector::LEN, tile_rows::<F, I>());
    let (depth, columns) = (channels / groups, filters / groups);
    let pixels = grad_y.len() / filters;
    let matrix = Matrix::new(grad_y, pixels, filters);
    let grad_kernel = grad_kernel.as_mut_ptr();
    if !source.by_tap {
        pieces_of_tap(stretches, [0; 3], source.size, strides[2], channels, pieces);
    }
    for group in 0..groups {
        for column in (0..columns).step_by(panel) {
            let cols = panel.min(columns - column);
            let first = group * columns + column;
            // A row of filters that fills the vectors lies as a copy would.
            let is_copy = cols == filters && cols.is_multiple_of(I::Vector::LEN);
            let in_place = is_copy || cols == panel && plan.rows.len() < IN_PLACE_TILES * full;
            // SAFETY: the pixels' patches lie inside the source; gradients are copied in whole panels, or are there in
            // as many whole vectors as are read; rows and columns lie inside the kernel.
            unsafe {
                let (b, b_step) = if in_place {
                    (grad_y.as_ptr().add(first), filters)
                } else {
                    pack::columns::<F, I>(
                        matrix,
                        (0, pixels),
                        first,
                        Panels::of_width(cols, panel),
                        packed.as_mut_ptr(),
                    );
                    (packed.as_ptr(), panel)
                };
                let add = |rows: &Rows<F>, pieces: &[Piece]| {
                    let product = Product { pieces, a_step: strides[2] * channels, b, b_step };
                    let target = Target { rows, shift: first, cols, onto: Onto::C, finish: Finish::Linear };
                    tile::<F, I>(product, target);
                };
                if source.by_tap {
                    for tap in 0..geometry.taps() {
                        let place = geometry.tap(tap);
                        let ahead = [0, 1, 2].map(|axis| place[axis] * dilation[axis]);
                        pieces_of_tap(stretches, ahead, source.size, strides[2], channels, pieces);
                        for channel in (0..depth).step_by(full) {
                            let mut rows = Rows::new();
                            for channel in channel..channel + full {
                                let row = tap * depth + channel;
                                let a = source.x.wrapping_add(group * depth + channel);
                                rows.push(a, grad_kernel.add(row * filters));
                            }
                            add(&rows, pieces);
                        }
                    }
                    continue;
                }
                let mut rows = Rows::new();
                for (row, &place) in plan.rows.iter().enumerate() {
                    let a = source.x.wrapping_add(place + group * depth);
                    rows.push(a, grad_kernel.add(row * filters));
                    if rows.count == full || row + 1 == plan.rows.len() {
                        add(&rows, pieces);
                        rows.count = 0;
                    }
                }
            }
        }
    }
}
