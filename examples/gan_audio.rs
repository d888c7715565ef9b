//! A GAN of sounds: plucked strings as waveforms, sample by sample, by convolutions over time.
//!
//! | | |
//! | --- | --- |
//! | data | the six open strings of a guitar, an eighth of a second at 8 kHz; made here: fading harmonics, plucked at different places and more or less softly |
//! | command | `cargo run --release --all-features --example gan_audio` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | seed 0: periodicity 0.87 (real 0.99, noise 0.04), all six strings, each with 0.10 to 0.19 of the sounds; Fréchet distance of mel spectra 5230 (other real sounds 12, noise 22895): tones with hiss above them |
//! | time | 3.2 s of processor time an epoch (AMD EPYC, one thread) |
//! | writes | `target/pictures/gan_audio/real.wav`, `made.wav`; `spectra.png`, the mean spectra; `spectrograms.png`, real above, made below |

mod arguments;

use std::f32::consts::{PI, TAU};

use gradus::custom::*;
use gradus::data::audio::{self, MelSpectrogram};
use gradus::data::images;
use gradus::metrics::frechet_distance;
use gradus::ndarray::{ArrayView2, concatenate, s};
use gradus::plots::LinePlot;
use gradus::random;

const RATE: u32 = 8000;
const SAMPLES: usize = 1024;
const BATCH: usize = 64;
/// The open strings of a guitar, in Hertz.
const STRINGS: [f32; 6] = [82.41, 110.0, 146.83, 196.0, 246.94, 329.63];

/// Plucked strings (count, SAMPLES, 1), from −0.9 to 0.9, which all begin with the pluck. A string that is plucked at a
/// share p of its length sounds with the harmonics sin(πnp)/n, of which the high ones fade first.
fn plucks(count: usize, seed: u64) -> Array3<f32> {
    let mut chances = vec![0.0f32; 3 * count];
    gradus::kernels::random::uniform(random::hash("gan_audio") ^ seed, 0, &mut chances);
    let mut clips = Array3::<f32>::zeros((count, SAMPLES, 1));
    for (mut clip, chances) in clips.outer_iter_mut().zip(chances.chunks(3)) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 6
        let pitch = STRINGS[(chances[0] * 6.0) as usize];
        let (place, softness) = (0.1 + 0.2 * chances[1], 0.2 + 0.8 * chances[2]);
        let harmonics = (1..).map(|n| n as f32).take_while(|n| n * pitch < RATE as f32 / 2.0);
        for n in harmonics {
            let loudness = (PI * n * place).sin() / n;
            // How much of it is left from one sample to the next, and by what angle it goes on.
            let left = (-(4.0 + softness * n * n) / RATE as f32).exp();
            let (sin, cos) = (TAU * n * pitch / RATE as f32).sin_cos();
            let (mut x, mut y) = (loudness, 0.0);
            for sample in &mut clip {
                *sample += y;
                (x, y) = (left * (cos * x - sin * y), left * (sin * x + cos * y));
            }
        }
        // It is damped within the last 8 ms.
        clip.indexed_iter_mut().for_each(|((t, _), sample)| *sample *= ((SAMPLES - t) as f32 / 64.0).min(1.0));
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
        .add(Dense::new(16 * 64))
        .add(Reshape::new([16, 64]))
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

/// How like itself a clip is a period later: the correlation of its samples with those one period of each string later,
/// 1 for a tone of that string (or of one whose pitch is a multiple), near 0 for noise, whatever its spectrum is.
fn correlations(clip: &ArrayView2<'_, f32>) -> [f64; 6] {
    let clip = clip.column(0).to_vec();
    let product = |a: &[f32], b: &[f32]| f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
    STRINGS.map(|pitch| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 24 to 97 samples
        let lag = (RATE as f32 / pitch).round() as usize;
        let (early, late) = (&clip[..clip.len() - lag], &clip[lag..]);
        product(early, late) / (product(early, early) * product(late, late)).sqrt().max(f64::MIN_POSITIVE)
    })
}

/// The greatest of a clip's correlations, on average, and the share of the clips that are a tone of each string: the
/// highest string of those that fit nearly best.
fn tones(clips: &Array3<f32>) -> (f64, [f64; 6]) {
    let share = 1.0 / clips.len_of(Axis(0)) as f64;
    let (mut periodicity, mut strings) = (0.0, [0.0; 6]);
    for clip in clips.outer_iter() {
        let correlations = correlations(&clip);
        let best = correlations.iter().copied().fold(0.0, f64::max);
        periodicity += share * best;
        if let Some(string) = (0..6).rev().find(|&string| best > 0.8 && correlations[string] > best - 0.1) {
            strings[string] += share;
        }
    }
    (periodicity, strings)
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
    let real = plucks(rows, arguments.seed);
    // Both rates fall to 0, and the generator ends with the average of its weights: what is left of the noise in its sounds
    // comes from steps that are too long.
    let steps = (arguments.epochs * rows.div_ceil(BATCH)) as f64;
    let adam = |rate| Adam::new().learning_rate(CosineDecay::new(rate, steps)).beta_1(0.5);
    let mut gan =
        Gan::new(Generator::new(generator(arguments.seed)?)?, Discriminator::new(discriminator(arguments.seed + 1)?)?)
            .loss(GanLoss::Hinge)
            .generator_optimizer(adam(1e-3).use_ema(true).ema_momentum(0.995))
            .discriminator_optimizer(adam(3e-4))
            .seed(arguments.seed)
            .build()?;
    arguments.threads.map_or(Ok(()), |threads| gan.set_threads(threads))?;

    // Other voices than those that it learned from: what generated ones are held against, and how near real ones come.
    let (reference, others) = (plucks(count, 1 << 32), plucks(count, 2 << 32));
    let of_reference = spectra(&reference)?;
    let distance = |clips: &Array3<f32>| frechet_distance(&of_reference, &spectra(clips)?);
    let sample = |gan: &Gan, count: usize| -> gradus::Result<Array3<f32>> {
        Ok(gan.sample(count, 1)?.into_dimensionality().expect("(clips, samples, 1)"))
    };
    gan.fit(
        &real,
        Fit::new().batch_size(BATCH).epochs(arguments.epochs).verbose(0).on_epoch_end(|state, logs| {
            if (state.epoch + 1) % 10 == 0 {
                let made = sample(state.learner_as::<Gan>().expect("a GAN"), count)?;
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
    for (name, clips) in [("real", &reference), ("made", &made), ("noise", &noise)] {
        let (periodicity, strings) = tones(clips);
        println!("Periodicity, {name}: {periodicity:.3}; shares of the strings: {strings:.3?}");
    }
    println!("Fréchet distance of spectra: {:.1}", distance(&made)?);
    Ok(())
}
