//! Callbacks, history, stopping early, and what the optimizer's step can be told.

use super::*;

/// Counts what it is told.
#[derive(Default)]
struct Counting {
    calls: Vec<String>,
}

impl<F: Scalar> Callback<F> for Counting {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.calls.push(format!("begin {}", state.epoch));
        Ok(())
    }
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.calls.push(format!("epoch {} of {}", state.epoch, state.epochs));
        Ok(())
    }
    fn on_batch_end(&mut self, _: &mut EpochState<'_, F>, batch: usize, _: &Logs) -> gradus::Result<()> {
        self.calls.push(format!("batch {batch}"));
        Ok(())
    }
    fn on_epoch_end(&mut self, _: &mut EpochState<'_, F>, logs: &Logs) -> gradus::Result<()> {
        self.calls.push(format!("end with {}", logs.names().join(" ")));
        Ok(())
    }
    fn on_train_end(&mut self, _: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.calls.push("done".into());
        Ok(())
    }
}

#[test]
fn callbacks_are_told_of_everything_in_order() -> gradus::Result<()> {
    let mut counting = Counting::default();
    let (x, y) = (rows(20, 3), targets(20));
    let fit = quiet(4, 4).initial_epoch(2).steps_per_epoch(2).validation_split(0.2).callback(&mut counting);
    small(SGD::new()).fit(&x, &y, fit)?;
    let expected = [
        "begin 2",
        "epoch 2 of 4",
        "batch 0",
        "batch 1",
        "end with loss val_loss",
        "epoch 3 of 4",
        "batch 0",
        "batch 1",
        "end with loss val_loss",
        "done",
    ];
    assert_eq!(counting.calls, expected);
    Ok(())
}

#[test]
fn a_training_in_two_parts_is_the_training_in_one() -> gradus::Result<()> {
    let (x, y) = (rows(20, 3), targets(20));
    let (mut whole, mut parts) = (small(Adam::new()), small(Adam::new()));
    let options = || Fit::new().batch_size(8).verbose(0);
    let history = whole.fit(&x, &y, options().epochs(5))?;
    parts.fit(&x, &y, options().epochs(2))?;
    let rest = parts.fit(&x, &y, options().initial_epoch(2).epochs(5))?;
    assert_eq!(rest.epochs(), [2, 3, 4]);
    assert_eq!(rest.get("loss"), history.get("loss")[2..]);
    assert_eq!(whole.get_weights(), parts.get_weights());
    Ok(())
}

#[test]
fn history_holds_every_figure_of_every_epoch() -> gradus::Result<()> {
    let (x, labels) = (rows(20, 3), Array1::from_shape_fn(20, |i| i % 3));
    let mut model = classifier(Adam::new())?;
    let history = model.fit(&x, &labels, quiet(8, 3).validation_split(0.2))?;
    assert_eq!(history.names(), ["loss", "accuracy", "val_loss", "val_accuracy"]);
    assert_eq!(history.epochs(), [0, 1, 2]);
    for name in history.names() {
        assert_eq!(history.get(&name).len(), 3);
    }
    assert!(history.get("recall").is_empty());
    assert_eq!(history.last().expect("three epochs")["val_loss"], history.get("val_loss")[2]);
    assert_eq!(history.to_csv().lines().count(), 4);
    // No epochs, nothing done.
    let before = model.get_weights();
    let none = model.fit(&x, &labels, quiet(8, 0))?;
    assert!(none.epochs().is_empty() && none.last().is_none());
    assert_eq!(model.get_weights(), before);
    Ok(())
}

/// Gives each epoch the loss that a list says: the model is y = w·1 with target 0, and w is set before each epoch.
struct Script<'a>(&'a [f64]);

impl Callback<f64> for Script<'_> {
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, f64>) -> gradus::Result<()> {
        let weight = ArrayD::from_elem(vec![1, 1], self.0[state.epoch].sqrt());
        state.model().set_weights([("dense/kernel", &weight)])
    }
}

/// Trains by a script; returns the epochs that were run and the loss of the weights that are left.
fn scripted(losses: &[f64], stopping: &mut EarlyStopping<f64>) -> gradus::Result<(usize, f64)> {
    let mut model = Sequential::f64()
        .input([1])
        .add(Dense::new(1).use_bias(false))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.0))
        .build()?;
    let fit = quiet(1, losses.len()).callback(Script(losses)).callback(stopping);
    let history = model.fit(&array![[1.0]], &array![[0.0]], fit)?;
    Ok((history.epochs().len(), model.weight("dense/kernel")?[[0, 0]].powi(2)))
}

fn stopping() -> EarlyStopping<f64> {
    EarlyStopping::default().monitor("loss")
}

