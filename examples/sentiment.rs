//! Did they like the film? Bidirectional LSTMs read sentences from reviews.
//!
//! | | |
//! | --- | --- |
//! | data | 10,605 sentences with the mean rating of twenty people; Hutto & Gilbert 2014; MIT; ships in `data/text` |
//! | command | `cargo run --example sentiment` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.8098, 0.7966, 0.7919 (seeds 0, 1, 2; mean 0.799), of one network by itself 0.780 to 0.805; TF-IDF with logistic regression 0.798 on other splits |
//! | time | 41 to 52 s of processor time (AMD EPYC; measured while others computed) |
//!
//! What is known of a word is learned from 8,500 sentences alone. So the embedding is small and much of it is dropped, a word
//! shares what it means with words that begin alike, and the answers of four networks are averaged. All of it was chosen on
//! the validation parts of these splits, nothing on a test part.

mod arguments;

use gradus::data::text::{self, Split, TextVectorization, Vectorizer};
use gradus::data::train_test_split;
use gradus::prelude::*;

/// Words that are known, how many of a sentence are read, and how many letters their beginnings have.
const WORDS: usize = 12_000;
const LENGTH: usize = 40;
const BEGINNING: usize = 5;
/// Networks, alike but for the seed, whose answers are averaged.
const NETWORKS: u64 = 4;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(8);
    let sentences = read()?;
    // 80 / 10 / 10, another split for each seed.
    let (most, test) = train_test_split(sentences.len(), 0.1, arguments.seed)?;
    let (train, validation) = most.split_at(most.len() - test.len());
    let part = |rows: &[usize]| Part::of(&sentences, rows);
    let train = part(if arguments.smoke { &train[..512] } else { train });
    let (validation, test) = (part(validation), part(&test));
    let vocabulary = |tokens: fn(&str) -> Vec<String>| {
        let text = TextVectorization::new().standardize(None).split(Split::Custom(tokens));
        text.max_tokens(WORDS).output_sequence_length(LENGTH).adapt(&train.texts)
    };
    let (words, beginnings) = (vocabulary(tokens)?, vocabulary(beginnings)?);
    let ids = |part: &Part<'_>| (part.ids(&words), part.ids(&beginnings));
    let (x, x_validation, x_test) = (ids(&train), ids(&validation), ids(&test));
    let (y, y_validation) = (train.liking(), validation.liked());

    let mut answers = Array1::<f32>::zeros(test.texts.len());
    let networks = if arguments.smoke { 1 } else { NETWORKS };
    for number in 0..networks {
        let mut model = network(&words, &beginnings, arguments.seed + 100 * number)?;
        arguments.set_threads(&mut model)?;
        if number == 0 {
            println!("{}", model.summary());
        }
        let stop = EarlyStopping::new().monitor("val_binary_accuracy").patience(3).restore_best_weights(true);
        let fit = Fit::new()
            .batch_size(64)
            .epochs(arguments.epochs)
            .validation_data((&x_validation.0, &x_validation.1), &y_validation)
            .callback(stop);
        model.fit((&x.0, &x.1), &y, fit)?;
        let score = model.evaluate((&x_test.0, &x_test.1), &test.liked())?["binary_accuracy"];
        println!("Test accuracy of network {}: {score:.4}", number + 1);
        answers += &model.predict((&x_test.0, &x_test.1))?.index_axis(Axis(1), 0);
    }

    let liked = test.liked();
    let always = liked.mean().unwrap_or(0.0);
    println!("Always the same answer: {:.4}", always.max(1.0 - always));
    println!("TF-IDF and logistic regression (scikit-learn, mean of several splits, measured elsewhere): 0.798");
    let half = 0.5 * networks as f32;
    let right = answers.iter().zip(&liked).filter(|(answer, liked)| (**answer > half) == (**liked > 0.5)).count();
    println!("Test accuracy: {:.4}", right as f64 / liked.len() as f64);
    Ok(())
}

