//! Runs trials side by side and keeps the best.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::results::{Finished, Results, rank};
use super::space::{Space, Trial, Value};
use super::store::{Outcome, Store};
use crate::memory::room;
use crate::{Error, Result, parallel};

/// What all searches can be told.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub space: Space,
    pub seed: u64,
    pub threads: Option<usize>,
    pub results: Option<PathBuf>,
    pub higher_is_better: bool,
    pub verbose: u8,
}

impl Options {
    pub fn new(space: Space) -> Self {
        Self { space, seed: 0, threads: None, results: None, higher_is_better: false, verbose: 1 }
    }

    /// Refuses more trials than there is memory for.
    pub fn check_trials(&self, option: &str, trials: usize) -> Result<()> {
        let values = self.space.names().count();
        room::<(String, Value)>(option, trials, &[trials, values + 1]).map_err(|error| error.within("search"))?;
        Ok(())
    }

    /// A trial whose hyper-parameters its number decides.
    pub fn random_trial(&self, index: usize) -> Trial {
        let mut rng = crate::random::rng(crate::random::mix(self.seed ^ crate::random::hash("tuning")), index as u64);
        Trial { index, budget: 1, seed: self.seed, values: self.space.draw(&mut rng) }
    }
}

/// A search under way, for closures that score a trial and give what is to be kept of the best.
pub(super) struct Engine<'a, M> {
    options: &'a Options,
    store: Mutex<Store>,
    closure: &'a (dyn Fn(&Trial) -> Result<(f64, M)> + Sync),
    best: Mutex<Option<(Finished, M)>>,
    progress: Progress,
}

impl<'a, M: Send> Engine<'a, M> {
    /// `drawn` says how trials come from the space, and `total` how many there are to be.
    pub fn new(
        options: &'a Options,
        drawn: &str,
        total: usize,
        closure: &'a (dyn Fn(&Trial) -> Result<(f64, M)> + Sync),
    ) -> Result<Self> {
        options.space.check()?;
        if let Some(threads) = options.threads {
            parallel::check_count("threads", threads).map_err(|error| error.within("search"))?;
        }
        if total == 0 {
            return Err(Error::option("trials", "at least 1", 0).within("search"));
        }
        // The seed as text: JSON readers may keep only 53 bits of it.
        let search = json!({ "space": options.space.to_json(), "seed": options.seed.to_string(), "drawn": drawn });
        let store = Mutex::new(Store::open(options.results.as_deref(), search)?);
        Ok(Self { options, store, closure, best: Mutex::new(None), progress: Progress::new(options.verbose, total) })
    }

    /// Runs those of the trials that have not been run, side by side, and gives what became of all, in their order.
    pub fn run(&self, trials: Vec<Trial>) -> Result<Vec<Finished>> {
        let outcomes: Vec<Mutex<Option<Result<Outcome>>>> = trials.iter().map(|_| Mutex::new(None)).collect();
        parallel::side_by_side(self.options.threads, trials.len(), |i| {
            let outcome = self.outcome(&trials[i]);
            let good = outcome.is_ok();
            *lock(&outcomes[i]) = Some(outcome);
            good
        });
        let mut finished = Vec::with_capacity(trials.len());
        let outcomes: Vec<_> =
            outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        for (trial, outcome) in trials.into_iter().zip(outcomes) {
            // What was not begun stands behind an error.
            if let Some(outcome) = outcome {
                finished.push(Finished { trial, outcome: outcome? });
            }
        }
        Ok(finished)
    }

    fn outcome(&self, trial: &Trial) -> Result<Outcome> {
        if let Some(outcome) = lock(&self.store).get(trial) {
            self.progress.step(&outcome);
            return Ok(outcome);
        }
        let outcome = match (self.closure)(trial) {
            Ok((score, kept)) if score.is_finite() => {
                self.offer(Finished { trial: trial.clone(), outcome: Ok(score) }, kept);
                Ok(score)
            }
            Ok((score, _)) => Err(format!("the score was {score}")),
            // Too high a learning rate is a finding, not a fault of the program.
            Err(error) if error.loss_not_finite().is_some() => Err(error.to_string()),
            Err(error) => return Err(error.within(format!("trial {}", trial.index))),
        };
        lock(&self.store).insert(trial, outcome.clone())?;
        self.progress.step(&outcome);
        Ok(outcome)
    }

    fn offer(&self, finished: Finished, kept: M) {
        let mut best = lock(&self.best);
        let better = |(other, _): &(Finished, M)| rank(&finished, other, self.options.higher_is_better).is_lt();
        if best.as_ref().is_none_or(better) {
            *best = Some((finished, kept));
        }
    }

    /// The results of all trials, and what was kept of the best, unless a file told its score.
    pub fn finish(self, mut finished: Vec<Finished>) -> Result<(Results, Option<M>)> {
        self.progress.finish();
        finished.sort_by_key(|finished| (finished.trial.budget, finished.trial.index));
        let results = Results::new(self.options.space.clone(), self.options.higher_is_better, finished)?;
        let kept = self.best.into_inner().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.filter(|(of, _)| of.trial == results.best().trial).map(|(_, kept)| kept);
        Ok((results, kept))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar over the trials, on a terminal.
struct Progress {
    #[cfg(feature = "progress")]
    bar: Option<indicatif::ProgressBar>,
}

impl Progress {
    #[cfg_attr(not(feature = "progress"), allow(unused_variables))]
    fn new(verbose: u8, total: usize) -> Self {
        let shown = verbose > 0 && std::io::stdout().is_terminal();
        Self {
            #[cfg(feature = "progress")]
            bar: shown.then(|| {
                let template = "{pos}/{len} trials {bar:20.green/white.dim} {elapsed} ETA {eta} - {wide_msg}";
                crate::training::progress::bar(Some(total), template)
            }),
        }
    }

    #[cfg_attr(not(feature = "progress"), allow(unused_variables))]
    fn step(&self, outcome: &Outcome) {
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(match outcome {
                Ok(score) => format!("last score {score:.4}"),
                Err(problem) => problem.clone(),
            });
        }
    }

    fn finish(&self) {
        #[cfg(feature = "progress")]
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
