//! A crate that depends on gradus alone builds in debug mode, has layers of its own, and trains MNIST.
#![cfg(feature = "datasets")]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

#[test]
fn a_crate_of_a_users_own_builds_and_trains() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // In a folder of its own, so that nothing is written beside the sources.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dependent");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = fs::read_to_string(root.join("tests/dependent/Cargo.toml")).unwrap();
    let manifest = manifest.replace("../..", root.to_str().unwrap());
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that this repository was tested with.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::copy(root.join("tests/dependent/src/main.rs"), folder.join("src/main.rs")).unwrap();

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--offline", "--"])
        .arg(root.join("data/mnist"))
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_PROFILE_DEV_DEBUG", "false") // nobody debugs it
        .output()
        .unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{errors}");
    let accuracy = out.split_whitespace().nth(1).and_then(|number| number.parse::<f64>().ok());
    assert!(accuracy.is_some_and(|accuracy| accuracy > 0.9), "{out}");
}
