//! One reference case: reading it, and comparing what came out with what was expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gradus::formats::safetensors::{TensorData, TensorFile};
use gradus::prelude::*;
use serde_json::Value;

/// One call of something, with everything needed to repeat it and every result.
pub struct Case {
    pub id: String,
    pub kind: String,
    pub dtype: String,
    pub config: Value,
    pub call: Value,
    expect: Vec<String>,
    rtol: f64,
    atol: f64,
    file: TensorFile,
}

pub enum Outcome {
    Passed,
    Failed(String),
    Unsupported(String),
}

/// Why a case gave no results.
pub enum Stop {
    /// Gradus has no such class or option.
    Unsupported(String),
    /// Gradus refused the call.
    Refused(String),
}

/// Results by the names that cases use.
pub type Results<F> = BTreeMap<String, ArrayD<F>>;

pub fn unsupported(what: impl Into<String>) -> Stop {
    Stop::Unsupported(what.into())
}

impl From<gradus::Error> for Stop {
    fn from(error: gradus::Error) -> Self {
        let mut cause = &error;
        loop {
            match cause {
                gradus::Error::Context { source, .. } | gradus::Error::Layer { source, .. } => cause = source,
                gradus::Error::Unknown { what, .. } if *what != "parameter" => {
                    return Self::Unsupported(error.to_string());
                }
                _ => return Self::Refused(error.to_string()),
            }
        }
    }
}

/// All cases of the folders directly below `root` that have a `cases.json`.
pub fn read_all(root: &Path) -> Vec<Case> {
    let mut folders: Vec<_> =
        fs::read_dir(root).expect("the folder of cases").map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut cases = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.join("cases.json").is_file()) {
        let text = fs::read_to_string(folder.join("cases.json")).unwrap();
        let group: Value = serde_json::from_str(&text).unwrap();
        for case in group["cases"].as_array().unwrap() {
            cases.push(Case::read(case, &folder));
        }
    }
    cases
}

impl Case {
    fn read(case: &Value, folder: &Path) -> Self {
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let id = text("id");
        Self {
            file: TensorFile::read(folder.join(format!("{id}.safetensors"))).unwrap(),
            expect: case["expect"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            rtol: case["rtol"].as_f64().unwrap_or(1e-9),
            atol: case["atol"].as_f64().unwrap_or(1e-9),
            config: case["config"].clone(),
            call: case["call"].clone(),
            kind: text("kind"),
            dtype: text("dtype"),
            id,
        }
    }

    /// A tensor of the case as scalars, if it has one of that name.
    pub fn find<F: Scalar>(&self, name: &str) -> Option<ArrayD<F>> {
        let tensor = self.file.tensors.get(name)?;
        let values: Vec<F> = match tensor.data() {
            TensorData::F32(values) => values.iter().map(|&v| F::of(f64::from(v))).collect(),
            TensorData::F64(values) => values.iter().map(|&v| F::of(v)).collect(),
            TensorData::U8(values) => values.iter().map(|&v| F::of(f64::from(v))).collect(),
            TensorData::I32(values) => values.iter().map(|&v| F::of(f64::from(v))).collect(),
            TensorData::I64(values) => values.iter().map(|&v| F::of(v as f64)).collect(),
            TensorData::U64(values) => values.iter().map(|&v| F::of(v as f64)).collect(),
        };
        Some(ArrayD::from_shape_vec(tensor.shape().to_vec(), values).unwrap())
    }

    pub fn tensor<F: Scalar>(&self, name: &str) -> ArrayD<F> {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", self.id))
    }

    /// Whether the tensor holds bytes: images, which models see divided by 255.
    pub fn is_bytes(&self, name: &str) -> bool {
        matches!(self.file.tensors[name].data(), TensorData::U8(_))
    }

    /// `name`, or `name.0`, `name.1` …
    pub fn several<F: Scalar>(&self, name: &str) -> Vec<ArrayD<F>> {
        match self.find(name) {
            Some(one) => vec![one],
            None => (0..).map_while(|i| self.find(&format!("{name}.{i}"))).collect(),
        }
    }

    /// The tensors whose names begin so, by the rest of their names.
    pub fn below<F: Scalar>(&self, prefix: &str) -> Vec<(String, ArrayD<F>)> {
        let names = self.file.tensors.keys().filter_map(|name| name.strip_prefix(prefix));
        names.map(|rest| (rest.to_owned(), self.tensor(&format!("{prefix}{rest}")))).collect()
    }

    pub fn options(&self) -> gradus::config::Config {
        self.config.as_object().cloned().unwrap_or_default()
    }

    pub fn training(&self) -> bool {
        self.call["training"].as_bool().unwrap_or(false)
    }

    /// Compares results with what was expected.
    pub fn judge<F: Scalar>(&self, results: Result<Results<F>, Stop>) -> Outcome {
        let must_refuse = self.call.get("raises").is_some();
        let results = match results {
            Err(Stop::Unsupported(what)) => return Outcome::Unsupported(what),
            Err(Stop::Refused(_)) if must_refuse => return Outcome::Passed,
            Err(Stop::Refused(what)) => return Outcome::Failed(what),
            Ok(_) if must_refuse => return Outcome::Failed("was not refused".into()),
            Ok(results) => results,
        };
        for name in &self.expect {
            let want = self.tensor::<f64>(name);
            let Some(got) = results.get(name) else { return Outcome::Failed(format!("no result `{name}`")) };
            if let Some(problem) = self.difference(&got.mapv(Scalar::f64), &want) {
                return Outcome::Failed(format!("`{name}`: {problem}"));
            }
        }
        Outcome::Passed
    }

    /// Where the two differ most, if by more than is allowed.
    fn difference(&self, got: &ArrayD<f64>, want: &ArrayD<f64>) -> Option<String> {
        if got.len() != want.len() {
            return Some(format!("shape {:?}, expected {:?}", got.shape(), want.shape()));
        }
        let largest = want.iter().filter(|want| want.is_finite()).fold(0.0f64, |most, want| most.max(want.abs()));
        let mut worst: Option<(f64, usize)> = None;
        for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
            let excess = if got == want || (got.is_nan() && want.is_nan()) {
                0.0
            } else if !got.is_finite() || !want.is_finite() {
                f64::INFINITY
            } else {
                let allowed = self.atol + self.rtol * want.abs().max(1e-3 * largest);
                ((got - want).abs() / allowed.max(f64::MIN_POSITIVE)).max(0.0)
            };
            if excess > 1.0 && worst.is_none_or(|(most, _)| excess > most) {
                worst = Some((excess, i));
            }
        }
        worst.map(|(excess, i)| {
            let at = |array: &ArrayD<f64>| *array.iter().nth(i).unwrap();
            format!(
                "at {i} of {:?}: {} instead of {}, {excess:.2} times what is allowed",
                want.shape(),
                at(got),
                at(want)
            )
        })
    }
}