#[test]
fn early_stopping_keeps_the_conventions_of_keras() -> gradus::Result<()> {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    // Two epochs without a gain are borne; the weights are the last ones.
    let mut two = stopping().patience(2);
    let (epochs, left) = scripted(&[4.0, 1.0, 9.0, 2.0, 0.5], &mut two)?;
    assert_eq!((epochs, two.stopped_epoch(), two.best_epoch()), (4, Some(3), 1));
    assert!(near(left, 2.0));
    // Patience 0: the first epoch without a gain is the last, though never the very first.
    let mut none = stopping();
    assert_eq!(scripted(&[4.0, 5.0, 1.0], &mut none)?.0, 2);
    let mut none = stopping().baseline(0.1);
    assert_eq!(scripted(&[4.0, 3.0, 2.0, 5.0], &mut none)?.0, 4, "gains never end a training");
    // A gain of less than min_delta is none.
    let mut delta = stopping().patience(2).min_delta(0.5);
    assert_eq!(scripted(&[4.0, 3.9, 3.8, 1.0], &mut delta)?.0, 3);
    // A gain that is not better than the baseline does not renew the patience.
    let mut baseline = stopping().patience(2).baseline(1.0);
    assert_eq!(scripted(&[4.0, 3.0, 3.5, 0.5], &mut baseline)?.0, 3);
    // More is better.
    let mut most = stopping().patience(1).mode(Monitor::Max);
    assert_eq!(scripted(&[1.0, 2.0, 1.5, 3.0], &mut most)?.0, 3);
    // The best weights come back, stopped or not.
    let mut best = stopping().patience(1).restore_best_weights(true);
    let (epochs, left) = scripted(&[4.0, 1.0, 9.0, 0.1], &mut best)?;
    assert!(epochs == 3 && near(left, 1.0), "{epochs} {left}");
    let mut best = stopping().patience(9).restore_best_weights(true);
    let (epochs, left) = scripted(&[4.0, 1.0, 9.0], &mut best)?;
    assert!(epochs == 3 && near(left, 1.0) && best.stopped_epoch().is_none());
    // Epochs before start_from_epoch count for nothing.
    let mut late = stopping().patience(1).start_from_epoch(2).restore_best_weights(true);
    let (epochs, left) = scripted(&[0.1, 5.0, 4.0, 3.0, 3.5, 1.0], &mut late)?;
    assert!(epochs == 5 && near(left, 3.0), "{epochs} {left}");
    // Used again, it starts anew.
    assert_eq!(scripted(&[9.0, 8.0, 7.0, 6.0, 6.5, 1.0], &mut late)?.0, 5);
    Ok(())
}

#[test]
fn a_closure_can_set_the_rate_and_end_the_training() -> gradus::Result<()> {
    let mut rates = Vec::new();
    let fit = quiet(4, 10).on_epoch_end(|state, _| {
        rates.push(state.learning_rate());
        if state.epoch == 2 {
            state.stop_training();
        }
        state.set_learning_rate(state.learning_rate() / 2.0)
    });
    small(SGD::new().learning_rate(0.4)).fit(&rows(8, 3), &targets(8), fit)?;
    assert_eq!(rates, [0.4, 0.2, 0.1]);
    Ok(())
}

#[test]
fn a_rate_by_epoch_is_the_rate_of_that_epoch() -> gradus::Result<()> {
    let mut rates = Vec::new();
    let mut seen = Vec::new();
    let schedule = |epoch: usize, rate: f64| {
        rates.push((epoch, rate));
        rate / 2.0
    };
    let fit = quiet(3, 3).callback(LearningRateScheduler::new(schedule)).on_epoch_end(|state, _| {
        seen.push(state.learning_rate());
        Ok(())
    });
    small(SGD::new().learning_rate(0.4)).fit(&rows(6, 3), &targets(6), fit)?;
    assert_eq!(rates, [(0, 0.4), (1, 0.2), (2, 0.1)]);
    assert_eq!(seen, [0.2, 0.1, 0.05]);
    Ok(())
}

#[test]
fn bad_rates_are_refused_and_name_the_callback() {
    let mut model = small(SGD::new());
    let mut fit = |callback: &mut dyn Callback<f64>| {
        model.fit(&rows(6, 3), &targets(6), quiet(3, 3).callback(callback)).unwrap_err().to_string()
    };
    let message = fit(&mut LearningRateScheduler::new(|_, _| -1.0));
    assert!(message.contains("LearningRateScheduler") && message.contains("-1"), "{message}");
    let message = fit(&mut ReduceLROnPlateau::new().monitor("loss").factor(1.0));
    assert!(message.contains("ReduceLROnPlateau") && message.contains("factor"), "{message}");
    let message = fit(&mut ReduceLROnPlateau::new().monitor("val_accuracy"));
    assert!(message.contains("val_accuracy") && message.contains("loss"), "{message}");
    let message = fit(&mut LearningRateRangeTest::<f64>::default().rates(1.0, 0.1));
    assert!(message.contains("0 < low < high"), "{message}");
}

