//! The gated recurrent unit. Keras's kernels have three blocks z, r, h; with a = x·W + b:
//!
//! z = σ(a_z + h₋·U_z), r = σ(a_r + h₋·U_r), h = z·h₋ + (1 − z)·ĥ, and
//! with `reset_after` ĥ = tanh(a_h + r·(h₋·U_h + b′_h)), without it ĥ = tanh(a_h + (r·h₋)·U_h).
//!
//! With `reset_after` the bias has two rows, b and b′, of which the second goes with the state.
//!
//! Backward, with ∂h what comes from the step after and from outside: ∂a_h = ∂h·(1 − z)·(1 − ĥ²),
//! ∂a_z = ∂h·(h₋ − ĥ)·z(1 − z). With `reset_after`, q = h₋·U_h + b′_h: ∂a_r = ∂a_h·q·r(1 − r), ∂q = ∂a_h·r, and
//! ∂h₋ = ∂h·z + (∂a_z, ∂a_r, ∂q)·Uᵀ. Without: ∂(r·h₋) = p = ∂a_h·U_hᵀ, ∂a_r = p·h₋·r(1 − r), and
//! ∂h₋ = ∂h·z + p·r + (∂a_z, ∂a_r)·U_zrᵀ. Kernels: the product over all steps of inputs or states and gradients.
//!
//! In memory a step has four blocks: ĥ, z, r, and q or r·h₋; gradients likewise, the last that of q. So the three that
//! meet the recurrent kernel after each other lie side by side.

use super::{
    Cache, GradOutput, GradWeights, Nonlinearities, Nonlinearity, Output, SequencePass, Sizes, Weights,
    add_output_gradient, blocks, gather_inputs, load, put_block, scatter_input_gradients, start, states, store,
    take_block, write_output,
};
use crate::Scalar;
use crate::kernels::dispatch::kernel;
use crate::kernels::gemm::{Matrix, Packed, Start, gemm, gemm_packed};
use crate::kernels::reduce::add_column_sums;

/// Blocks of a step in memory.
const BLOCKS: usize = 4;

