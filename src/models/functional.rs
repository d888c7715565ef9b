//! Models of any shape, written as layers called on one another's outputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Model;
use super::compile::Compile;
use crate::engine::recipe::{Entry, Recipe};
use crate::engine::{AnyLayer, IntoLayer};
use crate::ids::{EntryId, Id};
use crate::tensor::{IntoShape, Shape};
use crate::{Error, Result, Scalar};

/// A tensor that does not exist yet: an input of a model to be, or what a layer will make of others.
///
/// Layers are called on symbols with [`apply`](Self::apply) and [`call`], and a [`ModelBuilder`] makes a [`Model`] of
/// all that lies between given inputs and outputs.
///
/// ```
/// use gradus::prelude::*;
///
/// let left = Input::new([4]);
/// let right = Input::new([3]).named("right");
/// let hidden = left.apply(Dense::new(8).activation(Relu));
/// let both = call(Concatenate::new(), [&hidden, &right]);
/// let output = both.apply(Dense::new(1));
/// let model = ModelBuilder::new([&left, &right], [&output]).build()?;
///
/// let y = model.predict((&Array2::<f32>::zeros((5, 4)), &Array2::<f32>::zeros((5, 3))))?;
/// assert_eq!(y.shape(), [5, 1]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Symbol<F: Scalar> {
    origin: Arc<Origin<F>>,
    output: usize,
}

/// Where a symbol comes from.
struct Origin<F: Scalar> {
    /// Counts up as symbols are made: what a symbol was made from has a smaller one.
    number: u64,
    kind: Kind<F>,
}

impl<F: Scalar> Origin<F> {
    fn take_inputs(&mut self) -> Vec<Symbol<F>> {
        match &mut self.kind {
            Kind::Call { inputs, .. } => std::mem::take(inputs),
            Kind::Input { .. } => Vec::new(),
        }
    }
}

/// One after another, not one within another: a long chain would not fit on the stack.
impl<F: Scalar> Drop for Origin<F> {
    fn drop(&mut self) {
        let mut open = self.take_inputs();
        while let Some(symbol) = open.pop() {
            if let Some(mut origin) = Arc::into_inner(symbol.origin) {
                open.append(&mut origin.take_inputs());
            }
        }
    }
}

enum Kind<F: Scalar> {
    Input { name: Option<String>, shape: Shape, batch: Option<usize> },
    Call { layer: AnyLayer<F>, inputs: Vec<Symbol<F>> },
}

/// Makes the inputs of a functional model.
#[derive(Clone, Copy, Debug)]
pub enum Input {}

impl Input {
    /// An input whose samples have the shape `shape`, computed in `f32`: an array of sizes, or a tuple with [`None`] for each
    /// axis whose size is known by batch, `(None, None, 3)`.
    #[allow(clippy::new_ret_no_self)] // as in Keras, an `Input` is the symbol that comes of it
    pub fn new(shape: impl IntoShape) -> Symbol<f32> {
        Self::of(shape)
    }

    /// The same, computed in `f64`.
    pub fn f64(shape: impl IntoShape) -> Symbol<f64> {
        Self::of(shape)
    }

    /// The same, for either scalar.
    pub fn of<F: Scalar>(shape: impl IntoShape) -> Symbol<F> {
        Symbol::new(Kind::Input { name: None, shape: shape.into_shape(), batch: None })
    }
}

impl<F: Scalar> Symbol<F> {
    fn new(kind: Kind<F>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { origin: Arc::new(Origin { number, kind }), output: 0 }
    }

    /// What `layer` makes of this tensor.
    pub fn apply<M>(&self, layer: impl IntoLayer<F, M>) -> Self {
        call(layer, [self])
    }

    /// Another output of the layer that this symbol comes from: 0 is the one that [`call`] gave.
    #[must_use]
    pub fn output(&self, output: usize) -> Self {
        Self { origin: self.origin.clone(), output }
    }

    /// An input under a name.
    ///
    /// # Panics
    /// If the symbol is not an input: name the layer instead.
    #[must_use]
    pub fn named(&self, name: impl Into<String>) -> Self {
        match &self.origin.kind {
            Kind::Input { shape, batch, .. } => {
                Self::new(Kind::Input { name: Some(name.into()), shape: shape.clone(), batch: *batch })
            }
            Kind::Call { .. } => panic!("only inputs are named so; give the layer its name"),
        }
    }

    /// An input whose batches all have so many rows, as stateful layers need.
    ///
    /// # Panics
    /// If the symbol is not an input.
    #[must_use]
    pub fn batch_size(&self, rows: usize) -> Self {
        match &self.origin.kind {
            Kind::Input { name, shape, .. } => {
                Self::new(Kind::Input { name: name.clone(), shape: shape.clone(), batch: Some(rows) })
            }
            Kind::Call { .. } => panic!("only inputs have a batch size"),
        }
    }
}

impl<F: Scalar> std::fmt::Debug for Symbol<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.origin.kind {
            Kind::Input { name, shape, .. } => {
                f.debug_struct("Input").field("name", name).field("shape", shape).finish()
            }
            Kind::Call { layer, .. } => {
                f.debug_struct("Symbol").field("layer", layer).field("output", &self.output).finish()
            }
        }
    }
}

