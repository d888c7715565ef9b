//! Generative adversarial networks: what they refuse, reproduce and resume. Their numbers are in `tests/reference`.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use gradus::custom::*;
use gradus::gan::Noise;

fn points(count: usize) -> Array2<f32> {
    Array2::from_shape_fn((count, 2), |(i, axis)| {
        let angle = i as f32 * 0.7;
        if axis == 0 { angle.cos() } else { angle.sin() }
    })
}

fn gan(seed: u64) -> Gan {
    Gan::new(Generator::mlp(4, &[2], seed).unwrap(), Discriminator::mlp(&[2], seed + 1).unwrap())
        .seed(seed)
        .build()
        .unwrap()
}

fn refused<T>(result: gradus::Result<T>, parts: &[&str]) {
    let text = result.err().expect("refused").to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

fn weights(gan: &Gan) -> Vec<(String, ArrayD<f32>)> {
    [gan.generator().get_weights(), gan.discriminator().get_weights()].concat()
}

/// A model with two inputs, the second a label for an embedding.
fn conditional(noise: usize, output: usize) -> Model {
    let (x, label) = (Input::new([noise]), Input::new([]));
    let label_vector = label.apply(Embedding::new(3, 4));
    let y =
        call(Concatenate::new(), [&x, &label_vector]).apply(Dense::new(8).activation(Relu)).apply(Dense::new(output));
    ModelBuilder::new([&x, &label], [&y]).build().unwrap()
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let dense = |input: usize, units: usize| Sequential::new().input([input]).add(Dense::new(units));
    let generator = |units| Generator::new(dense(4, units).build().unwrap()).unwrap();
    let discriminator = |input| Discriminator::new(dense(input, 1).build().unwrap()).unwrap();
    refused(Gan::new(generator(3), discriminator(2)).build(), &["makes (2)", "(3)"]);
    refused(Discriminator::new(dense(2, 2).build().unwrap()), &["one number", "(2)"]);
    let probability = Sequential::new().input([2]).add(Dense::new(1).activation(Sigmoid)).build().unwrap();
    refused(Discriminator::new(probability), &["logits", "sigmoid"]);
    let image = Sequential::new().input([4, 4]).add(Flatten::new()).add(Dense::new(2)).build().unwrap();
    refused(Generator::new(image), &["(batch, latent)", "(4, 4)"]);
    refused(Generator::<f32>::dcgan(4, [30, 28, 1], 0), &["`image`", "30 × 28 × 1"]);
    let labelled = Generator::new(conditional(4, 2)).unwrap();
    refused(Gan::new(labelled, discriminator(2)).build(), &["labels in both", "a discriminator without labels"]);

    let options = |builder: fn(gradus::gan::GanBuilder<f32>) -> gradus::gan::GanBuilder<f32>| {
        builder(Gan::new(generator(2), discriminator(2))).build()
    };
    refused(options(|gan| gan.discriminator_steps(0)), &["`discriminator_steps`"]);
    refused(options(|gan| gan.instance_noise(-1.0)), &["`instance_noise`"]);
    refused(options(|gan| gan.weight_clip(0.0)), &["`weight_clip`"]);
    refused(options(|gan| gan.real_label(1.5)), &["`real_label`"]);
    refused(options(|gan| gan.loss(GanLoss::Wasserstein).real_label(0.9)), &["`real_label`", "Wasserstein"]);
    refused(options(|gan| gan.generator_optimizer(Adam::new().beta_1(2.0))), &["generator", "`beta_1`"]);
}

#[test]
fn data_that_do_not_fit_are_refused_and_change_nothing() {
    let mut gan = gan(0);
    let before = weights(&gan);
    let fit = || Fit::new().verbose(0);
    refused(gan.fit(&Array2::<f32>::zeros((4, 3)), fit()), &["(batch, 2)", "(4, 3)"]);
    refused(gan.fit(&Array2::<f32>::zeros((0, 2)), fit()), &["at least one row"]);
    refused(gan.fit(&array![[0.0f32, f32::NAN]], fit()), &["finite", "NaN at row 0"]);
    refused(gan.fit(&points(4), fit().batch_size(0)), &["`batch_size`"]);
    refused(gan.fit((&points(4), &array![0, 1, 2, 0]), fit()), &["no labels"]);
    refused(gan.train_generator(&Array2::<f32>::zeros((2, 5))), &["generator", "(batch, 4)", "(2, 5)"]);
    refused(gan.sample(2, 0).and_then(|_| gan.generate(&Array2::<f32>::zeros((2, 3)))), &["(batch, 4)"]);
    refused(gan.train_discriminator(&points(2), &Array2::<f32>::zeros((2, 5))), &["generator", "(2, 5)"]);
    assert_eq!(weights(&gan), before);

    let labelled =
        || Gan::new(Generator::new(conditional(4, 2)).unwrap(), Discriminator::new(conditional(2, 1)).unwrap());
    let mut labelled = labelled().build().unwrap();
    refused(labelled.fit(&points(4), fit()), &["labels", "none"]);
    refused(labelled.sample(3, 0), &["2 inputs"]);
    labelled.fit((&points(6), &array![0, 1, 2, 0, 1, 2]), fit().batch_size(3)).unwrap();
    let noise = labelled.noise(3, 0);
    assert_eq!(labelled.generate((&noise, &array![0, 1, 2])).unwrap().shape(), [3, 2]);
}

#[test]
fn a_loss_that_is_no_number_names_the_network_and_the_step() {
    let mut gan = gan(0);
    gan.fit(&points(32), Fit::new().batch_size(32).verbose(0)).unwrap();
    let before = gan.discriminator().get_weights();
    let broken = Array2::from_elem((2, 2), f32::NAN);
    refused(gan.train_discriminator(&broken, &gan.noise(2, 0)), &["discriminator", "step 1"]);
    assert_eq!(gan.discriminator().get_weights(), before);
    let broken = Array2::from_elem((2, 4), f32::NAN);
    let before = gan.generator().get_weights();
    refused(gan.train_generator(&broken), &["generator", "step 1"]);
    assert_eq!(gan.generator().get_weights(), before);
}

#[test]
fn every_loss_trains_and_any_number_of_threads_gives_the_same_bits() {
    for loss in [GanLoss::Minimax, GanLoss::NonSaturating, GanLoss::LeastSquares, GanLoss::Hinge, GanLoss::Wasserstein]
    {
        let run = |threads: usize| {
            let smooth = |units| SpectralNormalization::new(Dense::new(units));
            let critic = Sequential::new().input([2]).add(smooth(16)).add(Relu).add(smooth(1)).seed(1).build().unwrap();
            let mut gan = Gan::new(Generator::mlp(4, &[2], 0).unwrap(), Discriminator::new(critic).unwrap())
                .loss(loss)
                .noise(Noise::Uniform)
                .discriminator_steps(2)
                .instance_noise(0.1)
                .build()
                .unwrap();
            gan.set_threads(threads).unwrap();
            gan.fit(&points(70), Fit::new().batch_size(32).epochs(2).verbose(0)).unwrap();
            weights(&gan)
        };
        let (one, two) = (run(1), run(2));
        assert_eq!(one, two, "{loss:?}");
        assert!(one.iter().all(|(_, weight)| weight.iter().all(|w| w.is_finite())), "{loss:?}");
    }
}

#[test]
fn clipped_weights_stay_within_their_bounds() {
    let mut gan = Gan::new(Generator::mlp(4, &[2], 0).unwrap(), Discriminator::mlp(&[2], 1).unwrap())
        .loss(GanLoss::Wasserstein)
        .discriminator_optimizer(RMSprop::new().learning_rate(5e-3))
        .weight_clip(0.01)
        .build()
        .unwrap();
    gan.fit(&points(64), Fit::new().verbose(0)).unwrap();
    let weights = gan.discriminator().get_weights();
    assert!(weights.iter().all(|(_, weight)| weight.iter().all(|w| w.abs() <= 0.01)));
}

/// Notes what it is told.
#[derive(Default)]
struct Notes(Vec<String>);

impl<F: Scalar> Callback<F> for Notes {
    fn on_train_begin(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.0.push(format!("begin {}", state.epoch));
        Ok(())
    }
    fn on_epoch_begin(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.0.push(format!("epoch {}", state.epoch));
        Ok(())
    }
    fn on_batch_end(&mut self, _: &mut EpochState<'_, F>, batch: usize, logs: &Logs) -> gradus::Result<()> {
        assert_eq!(logs.names(), ["d_loss", "g_loss", "d_real", "d_fake"]);
        self.0.push(format!("batch {batch}"));
        Ok(())
    }
    fn on_epoch_end(&mut self, state: &mut EpochState<'_, F>, _: &Logs) -> gradus::Result<()> {
        if state.epoch == 1 {
            state.stop_training();
        }
        Ok(())
    }
    fn on_train_end(&mut self, state: &mut EpochState<'_, F>) -> gradus::Result<()> {
        self.0.push(format!("end {}", state.epoch));
        Ok(())
    }
}

#[test]
fn callbacks_of_a_game_are_told_of_everything_in_order() {
    let mut notes = Notes::default();
    let fit = Fit::new().batch_size(32).epochs(9).verbose(0);
    gan(0).fit(&points(40), fit.callback(&mut notes)).unwrap();
    assert_eq!(notes.0, ["begin 0", "epoch 0", "batch 0", "batch 1", "epoch 1", "batch 0", "batch 1", "end 1"]);
}

#[test]
fn figures_and_checkpoints_of_a_game_are_written_after_each_epoch() {
    let folder = std::env::temp_dir().join(format!("gradus-game-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut game = gan(2);
    let saving = ModelCheckpoint::new(folder.join("{epoch}.safetensors"));
    let fit = Fit::new().batch_size(16).epochs(2).verbose(0);
    game.fit(&points(16), fit.callback(CSVLogger::new(folder.join("game.csv"))).callback(saving)).unwrap();
    let text = std::fs::read_to_string(folder.join("game.csv")).unwrap();
    assert!(text.starts_with("epoch,d_fake,d_loss,d_real,g_loss\n0,") && text.lines().count() == 3, "{text}");
    let mut resumed = gan(2);
    assert_eq!(resumed.resume(folder.join("1.safetensors")).unwrap(), 1);
    resumed.fit(&points(16), Fit::new().batch_size(16).initial_epoch(1).epochs(2).verbose(0)).unwrap();
    assert_eq!(weights(&game), weights(&resumed));

    // No figure of a game is `val_loss`.
    let best = ModelCheckpoint::new(folder.join("best.safetensors")).save_best_only(true);
    refused(game.fit(&points(16), Fit::new().verbose(0).callback(best)), &["`monitor`", "val_loss"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn averaged_weights_take_their_place_when_a_game_ends() {
    let game = |averaged: bool| {
        let adam = Adam::new().learning_rate(1e-2).use_ema(averaged).ema_momentum(0.9);
        let networks = (Generator::mlp(4, &[2], 5).unwrap(), Discriminator::mlp(&[2], 6).unwrap());
        Gan::new(networks.0, networks.1).generator_optimizer(adam).build().unwrap()
    };
    let (mut plain, mut averaged) = (game(false), game(true));
    let mut before_the_end = Vec::new();
    let fit = || Fit::new().batch_size(16).epochs(3).verbose(0);
    plain.fit(&points(64), fit()).unwrap();
    averaged
        .fit(
            &points(64),
            fit().on_epoch_end(|state, _| {
                before_the_end = weights(state.learner_as::<Gan>().expect("a GAN"));
                Ok(())
            }),
        )
        .unwrap();
    // The same game to the last step; only then the generator's weights are their average.
    assert_eq!(before_the_end, weights(&plain));
    assert_eq!(averaged.discriminator().get_weights(), plain.discriminator().get_weights());
    assert_ne!(averaged.generator().get_weights(), plain.generator().get_weights());
}

#[test]
fn a_resumed_game_goes_on_as_the_uninterrupted_one() {
    let path = std::env::temp_dir().join(format!("gradus-gan-{}.safetensors", std::process::id()));
    let fit = |from: usize, to: usize| Fit::new().batch_size(16).initial_epoch(from).epochs(to).verbose(0);
    let mut whole = gan(3);
    whole
        .fit(
            &points(50),
            fit(0, 4).on_epoch_end(|state: &mut EpochState<'_, f32>, _| match state.epoch {
                1 => state.save_checkpoint(&path, 2),
                _ => Ok(()),
            }),
        )
        .unwrap();
    // The seed is the file's, whatever the new one was made with.
    let networks = (Generator::mlp(4, &[2], 8).unwrap(), Discriminator::mlp(&[2], 9).unwrap());
    let mut resumed = Gan::new(networks.0, networks.1).seed(99).build().unwrap();
    let epoch = resumed.resume(&path).unwrap();
    assert_eq!(epoch, 2);
    resumed.fit(&points(50), fit(epoch, 4)).unwrap();
    assert_eq!(weights(&whole), weights(&resumed));

    // A file of something else changes nothing.
    let before = weights(&resumed);
    let mut model =
        Sequential::new().input([1]).add(Dense::new(1)).compile(MeanSquaredError::new(), SGD::new()).build().unwrap();
    model.fit(&array![[1.0f32]], &array![[1.0f32]], Fit::new().verbose(0)).unwrap();
    model.save_checkpoint(&path).unwrap();
    refused(resumed.resume(&path), &["no part `generator`"]);
    assert_eq!(weights(&resumed), before);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_generator_learns_a_mean() {
    // One number, normally distributed around 3: the generator starts around 0.
    let real = Array2::from_shape_fn((256, 1), |(i, _)| 3.0 + ((i * 37 % 256) as f32 / 256.0 - 0.5));
    let generator = Sequential::new().input([2]).add(Dense::new(1)).seed(0).build().unwrap();
    let discriminator =
        Sequential::new().input([1]).add(Dense::new(16).activation(Tanh)).add(Dense::new(1)).seed(1).build().unwrap();
    let mut gan = Gan::new(Generator::new(generator).unwrap(), Discriminator::new(discriminator).unwrap())
        .generator_optimizer(Adam::new().learning_rate(0.01).beta_1(0.5))
        .discriminator_optimizer(Adam::new().learning_rate(0.01).beta_1(0.5))
        .build()
        .unwrap();
    gan.fit(&real, Fit::new().batch_size(64).epochs(150).verbose(0)).unwrap();
    let mean = gan.sample(500, 1).unwrap().mean().unwrap();
    assert!((mean - 3.0).abs() < 0.5, "the mean is {mean}");
}

#[test]
fn spectral_normalization_holds_the_largest_singular_value_to_one() {
    let mut model = Sequential::new()
        .input([6])
        .add(SpectralNormalization::new(Dense::new(4)).name("smooth").power_iterations(20))
        .compile(MeanSquaredError::new(), SGD::new().learning_rate(0.0))
        .build()
        .unwrap();
    let x = Array2::<f32>::ones((8, 6));
    model.fit(&x, &Array2::<f32>::zeros((8, 4)), Fit::new().verbose(0)).unwrap();
    let kernel = model.weight("smooth/kernel").unwrap();
    // The largest singular value of W by many more iterations.
    let w = kernel.into_dimensionality::<ndarray::Ix2>().unwrap();
    let mut u = Array1::from_elem(4, 0.5f32);
    for _ in 0..200 {
        u = w.t().dot(&w.dot(&u));
        u /= u.dot(&u).sqrt();
    }
    let sigma = w.dot(&u).mapv(|x| x * x).sum().sqrt();
    assert!((sigma - 1.0).abs() < 1e-3, "σ is {sigma}");

    let model_of = |layer: SpectralNormalization<Dense>| Sequential::new().input([3]).add(layer).build();
    refused(model_of(SpectralNormalization::new(Dense::new(2)).power_iterations(0)), &["`power_iterations`"]);
    refused(Sequential::new().input([3]).add(SpectralNormalization::new(Flatten::new())).build(), &["`kernel`"]);
    let path = std::env::temp_dir().join(format!("gradus-spectral-{}.safetensors", std::process::id()));
    model.save(&path).unwrap();
    let again = Model::<f32>::load(&path).unwrap();
    assert_eq!(again.predict(&x).unwrap(), model.predict(&x).unwrap());
    std::fs::remove_file(&path).unwrap();
}
