//! Several cells as one.

use serde_json::Value;

use super::any_cell::{AnyCell, AnyMemory};
use super::cell::{CellGradients, CellMemory, CellShapes, CellStep, RecurrentCell, States, StatesMut};
use crate::config::{self, Config};
use crate::layers::{Context, Description, Grads, ParamBuilder};
use crate::{Error, Result, Scalar, Tensor, View, ViewMut};

/// Several cells as one: at each timestep the output of a cell is the input of the next.
///
/// # Shapes
/// A step's input is the first cell's, the output the last cell's; the states are those of the first cell, then those of
/// the second, and so on. Parameters: the cells', as `cell_0.kernel` …, `cell_1.kernel` ….
/// # Defaults
/// No cells; `add` appends one.
/// # Errors
/// When built: there are no cells, one refuses the output of the one before it, or some are trainable and some not.
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let cells = StackedRNNCells::new().add(LSTMCell::new(8)).add(GRUCell::new(4));
/// let model = Sequential::new().input([10, 3]).add(RNN::of(cells)).build()?;
/// assert_eq!(model.output_shape(0), [4]);
/// # Ok::<(), gradus::Error>(())
/// ```
/// # Source
/// Keras `StackedRNNCells`.
#[derive(Clone, Debug)]
pub struct StackedRNNCells {
    cells: Vec<AnyCell>,
    name: Option<String>,
    trainable: bool,
}

impl Default for StackedRNNCells {
    fn default() -> Self {
        Self::new()
    }
}

impl StackedRNNCells {
    /// Without cells.
    pub fn new() -> Self {
        Self { cells: Vec::new(), name: None, trainable: true }
    }

    /// With one more cell, which takes the output of those before it.
    #[allow(clippy::should_implement_trait)] // as `Sequential::add`
    pub fn add<C: RecurrentCell<f32> + RecurrentCell<f64> + 'static>(mut self, cell: C) -> Self {
        self.cells.push(AnyCell::new(cell));
        self
    }

    /// A name, which configurations keep.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether training changes the cells' parameters. Default: true.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// From a configuration: `{"cells": [{"class_name": …, "config": …}, …]}`, whose cells `make` makes.
    pub(super) fn from_config(options: &Config, make: impl Fn(&Value) -> Result<AnyCell>) -> Result<Self> {
        config::refuse_unknown(options, &["cells", "name", "trainable"])?;
        let Some(Value::Array(cells)) = options.get("cells") else {
            return Err(Error::option("cells", "a list of cells", options.get("cells").unwrap_or(&Value::Null)));
        };
        Ok(Self {
            cells: cells.iter().map(make).collect::<Result<_>>()?,
            name: config::take(options, "name", None)?,
            trainable: config::take(options, "trainable", true)?,
        })
    }

    /// The shapes of each cell, for steps of the shape `input`.
    fn each_shapes<F: Scalar>(&self, input: &[usize]) -> Result<Vec<CellShapes>> {
        if self.cells.is_empty() {
            return Err(Error::option("cells", "at least one cell", "none"));
        }
        let trained = self.cells.iter().filter(|cell| RecurrentCell::<F>::describe(*cell).trainable).count();
        if trained != 0 && trained != self.cells.len() {
            let received = format!("{trained} of {}", self.cells.len());
            return Err(Error::option("trainable", "the same of all cells: a layer is trained as a whole", received));
        }
        let mut input = input.to_vec();
        let mut each = Vec::with_capacity(self.cells.len());
        for (number, cell) in self.cells.iter().enumerate() {
            let shapes = RecurrentCell::<F>::shapes(cell, &input).and_then(|shapes| {
                shapes.check()?;
                Ok(shapes)
            });
            // The first cell's input is the layer's own.
            let shapes =
                shapes.map_err(|error| if number == 0 { error } else { error.within(format!("cell {number}")) })?;
            input = shapes.output_shape().to_vec();
            each.push(shapes);
        }
        Ok(each)
    }
}

