//! Dates as people write them, in English, French and German and with slips of the pen, translated to ISO 8601.
//!
//! An encoder reads the letters in both directions; a decoder writes ten characters, looking back at the letters by
//! attention; a beam search finds the likeliest date. With feature `plots` the looks are drawn.
//!
//! | | |
//! | --- | --- |
//! | data | 40,000 dates to learn from, 1,000 other days to translate, made by the example |
//! | command | `cargo run --release --features plots --example translation` (`-- --seed N --epochs N --threads N --smoke`) |
//! | expected | 1.0 of 1,000 dates exact, on days that were not learned from (seeds 0 and 1) |
//! | time | 49 to 76 s of processor time, 59 to 80 MB (AMD EPYC; measured while others computed) |

mod arguments;

use gradus::custom::*;
use gradus::data::text::{BeamSearch, Split, TextVectorization, Vectorizer};
use gradus::ndarray::ArrayView2;
use gradus::random::{self, Philox};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::IndexedRandom;

/// Letters of a written date, at most; characters of an ISO date and its end.
const LETTERS: usize = 36;
const WRITTEN: usize = 11;
/// The characters that the decoder writes; the last two begin and end a date.
const SIGNS: &str = "0123456789-<>";
const START: usize = 11;
const END: usize = 12;

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(4);
    let mut rng = random::rng(arguments.seed, "dates");
    // Every thirtieth day is kept for the test, in whatever words.
    let days: Vec<Date> = Date::all().collect();
    let (test, train): (Vec<_>, Vec<_>) = days.into_iter().enumerate().partition(|(number, _)| number % 30 == 7);
    let mut write = |days: &[(usize, Date)], count| -> Vec<Example> {
        (0..count).filter_map(|_| Some(Example::new(days.choose(&mut rng)?.1, &mut rng))).collect()
    };
    let train = write(&train, if arguments.smoke { 500 } else { 40_000 });
    let test = write(&test, if arguments.smoke { 20 } else { 1000 });
    let written: Vec<&str> = train.iter().map(|example| example.written.as_str()).collect();
    let letters = TextVectorization::new()
        .standardize(None)
        .split(Split::Character)
        .output_sequence_length(LETTERS)
        .adapt(&written)?;

    let network = Network::new(&letters);
    let optimizer = Adam::new().learning_rate(0.003).global_clipnorm(1.0);
    let mut model = ModelBuilder::new(&network.inputs, [&network.next])
        .seed(arguments.seed)
        .compile(Compile::new(optimizer).loss(SparseCategoricalCrossentropy::new()).metric(Accuracy::new()))
        .build()?;
    arguments.set_threads(&mut model)?;
    println!("{}", model.summary());
    let (x, before, after) = numbers(&letters, &train);
    model.fit((&x, &before), &after, Fit::new().batch_size(64).epochs(arguments.epochs))?;

    let mut right = 0;
    for (number, example) in test.iter().enumerate() {
        let date = translate(&model, &letters, &example.written)?;
        right += usize::from(date == example.date);
        if number < 8 {
            println!("{:>34}  {date}", example.written);
        }
    }
    println!(
        "Exact, of {} dates on days that were not learned from: {:.4}",
        test.len(),
        right as f64 / test.len() as f64
    );
    #[cfg(feature = "plots")]
    {
        // The longest of those that were shown tells most.
        let longest = test.iter().take(8).max_by_key(|example| example.written.chars().count());
        draw(&arguments, &network, &model, &letters, longest.unwrap_or(&test[0]))?;
    }
    Ok(())
}

/// The encoder and the decoder.
struct Network {
    /// The letters, and the characters before each one that is written.
    inputs: [Symbol<f32>; 2],
    /// What each written character looks at.
    #[cfg_attr(not(feature = "plots"), allow(dead_code))] // is drawn
    looks: Symbol<f32>,
    /// The probabilities of each character.
    next: Symbol<f32>,
}

impl Network {
    fn new(letters: &Vectorizer) -> Self {
        let text = Input::new([LETTERS]).named("text");
        let embedded = text.apply(Embedding::new(letters.vocabulary().len(), 32).mask_zero(true).name("letters"));
        let reader = Bidirectional::new(GRU::new(64).return_sequences(true).return_state(true)).name("read");
        let read = embedded.apply(reader);
        let gist = call(Concatenate::new().name("gist"), [&read.output(1), &read.output(2)]);

        let before = Input::new([WRITTEN]).named("before");
        let signs = before.apply(Embedding::new(SIGNS.len(), 16).name("signs"));
        let thought = call(GRU::new(128).return_sequences(true).name("write"), [&signs, &gist]);
        let attention = Attention::new().use_scale(true).return_attention_scores(true).name("look");
        let seen = call(attention, [&thought, &read]);
        let both = call(Concatenate::new().name("both"), [&seen, &thought]);
        let hidden = both.apply(Dense::new(64).activation(Tanh).name("hidden"));
        let next = hidden.apply(Dense::new(SIGNS.len()).activation(Softmax).name("next"));
        Self { inputs: [text, before], looks: seen.output(1), next }
    }
}

/// The likeliest date.
fn translate(model: &Model, letters: &Vectorizer, written: &str) -> gradus::Result<String> {
    let text = letters.transform::<f32>(&[written]);
    let found = BeamSearch::new(START, END, WRITTEN).width(3).search(|beginnings: ArrayView2<'_, usize>| {
        let rows = beginnings.nrows();
        let texts = text.broadcast((rows, LETTERS)).expect("one row for all").to_owned();
        let mut before = Array2::zeros((rows, WRITTEN));
        before.slice_mut(gradus::ndarray::s![.., ..beginnings.ncols()]).assign(&beginnings.mapv(|sign| sign as f32));
        let next = model.predict((&texts, &before))?;
        let next = next.index_axis(Axis(1), beginnings.ncols() - 1).mapv(f32::ln);
        Ok(next.into_dimensionality().expect("a row a beginning"))
    })?;
    Ok(found.first().map(|best| spell(&best.tokens)).unwrap_or_default())
}

