//! A score and how far it can be trusted.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::data::Fold;
use crate::{Error, Result, parallel};

/// The scores of every fold.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// A score a fold, in their order.
    pub scores: Vec<f64>,
}

impl CrossValidation {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len() as f64
    }

    /// Their standard deviation: √(Σ(s − mean)² / n), as `numpy.std`.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / self.scores.len() as f64).sqrt()
    }
}

impl fmt::Display for CrossValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ± {:.4} ({} folds)", self.mean(), self.deviation(), self.scores.len())
    }
}

/// Scores a model on every fold, trained on the rest: folds side by side on the cores, the same on any number of them.
///
/// # Errors
/// No folds; what the closure returns, with the fold's number; a score that is not finite.
/// # Example
/// ```
/// use gradus::data::KFold;
/// use gradus::prelude::*;
/// use gradus::tuning::cross_validate;
///
/// let x = Array2::from_shape_fn((30, 1), |(i, _)| i as f32 / 30.0);
/// let y = x.mapv(|x| 2.0 * x + 1.0);
/// let folds = KFold::new().n_splits(3).shuffle(true).split(x.nrows())?;
/// let loss = cross_validate(&folds, |fold| {
///     let rows = |rows: &[usize]| (x.select(Axis(0), rows), y.select(Axis(0), rows));
///     let ((x_train, y_train), (x_test, y_test)) = (rows(&fold.train), rows(&fold.test));
///     let mut model = Sequential::new()
///         .input([1])
///         .add(Dense::new(1))
///         .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.5))
///         .build()?;
///     model.fit(&x_train, &y_train, Fit::new().epochs(200).verbose(0))?;
///     Ok(model.evaluate(&x_test, &y_test)?.loss)
/// })?;
/// assert!(loss.mean() < 1e-3, "{loss}");
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `cross_val_score`.
pub fn cross_validate(folds: &[Fold], score: impl Fn(&Fold) -> Result<f64> + Sync) -> Result<CrossValidation> {
    let scores: Vec<Mutex<Option<Result<f64>>>> = folds.iter().map(|_| Mutex::new(None)).collect();
    parallel::side_by_side(None, folds.len(), |i| {
        let result = match score(&folds[i]) {
            Ok(score) if !score.is_finite() => Err(Error::undefined("the score", format!("it is {score}"))),
            result => result,
        };
        let good = result.is_ok();
        *scores[i].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        good
    });
    let mut found = Vec::with_capacity(folds.len());
    for (fold, score) in scores.into_iter().enumerate() {
        if let Some(score) = score.into_inner().unwrap_or_else(PoisonError::into_inner) {
            found.push(score.map_err(|error| error.within(format!("cross_validate, fold {fold}")))?);
        }
    }
    if found.is_empty() {
        return Err(Error::data("cross_validate", "at least one fold", "none"));
    }
    Ok(CrossValidation { scores: found })
}
