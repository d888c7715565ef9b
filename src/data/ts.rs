//! `.ts`, the file format of the time series archives: labelled recordings of one channel or several.
//!
//! ```text
//! # a comment
//! @problemName BasicMotions
//! @classLabel true Standing Running Walking Badminton
//! @data
//! 0.08,0.08,-0.9:0.39,0.39,-0.5:Standing
//! ```
//!
//! A line a recording, channels between colons, samples between commas, the label last; `?` is a missing sample, NaN. With
//! `@timeStamps true` a sample is `(stamp,value)`, of which the value is kept; with `@targetLabel true` the label is a number. Files may
//! be packed with gzip, and begin with a byte order mark.
//!
//! Source: the description at timeseriesclassification.com.

use std::path::Path;

use ndarray::Array2;

use super::text;
use crate::{Error, Result, Scalar};

/// Recordings and what they are of.
#[derive(Clone, Debug, PartialEq)]
pub struct Recordings<F> {
    /// The name of the data set; empty if the file has none.
    pub name: String,
    /// The recordings, (time, channels) each; they may differ in length.
    pub series: Vec<Array2<F>>,
    /// The class of each recording, as a place in `class_names`; empty if the file has no labels.
    pub labels: Vec<usize>,
    /// What each recording is to give, where that is a number (`@targetLabel`); else empty.
    pub targets: Vec<F>,
    /// The classes in the order of the file's header.
    pub class_names: Vec<String>,
}

/// Reads a `.ts` file, packed or not.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::File`] with the line if it is not what [`parse`] takes.
///
/// # Example
/// ```
/// use gradus::data::{datasets, ts};
///
/// let vowels = ts::read::<f32>(datasets::file("speech", "JapaneseVowels_TRAIN.ts")?)?;
/// assert_eq!((vowels.series.len(), vowels.class_names.len()), (270, 9));
/// assert_eq!(vowels.series[0].dim(), (20, 12));
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn read<F: Scalar>(path: impl AsRef<Path>) -> Result<Recordings<F>> {
    let path = path.as_ref();
    parse_lines(&text::read(path)?).map_err(|(line, problem)| Error::file(path, format!("line {line}: {problem}")))
}

/// Reads the text of a `.ts` file.
///
/// # Errors
/// [`Error::Data`] with the line: no `@data`, a header of ARFF, a label that the header does not name, samples or targets that
/// are no numbers, channels of several lengths, another number of channels than the line before.
///
/// # Example
/// ```
/// let file = "@problemName walks\n@classLabel true up down\n@data\n1,2,3:0,0,0:up\n3,2:0,1:down\n";
/// let walks = gradus::data::ts::parse::<f64>(file)?;
/// assert_eq!(walks.series[1], ndarray::array![[3.0, 0.0], [2.0, 1.0]]);
/// assert_eq!(walks.labels, [0, 1]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn parse<F: Scalar>(file: &str) -> Result<Recordings<F>> {
    parse_lines(file).map_err(|(line, problem)| Error::data(format!("ts::parse, line {line}"), "a .ts file", problem))
}

/// The number of a line, from 1, and what is wrong with it.
type Problem = (usize, String);

fn parse_lines<F: Scalar>(file: &str) -> Result<Recordings<F>, Problem> {
    let mut recordings = Recordings {
        name: String::new(),
        series: Vec::new(),
        labels: Vec::new(),
        targets: Vec::new(),
        class_names: Vec::new(),
    };
    let (mut in_data, mut form) = (false, Form::default());
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let lines = file.lines().enumerate().map(|(i, line)| (i + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if in_data {
            recordings.add(line, form).map_err(|problem| (number, problem))?;
        } else {
            in_data = recordings.describe(line, &mut form).map_err(|problem| (number, problem))?;
        }
    }
    if in_data { Ok(recordings) } else { Err((file.lines().count(), "the file ends without @data".into())) }
}

/// What the header says of the lines of the data.
#[derive(Clone, Copy, Default)]
struct Form {
    time_stamps: bool,
    targets: bool,
}

impl<F: Scalar> Recordings<F> {
    /// Takes a line of the header; whether the data begin after it.
    fn describe(&mut self, line: &str, form: &mut Form) -> Result<bool, String> {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        let is_true = |word: Option<&str>| word.is_some_and(|word| word.eq_ignore_ascii_case("true"));
        match keyword.as_str() {
            "@data" => return Ok(true),
            "@problemname" => self.name = words.collect::<Vec<_>>().join(" "),
            "@classlabel" if is_true(words.next()) => {
                self.class_names = words.map(String::from).collect();
                if self.class_names.is_empty() {
                    return Err("@classLabel names no classes".into());
                }
            }
            "@timestamps" => form.time_stamps = is_true(words.next()),
            "@targetlabel" => form.targets = is_true(words.next()),
            "@relation" | "@attribute" => {
                return Err(format!("`{keyword}` is a line of an ARFF file, not of a .ts file"));
            }
            // What the others say shows in the data: @univariate, @dimensions, @equalLength, @seriesLength, @missing.
            word if word.starts_with('@') => (),
            _ => return Err(format!("expected a header line that begins with @, it begins with `{}`", head(line))),
        }
        Ok(false)
    }

    /// Takes a line of the data.
    fn add(&mut self, line: &str, form: Form) -> Result<(), String> {
        let mut channels = outside_brackets(line, ':');
        if form.targets {
            self.targets.push(sample(channels.pop().unwrap_or_default())?);
        }
        if !self.class_names.is_empty() {
            let label = channels.pop().unwrap_or_default();
            let class = self.class_names.iter().position(|name| name == label);
            let unknown =
                || format!("expected one of the classes {}, found `{}`", self.class_names.join(", "), head(label));
            self.labels.push(class.ok_or_else(unknown)?);
        }
        let width = self.series.first().map(Array2::ncols);
        if channels.is_empty() || width.is_some_and(|width| width != channels.len()) {
            let expected = width.map_or("at least one".into(), |width| width.to_string());
            return Err(format!("expected {expected} channels, found {}", channels.len()));
        }
        let samples = channels.iter().map(|channel| {
            let samples = outside_brackets(channel, ',').into_iter();
            samples.map(|text| if form.time_stamps { stamped(text) } else { sample(text) }).collect()
        });
        let samples: Vec<Vec<F>> = samples.collect::<Result<_, String>>()?;
        let length = samples[0].len();
        if let Some(other) = samples.iter().find(|channel| channel.len() != length) {
            return Err(format!("channels of {length} and {} samples in one recording", other.len()));
        }
        self.series.push(Array2::from_shape_fn((length, samples.len()), |(time, channel)| samples[channel][time]));
        Ok(())
    }
}

/// The parts of a text between separators, those in round brackets left out; dates have colons in them.
fn outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = text.split(|sign: char| {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        depth == 0 && sign == separator
    });
    parts.map(str::trim).collect()
}

/// The value of `(stamp,value)`.
fn stamped<F: Scalar>(text: &str) -> Result<F, String> {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).and_then(|text| text.rsplit_once(','));
    match inner {
        Some((_, value)) => sample(value),
        None => Err(format!("expected a sample with its time, (time,value), found `{}`", head(text))),
    }
}

fn sample<F: Scalar>(text: &str) -> Result<F, String> {
    match text.trim() {
        "?" => Ok(F::nan()),
        number => number.parse().map(F::of).map_err(|_| format!("expected a number, found `{}`", head(number))),
    }
}

/// As much of a text as a message shows.
fn head(text: &str) -> String {
    text.chars().take(20).collect()
}
