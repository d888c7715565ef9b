//! Models on disk: weights, whole models, and checkpoints, in safetensors files with JSON metadata.
//!
//! | metadata | what |
//! | --- | --- |
//! | `format` | `gradus` |
//! | `model` | the architecture, as [`Model::to_config`] gives it |
//! | `compile` | losses, metrics and optimizer |
//! | `training` | epochs, steps, seed, rate |
//! | `steps` | what prepares the model's input |
//!
//! Tensors are called as the weights are, `dense_1/kernel`; an optimizer's values as `optimizer/momentum/dense_1/kernel`.

use std::borrow::Cow;
use std::path::Path;

use serde_json::{Value, json};

use super::Model;
use super::architecture::{to_config, without_values};
use super::compile::{Compile, Compiled};
use super::registry::Registry;
use crate::config::{self, Setting};
use crate::data::preprocessing::{STEPS, Steps};
use crate::engine::Network;
use crate::engine::graph::Graph;
use crate::engine::recipe::Recipe;
use crate::formats::safetensors::{Tensor, TensorFile};
use crate::kernels::aligned::Aligned;
use crate::optimizers::Driver;
use crate::{Error, Result, Scalar};

/// Before an optimizer's tensors.
pub(super) const OPTIMIZER: &str = "optimizer";

/// A training as a file holds it.
pub(crate) struct Training<F: Scalar> {
    pub params: Aligned<F>,
    pub driver: Driver<F>,
    pub epochs: usize,
    pub seed: u64,
}

/// The text of a configuration, refused where it is nested more deeply than a reader allows.
fn readable(config: &Value, model: &str) -> Result<String> {
    /// `serde_json` reads no deeper, so that a hostile file cannot exhaust the stack.
    const DEEPEST: usize = 127;
    fn depth(value: &Value) -> usize {
        let within = match value {
            Value::Array(values) => values.iter().map(depth).max(),
            Value::Object(values) => values.values().map(depth).max(),
            _ => return 0,
        };
        1 + within.unwrap_or(0)
    }
    let depth = depth(config);
    if depth > DEEPEST {
        let problem = format!(
            "its configuration is {depth} levels deep, and a file can have {DEEPEST}: fewer models inside one another can be saved"
        );
        return Err(Error::Graph { model: model.into(), problem });
    }
    Ok(config.to_string())
}

