//! Faults that users of other libraries reported, each with the smallest input that shows it and the right value: found
//! by hand, in decimals, or by Keras and PyTorch.

use gradus::custom::*;
use gradus::training::{Learner, Part, Running, StepBatch, train};
use ndarray::arr1;

type Outcome = gradus::Result<()>;

/// Dense(1) with this weight and no bias.
fn one_weight<F: Scalar>(weight: f64, activation: Activation) -> gradus::Result<Model<F>> {
    let layer = Dense::new(1).use_bias(false).activation(activation);
    let mut model = Sequential::<F>::default().input([1]).add(layer).build()?;
    model.set_weights([("dense/kernel", &ArrayD::from_elem(vec![1, 1], F::of(weight)))])?;
    Ok(model)
}

fn weight<F: Scalar>(model: &Model<F>) -> f64 {
    model.weight("dense/kernel").unwrap()[[0, 0]].f64()
}

#[test]
fn a_focal_loss_below_1_is_finite_where_predictions_are_certain() -> Outcome {
    for (gamma, z, expected) in [(0.5, 18.0, -2.819e-12), (0.0, 18.0, -1.523e-8)] {
        let loss = BinaryFocalCrossentropy::new().gamma(gamma).from_logits(true);
        let grad = |z: f32, t: f32| loss.value_and_gradient(&array![[z]], &array![[t]]).map(|(_, grad)| grad[[0, 0]]);
        for (grad, expected) in [(grad(z, 1.0)?, expected), (grad(-z, 0.0)?, -expected)] {
            assert!((f64::from(grad) / expected - 1.0).abs() < 2e-3, "{gamma}: {grad}, not {expected}");
        }
        // However far, wrong or right.
        for z in [40.0f32, 90.0, 200.0, 1e30] {
            for (z, t) in [(z, 1.0), (-z, 0.0), (z, 0.0), (-z, 1.0)] {
                assert!(grad(z, t)?.is_finite(), "{gamma}, {z}, {t}");
            }
        }
        let loss = BinaryFocalCrossentropy::new().gamma(gamma).from_logits(true);
        for z in [40.0f64, 800.0] {
            let (value, grad) = loss.value_and_gradient(&array![[z], [-z]], &array![[1.0], [0.0]])?;
            assert!(value.is_finite() && grad.iter().all(|grad| grad.is_finite()), "{gamma}, {z}");
        }
    }
    for gamma in [0.0, 0.3, 0.5, 1.0, 2.0] {
        let p = [0.0f32, 1.0, 1e-40, f32::EPSILON, 1.0 - f32::EPSILON];
        for p in p {
            for t in [0.0f32, 1.0, 0.3] {
                let binary = BinaryFocalCrossentropy::new().gamma(gamma);
                let (value, grad) = binary.value_and_gradient(&array![[p]], &array![[t]])?;
                assert!(value.is_finite() && grad[[0, 0]].is_finite(), "binary, {gamma}, {p}, {t}");
                let categorical = CategoricalFocalCrossentropy::new().gamma(gamma);
                let (value, grad) = categorical.value_and_gradient(&array![[p, 1.0 - p]], &array![[t, 1.0 - t]])?;
                assert!(value.is_finite() && grad.iter().all(|g| g.is_finite()), "categorical, {gamma}, {p}, {t}");
            }
        }
    }
    // A training that made the weight NaN in one step.
    for (gamma, logits) in [(0.0, true), (0.5, true), (0.0, false), (0.5, false)] {
        let activation = if logits { Linear } else { Sigmoid };
        let mut model = one_weight::<f32>(30.0, activation)?;
        let loss = BinaryFocalCrossentropy::new().gamma(gamma).from_logits(logits);
        model.compile(Compile::new(SGD::new().learning_rate(0.01)).loss(loss))?;
        model.train_on_batch(&array![[1.0f32], [-1.0], [0.1]], &array![[1.0f32], [0.0], [1.0]])?;
        assert!((weight(&model) - 30.0).abs() < 1e-3, "{gamma}, {logits}: {}", weight(&model));
        if gamma == 0.0 {
            // The cross-entropy.
            assert!((weight(&model) - 30.000_015).abs() < 4e-6, "{}", weight(&model));
        }
    }
    Ok(())
}

