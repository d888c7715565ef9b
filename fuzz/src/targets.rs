//! The readers: each takes bytes that may be anything, and must give a value or an error.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use gradus::data::audio::read_wav;
use gradus::data::images::{self, ColorMode};
use gradus::data::preprocessing::{LabelEncoder, StandardScaler, Steps};
use gradus::data::text::Vectorizer;
use gradus::data::{CsvOptions, Stream, Table, idx, text, ts};
use gradus::formats::hdf5::Hdf5File;
use gradus::formats::npy;
use gradus::formats::safetensors::TensorFile;
use gradus::prelude::*;
use gradus::tuning::{RandomSearch, Space};

use super::dice::Dice;
use super::{mutate, seeds};

/// A reader, with what it is tried on.
pub struct Target {
    pub name: &'static str,
    /// Whether the bytes were accepted.
    pub run: fn(&[u8]) -> bool,
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub mutate: fn(&mut Vec<u8>, &[Vec<u8>], &mut Dice),
    /// No input of a few thousand bytes takes more memory than this.
    pub most_bytes: usize,
}

const MB: usize = 1 << 20;

/// All of them.
pub const TARGETS: [Target; 21] = [
    target("safetensors", safetensors, seeds::safetensors, mutate::mutate_safetensors, 16 * MB),
    target("model", model, seeds::models, mutate::mutate_safetensors, 32 * MB),
    target("architecture", architecture, seeds::architectures, mutate::mutate_json, 256 * MB),
    target("checkpoint", checkpoint, seeds::checkpoints, mutate::mutate_safetensors, 16 * MB),
    target("weights_by_name", weights_by_name, seeds::checkpoints, mutate::mutate_safetensors, 16 * MB),
    target("game", game, seeds::games, mutate::mutate_safetensors, 16 * MB),
    target("vocabulary", vocabulary, seeds::vocabularies, mutate::mutate_json, 16 * MB),
    target("steps", steps, seeds::steps, mutate::mutate_json, 16 * MB),
    target("search", search, seeds::searches, mutate::mutate_json, 16 * MB),
    target("csv", csv, seeds::tables, mutate::mutate, 16 * MB),
    target("csv_options", csv_options, seeds::tables_with_options, mutate::mutate, 16 * MB),
    target("npy", npy, seeds::npy, mutate::mutate, 16 * MB),
    target("npz", npz, seeds::npz, mutate::mutate, 64 * MB),
    target("hdf5", hdf5, seeds::hdf5, mutate::mutate, 64 * MB),
    target("keras", keras, seeds::keras, mutate::mutate, 64 * MB),
    target("keras_weights", keras_weights, seeds::keras_weights, mutate::mutate, 64 * MB),
    target("idx", read_idx, seeds::idx, mutate::mutate, 64 * MB),
    target("wav", wav, seeds::sounds, mutate::mutate, 64 * MB),
    target("png", picture, seeds::png, mutate::mutate_png, 128 * MB),
    // Pictures of up to 2²⁶ pixels are taken, whatever the size of their file.
    target("jpeg", picture, seeds::jpeg, mutate::mutate, 1024 * MB),
    target("time_series", time_series, seeds::time_series, mutate::mutate, 16 * MB),
];

const fn target(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
    mutate: fn(&mut Vec<u8>, &[Vec<u8>], &mut Dice),
    most_bytes: usize,
) -> Target {
    Target { name, run, seeds, mutate, most_bytes }
}

/// The target of a name.
///
/// # Panics
/// If there is none.
pub fn named(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}

