//! A GAN of sounds: short vowels as waveforms, sample by sample, by convolutions over time.
//!
//! | | |
//! | --- | --- |
//! | data | five vowels of voices from 100 to 200 Hz, a sixteenth of a second at 8 kHz; made here: harmonics, shaped by the formants of Peterson and Barney (1952) |
//! | command | `cargo run --release --all-features --example gan_audio` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | seed 0: Fréchet distance of mel spectra 3439 (other real sounds 9, noise 10108), periodicity 0.38 (0.98, 0.12): nearer to the vowels than noise, and far from their equals |
//! | time | 132 s of processor time (AMD EPYC, one thread) |
//! | writes | `target/pictures/gan_audio/real.wav`, `made.wav`; `spectra.png`, the mean spectra; `spectrograms.png`, real above, made below |

mod arguments;

use std::f32::consts::TAU;

use gradus::data::audio::{self, MelSpectrogram};
use gradus::data::images;
use gradus::gan::GanFit;
use gradus::metrics::frechet_distance;
use gradus::ndarray::{concatenate, s};
use gradus::plots::LinePlot;
use gradus::prelude::*;
use gradus::random;

const RATE: u32 = 8000;
const SAMPLES: usize = 512;
/// The first three formants of the vowels of *heed, head, hod, hawed, who'd*, in Hertz, and how wide each is.
const VOWELS: [[f32; 3]; 5] =
    [[270., 2290., 3010.], [530., 1840., 2480.], [730., 1090., 2440.], [570., 840., 2410.], [300., 870., 2240.]];
const WIDTHS: [f32; 3] = [80., 100., 140.];
/// The lowest and the highest voice, in Hertz.
const PITCHES: [f32; 2] = [100., 200.];

/// Vowels (count, SAMPLES, 1), from −0.9 to 0.9.
fn vowels(count: usize, seed: u64) -> Array3<f32> {
    let mut chances = vec![0.0f32; 3 * count];
    gradus::kernels::random::uniform(random::hash("gan_audio") ^ seed, 0, &mut chances);
    let mut clips = Array3::zeros((count, SAMPLES, 1));
    for (mut clip, chances) in clips.outer_iter_mut().zip(chances.chunks(3)) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 5
        let formants = VOWELS[(chances[0] * 5.0) as usize];
        let pitch = PITCHES[0] + chances[1] * (PITCHES[1] - PITCHES[0]);
        // A smaller head moves all formants up.
        let size = 0.95 + 0.1 * chances[2];
        let harmonics = (1..).map(|n| n as f32).take_while(|n| n * pitch < RATE as f32 / 2.0);
        let loudness: Vec<(f32, f32)> = harmonics
            .map(|n| {
                let resonance =
                    |(formant, width): (&f32, &f32)| 1.0 / (1.0 + ((n * pitch - formant * size) / width).powi(2));
                (n, formants.iter().zip(&WIDTHS).map(resonance).sum::<f32>() / n)
            })
            .collect();
        for (t, sample) in clip.iter_mut().enumerate() {
            let angle = TAU * pitch * t as f32 / RATE as f32;
            // It fades in and out within 8 ms.
            let fade = (t.min(SAMPLES - 1 - t) as f32 / 64.0).min(1.0);
            *sample = fade * loudness.iter().map(|(n, loudness)| loudness * (n * angle).cos()).sum::<f32>();
        }
        let peak = clip.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        clip.mapv_inplace(|sample| 0.9 * sample / peak);
    }
    clips
}

/// From noise to a waveform: each transposed convolution makes four samples of one.
fn generator(seed: u64) -> gradus::Result<Model> {
    let longer = |filters| Conv1DTranspose::new(filters, 24).strides(4).padding(Padding::Same);
    let normalized = || BatchNormalization::new().momentum(0.9);
    Sequential::new()
        .input([64])
        .seed(seed)
        .add(Dense::new(8 * 64))
        .add(Reshape::new([8, 64]))
        .add(normalized())
        .add(Relu)
        .add(longer(32))
        .add(normalized())
        .add(Relu)
        .add(longer(16))
        .add(normalized())
        .add(Relu)
        .add(longer(1).activation(Tanh))
        .build()
}

/// From a waveform to a score: each convolution makes one sample of four.
fn discriminator(seed: u64) -> gradus::Result<Model> {
    let leaky = || LeakyRelu { negative_slope: 0.2 };
    let shorter = |filters| Conv1D::new(filters, 24).strides(4).padding(Padding::Same).activation(leaky());
    Sequential::new()
        .input([SAMPLES, 1])
        .seed(seed)
        .add(SpectralNormalization::new(shorter(16)))
        .add(SpectralNormalization::new(shorter(32)))
        .add(SpectralNormalization::new(shorter(64)))
        .add(Flatten::new())
        .add(SpectralNormalization::new(Dense::new(1)))
        .build()
}

/// Mel spectrograms (clips, 32 bins, time) in decibels, down to 60 below the loudest.
fn spectrograms(clips: &Array3<f32>) -> gradus::Result<Array3<f32>> {
    let mel = MelSpectrogram::new()
        .sampling_rate(f64::from(RATE))
        .fft_length(256)
        .sequence_stride(64)
        .num_mel_bins(32)
        .top_db(60.0);
    mel.transform(&clips.slice(s![.., .., 0]))
}

/// The spectra of clips, (clips, 32): spectrograms averaged over time.
fn spectra(clips: &Array3<f32>) -> gradus::Result<Array2<f32>> {
    Ok(spectrograms(clips)?.mean_axis(Axis(2)).expect("some pieces"))
}

