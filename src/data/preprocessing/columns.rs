//! The columns of a table, each kind in its own way, as one matrix.

use ndarray::{Array1, Array2, Axis, concatenate};
use serde_json::{Value, json};

use super::{
    DateFeatures, MaxAbsScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, SimpleImputer,
    StandardScaler,
};
use crate::config::{Config, Configured, class_and_config, object, refuse_unknown, require};
use crate::data::Table;
use crate::{Error, Result, Scalar};

/// The columns of a [`Table`] as one matrix of numbers: those of numbers filled up and scaled, classes as columns of 0 and 1, truth
/// as 0 and 1, dates as their parts. It is made once, fitted on the training table, kept beside or within the model, and applied to any
/// table that has the columns, of one row too. Columns come out in the order in which they are named here; others are left out.
///
/// # Shapes
/// A table of n rows → (n, features).
/// # Errors
/// [`Unknown`](Error::Unknown) for a column that the table lacks; [`Data`](Error::Data) with column and row for a value of another kind,
/// a class that was not there when it was fitted (unless ignored); [`NotReady`](Error::NotReady) before `fit`.
/// # Example
/// ```
/// use gradus::data::Table;
/// use gradus::data::preprocessing::{ColumnTransformer, OneHotEncoder, SimpleImputer, StandardScaler};
/// use ndarray::array;
///
/// let train = Table::parse("age,colour,member\n20,red,true\n,blue,false\n40,red,true\n", true)?;
/// let columns = ColumnTransformer::new()
///     .numbers(["age"], SimpleImputer::new(), StandardScaler::new())
///     .one_hot(["colour"], OneHotEncoder::new().ignore_unknown(true))
///     .booleans(["member"])
///     .fit(&train)?;
/// assert_eq!(columns.feature_names()?, ["age", "colour_blue", "colour_red", "member"]);
/// let one = Table::from_rows(["age", "member", "colour"], [["30", "false", "green"]])?;
/// assert_eq!(columns.transform::<f32>(&one)?, array![[0.0, 0.0, 0.0, 0.0]]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `ColumnTransformer`.
#[derive(Clone, Debug, Default)]
pub struct ColumnTransformer {
    groups: Vec<Group>,
}

/// Columns that are treated alike.
#[derive(Clone, Debug)]
struct Group {
    columns: Vec<String>,
    step: Step,
}

#[derive(Clone, Debug)]
enum Step {
    Numbers { imputer: Option<SimpleImputer>, scaler: Option<Scaler> },
    OneHot(OneHotEncoder<String>),
    Ordinal(OrdinalEncoder<String>),
    Booleans,
    Dates(DateFeatures),
}

/// Declares the scalers once: what each does is its own.
macro_rules! scalers {
    ($($name:ident),+) => {
        /// A scaler of a column transformer. Each scaler becomes one.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Scaler {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),+
        }

        $(impl From<$name> for Scaler {
            fn from(scaler: $name) -> Self {
                Self::$name(scaler)
            }
        })+

        impl Scaler {
            fn fit(self, x: &Array2<f64>) -> Result<Self> {
                match self { $(Self::$name(scaler) => scaler.fit(x).map(Self::$name)),+ }
            }

            fn transform(&self, x: &Array2<f64>) -> Result<Array2<f64>> {
                match self { $(Self::$name(scaler) => scaler.transform(x)),+ }
            }

            fn to_value(&self) -> Value {
                match self { $(Self::$name(scaler) => object($name::CLASS, scaler.to_config())),+ }
            }

            fn from_value(value: &Value) -> Result<Self> {
                let (class, config) = class_and_config(value)?;
                match class.as_str() {
                    $($name::CLASS => $name::from_config(&config).map(Self::$name),)+
                    other => Err(Error::unknown("scaler", other, [$($name::CLASS),+].map(String::from))),
                }
            }
        }
    };
}

scalers!(StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler);

