//! The file that keeps what has been found out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::space::{Trial, Value};
use crate::formats::write_atomically;
use crate::{Error, Result};

/// A score, or why there is none.
pub(super) type Outcome = std::result::Result<f64, String>;

/// Outcomes by budget and number of the trial, in memory and, if a path was given, on disk.
pub(super) struct Store {
    path: Option<PathBuf>,
    /// What the search is: files of another are refused.
    search: Json,
    known: BTreeMap<(usize, usize), (Outcome, Json)>,
}

impl Store {
    /// With what the file holds, if there is one.
    pub fn open(path: Option<&Path>, search: Json) -> Result<Self> {
        let mut store = Self { path: path.map(Path::to_owned), search, known: BTreeMap::new() };
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(store) };
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let file: Json =
            text.parse().map_err(|problem| Error::file(path, format!("is no file of results: {problem}")))?;
        if file["search"] != store.search {
            let problem = format!("holds the results of another search: {}, not {}", file["search"], store.search);
            return Err(Error::file(path, problem));
        }
        let trials = file["trials"].as_array().ok_or_else(|| Error::file(path, "has no list `trials`"))?;
        for (place, trial) in trials.iter().enumerate() {
            let entry = read(trial).ok_or_else(|| Error::file(path, format!("entry {place} of `trials` is broken")))?;
            store.known.insert(entry.0, (entry.1, trial["values"].clone()));
        }
        Ok(store)
    }

    /// What became of a trial, if it has been run.
    pub fn get(&self, trial: &Trial) -> Option<Outcome> {
        self.known.get(&(trial.budget, trial.index)).map(|(outcome, _)| outcome.clone())
    }

    /// Keeps what became of a trial; the file is whole at any time.
    pub fn insert(&mut self, trial: &Trial, outcome: Outcome) -> Result<()> {
        let values: serde_json::Map<String, Json> =
            trial.values().map(|(name, value): (&str, &Value)| (name.to_owned(), value.to_json())).collect();
        self.known.insert((trial.budget, trial.index), (outcome, Json::Object(values)));
        let Some(path) = &self.path else { return Ok(()) };
        let trials: Vec<Json> = self
            .known
            .iter()
            .map(|((budget, index), (outcome, values))| match outcome {
                Ok(score) => json!({ "trial": index, "budget": budget, "values": values, "score": score }),
                Err(problem) => json!({ "trial": index, "budget": budget, "values": values, "failed": problem }),
            })
            .collect();
        let file = json!({ "search": self.search, "trials": trials });
        write_atomically(path, |out| writeln!(out, "{file:#}"))
    }
}

fn read(trial: &Json) -> Option<((usize, usize), Outcome)> {
    let whole = |name: &str| trial[name].as_u64().and_then(|number| usize::try_from(number).ok());
    let outcome = match (trial["score"].as_f64(), trial["failed"].as_str()) {
        (Some(score), _) => Ok(score),
        (None, problem) => Err(problem?.to_owned()),
    };
    Some(((whole("budget")?, whole("trial")?), outcome))
}
