//! Connectionist temporal classification: how likely frames of class probabilities are to spell a sequence of labels.
//!
//! A path gives each frame a class; reading it, repeats are dropped, then blanks. Paths that spell the labels go through
//! the states −, l₁, −, l₂, …, l_L, − (− the blank), from one of the first two to one of the last two, and from a state
//! stay, go one on, or two on where that skips a blank between unlike labels. With e(s) the class of a state, ln y the
//! frames' log-probabilities, and sums over the states before or after s:
//!
//! ```text
//! α₀(0) = y₀(−), α₀(1) = y₀(l₁)          αₜ(s) = yₜ(e(s)) · Σ αₜ₋₁(before s)
//! β(last two) = 1 at the end              βₜ(s) = Σ yₜ₊₁(e(s′)) · βₜ₊₁(s′), s′ after s
//! P = α(last) + α(last but one)           v = −ln P
//! ∂v/∂zₜ(c) = yₜ(c) − Σ over states of class c of αₜ(s)βₜ(s)/P
//! ```
//!
//! All of it in logarithms and in `f64`: P is far below the smallest `f32` after a few hundred frames.

use crate::Scalar;

/// Room for the states of one sample, used over and over.
#[derive(Debug, Default)]
pub struct Lattice {
    log_y: Vec<f64>,
    alpha: Vec<f64>,
    beta: [Vec<f64>; 2],
    /// Σ of ln(αβ) of the states of each class, in one frame.
    mass: Vec<f64>,
}

/// What one sample's frames are to spell.
#[derive(Clone, Copy, Debug)]
pub struct Spelling<'a> {
    /// The labels, none of them the blank.
    pub labels: &'a [usize],
    /// The class of the blank.
    pub blank: usize,
    /// How many classes a frame has.
    pub classes: usize,
}

impl Spelling<'_> {
    fn states(&self) -> usize {
        2 * self.labels.len() + 1
    }

    fn class(&self, state: usize) -> usize {
        if state.is_multiple_of(2) { self.blank } else { self.labels[state / 2] }
    }

    /// Whether a path may come to `state` from two before it.
    fn skips(&self, state: usize) -> bool {
        state % 2 == 1 && state >= 3 && self.class(state) != self.class(state - 2)
    }
}

/// ln(eᵃ + eᵇ).
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

impl Lattice {
    /// −ln P of the logits `z`, frames of classes; infinite if the frames are too few for the labels.
    pub fn value<F: Scalar>(&mut self, spelling: Spelling<'_>, z: &[F]) -> f64 {
        self.read(spelling.classes, z);
        -self.forward(spelling)
    }

    /// grad_z ← w·∂v/∂z; NaN if the frames are too few for the labels. Gives v.
    pub fn gradient<F: Scalar>(&mut self, spelling: Spelling<'_>, z: &[F], w: F, grad_z: &mut [F]) -> f64 {
        self.read(spelling.classes, z);
        let log_p = self.forward(spelling);
        self.backward(spelling, log_p, |at, derivative| grad_z[at] = w * F::of(derivative));
        -log_p
    }

    /// ln y = z − ln Σ exp z of each frame.
    fn read<F: Scalar>(&mut self, classes: usize, z: &[F]) {
        self.log_y.clear();
        for frame in z.chunks_exact(classes) {
            let most = frame.iter().fold(f64::NEG_INFINITY, |most, z| most.max(z.f64()));
            let sum: f64 = frame.iter().map(|z| (z.f64() - most).exp()).sum();
            self.log_y.extend(frame.iter().map(|z| z.f64() - most - sum.ln()));
        }
    }

