//! Keras's `TextVectorization`: a vocabulary learned from texts, and texts as numbers by it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::Path;

use ndarray::Array2;
use serde_json::{Value, json};

use super::options::{Ngrams, OutputMode, Split, Standardize};
use crate::config::{Config, Configured, Setting, options, take};
use crate::formats::write_atomically;
use crate::memory::room;
use crate::{Error, Result, Scalar};

/// What stands for padding in a vocabulary of mode `Int`; its id is 0.
const PADDING: &str = "";
/// What stands for every token that is not in the vocabulary.
const UNKNOWN: &str = "[UNK]";
/// For so many texts at least there must be memory.
const TEXTS: usize = 32;

options! {
    /// How texts become numbers: standardized, split into tokens, looked up in a vocabulary.
    ///
    /// [`adapt`](Self::adapt) learns the vocabulary from texts and gives a [`Vectorizer`]: the tokens by how often they
    /// occur, of equally frequent ones the last in the order of their bytes first.
    ///
    /// # Defaults
    /// Keras's: `max_tokens` none, `standardize` lower case without punctuation, `split` at white space, `ngrams` none,
    /// `output_mode` int, `output_sequence_length` that of the longest text, `pad_to_max_tokens` false.
    /// # Errors
    /// [`adapt`](Self::adapt) and [`with_vocabulary`](Self::with_vocabulary) refuse `max_tokens` below 2, a length for
    /// another mode than int or of 0, `pad_to_max_tokens` without `max_tokens`, and n-grams of nothing.
    /// # Example
    /// ```
    /// use gradus::data::text::TextVectorization;
    /// use ndarray::array;
    ///
    /// let text = TextVectorization::new().output_sequence_length(4).adapt(&["the cat sat", "The cat!"])?;
    /// assert_eq!(text.vocabulary(), ["", "[UNK]", "the", "cat", "sat"]);
    /// assert_eq!(text.transform::<f32>(&["the dog sat"]), array![[2.0, 1.0, 4.0, 0.0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// Keras `TextVectorization`.
    pub struct TextVectorization {
        /// The size of the vocabulary, unknown token and padding included. Default: no limit.
        max_tokens: Option<usize> = None => |count: impl Into<Option<usize>>| count.into(),
        /// What is done to a text before it is split. Default: lower case without punctuation.
        standardize: Option<Standardize> = Some(Standardize::LowerAndStripPunctuation)
            => |standardize: impl Into<Option<Standardize>>| standardize.into(),
        /// What a token is; `None`: the whole text. Default: what stands between white space.
        split: Option<Split> = Some(Split::Whitespace) => |split: impl Into<Option<Split>>| split.into(),
        /// Runs of tokens that count as tokens. Default: none.
        ngrams: Option<Ngrams> = None => |ngrams: impl Into<Ngrams>| Some(ngrams.into()),
        /// What a text becomes. Default: the ids of its tokens.
        output_mode: OutputMode = OutputMode::Int,
        /// How many ids a text becomes, cut off or filled with zeros at the end. Default: as many as the longest has.
        output_sequence_length: Option<usize> = None => |length: impl Into<Option<usize>>| length.into(),
        /// Whether vectors have `max_tokens` numbers even if the vocabulary is smaller. Default: false.
        pad_to_max_tokens: bool = false,
    }
}

impl TextVectorization {
    /// Learns the vocabulary of `texts`, and for tf-idf how many of them each token occurs in.
    ///
    /// # Errors
    /// See [`TextVectorization`]; also if there is no token in the texts.
    pub fn adapt<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vectorizer> {
        self.check()?;
        let mut seen: HashMap<String, Seen> = HashMap::new();
        for (document, text) in texts.iter().enumerate() {
            for token in self.tokens(text.as_ref()) {
                let seen = seen.entry(token).or_insert(Seen { times: 0, documents: 0, last: None });
                seen.times += 1;
                if seen.last != Some(document) {
                    (seen.documents, seen.last) = (seen.documents + 1, Some(document));
                }
            }
        }
        seen.retain(|token, _| token != PADDING && token != UNKNOWN);
        if seen.is_empty() {
            return Err(Error::data("adapt", "texts with tokens in them", format!("{} texts without", texts.len())));
        }
        let mut seen: Vec<(String, Seen)> = seen.into_iter().collect();
        seen.sort_by(|(a, a_seen), (b, b_seen)| (b_seen.times, b).cmp(&(a_seen.times, a)));
        if let Some(most) = self.max_tokens {
            seen.truncate(most.saturating_sub(self.special().len()));
        }
        let idf = |(_, seen): &(String, Seen)| (texts.len() as f64 / (1.0 + seen.documents as f64)).ln_1p();
        let weights = (self.output_mode == OutputMode::TfIdf).then(|| seen.iter().map(idf).collect());
        self.with_vocabulary(seen.into_iter().map(|(token, _)| token), weights)
    }

