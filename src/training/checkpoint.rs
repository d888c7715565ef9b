//! Checkpoints of any learner: its parts side by side in one file, each with its optimizer.
//!
//! A model by itself has the file of [`Model::save_checkpoint`](crate::Model::save_checkpoint). Of several parts, or one
//! with a name, every tensor and every entry of metadata has the part's name before it: `generator/dense/kernel`.

use std::path::Path;

use super::learner::Learner;
use crate::formats::safetensors::TensorFile;
use crate::models::saving::{self, Training};
use crate::{Error, Result, Scalar};

/// Writes all that the training of a learner needs to go on, as after `epochs` epochs. The file is written aside and renamed.
///
/// # Errors
/// If the file cannot be written.
pub fn save_checkpoint<F: Scalar>(learner: &mut dyn Learner<F>, path: impl AsRef<Path>, epochs: usize) -> Result<()> {
    let mut file = TensorFile::new();
    let mut names = Vec::new();
    learner.parts(&mut |part| {
        let own = saving::training_file(part.recipe, part.network, part.optimizer, epochs);
        names.push(part.name.to_owned());
        let within = prefix(part.name);
        file.tensors.extend(own.tensors.into_iter().map(|(name, tensor)| (format!("{within}{name}"), tensor)));
        file.metadata.extend(own.metadata.into_iter().map(|(key, text)| (format!("{within}{key}"), text)));
    });
    if names != [""] {
        file.metadata.insert("format".into(), "gradus".into());
        file.metadata.insert("kind".into(), "learner".into());
        file.metadata.insert("parts".into(), names.join(" "));
    }
    learner.save_state(&mut file.metadata);
    file.write(path)
}

/// Takes up the training of a learner from a file of [`save_checkpoint`] or
/// [`ModelCheckpoint`](super::ModelCheckpoint), and returns how many epochs it has behind it: the `initial_epoch` to go on
/// with. What follows is bit for bit what would have followed without the interruption.
///
/// # Errors
/// If the file is damaged or no checkpoint, or does not fit the learner's networks or their optimizers; the learner is then
/// as it was.
pub fn resume<F: Scalar>(learner: &mut dyn Learner<F>, path: impl AsRef<Path>) -> Result<usize> {
    let path = path.as_ref();
    let file = saving::read(path)?;
    let mut trainings: Vec<Training<F>> = Vec::new();
    let mut problem = None;
    learner.parts(&mut |part| {
        let within = prefix(part.name);
        let own = |name: &String| name.strip_prefix(&within).map(str::to_owned);
        let mut file_of_part = TensorFile::new();
        file_of_part.tensors =
            file.tensors.iter().filter_map(|(name, tensor)| Some((own(name)?, tensor.clone()))).collect();
        file_of_part.metadata =
            file.metadata.iter().filter_map(|(key, text)| Some((own(key)?, text.clone()))).collect();
        if !part.name.is_empty() && file_of_part.metadata.is_empty() {
            problem = problem.take().or(Some(Error::file(path, format!("has no part `{}`", part.name))));
            return;
        }
        match saving::read_training(part.network, part.optimizer, &file_of_part, path) {
            Ok(training) => trainings.push(training),
            Err(error) if part.name.is_empty() => problem = problem.take().or(Some(error)),
            Err(error) => problem = problem.take().or(Some(error.within(part.name))),
        }
    });
    if let Some(error) = problem {
        return Err(error);
    }
    let epochs = trainings.first().map(|training| training.epochs);
    let epochs = epochs.ok_or_else(|| Error::file(path, "is read by a learner without parts"))?;
    learner.load_state(&file.metadata).map_err(|error| error.within(path.display().to_string()))?;
    let mut trainings = trainings.into_iter();
    learner.parts(&mut |part| {
        if let Some(Training { params, driver, seed, .. }) = trainings.next() {
            (part.network.params, part.network.seed, *part.optimizer) = (params, seed, driver);
        }
    });
    learner.epoch_ended(epochs);
    Ok(epochs)
}

fn prefix(part: &str) -> String {
    if part.is_empty() { String::new() } else { format!("{part}/") }
}
