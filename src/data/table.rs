//! Tables from CSV files.

use std::io::Read;
use std::path::Path;

use ndarray::{Array1, Array2};

use super::csv_options::{CsvOptions, NumberForm};
use crate::{Error, Result, Scalar};

/// A table whose columns have names and hold numbers or texts.
///
/// A column is one of numbers if all its values are numbers or missing; missing is an empty field, `NA`, `NULL`, `None`, `NaN` and the
/// other words of pandas, or `?`, and becomes NaN. Every column can be had as the texts that stand in the file. Columns of one
/// name are numbered, `a`, `a.1`. [`CsvOptions`](super::CsvOptions) has delimiters, decimal commas, thousands and more words.
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
/// pandas `read_csv`.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
    form: NumberForm,
}

#[derive(Clone, Debug)]
struct Column {
    /// As they stand in the file.
    texts: Vec<String>,
    /// The same as numbers, if all are.
    numbers: Option<Vec<f64>>,
}

impl Table {
    /// Reads a CSV file. `header` says whether its first line names the columns; else they are called `0`, `1` …
    ///
    /// # Errors
    /// [`Io`](Error::Io) if it cannot be read; [`File`](Error::File) for a line with another number of fields or a quote that is
    /// never closed, named by its number, or a text that is neither UTF-8 nor UTF-16.
    pub fn read(path: impl AsRef<Path>, header: bool) -> Result<Self> {
        CsvOptions::new().header(header).read(path)
    }

    /// As [`read`](Self::read), from text.
    ///
    /// # Errors
    /// [`Data`](Error::Data) for a line with another number of fields, or a quote that is never closed.
    pub fn parse(text: &str, header: bool) -> Result<Self> {
        CsvOptions::new().header(header).parse(text)
    }

    /// A table of texts, as the fields of a file are: one row or more, such as what somebody asks a model.
    ///
    /// ```
    /// use gradus::data::Table;
    /// let table = Table::from_rows(["age", "colour"], [["31", "red"]])?;
    /// assert_eq!(table.numbers::<f32>("age")?[0], 31.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// A row with another number of fields than there are names; two columns of one name.
    pub fn from_rows<N: Into<String>, T: Into<String>, R: IntoIterator<Item = T>>(
        names: impl IntoIterator<Item = N>,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if let Some((_, name)) = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name)) {
            return Err(Error::data("Table::from_rows", "columns of different names", format!("two called `{name}`")));
        }
        let (mut fields, mut count) = (vec![Vec::new(); names.len()], 0);
        for row in rows {
            let row: Vec<String> = row.into_iter().map(Into::into).collect();
            if row.len() != names.len() {
                let received = format!("{} at row {count}", row.len());
                return Err(Error::data("Table::from_rows", format!("{} fields a row", names.len()), received));
            }
            fields.iter_mut().zip(row).for_each(|(column, field)| column.push(field));
            count += 1;
        }
        Ok(Self::of(names, fields, count, NumberForm::default()))
    }

    fn of(names: Vec<String>, fields: Vec<Vec<String>>, rows: usize, form: NumberForm) -> Self {
        let column = |texts: Vec<String>| {
            let numbers = texts.iter().map(|text| form.number(text)).collect();
            Column { texts, numbers }
        };
        let columns = fields.into_iter().map(column).collect();
        Self { names, columns, rows, form }
    }

    pub(super) fn from_reader<R: Read>(
        mut reader: csv::Reader<R>,
        header: bool,
        form: NumberForm,
    ) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        if header {
            names = distinct(reader.headers().map_err(|error| problem(&error))?);
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
        Ok(Self::of(names, fields, rows, form))
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
        let Column { texts, numbers } = self.column(name)?;
        if let Some(values) = numbers {
            return Ok(values.iter().map(|&value| F::of(value)).collect());
        }
        let row = texts.iter().position(|text| self.form.number(text).is_none()).unwrap_or(0);
        Err(Error::data(format!("column `{name}`"), "numbers", format!("{:?} at row {row}", texts[row])))
    }

    /// A column of `true` and `false`, in small letters, capitals or with one (`True`).
    ///
    /// # Errors
    /// A name that no column has; a column with another text, which is named with its row.
    pub fn booleans(&self, name: &str) -> Result<Vec<bool>> {
        let texts = self.column(name)?.texts.iter().enumerate();
        let read = |(row, text): (usize, &String)| match text.as_str() {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Error::data(format!("column `{name}`"), "true or false", format!("{text:?} at row {row}"))),
        };
        texts.map(read).collect()
    }

    /// A column as the texts that stand in the file, those of numbers too: `02134` stays what it is.
    ///
    /// # Errors
    /// A name that no column has.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        Ok(self.column(name)?.texts.clone())
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

impl CsvOptions {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`Table::read`]; options that contradict one another.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        let path = path.as_ref();
        self.check()?;
        let file = self.open(path)?;
        Table::from_reader(file, self.header, self.form.clone()).map_err(|problem| Error::file(path, problem))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// # Errors
    /// As [`Table::parse`]; options that contradict one another.
    pub fn parse(&self, text: &str) -> Result<Table> {
        self.check()?;
        let refused = |problem: String| Error::data("Table", "a CSV table", problem);
        let source = self.reader(text.as_bytes()).map_err(|error| refused(error.to_string()))?;
        Table::from_reader(source, self.header, self.form.clone()).map_err(refused)
    }
}

/// The names of columns, numbered where one comes again: `a`, `a.1`.
pub(super) fn distinct(names: &csv::StringRecord) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let numbered = (1..).map(|number| format!("{name}.{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !distinct.contains(name));
        distinct.extend(free);
    }
    distinct
}

/// What is wrong with a file, and in which line.
pub(super) fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos: Some(place), expected_len, len } => {
            format!("line {}: expected {expected_len} fields, as the lines before, received {len}", place.line())
        }
        csv::ErrorKind::Utf8 { pos: Some(place), err } => {
            let (line, field) = (place.line(), err.field());
            format!("line {line}: expected UTF-8, received other bytes in field {field}: is it Latin-1?")
        }
        _ => error.to_string(),
    }
}