    /// Takes a vocabulary as it is: with padding and unknown token at its head or without them. Mode tf-idf needs a
    /// weight a token; without weights of the special tokens these get the mean.
    ///
    /// # Errors
    /// See [`TextVectorization`]; also for a token that stands twice, an empty one, more than `max_tokens`, and weights
    /// that are missing, not asked for, or not as many as there are tokens.
    pub fn with_vocabulary<S: Into<String>>(
        &self,
        tokens: impl IntoIterator<Item = S>,
        idf_weights: Option<Vec<f64>>,
    ) -> Result<Vectorizer> {
        self.check()?;
        let refuse = |expected: String, received: String| Err(Error::data("vocabulary", expected, received));
        let given: Vec<String> = tokens.into_iter().map(Into::into).collect();
        let special = self.special();
        let weights = match (self.output_mode, idf_weights) {
            (OutputMode::TfIdf, Some(weights)) if weights.len() == given.len() && !weights.is_empty() => weights,
            (OutputMode::TfIdf, weights) => {
                let received = weights.map_or("none".into(), |weights| weights.len().to_string());
                return refuse(format!("{} idf_weights, one a token, and at least one", given.len()), received);
            }
            (_, None) => Vec::new(),
            (_, Some(weights)) => return refuse("idf_weights for tf_idf only".into(), weights.len().to_string()),
        };
        let (vocabulary, idf) = if given.len() >= special.len() && given[..special.len()] == *special {
            (given, weights)
        } else {
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            let front = if weights.is_empty() { 0 } else { special.len() };
            let idf = std::iter::repeat_n(mean, front).chain(weights).collect();
            (special.iter().map(|&token| token.into()).chain(given).collect(), idf)
        };
        let mut met = HashSet::new();
        for (place, token) in vocabulary.iter().enumerate().skip(special.len()) {
            if token == PADDING || !met.insert(token) {
                return refuse("tokens that are not empty, each once".into(), format!("`{token}` at {place}"));
            }
        }
        if let Some(most) = self.max_tokens
            && vocabulary.len() > most
        {
            return refuse(format!("at most max_tokens = {most} tokens"), vocabulary.len().to_string());
        }
        let width = self.max_tokens.filter(|_| self.pad_to_max_tokens).unwrap_or(vocabulary.len());
        let ids = vocabulary.iter().enumerate().map(|(id, token)| (token.clone(), id)).collect();
        Ok(Vectorizer { options: self.clone(), vocabulary, ids, idf, width })
    }

    /// The tokens of a text.
    fn tokens(&self, text: &str) -> Vec<String> {
        let text = self.standardize.map_or_else(|| text.to_owned(), |standardize| standardize.apply(text));
        let tokens = match self.split {
            Some(split) => split.apply(&text),
            None => vec![text],
        };
        match &self.ngrams {
            Some(ngrams) => ngrams.apply(&tokens),
            None => tokens,
        }
    }

    /// What a vocabulary begins with.
    fn special(&self) -> &'static [&'static str] {
        if self.output_mode == OutputMode::Int { &[PADDING, UNKNOWN] } else { &[UNKNOWN] }
    }

    fn check(&self) -> Result<()> {
        if let Some(most) = self.max_tokens
            && most < 2
        {
            return Err(Error::option("max_tokens", "at least 2", most));
        }
        match self.output_sequence_length {
            Some(0) => return Err(Error::option("output_sequence_length", "at least 1", 0)),
            Some(length) if self.output_mode != OutputMode::Int => {
                return Err(Error::option("output_sequence_length", "left out unless `output_mode` is int", length));
            }
            _ => (),
        }
        if self.pad_to_max_tokens && self.max_tokens.is_none() {
            return Err(Error::option("max_tokens", "given with `pad_to_max_tokens`", "none"));
        }
        if let Some(length) = self.output_sequence_length {
            room::<f64>("output_sequence_length", length, &[TEXTS, length])?;
        }
        if let Some(width) = self.max_tokens.filter(|_| self.pad_to_max_tokens) {
            room::<f64>("max_tokens", width, &[TEXTS, width])?;
        }
        self.ngrams.as_ref().map_or(Ok(()), Ngrams::check)
    }
}

/// How often a token was seen.
struct Seen {
    times: usize,
    documents: usize,
    /// The document in which it was seen last.
    last: Option<usize>,
}

/// Texts as numbers, by a vocabulary: what [`TextVectorization`] learns.
#[derive(Clone, Debug)]
pub struct Vectorizer {
    options: TextVectorization,
    vocabulary: Vec<String>,
    ids: HashMap<String, usize>,
    /// Inverse document frequencies, a number a token, in mode tf-idf: columns beyond the vocabulary hold zeros.
    idf: Vec<f64>,
    /// Numbers a text, but in mode int.
    width: usize,
}

impl Vectorizer {
    /// The tokens by their ids: padding (in mode int) and unknown token first, then the most frequent.
    ///
    /// # Example
    /// ```
    /// use gradus::data::text::{Split, TextVectorization};
    ///
    /// let letters = TextVectorization::new().split(Split::Character).adapt(&["banana"])?;
    /// let word: String = letters.ids("nab").iter().map(|&id| letters.vocabulary()[id].as_str()).collect();
    /// assert_eq!(word, "nab");
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn vocabulary(&self) -> &[String] {
        &self.vocabulary
    }

