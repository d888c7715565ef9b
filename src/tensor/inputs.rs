//! What users hand in: arrays of any rank and layout, one or several.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use ndarray::{ArrayBase, Data, Dimension};

use super::Tensor;
use crate::kernels::gather::{gather_bytes, gather_rows};
use crate::scalar::{ArrayValues, Element};
use crate::{Error, Result, Scalar};

/// A tensor that a user handed in: row-major values, borrowed where they lie so already.
#[derive(Clone, Debug)]
pub struct ArrayInput<'a, F: Scalar> {
    pub(crate) shape: &'a [usize],
    pub(crate) values: ArrayValues<'a, F>,
}

impl<F: Scalar> ArrayInput<'_, F> {
    /// The size of the first axis.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Values a row.
    pub fn row_len(&self) -> usize {
        self.shape.get(1..).unwrap_or(&[]).iter().product()
    }

    /// Writes the rows `rows` to `out`, one after another.
    pub(crate) fn gather(&self, rows: impl Iterator<Item = usize>, out: &mut [F]) {
        let len = self.row_len();
        if len == 0 {
            return;
        }
        match &self.values {
            ArrayValues::Scalars(values) => gather_rows(values, len, rows, out),
            ArrayValues::Bytes(values) => gather_bytes(values, len, rows, F::one(), out),
        }
    }

    /// All values as scalars.
    pub(crate) fn scalars(&self) -> Cow<'_, [F]> {
        match &self.values {
            ArrayValues::Scalars(values) => Cow::Borrowed(values),
            ArrayValues::Bytes(bytes) => bytes.iter().map(|&byte| F::of(f64::from(byte))).collect(),
        }
    }

    /// A tensor of its own.
    pub(crate) fn into_owned(self) -> Tensor<F> {
        let mut tensor = Tensor::default();
        tensor.reshape(self.shape);
        tensor.data_mut().copy_from_slice(&self.scalars());
        tensor
    }

    /// A tensor of its own whose rows have the shape `row`, which may differ from the given one in axes of size 1.
    pub(crate) fn fit_rows(self, call: &str, what: &str, row: &[usize]) -> Result<Tensor<F>> {
        check_rows_loosely(call, what, row, self.shape)?;
        let mut shape = vec![self.rows()];
        shape.extend_from_slice(row);
        let mut tensor = self.into_owned();
        tensor.reshape(&shape);
        Ok(tensor)
    }

    /// The first value that is no finite number, as row and value.
    pub(crate) fn not_finite(&self) -> Option<(usize, f64)> {
        let ArrayValues::Scalars(values) = &self.values else { return None };
        if crate::kernels::reduce::all_finite(values) {
            return None;
        }
        let at = values.iter().position(|value| !value.is_finite())?;
        Some((at / self.row_len().max(1), values[at].f64()))
    }
}

/// An array that can be handed to a model: of its scalar, or of whole numbers; of any rank and layout.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no array that a model of `{F}` takes",
    note = "give a reference to an ndarray array: `&x`; rows of a `Vec` become one with `Array2::from_shape_vec((rows, columns), values)`"
)]
pub trait IntoTensor<'a, F: Scalar> {
    /// As the model takes it.
    fn into_tensor(self) -> ArrayInput<'a, F>;
}

impl<'a, F, T, S, D> IntoTensor<'a, F> for &'a ArrayBase<S, D>
where
    F: Scalar,
    T: Element<F> + Clone,
    S: Data<Elem = T>,
    D: Dimension,
{
    fn into_tensor(self) -> ArrayInput<'a, F> {
        let values = match self.as_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(self.iter().copied().collect()),
        };
        ArrayInput { shape: self.shape(), values: T::column(values) }
    }
}

impl<'a, F: Scalar> IntoTensor<'a, F> for crate::View<'a, F> {
    fn into_tensor(self) -> ArrayInput<'a, F> {
        ArrayInput { shape: self.axes(), values: ArrayValues::Scalars(Cow::Borrowed(self.data())) }
    }
}

