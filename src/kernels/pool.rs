//! Pooling: the largest value, or the mean, of every window and channel.
//!
//! Arrays have their channels last: `x` (batch, d, h, w, c) and `y` (batch, od, oh, ow, c). A sequence or an image has
//! size 1 along the axes that it lacks. A global pool has one window, as large as the input.
//!
//! No place of the largest value is kept: the backward pass is given x and y, and finds it again by comparing. That
//! reads x once more, but writes and reads no array of places, and works in vectors of channels.

use std::ops::Range;

use super::blocks::{block, block_mut, for_channels, plus};
use super::dispatch::{Instructions, kernel};
use crate::Scalar;
use crate::memory::product;

/// Where the windows of a pool lie along depth, height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The size of the input.
    pub input: [usize; 3],
    /// How many windows there are.
    pub output: [usize; 3],
    /// The size of a window.
    pub pool: [usize; 3],
    /// From one window to the next.
    pub strides: [usize; 3],
    /// How far the first window begins before the input: padding, which no pool counts.
    pub before: [usize; 3],
}

impl Windows {
    /// One window over the whole input.
    pub fn whole(input: [usize; 3]) -> Self {
        Self { input, output: [1; 3], pool: input, strides: [1; 3], before: [0; 3] }
    }

    /// The cells of the input along `axis` that window number `o` covers, padding left out.
    #[inline(always)]
    pub fn cells(&self, axis: usize, o: usize) -> Range<usize> {
        let (start, before) = (o * self.strides[axis], self.before[axis]);
        let end = start.saturating_add(self.pool[axis]).saturating_sub(before);
        start.saturating_sub(before)..end.min(self.input[axis])
    }

    /// Whether it is the usual halving of height and width, by windows of 2 × 2 that lie wholly inside.
    #[inline(always)]
    fn halves(&self) -> bool {
        let inside = (1..3).all(|axis| 2 * self.output[axis] <= self.input[axis]);
        inside && self.pool == [1, 2, 2] && self.strides == [1, 2, 2] && self.before == [0; 3]
    }
}

/// The larger; the first if they are equal; NaN if either is.
#[inline(always)]
fn larger<F: Scalar, const N: usize>(best: [F; N], x: [F; N]) -> [F; N] {
    let mut out = best;
    for i in 0..N {
        out[i] = if (x[i] > best[i]) | x[i].is_nan() { x[i] } else { best[i] };
    }
    out
}

/// The part of `rest` that goes to a cell `x` of a window whose largest value is `most`: all of it, if the cell is the
/// first that holds that value. What is left for later cells stays in `rest`.
#[inline(always)]
fn claim<F: Scalar, const N: usize>(x: [F; N], most: [F; N], rest: &mut [F; N]) -> [F; N] {
    let mut part = [F::zero(); N];
    for i in 0..N {
        let found = (x[i] == most[i]) | x[i].is_nan();
        part[i] = if found { rest[i] } else { F::zero() };
        rest[i] = if found { F::zero() } else { rest[i] };
    }
    part
}

/// The cells of a row of windows' input: `x` (d, h, w, c) from `ws.start` to `ws.end` of row (d, h).
#[inline(always)]
fn row(win: &Windows, c: usize, d: usize, h: usize, ws: &Range<usize>) -> Range<usize> {
    let start = (d * win.input[1] + h) * win.input[2];
    (start + ws.start) * c..(start + ws.end) * c
}

/// Walks over the windows of every sample: `$y` is the output's place, `$cells` its windows' cells along each axis.
macro_rules! for_windows {
    ($win:ident, $c:ident, $outputs:expr, |$places:pat_param, $cells:ident| $body:block) => {
        let mut places = $outputs;
        for d in 0..$win.output[0] {
            for h in 0..$win.output[1] {
                for w in 0..$win.output[2] {
                    let $cells = [$win.cells(0, d), $win.cells(1, h), $win.cells(2, w)];
                    let Some($places) = places.next() else { return };
                    $body
                }
            }
        }
    };
}