impl<F: Scalar> Model<F> {
    /// Writes the weights to a safetensors file, which Python's `safetensors` reads too. It is written aside and
    /// renamed, so that a failure leaves what was there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        weights_file(&self.network, "weights").write(path)
    }

    /// Reads the weights from a file of [`save_weights`](Self::save_weights), [`save`](Self::save) or
    /// [`save_checkpoint`](Self::save_checkpoint). All are checked before any is set.
    ///
    /// # Errors
    /// If the file is damaged or not of gradus, lacks a weight, has one too many, or one of another shape or type.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let file = read(path)?;
        self.params = weights(&self.graph, &file, path)?;
        Ok(())
    }

    /// Writes the whole model: architecture, weights, and what it was compiled with, as far as that can be saved.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4]).add(Dense::new(2).activation(Tanh)).build()?;
    /// let path = std::env::temp_dir().join("gradus-doc-model.safetensors");
    /// model.save(&path)?;
    /// let again = Model::<f32>::load(&path)?;
    /// assert_eq!(again.get_weights(), model.get_weights());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a layer has no configuration, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.model_file()?.write(path)
    }

    /// [`save`](Self::save) with the steps that prepare the model's input, in one file: [`load`](Self::load) reads the model,
    /// [`Steps::of_model`] the steps.
    ///
    /// ```
    /// use gradus::data::preprocessing::Steps;
    /// use gradus::prelude::*;
    ///
    /// let scaler = StandardScaler::new().fit(&array![[1.0f32], [3.0]])?;
    /// let model = Sequential::new().input([1]).add(Dense::new(2)).build()?;
    /// let path = std::env::temp_dir().join("gradus-doc-model-and-steps.safetensors");
    /// model.save_with_steps(&path, &Steps::new().with("scaler", &scaler))?;
    /// let (model, steps) = (Model::<f32>::load(&path)?, Steps::of_model(&path)?);
    /// let x = steps.get::<StandardScaler>("scaler")?.transform(&array![[5.0f32]])?;
    /// assert_eq!(x, array![[3.0]]);
    /// # let _ = model.predict(&x)?;
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_with_steps(&self, path: impl AsRef<Path>, steps: &Steps) -> Result<()> {
        let mut file = self.model_file()?;
        file.metadata.insert(STEPS.into(), readable(&steps.to_value(), self.name())?);
        file.write(path)
    }

    fn model_file(&self) -> Result<TensorFile> {
        let mut file = weights_file(&self.network, "model");
        file.metadata.insert("model".into(), readable(&self.to_config()?, self.name())?);
        file.metadata.insert("trainable".into(), json!(self.trains).to_string());
        if let Some(compile) = self.compiled.as_ref().and_then(compile_config) {
            file.metadata.insert("compile".into(), compile.to_string());
        }
        Ok(file)
    }

    /// Reads a model from a file of [`save`](Self::save), without the code that built it. The file may come from a stranger:
    /// no memory is taken for weights before their shapes have been found in it.
    ///
    /// # Errors
    /// If the file is damaged or holds no model, or names a class that gradus does not have (see
    /// [`load_with`](Self::load_with)).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &Registry::standard())
    }

    /// [`load`](Self::load) for models with custom layers, losses or optimizers, which `registry` knows.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(path: impl AsRef<Path>, registry: &Registry<F>) -> Result<Self> {
        let path = path.as_ref();
        let file = read(path)?;
        let within = |error: Error| error.within(path.display().to_string());
        let architecture = json_entry(&file, "model", path)?.ok_or_else(|| {
            Error::file(path, "holds weights but no architecture: build the model and `load_weights`")
        })?;
        let mut model = without_values(&architecture, registry).map_err(within)?;
        model.params = weights(&model.graph, &file, path)?;
        if let Some(trains) = json_entry(&file, "trainable", path)? {
            let trains = Vec::<bool>::from_value(&trains).map_err(within)?;
            if trains.len() == model.trains.len() {
                model.trains = trains;
            }
        }
        if let Some(compile) = json_entry(&file, "compile", path)? {
            model.compile(Compile::from_config(&compile, registry).map_err(within)?)?;
        }
        Ok(model)
    }

    /// Writes all that a training needs to go on: weights, the optimizer's values and step, epoch, seed; and the
    /// architecture if it can be saved.
    ///
    /// # Errors
    /// If the model is not compiled, or the file cannot be written.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        let compiled = self.compiled_or("save_checkpoint")?;
        let mut file = training_file(&self.recipe, &self.network, &compiled.driver, compiled.epochs);
        if let Some(compile) = compile_config(compiled) {
            file.metadata.insert("compile".into(), compile.to_string());
        }
        file.write(path)
    }

    /// Takes up a training from a file of [`save_checkpoint`](Self::save_checkpoint) or
    /// [`ModelCheckpoint`](crate::training::ModelCheckpoint), and returns how many epochs it has behind it: the
    /// `initial_epoch` to go on with. What follows is bit for bit what would have followed without the interruption.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let (x, y) = (Array2::<f32>::ones((8, 3)), Array2::<f32>::ones((8, 1)));
    /// let new = || Sequential::new().input([3]).add(Dense::new(1)).compile(MeanSquaredError::new(), Adam::new()).build();
    /// let path = std::env::temp_dir().join("gradus-doc-checkpoint.safetensors");
    ///
    /// let mut whole = new()?;
    /// whole.fit(&x, &y, Fit::new().epochs(2).verbose(0).callback(ModelCheckpoint::new(&path)))?;
    /// let mut resumed = new()?;
    /// let epoch = resumed.resume(&path)?;
    /// resumed.fit(&x, &y, Fit::new().initial_epoch(epoch).epochs(5).verbose(0))?;
    /// whole.fit(&x, &y, Fit::new().initial_epoch(2).epochs(5).verbose(0))?;
    /// assert_eq!(whole.get_weights(), resumed.get_weights());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the model is not compiled, the file is damaged or no checkpoint, or does not fit the model or its optimizer;
    /// the model is then as it was.
    pub fn resume(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        let path = path.as_ref();
        let compiled = self.compiled_or("resume")?;
        let Training { params, driver, epochs, seed } =
            read_training(&self.network, &compiled.driver, &read(path)?, path)?;
        let compiled = self.compiled.as_mut().expect("checked above");
        (compiled.driver, compiled.epochs) = (driver, epochs);
        (self.params, self.seed) = (params, seed);
        Ok(epochs)
    }
}

