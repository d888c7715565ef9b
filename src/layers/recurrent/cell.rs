//! What a recurrent layer does at each timestep: the cell.

use std::ops::Range;

use super::units::UnitSequences;
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

/// The shapes of a cell's states and of its output, without the batch axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellShapes {
    states: Vec<Vec<usize>>,
    output: CellOutput,
}

/// What a cell's output is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CellOutput {
    /// One of the new states.
    State(usize),
    /// A tensor of this shape, which no state holds.
    Own(Vec<usize>),
}

impl CellShapes {
    /// Of a cell with states of these shapes, the first of which is its output too.
    ///
    /// ```
    /// use gradus::layers::CellShapes;
    ///
    /// let lstm = CellShapes::new([[8], [8]]);
    /// assert_eq!(lstm.output_shape(), [8]);
    /// let counts = CellShapes::new([vec![4, 4, 2], vec![]]).output([3]);
    /// assert_eq!((counts.states().len(), counts.output_shape()), (2, &[3][..]));
    /// ```
    pub fn new<S: Into<Vec<usize>>>(states: impl IntoIterator<Item = S>) -> Self {
        Self { states: states.into_iter().map(Into::into).collect(), output: CellOutput::State(0) }
    }

    /// State number `number` is the output.
    #[must_use]
    pub fn output_state(mut self, number: usize) -> Self {
        self.output = CellOutput::State(number);
        self
    }

    /// The output is a tensor of this shape besides the states.
    #[must_use]
    pub fn output(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.output = CellOutput::Own(shape.into());
        self
    }

    /// The shapes of the states.
    pub fn states(&self) -> &[Vec<usize>] {
        &self.states
    }

    /// The shape of the output.
    ///
    /// # Panics
    /// If the output is a state that there is not.
    pub fn output_shape(&self) -> &[usize] {
        match &self.output {
            CellOutput::State(number) => &self.states[*number],
            CellOutput::Own(shape) => shape,
        }
    }

    /// Which state is the output, if one is.
    pub fn is_state(&self) -> Option<usize> {
        match self.output {
            CellOutput::State(number) => Some(number),
            CellOutput::Own(_) => None,
        }
    }

    /// The same behind the states of other cells.
    pub(super) fn behind(&self, before: &[Vec<usize>]) -> Self {
        let output = match &self.output {
            CellOutput::State(number) => CellOutput::State(before.len() + number),
            own @ CellOutput::Own(_) => own.clone(),
        };
        Self { states: [before, &self.states].concat(), output }
    }

    /// Refuses shapes that no cell can have.
    pub(super) fn check(&self) -> Result<()> {
        if self.states.is_empty() {
            return Err(Error::option("cell", "one with at least one state", "none"));
        }
        if let CellOutput::State(number) = self.output
            && number >= self.states.len()
        {
            let expected = format!("one whose output is one of its {} states", self.states.len());
            return Err(Error::option("cell", expected, format!("state number {number}")));
        }
        for (number, shape) in self.states.iter().enumerate() {
            crate::tensor::checked_volume(shape)?;
            if shape.contains(&0) {
                return Err(Error::shape(format!("a state {number} of the cell without empty axes"), shape));
            }
        }
        if self.output_shape().contains(&0) {
            return Err(Error::shape("an output of the cell without empty axes", self.output_shape()));
        }
        Ok(())
    }
}

/// The states of a cell before or after a timestep, by number; the first axis of each is the batch.
#[derive(Clone, Copy, Debug)]
pub struct States<'a, F>(pub(super) &'a [Tensor<F>]);

/// [`States`] that can be written.
#[derive(Debug)]
pub struct StatesMut<'a, F>(pub(super) &'a mut [Tensor<F>]);

impl<'a, F: Scalar> States<'a, F> {
    /// State number `number`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, number: usize) -> View<'a, F> {
        self.0[number].view()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Some of them: those of one of several cells.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn part(&self, numbers: Range<usize>) -> Self {
        Self(&self.0[numbers])
    }
}

impl<F: Scalar> StatesMut<'_, F> {
    /// State number `number`, to be written.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get_mut(&mut self, number: usize) -> ViewMut<'_, F> {
        self.0[number].view_mut()
    }

    /// Several states at once.
    ///
    /// # Panics
    /// If there are fewer, or a number comes twice.
    pub fn several<const N: usize>(&mut self, numbers: [usize; N]) -> [ViewMut<'_, F>; N] {
        self.0.get_disjoint_mut(numbers).expect("different states").map(Tensor::view_mut)
    }

    /// Those before number `number`, for reading, and the rest.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn split(&mut self, number: usize) -> (States<'_, F>, StatesMut<'_, F>) {
        let (before, rest) = self.0.split_at_mut(number);
        (States(before), StatesMut(rest))
    }

    /// All of them, for reading.
    pub fn read(&self) -> States<'_, F> {
        States(self.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Some of them: those of one of several cells.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn part(&mut self, numbers: Range<usize>) -> StatesMut<'_, F> {
        StatesMut(&mut self.0[numbers])
    }
}

/// A cell's memory in one step.
#[derive(Debug)]
pub struct CellMemory<'a, C, S> {
    /// What this step's backward pass needs of its forward pass.
    pub step: &'a mut C,
    /// What all steps of the sequences share.
    pub sequence: &'a mut S,
}

/// What a step began with and what it came to, as its backward pass finds them.
#[derive(Clone, Copy, Debug)]
pub struct CellStep<'a, F> {
    /// The step's input.
    pub x: View<'a, F>,
    /// The states before.
    pub before: States<'a, F>,
    /// The states after; in rows whose step is masked they are those before, and all gradients are zeros.
    pub after: States<'a, F>,
}

