//! Which hyper-parameters there are, and one set of them.

use std::fmt;
use std::ops::RangeInclusive;

use rand::Rng;
use serde_json::{Value as Json, json};

use crate::memory::room;
use crate::random::{self, Philox};
use crate::{Error, Result};

/// The value of one hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A word: `"relu"`.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Integer(number) => f.pad(&number.to_string()),
            Self::Number(number) => f.pad(&number.to_string()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

macro_rules! values {
    ($($type:ty => $kind:ident),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(value.into())
            }
        }
    )*};
}

values!(String => Text, i64 => Integer, i32 => Integer, u32 => Integer, f64 => Number, f32 => Number);

impl Value {
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => json!(text),
            Self::Integer(number) => json!(number),
            Self::Number(number) => json!(number),
        }
    }

    /// As a number, unless it is a word.
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Text(_) => None,
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
        }
    }
}

/// Which values a hyper-parameter may have.
#[derive(Clone, Debug, PartialEq)]
enum Range {
    Choice(Vec<Value>),
    Integer(i64, i64),
    Uniform(f64, f64),
    LogUniform(f64, f64),
}

/// The hyper-parameters of a search and what values each may have.
///
/// # Errors
/// A search refuses a space without hyper-parameters, two of one name, a choice of nothing, and ranges that are not finite
/// or do not rise; a logarithmic one must be above 0.
/// # Example
/// ```
/// use gradus::tuning::Space;
/// let space = Space::new()
///     .choice("activation", ["relu", "tanh"])
///     .choice("batch_size", [32, 64, 128])
///     .integer("units", 16..=256)
///     .uniform("dropout", 0.0..=0.5)
///     .log_uniform("learning_rate", 1e-4..=1e-1);
/// assert_eq!(space.names().count(), 5);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    parameters: Vec<(String, Range)>,
}

impl Space {
    /// Without hyper-parameters.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: impl Into<String>, range: Range) -> Self {
        self.parameters.push((name.into(), range));
        self
    }

    /// One of these values, words or numbers.
    pub fn choice<V: Into<Value>>(self, name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        self.with(name, Range::Choice(values.into_iter().map(Into::into).collect()))
    }

    /// A whole number in a range, each equally likely.
    pub fn integer(self, name: impl Into<String>, range: RangeInclusive<i64>) -> Self {
        self.with(name, Range::Integer(*range.start(), *range.end()))
    }

    /// A number in a range, uniformly.
    pub fn uniform(self, name: impl Into<String>, range: RangeInclusive<f64>) -> Self {
        self.with(name, Range::Uniform(*range.start(), *range.end()))
    }

    /// A number in a range, its logarithm uniformly: for learning rates and penalties.
    pub fn log_uniform(self, name: impl Into<String>, range: RangeInclusive<f64>) -> Self {
        self.with(name, Range::LogUniform(*range.start(), *range.end()))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }

    /// Whether the values of this hyper-parameter are spread over powers of ten.
    #[cfg(feature = "plots")]
    pub(crate) fn is_logarithmic(&self, name: &str) -> bool {
        self.parameters.iter().any(|(known, range)| known == name && matches!(range, Range::LogUniform(..)))
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.parameters.is_empty() {
            return Err(Error::data("search", "a space with hyper-parameters", "none"));
        }
        for (i, (name, range)) in self.parameters.iter().enumerate() {
            if self.names().take(i).any(|earlier| earlier == name) {
                return Err(Error::option(name, "named once", "two of that name").within("search"));
            }
            let (good, expected) = match range {
                Range::Choice(values) => (!values.is_empty(), "a choice of at least one value"),
                Range::Integer(low, high) => (low <= high, "a range that does not fall"),
                Range::Uniform(low, high) => {
                    (low <= high && (high - low).is_finite(), "a finite range that does not fall")
                }
                Range::LogUniform(low, high) => {
                    (0.0 < *low && low <= high && high.is_finite(), "a finite range above 0 that does not fall")
                }
            };
            if !good {
                return Err(Error::option(name, expected, format!("{range:?}")).within("search"));
            }
        }
        Ok(())
    }

    /// What a results file says of the space.
    pub(super) fn to_json(&self) -> Json {
        let describe = |(name, range): &(String, Range)| {
            let range = match range {
                Range::Choice(values) => json!({ "choice": values.iter().map(Value::to_json).collect::<Vec<_>>() }),
                Range::Integer(low, high) => json!({ "integer": [low, high] }),
                Range::Uniform(low, high) => json!({ "uniform": [low, high] }),
                Range::LogUniform(low, high) => json!({ "log_uniform": [low, high] }),
            };
            json!([name, range])
        };
        self.parameters.iter().map(describe).collect()
    }

    /// A set drawn at random.
    pub(super) fn draw(&self, rng: &mut Philox) -> Vec<(String, Value)> {
        let mut draw = |range: &Range| match range {
            Range::Choice(values) => values[rng.random_range(0..values.len())].clone(),
            Range::Integer(low, high) => Value::Integer(rng.random_range(*low..=*high)),
            Range::Uniform(low, high) => Value::Number(between(*low, *high, rng.random_range(0.0..=1.0))),
            Range::LogUniform(low, high) => Value::Number(log_between(*low, *high, rng.random_range(0.0..=1.0))),
        };
        self.parameters.iter().map(|(name, range)| (name.clone(), draw(range))).collect()
    }

    /// Every combination: all choices, and `points` values of each range at equal distances; the last hyper-parameter
    /// changes first.
    ///
    /// # Errors
    /// If they are more than there is memory for.
    pub(super) fn grid(&self, points: usize) -> Result<Vec<Vec<(String, Value)>>> {
        let of_range = |(_, range): &(String, Range)| match range {
            Range::Choice(values) => values.len(),
            _ => points,
        };
        let sizes: Vec<usize> = self.parameters.iter().map(of_range).chain([self.parameters.len().max(1)]).collect();
        room::<(String, Value)>("points", points, &sizes).map_err(|error| error.within("GridSearch"))?;
        let mut sets = vec![Vec::new()];
        for (name, range) in &self.parameters {
            let values = range.points(points);
            sets = sets
                .into_iter()
                .flat_map(|set: Vec<(String, Value)>| {
                    let with = |value: &Value| [&set[..], &[(name.clone(), value.clone())]].concat();
                    values.iter().map(with).collect::<Vec<_>>()
                })
                .collect();
        }
        Ok(sets)
    }
}