/// Runs sequences `x` (rows, steps, features) through the cells, from the `initial` state or zeros.
pub fn gru<F: Scalar>(
    pass: &SequencePass<'_, F>,
    reset_after: bool,
    weights: &Weights<'_, F>,
    x: &[F],
    initial: Option<&[F]>,
    mut output: Output<'_, F>,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let (keep, width, at_once, n) = (pass.keep, BLOCKS * units, pass.steps_at_once(), rows * units);
    let kept = if keep { steps } else { at_once };
    let [kernel_zr, kernel_h] = &mut cache.kernels;
    let of_kernel = |from: usize, cols| Matrix::with_row_stride(&weights.kernel[from..], features, cols, 3 * units);
    kernel_zr.pack(of_kernel(0, 2 * units));
    kernel_h.pack(of_kernel(2 * units, units));
    let [recurrent, recurrent_h] = &mut cache.recurrents;
    let of_recurrent = |from: usize, cols| Matrix::with_row_stride(&weights.recurrent[from..], units, cols, 3 * units);
    if reset_after {
        recurrent.pack(of_recurrent(0, 3 * units));
    } else {
        recurrent.pack(of_recurrent(0, 2 * units));
        recurrent_h.pack(of_recurrent(2 * units, units));
    }
    // What z and r get as bias does not depend on which of the two rows it stands in.
    let bias = weights.bias.map(|given| {
        let bias = cache.bias.room(3 * units);
        bias.copy_from_slice(&given[..3 * units]);
        if reset_after {
            bias.iter_mut().zip(&given[3 * units..5 * units]).for_each(|(bias, &more)| *bias += more);
        }
        &*bias
    });
    let bias_of = |from: usize, to: usize| bias.map_or(Start::Zero, |bias| Start::Bias(&bias[from..to]));
    let h = cache.h.room(n * if keep { steps + 1 } else { 2 });
    let inputs = cache.x.room(kept * rows * features);
    let gates = cache.gates.room(kept * rows * width);
    start(initial, &mut h[..n]);
    for first in (0..steps).step_by(at_once) {
        let count = at_once.min(steps - first);
        let place = if keep { first } else { 0 };
        let inputs = &mut inputs[place * rows * features..][..count * rows * features];
        let gates = &mut gates[place * rows * width..][..count * rows * width];
        gather_inputs(pass, x, first, inputs);
        let inputs = Matrix::new(inputs, count * rows, features);
        gemm_packed(inputs, kernel_h, bias_of(2 * units, 3 * units), gates, width);
        gemm_packed(inputs, kernel_zr, bias_of(0, 2 * units), &mut gates[units..], width);
        for (s, z) in (first..first + count).zip(gates.chunks_exact_mut(rows * width)) {
            let (before, after) = states(h, s, keep, n);
            let before = &before[..n];
            let state = super::dropped(pass, s, before, &mut cache.dropped);
            let anything = !pass.all_masked(s);
            let from_zero = s == 0 && initial.is_none();
            let state = Matrix::new(state, rows, units);
            if reset_after {
                let bias = weights.bias.map(|bias| &bias[5 * units..]);
                fill_block(z, width, 3 * units, units, bias);
                if anything && !from_zero {
                    gemm_packed(state, recurrent, Start::Add, &mut z[units..], width);
                }
            } else if anything && !from_zero {
                gemm_packed(state, recurrent, Start::Add, &mut z[units..], width);
            }
            if let Nonlinearities::Other(activation, recurrent_activation) = pass.nonlinearities {
                let scratch = cache.scratch[0].room(n);
                let keeps = keep && (activation.needs_input() || recurrent_activation.needs_input());
                let mut no_sums = [];
                let sums = if keeps {
                    &mut cache.sums.room(steps * rows * width)[s * rows * width..][..rows * width]
                } else {
                    &mut no_sums[..]
                };
                if keeps {
                    sums.copy_from_slice(z);
                }
                for gate in [1, 2] {
                    through(z, gate, units, recurrent_activation, scratch);
                }
                if reset_after {
                    reset(z, units);
                } else {
                    reset_state(z, before, pass.recurrent_dropout, units);
                    candidate(z, rows, units, recurrent_h, scratch);
                }
                if keeps {
                    take_block(z, width, 0, units, scratch);
                    put_block(scratch, units, sums, width, 0);
                }
                through(z, 0, units, activation, scratch);
                mix(z, before, after, units);
            } else if !reset_after {
                open(z, units);
                reset_state(z, before, pass.recurrent_dropout, units);
                candidate(z, rows, units, recurrent_h, cache.scratch[0].room(n));
                mix_tanh(z, before, after, units);
            }
            pass.runs(s, |run, counted| {
                let (block, run) = (run.start * width..run.end * width, run.start * units..run.end * units);
                if !counted {
                    after[run.clone()].copy_from_slice(&before[run]);
                } else if reset_after && matches!(pass.nonlinearities, Nonlinearities::Usual) {
                    step(&mut z[block], &before[run.clone()], &mut after[run], units);
                }
            });
            write_output(pass, s, after, &mut output);
        }
    }
}

