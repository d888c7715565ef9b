//! Who speaks? Nine men say two Japanese vowels; a recurrent network hears 7 to 29 frames, the rest is masked.
//!
//! | | |
//! | --- | --- |
//! | data | Japanese Vowels, 270 + 370 utterances, 12 cepstrum coefficients a frame; Kudo, Toyama, Shimbo 1999; CC BY 4.0; ships in `data/speech` |
//! | command | `cargo run --example speaker_recognition` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.9811, 0.9838, 0.9757 (seeds 0, 1, 2); logistic regression on means 0.957 to 0.962 here, 0.984 in scikit-learn, which the network does not beat |
//! | time | 1.5 s of processor time (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::custom::*;
use gradus::data::ts::{self, Recordings};
use gradus::data::{PadSequences, Side};

/// Stands at frames that were not spoken; no utterance reaches it.
const SILENCE: f32 = -99.0;
/// The longest utterance.
const FRAMES: usize = 29;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(60);
    let file = |part: &str| datasets::file("speech", &format!("JapaneseVowels_{part}.ts"));
    let (train, test) = (ts::read::<f32>(file("TRAIN")?)?, ts::read::<f32>(file("TEST")?)?);

    let pad = PadSequences::new().maxlen(FRAMES).padding(Side::Post).value(SILENCE);
    let scale = Scale::of(&train);
    let (x_train, x_test) = (pad.pad_arrays(&scale.apply(&train))?, pad.pad_arrays(&scale.apply(&test))?);
    let (y_train, y_test) = (Array1::from(train.labels.clone()), Array1::from(test.labels.clone()));

    let mut model = Sequential::new()
        .input([FRAMES, 12])
        .add(Masking::new().mask_value(f64::from(SILENCE)))
        .add(GaussianNoise::new(0.3))
        .add(Bidirectional::new(GRU::new(64).return_sequences(true)))
        .add(GlobalAvgPool1D::new())
        .add(Dropout::new(0.4))
        .add(Dense::new(9).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(0.003))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    model.fit(&x_train, &y_train, Fit::new().batch_size(16).epochs(arguments.epochs))?;

    println!("Logistic regression on each utterance's mean frame: {:.4}", on_means(&scale, &train, &test, &arguments)?);
    println!("Test accuracy: {:.4}", model.evaluate(&x_test, &y_test)?["accuracy"]);
    Ok(())
}

/// Mean and deviation of each coefficient over all frames.
struct Scale {
    mean: Array1<f32>,
    deviation: Array1<f32>,
}

impl Scale {
    fn of(recordings: &Recordings<f32>) -> Self {
        let views: Vec<_> = recordings.series.iter().map(|series| series.view()).collect();
        let frames = gradus::ndarray::concatenate(Axis(0), &views).expect("all have twelve coefficients");
        let mean = frames.mean_axis(Axis(0)).expect("there are frames");
        Self { mean, deviation: frames.std_axis(Axis(0), 0.0) }
    }

    fn apply(&self, recordings: &Recordings<f32>) -> Vec<Array2<f32>> {
        recordings.series.iter().map(|frames| (frames - &self.mean) / &self.deviation).collect()
    }
}

/// The accuracy of the simplest that can be done: one layer on the mean of all frames.
fn on_means(
    scale: &Scale,
    train: &Recordings<f32>,
    test: &Recordings<f32>,
    arguments: &arguments::Arguments,
) -> gradus::Result<f64> {
    let means = |recordings| {
        let frames = scale.apply(recordings);
        Array2::from_shape_fn((frames.len(), 12), |(row, channel)| frames[row].column(channel).mean().unwrap_or(0.0))
    };
    let mut model = Sequential::new()
        .input([12])
        .add(Dense::new(9).activation(Softmax).kernel_regularizer(Regularizer::L2(0.001)))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new().learning_rate(0.03))
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    let epochs = if arguments.smoke { 1 } else { 200 };
    model.fit(&means(train), &Array1::from(train.labels.clone()), Fit::new().epochs(epochs).verbose(0))?;
    Ok(model.evaluate(&means(test), &Array1::from(test.labels.clone()))?["accuracy"])
}
