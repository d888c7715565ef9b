//! Gradients of layers and models.

use std::sync::{Arc, Mutex};

use ndarray::{ArrayD, IxDyn};
use rand::Rng;

use super::differences::{Closeness, Variable, compare};
use crate::data::{Arrays, Dataset};
use crate::engine::recipe::{Entry, Recipe};
use crate::error::GradientReport;
use crate::ids::{EntryId, Id};
use crate::layers::Mode;
use crate::models::training_pass::StepData;
use crate::models::{AnyLayer, IntoInputs, IntoLayer, Pass};
use crate::optimizers::{Driver, Optimizer, OptimizerOptions, Update};
use crate::scalar::Element;
use crate::training::Learner;
use crate::{Error, Model, Result, Scalar, random};

/// Compares a layer's gradients, of every input and every parameter, with central differences.
///
/// `x` is a batch: an array whose first axis counts the rows, or for a layer with several inputs a tuple of references.
/// The layer is checked in training (with a fixed seed, so that a dropout's mask stays the same) and in inference.
/// Parameters are moved a little from where they start, since zeros hide errors. [`GradientCheck`] has options.
///
/// ```
/// use gradus::check::check_gradients;
/// use gradus::custom::*;
///
/// let x = array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.6]];
/// let report = check_gradients(Dense::new(4).activation(Gelu), &x)?;
/// assert_eq!(report.tensors[1].name, "dense/kernel");
///
/// // Embedding dimensions, sequences, images: any rank.
/// check_gradients(Permute::new([2, 1]), &Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i * j + k) as f64))?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Gradient`] with a report of all tensors if one disagrees; or if the layer refuses such an input.
pub fn check_gradients<'a, M>(layer: impl IntoLayer<f64, M>, x: impl IntoInputs<'a, f64>) -> Result<GradientReport> {
    GradientCheck::new().check(layer, x)
}

/// Compares a model's gradients, of every input and every parameter that trains, with central differences: in training
/// and in inference, at its own weights.
///
/// ```
/// use gradus::check::check_model;
/// use gradus::custom::*;
///
/// let model = Sequential::f64().input([3]).add(Dense::new(4).activation(Tanh)).add(Dense::new(2)).build()?;
/// check_model(&model, &array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.6]])?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Gradient`] with a report of all tensors if one disagrees; or if the inputs do not fit.
pub fn check_model<'a>(model: &Model<f64>, x: impl IntoInputs<'a, f64>) -> Result<GradientReport> {
    GradientCheck::new().check_model(model, x)
}

/// Compares the gradients that one step of `fit` computes with central differences of the loss that it reports: the
/// losses of all outputs, joined with the last activation where they are, penalties, shards and all.
///
/// ```
/// use gradus::check::check_training;
/// use gradus::custom::*;
///
/// let model = Sequential::f64()
///     .input([3])
///     .add(Dense::new(4).activation(Tanh).kernel_regularizer(Regularizer::L2(0.1)))
///     .add(Dense::new(2).activation(Softmax))
///     .compile(SparseCategoricalCrossentropy::new(), SGD::new())
///     .build()?;
/// check_training(&model, &array![[0.3, -1.2, 0.8], [1.1, 0.4, -0.6]], &array![1, 0])?;
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Gradient`] with a report of all parameters if one disagrees; or if the model is not compiled or the data do
/// not fit.
pub fn check_training<'a>(
    model: &Model<f64>,
    x: impl IntoInputs<'a, f64>,
    y: impl IntoInputs<'a, f64>,
) -> Result<GradientReport> {
    GradientCheck::new().check_training(model, x, y)
}

/// [`check_gradients`], [`check_model`] and [`check_training`] with options.
///
/// # Defaults
/// `tolerance` 10⁻⁶, `sample` 200, `seed` 0, inputs checked, training and inference.
///
/// ```
/// use gradus::check::GradientCheck;
/// use gradus::prelude::*;
///
/// GradientCheck::new().tolerance(1e-8).inference(false).check(Relu, &array![[0.5, -2.0]])?;
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GradientCheck {
    closeness: Closeness,
    inputs: bool,
    modes: Vec<Mode>,
}

impl Default for GradientCheck {
    fn default() -> Self {
        Self::new()
    }
}

const TRAINING: Mode = Mode::Training { seed: 0, step: 0 };

