//! Sound: WAV files read and written, and what networks are given of them: short-time spectra, mel spectrograms, cepstra.
//!
//! A signal is an array whose last axis is time: (samples) for one, (clips, samples) for many. Give many at once: the plan
//! of a transform is made once a call. All is computed in `f64`, whatever the signal's scalar is, and rounded at the end.
//!
//! ```
//! use gradus::data::audio::{self, MFCC, MelSpectrogram};
//! use gradus::prelude::*;
//!
//! // A second of the note A, as it comes out of a file.
//! let path = std::env::temp_dir().join(format!("gradus-doc-{}.wav", std::process::id()));
//! let tone = Array1::from_shape_fn(8000, |t| 0.5 * (t as f32 * 440.0 / 8000.0 * std::f32::consts::TAU).sin());
//! audio::write_wav(&path, &tone, 8000)?;
//! let wav = audio::read_wav(&path)?;
//! assert_eq!((wav.sample_rate, wav.samples.dim()), (8000, (8000, 1)));
//!
//! let mel = MelSpectrogram::new().sampling_rate(8000.0).fft_length(512).sequence_stride(256).num_mel_bins(40);
//! let spectrogram = mel.transform(&wav.mono())?;
//! assert_eq!(spectrogram.dim(), (40, 32)); // (mel bins, time)
//! let loudest = (0..40).max_by(|&a, &b| spectrogram[[a, 16]].total_cmp(&spectrogram[[b, 16]])).unwrap();
//! assert_eq!(loudest, 9); // its middle: 435 Hz
//! let cepstra = MFCC::new().n_mfcc(13).transform(&spectrogram)?;
//! assert_eq!(cepstra.dim(), (13, 32));
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), gradus::Error>(())
//! ```

mod dct;
mod mel;
mod riff;
mod spectrogram;
mod stft;
mod wav;

pub use dct::{DCT, Norm};
pub use mel::{MelFilterbank, MelNorm, MelScale, linear_to_mel_weight_matrix};
pub use spectrogram::{MFCC, MelSpectrogram, power_to_db};
pub use stft::{STFT, Window};
pub use wav::{SampleFormat, Wav, read_wav, write_wav, write_wav_as};

use ndarray::{ArrayRef, Axis, Dimension};

use crate::{Error, Result, Scalar};

/// The rows along `axis`, one after another, as `f64`.
fn rows<F: Scalar, D: Dimension>(x: &ArrayRef<F, D>, axis: Axis) -> Vec<f64> {
    x.lanes(axis).into_iter().flat_map(|row| row.into_iter().map(|value| value.f64())).collect()
}

/// Refuses an option that is not a positive, finite number.
fn positive(option: &str, value: f64) -> Result<()> {
    let positive = value > 0.0 && value.is_finite();
    if positive { Ok(()) } else { Err(Error::option(option, "a positive, finite number", value)) }
}

/// Refuses a length, stride or count of 0.
fn at_least_one(option: &str, value: usize) -> Result<()> {
    if value > 0 { Ok(()) } else { Err(Error::option(option, "at least 1", value)) }
}
