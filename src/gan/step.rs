//! One step of each network.

use super::{Gan, Options, Work, fill_noise};
use crate::kernels::elementwise;
use crate::layers::Mode;
use crate::models::{IntoInputs, IntoTensor, Pass};
use crate::optimizers::Driver;
use crate::tensor::inputs::{ArrayInput, ArrayInputs};
use crate::{Error, Model, Result, Scalar, Tensor};

/// What a step of the discriminator was like, before its update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiscriminatorStep {
    /// The sum of its losses on real and made samples.
    pub loss: f64,
    /// D(x), the mean over real samples: the probability of being real, or for losses without one the score.
    pub real: f64,
    /// D(G(z)), the mean over made samples.
    pub fake: f64,
}

impl<F: Scalar> Gan<F> {
    /// One step of the discriminator on real samples and on those that the generator makes of `noise`; with labels
    /// `(&samples, &labels)` and `(&noise, &labels)`.
    ///
    /// # Errors
    /// If the arrays do not fit the networks, or the loss is not finite; the discriminator is then as it was.
    pub fn train_discriminator<'a>(
        &mut self,
        real: impl IntoInputs<'a, F>,
        noise: impl IntoInputs<'a, F>,
    ) -> Result<DiscriminatorStep> {
        self.discriminator_step(real.into_inputs(), &noise.into_inputs(), 0)
    }

    /// One step of the generator on what it makes of `noise`, or of `(&noise, &labels)`: its loss before the update.
    ///
    /// # Errors
    /// As [`train_discriminator`](Self::train_discriminator), for the generator.
    pub fn train_generator<'a>(&mut self, noise: impl IntoInputs<'a, F>) -> Result<f64> {
        let noise = noise.into_inputs();
        self.make(&noise, 0)?;
        self.generator_step(&noise)
    }

    /// The gradients of the discriminator's last step, by the paths of its weights.
    pub fn discriminator_gradients(&self) -> Vec<(String, ndarray::ArrayD<F>)> {
        self.discriminator.gradients(&self.work.real)
    }

    /// The gradients of the generator's last step.
    pub fn generator_gradients(&self) -> Vec<(String, ndarray::ArrayD<F>)> {
        self.generator.gradients(&self.work.making)
    }

    /// Lets the generator make samples, as in training.
    fn make(&mut self, noise: &ArrayInputs<'_, F>, part: usize) -> Result<()> {
        let mode = self.mode("gan/generator", part);
        self.generator
            .forward(&mut self.work.making, noise.clone(), mode)
            .map_err(|error| error.within("generator"))?;
        Ok(())
    }

    pub(super) fn discriminator_step(
        &mut self,
        real: ArrayInputs<'_, F>,
        noise: &ArrayInputs<'_, F>,
        part: usize,
    ) -> Result<DiscriminatorStep> {
        self.make(noise, part)?;
        if !self.options.reuse_fakes {
            self.generator.update_state(&self.work.making);
        }
        let Options { loss, real_label, instance_noise, .. } = self.options;
        let (real_key, made_key) = (self.key("gan/instance/real", part), self.key("gan/instance/made", part));
        let (real_mode, made_mode) = (self.mode("gan/real", part), self.mode("gan/made", part));
        let Work { making, real: real_pass, made: made_pass, samples, grad, noise: blur, .. } = &mut self.work;

        let seen = blurred(real, instance_noise, real_key, samples, blur);
        let of_real = |scores: &[F], grad: &mut [F]| loss.real(scores, real_label, grad);
        let real_loss = judge(&self.discriminator, real_pass, seen, real_mode, grad, of_real)?;

        let made = with_labels(making.output(0).into_tensor(), noise);
        let seen = blurred(made, instance_noise, made_key, samples, blur);
        let of_made = |scores: &[F], grad: &mut [F]| loss.made(scores, grad);
        let made_loss = judge(&self.discriminator, made_pass, seen, made_mode, grad, of_made)?;

        real_pass.add_gradients(made_pass)?;
        let score = |pass: &Pass<F>| mean(&pass.output(0), |score| loss.shown(score));
        let (real, fake) = (score(real_pass), score(made_pass));
        self.update_discriminator(real_loss + made_loss)?;
        Ok(DiscriminatorStep { loss: real_loss + made_loss, real, fake })
    }

    fn update_discriminator(&mut self, loss: f64) -> Result<()> {
        let (driver, model, work) = (&mut self.discriminator_driver, &mut self.discriminator, &self.work);
        check_update(driver, model, &work.real, loss).map_err(|error| error.within("discriminator"))?;
        // Both passes were one step of training: their statistics count one after the other.
        model.update_state(&work.real);
        model.update_state(&work.made);
        driver.apply_pass(model, &work.real);
        if let Some(c) = self.options.weight_clip {
            let graph = self.discriminator.graph.clone();
            for spec in graph.specs.iter().filter(|spec| spec.learned) {
                crate::kernels::optimizer::clip(&mut self.discriminator.params[spec.range.clone()], F::of(c));
            }
        }
        Ok(())
    }

    /// One step of the generator from the samples that it has made last.
    pub(super) fn generator_step(&mut self, noise: &ArrayInputs<'_, F>) -> Result<f64> {
        let (loss, stddev) = (self.options.loss, self.options.instance_noise);
        let (key, mode) = (self.key("gan/instance/judged", 0), self.mode("gan/judged", 0));
        let Work { making, judging, samples, grad, noise: blur, .. } = &mut self.work;
        let made = with_labels(making.output(0).into_tensor(), noise);
        let seen = blurred(made, stddev, key, samples, blur);
        let of_generator = |scores: &[F], grad: &mut [F]| loss.generator(scores, grad);
        let loss = judge(&self.discriminator, judging, seen, mode, grad, of_generator)?;
        // The noise on a sample is added: its gradient is the sample's.
        let derivatives = judging.input_gradient(0).expect("a pass of input gradients");
        self.generator.backward(making, derivatives)?;
        let (driver, model, work) = (&mut self.generator_driver, &mut self.generator, &self.work);
        check_update(driver, model, &work.making, loss).map_err(|error| error.within("generator"))?;
        model.update_state(&work.making);
        driver.apply_pass(model, &work.making);
        self.discriminator.update_state(&self.work.judging);
        self.steps += 1;
        Ok(loss)
    }
}

