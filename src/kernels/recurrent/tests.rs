//! Against a slow plain twin, value by value, whose derivatives are central differences.

use super::{Cache, GradOutput, GradWeights, Nonlinearities, Nonlinearity, Output, SequencePass, Sizes, Weights};
use super::{gru, lstm, simple};
use crate::Scalar;
use crate::kernels::dispatch::forced::on_every_isa;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Simple,
    Lstm,
    Gru { reset_after: bool },
}

/// f(x) = x/(1 + x²)^½, whose derivative needs x.
struct Algebraic;

impl<F: Scalar> Nonlinearity<F> for Algebraic {
    fn forward(&self, y: &mut [F], _: usize) {
        for y in y {
            *y /= (F::one() + *y * *y).sqrt();
        }
    }
    fn backward(&self, x: &[F], _: &[F], grad: &mut [F], _: usize) {
        grad.iter_mut().zip(x).for_each(|(g, &x)| *g *= (F::one() + x * x).powf(F::of(-1.5)));
    }
    fn needs_input(&self) -> bool {
        true
    }
}

/// (1 + x/(1 + x²)^½)/2, whose derivative is computed from y.
struct Step;

impl<F: Scalar> Nonlinearity<F> for Step {
    fn forward(&self, y: &mut [F], units: usize) {
        Algebraic.forward(y, units);
        for y in y {
            *y = (*y + F::one()) * F::of(0.5);
        }
    }
    fn backward(&self, _: &[F], y: &[F], grad: &mut [F], _: usize) {
        let slope = |u: F| (F::one() - u * u).powf(F::of(1.5)) * F::of(0.5);
        grad.iter_mut().zip(y).for_each(|(g, &y)| *g *= slope(y + y - F::one()));
    }
    fn needs_input(&self) -> bool {
        false
    }
}

/// Values without pattern in −1..1.
fn numbers<F: Scalar>(n: usize, seed: u64) -> Vec<F> {
    let mut values = vec![F::zero(); n];
    crate::kernels::random::uniform(seed, 0, &mut values);
    values.iter().map(|&v| v + v - F::one()).collect()
}

#[derive(Clone)]
struct Problem {
    kind: Kind,
    sizes: Sizes,
    backwards: bool,
    zero_masked: bool,
    other: bool,
    mask: Option<Vec<bool>>,
    dropout: Option<Vec<f64>>,
    recurrent_dropout: Option<Vec<f64>>,
    /// x, kernel, recurrent kernel, bias, initial states.
    values: [Vec<f64>; 6],
    /// What outputs and last states are weighed with in the loss.
    weights: [Vec<f64>; 3],
}

impl Problem {
    fn new(kind: Kind, sizes: Sizes, case: usize) -> Self {
        let Sizes { rows, steps, features, units } = sizes;
        let (blocks, biases) = match kind {
            Kind::Simple => (1, 1),
            Kind::Lstm => (4, 4),
            Kind::Gru { reset_after } => (3, if reset_after { 6 } else { 3 }),
        };
        let seed = 100 + case as u64;
        let drop = |n: usize, seed| {
            numbers::<f64>(n, seed).iter().map(|&v| if v < -0.3 { 0.0 } else { 1.5 }).collect::<Vec<f64>>()
        };
        let masked = case & 1 == 1;
        let mask = masked.then(|| numbers::<f64>(rows * steps, seed + 9).iter().map(|&v| v < 0.3).collect());
        Self {
            kind,
            sizes,
            backwards: case & 2 == 2,
            zero_masked: case & 4 == 4,
            other: case & 8 == 8,
            mask,
            dropout: (case & 16 == 16).then(|| drop(rows * features, seed + 10)),
            recurrent_dropout: (case & 16 == 16).then(|| drop(rows * units, seed + 11)),
            values: [
                numbers(rows * steps * features, seed),
                numbers(features * blocks * units, seed + 1),
                numbers(units * blocks * units, seed + 2),
                numbers(biases * units, seed + 3),
                numbers(rows * units, seed + 4),
                numbers(rows * units, seed + 5),
            ],
            weights: [
                numbers(rows * steps * units, seed + 6),
                numbers(rows * units, seed + 7),
                numbers(rows * units, seed + 8),
            ],
        }
    }

