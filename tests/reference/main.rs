//! Runs reference cases, numbers from Keras, PyTorch and scikit-learn, through the public API and compares.
//!
//! Cases lie in folders below `tests/reference`, or below `$GRADUS_REFERENCE`; see `tests/reference/generate`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::needless_for_each)]

#[cfg(feature = "audio")]
mod audio;
mod callbacks;
mod case;
mod gan;
mod images;
mod layers;
mod losses;
mod metrics;
mod models;
mod optimizers;
mod preprocess;
mod scores;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use case::{Case, Outcome};

/// What became of the cases of one kind.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

#[test]
fn gradus_gives_the_numbers_of_its_peers() {
    let given = std::env::var_os("GRADUS_REFERENCE").map(PathBuf::from);
    let committed = given.is_none();
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"));
    let strict = committed || std::env::var("GRADUS_STRICT").is_ok_and(|value| value == "1");
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut complaints, mut missing) = (Vec::new(), Vec::new());
    for case in case::read_all(&root) {
        let tally = tallies.entry(case.kind.clone()).or_default();
        match run(&case) {
            Outcome::Passed => tally.passed += 1,
            Outcome::Failed(what) => {
                tally.failed += 1;
                complaints.push(format!("failed       {} {}: {what}", case.kind, case.id));
            }
            Outcome::Unsupported(what) => {
                tally.unsupported += 1;
                missing.push(format!("unsupported  {} {}: {what}", case.kind, case.id));
            }
        }
    }
    let line = |name: &str, tally: &Tally| {
        println!("{name}  {} passed  {} failed  {} unsupported", tally.passed, tally.failed, tally.unsupported);
    };
    complaints.iter().chain(&missing).for_each(|text| println!("{text}"));
    tallies.iter().for_each(|(kind, tally)| line(kind, tally));
    let mut total = Tally::default();
    for tally in tallies.values() {
        total.passed += tally.passed;
        total.failed += tally.failed;
        total.unsupported += tally.unsupported;
    }
    line("total", &total);
    assert!(total.passed + total.failed + total.unsupported > 0, "no cases below {}", root.display());
    assert_eq!(total.failed, 0, "cases failed");
    assert!(!strict || total.unsupported == 0, "cases are not supported");
}

/// Runs a case in the precision that it was computed in.
fn run(case: &Case) -> Outcome {
    match case.dtype.as_str() {
        "float32" => run_in::<f32>(case),
        _ => run_in::<f64>(case),
    }
}

fn run_in<F: gradus::Scalar>(case: &Case) -> Outcome {
    let results = match case.kind.split_once(':') {
        Some(("layer" | "activation", class)) => layers::run::<F>(case, class),
        Some(("loss", class)) => losses::run::<F>(case, class),
        Some(("optimizer", class)) => optimizers::run::<F>(case, class),
        Some(("schedule", class)) => optimizers::run_schedule::<F>(case, class),
        Some(("callback", class)) => callbacks::run::<F>(case, class),
        Some(("model", "GAN")) => gan::run::<F>(case),
        Some(("metric", class)) => match class.strip_prefix("keras.") {
            Some(class) => metrics::run::<F>(case, class),
            None => scores::run::<F>(case, class),
        },
        Some(("preprocess", name @ ("TextVectorization" | "pad_sequences" | "timeseries_dataset_from_array"))) => {
            text::run::<F>(case, name)
        }
        Some(("preprocess", class)) if class.starts_with("image.") => {
            images::run::<F>(case, class.trim_start_matches("image."))
        }
        #[cfg(feature = "audio")]
        Some(("preprocess", name)) if audio::KINDS.contains(&name) => audio::run::<F>(case, name),
        Some(("preprocess", class)) => preprocess::run::<F>(case, class),
        None if case.kind == "model" => models::run::<F>(case),
        _ => Err(case::unsupported("cases of this kind")),
    };
    case.judge(results)
}
