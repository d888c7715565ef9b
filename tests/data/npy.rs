//! `.npy` and `.npz`: what numpy writes, in every form, and files that are damaged, forged, or of what is not read.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use gradus::formats::npy::{self, Arrays};
use gradus::formats::safetensors::{Dtype, Tensor, TensorData};
use gradus::formats::{Bf16, F16};
use ndarray::{ArrayD, IxDyn, arr0, array};
use serde_json::Value;

/// What `python_npy.py` says of its files.
fn contents() -> Value {
    serde_json::from_str(include_str!("python_npy.json")).unwrap()
}

#[test]
fn what_numpy_writes_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/python_npy.npz");
    let arrays = npy::read_npz(path).unwrap();
    let known = contents();
    let known = known["arrays"].as_object().unwrap();
    assert_eq!(arrays.keys().collect::<Vec<_>>(), {
        let mut names: Vec<&String> = known.keys().collect();
        names.sort();
        names
    });
    for (name, tensor) in &arrays {
        let shape: Vec<usize> =
            known[name]["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
        let values: Vec<f64> =
            known[name]["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(tensor.to_array::<f64>(), ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap(), "{name}");
    }
    let dtypes = [
        ("b1", Dtype::BOOL),
        ("i1", Dtype::I8),
        ("i2", Dtype::I16),
        ("i4", Dtype::I32),
        ("i8", Dtype::I64),
        ("u1", Dtype::U8),
        ("u2", Dtype::U16),
        ("u4", Dtype::U32),
        ("u8", Dtype::U64),
        ("f2", Dtype::F16),
        ("f4", Dtype::F32),
        ("f8", Dtype::F64),
    ];
    for (code, dtype) in dtypes {
        let [little, big] = ["little", "big"].map(|order| &arrays[&format!("{order}_{code}")]);
        assert_eq!((little.dtype(), little), (dtype, big));
    }
}

#[test]
fn what_is_written_comes_back() {
    let tensors = [
        Tensor::from_array(&array![[true, false]]),
        Tensor::from_array(&array![[1i8, -2], [3, i8::MIN]]),
        Tensor::from_array(&array![u64::MAX, 0]),
        Tensor::from_array(&arr0(1.0f32 / 3.0)),
        Tensor::from_data(&[0, 3], TensorData::F64(Vec::new())).unwrap(),
        Tensor::new(&[1, 2], vec![F16::from_f32(0.1), F16::from_f32(f32::INFINITY)]).unwrap(),
        Tensor::from_array(&array![[[1.5f64], [f64::NAN]]]),
    ];
    for tensor in &tensors {
        let bytes = npy::to_bytes(tensor).unwrap();
        // Values begin where numpy has them begin.
        assert_eq!((bytes.len() - tensor.data().len() * tensor.dtype().size()) % 64, 0);
        let again = npy::from_bytes(&bytes).unwrap();
        assert_eq!(npy::to_bytes(&again).unwrap(), bytes);
        assert_eq!((again.shape(), again.dtype()), (tensor.shape(), tensor.dtype()));
    }
    let brain = Tensor::new(&[1], vec![Bf16::from_f32(1.0)]).unwrap();
    assert!(npy::to_bytes(&brain).unwrap_err().to_string().contains("BF16"));
    // As numpy writes it, to the byte: np.save of np.array([[1.5, -2.0]], np.float32).
    let bytes = npy::to_bytes(&Tensor::from_array(&array![[1.5f32, -2.0]])).unwrap();
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }");
    assert_eq!(bytes, [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]].concat());
}

#[test]
fn archives_come_back_packed_or_not() {
    let arrays = Arrays::from([
        ("x".into(), Tensor::from_array(&ndarray::Array2::<f32>::zeros([50, 40]))),
        ("folder/größe".into(), Tensor::from_array(&array![7i64])),
    ]);
    let [plain, packed] = [false, true].map(|packed| npy::npz_to_bytes(&arrays, packed).unwrap());
    assert!(plain.len() > 8000 && packed.len() < 1000);
    for bytes in [plain, packed] {
        assert_eq!(npy::npz_from_bytes(&bytes).unwrap(), arrays);
        for end in [0, 1, 30, bytes.len() / 2, bytes.len() - 1] {
            npy::npz_from_bytes(&bytes[..end]).expect_err("cut short");
        }
    }
    let message = npy::npz_from_bytes(b"PK and more").unwrap_err().to_string();
    assert!(message.contains("not an .npz file"), "{message}");
}

/// A version 1 file of this header.
fn with_header(header: &str, values: &[u8]) -> Vec<u8> {
    let len = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), values].concat()
}

#[test]
fn what_is_no_array_of_numbers_is_refused_by_name() {
    let known = contents();
    let words = [
        ("text", "texts"),
        ("bytes", "texts"),
        ("object", "Python objects"),
        ("complex", "complex numbers"),
        ("dates", "dates"),
        ("structure", "structures"),
        ("long", "a size that only some machines have"),
    ];
    for (name, word) in words {
        let digits = known["refused"][name].as_str().unwrap();
        let bytes: Vec<u8> =
            (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect();
        let message = npy::from_bytes(&bytes).unwrap_err().to_string();
        assert!(message.contains(word), "{name}: {message}");
    }
    let ok = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
    assert_eq!(npy::from_bytes(&with_header(ok, &[0; 9])).unwrap().shape(), [1]);
    // Other programs write it in other ways.
    let other = "{\"shape\":(2L, 1), \"fortran_order\" :True,\"descr\":\"|u1\"}  \n";
    assert_eq!(npy::from_bytes(&with_header(other, &[4, 5])).unwrap().values(), Some(&[4u8, 5][..]));
    let huge = usize::MAX;
    for (header, word) in [
        (ok.replace("(1,)", "(3,)"), "cut short"),
        (ok.replace("(1,)", &format!("({huge}, {huge})")), "too large"),
        (ok.replace("(1,)", &format!("(0, {huge}, 9)")), "too large"),
        (ok.replace("(1,)", "(-1,)"), "expected a size"),
        (ok.replace("(1,)", "(99999999999999999999999,)"), "expected a size"),
        (ok.replace("(1,)", "1"), "expected `(`"),
        (ok.replace("False", "0"), "expected True or False"),
        (ok.replace("'<f4'", "<f4"), "expected a text in quotes"),
        (ok.replace("'<f4'", "'<f4"), "expected"),
        (ok.replace("<f4", ""), "unknown type"),
        (ok.replace("<f4", "ü"), "unknown type"),
        (ok.replace("descr", "type"), "unknown key `type`"),
        ("{'descr': '<f4'}".into(), "no `fortran_order`"),
        ("{'descr': '<f4' 'x': 1}".into(), "expected `,`"),
        (String::new(), "expected `{`"),
        ("{".into(), "expected a text"),
    ] {
        let message = npy::from_bytes(&with_header(&header, &[0; 8])).unwrap_err().to_string();
        assert!(message.contains(word), "{header}: {message}");
    }
    let bytes = with_header(ok, &[0; 4]);
    for end in 0..bytes.len() {
        npy::from_bytes(&bytes[..end]).expect_err("cut short");
    }
    let mut newer = bytes.clone();
    newer[6] = 4;
    assert!(npy::from_bytes(&newer).unwrap_err().to_string().contains("version 4"));
    let long = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], ok.as_bytes()].concat();
    assert!(npy::from_bytes(&long).unwrap_err().to_string().contains("a header of"));
    assert!(npy::read("no/such/file.npy").unwrap_err().to_string().contains("no/such/file.npy"));
}