/// How many values a sample of the input, and one of the output has. None if there is nothing to do.
#[inline(always)]
fn sample_lens(win: &Windows, c: usize) -> Option<(usize, usize)> {
    let len = |[depth, height, width]: [usize; 3]| {
        product(&[depth, height, width, c]).unwrap_or_else(|| panic!("{win:?} of {c} channels overflow"))
    };
    let (input, output) = (len(win.input), len(win.output));
    (input > 0 && output > 0).then_some((input, output))
}

kernel! {
    /// y[o, ch] = the largest x[k, ch] over the cells k of window o. A NaN wins over every number.
    pub fn max_pool<F, I>(win: Windows, c: usize, x: &[F], y: &mut [F]) {
        let Some((x_len, y_len)) = sample_lens(&win, c) else { return };
        for (x, y) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)) {
            if I::SPECIALISED && win.halves() {
                halve::<F, I, true>(&win, c, x, y);
                continue;
            }
            for_windows!(win, c, y.chunks_exact_mut(c), |y, cells| {
                for_channels!(I, c, ch, N => {
                    let mut most = [F::neg_infinity(); N];
                    for d in cells[0].clone() {
                        for h in cells[1].clone() {
                            for x in x[row(&win, c, d, h, &cells[2])].chunks_exact(c) {
                                most = larger(most, block(x, ch));
                            }
                        }
                    }
                    *block_mut(y, ch) = most;
                });
            });
        }
    }
}

kernel! {
    /// Backward of [`max_pool`]: ∂L/∂x[k, ch] = Σ ∂L/∂y[o, ch] over all o in whose window k is the first cell that holds
    /// the largest value (or is NaN). Overwrites `grad_x`.
    ///
    /// A sum, because windows may overlap: one cell can win several times.
    pub fn max_pool_backward<F, I>(win: Windows, c: usize, x: &[F], y: &[F], grad_y: &[F], grad_x: &mut [F]) {
        let Some((x_len, y_len)) = sample_lens(&win, c) else { return grad_x.fill(F::zero()) };
        let (samples, grads) = (x.chunks_exact(x_len).zip(grad_x.chunks_exact_mut(x_len)), grad_y.chunks_exact(y_len));
        for (((x, grad_x), y), grad_y) in samples.zip(y.chunks_exact(y_len)).zip(grads) {
            if I::SPECIALISED && win.halves() {
                halve_backward::<F, I, true>(&win, c, x, y, grad_y, grad_x);
                continue;
            }
            grad_x.fill(F::zero());
            for_windows!(win, c, y.chunks_exact(c).zip(grad_y.chunks_exact(c)), |(y, grad_y), cells| {
                for_channels!(I, c, ch, N => {
                    let most: [F; N] = block(y, ch);
                    let mut rest: [F; N] = block(grad_y, ch);
                    for d in cells[0].clone() {
                        for h in cells[1].clone() {
                            let row = row(&win, c, d, h, &cells[2]);
                            for (x, grad_x) in x[row.clone()].chunks_exact(c).zip(grad_x[row].chunks_exact_mut(c)) {
                                let grad_x = block_mut(grad_x, ch);
                                *grad_x = plus(*grad_x, claim(block(x, ch), most, &mut rest));
                            }
                        }
                    }
                });
            });
        }
    }
}

kernel! {
    /// y[o, ch] = the mean of x[k, ch] over the cells k of window o; padding does not count.
    pub fn avg_pool<F, I>(win: Windows, c: usize, x: &[F], y: &mut [F]) {
        let Some((x_len, y_len)) = sample_lens(&win, c) else { return };
        for (x, y) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)) {
            if I::SPECIALISED && win.halves() {
                halve::<F, I, false>(&win, c, x, y);
                continue;
            }
            for_windows!(win, c, y.chunks_exact_mut(c), |y, cells| {
                let count = F::of(cells.iter().map(ExactSizeIterator::len).product::<usize>() as f64);
                for_channels!(I, c, ch, N => {
                    let mut sum = [F::zero(); N];
                    for d in cells[0].clone() {
                        for h in cells[1].clone() {
                            // A sum a row: the rounding error of a large window grows with its sides, not its area.
                            let mut of_row = [F::zero(); N];
                            for x in x[row(&win, c, d, h, &cells[2])].chunks_exact(c) {
                                of_row = plus(of_row, block(x, ch));
                            }
                            sum = plus(sum, of_row);
                        }
                    }
                    *block_mut(y, ch) = over(sum, count);
                });
            });
        }
    }
}

