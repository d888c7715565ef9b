//! Normalization by the statistics of channels: batch and group normalization.
//!
//! `x` is seen as (outer, channels, inner), `inner` = 1 where the channels are the last axis. Mean and variance are not
//! taken from Σx and Σx², which cancel where the mean is large: of a few rows at a time the mean is taken, then the
//! squares around it, while they are in the cache; two such results are joined without loss (Chan, Golub, LeVeque 1979):
//!
//! μ = μ₁ + δ·n₂/n, M = M₁ + M₂ + δ²·n₁n₂/n, with δ = μ₂ − μ₁ and n = n₁ + n₂.

use super::blocks::{block, block_mut, fold, for_channels, plus, row_sum};
use super::dispatch::kernel;
use crate::Scalar;

/// How an array is seen as channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// How many there are.
    pub count: usize,
    /// How many neighbouring values belong to the same.
    pub inner: usize,
}

/// Which values count: number i does where `steps[i / step_len]` is true. All values of a channel that lie together
/// must belong to the same step.
pub type StepMask<'a> = Option<(&'a [bool], usize)>;

/// So many rows are in the cache when they are read a second time.
const ROWS: usize = 32;
/// The same for values of one channel that lie together.
const RUN: usize = 1024;

/// Whether the run of values that begins at `start` counts.
#[inline(always)]
fn counts(mask: StepMask<'_>, start: usize) -> bool {
    mask.is_none_or(|(steps, step_len)| steps[start / step_len])
}

/// Joins `part`, a block of counts, means and sums of squares, to `total`.
#[inline(always)]
fn join<F: Scalar, const N: usize>(total: [&mut [F; N]; 3], part: [[F; N]; 3]) {
    let ([counts, means, squares], [count, mean, square]) = (total, part);
    for i in 0..N {
        let n = counts[i] + count[i];
        // Nothing joined to nothing leaves nothing.
        let share = if n > F::zero() { count[i] / n } else { F::zero() };
        let delta = mean[i] - means[i];
        squares[i] += square[i] + delta * delta * counts[i] * share;
        means[i] += delta * share;
        counts[i] = n;
    }
}

kernel! {
    /// Joins to `moments` those of x: for each channel the count n, the mean μ, and M = Σ (x − μ)².
    ///
    /// `x` (outer, channels, inner); `moments` (3, channels).
    pub fn add_moments<F, I>(channels: Channels, mask: StepMask<'_>, x: &[F], moments: &mut [F]) {
        let Channels { count: c, inner } = channels;
        if c * inner == 0 {
            return;
        }
        let (ns, rest) = moments.split_at_mut(c);
        let (means, squares) = rest.split_at_mut(c);
        if inner > 1 {
            for (at, run) in x.chunks_exact(inner).enumerate().filter(|(at, _)| counts(mask, at * inner)) {
                for run in run.chunks(RUN) {
                    let n = F::of(run.len() as f64);
                    let mean = row_sum!(I, run.len(), |i, N| block(run, i)) / n;
                    let square = row_sum!(I, run.len(), |i, N| squares_around(block(run, i), [mean; N]));
                    let ch = at % c;
                    let total: [&mut [F; 1]; 3] = [block_mut(ns, ch), block_mut(means, ch), block_mut(squares, ch)];
                    join(total, [[n], [mean], [square]]);
                }
            }
            return;
        }
        for (number, rows) in x.chunks(ROWS * c).enumerate() {
            let mut kept = [true; ROWS];
            if mask.is_some() {
                for (row, kept) in kept.iter_mut().enumerate().take(rows.len() / c) {
                    *kept = counts(mask, (number * ROWS + row) * c);
                }
            }
            let n = kept[..rows.len() / c].iter().filter(|&&kept| kept).count();
            if n == 0 {
                continue;
            }
            let n = F::of(n as f64);
            for_channels!(I, c, ch, N => {
                let mut mean: [F; N] = [F::zero(); N];
                for (row, _) in rows.chunks_exact(c).zip(&kept).filter(|(_, kept)| **kept) {
                    mean = plus(mean, block(row, ch));
                }
                for mean in &mut mean {
                    *mean /= n;
                }
                let mut square = [F::zero(); N];
                for (row, _) in rows.chunks_exact(c).zip(&kept).filter(|(_, kept)| **kept) {
                    square = plus(square, squares_around(block(row, ch), mean));
                }
                join([block_mut(ns, ch), block_mut(means, ch), block_mut(squares, ch)], [[n; N], mean, square]);
            });
        }
    }
}

