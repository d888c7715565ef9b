//! The epochs of the game.

use super::callbacks::AtEpochEnd;
use super::{Gan, GanCallback, GanState, fill_noise};
use crate::engine::check_inputs;
use crate::models::{IntoInputs, IntoTensor};
use crate::scalar::Column;
use crate::tensor::inputs::{Given, Several};
use crate::training::course::{Course, course_setters};
use crate::training::progress::Progress;
use crate::training::{History, Logs};
use crate::{Error, Result, Scalar, Tensor};

/// The options of [`Gan::fit`].
///
/// # Defaults
/// `batch_size` 32, `epochs` 1, `verbose` 1, `shuffle` true, `initial_epoch` 0, all steps of an epoch, no labels.
pub struct GanFit<'a, F: Scalar> {
    course: Course,
    labels: Option<Given<'a, F>>,
    callbacks: Vec<Box<dyn GanCallback<F> + 'a>>,
}

impl<F: Scalar> Default for GanFit<'_, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, F: Scalar> GanFit<'a, F> {
    /// With every option at its default.
    pub fn new() -> Self {
        Self { course: Course::default(), labels: None, callbacks: Vec::new() }
    }

    course_setters!();

    /// The samples' labels, for networks that take them. Made samples of a batch have the labels of its real ones.
    pub fn labels(mut self, labels: impl IntoTensor<'a, F>) -> Self {
        self.labels = Some(labels.into_tensor());
        self
    }

    /// Something to be done as the training goes on; `&mut` of it, if it is to be asked afterwards.
    pub fn callback(mut self, callback: impl GanCallback<F> + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// A closure to be called after each epoch.
    pub fn on_epoch_end(self, closure: impl FnMut(&mut GanState<'_, F>, &Logs) -> Result<()> + 'a) -> Self {
        self.callback(AtEpochEnd(closure))
    }
}

/// What a step or an epoch was like: losses of discriminator and generator, D(x), D(G(z)).
const FIGURES: [&str; 4] = ["d_loss", "g_loss", "d_real", "d_fake"];

fn logs(figures: [f64; 4]) -> Logs {
    let mut logs = Logs::default();
    for (name, value) in FIGURES.into_iter().zip(figures) {
        logs.insert(name, value);
    }
    logs
}

/// The arrays of one batch, reused from step to step.
struct Batch<F> {
    real: Tensor<F>,
    labels: Option<Tensor<F>>,
    noise: Tensor<F>,
}

impl<F: Scalar> Batch<F> {
    fn with_labels<'a>(&'a self, first: &'a Tensor<F>) -> Several<'a, F> {
        match &self.labels {
            None => Several::One([first.view().into_tensor()]),
            Some(labels) => Several::Two([first.view().into_tensor(), labels.view().into_tensor()]),
        }
    }
}

impl<F: Scalar> Gan<F> {
    /// Trains both networks on real samples for a number of epochs. In each step the discriminator learns
    /// [`discriminator_steps`](super::GanBuilder::discriminator_steps) times, then the generator once.
    ///
    /// The history has `d_loss`, `g_loss`, `d_real` (D(x)) and `d_fake` (D(G(z))), means over each epoch.
    ///
    /// # Errors
    /// Before anything changes: samples or labels of a wrong shape, labels missing, none at all, NaN or infinite data,
    /// options outside their ranges. In training: a loss that is no longer finite, with the network's name, whose
    /// weights are as before that step; or what a callback refuses.
    pub fn fit<'a>(&mut self, samples: impl IntoTensor<'a, F>, mut options: GanFit<'a, F>) -> Result<History> {
        let samples = samples.into_tensor();
        let labels = options.labels.take();
        let rows = self.check_data(&samples, labels.as_ref(), &options)?;
        let mut callbacks = std::mem::take(&mut options.callbacks);
        let mut batch = Batch {
            real: Tensor::without_rows(&samples.shape[1..]),
            labels: labels.as_ref().map(|_| Tensor::without_rows(self.discriminator.input_shape(1))),
            noise: Tensor::without_rows(&[self.latent()]),
        };
        let mut history = History::default();
        let mut order: Vec<usize> = (0..rows).collect();
        let course = options.course;
        let steps = course.steps(rows);
        let mut stop = false;
        self.tell(&mut callbacks, &course, course.initial_epoch, &mut stop, GanCallback::on_train_begin)?;
        for epoch in course.initial_epoch..course.epochs {
            self.tell(&mut callbacks, &course, epoch, &mut stop, GanCallback::on_epoch_begin)?;
            course.arrange(&mut order, self.options.seed, epoch);
            let mut progress = Progress::new(course.verbose, epoch, course.epochs, steps);
            let (mut sums, mut seen) = ([0.0; 4], 0.0);
            for (step, rows) in order.chunks(course.batch_size).take(steps).enumerate() {
                batch.real.set_rows(rows.len());
                samples.gather(rows.iter().copied(), batch.real.data_mut());
                if let (Some(own), Some(all)) = (&mut batch.labels, &labels) {
                    own.set_rows(rows.len());
                    all.gather(rows.iter().copied(), own.data_mut());
                }
                let figures = self.step(&mut batch, rows.len())?;
                let weight = rows.len() as f64;
                sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += weight * figure);
                seen += weight;
                if !callbacks.is_empty() {
                    let logs = logs(figures);
                    self.tell(&mut callbacks, &course, epoch, &mut stop, |callback, state| {
                        callback.on_batch_end(state, step, &logs)
                    })?;
                }
                progress.step(step + 1, || logs(sums.map(|sum| sum / seen)));
            }
            let logs = logs(sums.map(|sum| sum / seen));
            self.epochs = epoch + 1;
            progress.finish(&logs);
            log::debug!("epoch {}/{}: {logs}", epoch + 1, course.epochs);
            self.tell(&mut callbacks, &course, epoch, &mut stop, |callback, state| {
                callback.on_epoch_end(state, &logs)
            })?;
            history.push(epoch, logs);
            if stop {
                break;
            }
        }
        self.discriminator_driver.finish(&mut self.discriminator);
        self.generator_driver.finish(&mut self.generator);
        let last = history.epochs().last().copied().unwrap_or(course.initial_epoch);
        self.tell(&mut callbacks, &course, last, &mut stop, GanCallback::on_train_end)?;
        Ok(history)
    }