impl ColumnTransformer {
    /// Without columns.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>, step: Step) -> Self {
        self.groups.push(Group { columns: columns.into_iter().map(Into::into).collect(), step });
        self
    }

    /// Columns of numbers whose gaps are filled, and which are scaled.
    #[must_use]
    pub fn numbers<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        imputer: impl Into<Option<SimpleImputer>>,
        scaler: impl Into<Scaler>,
    ) -> Self {
        // A column without values stays: the number of features does not depend on the data.
        let imputer = imputer.into().map(|imputer| imputer.keep_empty_features(true));
        self.with(columns, Step::Numbers { imputer, scaler: Some(scaler.into()) })
    }

    /// Columns of numbers as they are, gaps as NaN.
    #[must_use]
    pub fn passthrough<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.with(columns, Step::Numbers { imputer: None, scaler: None })
    }

    /// Columns of classes, a column of 0 and 1 for each class; what is missing is a class too, the empty text.
    #[must_use]
    pub fn one_hot<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        encoder: OneHotEncoder<String>,
    ) -> Self {
        self.with(columns, Step::OneHot(encoder))
    }

    /// Columns of classes as the classes' numbers, as an [`Embedding`](crate::layers::Embedding) takes them.
    #[must_use]
    pub fn ordinal<S: Into<String>>(
        self,
        columns: impl IntoIterator<Item = S>,
        encoder: OrdinalEncoder<String>,
    ) -> Self {
        self.with(columns, Step::Ordinal(encoder))
    }

    /// Columns of `true` and `false`, or of 1 and 0, as 1 and 0.
    #[must_use]
    pub fn booleans<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.with(columns, Step::Booleans)
    }

    /// Columns of dates as their parts.
    #[must_use]
    pub fn dates<S: Into<String>>(self, columns: impl IntoIterator<Item = S>, features: DateFeatures) -> Self {
        self.with(columns, Step::Dates(features))
    }

    /// With what every step learns from a table.
    ///
    /// # Errors
    /// A table without rows, or what is said [above](Self).
    pub fn fit(mut self, table: &Table) -> Result<Self> {
        if table.rows() == 0 {
            return Err(Error::data("ColumnTransformer", "a table with rows", "none"));
        }
        for Group { columns, step } in &mut self.groups {
            let fitted = match step.clone() {
                Step::Numbers { imputer, scaler } => {
                    let mut x = table.matrix::<f64, _>(columns)?;
                    let imputer = imputer.map(|imputer| imputer.fit(&x)).transpose()?;
                    if let Some(imputer) = &imputer {
                        x = imputer.transform(&x)?;
                    }
                    Step::Numbers { imputer, scaler: scaler.map(|scaler| scaler.fit(&x)).transpose()? }
                }
                Step::OneHot(encoder) => Step::OneHot(encoder.fit(&texts(table, columns)?)?),
                Step::Ordinal(encoder) => Step::Ordinal(encoder.fit(&texts(table, columns)?)?),
                Step::Booleans => {
                    columns.iter().try_for_each(|column| truth(table, column).map(drop))?;
                    Step::Booleans
                }
                Step::Dates(features) => {
                    dates(table, columns, &features)?;
                    Step::Dates(features)
                }
            };
            *step = fitted;
        }
        Ok(self)
    }

    /// The table as a matrix.
    ///
    /// # Errors
    /// See the [type](Self).
    pub fn transform<F: Scalar>(&self, table: &Table) -> Result<Array2<F>> {
        let mut parts: Vec<Array2<f64>> = vec![Array2::zeros((table.rows(), 0))];
        for Group { columns, step } in &self.groups {
            parts.push(match step {
                Step::Numbers { imputer, scaler } => {
                    let mut x = table.matrix::<f64, _>(columns)?;
                    if let Some(imputer) = imputer {
                        x = imputer.transform(&x)?;
                    }
                    if let Some(scaler) = scaler { scaler.transform(&x)? } else { x }
                }
                Step::OneHot(encoder) => encoder.transform(&texts(table, columns)?).map_err(naming(columns))?,
                Step::Ordinal(encoder) => encoder.transform(&texts(table, columns)?).map_err(naming(columns))?,
                Step::Booleans => {
                    let truths = columns.iter().map(|column| truth(table, column)).collect::<Result<Vec<_>>>()?;
                    side_by_side(table.rows(), &truths)
                }
                Step::Dates(features) => dates(table, columns, features)?,
            });
        }
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        let all = concatenate(Axis(1), &views).expect("as many rows each");
        Ok(all.mapv(F::of))
    }

    /// The names of the matrix's columns: that of the table's column, with `_class` or `_part` behind it where one becomes several.
    ///
    /// # Errors
    /// [`NotReady`](Error::NotReady) before `fit`, if there are classes.
    pub fn feature_names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for Group { columns, step } in &self.groups {
            match step {
                Step::OneHot(encoder) => {
                    let needs = "fit it on training data first";
                    let classes =
                        encoder.kept_categories().ok_or(Error::NotReady { call: "ColumnTransformer", needs })?;
                    for (column, classes) in columns.iter().zip(classes) {
                        names.extend(classes.iter().map(|class| format!("{column}_{class}")));
                    }
                }
                Step::Dates(features) => {
                    for column in columns {
                        names.extend(features.names().iter().map(|part| format!("{column}_{part}")));
                    }
                }
                Step::Numbers { .. } | Step::Ordinal(_) | Step::Booleans => names.extend(columns.iter().cloned()),
            }
        }
        Ok(names)
    }
}