/// Weights and the state of a training.
pub(crate) fn training_file<F: Scalar>(
    recipe: &Recipe<F>,
    network: &Network<F>,
    driver: &Driver<F>,
    epochs: usize,
) -> TensorFile {
    let mut file = weights_file(network, "checkpoint");
    if let Ok(architecture) = to_config(recipe, network) {
        file.metadata.insert("model".into(), architecture.to_string());
    }
    // Whole numbers as text: JSON readers may keep only 53 bits of a seed.
    let training = json!({
        "epochs": epochs, "steps": driver.calls.to_string(), "seed": network.seed.to_string(),
        "learning_rate": driver.rate,
    });
    file.metadata.insert("training".into(), training.to_string());
    let mut insert = |name: &str, weight: &str, shape: &[usize], values: &[F]| {
        let tensor = Tensor::new(shape, values.to_vec()).expect("shape and values agree");
        file.tensors.insert(state_name(name, weight), tensor);
    };
    for (weight, array) in driver.state_arrays() {
        insert(&array.name, weight, &array.shape, &driver.state[array.range.clone()]);
    }
    for (name, values) in [("accumulated", &driver.accumulated), ("average", &driver.average)] {
        for (weight, spec) in network.graph.param_paths().filter(|_| !values.is_empty()) {
            insert(name, &weight, &spec.shape, &values[spec.range.clone()]);
        }
    }
    file
}

/// The state of a training of this model with an optimizer like `driver`, from a file of `path`.
pub(crate) fn read_training<F: Scalar>(
    network: &Network<F>,
    driver: &Driver<F>,
    file: &TensorFile,
    path: &Path,
) -> Result<Training<F>> {
    let training = json_entry(file, "training", path)?.ok_or_else(|| Error::file(path, "is no checkpoint"))?;
    let count = |name: &str| -> Result<u64> {
        let number = match training.get(name) {
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
            None => None,
        };
        number.ok_or_else(|| Error::file(path, format!("its `training` has no whole number `{name}`")))
    };
    let (epochs, steps, seed) = (count("epochs")?, count("steps")?, count("seed")?);
    let epochs = usize::try_from(epochs).map_err(|_| Error::file(path, format!("{epochs} epochs")))?;
    let params = weights(&network.graph, file, path)?;
    let mut driver = driver.clone();
    let mut state = std::mem::take(&mut driver.state);
    for (weight, array) in driver.state_arrays() {
        let tensor = state_name(&array.name, weight);
        state[array.range.clone()].copy_from_slice(&values_of(file, &tensor, &array.shape, path)?);
    }
    driver.state = state;
    for (name, values) in [("accumulated", &mut driver.accumulated), ("average", &mut driver.average)] {
        if values.is_empty() {
            continue;
        }
        for (weight, spec) in network.graph.param_paths() {
            let tensor = state_name(name, &weight);
            values[spec.range.clone()].copy_from_slice(&values_of(file, &tensor, &spec.shape, path)?);
        }
    }
    driver.calls = steps;
    driver.rate = training.get("learning_rate").and_then(Value::as_f64);
    Ok(Training { params, driver, epochs, seed })
}

