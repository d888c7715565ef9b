//! Files of PyTorch: both forms of `torch.save` against the values in safetensors, and files that are forged or damaged.
//! `python_torch.py` makes them.

use gradus::formats::npy::Arrays;
use gradus::formats::safetensors::TensorFile;
use gradus::formats::torch::StateDict;

const FORMS: [&[u8]; 2] = [include_bytes!("torch_zip.pt"), include_bytes!("torch_legacy.pt")];
const VALUES: &[u8] = include_bytes!("torch_values.safetensors");

#[test]
fn both_forms_give_every_value_whatever_its_type_and_strides() {
    let expected: Arrays = TensorFile::from_bytes(VALUES).unwrap().tensors;
    for form in FORMS {
        let checkpoint = StateDict::from_bytes(form).unwrap();
        assert_eq!(checkpoint.names().count(), 0);
        assert_eq!(checkpoint.keys().collect::<Vec<_>>(), ["model"]);
        let state = checkpoint.key("model").unwrap();
        assert_eq!(state.names().count(), expected.len());
        assert_eq!(state.names().next(), Some("float"), "the order of the file");
        for (name, tensor) in &expected {
            assert_eq!(state.shape(name), Some(tensor.shape()), "{name}");
            assert_eq!(state.dtype(name), Some(tensor.dtype()), "{name}");
            assert_eq!(&*state.tensor(name).unwrap(), tensor, "{name}");
        }
        assert!(state.to_string().contains("transposed: F32 (3, 4)"), "{state}");
    }
}

#[test]
fn safetensors_are_read_by_the_same_call_and_from_disk() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/torch_values.safetensors");
    let state = StateDict::open(path).unwrap();
    assert_eq!(state.tensor("double").unwrap().values::<f64>(), Some(&[1.0 / 3.0][..]));
    assert_eq!(state.source(), std::path::Path::new(path));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let checkpoint = StateDict::from_bytes(FORMS[0]).unwrap();
    let message = checkpoint.key("modle").unwrap_err().to_string();
    assert!(message.contains("modle") && message.contains("model"), "{message}");
    let message = checkpoint.key("model").unwrap().tensor("flaot").unwrap_err().to_string();
    assert!(message.contains("flaot") && message.contains("float"), "{message}");
}

/// The message of a file of the older form whose object is made by `program`, behind which `rest` lies.
fn refused(program: &[u8], rest: &[u8]) -> String {
    StateDict::from_bytes(&legacy(program, rest)).expect_err("refused").to_string()
}

fn legacy(program: &[u8], rest: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    [magic, &b"\x80\x02M\xe9\x03."[..], b"\x80\x02}.", program, rest].concat()
}

