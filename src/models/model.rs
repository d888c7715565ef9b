//! A model: a graph, its parameters, and what it is trained with.

use std::sync::Arc;

use ndarray::ArrayD;

use super::graph::{Graph, Recipe};
use super::inputs::{IntoInputs, check_batch, check_inputs};
use super::low_level::to_array;
use super::pass::Pass;
use super::plan::{Plan, Wanted};
use super::predictor::{Predictor, predict_rows};
use super::summary::Summary;
use crate::kernels::aligned::Aligned;
use crate::parallel::Threads;
use crate::training::Compiled;
use crate::{Error, Result, Scalar};

/// A network with its parameters: built by [`Sequential`](super::Sequential) or [`ModelBuilder`](super::ModelBuilder).
///
/// Predicting changes nothing in it, so one model serves many threads at once. A clone is a model of its own with the
/// same weights.
///
/// ```
/// use gradus::prelude::*;
///
/// let model = Sequential::new().input([2]).add(Dense::new(3).activation(Relu)).add(Dense::new(1)).seed(7).build()?;
/// let y = model.predict(&array![[0.0f32, 1.0], [1.0, 0.0]])?;
/// assert_eq!(y.shape(), [2, 1]);
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone)]
pub struct Model<F: Scalar = f32> {
    pub(crate) graph: Arc<Graph<F>>,
    pub(crate) recipe: Arc<Recipe<F>>,
    pub(crate) params: Aligned<F>,
    /// For each layer, whether training changes it.
    pub(crate) trains: Vec<bool>,
    pub(crate) compiled: Option<Compiled<F>>,
    pub(crate) threads: Threads,
    pub(crate) seed: u64,
}

impl<F: Scalar> Model<F> {
    pub(crate) fn from_recipe(recipe: Recipe<F>) -> Result<Self> {
        let (graph, params) = Graph::build(&recipe)?;
        let trains = graph.layers.iter().map(|layer| layer.description.trainable).collect();
        Ok(Self {
            graph: Arc::new(graph),
            seed: recipe.seed,
            recipe: Arc::new(recipe),
            params: Aligned::from(params.as_slice()),
            trains,
            compiled: None,
            threads: Threads::default(),
        })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.graph.name
    }

