//! The simple recurrent layer: h = tanh(x·W + h₋·U + b), or another nonlinearity.
//!
//! Backward, with ∂h what comes from the step after and from outside: ∂z = ∂h·(1 − h²), ∂h₋ = ∂z·Uᵀ; and over all steps
//! ∂W = Σ xᵀ∂z, ∂U = Σ h₋ᵀ∂z, ∂b = Σ ∂z, ∂x = ∂z·Wᵀ.

use super::{
    Cache, GradOutput, GradWeights, Nonlinearities, Output, SequencePass, Sizes, Weights, add_output_gradient,
    gather_inputs, gradient_before, input_gradients, start, states, weight_gradients, write_output,
};
use crate::Scalar;
use crate::kernels::dispatch::kernel;
use crate::kernels::gemm::{Matrix, Start, gemm_packed};

/// Runs sequences `x` (rows, steps, features) through the cells, from the `initial` state or zeros.
pub fn simple<F: Scalar>(
    pass: &SequencePass<'_, F>,
    weights: &Weights<'_, F>,
    x: &[F],
    initial: Option<&[F]>,
    mut output: Output<'_, F>,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, features, units } = pass.sizes;
    let (keep, at_once, n) = (pass.keep, pass.steps_at_once(), rows * units);
    let [packed, _] = &mut cache.kernels;
    packed.pack(Matrix::new(weights.kernel, features, units));
    let [recurrent, _] = &mut cache.recurrents;
    recurrent.pack(Matrix::new(weights.recurrent, units, units));
    let h = cache.h.room(n * if keep { steps + 1 } else { 2 });
    let inputs = cache.x.room(if keep { steps } else { at_once } * rows * features);
    let sums = cache.gates.room(at_once * n);
    start(initial, &mut h[..n]);
    for first in (0..steps).step_by(at_once) {
        let count = at_once.min(steps - first);
        let place = if keep { first } else { 0 };
        let inputs = &mut inputs[place * rows * features..][..count * rows * features];
        let sums = &mut sums[..count * n];
        gather_inputs(pass, x, first, inputs);
        let bias = weights.bias.map_or(Start::Zero, Start::Bias);
        gemm_packed(Matrix::new(inputs, count * rows, features), packed, bias, sums, units);
        for (s, z) in (first..first + count).zip(sums.chunks_exact_mut(n)) {
            let (before, after) = states(h, s, keep, n);
            let state = super::dropped(pass, s, &before[..n], &mut cache.dropped);
            if !(pass.all_masked(s) || s == 0 && initial.is_none()) {
                gemm_packed(Matrix::new(state, rows, units), recurrent, Start::Add, z, units);
            }
            match pass.nonlinearities {
                Nonlinearities::Usual => step(z, after),
                Nonlinearities::Other(activation, _) => {
                    if keep && activation.needs_input() {
                        cache.sums.room(steps * n)[s * n..][..n].copy_from_slice(z);
                    }
                    after.copy_from_slice(z);
                    activation.forward(after, units);
                }
            }
            pass.runs(s, |run, counted| {
                let run = run.start * units..run.end * units;
                if !counted {
                    after[run.clone()].copy_from_slice(&before[run]);
                }
            });
            write_output(pass, s, after, &mut output);
        }
    }
}

/// Backward of [`simple`]: adds to `grads`, writes `grad_x`; the initial state's gradient is then in the cache if
/// `initial` asks for it.
pub fn simple_backward<F: Scalar>(
    pass: &SequencePass<'_, F>,
    weights: &Weights<'_, F>,
    grad: &GradOutput<'_, F>,
    grads: Option<GradWeights<'_, F>>,
    grad_x: Option<&mut [F]>,
    initial: bool,
    cache: &mut Cache<F>,
) {
    let Sizes { rows, steps, units, .. } = pass.sizes;
    let n = rows * units;
    let [_, recurrent] = &mut cache.recurrents;
    recurrent.pack(Matrix::new(weights.recurrent, units, units).t());
    let grad_sums = cache.grad_gates.room(steps * n);
    cache.grad_h.resize(n);
    cache.next.resize(n);
    start(grad.states[0], &mut cache.grad_h);
    for s in (0..steps).rev() {
        let grad_h = &mut cache.grad_h;
        add_output_gradient(pass, s, grad, grad_h);
        let (h, grad_z) = (&cache.h[(s + 1) * n..][..n], &mut grad_sums[s * n..][..n]);
        match pass.nonlinearities {
            Nonlinearities::Usual => step_backward(h, grad_h, grad_z),
            Nonlinearities::Other(activation, _) => {
                grad_z.copy_from_slice(grad_h);
                // A masked row's state is not its sum's image; what comes of it is thrown away below.
                let sums = if activation.needs_input() { &cache.sums[s * n..][..n] } else { h };
                activation.backward(sums, h, grad_z, units);
            }
        }
        pass.runs(s, |run, counted| {
            if !counted {
                grad_z[run.start * units..run.end * units].fill(F::zero());
            }
        });
        if (s > 0 || initial) && !pass.all_masked(s) {
            gradient_before(pass, s, grad_z, recurrent, &mut cache.next, &mut cache.grad_h);
        }
    }
    let before = if pass.recurrent_dropout.is_some() { &cache.dropped } else { &cache.h };
    if let Some(grads) = grads {
        let [_, packed] = &mut cache.kernels;
        weight_gradients(pass, grad_sums, [&cache.x, before], grads, packed);
    }
    if let Some(grad_x) = grad_x {
        input_gradients(pass, grad_sums, weights.kernel, &mut cache.grad_x, grad_x);
    }
}

kernel! {
    /// h = tanh z
    fn step<F, I>(z: &[F], h: &mut [F]) {
        for (h, &z) in h.iter_mut().zip(z) {
            *h = z.tanh_in::<I>();
        }
    }
}

kernel! {
    /// ∂z = ∂h·(1 − h²)
    fn step_backward<F>(h: &[F], grad_h: &[F], grad_z: &mut [F]) {
        for ((grad_z, &h), &grad_h) in grad_z.iter_mut().zip(h).zip(grad_h) {
            *grad_z = grad_h * ((F::one() - h) * (F::one() + h));
        }
    }
}
