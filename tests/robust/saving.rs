//! Saving where it cannot succeed: an error, and what was there stays.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use gradus::prelude::*;

use super::child;

fn model(units: usize) -> Model {
    Sequential::new().input([64]).add(Dense::new(units)).compile(MeanSquaredError::new(), Adam::new()).build().unwrap()
}

/// Each way to write must fail, and leave its file of the first time.
fn refuse_to_save(folder: &Path) {
    let large = model(512);
    let saved = |name: &str| folder.join(name);
    let history = vec![0.5f32; 1 << 16];
    let mut results: Vec<(&str, gradus::Result<()>)> = vec![
        ("model", large.save(saved("model"))),
        ("weights", large.save_weights(saved("weights"))),
        ("checkpoint", large.save_checkpoint(saved("checkpoint"))),
    ];
    let tokens: Vec<String> = (0..20_000).map(|i| format!("token-{i}")).collect();
    let words = gradus::data::text::TextVectorization::new().with_vocabulary(tokens, None).unwrap();
    results.push(("words", words.save(saved("words"))));
    #[cfg(feature = "audio")]
    results.push(("sound", gradus::data::audio::write_wav(saved("sound"), &Array1::from(history.clone()), 8000)));
    #[cfg(feature = "images")]
    {
        let noise = Array2::from_shape_fn((256, 256), |(i, j)| {
            let mixed = ((i * 256 + j) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as u8
        });
        results.push(("picture", gradus::data::images::write_png(saved("picture"), &noise)));
    }
    let mut small = model(512);
    let x = Array2::<f32>::zeros((8, 64));
    let y = Array2::<f32>::zeros((8, 512));
    let checkpoint = ModelCheckpoint::new(saved("callback"));
    let fitted = small.fit(&x, &y, Fit::new().verbose(0).callback(checkpoint)).map(drop);
    results.push(("callback", fitted));
    for (name, result) in results {
        let error = result.err().unwrap_or_else(|| panic!("{name} was written")).to_string();
        assert!(error.contains(name), "names the path: {error}");
        assert_eq!(std::fs::read_to_string(saved(name)).unwrap(), "old", "{name} stays");
    }
    drop(history);
    // The model goes on.
    small.fit(&x, &y, Fit::new().verbose(0)).unwrap();
}

const NAMES: [&str; 7] = ["model", "weights", "checkpoint", "words", "sound", "picture", "callback"];

fn old_files(name: &str) -> std::path::PathBuf {
    let folder = child::folder(name);
    for name in NAMES {
        std::fs::write(folder.join(name), "old").unwrap();
    }
    folder
}

/// The body of a child.
#[test]
fn saving_in_a_child() {
    if let Some(folder) = child::told() {
        refuse_to_save(Path::new(&folder));
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_old_file_stays() {
    let folder = old_files("full");
    // No file beyond 16 kB; the signal that says so is not to end the process.
    let limits = "trap '' XFSZ; ulimit -f 32";
    let output = child::command("saving::saving_in_a_child", &folder.to_string_lossy(), limits).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(child::files(&folder).len(), NAMES.len(), "nothing half written: {:?}", child::files(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_is_an_error_and_the_old_file_stays() {
    let folder = old_files("read-only");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = child::command("saving::saving_in_a_child", &folder.to_string_lossy(), "");
    let root = std::fs::write(folder.join("try"), "").is_ok();
    if root {
        // Nothing is read-only for the superuser: the child is somebody else.
        std::fs::remove_file(folder.join("try")).unwrap();
        command.uid(65534);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Somebody else may not reach the program of the tests.
    let unreachable = root && text.contains("Permission denied") && !text.contains("panicked");
    assert!(output.status.success() || unreachable, "{text}");
    println!(
        "a folder that may not be written: {}",
        if unreachable { "the program is out of reach" } else { "refused" }
    );
    assert_eq!(child::files(&folder).len(), NAMES.len(), "nothing half written");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn paths_that_are_no_files() {
    let folder = child::folder("paths");
    let model = model(4);
    for path in [folder.clone(), folder.join("missing/model"), folder.join("file/model")] {
        std::fs::write(folder.join("file"), "old").unwrap();
        let error = model.save(&path).expect_err("no file can be there").to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        assert!(Model::<f32>::load(&path).is_err());
    }
    assert_eq!(child::files(&folder), ["file"]);
    std::fs::remove_dir_all(&folder).unwrap();
}