/// What a step of several cells keeps: the cells' own, and their outputs.
#[derive(Debug, Default)]
pub struct StackedCache<F> {
    cells: Vec<AnyMemory>,
    /// Those that no state holds.
    outputs: Vec<Tensor<F>>,
}

/// What the steps of several cells share.
#[derive(Debug, Default)]
pub struct StackedMemory<F> {
    /// The shape of a step's input, for which the rest was worked out.
    input: Vec<usize>,
    cells: Vec<Place>,
    memories: Vec<AnyMemory>,
    /// Gradients of the cells' outputs, by cell.
    grads: Vec<Tensor<F>>,
}

/// One of several cells.
#[derive(Debug)]
struct Place {
    /// What the names of its parameters begin with.
    prefix: String,
    shapes: CellShapes,
    input: Vec<usize>,
    /// The numbers of its states.
    states: std::ops::Range<usize>,
}

/// What the names of a cell's parameters begin with.
fn prefix(number: usize) -> String {
    format!("cell_{number}.")
}

impl<F: Scalar> StackedMemory<F> {
    /// Works out where the cells' parts lie.
    fn place(&mut self, cells: &StackedRNNCells, input: &[usize]) {
        if self.input == input && !self.cells.is_empty() {
            return;
        }
        self.input = input.to_vec();
        self.cells.clear();
        let (mut input, mut first) = (input.to_vec(), 0);
        for (number, shapes) in cells.each_shapes::<F>(&input).expect("checked when built").into_iter().enumerate() {
            let states = first..first + shapes.states().len();
            first = states.end;
            let output = shapes.output_shape().to_vec();
            self.cells.push(Place { prefix: prefix(number), shapes, input, states });
            input = output;
        }
        self.memories.resize_with(self.cells.len(), AnyMemory::default);
        self.grads = self.cells.iter().map(|place| Tensor::without_rows(place.shapes.output_shape())).collect();
    }
}

/// The output of a cell: one of its states, or `own`.
fn output<'a, F: Scalar>(place: &Place, after: States<'a, F>, own: &'a Tensor<F>) -> View<'a, F> {
    place.shapes.is_state().map_or_else(|| own.view(), |state| after.get(place.states.start + state))
}

impl<F: Scalar> RecurrentCell<F> for StackedRNNCells {
    type Cache = StackedCache<F>;
    type Sequence = StackedMemory<F>;

    fn shapes(&self, input: &[usize]) -> Result<CellShapes> {
        let mut each = self.each_shapes::<F>(input)?;
        let last = each.pop().expect("at least one cell");
        let before: Vec<Vec<usize>> = each.iter().flat_map(|shapes| shapes.states().to_vec()).collect();
        Ok(last.behind(&before))
    }

    fn build(&self, input: &[usize], params: &mut ParamBuilder<'_, F>) -> Result<()> {
        let mut input = input.to_vec();
        for (number, (cell, shapes)) in self.cells.iter().zip(self.each_shapes::<F>(&input)?).enumerate() {
            cell.build(&input, &mut params.within(&prefix(number)))?;
            input = shapes.output_shape().to_vec();
        }
        Ok(())
    }

    fn begin(&self, rows: usize, input: &[usize], sequence: &mut StackedMemory<F>, cx: &Context<'_, F>) {
        sequence.place(self, input);
        let StackedMemory { cells, memories, .. } = sequence;
        for (number, ((cell, place), memory)) in self.cells.iter().zip(cells).zip(memories).enumerate() {
            cell.begin(rows, &place.input, memory, &cx.within(&place.prefix, number as u64));
        }
    }