/// Backward of [`gru`]: adds to `grads`, writes `grad_x`; the initial state's gradient is then in the cache if `initial`
/// asks for it.
pub fn gru_backward<F: Scalar>(
    pass: &SequencePass<'_, F>,
    reset_after: bool,
    weights: &Weights<'_, F>,
    grad: &GradOutput<'_, F>,
    grads: Option<GradWeights<'_, F>>,
    grad_x: Option<&mut [F]>,
    initial: bool,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, units, .. } = pass.sizes;
    let (n, width) = (rows * units, BLOCKS * units);
    let [recurrent, recurrent_h] = &mut cache.recurrents;
    let of_recurrent = |from: usize, cols| Matrix::with_row_stride(&weights.recurrent[from..], units, cols, 3 * units);
    if reset_after {
        recurrent.pack(of_recurrent(0, 3 * units).t());
    } else {
        recurrent.pack(of_recurrent(0, 2 * units).t());
        recurrent_h.pack(of_recurrent(2 * units, units).t());
    }
    // As in an LSTM.
    let in_place = reset_after && matches!(pass.nonlinearities, Nonlinearities::Usual);
    if in_place {
        std::mem::swap(&mut cache.gates, &mut cache.grad_gates);
    }
    let grad_gates = cache.grad_gates.room(steps * rows * width);
    cache.grad_h.resize(n);
    cache.next.resize(n);
    start(grad.states[0], &mut cache.grad_h);
    for s in (0..steps).rev() {
        let grad_h = &mut cache.grad_h;
        add_output_gradient(pass, s, grad, grad_h);
        let of_step = s * rows * width..(s + 1) * rows * width;
        let grad_z = &mut grad_gates[of_step.clone()];
        let (before, next) = (&cache.h[s * n..][..n], &mut cache.next);
        if pass.all_masked(s) {
            grad_z.fill(F::zero());
            continue;
        }
        let [known, part, reset] = &mut cache.scratch;
        let (known, part, reset) = (known.room(n), part.room(n), reset.room(n));
        let other = match pass.nonlinearities {
            Nonlinearities::Usual => None,
            Nonlinearities::Other(activation, recurrent_activation) => Some((activation, recurrent_activation)),
        };
        if in_place {
            step_backward(grad_z, before, grad_h, next, units);
        } else {
            let z = &cache.gates[of_step.clone()];
            let sums = cache.sums.get(of_step).unwrap_or(&[]);
            // ∂z, and of ĥ; then of its sum.
            mix_backward(z, before, grad_h, next, grad_z, units);
            match other {
                Some((activation, _)) => {
                    back_through(z, sums, grad_z, 0, units, activation, [&mut *known, &mut *part]);
                }
                None => back_through_tanh(z, grad_z, units),
            }
            if reset_after {
                reset_backward(z, grad_z, units);
            } else {
                take_block(grad_z, width, 0, units, part);
                gemm_packed(Matrix::new(part, rows, units), recurrent_h, Start::Zero, reset, units);
                // ∂r, and what reaches the state through r·h₋; the last block is not an own gradient here.
                reset_state_backward(z, before, pass.recurrent_dropout, reset, next, grad_z, units);
            }
            for gate in [1, 2] {
                match other {
                    Some((_, recurrent_activation)) => {
                        let memory = [&mut *known, &mut *part];
                        back_through(z, sums, grad_z, gate, units, recurrent_activation, memory);
                    }
                    None => back_through_sigmoid(z, grad_z, gate * units, units),
                }
            }
        }
        pass.runs(s, |run, counted| {
            if !counted {
                grad_z[run.start * width..run.end * width].fill(F::zero());
            }
        });
        if s > 0 || initial {
            // `next` holds ∂h·z already (and ∂(r·h₋)·r).
            let blocks = if reset_after { 3 } else { 2 };
            let onto = Matrix::with_row_stride(&grad_z[units..], rows, blocks * units, width);
            if let Some(factors) = pass.recurrent_dropout {
                gemm_packed(onto, recurrent, Start::Zero, part, units);
                add_product(factors, part, next);
            } else {
                gemm_packed(onto, recurrent, Start::Add, next, units);
            }
            pass.runs(s, |run, counted| {
                let run = run.start * units..run.end * units;
                if !counted {
                    next[run.clone()].copy_from_slice(&cache.grad_h[run]);
                }
            });
            std::mem::swap(&mut cache.grad_h, &mut cache.next);
        }
    }
    if let Some(grads) = grads {
        add_weight_gradients(pass, reset_after, grads, cache);
    }
    if let Some(grad_x) = grad_x {
        write_input_gradients(pass, weights.kernel, grad_x, cache);
    }
    if in_place {
        std::mem::swap(&mut cache.gates, &mut cache.grad_gates);
    }
}

/// The inputs' gradients: products over all steps.
fn write_input_gradients<F: Scalar>(pass: &SequencePass<'_, F>, kernel: &[F], grad_x: &mut [F], cache: &mut Cache<F>) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let (count, width) = (steps * rows, BLOCKS * units);
    let grads_of = |from: usize, cols| Matrix::with_row_stride(&cache.grad_gates[from..], count, cols, width);
    let of_kernel = |from: usize, cols| Matrix::with_row_stride(&kernel[from..], features, cols, 3 * units).t();
    let by_step = cache.grad_x.room(count * features);
    gemm(grads_of(units, 2 * units), of_kernel(0, 2 * units), Start::Zero, by_step, features);
    gemm(grads_of(0, units), of_kernel(2 * units, units), Start::Add, by_step, features);
    scatter_input_gradients(pass, by_step, grad_x);
}

