//! A model: a network, and what it was compiled for.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::compile::Compiled;
use super::summary::Summary;
use crate::engine::recipe::{LayerKind, Nested, Recipe};
use crate::engine::{AnyLayer, IntoLayer, Network, Whole};
use crate::{Result, Scalar};

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
    pub(crate) network: Network<F>,
    /// What it was built from.
    pub(crate) recipe: Arc<Recipe<F>>,
    pub(crate) compiled: Option<Compiled<F>>,
}

impl<F: Scalar> Model<F> {
    pub(crate) fn from_recipe(recipe: Recipe<F>) -> Result<Self> {
        Ok(Self { network: Network::from_recipe(&recipe)?, recipe: Arc::new(recipe), compiled: None })
    }

    /// The graph of layers and its parameters, without what the model was compiled for.
    pub fn network(&self) -> &Network<F> {
        &self.network
    }

    /// A table of the layers, their output shapes and parameters. It prints like Keras's.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.network)
    }
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
