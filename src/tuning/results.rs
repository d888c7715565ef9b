//! What a search found.

use std::fmt;

use std::cmp::Ordering;

use super::space::{Space, Trial};
use super::store::Outcome;
use crate::{Error, Result};

/// A trial that has been run.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What was tried.
    pub trial: Trial,
    pub(super) outcome: Outcome,
}

impl Finished {
    /// Its score; none if it failed.
    pub fn score(&self) -> Option<f64> {
        self.outcome.as_ref().ok().copied()
    }

    /// Why it failed, if it did: a loss or a score that was no finite number.
    pub fn failure(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }
}

/// All trials of a search.
///
/// Its `Display` is a table with the best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub(crate) space: Space,
    higher_is_better: bool,
    trials: Vec<Finished>,
    best: usize,
}

impl Results {
    pub(super) fn new(space: Space, higher_is_better: bool, trials: Vec<Finished>) -> Result<Self> {
        let places = 0..trials.len();
        let best = places.min_by(|&a, &b| rank(&trials[a], &trials[b], higher_is_better));
        match best {
            Some(best) if trials[best].score().is_some() => Ok(Self { space, higher_is_better, trials, best }),
            _ => {
                let received = trials.first().and_then(Finished::failure).unwrap_or("no trial").to_owned();
                Err(Error::data("search", "a trial with a finite score", format!("none; the first: {received}")))
            }
        }
    }

    /// All trials, by budget and number.
    pub fn trials(&self) -> &[Finished] {
        &self.trials
    }

    /// The best trial: of the largest budget the one with the best score.
    pub fn best(&self) -> &Finished {
        &self.trials[self.best]
    }

    /// The score of the best trial.
    pub fn best_score(&self) -> f64 {
        self.best().score().unwrap_or(f64::NAN)
    }

    /// All trials, the best first; those that failed are last.
    pub fn ranked(&self) -> Vec<&Finished> {
        let mut ranked: Vec<&Finished> = self.trials.iter().collect();
        ranked.sort_by(|a, b| rank(a, b, self.higher_is_better));
        ranked
    }

    /// The best score up to each trial, as they were numbered.
    #[cfg(feature = "plots")]
    pub(crate) fn best_so_far(&self) -> Vec<f64> {
        let mut best = f64::NAN;
        let better = |score: f64, best: f64| if self.higher_is_better { score > best } else { score < best };
        let mut so_far = |finished: &Finished| {
            if let Some(score) = finished.score()
                && (best.is_nan() || better(score, best))
            {
                best = score;
            }
            best
        };
        self.trials.iter().map(&mut so_far).collect()
    }

    fn header(&self) -> Vec<String> {
        let names = self.space.names().map(str::to_owned);
        ["trial", "budget"].map(str::to_owned).into_iter().chain(names).chain(["score".to_owned()]).collect()
    }

    /// A trial's cells, with `failed` in place of a score that there is not.
    fn cells(finished: &Finished, failed: &str, show: impl Fn(f64) -> String) -> Vec<String> {
        let Trial { index, budget, .. } = finished.trial;
        let values = finished.trial.values().map(|(_, value)| match value {
            super::Value::Number(number) => show(*number),
            other => other.to_string(),
        });
        let score = finished.score().map_or_else(|| failed.into(), &show);
        [index.to_string(), budget.to_string()].into_iter().chain(values.collect::<Vec<_>>()).chain([score]).collect()
    }

    /// All trials as CSV, by budget and number: a line of names, then a line a trial. A trial that failed has no score.
    pub fn to_csv(&self) -> String {
        let quoted = |cell: String| match cell.as_str() {
            text if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
            _ => cell,
        };
        let line = |cells: Vec<String>| cells.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
        let rows = self.trials.iter().map(|finished| Self::cells(finished, "", |number| number.to_string()));
        std::iter::once(self.header()).chain(rows).map(line).collect()
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranked = self.ranked();
        let rows = ranked.into_iter().map(|finished| Self::cells(finished, "failed", four_digits));
        let rows: Vec<Vec<String>> = std::iter::once(self.header()).chain(rows).collect();
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for (i, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
            writeln!(f, "{}", cells.join("  "))?;
            if i == 0 {
                let width = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
                writeln!(f, "{}", "─".repeat(width))?;
            }
        }
        Ok(())
    }
}

/// Four digits that count.
fn four_digits(number: f64) -> String {
    if number == 0.0 || (1e-3..1e5).contains(&number.abs()) { format!("{number:.4}") } else { format!("{number:.3e}") }
}

/// The better first: of the larger budget, with the better score, begun earlier; without a score last.
pub(super) fn rank(a: &Finished, b: &Finished, higher_is_better: bool) -> Ordering {
    let scores = match (a.score(), b.score()) {
        (Some(a), Some(b)) if higher_is_better => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let failed = a.score().is_none().cmp(&b.score().is_none());
    failed.then(b.trial.budget.cmp(&a.trial.budget)).then(scores).then(a.trial.index.cmp(&b.trial.index))
}
