//! Long short-term memory. With z = x·W + h₋·U + b in four blocks of `units`, in Keras's order i, f, c, o:
//!
//! i = σ(z_i), f = σ(z_f), g = tanh(z_c), o = σ(z_o), c = f·c₋ + i·g, h = o·tanh(c)
//!
//! Backward, with ∂h and ∂c what comes from the step after and from outside:
//!
//! ∂c += ∂h·o·(1 − tanh²c); ∂z_o = ∂h·tanh(c)·o(1 − o), ∂z_i = ∂c·g·i(1 − i), ∂z_f = ∂c·c₋·f(1 − f),
//! ∂z_c = ∂c·i·(1 − g²); ∂c₋ = ∂c·f, ∂h₋ = ∂z·Uᵀ; and over all steps ∂W = Σ xᵀ∂z, ∂U = Σ h₋ᵀ∂z, ∂b = Σ ∂z, ∂x = ∂z·Wᵀ.

use super::{
    Cache, GradOutput, GradWeights, Nonlinearities, Nonlinearity, Output, SequencePass, Sizes, Weights,
    add_output_gradient, blocks, gather_inputs, gradient_before, input_gradients, load, put_block, start, states,
    store, take_block, weight_gradients, write_output,
};
use crate::Scalar;
use crate::kernels::aligned::Aligned;
use crate::kernels::dispatch::kernel;
use crate::kernels::gemm::{Matrix, Start, gemm_packed};

/// The gates: i, f, c, o.
const GATES: usize = 4;

/// Runs sequences `x` (rows, steps, features) through the cells, from `initial` state and carry or zeros.
pub fn lstm<F: Scalar>(
    pass: &SequencePass<'_, F>,
    weights: &Weights<'_, F>,
    x: &[F],
    initial: [Option<&[F]>; 2],
    mut output: Output<'_, F>,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let (keep, width, at_once) = (pass.keep, GATES * units, pass.steps_at_once());
    let (n, kept) = (rows * units, if keep { steps } else { at_once });
    let [packed, _] = &mut cache.kernels;
    packed.pack(Matrix::new(weights.kernel, features, width));
    let [recurrent, _] = &mut cache.recurrents;
    recurrent.pack(Matrix::new(weights.recurrent, units, width));
    let h = cache.h.room(n * if keep { steps + 1 } else { 2 });
    let c = cache.c.room(n * if keep { steps + 1 } else { 2 });
    let inputs = cache.x.room(kept * rows * features);
    let gates = cache.gates.room(kept * rows * width);
    start(initial[0], &mut h[..n]);
    start(initial[1], &mut c[..n]);
    for first in (0..steps).step_by(at_once) {
        let count = at_once.min(steps - first);
        let place = if keep { first } else { 0 };
        let inputs = &mut inputs[place * rows * features..][..count * rows * features];
        let gates = &mut gates[place * rows * width..][..count * rows * width];
        gather_inputs(pass, x, first, inputs);
        let bias = weights.bias.map_or(Start::Zero, Start::Bias);
        gemm_packed(Matrix::new(inputs, count * rows, features), packed, bias, gates, width);
        for (s, z) in (first..first + count).zip(gates.chunks_exact_mut(rows * width)) {
            let (h_before, h_after) = states(h, s, keep, n);
            let (c_before, c_after) = states(c, s, keep, n);
            let state = super::dropped(pass, s, &h_before[..n], &mut cache.dropped);
            if !(pass.all_masked(s) || s == 0 && initial[0].is_none()) {
                gemm_packed(Matrix::new(state, rows, units), recurrent, Start::Add, z, width);
            }
            if let Nonlinearities::Other(activation, recurrent_activation) = pass.nonlinearities {
                if keep && (activation.needs_input() || recurrent_activation.needs_input()) {
                    cache.sums.room(steps * rows * width)[s * rows * width..][..rows * width].copy_from_slice(z);
                }
                let place = if keep { s * n } else { 0 };
                let a = &mut cache.a.room(if keep { steps * n } else { n })[place..][..n];
                let by = [activation, recurrent_activation];
                other_step(z, c_before, c_after, a, h_after, units, by, cache.scratch[0].room(n));
            }
            pass.runs(s, |run, counted| {
                let (block, run) = (run.start * width..run.end * width, run.start * units..run.end * units);
                if !counted {
                    h_after[run.clone()].copy_from_slice(&h_before[run.clone()]);
                    c_after[run.clone()].copy_from_slice(&c_before[run]);
                } else if matches!(pass.nonlinearities, Nonlinearities::Usual) {
                    step(&mut z[block], &c_before[run.clone()], &mut c_after[run.clone()], &mut h_after[run], units);
                }
            });
            write_output(pass, s, h_after, &mut output);
        }
    }
}