/// What a layer makes of several tensors. Of several outputs this is the first; the others are
/// [`output(1)`](Symbol::output) and so on.
pub fn call<'a, F: Scalar, M>(
    layer: impl IntoLayer<F, M>,
    inputs: impl IntoIterator<Item = &'a Symbol<F>>,
) -> Symbol<F> {
    Symbol::new(Kind::Call { layer: layer.into_layer(), inputs: inputs.into_iter().cloned().collect() })
}

/// A layer that may be called several times, with the same parameters each time.
///
/// Within one model the handle has one set of weights, wherever it stands: by itself, in models that are called like
/// layers, at any depth, and in a [`TimeDistributed`](super::TimeDistributed). If such models were trained apart, the weights of the
/// first that is called count. A model's handle is one too; a clone of a model is a model of its own.
///
/// ```
/// use gradus::prelude::*;
///
/// let (a, b) = (Input::new([4]), Input::new([4]));
/// let encoder = shared(Dense::new(2));
/// let near = call(Dot::new([1, 1]), [&a.apply(&encoder), &b.apply(&encoder)]);
/// let model = ModelBuilder::new([&a, &b], [&near]).build()?;
/// assert_eq!(model.count_params(), 4 * 2 + 2);
/// # Ok::<(), gradus::Error>(())
/// ```
pub fn shared<F: Scalar, M>(layer: impl IntoLayer<F, M>) -> AnyLayer<F> {
    layer.into_layer()
}

/// Builds a functional model from its inputs and outputs.
pub struct ModelBuilder<F: Scalar> {
    name: String,
    seed: u64,
    inputs: Vec<Symbol<F>>,
    outputs: Vec<Symbol<F>>,
    compile: Compile<F>,
}

impl<F: Scalar> std::fmt::Debug for ModelBuilder<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelBuilder")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<F: Scalar> ModelBuilder<F> {
    /// The model of all that lies between these inputs and outputs.
    pub fn new<'a>(
        inputs: impl IntoIterator<Item = &'a Symbol<F>>,
        outputs: impl IntoIterator<Item = &'a Symbol<F>>,
    ) -> Self {
        Self {
            name: "functional".into(),
            seed: 0,
            inputs: inputs.into_iter().cloned().collect(),
            outputs: outputs.into_iter().cloned().collect(),
            compile: Compile::default(),
        }
    }

    /// The model's name. Default: `functional`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The seed of the initial weights and of everything random in training. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What to train for, and how: a loss an output, metrics, an optimizer.
    pub fn compile(mut self, compile: Compile<F>) -> Self {
        self.compile = compile;
        self
    }

    /// Builds the layers and makes their parameters.
    ///
    /// # Errors
    /// If an input is used but not named here, or named but not used, a layer refuses its input, two layers have one
    /// name, or the losses do not fit the outputs.
    pub fn build(self) -> Result<Model<F>> {
        // In the order in which they were made, symbols come after what they are made from.
        let mut reached: BTreeMap<u64, Arc<Origin<F>>> = BTreeMap::new();
        let mut open: Vec<Arc<Origin<F>>> = self.outputs.iter().map(|symbol| symbol.origin.clone()).collect();
        while let Some(origin) = open.pop() {
            if let Kind::Call { inputs, .. } = &origin.kind {
                open.extend(
                    inputs.iter().map(|symbol| &symbol.origin).filter(|o| !reached.contains_key(&o.number)).cloned(),
                );
            }
            reached.insert(origin.number, origin);
        }
        let problem = |problem: String| Error::Graph { model: self.name.clone(), problem };
        if self.outputs.is_empty() {
            return Err(problem("it has no outputs".into()));
        }
        let mut entries = Vec::new();
        let mut position = BTreeMap::new();
        for symbol in &self.inputs {
            let Kind::Input { name, shape, batch } = &symbol.origin.kind else {
                return Err(problem(format!("{symbol:?} is given as an input but is the output of a layer")));
            };
            if position.insert(symbol.origin.number, EntryId::new(entries.len())).is_some() {
                return Err(problem(format!("the input {symbol:?} is given twice")));
            }
            entries.push(Entry::Input { name: name.clone(), shape: shape.clone(), batch: *batch });
        }
        for (number, origin) in &reached {
            match &origin.kind {
                Kind::Call { layer, inputs } => {
                    let inputs = inputs.iter().map(|symbol| (position[&symbol.origin.number], symbol.output)).collect();
                    position.insert(*number, EntryId::new(entries.len()));
                    entries.push(Entry::Call { layer: layer.clone(), inputs });
                }
                Kind::Input { shape, .. } if !position.contains_key(number) => {
                    return Err(problem(format!("an input of shape {shape} is used but not among the model's inputs")));
                }
                Kind::Input { .. } => (),
            }
        }
        let outputs = self.outputs.iter().map(|symbol| (position[&symbol.origin.number], symbol.output)).collect();
        let mut model =
            Model::from_recipe(Recipe { name: self.name, seed: self.seed, entries, outputs, chain: false })?;
        if self.compile.is_given() {
            model.compile(self.compile)?;
        }
        Ok(model)
    }
}
