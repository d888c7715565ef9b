//! Contiguous tensors and light views of them: what passes between the executor, layers and kernels.
//!
//! `ndarray`'s dynamic views allocate beyond four axes, and a kernel wants a slice. A [`View`] is a slice and a shape;
//! it becomes an `ndarray` view at no cost where one is wanted.

pub mod inputs;
mod shape;

use std::ops::{Deref, DerefMut};

use ndarray::{Array, ArrayD, ArrayViewD, ArrayViewMutD, Dimension, IxDyn};

use crate::kernels::aligned::Aligned;
use crate::{Error, Result, Scalar, memory};

pub use shape::{IntoAxis, IntoShape, Shape};

/// A contiguous, row-major tensor that someone else owns. The first axis is the batch.
///
/// It dereferences to its values, a slice.
///
/// ```
/// use gradus::View;
/// let x = View::new(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// assert_eq!((x.rows(), x.row_len(), x.last_axis()), (2, 3, 3));
/// assert_eq!(x.array()[[1, 0]], 4.0);
/// assert_eq!(x.iter().sum::<f32>(), 21.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a, F> {
    shape: &'a [usize],
    data: &'a [F],
}

/// A [`View`] that can be written.
#[derive(Debug)]
pub struct ViewMut<'a, F> {
    shape: &'a [usize],
    data: &'a mut [F],
}

/// How many values a tensor of this shape has.
pub(crate) fn volume(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// [`volume`], refused where the machine has not the memory for so many `f32`.
pub(crate) fn checked_volume(shape: &[usize]) -> Result<usize> {
    let bytes = memory::bytes_of::<f32>(shape);
    memory::product(shape).filter(|_| memory::is_there(bytes)).ok_or_else(|| {
        let expected = format!("a tensor that fits into memory (this one takes {})", memory::shown(bytes));
        Error::shape(expected, shape)
    })
}

macro_rules! readable {
    ($view:ident) => {
        impl<F: Scalar> $view<'_, F> {
            /// All axes, the batch first.
            pub fn shape(&self) -> &[usize] {
                self.shape
            }

            /// The size of the batch axis.
            pub fn rows(&self) -> usize {
                self.shape.first().copied().unwrap_or(1)
            }

            /// How many values one row has.
            pub fn row_len(&self) -> usize {
                volume(self.shape.get(1..).unwrap_or(&[]))
            }

            /// The size of the last axis (1 for a tensor without axes).
            pub fn last_axis(&self) -> usize {
                self.shape.last().copied().unwrap_or(1)
            }
        }

        impl<F> Deref for $view<'_, F> {
            type Target = [F];
            fn deref(&self) -> &[F] {
                self.data
            }
        }
    };
}

readable!(View);
readable!(ViewMut);

impl<F> DerefMut for ViewMut<'_, F> {
    fn deref_mut(&mut self) -> &mut [F] {
        self.data
    }
}

impl<'a, F: Scalar> View<'a, F> {
    /// A view of `data` as a tensor of `shape`.
    ///
    /// # Panics
    /// If `data` does not have as many values as the shape says.
    pub fn new(shape: &'a [usize], data: &'a [F]) -> Self {
        assert_eq!(volume(shape), data.len(), "a view of shape {shape:?} over {} values", data.len());
        Self { shape, data }
    }

    /// [`shape`](Self::shape), for as long as its owner lives.
    pub(crate) fn axes(&self) -> &'a [usize] {
        self.shape
    }

    /// The values, row-major, for as long as their owner lives.
    pub fn data(&self) -> &'a [F] {
        self.data
    }

    /// The same as an `ndarray` view.
    ///
    /// # Panics
    /// Never: the shape and the values agree.
    pub fn array(&self) -> ArrayViewD<'a, F> {
        ArrayViewD::from_shape(IxDyn(self.shape), self.data).expect("shape and values agree")
    }
}

impl<'a, F: Scalar> ViewMut<'a, F> {
    /// A view of `data` as a tensor of `shape`, to be written.
    ///
    /// # Panics
    /// If `data` does not have as many values as the shape says.
    pub fn new(shape: &'a [usize], data: &'a mut [F]) -> Self {
        assert_eq!(volume(shape), data.len(), "a view of shape {shape:?} over {} values", data.len());
        Self { shape, data }
    }

