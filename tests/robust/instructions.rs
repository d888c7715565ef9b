//! The versions of the kernels for each kind of processor: a network of every kind learns the same with all of them, but
//! for rounding.

use std::path::Path;

use gradus::custom::*;
use gradus::formats::safetensors::TensorFile;

use super::child;

/// Values of predictions may differ by so much of their size or of 1, those of weights after some steps by more.
const OF_PREDICTIONS: f64 = 2e-5;
const OF_WEIGHTS: f64 = 2e-4;
/// The same in `f64`.
const OF_PREDICTIONS_F64: f64 = 1e-12;
const OF_WEIGHTS_F64: f64 = 1e-11;

fn networks<F: Scalar>() -> Vec<(&'static str, gradus::Result<Model<F>>)> {
    let chain = |input: &[usize]| Sequential::<F>::default().input(input).seed(3);
    let end = |chain: Sequential<F>| {
        chain.add(Dense::new(3)).compile(MeanSquaredError::new(), SGD::new().learning_rate(0.05)).build()
    };
    let attention = {
        let x = Input::of::<F>([9, 12]);
        let y = call(MultiHeadAttention::new(3, 5), [&x, &x]).apply(LayerNormalization::new());
        let y = call(Add::new(), [&x, &y]).apply(GlobalAvgPool1D::new()).apply(Dense::new(3));
        let compile = Compile::new(SGD::new().learning_rate(0.05)).loss(MeanSquaredError::new());
        ModelBuilder::new([&x], [&y]).seed(3).compile(compile).build()
    };
    vec![
        ("dense", end(chain(&[37]).add(Dense::new(65).activation(Gelu)).add(Dense::new(70).activation(Softmax)))),
        (
            "convolutions",
            end(chain(&[12, 11, 3])
                .add(Conv2D::new(13, 3).padding(Padding::Same).activation(Relu))
                .add(BatchNormalization::new())
                .add(MaxPool2D::new())
                .add(DepthwiseConv2D::new(3))
                .add(SeparableConv2D::new(9, 2).activation(Tanh))
                .add(Conv2DTranspose::new(4, 3).strides(2))
                .add(GlobalAvgPool2D::new())),
        ),
        (
            "winograd",
            end(chain(&[14, 14, 48])
                .add(Conv2D::new(48, 3).padding(Padding::Same).activation(Relu))
                .add(Conv2D::new(56, 3).padding(Padding::Same))
                .add(AvgPool2D::new().pool_size(7))
                .add(Flatten::new())),
        ),
        ("volumes", end(chain(&[5, 6, 7, 2]).add(Conv3D::new(6, 2)).add(AvgPool3D::new()).add(Flatten::new()))),
        ("lstm", end(chain(&[11, 9]).add(LSTM::new(17).return_sequences(true)).add(Bidirectional::new(LSTM::new(5))))),
        ("gru", end(chain(&[11, 9]).add(GRU::new(17).return_sequences(true)).add(GRU::new(6)))),
        ("simple", end(chain(&[7, 9]).add(RNN::new(17)).add(UnitNormalization::new()))),
        ("convlstm", end(chain(&[4, 6, 6, 2]).add(ConvLSTM2D::new(3, 3)).add(GlobalMaxPool2D::new()))),
        ("dropout", end(chain(&[50]).add(Dropout::new(0.4)).add(GaussianNoise::new(0.1)).add(Dense::new(33)))),
        (
            "groups",
            end(chain(&[6, 6, 8])
                .add(GroupNormalization::new().groups(4))
                .add(UpSampling2D::new())
                .add(Flatten::new())),
        ),
        ("attention", attention),
    ]
}

fn outputs<F: Scalar + gradus::formats::safetensors::Element>(scalar: &str, file: &mut TensorFile) {
    for (name, model) in networks::<F>() {
        let mut model = model.unwrap();
        let shape = [&[24], model.input_shape(0)].concat();
        let mut state = 1u64;
        let x = ArrayD::from_shape_fn(shape, |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            F::of((state >> 40) as f64 / f64::from(1 << 23) - 1.0)
        });
        let y = Array2::from_shape_fn((24, 3), |(i, j)| F::of(((i * 5 + j * 3) % 7) as f64 / 7.0));
        file.insert(format!("{scalar}/prediction/{name}"), &model.predict(&x).unwrap());
        model.fit(&x, &y, Fit::new().batch_size(12).epochs(3).verbose(0)).unwrap();
        for (path, weight) in model.get_weights() {
            file.insert(format!("{scalar}/weight/{name}/{path}"), &weight);
        }
    }
}

/// The body of a child: what its instructions compute.
#[test]
fn networks_in_a_child() {
    let Some(path) = child::told() else { return };
    let mut file = TensorFile::new();
    let asked = std::env::var("GRADUS_INSTRUCTIONS").unwrap();
    if let Err(error) = Sequential::new().input([1]).add(Dense::new(1)).build() {
        assert!(error.to_string().contains("`GRADUS_INSTRUCTIONS` must be one of portable"), "{error}");
        return;
    }
    assert_eq!(gradus::kernels::instructions(), asked);
    outputs::<f32>("f32", &mut file);
    outputs::<f64>("f64", &mut file);
    file.write(Path::new(&path)).unwrap();
}

/// What a child computes with these instructions; none if the processor has not got them.
fn with(instructions: &str, folder: &Path, time: usize) -> Option<TensorFile> {
    let path = folder.join(format!("{instructions}-{time}"));
    let mut command = child::command("instructions::networks_in_a_child", &path.to_string_lossy(), "");
    let output = command.env("GRADUS_INSTRUCTIONS", instructions).output().unwrap();
    assert!(output.status.success(), "{instructions}: {}", String::from_utf8_lossy(&output.stderr));
    path.exists().then(|| TensorFile::read(&path).unwrap())
}

#[test]
fn every_version_learns_the_same() {
    let folder = child::folder("instructions");
    let plain = with("portable", &folder, 0).expect("every processor has it");
    assert!(with("portable", &folder, 1).unwrap() == plain, "the same bits again");
    assert!(with("mmx", &folder, 0).is_none(), "no instructions of gradus");
    for instructions in ["avx2", "avx512"] {
        let Some(other) = with(instructions, &folder, 0) else {
            println!("this processor has no {instructions}");
            continue;
        };
        assert_eq!(other.tensors.len(), plain.tensors.len());
        let mut worst = std::collections::BTreeMap::<String, f64>::new();
        for (name, tensor) in &plain.tensors {
            let numbers = |file: &TensorFile| -> Vec<f64> {
                match file.get::<f64>(name) {
                    Ok(values) => values.iter().copied().collect(),
                    Err(_) => file.get::<f32>(name).unwrap().iter().map(|&x| f64::from(x)).collect(),
                }
            };
            let limit = match (name.starts_with("f64"), name.contains("/weight/")) {
                (false, false) => OF_PREDICTIONS,
                (false, true) => OF_WEIGHTS,
                (true, false) => OF_PREDICTIONS_F64,
                (true, true) => OF_WEIGHTS_F64,
            };
            for (a, b) in numbers(&plain).into_iter().zip(numbers(&other)) {
                let apart = (a - b).abs() / a.abs().max(1.0);
                assert!(apart <= limit, "{instructions}: {name} {:?}: {a} and {b}", tensor.shape());
                let kind = name.split('/').take(2).collect::<Vec<_>>().join("/");
                let worst = worst.entry(kind).or_default();
                *worst = worst.max(apart);
            }
        }
        println!("{instructions} and portable differ by at most {worst:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