    /// The id of the unknown token.
    fn unknown(&self) -> usize {
        self.options.special().len() - 1
    }

    /// The ids of a text's tokens, however many there are. See [`vocabulary`](Self::vocabulary) for the way back.
    pub fn ids(&self, text: &str) -> Vec<usize> {
        let mut tokens = self.options.tokens(text);
        if self.options.output_mode != OutputMode::Int {
            // An empty token stands for padding, which counts for nothing.
            tokens.retain(|token| token != PADDING);
        }
        tokens.iter().map(|token| self.ids.get(token).copied().unwrap_or(self.unknown())).collect()
    }

    /// The texts as a model takes them, a row a text.
    ///
    /// # Shapes
    /// Mode int: (texts, `output_sequence_length`) or (texts, tokens of the longest), 0 where a text has ended. Other
    /// modes: (texts, size of the vocabulary) or (texts, `max_tokens`) with `pad_to_max_tokens`.
    ///
    /// tf-idf is count · ln(1 + texts / (1 + texts with the token)), of the texts that were adapted to; an unknown token's
    /// weight is the mean.
    ///
    /// # Example
    /// ```
    /// use gradus::data::text::{OutputMode, TextVectorization};
    /// use ndarray::array;
    ///
    /// let counts = TextVectorization::new().output_mode(OutputMode::Count).adapt(&["to be or not to be"])?;
    /// assert_eq!(counts.vocabulary(), ["[UNK]", "to", "be", "or", "not"]);
    /// assert_eq!(counts.transform::<f32>(&["be, be"]), array![[0.0, 0.0, 2.0, 0.0, 0.0]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn transform<F: Scalar>(&self, texts: &[impl AsRef<str>]) -> Array2<F> {
        let rows: Vec<Vec<usize>> = texts.iter().map(|text| self.ids(text.as_ref())).collect();
        if self.options.output_mode == OutputMode::Int {
            let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
            let mut ids = Array2::zeros((texts.len(), self.options.output_sequence_length.unwrap_or(longest)));
            for (mut out, row) in ids.outer_iter_mut().zip(rows) {
                out.iter_mut().zip(row).for_each(|(out, id)| *out = F::of(id as f64));
            }
            return ids;
        }
        let mut vectors = Array2::zeros((texts.len(), self.width));
        for (mut vector, row) in vectors.outer_iter_mut().zip(rows) {
            for id in row {
                match self.options.output_mode {
                    OutputMode::MultiHot => vector[id] = F::one(),
                    _ => vector[id] += F::one(),
                }
            }
            for (value, &idf) in vector.iter_mut().zip(&self.idf) {
                *value *= F::of(idf);
            }
        }
        vectors
    }

    /// Options and vocabulary in Keras's words.
    ///
    /// # Errors
    /// If a custom function standardizes or splits: it has no configuration.
    pub fn to_config(&self) -> Result<Config> {
        if !self.options.has_config() {
            let advice = "save the vocabulary alone and give it to `with_vocabulary`";
            return Err(Error::option("standardize and split", "no custom function", advice));
        }
        let mut config = self.options.to_config();
        config.insert("vocabulary".into(), self.vocabulary.to_value());
        if !self.idf.is_empty() {
            config.insert("idf_weights".into(), self.idf[..self.vocabulary.len()].to_vec().to_value());
        }
        Ok(config)
    }

    /// What [`to_config`](Self::to_config) wrote.
    ///
    /// # Errors
    /// If an option or the vocabulary is missing, unknown or wrong.
    pub fn from_config(config: &Config) -> Result<Self> {
        let mut options = config.clone();
        let vocabulary: Vec<String> = crate::config::require(&options, "vocabulary")?;
        let weights = take::<Option<Vec<f64>>>(&options, "idf_weights", None)?;
        options.retain(|name, _| name != "vocabulary" && name != "idf_weights");
        TextVectorization::from_config(&options)?.with_vocabulary(vocabulary, weights)
    }

    /// Writes options and vocabulary as JSON.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written; as [`to_config`](Self::to_config).
    ///
    /// # Example
    /// ```
    /// use gradus::data::text::{TextVectorization, Vectorizer};
    ///
    /// let path = std::env::temp_dir().join(format!("gradus-doc-{}.json", std::process::id()));
    /// TextVectorization::new().adapt(&["to be or not to be"])?.save(&path)?;
    /// assert_eq!(Vectorizer::load(&path)?.ids("not to see"), [5, 2, 1]);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = format!("{:#}\n", json!(self.to_config()?));
        write_atomically(path.as_ref(), |out| out.write_all(text.as_bytes()))
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is damaged or of another kind.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        let config = match text.parse() {
            Ok(Value::Object(config)) => config,
            Ok(_) => return Err(Error::file(path, "expected a JSON object with a vocabulary")),
            Err(problem) => return Err(Error::file(path, problem.to_string())),
        };
        Self::from_config(&config).map_err(|problem| Error::file(path, problem.to_string()))
    }
}