/// All that a call was given. Of few tensors it needs no memory of its own, so that a training step allocates nothing.
#[derive(Clone, Debug)]
pub enum ArrayInputs<'a, F: Scalar> {
    /// One array.
    One([ArrayInput<'a, F>; 1]),
    /// A tuple of two.
    Two([ArrayInput<'a, F>; 2]),
    /// A tuple of three.
    Three([ArrayInput<'a, F>; 3]),
    /// A tuple of four.
    Four([ArrayInput<'a, F>; 4]),
    /// A slice.
    Many(Vec<ArrayInput<'a, F>>),
}

impl<'a, F: Scalar> Deref for ArrayInputs<'a, F> {
    type Target = [ArrayInput<'a, F>];
    fn deref(&self) -> &Self::Target {
        match self {
            Self::One(given) => given,
            Self::Two(given) => given,
            Self::Three(given) => given,
            Self::Four(given) => given,
            Self::Many(given) => given,
        }
    }
}

impl<F: Scalar> DerefMut for ArrayInputs<'_, F> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::One(given) => given,
            Self::Two(given) => given,
            Self::Three(given) => given,
            Self::Four(given) => given,
            Self::Many(given) => given,
        }
    }
}

impl<'a, F: Scalar> ArrayInputs<'a, F> {
    pub(crate) fn into_vec(self) -> Vec<ArrayInput<'a, F>> {
        match self {
            Self::One(given) => given.into(),
            Self::Two(given) => given.into(),
            Self::Three(given) => given.into(),
            Self::Four(given) => given.into(),
            Self::Many(given) => given,
        }
    }
}

/// One array, or several for a model of several inputs or outputs: a tuple of references, or a slice of arrays.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a model of `{F}` takes",
    note = "give a reference to an ndarray array (`&x`), or a tuple of references for several inputs or outputs; rows of a `Vec` become an array with `Array2::from_shape_vec((rows, columns), values)`"
)]
pub trait IntoInputs<'a, F: Scalar> {
    /// As the model takes them, in order.
    fn into_inputs(self) -> ArrayInputs<'a, F>;
}

impl<'a, F, T, S, D> IntoInputs<'a, F> for &'a ArrayBase<S, D>
where
    F: Scalar,
    T: Element<F> + Clone,
    S: Data<Elem = T>,
    D: Dimension,
{
    fn into_inputs(self) -> ArrayInputs<'a, F> {
        ArrayInputs::One([self.into_tensor()])
    }
}

impl<'a, F: Scalar> IntoInputs<'a, F> for ArrayInputs<'a, F> {
    fn into_inputs(self) -> Self {
        self
    }
}

impl<'a, F: Scalar> IntoInputs<'a, F> for crate::View<'a, F> {
    fn into_inputs(self) -> ArrayInputs<'a, F> {
        ArrayInputs::One([self.into_tensor()])
    }
}

macro_rules! tuples {
    ($count:ident: $($name:ident)+) => {
        impl<'a, F: Scalar, $($name: IntoTensor<'a, F>),+> IntoInputs<'a, F> for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_inputs(self) -> ArrayInputs<'a, F> {
                let ($($name,)+) = self;
                ArrayInputs::$count([$($name.into_tensor()),+])
            }
        }
    };
}

tuples!(Two: A B);
tuples!(Three: A B C);
tuples!(Four: A B C D);

impl<'a, F: Scalar, T> IntoInputs<'a, F> for &'a [T]
where
    &'a T: IntoTensor<'a, F>,
{
    fn into_inputs(self) -> ArrayInputs<'a, F> {
        ArrayInputs::Many(self.iter().map(IntoTensor::into_tensor).collect())
    }
}

/// [`check_rows`], where axes of size 1 do not matter: labels (batch) are as good as (batch, 1).
pub(crate) fn check_rows_loosely(call: &str, what: &str, row: &[usize], shape: &[usize]) -> Result<()> {
    let without_ones = |shape: &[usize]| shape.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
    match shape.split_first() {
        Some((_, given)) if without_ones(given) == without_ones(row) => Ok(()),
        _ => check_rows(call, what, row, shape),
    }
}

/// Refuses an array whose rows do not have the shape `row`.
pub(crate) fn check_rows(call: &str, what: &str, row: &[usize], shape: &[usize]) -> Result<()> {
    if shape.get(1..) == Some(row) {
        return Ok(());
    }
    let axes: Vec<String> = std::iter::once("batch".into()).chain(row.iter().map(ToString::to_string)).collect();
    let error = Error::data(call, format!("{what} of shape ({})", axes.join(", ")), crate::error::show(shape));
    // The commonest slip: one sample without its batch axis.
    Err(if shape == row { error.advise("add a batch axis with `insert_axis(Axis(0))`") } else { error })
}
