//! Muon.

use super::adam::{adam_step, check_adam};
use super::spans::SPAN;
use super::update::zeros_like;
use super::{Optimizer, Parameter, StateSpec, Update, at_least_zero, in_unit_range, optimizer_options, shared_methods};
use crate::kernels::gemm::{Matrix, Start, gemm};
use crate::kernels::optimizer::{self as kernels, MuonStep};
use crate::{Error, Result, Scalar, parallel};

optimizer_options! {
    /// Muon: matrices go in steps that are orthogonal matrices, as far in every direction; all else as by [`AdamW`](super::AdamW).
    ///
    /// For a matrix (n, m): M ← μ·M + G, O ≈ U·Vᵀ of G + μ·M = U·S·Vᵀ (without `nesterov` of M), by `ns_steps`
    /// Newton–Schulz iterations X ← a·X + (b·A + c·A²)·X, A = X·Xᵀ, and W ← W − rate·`rms_rate`·√max(n, m)·O.
    ///
    /// Adam's way go parameters that do not have two axes (biases, kernels of convolutions), those with `embedding` in their
    /// path unless `exclude_embeddings` is false, and those of `exclude_layers`: name the last dense layer there.
    ///
    /// # Defaults
    /// `learning_rate` 0.001, `weight_decay` 0.004, `adam_weight_decay` 0.004, `adam_beta_1` 0.9, `adam_beta_2` 0.999, `epsilon`
    /// 10⁻⁷, `adam_lr_ratio` 1, `exclude_layers` none, `exclude_embeddings` true, `muon_a` 3.4445, `muon_b` −4.775,
    /// `muon_c` 2.0315, `momentum` 0.95, `ns_steps` 5, `nesterov` true, `rms_rate` 0.2.
    /// # Errors
    /// When compiled: a negative or infinite rate, ratio or decay, a beta outside 0..1, a momentum outside 0..=1, an epsilon
    /// that is not above 0, a word of `exclude_layers` that is a regular expression.
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let model = Sequential::new()
    ///     .input([28, 28])
    ///     .add(Flatten::new())
    ///     .add(Dense::new(128).activation(Relu))
    ///     .add(Dense::new(10).activation(Softmax).name("output"))
    ///     .compile(SparseCategoricalCrossentropy::new(), Muon::new().exclude_layers(["output"]))
    ///     .build()?;
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>; Liu et al. 2025, arXiv 2502.16982; Keras `Muon`.
    #[allow(clippy::struct_field_names)] // Keras's names
    pub struct Muon, learning_rate: 0.001, weight_decay: Some(0.004), {
        /// How slowly Adam's mean of the gradient moves. Default: 0.9.
        adam_beta_1: f64 = 0.9,
        /// How slowly Adam's mean of its square moves. Default: 0.999.
        adam_beta_2: f64 = 0.999,
        /// The weight decay of the parameters that go Adam's way. Default: 0.004.
        adam_weight_decay: Option<f64> = Some(0.004) => |decay: impl Into<Option<f64>>| decay.into(),
        /// Keeps Adam's step finite. Default: 10⁻⁷.
        epsilon: f64 = 1e-7,
        /// Words in the paths of parameters (`dense_1/kernel`) that go Adam's way; `^` before a word holds it to the start
        /// of the path, `$` behind it to the end. Default: none.
        exclude_layers: Option<Vec<String>> = None => |words: impl IntoIterator<Item = impl Into<String>>| {
            Some(words.into_iter().map(Into::into).collect())
        },
        /// Whether parameters with `embedding` in their path go Adam's way. Default: true.
        exclude_embeddings: bool = true,
        /// a of the iteration. Default: 3.4445.
        muon_a: f64 = 3.4445,
        /// b of the iteration. Default: −4.775.
        muon_b: f64 = -4.775,
        /// c of the iteration. Default: 2.0315.
        muon_c: f64 = 2.0315,
        /// What the rate is multiplied by on Adam's way. Default: 1.
        adam_lr_ratio: f64 = 1.0,
        /// The share of the old momentum. Default: 0.95.
        momentum: f64 = 0.95,
        /// How many iterations. Default: 5.
        ns_steps: usize = 5,
        /// Whether the gradient looks ahead of the momentum. Default: true.
        nesterov: bool = true,
        /// The root mean square of an update, so that Adam's rates and decays fit; none leaves the matrix orthogonal.
        /// Default: 0.2.
        rms_rate: Option<f64> = Some(0.2) => |rate: impl Into<Option<f64>>| rate.into(),
    }
}

impl Muon {
    /// Whether a parameter goes Adam's way.
    fn goes_as_adam(&self, parameter: &Parameter<'_>) -> bool {
        let named = |word: &String| occurs(word, parameter.path);
        parameter.shape.len() != 2
            || self.exclude_embeddings && parameter.path.to_lowercase().contains("embedding")
            || self.exclude_layers.iter().flatten().any(named)
    }
}

/// Whether a word of `exclude_layers` is in a path.
fn occurs(word: &str, path: &str) -> bool {
    match (word.strip_prefix('^'), word.strip_suffix('$')) {
        (None, None) => path.contains(word),
        (Some(start), None) => path.starts_with(start),
        (None, Some(end)) => path.ends_with(end),
        (Some(start), Some(_)) => start.strip_suffix('$') == Some(path),
    }
}