/// Adds to an encoder's error which columns it was of.
fn naming(columns: &[String]) -> impl Fn(Error) -> Error {
    move |error| error.within(format!("columns {}", columns.join(", ")))
}

fn texts(table: &Table, columns: &[String]) -> Result<Array2<String>> {
    let mut matrix = Array2::from_elem((table.rows(), columns.len()), String::new());
    for (mut column, name) in matrix.columns_mut().into_iter().zip(columns) {
        column.assign(&Array1::from(table.texts(name)?));
    }
    Ok(matrix)
}

fn truth(table: &Table, column: &str) -> Result<Vec<f64>> {
    if let Ok(numbers) = table.numbers::<f64>(column)
        && numbers.iter().all(|number| [0.0, 1.0].contains(number))
    {
        return Ok(numbers.to_vec());
    }
    Ok(table.booleans(column)?.into_iter().map(|truth| f64::from(u8::from(truth))).collect())
}

fn dates(table: &Table, columns: &[String], features: &DateFeatures) -> Result<Array2<f64>> {
    let mut parts: Vec<Vec<f64>> = Vec::new();
    for column in columns {
        let first = parts.len();
        parts.resize(first + features.names().len(), Vec::with_capacity(table.rows()));
        for (row, text) in table.texts(column)?.iter().enumerate() {
            let numbers = features.transform(text);
            let numbers = numbers.map_err(|error| error.within(format!("column `{column}`, row {row}")))?;
            parts[first..].iter_mut().zip(numbers).for_each(|(part, number)| part.push(number));
        }
    }
    Ok(side_by_side(table.rows(), &parts))
}

fn side_by_side(rows: usize, columns: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns.len()), |(row, column)| columns[column][row])
}

impl Configured for ColumnTransformer {
    const CLASS: &'static str = "ColumnTransformer";

    fn to_config(&self) -> Config {
        let groups = self.groups.iter().map(|Group { columns, step }| {
            let (kind, step) = match step {
                Step::Numbers { imputer, scaler } => {
                    let imputer = imputer.as_ref().map(Configured::to_config);
                    ("numbers", json!({ "imputer": imputer, "scaler": scaler.as_ref().map(Scaler::to_value) }))
                }
                Step::OneHot(encoder) => ("one_hot", Value::Object(encoder.to_config())),
                Step::Ordinal(encoder) => ("ordinal", Value::Object(encoder.to_config())),
                Step::Booleans => ("booleans", json!({})),
                Step::Dates(features) => ("dates", Value::Object(features.to_config())),
            };
            json!({ "columns": columns, "kind": kind, "step": step })
        });
        Config::from_iter([("groups".to_owned(), groups.collect())])
    }

    fn from_config(config: &Config) -> Result<Self> {
        refuse_unknown(config, &["groups"])?;
        let wrong = |part: &Value| Error::option("groups", "columns, kind and step of each", part);
        let groups = config.get("groups").and_then(Value::as_array);
        let groups = groups.ok_or_else(|| wrong(config.get("groups").unwrap_or(&Value::Null)))?;
        let read = |group: &Value| {
            let fields = group.as_object().ok_or_else(|| wrong(group))?;
            let (kind, step) =
                (fields.get("kind").and_then(Value::as_str), fields.get("step").and_then(Value::as_object));
            let (Some(kind), Some(step)) = (kind, step) else { return Err(wrong(group)) };
            let given = |name: &str| step.get(name).filter(|value| !value.is_null());
            let step = match kind {
                "numbers" => {
                    refuse_unknown(step, &["imputer", "scaler"])?;
                    let imputer = given("imputer").map(|value| match value.as_object() {
                        Some(config) => SimpleImputer::from_config(config),
                        None => Err(wrong(value)),
                    });
                    let scaler = given("scaler").map(Scaler::from_value).transpose()?;
                    Step::Numbers { imputer: imputer.transpose()?, scaler }
                }
                "one_hot" => Step::OneHot(OneHotEncoder::from_config(step)?),
                "ordinal" => Step::Ordinal(OrdinalEncoder::from_config(step)?),
                "booleans" => Step::Booleans,
                "dates" => Step::Dates(DateFeatures::from_config(step)?),
                _ => return Err(wrong(group)),
            };
            Ok(Group { columns: require(fields, "columns")?, step })
        };
        Ok(Self { groups: groups.iter().map(read).collect::<Result<_>>()? })
    }
}
