//! Which class names stand for what: how saved architectures become layers, losses, metrics and optimizers again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::config::{Config, Configured};
use crate::engine::AnyLayer;
use crate::layers::{AnyCell, Layer, MultiLayer, RecurrentCell};
use crate::losses::Loss;
use crate::metrics::{Metric, Tracked};
use crate::optimizers::Optimizer;
use crate::{Error, Result, Scalar};

type Make<T, F> = Arc<dyn Fn(&Config, &Registry<F>) -> Result<T> + Send + Sync>;

/// The classes that configurations may name: all of the crate's own, and those that a program adds.
///
/// ```
/// use gradus::config::{Config, Configured};
/// use gradus::custom::*;
///
/// let registry = Registry::<f32>::standard();
/// let options = serde_json::json!({ "units": 3, "activation": "relu" });
/// let layer = registry.make_layer("Dense", options.as_object().unwrap())?;
/// let model = Sequential::new().input([2]).add(layer).build()?;
/// assert_eq!(model.output_shape(0), [3]);
/// # Ok::<(), gradus::Error>(())
/// ```
pub struct Registry<F: Scalar> {
    layers: Classes<AnyLayer<F>, F>,
    cells: Classes<AnyCell, F>,
    losses: Classes<Arc<dyn Loss<F>>, F>,
    metrics: Classes<Tracked<F>, F>,
    optimizers: Classes<Arc<dyn Optimizer<F>>, F>,
    /// The layers of a model that is being made that stand in several places of it, by their number.
    shared: Mutex<HashMap<u64, AnyLayer<F>>>,
    /// Whether models within the model that is being made have values.
    pub(super) gives_values: bool,
}

impl<F: Scalar> std::fmt::Debug for Registry<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("layers", &self.layer_classes())
            .field("losses", &self.loss_classes())
            .field("metrics", &self.metric_classes())
            .field("optimizers", &self.optimizer_classes())
            .finish_non_exhaustive()
    }
}

/// Classes of one kind, in the order of their names.
struct Classes<T, F: Scalar>(Vec<(String, Make<T, F>)>);

impl<T, F: Scalar> Clone for Classes<T, F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, F: Scalar> Classes<T, F> {
    /// Adds a class, or takes the place of the one with this name.
    fn insert(&mut self, class: &str, make: Make<T, F>) {
        match self.find(class) {
            Ok(at) => self.0[at].1 = make,
            Err(at) => self.0.insert(at, (class.to_owned(), make)),
        }
    }

    /// Where the class is, or would be.
    fn find(&self, class: &str) -> std::result::Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(class))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(class, _)| class.as_str())
    }

    /// An object of a class, which is a `what`.
    fn make(&self, what: &'static str, class: &str, options: &Config, registry: &Registry<F>) -> Result<T> {
        let at = self.find(class).map_err(|_| Error::unknown(what, class, self.names().map(str::to_owned)))?;
        self.0[at].1(options, registry).map_err(|error| error.within(class))
    }
}

impl<F: Scalar> Registry<F> {
    /// Without any class.
    pub fn empty() -> Self {
        Self {
            layers: Classes(Vec::new()),
            cells: Classes(Vec::new()),
            losses: Classes(Vec::new()),
            metrics: Classes(Vec::new()),
            optimizers: Classes(Vec::new()),
            shared: Mutex::default(),
            gives_values: true,
        }
    }

    /// The same classes, to make one model of: no layers that are shared are known yet. Models within it have values, or
    /// only places for them.
    pub(super) fn for_one_model(&self, gives_values: bool) -> Self {
        Self {
            layers: self.layers.clone(),
            cells: self.cells.clone(),
            losses: self.losses.clone(),
            metrics: self.metrics.clone(),
            optimizers: self.optimizers.clone(),
            shared: Mutex::default(),
            gives_values,
        }
    }

    /// The shared layer of this number: made where it comes first, the same wherever it comes again.
    pub(super) fn once(
        &self,
        id: u64,
        name: Option<&str>,
        make: impl FnOnce() -> Result<AnyLayer<F>>,
    ) -> Result<AnyLayer<F>> {
        let known = self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let Some(known) = known else {
            let made = make()?;
            self.shared.lock().unwrap_or_else(PoisonError::into_inner).insert(id, made.clone());
            return Ok(made);
        };
        Ok(AnyLayer { name: name.map(str::to_owned), ..known })
    }