/// The parameters' gradients: products over all steps.
fn add_weight_gradients<F: Scalar>(
    pass: &SequencePass<'_, F>,
    reset_after: bool,
    grads: GradWeights<'_, F>,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let (count, width) = (steps * rows, BLOCKS * units);
    let grads_of = |from: usize, cols| Matrix::with_row_stride(&cache.grad_gates[from..], count, cols, width);
    let states = if pass.recurrent_dropout.is_some() { &cache.dropped } else { &cache.h };
    let (states, x) = (Matrix::new(states, count, units).t(), Matrix::new(&cache.x, count, features).t());
    let (recurrent, kernel) = (grads.recurrent, grads.kernel);
    if reset_after {
        gemm(states, grads_of(units, 3 * units), Start::Add, recurrent, 3 * units);
    } else {
        gemm(states, grads_of(units, 2 * units), Start::Add, recurrent, 3 * units);
        let reset = Matrix::with_row_stride(&cache.gates[3 * units..], count, units, width).t();
        gemm(reset, grads_of(0, units), Start::Add, &mut recurrent[2 * units..], 3 * units);
    }
    gemm(x, grads_of(units, 2 * units), Start::Add, kernel, 3 * units);
    gemm(x, grads_of(0, units), Start::Add, &mut kernel[2 * units..], 3 * units);
    if let Some(bias) = grads.bias {
        let sums = cache.bias.room(width);
        sums.fill(F::zero());
        add_column_sums(&cache.grad_gates[..count * width], sums);
        let (of_h, rest) = sums.split_at(units);
        let mut add = |to: usize, from: &[F]| {
            bias[to..to + from.len()].iter_mut().zip(from).for_each(|(bias, &sum)| *bias += sum);
        };
        add(0, &rest[..2 * units]);
        add(2 * units, of_h);
        if reset_after {
            add(3 * units, rest);
        }
    }
}

kernel! {
    /// One step of rows with `reset_after`: the gates in place, and the state.
    fn step<F, I>(z: &mut [F], before: &[F], h: &mut [F], units: usize) {
        let rows = z.chunks_exact_mut(BLOCKS * units).zip(before.chunks_exact(units));
        for ((row, before), h) in rows.zip(h.chunks_exact_mut(units)) {
            for (at, n) in blocks(units) {
                let [mut g, mut z] = [load(row, at, n), load(row, units + at, n)];
                let [mut r, q] = [load(row, 2 * units + at, n), load(row, 3 * units + at, n)];
                let mut state = load(before, at, n);
                for k in 0..super::BLOCK {
                    z[k] = z[k].sigmoid_in::<I>();
                    r[k] = r[k].sigmoid_in::<I>();
                    g[k] = I::mul_add(r[k], q[k], g[k]).tanh_in::<I>();
                    state[k] = I::mul_add(z[k], state[k] - g[k], g[k]);
                }
                store(&g, row, at, n);
                store(&z, row, units + at, n);
                store(&r, row, 2 * units + at, n);
                store(&state, h, at, n);
            }
        }
    }
}

kernel! {
    /// Backward of [`step`]: the gradients of the four blocks, and `next` = ∂h·z.
    fn step_backward<F>(
        z: &mut [F], before: &[F], grad_h: &[F], next: &mut [F], units: usize,
    ) {
        let one = F::one();
        let rows = z.chunks_exact_mut(BLOCKS * units);
        let grads = grad_h.chunks_exact(units).zip(next.chunks_exact_mut(units));
        for ((row, before), (grad_h, next)) in rows.zip(before.chunks_exact(units)).zip(grads) {
            for (at, n) in blocks(units) {
                let [mut g, mut z] = [load(row, at, n), load(row, units + at, n)];
                let [mut r, mut q] = [load(row, 2 * units + at, n), load(row, 3 * units + at, n)];
                let (state, mut of_h) = (load(before, at, n), load(grad_h, at, n));
                for k in 0..super::BLOCK {
                    let of_g = of_h[k] * (one - z[k]) * ((one - g[k]) * (one + g[k]));
                    let of_z = of_h[k] * (state[k] - g[k]) * (z[k] * (one - z[k]));
                    of_h[k] *= z[k];
                    (g[k], z[k]) = (of_g, of_z);
                    (q[k], r[k]) = (of_g * r[k], of_g * q[k] * (r[k] * (one - r[k])));
                }
                store(&g, row, at, n);
                store(&z, row, units + at, n);
                store(&r, row, 2 * units + at, n);
                store(&q, row, 3 * units + at, n);
                store(&of_h, next, at, n);
            }
        }
    }
}

