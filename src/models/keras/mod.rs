//! Keras's files, in and out: whole models (`.keras`, `.h5`) and weights (`.weights.h5`, `.h5`).

mod archive;
mod export;
mod legacy;
mod order;
mod places;
mod training;
mod weights;
mod words;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Model;
use super::architecture::without_values;
use super::registry::Registry;
use crate::formats::hdf5::{Group, Hdf5File};
use crate::formats::write_atomically;
use crate::{Error, Result, Scalar};

/// Whose form the files have that are written.
const KERAS_VERSION: &str = "3.15.1";

impl<F: Scalar> Model<F> {
    /// Reads a whole model from a file of Keras: a `.keras` archive, or an `.h5` file of Keras 2 or 3, with its weights and what it was
    /// compiled for. From a `.keras` archive the state of the optimizer is taken up too, as far as its arrays are in an order that is
    /// known. What it was compiled for and has no words here is left out with a warning in the log: the model predicts all the same,
    /// and [`is_compiled`](Self::is_compiled) tells.
    ///
    /// The file may come from a stranger. Its configuration names classes of the registry, and nothing else: no code of it is run, and
    /// a `Lambda` is refused unless the registry has one. No memory is taken for weights before their shapes have been found in it.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let model = Sequential::new().input([4]).add(Dense::new(2).activation(Tanh)).build()?;
    /// let path = std::env::temp_dir().join(format!("gradus-doc-{}.keras", std::process::id()));
    /// model.save_keras(&path)?;
    /// let again = Model::<f32>::load_keras(&path)?; // or a file of Python's `model.save("model.keras")`
    /// assert_eq!(again.get_weights(), model.get_weights());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file is damaged or no model of Keras, names a class or an option that gradus does not have (see
    /// [`load_keras_with`](Self::load_keras_with)), holds operators in place of layers, or weights that do not fit.
    pub fn load_keras(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_keras_with(path, &Registry::standard())
    }

    /// [`load_keras`](Self::load_keras) for models with custom layers, which `registry` knows. A `Lambda` is one of them: its
    /// class is made with [`Registry::with_layer_fn`], which is told its name among the options.
    ///
    /// # Errors
    /// As [`load_keras`](Self::load_keras).
    pub fn load_keras_with(path: impl AsRef<Path>, registry: &Registry<F>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        let within = |error: Error| of_file(error, path);
        if bytes.starts_with(b"PK") {
            let members = archive::read(&bytes).map_err(|problem| Error::file(path, problem))?;
            let config = parsed(&members.config, archive::CONFIG, path)?;
            let weights = Hdf5File::from_named_bytes(&path.join(archive::WEIGHTS), members.weights)?;
            let compiled = config.get("compile_config").cloned();
            return load(config, compiled.as_ref(), &weights.root()?, "3", registry).map_err(within);
        }
        let file = Hdf5File::from_named_bytes(path, bytes)?;
        let root = file.root()?;
        let Some(config) = legacy::text(&root, "model_config")? else {
            let problem = "holds weights but no architecture: build the model and `load_keras_weights`";
            return Err(Error::file(path, problem));
        };
        let version = match legacy::text(&root, "keras_version")? {
            None => legacy::layers(&root)?.map_or(Ok(None), |layers| legacy::text(&layers, "keras_version"))?,
            given => given,
        };
        let compiled = legacy::text(&root, "training_config")?;
        let compiled = compiled.map(|text| parsed(&text, "training_config", path)).transpose()?;
        let config = parsed(&config, "model_config", path)?;
        load(config, compiled.as_ref(), &root, version.as_deref().unwrap_or("2"), registry).map_err(within)
    }