impl Range {
    fn points(&self, points: usize) -> Vec<Value> {
        let shares = || (0..points).map(|i| if points == 1 { 0.5 } else { i as f64 / (points - 1) as f64 });
        let mut values: Vec<Value> = match self {
            Self::Choice(values) => return values.clone(),
            #[allow(clippy::cast_possible_truncation)] // within the range
            Self::Integer(low, high) => {
                let whole = |share| Value::Integer(between(*low as f64, *high as f64, share).round() as i64);
                shares().map(whole).collect()
            }
            Self::Uniform(low, high) => shares().map(|share| Value::Number(between(*low, *high, share))).collect(),
            Self::LogUniform(low, high) => {
                shares().map(|share| Value::Number(log_between(*low, *high, share))).collect()
            }
        };
        // A narrow range has fewer values than points.
        values.dedup();
        values
    }
}

fn between(low: f64, high: f64, share: f64) -> f64 {
    (low + share * (high - low)).clamp(low, high)
}

fn log_between(low: f64, high: f64, share: f64) -> f64 {
    between(low.ln(), high.ln(), share).exp().clamp(low, high)
}

/// One set of hyper-parameters, to be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub(super) index: usize,
    pub(super) budget: usize,
    pub(super) seed: u64,
    pub(super) values: Vec<(String, Value)>,
}

impl Trial {
    /// Its number, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How much it may cost, in epochs or whatever the closure takes it for: 1, but for [`SuccessiveHalving`](super::SuccessiveHalving).
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// A seed for the model: of the search's seed and the trial's number.
    pub fn seed(&self) -> u64 {
        random::mix(self.seed ^ random::mix(self.index as u64))
    }

    /// All hyper-parameters, in the order of the space.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a hyper-parameter.
    ///
    /// # Errors
    /// A name that the space does not have.
    pub fn value(&self, name: &str) -> Result<&Value> {
        let found = self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        found.ok_or_else(|| Error::unknown("hyper-parameter", name, self.values.iter().map(|(known, _)| known)))
    }

    /// One that is a number, whole or not.
    ///
    /// # Errors
    /// A name that the space does not have; a word.
    pub fn number(&self, name: &str) -> Result<f64> {
        let value = self.value(name)?;
        value.as_number().ok_or_else(|| Error::option(name, "a number", value).within("trial"))
    }

    /// One that is a whole number, of the type that is wanted: `Dense::new(trial.integer("units")?)`.
    ///
    /// # Errors
    /// A name that the space does not have; another value, or one outside the type.
    pub fn integer<T: TryFrom<i64>>(&self, name: &str) -> Result<T> {
        let value = self.value(name)?;
        let whole = if let Value::Integer(number) = value { T::try_from(*number).ok() } else { None };
        whole.ok_or_else(|| Error::option(name, "a whole number within range", value).within("trial"))
    }

    /// One that is a word.
    ///
    /// # Errors
    /// A name that the space does not have; a number.
    pub fn text(&self, name: &str) -> Result<&str> {
        match self.value(name)? {
            Value::Text(text) => Ok(text),
            other => Err(Error::option(name, "a word", other).within("trial")),
        }
    }
}
