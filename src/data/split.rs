//! Which rows train and which are kept for testing.

use std::ops::Range;

use crate::{Error, Result, random};

/// The rows that train and the rows that validate: the LAST `fraction` of `n`, before any shuffling.
///
/// ⌊n · (1 − fraction)⌋ rows train, the rest validates.
///
/// # Errors
/// [`Option`](Error::Option) if `fraction` is not in (0, 1); [`Data`](Error::Data) if one of the two would be empty.
/// # Example
/// ```
/// let (train, validation) = gradus::data::validation_split(60_000, 0.1)?;
/// assert_eq!((train, validation), (0..54_000, 54_000..60_000));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `fit(validation_split=…)`.
pub fn validation_split(n: usize, fraction: f64) -> Result<(Range<usize>, Range<usize>)> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::option("validation_split", "between 0 and 1, both excluded", fraction));
    }
    let train = floor(n as f64 * (1.0 - fraction));
    if train == 0 || train >= n {
        let received = format!("{n} rows, of which {train} would train");
        return Err(Error::data("validation_split", "at least one row on each side", received));
    }
    Ok((0..train, train..n))
}

/// The rows 0 … n − 1 in random order, cut in two: (training rows, test rows).
///
/// ⌈n · `test_fraction`⌉ rows test, the rest trains. The same `seed` gives the same rows for ever.
/// `array.select(Axis(0), &rows)` takes them out of an array.
///
/// # Errors
/// [`Option`](Error::Option) if `test_fraction` is not in (0, 1); [`Data`](Error::Data) if one side would be empty.
/// # Example
/// ```
/// use gradus::data::train_test_split;
/// use ndarray::{Array, Axis};
///
/// let x = Array::from_iter(0..10).insert_axis(Axis(1));
/// let (train, test) = train_test_split(10, 0.25, 42)?;
/// assert_eq!(x.select(Axis(0), &train).dim(), (7, 1));
/// assert_eq!(x.select(Axis(0), &test).dim(), (3, 1));
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `train_test_split` has these sizes; its order is another.
pub fn train_test_split(n: usize, test_fraction: f64, seed: u64) -> Result<(Vec<usize>, Vec<usize>)> {
    let (_, test) = sizes("train_test_split", n, test_fraction)?;
    let mut rows: Vec<usize> = (0..n).collect();
    random::shuffle(&mut rows, seed, 0);
    let train = rows.split_off(test);
    Ok((train, rows))
}

/// How many of `n` rows train and how many test: ⌈n · `test_fraction`⌉.
pub(super) fn sizes(call: &str, n: usize, test_fraction: f64) -> Result<(usize, usize)> {
    if !(test_fraction > 0.0 && test_fraction < 1.0) {
        return Err(Error::option("test_fraction", "between 0 and 1, both excluded", test_fraction));
    }
    let test = floor((n as f64 * test_fraction).ceil());
    if test == 0 || test >= n {
        let received = format!("{n} rows, of which {test} would test");
        return Err(Error::data(call, "at least one row on each side", received));
    }
    crate::memory::room::<usize>("n", n, &[n]).map_err(|error| error.within(call))?;
    Ok((n - test, test))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count of rows
fn floor(x: f64) -> usize {
    x as usize
}
