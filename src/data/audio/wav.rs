//! WAV files.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use hound::{SampleFormat as Kind, WavSpec, WavWriter};
use ndarray::{Array1, Array2, ArrayRef, Axis, Dimension};

use super::riff;
use crate::formats::write_atomically;
use crate::{Error, Result, Scalar};

/// A sound as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Wav {
    /// The samples, (time, channels), from −1 to 1; those of a file of floating-point numbers as they are.
    pub samples: Array2<f32>,
    /// Samples a second.
    pub sample_rate: u32,
}

impl Wav {
    /// One channel, (time): the mean of all.
    ///
    /// ```
    /// use gradus::data::audio::Wav;
    /// use ndarray::array;
    ///
    /// let stereo = Wav { samples: array![[0.5, -0.5], [1.0, 0.0]], sample_rate: 8000 };
    /// assert_eq!(stereo.mono(), array![0.0, 0.5]);
    /// ```
    pub fn mono(&self) -> Array1<f32> {
        self.samples.mean_axis(Axis(1)).unwrap_or_else(|| Array1::zeros(self.samples.nrows()))
    }
}

/// How a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// A whole number of 16 bits.
    #[default]
    Int16,
    /// A whole number of 24 bits.
    Int24,
    /// A floating-point number of 32 bits.
    Float32,
}

/// Reads a WAV file of any rate and number of channels.
///
/// | samples | become |
/// | --- | --- |
/// | whole numbers of 1 to 8 bytes, or of fewer bits at the upper end of such places (12 in 16, 20 in 24, 24 in 32) | x / 2^(8·bytes − 1) |
/// | a single byte | (x − 128) / 128 |
/// | floating-point numbers of 32 or 64 bits | as they are, rounded to `f32` |
/// | A-law, µ-law | their 16-bit number / 2¹⁵ |
///
/// RIFF, RIFX (the other byte order) and RF64 or BW64 (beyond 4 GiB) are read, whatever chunks stand around the samples, and
/// files that were written into a pipe, whose header does not know the length: these are read to their end.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is no WAV file, of a kind that is not supported (ADPCM,
/// MP3 …), damaged or cut short: the message says at which byte.
///
/// # Example
/// See [`audio`](super).
///
/// # Source
/// libsndfile, whose values these are; `tf.audio.decode_wav` knows 16 bits only.
pub fn read_wav(path: impl AsRef<Path>) -> Result<Wav> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let decoded = riff::decode(&bytes).map_err(|(at, problem)| Error::file(path, format!("byte {at}: {problem}")));
    decoded.map(|(samples, sample_rate)| Wav { samples, sample_rate })
}

/// Writes a sound of (time) or (time, channels), numbers from −1 to 1, as a WAV file of 16 bits a sample. What lies
/// beyond becomes the nearest that can be written.
///
/// The file is written aside and renamed: an interrupted call leaves what was there before.
///
/// # Errors
/// Another shape, no channels or more than 65,535, a rate of 0, NaN; a sound too long for a WAV file (4 GiB); and
/// [`Error::Io`] if the file cannot be written. Each names the path.
///
/// # Example
/// See [`audio`](super).
///
/// # Source
/// `tf.audio.encode_wav`: sample · 2¹⁵, rounded, at most 2¹⁵ − 1.
pub fn write_wav<F: Scalar, D: Dimension>(
    path: impl AsRef<Path>,
    samples: &ArrayRef<F, D>,
    sample_rate: u32,
) -> Result<()> {
    write_wav_as(path, samples, sample_rate, SampleFormat::Int16)
}

/// [`write_wav`] with another form of samples. Floating-point numbers are not limited to −1 to 1.
///
/// # Errors
/// See [`write_wav`].
pub fn write_wav_as<F: Scalar, D: Dimension>(
    path: impl AsRef<Path>,
    samples: &ArrayRef<F, D>,
    sample_rate: u32,
    format: SampleFormat,
) -> Result<()> {
    let path = path.as_ref();
    encode(samples, sample_rate, format).and_then(|bytes| write_atomically(path, |out| out.write_all(&bytes))).map_err(
        |error| if matches!(error, Error::Io { .. }) { error } else { error.within(path.display().to_string()) },
    )
}

fn encode<F: Scalar, D: Dimension>(
    samples: &ArrayRef<F, D>,
    sample_rate: u32,
    format: SampleFormat,
) -> Result<Vec<u8>> {
    let channels = match *samples.shape() {
        [_] => 1,
        [_, channels] => channels,
        _ => return Err(Error::shape("samples (time) or (time, channels)", samples.shape())),
    };
    let Some(channels) = u16::try_from(channels).ok().filter(|&channels| channels > 0) else {
        return Err(Error::shape("samples with 1 to 65535 channels", samples.shape()));
    };
    if sample_rate == 0 {
        return Err(Error::option("sample_rate", "at least 1", sample_rate));
    }
    if let Some(at) = samples.iter().position(|sample| sample.is_nan()) {
        let time = at / usize::from(channels);
        return Err(Error::data("write_wav", "numbers", format!("NaN at time {time}")));
    }
    let (bits_per_sample, sample_format) = match format {
        SampleFormat::Int16 => (16, Kind::Int),
        SampleFormat::Int24 => (24, Kind::Int),
        SampleFormat::Float32 => (32, Kind::Float),
    };
    // The sizes of the file's parts are numbers of 32 bits; the header takes less than 100 bytes.
    if samples.len() as u64 * u64::from(bits_per_sample / 8) > u64::from(u32::MAX) - 100 {
        return Err(Error::data("write_wav", "less than 4 GiB of samples", format!("{} samples", samples.len())));
    }
    let mut bytes = Cursor::new(Vec::new());
    let spec = WavSpec { channels, sample_rate, bits_per_sample, sample_format };
    let written = (|| {
        let mut writer = WavWriter::new(&mut bytes, spec)?;
        let most = f64::from(bits_per_sample - 1).exp2();
        for sample in samples {
            match sample_format {
                #[allow(clippy::cast_possible_truncation)] // within the format's range
                Kind::Int => {
                    writer.write_sample((sample.f64() * most).round().clamp(-most, most - 1.0) as i32)?;
                }
                Kind::Float => writer.write_sample(f32::of(sample.f64()))?,
            }
        }
        writer.finalize()
    })();
    written.map_err(|error| Error::data("write_wav", "samples that a WAV file can hold", error.to_string()))?;
    Ok(bytes.into_inner())
}
