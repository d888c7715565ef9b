//! Reading labels, scores and weights, and refusing what no score can be worked out from.

use std::collections::BTreeSet;

use ndarray::{ArrayRef, Dimension};
use num_traits::ToPrimitive;

use crate::error::show;
use crate::{Error, Result, Scalar};

/// The number types that class labels come in: integers, and floats that hold whole numbers.
///
/// Implemented for them through [`num_traits`]; there is nothing to implement.
pub trait ClassLabel: ToPrimitive + Copy {}
impl<L: ToPrimitive + Copy> ClassLabel for L {}

/// The classes of rows.
pub(super) enum Targets {
    /// One class a row.
    Classes(Vec<i64>),
    /// Several labels a row, or none: row-major, a column a label.
    Indicators { columns: usize, marks: Vec<bool> },
}

impl Targets {
    pub fn read<L: ClassLabel, D: Dimension>(call: &str, what: &str, y: &ArrayRef<L, D>) -> Result<Self> {
        if y.is_empty() {
            return Err(Error::data(call, format!("{what} with rows"), show(y.shape())));
        }
        match *y.shape() {
            [_] | [_, 1] => Ok(Self::Classes(whole(call, what, y, 1)?)),
            [_, columns] => {
                let numbers = whole(call, what, y, columns)?;
                if let Some(at) = numbers.iter().position(|mark| !(0..=1).contains(mark)) {
                    let expected = format!("{what} of classes (n) or of indicators 0 and 1 (n, labels)");
                    return Err(Error::data(call, expected, format!("{} at row {}", numbers[at], at / columns)));
                }
                Ok(Self::Indicators { columns, marks: numbers.iter().map(|&mark| mark == 1).collect() })
            }
            _ => Err(Error::data(call, format!("{what} of shape (n) or (n, labels)"), show(y.shape()))),
        }
    }

    /// One class a row.
    pub fn classes<L: ClassLabel, D: Dimension>(call: &str, what: &str, y: &ArrayRef<L, D>) -> Result<Vec<i64>> {
        match Self::read(call, what, y)? {
            Self::Classes(classes) => Ok(classes),
            Self::Indicators { .. } => {
                Err(Error::data(call, format!("{what} of one class a row (n)"), show(y.shape())))
            }
        }
    }

    pub fn rows(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Indicators { columns, marks } => marks.len() / columns,
        }
    }
}

fn whole<L: ClassLabel, D: Dimension>(call: &str, what: &str, y: &ArrayRef<L, D>, columns: usize) -> Result<Vec<i64>> {
    let refuse = |at: usize, label: &L| {
        let label = label.to_f64().map_or_else(|| "no number".into(), |label| label.to_string());
        Error::data(call, format!("whole numbers in {what}"), format!("{label} at row {}", at / columns))
    };
    let number = |(at, label): (usize, &L)| {
        let number = label.to_i64().filter(|&number| label.to_f64() == Some(number as f64));
        number.ok_or_else(|| refuse(at, label))
    };
    y.iter().enumerate().map(number).collect()
}

/// What is true and what was predicted, of the same kind and length, with the weights of rows.
pub(super) struct Pair<'w> {
    pub truth: Targets,
    pub predicted: Targets,
    pub weights: Option<&'w [f64]>,
}

impl<'w> Pair<'w> {
    pub fn read<L: ClassLabel, P: ClassLabel, D: Dimension, E: Dimension>(
        call: &str,
        y_true: &ArrayRef<L, D>,
        y_pred: &ArrayRef<P, E>,
        weights: Option<&'w Vec<f64>>,
    ) -> Result<Self> {
        let (truth, predicted) = (Targets::read(call, "y_true", y_true)?, Targets::read(call, "y_pred", y_pred)?);
        let same = match (&truth, &predicted) {
            (Targets::Classes(t), Targets::Classes(p)) => t.len() == p.len(),
            (Targets::Indicators { .. }, Targets::Indicators { .. }) => y_true.shape() == y_pred.shape(),
            _ => false,
        };
        if !same {
            let expected = format!("y_true and y_pred of one shape, as {}", show(y_true.shape()));
            return Err(Error::data(call, expected, show(y_pred.shape())));
        }
        let weights = check_weights(call, weights, truth.rows())?;
        Ok(Self { truth, predicted, weights })
    }