kernel! {
    /// Backward of [`avg_pool`]: ∂L/∂x[k, ch] = Σ ∂L/∂y[o, ch] / n(o) over all windows o around k, which have n(o)
    /// cells. Overwrites `grad_x`.
    pub fn avg_pool_backward<F, I>(win: Windows, c: usize, grad_y: &[F], grad_x: &mut [F]) {
        let Some((x_len, y_len)) = sample_lens(&win, c) else { return grad_x.fill(F::zero()) };
        for (grad_x, grad_y) in grad_x.chunks_exact_mut(x_len).zip(grad_y.chunks_exact(y_len)) {
            if I::SPECIALISED && win.halves() {
                halve_backward::<F, I, false>(&win, c, &[], &[], grad_y, grad_x);
                continue;
            }
            grad_x.fill(F::zero());
            for_windows!(win, c, grad_y.chunks_exact(c), |grad_y, cells| {
                let count = F::of(cells.iter().map(ExactSizeIterator::len).product::<usize>() as f64);
                for_channels!(I, c, ch, N => {
                    let part: [F; N] = over(block(grad_y, ch), count);
                    for d in cells[0].clone() {
                        for h in cells[1].clone() {
                            for grad_x in grad_x[row(&win, c, d, h, &cells[2])].chunks_exact_mut(c) {
                                let grad_x = block_mut(grad_x, ch);
                                *grad_x = plus(*grad_x, part);
                            }
                        }
                    }
                });
            });
        }
    }
}

/// a / n
#[inline(always)]
fn over<F: Scalar, const N: usize>(a: [F; N], n: F) -> [F; N] {
    let mut out = a;
    for a in &mut out {
        *a /= n;
    }
    out
}

/// Two neighbours of a row of cells.
#[inline(always)]
fn pair<F: Copy, const N: usize>(cells: &[F], c: usize, ch: usize) -> ([F; N], [F; N]) {
    (block(cells, ch), block(cells, c + ch))
}

/// One sample through windows of 2 × 2: their largest values, or with `MAX` false their means.
#[inline(always)]
fn halve<F: Scalar, I: Instructions<F>, const MAX: bool>(win: &Windows, c: usize, x: &[F], y: &mut [F]) {
    let ([_, height, width], [_, oh, ow]) = (win.input, win.output);
    let quarter = F::of(0.25);
    let planes = x.chunks_exact(height * width * c).zip(y.chunks_exact_mut(oh * ow * c));
    for (x, y) in planes {
        let rows = x.chunks_exact(2 * width * c).zip(y.chunks_exact_mut(ow * c));
        for (x, y) in rows {
            let (upper, lower) = x.split_at(width * c);
            let cells = upper.chunks_exact(2 * c).zip(lower.chunks_exact(2 * c));
            for (y, (upper, lower)) in y.chunks_exact_mut(c).zip(cells) {
                for_channels!(I, c, ch, N => {
                    let ((a1, a2), (b1, b2)) = (pair::<F, N>(upper, c, ch), pair::<F, N>(lower, c, ch));
                    *block_mut(y, ch) = if MAX {
                        larger(larger(larger(a1, a2), b1), b2)
                    } else {
                        let mut sum = plus(plus(a1, a2), plus(b1, b2));
                        for sum in &mut sum {
                            *sum *= quarter;
                        }
                        sum
                    };
                });
            }
        }
    }
}

