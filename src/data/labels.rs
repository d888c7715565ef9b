//! Class labels and their one-hot form.

use ndarray::{Array, ArrayRef, Axis, Dimension, RemoveAxis};
use num_traits::{AsPrimitive, PrimInt};

use crate::{Error, Result, Scalar};

/// The integer types that labels come in: `u8` … `u64`, `usize`, `i8` … `i64`, `isize`.
///
/// Implemented for them through [`num_traits`]; there is nothing to implement.
pub trait Label: PrimInt + AsPrimitive<usize> + std::fmt::Display {}
impl<L: PrimInt + AsPrimitive<usize> + std::fmt::Display> Label for L {}

/// Labels 0 … classes − 1 as one-hot rows of `f32`: y[…, c] = 1 if labels[…] = c, else 0.
///
/// # Shapes
/// (…) → (…, classes), of any rank. Unlike Keras's, it keeps a last axis of length 1: (n, 1) → (n, 1, classes).
/// # Defaults
/// `classes` may be `None`: the largest label + 1.
/// # Errors
/// [`Data`](Error::Data) for a label below 0 or not below `classes`, with its value and row.
/// # Example
/// ```
/// use gradus::data::to_categorical;
/// use ndarray::array;
///
/// let labels = array![2u8, 0];
/// assert_eq!(to_categorical(&labels, 3)?, array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// assert_eq!(to_categorical(&labels, None)?.dim(), (2, 3));
///
/// let refused = to_categorical(&array![4i64, 10], 10).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "to_categorical: expected labels in 0..10, received 10 at row 1; map the labels or raise the number of classes"
/// );
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `keras.utils.to_categorical`.
pub fn to_categorical<L: Label, D: Dimension>(
    labels: &ArrayRef<L, D>,
    classes: impl Into<Option<usize>>,
) -> Result<Array<f32, D::Larger>> {
    one_hot(labels, classes.into())
}

/// [`to_categorical`] in `f64`, for models that check gradients.
///
/// # Errors
/// As [`to_categorical`].
/// # Example
/// ```
/// use gradus::data::to_categorical_f64;
/// use ndarray::array;
///
/// assert_eq!(to_categorical_f64(&array![1usize], 2)?, array![[0.0f64, 1.0]]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn to_categorical_f64<L: Label, D: Dimension>(
    labels: &ArrayRef<L, D>,
    classes: impl Into<Option<usize>>,
) -> Result<Array<f64, D::Larger>> {
    one_hot(labels, classes.into())
}

/// The way back: labels[…] = the class of the largest of y[…, 0], y[…, 1] …; of equal values the first.
///
/// Takes one-hot rows as well as the probabilities or logits that a model predicts.
///
/// # Shapes
/// (…, classes) → (…).
/// # Errors
/// [`Data`](Error::Data) if there are no classes, or a value is NaN.
/// # Example
/// ```
/// use gradus::data::from_categorical;
/// use ndarray::array;
///
/// assert_eq!(from_categorical(&array![[0.1f32, 0.7, 0.2], [0.5, 0.5, 0.0]])?, array![1, 0]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// `numpy.argmax(y, axis=-1)`, which gives a NaN's place instead of an error.
pub fn from_categorical<F: Scalar, D: RemoveAxis>(y: &ArrayRef<F, D>) -> Result<Array<usize, D::Smaller>> {
    let refuse = |expected, received| Err(Error::data("from_categorical", expected, received));
    let Some(last) = y.ndim().checked_sub(1).map(Axis) else {
        return refuse("an axis of classes", "a single number".to_string());
    };
    if y.len_of(last) == 0 {
        return refuse("an axis of classes", format!("{} with none", crate::error::show(y.shape())));
    }
    if let Some(at) = y.iter().position(|v| v.is_nan()) {
        return refuse("numbers", format!("NaN at row {}", at / y.len_of(last)));
    }
    Ok(y.map_axis(last, |row| {
        let mut best = 0;
        for (class, &value) in row.iter().enumerate() {
            if value > row[best] {
                best = class;
            }
        }
        best
    }))
}

fn one_hot<F: Scalar, L: Label, D: Dimension>(
    labels: &ArrayRef<L, D>,
    classes: Option<usize>,
) -> Result<Array<F, D::Larger>> {
    let classes = match classes {
        Some(classes) => classes,
        // A label that is no usize is refused below, whatever the number of classes.
        None => labels.iter().filter_map(num_traits::ToPrimitive::to_usize).max().map_or(0, |m| m.saturating_add(1)),
    };
    let refuse = |at: usize| {
        // The row is the place on the first axis; for labels of more axes, the whole place is told.
        let mut rest = at;
        let mut place: Vec<usize> = labels.shape().iter().rev().map(|&size| (rest % size, rest /= size).0).collect();
        place.reverse();
        let place = match place[..] {
            [] => String::new(),
            [row] => format!(" at row {row}"),
            _ => format!(" at {}", crate::error::show(&place)),
        };
        let label = labels.iter().nth(at).map(ToString::to_string).unwrap_or_default();
        Error::data("to_categorical", format!("labels in 0..{classes}"), format!("{label}{place}"))
            .advise("map the labels or raise the number of classes")
    };
    let mut shape = D::Larger::zeros(labels.ndim() + 1);
    shape.slice_mut()[..labels.ndim()].copy_from_slice(labels.shape());
    shape[labels.ndim()] = classes;
    // Labels before memory: an absurd number of classes comes from an absurd label.
    if let Some(at) =
        labels.iter().position(|&label| label < L::zero() || label.to_usize().is_none_or(|c| c >= classes))
    {
        return Err(refuse(at));
    }
    crate::memory::room::<F>("classes", classes, &[labels.len(), classes])
        .map_err(|error| error.within("to_categorical"))?;
    let mut y = Array::zeros(shape);
    if let Some(y) = y.as_slice_mut()
        && classes > 0
    {
        for (row, &label) in y.chunks_exact_mut(classes).zip(labels) {
            row[label.as_()] = F::one();
        }
    }
    Ok(y)
}