    /// Calls one method of every callback.
    fn tell<'c>(
        &mut self,
        callbacks: &mut [Box<dyn GanCallback<F> + 'c>],
        course: &Course,
        epoch: usize,
        stop: &mut bool,
        mut what: impl FnMut(&mut (dyn GanCallback<F> + 'c), &mut GanState<'_, F>) -> Result<()>,
    ) -> Result<()> {
        callbacks.iter_mut().try_for_each(|callback| {
            what(callback.as_mut(), &mut GanState { epoch, epochs: course.epochs, gan: &mut *self, stop: &mut *stop })
        })
    }

    /// The discriminator's steps on a batch, then the generator's.
    fn step(&mut self, batch: &mut Batch<F>, rows: usize) -> Result<[f64; 4]> {
        batch.noise.set_rows(rows);
        let (mut loss, mut real, mut fake) = (0.0, 0.0, 0.0);
        let parts = self.options.discriminator_steps;
        for part in 0..parts {
            fill_noise(self.options.noise, self.key("gan/noise", part), batch.noise.data_mut());
            let step =
                self.discriminator_step(batch.with_labels(&batch.real), &batch.with_labels(&batch.noise), part)?;
            (loss, real, fake) = (loss + step.loss, real + step.real, fake + step.fake);
        }
        let generator_loss = if self.options.reuse_fakes {
            self.generator_step(&batch.with_labels(&batch.noise))?
        } else {
            fill_noise(self.options.noise, self.key("gan/noise/generator", 0), batch.noise.data_mut());
            self.train_generator(batch.with_labels(&batch.noise))?
        };
        let parts = parts as f64;
        Ok([loss / parts, generator_loss, real / parts, fake / parts])
    }

    /// Refuses what the networks do not take; gives the number of samples.
    fn check_data(
        &self,
        samples: &Given<'_, F>,
        labels: Option<&Given<'_, F>>,
        options: &GanFit<'_, F>,
    ) -> Result<usize> {
        let call = "Gan::fit";
        options.course.check(call)?;
        let conditional = self.discriminator.graph.inputs.len() == 2;
        let given = match labels {
            None if conditional => {
                return Err(
                    Error::data(call, "labels, which both networks take", "none").advise("give `GanFit::labels`")
                );
            }
            Some(_) if !conditional => {
                return Err(Error::data(call, "no labels, which neither network takes", "some"));
            }
            None => Several::One([samples.clone()]),
            Some(labels) => Several::Two([samples.clone(), labels.clone()]),
        };
        let rows = check_inputs(call, &self.discriminator.graph.inputs, &given)?;
        if rows == 0 {
            return Err(Error::data(call, "at least one sample", "none"));
        }
        if let Some((row, value)) = given.iter().find_map(Given::not_finite) {
            return Err(Error::data(call, "finite numbers", format!("{value} at row {row}")));
        }
        if let Column::Bytes(_) = samples.values {
            let advice = "scale pixels to the generator's range, such as −1 to 1";
            return Err(Error::data(call, "samples in the generator's range", "bytes").advise(advice));
        }
        Ok(rows)
    }
}

impl<F: Scalar> Gan<F> {
    /// One step of both networks on a batch of real samples, as [`fit`](Self::fit) makes it: `d_loss`, `g_loss`, `d_real`,
    /// `d_fake`. With labels `(&samples, &labels)`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn train_on_batch<'a>(&mut self, real: impl IntoInputs<'a, F>) -> Result<Logs> {
        let real = real.into_inputs();
        let rows = check_inputs("Gan::train_on_batch", &self.discriminator.graph.inputs, &real)?;
        let own = |given: &Given<'_, F>| {
            let mut tensor = Tensor::zeros(given.shape);
            given.gather(0..rows, tensor.data_mut());
            tensor
        };
        let noise = Tensor::without_rows(&[self.latent()]);
        let mut batch = Batch { real: own(&real[0]), labels: real.get(1).map(own), noise };
        self.step(&mut batch, rows).map(logs)
    }
}
