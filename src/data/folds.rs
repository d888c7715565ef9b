//! Folds for cross-validation: which rows train and which test, several times over.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::config::options;
use crate::memory::room;
use crate::random::{self, Philox};
use crate::{Error, Result};

/// One fold: the rows that train, and the rows that test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// The rows to train on, ascending.
    pub train: Vec<usize>,
    /// The rows to test on, ascending.
    pub test: Vec<usize>,
}

impl Fold {
    /// All of `0..n` that do not test, train.
    fn testing(test: Vec<usize>, n: usize) -> Self {
        let mut tests = vec![false; n];
        for &row in &test {
            tests[row] = true;
        }
        Self { train: (0..n).filter(|&row| !tests[row]).collect(), test }
    }
}

/// For each row the fold that it tests in, as folds.
fn gather(fold_of: &[usize], folds: usize) -> Vec<Fold> {
    let mut tests = vec![Vec::new(); folds];
    for (row, &fold) in fold_of.iter().enumerate() {
        tests[fold].push(row);
    }
    tests.into_iter().map(|test| Fold::testing(test, fold_of.len())).collect()
}

/// At least two folds, and no more than there are `things`.
/// The folds of `rows` rows must fit into memory.
fn check(call: &str, folds: usize, n: usize, things: &str, rows: usize) -> Result<()> {
    if folds < 2 {
        return Err(Error::option("n_splits", "at least 2", folds).within(call));
    }
    if n < folds {
        return Err(Error::data(call, format!("at least n_splits = {folds} {things}"), n.to_string()));
    }
    let given = format!("{folds} folds of {rows} rows");
    room::<usize>("n_splits", given, &[folds, rows]).map_err(|error| error.within(call))?;
    Ok(())
}

/// Each row's class as a number, in the order in which classes first appear, and how often each appears.
fn encode<L: Ord>(labels: impl IntoIterator<Item = L>) -> (Vec<usize>, Vec<usize>) {
    let (mut numbers, mut counts) = (BTreeMap::new(), Vec::new());
    let encoded = labels.into_iter().map(|label| {
        let class = *numbers.entry(label).or_insert(counts.len());
        if class == counts.len() {
            counts.push(0);
        }
        counts[class] += 1;
        class
    });
    (encoded.collect(), counts)
}

options! {
    /// Cuts the rows into `n_splits` parts of equal size; each tests once while the others train.
    ///
    /// The first n mod `n_splits` parts have one row more. Without shuffling they are runs of rows in their order.
    ///
    /// # Defaults
    /// `n_splits` 5, `shuffle` false, `seed` 0.
    /// # Errors
    /// [`Option`](Error::Option) for fewer than two splits, [`Data`](Error::Data) for fewer rows than splits.
    /// # Example
    /// ```
    /// use gradus::data::KFold;
    ///
    /// let folds = KFold::new().n_splits(3).split(7)?;
    /// assert_eq!(folds[0].test, [0, 1, 2]);
    /// assert_eq!(folds[2].train, [0, 1, 2, 3, 4]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `KFold`; with `shuffle` its sizes, in another order.
    pub struct KFold {
        /// How many folds. Default: 5.
        n_splits: usize = 5,
        /// Whether the rows are shuffled before they are cut. Default: false.
        shuffle: bool = false,
        /// The seed of the shuffling. Default: 0.
        seed: u64 = 0,
    }
}

impl Default for KFold {
    fn default() -> Self {
        Self::new()
    }
}

impl KFold {
    /// The folds of `n` rows.
    ///
    /// # Errors
    /// See [`KFold`].
    pub fn split(&self, n: usize) -> Result<Vec<Fold>> {
        check("KFold", self.n_splits, n, "rows", n)?;
        let mut rows: Vec<usize> = (0..n).collect();
        if self.shuffle {
            random::shuffle(&mut rows, self.seed, 0);
        }
        let mut rest = rows.as_slice();
        let folds = (0..self.n_splits).map(|fold| {
            let size = n / self.n_splits + usize::from(fold < n % self.n_splits);
            let (test, others) = rest.split_at(size);
            rest = others;
            let mut test = test.to_vec();
            test.sort_unstable();
            Fold::testing(test, n)
        });
        Ok(folds.collect())
    }
}

options! {
    /// [`KFold`] in which every fold has each class in the proportion of the whole.
    ///
    /// # Defaults
    /// `n_splits` 5, `shuffle` false, `seed` 0.
    /// # Errors
    /// [`Option`](Error::Option) for fewer than two splits, [`Data`](Error::Data) if no class has as many rows as there are
    /// splits. A class that has fewer is missing from some folds.
    /// # Example
    /// ```
    /// use gradus::data::StratifiedKFold;
    ///
    /// let folds = StratifiedKFold::new().n_splits(2).split(["a", "a", "b", "a", "b", "a"])?;
    /// assert_eq!(folds[0].test, [0, 1, 2]);
    /// assert_eq!(folds[1].test, [3, 4, 5]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// scikit-learn `StratifiedKFold`; with `shuffle` its counts, in another order.
    pub struct StratifiedKFold {
        /// How many folds. Default: 5.
        n_splits: usize = 5,
        /// Whether each class's rows are shuffled before they are dealt out. Default: false.
        shuffle: bool = false,
        /// The seed of the shuffling. Default: 0.
        seed: u64 = 0,
    }
}

