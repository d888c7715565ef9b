//! Learners of a user, and sources with options that apply or are refused.

use gradus::custom::*;
use gradus::training::{Learner, Part, Running, StepBatch, resume, train};

use super::{rows, small, targets};

/// Learns to give back its input, with noise on it.
struct Denoiser {
    model: Model<f64>,
    pass: Pass<f64>,
    optimizer: Driver<f64>,
    refuses_rows: bool,
}

impl Denoiser {
    fn new() -> Self {
        let model = Sequential::f64().input([3]).add(Dropout::new(0.2)).add(Dense::new(3)).seed(3).build().unwrap();
        let (pass, optimizer) = (model.pass(), Driver::new(Adam::new().learning_rate(0.01), &model).unwrap());
        Self { model, pass, optimizer, refuses_rows: false }
    }
}

impl Learner<f64> for Denoiser {
    fn train_step(&mut self, batch: &mut StepBatch<'_, f64>, logs: &mut Running) -> gradus::Result<()> {
        let step = self.optimizer.steps();
        let x = batch.gather(step)?.input(0);
        let y = self.model.forward(&mut self.pass, x, Mode::Training { seed: 1, step })?;
        let (loss, gradient) = MeanSquaredError::new().value_and_gradient(y, x)?;
        if self.refuses_rows {
            return Err(gradus::Error::LossNotFinite { loss: f64::NAN, step });
        }
        self.model.backward(&mut self.pass, &gradient)?;
        logs.add("loss", loss);
        self.optimizer.step(&mut self.model, &self.pass)
    }

    fn test_step(&mut self, batch: &mut StepBatch<'_, f64>, logs: &mut Running) -> gradus::Result<()> {
        let x = batch.gather(0)?.input(0);
        let y = self.model.predict(x)?;
        logs.add("loss", MeanSquaredError::new().call(&y, x)?);
        Ok(())
    }

    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, f64>)) {
        visit(Part::new("denoiser", &mut self.model, &mut self.optimizer));
    }
}

fn quiet<'a>(epochs: usize) -> Fit<'a, f64> {
    Fit::new().batch_size(8).epochs(epochs).verbose(0)
}

#[test]
fn a_learner_of_a_user_has_all_that_fit_has() -> gradus::Result<()> {
    let x = rows(40, 3);
    let path = std::env::temp_dir().join(format!("gradus-learner-{}.safetensors", std::process::id()));
    let mut whole = Denoiser::new();
    let mut stopping = EarlyStopping::default().patience(50).restore_best_weights(true);
    let options = quiet(5).validation(Arrays::inputs(&x)).callback(&mut stopping);
    let history = train(&mut whole, Arrays::inputs(&x), options)?;
    assert_eq!(history.names(), ["loss", "val_loss"]);
    assert!(history.get("val_loss")[4] < history.get("val_loss")[0]);
    assert_eq!(stopping.best(), history.get("val_loss").into_iter().reduce(f64::min));

    // Interrupted after two epochs, and taken up again: the same bits.
    let mut first = Denoiser::new();
    train(&mut first, Arrays::inputs(&x), quiet(2).callback(ModelCheckpoint::new(&path)))?;
    let mut second = Denoiser::new();
    let epoch = resume(&mut second, &path)?;
    assert_eq!(epoch, 2);
    train(&mut second, Arrays::inputs(&x), quiet(5).initial_epoch(epoch))?;
    let mut uninterrupted = Denoiser::new();
    train(&mut uninterrupted, Arrays::inputs(&x), quiet(5))?;
    assert_eq!(second.model.get_weights(), uninterrupted.model.get_weights());
    std::fs::remove_file(&path).unwrap();
    Ok(())
}

