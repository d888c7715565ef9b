//! A network that learns to write like Shakespeare, character by character.
//!
//! The plays are read as 64 streams side by side; the LSTM carries its states from batch to batch.
//!
//! | | |
//! | --- | --- |
//! | data | ten plays of Shakespeare, 1.3 million characters; Project Gutenberg; public domain; ships in `data/text` |
//! | command | `cargo run --release --example text_generation` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | 2.195 and 2.203 bits a character on the last tenth after 10 epochs (seeds 0 and 1; with AVX-512 2.197 for seed 0); an order-4 n-gram 2.493 |
//! | time | 82 s on two cores (Intel Xeon, AVX-512); 6 to 9 minutes of processor time on one thread (AMD EPYC; measured while others computed) |

mod arguments;

use std::collections::HashMap;

use gradus::data::text::{self, Sampler, Split, TextVectorization, Vectorizer};
use gradus::prelude::*;

const STREAMS: usize = 64;
/// Characters of each stream in a batch: so far back gradients go.
const STEPS: usize = 64;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(10);
    let plays = text::read(datasets::file("text", "shakespeare.txt")?)?;
    let (train, test) = plays.split_at(plays.len() / 10 * 9);
    let characters = TextVectorization::new().standardize(None).split(Split::Character).adapt(&[train])?;
    let (train, test) = (characters.ids(train), characters.ids(test));
    let train = if arguments.smoke { &train[..40_000] } else { &train[..] };
    let test = if arguments.smoke { &test[..10_000] } else { &test[..] };

    let (x, y) = streams(train);
    let (x_test, y_test) = streams(test);
    let steps = arguments.epochs * x.nrows() / STREAMS;
    let optimizer = Adam::new().learning_rate(OneCycle::new(0.006, steps as u64)).global_clipnorm(1.0);
    let mut model = network(&characters, STEPS)
        .batch_size(STREAMS)
        .compile(SparseCategoricalCrossentropy::new(), optimizer)
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    // The order of the rows is that of the text.
    model.fit(&x, &y, Fit::new().batch_size(STREAMS).epochs(arguments.epochs).shuffle(false))?;

    model.reset_states();
    let bits = model.evaluate(&x_test, &y_test)?.loss / std::f64::consts::LN_2;
    println!("Four characters before decide (order-4 n-gram): {:.3} bits a character", ngram_bits(train, test));
    println!("Test: {bits:.3} bits a character");

    let mut writer = network(&characters, 1).batch_size(1).build()?;
    writer.set_weights(model.get_weights().iter().filter(|(path, _)| !path.contains("state")).map(|(p, w)| (p, w)))?;
    for temperature in [0.4, 0.7, 1.0] {
        println!("\nAt temperature {temperature}:\n{}", write(&writer, &characters, temperature, arguments.seed)?);
    }
    Ok(())
}

fn network(characters: &Vectorizer, steps: usize) -> Sequential {
    let count = characters.vocabulary().len();
    Sequential::new()
        .input([steps])
        .add(Embedding::new(count, 64))
        .add(LSTM::new(256).return_sequences(true).stateful(true))
        .add(Dropout::new(0.1))
        .add(Dense::new(count).activation(Softmax))
}

/// The text as rows of `STEPS` characters, and of those that follow each: row r goes on where row r − `STREAMS` ended.
fn streams(ids: &[usize]) -> (Array2<usize>, Array2<usize>) {
    let windows = (ids.len() - 1) / STREAMS / STEPS;
    let at = |row: usize, step: usize| (row % STREAMS * windows + row / STREAMS) * STEPS + step;
    let shape = (windows * STREAMS, STEPS);
    let x = Array2::from_shape_fn(shape, |(row, step)| ids[at(row, step)]);
    (x, Array2::from_shape_fn(shape, |(row, step)| ids[at(row, step) + 1]))
}

/// Writes 400 characters, each drawn from what the network expects after the ones before.
fn write(model: &Model, characters: &Vectorizer, temperature: f64, seed: u64) -> gradus::Result<String> {
    let mut sampler = Sampler::new(seed).temperature(temperature).top_k(40);
    let mut predictor = model.predictor(1);
    let mut expected = vec![0.0; characters.vocabulary().len()];
    let mut written = String::from("\n\n");
    let mut ids = characters.ids(&written);
    for _ in 0..400 {
        for id in ids.drain(..) {
            predictor.run(&[id as f32], &mut expected)?;
        }
        let logarithms: Vec<f32> = expected.iter().map(|p| p.ln()).collect();
        let id = sampler.sample(&logarithms)?;
        written.push_str(&characters.vocabulary()[id]);
        ids.push(id);
    }
    Ok(written.trim_start().to_owned())
}

/// Bits a character of an n-gram model that looks at four characters, mixed with the shorter ones after Witten and Bell.
fn ngram_bits(train: &[usize], test: &[usize]) -> f64 {
    const ORDER: usize = 4;
    /// What followed a context: how often each character, and how many in all.
    type Follows = (HashMap<usize, f64>, f64);
    let mut contexts: HashMap<&[usize], Follows> = HashMap::new();
    for at in ORDER..train.len() {
        for length in 0..=ORDER {
            let (follows, total) = contexts.entry(&train[at - length..at]).or_default();
            *follows.entry(train[at]).or_default() += 1.0;
            *total += 1.0;
        }
    }
    let bits = (ORDER..test.len()).map(|at| {
        let mut probability = 1.0 / 100.0;
        for length in 0..=ORDER {
            if let Some((follows, total)) = contexts.get(&test[at - length..at]) {
                let kinds = follows.len() as f64;
                let seen = follows.get(&test[at]).copied().unwrap_or(0.0);
                probability = (seen + kinds * probability) / (total + kinds);
            }
        }
        -probability.log2()
    });
    bits.sum::<f64>() / (test.len() - ORDER) as f64
}