    /// One class a row on both sides.
    pub fn classes(&self, call: &str) -> Result<(&[i64], &[i64])> {
        match (&self.truth, &self.predicted) {
            (Targets::Classes(truth), Targets::Classes(predicted)) => Ok((truth, predicted)),
            _ => Err(Error::data(call, "one class a row, y_true and y_pred of shape (n)", "several labels a row")),
        }
    }
}

/// Weights fit if there is one a row, none is negative or no number, and not all are 0.
pub(super) fn check_weights<'w>(call: &str, weights: Option<&'w Vec<f64>>, rows: usize) -> Result<Option<&'w [f64]>> {
    let Some(weights) = weights else { return Ok(None) };
    if weights.len() != rows {
        return Err(Error::data(call, format!("{rows} values in sample_weight, one a row"), weights.len().to_string()));
    }
    if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        let received = format!("{} at row {row}", weights[row]);
        return Err(Error::data(call, "finite values of at least 0 in sample_weight", received));
    }
    if weights.iter().all(|&w| w == 0.0) {
        return Err(Error::data(call, "a sample_weight above 0", "zeros alone"));
    }
    Ok(Some(weights))
}

pub(super) fn weight(weights: Option<&[f64]>, row: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[row])
}

/// Numbers (n) or (n, columns), all finite: row-major, and how many columns.
pub(super) fn numbers<F: Scalar, D: Dimension>(
    call: &str,
    what: &str,
    values: &ArrayRef<F, D>,
) -> Result<(Vec<f64>, usize)> {
    let columns = match *values.shape() {
        [_] => 1,
        [_, columns] => columns,
        _ => return Err(Error::data(call, format!("{what} of shape (n) or (n, columns)"), show(values.shape()))),
    };
    if values.is_empty() {
        return Err(Error::data(call, format!("{what} with rows"), show(values.shape())));
    }
    let numbers: Vec<f64> = values.iter().map(|value| value.f64()).collect();
    if let Some(at) = numbers.iter().position(|value| !value.is_finite()) {
        let received = format!("{} at row {}", numbers[at], at / columns);
        return Err(Error::data(call, format!("finite numbers in {what}"), received));
    }
    Ok((numbers, columns))
}

/// As many rows of `what` as of y_true.
pub(super) fn check_rows(call: &str, what: &str, truth: usize, rows: usize) -> Result<()> {
    if truth == rows {
        return Ok(());
    }
    Err(Error::data(call, format!("as many rows in {what} as in y_true, {truth}"), rows.to_string()))
}

/// The classes that occur, ascending.
pub(super) fn distinct<'c>(classes: impl IntoIterator<Item = &'c i64>) -> Vec<i64> {
    classes.into_iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The classes that columns stand for: `labels`, which must be ascending and hold all of `truth`, or those that occur.
pub(super) fn columns_classes(
    call: &str,
    truth: &[i64],
    labels: Option<&Vec<i64>>,
    columns: usize,
) -> Result<Vec<i64>> {
    let classes = match labels {
        None => distinct(truth),
        Some(labels) => {
            if !labels.is_sorted_by(|a, b| a < b) {
                return Err(Error::option("labels", "ascending and distinct", format!("{labels:?}")).within(call));
            }
            if let Some(row) = truth.iter().position(|class| labels.binary_search(class).is_err()) {
                let received = format!("{} at row {row}", truth[row]);
                return Err(Error::data(call, format!("y_true among the labels {labels:?}"), received));
            }
            labels.clone()
        }
    };
    if classes.len() != columns {
        let received = format!("{columns} columns for the classes {classes:?}");
        return Err(Error::data(call, "a column of scores for each class", received)
            .advise("give all classes by `labels` where not all occur"));
    }
    Ok(classes)
}

/// Where each label stands among `labels`, in any order; none for those that are left out.
pub(super) struct Places {
    sorted: Vec<(i64, usize)>,
}

impl Places {
    pub fn new(call: &str, labels: &[i64]) -> Result<Self> {
        let mut sorted: Vec<_> = labels.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        if labels.is_empty() || !sorted.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Error::option("labels", "at least one label, none twice", format!("{labels:?}")).within(call));
        }
        Ok(Self { sorted })
    }

    pub fn of(&self, label: i64) -> Option<usize> {
        self.sorted.binary_search_by_key(&label, |&(label, _)| label).ok().map(|at| self.sorted[at].1)
    }
}
