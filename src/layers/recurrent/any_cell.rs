//! A cell of any type behind one object, for both scalars.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use super::units::UnitSequences;
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Result, Scalar, View, ViewMut};

/// A cell of any type. Clones are the same cell.
///
/// [`StackedRNNCells`](super::StackedRNNCells), [`Bidirectional`](super::Bidirectional) and configurations hold cells so.
///
/// ```
/// use gradus::custom::*;
///
/// let cells: Vec<AnyCell> = vec![AnyCell::new(LSTMCell::new(4)), AnyCell::new(GRUCell::new(2))];
/// ```
#[derive(Clone)]
pub struct AnyCell {
    single: Arc<dyn ErasedCell<f32>>,
    double: Arc<dyn ErasedCell<f64>>,
}

/// Memory whose type only its cell knows; none before its first use.
#[derive(Default)]
pub struct AnyMemory(Option<Box<dyn Any + Send + Sync>>);

impl AnyMemory {
    /// As what the cell keeps.
    fn typed<T: Default + Send + Sync + 'static>(&mut self) -> &mut T {
        let memory = self.0.get_or_insert_with(|| Box::new(T::default()));
        memory.downcast_mut().expect("memory is used by the cell that made it")
    }
}

impl fmt::Debug for AnyMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyMemory")
    }
}

/// What is asked of a cell, whatever its type. The methods are those of [`RecurrentCell`].
trait ErasedCell<F: Scalar>: Send + Sync {
    fn shapes(&self, input: &[usize]) -> Result<CellShapes>;
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()>;
    fn begin(&self, rows: usize, input: &[usize], sequence: &mut AnyMemory, cx: &Context<'_, F>);
    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        after: StatesMut<'_, F>,
        y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    );
    fn backward(
        &self,
        step: CellStep<'_, F>,
        grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    );
    fn describe(&self) -> Description;
    fn whole_sequences(&self) -> Option<UnitSequences<'_, F>>;
}

impl<F: Scalar, C: RecurrentCell<F>> ErasedCell<F> for C {
    fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
        RecurrentCell::shapes(self, input)
    }
    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
        RecurrentCell::build(self, input, params)
    }
    fn begin(&self, rows: usize, input: &[usize], sequence: &mut AnyMemory, cx: &Context<'_, F>) {
        RecurrentCell::begin(self, rows, input, sequence.typed(), cx);
    }
    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        after: StatesMut<'_, F>,
        y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    ) {
        let memory = CellMemory { step: memory.step.typed(), sequence: memory.sequence.typed() };
        RecurrentCell::forward(self, x, before, after, y, memory, cx);
    }
    fn backward(
        &self,
        step: CellStep<'_, F>,
        grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    ) {
        let memory = CellMemory { step: memory.step.typed(), sequence: memory.sequence.typed() };
        RecurrentCell::backward(self, step, grad, grads, memory, cx);
    }
    fn describe(&self) -> Description {
        RecurrentCell::describe(self)
    }
    fn whole_sequences(&self) -> Option<UnitSequences<'_, F>> {
        RecurrentCell::whole_sequences(self)
    }
}

impl AnyCell {
    /// Of a cell, which must be one for both scalars, as `impl<F: Scalar> RecurrentCell<F> for …` is.
    pub fn new<C: RecurrentCell<f32> + RecurrentCell<f64> + 'static>(cell: C) -> Self {
        let cell = Arc::new(cell);
        Self { single: Arc::clone(&cell) as Arc<dyn ErasedCell<f32>>, double: cell }
    }

    /// The cell as one of the scalar `F`.
    fn of<F: Scalar>(&self) -> &dyn ErasedCell<F> {
        let cell = F::choose::<&dyn Any>(&self.single, &self.double);
        cell.downcast_ref::<Arc<dyn ErasedCell<F>>>().expect("each scalar has its own").as_ref()
    }
}

impl fmt::Debug for AnyCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyCell").field(&self.single.describe().class).finish()
    }
}

impl<F: Scalar> RecurrentCell<F> for AnyCell {
    type Cache = AnyMemory;
    type Sequence = AnyMemory;

    fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
        self.of::<F>().shapes(input)
    }

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
        self.of().build(input, params)
    }

    fn begin(&self, rows: usize, input: &[usize], sequence: &mut AnyMemory, cx: &Context<'_, F>) {
        self.of().begin(rows, input, sequence, cx);
    }

    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        after: StatesMut<'_, F>,
        y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    ) {
        self.of().forward(x, before, after, y, memory, cx);
    }

    fn backward(
        &self,
        step: CellStep<'_, F>,
        grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, AnyMemory, AnyMemory>,
        cx: &Context<'_, F>,
    ) {
        self.of().backward(step, grad, grads, memory, cx);
    }

    fn describe(&self) -> Description {
        self.of::<F>().describe()
    }

    fn whole_sequences(&self) -> Option<UnitSequences<'_, F>> {
        self.of().whole_sequences()
    }
}
