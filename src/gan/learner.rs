//! The two networks as a learner: `fit`, one step on a batch, what a checkpoint holds.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Gan, fill_noise};
use crate::data::{Arrays, Dataset, IntoSource};
use crate::engine::check_inputs;
use crate::scalar::ArrayValues;
use crate::tensor::inputs::{ArrayInput, ArrayInputs, IntoInputs, IntoTensor};
use crate::training::{self, Fit, History, Learner, Logs, Part, Running, StepBatch};
use crate::{Error, Result, Scalar, Tensor};

/// What a step or an epoch was like: losses of discriminator and generator, D(x), D(G(z)).
const LOGS: [&str; 4] = ["d_loss", "g_loss", "d_real", "d_fake"];

/// One tensor, and the labels beside it if there are any.
fn beside<'a, F: Scalar>(first: ArrayInput<'a, F>, labels: Option<ArrayInput<'a, F>>) -> ArrayInputs<'a, F> {
    match labels {
        None => ArrayInputs::One([first]),
        Some(labels) => ArrayInputs::Two([first, labels]),
    }
}

impl<F: Scalar> Learner<F> for Gan<F> {
    fn train_step(&mut self, batch: &mut StepBatch<'_, F>, logs: &mut Running) -> Result<()> {
        let batch = batch.gather(self.steps)?;
        let labels = (batch.inputs() > 1).then(|| batch.input(1).into_tensor());
        let values = self.step(&batch.input(0).into_tensor(), labels.as_ref())?;
        LOGS.iter().zip(values).for_each(|(name, value)| logs.add(name, value));
        Ok(())
    }

    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, F>)) {
        visit(Part::new("generator", &mut self.generator, &mut self.generator_driver));
        visit(Part::new("discriminator", &mut self.discriminator, &mut self.discriminator_driver));
    }

    fn check(&self, call: &str, data: &dyn Dataset<F>) -> Result<()> {
        self.discriminator.graph.shapes_of(call, &data.input_shapes())?;
        no_targets(call, data)
    }

    fn check_arrays(&self, call: &str, arrays: &Arrays<'_, F>) -> Result<()> {
        let conditional = self.discriminator.graph.inputs.len() == 2;
        match arrays.inputs.len() {
            1 if conditional => {
                let error = Error::data(call, "labels, which both networks take", "none");
                return Err(error.advise("give `(&samples, &labels)`"));
            }
            2 if !conditional => return Err(Error::data(call, "no labels, which neither network takes", "some")),
            _ => (),
        }
        check_inputs(call, &self.discriminator.graph.inputs, &arrays.inputs)?;
        if let ArrayValues::Bytes(_) = arrays.inputs[0].values {
            let advice = "scale pixels to the generator's range, such as −1 to 1";
            return Err(Error::data(call, "samples in the generator's range", "bytes").advise(advice));
        }
        no_targets(call, arrays)
    }

    fn seed(&self) -> u64 {
        self.options.seed
    }

    fn epoch_ended(&mut self, epochs: usize) {
        self.epochs = epochs;
    }

    fn save_state(&self, state: &mut BTreeMap<String, String>) {
        state.insert(
            "gan".into(),
            json!({ "steps": self.steps.to_string(), "seed": self.options.seed.to_string() }).to_string(),
        );
    }

    fn load_state(&mut self, state: &BTreeMap<String, String>) -> Result<()> {
        let gan: Option<Value> = state.get("gan").and_then(|text| text.parse().ok());
        let number = |name: &str| gan.as_ref().and_then(|gan| gan[name].as_str()?.parse().ok());
        let needed = || Error::NotReady { call: "resume", needs: "a checkpoint of a GAN" };
        let steps = number("steps").ok_or_else(needed)?;
        // Files of before have no seed.
        let has_seed = gan.as_ref().is_some_and(|gan| !gan["seed"].is_null());
        let seed = if has_seed { number("seed").ok_or_else(needed)? } else { self.options.seed };
        (self.steps, self.options.seed) = (steps, seed);
        Ok(())
    }

    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

fn no_targets<F: Scalar>(call: &str, data: &dyn Dataset<F>) -> Result<()> {
    match data.target_shapes().len() {
        0 => Ok(()),
        targets => Err(Error::data(call, "samples without targets", format!("{targets} targets"))),
    }
}