/// (x − μ)²
#[inline(always)]
fn squares_around<F: Scalar, const N: usize>(x: [F; N], mean: [F; N]) -> [F; N] {
    let mut out = x;
    for i in 0..N {
        let d = x[i] - mean[i];
        out[i] = d * d;
    }
    out
}

kernel! {
    /// Joins the moments of some values to those of others.
    ///
    /// `part` and `total` (3, channels).
    pub fn join_moments<F, I>(part: &[F], total: &mut [F]) {
        let c = total.len() / 3;
        let (ns, rest) = total.split_at_mut(c);
        let (means, squares) = rest.split_at_mut(c);
        for_channels!(I, c, ch, N => {
            let part: [[F; N]; 3] = [block(part, ch), block(part, c + ch), block(part, 2 * c + ch)];
            join([block_mut(ns, ch), block_mut(means, ch), block_mut(squares, ch)], part);
        });
    }
}

/// (x − μ)·scale + shift
#[inline(always)]
fn affine<F: Scalar, const N: usize>(x: [F; N], mean: [F; N], scale: [F; N], shift: [F; N]) -> [F; N] {
    let mut out = x;
    for i in 0..N {
        out[i] = (x[i] - mean[i]) * scale[i] + shift[i];
    }
    out
}

kernel! {
    /// y = (x − μ)·scale + shift, each per channel. μ is subtracted first: nothing cancels where it is large.
    ///
    /// `x`, `y` (outer, channels, inner); the others (channels).
    pub fn normalize<F, I>(channels: Channels, mean: &[F], scale: &[F], shift: &[F], x: &[F], y: &mut [F]) {
        let Channels { count: c, inner } = channels;
        if c * inner == 0 {
            return;
        }
        if inner > 1 {
            for (at, (x, y)) in x.chunks_exact(inner).zip(y.chunks_exact_mut(inner)).enumerate() {
                let (mean, scale, shift) = (mean[at % c], scale[at % c], shift[at % c]);
                for_channels!(I, inner, i, N => {
                    *block_mut(y, i) = affine(block(x, i), [mean; N], [scale; N], [shift; N]);
                });
            }
            return;
        }
        for (x, y) in x.chunks(ROWS * c).zip(y.chunks_mut(ROWS * c)) {
            for_channels!(I, c, ch, N => {
                let (mean, scale, shift): ([F; N], [F; N], [F; N]) = (block(mean, ch), block(scale, ch), block(shift, ch));
                for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
                    *block_mut(y, ch) = affine(block(x, ch), mean, scale, shift);
                }
            });
        }
    }
}

/// g·(x − μ)·r
#[inline(always)]
fn times_normalized<F: Scalar, const N: usize>(g: [F; N], x: [F; N], mean: [F; N], r: [F; N]) -> [F; N] {
    let mut out = g;
    for i in 0..N {
        out[i] *= (x[i] - mean[i]) * r[i];
    }
    out
}

kernel! {
    /// Adds to `sums` for each channel A = Σ g and B = Σ g·x̂, with x̂ = (x − μ)·r and g = ∂L/∂y: the gradients of shift
    /// and scale, and all that the gradient of x needs of other values.
    ///
    /// `x`, `grad_y` (outer, channels, inner); `mean`, `r` (channels); `sums` (2, channels).
    pub fn add_gradient_sums<F, I>(channels: Channels, mean: &[F], r: &[F], x: &[F], grad_y: &[F], sums: &mut [F]) {
        let Channels { count: c, inner } = channels;
        if c * inner == 0 {
            return;
        }
        let (a, b) = sums.split_at_mut(c);
        if inner > 1 {
            for (at, (x, g)) in x.chunks_exact(inner).zip(grad_y.chunks_exact(inner)).enumerate() {
                let (mean, r) = (mean[at % c], r[at % c]);
                a[at % c] += row_sum!(I, inner, |i, N| block(g, i));
                b[at % c] += row_sum!(I, inner, |i, N| times_normalized(block(g, i), block(x, i), [mean; N], [r; N]));
            }
            return;
        }
        for (x, g) in x.chunks(ROWS * c).zip(grad_y.chunks(ROWS * c)) {
            for_channels!(I, c, ch, N => {
                let (mean, r): ([F; N], [F; N]) = (block(mean, ch), block(r, ch));
                let (mut sum_a, mut sum_b) = ([F::zero(); N], [F::zero(); N]);
                for (x, g) in x.chunks_exact(c).zip(g.chunks_exact(c)) {
                    let g = block(g, ch);
                    sum_a = plus(sum_a, g);
                    sum_b = plus(sum_b, times_normalized(g, block(x, ch), mean, r));
                }
                let (a, b): (&mut [F; N], &mut [F; N]) = (block_mut(a, ch), block_mut(b, ch));
                *a = plus(*a, sum_a);
                *b = plus(*b, sum_b);
            });
        }
    }
}