/// Backward of [`lstm`]: adds to `grads`, writes `grad_x`; the initial states' gradients are then in the cache if
/// `initial` asks for them.
pub fn lstm_backward<F: Scalar>(
    pass: &SequencePass<'_, F>,
    weights: &Weights<'_, F>,
    grad: &GradOutput<'_, F>,
    grads: Option<GradWeights<'_, F>>,
    grad_x: Option<&mut [F]>,
    initial: bool,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, units, .. } = pass.sizes;
    let (n, width) = (rows * units, GATES * units);
    let [_, recurrent] = &mut cache.recurrents;
    recurrent.pack(Matrix::new(weights.recurrent, units, width).t());
    // Gradients take the gates' place: a pass that touches less memory waits less.
    let in_place = matches!(pass.nonlinearities, Nonlinearities::Usual);
    if in_place {
        std::mem::swap(&mut cache.gates, &mut cache.grad_gates);
    }
    let grad_gates = cache.grad_gates.room(steps * rows * width);
    for (memory, from) in [&mut cache.grad_h, &mut cache.grad_c].into_iter().zip(grad.states) {
        memory.resize(n);
        start(from, memory);
    }
    cache.next.resize(n);
    for s in (0..steps).rev() {
        let (grad_h, grad_c) = (&mut cache.grad_h, &mut cache.grad_c);
        add_output_gradient(pass, s, grad, grad_h);
        let of_step = s * rows * width..(s + 1) * rows * width;
        let grad_z = &mut grad_gates[of_step.clone()];
        let (c_before, c_after) = (&cache.c[s * n..][..n], &cache.c[(s + 1) * n..][..n]);
        let scratch = &mut cache.scratch;
        if let Nonlinearities::Other(activation, _) = pass.nonlinearities {
            // ∂L/∂c by way of h = o·f(c).
            let through = scratch[0].room(n);
            gated(&cache.gates[of_step.clone()], grad_h, through, units);
            activation.backward(c_after, &cache.a[s * n..][..n], through, units);
        }
        pass.runs(s, |run, counted| {
            let (block, run) = (run.start * width..run.end * width, run.start * units..run.end * units);
            let grad_z = &mut grad_z[block.clone()];
            let (c_before, c_after) = (&c_before[run.clone()], &c_after[run.clone()]);
            if !counted {
                grad_z.fill(F::zero());
                return;
            }
            let (grad_h, grad_c) = (&grad_h[run.clone()], &mut grad_c[run.clone()]);
            match pass.nonlinearities {
                Nonlinearities::Usual => step_backward(grad_z, c_before, c_after, grad_h, grad_c, units),
                Nonlinearities::Other(activation, recurrent_activation) => {
                    let [through, from, to] = scratch;
                    let a = &cache.a[s * n..][..n][run.clone()];
                    let z = &cache.gates[of_step.clone()][block.clone()];
                    parts_backward(z, c_before, a, grad_h, &through[run.clone()], grad_c, grad_z, units);
                    let sums = cache.sums.get(of_step.clone()).map_or(&[][..], |sums| &sums[block]);
                    let scratch = [from.room(run.len()), to.room(run.len())];
                    other_gates_backward(z, sums, grad_z, units, activation, recurrent_activation, scratch);
                }
            }
        });
        if (s > 0 || initial) && !pass.all_masked(s) {
            gradient_before(pass, s, grad_z, recurrent, &mut cache.next, &mut cache.grad_h);
        }
    }
    let before = if pass.recurrent_dropout.is_some() { &cache.dropped } else { &cache.h };
    if let Some(grads) = grads {
        let [_, packed] = &mut cache.kernels;
        weight_gradients(pass, grad_gates, [&cache.x, before], grads, packed);
    }
    if let Some(grad_x) = grad_x {
        input_gradients(pass, grad_gates, weights.kernel, &mut cache.grad_x, grad_x);
    }
    if in_place {
        std::mem::swap(&mut cache.gates, &mut cache.grad_gates);
    }
}

/// What a single step keeps between its passes, and works with: see [`lstm_step`].
#[derive(Clone, Debug, Default)]
pub struct StepMemory<F> {
    sums: Aligned<F>,
    a: Aligned<F>,
    scratch: [Aligned<F>; 3],
}

