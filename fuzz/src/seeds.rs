//! What the readers are tried on before it is changed: small files of every kind, made by gradus itself where it writes
//! them. `cargo run --bin seeds` writes them to `seeds/`, where `cargo fuzz` takes them from.

use std::path::PathBuf;

use gradus::data::audio::{SampleFormat, write_wav_as};
use gradus::data::preprocessing::{LabelEncoder, StandardScaler, Steps};
use gradus::data::text::{OutputMode, TextVectorization};
use gradus::data::{idx as idx_files, images};
use gradus::formats::npy;
use gradus::formats::safetensors::{Tensor, TensorFile};
use gradus::prelude::*;
use gradus::tuning::{RandomSearch, Space};
use ndarray::array;

/// The bytes of what `write` writes to a path with this ending.
fn written(ending: &str, write: impl FnOnce(&PathBuf) -> gradus::Result<()>) -> Vec<u8> {
    let name = format!("gradus-seed-{}-{:?}{ending}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    write(&path).expect("a seed can be written");
    let bytes = std::fs::read(&path).expect("it was written");
    std::fs::remove_file(&path).ok();
    bytes
}

pub fn small_model() -> Model {
    Sequential::new()
        .input([3])
        .add(Dense::new(4).activation(Relu))
        .add(Dense::new(2).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .build()
        .expect("a valid model")
}

pub fn small_game() -> Gan<f32> {
    let network = |input: usize, output: usize| {
        Sequential::new().input([input]).add(Dense::new(3).activation(Tanh)).add(Dense::new(output)).build()
    };
    let generator = network(2, 2).and_then(Generator::new).expect("a valid network");
    let discriminator = network(2, 1).and_then(Discriminator::new).expect("a valid network");
    Gan::new(generator, discriminator).build().expect("a valid game")
}

/// Models with many kinds of layers, of few weights.
fn all_models() -> Vec<Model> {
    let chain = Sequential::new()
        .input([8, 8, 2])
        .add(ZeroPadding2D::new().padding(1))
        .add(Conv2D::new(2, 3).strides(2).activation(Relu))
        .add(BatchNormalization::new())
        .add(MaxPool2D::new())
        .add(UpSampling2D::new())
        .add(Flatten::new())
        .add(Dropout::new(0.25))
        .add(Dense::new(3).activation(Softmax))
        .compile(CategoricalCrossentropy::new(), SGD::new().momentum(0.9))
        .metric(AUC::new())
        .build();
    let words = Sequential::new()
        .input((None,))
        .add(Embedding::new(7, 3).mask_zero(true))
        .add(Bidirectional::new(LSTM::new(2)))
        .add(RepeatVector::new(2))
        .add(GRU::new(2).return_sequences(true))
        .add(TimeDistributed::new(Dense::new(2)))
        .add(GlobalAvgPool1D::new())
        .build();
    let (a, b) = (Input::new([4]), Input::new([4]));
    let shared = shared(Dense::new(3));
    let inner = Sequential::new().input([6]).name("inner").add(Dense::new(2).activation(Gelu)).build();
    let both = call(Concatenate::new(), [&a.apply(&shared), &b.apply(&shared)]);
    let inner = inner.expect("a valid model");
    let graph = ModelBuilder::new([&a, &b], [&both.apply(inner)]).build();
    [Ok(small_model()), chain, words, graph].map(|model| model.expect("a valid model")).into()
}

pub fn models() -> Vec<Vec<u8>> {
    all_models().iter().map(|model| written(".safetensors", |path| model.save(path))).collect()
}

pub fn architectures() -> Vec<Vec<u8>> {
    let config = |model: &Model| model.to_config().expect("it has one").to_string().into_bytes();
    all_models().iter().map(config).collect()
}

pub fn safetensors() -> Vec<Vec<u8>> {
    let mut file = TensorFile::new();
    file.insert("a", &array![[1.0f32, 2.0], [3.0, f32::NAN]]);
    file.insert("b/c", &array![1u8, 2, 3]);
    file.insert("d", &ndarray::arr0(7u64));
    file.insert("e", &ndarray::Array3::<f64>::zeros((2, 0, 3)));
    file.metadata.insert("key".into(), "{\"text\": [1, 2.5]}".into());
    let empty = TensorFile::new();
    [file, empty].iter().map(|file| file.to_bytes().expect("it can be written")).collect()
}

pub fn checkpoints() -> Vec<Vec<u8>> {
    let model = small_model();
    vec![
        written(".safetensors", |path| model.save_checkpoint(path)),
        written(".safetensors", |path| model.save_weights(path)),
    ]
}

pub fn games() -> Vec<Vec<u8>> {
    vec![written(".safetensors", |path| small_game().save_checkpoint(path))]
}

pub fn vocabularies() -> Vec<Vec<u8>> {
    let texts = ["the cat sat", "the dog", "a cat, a dog"];
    let kinds = [
        TextVectorization::new().output_sequence_length(4),
        TextVectorization::new().output_mode(OutputMode::TfIdf).max_tokens(20).pad_to_max_tokens(true),
        TextVectorization::new().output_mode(OutputMode::Count).ngrams(2),
    ];
    let save =
        |kind: &TextVectorization| written(".json", |path| kind.adapt(&texts).and_then(|words| words.save(path)));
    kinds.iter().map(save).collect()
}

pub fn steps() -> Vec<Vec<u8>> {
    let scaler = StandardScaler::new().fit(&array![[1.0f32, 10.0], [3.0, 30.0]]).expect("rows");
    let classes = LabelEncoder::fit(["tree", "stone"].map(String::from));
    vec![written(".json", |path| Steps::new().with("measures", &scaler).with("classes", &classes).save(path))]
}

pub fn searches() -> Vec<Vec<u8>> {
    let space = Space::new().uniform("x", 0.0..=1.0).choice("y", ["a", "b"]);
    let run = |path: &PathBuf| {
        RandomSearch::new(space, 2).threads(1).verbose(0).results(path).run(|trial| trial.number("x")).map(drop)
    };
    vec![written(".json", run)]
}

pub fn tables() -> Vec<Vec<u8>> {
    let texts = [
        "a,b,c\n1,2.5,x\n-3,1e3,\"y, z\"\n,nan,\n",
        "n,item\n1,\"5 \"\"inch\"\"\"\n2,cable\r\n3,fan",
        "\u{feff}id\n9007199254740993\n02134\n",
        "1,2\n3,4\n",
        "a;b\n1,5;2,25\n3,0;4,75\n",
        "city\t \"state, country\"\nX\t\"1,234\"\nNULL\t#N/A\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Tables, each with the three bytes that choose its options.
pub fn tables_with_options() -> Vec<Vec<u8>> {
    let options: [[u8; 3]; 6] = [[0, 0, 2], [0, 0, 2], [1, 0, 2], [1, 0, 3], [1, 1, 0], [2, 0, 1]];
    tables().into_iter().zip(options).map(|(table, options)| [&table[..], &options].concat()).collect()
}

pub fn npy() -> Vec<Vec<u8>> {
    let tensors = [
        Tensor::from_array(&array![[1.0f32, 2.0], [3.0, 4.0]]),
        Tensor::from_array(&array![-1i64, 7]),
        Tensor::from_array(&ndarray::arr0(true)),
    ];
    let mut seeds: Vec<Vec<u8>> =
        tensors.iter().map(|tensor| npy::to_bytes(tensor).expect("it can be written")).collect();
    // The other order of bytes and of axes.
    let at = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).position(|part| part == word).expect("it is there");
    let mut turned = seeds[0].clone();
    let (order, fortran) = (at(&turned, b"<f4"), at(&turned, b"False"));
    turned[order] = b'>';
    turned[fortran..fortran + 5].copy_from_slice(b"True ");
    seeds.push(turned);
    seeds
}

pub fn npz() -> Vec<Vec<u8>> {
    let arrays = npy::Arrays::from([
        ("x".to_owned(), Tensor::from_array(&ndarray::Array2::<f32>::zeros((5, 4)))),
        ("labels".to_owned(), Tensor::from_array(&array![1u8, 2, 3])),
    ]);
    [false, true].map(|packed| npy::npz_to_bytes(&arrays, packed).expect("it can be written")).into()
}

/// Whole models as gradus writes them, and in the words of Keras 2.
pub fn keras() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        all_models().iter().map(|model| written(".keras", |path| model.save_keras(path))).collect();
    seeds.push(include_bytes!("../../tests/keras/files/earlier.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/files/masked_chain.h5").to_vec());
    seeds
}

pub fn keras_weights() -> Vec<Vec<u8>> {
    let model = small_model();
    vec![
        written(".weights.h5", |path| model.save_keras_weights(path)),
        written(".keras", |path| model.save_keras(path)),
    ]
}

/// Files of gradus and of the library, in every form.
pub fn hdf5() -> Vec<Vec<u8>> {
    let mut seeds = vec![keras_weights().swap_remove(0)];
    seeds.push(include_bytes!("../../tests/keras/hostile/good_chunks.weights.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/hostile/good_chunks_plain.weights.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/hostile/good_compact.weights.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/hostile/good_double.weights.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/hostile/good_latest.weights.h5").to_vec());
    seeds.push(include_bytes!("../../tests/keras/files/earlier.h5").to_vec());
    seeds
}

pub fn idx() -> Vec<Vec<u8>> {
    let grey = ndarray::Array3::from_shape_fn((3, 4, 5), |(i, j, k)| (i * 40 + j * 7 + k) as u8);
    vec![
        written(".idx", |path| idx_files::write(path, &grey)),
        written(".idx.gz", |path| idx_files::write(path, &grey)),
        written(".idx", |path| idx_files::write(path, &array![1u8, 2, 3])),
        written(".idx", |path| idx_files::write_tensor(path, &Tensor::from_array(&array![-1i32, 2]))),
        written(".idx", |path| idx_files::write_tensor(path, &Tensor::from_array(&array![[1.5f64], [2.0]]))),
    ]
}

pub fn sounds() -> Vec<Vec<u8>> {
    let sound = Array2::from_shape_fn((40, 2), |(time, channel)| ((time + channel) as f32 * 0.3).sin());
    let formats = [SampleFormat::Int16, SampleFormat::Int24, SampleFormat::Float32];
    let mut seeds: Vec<Vec<u8>> =
        formats.map(|format| written(".wav", |path| write_wav_as(path, &sound, 8000, format))).into();
    let start = |file: &[u8]| file[..file.len().min(2000)].to_vec();
    seeds.push(start(include_bytes!("../../tests/data/pcm8.wav")));
    seeds.push(start(include_bytes!("../../tests/data/pcm24.wav")));
    seeds.push(start(include_bytes!("../../tests/data/three.wav")));
    seeds.push(include_bytes!("../../tests/data/wav/ext24in32.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/rf64.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/rf64_pipe.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/rifx_float.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/ulaw_ext.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/alaw.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/odd_list_before_fmt.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/sox_pipe.wav").to_vec());
    seeds.push(include_bytes!("../../tests/data/wav/float64.wav").to_vec());
    seeds
}

pub fn png() -> Vec<Vec<u8>> {
    let grey = Array2::from_shape_fn((9, 7), |(i, j)| (i * 20 + j) as u8);
    let colour = Array3::from_shape_fn((6, 5, 3), |(i, j, c)| (i * 30 + j * 9 + c * 70) as u8);
    vec![
        written(".png", |path| images::write_png(path, &grey)),
        written(".png", |path| images::write_png(path, &colour)),
        written(".png", |path| images::write_animation(path, &[colour.clone(), colour.clone()], 50)),
    ]
}

pub fn jpeg() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../tests/data/grey.jpg").to_vec(),
        include_bytes!("../../tests/data/picture.jpg").to_vec(),
        include_bytes!("../../tests/data/progressive.jpg").to_vec(),
    ]
}

pub fn time_series() -> Vec<Vec<u8>> {
    let text = "# motions\n@problemName Motions\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n\
        0.08,0.08,-0.9:0.39,0.39,-0.5:a\n1,2,?:4,5,6:b\n";
    let short = "@problemName x\n@classLabel false\n@data\n1,2\n3,4\n";
    let stamps = "@timeStamps true\n@targetLabel true\n@data\n(0,1.5),(1,2.5):(2020-01-01 00:00:00,?),(1,4):-0.5\n";
    [text, short, stamps].map(|text| text.as_bytes().to_vec()).into()
}
