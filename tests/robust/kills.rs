//! A training that is killed at any moment, also while it writes, and goes on from its checkpoint, comes to the bits of one
//! that nobody disturbed.

use std::path::Path;
use std::time::{Duration, Instant};

use gradus::prelude::*;

use super::child;

const EPOCHS: usize = 24;

/// Large enough that a good part of the time goes into writing checkpoints.
fn model() -> gradus::Result<Model> {
    let mut model = Sequential::new()
        .input([16])
        .add(Dense::new(512).activation(Relu))
        .add(Dropout::new(0.3))
        .add(BatchNormalization::new())
        .add(Dense::new(512).activation(Tanh))
        .add(Dense::new(1))
        .seed(11)
        .compile(MeanSquaredError::new(), Adam::new().learning_rate(1e-3))
        .build()?;
    model.set_threads(2)?;
    Ok(model)
}

fn train(folder: &Path) -> gradus::Result<()> {
    let x = Array2::from_shape_fn((64, 16), |(i, j)| ((i * 31 + j * 17) % 23) as f32 / 23.0);
    let y = Array2::from_shape_fn((64, 1), |(i, _)| ((i * 13) % 7) as f32 / 7.0);
    let checkpoint = folder.join("checkpoint.safetensors");
    let mut model = model()?;
    let epoch = if checkpoint.exists() { model.resume(&checkpoint)? } else { 0 };
    let options = Fit::new().batch_size(16).initial_epoch(epoch).epochs(EPOCHS).verbose(0);
    model.fit(&x, &y, options.callback(ModelCheckpoint::new(&checkpoint)))?;
    model.save_checkpoint(folder.join("end.safetensors"))
}

/// The body of a child.
#[test]
fn training_in_a_child() {
    if let Some(folder) = child::told() {
        train(Path::new(&folder)).unwrap();
    }
}

fn spawn(folder: &Path) -> std::process::Child {
    child::command("kills::training_in_a_child", &folder.to_string_lossy(), "").spawn().unwrap()
}

#[test]
fn a_killed_training_comes_to_the_same_bits() {
    let whole = child::folder("whole");
    let began = Instant::now();
    let output = spawn(&whole).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let time = began.elapsed();
    let expected = std::fs::read(whole.join("end.safetensors")).unwrap();

    let (mut kills, mut in_writing, mut random) = (0, 0, 7u64);
    for round in 0..3 {
        let folder = child::folder(&format!("killed-{round}"));
        let mut left = 12;
        loop {
            let mut process = spawn(&folder);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if left > 0 {
                // Some soon after the start, most within the time of a whole training.
                let share = (random >> 40) as f64 / f64::from(1 << 24);
                std::thread::sleep(Duration::from_millis(20) + time.mul_f64(share * 0.4));
                process.kill().unwrap();
                left -= 1;
            }
            let output = process.wait_with_output().unwrap();
            let parts = child::files(&folder).iter().filter(|name| name.contains(".part")).count();
            if output.status.success() {
                assert_eq!(parts, 0, "what the dead left is swept: {:?}", child::files(&folder));
                break;
            }
            assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
            kills += 1;
            in_writing += usize::from(parts > 0);
        }
        let end = std::fs::read(folder.join("end.safetensors")).unwrap();
        assert!(end == expected, "the same bits");
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("{kills} kills, after {in_writing} of which a file was half written; a training takes {time:?}");
    assert!(kills > 5, "{kills} kills");
    std::fs::remove_dir_all(&whole).unwrap();
}
