//! A model: a network, and what it was compiled for.

use std::collections::HashSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::compile::{Compile, Compiled};
use super::summary::Summary;
use super::warnings::warn;
use crate::engine::recipe::{LayerKind, Nested, Recipe};
use crate::engine::{AnyLayer, IntoLayer, Network, Whole};
use crate::losses::Reduction;
use crate::optimizers::Driver;
use crate::{Error, Result, Scalar};

/// A network with its parameters: built by [`Sequential`](super::Sequential) or [`ModelBuilder`](super::ModelBuilder).
///
/// Predicting changes nothing in it, so one model serves many threads at once. A clone is a model of its own with the
/// same weights: a larger model of two clones has two sets of them. One of a handle that is called twice
/// ([`shared`](super::shared)) has one.
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
    pub(crate) network: Network<F>,
    /// What it was built from.
    pub(crate) recipe: Arc<Recipe<F>>,
    pub(crate) compiled: Option<Compiled<F>>,
}

impl<F: Scalar> Model<F> {
    pub(crate) fn from_recipe(recipe: Recipe<F>) -> Result<Self> {
        Ok(Self { network: Network::from_recipe(&recipe)?, recipe: Arc::new(recipe), compiled: None })
    }

    /// The same without values of the parameters, which whoever asks for it sets.
    pub(super) fn without_values(recipe: Recipe<F>) -> Result<Self> {
        Ok(Self { network: Network::without_values(&recipe)?, recipe: Arc::new(recipe), compiled: None })
    }

    /// The graph of layers and its parameters, without what the model was compiled for.
    pub fn network(&self) -> &Network<F> {
        &self.network
    }

    /// Says what to train for, and how. Starts the optimizer anew.
    ///
    /// # Errors
    /// If the losses are not as many as the outputs, or a name is no output's, a loss does not fit its output, or an option is outside its range;
    /// the model is then compiled as it was before.
    pub fn compile(&mut self, compile: Compile<F>) -> Result<()> {
        let Some(optimizer) = compile.optimizer else {
            return Err(Error::NotReady { call: "compile", needs: "give a loss and an optimizer before metrics" });
        };
        if compile.misplaced_metric {
            return Err(Error::NotReady { call: "compile", needs: "give a loss before its metrics" });
        }
        let mut objectives = Compile::for_outputs(compile.objectives, &self.graph.output_names)?;
        let outputs = objectives.len();
        let mut names = HashSet::from(["loss".to_owned()]);
        for (i, objective) in objectives.iter_mut().enumerate() {
            let output = &self.graph.output_names[i];
            let class = objective.loss.describe().class;
            let context = |error: Error| error.within(format!("loss {class} of output `{output}`"));
            // Where axes are open, at the sizes at which the network was built.
            let shape = self.graph.built_shape(self.graph.outputs[i]);
            if shape.is_empty() {
                return Err(context(Error::shape("an output with an axis beside the batch", shape)));
            }
            let target = objective.loss.target_shape(shape).map_err(context)?;
            for watched in &objective.metrics {
                let context = |error: Error| error.within(format!("metric `{}` of output `{output}`", watched.name));
                watched.metric.check(shape, &target).map_err(context)?;
            }
            if objective.reduction == Reduction::None {
                return Err(context(Error::option("reduction", "one that gives a single value to train for", "none")));
            }
            if !objective.weight.is_finite() {
                return Err(context(Error::option("weight", "a finite number", objective.weight)));
            }
            if outputs > 1 {
                objective.name = numbered(format!("{output}_loss"), &mut names);
            }
            for watched in &mut objective.metrics {
                let name = watched.metric.name();
                let name = if outputs > 1 { format!("{output}_{name}") } else { name };
                watched.name = numbered(name, &mut names);
            }
        }
        let driver = Driver::from_arc(optimizer, &self.graph)?;
        warn(&self.network, &objectives);
        self.compiled = Some(Compiled::new(driver, objectives, 0));
        Ok(())
    }

    /// Whether the model has been compiled.
    pub fn is_compiled(&self) -> bool {
        self.compiled.is_some()
    }

    pub(crate) fn compiled_or(&self, call: &'static str) -> Result<&Compiled<F>> {
        self.compiled.as_ref().ok_or(not_compiled(call))
    }

    /// The network and what it was compiled with, each to be changed.
    pub(crate) fn parts_mut(&mut self, call: &'static str) -> Result<(&mut Network<F>, &mut Compiled<F>)> {
        let compiled = self.compiled.as_mut().ok_or(not_compiled(call))?;
        Ok((&mut self.network, compiled))
    }

    /// A table of the layers, their output shapes and parameters. It prints like Keras's.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.network)
    }
}

/// A name in history, numbered if another has it.
fn numbered(name: String, names: &mut HashSet<String>) -> String {
    let others = (1..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone()).chain(others).find(|name| !names.contains(name));
    let free = free.unwrap_or(name);
    names.insert(free.clone());
    free
}

fn not_compiled(call: &'static str) -> Error {
    Error::NotReady { call, needs: "compile the model with a loss and an optimizer first" }
}

/// A model predicts, and goes forward and backward, as its network does.
impl<F: Scalar> Deref for Model<F> {
    type Target = Network<F>;
    fn deref(&self) -> &Network<F> {
        &self.network
    }
}

impl<F: Scalar> DerefMut for Model<F> {
    fn deref_mut(&mut self) -> &mut Network<F> {
        &mut self.network
    }
}

impl<F: Scalar> AsRef<Network<F>> for Model<F> {
    fn as_ref(&self) -> &Network<F> {
        &self.network
    }
}

impl<F: Scalar> IntoLayer<F, Whole> for Model<F> {
    fn into_layer(self) -> AnyLayer<F> {
        let nested = Nested { recipe: self.recipe, network: self.network };
        AnyLayer { name: None, kind: LayerKind::Model(Arc::new(nested)) }
    }
}

impl<F: Scalar> std::fmt::Debug for Model<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name()).field("layers", &self.layer_names()).finish_non_exhaustive()
    }
}