fn spell(signs: &[usize]) -> String {
    signs.iter().filter_map(|&sign| SIGNS.chars().nth(sign)).collect()
}

/// Letters as numbers; the characters of each date as the decoder finds them before it writes, and as it should write.
fn numbers(letters: &Vectorizer, examples: &[Example]) -> (Array2<f32>, Array2<f32>, Array2<usize>) {
    let written: Vec<&str> = examples.iter().map(|example| example.written.as_str()).collect();
    let sign = |row: usize, place: usize| {
        let sign = examples[row].date.as_bytes().get(place);
        sign.and_then(|sign| SIGNS.bytes().position(|other| other == *sign)).unwrap_or(END)
    };
    let after = Array2::from_shape_fn((examples.len(), WRITTEN), |(row, place)| sign(row, place));
    let before = |(row, place): (usize, usize)| if place == 0 { START } else { after[[row, place - 1]] } as f32;
    (letters.transform(&written), Array2::from_shape_fn(after.dim(), before), after)
}

#[derive(Clone, Copy)]
struct Date {
    year: u32,
    /// From 0, January.
    month: usize,
    day: u32,
    /// From 0, Monday.
    weekday: usize,
}

impl Date {
    /// All days from 1950 to 2049.
    fn all() -> impl Iterator<Item = Self> {
        let leap = |year: u32| year.is_multiple_of(4); // 2000 too
        let length = move |year, month| match month {
            1 => 28 + u32::from(leap(year)),
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        let days = (1950..2050)
            .flat_map(|year| (0..12).map(move |month| (year, month)))
            .flat_map(move |(year, month)| (1..=length(year, month)).map(move |day| (year, month, day)));
        // 1 January 1950 was a Sunday.
        days.enumerate().map(|(number, (year, month, day))| Self { year, month, day, weekday: (number + 6) % 7 })
    }
}

/// A date in somebody's words, and in ISO 8601.
struct Example {
    written: String,
    date: String,
}

const MONTHS: [[&str; 12]; 3] = [
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
];

const WEEKDAYS: [[&str; 7]; 3] = [
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
];

impl Example {
    fn new(day: Date, rng: &mut Philox) -> Self {
        let Date { year: y, day: d, .. } = day;
        let language = rng.random_range(0..3);
        let month = slip(MONTHS[language][day.month], rng);
        let weekday = slip(WEEKDAYS[language][day.weekday], rng);
        let number = day.month + 1;
        let written = match (language, rng.random_range(0..4)) {
            (0, 0) => format!("{month} {d}, {y}"),
            (0, 1) => format!("{d} {month} {y}"),
            (0, 2) => format!("{weekday}, {month} {d}, {y}"),
            (0, _) => format!("{weekday} {d}{} of {month} {y}", ordinal(d)),
            (1, 0) => format!("le {d} {month} {y}"),
            (1, 1) => format!("{weekday} {d} {month} {y}"),
            (1, 2) => format!("{d:02}/{number:02}/{y}"),
            (1, _) => format!("{d} {month} {y}"),
            (_, 0) => format!("{d}. {month} {y}"),
            (_, 1) => format!("{weekday}, den {d}. {month} {y}"),
            (_, 2) => format!("{d:02}.{number:02}.{y}"),
            (_, _) => format!("{d}.{number}.{y}"),
        };
        Self { written, date: format!("{y}-{number:02}-{d:02}") }
    }
}

fn ordinal(day: u32) -> &'static str {
    match day {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    }
}

/// One word in four has a slip: a letter left out, doubled, or swapped with the next. Short words would become others.
fn slip(word: &str, rng: &mut Philox) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() >= 5 && rng.random_bool(0.25) {
        let at = rng.random_range(1..letters.len() - 1);
        match rng.random_range(0..3) {
            0 => drop(letters.remove(at)),
            1 => letters.insert(at, letters[at]),
            _ => letters.swap(at, at + 1),
        }
    }
    letters.into_iter().collect()
}

/// Draws what each character of a date looked at.
#[cfg(feature = "plots")]
fn draw(
    arguments: &arguments::Arguments,
    network: &Network,
    model: &Model,
    letters: &Vectorizer,
    example: &Example,
) -> gradus::Result<()> {
    let mut looks = ModelBuilder::new(&network.inputs, [&network.looks]).build()?;
    let weights = model.get_weights();
    // All but the layers that come after the look.
    let shared = weights.iter().filter(|(path, _)| !path.starts_with("hidden") && !path.starts_with("next"));
    looks.set_weights(shared.map(|(path, weight)| (path, weight)))?;
    let (text, before, _) = numbers(letters, std::slice::from_ref(example));
    let scores = looks.predict((&text, &before))?;
    let length = example.written.chars().count();
    let scores = scores.index_axis(Axis(0), 0).slice_axis(Axis(1), (..length).into()).to_owned();
    let map: Array2<f32> = scores.into_dimensionality().expect("a row a character");
    gradus::plots::HeatMap::new("What each character looked at", &map)
        .row_names(example.date.chars().map(String::from).chain(["end".into()]))
        .column_names(example.written.chars().map(|letter| if letter == ' ' { '_' } else { letter }.to_string()))
        .x_label("written")
        .y_label("translated")
        .numbers(false)
        .save(arguments.picture("translation.png")?)
}
