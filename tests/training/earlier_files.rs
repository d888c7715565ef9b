//! Files that gradus 0.1.0 wrote when an optimizer's values still lay beside all weights: they load, and training goes on.
#![allow(clippy::unreadable_literal)] // weights as they were printed

use std::path::Path;

use gradus::formats::safetensors::{TensorData, TensorFile};
use gradus::prelude::*;

const CHECKPOINT: &str = "tests/data/checkpoint_adam_0_1_0.safetensors";
const MODEL: &str = "tests/data/model_sgd_0_1_0.safetensors";

/// A table, a matrix, vectors, and state that is not learned.
fn with_adam() -> gradus::Model {
    Sequential::new()
        .seed(7)
        .input([4])
        .add(Embedding::new(20, 3))
        .add(GlobalAvgPool1D::new())
        .add(Dense::new(4).activation(Tanh).use_bias(false))
        .add(BatchNormalization::new())
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), Adam::new().learning_rate(0.02).amsgrad(true).use_ema(true))
        .build()
        .unwrap()
}

fn with_sgd() -> gradus::Model {
    Sequential::new()
        .seed(8)
        .input([3])
        .add(Dense::new(4).activation(Tanh))
        .add(Dense::new(2).activation(Softmax))
        .compile(
            CategoricalCrossentropy::new(),
            SGD::new()
                .learning_rate(ExponentialDecay::new(0.1, 10.0, 0.5))
                .momentum(0.9)
                .nesterov(true)
                .clipnorm(1.0)
                .weight_decay(0.01),
        )
        .metric(Accuracy::new())
        .build()
        .unwrap()
}

fn tokens() -> (Array2<f32>, Array2<f32>) {
    let x = Array2::from_shape_fn((8, 4), |(i, j)| ((3 * i + 5 * j) % 13) as f32);
    (x, Array2::from_shape_fn((8, 1), |(i, _)| (i % 3) as f32 - 1.0))
}

fn features() -> (Array2<f32>, Array2<f32>) {
    let x = Array2::from_shape_fn((8, 3), |(i, j)| ((3 * i + 7 * j) % 11) as f32 / 5.0 - 1.0);
    (x, Array2::from_shape_fn((8, 2), |(i, j)| f32::from(u8::from(i % 2 == j))))
}

/// How the files were made.
#[test]
#[ignore = "writes the files anew, in today's form"]
fn write() -> gradus::Result<()> {
    let mut model = with_adam();
    let (x, y) = tokens();
    for _ in 0..3 {
        model.train_on_batch(&x, &y)?;
    }
    model.save_checkpoint(CHECKPOINT)?;
    let mut model = with_sgd();
    let (x, y) = features();
    for _ in 0..3 {
        model.train_on_batch(&x, &y)?;
    }
    model.save(MODEL)
}

/// The sum of each weight's values, each counted by its place: one number that tells of all.
fn told(model: &gradus::Model) -> Vec<f64> {
    let told = |(_, values): (String, ArrayD<f32>)| {
        values.iter().enumerate().map(|(i, &value)| (i + 1) as f64 * f64::from(value)).sum()
    };
    model.get_weights().into_iter().map(told).collect()
}

fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    let near = got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 2e-5 * (1.0 + expected.abs()));
    assert!(near, "{got:?} not {expected:?}");
}

fn bits(file: &TensorFile, name: &str) -> Vec<u32> {
    match file.tensor(name).unwrap().data() {
        TensorData::F32(values) => values.iter().map(|value| value.to_bits()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Saves what was loaded, and holds it against the file that it came from.
fn assert_holds(model: &gradus::Model, of: &str, write: impl Fn(&gradus::Model, &Path) -> gradus::Result<()>) {
    let again = std::env::temp_dir().join(format!("gradus-{}-{}", std::process::id(), of.replace('/', "-")));
    write(model, &again).unwrap();
    let (old, new) = (TensorFile::read(of).unwrap(), TensorFile::read(&again).unwrap());
    std::fs::remove_file(again).unwrap();
    assert!(new.tensors.len() >= 4);
    for name in new.tensors.keys() {
        assert_eq!(bits(&old, name), bits(&new, name), "{name}");
    }
    for (name, text) in new.metadata.iter().filter(|(name, _)| *name == "training") {
        assert_eq!(old.metadata[name], *text);
    }
}

#[test]
fn a_checkpoint_goes_on() -> gradus::Result<()> {
    let mut model = with_adam();
    model.resume(CHECKPOINT)?;
    assert_holds(&model, CHECKPOINT, |model, path| model.save_checkpoint(path));
    let (x, y) = tokens();
    for _ in 0..3 {
        model.train_on_batch(&x, &y)?;
    }
    let expected = [-4.9953675, -2.4569856, 9.5166665, 0.0011745, 0.0008087, 9.4152799, -2.4917767, -0.0746114];
    assert_near(&told(&model), &expected);
    Ok(())
}

#[test]
fn a_whole_model_goes_on() -> gradus::Result<()> {
    let mut model = gradus::Model::<f32>::load(MODEL)?;
    assert_holds(&model, MODEL, |model, path| model.save(path));
    let (x, y) = features();
    for _ in 0..3 {
        model.train_on_batch(&x, &y)?;
    }
    assert_near(&told(&model), &[-12.3362253, -0.0353061, 4.1679491, 0.0399572]);
    Ok(())
}