/// Each word is the sum of what is known of it and of its beginning, which it shares with words of one stem.
fn network(words: &Vectorizer, beginnings: &Vectorizer, seed: u64) -> gradus::Result<Model<f32>> {
    let embedding = |vocabulary: &Vectorizer| Embedding::new(vocabulary.vocabulary().len(), 32).mask_zero(true);
    let (word, beginning) = (Input::new([LENGTH]).named("words"), Input::new([LENGTH]).named("beginnings"));
    let known = call(Add::new(), [&word.apply(embedding(words)), &beginning.apply(embedding(beginnings))]);
    let liked = known
        // Whole words are dropped, then channels of all words.
        .apply(Dropout::new(0.2).noise_shape([None, None, Some(1)]))
        .apply(SpatialDropout1D::new(0.5))
        .apply(Bidirectional::new(LSTM::new(32).return_sequences(true)))
        .apply(GlobalAvgPool1D::new())
        .apply(Dropout::new(0.5))
        .apply(Dense::new(1).activation(Sigmoid).name("liked"));
    let adam = Adam::new().learning_rate(0.001);
    let compile = Compile::new(adam).loss(BinaryCrossentropy::new()).metric(BinaryAccuracy::new());
    ModelBuilder::new([&word, &beginning], [&liked]).seed(seed).compile(compile).build()
}

/// Words in small letters and marks; `n't` and `'s` stand by themselves.
fn tokens(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("n't", " n't").replace("'s", " 's");
    let ends_word = |c: char| !c.is_alphanumeric() && c != '\'';
    let mut tokens = Vec::new();
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        let mark = &piece[word.len()..];
        let word = if word == "'s" { word } else { word.trim_matches('\'') };
        if !word.is_empty() {
            tokens.push(word.to_owned());
        }
        if !mark.is_empty() && "!?.,:;()".contains(mark) {
            tokens.push(mark.to_owned());
        }
    }
    tokens
}

/// The first letters of each token.
fn beginnings(text: &str) -> Vec<String> {
    tokens(text).iter().map(|token| token.chars().take(BEGINNING).collect()).collect()
}

/// A sentence, and its rating from −4 to 4.
struct Sentence {
    text: String,
    rating: f32,
}

/// All sentences but those that nobody could decide on, rated 0.
fn read() -> gradus::Result<Vec<Sentence>> {
    let path = datasets::file("text", "movie_reviews.tsv")?;
    let file = text::read(&path)?;
    let sentence = |line: &str| {
        let (rating, text) = line.split_once('\t')?;
        Some(Sentence { rating: rating.parse().ok()?, text: text.to_owned() })
    };
    let sentences: Option<Vec<Sentence>> = file.lines().skip(1).map(sentence).collect();
    let mut sentences = sentences.ok_or_else(|| gradus::Error::file(&path, "expected lines of rating, tab, text"))?;
    sentences.retain(|sentence| sentence.rating != 0.0);
    Ok(sentences)
}

/// Some of the sentences.
struct Part<'a> {
    texts: Vec<&'a str>,
    ratings: Array1<f32>,
}

impl<'a> Part<'a> {
    fn of(sentences: &'a [Sentence], rows: &[usize]) -> Self {
        Self {
            texts: rows.iter().map(|&row| sentences[row].text.as_str()).collect(),
            ratings: rows.iter().map(|&row| sentences[row].rating).collect(),
        }
    }

    fn ids(&self, words: &Vectorizer) -> Array2<f32> {
        words.transform(&self.texts)
    }

    /// 1 where the film was liked.
    fn liked(&self) -> Array1<f32> {
        self.ratings.mapv(|rating| f32::from(rating > 0.0))
    }

    /// How sure the raters were that it was, from 0 to 1: there is more to learn from it than from yes and no.
    fn liking(&self) -> Array1<f32> {
        self.ratings.mapv(|rating| 1.0 / (1.0 + (-1.5 * rating).exp()))
    }
}