    /// The loss, step by step and value by value, as Keras defines the layers.
    fn loss(&self) -> f64 {
        let Sizes { rows, steps, features, units } = self.sizes;
        let [x, kernel, recurrent, bias, h0, c0] = &self.values;
        let act = |v: f64| if self.other { v / (1.0 + v * v).sqrt() } else { v.tanh() };
        let gate = |v: f64| if self.other { 0.5 * (v / (1.0 + v * v).sqrt() + 1.0) } else { 1.0 / (1.0 + (-v).exp()) };
        let width = kernel.len() / features;
        let mut loss = 0.0;
        for row in 0..rows {
            let (mut h, mut c) = (h0[row * units..][..units].to_vec(), c0[row * units..][..units].to_vec());
            for s in 0..steps {
                let t = if self.backwards { steps - 1 - s } else { s };
                let counts = self.mask.as_ref().is_none_or(|mask| mask[row * steps + t]);
                let input = |k: usize| {
                    x[(row * steps + t) * features + k] * self.dropout.as_ref().map_or(1.0, |d| d[row * features + k])
                };
                let seen: Vec<f64> = (0..units)
                    .map(|k| h[k] * self.recurrent_dropout.as_ref().map_or(1.0, |d| d[row * units + k]))
                    .collect();
                let of_x = |j: usize| (0..features).map(|k| input(k) * kernel[k * width + j]).sum::<f64>() + bias[j];
                let of = |h: &[f64], j: usize| (0..units).map(|k| h[k] * recurrent[k * width + j]).sum::<f64>();
                let (mut new_h, mut new_c) = (vec![0.0; units], c.clone());
                for j in 0..units {
                    let sum = |block: usize| of_x(block * units + j) + of(&seen, block * units + j);
                    match self.kind {
                        Kind::Simple => new_h[j] = act(sum(0)),
                        Kind::Lstm => {
                            new_c[j] = gate(sum(1)) * c[j] + gate(sum(0)) * act(sum(2));
                            new_h[j] = gate(sum(3)) * act(new_c[j]);
                        }
                        Kind::Gru { reset_after: true } => {
                            let more = |block: usize| bias[width + block * units + j];
                            let (z, r) = (gate(sum(0) + more(0)), gate(sum(1) + more(1)));
                            let q = of(&seen, 2 * units + j) + more(2);
                            new_h[j] = z * h[j] + (1.0 - z) * act(of_x(2 * units + j) + r * q);
                        }
                        Kind::Gru { reset_after: false } => {
                            let z = gate(sum(0));
                            let reset: Vec<f64> =
                                (0..units).map(|k| gate(of_x(units + k) + of(&seen, units + k)) * seen[k]).collect();
                            new_h[j] = z * h[j] + (1.0 - z) * act(of_x(2 * units + j) + of(&reset, 2 * units + j));
                        }
                    }
                }
                if counts {
                    (h, c) = (new_h, new_c);
                }
                if counts || !self.zero_masked {
                    let weights = &self.weights[0][(row * steps + s) * units..];
                    loss += h.iter().zip(weights).map(|(h, w)| h * w).sum::<f64>();
                }
            }
            loss += h.iter().zip(&self.weights[1][row * units..]).map(|(h, w)| h * w).sum::<f64>();
            if self.kind == Kind::Lstm {
                loss += c.iter().zip(&self.weights[2][row * units..]).map(|(c, w)| c * w).sum::<f64>();
            }
        }
        loss
    }

    /// The loss and its gradients by all values, from the kernels.
    fn kernels<F: Scalar>(&self, cache: &mut Cache<F>) -> (f64, [Vec<f64>; 6]) {
        let sizes = self.sizes;
        let of = |values: &[f64]| values.iter().map(|&v| F::of(v)).collect::<Vec<F>>();
        let values = self.values.each_ref().map(|values| of(values));
        let weights = self.weights.each_ref().map(|values| of(values));
        let (dropout, recurrent_dropout) = (self.dropout.as_deref().map(of), self.recurrent_dropout.as_deref().map(of));
        let [x, kernel, recurrent, bias, h0, c0] = &values;
        let nonlinearities = if self.other { Nonlinearities::Other(&Algebraic, &Step) } else { Nonlinearities::Usual };
        let pass = |keep| SequencePass {
            sizes,
            backwards: self.backwards,
            mask: self.mask.as_deref(),
            dropout: dropout.as_deref(),
            recurrent_dropout: recurrent_dropout.as_deref(),
            nonlinearities,
            keep,
        };
        let params = Weights { kernel, recurrent, bias: Some(bias) };
        let forward = |keep: bool, cache: &mut Cache<F>| {
            let mut y = vec![F::nan(); weights[0].len()];
            let output = Output::Sequence { y: &mut y, zero_masked: self.zero_masked };
            match self.kind {
                Kind::Simple => simple::simple(&pass(keep), &params, x, Some(h0), output, cache),
                Kind::Lstm => lstm::lstm(&pass(keep), &params, x, [Some(h0), Some(c0)], output, cache),
                Kind::Gru { reset_after } => {
                    gru::gru(&pass(keep), reset_after, &params, x, Some(h0), output, cache);
                }
            }
            let dot = |a: &[F], b: &[F]| a.iter().zip(b).map(|(&a, &b)| (a * b).f64()).sum::<f64>();
            let mut loss = dot(&y, &weights[0]) + dot(cache.last_state(sizes, keep), &weights[1]);
            if self.kind == Kind::Lstm {
                loss += dot(cache.last_carry(sizes, keep), &weights[2]);
            }
            loss
        };
        let [without, loss] = [false, true].map(|keep| forward(keep, cache));
        assert!((loss - without).abs() <= F::epsilon().f64() * 100.0, "keeping nothing: {without}, {loss}");
        let mut grads = values.each_ref().map(|values| vec![F::zero(); values.len()]);
        let [grad_x, grad_kernel, grad_recurrent, grad_bias, grad_h, grad_c] = &mut grads;
        let grad = GradOutput {
            sequence: Some(&weights[0]),
            zero_masked: self.zero_masked,
            states: [Some(&weights[1]), Some(&weights[2])],
        };
        // Twice, since gradients of parameters add up, and the second pass finds memory that the first has used.
        for time in 0..2 {
            if time > 0 {
                assert_eq!(forward(true, cache), loss);
            }
            let into = Some(GradWeights { kernel: grad_kernel, recurrent: grad_recurrent, bias: Some(grad_bias) });
            let pass = pass(true);
            match self.kind {
                Kind::Simple => simple::simple_backward(&pass, &params, &grad, into, Some(grad_x), true, cache),
                Kind::Lstm => lstm::lstm_backward(&pass, &params, &grad, into, Some(grad_x), true, cache),
                Kind::Gru { reset_after } => {
                    gru::gru_backward(&pass, reset_after, &params, &grad, into, Some(grad_x), true, cache);
                }
            }
        }
        grad_h.copy_from_slice(cache.grad_state());
        if self.kind == Kind::Lstm {
            grad_c.copy_from_slice(cache.grad_carry());
        }
        for grad in [grad_kernel, grad_recurrent, grad_bias] {
            for g in grad {
                *g *= F::of(0.5);
            }
        }
        (loss, grads.map(|grad| grad.iter().map(|g| g.f64()).collect()))
    }

