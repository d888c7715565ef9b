//! Sound: WAV files as others write and read them, laws of the transforms, and what is refused.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use gradus::config::Configured;
use gradus::data::audio::{self, DCT, MFCC, MelFilterbank, MelSpectrogram, Norm, STFT, SampleFormat, Window};
use gradus::formats::safetensors::TensorFile;
use ndarray::{Array1, Array2, Array3, ArrayView2, array, s};

use crate::refuses::refuses;

/// A file of a name of its own, removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("gradus-audio-{}-{name}.wav", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn tone(samples: usize) -> Array1<f64> {
    Array1::from_shape_fn(samples, |t| 0.7 * (t as f64 * 0.3).sin() + 0.2 * (t as f64 * 1.1).cos())
}

#[test] // soundfile and TensorFlow; see tests/data/python_wavs.py
fn files_of_every_kind_are_read_as_others_read_them() {
    let expected = TensorFile::read(data("wavs.safetensors")).unwrap();
    for name in ["pcm8", "pcm16", "pcm24", "pcm32", "float", "three"] {
        let wav = audio::read_wav(data(&format!("{name}.wav"))).unwrap();
        let want: ArrayView2<'_, f32> = expected.get::<f32>(name).unwrap().into_dimensionality().unwrap();
        assert_eq!(wav.samples, want, "{name}");
        assert_eq!(wav.sample_rate, 11025);
    }
}

#[test] // soundfile and SciPy; see tests/data/python_wav_kinds.py
fn kinds_that_are_rarer_are_read_as_others_read_them() {
    let expected = TensorFile::read(data("wav_kinds.safetensors")).unwrap();
    assert_eq!(expected.tensors.len(), std::fs::read_dir(data("wav")).unwrap().count());
    for name in expected.tensors.keys() {
        let wav = audio::read_wav(data(&format!("wav/{name}.wav"))).unwrap();
        let want: ArrayView2<'_, f32> = expected.get::<f32>(name).unwrap().into_dimensionality().unwrap();
        assert_eq!(wav.samples, want, "{name}");
    }
    // Microsoft's text by hand: 24 valid bits lie at the upper end of 32.
    let valid = audio::read_wav(data("wav/ext24in32.wav")).unwrap();
    assert_eq!(valid.samples.column(0).to_vec(), [0.0, 0.125, -0.5, 0.999_999_9, -1.0]);
    assert_eq!(valid.sample_rate, 44100);
    for name in ["odd_list_before", "odd_list_before_fmt", "ffmpeg_pipe", "sox_pipe", "pipe_zero", "rf64", "rifx"] {
        let wav = audio::read_wav(data(&format!("wav/{name}.wav"))).unwrap();
        let whole = [0.0, 1000.0, -1000.0, 32767.0, -32768.0, 5.0].map(|x: f32| x / 32768.0);
        assert_eq!(wav.samples.column(0).to_vec(), whole, "{name}");
    }
}

#[test]
fn an_empty_file_before_other_chunks_stays_empty() {
    let file = Scratch::new("empty");
    let mut bytes = std::fs::read(data("pcm16.wav")).unwrap()[..36].to_vec();
    bytes.extend(b"data\0\0\0\0LIST\x04\0\0\0INFO");
    let size = u32::try_from(bytes.len()).unwrap() - 8;
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    std::fs::write(&file.0, &bytes).unwrap();
    assert_eq!(audio::read_wav(&file.0).unwrap().samples.dim(), (0, 2));
}

#[test] // tf.audio.encode_wav, byte for byte
fn a_file_is_written_as_tensorflow_writes_it() {
    let expected = TensorFile::read(data("wavs.safetensors")).unwrap();
    let samples = expected.get::<f64>("written").unwrap();
    let file = Scratch::new("written");
    audio::write_wav(&file.0, &samples, 8000).unwrap();
    assert_eq!(std::fs::read(&file.0).unwrap(), std::fs::read(data("written.wav")).unwrap());
    let read = expected.get::<f32>("written/read").unwrap();
    assert_eq!(audio::read_wav(&file.0).unwrap().samples.into_dyn(), read);
}