/// Scores samples and sends the derivatives of a loss of the scores back; gives the loss.
fn judge<F: Scalar>(
    discriminator: &Model<F>,
    pass: &mut Pass<F>,
    samples: ArrayInputs<'_, F>,
    mode: Mode,
    grad: &mut Tensor<F>,
    loss: impl FnOnce(&[F], &mut [F]) -> f64,
) -> Result<f64> {
    discriminator.forward(pass, samples, mode).map_err(|error| error.within("discriminator"))?;
    let scores = pass.output(0);
    grad.reshape(scores.shape());
    let loss = loss(&scores, grad.data_mut());
    discriminator.backward(pass, grad.view())?;
    Ok(loss)
}

/// Refuses an update that would make a network useless.
fn check_update<F: Scalar>(driver: &Driver<F>, model: &Model<F>, pass: &Pass<F>, loss: f64) -> Result<()> {
    if loss.is_finite() {
        driver.check_step(model, pass)
    } else {
        Err(Error::LossNotFinite { loss, step: driver.steps() })
    }
}

fn mean<F: Scalar>(scores: &[F], shown: impl Fn(f64) -> f64) -> f64 {
    scores.iter().map(|score| shown(score.f64())).sum::<f64>() / scores.len() as f64
}

/// Samples and, if the generator was given labels, the same labels.
fn with_labels<'a, F: Scalar>(samples: ArrayInput<'a, F>, noise: &ArrayInputs<'a, F>) -> ArrayInputs<'a, F> {
    match noise.get(1) {
        None => ArrayInputs::One([samples]),
        Some(labels) => ArrayInputs::Two([samples, labels.clone()]),
    }
}

/// The samples with noise added, in `samples`; without, as they are.
fn blurred<'a, F: Scalar>(
    mut given: ArrayInputs<'a, F>,
    stddev: f64,
    key: u64,
    samples: &'a mut Tensor<F>,
    noise: &mut Vec<F>,
) -> ArrayInputs<'a, F> {
    if stddev == 0.0 {
        return given;
    }
    samples.reshape(given[0].shape);
    given[0].gather(0..given[0].rows(), samples.data_mut());
    noise.resize(samples.data().len(), F::zero());
    fill_noise(super::Noise::Normal, key, noise);
    elementwise::axpy(F::of(stddev), noise, samples.data_mut());
    let samples: &'a Tensor<F> = samples;
    given[0] = samples.view().into_tensor();
    given
}