/// Backward of [`halve`]; for means `x` and `y` are not looked at. Every cell lies in one window at most, so that
/// nothing is added up.
#[inline(always)]
fn halve_backward<F: Scalar, I: Instructions<F>, const MAX: bool>(
    win: &Windows,
    c: usize,
    x: &[F],
    y: &[F],
    grad_y: &[F],
    grad_x: &mut [F],
) {
    let ([_, height, width], [_, oh, ow]) = (win.input, win.output);
    let quarter = F::of(0.25);
    let (plane, y_plane) = (height * width * c, oh * ow * c);
    for (d, (grad_x, grad_y)) in grad_x.chunks_exact_mut(plane).zip(grad_y.chunks_exact(y_plane)).enumerate() {
        let mut rows = grad_x.chunks_exact_mut(2 * width * c);
        for (h, (grad_x, grad_y)) in (&mut rows).zip(grad_y.chunks_exact(ow * c)).enumerate() {
            let (upper, lower) = grad_x.split_at_mut(width * c);
            let cells = upper.chunks_exact_mut(2 * c).zip(lower.chunks_exact_mut(2 * c));
            for (w, (grad_y, (upper, lower))) in grad_y.chunks_exact(c).zip(cells).enumerate() {
                let x_at = d * plane + (2 * h * width + 2 * w) * c;
                let y_at = d * y_plane + (h * ow + w) * c;
                for_channels!(I, c, ch, N => {
                    let mut rest: [F; N] = block(grad_y, ch);
                    if MAX {
                        let most: [F; N] = block(&y[y_at..], ch);
                        let (a1, a2) = pair(&x[x_at..], c, ch);
                        let (b1, _) = pair(&x[x_at + width * c..], c, ch);
                        *block_mut(upper, ch) = claim(a1, most, &mut rest);
                        *block_mut(upper, c + ch) = claim(a2, most, &mut rest);
                        *block_mut(lower, ch) = claim(b1, most, &mut rest);
                        *block_mut(lower, c + ch) = rest; // what no other cell took
                    } else {
                        for rest in &mut rest {
                            *rest *= quarter;
                        }
                        *block_mut(upper, ch) = rest;
                        *block_mut(upper, c + ch) = rest;
                        *block_mut(lower, ch) = rest;
                        *block_mut(lower, c + ch) = rest;
                    }
                });
            }
            if width > 2 * ow {
                upper[2 * ow * c..].fill(F::zero());
                lower[2 * ow * c..].fill(F::zero());
            }
        }
        grad_x[2 * oh * width * c..].fill(F::zero());
    }
}

kernel! {
    /// y[b, ch] = Σₜ m[b, t]·x[b, t, ch] / Σₜ m[b, t]: the mean of the steps that count. It is NaN where none does.
    ///
    /// `x` (batch, steps, c) with as many rows as `y`, `mask` (batch, steps).
    pub fn masked_mean<F, I>(mask: &[bool], c: usize, x: &[F], y: &mut [F]) {
        let steps = mask.len() * c / y.len().max(1);
        if c * steps == 0 {
            return;
        }
        for ((x, mask), y) in x.chunks_exact(steps * c).zip(mask.chunks_exact(steps)).zip(y.chunks_exact_mut(c)) {
            let count = F::of(mask.iter().filter(|&&counts| counts).count() as f64);
            for_channels!(I, c, ch, N => {
                let mut sum = [F::zero(); N];
                for (x, &counts) in x.chunks_exact(c).zip(mask) {
                    if counts {
                        sum = plus(sum, block(x, ch));
                    }
                }
                *block_mut(y, ch) = over(sum, count);
            });
        }
    }
}

kernel! {
    /// Backward of [`masked_mean`]: ∂L/∂x[b, t, ch] = m[b, t]·∂L/∂y[b, ch] / Σₜ m[b, t]. Overwrites `grad_x`.
    pub fn masked_mean_backward<F, I>(mask: &[bool], c: usize, grad_y: &[F], grad_x: &mut [F]) {
        let steps = mask.len() * c / grad_y.len().max(1);
        grad_x.fill(F::zero());
        if c * steps == 0 {
            return;
        }
        let samples = grad_x.chunks_exact_mut(steps * c).zip(mask.chunks_exact(steps));
        for ((grad_x, mask), grad_y) in samples.zip(grad_y.chunks_exact(c)) {
            let count = F::of(mask.iter().filter(|&&counts| counts).count() as f64);
            for (grad_x, _) in grad_x.chunks_exact_mut(c).zip(mask).filter(|(_, counts)| **counts) {
                for (grad_x, &g) in grad_x.iter_mut().zip(grad_y) {
                    *grad_x = g / count;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
