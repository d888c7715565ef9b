//! Images in another size: padded with zeros, cropped, enlarged, resampled.
//!
//! Arrays have their channels last: (batch, d, h, w, c). A sequence or an image has size 1 along the axes that it lacks.

use super::blocks::{block, block_mut, for_channels, plus};
use super::dispatch::kernel;
use crate::Scalar;

/// A box of cells inside a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The size of the larger.
    pub outer: [usize; 3],
    /// The size of the smaller.
    pub inner: [usize; 3],
    /// How far its first cell is inside.
    pub before: [usize; 3],
}

impl Frame {
    /// Calls `row` with the ranges of values in one sample of the inner and the outer array, for every row of cells.
    fn rows(&self, c: usize, mut row: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>)) {
        let ([depth, height, width], [_, outer_h, outer_w]) = (self.inner, self.outer);
        let [d0, h0, w0] = self.before;
        for d in 0..depth {
            for h in 0..height {
                let inner = (d * height + h) * width * c;
                let outer = (((d + d0) * outer_h + h + h0) * outer_w + w0) * c;
                row(inner..inner + width * c, outer..outer + width * c);
            }
        }
    }

    /// How many values a sample of the inner and one of the outer array has.
    fn lens(&self, c: usize) -> (usize, usize) {
        (self.inner.iter().product::<usize>() * c, self.outer.iter().product::<usize>() * c)
    }
}

/// y ← zeros around x: `x` is the inner, `y` the outer array. The backward pass of [`crop`].
pub fn pad<F: Scalar>(frame: Frame, c: usize, x: &[F], y: &mut [F]) {
    let (inner, outer) = frame.lens(c);
    y.fill(F::zero());
    if inner > 0 && outer > 0 {
        for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(outer)) {
            frame.rows(c, |inner, outer| y[outer].copy_from_slice(&x[inner]));
        }
    }
}

/// y ← x without its border: `x` is the outer, `y` the inner array. The backward pass of [`pad`].
pub fn crop<F: Scalar>(frame: Frame, c: usize, x: &[F], y: &mut [F]) {
    let (inner, outer) = frame.lens(c);
    if inner > 0 && outer > 0 {
        for (x, y) in x.chunks_exact(outer).zip(y.chunks_exact_mut(inner)) {
            frame.rows(c, |inner, outer| y[inner].copy_from_slice(&x[outer]));
        }
    }
}

