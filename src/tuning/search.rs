//! The three ways to search.

use std::path::Path;

use super::engine::{Engine, Options};
use super::results::Results;
use super::results::rank;
use super::space::{Space, Trial};
use crate::{Error, Result};

/// The setters of the [`Options`] in the field `options`, and the two ways to run.
macro_rules! search_methods {
    () => {
        /// The seed of what is drawn and of [`Trial::seed`]. Default: 0.
        pub fn seed(mut self, seed: u64) -> Self {
            self.options.seed = seed;
            self
        }

        /// How many trials run at a time, each on one core. Default: as many as there are cores.
        pub fn threads(mut self, threads: usize) -> Self {
            self.options.threads = Some(threads);
            self
        }

        /// A JSON file that keeps what has been found: written aside and renamed after every trial, and read at the
        /// beginning, so that a search that was interrupted goes on. Default: none.
        pub fn results(mut self, path: impl AsRef<Path>) -> Self {
            self.options.results = Some(path.as_ref().to_owned());
            self
        }

        /// Whether scores are to be large, as accuracies, and not small, as losses. Default: false.
        pub fn higher_is_better(mut self, higher: bool) -> Self {
            self.options.higher_is_better = higher;
            self
        }

        /// 0: silent; 1: a progress bar on a terminal. Default: 1.
        pub fn verbose(mut self, verbose: u8) -> Self {
            self.options.verbose = verbose;
            self
        }

        /// Runs the search with a closure that gives each trial its score.
        ///
        /// A trial whose loss or score is no finite number has failed and ranks last; any other error ends the search.
        ///
        /// # Errors
        /// What the closure returns, with the trial's number; options out of range; a results file that is damaged, of another
        /// search, or cannot be written; no trial with a finite score.
        pub fn run(&self, score: impl Fn(&Trial) -> Result<f64> + Sync) -> Result<Results> {
            self.search(&|trial| score(trial).map(|score| (score, ()))).map(|(results, _)| results)
        }

        /// As [`run`](Self::run), with a closure that gives the score and something to keep, such as the model: returns also
        /// what the best trial gave. It is made again where only a results file knows that trial.
        ///
        /// # Errors
        /// As [`run`](Self::run).
        pub fn run_keeping<M: Send>(&self, score: impl Fn(&Trial) -> Result<(f64, M)> + Sync) -> Result<(Results, M)> {
            let (results, kept) = self.search(&score)?;
            let kept = match kept {
                Some(kept) => kept,
                None => score(&results.best().trial)?.1,
            };
            Ok((results, kept))
        }
    };
}

/// Tries every combination of hyper-parameters.
///
/// # Defaults
/// `points` 3: of each range so many values at equal distances, its ends among them (in powers where it is logarithmic); of
/// choices all.
/// # Example
/// ```
/// use gradus::tuning::{GridSearch, Space};
/// let space = Space::new().choice("a", [1, 2]).uniform("b", -1.0..=1.0);
/// let results = GridSearch::new(space).points(5).run(|trial| {
///     Ok((trial.number("a")? - 1.0).abs() + (trial.number("b")? - 0.5).powi(2))
/// })?;
/// assert_eq!(results.trials().len(), 10);
/// assert_eq!((results.best().trial.number("a")?, results.best().trial.number("b")?), (1.0, 0.5));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `GridSearchCV`.
#[derive(Clone, Debug)]
pub struct GridSearch {
    options: Options,
    points: usize,
}

impl GridSearch {
    /// Over a space.
    pub fn new(space: Space) -> Self {
        Self { options: Options::new(space), points: 3 }
    }

    /// How many values of each range are tried. Default: 3.
    pub fn points(mut self, points: usize) -> Self {
        self.points = points;
        self
    }

    search_methods!();

    fn search<M: Send>(&self, closure: &(dyn Fn(&Trial) -> Result<(f64, M)> + Sync)) -> Result<(Results, Option<M>)> {
        if self.points == 0 {
            return Err(Error::option("points", "at least 1", 0).within("GridSearch"));
        }
        self.options.space.check()?;
        let sets = self.options.space.grid(self.points)?;
        let engine = Engine::new(&self.options, &format!("grid of {}", self.points), sets.len(), closure)?;
        let trial = |(index, values)| Trial { index, budget: 1, seed: self.options.seed, values };
        let finished = engine.run(sets.into_iter().enumerate().map(trial).collect())?;
        engine.finish(finished)
    }
}