/// `{"a": a tensor}`: of a storage of four f32, with offset, shape and strides as given.
fn tensor(arguments: &[u8]) -> Vec<u8> {
    let text = |text: &[u8]| [b"X", &u32::try_from(text.len()).expect("short").to_le_bytes()[..], text].concat();
    let parts: [&[u8]; 12] = [
        b"\x80\x02}",
        &text(b"a"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text(b"storage"),
        b"ctorch\nFloatStorage\n",
        &text(b"0"),
        &text(b"cpu"),
        b"K\x04NtQ",
        arguments,
        b"\x89N",
        b"tR",
        b"s.",
    ];
    parts.concat()
}

/// The keys and the one storage of [`tensor`]: 1, 2, 3, 4.
fn storage() -> Vec<u8> {
    let values: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    [&b"\x80\x02]X\x01\0\0\x000a."[..], &4u64.to_le_bytes(), &values].concat()
}

#[test]
fn a_file_by_hand_is_read_with_its_offset_and_strides() {
    let state = StateDict::from_bytes(&legacy(&tensor(b"K\x01K\x02\x85K\x02\x85"), &storage())).unwrap();
    assert_eq!(state.tensor("a").unwrap().values::<f32>(), Some(&[2.0, 4.0][..]));
}

#[test]
fn safetensors_whose_length_looks_like_a_pickle_are_read() {
    for len in 1..700 {
        let mut file = TensorFile::new();
        let name = "w".repeat(len);
        file.insert(&name, &gradus::ndarray::arr1(&[1.0f32, 2.0]));
        let state = StateDict::from_bytes(&file.to_bytes().unwrap()).unwrap();
        assert_eq!(state.tensor(&name).unwrap().values::<f32>(), Some(&[1.0, 2.0][..]));
    }
}

#[test]
fn texts_as_python_2_writes_them_are_read() {
    let mut program = tensor(b"K\x01K\x02\x85K\x02\x85");
    for (today, earlier) in
        [(&b"X\x01\0\0\0"[..], &b"U\x01"[..]), (b"X\x07\0\0\0", b"U\x07"), (b"X\x03\0\0\0", b"T\x03\0\0\0")]
    {
        while let Some(at) = program.windows(today.len()).position(|bytes| bytes == today) {
            program.splice(at..at + today.len(), earlier.iter().copied());
        }
    }
    let state = StateDict::from_bytes(&legacy(&program, &storage())).unwrap();
    assert_eq!(state.tensor("a").unwrap().values::<f32>(), Some(&[2.0, 4.0][..]));
}

#[test]
fn classes_and_operations_beside_the_list_are_refused_by_name() {
    for (program, named) in [
        (&b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R."[..], "`posix.system`"),
        (b"\x80\x02cbuiltins\neval\n.", "`builtins.eval`"),
        (b"\x80\x02ctorch\nload\n.", "`torch.load`"),
        (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "_rebuild_sparse_tensor"),
        (b"(iposix\nsystem\n.", "INST"),
        (b"\x80\x02}}\x81.", "NEWOBJ"),
        (b"\x80\x02X\x01\0\0\0aX\x01\0\0\0b\x93.", "STACK_GLOBAL"),
        (b"\x80\x02P1\n.", "PERSID"),
        (b"\x80\x04}.", "protocol 4"),
    ] {
        let message = refused(program, &storage());
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn programs_that_misuse_what_is_on_the_list_are_refused() {
    for (program, why) in [
        (&b"\x80\x02R."[..], "no value"),
        (b"\x80\x02}(\x85.", "where there is none"),
        (b"\x80\x02t.", "mark"),
        (b"\x80\x02h\x05.", "memo 5"),
        (b"\x80\x02}K\x01a.", "no list"),
        (b"\x80\x02]K\x01K\x02s.", "no dictionary"),
        (b"\x80\x02}(K\x01u.", "without a value"),
        (b"\x80\x02K\x01)R.", "no class"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", "OrderedDict"),
        (b"\x80\x02K\x01}b.", "state"),
        (b"\x80\x02K\x01Q.", "no tuple"),
        (b"\x80\x02\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01.", "9 bytes"),
        (b"\x80\x02X\xff\xff\xff\xffab", "cut short"),
        (b"\x80\x02X\x01\0\0\0\xff.", "utf-8"),
        (b"\x80\x02]q\x00.", "no dictionary"),
    ] {
        let message = refused(program, b"\x80\x02].");
        let why = if why == "no value" { "where there is none" } else { why };
        assert!(message.contains(why), "{why}: {message}");
    }
}

#[test]
fn tensors_beyond_their_storage_are_refused_before_memory_is_taken() {
    for arguments in [
        &b"K\x00K\x05\x85K\x01\x85"[..],
        b"K\x04K\x01\x85K\x01\x85",
        b"K\x00K\x02\x85K\x04\x85",
        b"K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87K\x01K\x01K\x01\x87",
        b"K\x00K\x02\x85K\x01K\x01\x86",
        b"J\xff\xff\xff\xffK\x02\x85K\x01\x85",
        b"K\x00K\x02\x85J\xff\xff\xff\xff\x85",
    ] {
        let message = refused(&tensor(arguments), &storage());
        let known = ["beyond its storage", "too large", "strides are", "is no size", "no tuple of sizes"];
        assert!(known.iter().any(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn dictionaries_that_are_deep_or_hold_themselves_or_many_of_one_are_refused() {
    let message = refused(b"\x80\x02}q\x00K\x01h\x00s.", b"\x80\x02].");
    assert!(message.contains("levels deep"), "{message}");
    // Each of 30 levels holds the next one twice: a billion dictionaries in 300 bytes.
    let mut program = b"\x80\x02}q\x00".to_vec();
    for level in 1..30 {
        let below = level - 1;
        program.extend([b'}', b'q', level, b'K', 1, b'h', below, b's', b'K', 2, b'h', below, b's']);
    }
    program.push(b'.');
    let message = refused(&program, b"\x80\x02].");
    assert!(message.contains("more than 1048576 entries"), "{message}");
}

#[test]
fn storages_that_are_short_forged_or_missing_are_refused() {
    let program = tensor(b"K\x00K\x02\x85K\x01\x85");
    let whole = storage();
    for end in [0, 5, whole.len() - 17, whole.len() - 1] {
        let message = refused(&program, &whole[..end]);
        assert!(message.contains("cut short"), "{message}");
    }
    let mut longer = whole.clone();
    let at = whole.len() - 24;
    longer[at] = 5;
    assert!(refused(&program, &longer).contains("has 5 values, and the pickle names 4"));
    assert!(refused(&program, b"\x80\x02].").contains("lacks the storage `0`"));
    assert!(refused(b"\x80\x02}.", &whole).contains("nothing names"));
}

#[test]
fn no_file_cut_short_or_with_a_changed_byte_panics() {
    for form in FORMS {
        for end in (0..form.len()).step_by(7) {
            StateDict::from_bytes(&form[..end]).expect_err("cut short");
        }
        let mut changed = form.to_vec();
        for at in 0..form.len() {
            changed[at] ^= 1 << (at % 8);
            if let Ok(state) = StateDict::from_bytes(&changed) {
                state.keys().for_each(|key| drop(state.key(key).unwrap().to_string()));
            }
            changed[at] = form[at];
        }
    }
}

#[test]
fn packed_archives_are_read_in_either_order_of_bytes() {
    let (big, little) = (include_bytes!("torch_big_endian.pt"), FORMS[0]);
    let [big, little] = [&big[..], little].map(|bytes| StateDict::from_bytes(bytes).unwrap().key("model").unwrap());
    assert!(little.names().eq(big.names()));
    little.names().for_each(|name| assert_eq!(big.tensor(name).unwrap(), little.tensor(name).unwrap(), "{name}"));
}

#[test]
fn archives_whose_entries_have_other_sizes_are_refused_unread() {
    for (bytes, why) in [
        (&include_bytes!("torch_bomb.pt")[..], "`torch_zip/data/0`: it has 16777216 bytes"),
        (include_bytes!("torch_long_program.pt"), "are read at most"),
        (include_bytes!("torch_two_orders.pt"), "neither little nor big"),
    ] {
        let message = StateDict::from_bytes(bytes).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn axes_and_keys_without_end_are_refused() {
    let axes = [&b"K\x00"[..], b"(", &b"K\x01".repeat(33), b"tq\x00h\x00"].concat();
    assert!(refused(&tensor(&axes), &storage()).contains("no tuple of sizes"));
    let mut program = tensor(b"K\x00K\x02\x85K\x01\x85");
    let at = program.windows(6).position(|part| part == b"X\x01\0\0\x000").unwrap();
    program.splice(at..at + 6, [&b"X\x41\0\0\0"[..], &[b'0'; 65]].concat());
    assert!(refused(&program, &storage()).contains("no short text"));
}

#[test]
fn other_files_are_told_apart() {
    for (bytes, why) in [
        (&b"PK and more"[..], "no zip archive"),
        (b"\x80\x02}.", "magic number"),
        (b"", "neither a file of torch.save nor safetensors"),
    ] {
        let message = StateDict::from_bytes(bytes).unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
    assert!(refused(b"\x80\x02K\x01.", b"\x80\x02].").contains("holds no dictionary of tensors"));
}
