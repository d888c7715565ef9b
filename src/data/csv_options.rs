//! How a CSV file is written: separators, numbers, what is missing; and bytes as the reader of the crate `csv` takes them.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Error, Result};

/// Words for a value that is missing: those of pandas, and `?`.
const MISSING: [&str; 20] = [
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// What may separate fields where nobody says it.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a CSV file is written, for [`Table`](super::Table) and [`Stream`](super::Stream).
///
/// Without a delimiter the one that the first lines plainly have is taken: `,`, `;`, a tab or `|`; a first line `sep=;` says it too.
/// Files may be packed with gzip, and in UTF-8 or, with their mark, UTF-16. Spaces around fields are left out.
///
/// # Defaults
/// `header` true, `delimiter` found out, `decimal` a point, no `thousands`, `missing` the words of pandas (`NA`, `NULL`, `None`,
/// `#N/A`, `NaN` …), `?` and nothing at all.
/// # Errors
/// When it reads: a delimiter that is no single byte, or the same as another separator.
/// # Example
/// ```
/// use gradus::data::CsvOptions;
/// use ndarray::array;
///
/// let table = CsvOptions::new().decimal(',').thousands('.').missing(["-"]).parse("a;b\n1,5;1.200\n3,0;-\n")?;
/// assert_eq!(table.numbers::<f64>("a")?, array![1.5, 3.0]);
/// assert_eq!(table.numbers::<f64>("b")?[0], 1200.0);
/// assert!(table.numbers::<f64>("b")?[1].is_nan());
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// The options of pandas `read_csv`.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    pub(super) header: bool,
    delimiter: Option<char>,
    pub(super) form: NumberForm,
}

/// How numbers are written.
#[derive(Clone, Debug)]
pub(super) struct NumberForm {
    decimal: char,
    thousands: Option<char>,
    missing: Arc<[String]>,
}

impl Default for NumberForm {
    fn default() -> Self {
        Self { decimal: '.', thousands: None, missing: Arc::from([]) }
    }
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CsvOptions {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { header: true, delimiter: None, form: NumberForm::default() }
    }
    /// Whether the first line names the columns; else they are called `0`, `1` … Default: true.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }
    /// What stands between fields. Default: found out.
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
        self
    }
    /// What stands before the decimals of a number. Default: a point.
    pub fn decimal(mut self, decimal: char) -> Self {
        self.form.decimal = decimal;
        self
    }
    /// What stands between groups of three digits. Default: nothing.
    pub fn thousands(mut self, thousands: char) -> Self {
        self.form.thousands = Some(thousands);
        self
    }
    /// More words for what is missing. Default: none.
    pub fn missing<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.form.missing = words.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |option: &str, expected: &str, given: char| {
            Err(Error::option(option, expected, format!("{given:?}")).within("CsvOptions"))
        };
        let NumberForm { decimal, thousands, .. } = self.form;
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '"' | '\n' | '\r' | '-' | '+');
        if let Some(delimiter) = self.delimiter
            && (!delimiter.is_ascii() || is_part(delimiter))
        {
            return refuse(
                "delimiter",
                "a single byte that is no part of a number, a quote or an end of a line",
                delimiter,
            );
        }
        if is_part(decimal) || self.delimiter == Some(decimal) {
            return refuse("decimal", "another than the delimiter, and no digit", decimal);
        }
        match thousands {
            Some(thousands) if is_part(thousands) || thousands == decimal || self.delimiter == Some(thousands) => {
                refuse("thousands", "another than the delimiter and the decimal sign, and no digit", thousands)
            }
            _ => Ok(()),
        }
    }

    /// The text of a file, unpacked and in UTF-8.
    pub(super) fn open(&self, path: &Path) -> Result<csv::Reader<Box<dyn Read + Send>>> {
        let io = |source| Error::Io { path: PathBuf::from(path), source };
        let mut file = BufReader::with_capacity(CHUNK, std::fs::File::open(path).map_err(io)?);
        let packed = file.fill_buf().map_err(io)?.starts_with(b"\x1f\x8b");
        let source: Box<dyn BufRead + Send> = if packed {
            Box::new(BufReader::with_capacity(CHUNK, flate2::bufread::MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        self.reader(source).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Error::file(path, source.to_string()),
            _ => io(source),
        })
    }

    pub(super) fn reader<'a>(
        &self,
        mut source: impl BufRead + Send + 'a,
    ) -> io::Result<csv::Reader<Box<dyn Read + Send + 'a>>> {
        let begin = source.fill_buf()?;
        let mut source: Box<dyn BufRead + Send + 'a> = match *begin {
            [0xff, 0xfe, ..] => Box::new(io::Cursor::new(from_utf16(source, u16::from_le_bytes)?)),
            [0xfe, 0xff, ..] => Box::new(io::Cursor::new(from_utf16(source, u16::from_be_bytes)?)),
            _ => Box::new(source),
        };
        if source.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            source.consume(3);
        }
        let begin = source.fill_buf()?;
        let mut delimiter = self.delimiter.map(|delimiter| delimiter as u8);
        let mut lines = 1;
        let said = begin.strip_prefix(b"sep=").and_then(|rest| match *rest {
            [said, b'\n', ..] => Some((said, 6)),
            [said, b'\r', b'\n', ..] => Some((said, 7)),
            _ => None,
        });
        if let Some((said, length)) = said {
            delimiter.get_or_insert(said);
            source.consume(length);
            lines = 2;
        }
        let delimiter = match delimiter {
            Some(delimiter) => delimiter,
            None => found_out(source.fill_buf()?),
        };
        let plain = Plain { source, delimiter, state: State::Start, line: lines, opened: 0 };
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(self.header).trim(csv::Trim::All).delimiter(delimiter);
        Ok(reader.from_reader(Box::new(plain)))
    }
}