#[test]
fn a_range_test_leaves_weights_and_rate_as_they_were() -> gradus::Result<()> {
    let mut model = small(SGD::new().learning_rate(0.25));
    let before = model.get_weights();
    let mut test = LearningRateRangeTest::<f64>::default().rates(1e-4, 10.0).steps(40);
    let mut rate = 0.0;
    model.fit(&rows(20, 3), &targets(20), quiet(10, 50).callback(&mut test).callback(RateAtEnd(&mut rate)))?;
    assert_eq!(model.get_weights(), before);
    assert_eq!(rate, 0.25);
    let rates: Vec<f64> = test.tried().iter().map(|(rate, _)| *rate).collect();
    assert!(rates.is_sorted() && rates[0] == 1e-4 && rates.len() <= 40);
    Ok(())
}

struct RateAtEnd<'a>(&'a mut f64);

impl<F: Scalar> Callback<F> for RateAtEnd<'_> {
    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        *self.0 = state.learning_rate();
        Ok(())
    }
}

#[test]
fn a_training_that_breaks_ends_quietly_where_that_is_asked_for() -> gradus::Result<()> {
    let (x, y) = (rows(6, 3), targets(6).mapv(|v| v * 1e200));
    let options = || quiet(6, 200);
    let mut model = small(SGD::new().learning_rate(1e3));
    assert!(matches!(model.fit(&x, &y, options()), Err(gradus::Error::LossNotFinite { .. })));
    let mut model = small(SGD::new().learning_rate(1e3));
    let history = model.fit(&x, &y, options().callback(TerminateOnNaN))?;
    assert!(history.epochs().len() < 200);
    Ok(())
}

#[test]
fn figures_are_logged_as_csv_and_appended() -> gradus::Result<()> {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("training.csv");
    let (x, y) = (rows(6, 3), targets(6));
    let history = small(SGD::new()).fit(&x, &y, quiet(2, 3).callback(CSVLogger::new(&path).separator(";")))?;
    let more = CSVLogger::new(&path).separator(";").append(true);
    small(SGD::new()).fit(&x, &y, quiet(6, 2).callback(more))?;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 3 + 2);
    assert_eq!(lines[0], "epoch;loss");
    assert_eq!(lines[1], format!("0;{}", history.get("loss")[0]));
    Ok(())
}

#[test]
fn a_diagnosis_holds_norms_and_finds_units_that_are_silent() -> gradus::Result<()> {
    let (x, y) = (rows(12, 3), targets(12));
    let mut model = Sequential::f64()
        .input([3])
        .add(Dense::new(4).activation(Relu).name("hidden"))
        .add(Dense::new(5).name("linear"))
        .add(Relu)
        .add(Dropout::new(0.5))
        .add(Dense::new(1).name("last"))
        .compile(MeanSquaredError::new(), SGD::new())
        .build()?;
    // Two units that no input reaches, and one after the separate activation.
    model.set_weights([("hidden/bias", &array![0.1, -100.0, 0.2, -100.0].into_dyn())])?;
    model.set_weights([("linear/bias", &array![0.0, 0.1, -100.0, 0.2, 9.0].into_dyn())])?;
    model.set_trainable("last", false)?;
    let before = model.get_weights();
    let diagnosis = model.diagnose(&x, &y)?;
    assert_eq!(model.get_weights(), before);
    let layers = diagnosis.layers();
    assert_eq!(layers.iter().map(|layer| layer.units).collect::<Vec<_>>(), [4, 5, 5, 1]);
    assert!(layers[0].dead_units >= 2 && layers[1].dead_units == 0 && layers[2].dead_units >= 1, "{diagnosis}");
    let norm = |values: &[&ArrayD<f64>]| values.iter().flat_map(|v| v.iter()).map(|v| v * v).sum::<f64>().sqrt();
    let of = |path: &str| before.iter().find(|(known, _)| known == path).map(|(_, value)| value).unwrap();
    assert!((layers[1].weight_norm - norm(&[of("linear/kernel"), of("linear/bias")])).abs() < 1e-12);
    assert_eq!(layers[2].weight_norm, 0.0);
    let gradients = model.gradients_on_batch(&x, &y, Fit::new())?;
    let of = |path: &str| gradients.iter().find(|(known, _)| known == path).map(|(_, value)| value).unwrap();
    assert!((layers[0].gradient_norm - norm(&[of("hidden/kernel"), of("hidden/bias")])).abs() < 1e-12);
    assert!(layers[1].gradient_norm > 0.0 && layers[3].gradient_norm == 0.0, "the last layer is frozen");
    assert!((diagnosis.gradient_norm() - layers[0].gradient_norm.hypot(layers[1].gradient_norm)).abs() < 1e-12);
    assert_eq!(diagnosis.to_string().lines().count(), 5);
    Ok(())
}

