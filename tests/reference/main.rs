//! Runs reference cases, numbers from Keras, PyTorch and scikit-learn, through the public API and compares.
//!
//! Cases lie in folders below `tests/reference`, a test each, or below `$GRADUS_REFERENCE`; see
//! `tests/reference/generate`.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::needless_for_each)]

mod applications;
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
mod report;
mod scores;
mod text;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use case::{Case, Outcome};
use report::Report;

/// A test for each committed group, so that they run side by side.
macro_rules! groups {
    ($($(#[$only:meta])* $group:ident),+ $(,)?) => {
        /// The folders that must be there.
        const GROUPS: &[&str] = &[$(stringify!($group)),+];
        /// Those of them that this build runs.
        const TESTED: &[&str] = &[$($(#[$only])* stringify!($group)),+];
        mod group {
            $($(#[$only])* #[test] fn $group() { super::run_committed(stringify!($group)); })+
        }
    };
}

groups! {
    activations,
    #[cfg(feature = "audio")]
    audio,
    #[cfg(feature = "audio")]
    audio_librosa,
    convolutions,
    images,
    layers,
    losses,
    losses_torch,
    metrics,
    models,
    models_conv,
    models_gan,
    models_recurrent,
    models_stateful,
    normalization,
    optimizers,
    optimizers_shaped,
    optimizers_torch,
    pooling,
    preprocessing,
    recurrent_cells,
    schedules,
    scores,
    sequences,
    spectral,
    splits,
    text,
}

#[test]
fn every_committed_folder_is_in_the_list_of_groups() {
    let folders = case::groups(&committed());
    let folders: Vec<_> = folders.iter().map(|folder| folder.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(folders, GROUPS, "the folders of tests/reference (left) and `groups!` in tests/reference/main.rs");
}

/// The cases of `$GRADUS_REFERENCE`, where it is set: then no others are run.
#[test]
fn given_folder() {
    let Some(root) = given() else { return };
    let mut report = Report::default();
    for folder in case::groups(&root) {
        report.add(run_group(&folder));
    }
    // In one piece, and on a line of its own: the harness writes beside it.
    print!("\n{}{}", report.problems(), report.table());
    assert!(report.count() > 0, "no cases below {}", root.display());
    report.check(env::var("GRADUS_STRICT").is_ok_and(|value| value == "1"));
}

fn given() -> Option<PathBuf> {
    env::var_os("GRADUS_REFERENCE").map(PathBuf::from)
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn run_committed(group: &str) {
    /// The groups that are done, and what became of their cases.
    static ALL: Mutex<(usize, Report)> = Mutex::new((0, Report::new()));

    if given().is_some() {
        return;
    }
    let report = run_group(&committed().join(group));
    print!("\n{}", report.problems());
    let (count, failed) = (report.count(), report.clone());
    {
        let (done, all) = &mut *ALL.lock().unwrap();
        *done += 1;
        all.add(report);
        if *done == TESTED.len() {
            print!("\n{}", all.table());
        }
    }
    assert!(count > 0, "no cases");
    failed.check(true);
}

fn run_group(folder: &Path) -> Report {
    let mut report = Report::default();
    for case in case::read_group(folder) {
        report.enter(&case, run(&case));
    }
    report
}

/// Runs a case in the precision that it was computed in.
fn run(case: &Case) -> Outcome {
    match case.dtype.as_str() {
        "float32" => run_in::<f32>(case),
        _ => run_in::<f64>(case),
    }
}

fn run_in<F: gradus::Scalar>(case: &Case) -> Outcome {
    case.judge(|| match case.kind.split_once(':') {
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
    })
}
