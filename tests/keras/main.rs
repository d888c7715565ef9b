//! Keras's files in and out: models that Keras 3.15 wrote (`generate.py`), and what it computes with them.
#![cfg(all(feature = "keras", feature = "npz"))]

mod hostile;

use std::fs;
use std::path::{Path, PathBuf};

use gradus::formats::npy;
use gradus::formats::safetensors::Tensor;
use gradus::prelude::*;

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras/files")
}

/// The inputs `x0`, … or the outputs `y0`, … of a case.
fn arrays<F: Scalar>(case: &str, letter: &str) -> Vec<ArrayD<F>> {
    let all = npy::read_npz(files().join(case).with_extension("npz")).expect("arrays of the case");
    (0..).map_while(|number| all.get(&format!("{letter}{number}"))).map(Tensor::to_array).collect()
}

/// The largest difference between a model's outputs and Keras's, relative to the largest output.
fn difference<F: Scalar>(model: &Model<F>, case: &str) -> f64 {
    let (x, y) = (arrays::<F>(case, "x"), arrays::<f64>(case, "y"));
    let outputs = model.predict_all(x.as_slice()).expect("inputs of the model's shapes");
    assert_eq!(outputs.len(), y.len());
    let mut worst = 0.0f64;
    for (output, y) in outputs.iter().zip(&y) {
        assert_eq!(output.shape(), y.shape());
        let largest = y.iter().fold(1.0f64, |largest, y| largest.max(y.abs()));
        for (a, b) in output.iter().zip(y) {
            worst = worst.max((a.f64() - b).abs() / largest);
        }
    }
    worst
}