/// The tags of the events of a file, in order, with their steps; each record's length is followed to the next.
#[cfg(feature = "tensorboard")]
fn tags(run: &std::path::Path) -> Vec<String> {
    let files: Vec<_> = std::fs::read_dir(run).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].file_name().unwrap().to_str().unwrap().contains("tfevents"));
    let bytes = std::fs::read(&files[0]).unwrap();
    let (mut at, mut tags) = (0, Vec::new());
    while at < bytes.len() {
        let length = usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap();
        let event = &bytes[at + 12..at + 12 + length];
        // 9 bytes of time, where it is not 0 two of the step, then a summary of one value, which begins with its tag.
        let step = if event[9] == 0x10 { event[10] } else { 0 };
        let value = &event[if step == 0 { 9 } else { 11 }..];
        if value[0] == 0x2a {
            let name = std::str::from_utf8(&value[6..6 + usize::from(value[5])]).unwrap();
            tags.push(format!("{name} {step}"));
        }
        at += 12 + length + 4;
    }
    tags
}

#[cfg(feature = "tensorboard")]
#[test]
fn tensorboard_gets_the_figures_of_epochs_batches_and_validation() -> gradus::Result<()> {
    let folder = std::env::temp_dir().join(format!("gradus-tensorboard-{}", std::process::id()));
    let (x, y) = (rows(20, 3), targets(20));
    // 16 rows to train on: four batches an epoch.
    let fit = || quiet(4, 2).validation_split(0.2);
    small(SGD::new()).fit(&x, &y, fit().callback(TensorBoard::new(folder.join("plain"))))?;
    let train = ["epoch_loss 0", "epoch_learning_rate 0", "epoch_loss 1", "epoch_learning_rate 1"];
    assert_eq!(tags(&folder.join("plain/train")), train);
    let validation =
        ["evaluation_loss_vs_iterations 4", "epoch_loss 0", "evaluation_loss_vs_iterations 8", "epoch_loss 1"];
    assert_eq!(tags(&folder.join("plain/validation")), validation);

    let board = TensorBoard::new(folder.join("more")).update_freq(3).write_steps_per_second(true);
    small(SGD::new()).fit(&x, &y, quiet(5, 2).initial_epoch(1).callback(board))?;
    let train = ["batch_loss 3", "epoch_loss 1", "epoch_learning_rate 1", "epoch_steps_per_second 1"];
    assert_eq!(tags(&folder.join("more/train")), train);
    assert!(!folder.join("more/validation").exists());

    let refused = small(SGD::new()).fit(&x, &y, fit().callback(TensorBoard::new(&folder).update_freq(0))).unwrap_err();
    assert!(refused.to_string().contains("`update_freq` must be at least 1"), "{refused}");
    let nowhere = TensorBoard::new(folder.join("plain/train").join("file.txt"));
    std::fs::write(folder.join("plain/train/file.txt"), "in the way").unwrap();
    let refused = small(SGD::new()).fit(&x, &y, fit().callback(nowhere)).unwrap_err();
    assert!(refused.to_string().contains("file.txt"), "{refused}");
    std::fs::remove_dir_all(folder).ok();
    Ok(())
}

#[cfg(feature = "tensorboard")]
#[test]
fn tensorboard_gets_the_figures_of_both_networks_of_a_game() -> gradus::Result<()> {
    let folder = std::env::temp_dir().join(format!("gradus-tensorboard-game-{}", std::process::id()));
    let game = || Gan::new(Generator::mlp(2, &[2], 0)?, Discriminator::mlp(&[2], 1)?).build();
    let fit = || Fit::new().batch_size(4).epochs(2).verbose(0);
    // Two batches an epoch; the third is the first of the second epoch.
    let x = Array2::from_shape_fn((8, 2), |(i, j)| (i + j) as f32 / 9.0);
    game()?.fit(&x, fit().callback(TensorBoard::new(folder.join("run")).update_freq(3)))?;
    let names = ["d_loss", "g_loss", "d_real", "d_fake", "generator_learning_rate", "discriminator_learning_rate"];
    let epoch = |epoch| names.map(|name| format!("epoch_{name} {epoch}")).to_vec();
    let batch = names[..4].iter().map(|name| format!("batch_{name} 3")).collect();
    assert_eq!(tags(&folder.join("run/train")), [epoch(0), batch, epoch(1)].concat());
    assert!(!folder.join("run/validation").exists());

    let refused = game()?.fit(&x, fit().callback(TensorBoard::new(&folder).update_freq(0))).unwrap_err();
    assert!(refused.to_string().contains("`update_freq` must be at least 1"), "{refused}");
    std::fs::remove_dir_all(folder).ok();
    Ok(())
}