#[test]
fn a_factor_for_each_class() -> Outcome {
    let (p, t) = (array![[0.2f64, 0.5, 0.3]], array![[0.0, 1.0, 0.0]]);
    let each = CategoricalFocalCrossentropy::new().alpha([0.1, 0.7, 0.3]).call(&p, &t)?;
    assert!((each - 0.7 * 0.25 * 2f64.ln()).abs() < 1e-12);
    let model = Sequential::new().input([2]).add(Dense::new(3).activation(Softmax));
    let refused = model.compile(CategoricalFocalCrossentropy::new().alpha([0.1, 0.9]), SGD::new()).build();
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`alpha` must be one number, or one for each of 3 classes, got 2"), "{message}");
    Ok(())
}

#[test]
fn a_saturated_sigmoid_learns() -> Outcome {
    let mut model = one_weight::<f32>(-200.0, Sigmoid)?;
    model.compile(Compile::new(SGD::new().learning_rate(1.0)).loss(BinaryCrossentropy::new()))?;
    let (x, t) = (array![[1.0f32]], array![[1.0f32]]);
    assert_eq!(model.evaluate(&x, &t)?["loss"], 200.0);
    assert_eq!(model.train_on_batch(&x, &t)?["loss"], 200.0);
    assert_eq!(weight(&model), -199.0);
    // The prediction is the activation's all the same, and metrics see it.
    assert_eq!(model.predict(&x)?[[0, 0]], 0.0);
    let mut model = one_weight::<f64>(2.0, Sigmoid)?;
    model.compile(Compile::new(SGD::new()).loss(BinaryCrossentropy::new()).metric(MeanSquaredErrorMetric::new()))?;
    let score = model.evaluate(&array![[1.0f64]], &array![[1.0f64]])?;
    let p = 1.0 / (1.0 + (-2f64).exp());
    assert!((score["loss"] + p.ln()).abs() < 1e-12);
    assert!((score["mean_squared_error"] - (1.0 - p).powi(2)).abs() < 1e-12);
    Ok(())
}

