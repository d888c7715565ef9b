//! The short-time Fourier transform.

use std::f64::consts::TAU;

use ndarray::{Array, ArrayRef, Axis, Dimension};
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use serde_json::Value;

use super::{at_least_one, rows};
use crate::config::{Setting, expected, options};
use crate::memory::room;
use crate::{Error, Result, Scalar};

/// What a piece of a signal is multiplied by, so that it fades in and out. N is its length.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Window {
    /// 0.5 − 0.5·cos(2πn / N).
    #[default]
    Hann,
    /// 0.54 − 0.46·cos(2πn / N).
    Hamming,
    /// None: all `fft_length` samples of a piece as they are.
    Rectangular,
    /// Custom values, as many as `sequence_length`.
    Custom(Vec<f64>),
}

impl Setting for Window {
    /// Keras's words: `hann`, `hamming`, `None`, or a list.
    fn to_value(&self) -> Value {
        match self {
            Self::Hann => "hann".into(),
            Self::Hamming => "hamming".into(),
            Self::Rectangular => Value::Null,
            Self::Custom(values) => values.to_value(),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Self::Rectangular),
            Value::Array(_) => Vec::from_value(value).map(Self::Custom),
            _ => match value.as_str() {
                Some("hann") => Ok(Self::Hann),
                Some("hamming") => Ok(Self::Hamming),
                _ => Err(expected("hann, hamming, null or a list of numbers", value)),
            },
        }
    }
}

impl Window {
    /// The values for pieces of `fft_length` samples: N = `length` in the middle, zeros beside them. They are periodic: the
    /// one after the last would be the first again.
    fn values(&self, length: usize, fft_length: usize) -> Result<Vec<f64>> {
        let raised = |least: f64| {
            let cosine = |n: usize| (TAU * n as f64 / length as f64).cos();
            (0..length).map(|n| least - (1.0 - least) * cosine(n)).collect()
        };
        let window: Vec<f64> = match self {
            Self::Rectangular => return Ok(vec![1.0; fft_length]),
            // The formula is 0 for the one value of a window of length 1, which would leave nothing.
            Self::Hann | Self::Hamming if length == 1 => vec![1.0],
            Self::Hann => raised(0.5),
            Self::Hamming => raised(0.54),
            Self::Custom(values) if values.len() == length => values.clone(),
            Self::Custom(values) => {
                let expected = format!("`sequence_length` values, {length}");
                return Err(Error::option("window", expected, format!("{} values", values.len())));
            }
        };
        let before = (fft_length - length) / 2;
        let mut padded = vec![0.0; fft_length];
        padded[before..before + length].copy_from_slice(&window);
        Ok(padded)
    }
}

options! {
    /// The short-time Fourier transform: the spectra of short pieces of a signal, one every `sequence_stride` samples.
    ///
    /// With pieces of N = `fft_length` samples and the window w in their middle,
    ///
    /// X\[t, k\] = Σₙ w\[n\] · x\[t·stride + n\] · e^(−2πi·k·n / N), k = 0 … ⌊N / 2⌋;
    ///
    /// with `center` the signal is first mirrored beyond its ends by ⌊N / 2⌋ samples, so that piece t has its middle at
    /// sample t·stride.
    ///
    /// # Shapes
    /// (…, time) → (…, pieces, ⌊`fft_length` / 2⌋ + 1).
    /// # Defaults
    /// `window` Hann, `center` true.
    /// # Errors
    /// A length or stride of 0; an `fft_length` below `sequence_length`; a window of another length; a signal that is
    /// shorter than `fft_length`, or with `center` not longer than half of it.
    /// # Example
    /// ```
    /// use gradus::data::audio::STFT;
    /// use gradus::prelude::*;
    ///
    /// // Two turns in eight samples: all of it stands in bin 2.
    /// let wave = Array1::from_shape_fn(64, |t| (t as f64 * std::f64::consts::FRAC_PI_2).cos());
    /// let power = STFT::new(8, 4, 8).power(&wave)?;
    /// assert_eq!(power.dim(), (17, 5));
    /// assert!((power[[3, 2]] - 4.0).abs() < 1e-12 && power[[3, 0]] < 1e-12);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// `keras.ops.stft`. On TensorFlow its window of an odd length is one that ends as it begins; here, as on its other
    /// backends, it is periodic.
    pub struct STFT(
        /// Samples under the window.
        sequence_length: usize,
        /// Samples from one piece to the next.
        sequence_stride: usize,
        /// Samples of a piece, those beside the window counting as zeros.
        fft_length: usize,
    ) {
        /// What pieces are multiplied by. Default: Hann.
        window: Window = Window::Hann,
        /// Whether the first piece has its middle at the first sample. Default: true.
        center: bool = true,
    }
}

