//! How good predicted probabilities are.

use ndarray::{ArrayRef, Dimension, Ix1};

use super::targets::{ClassLabel, Targets, check_rows, check_weights, columns_classes, distinct, numbers};
use super::{Ranking, mean, refuse_others};
use crate::config::Configured;
use crate::{Error, Result, Scalar};

/// Labels as places of columns, and probabilities of every class.
struct Probabilities<'w> {
    places: Vec<usize>,
    values: Vec<f64>,
    columns: usize,
    weights: Option<&'w [f64]>,
}

impl<'w> Probabilities<'w> {
    fn read<L: ClassLabel, F: Scalar, D: Dimension>(
        call: &str,
        y_true: &ArrayRef<L, Ix1>,
        y_proba: &ArrayRef<F, D>,
        options: &'w Ranking,
    ) -> Result<Self> {
        let truth = Targets::classes(call, "y_true", y_true)?;
        let (mut values, mut columns) = numbers(call, "y_proba", y_proba)?;
        check_rows(call, "y_proba", truth.len(), values.len() / columns)?;
        let weights = check_weights(call, options.sample_weight.as_ref(), truth.len())?;
        if let Some(at) = values.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let received = format!("{} at row {}", values[at], at / columns);
            return Err(Error::data(call, "probabilities between 0 and 1", received));
        }
        if columns == 1 {
            values = values.into_iter().flat_map(|p| [(F::one() - F::of(p)).f64(), p]).collect();
            columns = 2;
        }
        let classes = columns_classes(call, &truth, options.labels.as_ref(), columns)?;
        let places = truth.iter().map(|class| classes.binary_search(class).unwrap_or(0)).collect();
        Ok(Self { places, values, columns, weights })
    }
}

/// The mean of −log p of the class that is true, p clipped to [ε, 1 − ε] with the machine's ε of the type.
///
/// Knows `sample_weight` and `labels`. Times the number of rows, or the sum of weights, it is scikit-learn's
/// `normalize=False`.
///
/// # Shapes
/// Labels (n), probabilities (n, classes), or (n) of the larger of two labels.
/// # Errors
/// See [`scores`](crate::metrics::scores); also probabilities outside [0, 1], and classes that are not as many as columns:
/// where not all occur, `labels` must tell them.
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, log_loss};
/// use ndarray::array;
/// let loss = log_loss(&array![1, 0, 0, 1], &array![0.9, 0.1, 0.2, 0.65], &Ranking::new())?;
/// assert!((loss - 0.21616).abs() < 1e-5);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `log_loss`.
pub fn log_loss<L: ClassLabel, F: Scalar, D: Dimension>(
    y_true: &ArrayRef<L, Ix1>,
    y_proba: &ArrayRef<F, D>,
    options: &Ranking,
) -> Result<f64> {
    let call = "log_loss";
    refuse_others(call, options.to_config(), &["labels"])?;
    let given = Probabilities::read(call, y_true, y_proba, options)?;
    let epsilon = F::epsilon().f64();
    let losses = given.places.iter().zip(given.values.chunks(given.columns));
    Ok(mean(losses.map(|(&place, p)| -p[place].clamp(epsilon, 1.0 - epsilon).ln()), given.weights))
}

/// The mean squared difference of probabilities from what is true: (p − y)², or Σ over three classes and more.
///
/// Knows `sample_weight`, `labels`, `pos_label` (default 1, or the larger label), `scale_by_half` (default for two classes:
/// half the sum over both, which is (p − y)²).
///
/// # Shapes
/// Labels (n), probabilities (n, classes), or (n) of the positive one of two labels.
/// # Errors
/// See [`scores`](crate::metrics::scores); also probabilities outside [0, 1].
/// # Example
/// ```
/// use gradus::metrics::scores::{Ranking, brier_score_loss};
/// use ndarray::array;
/// let loss = brier_score_loss(&array![0, 1, 1, 0], &array![0.1, 0.9, 0.8, 0.3], &Ranking::new())?;
/// assert!((loss - 0.0375).abs() < 1e-12);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// scikit-learn `brier_score_loss`; Brier 1950.
pub fn brier_score_loss<L: ClassLabel, F: Scalar, D: Dimension>(
    y_true: &ArrayRef<L, Ix1>,
    y_proba: &ArrayRef<F, D>,
    options: &Ranking,
) -> Result<f64> {
    let call = "brier_score_loss";
    let one_column = matches!(y_proba.shape(), [_] | [_, 1]);
    refuse_others(call, options.to_config(), &[if one_column { "pos_label" } else { "labels" }, "scale_by_half"])?;
    let given = if one_column {
        let truth = Targets::classes(call, "y_true", y_true)?;
        let occurring = distinct(&truth);
        if occurring.len() > 2 {
            return Err(Error::data(
                call,
                "a column of probabilities for each class",
                format!("one for {occurring:?}"),
            ));
        }
        let plain =
            occurring.iter().all(|class| [0, 1].contains(class)) || occurring.iter().all(|c| [-1, 1].contains(c));
        let larger = if plain { 1 } else { occurring.last().copied().unwrap_or(1) };
        let positive = options.pos_label.unwrap_or(larger);
        let truth: ndarray::Array1<u8> = truth.iter().map(|&class| u8::from(class == positive)).collect();
        let both = options.clone().labels([0, 1]);
        let given = Probabilities::read(call, &truth, y_proba, &both)?;
        Probabilities { weights: options.sample_weight.as_deref(), ..given }
    } else {
        Probabilities::read(call, y_true, y_proba, options)?
    };
    let distance = |(&place, p): (&usize, &[f64])| {
        p.iter().enumerate().map(|(class, p)| (p - f64::from(u8::from(class == place))).powi(2)).sum::<f64>()
    };
    let half = options.scale_by_half.unwrap_or(given.columns == 2);
    let loss = mean(given.places.iter().zip(given.values.chunks(given.columns)).map(distance), given.weights);
    Ok(if half { loss / 2.0 } else { loss })
}
