//! Knowledge distillation: a small network learns from the answers of a large one, in a training step of its own.
//!
//! | | |
//! | --- | --- |
//! | data | MNIST digits, the 10,000 that ship with the crate (Yann LeCun, Corinna Cortes, Christopher Burges; CC BY-SA 3.0) |
//! | command | `cargo run --example distillation` |
//! | expected | the student's accuracy with the teacher's answers, and with labels alone |
//! | source | Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network" |

mod arguments;

use gradus::custom::*;
use gradus::training::{Learner, Part, Running, StepBatch, train};

/// How flat the teacher's answers are made: softmax(logits / T).
const TEMPERATURE: f32 = 4.0;
/// How much the labels count beside the teacher's answers.
const LABELS: f32 = 0.1;

/// A student, and what it learns from: L = 0.1·H(labels, σ(z)) + 0.9·T²·KL(σ(t/T) ‖ σ(z/T)).
struct Student {
    model: Model,
    pass: Pass<f32>,
    optimizer: Driver<f32>,
    teacher: Option<Model>,
}

impl Student {
    /// The loss of a batch, and its gradient with respect to the student's logits.
    fn loss(
        &self,
        x: View<'_, f32>,
        logits: View<'_, f32>,
        labels: View<'_, f32>,
    ) -> gradus::Result<(f32, ArrayD<f32>)> {
        let of_labels = SparseCategoricalCrossentropy::new().from_logits(true);
        let (hard, mut gradient) = of_labels.value_and_gradient(logits, labels)?;
        let Some(teacher) = &self.teacher else { return Ok((hard, gradient)) };
        let raised = teacher.predict(x)?.mapv(|z| (z / TEMPERATURE).exp());
        let answers = &raised / &raised.sum_axis(Axis(1)).insert_axis(Axis(1));
        let own = logits.array().mapv(|z| z / TEMPERATURE);
        let of_answers = CategoricalCrossentropy::new().from_logits(true);
        let (soft, slope) = of_answers.value_and_gradient(&own, &answers)?;
        let soft_weight = (1.0 - LABELS) * TEMPERATURE * TEMPERATURE;
        gradient.zip_mut_with(&slope, |g, s| *g = LABELS * *g + soft_weight / TEMPERATURE * s);
        Ok((LABELS * hard + soft_weight * soft, gradient))
    }
}

impl Learner<f32> for Student {
    fn train_step(&mut self, batch: &mut StepBatch<'_, f32>, logs: &mut Running) -> gradus::Result<()> {
        let step = self.optimizer.steps();
        let batch = batch.gather(step)?;
        let (x, labels) = (batch.input(0), batch.target(0));
        self.model.forward(&mut self.pass, x, Mode::Training { seed: 0, step })?;
        let (loss, gradient) = self.loss(x, self.pass.output(0), labels)?;
        self.model.backward(&mut self.pass, &gradient)?;
        logs.add("loss", f64::from(loss));
        self.optimizer.step(&mut self.model, &self.pass)
    }

    fn test_step(&mut self, batch: &mut StepBatch<'_, f32>, logs: &mut Running) -> gradus::Result<()> {
        let batch = batch.gather(0)?;
        logs.add("accuracy", accuracy(&self.model, batch.input(0), batch.target(0))?);
        Ok(())
    }

    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, f32>)) {
        visit(Part::new("student", &mut self.model, &mut self.optimizer));
    }

    fn higher_is_better(&self, name: &str) -> bool {
        name == "accuracy"
    }
}

fn accuracy(model: &Model, x: View<'_, f32>, labels: View<'_, f32>) -> gradus::Result<f64> {
    let logits = model.predict(x)?;
    let best = |row: ndarray::ArrayViewD<'_, f32>| {
        let row: Vec<f32> = row.iter().copied().collect();
        (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
    };
    let right = logits.outer_iter().zip(labels.iter()).filter(|(row, label)| best(row.clone()) as f32 == **label);
    Ok(right.count() as f64 / labels.len() as f64)
}

fn network(units: &[usize], seed: u64) -> Sequential<f32> {
    let network = Sequential::new().input([28, 28]).add(Flatten::new());
    units
        .iter()
        .fold(network, |network, &units| network.add(Dense::new(units).activation(Relu)))
        .add(Dense::new(10))
        .seed(seed)
}

fn main() -> gradus::Result<()> {
    let arguments = arguments::Arguments::read(10);
    let (train_set, test_set) = datasets::mnist::load()?;
    let scale = |images: &Array3<u8>| images.mapv(|p| f32::from(p) / 255.0);
    let (x, x_test) = (scale(&train_set.images), scale(&test_set.images));
    let mut teacher = network(&[400, 400], arguments.seed)
        .compile(SparseCategoricalCrossentropy::new().from_logits(true), Adam::new())
        .build()?;
    teacher.fit(&x, &train_set.labels, Fit::new().batch_size(128).epochs(arguments.epochs).verbose(0))?;

    for with_teacher in [false, true] {
        let model = network(&[12], arguments.seed + 1).build()?;
        let (pass, optimizer) = (model.pass(), Driver::new(Adam::new(), &model)?);
        let mut student = Student { model, pass, optimizer, teacher: with_teacher.then(|| teacher.clone()) };
        let stopping = EarlyStopping::new().monitor("val_accuracy").patience(5).restore_best_weights(true);
        let options = Fit::new().batch_size(64).epochs(2 * arguments.epochs).validation_split(0.1).callback(stopping);
        train(&mut student, Arrays::new(&x, &train_set.labels), options)?;
        let labels: Vec<f32> = test_set.labels.iter().map(|&label| f32::from(label)).collect();
        let right = accuracy(
            &student.model,
            View::new(x_test.shape(), x_test.as_slice().expect("row-major")),
            View::new(&[labels.len()], &labels),
        )?;
        println!(
            "Test accuracy {}: {right:.4}",
            if with_teacher { "with the teacher's answers" } else { "with labels alone" }
        );
    }
    Ok(())
}
