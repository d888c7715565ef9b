//! A chain of layers.

use super::Model;
use super::compile::Compile;
use crate::engine::recipe::{Entry, Recipe};
use crate::engine::{AnyLayer, IntoLayer};
use crate::ids::{EntryId, Id, first};
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::optimizers::Optimizer;
use crate::tensor::{IntoShape, Shape};
use crate::{Error, Result, Scalar};

/// Builds a model that is a chain of layers: each takes the output of the one before.
///
/// Nothing is checked until [`build`](Self::build), which names the layer that does not fit.
///
/// # Defaults
/// `name` `sequential`, `seed` 0 (a model is the same in every run), scalar `f32`. [`Sequential::f64`] makes one of
/// `f64`.
///
/// # Example
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new()
///     .input([28, 28])
///     .add(Flatten::new())
///     .add(Dense::new(128).activation(Relu))
///     .add(Dense::new(10).activation(Softmax))
///     .compile(CategoricalCrossentropy::new(), Adam::new())
///     .metric(Accuracy::new())
///     .build()?;
/// assert_eq!(model.count_params(), 101_770);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Source
/// Keras `Sequential`.
pub struct Sequential<F: Scalar = f32> {
    name: String,
    seed: u64,
    input: Option<Shape>,
    batch: Option<usize>,
    layers: Vec<AnyLayer<F>>,
    compile: Compile<F>,
}

impl<F: Scalar> std::fmt::Debug for Sequential<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequential").field("name", &self.name).field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl Sequential<f32> {
    /// An empty chain that computes in `f32`.
    #[allow(clippy::new_without_default)] // `Default` is there for every scalar
    pub fn new() -> Self {
        Self::default()
    }
}

impl Sequential<f64> {
    /// An empty chain that computes in `f64`.
    pub fn f64() -> Self {
        Self::default()
    }
}

impl<F: Scalar> Default for Sequential<F> {
    fn default() -> Self {
        Self {
            name: "sequential".into(),
            seed: 0,
            input: None,
            batch: None,
            layers: Vec::new(),
            compile: Compile::default(),
        }
    }
}

impl<F: Scalar> Sequential<F> {
    /// The shape of one sample, without the batch axis: an array of sizes, or a tuple with [`None`] for each axis whose size is
    /// known by batch, as lengths of sequences are. Then [`Network::output_axes`](crate::engine::Network::output_axes) tells
    /// which axes of an output are open.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input((None, 2)).add(LSTM::new(3)).build()?;
    /// assert_eq!(model.predict(&Array3::<f32>::zeros((1, 4, 2)))?.shape(), [1, 3]);
    /// assert_eq!(model.predict(&Array3::<f32>::zeros((1, 9, 2)))?.shape(), [1, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn input(mut self, shape: impl IntoShape) -> Self {
        self.input = Some(shape.into_shape());
        self
    }

    /// Fixes how many rows every batch has, as stateful layers need. Default: any number.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch = Some(rows);
        self
    }

    /// Adds a layer, or a whole model.
    #[allow(clippy::should_implement_trait)] // the field's word; `+` it is not
    pub fn add<M>(mut self, layer: impl IntoLayer<F, M>) -> Self {
        self.layers.push(layer.into_layer());
        self
    }

    /// Adds a layer under a name, for layers that have no option for it.
    pub fn add_named<M>(mut self, name: impl Into<String>, layer: impl IntoLayer<F, M>) -> Self {
        self.layers.push(layer.into_layer().named(name));
        self
    }

    /// The model's name. Default: `sequential`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The seed of the initial weights and of everything random in training. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What to train for, and how.
    pub fn compile(mut self, loss: impl Loss<F> + 'static, optimizer: impl Optimizer<F> + 'static) -> Self {
        self.compile = Compile::new(optimizer).loss(loss);
        self
    }

    /// Adds a metric that is watched in training and evaluation.
    pub fn metric(mut self, metric: impl Metric<F> + 'static) -> Self {
        self.compile = self.compile.metric(metric);
        self
    }

    /// Builds the layers in order and makes their parameters.
    ///
    /// # Errors
    /// If there is no input or no layer, a layer refuses its input, two layers have one name, or the loss does not
    /// fit the output.
    pub fn build(self) -> Result<Model<F>> {
        let Some(shape) = self.input else {
            let problem = "it has no input; give the shape of one sample with `input`".into();
            return Err(Error::Graph { model: self.name, problem });
        };
        let outputs = vec![(EntryId::new(self.layers.len()), 0)];
        let mut entries = vec![Entry::Input { name: None, shape, batch: self.batch }];
        let calls = first(self.layers.len()).zip(self.layers);
        entries.extend(calls.map(|(before, layer)| Entry::Call { layer, inputs: vec![(before, 0)] }));
        let mut model = Model::from_recipe(Recipe { name: self.name, seed: self.seed, entries, outputs, chain: true })?;
        if self.compile.is_given() {
            model.compile(self.compile)?;
        }
        Ok(model)
    }
}
