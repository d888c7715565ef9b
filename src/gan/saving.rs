//! A game on disk: both networks with their optimizers, in one file, as two checkpoints side by side.

use std::path::Path;

use serde_json::json;

use super::Gan;
use crate::formats::safetensors::TensorFile;
use crate::models::saving::{self, Training};
use crate::{Error, Result, Scalar};

const NETWORKS: [&str; 2] = ["generator", "discriminator"];

impl<F: Scalar> Gan<F> {
    /// Writes all that the training needs to go on: weights, the optimizers' values and steps, epoch and step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        let parts = [
            self.generator.training_file(&self.generator_driver, self.epochs),
            self.discriminator.training_file(&self.discriminator_driver, self.epochs),
        ];
        let mut file = TensorFile::new();
        file.metadata.insert("format".into(), "gradus".into());
        file.metadata.insert("kind".into(), "gan".into());
        file.metadata.insert("gan".into(), json!({ "steps": self.steps.to_string() }).to_string());
        for (network, part) in NETWORKS.into_iter().zip(parts) {
            file.tensors.extend(part.tensors.into_iter().map(|(name, tensor)| (format!("{network}/{name}"), tensor)));
            file.metadata.extend(part.metadata.into_iter().map(|(key, text)| (format!("{network}/{key}"), text)));
        }
        file.write(path)
    }

    /// Takes up a training from a file of [`save_checkpoint`](Self::save_checkpoint), and returns how many epochs it has
    /// behind it: the `initial_epoch` to go on with. What follows is bit for bit what would have followed without the
    /// interruption.
    ///
    /// # Errors
    /// If the file is damaged or of something else, or does not fit the networks or their optimizers; the game is then
    /// as it was.
    pub fn resume(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        let path = path.as_ref();
        let file = saving::read(path)?;
        let steps = saving::json_entry(&file, "gan", path)?
            .and_then(|gan| gan["steps"].as_str().and_then(|text| text.parse().ok()))
            .ok_or_else(|| Error::file(path, "is no checkpoint of a GAN"))?;
        let part = |network: &str| {
            let within = format!("{network}/");
            let own = |name: &String| name.strip_prefix(&within).map(str::to_owned);
            let mut part = TensorFile::new();
            part.tensors =
                file.tensors.iter().filter_map(|(name, tensor)| Some((own(name)?, tensor.clone()))).collect();
            part.metadata = file.metadata.iter().filter_map(|(key, text)| Some((own(key)?, text.clone()))).collect();
            part
        };
        let [generator, discriminator] = NETWORKS.map(part);
        let generator: Training<F> = self
            .generator
            .read_training(&self.generator_driver, &generator, path)
            .map_err(|e| e.within(NETWORKS[0]))?;
        let discriminator = self
            .discriminator
            .read_training(&self.discriminator_driver, &discriminator, path)
            .map_err(|error| error.within(NETWORKS[1]))?;
        self.epochs = generator.epochs;
        self.steps = steps;
        (self.generator.params, self.generator_driver) = (generator.params, generator.driver);
        (self.discriminator.params, self.discriminator_driver) = (discriminator.params, discriminator.driver);
        Ok(self.epochs)
    }
}
