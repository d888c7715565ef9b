//! What an optimizer is given: weights, their gradient, and its own state.

use std::ops::Range;

/// A parameter of a model, as an optimizer sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Parameter<'a> {
    /// Its path, such as `dense_1/kernel`.
    pub path: &'a str,
    /// Its shape.
    pub shape: &'a [usize],
}

impl<'a> Parameter<'a> {
    /// The parameter of this path and shape.
    pub fn new(path: &'a str, shape: &'a [usize]) -> Self {
        Self { path, shape }
    }

    /// How many weights it has.
    pub fn volume(&self) -> usize {
        crate::tensor::volume(self.shape)
    }
}

/// An array that an optimizer keeps for a parameter.
///
/// ```
/// use gradus::custom::*;
/// let spec = StateSpec::new("rows", &[4]).start(0.1);
/// assert_eq!((spec.name.as_str(), spec.start), ("rows", 0.1));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateSpec {
    /// Its name, such as `momentum`: a checkpoint has it as `optimizer/momentum/dense/kernel`.
    pub name: String,
    /// Its shape; `[]` is a single number.
    pub shape: Vec<usize>,
    /// What all its values are before the first update.
    pub start: f64,
}

impl StateSpec {
    /// An array of zeros of this shape.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), start: 0.0 }
    }

    /// The value that all start at. Default: 0.
    #[must_use]
    pub fn start(mut self, start: f64) -> Self {
        self.start = start;
        self
    }
}

/// Arrays of a parameter's shape, which start at 0: what most optimizers keep.
pub(super) fn zeros_like(names: &[&str], parameter: &Parameter<'_>) -> Vec<StateSpec> {
    names.iter().map(|name| StateSpec::new(*name, parameter.shape)).collect()
}

/// One update: a piece of the weights, or a whole parameter where the optimizer
/// [couples weights](super::Optimizer::couples_weights).
#[derive(Debug)]
#[non_exhaustive]
pub struct Update<'a, F> {
    /// The path of the parameter, such as `dense_1/kernel`; of a piece, which may be of several parameters, empty.
    pub path: &'a str,
    /// The shape of the parameter; of a piece its length, `[n]`.
    pub shape: &'a [usize],
    /// What the update changes, in row-major order.
    pub weights: &'a mut [F],
    /// ∂L/∂w of each weight: clipped, averaged, with what else all optimizers share.
    pub gradient: &'a [F],
    /// The optimizer's own arrays for these weights, in the order of [`Optimizer::state`](super::Optimizer::state).
    pub state: State<'a, F>,
    /// As many values as [`Optimizer::scratch`](super::Optimizer::scratch) asks for, with anything in them; of a piece none.
    pub scratch: &'a mut [F],
    /// The learning rate of this update and of these weights.
    pub rate: f64,
    /// Which update it is, counted from 1: the t of bias corrections.
    pub step: u64,
}

/// Arrays that pieces of runs can have; optimizers with more are given whole parameters.
pub(super) const MOST_ARRAYS: usize = 4;

/// The arrays that an optimizer keeps, those of one [`Update`].
#[derive(Debug)]
pub struct State<'a, F>(Arrays<'a, F>);

#[derive(Debug)]
enum Arrays<'a, F> {
    /// The first `count` belong to a piece.
    Apart { arrays: [&'a mut [F]; MOST_ARRAYS], count: usize },
    /// All of a parameter, one behind the other.
    Together { values: &'a mut [F], arrays: &'a [StateArray] },
}

/// An array of a parameter's state, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct StateArray {
    pub name: String,
    pub shape: Vec<usize>,
    pub range: Range<usize>,
}

impl<'a, F> State<'a, F> {
    pub(super) fn apart(arrays: [&'a mut [F]; MOST_ARRAYS], count: usize) -> Self {
        Self(Arrays::Apart { arrays, count })
    }

    pub(super) fn together(values: &'a mut [F], arrays: &'a [StateArray]) -> Self {
        Self(Arrays::Together { values, arrays })
    }

    /// How many arrays there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Arrays::Apart { count, .. } => *count,
            Arrays::Together { arrays, .. } => arrays.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Array number `number`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn at_mut(&mut self, number: usize) -> &mut [F] {
        match &mut self.0 {
            Arrays::Apart { arrays, count } => &mut *arrays[..*count][number],
            Arrays::Together { values, arrays } => {
                let start = arrays[0].range.start;
                let range = &arrays[number].range;
                &mut values[range.start - start..range.end - start]
            }
        }
    }

    /// All arrays side by side: `let [mean, square] = update.state.arrays();`
    ///
    /// # Panics
    /// If there are not `N`.
    pub fn arrays<const N: usize>(&mut self) -> [&mut [F]; N] {
        assert_eq!(self.len(), N, "as many arrays as `state` names");
        match &mut self.0 {
            Arrays::Apart { arrays, .. } => {
                let mut arrays = arrays.iter_mut();
                std::array::from_fn(|_| &mut **arrays.next().expect("checked above"))
            }
            Arrays::Together { values, arrays } => {
                let (mut rest, mut arrays) = (&mut **values, arrays.iter());
                std::array::from_fn(|_| {
                    let len = arrays.next().expect("checked above").range.len();
                    rest.split_off_mut(..len).expect("all arrays lie one behind the other")
                })
            }
        }
    }
}