    /// With a custom layer, known by the name of its class.
    pub fn with_layer<L: Layer<F> + Configured + 'static>(self) -> Self {
        self.with_layer_fn(L::CLASS, |options, _| Ok(AnyLayer::single(L::from_config(options)?)))
    }

    /// With a layer of several inputs or outputs.
    pub fn with_multi_layer<L: MultiLayer<F> + Configured + 'static>(self) -> Self {
        self.with_layer_fn(L::CLASS, |options, _| Ok(AnyLayer::several(L::from_config(options)?)))
    }

    /// With a layer that is made by a function, which can make layers inside it through the registry.
    pub fn with_layer_fn(
        mut self,
        class: &str,
        make: impl Fn(&Config, &Self) -> Result<AnyLayer<F>> + Send + Sync + 'static,
    ) -> Self {
        self.layers.insert(class, Arc::new(make));
        self
    }

    /// With a custom recurrent cell, known by the name of its class wherever a configuration has a cell: in `RNN`,
    /// `StackedRNNCells`, and so in `Bidirectional`.
    pub fn with_cell<C>(self) -> Self
    where
        C: RecurrentCell<f32> + RecurrentCell<f64> + Configured + 'static,
    {
        self.with_cell_fn(C::CLASS, |options, _| Ok(AnyCell::new(C::from_config(options)?)))
    }

    /// With a recurrent cell that is made by a function, which can make cells inside it through the registry.
    pub fn with_cell_fn(
        mut self,
        class: &str,
        make: impl Fn(&Config, &Self) -> Result<AnyCell> + Send + Sync + 'static,
    ) -> Self {
        self.cells.insert(class, Arc::new(make));
        self
    }

    /// With a custom loss.
    pub fn with_loss<L: Loss<F> + Configured + 'static>(mut self) -> Self {
        self.losses.insert(L::CLASS, Arc::new(|options, _| Ok(Arc::new(L::from_config(options)?))));
        self
    }

    /// With a custom metric.
    pub fn with_metric<M: Metric<F> + Configured + 'static>(mut self) -> Self {
        self.metrics.insert(M::CLASS, Arc::new(|options, _| Ok(Tracked::new(M::from_config(options)?))));
        self
    }

    /// With a custom optimizer.
    pub fn with_optimizer<O: Optimizer<F> + Configured + 'static>(mut self) -> Self {
        self.optimizers.insert(O::CLASS, Arc::new(|options, _| Ok(Arc::new(O::from_config(options)?))));
        self
    }

    /// A layer from its class and options; a `name` among them is the layer's.
    ///
    /// # Errors
    /// If the class is not known, or an option is not one of its own or has the wrong kind of value.
    pub fn make_layer(&self, class: &str, options: &Config) -> Result<AnyLayer<F>> {
        let layer = self.layers.make("layer class", class, options, self)?;
        Ok(match options.get("name").and_then(Value::as_str) {
            Some(name) => layer.named(name),
            None => layer,
        })
    }

    /// Whether a class of layers is known.
    pub(super) fn has_layer(&self, class: &str) -> bool {
        self.layers.find(class).is_ok()
    }

    /// A recurrent cell from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_cell(&self, class: &str, options: &Config) -> Result<AnyCell> {
        self.cells.make("cell class", class, options, self)
    }

    /// A loss from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_loss(&self, class: &str, options: &Config) -> Result<Arc<dyn Loss<F>>> {
        self.losses.make("loss class", class, options, self)
    }

    /// An optimizer from its class and options.
    ///
    /// # Errors
    /// As [`make_layer`](Self::make_layer).
    pub fn make_optimizer(&self, class: &str, options: &Config) -> Result<Arc<dyn Optimizer<F>>> {
        self.optimizers.make("optimizer class", class, options, self)
    }

    /// A metric from its class and options.
    pub(crate) fn make_metric(&self, class: &str, options: &Config) -> Result<Tracked<F>> {
        self.metrics.make("metric class", class, options, self)
    }

    /// The classes of layers that are known, in the order of their names.
    pub fn layer_classes(&self) -> Vec<&str> {
        self.layers.names().collect()
    }

    /// The classes of losses that are known, in the order of their names.
    ///
    /// ```
    /// assert!(gradus::registry::Registry::<f32>::standard().loss_classes().contains(&"Huber"));
    /// ```
    pub fn loss_classes(&self) -> Vec<&str> {
        self.losses.names().collect()
    }

    /// The classes of metrics that are known, in the order of their names.
    ///
    /// ```
    /// assert!(gradus::registry::Registry::<f32>::standard().metric_classes().contains(&"AUC"));
    /// ```
    pub fn metric_classes(&self) -> Vec<&str> {
        self.metrics.names().collect()
    }

    /// The classes of optimizers that are known, in the order of their names.
    ///
    /// ```
    /// assert!(gradus::registry::Registry::<f32>::standard().optimizer_classes().contains(&"Adam"));
    /// ```
    pub fn optimizer_classes(&self) -> Vec<&str> {
        self.optimizers.names().collect()
    }
}