    /// Reads all weights of this model from a file of Keras: `.weights.h5`, the older `.h5`, or those in a `.keras` archive. All are
    /// checked before any is set. As in Keras they go by the classes of layers and their order, not by name: the model must
    /// be built like the one that was saved.
    ///
    /// ```
    /// use gradus::prelude::*;
    ///
    /// let build = |seed| Sequential::new().input([4]).add(Dense::new(2)).seed(seed).build();
    /// let (trained, mut model) = (build(1)?, build(2)?);
    /// let path = std::env::temp_dir().join(format!("gradus-doc-{}.weights.h5", std::process::id()));
    /// trained.save_keras_weights(&path)?;
    /// model.load_keras_weights(&path)?;
    /// assert_eq!(model.get_weights(), trained.get_weights());
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file is damaged, lacks a weight, has one too many, or one of another shape; the model is then as it was.
    pub fn load_keras_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        let bytes = if bytes.starts_with(b"PK") {
            archive::read(&bytes).map_err(|problem| Error::file(path, problem))?.weights
        } else {
            bytes
        };
        let file = Hdf5File::from_named_bytes(path, bytes)?;
        let weights = read_weights(self, &file.root()?, &HashSet::new(), true);
        self.params = weights.map_err(|error| of_file(error, path))?;
        Ok(())
    }

    /// Writes the whole model as a `.keras` archive, which `keras.saving.load_model` reads: architecture, weights, and as far as Keras
    /// has words for it what it was compiled for, with the optimizer's state. A custom layer is there found by the name of its class
    /// among `custom_objects`. Checked with Keras 3.15.
    ///
    /// # Errors
    /// If the name does not end in `.keras`, as Keras asks for; if a layer has no configuration, or what Keras has no words for,
    /// such as an activation with options within another layer, or a mask of an `Embedding` or a `Masking` that an attention
    /// looks at, which Keras does not give it; or if the file cannot be written.
    pub fn save_keras(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if path.extension().is_none_or(|ending| ending != "keras") {
            return Err(Error::option("path", "a name that ends in `.keras`", path.display()));
        }
        export::refuse_masked_attention(&self.graph)?;
        let layers = self.graph.layers.iter().zip(&self.trains);
        let frozen = layers.filter(|(_, trains)| !**trains).map(|(layer, _)| layer.name.as_str()).collect();
        let mut config = export::model(&self.to_config()?, "", &frozen)?;
        match training::export(self) {
            Some(compiled) => config["compile_config"] = compiled,
            None if self.is_compiled() => log::warn!("`{}` is saved without what it was compiled for", self.name()),
            None => (),
        }
        let config = config.to_string();
        let metadata = json!({ "keras_version": KERAS_VERSION }).to_string();
        let weights = self.keras_weights(true)?;
        let members = [
            (archive::METADATA, metadata.as_bytes()),
            (archive::CONFIG, config.as_bytes()),
            (archive::WEIGHTS, &weights),
        ];
        let bytes = archive::write(&members).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        write_atomically(path, |out| std::io::Write::write_all(out, &bytes))
    }

    /// Writes the weights as Keras's `model.save_weights` does, for `model.load_weights` there: a `.weights.h5` file. The statistics
    /// of a `Normalization` are options here, not weights: they go with the whole model.
    ///
    /// # Errors
    /// If the name does not end in `.weights.h5`, which Keras asks for, or the file cannot be written.
    pub fn save_keras_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if !path.to_string_lossy().ends_with(".weights.h5") {
            return Err(Error::option("path", "a name that ends in `.weights.h5`", path.display()));
        }
        let bytes = self.keras_weights(false)?;
        write_atomically(path, |out| std::io::Write::write_all(out, &bytes))
    }

    /// The bytes of a file of weights, perhaps with the optimizer's state.
    fn keras_weights(&self, with_state: bool) -> Result<Vec<u8>> {
        let (places, _) = places::places(&self.recipe, &self.network);
        let mut content = weights::content(&places, &self.params);
        if let Some(compiled) = self.compiled.as_ref().filter(|_| with_state) {
            training::write_state(&compiled.driver, &places, &mut content)?;
        }
        content.to_bytes()
    }
}

/// An error that says which file it is of.
fn of_file(error: Error, path: &Path) -> Error {
    match error {
        Error::File { .. } | Error::Io { .. } => error,
        other => other.within(path.display().to_string()),
    }
}

fn parsed(text: &str, name: &str, path: &Path) -> Result<Value> {
    text.parse().map_err(|problem| Error::file(path, format!("its `{name}` is no JSON: {problem}")))
}

/// A model of a configuration, with the weights of a file.
fn load<F: Scalar>(
    mut config: Value,
    compiled: Option<&Value>,
    root: &Group<'_>,
    version: &str,
    registry: &Registry<F>,
) -> Result<Model<F>> {
    words::of_today(&mut config, version)?;
    let later = legacy::layers(root)?.is_none();
    let read = if later { words::take_statistics(&mut config, root)? } else { HashSet::new() };
    let mut model = without_values(&config, registry)?;
    model.params = read_weights(&model, root, &read, false)?;
    if let Some(compiled) = compiled.filter(|compiled| compiled.get("loss").is_some_and(|loss| !loss.is_null())) {
        let compile = training::compile(compiled, &model.graph.output_names, registry);
        if let Err(error) = compile.and_then(|compile| model.compile(compile)) {
            log::warn!("`{}` is not compiled: {error}", model.name());
        }
    }
    let (places, _) = places::places(&model.recipe, &model.network);
    if let Some(compiled) = model.compiled.as_mut().filter(|_| root.contains("optimizer"))
        && let Err(error) = training::read_state(&mut compiled.driver, &places, &root.group("optimizer")?)
    {
        log::warn!("the optimizer begins anew: {error}");
    }
    Ok(model)
}

/// The weights of a model from a file of any of Keras's kinds; those that files do not have as they are, if they have values.
fn read_weights<F: Scalar>(
    model: &Model<F>,
    root: &Group<'_>,
    read: &HashSet<String>,
    has_values: bool,
) -> Result<crate::kernels::aligned::Aligned<F>> {
    let (places, names) = places::places(&model.recipe, &model.network);
    let found = match legacy::layers(root)? {
        Some(layers) => legacy::find(&layers, &places, &names)?,
        None => weights::find(root, &places, read)?,
    };
    let len = model.graph.specs.last().map_or(0, |spec| spec.range.end);
    weights::values(&found, has_values.then(|| &model.params[..]), len)
}
