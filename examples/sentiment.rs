//! Did they like the film? A bidirectional LSTM reads sentences from reviews.
//!
//! | | |
//! | --- | --- |
//! | data | 10,605 sentences with the mean rating of twenty people; Hutto & Gilbert 2014; MIT; ships in `data/text` |
//! | command | `cargo run --example sentiment` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.7824, 0.7625, 0.7720 (seeds 0, 1, 2), below the 0.798 of TF-IDF with logistic regression |
//! | time | 8 to 14 s of processor time (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::data::text::{self, TextVectorization, Vectorizer};
use gradus::data::train_test_split;
use gradus::prelude::*;

/// Words that are known, and how many of a sentence are read.
const WORDS: usize = 12_000;
const LENGTH: usize = 40;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(8);
    let sentences = read()?;
    // 80 / 10 / 10, another split for each seed.
    let (most, test) = train_test_split(sentences.len(), 0.1, arguments.seed)?;
    let (train, validation) = most.split_at(most.len() - test.len());
    let part = |rows: &[usize]| Part::of(&sentences, rows);
    let (train, validation, test) = (part(train), part(validation), part(&test));
    let words = TextVectorization::new().max_tokens(WORDS).output_sequence_length(LENGTH).adapt(&train.texts)?;

    let mut model = Sequential::new()
        .input([LENGTH])
        .add(Embedding::new(words.vocabulary().len(), 64).mask_zero(true))
        .add(SpatialDropout1D::new(0.4))
        .add(Bidirectional::new(LSTM::new(48).return_sequences(true)))
        .add(GlobalAvgPool1D::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(1).activation(Sigmoid))
        .compile(BinaryCrossentropy::new(), Adam::new().learning_rate(0.002))
        .metric(BinaryAccuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    let stop = EarlyStopping::new().monitor("val_binary_accuracy").patience(3).restore_best_weights(true);
    let rows = if arguments.smoke { 512 } else { train.texts.len() };
    let (x, y) = (train.ids(&words), train.liking());
    let (x_validation, y_validation) = (validation.ids(&words), validation.liked());
    let fit =
        Fit::new().batch_size(64).epochs(arguments.epochs).validation_data(&x_validation, &y_validation).callback(stop);
    model.fit(&x.slice_axis(Axis(0), (..rows).into()), &y.slice_axis(Axis(0), (..rows).into()), fit)?;

    let liked = test.liked().mean().unwrap_or(0.0);
    println!("Always the same answer: {:.4}", liked.max(1.0 - liked));
    println!("TF-IDF and logistic regression (scikit-learn, mean of several splits, measured elsewhere): 0.798");
    println!("Test accuracy: {:.4}", model.evaluate(&test.ids(&words), &test.liked())?["binary_accuracy"]);
    Ok(())
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