/// Weights, their gradient, and Adam's means.
type Run<'a, F> = (&'a mut [F], &'a [F], [&'a mut [F]; 2]);

/// The first `len` weights with all that belongs to them, and the others.
fn cut<F>((w, g, [m, v]): Run<'_, F>, len: usize) -> (Run<'_, F>, Run<'_, F>) {
    let ((w, w_rest), (g, g_rest)) = (w.split_at_mut(len), g.split_at(len));
    let ((m, m_rest), (v, v_rest)) = (m.split_at_mut(len), v.split_at_mut(len));
    ((w, g, [m, v]), (w_rest, g_rest, [m_rest, v_rest]))
}

/// Products smaller than this are not worth a second thread.
const PIECE: usize = 1 << 20;

/// c = a·b or c += a·b, parts of its rows in parallel. Where it is cut depends on its size alone.
fn product<F: Scalar>(a: Matrix<'_, F>, b: Matrix<'_, F>, start: Start<'_, F>, c: &mut [F]) {
    let ([rows, inner], [_, cols]) = (a.shape(), b.shape());
    let least = PIECE.div_ceil(inner * cols);
    parallel::in_pieces(
        (a, c),
        rows,
        least,
        |(a, c), row| {
            let ((above, below), (c_above, c_below)) = (a.split_at_row(row), c.split_at_mut(row * cols));
            ((above, c_above), (below, c_below))
        },
        &|(a, c)| gemm(a, b, start, c, cols),
    );
}

/// More Newton–Schulz steps would take an update for ever, and tell nothing.
const MOST_STEPS: usize = 10_000;

impl<F: Scalar> Optimizer<F> for Muon {
    shared_methods!();

    fn update(&self, update: &mut Update<'_, F>) {
        if update.weights.is_empty() {
            return;
        }
        if update.state.len() == 2 {
            let betas = [self.adam_beta_1, self.adam_beta_2];
            let numbers = adam_step(update.rate * self.adam_lr_ratio, update.step, betas, self.epsilon);
            let (whole, len) = ((&mut *update.weights, update.gradient, update.state.arrays()), update.gradient.len());
            return parallel::in_pieces(whole, len, SPAN, cut, &|(w, g, [m, v])| kernels::adam(w, g, m, v, numbers));
        }
        let [rows, cols] = *update.shape else { unreachable!("parameters of other ranks go Adam's way") };
        let adjusted = self.rms_rate.map_or(1.0, |rate| (rows.max(cols) as f64).sqrt() * rate);
        let numbers = MuonStep {
            rate: F::of(update.rate * adjusted),
            momentum: F::of(self.momentum),
            nesterov: self.nesterov,
            coefficients: [self.muon_a, self.muon_b, self.muon_c].map(F::of),
            iterations: self.ns_steps,
        };
        let (w, g, m) = (&mut *update.weights, update.gradient, update.state.at_mut(0));
        kernels::muon(w, g, m, [rows, cols], numbers, update.scratch, product);
    }

    fn state(&self, parameter: &Parameter<'_>) -> Vec<StateSpec> {
        let names: &[&str] = if self.goes_as_adam(parameter) { &["momentum", "velocity"] } else { &["momentum"] };
        zeros_like(names, parameter)
    }

    fn scratch(&self, parameter: &Parameter<'_>) -> usize {
        match *parameter.shape {
            [rows, cols] if !self.goes_as_adam(parameter) => kernels::muon_scratch(rows, cols),
            _ => 0,
        }
    }

    fn weight_decay(&self, parameter: &Parameter<'_>) -> Option<f64> {
        if self.goes_as_adam(parameter) { self.adam_weight_decay } else { self.weight_decay }
    }

    fn couples_weights(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        check_adam([("adam_beta_1", self.adam_beta_1), ("adam_beta_2", self.adam_beta_2)], self.epsilon)?;
        in_unit_range("momentum", self.momentum)?;
        if self.ns_steps > MOST_STEPS {
            return Err(Error::option("ns_steps", format!("at most {MOST_STEPS}"), self.ns_steps));
        }
        let numbers = [
            ("adam_lr_ratio", Some(self.adam_lr_ratio)),
            ("adam_weight_decay", self.adam_weight_decay),
            ("rms_rate", self.rms_rate),
        ];
        for (option, value) in numbers.into_iter().filter_map(|(option, value)| Some((option, value?))) {
            at_least_zero(option, value)?;
        }
        for (option, value) in [("muon_a", self.muon_a), ("muon_b", self.muon_b), ("muon_c", self.muon_c)] {
            if !value.is_finite() {
                return Err(Error::option(option, "a finite number", value));
            }
        }
        for word in self.exclude_layers.iter().flatten() {
            let inner = word.strip_prefix('^').unwrap_or(word);
            let inner = inner.strip_suffix('$').unwrap_or(inner);
            if inner.contains(|letter| "\\.^$*+?()[]{}|".contains(letter)) {
                let expected =
                    "words without the signs of regular expressions, but for ^ at the start and $ at the end";
                return Err(Error::option("exclude_layers", expected, format!("`{word}`")));
            }
        }
        Ok(())
    }
}