impl Default for StratifiedKFold {
    fn default() -> Self {
        Self::new()
    }
}

impl StratifiedKFold {
    /// The folds of as many rows as there are labels, one a row.
    ///
    /// # Errors
    /// See [`StratifiedKFold`].
    pub fn split<L: Ord>(&self, labels: impl IntoIterator<Item = L>) -> Result<Vec<Fold>> {
        let (classes, counts) = encode(labels);
        let largest = counts.iter().copied().max().unwrap_or(0);
        check("StratifiedKFold", self.n_splits, largest, "rows in some class", classes.len().max(counts.len()))?;
        // The classes one after another, dealt out like cards: what each fold gets of each class.
        let mut dealt = vec![vec![0; self.n_splits]; counts.len()];
        let one_after_another = counts.iter().enumerate().flat_map(|(class, &count)| std::iter::repeat_n(class, count));
        for (card, class) in one_after_another.enumerate() {
            dealt[class][card % self.n_splits] += 1;
        }
        let mut places: Vec<Vec<usize>> = dealt.iter().map(|shares| runs(shares)).collect();
        if self.shuffle {
            let mut rng = random::rng(self.seed, "stratified folds");
            for places in &mut places {
                random::shuffle_with(places, &mut rng);
            }
        }
        let mut places: Vec<_> = places.into_iter().map(Vec::into_iter).collect();
        let fold_of: Vec<usize> = classes.iter().filter_map(|&class| places[class].next()).collect();
        Ok(gather(&fold_of, self.n_splits))
    }
}

/// [2, 0, 1] → 0, 0, 2
fn runs(shares: &[usize]) -> Vec<usize> {
    shares.iter().enumerate().flat_map(|(fold, &share)| std::iter::repeat_n(fold, share)).collect()
}

/// [`KFold`] that keeps the rows of a group together: no group trains and tests in the same fold.
///
/// Groups are taken from the largest to the smallest, each into the fold with the fewest rows so far.
///
/// # Defaults
/// `n_splits` 5.
/// # Errors
/// [`Option`](Error::Option) for fewer than two splits, [`Data`](Error::Data) for fewer groups than splits.
/// # Example
/// ```
/// use gradus::data::GroupKFold;
///
/// let speakers = [3, 3, 3, 1, 1, 2];
/// let folds = GroupKFold::new().n_splits(2).split(speakers)?;
/// assert_eq!(folds[0].test, [0, 1, 2]);
/// assert_eq!(folds[1].test, [3, 4, 5]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `GroupKFold`.
#[derive(Clone, Debug)]
pub struct GroupKFold {
    n_splits: usize,
}

impl Default for GroupKFold {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupKFold {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { n_splits: 5 }
    }
    /// How many folds. Default: 5.
    pub fn n_splits(mut self, n_splits: usize) -> Self {
        self.n_splits = n_splits;
        self
    }

    /// The folds of as many rows as there are groups named, one a row.
    ///
    /// # Errors
    /// See [`GroupKFold`].
    pub fn split<G: Ord>(&self, groups: impl IntoIterator<Item = G>) -> Result<Vec<Fold>> {
        let groups: Vec<G> = groups.into_iter().collect();
        let mut sizes: BTreeMap<&G, usize> = BTreeMap::new();
        for group in &groups {
            *sizes.entry(group).or_default() += 1;
        }
        check("GroupKFold", self.n_splits, sizes.len(), "groups", groups.len())?;
        let mut largest_first: Vec<(&G, usize)> = sizes.into_iter().rev().collect();
        largest_first.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
        let (mut filled, mut fold_of_group) = (vec![0; self.n_splits], BTreeMap::new());
        for (group, size) in largest_first {
            let lightest = (0..self.n_splits).min_by_key(|&fold| filled[fold]).unwrap_or(0);
            filled[lightest] += size;
            fold_of_group.insert(group, lightest);
        }
        let fold_of: Vec<usize> = groups.iter().map(|group| fold_of_group[group]).collect();
        Ok(gather(&fold_of, self.n_splits))
    }
}