/// One step of rows from the gates' sums `z` (rows, 4·units), whatever they are made of: z ← gates, and c and h (rows,
/// units).
pub fn lstm_step<F: Scalar>(
    nonlinearities: Nonlinearities<'_, F>,
    z: &mut [F],
    c_before: &[F],
    c: &mut [F],
    h: &mut [F],
    units: usize,
    memory: &mut StepMemory<F>,
) {
    match nonlinearities {
        Nonlinearities::Usual => step(z, c_before, c, h, units),
        Nonlinearities::Other(activation, recurrent_activation) => {
            if activation.needs_input() || recurrent_activation.needs_input() {
                memory.sums.room(z.len()).copy_from_slice(z);
            }
            let (a, block) = (memory.a.room(h.len()), memory.scratch[0].room(h.len()));
            other_step(z, c_before, c, a, h, units, [activation, recurrent_activation], block);
        }
    }
}

/// Backward of [`lstm_step`]: `z` ← the gradients of the sums in the place of the gates, `grad_c` ← that of `c_before`; `grad_z`
/// is working memory of the same size.
pub fn lstm_step_backward<F: Scalar>(
    nonlinearities: Nonlinearities<'_, F>,
    z: &mut [F],
    c_before: &[F],
    c: &[F],
    grad_h: &[F],
    grad_c: &mut [F],
    units: usize,
    memory: &mut StepMemory<F>,
    grad_z: &mut [F],
) {
    let Nonlinearities::Other(activation, recurrent_activation) = nonlinearities else {
        return step_backward(z, c_before, c, grad_h, grad_c, units);
    };
    let StepMemory { sums, a, scratch: [through, from, to] } = memory;
    let n = grad_h.len();
    let (through, a) = (through.room(n), &a[..n]);
    gated(z, grad_h, through, units);
    activation.backward(c, a, through, units);
    parts_backward(z, c_before, a, grad_h, through, grad_c, grad_z, units);
    let scratch = [from.room(n), to.room(n)];
    other_gates_backward(z, sums, grad_z, units, activation, recurrent_activation, scratch);
    z.copy_from_slice(grad_z);
}

/// One step of rows through nonlinearities of any kind: the gates in place of their sums, the carry, a = f(c), the state.
fn other_step<F: Scalar>(
    z: &mut [F],
    c_before: &[F],
    c: &mut [F],
    a: &mut [F],
    h: &mut [F],
    units: usize,
    [activation, recurrent_activation]: [&dyn Nonlinearity<F>; 2],
    block: &mut [F],
) {
    other_gates(z, units, activation, recurrent_activation, block);
    carry(z, c_before, c, units);
    a.copy_from_slice(c);
    activation.forward(a, units);
    gated(z, a, h, units);
}

kernel! {
    /// One step of rows: gates through their nonlinearities in place, the carry, the state.
    fn step<F, I>(gates: &mut [F], c_before: &[F], c: &mut [F], h: &mut [F], units: usize) {
        let rows = gates.chunks_exact_mut(GATES * units).zip(c_before.chunks_exact(units));
        for (((z, c_before), c), h) in rows.zip(c.chunks_exact_mut(units)).zip(h.chunks_exact_mut(units)) {
            for (at, n) in blocks(units) {
                let [mut i, mut f] = [load(z, at, n), load(z, units + at, n)];
                let [mut g, mut o] = [load(z, 2 * units + at, n), load(z, 3 * units + at, n)];
                let (mut carry, mut state) = (load(c_before, at, n), [F::zero(); super::BLOCK]);
                for k in 0..super::BLOCK {
                    i[k] = i[k].sigmoid_in::<I>();
                    f[k] = f[k].sigmoid_in::<I>();
                    g[k] = g[k].tanh_in::<I>();
                    o[k] = o[k].sigmoid_in::<I>();
                    carry[k] = I::mul_add(f[k], carry[k], i[k] * g[k]);
                    state[k] = o[k] * carry[k].tanh_in::<I>();
                }
                store(&i, z, at, n);
                store(&f, z, units + at, n);
                store(&g, z, 2 * units + at, n);
                store(&o, z, 3 * units + at, n);
                store(&carry, c, at, n);
                store(&state, h, at, n);
            }
        }
    }
}