impl GradientCheck {
    /// With every option at its default.
    pub fn new() -> Self {
        Self {
            closeness: Closeness { tolerance: 1e-6, sample: 200, seed: 0 },
            inputs: true,
            modes: vec![TRAINING, Mode::Inference],
        }
    }

    /// The error that is allowed, in proportion to the largest gradient of the tensor. Default: 10⁻⁶.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.closeness.tolerance = tolerance;
        self
    }

    /// Of a tensor with more elements than this, so many are compared, and the derivative along one random direction.
    /// Default: 200.
    pub fn sample(mut self, elements: usize) -> Self {
        self.closeness.sample = elements.max(1);
        self
    }

    /// The seed of the weights of the outputs, of parameters and samples. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.closeness.seed = seed;
        self
    }

    /// Whether gradients of inputs are checked: not for token ids, which cannot be moved a little. Default: true.
    pub fn inputs(mut self, inputs: bool) -> Self {
        self.inputs = inputs;
        self
    }

    /// Whether inference is checked beside training. Default: true.
    pub fn inference(mut self, inference: bool) -> Self {
        self.modes.retain(|mode| *mode != Mode::Inference);
        if inference {
            self.modes.push(Mode::Inference);
        }
        self
    }

    /// Whether training is checked beside inference. Default: true.
    pub fn training(mut self, training: bool) -> Self {
        self.modes.retain(|mode| *mode == Mode::Inference);
        if training {
            self.modes.insert(0, TRAINING);
        }
        self
    }

    /// [`check_gradients`] with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check<'a, M>(&self, layer: impl IntoLayer<f64, M>, x: impl IntoInputs<'a, f64>) -> Result<GradientReport> {
        let inputs = arrays(x);
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|x| x.shape().get(1..).unwrap_or(&[]).to_vec()).collect();
        let mut model = layer_model(&layer.into_layer(), &shapes)?;
        shake(&mut model, self.closeness.seed);
        let class = model.graph.layers[0].description.class.clone();
        self.all_modes(&model, &inputs, &class)
    }

    /// [`check_model`](self::check_model) with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check_model<'a>(&self, model: &Model<f64>, x: impl IntoInputs<'a, f64>) -> Result<GradientReport> {
        self.all_modes(model, &arrays(x), &format!("model `{}`", model.name()))
    }

    fn all_modes(&self, model: &Model<f64>, inputs: &[ArrayD<f64>], what: &str) -> Result<GradientReport> {
        let mut reports = self.modes.iter().map(|&mode| {
            let in_mode = if mode == Mode::Inference { "inference" } else { "training" };
            self.in_mode(model, inputs, mode, format!("{what} in {in_mode}"))?.into_result()
        });
        let first = reports.next().ok_or_else(|| Error::option("modes", "training or inference", "neither"))??;
        reports.try_for_each(|report| report.map(|_| ()))?;
        Ok(first)
    }

    fn in_mode(
        &self,
        model: &Model<f64>,
        inputs: &[ArrayD<f64>],
        mode: Mode,
        subject: String,
    ) -> Result<GradientReport> {
        let mut model = model.clone();
        let mut inputs = inputs.to_vec();
        let mut pass = model.pass_with_input_gradients().with_penalties(true);
        model.forward(&mut pass, &inputs[..], mode)?;
        let weights: Vec<ArrayD<f64>> = (0..model.graph.outputs.len())
            .map(|i| output_weights(pass.output(i).shape(), i, self.closeness.seed))
            .collect();
        model.backward(&mut pass, &weights[..])?;

        let mut variables: Vec<Variable> = Vec::new();
        if self.inputs {
            for (i, (input, entry)) in inputs.iter().zip(&model.graph.inputs).enumerate() {
                let gradient = pass.input_gradient(i).expect("the pass was made for input gradients");
                variables.push(Variable {
                    name: entry.name.clone(),
                    shape: input.shape().to_vec(),
                    values: input.iter().copied().collect(),
                    analytic: gradient.to_vec(),
                });
            }
        }
        let first = variables.len();
        let trained = trained_params(&model);
        for (name, shape, range) in &trained {
            variables.push(Variable {
                name: name.clone(),
                shape: shape.clone(),
                values: model.params[range.clone()].to_vec(),
                analytic: pass.gradients()[range.clone()].to_vec(),
            });
        }
        compare(subject, &variables, self.closeness, &mut |values, terms| {
            for (input, values) in inputs.iter_mut().zip(&values[..first]) {
                input.iter_mut().zip(values).for_each(|(x, &value)| *x = value);
            }
            for ((_, _, range), values) in trained.iter().zip(&values[first..]) {
                model.params[range.clone()].copy_from_slice(values);
            }
            model.forward(&mut pass, &inputs[..], mode)?;
            terms.clear();
            for (i, weights) in weights.iter().enumerate() {
                terms.extend(pass.output(i).iter().zip(weights).map(|(y, weight)| y * weight));
            }
            terms.push(model.penalty());
            pass.executor.visit(&model, |(), shard| terms.push(shard.activity_penalty()));
            Ok(())
        })
    }

    /// [`check_training`](self::check_training) with these options.
    ///
    /// # Errors
    /// As there.
    pub fn check_training<'a>(
        &self,
        model: &Model<f64>,
        x: impl IntoInputs<'a, f64>,
        y: impl IntoInputs<'a, f64>,
    ) -> Result<GradientReport> {
        const CALL: &str = "check_training";
        let mut model = model.clone();
        let data = Arrays::new(x, y);
        model.compiled_or(CALL)?;
        model.check_arrays(CALL, &data)?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (network, compiled) = model.parts_mut(CALL)?;
        compiled.driver = Driver::from_arc(Arc::new(KeepGradients(kept.clone())), &network.graph)?;
        compiled.pass.prepare(network, &compiled.objectives, &data)?;
        let rows: Vec<usize> = (0..data.len()).collect();
        let data = StepData { dataset: &data, rows: &rows, class_weights: None, check: false };
        let start = model.params.clone();
        let one_step = |model: &mut Model<f64>| {
            let (network, compiled) = model.parts_mut(CALL)?;
            compiled.driver.calls = 0; // the same random numbers each time
            kept.lock().expect("no other thread").clear();
            let mode = Mode::Training { seed: network.seed, step: 0 };
            let threads = network.threads.clone();
            threads.enter(|| {
                let loss = compiled.pass.forward(network, &mut compiled.objectives, &data, mode)?;
                compiled.pass.backward(network, &compiled.objectives)?;
                compiled.pass.apply(network, &mut compiled.driver).map(|()| loss)
            })
        };
        one_step(&mut model)?;
        let mut gradients = kept.lock().expect("no other thread").clone().into_iter();
        let trained = trained_params(&model);
        let variables: Vec<Variable> = trained
            .iter()
            .map(|(name, shape, range)| Variable {
                name: name.clone(),
                shape: shape.clone(),
                values: start[range.clone()].to_vec(),
                analytic: gradients.next().unwrap_or_default(),
            })
            .collect();
        let subject = format!("a training step of model `{}`", model.name());
        compare(subject, &variables, self.closeness, &mut |values, terms| {
            model.params.copy_from_slice(&start); // a step leaves moving statistics behind
            for ((_, _, range), values) in trained.iter().zip(values) {
                model.params[range.clone()].copy_from_slice(values);
            }
            terms.clear();
            terms.push(one_step(&mut model)?);
            Ok(())
        })?
        .into_result()
    }
}

