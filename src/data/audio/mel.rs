//! The mel scale: pitch as it is heard, and filters that are evenly spaced on it.

use ndarray::Array2;

use super::{at_least_one, positive};
use crate::config::{options, words};
use crate::memory::room;
use crate::{Error, Result, Scalar};

/// Which formula turns frequencies f, in Hertz, into mels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MelScale {
    /// 2595·log₁₀(1 + f / 700), as in HTK, TensorFlow and Keras.
    #[default]
    Htk,
    /// f·3 / 200 up to 1000 Hz, above 15 + 27·log(f / 1000) / log 6.4, as in Slaney's Auditory Toolbox and librosa.
    Slaney,
}

words!(MelScale: Htk = "htk", Slaney = "slaney");

/// Where the straight part of [`MelScale::Slaney`] ends, in Hertz and in mels.
const BEND: [f64; 2] = [1000.0, 15.0];

impl MelScale {
    /// Hertz in mels.
    ///
    /// ```
    /// use gradus::data::audio::MelScale;
    ///
    /// assert_eq!(MelScale::Slaney.mel(200.0), 3.0);
    /// assert!((MelScale::Htk.hertz(MelScale::Htk.mel(440.0)) - 440.0).abs() < 1e-9);
    /// ```
    pub fn mel(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz < BEND[0] => hertz * 3.0 / 200.0,
            Self::Slaney => BEND[1] + (hertz / BEND[0]).ln() * 27.0 / 6.4f64.ln(),
        }
    }

    /// Mels in Hertz.
    pub fn hertz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10.0f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < BEND[1] => mel * 200.0 / 3.0,
            Self::Slaney => BEND[0] * ((mel - BEND[1]) * 6.4f64.ln() / 27.0).exp(),
        }
    }
}

/// How high the triangles of a filter bank are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MelNorm {
    /// Their peaks are 1.
    #[default]
    Peak,
    /// Their areas over the frequencies are 1: the triangle from a to c Hertz is multiplied by 2 / (c − a).
    Slaney,
}

words!(MelNorm: Peak = "peak", Slaney = "slaney");

options! {
    /// Triangles over the bins of a spectrum, their corners evenly spaced on the mel scale: each begins where the one
    /// before has its peak, and ends where the one after has it.
    ///
    /// A bin of frequency f weighs max(0, min((f − a) / (b − a), (c − f) / (c − b))) in the triangle a, b, c. The sides
    /// are straight over Hertz; those of [`linear_to_mel_weight_matrix`] over mels.
    ///
    /// # Shapes
    /// A matrix (⌊`fft_length` / 2⌋ + 1, `num_mel_bins`): spectra (pieces, bins) times it are mel spectra. librosa's is
    /// its transpose.
    /// # Defaults
    /// `num_mel_bins` 128, `min_freq` 0, `max_freq` half the sampling rate, `scale` and `norm` Slaney's.
    /// # Errors
    /// A rate that is not positive, a length or count of 0, frequencies that are not 0 ≤ `min_freq` < `max_freq`.
    /// # Example
    /// ```
    /// use gradus::data::audio::{MelFilterbank, MelNorm, MelScale, STFT, power_to_db};
    /// use gradus::prelude::*;
    ///
    /// let noise = Array1::from_shape_fn(4000, |t| ((t * t) as f64).sin());
    /// let filters = MelFilterbank::new(8000.0, 512).num_mel_bins(26).matrix()?;
    /// let mel = STFT::new(512, 128, 512).power(&noise)?.dot(&filters);
    /// assert_eq!(power_to_db(&mel, 1.0, 1e-10, 80.0)?.dim(), (32, 26));
    /// // As torchaudio's `melscale_fbanks` by default.
    /// let torch = MelFilterbank::new(8000.0, 512).scale(MelScale::Htk).norm(MelNorm::Peak);
    /// assert_eq!(torch.matrix::<f64>()?.dim(), (257, 128));
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// `librosa.filters.mel`; `torchaudio.functional.melscale_fbanks`.
    pub struct MelFilterbank(
        /// Samples a second.
        sampling_rate: f64,
        /// Samples of a piece of the Fourier transform.
        fft_length: usize,
    ) {
        /// How many triangles. Default: 128.
        num_mel_bins: usize = 128,
        /// Where the first begins, in Hertz. Default: 0.
        min_freq: f64 = 0.0,
        /// Where the last ends, in Hertz. Default: half the sampling rate.
        max_freq: Option<f64> = None => |frequency: impl Into<Option<f64>>| frequency.into(),
        /// The formula of the scale. Default: Slaney's.
        scale: MelScale = MelScale::Slaney,
        /// How high the triangles are. Default: Slaney's, of area 1.
        norm: MelNorm = MelNorm::Slaney,
    }
}

