//! Softmax and its logarithm, with their gradients.
//!
//! An array with an axis somewhere is seen as (outer, axis, inner); `inner` = 1 when it is the last one. The largest
//! value is subtracted first, so that nothing overflows. A row that is −∞ throughout, or has a +∞ or a NaN, becomes NaN,
//! as in Keras.

use super::dispatch::{Instructions, kernel};
use super::math::Elementary;
use crate::Scalar;

/// Sums and maxima of a row are kept in so many parts.
const LANES: usize = 16;

/// The largest element. NaN is found by the sum of exponentials later.
#[inline(always)]
fn largest<F: Scalar>(row: &[F]) -> F {
    let mut lanes = [F::neg_infinity(); LANES];
    let blocks = row.chunks_exact(LANES);
    for (lane, &x) in lanes.iter_mut().zip(blocks.remainder()) {
        *lane = x;
    }
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().fold(F::neg_infinity(), |most, &x| if x > most { x } else { most })
}

/// The sum of the parts, halves onto halves.
#[inline(always)]
fn fold<F: Scalar>(mut lanes: [F; LANES]) -> F {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
    }
    lanes[0]
}

/// x becomes e^{x − shift}, which is added to the lanes.
#[inline(always)]
fn add_exp<F: Elementary, I: Instructions<F>>(lanes: &mut [F; LANES], block: &mut [F; LANES], shift: F) {
    for (lane, x) in lanes.iter_mut().zip(block) {
        *x = (*x - shift).exp_in::<I>();
        *lane += *x;
    }
}

