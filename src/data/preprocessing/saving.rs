//! Steps on disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::{Config, Configured, class_and_config, object};
use crate::formats::safetensors::TensorFile;
use crate::formats::write_atomically;
use crate::{Error, Result};

/// What a file calls them.
pub(crate) const STEPS: &str = "steps";

/// Fitted steps by name, in a JSON file beside the model that was trained on what they make.
///
/// The file is text that other programs read too: for each step its class and its options, what it has learned among them.
///
/// # Errors
/// See the methods.
/// # Example
/// ```
/// use gradus::data::preprocessing::{LabelEncoder, StandardScaler, Steps};
/// use ndarray::array;
///
/// let scaler = StandardScaler::new().fit(&array![[1.0f32, 10.0], [3.0, 30.0]])?;
/// let classes = LabelEncoder::fit(["tree", "stone"].map(String::from));
/// let path = std::env::temp_dir().join("gradus-doc-steps.json");
/// Steps::new().with("measures", &scaler).with("classes", &classes).save(&path)?;
///
/// let steps = Steps::load(&path)?;
/// let scaler: StandardScaler = steps.get("measures")?;
/// let classes: LabelEncoder<String> = steps.get("classes")?;
/// assert_eq!(scaler.transform(&array![[2.0f32, 40.0]])?, array![[0.0, 2.0]]);
/// assert_eq!(classes.classes(), ["stone", "tree"]);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Steps {
    steps: BTreeMap<String, (String, Config)>,
    /// Where they come from, for errors.
    path: PathBuf,
}

impl Steps {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a step under a name, in place of one that had it.
    pub fn with<S: Configured>(mut self, name: impl Into<String>, step: &S) -> Self {
        self.steps.insert(name.into(), (S::CLASS.to_owned(), step.to_config()));
        self
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.keys().map(String::as_str)
    }

    /// The step of a name.
    ///
    /// # Errors
    /// A name that no step has; [`File`](Error::File) if it is of another class, or its options are broken.
    pub fn get<S: Configured>(&self, name: &str) -> Result<S> {
        let (class, config) = self.steps.get(name).ok_or_else(|| Error::unknown("step", name, self.names()))?;
        if class != S::CLASS {
            return Err(Error::file(&self.path, format!("the step `{name}` is a {class}, not a {}", S::CLASS)));
        }
        S::from_config(config).map_err(|error| Error::file(&self.path, format!("the step `{name}`: {error}")))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Io`](Error::Io) if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let file = json!({ "format": "gradus", "version": env!("CARGO_PKG_VERSION"), "steps": self.to_value() });
        write_atomically(path.as_ref(), |out| writeln!(out, "{file:#}"))
    }

    /// As a file holds them.
    pub(crate) fn to_value(&self) -> Value {
        self.steps.iter().map(|(name, (class, config))| (name.clone(), object(class, config.clone()))).collect()
    }

    /// The steps within a model's file, of [`Model::save_with_steps`](crate::Model::save_with_steps).
    ///
    /// # Errors
    /// [`Io`](Error::Io) if it cannot be read, [`File`](Error::File) if it holds no steps.
    pub fn of_model(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = TensorFile::read(path)?;
        let text = file.metadata.get(STEPS).ok_or_else(|| Error::file(path, "holds no steps beside the model"))?;
        let steps: Value =
            text.parse().map_err(|problem| Error::file(path, format!("its steps are no JSON: {problem}")))?;
        Self::read(&steps, path)
    }

    /// Reads a file of [`save`](Self::save).
    ///
    /// # Errors
    /// [`Io`](Error::Io) if it cannot be read, [`File`](Error::File) if it holds no steps.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let file: Value =
            text.parse().map_err(|problem| Error::file(path, format!("is no file of steps: {problem}")))?;
        if file["format"] != "gradus" {
            return Err(Error::file(path, "is no file of steps: it has no `format` gradus"));
        }
        Self::read(&file[STEPS], path)
    }

    fn read(steps: &Value, path: &Path) -> Result<Self> {
        let steps = steps.as_object().ok_or_else(|| Error::file(path, "is no file of steps: it has no `steps`"))?;
        let read = |(name, step): (&String, &Value)| match class_and_config(step) {
            Ok(step) => Ok((name.clone(), step)),
            Err(error) => Err(Error::file(path, format!("the step `{name}`: {error}"))),
        };
        Ok(Self { steps: steps.iter().map(read).collect::<Result<_>>()?, path: path.into() })
    }
}