    fn check(&self, cache: &mut Cache<f64>, narrow: &mut Cache<f32>) {
        let what = |name: &str| format!("{name} of {:?}, {:?}, case {:?}", self.kind, self.sizes, self.case());
        let (loss, grads) = self.kernels(cache);
        assert!((loss - self.loss()).abs() < 1e-10, "{}: {loss}, not {}", what("the loss"), self.loss());
        let names = ["x", "kernel", "recurrent kernel", "bias", "initial state", "initial carry"];
        for (number, (name, grad)) in names.iter().zip(&grads).enumerate() {
            for at in (0..grad.len()).step_by(1 + grad.len() / 6) {
                let mut moved = self.clone();
                let mut at_distance = |by: f64| {
                    moved.values[number][at] = self.values[number][at] + by;
                    moved.loss()
                };
                // Four points: their error goes with the fifth derivative.
                let h = 3e-4;
                let near = at_distance(h) - at_distance(-h);
                let want = (8.0 * near - (at_distance(2.0 * h) - at_distance(-2.0 * h))) / (12.0 * h);
                assert!(
                    (grad[at] - want).abs() < 1e-6 * (1.0 + want.abs()),
                    "{}[{at}]: {}, not {want}",
                    what(name),
                    grad[at]
                );
            }
        }
        let (loss_32, grads_32) = self.kernels(narrow);
        assert!((loss - loss_32).abs() < 1e-3 * (1.0 + loss.abs()), "{}: {loss_32} in f32", what("the loss"));
        for ((name, grad), grad_32) in names.iter().zip(&grads).zip(&grads_32) {
            let most = grad.iter().fold(1.0f64, |most, g| most.max(g.abs()));
            let error = grad.iter().zip(grad_32).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(error < 1e-4 * most, "{}: {error} off in f32", what(name));
        }
    }

    fn case(&self) -> [bool; 5] {
        [self.mask.is_some(), self.backwards, self.zero_masked, self.other, self.dropout.is_some()]
    }
}

#[test]
fn values_and_gradients_are_those_of_a_plain_twin() {
    let sizes = [
        Sizes { rows: 1, steps: 1, features: 1, units: 1 },
        Sizes { rows: 3, steps: 4, features: 2, units: 3 },
        Sizes { rows: 5, steps: 3, features: 7, units: 17 },
        Sizes { rows: 2, steps: 70, features: 1, units: 2 },
    ];
    let kinds = [Kind::Simple, Kind::Lstm, Kind::Gru { reset_after: true }, Kind::Gru { reset_after: false }];
    on_every_isa(|_| {
        for kind in kinds {
            // One memory for all: what lies in it from sizes before must not matter.
            let (mut cache, mut narrow) = (Cache::default(), Cache::default());
            for sizes in sizes {
                for case in 0..32 {
                    if sizes.steps < 10 || case % 5 == 0 {
                        Problem::new(kind, sizes, case).check(&mut cache, &mut narrow);
                    }
                }
            }
        }
    });
}

#[test]
fn a_row_without_a_step_that_counts_keeps_its_state() {
    for kind in [Kind::Simple, Kind::Lstm, Kind::Gru { reset_after: true }] {
        let sizes = Sizes { rows: 2, steps: 3, features: 2, units: 3 };
        let mut problem = Problem::new(kind, sizes, 0);
        problem.mask = Some(vec![false; 6]);
        problem.check(&mut Cache::default(), &mut Cache::default());
        let mut cache = Cache::default();
        problem.kernels::<f64>(&mut cache);
        assert_eq!(cache.last_state(sizes, true), &problem.values[4]);
    }
}