kernel! {
    /// Backward of [`step`]: the gradients of the gates' sums in the place of the gates, and of the carry before in the
    /// place of the carry's.
    fn step_backward<F, I>(
        gates: &mut [F], c_before: &[F], c: &[F], grad_h: &[F], grad_c: &mut [F], units: usize,
    ) {
        let one = F::one();
        let rows = gates.chunks_exact_mut(GATES * units);
        let states = c_before.chunks_exact(units).zip(c.chunks_exact(units));
        let grads = grad_h.chunks_exact(units).zip(grad_c.chunks_exact_mut(units));
        for ((z, (c_before, c)), (grad_h, grad_c)) in rows.zip(states).zip(grads) {
            for (at, n) in blocks(units) {
                let [mut i, mut f] = [load(z, at, n), load(z, units + at, n)];
                let [mut g, mut o] = [load(z, 2 * units + at, n), load(z, 3 * units + at, n)];
                let (before, carry) = (load(c_before, at, n), load(c, at, n));
                let (of_h, mut of_c) = (load(grad_h, at, n), load(grad_c, at, n));
                for k in 0..super::BLOCK {
                    let a = carry[k].tanh_in::<I>();
                    let through = of_c[k] + of_h[k] * o[k] * ((one - a) * (one + a));
                    o[k] = of_h[k] * a * (o[k] * (one - o[k]));
                    of_c[k] = through * f[k];
                    f[k] = through * before[k] * (f[k] * (one - f[k]));
                    let of_g = through * i[k] * ((one - g[k]) * (one + g[k]));
                    i[k] = through * g[k] * (i[k] * (one - i[k]));
                    g[k] = of_g;
                }
                store(&i, z, at, n);
                store(&f, z, units + at, n);
                store(&g, z, 2 * units + at, n);
                store(&o, z, 3 * units + at, n);
                store(&of_c, grad_c, at, n);
            }
        }
    }
}

kernel! {
    /// c = f·c₋ + i·g, of gates after their nonlinearities.
    fn carry<F>(gates: &[F], c_before: &[F], c: &mut [F], units: usize) {
        let rows = gates.chunks_exact(GATES * units).zip(c_before.chunks_exact(units));
        for ((z, c_before), c) in rows.zip(c.chunks_exact_mut(units)) {
            for k in 0..units {
                c[k] = z[units + k] * c_before[k] + z[k] * z[2 * units + k];
            }
        }
    }
}

kernel! {
    /// y = o·a: the state of f(c), or the gradient of f(c) of the state's.
    fn gated<F>(gates: &[F], a: &[F], y: &mut [F], units: usize) {
        let rows = gates.chunks_exact(GATES * units).zip(a.chunks_exact(units));
        for ((z, a), y) in rows.zip(y.chunks_exact_mut(units)) {
            for ((y, &a), &o) in y.iter_mut().zip(a).zip(&z[3 * units..]) {
                *y = o * a;
            }
        }
    }
}

kernel! {
    /// Backward of [`carry`] and [`gated`]: gradients of the gates after their nonlinearities, with `through` that of c
    /// by way of h.
    fn parts_backward<F>(
        gates: &[F], c_before: &[F], a: &[F], grad_h: &[F], through: &[F], grad_c: &mut [F], grad_gates: &mut [F],
        units: usize,
    ) {
        let rows = gates.chunks_exact(GATES * units).zip(grad_gates.chunks_exact_mut(GATES * units));
        for (row, (z, grad_z)) in rows.enumerate() {
            for k in 0..units {
                let at = row * units + k;
                let of_c = grad_c[at] + through[at];
                grad_z[k] = of_c * z[2 * units + k];
                grad_z[units + k] = of_c * c_before[at];
                grad_z[2 * units + k] = of_c * z[k];
                grad_z[3 * units + k] = grad_h[at] * a[at];
                grad_c[at] = of_c * z[units + k];
            }
        }
    }
}

/// The gates of rows through nonlinearities of any kind.
fn other_gates<F: Scalar>(
    z: &mut [F],
    units: usize,
    activation: &dyn Nonlinearity<F>,
    recurrent_activation: &dyn Nonlinearity<F>,
    block: &mut [F],
) {
    for gate in 0..GATES {
        take_block(z, GATES * units, gate * units, units, block);
        let nonlinearity = if gate == 2 { activation } else { recurrent_activation };
        nonlinearity.forward(block, units);
        put_block(block, units, z, GATES * units, gate * units);
    }
}

/// Backward of [`other_gates`], in place of the gradients of the gates.
fn other_gates_backward<F: Scalar>(
    gates: &[F],
    sums: &[F],
    grad_gates: &mut [F],
    units: usize,
    activation: &dyn Nonlinearity<F>,
    recurrent_activation: &dyn Nonlinearity<F>,
    [known, grad]: [&mut [F]; 2],
) {
    let width = GATES * units;
    for gate in 0..GATES {
        let nonlinearity = if gate == 2 { activation } else { recurrent_activation };
        take_block(grad_gates, width, gate * units, units, grad);
        take_block(if nonlinearity.needs_input() { sums } else { gates }, width, gate * units, units, known);
        nonlinearity.backward(known, known, grad, units);
        put_block(grad, units, grad_gates, width, gate * units);
    }
}