    /// The same as an `ndarray` view.
    ///
    /// # Panics
    /// Never: the shape and the values agree.
    pub fn array_mut(&mut self) -> ArrayViewMutD<'_, F> {
        ArrayViewMutD::from_shape(IxDyn(self.shape), self.data).expect("shape and values agree")
    }

    /// This view, for reading only.
    pub fn read(&self) -> View<'_, F> {
        View { shape: self.shape, data: self.data }
    }

    /// Shape and values, for a kernel that reads one while it writes the other.
    pub fn into_parts(self) -> (&'a [usize], &'a mut [F]) {
        (self.shape, self.data)
    }

    /// This view, lent for a shorter time.
    pub fn lend(&mut self) -> ViewMut<'_, F> {
        ViewMut { shape: self.shape, data: self.data }
    }
}

/// A contiguous, row-major tensor that keeps its memory when its batch axis shrinks and grows again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor<F> {
    shape: Vec<usize>,
    data: Aligned<F>,
}

impl<F: Scalar> Tensor<F> {
    /// A tensor of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: Aligned::zeros(volume(shape)) }
    }

    /// A tensor without rows, each of which will have the shape `row`.
    pub fn without_rows(row: &[usize]) -> Self {
        let mut shape = Vec::with_capacity(row.len() + 1);
        shape.push(0);
        shape.extend_from_slice(row);
        Self { shape, data: Aligned::new() }
    }

    /// A copy of an array of any layout, in row-major order.
    pub fn from_array<D: Dimension>(array: &Array<F, D>) -> Self {
        let mut data = Aligned::zeros(array.len());
        data.iter_mut().zip(array).for_each(|(to, from)| *to = *from);
        Self { shape: array.shape().to_vec(), data }
    }

    /// All axes, the batch first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The size of the batch axis.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Sets the size of the batch axis. Memory is only ever added; new values are zeros, old ones stale.
    pub fn set_rows(&mut self, rows: usize) {
        self.set_rows_without_memory(rows);
        self.data.resize(volume(&self.shape));
    }

    /// Sets the size of the batch axis of a tensor whose values lie in another's memory.
    pub(crate) fn set_rows_without_memory(&mut self, rows: usize) {
        if let Some(first) = self.shape.first_mut() {
            *first = rows;
        }
    }

    /// Takes the shape `shape`; values are zeros where new and stale where not.
    pub fn reshape(&mut self, shape: &[usize]) {
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        self.data.resize(volume(shape));
    }

    /// Takes the shape `shape` of a tensor whose values lie elsewhere.
    pub(crate) fn reshape_without_memory(&mut self, shape: &[usize]) {
        self.shape.clear();
        self.shape.extend_from_slice(shape);
    }

    /// Takes the shape `row` for its rows, of which it has none until they are set.
    pub(crate) fn set_row_shape(&mut self, row: &[usize]) {
        self.shape.clear();
        self.shape.push(0);
        self.shape.extend_from_slice(row);
    }

    /// Takes `rows` rows of the shape `row`; values are zeros where new and stale where not.
    pub(crate) fn reshape_rows(&mut self, rows: usize, row: &[usize]) {
        self.set_row_shape(row);
        self.set_rows(rows);
    }

    /// A view of all of it.
    pub fn view(&self) -> View<'_, F> {
        View { shape: &self.shape, data: &self.data }
    }

    /// A view of all of it, to be written.
    pub fn view_mut(&mut self) -> ViewMut<'_, F> {
        ViewMut { shape: &self.shape, data: &mut self.data }
    }

    /// The values, row-major.
    pub fn data(&self) -> &[F] {
        &self.data
    }

    /// The values, row-major, to be written.
    pub fn data_mut(&mut self) -> &mut [F] {
        &mut self.data
    }

    /// As an `ndarray` array of its own.
    ///
    /// # Panics
    /// Never: the shape and the values agree.
    pub fn into_array(self) -> ArrayD<F> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data.into_vec()).expect("shape and values agree")
    }
}

/// An array of its own.
pub(crate) fn to_array<F: Scalar>(shape: &[usize], values: &[F]) -> ArrayD<F> {
    ArrayD::from_shape_vec(shape.to_vec(), values.to_vec()).expect("shape and values agree")
}