kernel! {
    /// z and r through σ, in place.
    fn open<F, I>(z: &mut [F], units: usize) {
        for row in z.chunks_exact_mut(BLOCKS * units) {
            for x in &mut row[units..3 * units] {
                *x = x.sigmoid_in::<I>();
            }
        }
    }
}

kernel! {
    /// ĥ ← tanh ĥ in place, and h = z·h₋ + (1 − z)·ĥ.
    fn mix_tanh<F, I>(z: &mut [F], before: &[F], h: &mut [F], units: usize) {
        let rows = z.chunks_exact_mut(BLOCKS * units).zip(before.chunks_exact(units));
        for ((row, before), h) in rows.zip(h.chunks_exact_mut(units)) {
            let (g, z) = row.split_at_mut(units);
            for (((h, &before), g), &z) in h.iter_mut().zip(before).zip(g).zip(&*z) {
                *g = g.tanh_in::<I>();
                *h = I::mul_add(z, before - *g, *g);
            }
        }
    }
}

kernel! {
    /// h = z·h₋ + (1 − z)·ĥ.
    fn mix<F, I>(z: &[F], before: &[F], h: &mut [F], units: usize) {
        let rows = z.chunks_exact(BLOCKS * units).zip(before.chunks_exact(units));
        for ((row, before), h) in rows.zip(h.chunks_exact_mut(units)) {
            let (g, z) = row.split_at(units);
            for (((h, &before), &g), &z) in h.iter_mut().zip(before).zip(g).zip(z) {
                *h = I::mul_add(z, before - g, g);
            }
        }
    }
}

kernel! {
    /// Backward of [`mix`]: ∂ĥ = ∂h·(1 − z), ∂z = ∂h·(h₋ − ĥ), `next` = ∂h·z.
    fn mix_backward<F>(z: &[F], before: &[F], grad_h: &[F], next: &mut [F], grad_z: &mut [F], units: usize) {
        let rows = z.chunks_exact(BLOCKS * units).zip(grad_z.chunks_exact_mut(BLOCKS * units));
        for (row, (z, grad_z)) in rows.enumerate() {
            for k in 0..units {
                let (at, gate) = (row * units + k, z[units + k]);
                grad_z[k] = grad_h[at] * (F::one() - gate);
                grad_z[units + k] = grad_h[at] * (before[at] - z[k]);
                next[at] = grad_h[at] * gate;
            }
        }
    }
}

kernel! {
    /// The sum behind ĥ: a_h + r·q, in place of a_h.
    fn reset<F>(z: &mut [F], units: usize) {
        for row in z.chunks_exact_mut(BLOCKS * units) {
            let (sum, rest) = row.split_at_mut(units);
            for ((sum, &r), &q) in sum.iter_mut().zip(&rest[units..]).zip(&rest[2 * units..]) {
                *sum += r * q;
            }
        }
    }
}

kernel! {
    /// Backward of [`reset`]: ∂r = ∂a_h·q, ∂q = ∂a_h·r.
    fn reset_backward<F>(z: &[F], grad_z: &mut [F], units: usize) {
        for (z, grad_z) in z.chunks_exact(BLOCKS * units).zip(grad_z.chunks_exact_mut(BLOCKS * units)) {
            for k in 0..units {
                grad_z[2 * units + k] = grad_z[k] * z[3 * units + k];
                grad_z[3 * units + k] = grad_z[k] * z[2 * units + k];
            }
        }
    }
}