/// The names of all files with this ending, sorted.
fn cases(ending: &str) -> Vec<String> {
    let names = fs::read_dir(files()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut cases: Vec<String> = names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect();
    cases.sort();
    cases
}

#[test]
fn every_model_of_keras_computes_the_same_here() {
    let cases = cases(".keras");
    assert!(cases.len() >= 22, "{cases:?}");
    let mut wrong = Vec::new();
    for case in cases {
        match Model::<f32>::load_keras(files().join(&case).with_extension("keras")) {
            Ok(model) => {
                let difference = difference(&model, &case);
                if !(difference < 1e-5) {
                    wrong.push(format!("{case}: differs by {difference}"));
                }
            }
            Err(error) => wrong.push(format!("{case}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn whole_models_in_hdf5_compute_the_same() {
    let cases = cases(".h5");
    assert!(cases.len() >= 6, "{cases:?}");
    for case in cases {
        let path = files().join(&case).with_extension("h5");
        let model = Model::<f32>::load_keras(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(difference(&model, &case) < 1e-5, "{case}");
    }
}

/// What Keras saved after two epochs is trained for a third here, and there.
#[test]
fn a_training_goes_on_as_in_keras() {
    let folder = files().join("resumed");
    let optimizers =
        ["adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "rmsprop", "scheduled", "sgd"];
    let mut wrong = Vec::new();
    for optimizer in optimizers {
        let saved = folder.join(optimizer).with_extension("keras");
        let (path, single) = (out(&format!("resumed_{optimizer}.keras")), Model::<f32>::load_keras(&saved));
        single.and_then(|model| model.save_keras(&path)).unwrap_or_else(|error| panic!("{error}"));
        // What is written here says as much as what Keras wrote.
        let mut model = Model::<f64>::load_keras(&path).unwrap_or_else(|error| panic!("{error}"));
        remove(&path);
        assert!(model.is_compiled(), "{optimizer}");
        let all = npy::read_npz(folder.join(optimizer).with_extension("npz")).expect("its arrays");
        let (x, y) = (all["x0"].to_array::<f64>(), all["y0"].to_array::<f64>());
        model.fit(&x, &y, Fit::new().epochs(1).batch_size(8).shuffle(false).verbose(0)).expect("it trains");
        let mut worst = 0.0f64;
        for (number, (_, weight)) in model.get_weights().into_iter().enumerate() {
            let expected = all[&format!("w{number}")].to_array::<f64>();
            worst = (weight - expected).iter().fold(worst, |worst, difference| worst.max(difference.abs()));
        }
        if !(worst < 2e-6) {
            wrong.push(format!("{optimizer}: {worst}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_file_of_keras_2_says_the_same_in_other_words() {
    let model = Model::<f32>::load_keras(files().join("earlier.h5")).unwrap_or_else(|error| panic!("{error}"));
    assert!(difference(&model, "earlier") < 1e-5);
    assert!(model.is_compiled());
    let error = model.save_keras(out("earlier.keras")).expect_err("Keras 3 has no such hard_sigmoid").to_string();
    assert!(error.contains("layer `lstm_1`: `recurrent_activation` must be one without options"), "{error}");
}

#[test]
fn frozen_layers_stay_frozen() {
    let inner =
        Sequential::new().input([3]).name("inner").add(Dense::new(3)).add(Dense::new(2)).build().expect("valid");
    let x = Input::new([3]);
    let model = ModelBuilder::new([&x], [&x.apply(Dense::new(3)).apply(inner).apply(Dense::new(2).name("head"))]);
    let compile = Compile::new(Adam::new()).loss(MeanSquaredError::new());
    let mut model = model.compile(compile).build().expect("valid");
    model.set_trainable("dense", false).and_then(|()| model.set_trainable("inner/dense_1", false)).expect("layers");
    let path = out("frozen.keras");
    model.save_keras(&path).expect("written");
    let mut again = Model::<f32>::load_keras(&path).unwrap_or_else(|error| panic!("{error}"));
    remove(&path);
    let (x, y) = (Array2::<f32>::ones((4, 3)), Array2::<f32>::ones((4, 2)));
    again.fit(&x, &y, Fit::new().verbose(0)).expect("it trains");
    for ((name, before), (_, after)) in model.get_weights().into_iter().zip(again.get_weights()) {
        let frozen = name.starts_with("dense/") || name.starts_with("inner/dense_1/");
        assert_eq!(before == after, frozen, "{name}");
    }
}

/// A model that other people trained: sleep stages from heart rates, of the package sleepecg (`files/real/README.md`).
#[test]
fn a_real_model_computes_what_keras_computes() {
    let model = Model::<f32>::load_keras(files().join("real/sleepecg_wrn_gru_mesa.keras"));
    assert_real(&model.unwrap_or_else(|error| panic!("{error}")), &files().join("real/sleepecg_wrn_gru_mesa_ref.npz"));
}

/// Larger ones, in the folder that `GRADUS_KERAS_REAL` names: `README.md` beside the other says where they are from.
#[test]
#[ignore = "its files are large, and not part of the repository"]
fn larger_real_models_compute_what_keras_computes() {
    let folder = PathBuf::from(std::env::var_os("GRADUS_KERAS_REAL").expect("the folder of the files"));
    let model =
        Model::<f32>::load_keras(folder.join("fer_emotion_model.hdf5")).unwrap_or_else(|error| panic!("{error}"));
    assert!(model.is_compiled(), "Adam with `lr`, which Keras 3 refuses");
    assert_real(&model, &folder.join("fer_emotion_model_ref.npz"));
}

fn assert_real(model: &Model, reference: &Path) {
    let arrays = npy::read_npz(reference).expect("arrays");
    let array =
        |letter| arrays.iter().find(|(name, _)| name.starts_with(letter)).expect("it is there").1.to_array::<f32>();
    let (y, expected) = (model.predict(&array("x")).expect("an input of its shape"), array("y"));
    assert_eq!(y.shape(), expected.shape());
    let worst = (y - expected).iter().fold(0.0f32, |worst, difference| worst.max(difference.abs()));
    assert!(worst < 1e-4, "{worst}");
}

/// Where files go: a folder for `check.py` if one is given.
fn out(name: &str) -> PathBuf {
    let folder = std::env::var_os("GRADUS_KERAS_OUT").map_or_else(std::env::temp_dir, PathBuf::from);
    fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

fn remove(path: &Path) {
    if std::env::var_os("GRADUS_KERAS_OUT").is_none() {
        fs::remove_file(path).expect("it was written");
    }
}

/// Whether Keras reads it is for `check.py` to say, whose answer is in `check.txt`.
#[test]
fn what_is_written_is_read_again() {
    for case in cases(".keras") {
        let model = Model::<f32>::load_keras(files().join(&case).with_extension("keras")).expect("a case of Keras");
        let path = out(&format!("{case}.keras"));
        model.save_keras(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
        let mut again = Model::<f32>::load_keras(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.get_weights(), model.get_weights(), "{case}");
        assert!(difference(&again, &case) < 1e-5, "{case}");
        remove(&path);
        let path = out(&format!("{case}.weights.h5"));
        model.save_keras_weights(&path).expect("written");
        let zeros: Vec<_> = again.get_weights().into_iter().map(|(name, array)| (name, array * 0.0)).collect();
        again.set_weights(zeros.iter().map(|(name, array)| (name, array))).expect("the same weights");
        again.load_keras_weights(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.get_weights(), model.get_weights(), "{case}");
        remove(&path);
    }
}