/// Tries sets of hyper-parameters drawn at random, which finds good ones sooner than a grid where few of them matter.
///
/// A search with more trials begins with those of the shorter one: a results file serves both.
///
/// # Source
/// Bergstra and Bengio, *Random search for hyper-parameter optimization*, 2012.
/// # Example
/// ```
/// use gradus::tuning::{RandomSearch, Space};
/// let space = Space::new().log_uniform("rate", 1e-4..=1.0);
/// let results = RandomSearch::new(space, 50).run(|trial| Ok((trial.number("rate")?.log10() + 2.0).abs()))?;
/// assert!(results.best_score() < 0.2);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomSearch {
    options: Options,
    trials: usize,
}

impl RandomSearch {
    /// So many trials over a space.
    pub fn new(space: Space, trials: usize) -> Self {
        Self { options: Options::new(space), trials }
    }

    search_methods!();

    fn search<M: Send>(&self, closure: &(dyn Fn(&Trial) -> Result<(f64, M)> + Sync)) -> Result<(Results, Option<M>)> {
        self.options.check_trials("trials", self.trials)?;
        let engine = Engine::new(&self.options, "at random", self.trials, closure)?;
        let finished = engine.run((0..self.trials).map(|index| self.options.random_trial(index)).collect())?;
        engine.finish(finished)
    }
}

/// Tries many sets drawn at random with a small budget, and the better part of them with ever larger ones.
///
/// Of n trials with a budget b the best ⌈n / `factor`⌉ go on with `factor`·b, until the largest budget; each is run anew,
/// as its [`budget`](Trial::budget) says. Those that failed do not go on.
///
/// # Defaults
/// `factor` 3.
/// # Source
/// Jamieson and Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*, 2016; scikit-learn
/// `HalvingRandomSearchCV`.
/// # Example
/// ```
/// use gradus::tuning::{Space, SuccessiveHalving};
/// let space = Space::new().uniform("x", 0.0..=1.0);
/// // 9 trials of 1 epoch, 3 of 3, 1 of 9; more epochs tell more exactly.
/// let results = SuccessiveHalving::new(space, 9, 1..=9).run(|trial| {
///     Ok((trial.number("x")? - 0.5).abs() + 0.1 / trial.budget() as f64)
/// })?;
/// assert_eq!(results.trials().len(), 13);
/// assert_eq!(results.best().trial.budget(), 9);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SuccessiveHalving {
    options: Options,
    candidates: usize,
    budgets: (usize, usize),
    factor: usize,
}

impl SuccessiveHalving {
    /// So many candidates over a space, with the smallest and the largest budget of a trial.
    pub fn new(space: Space, candidates: usize, budgets: std::ops::RangeInclusive<usize>) -> Self {
        Self { options: Options::new(space), candidates, budgets: (*budgets.start(), *budgets.end()), factor: 3 }
    }

    /// By what the number of trials falls and their budget grows from round to round. Default: 3.
    pub fn factor(mut self, factor: usize) -> Self {
        self.factor = factor;
        self
    }

    search_methods!();

    /// How many trials each round has, and with what budget, if none fails.
    fn rounds(&self) -> Vec<(usize, usize)> {
        let mut rounds = vec![(self.candidates, self.budgets.0)];
        while let Some(&(trials, budget)) = rounds.last()
            && trials > 1
            && budget < self.budgets.1
        {
            rounds.push((trials.div_ceil(self.factor), budget.saturating_mul(self.factor).min(self.budgets.1)));
        }
        rounds
    }

    fn search<M: Send>(&self, closure: &(dyn Fn(&Trial) -> Result<(f64, M)> + Sync)) -> Result<(Results, Option<M>)> {
        if self.factor < 2 {
            return Err(Error::option("factor", "at least 2", self.factor).within("SuccessiveHalving"));
        }
        let (low, high) = self.budgets;
        if low == 0 || low > high {
            let received = format!("{low}..={high}");
            return Err(Error::option("budgets", "a range from at least 1 that does not fall", received)
                .within("SuccessiveHalving"));
        }
        self.options.check_trials("candidates", self.candidates)?;
        let rounds = self.rounds();
        let total = rounds.iter().map(|(trials, _)| trials).sum();
        let engine = Engine::new(&self.options, "at random", total, closure)?;
        let mut going_on: Vec<Trial> = (0..self.candidates).map(|index| self.options.random_trial(index)).collect();
        let mut all = Vec::new();
        for (trials, budget) in rounds {
            going_on.truncate(trials);
            let round = engine.run(going_on.into_iter().map(|trial| Trial { budget, ..trial }).collect())?;
            let mut ranked: Vec<_> = round.iter().filter(|finished| finished.score().is_some()).collect();
            ranked.sort_by(|a, b| rank(a, b, self.options.higher_is_better));
            going_on = ranked.into_iter().map(|finished| finished.trial.clone()).collect();
            all.extend(round);
        }
        engine.finish(all)
    }
}