/// The gradients that a step's backward pass is given, and those that it writes.
#[derive(Debug)]
pub struct CellGradients<'a, F> {
    /// ∂L/∂y, of a cell whose output is not one of its states.
    pub y: Option<View<'a, F>>,
    /// ∂L/∂(states after). Nobody reads them afterwards, so a cell may compute in their place.
    pub after: StatesMut<'a, F>,
    /// ∂L/∂x, to be written if anybody needs it.
    pub x: Option<ViewMut<'a, F>>,
    /// ∂L/∂(states before), to be written.
    pub before: StatesMut<'a, F>,
}

/// What a recurrent layer does at each timestep: from the step's input and the states before to the states after, and
/// an output.
///
/// `RNN::of(cell)` runs a cell over sequences: forward and back, with masks, in either direction, from initial states or
/// those of the batch before. A cell is configuration only, as a [`Layer`](crate::Layer) is: parameters lie in the model,
/// and what the backward pass needs in memory of the cell's own types. States have any rank and number, and so has a
/// step's input.
///
/// See `docs/your-own-layer.md`, "Your own recurrent cell".
///
/// ```
/// use gradus::layers::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
/// use gradus::custom::*;
///
/// /// An exponential average: h = a·h₋ + (1 − a)·x, with one learned a.
/// #[derive(Clone, Debug)]
/// struct Average;
///
/// impl<F: Scalar> RecurrentCell<F> for Average {
///     type Cache = ();
///     type Sequence = ();
///     fn shapes(&self, input: &[usize]) -> gradus::Result<CellShapes> {
///         Ok(CellShapes::new([input]))
///     }
///     fn build(&self, _: &[usize], params: &mut ParamBuilder<'_, F>) -> gradus::Result<()> {
///         params.add("a", &[1], Initializer::Constant(0.9)).map(|_| ())
///     }
///     fn forward(
///         &self, x: View<'_, F>, before: States<'_, F>, mut after: StatesMut<'_, F>, _: Option<ViewMut<'_, F>>,
///         _: CellMemory<'_, (), ()>, cx: &Context<'_, F>,
///     ) {
///         let a = cx.params.get("a")[0];
///         let values = x.iter().zip(before.get(0).data());
///         after.get_mut(0).iter_mut().zip(values).for_each(|(h, (&x, &before))| *h = a * before + (F::one() - a) * x);
///     }
///     fn backward(
///         &self, step: CellStep<'_, F>, mut grad: CellGradients<'_, F>, grads: &mut Grads<'_, F>,
///         _: CellMemory<'_, (), ()>, cx: &Context<'_, F>,
///     ) {
///         let a = cx.params.get("a")[0];
///         let before = step.before.get(0);
///         for (i, &g) in grad.after.read().get(0).iter().enumerate() {
///             grads.get_mut("a")[0] += g * (before[i] - step.x[i]);
///             grad.before.get_mut(0)[i] = a * g;
///             if let Some(grad_x) = &mut grad.x {
///                 grad_x[i] = (F::one() - a) * g;
///             }
///         }
///     }
/// }
///
/// check_multi_layer(RNN::of(Average).return_sequences(true), &[&[4, 2]])?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[allow(unused_variables)]
#[doc(alias = "custom cell")]
#[doc(alias = "recurrent cell")]
pub trait RecurrentCell<F: Scalar>: Send + Sync {
    /// What the backward pass of a step needs of its forward pass, beyond input, states and parameters.
    type Cache: Default + Send + Sync + 'static;

    /// What all steps of the sequences share: dropout that is drawn once, working memory.
    type Sequence: Default + Send + Sync + 'static;

    /// The shapes of states and output, for steps of the shape `input` (without the batch axis).
    ///
    /// # Errors
    /// If an option is outside its range, or the cell cannot take such an input.
    fn shapes(&self, input: &[usize]) -> Result<CellShapes>;

    /// Makes the parameters for steps of the shape `input`, which [`shapes`](Self::shapes) has accepted.
    ///
    /// # Errors
    /// As [`ParamBuilder::add`].
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()>;

    /// Begins a pass over sequences: `rows` of them, with steps of the shape `input`. Here a cell draws what stays the same
    /// at every step: see [`SequenceDropout`](super::SequenceDropout).
    fn begin(&self, rows: usize, input: &[usize], sequence: &mut Self::Sequence, cx: &Context<'_, F>) {}

    /// One step: from its input `x` and the states `before` to the states `after`, which hold stale values, as does `y`.
    /// `y` is none where the output is one of the states.
    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        after: StatesMut<'_, F>,
        y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, Self::Cache, Self::Sequence>,
        cx: &Context<'_, F>,
    );

    /// Backward of one step: from the gradients of the states after (and of y) those of the states before and of x;
    /// `grads` += those of the parameters. Steps come last to first.
    fn backward(
        &self,
        step: CellStep<'_, F>,
        grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, Self::Cache, Self::Sequence>,
        cx: &Context<'_, F>,
    );

    /// Class, name and options. The default tells the type's name only: such a cell runs but cannot be saved.
    fn describe(&self) -> Description {
        Description::of_type::<Self>()
    }

    /// The cell as one whose steps gradus computes many at a time, which is faster: the crate's own cells with one kernel
    /// for inputs and one for states. A cell that only wraps such a one may pass its answer on.
    fn whole_sequences(&self) -> Option<UnitSequences<'_, F>> {
        None
    }
}