#[test]
fn every_format_comes_back_within_its_precision() {
    let sound = Array2::from_shape_fn((40, 3), |(t, channel)| ((t * (channel + 1)) as f32 / 9.0).sin());
    let file = Scratch::new("formats");
    for (format, step) in [(SampleFormat::Int16, 15), (SampleFormat::Int24, 23), (SampleFormat::Float32, 60)] {
        audio::write_wav_as(&file.0, &sound, 44100, format).unwrap();
        let wav = audio::read_wav(&file.0).unwrap();
        let allowed = 0.51 * 0.5f32.powi(step) + if sound.iter().any(|&x| x == 1.0) { 0.5f32.powi(step) } else { 0.0 };
        assert!(wav.samples.iter().zip(&sound).all(|(a, b)| (a - b).abs() <= allowed), "{format:?}");
        assert_eq!(wav.sample_rate, 44100);
    }
    // Stereo and silence.
    audio::write_wav(&file.0, &Array2::<f32>::zeros((0, 2)), 8000).unwrap();
    assert_eq!(audio::read_wav(&file.0).unwrap().samples.dim(), (0, 2));
}

#[test]
fn broken_files_are_refused_with_the_place() {
    let whole = std::fs::read(data("pcm16.wav")).unwrap();
    let file = Scratch::new("broken");
    let read = |bytes: &[u8]| {
        std::fs::write(&file.0, bytes).unwrap();
        audio::read_wav(&file.0)
    };
    let name = file.0.to_str().unwrap();
    refuses(read(&whole[..100]), &[name, "byte 100", "ends too early"]);
    refuses(read(&whole[..30]), &["byte 30", "ends too early"]);
    refuses(read(b""), &["byte 0", "ends too early"]);
    refuses(read(b"not a sound at all, but text"), &["byte 0", "RIFF"]);
    let mut strange = whole.clone();
    strange[20] = 85; // MP3 within WAV
    refuses(read(&strange), &["byte 20", "not supported", "0x0055, MPEG"]);
    let mut odd = whole.clone();
    odd[40..44].copy_from_slice(&99u32.to_le_bytes());
    refuses(read(&odd), &["byte 44", "99 bytes", "frames of 4"]);
    // Whatever a damaged header says: a result or an error, neither a panic nor a huge allocation.
    for at in 0..44 {
        for value in [0, 1, 127, 255] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            let _ = read(&damaged);
        }
    }
    refuses(audio::read_wav("no/such/file.wav"), &["no/such/file.wav"]);
}

#[test]
fn what_no_file_can_hold_is_refused() {
    let file = Scratch::new("refused");
    let write = |samples: &[f32], rate| audio::write_wav(&file.0, &Array1::from(samples.to_vec()), rate);
    refuses(write(&[0.0, f32::NAN], 8000), &["NaN at time 1"]);
    refuses(write(&[0.0], 0), &["sample_rate"]);
    refuses(audio::write_wav(&file.0, &Array2::<f32>::zeros((3, 0)), 8000), &["1 to 65535 channels", "(3, 0)"]);
    refuses(audio::write_wav(&file.0, &Array3::<f32>::zeros((1, 3, 2)), 8000), &["(time, channels)", "(1, 3, 2)"]);
    assert!(!file.0.exists());
}

#[test]
fn a_transform_of_cosines_is_undone() {
    let x = Array2::from_shape_fn((3, 11), |(i, j)| ((i * 5 + j * 3) % 7) as f64 - 2.0);
    for dct_type in 1..=4 {
        for norm in [Norm::Backward, Norm::Ortho, Norm::Forward] {
            for axis in [0, 1] {
                let dct = DCT::new().dct_type(dct_type).norm(norm).axis(axis);
                let back = dct.inverse_transform(&dct.transform(&x).unwrap()).unwrap();
                assert!((&back - &x).iter().all(|difference| difference.abs() < 1e-12), "{dct:?}");
            }
        }
    }
}

#[test]
fn many_signals_at_once_are_each_by_itself() {
    let clips = Array2::from_shape_fn((3, 300), |(clip, t)| ((t * (clip + 2)) as f64 / 7.0).sin());
    let stft = STFT::new(32, 10, 64).window(Window::Hamming);
    let mel = MelSpectrogram::new().fft_length(64).sequence_stride(16).num_mel_bins(7).power_to_db(false);
    let (powers, mels) = (stft.power(&clips).unwrap(), mel.transform(&clips).unwrap());
    for (clip, signal) in clips.outer_iter().enumerate() {
        assert_eq!(stft.power(&signal).unwrap(), powers.slice(s![clip, .., ..]));
        // A product of more rows may be summed in another order.
        let difference = &mel.transform(&signal).unwrap() - &mels.slice(s![clip, .., ..]);
        assert!(difference.iter().all(|difference| difference.abs() < 1e-12));
    }
    // The signal by columns of memory is the same signal.
    let columns = clips.t().as_standard_layout().into_owned();
    assert_eq!(stft.power(&columns.t()).unwrap(), powers);
}

