//! Every class of the registry is checked, compared with a peer, and told of.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gradus::prelude::Registry;
use serde_json::Value;

/// Classes whose type has another name in Rust.
const TYPES: [(&str, &str); 2] = [("SimpleRNN", "RNN"), ("Softmax", "SoftmaxLayer")];

/// Classes whose reference cases are of another kind than `layer:CLASS`, `loss:CLASS` …, and why.
const OTHER_KINDS: [(&str, &str); 7] = [
    ("layer:Normalization", "preprocess:Normalization"), // its statistics are learned from data, not by training
    ("loss:BernoulliNLL", "loss:torch.BCELoss"),         // PyTorch's losses have its names
    ("loss:GaussianNLL", "loss:torch.GaussianNLLLoss"),
    ("loss:HingeEmbedding", "loss:torch.HingeEmbeddingLoss"),
    ("loss:NLL", "loss:torch.NLLLoss"),
    ("loss:PoissonNLL", "loss:torch.PoissonNLLLoss"),
    ("loss:SmoothL1", "loss:torch.SmoothL1Loss"),
];

/// Classes that no case is named after, and why.
const WITHOUT_CASES: [&str; 2] = [
    "layer:WithMask",  // Keras has no such layer: every case with a mask gives it through this one
    "metric:accuracy", // by its loss it is BinaryAccuracy, CategoricalAccuracy or SparseCategoricalAccuracy
];

#[test]
fn every_layer_is_in_the_list_of_checks() {
    let checks = include_str!("main.rs");
    let code: Vec<&str> = checks.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let words = words(&code);
    let unchecked = classes().into_iter().filter(|class| class.starts_with("layer:"));
    let unchecked: Vec<String> = unchecked.filter(|class| !words.contains(type_of(class).as_str())).collect();
    assert!(unchecked.is_empty(), "not in tests/conformance/main.rs: {unchecked:?}");
}

#[test]
fn every_class_has_reference_cases() {
    let kinds = kinds();
    let other = |class: &str| OTHER_KINDS.iter().find(|(known, _)| *known == class).map(|(_, kind)| *kind);
    let expected = |class: &str| other(class).map_or_else(|| class.replace("metric:", "metric:keras."), str::to_owned);
    let (there, missing): (Vec<String>, Vec<String>) =
        classes().into_iter().partition(|class| kinds.contains(&expected(class)));
    let excepted = |class: &String| WITHOUT_CASES.contains(&class.as_str());
    let missing: Vec<String> = missing.into_iter().filter(|class| !excepted(class)).collect();
    assert!(missing.is_empty(), "no cases in tests/reference: {missing:?}");
    let needless: Vec<String> = there.into_iter().filter(excepted).collect();
    assert!(needless.is_empty(), "have cases, and are no exceptions: {needless:?}");
}

#[test]
fn every_class_is_in_the_table_of_names() {
    let page = fs::read_to_string(root().join("docs/keras-to-gradus.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    let told = words(&rows.join("\n")).into_iter().map(short).collect::<BTreeSet<_>>();
    let untold: Vec<String> = classes().into_iter().filter(|class| !told.contains(&type_of(class))).collect();
    assert!(untold.is_empty(), "not in the table of docs/keras-to-gradus.md: {untold:?}");
}

#[test]
fn every_exception_is_of_a_class() {
    let classes = classes();
    let excepted = OTHER_KINDS.iter().map(|(class, _)| *class).chain(WITHOUT_CASES);
    let gone: Vec<&str> = excepted.filter(|class| !classes.contains(*class)).collect();
    assert!(gone.is_empty(), "no class of the registry: {gone:?}");
}

/// What the registry makes, as `layer:Dense`; of two names that a pooling layer has, the shorter.
fn classes() -> BTreeSet<String> {
    let registry = Registry::<f64>::standard();
    let each = [
        ("layer", registry.layer_classes()),
        ("loss", registry.loss_classes()),
        ("metric", registry.metric_classes()),
        ("optimizer", registry.optimizer_classes()),
    ];
    let named = |(what, classes): (&str, Vec<&str>)| -> Vec<String> {
        classes.into_iter().map(|class| format!("{what}:{}", short(class))).collect()
    };
    each.into_iter().flat_map(named).collect()
}

/// `MaxPool2D` for `MaxPooling2D`, `AvgPool2D` for `AveragePooling2D`.
fn short(class: &str) -> String {
    class.replace("AveragePool", "AvgPool").replace("Pooling", "Pool")
}

/// The name in Rust of a class like `layer:Dense`.
fn type_of(class: &str) -> String {
    let (what, class) = class.split_once(':').unwrap();
    let renamed = TYPES.iter().find(|(known, _)| what == "layer" && *known == class);
    renamed.map_or(class, |(_, name)| *name).to_owned()
}

/// The kinds of all committed cases, those of layers by their short names.
fn kinds() -> BTreeSet<String> {
    let folders = fs::read_dir(root().join("tests/reference")).unwrap();
    let files = folders.map(|folder| folder.unwrap().path().join("cases.json")).filter(|file| file.is_file());
    let mut kinds = BTreeSet::new();
    for file in files {
        let group: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        kinds.extend(group["cases"].as_array().unwrap().iter().map(|case| short(case["kind"].as_str().unwrap())));
    }
    kinds
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