    fn forward(
        &self,
        x: View<'_, F>,
        before: States<'_, F>,
        mut after: StatesMut<'_, F>,
        mut y: Option<ViewMut<'_, F>>,
        memory: CellMemory<'_, StackedCache<F>, StackedMemory<F>>,
        cx: &Context<'_, F>,
    ) {
        let StackedMemory { cells: places, memories, .. } = memory.sequence;
        let StackedCache { cells: caches, outputs } = memory.step;
        if outputs.len() != places.len() {
            caches.resize_with(places.len(), AnyMemory::default);
            outputs.resize_with(places.len(), Tensor::default);
        }
        for (number, cell) in self.cells.iter().enumerate() {
            let place = &places[number];
            let (done, rest) = outputs.split_at_mut(number);
            let (states_done, mut states) = after.split(place.states.start);
            let input = match number.checked_sub(1) {
                None => x,
                Some(last) => output(&places[last], states_done, &done[last]),
            };
            let own = &mut rest[0];
            if place.shapes.is_state().is_none() {
                super::time_loop::shape_rows(own, x.rows(), place.shapes.output_shape());
            }
            let last = number + 1 == self.cells.len();
            let own = match place.shapes.is_state() {
                Some(_) => None,
                None if last => y.take(),
                None => Some(own.view_mut()),
            };
            let memory = CellMemory { step: &mut caches[number], sequence: &mut memories[number] };
            let states = states.part(0..place.states.len());
            let cx = cx.within(&place.prefix, number as u64);
            cell.forward(input, before.part(place.states.clone()), states, own, memory, &cx);
        }
    }

    fn backward(
        &self,
        step: CellStep<'_, F>,
        mut grad: CellGradients<'_, F>,
        grads: &mut Grads<'_, F>,
        memory: CellMemory<'_, StackedCache<F>, StackedMemory<F>>,
        cx: &Context<'_, F>,
    ) {
        let StackedMemory { cells: places, memories, grads: grad_outputs, .. } = memory.sequence;
        let StackedCache { cells: caches, outputs } = memory.step;
        let rows = step.x.rows();
        for (number, cell) in self.cells.iter().enumerate().rev() {
            let place = &places[number];
            let numbers = place.states.clone();
            // `grad_outputs[number]` holds the gradient of this cell's output, which the next cell wrote.
            let (grad_inputs, given) = grad_outputs.split_at_mut(number);
            let next = number + 1 < self.cells.len();
            if let Some(state) = place.shapes.is_state().filter(|_| next) {
                let mut to = grad.after.get_mut(numbers.start + state);
                crate::kernels::elementwise::axpy(F::one(), given[0].data(), &mut to);
            }
            let of_y = if place.shapes.is_state().is_some() {
                None
            } else if next {
                Some(given[0].view())
            } else {
                grad.y
            };
            let (x, grad_x) = match number.checked_sub(1) {
                None => (step.x, grad.x.as_mut().map(ViewMut::lend)),
                Some(last) => {
                    super::time_loop::shape_rows(&mut grad_inputs[last], rows, &place.input);
                    (output(&places[last], step.after, &outputs[last]), Some(grad_inputs[last].view_mut()))
                }
            };
            let of_step =
                CellStep { x, before: step.before.part(numbers.clone()), after: step.after.part(numbers.clone()) };
            let of_cell = CellGradients {
                y: of_y,
                after: grad.after.part(numbers.clone()),
                x: grad_x,
                before: grad.before.part(numbers),
            };
            let memory = CellMemory { step: &mut caches[number], sequence: &mut memories[number] };
            let cx = cx.within(&place.prefix, number as u64);
            cell.backward(of_step, of_cell, &mut grads.within(&place.prefix), memory, &cx);
        }
    }

    fn describe(&self) -> Description {
        let mut description = Description::of_type::<Self>();
        let cells = self.cells.iter().map(|cell| cell_object(&RecurrentCell::<F>::describe(cell)));
        let cells: Option<Vec<Value>> = cells.collect();
        description.config = cells.map(|cells| Config::from_iter([("cells".to_owned(), Value::Array(cells))]));
        description.name.clone_from(&self.name);
        let cells_are = |cell: &AnyCell| RecurrentCell::<F>::describe(cell).trainable;
        description.trainable = self.trainable && self.cells.iter().all(cells_are);
        description
    }
}

/// `{"class_name": …, "config": …}` of a cell, if it has a configuration.
pub(super) fn cell_object(description: &Description) -> Option<Value> {
    let mut options = description.config.clone()?;
    options.insert("name".into(), description.name.clone().into());
    options.insert("trainable".into(), description.trainable.into());
    Some(config::object(&description.class, options))
}