#[test] // Parseval: the power of a piece is that of its spectrum, whose inner bins count twice.
fn no_power_is_lost() {
    let x = tone(64);
    let power = STFT::new(64, 64, 64).window(Window::Rectangular).center(false).power(&x).unwrap();
    let whole = power[[0, 0]] + power[[0, 32]] + 2.0 * power.slice(s![0, 1..32]).sum();
    assert!((whole / 64.0 - x.dot(&x)).abs() < 1e-9);
    let (real, imaginary) = STFT::new(64, 64, 64).window(Window::Rectangular).center(false).transform(&x).unwrap();
    assert!((real.mapv(|x| x * x) + imaginary.mapv(|x| x * x) - power).iter().all(|x| x.abs() < 1e-9));
}

#[test]
fn options_come_back_from_their_words() {
    let mel = MelSpectrogram::new().window(Window::Custom(vec![0.5; 64])).fft_length(64).max_freq(900.0).mag_exp(1.0);
    let loaded = MelSpectrogram::from_config(&mel.to_config()).unwrap();
    assert_eq!(loaded.transform(&tone(500)).unwrap(), mel.transform(&tone(500)).unwrap());
    let filters = MelFilterbank::new(8000.0, 128).num_mel_bins(9);
    let loaded = MelFilterbank::from_config(&filters.to_config()).unwrap();
    assert_eq!(loaded.matrix::<f32>().unwrap(), filters.matrix::<f32>().unwrap());
}

#[test]
fn options_out_of_range_are_refused() {
    let x = tone(100);
    refuses(STFT::new(8, 0, 8).power(&x), &["sequence_stride", "at least 1"]);
    refuses(STFT::new(0, 1, 8).power(&x), &["sequence_length", "at least 1"]);
    refuses(STFT::new(9, 1, 8).power(&x), &["fft_length", "at least `sequence_length`, 9", "got 8"]);
    refuses(STFT::new(8, 1, 8).window(Window::Custom(vec![1.0])).power(&x), &["window", "8", "1 values"]);
    refuses(STFT::new(8, 1, 256).power(&x), &["at least 129 samples", "(100)"]);
    refuses(STFT::new(8, 1, 128).center(false).power(&x), &["at least 128 samples", "(100)"]);
    refuses(STFT::new(8, 1, 8).power(&ndarray::arr0(1.0)), &["(…, time)", "()"]);
    refuses(DCT::new().dct_type(5).transform(&x), &["dct_type", "got 5"]);
    refuses(DCT::new().axis(1).transform(&x), &["axis", "got 1"]);
    refuses(DCT::new().axis(-2).transform(&x), &["axis", "got -2"]);
    refuses(DCT::new().dct_type(1).n(1).transform(&x), &["`n`", "at least 2 for type 1"]);
    refuses(DCT::new().transform(&Array1::<f32>::zeros(0)), &["`n`", "at least 1"]);
    refuses(MelFilterbank::new(f64::NAN, 64).matrix::<f32>(), &["sampling_rate"]);
    refuses(MelFilterbank::new(8000.0, 64).min_freq(5000.0).matrix::<f32>(), &["max_freq", "above `min_freq`, 5000"]);
    let matrix = |upper| audio::linear_to_mel_weight_matrix::<f32>(20, 129, 8000.0, 125.0, upper);
    refuses(matrix(4001.0), &["upper_edge_hertz", "half the sampling rate, 4000", "got 4001"]);
    refuses(audio::linear_to_mel_weight_matrix::<f32>(20, 1, 8000.0, 125.0, 3800.0), &["num_spectrogram_bins"]);
    refuses(MelSpectrogram::new().fft_length(64).mag_exp(0.0).transform(&x), &["mag_exp"]);
    refuses(audio::power_to_db(&x, 1.0, 0.0, 80.0), &["min_power"]);
    refuses(audio::power_to_db(&x, 1.0, 1e-9, -1.0), &["top_db"]);
    refuses(MFCC::new().transform(&array![[1.0, 2.0]]), &["n_mfcc", "1..=1", "got 20"]);
    refuses(MFCC::new().n_mfcc(1).transform(&array![1.0, 2.0]), &["mel spectrogram", "(2)"]);
    refuses(MFCC::new().n_mfcc(1).lifter(f64::NAN).transform(&array![[1.0], [2.0]]), &["lifter"]);
}
