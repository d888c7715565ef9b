//! Files that nobody should trust, made by `hostile.py`: what is read of them, and with which word the rest is refused.

use std::fs;
use std::path::{Path, PathBuf};

use gradus::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras/hostile")
}

fn model() -> Model {
    Sequential::new().input([3]).add(Dense::new(2)).seed(3).build().expect("a valid model")
}

#[test]
fn weights_are_read_in_every_form_that_hdf5_gives_them() {
    let (kernel, bias) = (array![[0.5f32, -1.5], [2.0, 0.25], [-0.75, 3.0]], array![0.125f32, -4.0]);
    let mut read = 0;
    for entry in fs::read_dir(folder()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.starts_with("good") {
            continue;
        }
        let mut model = model();
        model.load_keras_weights(&path).unwrap_or_else(|error| panic!("{error}"));
        // Whole numbers hold four and eight times as much.
        let (a, b) = if name.contains("whole_numbers") { (4.0, 8.0) } else { (1.0, 1.0) };
        assert_eq!(model.weight("dense/kernel").expect("it is there"), (&kernel * a).into_dyn(), "{name}");
        assert_eq!(model.weight("dense/bias").expect("it is there"), (&bias * b).into_dyn(), "{name}");
        read += 1;
    }
    assert_eq!(read, 11);
}

#[test]
fn hostile_weights_are_refused_by_name_and_change_nothing() {
    let refused = [
        ("soft_link", "a soft link"),
        ("external_link", "a link into another file"),
        ("external_storage", "external storage"),
        ("virtual", "a virtual layout"),
        ("shape_bomb", "(1099511627776, 1048576), which no file can hold"),
        ("chunk_bomb", "more values than its shape has"),
        ("never_written", "values that were never written"),
        ("missing_chunks", "2 of 6 chunks"),
        ("unknown_filter", "filter 32000"),
        ("opaque", "opaque values in place of numbers"),
        ("texts", "texts in place of numbers"),
        ("structure", "a value that is a structure"),
        ("named_type", "a message that lies elsewhere"),
        ("latest_chunks", "libver=\"latest\""),
        ("latest_heap", "fractal heap"),
        ("wrong_shape", "expected the shape (3, 2) of `dense/kernel`, received (2, 3)"),
        ("missing_weight", "2 weights of `dense/kernel`, received 1 arrays"),
        ("one_too_many", "2 weights of `dense/kernel`, received 3 arrays"),
        ("layer_too_many", "layers/dense_1"),
        ("circle", "layers/dense/again/dense"),
        ("array_in_place_of_group", "no group"),
    ];
    for (name, word) in refused {
        let mut model = model();
        let before = model.get_weights();
        let error = model.load_keras_weights(folder().join(format!("{name}.weights.h5")));
        let error = error.expect_err(name).to_string();
        assert!(error.contains(word) && error.contains(name), "{name}: {error}");
        assert_eq!(model.get_weights(), before, "{name}");
    }
}

#[test]
fn hostile_models_are_refused_by_name() {
    let refused = [
        ("lambda", "Lambda `run_me`"),
        ("lambda_in_graph", "Lambda `run_me`"),
        ("lambda_activation", "__lambda__"),
        ("module", "`system`"),
        ("function", "whose `config` is an object"),
        ("get_file", "`get_file`"),
        ("operators", "`exp` (Exp), `add` (Add)"),
        ("constant", "an argument number 1, 2.0"),
        ("argument", "as `scale`, which it does not take"),
        ("training", "`training` = true"),
        ("mask", "a mask that does not come from an `Embedding` or `Masking`"),
        (
            "masked_attention",
            "would get a mask from an `Embedding` or `Masking` before it, which Keras does not give it",
        ),
        ("no_such_tensor", "outputs that are never made"),
        ("circle", "a cycle or a gap"),
        ("size_bomb", "memory"),
        ("wide_bomb", "expected the shape (3, 268435456)"),
        ("deep", "recursion limit"),
        ("unknown_layers", "`Fancy`, `Other`"),
        ("no_config", "config.json"),
        ("npz", "model.weights.npz"),
        ("no_json", "no JSON"),
        ("no_hdf5", "not an HDF5 file"),
        ("zip_bomb", "cannot hold"),
    ];
    for (name, word) in refused {
        let error = Model::<f32>::load_keras(folder().join(format!("{name}.keras"))).expect_err(name).to_string();
        assert!(error.contains(word), "{name}: {error}");
    }
    Model::<f32>::load_keras(folder().join("good.keras")).expect("the same without anything hostile");
}

/// A file that ends anywhere is an error, never a panic.
#[test]
fn a_file_cut_short_is_refused() {
    let path = std::env::temp_dir().join(format!("gradus-cut-{}.weights.h5", std::process::id()));
    let whole = fs::read(folder().join("good_chunks.weights.h5")).expect("a file");
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).expect("written");
        model().load_keras_weights(&path).expect_err("it ends too early");
    }
    fs::remove_file(&path).expect("removed");
}

#[test]
fn a_lambda_runs_the_code_that_a_program_gives_for_it() {
    let registry = Registry::<f32>::standard().with_layer_fn("Lambda", |options, _| {
        assert_eq!(options["name"], "run_me");
        Ok(gradus::custom::AnyLayer::single(Activation::Relu))
    });
    let error =
        Model::load_keras_with(folder().join("lambda.keras"), &registry).expect_err("the file has weights of a layer");
    assert!(error.to_string().contains("layers/dense"), "{error}");
    let config = serde_json::json!({ "class_name": "Sequential", "config": { "layers": [
        { "class_name": "InputLayer", "config": { "batch_shape": [null, 2] } },
        { "class_name": "Lambda", "config": { "name": "run_me" } },
    ] } });
    let model = Model::from_config(&config, &registry).expect("a Lambda that is known");
    assert_eq!(model.predict(&array![[-1.0f32, 2.0]]).expect("it runs"), array![[0.0, 2.0]].into_dyn());
}
