//! Tables from CSV files.

use std::path::Path;

use ndarray::{Array1, Array2};

use crate::{Error, Result, Scalar};

/// A table whose columns have names and hold numbers or texts.
///
/// A column is one of numbers if all its values are numbers or missing; missing is an empty field, `NA`, `N/A`, `NaN`, `null` or
/// `?`, and becomes NaN.
///
/// # Example
/// ```
/// use gradus::data::Table;
/// use ndarray::array;
///
/// let table = Table::parse("size,colour\n1.5,red\n,blue\n", true)?;
/// assert_eq!(table.names(), ["size", "colour"]);
/// assert_eq!(table.texts("colour")?, ["red", "blue"]);
/// assert!(table.numbers::<f32>("size")?[1].is_nan());
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// pandas `read_csv`, with fewer words for what is missing.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Clone, Debug)]
enum Column {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

const MISSING: [&str; 6] = ["", "NA", "N/A", "NaN", "null", "?"];

impl Table {
    /// Reads a CSV file. `header` says whether its first line names the columns; else they are called `0`, `1` …
    ///
    /// # Errors
    /// [`Io`](Error::Io) if it cannot be read; [`File`](Error::File) for a line with another number of fields, named by its
    /// number, or a text that is not UTF-8.
    pub fn read(path: impl AsRef<Path>, header: bool) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
        Self::from_bytes(&bytes, header).map_err(|problem| Error::file(path, problem))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// # Errors
    /// [`Data`](Error::Data) for a line with another number of fields.
    pub fn parse(text: &str, header: bool) -> Result<Self> {
        let received = |problem| Error::data("Table", "a CSV table", problem);
        Self::from_bytes(text.as_bytes(), header).map_err(received)
    }

    fn from_bytes(bytes: &[u8], header: bool) -> Result<Self, String> {
        let mut reader = reader(bytes, header);
        let mut names: Vec<String> = Vec::new();
        if header {
            names = reader.headers().map_err(|error| problem(&error))?.iter().map(str::to_owned).collect();
        }
        let mut fields: Vec<Vec<String>> = vec![Vec::new(); names.len()];
        let mut rows = 0;
        for record in reader.records() {
            let record = record.map_err(|error| problem(&error))?;
            if fields.is_empty() {
                fields = vec![Vec::new(); record.len()];
                names = (0..record.len()).map(|column| column.to_string()).collect();
            }
            record.iter().zip(&mut fields).for_each(|(field, column)| column.push(field.to_owned()));
            rows += 1;
        }
        Ok(Self { names, columns: fields.into_iter().map(Column::read).collect(), rows })
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str) -> Result<&Column> {
        let place = self.names.iter().position(|known| known == name);
        place.map(|at| &self.columns[at]).ok_or_else(|| Error::unknown("column", name, self.names.iter().cloned()))
    }

    /// A column of numbers; NaN where one is missing.
    ///
    /// # Errors
    /// A name that no column has; a column with a text, which is named with its row.
    pub fn numbers<F: Scalar>(&self, name: &str) -> Result<Array1<F>> {
        match self.column(name)? {
            Column::Numbers(values) => Ok(values.iter().map(|&value| F::of(value)).collect()),
            Column::Texts(values) => {
                let row = values.iter().position(|text| number(text).is_none()).unwrap_or(0);
                let received = format!("{:?} at row {row}", values[row]);
                Err(Error::data(format!("column `{name}`"), "numbers", received))
            }
        }
    }

    /// A column as texts, as they stand in the file; numbers are written anew.
    ///
    /// # Errors
    /// A name that no column has.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        Ok(match self.column(name)? {
            Column::Texts(values) => values.clone(),
            Column::Numbers(values) => values.iter().map(ToString::to_string).collect(),
        })
    }

    /// Several columns of numbers side by side.
    ///
    /// # Errors
    /// As [`numbers`](Self::numbers).
    pub fn matrix<F: Scalar, S: AsRef<str>>(&self, names: &[S]) -> Result<Array2<F>> {
        let mut matrix = Array2::zeros((self.rows, names.len()));
        for (mut column, name) in matrix.columns_mut().into_iter().zip(names) {
            column.assign(&self.numbers(name.as_ref())?);
        }
        Ok(matrix)
    }
}

/// Reads CSV, with spaces around fields left out.
pub(super) fn reader<R: std::io::Read>(source: R, header: bool) -> csv::Reader<R> {
    csv::ReaderBuilder::new().has_headers(header).trim(csv::Trim::All).from_reader(source)
}

/// What is wrong with a file, and in which line.
pub(super) fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos: Some(place), expected_len, len } => {
            format!("line {}: expected {expected_len} fields, as the lines before, received {len}", place.line())
        }
        csv::ErrorKind::Utf8 { pos: Some(place), err } => {
            format!("line {}: expected UTF-8, received other bytes in field {}", place.line(), err.field())
        }
        _ => error.to_string(),
    }
}

/// A number, NaN for what is missing, none for a text.
pub(super) fn number(text: &str) -> Option<f64> {
    if MISSING.contains(&text) { Some(f64::NAN) } else { text.parse().ok() }
}

impl Column {
    fn read(texts: Vec<String>) -> Self {
        match texts.iter().map(|text| number(text)).collect() {
            Some(numbers) => Self::Numbers(numbers),
            None => Self::Texts(texts),
        }
    }
}