/// An array and another of the same shape: the real and the imaginary parts.
type Parts<F, D> = (Array<F, D>, Array<F, D>);

impl STFT {
    /// The real and the imaginary parts of the spectra.
    ///
    /// # Errors
    /// See [`STFT`].
    pub fn transform<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>) -> Result<Parts<F, D::Larger>> {
        let spectra = self.spectra(x, |value| value)?;
        Ok((spectra.map(|value| F::of(value.re)), spectra.map(|value| F::of(value.im))))
    }

    /// |X|².
    ///
    /// # Errors
    /// See [`STFT`].
    pub fn power<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>) -> Result<Array<F, D::Larger>> {
        self.spectra(x, |value| F::of(value.norm_sqr()))
    }

    /// |X|.
    ///
    /// # Errors
    /// See [`STFT`].
    pub fn magnitude<F: Scalar, D: Dimension>(&self, x: &ArrayRef<F, D>) -> Result<Array<F, D::Larger>> {
        self.spectra(x, |value| F::of(value.norm_sqr().sqrt()))
    }

    /// Something of every number of the spectra, (…, pieces, bins).
    pub(super) fn spectra<F: Scalar, D: Dimension, T>(
        &self,
        x: &ArrayRef<F, D>,
        of: impl Fn(Complex<f64>) -> T,
    ) -> Result<Array<T, D::Larger>> {
        at_least_one("sequence_length", self.sequence_length)?;
        at_least_one("sequence_stride", self.sequence_stride)?;
        if self.fft_length < self.sequence_length {
            let expected = format!("at least `sequence_length`, {}", self.sequence_length);
            return Err(Error::option("fft_length", expected, self.fft_length));
        }
        // Buffers and factors of the transform.
        room::<[f64; 8]>("fft_length", self.fft_length, &[self.fft_length])?;
        let window = self.window.values(self.sequence_length, self.fft_length)?;
        let Some(last) = x.ndim().checked_sub(1) else {
            return Err(Error::shape("a signal (…, time)", x.shape()));
        };
        let length = x.len_of(Axis(last));
        let margin = if self.center { self.fft_length / 2 } else { 0 };
        // What is mirrored must be there.
        let least = if self.center { margin + 1 } else { self.fft_length };
        if length < least {
            return Err(Error::shape(format!("a signal (…, time) of at least {least} samples"), x.shape()));
        }
        let pieces = (length + 2 * margin - self.fft_length) / self.sequence_stride + 1;
        let mut shape = D::Larger::zeros(last + 2);
        shape.slice_mut()[..last].copy_from_slice(&x.shape()[..last]);
        shape.slice_mut()[last..].copy_from_slice(&[pieces, self.fft_length / 2 + 1]);
        room::<Complex<f64>>("sequence_stride", self.sequence_stride, shape.slice())?;

        let transform = RealFftPlanner::new().plan_fft_forward(self.fft_length);
        let (mut piece, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
        let mut scratch = transform.make_scratch_vec();
        let mut spectra = Vec::with_capacity(shape.size());
        for signal in rows(x, Axis(last)).chunks(length) {
            let signal = mirrored(signal, margin);
            for start in (0..pieces).map(|piece| piece * self.sequence_stride) {
                for ((piece, &x), &w) in piece.iter_mut().zip(&signal[start..]).zip(&window) {
                    *piece = x * w;
                }
                let done = transform.process_with_scratch(&mut piece, &mut spectrum, &mut scratch);
                done.expect("buffers that were made for this transform");
                spectra.extend(spectrum.iter().map(|&value| of(value)));
            }
        }
        Ok(Array::from_shape_vec(shape, spectra).expect("as many numbers as the shape says"))
    }
}

/// A signal continued beyond both ends by its mirror image; the samples at the ends are not repeated.
fn mirrored(signal: &[f64], margin: usize) -> Vec<f64> {
    let before = signal[1..=margin].iter().rev();
    let after = signal.iter().rev().skip(1).take(margin);
    before.chain(signal).chain(after).copied().collect()
}
