//! What a network is made of, as its user said it: layers of any type, called on inputs and on one another's outputs.

use std::sync::Arc;

use super::network::Network;
use super::operation::{Joining, Operation, Single};
use crate::Scalar;
use crate::ids::EntryId;
use crate::layers::{Layer, MultiLayer};
use crate::tensor::Shape;

/// What a model is made of, as its user said it.
pub(crate) struct Recipe<F: Scalar> {
    pub name: String,
    pub seed: u64,
    pub entries: Vec<Entry<F>>,
    /// The outputs: which entry, and which of its outputs.
    pub outputs: Vec<(EntryId, usize)>,
    /// Whether it was said as a chain of layers: Keras's `Sequential`, whose weights its files call so.
    pub chain: bool,
}

/// An input, or a call of a layer on outputs of earlier entries.
pub(crate) enum Entry<F: Scalar> {
    Input { name: Option<String>, shape: Shape, batch: Option<usize> },
    Call { layer: AnyLayer<F>, inputs: Vec<(EntryId, usize)> },
}

/// A layer of any type, or a whole model, as a model holds it. Clones are the same layer, with the same parameters.
#[derive(Clone)]
pub struct AnyLayer<F: Scalar> {
    pub(crate) kind: LayerKind<F>,
    pub(crate) name: Option<String>,
}

/// A whole model that is called like a layer.
pub(crate) struct Nested<F: Scalar> {
    pub recipe: Arc<Recipe<F>>,
    pub network: Network<F>,
}

#[derive(Clone)]
pub(crate) enum LayerKind<F: Scalar> {
    Operation(Arc<dyn Operation<F>>),
    Model(Arc<Nested<F>>),
    /// A whole model on every timestep; `axes`: how often that was said.
    EachStep {
        model: Arc<Nested<F>>,
        axes: usize,
        trainable: bool,
    },
}

impl<F: Scalar> AnyLayer<F> {
    /// What a layer around this one runs; none of a whole model.
    pub(crate) fn into_operation(self) -> Option<Arc<dyn Operation<F>>> {
        match self.kind {
            LayerKind::Operation(operation) => Some(operation),
            LayerKind::Model(_) | LayerKind::EachStep { .. } => None,
        }
    }

    /// A layer with one input and one output.
    pub fn single(layer: impl Layer<F> + 'static) -> Self {
        Self { name: layer.describe().name, kind: LayerKind::Operation(Arc::new(Single(layer))) }
    }

    /// A layer with several inputs or outputs.
    pub fn several(layer: impl MultiLayer<F> + 'static) -> Self {
        Self { name: layer.describe().name, kind: LayerKind::Operation(Arc::new(Joining(layer))) }
    }

    /// The same layer under a name, for layers that have no option for it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Equal for two handles that mean the same layer: its place in memory, and how often and whether trained a model is
    /// on every timestep.
    pub(crate) fn key(&self) -> (usize, usize, bool) {
        match &self.kind {
            LayerKind::Operation(operation) => (Arc::as_ptr(operation).cast::<()>().addr(), 0, true),
            LayerKind::Model(model) => (Arc::as_ptr(model).addr(), 0, true),
            LayerKind::EachStep { model, axes, trainable } => (Arc::as_ptr(model).addr(), *axes, *trainable),
        }
    }
}

impl<F: Scalar> std::fmt::Debug for AnyLayer<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let class = match &self.kind {
            LayerKind::Operation(operation) => operation.describe().class,
            LayerKind::Model(_) => "Model".into(),
            LayerKind::EachStep { .. } => "TimeDistributed".into(),
        };
        f.debug_struct("AnyLayer").field("class", &class).field("name", &self.name).finish()
    }
}

/// Whatever can be put into a model: a [`Layer`], a [`MultiLayer`], a [`Model`](crate::Model), or an [`AnyLayer`].
///
/// `M` only tells these apart for the compiler; it is inferred.
pub trait IntoLayer<F: Scalar, M> {
    /// As a model holds it.
    fn into_layer(self) -> AnyLayer<F>;
}

/// Marks a [`Layer`] in [`IntoLayer`].
#[derive(Debug)]
pub enum OneToOne {}
/// Marks a [`MultiLayer`] in [`IntoLayer`].
#[derive(Debug)]
pub enum ManyToMany {}
/// Marks a [`Model`](crate::Model) or an [`AnyLayer`] in [`IntoLayer`].
#[derive(Debug)]
pub enum Whole {}

impl<F: Scalar, L: Layer<F> + 'static> IntoLayer<F, OneToOne> for L {
    fn into_layer(self) -> AnyLayer<F> {
        AnyLayer::single(self)
    }
}

impl<F: Scalar, L: MultiLayer<F> + 'static> IntoLayer<F, ManyToMany> for L {
    fn into_layer(self) -> AnyLayer<F> {
        AnyLayer::several(self)
    }
}

impl<F: Scalar> IntoLayer<F, Whole> for AnyLayer<F> {
    fn into_layer(self) -> AnyLayer<F> {
        self
    }
}

impl<F: Scalar> IntoLayer<F, Whole> for &AnyLayer<F> {
    fn into_layer(self) -> AnyLayer<F> {
        self.clone()
    }
}