kernel! { memory_bound:
    /// `y[i] = x[⌊i / times⌋]` along each axis: every cell `times` over.
    ///
    /// `x` (batch, size…, c), `y` (batch, size·times…, c).
    pub fn enlarge<F, I>(size: [usize; 3], times: [usize; 3], c: usize, x: &[F], y: &mut [F]) {
        let [_, height, width] = size;
        let row = width * c;
        if row == 0 || height == 0 || times.contains(&0) || y.is_empty() {
            return;
        }
        let out_row = row * times[2];
        // Rows of y in order; each is made from a row of x, or copied from the row before.
        let out_rows = height * times[1];
        for (number, plane) in y.chunks_exact_mut(out_rows * out_row).enumerate() {
            let from = number / times[0] * height * row;
            for h in 0..height {
                let rows = &mut plane[h * times[1] * out_row..(h + 1) * times[1] * out_row];
                let (first, others) = rows.split_at_mut(out_row);
                let cells = x[from + h * row..][..row].chunks_exact(c);
                for (cells, cell) in first.chunks_exact_mut(times[2] * c).zip(cells) {
                    cells.chunks_exact_mut(c).for_each(|place| place.copy_from_slice(cell));
                }
                others.chunks_exact_mut(out_row).for_each(|other| other.copy_from_slice(first));
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`enlarge`]: `∂L/∂x[k] = Σ ∂L/∂y[i]` over the cells i that k became. Overwrites `grad_x`.
    pub fn enlarge_backward<F, I>(
        size: [usize; 3],
        times: [usize; 3],
        c: usize,
        grad_y: &[F],
        grad_x: &mut [F],
    ) {
        grad_x.fill(F::zero());
        let (row, out_row) = (size[2] * c, size[2] * times[2] * c);
        if row == 0 || size[1] == 0 || times.contains(&0) {
            return;
        }
        let out_rows = size[1] * times[1];
        for (number, plane) in grad_y.chunks_exact(out_rows * out_row).enumerate() {
            for (h, grads) in plane.chunks_exact(out_row).enumerate() {
                let to = (number / times[0] * size[1] + h / times[1]) * row;
                let cells = grad_x[to..to + row].chunks_exact_mut(c);
                for (grad_x, grads) in cells.zip(grads.chunks_exact(times[2] * c)) {
                    for_channels!(I, c, ch, N => {
                        let mut sum: [F; N] = block(grad_x, ch);
                        for g in grads.chunks_exact(c) {
                            sum = plus(sum, block(g, ch));
                        }
                        *block_mut(grad_x, ch) = sum;
                    });
                }
            }
        }
    }
}

/// Between which two cells of `size` the cell `o` of `out` along the same axis lies, and how far it is from the first to
/// the second. Beyond the outermost centres it is the outermost cell.
#[inline(always)]
fn between<F: Scalar>(o: usize, size: usize, out: usize) -> (usize, usize, F) {
    let place = (o as f64 + 0.5) * (size as f64 / out as f64) - 0.5;
    let place = place.clamp(0.0, size as f64 - 1.0);
    let first = place.floor();
    let i = first as usize;
    (i, (i + 1).min(size - 1), F::of(place - first))
}

kernel! { memory_bound:
    /// Another size, bilinear: y[i, j] = (1 − u)·((1 − v)·x[a, c] + v·x[a, d]) + u·((1 − v)·x[b, c] + v·x[b, d]), where the
    /// centre of i lies between those of a and b, at u of the way, and that of j between c and d, at v.
    ///
    /// `x` (batch, height, width, c), `y` (batch, out…, c).
    pub fn bilinear<F, I>(size: [usize; 2], out: [usize; 2], c: usize, x: &[F], y: &mut [F]) {
        let ([height, width], row) = (size, out[1] * c);
        if [c, height, width, out[0], out[1]].contains(&0) {
            return;
        }
        for (x, y) in x.chunks_exact(height * width * c).zip(y.chunks_exact_mut(out[0] * row)) {
            for (i, y) in y.chunks_exact_mut(row).enumerate() {
                let (upper, lower, u) = between::<F>(i, height, out[0]);
                let (upper, lower) = (&x[upper * width * c..][..width * c], &x[lower * width * c..][..width * c]);
                for (j, y) in y.chunks_exact_mut(c).enumerate() {
                    let (left, right, v) = between::<F>(j, width, out[1]);
                    let (left, right) = (left * c, right * c);
                    for_channels!(I, c, ch, N => {
                        let (p, q): ([F; N], [F; N]) = (block(upper, left + ch), block(upper, right + ch));
                        let (r, s): ([F; N], [F; N]) = (block(lower, left + ch), block(lower, right + ch));
                        let mut mixed = p;
                        for k in 0..N {
                            let (above, below) = (p[k] + (q[k] - p[k]) * v, r[k] + (s[k] - r[k]) * v);
                            mixed[k] = above + (below - above) * u;
                        }
                        *block_mut(y, ch) = mixed;
                    });
                }
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`bilinear`]: each gradient goes to the four cells that its value came from, by the same shares.
    /// Overwrites `grad_x`.
    pub fn bilinear_backward<F, I>(size: [usize; 2], out: [usize; 2], c: usize, grad_y: &[F], grad_x: &mut [F]) {
        let ([height, width], row) = (size, out[1] * c);
        grad_x.fill(F::zero());
        if [c, height, width, out[0], out[1]].contains(&0) {
            return;
        }
        let samples = grad_x.chunks_exact_mut(height * width * c).zip(grad_y.chunks_exact(out[0] * row));
        for (grad_x, grad_y) in samples {
            for (i, grad_y) in grad_y.chunks_exact(row).enumerate() {
                let (upper, lower, u) = between::<F>(i, height, out[0]);
                for (j, grad_y) in grad_y.chunks_exact(c).enumerate() {
                    let (left, right, v) = between::<F>(j, width, out[1]);
                    for (line, share) in [(upper, F::one() - u), (lower, u)] {
                        for (column, share) in [(left, share * (F::one() - v)), (right, share * v)] {
                            let cell = &mut grad_x[(line * width + column) * c..][..c];
                            for_channels!(I, c, ch, N => {
                                let mut part: [F; N] = block(grad_y, ch);
                                for part in &mut part {
                                    *part *= share;
                                }
                                let place = block_mut(cell, ch);
                                *place = plus(*place, part);
                            });
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + seed * 31) % 1009) as f64 / 300.0 - 1.5).collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn padding_and_cropping_undo_each_other() {
        let frame = Frame { outer: [3, 5, 6], inner: [2, 2, 3], before: [1, 0, 2] };
        let x = numbers(2 * 12 * 3, 1);
        let (mut padded, mut back) = (vec![9.0; 2 * 90 * 3], vec![9.0; x.len()]);
        pad(frame, 3, &x, &mut padded);
        crop(frame, 3, &padded, &mut back);
        assert_eq!(back, x);
        assert_eq!(padded.iter().sum::<f64>(), x.iter().sum::<f64>());
        assert_eq!(padded[(5 * 6 + 2) * 3], x[0], "the first cell is at (1, 0, 2)");
    }

    #[test]
    fn every_cell_is_repeated() {
        let (size, times, c) = ([2, 3, 2], [2, 1, 3], 5);
        let x = numbers(2 * 12 * c, 2);
        let mut y = vec![9.0; x.len() * 6];
        enlarge(size, times, c, &x, &mut y);
        for (i, &y) in y.iter().enumerate() {
            let (ch, w, h, d, b) = (i % c, i / c % 6, i / c / 6 % 3, i / c / 18 % 4, i / c / 72);
            assert_eq!(y, x[(((b * 2 + d / 2) * 3 + h) * 2 + w / 3) * c + ch]);
        }
    }

    /// Both enlargements are linear: ⟨g, E x⟩ = ⟨Eᵀ g, x⟩ for all g and x says that Eᵀ is right.
    #[test]
    fn backward_passes_are_transposes() {
        on_every_isa(|_| {
            for c in [1, 8, 35] {
                let (size, times) = ([2, 3, 4], [1, 2, 3]);
                let (x, g) = (numbers(24 * c, 3), numbers(24 * 6 * c, 4));
                let (mut y, mut grad_x) = (vec![0.0; g.len()], vec![f64::NAN; x.len()]);
                enlarge(size, times, c, &x, &mut y);
                enlarge_backward(size, times, c, &g, &mut grad_x);
                assert!((dot(&g, &y) - dot(&grad_x, &x)).abs() < 1e-9);
                for (size, out) in [([3, 4], [6, 12]), ([3, 4], [5, 3]), ([4, 3], [1, 7])] {
                    let (x, g) = (&x[..2 * 12 * c], &g[..2 * out[0] * out[1] * c]);
                    let (mut y, mut grad_x) = (vec![0.0; g.len()], vec![f64::NAN; x.len()]);
                    bilinear(size, out, c, x, &mut y);
                    bilinear_backward(size, out, c, g, &mut grad_x);
                    assert!((dot(g, &y) - dot(&grad_x, x)).abs() < 1e-9);
                }
            }
        });
    }

    #[test]
    fn bilinear_values_lie_on_planes() {
        // x = 2·line + column is linear, so that inside all values are too.
        let x: Vec<f64> = (0..12).map(|i| f64::from(2 * (i / 4) + i % 4)).collect();
        let mut y = vec![0.0; 12 * 6];
        bilinear([3, 4], [6, 12], 1, &x, &mut y);
        for (i, &y) in y.iter().enumerate() {
            let line = ((i / 12) as f64 - 0.5) / 2.0;
            let column = ((i % 12) as f64 + 0.5) / 3.0 - 0.5;
            assert!((y - (2.0 * line.clamp(0.0, 2.0) + column.clamp(0.0, 3.0))).abs() < 1e-12);
        }
    }
}
