//! The rows of a CSV file, one after another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array1;

use super::Stream;
use crate::data::csv_options::{CsvOptions, NumberForm};
use crate::data::table::{distinct, problem};
use crate::{Error, Result, Scalar};

/// One row of a CSV file: fields by the names of their columns.
#[derive(Clone, Debug)]
pub struct Record {
    columns: Arc<[String]>,
    fields: csv::StringRecord,
    path: Arc<PathBuf>,
    form: NumberForm,
}

impl Record {
    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.columns
    }

    /// A field as it stands in the file.
    ///
    /// # Errors
    /// A name that no column has.
    pub fn text(&self, column: &str) -> Result<&str> {
        let place = self.columns.iter().position(|known| known == column);
        let field = place.and_then(|place| self.fields.get(place));
        field.ok_or_else(|| Error::unknown("column", column, self.columns.iter().cloned()))
    }

    /// A field as a number; NaN if it is missing, as [`Table`](crate::data::Table) says.
    ///
    /// # Errors
    /// A name that no column has; [`File`](Error::File) for a text, with its line.
    pub fn number<F: Scalar>(&self, column: &str) -> Result<F> {
        let text = self.text(column)?;
        let line = self.fields.position().map_or(0, csv::Position::line);
        let problem = || format!("line {line}: expected a number in column `{column}`, received {text:?}");
        self.form.number(text).map(F::of).ok_or_else(|| Error::file(self.path.as_ref(), problem()))
    }

    /// Several fields as numbers.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub fn numbers<F: Scalar, S: AsRef<str>>(&self, columns: &[S]) -> Result<Array1<F>> {
        columns.iter().map(|column| self.number(column.as_ref())).collect()
    }
}

impl Record {
    /// The rows that a reader gives.
    fn all<R: std::io::Read>(
        mut reader: csv::Reader<R>,
        header: bool,
        form: &NumberForm,
        path: Arc<PathBuf>,
    ) -> Result<impl Iterator<Item = Result<Self>> + use<R>> {
        let refuse = |path: &PathBuf, error: &csv::Error| Error::file(path, problem(error));
        let mut columns: Option<Arc<[String]>> = None;
        if header {
            columns = Some(distinct(reader.headers().map_err(|error| refuse(&path, &error))?).into());
        }
        let form = form.clone();
        Ok(reader.into_records().map(move |fields| {
            let fields = fields.map_err(|error| refuse(&path, &error))?;
            let columns = columns.get_or_insert_with(|| (0..fields.len()).map(|i| i.to_string()).collect());
            Ok(Self { columns: Arc::clone(columns), fields, path: Arc::clone(&path), form: form.clone() })
        }))
    }
}

impl CsvOptions {
    /// The rows of a file one after another, as [`Stream::csv`] has them.
    pub fn stream(&self, path: impl AsRef<Path>) -> Stream<Record> {
        let (options, path) = (self.clone(), Arc::new(path.as_ref().to_owned()));
        Stream::new(move |_| {
            options.check()?;
            Record::all(options.open(&path)?, options.header, &options.form, Arc::clone(&path))
        })
    }
}

impl Stream<Record> {
    /// The rows of a CSV file, of which only the one at hand is in memory. `header` says whether the first line names the
    /// columns; else they are called `0`, `1` …; [`CsvOptions::stream`] has the other options.
    ///
    /// # Errors
    /// When a pass begins: [`Io`](Error::Io) if the file cannot be opened. As items: [`File`](Error::File) for a line
    /// with another number of fields, or a text that is not UTF-8.
    /// # Example
    /// ```
    /// use gradus::data::{Sample, Stream};
    /// use ndarray::array;
    ///
    /// let path = std::env::temp_dir().join("gradus-doc-stream.csv");
    /// std::fs::write(&path, "size,weight,price\n1,2,30\n2,,50\n3,4,70\n").unwrap();
    /// let samples = Stream::csv(&path, true)
    ///     .filter(|record| record.number::<f32>("weight").is_ok_and(f32::is_finite))
    ///     .map(|record| {
    ///         let (x, y) = (record.numbers::<f32, _>(&["size", "weight"])?, record.number::<f32>("price")?);
    ///         Ok(Sample::<f32>::new(&x, &array![y]))
    ///     });
    /// let batch = samples.batch(10).pass(0)?.next().unwrap()?;
    /// assert_eq!(batch.len(), 2);
    /// assert_eq!(batch[1].input_values(0), Some(&[3.0, 4.0][..]));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn csv(path: impl AsRef<Path>, header: bool) -> Self {
        CsvOptions::new().header(header).stream(path)
    }
}