impl<F: Scalar> Gan<F> {
    /// Trains both networks on real samples for a number of epochs; with labels on `(&samples, &labels)`, and made samples
    /// of a batch have the labels of its real ones. In each step the discriminator learns
    /// [`discriminator_steps`](super::GanBuilder::discriminator_steps) times, then the generator once.
    ///
    /// The history has `d_loss`, `g_loss`, `d_real` (D(x)) and `d_fake` (D(G(z))), means over each epoch.
    ///
    /// # Errors
    /// Before anything changes: samples or labels of a wrong shape, labels missing, none at all, NaN or infinite data,
    /// options outside their ranges or that do not apply. In training: a loss that is no longer finite, with the network's
    /// name, whose weights are as before that step; or what a callback refuses.
    pub fn fit<'a>(&mut self, samples: impl IntoInputs<'a, F>, options: Fit<'a, F>) -> Result<History> {
        self.fit_data(Arrays::inputs(samples), options)
    }

    /// The same on any source whose rows have no targets.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_data<'a, M>(&mut self, source: impl IntoSource<'a, F, M>, options: Fit<'a, F>) -> Result<History> {
        training::train(self, source, options)
    }

    /// One step of both networks on a batch of real samples, as [`fit`](Self::fit) makes it: `d_loss`, `g_loss`, `d_real`,
    /// `d_fake`. With labels `(&samples, &labels)`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn train_on_batch<'a>(&mut self, real: impl IntoInputs<'a, F>) -> Result<Logs> {
        let real = real.into_inputs();
        check_inputs("Gan::train_on_batch", &self.discriminator.graph.inputs, &real)?;
        let values = self.step(&real[0], real.get(1))?;
        let mut logs = Logs::default();
        LOGS.iter().zip(values).for_each(|(name, value)| logs.insert(*name, value));
        Ok(logs)
    }

    /// The discriminator's steps on a batch, then the generator's.
    fn step(&mut self, real: &ArrayInput<'_, F>, labels: Option<&ArrayInput<'_, F>>) -> Result<[f64; 4]> {
        let mut noise = std::mem::take(&mut self.work.latent);
        // A step in which something panicked has not put it back.
        noise.reshape_rows(real.rows(), &[self.latent()]);
        let values = self.step_with(&mut noise, real, labels);
        self.work.latent = noise;
        values
    }

    fn step_with(
        &mut self,
        noise: &mut Tensor<F>,
        real: &ArrayInput<'_, F>,
        labels: Option<&ArrayInput<'_, F>>,
    ) -> Result<[f64; 4]> {
        let (mut loss, mut of_real, mut of_fake) = (0.0, 0.0, 0.0);
        let parts = self.options.discriminator_steps;
        for part in 0..parts {
            fill_noise(self.options.noise, self.key("gan/noise", part), noise.data_mut());
            let (seen, latent) =
                (beside(real.clone(), labels.cloned()), beside(noise.view().into_tensor(), labels.cloned()));
            let step = self.discriminator_step(seen, &latent, part)?;
            (loss, of_real, of_fake) = (loss + step.loss, of_real + step.real, of_fake + step.fake);
        }
        let generator_loss = if self.options.reuse_fakes {
            self.generator_step(&beside(noise.view().into_tensor(), labels.cloned()))?
        } else {
            fill_noise(self.options.noise, self.key("gan/noise/generator", 0), noise.data_mut());
            self.train_generator(beside(noise.view().into_tensor(), labels.cloned()))?
        };
        let parts = parts as f64;
        Ok([loss / parts, generator_loss, of_real / parts, of_fake / parts])
    }

    /// Writes all that the training needs to go on: weights, the optimizers' values and steps, epoch and step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let epochs = self.epochs;
        training::save_checkpoint(self, path, epochs)
    }

    /// Takes up a training from a file of [`save_checkpoint`](Self::save_checkpoint), and returns how many epochs it has
    /// behind it: the `initial_epoch` to go on with. What follows is bit for bit what would have followed without the
    /// interruption.
    ///
    /// # Errors
    /// If the file is damaged or of something else, or does not fit the networks or their optimizers; the game is then
    /// as it was.
    pub fn resume(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        training::resume(self, path)
    }
}
