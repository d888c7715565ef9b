//! Shapes of samples whose axes may be open: known only when a batch is there.

use std::fmt;

/// The shape of one sample, without the batch axis. An *open* axis, [`None`], has a size only once a batch is there: the
/// length of a sequence, the height and width of an image.
///
/// Prints like Keras's shapes; compares with arrays of sizes.
///
/// ```
/// use gradus::Shape;
/// use gradus::prelude::*;
///
/// let shape = Shape::new([None, Some(3)]);
/// assert_eq!(shape.to_string(), "(None, 3)");
/// assert!(shape.is_open() && shape.fixed().is_none());
/// assert!(shape.fits(&[7, 3]) && !shape.fits(&[7, 4]));
///
/// let model = Sequential::new().input((None, 3)).add(Conv1D::new(5, 3)).build()?;
/// assert_eq!(model.output_axes(0).axes(), [None, Some(5)]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Shape {
    axes: Vec<Option<usize>>,
    fixed: Option<Vec<usize>>,
}

impl Shape {
    /// Of these axes; [`None`] is an open one.
    pub fn new(axes: impl IntoIterator<Item = Option<usize>>) -> Self {
        let axes: Vec<Option<usize>> = axes.into_iter().collect();
        Self { fixed: axes.iter().copied().collect(), axes }
    }

    /// The axes, [`None`] for an open one.
    pub fn axes(&self) -> &[Option<usize>] {
        &self.axes
    }

    /// The sizes of the axes, if none is open.
    pub fn fixed(&self) -> Option<&[usize]> {
        self.fixed.as_deref()
    }

    /// Whether an axis is open.
    pub fn is_open(&self) -> bool {
        self.fixed.is_none()
    }

    /// Whether a sample of the shape `shape` is one of this. An open axis takes any size but 0.
    pub fn fits(&self, shape: &[usize]) -> bool {
        if let Some(fixed) = &self.fixed {
            return fixed == shape;
        }
        let fits = |(axis, &size): (&Option<usize>, &usize)| axis.map_or(size > 0, |axis| axis == size);
        self.axes.len() == shape.len() && self.axes.iter().zip(shape).all(fits)
    }

    /// The same with `size` for every open axis.
    pub(crate) fn at(&self, size: usize) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.unwrap_or(size)).collect()
    }

    /// Open where two shapes differ.
    pub(crate) fn of_two(a: &[usize], b: &[usize]) -> Self {
        Self::new(a.iter().zip(b).map(|(a, b)| (a == b).then_some(*a)))
    }

    /// With a batch axis before it, in Keras's way: `(None, None, 3)`.
    pub(crate) fn with_batch(&self) -> String {
        Self::new([None].into_iter().chain(self.axes.iter().copied())).to_string()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes: Vec<String> =
            self.axes.iter().map(|axis| axis.map_or_else(|| "None".into(), |size| size.to_string())).collect();
        write!(f, "({})", axes.join(", "))
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.fixed.as_deref() == Some(other)
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.fixed.as_deref() == Some(other)
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Self {
        Self { axes: sizes.iter().copied().map(Some).collect(), fixed: Some(sizes) }
    }
}

/// What an input's shape is given as: an array, a vector or a slice of sizes; a tuple where an axis is open; or a [`Shape`].
///
/// ```
/// use gradus::prelude::*;
///
/// let image = Input::new([28, 28, 1]);
/// let sequence = Input::new((None, 1)); // any length
/// let image_of_any_size = Input::new((None, None, 3));
/// let words = Input::new((None,));
/// # let _ = (image, sequence, image_of_any_size, words);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no shape of an input",
    note = "give the sizes as an array, `[28, 28]`, or a tuple with `None` for each axis of any size, `(None, 3)`"
)]
pub trait IntoShape {
    /// As a shape.
    fn into_shape(self) -> Shape;
}

/// An axis in a tuple of [`IntoShape`]: a size, or [`None`] where it is open.
pub trait IntoAxis {
    /// The size, if it is fixed.
    fn into_axis(self) -> Option<usize>;
}

impl IntoAxis for usize {
    fn into_axis(self) -> Option<usize> {
        Some(self)
    }
}

impl IntoAxis for Option<usize> {
    fn into_axis(self) -> Option<usize> {
        self
    }
}

impl IntoShape for Shape {
    fn into_shape(self) -> Shape {
        self
    }
}

impl IntoShape for &Shape {
    fn into_shape(self) -> Shape {
        self.clone()
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Shape {
        self.into()
    }
}

impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Shape {
        self.clone().into()
    }
}

impl IntoShape for &[usize] {
    fn into_shape(self) -> Shape {
        self.to_vec().into()
    }
}

impl<const N: usize> IntoShape for [usize; N] {
    fn into_shape(self) -> Shape {
        self.to_vec().into()
    }
}

impl<const N: usize> IntoShape for &[usize; N] {
    fn into_shape(self) -> Shape {
        self.to_vec().into()
    }
}

macro_rules! tuples_of_axes {
    ($(($($axis:ident),+))*) => {$(
        impl<$($axis: IntoAxis),+> IntoShape for ($($axis,)+) {
            #[allow(non_snake_case)]
            fn into_shape(self) -> Shape {
                let ($($axis,)+) = self;
                Shape::new([$($axis.into_axis()),+])
            }
        }
    )*};
}

tuples_of_axes!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, G));
