//! A network: a graph and its parameters.

use std::sync::Arc;

use ndarray::ArrayD;

use super::exchange::Exchange;
use super::graph::Graph;
use super::identity::Identity;
use crate::ids::numbered;
use crate::kernels::aligned::Aligned;
use crate::parallel::Threads;
use crate::tensor::{Shape, to_array};
use crate::{Error, Result, Scalar};

/// A graph of layers and its parameters: what a [`Model`](crate::Model) predicts and learns with, whatever it was
/// compiled for. Every method of it is the model's too.
///
/// Predicting changes nothing in it, so one network serves many threads at once. A clone is a network of its own with the
/// same weights, also as a part of a larger one: it shares them with nothing.
pub struct Network<F: Scalar = f32> {
    pub(crate) graph: Arc<Graph<F>>,
    pub(crate) params: Aligned<F>,
    /// For each layer, whether training changes it.
    pub(crate) trains: Vec<bool>,
    /// For each layer, by what another graph knows its parameters.
    pub(crate) identities: Vec<Identity>,
    pub(crate) threads: Threads,
    pub(crate) seed: u64,
    /// Where the shards of a batch meet those of other processes.
    pub(crate) exchange: Option<Arc<dyn Exchange<F>>>,
}

impl<F: Scalar> Network<F> {
    /// The model's name.
    pub fn name(&self) -> &str {
        &self.graph.name
    }

    /// The shape of one row of input number `i`, none of whose axes is open: see [`input_axes`](Self::input_axes).
    ///
    /// # Panics
    /// If the model has fewer inputs, or an axis of this one is open.
    pub fn input_shape(&self, i: usize) -> &[usize] {
        fixed(self.input_axes(i), "input")
    }

    /// The shape of one row of output number `i`, none of whose axes is open: see [`output_axes`](Self::output_axes), and
    /// [`compute_output_shapes`](Self::compute_output_shapes).
    ///
    /// # Panics
    /// If the model has fewer outputs, or an axis of this one is open.
    pub fn output_shape(&self, i: usize) -> &[usize] {
        fixed(self.output_axes(i), "output")
    }

    /// The shape of one row of input number `i`, whose axes may be open.
    ///
    /// # Panics
    /// If the model has fewer inputs.
    pub fn input_axes(&self, i: usize) -> &Shape {
        &self.graph.inputs[i].shape
    }

    /// The shape of one row of output number `i`, whose axes may be open.
    ///
    /// # Panics
    /// If the model has fewer outputs.
    pub fn output_axes(&self, i: usize) -> &Shape {
        &self.graph.slots[self.graph.outputs[i]].shape
    }

    /// The shapes of one row of every output, for rows of inputs of these shapes.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input((None, None, 3)).add(Conv2D::new(8, 3).strides(2)).build()?;
    /// assert_eq!(model.compute_output_shapes(&[&[33, 65, 3]])?, [[16, 32, 8]]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a shape is not one that the input takes, or a layer refuses what becomes of it.
    pub fn compute_output_shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Vec<usize>>> {
        let shapes = self.graph.shapes_of("compute_output_shapes", inputs)?;
        Ok(self.graph.outputs.iter().map(|&slot| shapes.of[slot].clone()).collect())
    }

    /// The activation in which output number 0 ends, if it is the last thing its layer does.
    pub(crate) fn output_activation(&self) -> Option<crate::Activation> {
        let slot = self.graph.outputs[0];
        self.graph.layer(self.graph.node_of(slot))?.facts.output_activation.clone()
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
        // Layers that share parameters: the path of each will do.
        let graph = &self.graph;
        let mut all = graph.layer_ids().flat_map(|layer| graph.layer_specs(layer).iter().map(move |s| (layer, s)));
        all.find(|(layer, spec)| graph.param_path(*layer, spec) == path)
            .map(|(_, spec)| spec)
            .ok_or_else(|| Error::unknown("parameter", path, self.graph.param_paths().map(|(path, _)| path)))
    }

    /// Freezes or thaws a layer, or with the name of a model inside this one all of its layers; and with a layer all that
    /// share its parameters. A frozen layer still passes gradients on.
    ///
    /// # Errors
    /// If there is no layer of that name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        let within = format!("{layer}/");
        let graph = self.graph.clone();
        let mut meant = vec![false; graph.layers.len()];
        for (number, entry) in numbered(&graph.layers) {
            meant[graph.owner(number)] |= entry.name == layer || entry.name.starts_with(&within);
        }
        if !meant.contains(&true) {
            return graph.find_layer(layer).map(|_| ());
        }
        for (number, trains) in graph.layer_ids().zip(&mut self.trains) {
            if meant[graph.owner(number)] {
                *trains = trainable;
            }
        }
        Ok(())
    }

    /// Computes on exactly `count` threads, of which the caller is one. By default all cores, or `GRADUS_NUM_THREADS`.
    /// The numbers that come out do not depend on it.
    ///
    /// Models that were told nothing share their threads, and so do clones of one model: of two that compute at the same
    /// time one has them, and the other its caller's alone.
    ///
    /// # Errors
    /// If `count` is 0 or more than 1024, or the system does not grant them.
    pub fn set_threads(&mut self, count: usize) -> Result<()> {
        self.threads = Threads::new(count)?;
        Ok(())
    }

    /// Computes a part of every batch, and joins it with what other processes compute of it.
    pub fn set_exchange(&mut self, exchange: impl Exchange<F> + 'static) {
        self.exchange = Some(Arc::new(exchange));
    }

    /// The seed of everything random in training: shuffling, dropout, noise.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }
}

/// No layer of a copy is one of the original's.
impl<F: Scalar> Clone for Network<F> {
    fn clone(&self) -> Self {
        let mut identities = Vec::with_capacity(self.graph.layers.len());
        for layer in &self.graph.layers {
            let identity = layer.shares.map_or_else(Identity::fresh, |owner| identities[owner]);
            identities.push(identity);
        }
        Self {
            graph: self.graph.clone(),
            params: self.params.clone(),
            trains: self.trains.clone(),
            identities,
            threads: self.threads.clone(),
            seed: self.seed,
            exchange: self.exchange.clone(),
        }
    }
}

/// A shape as it is asked for by who needs it fixed.
fn fixed<'s>(shape: &'s Shape, what: &str) -> &'s [usize] {
    shape.fixed().unwrap_or_else(|| {
        panic!("the {what} {shape} has open axes, whose sizes are a batch's: ask for `{what}_axes`, or `compute_output_shapes`")
    })
}

impl<F: Scalar> std::fmt::Debug for Network<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("name", &self.name())
            .field("layers", &self.layer_names())
            .finish_non_exhaustive()
    }
}

impl<F: Scalar> AsRef<Network<F>> for Network<F> {
    fn as_ref(&self) -> &Self {
        self
    }
}
