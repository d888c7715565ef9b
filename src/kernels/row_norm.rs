//! Normalization of rows, each by itself: layer, root-mean-square and unit normalization.
//!
//! Every kind is y = (x − c)·r·γ + β with numbers c and r of the row, and its gradient is
//! ∂L/∂x = r·h − k·(x − μ) − a, where h = ∂L/∂y ⊙ γ and k, a are numbers of the row too. `docs/backward.md` derives them.

use super::blocks::{block, block_mut, fold, for_channels, row_sum};
use super::dispatch::kernel;
use crate::Scalar;

/// By what a row is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// c = μ, r = 1/√(V + ε): mean 0, variance 1.
    Layer,
    /// c = 0, r = 1/√(V + ε), V around μ: Keras's `rms_scaling`.
    Variance,
    /// c = 0, r = 1/√(mean of x² + ε).
    Rms,
    /// c = 0, r = 1/‖x‖, at most 10¹².
    Unit,
}

impl Kind {
    /// Whether squares are taken around the mean.
    #[inline(always)]
    fn around_mean(self) -> bool {
        matches!(self, Self::Layer | Self::Variance)
    }

    /// c, of a row with mean μ.
    #[inline(always)]
    fn centre<F: Scalar>(self, mean: F) -> F {
        if self == Self::Layer { mean } else { F::zero() }
    }
}

/// Where a row without length is not made longer any more.
const LARGEST_FACTOR: f64 = 1e12;

kernel! {
    /// y = (x − c)·r·γ + β, row by row; `stats` keeps μ (0 where squares are not taken around it) and r.
    ///
    /// `x`, `y` (rows, n); γ, β (n), 1 and 0 where there are none; `stats` (rows, 2).
    pub fn normalize_rows<F, I>(
        kind: Kind,
        epsilon: F,
        gamma: Option<&[F]>,
        beta: Option<&[F]>,
        n: usize,
        x: &[F],
        y: &mut [F],
        stats: &mut [F],
    ) {
        if n == 0 {
            return;
        }
        let count = F::of(n as f64);
        for ((x, y), stats) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(stats.chunks_exact_mut(2)) {
            let mean = if kind.around_mean() { row_sum!(I, n, |i, N| block(x, i)) / count } else { F::zero() };
            let squares = row_sum!(I, n, |i, N| {
                let mut squares: [F; N] = block(x, i);
                for x in &mut squares {
                    *x = (*x - mean) * (*x - mean);
                }
                squares
            });
            let r = match kind {
                Kind::Unit => F::of(LARGEST_FACTOR).min(squares.sqrt().recip()),
                _ => (squares / count + epsilon).sqrt().recip(),
            };
            let centre = kind.centre(mean);
            for_channels!(I, n, i, N => {
                let mut out: [F; N] = block(x, i);
                let gamma: [F; N] = gamma.map_or([F::one(); N], |gamma| block(gamma, i));
                let beta: [F; N] = beta.map_or([F::zero(); N], |beta| block(beta, i));
                for j in 0..N {
                    out[j] = (out[j] - centre) * r * gamma[j] + beta[j];
                }
                *block_mut(y, i) = out;
            });
            stats.copy_from_slice(&[mean, r]);
        }
    }
}

kernel! {
    /// Backward of [`normalize_rows`]. With A = Σ h and B = Σ h·(x − c)·r over the row:
    ///
    /// | kind | k | a |
    /// | --- | --- | --- |
    /// | layer | r²·B/n | r·A/n |
    /// | variance, RMS | r²·B/n | 0 |
    /// | unit | r²·B, or 0 where r is held at 10¹² | 0 |
    ///
    /// Overwrites `grad_x` unless that is empty, and adds ∂L/∂γ = Σ g·(x − c)·r and ∂L/∂β = Σ g to `grad_gamma_beta`
    /// (2, n) unless that is empty.
    pub fn normalize_rows_backward<F, I>(
        kind: Kind,
        gamma: Option<&[F]>,
        n: usize,
        x: &[F],
        stats: &[F],
        grad_y: &[F],
        grad_x: &mut [F],
        grad_gamma_beta: &mut [F],
    ) {
        if n == 0 {
            return;
        }
        let count = F::of(n as f64);
        for (row, ((x, g), stats)) in
            x.chunks_exact(n).zip(grad_y.chunks_exact(n)).zip(stats.chunks_exact(2)).enumerate()
        {
            let (mean, r) = (stats[0], stats[1]);
            let centre = kind.centre(mean);
            if !grad_gamma_beta.is_empty() {
                let (grad_gamma, grad_beta) = grad_gamma_beta.split_at_mut(n);
                for_channels!(I, n, i, N => {
                    let (x, g): ([F; N], [F; N]) = (block(x, i), block(g, i));
                    let (grad_gamma, grad_beta) = (block_mut::<F, N>(grad_gamma, i), block_mut::<F, N>(grad_beta, i));
                    for j in 0..N {
                        grad_gamma[j] += g[j] * ((x[j] - centre) * r);
                        grad_beta[j] += g[j];
                    }
                });
            }
            let Some(grad_x) = grad_x.get_mut(row * n..(row + 1) * n) else { continue };
            // A only where it is used.
            let a = if kind == Kind::Layer { row_sum!(I, n, |i, N| h::<F, N>(g, gamma, i)) } else { F::zero() };
            let b = r * row_sum!(I, n, |i, N| {
                let (mut h, x): ([F; N], [F; N]) = (h(g, gamma, i), block(x, i));
                for j in 0..N {
                    h[j] *= x[j] - centre;
                }
                h
            });
            let k = match kind {
                Kind::Unit if r >= F::of(LARGEST_FACTOR) => F::zero(),
                Kind::Unit => r * r * b,
                _ => r * r * b / count,
            };
            let a = r * a / count;
            for_channels!(I, n, i, N => {
                let (mut out, x): ([F; N], [F; N]) = (h(g, gamma, i), block(x, i));
                for j in 0..N {
                    out[j] = out[j] * r - (x[j] - mean) * k - a;
                }
                *block_mut(grad_x, i) = out;
            });
        }
    }
}

