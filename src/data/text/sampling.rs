//! Drawing the next token.

use rand::Rng;

use crate::random::{Philox, rng};
use crate::{Error, Result, Scalar};

/// Draws from a distribution over tokens, made sharper or flatter by a temperature, among the k likeliest.
///
/// p(i) = exp(lᵢ / T) / Σⱼ exp(lⱼ / T) over the `top_k` largest lⱼ, of which equal ones count in their order; at T = 0
/// the largest is taken. l are logarithms of probabilities, or logits: a constant added to all changes nothing.
///
/// # Defaults
/// `temperature` 1, `top_k` none: all. The same seed draws the same tokens.
/// # Errors
/// [`sample`](Self::sample) refuses a temperature below 0 or not finite, a `top_k` of 0, no tokens at all, NaN or +∞ among
/// them, and tokens that are all impossible (−∞).
/// # Example
/// ```
/// use gradus::data::text::Sampler;
///
/// let probabilities = [0.1f32, 0.6, 0.3];
/// let logarithms = probabilities.map(f32::ln);
/// let mut sampler = Sampler::new(42).temperature(0.5).top_k(2);
/// let drawn = sampler.sample(&logarithms)?;
/// assert!(drawn == 1 || drawn == 2);
/// assert_eq!(Sampler::new(0).temperature(0.0).sample(&logarithms)?, 1);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Top-k: Fan, Lewis, Dauphin, *Hierarchical neural story generation*, 2018.
#[derive(Clone, Debug)]
pub struct Sampler {
    temperature: f64,
    top_k: Option<usize>,
    rng: Philox,
}

impl Sampler {
    /// At temperature 1, among all tokens.
    pub fn new(seed: u64) -> Self {
        Self { temperature: 1.0, top_k: None, rng: rng(seed, "sampler") }
    }

    /// Below 1 the likely tokens become likelier, above 1 the unlikely ones. Default: 1.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// How many of the likeliest tokens are drawn from. Default: all.
    pub fn top_k(mut self, top_k: impl Into<Option<usize>>) -> Self {
        self.top_k = top_k.into();
        self
    }

    /// A token, drawn by the logarithms of their probabilities, or by logits.
    ///
    /// # Errors
    /// See [`Sampler`].
    pub fn sample<F: Scalar>(&mut self, logarithms: &[F]) -> Result<usize> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::option("temperature", "a number not below 0", self.temperature));
        }
        if self.top_k == Some(0) {
            return Err(Error::option("top_k", "at least 1", 0));
        }
        if let Some(at) = logarithms.iter().position(|l| l.is_nan() || *l == F::infinity()) {
            let received = format!("{} at {at}", logarithms[at].f64());
            return Err(Error::data("sample", "logarithms of probabilities", received));
        }
        let mut likeliest: Vec<usize> = (0..logarithms.len()).filter(|&i| logarithms[i] > F::neg_infinity()).collect();
        let logarithm = |i: usize| logarithms[i].f64();
        likeliest.sort_by(|&a, &b| logarithm(b).total_cmp(&logarithm(a)));
        let Some(&best) = likeliest.first() else {
            let received = format!("{} tokens, none of them possible", logarithms.len());
            return Err(Error::data("sample", "at least one possible token", received));
        };
        if self.temperature == 0.0 {
            return Ok(best);
        }
        likeliest.truncate(self.top_k.unwrap_or(usize::MAX));
        // Relative to the largest, so that nothing overflows.
        let weight = |i: usize| ((logarithm(i) - logarithm(best)) / self.temperature).exp();
        let total: f64 = likeliest.iter().map(|&i| weight(i)).sum();
        let mut left = self.rng.random::<f64>() * total;
        for &i in &likeliest {
            left -= weight(i);
            if left < 0.0 {
                return Ok(i);
            }
        }
        // Rounding alone leads here.
        Ok(best)
    }
}