fn weights_file<F: Scalar>(network: &Network<F>, kind: &str) -> TensorFile {
    let mut file = TensorFile::new();
    file.metadata.insert("format".into(), "gradus".into());
    file.metadata.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    file.metadata.insert("kind".into(), kind.into());
    for (path, spec) in network.graph.param_paths() {
        let values = network.params[spec.range.clone()].to_vec();
        file.tensors.insert(path, Tensor::new(&spec.shape, values).expect("shape and values agree"));
    }
    file
}

/// What a file calls an optimizer's values for a weight.
fn state_name(name: &str, weight: &str) -> String {
    format!("{OPTIMIZER}/{name}/{weight}")
}

pub(crate) fn read(path: &Path) -> Result<TensorFile> {
    let file = TensorFile::read(path)?;
    match file.metadata.get("format").map(String::as_str) {
        Some("gradus") => Ok(file),
        _ => Err(Error::file(path, "is a safetensors file, but not one of gradus: it has no `format`")),
    }
}

pub(crate) fn json_entry(file: &TensorFile, name: &str, path: &Path) -> Result<Option<Value>> {
    let Some(text) = file.metadata.get(name) else { return Ok(None) };
    let parsed = text.parse();
    parsed.map(Some).map_err(|problem| Error::file(path, format!("its metadata `{name}` is no JSON: {problem}")))
}

/// The values of one tensor, which must have this shape and the model's type.
fn values_of<'f, F: Scalar>(file: &'f TensorFile, name: &str, shape: &[usize], path: &Path) -> Result<Cow<'f, [F]>> {
    let wrong_type =
        |dtype: &str| Error::file(path, format!("the tensor `{name}` is {dtype}, the model computes in {}", F::NAME));
    let tensor = file.tensors.get(name).ok_or_else(|| match file.foreign.get(name) {
        Some(dtype) => wrong_type(dtype),
        None => Error::file(path, format!("lacks the tensor `{name}`")),
    })?;
    if tensor.shape() != shape {
        let (own, expected) = (crate::error::show(tensor.shape()), crate::error::show(shape));
        return Err(Error::file(
            path,
            format!("the tensor `{name}` has the shape {own}, the model expects {expected}"),
        ));
    }
    tensor.scalars::<F>().ok_or_else(|| wrong_type(tensor.dtype().name()))
}

/// All weights of a model, from a file that must have exactly those.
fn weights<F: Scalar>(graph: &Graph<F>, file: &TensorFile, path: &Path) -> Result<Aligned<F>> {
    // Before memory is taken: a file asks for no more than it holds.
    for (name, spec) in graph.param_paths() {
        values_of::<F>(file, &name, &spec.shape, path)?;
    }
    let mut params = Aligned::zeros(graph.specs.last().map_or(0, |spec| spec.range.end));
    for (name, spec) in graph.param_paths() {
        params[spec.range.clone()].copy_from_slice(&values_of(file, &name, &spec.shape, path)?);
    }
    let within = format!("{OPTIMIZER}/");
    let unknown = file
        .tensors
        .keys()
        .find(|name| !name.starts_with(&within) && graph.param_paths().all(|(known, _)| known != **name));
    match unknown {
        Some(name) => Err(Error::file(path, format!("has a tensor `{name}`, which the model does not"))),
        None => Ok(params),
    }
}

/// Losses, metrics and optimizer in Keras's words; none if one of them has no configuration.
pub(crate) fn compile_config<F: Scalar>(compiled: &Compiled<F>) -> Option<Value> {
    let object = |(class, options): (String, crate::config::Config)| config::object(&class, options);
    let optimizer = object(compiled.driver.optimizer().describe()?);
    let outputs = compiled.objectives.iter().map(|objective| {
        let description = objective.loss.describe();
        let metrics = objective
            .metrics
            .iter()
            .map(|watched| Some(json!({ "metric": object(watched.metric.describe()?), "weighted": watched.weighted })));
        let metrics = metrics.collect::<Option<Vec<Value>>>()?;
        let loss = config::object(&description.class, description.config?);
        Some(json!({ "loss": loss, "weight": objective.weight, "metrics": metrics }))
    });
    let outputs = outputs.collect::<Option<Vec<Value>>>()?;
    Some(json!({ "optimizer": optimizer, "outputs": outputs }))
}
