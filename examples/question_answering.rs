//! Where is Mary? A network reads a question, then a story, and answers.
//!
//! The stories follow the grammar of bAbI's first task (Weston et al., *Towards AI-complete question answering*, 2015):
//! people go from place to place; one sentence, the last about the person, holds the answer.
//!
//! | | |
//! | --- | --- |
//! | data | 10,000 stories to learn from, 1,000 to answer, made by the example; no story stands in both |
//! | command | `cargo run --example question_answering` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | test accuracy 1.0, 1.0, 0.999 (seeds 0, 1, 2); the last place of the story 0.519 |
//! | time | 7 s of processor time (AMD EPYC; measured while others computed) |

mod arguments;

use std::collections::HashSet;

use gradus::data::text::{TextVectorization, Vectorizer};
use gradus::ndarray::s;
use gradus::prelude::*;
use gradus::random::{self, Philox};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::IndexedRandom;

const PEOPLE: [&str; 4] = ["Mary", "John", "Daniel", "Sandra"];
const PLACES: [&str; 6] = ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"];
const MOVES: [&str; 5] = ["went to", "moved to", "journeyed to", "travelled to", "went back to"];
/// Sentences of a story, words of a sentence and of a question, at most.
const SENTENCES: usize = 10;
const WORDS: usize = 6;
const QUESTION: usize = 3;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(20);
    let mut rng = random::rng(arguments.seed, "stories");
    let mut told = HashSet::new();
    let mut tell = |count| -> Vec<Story> {
        let new = std::iter::repeat_with(|| Story::new(&mut rng)).filter(|story| told.insert(story.all()));
        new.take(count).collect()
    };
    let (train, test) = (tell(if arguments.smoke { 500 } else { 10_000 }), tell(1000));
    let words = TextVectorization::new().adapt(&train.iter().map(Story::all).collect::<Vec<_>>())?;

    // The question is read first, so that the network knows whom to look for; the words of a sentence go in together.
    let question = Input::new([QUESTION]).named("question");
    let story = Input::new([SENTENCES, WORDS]).named("story");
    let meaning = shared(Embedding::new(words.vocabulary().len(), 16).name("words"));
    let sought = question.apply(&meaning).apply(Flatten::new()).apply(Dense::new(64).activation(Tanh));
    let sentences = story.apply(&meaning).apply(Reshape::new([-1, (WORDS * 16).cast_signed()]));
    let found = call(GRU::new(64), [&sentences, &sought]);
    let place = found.apply(Dense::new(PLACES.len()).activation(Softmax));
    let optimizer = Adam::new().learning_rate(0.003).global_clipnorm(1.0);
    let mut model = ModelBuilder::new([&question, &story], [&place])
        .seed(arguments.seed)
        .compile(Compile::new(optimizer).loss(SparseCategoricalCrossentropy::new()).metric(Accuracy::new()))
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    let (questions, stories, places) = numbers(&words, &train);
    model.fit((&questions, &stories), &places, Fit::new().batch_size(64).epochs(arguments.epochs))?;

    let (questions, stories, places) = numbers(&words, &test);
    let answers = model.predict((&questions, &stories))?;
    for (story, answer) in test.iter().zip(answers.outer_iter()).take(3) {
        let best = (0..PLACES.len()).max_by(|&a, &b| answer[a].total_cmp(&answer[b])).unwrap_or(0);
        println!("{} {} {}.\n", story.sentences.join(" "), story.question, PLACES[best]);
    }
    let last = test.iter().filter(|story| story.last == story.place).count();
    println!("Any place: {:.4}", 1.0 / PLACES.len() as f64);
    println!("The last place of the story: {:.4}", last as f64 / test.len() as f64);
    println!("Test accuracy: {:.4}", model.evaluate((&questions, &stories), &places)?["accuracy"]);
    Ok(())
}

/// A story, a question and its answer.
struct Story {
    sentences: Vec<String>,
    question: String,
    /// Where the person is, as a place in `PLACES`.
    place: usize,
    /// The place that the last sentence names.
    last: usize,
}

impl Story {
    fn new(rng: &mut Philox) -> Self {
        let mut whereabouts: Vec<(&str, usize)> = Vec::new();
        let sentences: Vec<String> = (0..rng.random_range(2..=10))
            .map(|_| {
                let (person, place) = (choose(&PEOPLE, rng), rng.random_range(0..PLACES.len()));
                whereabouts.push((person, place));
                format!("{person} {} the {}.", choose(&MOVES, rng), PLACES[place])
            })
            .collect();
        let asked = whereabouts[rng.random_range(0..whereabouts.len())].0;
        let place = whereabouts.iter().rev().find(|(person, _)| *person == asked).map_or(0, |(_, place)| *place);
        let last = whereabouts[whereabouts.len() - 1].1;
        Self { sentences, question: format!("Where is {asked}?"), place, last }
    }

    fn all(&self) -> String {
        format!("{} {}", self.question, self.sentences.join(" "))
    }
}

fn choose<'a>(from: &[&'a str], rng: &mut Philox) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// Questions and stories as words' numbers, zeros before a short story, and places.
fn numbers(words: &Vectorizer, stories: &[Story]) -> (Array2<f32>, Array3<f32>, Array1<usize>) {
    let questions: Vec<&str> = stories.iter().map(|story| story.question.as_str()).collect();
    let mut texts = Array3::zeros((stories.len(), SENTENCES, WORDS));
    for (mut text, story) in texts.outer_iter_mut().zip(stories) {
        let sentences = words.transform(&story.sentences);
        let (rows, columns) = sentences.dim();
        text.slice_mut(s![SENTENCES - rows.., ..columns]).assign(&sentences);
    }
    (words.transform(&questions), texts, stories.iter().map(|story| story.place).collect())
}
