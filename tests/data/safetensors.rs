//! safetensors: round trips, the bytes of the Python package, and files that are damaged or forged.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::fs;
use std::path::PathBuf;

use gradus::Error;
use gradus::formats::safetensors::{Dtype, Tensor, TensorData, TensorFile};
use gradus::formats::{Bf16, F16};
use gradus::prelude::*;
use ndarray::{Array2, ArrayD, IxDyn, arr0, array};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("gradus-safetensors-{}-{name}", std::process::id()))
}

/// A file from a header and data.
fn bytes(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn refusal(bytes: &[u8]) -> String {
    match TensorFile::from_bytes(bytes).unwrap_err() {
        Error::File { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// What tests/data/python.safetensors holds; `python_safetensors.py` beside it made it.
fn as_python_wrote() -> TensorFile {
    let mut file = TensorFile::new();
    file.insert("dense/kernel", &array![[1.5f32, -2.0, 0.25], [f32::INFINITY, 1e-45, -0.0]]);
    file.insert("dense/bias", &array![0.1f32, 0.2, 0.3]);
    file.insert("moments", &array![[[1e-300f64], [std::f64::consts::PI]]]);
    file.insert("step", &arr0(u64::MAX));
    file.insert("ids", &array![i64::MIN, 7]);
    file.insert("small", &array![i32::MIN, -1, 3]);
    file.insert("pixels", &array![0u8, 127, 255]);
    file.insert("nothing", &Array2::<f32>::zeros([0, 4]));
    file.insert("größe \"q\"\n", &array![1.0f32]);
    file.metadata.insert("made \"by\"".into(), "Python\nпривет".into());
    file
}

#[test]
fn a_file_of_the_python_package_is_read_and_written_to_the_byte() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/python.safetensors");
    let file = TensorFile::read(path).unwrap();
    assert_eq!(file, as_python_wrote());
    assert_eq!(file.to_bytes().unwrap(), fs::read(path).unwrap());
}

#[test]
fn every_type_of_the_python_package_is_read() {
    let half = |values: &[f32]| values.iter().map(|&value| F16::from_f32(value)).collect::<Vec<_>>();
    let brain = |values: &[f32]| values.iter().map(|&value| Bf16::from_f32(value)).collect::<Vec<_>>();
    let mut file = TensorFile::new();
    file.insert("bool", &array![true, false, true]);
    file.insert("u8", &array![0u8, u8::MAX]);
    file.insert("i8", &array![i8::MIN, i8::MAX]);
    file.insert("i16", &array![i16::MIN, i16::MAX]);
    file.insert("u16", &array![0u16, u16::MAX]);
    let halves = Tensor::new(&[2, 2], half(&[1.0 / 3.0, -65504.0, 6e-8, f32::INFINITY])).unwrap();
    file.tensors.insert("f16".into(), halves);
    file.tensors.insert("bf16".into(), Tensor::new(&[3], brain(&[1.0 / 3.0, -3e38, 1e-40])).unwrap());
    file.insert("i32", &array![i32::MIN]);
    file.insert("u32", &array![u32::MAX]);
    file.insert("f32", &array![1.0f32 / 3.0]);
    file.insert("f64", &array![1.0f64 / 3.0]);
    file.insert("i64", &array![i64::MIN]);
    file.insert("u64", &array![u64::MAX]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/python_types.safetensors");
    assert_eq!(TensorFile::read(path).unwrap(), file);
    assert_eq!(file.to_bytes().unwrap(), fs::read(path).unwrap());
}

#[test]
fn foreign_types_are_passed_over_unless_asked_for() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/python_foreign.safetensors");
    let file = TensorFile::read(path).unwrap();
    assert_eq!(file.get::<f32>("known").unwrap(), array![1.5, 2.5].into_dyn());
    assert_eq!(file.foreign.keys().collect::<Vec<_>>(), ["complex", "eight bits"]);
    let message = file.tensor("eight bits").unwrap_err().to_string();
    assert!(message.contains("`eight bits`") && message.contains("F8_E4M3"), "{message}");
}

#[test]
fn half_precision_becomes_the_scalar_of_the_model() {
    fn loads<F: Scalar>(folder: &std::path::Path) {
        let x = Input::of::<F>([2]);
        let y = x.apply(Dense::new(1).name("out"));
        let mut model = ModelBuilder::new([&x], [&y]).build().unwrap();
        let mut file = TensorFile::new();
        let kernel = [0.5, -1.25].map(F16::from_f32).to_vec();
        file.tensors.insert("out/kernel".into(), Tensor::new(&[2, 1], kernel).unwrap());
        file.tensors.insert("out/bias".into(), Tensor::new(&[1], vec![Bf16::from_f32(3.0)]).unwrap());
        let path = folder.join(F::NAME);
        file.write(&path).unwrap();
        let report = model.load_weights_by_name(&path).unwrap();
        assert_eq!((report.loaded.len(), report.missing.len()), (2, 0));
        let weights: Vec<F> = model.get_weights().into_iter().flat_map(|(_, values)| values.into_iter()).collect();
        assert_eq!(weights, [0.5, -1.25, 3.0].map(F::of));
        // The strict way too, of a file of gradus.
        file.metadata.insert("format".into(), "gradus".into());
        file.write(&path).unwrap();
        model.load_weights(&path).unwrap();
        // Whole numbers are no weights.
        file.tensors.insert("out/bias".into(), Tensor::new(&[1], vec![3i16]).unwrap());
        file.write(&path).unwrap();
        let message = model.load_weights(&path).unwrap_err().to_string();
        assert!(message.contains("`out/bias`") && message.contains("I16"), "{message}");
    }
    let folder = scratch("halves");
    fs::create_dir_all(&folder).unwrap();
    loads::<f32>(&folder);
    loads::<f64>(&folder);
    fs::remove_dir_all(&folder).ok();
}

#[test]
fn one_content_has_one_sequence_of_bytes() {
    let mut file = as_python_wrote();
    for key in ["z", "a", "m"] {
        file.metadata.insert(key.into(), key.repeat(2));
    }
    let bytes = file.to_bytes().unwrap();
    let header = String::from_utf8_lossy(&bytes[8..]);
    assert!(header.starts_with(r#"{"__metadata__":{"a":"aa","m":"mm","made \"by\"":"#), "{header}");
    assert_eq!(TensorFile::from_bytes(&bytes).unwrap(), file);
}

#[test]
fn an_empty_file_is_a_file() {
    let bytes = TensorFile::new().to_bytes().unwrap();
    assert_eq!(bytes, b"\x08\0\0\0\0\0\0\0{}      ");
    assert_eq!(TensorFile::from_bytes(&bytes).unwrap(), TensorFile::new());
}

#[test]
fn values_come_back_in_their_type_alone() {
    let mut file = TensorFile::new();
    let x = array![[1.0f64, 2.0, 3.0], [4.0, 5.0, 6.0]];
    file.insert("x", &x.t());
    assert_eq!(file.get::<f64>("x").unwrap(), x.t().into_dyn());
    assert_eq!(file.tensor("x").unwrap().dtype(), Dtype::F64);
    let refused = file.get::<i64>("x").unwrap_err().to_string();
    assert_eq!(refused, "tensor `x`: expected values of type I64, received F64 values (3, 2)");
    assert_eq!(file.get::<f64>("y").unwrap_err().to_string(), "there is no tensor `y`; there is `x`");
    let refused = Tensor::new(&[2, 2], vec![1u8]).unwrap_err().to_string();
    assert_eq!(refused, "expected a shape of 1 values, received (2, 2)");
    assert!(Tensor::new(&[usize::MAX, 2], vec![1u8]).is_err());
}

#[test]
fn large_tensors_cross_the_buffer() {
    let mut file = TensorFile::new();
    let values: Vec<f32> = (0..70_001).map(|i| i as f32).collect();
    file.tensors.insert("x".into(), Tensor::new(&[70_001], values).unwrap());
    file.tensors.insert("b".into(), Tensor::new(&[65_537], (0..65_537).map(|i| i as u8).collect()).unwrap());
    let path = scratch("large");
    file.write(&path).unwrap();
    assert_eq!(TensorFile::read(&path).unwrap(), file);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_beside_it() {
    let folder = scratch("folder");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("weights.safetensors");
    let mut file = as_python_wrote();
    file.write(&path).unwrap();
    file.tensors.remove("step");
    file.write(&path).unwrap();
    file.insert("__metadata__", &array![1.0f32]);
    assert!(file.write(&path).is_err());
    assert!(!TensorFile::read(&path).unwrap().tensors.contains_key("step"));
    // A folder cannot be replaced by a file.
    let occupied = folder.join("occupied");
    fs::create_dir_all(occupied.join("inside")).unwrap();
    assert!(matches!(as_python_wrote().write(&occupied), Err(Error::Io { .. })));
    let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["occupied", "weights.safetensors"]);
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_is_followed() {
    let (file, link) = (scratch("linked"), scratch("link"));
    as_python_wrote().write(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    TensorFile::new().write(&link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(TensorFile::read(&file).unwrap(), TensorFile::new());
    fs::remove_file(file).unwrap();
    fs::remove_file(link).unwrap();
}

#[test]
fn a_missing_file_is_the_systems_error() {
    assert!(matches!(TensorFile::read("no/such/file"), Err(Error::Io { .. })));
}

#[test]
fn headers_that_lie_are_refused_with_the_lie() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"x":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"x":{{"dtype":"U8","shape":[2],"data_offsets":{a}}},"y":{{"dtype":"U8","shape":[2],"data_offsets":{b}}}}}"#
        )
    };
    let huge = "18446744073709551615";
    for (header, data, problem) in [
        (one("F32", "[2]", "[0,4]"), 4, "its data_offsets are 0 and 4, F32 values (2) take 8 bytes"),
        (one("F32", "[1]", "[4,0]"), 4, "its data_offsets are 4 and 0"),
        (one("F32", "[1]", "[0,4]"), 3, "cut short: its tensors take 4 bytes, the file holds 3"),
        (one("F32", "[1]", "[0,4]"), 5, "longer than its header says: its tensors take 4 bytes, the file holds 5"),
        (one("F32", &format!("[{huge},{huge}]"), "[0,4]"), 4, "is too large"),
        (one("F32", &format!("[0,{huge}]"), "[0,0]"), 0, "is too large"),
        (one("F32", "[4611686018427387904]", "[0,0]"), 0, "is too large"),
        (
            one("F32", "[1152921504606846976]", "[0,4611686018427387904]"),
            4,
            "cut short: its tensors take 4611686018427387904",
        ),
        (one("F32", "[-1]", "[0,4]"), 4, "it has no shape"),
        (one("F32", "[1.0]", "[0,4]"), 4, "it has no shape"),
        (one("F32", "[1]", "[0,4,8]"), 4, "it has no two data_offsets"),
        (one("BF16", "[1]", "[0,4]"), 4, "BF16 values (1) take 2 bytes"),
        (one("F8_E4M3", "[1]", "[4,0]"), 4, "its data_offsets are 4 and 0"),
        (one("F8_E4M3", "[1]", "[0,4]"), 3, "cut short: its tensors take 4 bytes, the file holds 3"),
        (one("U8", "[1]", "[1,2]"), 2, "tensor `x`: before its data there is a hole, from byte 0"),
        (two("[0,2]", "[1,3]"), 3, "tensor `y`: its data overlaps that of another, at byte 1"),
        (two("[0,2]", "[0,2]"), 2, "tensor `y`: its data overlaps that of another, at byte 0"),
        (two("[0,2]", "[3,5]"), 5, "tensor `y`: before its data there is a hole, from byte 2"),
        (two("[0,2]", "[2,4]").replace("\"y\"", "\"x\""), 4, "two tensors are called `x`"),
        (r#"{"x":{"dtype":"U8","shape":[]}}"#.into(), 0, "expected dtype, shape and data_offsets"),
        (r#"{"x":7}"#.into(), 0, "expected dtype, shape and data_offsets"),
        (r#"{"__metadata__":{"a":1}}"#.into(), 0, "metadata `a` is no text"),
        (r#"{"__metadata__":[]}"#.into(), 0, "its header: "),
        ("{}}".into(), 0, "its header: "),
        ("[]".into(), 0, "its header does not begin with `{`"),
        (String::new(), 0, "its header does not begin with `{`"),
        ("{\"\u{7f}".into(), 0, "its header: "),
    ] {
        let problem_found = refusal(&bytes(&header, &vec![0; data]));
        assert!(problem_found.contains(problem), "{header}: {problem_found}");
    }
    assert!(
        refusal(&[b"\xff\xff\xff\xff\xff\xff\xff\xff{", &[0; 50][..]].concat())
            .contains("would have 18446744073709551615 bytes")
    );
    assert!(refusal(b"PNG").starts_with("not a safetensors file"));
}

#[test]
fn tensors_may_stand_in_any_order_and_be_empty() {
    let header = r#"{"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},"e":{"dtype":"F32","shape":[3,0],"data_offsets":[3,3]},
        "a":{"data_offsets":[0,3],"shape":[3,1],"dtype":"U8"},"__metadata__":null}  "#;
    let file = TensorFile::from_bytes(&bytes(header, &[1, 2, 3, 4, 5])).unwrap();
    assert_eq!(file.get::<u8>("a").unwrap(), array![[1u8], [2], [3]].into_dyn());
    assert_eq!(file.get::<u8>("b").unwrap(), array![4u8, 5].into_dyn());
    assert_eq!(file.get::<f32>("e").unwrap(), ArrayD::<f32>::zeros(IxDyn(&[3, 0])));
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let shape = vec(0usize..4, 0..4);
    (shape, 0..6u8, any::<u64>()).prop_map(|(shape, kind, seed)| {
        let count: usize = shape.iter().product();
        let words = (0..count as u64).map(|i| seed.wrapping_mul(i.wrapping_mul(2) + 1));
        let data = match kind {
            0 => TensorData::U8(words.map(|w| w as u8).collect()),
            1 => TensorData::I32(words.map(|w| w as i32).collect()),
            2 => TensorData::F32(words.map(|w| w as f32 / 3.0).collect()),
            3 => TensorData::F64(words.map(|w| w as f64 / 3.0).collect()),
            4 => TensorData::I64(words.map(|w| w as i64).collect()),
            _ => TensorData::U64(words.collect()),
        };
        Tensor::from_data(&shape, data).unwrap()
    })
}

fn file() -> impl Strategy<Value = TensorFile> {
    (btree_map(".{0,8}", tensor(), 0..5), btree_map(".{0,5}", ".{0,9}", 0..3))
        .prop_map(|(tensors, metadata)| TensorFile { tensors, metadata, ..TensorFile::new() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_content_comes_back(file in file()) {
        prop_assert_eq!(TensorFile::from_bytes(&file.to_bytes().unwrap()).unwrap(), file);
    }

    #[test]
    fn any_truncation_is_refused(file in file(), at in any::<prop::sample::Index>()) {
        let bytes = file.to_bytes().unwrap();
        prop_assert!(TensorFile::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_changed_byte_is_refused_or_read_without_a_panic(file in file(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = file.to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = TensorFile::from_bytes(&bytes) {
            // What was accepted is whole: it can be written and read again.
            let again = TensorFile::from_bytes(&read.to_bytes().unwrap()).unwrap();
            prop_assert_eq!(again.to_bytes().unwrap(), read.to_bytes().unwrap());
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in vec(any::<u8>(), 0..200), header in "[{}\\[\\]\":,a-z0-9_]{0,80}") {
        let _ = TensorFile::from_bytes(&bytes);
        let forged = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
        let _ = TensorFile::from_bytes(&forged);
    }
}

#[test]
fn fields_come_once_and_others_are_passed_over() {
    let twice = r#"{"a":{"dtype":"F32","dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
    assert!(
        refusal(&bytes(twice, &[0; 4])).contains("the field `dtype` stands twice"),
        "{}",
        refusal(&bytes(twice, &[0; 4]))
    );
    let more = r#"{"a":{"dtype":"U8","x":{"y":[1]},"shape":[1],"data_offsets":[0,1],"x":1}}"#;
    assert_eq!(TensorFile::from_bytes(&bytes(more, &[7])).unwrap().get::<u8>("a").unwrap().first(), Some(&7));
}
