//! Weights by name, from files that need not fit a model wholly.

use std::fmt;
use std::path::Path;

use super::Model;
use super::saving::OPTIMIZER;
use crate::error::show;
use crate::formats::safetensors::{Dtype, TensorFile};
use crate::{Error, Result, Scalar};

/// How [`Model::load_weights_by_name_with`] treats what does not fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadByName {
    skip_mismatch: bool,
}

impl LoadByName {
    /// With the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether weights of another shape or type are left as they are, and reported, in place of an error. Default: false.
    pub fn skip_mismatch(mut self, skip_mismatch: bool) -> Self {
        self.skip_mismatch = skip_mismatch;
        self
    }
}

/// What came of loading weights by name. It prints as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// The weights that have been set.
    pub loaded: Vec<String>,
    /// What the file has and the model has not.
    pub unused: Vec<String>,
    /// What the model has and the file has not: left as they were.
    pub missing: Vec<String>,
    /// Weights that the file has in another shape or type: left as they were.
    pub mismatched: Vec<Mismatch>,
}

/// A weight that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The weight's path.
    pub weight: String,
    /// Shape and type that the model has.
    pub expected: String,
    /// Those of the file.
    pub received: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, received {}", self.weight, self.expected, self.received)
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} weights loaded", self.loaded.len())?;
        for (title, names) in [("missing in the file", &self.missing), ("unused of the file", &self.unused)] {
            if !names.is_empty() {
                write!(f, "\n{title}: {}", names.join(", "))?;
            }
        }
        self.mismatched.iter().try_for_each(|mismatch| write!(f, "\ndoes not fit: {mismatch}"))
    }
}

impl<F: Scalar> Model<F> {
    /// Reads those weights from a safetensors file whose names the model has (`dense_1/kernel`), and reports on all
    /// others. The file may be of gradus or of any other program. All are checked before any is set.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let build = |classes| {
    ///     let base = Sequential::new().input([4]).add(Dense::new(8).name("base"));
    ///     base.add(Dense::new(classes).name(format!("head_{classes}"))).build()
    /// };
    /// let path = std::env::temp_dir().join("gradus-doc-by-name.safetensors");
    /// let (trained, mut model) = (build(10)?, build(2)?);
    /// trained.save_weights(&path)?;
    /// let report = model.load_weights_by_name(&path)?;
    /// assert_eq!(report.loaded, ["base/kernel", "base/bias"]);
    /// assert_eq!(report.missing, ["head_2/kernel", "head_2/bias"]);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file is damaged, has a weight of the model in another shape or type, or has none at all.
    pub fn load_weights_by_name(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        self.load_weights_by_name_with(path, LoadByName::new())
    }

    /// [`load_weights_by_name`](Self::load_weights_by_name) with options.
    ///
    /// # Errors
    /// As [`load_weights_by_name`](Self::load_weights_by_name).
    pub fn load_weights_by_name_with(&mut self, path: impl AsRef<Path>, options: LoadByName) -> Result<LoadReport> {
        let path = path.as_ref();
        let file = TensorFile::read(path)?;
        let graph = self.graph.clone();
        let mut report = LoadReport::default();
        let mut found = Vec::new();
        for (weight, spec) in graph.param_paths() {
            let expected = || format!("{} of {}", show(&spec.shape), F::NAME);
            let Some(tensor) = file.tensors.get(&weight) else {
                match file.foreign.get(&weight) {
                    Some(dtype) => {
                        report.mismatched.push(Mismatch { expected: expected(), received: dtype.clone(), weight });
                    }
                    None => report.missing.push(weight),
                }
                continue;
            };
            match tensor.scalars::<F>().filter(|_| tensor.shape() == spec.shape) {
                Some(values) => {
                    found.push((spec.range.clone(), values));
                    report.loaded.push(weight);
                }
                None => report.mismatched.push(Mismatch {
                    expected: expected(),
                    received: format!("{} of {}", show(tensor.shape()), word_of(tensor.dtype())),
                    weight,
                }),
            }
        }
        if let Some(mismatch) = report.mismatched.first().filter(|_| !options.skip_mismatch) {
            return Err(Error::file(path, format!("has a weight that does not fit the model's, {mismatch}")));
        }
        // An optimizer's values are no weights.
        let of_gradus = file.metadata.get("format").is_some_and(|format| format == "gradus");
        let is_state = |name: &str| of_gradus && name.strip_prefix(OPTIMIZER).is_some_and(|rest| rest.starts_with('/'));
        let known: std::collections::HashSet<String> = graph.param_paths().map(|(weight, _)| weight).collect();
        let names = file.tensors.keys().filter(|name| !known.contains(*name) && !is_state(name));
        report.unused = names.cloned().collect();
        if found.is_empty() {
            let has = some_of(file.tensors.keys().filter(|name| !is_state(name)));
            let wants = some_of(graph.param_paths().map(|(weight, _)| weight));
            return Err(Error::file(path, format!("has no weight that fits: it has {has}; the model has {wants}")));
        }
        for (range, values) in found {
            self.params[range].copy_from_slice(&values);
        }
        Ok(report)
    }
}

/// A type in the words of Keras, where it has been named.
fn word_of(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => f32::NAME,
        Dtype::F64 => f64::NAME,
        other => other.name(),
    }
}

/// The first of some names.
fn some_of(names: impl Iterator<Item = impl fmt::Display>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".into(),
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    }
}
