//! Adafactor: the mean of squared gradients as a product of two smaller means.

use crate::kernels::dispatch::kernel;

/// The numbers of one Adafactor step.
#[derive(Clone, Copy, Debug)]
pub struct AdafactorStep<F> {
    /// β₂ of this step, 1 − t^β₂_decay.
    pub beta_2: F,
    /// 1 − β₂, taken in f64.
    pub rest_2: F,
    /// ε₁, which is added to squared gradients.
    pub epsilon_1: F,
    /// ε₂, the least root mean square of weights that the step grows with.
    pub epsilon_2: F,
    /// d, the root mean square that an update may have.
    pub clip_threshold: F,
    /// ρ = min(rate, 1/√t).
    pub rho: F,
}

/// Σ term(x, y) over two slices of one length: several sums side by side, in one fixed order.
#[inline(always)]
fn sum_of<F: crate::Scalar>(x: &[F], y: &[F], term: impl Fn(F, F) -> F) -> F {
    const LANES: usize = 16;
    let mut sums = [F::zero(); LANES];
    let (x_blocks, y_blocks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for ((sum, &x), &y) in sums.iter_mut().zip(x_blocks.remainder()).zip(y_blocks.remainder()) {
        *sum = term(x, y);
    }
    for (x, y) in x_blocks.zip(y_blocks) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += term(x, y);
        }
    }
    sums.into_iter().fold(F::zero(), |total, sum| total + sum)
}

impl<F: crate::Scalar> AdafactorStep<F> {
    /// max(ε₂, RMS(w))·ρ / max(1, RMS(u)/d): what an update u is multiplied by, for n weights and Σ u².
    #[inline(always)]
    fn factor(&self, w: &[F], u_squares: F) -> F {
        let count = F::of(w.len() as f64);
        let w_rms = (sum_of(w, w, |w, _| w * w) / count).sqrt();
        let u_rms = (u_squares / count).sqrt() / self.clip_threshold;
        let alpha = if w_rms > self.epsilon_2 { w_rms } else { self.epsilon_2 } * self.rho;
        if u_rms > F::one() { alpha / u_rms } else { alpha }
    }
}

kernel! {
    /// Adafactor of a vector or a number: v ← β₂·v + (1 − β₂)(g² + ε₁), u = g/√v,
    /// w ← w − max(ε₂, RMS(w))·ρ·u / max(1, RMS(u)/d), the means over all of w.
    pub fn adafactor<F>(w: &mut [F], g: &[F], v: &mut [F], step: AdafactorStep<F>) {
        for (v, &g) in v.iter_mut().zip(g) {
            *v = step.beta_2 * *v + step.rest_2 * (g * g + step.epsilon_1);
        }
        let u_squares = sum_of(g, v, |g, v| {
            let u = g / v.sqrt();
            u * u
        });
        let factor = step.factor(w, u_squares);
        for ((w, &g), &v) in w.iter_mut().zip(g).zip(v.iter()) {
            *w -= factor * (g / v.sqrt());
        }
    }
}

