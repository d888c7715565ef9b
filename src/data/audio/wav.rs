//! WAV files.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use hound::{SampleFormat as Kind, WavReader, WavSpec, WavWriter};
use ndarray::{Array1, Array2, ArrayRef, Axis, Dimension};

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

/// Reads a WAV file of any rate and number of channels: whole numbers of 8 to 32 bits, divided by 2^(bits − 1), or
/// floating-point numbers of 32.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is no WAV file, of a kind that is not supported (packed
/// sound, floating-point numbers of 64 bits), damaged or cut short: the message says at which byte.
///
/// # Example
/// See [`audio`](super).
///
/// # Source
/// `tf.audio.decode_wav`, which knows 16 bits only.
pub fn read_wav(path: impl AsRef<Path>) -> Result<Wav> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let mut source = Cursor::new(bytes.as_slice());
    decode(&mut source, bytes.len()).map_err(|problem| {
        let problem = match problem {
            // Of bytes in memory nothing can fail to be read but what is not there.
            hound::Error::IoError(_) => "it ends too early".to_owned(),
            hound::Error::FormatError(problem) => problem.to_owned(),
            hound::Error::Unsupported => "a kind of WAV file that is not supported".to_owned(),
            other => other.to_string(),
        };
        Error::file(path, format!("byte {}: {problem}", source.position()))
    })
}

fn decode(source: &mut Cursor<&[u8]>, length: usize) -> std::result::Result<Wav, hound::Error> {
    let mut reader = WavReader::new(source)?;
    let spec = reader.spec();
    // A damaged header may promise more samples than the file has bytes.
    let mut samples = Vec::with_capacity((reader.len() as usize).min(length));
    match spec.sample_format {
        Kind::Int => {
            let scale = 1.0 / f64::from(spec.bits_per_sample - 1).exp2();
            for sample in reader.samples::<i32>() {
                samples.push(f32::of(f64::from(sample?) * scale));
            }
        }
        Kind::Float => {
            for sample in reader.samples::<f32>() {
                samples.push(sample?);
            }
        }
    }
    let channels = usize::from(spec.channels);
    let samples = Array2::from_shape_vec((samples.len() / channels, channels), samples);
    Ok(Wav { samples: samples.map_err(|_| hound::Error::UnfinishedSample)?, sample_rate: spec.sample_rate })
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