    /// The output for every row of `x`; with several outputs the first (see [`predict_all`](Self::predict_all)).
    ///
    /// `x` is an array of any rank whose first axis is the batch, or a tuple of references for several inputs.
    ///
    /// # Errors
    /// If the inputs do not have the shapes that the model takes.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a, F>) -> Result<ArrayD<F>> {
        Ok(self.predict_all(x)?.swap_remove(0))
    }

    /// All outputs for every row of `x`, in the order of the model's outputs.
    ///
    /// # Errors
    /// If the inputs do not have the shapes that the model takes.
    pub fn predict_all<'a>(&self, x: impl IntoInputs<'a, F>) -> Result<Vec<ArrayD<F>>> {
        let inputs = x.into_inputs();
        let rows = check_inputs("predict", &self.graph.inputs, &inputs)?;
        check_batch("predict", &self.graph.inputs, rows)?;
        predict_rows(self, self.graph.outputs.clone(), &inputs, rows)
    }

    /// The outputs of any layers, by name, for every row of `x`: what a network makes of its input on the way.
    ///
    /// ```
    /// # use gradus::prelude::*;
    /// # let model = Sequential::new().input([2]).add(Dense::new(3).name("hidden")).add(Dense::new(1)).build()?;
    /// let hidden = &model.layer_outputs(&array![[0.5f32, 1.0]], &["hidden"])?[0];
    /// assert_eq!(hidden.shape(), [1, 3]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no layer of such a name, or the inputs do not fit.
    pub fn layer_outputs<'a>(&self, x: impl IntoInputs<'a, F>, layers: &[&str]) -> Result<Vec<ArrayD<F>>> {
        let inputs = x.into_inputs();
        let rows = check_inputs("layer_outputs", &self.graph.inputs, &inputs)?;
        check_batch("layer_outputs", &self.graph.inputs, rows)?;
        let slots = layers
            .iter()
            .map(|name| {
                let layer = self.graph.find_layer(name)?;
                let node = self.graph.nodes.iter().find(|node| node.layer == Some(layer));
                Ok(node.expect("every layer is called").outputs.start)
            })
            .collect::<Result<Vec<usize>>>()?;
        predict_rows(self, slots, &inputs, rows)
    }

    /// A predictor for up to `batch` rows at once that owns all its memory: [`Predictor::run`] allocates nothing, from
    /// the first time on.
    pub fn predictor(&self, batch: usize) -> Predictor<'_, F> {
        Predictor::new(self, self.graph.outputs.clone(), batch).warmed_up()
    }

    /// A table of the layers, their output shapes and parameters. It prints like Keras's.
    pub fn summary(&self) -> Summary {
        Summary::new(self)
    }

    /// The shape of one row of input number `i`.
    ///
    /// # Panics
    /// If the model has fewer inputs.
    pub fn input_shape(&self, i: usize) -> &[usize] {
        &self.graph.inputs[i].shape
    }

    /// The shape of one row of output number `i`.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn output_shape(&self, i: usize) -> &[usize] {
        &self.graph.shapes[self.graph.outputs[i]]
    }

    /// The activation in which output number 0 ends, if it is the last thing its layer does.
    pub(crate) fn output_activation(&self) -> Option<crate::Activation> {
        let slot = self.graph.outputs[0];
        let node = self.graph.nodes.iter().find(|node| node.outputs.contains(&slot))?;
        self.graph.layer(node)?.operation.output_activation()
    }

    /// The names of the layers, in the order in which they run.
    pub fn layer_names(&self) -> Vec<&str> {
        self.graph.layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    /// How many values the model's parameters and state have.
    pub fn count_params(&self) -> usize {
        self.params.len()
    }

    /// Every weight with its path (`dense_1/kernel`), in order, as arrays of their own.
    pub fn get_weights(&self) -> Vec<(String, ArrayD<F>)> {
        self.graph
            .param_paths()
            .map(|(path, spec)| (path, to_array(&spec.shape, &self.params[spec.range.clone()])))
            .collect()
    }

    /// One weight by its path, `dense_1/kernel`.
    ///
    /// # Errors
    /// If there is none of that path.
    pub fn weight(&self, path: &str) -> Result<ArrayD<F>> {
        let spec = self.find_weight(path)?;
        Ok(to_array(&spec.shape, &self.params[spec.range.clone()]))
    }

    /// Sets weights by path. All are checked before any is set.
    ///
    /// # Errors
    /// If a path does not exist or a shape differs.
    pub fn set_weights<'a, P: AsRef<str>>(
        &mut self,
        weights: impl IntoIterator<Item = (P, &'a ArrayD<F>)>,
    ) -> Result<()> {
        let mut checked = Vec::new();
        for (path, array) in weights {
            let spec = self.find_weight(path.as_ref())?;
            if array.shape() != spec.shape {
                let expected = format!("`{}` of shape {}", path.as_ref(), crate::error::show(&spec.shape));
                return Err(Error::shape(expected, array.shape()));
            }
            checked.push((spec.range.clone(), array));
        }
        for (range, array) in checked {
            self.params[range].iter_mut().zip(array.iter()).for_each(|(value, &new)| *value = new);
        }
        Ok(())
    }

    fn find_weight(&self, path: &str) -> Result<&crate::layers::ParamSpec> {
        self.graph
            .param_paths()
            .find(|(known, _)| known == path)
            .map(|(_, spec)| spec)
            .ok_or_else(|| Error::unknown("parameter", path, self.graph.param_paths().map(|(path, _)| path)))
    }

    /// Freezes or thaws a layer, or with the name of a model inside this one all of its layers. A frozen layer still
    /// passes gradients on.
    ///
    /// # Errors
    /// If there is no layer of that name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let within = format!("{layer}/");
        let graph = self.graph.clone();
        let mut found = false;
        for (entry, trains) in graph.layers.iter().zip(&mut self.trains) {
            if entry.name == layer || entry.name.starts_with(&within) {
                (*trains, found) = (trainable, true);
            }
        }
        if found { Ok(()) } else { graph.find_layer(layer).map(|_| ()) }
    }

    /// Computes on exactly `count` threads, of which the caller is one. By default all cores, or `GRADUS_NUM_THREADS`.
    /// The numbers that come out do not depend on it.
    ///
    /// Models that were told nothing share their threads, and so do clones of one model: of two that compute at the same
    /// time one has them, and the other its caller's alone.
    ///
    /// # Errors
    /// If `count` is 0 or the system does not grant them.
    pub fn set_threads(&mut self, count: usize) -> Result<()> {
        self.threads = Threads::new(count)?;
        Ok(())
    }

    /// The seed of everything random in training: shuffling, dropout, noise.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// A workspace for [`forward`](Self::forward) and [`backward`](Self::backward), to be reused from step to step.
    pub fn pass(&self) -> Pass<F> {
        self.new_pass(Wanted::PARAMETERS)
    }

    /// The same, with the gradients of the inputs too.
    pub fn pass_with_input_gradients(&self) -> Pass<F> {
        self.new_pass(Wanted { inputs: true, ..Wanted::PARAMETERS })
    }

    /// The same, for the gradients of the inputs alone: what a generator needs of its discriminator, which runs as in
    /// training but learns nothing from it.
    pub fn pass_of_input_gradients(&self) -> Pass<F> {
        self.new_pass(Wanted { parameters: false, inputs: true, ..Wanted::PARAMETERS })
    }

    fn new_pass(&self, wanted: Wanted) -> Pass<F> {
        let fused = vec![false; self.graph.outputs.len()];
        let plan = Plan::new(&self.graph, true, &self.trains, wanted, &fused);
        Pass::new(&self.graph, &self.trains, plan, wanted)
    }
}

impl<F: Scalar> std::fmt::Debug for Model<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name()).field("layers", &self.layer_names()).finish_non_exhaustive()
    }
}
