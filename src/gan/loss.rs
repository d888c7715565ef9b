//! What discriminator and generator are trained on.

use crate::{Error, Result, Scalar};

/// The losses of the two networks, of a discriminator's scores s(x) of real and s(G(z)) of made samples.
///
/// With σ the sigmoid, ζ(s) = ln(1 + eˢ), H(s, t) = ζ(s) − t·s the cross-entropy of a logit s, and r the label of real
/// samples; all are means over the batch.
///
/// | | discriminator | generator | ∂/∂s(x) | ∂/∂s(G(z)) | the generator's |
/// | --- | --- | --- | --- | --- | --- |
/// | `Minimax` | H(s(x), r) + H(s(G(z)), 0) | ln(1 − σ(s)) = −ζ(s) | σ − r | σ | −σ |
/// | `NonSaturating` | the same | −ln σ(s) = H(s, 1) | σ − r | σ | σ − 1 |
/// | `LeastSquares` | ½(s(x) − r)² + ½s(G(z))² | ½(s − 1)² | s − r | s | s − 1 |
/// | `Hinge` | max(0, 1 − s(x)) + max(0, 1 + s(G(z))) | −s | −1 where s < 1 | 1 where s > −1 | −1 |
/// | `Wasserstein` | s(G(z)) − s(x) | −s | −1 | 1 | −1 |
///
/// # Source
/// Goodfellow et al. (2014), "Generative Adversarial Networks", for the first two; Mao et al. (2017), "Least Squares
/// Generative Adversarial Networks"; Lim & Ye (2017), "Geometric GAN"; Arjovsky et al. (2017), "Wasserstein GAN".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GanLoss {
    /// The game as first written down: the generator lowers ln(1 − D(G(z))), whose derivative vanishes while it is bad.
    Minimax,
    /// The generator raises ln D(G(z)) instead.
    #[default]
    NonSaturating,
    /// Distances from the labels.
    LeastSquares,
    /// A margin of 1 on both sides; needs a discriminator that is smooth
    /// ([`SpectralNormalization`](crate::models::SpectralNormalization)).
    Hinge,
    /// The distance that earth is moved; needs a discriminator held to bounded gradients: weight clipping, or spectral
    /// normalization.
    Wasserstein,
}

fn softplus(s: f64) -> f64 {
    s.max(0.0) + (-s.abs()).exp().ln_1p()
}

fn sigmoid(s: f64) -> f64 {
    s.sigmoid()
}

/// A value and its derivative.
type Point = (f64, f64);

impl GanLoss {
    /// Whether scores are logits of a probability.
    pub(super) fn has_probabilities(self) -> bool {
        matches!(self, Self::Minimax | Self::NonSaturating)
    }

    /// What D(·) is in a history: the probability of being real, or the score itself.
    pub(super) fn shown(self, score: f64) -> f64 {
        if self.has_probabilities() { sigmoid(score) } else { score }
    }

    /// Refuses a label of real samples that the loss has no use for.
    pub(super) fn check_real_label(self, label: f64) -> Result<()> {
        let uses = self.has_probabilities() || self == Self::LeastSquares;
        match label {
            1.0 => Ok(()),
            _ if !uses => Err(Error::option("real_label", format!("1 with {self:?}, which has no labels"), label)),
            _ if label > 0.0 && label <= 1.0 => Ok(()),
            _ => Err(Error::option("real_label", "above 0 and at most 1", label)),
        }
    }

    fn of_real(self, s: f64, label: f64) -> Point {
        match self {
            Self::Minimax | Self::NonSaturating => (softplus(s) - label * s, sigmoid(s) - label),
            Self::LeastSquares => (0.5 * (s - label) * (s - label), s - label),
            Self::Hinge => ((1.0 - s).max(0.0), if s < 1.0 { -1.0 } else { 0.0 }),
            Self::Wasserstein => (-s, -1.0),
        }
    }

    fn of_made(self, s: f64) -> Point {
        match self {
            Self::Minimax | Self::NonSaturating => (softplus(s), sigmoid(s)),
            Self::LeastSquares => (0.5 * s * s, s),
            Self::Hinge => ((1.0 + s).max(0.0), if s > -1.0 { 1.0 } else { 0.0 }),
            Self::Wasserstein => (s, 1.0),
        }
    }

    fn of_generator(self, s: f64) -> Point {
        match self {
            Self::Minimax => (-softplus(s), -sigmoid(s)),
            Self::NonSaturating => (softplus(-s), sigmoid(s) - 1.0),
            Self::LeastSquares => (0.5 * (s - 1.0) * (s - 1.0), s - 1.0),
            Self::Hinge | Self::Wasserstein => (-s, -1.0),
        }
    }

    /// The discriminator's loss of scores of real samples; `grad` ← its gradient.
    pub fn real<F: Scalar>(self, scores: &[F], real_label: f64, grad: &mut [F]) -> f64 {
        mean(scores, grad, |s| self.of_real(s, real_label))
    }

    /// The discriminator's loss of scores of made samples; `grad` ← its gradient.
    pub fn made<F: Scalar>(self, scores: &[F], grad: &mut [F]) -> f64 {
        mean(scores, grad, |s| self.of_made(s))
    }

    /// The generator's loss of the scores of what it made; `grad` ← its gradient.
    ///
    /// ```
    /// use gradus::gan::GanLoss;
    /// let mut grad = [0.0f64; 2];
    /// let loss = GanLoss::NonSaturating.generator(&[0.0, 0.0], &mut grad);
    /// assert_eq!(loss, 2f64.ln());
    /// assert_eq!(grad, [-0.25, -0.25]); // (σ(0) − 1) / 2
    /// ```
    pub fn generator<F: Scalar>(self, scores: &[F], grad: &mut [F]) -> f64 {
        mean(scores, grad, |s| self.of_generator(s))
    }
}

/// The mean of a function of each score; `grad` ← the mean's gradient.
fn mean<F: Scalar>(scores: &[F], grad: &mut [F], point: impl Fn(f64) -> Point) -> f64 {
    let count = scores.len() as f64;
    let mut sum = 0.0;
    for (score, grad) in scores.iter().zip(grad) {
        let (value, derivative) = point(score.f64());
        sum += value;
        *grad = F::of(derivative / count);
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [GanLoss; 5] =
        [GanLoss::Minimax, GanLoss::NonSaturating, GanLoss::LeastSquares, GanLoss::Hinge, GanLoss::Wasserstein];

    #[test]
    fn slopes_are_those_of_the_values() {
        for loss in LOSSES {
            let functions: [&dyn Fn(f64) -> Point; 3] =
                [&|s| loss.of_real(s, 1.0), &|s| loss.of_made(s), &|s| loss.of_generator(s)];
            for function in functions {
                for s in [-30.0, -2.5, -0.3, 0.4, 1.7, 40.0] {
                    let derivative = (function(s + 1e-5).0 - function(s - 1e-5).0) / 2e-5;
                    assert!(
                        (derivative - function(s).1).abs() < 1e-7,
                        "{loss:?} at {s}: {derivative}, not {}",
                        function(s).1
                    );
                }
            }
        }
    }

    #[test]
    fn extreme_scores_give_finite_losses() {
        for loss in LOSSES {
            let mut grad = [0.0f32; 2];
            for value in [
                loss.real(&[-1e3f32, 1e3], 1.0, &mut grad),
                loss.made(&[-1e3f32, 1e3], &mut grad),
                loss.generator(&[-1e3f32, 1e3], &mut grad),
            ] {
                assert!(value.is_finite() && grad.iter().all(|g| g.is_finite()), "{loss:?}");
            }
        }
    }
}
