//! One reference case: reading it, and comparing what came out with what was expected.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use gradus::custom::*;
use gradus::formats::safetensors::{Tensor, TensorData, TensorFile};
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
    tensors: BTreeMap<String, Tensor>,
    /// What keeps the case from being run.
    damage: Option<String>,
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

/// All tensors of a group, in one file.
const CONTAINER: &str = "cases.safetensors";

/// The folders directly below `root` that have a `cases.json`, in the order of their names.
pub fn groups(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("cases.json").is_file());
    folders.sort();
    folders
}

/// All cases of a group. Its tensors are in one container, as `<id>/<tensor>`, or in a file a case.
pub fn read_group(folder: &Path) -> Vec<Case> {
    let text = fs::read_to_string(folder.join("cases.json"));
    let text = text.unwrap_or_else(|error| panic!("{}/cases.json: {error}", folder.display()));
    let group: Value = serde_json::from_str(&text).unwrap();
    let container = folder.join(CONTAINER);
    let mut packed = container.is_file().then(|| by_case(TensorFile::read(&container).unwrap()));
    let cases = group["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let id = case["id"].as_str().unwrap_or_default();
            let tensors = match &mut packed {
                // A case of a call without arrays has no tensors.
                Some(packed) => Ok(packed.remove(id).unwrap_or_default()),
                None => TensorFile::read(folder.join(format!("{id}.safetensors"))).map(|file| file.tensors),
            };
            Case::read(case, tensors.map_err(|error| error.to_string()))
        })
        .collect()
}

fn by_case(file: TensorFile) -> BTreeMap<String, BTreeMap<String, Tensor>> {
    let mut cases: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in file.tensors {
        let (id, name) = name.split_once('/').unwrap_or_else(|| panic!("a tensor `{name}` of no case"));
        cases.entry(id.to_owned()).or_default().insert(name.to_owned(), tensor);
    }
    cases
}

impl Case {
    fn read(case: &Value, tensors: Result<BTreeMap<String, Tensor>, String>) -> Self {
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let tensors = tensors.and_then(|tensors| match case["arrays"].as_object() {
            Some(arrays) if !arrays.keys().all(|name| tensors.contains_key(name)) => {
                Err(format!("tensors {:?}, expected {:?}", tensors.keys(), arrays.keys()))
            }
            _ => Ok(tensors),
        });
        let (tensors, damage) = match tensors {
            Ok(tensors) => (tensors, None),
            Err(damage) => (BTreeMap::new(), Some(damage)),
        };
        let names = case["expect"].as_array().into_iter().flatten();
        Self {
            tensors,
            damage,
            expect: names.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            rtol: case["rtol"].as_f64().unwrap_or(1e-9),
            atol: case["atol"].as_f64().unwrap_or(1e-9),
            config: case["config"].clone(),
            call: case["call"].clone(),
            id: text("id"),
            kind: text("kind"),
            dtype: text("dtype"),
        }
    }

    /// A tensor of the case as scalars, if it has one of that name.
    pub fn find<F: Scalar>(&self, name: &str) -> Option<ArrayD<F>> {
        let tensor = self.tensors.get(name)?;
        Some(tensor.to_array::<f64>().mapv(F::of))
    }

    /// A tensor that this kind of case must have to be understood.
    pub fn tensor<F: Scalar>(&self, name: &str) -> Result<ArrayD<F>, Stop> {
        self.find(name).ok_or_else(|| unsupported(format!("a case without `{name}`")))
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Whether gradients are among what is expected; other cases are of values alone.
    pub fn has_gradients(&self) -> bool {
        self.expect.iter().any(|name| name.starts_with("grad"))
    }

    /// Whether the tensor holds bytes: images, which models see divided by 255.
    pub fn is_bytes(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|tensor| matches!(tensor.data(), TensorData::U8(_)))
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
        let values = |name: &String| Some((name.strip_prefix(prefix)?.to_owned(), self.find(name)?));
        self.tensors.keys().filter_map(values).collect()
    }

    pub fn options(&self) -> gradus::config::Config {
        self.config.as_object().cloned().unwrap_or_default()
    }

    pub fn training(&self) -> bool {
        self.call["training"].as_bool().unwrap_or(false)
    }

    /// Runs the case and compares what comes out with what was expected. A panic is a failure of this case alone.
    pub fn judge<F: Scalar>(&self, run: impl FnOnce() -> Result<Results<F>, Stop>) -> Outcome {
        if let Some(damage) = &self.damage {
            return Outcome::Failed(damage.clone());
        }
        let must_refuse = self.call.get("raises").is_some();
        let results = match catch_unwind(AssertUnwindSafe(run)) {
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                return Outcome::Failed(format!("panicked: {}", text.unwrap_or("without a word")));
            }
            Ok(Err(Stop::Unsupported(what))) => return Outcome::Unsupported(what),
            Ok(Err(Stop::Refused(_))) if must_refuse => return Outcome::Passed,
            Ok(Err(Stop::Refused(what))) => return Outcome::Failed(what),
            Ok(Ok(_)) if must_refuse => return Outcome::Failed("was not refused".into()),
            Ok(Ok(results)) => results,
        };
        for name in &self.expect {
            let Some(want) = self.find::<f64>(name) else {
                return Outcome::Unsupported(format!("expects `{name}`, which is no tensor"));
            };
            let Some(got) = results.get(name) else { return Outcome::Failed(format!("no result `{name}`")) };
            if let Some(problem) = self.difference(&got.mapv(Scalar::f64), &want) {
                return Outcome::Failed(format!("`{name}`: {problem}"));
            }
        }
        Outcome::Passed
    }

    /// Where the two differ most, if by more than is allowed.
    fn difference(&self, got: &ArrayD<f64>, want: &ArrayD<f64>) -> Option<String> {
        if got.shape() != want.shape() {
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