/// An optimizer that changes nothing and keeps the gradients, parameter by parameter.
struct KeepGradients(Arc<Mutex<Vec<Vec<f64>>>>);

impl Optimizer<f64> for KeepGradients {
    fn options(&self) -> OptimizerOptions {
        OptimizerOptions::default()
    }
    fn update(&self, update: &mut Update<'_, f64>) {
        self.0.lock().expect("no thread that holds it panics").push(update.gradient.to_vec());
    }
    fn couples_weights(&self) -> bool {
        true // whole parameters, in order
    }
}

/// The parameters that training changes: path, shape, place.
fn trained_params(model: &Model<f64>) -> Vec<(String, Vec<usize>, std::ops::Range<usize>)> {
    let graph = &model.graph;
    graph
        .layer_ids()
        .filter(|&layer| model.trains[layer])
        .flat_map(|layer| graph.own_specs(layer).iter().map(move |spec| (layer, spec)))
        .filter(|(_, spec)| spec.learned)
        .map(|(layer, spec)| (graph.param_path(layer, spec), spec.shape.clone(), spec.range.clone()))
        .collect()
}

/// Custom arrays.
fn arrays<'a>(x: impl IntoInputs<'a, f64>) -> Vec<ArrayD<f64>> {
    x.into_inputs().into_vec().into_iter().map(|given| given.into_owned().into_array()).collect()
}