/// h = g ⊙ γ, a block of it.
#[inline(always)]
fn h<F: Scalar, const N: usize>(g: &[F], gamma: Option<&[F]>, i: usize) -> [F; N] {
    let mut h: [F; N] = block(g, i);
    if let Some(gamma) = gamma {
        let gamma: [F; N] = block(gamma, i);
        for j in 0..N {
            h[j] *= gamma[j];
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    const KINDS: [Kind; 4] = [Kind::Layer, Kind::Variance, Kind::Rms, Kind::Unit];

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + seed * 31) % 1009) as f64 / 300.0 - 1.5).collect()
    }

    fn plain(kind: Kind, gamma: &[f64], beta: &[f64], x: &[f64]) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let squares: f64 = x.iter().map(|x| x * x).sum();
        let (c, divisor) = match kind {
            Kind::Layer => (mean, (variance + 1e-3).sqrt()),
            Kind::Variance => (0.0, (variance + 1e-3).sqrt()),
            Kind::Rms => (0.0, (squares / n + 1e-3).sqrt()),
            Kind::Unit => (0.0, squares.sqrt()),
        };
        x.iter().enumerate().map(|(j, x)| (x - c) / divisor * gamma[j] + beta[j]).collect()
    }

    #[test]
    fn both_passes_are_those_of_plain_loops_and_differences() {
        on_every_isa(|_| {
            for n in [1, 2, 7, 8, 33, 75] {
                for kind in KINDS {
                    let rows = 3;
                    let (x, g) = (numbers(rows * n, 1), numbers(rows * n, 2));
                    let (gamma, beta) = (numbers(n, 3), numbers(n, 4));
                    let (mut y, mut grad_x) = (vec![0.0; x.len()], vec![f64::NAN; x.len()]);
                    let (mut stats, mut of_both) = (vec![0.0; 2 * rows], vec![0.0; 2 * n]);
                    normalize_rows(kind, 1e-3, Some(&gamma), Some(&beta), n, &x, &mut y, &mut stats);
                    normalize_rows_backward(kind, Some(&gamma), n, &x, &stats, &g, &mut grad_x, &mut of_both);
                    let loss = |gamma: &[f64], beta: &[f64], x: &[f64]| -> f64 {
                        let y = x.chunks_exact(n).flat_map(|x| plain(kind, gamma, beta, x));
                        y.zip(&g).map(|(y, g)| y * g).sum()
                    };
                    let want = x.chunks_exact(n).flat_map(|x| plain(kind, &gamma, &beta, x));
                    assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{kind:?} of {n}");
                    let slope = |values: &[f64], i: usize, loss: &dyn Fn(&[f64]) -> f64| {
                        let mut moved = values.to_vec();
                        let mut at = |step: f64| {
                            moved[i] = values[i] + step;
                            loss(&moved)
                        };
                        (at(1e-6) - at(-1e-6)) / 2e-6
                    };
                    for (i, got) in grad_x.iter().enumerate() {
                        let want = slope(&x, i, &|x| loss(&gamma, &beta, x));
                        assert!((got - want).abs() < 1e-5, "{kind:?} of {n}: {got} not {want}");
                    }
                    for i in 0..n {
                        let of_gamma = slope(&gamma, i, &|gamma| loss(gamma, &beta, &x));
                        let of_beta = slope(&beta, i, &|beta| loss(&gamma, beta, &x));
                        assert!((of_both[i] - of_gamma).abs() < 1e-5 && (of_both[n + i] - of_beta).abs() < 1e-5);
                    }
                }
            }
        });
    }

    #[test]
    fn a_row_of_zeros_stays_one() {
        let (mut y, mut stats, mut grad_x) = ([9.0f32; 3], [0.0; 2], [9.0; 3]);
        normalize_rows(Kind::Unit, 0.0, None, None, 3, &[0.0; 3], &mut y, &mut stats);
        normalize_rows_backward(Kind::Unit, None, 3, &[0.0; 3], &stats, &[1e-12; 3], &mut grad_x, &mut []);
        assert_eq!(y, [0.0; 3]);
        assert!(grad_x.iter().all(|g| (g - 1.0).abs() < 1e-6));
    }
}
