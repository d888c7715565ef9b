//! Mel spectrograms and cepstra.

use std::f64::consts::PI;

use ndarray::{Array, ArrayRef, Axis, Dimension, RemoveAxis};

use super::mel::linear_to_mel_weight_matrix;
use super::stft::{STFT, Window};
use super::{DCT, Norm, positive};
use crate::config::options;
use crate::{Error, Result, Scalar};

options! {
    /// What a signal sounds like over time: short-time spectra, in bins that are evenly spaced for the ear, as loudness.
    ///
    /// |[`STFT`]|^`mag_exp`, centred, times [`linear_to_mel_weight_matrix`], then [`power_to_db`].
    ///
    /// # Shapes
    /// (…, time) → (…, `num_mel_bins`, pieces), as in Keras: time comes last. A recurrent network wants it first:
    /// `spectrogram.swap_axes(…)`.
    /// # Defaults
    /// `fft_length` 2048, `sequence_stride` 512, `sequence_length` that of the transform, `window` Hann, `sampling_rate`
    /// 16000, `num_mel_bins` 128, `min_freq` 20, `max_freq` half the sampling rate, `power_to_db` true, `top_db` 80,
    /// `mag_exp` 2, `min_power` 10⁻¹⁰, `ref_power` 1.
    /// # Errors
    /// Those of [`STFT`], [`linear_to_mel_weight_matrix`] and [`power_to_db`].
    /// # Example
    /// See [`audio`](super).
    /// # Source
    /// Keras `MelSpectrogram`. As there, what lies `top_db` below the loudest of *all* clips of a call is raised to that.
    pub struct MelSpectrogram {
        /// Samples of a piece. Default: 2048.
        fft_length: usize = 2048,
        /// Samples from one piece to the next. Default: 512.
        sequence_stride: usize = 512,
        /// Samples under the window. Default: `fft_length`.
        sequence_length: Option<usize> = None => |length: impl Into<Option<usize>>| length.into(),
        /// What pieces are multiplied by. Default: Hann.
        window: Window = Window::Hann,
        /// Samples a second. Default: 16000.
        sampling_rate: f64 = 16000.0,
        /// How many bins on the mel scale. Default: 128.
        num_mel_bins: usize = 128,
        /// Where the lowest begins, in Hertz. Default: 20.
        min_freq: f64 = 20.0,
        /// Where the highest ends, in Hertz. Default: half the sampling rate.
        max_freq: Option<f64> = None => |frequency: impl Into<Option<f64>>| frequency.into(),
        /// Whether it is given in decibels. Default: true.
        power_to_db: bool = true,
        /// How far below the loudest it goes, in decibels. Default: 80.
        top_db: f64 = 80.0,
        /// The power of the magnitude. Default: 2.
        mag_exp: f64 = 2.0,
        /// The least power that is told apart from none. Default: 10⁻¹⁰.
        min_power: f64 = 1e-10,
        /// The power of 0 decibels. Default: 1.
        ref_power: f64 = 1.0,
    }
}

impl Default for MelSpectrogram {
    fn default() -> Self {
        Self::new()
    }
}

impl MelSpectrogram {
    /// The spectrogram of every signal.
    ///
    /// # Errors
    /// See [`MelSpectrogram`].
    pub fn transform<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>) -> Result<Array<F, D::Larger>> {
        let stft = STFT::new(self.sequence_length.unwrap_or(self.fft_length), self.sequence_stride, self.fft_length)
            .window(self.window.clone());
        positive("mag_exp", self.mag_exp)?;
        let max_freq = self.max_freq.unwrap_or(self.sampling_rate / 2.0);
        let bins = self.fft_length / 2 + 1;
        let weights =
            linear_to_mel_weight_matrix::<f64>(self.num_mel_bins, bins, self.sampling_rate, self.min_freq, max_freq)?;
        // |X|^e is (|X|²)^(e / 2); most often e is 2.
        let half = self.mag_exp / 2.0;
        let spectra =
            stft.spectra(x, |value| if half == 1.0 { value.norm_sqr() } else { value.norm_sqr().powf(half) })?;
        let mut shape = spectra.raw_dim();
        let last = shape.ndim() - 1;
        shape[last] = self.num_mel_bins;
        let pieces = spectra.len() / bins;
        let mel = spectra.into_shape_with_order((pieces, bins)).expect("rows of bins").dot(&weights);
        let mel = if self.power_to_db { power_to_db(&mel, self.ref_power, self.min_power, self.top_db)? } else { mel };
        // A piece a row until here; what is handed out has time last.
        let values = mel.iter().map(|&value| F::of(value)).collect();
        let mut spectrogram = Array::from_shape_vec(shape, values).expect("as many numbers as the shape says");
        spectrogram.swap_axes(last - 1, last);
        Ok(spectrogram.as_standard_layout().into_owned())
    }
}

