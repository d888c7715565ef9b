//! Which play are these lines from? Bags of words, told apart by a small network and by naive Bayes.
//!
//! | | |
//! | --- | --- |
//! | data | ten plays of Shakespeare, four spoken lines at a time; Project Gutenberg; public domain; ships in `data/text` |
//! | command | `cargo run --example text_classification` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 0.5943, 0.6168, 0.5868 (seeds 0, 1, 2); naive Bayes 0.5449, 0.5569, 0.5314, the longest play 0.127 |
//! | time | 6 to 7 s of processor time (AMD EPYC, one thread; measured while others computed) |

mod arguments;

use gradus::data::text::{self, OutputMode, TextVectorization};
use gradus::data::train_test_split;
use gradus::metrics::scores::{self, Classification};
use gradus::prelude::*;

const WORDS: usize = 8000;
/// Lines that are judged together.
const LINES: usize = 4;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(12);
    let (titles, passages) = read()?;
    // 80 / 10 / 10, another split for each seed.
    let (most, test) = train_test_split(passages.len(), 0.1, arguments.seed)?;
    let (train, validation) = most.split_at(most.len() - test.len());
    let train = &train[..if arguments.smoke { 400 } else { train.len() }];
    let texts = |rows: &[usize]| -> Vec<&str> { rows.iter().map(|&row| passages[row].text.as_str()).collect() };
    let plays = |rows: &[usize]| -> Array1<usize> { rows.iter().map(|&row| passages[row].play).collect() };

    let counts = TextVectorization::new().max_tokens(WORDS).output_mode(OutputMode::Count).adapt(&texts(train))?;
    let bag = |rows: &[usize]| counts.transform::<f32>(&texts(rows));
    let (x, y) = (bag(train), plays(train));

    let mut model = Sequential::new()
        .input([counts.vocabulary().len()])
        .add(Dropout::new(0.3))
        .add(Dense::new(96).activation(Relu))
        .add(Dropout::new(0.5))
        .add(Dense::new(titles.len()).activation(Softmax))
        .compile(SparseCategoricalCrossentropy::new(), Adam::new())
        .metric(Accuracy::new())
        .seed(arguments.seed)
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    let (x_validation, y_validation) = (bag(validation), plays(validation));
    let stop = EarlyStopping::new().monitor("val_accuracy").patience(3).restore_best_weights(true);
    let options = Fit::new().batch_size(64).epochs(arguments.epochs).validation_data(&x_validation, &y_validation);
    model.fit(&x, &y, options.callback(stop))?;

    let (x_test, y_test) = (bag(&test), plays(&test));
    let probabilities: Array2<f32> = model.predict(&x_test)?.into_dimensionality().expect("a row a passage");
    let said = gradus::data::from_categorical(&probabilities)?;
    let names: Vec<&str> = titles.iter().map(String::as_str).collect();
    println!("{}", scores::classification_report(&y_test, &said, &names, &Classification::new())?);
    let most_lines = (0..titles.len()).map(|play| y.iter().filter(|it| **it == play).count());
    let frequent = most_lines.enumerate().max_by_key(|(_, count)| *count).map_or(0, |(play, _)| play);
    let right = |said: &Array1<usize>| scores::accuracy_score(&y_test, said, &Classification::new());
    println!("Always {}: {:.4}", titles[frequent], right(&Array1::from_elem(test.len(), frequent))?);
    println!("Naive Bayes on the same words: {:.4}", right(&naive_bayes(&x, &y, titles.len(), &x_test))?);
    println!("Test accuracy: {:.4}", right(&said)?);
    Ok(())
}

/// A few spoken lines, and the number of the play that they are from.
struct Passage {
    text: String,
    play: usize,
}

/// The titles, and the passages of all plays.
fn read() -> gradus::Result<(Vec<String>, Vec<Passage>)> {
    let path = datasets::file("text", "shakespeare.txt")?;
    let file = text::read(&path)?;
    let (mut titles, mut passages) = (Vec::new(), Vec::new());
    let (mut before, mut waiting) = ("", Vec::new());
    for line in file.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "by William Shakespeare" {
            titles.push(before.to_owned());
            waiting.clear();
        }
        before = line;
        // Names of speakers, stage directions and headings would give the play away.
        let words = line.split_whitespace().count();
        let heading = line.contains(['[', ']']) || line.chars().take(3).all(char::is_uppercase);
        if titles.is_empty() || heading || words < 4 {
            continue;
        }
        waiting.push(line);
        if waiting.len() == LINES {
            passages.push(Passage { text: waiting.join(" "), play: titles.len() - 1 });
            waiting.clear();
        }
    }
    if passages.is_empty() { Err(Error::file(&path, "holds no plays")) } else { Ok((titles, passages)) }
}

/// The play with the greatest log P(play) + Σ count·log P(word | play), each word counted once more than it was seen.
fn naive_bayes(x: &Array2<f32>, y: &Array1<usize>, plays: usize, x_test: &Array2<f32>) -> Array1<usize> {
    let mut words = Array2::<f32>::ones((plays, x.ncols()));
    let mut rows = Array1::<f32>::zeros(plays);
    for (row, &play) in x.rows().into_iter().zip(y) {
        words.row_mut(play).scaled_add(1.0, &row);
        rows[play] += 1.0;
    }
    let totals = words.sum_axis(Axis(1)).insert_axis(Axis(1));
    let scores = x_test.dot(&(words / totals).mapv(f32::ln).t()) + rows.mapv(f32::ln);
    let likeliest = |row: gradus::ndarray::ArrayView1<'_, f32>| {
        (0..plays).fold(0, |best, play| if row[play] > row[best] { play } else { best })
    };
    scores.rows().into_iter().map(likeliest).collect()
}