#[test]
fn a_saturated_softmax_learns() -> Outcome {
    // Logits go in as they are, through an identity.
    let logits = array![[12.5f64, 47.0, 2.5], [310.0, -90.0, 20.0], [-120.0, 210.0, 530.0]];
    let classes = array![0, 0, 1];
    let one_hot = array![[1.0f64, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    let right = 118.166_666_666_666_67;
    for layer in [Dense::new(3).use_bias(false).activation(Softmax).into_layer(), Softmax.into_layer()] {
        let with_kernel = !format!("{layer:?}").contains("Activation");
        let sparse =
            Sequential::f64().input([3]).add(layer.clone()).compile(SparseCategoricalCrossentropy::new(), SGD::new());
        let dense = Sequential::f64().input([3]).add(layer).compile(CategoricalCrossentropy::new(), SGD::new());
        let (mut sparse, mut dense) = (sparse.build()?, dense.build()?);
        for model in [&mut sparse, &mut dense].into_iter().filter(|_| with_kernel) {
            model.set_weights([("dense/kernel", &Array2::eye(3).into_dyn())])?;
        }
        assert!((sparse.evaluate(&logits, &classes)?["loss"] - right).abs() < 1e-9);
        assert!((dense.evaluate(&logits, &one_hot)?["loss"] - right).abs() < 1e-9);
    }
    // Alone, on probabilities, it clips as before.
    let p = array![[0.0f64, 1.0, 0.0]];
    let clipped = CategoricalCrossentropy::new().call(&p, &array![[1.0, 0.0, 0.0]])?;
    assert!((clipped - 1e7f64.ln()).abs() < 1e-6);
    Ok(())
}

/// A learner whose loss is given, epoch by epoch: the weight of its model counts them.
struct Scripted {
    model: Model<f32>,
    optimizer: Driver<f32>,
    losses: Vec<f64>,
    epoch: usize,
}

impl Scripted {
    fn new(losses: &[f64]) -> Self {
        let model = one_weight(0.0, Linear).unwrap();
        let optimizer = Driver::new(SGD::new(), &model).unwrap();
        Self { model, optimizer, losses: losses.to_vec(), epoch: 0 }
    }

    /// Trains as long as there are losses.
    fn train(&mut self, options: Fit<'_, f32>) -> gradus::Result<History> {
        let epochs = self.losses.len();
        train(self, Arrays::inputs(&array![[1.0f32]]), options.epochs(epochs).verbose(0))
    }
}

impl Learner<f32> for Scripted {
    fn train_step(&mut self, _: &mut StepBatch<'_, f32>, logs: &mut Running) -> Outcome {
        logs.add("loss", self.losses[self.epoch]);
        self.epoch += 1;
        self.model.set_weights([("dense/kernel", &ArrayD::from_elem(vec![1, 1], self.epoch as f32))])
    }

    fn test_step(&mut self, _: &mut StepBatch<'_, f32>, logs: &mut Running) -> Outcome {
        logs.add("loss", self.losses[self.epoch - 1] + 1.0);
        Ok(())
    }

    fn parts(&mut self, visit: &mut dyn FnMut(Part<'_, f32>)) {
        visit(Part::new("scripted", &mut self.model, &mut self.optimizer));
    }
}

/// An empty folder of its own.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("gradus-faults-{name}-{}", std::process::id()));
    std::fs::remove_dir_all(&folder).ok();
    folder
}

/// The files of a folder, by name.
fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Which epochs are saved as the best of these losses, and the best loss.
fn saved(
    name: &str,
    losses: &[f64],
    callback: impl FnOnce(ModelCheckpoint) -> ModelCheckpoint,
) -> (Vec<String>, Option<f64>) {
    let folder = folder(name);
    let mut save = callback(ModelCheckpoint::new(folder.join("{epoch}")).monitor("loss").save_best_only(true));
    Scripted::new(losses).train(Fit::new().callback(&mut save)).unwrap();
    let names = files(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    (names, save.best())
}

#[test]
fn nan_is_never_the_best() -> Outcome {
    let nan = f64::NAN;
    let text = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(saved("nan1", &[0.5, nan, 0.9, 0.8], |save| save), (text(&["1"]), Some(0.5)));
    assert_eq!(saved("nan2", &[0.5, 0.4, nan], |save| save), (text(&["1", "2"]), Some(0.4)));
    assert_eq!(saved("nan3", &[nan, 0.5, 0.6], |save| save), (text(&["2"]), Some(0.5)));
    assert_eq!(saved("nan4", &[nan, 0.5, nan, 0.6], |save| save.mode(Monitor::Max)), (text(&["2", "4"]), Some(0.6)));

    let mut learner = Scripted::new(&[nan, 0.5, 0.4, 0.3, 0.2]);
    let mut stopping = EarlyStopping::new().monitor("loss").patience(2).restore_best_weights(true);
    let history = learner.train(Fit::new().callback(&mut stopping))?;
    assert_eq!((history.epochs().len(), stopping.best(), stopping.best_epoch()), (5, Some(0.2), 4));
    assert_eq!(weight(&learner.model), 5.0);
    // One that ends in NaN gives back the best.
    let mut learner = Scripted::new(&[0.5, 0.4, nan, nan, nan]);
    let mut stopping = EarlyStopping::new().monitor("loss").patience(2).restore_best_weights(true);
    let history = learner.train(Fit::new().callback(&mut stopping))?;
    assert_eq!((history.epochs().len(), stopping.best(), weight(&learner.model)), (4, Some(0.4), 2.0));

    let mut learner = Scripted::new(&[nan, 0.5, 0.4, 0.3, 0.2]);
    let before = learner.optimizer.learning_rate();
    learner.train(Fit::new().callback(ReduceLROnPlateau::new().monitor("loss").patience(2)))?;
    assert_eq!(learner.optimizer.learning_rate(), before);
    Ok(())
}

#[test]
fn a_training_that_goes_on_knows_its_best() {
    let text = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (names, best) = saved("resumed", &[0.7, 0.65], |save| save.initial_best(0.2));
    assert_eq!((names, best), (text(&[]), Some(0.2)));
    let (names, best) = saved("resumed2", &[0.7, 0.1], |save| save.initial_best(0.2));
    assert_eq!((names, best), (text(&["2"]), Some(0.1)));
    let mut stopping = EarlyStopping::new().monitor("loss").patience(2).initial_best(0.2);
    let history = Scripted::new(&[0.7, 0.65, 0.6, 0.5]).train(Fit::new().callback(&mut stopping)).unwrap();
    assert_eq!((history.epochs().len(), stopping.best()), (2, Some(0.2)));
}

#[test]
fn checkpoints_fill_in_their_names_and_make_their_folders() -> Outcome {
    let folder = folder("patterns");
    let path = folder.join("deep/{epoch:02d}/n-{loss:.2f}.safetensors");
    Scripted::new(&[0.5, 0.456]).train(Fit::new().callback(ModelCheckpoint::new(&path)))?;
    assert!(folder.join("deep/01/n-0.50.safetensors").exists() && folder.join("deep/02/n-0.46.safetensors").exists());
    let log = folder.join("logs/training.csv");
    Scripted::new(&[0.5]).train(Fit::new().callback(CSVLogger::new(&log)))?;
    assert!(log.exists());
    // Refused before the first epoch, whose work would be lost.
    let mut learner = Scripted::new(&[0.5]);
    let refused =
        learner.train(Fit::new().callback(ModelCheckpoint::new(folder.join("{epoch:x}")))).unwrap_err().to_string();
    assert!(refused.contains("`path` must be fields such as") && learner.epoch == 0, "{refused}");
    let unknown = Scripted::new(&[0.5]).train(Fit::new().callback(ModelCheckpoint::new(folder.join("{acc:.2f}"))));
    let unknown = unknown.unwrap_err().to_string();
    assert!(unknown.contains("there is no field of the path `acc`") && unknown.contains("loss"), "{unknown}");
    std::fs::remove_dir_all(&folder).unwrap();
    Ok(())
}

#[test]
fn callbacks_wait_for_the_epochs_that_are_validated() -> Outcome {
    let folder = folder("freq");
    let x = array![[1.0f32]];
    let losses = [0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
    let fit = || Fit::new().validation(Arrays::inputs(&x)).validation_freq(2);
    let mut stopping = EarlyStopping::new().patience(1);
    let log = folder.join("log.csv");
    let options = fit()
        .callback(&mut stopping)
        .callback(ReduceLROnPlateau::new().patience(1))
        .callback(ModelCheckpoint::new(folder.join("{epoch}-{val_loss:.1f}")).save_best_only(true))
        .callback(CSVLogger::new(&log));
    let history = Scripted::new(&losses).train(options)?;
    assert_eq!((history.epochs().len(), stopping.best()), (6, Some(1.1)));
    assert_eq!(files(&folder), ["2-1.5", "4-1.3", "6-1.1", "log.csv"]);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("epoch,loss,val_loss\n0,0.6,NA\n1,0.5,1.5\n2,0.4,NA\n"), "{text}");
    assert_eq!(history.names(), ["loss", "val_loss"]);
    assert!(history.to_csv().starts_with("epoch,loss,val_loss\n0,0.6,\n1,0.5,1.5\n"), "{}", history.to_csv());
    assert_eq!(history.points("val_loss"), [(1, 1.5), (3, 1.3), (5, 1.1)]);
    // A name that no epoch has is a slip all the same, and so is one of validation without validation.
    let slip = Scripted::new(&losses).train(fit().callback(EarlyStopping::new().monitor("val_los"))).unwrap_err();
    assert!(slip.to_string().contains("there is no metric `val_los`; there are `loss`, `val_loss`"), "{slip}");
    let slip = Scripted::new(&losses).train(Fit::new().callback(EarlyStopping::new())).unwrap_err();
    assert!(slip.to_string().contains("there is no metric `val_loss`"), "{slip}");
    std::fs::remove_dir_all(&folder).unwrap();
    Ok(())
}

/// Dense(1) of zeros, trained without shuffling.
fn averaged(optimizer: SGD, batch: usize, epochs: usize, x: &Array2<f64>, y: &Array2<f64>) -> gradus::Result<Vec<f64>> {
    let dense = Dense::new(1).kernel_initializer(Initializer::Zeros);
    let mut model =
        Sequential::f64().input([x.ncols()]).add(dense).compile(MeanSquaredError::new(), optimizer).build()?;
    model.fit(x, y, Fit::new().epochs(epochs).batch_size(batch).shuffle(false).verbose(0))?;
    Ok(model.get_weights().into_iter().flat_map(|(_, values)| values.into_iter()).collect())
}

#[test]
fn a_moving_average_goes_by_updates_and_not_by_batches() -> Outcome {
    let x = array![[1.0, 0.5], [0.2, -1.0], [0.7, 0.1], [-0.4, 0.9]];
    let y = array![[1.0], [2.0], [-1.0], [0.5]];
    let optimizer = || SGD::new().learning_rate(0.1).use_ema(true).ema_momentum(0.5);
    let whole = averaged(optimizer(), 4, 3, &x, &y)?;
    assert!((whole[0] - 0.037_634_522_5).abs() < 1e-9 && (whole[2] - 0.239_672_656_25).abs() < 1e-9, "{whole:?}");
    let halves = averaged(optimizer().gradient_accumulation_steps(2), 2, 3, &x, &y)?;
    assert!(whole.iter().zip(&halves).all(|(a, b)| (a - b).abs() < 1e-12), "{whole:?} {halves:?}");
    Ok(())
}

#[test]
fn an_average_replaces_the_weights_after_its_updates() -> Outcome {
    // x = 1, t = 10, from 0: w after four updates, the average in its place after every second.
    let train = |accumulate: Option<u64>| {
        let optimizer = SGD::new()
            .learning_rate(0.1)
            .use_ema(true)
            .ema_momentum(0.5)
            .ema_overwrite_frequency(2u64)
            .gradient_accumulation_steps(accumulate);
        let mut model = one_weight::<f64>(0.0, Linear)?;
        model.compile(Compile::new(optimizer).loss(MeanSquaredError::new()))?;
        for _ in 0..4 * accumulate.unwrap_or(1) {
            model.train_on_batch(&array![[1.0f64]], &array![[10.0f64]])?;
        }
        gradus::Result::Ok(weight(&model))
    };
    assert_eq!(train(None)?, train(Some(2))?);
    Ok(())
}

#[test]
fn gradients_that_are_not_finite_change_nothing() -> Outcome {
    for clip in [None, Some(1.0)] {
        let mut model = one_weight::<f32>(0.0, Linear)?;
        let optimizer = SGD::new().clipnorm(clip);
        model.compile(Compile::new(optimizer).loss(MeanSquaredError::new()))?;
        let (x, t) = (array![[1e25f32]], array![[1e15f32]]);
        let refused = model.train_on_batch(&x, &t).unwrap_err();
        assert!(refused.to_string().contains("the gradient of `dense/kernel` is not finite at step 0"), "{refused}");
        assert!(matches!(refused, gradus::Error::GradientNotFinite { loss, .. } if (loss / 1e30 - 1.0).abs() < 1e-6));
        assert_eq!(weight(&model), 0.0);
        let refused = model.fit(&x, &t, Fit::new().verbose(0)).unwrap_err();
        assert!(matches!(refused, gradus::Error::GradientNotFinite { .. }), "{refused}");
        // Ends without an error where that is asked for; afterwards the model trains on.
        model.fit(&x, &t, Fit::new().verbose(0).callback(TerminateOnNaN))?;
        model.train_on_batch(&array![[1.0f32]], &array![[1.0f32]])?;
        assert!(weight(&model) > 0.0);
    }
    // In a table whose gradients lie apart, row by row.
    let embedding = Embedding::new(4, 2).embeddings_initializer(Initializer::Ones);
    let mut model =
        Sequential::new().input([1]).add(embedding).add(Flatten::new()).add(Rescaling::new(1e20)).build()?;
    model.compile(Compile::new(SGD::new()).loss(MeanSquaredError::new().reduction(Reduction::Sum)))?;
    let before = model.get_weights();
    let target = array![[1e20f32 - 1e19, 1e20 - 1e19]];
    match model.train_on_batch(&array![[3.0f32]], &target) {
        Err(refused) => assert!(refused.to_string().contains("`embedding/embeddings`"), "{refused}"),
        Ok(_) => panic!("an infinite gradient was taken"),
    }
    assert_eq!(model.get_weights(), before);
    Ok(())
}

#[test]
fn a_row_of_padding_alone_is_named() -> Outcome {
    let mut model = Sequential::new()
        .input([3])
        .add(Embedding::new(9, 2).mask_zero(true))
        .add(GlobalAvgPool1D::new())
        .add(Dense::new(1))
        .compile(MeanSquaredError::new(), SGD::new())
        .build()?;
    let x = array![[1.0f32, 2.0, 0.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [4.0, 0.0, 0.0]];
    let refused = model.fit(&x, &Array2::<f32>::zeros((4, 1)), Fit::new().verbose(0).shuffle(false)).unwrap_err();
    assert!(refused.to_string().contains("row 2 is padding alone"), "{refused}");
    assert!(refused.loss_not_finite().is_some());
    Ok(())
}

#[test]
fn models_nested_too_deeply_to_be_read_are_not_saved() -> Outcome {
    let nested = |depth: usize| -> gradus::Result<Model> {
        let mut model = Sequential::new().input([2]).add(Dense::new(2)).build()?;
        for _ in 0..depth {
            model = Sequential::new().input([2]).add(model).build()?;
        }
        Ok(model)
    };
    let folder = folder("nested");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.safetensors");
    let mut refused = 0;
    for depth in [5, 12, 25, 41, 60] {
        let model = nested(depth)?;
        match model.save(&path) {
            Ok(()) => assert_eq!(Model::<f32>::load(&path)?.get_weights(), model.get_weights(), "{depth}"),
            Err(error) => {
                assert!(error.to_string().contains("fewer models inside one another"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && refused < 4, "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
    Ok(())
}

#[test]
fn losses_of_one_axis_have_their_gradients() -> Outcome {
    let (p, t) = (arr1(&[1.0f64, -2.0, 0.5]), arr1(&[0.0f64, 1.0, 0.5]));
    let (value, grad) = MeanSquaredError::new().value_and_gradient(&p, &t)?;
    assert!((value - 10.0 / 3.0).abs() < 1e-12);
    assert_eq!(grad, arr1(&[2.0 / 3.0, -2.0, 0.0]).into_dyn());
    assert_eq!(MeanSquaredError::new().unreduced(&p, &t, None)?.ndim(), 0);
    // The sum over the only axis, as in Keras.
    let (p, t) = (arr1(&[0.5f64, 0.5]), arr1(&[0.25f64, 0.75]));
    let divergence = KLDivergence::new().call(&p, &t)?;
    assert!((divergence - (0.25 * 0.5f64.ln() + 0.75 * 1.5f64.ln())).abs() < 1e-12);
    Ok(())
}

#[test]
fn splits_have_every_size_that_people_ask_for() -> Outcome {
    let sizes = |split: TrainTestSplit, n| split.split(n).map(|(train, test)| (train.len(), test.len()));
    assert_eq!(sizes(TrainTestSplit::new(), 10)?, (7, 3));
    assert_eq!(sizes(TrainTestSplit::new().train_size(0.55), 10)?, (5, 5));
    assert_eq!(sizes(TrainTestSplit::new().train_size(4usize).test_size(0.11), 10)?, (4, 2));
    let (train, test) = TrainTestSplit::new().train_size(3usize).test_size(2usize).shuffle(false).split(10)?;
    assert_eq!((train, test), (vec![0, 1, 2], vec![3, 4]));
    let labels: Vec<usize> = (0..100).map(|row| usize::from(row % 5 == 0)).collect();
    let [train, validation, test] =
        TrainTestSplit::new().validation_size(20usize).test_size(30usize).split_stratified_in_three(&labels)?;
    let ones = |rows: &[usize]| rows.iter().map(|&row| labels[row]).sum::<usize>();
    assert_eq!((train.len(), validation.len(), test.len()), (50, 20, 30));
    assert_eq!((ones(&train), ones(&validation), ones(&test)), (10, 4, 6));
    let mut all = [train, validation, test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    for (wrong, what) in [
        (TrainTestSplit::new().test_size(1.0), "`test_size`"),
        (TrainTestSplit::new().test_size(10usize), "`test_size`"),
        (TrainTestSplit::new().train_size(0.8).test_size(0.3), "no more rows"),
        (TrainTestSplit::new().train_size(0.01), "at least one row"),
        (TrainTestSplit::new().validation_size(0.1), "split_in_three"),
    ] {
        let refused = wrong.split(10).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
    assert!(TrainTestSplit::new().shuffle(false).split_stratified([0, 0, 1, 1, 1, 1]).is_err());
    Ok(())
}