/// Folds of rows in the order of time: each trains on what came before it and tests on what comes next.
///
/// The last `n_splits` · `test_size` rows test, in runs; `gap` rows before each are left out.
///
/// # Defaults
/// `n_splits` 5, `test_size` ⌊n / (`n_splits` + 1)⌋, `max_train_size` none, `gap` 0.
/// # Errors
/// [`Option`](Error::Option) for fewer than two splits, [`Data`](Error::Data) if the first fold has nothing to train on.
/// # Example
/// ```
/// use gradus::data::TimeSeriesSplit;
///
/// let folds = TimeSeriesSplit::new().n_splits(3).split(6)?;
/// assert_eq!((&folds[0].train[..], &folds[0].test[..]), (&[0, 1, 2][..], &[3][..]));
/// assert_eq!((&folds[2].train[..], &folds[2].test[..]), (&[0, 1, 2, 3, 4][..], &[5][..]));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `TimeSeriesSplit`.
#[derive(Clone, Debug)]
pub struct TimeSeriesSplit {
    n_splits: usize,
    max_train_size: Option<usize>,
    test_size: Option<usize>,
    gap: usize,
}

impl Default for TimeSeriesSplit {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSeriesSplit {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { n_splits: 5, max_train_size: None, test_size: None, gap: 0 }
    }
    /// How many folds. Default: 5.
    pub fn n_splits(mut self, n_splits: usize) -> Self {
        self.n_splits = n_splits;
        self
    }
    /// How many rows train at most: the latest. Default: all that came before.
    pub fn max_train_size(mut self, rows: usize) -> Self {
        self.max_train_size = Some(rows);
        self
    }
    /// How many rows test in each fold. Default: ⌊n / (`n_splits` + 1)⌋.
    pub fn test_size(mut self, rows: usize) -> Self {
        self.test_size = Some(rows);
        self
    }
    /// How many rows are left out between training and test. Default: 0.
    pub fn gap(mut self, rows: usize) -> Self {
        self.gap = rows;
        self
    }

    /// The folds of `n` rows in the order of time.
    ///
    /// # Errors
    /// See [`TimeSeriesSplit`].
    pub fn split(&self, n: usize) -> Result<Vec<Fold>> {
        check("TimeSeriesSplit", self.n_splits, n.saturating_sub(1), "rows after the first", n)?;
        let test = self.test_size.unwrap_or(n / (self.n_splits + 1));
        if test == 0 {
            return Err(Error::option("test_size", "at least 1", test).within("TimeSeriesSplit"));
        }
        let needed = test.saturating_mul(self.n_splits).saturating_add(self.gap);
        if n <= needed {
            let expected = format!("more than {needed} rows for {} tests of {test} and a gap", self.n_splits);
            return Err(Error::data("TimeSeriesSplit", expected, n.to_string()));
        }
        let folds = (1..=self.n_splits).rev().map(|left| {
            let first = n - left * test;
            let end = first - self.gap;
            let begin = self.max_train_size.map_or(0, |most| end.saturating_sub(most));
            Fold { train: (begin..end).collect(), test: (first..first + test).collect() }
        });
        Ok(folds.collect())
    }
}

/// So many rows to train and so many to test, both in random order, with each class in the proportion of the whole: of each
/// class ⌊its share⌋ rows, and one more of those with the largest remainder.
pub(super) fn stratify<L: Ord + Display>(
    call: &str,
    labels: &[L],
    train: usize,
    test: usize,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let (classes, counts) = encode(labels);
    if let Some(single) = counts.iter().position(|&count| count < 2) {
        let label = classes.iter().position(|&class| class == single).map(|row| labels[row].to_string());
        let received = format!("one row of class {}", label.unwrap_or_default());
        return Err(Error::data(call, "at least two rows of every class", received));
    }
    if train.min(test) < counts.len() {
        let received = format!("{train} to train, {test} to test");
        return Err(Error::data(call, format!("at least {} rows on each side, one a class", counts.len()), received));
    }
    let to_train = shares(&counts, train);
    let left: Vec<usize> = counts.iter().zip(&to_train).map(|(all, train)| all - train).collect();
    let mut to_test = shares(&left, test);
    let mut rng = random::rng(seed, "stratified split");
    // Takes a row of a class as long as some of it are wanted.
    let take = |wanted: &mut [usize], row: usize| {
        let wanted = &mut wanted[classes[row]];
        let takes = *wanted > 0;
        *wanted -= usize::from(takes);
        takes
    };
    let rows = shuffled(labels.len(), &mut rng);
    let (mut test, mut train): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(|&row| take(&mut to_test, row));
    let mut to_train = to_train;
    train.retain(|&row| take(&mut to_train, row));
    random::shuffle_with(&mut train, &mut rng);
    random::shuffle_with(&mut test, &mut rng);
    Ok((train, test))
}

fn shuffled(n: usize, rng: &mut Philox) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    random::shuffle_with(&mut rows, rng);
    rows
}

/// `draws` things shared out in proportion to `counts`: whole shares first, the rest by the largest remainders.
fn shares(counts: &[usize], draws: usize) -> Vec<usize> {
    let all: usize = counts.iter().sum::<usize>().max(1);
    let mut shares: Vec<usize> = counts.iter().map(|&count| count * draws / all).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(counts[class] * draws % all));
    let missing = draws - shares.iter().sum::<usize>();
    by_remainder.iter().take(missing).for_each(|&class| shares[class] += 1);
    shares
}
