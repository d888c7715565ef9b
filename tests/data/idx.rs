//! IDX files: what is written is read back; what is damaged, forged or foreign is refused with its reason.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};
use gradus::Error;
use gradus::data::idx;
use gradus::formats::safetensors::Tensor;
use ndarray::{Array1, Array3, ArrayD, Axis, IxDyn, array};

/// A file of its own for each test, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("gradus-idx-{}-{name}", std::process::id())))
    }

    fn with(name: &str, bytes: &[u8]) -> Self {
        let scratch = Self::new(name);
        fs::write(&scratch.0, bytes).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Why `bytes` are refused, without the path.
fn refusal(name: &str, bytes: &[u8]) -> String {
    let file = Scratch::with(name, bytes);
    match idx::read(&file.0).unwrap_err() {
        Error::File { path, problem } => {
            assert_eq!(path, file.0);
            problem
        }
        other => panic!("{other}"),
    }
}

/// Two labels, 7 and 2.
const LABELS: [u8; 10] = [0, 0, 8, 1, 0, 0, 0, 2, 7, 2];

#[test]
fn an_array_of_any_rank_comes_back_plain_and_packed() {
    for shape in [&[][..], &[1], &[0], &[3, 0, 2], &[2, 3], &[4, 5, 3], &[2, 1, 3, 2, 2, 1]] {
        let count = shape.iter().product();
        let values = (0..count).map(|i| (i * 7 % 256) as u8).collect();
        let array = ArrayD::from_shape_vec(IxDyn(shape), values).unwrap();
        for name in ["round", "round.gz"] {
            let file = Scratch::new(name);
            idx::write(&file.0, &array).unwrap();
            assert_eq!(idx::read(&file.0).unwrap(), array, "{shape:?} {name}");
        }
    }
}

#[test]
fn a_transposed_view_is_written_in_its_own_order() {
    let file = Scratch::new("transposed");
    let array = array![[1u8, 2, 3], [4, 5, 6]];
    idx::write(&file.0, &array.t()).unwrap();
    assert_eq!(idx::read(&file.0).unwrap(), array![[1u8, 4], [2, 5], [3, 6]].into_dyn());
}

#[test]
fn packed_is_known_by_content_and_not_by_name() {
    let file = Scratch::with("no-ending", &gzip(&LABELS));
    assert_eq!(idx::read_labels(&file.0).unwrap(), array![7, 2]);
    let file = Scratch::with("plain-after-all.gz", &LABELS);
    assert_eq!(idx::read_labels(&file.0).unwrap(), array![7, 2]);
}

#[test]
fn images_and_labels_have_their_rank() {
    let file = Scratch::new("ranks");
    idx::write(&file.0, &Array3::<u8>::ones([2, 4, 3])).unwrap();
    assert_eq!(idx::read_images(&file.0).unwrap().dim(), (2, 4, 3));
    let refused = idx::read_labels(&file.0).unwrap_err().to_string();
    assert!(refused.ends_with("expected labels (n), the file holds an array (2, 4, 3)"), "{refused}");
}

#[test]
fn every_truncation_and_every_longer_file_is_refused() {
    let packed = gzip(&LABELS);
    for n in 0..LABELS.len() {
        refusal("short", &LABELS[..n]);
        refusal("short-in-gz", &gzip(&LABELS[..n]));
    }
    for n in 2..packed.len() {
        refusal("short-gz", &packed[..n]);
    }
    let longer = [&LABELS[..], &[0]].concat();
    assert_eq!(refusal("long", &longer), "its header claims an array (2), the file holds 3 values");
    assert_eq!(refusal("long-gz", &gzip(&longer)), "its header claims an array (2), but the file goes on after it");
    refusal("rubbish-after-gz", &[&packed[..], &[1, 2, 3]].concat());
}

#[test]
fn a_changed_bit_in_a_packed_file_is_never_read_as_data() {
    let packed = gzip(&LABELS);
    // The header's time, flags and system (bytes 4 … 9) say nothing about the content.
    for at in (0..4).chain(10..packed.len()) {
        for bit in 0..8 {
            let mut changed = packed.clone();
            changed[at] ^= 1 << bit;
            let file = Scratch::with("bit", &changed);
            if let Ok(labels) = idx::read_labels(&file.0) {
                assert_eq!(labels, array![7, 2], "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_forged_header_asks_for_no_memory() {
    let huge = [0, 0, 8, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2];
    assert!(refusal("huge", &huge).ends_with("the file holds 2 values"));
    assert!(refusal("huge-gz", &gzip(&huge)).contains("the file holds at most"));
    // 2^128 values: more than any counter holds.
    let mut beyond = vec![0, 0, 8, 4];
    beyond.extend([0xff; 16]);
    assert!(refusal("beyond", &beyond).contains("claims an array (4294967295, 4294967295"));
}

#[test]
fn another_type_or_another_file_is_named() {
    assert_eq!(
        refusal("floats", &[0, 0, 0x0d, 1, 0, 0, 0, 0]),
        "expected an IDX file of unsigned bytes, it holds 32-bit floats; `idx::read_tensor` reads those"
    );
    assert!(refusal("png", b"\x89PNG\r\n\x1a\n").starts_with("not an IDX file: it begins with [89, 50, 4e, 47]"));
    assert!(refusal("empty", b"").starts_with("cut short before its first four bytes"));
}

#[test]
fn values_of_every_type_are_read_and_written() {
    // By hand: two signed bytes, 16 and 32-bit integers, floats of both sizes, the highest byte first.
    let files: [(u8, &[u8], Tensor); 6] = [
        (0x08, &[0x80, 0x01], Tensor::from_array(&array![128u8, 1])),
        (0x09, &[0x80, 0x01], Tensor::from_array(&array![-128i8, 1])),
        (0x0b, &[0x80, 0x00, 0x01, 0x02], Tensor::from_array(&array![i16::MIN, 258])),
        (0x0c, &[0xff, 0xff, 0xff, 0xfe, 0, 1, 0, 0], Tensor::from_array(&array![-2i32, 65536])),
        (0x0d, &[0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0], Tensor::from_array(&array![1.5f32, -2.0])),
        (0x0e, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0], Tensor::from_array(&array![1.5f64, -2.0])),
    ];
    for (kind, values, tensor) in files {
        let bytes = [&[0, 0, kind, 1, 0, 0, 0, 2], values].concat();
        for file in [Scratch::with("types", &bytes), Scratch::with("types-packed", &gzip(&bytes))] {
            assert_eq!(idx::read_tensor(&file.0).unwrap(), tensor);
        }
        let written = Scratch::new("types-written");
        idx::write_tensor(&written.0, &tensor).unwrap();
        assert_eq!(fs::read(&written.0).unwrap(), bytes);
        let short = Scratch::with("types-short", &bytes[..bytes.len() - 1]);
        assert!(idx::read_tensor(&short.0).unwrap_err().to_string().contains("the file holds 1 values"));
    }
    let long = Tensor::from_array(&array![1i64]);
    assert!(idx::write_tensor(Scratch::new("long").0.clone(), &long).unwrap_err().to_string().contains("I64"));
    let other = Scratch::with("types-other", &[0, 0, 0x0a, 1, 0, 0, 0, 0]);
    assert!(idx::read_tensor(&other.0).unwrap_err().to_string().contains("unknown type (0x0a)"));
}

#[test]
fn a_missing_file_is_the_systems_error_with_the_path() {
    let refused = idx::read("no/such/file").unwrap_err();
    assert!(matches!(&refused, Error::Io { path, .. } if path.ends_with("no/such/file")), "{refused}");
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let file = Scratch::new("kept");
    idx::write(&file.0, &array![7u8, 2]).unwrap();
    let mut too_long = ndarray::arr0(1u8).into_dyn();
    for axis in 0..256 {
        too_long.insert_axis_inplace(Axis(axis));
    }
    assert!(idx::write(&file.0, &too_long).is_err());
    assert_eq!(idx::read_labels(&file.0).unwrap(), array![7, 2]);
    assert!(idx::write("no/such/folder/file", &Array1::<u8>::zeros(1)).is_err());
}