impl MelFilterbank {
    /// The matrix.
    ///
    /// # Errors
    /// See [`MelFilterbank`].
    pub fn matrix<F: Scalar>(&self) -> Result<Array2<F>> {
        positive("sampling_rate", self.sampling_rate)?;
        at_least_one("fft_length", self.fft_length)?;
        at_least_one("num_mel_bins", self.num_mel_bins)?;
        check_room(self.num_mel_bins, self.fft_length / 2 + 1)?;
        let max_freq = self.max_freq.unwrap_or(self.sampling_rate / 2.0);
        check_range(["min_freq", "max_freq"], [self.min_freq, max_freq], f64::INFINITY)?;
        let corners: Vec<f64> = evenly(self.scale.mel(self.min_freq), self.scale.mel(max_freq), self.num_mel_bins + 2)
            .map(|mel| self.scale.hertz(mel))
            .collect();
        let spacing = self.sampling_rate / self.fft_length as f64;
        Ok(Array2::from_shape_fn((self.fft_length / 2 + 1, self.num_mel_bins), |(bin, filter)| {
            let triangle = &corners[filter..filter + 3];
            let height = match self.norm {
                MelNorm::Peak => 1.0,
                MelNorm::Slaney => 2.0 / (triangle[2] - triangle[0]),
            };
            F::of(height * weight(bin as f64 * spacing, triangle))
        }))
    }
}

/// The matrix (`num_spectrogram_bins`, `num_mel_bins`) that turns spectra into mel spectra: triangles as those of
/// [`MelFilterbank`], on HTK's scale and of height 1, but with sides that are straight over mels; the bin of frequency 0
/// counts for nothing.
///
/// The bins stand for frequencies from 0 to half the sampling rate, both included.
///
/// # Errors
/// Counts of 0, or fewer than two bins of a spectrum; a rate that is not positive; edges that are not 0 ≤ lower < upper ≤
/// half the sampling rate.
/// # Example
/// ```
/// use gradus::data::audio::linear_to_mel_weight_matrix;
///
/// let weights = linear_to_mel_weight_matrix::<f64>(20, 129, 8000.0, 125.0, 3800.0)?;
/// assert_eq!(weights.dim(), (129, 20));
/// // Between the first peak and the last, what every bin gives sums to 1.
/// assert!((weights.row(60).sum() - 1.0).abs() < 1e-12);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `tf.signal.linear_to_mel_weight_matrix`, whose defaults are the numbers of the example; Keras's `MelSpectrogram` has the
/// same matrix.
pub fn linear_to_mel_weight_matrix<F: Scalar>(
    num_mel_bins: usize,
    num_spectrogram_bins: usize,
    sample_rate: f64,
    lower_edge_hertz: f64,
    upper_edge_hertz: f64,
) -> Result<Array2<F>> {
    at_least_one("num_mel_bins", num_mel_bins)?;
    check_room(num_mel_bins, num_spectrogram_bins)?;
    if num_spectrogram_bins < 2 {
        return Err(Error::option("num_spectrogram_bins", "at least 2", num_spectrogram_bins));
    }
    positive("sample_rate", sample_rate)?;
    let edges = [lower_edge_hertz, upper_edge_hertz];
    check_range(["lower_edge_hertz", "upper_edge_hertz"], edges, sample_rate / 2.0)?;
    let [lower, upper] = edges.map(|edge| MelScale::Htk.mel(edge));
    let corners: Vec<f64> = evenly(lower, upper, num_mel_bins + 2).collect();
    let spacing = sample_rate / 2.0 / (num_spectrogram_bins - 1) as f64;
    Ok(Array2::from_shape_fn((num_spectrogram_bins, num_mel_bins), |(bin, filter)| {
        let at = MelScale::Htk.mel(bin as f64 * spacing);
        if bin == 0 { F::zero() } else { F::of(weight(at, &corners[filter..filter + 3])) }
    }))
}

/// Refuses a matrix that no memory could hold.
fn check_room(num_mel_bins: usize, bins: usize) -> Result<()> {
    room::<f64>("num_mel_bins", format!("{num_mel_bins} of {bins} bins"), &[bins, num_mel_bins])?;
    Ok(())
}

/// The height at `x` of the triangle that rises from the first corner to the second and falls to the third.
fn weight(x: f64, corners: &[f64]) -> f64 {
    let (rising, falling) =
        ((x - corners[0]) / (corners[1] - corners[0]), (corners[2] - x) / (corners[2] - corners[1]));
    rising.min(falling).max(0.0)
}

/// `count` numbers from one to another, both included.
fn evenly(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| from + (to - from) * i as f64 / (count - 1) as f64)
}

/// Refuses edges that are not 0 ≤ low < high ≤ most.
fn check_range(names: [&str; 2], [low, high]: [f64; 2], most: f64) -> Result<()> {
    if !(low >= 0.0 && low.is_finite()) {
        return Err(Error::option(names[0], "at least 0 and finite", low));
    }
    if !(high > low && high.is_finite() && high <= most) {
        let bound =
            if most.is_finite() { format!(" and at most half the sampling rate, {most}") } else { String::new() };
        return Err(Error::option(names[1], format!("above `{}`, {low}{bound}", names[0]), high));
    }
    Ok(())
}