/// The last block ← r·h₋, with h₋ after dropout.
fn reset_state<F: Scalar>(z: &mut [F], before: &[F], dropout: Option<&[F]>, units: usize) {
    for (row, (z, before)) in z.chunks_exact_mut(BLOCKS * units).zip(before.chunks_exact(units)).enumerate() {
        for k in 0..units {
            let factor = dropout.map_or(F::one(), |factors| factors[row * units + k]);
            z[3 * units + k] = z[2 * units + k] * before[k] * factor;
        }
    }
}

/// Backward of [`reset_state`], from p = ∂(r·h₋): ∂r = p·h₋, `next` += p·r. The last block has no gradient of its own.
fn reset_state_backward<F: Scalar>(
    z: &[F],
    before: &[F],
    dropout: Option<&[F]>,
    grad: &[F],
    next: &mut [F],
    grad_z: &mut [F],
    units: usize,
) {
    let rows = z.chunks_exact(BLOCKS * units).zip(grad_z.chunks_exact_mut(BLOCKS * units));
    for (row, (z, grad_z)) in rows.enumerate() {
        for k in 0..units {
            let at = row * units + k;
            let p = dropout.map_or(grad[at], |factors| grad[at] * factors[at]);
            grad_z[2 * units + k] = p * before[at];
            next[at] += p * z[2 * units + k];
        }
        grad_z[3 * units..].fill(F::zero());
    }
}

/// a_h += (r·h₋)·U_h.
fn candidate<F: Scalar>(z: &mut [F], rows: usize, units: usize, recurrent_h: &Packed<F>, scratch: &mut [F]) {
    let width = BLOCKS * units;
    take_block(z, width, 3 * units, units, scratch);
    gemm_packed(Matrix::new(scratch, rows, units), recurrent_h, Start::Add, z, width);
}

/// One block of each row ← the bias, or zeros.
fn fill_block<F: Scalar>(z: &mut [F], width: usize, from: usize, units: usize, bias: Option<&[F]>) {
    for row in z.chunks_exact_mut(width) {
        start(bias, &mut row[from..from + units]);
    }
}

/// One block through a nonlinearity of any kind.
fn through<F: Scalar>(z: &mut [F], gate: usize, units: usize, by: &dyn Nonlinearity<F>, block: &mut [F]) {
    take_block(z, BLOCKS * units, gate * units, units, block);
    by.forward(block, units);
    put_block(block, units, z, BLOCKS * units, gate * units);
}

/// Backward of [`through`].
fn back_through<F: Scalar>(
    z: &[F],
    sums: &[F],
    grad_z: &mut [F],
    gate: usize,
    units: usize,
    by: &dyn Nonlinearity<F>,
    [known, grad]: [&mut [F]; 2],
) {
    let (width, from) = (BLOCKS * units, gate * units);
    take_block(if by.needs_input() { sums } else { z }, width, from, units, known);
    take_block(grad_z, width, from, units, grad);
    by.backward(known, known, grad, units);
    put_block(grad, units, grad_z, width, from);
}

/// ∂ĥ through the tanh.
fn back_through_tanh<F: Scalar>(z: &[F], grad_z: &mut [F], units: usize) {
    for (z, grad_z) in z.chunks_exact(BLOCKS * units).zip(grad_z.chunks_exact_mut(BLOCKS * units)) {
        crate::kernels::activation::tanh_backward(&z[..units], &mut grad_z[..units]);
    }
}

/// A gate's gradient through σ.
fn back_through_sigmoid<F: Scalar>(z: &[F], grad_z: &mut [F], from: usize, units: usize) {
    for (z, grad_z) in z.chunks_exact(BLOCKS * units).zip(grad_z.chunks_exact_mut(BLOCKS * units)) {
        crate::kernels::activation::sigmoid_backward(&z[from..from + units], &mut grad_z[from..from + units]);
    }
}

kernel! {
    /// y += factors·x
    fn add_product<F>(factors: &[F], x: &[F], y: &mut [F]) {
        for ((y, &x), &factor) in y.iter_mut().zip(x).zip(factors) {
            *y += factor * x;
        }
    }
}