/// Bytes that are read at a time, and looked at to find out the delimiter.
const CHUNK: usize = 1 << 16;

fn from_utf16(mut source: impl Read, join: fn([u8; 2]) -> u16) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    let units = bytes[2..].chunks(2).map(|pair| pair.try_into().map_or(0xfffd, join));
    let text: std::result::Result<String, _> = char::decode_utf16(units).collect();
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "expected UTF-16, received half of a character");
    text.map(String::into_bytes).map_err(wrong)
}

/// The delimiter that the first lines have alike: of several the most frequent; a comma where none is plain.
fn found_out(begin: &[u8]) -> u8 {
    const LINES: usize = 10;
    let mut counts: Vec<[usize; DELIMITERS.len()]> = vec![Default::default()];
    let mut quoted = false;
    for &byte in begin {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted && counts.len() == LINES => break,
            b'\n' if !quoted => counts.push(Default::default()),
            _ if quoted => (),
            _ => {
                if let (Some(which), Some(counts)) = (DELIMITERS.iter().position(|d| *d == byte), counts.last_mut()) {
                    counts[which] += 1;
                }
            }
        }
    }
    // The last line may be cut off, or empty.
    if counts.len() > 1 {
        counts.pop();
    }
    let alike = |which: &usize| counts[0][*which] > 0 && counts.iter().all(|line| line[*which] == counts[0][*which]);
    let plain = (0..DELIMITERS.len()).rev().filter(alike).max_by_key(|&which| counts[0][which]);
    // A comma in the first line of a file whose lines differ is one that a line breaks, which is an error of its own.
    plain.map_or(b',', |which| {
        if counts[0][0] > 0 && !alike(&0) && counts[0][0] >= counts[0][which] { b',' } else { DELIMITERS[which] }
    })
}

/// Where in a line a byte stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// At the beginning of a field.
    Start,
    Field,
    Quoted,
    /// Behind a quote within quotes: the end of the field, or the first half of a quote.
    AfterQuote,
}

/// The bytes of a CSV file without the spaces before fields, which a quote may follow; an error at the end of one in which a
/// quote is never closed.
struct Plain<R> {
    source: R,
    delimiter: u8,
    state: State,
    line: usize,
    /// The line of the last opening quote.
    opened: usize,
}

impl<R: BufRead> Read for Plain<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let given = self.source.fill_buf()?;
            if given.is_empty() {
                if self.state == State::Quoted {
                    let problem = format!("line {}: a quote that is opened here is never closed", self.opened);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
                return Ok(0);
            }
            let taken = given.len().min(out.len());
            let mut count = 0;
            for &byte in &given[..taken] {
                self.line += usize::from(byte == b'\n');
                let ends = byte == self.delimiter || byte == b'\n' || byte == b'\r';
                self.state = match (self.state, byte) {
                    (State::Start, b' ') if self.delimiter != b' ' => continue,
                    (State::Start, b'"') => {
                        self.opened = self.line;
                        State::Quoted
                    }
                    (State::Quoted, b'"') => State::AfterQuote,
                    (State::Quoted, _) | (State::AfterQuote, b'"') => State::Quoted,
                    _ if ends => State::Start,
                    _ => State::Field,
                };
                out[count] = byte;
                count += 1;
            }
            self.source.consume(taken);
            // All may have been spaces.
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
        }
    }
}

impl NumberForm {
    /// A number, NaN for what is missing, none for a text. Words such as `Inf` and `Nan` are texts, but for `inf` itself.
    pub fn number(&self, text: &str) -> Option<f64> {
        if MISSING.contains(&text) || self.missing.iter().any(|word| word == text) {
            return Some(f64::NAN);
        }
        if let "inf" | "+inf" | "-inf" = text {
            return text.parse().ok();
        }
        let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | 'e' | 'E' | '.');
        if self.decimal == '.' && self.thousands.is_none() {
            return text.parse().ok().filter(|_| text.chars().all(part));
        }
        let (whole, decimals) = match text.split_once(self.decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (text, None),
        };
        let mut plain = match self.thousands {
            Some(thousands) if whole.contains(thousands) => joined(whole, thousands)?,
            _ => whole.to_owned(),
        };
        if plain.contains('.') || decimals.is_some_and(|decimals| decimals.contains('.')) {
            return None;
        }
        if let Some(decimals) = decimals {
            plain.push('.');
            plain.push_str(decimals);
        }
        plain.parse().ok().filter(|_| plain.chars().all(part))
    }
}

/// A number without the signs between its groups of three digits.
fn joined(whole: &str, thousands: char) -> Option<String> {
    let mut groups = whole.split(thousands);
    let first = groups.next()?;
    let digits = first.trim_start_matches(['+', '-']);
    let is_number = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=3).contains(&digits.len())
        && is_number(digits)
        && groups.all(|group| group.len() == 3 && is_number(group));
    fits.then(|| whole.replace(thousands, ""))
}