thread_local! {
    /// A file of this thread's own, removed with it.
    static FILE: Scratch = Scratch::new();
    static MODEL: RefCell<Model> = RefCell::new(seeds::small_model());
    static GAME: RefCell<Gan<f32>> = RefCell::new(seeds::small_game());
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        Self(folder.join(format!("gradus-fuzz-{}-{:?}", std::process::id(), std::thread::current().id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Calls `read` with the path of a file that holds these bytes.
pub fn in_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    FILE.with(|file| {
        std::fs::write(&file.0, bytes).expect("a file can be written");
        read(&file.0)
    })
}

fn safetensors(bytes: &[u8]) -> bool {
    let Ok(file) = TensorFile::from_bytes(bytes) else { return false };
    let again = file.to_bytes().and_then(|bytes| TensorFile::from_bytes(&bytes));
    // Numbers that are none are not equal to themselves: their bytes are.
    assert_eq!(again.and_then(|again| again.to_bytes()).ok(), file.to_bytes().ok(), "what is written is read");
    true
}

fn model(bytes: &[u8]) -> bool {
    in_file(bytes, |path| Model::<f32>::load(path).is_ok() | Model::<f64>::load(path).is_ok())
}

/// Numbers of up to 4096: of larger ones a model may well take as much memory as it is told to.
fn architecture(bytes: &[u8]) -> bool {
    fn is_small(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(number) => number.as_f64().is_none_or(|number| number.abs() <= 4096.0),
            serde_json::Value::Array(values) => values.len() < 64 && values.iter().all(is_small),
            serde_json::Value::Object(fields) => fields.values().all(is_small),
            _ => true,
        }
    }
    let Ok(config) = serde_json::from_slice(bytes) else { return false };
    if !is_small(&config) {
        return false;
    }
    let Ok(model) = Model::<f32>::from_config(&config, &Registry::standard()) else { return false };
    let config = model.to_config().expect("what was made of a configuration has one");
    let again = Model::<f32>::from_config(&config, &Registry::standard()).expect("its own configuration");
    assert_eq!(again.layer_names(), model.layer_names());
    true
}

fn checkpoint(bytes: &[u8]) -> bool {
    in_file(bytes, |path| MODEL.with_borrow_mut(|model| model.resume(path).is_ok() | model.load_weights(path).is_ok()))
}

fn weights_by_name(bytes: &[u8]) -> bool {
    in_file(bytes, |path| MODEL.with_borrow_mut(|model| model.load_weights_by_name(path).is_ok()))
}

fn game(bytes: &[u8]) -> bool {
    in_file(bytes, |path| GAME.with_borrow_mut(|game| game.resume(path).is_ok()))
}

fn vocabulary(bytes: &[u8]) -> bool {
    let Ok(words) = in_file(bytes, |path| Vectorizer::load(path)) else { return false };
    let config = words.to_config().expect("no custom functions came out of a file");
    Vectorizer::from_config(&config).expect("its own configuration");
    // Rows may be as long as the file says, up to what there is memory for.
    let length = |name: &str| config.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    if length("output_sequence_length").max(length("max_tokens")) < 1 << 16 {
        words.transform::<f32>(&["the cat sat on", "", "a"]);
    }
    true
}

fn steps(bytes: &[u8]) -> bool {
    in_file(bytes, |path| {
        let Ok(steps) = Steps::load(path) else { return false };
        let row = Array2::<f32>::zeros((1, 2));
        for name in steps.names().map(str::to_owned).collect::<Vec<_>>() {
            let _ = steps.get::<StandardScaler>(&name).map(|scaler| scaler.transform(&row));
            let _ = steps.get::<LabelEncoder<String>>(&name).map(|classes| classes.inverse_transform(&[0, 9]));
        }
        true
    })
}

fn search(bytes: &[u8]) -> bool {
    in_file(bytes, |path| {
        let space = Space::new().uniform("x", 0.0..=1.0).choice("y", ["a", "b"]);
        RandomSearch::new(space, 2).threads(1).verbose(0).results(path).run(|trial| trial.number("x")).is_ok()
    })
}

fn csv(bytes: &[u8]) -> bool {
    let read = in_file(bytes, |path| {
        for record in Stream::csv(path, true).pass(0).into_iter().flatten() {
            let Ok(record) = record else { break };
            let names = record.names().to_vec();
            let _ = record.numbers::<f32, _>(&names);
        }
        Table::read(path, true).is_ok()
    });
    let Ok(table) = Table::parse(&String::from_utf8_lossy(bytes), false) else { return read };
    let names = table.names().to_vec();
    for name in &names {
        let _ = (table.numbers::<f64>(name), table.texts(name));
    }
    let _ = table.matrix::<f32, _>(&names);
    true
}

/// The last bytes choose the options.
fn csv_options(bytes: &[u8]) -> bool {
    let (bytes, choice) = bytes.split_at(bytes.len().saturating_sub(3));
    let choose = |place: usize, from: &[char]| from[usize::from(choice.get(place).copied().unwrap_or(0)) % from.len()];
    let options = CsvOptions::new()
        .header(choice.first().is_none_or(|byte| byte % 2 == 0))
        .delimiter(choose(0, &[',', ';', '\t', '|', ' ', 'é']))
        .decimal(choose(1, &['.', ',', ';']))
        .thousands(choose(2, &['.', ',', '\'', ' ', '\u{a0}']))
        .missing(["-", "", "NA"]);
    let Ok(table) = options.parse(&String::from_utf8_lossy(bytes)) else { return false };
    for name in &table.names().to_vec() {
        let _ = (table.numbers::<f32>(name), table.texts(name), table.booleans(name));
    }
    in_file(bytes, |path| options.read(path).is_ok())
}

fn npy(bytes: &[u8]) -> bool {
    let Ok(tensor) = npy::from_bytes(bytes) else { return false };
    let again = npy::to_bytes(&tensor).and_then(|bytes| npy::from_bytes(&bytes)).expect("what is written is read");
    assert_eq!((again.shape(), again.dtype()), (tensor.shape(), tensor.dtype()));
    assert_eq!(tensor.to_array::<f32>().len(), tensor.data().len());
    true
}

fn npz(bytes: &[u8]) -> bool {
    let Ok(arrays) = npy::npz_from_bytes(bytes) else { return false };
    let again = npy::npz_to_bytes(&arrays, true).and_then(|bytes| npy::npz_from_bytes(&bytes));
    assert!(again.expect("what is written is read").keys().eq(arrays.keys()));
    true
}

/// All groups and arrays of a file, as deep as files of Keras are and some more.
fn hdf5(bytes: &[u8]) -> bool {
    let Ok(file) = Hdf5File::from_bytes(bytes.to_vec()) else { return false };
    let Ok(root) = file.root() else { return false };
    let (mut open, mut left) = (vec![root], 2000);
    while let Some(group) = open.pop() {
        let _ = (group.texts("layer_names"), group.texts("model_config"), group.texts("name"));
        for name in group.names().take(left) {
            left -= 1;
            match group.group(name) {
                Ok(inner) => open.push(inner),
                Err(_) => drop(group.dataset(name).and_then(|array| array.read())),
            }
        }
    }
    true
}

fn keras(bytes: &[u8]) -> bool {
    in_file(bytes, |path| Model::<f32>::load_keras(path).is_ok() | Model::<f64>::load_keras(path).is_ok())
}

fn keras_weights(bytes: &[u8]) -> bool {
    in_file(bytes, |path| MODEL.with_borrow_mut(|model| model.load_keras_weights(path).is_ok()))
}

fn read_idx(bytes: &[u8]) -> bool {
    in_file(bytes, |path| {
        let bytes = idx::read(path).is_ok() | idx::read_images(path).is_ok() | idx::read_labels(path).is_ok();
        idx::read_tensor(path).is_ok() | bytes
    })
}

fn wav(bytes: &[u8]) -> bool {
    let Ok(wav) = in_file(bytes, |path| read_wav(path)) else { return false };
    assert_eq!(wav.mono().len(), wav.samples.nrows());
    true
}

fn picture(bytes: &[u8]) -> bool {
    in_file(bytes, |path| images::read(path, ColorMode::Rgb).is_ok() | images::read(path, ColorMode::Grayscale).is_ok())
}

fn time_series(bytes: &[u8]) -> bool {
    in_file(bytes, |path| {
        let lines = Stream::lines(path).pass(0).into_iter().flatten().take_while(Result::is_ok).count();
        let _ = (text::read(path), lines);
        ts::read::<f32>(path).is_ok()
    })
}
