//! MNIST is found, whole, and the right one; what is not is refused.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::path::PathBuf;
use std::{env, fs, process};

use gradus::data::datasets::{fashion_mnist, mnist};
use gradus::data::idx;
use ndarray::{Array1, s};

fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("gradus-datasets-{name}-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn mnist_is_in_the_repository() {
    let (train, test) = mnist::load().unwrap();
    assert_eq!((train.images.dim(), train.labels.dim()), ((60_000, 28, 28), 60_000));
    assert_eq!((test.images.dim(), test.labels.dim()), ((10_000, 28, 28), 10_000));
    assert_eq!(train.labels.slice(s![..10]).to_vec(), [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(test.labels.slice(s![..4]).to_vec(), [7, 2, 1, 0]);
    let mean = train.images.iter().map(|&p| f64::from(p)).sum::<f64>() / (255.0 * train.images.len() as f64);
    assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
    // A stroke of the first digit, a five.
    assert_eq!(train.images.slice(s![0, 5, 12..20]).to_vec(), [3, 18, 18, 18, 126, 136, 175, 26]);
}

#[test]
fn a_plain_file_is_taken_before_a_packed_one_and_a_wrong_one_is_refused_by_its_sum() {
    let folder = folder("wrong");
    let shipped = PathBuf::from("data/mnist");
    for file in ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"] {
        fs::copy(shipped.join(file), folder.join(file)).unwrap();
    }
    let refused = mnist::load_from(&folder).unwrap_err().to_string();
    assert!(
        refused.ends_with("train-labels-idx1-ubyte: no such file, and no train-labels-idx1-ubyte.gz beside it"),
        "{refused}"
    );

    let labels = folder.join("train-labels-idx1-ubyte");
    idx::write(&labels, &idx::read(shipped.join("train-labels-idx1-ubyte.gz")).unwrap()).unwrap();
    assert_eq!(mnist::load_from(&folder).unwrap().0.labels[1], 0);

    // As 7-Zip unpacks it.
    let dotted = folder.join("train-labels.idx1-ubyte");
    fs::rename(&labels, &dotted).unwrap();
    assert_eq!(mnist::load_from(&folder).unwrap().0.labels[1], 0);
    fs::rename(&dotted, &labels).unwrap();

    let mut changed = idx::read_labels(&labels).unwrap();
    changed[59_999] ^= 1;
    idx::write(&labels, &changed).unwrap();
    let refused = mnist::load_from(&folder).unwrap_err().to_string();
    assert!(refused.contains("the SHA-256 of its unpacked bytes is"), "{refused}");

    idx::write(&labels, &Array1::<u8>::zeros(3)).unwrap();
    let refused = mnist::load_from(&folder).unwrap_err().to_string();
    assert!(refused.ends_with("expected an array (60000), it holds (3)"), "{refused}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_nowhere_is_an_error_that_says_what_was_sought_and_where() {
    let refused = fashion_mnist::load().unwrap_err().to_string();
    for part in
        ["fashion_mnist", "t10k-labels-idx1-ubyte", "no such folder", "github.com/zalandoresearch/fashion-mnist"]
    {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn the_folder_named_in_gradus_data_comes_before_the_repository() {
    let folder = folder("named");
    let mnist = folder.join("mnist");
    fs::create_dir_all(&mnist).unwrap();
    for file in
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
    {
        idx::write(mnist.join(file), &Array1::<u8>::zeros(1)).unwrap();
    }
    // The environment is the process's: another process runs the test above with it.
    let run = process::Command::new(env::current_exe().unwrap())
        .args(["--exact", "datasets::mnist_is_in_the_repository", "--nocapture"])
        .env("GRADUS_DATA", &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    assert!(said.contains("expected an array (60000, 28, 28), it holds (1)"), "{said}");
    fs::remove_dir_all(folder).unwrap();
}