/// The model that is one layer with all its outputs.
pub(super) fn layer_model<F: Scalar>(layer: &AnyLayer<F>, inputs: &[Vec<usize>]) -> Result<Model<F>> {
    layer_model_calls(layer, inputs, 1)
}

/// The model that is `calls` calls of one layer, each on inputs of its own.
pub(super) fn layer_model_calls<F: Scalar>(
    layer: &AnyLayer<F>,
    inputs: &[Vec<usize>],
    calls: usize,
) -> Result<Model<F>> {
    let count = inputs.len();
    let with_outputs = |outputs: usize| {
        let mut entries: Vec<Entry<F>> = (0..calls)
            .flat_map(|_| {
                inputs.iter().map(|shape| Entry::Input { name: None, shape: shape.clone().into(), batch: None })
            })
            .collect();
        let first = entries.len();
        entries.extend((0..calls).map(|call| Entry::Call {
            layer: layer.clone(),
            inputs: (0..count).map(|i| (EntryId::new(call * count + i), 0)).collect(),
        }));
        let calls = (0..calls).map(|call| EntryId::new(first + call));
        let outputs = calls.flat_map(|call| (0..outputs).map(move |output| (call, output))).collect();
        Model::from_recipe(Recipe { name: "check".into(), seed: 0, entries, outputs, chain: false })
    };
    let model = with_outputs(1)?;
    match &layer.kind {
        crate::engine::recipe::LayerKind::Operation(_) => match model.graph.layers[0].output.len() {
            1 => Ok(model),
            outputs => with_outputs(outputs),
        },
        crate::engine::recipe::LayerKind::Model(inner)
        | crate::engine::recipe::LayerKind::EachStep { model: inner, .. } => {
            with_outputs(inner.network.graph.outputs.len())
        }
    }
}

/// Moves every learned parameter a little, by amounts that `f32` holds exactly.
pub(super) fn shake<F: Scalar>(model: &mut Model<F>, seed: u64) {
    let mut rng = random::rng(seed, "check/parameters");
    let graph = model.graph.clone();
    for spec in graph.specs.iter().filter(|spec| spec.learned) {
        for value in &mut model.params[spec.range.clone()] {
            *value += F::of(f64::from(rng.random_range(-0.25f32..0.25)));
        }
    }
}

/// The weights g of an output in L = Σ g·y, of the size of 1 and none near 0, exact in `f32`.
pub(super) fn output_weights<F: Scalar>(shape: &[usize], output: usize, seed: u64) -> ArrayD<F> {
    let mut rng = random::rng(seed, format!("check/output {output}"));
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        let size = rng.random_range(0.5f32..1.5);
        F::of(f64::from(if rng.random() { size } else { -size }))
    })
}

/// What a forward and a backward pass give.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Passed<F> {
    pub outputs: Vec<ArrayD<F>>,
    pub input_gradients: Vec<ArrayD<F>>,
    pub gradients: Vec<F>,
}

/// Runs a batch forward and back.
pub(super) fn run_pass<F: Scalar + Element<F>>(
    model: &Model<F>,
    pass: &mut Pass<F>,
    inputs: &[ArrayD<F>],
    grads: Option<&[ArrayD<F>]>,
    mode: Mode,
) -> Result<Passed<F>> {
    model.forward(pass, inputs, mode)?;
    let array = |view: crate::View<'_, F>| view.array().to_owned();
    let outputs: Vec<ArrayD<F>> = (0..model.graph.outputs.len()).map(|i| array(pass.output(i))).collect();
    if let Some(grads) = grads {
        model.backward(pass, grads)?;
    } else {
        let grads: Vec<ArrayD<F>> = outputs.iter().enumerate().map(|(i, y)| output_weights(y.shape(), i, 0)).collect();
        model.backward(pass, &grads[..])?;
    }
    let input_gradients = (0..inputs.len()).filter_map(|i| pass.input_gradient(i).map(array)).collect();
    Ok(Passed { outputs, input_gradients, gradients: pass.gradients().to_vec() })
}
