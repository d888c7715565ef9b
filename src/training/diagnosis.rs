//! What a batch tells of the layers: sizes of weights and gradients, and units that are silent.

use std::fmt;

use ndarray::{ArrayD, Axis};

use super::fit::Fit;
use crate::ids::LayerId;
use crate::models::Model;
use crate::tensor::inputs::IntoInputs;
use crate::{Result, Scalar};

/// Classes without weights whose outputs may be zero for good.
const ACTIVATIONS: [&str; 2] = ["Activation", "ReLU"];

/// One layer, as a batch shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDiagnosis {
    /// The layer's name.
    pub layer: String,
    /// ‖w‖₂ over all its learned weights; 0 without any.
    pub weight_norm: f64,
    /// ‖∂L/∂w‖₂ over the same, penalties included; 0 for a frozen layer.
    pub gradient_norm: f64,
    /// Units, channels or features: the size of its output's last axis.
    pub units: usize,
    /// How many of them are 0 in every row and at every place: dead, if they stay so on other batches.
    pub dead_units: usize,
}

/// What [`Model::diagnose`] found. Its `Display` is a table.
///
/// | what is seen | what it may mean |
/// | --- | --- |
/// | gradients that shrink from the last layer to the first by powers of ten | they vanish: ReLU, normalization, skips, another initializer |
/// | gradients of 100 and more | they explode: `clipnorm`, a lower rate |
/// | many dead units after a ReLU | too high a rate, or inputs that are not centred: LeakyReLU, a lower rate |
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The loss of the batch, as in a training step.
    pub loss: f64,
    layers: Vec<LayerDiagnosis>,
}

impl Diagnosis {
    /// The layers that have weights, and activations, in the order of the model.
    pub fn layers(&self) -> &[LayerDiagnosis] {
        &self.layers
    }

    /// ‖∂L/∂w‖₂ over all weights of the model.
    pub fn gradient_norm(&self) -> f64 {
        self.layers.iter().map(|layer| layer.gradient_norm.powi(2)).sum::<f64>().sqrt()
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|layer| layer.layer.chars().count()).max().unwrap_or(0).max(5);
        writeln!(f, "{:<width$}  {:>10}  {:>10}  {:>13}", "layer", "‖weights‖", "‖gradient‖", "dead units")?;
        for layer in &self.layers {
            let dead = format!("{} of {}", layer.dead_units, layer.units);
            let [weights, gradient] = [layer.weight_norm, layer.gradient_norm].map(|norm| format!("{norm:.3e}"));
            writeln!(f, "{:<width$}  {weights:>10}  {gradient:>10}  {dead:>13}", layer.layer)?;
        }
        Ok(())
    }
}

impl<F: Scalar> Model<F> {
    /// How large each layer's weights and gradients are on a batch, and which units say nothing. Nothing changes.
    ///
    /// Gradients are those of a training step, dropout included; outputs are those of `predict`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    /// # Example
    /// ```
    /// use gradus::prelude::*;
    /// let mut model = Sequential::new()
    ///     .input([2])
    ///     .add(Dense::new(8).activation(Relu))
    ///     .add(Dense::new(1))
    ///     .compile(MeanSquaredError::new(), SGD::new())
    ///     .build()?;
    /// let diagnosis = model.diagnose(&array![[0.5f32, -1.0], [1.0, 2.0]], &array![[1.0f32], [0.0]])?;
    /// println!("{diagnosis}");
    /// assert_eq!(diagnosis.layers()[0].units, 8);
    /// assert!(diagnosis.gradient_norm() > 0.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    pub fn diagnose<'a>(&mut self, x: impl IntoInputs<'a, F>, y: impl IntoInputs<'a, F>) -> Result<Diagnosis> {
        let x = x.into_inputs();
        let (gradients, loss) = self.gradients_and_loss(x.clone(), y, Fit::new())?;
        let graph = &self.graph;
        let shown: Vec<LayerId> = graph
            .layer_ids()
            .filter(|&layer| {
                let learns = graph.own_specs(layer).iter().any(|spec| spec.learned);
                learns || ACTIVATIONS.contains(&graph.layers[layer].description.class.as_str())
            })
            .collect();
        let names: Vec<&str> = shown.iter().map(|&layer| graph.layers[layer].name.as_str()).collect();
        let outputs = self.layer_outputs(x, &names)?;
        let layers = shown.iter().zip(&names).zip(&outputs).map(|((&layer, &name), output)| {
            let learned = || graph.own_specs(layer).iter().filter(|spec| spec.learned);
            let of_layer = |path: &str| learned().any(|spec| graph.param_path(layer, spec) == path);
            let own = gradients.iter().filter(|(path, _)| self.trains[layer] && of_layer(path));
            LayerDiagnosis {
                layer: name.to_owned(),
                weight_norm: norm(learned().flat_map(|spec| &self.params[spec.range.clone()])),
                gradient_norm: norm(own.flat_map(|(_, gradient)| gradient)),
                units: output.shape().last().copied().unwrap_or(1),
                dead_units: dead_units(output),
            }
        });
        Ok(Diagnosis { loss, layers: layers.collect() })
    }
}

fn norm<'v, F: Scalar>(values: impl Iterator<Item = &'v F>) -> f64 {
    values.map(|value| value.f64().powi(2)).sum::<f64>().sqrt()
}

fn dead_units<F: Scalar>(output: &ArrayD<F>) -> usize {
    let units = output.axis_iter(Axis(output.ndim() - 1));
    units.filter(|unit| unit.iter().all(|value| *value == F::zero())).count()
}
