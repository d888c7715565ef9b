//! The options of a `TextVectorization`, each in Keras's words.

use serde_json::Value;

use crate::config::{Setting, expected};
use crate::{Error, Result};

/// What is done to a text before it is split.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Standardize {
    /// Lower case, without punctuation.
    LowerAndStripPunctuation,
    /// A–Z become a–z; other letters stay, as in Keras.
    Lower,
    /// Without the 32 ASCII characters of punctuation.
    StripPunctuation,
    /// By a custom function.
    Custom(fn(&str) -> String),
}

impl Standardize {
    pub(super) fn apply(self, text: &str) -> String {
        let strip = |text: &str| text.replace(|c: char| c.is_ascii_punctuation(), "");
        match self {
            Self::LowerAndStripPunctuation => strip(&text.to_ascii_lowercase()),
            Self::Lower => text.to_ascii_lowercase(),
            Self::StripPunctuation => strip(text),
            Self::Custom(function) => function(text),
        }
    }
}

impl Setting for Standardize {
    fn to_value(&self) -> Value {
        match self {
            Self::LowerAndStripPunctuation => "lower_and_strip_punctuation".into(),
            Self::Lower => "lower".into(),
            Self::StripPunctuation => "strip_punctuation".into(),
            Self::Custom(_) => "a function".into(),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value.as_str() {
            Some("lower_and_strip_punctuation") => Ok(Self::LowerAndStripPunctuation),
            Some("lower") => Ok(Self::Lower),
            Some("strip_punctuation") => Ok(Self::StripPunctuation),
            _ => Err(expected("lower_and_strip_punctuation, lower, strip_punctuation or null", value)),
        }
    }

    fn has_config(&self) -> bool {
        !matches!(self, Self::Custom(_))
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Split {
    /// What stands between spaces, tabs and line ends.
    Whitespace,
    /// A Unicode character.
    Character,
    /// What a custom function makes of a text.
    Custom(fn(&str) -> Vec<String>),
}

impl Split {
    pub(super) fn apply(self, text: &str) -> Vec<String> {
        // The six characters that C's `isspace` knows, as in TensorFlow; Rust's ASCII white space lacks the vertical tab.
        let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
        match self {
            Self::Whitespace => text.split(space).filter(|token| !token.is_empty()).map(String::from).collect(),
            Self::Character => text.chars().map(String::from).collect(),
            Self::Custom(function) => function(text),
        }
    }
}

impl Setting for Split {
    fn to_value(&self) -> Value {
        match self {
            Self::Whitespace => "whitespace".into(),
            Self::Character => "character".into(),
            Self::Custom(_) => "a function".into(),
        }
    }

    fn from_value(value: &Value) -> Result<Self> {
        match value.as_str() {
            Some("whitespace") => Ok(Self::Whitespace),
            Some("character") => Ok(Self::Character),
            _ => Err(expected("whitespace, character or null", value)),
        }
    }

    fn has_config(&self) -> bool {
        !matches!(self, Self::Custom(_))
    }
}

/// What a text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputMode {
    /// The ids of its tokens in order.
    Int,
    /// For each token of the vocabulary 1 if it occurs, else 0.
    MultiHot,
    /// How often each token occurs.
    Count,
    /// How often each token occurs, times its inverse document frequency.
    TfIdf,
}

const OUTPUT_MODES: [(OutputMode, &str); 4] = [
    (OutputMode::Int, "int"),
    (OutputMode::MultiHot, "multi_hot"),
    (OutputMode::Count, "count"),
    (OutputMode::TfIdf, "tf_idf"),
];

impl Setting for OutputMode {
    fn to_value(&self) -> Value {
        OUTPUT_MODES.iter().find(|(mode, _)| mode == self).map(|(_, word)| Value::from(*word)).unwrap_or_default()
    }

    fn from_value(value: &Value) -> Result<Self> {
        let mode = OUTPUT_MODES.iter().find(|(_, word)| Some(*word) == value.as_str()).map(|(mode, _)| *mode);
        mode.ok_or_else(|| expected("int, multi_hot, count or tf_idf", value))
    }
}

/// Runs of how many neighbouring tokens count as tokens: `Ngrams::from(2)` is runs of 1 and of 2, `Ngrams::from([2])`
/// runs of 2 alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ngrams(Vec<usize>);

/// Runs of more tokens are refused: a text has nearly as many runs of every width as it has tokens.
const WIDEST: usize = 100;

impl From<usize> for Ngrams {
    fn from(longest: usize) -> Self {
        // What is refused anyway need not be listed.
        Self((1..=longest.min(WIDEST + 1)).collect())
    }
}

impl<const N: usize> From<[usize; N]> for Ngrams {
    fn from(widths: [usize; N]) -> Self {
        Self(widths.into())
    }
}

impl Ngrams {
    pub(super) fn check(&self) -> Result<()> {
        if self.0.is_empty() || self.0.contains(&0) {
            return Err(Error::option("ngrams", "one width or several, each at least 1", format!("{:?}", self.0)));
        }
        if self.0.len() > WIDEST || self.0.iter().any(|&width| width > WIDEST) {
            let widest = self.0.iter().max().copied().unwrap_or_default();
            return Err(Error::option("ngrams", format!("at most {WIDEST} widths, each at most {WIDEST}"), widest));
        }
        Ok(())
    }

    /// The runs of the first width in order, then those of the next; a run's tokens are joined by spaces.
    pub(super) fn apply(&self, tokens: &[String]) -> Vec<String> {
        self.0.iter().flat_map(|&width| tokens.windows(width)).map(|run| run.join(" ")).collect()
    }
}

impl Setting for Ngrams {
    fn to_value(&self) -> Value {
        self.0.to_value()
    }

    fn from_value(value: &Value) -> Result<Self> {
        if value.is_array() { Vec::from_value(value).map(Self) } else { usize::from_value(value).map(Self::from) }
    }
}