/// of_g·g + (of_x·(x − μ) + shift)
#[inline(always)]
fn blend<F: Scalar, const N: usize>(
    g: [F; N],
    of_g: [F; N],
    x: [F; N],
    mean: [F; N],
    of_x: [F; N],
    shift: [F; N],
) -> [F; N] {
    let mut out = g;
    for i in 0..N {
        out[i] = g[i] * of_g[i] + ((x[i] - mean[i]) * of_x[i] + shift[i]);
    }
    out
}

kernel! {
    /// Backward of [`normalize`] where μ and the variance are those of x: ∂L/∂x = p·g − m·(q·(x − μ) + s), with p, q, s
    /// per channel, and m = 0 for values that the statistics left out. Overwrites `grad_x`.
    ///
    /// With k = γ·r, D the number of values, A and B from [`add_gradient_sums`]: p = k, q = k·r·B/D, s = k·A/D.
    ///
    /// `x`, `grad_y`, `grad_x` (outer, channels, inner); `mean` (channels); `pqs` (3, channels).
    pub fn normalize_backward<F, I>(
        channels: Channels,
        mask: StepMask<'_>,
        mean: &[F],
        pqs: &[F],
        x: &[F],
        grad_y: &[F],
        grad_x: &mut [F],
    ) {
        let Channels { count: c, inner } = channels;
        if c * inner == 0 {
            return;
        }
        let (p, q, s) = (&pqs[..c], &pqs[c..2 * c], &pqs[2 * c..]);
        if inner > 1 {
            let runs = x.chunks_exact(inner).zip(grad_y.chunks_exact(inner)).zip(grad_x.chunks_exact_mut(inner));
            for (at, ((x, g), grad_x)) in runs.enumerate() {
                let ch = at % c;
                let kept = if counts(mask, at * inner) { F::one() } else { F::zero() };
                let (p, q, s, mean) = (p[ch], -q[ch] * kept, -s[ch] * kept, mean[ch]);
                for_channels!(I, inner, i, N => {
                    *block_mut(grad_x, i) = blend(block(g, i), [p; N], block(x, i), [mean; N], [q; N], [s; N]);
                });
            }
            return;
        }
        let blocks = x.chunks(ROWS * c).zip(grad_y.chunks(ROWS * c)).zip(grad_x.chunks_mut(ROWS * c));
        for (number, ((x, g), grad_x)) in blocks.enumerate() {
            for_channels!(I, c, ch, N => {
                let (mean, p): ([F; N], [F; N]) = (block(mean, ch), block(p, ch));
                let (mut q, mut s): ([F; N], [F; N]) = (block(q, ch), block(s, ch));
                for i in 0..N {
                    (q[i], s[i]) = (-q[i], -s[i]);
                }
                let rows = x.chunks_exact(c).zip(g.chunks_exact(c)).zip(grad_x.chunks_exact_mut(c));
                for (row, ((x, g), grad_x)) in rows.enumerate() {
                    let left_out = mask.is_some() && !counts(mask, (number * ROWS + row) * c);
                    let (q, s) = if left_out { ([F::zero(); N], [F::zero(); N]) } else { (q, s) };
                    *block_mut(grad_x, ch) = blend(block(g, ch), p, block(x, ch), mean, q, s);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + seed * 31) % 1009) as f64 / 100.0 - 5.0).collect()
    }

    /// The values of channel `ch` that count.
    fn of_channel(channels: Channels, mask: StepMask<'_>, x: &[f64], ch: usize) -> Vec<f64> {
        let Channels { count, inner } = channels;
        let is_in = |i: &usize| i / inner % count == ch && mask.is_none_or(|(steps, len)| steps[i / len]);
        (0..x.len()).filter(is_in).map(|i| x[i]).collect()
    }

    #[test]
    fn moments_are_those_of_two_plain_passes() {
        on_every_isa(|_| {
            for (outer, count, inner) in [(1, 1, 1), (5, 3, 1), (100, 45, 1), (4, 3, 7), (2, 5, 2100)] {
                let channels = Channels { count, inner };
                let x = numbers(outer * count * inner, 1);
                let steps: Vec<bool> = (0..outer).map(|o| o % 3 != 1).collect();
                for mask in [None, Some((&steps[..], count * inner))] {
                    let mut moments = vec![0.0; 3 * count];
                    add_moments(channels, mask, &x, &mut moments);
                    for ch in 0..count {
                        let values = of_channel(channels, mask, &x, ch);
                        let mean = values.iter().sum::<f64>() / values.len() as f64;
                        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
                        assert_eq!(moments[ch], values.len() as f64);
                        assert!((moments[count + ch] - mean).abs() < 1e-12, "{channels:?}");
                        assert!((moments[2 * count + ch] - squares).abs() < 1e-9 * (1.0 + squares), "{channels:?}");
                    }
                }
            }
        });
    }

    #[test]
    fn a_large_mean_costs_no_variance() {
        let x: Vec<f32> = (0..6000).map(|i| 4096.0 + (i % 2) as f32 / 4.0).collect();
        for channels in [Channels { count: 3, inner: 1 }, Channels { count: 1, inner: 6000 }] {
            let mut moments = vec![0.0; 3 * channels.count];
            // In two parts, which are joined.
            add_moments(channels, None, &x[..if channels.inner == 1 { 1500 } else { 6000 }], &mut moments);
            if channels.inner == 1 {
                let mut part = vec![0.0; 9];
                add_moments(channels, None, &x[1500..], &mut part);
                join_moments(&part, &mut moments);
            }
            let (n, squares) = (moments[0], moments[2 * channels.count]);
            assert!((squares / n - 1.0 / 64.0).abs() < 1e-6, "{}", squares / n);
        }
    }

    #[test]
    fn nothing_joined_to_nothing_is_nothing() {
        let mut total = vec![0.0f64; 3];
        join_moments(&[0.0; 3], &mut total);
        assert_eq!(total, [0.0; 3]);
        join_moments(&[2.0, 5.0, 1.0], &mut total);
        join_moments(&[0.0; 3], &mut total);
        assert_eq!(total, [2.0, 5.0, 1.0]);
    }

    #[test]
    fn both_passes_are_those_of_a_plain_loop() {
        on_every_isa(|_| {
            for (outer, count, inner) in [(5, 3, 1), (40, 45, 1), (4, 3, 7)] {
                let channels = Channels { count, inner };
                let n = outer * count * inner;
                let (x, g) = (numbers(n, 2), numbers(n, 3));
                let (mean, r, shift, pqs) =
                    (numbers(count, 4), numbers(count, 5), numbers(count, 6), numbers(3 * count, 7));
                let (mut y, mut grad_x, mut sums) = (vec![0.0; n], vec![f64::NAN; n], vec![1.0; 2 * count]);
                normalize(channels, &mean, &r, &shift, &x, &mut y);
                add_gradient_sums(channels, &mean, &r, &x, &g, &mut sums);
                let steps: Vec<bool> = (0..outer).map(|o| o % 3 != 1).collect();
                normalize_backward(channels, Some((&steps, count * inner)), &mean, &pqs, &x, &g, &mut grad_x);
                let mut want_sums = vec![1.0; 2 * count];
                for i in 0..n {
                    let (ch, kept) = (i / inner % count, f64::from(u8::from(steps[i / (count * inner)])));
                    let centred = x[i] - mean[ch];
                    assert!((y[i] - (centred * r[ch] + shift[ch])).abs() < 1e-9);
                    want_sums[ch] += g[i];
                    want_sums[count + ch] += g[i] * centred * r[ch];
                    let want = pqs[ch] * g[i] - kept * (pqs[count + ch] * centred + pqs[2 * count + ch]);
                    assert!((grad_x[i] - want).abs() < 1e-9);
                }
                assert!(sums.iter().zip(&want_sums).all(|(a, b)| (a - b).abs() < 1e-8));
            }
        });
    }
}