/// How like itself a clip is a period later, on average: the greatest correlation of its samples with those one period of
/// a possible pitch later. 1 for a voice that does not change, near 0 for noise, whatever its spectrum is.
fn periodicity(clips: &Array3<f32>) -> f64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 40 and 80 samples
    let [shortest, longest] = [PITCHES[1], PITCHES[0]].map(|pitch| (RATE as f32 / pitch) as usize);
    let of_clip = |clip: gradus::ndarray::ArrayView2<'_, f32>| {
        let clip = clip.slice(s![64..SAMPLES - 64, 0]).to_vec();
        let product = |a: &[f32], b: &[f32]| f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
        let correlation = |lag: usize| {
            let (early, late) = (&clip[..clip.len() - lag], &clip[lag..]);
            product(early, late) / (product(early, early) * product(late, late)).sqrt().max(f64::MIN_POSITIVE)
        };
        (shortest - 2..=longest + 2).map(correlation).fold(0.0, f64::max)
    };
    clips.outer_iter().map(of_clip).sum::<f64>() / clips.len_of(Axis(0)) as f64
}

/// Clips one after another, a little silence between them.
fn joined(clips: &Array3<f32>, count: usize) -> Array1<f32> {
    let silence = Array1::zeros(SAMPLES / 4);
    let parts: Vec<_> = (0..count).flat_map(|i| [clips.slice(s![i, .., 0]), silence.view()]).collect();
    concatenate(Axis(0), &parts).expect("parts of one axis")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::Arguments::read(80);
    let (rows, count) = if arguments.smoke { (256, 64) } else { (4096, 1000) };
    let real = vowels(rows, arguments.seed);
    let mut gan =
        Gan::new(Generator::new(generator(arguments.seed)?)?, Discriminator::new(discriminator(arguments.seed + 1)?)?)
            .loss(GanLoss::Hinge)
            .generator_optimizer(Adam::new().learning_rate(1e-3).beta_1(0.5))
            .discriminator_optimizer(Adam::new().learning_rate(3e-4).beta_1(0.5))
            .seed(arguments.seed)
            .build()?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;

    // Other voices than those that it learned from: what generated ones are held against, and how near real ones come.
    let (reference, others) = (vowels(count, 1 << 32), vowels(count, 2 << 32));
    let of_reference = spectra(&reference)?;
    let distance = |clips: &Array3<f32>| frechet_distance(&of_reference, &spectra(clips)?);
    let sample = |gan: &Gan, count: usize| -> gradus::Result<Array3<f32>> {
        Ok(gan.sample(count, 1)?.into_dimensionality().expect("(clips, samples, 1)"))
    };
    gan.fit(
        &real,
        GanFit::new().batch_size(64).epochs(arguments.epochs).verbose(0).on_epoch_end(|state, logs| {
            if (state.epoch + 1) % 10 == 0 {
                let made = sample(state.gan, count)?;
                println!("epoch {}: {logs} - distance: {:.0}", state.epoch + 1, distance(&made)?);
            }
            Ok(())
        }),
    )?;

    let made = sample(&gan, count)?;
    // Noise of the same loudness: what a generator would make that has learned nothing.
    let mut noise = Array3::zeros((count, SAMPLES, 1));
    gradus::kernels::random::normal(1, 0, noise.as_slice_mut().expect("row-major"));
    let loudness = reference.iter().map(|x| x * x).sum::<f32>() / reference.len() as f32;
    noise.mapv_inplace(|x: f32| x * loudness.sqrt());
    println!(
        "Fréchet distance of spectra, real against real: {:.1}; noise: {:.0}",
        distance(&others)?,
        distance(&noise)?
    );
    println!("Periodicity of real sounds: {:.3}; noise: {:.3}", periodicity(&reference), periodicity(&noise));

    let mean = |clips: &Array3<f32>| -> gradus::Result<Vec<f64>> {
        let mean = spectra(clips)?.mean_axis(Axis(0)).expect("some clips");
        Ok(mean.iter().map(|&db| f64::from(db)).collect())
    };
    let bins: Vec<f64> = (1..=32).map(f64::from).collect();
    LinePlot::new("Mean spectra")
        .x_label("mel bin")
        .y_label("dB")
        .line("real", &bins, &mean(&reference)?)
        .line("made", &bins, &mean(&made)?)
        .line("noise", &bins, &mean(&noise)?)
        .save(arguments.picture("gan_audio/spectra.png")?)?;
    let shown = concatenate(Axis(0), &[reference.slice(s![..8, .., ..]), made.slice(s![..8, .., ..])])?;
    let mut pictures = spectrograms(&shown)?;
    // Low pitches below; the loudest white, 60 dB below it black.
    pictures.invert_axis(Axis(1));
    let (low, high) = pictures.iter().fold((f32::MAX, f32::MIN), |(low, high), &db| (low.min(db), high.max(db)));
    pictures.mapv_inplace(|db| (db - low) / (high - low));
    let picture = images::enlarge(&images::grid(&pictures, 8, 1)?, 4)?;
    images::write_png(arguments.picture("gan_audio/spectrograms.png")?, &picture)?;
    for (name, clips) in [("real", &reference), ("made", &made)] {
        let path = arguments.output.join(format!("gan_audio/{name}.wav"));
        audio::write_wav(&path, &joined(clips, 16), RATE)?;
        println!("Sound: {}", path.display());
    }
    println!("Periodicity: {:.3}", periodicity(&made));
    println!("Fréchet distance of spectra: {:.1}", distance(&made)?);
    Ok(())
}