    /// Fills `alpha`, frames of states; gives ln P.
    fn forward(&mut self, spelling: Spelling<'_>) -> f64 {
        let states = spelling.states();
        let frames = self.log_y.len() / spelling.classes;
        self.alpha.clear();
        self.alpha.resize(frames * states, f64::NEG_INFINITY);
        for frame in 0..frames {
            let log_y = &self.log_y[frame * spelling.classes..];
            let (before, now) = self.alpha.split_at_mut(frame * states);
            let before = before.get(before.len().saturating_sub(states)..).unwrap_or(&[]);
            for (state, now) in now[..states].iter_mut().enumerate() {
                let come = match frame {
                    0 if state < 2 => 0.0,
                    0 => f64::NEG_INFINITY,
                    _ => {
                        let mut come = before[state];
                        if state >= 1 {
                            come = log_add(come, before[state - 1]);
                        }
                        if spelling.skips(state) {
                            come = log_add(come, before[state - 2]);
                        }
                        come
                    }
                };
                *now = come + log_y[spelling.class(state)];
            }
        }
        let last = &self.alpha[(frames - 1) * states..];
        if states == 1 { last[0] } else { log_add(last[states - 1], last[states - 2]) }
    }

    /// Calls `put(place in z, derivative)` for every logit, from the last frame to the first.
    fn backward(&mut self, spelling: Spelling<'_>, log_p: f64, mut put: impl FnMut(usize, f64)) {
        let (states, classes) = (spelling.states(), spelling.classes);
        let frames = self.log_y.len() / classes;
        let [now, after] = &mut self.beta;
        for beta in [&mut *now, &mut *after] {
            beta.clear();
            beta.resize(states, f64::NEG_INFINITY);
        }
        for frame in (0..frames).rev() {
            for (state, now) in now.iter_mut().enumerate() {
                *now = if frame + 1 == frames {
                    if state + 2 >= states { 0.0 } else { f64::NEG_INFINITY }
                } else {
                    let log_y = &self.log_y[(frame + 1) * classes..];
                    let go = |to: usize| after[to] + log_y[spelling.class(to)];
                    let mut sum = go(state);
                    if state + 1 < states {
                        sum = log_add(sum, go(state + 1));
                    }
                    if state + 2 < states && spelling.skips(state + 2) {
                        sum = log_add(sum, go(state + 2));
                    }
                    sum
                };
            }
            self.mass.clear();
            self.mass.resize(classes, f64::NEG_INFINITY);
            for (state, (alpha, beta)) in self.alpha[frame * states..].iter().zip(&*now).enumerate() {
                let mass = &mut self.mass[spelling.class(state)];
                *mass = log_add(*mass, alpha + beta);
            }
            for class in 0..classes {
                let at = frame * classes + class;
                put(at, self.log_y[at].exp() - (self.mass[class] - log_p).exp());
            }
            std::mem::swap(now, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path through the frames that spells the labels, one by one.
    fn by_hand(spelling: Spelling<'_>, y: &[f64]) -> f64 {
        let frames = y.len() / spelling.classes;
        let paths = spelling.classes.pow(u32::try_from(frames).unwrap());
        let mut sum = 0.0;
        for path in 0..paths {
            let (mut rest, mut product, mut spelt, mut before) = (path, 1.0, Vec::new(), None);
            for frame in 0..frames {
                let class = rest % spelling.classes;
                rest /= spelling.classes;
                product *= y[frame * spelling.classes + class];
                if class != spelling.blank && before != Some(class) {
                    spelt.push(class);
                }
                before = Some(class);
            }
            if spelt == spelling.labels {
                sum += product;
            }
        }
        -sum.ln()
    }

    #[test]
    fn the_sum_over_all_paths() {
        let z: Vec<f64> = (0..15).map(|i| f64::from(i * 7 % 5) * 0.3 - 0.5).collect();
        let y: Vec<f64> = z
            .chunks(3)
            .flat_map(|frame| {
                let sum: f64 = frame.iter().map(|z| z.exp()).sum();
                frame.iter().map(move |z| z.exp() / sum).collect::<Vec<_>>()
            })
            .collect();
        let mut lattice = Lattice::default();
        for blank in [0, 2] {
            for labels in [&[][..], &[1], &[1, 1], &[1, 1, 1]] {
                let spelling = Spelling { labels, blank, classes: 3 };
                let (got, want) = (lattice.value(spelling, &z), by_hand(spelling, &y));
                assert!((got - want).abs() < 1e-12, "{labels:?} with blank {blank}: {got} instead of {want}");
            }
        }
        // Three equal labels need two blanks between them.
        let spelling = Spelling { labels: &[1, 1, 1], blank: 0, classes: 3 };
        assert_eq!(lattice.value(spelling, &z[..12]), f64::INFINITY);
    }
}