/// What is left of a row as a whole block, filled up with −∞: one loop of vectors instead of single values.
#[inline(always)]
fn filled_up<F: Scalar>(rest: &[F]) -> [F; LANES] {
    let mut block = [F::neg_infinity(); LANES];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Σ e^{x − shift}
#[inline(always)]
fn sum_of_exp<F: Elementary, I: Instructions<F>>(row: &[F], shift: F) -> F {
    let mut lanes = [F::zero(); LANES];
    let (blocks, rest) = row.as_chunks();
    for &(mut block) in blocks {
        add_exp::<F, I>(&mut lanes, &mut block, shift);
    }
    if !rest.is_empty() {
        add_exp::<F, I>(&mut lanes, &mut filled_up(rest), shift);
    }
    fold(lanes)
}

/// Σ e^{x − shift}, and x becomes its term.
#[inline(always)]
fn exp_and_sum<F: Elementary, I: Instructions<F>>(row: &mut [F], shift: F) -> F {
    let mut lanes = [F::zero(); LANES];
    let (blocks, rest) = row.as_chunks_mut();
    for block in blocks {
        add_exp::<F, I>(&mut lanes, block, shift);
    }
    if !rest.is_empty() {
        let mut block = filled_up(rest);
        add_exp::<F, I>(&mut lanes, &mut block, shift);
        rest.copy_from_slice(&block[..rest.len()]);
    }
    fold(lanes)
}

/// max x and Σ e^{x − max x} of a row.
#[inline(always)]
pub(crate) fn max_and_sum_of_exp<F: Elementary, I: Instructions<F>>(row: &[F]) -> (F, F) {
    let most = largest(row);
    (most, sum_of_exp::<F, I>(row, most))
}

/// Rows shorter than this are worked on many at a time.
const SHORT: usize = 64;
/// So many elements of short rows together.
const TOGETHER: usize = 512;

/// Short rows, `rows` (any, n): a vector of exponentials spans several of them.
#[inline(always)]
fn short_rows<F: Elementary, I: Instructions<F>, const LOG: bool>(x: &mut [F], n: usize) {
    let mut exps = [F::zero(); TOGETHER];
    for x in x.chunks_mut(TOGETHER / n * n) {
        let exps = &mut exps[..x.len()];
        for (row, exps) in x.chunks_exact_mut(n).zip(exps.chunks_exact_mut(n)) {
            let mut most = row[0];
            for &x in &row[1..] {
                most = if x > most { x } else { most };
            }
            for (x, e) in row.iter_mut().zip(exps) {
                *x -= most;
                *e = *x;
            }
        }
        for e in exps.iter_mut() {
            *e = e.exp_in::<I>();
        }
        for (row, exps) in x.chunks_exact_mut(n).zip(exps.chunks_exact(n)) {
            let mut sum = F::zero();
            for &e in exps {
                sum += e;
            }
            if LOG {
                let log_sum = sum.ln_in::<I>();
                for x in row {
                    *x -= log_sum;
                }
            } else {
                let scale = F::one() / sum;
                for (x, &e) in row.iter_mut().zip(exps) {
                    *x = e * scale;
                }
            }
        }
    }
}

/// An axis that is not the last, `x` (outer, axis, inner): 16 neighbours of `inner` at a time.
#[inline(always)]
fn columns<F: Elementary, I: Instructions<F>, const LOG: bool>(x: &mut [F], axis: usize, inner: usize) {
    for x in x.chunks_exact_mut(axis * inner) {
        for from in (0..inner).step_by(LANES) {
            let to = inner.min(from + LANES);
            let mut most = [F::neg_infinity(); LANES];
            for row in x.chunks_exact(inner) {
                for (most, &x) in most.iter_mut().zip(&row[from..to]) {
                    *most = if x > *most { x } else { *most };
                }
            }
            let mut sums = [F::zero(); LANES];
            for row in x.chunks_exact_mut(inner) {
                for ((sum, &most), x) in sums.iter_mut().zip(&most).zip(&mut row[from..to]) {
                    let shifted = *x - most;
                    let e = shifted.exp_in::<I>();
                    *sum += e;
                    *x = if LOG { shifted } else { e };
                }
            }
            for sum in &mut sums {
                *sum = if LOG { sum.ln_in::<I>() } else { F::one() / *sum };
            }
            for row in x.chunks_exact_mut(inner) {
                for (x, &sum) in row[from..to].iter_mut().zip(&sums) {
                    *x = if LOG { *x - sum } else { *x * sum };
                }
            }
        }
    }
}

kernel! {
    /// `y[o, a, i] = e^{x[o, a, i]} / Σⱼ e^{x[o, j, i]}`, in place.
    ///
    /// `x` (outer, axis, inner); `outer` follows from the length.
    pub fn softmax<F, I>(x: &mut [F], axis: usize, inner: usize) {
        if axis * inner == 0 {
            return;
        }
        if inner > 1 {
            columns::<F, I, false>(x, axis, inner);
        } else if axis < SHORT {
            short_rows::<F, I, false>(x, axis);
        } else {
            for row in x.chunks_exact_mut(axis) {
                let shift = largest(row);
                let scale = F::one() / exp_and_sum::<F, I>(row, shift);
                for x in row {
                    *x *= scale;
                }
            }
        }
    }
}

kernel! {
    /// `y[o, a, i] = x[o, a, i] − ln Σⱼ e^{x[o, j, i]}`, in place: the logarithm of [`softmax`].
    ///
    /// `x` (outer, axis, inner).
    pub fn log_softmax<F, I>(x: &mut [F], axis: usize, inner: usize) {
        if axis * inner == 0 {
            return;
        }
        if inner > 1 {
            columns::<F, I, true>(x, axis, inner);
        } else if axis < SHORT {
            short_rows::<F, I, true>(x, axis);
        } else {
            for row in x.chunks_exact_mut(axis) {
                let shift = largest(row);
                let log_sum = sum_of_exp::<F, I>(row, shift).ln_in::<I>();
                for x in row {
                    *x = *x - shift - log_sum;
                }
            }
        }
    }
}

kernel! {
    /// Backward of [`softmax`], from its output: `∂L/∂x[a] = y[a]·(g[a] − Σⱼ g[j]·y[j])`, in place of `grad`.
    ///
    /// `y` and `grad` (outer, axis, inner).
    pub fn softmax_backward<F, I>(y: &[F], grad: &mut [F], axis: usize, inner: usize) {
        if axis * inner == 0 {
            return;
        }
        for (y, grad) in y.chunks_exact(axis * inner).zip(grad.chunks_exact_mut(axis * inner)) {
            for from in (0..inner).step_by(LANES) {
                if inner == 1 {
                    let sum = dot(y, grad);
                    for (g, &y) in grad.iter_mut().zip(y) {
                        *g = y * (*g - sum);
                    }
                    continue;
                }
                let to = inner.min(from + LANES);
                let mut sums = [F::zero(); LANES];
                for (y, grad) in y.chunks_exact(inner).zip(grad.chunks_exact(inner)) {
                    for ((sum, &y), &g) in sums.iter_mut().zip(&y[from..to]).zip(&grad[from..to]) {
                        *sum += y * g;
                    }
                }
                for (y, grad) in y.chunks_exact(inner).zip(grad.chunks_exact_mut(inner)) {
                    for ((&sum, &y), g) in sums.iter().zip(&y[from..to]).zip(&mut grad[from..to]) {
                        *g = y * (*g - sum);
                    }
                }
            }
        }
    }
}

kernel! {
    /// Backward of [`log_softmax`], from its output: `∂L/∂x[a] = g[a] − e^{y[a]}·Σⱼ g[j]`, in place of `grad`.
    ///
    /// `y` and `grad` (outer, axis, inner).
    pub fn log_softmax_backward<F, I>(y: &[F], grad: &mut [F], axis: usize, inner: usize) {
        if axis * inner == 0 {
            return;
        }
        for (y, grad) in y.chunks_exact(axis * inner).zip(grad.chunks_exact_mut(axis * inner)) {
            for from in (0..inner).step_by(LANES) {
                let mut sums = [F::zero(); LANES];
                if inner == 1 {
                    let sum = total(grad);
                    for (g, &y) in grad.iter_mut().zip(y) {
                        *g -= y.exp_in::<I>() * sum;
                    }
                    continue;
                }
                let to = inner.min(from + LANES);
                for grad in grad.chunks_exact(inner) {
                    for (sum, &g) in sums.iter_mut().zip(&grad[from..to]) {
                        *sum += g;
                    }
                }
                for (y, grad) in y.chunks_exact(inner).zip(grad.chunks_exact_mut(inner)) {
                    for ((&sum, &y), g) in sums.iter().zip(&y[from..to]).zip(&mut grad[from..to]) {
                        *g -= y.exp_in::<I>() * sum;
                    }
                }
            }
        }
    }
}

/// Σ yᵢ·gᵢ
#[inline(always)]
fn dot<F: Scalar>(y: &[F], g: &[F]) -> F {
    if y.len() < SHORT {
        let mut sum = F::zero();
        for (&y, &g) in y.iter().zip(g) {
            sum += y * g;
        }
        return sum;
    }
    let mut lanes = [F::zero(); LANES];
    let (y, g) = (y.chunks_exact(LANES), g.chunks_exact(LANES));
    for ((lane, &y), &g) in lanes.iter_mut().zip(y.remainder()).zip(g.remainder()) {
        *lane = y * g;
    }
    for (y, g) in y.zip(g) {
        for ((lane, &y), &g) in lanes.iter_mut().zip(y).zip(g) {
            *lane += y * g;
        }
    }
    fold(lanes)
}

/// Σ gᵢ
#[inline(always)]
pub(super) fn total<F: Scalar>(g: &[F]) -> F {
    if g.len() < SHORT {
        let mut sum = F::zero();
        for &g in g {
            sum += g;
        }
        return sum;
    }
    let mut lanes = [F::zero(); LANES];
    let g = g.chunks_exact(LANES);
    for (lane, &g) in lanes.iter_mut().zip(g.remainder()) {
        *lane = g;
    }
    for g in g {
        for (lane, &g) in lanes.iter_mut().zip(g) {
            *lane += g;
        }
    }
    fold(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::dispatch::forced::on_every_isa;

    fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + 13) % 1009) as f64 / 100.0 - 5.0).collect()
    }

    const SHAPES: [(usize, usize, usize); 8] =
        [(1, 1, 1), (3, 2, 1), (5, 10, 1), (2, 100, 1), (2, 3, 5), (1, 4, 16), (2, 33, 17), (3, 1, 4)];

    /// The place of element a of the axis.
    fn at((axis, inner): (usize, usize), o: usize, a: usize, i: usize) -> usize {
        (o * axis + a) * inner + i
    }

    #[test]
    fn is_the_formula_on_any_axis() {
        on_every_isa(|_| {
            for (outer, axis, inner) in SHAPES {
                let x = numbers(outer * axis * inner);
                let (mut y, mut log_y) = (x.clone(), x.clone());
                let mut single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
                let mut single_log = single.clone();
                softmax(&mut y, axis, inner);
                log_softmax(&mut log_y, axis, inner);
                softmax(&mut single, axis, inner);
                log_softmax(&mut single_log, axis, inner);
                for o in 0..outer {
                    for i in 0..inner {
                        let sum: f64 = (0..axis).map(|a| x[at((axis, inner), o, a, i)].exp()).sum();
                        for a in 0..axis {
                            let k = at((axis, inner), o, a, i);
                            let want = x[k].exp() / sum;
                            assert!((y[k] / want - 1.0).abs() < 1e-14);
                            assert!((log_y[k] - want.ln()).abs() < 1e-13);
                            assert!((f64::from(single[k]) / want - 1.0).abs() < 2e-6);
                            assert!((f64::from(single_log[k]) - want.ln()).abs() < 2e-6);
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn gradients_are_the_differences() {
        type Pair = (fn(&mut [f64], usize, usize), fn(&[f64], &mut [f64], usize, usize));
        let pairs: [Pair; 2] = [(softmax, softmax_backward), (log_softmax, log_softmax_backward)];
        on_every_isa(|_| {
            for (outer, axis, inner) in SHAPES {
                let n = outer * axis * inner;
                let x: Vec<f64> = numbers(n).iter().map(|x| 0.3 * x).collect();
                let weight: Vec<f64> = numbers(n).iter().rev().copied().collect();
                for (forward, backward) in pairs {
                    let loss = |x: &[f64]| {
                        let mut y = x.to_vec();
                        forward(&mut y, axis, inner);
                        y.iter().zip(&weight).map(|(y, w)| y * w).sum::<f64>()
                    };
                    let mut y = x.clone();
                    forward(&mut y, axis, inner);
                    let mut grad = weight.clone();
                    backward(&y, &mut grad, axis, inner);
                    for k in 0..n {
                        let (mut up, mut down) = (x.clone(), x.clone());
                        up[k] += 1e-5;
                        down[k] -= 1e-5;
                        let want = (loss(&up) - loss(&down)) / 2e-5;
                        assert!((grad[k] - want).abs() < 1e-6 * want.abs().max(1.0), "{} not {want}", grad[k]);
                    }
                }
            }
        });
    }

    #[test]
    fn large_values_stay_finite_and_rows_without_a_finite_largest_become_nan() {
        on_every_isa(|_| {
            for (axis, inner) in [(4, 1), (4, 2), (20, 1)] {
                let n = axis * inner;
                let mut x = vec![-1e30f32; n];
                x[..inner].fill(1e30);
                let mut log_x = x.clone();
                softmax(&mut x, axis, inner);
                log_softmax(&mut log_x, axis, inner);
                assert!(x[..inner].iter().all(|&x| x == 1.0) && x[inner..].iter().all(|&x| x == 0.0));
                assert!(log_x[..inner].iter().all(|&x| x == 0.0) && log_x[inner..].iter().all(|&x| x == -2e30));

                let mut masked = vec![f32::NEG_INFINITY; n];
                masked[n - inner..].fill(0.0);
                softmax(&mut masked, axis, inner);
                assert!(masked[n - 1] == 1.0 && masked[0] == 0.0);

                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = vec![if bad == f32::NEG_INFINITY { bad } else { 1.0 }; n];
                    x[..inner].fill(bad);
                    softmax(&mut x, axis, inner);
                    assert!(x.iter().all(|x| x.is_nan()), "{bad} {x:?}");
                }
            }
        });
    }
}
