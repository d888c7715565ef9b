//! What is written is read, in every type; and files that lie about where things are.

use super::header::Message;
use super::*;
use crate::formats::{Bf16, F16};

fn file(content: &Content) -> Hdf5File {
    Hdf5File::from_bytes(content.to_bytes().expect("it can be written")).expect("it is HDF5")
}

#[test]
fn arrays_of_every_type_come_back() {
    let tensors = [
        Tensor::new(&[3], vec![1u8, 2, 255]),
        Tensor::new(&[2, 1], vec![-1i8, 7]),
        Tensor::new(&[1, 2], vec![1u16, 65_535]),
        Tensor::new(&[2], vec![-2i16, 3]),
        Tensor::new(&[2], vec![4u32, u32::MAX]),
        Tensor::new(&[], vec![i32::MIN]),
        Tensor::new(&[1], vec![u64::MAX]),
        Tensor::new(&[0, 4], Vec::<i64>::new()),
        Tensor::new(&[2], vec![F16::from_f32(0.1), F16::from_f32(-65_504.0)]),
        Tensor::new(&[2], vec![Bf16::from_f32(0.1), Bf16::from_f32(3e38)]),
        Tensor::new(&[2, 2, 1, 1], vec![1.0f32, f32::MIN_POSITIVE, f32::NEG_INFINITY, -0.0]),
        Tensor::new(&[2], vec![1e-300f64, 2.0]),
    ]
    .map(|tensor| tensor.expect("as many values"));
    let mut content = Content::new();
    for (number, tensor) in tensors.iter().enumerate() {
        content.insert(&format!("group {number}/array"), tensor.clone());
    }
    let file = file(&content);
    let root = file.root().expect("a group");
    assert_eq!(root.names().count(), tensors.len());
    for (number, tensor) in tensors.into_iter().enumerate() {
        let group = root.group(&format!("group {number}")).expect("a group");
        assert_eq!(group.dataset("array").and_then(|array| array.read()).ok(), Some(tensor), "{number}");
    }
}

#[test]
fn texts_and_names_are_those_that_were_written() {
    let mut content = Content::new();
    content.insert_text("größe/tiefe", "name", "dense");
    content.insert_text("", "leer", "");
    let file = file(&content);
    let root = file.root().expect("a group");
    assert_eq!(root.texts("leer").ok().flatten(), Some(vec![String::new()]));
    assert_eq!(root.texts("name").ok().flatten(), None);
    let inner = root.group("größe").and_then(|group| group.group("tiefe")).expect("groups");
    assert_eq!((inner.path(), inner.texts("name").ok().flatten()), ("größe/tiefe", Some(vec!["dense".to_owned()])));
    assert!(root.group("tiefe").expect_err("not there").to_string().contains("`tiefe`: is not there"));
    content.insert_text("", "long", &"x".repeat(70_000));
    assert!(content.to_bytes().is_err(), "a message is shorter");
}

/// A header of version 2 whose continuation is the header's own first piece.
#[test]
fn a_header_in_a_circle_ends() {
    let mut bytes = b"OHDR\x02\0".to_vec();
    bytes.push(20);
    bytes.extend([0x10, 16, 0, 0]);
    let address = bytes.len() as u64 + 16;
    bytes.extend(address.to_le_bytes());
    bytes.extend(28u64.to_le_bytes());
    bytes.extend(b"OCHK");
    bytes.extend([0x10, 16, 0, 0]);
    bytes.extend(address.to_le_bytes());
    bytes.extend(28u64.to_le_bytes());
    bytes.extend([0; 64]);
    let problem = header::messages(&bytes, 0).map(|messages: Vec<Message<'_>>| messages.len());
    assert_eq!(problem, Err("a header whose pieces lie over one another".into()));
}

/// A tree whose child is itself.
#[test]
fn a_tree_in_a_circle_ends() {
    let mut bytes = b"TREE\0\x01\x01\0".to_vec();
    bytes.extend([0; 32]);
    let problem = tree::leaves(&bytes, 0, tree::Tree::GROUP, |_, _| Ok(()));
    assert_eq!(problem, Err("a tree whose levels do not fall".into()));
}
