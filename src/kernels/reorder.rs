//! Values in another order.

use super::dispatch::kernel;

kernel! { memory_bound:
    /// y ← x with its axes reordered, sample by sample: axis i of y is axis `dims[i]` of x, counted from 1.
    ///
    /// `x` has the shape `shape`, the batch first.
    pub fn permute<F>(x: &[F], shape: &[usize], dims: &[usize], y: &mut [F]) {
        let n: usize = shape[1..].iter().product();
        let (dims, run) = runs(shape, dims);
        for (x, y) in x.chunks_exact(n.max(1)).zip(y.chunks_exact_mut(n.max(1))) {
            for (i, y) in y.chunks_exact_mut(run).enumerate() {
                let from = source(i, shape, dims);
                y.copy_from_slice(&x[from..from + run]);
            }
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`permute`]: each gradient goes back to where its value came from. Overwrites `grad_x`.
    pub fn permute_backward<F>(grad_y: &[F], shape: &[usize], dims: &[usize], grad_x: &mut [F]) {
        let n: usize = shape[1..].iter().product();
        let (dims, run) = runs(shape, dims);
        for (grad_x, grad_y) in grad_x.chunks_exact_mut(n.max(1)).zip(grad_y.chunks_exact(n.max(1))) {
            for (i, grad_y) in grad_y.chunks_exact(run).enumerate() {
                let to = source(i, shape, dims);
                grad_x[to..to + run].copy_from_slice(grad_y);
            }
        }
    }
}

/// The axes that `dims` moves, and how many values lie side by side behind them in x as in y.
#[inline(always)]
fn runs<'a>(shape: &[usize], dims: &'a [usize]) -> (&'a [usize], usize) {
    let moved = (0..dims.len()).rev().find(|&i| dims[i] != i + 1).map_or(0, |i| i + 1);
    (&dims[..moved], shape[moved + 1..].iter().product::<usize>().max(1))
}

/// Where in a sample of x the values number `i` of y begin, `dims` being the axes that are counted.
#[inline(always)]
pub fn source(i: usize, shape: &[usize], dims: &[usize]) -> usize {
    let (mut rest, mut at) = (i, 0);
    for &axis in dims.iter().rev() {
        let stride: usize = shape[axis + 1..].iter().product();
        at += rest % shape[axis] * stride;
        rest /= shape[axis];
    }
    at
}

kernel! { memory_bound:
    /// y ← each row of x, `n` times over: `x` (rows, len), `y` (rows, n, len).
    pub fn repeat<F>(x: &[F], len: usize, n: usize, y: &mut [F]) {
        if len == 0 || n == 0 {
            return;
        }
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(n * len)) {
            y.chunks_exact_mut(len).for_each(|y| y.copy_from_slice(x));
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`repeat`]: ∂L/∂x = Σ over the repetitions of ∂L/∂y.
    pub fn repeat_backward<F>(grad_y: &[F], len: usize, n: usize, grad_x: &mut [F]) {
        grad_x.fill(F::zero());
        if len == 0 || n == 0 {
            return;
        }
        for (grad_x, grad_y) in grad_x.chunks_exact_mut(len).zip(grad_y.chunks_exact(n * len)) {
            for grad_y in grad_y.chunks_exact(len) {
                grad_x.iter_mut().zip(grad_y).for_each(|(x, &y)| *x += y);
            }
        }
    }
}

kernel! { memory_bound:
    /// Each row of x becomes a part of a row of y, from place `from` on: one tensor of a concatenation.
    ///
    /// `x` (rows, len), `y` (rows, n).
    pub fn place<F>(x: &[F], len: usize, n: usize, from: usize, y: &mut [F]) {
        if len == 0 || n == 0 {
            return;
        }
        for (x, y) in x.chunks_exact(len).zip(y.chunks_exact_mut(n)) {
            y[from..][..len].copy_from_slice(x);
        }
    }
}

kernel! { memory_bound:
    /// Backward of [`place`]: the part goes back. Overwrites `grad_x`.
    pub fn place_backward<F>(grad_y: &[F], len: usize, n: usize, from: usize, grad_x: &mut [F]) {
        if len == 0 || n == 0 {
            return;
        }
        for (grad_x, grad_y) in grad_x.chunks_exact_mut(len).zip(grad_y.chunks_exact(n)) {
            grad_x.copy_from_slice(&grad_y[from..][..len]);
        }
    }
}