#[test]
fn a_callback_may_end_the_training_of_a_learner_whose_loss_is_not_finite() -> gradus::Result<()> {
    let x = rows(40, 3);
    let mut learner = Denoiser { refuses_rows: true, ..Denoiser::new() };
    assert!(train(&mut learner, Arrays::inputs(&x), quiet(2)).unwrap_err().loss_not_finite().is_some());
    assert!(train(&mut learner, Arrays::inputs(&x), quiet(2).callback(TerminateOnNaN))?.epochs().is_empty());
    let error = train(&mut learner, Arrays::inputs(&x), quiet(2).class_weight([(0, 2.0)])).unwrap_err().to_string();
    assert!(error.contains("no class weights"), "{error}");
    Ok(())
}

#[test]
fn weights_belong_to_the_source_of_validation_and_evaluation_too() -> gradus::Result<()> {
    let (x, y) = (rows(20, 3), targets(20));
    let weights = Array1::from_shape_fn(20, |i| if i < 5 { 1.0 } else { 0.0 });
    let mut model = small(SGD::new());
    let weighted = Arrays::new(&x, &y).sample_weight(&weights);
    let history = model.fit_data(Arrays::new(&x, &y), quiet(1).validation(weighted.clone()))?;
    let few = model.evaluate(&x.slice(ndarray::s![..5, ..]), &y.slice(ndarray::s![..5, ..]))?.loss;
    // Keras divides by the number of rows, not by their weights.
    assert!((model.evaluate_data(weighted)?.loss - few * 5.0 / 20.0).abs() < 1e-12);
    assert!((history.get("val_loss")[0] - few * 5.0 / 20.0).abs() < 1e-12);
    Ok(())
}

#[test]
fn options_that_do_not_apply_are_refused() {
    let (x, y) = (rows(20, 3), targets(20));
    let set = Arrays::new(&x, &y);
    let stream = super::streams::samples(20).batch(4);
    let bare = || Fit::new().verbose(0);
    let mut model = small(SGD::new());
    let before = model.get_weights();
    let refused = |error: gradus::Result<History>, option: &str| {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(option) && error.starts_with("fit: "), "{error}");
    };
    refused(model.fit_data(&stream, bare().batch_size(4)), "batch_size");
    refused(model.fit_data(&stream, bare().shuffle(true)), "shuffle");
    refused(model.fit_data(&stream, bare().validation_split(0.2)), "validation_split");
    refused(model.fit_data(&stream, bare().sample_weight(&Array1::<f64>::ones(20))), "sample_weight");
    refused(model.fit_data(&set, bare().validation_split(0.2)), "validation_split");
    refused(model.fit(&x, &y, bare().validation_split(0.2).validation_data(&x, &y)), "validation_split");
    refused(model.fit(&x, &y, bare().validation_batch_size(3)), "validation_batch_size");
    refused(model.fit(&x, &y, bare().validation_freq(2)), "validation_freq");
    refused(model.fit(&x, &y, bare().validation(&stream).validation_batch_size(3)), "validation_batch_size");
    assert_eq!(model.get_weights(), before);
    model.fit_data(&stream, bare().validation(&set)).unwrap();
}

#[test]
fn each_output_has_a_loss_of_its_own_in_the_logs() -> gradus::Result<()> {
    let x = Input::f64([3]);
    let (p, q) = (x.apply(Dense::new(1).name("p")), x.apply(Dense::new(1).name("q")));
    let compile = Compile::new(SGD::new()).loss(MeanSquaredError::new()).loss(MeanAbsoluteError::new()).weight(0.5);
    let mut model = ModelBuilder::new([&x], [&p, &q]).compile(compile).build()?;
    let (x, y) = (rows(20, 3), targets(20));
    let history = model.fit(&x, (&y, &y), quiet(2))?;
    assert_eq!(history.names(), ["loss", "p_loss", "q_loss"]);
    let score = model.evaluate(&x, (&y, &y))?;
    assert!((score["p_loss"] + 0.5 * score["q_loss"] - score.loss).abs() < 1e-12);
    Ok(())
}