/// Powers in decibels: 10·log₁₀(max(x, `min_power`) / max(`ref_power`, `min_power`)), and nothing more than `top_db` below
/// the greatest (infinity: no such bound).
///
/// # Errors
/// A `min_power` that is not positive, a `ref_power` that is not finite, a negative `top_db`.
/// # Example
/// ```
/// use gradus::data::audio::power_to_db;
/// use ndarray::array;
///
/// assert_eq!(power_to_db(&array![1.0, 100.0, 0.0], 1.0, 1e-10, 80.0)?, array![0.0, 20.0, -60.0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `MelSpectrogram`; `librosa.power_to_db`, whose defaults are 1, 10⁻¹⁰ and 80.
pub fn power_to_db<F: Scalar, D: Dimension>(
    x: &ArrayRef<F, D>,
    ref_power: f64,
    min_power: f64,
    top_db: f64,
) -> Result<Array<F, D>> {
    positive("min_power", min_power)?;
    if !ref_power.is_finite() {
        return Err(Error::option("ref_power", "finite", ref_power));
    }
    if !(top_db >= 0.0) {
        return Err(Error::option("top_db", "at least 0", top_db));
    }
    let reference = 10.0 * ref_power.abs().max(min_power).log10();
    let decibels = |x: F| 10.0 * x.f64().max(min_power).log10() - reference;
    let least = x.iter().map(|&x| decibels(x)).fold(f64::NEG_INFINITY, f64::max) - top_db;
    Ok(x.map(|&x| F::of(decibels(x).max(least))))
}

options! {
    /// Mel-frequency cepstral coefficients: the first numbers of the cosine transform of a logarithmic mel spectrum, which
    /// tell its coarse shape, and with it which vowel is spoken.
    ///
    /// With `lifter` L > 0 coefficient n is multiplied by 1 + L / 2 · sin(π·(n + 1) / L).
    ///
    /// # Shapes
    /// A [`MelSpectrogram`] (…, mel bins, time) → (…, `n_mfcc`, time).
    /// # Defaults
    /// `n_mfcc` 20, `dct_type` 2, `norm` ortho, `lifter` 0.
    /// # Errors
    /// An `n_mfcc` of 0 or of more than there are mel bins; a spectrogram with fewer than two axes; a `lifter` that is
    /// negative or not finite; those of [`DCT`].
    /// # Example
    /// See [`audio`](super).
    /// # Source
    /// `librosa.feature.mfcc(S=…)`. `tf.signal.mfccs_from_log_mel_spectrograms` gives √2 times as much for n = 0 and the
    /// same for the rest.
    pub struct MFCC {
        /// How many coefficients. Default: 20.
        n_mfcc: usize = 20,
        /// The type of the cosine transform. Default: 2.
        dct_type: usize = 2,
        /// What the transform is divided by. Default: ortho.
        norm: Norm = Norm::Ortho,
        /// How much the higher coefficients are raised. Default: 0, not at all.
        lifter: f64 = 0.0,
    }
}

impl Default for MFCC {
    fn default() -> Self {
        Self::new()
    }
}

impl MFCC {
    /// The coefficients of a spectrogram in decibels.
    ///
    /// # Errors
    /// See [`MFCC`].
    pub fn transform<F: Scalar, D: RemoveAxis>(&self, log_mel: &ArrayRef<F, D>) -> Result<Array<F, D>> {
        let Some(axis) = log_mel.ndim().checked_sub(2) else {
            return Err(Error::shape("a mel spectrogram (…, mel bins, time)", log_mel.shape()));
        };
        let bins = log_mel.len_of(Axis(axis));
        if !(1..=bins).contains(&self.n_mfcc) {
            return Err(Error::option("n_mfcc", format!("in 1..={bins}, the number of mel bins"), self.n_mfcc));
        }
        if !(self.lifter >= 0.0 && self.lifter.is_finite()) {
            return Err(Error::option("lifter", "at least 0 and finite", self.lifter));
        }
        let whole = DCT::new().dct_type(self.dct_type).axis(-2).norm(self.norm).transform(log_mel)?;
        let mut coefficients = whole.slice_axis(Axis(axis), (..self.n_mfcc).into()).to_owned();
        if self.lifter > 0.0 {
            for (n, mut coefficient) in coefficients.axis_iter_mut(Axis(axis)).enumerate() {
                let raised = 1.0 + self.lifter / 2.0 * (PI * (n + 1) as f64 / self.lifter).sin();
                coefficient.mapv_inplace(|value| F::of(value.f64() * raised));
            }
        }
        Ok(coefficients)
    }
}