kernel! {
    /// Adafactor of matrices (…, `rows`, `cols`): of g² + ε₁ the means over rows and columns are kept,
    /// r (…, rows) ← β₂·r + (1 − β₂)·mean over columns, c (…, cols) ← β₂·c + (1 − β₂)·mean over rows, and for v of
    /// [`adafactor`] stands r·c / (mean of r over rows). `scratch` has room for `cols` values.
    ///
    /// The root of v is taken factor by factor, 1/√v = √(mean r / r)·(1/√c): where a row and a column have had no gradient,
    /// their product would be 0 in `f32`, and the update NaN.
    pub fn adafactor_factored<F>(
        w: &mut [F], g: &[F], r: &mut [F], c: &mut [F], rows: usize, cols: usize, scratch: &mut [F],
        step: AdafactorStep<F>
    ) {
        let by_cols = &mut scratch[..cols];
        let (per_row, per_col) = (step.rest_2 / F::of(cols as f64), step.rest_2 / F::of(rows as f64));
        let matrices = g.chunks_exact(rows * cols).zip(r.chunks_exact_mut(rows)).zip(c.chunks_exact_mut(cols));
        let mut u_squares = F::zero();
        for ((g, r), c) in matrices {
            for c in c.iter_mut() {
                *c *= step.beta_2;
            }
            for (g, r) in g.chunks_exact(cols).zip(r.iter_mut()) {
                *r = step.beta_2 * *r + per_row * sum_of(g, g, |g, _| g * g + step.epsilon_1);
                for (c, &g) in c.iter_mut().zip(g) {
                    *c += per_col * (g * g + step.epsilon_1);
                }
            }
            let mean = sum_of(r, r, |r, _| r) / F::of(rows as f64);
            for (by_col, &c) in by_cols.iter_mut().zip(c.iter()) {
                *by_col = F::one() / c.sqrt();
            }
            for (g, &r) in g.chunks_exact(cols).zip(r.iter()) {
                let by_row = (mean / r).sqrt();
                u_squares += sum_of(g, by_cols, |g, by_col| {
                    let u = g * (by_row * by_col);
                    u * u
                });
            }
        }
        let factor = step.factor(w, u_squares);
        let matrices = g.chunks_exact(rows * cols).zip(r.chunks_exact(rows)).zip(c.chunks_exact(cols));
        for (((g, r), c), w) in matrices.zip(w.chunks_exact_mut(rows * cols)) {
            let mean = sum_of(r, r, |r, _| r) / F::of(rows as f64);
            for (by_col, &c) in by_cols.iter_mut().zip(c) {
                *by_col = F::one() / c.sqrt();
            }
            for ((g, w), &r) in g.chunks_exact(cols).zip(w.chunks_exact_mut(cols)).zip(r) {
                let by_row = (mean / r).sqrt();
                for ((w, &g), &by_col) in w.iter_mut().zip(g).zip(by_cols.iter()) {
                    *w -= factor * (g * (by_row * by_col));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    /// The formulas of the paper's algorithm 4, value by value, with v in full.
    #[test]
    fn factors_follow_the_formulas() {
        let (outer, rows, cols) = (2, 3, 19);
        let len = outer * rows * cols;
        let number = |i: usize, seed: usize| ((i * 7919 + seed * 104_729) % 1009) as f64 / 500.0 - 1.0;
        on_every_isa(|_| {
            let mut w: Vec<f64> = (0..len).map(|i| number(i, 0)).collect();
            let (mut r, mut c) = (vec![0.0; outer * rows], vec![0.0; outer * cols]);
            let (mut want, mut want_r, mut want_c) = (w.clone(), r.clone(), c.clone());
            for t in 1..=4 {
                let g: Vec<f64> = (0..len).map(|i| number(i, t)).collect();
                let beta_2 = 1.0 - (t as f64).powf(-0.8);
                let step = AdafactorStep {
                    beta_2,
                    rest_2: 1.0 - beta_2,
                    epsilon_1: 1e-3,
                    epsilon_2: 1e-3,
                    clip_threshold: 0.8,
                    rho: 0.05,
                };
                adafactor_factored(&mut w, &g, &mut r, &mut c, rows, cols, &mut [0.0; 19], step);
                let square = |o: usize, i: usize, j: usize| g[(o * rows + i) * cols + j].powi(2) + 1e-3;
                let mut u = g.clone();
                for o in 0..outer {
                    for i in 0..rows {
                        let mean = (0..cols).map(|j| square(o, i, j)).sum::<f64>() / cols as f64;
                        want_r[o * rows + i] = beta_2 * want_r[o * rows + i] + (1.0 - beta_2) * mean;
                    }
                    let mean_r = want_r[o * rows..][..rows].iter().sum::<f64>() / rows as f64;
                    for j in 0..cols {
                        let mean = (0..rows).map(|i| square(o, i, j)).sum::<f64>() / rows as f64;
                        want_c[o * cols + j] = beta_2 * want_c[o * cols + j] + (1.0 - beta_2) * mean;
                        for i in 0..rows {
                            let v = want_r[o * rows + i] / mean_r * want_c[o * cols + j];
                            u[(o * rows + i) * cols + j] /= v.sqrt();
                        }
                    }
                }
                let rms = |x: &[f64]| (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
                let alpha = rms(&want).max(1e-3) * 0.05 / (rms(&u) / 0.8).max(1.0);
                want.iter_mut().zip(&u).for_each(|(w, u)| *w -= alpha * u);
            }
            assert!(w.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{w:?} not {want:?}");
        });
    }

    /// In `f32`, 10⁻³⁰ (a row without gradients) times 10⁻³⁰ (a column without) is 0.
    #[test]
    fn rows_and_columns_without_gradients_stay() {
        on_every_isa(|_| {
            let g = [1.0f32, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0];
            let (mut w, mut r, mut c) = ([0.5f32; 9], [0.0f32; 3], [0.0f32; 3]);
            let step = AdafactorStep {
                beta_2: 0.0,
                rest_2: 1.0,
                epsilon_1: 1e-30,
                epsilon_2: 1e-3,
                clip_threshold: 1.0,
                rho: 0.01,
            };
            adafactor_factored(&mut w, &g, &mut r, &mut c, 3, 3, &mut [0.0; 3], step);
            assert!(w.iter().zip(&g).all(|(&w, &g)| if g == 0.0 { w == 0.5 } else { w < 0.5 }), "{w:?}");
        });
    }
}
